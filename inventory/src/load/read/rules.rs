//! Rules between entries: host names, mounts and files, templates that need each other, renames.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use super::{
    Reader,
    existing::{Sort, base_access},
    known::What,
    networks::lets_in,
    places::{can, candidates},
};
use crate::{
    desired::{Desired, FileSource, Isolation, ProviderKind},
    diagnostics::Diagnostic,
    load::check::is_range,
    names::{Address, Kind, Name},
    source::Span,
    yaml::{Entry, Node, Value},
};

/// Checks them all.
pub fn check(reader: &mut Reader<'_, '_>, desired: &Desired) {
    host_names(reader);
    addresses(reader, desired);
    isolation(reader, desired);
    mounts(reader);
    cycles(reader, desired);
    moved(reader);
    unused(reader);
    closed_networks(reader, desired);
}

/// `<pool>-<ordinal>`, where such a pool is known.
pub fn ordinal_of(host: &str, is_pool: impl Fn(&str) -> bool) -> Option<&str> {
    let (pool, ordinal) = host.rsplit_once('-')?;
    let digits = !ordinal.is_empty() && ordinal.bytes().all(|b| b.is_ascii_digit());
    (digits && is_pool(pool)).then_some(pool)
}

fn host_names(reader: &mut Reader<'_, '_>) {
    let mut seen: BTreeMap<&str, Span> = BTreeMap::new();
    let mut problems = Vec::new();
    for pool in reader.section("pools") {
        let hosts = pool.value.get("hosts").filter(|hosts| !is_range(hosts)).map(Node::entries).unwrap_or_default();
        for host in hosts {
            if let Some(like) = ordinal_of(&host.key, |pool| reader.known.has(What::Pool, pool)) {
                let message = format!("host `{}` is named like a host that pool `{like}` makes", host.key);
                problems.push(Diagnostic::at(host.at, message).note("choose a name that does not end in a number"));
            }
            match seen.get(&*host.key) {
                Some(first) if !same_pool(pool, *first) => problems.push(
                    Diagnostic::at(host.at, format!("two pools have a host `{}`", host.key))
                        .note("here again")
                        .label(*first, "first here"),
                ),
                _ => drop(seen.insert(&host.key, host.at)),
            }
        }
    }
    reader.problems.extend(problems);
}

/// Two hosts of a network cannot have one address.
fn addresses(reader: &mut Reader<'_, '_>, desired: &Desired) {
    let mut seen: BTreeMap<(&Name, IpAddr), Span> = BTreeMap::new();
    let mut problems = Vec::new();
    for pool in reader.section("pools") {
        let Some(network) = desired.pools.get(&*pool.key).and_then(|spec| spec.network.as_ref()) else { continue };
        for entry in pool.value.get("addresses").map(Node::entries).unwrap_or_default() {
            let Some(address) = entry.value.text().and_then(|text| text.parse().ok()) else { continue };
            if let Some(first) = seen.insert((network, address), entry.value.span) {
                let problem = Diagnostic::at(entry.value.span, format!("two hosts have the address {address}"));
                problems.push(problem.label(first, "first here"));
            }
        }
    }
    reader.problems.extend(problems);
}

/// What tenants do not share must be something that their pools can have for themselves.
fn isolation(reader: &mut Reader<'_, '_>, desired: &Desired) {
    reader.check_isolation(&desired.networks, &desired.tenants);
    let mut problems = Vec::new();
    for entry in reader.section("pools") {
        let Some(pool) = desired.pools.get(&*entry.key).filter(|pool| pool.hosts.numbered().is_some()) else {
            continue;
        };
        let tenant = &pool.tenant;
        let places = candidates(&pool.place, Sort::Made, &desired.providers);
        match desired.tenants.get(tenant).map(|tenant| tenant.isolation) {
            Some(Isolation::Network) if entry.value.get("network").is_none() => {
                let message = format!("pools.{} has no network, and tenant `{tenant}` shares none", entry.key);
                let note = "name a network of the tenant: it has `isolation: network`";
                problems.push(Diagnostic::at(entry.at, message).note(note));
            }
            Some(Isolation::DedicatedHosts) if !can(&places, &["openstack", "sim"]) => {
                let message =
                    format!("pools.{} shares physical machines, and tenant `{tenant}` shares none", entry.key);
                let note = "only providers of type openstack and sim have machines for one tenant alone";
                problems.push(Diagnostic::at(entry.at, message).note(note));
            }
            _ => {}
        }
    }
    reader.problems.extend(problems);
}

/// Hosts that are set up over SSH behind a network that does not let it in.
fn closed_networks(reader: &mut Reader<'_, '_>, desired: &Desired) {
    let mut warnings = Vec::new();
    for entry in reader.section("pools") {
        let Some(pool) = desired.pools.get(&*entry.key) else { continue };
        let (Some(name), Some(at)) = (&pool.network, entry.value.get("network")) else { continue };
        let Some(network) = desired.networks.get(name).filter(|network| network.existing.is_none()) else { continue };
        let places = candidates(&pool.place, Sort::of_hosts(&pool.hosts), &desired.providers);
        let access = pool.ssh.clone().unwrap_or_else(|| base_access(&places, Sort::of_hosts(&pool.hosts)));
        let mounted = pool.volumes.values().any(|volume| volume.mount.is_some());
        let entered = !pool.bootstrap.is_empty() || mounted;
        let real = places.iter().any(|(_, spec)| matches!(spec.kind, ProviderKind::Openstack(_)));
        let open = access.jump.is_some() || network.ingress.values().any(|rule| lets_in(rule, access.port));
        if entered && real && !open {
            let message =
                format!("network `{name}` lets nobody in to port {}, where pools.{} is set up", access.port, entry.key);
            let note =
                format!("add to networks.{name}: `ingress: {{ ssh: {{ from: RANGE, port: {} }} }}`", access.port);
            warnings.push(Diagnostic::at(at.span, message).note(note));
        }
    }
    reader.warnings.extend(warnings);
}

/// A host that stands twice in one pool is a key that is defined twice; that was said.
fn same_pool(pool: &Entry<'_>, host: Span) -> bool {
    let span = pool.value.span;
    span.file == host.file && span.range().contains(&(host.start as usize))
}

/// A file cannot be where a volume is mounted.
fn mounts(reader: &mut Reader<'_, '_>) {
    let mut problems = Vec::new();
    for pool in reader.section("pools") {
        let volumes = pool.value.get("volumes").map(Node::entries).unwrap_or_default();
        let mounts: BTreeSet<&str> =
            volumes.iter().filter_map(|volume| volume.value.get("mount").and_then(Node::text)).collect();
        let Some(bootstrap) = pool.value.get("bootstrap") else { continue };
        let files = bootstrap.get("files").map(Node::entries).unwrap_or_default();
        let directories = bootstrap.get("directories").map(Node::entries).unwrap_or_default();
        let directories: BTreeSet<&str> = directories.iter().map(|directory| &*directory.key).collect();
        for file in files {
            if mounts.contains(&*file.key) {
                problems.push(Diagnostic::at(
                    file.at,
                    format!("a volume is mounted where the file {} should be", file.key),
                ));
            }
            if directories.contains(&*file.key) {
                problems
                    .push(Diagnostic::at(file.at, format!("{} is declared as a file and as a directory", file.key)));
            }
        }
    }
    reader.problems.extend(problems);
}

/// Pools whose templates need each other's hosts.
fn cycles(reader: &mut Reader<'_, '_>, desired: &Desired) {
    let needs: BTreeMap<&Name, BTreeSet<Name>> = desired
        .pools
        .iter()
        .map(|(name, pool)| (name, pool.bootstrap.pools()))
        .filter(|(_, pools)| !pools.is_empty())
        .collect();
    let mut done: BTreeSet<&Name> = BTreeSet::new();
    for start in needs.keys().copied() {
        let Some(cycle) = find_cycle(start, &needs, &mut done) else { continue };
        let shown: Vec<&str> = cycle.iter().map(|name| name.as_str()).collect();
        let message = format!("templates of pools need each other's hosts in a circle: {}", shown.join(" → "));
        let mut problem = Diagnostic::new(message);
        for pair in cycle.windows(2) {
            if let Some(span) = mention(reader, desired, pair[0]) {
                problem = problem.label(span, format!("needs the hosts of `{}`", pair[1]));
            }
        }
        reader.problems.push(problem);
    }
}

/// A cycle that can be reached from `start`, first name repeated at its end. Own hosts do not count. O(edges) over all calls.
fn find_cycle<'d>(
    start: &'d Name,
    needs: &'d BTreeMap<&'d Name, BTreeSet<Name>>,
    done: &mut BTreeSet<&'d Name>,
) -> Option<Vec<&'d Name>> {
    let mut path: Vec<(&Name, Vec<&Name>)> = Vec::new();
    let next = |of: &Name| needs.get(of).into_iter().flatten().filter(|name| *name != of).collect::<Vec<_>>();
    if done.insert(start) {
        path.push((start, next(start)));
    }
    while let Some((_, open)) = path.last_mut() {
        let Some(to) = open.pop() else {
            path.pop();
            continue;
        };
        if let Some(at) = path.iter().position(|(name, _)| *name == to) {
            let mut cycle: Vec<&Name> = path[at..].iter().map(|(name, _)| *name).collect();
            cycle.push(cycle[0]);
            return Some(cycle);
        }
        if done.insert(to) {
            path.push((to, next(to)));
        }
    }
    None
}

/// Where a pool names a template that mentions hosts.
fn mention(reader: &Reader<'_, '_>, desired: &Desired, pool: &Name) -> Option<Span> {
    let spec = desired.pools.get(pool)?;
    let node = reader.root.get("pools")?.get(pool)?.get("bootstrap")?.get("files")?;
    let file = spec.bootstrap.files.iter().find(|(_, file)| match &file.source {
        FileSource::Template(template) => template.pools.iter().any(|other| other != pool),
        FileSource::Content(_) => false,
    })?;
    Some(node.get(file.0)?.get("template")?.span)
}

fn moved(reader: &mut Reader<'_, '_>) {
    let mut problems = Vec::new();
    let entries = reader.section("moved");
    let hosts = HostNames::of(reader.section("pools"));
    let olds: BTreeSet<&str> = entries.iter().map(|entry| &*entry.key).collect();
    let mut targets: BTreeMap<Address, Span> = BTreeMap::new();
    for entry in entries {
        let (Ok(old), Some(to)) = (entry.key.parse::<Address>(), entry.value.text()) else { continue };
        let Ok(new) = to.parse::<Address>() else { continue };
        let at = entry.value.span;
        let wrong = if old.kind != new.kind {
            Some(format!("{old} cannot become {new}: they are not of one kind"))
        } else if matches!(
            old.kind,
            Kind::Pool | Kind::Tenant | Kind::Snapshot | Kind::Backup | Kind::Cluster | Kind::Member
        ) {
            Some(format!("moving a {} as a whole is not carried out yet; list its hosts", old.kind))
        } else if olds.contains(to) {
            Some(format!("{new} is moved on itself: name where {old} ends up"))
        } else {
            None
        };
        let exists = || match new.kind {
            Kind::Network => reader.known.has(What::Network, &new.name),
            Kind::Host => hosts.has(&new.name),
            Kind::Volume => new.name.split_once('.').is_some_and(|(host, _)| hosts.has(host)),
            Kind::Pool | Kind::Tenant | Kind::Snapshot | Kind::Backup | Kind::Cluster | Kind::Member => true,
        };
        if let Some(message) = wrong {
            problems.push(Diagnostic::at(at, message));
        } else if !exists() {
            let problem = Diagnostic::at(at, format!("{new} is not in this inventory"));
            problems.push(problem.note("nothing can be moved there"));
        }
        if let Some(first) = targets.insert(new.clone(), at) {
            problems.push(Diagnostic::at(at, format!("two things become {new}")).label(first, "first here"));
        }
    }
    reader.problems.extend(problems);
}

/// Hosts that the inventory may have; the ordinals of a pool are the planner's.
struct HostNames<'n> {
    counted: BTreeSet<&'n str>,
    named: BTreeSet<&'n str>,
}

impl<'n> HostNames<'n> {
    fn of(pools: &'n [Entry<'_>]) -> Self {
        let is_named = |pool: &&Entry<'_>| {
            let named = |hosts: &Node<'_>| matches!(hosts.value, Value::Map(_)) && !is_range(hosts);
            pool.value.get("hosts").is_some_and(named)
        };
        let (named, counted): (Vec<_>, Vec<_>) = pools.iter().partition(is_named);
        let hosts = named.iter().filter_map(|pool| pool.value.get("hosts")).flat_map(Node::entries);
        Self { counted: counted.iter().map(|pool| &*pool.key).collect(), named: hosts.map(|host| &*host.key).collect() }
    }

    fn has(&self, host: &str) -> bool {
        self.named.contains(host) || ordinal_of(host, |pool| self.counted.contains(pool)).is_some()
    }
}

/// Variables that no text mentions.
fn unused(reader: &mut Reader<'_, '_>) {
    let mut used: BTreeSet<&str> = BTreeSet::new();
    for file in reader.sources.iter() {
        for word in ["var.", "var[\"", "var['"] {
            for (at, _) in file.text.match_indices(word) {
                let rest = &file.text[at + word.len()..];
                let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
                used.insert(&rest[..end]);
            }
        }
    }
    let entries = reader.section("variables").iter().filter(|entry| !used.contains(&*entry.key));
    let warn = |entry: &Entry<'_>| Diagnostic::at(entry.at, format!("variable `{}` is never used", entry.key));
    let warnings: Vec<Diagnostic> = entries.map(warn).collect();
    reader.warnings.extend(warnings);
}
