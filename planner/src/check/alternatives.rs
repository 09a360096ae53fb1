//! Where a host goes when its place is sold out would do as well, and its volumes can follow it.

use std::collections::BTreeMap;

use pool_inventory::{
    Address, Name, Text,
    desired::PoolSpec,
    market::Feature,
    object::{HostSpec, Spec, VolumeSpec, charges},
};

use super::{
    Notes, Rule,
    facts::Facts,
    place::{Offers, serves, spot_unfit},
};
use crate::{
    input::access,
    plan::{Action, Alternative, NewRecord, Step},
};

pub(super) fn check(facts: &Facts<'_>, offers: &Offers<'_>, step: &Step, host: &HostSpec, notes: &mut Notes) {
    let Action::Create { record, group: Some(group), .. } = &step.action else { return };
    let group = &facts.plan.groups[group.0 as usize];
    // Once per group is enough for what does not depend on the host.
    let first = group.hosts.first() == Some(&step.address.name);
    let Some(pool) = record.pool.as_ref().and_then(|pool| facts.input.desired.pools.get(pool)) else { return };
    let bound = super::together::bound(&facts.input.desired, pool, record.pool.as_ref());
    for other in &group.alternatives {
        let mut wrong = |detail: String| {
            notes.add(Rule::Place, Some(step.id), Some(&step.address), format!("alternative: {detail}"));
        };
        let unfit = || spot_unfit(facts, offers, &other.provider, &other.host, pool);
        if let Some(detail) = Some(()).filter(|()| first).and_then(|()| unfit()) {
            wrong(detail);
        }
        if other.host.address.is_some() {
            wrong("it has an address of its own".into());
        }
        let spot = (&other.provider, &other.host.region, &other.host.zone);
        let away = spot != (&step.provider, &host.region, &host.zone);
        if away && bound {
            wrong("it is in another zone".into());
        }
        if other.provider != step.provider
            && let Err(detail) = abroad(facts, step, other, (pool, record))
        {
            wrong(detail.into());
        }
        if (away && !pool.volumes.is_empty() || !other.volumes.is_empty())
            && let Err(detail) = followed(facts, step, other, pool)
        {
            wrong(detail);
        }
    }
}

/// Whether a host may go to another provider.
fn abroad(
    facts: &Facts<'_>,
    step: &Step,
    other: &Alternative,
    (pool, record): (&PoolSpec, &NewRecord),
) -> Result<(), &'static str> {
    let (plan, input) = (facts.plan, facts.input);
    let declared = input.desired.providers.get(&other.provider);
    if declared.is_none() || plan.providers.get(&other.provider) != declared {
        return Err("its provider is not in the plan as it is declared");
    }
    if pool.network.is_some() {
        return Err("its network is not at that provider");
    }
    let can = |provider: &Name, what| input.capabilities.get(provider).is_some_and(|can| can.features.contains(&what));
    let mounts = pool.volumes.values().any(|volume| volume.mount.is_some());
    if mounts && can(&other.provider, Feature::Mounts) != can(&step.provider, Feature::Mounts) {
        return Err("volumes are mounted by others there");
    }
    let Some(name) = &record.pool else { return Ok(()) };
    let Some(bootstrap) = plan.bootstraps.get(name) else { return Ok(()) };
    let way = bootstrap.elsewhere.get(&other.provider);
    let same = access(&input.desired, name, "", &other.provider) == way;
    if same { Ok(()) } else { Err("the plan does not say how to log in there") }
}

/// Whether all volumes of a host are made where it goes, and only then.
fn followed(facts: &Facts<'_>, step: &Step, other: &Alternative, pool: &PoolSpec) -> Result<(), String> {
    if !other.volumes.keys().eq(pool.volumes.keys()) {
        return Err("not all volumes follow, or others do".into());
    }
    for (name, volume) in &pool.volumes {
        let follower = &other.volumes[name];
        let address = Address::volume(&step.address.name, name);
        let there = facts.newest(&address).is_some();
        if there || volume.from.is_some() {
            return Err(format!("{address} cannot be made elsewhere"));
        }
        let tier = facts.input.desired.tiers.get(&volume.tier);
        let serving = |tier| serves(facts, &other.provider, &follower.backend, tier, &other.host.zone);
        if !tier.is_some_and(serving) {
            return Err(format!("the backend of {address} does not serve its tier there"));
        }
        let declared = facts.input.desired.backends.get(&*follower.backend);
        if declared.is_some() && facts.plan.backends.get(&*follower.backend) != declared {
            return Err(format!("the backend of {address} is not in the plan"));
        }
        if facts.maker(&address).is_some_and(|maker| !maker.needs.contains(&step.id)) {
            return Err(format!("{address} does not wait for its host"));
        }
    }
    Ok(())
}

/// What hosts that go elsewhere may add to each account beyond what their steps add.
pub(super) fn beyond(facts: &Facts<'_>) -> BTreeMap<Text, i128> {
    // Hosts of a group that are planned alike are looked at once.
    let mut alike: BTreeMap<(u32, Vec<&str>), (&Step, i128)> = BTreeMap::new();
    for step in &facts.plan.steps {
        let Action::Create { spec: Spec::Host(host), record, group: Some(group) } = &step.action else { continue };
        let mut key: Vec<&str> = vec![&host.region, &host.zone, &host.offering];
        key.extend(host.root.as_ref().map(|root| &*root.backend));
        for maker in volume_steps(facts, step, record) {
            key.extend(super::envelope::spec(&maker.action).and_then(Spec::volume).map(|volume| &*volume.backend));
        }
        alike.entry((group.0, key)).or_insert((step, 0)).1 += 1;
    }
    let mut out: BTreeMap<Text, i128> = BTreeMap::new();
    for ((group, _), (step, hosts)) in alike {
        let Some(group) = facts.plan.groups.get(group as usize) else { continue };
        for (account, more) in more(facts, step, &group.alternatives) {
            *out.entry(account).or_default() += more * hosts;
        }
    }
    out
}

/// What a host may add beyond its own step, per account: at the alternative that adds most.
fn more(facts: &Facts<'_>, step: &Step, others: &[Alternative]) -> BTreeMap<Text, i128> {
    let mut most: BTreeMap<Text, i128> = BTreeMap::new();
    let Action::Create { spec, record, .. } = &step.action else { return most };
    let mut host = sums(charges(spec, &record.tenant, &step.provider, record.price, false));
    let alone = host.clone();
    for maker in volume_steps(facts, step, record) {
        if let Action::Create { spec, record, .. } = &maker.action {
            for (account, amount) in charges(spec, &record.tenant, &maker.provider, record.price, false) {
                *host.entry(account).or_default() += amount;
            }
        }
    }
    for other in others {
        let spec = Spec::Host(other.host.clone());
        let mut there = charges(&spec, &record.tenant, &other.provider, other.price, false);
        there.extend(followers(facts, record, other));
        let own = if other.volumes.is_empty() { &alone } else { &host };
        for (account, amount) in sums(there) {
            let more = i128::from(amount) - i128::from(own.get(&account).copied().unwrap_or(0));
            let known = most.entry(account).or_default();
            *known = (*known).max(more);
        }
    }
    most
}

/// The steps that make the volumes of a host.
fn volume_steps<'f>(facts: &'f Facts<'_>, step: &'f Step, record: &'f NewRecord) -> impl Iterator<Item = &'f Step> {
    let pool = record.pool.as_ref().and_then(|pool| facts.input.desired.pools.get(pool));
    let names = pool.into_iter().flat_map(|pool| pool.volumes.keys());
    let maker = |name: &Name| facts.maker(&Address::volume(&step.address.name, name)).map(|maker| maker.id);
    names.filter_map(maker).filter_map(|id| facts.plan.steps.get(id.0 as usize))
}

/// What the volumes take that follow a host.
fn followers(facts: &Facts<'_>, record: &NewRecord, other: &Alternative) -> Vec<(Text, u64)> {
    let pool = record.pool.as_ref().and_then(|pool| facts.input.desired.pools.get(pool));
    let of = |(name, volume): (&Name, &pool_inventory::desired::PoolVolume)| {
        let follower = other.volumes.get(name)?;
        let spec = Spec::Volume(VolumeSpec {
            tier: volume.tier.clone(),
            backend: follower.backend.clone(),
            zone: other.host.zone.clone(),
            size: volume.size,
            provisioning: facts.input.desired.tiers.get(&volume.tier)?.provisioning,
            tags: BTreeMap::new(),
            attached: None,
            on_remove: volume.on_remove,
            from: None,
            existing: None,
        });
        Some(charges(&spec, &record.tenant, &other.provider, follower.price, false))
    };
    pool.into_iter().flat_map(|pool| &pool.volumes).filter_map(of).flatten().collect()
}

fn sums(amounts: Vec<(Text, u64)>) -> BTreeMap<Text, u64> {
    let mut all: BTreeMap<Text, u64> = BTreeMap::new();
    for (account, amount) in amounts {
        *all.entry(account).or_default() += amount;
    }
    all
}
