//! What the cloud offers, and what is left of it.

use std::collections::{BTreeMap, BTreeSet};

use pool_inventory::{
    Name, Text, TimeSpan,
    desired::{Arch, Media, OpenStackSpec, Provisioning, Size},
    market::{BackendOffer, Limit, Market, NetworkOffer, Offering},
    units::Bytes,
};
use serde::Deserialize;

use super::{
    Cloud,
    client::{Client, Service},
    known::{Image, Known, PAGE, VolumeType},
    networks::answers::Network,
};
use crate::ProviderError;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
/// What a quota without a limit comes to.
const ENDLESS: u64 = 1 << 60;

/// A limit and its use, as Nova, Cinder and Neutron say them; -1 is no limit.
#[derive(Debug, Clone, Copy, Deserialize)]
struct Quota {
    limit: i64,
    #[serde(alias = "in_use")]
    used: i64,
    #[serde(default)]
    reserved: i64,
}

impl Quota {
    fn limit(self, unit: u64) -> Option<Limit> {
        Some(Limit { limit: u64::try_from(self.limit).ok()? * unit, used: self.taken() * unit })
    }

    fn taken(self) -> u64 {
        u64::try_from(self.used + self.reserved).unwrap_or(0)
    }
}

/// What is left, asked for each time.
struct Left {
    compute: BTreeMap<Text, i64>,
    storage: BTreeMap<Text, Quota>,
    network: BTreeMap<Text, Quota>,
    networks: Vec<Network>,
    free: BTreeMap<Text, u64>,
}

impl Cloud {
    pub(super) async fn market(&self) -> Result<Market, ProviderError> {
        // Nothing is asked at the same time before the log-in and its cache are there.
        let (known, age) = self.known().await?;
        let left = self.client.left(known.addresses).await?;
        let region = self.client.region().await?;
        let (limits, networks) = (limits(&left), networks(&left));
        self.networks.put_listed(left.networks);
        Ok(Market {
            offerings: offerings(&known, &region, &self.spec),
            backends: backends(&known, &left.storage, &self.name, &self.spec),
            images: known.images.iter().flat_map(|image| image.name.iter().chain([&image.id]).cloned()).collect(),
            namesakes: namesakes(&known.images),
            limits,
            networks,
            machines: Vec::new(),
            age: TimeSpan::secs(age.as_secs()),
        })
    }
}

/// Names that several images share, with their ids.
fn namesakes(images: &[Image]) -> BTreeMap<Text, BTreeSet<Text>> {
    let mut all: BTreeMap<Text, BTreeSet<Text>> = BTreeMap::new();
    for image in images {
        if let Some(name) = &image.name {
            all.entry(name.clone()).or_default().insert(image.id.clone());
        }
    }
    all.retain(|_, ids| ids.len() > 1);
    all
}

impl Client {
    async fn left(&self, addresses: bool) -> Result<Left, ProviderError> {
        #[derive(Deserialize)]
        struct Limits {
            limits: Absolute,
        }
        #[derive(Deserialize)]
        struct Absolute {
            absolute: BTreeMap<Text, i64>,
        }
        #[derive(Deserialize)]
        struct QuotaSet {
            quota_set: BTreeMap<Text, serde_json::Value>,
        }
        #[derive(Deserialize)]
        struct Details {
            quota: BTreeMap<Text, Quota>,
        }
        let project = self.project().await?;
        let (storage, network) = (["os-quota-sets", &project], ["quotas", &project, "details.json"]);
        let free = async {
            match addresses {
                true => self.free_addresses().await,
                false => Ok(BTreeMap::new()),
            }
        };
        let (compute, storage, network, networks, free) = tokio::try_join!(
            self.get::<Limits>(Service::Compute, &["limits"], &[]),
            self.get::<QuotaSet>(Service::BlockStorage, &storage, &[("usage", "true")]),
            self.get::<Details>(Service::Network, &network, &[]),
            self.all::<Network>(Service::Network, &["networks"], "networks", &[("limit", PAGE)]),
            free,
        )?;
        // Beside the quotas stands the project's id.
        let storage = storage.quota_set.into_iter();
        let storage = storage.filter_map(|(what, value)| Some((what, serde_json::from_value(value).ok()?))).collect();
        Ok(Left { compute: compute.limits.absolute, storage, network: network.quota, networks, free })
    }
}

/// What the extra specs of a flavor tell of its machines.
#[derive(Default)]
struct Told {
    arch: Option<Arch>,
    gpus: u32,
    features: BTreeSet<Text>,
}

/// Reads them: `pool:arch`, `pool:gpus` and `pool:features` of whoever runs the cloud, else what the scheduler goes by.
fn told(specs: &BTreeMap<Text, Text>) -> Told {
    let required = |name: &str| specs.get(name).is_some_and(|value| &**value == "required");
    let arch = match specs.get("pool:arch").map(|arch| &**arch) {
        Some("amd64" | "x86_64") => Some(Arch::Amd64),
        Some("arm64" | "aarch64") => Some(Arch::Arm64),
        _ if required("trait:HW_ARCH_X86_64") => Some(Arch::Amd64),
        _ if required("trait:HW_ARCH_AARCH64") => Some(Arch::Arm64),
        _ => None,
    };
    let number = |name: &str| specs.get(name).and_then(|value| value.parse::<u32>().ok());
    let aliases = specs.get("pci_passthrough:alias").map_or("", |aliases| &**aliases).split(',');
    let passed = aliases.filter_map(|alias| alias.trim().split_once(':')).filter(|(name, _)| name.contains("gpu"));
    let passed: u32 = passed.filter_map(|(_, count)| count.parse::<u32>().ok()).fold(0, u32::saturating_add);
    let gpus = number("pool:gpus").unwrap_or_else(|| passed.saturating_add(number("resources:VGPU").unwrap_or(0)));
    let named = specs.get("pool:features").map_or("", |all| &**all).split(',');
    let named = named.map(str::trim).filter(|feature| !feature.is_empty()).map(Text::from);
    let traits = specs.keys().filter(|name| required(name)).filter_map(|name| name.strip_prefix("trait:"));
    let traits =
        traits.map(|name| name.strip_prefix("CUSTOM_").unwrap_or(name).to_lowercase().replace('_', "-").into());
    Told { arch, gpus, features: named.chain(traits).collect() }
}

/// Flavors times zones. Which flavor fits which zone, only an administrator may see.
fn offerings(known: &Known, region: &Text, spec: &OpenStackSpec) -> Vec<Offering> {
    let mut all = Vec::with_capacity(known.flavors.len() * known.zones.len());
    for flavor in &known.flavors {
        let size = Size { vcpus: flavor.vcpus, memory: Bytes(flavor.ram * MIB), disk: Bytes(flavor.disk * GIB) };
        let dedicated = flavor.specs.get("pool:dedicated").and_then(|tenant| Name::new(tenant).ok());
        let told = told(&flavor.specs);
        all.extend(known.zones.iter().map(|zone| Offering {
            name: flavor.name.clone(),
            region: region.clone(),
            zone: zone.clone(),
            size,
            elastic: false,
            price: spec.prices.get(&flavor.name).copied().unwrap_or_default(),
            stock: None,
            dedicated: dedicated.clone(),
            arch: told.arch,
            gpus: told.gpus,
            features: told.features.clone(),
        }));
    }
    all.sort_by(|a, b| (&a.region, &a.zone, &a.name).cmp(&(&b.region, &b.zone, &b.name)));
    all
}

/// The volume types. Cinder's own type for requests that name none promises nothing, and counts only where there is no
/// other.
fn backends(known: &Known, quotas: &BTreeMap<Text, Quota>, provider: &Name, spec: &OpenStackSpec) -> Vec<BackendOffer> {
    let named = |kind: &&VolumeType| &*kind.name != "__DEFAULT__" || known.types.len() == 1;
    let mut all: Vec<BackendOffer> =
        known.types.iter().filter(named).map(|kind| backend(kind, quotas, provider, spec)).collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

fn backend(kind: &VolumeType, quotas: &BTreeMap<Text, Quota>, provider: &Name, spec: &OpenStackSpec) -> BackendOffer {
    let told = |key: &str| kind.extra_specs.as_ref()?.get(key);
    let of_type = quotas.get(format!("gigabytes_{}", kind.name).as_str()).and_then(|quota| quota.limit(GIB));
    let in_all = quotas.get("gigabytes").copied();
    let room = of_type
        .or_else(|| in_all?.limit(GIB))
        .unwrap_or_else(|| Limit { limit: ENDLESS, used: in_all.map_or(0, |quota| quota.taken() * GIB) });
    let price = spec.storage_prices.get(&*kind.name).copied();
    let both = [Provisioning::Thin, Provisioning::Thick];
    BackendOffer {
        name: format!("{provider}/{}", kind.name).into(),
        media: told("pool:media").and_then(|media| match &**media {
            "ssd" => Some(Media::Ssd),
            "hdd" => Some(Media::Hdd),
            _ => None,
        }),
        iops: told("pool:iops").and_then(|iops| iops.parse().ok()),
        provisioning: match told("provisioning:type").map(|way| &**way) {
            Some("thin") => [Provisioning::Thin].into(),
            Some("thick") => [Provisioning::Thick].into(),
            _ => both.into(),
        },
        zones: told("RESKEY:availability_zones").map_or_else(BTreeSet::new, |zones| {
            zones.split(',').map(str::trim).filter(|zone| !zone.is_empty()).map(Text::from).collect()
        }),
        capacity: Bytes(room.limit),
        allocated: Bytes(room.used),
        price: price.unwrap_or_default(),
    }
}

fn limits(left: &Left) -> BTreeMap<Text, Limit> {
    let of_compute = |most: &str, used: &str, unit: u64| {
        let (limit, used) = (*left.compute.get(most)?, left.compute.get(used).copied().unwrap_or(0));
        Quota { limit, used, reserved: 0 }.limit(unit)
    };
    let of = |quotas: &BTreeMap<Text, Quota>, what: &str, unit: u64| quotas.get(what)?.limit(unit);
    let all = [
        ("hosts", of_compute("maxTotalInstances", "totalInstancesUsed", 1)),
        ("vcpus", of_compute("maxTotalCores", "totalCoresUsed", 1)),
        ("memory", of_compute("maxTotalRAMSize", "totalRAMUsed", MIB)),
        ("volumes", of(&left.storage, "volumes", 1)),
        ("storage", of(&left.storage, "gigabytes", GIB)),
        ("snapshots", of(&left.storage, "snapshots", 1)),
        ("backups", of(&left.storage, "backups", 1)),
        ("addresses", of(&left.network, "floatingip", 1)),
        ("ports", of(&left.network, "port", 1)),
    ];
    all.into_iter().filter_map(|(what, limit)| Some((what.into(), limit?))).collect()
}

fn networks(left: &Left) -> Vec<NetworkOffer> {
    let mut all: Vec<NetworkOffer> = left
        .networks
        .iter()
        .map(|network| NetworkOffer {
            id: network.id.clone(),
            name: network.name.clone(),
            external: network.external,
            free: left.free.get(&network.id).copied(),
        })
        .collect();
    all.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
    all
}
