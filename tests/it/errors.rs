//! What goes wrong before anything was done.

use insta::assert_snapshot;

use crate::context::TestContext;

#[test]
fn results_that_cannot_be_written_are_a_failure() {
    let t = TestContext::new();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("Linux has /dev/full");
    let output = t.command("help exit-codes").stdout(full).output().expect("the program can be started");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot write the results"));
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let t = TestContext::new();
    let (reader, writer) = std::io::pipe().expect("a pipe can be made");
    drop(reader);
    let output = t.command("completions bash").stdout(writer).output().expect("the program can be started");
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0));
}

#[test]
fn without_an_inventory_the_way_to_one_is_named() {
    let t = TestContext::new();
    assert_snapshot!(t.run("plan"), @"");
    assert_snapshot!(t.run("validate -C /nowhere"), @"");
}

#[test]
fn an_invalid_inventory_names_every_problem_where_it_stands() {
    let t = TestContext::new();
    t.file("pool.yaml", "version: 1\nname: acme\nproviders: { cloud: { type: sim } }\npools:\n  web: { hots: 6, image: debian-12 }\n");
    assert_snapshot!(t.run("validate"), @"");
    let (json, code) = t.json("plan --json");
    let error = json.last().expect("there is an error");
    assert_eq!((error["event"].as_str(), error["exit_code"].as_i64(), code), (Some("error"), Some(64), 64));
    assert!(error["error"]["details"].is_array() || error["error"]["details"].is_object(), "{error}");
}

#[test]
fn the_wrong_environment_is_an_error_that_names_the_right_ones() {
    let t = TestContext::new();
    let text = "version: 1\nname: acme\nenvironments: { dev: {}, prod: {} }\nproviders: { cloud: { type: sim } }\npools: {}\n";
    t.file("pool.yaml", text);
    assert_snapshot!(t.run("validate"), @"");
    assert_snapshot!(t.run("validate --env test"), @"");
    assert!(t.run("validate --env prod").starts_with("exit 0"));
    let output = t.command("validate").env("POOL_ENV", "dev").output().expect("the program can be started");
    assert!(output.status.success());
}
