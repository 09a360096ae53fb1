//! A run: one dispatcher, its steps, its journal.

mod bootstrap;
mod create;
mod dispatch;
mod lines;
mod member;
mod queue;
mod recorder;
mod records;
mod settle;
mod step;
mod undo;
mod unmount;

pub use dispatch::{Limits, drive};
pub use lines::Lines;
pub use member::{Tickets, answer};
pub use recorder::Recorder;
pub use records::Records;
pub use settle::settle;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
};

use pool_inventory::{
    Address, Lineage, Name, Text,
    desired::Access,
    object::{HostMount, Recorded},
};
use pool_planner::{Plan, Step, plan::Alternative};

use crate::{account::Account, artifacts::Artifacts, connect::Hosts, guard::Guard, wanted};

/// What all steps of a run share.
pub struct Shared {
    /// The plan; behind its own steps stand those of its undo, where one is to be done.
    pub plan: Plan,
    /// How many steps are its own.
    pub own: usize,
    /// The state that it belongs to.
    pub lineage: Lineage,
    /// One account per provider.
    pub accounts: BTreeMap<Name, Account>,
    /// Current rows.
    pub records: Records,
    /// Journal and events.
    pub recorder: Recorder,
    /// Ways to hosts.
    pub hosts: Arc<Hosts>,
    /// What hosts get.
    pub artifacts: Artifacts,
    /// Lets steps act while the lease is held.
    pub guard: Guard,
    /// Cancelled when the operator asks to stop: what is begun is finished, nothing further is begun.
    pub soft: tokio_util::sync::CancellationToken,
    /// The number of this run's first attempts.
    pub first_attempt: u32,
    /// Since when nothing of an earlier run can have been sent.
    pub quiet: std::time::Instant,
    /// What the run found sold out, and where hosts went instead.
    pub detours: Mutex<Detours>,
    /// Links that wait for further work.
    pub lines: Lines,
    /// What hosts need to join clusters.
    pub tickets: Tickets,
}

/// What a run found sold out, and where hosts went instead.
#[derive(Default)]
pub struct Detours {
    dry: BTreeSet<Text>,
    went: BTreeMap<Address, Alternative>,
}

impl Shared {
    /// The steps of the run itself.
    pub fn run_steps(&self) -> &[Step] {
        &self.plan.steps[..self.own]
    }

    /// What takes back what they made; empty where that is not to be done.
    pub fn undo_steps(&self) -> &[Step] {
        &self.plan.steps[self.own..]
    }

    fn detours(&self) -> MutexGuard<'_, Detours> {
        // Each change below is one call: a panic leaves nothing half done.
        self.detours.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Whether hosts need not ask for this place any more in this run.
    fn is_dry(&self, place: &create::Place<'_>) -> bool {
        place.is_host() && self.detours().dry.contains(&place.name())
    }

    fn found_dry(&self, place: &create::Place<'_>) {
        if place.is_host() {
            self.detours().dry.insert(place.name());
        }
    }

    /// Notes where a host was made; none: as planned.
    fn settled_at(&self, host: &Address, other: Option<&Alternative>) {
        if let Some(other) = other {
            self.detours().went.insert(host.clone(), other.clone());
        }
    }

    /// Where a host was made by this run, if not as planned.
    pub fn went_to(&self, host: &Address) -> Option<Alternative> {
        self.detours().went.get(host).cloned()
    }

    /// The way to log in to a host.
    pub fn access(&self, host: &Recorded) -> Option<&Access> {
        let member = self.plan.clusters.values().find_map(|cluster| cluster.access.get(&host.address.name));
        let Some(plan) = host.pool.as_ref().and_then(|pool| self.plan.bootstraps.get(pool)) else { return member };
        match self.went_to(&host.address).and_then(|other| plan.elsewhere.get(&other.provider)) {
            Some(there) => Some(there),
            None => plan.access.get(&host.address.name).or(member),
        }
    }

    /// The volumes that a host mounts itself, as they are recorded now.
    pub fn mounts_of(&self, host: &Address) -> Vec<HostMount> {
        let only_attaches = |provider: &Name| self.accounts.get(provider).is_some_and(Account::only_attaches);
        wanted::mounts(host, &self.records.volumes_of(host), &only_attaches)
    }

    /// What an object is called in a cloud.
    pub fn cloud_name(&self, name: &str) -> Text {
        format!("{}-{}-{}", self.plan.inventory, self.plan.environment, name.replace('.', "-")).into()
    }
}
