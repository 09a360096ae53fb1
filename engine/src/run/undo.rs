//! Taking back what this run made, where that was planned. Like every deletion, but that what is in doubt is looked for
//! first: a creation whose answer was lost may have happened.

use std::{collections::HashSet, time::Instant};

use pool_inventory::{
    Address,
    object::{Recorded, Spec},
};
use pool_planner::{Action, Step};

use super::{
    Shared,
    recorder::Effect,
    settle::{Doubt, look_up},
    step::{Done, account, delete, started},
};

/// Deletes what a step of this run made.
pub async fn take_back(shared: &Shared, step: &Step, mut row: Recorded) -> Done {
    if row.id.is_none() {
        let found = look_up(account(shared, step)?, &row.token, Doubt::Since(Instant::now())).await?;
        let Some(seen) = found else {
            started(shared, step, 0, None).await?;
            return Ok((
                Some("it was not made after all".into()),
                Effect::Remove(step.address.clone(), step.generation),
            ));
        };
        row.id = Some(seen.id);
        started(shared, step, 0, Some(row.clone())).await?;
    }
    delete(shared, step, row).await
}

/// Where the run attached a volume, though its record may not say so: the answer may have been lost.
pub fn attached_to(shared: &Shared, volume: &Address) -> Option<Address> {
    shared.run_steps().iter().rev().filter(|step| step.address == *volume).find_map(|step| match &step.action {
        Action::Attach { to: Spec::Volume(to) } => Some(to.attached.as_ref()?.host.clone()),
        _ => None,
    })
}

/// Objects that this run changed, by the steps that `touched` them, and that are not as they were before it.
pub fn remains(shared: &Shared, touched: &[bool]) -> usize {
    let taken: HashSet<(&Address, u32)> = shared
        .undo_steps()
        .iter()
        .filter(|step| matches!(step.action, Action::Delete))
        .map(|step| (&step.address, step.generation))
        .collect();
    let is_back = |step: &Step| {
        taken.contains(&(&step.address, step.generation))
            && shared.records.get(&step.address, step.generation).is_none()
    };
    let changed = shared.run_steps().iter().zip(touched).filter(|(step, touched)| **touched && !is_back(step));
    changed
        .filter(|(step, _)| !matches!(step.action, Action::Gather))
        .map(|(step, _)| &step.address)
        .collect::<HashSet<_>>()
        .len()
}
