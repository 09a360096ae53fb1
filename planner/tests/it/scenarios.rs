//! Each file of `tests/scenarios` is a script; its golden output stands in `tests/it/snapshots`.

use crate::dsl::run;

#[test]
#[expect(clippy::disallowed_methods, reason = "the tests read their scripts; the planner reads nothing")]
fn every_scenario_plans_as_recorded() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scenarios");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    for file in files {
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        let script = std::fs::read_to_string(&file).unwrap();
        insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false, snapshot_path => "snapshots" }, {
            insta::assert_snapshot!(name, run(&script));
        });
    }
}
