//! Every folder below `samples/` is an inventory: those of `valid/` load as `expected.json` says, in every environment, those of
//! `invalid/` are refused as `expected.txt` says. `UPDATE_SNAPSHOTS=1` rewrites what is expected.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use pool_inventory::{desired::Desired, environments, load};

fn samples(kind: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples").join(kind);
    let mut found: Vec<PathBuf> = fs::read_dir(folder).expect("samples").map(|e| e.expect("an entry").path()).collect();
    found.sort();
    found
}

/// The process's environment, as samples see it.
fn env(name: &str) -> Option<String> {
    match name {
        "SAMPLE_HOSTS" => Some("3".into()),
        "SAMPLE_EMPTY" => Some(String::new()),
        _ => None,
    }
}

/// `environment.txt` of a sample: the environment that is asked for.
fn asked(sample: &Path) -> Option<String> {
    fs::read_to_string(sample.join("environment.txt")).ok().map(|text| text.trim().to_owned())
}

/// Compares with a file of the sample, or rewrites it.
fn compare(file: &Path, found: &str) -> Result<(), String> {
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::write(file, found).expect("written");
        return Ok(());
    }
    let expected = fs::read_to_string(file).unwrap_or_default();
    if expected == found {
        return Ok(());
    }
    Err(format!("--- {} has\n{expected}\n--- found\n{found}", file.display()))
}

#[test]
fn valid_samples_load_as_expected() {
    let samples = samples("valid");
    assert!(samples.len() >= 8, "{} samples", samples.len());
    let mut failures = Vec::new();
    for sample in samples {
        let names = environments(&sample).unwrap_or_else(|e| panic!("{}:\n{e}", sample.display()));
        let mut all: BTreeMap<String, Desired> = BTreeMap::new();
        for name in names {
            let loaded =
                load(&sample, Some(&name), &env).unwrap_or_else(|e| panic!("{} in {name}:\n{e}", sample.display()));
            assert!(loaded.warnings.is_empty(), "{}:\n{}", sample.display(), loaded.warnings);
            all.insert(name, loaded.desired);
        }
        let found = serde_json::to_string_pretty(&all).expect("it can be written") + "\n";
        failures.extend(compare(&sample.join("expected.json"), &found).err());
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn invalid_samples_are_refused_as_expected() {
    let samples = samples("invalid");
    assert!(samples.len() >= 35, "{} samples", samples.len());
    let mut failures = Vec::new();
    for sample in samples {
        let found = match load(&sample, asked(&sample).as_deref(), &env) {
            Ok(_) => panic!("{} is accepted", sample.display()),
            Err(problems) => problems.render(false).replace(&sample.display().to_string(), "SAMPLE"),
        };
        failures.extend(compare(&sample.join("expected.txt"), &found).err());
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Inventory files of a sample, without those of an inventory inside it.
fn files(sample: &Path) -> Vec<PathBuf> {
    pool_inventory::files::list(sample).expect("listed")
}

#[test]
fn formatted_samples_mean_the_same() {
    for sample in samples("valid") {
        let copy = tempfile::tempdir().expect("a folder");
        copy_folder(&sample, copy.path());
        for file in files(copy.path()) {
            let text = fs::read_to_string(&file).expect("read");
            let once = pool_inventory::fmt::format(&text).unwrap_or_else(|e| panic!("{}:\n{e}", file.display()));
            let twice = pool_inventory::fmt::format(&once).expect("still YAML");
            assert_eq!(once, twice, "{}", file.display());
            fs::write(&file, once).expect("written");
        }
        for name in environments(&sample).expect("environments") {
            let before = load(&sample, Some(&name), &env).expect("valid").desired;
            let after = load(copy.path(), Some(&name), &env).unwrap_or_else(|e| panic!("{}:\n{e}", sample.display()));
            assert_eq!(before, after.desired, "{} in {name}", sample.display());
        }
    }
}

#[test]
fn a_file_as_people_write_it_becomes_canonical() {
    let sample = samples("valid").into_iter().find(|sample| sample.ends_with("styles")).expect("there");
    let formatted = pool_inventory::fmt::format(&fs::read_to_string(sample.join("pool.yaml")).expect("read"));
    compare(&sample.join("formatted.txt"), &formatted.expect("YAML")).expect("as expected");
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("made");
    for entry in fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy_folder(&path, &target);
        } else {
            fs::copy(&path, &target).expect("copied");
        }
    }
}
