//! `--on-failure undo`: what a run made is taken back when one of its steps fails, as the plan said.

use insta::assert_snapshot;

use crate::{context::TestContext, program::live};

/// So many hosts with a volume each, in a cloud with a fault.
fn inventory(hosts: u32, team: &str, volumes: bool, fault: &str) -> String {
    let volumes = if volumes {
        "\n    volumes: { data: { size: 10GiB, tier: fast, mount: /data, on_remove: delete } }"
    } else {
        ""
    };
    format!(
        "version: 1\nname: acme\nproviders: {{ cloud: {{ type: sim, zones: [az1], faults: [{fault}] }} }}\n\
         tiers: {{ fast: {{ backends: [cloud/fast] }} }}\npools:\n  web:\n    hosts: {hosts}\n    \
         size: {{ vcpus: 2, memory: 4GiB, disk: 20GiB }}\n    image: debian-12\n    labels: {{ team: {team} }}{volumes}\n"
    )
}

const NO_MORE_HOSTS: &str = "{ on: create, address: host/web-2, nth: 1, error: quota-exceeded }";

#[test]
fn all_that_was_made_is_taken_back_and_the_plan_says_so_before() {
    let t = TestContext::new();
    let fault = "{ on: update, address: volume/web-1.data, nth: 1, error: quota-exceeded }";
    t.file("pool.yaml", &inventory(2, "a", true, fault));
    assert_snapshot!(t.run("plan --on-failure undo -v"), @r"
    exit 0
    --- stdout
    acme/default · 1 pool · 2 hosts · state 0 · observed [AGO] (4 list calls)

      + host/web-0         cloud/az1 · s1.medium · 2 vCPU · 4 GiB · € 22.00/month  not present
      + volume/web-0.data  cloud/fast · 10 GiB · fast · € 1.17/month               not present
      + host/web-1         cloud/az1 · s1.medium · 2 vCPU · 4 GiB · € 22.00/month  not present
      + volume/web-1.data  cloud/fast · 10 GiB · fast · € 1.17/month               not present

    Plan: 4 to add, 0 to change, 0 to replace, 0 to destroy. + € 46.34/month
    If a step fails: nothing new is started, and what it made by then is deleted again: 2 hosts, 2 volumes.
          detach volume/web-1.data
          detach volume/web-0.data
          take-back volume/web-1.data
          take-back volume/web-0.data
          take-back host/web-1
          take-back host/web-0
    Saved as plan [ID] (one use, until [TIME]). Apply it with: pool apply [ID]
    ");
    assert_snapshot!(t.run("apply --yes --on-failure undo --parallelism 1"), @r"
    exit 1
    --- stdout
    failed volume/web-1.data  attach: quota exceeded: simulated fault
      hint: raise the account's quota, or ask for less

    Undone: 4 created, 1 attached, 1 detached, 4 taken back; 1 failed, in [SPAN].
    calls: cloud 11
    Nothing that it made is left. Go on with: pool apply
    Step by step: pool history [ID]
    --- stderr
    acme/default · 1 pool · 2 hosts · state 0 · observed [AGO] (4 list calls)

      + host/web-0         cloud/az1 · s1.medium · 2 vCPU · 4 GiB · € 22.00/month  not present
      + volume/web-0.data  cloud/fast · 10 GiB · fast · € 1.17/month               not present
      + host/web-1         cloud/az1 · s1.medium · 2 vCPU · 4 GiB · € 22.00/month  not present
      + volume/web-1.data  cloud/fast · 10 GiB · fast · € 1.17/month               not present

    Plan: 4 to add, 0 to change, 0 to replace, 0 to destroy. + € 46.34/month
    If a step fails: nothing new is started, and what it made by then is deleted again: 2 hosts, 2 volumes.
    run [ID]: plan [ID], 6 steps
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
    ✗ volume/web-1.data  attach     [SPAN] · quota exceeded: simulated fault
    Undo: what this run made is taken back, 5 steps.
      volume/web-0.data  detach
    ✓ volume/web-0.data  detach     [SPAN]
      volume/web-1.data  take-back
    ✓ volume/web-1.data  take-back  [SPAN]
      host/web-1         take-back
    ✓ host/web-1         take-back  [SPAN]
      volume/web-0.data  take-back
    ✓ volume/web-0.data  take-back  [SPAN]
      host/web-0         take-back
    ✓ host/web-0         take-back  [SPAN]
    ");
    assert_eq!(live(t.root()), (0, 0));
    assert_snapshot!(t.run("history -n 1"), @r"
    exit 0
    --- stdout
    run           started              took  exit  outcome                                                 command
    [ID]  [TIME]  [SPAN]  1  5 done, 1 failed, 0 not tried; 4 taken back, 0 changed  pool apply --yes --on-failure undo --parallelism 1
    ");
    assert!(t.run("apply --yes").starts_with("exit 0"));
    assert_eq!(live(t.root()), (2, 2));
    assert!(t.run("plan --detailed-exitcode").starts_with("exit 0"));
}

#[test]
fn what_was_there_before_stays_changed_and_is_named() {
    let t = TestContext::new();
    t.file("pool.yaml", &inventory(1, "a", false, NO_MORE_HOSTS));
    assert!(t.run("apply --yes").starts_with("exit 0"));
    t.file("pool.yaml", &inventory(3, "b", false, NO_MORE_HOSTS));
    let plan = t.run("plan --on-failure undo");
    assert!(plan.contains("is deleted again: 2 hosts."), "{plan}");
    assert!(plan.contains("not taken back: host/web-0, which is changed where it stands"), "{plan}");
    let said = t.run("apply --yes --on-failure undo --parallelism 1");
    assert!(said.starts_with("exit 8") && said.contains("1 object that it changed stay"), "{said}");
    assert_eq!(live(t.root()), (1, 0));
    assert!(t.run("apply --yes").starts_with("exit 0"));
    assert_eq!(live(t.root()), (3, 0));
}

#[test]
fn a_volume_is_taken_off_a_host_that_stays() {
    let t = TestContext::new();
    t.file("pool.yaml", &inventory(1, "a", false, ""));
    assert!(t.run("apply --yes").starts_with("exit 0"));
    let fault = "{ on: update, address: volume/web-1.data, nth: 1, error: quota-exceeded }";
    t.file("pool.yaml", &inventory(2, "a", true, fault));
    let said = t.run("apply --yes --on-failure undo --parallelism 1");
    assert!(said.starts_with("exit 1") && said.contains("volume/web-0.data  detach"), "{said}");
    assert_eq!(live(t.root()), (1, 0));
    assert!(t.run("apply --yes").starts_with("exit 0"));
    assert_eq!(live(t.root()), (2, 2));
}

#[test]
fn protected_objects_and_replacements_are_never_taken_back() {
    let t = TestContext::new();
    let protected =
        |hosts| inventory(hosts, "a", false, NO_MORE_HOSTS).replace("    image:", "    protected: true\n    image:");
    t.file("pool.yaml", &protected(3));
    let said = t.run("apply --yes --on-failure undo --parallelism 1");
    assert!(said.starts_with("exit 8") && said.contains("not taken back: host/web-0, which is protected"), "{said}");
    assert!(said.contains("nothing of this can be taken back"), "{said}");
    assert_eq!(live(t.root()), (2, 0));
    let plan = t.run("plan --on-failure undo --replace host/web-0 --override max_replaced --reason test");
    assert!(!plan.contains("deleted again: 2"), "{plan}");
}

#[test]
fn a_plan_that_was_made_without_is_not_undone() {
    let t = TestContext::new();
    t.file("pool.yaml", &inventory(1, "a", false, ""));
    assert!(t.run("plan -o p.json").starts_with("exit 0"));
    assert_snapshot!(t.run("apply p.json --on-failure undo"), @r"
    exit 64
    --- stderr
    error: this plan was not made to be undone, so that nobody was shown what would be taken back; make one with: pool plan --on-failure undo
    ");
    assert!(t.run("plan -o q.json --on-failure undo").starts_with("exit 0"));
    // What the plan was made with holds where nothing else is said; less is always possible.
    assert!(t.run("apply q.json --on-failure stop").starts_with("exit 0"));
}

#[test]
fn stop_starts_nothing_new() {
    let t = TestContext::new();
    let fault = "{ on: create, address: host/web-0, nth: 1, error: quota-exceeded }";
    t.file("pool.yaml", &inventory(3, "a", false, fault));
    let said = t.run("apply --yes --on-failure stop --parallelism 1");
    assert!(said.starts_with("exit 1") && said.contains("If a step fails: nothing new is started."), "{said}");
    assert_eq!(live(t.root()), (0, 0));
    t.file("pool.yaml", &inventory(3, "a", false, fault).replace("web-0", "web-1"));
    let said = t.run("apply --yes --on-failure continue --parallelism 1");
    assert!(said.starts_with("exit 8"), "{said}");
    assert_eq!(live(t.root()), (2, 0));
}
