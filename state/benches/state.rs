//! How fast the state is: `cargo bench -p pool-state`. Each figure is the best of three, on a file in the temp folder.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark prints, and fails by panicking")]

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use pool_inventory::object::Recorded;
use pool_state::{Change, Charge, Lease, RunId, Store};

#[path = "../tests/it/support.rs"]
#[expect(dead_code, reason = "the tests use all of it")]
mod support;
use support::*;

const CALLERS: usize = 64;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let mut best: BTreeMap<&str, Duration> = BTreeMap::new();
    for _ in 0..3 {
        for (what, took) in round().await {
            let least = best.entry(what).or_insert(took);
            *least = took.min(*least);
        }
    }
    for (what, took) in best {
        println!("{what:<64} {:>9.1} ms", took.as_secs_f64() * 1e3);
    }
}

async fn round() -> Vec<(&'static str, Duration)> {
    let place = place();
    let mut out = Vec::new();
    let mut time = |what, begun: Instant| out.push((what, begun.elapsed()));

    let begun = Instant::now();
    let store = place.open().await;
    time("1 make a state", begun);
    let lease = Arc::new(lease(&store).await);
    store.begin_run(&lease, run("r1")).await.unwrap();

    let begun = Instant::now();
    for n in 0..200 {
        store.journal(&lease, vec![put_entry(&store, n)]).await.unwrap();
    }
    time("2 journal 200 entries with an object, one caller", begun);
    let begun = Instant::now();
    concurrently(&store, &lease, 3_000).await;
    time("3 journal 3,000 entries with an object, 64 callers", begun);

    let all: Vec<_> = (0..20_000).map(|n| put_entry(&store, n)).collect();
    let begun = Instant::now();
    store.journal(&lease, all).await.unwrap();
    time("4 journal 20,000 entries with an object, one call", begun);

    let begun = Instant::now();
    let objects = store.objects().await.unwrap();
    time("5 read 20,000 objects", begun);
    assert_eq!(objects.len(), 20_000);

    let reads = objects.iter().map(|o| (o.address.clone(), o.serial)).collect();
    let demand = vec![Charge { account: "tenant/retail/hosts".into(), amount: 1, limit: 1 << 20 }];
    let begun = Instant::now();
    store.begin_run(&lease, pool_state::NewRun { reads, demand, ..run("r2") }).await.unwrap();
    time("6 begin a run that read 20,000 objects", begun);

    let begun = Instant::now();
    let rows = store.entries(&RunId("r1".into())).await.unwrap();
    time("7 read 23,200 journal entries", begun);
    assert_eq!(rows.len(), 23_200);
    store.close().await;

    let begun = Instant::now();
    let store = place.open().await;
    time("8 open a state of 20,000 objects and 23,200 entries", begun);
    let size = std::fs::metadata(place.file()).unwrap().len();
    assert!(size < 64 << 20, "{size}");
    store.close().await;
    out
}

fn put_entry(store: &Store, n: usize) -> pool_state::Entry {
    let object: Recorded = host(store, &format!("web-{n}"), 1);
    entry("r1", "succeeded", Change::Put(Box::new(object)))
}

async fn concurrently(store: &Store, lease: &Arc<Lease>, entries: usize) {
    let tasks: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let (store, lease) = (store.clone(), lease.clone());
            tokio::spawn(async move {
                for n in (caller..entries).step_by(CALLERS) {
                    store.journal(&lease, vec![put_entry(&store, n)]).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}
