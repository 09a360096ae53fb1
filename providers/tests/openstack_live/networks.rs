//! Networks: made, seen as they were asked for, changed in place, deleted whole.

use std::collections::BTreeMap;

use pool_inventory::{
    Address, Kind, Name,
    desired::{Peer, Ports, Protocol, Rule},
    object::{NetworkSpec, Spec},
};
use pool_providers::{Act, Provider, ProviderError};

use crate::bench::{Bench, list};

fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

fn rule(protocol: Protocol, ports: Option<(u16, u16)>, peer: Peer) -> Rule {
    Rule { peer, protocol, ports: ports.map(|(first, last)| Ports { first, last }) }
}

fn spec(cidr: &str) -> NetworkSpec {
    NetworkSpec::new(cidr.parse().expect("a range"))
}

#[tokio::test]
async fn a_network_with_everything_lives_and_goes() {
    let bench = Bench::new("stor-a");
    let (front, back) = (Address::network("front"), Address::network("back"));
    let mut wanted = spec("10.201.0.0/24");
    wanted.router = Some("public".into());
    wanted.dns = ["9.9.9.9", "1.1.1.1"].map(|dns| dns.parse().expect("an address")).into();
    wanted.tags = [("owner".into(), "ann".into())].into();
    wanted.ingress = BTreeMap::from([
        (name("https"), rule(Protocol::Tcp, Some((443, 443)), Peer::Any)),
        (name("web"), rule(Protocol::Tcp, Some((443, 443)), Peer::Any)),
        (name("ping"), rule(Protocol::Icmp, None, Peer::Range("10.0.0.0/8".parse().expect("a range")))),
        (name("own"), rule(Protocol::Udp, Some((1000, 2000)), Peer::Network(name("front")))),
    ]);
    let to = Spec::Network(wanted.clone());
    let made = bench.counted("create a network with a router", bench.create(&front, to.clone())).await;
    bench.counted("list networks", bench.settled(&front, &to)).await;

    let again = bench.counted("create it again", bench.create(&front, to.clone())).await;
    assert_eq!(again.id, made.id);
    let found = bench.another().find(&bench.owner(front.clone(), 0).token).await.expect("an answer");
    assert_eq!(found.map(|found| found.id), Some(made.id.clone()));

    let plain = bench.counted("create a network", bench.create(&back, Spec::Network(spec("10.202.0.0/24")))).await;

    wanted.router = None;
    wanted.dns = vec!["1.1.1.1".parse().expect("an address")];
    wanted.dhcp = false;
    wanted.tags = [("owner".into(), "bob".into()), ("tier".into(), "one".into())].into();
    wanted.ingress.remove(&name("web"));
    wanted.ingress.insert(name("back"), rule(Protocol::Any, None, Peer::Network(name("back"))));
    wanted.egress.insert(name("dns"), rule(Protocol::Udp, Some((53, 53)), Peer::Any));
    let to = Spec::Network(wanted.clone());
    bench.counted("change everything", bench.update(&front, &made.id, to.clone(), None)).await;
    bench.settled(&front, &to).await;
    bench.counted("change nothing", bench.update(&front, &made.id, to.clone(), None)).await;

    wanted.router = Some("public".into());
    wanted.egress.clear();
    let to = Spec::Network(wanted.clone());
    bench.update(&front, &made.id, to.clone(), None).await;
    bench.settled(&front, &to).await;

    bench.counted("delete with a router", bench.delete(&front, &made.id)).await;
    bench.counted("delete", bench.delete(&back, &plain.id)).await;
    let gone = bench.act(&back, Act::Delete { id: plain.id, kind: Kind::Network }).await;
    assert!(matches!(gone, Err(ProviderError::NotFound(_))), "{gone:?}");
    assert_eq!(bench.ours(Kind::Network).await, []);
}

#[tokio::test]
async fn a_refused_network_leaves_nothing() {
    let bench = Bench::new("stor-b");
    let address = Address::network("front");
    let mut wanted = spec("10.203.0.0/24");
    wanted.router = Some("nowhere".into());
    let refused = bench.act(&address, Act::Create(Spec::Network(wanted.clone()))).await;
    assert!(matches!(&refused, Err(ProviderError::Invalid { field, .. }) if &**field == "router"), "{refused:?}");
    // Neutron refuses the subnet, when the network is there already.
    wanted.router = None;
    wanted.dns = (1..=9).map(|n| std::net::IpAddr::from([9, 9, 9, n])).collect();
    let refused = bench.act(&address, Act::Create(Spec::Network(wanted))).await;
    assert!(matches!(&refused, Err(ProviderError::Invalid { .. })), "{refused:?}");
    assert_eq!(bench.ours(Kind::Network).await, []);
}

#[tokio::test]
async fn a_network_that_exists_is_used_as_it_is() {
    let bench = Bench::new("stor-c");
    let address = Address::network("shared");
    let of = |existing: &str| {
        let mut spec = spec("10.0.0.0/8");
        (spec.cidr, spec.existing) = (None, Some(existing.into()));
        Spec::Network(spec)
    };
    let before = list(&bench.provider, Kind::Network).await;
    let by_name = bench.counted("use loop-net", bench.create(&address, of("loop-net"))).await;
    let by_id = bench.create(&address, of(&by_name.id)).await;
    assert_eq!((by_name.id.clone(), by_name.spec), (by_id.id, of("loop-net")));
    bench.delete(&address, &by_name.id).await;
    let nowhere = bench.act(&address, Act::Create(of("stor-nowhere"))).await;
    assert!(matches!(&nowhere, Err(ProviderError::Invalid { .. })), "{nowhere:?}");
    let kept = |all: &[pool_inventory::object::Observed]| all.iter().any(|network| network.id == by_name.id);
    assert!(kept(&before) && kept(&list(&bench.provider, Kind::Network).await));
}
