//! What can be made, changed and deleted, and what is refused.

use pool_inventory::{
    Bytes, Kind, Money,
    desired::{QuotaSpec, SimSpec},
    market::Change,
    object::{HostSpec, Spec, Status, VolumeSpec},
};
use pool_providers::{
    Act, Progress, Provider, ProviderError,
    sim::{Meddling, SimLedger},
};

use crate::support::*;

#[tokio::test]
async fn what_is_made_is_listed_found_and_deleted() {
    let cloud = Sim::new(SimSpec::default());
    let made = done(one(&cloud.provider, create_host("web-1")).await);
    assert_eq!(made.name.as_ref(), "acme-default-web-1");
    let endpoint = made.endpoint.clone().expect("it runs");
    assert!(endpoint.host.starts_with("10.") && endpoint.host_keys[0].starts_with("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5"));

    assert_eq!(cloud.provider.list(Kind::Host, None).await.expect("lists").objects, std::slice::from_ref(&made));
    assert_eq!(cloud.provider.find(&host_owner("web-1", 0).token).await, Ok(Some(made.clone())));
    assert_eq!(one(&cloud.provider, delete(&made)).await, Ok(Progress::Gone));
    assert_eq!(one(&cloud.provider, delete(&made)).await, Err(ProviderError::NotFound(made.id.clone())));
    assert_eq!(cloud.provider.find(&host_owner("web-1", 0).token).await, Ok(None));

    let ledger = cloud.ledger();
    assert_eq!((ledger.counters.created[&Kind::Host], ledger.counters.deleted[&Kind::Host]), (1, 1));
    assert!(ledger.live.is_empty() && ledger.used.hosts == 0 && ledger.used.cost == 0);
    assert_eq!(ledger.effects.len(), 2);
    assert!(ledger.effects.iter().all(|e| e.pid == std::process::id() && e.token.is_some()));
}

#[tokio::test]
async fn a_token_makes_one_object_and_nothing_else_afterwards() {
    let cloud = Sim::new(SimSpec::default());
    let first = done(one(&cloud.provider, create_host("web-1")).await);
    assert_eq!(done(one(&cloud.provider, create_host("web-1")).await), first);

    let other = HostSpec { zone: "az2".into(), ..host_spec() };
    let answer = one(&cloud.provider, create_as(host_owner("web-1", 0), Spec::Host(other))).await;
    assert!(matches!(answer, Err(ProviderError::Other(_))), "{answer:?}");
    assert_eq!(one(&cloud.provider, delete(&first)).await, Ok(Progress::Gone));
    let answer = one(&cloud.provider, create_host("web-1")).await;
    assert!(matches!(answer, Err(ProviderError::Other(_))), "{answer:?}");

    let counters = cloud.ledger().counters;
    assert_eq!((counters.created[&Kind::Host], counters.repeated, counters.token_reused), (1, 1, 0));
}

#[tokio::test]
async fn a_client_that_makes_a_host_twice_is_seen_in_the_ledger() {
    let cloud = Sim::new(SimSpec::default());
    done(one(&cloud.provider, create_host("web-1")).await);
    done(one(&cloud.provider, create_as(host_owner("web-1", 1), Spec::Host(host_spec()))).await);
    let ledger = cloud.ledger();
    assert_eq!((ledger.counters.doubles, ledger.duplicates()), (1, vec!["host/web-1 generation 1".to_owned()]));
}

#[tokio::test]
async fn volumes_are_attached_extended_and_outlive_their_host() {
    let cloud = Sim::new(SimSpec::default());
    let cloud_ = &cloud.provider;
    let host = done(one(cloud_, create_host("web-1")).await);
    let far = HostSpec { zone: "az2".into(), ..host_spec() };
    let far = done(one(cloud_, create_as(host_owner("web-2", 0), Spec::Host(far))).await);
    let volume = done(one(cloud_, create_volume("web-1", 10)).await);
    let to = |gib| Spec::Volume(attached_to("web-1", volume_spec(gib)));

    let elsewhere = Spec::Volume(attached_to("web-2", volume_spec(10)));
    assert_eq!(field(one(cloud_, update(&volume, elsewhere, Some(&far))).await), "attached");
    let volume = done(one(cloud_, update(&volume, to(10), Some(&host))).await);
    assert_eq!(volume.spec, to(10));
    assert!(matches!(one(cloud_, delete(&volume)).await, Err(ProviderError::Conflict(_))));
    let volume = done(one(cloud_, update(&volume, to(20), Some(&host))).await);
    assert_eq!(volume.spec, to(20));
    assert_eq!(field(one(cloud_, update(&volume, to(10), Some(&host))).await), "size");

    assert_eq!(one(cloud_, delete(&host)).await, Ok(Progress::Gone));
    let left = cloud_.list(Kind::Volume, None).await.expect("lists").objects.remove(0);
    assert_eq!(left.spec, Spec::Volume(volume_spec(20)));
    assert_eq!(one(cloud_, delete(&left)).await, Ok(Progress::Gone));
    assert_eq!(cloud.ledger().used.storage.values().sum::<u64>(), 0);
}

#[tokio::test]
async fn a_volume_is_at_one_host_at_a_time() {
    let cloud = Sim::new(SimSpec::default());
    let first = done(one(&cloud.provider, create_host("web-1")).await);
    let second = done(one(&cloud.provider, create_host("web-2")).await);
    let volume = done(one(&cloud.provider, create_volume("web-1", 10)).await);
    let at = |host: &str| Spec::Volume(attached_to(host, volume_spec(10)));
    done(one(&cloud.provider, update(&volume, at("web-1"), Some(&first))).await);
    let answer = one(&cloud.provider, update(&volume, at("web-2"), Some(&second))).await;
    assert!(matches!(answer, Err(ProviderError::Conflict(_))), "{answer:?}");
    done(one(&cloud.provider, update(&volume, Spec::Volume(volume_spec(10)), Some(&first))).await);
    done(one(&cloud.provider, update(&volume, at("web-2"), Some(&second))).await);
}

#[tokio::test]
async fn only_what_the_capabilities_say_changes_without_replacement() {
    let cloud = Sim::new(SimSpec::default());
    let host = done(one(&cloud.provider, create_host("web-1")).await);
    let can = cloud.provider.capabilities();
    let variants = [
        ("tags.owner", HostSpec { tags: [("owner".into(), "b".into())].into(), ..host_spec() }),
        ("image", HostSpec { image: "debian-11".into(), ..host_spec() }),
        ("user", HostSpec { user: "ops".into(), ..host_spec() }),
        ("authorized_keys", HostSpec { authorized_keys: vec![], ..host_spec() }),
        ("zone", HostSpec { zone: "az2".into(), ..host_spec() }),
        ("offering", HostSpec { offering: "s1.medium".into(), ..host_spec() }),
    ];
    for (name, to) in variants {
        let change = can.change(Kind::Host, name);
        let in_place = one(&cloud.provider, update(&host, Spec::Host(to.clone()), None)).await;
        assert_eq!(in_place.is_ok(), change == Change::InPlace, "{name}: {in_place:?}");
        let rebuilt = one(&cloud.provider, rebuild(&host, to)).await;
        assert_eq!(rebuilt.is_ok(), change <= Change::Rebuild, "{name}: {rebuilt:?}");
        done(one(&cloud.provider, rebuild(&host, host_spec())).await);
    }
}

#[tokio::test]
async fn a_rebuilt_host_keeps_its_id_and_address_and_has_another_key() {
    let cloud = Sim::new(SimSpec::default());
    let host = done(one(&cloud.provider, create_host("web-1")).await);
    let to = HostSpec { image: "ubuntu-24-04".into(), ..host_spec() };
    let new = done(one(&cloud.provider, rebuild(&host, to)).await);
    let (old_end, new_end) = (host.endpoint.expect("runs"), new.endpoint.expect("runs"));
    assert_eq!((&host.id, &old_end.host), (&new.id, &new_end.host));
    assert_ne!(old_end.host_keys, new_end.host_keys);
}

#[tokio::test]
async fn a_stopped_host_answers_nowhere_until_it_is_turned_on() {
    let cloud = Sim::new(SimSpec::default());
    let host = done(one(&cloud.provider, create_host("web-1")).await);
    cloud.provider.meddle(Meddling::Stop { id: host.id.clone() }).await.expect("meddles");
    let off = cloud.provider.list(Kind::Host, None).await.expect("lists").objects.remove(0);
    assert_eq!((&off.status, &off.endpoint), (&Status::Stopped, &None));
    let on = done(one(&cloud.provider, act(&host, Act::Power { id: host.id.clone(), on: true })).await);
    assert_eq!(on, host);
}

#[tokio::test]
async fn a_network_is_there_before_its_hosts_and_goes_after_them() {
    let cloud = Sim::new(SimSpec::default());
    let inside = Spec::Host(HostSpec { network: Some(name("front")), ..host_spec() });
    let early = one(&cloud.provider, create_as(host_owner("web-1", 0), inside.clone())).await;
    assert_eq!(field(early), "network");
    let network = done(one(&cloud.provider, create_network("front")).await);
    let host = done(one(&cloud.provider, create_as(host_owner("web-1", 0), inside)).await);
    assert!(matches!(one(&cloud.provider, delete(&network)).await, Err(ProviderError::Conflict(_))));
    assert_eq!(one(&cloud.provider, delete(&host)).await, Ok(Progress::Gone));
    assert_eq!(one(&cloud.provider, delete(&network)).await, Ok(Progress::Gone));
}

#[tokio::test]
async fn quota_stock_and_capacity_end_in_their_own_errors_and_come_back() {
    let cloud = Sim::new(SimSpec {
        quota: QuotaSpec { hosts: Some(3), ..QuotaSpec::default() },
        stock: [("az1/s1.small".into(), 2)].into(),
        backends: [(name("fast"), Bytes::gib(15))].into(),
        ..SimSpec::default()
    });
    let answers = cloud.provider.submit((1..=3).map(|i| create_host(&format!("web-{i}"))).collect()).await;
    assert!(answers[0].is_ok() && answers[1].is_ok());
    assert!(matches!(answers[2], Err(ProviderError::NoCapacity(_))), "{answers:?}");
    let other_zone = Spec::Host(HostSpec { zone: "az2".into(), ..host_spec() });
    done(one(&cloud.provider, create_as(host_owner("web-3", 1), other_zone.clone())).await);
    let fourth = one(&cloud.provider, create_as(host_owner("web-4", 0), other_zone)).await;
    assert!(matches!(fourth, Err(ProviderError::QuotaExceeded(_))), "{fourth:?}");

    done(one(&cloud.provider, create_volume("web-1", 10)).await);
    let second = one(&cloud.provider, create_volume("web-2", 10)).await;
    assert!(matches!(second, Err(ProviderError::NoCapacity(_))), "{second:?}");

    let market = cloud.provider.market().await.expect("a market");
    let stock = |zone: &str| {
        let offer = market.offerings.iter().find(|o| &*o.zone == zone && &*o.name == "s1.small");
        offer.expect("on offer").stock
    };
    assert_eq!((stock("az1"), stock("az2")), (Some(0), None));
    assert_eq!(market.limits["hosts"], pool_inventory::market::Limit { limit: 3, used: 3 });
    let fast = market.backends.iter().find(|b| &*b.name == "sim/fast").expect("on offer");
    assert_eq!((fast.capacity, fast.allocated), (Bytes::gib(15), Bytes::gib(10)));

    done_gone(&cloud.provider, &done(answers[0].clone())).await;
    let answer = one(&cloud.provider, create_as(host_owner("web-5", 0), Spec::Host(host_spec()))).await;
    assert!(answer.is_ok(), "stock and quota come back: {answer:?}");
    assert_eq!(cloud.ledger().counters.peak.hosts, 3);
}

#[tokio::test]
async fn money_is_a_quota_too() {
    let price = 11_000_370; // s1.small: 15,069 millionths for 730 hours
    let quota = QuotaSpec { cost: Some(Money(2 * price)), ..QuotaSpec::default() };
    let cloud = Sim::new(SimSpec { quota, ..SimSpec::default() });
    let answers = cloud.provider.submit((1..=3).map(|i| create_host(&format!("web-{i}"))).collect()).await;
    assert!(answers[1].is_ok() && matches!(answers[2], Err(ProviderError::QuotaExceeded(_))), "{answers:?}");
    assert_eq!(cloud.provider.market().await.expect("a market").limits["cost"].used, 2 * 15_069);
}

#[tokio::test]
async fn an_extension_obeys_quota_and_capacity() {
    let quota = QuotaSpec { storage: [(name("fast"), Bytes::gib(15))].into(), ..QuotaSpec::default() };
    let backends = [(name("standard"), Bytes::gib(15))].into();
    let cloud = Sim::new(SimSpec { quota, backends, ..SimSpec::default() });
    let fast = done(one(&cloud.provider, create_volume("web-1", 10)).await);
    let bigger = |spec: VolumeSpec| Spec::Volume(VolumeSpec { size: Bytes::gib(16), ..spec });
    let answer = one(&cloud.provider, update(&fast, bigger(volume_spec(10)), None)).await;
    assert!(matches!(answer, Err(ProviderError::QuotaExceeded(_))), "{answer:?}");

    let standard = VolumeSpec { backend: "sim/standard".into(), ..volume_spec(10) };
    let owner = owner(pool_inventory::Address::volume("web-2", "data"), 0);
    let made = done(one(&cloud.provider, create_as(owner, Spec::Volume(standard.clone()))).await);
    let answer = one(&cloud.provider, update(&made, bigger(standard), None)).await;
    assert!(matches!(answer, Err(ProviderError::NoCapacity(_))), "{answer:?}");
    assert_eq!(cloud.ledger().used.storage["sim/standard"], Bytes::gib(10).0);
}

#[tokio::test]
async fn nonsense_is_refused_by_field() {
    let cloud = Sim::new(SimSpec::default());
    let bad = [
        ("image", HostSpec { image: "plan9".into(), ..host_spec() }),
        ("zone", HostSpec { zone: "az9".into(), ..host_spec() }),
        ("region", HostSpec { region: "eu".into(), ..host_spec() }),
        ("offering", HostSpec { offering: "x9".into(), ..host_spec() }),
        ("size", HostSpec { offering: "s1.medium".into(), ..host_spec() }),
    ];
    for (name, spec) in bad {
        assert_eq!(field(one(&cloud.provider, create_as(host_owner("web-1", 0), Spec::Host(spec))).await), name);
    }
    let many = cloud.provider.submit((0..501).map(|i| create_host(&format!("web-{i}"))).collect()).await;
    assert_eq!((many.len(), field(many[500].clone())), (501, "batch".to_owned()));
    assert_eq!(SimLedger::read(&cloud.path).expect("reads").live, []);
}
