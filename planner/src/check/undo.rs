//! The undo: it touches what the run makes and was not there before, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use pool_inventory::{Address, object::Spec};

use super::{Notes, Rule, facts::Facts};
use crate::{
    input::OnFailure,
    plan::{Action, Reason, Step, StepId},
};

pub(super) fn check(facts: &Facts<'_>, notes: &mut Notes) {
    let plan = facts.plan;
    let asked = plan.scope.on_failure == OnFailure::Undo;
    let Some(undo) = &plan.undo else {
        if asked {
            notes.add(Rule::Undo, None, None, "an undo was asked for and is not in the plan");
        }
        return;
    };
    if !asked {
        notes.add(Rule::Undo, None, None, "an undo is in the plan that was not asked for");
    }
    let recorded: BTreeSet<&Address> = facts.input.recorded.iter().map(|row| &row.address).collect();
    let mut deleted: BTreeMap<&Address, StepId> = BTreeMap::new();
    for (at, step) in undo.steps.iter().enumerate() {
        let mut wrong = |detail: &str| notes.add(Rule::Undo, Some(step.id), Some(&step.address), detail);
        if step.id.0 as usize != plan.steps.len() + at || step.reason != Reason::TakenBack {
            wrong("its id or its reason is not that of an undo");
        }
        if step.needs.iter().any(|need| *need >= step.id || (need.0 as usize) < plan.steps.len()) {
            wrong("it needs itself, a later step, or a step of the run");
        }
        if recorded.contains(&step.address) {
            wrong("it was recorded before the run");
        }
        let makes = |one: &&Step| one.address == step.address && one.generation == step.generation;
        let maker = facts.on(&step.address, step.generation).iter().copied().find(makes);
        let Some(Action::Create { record, .. }) = maker.map(|maker| &maker.action) else {
            wrong("the run does not make it");
            continue;
        };
        let pool = record.pool.as_ref().and_then(|pool| facts.input.desired.pools.get(pool));
        if record.protected || pool.is_some_and(|pool| pool.protected) {
            wrong("it is protected");
        }
        match &step.action {
            Action::Detach { to: Spec::Volume(volume) } if volume.attached.is_none() => {}
            Action::Delete => {
                if deleted.insert(&step.address, step.id).is_some() {
                    wrong("it is deleted twice");
                }
            }
            _ => wrong("an undo only detaches and deletes"),
        }
    }
    order(facts, &deleted, notes);
}

/// What is needed goes after what needs it, and stays where that stays.
fn order(facts: &Facts<'_>, deleted: &BTreeMap<&Address, StepId>, notes: &mut Notes) {
    let Some(undo) = &facts.plan.undo else { return };
    let needs: BTreeMap<StepId, &[StepId]> = undo.steps.iter().map(|step| (step.id, &step.needs[..])).collect();
    for step in &facts.plan.steps {
        let Action::Create { spec, record, .. } = &step.action else { continue };
        let network = spec.host().and_then(|host| host.network.as_ref()).map(|network| Address::network(network));
        for needed in record.needs.iter().cloned().chain(network) {
            let Some(goes) = deleted.get(&needed) else { continue };
            match deleted.get(&step.address) {
                Some(own) if needs[goes].contains(own) => {}
                Some(_) => notes.add(Rule::Undo, Some(*goes), Some(&needed), "it may go before what needs it"),
                None => notes.add(Rule::Undo, Some(*goes), Some(&needed), "something that stays needs it"),
            }
        }
    }
    let detaches: BTreeMap<&Address, StepId> = (undo.steps.iter())
        .filter(|step| matches!(step.action, Action::Detach { .. }))
        .map(|step| (&step.address, step.id))
        .collect();
    for step in &facts.plan.steps {
        let Action::Attach { to: Spec::Volume(volume) } = &step.action else { continue };
        let Some(host) = volume.attached.as_ref().map(|at| &at.host) else { continue };
        let Some(goes) = deleted.get(host) else { continue };
        if !detaches.get(&step.address).is_some_and(|id| needs[goes].contains(id)) {
            notes.add(Rule::Undo, Some(*goes), Some(host), "a volume is still attached to it");
        }
    }
}
