//! What `--target` and `--exclude` leave.

use std::collections::{BTreeMap, BTreeSet};

use pool_inventory::{Address, Kind, Name, Text, object::Spec};

use super::{roster::Pool, world::World};
use crate::input::PlanInput;

/// What may be touched.
pub(crate) struct Reach {
    /// None: all.
    targets: Option<BTreeSet<Address>>,
    excludes: BTreeSet<Address>,
    /// Hosts with an excluded volume: they cannot go, because that volume may not be detached.
    holding: BTreeSet<Address>,
}

impl Reach {
    pub(crate) fn new(input: &PlanInput, world: &World<'_>, pools: &[Pool<'_>]) -> Self {
        if input.scope.targets.is_empty() && input.scope.excludes.is_empty() {
            return Self { targets: None, excludes: BTreeSet::new(), holding: BTreeSet::new() };
        }
        let map = Neighbours::new(input, world, pools);
        // What is made needs what it stands on; what goes takes along what stands on it, and nothing below.
        let reach = if input.scope.destroy { Neighbours::with_users } else { Neighbours::with_needs };
        let targets = (!input.scope.targets.is_empty()).then(|| reach(&map, &input.scope.targets));
        let excludes = map.with_users(&input.scope.excludes);
        let holding = excludes.iter().filter_map(Address::host_of_volume).collect();
        Self { targets, excludes, holding }
    }

    /// Whether something may be done about an object. What is done to a host may be done to its volumes, and what is done
    /// to a volume to its copies.
    pub(crate) fn covers(&self, address: &Address) -> bool {
        let named = |set: &BTreeSet<Address>| {
            set.contains(address)
                || address.host_below().is_some_and(|host| set.contains(&host))
                || address.volume_of_copy().is_some_and(|volume| set.contains(&volume))
        };
        self.targets.as_ref().is_none_or(named) && (self.excludes.is_empty() || !named(&self.excludes))
    }

    /// Whether a host may go.
    pub(crate) fn may_go(&self, host: &Address) -> bool {
        self.holding.is_empty() || !self.holding.contains(host)
    }
}

/// Which objects need which.
struct Neighbours<'p, 'a> {
    input: &'p PlanInput,
    pools: &'p [Pool<'a>],
    /// Network of each host.
    networks: BTreeMap<Address, Name>,
    pool_of: BTreeMap<Address, usize>,
    index: BTreeMap<Text, usize>,
}

impl<'p, 'a> Neighbours<'p, 'a> {
    fn new(input: &'p PlanInput, world: &World<'_>, pools: &'p [Pool<'a>]) -> Self {
        let mut map =
            Self { input, pools, networks: BTreeMap::new(), pool_of: BTreeMap::new(), index: BTreeMap::new() };
        for (at, pool) in pools.iter().enumerate() {
            if let Some(name) = &pool.name {
                map.index.insert(name.as_str().into(), at);
            }
            for host in &pool.hosts {
                let recorded = host.rows.clone().next_back().and_then(|row| match &world.rows[row].now.spec {
                    Spec::Host(spec) => spec.network.clone(),
                    _ => None,
                });
                let network = recorded.or_else(|| pool.decl.and_then(|decl| decl.network.clone()));
                if let Some(network) = network {
                    map.networks.insert(host.address.clone(), network);
                }
                map.pool_of.insert(host.address.clone(), at);
            }
        }
        map
    }

    /// `pool/web` and `tenant/retail` stand for their hosts; everything else for itself.
    fn spread(&self, address: &Address) -> Vec<Address> {
        let tenant = |pool: &&Pool<'_>| pool.decl.is_some_and(|decl| *decl.tenant == *address.name);
        let hosts = |pool: &Pool<'_>| pool.hosts.iter().map(|host| host.address.clone()).collect::<Vec<_>>();
        match address.kind {
            Kind::Pool => self.index.get(&address.name).map_or_else(Vec::new, |at| hosts(&self.pools[*at])),
            Kind::Tenant => {
                let networks = self.input.desired.networks.iter().filter(|(_, n)| *n.tenant == *address.name);
                let networks = networks.map(|(name, _)| Address::network(name));
                self.pools.iter().filter(tenant).flat_map(hosts).chain(networks).collect()
            }
            Kind::Cluster => {
                let cluster = self.input.desired.clusters.get(&*address.name);
                let pools =
                    cluster.into_iter().flat_map(|cluster| cluster.workers.iter().chain([&cluster.control_plane]));
                let pools = pools.filter_map(|pool| self.index.get(pool.as_str()));
                pools.flat_map(|at| hosts(&self.pools[*at])).collect()
            }
            Kind::Member => address.host_of_member().into_iter().collect(),
            Kind::Host | Kind::Volume | Kind::Network | Kind::Snapshot | Kind::Backup => vec![address.clone()],
        }
    }

    fn with_needs(&self, start: &BTreeSet<Address>) -> BTreeSet<Address> {
        let mut out = BTreeSet::new();
        let mut queue: Vec<Address> = start.iter().flat_map(|address| self.spread(address)).collect();
        let mut pools = BTreeSet::new();
        while let Some(address) = queue.pop() {
            if !out.insert(address.clone()) {
                continue;
            }
            queue.extend(self.networks.get(&address).map(|network| Address::network(network)));
            queue.extend(address.host_of_volume());
            let Some(&pool) = self.pool_of.get(&address) else { continue };
            if let Some(decl) = self.pools[pool].decl.filter(|_| pools.insert(pool)) {
                let mentioned = decl.bootstrap.pools();
                queue.extend(mentioned.iter().flat_map(|pool| self.spread(&Address::pool(pool))));
            }
        }
        out
    }

    fn with_users(&self, start: &BTreeSet<Address>) -> BTreeSet<Address> {
        let mut out: BTreeSet<Address> = start.iter().flat_map(|address| self.spread(address)).collect();
        let users = self.networks.iter().filter(|(_, network)| out.contains(&Address::network(network)));
        let users: Vec<Address> = users.map(|(host, _)| host.clone()).collect();
        out.extend(users);
        out
    }
}
