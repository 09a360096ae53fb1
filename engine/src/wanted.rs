//! What bootstrap wants of one host: the pool's spec with the values that its templates see.

use std::collections::BTreeMap;

use pool_bootstrap::Rendered;
use pool_inventory::{
    Name, Text,
    desired::{BootstrapSpec, Desired, Scalar, TemplateSource},
    digest::PoolDigest,
    object::{Endpoint, KnownHost, Recorded},
    template::{SelfHost, SharedContext, TemplateContext, render},
};

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
}

impl Want {
    /// The digest that is recorded when all of it is done on a host; none while a host that a template mentions has no
    /// address.
    pub fn digest(&self, host: &str, endpoint: &Endpoint) -> Option<Text> {
        let pool = PoolDigest::new(&self.spec, &self.variables, &self.labels, &self.tenant, &self.hosts)?;
        Some(pool.host(host, endpoint))
    }

    /// The spec with all templates rendered for one host.
    pub fn render(&self, host: &str, endpoint: &Endpoint) -> Result<Rendered, String> {
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
        pool_bootstrap::render(&self.spec, &template).map_err(|error| crate::ops::chain(&error))
    }
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
