//! Configurations of kubeadm, scripts, and what nobody may read.

use std::{collections::BTreeMap, process::Command as Process};

use pool_inventory::{
    Text,
    desired::{KubernetesPackages, KubernetesSpec, PodNetwork, PodNetworkKind, Role},
};

use super::{kubernetes, swarm};
use crate::{
    command::{Act, Command, Library},
    facts::Facts,
    script::Say,
};

const TOKEN: &str = "abcdef.0123456789abcdef";
const KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const SWARM: &str = "SWMTKN-1-0wvl6o6gkzk4m0pbqtpq0h6oqtdoqsr7l9uwl0l1pbx63vc4xe-5hx8gqv0xpqz0a3kkr2zoxcgo";

fn spec() -> KubernetesSpec {
    KubernetesSpec {
        version: "1.34.4".parse().unwrap(),
        endpoint: None,
        service_cidr: "10.96.0.0/12".parse().unwrap(),
        pod_network: PodNetwork {
            kind: PodNetworkKind::Flannel,
            cidr: "10.244.0.0/16".parse().unwrap(),
            manifest: "flannel".into(),
        },
        image_repository: "registry.k8s.io".into(),
        packages: KubernetesPackages { repository: None, revision: "1.1".into() },
        taints: BTreeMap::new(),
        cgroup_v1: false,
        renew_before: pool_inventory::TimeSpan::secs(0),
    }
}

fn member<'a>(role: Role, spec: &'a KubernetesSpec, labels: &'a BTreeMap<Text, Text>) -> kubernetes::Member<'a> {
    kubernetes::Member { id: "0af1/k", name: "web-0", address: "10.0.0.7", role, spec, labels, taints: None }
}

fn ticket(role: Role) -> kubernetes::Ticket {
    let text = format!("token={TOKEN}\nca=sha256:{KEY}\nendpoint=10.0.0.5:6443\nkey={KEY}");
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    kubernetes::Ticket::parse(&lines[..if role == Role::Worker { 3 } else { 4 }], role).unwrap()
}

fn fed(command: &Command) -> &str {
    if let Act::Fed { content, .. } = &command.act { content } else { panic!("{} is fed nothing", command.item) }
}

#[test]
fn a_cluster_begins() {
    insta::assert_snapshot!(fed(&kubernetes::init(
        &Facts::default(),
        &member(Role::ControlPlane, &spec(), &BTreeMap::new())
    )[0]));
}

#[test]
fn a_cluster_begins_with_all_its_wishes() {
    let labels = [("tier".into(), "front".into()), ("example.net/zone".into(), "a".into())].into();
    let spec = KubernetesSpec { endpoint: Some("api.example.net:443".into()), cgroup_v1: true, ..spec() };
    let taints = ["dedicated=db:NoSchedule".into(), "slow:PreferNoSchedule".into()];
    let member = kubernetes::Member { taints: Some(&taints), ..member(Role::ControlPlane, &spec, &labels) };
    let facts = Facts { cgroup_v1: true, addresses: vec!["10.0.0.7".into()], ..Facts::default() };
    insta::assert_snapshot!(fed(&kubernetes::init(&facts, &member)[0]));
}

#[test]
fn a_worker_joins() {
    let (spec, labels) = (spec(), [("tier".into(), "front".into())].into());
    let command = &kubernetes::join(&Facts::default(), &member(Role::Worker, &spec, &labels), &ticket(Role::Worker))[0];
    insta::assert_snapshot!(fed(command));
}

#[test]
fn a_control_plane_joins_and_takes_work_where_it_has_no_taints() {
    let (spec, labels) = (spec(), BTreeMap::new());
    let member = kubernetes::Member { taints: Some(&[]), ..member(Role::ControlPlane, &spec, &labels) };
    let facts = Facts { addresses: vec!["10.0.0.7".into()], ..Facts::default() };
    insta::assert_snapshot!(fed(&kubernetes::join(&facts, &member, &ticket(Role::ControlPlane))[0]));
}

/// All that can be asked of members.
fn all() -> Vec<Command> {
    let (spec, labels, facts) = (spec(), [("tier".into(), "it's".into())].into(), Facts::default());
    let node = member(Role::ControlPlane, &spec, &labels);
    let mut out = kubernetes::init(&facts, &node);
    out.extend(kubernetes::join(&facts, &node, &ticket(Role::ControlPlane)));
    out.extend([kubernetes::standing(&node), kubernetes::manifest("pod network", &"kind: x\n".into())]);
    out.extend([kubernetes::settings(&node), kubernetes::cordon("w"), kubernetes::uncordon("w")]);
    let minute = std::time::Duration::from_secs(60);
    out.extend([kubernetes::drain("w", minute), kubernetes::forget("w"), kubernetes::reset("0af1/k")]);
    out.extend([kubernetes::upgrade(&facts, &node, true), kubernetes::snapshot("/s"), kubernetes::renew("w")]);
    out.push(kubernetes::restore("/s", &spec));
    out.extend(kubernetes::upgrade_kubelet(&node));
    out.extend(kubernetes::rollback(&node));
    out
}

fn swarms() -> Vec<Command> {
    let labels = [("tier".into(), "it's".into())].into();
    let node = swarm::Member { id: "0af1/s", name: "w", address: "10.0.0.7", role: Role::Worker, labels: &labels };
    let lines: Vec<String> = [format!("token={SWARM}"), "endpoint=10.0.0.5:2377".into()].into();
    let minute = std::time::Duration::from_secs(60);
    vec![
        swarm::init(&node),
        swarm::join(&node, &swarm::Ticket::parse(&lines).unwrap()),
        swarm::name(&node, "n"),
        swarm::labels(&node),
        swarm::drain("w", minute),
        swarm::available("w", false),
        swarm::turn("w", Role::ControlPlane),
        swarm::turned(&node),
        swarm::leave("0af1/s"),
        swarm::forget("w"),
    ]
}

fn script(library: Library, commands: &[Command]) -> (Vec<u8>, Vec<u8>) {
    let (mut probes, mut acts) = (Vec::new(), Vec::new());
    Say::ProbeHead { who: Some(&Facts::default()), lazy: false }.script(&mut probes);
    Say::ActHead { who: None, mark: 7 }.script(&mut acts);
    Say::Library(library).script(&mut probes);
    Say::Library(library).script(&mut acts);
    for (number, command) in commands.iter().enumerate() {
        Say::Probe(number, command).script(&mut probes);
        Say::Act { number, command, packages: &[] }.script(&mut acts);
    }
    Say::ProbeEnd.script(&mut probes);
    Say::ActEnd { leave: false }.script(&mut acts);
    (probes, acts)
}

#[test]
fn every_script_is_a_whole_posix_script() {
    for (library, commands) in [(Library::Kubernetes, all()), (Library::Swarm, swarms())] {
        let (probes, acts) = script(library, &commands);
        for text in [probes, acts] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("script");
            std::fs::write(&path, &text).unwrap();
            for shell in ["sh", "bash"] {
                let out = Process::new(shell).arg("-n").arg(&path).output().unwrap();
                assert!(out.status.success(), "{shell}: {}", String::from_utf8_lossy(&out.stderr));
            }
        }
    }
}

/// What opens doors is only in files that are fed, which root alone may read.
#[test]
fn no_ticket_is_in_what_is_called_or_shown() {
    for command in all().into_iter().chain(swarms()) {
        let call = match &command.act {
            Act::Call(call) | Act::Fed { call, .. } => call.clone(),
            _ => String::new(),
        };
        let open = format!("{} {} {call} {:?}", command.item, command.probe, command.show);
        assert!(![TOKEN, KEY, SWARM].iter().any(|secret| open.contains(secret)), "{open}");
    }
}

/// Runs functions of a library with programs that say all they know.
fn says(library: Library, body: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut text = Vec::new();
    Say::ActHead { who: None, mark: 7 }.script(&mut text);
    Say::Library(library).script(&mut text);
    text.extend(format!("\ntmp={0}\nf={0}/fed\n{body}\n", folder.path().display()).bytes());
    let path = folder.path().join("script");
    std::fs::write(&path, &text).unwrap();
    let out = Process::new("sh").arg(&path).output().unwrap();
    format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr))
}

#[test]
fn what_kubeadm_says_is_masked() {
    let body = format!(
        "chatter() {{ echo 'kubeadm join 10.0.0.5:6443 --token {TOKEN} --discovery-token-ca-cert-hash sha256:{KEY}'; \
         echo 'certificate key: {KEY}' >&2; return 3; }}\nmasked chatter; echo \"status $?\""
    );
    let said = says(Library::Kubernetes, &body);
    assert!(said.contains("--token <token>") && said.contains("certificate key: <key>"), "{said}");
    assert!(!said.contains(TOKEN) && !said.contains(KEY), "{said}");
    assert!(said.contains("status 3"), "{said}");
}

#[test]
fn what_docker_says_of_tokens_is_not_repeated() {
    let stubs = "swarm_state() { state=absent; }\nswarm_mark() { :; }\nlim() { shift; \"$@\"; }";
    let docker = format!("docker() {{ echo 'docker swarm join --token {SWARM} 10.0.0.5:2377'; }}");
    let fed = format!("printf '%s\\n' {SWARM} 10.0.0.5:2377 >\"$f\"");
    let body = "act_swarm_init k 10.0.0.5 && act_swarm_join k worker 10.0.0.7 && echo both";
    let said = says(Library::Swarm, &format!("{stubs}\n{docker}\n{fed}\n{body}"));
    assert!(said.contains("both") && !said.contains("SWMTKN"), "{said}");
}
