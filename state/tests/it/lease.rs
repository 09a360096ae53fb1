//! One writer at a time.

use std::time::{Duration, Instant};

use pool_state::{Change, LeaseRequest, StateError};

use crate::support::*;

#[tokio::test]
async fn the_second_is_told_who_holds_it() {
    let place = place();
    let (one, two) = (place.open().await, place.open().await);
    assert_eq!(one.lease().await.unwrap(), None);
    let held = one.acquire(request("alice")).await.unwrap();
    let StateError::LeaseHeld { id, holder, reason, since, expires } = two.acquire(request("bob")).await.unwrap_err()
    else {
        panic!("not held")
    };
    assert_eq!((&id, &*holder, &*reason, expires - since), (held.id(), "alice", "apply", 60));
    let info = two.lease().await.unwrap().unwrap();
    assert_eq!((&info.id, info.epoch, info.alive), (held.id(), 1, true));
    one.release(held).await.unwrap();
    assert_eq!(two.lease().await.unwrap(), None);
    assert_eq!(two.acquire(request("bob")).await.unwrap().epoch(), 2);
}

#[tokio::test]
async fn who_waits_gets_it_after_the_release() {
    let place = place();
    let (one, two) = (place.open().await, place.open().await);
    let held = one.acquire(request("alice")).await.unwrap();
    let waiting = tokio::spawn(async move {
        two.acquire(LeaseRequest { wait: Duration::from_secs(30), ..request("bob") }).await.map(|lease| lease.epoch())
    });
    tokio::task::yield_now().await;
    one.release(held).await.unwrap();
    assert_eq!(waiting.await.unwrap().unwrap(), 2);
}

#[tokio::test]
async fn waiting_has_an_end() {
    let place = place();
    let (one, two) = (place.open().await, place.open().await);
    let _held = one.acquire(request("alice")).await.unwrap();
    let begun = Instant::now();
    let short = LeaseRequest { wait: Duration::from_millis(120), ..request("bob") };
    assert!(matches!(two.acquire(short).await, Err(StateError::LeaseHeld { .. })));
    assert!(begun.elapsed() >= Duration::from_millis(120) && begun.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_dropped_lease_is_taken_at_once() {
    let place = place();
    let (one, two) = (place.open().await, place.open().await);
    let held = one.acquire(request("alice")).await.unwrap();
    drop(held);
    assert!(!two.lease().await.unwrap().unwrap().alive);
    assert_eq!(two.acquire(request("bob")).await.unwrap().epoch(), 2);
}

#[tokio::test]
async fn an_expired_lease_is_taken_and_its_holder_writes_no_more() {
    let place = place();
    let (one, two) = (place.open().await, place.open().await);
    let expired = one.acquire(LeaseRequest { ttl: Duration::ZERO, ..request("alice") }).await.unwrap();
    one.begin_run(&expired, run("r1")).await.unwrap();
    one.renew(&expired).await.expect("nobody took it yet");
    let taken = two.acquire(request("bob")).await.unwrap();
    let object = host(&one, "web-0", 1);
    let written = one.journal(&expired, vec![entry("r1", "succeeded", put(&object))]).await;
    assert!(matches!(written, Err(StateError::LeaseLost)));
    assert!(matches!(one.renew(&expired).await, Err(StateError::LeaseLost)));
    assert!(matches!(one.begin_run(&expired, run("r2")).await, Err(StateError::LeaseLost)));
    let end = one.end_run(&expired, &pool_state::RunId("r1".into()), 1, "x".into(), 0, "{}".into()).await;
    assert!(matches!(end, Err(StateError::LeaseLost)));
    assert_eq!(one.objects().await.unwrap(), vec![]);
    two.journal(&taken, vec![entry("r1", "settled", Change::None)]).await.unwrap();
    one.release(expired).await.expect("what was lost is gone already");
    assert_eq!(two.lease().await.unwrap().unwrap().id, *taken.id(), "the loser's release touches nobody else's");
    two.renew(&taken).await.unwrap();
}

#[tokio::test]
async fn an_unlocked_holder_writes_no_more_and_it_is_in_the_history() {
    let place = place();
    let (one, two) = (place.open().await, place.open().await);
    let held = one.acquire(request("alice")).await.unwrap();
    one.begin_run(&held, run("r1")).await.unwrap();
    for wrong in ["", "zz"] {
        let error = two.unlock(wrong).await.unwrap_err();
        assert!(matches!(error, StateError::NoSuchLease { current: Some(id), .. } if id == *held.id()));
    }
    let info = two.unlock(&held.id()[..6]).await.unwrap();
    assert_eq!((&*info.holder, info.alive), ("alice", true));
    let written = one.journal(&held, vec![entry("r1", "started", Change::None)]).await;
    assert!(matches!(written, Err(StateError::LeaseLost)));
    let audit = two.runs(10).await.unwrap().into_iter().find(|run| &*run.command == "unlock").unwrap();
    let entries = two.entries(&audit.id).await.unwrap();
    assert!(&*entries[0].kind == "unlocked" && entries[0].body.contains("alice"), "{entries:?}");
    assert!(matches!(two.unlock("a").await, Err(StateError::NoSuchLease { current: None, .. })));
    // What a living holder had under way is waited for until its lease would have expired.
    let next = two.acquire(request("bob")).await.unwrap();
    assert!(next.quiet_since() > Instant::now() + Duration::from_secs(30));
    two.release(next).await.unwrap();
    let next = two.acquire(request("bob")).await.unwrap();
    assert!(next.quiet_since() > Instant::now() + Duration::from_secs(30), "also by the one after that");
    drop(next);
    // The next holder is not mistaken for the one that still hangs, nor the other way round.
    let next = two.acquire(request("bob")).await.unwrap();
    assert!(
        matches!(one.acquire(request("carol")).await, Err(StateError::LeaseHeld { holder, .. }) if &*holder == "bob")
    );
    drop(held);
    assert!(two.lease().await.unwrap().unwrap().alive);
    drop(next);
    one.acquire(request("carol")).await.unwrap();
}

#[tokio::test]
async fn lock_files_are_private_and_do_not_stay() {
    use std::os::unix::fs::PermissionsExt;
    let place = place();
    let store = place.open().await;
    let locks = || {
        let names = std::fs::read_dir(place.file().parent().unwrap()).unwrap().map(|e| e.unwrap().path());
        names.filter(|p| p.extension().is_some_and(|e| e == "lock")).collect::<Vec<_>>()
    };
    let held = lease(&store).await;
    assert_eq!(std::fs::metadata(&locks()[0]).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(store.acquire(request("bob")).await.is_err());
    store.release(held).await.unwrap();
    assert_eq!(locks(), Vec::<std::path::PathBuf>::new());
}

/// Changes the row of the lease, as a wall clock that was set would make it look.
async fn set_expiry(place: &Place, wall_ms: i64, boot_ms: Option<i64>) {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(place.file());
    let mut conn = sqlx::ConnectOptions::connect(&options).await.unwrap();
    let query = "UPDATE leases SET expires_ms = $1, expires_boot_ms = coalesce($2, expires_boot_ms)";
    sqlx::query(query).bind(wall_ms).bind(boot_ms).execute(&mut conn).await.unwrap();
    sqlx::Connection::close(conn).await.unwrap();
}

#[tokio::test]
async fn a_wall_clock_that_jumps_neither_takes_a_lease_nor_keeps_one() {
    let place = place();
    let (one, two) = (place.open().await, place.open().await);
    let held = one.acquire(request("alice")).await.unwrap();
    // As if the clock had been set forward by an hour between two heartbeats.
    set_expiry(&place, 0, None).await;
    assert!(matches!(two.acquire(request("bob")).await, Err(StateError::LeaseHeld { .. })));
    one.assure(&held.pass()).await.expect("it is at work");
    // As if it had been set back by years: the holder hangs, and its minute is over all the same.
    set_expiry(&place, i64::MAX, Some(0)).await;
    let taken = two.acquire(request("bob")).await.unwrap();
    assert!(matches!(one.assure(&held.pass()).await, Err(StateError::LeaseLost)));
    two.assure(&taken.pass()).await.unwrap();
}

#[tokio::test]
async fn a_pass_is_worth_nothing_without_its_lease() {
    let place = place();
    let (one, two) = (place.open().await, place.open().await);
    // Stale from the start: each look renews it, as long as nobody took it.
    let held = one.acquire(LeaseRequest { ttl: Duration::ZERO, ..request("alice") }).await.unwrap();
    let pass = held.pass();
    one.assure(&pass).await.expect("nobody took it");
    let taken = two.acquire(request("bob")).await.unwrap();
    assert!(matches!(one.assure(&pass).await, Err(StateError::LeaseLost)));
    let stolen = taken.pass();
    one.unlock(taken.id()).await.unwrap();
    assert!(matches!(two.assure(&stolen).await, Err(StateError::LeaseLost)));
    let third = two.acquire(request("carol")).await.unwrap();
    let pass = third.pass();
    two.release(third).await.unwrap();
    assert!(matches!(two.assure(&pass).await, Err(StateError::LeaseLost)));
}
