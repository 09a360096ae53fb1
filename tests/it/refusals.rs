//! Bad input: each a clear error with the right exit code, and nothing lost.

use std::{fs, path::Path};

use crate::program::{expect, live, pool, text};

const INVENTORY: &str = "version: 1\nname: refusals\nproviders: { cloud: { type: sim } }\npools:\n  \
    web: { hosts: 2, size: { vcpus: 2, memory: 4GiB, disk: 20GiB }, image: debian-12 }\n";

fn project(inventory: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    fs::write(dir.path().join("pool.yaml"), inventory).expect("an inventory");
    dir
}

/// Plans into a file; gives the plan's id.
fn plan(dir: &Path, file: &str) -> String {
    expect(dir, &["plan", "-o", file], 0);
    let bytes = fs::read(dir.join(file)).expect("a plan file");
    let value: serde_json::Value = serde_json::from_slice(&bytes).expect("JSON");
    value["id"].as_str().expect("an id").to_owned()
}

#[test]
fn a_plan_is_used_once() {
    let dir = project(INVENTORY);
    let id = plan(dir.path(), &path(dir.path(), "p.json"));
    expect(dir.path(), &["apply", &id], 0);
    let said = expect(dir.path(), &["apply", &id], 7);
    assert!(said.contains("was used by run"), "{said}");
}

fn path(dir: &Path, name: &str) -> String {
    dir.join(name).display().to_string()
}

#[test]
fn a_changed_plan_is_refused() {
    let dir = project(INVENTORY);
    let file = path(dir.path(), "p.json");
    plan(dir.path(), &file);
    let honest = fs::read_to_string(&file).expect("a plan file");
    fs::write(&file, honest.replace("\"debian-12\"", "\"debian-11\"")).expect("a changed file");
    let said = expect(dir.path(), &["apply", &file], 7);
    assert!(said.contains("changed after it was made"), "{said}");
    fs::write(&file, &honest[..honest.len() / 2]).expect("half a file");
    expect(dir.path(), &["apply", &file], 7);
    fs::write(&file, honest.replacen("\"envelope\":1", "\"envelope\":2", 1)).expect("a newer file");
    let said = expect(dir.path(), &["apply", &file], 7);
    assert!(said.contains("version 2"), "{said}");
}

#[test]
fn a_plan_that_was_overtaken_is_stale() {
    let dir = project(INVENTORY);
    let first = plan(dir.path(), &path(dir.path(), "first.json"));
    let second = plan(dir.path(), &path(dir.path(), "second.json"));
    expect(dir.path(), &["apply", &second], 0);
    let said = expect(dir.path(), &["apply", &first], 7);
    assert!(said.contains("stale"), "{said}");
}

#[test]
fn changes_elsewhere_do_not_invalidate_a_plan() {
    let two =
        INVENTORY.to_owned() + "  db: { hosts: 1, size: { vcpus: 2, memory: 4GiB, disk: 20GiB }, image: debian-12 }\n";
    let dir = project(&two);
    expect(dir.path(), &["plan", "--target", "pool/web", "-o", &path(dir.path(), "web.json")], 0);
    let db = path(dir.path(), "db.json");
    expect(dir.path(), &["plan", "--target", "pool/db", "-o", &db], 0);
    expect(dir.path(), &["apply", &path(dir.path(), "web.json")], 0);
    expect(dir.path(), &["apply", &db], 0);
}

#[test]
fn a_damaged_and_a_newer_state_are_left_as_they_are() {
    let dir = project(INVENTORY);
    expect(dir.path(), &["apply", "--yes"], 0);
    let state = dir.path().join(".pool/state.db");
    for wal in ["state.db-wal", "state.db-shm"] {
        let _ = fs::remove_file(dir.path().join(".pool").join(wal));
    }
    let mut bytes = fs::read(&state).expect("the state");
    // SQLite's `user_version`, big-endian, at offset 60 of the header.
    bytes[60..64].copy_from_slice(&99_u32.to_be_bytes());
    fs::write(&state, &bytes).expect("a newer state");
    let said = expect(dir.path(), &["plan"], 1);
    assert!(said.contains("version 99"), "{said}");
    assert_eq!(fs::read(&state).expect("the state"), bytes, "a state that is not understood is not touched");
    fs::write(&state, b"this is no database, but it may be somebody's only copy of something").expect("a file");
    let said = expect(dir.path(), &["status"], 1);
    assert!(said.contains("state.db"), "{said}");
}

#[test]
fn without_a_terminal_nothing_is_asked() {
    let dir = project(INVENTORY);
    let said = expect(dir.path(), &["apply"], 9);
    assert!(said.contains("apply it with: pool"), "it says what to run: {said}");
    assert_eq!(live(dir.path()), (0, 0));
}

#[test]
fn what_cannot_be_placed_is_said_saved_and_needs_partial() {
    let text = INVENTORY.to_owned()
        + "  big: { hosts: 1, size: { vcpus: 4000, memory: 4GiB, disk: 20GiB }, image: debian-12 }\n";
    let dir = project(&text);
    let said = expect(dir.path(), &["plan"], 5);
    assert!(said.contains("host/big-0"), "{said}");
    expect(dir.path(), &["apply", "--yes"], 5);
    assert_eq!(live(dir.path()), (0, 0));
    expect(dir.path(), &["apply", "--yes", "--partial"], 0);
    assert_eq!(live(dir.path()), (2, 0));
}

#[test]
fn an_inventory_with_problems_exits_64_and_names_the_place() {
    let dir = project(&INVENTORY.replace("hosts: 2", "hots: 2"));
    let said = expect(dir.path(), &["plan"], 64);
    assert!(said.contains("unknown key `hots`") && said.contains("pool.yaml:5:10"), "{said}");
    let empty = tempfile::tempdir().expect("a folder");
    let said = expect(empty.path(), &["plan"], 64);
    assert!(said.contains("pool init"), "{said}");
}

#[test]
fn a_full_disk_in_the_middle_loses_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let mount = |args: &[&str]| std::process::Command::new("mount").args(args).status().expect("mount").success();
    let place = dir.path().display().to_string();
    if !mount(&["-t", "tmpfs", "-o", "size=2m", "tmpfs", &place]) {
        // Only root can mount a small file system, and not the root of most containers.
        return;
    }
    let result = std::panic::catch_unwind(|| {
        fs::write(dir.path().join("pool.yaml"), INVENTORY.replace("hosts: 2", "hosts: 1500")).expect("an inventory");
        // Whatever point it fails at: a clear error, never a panic.
        let hit = pool(dir.path(), &["apply", "--yes", "--observe", "providers"]);
        assert!(!hit.status.success() && !text(&hit).contains("panicked"), "{}", text(&hit));
        assert!(mount(&["-o", "remount,size=200m", &place]));
        expect(dir.path(), &["apply", "--yes", "--observe", "providers"], 0);
        expect(dir.path(), &["plan", "--detailed-exitcode"], 0);
        assert_eq!(live(dir.path()), (1500, 0));
    });
    assert!(std::process::Command::new("umount").arg(&place).status().expect("umount").success());
    if let Err(panic) = result {
        std::panic::resume_unwind(panic);
    }
}

#[test]
fn the_plan_reader_survives_any_bytes() {
    use proptest::prelude::*;
    let dir = project(INVENTORY);
    let file = path(dir.path(), "p.json");
    plan(dir.path(), &file);
    let honest = fs::read(&file).expect("a plan file");
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig { cases: 300, ..ProptestConfig::default() });
    let any_edit = (0..honest.len(), any::<u8>(), any::<bool>());
    let result = runner.run(&any_edit, |(at, byte, cut)| {
        let mut bytes = honest.clone();
        bytes[at] = byte;
        bytes.truncate(if cut { at } else { bytes.len() });
        // Either it is refused, or it is the same plan in other words.
        if let Ok(read) = pool_engine::ops::from_bytes(&bytes) {
            prop_assert_eq!(
                read.plan.to_bytes(),
                pool_engine::ops::from_bytes(&honest).expect("honest").plan.to_bytes()
            );
        }
        Ok(())
    });
    result.expect("no edit is accepted");
}
