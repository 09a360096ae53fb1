//! Configuration of kubeadm, in the version that Kubernetes 1.31 and later read (kubeadm.k8s.io/v1beta4).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::kubernetes::{Member, Ticket};
use crate::facts::Facts;

const API: &str = "kubeadm.k8s.io/v1beta4";
const SOCKET: &str = "unix:///run/containerd/containerd.sock";
/// How long a joining host looks for the cluster: a token that is wrong is only waited for.
const DISCOVERY: &str = "60s";

/// Preflight checks that fail on hosts that we let in all the same.
pub(super) fn ignored(facts: &Facts) -> Vec<&'static str> {
    if facts.cgroup_v1 { vec!["SystemVerification"] } else { Vec::new() }
}

/// Begins a cluster at a host.
pub(super) fn init(facts: &Facts, member: &Member<'_>) -> String {
    let spec = member.spec;
    let endpoint = spec.endpoint.as_deref().map_or_else(|| format!("{}:6443", member.address), str::to_owned);
    let init = json!({
        "apiVersion": API, "kind": "InitConfiguration",
        "localAPIEndpoint": advertise(facts, member),
        "nodeRegistration": registration(facts, member),
    });
    let cluster = json!({
        "apiVersion": API, "kind": "ClusterConfiguration",
        "clusterName": member.cluster(),
        "kubernetesVersion": format!("v{}", spec.version),
        "controlPlaneEndpoint": endpoint,
        "imageRepository": spec.image_repository,
        "networking": { "podSubnet": spec.pod_network.cidr.to_string(), "serviceSubnet": spec.service_cidr.to_string() },
    });
    let mut kubelet = json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
        "cgroupDriver": "systemd",
    });
    if spec.cgroup_v1 {
        kubelet["failCgroupV1"] = Value::Bool(false);
    }
    documents(&[init, cluster, kubelet])
}

/// Joins a host.
pub(super) fn join(facts: &Facts, member: &Member<'_>, ticket: &Ticket) -> String {
    let mut join = json!({
        "apiVersion": API, "kind": "JoinConfiguration",
        "discovery": { "bootstrapToken": {
            "apiServerEndpoint": ticket.endpoint, "token": ticket.token, "caCertHashes": [ticket.ca],
        } },
        "timeouts": { "discovery": DISCOVERY },
        "nodeRegistration": registration(facts, member),
    });
    if let Some(key) = &ticket.key {
        join["controlPlane"] = json!({ "localAPIEndpoint": advertise(facts, member), "certificateKey": key });
    }
    documents(&[join])
}

/// The address by which others reach its API: the one of its record, where that is its own; else kubeadm looks.
fn advertise(facts: &Facts, member: &Member<'_>) -> Value {
    let own = facts.addresses.iter().any(|address| **address == *member.address);
    if own { json!({ "advertiseAddress": member.address }) } else { json!({}) }
}

fn registration(facts: &Facts, member: &Member<'_>) -> Value {
    let labels = member.labels();
    let mut out = json!({
        "name": member.name, "criSocket": SOCKET, "ignorePreflightErrors": ignored(facts),
    });
    if !labels.is_empty() {
        out["kubeletExtraArgs"] = json!([{ "name": "node-labels", "value": labels }]);
    }
    if let Some(taints) = member.taints {
        out["taints"] = taints.iter().map(|taint| parts(taint)).collect();
    }
    out
}

/// `KEY[=VALUE]:EFFECT` in parts.
fn parts(taint: &str) -> Value {
    let (rest, effect) = taint.rsplit_once(':').unwrap_or((taint, ""));
    let (key, value) = rest.split_once('=').unwrap_or((rest, ""));
    let parts: BTreeMap<&str, &str> = [("key", key), ("value", value), ("effect", effect)].into();
    json!(parts)
}

/// JSON is YAML.
fn documents(all: &[Value]) -> String {
    let text: Vec<String> = all.iter().map(|one| format!("{one:#}\n")).collect();
    text.join("---\n")
}
