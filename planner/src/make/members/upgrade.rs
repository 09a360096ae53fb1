//! Another version: a snapshot, control planes one by one, then workers, so many at a time; and the way back.
//!
//! The rules of skew are Kubernetes' own (kubernetes.io/releases/version-skew-policy): one minor release at a time, control
//! planes first, and nobody is newer than they are.

use pool_inventory::{
    Address, Text,
    desired::{Role, Version},
    object::{FieldChange, Stage},
};

use super::{Roll, Wanted};
use crate::{
    make::{Planner, draft::DraftId},
    plan::{Reason, Task, Why},
};

/// What a member is about to become.
enum Change {
    Upgrade,
    Rollback,
}

impl Planner<'_> {
    /// Plans the way to the declared version. False: it cannot be gone, and the cluster is left as it is.
    pub(super) fn upgrades(&mut self, roll: &mut Roll<'_>) -> bool {
        let Some(wish) = roll.spec.and_then(|spec| spec.kubernetes()).map(|spec| spec.version) else { return true };
        let due: Vec<(Wanted, Change)> = roll
            .wanted
            .iter()
            .filter_map(|wanted| Some((wanted.clone(), self.due_change(wanted.row?, wish)?)))
            .collect();
        if due.is_empty() {
            return true;
        }
        if let Some(why) = self.forbidden(roll, &due, wish) {
            self.decline(&Address::cluster(&roll.name), why);
            // A worker whose own upgrade failed goes back all the same: a kubelet may be older than its cluster.
            let back =
                |(wanted, change): &(Wanted, Change)| wanted.role == Role::Worker && matches!(change, Change::Rollback);
            let back: Vec<(Wanted, Change)> = due.into_iter().filter(back).collect();
            self.upgrade_workers(roll, &back, wish);
            return false;
        }
        let (control, workers): (Vec<_>, Vec<_>) =
            due.into_iter().partition(|(wanted, _)| wanted.role == Role::ControlPlane);
        let first = self.first_to_upgrade(roll, &control, wish);
        if let Some((via, _)) = control.iter().find(|(_, change)| matches!(change, Change::Upgrade)) {
            let task = Task::Snapshot { host: via.host.clone() };
            let reason = Reason::FollowsFrom { address: Address::member(&roll.name, &via.host.name) };
            let snapshot = self.cluster_step(&roll.name, via, task, reason, roll.last.into_iter().collect());
            roll.last = Some(snapshot);
        }
        for (wanted, change) in &control {
            let leads = first.as_ref() == Some(&wanted.host);
            let step = self.change_version(roll, wanted, change, leads, roll.last.into_iter().collect(), wish);
            roll.last = Some(step);
        }
        self.upgrade_workers(roll, &workers, wish);
        roll.open.extend(roll.last);
        true
    }

    /// What must be done to a member so that it runs a version; none: nothing.
    fn due_change(&self, row: usize, wish: Version) -> Option<Change> {
        let member = self.member(row).filter(|member| member.has_joined())?;
        let runs: Version = member.version.parse().ok()?;
        match &member.stage {
            Stage::Upgrading { to } if to.parse() == Ok(wish) => Some(Change::Upgrade),
            Stage::Upgrading { .. } if runs == wish => Some(Change::Rollback),
            _ if runs != wish => Some(Change::Upgrade),
            _ => None,
        }
    }

    fn forbidden(&self, roll: &Roll<'_>, due: &[(Wanted, Change)], wish: Version) -> Option<Why> {
        let mut versions: Vec<Version> = Vec::new();
        for wanted in &roll.wanted {
            let member = wanted.row.and_then(|row| self.member(row)).filter(|member| member.has_joined());
            versions.extend(member.and_then(|member| member.version.parse::<Version>().ok()));
        }
        let (low, high) = (versions.iter().min().copied()?, versions.iter().max().copied()?);
        let no = |detail: String| {
            let (from, to) = (Text::from(low.to_string()), Text::from(wish.to_string()));
            Some(Why::Version { from, to, detail: detail.into() })
        };
        if wish < high {
            let newer = due.iter().find(|(wanted, _)| self.runs(wanted) == Some(high)).map(|(w, _)| &w.host.name);
            let who = newer.map_or(String::new(), |name| format!(": {name} runs {high}"));
            return no(format!("Kubernetes does not go back{who}; only a snapshot does"));
        }
        if wish.major != low.major || wish.minor > low.minor + 1 {
            return no(format!("one minor release at a time: {}.{} comes next", low.major, low.minor + 1));
        }
        let silent = due.iter().find(|(wanted, _)| wanted.role == Role::ControlPlane && self.unreachable(&wanted.host));
        silent.and_then(|(wanted, _)| no(format!("control plane {} does not answer", wanted.host.name)))
    }

    fn runs(&self, wanted: &Wanted) -> Option<Version> {
        self.member(wanted.row?)?.version.parse().ok()
    }

    /// The control plane that the whole cluster is upgraded through; none: one has been already.
    fn first_to_upgrade(&self, roll: &Roll<'_>, control: &[(Wanted, Change)], wish: Version) -> Option<Address> {
        let all = roll.wanted.iter().filter(|wanted| wanted.role == Role::ControlPlane);
        if all.clone().any(|wanted| self.runs(wanted) == Some(wish)) {
            return None;
        }
        let begun = |wanted: &&Wanted| {
            let stage = wanted.row.and_then(|row| self.member(row)).map(|member| &member.stage);
            matches!(stage, Some(Stage::Upgrading { .. }))
        };
        let due = || control.iter().map(|(wanted, _)| wanted);
        due().find(begun).or_else(|| due().next()).map(|wanted| wanted.host.clone())
    }

    /// Workers go through in lanes: each waits for the one that is `max_unavailable` before it.
    fn upgrade_workers(&mut self, roll: &mut Roll<'_>, workers: &[(Wanted, Change)], wish: Version) {
        let lanes = roll.spec.map_or(1, |spec| spec.max_unavailable.max(1)) as usize;
        let mut done: Vec<DraftId> = Vec::new();
        for (wanted, change) in workers {
            if !self.reach.covers(&wanted.host) {
                self.decline(&Address::member(&roll.name, &wanted.host.name), Why::OutOfScope);
                continue;
            }
            if self.unreachable(&wanted.host) {
                let detail = "it did not answer; it is upgraded once it does".into();
                self.decline(&Address::member(&roll.name, &wanted.host.name), Why::Unreachable { detail });
                continue;
            }
            let mut needs: Vec<DraftId> = roll.last.into_iter().collect();
            needs.extend(done.len().checked_sub(lanes).map(|at| done[at]));
            let step = self.change_version(roll, wanted, change, false, needs, wish);
            done.push(step);
        }
    }

    fn change_version(
        &mut self,
        roll: &Roll<'_>,
        wanted: &Wanted,
        change: &Change,
        first: bool,
        mut needs: Vec<DraftId>,
        wish: Version,
    ) -> DraftId {
        let from = self.runs(wanted).map_or_else(|| "unknown".into(), |version| Text::from(version.to_string()));
        let field = FieldChange { field: "version".into(), from, to: wish.to_string().into() };
        let mut reason = Reason::SpecChanged { fields: vec![field] };
        let task = match change {
            Change::Upgrade => Task::Upgrade { first },
            Change::Rollback => {
                reason = Reason::Unfinished;
                Task::Rollback
            }
        };
        needs.extend(self.booted.get(&wanted.id));
        self.member_step(&roll.name, wanted, task, reason, needs)
    }
}
