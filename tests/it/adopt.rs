//! `pool adopt`: what others made in the account of a simulated cloud is taken over, and nothing of it is changed.

use insta::assert_snapshot;
use pool_inventory::{
    Bytes, Name, Text,
    desired::{OnRemove, ProviderKind, Provisioning, Size},
    object::{HostSpec, Spec, VolumeSpec},
};
use pool_providers::sim::{Counters, Meddling, SimLedger, SimProvider};

use crate::context::TestContext;

const INVENTORY: &str = "version: 1\nname: acme\nproviders: { cloud: { type: sim, zones: [az1, az2] } }\n";

/// What others do in the account.
struct Others {
    t: TestContext,
    cloud: SimProvider,
    runtime: tokio::runtime::Runtime,
}

impl Others {
    fn new(inventory: &str) -> Self {
        let t = TestContext::new();
        t.file("pool.yaml", inventory);
        let desired = pool_inventory::load(t.root(), None, &|_| None).expect("it is valid").desired;
        let name = Name::new("cloud").expect("a name");
        let ProviderKind::Sim(spec) = desired.providers[&name].kind.clone() else { panic!("it is simulated") };
        let ledger = t.root().join(".pool/sim/cloud.ledger");
        std::fs::create_dir_all(ledger.parent().expect("a folder")).expect("a folder");
        let cloud = SimProvider::open(name, *spec, ledger).expect("a cloud");
        Self { t, cloud, runtime: tokio::runtime::Runtime::new().expect("threads") }
    }

    fn meddle(&self, what: Meddling) -> Text {
        self.runtime.block_on(self.cloud.meddle(what)).expect("nobody hinders others")
    }

    fn host(&self, name: &str, offering: &str, vcpus: u32, gib: u64) -> Text {
        let spec = Spec::Host(HostSpec {
            offering: offering.into(),
            region: "sim".into(),
            zone: "az1".into(),
            size: Size { vcpus, memory: Bytes::gib(gib), disk: Bytes::gib(10 * gib) },
            image: "debian-11".into(),
            tags: [("owner".into(), "ops".into())].into(),
            ..HostSpec::default()
        });
        self.meddle(Meddling::Foreign { name: name.into(), spec })
    }

    fn volume(&self, name: &str, gib: u64, host: Option<&Text>) -> Text {
        let spec = Spec::Volume(VolumeSpec {
            tier: Name::new("none").expect("a name"),
            backend: "cloud/fast".into(),
            zone: "az1".into(),
            size: Bytes::gib(gib),
            provisioning: Provisioning::Thin,
            tags: [("made-by".into(), "hand".into())].into(),
            attached: None,
            on_remove: OnRemove::Keep,
            from: None,
            existing: None,
        });
        let id = self.meddle(Meddling::Foreign { name: name.into(), spec });
        if let Some(host) = host {
            self.meddle(Meddling::Attach { id: id.clone(), host: host.clone() });
        }
        id
    }

    /// Two like machines with a volume each, one without, and a volume that is attached to none.
    fn office(inventory: &str) -> Self {
        let others = Self::new(inventory);
        for name in ["db 1", "db 2"] {
            let host = others.host(name, "s1.medium", 2, 4);
            others.volume(&format!("{name} data"), 20, Some(&host));
        }
        others.host("web", "s1.small", 1, 2);
        others.volume("lost", 5, None);
        others
    }
}

/// The lines that say no time.
fn still(said: &str) -> String {
    said.lines().filter(|line| !line.contains(" ms")).collect::<Vec<_>>().join("\n")
}

#[test]
fn what_runs_is_taken_over_with_a_plan_that_changes_nothing_and_is_let_go_as_it_was() {
    let others = Others::office(INVENTORY);
    let t = &others.t;
    assert_snapshot!(t.run("adopt cloud"), @r"
    exit 0
    --- stdout
    cloud · 3 machines, 1 spare volume unmanaged

    machine  becomes                            size                        image      zone  address     status  volumes                 id
    db 1     host/db-1 in pool/cloud-s1-medium  s1.medium · 2 vCPU · 4 GiB  debian-11  az1   10.190.0.2  on      data 20 GiB cloud/fast  h-1
    db 2     host/db-2 in pool/cloud-s1-medium  s1.medium · 2 vCPU · 4 GiB  debian-11  az1   10.190.0.4  on      data 20 GiB cloud/fast  h-3
    web      host/web in pool/cloud-s1-small    s1.small · 1 vCPU · 2 GiB   debian-11  az1   10.190.0.6  on                              h-5

    volume   size  backend     id   note
    lost    5 GiB  cloud/fast  v-6  at no machine that can be taken over: it stays as it is

    # What takes it over:

    tiers:
      fast: { backends: [cloud/fast] }

    pools:
      cloud-s1-medium:
        hosts:
          db-1: { id: h-1, volumes: { data: v-2 } }
          db-2: { id: h-3, volumes: { data: v-4 } }
        place: { on: [cloud] }
        volumes:
          data: { size: 20GiB, tier: fast }
      cloud-s1-small:
        hosts:
          web: { id: h-5 }
        place: { on: [cloud] }

    Write it with: pool adopt cloud --write adopted.pool.yaml
    ");
    assert_snapshot!(t.run("adopt cloud --write adopted.pool.yaml"), @r"
    exit 0
    --- stdout
    cloud · 3 machines, 1 spare volume unmanaged

    machine  becomes                            size                        image      zone  address     status  volumes                 id
    db 1     host/db-1 in pool/cloud-s1-medium  s1.medium · 2 vCPU · 4 GiB  debian-11  az1   10.190.0.2  on      data 20 GiB cloud/fast  h-1
    db 2     host/db-2 in pool/cloud-s1-medium  s1.medium · 2 vCPU · 4 GiB  debian-11  az1   10.190.0.4  on      data 20 GiB cloud/fast  h-3
    web      host/web in pool/cloud-s1-small    s1.small · 1 vCPU · 2 GiB   debian-11  az1   10.190.0.6  on                              h-5

    volume   size  backend     id   note
    lost    5 GiB  cloud/fast  v-6  at no machine that can be taken over: it stays as it is

    Written to adopted.pool.yaml. Look at it, then: pool plan
    ");
    assert!(!t.run("fmt --check").contains("adopted"), "what is written is in its canonical form");
    assert_snapshot!(t.run("plan"), @r"
    exit 0
    --- stdout
    acme/default · 2 pools · 3 hosts · state 0 · observed [AGO] (4 list calls)

      + host/db-1         cloud/az1 · s1.medium · 2 vCPU · 4 GiB · € 22.00/month  adopt  not present
      + volume/db-1.data  cloud/fast · 20 GiB · fast · € 2.34/month               adopt  not present
      + host/db-2         cloud/az1 · s1.medium · 2 vCPU · 4 GiB · € 22.00/month  adopt  not present
      + volume/db-2.data  cloud/fast · 20 GiB · fast · € 2.34/month               adopt  not present
      + host/web          cloud/az1 · s1.small · 1 vCPU · 2 GiB · € 11.00/month   adopt  not present

    Plan: 0 to add, 0 to change, 0 to replace, 0 to destroy; 5 to adopt. + € 59.67/month
    Saved as plan [ID] (one use, until [TIME]). Apply it with: pool apply [ID]
    ");
    assert_snapshot!(still(&t.run("apply --yes --parallelism 1")), @r"
    exit 0
    --- stdout
    calls: cloud 5
    --- stderr
    acme/default · 2 pools · 3 hosts · state 0 · observed [AGO] (4 list calls)

      + host/db-1         cloud/az1 · s1.medium · 2 vCPU · 4 GiB · € 22.00/month  adopt  not present
      + volume/db-1.data  cloud/fast · 20 GiB · fast · € 2.34/month               adopt  not present
      + host/db-2         cloud/az1 · s1.medium · 2 vCPU · 4 GiB · € 22.00/month  adopt  not present
      + volume/db-2.data  cloud/fast · 20 GiB · fast · € 2.34/month               adopt  not present
      + host/web          cloud/az1 · s1.small · 1 vCPU · 2 GiB · € 11.00/month   adopt  not present

    Plan: 0 to add, 0 to change, 0 to replace, 0 to destroy; 5 to adopt. + € 59.67/month
    run [ID]: plan [ID], 5 steps
      host/db-1         adopt
      host/db-2         adopt
      host/web          adopt
      volume/db-1.data  adopt
      volume/db-2.data  adopt
    ");
    assert!(t.run("plan --detailed-exitcode").starts_with("exit 0"), "{}", t.run("plan"));
    assert_snapshot!(t.run("state show volume/db-1.data"), @r"
    exit 0
    --- stdout
    volume/db-1.data
      where     cloud/fast · 20 GiB · fast · € 2.34/month
      tenant    default
      pool      cloud-s1-medium
      id        v-2
      attached  host/db-1
      space     thin, on_remove: keep
      tags      made-by=hand
      note      adopted: released, never deleted
      record    generation 1, serial 8
    ");
    assert_snapshot!(t.run("adopt cloud"), @r"
    exit 0
    --- stdout
    cloud · 1 spare volume unmanaged; 5 managed already

    volume   size  backend     id   note
    lost    5 GiB  cloud/fast  v-6  at no machine that can be taken over: it stays as it is
    ");
    assert_snapshot!(still(&t.run("destroy --yes --parallelism 1")), @r"
    exit 0
    --- stdout
    calls: cloud 0
    --- stderr
    acme/default · 2 pools · 3 hosts · state 10 · observed [AGO] (4 list calls)

      - host/db-1         cloud · it is left as it is  release  requested
      - volume/db-1.data  cloud · it is left as it is  release  follows from host/db-1
      - host/db-2         cloud · it is left as it is  release  requested
      - volume/db-2.data  cloud · it is left as it is  release  follows from host/db-2
      - host/web          cloud · it is left as it is  release  requested

    Plan: 0 to add, 0 to change, 0 to replace, 0 to destroy; 5 to release. - € 59.67/month
    run [ID]: plan [ID], 5 steps
      host/web          release
      volume/db-1.data  release
      volume/db-2.data  release
      host/db-1         release
      host/db-2         release
    ");
    let ledger = SimLedger::read(&t.root().join(".pool/sim/cloud.ledger")).expect("a ledger");
    let Counters { created, changed, deleted, foreign_deleted, .. } = ledger.counters;
    // Two volumes were attached, by others.
    assert_eq!((created.len(), changed.values().sum::<u64>(), deleted.len(), foreign_deleted.len()), (0, 2, 0, 0));
    assert_snapshot!(t.run("adopt cloud").lines().nth(2).unwrap_or_default().to_owned(), @r"cloud · 3 machines, 1 spare volume unmanaged");
}

/// An inventory with one pool of machines that are taken over.
fn taking(hosts: &str, rest: &str) -> String {
    format!(
        "{INVENTORY}tiers: {{ fast: {{ backends: [cloud/fast] }} }}\npools:\n  old:\n    hosts: {hosts}\n    place: {{ on: [cloud] }}\n{rest}"
    )
}

const DATA: &str = "    volumes: { data: { size: 20GiB, tier: fast } }\n";

fn line<'s>(said: &'s str, what: &str) -> &'s str {
    said.lines().find(|line| line.contains(what)).unwrap_or_else(|| panic!("no `{what}` in\n{said}")).trim()
}

#[test]
fn what_cannot_be_had_is_refused_with_the_reason() {
    let others = Others::office(&taking(
        "{ a: { id: h-99 }, b: { id: h-1, volumes: { data: v-6 } }, c: { id: h-3, volumes: { data: v-2 } } }",
        DATA,
    ));
    let said = others.t.run("plan");
    assert!(said.starts_with("exit 5"), "{said}");
    assert_snapshot!(line(&said, "! host/a"), @r"! host/a         h-99 cannot be taken over: there is no machine with this id at cloud");
    assert_snapshot!(line(&said, "! volume/c.data"), @r"! volume/c.data  v-2 cannot be taken over: it is attached to host/h-1");
    // A volume that is attached to nothing is attached; nothing else is done to it.
    assert_snapshot!(line(&said, "volume/b.data"), @r"+ volume/b.data  cloud/fast · 5 GiB · fast · € 0.58/month                adopt  not present");
}

#[test]
fn what_somebody_manages_is_refused_with_the_name_of_who() {
    let others = Others::new(&format!(
        "{INVENTORY}pools: {{ web: {{ hosts: 1, size: {{ vcpus: 1, memory: 1GiB, disk: 10GiB }}, image: debian-12 }} }}\n"
    ));
    let t = &others.t;
    t.run("apply --yes");
    t.file(
        "pool.yaml",
        &format!(
            "{}  web: {{ hosts: 1, size: {{ vcpus: 1, memory: 1GiB, disk: 10GiB }}, image: debian-12 }}\n",
            taking("{ a: { id: h-1 } }", "")
        ),
    );
    assert_snapshot!(line(&t.run("plan"), "! host/a"), @r"! host/a  h-1 cannot be taken over: it is host/web-0 of this state already");
    // Another state sees whose it is as well.
    for file in ["state.db", "state.db-wal", "state.db-shm"] {
        let _ = std::fs::remove_file(t.root().join(".pool").join(file));
    }
    t.file("pool.yaml", &taking("{ a: { id: h-1 } }", ""));
    assert_snapshot!(line(&t.run("plan"), "! host/a"), @r"! host/a  h-1 cannot be taken over: it is host/web-0 of another state, [HEX]");
    assert_snapshot!(t.run("adopt cloud"), @r"
    exit 0
    --- stdout
    cloud · nothing unmanaged; 1 managed already
    ");
}

#[test]
fn what_others_change_later_is_recorded_and_not_put_right() {
    let others = Others::office(&taking("{ a: { id: h-1, volumes: { data: v-2 } } }", DATA));
    let t = &others.t;
    assert!(t.run("apply --yes").starts_with("exit 0"));
    assert!(t.run("plan --detailed-exitcode").starts_with("exit 0"));
    others.meddle(Meddling::Stop { id: "h-1".into() });
    assert!(t.run("plan --detailed-exitcode").starts_with("exit 0"), "a machine that is off may be off");
    let mut spec = SimLedger::read(&t.root().join(".pool/sim/cloud.ledger")).expect("a ledger").live[0].spec.clone();
    if let Spec::Host(host) = &mut spec {
        (host.image, host.offering) = ("debian-12".into(), "m1.large".into());
    }
    others.meddle(Meddling::Change { id: "h-1".into(), spec });
    assert_snapshot!(line(&t.run("plan"), "host/a"), @r"~ host/a  image debian-11 → debian-12, offering s1.medium → m1.large  record only  drifted");
    t.run("apply --yes");
    assert!(t.run("plan --detailed-exitcode").starts_with("exit 0"));
    others.meddle(Meddling::Delete { id: "h-1".into() });
    assert_snapshot!(line(&t.run("plan"), "! host/a"), @r"! host/a  h-1 cannot be taken over: there is no machine with this id at cloud");
    t.file("pool.yaml", INVENTORY);
    assert_snapshot!(still(&t.run("apply --yes --parallelism 1")), @r"
    exit 0
    --- stdout
    calls: cloud 0
    --- stderr
    acme/default · 0 pools · 0 hosts · state 5 · observed [AGO] (4 list calls)

      - host/a         drop the record              record only  gone from the provider
      - volume/a.data  cloud · it is left as it is  release      follows from host/a

    Plan: 0 to add, 0 to change, 0 to replace, 0 to destroy; 1 to release, 1 to record. - € 24.34/month
    run [ID]: plan [ID], 2 steps
      volume/a.data  release
      host/a         forget
    ");
}

#[test]
fn what_is_taken_over_can_be_bootstrapped_and_grown() {
    let bootstrap = "    bootstrap: { files: { /etc/motd: { content: \"ours now\\n\" } } }\n";
    let others = Others::office(&taking("{ a: { id: h-1, volumes: { data: v-2 } } }", &format!("{DATA}{bootstrap}")));
    let t = &others.t;
    assert!(t.run("apply --yes").starts_with("exit 0"), "{}", t.run("plan"));
    assert!(t.run("plan --detailed-exitcode").starts_with("exit 0"), "{}", t.run("plan"));
    t.file("pool.yaml", &t.read("pool.yaml").replace("20GiB", "30GiB"));
    assert_snapshot!(line(&t.run("plan"), "volume/a.data"), @r"~ volume/a.data  size 20 GiB → 30 GiB  in place  spec changed");
    let said = t.run("apply --yes");
    assert!(said.starts_with("exit 0"), "{said}");
    assert!(t.run("plan --detailed-exitcode").starts_with("exit 0"), "{}", t.run("plan"));
}

#[test]
fn machines_are_chosen_by_name_or_id_and_no_file_is_overwritten() {
    let others = Others::office(INVENTORY);
    let t = &others.t;
    let (documents, code) = t.json("adopt cloud --only 'db *' --only h-5 --json");
    let hosts = documents[0]["result"]["unmanaged"]["hosts"].as_array().expect("hosts");
    assert_eq!((code, hosts.len()), (0, 3));
    t.run("adopt cloud --only web --write adopted.pool.yaml");
    assert_snapshot!(t.read("adopted.pool.yaml"), @r"
    pools:
      cloud-s1-small:
        hosts:
          web: { id: h-5 }
        place: { on: [cloud] }
    ");
    assert_snapshot!(t.run("adopt cloud --write adopted.pool.yaml").lines().filter(|line| line.contains(':')).collect::<Vec<_>>().join("\n"), @r"
    error: adopted.pool.yaml exists, and is not overwritten
    hint: name another file
    ");
    for refused in [
        "adopt",
        "adopt clod",
        "adopt cloud --only nobody",
        "adopt terraform.tfstate",
        "adopt --from ./k0sctl.yaml",
        "adopt cloud --write a.yaml",
        "adopt cloud --write /tmp/a.pool.yaml",
    ] {
        let said = t.run(refused);
        assert!(!said.starts_with("exit 0"), "{refused}: {said}");
    }
    assert_snapshot!(t.run("adopt clod"), @r"
    exit 1
    --- stderr
    error: there is no provider `clod`; did you mean `cloud`?
    ");
    assert_snapshot!(t.run("adopt cloud --only nobody"), @r"
    exit 1
    --- stderr
    error: no unmanaged machine or network of cloud has the name or id `nobody`
    ");
    assert_snapshot!(t.run("adopt terraform.tfstate"), @r"
    exit 64
    --- stderr
    error: `terraform.tfstate` is a file: what other tools manage cannot be taken over yet
    hint: name a provider, as in: pool adopt private
    ");
    assert_snapshot!(t.run("adopt cloud --write a.yaml"), @r"
    exit 64
    --- stderr
    error: a.yaml would not be read: files of an inventory end in `.pool.yaml`
    hint: write, for instance, adopted.pool.yaml
    ");
}
