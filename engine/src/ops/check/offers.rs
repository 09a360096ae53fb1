//! Images, zones, machine sizes and tiers: what pools ask for against what a provider offers.

use std::collections::{BTreeMap, BTreeSet};

use pool_inventory::{
    Bytes, Name, Text,
    desired::{ProviderKind, ProviderSpec},
    market::{BackendOffer, Market},
    names::wildcard,
    object::Spec,
};
use pool_planner::{PlanInput, plan::Refusal};

use super::{Lines, hint, look::Look};

/// Refusals that one line names.
const MOST: usize = 3;

/// The region that the settings name.
pub(super) fn region(name: &Name, spec: &ProviderSpec, market: &Market, lines: &mut Lines) {
    let ProviderKind::Openstack(settings) = &spec.kind else { return };
    let regions: BTreeSet<&Text> = market.offerings.iter().map(|offering| &offering.region).collect();
    let shown = regions.iter().map(|region| &***region).collect::<Vec<_>>().join(", ");
    match &settings.region {
        _ if regions.is_empty() => lines.fail("region", "it offers no machine size", "ask who runs it for flavors"),
        Some(wanted) if !regions.contains(wanted) => {
            let detail = format!("nothing is offered in `{wanted}`; {}", hint(wanted, regions.into_iter()));
            lines.fail("region", detail, format!("correct providers.{name}.region"));
        }
        _ => lines.pass("region", shown),
    }
}

/// Images by the pools that are made from them.
pub(super) fn images(look: &Look, name: &Name, market: &Market, lines: &mut Lines) {
    let mut wanted: BTreeMap<&Name, (Vec<&str>, bool)> = BTreeMap::new();
    for (pool, spec, named) in look.pools(name) {
        if let Some(image) = &spec.image {
            let entry = wanted.entry(image).or_default();
            entry.0.push(pool.as_str());
            entry.1 |= named;
        }
    }
    for (image, (pools, named)) in wanted {
        let subject = format!("image {image}");
        let theirs = look.input.desired.images.get(image).and_then(|entries| entries.get(name));
        match theirs {
            None if named => {
                let detail = format!("images.{image} has no entry for it, and pools {} need one", pools.join(", "));
                lines.fail(subject, detail, format!("write what it calls the image at images.{image}.{name}"));
            }
            None => {}
            Some(theirs) if market.namesakes.contains_key(theirs) => {
                let detail = market.no_image(theirs).map_or_else(String::new, |why| format!("it {why}"));
                lines.fail(subject, detail, format!("write the id at images.{image}.{name}"));
            }
            Some(theirs) if market.images.contains(theirs) => {
                lines.pass(subject, format!("`{theirs}` is there, for {}", pools.join(", ")));
            }
            Some(theirs) => {
                let detail = format!("it has no image `{theirs}`; {}", hint(theirs, market.images.iter()));
                lines.fail(subject, detail, format!("correct images.{image}.{name}, or upload the image"));
            }
        }
    }
}

/// Regions, zones and offerings that `place:` names.
pub(super) fn zones(look: &Look, name: &Name, market: &Market, lines: &mut Lines) {
    let places: BTreeSet<(&Text, &Text)> = market.offerings.iter().map(|o| (&o.region, &o.zone)).collect();
    let mut patterns: BTreeMap<&Text, Vec<&Name>> = BTreeMap::new();
    let mut offerings: BTreeMap<&Text, Vec<&Name>> = BTreeMap::new();
    for (pool, spec, named) in look.pools(name) {
        let here = spec.place.on.iter().map(|on| &on.0).filter(|on| on.split('/').next() == Some(name.as_str()));
        for pattern in here.filter(|on| on.contains('/')) {
            patterns.entry(pattern).or_default().push(pool);
        }
        for pattern in spec.place.offerings.iter().filter(|_| named) {
            offerings.entry(pattern).or_default().push(pool);
        }
    }
    for (pattern, pools) in patterns {
        let mut parts = pattern.split('/').skip(1);
        let (region, zone) = (parts.next(), parts.next());
        let fits = |part: Option<&str>, text: &str| part.is_none_or(|part| wildcard(part, text));
        let found: Vec<&str> =
            places.iter().filter(|(r, z)| fits(region, r) && fits(zone, z)).map(|(_, z)| &***z).collect();
        let subject = format!("place {pattern}");
        if found.is_empty() {
            let known: Vec<Text> = places.iter().map(|(r, z)| format!("{name}/{r}/{z}").into()).collect();
            let detail = format!("there is no such zone; {}", hint(pattern, known.iter()));
            lines.fail(subject, detail, format!("correct pools.{}.place.on", pools[0]));
        } else {
            lines.pass(subject, format!("zones {}", found.join(", ")));
        }
    }
    for (pattern, pools) in offerings {
        if !market.offerings.iter().any(|offering| wildcard(pattern, &offering.name)) {
            let known = market.offerings.iter().map(|offering| &offering.name);
            let detail = format!("there is no offering `{pattern}`; {}", hint(pattern, known));
            lines.fail(format!("offering {pattern}"), detail, format!("correct pools.{}.place.offerings", pools[0]));
        }
    }
}

/// Machine sizes for each pool, whatever else stands in its way.
pub(super) fn sizes(look: &Look, name: &Name, lines: &mut Lines) {
    for (pool, _, named) in look.pools(name) {
        let subject = format!("pool {pool} size");
        let (fit, refusals) = match pool_planner::places(&machines_only(&look.input, name, pool), pool) {
            Ok(found) => found,
            Err(error) => {
                lines.unknown(subject, super::super::chain(&error), "correct the inventory");
                continue;
            }
        };
        match fit.first() {
            Some(best) => {
                let zones: BTreeSet<&str> = fit.iter().map(|fit| &*fit.zone).filter(|zone| !zone.is_empty()).collect();
                let zones: Vec<&str> = zones.into_iter().collect();
                let place = if zones.is_empty() { String::new() } else { format!(", in {}", zones.join(", ")) };
                lines.pass(subject, format!("{} fits{place}", best.offering));
            }
            None if named => {
                let detail = format!("no offering fits: {}", reasons(&refusals));
                lines.fail(subject, detail, format!("correct pools.{pool}.size or pools.{pool}.place"));
            }
            None => {}
        }
    }
}

/// The same world with one provider, where the pool needs no image and no volumes.
fn machines_only(input: &PlanInput, name: &Name, pool: &Name) -> PlanInput {
    let mut input = input.clone();
    input.desired.providers.retain(|other, _| other == name);
    let image = input.desired.pools.get_mut(pool).and_then(|spec| {
        spec.volumes.clear();
        spec.root = None;
        spec.image.clone()
    });
    if let (Some(image), Some(market)) = (image, input.markets.get_mut(name)) {
        let theirs = input.desired.images.entry(image).or_default().entry(name.clone());
        market.images.insert(theirs.or_insert_with(|| "any".into()).clone());
    }
    input
}

fn reasons(refusals: &[Refusal]) -> String {
    let each = refusals.iter().filter(|refusal| &*refusal.why != "not in place.on");
    let each: Vec<String> = each.map(|refusal| format!("{} {}", refusal.candidate, refusal.why)).collect();
    match each.len() {
        0 => "nothing is offered where the pool may be".to_owned(),
        1..=MOST => each.join("; "),
        more => format!("{}; and {} more", each[..MOST].join("; "), more - MOST),
    }
}

/// Tiers that pools use: which backends serve them, and what is left there.
pub(super) fn tiers(look: &Look, name: &Name, market: &Market, lines: &mut Lines) {
    let mut wanted: BTreeMap<&Name, bool> = BTreeMap::new();
    for (_, spec, named) in look.pools(name) {
        for tier in spec.volumes.values().map(|volume| &volume.tier).chain(&spec.root) {
            *wanted.entry(tier).or_default() |= named;
        }
    }
    let zones: BTreeSet<&Text> = market.offerings.iter().map(|offering| &offering.zone).collect();
    for (tier, named) in wanted {
        let mut offers: BTreeMap<&Text, &BackendOffer> = BTreeMap::new();
        let mut refusals: BTreeMap<Text, Text> = BTreeMap::new();
        for zone in &zones {
            let (fit, unfit) = pool_planner::backends(&look.input, name, zone, tier);
            offers.extend(fit.into_iter().map(|offer| (&offer.name, offer)));
            refusals.extend(unfit.into_iter().map(|refusal| (refusal.candidate, refusal.why)));
        }
        let subject = format!("tier {tier}");
        if !offers.is_empty() {
            room(look, name, tier, offers.into_values().collect(), lines);
        } else if named {
            let each: Vec<String> = refusals.iter().map(|(backend, why)| format!("{backend} {why}")).collect();
            let why = if each.is_empty() { "none is declared for it".to_owned() } else { each.join("; ") };
            let known = hint_backend(look, tier, market);
            lines.fail(
                subject,
                format!("no backend serves it: {why}{known}"),
                format!("correct tiers.{tier}.backends"),
            );
        }
    }
}

/// A backend that a slip of the fingers may have meant.
fn hint_backend(look: &Look, tier: &Name, market: &Market) -> String {
    let declared = look.input.desired.tiers.get(tier).map(|spec| spec.backends.as_slice()).unwrap_or_default();
    let known = || market.backends.iter().map(|offer| &*offer.name);
    let near = declared.iter().filter(|pattern| !known().any(|name| wildcard(pattern, name)));
    let mut near = near.filter_map(|pattern| pool_inventory::load::suggest::did_you_mean(pattern, known()));
    near.next().map(|close| format!("; did you mean `{close}`?")).unwrap_or_default()
}

/// What is left for a tier, and what the plan takes of it.
fn room(look: &Look, name: &Name, tier: &Name, offers: Vec<&BackendOffer>, lines: &mut Lines) {
    let subject = format!("tier {tier}");
    let left = |offer: &BackendOffer| offer.capacity.0.saturating_sub(offer.allocated.0);
    let each: Vec<String> = offers.iter().map(|o| format!("{} has {} left", o.name, Bytes(left(o)))).collect();
    let size = |spec: &Spec| match spec {
        Spec::Volume(volume) if volume.tier == *tier => volume.size.0,
        Spec::Host(host) => host.root.iter().filter(|root| root.tier == *tier).map(|root| root.size.0).sum(),
        _ => 0,
    };
    let need: u64 = look.made(name).map(|(_, spec)| size(spec)).fold(0, u64::saturating_add);
    let there: u64 = offers.iter().map(|offer| left(offer)).fold(0, u64::saturating_add);
    match need {
        0 => lines.pass(subject, each.join(", ")),
        need if need <= there => lines.pass(subject, format!("{}; the plan makes {}", each.join(", "), Bytes(need))),
        need => {
            let detail = format!("{}; the plan makes {}: {} short", each.join(", "), Bytes(need), Bytes(need - there));
            lines.fail(subject, detail, "make room, or let another backend serve it");
        }
    }
}
