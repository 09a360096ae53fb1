//! A plan is data: what will be done, in which order, and why; and what was left undone, and why.

use std::collections::BTreeMap;

use pool_inventory::{
    Address, Bytes, Lineage, Money, Name, Percent, Text,
    desired::{Access, ArtifactSpec, BackendSpec, BootstrapSpec, ClusterSpec, ProviderSpec, Role, Scalar},
    market::{Drift, Feature},
    object::{FieldChange, HostSpec, KnownHost, Recorded, Spec},
};
use serde::{Deserialize, Serialize};

use crate::input::{Brake, Scope};

/// Version of the serialised form; a plan of another version is refused.
pub const PLAN_VERSION: u32 = 2;

/// What will be done. Equal inputs give plans with equal bytes ([`Plan::to_bytes`]).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// [`PLAN_VERSION`]
    pub version: u32,
    /// Name of the inventory.
    pub inventory: Name,
    /// Environment.
    pub environment: Name,
    /// The state that it was made from.
    pub lineage: Lineage,
    /// Serial of each recorded object that it depends on, of its highest generation; 0: it must not be recorded.
    pub reads: BTreeMap<Address, u64>,
    /// What was asked for.
    pub scope: Scope,
    /// Steps; `steps[i].id` is `i`, and a step needs only steps before it.
    pub steps: Vec<Step>,
    /// What is done when a step fails, where an undo was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<Undo>,
    /// Placement of groups of like hosts.
    pub groups: Vec<Group>,
    /// What was not done, and why.
    pub declined: Vec<Declined>,
    /// What each pool's hosts get, for the pools that have bootstrap steps.
    pub bootstraps: BTreeMap<Name, PoolBootstrap>,
    /// The clusters that the steps are about.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub clusters: BTreeMap<Name, PlanCluster>,
    /// The artifacts that those hosts get.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub artifacts: BTreeMap<Name, ArtifactSpec>,
    /// The providers that the steps act on.
    pub providers: BTreeMap<Name, ProviderSpec>,
    /// The declared backends that the steps use.
    pub backends: BTreeMap<Name, BackendSpec>,
    /// What the run adds to each account, reserved when the plan is marked used.
    pub demand: Vec<Demand>,
    /// What the hosts and volumes cost per hour before and after.
    pub cost: CostChange,
    /// Objects left as they are.
    pub unchanged: usize,
    /// What `--optimize` proposes; none: nobody asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposal: Option<Box<Proposal>>,
}

/// What `plan --optimize` proposes: steps with [`Reason::Optimized`], summed up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// Saved per hour, by hosts that cost less and machines that are emptied.
    pub saved: Money,
    /// Hosts that go to another machine while they run.
    pub moved: usize,
    /// Hosts that are replaced elsewhere.
    pub replaced: usize,
    /// Hosts that would cost less elsewhere and stay because the brake `max_replaced` is used up.
    pub braked: usize,
    /// Hosts that are younger than `policy.min_residence` and were left out.
    pub young: usize,
    /// Machines that stand empty afterwards.
    pub emptied: Vec<Emptied>,
    /// How full the machines in use are, by zone.
    pub filled: Vec<Filled>,
}

/// A machine that stands empty afterwards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Emptied {
    /// Where.
    pub provider: Name,
    /// The provider's name of it.
    pub machine: Text,
    /// What it costs per hour while a host stands on it.
    pub saved: Money,
}

/// How full the machines in use of a zone are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filled {
    /// Where.
    pub provider: Name,
    /// Zone.
    pub zone: Text,
    /// The scarcer resource: `vcpus`, `memory` or `disk`.
    pub resource: Text,
    /// Machines in use now.
    pub machines_before: usize,
    /// Machines in use afterwards.
    pub machines_after: usize,
    /// The share of it that is used on them now.
    pub share_before: Percent,
    /// The share of it that is used on them afterwards.
    pub share_after: Percent,
}

/// What a run takes back when one of its steps fails: what it made and was not there before, in reverse order of needs.
/// Steps about something that was not made after all do nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undo {
    /// Detachings and deletions. Their ids go on after those of [`Plan::steps`], and they need only one another.
    pub steps: Vec<Step>,
    /// What the run touches and the undo does not, by address.
    pub stays: Vec<Stays>,
}

/// Something that is not taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stays {
    /// What it is about.
    pub address: Address,
    /// Why.
    pub stay: Stay,
}

/// Why something is not taken back.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stay {
    /// What is deleted does not come back.
    Deleted,
    /// It takes the place of one that goes, which does not come back.
    Replaced,
    /// It was there before and is changed.
    Changed,
    /// It is protected.
    Protected,
    /// Only records change, or it is taken over.
    Recorded,
    /// Something that stays needs it.
    NeededBy {
        /// What.
        address: Address,
    },
}

/// Index of a step in [`Plan::steps`], or beyond them in [`Undo::steps`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepId(pub u32);

/// Index of a group in [`Plan::groups`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GroupId(pub u32);

/// One thing that the engine does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Its index.
    pub id: StepId,
    /// What it acts on.
    pub address: Address,
    /// Which generation of it.
    pub generation: u32,
    /// Where.
    pub provider: Name,
    /// What it does.
    pub action: Action,
    /// Why.
    pub reason: Reason,
    /// Steps that must have succeeded before.
    pub needs: Vec<StepId>,
}

impl Step {
    /// One word for messages and JSON: that of its action, or `take-back` where an undo deletes.
    pub fn verb(&self) -> &'static str {
        match (&self.action, &self.reason) {
            (Action::Delete, Reason::TakenBack) => "take-back",
            (action, _) => action.verb(),
        }
    }
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Make it. A host's alternatives stand in its group.
    Create {
        /// What to make.
        spec: Spec,
        /// Its row in the state, before the creation.
        record: Box<NewRecord>,
        /// Its placement; volumes and networks have none.
        group: Option<GroupId>,
    },
    /// Record a host or network that exists.
    Adopt {
        /// What it is.
        spec: Spec,
        /// Its row in the state.
        record: Box<NewRecord>,
    },
    /// Change it where it stands.
    Update {
        /// What was applied last.
        from: Spec,
        /// What shall be.
        to: Spec,
    },
    /// Give a host a new system; its volumes stay.
    Rebuild {
        /// What was applied last.
        from: Spec,
        /// What shall be.
        to: Spec,
    },
    /// Attach a volume, and mount it where it says.
    Attach {
        /// The volume's spec, attached.
        to: Spec,
    },
    /// Unmount and detach a volume.
    Detach {
        /// The volume's spec, detached.
        to: Spec,
    },
    /// Turn a stopped host on.
    PowerOn,
    /// Turn a host off.
    PowerOff,
    /// Restart a host that is on.
    Restart,
    /// Give a detached volume the content of a snapshot or backup of it.
    Restore {
        /// The snapshot or backup.
        from: Address,
    },
    /// Delete it.
    Delete,
    /// Let go of what was adopted: only the record goes.
    Release,
    /// Drop the record of something that is gone.
    Forget,
    /// Change the record only: what was observed, a rename, a policy that no cloud knows of.
    Record {
        /// The row as it shall be; its serial is ignored.
        to: Box<Recorded>,
    },
    /// Do nothing but wait for its `needs`: the hosts that the templates of a pool mention. One such step stands
    /// between n new hosts and m bootstraps, so that a plan has n + m edges and not n × m. Its address is the pool's.
    Gather,
    /// Change a host's membership of a cluster, or the cluster through one of its control planes.
    Member {
        /// What is done.
        task: Task,
    },
    /// Do on a host what its pool asks for.
    Bootstrap {
        /// Digest that will be recorded when it is done; none: values of it are known only after other steps.
        digest: Option<Text>,
    },
}

/// What a row of the state holds from the moment on when its creation begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewRecord {
    /// Whose it is.
    pub tenant: Name,
    /// The pool that it comes from.
    pub pool: Option<Name>,
    /// Whether it is never destroyed.
    pub protected: bool,
    /// What must outlive it.
    pub needs: Vec<Address>,
    /// Price per hour.
    pub price: Money,
}

/// What is done about a member of a cluster. The step's address is the member's, or the cluster's with the host that it is
/// done through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// Begin the cluster at this host.
    Init,
    /// Join it, or put it in order.
    Join {
        /// What it is to be.
        role: Role,
    },
    /// What runs on it goes elsewhere.
    Drain,
    /// Nothing new is put on it.
    Cordon,
    /// New things may be put on it again.
    Uncordon,
    /// It leaves.
    Leave {
        /// Whether what is on the host is cleared away.
        reset: Reset,
        /// Whether the cluster stays, and has to forget it.
        forget: bool,
    },
    /// Its labels and taints.
    Settle,
    /// It gets the cluster's version: its parts, then, while it is drained, what runs them.
    Upgrade {
        /// Whether it is the first of the control planes.
        first: bool,
    },
    /// It goes back to the cluster's version, while it is drained.
    Rollback,
    /// A worker of a swarm becomes a manager, or the other way round.
    Turn {
        /// What it becomes.
        role: Role,
    },
    /// It gets new certificates.
    Renew,
    /// What the cluster as a whole shall hold: its pod network.
    Configure {
        /// The control plane that it is done through.
        host: Address,
    },
    /// The cluster goes back to a snapshot; its other control planes have left.
    Restore {
        /// The control plane that has it.
        host: Address,
        /// Absolute path of the snapshot there.
        file: Text,
    },
    /// A snapshot of what the cluster holds.
    Snapshot {
        /// The control plane that it is taken of.
        host: Address,
    },
}

/// Whether a host that leaves a cluster is cleared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reset {
    /// No: the machine goes.
    No,
    /// Yes, unless it does not answer: nobody will look after it any more.
    Try,
    /// Yes.
    Must,
}

impl Task {
    /// One word for messages and JSON.
    pub fn verb(&self) -> &'static str {
        match self {
            Task::Init => "init",
            Task::Join { .. } => "join",
            Task::Drain => "drain",
            Task::Cordon => "cordon",
            Task::Uncordon => "uncordon",
            Task::Leave { .. } => "leave",
            Task::Settle => "settle",
            Task::Upgrade { .. } => "upgrade",
            Task::Rollback => "rollback",
            Task::Turn { role: Role::ControlPlane } => "promote",
            Task::Turn { role: Role::Worker } => "demote",
            Task::Renew => "renew",
            Task::Configure { .. } => "configure",
            Task::Restore { .. } => "restore",
            Task::Snapshot { .. } => "snapshot",
        }
    }

    /// Whether it changes a control plane, or may: such steps of a cluster come one after the other.
    pub fn shakes(&self, role: Role) -> bool {
        let changes = matches!(
            self,
            Task::Init | Task::Join { .. } | Task::Leave { .. } | Task::Upgrade { .. } | Task::Rollback | Task::Renew
        );
        changes && role == Role::ControlPlane || matches!(self, Task::Turn { .. })
    }
}

impl Action {
    /// One word for messages and JSON.
    pub fn verb(&self) -> &'static str {
        match self {
            Action::Create { .. } => "create",
            Action::Adopt { .. } => "adopt",
            Action::Update { .. } => "update",
            Action::Rebuild { .. } => "rebuild",
            Action::Attach { .. } => "attach",
            Action::Detach { .. } => "detach",
            Action::PowerOn => "power-on",
            Action::PowerOff => "power-off",
            Action::Restart => "restart",
            Action::Restore { .. } => "restore",
            Action::Delete => "delete",
            Action::Release => "release",
            Action::Forget => "forget",
            Action::Record { .. } => "record",
            Action::Gather => "gather",
            Action::Bootstrap { .. } => "bootstrap",
            Action::Member { task } => task.verb(),
        }
    }
}

/// Why a step is in the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It is declared and was never made.
    NotPresent,
    /// It was made and is gone from the provider.
    Vanished,
    /// What is declared differs from what was applied.
    SpecChanged {
        /// The fields, sorted by name.
        fields: Vec<FieldChange>,
    },
    /// What is observed differs from what was applied.
    Drifted {
        /// The fields, sorted by name.
        fields: Vec<FieldChange>,
    },
    /// Things on the host differ from what was applied.
    HostDrifted {
        /// The things.
        items: Vec<Drift>,
    },
    /// The provider reports it broken, or it is off and should be on.
    Unhealthy {
        /// The provider's words.
        detail: Text,
    },
    /// Its creation or bootstrap was begun and never seen to end.
    Unfinished,
    /// It left the inventory.
    Removed,
    /// The user asked for it: `--replace`, `destroy`, an errand.
    Requested,
    /// A declared `moved:`.
    Moved {
        /// The address before.
        from: Address,
    },
    /// `--optimize` proposes it.
    Optimized {
        /// The machine that it leaves, and that stands empty then; none: the host costs less where it goes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        empties: Option<Text>,
        /// What is saved per hour: the price of that machine, or what the host costs less.
        saved: Money,
    },
    /// Another step makes it necessary.
    FollowsFrom {
        /// The object of that step.
        address: Address,
    },
    /// A step of the run that made it failed.
    TakenBack,
    /// Its certificates end soon.
    Expires {
        /// When, in seconds since 1970.
        at: i64,
    },
    /// There is not enough for all, and its pool has more hosts than it must have.
    GivesWay {
        /// The pool of a higher priority that gets its room; none: its tenant has more than a quota allows.
        to: Option<Name>,
        /// What there is not enough of, for people: `quota cost: 130.00/month of 100.00/month`.
        limit: Text,
    },
}

/// Something that the planner did not do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Declined {
    /// What it is about.
    pub address: Address,
    /// Why not.
    pub why: Why,
}

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// It stays because a brake is used up.
    Brake {
        /// Which.
        brake: Brake,
        /// The share that the policy declares.
        share: Percent,
        /// How many hosts of this pool that is.
        allowed: usize,
        /// Of how many.
        of: usize,
    },
    /// It stays because it is protected; the word says by what: `pool`, `volume`, `environment`.
    Protected {
        /// What protects it.
        by: Text,
    },
    /// A volume that left the inventory stays: `on_remove: keep`.
    Kept,
    /// It cannot be placed; every candidate was refused. Makes `plan` exit with 5.
    NoPlace {
        /// Its group, with the refusals.
        group: GroupId,
    },
    /// A pool that takes as many hosts as there is room for has fewer than it wants. Those that it must have, and that
    /// cannot be made, are declined one by one. Its address is the pool's.
    Fewer {
        /// How many it wants.
        wanted: u32,
        /// How many it has when the plan is done.
        gets: u32,
        /// How many it must have.
        least: u32,
        /// Its service class.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        class: Option<Name>,
        /// What there is not enough of, for people.
        limit: Text,
        /// Pools of a higher priority that come first.
        to: Vec<Name>,
        /// Why each place was refused.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        group: Option<GroupId>,
    },
    /// A tenant's quota is used up. Makes `plan` exit with 5.
    Quota {
        /// Whose.
        tenant: Name,
        /// Which limit: `hosts`, `vcpus`, `memory`, `storage.TIER`, `cost`.
        limit: Text,
        /// The limit, as shown.
        allowed: Text,
        /// What would be used, as shown.
        wanted: Text,
    },
    /// A volume cannot be served. Makes `plan` exit with 5.
    NoBackend {
        /// Every backend of its tier and why it was refused.
        refusals: Vec<Refusal>,
    },
    /// What it needs is not done either.
    NeedsDeclined {
        /// The object that it needs.
        address: Address,
    },
    /// The host cannot be asked for what its pool wants. Makes `plan` exit with 5.
    Lacks {
        /// What is missing.
        features: Vec<Feature>,
        /// Where.
        provider: Name,
    },
    /// Outside `--target`, or inside `--exclude`.
    OutOfScope,
    /// A volume cannot shrink. Makes `plan` exit with 5.
    Shrink {
        /// Size now.
        from: Bytes,
        /// Size wanted.
        to: Bytes,
    },
    /// A volume would have to move to another backend, or be made anew and lose its data. Makes `plan` exit with 5.
    CannotMove {
        /// The fields that cannot change where it stands.
        fields: Vec<FieldChange>,
    },
    /// The provider reports it broken, and replacing it would lose data. Makes `plan` exit with 5.
    Broken {
        /// The provider's words.
        detail: Text,
    },
    /// A declared `moved:` names a source that is not recorded.
    NothingToMove {
        /// The address before.
        from: Address,
    },
    /// A network that is to be used as it is cannot be told. Makes `plan` exit with 5.
    NoNetwork {
        /// Its name or id.
        network: Text,
        /// Where.
        provider: Name,
        /// How many networks are called so there; not one.
        found: usize,
    },
    /// What exists cannot be taken over. Makes `plan` exit with 5.
    CannotAdopt {
        /// The provider's id of it.
        id: Text,
        /// Why not, for people: `there is no machine with this id at private`.
        detail: Text,
    },
    /// The host did not answer, so nothing is known of what is on it.
    Unreachable {
        /// Why.
        detail: Text,
    },
    /// The provider was not reached, so nothing of it is changed.
    ProviderUnseen,
    /// A volume stays because it has snapshots, which no cloud lets it go without.
    HasSnapshots {
        /// Those that stay.
        snapshots: Vec<Address>,
    },
    /// What an errand names is not recorded, was never finished, or is gone from its provider.
    NotThere,
    /// A snapshot or backup of this name exists.
    Exists,
    /// The volume that a snapshot or backup is of is not there to be restored.
    NoVolume {
        /// The volume.
        volume: Address,
    },
    /// What a new volume shall be made from is not there.
    NoSource {
        /// The volume, snapshot or backup.
        from: Address,
    },
    /// A cluster would lose its control, or the majority of its control planes.
    Quorum {
        /// Which.
        cluster: Name,
        /// Why, for people.
        detail: Text,
    },
    /// A cluster cannot go to this version. Makes `plan` exit with 5.
    Version {
        /// What runs.
        from: Text,
        /// What is declared.
        to: Text,
        /// Why not, for people.
        detail: Text,
    },
    /// Its provider's account has no room for it.
    NoRoom {
        /// Where.
        provider: Name,
        /// Which limit, and how far: `quota snapshots: 11 of 10`.
        limit: Text,
    },
}

impl Why {
    /// Whether it makes the plan incomplete: `plan` exits with 5, `apply` needs `--partial`.
    pub fn blocks(&self) -> bool {
        matches!(
            self,
            Why::NoPlace { .. }
                | Why::Quota { .. }
                | Why::NoBackend { .. }
                | Why::Lacks { .. }
                | Why::Shrink { .. }
                | Why::CannotMove { .. }
                | Why::Broken { .. }
                | Why::NoNetwork { .. }
                | Why::NotThere
                | Why::Exists
                | Why::NoVolume { .. }
                | Why::NoSource { .. }
                | Why::NoRoom { .. }
                | Why::CannotAdopt { .. }
                | Why::Version { .. }
        )
    }
}

/// Placement of a group of hosts with identical wishes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Its pool. A pool whose hosts cannot leave their zone, or are put at several providers, has a group per zone or
    /// provider, so that each alternative of a group will do for each of its hosts.
    pub pool: Name,
    /// Hosts of it.
    pub hosts: Vec<Text>,
    /// Candidates that fit, best first, at most [`MAX_CANDIDATES`]; those that were taken always stand here.
    pub candidates: Vec<Candidate>,
    /// Candidates that do not fit; they stand in the first group of a pool, and in each group that got no place.
    pub refusals: Vec<Refusal>,
    /// Where its hosts go on a definitive stock-out, in this order, at most [`MAX_ALTERNATIVES`]: first in the same
    /// region, then elsewhere at the same provider, then at others.
    pub alternatives: Vec<Alternative>,
}

/// A place that a host goes to where the planned one is sold out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alternative {
    /// Provider.
    pub provider: Name,
    /// The host there. It keeps its own chosen address wherever it is made, so none stands here.
    pub host: HostSpec,
    /// Its price per hour.
    pub price: Money,
    /// Its volumes, all of which are made with it and wait for it. Empty: they are made as planned, and so the zone is
    /// the planned one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub volumes: BTreeMap<Name, Follower>,
}

/// A volume that is made where its host went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Follower {
    /// Backend.
    pub backend: Text,
    /// Price per hour.
    pub price: Money,
}

/// Most candidates that a group lists: enough to see why the first was taken; a cloud has thousands.
pub const MAX_CANDIDATES: usize = 64;

/// Most alternatives that a group carries (law 2).
pub const MAX_ALTERNATIVES: usize = 8;

/// A place that a host may be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// Provider.
    pub provider: Name,
    /// Region.
    pub region: Text,
    /// Zone.
    pub zone: Text,
    /// Machine size.
    pub offering: Text,
    /// Price per hour.
    pub price: Money,
    /// Position in `place.on`; 0 is the most preferred.
    pub rank: u32,
    /// Hosts of the group that were put there.
    pub taken: u32,
}

/// A place or backend that does not fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// `PROVIDER/ZONE/OFFERING`, `PROVIDER`, or the name of a backend.
    pub candidate: Text,
    /// Why, for people: `2 vCPU < 4 vCPU`, `quota hosts 10 of 10 used`, `stock is used up`.
    pub why: Text,
}

/// A cluster that steps are about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanCluster {
    /// What it is to be; none: it goes.
    pub spec: Option<ClusterSpec>,
    /// How to log in to those that are members or become some, by host name.
    pub access: BTreeMap<Text, Access>,
}

/// What bootstrap does on the hosts of a pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolBootstrap {
    /// What is asked for.
    pub spec: BootstrapSpec,
    /// Variables that templates see.
    pub variables: BTreeMap<Text, Scalar>,
    /// Labels of the pool.
    pub labels: BTreeMap<Text, Text>,
    /// Tenant of the pool.
    pub tenant: Name,
    /// Hosts of each pool that templates mention, with the address where it is known already.
    pub hosts: BTreeMap<Name, Vec<KnownHost>>,
    /// Version of the packages of Kubernetes, for members of a cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<Text>,
    /// How to log in, by host name.
    pub access: BTreeMap<Text, Access>,
    /// How to log in to hosts that an alternative put at another provider, by provider.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub elsewhere: BTreeMap<Name, Access>,
}

/// What a run adds to an account.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Demand {
    /// `tenant/NAME/hosts`, `tenant/NAME/storage.TIER`, `backend/NAME`, `provider/NAME/hosts`, …
    pub account: Text,
    /// How much: a count, bytes, or millionths of money per hour.
    pub amount: u64,
    /// The limit of the account, less what others than this state use of it: what the state's own records charge,
    /// and this amount, must stay below it.
    pub limit: u64,
}

/// What hosts and volumes cost per hour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CostChange {
    /// Before the run.
    pub before: Money,
    /// After it.
    pub after: Money,
}

impl Plan {
    /// The one serialised form: compact JSON with sorted maps.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a plan has only string keys and finite numbers")
    }

    /// Whether applying it would do nothing.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Whether something that was asked for could not be planned.
    pub fn is_incomplete(&self) -> bool {
        self.declined.iter().any(|declined| self.blocks(declined))
    }

    /// Whether something that was not done makes the plan incomplete. An errand was asked for by name: not to do it is
    /// never a matter of course.
    pub fn blocks(&self, declined: &Declined) -> bool {
        declined.why.blocks() || !self.scope.errands.is_empty()
    }
}
