//! Container clusters, and what the hosts of one run.

use std::{collections::BTreeMap, fmt, str::FromStr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::{ArtifactRef, SecretRef};
use crate::{
    names::{Name, Text},
    units::TimeSpan,
};

/// A cluster: which pools its hosts come from, and what it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterSpec {
    /// Pool whose hosts control it: control planes of Kubernetes, managers of a Swarm.
    pub control_plane: Name,
    /// Pools whose hosts carry its load.
    pub workers: Vec<Name>,
    /// Most workers that one upgrade takes out of service at a time.
    pub max_unavailable: u32,
    /// Longest time until everything that runs on a member has gone elsewhere.
    pub drain_timeout: TimeSpan,
    /// Labels of the members of a pool.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<Name, BTreeMap<Text, Text>>,
    /// Which system, with its settings.
    pub kind: ClusterKind,
}

/// The systems that clusters can be of today.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClusterKind {
    /// Kubernetes, by kubeadm.
    Kubernetes(Box<KubernetesSpec>),
    /// Docker Swarm.
    Swarm,
}

impl ClusterSpec {
    /// The settings of Kubernetes, if it is that.
    pub fn kubernetes(&self) -> Option<&KubernetesSpec> {
        if let ClusterKind::Kubernetes(spec) = &self.kind { Some(spec) } else { None }
    }

    /// The version that its members run; empty where the runtime's own is it.
    pub fn version(&self) -> Text {
        self.kubernetes().map_or_else(|| "".into(), |spec| spec.version.to_string().into())
    }

    /// What the hosts of a pool are in it.
    pub fn role_of(&self, pool: &str) -> Option<Role> {
        if *self.control_plane == *pool {
            return Some(Role::ControlPlane);
        }
        self.workers.iter().any(|worker| **worker == *pool).then_some(Role::Worker)
    }
}

/// What a host is in a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// It controls the cluster; a manager of a Swarm.
    ControlPlane,
    /// It carries load.
    Worker,
}

impl Role {
    /// The word for it in output.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::ControlPlane => "control-plane",
            Role::Worker => "worker",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A Kubernetes cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KubernetesSpec {
    /// Which release, in full.
    pub version: Version,
    /// Where its API answers, `HOST:PORT`; none: at the first control plane.
    pub endpoint: Option<Text>,
    /// Address range of services.
    pub service_cidr: IpNet,
    /// How pods reach each other.
    pub pod_network: PodNetwork,
    /// Where the images of its own parts come from.
    pub image_repository: Text,
    /// Where kubeadm, kubelet and kubectl come from.
    pub packages: KubernetesPackages,
    /// Taints of the members of a pool, as in `dedicated=db:NoSchedule`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub taints: BTreeMap<Name, Vec<Text>>,
    /// Whether hosts with cgroup v1 may join, which Kubernetes no longer maintains.
    pub cgroup_v1: bool,
    /// How long before their end certificates are renewed.
    pub renew_before: TimeSpan,
}

impl KubernetesSpec {
    /// Version of the packages.
    pub fn package(&self) -> Text {
        format!("{}-{}", self.version, self.packages.revision).into()
    }
}

/// How pods reach each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodNetwork {
    /// Which software.
    pub kind: PodNetworkKind,
    /// Address range of pods.
    pub cidr: IpNet,
    /// Its manifest, as its makers publish it.
    pub manifest: Text,
}

/// Software for networks of pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PodNetworkKind {
    /// Flannel.
    Flannel,
    /// Calico.
    Calico,
}

/// Packages of Kubernetes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KubernetesPackages {
    /// The apt repository; none: what the hosts have already.
    pub repository: Option<Repository>,
    /// What stands behind the version in the packages' own, `1.1` in `1.34.4-1.1`.
    pub revision: Text,
}

/// An apt repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repository {
    /// Its address.
    pub url: Text,
    /// Suite, or a path that ends with `/`.
    pub suite: Text,
    /// Components; none with a path.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<Text>,
    /// The key that signs it, ASCII-armoured.
    pub key: Text,
}

/// What runs containers on a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuntimeSpec {
    /// Which software.
    pub kind: RuntimeKind,
    /// Sandboxed runtimes beside the usual one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sandboxes: Vec<Sandbox>,
    /// Image of the container that holds the namespaces of a pod.
    pub sandbox_image: Text,
    /// Registries that images come from, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub registries: BTreeMap<Name, RegistrySpec>,
    /// Archives of images that are loaded from artifacts, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub images: BTreeMap<Name, ArtifactRef>,
    /// Folder of its programs where these are no package's; none: the distribution's package.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub programs: Option<Text>,
}

/// Software that runs containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RuntimeKind {
    /// containerd.
    Containerd,
    /// Docker Engine.
    Docker,
}

/// Image of the container that holds the namespaces of a pod, where nothing else is said.
pub const SANDBOX_IMAGE: &str = "registry.k8s.io/pause:3.10.1";

/// Where archives of images lie on a host.
pub const IMAGES: &str = "/var/lib/pool/images";

impl RuntimeSpec {
    /// One as it comes.
    pub fn new(kind: RuntimeKind) -> Self {
        Self {
            kind,
            sandboxes: Vec::new(),
            sandbox_image: SANDBOX_IMAGE.into(),
            registries: BTreeMap::new(),
            images: BTreeMap::new(),
            programs: None,
        }
    }
}

/// A sandboxed runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sandbox {
    /// gVisor: a kernel in user space.
    Gvisor,
    /// Kata Containers: a small virtual machine.
    Kata,
}

/// A registry that images come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistrySpec {
    /// `HOST[:PORT]`.
    pub address: Text,
    /// The certificate of the authority that signed its own, in PEM; none: a public one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<Text>,
    /// Who logs in; none: nobody has to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<RegistryLogin>,
    /// Public registry → the path here under which its images are.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub mirrors: BTreeMap<Text, Text>,
}

/// Who logs in to a registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistryLogin {
    /// User.
    pub user: Text,
    /// Password.
    pub password: SecretRef,
}

/// What a host needs before it can be a member of a Kubernetes cluster; its version is the cluster's, which no digest of
/// a bootstrap holds: members are upgraded one by one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeSpec {
    /// The cluster.
    pub cluster: Name,
    /// Where its packages come from.
    pub repository: Option<Repository>,
    /// Whether cgroup v1 will do.
    pub cgroup_v1: bool,
}

/// A release of Kubernetes, `1.34.4`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// 1
    pub major: u32,
    /// 34
    pub minor: u32,
    /// 4
    pub patch: u32,
}

/// A text that is not a [`Version`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a release of Kubernetes; write all three numbers, as in 1.34.4")]
pub struct VersionError(pub String);

impl FromStr for Version {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        let bad = || VersionError(text.to_owned());
        let number = |part: &str| {
            let plain = !part.is_empty() && part.len() <= 6 && part.bytes().all(|b| b.is_ascii_digit());
            (plain && (part == "0" || !part.starts_with('0'))).then(|| part.parse().ok()).flatten()
        };
        let mut parts = text.split('.').map(number);
        let mut next = || parts.next().flatten().ok_or_else(bad);
        let version = Version { major: next()?, minor: next()?, patch: next()? };
        if parts.next().is_some() { Err(bad()) } else { Ok(version) }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}.{}.{}", self.major, self.minor, self.patch))
    }
}

impl Serialize for Version {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_has_three_numbers() {
        let version: Version = "1.34.4".parse().expect("a version");
        assert_eq!((version.major, version.minor, version.patch), (1, 34, 4));
        assert_eq!(version.to_string(), "1.34.4");
        for bad in ["1.34", "1.34.4.5", "v1.34.4", "1.034.4", "1..4", "", "1.34.x"] {
            assert!(bad.parse::<Version>().is_err(), "{bad}");
        }
        assert!("1.9.0".parse::<Version>().expect("a version") < version);
    }
}
