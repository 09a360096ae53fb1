//! What is recorded, what was seen of it, and what each step does to it.

use std::collections::BTreeMap;

use pool_inventory::{
    Address, Kind, Name, Text,
    market::Feature,
    object::{Observed, Recorded, Status},
};

use super::{Notes, Rule};
use crate::{
    input::PlanInput,
    plan::{Action, Plan, Reason, Step, StepId},
};

/// Address and generation.
pub(super) type Key<'a> = (&'a Address, u32);

pub(super) struct Facts<'a> {
    pub plan: &'a Plan,
    pub input: &'a PlanInput,
    /// Records under the addresses that the plan gives them, and objects that it takes into the records.
    pub rows: BTreeMap<Key<'a>, &'a Recorded>,
    /// The step that renames a record or takes an object into the records.
    pub entered: BTreeMap<Key<'a>, StepId>,
    /// Steps by object, in order.
    pub steps: BTreeMap<Key<'a>, Vec<&'a Step>>,
    seen: BTreeMap<(&'a Name, &'a Text), &'a Observed>,
}

impl<'a> Facts<'a> {
    pub(super) fn new(plan: &'a Plan, input: &'a PlanInput, notes: &mut Notes) -> Self {
        // Collected, not inserted one by one: what is sorted already is then compared once with its neighbour.
        let rows = input.recorded.iter().map(|row| ((&row.address, row.generation), row)).collect();
        let seen = input.seen.providers.iter();
        let seen = seen.flat_map(|(provider, objects)| objects.iter().map(move |o| ((provider, &o.id), o))).collect();
        let mut facts = Self { plan, input, rows, entered: BTreeMap::new(), steps: BTreeMap::new(), seen };
        facts.enter(notes);
        for step in &plan.steps {
            facts.steps.entry((&step.address, step.generation)).or_default().push(step);
        }
        facts
    }

    /// Renames, and objects that the state lost, change what the other steps act on.
    fn enter(&mut self, notes: &mut Notes) {
        let mut renamed: Vec<(Key<'a>, &'a Recorded)> = Vec::new();
        for step in &self.plan.steps {
            let Action::Record { to } = &step.action else { continue };
            let key = (&step.address, step.generation);
            if to.address != step.address || to.generation != step.generation || to.provider != step.provider {
                notes.add(Rule::Once, Some(step.id), Some(&step.address), "it records another object");
                continue;
            }
            if let Reason::Moved { from } = &step.reason {
                match self.rows.remove(&(from, step.generation)) {
                    Some(row) if row.id == to.id && row.token == to.token && row.provider == to.provider => {
                        renamed.push((key, &**to));
                    }
                    _ => notes.add(Rule::Once, Some(step.id), Some(from), "it is renamed and is not recorded"),
                }
                self.entered.insert(key, step.id);
            } else if !self.rows.contains_key(&key) {
                let stray = self.find(&to.provider, to.id.as_ref());
                let ours = |o: &Observed| {
                    o.owner.as_ref().is_some_and(|w| w.lineage == self.input.lineage && w.address == to.address)
                };
                if !stray.is_some_and(ours) {
                    notes.add(
                        Rule::Reach,
                        Some(step.id),
                        Some(&step.address),
                        "what it records is not ours, or not there",
                    );
                }
                renamed.push((key, &**to));
                self.entered.insert(key, step.id);
            }
        }
        for (key, row) in renamed {
            if self.rows.insert(key, row).is_some() {
                notes.add(Rule::Names, self.entered.get(&key).copied(), Some(key.0), "it is taken already");
            }
        }
    }

    fn find(&self, provider: &Name, id: Option<&Text>) -> Option<&'a Observed> {
        self.seen.get(&(provider, id?)).copied()
    }

    /// What was seen of a recorded object.
    pub(super) fn observed(&self, row: &Recorded) -> Option<&'a Observed> {
        self.find(&row.provider, row.id.as_ref())
    }

    /// Whether a provider only adopts.
    pub(super) fn adopts(&self, provider: &Name) -> bool {
        self.input.capabilities.get(provider).is_some_and(|capabilities| !capabilities.creates)
    }

    /// Whether a recorded object is known to be gone.
    pub(super) fn gone(&self, row: &Recorded) -> bool {
        row.id.is_some()
            && self.input.seen.providers.contains_key(&row.provider)
            && !self.adopts(&row.provider)
            && !self.elsewhere(row)
            && self.lists(row)
            && self.observed(row).is_none_or(|seen| seen.status == Status::Deleting)
    }

    /// Whether a recorded object of ours is being deleted, so that its end is waited for.
    pub(super) fn leaving(&self, row: &Recorded) -> bool {
        !row.adopted && self.gone(row) && self.observed(row).is_some()
    }

    /// Whether it is a network of others, which its provider need not list among ours.
    fn elsewhere(&self, row: &Recorded) -> bool {
        let others = self.input.markets.get(&row.provider).map(|market| &market.networks);
        row.adopted
            && row.address.kind == Kind::Network
            && others.is_some_and(|all| all.is_empty() || all.iter().any(|other| row.id.as_ref() == Some(&other.id)))
    }

    /// Whether what was seen of a provider would hold an object of this kind.
    fn lists(&self, row: &Recorded) -> bool {
        let needed = match row.address.kind {
            Kind::Snapshot => Feature::Snapshots,
            Kind::Backup => Feature::Backups,
            _ => return true,
        };
        self.can(&row.provider, needed)
    }

    /// Whether a provider can do something.
    pub(super) fn can(&self, provider: &Name, feature: Feature) -> bool {
        self.input.capabilities.get(provider).is_some_and(|capabilities| capabilities.features.contains(&feature))
    }

    /// The generations of an address.
    pub(super) fn generations(&self, address: &'a Address) -> impl Iterator<Item = (u32, &Recorded)> {
        self.rows.range((address, 0)..=(address, u32::MAX)).map(|((_, generation), row)| (*generation, *row))
    }

    /// The newest record of an address.
    pub(super) fn newest(&self, address: &'a Address) -> Option<(u32, &Recorded)> {
        self.rows
            .range((address, 0)..=(address, u32::MAX))
            .next_back()
            .map(|((_, generation), row)| (*generation, *row))
    }

    /// Steps on one generation.
    pub(super) fn on(&self, address: &'a Address, generation: u32) -> &[&'a Step] {
        self.steps.get(&(address, generation)).map_or(&[], Vec::as_slice)
    }

    /// All steps on an address.
    pub(super) fn at(&self, address: &'a Address) -> impl Iterator<Item = &'a Step> {
        self.steps.range((address, 0)..=(address, u32::MAX)).flat_map(|(_, steps)| steps.iter().copied())
    }

    /// The step that makes or adopts an object of this address.
    pub(super) fn maker(&self, address: &'a Address) -> Option<&'a Step> {
        self.at(address).find(|step| makes(&step.action))
    }

    /// The step after which a recorded generation is gone.
    pub(super) fn remover(&self, address: &'a Address, generation: u32) -> Option<&'a Step> {
        self.on(address, generation).iter().copied().find(|step| removes(&step.action))
    }

    /// Whether `later` waits, directly or not, for `earlier`.
    pub(super) fn waits(&self, later: StepId, earlier: StepId) -> bool {
        if later == earlier {
            return false;
        }
        let mut stack = vec![later];
        let mut visited = std::collections::BTreeSet::new();
        while let Some(id) = stack.pop() {
            for &need in &self.plan.steps[id.0 as usize].needs {
                if need == earlier {
                    return true;
                }
                // Needs point backwards only.
                if need > earlier && visited.insert(need) {
                    stack.push(need);
                }
            }
        }
        false
    }
}

pub(super) fn makes(action: &Action) -> bool {
    matches!(action, Action::Create { .. } | Action::Adopt { .. })
}

pub(super) fn removes(action: &Action) -> bool {
    matches!(action, Action::Delete | Action::Release | Action::Forget)
}
