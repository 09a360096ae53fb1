//! Questions and answers of the operations.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::Duration,
};

use pool_inventory::{
    Address, Lineage, Money, Name, Text, TimeSpan,
    desired::Access,
    market::HostSeen,
    object::{Recorded, Status},
};
pub use pool_planner::input::OnFailure;
use pool_planner::{Plan, Scope};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::history::StepHistory;
use crate::event::Event;

/// Which environment to open.
#[derive(Debug, Clone, Default)]
pub struct OpenRequest {
    /// `-C DIR`; none: the working folder.
    pub dir: Option<PathBuf>,
    /// `--env`; none: the only one, or `default`.
    pub environment: Option<Text>,
    /// This program, which `local` machines are run by.
    pub program: PathBuf,
    /// Longest wait for another run's lease.
    pub lock_timeout: Duration,
    /// Most steps at a time; none: 64.
    pub parallelism: Option<usize>,
    /// `--limit PROVIDER=N`: most calls at a time per provider.
    pub limits: BTreeMap<Name, usize>,
    /// `--timeout`: longest time for a whole run; none: no limit.
    pub timeout: Option<Duration>,
}

/// How much of the world a plan looks at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Observe {
    /// Providers, and hosts over SSH.
    #[default]
    Hosts,
    /// Providers only.
    Providers,
}

/// What to plan.
#[derive(Debug, Clone, Default)]
pub struct PlanRequest {
    /// Whole, a part, destroy, refresh.
    pub scope: Scope,
    /// How much to look at.
    pub observe: Observe,
}

/// A plan with its envelope; what `-o FILE` writes and `apply FILE` reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedPlan {
    /// Version of the envelope.
    pub envelope: u32,
    /// One-use id.
    pub id: Text,
    /// When it was made, seconds since 1970.
    pub created: i64,
    /// Until when it may be applied, seconds since 1970.
    pub expires: i64,
    /// Digest of the plan's bytes.
    pub hash: Text,
    /// What it was made from.
    pub basis: Basis,
    /// The plan.
    pub plan: Plan,
}

/// What a plan was made from; for people and for the audit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Basis {
    /// Serial of the state.
    pub serial: u64,
    /// Pools that are declared.
    pub pools: usize,
    /// Hosts that are declared.
    pub hosts: usize,
    /// List calls that observing took.
    pub list_calls: u64,
    /// Time that observing took.
    pub observe_ms: u64,
    /// Hosts that were probed over SSH.
    pub probed: usize,
    /// Hosts that did not answer, with the reason.
    pub unreachable: BTreeMap<Text, Text>,
    /// Providers that did not answer, with the reason.
    pub unseen: BTreeMap<Name, Text>,
    /// Inventory and template files, with digests.
    pub sources: BTreeMap<Text, Text>,
}

/// What to apply.
#[derive(Debug, Clone)]
pub struct ApplyRequest {
    /// The plan, as saved.
    pub plan: SavedPlan,
    /// Apply although some of it could not be planned.
    pub partial: bool,
    /// What a failed step means for the others; none: what the plan was made with.
    pub on_failure: Option<OnFailure>,
    /// The command line, for the history.
    pub command: Text,
}

/// How the operator stops a run: once, twice.
#[derive(Debug, Clone, Default)]
pub struct Interrupts {
    /// Start nothing new, finish what runs.
    pub soft: CancellationToken,
    /// Cancel what runs.
    pub hard: CancellationToken,
}

/// Where events go. Bounded: a reader that stalls holds up the run, not the memory.
pub type Events = tokio::sync::mpsc::Sender<Event>;

/// The pool at a glance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusReport {
    /// Name of the inventory.
    pub inventory: Name,
    /// Environment.
    pub environment: Name,
    /// Lineage of the state; none: nothing was ever applied.
    pub lineage: Option<Lineage>,
    /// Serial of the state.
    pub serial: u64,
    /// One entry per declared or recorded pool.
    pub pools: BTreeMap<Name, PoolStatus>,
    /// Hosts, in natural order.
    pub hosts: Vec<HostStatus>,
    /// Volumes, in natural order.
    pub volumes: Vec<VolumeStatus>,
    /// Snapshots and backups, in natural order.
    pub copies: Vec<VolumeStatus>,
    /// Who holds the lease, if anyone does.
    pub lease: Option<LeaseStatus>,
    /// The last run.
    pub last_run: Option<RunStatus>,
    /// Runs that were begun and never ended.
    pub unfinished: Vec<Text>,
    /// Providers that did not answer, with the reason.
    pub unseen: BTreeMap<Name, Text>,
}

/// One pool.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolStatus {
    /// Hosts declared.
    pub desired: usize,
    /// Hosts that it must have, where it takes fewer than it wants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub least: Option<usize>,
    /// Its service class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<Name>,
    /// Hosts recorded.
    pub recorded: usize,
    /// Hosts running and bootstrapped.
    pub ready: usize,
    /// Price per hour.
    pub cost: Money,
}

/// One host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostStatus {
    /// Its row.
    pub record: Recorded,
    /// What the provider reports; none: gone, or the provider was not asked.
    pub status: Option<Status>,
    /// Whether everything that its pool asks for was done on it.
    pub bootstrapped: bool,
    /// What probing found, where it was probed.
    pub seen: Option<HostSeen>,
}

/// One volume, snapshot or backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeStatus {
    /// Its row.
    pub record: Recorded,
    /// What the provider reports.
    pub status: Option<Status>,
}

/// Who holds the lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseStatus {
    /// Id, for `pool unlock`.
    pub id: Text,
    /// Who: user, host and process.
    pub holder: Text,
    /// What for.
    pub reason: Text,
    /// Since when, seconds since 1970.
    pub since: i64,
    /// Until when unless renewed, seconds since 1970.
    pub expires: i64,
    /// Whether its holder's process is there; one that is stopped is.
    pub alive: bool,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunStatus {
    /// Its id.
    pub id: Text,
    /// The command line.
    pub command: Text,
    /// Who ran it: user, host and process.
    pub holder: Text,
    /// The plan.
    pub plan: Option<Text>,
    /// What must be remembered of it: brakes that were lifted, and the reason.
    pub audit: Option<Text>,
    /// Seconds since 1970.
    pub started: i64,
    /// Seconds since 1970; none: it never ended.
    pub ended: Option<i64>,
    /// Exit code; none: it never ended.
    pub exit_code: Option<i32>,
    /// What came of it; none: it never ended.
    pub outcome: Option<Text>,
}

/// One run, step by step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunReport {
    /// The run.
    pub run: RunStatus,
    /// Its steps, in the order in which they came up.
    pub steps: Vec<StepHistory>,
    /// Every entry of its journal.
    pub journal: Vec<JournalLine>,
}

/// One entry of a run's journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalLine {
    /// Rises through all runs.
    pub seq: u64,
    /// Milliseconds since 1970.
    pub at_ms: i64,
    /// The step that it belongs to.
    pub step: Option<u32>,
    /// What it is about.
    pub address: Option<Address>,
    /// `started`, `succeeded`, `failed`, …
    pub kind: Text,
    /// For people.
    pub text: Text,
}

/// One line of `pool check`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckLine {
    /// Where; none: it is about no provider alone.
    pub provider: Option<Name>,
    /// What was checked: `credentials`, `quota hosts`, `host/m1`, …
    pub subject: Text,
    /// The answer.
    pub answer: CheckAnswer,
    /// Details, for people.
    pub detail: Text,
    /// What to do about it, for people; none: nothing.
    pub todo: Option<Text>,
    /// How old that is; none: nothing was asked.
    pub age: Option<TimeSpan>,
}

/// The answer of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckAnswer {
    /// As it should be.
    Pass,
    /// Not as it should be.
    Fail,
    /// Could not be found out.
    Unknown,
}

/// How to reach a host: everything that `pool ssh` and `pool exec` need.
#[derive(Debug, Clone)]
pub struct Reach {
    /// The host.
    pub address: Address,
    /// Labels of its pool, and `pool`, `tenant`.
    pub labels: BTreeMap<Text, Text>,
    /// Its row, with where it answers and its pinned keys.
    pub record: Recorded,
    /// How to log in; none: as the key that `pool` made, to the user that the provider set up.
    pub access: Option<Access>,
}

/// A filter of hosts: `team=checkout,pool=web`, `tenant=retail`, `host/web-*`; all parts must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selector {
    /// Labels that must have these values.
    pub labels: BTreeMap<Text, Text>,
    /// Patterns of addresses, any of which must fit.
    pub patterns: BTreeSet<Text>,
}
