//! `pool fmt`

use insta::assert_snapshot;

use crate::context::TestContext;

const CROOKED: &str = "name:   acme # ours\nversion: 1\nproviders: {cloud: {type: sim}}\npools: {}\n";

#[test]
fn files_are_rewritten_once_and_comments_stay() {
    let t = TestContext::new();
    t.file("pool.yaml", CROOKED);
    t.file("more/web.pool.yaml", "pools: {  }\n");
    assert_snapshot!(t.run("fmt --check"), @r"
    exit 1
    --- stdout
    pool.yaml
    --- stderr
    1 of 2 files not in canonical form; rewrite with: pool fmt
    ");
    assert_eq!(t.read("pool.yaml"), CROOKED);
    assert_snapshot!(t.run("fmt"), @r"
    exit 0
    --- stdout
    pool.yaml
    --- stderr
    1 of 2 files rewritten
    ");
    assert_snapshot!(t.read("pool.yaml"), @r"
    version: 1
    name: acme # ours

    providers: {cloud: {type: sim}}

    pools: {}
    ");
    assert_snapshot!(t.run("fmt -check"), @r"
    exit 0
    --- stderr
    2 files in canonical form
    ");
}

#[test]
fn nothing_is_rewritten_when_one_file_is_no_yaml() {
    let t = TestContext::new();
    t.file("pool.yaml", CROOKED);
    t.file("bad.pool.yaml", "pools: { web: [\n");
    assert_snapshot!(t.run("fmt"), @r"
    exit 64
    --- stderr
    error: not YAML: unclosed bracket '['
     --> bad.pool.yaml:1:15
      |
    1 | pools: { web: [
      |               ^
    ");
    assert_eq!(t.read("pool.yaml"), CROOKED);
}

#[test]
fn the_examples_are_in_canonical_form() {
    for name in ["quickstart", "existing-hosts", "simulated-cloud", "owned-machines", "clusters", "openstack"] {
        let t = TestContext::new();
        t.run(&format!("init --example {name}"));
        let output = t.run("fmt --check");
        assert!(output.starts_with("exit 0"), "{name}: {output}");
    }
}
