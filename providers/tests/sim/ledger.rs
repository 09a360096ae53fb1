//! The file: cut-off lines, damage, growth.

use std::{fs, io::Write, os::unix::fs::PermissionsExt};

use pool_inventory::{
    Kind,
    desired::SimSpec,
    object::{HostSpec, Spec},
};
use pool_providers::{
    Provider, ProviderError,
    sim::{Meddling, SimLedger, SimProvider},
};

use crate::support::*;

fn append(cloud: &Sim, bytes: &[u8]) {
    let mut file = fs::OpenOptions::new().append(true).open(&cloud.path).expect("opens");
    file.write_all(bytes).expect("writes");
}

#[tokio::test]
async fn a_line_that_was_cut_off_is_left_out_and_repaired() {
    let cloud = Sim::new(SimSpec::default());
    done(one(&cloud.provider, create_host("web-1")).await);
    let whole = fs::read(&cloud.path).expect("reads");
    let line = whole.split_inclusive(|b| *b == b'\n').next_back().expect("a line").to_vec();
    // The same line, cut off at every eighth byte, in front of a client that was running and one that starts.
    for cut in (1..line.len()).step_by(8) {
        fs::write(&cloud.path, &whole).expect("writes");
        append(&cloud, &line[..cut]);
        assert_eq!(cloud.ledger().live.len(), 1);
        let next = done(one(&cloud.again(), create_host("web-2")).await);
        assert_eq!(cloud.ledger().live.len(), 2);
        assert_eq!(next.id.as_ref(), "h-2");
    }
}

#[tokio::test]
async fn damage_is_told_with_the_place_and_the_way_out() {
    let cloud = Sim::new(SimSpec::default());
    done(one(&cloud.provider, create_host("web-1")).await);
    for bad in ["{\"call\":{}}\n", "nonsense\n", "{\"version\":99}\n"] {
        let whole = fs::read(&cloud.path).expect("reads");
        append(&cloud, bad.as_bytes());
        let Err(ProviderError::Other(text)) = SimProvider::open(name("sim"), SimSpec::default(), cloud.path.clone())
        else {
            panic!("{bad} was accepted")
        };
        assert!(text.contains("sim.ledger") && text.contains("remove it"), "{text}");
        assert!(one(&cloud.provider, create_host("web-2")).await.is_err(), "nor by a client that was running");
        fs::write(&cloud.path, whole).expect("writes");
    }
    assert!(one(&cloud.provider, create_host("web-2")).await.is_ok(), "healed with the file");
}

#[tokio::test]
async fn settings_that_make_no_sense_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let bad = [
        SimSpec { zones: vec![], ..SimSpec::default() },
        SimSpec { page: 0, ..SimSpec::default() },
        SimSpec { rate: Some(0), ..SimSpec::default() },
        SimSpec { stock: [("az9/s1.small".into(), 1)].into(), ..SimSpec::default() },
    ];
    for spec in bad {
        let opened = SimProvider::open(name("sim"), spec, folder.path().join("sim.ledger"));
        assert!(matches!(opened, Err(ProviderError::Invalid { .. })));
    }
}

#[tokio::test]
async fn it_is_private_and_an_absent_one_is_an_empty_cloud() {
    let cloud = Sim::new(SimSpec::default());
    assert_eq!(fs::metadata(&cloud.path).expect("exists").permissions().mode() & 0o777, 0o600);
    let nothing = SimLedger::read(&cloud.path.with_extension("other")).expect("reads");
    assert_eq!((nothing.live, nothing.now), (vec![], 0));
}

#[tokio::test]
async fn it_does_not_grow_for_ever_and_forgets_nothing_that_lives() {
    let cloud = Sim::new(SimSpec::default());
    let other = cloud.again();
    let kept = done(one(&cloud.provider, create_host("web-1")).await);
    let foreign = Meddling::Foreign { name: "stranger".into(), spec: Spec::Host(host_spec()) };
    cloud.provider.meddle(foreign).await.expect("meddles");
    let mut longest = 0;
    for round in 0..30 {
        let hosts = (0..200).map(|i| {
            // A spec of its own each, the worst case.
            let tags = [("n".into(), format!("{round}-{i}").into())].into();
            create_as(host_owner(&format!("t{round}-{i}"), 0), Spec::Host(HostSpec { tags, ..host_spec() }))
        });
        let made = cloud.provider.submit(hosts.collect()).await;
        let gone = other.submit(made.into_iter().map(|host| delete(&done(host))).collect()).await;
        assert!(gone.iter().all(Result::is_ok));
        longest = longest.max(fs::metadata(&cloud.path).expect("exists").len());
    }
    // Only the tokens of 6,000 deleted hosts are remembered, for an hour.
    assert!(longest < 3_000_000, "{longest} bytes");
    let ledger = cloud.ledger();
    assert!(ledger.effects.len() < 12_000, "it was compacted");
    assert_eq!((ledger.counters.created[&Kind::Host], ledger.counters.deleted[&Kind::Host]), (6_001, 6_000));
    assert_eq!(ledger.counters.requests["create"], 6_001);
    assert_eq!((ledger.counters.peak.hosts, ledger.used.hosts), (202, 2));
    for provider in [&cloud.provider, &other, &cloud.again()] {
        let listed = provider.list(Kind::Host, None).await.expect("lists").objects;
        assert_eq!((listed.len(), &listed[0]), (2, &kept));
        assert_eq!(done(one(provider, create_host("web-1")).await), kept, "its token is known");
    }
}

#[tokio::test]
async fn the_most_of_each_group_at_a_time_is_known_afterwards() {
    let cloud = Sim::new(SimSpec::default());
    let hosts: Vec<_> = (0..3).map(|i| create_host(&format!("web-{i}"))).collect();
    let made = cloud.provider.submit(hosts).await;
    // Two go before two others come: never more than three at a time.
    let gone = made.into_iter().take(2).map(|host| delete(&done(host))).collect();
    assert!(cloud.provider.submit(gone).await.iter().all(Result::is_ok));
    for host in ["db-0", "web-4"] {
        done(one(&cloud.provider, create_host(host)).await);
    }
    let pool = |owner: &pool_inventory::object::Owner| vec![owner.address.name.split('-').next().unwrap_or("").into()];
    let peaks = SimLedger::peaks(&cloud.path, pool).expect("reads");
    assert_eq!((peaks["web"].hosts, peaks["web"].vcpus, peaks["db"].hosts), (3, 3, 1));
    assert_eq!((cloud.ledger().counters.peak.hosts, cloud.ledger().counters.in_flight), (3, 1));
}
