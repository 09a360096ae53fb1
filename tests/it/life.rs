//! One inventory from its first plan to its destruction, on the simulated cloud: every command's words and exit code.

use insta::assert_snapshot;

use crate::{context::TestContext, terminal::Terminal};

/// Two hosts with a volume each.
pub const SMALL: &str = r#"version: 1
name: acme
providers: { cloud: { type: sim } }
tiers: { fast: { backends: [cloud/fast] } }
pools:
  web:
    hosts: 2
    size: { vcpus: 2, memory: 4GiB, disk: 20GiB }
    image: debian-12
    labels: { team: checkout }
    bootstrap: { files: { /etc/motd: { content: "hello\n" } } }
    volumes: { data: { size: 10GiB, tier: fast, mount: /data, on_remove: delete } }
"#;

fn small() -> TestContext {
    let t = TestContext::new();
    t.file("pool.yaml", SMALL);
    t
}

fn applied() -> TestContext {
    let t = small();
    let output = t.run("apply --yes");
    assert!(output.starts_with("exit 0"), "{output}");
    t
}

#[test]
fn before_anything_was_applied() {
    let t = small();
    assert_snapshot!(t.run("validate"), @"");
    assert_snapshot!(t.run("status"), @"");
    assert_snapshot!(t.run("state list"), @"");
    assert_snapshot!(t.run("history"), @"");
    assert_snapshot!(t.run("show host/web-0"), @"");
    assert_snapshot!(t.run("check"), @"");
}

#[test]
fn a_plan_shows_what_would_happen_and_is_saved() {
    let t = small();
    assert_snapshot!(t.run("plan"), @"");
    assert_snapshot!(t.run("plan --detailed-exitcode -q").lines().next().unwrap_or_default().to_owned(), @"");
}

#[test]
fn apply_without_a_terminal_names_the_command_to_run() {
    let t = small();
    assert_snapshot!(t.run("apply"), @"");
}

#[test]
fn apply_says_what_it_did_and_a_second_plan_is_empty() {
    let t = small();
    assert_snapshot!(t.run("apply --yes --parallelism 1"), @"");
    assert_snapshot!(t.run("plan --detailed-exitcode"), @"");
    assert_snapshot!(t.run("apply"), @"");
}

#[test]
fn what_is_recorded_can_be_looked_at() {
    let t = applied();
    assert_snapshot!(t.run("status"), @"");
    assert_snapshot!(t.run("status --observe hosts"), @"");
    assert_snapshot!(t.run("state list"), @"");
    assert_snapshot!(t.run("state list 'volume/*' -v"), @"");
    assert_snapshot!(t.run("state show volume/web-0.data"), @"");
    assert_snapshot!(t.run("show host/web-0"), @"");
    assert_snapshot!(t.run("show pool/web"), @"");
    assert_snapshot!(t.run("cost"), @"");
    assert_snapshot!(t.run("history"), @"");
    assert_snapshot!(t.run("explain host/web-0"), @"");
}

#[test]
fn a_changed_line_changes_only_what_it_should() {
    let t = applied();
    t.file("pool.yaml", &SMALL.replace("hello", "welcome").replace("10GiB", "12GiB"));
    assert_snapshot!(t.run("plan -v"), @"");
}

#[test]
fn a_plan_is_used_once() {
    let t = small();
    assert!(t.run("plan -out=p.plan").contains("Written to p.plan."));
    assert_eq!(t.run("show p.plan").lines().nth(2), t.run("plan").lines().nth(2));
    assert!(t.run("apply p.plan").starts_with("exit 0"));
    assert_snapshot!(t.run("apply p.plan"), @"");
    assert_snapshot!(t.run("apply 000000"), @"");
    assert_snapshot!(t.run("apply missing.plan"), @"");
}

#[test]
fn what_cannot_be_placed_is_refused_unless_partial() {
    let t = TestContext::new();
    t.file("pool.yaml", &format!("{SMALL}  big: {{ hosts: 1, size: {{ vcpus: 512, memory: 4GiB, disk: 20GiB }}, image: debian-12 }}\n"));
    let plan = t.run("plan");
    assert!(plan.starts_with("exit 5") && plan.contains("! host/big-0") && plan.contains("--partial"), "{plan}");
    assert_snapshot!(t.run("apply --yes").lines().rev().take(2).collect::<Vec<_>>().join("\n"), @"");
    assert!(t.run("apply --yes --partial").starts_with("exit 0"));
}

#[test]
fn events_are_json_lines_and_the_summary_has_the_exit_code() {
    let t = small();
    let (events, code) = t.json("apply --yes --json");
    assert_eq!((events[0]["event"].as_str(), events[0]["version"].as_u64()), (Some("schema"), Some(1)));
    let last = events.last().expect("there are events");
    assert_eq!((last["event"].as_str(), last["exit_code"].as_i64(), code), (Some("summary"), Some(0), 0));
    for kind in ["plan", "run_started", "step_started", "step_succeeded", "run_finished"] {
        assert!(events.iter().any(|event| event["event"] == kind), "{kind} is missing");
    }
    let (events, code) = t.json("plan --json --detailed-exitcode");
    assert_eq!((events.last().and_then(|e| e["exit_code"].as_i64()), code), (Some(0), 0));
    t.run("plan --json-into events.json");
    assert!(t.read("events.json").starts_with("{\"command\":\"plan\",\"event\":\"schema\"") || t.read("events.json").contains("schema"));
}

#[test]
fn every_other_command_answers_with_one_json_document() {
    let t = applied();
    for line in [
        "validate", "status", "check", "cost", "history", "state list", "state show host/web-0", "show host/web-0",
        "show pool/web", "explain host/web-0", "version", "help exit-codes", "state pull",
    ] {
        let (documents, code) = t.json(&format!("{line} --json"));
        assert_eq!((documents.len(), code), (1, 0), "{line}");
        if line != "state pull" {
            assert_eq!((&documents[0]["version"], &documents[0]["exit_code"]), (&1.into(), &0.into()), "{line}");
        }
    }
}

#[test]
fn on_a_terminal_apply_asks_and_shows_progress() {
    let t = small();
    let mut terminal = Terminal::start(&t, "apply");
    terminal.wait_for("Only `yes` is taken for yes:");
    terminal.send("no\n");
    let (text, code) = terminal.end();
    assert!(code == 9 && text.contains("nothing was changed"), "{code} {text}");

    let mut terminal = Terminal::start(&t, "up");
    terminal.wait_for("Only `yes` is taken for yes:");
    terminal.send("yes\n");
    let (text, code) = terminal.end();
    assert!(code == 0 && text.contains("✓ host/web-0") && text.contains("Done: "), "{code} {text}");
}

#[test]
fn records_can_be_corrected() {
    let t = applied();
    assert_snapshot!(t.run("state mv host/web-1 host/web-7"), @"");
    assert_snapshot!(t.run("state list"), @"");
    assert_snapshot!(t.run("state rm host/web-7"), @"");
    assert_snapshot!(t.run("state rm volume/web-7.data host/web-7 --yes"), @"");
    let before = t.output("state pull").stdout;
    t.file("state.json", &String::from_utf8(before).expect("the state is text"));
    assert_snapshot!(t.run("state push state.json"), @"");
    assert!(t.run("state push state.json --yes").contains("the state is now that of state.json"));
}

#[test]
fn destroy_leaves_nothing() {
    let t = applied();
    assert_snapshot!(t.run("destroy"), @"");
    assert_snapshot!(t.run("destroy --yes --parallelism 1"), @"");
    assert_eq!(t.run("state list"), "exit 0\n");
}

#[test]
fn a_failing_step_is_reported_with_the_command_that_goes_on() {
    let t = TestContext::new();
    let faults = "faults: [ { on: create, address: host/web-1, error: quota-exceeded, rate: 100% } ]";
    t.file("pool.yaml", &SMALL.replace("{ type: sim }", &format!("{{ type: sim, {faults} }}")));
    let output = t.run("apply --yes --parallelism 1");
    assert_snapshot!(output.split("--- ").nth(1).unwrap_or_default(), @"");
    assert!(output.starts_with("exit 8"), "{output}");
    let runs = t.run("history");
    let id = runs.lines().nth(3).and_then(|line| line.split(' ').next()).unwrap_or_default();
    assert!(t.run(&format!("history {id}")).contains("host/web-1"), "{runs}");
}

#[test]
fn simulated_hosts_take_no_sessions() {
    let t = applied();
    assert_snapshot!(t.run("ssh web-0"), @"");
    assert_snapshot!(t.run("exec pool=web -- true"), @"");
    assert_snapshot!(t.run("exec pool=none -- true"), @"");
    assert_snapshot!(t.run("ssh nobody-0"), @"");
}

#[test]
fn graphs_are_printed_in_three_forms() {
    let t = small();
    assert!(t.run("graph").contains("digraph"));
    assert!(t.run("graph --format mermaid").contains("flowchart") || t.run("graph --format mermaid").contains("graph"));
    assert_eq!(t.json("graph --format json").1, 0);
}
