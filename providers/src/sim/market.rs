//! What the simulated cloud sells.

use std::collections::{BTreeMap, BTreeSet};

use pool_inventory::{
    Bytes, Money, Name, Text, TimeSpan,
    desired::{Arch, Media, Provisioning, QuotaSpec, SimMachines, SimOffering, SimSpec, Size},
    market::{BackendOffer, Capabilities, Limit, Machine, Market, Offering},
};

use super::{
    change::capabilities,
    world::{Use, World},
};
use crate::ProviderError;

/// The one region.
pub(super) const REGION: &str = "sim";

/// Images that every host can be made from.
pub(super) const IMAGES: [&str; 3] = ["debian-11", "debian-12", "ubuntu-24-04"];

/// Name, cores, GiB of memory, GiB of disk, millionths per hour. Per core `c1` has 1 GiB, `s1` and `m1` 2, `r1` 8.
const OFFERINGS: [(&str, u32, u64, u64, i64); 11] = [
    ("c1.large", 4, 4, 80, 71_233),
    ("c1.xlarge", 8, 8, 160, 142_466),
    ("c1.2xlarge", 16, 16, 320, 284_932),
    ("m1.large", 4, 8, 80, 83_562),
    ("m1.xlarge", 8, 16, 160, 167_124),
    ("m1.2xlarge", 16, 32, 320, 334_248),
    ("r1.large", 2, 16, 80, 76_712),
    ("r1.xlarge", 4, 32, 160, 153_425),
    ("r1.2xlarge", 8, 64, 320, 306_850),
    ("s1.medium", 2, 4, 40, 30_137),
    ("s1.small", 1, 2, 20, 15_069),
];

/// Name, medium, operations per second, PiB, millionths per GiB and hour.
const BACKENDS: [(&str, Media, u64, u64, i64); 3] = [
    ("archive", Media::Hdd, 200, 16, 10),
    ("fast", Media::Ssd, 20_000, 1, 160),
    ("standard", Media::Ssd, 3_000, 4, 80),
];

/// The machine sizes for sale.
fn offerings(spec: &SimSpec) -> BTreeMap<Text, SimOffering> {
    if !spec.offerings.is_empty() {
        return spec.offerings.clone();
    }
    let built_in = |(name, vcpus, memory, disk, price): &(&str, u32, u64, u64, i64)| {
        let (memory, disk, price) = (Bytes::gib(*memory), Bytes::gib(*disk), Money(*price));
        (Text::from(*name), SimOffering { vcpus: *vcpus, memory, disk, price, ..SimOffering::default() })
    };
    OFFERINGS.iter().map(built_in).collect()
}

/// A kind of storage.
#[derive(Debug, Clone)]
pub(super) struct Storage {
    pub media: Media,
    pub iops: u64,
    pub capacity: Bytes,
    /// Millionths per GiB and hour.
    pub price: i64,
}

impl Storage {
    /// Price of a volume per hour, rounded up.
    pub fn price_of(&self, size: Bytes) -> i64 {
        let gib = i64::try_from(size.0.div_ceil(1 << 30)).unwrap_or(i64::MAX);
        gib.saturating_mul(self.price)
    }
}

/// Storage by its full name, `PROVIDER/NAME`: the built-in kinds, and what the settings add or resize.
fn storage(name: &Name, spec: &SimSpec) -> BTreeMap<Text, Storage> {
    let full = |short: &str| Text::from(format!("{name}/{short}"));
    let built_in = |(short, media, iops, pib, price): &(&str, Media, u64, u64, i64)| {
        let capacity = Bytes(*pib << 50);
        (full(short), Storage { media: *media, iops: *iops, capacity, price: *price })
    };
    let mut all: BTreeMap<Text, Storage> = BACKENDS.iter().map(built_in).collect();
    for (short, capacity) in &spec.backends {
        let standard = || Storage { media: Media::Ssd, iops: 3_000, capacity: *capacity, price: 80 };
        all.entry(full(short)).or_insert_with(standard).capacity = *capacity;
    }
    all
}

/// The settings of a simulated cloud, and what follows from them alone.
#[derive(Debug)]
pub(super) struct Shop {
    pub name: Name,
    pub spec: SimSpec,
    pub offerings: BTreeMap<Text, SimOffering>,
    pub storage: BTreeMap<Text, Storage>,
    /// Physical machines by name, each with the entry of the settings that it comes from.
    pub machines: BTreeMap<Text, SimMachines>,
    pub can: Capabilities,
}

impl Shop {
    pub fn new(name: Name, spec: SimSpec) -> Result<Self, ProviderError> {
        let (offerings, storage) = (offerings(&spec), storage(&name, &spec));
        let alike = |(name, alike): (&Name, &SimMachines)| {
            alike.names(name).into_iter().map(|name| (name, alike.clone())).collect::<Vec<_>>()
        };
        let machines = spec.machines.iter().flat_map(alike).collect();
        let shop = Self { can: capabilities(&spec), name, spec, offerings, storage, machines };
        shop.validate().map(|()| shop)
    }

    /// Machines left of an offering in a zone; none: no limit.
    pub fn left(&self, world: &World, zone: &Text, offering: &Text) -> Option<u32> {
        let stock = self.spec.stock.get(format!("{zone}/{offering}").as_str())?;
        Some(stock.saturating_sub(world.machines(zone, offering)))
    }

    /// Everything for sale, and what is left of it.
    pub fn market(&self, world: &World) -> Market {
        let mut zones: Vec<Text> = self.spec.zones.iter().map(|z| Text::from(z.as_str())).collect();
        zones.sort();
        let offer = |zone: &Text, (offering, o): (&Text, &SimOffering)| Offering {
            name: offering.clone(),
            region: REGION.into(),
            zone: zone.clone(),
            size: Size { vcpus: o.vcpus, memory: o.memory, disk: o.disk },
            elastic: false,
            price: o.price,
            stock: self.left(world, zone, offering),
            dedicated: o.dedicated.clone(),
            arch: o.arch.or(Some(Arch::Amd64)),
            gpus: o.gpus,
            features: o.features.clone(),
        };
        Market {
            offerings: zones.iter().flat_map(|zone| self.offerings.iter().map(move |o| offer(zone, o))).collect(),
            backends: self.storage.iter().map(|(name, storage)| self.backend(world, name, storage)).collect(),
            images: IMAGES.iter().map(|image| Text::from(*image)).collect(),
            namesakes: BTreeMap::new(),
            limits: limits(&self.spec.quota, &world.used),
            networks: Vec::new(),
            machines: self.machines(world),
            age: TimeSpan(0),
        }
    }

    /// The machines, by zone and name, and what is used of them.
    fn machines(&self, world: &World) -> Vec<Machine> {
        let machine = |(name, has): (&Text, &SimMachines)| {
            let used = world.used.machines.get(name).copied().unwrap_or_default();
            Machine {
                name: name.clone(),
                region: REGION.into(),
                zone: has.zone.as_str().into(),
                rack: has.rack.as_ref().map_or("", Name::as_str).into(),
                size: has.size,
                used: Size {
                    vcpus: u32::try_from(used.vcpus).unwrap_or(u32::MAX),
                    memory: Bytes(used.memory),
                    disk: Bytes(used.disk),
                },
                price: has.price,
                dedicated: has.dedicated.clone(),
            }
        };
        let mut machines: Vec<Machine> = self.machines.iter().map(machine).collect();
        machines.sort_by(|a, b| (&a.zone, &a.name).cmp(&(&b.zone, &b.name)));
        machines
    }

    fn backend(&self, world: &World, name: &Text, storage: &Storage) -> BackendOffer {
        let short = name.split_once('/').map_or("", |(_, short)| short);
        let quota = self.spec.quota.storage.get(short).copied();
        BackendOffer {
            name: name.clone(),
            media: Some(storage.media),
            iops: Some(storage.iops),
            provisioning: [Provisioning::Thin, Provisioning::Thick].into(),
            zones: BTreeSet::new(),
            capacity: storage.capacity.min(quota.unwrap_or(storage.capacity)),
            allocated: Bytes(world.used.storage.get(name).copied().unwrap_or(0)),
            price: Money(storage.price),
        }
    }

    /// Why the settings make no sense.
    fn validate(&self) -> Result<(), ProviderError> {
        let Self { spec, offerings, .. } = self;
        let invalid = |field: &str, detail: &str| ProviderError::Invalid { field: field.into(), detail: detail.into() };
        if spec.zones.is_empty() {
            return Err(invalid("zones", "a simulated cloud needs at least one zone"));
        }
        if spec.page == 0 {
            return Err(invalid("page", "a page must hold at least one object"));
        }
        if spec.rate == Some(0) {
            return Err(invalid("rate", "no call would ever be answered; leave it out for no limit"));
        }
        if let Some((name, _)) = spec.machines.iter().find(|(_, machine)| !spec.zones.contains(&machine.zone)) {
            return Err(invalid("machines", &format!("`{name}` is in a zone that this cloud does not have")));
        }
        let known = |place: &Text| {
            place.split_once('/').is_some_and(|(zone, offering)| {
                spec.zones.iter().any(|z| z.as_str() == zone) && offerings.contains_key(offering)
            })
        };
        match spec.stock.keys().find(|place| !known(place)) {
            Some(place) => Err(invalid("stock", &format!("`{place}` is not ZONE/OFFERING of this cloud"))),
            None => Ok(()),
        }
    }
}

/// Limits of the account and what it uses; those of storage stand in the capacity of each backend.
fn limits(quota: &QuotaSpec, used: &Use) -> BTreeMap<Text, Limit> {
    let used = |what: &str| match what {
        "hosts" => Some(used.hosts),
        "vcpus" => Some(used.vcpus),
        "memory" => Some(used.memory),
        "cost" => Some(used.cost),
        _ => None,
    };
    quota
        .limits()
        .into_iter()
        .filter_map(|(what, limit)| Some((what.clone(), Limit { limit, used: used(&what)? })))
        .collect()
}
