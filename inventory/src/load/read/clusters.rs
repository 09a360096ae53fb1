//! Clusters.

use std::collections::BTreeMap;

use ipnet::IpNet;

use super::{Reader, known::What};
use crate::{
    desired::{
        BootstrapSpec, ClusterKind, ClusterSpec, KubernetesPackages, KubernetesSpec, NodeSpec, PodNetwork,
        PodNetworkKind, PoolSpec, Repository, Role, RuntimeKind, RuntimeSpec, Version,
    },
    names::{Name, Text},
    units::TimeSpan,
    yaml::{Entry, Node},
};

const DRAIN: TimeSpan = TimeSpan::secs(300);
const RENEW_BEFORE: TimeSpan = TimeSpan::secs(30 * 24 * 3600);
/// The port of an API, where an endpoint names none.
const API_PORT: u16 = 6443;

impl<'n, 's> Reader<'n, 's> {
    /// A file in PEM form, such as a certificate.
    pub fn pem(&mut self, at: &Node<'_>, what: &str) -> Option<Text> {
        let text = self.source(at)?;
        if !text.contains(&format!("-----BEGIN {what}-----")) {
            let path = at.text().unwrap_or_default();
            self.say(at.span, format!("`{path}` holds no `BEGIN {what}`"), "the file must be in PEM form");
        }
        Some(text)
    }

    pub fn clusters(&mut self) -> BTreeMap<Name, ClusterSpec> {
        self.map(self.section("clusters"), |this, entry| this.cluster(entry))
    }

    fn cluster(&mut self, entry: &'n Entry<'s>) -> ClusterSpec {
        let node = &entry.value;
        let kubernetes = node.get("type").and_then(Node::text) == Some("kubernetes");
        let key = if kubernetes { "control_plane" } else { "managers" };
        let fallback = || Name::new("none").expect("it fits the grammar");
        let control_plane = node.get(key).and_then(|at| self.reference(at, What::Pool)).unwrap_or_else(fallback);
        let mut workers = Vec::new();
        for item in node.get("workers").map(Node::items).unwrap_or_default() {
            if let Some(pool) = self.reference(item, What::Pool) {
                if pool == control_plane || workers.contains(&pool) {
                    self.say(item.span, format!("pool `{pool}` stands twice in clusters.{}", entry.key), "");
                } else {
                    workers.push(pool);
                }
            }
        }
        let pools: Vec<Name> = workers.iter().chain([&control_plane]).cloned().collect();
        ClusterSpec {
            max_unavailable: self.value(node, "max_unavailable", 1),
            drain_timeout: self.value(node, "drain_timeout", DRAIN),
            labels: self.member_labels(node, &pools),
            kind: match kubernetes {
                true => ClusterKind::Kubernetes(Box::new(self.kubernetes(entry, &pools))),
                false => ClusterKind::Swarm,
            },
            control_plane,
            workers,
        }
    }

    fn kubernetes(&mut self, entry: &'n Entry<'s>, pools: &[Name]) -> KubernetesSpec {
        let node = &entry.value;
        let cidr = |text: &str| text.parse::<IpNet>().expect("it is an address range");
        let service_cidr = self.value(node, "service_cidr", cidr("10.96.0.0/12"));
        let pod_network = self.pod_network(node).unwrap_or_else(|| PodNetwork {
            kind: PodNetworkKind::Flannel,
            cidr: cidr("10.244.0.0/16"),
            manifest: "".into(),
        });
        if overlap(&service_cidr, &pod_network.cidr) {
            let message = format!("pods and services of clusters.{} share addresses", entry.key);
            self.say(entry.at, message, format!("{} and {service_cidr} overlap", pod_network.cidr));
        }
        KubernetesSpec {
            version: self.kubernetes_version(node),
            endpoint: self.endpoint(node),
            service_cidr,
            pod_network,
            image_repository: self.text(node, "image_repository").unwrap_or_else(|| "registry.k8s.io".into()),
            packages: KubernetesPackages {
                repository: node.get("packages").and_then(|at| self.repository(at)),
                revision: self.revision(node),
            },
            taints: self.taints(node, pools),
            cgroup_v1: self.flag(node, "cgroup_v1", false),
            renew_before: self.value(node, "renew_before", RENEW_BEFORE),
        }
    }

    fn kubernetes_version(&mut self, node: &Node<'_>) -> Version {
        let otherwise = Version { major: 1, minor: 0, patch: 0 };
        let Some(at) = node.get("version") else { return otherwise };
        match at.text().unwrap_or_default().parse() {
            Ok(version @ Version { major: 1, minor: 31.., .. }) => version,
            Ok(version) => {
                self.say(at.span, format!("Kubernetes {version} is not supported"), "1.31 and later are");
                otherwise
            }
            Err(error) => {
                let text = at.text().unwrap_or_default();
                self.say(at.span, format!("`{text}` is not a release of Kubernetes"), {
                    error.to_string().split_once("; ").map_or(String::new(), |(_, how)| how.to_owned())
                });
                otherwise
            }
        }
    }

    fn endpoint(&mut self, node: &Node<'_>) -> Option<Text> {
        let text = self.text(node, "endpoint")?;
        if !is_host_port(&text) {
            let at = node.get("endpoint").map_or(node.span, |at| at.span);
            self.say(at, format!("`{text}` is not an endpoint"), "write HOST[:PORT], as in api.example.net:6443");
        }
        if text.contains(':') { Some(text) } else { Some(format!("{text}:{API_PORT}").into()) }
    }

    fn revision(&mut self, node: &Node<'_>) -> Text {
        let text = self.text(node, "revision").unwrap_or_else(|| "1.1".into());
        if let Some(at) = node.get("revision").filter(|_| !is_package_version(&text)) {
            self.say(at.span, format!("`{text}` is not the revision of a Debian package"), "as in 1.1");
        }
        text
    }

    fn repository(&mut self, node: &Node<'_>) -> Option<Repository> {
        let url = self.text(node, "url")?;
        let plain =
            |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic() && !"[]\"'\\".contains(c));
        if !(url.starts_with("http://") || url.starts_with("https://")) || !plain(&url) {
            let at = node.get("url").map_or(node.span, |at| at.span);
            self.say(at, format!("`{url}` is not the address of a repository"), "http:// or https://");
        }
        let suite = self.text(node, "suite")?;
        let components: Vec<Text> = self.texts(node, "components");
        if !plain(&suite) || components.iter().any(|one| !plain(one)) {
            self.say(node.span, "a suite and its components are single words", "");
        }
        if suite.ends_with('/') != components.is_empty() {
            let note = "a suite has components, as in `suite: stable, components: [main]`; a path has none";
            self.say(node.span, "the components do not fit the suite", note);
        }
        let key = self.pem(node.get("key")?, "PGP PUBLIC KEY BLOCK")?;
        Some(Repository { url, suite, components, key })
    }

    fn pod_network(&mut self, node: &Node<'_>) -> Option<PodNetwork> {
        let node = node.get("pod_network")?;
        let kind = self.word(node, "type")?;
        let cidr: IpNet = self.optional(node, "cidr")?;
        let at = node.get("manifest")?;
        let manifest = self.source(at)?;
        // Flannel's own manifest names the range; one that names another makes a network that nobody is in.
        let named = manifest.contains(&format!("\"{cidr}\""));
        if kind == PodNetworkKind::Flannel && !named {
            let message = format!("the manifest `{}` does not name {cidr}", at.text().unwrap_or_default());
            let note = "write the `cidr` of pod_network as \"Network\" into its net-conf.json, or the other way round";
            self.say(at.span, message, note);
        }
        Some(PodNetwork { kind, cidr, manifest })
    }

    fn member_labels(&mut self, node: &Node<'_>, pools: &[Name]) -> BTreeMap<Name, BTreeMap<Text, Text>> {
        let mut all = BTreeMap::new();
        for entry in node.get("labels").map(Node::entries).unwrap_or_default() {
            let Some(pool) = self.member_pool(entry, pools) else { continue };
            let mut labels = BTreeMap::new();
            for label in entry.value.entries() {
                let value = label.value.text().unwrap_or_default();
                if !is_label(&label.key) || !is_label_value(value) {
                    let message = format!("`{}: {value}` is not a label", label.key);
                    self.say(label.at, message, "letters, digits, `-`, `_` and `.`; a key may have a PREFIX/");
                }
                labels.insert(label.key.as_ref().into(), value.into());
            }
            all.insert(pool, labels);
        }
        all
    }

    fn taints(&mut self, node: &Node<'_>, pools: &[Name]) -> BTreeMap<Name, Vec<Text>> {
        let mut all = BTreeMap::new();
        for entry in node.get("taints").map(Node::entries).unwrap_or_default() {
            let Some(pool) = self.member_pool(entry, pools) else { continue };
            let mut taints: Vec<Text> = Vec::new();
            for item in entry.value.items() {
                let text = item.text().unwrap_or_default();
                if !is_taint(text) {
                    self.say(
                        item.span,
                        format!("`{text}` is not a taint"),
                        "write KEY[=VALUE]:EFFECT, as in dedicated=db:NoSchedule",
                    );
                }
                taints.push(text.into());
            }
            taints.sort();
            taints.dedup();
            all.insert(pool, taints);
        }
        all
    }

    fn member_pool(&mut self, entry: &Entry<'_>, pools: &[Name]) -> Option<Name> {
        let name = Name::new(&entry.key).ok()?;
        if pools.contains(&name) {
            return Some(name);
        }
        let names: Vec<&str> = pools.iter().map(Name::as_str).collect();
        self.say(entry.at, format!("pool `{name}` is not in this cluster"), format!("its pools: {}", names.join(", ")));
        None
    }

    /// What hosts of clusters must be besides what their pools say; and rules between clusters and pools.
    pub fn fit_to_clusters(&mut self, pools: &mut BTreeMap<Name, PoolSpec>, clusters: &BTreeMap<Name, ClusterSpec>) {
        let mut taken: BTreeMap<&Name, &Name> = BTreeMap::new();
        for (name, cluster) in clusters {
            let at = self.section("clusters").iter().find(|entry| entry.key == name.as_str()).map(|entry| entry.at);
            for pool in cluster.workers.iter().chain([&cluster.control_plane]) {
                let (Some(at), Some(spec)) = (at, pools.get_mut(pool)) else { continue };
                if let Some(other) = taken.insert(pool, name) {
                    self.say(
                        at,
                        format!("pool `{pool}` is in the clusters `{other}` and `{name}`"),
                        "a host is in one",
                    );
                    continue;
                }
                if let Err(message) = fit(&mut spec.bootstrap, name, cluster, cluster.role_of(pool)) {
                    self.say(at, format!("pool `{pool}` cannot be in the cluster `{name}`: {message}"), "");
                }
            }
        }
    }
}

/// Adds to a bootstrap what a member of a cluster needs.
fn fit(bootstrap: &mut BootstrapSpec, name: &Name, cluster: &ClusterSpec, _: Option<Role>) -> Result<(), &'static str> {
    let needed = match &cluster.kind {
        ClusterKind::Kubernetes(_) => RuntimeKind::Containerd,
        ClusterKind::Swarm => RuntimeKind::Docker,
    };
    let runtime = bootstrap.runtime.get_or_insert_with(|| Box::new(RuntimeSpec::new(needed)));
    if runtime.kind != needed {
        return Err(match needed {
            RuntimeKind::Containerd => {
                "Kubernetes runs on `runtime: containerd`; it has no way to Docker Engine any more"
            }
            RuntimeKind::Docker => "Swarm is a part of Docker Engine: `runtime: docker`",
        });
    }
    if let ClusterKind::Kubernetes(spec) = &cluster.kind {
        bootstrap.node = Some(Box::new(NodeSpec {
            cluster: name.clone(),
            repository: spec.packages.repository.clone(),
            cgroup_v1: spec.cgroup_v1,
        }));
    }
    Ok(())
}

fn overlap(a: &IpNet, b: &IpNet) -> bool {
    a.contains(&b.network()) || b.contains(&a.network())
}

pub fn is_host_port(text: &str) -> bool {
    let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
    let good = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    let host = !host.is_empty() && host.len() <= 253 && host.chars().all(good) && !host.starts_with(['-', '.']);
    host && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
}

fn is_package_version(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || ".+~".contains(c))
}

/// `[PREFIX/]NAME`, as Kubernetes has it.
fn is_label(text: &str) -> bool {
    match text.split_once('/') {
        Some((prefix, name)) => is_host_port(prefix) && !prefix.contains(':') && is_word(name),
        None => is_word(text),
    }
}

fn is_word(text: &str) -> bool {
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    text.len() <= 63
        && ends(text.chars().next())
        && ends(text.chars().next_back())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

fn is_label_value(text: &str) -> bool {
    text.is_empty() || is_word(text)
}

fn is_taint(text: &str) -> bool {
    let Some((key, effect)) = text.rsplit_once(':') else { return false };
    let (key, value) = key.split_once('=').unwrap_or((key, ""));
    is_label(key) && is_label_value(value) && ["NoSchedule", "PreferNoSchedule", "NoExecute"].contains(&effect)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taints_and_labels_are_as_kubernetes_has_them() {
        for good in ["dedicated=db:NoSchedule", "node-role.kubernetes.io/control-plane:NoSchedule", "a:NoExecute"] {
            assert!(is_taint(good), "{good}");
        }
        for bad in ["dedicated", "a:Never", "-a:NoExecute", "a=b c:NoExecute", ":NoSchedule"] {
            assert!(!is_taint(bad), "{bad}");
        }
        assert!(is_label("example.net/tier") && !is_label("a/b/c") && !is_label(""));
    }

    #[test]
    fn addresses_have_a_host_and_may_have_a_port() {
        assert!(is_host_port("registry.example.net:5000") && is_host_port("192.0.2.1"));
        for bad in ["", ":1", "a:0", "a:70000", "a b", "https://a", "-a"] {
            assert!(!is_host_port(bad), "{bad}");
        }
    }
}
