//! The state reader: a file of any content is opened and read, or refused.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use pool_inventory::Name;
use pool_state::{OpenOptions, Store};
use tokio::runtime::Runtime;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
});

async fn read(bytes: &[u8]) {
    let folder = tempfile::tempdir().expect("a folder");
    let name = |text: &str| Name::new(text).expect("a name");
    let (path, backup_dir) = (folder.path().join("state.db"), folder.path().join("backups"));
    std::fs::write(&path, bytes).expect("a file");
    let options = OpenOptions { path, backup_dir, inventory: name("fuzz"), environment: name("default") };
    let Ok(store) = Store::open(options, jiff::Timestamp::UNIX_EPOCH).await else { return };
    let _ = (store.objects().await, store.stock_outs().await, store.lease().await, store.export().await);
    for run in store.runs(100).await.unwrap_or_default() {
        let _ = store.entries(&run.id).await;
    }
    let _ = store.plan("a").await;
    store.close().await;
}

fuzz_target!(|bytes: &[u8]| RUNTIME.block_on(read(bytes)));
