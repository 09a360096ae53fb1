//! What a provider offers, what it can do, and what is left there.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    desired::{Arch, Media, Provisioning, Size, is_zero},
    names::{Kind, Name, Text},
    units::{Bytes, Money, TimeSpan},
};

/// Everything about one provider that placement looks at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Market {
    /// Machine sizes, one entry per size and zone, sorted by (region, zone, name).
    pub offerings: Vec<Offering>,
    /// Storage that the provider brings, called `PROVIDER/NAME`, and that it can attach.
    pub backends: Vec<BackendOffer>,
    /// Names and ids of the images that can be used.
    pub images: BTreeSet<Text>,
    /// Names that several images share, with their ids: none of these is meant by the name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub namesakes: BTreeMap<Text, BTreeSet<Text>>,
    /// Limits of the account, by what [`Recorded::charges`](crate::object::Recorded::charges) calls them after
    /// `provider/P/`: `hosts`, `vcpus`, `memory`, `storage`, `volumes`, `snapshots`, `backups`, `addresses`, `cost`.
    pub limits: BTreeMap<Text, Limit>,
    /// Networks that exist there, ours and others'.
    pub networks: Vec<NetworkOffer>,
    /// Physical machines, where the provider shows them, sorted by (region, zone, name). Where a zone has some, each of
    /// its hosts stands on one of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub machines: Vec<Machine>,
    /// How long ago the oldest part of this was asked for; zero: now.
    pub age: TimeSpan,
}

impl Market {
    /// What is wrong with what an image is called; none: it is one image.
    pub fn no_image(&self, name: &str) -> Option<Text> {
        match self.namesakes.get(name) {
            Some(ids) => {
                let ids: Vec<&str> = ids.iter().map(|id| &**id).collect();
                Some(format!("has several images {name}: {}; name one by its id", ids.join(", ")).into())
            }
            None if self.images.contains(name) => None,
            None => Some(format!("has no image {name}").into()),
        }
    }
}

/// A limit of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// The most.
    pub limit: u64,
    /// What the account uses now, ours and others'.
    pub used: u64,
}

/// A network that exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkOffer {
    /// The provider's id.
    pub id: Text,
    /// The provider's name; several networks may share one.
    pub name: Text,
    /// Whether public addresses come from it, and routers lead to it.
    pub external: bool,
    /// Addresses that are left; none: not told.
    pub free: Option<u64>,
}

/// A physical machine that hosts stand on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The provider's name of it.
    pub name: Text,
    /// Region; empty where the provider has none.
    pub region: Text,
    /// Zone; empty where the provider has none.
    pub zone: Text,
    /// Rack; empty where it is not told.
    pub rack: Text,
    /// What it has for hosts.
    pub size: Size,
    /// What hosts on it use now, ours and others'.
    pub used: Size,
    /// Price per hour while any host stands on it.
    pub price: Money,
    /// The tenant whose hosts alone stand on it; none: it is shared.
    pub dedicated: Option<Name>,
}

impl Machine {
    /// Its accounts in [`Recorded::charges`](crate::object::Recorded::charges), with limit and use.
    pub fn accounts(&self, provider: &str) -> [(Text, Limit); 3] {
        let account =
            |what: &str, limit: u64, used: u64| (machine_account(provider, &self.name, what), Limit { limit, used });
        let (size, used) = (&self.size, &self.used);
        [
            account("vcpus", u64::from(size.vcpus), u64::from(used.vcpus)),
            account("memory", size.memory.0, used.memory.0),
            account("disk", size.disk.0, used.disk.0),
        ]
    }
}

/// The name of an account of a machine: `machine/P/NAME/memory`.
pub fn machine_account(provider: &str, machine: &str, what: &str) -> Text {
    format!("machine/{provider}/{machine}/{what}").into()
}

/// A machine size in a zone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offering {
    /// The provider's name of it.
    pub name: Text,
    /// Region; empty where the provider has none.
    pub region: Text,
    /// Zone; empty where the provider has none.
    pub zone: Text,
    /// What it has; an elastic offering has at most this.
    pub size: Size,
    /// Whether a host may have any size up to `size` (the local provider).
    pub elastic: bool,
    /// Price per hour.
    pub price: Money,
    /// Machines left; none: not told.
    pub stock: Option<u32>,
    /// The tenant whose hosts alone stand on the machines of this offering; none: machines are shared.
    pub dedicated: Option<Name>,
    /// Its instruction set; none: not told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arch: Option<Arch>,
    /// Graphics processors.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub gpus: u32,
    /// What else it is told to have, as in `local-disk`.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub features: BTreeSet<Text>,
}

/// A backend that can serve volumes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackendOffer {
    /// `PROVIDER/NAME`, or `NAME` for a declared one.
    pub name: Text,
    /// Medium; none: not told.
    pub media: Option<Media>,
    /// Operations per second that it promises.
    pub iops: Option<u64>,
    /// Ways in which it can hand out space.
    pub provisioning: BTreeSet<Provisioning>,
    /// Zones that it can serve; empty: all.
    pub zones: BTreeSet<Text>,
    /// All that may be handed out.
    pub capacity: Bytes,
    /// What is handed out now, by anyone.
    pub allocated: Bytes,
    /// Price per GiB and hour.
    pub price: Money,
}

/// What a provider can do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// How a field of a kind can change; a field that is not listed can only change by replacement.
    pub changes: BTreeMap<Kind, BTreeMap<Text, Change>>,
    /// Things that hosts of this provider can be asked for.
    pub features: BTreeSet<Feature>,
    /// Whether hosts are made (`true`) or only adopted and released (`false`).
    pub creates: bool,
    /// Largest number of requests in one `submit`.
    pub batch: usize,
    /// How long what was made may be missing from lists and look-ups.
    pub visibility_delay: TimeSpan,
    /// How long a request that was sent, and whose answer was lost, may wait before it is carried out.
    pub doubt: TimeSpan,
    /// Most calls at a time, unless the operator says otherwise; fewer are made when answers come late.
    pub calls: usize,
    /// How long after an act was accepted it is asked about for the first time, and the least time between two such
    /// questions; each is about everything that is under way.
    pub poll: TimeSpan,
    /// How long it may take to make something, retries included; what takes longer is stuck.
    pub patience: TimeSpan,
    /// Fields that its lists do not tell, by kind: what is recorded stands for what is there.
    pub unseen: BTreeMap<Kind, BTreeSet<Text>>,
}

/// Machines of slow clouds need minutes; a creation that takes longer than this is stuck.
pub const PATIENCE: TimeSpan = TimeSpan(20 * 60 * 1000);

impl Capabilities {
    /// How `field` of `kind` can change; `tags.*` and `size.*` stand for all that begin so.
    pub fn change(&self, kind: Kind, field: &str) -> Change {
        let Some(fields) = self.changes.get(&kind) else { return Change::Replace };
        let wild = field.split_once('.').map(|(head, _)| format!("{head}.*"));
        let found = fields.get(field).or_else(|| wild.and_then(|w| fields.get(w.as_str())));
        found.copied().unwrap_or(Change::Replace)
    }
}

/// How a field can change, from the gentlest to the harshest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// The object goes on working.
    InPlace,
    /// The same machine gets a new system; its volumes stay.
    Rebuild,
    /// A new object takes its place.
    Replace,
}

/// Something that only some hosts can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Feature {
    /// Installing packages.
    Packages,
    /// Adding users.
    Users,
    /// Running systemd services.
    Services,
    /// Changing kernel settings.
    Sysctl,
    /// Giving files to other owners.
    Owners,
    /// Volumes whose size is enforced.
    EnforcedSize,
    /// Mounting volumes: the provider does it. Elsewhere volumes are attached as block devices, and the host mounts them.
    Mounts,
    /// Networks.
    Networks,
    /// Networks that exist already.
    ExistingNetworks,
    /// Rules of networks, name servers, DHCP on and off.
    Rules,
    /// Routers to external networks.
    Routers,
    /// Addresses that the inventory chooses.
    FixedAddresses,
    /// Public addresses.
    PublicAddresses,
    /// Keeping hosts of a pool on different physical machines.
    Apart,
    /// Hosts that boot from a volume of a tier.
    RootDisks,
    /// Host keys that are read from the console.
    ConsoleKeys,
    /// Turning hosts off and on, and restarting them.
    Power,
    /// Snapshots of volumes, and volumes made from them and from other volumes.
    Snapshots,
    /// Backups of volumes, and volumes made from them.
    Backups,
    /// Taking over machines that exist.
    Adopting,
}

impl Feature {
    /// What a provider needs for copies of a kind; none: the kind is no copy.
    pub fn of_copies(kind: Kind) -> Option<Feature> {
        match kind {
            Kind::Snapshot => Some(Feature::Snapshots),
            Kind::Backup => Some(Feature::Backups),
            _ => None,
        }
    }

    /// What a message calls it.
    pub fn describe(self) -> &'static str {
        match self {
            Feature::Packages => "packages",
            Feature::Users => "further users",
            Feature::Services => "services",
            Feature::Sysctl => "kernel settings",
            Feature::Owners => "files of other owners",
            Feature::EnforcedSize => "volumes with an enforced size",
            Feature::Mounts => "mounting volumes",
            Feature::Networks => "networks",
            Feature::ExistingNetworks => "networks that exist",
            Feature::Rules => "rules of networks",
            Feature::Routers => "routers",
            Feature::FixedAddresses => "chosen addresses",
            Feature::PublicAddresses => "public addresses",
            Feature::Apart => "keeping hosts apart",
            Feature::RootDisks => "booting from a volume",
            Feature::ConsoleKeys => "host keys from the console",
            Feature::Power => "turning hosts off and on",
            Feature::Snapshots => "snapshots",
            Feature::Backups => "backups",
            Feature::Adopting => "taking over machines",
        }
    }
}

/// The world as it was seen: per provider what it has, and how fresh that is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Objects by provider; a provider that is missing was not asked or did not answer.
    pub providers: BTreeMap<Name, Vec<crate::object::Observed>>,
    /// What probing over SSH found, by host name; a host that is missing was not probed.
    pub hosts: BTreeMap<Text, HostSeen>,
    /// What clusters say of themselves; one that is missing was not asked.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub clusters: BTreeMap<Name, ClusterSeen>,
}

/// What a cluster says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClusterSeen {
    /// Its members, by name.
    Members(BTreeMap<Text, MemberSeen>),
    /// None of its control planes answered; why.
    Silent(Text),
}

/// A member as its cluster sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberSeen {
    /// Whether it is ready for work; otherwise in the cluster's words why not.
    pub trouble: Option<Text>,
    /// Whether it controls the cluster.
    pub control: bool,
    /// The version that it runs.
    pub version: Text,
    /// Whether nothing new is put on it.
    pub cordoned: bool,
    /// When the first of its certificates ends, in seconds since 1970; none: not told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<i64>,
}

/// What probing a host over SSH found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HostSeen {
    /// Everything is as it was left.
    Clean,
    /// These things of its bootstrap are missing or differ.
    Drifted(Vec<Drift>),
    /// It did not answer; why.
    Unreachable(Text),
}

/// One thing on a host that is not as declared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drift {
    /// What: `file /etc/motd`, `package chrony`.
    pub item: Text,
    /// How it differs, for people: a bounded unified diff for files.
    pub detail: Text,
}
