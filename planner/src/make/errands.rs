//! Errands: what a user asks for by name. A plan of errands holds their steps, what these need, and nothing else.

use std::collections::BTreeMap;

use pool_inventory::{
    Address, Kind, Name,
    market::Feature,
    object::{Attachment, CopySpec, Spec, Status, VolumeSpec},
};

use super::{
    Fate, HostState, Planner,
    draft::{Draft, DraftId},
    ledger::Charges,
    removal::attached,
    tiers::price_of,
    words,
};
use crate::{
    input::Errand,
    plan::{Action, NewRecord, Reason, Why},
};

/// Hosts that mount volumes again, each with the first of these and the steps that attach them.
type Remount = BTreeMap<Address, (Address, Vec<DraftId>)>;

/// What a provider must be able to do so that a volume can be made from something.
pub(crate) fn feature_of_source(from: &Address) -> Feature {
    Feature::of_copies(from.kind).unwrap_or(Feature::Snapshots)
}

impl Planner<'_> {
    /// Does what was asked for, in the order in which it was asked for; the same thing once.
    pub(crate) fn errands(&mut self) {
        let errands = &self.input.scope.errands;
        let mut remount = Remount::new();
        for (at, errand) in errands.iter().enumerate() {
            if errands[..at].contains(errand) {
                continue;
            }
            let done = match errand {
                Errand::Copy { to } => self.take_copy(to),
                Errand::Restore { from } => self.restore(from, &mut remount),
                Errand::Delete { copy } => self.delete_copy(copy),
                Errand::Power { host, on } => self.power(host, if *on { Power::On } else { Power::Off }),
                Errand::Restart { host } => self.power(host, Power::Again),
                Errand::Member { host, care } => self.member_errand(host, *care),
                Errand::Cluster { cluster, care } => self.cluster_errand(cluster, care),
            };
            if let Err(why) = done {
                self.decline(errand.address(), why);
            }
        }
        if !remount.is_empty() {
            self.mount_again(remount);
        }
    }

    /// Hosts that mount volumes themselves do so in their bootstrap, once for all that was restored.
    fn mount_again(&mut self, remount: Remount) {
        // What templates see of the hosts.
        self.stand_still();
        for (host, (volume, attached)) in remount {
            let Ok(row) = self.standing(&host) else { continue };
            let reason = Reason::FollowsFrom { address: volume };
            self.errand(row, Action::Bootstrap { digest: None }, reason, attached);
        }
    }

    /// All hosts that stand, as they are.
    pub(crate) fn stand_still(&mut self) {
        if !self.states.is_empty() {
            return;
        }
        for pool in 0..self.pools.len() {
            let state = |host: usize| match self.newest(pool, host) {
                Some(row) if !self.world.rows[row].gone() && !self.world.rows[row].unfinished() => self.untouched(row),
                _ => HostState::new(Fate::Nothing),
            };
            let states = (0..self.pools[pool].hosts.len()).map(state).collect();
            self.states.push(states);
        }
    }

    /// Whether a volume at a host comes back only with a bootstrap. A host that is off mounts nothing.
    fn mounts_by_bootstrap(&self, at: &Attachment) -> bool {
        let Ok(row) = self.standing(&at.host) else { return false };
        let world = &self.world.rows[row];
        let off = world.sight.there().is_some_and(|seen| seen.status == Status::Stopped);
        let declared = world.now.pool.as_ref().is_some_and(|pool| self.input.desired.pools.contains_key(pool));
        at.mount.is_some() && !off && declared && self.only_attaches(&world.now.provider)
    }

    /// The newest generation of what an errand needs, if it is there.
    pub(crate) fn standing(&self, address: &Address) -> Result<usize, Why> {
        let row = self.world.of(address).next_back().ok_or(Why::NotThere)?;
        let world = &self.world.rows[row];
        match () {
            () if world.unseen() => Err(Why::ProviderUnseen),
            () if world.unfinished() || world.gone() => Err(Why::NotThere),
            () => Ok(row),
        }
    }

    /// Why a provider cannot do it; none: it can.
    pub(crate) fn lacks(&self, provider: &Name, feature: Feature) -> Option<Why> {
        let can = self.input.capabilities.get(provider).is_some_and(|can| can.features.contains(&feature));
        (!can).then(|| Why::Lacks { features: vec![feature], provider: provider.clone() })
    }

    /// The newest generation of what an errand needs, if it is there and its provider can do what is asked for.
    fn able(&self, address: &Address, feature: Feature) -> Result<usize, Why> {
        let row = self.world.of(address).next_back().ok_or(Why::NotThere)?;
        match self.lacks(&self.world.rows[row].now.provider, feature) {
            None => self.standing(address),
            Some(why) => Err(why),
        }
    }

    /// One step of an errand on what stands.
    fn errand(&mut self, row: usize, action: Action, reason: Reason, needs: Vec<DraftId>) -> DraftId {
        let now = &self.world.rows[row].now;
        self.drafts.push(Draft {
            address: now.address.clone(),
            generation: now.generation,
            provider: now.provider.clone(),
            action,
            reason,
            needs,
        })
    }

    /// The step that brings a record up to date, made once however many errands need it.
    fn entered_by(&mut self, row: usize) -> Option<DraftId> {
        if !self.entered.contains(&row) {
            return self.first(row, None);
        }
        let now = &self.world.rows[row].now;
        let same = |draft: &Draft| draft.address == now.address && draft.generation == now.generation;
        let step = self.drafts.0.iter().position(|d| same(d) && matches!(d.action, Action::Record { .. }))?;
        u32::try_from(step).ok().map(DraftId)
    }

    fn take_copy(&mut self, to: &Address) -> Result<(), Why> {
        let volume = to.volume_of_copy().ok_or(Why::NotThere)?;
        let row = self.able(&volume, feature_of_source(to)).map_err(|why| no_volume(why, &volume))?;
        let world = &self.world.rows[row];
        if let Some(Status::Failed(detail)) = world.sight.there().map(|seen| &seen.status) {
            return Err(Why::Broken { detail: detail.clone() });
        }
        let Spec::Volume(spec) = &world.now.spec else { return Err(Why::NotThere) };
        let seen = world.sight.there().and_then(|seen| seen.spec.volume());
        let copy = CopySpec {
            of: volume.clone(),
            tier: spec.tier.clone(),
            backend: spec.backend.clone(),
            size: seen.map_or(spec.size, |seen| seen.size),
            tags: spec.tags.clone(),
        };
        let spec = if to.kind == Kind::Snapshot { Spec::Snapshot(copy) } else { Spec::Backup(copy) };
        self.make_copy(to, row, spec)
    }

    /// Makes a copy of the volume at `row`, or goes on making it.
    fn make_copy(&mut self, to: &Address, row: usize, spec: Spec) -> Result<(), Why> {
        let volume = self.world.rows[row].now.clone().into_owned();
        let old = self.world.of(to).next_back();
        let (mut generation, mut own) = (1, Charges::new());
        if let Some(old) = old {
            let world = &self.world.rows[old];
            if !world.gone() && !world.unfinished() {
                return Err(Why::Exists);
            }
            generation = world.now.generation + u32::from(world.gone());
            own = self.ledger.of(&world.now);
        }
        let price = price_of(self.input, &volume.provider, &spec);
        let charges = self.ledger.price_of(&spec, &volume.tenant, &volume.provider, price, false);
        if let Err(account) = self.ledger.fits(&charges, &own) {
            let (name, limit, wanted) = self.ledger.describe(account, &charges);
            let full = Why::NoRoom { provider: volume.provider.clone(), limit: words::over(&name, limit, wanted) };
            return Err(words::quota(&name, limit, wanted).unwrap_or(full));
        }
        let mut needs = self.ledger.take(&charges, &own);
        // A volume whose record is not in order is recorded first: the copy is found by what it is of.
        needs.extend(self.entered_by(row));
        if let Some(old) = old {
            let first = self.entered_by(old);
            needs.extend(first);
            if self.world.rows[old].gone() {
                let forget = self.forget_for(old, Reason::Vanished, &charges);
                self.drafts.needs(forget, first);
                needs.push(forget);
            }
        }
        let record = Box::new(NewRecord {
            tenant: volume.tenant.clone(),
            pool: volume.pool.clone(),
            protected: self.protected_volume(&volume),
            needs: if to.kind == Kind::Snapshot { vec![volume.address.clone()] } else { Vec::new() },
            price,
        });
        self.drafts.push(Draft {
            address: to.clone(),
            generation,
            provider: volume.provider,
            action: Action::Create { spec, record, group: None },
            reason: Reason::Requested,
            needs,
        });
        Ok(())
    }

    /// Detach, restore, attach again: a volume that somebody writes to cannot be restored.
    fn restore(&mut self, from: &Address, remount: &mut Remount) -> Result<(), Why> {
        let copy = self.able(from, feature_of_source(from))?;
        let volume = from.volume_of_copy().ok_or(Why::NotThere)?;
        let row = self.standing(&volume).map_err(|why| no_volume(why, &volume))?;
        // A volume has one content: of two copies the first is meant.
        let twice = |draft: &Draft| draft.address == volume && matches!(draft.action, Action::Restore { .. });
        if self.drafts.0.iter().any(twice) {
            return Err(Why::NeedsDeclined { address: volume });
        }
        let world = &self.world.rows[row];
        let reason = Reason::FollowsFrom { address: from.clone() };
        let is_attached = attached(&world.now, world.sight.there().map(|seen| &seen.spec));
        let again = self.place_of_restored(row);
        let copied = self.entered_by(copy);
        let mut last = self.entered_by(row);
        if is_attached {
            last = Some(self.detach(row, reason.clone(), last));
        }
        let detached = match last.map(|id| &self.drafts.0[id.0 as usize].action) {
            Some(Action::Detach { to }) => to.clone(),
            Some(Action::Record { to }) => to.spec.clone(),
            _ => self.world.rows[row].now.spec.clone(),
        };
        let needs = last.into_iter().chain(copied).collect();
        let action = Action::Restore { from: from.clone() };
        let restored = self.errand(row, action, Reason::Requested, needs);
        if let (Some(at), Spec::Volume(spec)) = (again, detached) {
            let by_bootstrap = self.mounts_by_bootstrap(&at).then(|| at.host.clone());
            let to = Spec::Volume(VolumeSpec { attached: Some(at), ..spec });
            let attached = self.errand(row, Action::Attach { to }, reason, vec![restored]);
            if let Some(host) = by_bootstrap {
                remount.entry(host).or_insert_with(|| (volume, Vec::new())).1.push(attached);
            }
        }
        Ok(())
    }

    /// Where a restored volume is attached: where it is, else where it is declared to be, if that host stands. A restore
    /// that was cut off left it detached.
    fn place_of_restored(&self, row: usize) -> Option<Attachment> {
        let world = &self.world.rows[row];
        let of = |spec: &Spec| spec.volume().and_then(|volume| volume.attached.clone());
        let host = world.now.address.host_of_volume()?;
        if let Some(at) = world.sight.there().and_then(|seen| of(&seen.spec)).or_else(|| of(&world.now.spec)) {
            // The cloud may know the host by the name before a rename.
            let host = if self.world.same_host(&at.host, &host) { host } else { at.host };
            return self.standing(&host).is_ok().then_some(Attachment { host, ..at });
        }
        let (_, name) = world.now.address.name.split_once('.')?;
        let pool = self.input.desired.pools.get(world.now.pool.as_ref()?)?;
        let mount = pool.volumes.get(name)?.mount.clone();
        self.standing(&host).is_ok().then_some(Attachment { host, mount })
    }

    fn delete_copy(&mut self, copy: &Address) -> Result<(), Why> {
        let row = self.world.of(copy).next_back().ok_or(Why::NotThere)?;
        let world = &self.world.rows[row];
        if world.unseen() {
            return Err(Why::ProviderUnseen);
        }
        let gone = world.gone();
        let first = self.entered_by(row);
        let mut needs = self.leftovers(Some(row));
        needs.extend(first);
        let step = match gone {
            true => self.forget(row, Reason::Vanished),
            false => self.delete(row, Reason::Requested),
        };
        self.drafts.needs(step, needs);
        Ok(())
    }

    fn power(&mut self, host: &Address, wanted: Power) -> Result<(), Why> {
        let row = self.able(host, Feature::Power)?;
        let off = self.world.rows[row].sight.there().is_some_and(|seen| seen.status == Status::Stopped);
        let action = match (wanted, off) {
            (Power::On, false) | (Power::Off, true) => return Ok(()),
            (Power::Off, false) => Action::PowerOff,
            (Power::On | Power::Again, true) => Action::PowerOn,
            (Power::Again, false) => Action::Restart,
        };
        let needs = self.entered_by(row).into_iter().collect();
        self.errand(row, action, Reason::Requested, needs);
        Ok(())
    }
}

/// What is not there, by its name: the user named a copy of it.
fn no_volume(why: Why, volume: &Address) -> Why {
    match why {
        Why::NotThere => Why::NoVolume { volume: volume.clone() },
        other => other,
    }
}

/// What is asked of a host.
#[derive(Clone, Copy)]
enum Power {
    On,
    Off,
    Again,
}
