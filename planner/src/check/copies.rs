//! Snapshots, backups, volumes that are made from others, and errands.

use std::collections::BTreeSet;

use pool_inventory::{
    Address, Kind,
    market::Feature,
    object::{CopySpec, Spec, Status},
};

use super::{
    Notes, Rule,
    facts::{Facts, removes},
};
use crate::{
    input::Errand,
    plan::{Action, NewRecord, Step},
};

pub(super) fn check(facts: &Facts<'_>, notes: &mut Notes) {
    let asked = Asked::new(facts);
    for step in &facts.plan.steps {
        asked.judge(facts, step, notes);
        match &step.action {
            Action::Create { spec: Spec::Snapshot(copy) | Spec::Backup(copy), record, .. } => {
                taken(facts, step, copy, record, notes);
            }
            Action::Create { spec: Spec::Volume(volume), .. } => {
                if let Some(from) = &volume.from {
                    source(facts, step, from, notes);
                }
            }
            Action::Restore { from } => restored(facts, step, from, notes),
            _ => {}
        }
    }
}

/// Whether an errand asks for the deletion of this copy.
pub(super) fn asked_to_delete(facts: &Facts<'_>, address: &Address) -> bool {
    facts.plan.scope.errands.iter().any(|errand| matches!(errand, Errand::Delete { copy } if copy == address))
}

/// What errands ask for.
struct Asked<'a> {
    errands: &'a [Errand],
    /// What errands name, and the volumes that these are copies of: the only objects that may be touched.
    touched: BTreeSet<Address>,
}

impl<'a> Asked<'a> {
    fn new(facts: &Facts<'a>) -> Self {
        let errands = facts.plan.scope.errands.as_slice();
        let named = errands.iter().map(|errand| errand.address().clone());
        let volumes = errands.iter().filter_map(|errand| errand.address().volume_of_copy());
        Self { errands, touched: named.chain(volumes).collect() }
    }

    /// Errands and nothing else; without errands nothing that only errands ask for.
    fn judge(&self, facts: &Facts<'_>, step: &Step, notes: &mut Notes) {
        let asks = |wanted: &dyn Fn(&Errand) -> bool| self.errands.iter().any(wanted);
        let address = &step.address;
        let copy = matches!(address.kind, Kind::Snapshot | Kind::Backup);
        let right = match &step.action {
            Action::Create { .. } if copy => asks(&|e| matches!(e, Errand::Copy { to } if to == address)),
            Action::Restore { from } => asks(&|e| matches!(e, Errand::Restore { from: f } if f == from)),
            Action::PowerOff => asks(&|e| matches!(e, Errand::Power { host, on: false } if host == address)),
            Action::Restart => asks(&|e| matches!(e, Errand::Restart { host } if host == address)),
            Action::Delete if copy => {
                facts.plan.scope.destroy || asked_to_delete(facts, address) || leftover(facts, step)
            }
            _ if self.errands.is_empty() => true,
            Action::PowerOn => {
                asks(&|e| matches!(e, Errand::Power { host, on: true } | Errand::Restart { host } if host == address))
            }
            Action::Attach { .. } | Action::Detach { .. } => {
                asks(&|e| matches!(e, Errand::Restore { from } if from.volume_of_copy().as_ref() == Some(address)))
            }
            // What mounts a volume again that was restored.
            Action::Bootstrap { .. } => step.needs.iter().any(|need| {
                let attached = &facts.plan.steps[need.0 as usize];
                matches!(attached.action, Action::Attach { .. }) && self.touched.contains(&attached.address)
            }),
            Action::Record { .. } | Action::Forget => self.touched.contains(address),
            Action::Member { .. } => asks(&|e| match e {
                Errand::Member { host, .. } => address.host_of_member().as_ref() == Some(host),
                Errand::Cluster { cluster, .. } => address.name.split('/').next() == Some(&*cluster.name),
                _ => false,
            }),
            _ => false,
        };
        if !right {
            let detail = format!("nobody asked to {} it", step.action.verb());
            notes.add(Rule::Reach, Some(step.id), Some(address), detail);
        }
        let needed = match step.action {
            Action::PowerOff | Action::Restart => Feature::Power,
            Action::PowerOn if !self.errands.is_empty() => Feature::Power,
            _ => return,
        };
        able(facts, step, needed, notes);
    }
}

/// A generation before the newest, left by something that was cut off.
fn leftover(facts: &Facts<'_>, step: &Step) -> bool {
    facts.newest(&step.address).is_some_and(|(newest, _)| newest > step.generation)
}

fn able(facts: &Facts<'_>, step: &Step, feature: Feature, notes: &mut Notes) {
    if !facts.can(&step.provider, feature) {
        let detail = format!("its provider cannot do {}", feature.describe());
        notes.add(Rule::Place, Some(step.id), Some(&step.address), detail);
    }
}

fn feature_of(kind: Kind) -> Feature {
    if kind == Kind::Backup { Feature::Backups } else { Feature::Snapshots }
}

/// A copy is of a volume that stands and is not broken, at its provider, and belongs to whoever that belongs to.
fn taken(facts: &Facts<'_>, step: &Step, copy: &CopySpec, record: &NewRecord, notes: &mut Notes) {
    able(facts, step, feature_of(step.address.kind), notes);
    let mut wrong = |rule, detail: &str| notes.add(rule, Some(step.id), Some(&step.address), detail);
    if step.address.volume_of_copy().as_ref() != Some(&copy.of) {
        return wrong(Rule::Envelope, "it is not of the volume that its name says");
    }
    let Some((generation, row)) = facts.newest(&copy.of).filter(|(_, row)| row.id.is_some() && !facts.gone(row)) else {
        return wrong(Rule::Once, "its volume is not there");
    };
    if facts.observed(row).is_some_and(|seen| matches!(seen.status, Status::Failed(_))) {
        wrong(Rule::Once, "its volume is broken");
    }
    if facts.remover(&copy.of, generation).is_some() {
        wrong(Rule::Order, "its volume goes in the same plan");
    }
    let entered = facts.entered.get(&(&copy.of, generation));
    if entered.is_some_and(|entered| !facts.waits(step.id, *entered)) {
        wrong(Rule::Order, "it does not wait until its volume is recorded");
    }
    let same = record.tenant == row.tenant && record.pool == row.pool && step.provider == row.provider;
    let needs: &[Address] = if step.address.kind == Kind::Snapshot { std::slice::from_ref(&copy.of) } else { &[] };
    let spec =
        row.spec.volume().is_some_and(|v| v.backend == copy.backend && v.tier == copy.tier && v.size <= copy.size);
    if !same || record.needs != needs || !spec {
        wrong(Rule::Place, "its record is not what that of its volume says");
    }
}

/// What a volume is made from is there, at the same provider, and no larger than the volume.
fn source(facts: &Facts<'_>, step: &Step, from: &Address, notes: &mut Notes) {
    able(facts, step, feature_of(from.kind), notes);
    let mut wrong = |rule, detail: &str| notes.add(rule, Some(step.id), Some(&step.address), detail);
    let size = |spec: &Spec| spec.volume().map(|v| v.size).or_else(|| spec.copy().map(|copy| copy.size));
    let made = facts.maker(from).and_then(|maker| Some((maker, super::envelope::spec(&maker.action)?)));
    let (provider, least) = match (made, facts.newest(from)) {
        (Some((maker, spec)), _) => {
            if !facts.waits(step.id, maker.id) {
                wrong(Rule::Order, "it does not wait for what it is made from");
            }
            (&maker.provider, size(spec))
        }
        (None, Some((generation, row))) if row.id.is_some() && !facts.gone(row) => {
            let remover = facts.remover(from, generation);
            if remover.is_some_and(|remover| !facts.waits(remover.id, step.id)) {
                wrong(Rule::Order, "what it is made from goes before it is made");
            }
            (&row.provider, size(&row.spec))
        }
        _ => return wrong(Rule::Once, "what it is made from is not there"),
    };
    let own = super::envelope::spec(&step.action).and_then(size);
    if *provider != step.provider || least > own {
        wrong(Rule::Place, "what it is made from is elsewhere, or larger");
    }
}

/// A volume is restored while it is detached, from a copy that is there and stays.
fn restored(facts: &Facts<'_>, step: &Step, from: &Address, notes: &mut Notes) {
    able(facts, step, feature_of(from.kind), notes);
    let mut wrong = |rule, detail: &str| notes.add(rule, Some(step.id), Some(&step.address), detail);
    match facts.newest(from) {
        Some((generation, row)) if row.id.is_some() && !facts.gone(row) && row.provider == step.provider => {
            if facts.on(from, generation).iter().any(|other| removes(&other.action)) {
                wrong(Rule::Order, "what it is restored from goes in the same plan");
            }
        }
        _ => return wrong(Rule::Once, "what it is restored from is not there"),
    }
    let Some(row) = facts.rows.get(&(&step.address, step.generation)) else { return };
    let now = facts.observed(row).map_or(&row.spec, |seen| &seen.spec);
    let attached = now.volume().is_some_and(|volume| volume.attached.is_some());
    let own = facts.on(&step.address, step.generation);
    let detached = own.iter().any(|o| matches!(o.action, Action::Detach { .. }) && facts.waits(step.id, o.id));
    if attached && !detached {
        wrong(Rule::Order, "it is attached, and not detached before");
    }
    if own.iter().any(|o| matches!(o.action, Action::Attach { .. }) && !facts.waits(o.id, step.id)) {
        wrong(Rule::Order, "it is attached before it is restored");
    }
}
