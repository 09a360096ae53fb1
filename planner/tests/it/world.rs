//! A world in memory: a declaration, a state, and clouds that do what plans say.
//!
//! It shares no code with the planner. It refuses what a real provider would refuse, and counts every limit after every
//! single step, so that a plan that breaks one does not get through.

use std::collections::BTreeMap;

use pool_inventory::{
    Address, Bytes, Kind, Lineage, Money, Name, Text, TimeSpan, Token, desired::*, digest::PoolDigest, market::*,
    object::*,
};
use pool_planner::{
    Action, Plan, PlanInput, Scope, Step,
    plan::{Alternative, NewRecord, Reason},
};

#[path = "cluster.rs"]
mod cluster;

use cluster::Members;

pub fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

#[derive(Clone)]
pub struct World {
    pub desired: Desired,
    pub recorded: Vec<Recorded>,
    pub clouds: BTreeMap<Name, Vec<Observed>>,
    pub markets: BTreeMap<Name, Market>,
    pub capabilities: BTreeMap<Name, Capabilities>,
    pub probes: BTreeMap<Text, HostSeen>,
    /// Clusters as they are, whatever is recorded.
    pub clusters: BTreeMap<Name, Members>,
    /// Clusters tell nothing of themselves, as simulated ones.
    pub mute: bool,
    /// Providers that do not answer.
    pub silent: Vec<Name>,
    pub stock_outs: BTreeMap<Text, i64>,
    pub keys: BTreeMap<Name, Text>,
    pub serial: u64,
    pub ids: u64,
    pub seed: u64,
    /// Machines at a provider, zone and offering, those that are taken counted in.
    pub totals: BTreeMap<(Name, Text, Text), u32>,
    /// A machine that hosts of others use a little of.
    pub strangers: Option<Text>,
    /// Places turn out to be sold out: which alternative hosts get, by their number; none: all are as planned.
    pub detour: Option<usize>,
}

impl World {
    pub fn new() -> Self {
        let desired = Desired {
            inventory: name("acme"),
            environment: name("prod"),
            protected: false,
            variables: BTreeMap::new(),
            providers: BTreeMap::new(),
            tenants: BTreeMap::from([(name("default"), TenantSpec::default())]),
            classes: BTreeMap::new(),
            images: BTreeMap::from([(name("debian"), BTreeMap::new())]),
            networks: BTreeMap::new(),
            backends: BTreeMap::new(),
            tiers: BTreeMap::new(),
            pools: BTreeMap::new(),
            artifacts: Default::default(),
            clusters: Default::default(),
            policy: Policy::default(),
            moved: BTreeMap::new(),
        };
        Self {
            desired,
            recorded: Vec::new(),
            clouds: BTreeMap::new(),
            markets: BTreeMap::new(),
            capabilities: BTreeMap::new(),
            probes: BTreeMap::new(),
            clusters: BTreeMap::new(),
            mute: false,
            silent: Vec::new(),
            stock_outs: BTreeMap::new(),
            keys: BTreeMap::new(),
            serial: 0,
            ids: 0,
            seed: 1,
            totals: BTreeMap::new(),
            strangers: None,
            detour: None,
        }
    }

    /// A provider that makes hosts: sizes are (name, vcpus, GiB, price in thousandths per hour), all in each zone.
    pub fn cloud(&mut self, provider: &str, zones: &[&str], sizes: &[(&str, u32, u64, i64)], backends: &[(&str, u64)]) {
        let mut offerings = Vec::new();
        for zone in zones {
            for &(size, vcpus, memory, price) in sizes {
                offerings.push(Offering {
                    name: size.into(),
                    region: "r".into(),
                    zone: (*zone).into(),
                    size: Size { vcpus, memory: Bytes::gib(memory), disk: Bytes::gib(100) },
                    elastic: false,
                    price: Money(price * 1000),
                    stock: None,
                    ..Offering::default()
                });
            }
        }
        let backend = |&(backend, capacity): &(&str, u64)| BackendOffer {
            name: format!("{provider}/{backend}").into(),
            media: Some(Media::Ssd),
            iops: Some(1000),
            provisioning: [Provisioning::Thin].into(),
            zones: Default::default(),
            capacity: Bytes::gib(capacity),
            allocated: Bytes(0),
            price: Money(100),
        };
        let market = Market {
            offerings,
            backends: backends.iter().map(backend).collect(),
            images: ["img-debian".into(), "img-new".into()].into(),
            ..Market::default()
        };
        self.desired.providers.insert(name(provider), ProviderSpec { kind: ProviderKind::Local, ssh: None });
        self.desired.images.get_mut("debian").unwrap().insert(name(provider), "img-debian".into());
        self.markets.insert(name(provider), market);
        self.capabilities.insert(name(provider), capabilities(true));
        self.clouds.insert(name(provider), Vec::new());
    }

    /// A provider that only adopts.
    pub fn racks(&mut self, provider: &str) {
        self.desired.providers.insert(name(provider), ProviderSpec { kind: ProviderKind::Ssh, ssh: None });
        self.markets.insert(name(provider), Market::default());
        self.capabilities.insert(name(provider), capabilities(false));
        self.clouds.insert(name(provider), Vec::new());
    }

    pub fn pool(&mut self, pool: &str, hosts: u32) -> &mut PoolSpec {
        let spec = PoolSpec {
            tenant: name("default"),
            class: None,
            hosts: Hosts::Count(hosts),
            size: Some(Size { vcpus: 1, memory: Bytes::gib(1), disk: Bytes::gib(10) }),
            image: Some(name("debian")),
            network: None,
            place: Place::default(),
            bootstrap: BootstrapSpec::default(),
            volumes: BTreeMap::new(),
            labels: BTreeMap::new(),
            ignore_changes: Vec::new(),
            ssh: None,
            protected: false,
            addresses: BTreeMap::new(),
            public: None,
            root: None,
            needs: Needs::default(),
        };
        self.desired.pools.entry(name(pool)).or_insert(spec)
    }

    pub fn tier(&mut self, tier: &str, backends: &[&str]) {
        let spec = TierSpec {
            media: None,
            min_iops: None,
            provisioning: Provisioning::Thin,
            backends: backends.iter().map(|b| (*b).into()).collect(),
        };
        self.desired.tiers.insert(name(tier), spec);
    }

    pub fn input(&self, scope: Scope) -> PlanInput {
        let mut recorded = self.recorded.clone();
        recorded.sort_by(|a, b| a.address.cmp(&b.address).then(a.generation.cmp(&b.generation)));
        let mut clouds = self.clouds.clone();
        clouds.retain(|provider, _| !self.silent.contains(provider));
        let mut markets = self.markets.clone();
        for (provider, market) in &mut markets {
            self.count(provider, market);
        }
        PlanInput {
            desired: self.desired.clone(),
            recorded,
            seen: Seen { providers: clouds, hosts: self.probes.clone(), clusters: self.clusters_seen() },
            markets,
            capabilities: self.capabilities.clone(),
            stock_outs: self.stock_outs.clone(),
            lineage: lineage(),
            public_keys: self.keys.clone(),
            scope,
            now: 1_000_000,
            seed: self.seed,
        }
    }

    /// What a cloud says is used, ours and others'. Of so many machines, a stock is what is left.
    fn count(&self, provider: &Name, market: &mut Market) {
        for offering in market.offerings.iter_mut() {
            let here = |host: &HostSpec| {
                (&host.region, &host.zone, &host.offering) == (&offering.region, &offering.zone, &offering.name)
            };
            let key = (provider.clone(), offering.zone.clone(), offering.name.clone());
            let Some(all) = self.totals.get(&key) else { continue };
            let taken = self.clouds[provider].iter().filter(|o| o.spec.host().is_some_and(here)).count();
            offering.stock = Some(all.saturating_sub(taken as u32));
        }
        let (mut hosts, mut vcpus, mut memory) = (0, 0, 0);
        let (mut storage, mut volumes, mut addresses) = (0, 0, 0);
        for object in &self.clouds[provider] {
            match &object.spec {
                Spec::Host(host) => {
                    hosts += 1;
                    vcpus += u64::from(host.size.vcpus);
                    memory += host.size.memory.0;
                    addresses += u64::from(host.public.is_some());
                    if let Some(root) = &host.root {
                        (storage, volumes) = (storage + root.size.0, volumes + 1);
                        for backend in market.backends.iter_mut().filter(|b| b.name == root.backend) {
                            backend.allocated.0 += root.size.0;
                        }
                    }
                }
                Spec::Volume(volume) => {
                    (storage, volumes) = (storage + volume.size.0, volumes + 1);
                    for backend in market.backends.iter_mut().filter(|b| b.name == volume.backend) {
                        backend.allocated.0 += volume.size.0;
                    }
                }
                Spec::Network(_) | Spec::Snapshot(_) | Spec::Backup(_) => {}
            }
        }
        let used = self.machines_used();
        for machine in &mut market.machines {
            let (mut vcpus, memory, disk) = used.get(&machine.name).copied().unwrap_or_default();
            vcpus += u64::from(self.strangers.as_ref() == Some(&machine.name) && vcpus < u64::from(machine.size.vcpus));
            machine.used = Size { vcpus: vcpus as u32, memory: Bytes(memory), disk: Bytes(disk) };
        }
        let copies = |kind| self.clouds[provider].iter().filter(|object| object.spec.kind() == kind).count() as u64;
        let compute = [("hosts", hosts), ("vcpus", vcpus), ("memory", memory)];
        let others = [("storage", storage), ("volumes", volumes), ("addresses", addresses)];
        let copies = [("snapshots", copies(Kind::Snapshot)), ("backups", copies(Kind::Backup))];
        for (what, used) in compute.into_iter().chain(others).chain(copies) {
            market.limits.entry(what.into()).and_modify(|limit| limit.used = used);
        }
    }

    /// What hosts use of each machine: cores, memory, disk.
    pub fn machines_used(&self) -> BTreeMap<Text, (u64, u64, u64)> {
        let mut out: BTreeMap<Text, (u64, u64, u64)> = BTreeMap::new();
        for host in self.clouds.values().flatten().filter_map(|object| object.spec.host()) {
            if let Some(machine) = &host.machine {
                let used = out.entry(machine.clone()).or_default();
                used.0 += u64::from(host.size.vcpus);
                used.1 += host.size.memory.0;
                used.2 += if host.root.is_some() { 0 } else { host.size.disk.0 };
            }
        }
        out
    }

    /// A host that stands, as if it had been made.
    pub fn stand(&mut self, address: &Address, provider: &Name, spec: Spec, pool: &Name, price: Money) {
        let decl = &self.desired.pools[pool];
        let record = NewRecord {
            tenant: decl.tenant.clone(),
            pool: Some(pool.clone()),
            protected: false,
            needs: Vec::new(),
            price,
        };
        let step = Step {
            id: pool_planner::plan::StepId(0),
            address: address.clone(),
            generation: 1,
            provider: provider.clone(),
            action: Action::PowerOn,
            reason: Reason::NotPresent,
            needs: Vec::new(),
        };
        self.create(&step, &spec, &record, false);
    }

    /// Every limit, and whether it is kept.
    pub fn broken_limits(&self) -> Vec<String> {
        let mut used: BTreeMap<Text, u64> = BTreeMap::new();
        for (account, amount) in self.recorded.iter().flat_map(Recorded::charges) {
            *used.entry(account).or_default() += amount;
        }
        let mut limits: BTreeMap<Text, u64> = BTreeMap::new();
        for (tenant, spec) in &self.desired.tenants {
            let quota = spec.quota.limits().into_iter();
            limits.extend(quota.map(|(what, limit)| (format!("tenant/{tenant}/{what}").into(), limit)));
        }
        for (provider, market) in &self.markets {
            let own = market.limits.iter();
            limits.extend(own.map(|(what, limit)| (format!("provider/{provider}/{what}").into(), limit.limit)));
        }
        for (provider, market) in &self.markets {
            let machines = market.machines.iter().flat_map(|machine| machine.accounts(provider));
            limits.extend(machines.map(|(name, limit)| (name, limit.limit)));
        }
        for backend in self.markets.values().flat_map(|market| &market.backends) {
            limits.insert(format!("backend/{}", backend.name).into(), backend.capacity.0);
        }
        let over = |(account, limit): (&Text, &u64)| {
            let used = used.get(account).copied().unwrap_or(0);
            (used > *limit).then(|| format!("{account}: {used} of {limit}"))
        };
        limits.iter().filter_map(over).collect()
    }

    pub fn row(&self, address: &Address, generation: u32) -> Option<&Recorded> {
        self.recorded.iter().find(|row| row.address == *address && row.generation == generation)
    }

    fn row_mut(&mut self, step: &Step) -> &mut Recorded {
        self.serial += 1;
        let serial = self.serial;
        let row = self.recorded.iter_mut().find(|r| r.address == step.address && r.generation == step.generation);
        let row = row.unwrap_or_else(|| panic!("{} {} has no record", step.action.verb(), step.address));
        row.serial = serial;
        row
    }

    pub fn object(&mut self, provider: &Name, id: &str) -> Option<&mut Observed> {
        self.clouds.get_mut(provider)?.iter_mut().find(|object| &*object.id == id)
    }

    /// The newest object of an address.
    pub fn find(&mut self, address: &Address) -> &mut Observed {
        let row = self.recorded.iter().rfind(|row| row.address == *address).unwrap().clone();
        self.object(&row.provider, row.id.as_deref().unwrap()).unwrap()
    }

    fn seen(&mut self, step: &Step) -> &mut Observed {
        let row = self.row(&step.address, step.generation).unwrap_or_else(|| panic!("no record of {}", step.address));
        let (provider, id) = (row.provider.clone(), row.id.clone().unwrap());
        let what = format!("{} {} of {provider} is not there", step.action.verb(), step.address);
        self.object(&provider, &id).unwrap_or_else(|| panic!("{what}"))
    }

    /// Carries a step out as a provider would, and refuses what a provider would refuse.
    pub fn act(&mut self, plan: &Plan, step: &Step) {
        match &step.action {
            Action::Create { spec, record, .. } => self.create(step, spec, record, false),
            Action::Adopt { spec, record } => self.create(step, spec, record, true),
            Action::Update { from, to } | Action::Rebuild { from, to } => {
                assert_eq!(*from, self.row(&step.address, step.generation).unwrap().spec, "{}", step.address);
                if matches!(step.action, Action::Rebuild { .. }) {
                    self.left(step);
                }
                if !self.row(&step.address, step.generation).unwrap().adopted {
                    self.seen(step).spec = to.clone();
                }
                self.row_mut(step).spec = to.clone();
            }
            Action::Attach { to } => {
                let at = to.volume().unwrap().attached.clone().unwrap();
                assert!(self.stands(&at.host), "{} is attached to {}, which is not there", step.address, at.host);
                let object = self.seen(step);
                let before = object.spec.volume().unwrap().attached.clone();
                assert!(before.is_none_or(|b| b == at), "{} is attached elsewhere", step.address);
                object.spec = to.clone();
                self.row_mut(step).spec = to.clone();
            }
            Action::Detach { to } => {
                let object = self.seen(step);
                let size = |spec: &Spec| spec.volume().map(|volume| volume.size);
                assert!(size(to) >= size(&object.spec), "{} would get smaller", step.address);
                object.spec = to.clone();
                self.row_mut(step).spec = to.clone();
            }
            Action::PowerOn => {
                let object = self.seen(step);
                assert_eq!(object.status, Status::Stopped, "{} is on", step.address);
                object.status = Status::Ready;
            }
            Action::PowerOff => {
                let object = self.seen(step);
                assert_ne!(object.status, Status::Stopped, "{} is off", step.address);
                if object.status == Status::Ready {
                    object.status = Status::Stopped;
                }
            }
            Action::Restart => assert_ne!(self.seen(step).status, Status::Stopped, "{} is off", step.address),
            Action::Restore { from } => {
                assert!(self.stands(from), "{} is restored from {from}, which is not there", step.address);
                let attached = self.seen(step).spec.volume().unwrap().attached.clone();
                assert_eq!(attached, None, "{} is restored while it is attached", step.address);
            }
            Action::Delete => self.delete(step),
            Action::Release | Action::Forget => self.drop_row(step),
            Action::Record { to } => self.record(step, to),
            Action::Gather => {}
            Action::Bootstrap { digest } => self.bootstrap(plan, step, digest.as_ref()),
            Action::Member { task } => self.member(plan, step, task),
        }
    }

    fn stands(&self, host: &Address) -> bool {
        self.recorded.iter().any(|row| row.address == *host && (row.id.is_some()))
    }

    fn create(&mut self, step: &Step, spec: &Spec, record: &NewRecord, adopted: bool) {
        let there = self.recorded.iter().filter(|r| r.address == step.address && r.id.is_some()).count();
        assert_eq!(there, 0, "{} is made twice", step.address);
        if let Spec::Host(HostSpec { network: Some(network), .. }) = spec {
            let network = Address::network(network);
            assert!(self.recorded.iter().any(|r| r.address == network && r.id.is_some()), "{network} is not there");
        }
        let source = spec.copy().map(|copy| &copy.of).or_else(|| spec.volume()?.from.as_ref());
        if let Some(source) = source {
            assert!(self.stands(source), "{} is made from {source}, which is not there", step.address);
        }
        self.recorded.retain(|r| r.address != step.address || r.generation != step.generation);
        self.ids += 1;
        self.serial += 1;
        let id = self.existing(&step.provider, spec).unwrap_or_else(|| format!("id-{}", self.ids).into());
        let token = Token::derive(&lineage(), &step.address, step.generation, 0);
        let endpoint = match spec {
            Spec::Host(host) if adopted && host.existing.is_none() => host.at.clone(),
            Spec::Host(host) if adopted => {
                let seen = self.object(&step.provider, &id).and_then(|object| object.endpoint.clone());
                seen.map(|seen| host.reached(&seen))
            }
            Spec::Host(_) => {
                let host = format!("10.0.{}.{}", self.ids / 250, self.ids % 250).into();
                Some(Endpoint { host, port: 22, host_keys: vec!["key".into()] })
            }
            _ => None,
        };
        let owner = Owner {
            lineage: lineage(),
            address: step.address.clone(),
            generation: step.generation,
            token: token.clone(),
        };
        if !adopted {
            self.clouds.get_mut(&step.provider).unwrap().push(Observed {
                id: id.clone(),
                name: step.address.name.clone(),
                owner: Some(owner),
                status: Status::Ready,
                spec: spec.clone(),
                endpoint: endpoint.clone(),
            });
        }
        self.recorded.push(Recorded {
            address: step.address.clone(),
            generation: step.generation,
            tenant: record.tenant.clone(),
            pool: record.pool.clone(),
            provider: step.provider.clone(),
            id: Some(id),
            token,
            attempt: 0,
            spec: spec.clone(),
            endpoint,
            bootstrapped: None,
            adopted,
            protected: record.protected,
            needs: record.needs.clone(),
            price: record.price,
            serial: self.serial,
            created: 0,
            member: None,
        });
    }

    /// The id of what is taken over, or of a network of others that is used.
    fn existing(&self, provider: &Name, spec: &Spec) -> Option<Text> {
        if let Some(id) = spec.host().and_then(|host| host.existing.clone()) {
            return Some(id);
        }
        let called = spec.network()?.existing.as_ref()?;
        let fits = |network: &&NetworkOffer| network.id == *called || network.name == *called;
        Some(self.markets[provider].networks.iter().find(fits).expect("it is there").id.clone())
    }

    fn delete(&mut self, step: &Step) {
        let row = self.row(&step.address, step.generation).unwrap_or_else(|| panic!("no record of {}", step.address));
        assert!(!row.adopted, "{} is adopted and must be released", step.address);
        let (provider, id) = (row.provider.clone(), row.id.clone());
        if step.address.kind == Kind::Host {
            let attached = |o: &Observed| {
                o.spec.volume().and_then(|v| v.attached.as_ref()).is_some_and(|a| a.host == step.address)
            };
            assert!(!self.clouds[&provider].iter().any(attached), "{} has volumes", step.address);
        }
        if step.address.kind == Kind::Volume {
            let of = |r: &&Recorded| {
                r.address.kind == Kind::Snapshot && r.spec.copy().is_some_and(|copy| copy.of == step.address)
            };
            let still: Vec<&Recorded> = self.recorded.iter().filter(of).collect();
            assert!(still.is_empty(), "{} has snapshots", step.address);
        }
        if step.address.kind == Kind::Network {
            let inside = |r: &&Recorded| {
                r.spec.host().and_then(|h| h.network.as_ref()).is_some_and(|n| **n == *step.address.name)
            };
            let still: Vec<&Recorded> = self.recorded.iter().filter(inside).collect();
            assert!(still.is_empty(), "{} has hosts", step.address);
        }
        if let Some(id) = id {
            self.clouds.get_mut(&provider).unwrap().retain(|o| o.id != id);
        }
        self.drop_row(step);
    }

    /// What goes, or gets a new system, is in no cluster any more.
    fn left(&self, step: &Step) {
        let row = self.row(&step.address, step.generation);
        let member = row.and_then(|row| row.member.as_ref());
        assert!(member.is_none(), "{} of {}, which is a member", step.action.verb(), step.address);
    }

    fn drop_row(&mut self, step: &Step) {
        self.left(step);
        let before = self.recorded.len();
        self.recorded.retain(|r| r.address != step.address || r.generation != step.generation);
        assert_eq!(self.recorded.len() + 1, before, "{} has no record to drop", step.address);
    }

    fn record(&mut self, step: &Step, to: &Recorded) {
        self.serial += 1;
        let old = match &step.reason {
            Reason::Moved { from } => from.clone(),
            _ => to.address.clone(),
        };
        self.recorded.retain(|r| r.address != old || r.generation != to.generation);
        assert!(self.row(&to.address, to.generation).is_none(), "{} is overwritten", to.address);
        self.recorded.push(Recorded { serial: self.serial, ..to.clone() });
    }

    fn bootstrap(&mut self, plan: &Plan, step: &Step, digest: Option<&Text>) {
        let pool = self.row(&step.address, step.generation).unwrap().pool.clone().unwrap();
        let spec = &plan.bootstraps[&pool];
        let mut hosts = spec.hosts.clone();
        for host in hosts.values_mut().flatten() {
            let row = self.recorded.iter().rfind(|r| *r.address.name == *host.name && r.address.kind == Kind::Host);
            host.endpoint = row.unwrap_or_else(|| panic!("{} is mentioned and not there", host.name)).endpoint.clone();
        }
        let shared = PoolDigest::new(&spec.spec, &spec.variables, &spec.labels, &spec.tenant, &hosts).unwrap();
        let endpoint = self.row(&step.address, step.generation).unwrap().endpoint.clone().unwrap();
        let itself = !self.capabilities[&step.provider].features.contains(&Feature::Mounts);
        let volumes =
            self.recorded.iter().filter(|row| itself && row.address.host_of_volume() == Some(step.address.clone()));
        let mounts: Vec<HostMount> = volumes.filter_map(HostMount::of).collect();
        let actual = shared.host(&step.address.name, &endpoint, &mounts);
        if let Some(digest) = digest {
            assert_eq!(*digest, actual, "{}", step.address);
        }
        self.probes.remove(&step.address.name);
        self.row_mut(step).bootstrapped = Some(actual);
    }

    /// Carries a whole plan out, in its own order.
    pub fn apply(&mut self, plan: &Plan) {
        let order: Vec<usize> = (0..plan.steps.len()).collect();
        self.apply_in(plan, &order);
    }

    /// The step as it is done where hosts go elsewhere than planned.
    fn detoured(&self, plan: &Plan, step: &Step, went: &mut BTreeMap<Address, Alternative>) -> Option<Step> {
        let mut step = step.clone();
        match &mut step.action {
            Action::Create { spec: Spec::Host(host), record, group: Some(group) } => {
                let others = &plan.groups[group.0 as usize].alternatives;
                let number: usize = step.address.name.rsplit_once('-')?.1.parse().ok()?;
                let other = others.get((self.detour? + number) % (others.len() + 1))?;
                *host = HostSpec { address: host.address, ..other.host.clone() };
                (step.provider, record.price) = (other.provider.clone(), other.price);
                went.insert(step.address.clone(), other.clone());
            }
            Action::Create { spec: Spec::Volume(volume), record, .. } => {
                let other = went.get(&step.address.host_of_volume()?)?;
                let follower = other.volumes.get(step.address.name.split_once('.')?.1)?;
                (volume.backend, volume.zone) = (follower.backend.clone(), other.host.zone.clone());
                (step.provider, record.price) = (other.provider.clone(), follower.price);
            }
            Action::Attach { to: Spec::Volume(volume) } => {
                let other = went.get(&step.address.host_of_volume()?)?;
                let follower = other.volumes.get(step.address.name.split_once('.')?.1)?;
                (volume.backend, volume.zone) = (follower.backend.clone(), other.host.zone.clone());
            }
            Action::Bootstrap { .. } => step.provider = went.get(&step.address)?.provider.clone(),
            _ => return None,
        }
        Some(step)
    }

    /// Carries the steps out in this order, which must respect `needs`; no limit may be broken in between, unless it was
    /// broken before.
    pub fn apply_in(&mut self, plan: &Plan, order: &[usize]) {
        // What the state lost and finds again may be more than a limit that was lowered meanwhile: it is there all the same.
        let found = |step: &Step| matches!((&step.action, &step.reason), (Action::Record { .. }, Reason::Unfinished));
        let counted = self.broken_limits().is_empty() && !plan.steps.iter().any(found);
        let mut went: BTreeMap<Address, Alternative> = BTreeMap::new();
        for &at in order {
            let detoured = self.detoured(plan, &plan.steps[at], &mut went);
            self.act(plan, detoured.as_ref().unwrap_or(&plan.steps[at]));
            if counted {
                let broken = self.broken_limits();
                assert!(
                    broken.is_empty(),
                    "after {} {}: {broken:?}",
                    plan.steps[at].action.verb(),
                    plan.steps[at].address
                );
            }
        }
    }
}

pub fn lineage() -> Lineage {
    Lineage::from_bits([7; 16])
}

pub fn capabilities(creates: bool) -> Capabilities {
    let fields = |list: &[(&str, Change)]| list.iter().map(|(f, c)| (Text::from(*f), *c)).collect();
    let host = fields(&[
        ("tags.*", Change::InPlace),
        ("offering", Change::InPlace),
        ("size.*", Change::InPlace),
        ("image", Change::Rebuild),
        ("authorized_keys", Change::Rebuild),
        ("address", Change::InPlace),
        ("user", Change::InPlace),
    ]);
    let volume = fields(&[("tags.*", Change::InPlace), ("size", Change::InPlace), ("attached", Change::InPlace)]);
    let network = fields(&[("tags.*", Change::InPlace)]);
    Capabilities {
        changes: BTreeMap::from([(Kind::Host, host), (Kind::Volume, volume), (Kind::Network, network)]),
        features: [
            Feature::Packages,
            Feature::Users,
            Feature::Services,
            Feature::Networks,
            Feature::Owners,
            Feature::Mounts,
        ]
        .into(),
        creates,
        batch: 10,
        visibility_delay: TimeSpan(0),
        doubt: TimeSpan(0),
        patience: pool_inventory::market::PATIENCE,
        calls: 64,
        poll: TimeSpan(0),
        unseen: Default::default(),
    }
}
