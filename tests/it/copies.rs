//! Snapshots, backups, and hosts that are stopped: what is asked for by name, on the simulated cloud.

use insta::assert_snapshot;
use pool_inventory::Name;
use pool_providers::sim::{Meddling, SimLedger, SimProvider};

use crate::context::TestContext;

/// Two hosts with a volume each.
const SMALL: &str = r#"version: 1
name: acme
providers: { cloud: { type: sim, zones: [az1] } }
tiers: { fast: { backends: [cloud/fast] } }
pools:
  web:
    hosts: 2
    size: { vcpus: 2, memory: 4GiB, disk: 20GiB }
    image: debian-12
    labels: { team: checkout }
    volumes: { data: { size: 10GiB, tier: fast, mount: /data, on_remove: delete } }
"#;

fn applied(inventory: &str) -> TestContext {
    let t = TestContext::new();
    t.file("pool.yaml", inventory);
    does(&t, "apply --yes");
    t
}

/// Runs a command that succeeds; what it said.
#[track_caller]
fn does(t: &TestContext, line: &str) -> String {
    let said = t.run(&format!("{line} --parallelism 1"));
    assert!(said.starts_with("exit 0"), "{line}: {said}");
    said
}

fn ledger(t: &TestContext) -> SimLedger {
    SimLedger::read(&t.root().join(".pool/sim/cloud.ledger")).expect("a ledger")
}

/// The id of an object in the cloud, by the address that it was made with.
fn id(t: &TestContext, address: &str) -> pool_inventory::Text {
    let is = |o: &&pool_inventory::object::Observed| o.owner.as_ref().is_some_and(|w| w.address.to_string() == address);
    ledger(t).live.iter().find(is).unwrap_or_else(|| panic!("{address} is not there")).id.clone()
}

fn meddle(t: &TestContext, what: Meddling) {
    let (name, path) = (Name::new("cloud").expect("a name"), t.root().join(".pool/sim/cloud.ledger"));
    let cloud = SimProvider::open(name, Default::default(), path).expect("opens");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(cloud.meddle(what)).expect("meddles");
}

fn write(t: &TestContext, volume: &str, content: &str) {
    meddle(t, Meddling::Write { id: id(t, volume), content: content.into() });
}

fn content(t: &TestContext, address: &str) -> Option<String> {
    ledger(t).content.get(&id(t, address)).map(ToString::to_string)
}

#[test]
fn a_snapshot_from_its_taking_to_its_end() {
    let t = applied(SMALL);
    write(&t, "volume/web-0.data", "before");
    assert_snapshot!(does(&t, "volume snapshot volume/web-0.data upgrade --yes"), @r"
    exit 0
    --- stdout
    Done: 1 created, in [SPAN].
    calls: cloud 1
    --- stderr
    acme/default · 1 pool · 2 hosts · state 10 · observed [AGO] (5 list calls)

      + snapshot/web-0.data.upgrade  cloud/fast · 10 GiB · of volume/web-0.data  requested

    Plan: 1 to add, 0 to change, 0 to replace, 0 to destroy.
    run [ID]: plan [ID], 1 step
      snapshot/web-0.data.upgrade  create
    ✓ snapshot/web-0.data.upgrade  create     [SPAN]
    ");
    assert_snapshot!(does(&t, "volume list"), @r"
    exit 0
    --- stdout
    volume             backend       size  tier  attached             status
    volume/web-0.data  cloud/fast  10 GiB  fast  host/web-0 at /data  recorded
    volume/web-1.data  cloud/fast  10 GiB  fast  host/web-1 at /data  recorded

    copy                         backend       size  status
    snapshot/web-0.data.upgrade  cloud/fast  10 GiB  recorded
    ");
    assert_snapshot!(does(&t, "show snapshot/web-0.data.upgrade"), @r"
    exit 0
    --- stdout
    snapshot/web-0.data.upgrade
      where   cloud/fast · 10 GiB · of volume/web-0.data
      tenant  default
      pool    web
      id      s-5
      of      volume/web-0.data
      tags    team=checkout
      needs   volume/web-0.data
      record  generation 1, serial 12
    ");
    write(&t, "volume/web-0.data", "after");
    assert_snapshot!(does(&t, "volume restore snapshot/web-0.data.upgrade --yes"), @r"
    exit 0
    --- stdout
    Done: 1 restored, 1 attached, 1 detached, in [SPAN].
    calls: cloud 3
    --- stderr
    acme/default · 1 pool · 2 hosts · state 12 · observed [AGO] (5 list calls)

    -/+ volume/web-0.data  content of today → snapshot/web-0.data.upgrade  restore  requested

    Plan: 0 to add, 0 to change, 0 to replace, 0 to destroy; 1 to restore.
    What volume/web-0.data holds now is lost.
    run [ID]: plan [ID], 3 steps
      volume/web-0.data  detach
    ✓ volume/web-0.data  detach     [SPAN]
      volume/web-0.data  restore
    ✓ volume/web-0.data  restore    [SPAN]
      volume/web-0.data  attach
    ✓ volume/web-0.data  attach     [SPAN]
    ");
    assert_eq!(content(&t, "volume/web-0.data").as_deref(), Some("before"));
    // It is attached again, and an ordinary plan has nothing to do.
    assert!(does(&t, "plan --detailed-exitcode").contains("No changes."));
    assert_snapshot!(does(&t, "volume delete snapshot/web-0.data.upgrade --yes"), @r"
    exit 0
    --- stdout
    Done: 1 deleted, in [SPAN].
    calls: cloud 1
    --- stderr
    acme/default · 1 pool · 2 hosts · state 14 · observed [AGO] (5 list calls)

      - snapshot/web-0.data.upgrade  cloud/fast · 10 GiB · of volume/web-0.data  requested

    Plan: 0 to add, 0 to change, 0 to replace, 1 to destroy.
    run [ID]: plan [ID], 1 step
      snapshot/web-0.data.upgrade  delete
    ✓ snapshot/web-0.data.upgrade  delete     [SPAN]
    ");
    assert_eq!(ledger(&t).used.snapshots, 0);
}

#[test]
fn a_backup_outlives_its_volume() {
    let t = applied(SMALL);
    write(&t, "volume/web-1.data", "precious");
    does(&t, "volume backup 'volume/web-*.data' monday --yes");
    assert_eq!(ledger(&t).used.backups, 2);
    t.file("pool.yaml", &SMALL.replace("hosts: 2", "hosts: 1"));
    does(&t, "apply --yes");
    let said = t.run("volume restore backup/web-1.data.monday --yes");
    assert!(said.starts_with("exit 5") && said.contains("its volume volume/web-1.data is not there"), "{said}");
    assert!(does(&t, "volume list web-1.data").contains("There are no volumes."));
    assert!(does(&t, "volume list").contains("backup/web-1.data.monday"));
}

#[test]
fn a_new_volume_begins_with_what_a_copy_or_another_volume_holds() {
    let t = applied(SMALL);
    write(&t, "volume/web-0.data", "first");
    does(&t, "volume backup web-0.data monday --yes");
    write(&t, "volume/web-0.data", "second");
    let volume = |from: &str| format!("volumes: {{ data: {{ size: 20GiB, tier: fast, from: {from} }} }}");
    let pool = |name: &str, from: &str| {
        let size = "size: { vcpus: 2, memory: 4GiB, disk: 20GiB }";
        format!("  {name}: {{ hosts: 1, {size}, image: debian-12, {} }}\n", volume(from))
    };
    // `aa` waits for `zz`, which is made in the same run.
    let pools = [("aa", "volume/zz-0.data"), ("old", "backup/web-0.data.monday"), ("zz", "volume/web-0.data")];
    let pools: String = pools.iter().map(|(name, from)| pool(name, from)).collect();
    t.file("pool.yaml", &format!("{SMALL}{pools}"));
    does(&t, "apply --yes");
    let holds = |address: &str| content(&t, address).unwrap_or_default();
    assert_eq!(["aa", "old", "zz"].map(|pool| holds(&format!("volume/{pool}-0.data"))), ["second", "first", "second"]);
    assert!(does(&t, "plan --detailed-exitcode").contains("No changes."));
    t.file("pool.yaml", &format!("{SMALL}{}", pool("lost", "snapshot/web-0.data.none")));
    let said = t.run("plan");
    assert!(said.starts_with("exit 5") && said.contains("which it is to be made from, is not there"), "{said}");
}

#[test]
fn a_volume_with_snapshots_stays_until_they_are_deleted() {
    let t = applied(SMALL);
    does(&t, "volume snapshot pool=web one --yes");
    t.file("pool.yaml", &SMALL.replace("hosts: 2", "hosts: 1"));
    assert_snapshot!(t.run("apply --yes --parallelism 1"), @r"
    exit 0
    --- stdout
    Done: 1 detached, 1 deleted, in [SPAN].
    calls: cloud 2
    --- stderr
    acme/default · 1 pool · 1 host · state 14 · observed [AGO] (5 list calls)

      - host/web-1         cloud/az1 · s1.medium · 2 vCPU · 4 GiB · € 22.00/month  removed
      ! volume/web-1.data  stays: it has snapshots; delete them with: pool volume delete snapshot/web-1.data.one

    Plan: 0 to add, 0 to change, 0 to replace, 1 to destroy. - € 22.00/month
    run [ID]: plan [ID], 2 steps
      volume/web-1.data  detach
    ✓ volume/web-1.data  detach     [SPAN]
      host/web-1         delete
    ✓ host/web-1         delete     [SPAN]
    ");
    does(&t, "volume delete snapshot/web-1.data.one --yes");
    let said = does(&t, "apply --yes");
    assert!(said.contains("1 deleted"), "{said}");
    // A whole destroy takes the copies along.
    does(&t, "destroy --yes");
    assert!(ledger(&t).live.is_empty());
    assert!(does(&t, "plan --destroy --detailed-exitcode").contains("No changes."));
}

#[test]
fn what_makes_no_sense_is_refused() {
    let t = applied(SMALL);
    does(&t, "volume snapshot web-0.data one --yes");
    assert_snapshot!(t.run("volume snapshot web-0.data one --yes"), @r"
    exit 5
    --- stderr
    acme/default · 1 pool · 2 hosts · state 12 · observed [AGO] (5 list calls)

      ! snapshot/web-0.data.one  exists already; choose another name, or delete it first

    No changes. Nothing of what was asked for can be done.
    error: 1 item of this plan cannot be done
    hint: see why with: pool show [ID]
    ");
    assert_snapshot!(t.run("volume snapshot web-9.data one --yes"), @r"
    exit 1
    --- stderr
    error: volume/web-9.data is not recorded
    ");
    assert_snapshot!(t.run("volume snapshot 'volume/db-*' one --yes"), @r"
    exit 1
    --- stderr
    error: no recorded volume fits volume/db-*
    hint: what is recorded is listed by: pool state list 'volume/*'
    ");
    assert_snapshot!(t.run("volume restore snapshot/web-0.data.two --yes"), @r"
    exit 1
    --- stderr
    error: snapshot/web-0.data.two is not recorded
    ");
    assert_snapshot!(t.run("volume delete volume/web-0.data"), @r"
    exit 64
    --- stderr
    error: invalid value 'volume/web-0.data' for '<COPY>...': this names a volume; name a copy of it, as in snapshot/web-0.data.NAME

    For more information, try '--help'.
    ");
    assert_snapshot!(t.run("volume snapshot web-0.data Two"), @r"
    exit 64
    --- stderr
    error: invalid value 'Two' for '<NAME>': `Two` must start with a-z and hold only a-z, 0-9 and `-`

    For more information, try '--help'.
    ");
    assert_snapshot!(t.run("host stop web-9"), @r"
    exit 1
    --- stderr
    error: host/web-9 is not recorded
    ");
    assert_snapshot!(t.run("volume restore snapshot/web-0.data.one"), @r"
    exit 9
    --- stderr
    acme/default · 1 pool · 2 hosts · state 12 · observed [AGO] (5 list calls)

    -/+ volume/web-0.data  content of today → snapshot/web-0.data.one  restore  requested

    Plan: 0 to add, 0 to change, 0 to replace, 0 to destroy; 1 to restore.
    What volume/web-0.data holds now is lost.
    error: this needs a `yes`, and there is no terminal to ask at
    hint: the plan is saved; apply it with: pool apply [ID]
    ");
    meddle(&t, Meddling::Delete { id: id(&t, "snapshot/web-0.data.one") });
    assert_snapshot!(t.run("volume restore snapshot/web-0.data.one --yes"), @r"
    exit 5
    --- stderr
    acme/default · 1 pool · 2 hosts · state 12 · observed [AGO] (5 list calls)

      ! snapshot/web-0.data.one  is not there: gone from its provider, or never finished

    No changes. Nothing of what was asked for can be done.
    error: 1 item of this plan cannot be done
    hint: see why with: pool show [ID]
    ");
    assert!(does(&t, "apply --yes").contains("1 forgotten"));
}

#[test]
fn hosts_are_stopped_started_and_restarted() {
    let t = applied(SMALL);
    assert_snapshot!(does(&t, "host stop web-0 --yes"), @r"
    exit 0
    --- stdout
    Done: 1 powered off, in [SPAN].
    calls: cloud 1
    --- stderr
    acme/default · 1 pool · 2 hosts · state 10 · observed [AGO] (4 list calls)

      ~ host/web-0  power off  in place  requested

    Plan: 0 to add, 1 to change, 0 to replace, 0 to destroy.
    The next apply starts again what is off.
    run [ID]: plan [ID], 1 step
      host/web-0  power-off
    ✓ host/web-0  power-off  [SPAN]
    ");
    assert!(does(&t, "host stop host/web-0 --yes").contains("What was asked for is so already."));
    assert_snapshot!(does(&t, "host restart 'web-*' --yes"), @r"
    exit 0
    --- stdout
    Done: 1 powered on, 1 restarted, in [SPAN].
    calls: cloud 2
    --- stderr
    acme/default · 1 pool · 2 hosts · state 11 · observed [AGO] (4 list calls)

      ~ host/web-0  power on  in place  requested
      ~ host/web-1  restart   in place  requested

    Plan: 0 to add, 2 to change, 0 to replace, 0 to destroy.
    run [ID]: plan [ID], 2 steps
      host/web-0  power-on
    ✓ host/web-0  power-on   [SPAN] · [ADDRESS]
      host/web-1  restart
    ✓ host/web-1  restart    [SPAN] · [ADDRESS]
    ");
    does(&t, "host stop pool=web,team=checkout --yes");
    assert!(does(&t, "apply --yes").contains("2 powered on"));
}

#[test]
fn an_errand_is_a_stream_of_events_and_the_list_a_document() {
    let t = applied(SMALL);
    let (events, code) = t.json("volume snapshot web-0.data one --yes --json");
    let kinds: Vec<&str> = events.iter().filter_map(|event| event["event"].as_str()).collect();
    let (first, last) = (&events[0], &events[events.len() - 1]);
    assert_eq!((first["command"].as_str(), code), (Some("volume snapshot"), 0));
    assert_eq!(last["exit_code"].as_i64(), Some(0), "{last}");
    assert!(kinds.contains(&"plan") && kinds.contains(&"step_succeeded"), "{kinds:?}");
    let (documents, _) = t.json("volume list --json --observe providers");
    let copies = &documents[0]["result"]["copies"];
    assert_eq!(copies[0]["record"]["address"].as_str(), Some("snapshot/web-0.data.one"), "{copies}");
    assert_eq!(copies[0]["status"].as_str(), Some("ready"), "{copies}");
    let (events, code) = t.json("volume snapshot web-0.data one --yes --json");
    assert_eq!((events.last().and_then(|event| event["exit_code"].as_i64()), code), (Some(5), 5));
}

#[test]
fn a_saved_errand_is_applied_by_its_id_once() {
    let t = applied(SMALL);
    let said = t.run("volume snapshot web-0.data one");
    assert!(said.starts_with("exit 9"), "{said}");
    let id = said.rsplit("apply ").next().unwrap_or_default().trim().to_owned();
    does(&t, &format!("apply {id}"));
    assert!(t.run(&format!("apply {id}")).starts_with("exit 7"));
    assert_eq!(ledger(&t).used.snapshots, 1);
}

#[test]
fn copies_follow_a_rename_and_are_taken_of_what_was_renamed() {
    let t = applied(SMALL);
    does(&t, "volume snapshot web-0.data one --yes");
    let renamed =
        SMALL.replace("  web:", "  front:") + "moved: { host/web-0: host/front-0, host/web-1: host/front-1 }\n";
    t.file("pool.yaml", &renamed);
    does(&t, "apply --yes");
    assert!(does(&t, "state list").contains("snapshot/front-0.data.one"));
    // The cloud knows the volume by the name that it was made with.
    does(&t, "volume snapshot front-0.data two --yes");
    does(&t, "volume restore snapshot/front-0.data.one --yes");
    does(&t, "volume restore snapshot/front-0.data.two --yes");
    does(&t, "state mv volume/front-0.data volume/front-7.data");
    let listed = does(&t, "state list 'snapshot/*'");
    assert!(listed.contains("snapshot/front-7.data.one") && listed.contains("snapshot/front-7.data.two"), "{listed}");
    does(&t, "state mv volume/front-7.data volume/front-0.data");
    does(&t, "destroy --yes");
    assert!(ledger(&t).live.is_empty());
}

#[test]
fn a_lost_reply_leaves_one_snapshot() {
    for rate in ["40%", "100%"] {
        let faults = format!("type: sim, faults: [{{ on: create, rate: {rate}, error: lost-reply }}],");
        let t = applied(&SMALL.replace("type: sim,", &faults));
        does(&t, "volume snapshot pool=web one --yes");
        does(&t, "volume backup pool=web one --yes");
        let ledger = ledger(&t);
        assert_eq!((ledger.used.snapshots, ledger.used.backups), (2, 2), "{rate}");
        assert_eq!((ledger.duplicates(), ledger.counters.doubles), (vec![], 0), "{rate}");
        assert!(does(&t, "plan --detailed-exitcode").contains("No changes."));
    }
}

#[test]
fn copies_are_listed_only_where_there_are_any() {
    let t = applied(SMALL);
    assert!(does(&t, "plan").contains("(4 list calls"), "nothing is copied: no list of copies");
    does(&t, "volume snapshot web-0.data one --yes");
    assert!(does(&t, "plan").contains("(5 list calls"), "snapshots are listed, backups are not");
}
