//! `pool check`: what would keep a plan from being carried out, before anything is spent.

use insta::assert_snapshot;

use crate::context::TestContext;

/// Two pools in an account with limits.
const LIMITED: &str = r"version: 1
name: acme
providers:
  cloud: { type: sim, zones: [az1, az2], quota: { hosts: 3, vcpus: 64, memory: 64GiB }, backends: { fast: 30GiB } }
tenants: { retail: { quota: { hosts: 4 } } }
images: { debian: { cloud: debian-11 } }
tiers: { fast: { backends: [cloud/fast] }, slow: { media: ssd, backends: [cloud/archive] } }
networks: { front: { tenant: retail, cidr: 10.0.0.0/29, on: [cloud] } }
pools:
  big:
    hosts: 1
    size: { vcpus: 400, memory: 4GiB, disk: 20GiB }
    image: debian
    place: { on: [cloud/sim/az9] }
    volumes: { data: { size: 10GiB, tier: slow } }
  web:
    tenant: retail
    hosts: 5
    size: { vcpus: 2, memory: 4GiB, disk: 20GiB }
    image: debian-12
    network: front
    place: { on: [cloud/sim/az1] }
    volumes: { data: { size: 10GiB, tier: fast } }
";

fn project(text: &str) -> TestContext {
    let t = TestContext::new();
    t.file("pool.yaml", text);
    t
}

#[test]
fn everything_that_is_short_is_said_with_how_much_and_what_to_do() {
    let t = project(LIMITED);
    assert_snapshot!(t.run("check"), @r"
    exit 5
    --- stdout
    answer  where  what                 age  detail
    pass    cloud  credentials          now  accepted; 22 offerings, 3 backends
    pass    cloud  image debian         now  `debian-11` is there, for big
    pass    cloud  image debian-12      now  `debian-12` is there, for web
    pass    cloud  place cloud/sim/az1  now  zones az1
    fail    cloud  place cloud/sim/az9  now  there is no such zone; did you mean `cloud/sim/az1`? → correct pools.big.place.on
    fail    cloud  pool big size        now  no offering fits: nothing is offered where the pool may be → correct pools.big.size or pools.big.place
    pass    cloud  pool web size        now  s1.medium fits, in az1
    fail    cloud  tier fast            now  cloud/fast has 30 GiB left; the plan makes 50 GiB: 20 GiB short → make room, or let another backend serve it
    fail    cloud  tier slow            now  no backend serves it: cloud/archive hdd, not ssd → correct tiers.slow.backends
    fail    cloud  quota hosts          now  the plan needs 5, 3 of 3 left: 2 short → ask for a larger quota, delete what is not needed, or declare less
    pass    cloud  quota memory         now  the plan needs 20 GiB, 64 GiB of 64 GiB left
    pass    cloud  quota vcpus          now  the plan needs 10, 64 of 64 left
    fail    cloud  network front        now  5 hosts in 10.0.0.0/29, which has 4 addresses for hosts: 1 short → declare a wider networks.front.cidr
    fail           tenant retail hosts       the plan needs 5, 4 of 4 left: 1 short → ask for a larger quota, delete what is not needed, or declare less
    fail           plan                      host/big-0 and 2 more cannot be planned → pool plan says why of each

    Check: 7 pass, 8 fail, 0 unknown
    ");
}

#[test]
fn what_fits_passes_and_what_is_there_is_not_counted_twice() {
    let t = project(
        &LIMITED.replace("hosts: 5", "hosts: 2").replace("400", "1").replace("az9", "az*").replace("media: ssd, ", ""),
    );
    assert_snapshot!(t.run("check"), @r"
    exit 0
    --- stdout
    answer  where  what                 age  detail
    pass    cloud  credentials          now  accepted; 22 offerings, 3 backends
    pass    cloud  image debian         now  `debian-11` is there, for big
    pass    cloud  image debian-12      now  `debian-12` is there, for web
    pass    cloud  place cloud/sim/az*  now  zones az1, az2
    pass    cloud  place cloud/sim/az1  now  zones az1
    pass    cloud  pool big size        now  s1.medium fits, in az1, az2
    pass    cloud  pool web size        now  s1.medium fits, in az1
    pass    cloud  tier fast            now  cloud/fast has 30 GiB left; the plan makes 20 GiB
    pass    cloud  tier slow            now  cloud/archive has 16 PiB left; the plan makes 10 GiB
    pass    cloud  quota hosts          now  the plan needs 3, 3 of 3 left
    pass    cloud  quota memory         now  the plan needs 12 GiB, 64 GiB of 64 GiB left
    pass    cloud  quota vcpus          now  the plan needs 6, 64 of 64 left
    pass    cloud  network front        now  2 hosts in 10.0.0.0/29, which has 4 addresses for hosts
    pass           tenant retail hosts       the plan needs 2, 4 of 4 left
    pass           plan                      10 steps, and all can be carried out

    Check: 15 pass, 0 fail, 0 unknown
    ");
    assert!(t.run("apply --yes").starts_with("exit 0"));
    assert_snapshot!(t.run("check"), @r"
    exit 0
    --- stdout
    answer  where  what                 age  detail
    pass    cloud  credentials          now  accepted; 22 offerings, 3 backends
    pass    cloud  image debian         now  `debian-11` is there, for big
    pass    cloud  image debian-12      now  `debian-12` is there, for web
    pass    cloud  place cloud/sim/az*  now  zones az1, az2
    pass    cloud  place cloud/sim/az1  now  zones az1
    pass    cloud  pool big size        now  s1.medium fits, in az1, az2
    pass    cloud  pool web size        now  s1.medium fits, in az1
    pass    cloud  tier fast            now  cloud/fast has 10 GiB left
    pass    cloud  tier slow            now  cloud/archive has 16.0 PiB left
    pass    cloud  quota                now  the plan asks for no more hosts, memory, vcpus
    pass    cloud  network front        now  2 hosts in 10.0.0.0/29, which has 4 addresses for hosts
    pass           plan                      nothing is to be done

    Check: 12 pass, 0 fail, 0 unknown
    ");
}

#[test]
fn nothing_is_made_for_a_question() {
    let t = project(&LIMITED.replace("hosts: 5", "hosts: 2"));
    t.run("check");
    assert!(!t.root().join(".pool/state.db").exists(), "no state");
    assert!(!t.root().join(".pool/ssh").exists(), "no key");
}

#[test]
fn a_provider_that_does_not_answer_is_unknown() {
    let t = project(&LIMITED.replace("type: sim,", "type: sim, faults: [{ on: list, rate: 100%, error: transient }],"));
    assert_snapshot!(t.run("check"), @r"
    exit 0
    --- stdout
    answer   where  what         age  detail
    unknown  cloud  credentials       no answer: temporary failure: simulated fault → see that it can be reached, and check again
    unknown         plan              host/big-0 cannot be planned while a provider does not answer → see that its provider can be reached

    Check: 0 pass, 0 fail, 2 unknown
    ");
}

#[test]
fn a_folder_that_serves_a_tier_is_looked_at() {
    let t = project(
        r"version: 1
name: acme
providers: { here: { type: local } }
backends: { disk: { type: dir, path: disk, capacity: 2GiB }, file: { type: dir, path: pool.yaml, capacity: 1GiB } }
tiers: { any: { backends: [disk] } }
pools:
  web:
    hosts: 1
    size: { vcpus: 1, memory: 64MiB, disk: 1GiB }
    image: host
    volumes: { data: { size: 1GiB, tier: any } }
",
    );
    let said = t.run("check");
    let lines: Vec<&str> = said.lines().filter(|line| line.contains("backend ")).collect();
    assert!(
        lines[0].starts_with("pass") && lines[0].contains("the folder will be made; 2 GiB of 2 GiB left"),
        "{said}"
    );
    assert!(
        lines[1].starts_with("fail") && lines[1].contains("pool.yaml is no folder → correct backends.file.path"),
        "{said}"
    );
}

#[test]
fn every_line_of_json_has_its_provider_answer_age_and_cure() {
    let t = project(LIMITED);
    let (documents, code) = t.json("check --json");
    assert_eq!((code, &documents[0]["exit_code"]), (5, &5.into()));
    let lines = documents[0]["result"].as_array().expect("lines");
    let line = lines.iter().find(|line| line["subject"] == "quota hosts").expect("the quota");
    assert_eq!((&line["provider"], &line["answer"], &line["age"]), (&"cloud".into(), &"fail".into(), &0.into()));
    assert!(line["todo"].as_str().is_some_and(|todo| todo.contains("larger quota")), "{line}");
}
