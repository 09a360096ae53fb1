//! Clusters: who joins is ready, who leaves leaves before its machine, control is never lost, versions go up in order.

use std::collections::{BTreeMap, BTreeSet};

use pool_inventory::{
    Address, Name,
    desired::{Role, Version},
    object::{Membership, Recorded},
};

use super::{Notes, Rule, facts::Facts};
use crate::plan::{Action, Step, Task};

pub(super) fn check(facts: &Facts<'_>, notes: &mut Notes) {
    let steps: Vec<Doing<'_>> = facts.plan.steps.iter().filter_map(|step| Doing::of(facts, step)).collect();
    if steps.is_empty() && facts.rows.values().all(|row| row.member.is_none()) {
        return;
    }
    let begun: BTreeSet<&Name> = facts.rows.values().filter_map(|row| controlled(row)).collect();
    let inits: BTreeMap<&Name, &Doing<'_>> =
        steps.iter().filter(|doing| matches!(doing.task, Task::Init)).map(|doing| (&doing.cluster, doing)).collect();
    for doing in &steps {
        known(facts, doing, notes);
        ready(facts, doing, notes);
        left_before(facts, doing, &steps, notes);
        begins(facts, doing, begun.contains(&doing.cluster), inits.get(&doing.cluster).copied(), notes);
    }
    one_by_one(facts, &steps, notes);
    in_turn(facts, &steps, notes);
    left_first(facts, &steps, notes);
    control(facts, &steps, notes);
    versions(facts, &steps, notes);
    lanes(facts, &steps, notes);
}

/// A step about a member, with all that it is about.
struct Doing<'a> {
    step: &'a Step,
    task: &'a Task,
    cluster: Name,
    host: Address,
    role: Role,
    row: Option<&'a Recorded>,
}

impl<'a> Doing<'a> {
    fn of(facts: &Facts<'a>, step: &'a Step) -> Option<Self> {
        let Action::Member { task } = &step.action else { return None };
        let host = match task {
            Task::Configure { host } | Task::Snapshot { host } | Task::Restore { host, .. } => host.clone(),
            _ => step.address.host_of_member()?,
        };
        let cluster = Name::new(step.address.name.split('/').next()?).ok()?;
        let row = facts.rows.get(&(&host, step.generation)).copied();
        let pool = facts.input.desired.pools.iter().find(|(name, spec)| match &spec.hosts {
            pool_inventory::desired::Hosts::Named(hosts) => hosts.contains_key(&*host.name),
            _ => host.name.rsplit_once('-').is_some_and(|(pool, _)| pool == name.as_str()),
        });
        let declared = facts.input.desired.clusters.get(&cluster).and_then(|spec| spec.role_of(pool?.0));
        let recorded = row.and_then(|row| row.member.as_ref()).map(|member| member.role);
        let role = match task {
            Task::Join { role } => *role,
            Task::Init => Role::ControlPlane,
            _ => recorded.or(declared)?,
        };
        Some(Self { step, task, cluster, host, role, row })
    }

    fn wrong(&self, notes: &mut Notes, detail: impl Into<String>) {
        notes.add(Rule::Member, Some(self.step.id), Some(&self.step.address), detail);
    }

    fn member(&self) -> Option<&Membership> {
        self.row?.member.as_deref()
    }

    fn joins(&self) -> bool {
        matches!(self.task, Task::Init | Task::Join { .. })
    }
}

/// The plan knows the cluster, and depends on the host's record.
fn known(facts: &Facts<'_>, doing: &Doing<'_>, notes: &mut Notes) {
    if !facts.plan.clusters.contains_key(&doing.cluster) {
        doing.wrong(notes, "the plan does not carry its cluster");
    }
    if !facts.plan.reads.contains_key(&doing.host) {
        doing.wrong(notes, format!("the serial of {} is missing", doing.host));
    }
    if doing.row.is_none() && facts.maker(&doing.host).is_none() {
        doing.wrong(notes, format!("{} is not recorded", doing.host));
    }
    if !doing.joins() && doing.row.is_some() && doing.member().is_none_or(|member| member.cluster != doing.cluster) {
        // What joins in this plan may be set up through it.
        let joined = matches!(doing.task, Task::Configure { .. });
        if !joined {
            doing.wrong(notes, format!("{} is no member", doing.host));
        }
    }
}

/// Who joins was bootstrapped, in this plan or before, and finds somebody to join.
fn ready(facts: &Facts<'_>, doing: &Doing<'_>, notes: &mut Notes) {
    if !doing.joins() {
        return;
    }
    let own = facts.on(&doing.host, doing.step.generation);
    let boot = own.iter().find(|step| matches!(step.action, Action::Bootstrap { .. }));
    match boot {
        Some(boot) if !facts.waits(doing.step.id, boot.id) => doing.wrong(notes, "it does not wait for its bootstrap"),
        None if doing.row.is_none_or(|row| row.bootstrapped.is_none()) => doing.wrong(notes, "nothing bootstraps it"),
        _ => {}
    }
}

/// Who is a member of another cluster, or something else in this one, leaves before it joins.
fn left_before(facts: &Facts<'_>, doing: &Doing<'_>, steps: &[Doing<'_>], notes: &mut Notes) {
    let Some(member) = doing.member().filter(|_| doing.joins()) else { return };
    if member.cluster == doing.cluster && member.role == doing.role {
        return;
    }
    let leaves = |other: &&Doing<'_>| other.host == doing.host && matches!(other.task, Task::Leave { .. });
    let mut left = steps.iter().filter(leaves).filter(|leave| leave.step.generation == doing.step.generation);
    if !left.any(|leave| facts.waits(doing.step.id, leave.step.id)) {
        doing.wrong(notes, format!("it is still a member of {}", member.cluster));
    }
}

/// A cluster begins once, and nobody joins it before.
fn begins(facts: &Facts<'_>, doing: &Doing<'_>, there: bool, init: Option<&Doing<'_>>, notes: &mut Notes) {
    match doing.task {
        Task::Init if there => doing.wrong(notes, "its cluster has begun already"),
        Task::Init if init.is_some_and(|init| init.step.id != doing.step.id) => {
            doing.wrong(notes, "its cluster begins twice");
        }
        Task::Join { .. } if !there => match init {
            Some(init) if facts.waits(doing.step.id, init.step.id) => {}
            Some(_) => doing.wrong(notes, "it does not wait until its cluster has begun"),
            None => doing.wrong(notes, "its cluster never begins"),
        },
        _ => {}
    }
}

/// The cluster that a record says its host controls.
fn controlled(row: &Recorded) -> Option<&Name> {
    let member = row.member.as_ref()?;
    (member.role == Role::ControlPlane && member.has_joined()).then_some(&member.cluster)
}

fn controls(row: &Recorded, cluster: &Name) -> bool {
    controlled(row) == Some(cluster)
}

/// Control planes of a cluster change one after the other, and the record of a host is written by one step at a time.
fn one_by_one(facts: &Facts<'_>, steps: &[Doing<'_>], notes: &mut Notes) {
    let mut hosts: BTreeMap<(&Address, u32), &Doing<'_>> = BTreeMap::new();
    let mut clusters: BTreeMap<&Name, &Doing<'_>> = BTreeMap::new();
    for a in steps {
        let on_host = hosts.insert((&a.host, a.step.generation), a);
        let in_cluster = if a.task.shakes(a.role) { clusters.insert(&a.cluster, a) } else { None };
        for before in on_host.into_iter().chain(in_cluster) {
            if !facts.waits(a.step.id, before.step.id) {
                a.wrong(notes, format!("it does not wait for step {} on {}", before.step.id.0, before.step.address));
            }
        }
        for step in facts.on(&a.host, a.step.generation) {
            if !facts.waits(step.id, a.step.id) && !facts.waits(a.step.id, step.id) {
                a.wrong(notes, format!("it runs beside step {} on its host", step.id.0));
            }
        }
    }
}

/// Control planes that stay are bootstrapped one after the other.
fn in_turn(facts: &Facts<'_>, steps: &[Doing<'_>], notes: &mut Notes) {
    if !facts.input.scope.errands.is_empty() {
        return;
    }
    let left = |step: &Step| {
        let leaves = |doing: &Doing<'_>| matches!(doing.task, Task::Leave { .. }) && doing.host == step.address;
        steps.iter().any(leaves)
    };
    let mut last: BTreeMap<&Name, &Step> = BTreeMap::new();
    for step in facts.plan.steps.iter().filter(|step| matches!(step.action, Action::Bootstrap { .. }) && !left(step)) {
        let row = facts.rows.get(&(&step.address, step.generation));
        let Some(cluster) = row.and_then(|row| controlled(row)) else { continue };
        match last.insert(cluster, step) {
            Some(before) if !facts.waits(step.id, before.id) => {
                let detail = format!("it does not wait for the bootstrap of the control plane {}", before.address);
                notes.add(Rule::Member, Some(step.id), Some(&step.address), detail);
            }
            _ => {}
        }
    }
}

/// A machine goes only once it has left its cluster, unless everything goes.
fn left_first(facts: &Facts<'_>, steps: &[Doing<'_>], notes: &mut Notes) {
    let leaves: BTreeMap<(&Address, u32), &Doing<'_>> = steps
        .iter()
        .filter(|doing| matches!(doing.task, Task::Leave { .. }))
        .map(|doing| ((&doing.host, doing.step.generation), doing))
        .collect();
    for step in &facts.plan.steps {
        let ends = matches!(step.action, Action::Delete | Action::Release | Action::Forget | Action::Rebuild { .. });
        let row = facts.rows.get(&(&step.address, step.generation));
        let member = row.and_then(|row| row.member.as_ref());
        let (true, Some(_)) = (ends, member) else { continue };
        let leave = leaves.get(&(&step.address, step.generation));
        if leave.is_none_or(|leave| !facts.waits(step.id, leave.step.id)) {
            notes.add(Rule::Member, Some(step.id), Some(&step.address), "it goes and is still a member");
        }
    }
}

/// A cluster that stays keeps a control plane, and loses one of them at most.
fn control(facts: &Facts<'_>, steps: &[Doing<'_>], notes: &mut Notes) {
    // The way back to a snapshot leads over one control plane.
    let restores = steps.iter().any(|doing| matches!(doing.task, Task::Restore { .. }));
    if facts.input.scope.destroy || restores {
        return;
    }
    for cluster in facts.input.desired.clusters.keys() {
        let lose = |doing: &&Doing<'_>| {
            doing.cluster == *cluster && matches!(doing.task, Task::Leave { .. }) && doing.role == Role::ControlPlane
        };
        let going: Vec<&Doing<'_>> =
            steps.iter().filter(lose).filter(|d| d.row.is_some_and(|r| controls(r, cluster))).collect();
        let hosts: BTreeSet<&Address> = going.iter().map(|doing| &doing.host).collect();
        let all = facts.rows.values().filter(|row| controls(row, cluster)).count();
        if hosts.len() > 1 || (!hosts.is_empty() && hosts.len() == all) {
            going[0].wrong(notes, format!("{} of {all} control planes go", hosts.len()));
        }
    }
}

/// One minor release at a time, control planes first, workers only so many at a time.
fn versions(facts: &Facts<'_>, steps: &[Doing<'_>], notes: &mut Notes) {
    let upgrades = || steps.iter().filter(|doing| matches!(doing.task, Task::Upgrade { .. }));
    let control: Vec<&Doing<'_>> = upgrades().filter(|doing| doing.role == Role::ControlPlane).collect();
    for doing in upgrades() {
        let Some(spec) = facts.input.desired.clusters.get(&doing.cluster) else { continue };
        let Some(to) = spec.kubernetes().map(|kubernetes| kubernetes.version) else { continue };
        let from: Option<Version> = doing.member().and_then(|member| member.version.parse().ok());
        if from.is_some_and(|from| to < from || to.major != from.major || to.minor > from.minor + 1) {
            doing.wrong(notes, format!("it cannot go to {to}"));
        }
        let others = control.iter().filter(|other| other.cluster == doing.cluster && doing.role == Role::Worker);
        for other in others {
            if !facts.waits(doing.step.id, other.step.id) {
                doing.wrong(notes, format!("it does not wait for the control plane {}", other.host));
            }
        }
    }
}

/// Workers that are upgraded form as many rows, one after the other, as may be out of service at a time.
fn lanes(facts: &Facts<'_>, steps: &[Doing<'_>], notes: &mut Notes) {
    let mut lanes: BTreeMap<&Name, Vec<&Doing<'_>>> = BTreeMap::new();
    let changes = |doing: &&Doing<'_>| matches!(doing.task, Task::Upgrade { .. } | Task::Rollback);
    for doing in steps.iter().filter(changes).filter(|doing| doing.role == Role::Worker) {
        let allowed = facts.input.desired.clusters.get(&doing.cluster).map_or(1, |spec| spec.max_unavailable);
        let lanes = lanes.entry(&doing.cluster).or_default();
        match lanes.iter().position(|last| facts.waits(doing.step.id, last.step.id)) {
            Some(at) => lanes[at] = doing,
            None if lanes.len() < allowed as usize => lanes.push(doing),
            None => doing.wrong(notes, format!("more than {allowed} are out of service at a time")),
        }
    }
}
