//! One inventory from its first plan to its destruction, on the simulated cloud: every command's words and exit code.

use insta::assert_snapshot;

use crate::{context::TestContext, terminal::Terminal};

/// Two hosts with a volume each.
pub const SMALL: &str = r#"version: 1
name: acme
providers: { cloud: { type: sim, zones: [az1] } }
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
    let output = t.run("apply --yes --parallelism 1");
    assert!(output.starts_with("exit 0"), "{output}");
    t
}

#[test]
fn before_anything_was_applied() {
    let t = small();
    assert_snapshot!(t.run("validate"), @r"
    exit 0
    --- stdout
    acme/default is valid: 1 pool, 2 hosts
    ");
    assert_snapshot!(t.run("status"), @r"
    exit 0
    --- stdout
    acme/default · 1 pool · nothing applied yet · from the records

    pool  hosts  ready  cost
    web     0/2      0
    ");
    assert_snapshot!(t.run("state list"), @r"exit 0");
    assert_snapshot!(t.run("history"), @r"
    exit 0
    --- stdout
    Nothing was applied yet.
    ");
    assert_snapshot!(t.run("show host/web-0"), @r"
    exit 1
    --- stderr
    error: host/web-0 is not recorded
    hint: what is recorded is listed by: pool state list
    ");
    assert_snapshot!(t.run("check"), @r"
    exit 0
    --- stdout
    answer  where  what             age  detail
    pass    cloud  credentials      now  accepted; 11 offerings, 3 backends
    pass    cloud  image debian-12  now  `debian-12` is there, for web
    pass    cloud  pool web size    now  s1.medium fits, in az1
    pass    cloud  tier fast        now  cloud/fast has 1 PiB left; the plan makes 20 GiB
    pass    cloud  quota            now  it tells no limits
    pass           plan                  8 steps, and all can be carried out

    Check: 6 pass, 0 fail, 0 unknown
    ");
}

#[test]
fn a_plan_shows_what_would_happen_and_is_saved() {
    let t = small();
    assert_snapshot!(t.run("plan"), @r"
    exit 0
    --- stdout
    acme/default · 1 pool · 2 hosts · state 0 · observed [AGO] (4 list calls)

      + host/web-0         cloud/az1 · s1.medium · 2 vCPU · 4 GiB · € 22.00/month  not present
      + volume/web-0.data  cloud/fast · 10 GiB · fast · € 1.17/month               not present
      + host/web-1         cloud/az1 · s1.medium · 2 vCPU · 4 GiB · € 22.00/month  not present
      + volume/web-1.data  cloud/fast · 10 GiB · fast · € 1.17/month               not present

    Plan: 4 to add, 0 to change, 0 to replace, 0 to destroy; 2 to bootstrap. + € 46.34/month
    Saved as plan [ID] (one use, until [TIME]). Apply it with: pool apply [ID]
    ");
    assert_snapshot!(t.run("plan --detailed-exitcode -q").lines().next().unwrap_or_default().to_owned(), @r"exit 2");
}

#[test]
fn apply_without_a_terminal_names_the_command_to_run() {
    let t = small();
    assert_snapshot!(t.run("apply"), @r"
    exit 9
    --- stderr
    acme/default · 1 pool · 2 hosts · state 0 · observed [AGO] (4 list calls)

      + host/web-0         cloud/az1 · s1.medium · 2 vCPU · 4 GiB · € 22.00/month  not present
      + volume/web-0.data  cloud/fast · 10 GiB · fast · € 1.17/month               not present
      + host/web-1         cloud/az1 · s1.medium · 2 vCPU · 4 GiB · € 22.00/month  not present
      + volume/web-1.data  cloud/fast · 10 GiB · fast · € 1.17/month               not present

    Plan: 4 to add, 0 to change, 0 to replace, 0 to destroy; 2 to bootstrap. + € 46.34/month
    error: this needs a `yes`, and there is no terminal to ask at
    hint: the plan is saved; apply it with: pool apply [ID]
    ");
}

#[test]
fn apply_says_what_it_did_and_a_second_plan_is_empty() {
    let t = small();
    assert_snapshot!(t.run("apply --yes --parallelism 1"), @r"
    exit 0
    --- stdout
    Done: 4 created, 2 attached, 2 bootstrapped, in [SPAN].
    calls: cloud 6
    --- stderr
    acme/default · 1 pool · 2 hosts · state 0 · observed [AGO] (4 list calls)

      + host/web-0         cloud/az1 · s1.medium · 2 vCPU · 4 GiB · € 22.00/month  not present
      + volume/web-0.data  cloud/fast · 10 GiB · fast · € 1.17/month               not present
      + host/web-1         cloud/az1 · s1.medium · 2 vCPU · 4 GiB · € 22.00/month  not present
      + volume/web-1.data  cloud/fast · 10 GiB · fast · € 1.17/month               not present

    Plan: 4 to add, 0 to change, 0 to replace, 0 to destroy; 2 to bootstrap. + € 46.34/month
    run [ID]: plan [ID], 8 steps
      host/web-0         create
    ✓ host/web-0         create     [SPAN] · [ADDRESS]
      host/web-1         create
    ✓ host/web-1         create     [SPAN] · [ADDRESS]
      volume/web-0.data  create
    ✓ volume/web-0.data  create     [SPAN]
      volume/web-1.data  create
    ✓ volume/web-1.data  create     [SPAN]
      volume/web-0.data  attach
    ✓ volume/web-0.data  attach     [SPAN]
      volume/web-1.data  attach
    ✓ volume/web-1.data  attach     [SPAN]
      host/web-0         bootstrap
    ✓ host/web-0         bootstrap  [SPAN] · 1 item done
      host/web-1         bootstrap
    ✓ host/web-1         bootstrap  [SPAN] · 1 item done
    ");
    assert_snapshot!(t.run("plan --detailed-exitcode"), @r"
    exit 0
    --- stdout
    acme/default · 1 pool · 2 hosts · state 14 · observed [AGO] (4 list calls, 2 hosts probed)

    No changes. 4 objects are as declared.
    ");
    assert_snapshot!(t.run("apply"), @r"
    exit 0
    --- stderr
    acme/default · 1 pool · 2 hosts · state 14 · observed [AGO] (4 list calls, 2 hosts probed)

    No changes. 4 objects are as declared.
    ");
}

#[test]
fn what_is_recorded_can_be_looked_at() {
    let t = applied();
    assert_snapshot!(t.run("status"), @r"
    exit 0
    --- stdout
    acme/default · 1 pool · state 14 · from the records

    pool  hosts  ready  cost
    web       2      2  € 46.34/month

    host        where      address        status    bootstrap
    host/web-0  cloud/az1  [ADDRESS]  recorded  done
    host/web-1  cloud/az1  [ADDRESS]  recorded  done

    volume             backend       size  tier  attached             status
    volume/web-0.data  cloud/fast  10 GiB  fast  host/web-0 at /data  recorded
    volume/web-1.data  cloud/fast  10 GiB  fast  host/web-1 at /data  recorded

    last run [ID] [AGO]: 8 done, 0 failed, 0 not tried
    ");
    assert_snapshot!(t.run("status --observe hosts"), @r"
    exit 0
    --- stdout
    acme/default · 1 pool · state 14 · observed [AGO]

    pool  hosts  ready  cost
    web       2      2  € 46.34/month

    host        where      address        status  bootstrap
    host/web-0  cloud/az1  [ADDRESS]  ready   done
    host/web-1  cloud/az1  [ADDRESS]  ready   done

    volume             backend       size  tier  attached             status
    volume/web-0.data  cloud/fast  10 GiB  fast  host/web-0 at /data  ready
    volume/web-1.data  cloud/fast  10 GiB  fast  host/web-1 at /data  ready

    last run [ID] [AGO]: 8 done, 0 failed, 0 not tried
    ");
    assert_snapshot!(t.run("state list"), @r"
    exit 0
    --- stdout
    host/web-0
    host/web-1
    volume/web-0.data
    volume/web-1.data
    ");
    assert_snapshot!(t.run("state list 'volume/*' -v"), @r"
    exit 0
    --- stdout
    object             generation  where and what
    volume/web-0.data           1  cloud/fast · 10 GiB · fast · € 1.17/month
    volume/web-1.data           1  cloud/fast · 10 GiB · fast · € 1.17/month
    ");
    assert_snapshot!(t.run("state show volume/web-0.data"), @r"
    exit 0
    --- stdout
    volume/web-0.data
      where     cloud/fast · 10 GiB · fast · € 1.17/month
      tenant    default
      pool      web
      id        v-3
      attached  host/web-0 at /data
      space     thin, on_remove: delete
      tags      team=checkout
      record    generation 1, serial 9
    ");
    assert_snapshot!(t.run("show host/web-0"), @r"
    exit 0
    --- stdout
    host/web-0
      where      cloud/az1 · s1.medium · 2 vCPU · 4 GiB · € 22.00/month
      tenant     default
      pool       web
      id         h-1
      address    [ADDRESS]
      host key   ssh-ed25519 [KEY]
      image      debian-12
      disk       40 GiB
      tags       team=checkout
      bootstrap  done ([HEX])
      login      root (ssh-ed25519)
      record     generation 1, serial 12
    ");
    assert_snapshot!(t.run("show pool/web"), @r"
    exit 0
    --- stdout
    pool/web
      tenant  default
      hosts   2
      size    2 vCPU · 4 GiB · 20 GiB disk
      image   debian-12
      volume  data: 10 GiB of fast at /data
      labels  team=checkout

    object             where and what
    host/web-0         cloud/az1 · s1.medium · 2 vCPU · 4 GiB · € 22.00/month
    host/web-1         cloud/az1 · s1.medium · 2 vCPU · 4 GiB · € 22.00/month
    volume/web-0.data  cloud/fast · 10 GiB · fast · € 1.17/month
    volume/web-1.data  cloud/fast · 10 GiB · fast · € 1.17/month
    ");
    assert_snapshot!(t.run("cost"), @r"
    exit 0
    --- stdout
    pool  hosts  volumes  per month
    web       2        2    € 46.34

    tenant   hosts  volumes  per month
    default      2        2    € 46.34

    provider  hosts  volumes  per month
    cloud         2        2    € 46.34

    Total: € 46.34/month
    ");
    let history = t.run("history");
    assert!(history.contains("8 done, 0 failed, 0 not tried  pool apply --yes --parallelism 1"), "{history}");
    assert_snapshot!(t.run("explain host/web-0"), @r"
    exit 0
    --- stdout
    host/web-0
      is   cloud/az1 · s1.medium · 2 vCPU · 4 GiB · € 22.00/month
      a plan changes nothing here
      placed by run [ID] (plan [ID])

    Places that fit, best first
      place                          price  score            hosts
      cloud/az1/s1.medium    € 22.00/month  best                 2
      cloud/az1/c1.large     € 52.00/month  +€ 30.00/month
      cloud/az1/r1.large     € 56.00/month  +€ 34.00/month
      cloud/az1/m1.large     € 61.00/month  +€ 39.00/month
      cloud/az1/c1.xlarge   € 104.00/month  +€ 82.00/month
      cloud/az1/r1.xlarge   € 112.00/month  +€ 90.00/month
      cloud/az1/m1.xlarge   € 122.00/month  +€ 100.00/month
      cloud/az1/c1.2xlarge  € 208.00/month  +€ 186.00/month
      cloud/az1/r1.2xlarge  € 224.00/month  +€ 202.00/month
      cloud/az1/m1.2xlarge  € 244.00/month  +€ 222.00/month

    If the chosen place is sold out, in this order
      cloud/az1/c1.large · € 52.00/month
      cloud/az1/r1.large · € 56.00/month
      cloud/az1/m1.large · € 61.00/month
      cloud/az1/c1.xlarge · € 104.00/month
      cloud/az1/r1.xlarge · € 112.00/month
      cloud/az1/m1.xlarge · € 122.00/month
      cloud/az1/c1.2xlarge · € 208.00/month
      cloud/az1/r1.2xlarge · € 224.00/month

    Places that were refused
      cloud/*/s1.small: 1 vCPU < 2 vCPU
    ");
}

#[test]
fn a_changed_line_changes_only_what_it_should() {
    let t = applied();
    t.file("pool.yaml", &SMALL.replace("hello", "welcome").replace("10GiB", "12GiB"));
    assert_snapshot!(t.run("plan -v"), @r"
    exit 0
    --- stdout
    acme/default · 1 pool · 2 hosts · state 14 · observed [AGO] (4 list calls)

      ~ volume/web-0.data  size 10 GiB → 12 GiB  in place  spec changed
          size: 10 GiB → 12 GiB
      ~ volume/web-1.data  size 10 GiB → 12 GiB  in place  spec changed
          size: 10 GiB → 12 GiB
      > host/web-0         bootstrap                       spec changed
      > host/web-1         bootstrap                       spec changed

    Plan: 0 to add, 2 to change, 0 to replace, 0 to destroy; 2 to bootstrap. + € 0.47/month
    Saved as plan [ID] (one use, until [TIME]). Apply it with: pool apply [ID]
    ");
}

#[test]
fn a_plan_is_used_once() {
    let t = small();
    assert!(t.run("plan -out=p.plan").contains("Written to p.plan."));
    // How long ago was it observed is the one thing that may differ.
    let head = |text: String| text.lines().nth(2).and_then(|line| line.split(" · observed").next()).map(str::to_owned);
    assert_eq!(head(t.run("show p.plan")), head(t.run("plan")));
    assert!(t.run("apply p.plan").starts_with("exit 0"));
    assert_snapshot!(t.run("apply p.plan"), @r"
    exit 7
    --- stderr
    error: plan [ID] was used by run [ID]; a plan is used once, make another with: pool plan
    ");
    assert_snapshot!(t.run("apply 000000"), @r"
    exit 1
    --- stderr
    error: there is no plan [ID]; make one with: pool plan
    ");
    assert_snapshot!(t.run("apply missing.plan"), @r"
    exit 1
    --- stderr
    error: failed to read the plan file missing.plan: No such file or directory (os error 2)
    ");
}

#[test]
fn what_cannot_be_placed_is_refused_unless_partial() {
    let t = TestContext::new();
    t.file(
        "pool.yaml",
        &format!("{SMALL}  big: {{ hosts: 1, size: {{ vcpus: 512, memory: 4GiB, disk: 20GiB }}, image: debian-12 }}\n"),
    );
    let plan = t.run("plan");
    assert!(plan.starts_with("exit 5") && plan.contains("! host/big-0") && plan.contains("--partial"), "{plan}");
    assert_snapshot!(t.run("apply --yes").lines().rev().take(2).collect::<Vec<_>>().join("\n"), @r"
    hint: apply the rest with: pool apply [ID] --partial
    error: 1 item of this plan cannot be done
    ");
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
    assert!(t.read("events.json").lines().next().is_some_and(|line| line.contains("\"schema\"")));
}

#[test]
fn every_other_command_answers_with_one_json_document() {
    let t = applied();
    for line in [
        "validate",
        "status",
        "check",
        "cost",
        "history",
        "state list",
        "state show host/web-0",
        "show host/web-0",
        "show pool/web",
        "explain host/web-0",
        "version",
        "help exit-codes",
        "state pull",
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
    assert_snapshot!(t.run("state mv host/web-1 host/web-7"), @r"
    exit 0
    --- stdout
    host/web-1 is recorded as host/web-7
    ");
    assert_snapshot!(t.run("state list"), @r"
    exit 0
    --- stdout
    host/web-0
    host/web-7
    volume/web-0.data
    volume/web-7.data
    ");
    assert_snapshot!(t.run("state rm host/web-7"), @r"
    exit 9
    --- stderr
    error: this needs a `yes`, and there is no terminal to ask at
    hint: run: pool state rm host/web-7 --yes
    ");
    assert_snapshot!(t.run("state rm volume/web-7.data host/web-7 --yes"), @r"
    exit 0
    --- stdout
    volume/web-7.data is forgotten
    host/web-7 is forgotten
    ");
    let before = t.output("state pull").stdout;
    t.file("state.json", &String::from_utf8(before).expect("the state is text"));
    assert_snapshot!(t.run("state push state.json"), @r"
    exit 9
    --- stderr
    error: this needs a `yes`, and there is no terminal to ask at
    hint: run: pool state push state.json --yes
    ");
    assert!(t.run("state push state.json --yes").contains("the state is now that of state.json"));
}

#[test]
fn destroy_leaves_nothing() {
    let t = applied();
    assert_snapshot!(t.run("destroy"), @r"
    exit 9
    --- stderr
    acme/default · 1 pool · 2 hosts · state 14 · observed [AGO] (4 list calls, 2 hosts probed)

      - host/web-0         cloud/az1 · s1.medium · 2 vCPU · 4 GiB · € 22.00/month  requested
      - volume/web-0.data  cloud/fast · 10 GiB · fast · € 1.17/month               requested
      - host/web-1         cloud/az1 · s1.medium · 2 vCPU · 4 GiB · € 22.00/month  requested
      - volume/web-1.data  cloud/fast · 10 GiB · fast · € 1.17/month               requested

    Plan: 0 to add, 0 to change, 0 to replace, 4 to destroy. - € 46.34/month
    error: this needs a `yes`, and there is no terminal to ask at
    hint: the plan is saved; apply it with: pool apply [ID]
    ");
    assert_snapshot!(t.run("destroy --yes --parallelism 1"), @r"
    exit 0
    --- stdout
    Done: 2 detached, 4 deleted, in [SPAN].
    calls: cloud 6
    --- stderr
    acme/default · 1 pool · 2 hosts · state 14 · observed [AGO] (4 list calls, 2 hosts probed)

      - host/web-0         cloud/az1 · s1.medium · 2 vCPU · 4 GiB · € 22.00/month  requested
      - volume/web-0.data  cloud/fast · 10 GiB · fast · € 1.17/month               requested
      - host/web-1         cloud/az1 · s1.medium · 2 vCPU · 4 GiB · € 22.00/month  requested
      - volume/web-1.data  cloud/fast · 10 GiB · fast · € 1.17/month               requested

    Plan: 0 to add, 0 to change, 0 to replace, 4 to destroy. - € 46.34/month
    run [ID]: plan [ID], 6 steps
      volume/web-0.data  detach
    ✓ volume/web-0.data  detach     [SPAN]
      volume/web-1.data  detach
    ✓ volume/web-1.data  detach     [SPAN]
      host/web-0         delete
    ✓ host/web-0         delete     [SPAN]
      volume/web-0.data  delete
    ✓ volume/web-0.data  delete     [SPAN]
      host/web-1         delete
    ✓ host/web-1         delete     [SPAN]
      volume/web-1.data  delete
    ✓ volume/web-1.data  delete     [SPAN]
    ");
    assert_eq!(t.run("state list"), "exit 0\n");
}

#[test]
fn a_failing_step_is_reported_with_the_command_that_goes_on() {
    let t = TestContext::new();
    let faults = "faults: [ { on: create, address: host/web-1, error: quota-exceeded, rate: 100% } ]";
    t.file("pool.yaml", &SMALL.replace("type: sim,", &format!("type: sim, {faults},")));
    let output = t.run("apply --yes --parallelism 1");
    assert_snapshot!(output.split("--- ").nth(1).unwrap_or_default(), @r"
    stdout
    failed host/web-1  create: quota exceeded: simulated fault
      hint: raise the account's quota, or ask for less

    Partly done: 3 created, 1 attached, 1 bootstrapped; 1 failed; 2 not tried (needs host/web-1), in [SPAN].
    calls: cloud 5
    What is done is recorded. Go on with: pool apply
    Step by step: pool history [ID]
    ");
    assert!(output.starts_with("exit 8"), "{output}");
    let runs = t.run("history");
    let id = runs.lines().nth(3).and_then(|line| line.split(' ').next()).unwrap_or_default();
    assert!(t.run(&format!("history {id}")).contains("host/web-1"), "{runs}");
}

#[test]
fn simulated_hosts_take_no_sessions() {
    let t = applied();
    assert_snapshot!(t.run("ssh web-0"), @r"
    exit 1
    --- stderr
    error: host/web-0 is simulated: nothing is there to log in to
    ");
    assert_snapshot!(t.run("exec pool=web -- true"), @r"
    exit 1
    --- stderr
    failed host/web-0: host/web-0 is simulated: nothing is there to log in to
    failed host/web-1: host/web-1 is simulated: nothing is there to log in to
    2 hosts: 0 ok, 2 not
    ");
    assert_snapshot!(t.run("exec pool=none -- true"), @r"
    exit 1
    --- stderr
    error: no recorded host fits pool=none
    hint: hosts are listed by: pool state list 'host/*'
    ");
    assert_snapshot!(t.run("ssh nobody-0"), @r"
    exit 1
    --- stderr
    error: no recorded host is called nobody-0
    hint: hosts are listed by: pool state list 'host/*'
    ");
}

#[test]
fn graphs_are_printed_in_three_forms() {
    let t = small();
    assert!(t.run("graph").contains("digraph"));
    assert!(t.run("graph --format mermaid").contains("flowchart"));
    assert_eq!(t.json("graph --format json").1, 0);
}

#[test]
fn ctrl_c_stops_a_run_that_the_next_apply_finishes() {
    let t = TestContext::new();
    t.file("pool.yaml", &SMALL.replace("type: sim,", "type: sim, clock: real, boot: 1s,"));
    let mut terminal = Terminal::start(&t, "apply --yes");
    terminal.wait_for("… host/web-0");
    terminal.send("\x03");
    terminal.wait_for("nothing new is started");
    let (text, code) = terminal.end();
    assert!(code == 130 && text.contains("Interrupted: ") && text.contains("Go on with: pool apply"), "{code} {text}");
    assert!(t.run("apply --yes").starts_with("exit 0"));
    assert!(t.run("plan --detailed-exitcode").starts_with("exit 0"));
}

#[test]
fn variables_stand_for_flags() {
    let t = small();
    let run = |line: &str, vars: &[(&str, &str)]| {
        crate::context::shown(&t.command(line).envs(vars.iter().copied()).output().expect("the program can be started"))
    };
    let output = run("plan", &[("POOL_TARGET", "host/web-0,volume/web-0.data"), ("POOL_DETAILED_EXITCODE", "true")]);
    assert!(output.starts_with("exit 2") && output.contains("2 to add"), "{output}");
    assert!(run("plan", &[("POOL_DETAILED_EXITCODE", "0")]).starts_with("exit 0"));
    assert!(run("apply", &[("POOL_YES", "1"), ("POOL_QUIET", "1")]).starts_with("exit 0\n--- stdout\nDone: "));
}

#[test]
fn a_plan_file_is_shown_without_its_inventory() {
    let t = small();
    t.run("plan -o p.plan");
    let elsewhere = TestContext::new();
    elsewhere.file("p.plan", &t.read("p.plan"));
    let output = elsewhere.run("show p.plan");
    assert!(output.starts_with("exit 0") && output.contains("+ host/web-0"), "{output}");
    assert!(elsewhere.run("graph p.plan").contains("digraph"));
}
