//! Control planes that must not go: a cluster never loses the majority of them, nor the one that it is known by.

use pool_inventory::{Address, Name, Text, desired::Role, market::Change};

use super::super::{Fate, HostId, Planner};
use crate::plan::Why;

impl Planner<'_> {
    /// Holds back hosts whose going would take a cluster with it.
    pub(crate) fn guard_members(&mut self) {
        if self.input.scope.destroy {
            return;
        }
        for name in self.input.desired.clusters.keys() {
            self.guard_cluster(name);
        }
    }

    fn guard_cluster(&mut self, cluster: &Name) {
        let control = self.control_planes(cluster);
        let (going, staying): (Vec<HostId>, Vec<HostId>) = control.into_iter().partition(|id| self.loses(*id));
        if going.is_empty() {
            return;
        }
        let of = going.len() + staying.len();
        let well = staying.iter().filter(|id| self.is_well(cluster, **id)).count();
        for (at, id) in going.into_iter().enumerate() {
            let detail = if self.is_anchor(id) {
                "its API is known by the address of this host; declare an `endpoint` that outlives it".to_owned()
            } else if staying.is_empty() {
                "it is the only control plane that is left".to_owned()
            } else if at > 0 {
                "one control plane goes at a time".to_owned()
            } else if well + usize::from(self.is_well(cluster, id)) < of / 2 + 1 || well < (of - 1) / 2 + 1 {
                // The majority must agree before, and be there afterwards.
                format!("only {well} of the other {} control planes are well", of - 1)
            } else {
                continue;
            };
            self.hold(id, Why::Quorum { cluster: cluster.clone(), detail: Text::from(detail) });
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
        let state = &self.states[pool][host];
        matches!(
            state.fate,
            Fate::Remove(_) | Fate::Replace(_) | Fate::Forget(_) | Fate::Change { how: Change::Rebuild, .. }
        )
    }

    fn is_anchor(&self, (pool, host): HostId) -> bool {
        self.newest(pool, host).and_then(|row| self.member(row)).is_some_and(|member| member.anchor)
    }

    /// Whether a control plane does its work, as far as anybody knows.
    fn is_well(&self, cluster: &Name, (pool, host): HostId) -> bool {
        let address: &Address = &self.pools[pool].hosts[host].address;
        match self.input.seen.clusters.get(cluster) {
            Some(pool_inventory::market::ClusterSeen::Members(members)) => {
                members.get(&address.name).is_some_and(|seen| seen.trouble.is_none())
            }
            _ => !self.unreachable(address),
        }
    }
}
