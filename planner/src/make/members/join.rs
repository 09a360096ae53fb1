//! Who joins, and what is kept in order inside a cluster.

use pool_inventory::{
    Address,
    desired::{ClusterSpec, Role},
    object::{FieldChange, Membership, Stage},
};

use super::{Roll, Wanted, applied, settings};
use crate::{
    make::{Planner, draft::DraftId},
    plan::{Reason, Task, Why},
};

impl Planner<'_> {
    /// Members that were emptied, and stay as they are after all, take work again.
    pub(super) fn settle_down(&mut self, roll: &mut Roll<'_>) {
        let wish = roll.spec.map(|spec| spec.version());
        for wanted in roll.wanted.clone() {
            let Some(member) = wanted.row.and_then(|row| self.member(row)) else { continue };
            let stays = Some(&member.version) == wish.as_ref();
            let reached = self.reach.covers(&wanted.host) && !self.unreachable(&wanted.host);
            if member.stage == Stage::Draining && stays && !member.cordoned && reached {
                self.member_step(&roll.name, &wanted, Task::Uncordon, Reason::Unfinished, Vec::new());
            }
        }
    }

    /// Plans who joins a cluster, and what is set in it.
    pub(super) fn joins(&mut self, roll: &mut Roll<'_>) {
        let Some(spec) = roll.spec else { return };
        if roll.begun {
            // Nobody is ready without it: it comes before members that are to become ready.
            self.configure_again(roll, spec);
        }
        let first = self.first_to_join(roll);
        for wanted in roll.wanted.clone() {
            let Some(reason) = self.why_joins(roll, &wanted, spec) else {
                self.keep_in_order(roll, &wanted, spec);
                continue;
            };
            if let Some(address) = self.still_member(&wanted) {
                self.decline(&Address::member(&roll.name, &wanted.host.name), Why::NeedsDeclined { address });
                continue;
            }
            let Some(mut needs) = self.ready_to_join(&wanted) else { continue };
            if !roll.begun && first.as_ref() != Some(&wanted.host) && roll.last.is_none() {
                // Nobody is there to be joined.
                let address = first.clone().unwrap_or_else(|| Address::cluster(&roll.name));
                let member = Address::member(&roll.name, &wanted.host.name);
                self.decline(&member, Why::NeedsDeclined { address });
                continue;
            }
            needs.extend(match wanted.role {
                Role::ControlPlane => roll.last.into_iter().collect(),
                Role::Worker => roll.open.clone(),
            });
            let begins = !roll.begun && first.as_ref() == Some(&wanted.host);
            let task = if begins { Task::Init } else { Task::Join { role: wanted.role } };
            let step = self.member_step(&roll.name, &wanted, task, reason, needs);
            if wanted.role == Role::ControlPlane {
                roll.last = Some(step);
            }
            if begins {
                roll.open.push(step);
                self.configure(roll, &wanted, spec, Some(step));
            }
        }
    }

    /// The host that a cluster begins at: the one where it was begun before, else the first one.
    fn first_to_join(&self, roll: &Roll<'_>) -> Option<Address> {
        let control = || roll.wanted.iter().filter(|wanted| wanted.role == Role::ControlPlane);
        let begun = |wanted: &&Wanted| {
            let stage = wanted.row.and_then(|row| self.member(row)).map(|member| &member.stage);
            matches!(stage, Some(Stage::Joining { first: true }))
        };
        control().find(begun).or_else(|| control().next()).map(|wanted| wanted.host.clone())
    }

    /// Why a host must join, or be put in order; none: it is a member.
    fn why_joins(&self, roll: &Roll<'_>, wanted: &Wanted, spec: &ClusterSpec) -> Option<Reason> {
        let Some(member) = wanted.row.and_then(|row| self.member(row)) else { return Some(Reason::NotPresent) };
        if !member.has_joined() {
            return Some(Reason::Unfinished);
        }
        // What changes its version now makes it ready too.
        if member.version != spec.version() || self.unreachable(&wanted.host) {
            return None;
        }
        match roll.seen {
            None => None,
            Some(_) => match roll.seen_of(&wanted.host) {
                None => Some(Reason::Vanished),
                Some(seen) => seen.trouble.clone().map(|detail| Reason::Unhealthy { detail }),
            },
        }
    }

    /// Settings and certificates of a member that stays.
    fn keep_in_order(&mut self, roll: &mut Roll<'_>, wanted: &Wanted, spec: &ClusterSpec) {
        let (Some(row), Some(pool)) = (wanted.row, self.pools[wanted.id.0].name.clone()) else { return };
        let Some(member) = self.member(row).cloned() else { return };
        // What it was cut off in is ended first, in this plan.
        if !self.reach.covers(&wanted.host) || self.unreachable(&wanted.host) {
            return;
        }
        if member.role != wanted.role {
            let field = FieldChange {
                field: "role".into(),
                from: member.role.as_str().into(),
                to: wanted.role.as_str().into(),
            };
            let (task, reason) = (Task::Turn { role: wanted.role }, Reason::SpecChanged { fields: vec![field] });
            let step = self.member_step(&roll.name, wanted, task, reason, roll.last.into_iter().collect());
            roll.last = Some(step);
        }
        let digest = settings(spec, &pool);
        if member.settings.as_ref() != Some(&digest) {
            let short = |text: &str| pool_inventory::Text::from(&text[..text.len().min(8)]);
            let from = member.settings.as_deref().map_or_else(|| "none".into(), short);
            let field = FieldChange { field: "labels and taints".into(), from, to: short(&digest) };
            let reason = Reason::SpecChanged { fields: vec![field] };
            self.member_step(&roll.name, wanted, Task::Settle, reason, roll.last.into_iter().collect());
        }
        if let Some(at) = self.expires(roll, wanted, spec, &member) {
            let needs = roll.last.into_iter().collect();
            let step = self.member_step(&roll.name, wanted, Task::Renew, Reason::Expires { at }, needs);
            roll.last = Some(step);
        }
    }

    /// When the certificates of a control plane end, where that is soon.
    fn expires(&self, roll: &Roll<'_>, wanted: &Wanted, spec: &ClusterSpec, member: &Membership) -> Option<i64> {
        let before = spec.kubernetes()?.renew_before;
        let at = roll.seen_of(&wanted.host)?.expires?;
        let soon = i64::try_from(before.0 / 1000).unwrap_or(i64::MAX);
        (member.version == spec.version() && at - self.input.now < soon).then_some(at)
    }

    fn configure(&mut self, roll: &Roll<'_>, via: &Wanted, spec: &ClusterSpec, after: Option<DraftId>) {
        if applied(spec).is_none() {
            return;
        }
        let task = Task::Configure { host: via.host.clone() };
        let reason = match after {
            Some(_) => Reason::FollowsFrom { address: Address::member(&roll.name, &via.host.name) },
            None => Reason::SpecChanged { fields: vec![pod_network_changed()] },
        };
        self.cluster_step(&roll.name, via, task, reason, after.into_iter().collect());
    }

    /// What is applied to a cluster as a whole, where none of its control planes records that it was.
    fn configure_again(&mut self, roll: &Roll<'_>, spec: &ClusterSpec) {
        let Some(digest) = applied(spec) else { return };
        let joined = |wanted: &&Wanted| {
            let member = wanted.row.and_then(|row| self.member(row));
            wanted.role == Role::ControlPlane && member.is_some_and(Membership::has_joined)
        };
        let control: Vec<Wanted> = roll.wanted.iter().filter(joined).cloned().collect();
        let is = |wanted: &Wanted| {
            let member = wanted.row.and_then(|row| self.member(row));
            member.is_some_and(|member| member.applied.as_ref() == Some(&digest))
        };
        let reached = |wanted: &&Wanted| !self.unreachable(&wanted.host) && self.reach.covers(&wanted.host);
        if control.iter().any(is) {
            return;
        }
        if let Some(via) = control.iter().find(reached).cloned() {
            self.configure(roll, &via, spec, None);
        }
    }
}

fn pod_network_changed() -> FieldChange {
    FieldChange { field: "pod_network".into(), from: "applied before".into(), to: "declared".into() }
}
