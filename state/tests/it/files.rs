//! The file itself: made, refused, migrated.

use std::os::unix::fs::PermissionsExt;

use pool_state::{Change, OpenOptions, StateError, Store};
use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};

use crate::support::*;

/// What version 1 wrote.
const V1: &str = include_str!("../fixtures/v1.sql");

async fn raw(place: &Place, sql: &'static str) {
    std::fs::create_dir_all(place.file().parent().unwrap()).unwrap();
    let options = SqliteConnectOptions::new().filename(place.file()).create_if_missing(true).foreign_keys(false);
    let mut conn = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql(sql).execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
}

fn mode(path: &std::path::Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn everything_is_private_to_the_user() {
    let place = place();
    let store = place.open().await;
    let folder = place.file().parent().unwrap().to_owned();
    assert_eq!(mode(&folder), 0o700);
    let files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path()).collect();
    assert!(files.len() >= 2, "the log stands beside the file: {files:?}");
    for file in files {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
    store.close().await;
    // A copy put back by hand is made private again.
    std::fs::set_permissions(place.file(), std::fs::Permissions::from_mode(0o644)).unwrap();
    place.open().await;
    assert_eq!(mode(&place.file()), 0o600);
}

#[tokio::test]
async fn what_was_written_is_there_after_closing() {
    let place = place();
    assert!(Store::open_existing(place.options(), now()).await.unwrap().is_none());
    assert!(!place.file().exists(), "looking makes nothing");
    let store = place.open().await;
    let lineage = store.lineage().clone();
    assert_eq!((lineage.0.len(), store.serial().await.unwrap()), (32, 0));
    let held = lease(&store).await;
    record(&store, &held, vec![put(&host(&store, "web-0", 1))]).await;
    let other = store.clone();
    store.close().await;
    assert!(matches!(other.journal(&held, vec![entry("r1", "x", Change::None)]).await, Err(StateError::Closed)));
    assert!(matches!(other.objects().await, Err(StateError::Closed)));
    let beside: Vec<_> = std::fs::read_dir(place.file().parent().unwrap()).unwrap().collect();
    assert_eq!(beside.len(), 2, "the file and the lease that is still held: {beside:?}");
    let again = Store::open_existing(place.options(), now()).await.unwrap().unwrap();
    assert_eq!((again.lineage(), again.objects().await.unwrap().len()), (&lineage, 1));
}

#[tokio::test]
async fn an_empty_file_is_a_state_that_was_not_made_in_full() {
    let place = place();
    std::fs::create_dir_all(place.file().parent().unwrap()).unwrap();
    std::fs::write(place.file(), "").unwrap();
    let store = place.open().await;
    assert_eq!(store.serial().await.unwrap(), 0);
    assert_eq!(mode(&place.file()), 0o600);
}

#[tokio::test]
async fn two_states_have_two_lineages_and_many_openers_one() {
    let (a, b) = (place(), place());
    let opened = tokio::join!(a.open(), a.open(), a.open(), b.open());
    assert_eq!(opened.0.lineage(), opened.1.lineage());
    assert_eq!(opened.0.lineage(), opened.2.lineage());
    assert_ne!(opened.0.lineage(), opened.3.lineage());
}

#[tokio::test]
async fn a_damaged_file_is_refused_and_kept() {
    let place = place();
    let store = place.open().await;
    let held = lease(&store).await;
    let changes = (0..200).map(|n| put(&host(&store, &format!("web-{n}"), 1))).collect();
    record(&store, &held, changes).await;
    store.close().await;
    let whole = std::fs::read(place.file()).unwrap();
    let torn = |from: usize, to: usize| {
        let mut bytes = whole.clone();
        bytes[from..to].fill(0xa5);
        bytes
    };
    let cases = [
        ("header", torn(0, 100)),
        ("one page", torn(4096 * 5, 4096 * 6)),
        ("most pages", torn(4096, whole.len())),
        ("cut short", whole[..whole.len() / 2].to_vec()),
        ("text", b"this is not a database, however long it may be".repeat(50)),
    ];
    for (what, bytes) in cases {
        std::fs::write(place.file(), &bytes).unwrap();
        let error = place.try_open().await.expect_err(what);
        assert!(matches!(&error, StateError::Corrupt { path, .. } if *path == place.file()), "{what}: {error:?}");
        assert!(error.to_string().contains("backup"), "{error}");
        assert_eq!(std::fs::read(place.file()).unwrap(), bytes, "{what}: left as it was");
    }
}

#[tokio::test]
async fn damage_in_a_large_file_is_found_when_it_is_read() {
    let place = place();
    let store = place.open().await;
    let held = lease(&store).await;
    store.begin_run(&held, run("r1")).await.unwrap();
    let mut large = entry("r1", "x", Change::None);
    large.body = format!("\"{}\"", "x".repeat(9 << 20));
    store.journal(&held, vec![large]).await.unwrap();
    let changes = (0..3_000).map(|n| put(&host(&store, &format!("web-{n}"), 1))).collect();
    record(&store, &held, changes).await;
    store.close().await;
    let mut bytes = std::fs::read(place.file()).unwrap();
    let from = bytes.len() / 8 * 7;
    bytes[from..].fill(0xa5);
    std::fs::write(place.file(), &bytes).unwrap();
    let store = place.open().await;
    let error = store.objects().await.unwrap_err();
    assert!(matches!(&error, StateError::Corrupt { .. }), "{error:?}");
    drop(store);
    // After a crash, every page is looked at.
    std::fs::write(place.file().with_file_name("state.db-wal"), [0; 32]).unwrap();
    assert!(matches!(place.try_open().await, Err(StateError::Corrupt { .. })));
}

#[tokio::test]
async fn a_newer_file_is_refused_and_kept() {
    let place = place();
    place.open().await.close().await;
    raw(&place, "PRAGMA user_version = 99").await;
    let before = std::fs::read(place.file()).unwrap();
    let error = place.try_open().await.unwrap_err();
    assert!(matches!(error, StateError::Newer { found: 99, known: 3, .. }), "{error:?}");
    assert_eq!(std::fs::read(place.file()).unwrap(), before);
}

#[tokio::test]
async fn the_database_of_another_program_is_refused_and_kept() {
    let place = place();
    raw(&place, "CREATE TABLE recipes (name TEXT); INSERT INTO recipes VALUES ('soup')").await;
    let before = std::fs::read(place.file()).unwrap();
    assert!(matches!(place.try_open().await, Err(StateError::Foreign { .. })));
    assert_eq!(std::fs::read(place.file()).unwrap(), before);
}

#[tokio::test]
async fn a_file_whose_tables_were_tampered_with_is_refused_and_kept() {
    for sql in [
        "CREATE TRIGGER t AFTER INSERT ON objects BEGIN DELETE FROM leases; END",
        "ALTER TABLE stock_outs RENAME TO away; CREATE TABLE stock_outs (lineage, candidate, at)",
        "ALTER TABLE stock_outs RENAME TO away; CREATE VIEW stock_outs AS SELECT 1 AS lineage, 2 AS candidate, 3 AS at",
    ] {
        let place = place();
        place.open().await.close().await;
        raw(&place, sql).await;
        let before = std::fs::read(place.file()).unwrap();
        let error = place.try_open().await.expect_err(sql);
        assert!(matches!(&error, StateError::Corrupt { detail, .. } if detail.contains("tables")), "{error:?}");
        assert_eq!(std::fs::read(place.file()).unwrap(), before);
    }
}

#[tokio::test]
async fn the_state_of_another_environment_is_refused() {
    let place = place();
    place.open().await.close().await;
    let options = OpenOptions { environment: name("dev"), ..place.options() };
    let error = Store::open(options, now()).await.unwrap_err();
    assert!(error.to_string().contains("acme/prod") && error.to_string().contains("acme/dev"), "{error}");
    // The inventory's name is for people.
    let renamed = OpenOptions { inventory: name("acme-shop"), ..place.options() };
    Store::open(renamed, now()).await.unwrap();
}

#[tokio::test]
async fn an_older_file_is_copied_and_migrated() {
    let place = place();
    raw(&place, V1).await;
    let store = place.open().await;
    assert_eq!(&*store.lineage().0, "000102030405060708090a0b0c0d0e0f");
    assert_eq!(shown(&store).await, [("host/web-0".to_owned(), 1, 1), ("volume/web-0.data".to_owned(), 1, 2)]);
    assert_eq!(store.runs(9).await.unwrap().len(), 1);
    assert_eq!(store.entries(&pool_state::RunId("r1".into())).await.unwrap().len(), 2);
    store.remember_stock_out("cloud/az1/m1", 1).await.expect("the new table is there");
    let backups = place.backups();
    assert_eq!(backups.len(), 1);
    assert!(backups[0].ends_with("state-20261121T100000Z-before-v3.db"), "{backups:?}");
    assert_eq!(mode(&backups[0]), 0o600);
    store.close().await;
    place.open().await.close().await;
    assert_eq!(place.backups().len(), 1, "once");
    // The copy is a whole state of version 1: put back, it is migrated again.
    std::fs::copy(&backups[0], place.file()).unwrap();
    assert_eq!(place.open().await.objects().await.unwrap().len(), 2);
    assert_eq!(place.backups().len(), 2);
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_named() {
    // Root may write everything, so the file is made immutable for SQLite by being a folder.
    let place = place();
    std::fs::create_dir_all(place.file()).unwrap();
    let error = place.try_open().await.unwrap_err();
    assert!(matches!(&error, StateError::ReadOnly { .. }), "{error:?}");
    assert!(error.to_string().contains("state.db"));
}

#[tokio::test]
async fn a_file_that_another_tool_locks_is_busy() {
    let place = place();
    let store = place.open().await;
    let held = lease(&store).await;
    store.begin_run(&held, run("r1")).await.unwrap();
    let options = SqliteConnectOptions::new().filename(place.file());
    let mut tool = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut tool).await.unwrap();
    let error = store.journal(&held, vec![entry("r1", "started", Change::None)]).await.unwrap_err();
    assert!(matches!(error, StateError::Busy { .. }), "{error:?}");
    assert!(store.objects().await.is_ok(), "reading goes on");
    sqlx::raw_sql("ROLLBACK").execute(&mut tool).await.unwrap();
    store.journal(&held, vec![entry("r1", "started", Change::None)]).await.unwrap();
}
