//! What the ledger says happened: the place where tests count.

use std::{collections::BTreeMap, path::Path};

use pool_inventory::{
    Kind, Text, Token,
    object::{Observed, Owner, Spec},
};
use serde::{Deserialize, Serialize};

use super::{
    ledger,
    object::{Key, Object},
    world::{Call, Effect, Use, World},
};
use crate::ProviderError;

/// What was counted since the cloud began; compaction keeps these figures.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Objects made for an owner, by kind.
    pub created: BTreeMap<Kind, u64>,
    /// Of these, deleted.
    pub deleted: BTreeMap<Kind, u64>,
    /// Objects made by others.
    pub foreign: BTreeMap<Kind, u64>,
    /// Of these, deleted.
    pub foreign_deleted: BTreeMap<Kind, u64>,
    /// Changes of objects.
    pub changed: BTreeMap<Kind, u64>,
    /// Creations with a token that had made something before; always 0, or the cloud is broken.
    pub token_reused: u64,
    /// Creations while an object of the same (lineage, address, generation) was alive: a client's mistake.
    pub doubles: u64,
    /// Creations that were answered with what their token had made before.
    pub repeated: u64,
    /// Calls refused for their rate.
    pub limited: u64,
    /// Faults that were injected.
    pub faults: u64,
    /// Calls by name: `market`, `submit`, `list`, `find`, `poll`, `meddle`.
    pub calls: BTreeMap<Text, u64>,
    /// Requests of all `submit` calls by act: `create`, `update`, `rebuild`, `power`, `restart`, `restore`, `delete`.
    pub requests: BTreeMap<Text, u64>,
    /// The most calls that one client had under way at a time.
    #[serde(default)]
    pub in_flight: u64,
    /// The highest use at any time, each figure for itself.
    pub peak: Use,
}

impl Counters {
    pub(super) fn count(&mut self, call: &Call) {
        *self.calls.entry(call.call.clone()).or_default() += 1;
        for (act, count) in &call.requests {
            *self.requests.entry(act.clone()).or_default() += count;
        }
        self.repeated += call.repeated;
        self.limited += call.limited;
        self.in_flight = self.in_flight.max(call.in_flight);
    }
}

/// A simulated cloud's ledger, read without changing it.
#[derive(Debug, Clone)]
pub struct SimLedger {
    /// Everything that was counted since the cloud began.
    pub counters: Counters,
    /// What exists now, ours and others'.
    pub live: Vec<Observed>,
    /// What is in use now.
    pub used: Use,
    /// What is in volumes, snapshots and backups that somebody wrote to, by id.
    pub content: BTreeMap<Text, Text>,
    /// The cloud's time, in milliseconds.
    pub now: u64,
    /// Effects since the last compaction, oldest first.
    pub effects: Vec<SimEffect>,
}

/// One effect on one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimEffect {
    /// The cloud's time at the end of the call.
    pub now: u64,
    /// The client's process.
    pub pid: u32,
    /// The object.
    pub id: Text,
    /// What happened.
    pub what: SimEffectKind,
    /// The token of the act, where it had one.
    pub token: Option<Token>,
}

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SimEffectKind {
    /// It was made.
    Created,
    /// It was changed, rebuilt, attached, detached, turned on or off.
    Changed,
    /// It was deleted.
    Deleted,
}

impl SimLedger {
    /// Reads the ledger at `path`; a last line that was cut off is left out, a file that does not exist is an empty cloud.
    pub fn read(path: &Path) -> Result<Self, ProviderError> {
        let mut effects = Vec::new();
        let world = ledger::read(path, |_, call| effects.extend(call.effects.iter().filter_map(|e| effect(call, e))))?;
        let live: Vec<Observed> = world.objects.values().filter(|o| o.lives()).map(|o| world.observe(o)).collect();
        let written = |o: &&Object| o.lives() && o.content.is_some();
        let content = world.objects.values().filter(written);
        let content = content.filter_map(|o| Some((o.key.text(), o.content.clone()?))).collect();
        Ok(Self { content, counters: world.counters.clone(), live, used: world.used.clone(), now: world.now, effects })
    }

    /// The highest use of each group at any time since the last compaction, each figure for itself; `group` says which
    /// groups an object of ours belongs to.
    pub fn peaks(path: &Path, group: impl Fn(&Owner) -> Vec<Text>) -> Result<BTreeMap<Text, Use>, ProviderError> {
        let mut peaks = Peaks::default();
        ledger::read(path, |world, call| peaks.follow(world, call, &group))?;
        Ok(peaks.highest)
    }

    /// Living objects of a kind that `pool` made.
    pub fn ours(&self, kind: Kind) -> impl Iterator<Item = &Observed> {
        self.live.iter().filter(move |o| o.owner.is_some() && o.spec.kind() == kind)
    }

    /// Owners that have more than one living object: `ADDRESS generation G`.
    pub fn duplicates(&self) -> Vec<String> {
        let mut seen: BTreeMap<(String, String, u32), u32> = BTreeMap::new();
        for owner in self.live.iter().filter_map(|o| o.owner.as_ref()) {
            *seen.entry((owner.lineage.to_string(), owner.address.to_string(), owner.generation)).or_default() += 1;
        }
        let several = seen.into_iter().filter(|(_, count)| *count > 1);
        several.map(|((_, address, generation), _)| format!("{address} generation {generation}")).collect()
    }
}

/// An object's groups, and what it uses of each.
type Member = (Vec<Text>, Spec, i64);

/// Use by group, call by call.
#[derive(Default)]
struct Peaks {
    /// What each living object of ours uses, and its groups; none: no call was looked at yet.
    objects: Option<BTreeMap<Key, Member>>,
    used: BTreeMap<Text, Use>,
    highest: BTreeMap<Text, Use>,
}

impl Peaks {
    /// Takes in a call; `world` is as it was after it.
    fn follow(&mut self, world: &World, call: &Call, group: &impl Fn(&Owner) -> Vec<Text>) {
        if self.objects.is_none() {
            self.objects = Some(BTreeMap::new());
            world.objects.values().filter(|o| o.lives()).for_each(|object| self.enter(world, object, group));
            return;
        }
        for effect in &call.effects {
            match effect {
                Effect::New(object) | Effect::Changed(object, _) => {
                    self.leave(object.key);
                    self.enter(world, object, group);
                }
                Effect::Deleted { id, .. } => self.leave(*id),
                Effect::Spec(_) | Effect::Lineage(_) | Effect::Asked { .. } => {}
            }
        }
    }

    fn enter(&mut self, world: &World, object: &Object, group: &impl Fn(&Owner) -> Vec<Text>) {
        let Some(owner) = world.observe(object).owner else { return };
        let (groups, spec) = (group(&owner), world.spec(object).clone());
        for group in &groups {
            let used = self.used.entry(group.clone()).or_default();
            used.add(&spec, object.price);
            self.highest.entry(group.clone()).or_default().raise(used);
        }
        self.objects.get_or_insert_default().insert(object.key, (groups, spec, object.price));
    }

    fn leave(&mut self, key: Key) {
        let Some((groups, spec, price)) = self.objects.as_mut().and_then(|objects| objects.remove(&key)) else {
            return;
        };
        for group in groups {
            self.used.entry(group).or_default().sub(&spec, price);
        }
    }
}

fn effect(call: &Call, effect: &Effect) -> Option<SimEffect> {
    let (id, what, token) = match effect {
        Effect::New(object) => {
            (object.key, SimEffectKind::Created, object.owner.as_ref().map(|owner| owner.token.clone()))
        }
        Effect::Changed(object, token) => (object.key, SimEffectKind::Changed, token.clone()),
        Effect::Deleted { id, token, .. } => (*id, SimEffectKind::Deleted, token.clone()),
        Effect::Spec(_) | Effect::Lineage(_) | Effect::Asked { .. } => return None,
    };
    Some(SimEffect { now: call.now, pid: call.pid, id: id.text(), what, token })
}
