//! `docs/inventory.schema.json` and `docs/inventory.md` are what the code says. `UPDATE_SNAPSHOTS=1` rewrites them.

use std::{fs, path::Path};

fn compare(name: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name);
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::create_dir_all(path.parent().expect("below docs")).expect("made");
        fs::write(&path, found).expect("written");
    }
    let checked_in = fs::read_to_string(&path).unwrap_or_default();
    assert!(checked_in == found, "docs/{name} is out of date; run the tests with UPDATE_SNAPSHOTS=1");
}

#[test]
fn the_checked_in_schema_is_current() {
    let schema = pool_inventory::schema::json_schema();
    compare("inventory.schema.json", &(serde_json::to_string_pretty(&schema).expect("it can be written") + "\n"));
}

#[test]
fn the_checked_in_reference_is_current() {
    compare("inventory.md", &pool_inventory::reference::markdown());
}

/// The example at the head of the reference is a whole inventory.
#[test]
fn the_example_of_the_reference_works() {
    let text = pool_inventory::reference::markdown();
    let example = text.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("pool.yaml"), example).expect("written");
    fs::write(folder.path().join("motd.tera"), "{{ self.name }}\n").expect("written");
    let loaded = pool_inventory::load(folder.path(), Some("prod"), &|_| None).unwrap_or_else(|e| panic!("{e}"));
    assert!(loaded.desired.protected && loaded.warnings.is_empty());
    assert_eq!(pool_inventory::fmt::format(example).as_deref().ok(), Some(example), "it is canonical");
}
