//! Objects, journal, serials.

use pool_inventory::Address;
use pool_state::{Change, RunId, StateError};
use sqlx::{Connection, Row};

use crate::support::*;

#[tokio::test]
async fn what_was_put_is_read_back_in_full() {
    let place = place();
    let store = place.open().await;
    let lease = lease(&store).await;
    let (mut host, mut volume) = (host(&store, "web-0", 1), volume(&store, "web-0"));
    record(&store, &lease, vec![put(&host), put(&volume)]).await;
    (host.serial, volume.serial) = (1, 2);
    assert_eq!(store.objects().await.unwrap(), vec![host.clone(), volume]);
    assert_eq!(store.object(&host.address).await.unwrap(), vec![host]);
    assert_eq!(store.object(&Address::host("web-9")).await.unwrap(), vec![]);
    assert_eq!(store.serial().await.unwrap(), 2);
}

#[tokio::test]
async fn objects_are_sorted_by_number_and_generation() {
    let place = place();
    let store = place.open().await;
    let lease = lease(&store).await;
    let names = ["web-10", "web-2", "web-9"];
    let mut changes: Vec<Change> = names.iter().map(|n| put(&host(&store, n, 1))).collect();
    changes.push(put(&host(&store, "web-2", 2)));
    record(&store, &lease, changes).await;
    let order: Vec<(String, u32)> = shown(&store).await.into_iter().map(|(a, g, _)| (a, g)).collect();
    let expected = [("host/web-2", 1), ("host/web-2", 2), ("host/web-9", 1), ("host/web-10", 1)];
    assert_eq!(order, expected.map(|(a, g)| (a.to_owned(), g)));
}

#[tokio::test]
async fn a_change_of_one_generation_moves_the_serial_of_its_address() {
    let place = place();
    let store = place.open().await;
    let lease = lease(&store).await;
    record(&store, &lease, vec![put(&host(&store, "web-0", 1)), put(&host(&store, "web-1", 1))]).await;
    record(&store, &lease, vec![put(&host(&store, "web-0", 2))]).await;
    let row = |a: &str, g, s| (a.to_owned(), g, s);
    assert_eq!(shown(&store).await, [row("host/web-0", 1, 3), row("host/web-0", 2, 3), row("host/web-1", 1, 2)]);
    record(&store, &lease, vec![Change::Remove { address: Address::host("web-0"), generation: 1 }]).await;
    assert_eq!(shown(&store).await, [row("host/web-0", 2, 4), row("host/web-1", 1, 2)]);
}

#[tokio::test]
async fn later_changes_of_one_call_win() {
    let place = place();
    let store = place.open().await;
    let lease = lease(&store).await;
    let gone = Change::Remove { address: Address::host("web-0"), generation: 1 };
    record(&store, &lease, vec![put(&host(&store, "web-0", 1)), gone.clone()]).await;
    assert_eq!(shown(&store).await, []);
    let mut second = host(&store, "web-0", 1);
    second.id = Some("srv-second".into());
    record(&store, &lease, vec![put(&host(&store, "web-0", 1)), gone, put(&second)]).await;
    assert_eq!(store.objects().await.unwrap()[0].id.as_deref(), Some("srv-second"));
}

#[tokio::test]
async fn a_rename_moves_the_record_and_both_addresses_are_stale() {
    let place = place();
    let store = place.open().await;
    let lease = lease(&store).await;
    record(&store, &lease, vec![put(&host(&store, "web-0", 1))]).await;
    let to = host(&store, "front-0", 1);
    let rename = Change::Rename { from: Address::host("web-0"), generation: 1, to: Box::new(to) };
    store.edit(&lease, &RunId("r1".into()), vec![rename], "renamed the pool".into()).await.unwrap();
    assert_eq!(shown(&store).await, [("host/front-0".to_owned(), 1, 2)]);
    let entries = store.entries(&RunId("r1".into())).await.unwrap();
    let edited = entries.last().unwrap();
    assert_eq!((&*edited.kind, edited.serial), ("edited", Some(2)));
    assert!(edited.body.contains("renamed the pool"), "{}", edited.body);
}

#[tokio::test]
async fn entries_are_numbered_and_kept_as_they_were() {
    let place = place();
    let store = place.open().await;
    let lease = lease(&store).await;
    let first = record(&store, &lease, vec![Change::None, put(&host(&store, "web-0", 1))]).await;
    let second = record(&store, &lease, vec![Change::None]).await;
    assert_eq!((first, second), (vec![1, 2], vec![3]));
    let rows = store.entries(&RunId("r1".into())).await.unwrap();
    let brief: Vec<_> = rows.iter().map(|r| (r.seq, r.address.as_ref().map(ToString::to_string), r.serial)).collect();
    assert_eq!(brief, [(1, None, None), (2, Some("host/web-0".to_owned()), Some(1)), (3, None, None)]);
    assert_eq!((rows[1].step, rows[1].at_ms, rows[1].body.as_str()), (Some(7), 1_000_123, r#"{"version":1}"#));
    assert_eq!(store.entries(&RunId("r2".into())).await.unwrap(), []);
}

#[tokio::test]
async fn an_unknown_run_is_refused_without_harm_to_others() {
    let place = place();
    let store = place.open().await;
    let lease = lease(&store).await;
    store.begin_run(&lease, run("r1")).await.unwrap();
    let good = store.journal(&lease, vec![entry("r1", "started", Change::None)]);
    let bad = store.journal(&lease, vec![entry("r9", "started", put(&host(&store, "web-0", 1)))]);
    let (good, bad) = tokio::join!(good, bad);
    assert_eq!(good.unwrap(), vec![1]);
    assert!(matches!(bad, Err(StateError::RunUnknown { id }) if &*id == "r9"));
    assert_eq!(store.objects().await.unwrap(), vec![]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_at_the_same_time_get_numbers_of_their_own() {
    let place = place();
    let store = place.open().await;
    let lease = std::sync::Arc::new(lease(&store).await);
    store.begin_run(&lease, run("r1")).await.unwrap();
    let tasks: Vec<_> = (0..64)
        .map(|caller| {
            let (store, lease) = (store.clone(), lease.clone());
            tokio::spawn(async move {
                let mut all = Vec::new();
                for n in 0..5 {
                    let object = host(&store, &format!("web-{}", caller * 5 + n), 1);
                    all.extend(store.journal(&lease, vec![entry("r1", "succeeded", put(&object))]).await.unwrap());
                }
                all
            })
        })
        .collect();
    let mut numbers = Vec::new();
    for task in tasks {
        numbers.extend(task.await.unwrap());
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=320).collect::<Vec<u64>>());
    assert_eq!(store.serial().await.unwrap(), 320);
    let mut serials: Vec<u64> = shown(&store).await.into_iter().map(|(_, _, serial)| serial).collect();
    serials.sort_unstable();
    assert_eq!(serials, (1..=320).collect::<Vec<u64>>());
}

#[tokio::test]
async fn a_long_call_is_one_transaction() {
    let place = place();
    let store = place.open().await;
    let lease = lease(&store).await;
    let changes = (0..2_000).map(|n| put(&host(&store, &format!("web-{n}"), 1))).collect();
    assert_eq!(record(&store, &lease, changes).await.len(), 2_000);
    assert_eq!(store.objects().await.unwrap().len(), 2_000);
    let gone = |n: u32| Change::Remove { address: Address::host(&format!("web-{n}")), generation: 1 };
    record(&store, &lease, (0..1_999).map(gone).collect()).await;
    assert_eq!(shown(&store).await, [("host/web-1999".to_owned(), 1, 2_000)]);
}

#[tokio::test]
async fn the_journal_cannot_be_rewritten() {
    let place = place();
    let store = place.open().await;
    let lease = lease(&store).await;
    record(&store, &lease, vec![Change::None]).await;
    store.close().await;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(place.file());
    let mut conn = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
    for sql in ["UPDATE journal SET kind = 'other'", "DELETE FROM journal"] {
        let error = sqlx::query(sql).execute(&mut conn).await.unwrap_err();
        assert!(error.to_string().contains("the journal is append-only"), "{error}");
    }
    let left = sqlx::query("SELECT count(*) FROM journal").fetch_one(&mut conn).await.unwrap();
    assert_eq!(left.get::<i64, _>(0), 1);
}

#[tokio::test]
async fn stock_outs_are_remembered_with_their_last_time() {
    let place = place();
    let store = place.open().await;
    for (candidate, at) in [("cloud/az1/m1", 10), ("cloud/az1/m1", 30), ("cloud/az1/m1", 20), ("cloud/az2/m1", 5)] {
        store.remember_stock_out(candidate, at).await.unwrap();
    }
    let all = store.stock_outs().await.unwrap();
    assert_eq!(all.into_iter().collect::<Vec<_>>(), [(text("cloud/az1/m1"), 30), (text("cloud/az2/m1"), 5)]);
}
