//! Concrete objects: what a plan asks a provider for, what the state records, what a provider reports.
//!
//! A [`Spec`] has no choices left. The same type is used for what was asked, what was applied and what is seen, so that
//! a difference is a comparison, field by field, through [`Spec::changes`].

mod charges;
mod fill;

pub use charges::{charges, totals};

use std::{collections::BTreeMap, net::IpAddr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::{
    desired::{Apart, OnRemove, Provisioning, Role, Rule, Size},
    names::{Address, Kind, Lineage, Name, Text, Token},
    units::Bytes,
};

/// One host, volume, network, snapshot or backup, in full.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Spec {
    /// A host.
    Host(HostSpec),
    /// A volume.
    Volume(VolumeSpec),
    /// A network.
    Network(NetworkSpec),
    /// A snapshot of a volume: lives beside it, where it lives.
    Snapshot(CopySpec),
    /// A backup of a volume: outlives it.
    Backup(CopySpec),
}

/// A host, in full.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostSpec {
    /// The provider's name of the machine size; `existing` for hosts that are adopted.
    pub offering: Text,
    /// Region; empty where the provider has none.
    pub region: Text,
    /// Zone; empty where the provider has none.
    pub zone: Text,
    /// What the offering has.
    pub size: Size,
    /// The provider's name of the image; empty for hosts that are adopted.
    pub image: Text,
    /// Network it stands in.
    pub network: Option<Name>,
    /// Labels of the pool and of the inventory; part of what is compared.
    pub tags: BTreeMap<Text, Text>,
    /// Login name that the provider sets up.
    pub user: Text,
    /// Public keys that may log in, in OpenSSH form.
    pub authorized_keys: Vec<Text>,
    /// Where it answers, for hosts that exist.
    pub at: Option<Endpoint>,
    /// The address that it was asked to have in its network; none: the provider chooses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// The provider's name of the external network that it has a public address from; none: it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public: Option<Text>,
    /// Whether it keeps away from the physical machines of the other hosts of its pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apart: Option<Apart>,
    /// The volume that it boots from; none: the disk of its offering.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<RootDisk>,
    /// Whether its host keys are read from its console, not given to it at creation.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub console_keys: bool,
    /// The provider's id of what exists and is taken over; none: it is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub existing: Option<Text>,
    /// The physical machine that it stands on, where the provider shows them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<Text>,
}

impl HostSpec {
    /// Where a host answers of which its provider says that it answers at `seen`: what the inventory says counts more.
    pub fn reached(&self, seen: &Endpoint) -> Endpoint {
        let Some(at) = &self.at else { return seen.clone() };
        let host = if at.host.is_empty() { &seen.host } else { &at.host };
        let host_keys = if at.host_keys.is_empty() { &seen.host_keys } else { &at.host_keys };
        Endpoint { host: host.clone(), port: at.port, host_keys: host_keys.clone() }
    }
}

/// The volume that a host boots from. It comes and goes with the host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RootDisk {
    /// Tier that was asked for.
    pub tier: Name,
    /// Backend that serves it, `PROVIDER/NAME`.
    pub backend: Text,
    /// Size.
    pub size: Bytes,
}

/// A volume, in full.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeSpec {
    /// Tier that was asked for.
    pub tier: Name,
    /// Backend that serves it: `NAME` or `PROVIDER/NAME`.
    pub backend: Text,
    /// Zone of the host that it will be attached to; empty where the provider has none.
    pub zone: Text,
    /// Size.
    pub size: Bytes,
    /// Thin or thick.
    pub provisioning: Provisioning,
    /// Labels; part of what is compared.
    pub tags: BTreeMap<Text, Text>,
    /// Host it is attached to, and where it is mounted there; none: detached.
    pub attached: Option<Attachment>,
    /// What happens when it leaves the inventory. Ours only: never sent to a provider, never seen there.
    pub on_remove: OnRemove,
    /// The volume, snapshot or backup that its first content came from. Looked at when it is made, and never compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Address>,
    /// The provider's id of what exists and is taken over; none: it is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub existing: Option<Text>,
}

/// A snapshot or backup, in full.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopySpec {
    /// The volume that it is of.
    pub of: Address,
    /// Tier of the volume when it was taken.
    pub tier: Name,
    /// Backend that holds it, `PROVIDER/NAME`.
    pub backend: Text,
    /// Size of the volume when it was taken.
    pub size: Bytes,
    /// Labels; part of what is compared.
    pub tags: BTreeMap<Text, Text>,
}

/// Where a volume is attached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// The host.
    pub host: Address,
    /// Absolute path of the mount point; none: attached only.
    pub mount: Option<Text>,
}

/// A network, in full: the network itself, its one subnet, its way out, and who may talk to its hosts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkSpec {
    /// Address range; none for a network that exists.
    pub cidr: Option<IpNet>,
    /// Labels; part of what is compared.
    pub tags: BTreeMap<Text, Text>,
    /// The provider's name or id of the network that exists and is used as it is; none: it is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub existing: Option<Text>,
    /// The provider's name of the external network that a router of its own leads to; none: no router.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub router: Option<Text>,
    /// Whether hosts get their addresses by DHCP.
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    pub dhcp: bool,
    /// Name servers that hosts are told, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dns: Vec<IpAddr>,
    /// What may come in, beside what hosts of the network say to each other.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ingress: BTreeMap<Name, Rule>,
    /// What may go out; empty: everything.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub egress: BTreeMap<Name, Rule>,
}

fn yes() -> bool {
    true
}

impl NetworkSpec {
    /// A network of its own, closed to the outside.
    pub fn new(cidr: IpNet) -> Self {
        Self {
            cidr: Some(cidr),
            tags: BTreeMap::new(),
            existing: None,
            router: None,
            dhcp: true,
            dns: Vec::new(),
            ingress: BTreeMap::new(),
            egress: BTreeMap::new(),
        }
    }
}

/// Where a host answers SSH.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// IP address or DNS name.
    pub host: Text,
    /// TCP port.
    pub port: u16,
    /// Host keys in OpenSSH form, any of which is right; empty: not known yet.
    pub host_keys: Vec<Text>,
}

impl Endpoint {
    /// The address as an IP address, if it is one.
    pub fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

/// One field that differs between two specs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FieldChange {
    /// Field as users name it: `image`, `size`, `tags.owner`, `attached`.
    pub field: Text,
    /// Value before, as shown.
    pub from: Text,
    /// Value after, as shown.
    pub to: Text,
}

impl Spec {
    /// What kind of object this is.
    pub fn kind(&self) -> Kind {
        match self {
            Spec::Host(_) => Kind::Host,
            Spec::Volume(_) => Kind::Volume,
            Spec::Network(_) => Kind::Network,
            Spec::Snapshot(_) => Kind::Snapshot,
            Spec::Backup(_) => Kind::Backup,
        }
    }

    /// The host spec, if this is one.
    pub fn host(&self) -> Option<&HostSpec> {
        if let Spec::Host(host) = self { Some(host) } else { None }
    }

    /// The volume spec, if this is one.
    pub fn volume(&self) -> Option<&VolumeSpec> {
        if let Spec::Volume(volume) = self { Some(volume) } else { None }
    }

    /// The network spec, if this is one.
    pub fn network(&self) -> Option<&NetworkSpec> {
        if let Spec::Network(network) = self { Some(network) } else { None }
    }

    /// The spec of a snapshot or backup, if this is one.
    pub fn copy(&self) -> Option<&CopySpec> {
        if let Spec::Snapshot(copy) | Spec::Backup(copy) = self { Some(copy) } else { None }
    }

    /// The fields in which `to` differs, sorted by name. Specs of two kinds differ in `kind` alone.
    pub fn changes(&self, to: &Spec) -> Vec<FieldChange> {
        if self == to {
            return Vec::new();
        }
        let mut out = Changes(Vec::new());
        match (self, to) {
            (Spec::Host(a), Spec::Host(b)) => out.host(a, b),
            (Spec::Volume(a), Spec::Volume(b)) => out.volume(a, b),
            (Spec::Network(a), Spec::Network(b)) => out.network(a, b),
            (Spec::Snapshot(a), Spec::Snapshot(b)) | (Spec::Backup(a), Spec::Backup(b)) => out.copy(a, b),
            _ => out.compare("kind", &self.kind(), &to.kind()),
        }
        out.0.sort();
        out.0
    }
}

struct Changes(Vec<FieldChange>);

impl Changes {
    fn push(&mut self, field: &str, from: String, to: String) {
        self.0.push(FieldChange { field: field.into(), from: from.into(), to: to.into() });
    }

    fn compare<T: PartialEq + ToString>(&mut self, field: &str, from: &T, to: &T) {
        if from != to {
            self.push(field, from.to_string(), to.to_string());
        }
    }

    fn host(&mut self, a: &HostSpec, b: &HostSpec) {
        self.compare("offering", &a.offering, &b.offering);
        self.compare("region", &a.region, &b.region);
        self.compare("zone", &a.zone, &b.zone);
        self.compare("size.vcpus", &a.size.vcpus, &b.size.vcpus);
        self.compare("size.memory", &a.size.memory, &b.size.memory);
        self.compare("size.disk", &a.size.disk, &b.size.disk);
        self.compare("image", &a.image, &b.image);
        if a.network != b.network {
            self.push("network", show(&a.network), show(&b.network));
        }
        self.tags(&a.tags, &b.tags);
        self.compare("user", &a.user, &b.user);
        if a.authorized_keys != b.authorized_keys {
            self.push("authorized_keys", keys(&a.authorized_keys), keys(&b.authorized_keys));
        }
        if a.at != b.at {
            let show = |at: &Option<Endpoint>| {
                at.as_ref().map_or_else(
                    || "none".into(),
                    |at| {
                        let keys: Vec<String> = at.host_keys.iter().map(|key| brief_key(key)).collect();
                        let keys = if keys.is_empty() { "no host key".to_owned() } else { keys.join(", ") };
                        format!("{}:{} ({keys})", at.host, at.port)
                    },
                )
            };
            self.push("address", show(&a.at), show(&b.at));
        }
        self.optional("addresses", &a.address, &b.address);
        self.optional("public", &a.public, &b.public);
        self.optional("apart", &a.apart, &b.apart);
        self.optional("existing", &a.existing, &b.existing);
        self.optional("machine", &a.machine, &b.machine);
        let disk = |root: &Option<RootDisk>| root.as_ref().map(|root| format!("{} {}", root.backend, root.size));
        self.optional("root", &disk(&a.root), &disk(&b.root));
        if let (Some(a), Some(b)) = (&a.root, &b.root) {
            self.compare("root.tier", &a.tier, &b.tier);
        }
        let keys_of = |console: bool| if console { "console" } else { "injected" }.to_owned();
        self.compare("trust", &keys_of(a.console_keys), &keys_of(b.console_keys));
    }

    fn optional<T: PartialEq + ToString>(&mut self, field: &str, from: &Option<T>, to: &Option<T>) {
        if from != to {
            self.push(field, show(from), show(to));
        }
    }

    fn network(&mut self, a: &NetworkSpec, b: &NetworkSpec) {
        self.optional("cidr", &a.cidr, &b.cidr);
        self.optional("existing", &a.existing, &b.existing);
        self.optional("router", &a.router, &b.router);
        self.compare("dhcp", &a.dhcp, &b.dhcp);
        if a.dns != b.dns {
            let list = |dns: &[IpAddr]| match dns {
                [] => "none".to_owned(),
                _ => dns.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(", "),
            };
            self.push("dns", list(&a.dns), list(&b.dns));
        }
        for (direction, a, b) in [("ingress", &a.ingress, &b.ingress), ("egress", &a.egress, &b.egress)] {
            for name in a.keys().chain(b.keys().filter(|name| !a.contains_key(*name))) {
                self.optional(&format!("{direction}.{name}"), &a.get(name), &b.get(name));
            }
        }
        self.tags(&a.tags, &b.tags);
    }

    fn copy(&mut self, a: &CopySpec, b: &CopySpec) {
        self.compare("of", &a.of, &b.of);
        self.compare("tier", &a.tier, &b.tier);
        self.compare("backend", &a.backend, &b.backend);
        self.compare("size", &a.size, &b.size);
        self.tags(&a.tags, &b.tags);
    }

    fn volume(&mut self, a: &VolumeSpec, b: &VolumeSpec) {
        self.compare("tier", &a.tier, &b.tier);
        self.compare("backend", &a.backend, &b.backend);
        self.compare("zone", &a.zone, &b.zone);
        self.compare("size", &a.size, &b.size);
        if a.provisioning != b.provisioning {
            self.push(
                "provisioning",
                format!("{:?}", a.provisioning).to_lowercase(),
                format!("{:?}", b.provisioning).to_lowercase(),
            );
        }
        self.optional("existing", &a.existing, &b.existing);
        self.tags(&a.tags, &b.tags);
        if a.attached != b.attached {
            let show = |at: &Option<Attachment>| match at {
                None => "detached".to_owned(),
                Some(Attachment { host, mount: None }) => host.to_string(),
                Some(Attachment { host, mount: Some(mount) }) => format!("{host} at {mount}"),
            };
            self.push("attached", show(&a.attached), show(&b.attached));
        }
        if a.on_remove != b.on_remove {
            self.push(
                "on_remove",
                format!("{:?}", a.on_remove).to_lowercase(),
                format!("{:?}", b.on_remove).to_lowercase(),
            );
        }
    }

    fn tags(&mut self, a: &BTreeMap<Text, Text>, b: &BTreeMap<Text, Text>) {
        let quoted = |value: Option<&Text>| value.map_or_else(|| "none".to_owned(), |v| format!("\"{v}\""));
        for key in a.keys().chain(b.keys().filter(|k| !a.contains_key(*k))) {
            let (from, to) = (a.get(key), b.get(key));
            if from != to {
                self.push(&format!("tags.{key}"), quoted(from), quoted(to));
            }
        }
    }
}

fn show<T: ToString>(value: &Option<T>) -> String {
    value.as_ref().map_or_else(|| "none".to_owned(), T::to_string)
}

/// A host key by its algorithm and its end, which tells it from others.
fn brief_key(key: &str) -> String {
    let mut words = key.split_whitespace();
    let (algorithm, key) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let end: Vec<char> = key.chars().rev().take(12).collect();
    format!("{algorithm} …{}", end.into_iter().rev().collect::<String>())
}

fn keys(keys: &[Text]) -> String {
    match keys {
        [] => "none".to_owned(),
        _ => {
            keys.iter().map(|key| blake3::hash(key.as_bytes()).to_hex()[..8].to_owned()).collect::<Vec<_>>().join(", ")
        }
    }
}

/// Whose an object in a cloud is, carried there as tags or metadata.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Owner {
    /// The state that made it.
    pub lineage: Lineage,
    /// Its address there.
    pub address: Address,
    /// Its generation: rises with each replacement.
    pub generation: u32,
    /// The token of the creation that made it.
    pub token: Token,
}

/// An object as a provider reports it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed {
    /// The provider's own id.
    pub id: Text,
    /// Its name in the cloud, `<inventory>-<environment>-<host>`.
    pub name: Text,
    /// Whose it is; none: not made by `pool`.
    pub owner: Option<Owner>,
    /// How it is.
    pub status: Status,
    /// What it is; a provider fills in everything that it can see, and copies the rest from its own notes.
    pub spec: Spec,
    /// Where it answers, for hosts that run.
    pub endpoint: Option<Endpoint>,
}

/// How an object is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Being made.
    Pending,
    /// A host that is on, a volume or network that can be used.
    Ready,
    /// A host that is off.
    Stopped,
    /// Broken, with the provider's words.
    Failed(Text),
    /// Being deleted.
    Deleting,
}

/// What the state records of one generation of one object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// Its address.
    pub address: Address,
    /// Rises with each replacement, so that old and new can stand side by side.
    pub generation: u32,
    /// Whose it is.
    pub tenant: Name,
    /// The pool that it came from; networks have none.
    pub pool: Option<Name>,
    /// The provider that has it.
    pub provider: Name,
    /// The provider's id; none: creation was begun and has not been seen to end.
    pub id: Option<Text>,
    /// The token of the creation.
    pub token: Token,
    /// Attempts made at the creation; part of the token.
    pub attempt: u32,
    /// What was applied last.
    pub spec: Spec,
    /// Where it answers.
    pub endpoint: Option<Endpoint>,
    /// Digest of the bootstrap that was applied in full; none: never, or not in full.
    pub bootstrapped: Option<Text>,
    /// Whether `pool` made it; adopted hosts are released, not deleted.
    pub adopted: bool,
    /// Whether it is never destroyed.
    pub protected: bool,
    /// What must outlive it: destroyed after it, once its inventory entry is gone.
    pub needs: Vec<Address>,
    /// Price per hour when it was made.
    pub price: crate::units::Money,
    /// Rises with each change of this row; 0 before the first write.
    pub serial: u64,
    /// When its creation was begun, in seconds since 1970; 0: not known.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub created: i64,
    /// What it is in a cluster, for hosts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<Box<Membership>>,
}

/// What a host is in a cluster, as far as `pool` made it so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// Which cluster.
    pub cluster: Name,
    /// What it is there.
    pub role: Role,
    /// The version that was installed in full; empty where the runtime's own counts.
    pub version: Text,
    /// How far it is.
    pub stage: Stage,
    /// Digest of what was set for it inside the cluster: labels and taints.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<Text>,
    /// Digest of what was applied to the whole cluster through it, on control planes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<Text>,
    /// Whether somebody asked that nothing new is put on it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cordoned: bool,
    /// Whether the cluster's API is known by its address.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub anchor: bool,
}

/// How far a member is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Its joining was begun and not seen to end; `first`: it begins the cluster.
    Joining {
        /// Whether it begins the cluster.
        first: bool,
    },
    /// It is a member.
    Joined,
    /// Its change to another version was begun and not seen to end.
    Upgrading {
        /// The version.
        to: Text,
    },
    /// What runs on it goes elsewhere, so that it can leave or change.
    Draining,
    /// Its leaving was begun and not seen to end.
    Leaving,
}

impl Membership {
    /// Whether it became a member in full, whatever has been begun since.
    pub fn has_joined(&self) -> bool {
        !matches!(self.stage, Stage::Joining { .. })
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
fn is_zero(value: &i64) -> bool {
    *value == 0
}

/// A volume that its host mounts itself, because the provider only attaches it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct HostMount {
    /// Absolute path of the mount point.
    pub path: Text,
    /// The provider's id of the volume, which the name of its device holds.
    pub id: Text,
    /// The volume, for people.
    pub volume: Address,
    /// Size of the volume.
    pub size: Bytes,
}

impl HostMount {
    /// What the record of a volume makes its host mount; none: it is not attached, or not to be mounted.
    pub fn of(volume: &Recorded) -> Option<HostMount> {
        let spec = volume.spec.volume()?;
        let path = spec.attached.as_ref()?.mount.clone()?;
        Some(HostMount { path, id: volume.id.clone()?, volume: volume.address.clone(), size: spec.size })
    }
}

/// A host as templates see it in `hosts.POOL`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownHost {
    /// Its name.
    pub name: Text,
    /// Where it answers; none: known only after apply.
    pub endpoint: Option<Endpoint>,
    /// Labels of its pool.
    pub labels: BTreeMap<Text, Text>,
}
