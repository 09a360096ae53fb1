//! Settings of the simulated cloud.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Arch, QuotaSpec, Size, is_zero};
use crate::{
    names::{Name, Text},
    units::{Bytes, Money, Percent, TimeSpan},
};

/// Settings of a simulated cloud. All have defaults, so that `{ type: sim }` is enough.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SimSpec {
    /// Drives every random choice.
    pub seed: u64,
    /// Time that each call takes.
    pub latency: TimeSpan,
    /// Time from an accepted creation until the object is ready.
    pub boot: TimeSpan,
    /// Whether latency and boot pass on a virtual clock (at once) or in real time.
    pub clock: SimClock,
    /// Zones of the one region, in order.
    pub zones: Vec<Name>,
    /// Machine sizes for sale; empty: a built-in list (`s1.small`, `s1.medium`, `m1.large`, …).
    pub offerings: BTreeMap<Text, SimOffering>,
    /// `ZONE/OFFERING` → how many machines are left; not listed: no limit.
    pub stock: BTreeMap<Text, u32>,
    /// Account limits; not given: none.
    pub quota: QuotaSpec,
    /// Backend → capacity, over the built-in ones `fast`, `standard`, `archive`.
    pub backends: BTreeMap<Name, Bytes>,
    /// Physical machines by name; a zone that has some puts its hosts on them. Empty: machines cannot be seen.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub machines: BTreeMap<Name, SimMachines>,
    /// How long a new or deleted object may be missing from, or stay in, listings and look-ups.
    pub visibility: TimeSpan,
    /// Calls per second before the cloud answers `RateLimited`; none: no limit.
    pub rate: Option<u32>,
    /// Largest number of objects in one call, and in one page of a list.
    pub page: u32,
    /// How long a client waits before it takes what it asked for as stuck; none: as elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patience: Option<TimeSpan>,
    /// Faults by rule.
    pub faults: Vec<SimFault>,
}

impl Default for SimSpec {
    fn default() -> Self {
        Self {
            seed: 1,
            latency: TimeSpan(0),
            boot: TimeSpan(0),
            clock: SimClock::Virtual,
            zones: ["az1", "az2", "az3"].iter().filter_map(|z| Name::new(z).ok()).collect(),
            offerings: BTreeMap::new(),
            stock: BTreeMap::new(),
            quota: QuotaSpec::default(),
            backends: BTreeMap::new(),
            machines: BTreeMap::new(),
            visibility: TimeSpan(0),
            rate: None,
            page: 500,
            patience: None,
            faults: Vec::new(),
        }
    }
}

/// How simulated time passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SimClock {
    /// Waiting is skipped.
    Virtual,
    /// Waiting takes its time.
    Real,
}

/// A machine size of the simulated cloud.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SimOffering {
    /// Cores.
    pub vcpus: u32,
    /// Memory.
    pub memory: Bytes,
    /// Root disk.
    pub disk: Bytes,
    /// Price per hour.
    pub price: Money,
    /// The tenant whose hosts alone stand on its machines; none: machines are shared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dedicated: Option<Name>,
    /// Its instruction set; none: amd64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arch: Option<Arch>,
    /// Graphics processors.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub gpus: u32,
    /// What else it has, as in `local-disk`.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub features: BTreeSet<Text>,
}

/// A physical machine of the simulated cloud, or several that are alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SimMachines {
    /// How many: they are called `NAME-0`, `NAME-1`, …; none: one, called `NAME`.
    pub count: Option<u32>,
    /// Zone that they stand in.
    pub zone: Name,
    /// Rack that they stand in; none: not told.
    pub rack: Option<Name>,
    /// What each has for hosts.
    pub size: Size,
    /// Price per hour of each, while any host stands on it.
    pub price: Money,
    /// The tenant whose hosts alone stand on them; none: they are shared.
    pub dedicated: Option<Name>,
}

impl SimMachines {
    /// The names of the machines that an entry called `name` stands for.
    pub fn names(&self, name: &Name) -> Vec<Text> {
        match self.count {
            None => vec![name.as_str().into()],
            Some(count) => (0..count).map(|number| format!("{name}-{number}").into()).collect(),
        }
    }
}

/// One rule of failure in the simulated cloud.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SimFault {
    /// The call it applies to.
    pub on: SimCall,
    /// Only calls for this object; none: any.
    pub address: Option<Text>,
    /// Only the `nth` matching call (from 1); none: see `rate`.
    pub nth: Option<u32>,
    /// How many matching calls from the `nth` on; none: that one alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// Share of the matching calls, chosen by the seed; used where `nth` is none.
    pub rate: Percent,
    /// What happens.
    pub error: SimError,
    /// How long: of `slow` what it takes longer, of `rate-limited` what the client is told to wait; none: 1 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<TimeSpan>,
}

/// A call of the simulated cloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SimCall {
    /// Any of the others.
    Any,
    /// Creation.
    Create,
    /// Update, attach, rebuild, power.
    Update,
    /// Deletion.
    Delete,
    /// Listing.
    List,
    /// Look-up by token.
    Find,
    /// Asking how pending work goes on.
    Poll,
}

/// What a fault of the simulated cloud does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SimError {
    /// Nothing happened; may be tried again.
    Transient,
    /// Carried out, but the answer is lost.
    LostReply,
    /// Nothing happened; 429.
    RateLimited,
    /// Nothing happened; no machine left.
    NoCapacity,
    /// Nothing happened; account limit.
    QuotaExceeded,
    /// Accepted; the object ends in an error state.
    Broken,
    /// Accepted; never becomes ready.
    Stuck,
    /// Accepted; takes longer, a deletion too.
    Slow,
    /// The calling process is killed before the call is carried out.
    KillBefore,
    /// The calling process is killed after the call was carried out, before its answer.
    KillAfter,
}
