//! Version, lineage, ids, and whether everything that steps refer to is in the plan.

use std::collections::{BTreeMap, BTreeSet};

use pool_inventory::{Kind, Text, object::Spec};

use super::{Notes, Rule};
use crate::{
    input::PlanInput,
    plan::{Action, GroupId, MAX_ALTERNATIVES, MAX_CANDIDATES, PLAN_VERSION, Plan, Step, Task, Why},
};

pub(super) fn check(plan: &Plan, input: &PlanInput, notes: &mut Notes) {
    let mut wrong = |what: &str| notes.add(Rule::Envelope, None, None, format!("{what} is not that of the input"));
    if plan.version != PLAN_VERSION {
        wrong("the version");
    }
    if plan.lineage != input.lineage {
        wrong("the lineage");
    }
    if plan.inventory != input.desired.inventory || plan.environment != input.desired.environment {
        wrong("the inventory or environment");
    }
    if plan.scope != input.scope {
        wrong("the scope");
    }
    let rows: BTreeMap<_, _> = input.recorded.iter().map(|row| ((&row.address, row.generation), row)).collect();
    let groups: Vec<BTreeSet<&Text>> = plan.groups.iter().map(|group| group.hosts.iter().collect()).collect();
    let holds = |group: GroupId, name: &Text| groups.get(group.0 as usize).is_some_and(|hosts| hosts.contains(name));
    for (at, step) in plan.steps.iter().enumerate() {
        ids(at, step, notes);
        refers(plan, input, step, notes);
        if let Action::Create { group: Some(group), .. } = &step.action
            && !holds(*group, &step.address.name)
        {
            notes.add(Rule::Envelope, Some(step.id), Some(&step.address), "its group does not hold it");
        }
        kinds(step, notes);
        let recorded = rows.get(&(&step.address, step.generation)).and_then(|row| row.spec.volume());
        let backend = spec(&step.action).and_then(Spec::volume).or(recorded).map(|volume| &volume.backend);
        if let Some(backend) = backend
            && let Some(declared) = input.desired.backends.get(&**backend)
            && plan.backends.get(&**backend) != Some(declared)
        {
            notes.add(Rule::Envelope, Some(step.id), Some(&step.address), "its backend is not in the plan");
        }
    }
    for group in &plan.groups {
        if group.alternatives.len() > MAX_ALTERNATIVES || group.candidates.len() > MAX_CANDIDATES.max(group.hosts.len())
        {
            notes.add(Rule::Envelope, None, None, format!("a group of {} lists too much", group.pool));
        }
    }
    for declined in &plan.declined {
        if let Why::NoPlace { group } = &declined.why
            && !holds(*group, &declined.address.name)
        {
            notes.add(Rule::Envelope, None, Some(&declined.address), "its group is not in the plan");
        }
    }
}

fn ids(at: usize, step: &Step, notes: &mut Notes) {
    if step.id.0 as usize != at {
        notes.add(Rule::Ids, Some(step.id), Some(&step.address), format!("it stands at position {at}"));
    }
    if step.needs.iter().any(|need| need.0 as usize >= at) {
        notes.add(Rule::Ids, Some(step.id), Some(&step.address), "it needs itself or a later step");
    }
    if step.needs.windows(2).any(|pair| pair[0] >= pair[1]) {
        notes.add(Rule::Ids, Some(step.id), Some(&step.address), "its needs are not sorted, or name a step twice");
    }
}

fn refers(plan: &Plan, input: &PlanInput, step: &Step, notes: &mut Notes) {
    let declared = input.desired.providers.get(&step.provider);
    if declared.is_none() || plan.providers.get(&step.provider) != declared {
        let detail = format!("provider {} is not in the plan as it is declared", step.provider);
        notes.add(Rule::Envelope, Some(step.id), Some(&step.address), detail);
    }
}

/// The spec that a step works towards.
pub(super) fn spec(action: &Action) -> Option<&Spec> {
    match action {
        Action::Create { spec, .. } | Action::Adopt { spec, .. } => Some(spec),
        Action::Update { to, .. } | Action::Rebuild { to, .. } | Action::Attach { to } | Action::Detach { to } => {
            Some(to)
        }
        Action::Record { to } => Some(&to.spec),
        _ => None,
    }
}

/// Each action on the kinds of objects that it makes sense for.
fn kinds(step: &Step, notes: &mut Notes) {
    let kind = step.address.kind;
    let fits = match &step.action {
        Action::Adopt { .. } => matches!(kind, Kind::Host | Kind::Volume | Kind::Network),
        Action::Rebuild { .. } | Action::Bootstrap { .. } => kind == Kind::Host,
        Action::PowerOn | Action::PowerOff | Action::Restart => kind == Kind::Host,
        Action::Attach { .. } | Action::Detach { .. } => kind == Kind::Volume,
        Action::Restore { from } => kind == Kind::Volume && from.volume_of_copy().as_ref() == Some(&step.address),
        Action::Update { .. } => matches!(kind, Kind::Host | Kind::Volume | Kind::Network),
        Action::Gather => kind == Kind::Pool,
        Action::Create { group, .. } => group.is_some() == (kind == Kind::Host),
        Action::Delete | Action::Release | Action::Forget | Action::Record { .. } => {
            !matches!(kind, Kind::Pool | Kind::Tenant | Kind::Cluster | Kind::Member)
        }
        Action::Member { task: Task::Configure { .. } | Task::Snapshot { .. } | Task::Restore { .. } } => {
            kind == Kind::Cluster
        }
        Action::Member { .. } => kind == Kind::Member,
    };
    let spec = spec(&step.action).is_none_or(|spec| spec.kind() == kind);
    if !fits || !spec {
        let detail = format!("{} is nothing that can be done to it", step.action.verb());
        notes.add(Rule::Envelope, Some(step.id), Some(&step.address), detail);
    }
}
