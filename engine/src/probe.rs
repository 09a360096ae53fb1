//! Probing hosts: is what bootstrap left there still there? Many at once, each with its own time limit.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use pool_bootstrap::{
    Facts, Link,
    cluster::{kubernetes, swarm},
};
use pool_inventory::{
    Address, Name, Text,
    desired::{Access, Desired, Hosts, Role, SecretRef},
    market::{Capabilities, ClusterSeen, Feature, HostSeen, MemberSeen},
    object::{Endpoint, HostMount, KnownHost, Membership, Recorded},
};
use tokio::{sync::Semaphore, task::JoinSet};

use crate::{connect, wanted};

/// Longest time for one host; a host that hangs is late, not fatal.
const HOST_LIMIT: Duration = Duration::from_secs(60);

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    /// By host.
    pub hosts: BTreeMap<Text, HostSeen>,
    /// By cluster.
    pub clusters: BTreeMap<Name, ClusterSeen>,
}

/// What one host tells: of itself, and, as a control plane, of its cluster.
struct Told {
    seen: HostSeen,
    members: Option<BTreeMap<Text, MemberSeen>>,
    /// Whether it could tell at all: simulated clusters say nothing.
    mute: bool,
}

/// Probes every recorded host whose pool asks for something and whose bootstrap was done in full: only there is
/// something to compare with. Hosts that are to be bootstrapped anyway are asked then.
pub async fn hosts(
    desired: &Desired,
    recorded: &[Recorded],
    capabilities: &BTreeMap<Name, Capabilities>,
    ways: Arc<connect::Hosts>,
    parallel: usize,
) -> Found {
    let slots = Arc::new(Semaphore::new(parallel.max(1)));
    let mut tasks = JoinSet::new();
    let known = wanted::known_hosts(desired, recorded);
    let only_attaches =
        |provider: &Name| capabilities.get(provider).is_some_and(|can| !can.features.contains(&Feature::Mounts));
    let mut volumes: BTreeMap<Address, Vec<Recorded>> = BTreeMap::new();
    for row in recorded.iter().filter(|row| only_attaches(&row.provider)) {
        if let Some(host) = row.address.host_of_volume() {
            volumes.entry(host).or_default().push(row.clone());
        }
    }
    for row in recorded.iter().filter(|row| row.id.is_some() && row.bootstrapped.is_some() && row.endpoint.is_some()) {
        let own = volumes.get(&row.address).map_or(&[][..], Vec::as_slice);
        let mounts = wanted::mounts(&row.address, own, &only_attaches);
        let Some(probe) = probe(desired, row, &known, mounts) else { continue };
        let (ways, slots) = (ways.clone(), slots.clone());
        tasks.spawn(async move {
            let _slot = slots.acquire_owned().await;
            let seen = match tokio::time::timeout(HOST_LIMIT, ask(&ways, &probe)).await {
                Ok(told) => told,
                Err(_) => unreachable(format!("no answer within {} s", HOST_LIMIT.as_secs())),
            };
            (probe.row, seen)
        });
    }
    let mut found = Found::default();
    while let Some(done) = tasks.join_next().await {
        match done {
            Ok((row, told)) => found.take(&row, told),
            Err(bug) => std::panic::resume_unwind(bug.into_panic()),
        };
    }
    found
}

impl Found {
    /// The first control plane that tells of its cluster is believed; each tells how long its own certificates last.
    fn take(&mut self, row: &Recorded, told: Told) {
        let name = row.address.name.clone();
        if let Some(member) = controls(row).filter(|_| !told.mute) {
            let known = self.clusters.entry(member.cluster.clone());
            let known = known.or_insert_with(|| ClusterSeen::Silent("no control plane answered".into()));
            let expires = |members: &BTreeMap<Text, MemberSeen>| members.get(&name).and_then(|seen| seen.expires);
            match (known, told.members, &told.seen) {
                (ClusterSeen::Members(members), Some(more), _) => {
                    let expires = expires(&more);
                    members.entry(name.clone()).or_default().expires = expires;
                }
                (known @ ClusterSeen::Silent(_), Some(members), _) => *known = ClusterSeen::Members(members),
                (ClusterSeen::Silent(why), None, HostSeen::Unreachable(detail)) => *why = detail.clone(),
                (ClusterSeen::Silent(why), None, _) => *why = format!("its API does not answer on {name}").into(),
                _ => {}
            }
        }
        self.hosts.insert(name, told.seen);
    }
}

/// Whether a host can tell of a cluster.
fn controls(row: &Recorded) -> Option<&Membership> {
    let member = row.member.as_deref()?;
    (member.role == Role::ControlPlane && member.has_joined()).then_some(member)
}

/// What one probe needs.
struct Probe {
    row: Recorded,
    access: Option<Access>,
    want: wanted::Want,
    mounts: Vec<HostMount>,
}

fn probe(
    desired: &Desired,
    row: &Recorded,
    known: &BTreeMap<Name, Vec<KnownHost>>,
    mounts: Vec<HostMount>,
) -> Option<Probe> {
    let pool = row.pool.as_ref()?;
    let spec = desired.pools.get(pool).filter(|spec| !spec.bootstrap.is_empty() || !mounts.is_empty())?;
    let hosts =
        spec.bootstrap.pools().into_iter().map(|pool| (pool.clone(), known.get(&pool).cloned().unwrap_or_default()));
    let want = wanted::Want {
        spec: spec.bootstrap.clone(),
        variables: desired.variables.clone(),
        labels: spec.labels.clone(),
        tenant: spec.tenant.clone(),
        environment: desired.environment.clone(),
        pool: pool.clone(),
        hosts: hosts.collect(),
        package: wanted::package(desired.clusters.values(), pool),
        artifacts: spec
            .bootstrap
            .artifacts()
            .filter_map(|used| Some((used.name.clone(), desired.artifacts.get(&used.name)?.clone())))
            .collect(),
    };
    // Another digest means that a bootstrap is planned already, with all its reasons.
    let endpoint = row.endpoint.as_ref()?;
    if want.digest(&row.address.name, endpoint, &mounts) != row.bootstrapped {
        return None;
    }
    let access = pool_planner::input::access(desired, pool, &row.address.name, &row.provider).cloned();
    let mut row = row.clone();
    row.endpoint = Some(declared(&spec.hosts, &row.address.name, endpoint, access.as_ref()));
    Some(Probe { row, access, want, mounts })
}

/// Where a host answers: what the inventory says of it now comes before what is recorded. A host with a new key is seen
/// with that key, in the very plan that records it.
fn declared(hosts: &Hosts, name: &str, recorded: &Endpoint, access: Option<&Access>) -> Endpoint {
    let mut at = recorded.clone();
    let Hosts::Named(named) = hosts else { return at };
    let Some(host) = named.get(name) else { return at };
    if !host.address.is_empty() {
        at.host.clone_from(&host.address);
        at.port = access.map_or(at.port, |access| access.port);
    }
    if let Some(key) = &host.host_key {
        at.host_keys = vec![key.clone()];
    }
    at
}

fn unreachable(why: String) -> Told {
    Told { seen: HostSeen::Unreachable(why.into()), members: None, mute: false }
}

async fn ask(ways: &connect::Hosts, probe: &Probe) -> Told {
    let endpoint = match &probe.row.endpoint {
        Some(endpoint) => endpoint,
        None => return unreachable("it has no address".to_owned()),
    };
    let password = |secret: &SecretRef| ways.password(secret);
    let rendered = match probe.want.render(&probe.row.address.name, endpoint, &probe.mounts, &password) {
        Ok(rendered) => rendered,
        Err(error) => return unreachable(error),
    };
    let mut link = match ways.link(&probe.row, probe.access.as_ref()).await {
        Ok((link, _)) => link,
        Err(error) => return unreachable(crate::ops::chain(&error)),
    };
    let report = match pool_bootstrap::observe(link.as_mut(), &rendered).await {
        Ok(report) => report,
        Err(error) => return unreachable(crate::ops::chain(&error)),
    };
    let members = match controls(&probe.row) {
        Some(member) => survey(link.as_mut(), &report.facts, &probe.row, member).await,
        None => None,
    };
    let seen = if report.drifts.is_empty() { HostSeen::Clean } else { HostSeen::Drifted(report.drifts) };
    Told { seen, members, mute: ways.is_simulated(&probe.row.provider) }
}

/// What a control plane says of its cluster; none: its API does not answer, or it is simulated.
async fn survey(
    link: &mut dyn Link,
    facts: &Facts,
    row: &Recorded,
    member: &Membership,
) -> Option<BTreeMap<Text, MemberSeen>> {
    let sudo = facts.uid != 0 && facts.sudo;
    let question = if member.version.is_empty() { swarm::survey() } else { kubernetes::survey() };
    let lines = pool_bootstrap::ask(link, sudo, &question).await.ok()?;
    let (mut members, expires) = kubernetes::parse_survey(&lines);
    if let Some(own) = members.get_mut(&row.address.name) {
        own.expires = expires;
    }
    (!members.is_empty()).then_some(members)
}
