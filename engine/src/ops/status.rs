//! The pool at a glance, one object, pre-flight, and ways to hosts.

use std::{collections::BTreeMap, sync::Arc};

use pool_bootstrap::ssh::SshLink;
use pool_inventory::{
    Address, Kind, Name, Text,
    desired::{Hosts, ProviderKind, ProviderSpec},
    market::{HostSeen, Seen},
    names::wildcard,
    object::{Endpoint, Observed, Recorded, Status},
};
use pool_providers::ProviderError;
use tokio::{sync::Semaphore, task::JoinSet};

use super::{
    CheckAnswer, CheckLine, Environment, HostStatus, Observe, OpsError, PoolStatus, Reach, ReachError, Selector,
    StatusReport, VolumeStatus, plan::matches_provider,
};

impl Environment {
    /// The pool at a glance; `observe` none: from the records alone.
    pub async fn status(&self, observe: Option<Observe>) -> Result<StatusReport, OpsError> {
        let (recorded, lineage, serial) = self.recorded().await?;
        let view = self.view(observe, &recorded).await?;
        let seen = index(&view.seen);
        let mut report = StatusReport {
            inventory: self.desired.inventory.clone(),
            environment: self.desired.environment.clone(),
            lineage,
            serial,
            pools: BTreeMap::new(),
            hosts: Vec::new(),
            volumes: Vec::new(),
            lease: self.lease().await?,
            last_run: self.history(1).await?.pop(),
            unfinished: self.unfinished().await?,
            unseen: view.basis.unseen.clone(),
        };
        for (name, pool) in &self.desired.pools {
            let desired = match &pool.hosts {
                Hosts::Count(count) => *count as usize,
                Hosts::Named(hosts) => hosts.len(),
            };
            report.pools.insert(name.clone(), PoolStatus { desired, ..PoolStatus::default() });
        }
        for record in recorded {
            self.add(&mut report, record, &seen, &view);
        }
        Ok(report)
    }

    fn add(&self, report: &mut StatusReport, record: Recorded, seen: &Index<'_>, view: &super::plan::View) {
        let listed = record.id.as_ref().and_then(|id| seen.get(&(&record.provider, id))).map(|o| o.status.clone());
        let asked = view.seen.providers.contains_key(&record.provider)
            && view.capabilities.get(&record.provider).is_some_and(|can| can.creates);
        let gone = || (asked && record.id.is_some()).then(|| Status::Failed("gone from the provider".into()));
        let status = listed.or_else(gone);
        if let Some(pool) = &record.pool {
            let entry = report.pools.entry(pool.clone()).or_default();
            entry.cost = entry.cost + record.price;
        }
        match record.address.kind {
            Kind::Host => {
                let wants = record.pool.as_ref().and_then(|pool| self.desired.pools.get(pool));
                let bootstrapped = record.bootstrapped.is_some() || wants.is_none_or(|pool| pool.bootstrap.is_empty());
                let host_seen = view.seen.hosts.get(&record.address.name).cloned();
                if let Some(pool) = &record.pool {
                    let entry = report.pools.entry(pool.clone()).or_default();
                    entry.recorded += 1;
                    let up = !matches!(&status, Some(Status::Stopped | Status::Failed(_) | Status::Pending));
                    let answers = !matches!(host_seen, Some(HostSeen::Unreachable(_)));
                    entry.ready += usize::from(record.id.is_some() && bootstrapped && up && answers);
                }
                report.hosts.push(HostStatus { record, status, bootstrapped, seen: host_seen });
            }
            Kind::Volume => report.volumes.push(VolumeStatus { record, status }),
            Kind::Network | Kind::Snapshot | Kind::Backup | Kind::Pool | Kind::Tenant => {}
        }
    }

    async fn unfinished(&self) -> Result<Vec<Text>, OpsError> {
        let Some(store) = self.existing_store().await? else { return Ok(Vec::new()) };
        Ok(store.unfinished_runs().await?.into_iter().map(|run| run.id.0).collect())
    }

    /// Credentials, quotas, images, backends, reachability: pass, fail or unknown.
    pub async fn check(&self) -> Result<Vec<CheckLine>, OpsError> {
        let (recorded, _, _) = self.recorded().await?;
        let view = self.view(Some(Observe::Hosts), &recorded).await?;
        let mut lines = Vec::new();
        for (name, spec) in &self.desired.providers {
            lines.push(self.check_provider(name, &spec.kind, &view));
        }
        self.check_images(&view, &mut lines);
        self.check_backends(&view, &mut lines);
        for (host, seen) in &view.seen.hosts {
            let (answer, detail) = match seen {
                HostSeen::Clean => (CheckAnswer::Pass, "reached over SSH, as it was left".to_owned()),
                HostSeen::Drifted(items) => {
                    (CheckAnswer::Pass, format!("reached over SSH, {} things differ", items.len()))
                }
                HostSeen::Unreachable(why) => (CheckAnswer::Fail, why.to_string()),
            };
            lines.push(CheckLine { subject: format!("host/{host}").into(), answer, detail: detail.into() });
        }
        lines.extend(self.check_logins(&recorded, &view).await);
        Ok(lines)
    }

    /// Hosts that exist and that no probe has asked: are they there, does the login work?
    async fn check_logins(&self, recorded: &[Recorded], view: &super::plan::View) -> Vec<CheckLine> {
        let rows: BTreeMap<_, _> = recorded.iter().map(|row| (&row.address, row)).collect();
        let slots = Arc::new(Semaphore::new(self.request.parallelism.unwrap_or(64).max(1)));
        let mut tasks = JoinSet::new();
        for (pool, spec) in &self.desired.pools {
            let Hosts::Named(named) = &spec.hosts else { continue };
            let fits =
                |name: &Name| spec.place.on.is_empty() || spec.place.on.iter().any(|on| matches_provider(&on.0, name));
            let ssh =
                |(name, provider): &(&Name, &ProviderSpec)| matches!(provider.kind, ProviderKind::Ssh) && fits(name);
            let Some((provider, _)) = self.desired.providers.iter().find(ssh) else { continue };
            for (name, host) in named.iter().filter(|(name, _)| !view.seen.hosts.contains_key(name.as_str())) {
                let access = pool_planner::input::access(&self.desired, pool, name, provider).cloned();
                let address = Address::host(name.as_str());
                let declared = || Endpoint {
                    host: host.address.clone(),
                    port: access.as_ref().map_or(22, |access| access.port),
                    host_keys: host.host_key.iter().cloned().collect(),
                };
                let endpoint = rows.get(&address).and_then(|row| row.endpoint.clone()).unwrap_or_else(declared);
                let (ways, slots) = (self.ways(), slots.clone());
                tasks.spawn(async move {
                    let _slot = slots.acquire_owned().await;
                    let (answer, detail) = match ways.try_login(&endpoint, access.as_ref()).await {
                        Ok(()) => (CheckAnswer::Pass, "reached over SSH, the login works".to_owned()),
                        Err(error) => (CheckAnswer::Fail, super::chain(&error)),
                    };
                    CheckLine { subject: address.to_string().into(), answer, detail: detail.into() }
                });
            }
        }
        let mut lines = tasks.join_all().await;
        lines.sort_by(|a, b| a.subject.cmp(&b.subject));
        lines
    }

    fn check_provider(&self, name: &Name, kind: &ProviderKind, view: &super::plan::View) -> CheckLine {
        let subject = format!("provider {name}").into();
        match (view.errors.get(name), view.markets.get(name)) {
            (Some(ProviderError::Unauthorized(why)), _) => {
                CheckLine { subject, answer: CheckAnswer::Fail, detail: format!("credentials refused: {why}").into() }
            }
            (Some(error), _) => CheckLine { subject, answer: CheckAnswer::Unknown, detail: error.to_string().into() },
            (None, Some(market)) => {
                let detail = match kind {
                    ProviderKind::Ssh => "hosts that exist; each is asked below".to_owned(),
                    _ => format!("answers; {} offerings, {} backends", market.offerings.len(), market.backends.len()),
                };
                CheckLine { subject, answer: CheckAnswer::Pass, detail: detail.into() }
            }
            (None, None) => CheckLine { subject, answer: CheckAnswer::Unknown, detail: "was not asked".into() },
        }
    }

    fn check_images(&self, view: &super::plan::View, lines: &mut Vec<CheckLine>) {
        for (image, names) in &self.desired.images {
            for (provider, theirs) in names {
                let Some(market) = view.markets.get(provider) else { continue };
                let there = market.images.contains(theirs);
                let answer = if there { CheckAnswer::Pass } else { CheckAnswer::Fail };
                let detail = if there {
                    format!("`{theirs}` is there")
                } else {
                    format!("provider {provider} has no image `{theirs}`")
                };
                lines.push(CheckLine {
                    subject: format!("image {image} on {provider}").into(),
                    answer,
                    detail: detail.into(),
                });
            }
        }
    }

    fn check_backends(&self, view: &super::plan::View, lines: &mut Vec<CheckLine>) {
        for (tier, spec) in &self.desired.tiers {
            let offers = view.markets.values().flat_map(|market| &market.backends);
            let fits: Vec<String> = offers
                .filter(|offer| spec.backends.iter().any(|pattern| wildcard(pattern, &offer.name)))
                .map(|offer| {
                    let free = pool_inventory::Bytes(offer.capacity.0.saturating_sub(offer.allocated.0));
                    format!("{} ({free} free)", offer.name)
                })
                .collect();
            let answer = if fits.is_empty() { CheckAnswer::Fail } else { CheckAnswer::Pass };
            let detail = if fits.is_empty() { "no backend serves it".to_owned() } else { fits.join(", ") };
            lines.push(CheckLine { subject: format!("tier {tier}").into(), answer, detail: detail.into() });
        }
    }

    /// Opens a verified SSH connection to a recorded host.
    pub async fn connect(&self, reach: &Reach) -> Result<SshLink, ReachError> {
        self.ways().ssh(&reach.record, reach.access.as_ref()).await.map(|(link, _)| link)
    }

    /// Recorded hosts that fit, and that answer somewhere.
    pub async fn hosts(&self, selector: &Selector) -> Result<Vec<Reach>, OpsError> {
        let (recorded, _, _) = self.recorded().await?;
        let mut out = Vec::new();
        for row in recorded.into_iter().filter(|row| row.address.kind == Kind::Host) {
            let (Some(_), Some(pool)) = (&row.endpoint, row.pool.clone()) else { continue };
            let mut labels = self.desired.pools.get(&pool).map(|p| p.labels.clone()).unwrap_or_default();
            labels.insert("pool".into(), pool.as_str().into());
            labels.insert("tenant".into(), row.tenant.as_str().into());
            let access = pool_planner::input::access(&self.desired, &pool, &row.address.name, &row.provider).cloned();
            if selector.fits(&row.address, &labels) {
                out.push(Reach { address: row.address.clone(), labels, record: row, access });
            }
        }
        Ok(out)
    }
}

type Index<'a> = std::collections::HashMap<(&'a Name, &'a Text), &'a Observed>;

fn index(seen: &Seen) -> Index<'_> {
    seen.providers.iter().flat_map(|(name, objects)| objects.iter().map(move |o| ((name, &o.id), o))).collect()
}

impl Selector {
    /// Whether a host fits.
    pub fn fits(&self, address: &Address, labels: &BTreeMap<Text, Text>) -> bool {
        let text = address.to_string();
        let named = self.patterns.is_empty() || self.patterns.iter().any(|pattern| wildcard(pattern, &text));
        named && self.labels.iter().all(|(key, value)| labels.get(key) == Some(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_combine_labels_and_patterns() {
        let labels = BTreeMap::from([("pool".into(), "web".into()), ("team".into(), "a".into())]);
        let host = Address::host("web-3");
        let by = |labels: &[(&str, &str)], patterns: &[&str]| Selector {
            labels: labels.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect(),
            patterns: patterns.iter().map(|p| (*p).into()).collect(),
        };
        assert!(by(&[("pool", "web")], &[]).fits(&host, &labels));
        assert!(by(&[("pool", "web"), ("team", "a")], &["host/web-*"]).fits(&host, &labels));
        assert!(by(&[], &["host/db-*", "host/web-3"]).fits(&host, &labels));
        assert!(!by(&[("pool", "db")], &[]).fits(&host, &labels));
        assert!(!by(&[("pool", "web")], &["host/web-1"]).fits(&host, &labels));
    }
}
