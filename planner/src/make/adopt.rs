//! Machines of a cloud that are taken over, with their volumes: they stay what they are, and are let go, never deleted.
//!
//! What is recorded of them is what was seen. What changes there later is recorded as drift and is not put right: the
//! inventory does not say what they are, only that they are looked after.

use pool_inventory::{
    Address, Name, Text,
    desired::{NamedHost, PoolSpec, Trust},
    market::Feature,
    object::{Attachment, Endpoint, HostSpec, Observed, Owner, Spec, Status, VolumeSpec},
};

use super::{
    HostId, HostState, Planner,
    asks::{DEFAULT_USER, features, lacking},
    draft::{Draft, DraftId},
    family::allows_provider,
    judge::EditedRow,
    ladder::ignored,
    ledger::Charges,
    record::field,
    seating::Made,
    volumes::Wish,
    words,
};
use crate::{
    error::PlanError,
    input::access,
    plan::{Action, NewRecord, Reason, Why},
};

impl<'a> Planner<'a> {
    /// Takes on a machine of a cloud by its id.
    pub(crate) fn take_over(&mut self, id: HostId, named: &NamedHost, own: Charges) -> Option<Made> {
        let decl = self.pools[id.0].decl?;
        let address = self.pools[id.0].hosts[id.1].address.clone();
        match self.taken(id, decl, named, own) {
            Ok(made) => Some(made),
            Err(why) => {
                self.decline(&address, why);
                None
            }
        }
    }

    fn taken(&mut self, id: HostId, decl: &'a PoolSpec, named: &NamedHost, own: Charges) -> Result<Made, Why> {
        let address = self.pools[id.0].hosts[id.1].address.clone();
        let (provider, seen) = self.machine(decl, named, &address)?;
        let there = self.input.capabilities.get(&provider).map(|can| can.features.clone()).unwrap_or_default();
        let features = lacking(&features(&decl.bootstrap), &there);
        if !features.is_empty() {
            return Err(Why::Lacks { features, provider });
        }
        let Spec::Host(machine) = &seen.spec else { return Err(cannot(named, "it is no machine")) };
        let spec = Spec::Host(self.taken_spec(id, decl, named, &provider, machine));
        let price = super::tiers::price_of(self.input, &provider, &spec);
        let mut charges = self.ledger.price_of(&spec, &decl.tenant, &provider, price, true);
        let mut space = Vec::new();
        for fresh in self.wanted_space(id, decl).0 {
            // The host can do without; the volume says why it is not there.
            if let Ok((found, all)) = self.backend_for(&provider, &machine.zone, &decl.tenant, &fresh, &charges, &own) {
                space.push(found);
                charges = all;
            }
        }
        if let Err(account) = self.ledger.fits(&charges, &own) {
            let (text, limit, wanted) = self.ledger.describe(account, &charges);
            let over = || cannot(named, &words::over(&text, limit, wanted));
            return Err(words::quota(&text, limit, wanted).unwrap_or_else(over));
        }
        let needs = self.ledger.take(&charges, &own);
        Ok(Made { spec, provider, price, group: None, moves: false, space, needs, charges })
    }

    /// The machine with the id, where the pool may have it.
    fn machine(&self, decl: &PoolSpec, named: &NamedHost, address: &Address) -> Result<(Name, &'a Observed), Why> {
        let id = named.id.as_ref().ok_or(Why::ProviderUnseen)?;
        let can = |name: &Name| self.input.capabilities.get(name).is_some_and(|can| takes_over(&can.features));
        let allowed = self.input.desired.providers.keys().filter(|name| allows_provider(&decl.place.on, name));
        let takers: Vec<&Name> = allowed.filter(|name| can(name)).collect();
        if takers.is_empty() {
            return Err(cannot(named, "no provider of place.on takes over machines"));
        }
        let found = takers.iter().find_map(|provider| {
            let objects = self.input.seen.providers.get(*provider)?;
            let host = |object: &&Observed| object.id == *id && object.spec.host().is_some();
            Some(((*provider).clone(), objects.iter().find(host)?))
        });
        let Some((provider, seen)) = found else {
            if takers.iter().any(|provider| !self.input.seen.providers.contains_key(*provider)) {
                return Err(Why::ProviderUnseen);
            }
            let names: Vec<&str> = takers.iter().map(|name| name.as_str()).collect();
            return Err(cannot(named, &format!("there is no machine with this id at {}", names.join(", "))));
        };
        match self.not_free(&provider, seen, address) {
            None => Ok((provider, seen)),
            Some(detail) => Err(Why::CannotAdopt { id: id.clone(), detail }),
        }
    }

    /// Why what exists is not to be had: whose it is, or how it is.
    fn not_free(&self, provider: &Name, seen: &Observed, address: &Address) -> Option<Text> {
        let row =
            self.world.rows.iter().find(|row| row.now.provider == *provider && row.now.id.as_ref() == Some(&seen.id));
        let other = row.map(|row| &row.now.address).filter(|other| *other != address);
        let text = match (&seen.owner, other, &seen.status) {
            (_, Some(other), _) => format!("it is {other} of this state already"),
            (Some(Owner { lineage, address, .. }), ..) if *lineage == self.input.lineage => {
                format!("it was made as {address} of this state")
            }
            (Some(owner), ..) => format!("it is {} of another state, {}", owner.address, owner.lineage),
            (_, _, Status::Deleting) => "it is being deleted".into(),
            (_, _, Status::Failed(words)) => format!("its provider reports it broken: {words}"),
            _ => return None,
        };
        Some(text.into())
    }

    /// What a machine that is taken over is: what was seen, and how to log in.
    fn taken_spec(
        &self,
        id: HostId,
        decl: &PoolSpec,
        named: &NamedHost,
        provider: &Name,
        machine: &HostSpec,
    ) -> HostSpec {
        let host = &self.pools[id.0].hosts[id.1].address.name;
        let pool = self.pools[id.0].name.as_ref().map_or("", Name::as_str);
        let access = access(&self.input.desired, pool, host, provider);
        let port = access.map_or(22, |access| access.port);
        // Nothing is handed in to what exists: where its key is not pinned, its console tells it.
        let console = access.is_some_and(|access| matches!(access.trust, Trust::Console | Trust::Injected));
        let plain = named.address.is_empty() && named.host_key.is_none() && port == 22;
        let at = Endpoint { host: named.address.clone(), port, host_keys: named.host_key.iter().cloned().collect() };
        HostSpec {
            existing: named.id.clone(),
            // Which of our networks that would be, no cloud can tell.
            network: decl.network.clone(),
            user: access.map_or_else(|| DEFAULT_USER.into(), |access| access.user.clone()),
            authorized_keys: Vec::new(),
            at: (!plain).then_some(at),
            console_keys: console,
            ..machine.clone()
        }
    }

    /// Where a host answers that is recorded only.
    pub(crate) fn endpoint_of(&self, made: &Made) -> Option<Endpoint> {
        let host = made.spec.host()?;
        let Some(id) = &host.existing else { return host.at.clone() };
        let seen = self.input.seen.providers.get(&made.provider)?.iter().find(|seen| seen.id == *id)?;
        seen.endpoint.as_ref().map(|endpoint| host.reached(endpoint))
    }

    /// Compares a machine that was taken over with what was recorded of it.
    pub(crate) fn judge_taken(
        &mut self,
        id: HostId,
        row: usize,
        decl: &'a PoolSpec,
        named: &NamedHost,
        mut state: HostState,
    ) -> HostState {
        let world = &self.world.rows[row];
        let Spec::Host(applied) = &world.now.spec else { return state };
        let allowed = allows_provider(&decl.place.on, &world.now.provider);
        if applied.existing != named.id || !world.now.adopted || !allowed {
            let other = named.id.as_deref().filter(|_| allowed).unwrap_or("another provider");
            let fields = field("existing", &applied.existing.as_deref().unwrap_or("none"), &other);
            state.fate = super::Fate::Replace(Reason::SpecChanged { fields });
            return state;
        }
        let seen = world.sight.there().and_then(|seen| seen.spec.host());
        let was = world.now.spec.clone();
        let declared = self.taken_spec(id, decl, named, &world.now.provider, applied);
        let declared = HostSpec { network: applied.network.clone(), ..declared };
        let to = match seen {
            // It is what it is, but for what the inventory leaves alone.
            Some(seen) => self.taken_spec(id, decl, named, &world.now.provider, seen),
            None => declared.clone(),
        };
        let to = Spec::Host(HostSpec { network: applied.network.clone(), ..to });
        let counts = |change: &pool_inventory::object::FieldChange| !ignored(&change.field, &decl.ignore_changes);
        let ours = was.changes(&Spec::Host(declared));
        let mut fields: Vec<_> = was.changes(&to).into_iter().filter(counts).collect();
        fields.extend(ours.iter().filter(|change| !fields.contains(change)).cloned().collect::<Vec<_>>());
        fields.sort();
        let reason = if ours.is_empty() {
            Reason::Drifted { fields: fields.clone() }
        } else {
            Reason::SpecChanged { fields: fields.clone() }
        };
        let spec = (!fields.is_empty()).then_some((to, reason));
        self.judge_record(id, row, decl, &mut state, EditedRow { spec, ..EditedRow::default() });
        state
    }
}

fn takes_over(features: &std::collections::BTreeSet<Feature>) -> bool {
    features.contains(&Feature::Adopting)
}

fn cannot(named: &NamedHost, detail: &str) -> Why {
    Why::CannotAdopt { id: named.id.clone().unwrap_or_else(|| "".into()), detail: detail.into() }
}

/// Volumes.
impl<'a> Planner<'a> {
    /// Takes on a volume by its id; whether that was to be done.
    pub(crate) fn take_over_volume(&mut self, wish: &Wish<'a>) -> Result<bool, PlanError> {
        let named = self.pools[wish.id.0].hosts[wish.id.1].named;
        let Some((named, id)) = named.and_then(|named| Some((named, named.volumes.get(wish.name)?))) else {
            return Ok(false);
        };
        let row = self.world.of(&wish.address).next_back();
        let world = row.map(|row| &self.world.rows[row]);
        let stands = world.filter(|world| !world.gone() && !world.unfinished());
        match stands.map(|world| (world.now.id.as_ref() == Some(id), world.unseen())) {
            Some((true, _) | (_, true)) => return Ok(false),
            Some((false, false)) => {
                let detail = "another volume is recorded here; let it go first with: pool state rm";
                self.decline(&wish.address, Why::CannotAdopt { id: id.clone(), detail: detail.into() });
                return Ok(true);
            }
            None => {}
        }
        match self.taken_volume(wish, named, id)? {
            Ok((provider, spec)) => self.adopt_volume(wish, row, provider, spec),
            Err(why) => self.decline(&wish.address, why),
        }
        Ok(true)
    }

    /// The volume as it will be recorded, or why it cannot be had.
    fn taken_volume(
        &mut self,
        wish: &Wish<'a>,
        named: &NamedHost,
        id: &Text,
    ) -> Result<Result<(Name, VolumeSpec), Why>, PlanError> {
        let state = &self.states[wish.id.0][wish.id.1];
        let host = self.pools[wish.id.0].hosts[wish.id.1].address.clone();
        let Some(provider) = state.provider.clone().filter(|_| state.present) else {
            return Ok(Err(Why::NeedsDeclined { address: host }));
        };
        let Some(objects) = self.input.seen.providers.get(&provider) else { return Ok(Err(Why::ProviderUnseen)) };
        let cannot = |detail: Text| Ok(Err(Why::CannotAdopt { id: id.clone(), detail }));
        let Some(seen) = objects.iter().find(|object| object.id == *id && object.spec.volume().is_some()) else {
            return cannot(format!("there is no volume with this id at {provider}").into());
        };
        if let Some(detail) = self.not_free(&provider, seen, &wish.address) {
            return cannot(detail);
        }
        let Spec::Volume(volume) = &seen.spec else { return cannot("it is no volume".into()) };
        // A machine that nobody looks after is known by its id.
        let here = |at: &Attachment| at.host == host || named.id.as_deref() == Some(&*at.host.name);
        let mut spec = volume.clone();
        if let Some(at) = &mut spec.attached {
            if !here(at) {
                return cannot(format!("it is attached to {}", at.host).into());
            }
            at.host = host;
        }
        let pool = self.pools[wish.id.0].name.clone().unwrap_or_else(|| wish.pool.tenant.clone());
        let tier = super::family::tier_of(self.input, &pool, &wish.decl.tier)?;
        let serving = self.tiers.serving(self.input, &provider, &volume.zone, &wish.decl.tier, tier);
        if !serving.offers.iter().any(|offer| offer.name == volume.backend) {
            let detail = format!("tier {} is not served by {}, where it is", wish.decl.tier, volume.backend);
            return cannot(detail.into());
        }
        if wish.decl.size < volume.size {
            return Ok(Err(Why::Shrink { from: volume.size, to: wish.decl.size }));
        }
        (spec.tier, spec.on_remove) = (wish.decl.tier.clone(), wish.decl.on_remove);
        (spec.existing, spec.from, spec.provisioning) = (Some(id.clone()), None, tier.provisioning);
        Ok(Ok((provider, spec)))
    }

    fn adopt_volume(&mut self, wish: &Wish<'a>, row: Option<usize>, provider: Name, spec: VolumeSpec) {
        if !self.reach.covers(&wish.address) && !self.states[wish.id.0][wish.id.1].remade {
            return self.decline(&wish.address, Why::OutOfScope);
        }
        let price = super::tiers::price_of(self.input, &provider, &Spec::Volume(spec.clone()));
        let charges = self.ledger.price_of(&Spec::Volume(spec.clone()), &wish.pool.tenant, &provider, price, true);
        let own = row.map_or_else(Charges::new, |row| self.ledger.of(&self.world.rows[row].now));
        if let Err(account) = self.ledger.fits(&charges, &own) {
            let (name, limit, wanted) = self.ledger.describe(account, &charges);
            let detail = words::over(&name, limit, wanted);
            let id = spec.existing.clone().unwrap_or_else(|| "".into());
            let why = words::quota(&name, limit, wanted).unwrap_or(Why::CannotAdopt { id, detail });
            return self.decline(&wish.address, why);
        }
        let mut needs = self.ledger.take(&charges, &own);
        needs.extend(self.states[wish.id.0][wish.id.1].up.clone());
        let (generation, reason) = self.adopted_after(row, &charges, &mut needs);
        let record = NewRecord {
            tenant: wish.pool.tenant.clone(),
            pool: self.pools[wish.id.0].name.clone(),
            protected: wish.pool.protected || wish.decl.protected,
            needs: Vec::new(),
            price,
        };
        let attached = spec.attached.as_ref().is_some_and(|at| at.mount == wish.decl.mount);
        let spec = Spec::Volume(spec);
        let action = Action::Adopt { spec: spec.clone(), record: Box::new(record) };
        let address = wish.address.clone();
        let step = self.drafts.push(Draft { address, generation, provider, action, reason: reason.clone(), needs });
        if !attached {
            self.attach(wish, generation, spec, reason, vec![step]);
        }
    }

    /// What comes before the adoption of something that was recorded before.
    fn adopted_after(&mut self, row: Option<usize>, charges: &Charges, needs: &mut Vec<DraftId>) -> (u32, Reason) {
        needs.extend(self.leftovers(row));
        let Some(row) = row else { return (1, Reason::NotPresent) };
        let first = self.first(row, None);
        needs.extend(first);
        let generation = self.world.rows[row].now.generation;
        if self.world.rows[row].unfinished() {
            return (generation, Reason::Unfinished);
        }
        let forget = self.forget_for(row, Reason::Vanished, charges);
        self.drafts.needs(forget, first);
        needs.push(forget);
        (generation + 1, Reason::Vanished)
    }

    /// Lets go of a volume that was taken over, attached as it is.
    pub(crate) fn release_volume(&mut self, row: usize, with_host: bool) -> Option<DraftId> {
        let address = self.world.rows[row].now.address.clone();
        let first = self.first(row, None);
        let reason = if with_host { self.follows_host(&address) } else { self.leaving() };
        let leftovers = self.leftovers(Some(row));
        let release = self.delete(row, reason);
        self.drafts.needs(release, leftovers.into_iter().chain(first));
        Some(release)
    }

    /// Labels that a volume shall have: those of the pool, or those that it came with.
    pub(crate) fn volume_tags(
        &self,
        wish: &Wish<'a>,
        row: usize,
        volume: &VolumeSpec,
    ) -> std::collections::BTreeMap<Text, Text> {
        if volume.existing.is_none() {
            return wish.pool.labels.clone();
        }
        let seen = self.world.rows[row].sight.there().and_then(|seen| seen.spec.volume());
        seen.unwrap_or(volume).tags.clone()
    }
}
