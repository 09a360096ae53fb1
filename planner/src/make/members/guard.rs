//! Control planes that must not go: a cluster never loses the majority of them, nor the one that it is known by.

use pool_inventory::{
    Address, Name, Text,
    desired::Role,
    market::{Change, ClusterSeen},
    object::Stage,
};

use super::super::{Fate, HostId, Planner};
use crate::plan::Why;

impl Planner<'_> {
    /// Holds back hosts whose going would take a cluster with it.
    pub(crate) fn guard_members(&mut self) {
        if self.input.scope.destroy {
            return;
        }
        for name in self.input.desired.clusters.keys() {
            match self.input.seen.clusters.get(name) {
                Some(ClusterSeen::Silent(detail)) => self.guard_silent(name, detail),
                _ => self.guard_cluster(name),
            }
        }
    }

    /// Nobody goes whom a cluster could not be told to forget.
    fn guard_silent(&mut self, cluster: &Name, detail: &Text) {
        for id in self.host_ids() {
            let member = self.newest(id.0, id.1).and_then(|row| self.member(row));
            if member.is_none_or(|member| member.cluster != *cluster) {
                continue;
            }
            self.held_members.insert(id);
            if self.loses(id) {
                self.hold(id, Why::Unreachable { detail: detail.clone() });
            }
        }
    }

    fn guard_cluster(&mut self, cluster: &Name) {
        let control = self.control_planes(cluster);
        let (of, well) = (control.len(), control.iter().filter(|id| self.is_well(cluster, **id)).count());
        let mut goes = false;
        for id in control.into_iter().filter(|id| self.loses(*id) || self.parts(cluster, *id)).collect::<Vec<_>>() {
            let others = well - usize::from(self.is_well(cluster, id));
            let detail = if self.is_anchor(id) {
                "its API is known by the address of this host; declare an `endpoint` that outlives it".to_owned()
            } else if of == 1 {
                "it is the only control plane".to_owned()
            } else if goes {
                "one control plane goes at a time".to_owned()
            } else if well < of / 2 + 1 || others < (of - 1) / 2 + 1 {
                // The majority must agree before, and be there afterwards.
                format!("only {others} of the other {} control planes are well", of - 1)
            } else {
                goes = true;
                continue;
            };
            self.keep_control(cluster, id, Why::Quorum { cluster: cluster.clone(), detail: Text::from(detail) });
        }
    }

    /// A control plane stays what it is.
    fn keep_control(&mut self, cluster: &Name, id: HostId, why: Why) {
        self.held_members.insert(id);
        if self.loses(id) {
            self.hold(id, why);
        } else {
            let host = &self.pools[id.0].hosts[id.1].address;
            self.decline(&Address::member(cluster, &host.name), why);
        }
    }

    /// Hosts that control a cluster.
    fn control_planes(&self, cluster: &Name) -> Vec<HostId> {
        let is = |id: &HostId| {
            let row = self.newest(id.0, id.1).and_then(|row| self.member(row));
            row.is_some_and(|member| {
                member.cluster == *cluster && member.role == Role::ControlPlane && member.has_joined()
            })
        };
        self.host_ids().into_iter().filter(is).collect()
    }

    /// Whether a host will not be what it is now.
    fn loses(&self, (pool, host): HostId) -> bool {
        match self.states[pool][host].fate {
            Fate::Remove(_) | Fate::Replace(_) | Fate::Forget(_) | Fate::Change { how: Change::Rebuild, .. } => true,
            // Another one is made in its place.
            Fate::Make(_) => self.is_gone((pool, host)),
            _ => false,
        }
    }

    /// Whether a host that stays is to be something else in its cluster, or nothing.
    fn parts(&self, cluster: &Name, (pool, host): HostId) -> bool {
        let spec = self.input.desired.clusters.get(cluster);
        let role = self.pools[pool].name.as_ref().and_then(|pool| spec?.role_of(pool));
        let leaving = self.newest(pool, host).and_then(|row| self.member(row));
        role != Some(Role::ControlPlane) || leaving.is_some_and(|member| member.stage == Stage::Leaving)
    }

    fn is_anchor(&self, (pool, host): HostId) -> bool {
        self.newest(pool, host).and_then(|row| self.member(row)).is_some_and(|member| member.anchor)
    }

    /// Whether a control plane does its work, as far as anybody knows.
    fn is_well(&self, cluster: &Name, (pool, host): HostId) -> bool {
        let address: &Address = &self.pools[pool].hosts[host].address;
        match self.input.seen.clusters.get(cluster) {
            Some(ClusterSeen::Members(members)) => {
                members.get(&address.name).is_some_and(|seen| seen.trouble.is_none())
            }
            _ => !self.unreachable(address) && !self.is_gone((pool, host)),
        }
    }

    fn is_gone(&self, (pool, host): HostId) -> bool {
        self.newest(pool, host).is_some_and(|row| self.world.rows[row].gone())
    }
}
