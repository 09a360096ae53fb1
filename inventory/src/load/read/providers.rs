//! Providers, and the images that they have.

use std::collections::{BTreeMap, BTreeSet};

use super::{Reader, access, known::What};
use crate::{
    desired::{
        OpenStackSpec, ProviderKind, ProviderSpec, SimCall, SimFault, SimMachines, SimOffering, SimSpec, Size, Trust,
    },
    load::suggest::hint,
    names::{Name, Text},
    units::{Bytes, Money, Percent},
    yaml::{Entry, Node},
};

/// The image of this computer's own system, the one that `local` providers have.
pub const LOCAL_IMAGE: &str = "host";

/// Images of the simulated cloud.
pub const SIM_IMAGES: [&str; 3] = ["debian-12", "debian-11", "ubuntu-24-04"];

/// Backends of the simulated cloud that need no declaration.
pub const SIM_BACKENDS: [&str; 3] = ["fast", "standard", "archive"];

/// The backend that every `local` provider has.
pub const LOCAL_BACKEND: &str = "dir";

/// Images of a provider of this type.
pub fn images_of(kind: &str) -> &'static [&'static str] {
    match kind {
        "local" => &[LOCAL_IMAGE],
        "sim" => &SIM_IMAGES,
        _ => &[],
    }
}

impl<'n, 's> Reader<'n, 's> {
    pub fn providers(&mut self) -> BTreeMap<Name, ProviderSpec> {
        let mut providers = BTreeMap::new();
        for entry in self.section("providers") {
            let node = &entry.value;
            if entry.key == "in" {
                self.say(entry.at, "a provider cannot be called `in`", "the word means environments");
            }
            let (kind, trust) = match node.get("type").and_then(Node::text) {
                Some("local") => (ProviderKind::Local, Trust::Injected),
                Some("ssh") => (ProviderKind::Ssh, Trust::Pinned),
                Some("sim") => (ProviderKind::Sim(Box::new(self.sim(node))), Trust::Injected),
                Some("openstack") => (ProviderKind::Openstack(Box::new(self.openstack(node))), Trust::Injected),
                _ => continue,
            };
            if !matches!(kind, ProviderKind::Openstack(_)) {
                self.refuse_console(node, &format!("provider `{}`", entry.key));
            }
            let ssh = node.get("ssh").map(|ssh| self.access(ssh, &access::defaults(trust)));
            let ssh = ssh.or_else(|| matches!(kind, ProviderKind::Ssh).then(|| access::defaults(trust)));
            if let Ok(name) = Name::new(&entry.key) {
                providers.insert(name, ProviderSpec { kind, ssh });
            }
        }
        providers
    }

    fn openstack(&mut self, node: &Node<'_>) -> OpenStackSpec {
        let prices = |key: &str| {
            let entries = node.get(key).map(Node::entries).unwrap_or_default();
            let price = |entry: &Entry<'_>| Money::parse_hourly(entry.value.text()?).ok();
            entries.iter().filter_map(|entry| Some((Text::from(&*entry.key), price(entry)?))).collect()
        };
        OpenStackSpec {
            cloud: self.text(node, "cloud"),
            region: self.text(node, "region"),
            host_keys: node.get("host_keys").and_then(access::secret),
            prices: prices("prices"),
            storage_prices: prices("storage_prices"),
            networks: BTreeMap::new(), // filled in when networks are read
        }
    }

    fn sim(&mut self, node: &'n Node<'s>) -> SimSpec {
        let otherwise = SimSpec::default();
        let zones = self.zones(node).unwrap_or(otherwise.zones);
        let offerings = self.offerings(node);
        let backends = node.get("backends").map(Node::entries).unwrap_or_default();
        let backends = self.map(backends, |_, entry| bytes(&entry.value));
        let faults = node.get("faults").map(Node::items).unwrap_or_default();
        SimSpec {
            seed: self.value(node, "seed", otherwise.seed),
            latency: self.value(node, "latency", otherwise.latency),
            boot: self.value(node, "boot", otherwise.boot),
            clock: self.word(node, "clock").unwrap_or(otherwise.clock),
            stock: self.stock(node, &zones, &offerings),
            machines: self.machines(node, &zones),
            zones,
            offerings,
            quota: node.get("quota").map(|quota| self.quota(quota, None)).unwrap_or_default(),
            backends,
            visibility: self.value(node, "visibility", otherwise.visibility),
            rate: self.optional(node, "rate"),
            page: self.value(node, "page", otherwise.page),
            patience: self.optional(node, "patience"),
            faults: faults.iter().filter_map(|fault| self.fault(fault)).collect(),
        }
    }

    fn zones(&mut self, node: &Node<'_>) -> Option<Vec<Name>> {
        let list = node.get("zones")?;
        let mut zones: Vec<Name> = Vec::new();
        let mut seen = BTreeSet::new();
        for item in list.items() {
            let Some(zone) = self.name(item) else { continue };
            if !seen.insert(zone.clone()) {
                self.say(item.span, format!("zone `{zone}` is listed twice"), "");
            }
            zones.push(zone);
        }
        if list.items().is_empty() {
            self.say(list.span, "a simulated cloud needs a zone", "leave `zones` out for az1, az2, az3");
        }
        Some(zones)
    }

    fn offerings(&mut self, node: &Node<'_>) -> BTreeMap<Text, SimOffering> {
        let entries = node.get("offerings").map(Node::entries).unwrap_or_default();
        let mut offerings = BTreeMap::new();
        for entry in entries {
            let price = entry.value.get("price").and_then(|price| Money::parse_hourly(price.text()?).ok());
            let offering = SimOffering {
                vcpus: self.value(&entry.value, "vcpus", 1),
                memory: self.value(&entry.value, "memory", Bytes(0)),
                disk: self.value(&entry.value, "disk", Bytes(0)),
                price: price.unwrap_or_default(),
                dedicated: entry.value.get("dedicated").and_then(|tenant| self.reference(tenant, What::Tenant)),
                arch: self.word(&entry.value, "arch"),
                gpus: self.value(&entry.value, "gpus", 0),
                features: self.texts(&entry.value, "features"),
            };
            if entry.key.contains(['/', '*']) {
                self.say(entry.at, format!("`{}` is not the name of an offering", entry.key), "without `/` and `*`");
            }
            offerings.insert(entry.key.as_ref().into(), offering);
        }
        offerings
    }

    fn machines(&mut self, node: &Node<'_>, zones: &[Name]) -> BTreeMap<Name, SimMachines> {
        let entries = node.get("machines").map(Node::entries).unwrap_or_default();
        let mut machines = BTreeMap::new();
        let mut names = BTreeSet::new();
        for entry in entries {
            let node = &entry.value;
            let Ok(name) = Name::new(&entry.key) else { continue };
            let Some(zone) = node.get("zone").and_then(|zone| self.name(zone)) else { continue };
            if let Some(at) = node.get("zone").filter(|_| !zones.contains(&zone)) {
                self.say(at.span, format!("unknown zone `{zone}`"), hint(&zone, zones.iter().map(Name::as_str)));
            }
            let price = node.get("price").and_then(|price| Money::parse_hourly(price.text()?).ok());
            let alike = SimMachines {
                count: self.optional(node, "count"),
                zone,
                rack: node.get("rack").and_then(|rack| self.name(rack)),
                size: Size {
                    vcpus: self.value(node, "vcpus", 1),
                    memory: self.value(node, "memory", Bytes(0)),
                    disk: self.value(node, "disk", Bytes(0)),
                },
                price: price.unwrap_or_default(),
                dedicated: node.get("dedicated").and_then(|tenant| self.reference(tenant, What::Tenant)),
            };
            if let Some(twice) = alike.names(&name).into_iter().find(|name| !names.insert(name.clone())) {
                self.say(entry.at, format!("two machines are called `{twice}`"), "give one entry another name");
            }
            machines.insert(name, alike);
        }
        machines
    }

    fn stock(
        &mut self,
        node: &Node<'_>,
        zones: &[Name],
        offerings: &BTreeMap<Text, SimOffering>,
    ) -> BTreeMap<Text, u32> {
        let entries = node.get("stock").map(Node::entries).unwrap_or_default();
        let mut stock = BTreeMap::new();
        let known: BTreeSet<&str> = zones.iter().map(Name::as_str).collect();
        for entry in entries {
            match entry.key.split_once('/') {
                None => self.say(entry.at, format!("`{}` names no stock", entry.key), "write ZONE/OFFERING"),
                Some((zone, offering)) => {
                    if !known.contains(zone) {
                        self.say(
                            entry.at,
                            format!("unknown zone `{zone}`"),
                            hint(zone, zones.iter().map(Name::as_str)),
                        );
                    } else if !offerings.is_empty() && !offerings.contains_key(offering) {
                        let note = hint(offering, offerings.keys().map(|name| &**name));
                        self.say(entry.at, format!("unknown offering `{offering}`"), note);
                    }
                }
            }
            let left = entry.value.text().and_then(|text| text.parse().ok());
            stock.insert(entry.key.as_ref().into(), left.unwrap_or(0));
        }
        stock
    }

    fn fault(&mut self, node: &Node<'_>) -> Option<SimFault> {
        let nth = self.optional(node, "nth");
        if let (Some(_), Some(rate)) = (nth, node.get("rate")) {
            self.say(rate.span, "both `nth` and `rate` are given", "choose one");
        }
        let times = self.optional(node, "times");
        if let (Some(_), None, Some(times)) = (times, nth, node.get("times")) {
            self.say(times.span, "`times` is given without `nth`", "say from which call on");
        }
        Some(SimFault {
            on: self.word(node, "on").unwrap_or(SimCall::Any),
            address: self.text(node, "address"),
            nth,
            times,
            rate: self.value(node, "rate", Percent(10_000)),
            error: self.word(node, "error")?,
            after: self.optional(node, "after"),
        })
    }

    pub fn images(&mut self) -> BTreeMap<Name, BTreeMap<Name, Text>> {
        let mut images = BTreeMap::new();
        for entry in self.section("images") {
            let mut by_provider = BTreeMap::new();
            for on in entry.value.entries() {
                let Ok(provider) = Name::new(&on.key) else { continue };
                if !self.known.check(What::Provider, &provider, on.at, &mut self.problems) {
                    continue;
                }
                let (kind, image) = (self.known.provider_type(&provider), on.value.text().unwrap_or(""));
                let has = images_of(kind.unwrap_or(""));
                if kind == Some("ssh") {
                    self.say(on.at, format!("provider `{provider}` has no images"), "hosts of it exist already");
                } else if !has.is_empty() && !has.contains(&image) {
                    let note = hint(image, has.iter().copied());
                    self.say(on.value.span, format!("provider `{provider}` has no image `{image}`"), note);
                }
                by_provider.insert(provider, image.into());
            }
            if let Ok(name) = Name::new(&entry.key) {
                images.insert(name, by_provider);
            }
        }
        images
    }
}

fn bytes(node: &Node<'_>) -> Bytes {
    node.text().and_then(|text| text.parse().ok()).unwrap_or_default()
}
