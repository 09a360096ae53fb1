//! A run: one dispatcher, its steps, its journal.

mod bootstrap;
mod create;
mod dispatch;
mod queue;
mod recorder;
mod records;
mod settle;
mod step;
mod undo;
mod unmount;

pub use dispatch::{Limits, drive};
pub use recorder::Recorder;
pub use records::Records;
pub use settle::settle;

use std::{collections::BTreeMap, sync::Arc};

use pool_inventory::{Address, Lineage, Name, Text, object::HostMount};
use pool_planner::{Plan, Step};

use crate::{account::Account, connect::Hosts, guard::Guard, wanted};

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
    /// Lets steps act while the lease is held.
    pub guard: Guard,
    /// Cancelled when the operator asks to stop: what is begun is finished, nothing further is begun.
    pub soft: tokio_util::sync::CancellationToken,
    /// The number of this run's first attempts.
    pub first_attempt: u32,
    /// Since when nothing of an earlier run can have been sent.
    pub quiet: std::time::Instant,
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
