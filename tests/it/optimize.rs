//! Machines of one's own: packing, and `plan --optimize` from the proposal to the next one, which is empty.

use pool_inventory::Kind;
use pool_providers::sim::SimLedger;

use crate::context::TestContext;

/// Four machines for four hosts each, and rented hosts at one price.
const OWNED: &str = r#"version: 1
name: acme
providers:
  own:
    type: sim
    zones: [az1]
    offerings: { s: { vcpus: 2, memory: 4GiB, disk: 20GiB, price: 0/hour } }
    machines: { m: { count: 4, zone: az1, vcpus: 8, memory: 16GiB, disk: 200GiB, price: 0.5/hour } }
  rent:
    type: sim
    zones: [z1]
    offerings: { big: { vcpus: 2, memory: 4GiB, disk: 20GiB, price: 0.1/hour } }
images: { debian-12: { own: debian-12, rent: debian-12 } }
pools:
  a: { hosts: 4, size: { vcpus: 2, memory: 4GiB, disk: 20GiB }, image: debian-12, place: { on: [own] } }
  b: { hosts: 4, size: { vcpus: 2, memory: 4GiB, disk: 20GiB }, image: debian-12, place: { on: [own] } }
  c: { hosts: 4, size: { vcpus: 2, memory: 4GiB, disk: 20GiB }, image: debian-12, place: { on: [own] } }
  r: { hosts: 5, size: { vcpus: 2, memory: 4GiB, disk: 20GiB }, image: debian-12, place: { on: [rent] } }
policy: { max_destroyed: 100%, max_replaced: 40%, min_residence: 0s }
"#;

#[track_caller]
fn done(t: &TestContext, arguments: &str) -> String {
    let output = t.run(arguments);
    assert!(output.starts_with("exit 0"), "{arguments}: {output}");
    output
}

fn own(t: &TestContext) -> SimLedger {
    SimLedger::read(&t.root().join(".pool/sim/own.ledger")).expect("a ledger")
}

fn machines(t: &TestContext) -> Vec<(String, u64)> {
    own(t).used.machines.iter().map(|(name, used)| (name.to_string(), used.hosts)).filter(|(_, n)| *n > 0).collect()
}

fn on(hosts: &[(&str, u64)]) -> Vec<(String, u64)> {
    hosts.iter().map(|(name, hosts)| ((*name).to_owned(), *hosts)).collect()
}

#[test]
fn machines_are_emptied_when_that_is_asked_for_and_only_then() {
    let t = TestContext::new();
    t.file("pool.yaml", OWNED);
    done(&t, "apply --yes");
    assert_eq!(machines(&t), on(&[("m-0", 4), ("m-1", 4), ("m-2", 4)]), "filled one by one");
    let fewer = OWNED.replace("a: { hosts: 4", "a: { hosts: 2").replace("b: { hosts: 4", "b: { hosts: 1");
    t.file("pool.yaml", &fewer.replace("c: { hosts: 4", "c: { hosts: 1"));
    done(&t, "apply --yes");
    assert_eq!(machines(&t), on(&[("m-0", 2), ("m-1", 1), ("m-2", 1)]));
    assert!(done(&t, "plan").contains("No changes."), "nothing moves without the flag");

    let shown = done(&t, "plan --optimize --out o.plan");
    assert!(shown.contains("host/b-0  machine m-1 → m-0  in place  empties m-1: saves € 365.00/month"), "{shown}");
    assert!(
        shown.contains("Proposal: saves € 730.00/month: 2 hosts moved in place, 0 replaced, 2 machines left empty."),
        "{shown}"
    );
    assert!(shown.contains("0 to destroy. - € 730.00/month"), "{shown}");
    done(&t, "apply o.plan");
    assert_eq!(machines(&t), on(&[("m-0", 4)]));
    let ledger = own(&t);
    assert_eq!(ledger.counters.created[&Kind::Host], 12, "moved, not made anew");
    assert!(ledger.counters.peak.machines.values().all(|used| used.vcpus <= 8 && used.memory <= 16 << 30));
    assert!(done(&t, "plan --optimize").contains("Proposal: nothing would save anything."));
    assert!(done(&t, "plan").contains("No changes."), "and what was moved stays");
}

#[test]
fn brakes_and_the_least_age_bound_what_is_replaced() {
    let t = TestContext::new();
    t.file("pool.yaml", OWNED);
    done(&t, "apply --yes");
    let cheaper = OWNED.replace(
        "price: 0.1/hour }",
        "price: 0.1/hour }, new: { vcpus: 2, memory: 4GiB, disk: 20GiB, price: 0.05/hour }",
    );
    t.file("pool.yaml", &cheaper);
    assert!(done(&t, "plan").contains("No changes."));
    let shown = done(&t, "plan --optimize --out o.plan");
    assert!(shown.contains("2 to replace") && shown.contains("3 hosts more would cost less elsewhere"), "{shown}");
    done(&t, "apply o.plan");
    t.file("pool.yaml", &cheaper.replace("min_residence: 0s", "min_residence: 1h"));
    let young = done(&t, "plan --optimize");
    assert!(
        young.contains("nothing would save anything") && young.contains("younger than policy.min_residence"),
        "{young}"
    );
    t.file("pool.yaml", &cheaper.replace("max_replaced: 40%", "max_replaced: 100%"));
    assert!(done(&t, "plan --optimize --out p.plan").contains("3 to replace"));
    done(&t, "apply p.plan");
    assert!(done(&t, "plan --optimize").contains("Proposal: nothing would save anything."));
}
