//! Inventories that are missing or wrong.

use insta::assert_snapshot;

use crate::context::TestContext;

#[test]
fn without_an_inventory_the_way_to_one_is_named() {
    let t = TestContext::new();
    assert_snapshot!(t.run("plan"), @r"
    exit 64
    --- stderr
    error: no pool.yaml in [DIR] or any folder above it; go to an inventory, name one with `-C DIR`, or make one with `pool init`
    ");
    assert_snapshot!(t.run("validate -C /nowhere"), @r"
    exit 64
    --- stderr
    error: failed to read /nowhere: No such file or directory (os error 2)
    hint: start one here with: pool init
    ");
}

#[test]
fn an_invalid_inventory_names_every_problem_where_it_stands() {
    let t = TestContext::new();
    t.file(
        "pool.yaml",
        "version: 1\nname: acme\nproviders: { cloud: { type: sim } }\npools:\n  web: { hots: 6, image: debian-12 }\n",
    );
    assert_snapshot!(t.run("validate"), @r"
    exit 64
    --- stderr
    error: unknown key `hots` in pools.web
     --> pool.yaml:5:10
      |
    5 |   web: { hots: 6, image: debian-12 }
      |          ^^^^ did you mean `hosts`?
    ");
    let (json, code) = t.json("plan --json");
    let error = json.last().expect("there is an error");
    assert_eq!((error["event"].as_str(), error["exit_code"].as_i64(), code), (Some("error"), Some(64), 64));
    assert!(error["error"]["details"].is_array() || error["error"]["details"].is_object(), "{error}");
}

#[test]
fn the_wrong_environment_is_an_error_that_names_the_right_ones() {
    let t = TestContext::new();
    let text =
        "version: 1\nname: acme\nenvironments: { dev: {}, prod: {} }\nproviders: { cloud: { type: sim } }\npools: {}\n";
    t.file("pool.yaml", text);
    assert_snapshot!(t.run("validate"), @r"
    exit 0
    --- stdout
    acme/dev is valid: 0 pools, 0 hosts
    acme/prod is valid: 0 pools, 0 hosts
    ");
    assert_snapshot!(t.run("plan"), @r"
    exit 64
    --- stderr
    error: which environment? This inventory has dev, prod
    help: choose one with `--env NAME` or POOL_ENV
    ");
    assert_snapshot!(t.run("validate --env test"), @r"
    exit 64
    --- stderr
    error: unknown environment `test`
    help: known: dev, prod
    ");
    assert!(t.run("validate --env prod").starts_with("exit 0"));
    let output = t.command("validate").env("POOL_ENV", "dev").output().expect("the program can be started");
    assert!(output.status.success());
}
