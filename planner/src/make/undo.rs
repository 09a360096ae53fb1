//! What is taken back when a step of the run fails, where that was asked for: what the run made and was not there
//! before, in reverse order. Everything else that the run touches stays, and is named.

use std::collections::{BTreeMap, BTreeSet};

use pool_inventory::{
    Address,
    object::{Recorded, Spec},
};

use crate::{
    input::PlanInput,
    plan::{Action, NewRecord, Reason, Stay, Stays, Step, StepId, Undo},
};

/// What a run of `steps` would take back. O(steps × log steps).
pub(crate) fn undo(steps: &[Step], input: &PlanInput) -> Undo {
    let before: BTreeSet<&Address> = input.recorded.iter().map(|row: &Recorded| &row.address).collect();
    let made = Made::of(steps);
    let mut stays: BTreeMap<&Address, Stay> = BTreeMap::new();
    for step in steps {
        if let Some(stay) = stay(step, &before, input) {
            // What is worst for whoever counts on the undo comes first in the order of `Stay`.
            stays.entry(&step.address).and_modify(|known| *known = stay.clone().min(known.clone())).or_insert(stay);
        }
    }
    keep_what_they_need(steps, &made, &before, &mut stays);
    let steps = take_back(steps, &made, &stays);
    let stays = stays.into_iter().map(|(address, stay)| Stays { address: address.clone(), stay }).collect();
    Undo { steps, stays }
}

/// What the steps make.
struct Made<'a> {
    /// By address: the step, and what is made.
    creates: BTreeMap<&'a Address, (usize, &'a Spec, &'a NewRecord)>,
    /// By volume: the host that it is attached to, and its spec then.
    attached: BTreeMap<&'a Address, (&'a Address, &'a Spec)>,
}

impl<'a> Made<'a> {
    fn of(steps: &'a [Step]) -> Self {
        let (mut creates, mut attached) = (BTreeMap::new(), BTreeMap::new());
        for (at, step) in steps.iter().enumerate() {
            match &step.action {
                Action::Create { spec, record, .. } => {
                    creates.insert(&step.address, (at, spec, &**record));
                }
                Action::Attach { to } => {
                    let host = to.volume().and_then(|volume| volume.attached.as_ref());
                    attached.extend(host.map(|at| (&step.address, (&at.host, to))));
                }
                _ => {}
            }
        }
        Self { creates, attached }
    }

    /// What must be there for as long as an object that is made is.
    fn relies_on(&self, address: &Address) -> impl Iterator<Item = Address> {
        let (spec, record) = match self.creates.get(address) {
            Some((_, spec, record)) => (Some(*spec), Some(*record)),
            None => (None, None),
        };
        let source = match spec {
            Some(Spec::Volume(volume)) => volume.from.clone(),
            Some(Spec::Snapshot(copy) | Spec::Backup(copy)) => Some(copy.of.clone()),
            Some(Spec::Host(host)) => host.network.as_ref().map(|network| Address::network(network)),
            Some(Spec::Network(_)) | None => None,
        };
        record.map(|record| record.needs.clone()).unwrap_or_default().into_iter().chain(source)
    }
}

/// Why what a step does stays; none: it is taken back, or goes with what is.
fn stay(step: &Step, before: &BTreeSet<&Address>, input: &PlanInput) -> Option<Stay> {
    let there = before.contains(&step.address);
    match &step.action {
        Action::Create { record, .. } => {
            let pool = record.pool.as_ref().and_then(|pool| input.desired.pools.get(pool));
            match () {
                () if record.protected || pool.is_some_and(|pool| pool.protected) => Some(Stay::Protected),
                () if there => Some(Stay::Replaced),
                () => None,
            }
        }
        Action::Adopt { .. } | Action::Record { .. } | Action::Forget | Action::Release => Some(Stay::Recorded),
        Action::Delete => Some(Stay::Deleted),
        Action::Gather => None,
        // Whoever is a member of a cluster is let go by a plan that looks at the cluster.
        Action::Member { .. } => Some(Stay::Changed),
        Action::Update { .. }
        | Action::Rebuild { .. }
        | Action::Attach { .. }
        | Action::Detach { .. }
        | Action::PowerOn
        | Action::PowerOff
        | Action::Restart
        | Action::Restore { .. }
        | Action::Bootstrap { .. } => there.then_some(Stay::Changed),
    }
}

/// What something that stays needs stays as well.
fn keep_what_they_need<'a>(
    steps: &'a [Step],
    made: &Made<'a>,
    before: &BTreeSet<&Address>,
    stays: &mut BTreeMap<&'a Address, Stay>,
) {
    // Whatever an object needs is made before it, so one pass backwards over the steps reaches everything.
    for step in steps.iter().rev() {
        let volume = made.attached.get(&step.address);
        let kept = stays.contains_key(&step.address) || before.contains(&step.address);
        if !kept {
            continue;
        }
        let host = volume.map(|(host, _)| (*host).clone());
        let mentioned = match &step.action {
            Action::Update { to: Spec::Volume(to), .. } => to.attached.as_ref().map(|at| at.host.clone()),
            _ => step.address.host_of_member(),
        };
        for needed in made.relies_on(&step.address).chain(host).chain(mentioned) {
            if let Some((address, _)) = made.creates.get_key_value(&needed) {
                stays.entry(address).or_insert_with(|| Stay::NeededBy { address: step.address.clone() });
            }
        }
    }
}

/// The steps that take back what does not stay, with ids that go on after those of the run.
fn take_back(steps: &[Step], made: &Made<'_>, stays: &BTreeMap<&Address, Stay>) -> Vec<Step> {
    let mut out: Vec<Step> = Vec::new();
    let next = |out: &Vec<Step>| StepId(u32::try_from(steps.len() + out.len()).unwrap_or(u32::MAX));
    // What must be gone before an object may go.
    let mut first: BTreeMap<Address, Vec<StepId>> = BTreeMap::new();
    for step in steps.iter().rev() {
        let is_create = matches!(step.action, Action::Create { .. });
        if !is_create || stays.contains_key(&step.address) {
            continue;
        }
        if let Some((host, Spec::Volume(volume))) = made.attached.get(&step.address) {
            let id = next(&out);
            let to = Spec::Volume(pool_inventory::object::VolumeSpec { attached: None, ..volume.clone() });
            out.push(back(step, id, Action::Detach { to }, Vec::new()));
            first.entry((*host).clone()).or_default().push(id);
            first.entry(step.address.clone()).or_default().push(id);
        }
    }
    for step in steps.iter().rev() {
        let is_create = matches!(step.action, Action::Create { .. });
        if !is_create || stays.contains_key(&step.address) {
            continue;
        }
        let id = next(&out);
        let mut needs = first.remove(&step.address).unwrap_or_default();
        needs.sort();
        needs.dedup();
        out.push(back(step, id, Action::Delete, needs));
        for needed in made.relies_on(&step.address) {
            first.entry(needed).or_default().push(id);
        }
    }
    out
}

fn back(step: &Step, id: StepId, action: Action, needs: Vec<StepId>) -> Step {
    Step {
        id,
        address: step.address.clone(),
        generation: step.generation,
        provider: step.provider.clone(),
        action,
        reason: Reason::TakenBack,
        needs,
    }
}
