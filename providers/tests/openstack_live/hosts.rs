//! Hosts with everything that they can be asked for.

use pool_inventory::{
    Address, Bytes, Kind, Name,
    desired::{Apart, Size},
    object::{HostSpec, NetworkSpec, RootDisk, Spec, Status},
};
use pool_providers::{Act, ProviderError};

use crate::{account::python, bench::Bench, conformance::host};

/// A network with a way out.
async fn front(bench: &Bench, cidr: &str) -> pool_inventory::Text {
    let mut wanted = NetworkSpec::new(cidr.parse().unwrap());
    wanted.router = Some("public".into());
    bench.create(&Address::network("front"), Spec::Network(wanted)).await.id
}

#[tokio::test]
async fn a_host_with_everything_lives_and_goes() {
    let bench = Bench::new("host-a");
    let network = front(&bench, "10.211.0.0/24").await;
    let address = Address::host("web-1");
    let mut wanted = HostSpec {
        address: Some("10.211.0.77".parse().unwrap()),
        public: Some("public".into()),
        apart: Some(Apart::Must),
        ..host()
    };
    let made = bench.counted("create with all", bench.create(&address, Spec::Host(wanted.clone()))).await;
    let endpoint = made.endpoint.unwrap();
    assert!(endpoint.host.starts_with("172.24."), "{endpoint:?}");
    assert_eq!(endpoint.host_keys.len(), 1);
    let fixed = python(&format!("print(c.compute.get_server({:?}).addresses)", &*made.id));
    assert!(fixed.contains("10.211.0.77"), "{fixed}");

    // A second of its pool goes to another machine; a fifth finds none.
    let other = Address::host("web-2");
    let two = HostSpec { address: None, public: None, ..wanted.clone() };
    let second = bench.create(&other, Spec::Host(two)).await;

    wanted.public = None;
    wanted.tags.insert("colour".into(), "green".into());
    wanted.offering = "m1.medium".into();
    wanted.size = Size { vcpus: 2, memory: Bytes::gib(4), disk: Bytes::gib(40) };
    let to = Spec::Host(wanted.clone());
    let after = bench.counted("resize, no public address", bench.update(&address, &made.id, to.clone(), None)).await;
    assert_eq!(&*after.endpoint.unwrap().host, "10.211.0.77");
    wanted.public = Some("public".into());
    let after = bench.update(&address, &made.id, Spec::Host(wanted.clone()), None).await;
    assert!(after.endpoint.unwrap().host.starts_with("172.24."));
    let seen = bench.seen(&address).await;
    assert_eq!(
        (&seen.spec.host().unwrap().offering, &seen.spec.host().unwrap().tags),
        (&wanted.offering, &wanted.tags)
    );

    let restarted = bench.act(&address, Act::Restart { id: made.id.clone() }).await.unwrap().unwrap();
    assert_eq!(restarted.status, Status::Ready);
    bench.counted("delete with all", bench.delete(&address, &made.id)).await;
    bench.delete(&other, &second.id).await;
    bench.delete(&Address::network("front"), &network).await;
    let left = python(&format!(
        "l = {:?}\nprint([g.name for g in c.compute.server_groups() if l in g.name], \
         [p.id for p in c.network.ports() if l in (p.description or '')], \
         [i.id for i in c.network.ips() if l in (i.description or '')])",
        &*bench.lineage.0
    ));
    assert_eq!(left, "[] [] []");
}

#[tokio::test]
async fn a_host_boots_from_a_volume_of_its_tier() {
    let bench = Bench::new("host-b");
    let network = front(&bench, "10.212.0.0/24").await;
    let address = Address::host("db-1");
    let root = RootDisk { tier: Name::new("high").unwrap(), backend: "private/gold".into(), size: Bytes::gib(2) };
    let spec = Spec::Host(HostSpec { root: Some(root), ..host() });
    let made = bench.counted("create with a boot volume", bench.create(&address, spec)).await;
    assert_eq!(made.spec.host().unwrap().image, host().image);
    let script = format!(
        "s = c.compute.get_server({:?})\nv = c.block_storage.get_volume(s.attached_volumes[0].id)\nprint(v.volume_type, v.size)",
        &*made.id
    );
    assert_eq!(python(&script), "gold 2");
    bench.delete(&address, &made.id).await;
    bench.delete(&Address::network("front"), &network).await;
}

#[tokio::test]
async fn a_zone_that_is_full_is_no_capacity_and_leaves_nothing() {
    let bench = Bench::new("host-c");
    let network = front(&bench, "10.213.0.0/24").await;
    let address = Address::host("big-1");
    let spec = HostSpec { offering: "m1.xlarge".into(), zone: "az-small".into(), ..host() };
    let answer = bench.act(&address, Act::Create(Spec::Host(spec))).await;
    assert!(matches!(&answer, Err(ProviderError::NoCapacity(why)) if why.contains("No valid host")), "{answer:?}");
    assert_eq!(bench.ours(Kind::Host).await, []);
    bench.delete(&Address::network("front"), &network).await;
}
