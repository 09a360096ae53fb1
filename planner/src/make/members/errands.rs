//! What a user asks for by name about members and clusters.

use pool_inventory::{Address, Name, desired::Role};

use super::Wanted;
use crate::{
    input::{Care, ClusterCare},
    make::{Planner, draft::DraftId},
    plan::{Reason, Reset, Task, Why},
};

impl Planner<'_> {
    /// Cordons, drains or uncordons a member.
    pub(crate) fn member_errand(&mut self, host: &Address, care: Care) -> Result<(), Why> {
        self.standing(host)?;
        self.stand_still();
        let row = self.world.of(host).next_back().and_then(|row| self.member(row));
        let cluster = row.map(|member| member.cluster.clone()).ok_or(Why::NotThere)?;
        let roll = self.roll(&cluster);
        let found = roll.wanted.iter().find(|wanted| wanted.host == *host && wanted.row.is_some());
        let wanted = found.cloned().ok_or(Why::NotThere)?;
        let tasks: &[Task] = match care {
            Care::Cordon => &[Task::Cordon],
            Care::Drain => &[Task::Cordon, Task::Drain],
            Care::Uncordon => &[Task::Uncordon],
        };
        for task in tasks {
            self.member_step(&cluster, &wanted, task.clone(), Reason::Requested, Vec::new());
        }
        Ok(())
    }

    /// A snapshot of a cluster, new certificates, or the way back to a snapshot.
    pub(crate) fn cluster_errand(&mut self, cluster: &Address, care: &ClusterCare) -> Result<(), Why> {
        self.stand_still();
        let name = Name::new(&cluster.name).map_err(|_| Why::NotThere)?;
        let roll = self.roll(&name);
        if roll.spec.and_then(|spec| spec.kubernetes()).is_none() {
            return Err(Why::NotThere);
        }
        let joined = |wanted: &&Wanted| {
            let member = wanted.row.and_then(|row| self.member(row));
            wanted.role == Role::ControlPlane && member.is_some_and(|member| member.has_joined())
        };
        let control: Vec<Wanted> = roll.wanted.iter().filter(joined).cloned().collect();
        let first = control.first().cloned().ok_or(Why::NotThere)?;
        match care {
            ClusterCare::Snapshot => {
                let task = Task::Snapshot { host: first.host.clone() };
                self.cluster_step(&name, &first, task, Reason::Requested, Vec::new());
            }
            ClusterCare::Renew => {
                let mut last: Vec<DraftId> = Vec::new();
                for wanted in &control {
                    last = vec![self.member_step(&name, wanted, Task::Renew, Reason::Requested, last)];
                }
            }
            ClusterCare::Restore { host, file } => {
                let via = control.iter().find(|wanted| wanted.host == *host).cloned().ok_or(Why::NotThere)?;
                self.restore_cluster(&name, &control, &via, file);
            }
        }
        Ok(())
    }

    /// The other control planes leave, the one that has the snapshot begins with it, and they join again.
    fn restore_cluster(&mut self, name: &Name, control: &[Wanted], via: &Wanted, file: &pool_inventory::Text) {
        let others: Vec<&Wanted> = control.iter().filter(|wanted| wanted.host != via.host).collect();
        let mut left = Vec::new();
        for wanted in &others {
            let leave = Task::Leave { reset: Reset::Must, forget: false };
            left = vec![self.member_step(name, wanted, leave, Reason::Requested, left)];
        }
        let task = Task::Restore { host: via.host.clone(), file: file.clone() };
        let mut last = self.cluster_step(name, via, task, Reason::Requested, left);
        for wanted in others {
            let reason = Reason::FollowsFrom { address: Address::cluster(name) };
            last = self.member_step(name, wanted, Task::Join { role: Role::ControlPlane }, reason, vec![last]);
        }
    }
}
