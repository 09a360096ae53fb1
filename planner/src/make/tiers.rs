//! Which backend serves a volume.

use std::{collections::BTreeMap, rc::Rc};

use pool_inventory::{
    Bytes, Money, Name, Text,
    desired::{Provisioning, TierSpec},
    market::{BackendOffer, Capabilities, Feature},
    names::wildcard,
    object::Spec,
};

use crate::{input::PlanInput, plan::Refusal};

/// The backends of one tier at one place, best first, and why the others do not do.
#[derive(Default)]
pub(crate) struct Serving<'a> {
    pub offers: Vec<&'a BackendOffer>,
    pub refusals: Vec<Refusal>,
}

/// Remembers which backends serve which tier where.
#[derive(Default)]
pub(crate) struct Tiers<'a> {
    known: BTreeMap<(Name, Text, Name), Rc<Serving<'a>>>,
}

impl<'a> Tiers<'a> {
    /// The backends that may serve `tier` in a zone of a provider, whatever room they have.
    pub(crate) fn serving(
        &mut self,
        input: &'a PlanInput,
        provider: &Name,
        zone: &Text,
        name: &Name,
        tier: &'a TierSpec,
    ) -> Rc<Serving<'a>> {
        let key = (provider.clone(), zone.clone(), name.clone());
        let found = self.known.entry(key).or_insert_with(|| Rc::new(serving(input, provider, zone, tier)));
        Rc::clone(found)
    }
}

/// The backends that may serve a tier in a zone of a provider, whatever room they have.
pub(crate) fn serving<'a>(input: &'a PlanInput, provider: &Name, zone: &str, tier: &TierSpec) -> Serving<'a> {
    let mut out = Serving::default();
    let Some(market) = input.markets.get(provider) else { return out };
    let capabilities = input.capabilities.get(provider);
    let mut offers: Vec<&BackendOffer> = market.backends.iter().collect();
    offers.sort_by(|a, b| a.name.cmp(&b.name));
    let mut seen = std::collections::BTreeSet::new();
    for pattern in &tier.backends {
        let before = seen.len();
        for offer in offers.iter().filter(|offer| wildcard(pattern, &offer.name)) {
            if !seen.insert(&offer.name) {
                continue;
            }
            match unfit(tier, offer, zone, capabilities) {
                None => out.offers.push(offer),
                Some(why) => out.refusals.push(Refusal { candidate: offer.name.clone(), why }),
            }
        }
        if seen.len() == before && !offers.iter().any(|offer| wildcard(pattern, &offer.name)) {
            let why = format!("not there at {provider}").into();
            out.refusals.push(Refusal { candidate: pattern.clone(), why });
        }
    }
    out
}

/// Why a backend cannot serve a tier in a zone.
fn unfit(tier: &TierSpec, offer: &BackendOffer, zone: &str, capabilities: Option<&Capabilities>) -> Option<Text> {
    if let Some(media) = tier.media
        && offer.media != Some(media)
    {
        let has = offer.media.map_or_else(|| "an unknown medium".to_owned(), |m| format!("{m:?}").to_lowercase());
        return Some(format!("{has}, not {}", format!("{media:?}").to_lowercase()).into());
    }
    if let Some(iops) = tier.min_iops
        && offer.iops.unwrap_or(0) < iops
    {
        return Some(format!("{} operations per second < {iops}", offer.iops.unwrap_or(0)).into());
    }
    if !offer.provisioning.contains(&tier.provisioning) {
        return Some(format!("cannot provision {}", format!("{:?}", tier.provisioning).to_lowercase()).into());
    }
    let enforced = capabilities.is_some_and(|c| c.features.contains(&Feature::EnforcedSize));
    if tier.provisioning == Provisioning::Thick && !enforced {
        return Some(format!("its provider cannot do {}", Feature::EnforcedSize.describe()).into());
    }
    if !offer.zones.is_empty() && !offer.zones.contains(zone) {
        return Some(format!("does not serve zone {zone}").into());
    }
    None
}

/// The price per hour of a volume.
pub(crate) fn volume_price(offer: &BackendOffer, size: Bytes) -> Money {
    let price = i128::from(offer.price.0) * i128::from(size.0) / (1 << 30);
    Money(i64::try_from(price).unwrap_or(i64::MAX))
}

/// The price per hour of an object, as its provider asks today; nothing where the market does not tell.
pub(crate) fn price_of(input: &PlanInput, provider: &Name, spec: &Spec) -> Money {
    let Some(market) = input.markets.get(provider) else { return Money::ZERO };
    let disk = |backend: &Text, size: Bytes| {
        let offer = market.backends.iter().find(|offer| offer.name == *backend);
        offer.map_or(Money::ZERO, |offer| volume_price(offer, size))
    };
    match spec {
        Spec::Host(host) => {
            let same = |o: &&pool_inventory::market::Offering| {
                o.name == host.offering && o.zone == host.zone && o.region == host.region
            };
            let root = host.root.as_ref().map_or(Money::ZERO, |root| disk(&root.backend, root.size));
            market.offerings.iter().find(same).map_or(Money::ZERO, |o| o.price) + root
        }
        Spec::Volume(volume) => disk(&volume.backend, volume.size),
        Spec::Network(_) | Spec::Snapshot(_) | Spec::Backup(_) => Money::ZERO,
    }
}
