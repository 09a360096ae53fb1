//! The arrow of dependencies: no crate depends on one that it may not know.

use std::{collections::BTreeSet, path::Path};

/// Package, its folder, and which of ours it may use.
const MAY_USE: [(&str, &str, &[&str]); 8] = [
    ("pool-inventory", "inventory", &[]),
    ("pool-planner", "planner", &["pool-inventory"]),
    ("pool-storage-tiers", "storage-tiers", &["pool-inventory"]),
    ("pool-bootstrap", "bootstrap", &["pool-inventory"]),
    ("pool-state", "state", &["pool-inventory"]),
    ("pool-providers", "providers", &["pool-inventory", "pool-storage-tiers"]),
    (
        "pool-engine",
        "engine",
        &["pool-bootstrap", "pool-inventory", "pool-planner", "pool-providers", "pool-state", "pool-storage-tiers"],
    ),
    ("pool", ".", &["pool-bootstrap", "pool-engine", "pool-inventory", "pool-planner", "pool-providers"]),
];

/// Names of our packages in the `[dependencies]` table of a manifest.
fn ours(manifest: &str) -> BTreeSet<String> {
    let mut inside = false;
    let mut found = BTreeSet::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line == "[dependencies]";
        }
        let name: String = line.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
        if inside && name.starts_with("pool-") {
            found.insert(name);
        }
    }
    found
}

#[test]
fn no_crate_depends_against_the_arrow() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (package, folder, allowed) in MAY_USE {
        let path = root.join(folder).join("Cargo.toml");
        let manifest = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        for used in ours(&manifest) {
            assert!(allowed.contains(&used.as_str()), "{package} must not depend on {used}; see ARCHITECTURE.md");
        }
    }
}

#[test]
fn the_planner_stays_pure() {
    let manifest =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("planner/Cargo.toml")).expect("the planner");
    for banned in ["tokio", "sqlx", "russh", "getrandom", "jiff", "rustix"] {
        assert!(!manifest.contains(banned), "the planner must not depend on {banned}");
    }
}
