//! Members that go: emptied, cleared, forgotten by the cluster; and only then their machines.

use std::collections::BTreeMap;

use pool_inventory::{
    Address, Kind, Name,
    desired::Role,
    object::{Membership, Stage},
};

use super::{Roll, Wanted};
use crate::{
    input::Brake,
    make::{HostId, Planner, draft::DraftId},
    plan::{Action, Reason, Reset, Task, Why},
};

impl Planner<'_> {
    /// Whether a member's machine goes in this plan, or its record is let go.
    pub(super) fn goes_anyway(&self, row: usize) -> bool {
        !self.ends_of(row).is_empty()
    }

    /// Steps that end a host as it is now.
    fn ends_of(&self, row: usize) -> Vec<DraftId> {
        let now = &self.world.rows[row].now;
        self.ends.get(&(now.address.clone(), now.generation)).cloned().unwrap_or_default()
    }

    /// Steps that end hosts, and those that take volumes off them, under generation 0, which no host has.
    pub(super) fn index_ends(&self) -> BTreeMap<(Address, u32), Vec<DraftId>> {
        let mut out: BTreeMap<(Address, u32), Vec<DraftId>> = BTreeMap::new();
        for (draft, id) in self.drafts.0.iter().zip(0..) {
            let key = match draft.action {
                Action::Delete | Action::Release | Action::Forget | Action::Rebuild { .. }
                    if draft.address.kind == Kind::Host =>
                {
                    (draft.address.clone(), draft.generation)
                }
                Action::Detach { .. } => match draft.address.host_of_volume() {
                    Some(host) => (host, 0),
                    None => continue,
                },
                _ => continue,
            };
            out.entry(key).or_default().push(DraftId(id));
        }
        out
    }

    /// Plans who leaves a cluster: workers at once, control planes one after the other.
    pub(super) fn leaves(&mut self, roll: &mut Roll<'_>) {
        let mut going = std::mem::take(&mut roll.going);
        // Workers first: a cluster that goes is controlled to the end.
        going.sort_by_key(|row| std::cmp::Reverse(self.member(*row).map(|member| member.role)));
        let mut used: BTreeMap<Option<Name>, usize> = BTreeMap::new();
        let mut first: Option<Address> = None;
        for row in going {
            let ends = self.ends_of(row);
            if ends.is_empty() && self.held_back(roll, row, first.as_ref(), &mut used) {
                first.get_or_insert_with(|| Address::member(&roll.name, &self.world.rows[row].now.address.name));
                continue;
            }
            let step = self.leave(roll, row, &ends);
            let detaches = self.ends.get(&(self.world.rows[row].now.address.clone(), 0)).cloned().unwrap_or_default();
            for end in ends.into_iter().chain(detaches) {
                self.drafts.needs(end, [step]);
            }
        }
    }

    /// Whether a member whose host stays must stay too: out of scope, not reached, the brake is used up, or the cluster
    /// goes and a worker of it, `first`, stays.
    fn held_back(
        &mut self,
        roll: &Roll<'_>,
        row: usize,
        first: Option<&Address>,
        used: &mut BTreeMap<Option<Name>, usize>,
    ) -> bool {
        let now = &self.world.rows[row].now;
        let (host, pool) = (now.address.clone(), now.pool.clone());
        let control = self.member(row).is_some_and(|member| member.role == Role::ControlPlane);
        let begun = self.member(row).is_some_and(|member| member.stage == Stage::Leaving);
        let why = if !self.reach.covers(&host) {
            Why::OutOfScope
        } else if self.unreachable(&host) {
            Why::Unreachable { detail: "it did not answer, and must be cleared to leave its cluster".into() }
        } else if let Some(address) = first.filter(|_| roll.spec.is_none() && control) {
            Why::NeedsDeclined { address: address.clone() }
        } else {
            let (brake, share) = (Brake::MaxDestroyed, self.input.desired.policy.max_destroyed);
            let in_pool = |pool_of: &&super::super::roster::Pool<'_>| pool_of.name == pool;
            let of = self.pools.iter().find(in_pool).map_or(1, |pool| pool.recorded());
            let allowed = share.at_least_one_of(of);
            let count = used.entry(pool).or_default();
            let free = begun || self.input.scope.destroy || self.input.scope.overrides.contains_key(&brake);
            if free || *count < allowed {
                *count += 1;
                return false;
            }
            Why::Brake { brake, share, allowed, of }
        };
        self.decline(&Address::member(&roll.name, &host.name), why);
        true
    }

    fn leave(&mut self, roll: &mut Roll<'_>, row: usize, ends: &[DraftId]) -> DraftId {
        let now = self.world.rows[row].now.clone().into_owned();
        let wanted = Wanted {
            id: self.id_of(&now.address),
            host: now.address.clone(),
            role: self.member(row).map_or(Role::Worker, |member| member.role),
            generation: now.generation,
            provider: now.provider.clone(),
            row: Some(row),
        };
        let is = |draft: &DraftId, action: fn(&Action) -> bool| action(&self.drafts.0[draft.0 as usize].action);
        let released = ends.iter().any(|end| is(end, |action| matches!(action, Action::Release)));
        let reset = match ends {
            [] => Reset::Must,
            _ if released => Reset::Try,
            _ => Reset::No,
        };
        // A cluster that nobody else controls has nobody to forget a member.
        let stays = roll.spec.is_some() && roll.begun;
        let reason = self.why_leaves(row, ends);
        let mut needs: Vec<DraftId> = Vec::new();
        if wanted.role == Role::ControlPlane || !stays {
            needs.extend(roll.last);
        }
        if stays && self.can_drain(roll, row) {
            let drain = self.member_step(&roll.name, &wanted, Task::Drain, reason.clone(), needs);
            needs = vec![drain];
        }
        let leave = Task::Leave { reset, forget: stays };
        let step = self.member_step(&roll.name, &wanted, leave, reason, needs);
        if wanted.role == Role::ControlPlane || !stays {
            roll.last = Some(step);
        }
        step
    }

    pub(super) fn id_of(&self, host: &Address) -> HostId {
        let found = self.pools.iter().enumerate().find_map(|(pool, of)| {
            // Hosts of a pool are sorted by address.
            of.hosts.binary_search_by(|member| member.address.cmp(host)).ok().map(|at| (pool, at))
        });
        found.expect("every recorded host is in the roster")
    }

    fn why_leaves(&self, row: usize, ends: &[DraftId]) -> Reason {
        match ends.first() {
            Some(end) => self.drafts.0[end.0 as usize].reason.clone(),
            None if self.member(row).is_some_and(|member| member.stage == Stage::Leaving) => Reason::Unfinished,
            None if self.input.scope.destroy => Reason::Requested,
            None => Reason::Removed,
        }
    }

    /// Whether what runs on a member can go elsewhere in order: it joined, and works.
    fn can_drain(&self, roll: &Roll<'_>, row: usize) -> bool {
        let host = &self.world.rows[row].now.address;
        let well = match roll.seen {
            Some(_) => roll.seen_of(host).is_some_and(|seen| seen.trouble.is_none()),
            None => true,
        };
        let joined = self.member(row).is_some_and(Membership::has_joined);
        joined && well && !self.unreachable(host) && !self.world.rows[row].gone()
    }
}
