//! A state in a folder of its own, and objects to put into it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use pool_inventory::{
    Address, Bytes, Money, Name, Text, Token,
    desired::{OnRemove, Provisioning, Size},
    object::{HostSpec, Recorded, Spec, VolumeSpec},
};
use pool_state::{Change, Entry, Lease, LeaseRequest, NewPlan, NewRun, OpenOptions, RunId, StateError, Store};

pub struct Place {
    pub dir: tempfile::TempDir,
}

pub fn place() -> Place {
    Place { dir: tempfile::tempdir().unwrap() }
}

pub fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub fn now() -> Timestamp {
    "2026-11-21T10:00:00Z".parse().unwrap()
}

pub fn options_at(dir: &Path) -> OpenOptions {
    OpenOptions {
        path: dir.join(".pool/state.db"),
        backup_dir: dir.join(".pool/backup"),
        inventory: name("acme"),
        environment: name("prod"),
    }
}

impl Place {
    pub fn options(&self) -> OpenOptions {
        options_at(self.dir.path())
    }

    pub fn file(&self) -> PathBuf {
        self.options().path
    }

    pub async fn open(&self) -> Store {
        self.try_open().await.unwrap()
    }

    pub async fn try_open(&self) -> Result<Store, StateError> {
        Store::open(self.options(), now()).await
    }

    pub fn backups(&self) -> Vec<PathBuf> {
        let Ok(dir) = std::fs::read_dir(self.options().backup_dir) else { return Vec::new() };
        dir.map(|entry| entry.unwrap().path()).collect()
    }
}

pub fn request(holder: &str) -> LeaseRequest {
    LeaseRequest { holder: holder.into(), reason: "apply".into(), ttl: Duration::from_secs(60), wait: Duration::ZERO }
}

pub async fn lease(store: &Store) -> Lease {
    store.acquire(request("alice")).await.unwrap()
}

pub fn run(id: &str) -> NewRun {
    NewRun {
        id: RunId(id.into()),
        plan: None,
        plan_hash: "".into(),
        command: "apply".into(),
        started: 1_000,
        now: 1_000,
        reads: BTreeMap::new(),
        demand: Vec::new(),
        audit: None,
    }
}

pub fn plan(id: &str) -> NewPlan {
    NewPlan { id: id.into(), bytes: b"{\"version\":1}".to_vec(), hash: "h1".into(), created: 900, expires: 2_000 }
}

pub fn entry(run: &str, kind: &str, change: Change) -> Entry {
    Entry {
        run: RunId(run.into()),
        at_ms: 1_000_123,
        step: Some(7),
        address: change.address().cloned(),
        kind: kind.into(),
        body: r#"{"version":1}"#.to_owned(),
        change,
    }
}

pub fn put(object: &Recorded) -> Change {
    Change::Put(Box::new(object.clone()))
}

pub fn host(store: &Store, host: &str, generation: u32) -> Recorded {
    let address = Address::host(host);
    Recorded {
        token: Token::derive(store.lineage(), &address, generation, 0),
        address,
        generation,
        tenant: name("retail"),
        pool: Some(name("web")),
        provider: name("cloud"),
        id: Some(format!("srv-{host}").into()),
        attempt: 0,
        spec: Spec::Host(HostSpec {
            offering: "m1.large".into(),
            region: "".into(),
            zone: "az1".into(),
            size: Size { vcpus: 4, memory: Bytes::gib(8), disk: Bytes::gib(40) },
            image: "debian-12".into(),
            network: Some(name("front")),
            tags: BTreeMap::from([("team".into(), "checkout".into())]),
            user: "pool".into(),
            authorized_keys: vec!["ssh-ed25519 AAAA".into()],
            at: None,
            ..HostSpec::default()
        }),
        endpoint: None,
        bootstrapped: None,
        adopted: false,
        protected: false,
        needs: vec![Address::network("front")],
        price: Money(83_000),
        serial: 0,
        created: 0,
        member: None,
    }
}

pub fn volume(store: &Store, of: &str) -> Recorded {
    let spec = VolumeSpec {
        tier: name("high"),
        backend: "cloud/fast".into(),
        zone: "az1".into(),
        size: Bytes::gib(200),
        provisioning: Provisioning::Thin,
        tags: BTreeMap::new(),
        attached: None,
        on_remove: OnRemove::Keep,
        from: None,
        existing: None,
    };
    let address = Address::volume(of, "data");
    let token = Token::derive(store.lineage(), &address, 1, 0);
    Recorded { address, token, spec: Spec::Volume(spec), ..host(store, of, 1) }
}

/// Begins run `r1` and journals one entry per change.
pub async fn record(store: &Store, lease: &Lease, changes: Vec<Change>) -> Vec<u64> {
    if store.run("r1").await.unwrap().is_none() {
        store.begin_run(lease, run("r1")).await.unwrap();
    }
    store.journal(lease, changes.into_iter().map(|c| entry("r1", "succeeded", c)).collect()).await.unwrap()
}

/// Addresses, generations and serials of what is recorded.
pub async fn shown(store: &Store) -> Vec<(String, u32, u64)> {
    let objects = store.objects().await.unwrap();
    objects.into_iter().map(|o| (o.address.to_string(), o.generation, o.serial)).collect()
}

pub fn text(text: &str) -> Text {
    text.into()
}
