//! Everything that the simulated cloud knows, and the effects that change it.
//!
//! A world changes through [`World::apply`] alone, live and when a ledger is read again, so that both agree.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use pool_inventory::{
    Kind, Lineage, Text, Token,
    object::{Attachment, Observed, Owner, Spec},
};
use serde::{Deserialize, Serialize};

use super::{
    hosts,
    object::{Key, Object},
    report::Counters,
};

/// How long the token of a deleted object is remembered, in milliseconds: longer than any run retries.
pub(super) const TOKEN_MEMORY: u64 = 3_600_000;

/// One change of a world.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Effect {
    /// The next entry of the table of specs.
    Spec(Arc<Spec>),
    /// The next entry of the table of lineages.
    Lineage(Lineage),
    /// A new object.
    New(Object),
    /// An object as it is from now on, and the token of the act that changed it.
    Changed(Object, Option<Token>),
    /// The end of an object, and the token of the act.
    Deleted { id: Key, until: u64, token: Option<Token> },
    /// A rule of failure was asked; `fired`: and it applied.
    Asked { rule: Text, subject: Option<Text>, fired: bool },
}

/// One call of one client: what the ledger has a line for.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Call {
    /// The cloud's time at its end.
    #[serde(rename = "t")]
    pub now: u64,
    /// The client's clock.
    #[serde(rename = "w")]
    pub wall: u64,
    /// The client's process.
    #[serde(rename = "p")]
    pub pid: u32,
    #[serde(rename = "c")]
    pub call: Text,
    /// Requests by act.
    #[serde(rename = "q", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub requests: BTreeMap<Text, u64>,
    /// Creations that were answered with what their token had made before.
    #[serde(rename = "k", default, skip_serializing_if = "none")]
    pub repeated: u64,
    /// Refused for its rate.
    #[serde(rename = "z", default, skip_serializing_if = "none")]
    pub limited: u64,
    /// Calls of this client that were under way then, this one among them.
    #[serde(rename = "f", default, skip_serializing_if = "none")]
    pub in_flight: u64,
    #[serde(rename = "e", default, skip_serializing_if = "Vec::is_empty")]
    pub effects: Vec<Effect>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
fn none(value: &u64) -> bool {
    *value == 0
}

/// A world at rest, as a line of the ledger.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Snapshot {
    now: u64,
    wall: u64,
    seq: u64,
    specs: Vec<Arc<Spec>>,
    lineages: Vec<Lineage>,
    objects: Vec<Object>,
    counters: Counters,
    asked: BTreeMap<Text, u64>,
    subjects: BTreeMap<Text, u64>,
    window: (u64, u32),
}

/// What is in use by living objects.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Use {
    /// Hosts.
    pub hosts: u64,
    /// Their cores.
    pub vcpus: u64,
    /// Their memory, in bytes.
    pub memory: u64,
    /// Price of everything, in millionths per hour.
    pub cost: u64,
    /// Bytes by backend, `PROVIDER/NAME`.
    pub storage: BTreeMap<Text, u64>,
    /// Snapshots.
    #[serde(default)]
    pub snapshots: u64,
    /// Backups.
    #[serde(default)]
    pub backups: u64,
    /// What hosts use of each physical machine.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub machines: BTreeMap<Text, MachineUse>,
}

/// What hosts use of a physical machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineUse {
    /// Hosts.
    pub hosts: u64,
    /// Their cores.
    pub vcpus: u64,
    /// Their memory, in bytes.
    pub memory: u64,
    /// Their disks, in bytes.
    pub disk: u64,
}

#[derive(Debug, Default)]
pub(super) struct World {
    pub now: u64,
    pub wall: u64,
    pub seq: u64,
    specs: Vec<Arc<Spec>>,
    lineages: Vec<Lineage>,
    pub objects: BTreeMap<Key, Object>,
    pub counters: Counters,
    /// Rule → how often it was asked.
    pub asked: BTreeMap<Text, u64>,
    /// Rule and subject → how often it was asked, for rules with a rate.
    pub subjects: BTreeMap<Text, u64>,
    /// The second of the last call, and calls within it.
    pub window: (u64, u32),
    pub used: Use,
    /// Differs between clouds; not kept.
    pub salt: u64,
    index: Index,
}

/// What can be computed from the objects.
#[derive(Debug, Default)]
struct Index {
    specs: HashMap<[u8; 32], u32>,
    tokens: HashMap<Token, Key>,
    /// (host, volume)
    attached: BTreeSet<(Key, Key)>,
    /// (when, what) of deletions that take their time
    ending: BTreeSet<(u64, Key)>,
    /// (zone, offering) → living hosts
    machines: HashMap<(Text, Text), u32>,
    /// Hash of (lineage, address, generation) → living objects
    owners: HashMap<u64, u32>,
}

fn digest(spec: &Spec) -> [u8; 32] {
    let bytes = serde_json::to_vec(spec).expect("a spec has only text keys and whole numbers");
    *blake3::hash(&bytes).as_bytes()
}

impl World {
    /// The world of a snapshot.
    pub fn restore(snapshot: Snapshot) -> Result<Self, String> {
        let Snapshot { now, wall, seq, specs, lineages, objects, counters, asked, subjects, window } = snapshot;
        let mut world = World { now, wall, seq, lineages, counters, asked, subjects, window, ..World::default() };
        for spec in specs {
            world.add_spec(spec);
        }
        for object in objects {
            world.check(&object)?;
            world.enter(&object);
            world.objects.insert(object.key, object);
        }
        Ok(world)
    }

    /// The world at rest, without what is no longer of use.
    pub fn snapshot(&self) -> Snapshot {
        let mut places: HashMap<u32, u32> = HashMap::new();
        let mut specs = Vec::new();
        let mut place = |old: u32, counts: bool| {
            // Of a deleted object that nobody sees any more only the token counts; any spec will do.
            if !counts && !specs.is_empty() {
                return 0;
            }
            *places.entry(old).or_insert_with(|| {
                specs.push(self.specs[old as usize].clone());
                specs.len() as u32 - 1
            })
        };
        let kept = self.objects.values().filter(|o| o.gone.is_none_or(|end| self.now < end + TOKEN_MEMORY));
        let mut rest = |o: &Object| {
            let counts = o.gone.is_none_or(|end| self.now < end);
            Object { spec: place(o.spec, counts), made: place(o.made, counts), ..o.clone() }
        };
        let objects = kept.map(&mut rest).collect();
        Snapshot {
            now: self.now,
            wall: self.wall,
            seq: self.seq,
            specs,
            lineages: self.lineages.clone(),
            objects,
            counters: self.counters.clone(),
            asked: self.asked.clone(),
            subjects: self.subjects.clone(),
            window: self.window,
        }
    }

    /// Takes in a call that another handle wrote.
    pub fn replay(&mut self, call: &Call) -> Result<(), String> {
        for effect in &call.effects {
            self.apply(effect)?;
        }
        self.finish(call);
        Ok(())
    }

    /// Takes in what a call changes besides its effects.
    pub fn finish(&mut self, call: &Call) {
        let second = call.now / 1000;
        let before = if self.window.0 == second { self.window.1 } else { 0 };
        // A refused call does not use up the rate that it is refused for.
        self.window = (second, before + u32::from(call.limited == 0));
        (self.now, self.wall) = (call.now, call.wall);
        self.counters.count(call);
    }

    /// Makes one change. The error says what does not fit, in a ledger that was damaged.
    pub fn apply(&mut self, effect: &Effect) -> Result<(), String> {
        match effect {
            Effect::Spec(spec) => drop(self.add_spec(spec.clone())),
            Effect::Lineage(lineage) => self.lineages.push(lineage.clone()),
            Effect::New(object) => self.insert(object)?,
            Effect::Changed(object, _) => {
                self.check(object)?;
                let old = self.objects.get(&object.key).filter(|old| old.lives()).cloned();
                let old = old.ok_or_else(|| format!("{} changes but does not exist", object.key))?;
                self.leave(&old);
                self.enter(object);
                self.counters.peak.raise(&self.used);
                *self.counters.changed.entry(object.key.kind).or_default() += 1;
                self.objects.insert(object.key, object.clone());
            }
            Effect::Deleted { id, until, .. } => self.remove(*id, *until)?,
            Effect::Asked { rule, subject, fired } => {
                *self.asked.entry(rule.clone()).or_default() += 1;
                if let Some(subject) = subject {
                    *self.subjects.entry(subject.clone()).or_default() += 1;
                }
                self.counters.faults += u64::from(*fired);
            }
        }
        Ok(())
    }

    fn add_spec(&mut self, spec: Arc<Spec>) -> u32 {
        let place = self.specs.len() as u32;
        self.index.specs.insert(digest(&spec), place);
        self.specs.push(spec);
        place
    }

    fn check(&self, object: &Object) -> Result<(), String> {
        let specs = [object.spec, object.made].iter().all(|s| (*s as usize) < self.specs.len());
        let lineage = object.owner.as_ref().is_none_or(|o| (o.lineage as usize) < self.lineages.len());
        if specs && lineage { Ok(()) } else { Err(format!("{} refers to what is not there", object.key)) }
    }

    fn insert(&mut self, object: &Object) -> Result<(), String> {
        self.check(object)?;
        if self.objects.contains_key(&object.key) {
            return Err(format!("{} is made twice", object.key));
        }
        if let Some(owner) = &object.owner {
            self.counters.token_reused += u64::from(self.index.tokens.contains_key(&owner.token));
            self.counters.doubles += u64::from(self.index.owners.contains_key(&self.owner_hash(object)));
        }
        self.enter(object);
        self.seq = self.seq.max(object.key.seq);
        self.counters.peak.raise(&self.used);
        let counter = if object.owner.is_some() { &mut self.counters.created } else { &mut self.counters.foreign };
        *counter.entry(object.key.kind).or_default() += 1;
        self.objects.insert(object.key, object.clone());
        Ok(())
    }

    fn remove(&mut self, id: Key, until: u64) -> Result<(), String> {
        let old = self.objects.get(&id).filter(|old| old.lives()).cloned();
        let old = old.ok_or_else(|| format!("{id} is deleted but does not exist"))?;
        self.leave(&old);
        for volume in self.volumes_of(id) {
            self.index.attached.remove(&(id, volume));
            if let Some(volume) = self.objects.get_mut(&volume) {
                volume.attached = None;
            }
        }
        let counter = if old.owner.is_some() { &mut self.counters.deleted } else { &mut self.counters.foreign_deleted };
        *counter.entry(id.kind).or_default() += 1;
        self.objects.insert(id, Object { gone: Some(until), attached: None, ..old });
        Ok(())
    }

    /// Enters an object in the indexes and in what is used.
    fn enter(&mut self, object: &Object) {
        if let Some(owner) = &object.owner {
            self.index.tokens.insert(owner.token.clone(), object.key);
        }
        if !object.lives() {
            return;
        }
        if object.owner.is_some() {
            *self.index.owners.entry(self.owner_hash(object)).or_default() += 1;
        }
        if let Some(end) = object.ends {
            self.index.ending.insert((end, object.key));
        }
        if let Some(attached) = &object.attached {
            self.index.attached.insert((attached.host, object.key));
        }
        let spec = self.specs[object.spec as usize].clone();
        self.used.add(&spec, object.price);
        if let Spec::Host(host) = &*spec {
            *self.index.machines.entry((host.zone.clone(), host.offering.clone())).or_default() += 1;
        }
    }

    /// The reverse of [`World::enter`] for a living object; its token stays known.
    fn leave(&mut self, object: &Object) {
        let hash = self.owner_hash(object);
        if let Some(end) = object.ends {
            self.index.ending.remove(&(end, object.key));
        }
        if object.owner.is_some() {
            lower(&mut self.index.owners, &hash);
        }
        if let Some(attached) = &object.attached {
            self.index.attached.remove(&(attached.host, object.key));
        }
        let spec = self.specs[object.spec as usize].clone();
        self.used.sub(&spec, object.price);
        if let Spec::Host(host) = &*spec {
            lower(&mut self.index.machines, &(host.zone.clone(), host.offering.clone()));
        }
    }

    fn owner_hash(&self, object: &Object) -> u64 {
        let mut hasher = DefaultHasher::new();
        if let Some(owner) = &object.owner {
            (self.lineages[owner.lineage as usize].0.as_ref(), &owner.address, owner.generation).hash(&mut hasher);
        }
        hasher.finish()
    }

    /// Something whose slow deletion is over by now.
    pub fn overdue(&self) -> Option<Key> {
        self.index.ending.first().filter(|(end, _)| *end <= self.now).map(|(_, key)| *key)
    }

    /// The object that a token made, also after its end.
    pub fn by_token(&self, token: &Token) -> Option<&Object> {
        self.objects.get(self.index.tokens.get(token)?)
    }

    /// The living object with an id.
    pub fn living(&self, id: &str) -> Option<&Object> {
        self.objects.get(&id.parse().ok()?).filter(|o| o.lives())
    }

    pub fn spec(&self, object: &Object) -> &Spec {
        &self.specs[object.spec as usize]
    }

    pub fn made_with(&self, object: &Object) -> &Spec {
        &self.specs[object.made as usize]
    }

    pub fn find_spec(&self, spec: &Spec) -> Option<u32> {
        self.index.specs.get(&digest(spec)).copied()
    }

    pub fn spec_count(&self) -> u32 {
        self.specs.len() as u32
    }

    pub fn lineages(&self) -> &[Lineage] {
        &self.lineages
    }

    pub fn volumes_of(&self, host: Key) -> Vec<Key> {
        let range = (host, Key::first(Kind::Volume))..=(host, Key::last(Kind::Volume));
        self.index.attached.range(range).map(|(_, volume)| *volume).collect()
    }

    /// Living hosts of an offering in a zone.
    pub fn machines(&self, zone: &Text, offering: &Text) -> u32 {
        self.index.machines.get(&(zone.clone(), offering.clone())).copied().unwrap_or(0)
    }

    /// An object as clients see it.
    pub fn observe(&self, object: &Object) -> Observed {
        let mut spec = self.spec(object).clone();
        if let Spec::Volume(volume) = &mut spec {
            let attachment =
                |a: &super::object::Attached| Attachment { host: a.address.clone(), mount: a.mount.clone() };
            volume.attached = object.attached.as_ref().map(attachment);
        }
        let status = object.status(self.now);
        Observed {
            id: object.key.text(),
            name: object.name.clone(),
            owner: object.owner.as_ref().map(|mark| Owner {
                lineage: self.lineages[mark.lineage as usize].clone(),
                address: mark.address.clone(),
                generation: mark.generation,
                token: mark.token.clone(),
            }),
            endpoint: hosts::endpoint(object, &status, self.salt),
            status,
            spec,
        }
    }
}

fn lower<K: Hash + Eq>(counts: &mut HashMap<K, u32>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

impl Use {
    pub(super) fn add(&mut self, spec: &Spec, price: i64) {
        self.cost += price.unsigned_abs();
        match spec {
            Spec::Host(host) => {
                self.hosts += 1;
                self.vcpus += u64::from(host.size.vcpus);
                self.memory += host.size.memory.0;
                if let Some(machine) = &host.machine {
                    let machine = self.machines.entry(machine.clone()).or_default();
                    machine.hosts += 1;
                    machine.vcpus += u64::from(host.size.vcpus);
                    machine.memory += host.size.memory.0;
                    machine.disk += host.size.disk.0;
                }
            }
            Spec::Volume(volume) => *self.storage.entry(volume.backend.clone()).or_default() += volume.size.0,
            Spec::Snapshot(_) => self.snapshots += 1,
            Spec::Backup(_) => self.backups += 1,
            Spec::Network(_) => {}
        }
    }

    pub(super) fn sub(&mut self, spec: &Spec, price: i64) {
        self.cost = self.cost.saturating_sub(price.unsigned_abs());
        match spec {
            Spec::Host(host) => {
                self.hosts = self.hosts.saturating_sub(1);
                self.vcpus = self.vcpus.saturating_sub(u64::from(host.size.vcpus));
                self.memory = self.memory.saturating_sub(host.size.memory.0);
                if let Some(machine) = host.machine.as_ref().and_then(|machine| self.machines.get_mut(machine)) {
                    machine.hosts = machine.hosts.saturating_sub(1);
                    machine.vcpus = machine.vcpus.saturating_sub(u64::from(host.size.vcpus));
                    machine.memory = machine.memory.saturating_sub(host.size.memory.0);
                    machine.disk = machine.disk.saturating_sub(host.size.disk.0);
                }
            }
            Spec::Volume(volume) => {
                let bytes = self.storage.entry(volume.backend.clone()).or_default();
                *bytes = bytes.saturating_sub(volume.size.0);
            }
            Spec::Snapshot(_) => self.snapshots = self.snapshots.saturating_sub(1),
            Spec::Backup(_) => self.backups = self.backups.saturating_sub(1),
            Spec::Network(_) => {}
        }
    }

    /// Raises each figure to that of `now`, where it is higher.
    pub(super) fn raise(&mut self, now: &Use) {
        self.hosts = self.hosts.max(now.hosts);
        self.vcpus = self.vcpus.max(now.vcpus);
        self.memory = self.memory.max(now.memory);
        self.cost = self.cost.max(now.cost);
        self.snapshots = self.snapshots.max(now.snapshots);
        self.backups = self.backups.max(now.backups);
        for (name, used) in &now.machines {
            let peak = self.machines.entry(name.clone()).or_default();
            peak.hosts = peak.hosts.max(used.hosts);
            peak.vcpus = peak.vcpus.max(used.vcpus);
            peak.memory = peak.memory.max(used.memory);
            peak.disk = peak.disk.max(used.disk);
        }
        for (backend, bytes) in &now.storage {
            match self.storage.get_mut(backend) {
                Some(peak) => *peak = (*peak).max(*bytes),
                None => drop(self.storage.insert(backend.clone(), *bytes)),
            }
        }
    }
}
