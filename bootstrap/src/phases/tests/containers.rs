//! Runtimes and nodes of Kubernetes.

use std::collections::BTreeMap;

use pool_inventory::{
    Bytes,
    desired::{NodeSpec, RegistryLogin, RegistrySpec, Repository, RuntimeKind, RuntimeSpec, Sandbox, SecretRef},
};
use zeroize::Zeroizing;

use super::*;
use crate::{
    command::Act,
    rendered::{Node, Password, Runtime},
    script::{Question, Say},
};

/// Nothing that is said, shown or found wrong may hold it.
const PASSWORD: &str = "correct horse";

fn host() -> Facts {
    Facts { os: "debian".into(), os_version: "12".into(), disk_free: Bytes::gib(20), ..debian() }
}

fn runtime(kind: RuntimeKind) -> Rendered {
    let mut spec = RuntimeSpec::new(kind);
    spec.sandboxes = vec![Sandbox::Gvisor];
    let login = RegistryLogin { user: "robot".into(), password: SecretRef::Env("PASSWORD".into()) };
    let own = RegistrySpec {
        address: "harbor.example.net:8443".into(),
        ca: Some("-----BEGIN CERTIFICATE-----\n".into()),
        login: Some(login),
        mirrors: BTreeMap::new(),
    };
    spec.registries.insert(name("own"), own);
    let passwords = [(name("own"), Password::new(Zeroizing::new(PASSWORD.to_owned())))].into();
    Rendered { runtime: Some(Runtime { spec, passwords }), ..Rendered::default() }
}

fn containerd() -> Rendered {
    let mut want = runtime(RuntimeKind::Containerd);
    let spec = &mut want.runtime.as_mut().unwrap().spec;
    spec.registries.get_mut("own").unwrap().mirrors.insert("docker.io".into(), "mirror/docker.io".into());
    want
}

fn node() -> Rendered {
    let repository = Repository {
        url: "https://packages.example.net/kubernetes".into(),
        suite: "./".into(),
        components: Vec::new(),
        key: "-----BEGIN PGP PUBLIC KEY BLOCK-----\n".into(),
    };
    let spec = NodeSpec { cluster: name("k"), repository: Some(repository), cgroup_v1: false };
    let node = Node { spec, package: "1.34.4-1.1".into() };
    let spec = RuntimeSpec::new(RuntimeKind::Containerd);
    let runtime = Runtime { spec, passwords: BTreeMap::new() };
    Rendered { runtime: Some(runtime), node: Some(node), ..Rendered::default() }
}

/// Each item, with what it writes.
fn shown(facts: &Facts, want: &Rendered) -> String {
    let mut out = String::new();
    for command in commands(facts, want).unwrap() {
        out += &format!("{}\n", command.item);
        if let Act::File { content, mode, .. } = &command.act {
            let content = content.replace(&basic(), "<login>");
            out += &content.lines().map(|line| format!("    {mode} {line}\n")).collect::<String>();
        }
    }
    out
}

fn basic() -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(format!("robot:{PASSWORD}"))
}

/// Why a host cannot be it.
fn unfit(facts: &Facts, want: &Rendered) -> String {
    let refusals = commands(facts, want).unwrap_err();
    refusals.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn containerd_with_a_registry_and_a_sandbox() {
    insta::assert_snapshot!(shown(&host(), &containerd()));
}

#[test]
fn a_sandbox_is_not_limited_by_systemd_on_cgroup_v1() {
    let old = Facts { cgroup_v1: true, ..host() };
    for kind in [RuntimeKind::Containerd, RuntimeKind::Docker] {
        let (new, old) = (shown(&host(), &runtime(kind)), shown(&old, &runtime(kind)));
        let added: Vec<&str> = old.lines().filter(|line| !new.contains(*line)).collect();
        assert!(added.iter().any(|line| line.contains("ignore-cgroups")), "{added:?}");
    }
}

#[test]
fn docker_with_a_registry_and_a_sandbox() {
    insta::assert_snapshot!(shown(&Facts { apparmor: true, ..host() }, &runtime(RuntimeKind::Docker)));
}

#[test]
fn a_node_of_kubernetes() {
    insta::assert_snapshot!(shown(&Facts { apparmor: true, ..host() }, &node()));
}

#[test]
fn hosts_that_cannot_be_it_say_why() {
    let kata = |kind| {
        let mut want = runtime(kind);
        want.runtime.as_mut().unwrap().spec.sandboxes = vec![Sandbox::Kata];
        want
    };
    let mut mirrors = containerd();
    mirrors.runtime.as_mut().unwrap().spec.kind = RuntimeKind::Docker;
    let cases = [
        ("another distribution", Facts { os: "alpine".into(), os_version: "3.20".into(), ..host() }, node()),
        ("a clock that is ahead", Facts { skew: 61, ..host() }, node()),
        ("a clock that is behind", Facts { skew: -3600, ..host() }, node()),
        ("little disk", Facts { disk_free: Bytes(1 << 29), ..host() }, node()),
        ("cgroup v1", Facts { cgroup_v1: true, ..host() }, node()),
        ("no systemd", Facts { init: "runit".into(), ..host() }, node()),
        ("no virtual machines", host(), kata(RuntimeKind::Containerd)),
        ("Kata with Docker", Facts { kvm: true, ..host() }, kata(RuntimeKind::Docker)),
        ("mirrors with Docker", host(), mirrors),
    ];
    let all: Vec<String> = cases
        .iter()
        .map(|(what, facts, want)| format!("{what}:\n  {}", unfit(facts, want).replace('\n', "\n  ")))
        .collect();
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn what_is_allowed_is_no_reason_to_refuse() {
    let mut want = node();
    want.node.as_mut().unwrap().spec.cgroup_v1 = true;
    let facts = Facts { cgroup_v1: true, skew: -60, disk_free: Bytes::gib(1), kvm: true, ..host() };
    want.runtime.as_mut().unwrap().spec.sandboxes = vec![Sandbox::Kata];
    assert!(commands(&facts, &want).is_ok(), "{}", unfit(&facts, &want));
}

/// Passwords are in the files that hold them, which only root may read and nobody sees, and nowhere else.
#[test]
fn no_password_is_in_what_is_shown_or_asked() {
    for want in [containerd(), runtime(RuntimeKind::Docker)] {
        assert!(!format!("{want:?}").contains(PASSWORD));
        let mut written = 0;
        for command in commands(&host(), &want).unwrap() {
            let open = format!("{} {} {:?}", command.item, command.probe, command.show);
            assert!(!open.contains(PASSWORD) && !open.contains(&basic()), "{open}");
            if let Act::File { content, mode, .. } = &command.act
                && content.contains(&basic())
            {
                written += 1;
                assert_eq!((mode.to_string().as_str(), command.show.is_some()), ("0600", false), "{}", command.item);
            }
        }
        assert!(written > 0);
    }
}

#[test]
fn every_script_of_containers_is_whole() {
    for want in [containerd(), runtime(RuntimeKind::Docker), node()] {
        super::whole(&host(), &want);
    }
    for library in
        [crate::command::Library::Containers, crate::command::Library::Kubernetes, crate::command::Library::Swarm]
    {
        let mut script = Vec::new();
        Say::ProbeHead { who: Some(&host()), lazy: false }.script(&mut script);
        Say::Library(library).script(&mut script);
        let question = Question { about: "", library, call: "true".into(), simulated: String::new(), limit: SHORT };
        Say::Ask(&question).script(&mut script);
        super::reads(&script);
    }
}
