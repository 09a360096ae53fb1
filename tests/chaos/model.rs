//! What is declared: a random inventory, and random edits of it.

use std::{collections::BTreeMap, fmt::Write};

use crate::random::Random;

/// A machine size, and the name that the simulated cloud sells it under.
const SIZES: [(&str, &str, u64, u64); 3] = [
    ("{ vcpus: 1, memory: 2GiB, disk: 20GiB }", "s1.small", 1, 2),
    ("{ vcpus: 2, memory: 4GiB, disk: 20GiB }", "s1.medium", 2, 4),
    ("{ vcpus: 4, memory: 8GiB, disk: 20GiB }", "m1.large", 4, 8),
];
const IMAGES: [&str; 3] = ["debian-11", "debian-12", "ubuntu-24-04"];
const TIERS: [&str; 2] = ["fast", "standard"];

/// A simulated cloud.
#[derive(Debug, Clone)]
pub struct Cloud {
    pub name: String,
    /// Settings that stay: visibility, page, boot, rate.
    settings: String,
    /// How many hosts the account may have; none: no limit.
    pub quota: Option<u64>,
    /// Faults and what goes with them, in the words of the inventory; changes from round to round.
    pub faults: String,
    /// Something in it may never become ready; from then on its clients do not wait for long.
    pub stuck: bool,
}

impl Cloud {
    pub fn slow_to_boot(&self) -> bool {
        self.settings.contains("boot") || self.settings.contains("latency")
    }
}

/// A tenant with limits that never change.
#[derive(Debug, Clone)]
pub struct Tenant {
    pub name: String,
    pub hosts: Option<u64>,
    pub vcpus: Option<u64>,
    /// GiB of tier `fast`.
    pub fast: Option<u64>,
}

#[derive(Debug, Clone)]
struct Network {
    name: String,
    cloud: String,
    tenant: String,
    /// Port of its ingress rule.
    port: u64,
}

#[derive(Debug, Clone)]
pub struct Volume {
    pub gib: u64,
    pub tier: &'static str,
    keep: bool,
}

#[derive(Debug, Clone)]
pub struct Pool {
    pub name: String,
    pub tenant: String,
    pub hosts: u64,
    size: usize,
    image: &'static str,
    network: Option<String>,
    on: Vec<String>,
    spread: bool,
    label: u64,
    motd: Option<u64>,
    pub volumes: BTreeMap<String, Volume>,
    pub protected: bool,
}

#[derive(Debug, Clone)]
pub struct Model {
    pub clouds: Vec<Cloud>,
    pub tenants: Vec<Tenant>,
    networks: Vec<Network>,
    pub pools: Vec<Pool>,
    /// Shares that a run may destroy and replace, in percent.
    pub brakes: (u64, u64),
    /// Pool → its tenant, of all pools that ever were.
    pub tenant_of: BTreeMap<String, String>,
    made: u64,
}

impl Model {
    /// A new inventory.
    pub fn new(random: &mut Random) -> Self {
        let clouds = (0..random.between(1, 3)).map(|n| Self::cloud(random, n)).collect();
        let tenant = |random: &mut Random, n| Tenant {
            name: format!("tenant-{n}"),
            hosts: random.percent(40).then(|| random.between(1, 8)),
            vcpus: random.percent(30).then(|| random.between(2, 16)),
            fast: random.percent(30).then(|| random.between(5, 60)),
        };
        let tenants = (0..random.between(0, 2)).map(|n| tenant(random, n)).collect();
        let brakes = if random.percent(30) { (random.between(5, 50), random.between(5, 50)) } else { (100, 100) };
        let (networks, pools, tenant_of) = (Vec::new(), Vec::new(), BTreeMap::new());
        let mut model = Self { clouds, tenants, networks, pools, brakes, tenant_of, made: 0 };
        if random.percent(50) {
            model.add_network(random);
        }
        for _ in 0..random.between(1, 3) {
            model.add_pool(random);
        }
        model
    }

    fn cloud(random: &mut Random, n: u64) -> Cloud {
        let mut settings = format!("seed: {}", random.between(1, 1 << 40));
        if random.percent(30) {
            let _ = write!(settings, ", visibility: {}ms", random.between(20, 150));
        }
        if random.percent(50) {
            let _ = write!(settings, ", boot: {}s", random.between(1, 300));
        }
        if random.percent(30) {
            let _ = write!(settings, ", page: {}", random.between(1, 5));
        }
        if random.percent(20) {
            let _ = write!(settings, ", latency: {}ms, rate: {}", random.between(1, 500), random.between(2, 20));
        }
        let quota = random.percent(20).then(|| random.between(2, 10));
        Cloud { name: format!("cloud-{n}"), settings, quota, faults: String::new(), stuck: false }
    }

    fn number(&mut self) -> u64 {
        self.made += 1;
        self.made
    }

    fn add_network(&mut self, random: &mut Random) {
        let (name, cloud) = (format!("net{}", self.number()), random.pick(&self.clouds).name.clone());
        let tenant = self.tenant(random);
        self.networks.push(Network { name, cloud, tenant, port: 443 });
    }

    fn tenant(&self, random: &mut Random) -> String {
        match self.tenants.is_empty() || random.percent(40) {
            true => "default".to_owned(),
            false => random.pick(&self.tenants).name.clone(),
        }
    }

    fn add_pool(&mut self, random: &mut Random) {
        let name = format!("p{}", self.number());
        let network = match self.networks.is_empty() || random.percent(60) {
            true => None,
            false => Some(random.pick(&self.networks).clone()),
        };
        let tenant = network.as_ref().map(|network| network.tenant.clone());
        let tenant = tenant.unwrap_or_else(|| self.tenant(random));
        let on = match &network {
            Some(network) => vec![network.cloud.clone()],
            None if random.percent(50) => Vec::new(),
            None => vec![random.pick(&self.clouds).name.clone()],
        };
        self.tenant_of.insert(name.clone(), tenant.clone());
        let mut pool = Pool {
            name,
            tenant,
            hosts: random.between(0, 5),
            size: random.between(0, 2) as usize,
            image: random.one_of(&IMAGES),
            network: network.map(|network| network.name),
            on,
            spread: random.percent(40),
            label: 0,
            motd: random.percent(30).then_some(0),
            volumes: BTreeMap::new(),
            protected: random.percent(10),
        };
        for _ in 0..random.between(0, 2) {
            pool.volumes.insert(format!("v{}", self.number()), volume(random));
        }
        self.pools.push(pool);
    }

    /// One random change; says what it was.
    pub fn edit(&mut self, random: &mut Random) -> String {
        const EDITS: &[(u64, &str)] = &[
            (4, "hosts"),
            (2, "size"),
            (2, "image"),
            (2, "label"),
            (2, "grow"),
            (2, "add volume"),
            (2, "drop volume"),
            (1, "motd"),
            (2, "add pool"),
            (2, "drop pool"),
            (1, "add network"),
            (1, "rule"),
            (1, "protect"),
            (1, "move"),
            (1, "keep"),
        ];
        let what = *random.weighted(EDITS);
        let number = self.number();
        match what {
            "add pool" => self.add_pool(random),
            "add network" => self.add_network(random),
            "rule" => self.networks.iter_mut().for_each(|network| network.port += 1),
            _ if self.pools.is_empty() => self.add_pool(random),
            _ => {
                let place = random.between(0, self.pools.len() as u64 - 1) as usize;
                if what == "drop pool" {
                    // One that is protected has to be let go of first, which is an edit of its own.
                    if !self.pools[place].protected {
                        self.pools.remove(place);
                    }
                } else {
                    let clouds: Vec<String> = self.clouds.iter().map(|cloud| cloud.name.clone()).collect();
                    self.pools[place].edit(what, number, &clouds, random);
                }
            }
        }
        what.to_owned()
    }

    /// Nothing is held back any more.
    pub fn release(&mut self) {
        self.brakes = (100, 100);
        self.pools.iter_mut().for_each(|pool| pool.protected = false);
        self.clouds.iter_mut().for_each(|cloud| cloud.faults.clear());
    }

    pub fn pool(&self, name: &str) -> Option<&Pool> {
        self.pools.iter().find(|pool| pool.name == name)
    }

    /// The inventory file.
    pub fn text(&self) -> String {
        let mut out = String::from("version: 1\nname: chaos\nproviders:\n");
        for Cloud { name, settings, quota, faults, stuck } in &self.clouds {
            let quota = quota.map(|hosts| format!(", quota: {{ hosts: {hosts} }}")).unwrap_or_default();
            // In peace nothing may fail because the machine of the test is busy.
            let patience = match (stuck, faults.is_empty()) {
                (false, _) => "",
                (true, false) => ", patience: 500ms",
                (true, true) => ", patience: 3s",
            };
            let _ = writeln!(out, "  {name}: {{ type: sim, {settings}{quota}{patience}{faults} }}");
        }
        if !self.tenants.is_empty() {
            out += "tenants:\n";
        }
        for Tenant { name, hosts, vcpus, fast } in &self.tenants {
            let limits = [
                hosts.map(|n| format!("hosts: {n}")),
                vcpus.map(|n| format!("vcpus: {n}")),
                fast.map(|n| format!("storage: {{ fast: {n}GiB }}")),
            ];
            let limits: Vec<String> = limits.into_iter().flatten().collect();
            let _ = writeln!(out, "  {name}: {{ quota: {{ {} }} }}", limits.join(", "));
        }
        if !self.networks.is_empty() {
            out += "networks:\n";
        }
        for (n, Network { name, cloud, tenant, port }) in self.networks.iter().enumerate() {
            let rule = format!("ingress: {{ web: {{ from: any, port: {port} }} }}");
            let _ = writeln!(out, "  {name}: {{ tenant: {tenant}, cidr: 10.{n}.0.0/24, on: [{cloud}], {rule} }}");
        }
        out += "tiers:\n";
        for tier in TIERS {
            let backends: Vec<String> = self.clouds.iter().map(|cloud| format!("{}/{tier}", cloud.name)).collect();
            let _ = writeln!(out, "  {tier}: {{ backends: [{}] }}", backends.join(", "));
        }
        let (destroyed, replaced) = self.brakes;
        let _ = writeln!(out, "policy: {{ max_destroyed: {destroyed}%, max_replaced: {replaced}% }}");
        if !self.pools.is_empty() {
            out += "pools:\n";
        }
        self.pools.iter().for_each(|pool| pool.write(&mut out));
        out
    }
}

fn volume(random: &mut Random) -> Volume {
    Volume { gib: random.between(1, 12), tier: random.one_of(&TIERS), keep: random.percent(25) }
}

impl Pool {
    fn edit(&mut self, what: &str, number: u64, clouds: &[String], random: &mut Random) {
        match what {
            "hosts" => self.hosts = random.between(if self.protected { self.hosts } else { 0 }, 8.max(self.hosts)),
            "size" if !self.protected => self.size = (self.size + 1) % SIZES.len(),
            "image" => self.image = random.one_of(&IMAGES),
            "label" => self.label += 1,
            "motd" => self.motd = Some(self.motd.map_or(0, |n| n + 1)),
            "protect" => self.protected = !self.protected,
            "move" if self.network.is_none() && !self.protected => self.on = vec![random.pick(clouds).clone()],
            "grow" => self.volumes.values_mut().for_each(|volume| volume.gib += 1),
            "keep" => self.volumes.values_mut().for_each(|volume| volume.keep = !volume.keep),
            "add volume" => drop(self.volumes.insert(format!("v{number}"), volume(random))),
            "drop volume" if !self.protected => drop(self.volumes.pop_first()),
            _ => {}
        }
    }

    fn write(&self, out: &mut String) {
        let Self { name, tenant, hosts, image, label, .. } = self;
        let mut keys = vec![
            format!("tenant: {tenant}"),
            format!("hosts: {hosts}"),
            format!("size: {}", SIZES[self.size].0),
            format!("image: {image}"),
            format!("labels: {{ n: \"{label}\" }}"),
        ];
        keys.extend(self.network.as_ref().map(|network| format!("network: {network}")));
        let mut place = Vec::new();
        if !self.on.is_empty() {
            place.push(format!("on: [{}]", self.on.join(", ")));
        }
        if self.spread {
            place.push("spread: zone".to_owned());
        }
        if !place.is_empty() {
            keys.push(format!("place: {{ {} }}", place.join(", ")));
        }
        keys.extend(self.motd.map(|n| format!("bootstrap: {{ files: {{ /etc/motd: {{ content: \"{n}\" }} }} }}")));
        if self.protected {
            keys.push("protected: true".to_owned());
        }
        let volume = |(name, Volume { gib, tier, keep }): (&String, &Volume)| {
            let on_remove = if *keep { "keep" } else { "delete" };
            format!("{name}: {{ size: {gib}GiB, tier: {tier}, mount: /srv/{name}, on_remove: {on_remove} }}")
        };
        let volumes: Vec<String> = self.volumes.iter().map(volume).collect();
        if !volumes.is_empty() {
            keys.push(format!("volumes: {{ {} }}", volumes.join(", ")));
        }
        let _ = writeln!(out, "  {name}: {{ {} }}", keys.join(", "));
    }
}

/// A setting that makes an offering scarce: `ZONE/OFFERING: N`.
pub fn scarce(random: &mut Random) -> String {
    let zone = random.between(1, 3);
    format!("az{zone}/{}: {}", random.pick(&SIZES).1, random.between(0, 2))
}
