//! `pool init`

use insta::assert_snapshot;

use crate::context::TestContext;

#[test]
fn an_inventory_is_written_once() {
    let t = TestContext::new();
    assert_snapshot!(t.run("init demo"), @r"
    exit 0
    --- stdout
    wrote demo/pool.yaml
    wrote demo/templates/welcome.tera
    wrote demo/.gitignore
    --- stderr
    Next: cd demo && pool apply
    ");
    assert_eq!(t.read("demo/.gitignore"), ".pool/\n");
    assert_snapshot!(t.run("init demo"), @r"
    exit 1
    --- stderr
    error: demo/pool.yaml exists already; nothing was written
    hint: choose another folder: pool init DIR
    ");
}

#[test]
fn what_is_ignored_already_stays_ignored() {
    let t = TestContext::new();
    t.file(".gitignore", "target");
    assert_snapshot!(t.run("init --example simulated-cloud"), @r"
    exit 0
    --- stdout
    wrote pool.yaml
    wrote .gitignore
    --- stderr
    Next: pool plan
    ");
    assert_eq!(t.read(".gitignore"), "target\n.pool/\n");
}

#[test]
fn nothing_is_written_where_something_stands_in_the_way() {
    let t = TestContext::new();
    t.file("templates/welcome.tera", "mine");
    assert_snapshot!(t.run("init"), @r"
    exit 1
    --- stderr
    error: templates/welcome.tera exists already; nothing was written
    hint: choose another folder: pool init DIR
    ");
    assert_eq!(t.read("templates/welcome.tera"), "mine");
    assert!(!t.root().join("pool.yaml").exists());
}

#[test]
fn json_names_what_was_written() {
    let t = TestContext::new();
    let (json, code) = t.json("init x --json --example existing-hosts");
    assert_eq!(json[0]["result"]["written"].as_array().map(Vec::len), Some(3));
    assert_eq!((json[0]["exit_code"].as_i64(), code), (Some(0), 0));
}
