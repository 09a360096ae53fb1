//! Requests and clouds that the tests of the simulated cloud share.

use std::path::{Path, PathBuf};

use pool_inventory::{
    Address, Bytes, Lineage, Name, Percent, Text, Token,
    desired::{OnRemove, Provisioning, SimCall, SimError, SimFault, SimSpec, Size},
    object::{Attachment, HostSpec, NetworkSpec, Observed, Owner, Spec, VolumeSpec},
};
use pool_providers::{
    Act, Progress, Provider, ProviderError, Request,
    sim::{SimLedger, SimProvider},
};

/// A cloud of its own, gone with its folder.
pub struct Sim {
    pub provider: SimProvider,
    pub path: PathBuf,
    pub spec: SimSpec,
    _folder: tempfile::TempDir,
}

impl Sim {
    pub fn new(spec: SimSpec) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("sim.ledger");
        let provider = open(&path, spec.clone());
        Self { provider, path, spec, _folder: folder }
    }

    pub fn ledger(&self) -> SimLedger {
        SimLedger::read(&self.path).expect("reads")
    }

    /// Another handle on the same cloud, as another process has it.
    pub fn again(&self) -> SimProvider {
        open(&self.path, self.spec.clone())
    }
}

pub fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

pub fn lineage() -> Lineage {
    Lineage::from_bits([7; 16])
}

pub fn owner(address: Address, attempt: u32) -> Owner {
    let token = Token::derive(&lineage(), &address, 1, attempt);
    Owner { lineage: lineage(), address, generation: 1, token }
}

pub fn host_owner(host: &str, attempt: u32) -> Owner {
    owner(Address::host(host), attempt)
}

pub fn host_spec() -> HostSpec {
    HostSpec {
        offering: "s1.small".into(),
        region: "sim".into(),
        zone: "az1".into(),
        size: Size { vcpus: 1, memory: Bytes::gib(2), disk: Bytes::gib(20) },
        image: "debian-12".into(),
        network: None,
        tags: [("pool".into(), "web".into())].into(),
        user: "pool".into(),
        authorized_keys: vec!["ssh-ed25519 AAAA".into()],
        at: None,
        ..HostSpec::default()
    }
}

pub fn volume_spec(gib: u64) -> VolumeSpec {
    VolumeSpec {
        tier: name("mid"),
        backend: "sim/fast".into(),
        zone: "az1".into(),
        size: Bytes::gib(gib),
        provisioning: Provisioning::Thin,
        tags: [].into(),
        attached: None,
        on_remove: OnRemove::Keep,
        from: None,
        existing: None,
    }
}

pub fn network_spec() -> NetworkSpec {
    NetworkSpec::new("10.20.0.0/24".parse().expect("a range"))
}

pub fn attached_to(host: &str, spec: VolumeSpec) -> VolumeSpec {
    VolumeSpec { attached: Some(Attachment { host: Address::host(host), mount: Some("/data".into()) }), ..spec }
}

fn request(owner: Owner, act: Act) -> Request {
    let name: Text = format!("acme-default-{}", owner.address.name).into();
    Request { owner, name, act }
}

pub fn create_as(owner: Owner, spec: Spec) -> Request {
    request(owner, Act::Create(spec))
}

pub fn create_host(host: &str) -> Request {
    create_as(host_owner(host, 0), Spec::Host(host_spec()))
}

pub fn create_volume(host: &str, gib: u64) -> Request {
    create_as(owner(Address::volume(host, "data"), 0), Spec::Volume(volume_spec(gib)))
}

/// An act on what exists, in its owner's name.
pub fn act(on: &Observed, act: Act) -> Request {
    request(on.owner.clone().expect("ours"), act)
}

pub fn update(on: &Observed, to: Spec, host: Option<&Observed>) -> Request {
    act(on, Act::Update { id: on.id.clone(), to, host: host.map(|h| h.id.clone()) })
}

pub fn delete(on: &Observed) -> Request {
    act(on, Act::Delete { id: on.id.clone(), kind: on.spec.kind() })
}

pub async fn one(provider: &dyn Provider, request: Request) -> Result<Progress, ProviderError> {
    provider.submit(vec![request]).await.remove(0)
}

#[track_caller]
pub fn done(progress: Result<Progress, ProviderError>) -> Observed {
    match progress {
        Ok(Progress::Done(observed)) => *observed,
        other => panic!("not done: {other:?}"),
    }
}

pub fn create_network(network: &str) -> Request {
    create_as(owner(Address::network(network), 0), Spec::Network(network_spec()))
}

pub fn rebuild(on: &Observed, to: HostSpec) -> Request {
    act(on, Act::Rebuild { id: on.id.clone(), to: Box::new(to) })
}

/// The field that an answer refuses.
#[track_caller]
pub fn field(answer: Result<Progress, ProviderError>) -> String {
    match answer {
        Err(ProviderError::Invalid { field, .. }) => field.to_string(),
        other => panic!("not refused: {other:?}"),
    }
}

pub async fn done_gone(provider: &dyn Provider, object: &Observed) {
    assert_eq!(one(provider, delete(object)).await, Ok(Progress::Gone));
}

/// A rule that always applies.
pub fn always(on: SimCall, error: SimError) -> SimFault {
    SimFault { on, address: None, nth: None, times: None, rate: Percent(10_000), error, after: None }
}

/// A rule that applies once.
pub fn nth(on: SimCall, nth: u32, error: SimError) -> SimFault {
    SimFault { nth: Some(nth), rate: Percent(0), ..always(on, error) }
}

pub fn open(path: &Path, spec: SimSpec) -> SimProvider {
    SimProvider::open(name("sim"), spec, path.to_owned()).expect("opens")
}
