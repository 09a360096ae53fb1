//! Probing hosts: is what bootstrap left there still there? Many at once, each with its own time limit.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use pool_inventory::{
    Address, Name, Text,
    desired::{Access, Desired},
    market::{Capabilities, Feature, HostSeen},
    object::{HostMount, KnownHost, Recorded},
};
use tokio::{sync::Semaphore, task::JoinSet};

use crate::{connect::Hosts, wanted};

/// Longest time for one host; a host that hangs is late, not fatal.
const HOST_LIMIT: Duration = Duration::from_secs(60);

/// Probes every recorded host whose pool asks for something and whose bootstrap was done in full: only there is
/// something to compare with. Hosts that are to be bootstrapped anyway are asked then.
pub async fn hosts(
    desired: &Desired,
    recorded: &[Recorded],
    capabilities: &BTreeMap<Name, Capabilities>,
    ways: Arc<Hosts>,
    parallel: usize,
) -> BTreeMap<Text, HostSeen> {
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
            let name = probe.row.address.name.clone();
            let seen = match tokio::time::timeout(HOST_LIMIT, ask(&ways, &probe)).await {
                Ok(seen) => seen,
                Err(_) => HostSeen::Unreachable(format!("no answer within {} s", HOST_LIMIT.as_secs()).into()),
            };
            (name, seen)
        });
    }
    let mut seen = BTreeMap::new();
    while let Some(done) = tasks.join_next().await {
        match done {
            Ok((name, host)) => seen.insert(name, host),
            Err(bug) => std::panic::resume_unwind(bug.into_panic()),
        };
    }
    seen
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
    };
    // Another digest means that a bootstrap is planned already, with all its reasons.
    let endpoint = row.endpoint.as_ref()?;
    if want.digest(&row.address.name, endpoint, &mounts) != row.bootstrapped {
        return None;
    }
    let access = pool_planner::input::access(desired, pool, &row.address.name, &row.provider).cloned();
    Some(Probe { row: row.clone(), access, want, mounts })
}

async fn ask(ways: &Hosts, probe: &Probe) -> HostSeen {
    let unreachable = |why: String| HostSeen::Unreachable(why.into());
    let endpoint = match &probe.row.endpoint {
        Some(endpoint) => endpoint,
        None => return unreachable("it has no address".to_owned()),
    };
    let rendered = match probe.want.render(&probe.row.address.name, endpoint, &probe.mounts) {
        Ok(rendered) => rendered,
        Err(error) => return unreachable(error),
    };
    let mut link = match ways.link(&probe.row, probe.access.as_ref()).await {
        Ok((link, _)) => link,
        Err(error) => return unreachable(crate::ops::chain(&error)),
    };
    match pool_bootstrap::observe(link.as_mut(), &rendered).await {
        Ok(report) if report.drifts.is_empty() => HostSeen::Clean,
        Ok(report) => HostSeen::Drifted(report.drifts),
        Err(error) => unreachable(crate::ops::chain(&error)),
    }
}
