//! Plans are used once, and only as they were saved.

use std::collections::BTreeMap;

use pool_inventory::{
    Address,
    object::{Attachment, Recorded, Spec},
};
use pool_state::{Change, Charge, Lease, NewPlan, NewRun, RunId, StateError, Store};

use crate::support::*;

fn with_plan(id: &str, plan: &str) -> NewRun {
    NewRun { plan: Some(plan.into()), plan_hash: "h1".into(), ..run(id) }
}

async fn refused(store: &Store, lease: &Lease, run: NewRun) -> StateError {
    let (id, plan) = (run.id.clone(), run.plan.clone());
    let error = store.begin_run(lease, run).await.unwrap_err();
    assert_eq!(store.run(&id.0).await.unwrap(), None, "a refused run leaves no row");
    if let Some(saved) = store.plan(plan.as_deref().unwrap_or("")).await.unwrap() {
        assert_ne!(saved.used_by, Some(id), "a refused run leaves the plan unused");
    }
    error
}

#[tokio::test]
async fn a_plan_is_found_by_the_beginning_of_its_id() {
    let place = place();
    let store = place.open().await;
    for id in ["7f3a2c", "7f9b00", "7f"] {
        store.save_plan(plan(id)).await.unwrap();
    }
    let found = store.plan("7f3").await.unwrap().unwrap();
    assert_eq!((&*found.id, &*found.bytes, found.used_by), ("7f3a2c", &b"{\"version\":1}"[..], None));
    assert_eq!(&*store.plan("7f").await.unwrap().unwrap().id, "7f", "a whole id means itself");
    assert!(matches!(store.plan("7").await, Err(StateError::Ambiguous { .. })));
    for missing in ["", "8", "%", "7f3a2c0"] {
        assert_eq!(store.plan(missing).await.unwrap(), None, "{missing}");
    }
}

#[tokio::test]
async fn old_plans_are_forgotten_and_valid_ones_never() {
    let place = place();
    let store = place.open().await;
    let plan = |n: i64, expires| NewPlan { created: n, expires, ..plan(&format!("p{n:03}")) };
    store.save_plan(plan(0, 10_000)).await.unwrap();
    for n in 1..=60 {
        store.save_plan(plan(n, n + 1)).await.unwrap();
    }
    let left: Vec<String> = store.plans().await.unwrap().iter().map(|p| p.id.to_string()).collect();
    assert_eq!((left.len(), left[0].as_str(), left[49].as_str(), left[50].as_str()), (51, "p060", "p011", "p000"));
}

#[tokio::test]
async fn a_plan_is_used_once() {
    let place = place();
    let store = place.open().await;
    let lease = lease(&store).await;
    store.save_plan(plan("p1")).await.unwrap();
    store.begin_run(&lease, with_plan("r1", "p1")).await.unwrap();
    assert_eq!(store.plan("p1").await.unwrap().unwrap().used_by, Some(RunId("r1".into())));
    let error = refused(&store, &lease, with_plan("r2", "p1")).await;
    assert!(matches!(error, StateError::PlanUsed { run, .. } if run.0 == text("r1")));
}

#[tokio::test]
async fn an_unknown_tampered_or_expired_plan_is_refused() {
    let place = place();
    let store = place.open().await;
    let lease = lease(&store).await;
    store.save_plan(plan("p1")).await.unwrap();
    assert!(matches!(refused(&store, &lease, with_plan("r1", "p2")).await, StateError::PlanUnknown { .. }));
    let other = NewRun { plan_hash: "h2".into(), ..with_plan("r1", "p1") };
    assert!(matches!(refused(&store, &lease, other).await, StateError::PlanTampered { .. }));
    let late = NewRun { now: 2_000, ..with_plan("r1", "p1") };
    assert!(matches!(refused(&store, &lease, late).await, StateError::PlanExpired { expires: 2_000, .. }));
    store.begin_run(&lease, NewRun { now: 1_999, ..with_plan("r1", "p1") }).await.unwrap();
}

#[tokio::test]
async fn a_plan_is_stale_when_an_object_that_it_read_has_moved() {
    let place = place();
    let store = place.open().await;
    let lease = lease(&store).await;
    record(&store, &lease, vec![put(&host(&store, "web-0", 1)), put(&host(&store, "web-1", 1))]).await;
    store.save_plan(plan("p1")).await.unwrap();
    let reading = |reads: &[(&str, u64)]| NewRun {
        reads: reads.iter().map(|(name, serial)| (Address::host(name), *serial)).collect::<BTreeMap<_, _>>(),
        ..with_plan("r2", "p1")
    };
    for (reads, address, expected, found) in [
        (&[("web-0", 1), ("web-1", 1)][..], "web-1", 1, 2),
        (&[("web-1", 0)], "web-1", 0, 2),
        (&[("web-9", 4)], "web-9", 4, 0),
    ] {
        let error = refused(&store, &lease, reading(reads)).await;
        let StateError::PlanStale { address: at, expected: e, found: f } = error else { panic!("{error}") };
        assert_eq!((at, e, f), (Address::host(address), expected, found));
    }
    // A change elsewhere does not matter.
    record(&store, &lease, vec![put(&host(&store, "web-1", 1))]).await;
    store.begin_run(&lease, reading(&[("web-0", 1), ("web-7", 0)])).await.unwrap();
}

#[tokio::test]
async fn a_run_gets_what_its_plan_may_ask_for() {
    let place = place();
    let store = place.open().await;
    let lease = lease(&store).await;
    let mut rows: Vec<Recorded> = (0..40).map(|n| host(&store, &format!("web-{n}"), 1)).collect();
    rows.extend((0..40).map(|n| volume(&store, &format!("web-{n}"))));
    // One whose name begins like another's, one attached to a host of another name, one in doubt, one that is replaced.
    rows.extend([volume(&store, "web"), host(&store, "far", 1), host(&store, "web-3", 2)]);
    let Spec::Volume(lent) = &mut rows[43].spec else { panic!("{:?}", rows[43].address) };
    lent.attached = Some(Attachment { host: Address::host("far"), mount: None });
    rows[7].id = None;
    record(&store, &lease, rows.iter().map(put).collect()).await;
    store.save_plan(plan("p1")).await.unwrap();
    let serial = store.object(&Address::volume("web-3", "data")).await.unwrap()[0].serial;
    let reads = BTreeMap::from([(Address::volume("web-3", "data"), serial), (Address::host("nobody"), 0)]);
    let found = store.begin_run(&lease, NewRun { reads, ..with_plan("r2", "p1") }).await.unwrap();
    let found: Vec<String> = found.iter().map(|o| format!("{} {}", o.address, o.generation)).collect();
    assert_eq!(found, ["host/far 1", "host/web-3 1", "host/web-3 2", "host/web-7 1", "volume/web-3.data 1"]);

    store.save_plan(plan("p2")).await.unwrap();
    let reads = rows.iter().filter(|row| row.generation == 1).map(|row| row.address.clone());
    let mut serials = BTreeMap::new();
    for address in reads {
        let serial = store.object(&address).await.unwrap()[0].serial;
        serials.insert(address, serial);
    }
    let found = store.begin_run(&lease, NewRun { reads: serials, ..with_plan("r3", "p2") }).await.unwrap();
    assert_eq!(found.len(), rows.len(), "a plan that reads much gets all");
}

#[tokio::test]
async fn what_does_not_fit_beside_current_objects_is_refused() {
    let place = place();
    let store = place.open().await;
    let lease = lease(&store).await;
    record(&store, &lease, vec![put(&host(&store, "web-0", 1)), put(&volume(&store, "web-0"))]).await;
    store.save_plan(plan("p1")).await.unwrap();
    let wanting = |charges: &[(&str, u64, u64)]| NewRun {
        demand: charges
            .iter()
            .map(|(account, amount, limit)| Charge { account: (*account).into(), amount: *amount, limit: *limit })
            .collect(),
        ..with_plan("r2", "p1")
    };
    let error = refused(&store, &lease, wanting(&[("tenant/retail/hosts", 1, 2), ("tenant/retail/vcpus", 5, 8)])).await;
    let StateError::NoRoom { account, used, amount, limit } = error else { panic!("{error}") };
    assert_eq!((&*account, used, amount, limit), ("tenant/retail/vcpus", 4, 5, 8));
    let twice = wanting(&[("backend/cloud/fast", 100 << 30, 350 << 30), ("backend/cloud/fast", 100 << 30, 350 << 30)]);
    assert!(matches!(refused(&store, &lease, twice).await, StateError::NoRoom { .. }), "charges add up");
    store.begin_run(&lease, wanting(&[("tenant/retail/vcpus", 4, 8), ("tenant/other/hosts", 1, 1)])).await.unwrap();
}

#[tokio::test]
async fn runs_are_listed_with_how_they_ended() {
    let place = place();
    let store = place.open().await;
    let lease = lease(&store).await;
    let audited = NewRun { audit: Some("max_destroyed lifted: moving out".into()), ..run("r1") };
    store.begin_run(&lease, audited).await.unwrap();
    store.begin_run(&lease, NewRun { started: 1_001, ..run("r2") }).await.unwrap();
    let taken = store.begin_run(&lease, run("r2")).await;
    assert!(matches!(taken, Err(StateError::RunExists { .. })));
    let id = RunId("r1".into());
    store.end_run(&lease, &id, 1_050, "succeeded".into(), 0, r#"{"version":1}"#.into()).await.unwrap();
    let ids = |runs: Vec<pool_state::RunRow>| runs.into_iter().map(|r| r.id.to_string()).collect::<Vec<_>>();
    assert_eq!(ids(store.runs(10).await.unwrap()), ["r2", "r1"]);
    assert_eq!(ids(store.runs(1).await.unwrap()), ["r2"]);
    assert_eq!(ids(store.unfinished_runs().await.unwrap()), ["r2"]);
    let first = store.run("r1").await.unwrap().unwrap();
    assert_eq!((first.ended, first.exit_code, first.outcome), (Some(1_050), Some(0), Some(text("succeeded"))));
    assert_eq!((&*first.holder, first.epoch, first.audit.is_some()), ("alice", 1, true));
    let missing = store.end_run(&lease, &RunId("r9".into()), 1, "x".into(), 0, "{}".into()).await;
    assert!(matches!(missing, Err(StateError::RunUnknown { .. })));
}

#[tokio::test]
async fn a_run_that_was_cut_off_is_finished_under_another_lease() {
    let place = place();
    let store = place.open().await;
    let first = lease(&store).await;
    store.begin_run(&first, run("r1")).await.unwrap();
    drop(first);
    store.close().await;
    let store = place.open().await;
    let second = lease(&store).await;
    let id = store.unfinished_runs().await.unwrap().remove(0).id;
    store.journal(&second, vec![entry("r1", "settled", Change::None)]).await.unwrap();
    store.end_run(&second, &id, 1_100, "interrupted".into(), 130, "{}".into()).await.unwrap();
    assert_eq!(store.unfinished_runs().await.unwrap(), []);
}
