//! The pool at a glance, one object, and ways to hosts.

use std::collections::BTreeMap;

use pool_bootstrap::{cluster::kubernetes, ssh::SshLink};
use pool_inventory::{
    Address, Kind, Name, Text,
    desired::Role,
    market::{HostSeen, Seen},
    names::wildcard,
    object::{Observed, Recorded, Status},
};

use super::{
    Environment, HostStatus, Observe, OpsError, PoolStatus, Reach, ReachError, Selector, StatusReport, VolumeStatus,
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
            copies: Vec::new(),
            lease: self.lease().await?,
            last_run: self.history(1).await?.pop(),
            unfinished: self.unfinished().await?,
            unseen: view.basis.unseen.clone(),
        };
        for (name, pool) in &self.desired.pools {
            let desired = pool.hosts.most();
            let least = pool.hosts.numbered().filter(|(least, most)| least < most).map(|(least, _)| least as usize);
            let class = pool.class.clone();
            report.pools.insert(name.clone(), PoolStatus { desired, least, class, ..PoolStatus::default() });
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
            Kind::Snapshot | Kind::Backup => report.copies.push(VolumeStatus { record, status }),
            Kind::Network | Kind::Pool | Kind::Tenant | Kind::Cluster | Kind::Member => {}
        }
    }

    async fn unfinished(&self) -> Result<Vec<Text>, OpsError> {
        let Some(store) = self.existing_store().await? else { return Ok(Vec::new()) };
        Ok(store.unfinished_runs().await?.into_iter().map(|run| run.id.0).collect())
    }

    /// Opens a verified SSH connection to a recorded host.
    pub async fn connect(&self, reach: &Reach) -> Result<SshLink, ReachError> {
        self.ways().ssh(&reach.record, reach.access.as_ref()).await.map(|(link, _)| link)
    }

    /// The kubeconfig of a cluster's administrator, from the first of its control planes that answers.
    pub async fn kubeconfig(&self, cluster: &Name) -> Result<Text, OpsError> {
        let (recorded, _, _) = self.recorded().await?;
        let controls = |row: &&Recorded| {
            let member = row.member.as_ref().filter(|member| member.cluster == *cluster && !member.version.is_empty());
            member.is_some_and(|member| member.role == Role::ControlPlane && member.has_joined())
        };
        let mut last = OpsError::NotFound(format!("no control plane of cluster/{cluster} is recorded").into());
        for row in recorded.iter().filter(controls) {
            let pool = row.pool.as_deref().unwrap_or_default();
            let access = pool_planner::input::access(&self.desired, pool, &row.address.name, &row.provider);
            let mut link = match self.ways().link(row, access).await {
                Ok((link, _)) => link,
                Err(error) => {
                    last = OpsError::Other(super::chain(&error).into());
                    continue;
                }
            };
            let answer = crate::run::answer(link.as_mut(), &kubernetes::kubeconfig()).await;
            match answer {
                Ok(lines) => return Ok(format!("{}\n", lines.join("\n")).into()),
                Err(error) => last = OpsError::Other(super::chain(&error).into()),
            }
        }
        Err(last)
    }

    /// Recorded hosts that fit, and that answer somewhere.
    pub async fn hosts(&self, selector: &Selector) -> Result<Vec<Reach>, OpsError> {
        let (recorded, _, _) = self.recorded().await?;
        let mut out = Vec::new();
        for row in recorded.into_iter().filter(|row| row.address.kind == Kind::Host) {
            let (Some(_), Some(pool)) = (&row.endpoint, row.pool.clone()) else { continue };
            let labels = self.labels(&row);
            let access = pool_planner::input::access(&self.desired, &pool, &row.address.name, &row.provider).cloned();
            if selector.fits(&row.address, &labels) {
                out.push(Reach { address: row.address.clone(), labels, record: row, access });
            }
        }
        Ok(out)
    }

    /// Addresses of recorded objects of a kind that fit, in natural order.
    pub async fn select(&self, selector: &Selector, kind: Kind) -> Result<Vec<Address>, OpsError> {
        let (recorded, _, _) = self.recorded().await?;
        let of_kind = recorded.iter().filter(|row| row.address.kind == kind);
        let mut found: Vec<Address> = of_kind
            .filter(|row| selector.fits(&row.address, &self.labels(row)))
            .map(|row| row.address.clone())
            .collect();
        found.dedup();
        Ok(found)
    }

    /// Labels of the pool of an object, and `pool`, `tenant`.
    fn labels(&self, row: &Recorded) -> BTreeMap<Text, Text> {
        let pool = row.pool.as_ref();
        let declared = pool.and_then(|pool| self.desired.pools.get(pool));
        let mut labels = declared.map(|pool| pool.labels.clone()).unwrap_or_default();
        labels.extend(pool.map(|pool| ("pool".into(), pool.as_str().into())));
        labels.insert("tenant".into(), row.tenant.as_str().into());
        labels
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
