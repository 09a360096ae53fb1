//! Hand-made plans for the tests of this folder.

use std::collections::BTreeMap;

use pool_engine::ops::{Basis, SavedPlan};
use pool_inventory::{
    Address, Bytes, Lineage, Money, Name, Percent, Text,
    desired::{OnRemove, Provisioning, Size},
    market::Drift,
    object::{Attachment, FieldChange, HostSpec, Spec, VolumeSpec},
};
use pool_planner::{
    Action, Plan, Reason, Scope, Step, StepId,
    input::Brake,
    plan::{Alternative, CostChange, Declined, Follower, Group, GroupId, NewRecord, PLAN_VERSION, Refusal, Why},
};

/// 2026-11-21 10:32:00 UTC
pub const NOW: i64 = 1_795_257_120;

/// A name that is known to be good.
pub fn name(text: &str) -> Name {
    Name::new(text).expect("the test's names are good")
}

/// A host in `private/az2`.
pub fn host() -> HostSpec {
    HostSpec {
        offering: "m1.large".into(),
        region: "".into(),
        zone: "az2".into(),
        size: Size { vcpus: 4, memory: Bytes::gib(8), disk: Bytes::gib(40) },
        image: "debian-12".into(),
        network: None,
        tags: BTreeMap::new(),
        user: "pool".into(),
        authorized_keys: vec!["ssh-ed25519 AAAA".into()],
        at: None,
        ..HostSpec::default()
    }
}

/// Where a host goes if need be, with its volume.
pub fn alternative() -> Alternative {
    let follower = Follower { backend: "spare/gold".into(), price: Money(100) };
    Alternative { provider: name("spare"), host: host(), price: Money(1), volumes: [(name("data"), follower)].into() }
}

/// A volume of `on`.
pub fn volume(on: &str) -> VolumeSpec {
    VolumeSpec {
        tier: name("high"),
        backend: "private/gold".into(),
        zone: "az2".into(),
        size: Bytes::gib(200),
        provisioning: Provisioning::Thin,
        tags: BTreeMap::new(),
        attached: Some(Attachment { host: Address::host(on), mount: Some("/var/lib/data".into()) }),
        on_remove: OnRemove::Keep,
        from: None,
        existing: None,
    }
}

/// A change of one field.
pub fn changed(field: &str, from: &str, to: &str) -> FieldChange {
    FieldChange { field: field.into(), from: from.into(), to: to.into() }
}

/// Monthly prices are seen, hourly ones are recorded.
fn new_record(monthly: i64) -> Box<NewRecord> {
    let price = Money(monthly * 1_000_000 / pool_inventory::units::HOURS_PER_MONTH + 1);
    Box::new(NewRecord { tenant: name("retail"), pool: None, protected: false, needs: Vec::new(), price })
}

/// Gathers steps and gives them their ids.
#[derive(Default)]
pub struct Steps(pub Vec<Step>);

impl Steps {
    /// Adds a step.
    pub fn add(&mut self, address: Address, action: Action, reason: Reason) -> &mut Self {
        let id = StepId(self.0.len() as u32);
        self.0.push(Step { id, address, generation: 1, provider: name("private"), action, reason, needs: Vec::new() });
        self
    }

    /// A new host with its bootstrap.
    pub fn new_host(&mut self, name: &str) -> &mut Self {
        let create = Action::Create { spec: Spec::Host(host()), record: new_record(61), group: Some(GroupId(0)) };
        self.add(Address::host(name), create, Reason::NotPresent).bootstrap(name, Reason::NotPresent)
    }

    /// A new volume, attached.
    pub fn new_volume(&mut self, host: &str) -> &mut Self {
        let address = Address::volume(host, "data");
        let mut detached = volume(host);
        detached.attached = None;
        let create = Action::Create { spec: Spec::Volume(detached), record: new_record(0), group: None };
        self.add(address.clone(), create, Reason::NotPresent);
        self.add(address, Action::Attach { to: Spec::Volume(volume(host)) }, Reason::NotPresent)
    }

    /// A bootstrap.
    pub fn bootstrap(&mut self, name: &str, reason: Reason) -> &mut Self {
        self.add(Address::host(name), Action::Bootstrap { digest: Some("d1".into()) }, reason)
    }
}

/// The plan of the interface's sample, and one host with a drifted file.
pub fn sample() -> SavedPlan {
    let mut steps = Steps::default();
    steps.new_host("web-3").new_volume("web-3");
    let mut to = host();
    to.tags.insert("owner".into(), "b".into());
    let mut from = host();
    from.tags.insert("owner".into(), "a".into());
    let fields = vec![changed("tags.owner", "\"a\"", "\"b\"")];
    let update = Action::Update { from: Spec::Host(from), to: Spec::Host(to) };
    steps.add(Address::host("web-1"), update, Reason::SpecChanged { fields });
    let mut old = host();
    old.image = "debian-11".into();
    let fields = vec![changed("image", "debian-11", "debian-12")];
    let rebuild = Action::Rebuild { from: Spec::Host(old), to: Spec::Host(host()) };
    steps.add(Address::host("db-0"), rebuild, Reason::SpecChanged { fields: fields.clone() });
    steps.bootstrap("db-0", Reason::FollowsFrom { address: Address::host("db-0") });
    let diff = "--- /etc/motd\n+++ /etc/motd\n-hello\n+welcome\n";
    let items = vec![Drift { item: "file /etc/motd".into(), detail: diff.into() }];
    steps.bootstrap("web-1", Reason::HostDrifted { items });
    let brake = Why::Brake { brake: Brake::MaxDestroyed, share: Percent(1_000), allowed: 1, of: 14 };
    let mut saved = saved(steps.0, vec![Declined { address: Address::host("web-7"), why: brake }]);
    saved.plan.cost = CostChange { before: Money(0), after: Money(101_507) };
    saved
}

/// An envelope around steps.
pub fn saved(steps: Vec<Step>, declined: Vec<Declined>) -> SavedPlan {
    let refuse = |candidate: &str, why: &str| Refusal { candidate: candidate.into(), why: why.into() };
    let group = Group {
        pool: name("web"),
        hosts: vec!["web-8".into(), "web-9".into()],
        candidates: Vec::new(),
        refusals: vec![
            refuse("private/az1/m1.small", "2 vCPU < 4 vCPU"),
            refuse("private/az2/m1.large", "stock is used up"),
        ],
        alternatives: Vec::new(),
    };
    let plan = Plan {
        version: PLAN_VERSION,
        undo: None,
        inventory: name("acme"),
        environment: name("prod"),
        lineage: Lineage::from_bits([1; 16]),
        reads: BTreeMap::new(),
        scope: Scope::default(),
        steps,
        groups: vec![group],
        declined,
        clusters: Default::default(),
        bootstraps: BTreeMap::new(),
        artifacts: BTreeMap::new(),
        providers: BTreeMap::new(),
        backends: BTreeMap::new(),
        demand: Vec::new(),
        cost: CostChange::default(),
        unchanged: 17,
        proposal: None,
    };
    SavedPlan {
        envelope: 1,
        id: Text::from("7f3a2c"),
        created: NOW - 2,
        expires: NOW + 3600,
        hash: "h".into(),
        basis: Basis { serial: 41, pools: 3, hosts: 14, list_calls: 3, ..Basis::default() },
        plan,
    }
}
