//! The examples, as `pool init` writes them and as they stand in the repository.

use std::path::Path;

use crate::context::TestContext;

const EXAMPLES: [&str; 6] =
    ["quickstart", "existing-hosts", "simulated-cloud", "owned-machines", "clusters", "openstack"];

#[test]
fn every_example_is_a_valid_inventory_without_warnings() {
    for name in EXAMPLES {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name);
        for environment in pool_inventory::environments(&root).expect("its environments can be read") {
            let loaded = pool_inventory::load(&root, Some(&environment), &|_| None);
            let loaded = loaded.unwrap_or_else(|problems| panic!("{name}/{environment}\n{}", problems.render(false)));
            assert_eq!(loaded.warnings.render_warnings(false), "", "{name}/{environment}");
        }
    }
}

#[test]
fn init_writes_every_file_that_an_example_needs() {
    for name in EXAMPLES {
        let t = TestContext::new();
        assert!(t.output(&format!("init --example {name}")).status.success());
        let problems = pool_inventory::environments(t.root()).and_then(|names| {
            let environment = names.first().map(String::as_str);
            pool_inventory::load(t.root(), environment, &|_| None)
        });
        assert!(problems.is_ok(), "{name}: {}", problems.map_or_else(|p| p.render(false), |_| String::new()));
    }
}
