//! What there is: each recorded object beside what was seen of it, under the address that it will have.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use pool_inventory::{
    Address, Kind, Name, Text,
    market::{Feature, Seen},
    object::{Observed, Recorded, Spec, Status},
};

use super::moves::Moves;
use crate::{error::PlanError, input::PlanInput, plan::Declined};

/// One generation of one object.
pub(crate) struct Row<'a> {
    /// The record, under the address that it will have.
    pub now: Cow<'a, Recorded>,
    /// The record as it stands in the state; none: an object of ours that the state lost.
    pub was: Option<&'a Recorded>,
    /// What was seen of it.
    pub sight: Sight<'a>,
}

/// What was seen of an object.
#[derive(Clone, Copy)]
pub(crate) enum Sight<'a> {
    /// Its provider was not asked, or did not answer.
    Unseen,
    /// Its provider cannot tell: it only adopts hosts, or does not list networks of others.
    Untold,
    /// Its provider answered and has it not.
    Gone,
    /// Here it is.
    There(&'a Observed),
}

impl<'a> Sight<'a> {
    /// The object, if it was seen.
    pub(crate) fn there(self) -> Option<&'a Observed> {
        if let Sight::There(observed) = self { Some(observed) } else { None }
    }
}

impl Row<'_> {
    /// Whether the object is known not to exist any more, or soon not to.
    pub(crate) fn gone(&self) -> bool {
        self.now.id.is_some()
            && match self.sight {
                Sight::Gone => true,
                Sight::There(observed) => observed.status == Status::Deleting,
                Sight::Unseen | Sight::Untold => false,
            }
    }

    /// Whether it is being deleted: its room is as good as free, and its record stays until it is gone. Clouds take their
    /// time with it, or never end it, and nobody else remembers what is left then.
    pub(crate) fn leaving(&self) -> bool {
        self.now.id.is_some() && self.sight.there().is_some_and(|seen| seen.status == Status::Deleting)
    }

    /// Whether its provider did not answer, so that nothing may be done about it.
    pub(crate) fn unseen(&self) -> bool {
        matches!(self.sight, Sight::Unseen)
    }

    /// Whether its creation was begun and not seen to end.
    pub(crate) fn unfinished(&self) -> bool {
        self.now.id.is_none()
    }
}

/// All objects, sorted by (address, generation).
pub(crate) struct World<'a> {
    pub rows: Vec<Row<'a>>,
    /// Addresses that hosts carry in the cloud and that are not theirs any more.
    aliases: BTreeMap<Address, Address>,
}

impl<'a> World<'a> {
    /// Joins what is recorded with what was seen.
    pub(crate) fn new(input: &'a PlanInput) -> Result<(Self, Vec<Declined>), PlanError> {
        let (moves, notes) = Moves::new(&input.desired, &input.recorded)?;
        let mut sightings = Sightings::new(&input.seen);
        let mut rows: Vec<Row<'a>> = Vec::with_capacity(input.recorded.len());
        for row in &input.recorded {
            let can = input.capabilities.get(&row.provider);
            let now = moves.apply(row, &input.desired).map_or(Cow::Borrowed(row), Cow::Owned);
            // A provider that has no copies does not list them: their absence proves nothing.
            let lists = Feature::of_copies(row.address.kind)
                .is_none_or(|feature| can.is_some_and(|can| can.features.contains(&feature)));
            let sight = match sightings.of(row) {
                _ if !lists => Sight::Unseen,
                _ if can.is_some_and(|can| !can.creates) => Sight::Untold,
                Sight::Gone if used_as_it_is(input, row) => Sight::Untold,
                sight => sight,
            };
            rows.push(Row { now, was: Some(row), sight });
        }
        add_strays(&mut rows, sightings.strays(input));
        rows.sort_by(|a, b| a.now.address.cmp(&b.now.address).then(a.now.generation.cmp(&b.now.generation)));
        for pair in rows.windows(2) {
            twice(&pair[0], &pair[1])?;
        }
        let aliases = aliases(&rows);
        Ok((Self { rows, aliases }, notes))
    }

    /// The generations of an object, oldest first.
    pub(crate) fn of(&self, address: &Address) -> Range<usize> {
        let start = self.rows.partition_point(|row| row.now.address < *address);
        let rest = &self.rows[start..];
        start..start + rest.iter().take_while(|row| row.now.address == *address).count()
    }

    /// Whether an attachment seen in a cloud is the wanted one, though its host may carry an old address there.
    pub(crate) fn same_host(&self, seen: &Address, wanted: &Address) -> bool {
        seen == wanted || self.aliases.get(seen) == Some(wanted)
    }
}

/// Whether a network of others that we use is still there, though it is not listed among the objects of the account.
fn used_as_it_is(input: &PlanInput, row: &Recorded) -> bool {
    let networks = input.markets.get(&row.provider).map_or(&[][..], |market| &market.networks);
    row.adopted
        && row.spec.kind() == Kind::Network
        && (networks.is_empty() || networks.iter().any(|network| Some(&network.id) == row.id.as_ref()))
}

/// A stray of a generation that is recorded with another id is a double of it. It is filed under generation 0, which no
/// creation uses, and so is deleted as a leftover; a second double waits for the next plan.
fn add_strays<'a>(rows: &mut Vec<Row<'a>>, strays: Vec<Row<'a>>) {
    if strays.is_empty() {
        return;
    }
    let mut known: BTreeSet<(Address, u32)> =
        rows.iter().map(|row| (row.now.address.clone(), row.now.generation)).collect();
    for mut row in strays {
        if known.contains(&(row.now.address.clone(), row.now.generation)) {
            row.now.to_mut().generation = 0;
        }
        if known.insert((row.now.address.clone(), row.now.generation)) {
            rows.push(row);
        }
    }
}

fn twice(a: &Row<'_>, b: &Row<'_>) -> Result<(), PlanError> {
    if a.now.address != b.now.address {
        return Ok(());
    }
    let moved = |row: &Row<'_>| row.was.filter(|was| was.address != row.now.address).map(|was| was.address.clone());
    if let Some(from) = moved(a).xor(moved(b)).or_else(|| moved(a).filter(|from| moved(b).as_ref() != Some(from))) {
        return Err(PlanError::MoveConflict { from, to: a.now.address.clone() });
    }
    if a.now.generation == b.now.generation {
        let (address, generation) = (a.now.address.clone(), a.now.generation);
        return Err(PlanError::RecordedTwice { address, generation });
    }
    Ok(())
}

fn aliases(rows: &[Row<'_>]) -> BTreeMap<Address, Address> {
    let hosts = rows.iter().filter(|row| row.now.address.kind == Kind::Host);
    let of = |row: &Row<'_>| {
        let owner = row.sight.there()?.owner.as_ref()?;
        (owner.address != row.now.address).then(|| (owner.address.clone(), row.now.address.clone()))
    };
    hosts.filter_map(of).collect()
}

/// What was seen, by id and by token; each object is handed out once.
struct Sightings<'a> {
    providers: BTreeMap<&'a Name, Listing<'a>>,
}

struct Listing<'a> {
    objects: &'a [Observed],
    /// Sorted by id.
    ids: Vec<u32>,
    taken: Vec<bool>,
}

impl<'a> Sightings<'a> {
    fn new(seen: &'a Seen) -> Self {
        let listing = |(name, objects): (&'a Name, &'a Vec<Observed>)| {
            let mut ids: Vec<u32> = (0..).take(objects.len()).collect();
            ids.sort_unstable_by(|a, b| objects[*a as usize].id.cmp(&objects[*b as usize].id));
            (name, Listing { objects, ids, taken: vec![false; objects.len()] })
        };
        Self { providers: seen.providers.iter().map(listing).collect() }
    }

    fn of(&mut self, row: &Recorded) -> Sight<'a> {
        let Some(listing) = self.providers.get_mut(&row.provider) else { return Sight::Unseen };
        let found = match &row.id {
            Some(id) => listing.by_id(id, row.spec.kind()),
            // Rare: the engine settles these first, so a walk through the list will do.
            None => listing.objects.iter().position(|o| o.owner.as_ref().is_some_and(|w| w.token == row.token)),
        };
        match found {
            Some(at) => {
                listing.taken[at] = true;
                Sight::There(&listing.objects[at])
            }
            None => Sight::Gone,
        }
    }

    /// Objects of ours that are not recorded: their rows were lost, or their creation was cut off.
    fn strays(self, input: &'a PlanInput) -> Vec<Row<'a>> {
        let mut out = Vec::new();
        for (provider, listing) in self.providers {
            for (object, taken) in listing.objects.iter().zip(&listing.taken) {
                let Some(owner) = &object.owner else { continue };
                let ours = owner.lineage == input.lineage && owner.address.kind == object.spec.kind();
                if *taken || !ours || object.status == Status::Deleting {
                    continue;
                }
                let now = Cow::Owned(recorded(input, provider, object, owner));
                out.push(Row { now, was: None, sight: Sight::There(object) });
            }
        }
        out
    }
}

impl Listing<'_> {
    fn by_id(&self, id: &str, kind: Kind) -> Option<usize> {
        let start = self.ids.partition_point(|at| &*self.objects[*at as usize].id < id);
        let same = self.ids[start..].iter().take_while(|at| &*self.objects[**at as usize].id == id);
        // Ids need not be unique over kinds.
        same.map(|at| *at as usize).find(|at| self.objects[*at].spec.kind() == kind)
    }
}

/// The row that a lost object gets.
fn recorded(input: &PlanInput, provider: &Name, object: &Observed, owner: &pool_inventory::object::Owner) -> Recorded {
    let host = owner.address.host_below().unwrap_or_else(|| owner.address.clone());
    let pool = super::roster::pool_of(&input.desired, &host.name);
    let spec = pool.and_then(|name| input.desired.pools.get(name));
    let network = input.desired.networks.get(&*owner.address.name);
    let tenant = match owner.address.kind {
        Kind::Network => network.map(|n| &n.tenant),
        _ => spec.map(|s| &s.tenant),
    };
    let fallback = || input.desired.tenants.keys().next().unwrap_or(&input.desired.inventory).clone();
    let volume = |s: &pool_inventory::desired::PoolSpec| {
        let name: Option<Text> = owner.address.name.split_once('.').map(|(_, v)| v.into());
        name.and_then(|v| s.volumes.get(v.split('.').next()?)).is_some_and(|v| v.protected)
    };
    let needs = match &object.spec {
        Spec::Host(host) => host.network.iter().map(|n| Address::network(n)).collect(),
        // A snapshot goes before its volume; a backup outlives it.
        Spec::Snapshot(_) => owner.address.volume_of_copy().into_iter().collect(),
        Spec::Volume(_) | Spec::Network(_) | Spec::Backup(_) => Vec::new(),
    };
    Recorded {
        address: owner.address.clone(),
        generation: owner.generation,
        tenant: tenant.cloned().unwrap_or_else(fallback),
        pool: pool.cloned(),
        provider: provider.clone(),
        id: Some(object.id.clone()),
        token: owner.token.clone(),
        attempt: 0,
        spec: object.spec.clone(),
        endpoint: object.endpoint.clone(),
        bootstrapped: None,
        adopted: false,
        protected: spec.is_some_and(|s| s.protected || volume(s)),
        needs,
        price: super::tiers::price_of(input, provider, &object.spec),
        serial: 0,
        created: 0,
        member: None,
    }
}
