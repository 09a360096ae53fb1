//! Digests of what bootstrap does on a host, so that "nothing to do" is known without asking the host.
//!
//! The digest covers everything that the rendered result depends on, and no more, so that a changed variable changes only
//! the hosts whose templates mention it: the pool's spec with the text of its templates; of the variables those that a
//! template mentions; name, address and labels of each host that a template can see; and the host itself where a template
//! mentions `self`; and the volumes that the host mounts itself. Computing it needs no rendering: O(size of the spec) once per pool, O(hosts mentioned) once per pool,
//! O(1) per host.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::{
    desired::{BootstrapSpec, FileSource, Scalar},
    names::{Name, Text, hex},
    object::{Endpoint, HostMount, KnownHost},
};

/// The part of the digest that all hosts of a pool share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolDigest {
    shared: [u8; 32],
    /// Whether a template mentions the host that it is rendered for.
    mentions_self: bool,
}

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
        let seen: BTreeMap<&Name, Vec<_>> =
            hosts.iter().map(|(pool, hosts)| (pool, hosts.iter().filter_map(known).collect())).collect();
        let templates: Vec<&str> = templates(spec).collect();
        let mentions_self = templates.iter().any(|text| text.contains("self"));
        let variables: BTreeMap<_, _> = variables.iter().filter(|(name, _)| mentioned(&templates, name)).collect();
        let own = mentions_self.then_some((labels, tenant));
        Some(Self { shared: *blake3::hash(&json(&(spec, variables, own, seen))).as_bytes(), mentions_self })
    }

    /// The digest for one host of the pool; `mounts` are the volumes that it mounts itself.
    pub fn host(&self, name: &str, endpoint: &Endpoint, mounts: &[HostMount]) -> Text {
        let me = self.mentions_self.then_some((name, &endpoint.host));
        let mut text = json(&(hex(&self.shared), me));
        if !mounts.is_empty() {
            let mounts: BTreeSet<_> = mounts.iter().map(|mount| (&mount.path, &mount.id, mount.size)).collect();
            text.extend(json(&mounts));
        }
        blake3::hash(&text).to_hex()[..32].into()
    }
}

/// Digest of anything that has a fixed form.
pub fn of<T: Serialize>(value: &T) -> Text {
    blake3::hash(&json(value)).to_hex()[..32].into()
}

fn templates(spec: &BootstrapSpec) -> impl Iterator<Item = &str> {
    spec.files.values().filter_map(|file| match &file.source {
        FileSource::Template(template) => Some(&*template.text),
        FileSource::Content(_) => None,
    })
}

/// Whether a template may show a variable: its name stands there, or `var` stands there without a name, as a whole.
/// Taking one too many costs a look at a host, taking one too few would leave a change undone.
fn mentioned(templates: &[&str], variable: &str) -> bool {
    let whole = |text: &&str| {
        let mut rest = *text;
        while let Some(at) = rest.find("var") {
            rest = &rest[at + 3..];
            if !rest.starts_with('.') {
                return true;
            }
        }
        false
    };
    templates.iter().any(|text| text.contains(variable) || whole(text))
}

fn known(host: &KnownHost) -> Option<(&Text, &Text, &BTreeMap<Text, Text>)> {
    Some((&host.name, &host.endpoint.as_ref()?.host, &host.labels))
}

fn json<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("only maps with text keys and finite numbers are hashed")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        FileMode,
        desired::{FileSpec, TemplateSource},
    };

    fn spec(template: &str) -> BootstrapSpec {
        let source = TemplateSource { path: "t".into(), text: template.into(), pools: Default::default() };
        let source = FileSource::Template(source);
        let file = FileSpec { source, mode: FileMode(0o644), owner: None, group: None };
        BootstrapSpec { files: [("/f".into(), file)].into(), ..BootstrapSpec::default() }
    }

    fn digest(template: &str, variables: &[(&str, i64)], label: &str, address: &str) -> Text {
        let variables = variables.iter().map(|(name, value)| ((*name).into(), Scalar::Int(*value))).collect();
        let labels = [("team".into(), label.into())].into();
        let tenant = Name::new("t").expect("a name");
        let pool = PoolDigest::new(&spec(template), &variables, &labels, &tenant, &BTreeMap::new());
        let endpoint = Endpoint { host: address.into(), port: 22, host_keys: Vec::new() };
        pool.expect("all hosts are known").host("web-0", &endpoint, &[])
    }

    #[test]
    fn only_what_templates_mention_counts() {
        let before = digest("{{ var.a }}", &[("a", 1), ("b", 1)], "x", "10.0.0.1");
        assert_eq!(before, digest("{{ var.a }}", &[("a", 1), ("b", 2)], "y", "10.0.0.2"));
        assert_ne!(before, digest("{{ var.a }}", &[("a", 2), ("b", 1)], "x", "10.0.0.1"));
        let me = |label, address| digest("{{ self.labels.team }}", &[], label, address);
        assert_ne!(me("x", "10.0.0.1"), me("y", "10.0.0.1"));
        assert_ne!(me("x", "10.0.0.1"), me("x", "10.0.0.2"));
    }

    #[test]
    fn a_mounted_volume_counts_with_its_place_its_id_and_its_size() {
        let tenant = Name::new("t").expect("a name");
        let pool = PoolDigest::new(&BootstrapSpec::default(), &[].into(), &[].into(), &tenant, &[].into());
        let endpoint = Endpoint { host: "h".into(), port: 22, host_keys: Vec::new() };
        let digest = |mounts: &[HostMount]| pool.as_ref().expect("no host is mentioned").host("h", &endpoint, mounts);
        let volume = crate::Address::volume("h", &tenant);
        let mount = |path: &str, id: &str, size| HostMount {
            path: path.into(),
            id: id.into(),
            volume: volume.clone(),
            size: crate::Bytes(size),
        };
        let (a, b) = (mount("/a", "1", 1), mount("/b", "2", 1));
        let all = [
            digest(&[]),
            digest(std::slice::from_ref(&a)),
            digest(&[a.clone(), b.clone()]),
            digest(&[mount("/a", "2", 1)]),
            digest(&[mount("/c", "1", 1)]),
            digest(&[mount("/a", "1", 2)]),
        ];
        assert_eq!(BTreeSet::from_iter(all.iter()).len(), all.len());
        assert_eq!(digest(&[a.clone(), b.clone()]), digest(&[b, a]), "their order is nobody's wish");
    }

    #[test]
    fn variables_taken_as_a_whole_all_count() {
        let whole = |b| digest("{% for x in var %}{{ x }}{% endfor %}", &[("a", 1), ("b", b)], "x", "h");
        assert_ne!(whole(1), whole(2));
    }
}
