//! The places where a host of a pool may be: one set of rules, computed once for all hosts with the same wish.

use std::collections::{BTreeMap, btree_map::Entry};

use pool_inventory::{
    Address, Bytes, Money, Name, Text,
    desired::{Optimize, PlacePattern, PoolSpec, Size, Spread},
    market::{BackendOffer, Feature, Market, Offering},
    names::wildcard,
    object::{HostSpec, RootDisk, Spec},
};

use super::{
    asks::{asked, barred, console, image_of, lacking, login, machine, too_dear, too_small},
    ledger::{Charges, Ledger},
    tiers::{Tiers, volume_price},
};
use crate::{error::PlanError, input::PlanInput, plan::Refusal};

/// How long a remembered stock-out keeps a place from being tried again: clouds refill within minutes, and a plan that
/// tries a dry place costs a failed call and a wait.
pub(crate) const STOCK_OUT_SECONDS: i64 = 600;

/// How long after that a place is tried last of all.
const LAST_SECONDS: i64 = 1_800;

/// How long it is tried after those that are as good; then the stock-out is forgotten.
const FADED_SECONDS: i64 = 6 * 3_600;

/// How a stock-out that is remembered and does not close a place any more counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Doubt {
    /// None is remembered.
    None,
    /// Places that are as good come first.
    Fading,
    /// All other places come first.
    Last,
}

/// A place and machine size that satisfies every static rule.
pub(crate) struct Spot<'a> {
    pub provider: &'a Name,
    pub offering: &'a Offering,
    /// Index of the provider and of the offering in its market: the key of its stock.
    pub stock: (u32, u32),
    pub rank: u32,
    pub doubt: Doubt,
    /// What a host has there: all of the offering, or the wished size where offerings are elastic.
    pub size: Size,
    pub image: Text,
    pub user: Text,
    /// The volume that a host boots from there.
    pub root: Option<RootDisk>,
    /// What machine and volume to boot from cost per hour.
    pub price: Money,
    /// The price, with what the volumes cost at their first backends: what places are compared by.
    pub cost: Money,
    /// Whether host keys are read from the console.
    pub console: bool,
    /// What hosts are counted by for spreading.
    pub domain: u32,
    pub charges: Charges,
}

/// All places for one wish, best first.
pub(crate) struct Family<'a> {
    pub spots: Vec<Spot<'a>>,
    pub refusals: Vec<Refusal>,
    /// Providers, regions and zones that hosts are spread over.
    pub domains: BTreeMap<(Text, Text, Text), u32>,
}

/// The position in `on` of the first pattern that allows the place; 0 where every place is allowed.
pub(crate) fn rank(on: &[PlacePattern], provider: &str, region: &str, zone: &str) -> Option<u32> {
    if on.is_empty() {
        return Some(0);
    }
    let allows = |pattern: &PlacePattern| {
        let mut parts = pattern.0.split('/');
        let fits = |part: Option<&str>, text: &str| part.is_none_or(|p| wildcard(p, text));
        fits(parts.next(), provider) && fits(parts.next(), region) && fits(parts.next(), zone)
    };
    on.iter().position(allows).and_then(|at| u32::try_from(at).ok())
}

/// Whether `on` allows some place of the provider.
pub(crate) fn allows_provider(on: &[PlacePattern], provider: &str) -> bool {
    let first = |pattern: &PlacePattern| wildcard(pattern.0.split('/').next().unwrap_or(""), provider);
    on.is_empty() || on.iter().any(first)
}

/// What a family is built with.
pub(crate) struct Builder<'p, 'a> {
    pub input: &'a PlanInput,
    pub ledger: &'p Ledger,
    pub tiers: &'p mut Tiers<'a>,
    pub pool: &'p Name,
    pub spec: &'a PoolSpec,
}

impl<'a> Builder<'_, 'a> {
    /// Looks at every offering of every provider.
    pub(crate) fn build(mut self) -> Result<Family<'a>, PlanError> {
        let mut family = Family { spots: Vec::new(), refusals: Vec::new(), domains: BTreeMap::new() };
        for (index, provider) in (0..).zip(self.input.desired.providers.keys()) {
            match self.provider(provider) {
                Ok((market, image)) => self.zones(&mut family, index, provider, market, &image)?,
                Err(why) => family.refusals.push(Refusal { candidate: provider.as_str().into(), why }),
            }
        }
        let seed = self.input.seed;
        let key = |spot: &Spot<'a>| {
            let (rank, price) = (i64::from(spot.rank), spot.cost.0);
            let first = match self.spec.place.optimize {
                Optimize::Prefer | Optimize::Balance | Optimize::Pack => (rank, price),
                Optimize::Cost => (price, rank),
            };
            // Where nothing has a price, no more is taken than is needed.
            let size = (spot.size.vcpus, spot.size.memory, spot.size.disk);
            (spot.doubt == Doubt::Last, first, size, spot.doubt, tie(seed, spot))
        };
        family.spots.sort_by_cached_key(key);
        Ok(family)
    }

    /// The rules that a provider passes or fails as a whole.
    fn provider(&self, provider: &Name) -> Result<(&'a Market, Text), Text> {
        if !allows_provider(&self.spec.place.on, provider) {
            return Err("not in place.on".into());
        }
        let capabilities = self.input.capabilities.get(provider).ok_or("not known")?;
        if !capabilities.creates {
            return Err("only takes hosts that exist".into());
        }
        let market = self.input.markets.get(provider).filter(|_| self.input.seen.providers.contains_key(provider));
        let market = market.ok_or("was not reached")?;
        let image = self.image(provider, market)?;
        if let Some(network) = &self.spec.network
            && !self.input.desired.networks.get(network).is_some_and(|n| n.on.contains(provider))
        {
            return Err(format!("network {network} is not on it").into());
        }
        let mut asked = asked(self.spec);
        if console(self.input, self.pool, provider) {
            asked.insert(Feature::ConsoleKeys);
        }
        let lacking = lacking(&asked, &capabilities.features);
        if !lacking.is_empty() {
            let words: Vec<&str> = lacking.iter().map(|feature| feature.describe()).collect();
            return Err(format!("cannot do {}", words.join(", ")).into());
        }
        Ok((market, image))
    }

    fn image(&self, provider: &Name, market: &Market) -> Result<Text, Text> {
        image_of(self.input, self.spec, provider, market)
    }

    fn zones(
        &mut self,
        family: &mut Family<'a>,
        index: u32,
        provider: &'a Name,
        market: &'a Market,
        image: &Text,
    ) -> Result<(), PlanError> {
        let user = login(self.input, self.pool, provider);
        let console = console(self.input, self.pool, provider);
        let mut places: BTreeMap<(&Text, &Text), Option<(u32, Money)>> = BTreeMap::new();
        let mut dry: BTreeMap<(&Text, Text), usize> = BTreeMap::new();
        for (at, offering) in (0..).zip(&market.offerings) {
            let place = (&offering.region, &offering.zone);
            if let Entry::Vacant(unknown) = places.entry(place) {
                unknown.insert(self.place(family, provider, place)?);
            }
            let Some((rank, beside)) = places[&place] else { continue };
            let (size, small) = self.size(offering);
            if let Some(why) = barred(self.input, provider, self.spec, offering).or(small) {
                *dry.entry((&offering.name, why)).or_default() += 1;
                continue;
            }
            let (roots, dear): (Vec<_>, Vec<_>) = self
                .roots(provider, &offering.zone)?
                .into_iter()
                .partition(|(_, price)| too_dear(self.spec, offering.price + *price).is_none());
            for why in dear.into_iter().filter_map(|(_, price)| too_dear(self.spec, offering.price + price)) {
                *dry.entry((&offering.name, why)).or_default() += 1;
            }
            if roots.is_empty() {
                continue;
            }
            // A place that is sold out counts for spreading all the same.
            let domain = domain(family, self.spec.place.spread, provider, offering);
            if let Some(why) = self.stock(provider, offering) {
                let candidate = format!("{provider}/{}/{}", offering.zone, offering.name).into();
                family.refusals.push(Refusal { candidate, why });
                continue;
            }
            for (root, price) in roots {
                let spot = Spot {
                    provider,
                    offering,
                    stock: (index, at),
                    rank,
                    doubt: doubt(self.input, provider, offering),
                    size,
                    image: image.clone(),
                    user: user.clone(),
                    root,
                    price: offering.price + price,
                    cost: offering.price + beside,
                    console,
                    domain,
                    charges: Charges::new(),
                };
                let spec = Spec::Host(spot.host(self.spec, &Vec::new()));
                let charges = self.ledger.price_of(&spec, &self.spec.tenant, provider, spot.price, false);
                family.spots.push(Spot { charges, ..spot });
            }
        }
        // The same offering does not do in every zone: say it once.
        for ((name, why), _) in dry {
            family.refusals.push(Refusal { candidate: format!("{provider}/*/{name}").into(), why });
        }
        Ok(())
    }

    /// The rules that a zone passes or fails; its rank in `on`, and what the volumes of a host cost there.
    fn place(
        &mut self,
        family: &mut Family<'a>,
        provider: &'a Name,
        (region, zone): (&'a Text, &'a Text),
    ) -> Result<Option<(u32, Money)>, PlanError> {
        let candidate = || Text::from(format!("{provider}/{zone}"));
        let Some(rank) = rank(&self.spec.place.on, provider, region, zone) else {
            family.refusals.push(Refusal { candidate: candidate(), why: "not in place.on".into() });
            return Ok(None);
        };
        let mut beside = Money::ZERO;
        let volumes = self.spec.volumes.values().map(|volume| (&volume.tier, volume.size));
        let disk = self.spec.size.map_or(Bytes(0), |size| size.disk);
        for (name, size) in volumes.chain(self.spec.root.iter().map(|root| (root, disk))) {
            let tier = tier_of(self.input, self.pool, name)?;
            let serving = self.tiers.serving(self.input, provider, zone, name, tier);
            let Some(first) = serving.offers.first() else {
                let why = no_backend(name, &serving.refusals);
                family.refusals.push(Refusal { candidate: candidate(), why });
                return Ok(None);
            };
            beside = beside + volume_price(first, size);
        }
        Ok(Some((rank, beside)))
    }

    /// The volumes that a host may boot from in a zone, best first, with their prices.
    fn roots(&mut self, provider: &Name, zone: &Text) -> Result<Vec<(Option<RootDisk>, Money)>, PlanError> {
        let Some(name) = &self.spec.root else { return Ok(vec![(None, Money::ZERO)]) };
        let tier = tier_of(self.input, self.pool, name)?;
        let size = self.spec.size.map_or(Bytes(0), |size| size.disk);
        let serving = self.tiers.serving(self.input, provider, zone, name, tier);
        let root = |offer: &&BackendOffer| {
            let disk = RootDisk { tier: name.clone(), backend: offer.name.clone(), size };
            (Some(disk), volume_price(offer, size))
        };
        Ok(serving.offers.iter().map(root).collect())
    }

    /// What a host has there, and why that is not enough.
    fn size(&self, offering: &Offering) -> (Size, Option<Text>) {
        match machine(self.spec) {
            None => (offering.size, None),
            Some(wanted) => {
                let size = if offering.elastic { wanted } else { offering.size };
                (size, too_small(&offering.size, &wanted))
            }
        }
    }

    fn stock(&self, provider: &Name, offering: &Offering) -> Option<Text> {
        // Where classes count, somebody may give a machine back.
        if offering.stock == Some(0) && !super::classes::ranked(self.input) {
            return Some("none left".into());
        }
        remembered(self.input, provider, offering)
    }
}

/// Why a place is not tried because of an earlier stock-out.
pub(crate) fn remembered(input: &PlanInput, provider: &Name, offering: &Offering) -> Option<Text> {
    let ago = sold_out(input, provider, offering)?;
    (ago < STOCK_OUT_SECONDS).then(|| format!("was sold out {ago} s ago").into())
}

/// Seconds since a stock-out was met at a place.
fn sold_out(input: &PlanInput, provider: &Name, offering: &Offering) -> Option<i64> {
    if input.stock_outs.is_empty() {
        return None;
    }
    let key = format!("{provider}/{}/{}", offering.zone, offering.name);
    Some(input.now.saturating_sub(*input.stock_outs.get(&*key)?))
}

/// What is left of a stock-out: the memory of it fades.
fn doubt(input: &PlanInput, provider: &Name, offering: &Offering) -> Doubt {
    match sold_out(input, provider, offering) {
        Some(ago) if ago < LAST_SECONDS => Doubt::Last,
        Some(ago) if ago < FADED_SECONDS => Doubt::Fading,
        _ => Doubt::None,
    }
}

pub(crate) fn tier_of<'a>(
    input: &'a PlanInput,
    pool: &Name,
    tier: &Name,
) -> Result<&'a pool_inventory::desired::TierSpec, PlanError> {
    let missing = || PlanError::Undeclared { address: Address::pool(pool), kind: "tier", name: tier.clone() };
    input.desired.tiers.get(tier).ok_or_else(missing)
}

/// A zone's refusal for want of a backend.
pub(crate) fn no_backend(tier: &Name, refusals: &[Refusal]) -> Text {
    let each: Vec<String> = refusals.iter().map(|r| format!("{} {}", r.candidate, r.why)).collect();
    match each.is_empty() {
        true => format!("no backend for tier {tier}").into(),
        false => format!("no backend for tier {tier}: {}", each.join("; ")).into(),
    }
}

fn domain(family: &mut Family<'_>, spread: Option<Spread>, provider: &Name, offering: &Offering) -> u32 {
    let key = domain_key(spread, provider, &offering.region, &offering.zone);
    let next = u32::try_from(family.domains.len()).unwrap_or(u32::MAX);
    *family.domains.entry(key).or_insert(next)
}

/// What a host at this place is counted by.
pub(crate) fn domain_key(spread: Option<Spread>, provider: &str, region: &Text, zone: &Text) -> (Text, Text, Text) {
    let none = || Text::from("");
    match spread {
        None => (none(), none(), none()),
        Some(Spread::Provider) => (provider.into(), none(), none()),
        Some(Spread::Region) => (provider.into(), region.clone(), none()),
        // Racks are told apart when a machine is chosen.
        Some(Spread::Zone | Spread::Rack) => (provider.into(), region.clone(), zone.clone()),
    }
}

/// Breaks ties: the same for the same seed, whatever else is on offer; then by name.
fn tie(seed: u64, spot: &Spot<'_>) -> ([u8; 8], Text) {
    let name = format!("{}/{}/{}/{}", spot.provider, spot.offering.region, spot.offering.zone, spot.offering.name);
    let hash = blake3::Hasher::new().update(&seed.to_le_bytes()).update(name.as_bytes()).finalize();
    let mut first = [0; 8];
    first.copy_from_slice(&hash.as_bytes()[..8]);
    (first, name.into())
}

impl Spot<'_> {
    /// Provider, region and zone.
    pub(crate) fn at(&self) -> (&str, &str, &str) {
        (self.provider.as_str(), &self.offering.region, &self.offering.zone)
    }

    /// The host that would stand here; its address, if it is to have a chosen one, is its own.
    pub(crate) fn host(&self, spec: &PoolSpec, keys: &[Text]) -> HostSpec {
        HostSpec {
            offering: self.offering.name.clone(),
            region: self.offering.region.clone(),
            zone: self.offering.zone.clone(),
            size: self.size,
            image: self.image.clone(),
            network: spec.network.clone(),
            tags: spec.labels.clone(),
            user: self.user.clone(),
            authorized_keys: keys.to_vec(),
            at: None,
            address: None,
            public: spec.public.clone(),
            apart: spec.place.apart,
            root: self.root.clone(),
            console_keys: self.console,
            existing: None,
            machine: None,
        }
    }
}
