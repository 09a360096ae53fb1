//! Whether a host may stay where it is, and what it should be there.

use std::{net::IpAddr, rc::Rc};

use pool_inventory::{
    Bytes, Kind, Money, Name, Text,
    desired::{NamedHost, PoolSpec, Size},
    market::{Capabilities, Change, Offering},
    object::{Endpoint, HostSpec, Recorded, RootDisk, Spec},
};

use super::{
    HostId, Planner,
    asks::{DEFAULT_USER, barred, console, image_of, login, machine, too_small},
    family::{Spot, no_backend, rank},
    tiers::{Tiers, price_of},
};
use crate::{
    error::PlanError,
    input::{PlanInput, access},
};

/// Where a host stands: hosts of a pool that stand alike are judged once.
pub(crate) type Standing = (Name, Text, Text, Text, Size, Option<RootDisk>);

/// Whether a host may stay where it is.
pub(crate) enum Kept {
    /// It may; this is what it should be there.
    Stays(Box<Spec>),
    /// Its machine is too small or not for sale any more in this size; the place itself is allowed.
    Small,
    /// Its machine may not be taken any more, and why; the place itself is allowed.
    Barred(Text),
    /// The place is not allowed any more, and why.
    Misplaced(Text),
}

impl<'a> Planner<'a> {
    /// Whether the host may stay, and what it should be where it is.
    pub(crate) fn kept(&mut self, pool: usize, row: usize, decl: &'a PoolSpec) -> Rc<Kept> {
        let now = &self.world.rows[row].now;
        let Spec::Host(host) = &now.spec else { return Rc::new(Kept::Misplaced("it is no host".into())) };
        let at = (host.region.clone(), host.zone.clone(), host.offering.clone());
        let key: Standing = (now.provider.clone(), at.0, at.1, at.2, host.size, host.root.clone());
        if let Some(known) = self.kept[pool].get(&key) {
            return Rc::clone(known);
        }
        let found = match &self.pools[pool].name {
            Some(name) => keep(self.input, &mut self.tiers, name, decl, &now.provider, host),
            None => Kept::Misplaced("its pool is not declared".into()),
        };
        let found = Rc::new(found);
        self.kept[pool].insert(key, Rc::clone(&found));
        found
    }

    /// What the host would be with a machine of enough size in its own zone, unless only a new host can be that.
    pub(crate) fn resized(
        &mut self,
        id: HostId,
        row: usize,
        decl: &'a PoolSpec,
    ) -> Result<Option<(Spec, Money)>, PlanError> {
        let family = self.family(id.0)?;
        let keys = self.keys(id.0);
        let address = self.own_address(id, row, decl);
        let now = &self.world.rows[row].now;
        let Some(host) = now.spec.host() else { return Ok(None) };
        let root = root_of(self.input, &mut self.tiers, decl, &now.provider, host).unwrap_or(None);
        let capabilities = self.input.capabilities.get(&now.provider);
        let same_place = |spot: &&Spot<'_>| {
            *spot.provider == now.provider && spot.offering.zone == host.zone && spot.offering.region == host.region
        };
        for spot in family.spots.iter().filter(same_place).filter(|spot| self.stock.left(spot.stock)) {
            let wanted = Spec::Host(HostSpec {
                address,
                root: root.clone(),
                machine: host.machine.clone(),
                ..spot.host(decl, &keys)
            });
            let fields = now.spec.changes(&wanted);
            let gentle = |c: &&Capabilities| fields.iter().all(|f| c.change(Kind::Host, &f.field) < Change::Replace);
            if capabilities.as_ref().is_some_and(gentle) {
                let price = price_of(self.input, &now.provider, &wanted);
                return Ok(Some((wanted, price)));
            }
        }
        Ok(None)
    }

    /// The address that a host that stands is to have: the declared one, else the one that it was asked to have before,
    /// unless that was given to another host of its pool.
    pub(crate) fn own_address(&self, (pool, host): HostId, row: usize, decl: &PoolSpec) -> Option<IpAddr> {
        if let Some(declared) = decl.addresses.get(&self.pools[pool].hosts[host].address.name) {
            return Some(*declared);
        }
        let has = self.world.rows[row].now.spec.host()?.address?;
        decl.addresses.values().all(|given| *given != has).then_some(has)
    }
}

/// The volume that a host is to boot from where it stands: the one that it has, if that still serves the tier.
fn root_of<'a>(
    input: &'a PlanInput,
    tiers: &mut Tiers<'a>,
    decl: &'a PoolSpec,
    provider: &Name,
    host: &HostSpec,
) -> Result<Option<RootDisk>, Text> {
    let Some(tier) = &decl.root else { return Ok(None) };
    let spec = input.desired.tiers.get(tier).ok_or_else(|| format!("there is no tier {tier}"))?;
    let size = decl.size.map_or(Bytes(0), |size| size.disk);
    let serving = tiers.serving(input, provider, &host.zone, tier, spec);
    let has = host.root.as_ref().filter(|root| serving.offers.iter().any(|offer| offer.name == root.backend));
    if let Some(has) = has {
        return Ok(Some(RootDisk { tier: tier.clone(), backend: has.backend.clone(), size: has.size.max(size) }));
    }
    let first = serving.offers.first().ok_or_else(|| no_backend(tier, &serving.refusals))?;
    Ok(Some(RootDisk { tier: tier.clone(), backend: first.name.clone(), size }))
}

/// `PROVIDER/ZONE/OFFERING` of a host.
pub(crate) fn place_of(row: &Recorded) -> Text {
    match &row.spec {
        Spec::Host(host) => format!("{}/{}/{}", row.provider, host.zone, host.offering).into(),
        _ => row.provider.as_str().into(),
    }
}

fn keep<'a>(
    input: &'a PlanInput,
    tiers: &mut Tiers<'a>,
    pool: &Name,
    decl: &'a PoolSpec,
    provider: &Name,
    host: &HostSpec,
) -> Kept {
    if rank(&decl.place.on, provider, &host.region, &host.zone).is_none() {
        return Kept::Misplaced("is not in place.on any more".into());
    }
    let market = input.markets.get(provider);
    let image = match running_image(input, decl, provider, host) {
        Ok(image) => image,
        Err(why) => return Kept::Misplaced(why),
    };
    if let Some(network) = &decl.network
        && !input.desired.networks.get(network).is_some_and(|n| n.on.contains(provider))
    {
        return Kept::Misplaced(format!("network {network} is not on it").into());
    }
    let same = |o: &&Offering| o.name == host.offering && o.zone == host.zone && o.region == host.region;
    let offering = market.and_then(|market| market.offerings.iter().find(same));
    if let Some(why) = offering.and_then(|offering| barred(input, provider, decl, offering)) {
        return Kept::Barred(why);
    }
    let size = match (machine(decl), offering.filter(|o| o.elastic)) {
        (None, _) => host.size,
        (Some(wanted), Some(offering)) if too_small(&offering.size, &wanted).is_none() => wanted,
        (Some(wanted), None) if too_small(&host.size, &wanted).is_none() => host.size,
        _ => return Kept::Small,
    };
    let root = match root_of(input, tiers, decl, provider, host) {
        Ok(root) => root,
        Err(why) => return Kept::Misplaced(why),
    };
    Kept::Stays(Box::new(Spec::Host(HostSpec {
        offering: host.offering.clone(),
        region: host.region.clone(),
        zone: host.zone.clone(),
        size,
        image,
        network: decl.network.clone(),
        tags: decl.labels.clone(),
        user: login(input, pool, provider),
        authorized_keys: input.public_keys.get(pool).into_iter().cloned().collect(),
        at: None,
        address: None,
        public: decl.public.clone(),
        apart: decl.place.apart,
        root,
        console_keys: console(input, pool, provider),
        existing: None,
        machine: None,
    })))
}

/// What the provider calls the pool's image. One that a host runs already need not be on offer any more.
fn running_image(input: &PlanInput, decl: &PoolSpec, provider: &Name, host: &HostSpec) -> Result<Text, Text> {
    let declared = decl.image.as_ref().and_then(|image| input.desired.images.get(image)?.get(provider));
    match declared {
        Some(image) if *image == host.image => Ok(image.clone()),
        _ => image_of(input, decl, provider, input.markets.get(provider).ok_or("was not reached")?),
    }
}

/// What an adopted host is.
pub(crate) fn named_spec(
    input: &PlanInput,
    pool: &Name,
    decl: &PoolSpec,
    host: &str,
    named: &NamedHost,
    provider: &Name,
) -> HostSpec {
    let access = access(&input.desired, pool, host, provider);
    let none = Size { vcpus: 0, memory: pool_inventory::Bytes(0), disk: pool_inventory::Bytes(0) };
    HostSpec {
        offering: "existing".into(),
        region: "".into(),
        zone: "".into(),
        size: decl.size.unwrap_or(none),
        image: "".into(),
        network: None,
        tags: decl.labels.clone(),
        user: access.map_or_else(|| DEFAULT_USER.into(), |access| access.user.clone()),
        authorized_keys: Vec::new(),
        at: Some(Endpoint {
            host: named.address.clone(),
            port: access.map_or(22, |access| access.port),
            host_keys: named.host_key.iter().cloned().collect(),
        }),
        ..HostSpec::default()
    }
}
