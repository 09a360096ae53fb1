//! What `pool explain` and `pool plan --why-not` answer.

use insta::assert_snapshot;

use crate::context::TestContext;

/// A cheap zone that runs out, one that is no good for the volumes, and two pools that ask for different things.
const SHOP: &str = r#"version: 1
name: shop
providers:
  cloud:
    type: sim
    zones: [az1, az2, az3]
    offerings:
      m1.small: { vcpus: 2, memory: 4GiB, disk: 40GiB, price: 0.042/hour }
      m1.large: { vcpus: 4, memory: 16GiB, disk: 80GiB, price: 0.168/hour }
      m1.huge: { vcpus: 16, memory: 64GiB, disk: 80GiB, price: 0.9/hour }
    stock: { az1/m1.small: 1, az3/m1.small: 0, az3/m1.large: 0, az3/m1.huge: 0 }
    backends: { fast: 20TiB }
tiers: { fast: { backends: [cloud/fast] } }
pools:
  db:
    hosts: 2
    size: { vcpus: 4, memory: 16GiB, disk: 80GiB }
    image: debian-12
    place: { on: ["cloud/*/az2", "cloud/*/az1"], max_price: 200/month }
    volumes: { data: { size: 10GiB, tier: fast, on_remove: delete } }
  web:
    hosts: 3
    size: { vcpus: 2, memory: 4GiB, disk: 20GiB }
    image: debian-12
    place: { on: ["cloud/*/az1", cloud], optimize: cost }
"#;

fn shop() -> TestContext {
    let t = TestContext::new();
    t.file("pool.yaml", SHOP);
    t
}

#[test]
fn every_place_stands_there_with_price_score_and_reason() {
    let t = shop();
    assert_snapshot!(t.run("explain host/web-0"), @r"
    exit 0
    --- stdout
    host/web-0
      is not there yet
      + cloud/az1 · m1.small · 2 vCPU · 4 GiB · € 30.66/month, because: not present

    Places that fit, best first
      place                        price  score                             hosts
      cloud/az1/m1.small   € 30.66/month  best                                  1
      cloud/az2/m1.small   € 30.66/month  2nd in place.on                       2
      cloud/az1/m1.large  € 122.64/month  +€ 91.98/month
      cloud/az2/m1.large  € 122.64/month  2nd in place.on, +€ 91.98/month
      cloud/az1/m1.huge   € 657.00/month  +€ 626.34/month
      cloud/az2/m1.huge   € 657.00/month  2nd in place.on, +€ 626.34/month

    If the chosen place is sold out, in this order
      cloud/az2/m1.small · € 30.66/month
      cloud/az1/m1.large · € 122.64/month
      cloud/az2/m1.large · € 122.64/month
      cloud/az1/m1.huge · € 657.00/month
      cloud/az2/m1.huge · € 657.00/month

    Places that were refused
      cloud/az3/m1.huge: none left
      cloud/az3/m1.large: none left
      cloud/az3/m1.small: none left
      cloud/az1/m1.small: none left
    ");
    assert_snapshot!(t.run("explain volume/db-1.data"), @r"
    exit 0
    --- stdout
    volume/db-1.data
      is not there yet
      + cloud/fast · 10 GiB · fast · € 1.17/month, because: not present

    Places that fit, best first
      place                        price  score            hosts
      cloud/az2/m1.large  € 122.64/month  best                 2
      cloud/az1/m1.large  € 122.64/month  2nd in place.on

    If the chosen place is sold out, in this order
      cloud/az1/m1.large · € 122.64/month · data on cloud/fast

    Places that were refused
      cloud/az3: not in place.on
      cloud/*/m1.huge: € 657.00/month > € 200.00/month
      cloud/*/m1.small: 2 vCPU < 4 vCPU
    ");
    assert_snapshot!(t.run("explain pool/web"), @r"
    exit 0
    --- stdout
    pool/web

    3 hosts: web-0 web-1 web-2

    Places that fit, best first
      place                        price  score                             hosts
      cloud/az1/m1.small   € 30.66/month  best                                  1
      cloud/az2/m1.small   € 30.66/month  2nd in place.on                       2
      cloud/az1/m1.large  € 122.64/month  +€ 91.98/month
      cloud/az2/m1.large  € 122.64/month  2nd in place.on, +€ 91.98/month
      cloud/az1/m1.huge   € 657.00/month  +€ 626.34/month
      cloud/az2/m1.huge   € 657.00/month  2nd in place.on, +€ 626.34/month

    If the chosen place is sold out, in this order
      cloud/az2/m1.small · € 30.66/month
      cloud/az1/m1.large · € 122.64/month
      cloud/az2/m1.large · € 122.64/month
      cloud/az1/m1.huge · € 657.00/month
      cloud/az2/m1.huge · € 657.00/month

    Places that were refused
      cloud/az1/m1.small: none left
      cloud/az3/m1.huge: none left
      cloud/az3/m1.large: none left
      cloud/az3/m1.small: none left
    ");
    let (documents, _) = t.json("explain pool/db --json");
    let group = &documents[0]["result"]["groups"][0]["group"];
    assert_eq!(group["hosts"], serde_json::json!(["db-0", "db-1"]), "{group}");
    assert_eq!((&group["candidates"][0]["taken"], &group["candidates"][0]["rank"]), (&2.into(), &0.into()));
}

#[test]
fn once_hosts_stand_a_pool_shows_where_a_new_one_would_go() {
    let t = shop();
    assert!(t.run("apply --yes").starts_with("exit 0"));
    assert_snapshot!(t.run("explain pool/web"), @r"
    exit 0
    --- stdout
    pool/web

    Places for a new host now, best first
      place                        price  score            hosts
      cloud/az2/m1.small   € 30.66/month  best
      cloud/az1/m1.large  € 122.64/month  +€ 91.98/month
      cloud/az2/m1.large  € 122.64/month  +€ 91.98/month
      cloud/az1/m1.huge   € 657.00/month  +€ 626.34/month
      cloud/az2/m1.huge   € 657.00/month  +€ 626.34/month

    Places that are refused now
      cloud/az1/m1.small: none left
      cloud/az3/m1.huge: none left
      cloud/az3/m1.large: none left
      cloud/az3/m1.small: none left
    ");
    let (documents, _) = t.json("explain host/web-0 --json");
    let now = &documents[0]["result"]["now"];
    assert!(now["candidates"][0]["offering"] == "m1.small", "{now}");
    assert_snapshot!(t.run("explain pool/nobody"), @r"
    exit 1
    --- stderr
    error: pool/nobody is neither recorded nor planned
    hint: what is recorded is listed by: pool state list
    ");
}

#[test]
fn a_pool_that_is_short_of_hosts_is_not_all_there() {
    let t = TestContext::new();
    t.file(
        "pool.yaml",
        &SHOP
            .replace("az1/m1.small: 1", "az1/m1.small: 1, az1/m1.large: 0, az1/m1.huge: 0")
            .replace(r#"["cloud/*/az1", cloud]"#, r#"["cloud/*/az1"]"#),
    );
    let said = t.run("plan --why-not cloud/az1");
    assert!(
        said.contains(
            "  web  1 of 3 hosts there; cloud/az1/m1.small (€ 30.66/month) would do, but there is no room left"
        ),
        "{said}"
    );
}

#[test]
fn a_place_of_no_provider_is_refused_before_anything_is_planned() {
    let t = shop();
    assert_snapshot!(t.run("plan --why-not clowd/az1"), @r"
    exit 1
    --- stderr
    error: there is no provider clowd
    hint: declared are: cloud
    ");
    assert!(!t.root().join(".pool/state.db").exists(), "no plan was saved");
}

#[test]
fn a_plan_says_why_hosts_are_not_somewhere_else() {
    let t = shop();
    assert_snapshot!(t.run("plan --why-not cloud/az1 --why-not cloud/az3 --why-not cloud"), @r"
    exit 0
    --- stdout
    shop/default · 2 pools · 5 hosts · state 0 · observed [AGO] (4 list calls)

      + host/db-0         cloud/az2 · m1.large · 4 vCPU · 16 GiB · € 122.64/month  not present
      + volume/db-0.data  cloud/fast · 10 GiB · fast · € 1.17/month                not present
      + host/db-1         cloud/az2 · m1.large · 4 vCPU · 16 GiB · € 122.64/month  not present
      + volume/db-1.data  cloud/fast · 10 GiB · fast · € 1.17/month                not present
      + host/web-0        cloud/az1 · m1.small · 2 vCPU · 4 GiB · € 30.66/month    not present
      + host/web-1        cloud/az2 · m1.small · 2 vCPU · 4 GiB · € 30.66/month    not present
      + host/web-2        cloud/az2 · m1.small · 2 vCPU · 4 GiB · € 30.66/month    not present

    Plan: 7 to add, 0 to change, 0 to replace, 0 to destroy. + € 339.60/month

    Why not cloud/az1
      db   cloud/az1/m1.large (€ 122.64/month) would do; cloud/az2/m1.large (€ 122.64/month) is better (2nd in place.on there)
      web  1 of 3 hosts there; cloud/az1/m1.large (€ 122.64/month) would do; cloud/az2/m1.small (€ 30.66/month) is better (+€ 91.98/month there)
          cloud/az1/m1.small: none left

    Why not cloud/az3
      db   nothing there will do
          cloud/az3: not in place.on
          cloud/*/m1.huge: € 657.00/month > € 200.00/month
          cloud/*/m1.small: 2 vCPU < 4 vCPU
      web  nothing there will do
          cloud/az3/m1.huge: none left
          cloud/az3/m1.large: none left
          cloud/az3/m1.small: none left

    Why not cloud
      db   all of it is there: 2 hosts
      web  all of it is there: 3 hosts

    Saved as plan [ID] (one use, until [TIME]). Apply it with: pool apply [ID]
    ");
    let (events, code) = t.json("plan --why-not cloud/az3 --json");
    let answer = events.iter().find(|event| event["event"] == "why_not").expect("it is answered");
    assert_eq!((code, &answer["place"], &answer["pools"][0]["verdict"]), (0, &"cloud/az3".into(), &"unfit".into()));
    assert_snapshot!(t.run("plan --why-not cloud/az7"), @r"
    exit 1
    --- stderr
    error: cloud offers nothing in zone az7
    hint: its zones: az1, az2, az3
    ");
    assert_snapshot!(t.run("plan --why-not elsewhere"), @r"
    exit 1
    --- stderr
    error: there is no provider elsewhere
    hint: declared are: cloud
    ");
    assert!(t.run("apply --yes").starts_with("exit 0"));
    assert_snapshot!(t.run("plan --why-not cloud/az1"), @r"
    exit 0
    --- stdout
    shop/default · 2 pools · 5 hosts · state 16 · observed [AGO] (4 list calls)

    No changes. 7 objects are as declared.

    Why not cloud/az1
      db   cloud/az1/m1.large (€ 122.64/month) would do for a new host; those that stand are not moved
      web  1 of 3 hosts there; cloud/az1/m1.large (€ 122.64/month) would do for a new host; those that stand are not moved
    ");
}
