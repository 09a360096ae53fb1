//! What a pool asks of a provider, and of a machine.

use std::collections::BTreeSet;

use pool_inventory::{
    Bytes, Kind, Money, Name, Text,
    desired::{BootstrapSpec, Isolation, Needs, PoolSpec, PoolVolume, Size, Trust},
    market::{Feature, Market, Offering},
    names::wildcard,
    units::HOURS_PER_MONTH,
};

use crate::input::{PlanInput, access};

/// Login name that providers set up where no `ssh:` says otherwise.
pub(crate) const DEFAULT_USER: &str = "root";

/// What hosts of a pool that are made need a provider to be able to do, wherever they are.
pub(crate) fn asked(pool: &PoolSpec) -> BTreeSet<Feature> {
    let needs = [
        (Feature::Networks, pool.network.is_some()),
        (Feature::FixedAddresses, !pool.addresses.is_empty()),
        (Feature::PublicAddresses, pool.public.is_some()),
        (Feature::Apart, pool.place.apart.is_some()),
        (Feature::RootDisks, pool.root.is_some()),
    ];
    let needs = needs.into_iter().filter(|(_, needed)| *needed).map(|(feature, _)| feature);
    needs.chain(pool.volumes.values().filter_map(copies)).chain(features(&pool.bootstrap)).collect()
}

/// What a volume with a first content needs.
pub(crate) fn copies(volume: &PoolVolume) -> Option<Feature> {
    let from = volume.from.as_ref()?;
    Some(if from.kind == Kind::Backup { Feature::Backups } else { Feature::Snapshots })
}

/// What a bootstrap needs a provider to be able to do.
pub(crate) fn features(bootstrap: &BootstrapSpec) -> BTreeSet<Feature> {
    let owned = |owner: &Option<Text>, group: &Option<Text>| owner.is_some() || group.is_some();
    let owners = bootstrap.files.values().any(|f| owned(&f.owner, &f.group))
        || bootstrap.artifact_files.values().any(|f| owned(&f.owner, &f.group))
        || bootstrap.directories.values().any(|d| owned(&d.owner, &d.group));
    let contains = bootstrap.runtime.is_some();
    let needs = [
        (Feature::Packages, !bootstrap.packages.is_empty() || contains),
        (Feature::Users, !bootstrap.users.is_empty()),
        (Feature::Services, !bootstrap.services.is_empty() || contains),
        (Feature::Sysctl, !bootstrap.sysctl.is_empty() || bootstrap.node.is_some()),
        (Feature::Owners, owners),
    ];
    needs.into_iter().filter(|(_, needed)| *needed).map(|(feature, _)| feature).collect()
}

/// The features that are needed and not there.
pub(crate) fn lacking(needed: &BTreeSet<Feature>, there: &BTreeSet<Feature>) -> Vec<Feature> {
    needed.difference(there).copied().collect()
}

/// What a pool asks of a machine: with a volume to boot from, the machine's own disk does not matter.
pub(crate) fn machine(pool: &PoolSpec) -> Option<Size> {
    let size = pool.size?;
    Some(if pool.root.is_some() { Size { disk: Bytes(0), ..size } } else { size })
}

/// Why `has` is not enough for `wanted`.
pub(crate) fn too_small(has: &Size, wanted: &Size) -> Option<Text> {
    let text = if has.vcpus < wanted.vcpus {
        format!("{} vCPU < {} vCPU", has.vcpus, wanted.vcpus)
    } else if has.memory < wanted.memory {
        format!("{} memory < {}", has.memory, wanted.memory)
    } else if has.disk < wanted.disk {
        format!("{} disk < {}", has.disk, wanted.disk)
    } else {
        return None;
    };
    Some(text.into())
}

/// Why hosts of a pool may not take an offering, whatever it has.
pub(crate) fn barred(input: &PlanInput, provider: &Name, pool: &PoolSpec, offering: &Offering) -> Option<Text> {
    let allowed = &pool.place.offerings;
    if !allowed.is_empty() && !allowed.iter().any(|pattern| wildcard(pattern, &offering.name)) {
        return Some("not in place.offerings".into());
    }
    if let Some(why) = missing(&pool.needs, offering) {
        return Some(why);
    }
    let isolation = input.desired.tenants.get(&pool.tenant).map(|tenant| tenant.isolation);
    match (&offering.dedicated, isolation) {
        // Where machines are known, each host goes to one that it does not share.
        (None, Some(Isolation::DedicatedHosts)) if !on_machines(input, provider, offering) => {
            Some(format!("shares machines with others, and tenant {} does not", pool.tenant).into())
        }
        (Some(owner), _) if *owner != pool.tenant => Some(format!("dedicated to tenant {owner}").into()),
        _ => None,
    }
}

/// Whether hosts in the zone of an offering stand on physical machines that can be seen.
fn on_machines(input: &PlanInput, provider: &Name, offering: &Offering) -> bool {
    let here = |m: &pool_inventory::market::Machine| m.zone == offering.zone && m.region == offering.region;
    input.markets.get(provider).is_some_and(|market| market.machines.iter().any(here))
}

/// What an offering lacks of what a machine must have besides its size.
fn missing(needs: &Needs, offering: &Offering) -> Option<Text> {
    let text = match (needs.arch, offering.arch) {
        (Some(arch), Some(has)) if arch != has => format!("{}, not {}", has.as_str(), arch.as_str()),
        (Some(arch), None) => format!("is not told to be {}", arch.as_str()),
        _ if offering.gpus < needs.gpus && offering.gpus == 0 => "has no GPU".to_owned(),
        _ if offering.gpus < needs.gpus => format!("{} GPU < {} GPU", offering.gpus, needs.gpus),
        _ => {
            let lacks: Vec<&str> = needs.features.difference(&offering.features).map(|feature| &**feature).collect();
            (!lacks.is_empty()).then(|| format!("is not told to have {}", lacks.join(", ")))?
        }
    };
    Some(text.into())
}

/// Why hosts of a pool may not cost so much per hour. One that stands is not moved because prices do.
pub(crate) fn too_dear(pool: &PoolSpec, price: Money) -> Option<Text> {
    let most = pool.place.max_price?;
    let monthly = Money(price.0.saturating_mul(HOURS_PER_MONTH));
    (monthly > most).then(|| format!("{monthly}/month > {most}/month").into())
}

/// What the provider calls the pool's image.
pub(crate) fn image_of(input: &PlanInput, spec: &PoolSpec, provider: &Name, market: &Market) -> Result<Text, Text> {
    let Some(image) = &spec.image else { return Err("the pool has no image".into()) };
    let name = input.desired.images.get(image).and_then(|images| images.get(provider));
    let name = name.ok_or_else(|| format!("image {image} has no entry for it"))?;
    market.no_image(name).map_or_else(|| Ok(name.clone()), Err)
}

/// The login name that hosts of a pool get at a provider.
pub(crate) fn login(input: &PlanInput, pool: &str, provider: &str) -> Text {
    access(&input.desired, pool, "", provider).map_or_else(|| DEFAULT_USER.into(), |access| access.user.clone())
}

/// Whether host keys of a pool's hosts at a provider are read from their consoles.
pub(crate) fn console(input: &PlanInput, pool: &str, provider: &str) -> bool {
    access(&input.desired, pool, "", provider).is_some_and(|access| access.trust == Trust::Console)
}
