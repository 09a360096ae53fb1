//! Physical machines: what fits on them, and moving between them.

use pool_inventory::{
    Bytes, Money,
    desired::{SimMachines, SimSpec, Size},
    object::{HostSpec, Spec, Status},
};
use pool_providers::{Provider, ProviderError};

use crate::support::*;

/// Two machines of 4 vCPU and 8 GiB in az1; the other zones have none.
fn machines() -> Sim {
    let alike = SimMachines {
        count: Some(2),
        zone: name("az1"),
        rack: Some(name("r1")),
        size: Size { vcpus: 4, memory: Bytes::gib(8), disk: Bytes::gib(100) },
        price: Money(500_000),
        dedicated: None,
    };
    Sim::new(SimSpec { machines: [(name("m"), alike)].into(), ..SimSpec::default() })
}

fn on(machine: Option<&str>) -> HostSpec {
    HostSpec {
        offering: "s1.medium".into(),
        size: Size { vcpus: 2, memory: Bytes::gib(4), disk: Bytes::gib(40) },
        machine: machine.map(Into::into),
        ..host_spec()
    }
}

#[tokio::test]
async fn a_machine_takes_as_many_hosts_as_it_has_room_for() {
    let cloud = machines();
    let put = |host: &str, spec: HostSpec| create_as(host_owner(host, 0), Spec::Host(spec));
    done(one(&cloud.provider, put("a-0", on(Some("m-0")))).await);
    done(one(&cloud.provider, put("a-1", on(Some("m-0")))).await);
    let full = one(&cloud.provider, put("a-2", on(Some("m-0")))).await;
    assert_eq!(full, Err(ProviderError::NoCapacity("machine m-0 is full".into())));
    assert_eq!(field(one(&cloud.provider, put("a-3", on(None))).await), "machine");
    assert_eq!(field(one(&cloud.provider, put("a-4", on(Some("m-7")))).await), "machine");
    let market = cloud.provider.market().await.expect("a market");
    let used: Vec<u32> = market.machines.iter().map(|machine| machine.used.vcpus).collect();
    assert_eq!(used, [4, 0]);
    done(one(&cloud.provider, put("a-5", HostSpec { zone: "az2".into(), ..on(None) })).await);
}

#[tokio::test]
async fn a_host_moves_to_another_machine_while_it_runs() {
    let cloud = machines();
    let moving = done(one(&cloud.provider, create_as(host_owner("a-0", 0), Spec::Host(on(Some("m-0"))))).await);
    for host in ["a-1", "a-2"] {
        done(one(&cloud.provider, create_as(host_owner(host, 0), Spec::Host(on(Some("m-1"))))).await);
    }
    let to = || Spec::Host(on(Some("m-1")));
    let full = one(&cloud.provider, update(&moving, to(), None)).await;
    assert_eq!(full, Err(ProviderError::NoCapacity("machine m-1 is full".into())));
    let gone = cloud.ledger().live.into_iter().find(|host| &*host.name == "acme-default-a-2").expect("it is there");
    done_gone(&cloud.provider, &gone).await;
    assert_eq!(done(one(&cloud.provider, update(&moving, to(), None)).await).status, Status::Ready);
    let ledger = cloud.ledger();
    let hosts = |name: &str| ledger.used.machines.get(name).map_or(0, |machine| machine.hosts);
    assert_eq!((hosts("m-0"), hosts("m-1")), (0, 2));
}
