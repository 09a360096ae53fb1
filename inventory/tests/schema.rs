//! `docs/inventory.schema.json` is what the code says. `UPDATE_SNAPSHOTS=1` rewrites it.

use std::{fs, path::Path};

#[test]
fn the_checked_in_schema_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/inventory.schema.json");
    let found = serde_json::to_string_pretty(&pool_inventory::schema::json_schema()).expect("it can be written") + "\n";
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::create_dir_all(path.parent().expect("below docs")).expect("made");
        fs::write(&path, &found).expect("written");
    }
    let checked_in = fs::read_to_string(&path).unwrap_or_default();
    assert!(checked_in == found, "docs/inventory.schema.json is out of date; run the tests with UPDATE_SNAPSHOTS=1");
}
