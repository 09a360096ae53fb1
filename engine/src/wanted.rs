//! What bootstrap wants of one host: the pool's spec with the values that its templates see.

use std::collections::BTreeMap;

use pool_bootstrap::{Mount, Password, Rendered};
use pool_inventory::{
    Address, Name, Text,
    desired::{ArtifactSpec, BootstrapSpec, ClusterSpec, Desired, KubernetesSpec, Scalar, SecretRef, TemplateSource},
    digest::PoolDigest,
    object::{Endpoint, HostMount, KnownHost, Recorded},
    template::{SelfHost, SharedContext, TemplateContext, render},
};

use crate::artifacts;

/// What a pool wants of its hosts.
#[derive(Debug, Clone)]
pub struct Want {
    /// What is asked for.
    pub spec: BootstrapSpec,
    /// Variables.
    pub variables: BTreeMap<Text, Scalar>,
    /// Labels of the pool.
    pub labels: BTreeMap<Text, Text>,
    /// Tenant of the pool.
    pub tenant: Name,
    /// Environment.
    pub environment: Name,
    /// The pool.
    pub pool: Name,
    /// Hosts that templates mention.
    pub hosts: BTreeMap<Name, Vec<KnownHost>>,
    /// Version of packages of Kubernetes, for members of a cluster.
    pub package: Option<Text>,
    /// The artifacts that the spec takes, and maybe others.
    pub artifacts: BTreeMap<Name, ArtifactSpec>,
}

impl Want {
    /// The digest that is recorded when all of it is done on a host; none while a host that a template mentions has no
    /// address.
    pub fn digest(&self, host: &str, endpoint: &Endpoint, mounts: &[HostMount]) -> Option<Text> {
        let pool = PoolDigest::new(&self.spec, &self.variables, &self.labels, &self.tenant, &self.hosts)?;
        Some(pool.host(host, endpoint, mounts))
    }

    /// The spec with all templates rendered for one host, and the volumes that it mounts itself.
    pub fn render(
        &self,
        host: &str,
        endpoint: &Endpoint,
        mounts: &[HostMount],
        secrets: &dyn Fn(&SecretRef) -> Result<Password, String>,
    ) -> Result<Rendered, String> {
        let me = SelfHost {
            name: host,
            address: &endpoint.host,
            pool: &self.pool,
            tenant: &self.tenant,
            environment: &self.environment,
            labels: &self.labels,
        };
        let context = TemplateContext::new(&SharedContext::new(&self.variables, &self.hosts), &me);
        let template = |source: &TemplateSource| render(source, &context);
        let rendered = pool_bootstrap::render(&self.spec, &template).map_err(|error| crate::ops::chain(&error))?;
        let mounts = mounts.iter().map(|mount| (mount.path.clone(), device(mount))).collect();
        let rendered = rendered.with_mounts(mounts).map_err(|error| crate::ops::chain(&error))?;
        let rendered = rendered.with_pulls(artifacts::pulls(self.spec.artifacts(), &self.artifacts));
        Ok(rendered.with_cluster(self.passwords(secrets)?, self.package.clone()))
    }

    fn passwords(
        &self,
        secrets: &dyn Fn(&SecretRef) -> Result<Password, String>,
    ) -> Result<BTreeMap<Name, Password>, String> {
        let registries = self.spec.runtime.iter().flat_map(|runtime| &runtime.registries);
        let logins = registries.filter_map(|(name, registry)| Some((name, registry.login.as_ref()?)));
        logins.map(|(name, login)| Ok((name.clone(), secrets(&login.password)?))).collect()
    }
}

/// Version of the packages that hosts of a pool get as members of a cluster.
pub fn package<'a>(clusters: impl IntoIterator<Item = &'a ClusterSpec>, pool: &str) -> Option<Text> {
    let mut of = clusters.into_iter().filter(|cluster| cluster.role_of(pool).is_some());
    of.find_map(|cluster| cluster.kubernetes().map(KubernetesSpec::package))
}

/// A volume as the host looks for it.
pub fn device(mount: &HostMount) -> Mount {
    Mount {
        id: mount.id.clone(),
        name: mount.volume.name.clone(),
        size: mount.size,
        devices: pool_bootstrap::rendered::DEVICES.into(),
    }
}

/// The volumes that a host mounts itself, as they are recorded. `only_attaches`: of providers that do not mount them.
pub fn mounts(host: &Address, recorded: &[Recorded], only_attaches: &dyn Fn(&Name) -> bool) -> Vec<HostMount> {
    let mut newest: BTreeMap<&Address, &Recorded> = BTreeMap::new();
    let volumes = recorded.iter().filter(|row| row.id.is_some() && row.address.host_of_volume().as_ref() == Some(host));
    for row in volumes.filter(|row| only_attaches(&row.provider)) {
        let kept = newest.entry(&row.address).or_insert(row);
        if row.generation > kept.generation {
            *kept = row;
        }
    }
    newest.into_values().filter_map(HostMount::of).collect()
}

/// The hosts of every pool as templates see them: those that are declared, with the address where it is recorded.
pub fn known_hosts(desired: &Desired, recorded: &[Recorded]) -> BTreeMap<Name, Vec<KnownHost>> {
    let mut known: BTreeMap<Name, Vec<KnownHost>> = BTreeMap::new();
    for row in recorded.iter().filter(|row| row.spec.host().is_some() && row.id.is_some()) {
        let Some(pool) = &row.pool else { continue };
        let labels = desired.pools.get(pool).map(|spec| spec.labels.clone()).unwrap_or_default();
        let host = KnownHost { name: row.address.name.clone(), endpoint: row.endpoint.clone(), labels };
        known.entry(pool.clone()).or_default().push(host);
    }
    known
}

/// Renders every template once with made-up addresses, so that a name that no host will ever have is an error before
/// anything is made. Gives one message per pool and template that fails. O(pools with templates).
pub fn dry_render(desired: &Desired) -> Vec<String> {
    /// From the block that is set aside for documentation (RFC 5737).
    const NOWHERE: &str = "192.0.2.1";
    let endpoint = Endpoint { host: NOWHERE.into(), port: 22, host_keys: Vec::new() };
    let mut problems = Vec::new();
    for (pool, spec) in desired.pools.iter().filter(|(_, spec)| spec.bootstrap.has_templates()) {
        let made_up = |pool: Name| {
            let labels = desired.pools.get(&pool).map(|spec| spec.labels.clone()).unwrap_or_default();
            let host = KnownHost { name: format!("{pool}-0").into(), endpoint: Some(endpoint.clone()), labels };
            (pool, vec![host])
        };
        let want = Want {
            spec: spec.bootstrap.clone(),
            variables: desired.variables.clone(),
            labels: spec.labels.clone(),
            tenant: spec.tenant.clone(),
            environment: desired.environment.clone(),
            pool: pool.clone(),
            hosts: spec.bootstrap.pools().into_iter().map(made_up).collect(),
            package: None,
            artifacts: BTreeMap::new(),
        };
        let nothing = |_: &SecretRef| Ok(Password::new(String::new().into()));
        if let Err(why) = want.render(&format!("{pool}-0"), &endpoint, &[], &nothing) {
            problems.push(format!("pool {pool}: {why}"));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_that_no_host_has_is_found_before_anything_is_made() {
        let dir = tempfile::tempdir().expect("a folder");
        let inventory = "version: 1\nname: t\nproviders: { cloud: { type: sim } }\npools:\n  web:\n    hosts: 1\n    \
            size: { vcpus: 1, memory: 1GiB, disk: 1GiB }\n    image: debian-12\n    labels: { team: a }\n    \
            bootstrap: { files: { /f: { template: f.tera } } }\n";
        std::fs::write(dir.path().join("pool.yaml"), inventory).expect("an inventory");
        let problems = |template: &str| {
            std::fs::write(dir.path().join("f.tera"), template).expect("a template");
            let loaded = pool_inventory::load(dir.path(), None, &|_| None).expect("it is sound as far as it goes");
            dry_render(&loaded.desired)
        };
        assert!(problems("{{ self.labels.team }} {{ self.address }}").is_empty());
        let found = problems("\n{{ self.labels.nope }}");
        assert!(found.len() == 1 && found[0].contains("f.tera:2:"), "{found:?}");
    }
}
