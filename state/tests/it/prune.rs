//! The journal is bounded, and runs that were cut off are told as such.

use std::time::Duration;

use pool_state::{Change, Keep, NewRun, RunId, Store};

use crate::support::*;

/// A run with so many entries, begun at a time.
async fn ran(store: &Store, lease: &pool_state::Lease, id: &str, started: i64, entries: usize, audit: Option<&str>) {
    let new = NewRun { started, now: started, audit: audit.map(Into::into), ..run(id) };
    store.begin_run(lease, new).await.unwrap();
    let all = (0..entries).map(|_| entry(id, "started", Change::None)).collect();
    store.journal(lease, all).await.unwrap();
}

async fn end(store: &Store, lease: &pool_state::Lease, id: &str) {
    store.end_run(lease, &RunId(id.into()), 2_000, "done".into(), 0, "{}".into()).await.unwrap();
}

async fn left(store: &Store) -> Vec<(String, usize)> {
    let mut out = Vec::new();
    for run in store.runs(100).await.unwrap() {
        out.push((run.id.to_string(), store.entries(&run.id).await.unwrap().len()));
    }
    out.sort();
    out
}

#[tokio::test]
async fn old_runs_go_and_what_must_be_remembered_stays() {
    let place = place();
    let store = place.open().await;
    let lease = lease(&store).await;
    for (id, started, audit) in [("r1", 10, None), ("r2", 20, Some("max_destroyed lifted")), ("r3", 30, None)] {
        ran(&store, &lease, id, started, 3, audit).await;
        end(&store, &lease, id).await;
    }
    ran(&store, &lease, "r4", 40, 3, None).await;
    for (id, started) in [("r5", 900), ("r6", 1_000)] {
        ran(&store, &lease, id, started, 3, None).await;
        end(&store, &lease, id).await;
    }
    let all = |rows: &[(&str, usize)]| rows.iter().map(|(id, n)| ((*id).to_owned(), *n)).collect::<Vec<_>>();
    let keep = Keep { runs: 1, age: 500, entries: 1_000 };
    assert_eq!(store.prune(&lease, keep, 1_100).await.unwrap(), 9);
    // Of the run that was audited the entries go; the one that has not ended is left alone.
    assert_eq!(left(&store).await, all(&[("r2", 0), ("r4", 3), ("r5", 3), ("r6", 3)]));
    assert_eq!(store.prune(&lease, keep, 1_100).await.unwrap(), 0);
    // Too many entries make a young run go, but not the newest.
    assert_eq!(store.prune(&lease, Keep { entries: 2, ..keep }, 1_100).await.unwrap(), 3);
    assert_eq!(left(&store).await, all(&[("r2", 0), ("r4", 3), ("r6", 3)]));
    // Numbers go on, and other entries cannot be deleted.
    assert_eq!(store.journal(&lease, vec![entry("r6", "x", Change::None)]).await.unwrap(), [19]);
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(place.file());
    let mut conn = sqlx::ConnectOptions::connect(&options).await.unwrap();
    let refused = sqlx::query("DELETE FROM journal WHERE run = 'r6'").execute(&mut conn).await.unwrap_err();
    assert!(refused.to_string().contains("append-only"), "{refused}");
}

#[tokio::test]
async fn the_file_stops_growing() {
    let place = place();
    let store = place.open().await;
    let lease = lease(&store).await;
    let keep = Keep { runs: 2, age: 1_000_000, entries: 2_000 };
    let mut sizes = Vec::new();
    for n in 0..12 {
        let id = format!("r{n}");
        ran(&store, &lease, &id, 1_000 + n, 1_500, None).await;
        end(&store, &lease, &id).await;
        store.prune(&lease, keep, 2_000).await.unwrap();
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(place.file());
        let mut conn = sqlx::ConnectOptions::connect(&options).await.unwrap();
        let pages: i64 = sqlx::query_scalar("PRAGMA page_count").fetch_one(&mut conn).await.unwrap();
        sizes.push(pages);
    }
    assert!(sizes[11] <= sizes[5] + sizes[5] / 10, "{sizes:?}");
    assert_eq!(left(&store).await.len(), 2);
}

#[tokio::test]
async fn a_run_that_was_cut_off_is_told_by_the_next() {
    let place = place();
    let (one, two) = (place.open().await, place.open().await);
    let dead = one.acquire(pool_state::LeaseRequest { ttl: Duration::ZERO, ..request("alice") }).await.unwrap();
    one.begin_run(&dead, run("r1")).await.unwrap();
    one.journal(&dead, vec![entry("r1", "started", Change::None)]).await.unwrap();
    let next = two.acquire(request("bob")).await.unwrap();
    assert_eq!(two.unfinished_runs().await.unwrap().len(), 1, "until someone takes over");
    two.begin_run(&next, run("r2")).await.unwrap();
    let runs = two.runs(9).await.unwrap();
    let first = runs.iter().find(|run| &*run.id.0 == "r1").unwrap();
    assert_eq!((first.outcome.as_deref(), first.ended, first.exit_code), (Some("cut off"), Some(1_000), None));
    assert_eq!(two.unfinished_runs().await.unwrap().len(), 1, "its own");
}
