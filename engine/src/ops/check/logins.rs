//! Hosts that exist: do they answer, with the right key, and does the login work?

use std::{collections::BTreeMap, sync::Arc};

use pool_inventory::{
    Address, Name, TimeSpan,
    desired::{Hosts, PoolSpec, ProviderKind, ProviderSpec},
    market::HostSeen,
    object::Endpoint,
};
use tokio::{sync::Semaphore, task::JoinSet};

use super::{
    super::{CheckLine, Environment, chain, plan::matches_provider},
    Lines, Look,
};

/// What to do about a host that does not answer.
const TODO: &str = "see that it is on and that its address, host key and login are right";

impl Environment {
    /// Hosts that a probe asked while looking, and those that exist and that no probe has asked.
    pub(super) async fn check_logins(&self, look: &Look) -> Vec<CheckLine> {
        let rows: BTreeMap<_, _> = look.input.recorded.iter().map(|row| (&row.address, row)).collect();
        let mut out = Vec::new();
        for (host, seen) in &look.input.seen.hosts {
            let address = Address::host(host);
            let mut lines = Lines::new(rows.get(&address).map(|row| &row.provider), Some(TimeSpan(0)));
            match seen {
                HostSeen::Clean => lines.pass(address.to_string(), "reached over SSH, as it was left"),
                HostSeen::Drifted(items) => {
                    lines.pass(address.to_string(), format!("reached over SSH, {} things differ", items.len()));
                }
                HostSeen::Unreachable(why) => lines.fail(address.to_string(), why.to_string(), TODO),
            }
            out.extend(lines.0);
        }
        out.extend(self.try_logins(look, &rows).await);
        out
    }

    async fn try_logins(
        &self,
        look: &Look,
        rows: &BTreeMap<&Address, &pool_inventory::object::Recorded>,
    ) -> Vec<CheckLine> {
        let slots = Arc::new(Semaphore::new(self.request.parallelism.unwrap_or(64).max(1)));
        let mut tasks = JoinSet::new();
        for (pool, spec) in &self.desired.pools {
            let (Hosts::Named(named), Some(provider)) = (&spec.hosts, self.adopter(spec)) else { continue };
            for (name, host) in named.iter().filter(|(name, _)| !look.input.seen.hosts.contains_key(name.as_str())) {
                let access = pool_planner::input::access(&self.desired, pool, name, provider).cloned();
                let address = Address::host(name.as_str());
                let declared = || Endpoint {
                    host: host.address.clone(),
                    port: access.as_ref().map_or(22, |access| access.port),
                    host_keys: host.host_key.iter().cloned().collect(),
                };
                let endpoint = rows.get(&address).and_then(|row| row.endpoint.clone()).unwrap_or_else(declared);
                let (ways, slots, provider) = (self.ways(), slots.clone(), provider.clone());
                tasks.spawn(async move {
                    let _slot = slots.acquire_owned().await;
                    let mut lines = Lines::new(Some(&provider), Some(TimeSpan(0)));
                    match ways.try_login(&endpoint, access.as_ref()).await {
                        Ok(()) => lines.pass(address.to_string(), "reached over SSH, the login works"),
                        Err(error) => lines.fail(address.to_string(), chain(&error), TODO),
                    }
                    lines.0
                });
            }
        }
        let mut lines: Vec<CheckLine> = tasks.join_all().await.into_iter().flatten().collect();
        lines.sort_by(|a, b| a.subject.cmp(&b.subject));
        lines
    }

    /// The provider that knows hosts of a pool by their address alone.
    fn adopter(&self, spec: &PoolSpec) -> Option<&Name> {
        let fits =
            |name: &Name| spec.place.on.is_empty() || spec.place.on.iter().any(|on| matches_provider(&on.0, name));
        let ssh = |(name, provider): &(&Name, &ProviderSpec)| matches!(provider.kind, ProviderKind::Ssh) && fits(name);
        self.desired.providers.iter().find(ssh).map(|(name, _)| name)
    }
}
