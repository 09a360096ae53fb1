//! What a plan is made from.

use std::collections::{BTreeMap, BTreeSet};

use pool_inventory::{
    Address, Lineage, Name, Text,
    desired::{Access, Desired},
    market::{Capabilities, Market, Seen},
    object::Recorded,
};
use serde::{Deserialize, Serialize};

/// Everything that a plan depends on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PlanInput {
    /// What is declared.
    pub desired: Desired,
    /// What the state records, sorted by (address, generation).
    pub recorded: Vec<Recorded>,
    /// What was observed.
    pub seen: Seen,
    /// Offerings, quotas, backends, by provider. Declared backends stand in each market whose provider can use them.
    pub markets: BTreeMap<Name, Market>,
    /// What providers can do.
    pub capabilities: BTreeMap<Name, Capabilities>,
    /// Stock-outs remembered from earlier runs: `PROVIDER/ZONE/OFFERING` → seconds since 1970 of the last one.
    pub stock_outs: BTreeMap<Text, i64>,
    /// The state's lineage.
    pub lineage: Lineage,
    /// Public key that `pool` logs in with, per pool; part of what a host is created with.
    pub public_keys: BTreeMap<Name, Text>,
    /// What was asked for.
    pub scope: Scope,
    /// Seconds since 1970.
    pub now: i64,
    /// Breaks ties that nothing else breaks.
    pub seed: u64,
}

/// What the user asked for beyond "make it so".
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    /// Destroy everything that is not protected.
    pub destroy: bool,
    /// Only bring the records up to date with what was observed.
    pub refresh_only: bool,
    /// Only these, and what they need; empty: all.
    pub targets: BTreeSet<Address>,
    /// Not these, nor what needs them.
    pub excludes: BTreeSet<Address>,
    /// Replace these although nothing differs.
    pub replace: BTreeSet<Address>,
    /// Brakes lifted for this plan, with the reason that goes to the audit.
    pub overrides: BTreeMap<Brake, Text>,
    /// Propose moves that save money or empty machines, besides what is to be done anyway.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optimize: bool,
    /// What a failed step means for the others. A plan that was made to be undone carries its undo.
    #[serde(default, skip_serializing_if = "OnFailure::is_usual")]
    pub on_failure: OnFailure,
    /// Do these and nothing else: what a user asks for by name, beside what is declared.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errands: Vec<Errand>,
}

/// What a failed step means for the others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// Nothing new is started.
    Stop,
    /// What does not need the failed step goes on.
    #[default]
    Continue,
    /// Nothing new is started, and what the run made is taken back.
    Undo,
}

impl OnFailure {
    /// Whether it is what nobody has to ask for.
    pub fn is_usual(&self) -> bool {
        *self == OnFailure::Continue
    }

    /// As users write it.
    pub fn as_str(self) -> &'static str {
        match self {
            OnFailure::Stop => "stop",
            OnFailure::Continue => "continue",
            OnFailure::Undo => "undo",
        }
    }
}

/// Something that a user asks for by name, and that no declaration says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Errand {
    /// Take a snapshot or backup of a volume. Its address says of which.
    Copy {
        /// `snapshot/HOST.VOLUME.NAME` or `backup/HOST.VOLUME.NAME`.
        to: Address,
    },
    /// Give a volume the content of a snapshot or backup of it; what it holds now is lost.
    Restore {
        /// The snapshot or backup.
        from: Address,
    },
    /// Delete a snapshot or backup.
    Delete {
        /// Which.
        copy: Address,
    },
    /// Turn a host on or off.
    Power {
        /// Which.
        host: Address,
        /// On or off.
        on: bool,
    },
    /// Restart a host; one that is off is turned on.
    Restart {
        /// Which.
        host: Address,
    },
    /// Do something about a member of a cluster.
    Member {
        /// Which host.
        host: Address,
        /// What.
        care: Care,
    },
    /// Do something about a cluster.
    Cluster {
        /// `cluster/NAME`.
        cluster: Address,
        /// What.
        care: ClusterCare,
    },
}

/// What is done about a member of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Care {
    /// Nothing new is put on it, and what runs on it goes elsewhere.
    Drain,
    /// Nothing new is put on it.
    Cordon,
    /// New things may be put on it again.
    Uncordon,
}

/// What is done about a cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClusterCare {
    /// A snapshot of what it holds.
    Snapshot,
    /// New certificates.
    Renew,
    /// Back to a snapshot; what it has learnt since is lost.
    Restore {
        /// The control plane that has it.
        host: Address,
        /// Absolute path of the snapshot there.
        file: Text,
    },
}

impl Errand {
    /// What it is about, as the user named it.
    pub fn address(&self) -> &Address {
        match self {
            Errand::Copy { to } => to,
            Errand::Restore { from } => from,
            Errand::Delete { copy } => copy,
            Errand::Power { host, .. } | Errand::Restart { host } | Errand::Member { host, .. } => host,
            Errand::Cluster { cluster, .. } => cluster,
        }
    }
}

/// A brake of the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Brake {
    /// `policy.max_replaced`
    MaxReplaced,
    /// `policy.max_destroyed`
    MaxDestroyed,
}

impl Brake {
    /// As users write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Brake::MaxReplaced => "max_replaced",
            Brake::MaxDestroyed => "max_destroyed",
        }
    }
}

/// The way to log in to a host: the nearest of host, pool and provider wins.
pub fn access<'a>(desired: &'a Desired, pool: &str, host: &str, provider: &str) -> Option<&'a Access> {
    use pool_inventory::desired::Hosts;
    let spec = desired.pools.get(pool)?;
    let named = match &spec.hosts {
        Hosts::Named(hosts) => hosts.get(host).and_then(|h| h.ssh.as_ref()),
        Hosts::Count(_) | Hosts::Range { .. } => None,
    };
    named.or(spec.ssh.as_ref()).or_else(|| desired.providers.get(provider)?.ssh.as_ref())
}
