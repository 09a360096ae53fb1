//! Taking places: which host goes where, with stock, quotas and backends counted down.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use pool_inventory::{
    Money, Name, Text,
    desired::{Optimize, Place, PoolVolume},
    object::{Spec, VolumeSpec},
};

use super::{
    draft::DraftId,
    family::{Family, Spot},
    ledger::{AccountId, Charges, Ledger, merge},
    machines::{Guest, Machines, amounts},
    tiers::{Tiers, volume_price},
};
use crate::{input::PlanInput, plan::Refusal};

/// Machines left per provider and offering; none: not told.
pub(crate) struct Stock {
    left: Vec<Vec<Option<u32>>>,
    /// Deletions that give a machine back where none is left, oldest first.
    freed: BTreeMap<(u32, u32), VecDeque<DraftId>>,
}

impl Stock {
    pub(crate) fn new(input: &PlanInput) -> Self {
        let of = |provider: &Name| {
            input.markets.get(provider).map_or_else(Vec::new, |m| m.offerings.iter().map(|o| o.stock).collect())
        };
        Self { left: input.desired.providers.keys().map(of).collect(), freed: BTreeMap::new() }
    }

    fn slot(&mut self, (provider, offering): (u32, u32)) -> &mut Option<u32> {
        &mut self.left[provider as usize][offering as usize]
    }

    pub(crate) fn left(&self, key: (u32, u32)) -> bool {
        let there = self.left[key.0 as usize][key.1 as usize] != Some(0);
        there || self.freed.get(&key).is_some_and(|freed| !freed.is_empty())
    }

    /// Whether any stock is told.
    pub(crate) fn is_told(&self) -> bool {
        self.left.iter().flatten().any(Option::is_some)
    }

    /// Machines that are left, where that is told.
    pub(crate) fn told(&self, key: (u32, u32)) -> Option<u32> {
        let freed = self.freed.get(&key).map_or(0, VecDeque::len);
        let left = self.left[key.0 as usize][key.1 as usize]?;
        Some(left.saturating_add(u32::try_from(freed).unwrap_or(u32::MAX)))
    }

    /// Takes a machine; the answer is the step that must have given it back before.
    pub(crate) fn take(&mut self, key: (u32, u32)) -> Option<DraftId> {
        match self.slot(key) {
            Some(0) => self.freed.get_mut(&key)?.pop_front(),
            Some(left) => {
                *left -= 1;
                None
            }
            None => None,
        }
    }

    /// Notes that `by` gives a machine back.
    pub(crate) fn free(&mut self, key: (u32, u32), by: DraftId) {
        self.freed.entry(key).or_default().push_back(by);
    }
}

/// A volume that needs space, and what may serve it in each zone.
pub(crate) struct Fresh<'a> {
    pub name: &'a Name,
    pub volume: &'a PoolVolume,
    /// What its lost or unfinished predecessor is recorded to use.
    pub own: Charges,
}

/// Backend and price of a volume that was given space.
#[derive(Debug, Clone)]
pub(crate) struct Space {
    pub volume: Name,
    pub backend: Text,
    pub price: Money,
}

/// A place that was taken.
pub(crate) struct Seat {
    pub spot: usize,
    pub space: Vec<Space>,
    pub needs: Vec<DraftId>,
    /// All that was taken, host and volumes.
    pub charges: Charges,
    /// The physical machine, where the zone has some.
    pub machine: Option<Text>,
}

/// Why no place was left.
#[derive(Debug, Clone)]
pub(crate) enum Full {
    /// One account of the tenant stands against every place.
    Tenant { account: AccountId, want: Charges },
    /// Each place for its own reason; those that were found out here.
    Places(Vec<Refusal>),
}

/// What one host asks for.
pub(crate) struct Ask<'p, 'a> {
    pub tenant: &'p Name,
    pub fresh: Vec<Fresh<'a>>,
    /// Where its volumes are already.
    pub pin: Option<(Name, Text)>,
    /// What its predecessor gives back just before.
    pub own: Charges,
    /// Its pool, and how that wants its hosts placed.
    pub pool: &'p Name,
    pub place: &'p Place,
    /// The physical machine of the host that it takes the place of.
    pub leaves: Option<usize>,
    /// Whether every physical machine will do; else only one that is in use.
    pub free: bool,
}

impl<'p> Ask<'p, '_> {
    /// The host, as a physical machine sees it.
    pub(crate) fn guest(&self, spot: &Spot<'_>) -> Guest<'p> {
        let amounts = amounts(&spot.size, spot.root.is_some());
        let (leaves, free) = (self.leaves, self.free);
        Guest { tenant: self.tenant, pool: self.pool, place: self.place, amounts, leaves, free }
    }

    /// Whether it may be there, as far as its volumes go.
    pub(crate) fn open(&self, spot: &Spot<'_>) -> bool {
        self.pin.as_ref().is_none_or(|(provider, zone)| spot.provider == provider && spot.offering.zone == *zone)
    }
}

/// The hosts of one pool, counted per domain, and how far its list of places is used up.
pub(crate) struct Session {
    /// Places by domain, best first, and the first of each that may still have room.
    domains: Vec<Vec<u32>>,
    heads: Vec<usize>,
    counts: Vec<u32>,
    /// (hosts, best place left, domain): the first is where the next host goes.
    queue: BTreeSet<(u32, u32, u32)>,
    /// Why places were given up.
    refused: BTreeMap<Text, Text>,
    /// Accounts of the tenant that stood against a place.
    short: BTreeMap<AccountId, (Charges, Text)>,
    rules: Rules,
    /// Where the next hosts go, first of all.
    targets: VecDeque<Target>,
    /// Whether a target did not hold.
    strayed: bool,
    /// Why hosts of other pools close a place, by place; empty: they close none.
    bars: Vec<Option<Text>>,
    /// Hosts of all pools in the zone of each place; empty where that does not matter.
    crowd: Vec<u32>,
    /// Names of the domains, for messages.
    names: Vec<Text>,
}

/// Where some hosts of a pool go, with the backends of their volumes.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub spot: usize,
    pub backends: Vec<Text>,
    pub hosts: u32,
}

/// How places of a pool are chosen.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Rules {
    /// Whether the domain with the fewest hosts comes first.
    pub even: bool,
    /// The most by which domains may differ.
    pub most: Option<u32>,
    pub optimize: Optimize,
}

impl Rules {
    pub(crate) fn of(place: &Place) -> Self {
        let most = place.spread.and(place.max_skew);
        Self { even: place.spread.is_some() && most.is_none(), most, optimize: place.optimize }
    }
}

/// Whether the order of places depends on how much they are used.
pub(crate) fn by_use(optimize: Optimize) -> bool {
    matches!(optimize, Optimize::Balance | Optimize::Pack)
}

/// What placing looks at and counts down.
pub(crate) struct Room<'r, 'a> {
    pub input: &'a PlanInput,
    pub ledger: &'r mut Ledger,
    pub stock: &'r mut Stock,
    pub tiers: &'r mut Tiers<'a>,
    pub machines: &'r mut Machines<'a>,
}

impl Session {
    /// `present`: domain of each host that stays.
    pub(crate) fn new(family: &Family<'_>, rules: Rules, present: impl Iterator<Item = u32>) -> Self {
        let mut domains = vec![Vec::new(); family.domains.len()];
        for (at, spot) in (0..).zip(&family.spots) {
            domains[spot.domain as usize].push(at);
        }
        let mut counts = vec![0; domains.len()];
        for domain in present {
            counts[domain as usize] += 1;
        }
        let heads = vec![0; domains.len()];
        let mut session = Self {
            domains,
            heads,
            counts,
            queue: BTreeSet::new(),
            refused: BTreeMap::new(),
            short: BTreeMap::new(),
            rules,
            targets: VecDeque::new(),
            strayed: false,
            bars: Vec::new(),
            crowd: Vec::new(),
            names: names(family),
        };
        for domain in 0..session.domains.len() {
            session.enqueue(domain);
        }
        session
    }

    /// Looks at all places anew: some that had no room have some again.
    pub(crate) fn reopen(&mut self) {
        (0..self.domains.len()).for_each(|domain| self.dequeue(domain));
        self.heads.fill(0);
        (0..self.domains.len()).for_each(|domain| self.enqueue(domain));
        self.refused.clear();
        self.short.clear();
    }

    /// Whether hosts of other pools close a place.
    pub(crate) fn barred(&self, at: usize) -> bool {
        self.bars.get(at).is_some_and(Option::is_some)
    }

    fn key(&self, domain: usize) -> Option<(u32, u32, u32)> {
        let head = *self.domains[domain].get(self.heads[domain])?;
        let count = if self.rules.even { self.counts[domain] } else { 0 };
        Some((count, head, u32::try_from(domain).ok()?))
    }

    fn enqueue(&mut self, domain: usize) {
        self.queue.extend(self.key(domain));
    }

    fn dequeue(&mut self, domain: usize) {
        if let Some(key) = self.key(domain) {
            self.queue.remove(&key);
        }
    }

    /// Whether a host that goes from one domain to another leaves its pool no less evenly spread.
    pub(crate) fn evens(&self, from: Option<u32>, to: u32) -> bool {
        let count = |domain: u32| self.counts[domain as usize];
        !(self.rules.even || self.rules.most.is_some())
            || from == Some(to)
            || from.is_some_and(|from| count(to) < count(from))
    }

    /// Notes that a host goes from one domain to another.
    pub(crate) fn goes(&mut self, from: Option<u32>, to: u32) {
        for (domain, more) in from.map(|from| (from, false)).into_iter().chain([(to, true)]) {
            let domain = domain as usize;
            self.dequeue(domain);
            self.counts[domain] = if more { self.counts[domain] + 1 } else { self.counts[domain].saturating_sub(1) };
            self.enqueue(domain);
        }
    }

    /// Finds a place, takes it, and says what must be done before it is free.
    pub(crate) fn seat<'a>(&mut self, family: &Family<'a>, ask: &Ask<'_, 'a>, room: &mut Room<'_, 'a>) -> Option<Seat> {
        if ask.pin.is_some() || !ask.own.is_empty() {
            return self.seat_one(family, ask, room);
        }
        if let Some(seat) = self.seat_as_aimed(family, ask, room) {
            return Some(seat);
        }
        if by_use(self.rules.optimize) {
            return self.seat_by_use(family, ask, room);
        }
        while let Some((head, domain)) = self.next() {
            let tried = self.attempt(family, head as usize, ask, (&[], room));
            self.dequeue(domain);
            // A place that has no room for this host has none for the later ones, which ask for the same.
            match tried.is_some() {
                true => self.counts[domain] += 1,
                false => self.heads[domain] += 1,
            }
            self.enqueue(domain);
            if tried.is_some() {
                return tried;
            }
        }
        None
    }

    /// Hosts per domain.
    pub(crate) fn counts(&self) -> &[u32] {
        &self.counts
    }

    /// Sets where the next hosts go.
    pub(crate) fn aim(&mut self, targets: VecDeque<Target>) {
        self.targets = targets;
    }

    /// Whether it is known where the next hosts go.
    pub(crate) fn is_aimed(&self) -> bool {
        !self.targets.is_empty()
    }

    /// The place that was found for the next host when all were looked at together, if it still has room.
    fn seat_as_aimed<'a>(&mut self, family: &Family<'a>, ask: &Ask<'_, 'a>, room: &mut Room<'_, 'a>) -> Option<Seat> {
        let target = self.targets.front_mut()?;
        target.hosts = target.hosts.saturating_sub(1);
        let (at, backends, last) = (target.spot, target.backends.clone(), target.hosts == 0);
        if last {
            self.targets.pop_front();
        }
        // What hosts of other pools close was looked at.
        let bars = std::mem::take(&mut self.bars);
        let seat = self.attempt(family, at, ask, (&backends, room));
        self.bars = bars;
        match &seat {
            Some(_) => {
                let domain = family.spots[at].domain as usize;
                self.dequeue(domain);
                self.counts[domain] += 1;
                self.enqueue(domain);
            }
            // Something is not as it was looked at: each for itself then.
            None => {
                self.targets.clear();
                self.strayed = true;
            }
        }
        seat
    }

    /// Whether a target did not hold since this was last asked.
    pub(crate) fn has_strayed(&mut self) -> bool {
        std::mem::take(&mut self.strayed)
    }

    /// The best place left, and its domain.
    fn next(&mut self) -> Option<(u32, usize)> {
        if self.rules.most.is_none() {
            return self.queue.first().map(|&(_, head, domain)| (head, domain as usize));
        }
        let found = self.queue.iter().map(|&(_, head, domain)| (head, domain as usize));
        let found = found.clone().find(|(_, domain)| self.may_grow(*domain));
        if found.is_none() {
            self.uneven();
        }
        found
    }

    /// Whether one more host in a domain leaves the numbers of hosts near enough to each other.
    fn may_grow(&self, domain: usize) -> bool {
        let least = || self.counts.iter().min().copied().unwrap_or(0);
        self.rules.most.is_none_or(|most| self.counts[domain] < least().saturating_add(most))
    }

    /// Notes that what holds back is how unevenly hosts would be spread.
    fn uneven(&mut self) {
        let Some(most) = self.rules.most else { return };
        let Some((least, at)) = self.counts.iter().copied().zip(0..).min() else { return };
        let emptiest: usize = at;
        let held = self.queue.iter().map(|&(_, _, domain)| domain as usize);
        let held: Vec<usize> = held.filter(|domain| !self.may_grow(*domain)).collect();
        for domain in held {
            let why =
                format!("max_skew {most}: {} hosts here, {least} in {}", self.counts[domain], self.names[emptiest]);
            self.refuse(self.names[domain].clone(), why.into());
        }
    }

    /// Where the emptiest place, or the fullest, comes first.
    fn seat_by_use<'a>(&mut self, family: &Family<'a>, ask: &Ask<'_, 'a>, room: &mut Room<'_, 'a>) -> Option<Seat> {
        let mut order: Vec<((u32, u64, u64), usize)> = Vec::with_capacity(family.spots.len());
        for (at, spot) in family.spots.iter().enumerate() {
            let domain = spot.domain as usize;
            // What is before the head has no room, and never will have.
            if self.domains[domain].get(self.heads[domain]).is_none_or(|head| at < *head as usize) {
                continue;
            }
            let (share, crowd) =
                (room.ledger.share(&spot.charges), u64::from(self.crowd.get(at).copied().unwrap_or(0)));
            let used = match self.rules.optimize {
                Optimize::Pack => (u64::MAX - share, u64::MAX - crowd),
                _ => (share, crowd),
            };
            let count = if self.rules.even { self.counts[domain] } else { 0 };
            order.push(((count, used.0, used.1), at));
        }
        order.sort_unstable();
        for (_, at) in order {
            let domain = family.spots[at].domain as usize;
            if !self.may_grow(domain) {
                continue;
            }
            if let Some(seat) = self.attempt(family, at, ask, (&[], room)) {
                self.dequeue(domain);
                self.counts[domain] += 1;
                self.enqueue(domain);
                let place =
                    |spot: &super::family::Spot<'a>| (spot.provider, &spot.offering.region, &spot.offering.zone);
                let here = place(&family.spots[at]);
                for (crowd, spot) in self.crowd.iter_mut().zip(&family.spots) {
                    *crowd += u32::from(place(spot) == here);
                }
                return Some(seat);
            }
            if self.domains[domain].get(self.heads[domain]) == u32::try_from(at).ok().as_ref() {
                self.dequeue(domain);
                self.heads[domain] += 1;
                self.enqueue(domain);
            }
        }
        self.uneven();
        None
    }

    /// Sets what hosts of other pools mean for each place, and looks at all places anew.
    pub(crate) fn close(&mut self, family: &Family<'_>, bars: Vec<Option<Text>>, crowd: Vec<u32>) {
        if self.is_aimed() {
            // Nobody will try these places, so that it is said here.
            for (spot, why) in family.spots.iter().zip(&bars) {
                if let Some(why) = why {
                    self.refuse(format!("{}/{}", spot.provider, spot.offering.zone).into(), why.clone());
                }
            }
        }
        (self.bars, self.crowd) = (bars, crowd);
        (0..self.domains.len()).for_each(|domain| self.dequeue(domain));
        self.heads.fill(0);
        (0..self.domains.len()).for_each(|domain| self.enqueue(domain));
    }

    /// For hosts that not every place is open to: looks at the places in the order that spreading asks for.
    fn seat_one<'a>(&mut self, family: &Family<'a>, ask: &Ask<'_, 'a>, room: &mut Room<'_, 'a>) -> Option<Seat> {
        let pinned = ask.pin.is_some();
        let mut order: Vec<(u32, usize)> = Vec::new();
        for (at, spot) in family.spots.iter().enumerate().filter(|(_, spot)| ask.open(spot)) {
            let count = if self.rules.even { self.counts[spot.domain as usize] } else { 0 };
            order.push((count, at));
        }
        order.sort_unstable();
        for (_, at) in order {
            // A host goes back to its volumes however many others are there.
            if !pinned && !self.may_grow(family.spots[at].domain as usize) {
                continue;
            }
            if let Some(seat) = self.attempt(family, at, ask, (&[], room)) {
                let domain = family.spots[at].domain as usize;
                self.dequeue(domain);
                self.counts[domain] += 1;
                self.enqueue(domain);
                return Some(seat);
            }
        }
        None
    }

    /// Why the last host got no place: the tenant's account that stands against every place, or the reason of each
    /// place. `pin`: where its volumes are.
    pub(crate) fn full(&self, family: &Family<'_>, pin: Option<&(Name, Text)>) -> Full {
        if let Some((provider, zone)) = pin {
            let mut refusals = self.refusals();
            let why = format!("its volumes are in {provider}/{zone}, and no other place will do").into();
            refusals.push(Refusal { candidate: "*".into(), why });
            return Full::Places(refusals);
        }
        match self.short.first_key_value() {
            Some((account, (want, _))) if self.refused.is_empty() && !family.spots.is_empty() => {
                Full::Tenant { account: *account, want: want.clone() }
            }
            _ => Full::Places(self.refusals()),
        }
    }

    /// Why places were given up, so far.
    pub(crate) fn refusals(&self) -> Vec<Refusal> {
        let places =
            self.refused.iter().map(|(candidate, why)| Refusal { candidate: candidate.clone(), why: why.clone() });
        let tenant = self.short.values().map(|(_, why)| Refusal { candidate: "*".into(), why: why.clone() });
        places.chain(tenant).collect()
    }

    /// Takes this place, if there is room.
    pub(crate) fn attempt<'a>(
        &mut self,
        family: &Family<'a>,
        index: usize,
        ask: &Ask<'_, 'a>,
        (backends, room): (&[Text], &mut Room<'_, 'a>),
    ) -> Option<Seat> {
        let spot = &family.spots[index];
        if let Some(why) = self.bars.get(index).and_then(Option::clone) {
            self.refuse(format!("{}/{}", spot.provider, spot.offering.zone).into(), why);
            return None;
        }
        let name = || Text::from(format!("{}/{}/{}", spot.provider, spot.offering.zone, spot.offering.name));
        if !room.stock.left(spot.stock) {
            self.refuse(name(), "none left".into());
            return None;
        }
        let (space, charges) = match space((spot.provider, &spot.offering.zone), (&spot.charges, backends), ask, room) {
            Ok(found) => found,
            Err(why) => {
                self.refuse(format!("{}/{}", spot.provider, spot.offering.zone).into(), why);
                return None;
            }
        };
        let (slot, charges) = match room.machines.choose(room.ledger, spot.at(), &ask.guest(spot), &ask.own) {
            None => (None, charges),
            Some(Ok(choice)) => (Some(choice.slot), merge(charges.into_iter().chain(choice.charges))),
            Some(Err(why)) => {
                self.refuse(name(), why);
                return None;
            }
        };
        if let Err(account) = room.ledger.fits(&charges, &ask.own) {
            let (text, limit, used) = room.ledger.describe(account, &charges);
            if text.starts_with("tenant/") {
                self.short.entry(account).or_insert_with(|| (charges, super::words::over(&text, limit, used)));
            } else {
                self.refuse(name(), super::words::over(&text, limit, used));
            }
            return None;
        }
        let mut needs = room.ledger.take(&charges, &ask.own);
        needs.extend(room.stock.take(spot.stock));
        let machine = slot.map(|slot| {
            room.machines.enter(slot, ask.tenant, Some(ask.pool));
            room.machines.slots[slot].machine.name.clone()
        });
        Some(Seat { spot: index, space, needs, charges, machine })
    }

    fn refuse(&mut self, candidate: Text, why: Text) {
        self.refused.entry(candidate).or_insert(why);
    }
}

/// What messages call the domains: `PROVIDER`, `PROVIDER/REGION` or `PROVIDER/ZONE`.
fn names(family: &Family<'_>) -> Vec<Text> {
    let mut names = vec![Text::from(""); family.domains.len()];
    for ((provider, region, zone), domain) in &family.domains {
        let part = if zone.is_empty() { region } else { zone };
        names[*domain as usize] = match part.is_empty() {
            true => provider.clone(),
            false => format!("{provider}/{part}").into(),
        };
    }
    names
}

/// Backends for all new volumes of a host, with what host and volumes take together.
fn space<'a>(
    (provider, zone): (&Name, &Text),
    (host, backends): (&Charges, &[Text]),
    ask: &Ask<'_, 'a>,
    room: &mut Room<'_, 'a>,
) -> Result<(Vec<Space>, Charges), Text> {
    let mut all = host.clone();
    let mut spaces = Vec::with_capacity(ask.fresh.len());
    for (at, fresh) in ask.fresh.iter().enumerate() {
        let first = backends.get(at);
        let (space, charges) = backend((provider, zone), (ask.tenant, fresh, first), (&all, &ask.own), room)?;
        all = charges;
        spaces.push(space);
    }
    Ok((spaces, all))
}

/// What host and volumes take together at a place, whether there is room for it or not.
pub(crate) fn sized<'a>(spot: &Spot<'a>, ask: &Ask<'_, 'a>, room: &mut Room<'_, 'a>) -> Option<Charges> {
    let zone = &spot.offering.zone;
    if let Ok((_, charges)) = space((spot.provider, zone), (&spot.charges, &[]), ask, room) {
        return Some(charges);
    }
    let mut all = spot.charges.clone();
    for fresh in &ask.fresh {
        let (tier, volume) = (&fresh.volume.tier, fresh.volume);
        let serving = room.tiers.serving(room.input, spot.provider, zone, tier, room.input.desired.tiers.get(tier)?);
        let offer = serving.offers.first()?;
        let price = volume_price(offer, volume.size);
        all.extend(room.ledger.price_of(&sizing(volume, &offer.name), ask.tenant, spot.provider, price, false));
    }
    Some(merge(all.into_iter()))
}

/// The first backend of a tier with room beside what is taken already (`before`), given what is given back (`own`).
pub(crate) fn backend<'a>(
    (provider, zone): (&Name, &Text),
    (tenant, fresh, first): (&Name, &Fresh<'a>, Option<&Text>),
    (before, own): (&Charges, &Charges),
    room: &mut Room<'_, 'a>,
) -> Result<(Space, Charges), Text> {
    let tier = &fresh.volume.tier;
    let Some(spec) = room.input.desired.tiers.get(tier) else { return Err(format!("there is no tier {tier}").into()) };
    let serving = room.tiers.serving(room.input, provider, zone, tier, spec);
    let mut full = Vec::new();
    let mut tenant_short = None;
    // What all new hosts together came to goes before the order of the tier.
    let chosen = serving.offers.iter().filter(|offer| Some(&offer.name) == first);
    let others = serving.offers.iter().filter(|offer| Some(&offer.name) != first);
    for offer in chosen.chain(others) {
        let price = volume_price(offer, fresh.volume.size);
        let charges = room.ledger.price_of(&sizing(fresh.volume, &offer.name), tenant, provider, price, false);
        let all = merge(before.iter().copied().chain(charges));
        let found = || Space { volume: fresh.name.clone(), backend: offer.name.clone(), price };
        match room.ledger.fits(&all, own) {
            Ok(()) => return Ok((found(), all)),
            Err(account) => {
                let (text, limit, used) = room.ledger.describe(account, &all);
                if !text.starts_with("backend/") {
                    // Not the backend's fault: the caller finds the account again and says so.
                    tenant_short = tenant_short.or(Some((found(), all)));
                }
                full.push(Refusal { candidate: offer.name.clone(), why: super::words::over(&text, limit, used) });
            }
        }
    }
    tenant_short.ok_or_else(|| {
        full.extend(serving.refusals.iter().cloned());
        super::family::no_backend(tier, &full)
    })
}

/// A spec that charges what the volume will charge; the rest of it does not matter.
pub(crate) fn sizing(volume: &PoolVolume, backend: &Text) -> Spec {
    Spec::Volume(VolumeSpec {
        tier: volume.tier.clone(),
        backend: backend.clone(),
        zone: "".into(),
        size: volume.size,
        provisioning: pool_inventory::desired::Provisioning::Thin,
        tags: BTreeMap::new(),
        attached: None,
        on_remove: volume.on_remove,
        from: None,
        existing: None,
    })
}
