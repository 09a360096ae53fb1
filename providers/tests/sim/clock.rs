//! Time: boot, latency, visibility, rate.

use std::time::Duration;

use pool_inventory::{
    Kind, TimeSpan,
    desired::{SimCall, SimClock, SimError, SimSpec},
    object::Status,
};
use pool_providers::{Operation, Progress, Provider, ProviderError};
use tokio::time::Instant;

use crate::support::*;

#[tokio::test]
async fn on_a_virtual_clock_nobody_waits() {
    let (latency, boot) = (TimeSpan::secs(5), TimeSpan::secs(600));
    let cloud = Sim::new(SimSpec { latency, boot, ..SimSpec::default() });
    let begin = Instant::now();
    let answers = cloud.provider.submit((0..3).map(|i| create_host(&format!("web-{i}"))).collect()).await;
    let operations: Vec<Operation> = answers.into_iter().map(pending).collect();
    let before = cloud.provider.list(Kind::Host, None).await.expect("lists").objects;
    assert!(before.iter().all(|h| h.status == Status::Pending && h.endpoint.is_none()));

    for answer in cloud.provider.poll(&operations).await {
        assert_eq!(done(answer).status, Status::Ready);
    }
    assert!(begin.elapsed() < Duration::from_secs(5));
    let calls = cloud.ledger();
    assert!(calls.now - calls.effects[0].now >= boot.0);
}

#[tokio::test]
async fn on_a_real_clock_boot_takes_its_time() {
    let spec = SimSpec { clock: SimClock::Real, boot: TimeSpan(60), latency: TimeSpan(4), ..SimSpec::default() };
    let cloud = Sim::new(spec);
    let begin = Instant::now();
    let operation = pending(one(&cloud.provider, create_host("web-1")).await);
    loop {
        match cloud.provider.poll(std::slice::from_ref(&operation)).await.remove(0) {
            Ok(Progress::Pending(same)) => assert_eq!(same, operation),
            other => break drop(done(other)),
        }
    }
    assert!(begin.elapsed() >= Duration::from_millis(60));
}

#[tokio::test]
async fn an_operation_is_asked_for_by_another_process() {
    let cloud = Sim::new(SimSpec { boot: TimeSpan::secs(60), ..SimSpec::default() });
    let operation = pending(one(&cloud.provider, create_host("web-1")).await);
    assert!(cloud.again().poll(&[operation]).await.remove(0).is_ok());
    let unknown = cloud.provider.poll(&[Operation("h-99".into())]).await.remove(0);
    assert_eq!(unknown, Err(ProviderError::NotFound("h-99".into())));
}

#[tokio::test]
async fn new_objects_are_found_at_the_latest_after_the_visibility_delay() {
    let cloud = Sim::new(SimSpec { visibility: TimeSpan(150), ..SimSpec::default() });
    let other = cloud.again();
    let hosts: Vec<_> = (0..50).map(|i| format!("web-{i}")).collect();
    cloud.provider.submit(hosts.iter().map(|h| create_host(h)).collect()).await;
    let early = other.list(Kind::Host, None).await.expect("lists").objects.len();
    assert!(early < 50, "some are missing at first");
    tokio::time::sleep(Duration::from_millis(151)).await;
    assert_eq!(other.list(Kind::Host, None).await.expect("lists").objects.len(), 50);
    for host in &hosts {
        assert!(other.find(&host_owner(host, 0).token).await.expect("looks up").is_some());
    }
}

#[tokio::test]
async fn deleted_objects_are_listed_for_a_while_as_being_deleted() {
    let cloud = Sim::new(SimSpec { visibility: TimeSpan(150), ..SimSpec::default() });
    let hosts = cloud.provider.submit((0..50).map(|i| create_host(&format!("web-{i}"))).collect()).await;
    tokio::time::sleep(Duration::from_millis(151)).await;
    for host in hosts {
        done_gone(&cloud.provider, &done(host)).await;
    }
    let ghosts = cloud.provider.list(Kind::Host, None).await.expect("lists").objects;
    assert!(!ghosts.is_empty() && ghosts.iter().all(|g| g.status == Status::Deleting));
    tokio::time::sleep(Duration::from_millis(151)).await;
    assert_eq!(cloud.provider.list(Kind::Host, None).await.expect("lists").objects, []);
}

#[tokio::test]
async fn a_call_over_the_rate_says_when_to_come_back() {
    let cloud = Sim::new(SimSpec { rate: Some(3), clock: SimClock::Real, ..SimSpec::default() });
    let mut refused = None;
    // Four calls within one second are certain among eight in a row.
    for _ in 0..8 {
        if let Err(error) = cloud.provider.list(Kind::Host, None).await {
            refused = Some(error);
            break;
        }
    }
    let Some(ProviderError::RateLimited { after: Some(after) }) = refused else { panic!("{refused:?}") };
    tokio::time::sleep(after.duration()).await;
    assert!(cloud.provider.list(Kind::Host, None).await.is_ok());
    assert_eq!(cloud.ledger().counters.limited, 1);
}

#[tokio::test]
async fn a_refusal_on_the_virtual_clock_costs_a_call_and_no_time() {
    let cloud = Sim::new(SimSpec { rate: Some(1), ..SimSpec::default() });
    let mut refused = 0;
    for _ in 0..20 {
        refused += u32::from(cloud.provider.list(Kind::Host, None).await.is_err());
    }
    assert!((5..=10).contains(&refused), "{refused}");
}

#[tokio::test]
async fn what_is_stuck_stays_pending_and_can_be_deleted() {
    let spec = SimSpec { faults: vec![always(SimCall::Create, SimError::Stuck)], ..SimSpec::default() };
    let cloud = Sim::new(spec);
    let operation = pending(one(&cloud.provider, create_host("web-1")).await);
    for _ in 0..3 {
        assert_eq!(
            cloud.provider.poll(std::slice::from_ref(&operation)).await.remove(0),
            Ok(Progress::Pending(operation.clone()))
        );
    }
    let stuck = cloud.provider.find(&host_owner("web-1", 0).token).await.expect("looks up").expect("exists");
    assert_eq!(stuck.status, Status::Pending);
    done_gone(&cloud.provider, &stuck).await;
}

#[track_caller]
fn pending(answer: Result<Progress, ProviderError>) -> Operation {
    match answer {
        Ok(Progress::Pending(operation)) => operation,
        other => panic!("not pending: {other:?}"),
    }
}
