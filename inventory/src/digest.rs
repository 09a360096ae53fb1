//! Digests of what bootstrap does on a host, so that "nothing to do" is known without asking the host.
//!
//! The digest covers everything that the rendered result depends on: the pool's spec with the text of its templates,
//! the variables, and name, address and labels of each host that a template can see. Computing it needs no rendering:
//! O(size of the spec) once per pool, O(hosts mentioned) once per pool, O(1) per host.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    desired::{BootstrapSpec, Scalar},
    names::{Name, Text, hex},
    object::{Endpoint, KnownHost},
};

/// The part of the digest that all hosts of a pool share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolDigest([u8; 32]);

impl PoolDigest {
    /// The digest of a pool; none while the address of a host that a template mentions is not known.
    pub fn new(
        spec: &BootstrapSpec,
        variables: &BTreeMap<Text, Scalar>,
        labels: &BTreeMap<Text, Text>,
        tenant: &Name,
        hosts: &BTreeMap<Name, Vec<KnownHost>>,
    ) -> Option<Self> {
        if hosts.values().flatten().any(|host| host.endpoint.is_none()) {
            return None;
        }
        let seen: BTreeMap<&Name, Vec<_>> = hosts
            .iter()
            .map(|(pool, hosts)| {
                let of = |h| known(h);
                (pool, hosts.iter().filter_map(of).collect())
            })
            .collect();
        Some(Self(*blake3::hash(&json(&(spec, variables, labels, tenant, seen))).as_bytes()))
    }

    /// The digest for one host of the pool.
    pub fn host(&self, name: &str, endpoint: &Endpoint) -> Text {
        let text = json(&(hex(&self.0), name, &endpoint.host));
        blake3::hash(&text).to_hex()[..32].into()
    }
}

fn known(host: &KnownHost) -> Option<(&Text, &Text, &BTreeMap<Text, Text>)> {
    Some((&host.name, &host.endpoint.as_ref()?.host, &host.labels))
}

fn json<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("only maps with text keys and finite numbers are hashed")
}
