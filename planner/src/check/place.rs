//! Each new host and volume stands where it may.

use std::collections::{BTreeMap, BTreeSet};

use pool_inventory::{
    Address, Kind, Name, Text,
    desired::{Hosts, Isolation, PoolSpec, Provisioning, TierSpec},
    market::{Change, Feature, Offering},
    names::wildcard,
    object::{HostSpec, Recorded, Spec, VolumeSpec},
    units::HOURS_PER_MONTH,
};

use super::{Notes, Rule, facts::Facts};
use crate::plan::{Action, NewRecord, Reason, Step, StepId};

/// Seconds for which a stock-out is remembered.
const REMEMBERED: i64 = 600;

/// Offerings by provider and place.
pub(super) type Offers<'a> = BTreeMap<(&'a str, HostKey<'a>), &'a Offering>;

pub(super) fn check(facts: &Facts<'_>, notes: &mut Notes) {
    let mut offers: Offers<'_> = BTreeMap::new();
    if facts.plan.steps.iter().any(|step| key(step).is_some()) {
        for (provider, market) in &facts.input.markets {
            for o in &market.offerings {
                offers.insert((provider.as_str(), (&*o.region, &*o.zone, &*o.name)), o);
            }
        }
    }
    let mut taken: BTreeMap<(&Name, &HostKey<'_>), u32> = BTreeMap::new();
    let keys: Vec<(&Step, HostKey<'_>)> = facts.plan.steps.iter().filter_map(key).collect();
    for (step, key) in &keys {
        *taken.entry((&step.provider, key)).or_default() += 1;
    }
    for ((provider, key), count) in taken {
        let stock = offers.get(&(provider.as_str(), *key)).and_then(|offer| offer.stock);
        if stock.is_some_and(|stock| stock + given_back(facts, provider, key) < count) {
            let detail = format!("{count} hosts at {provider}/{}/{}, where fewer are left", key.1, key.2);
            notes.add(Rule::Place, None, None, detail);
        }
    }
    for step in &facts.plan.steps {
        match &step.action {
            Action::Create { spec: Spec::Host(host), record, .. } => {
                if let Some(detail) = host_misplaced(facts, &offers, step, host, record) {
                    notes.add(Rule::Place, Some(step.id), Some(&step.address), detail);
                }
                followed(facts, step, host, notes);
                super::alternatives::check(facts, &offers, step, host, notes);
            }
            Action::Adopt { spec: spec @ (Spec::Host(_) | Spec::Volume(_)), record }
                if !facts.adopts(&step.provider) =>
            {
                if let Some(detail) = taken_wrongly(facts, step, spec, record) {
                    notes.add(Rule::Place, Some(step.id), Some(&step.address), detail);
                }
            }
            Action::Create { spec: Spec::Volume(volume), record, .. } => {
                if let Some(detail) = volume_misplaced(facts, step, volume, record) {
                    notes.add(Rule::Place, Some(step.id), Some(&step.address), detail);
                }
            }
            Action::Update { from, to } => gentle(facts, step, from, to, notes),
            _ => {}
        }
    }
}

/// Machines of a place that hosts give up which go first.
fn given_back(facts: &Facts<'_>, provider: &Name, (region, zone, offering): &HostKey<'_>) -> u32 {
    let there = |host: &HostSpec| (&*host.region, &*host.zone, &*host.offering) == (*region, *zone, *offering);
    let mut given: BTreeSet<StepId> = BTreeSet::new();
    let of = |id: &&StepId| {
        let step = &facts.plan.steps[id.0 as usize];
        let row = facts.rows.get(&(&step.address, step.generation));
        step.provider == *provider
            && matches!((&step.action, &step.reason), (Action::Delete, Reason::GivesWay { .. }))
            && row.and_then(|row| row.spec.host()).is_some_and(there)
    };
    for (step, at) in facts.plan.steps.iter().filter_map(key) {
        if step.provider == *provider && at == (*region, *zone, *offering) {
            // One machine is enough for one host.
            given.extend(step.needs.iter().filter(of).find(|id| !given.contains(id)));
        }
    }
    u32::try_from(given.len()).unwrap_or(u32::MAX)
}

/// What an adoption takes over.
fn existing(spec: &Spec) -> Option<&Text> {
    match spec {
        Spec::Host(host) => host.existing.as_ref(),
        Spec::Volume(volume) => volume.existing.as_ref(),
        _ => None,
    }
}

/// The id that the inventory has for a host, or for a volume of one.
fn declared<'a>(facts: &'a Facts<'_>, address: &Address, record: &NewRecord) -> Option<&'a Text> {
    let Hosts::Named(hosts) = &facts.input.desired.pools.get(record.pool.as_ref()?)?.hosts else { return None };
    match address.name.split_once('.') {
        Some((host, volume)) => hosts.get(host)?.volumes.get(volume),
        None => hosts.get(&*address.name)?.id.as_ref(),
    }
}

/// Why what exists at a provider that makes things may not be taken over: only what was declared and seen there, and is
/// nobody's.
fn taken_wrongly(facts: &Facts<'_>, step: &Step, spec: &Spec, record: &NewRecord) -> Option<&'static str> {
    let Some(id) = existing(spec) else { return Some("its provider takes over only what has an id") };
    if declared(facts, &step.address, record) != Some(id) {
        return Some("what it takes over is not what the inventory names");
    }
    let ours = |row: &Recorded| row.provider == step.provider && row.id.as_ref() == Some(id);
    if facts.input.recorded.iter().any(|row| ours(row) && row.address != step.address && !facts.gone(row)) {
        return Some("what it takes over is recorded under another name");
    }
    let twice = |other: &Step| {
        other.id != step.id
            && other.provider == step.provider
            && matches!(&other.action, Action::Adopt { spec, .. } if existing(spec) == Some(id))
    };
    if facts.plan.steps.iter().any(twice) {
        return Some("what it takes over is taken over twice");
    }
    let can = facts.input.capabilities.get(&step.provider);
    if !can.is_some_and(|can| can.features.contains(&Feature::Adopting)) {
        return Some("its provider takes nothing over");
    }
    let seen = facts.input.seen.providers.get(&step.provider).into_iter().flatten();
    let mut seen = seen.filter(|object| object.id == *id && object.spec.kind() == spec.kind());
    match seen.next() {
        None => Some("what it takes over is not there"),
        Some(object) if object.owner.is_some() => Some("what it takes over is managed already"),
        Some(_) => None,
    }
}

pub(super) type HostKey<'a> = (&'a str, &'a str, &'a str);

fn key(step: &Step) -> Option<(&Step, HostKey<'_>)> {
    match &step.action {
        Action::Create { spec: Spec::Host(host), .. } => Some((step, (&*host.region, &*host.zone, &*host.offering))),
        _ => None,
    }
}

fn host_misplaced(
    facts: &Facts<'_>,
    offers: &Offers<'_>,
    step: &Step,
    host: &HostSpec,
    record: &NewRecord,
) -> Option<String> {
    let desired = &facts.input.desired;
    let Some(pool) = record.pool.as_ref().and_then(|pool| desired.pools.get(pool)) else {
        return Some("no pool asks for it".into());
    };
    if facts.adopts(&step.provider) {
        return Some("its provider makes no hosts".into());
    }
    if declared(facts, &step.address, record).is_some() {
        return Some("it exists, and is to be taken over".into());
    }
    if host.address.as_ref() != pool.addresses.get(&step.address.name) {
        return Some("its address is not the declared one".into());
    }
    spot_unfit(facts, offers, &step.provider, host, pool).or_else(|| {
        let labels = host.tags != pool.labels || record.tenant != pool.tenant || record.protected != pool.protected;
        let needs: Vec<Address> = pool.network.iter().map(|network| Address::network(network)).collect();
        (labels || record.needs != needs).then(|| "its record is not what its pool declares".into())
    })
}

/// Why a host of a pool may not stand there.
pub(super) fn spot_unfit(
    facts: &Facts<'_>,
    offers: &Offers<'_>,
    provider: &Name,
    host: &HostSpec,
    pool: &PoolSpec,
) -> Option<String> {
    let (input, desired) = (facts.input, &facts.input.desired);
    let Some(market) = input.markets.get(provider) else { return Some("its provider has no market".into()) };
    let spot: HostKey<'_> = (&host.region, &host.zone, &host.offering);
    let Some(offered) = offers.get(&(provider.as_str(), spot)) else { return Some("it is not on offer".into()) };
    let enough = |has: &pool_inventory::desired::Size, wants: &pool_inventory::desired::Size| {
        has.vcpus >= wants.vcpus && has.memory >= wants.memory && has.disk >= wants.disk
    };
    if !enough(&offered.size, &host.size) || !offered.elastic && offered.size != host.size {
        return Some("its size is not that of its offering".into());
    }
    let wanted_size = pool.size.map(|size| match pool.root {
        Some(_) => pool_inventory::desired::Size { disk: pool_inventory::Bytes(0), ..size },
        None => size,
    });
    if wanted_size.is_some_and(|wanted| !enough(&host.size, &wanted)) {
        return Some("it is smaller than its pool asks for".into());
    }
    if let Some(why) = not_theirs(facts, provider, offered, pool) {
        return Some(why.into());
    }
    if let Some(why) = unlike(input, provider, offered, host, pool) {
        return Some(why.into());
    }
    if let Some(why) = root_unfit(facts, provider, host, pool) {
        return Some(why.into());
    }
    if host.public != pool.public || host.apart != pool.place.apart || host.existing.is_some() {
        return Some("it is not what its pool declares".into());
    }
    let image = pool.image.as_ref().and_then(|image| desired.images.get(image)?.get(provider));
    if image != Some(&host.image) || market.no_image(&host.image).is_some() {
        return Some("its image is not the declared one, or not on offer".into());
    }
    if !allowed(pool, provider, &host.region, &host.zone) {
        return Some("its place is not in place.on".into());
    }
    if pool.network != host.network {
        return Some("its network is not the declared one".into());
    }
    if let Some(network) = &pool.network
        && !desired.networks.get(network).is_some_and(|n| n.on.contains(provider))
    {
        return Some("its network is not at its provider".into());
    }
    let there = input.capabilities.get(provider).map(|c| &c.features);
    if let Some(feature) = wanted(pool).into_iter().find(|f| !there.is_some_and(|t| t.contains(f))) {
        return Some(format!("its provider cannot do {}", feature.describe()));
    }
    let out = input.stock_outs.get(&*format!("{provider}/{}/{}", host.zone, host.offering));
    let dry = offered.stock == Some(0) && given_back(facts, provider, &spot) == 0;
    if dry || out.is_some_and(|at| input.now.saturating_sub(*at) < REMEMBERED) {
        return Some("it is sold out there".into());
    }
    None
}

/// Why machines of an offering are not for hosts of a pool.
pub(super) fn not_theirs(
    facts: &Facts<'_>,
    provider: &Name,
    offered: &Offering,
    pool: &PoolSpec,
) -> Option<&'static str> {
    let here =
        |machine: &pool_inventory::market::Machine| machine.zone == offered.zone && machine.region == offered.region;
    let on_machines = || facts.input.markets.get(provider).is_some_and(|market| market.machines.iter().any(here));
    let alone = facts.input.desired.tenants.get(&pool.tenant).map(|tenant| tenant.isolation);
    let named = pool.place.offerings.is_empty() || pool.place.offerings.iter().any(|p| wildcard(p, &offered.name));
    match &offered.dedicated {
        _ if !named => Some("its offering is not in place.offerings"),
        Some(tenant) if *tenant != pool.tenant => Some("its offering is dedicated to another tenant"),
        None if alone == Some(Isolation::DedicatedHosts) && !on_machines() => {
            Some("its offering is shared, and its tenant shares none")
        }
        _ => None,
    }
}

/// Whether a place is one that its pool allows.
pub(super) fn allowed(pool: &PoolSpec, provider: &str, region: &str, zone: &str) -> bool {
    let allows =
        |pattern: &str| pattern.split('/').zip([provider, region, zone]).all(|(part, text)| wildcard(part, text));
    pool.place.on.is_empty() || pool.place.on.iter().any(|pattern| allows(&pattern.0))
}

/// Why a machine is not what a pool needs besides its size, or costs more than it may.
fn unlike(
    input: &crate::PlanInput,
    provider: &Name,
    offered: &Offering,
    host: &HostSpec,
    pool: &PoolSpec,
) -> Option<&'static str> {
    let needs = &pool.needs;
    if needs.arch.is_some() && needs.arch != offered.arch {
        return Some("its instruction set is not the declared one");
    }
    if offered.gpus < needs.gpus || !needs.features.is_subset(&offered.features) {
        return Some("its machine lacks what its pool needs");
    }
    let disk = host.root.as_ref().and_then(|root| {
        let offer = input.markets.get(provider)?.backends.iter().find(|backend| backend.name == root.backend)?;
        Some(i128::from(offer.price.0) * i128::from(root.size.0) / (1 << 30))
    });
    let hourly = i128::from(offered.price.0) + disk.unwrap_or(0);
    let most = pool.place.max_price.map(|most| i128::from(most.0));
    most.is_some_and(|most| hourly * i128::from(HOURS_PER_MONTH) > most)
        .then_some("it costs more than a host of its pool may")
}

/// Why the volume that a host boots from is not the declared one.
fn root_unfit(facts: &Facts<'_>, provider: &Name, host: &HostSpec, pool: &PoolSpec) -> Option<&'static str> {
    let (root, name) = match (&host.root, &pool.root) {
        (None, None) => return None,
        (Some(root), Some(name)) if root.tier == *name => (root, name),
        _ => return Some("it does not boot from what its pool declares"),
    };
    if pool.size.is_none_or(|size| size.disk != root.size) {
        return Some("the volume that it boots from has another size");
    }
    let tier = facts.input.desired.tiers.get(name)?;
    (!serves(facts, provider, &root.backend, tier, &host.zone)).then_some("what it boots from does not serve its tier")
}

/// Whether a backend of a provider serves a tier in a zone.
pub(super) fn serves(facts: &Facts<'_>, provider: &Name, backend: &str, tier: &TierSpec, zone: &Text) -> bool {
    let market = facts.input.markets.get(provider);
    let Some(offer) = market.and_then(|market| market.backends.iter().find(|b| *b.name == *backend)) else {
        return false;
    };
    tier.backends.iter().any(|pattern| wildcard(pattern, &offer.name))
        && tier.media.is_none_or(|media| offer.media == Some(media))
        && tier.min_iops.is_none_or(|iops| offer.iops.is_some_and(|has| has >= iops))
        && offer.provisioning.contains(&tier.provisioning)
        && (offer.zones.is_empty() || offer.zones.contains(zone))
}

/// What is changed where it stands can be changed there, and a volume goes to a backend that serves its tier.
fn gentle(facts: &Facts<'_>, step: &Step, from: &Spec, to: &Spec, notes: &mut Notes) {
    let Some(capabilities) = facts.input.capabilities.get(&step.provider) else { return };
    // What the record alone knows.
    let ours = |field: &str| matches!(field, "on_remove" | "tier" | "root.tier" | "trust");
    for change in from.changes(to).into_iter().filter(|change| !ours(&change.field)) {
        if capabilities.change(to.kind(), &change.field) != Change::InPlace {
            let detail = format!("{} cannot change in place there", change.field);
            notes.add(Rule::Place, Some(step.id), Some(&step.address), detail);
        }
    }
    if let (Spec::Volume(from), Spec::Volume(to)) = (from, to)
        && from.backend != to.backend
    {
        let tier = facts.input.desired.tiers.get(&to.tier);
        if !tier.is_some_and(|tier| serves(facts, &step.provider, &to.backend, tier, &to.zone)) {
            notes.add(Rule::Place, Some(step.id), Some(&step.address), "its backend does not serve its tier");
        }
    }
}

/// Features that a pool needs, read off its declaration.
pub(super) fn wanted(pool: &PoolSpec) -> BTreeSet<Feature> {
    let mut out = BTreeSet::new();
    let spec = &pool.bootstrap;
    let mut need = |feature, needed: bool| out.extend(needed.then_some(feature));
    need(Feature::Packages, !spec.packages.is_empty());
    need(Feature::Users, !spec.users.is_empty());
    need(Feature::Services, !spec.services.is_empty());
    need(Feature::Sysctl, !spec.sysctl.is_empty());
    need(Feature::Networks, pool.network.is_some());
    need(Feature::FixedAddresses, !pool.addresses.is_empty());
    need(Feature::PublicAddresses, pool.public.is_some());
    need(Feature::Apart, pool.place.apart.is_some());
    need(Feature::RootDisks, pool.root.is_some());
    let sources = || pool.volumes.values().filter_map(|volume| volume.from.as_ref());
    need(Feature::Backups, sources().any(|from| from.kind == Kind::Backup));
    need(Feature::Snapshots, sources().any(|from| from.kind != Kind::Backup));
    let files = spec.files.values().map(|f| f.owner.is_some() || f.group.is_some());
    let directories = spec.directories.values().map(|d| d.owner.is_some() || d.group.is_some());
    need(Feature::Owners, files.chain(directories).any(|owned| owned));
    out
}

/// A new host stands where those of its volumes are that stay.
fn followed(facts: &Facts<'_>, step: &Step, host: &HostSpec, notes: &mut Notes) {
    let pool = match &step.action {
        Action::Create { record, .. } => record.pool.as_ref().and_then(|pool| facts.input.desired.pools.get(pool)),
        _ => None,
    };
    for name in pool.into_iter().flat_map(|pool| pool.volumes.keys()) {
        let address = Address::volume(&step.address.name, name);
        let Some((generation, row)) = facts.newest(&address) else { continue };
        let stays = row.id.is_some() && !facts.gone(row) && facts.remover(&address, generation).is_none();
        let zone = row.spec.volume().map(|volume| &volume.zone);
        if stays && (row.provider != step.provider || zone != Some(&host.zone)) {
            notes.add(Rule::Place, Some(step.id), Some(&step.address), format!("{address} is elsewhere"));
        }
    }
}

fn volume_misplaced(facts: &Facts<'_>, step: &Step, volume: &VolumeSpec, record: &NewRecord) -> Option<String> {
    let desired = &facts.input.desired;
    let pool = record.pool.as_ref().and_then(|pool| desired.pools.get(pool));
    let name = step.address.name.split_once('.').map_or("", |(_, volume)| volume);
    let Some((pool, declared)) = pool.and_then(|pool| Some((pool, pool.volumes.get(name)?))) else {
        return Some("no pool asks for it".into());
    };
    let Some(tier) = desired.tiers.get(&volume.tier).filter(|_| volume.tier == declared.tier) else {
        return Some("its tier is not the declared one".into());
    };
    if volume.from != declared.from {
        return Some("its first content is not the declared one".into());
    }
    if volume.size != declared.size
        || volume.on_remove != declared.on_remove
        || volume.provisioning != tier.provisioning
        || volume.from != declared.from
    {
        return Some("it is not what its pool declares".into());
    }
    if record.tenant != pool.tenant || record.protected != (pool.protected || declared.protected) {
        return Some("its record is not what its pool declares".into());
    }
    let host = step.address.host_of_volume()?;
    let made = facts.maker(&host).and_then(|maker| Some((&maker.provider, super::envelope::spec(&maker.action)?)));
    let recorded = facts.newest(&host).map(|(_, row)| (&row.provider, &row.spec));
    let Some((provider, host)) = made.or(recorded).and_then(|(provider, spec)| Some((provider, spec.host()?))) else {
        return Some("its host is not there".into());
    };
    if *provider != step.provider || host.zone != volume.zone {
        return Some("it is not where its host is".into());
    }
    let fits = serves(facts, &step.provider, &volume.backend, tier, &volume.zone);
    let enforced = facts.input.capabilities.get(&step.provider);
    let enforced = enforced.is_some_and(|c| c.features.contains(&Feature::EnforcedSize));
    if !fits || tier.provisioning == Provisioning::Thick && !enforced {
        return Some("its backend does not serve its tier".into());
    }
    (step.address.kind != Kind::Volume).then(|| "it is no volume".into())
}
