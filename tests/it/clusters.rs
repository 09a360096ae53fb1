//! Clusters of simulated hosts, from their first member to their last: every plan's words.

use insta::assert_snapshot;

use crate::{context::TestContext, program::live};

const FLANNEL: &str = "net-conf.json: |\n  { \"Network\": \"10.244.0.0/16\" }\n";

/// A small Kubernetes cluster and a small swarm.
const SMALL: &str = r#"version: 1
name: acme
providers: { cloud: { type: sim, zones: [az1] } }
policy: { max_destroyed: 100%, max_replaced: 100% }
clusters:
  kube:
    type: kubernetes
    version: "1.33.6"
    control_plane: master
    workers: [web]
    endpoint: api.example.net
    pod_network: { type: flannel, cidr: 10.244.0.0/16, manifest: flannel.yml }
  tools: { type: swarm, managers: boss, workers: [hands] }
pools:
  master: { hosts: 3, size: { vcpus: 2, memory: 4GiB, disk: 20GiB }, image: debian-12 }
  web: { hosts: 2, size: { vcpus: 2, memory: 4GiB, disk: 20GiB }, image: debian-12 }
  boss: { hosts: 1, size: { vcpus: 2, memory: 4GiB, disk: 20GiB }, image: debian-12 }
  hands: { hosts: 1, size: { vcpus: 2, memory: 4GiB, disk: 20GiB }, image: debian-12 }
"#;

fn applied() -> TestContext {
    let t = TestContext::new();
    t.file("flannel.yml", FLANNEL);
    t.file("pool.yaml", SMALL);
    apply(&t);
    t
}

/// Applies, and finds nothing to do afterwards.
#[track_caller]
fn apply(t: &TestContext) {
    let output = t.run("apply --yes --parallelism 1");
    assert!(output.starts_with("exit 0"), "{output}");
    let again = t.run("plan --detailed-exitcode");
    assert!(again.starts_with("exit 0"), "{again}");
}

/// What a plan says, without its head.
fn plan(t: &TestContext) -> String {
    let text = t.run("plan");
    let from = text.find("\n\n").map_or(0, |at| at + 2);
    let to = text.find("Saved as plan").unwrap_or(text.len());
    text[from..to].to_owned()
}

#[test]
fn clusters_are_made_shown_and_destroyed() {
    let t = TestContext::new();
    t.file("flannel.yml", FLANNEL);
    t.file("pool.yaml", SMALL);
    assert_snapshot!("made", t.run("plan"));
    // What a host needs grows; who comes after whom is what counts here.
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"\d+ items done", "[N] items done");
    settings.bind(|| assert_snapshot!("applied", t.run("apply --yes --parallelism 1")));
    let again = t.run("plan --detailed-exitcode");
    assert!(again.starts_with("exit 0"), "{again}");
    assert_eq!(live(t.root()), (7, 0));
    assert_snapshot!("status", t.run("status"));
    assert_snapshot!("show", t.run("show host/web-0"));
    assert_snapshot!("destroyed", t.run("destroy --yes --parallelism 1"));
    assert_eq!(live(t.root()), (0, 0));
}

#[test]
fn a_cluster_grows_and_shrinks() {
    let t = applied();
    let larger = SMALL.replace("web: { hosts: 2", "web: { hosts: 3");
    t.file("pool.yaml", &larger);
    assert_snapshot!("grows", plan(&t));
    apply(&t);
    let smaller =
        SMALL.replace("web: { hosts: 2", "web: { hosts: 1").replace("master: { hosts: 3", "master: { hosts: 2");
    t.file("pool.yaml", &smaller);
    assert_snapshot!("shrinks", plan(&t));
    apply(&t);
    assert_eq!(live(t.root()), (5, 0));
}

#[test]
fn a_cluster_is_upgraded() {
    let t = applied();
    t.file("pool.yaml", &SMALL.replace("1.33.6", "1.34.4"));
    assert_snapshot!("upgraded", plan(&t));
    apply(&t);
    t.file("pool.yaml", &SMALL.replace("1.33.6", "1.36.0"));
    assert_snapshot!("too-far", t.run("plan"));
}

#[test]
fn a_cluster_goes_and_its_hosts_stay() {
    let t = applied();
    let from = SMALL.find("  kube:").expect("it is there");
    let to = SMALL.find("  tools:").expect("it is there");
    t.file("pool.yaml", &format!("{}{}", &SMALL[..from], &SMALL[to..]));
    assert_snapshot!("gone", plan(&t));
    apply(&t);
    assert_eq!(live(t.root()), (7, 0));
}
