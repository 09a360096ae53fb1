//! Requests and clouds that the tests of the simulated cloud share.

use std::path::PathBuf;

use pool_inventory::{
    Address, Bytes, Lineage, Name, Text, Token,
    desired::{OnRemove, Provisioning, SimSpec, Size},
    object::{Attachment, HostSpec, NetworkSpec, Observed, Owner, Spec, VolumeSpec},
};
use pool_providers::{Act, Progress, Provider, ProviderError, Request, sim::SimProvider};

/// A cloud of its own, gone with its folder.
pub struct Sim {
    pub provider: SimProvider,
    pub path: PathBuf,
    pub spec: SimSpec,
    folder: tempfile::TempDir,
}

impl Sim {
    pub fn new(spec: SimSpec) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("sim.ledger");
        let provider = SimProvider::open(name("sim"), spec.clone(), path.clone()).expect("opens");
        Self { provider, path, spec, folder }
    }

    /// Another handle on the same cloud, as another process has it.
    pub fn again(&self) -> SimProvider {
        SimProvider::open(name("sim"), self.spec.clone(), self.path.clone()).expect("opens")
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
    }
}

pub fn network_spec() -> NetworkSpec {
    NetworkSpec { cidr: "10.20.0.0/24".parse().expect("a range"), tags: [].into() }
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
