//! Places that turn out to be sold out only when hosts are made: approved alternatives, with the volumes.

use insta::assert_snapshot;

use crate::context::TestContext;

/// Two clouds; what `NEAR` and `FAR` say goes wrong there.
const CLOUDS: &str = r#"version: 1
name: acme
providers:
  near: { type: sim, zones: [az1, az2], offerings: { m: { vcpus: 2, memory: 4GiB, disk: 20GiB, price: 0.01/hour } }, faults: [NEAR] }
  far: { type: sim, zones: [z1], offerings: { l: { vcpus: 4, memory: 8GiB, disk: 40GiB, price: 0.05/hour } }, faults: [FAR] }
images: { debian: { near: debian-12, far: debian-12 } }
tiers: { disk: { backends: [near/standard, far/fast] } }
pools:
  web:
    hosts: 2
    size: { vcpus: 2, memory: 4GiB, disk: 20GiB }
    image: debian
    place: { on: ON }
    bootstrap: { files: { /etc/motd: { content: "hello\n" } } }
    volumes: { data: { size: 10GiB, tier: disk, mount: /data, on_remove: delete } }
"#;

fn project(on: &str, near: &str, far: &str) -> TestContext {
    let t = TestContext::new();
    t.file("pool.yaml", &CLOUDS.replace("NEAR", near).replace("FAR", far).replace("ON", on));
    t
}

/// No room for this host at the first cloud: for its first attempt, or for all.
fn sold_out(host: &str, first: bool) -> String {
    let nth = if first { "nth: 1, " } else { "" };
    format!("{{ on: create, address: host/{host}, {nth}error: no-capacity }}")
}

#[test]
fn hosts_go_to_another_zone_and_their_volumes_with_them() {
    let t = project("[near, far]", &sold_out("web-0", true), "");
    assert_snapshot!(t.run("apply --yes --parallelism 1 -q"), @r"
    exit 0
    --- stdout
    Done: 4 created, 2 attached, 2 bootstrapped, in [SPAN].
    calls: far 0, near 7
    ");
    assert_snapshot!(t.run("state list"), @r"
    exit 0
    --- stdout
    host/web-0
    host/web-1
    volume/web-0.data
    volume/web-1.data
    ");
    assert_snapshot!(t.run("plan"), @r"
    exit 0
    --- stdout
    acme/default · 1 pool · 2 hosts · state 15 · observed [AGO] (8 list calls, 2 hosts probed)

    No changes. 4 objects are as declared.
    ");
}

#[test]
fn hosts_go_to_another_provider_at_once_and_stay_there() {
    let t = project("[near/*/az1, near, far]", &sold_out("web-0", false), "");
    assert_snapshot!(t.run("apply --yes --parallelism 1"), @r"
    exit 0
    --- stdout
    Done: 4 created, 2 attached, 2 bootstrapped, in [SPAN].
    calls: far 6, near 2
    --- stderr
    acme/default · 1 pool · 2 hosts · state 0 · observed [AGO] (8 list calls)

      + host/web-0         near/az1 · m · 2 vCPU · 4 GiB · € 7.30/month  not present
      + volume/web-0.data  near/standard · 10 GiB · disk · € 0.58/month  not present
      + host/web-1         near/az1 · m · 2 vCPU · 4 GiB · € 7.30/month  not present
      + volume/web-1.data  near/standard · 10 GiB · disk · € 0.58/month  not present

    Plan: 4 to add, 0 to change, 0 to replace, 0 to destroy; 2 to bootstrap. + € 15.77/month
    run [ID]: plan [ID], 8 steps
      host/web-0         create
    ~ host/web-0         create     no capacity in near/az1/m, now in near/az2/m
      host/web-0         create     attempt 2
    ~ host/web-0         create     no capacity in near/az2/m, now in far/z1/l
      host/web-0         create     attempt 3
    ✓ host/web-0         create     [SPAN] · 10.217.0.2:22
      host/web-1         create
    ~ host/web-1         create     no capacity in near/az1/m, now in far/z1/l
    ✓ host/web-1         create     [SPAN] · 10.217.0.3:22
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
    assert_snapshot!(t.run("plan"), @r"
    exit 0
    --- stdout
    acme/default · 1 pool · 2 hosts · state 16 · observed [AGO] (8 list calls, 2 hosts probed)

    No changes. 4 objects are as declared.
    ");
    assert_snapshot!(t.run("show host/web-0"), @r"
    exit 0
    --- stdout
    host/web-0
      where      far/z1 · l · 4 vCPU · 8 GiB · € 36.50/month
      tenant     default
      pool       web
      id         h-1
      address    10.217.0.2:22
      host key   ssh-ed25519 [KEY]
      image      debian-12
      disk       40 GiB
      bootstrap  done ([HEX])
      login      root (ssh-ed25519)
      record     generation 1, serial 14
    ");
    let destroyed = t.run("destroy --yes -q");
    assert!(destroyed.starts_with("exit 0"), "{destroyed}");
    assert_snapshot!(t.run("state list"), @r"exit 0");
}

#[test]
fn only_places_that_the_inventory_allows_are_tried() {
    let t = project("[near]", &sold_out("web-0", false), "");
    assert_snapshot!(t.run("apply --yes --parallelism 1 -q"), @r"
    exit 8
    --- stdout
    failed host/web-0  create: no capacity: simulated fault
      hint: allow more places in `place.on`, or try again later

    Partly done: 2 created, 1 attached, 1 bootstrapped; 1 failed; 3 not tried (needs host/web-0), in [SPAN].
    calls: near 5
    What is done is recorded. Go on with: pool apply
    Step by step: pool history [ID]
    ");
    assert_snapshot!(t.run("plan"), @r"
    exit 5
    --- stdout
    acme/default · 1 pool · 2 hosts · state 10 · observed [AGO] (8 list calls, 1 host probed)

      ! host/web-0         cannot be placed
          far: not in place.on
          near/az1/m: was sold out [AGO]
          near/az2/m: was sold out [AGO]
      ! volume/web-0.data  needs host/web-0, which is not done

    No changes. Nothing else is to do.
    ");
}

#[test]
fn what_was_made_elsewhere_is_taken_back_from_there() {
    let fails = "{ on: create, address: volume/web-1.data, error: quota-exceeded }";
    let t = project("[near, far]", &sold_out("web-0", false), fails);
    assert_snapshot!(t.run("apply --yes --parallelism 1 --on-failure undo -q"), @r"
    exit 1
    --- stdout
    failed volume/web-1.data  create: quota exceeded: simulated fault
      hint: raise the account's quota, or ask for less

    Undone: 3 created, 3 taken back; 1 failed; 4 not tried, in [SPAN].
    calls: far 7, near 2
    Nothing that it made is left. Go on with: pool apply
    Step by step: pool history [ID]
    ");
    assert_snapshot!(t.run("state list"), @r"exit 0");
}
