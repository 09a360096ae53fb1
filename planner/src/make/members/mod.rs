//! Clusters: which hosts join, leave and change, and in which order.
//!
//! | module | what it plans |
//! |---|---|
//! | `errands` | what a user asks for by name |
//! | `guard` | which control planes may go at all |
//! | `leave` | members that go, and members that were emptied for nothing |
//! | `upgrade` | another version: control planes one by one, then workers, so many at a time |
//! | `join` | the first control plane, further ones one by one, workers; settings, certificates, the pod network |
//!
//! What a host is in a cluster is recorded with the host. A cluster is begun once one of its control planes has joined.

mod errands;
mod guard;
mod join;
mod leave;
mod upgrade;

use std::collections::{BTreeMap, BTreeSet};

use pool_inventory::{
    Address, Name, Text,
    desired::{ClusterSpec, Role},
    digest,
    market::{ClusterSeen, HostSeen, MemberSeen},
    object::{Membership, Stage, Status},
};

use super::{
    HostId, Planner,
    draft::{Draft, DraftId},
};
use crate::{
    input::access,
    plan::{Action, PlanCluster, Reason, Step, Task, Why},
};

/// A cluster while its steps are being planned.
pub(crate) struct Roll<'a> {
    name: Name,
    /// What it is to be; none: it goes as a whole.
    spec: Option<&'a ClusterSpec>,
    /// What it says of itself; none: nobody was asked, or it is simulated.
    seen: Option<&'a BTreeMap<Text, MemberSeen>>,
    /// Hosts that shall be members, control planes first.
    wanted: Vec<Wanted>,
    /// Rows of members that go.
    going: Vec<usize>,
    /// Whether one of its control planes has joined and stays.
    begun: bool,
    /// The last step that changes a control plane: the next one waits for it.
    last: Option<DraftId>,
    /// Steps after which workers may join.
    open: Vec<DraftId>,
}

/// A host that shall be a member.
#[derive(Clone)]
pub(crate) struct Wanted {
    id: HostId,
    host: Address,
    role: Role,
    generation: u32,
    provider: Name,
    /// The row of what it is already, where it stays.
    row: Option<usize>,
}

impl Roll<'_> {
    fn seen_of(&self, host: &Address) -> Option<&MemberSeen> {
        self.seen?.get(&host.name)
    }
}

/// Whether a member is a control plane that began its work.
fn controls(member: &Membership) -> bool {
    member.role == Role::ControlPlane && member.has_joined()
}

/// Digest of what is set for a member inside its cluster.
fn settings(spec: &ClusterSpec, pool: &Name) -> Text {
    let labels = spec.labels.get(pool);
    let taints = spec.kubernetes().and_then(|kubernetes| kubernetes.taints.get(pool));
    digest::of(&(labels, taints))
}

/// Digest of what is applied to a cluster as a whole.
fn applied(spec: &ClusterSpec) -> Option<Text> {
    Some(digest::of(&spec.kubernetes()?.pod_network))
}

impl<'a> Planner<'a> {
    /// Plans what is to be done about clusters.
    pub(crate) fn members(&mut self) {
        let names = self.cluster_names();
        if names.is_empty() {
            return;
        }
        self.ends = self.index_ends();
        // Who leaves one cluster may join another.
        let mut rolls: Vec<Roll<'_>> = names.iter().map(|name| self.roll(name)).collect();
        for roll in &mut rolls {
            let silent = self.silent(roll);
            if silent.is_some() {
                roll.going.retain(|row| self.goes_anyway(*row));
            }
            self.leaves(roll);
            self.bootstraps_in_turn(roll);
            if let Some(why) = silent {
                self.decline(&Address::cluster(&roll.name), why);
                roll.wanted.clear();
            }
        }
        for roll in &mut rolls {
            self.settle_down(roll);
            if self.upgrades(roll) {
                self.joins(roll);
            }
        }
    }

    /// A bootstrap may start what runs containers anew, and etcd with it: control planes have theirs one after the other.
    fn bootstraps_in_turn(&mut self, roll: &mut Roll<'_>) {
        for (&(pool, host), &step) in &self.booted {
            let state = &self.states[pool][host];
            let row = self.newest(pool, host).filter(|_| !state.remade && !state.renewed);
            let controls = row.and_then(|row| self.member(row)).is_some_and(|m| m.cluster == roll.name && controls(m));
            let leaves = self.touched.contains_key(&(self.pools[pool].hosts[host].address.clone(), state.generation));
            if controls && !leaves {
                self.drafts.needs(step, roll.last);
                roll.last = Some(step);
            }
        }
    }

    /// Declared clusters, and those that recorded hosts are members of.
    fn cluster_names(&self) -> BTreeSet<Name> {
        let recorded = self.world.rows.iter().filter_map(|row| Some(row.now.member.as_ref()?.cluster.clone()));
        recorded.chain(self.input.desired.clusters.keys().cloned()).collect()
    }

    /// What a cluster does not say; none: it answered, or it need not.
    fn silent(&self, roll: &Roll<'_>) -> Option<Why> {
        match self.input.seen.clusters.get(&roll.name) {
            Some(ClusterSeen::Silent(detail)) if roll.spec.is_some() => {
                Some(Why::Unreachable { detail: detail.clone() })
            }
            _ => None,
        }
    }

    fn roll(&self, name: &Name) -> Roll<'a> {
        let spec = self.input.desired.clusters.get(name).filter(|_| !self.input.scope.destroy);
        let seen = match self.input.seen.clusters.get(name) {
            Some(ClusterSeen::Members(members)) => Some(members),
            _ => None,
        };
        let mut wanted = Vec::new();
        for id in self.host_ids() {
            let Some(role) = spec.and_then(|spec| spec.role_of(self.pools[id.0].name.as_ref()?)) else { continue };
            wanted.extend(self.wanted_member(id, role, name));
        }
        wanted.sort_by(|a, b| (a.role, &a.host).cmp(&(b.role, &b.host)));
        let staying: BTreeSet<usize> = wanted.iter().filter_map(|wanted| wanted.row).collect();
        let held: BTreeSet<usize> = self.held_members.iter().filter_map(|id| self.newest(id.0, id.1)).collect();
        let of = |row: &usize| self.member(*row).is_some_and(|member| member.cluster == *name);
        let stays = |row: &usize| staying.contains(row) || held.contains(row);
        let (kept, going): (Vec<usize>, Vec<usize>) = (0..self.world.rows.len()).filter(of).partition(stays);
        let begun = spec.is_some() && kept.iter().filter_map(|row| self.member(*row)).any(controls);
        Roll { name: name.clone(), spec, seen, wanted, going, begun, last: None, open: Vec::new() }
    }

    fn member(&self, row: usize) -> Option<&Membership> {
        self.world.rows[row].now.member.as_deref()
    }

    /// A host that will stand, and shall be a member.
    fn wanted_member(&self, id: HostId, role: Role, cluster: &Name) -> Option<Wanted> {
        let member = &self.pools[id.0].hosts[id.1];
        let state = &self.states[id.0][id.1];
        if !state.present || self.held_members.contains(&id) && !self.keeps(id, role) {
            return None;
        }
        let row = self.newest(id.0, id.1).filter(|_| !state.remade && !state.renewed);
        let stays = |row: &usize| {
            let turns = self.turns(cluster);
            let leaving = |member: &Membership| {
                member.cluster == *cluster && (member.role == role || turns) && member.stage != Stage::Leaving
            };
            self.member(*row).is_some_and(leaving)
        };
        let row = row.filter(stays);
        if !member.wished && row.is_none() {
            // It would go, and is held back: it stays what it is.
            return None;
        }
        Some(Wanted {
            id,
            host: member.address.clone(),
            role,
            generation: state.generation,
            provider: state.provider.clone()?,
            row,
        })
    }

    /// Whether a host is already what it is to be.
    fn keeps(&self, id: HostId, role: Role) -> bool {
        self.newest(id.0, id.1).and_then(|row| self.member(row)).is_some_and(|member| member.role == role)
    }

    /// Whether members change their role where they stand.
    fn turns(&self, cluster: &Name) -> bool {
        self.input.desired.clusters.get(cluster).is_some_and(|spec| spec.kubernetes().is_none())
    }

    /// What a host is a member of and does not leave in this plan, though it is to join.
    fn still_member(&self, wanted: &Wanted) -> Option<Address> {
        let state = &self.states[wanted.id.0][wanted.id.1];
        let leaves = self.touched.contains_key(&(wanted.host.clone(), wanted.generation));
        if wanted.row.is_some() || state.remade || state.renewed || leaves {
            return None;
        }
        let member = self.newest(wanted.id.0, wanted.id.1).and_then(|row| self.member(row))?;
        Some(Address::member(&member.cluster, &wanted.host.name))
    }

    /// The steps after which a host can be worked on; none: it is not to be touched now.
    fn ready_to_join(&mut self, wanted: &Wanted) -> Option<Vec<DraftId>> {
        // A machine that is broken, or stays off, joins once it is well.
        if !self.reach.covers(&wanted.host) || self.is_down(&wanted.host) {
            return None;
        }
        if let Some(step) = self.booted.get(&wanted.id) {
            return Some(vec![*step]);
        }
        let state = &self.states[wanted.id.0][wanted.id.1];
        let done = self.newest(wanted.id.0, wanted.id.1).filter(|_| !state.remade && !state.renewed);
        let bootstrapped = done.is_some_and(|row| self.world.rows[row].now.bootstrapped.is_some());
        // Why it is not bootstrapped was told.
        (bootstrapped && !self.unreachable(&wanted.host)).then(|| state.up.clone())
    }

    /// Whether nothing can be done on a host now: it did not answer, or its machine is off or broken, and stays so.
    fn unreachable(&self, host: &Address) -> bool {
        matches!(self.probed(host), Some(HostSeen::Unreachable(_))) || self.is_down(host)
    }

    fn is_down(&self, host: &Address) -> bool {
        let id = self.id_of(host);
        let state = &self.states[id.0][id.1];
        let row = self.newest(id.0, id.1).filter(|_| !state.remade && !state.renewed && !state.power_on);
        let Some(world) = row.map(|row| &self.world.rows[row]) else { return false };
        // Nothing is done on hosts of a provider that did not answer.
        let seen = world.sight.there();
        world.unseen() || seen.is_some_and(|seen| matches!(seen.status, Status::Failed(_) | Status::Stopped))
    }

    fn member_step(
        &mut self,
        cluster: &Name,
        wanted: &Wanted,
        task: Task,
        reason: Reason,
        needs: Vec<DraftId>,
    ) -> DraftId {
        let address = Address::member(cluster, &wanted.host.name);
        self.push_member(address, wanted, task, reason, needs)
    }

    /// Each step waits for the one before it on the same host, and for all that is done to the host itself.
    fn push_member(
        &mut self,
        address: Address,
        wanted: &Wanted,
        task: Task,
        reason: Reason,
        mut needs: Vec<DraftId>,
    ) -> DraftId {
        let key = (wanted.host.clone(), wanted.generation);
        match self.touched.get(&key) {
            Some(before) => needs.push(*before),
            None if matches!(task, Task::Leave { .. } | Task::Drain)
                && wanted.row.is_none_or(|row| self.goes_anyway(row)) => {}
            None => {
                needs.extend(self.states[wanted.id.0][wanted.id.1].up.iter().copied());
                needs.extend(self.booted.get(&wanted.id));
            }
        }
        let step = self.drafts.push(Draft {
            address,
            generation: wanted.generation,
            provider: wanted.provider.clone(),
            action: Action::Member { task },
            reason,
            needs,
        });
        self.touched.insert(key, step);
        step
    }

    fn cluster_step(
        &mut self,
        cluster: &Name,
        via: &Wanted,
        task: Task,
        reason: Reason,
        needs: Vec<DraftId>,
    ) -> DraftId {
        self.push_member(Address::cluster(cluster), via, task, reason, needs)
    }

    /// What the engine must know of the clusters that steps are about.
    pub(crate) fn plan_clusters(&self, steps: &[Step]) -> BTreeMap<Name, PlanCluster> {
        let touched: BTreeSet<Name> = steps.iter().filter_map(cluster_of).collect();
        let mut out = BTreeMap::new();
        for name in touched {
            let spec = self.input.desired.clusters.get(&name).filter(|_| !self.input.scope.destroy);
            let plan = PlanCluster { spec: spec.cloned(), access: self.member_access(&name, spec) };
            out.insert(name, plan);
        }
        out
    }

    /// Hosts that control the clusters that steps are about: these are done through them.
    pub(crate) fn controllers(&self, steps: &[Step]) -> Vec<Address> {
        let touched: BTreeSet<Name> = steps.iter().filter_map(cluster_of).collect();
        let rows = self.world.rows.iter().filter(|row| {
            let member = row.now.member.as_ref();
            member.is_some_and(|member| member.role == Role::ControlPlane && touched.contains(&member.cluster))
        });
        rows.map(|row| row.now.address.clone()).collect()
    }

    fn member_access(
        &self,
        name: &Name,
        spec: Option<&ClusterSpec>,
    ) -> BTreeMap<Text, pool_inventory::desired::Access> {
        let desired = &self.input.desired;
        let mut out = BTreeMap::new();
        for (pool, states) in self.pools.iter().zip(&self.states) {
            let role = pool.name.as_ref().and_then(|pool| spec?.role_of(pool));
            for (host, state) in pool.hosts.iter().zip(states) {
                let row = host.rows.clone().next_back().map(|row| &*self.world.rows[row].now);
                let is = row.and_then(|row| row.member.as_ref()).is_some_and(|member| member.cluster == *name);
                let provider = state.provider.as_ref().or(row.map(|row| &row.provider));
                let Some(provider) = provider.filter(|_| is || role.is_some()) else { continue };
                // A host that left the inventory is reached as its provider says.
                let own = pool.name.as_ref().and_then(|pool| access(desired, pool, &host.address.name, provider));
                let way = own.or_else(|| desired.providers.get(provider)?.ssh.as_ref());
                out.extend(way.map(|way| (host.address.name.clone(), way.clone())));
            }
        }
        out
    }
}

/// The cluster that a step is about.
fn cluster_of(step: &Step) -> Option<Name> {
    if !matches!(step.action, Action::Member { .. }) {
        return None;
    }
    Name::new(step.address.name.split('/').next()?).ok()
}
