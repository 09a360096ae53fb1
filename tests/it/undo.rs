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
    assert_snapshot!(t.run("plan --on-failure undo -v"), @"");
    assert_snapshot!(t.run("apply --yes --on-failure undo --parallelism 1"), @"");
    assert_eq!(live(t.root()), (0, 0));
    assert_snapshot!(t.run("history -n 1"), @"");
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
    assert_snapshot!(t.run("apply p.json --on-failure undo"), @"");
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
