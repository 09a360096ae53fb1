//! How fast the simulated cloud is: `cargo bench -p pool-providers`. One line per measurement, best of several.
#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::time::{Duration, Instant};

use pool_inventory::{
    Address, Bytes, Kind, Lineage, Name, Token,
    desired::{OnRemove, Provisioning, SimSpec, Size},
    object::{HostSpec, Owner, Spec, VolumeSpec},
};
use pool_providers::{Act, Provider, Request, sim::SimProvider};

const HOSTS: usize = 10_000;
const BATCH: usize = 500;

fn creation(address: Address, spec: Spec) -> Request {
    let lineage = Lineage::from_bits([7; 16]);
    let token = Token::derive(&lineage, &address, 1, 0);
    let name = format!("acme-default-{}", address.name).into();
    Request { name, owner: Owner { lineage, address, generation: 1, token }, act: Act::Create(spec) }
}

fn host() -> Spec {
    Spec::Host(HostSpec {
        offering: "s1.small".into(),
        region: "sim".into(),
        zone: "az1".into(),
        size: Size { vcpus: 1, memory: Bytes::gib(2), disk: Bytes::gib(20) },
        image: "debian-12".into(),
        network: None,
        tags: [("pool".into(), "web".into()), ("team".into(), "checkout".into())].into(),
        user: "pool".into(),
        authorized_keys: vec!["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExampleExampleExampleExampleExample0".into()],
        at: None,
        ..HostSpec::default()
    })
}

fn volume() -> Spec {
    Spec::Volume(VolumeSpec {
        tier: Name::new("mid").expect("a name"),
        backend: "sim/fast".into(),
        zone: "az1".into(),
        size: Bytes::gib(10),
        provisioning: Provisioning::Thin,
        tags: [("pool".into(), "web".into())].into(),
        attached: None,
        on_remove: OnRemove::Keep,
        from: None,
        existing: None,
    })
}

fn row(what: &str, times: &[Duration]) {
    let mut sorted = times.to_vec();
    sorted.sort();
    println!("{what:<44} best {:>10.2?}   median {:>10.2?}", sorted[0], sorted[sorted.len() / 2]);
}

async fn list(cloud: &SimProvider, kind: Kind) -> usize {
    let (mut count, mut from) = (0, None);
    loop {
        let page = cloud.list(kind, from).await.expect("lists");
        count += page.objects.len();
        from = page.next;
        if from.is_none() {
            return count;
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("sim.ledger");
    let open =
        || SimProvider::open(Name::new("sim").expect("a name"), SimSpec::default(), path.clone()).expect("opens");
    let cloud = open();
    let mut submits = Vec::new();
    for start in (0..HOSTS).step_by(BATCH) {
        for spec in [host(), volume()] {
            let address = |n| match spec.kind() {
                Kind::Volume => Address::volume(&format!("web-{n}"), "data"),
                _ => Address::host(&format!("web-{n}")),
            };
            let batch = (start..start + BATCH).map(|n| creation(address(n), spec.clone())).collect();
            let begin = Instant::now();
            let answers = cloud.submit(batch).await;
            submits.push(begin.elapsed());
            assert!(answers.iter().all(Result::is_ok));
        }
    }
    row("submit of 500 creations", &submits);
    let (mut opens, mut lists) = (Vec::new(), Vec::new());
    for _ in 0..10 {
        let begin = Instant::now();
        let again = open();
        opens.push(begin.elapsed());
        let begin = Instant::now();
        let count = list(&again, Kind::Host).await + list(&again, Kind::Volume).await;
        lists.push(begin.elapsed());
        assert_eq!(count, 2 * HOSTS);
    }
    row("open a ledger of 20,000 objects", &opens);
    row("list 20,000 objects", &lists);
    println!("ledger of 20,000 objects: {} bytes", std::fs::metadata(&path).expect("exists").len());
}
