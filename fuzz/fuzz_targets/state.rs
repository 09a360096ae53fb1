//! The state's import (`pool state push`): any text becomes the state, whole, or is refused and changes nothing.
#![no_main]

use std::{sync::LazyLock, time::Duration};

use libfuzzer_sys::fuzz_target;
use pool_inventory::Name;
use pool_state::{LeaseRequest, OpenOptions, StateError, Store};
use tokio::runtime::Runtime;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
});

fn options(folder: &std::path::Path) -> OpenOptions {
    let name = |text: &str| Name::new(text).expect("a name");
    let (path, backup_dir) = (folder.join("state.db"), folder.join("backups"));
    OpenOptions { path, backup_dir, inventory: name("fuzz"), environment: name("default") }
}

async fn import(text: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(options(folder.path()), jiff::Timestamp::UNIX_EPOCH).await.expect("a new state");
    let (holder, reason) = ("fuzz".into(), "fuzz".into());
    let request = LeaseRequest { holder, reason, ttl: Duration::from_secs(60), wait: Duration::ZERO };
    let lease = store.acquire(request).await.expect("the lease");
    match store.import(&lease, text, true).await {
        Err(StateError::ImportMalformed { .. }) => {
            assert!(store.objects().await.expect("objects").is_empty(), "a refused import changes nothing");
        }
        Err(other) => panic!("refused, and not as malformed: {other:?}"),
        Ok(()) => {
            store.close().await;
            let store = Store::open(options(folder.path()), jiff::Timestamp::UNIX_EPOCH).await.expect("the state");
            store.objects().await.expect("what was taken can be read");
            store.export().await.expect("and given back");
        }
    }
}

fuzz_target!(|text: &str| RUNTIME.block_on(import(text)));
