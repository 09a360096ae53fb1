//! A place for each host that is made: found in a cloud, or the one where it stands already.

use pool_inventory::{
    Address, Money, Name,
    desired::PoolSpec,
    market::Feature,
    object::{HostSpec, Spec},
};

use super::{
    HostId, Planner,
    asks::{features, lacking},
    draft::DraftId,
    family::{allows_provider, rank},
    groups::Pin,
    ledger::{Charges, merge},
    relief::{MAX_SPOTS, Want},
    seats::{Ask, Fresh, Full, Room, Seat, Space, sized},
    standing::named_spec,
    words,
};
use crate::{
    error::PlanError,
    plan::{GroupId, Refusal, Why},
};

/// A host that has a place.
pub(crate) struct Made {
    pub spec: Spec,
    pub provider: Name,
    pub price: Money,
    pub group: Option<GroupId>,
    /// Whether it may yet be made in another zone.
    pub moves: bool,
    pub space: Vec<Space>,
    pub needs: Vec<DraftId>,
    pub charges: Charges,
}

impl<'a> Planner<'a> {
    /// Finds a place for a host and takes it; if there is none, says so.
    pub(crate) fn place(&mut self, id: HostId, own: Charges) -> Result<Option<Made>, PlanError> {
        match self.pools[id.0].hosts[id.1].named {
            Some(named) if named.id.is_some() => Ok(self.take_over(id, named, own)),
            Some(_) => Ok(self.adopt(id, own)),
            None => self.seat(id, own),
        }
    }

    fn seat(&mut self, id: HostId, own: Charges) -> Result<Option<Made>, PlanError> {
        let Some(decl) = self.pools[id.0].decl else { return Ok(None) };
        self.open_places(id.0)?;
        self.mind_others(id.0)?;
        let (fresh, pin) = self.wanted_space(id, decl);
        let own = merge(own.into_iter().chain(fresh.iter().flat_map(|fresh| fresh.own.iter().copied())));
        let Some(name) = self.pools[id.0].name.clone() else { return Ok(None) };
        let leaves = self.machine_left(id);
        let (tenant, place) = (&decl.tenant, &decl.place);
        let ask = Ask { tenant, fresh, pin, own, pool: &name, place, leaves, free: true };
        if let Some(seat) = self.try_seat(id, &ask) {
            return Ok(Some(self.seated(id, decl, seat)));
        }
        if self.may_relieve(id.0) {
            let wants = self.wants(id, &ask);
            if self.relieve(id, &wants) {
                self.places.entry(id.0).and_modify(|places| places.session.reopen());
                match self.try_seat(id, &ask) {
                    Some(seat) => return Ok(Some(self.seated(id, decl, seat))),
                    None => self.relieved_in_vain(id),
                }
            }
        }
        let Some(places) = self.places.get(&id.0) else { return Ok(None) };
        let member = &self.pools[id.0].hosts[id.1];
        if member.extra && member.rows.is_empty() {
            if !self.shorts.contains_key(&id.0) {
                let full = places.session.full(&places.family, ask.pin.as_ref());
                self.short(id, ask.pin, full);
            }
            return Ok(None);
        }
        let full = places.session.full(&places.family, ask.pin.as_ref());
        let why = self.full(id, ask.pin, full);
        let address = self.pools[id.0].hosts[id.1].address.clone();
        self.decline(&address, why);
        Ok(None)
    }

    fn try_seat(&mut self, id: HostId, ask: &Ask<'_, 'a>) -> Option<Seat> {
        let mut places = self.places.remove(&id.0)?;
        let family = std::rc::Rc::clone(&places.family);
        let found = places.session.seat(&family, ask, &mut self.room());
        let strayed = places.session.has_strayed();
        self.places.insert(id.0, places);
        if strayed {
            self.astray(id.0);
        }
        found
    }

    /// What each place would take that the host may have, best first.
    fn wants(&mut self, id: HostId, ask: &Ask<'_, 'a>) -> Vec<Want> {
        let Some(places) = self.places.get(&id.0) else { return Vec::new() };
        let family = std::rc::Rc::clone(&places.family);
        let open = |at: &usize| ask.open(&family.spots[*at]) && !places.session.barred(*at);
        let open: Vec<usize> = (0..family.spots.len()).filter(open).take(MAX_SPOTS).collect();
        let mut room = self.room();
        let mut wants = Vec::new();
        for spot in open.into_iter().map(|at| &family.spots[at]) {
            let Some(charges) = sized(spot, ask, &mut room) else { continue };
            let want = |charges| Want { charges, own: ask.own.clone(), stock: Some(spot.stock) };
            match room.machines.ways(room.ledger, spot.at(), &ask.guest(spot)) {
                None => wants.push(want(charges)),
                Some(ways) => {
                    let all = |way: Charges| want(merge(charges.iter().copied().chain(way)));
                    wants.extend(ways.into_iter().take(MAX_SPOTS.saturating_sub(wants.len())).map(all));
                }
            }
        }
        wants
    }

    /// The physical machine of the host that another one takes the place of.
    pub(crate) fn machine_left(&self, id: HostId) -> Option<usize> {
        self.newest(id.0, id.1).and_then(|row| self.machines.of(&self.world.rows[row].now))
    }

    /// What placing looks at.
    pub(crate) fn room(&mut self) -> Room<'_, 'a> {
        Room {
            input: self.input,
            ledger: &mut self.ledger,
            stock: &mut self.stock,
            tiers: &mut self.tiers,
            machines: &mut self.machines,
        }
    }

    pub(crate) fn seated(&mut self, id: HostId, decl: &'a PoolSpec, seat: Seat) -> Made {
        let (group, moves) = (self.group_of(id, seat.spot, &seat.charges), self.may_move(id, seat.spot));
        let keys = self.keys(id.0);
        let spot = &self.places[&id.0].family.spots[seat.spot];
        let address = decl.addresses.get(&self.pools[id.0].hosts[id.1].address.name).copied();
        Made {
            spec: Spec::Host(HostSpec { address, machine: seat.machine, ..spot.host(decl, &keys) }),
            provider: spot.provider.clone(),
            price: spot.price,
            group: Some(group),
            moves,
            space: seat.space,
            needs: seat.needs,
            charges: seat.charges,
        }
    }

    fn full(&mut self, id: HostId, pin: Option<Pin>, full: Full) -> Why {
        match full {
            Full::Tenant { account, want } => {
                let (name, limit, wanted) = self.ledger.describe(account, &want);
                words::quota(&name, limit, wanted)
                    .unwrap_or_else(|| Why::NoPlace { group: self.failed_group(id, pin, Vec::new()) })
            }
            Full::Places(refusals) => Why::NoPlace { group: self.failed_group(id, pin, refusals) },
        }
    }

    /// Volumes of a host that need space, and where those are that have it.
    pub(crate) fn wanted_space(&self, (pool, host): HostId, decl: &'a PoolSpec) -> (Vec<Fresh<'a>>, Option<Pin>) {
        let mut fresh = Vec::new();
        let mut pin = None;
        let named = self.pools[pool].hosts[host].named;
        let made = |name: &&'a Name| !named.is_some_and(|named| named.volumes.contains_key(*name));
        for (name, volume) in decl.volumes.iter().filter(|(name, _)| made(name)) {
            let address = Address::volume(&self.pools[pool].hosts[host].address.name, name);
            let row = self.world.of(&address).next_back().map(|row| &self.world.rows[row]);
            match row.filter(|row| !row.gone() && !row.unfinished()) {
                Some(row) => {
                    let zone = row.now.spec.volume().map_or_else(|| "".into(), |volume| volume.zone.clone());
                    pin = Some((row.now.provider.clone(), zone));
                }
                None => fresh.push(Fresh {
                    name,
                    volume,
                    own: row.map_or_else(Charges::new, |row| self.ledger.of(&row.now)),
                }),
            }
        }
        (fresh, pin)
    }

    /// Takes on a host that exists.
    fn adopt(&mut self, (pool, host): HostId, own: Charges) -> Option<Made> {
        let decl = self.pools[pool].decl?;
        let name = self.pools[pool].name.clone()?;
        let member = &self.pools[pool].hosts[host];
        let (address, named) = (member.address.clone(), member.named?);
        let provider = match self.adopter(decl) {
            Ok(provider) => provider,
            Err(refusals) => {
                let group = self.failed_group((pool, host), None, refusals);
                self.decline(&address, Why::NoPlace { group });
                return None;
            }
        };
        let there = self.input.capabilities.get(&provider).map(|c| c.features.clone()).unwrap_or_default();
        let needed = features(&decl.bootstrap);
        let features: Vec<Feature> = lacking(&needed, &there);
        if !features.is_empty() {
            self.decline(&address, Why::Lacks { features, provider });
            return None;
        }
        let spec = Spec::Host(named_spec(self.input, &name, decl, &address.name, named, &provider));
        let mut charges = self.ledger.price_of(&spec, &decl.tenant, &provider, Money::ZERO, true);
        let mut space = Vec::new();
        let (fresh, _) = self.wanted_space((pool, host), decl);
        let own = merge(own.into_iter().chain(fresh.iter().flat_map(|fresh| fresh.own.iter().copied())));
        for fresh in fresh {
            // The host can do without; the volume says why it is not there.
            if let Ok((found, all)) = self.backend_for(&provider, &"".into(), &decl.tenant, &fresh, &charges, &own) {
                space.push(found);
                charges = all;
            }
        }
        if let Err(account) = self.ledger.fits(&charges, &own) {
            let (text, limit, wanted) = self.ledger.describe(account, &charges);
            if let Some(why) = words::quota(&text, limit, wanted) {
                self.decline(&address, why);
            }
            return None;
        }
        let needs = self.ledger.take(&charges, &own);
        Some(Made { spec, provider, price: Money::ZERO, group: None, moves: false, space, needs, charges })
    }

    /// The provider that adopts hosts of a pool.
    fn adopter(&self, decl: &PoolSpec) -> Result<Name, Vec<Refusal>> {
        let mut refusals = Vec::new();
        let mut best: Option<(u32, &Name)> = None;
        for provider in self.input.desired.providers.keys() {
            let adopts = self.input.capabilities.get(provider).map(|c| !c.creates);
            let why = match adopts {
                _ if !allows_provider(&decl.place.on, provider) => "not in place.on",
                None => "not known",
                Some(false) => "makes hosts, and does not take those that exist",
                Some(true) => {
                    let rank = rank(&decl.place.on, provider, "", "").unwrap_or(u32::MAX);
                    best = Some(best.map_or((rank, provider), |best| best.min((rank, provider))));
                    continue;
                }
            };
            refusals.push(Refusal { candidate: provider.as_str().into(), why: why.into() });
        }
        best.map(|(_, provider)| provider.clone()).ok_or(refusals)
    }
}
