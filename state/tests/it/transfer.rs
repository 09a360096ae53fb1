//! Export and import.

use pool_inventory::Address;
use pool_state::{Change, NewRun, StateError};

use crate::support::*;

#[tokio::test]
async fn an_export_comes_back_as_it_was() {
    let place = place();
    let store = place.open().await;
    let held = lease(&store).await;
    let objects = vec![put(&host(&store, "web-0", 1)), put(&host(&store, "web-0", 2)), put(&volume(&store, "web-0"))];
    record(&store, &held, objects).await;
    store.remember_stock_out("cloud/az1/m1", 7).await.unwrap();
    let json = store.export().await.unwrap();
    assert_eq!(json, store.export().await.unwrap());
    let before = store.objects().await.unwrap();
    store.save_plan(plan("p1")).await.unwrap();
    store.import(&held, &json, false).await.unwrap();
    let after = store.objects().await.unwrap();
    let same = |mut objects: Vec<pool_inventory::object::Recorded>| {
        objects.iter_mut().for_each(|o| o.serial = 0);
        objects
    };
    assert_eq!(same(after), same(before));
    assert_eq!((store.serial().await.unwrap(), store.stock_outs().await.unwrap().len()), (4, 1));
    assert_eq!(place.backups().len(), 1);
    let audit = store.runs(9).await.unwrap().into_iter().find(|r| &*r.command == "state push").unwrap();
    assert_eq!(&*store.entries(&audit.id).await.unwrap()[0].kind, "imported");
    // Whatever was planned on what stood there before is stale.
    let reads = [(Address::host("web-0"), 2)].into();
    let stale = NewRun { plan: Some("p1".into()), plan_hash: "h1".into(), reads, ..run("r2") };
    assert!(matches!(store.begin_run(&held, stale).await, Err(StateError::PlanStale { found: 4, .. })));
}

#[tokio::test]
async fn an_older_export_needs_force() {
    let place = place();
    let store = place.open().await;
    let held = lease(&store).await;
    record(&store, &held, vec![put(&host(&store, "web-0", 1))]).await;
    let old = store.export().await.unwrap();
    record(&store, &held, vec![put(&host(&store, "web-1", 1))]).await;
    let error = store.import(&held, &old, false).await.unwrap_err();
    assert!(matches!(error, StateError::ImportOlder { found: 1, here: 2 }));
    assert_eq!((store.objects().await.unwrap().len(), place.backups().len()), (2, 0));
    store.import(&held, &old, true).await.unwrap();
    assert_eq!(shown(&store).await, [("host/web-0".to_owned(), 1, 3)], "the serial never goes back");
}

#[tokio::test]
async fn another_lineage_needs_force_and_replaces_this_one() {
    let (there, here) = (place(), place());
    let (from, to) = (there.open().await, here.open().await);
    let (lease_from, lease_to) = (lease(&from).await, lease(&to).await);
    record(&from, &lease_from, vec![put(&host(&from, "web-0", 1))]).await;
    record(&to, &lease_to, vec![put(&host(&to, "db-0", 1)), put(&host(&to, "db-1", 1))]).await;
    let json = from.export().await.unwrap();
    let error = to.import(&lease_to, &json, false).await.unwrap_err();
    assert!(matches!(error, StateError::ImportForeign { found, .. } if found == from.lineage().0));
    to.import(&lease_to, &json, true).await.unwrap();
    let written = to.journal(&lease_to, vec![entry("r1", "started", Change::None)]).await;
    assert!(matches!(written, Err(StateError::Replaced { .. })), "{written:?}");
    to.release(lease_to).await.unwrap();
    to.close().await;
    let again = here.open().await;
    assert_eq!(again.lineage(), from.lineage());
    assert_eq!(shown(&again).await, [("host/web-0".to_owned(), 1, 3)]);
    let held = lease(&again).await;
    record(&again, &held, vec![put(&host(&again, "web-1", 1))]).await;
}

#[tokio::test]
async fn what_is_no_export_is_refused_with_the_reason() {
    let place = place();
    let store = place.open().await;
    let held = lease(&store).await;
    record(&store, &held, vec![put(&host(&store, "web-0", 1))]).await;
    let good = store.export().await.unwrap();
    let object = &good[good.find("    {\n      \"address\"").unwrap()..good.find("\n  ],").unwrap()];
    let twice = good.replace(object, &format!("{object},\n{object}"));
    for (bad, why) in [
        ("", "EOF"),
        ("[1,2]", "invalid"),
        (r#"{"format":"terraform","version":4}"#, "terraform"),
        (&good.replace("\"version\": 1", "\"version\": 2"), "version is 2"),
        (&good.replace("\"serial\": 1,\n  \"inv", "\"sorial\": 1,\n  \"inv"), "sorial"),
        (&good.replace(&*store.lineage().0, "x"), "no lineage"),
        (&twice, "stands there twice"),
        (&good.replace("\"serial\": 1,\n  \"inv", "\"serial\": 18446744073709551615,\n  \"inv"), "higher than any"),
        (&good.replace("\"generation\": 1,", "\"generation\": 4294967295,"), "no generation 4294967295"),
    ] {
        let error = store.import(&held, bad, true).await.unwrap_err();
        assert!(matches!(&error, StateError::ImportMalformed { detail } if detail.contains(why)), "{why}: {error}");
    }
    assert_eq!((store.objects().await.unwrap().len(), store.serial().await.unwrap()), (1, 1));
}

#[tokio::test]
async fn an_import_needs_the_lease() {
    let place = place();
    let store = place.open().await;
    let held = lease(&store).await;
    let json = store.export().await.unwrap();
    store.unlock(held.id()).await.unwrap();
    assert!(matches!(store.import(&held, &json, true).await, Err(StateError::LeaseLost)));
}
