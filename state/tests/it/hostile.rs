//! Files that somebody, or a failing disk, has changed: they are read, or refused, and nothing else.

use pool_state::StateError;
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};

use crate::support::*;

/// The same cases on every run.
fn cases(count: u32) -> TestRunner {
    let rng = proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha);
    TestRunner::new_with_rng(Config { cases: count, failure_persistence: None, ..Config::default() }, rng)
}

fn wait<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

/// A state with something of everything.
async fn filled() -> Place {
    let place = place();
    let store = place.open().await;
    let held = lease(&store).await;
    record(&store, &held, vec![put(&host(&store, "web-0", 1)), put(&volume(&store, "web-0"))]).await;
    store.save_plan(plan("p1")).await.unwrap();
    store.release(held).await.unwrap();
    store.close().await;
    place
}

#[test]
fn an_import_of_any_text_is_taken_whole_or_changes_nothing() {
    let (place, held, honest) = wait(async {
        let place = place();
        let store = place.open().await;
        let held = lease(&store).await;
        record(&store, &held, vec![put(&host(&store, "web-0", 1)), put(&volume(&store, "web-0"))]).await;
        let honest = store.export().await.unwrap();
        store.close().await;
        (place, held, honest)
    });
    let any_edit = (0..honest.len(), "[ -~]{0,12}", 0usize..40);
    let result = cases(60).run(&any_edit, |(at, put_in, taken_out)| {
        let end = (at + taken_out).min(honest.len());
        let text = format!("{}{put_in}{}", &honest[..at], &honest[end..]);
        wait(async {
            let store = place.open().await;
            let before = store.export().await.unwrap();
            match store.import(&held, &text, true).await {
                Ok(()) => drop(store.objects().await.unwrap()),
                Err(StateError::ImportMalformed { .. }) => assert_eq!(store.export().await.unwrap(), before),
                Err(other) => panic!("refused, and not as malformed: {other:?}"),
            }
            store.close().await;
        });
        Ok(())
    });
    result.unwrap();
}

#[test]
fn a_state_file_of_any_bytes_is_read_or_refused() {
    let place = wait(filled());
    let honest = std::fs::read(place.file()).unwrap();
    let any_edit = (prop::collection::vec((0..honest.len(), any::<u8>()), 1..40), any::<bool>());
    let result = cases(60).run(&any_edit, |(edits, cut)| {
        let mut bytes = honest.clone();
        edits.iter().for_each(|(at, byte)| bytes[*at] = *byte);
        bytes.truncate(if cut { edits[0].0 } else { bytes.len() });
        for rest in ["state.db-wal", "state.db-shm"] {
            let _ = std::fs::remove_file(place.file().with_file_name(rest));
        }
        std::fs::write(place.file(), &bytes).unwrap();
        wait(async {
            let Ok(store) = place.try_open().await else { return };
            let _ = (store.objects().await, store.stock_outs().await, store.lease().await, store.export().await);
            for run in store.runs(9).await.unwrap_or_default() {
                let _ = store.entries(&run.id).await;
            }
            let _ = store.plan("p1").await;
            store.close().await;
        });
        Ok(())
    });
    result.unwrap();
}
