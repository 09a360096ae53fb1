//! An inventory resolved for one environment: variables filled in, units read, defaults applied, references checked.
//!
//! These types carry meaning only; where a value stood in which file is known to the parser alone.

mod artifact;
mod cluster;
mod network;
mod openstack;
mod sim;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use serde::{Deserialize, Serialize};

use crate::{
    names::{Address, Name, Text},
    units::{Bytes, FileMode, Money, Percent, TimeSpan},
};

pub use artifact::{ArtifactBuild, ArtifactFile, ArtifactRef, ArtifactSource, ArtifactSpec, UnpackSpec};
pub use cluster::{
    ClusterKind, ClusterSpec, IMAGES, KubernetesPackages, KubernetesSpec, NodeSpec, PodNetwork, PodNetworkKind,
    RegistryLogin, RegistrySpec, Repository, Role, RuntimeKind, RuntimeSpec, SANDBOX_IMAGE, Sandbox, Version,
    VersionError,
};
pub use network::{NetworkDecl, Peer, Ports, Protocol, Rule};
pub use openstack::OpenStackSpec;
pub use sim::{SimCall, SimClock, SimError, SimFault, SimMachines, SimOffering, SimSpec};

/// Everything that an inventory declares for one environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Desired {
    /// `name:`, part of every name in a cloud.
    pub inventory: Name,
    /// The chosen environment, `default` where the inventory declares none.
    pub environment: Name,
    /// Whether the whole environment refuses to be destroyed.
    pub protected: bool,
    /// Variables after the environment's own values, named `[a-z][a-z0-9_]{0,30}`; templates see them as `var`.
    pub variables: BTreeMap<Text, Scalar>,
    /// Accounts and places.
    pub providers: BTreeMap<Name, ProviderSpec>,
    /// Tenants; `default` is always there.
    pub tenants: BTreeMap<Name, TenantSpec>,
    /// Service classes that pools may be of.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub classes: BTreeMap<Name, ClassSpec>,
    /// Image name → provider → what the provider calls it.
    pub images: BTreeMap<Name, BTreeMap<Name, Text>>,
    /// Files and archives that hosts get.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub artifacts: BTreeMap<Name, ArtifactSpec>,
    /// Networks, each made on every provider of its `on`.
    pub networks: BTreeMap<Name, NetworkDecl>,
    /// Backends of our own; a provider's are called `PROVIDER/NAME` and do not stand here.
    pub backends: BTreeMap<Name, BackendSpec>,
    /// Tiers that tenants may ask for.
    pub tiers: BTreeMap<Name, TierSpec>,
    /// Pools of hosts.
    pub pools: BTreeMap<Name, PoolSpec>,
    /// Container clusters.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub clusters: BTreeMap<Name, ClusterSpec>,
    /// Brakes and limits.
    pub policy: Policy,
    /// Declared renames, old address → new address; hosts carry their volumes with them.
    pub moved: BTreeMap<Address, Address>,
}

/// The value of a variable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Scalar {
    /// `true`, `false`
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Anything else.
    Text(Text),
}

impl std::fmt::Display for Scalar {
    /// As it is filled in for `${var.NAME}`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Scalar::Bool(value) => write!(f, "{value}"),
            Scalar::Int(value) => write!(f, "{value}"),
            Scalar::Text(value) => f.write_str(value),
        }
    }
}

/// One account or place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderSpec {
    /// Which system, with its settings.
    pub kind: ProviderKind,
    /// How to reach its hosts; a pool or a host may say otherwise.
    pub ssh: Option<Access>,
}

impl ProviderSpec {
    /// Whether its physical machines can be seen.
    pub fn has_machines(&self) -> bool {
        matches!(&self.kind, ProviderKind::Sim(sim) if !sim.machines.is_empty())
    }
}

/// The systems that can be provisioned today.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProviderKind {
    /// Little machines on this computer.
    Local,
    /// Hosts that exist; adopted and released, never made.
    Ssh,
    /// The simulated cloud.
    Sim(Box<SimSpec>),
    /// A project of an OpenStack cloud.
    Openstack(Box<OpenStackSpec>),
}

impl ProviderKind {
    /// The word after `type:`.
    pub fn as_str(&self) -> &'static str {
        match self {
            ProviderKind::Local => "local",
            ProviderKind::Ssh => "ssh",
            ProviderKind::Sim(_) => "sim",
            ProviderKind::Openstack(_) => "openstack",
        }
    }
}

/// How to log in to hosts over SSH.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// Login name.
    pub user: Text,
    /// Private key; none with `agent` false: the key that `pool` makes for this inventory.
    pub key: Option<SecretRef>,
    /// Use the SSH agent of `SSH_AUTH_SOCK`.
    pub agent: bool,
    /// TCP port.
    pub port: u16,
    /// `[user@]host[:port]` of a jump host.
    pub jump: Option<Text>,
    /// How the host key is known.
    pub trust: Trust,
}

/// How a host key is known at first contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trust {
    /// It stands in the inventory.
    Pinned,
    /// The provider handed it out at creation.
    Injected,
    /// The host printed it on its console, which only the provider can read.
    Console,
    /// The first key seen is accepted and recorded.
    FirstContact,
}

/// Where a secret is; never the secret itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SecretRef {
    /// An environment variable.
    Env(Text),
    /// A file; relative paths start at the inventory's folder.
    File(Text),
    /// A command whose standard output is the secret.
    Exec(Vec<Text>),
}

/// What one tenant may use.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantSpec {
    /// Upper limits.
    pub quota: QuotaSpec,
    /// What it must not share with other tenants.
    pub isolation: Isolation,
}

/// What a tenant must not share with others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Isolation {
    /// Nothing but what providers keep apart by themselves.
    #[default]
    None,
    /// Networks: no pool of another tenant stands in one of its networks.
    Network,
    /// Physical machines: its hosts take only offerings that are dedicated to it, and nobody else takes those.
    DedicatedHosts,
}

/// Upper limits; `None` is no limit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuotaSpec {
    /// Hosts.
    pub hosts: Option<u64>,
    /// Cores of all hosts.
    pub vcpus: Option<u64>,
    /// Memory of all hosts.
    pub memory: Option<Bytes>,
    /// Storage per tier.
    pub storage: BTreeMap<Name, Bytes>,
    /// Money per month.
    pub cost: Option<Money>,
}

impl Desired {
    /// The priority of a pool: that of its class, 0 without one.
    pub fn priority(&self, pool: &PoolSpec) -> u32 {
        pool.class.as_ref().and_then(|class| self.classes.get(class)).map_or(0, |class| class.priority)
    }
}

impl QuotaSpec {
    /// The limits, by what accounts are called: `hosts`, `vcpus`, `memory`, `storage.TIER`, and `cost` in millionths
    /// per hour, rounded down.
    pub fn limits(&self) -> Vec<(Text, u64)> {
        let hourly = |monthly: Money| u64::try_from(monthly.0 / crate::units::HOURS_PER_MONTH).unwrap_or(0);
        let fixed = [
            ("hosts", self.hosts),
            ("vcpus", self.vcpus),
            ("memory", self.memory.map(|m| m.0)),
            ("cost", self.cost.map(hourly)),
        ];
        let fixed = fixed.into_iter().filter_map(|(name, limit)| Some((Text::from(name), limit?)));
        fixed.chain(self.storage.iter().map(|(tier, size)| (format!("storage.{tier}").into(), size.0))).collect()
    }
}

/// A service class: which pools come first when quota, stock or money are not enough for all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassSpec {
    /// Pools of a higher priority are served first; a pool without a class has priority 0.
    pub priority: u32,
    /// Share of the time that its hosts are promised to work; for people, it decides nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sla: Option<Percent>,
    /// How important it is, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub importance: Option<Text>,
    /// What its pools do, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<Text>,
    /// What it holds, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sensitivity: Option<Text>,
}

/// A backend of our own: a folder on this computer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackendSpec {
    /// The folder; relative paths start at the inventory's folder.
    pub path: Text,
    /// How much may be handed out.
    pub capacity: Bytes,
}

/// A tier of storage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TierSpec {
    /// Kind of medium that a backend must have; none: any.
    pub media: Option<Media>,
    /// Operations per second that a backend must promise.
    pub min_iops: Option<u64>,
    /// Whether space is set aside in full, and the size enforced.
    pub provisioning: Provisioning,
    /// What may serve it, in order of preference: `NAME`, `PROVIDER/NAME`, with `*` for a part of a name.
    pub backends: Vec<Text>,
}

/// Kind of medium.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Media {
    /// Flash.
    Ssd,
    /// Spinning disks.
    Hdd,
}

/// How space is handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provisioning {
    /// Used as it is written; counted in full against capacity all the same.
    Thin,
    /// Set aside at creation; the size is a hard limit.
    Thick,
}

/// A pool of like hosts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolSpec {
    /// Whose it is.
    pub tenant: Name,
    /// Name in [`Desired::classes`]; none: priority 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<Name>,
    /// How many, or which.
    pub hosts: Hosts,
    /// What each host must have at least; none for hosts that exist.
    pub size: Option<Size>,
    /// Name in [`Desired::images`]; none for hosts that exist.
    pub image: Option<Name>,
    /// Name in [`Desired::networks`].
    pub network: Option<Name>,
    /// Where hosts may be.
    pub place: Place,
    /// What is done on each host.
    pub bootstrap: BootstrapSpec,
    /// Volumes of each host.
    pub volumes: BTreeMap<Name, PoolVolume>,
    /// Labels, shown to templates and selectors, and set as tags.
    pub labels: BTreeMap<Text, Text>,
    /// Fields whose drift is left alone, as in `tags.owner`.
    pub ignore_changes: Vec<Text>,
    /// How to log in, where the provider's way does not fit.
    pub ssh: Option<Access>,
    /// Whether its hosts and volumes are never destroyed.
    pub protected: bool,
    /// Addresses that hosts must have in the network, by host name.
    pub addresses: BTreeMap<Text, IpAddr>,
    /// External network that each host gets a public address from.
    pub public: Option<Text>,
    /// Tier of the volume that hosts boot from; none: the disk of the offering.
    pub root: Option<Name>,
    /// What else a machine must have, as declared under `size`.
    #[serde(default, skip_serializing_if = "Needs::is_empty")]
    pub needs: Needs,
}

/// The hosts of a pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Hosts {
    /// So many, called `<pool>-<ordinal>`.
    Count(u32),
    /// As many as there is room for, called likewise.
    Range {
        /// No host goes to make room for others when this many are left; fewer make a plan incomplete.
        min: u32,
        /// How many are wanted; more than `min`.
        max: u32,
    },
    /// These, which exist.
    Named(BTreeMap<Name, NamedHost>),
}

impl Hosts {
    /// The fewest and the most hosts that have numbers; none: they have names of their own.
    pub fn numbered(&self) -> Option<(u32, u32)> {
        match self {
            Hosts::Count(count) => Some((*count, *count)),
            Hosts::Range { min, max } => Some((*min, *max)),
            Hosts::Named(_) => None,
        }
    }

    /// How many are wanted.
    pub fn most(&self) -> usize {
        match self {
            Hosts::Count(count) | Hosts::Range { max: count, .. } => *count as usize,
            Hosts::Named(hosts) => hosts.len(),
        }
    }
}

/// A host that exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedHost {
    /// IP address or DNS name; empty where `id` says which machine it is.
    pub address: Text,
    /// The provider's id of a machine that exists there; none: only its address is known.
    pub id: Option<Text>,
    /// The provider's ids of volumes that exist and are attached to it, by name.
    pub volumes: BTreeMap<Name, Text>,
    /// Pinned host key in OpenSSH form, `ssh-ed25519 AAAA…`.
    pub host_key: Option<Text>,
    /// How to log in, where neither the pool's nor the provider's way fits.
    pub ssh: Option<Access>,
}

/// What a host must have at least.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Size {
    /// Cores.
    pub vcpus: u32,
    /// Memory.
    pub memory: Bytes,
    /// Root disk.
    pub disk: Bytes,
}

/// What a machine must have besides its size.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Needs {
    /// Instruction set; none: any, told or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arch: Option<Arch>,
    /// Graphics processors, at least.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub gpus: u32,
    /// Features that its offering must name, as in `local-disk`.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub features: BTreeSet<Text>,
}

impl Needs {
    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

pub(crate) fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Instruction set of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arch {
    /// x86, 64 bits.
    Amd64,
    /// ARM, 64 bits.
    Arm64,
}

impl Arch {
    /// As the kernel calls the machine: `x86_64`, `aarch64`.
    pub fn of_machine(machine: &str) -> Option<Self> {
        match machine {
            "x86_64" | "amd64" => Some(Arch::Amd64),
            "aarch64" | "arm64" => Some(Arch::Arm64),
            _ => None,
        }
    }

    /// The word for it in inventories.
    pub fn as_str(self) -> &'static str {
        match self {
            Arch::Amd64 => "amd64",
            Arch::Arm64 => "arm64",
        }
    }
}

/// Where hosts may be and which place is best.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Places in order of preference; empty: every provider that can.
    pub on: Vec<PlacePattern>,
    /// What hosts are spread over evenly.
    pub spread: Option<Spread>,
    /// What decides between places that fit.
    pub optimize: Optimize,
    /// Whether hosts keep away from each other's physical machines.
    pub apart: Option<Apart>,
    /// Machine sizes that may be taken, with `*` for any run of characters; empty: every one that is large enough.
    pub offerings: Vec<Text>,
    /// The most by which the numbers of hosts of two places may differ that `spread` names; a host that would break this
    /// is not placed. None: hosts are spread as evenly as can be, and none is left out for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_skew: Option<u32>,
    /// Pools that hosts of this one stand beside, by what they share: a zone, a region, a provider. Goes both ways.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub affinity: BTreeMap<Name, Spread>,
    /// Pools that hosts of this one keep away from, by what they do not share. Goes both ways.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub anti_affinity: BTreeMap<Name, Spread>,
    /// The most that a host may cost per month, with the volume that it boots from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_price: Option<Money>,
}

/// How strictly hosts of a pool keep away from each other's physical machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Apart {
    /// No two on one machine; a host that finds no machine of its own is not made.
    Must,
    /// As far as there are machines.
    May,
}

impl std::fmt::Display for Apart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Apart::Must => "must",
            Apart::May => "may",
        })
    }
}

/// `PROVIDER[/REGION[/ZONE]]`, each part with `*` for any run of characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PlacePattern(pub Text);

/// What hosts of a pool are spread over, and what hosts of two pools share or do not share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Spread {
    /// Zones.
    Zone,
    /// Regions.
    Region,
    /// Providers.
    Provider,
    /// Zones, and racks within each of them, where machines can be seen.
    Rack,
}

/// What decides between places that fit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Optimize {
    /// The order of `on`, then the price.
    #[default]
    Prefer,
    /// The price, then the order of `on`.
    Cost,
    /// The least used place first, by share of the scarcer resource; then the order of `on`, then the price.
    Balance,
    /// The fullest place that fits first; then the order of `on`, then the price.
    Pack,
}

/// A volume that each host of a pool gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolVolume {
    /// How large.
    pub size: Bytes,
    /// Which tier.
    pub tier: Name,
    /// Where it is mounted; none: attached only.
    pub mount: Option<Text>,
    /// What happens when it leaves the inventory.
    pub on_remove: OnRemove,
    /// Whether it is never destroyed.
    pub protected: bool,
    /// What its first content is: a volume, a snapshot or a backup; none: it is empty.
    pub from: Option<Address>,
}

/// What happens to a volume that leaves the inventory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnRemove {
    /// It stays, recorded, until a whole destroy.
    #[default]
    Keep,
    /// It is deleted.
    Delete,
}

/// What is done on a host, in this order: packages, users, directories, files, sysctl, runtime, node, services, scripts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootstrapSpec {
    /// Debian packages that must be installed.
    pub packages: BTreeSet<Text>,
    /// Users that must exist.
    pub users: BTreeMap<Name, UserSpec>,
    /// Directories by absolute path.
    pub directories: BTreeMap<Text, DirectorySpec>,
    /// Files by absolute path.
    pub files: BTreeMap<Text, FileSpec>,
    /// Files whose content is an artifact, by absolute path.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub artifact_files: BTreeMap<Text, ArtifactFile>,
    /// Archives that are unpacked, by the name of the artifact.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unpack: BTreeMap<Name, UnpackSpec>,
    /// Kernel settings, `net.ipv4.ip_forward` → `1`.
    pub sysctl: BTreeMap<Text, Text>,
    /// systemd services by unit name without `.service`.
    pub services: BTreeMap<Text, ServiceSpec>,
    /// Scripts with a check, run in the order of their names.
    pub scripts: BTreeMap<Name, ScriptSpec>,
    /// What runs containers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<Box<RuntimeSpec>>,
    /// What a member of a Kubernetes cluster needs before it joins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<Box<NodeSpec>>,
}

impl BootstrapSpec {
    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        self == &Self::default()
    }

    /// Whether anything of it is declared with a secret.
    pub fn has_secrets(&self) -> bool {
        self.runtime.as_ref().is_some_and(|runtime| runtime.registries.values().any(|one| one.login.is_some()))
    }

    /// Whether any file is a template.
    pub fn has_templates(&self) -> bool {
        self.files.values().any(|file| matches!(file.source, FileSource::Template(_)))
    }

    /// Pools whose hosts its templates mention.
    pub fn pools(&self) -> BTreeSet<Name> {
        let templates = self.files.values().filter_map(|file| match &file.source {
            FileSource::Template(template) => Some(template.pools.iter().cloned()),
            FileSource::Content(_) => None,
        });
        templates.flatten().collect()
    }

    /// The artifacts that it takes.
    pub fn artifacts(&self) -> impl Iterator<Item = &ArtifactRef> {
        let files = self.artifact_files.values().map(|file| &file.artifact);
        files.chain(self.unpack.values().map(|unpack| &unpack.artifact))
    }
}

/// A user of a host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserSpec {
    /// Supplementary groups.
    pub groups: BTreeSet<Name>,
    /// Login shell; none: `/bin/bash`.
    pub shell: Option<Text>,
    /// Lines of `~/.ssh/authorized_keys`, managed whole.
    pub authorized_keys: Vec<Text>,
    /// Whether the user may become root without a password.
    pub sudo: bool,
}

/// A directory of a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectorySpec {
    /// Permission bits.
    pub mode: FileMode,
    /// Owner; none: the login user.
    pub owner: Option<Text>,
    /// Group; none: the login user's.
    pub group: Option<Text>,
}

/// A file of a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSpec {
    /// Where its content comes from.
    pub source: FileSource,
    /// Permission bits.
    pub mode: FileMode,
    /// Owner; none: the login user.
    pub owner: Option<Text>,
    /// Group; none: the login user's.
    pub group: Option<Text>,
}

/// Where the content of a file comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileSource {
    /// Written out, or read from a file beside the inventory.
    Content(Text),
    /// A template.
    Template(TemplateSource),
}

/// A template as it stood when the inventory was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplateSource {
    /// Its path, relative to the inventory's folder; for messages.
    pub path: Text,
    /// Its text.
    pub text: Text,
    /// Pools whose hosts it mentions as `hosts.POOL`.
    pub pools: BTreeSet<Name>,
}

/// A systemd service of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceSpec {
    /// Started at boot.
    pub enabled: bool,
    /// Running now.
    pub running: bool,
}

/// A script with a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScriptSpec {
    /// Exit status 0: nothing is to do.
    pub check: Text,
    /// What is run when the check fails; the check must hold afterwards.
    pub run: Text,
    /// Longest time for `run`.
    pub timeout: TimeSpan,
}

/// Brakes and limits of an environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Share of a pool's hosts that one run may rebuild or replace.
    pub max_replaced: Percent,
    /// Share of a pool's hosts that one run may destroy.
    pub max_destroyed: Percent,
    /// How long a saved plan may be applied.
    pub plan_ttl: TimeSpan,
    /// Least share of a host's price that a move must save for `--optimize` to propose it.
    pub min_gain: Percent,
    /// Age below which `--optimize` leaves a host where it is.
    pub min_residence: TimeSpan,
    /// Most artifacts that are sent to hosts at a time; none: as many as is sensible.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uploads: Option<u32>,
    /// Most bytes per second of all of them together; none: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload_rate: Option<Bytes>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            max_replaced: Percent(2_000),
            max_destroyed: Percent(1_000),
            plan_ttl: TimeSpan::secs(3600),
            min_gain: Percent(1_000),
            min_residence: TimeSpan::secs(3600),
            uploads: None,
            upload_rate: None,
        }
    }
}
