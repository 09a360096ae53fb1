//! Scripts of a world: one line, one thing that happens.

use std::collections::BTreeMap;

use pool_inventory::{
    Address, Bytes, Money, Name, Percent, Text,
    desired::*,
    market::{Change, Drift, Feature, HostSeen, Limit, Machine, NetworkOffer},
    object::{Endpoint, Spec, Status},
};
use pool_planner::{
    Action, Plan, Scope, Step, check,
    input::{Brake, Errand},
    plan,
};

use crate::{
    render::render,
    world::{World, name},
};

/// Runs a script; the answer is each line that plans, with its plan.
pub fn run(script: &str) -> String {
    let mut world = World::new();
    let mut out = String::new();
    let mut last: Option<Plan> = None;
    for line in script.lines().map(str::trim) {
        if line.is_empty() || line.starts_with('#') {
            out.push_str(line);
            out.push('\n');
            continue;
        }
        out.push_str(&format!("> {line}\n"));
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[0] {
            "plan" => match planned(&world, &words[1..]) {
                Ok(plan) => {
                    out.push_str(&render(&plan));
                    last = Some(plan);
                }
                Err(error) => out.push_str(&format!("error: {error}\n")),
            },
            "apply" => world.apply(last.as_ref().unwrap()),
            // The run ends before the steps of this kind.
            "apply-until" => {
                let plan = last.as_ref().unwrap();
                let order: Vec<usize> =
                    (0..plan.steps.len()).take_while(|at| plan.steps[*at].action.verb() != words[1]).collect();
                world.apply_in(plan, &order);
            }
            // The run ends within this step: what it began is recorded; `done`: its cluster has changed, too.
            "apply-into" => into(&mut world, last.as_ref().unwrap(), &words[1..]),
            "replan" => {
                let plan = planned(&world, &words[1..]).unwrap();
                assert!(plan.is_empty(), "a second plan has steps:\n{}", render(&plan));
            }
            _ => happen(&mut world, &words),
        }
    }
    out
}

fn planned(world: &World, words: &[&str]) -> Result<Plan, pool_planner::PlanError> {
    let mut scope = Scope::default();
    for word in words {
        match word.split_once('=').unwrap_or((word, "")) {
            ("destroy", _) => scope.destroy = true,
            ("refresh-only", _) => scope.refresh_only = true,
            ("target", address) => drop(scope.targets.insert(address.parse().unwrap())),
            ("exclude", address) => drop(scope.excludes.insert(address.parse().unwrap())),
            ("replace", address) => drop(scope.replace.insert(address.parse().unwrap())),
            ("copy", to) => scope.errands.push(Errand::Copy { to: to.parse().unwrap() }),
            ("restore", from) => scope.errands.push(Errand::Restore { from: from.parse().unwrap() }),
            ("delete", copy) => scope.errands.push(Errand::Delete { copy: copy.parse().unwrap() }),
            ("stop", host) => scope.errands.push(Errand::Power { host: host.parse().unwrap(), on: false }),
            ("start", host) => scope.errands.push(Errand::Power { host: host.parse().unwrap(), on: true }),
            ("restart", host) => scope.errands.push(Errand::Restart { host: host.parse().unwrap() }),
            ("optimize", _) => scope.optimize = true,
            ("override", "max_replaced") => drop(scope.overrides.insert(Brake::MaxReplaced, "test".into())),
            ("override", "max_destroyed") => drop(scope.overrides.insert(Brake::MaxDestroyed, "test".into())),
            _ => panic!("unknown option {word}"),
        }
    }
    let input = world.input(scope);
    let made = plan(&input)?;
    let notes: Vec<String> = check(&made, &input).iter().map(ToString::to_string).collect();
    assert!(notes.is_empty(), "the checker found:\n{}\n{}", notes.join("\n"), render(&made));
    assert_eq!(made.to_bytes(), plan(&input)?.to_bytes());
    Ok(made)
}

/// `VERB ADDRESS [done]`
fn into(world: &mut World, plan: &Plan, words: &[&str]) {
    let is = |step: &Step| step.action.verb() == words[0] && step.address.to_string() == words[1];
    let at = plan.steps.iter().position(is).unwrap_or_else(|| panic!("no step {}", words.join(" ")));
    world.apply_in(plan, &(0..at).collect::<Vec<_>>());
    let Action::Member { task } = &plan.steps[at].action else { panic!("{} is none of a member", words[0]) };
    world.begin(plan, &plan.steps[at], task, words.contains(&"done"));
}

/// `cluster NAME control=POOL|managers=POOL workers=… version=… max=… endpoint=… label=POOL:KEY=VALUE taint=POOL:TAINT`
fn cluster(world: &mut World, cluster: &str, options: &[(&str, &str)]) {
    let (mut control, mut workers, mut version) = ("", Vec::new(), None);
    for (key, value) in options {
        match *key {
            "control" => (control, version) = (value, version.or(Some("1.34.4"))),
            "managers" => control = value,
            "workers" => workers = value.split(',').collect(),
            "version" => version = Some(*value),
            _ => {}
        }
    }
    let spec = world.cluster(cluster, control, &workers, version);
    for (key, value) in options {
        let part = || value.split_once(':').map(|(pool, rest)| (name(pool), rest)).unwrap();
        match (*key, &mut spec.kind) {
            ("max", _) => spec.max_unavailable = value.parse().unwrap(),
            ("label", _) => {
                let (label, word) = part().1.split_once('=').unwrap();
                spec.labels.entry(part().0).or_default().insert(label.into(), word.into());
            }
            ("endpoint", ClusterKind::Kubernetes(spec)) => spec.endpoint = Some((*value).into()),
            ("network", ClusterKind::Kubernetes(spec)) => spec.pod_network.manifest = (*value).into(),
            ("taint", ClusterKind::Kubernetes(spec)) => spec.taints.entry(part().0).or_default().push(part().1.into()),
            ("control" | "managers" | "workers" | "version", _) => {}
            _ => panic!("unknown option {key}"),
        }
    }
}

/// `member CLUSTER/HOST trouble=WORD expires=SECONDS well forgotten`
fn member(world: &mut World, member: &str, options: &[(&str, &str)]) {
    let (cluster, host) = member.split_once('/').unwrap();
    let members = world.clusters.get_mut(cluster).unwrap();
    for (key, value) in options {
        let seen = members.get_mut(host).unwrap();
        match *key {
            "trouble" => seen.trouble = Some((*value).into()),
            "well" => seen.trouble = None,
            // In so many seconds.
            "expires" => seen.expires = Some(1_000_000 + value.parse::<i64>().unwrap()),
            "forgotten" => drop(members.remove(host)),
            _ => panic!("unknown option {key}"),
        }
    }
}

fn gib(text: &str) -> Bytes {
    Bytes::gib(text.parse().unwrap())
}

fn happen(world: &mut World, words: &[&str]) {
    let options: Vec<(&str, &str)> =
        words.iter().skip(2).map(|word| word.split_once('=').unwrap_or((word, ""))).collect();
    match words[0] {
        "cloud" => cloud(world, words[1], &options),
        "racks" => world.racks(words[1]),
        "tier" => tier(world, words[1], &options),
        "network" => {
            let mut decl = NetworkDecl::new(name("default"), "10.0.0.0/24".parse().unwrap(), vec![]);
            for (key, value) in options {
                match key {
                    "on" => decl.on = value.split(',').map(name).collect(),
                    "cidr" => decl.cidr = Some(value.parse().unwrap()),
                    "existing" => (decl.cidr, decl.existing) = (None, Some(value.into())),
                    "router" => decl.router = Some(value.into()),
                    "dns" => decl.dns = value.split(',').map(|address| address.parse().unwrap()).collect(),
                    "ingress" => drop(decl.ingress.insert(rule(value).0, rule(value).1)),
                    "egress" => drop(decl.egress.insert(rule(value).0, rule(value).1)),
                    _ => panic!("unknown option {key}"),
                }
            }
            world.desired.networks.insert(name(words[1]), decl);
        }
        "tenant" => {
            let (mut quota, mut isolation) = (QuotaSpec::default(), Isolation::None);
            for option in options {
                match option {
                    ("isolation", "network") => isolation = Isolation::Network,
                    ("isolation", _) => isolation = Isolation::DedicatedHosts,
                    option => set_quota(&mut quota, option),
                }
            }
            world.desired.tenants.insert(name(words[1]), TenantSpec { quota, isolation });
        }
        "class" => {
            let class = ClassSpec { priority: words[2].parse().unwrap(), ..ClassSpec::default() };
            world.desired.classes.insert(name(words[1]), class);
        }
        "pool" => pool(world, words[1], &options),
        "drop" => drop_declared(world, words[1]),
        "cluster" => cluster(world, words[1], &options),
        "member" => member(world, words[1], &options),
        "mute" => world.mute = true,
        // Another image, at every provider that has one.
        "image" => {
            let images = world.desired.images.get_mut("debian").unwrap();
            images.values_mut().for_each(|image| *image = format!("img-{}", words[1]).into());
        }
        "policy" => policy(world, &words[1..]),
        "moved" => drop(world.desired.moved.insert(words[1].parse().unwrap(), words[2].parse().unwrap())),
        "variable" => drop(world.desired.variables.insert(words[1].into(), Scalar::Text(words[2].into()))),
        "protect-environment" => world.desired.protected = true,
        "silent" => world.silent.push(name(words[1])),
        "heard" => world.silent.clear(),
        "lacks" => {
            let of = |word: &str| serde_json::from_value::<Feature>(word.into()).unwrap();
            let features = &mut world.capabilities.get_mut(words[1]).unwrap().features;
            words[2].split(',').map(of).for_each(|feature| {
                features.remove(&feature);
            });
        }
        "machines" => machines(world, words[1], &options),
        "detour" => world.detour = words[1].parse().ok(),
        "region" => region(world, words[1], words[2]),
        "stock" => stock(world, words[1], words[2].parse().unwrap()),
        "total" => {
            let parts: Vec<&str> = words[1].split('/').collect();
            world.totals.insert((name(parts[0]), parts[1].into(), parts[2].into()), words[2].parse().unwrap());
        }
        "stock-out" => drop(world.stock_outs.insert(words[1].into(), 1_000_000 - words[2].parse::<i64>().unwrap())),
        "quota" => {
            let market = world.markets.get_mut(words[1]).unwrap();
            let mut quota = QuotaSpec::default();
            options.iter().for_each(|option| set_quota(&mut quota, *option));
            let limits = quota.limits().into_iter().map(|(what, limit)| (what, Limit { limit, used: 0 }));
            market.limits.extend(limits);
        }
        "limit" => {
            let limits = options.iter().map(|(what, limit)| {
                let limit = if *what == "storage" { gib(limit).0 } else { limit.parse().unwrap() };
                (Text::from(*what), Limit { limit, used: 0 })
            });
            world.markets.get_mut(words[1]).unwrap().limits.extend(limits);
        }
        "can" => abilities(world, words[1], words[2]),
        "cannot" => {
            let of = |word: &str| serde_json::from_value::<Feature>(word.into()).unwrap();
            let features = &mut world.capabilities.get_mut(words[1]).unwrap().features;
            features.retain(|feature| words[2].split(',').all(|word| of(word) != *feature));
        }
        "in-place" => {
            let (kind, field) = words[2].split_once('/').unwrap();
            let kind = format!("{kind}/x").parse::<Address>().or_else(|_| format!("{kind}/x.y").parse()).unwrap().kind;
            let changes = &mut world.capabilities.get_mut(words[1]).unwrap().changes;
            changes.entry(kind).or_default().insert(field.into(), Change::InPlace);
        }
        "dedicate" => {
            let (provider, offering) = words[1].split_once('/').unwrap();
            let all = &mut world.markets.get_mut(provider).unwrap().offerings;
            all.iter_mut().filter(|o| &*o.name == offering).for_each(|o| o.dedicated = Some(name(words[2])));
        }
        // PROVIDER/OFFERING is told to be so.
        "machine" => {
            let (provider, offering) = words[1].split_once('/').unwrap();
            let all = &mut world.markets.get_mut(provider).unwrap().offerings;
            for o in all.iter_mut().filter(|o| &*o.name == offering) {
                for (key, value) in &options {
                    match *key {
                        "arch" => o.arch = Some(if *value == "arm64" { Arch::Arm64 } else { Arch::Amd64 }),
                        "gpus" => o.gpus = value.parse().unwrap(),
                        _ => o.features = value.split(',').map(Text::from).collect(),
                    }
                }
            }
        }
        "namesakes" => {
            let ids = words[3].split(',').map(Text::from).collect();
            world.markets.get_mut(words[1]).unwrap().namesakes.insert(words[2].into(), ids);
        }
        "others-network" => {
            let (id, called) = (words[2].into(), words[3].into());
            let offer = NetworkOffer { id, name: called, external: false, free: None };
            world.markets.get_mut(words[1]).unwrap().networks.push(offer);
        }
        _ => outside(world, words),
    }
}

fn abilities(world: &mut World, provider: &str, words: &str) {
    let of = |word: &str| serde_json::from_value::<Feature>(word.into()).unwrap();
    world.capabilities.get_mut(provider).unwrap().features.extend(words.split(',').map(of));
}

/// `NAME:PEER:PORT`
fn rule(text: &str) -> (Name, Rule) {
    let parts: Vec<&str> = text.split(':').collect();
    let peer = match parts[1].split_once("network/") {
        Some((_, network)) => Peer::Network(name(network)),
        None if parts[1] == "any" => Peer::Any,
        None => Peer::Range(parts[1].parse().unwrap()),
    };
    let port = parts[2].parse().unwrap();
    (name(parts[0]), Rule { peer, protocol: Protocol::Tcp, ports: Some(Ports { first: port, last: port }) })
}

/// What happens to the world without us.
fn outside(world: &mut World, words: &[&str]) {
    match words[0] {
        "vanish" => {
            let id = world.find(&words[1].parse().unwrap()).id.clone();
            world.clouds.values_mut().for_each(|cloud| cloud.retain(|object| object.id != id));
        }
        "fail" => world.find(&words[1].parse().unwrap()).status = Status::Failed("it burns".into()),
        "leave" => world.find(&words[1].parse().unwrap()).status = Status::Deleting,
        "hang" => world.find(&words[1].parse().unwrap()).status = Status::Pending,
        "never-up" => {
            // It was asked for long ago, and never answered.
            let address: Address = words[1].parse().unwrap();
            let object = world.find(&address);
            (object.status, object.endpoint) = (Status::Pending, None);
            let row = world.recorded.iter_mut().find(|row| row.address == address).unwrap();
            (row.endpoint, row.created) = (None, 1);
        }
        "stop" => world.find(&words[1].parse().unwrap()).status = Status::Stopped,
        "tag" => {
            let (key, value) = words[2].split_once('=').unwrap();
            match &mut world.find(&words[1].parse().unwrap()).spec {
                Spec::Host(host) => drop(host.tags.insert(key.into(), value.into())),
                Spec::Volume(volume) => drop(volume.tags.insert(key.into(), value.into())),
                Spec::Network(network) => drop(network.tags.insert(key.into(), value.into())),
                Spec::Snapshot(copy) | Spec::Backup(copy) => drop(copy.tags.insert(key.into(), value.into())),
            }
        }
        "detach" => {
            if let Spec::Volume(volume) = &mut world.find(&words[1].parse().unwrap()).spec {
                volume.attached = None;
            }
        }
        "grow" => {
            if let Spec::Volume(volume) = &mut world.find(&words[1].parse().unwrap()).spec {
                volume.size = gib(words[2]);
            }
        }
        "readdress" => {
            let endpoint = Endpoint { host: words[2].into(), port: 22, host_keys: vec!["key".into()] };
            world.find(&words[1].parse().unwrap()).endpoint = Some(endpoint);
        }
        "lose-row" => {
            let address: Address = words[1].parse().unwrap();
            world.recorded.retain(|row| row.address != address);
        }
        "disown" => {
            // Somebody else made it, and the state knows nothing of it.
            let address: Address = words[1].parse().unwrap();
            world.find(&address).owner = None;
            world.recorded.retain(|row| row.address != address);
        }
        "cut-off" => {
            // The creation was begun; nothing came of it.
            let address: Address = words[1].parse().unwrap();
            let id = world.find(&address).id.clone();
            world.clouds.values_mut().for_each(|cloud| cloud.retain(|object| object.id != id));
            let row = world.recorded.iter_mut().find(|row| row.address == address).unwrap();
            (row.id, row.endpoint, row.bootstrapped) = (None, None, None);
        }
        "probe" => {
            let found = match words[2] {
                "clean" => HostSeen::Clean,
                "drifted" => HostSeen::Drifted(vec![Drift { item: "file /etc/motd".into(), detail: "-a +b".into() }]),
                why => HostSeen::Unreachable(why.into()),
            };
            world.probes.insert(words[1].into(), found);
        }
        other => panic!("unknown line {other}"),
    }
}

/// `region PROVIDER/ZONE REGION`
fn region(world: &mut World, place: &str, region: &str) {
    let (provider, zone) = place.split_once('/').unwrap();
    let offerings = &mut world.markets.get_mut(provider).unwrap().offerings;
    offerings.iter_mut().filter(|o| &*o.zone == zone).for_each(|o| o.region = region.into());
    offerings.sort_by(|a, b| (&a.region, &a.zone, &a.name).cmp(&(&b.region, &b.zone, &b.name)));
}

fn cloud(world: &mut World, provider: &str, options: &[(&str, &str)]) {
    let (mut zones, mut sizes, mut backends) =
        (vec!["az1"], vec![("s", 1, 2, 10), ("m", 2, 4, 20)], vec![("disk", 1000)]);
    for (key, value) in options {
        let entries = value.split(',').map(|entry| entry.split(':').collect::<Vec<_>>());
        match *key {
            "zones" => zones = value.split(',').collect(),
            "sizes" => {
                let of =
                    |e: Vec<&'static str>| (e[0], e[1].parse().unwrap(), e[2].parse().unwrap(), e[3].parse().unwrap());
                sizes = entries.map(|e| of(e.into_iter().map(|w| &*w.to_owned().leak()).collect())).collect();
            }
            "backends" => backends = entries.map(|e| (e[0], e[1].parse().unwrap())).collect(),
            "elastic" => {}
            _ => panic!("unknown option {key}"),
        }
    }
    world.cloud(provider, &zones, &sizes, &backends);
    if options.iter().any(|(key, _)| *key == "elastic") {
        for offering in &mut world.markets.get_mut(provider).unwrap().offerings {
            offering.elastic = true;
        }
    }
}

/// `machines PROVIDER/ZONE/NAME count=… vcpus=… memory=… price=… rack=… dedicated=…`
fn machines(world: &mut World, entry: &str, options: &[(&str, &str)]) {
    let mut parts = entry.split('/');
    let (provider, zone, prefix) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
    let (mut count, mut size, mut price, mut rack, mut dedicated) = (1, Size::default(), 0, "", None);
    size.disk = Bytes::gib(10_000);
    for (key, value) in options {
        match *key {
            "count" => count = value.parse().unwrap(),
            "vcpus" => size.vcpus = value.parse().unwrap(),
            "memory" => size.memory = gib(value),
            "price" => price = value.parse().unwrap(),
            "rack" => rack = value,
            "dedicated" => dedicated = Some(name(value)),
            _ => panic!("unknown option {key}"),
        }
    }
    let capabilities = world.capabilities.get_mut(provider).unwrap();
    capabilities.changes.get_mut(&pool_inventory::Kind::Host).unwrap().insert("machine".into(), Change::InPlace);
    capabilities.features.insert(Feature::Apart);
    let machines = &mut world.markets.get_mut(provider).unwrap().machines;
    machines.retain(|machine| !machine.name.starts_with(&format!("{prefix}-")));
    machines.extend((0..count).map(|number: u32| Machine {
        name: format!("{prefix}-{number}").into(),
        region: "r".into(),
        zone: zone.into(),
        rack: rack.into(),
        size,
        used: Size::default(),
        price: Money(price * 1000),
        dedicated: dedicated.clone(),
    }));
    machines.sort_by(|a, b| (&a.region, &a.zone, &a.name).cmp(&(&b.region, &b.zone, &b.name)));
}

fn tier(world: &mut World, tier: &str, options: &[(&str, &str)]) {
    let backends = options.iter().find(|(key, _)| *key == "on").map(|(_, value)| value.split(',').collect::<Vec<_>>());
    world.tier(tier, &backends.unwrap());
    let spec = world.desired.tiers.get_mut(tier).unwrap();
    for (key, value) in options {
        match *key {
            "thick" => spec.provisioning = Provisioning::Thick,
            "iops" => spec.min_iops = Some(value.parse().unwrap()),
            _ => {}
        }
    }
}

fn set_quota(quota: &mut QuotaSpec, (key, value): (&str, &str)) {
    match key {
        "hosts" => quota.hosts = Some(value.parse().unwrap()),
        "vcpus" => quota.vcpus = Some(value.parse().unwrap()),
        "memory" => quota.memory = Some(gib(value)),
        "cost" => quota.cost = Some(Money::units(value.parse().unwrap())),
        tier => drop(quota.storage.insert(name(tier), gib(value))),
    }
}

fn policy(world: &mut World, words: &[&str]) {
    for word in words {
        let (key, value) = word.split_once('=').unwrap();
        let share: Percent = value.parse().unwrap();
        match key {
            "min_gain" => world.desired.policy.min_gain = share,
            "max_replaced" => world.desired.policy.max_replaced = share,
            _ => world.desired.policy.max_destroyed = share,
        }
    }
}

fn stock(world: &mut World, place: &str, left: u32) {
    let mut parts = place.split('/');
    let (provider, zone, offering) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
    for o in &mut world.markets.get_mut(provider).unwrap().offerings {
        if &*o.zone == zone && &*o.name == offering {
            o.stock = Some(left);
        }
    }
}

fn drop_declared(world: &mut World, address: &str) {
    let address: Address = address.parse().unwrap();
    match address.kind {
        pool_inventory::Kind::Pool => drop(world.desired.pools.remove(&*address.name)),
        pool_inventory::Kind::Network => drop(world.desired.networks.remove(&*address.name)),
        pool_inventory::Kind::Cluster => drop(world.desired.clusters.remove(&*address.name)),
        pool_inventory::Kind::Volume => {
            let (pool, volume) = address.name.split_once('.').unwrap();
            world.desired.pools.get_mut(pool).unwrap().volumes.remove(volume);
        }
        _ => panic!("{address} is not declared"),
    }
}

fn pool(world: &mut World, pool: &str, options: &[(&str, &str)]) {
    let spec = world.pool(pool, 1);
    for (key, value) in options {
        match *key {
            "hosts" => {
                spec.hosts = match (value.parse(), value.split_once("..")) {
                    (Ok(count), _) => Hosts::Count(count),
                    (_, Some((min, max))) => Hosts::Range { min: min.parse().unwrap(), max: max.parse().unwrap() },
                    _ => named(value),
                }
            }
            "class" => spec.class = Some(name(value)),
            "tenant" => spec.tenant = name(value),
            "size" => {
                let (vcpus, memory) = value.split_once(':').unwrap();
                let memory = gib(memory);
                spec.size = Some(Size { vcpus: vcpus.parse().unwrap(), memory, disk: Bytes::gib(10) });
            }
            "image" => spec.image = Some(name(value)),
            "network" => spec.network = Some(name(value)),
            "on" => spec.place.on = value.split(',').map(|p| PlacePattern(p.into())).collect(),
            "address" => {
                spec.addresses = value.split(',').filter(|entry| !entry.is_empty()).map(chosen).collect();
            }
            "public" => spec.public = Some((*value).into()),
            "apart" => spec.place.apart = Some(if *value == "may" { Apart::May } else { Apart::Must }),
            "root" => spec.root = (*value != "no").then(|| name(value)),
            "offerings" => spec.place.offerings = value.split(',').map(Text::from).collect(),
            "disk" => spec.size.as_mut().unwrap().disk = gib(value),
            "spread" if *value == "rack" => spec.place.spread = Some(Spread::Rack),
            "spread" => spec.place.spread = Some(Spread::Zone),
            "skew" => (spec.place.spread, spec.place.max_skew) = (Some(Spread::Zone), Some(value.parse().unwrap())),
            "cheapest" => spec.place.optimize = Optimize::Cost,
            "balance" => spec.place.optimize = Optimize::Balance,
            "pack" => spec.place.optimize = Optimize::Pack,
            "max-price" => spec.place.max_price = Some(Money::units(value.parse().unwrap())),
            "near" => drop(spec.place.affinity.insert(name(value), Spread::Zone)),
            "far" => drop(spec.place.anti_affinity.insert(name(value), Spread::Zone)),
            "arch" => spec.needs.arch = Some(Arch::Arm64).filter(|_| *value == "arm64").or(Some(Arch::Amd64)),
            "gpus" => spec.needs.gpus = value.parse().unwrap(),
            "features" => spec.needs.features = value.split(',').map(Text::from).collect(),
            "volume" => volume(spec, value),
            "label" => {
                let (key, value) = value.split_once(':').unwrap();
                spec.labels.insert(key.into(), value.into());
            }
            "ignore" => spec.ignore_changes = value.split(',').map(Text::from).collect(),
            "package" => drop(spec.bootstrap.packages.insert((*value).into())),
            "sysctl" => drop(spec.bootstrap.sysctl.insert((*value).into(), "1".into())),
            "mentions" => mention(spec, value),
            "protected" => spec.protected = *value != "no",
            _ => panic!("unknown option {key}"),
        }
    }
}

/// `HOST:ADDRESS`
fn chosen(entry: &str) -> (Text, std::net::IpAddr) {
    let (host, address) = entry.split_once(':').unwrap();
    (host.into(), address.parse().unwrap())
}

/// `NAME:GIB:TIER[:delete][:protected][:from=ADDRESS]`
fn volume(spec: &mut PoolSpec, text: &str) {
    let parts: Vec<&str> = text.split(':').collect();
    let volume = PoolVolume {
        size: gib(parts[1]),
        tier: name(parts[2]),
        mount: Some(format!("/srv/{}", parts[0]).into()),
        on_remove: if parts.contains(&"delete") { OnRemove::Delete } else { OnRemove::Keep },
        protected: parts.contains(&"protected"),
        from: parts.iter().find_map(|part| part.strip_prefix("from=")).map(|from| from.parse().unwrap()),
    };
    spec.volumes.insert(name(parts[0]), volume);
}

fn named(text: &str) -> Hosts {
    let host = |entry: &str| {
        let (host, address) = entry.split_once(':').unwrap();
        let id = address.strip_prefix("id=");
        (
            name(host),
            NamedHost {
                address: if id.is_some() { "".into() } else { address.into() },
                host_key: Some("ssh-ed25519 A".into()),
                ssh: None,
                id: id.map(Text::from),
                volumes: BTreeMap::new(),
            },
        )
    };
    Hosts::Named(text.split(',').map(host).collect::<BTreeMap<Name, NamedHost>>())
}

pub fn mention(spec: &mut PoolSpec, pools: &str) {
    let source = FileSource::Template(TemplateSource {
        path: "hosts.tera".into(),
        text: "hosts".into(),
        pools: pools.split(',').map(name).collect(),
    });
    let file = FileSpec { source, mode: pool_inventory::FileMode(0o644), owner: None, group: None };
    spec.bootstrap.files.insert("/etc/hosts".into(), file);
}
