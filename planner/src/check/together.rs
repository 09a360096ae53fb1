//! Hosts of a pool are spread as it says, and hosts of two pools share, or do not share, what they should.

use std::collections::{BTreeMap, BTreeSet};

use pool_inventory::{
    Address, Kind, Name,
    desired::{Desired, Hosts, Place, PoolSpec, Spread},
    object::HostSpec,
};

use super::{
    Notes, Rule,
    facts::{Facts, makes},
    place::{allowed, not_theirs, serves, wanted},
};
use crate::plan::Step;

/// Provider, region and zone; less of it at a higher level.
type Key<'a> = (&'a str, &'a str, &'a str);

/// Where a host will stand.
struct Stand<'a> {
    key: Key<'a>,
    /// The step that makes it; none: it stands already.
    step: Option<&'a Step>,
    /// Whether it had to go where its volumes are.
    pinned: bool,
}

/// Whether hosts of a pool may not stand in another zone as well as in their own.
pub(super) fn bound(desired: &Desired, pool: &PoolSpec, name: Option<&Name>) -> bool {
    let names = |place: &Place| {
        name.is_some_and(|name| place.affinity.contains_key(name) || place.anti_affinity.contains_key(name))
    };
    let place = &pool.place;
    place.max_skew.is_some()
        || !place.affinity.is_empty()
        || !place.anti_affinity.is_empty()
        || desired.pools.values().any(|other| names(&other.place))
}

pub(super) fn check(facts: &Facts<'_>, notes: &mut Notes) {
    let pools = &facts.input.desired.pools;
    let ruled = |pool: &PoolSpec| {
        let place = &pool.place;
        place.max_skew.is_some() || !place.affinity.is_empty() || !place.anti_affinity.is_empty()
    };
    if !pools.values().any(ruled) {
        return;
    }
    let stands = stands(facts);
    for (name, pool) in pools {
        let mine = stands.get(name.as_str()).map_or(&[][..], Vec::as_slice);
        if let (Some(level), Some(most)) = (pool.place.spread, pool.place.max_skew) {
            skew(facts, (name, pool), (level, most), mine, notes);
        }
        let declared = |(other, _): &(&Name, &Spread)| pools.contains_key(*other);
        for (other, level) in pool.place.affinity.iter().filter(declared) {
            let theirs = stands.get(other.as_str()).map_or(&[][..], Vec::as_slice);
            together((name, other), *level, mine, theirs, notes);
        }
        for (other, level) in pool.place.anti_affinity.iter().filter(declared) {
            let theirs = stands.get(other.as_str()).map_or(&[][..], Vec::as_slice);
            apart((name, other), *level, mine, theirs, notes);
        }
    }
}

fn at(level: Spread, key: Key<'_>) -> Key<'_> {
    match level {
        Spread::Provider => (key.0, "", ""),
        Spread::Region => (key.0, key.1, ""),
        Spread::Zone | Spread::Rack => key,
    }
}

fn key_of<'a>(provider: &'a Name, host: &'a HostSpec) -> Key<'a> {
    (provider.as_str(), &host.region, &host.zone)
}

/// Where the hosts of each pool will stand.
fn stands<'f>(facts: &'f Facts<'_>) -> BTreeMap<&'f str, Vec<Stand<'f>>> {
    let mut out: BTreeMap<&str, Vec<Stand<'f>>> = BTreeMap::new();
    let mut made: BTreeSet<&Address> = BTreeSet::new();
    for step in facts.plan.steps.iter().filter(|step| makes(&step.action) && step.address.kind == Kind::Host) {
        let (spec, record) = match &step.action {
            crate::plan::Action::Create { spec, record, .. } | crate::plan::Action::Adopt { spec, record } => {
                (spec, record)
            }
            _ => continue,
        };
        made.insert(&step.address);
        if let (Some(host), Some(pool)) = (spec.host(), &record.pool) {
            let declared = facts.input.desired.pools.get(pool);
            let volumes = declared.into_iter().flat_map(|pool| pool.volumes.keys());
            let pinned = volumes.into_iter().any(|name| {
                let address = Address::volume(&step.address.name, name);
                facts.newest(&address).is_some()
            });
            out.entry(pool).or_default().push(Stand { key: key_of(&step.provider, host), step: Some(step), pinned });
        }
    }
    for ((address, generation), row) in &facts.rows {
        let newest = facts.newest(address).is_some_and(|(newest, _)| newest == *generation);
        if !newest || made.contains(address) || facts.gone(row) || facts.remover(address, *generation).is_some() {
            continue;
        }
        if let (Some(host), Some(pool)) = (row.spec.host(), &row.pool) {
            out.entry(pool).or_default().push(Stand { key: key_of(&row.provider, host), step: None, pinned: false });
        }
    }
    out
}

/// Places that hosts of a pool may be in, sold out or not.
fn open<'f>(facts: &'f Facts<'_>, pool: &PoolSpec) -> BTreeSet<Key<'f>> {
    let mut out = BTreeSet::new();
    let (input, desired) = (facts.input, &facts.input.desired);
    for (provider, market) in &input.markets {
        let can = input.capabilities.get(provider);
        let image = pool.image.as_ref().and_then(|image| desired.images.get(image)?.get(provider));
        let network =
            pool.network.as_ref().is_none_or(|n| desired.networks.get(n).is_some_and(|n| n.on.contains(provider)));
        let fits = can.is_some_and(|can| can.creates && wanted(pool).is_subset(&can.features))
            && input.seen.providers.contains_key(provider)
            && image.is_some_and(|image| market.images.contains(image))
            && network;
        for offer in market.offerings.iter().filter(|_| fits) {
            let size = pool.size.unwrap_or_default();
            let large = offer.size.vcpus >= size.vcpus
                && offer.size.memory >= size.memory
                && (pool.root.is_some() || offer.size.disk >= size.disk);
            let suits = pool.needs.arch.is_none_or(|arch| offer.arch == Some(arch))
                && offer.gpus >= pool.needs.gpus
                && pool.needs.features.is_subset(&offer.features)
                && pool.place.max_price.is_none_or(|most| i128::from(offer.price.0) * 730 <= i128::from(most.0));
            let served = pool.volumes.values().map(|volume| &volume.tier).chain(&pool.root).all(|name| {
                let serves = |tier| market.backends.iter().any(|b| serves(facts, provider, &b.name, tier, &offer.zone));
                desired.tiers.get(name).is_some_and(serves)
            });
            // What a volume to boot from costs decides no domain: pools with one are looked at where they have hosts.
            let sure = pool.root.is_none() || pool.place.max_price.is_none();
            if large
                && suits
                && served
                && sure
                && not_theirs(facts, provider, offer, pool).is_none()
                && allowed(pool, provider, &offer.region, &offer.zone)
            {
                out.insert((provider.as_str(), &*offer.region, &*offer.zone));
            }
        }
    }
    out
}

fn skew(
    facts: &Facts<'_>,
    (name, pool): (&Name, &PoolSpec),
    (level, most): (Spread, u32),
    stands: &[Stand<'_>],
    notes: &mut Notes,
) {
    if !matches!(pool.hosts, Hosts::Count(_) | Hosts::Range { .. }) || stands.iter().all(|stand| stand.step.is_none()) {
        return;
    }
    let mut counts: BTreeMap<Key<'_>, u32> = open(facts, pool).into_iter().map(|key| (at(level, key), 0)).collect();
    for stand in stands {
        if let Some(count) = counts.get_mut(&at(level, stand.key)) {
            *count += 1;
        }
    }
    let least = counts.values().min().copied().unwrap_or(0);
    for stand in stands.iter().filter(|stand| !stand.pinned) {
        let Some(step) = stand.step else { continue };
        let here = counts.get(&at(level, stand.key)).copied().unwrap_or(0);
        if here > least.saturating_add(most) {
            let detail = format!("{here} hosts of {name} where it stands, {least} elsewhere, and max_skew is {most}");
            notes.add(Rule::Place, Some(step.id), Some(&step.address), detail);
        }
    }
}

/// New hosts go where the other pool has hosts; whichever of two new pools was first could choose.
fn together(names: (&Name, &Name), level: Spread, mine: &[Stand<'_>], theirs: &[Stand<'_>], notes: &mut Notes) {
    let stray = |these: &[Stand<'_>], those: &[Stand<'_>]| {
        let there: BTreeSet<Key<'_>> = those.iter().map(|stand| at(level, stand.key)).collect();
        let strays = |stand: &&Stand<'_>| stand.step.is_some() && !there.contains(&at(level, stand.key));
        these.iter().find(strays).and_then(|stand| Some((stand.step?.id, stand.step?.address.clone())))
    };
    if mine.is_empty() || theirs.is_empty() {
        return;
    }
    let old = |stands: &[Stand<'_>]| stands.iter().any(|stand| stand.step.is_none());
    let (a, b) = (stray(mine, theirs), stray(theirs, mine));
    let wrong = match (&a, &b) {
        (Some(_), _) if old(theirs) => a,
        (_, Some(_)) if old(mine) => b,
        (Some(_), Some(_)) => a,
        _ => None,
    };
    if let Some((step, address)) = wrong {
        let detail = format!("{} and {} do not stand together", names.0, names.1);
        notes.add(Rule::Place, Some(step), Some(&address), detail);
    }
}

fn apart(names: (&Name, &Name), level: Spread, mine: &[Stand<'_>], theirs: &[Stand<'_>], notes: &mut Notes) {
    for (these, those) in [(mine, theirs), (theirs, mine)] {
        let there: BTreeSet<Key<'_>> = those.iter().map(|stand| at(level, stand.key)).collect();
        for stand in these.iter().filter(|stand| there.contains(&at(level, stand.key))) {
            let Some(step) = stand.step else { continue };
            let detail = format!("{} and {} stand together", names.0, names.1);
            notes.add(Rule::Place, Some(step.id), Some(&step.address), detail);
        }
    }
}
