//! Kubernetes, by kubeadm: pure functions from facts and wishes to commands, and questions.
//!
//! Steps, probes and traps are those of kubeadm's own documents (kubernetes.io/docs/setup/production-environment/tools/kubeadm).

use std::{collections::BTreeMap, time::Duration};

use pool_inventory::{
    Text,
    desired::{KubernetesSpec, Role},
    market::MemberSeen,
};

use super::{always, kubeadm, value, words};
use crate::{
    command::{Act, Command, Library},
    facts::Facts,
    phases::{item, node::LIST},
    script::{Question, quote},
};

const MINUTE: Duration = Duration::from_secs(60);
/// A member joins in half a minute; on a busy host, or with images that come from far, in some.
const JOIN: Duration = Duration::from_secs(15 * 60);
/// Pulling images and restarting every part of a control plane, one by one.
const UPGRADE: Duration = Duration::from_secs(45 * 60);
/// How long a node may take until it is ready: images of the pod network are pulled.
const READY: Duration = Duration::from_secs(300);

/// A host and what it is to be in a cluster.
#[derive(Debug, Clone, Copy)]
pub struct Member<'a> {
    /// `LINEAGE/CLUSTER`, for the note on the host.
    pub id: &'a str,
    /// What it is called.
    pub name: &'a str,
    /// Where it answers.
    pub address: &'a str,
    /// What it is to be.
    pub role: Role,
    /// What the cluster is to be.
    pub spec: &'a KubernetesSpec,
    /// Its labels.
    pub labels: &'a BTreeMap<Text, Text>,
    /// Its taints; none: those that kubeadm gives it.
    pub taints: Option<&'a [Text]>,
}

impl Member<'_> {
    pub(super) fn cluster(&self) -> &str {
        self.id.rsplit('/').next().unwrap_or(self.id)
    }

    /// As the kubelet has it.
    pub(super) fn labels(&self) -> String {
        self.labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
    }
}

/// What a host needs to join; not for logs.
#[derive(Clone, PartialEq, Eq)]
pub struct Ticket {
    pub(super) token: Text,
    pub(super) ca: Text,
    pub(super) endpoint: Text,
    pub(super) key: Option<Text>,
}

impl Ticket {
    /// The question to a control plane.
    pub fn question(role: Role) -> Question {
        let key = if role == Role::ControlPlane { "\nkey=0" } else { "" };
        Question {
            about: "a token to join with",
            library: Library::Kubernetes,
            call: format!("ticket {role}"),
            simulated: format!("token=simulated\nca=sha256:0\nendpoint=simulated:6443{key}"),
            limit: 3 * MINUTE,
        }
    }

    /// Reads the answer; none: it lacks something.
    pub fn parse(lines: &[String], role: Role) -> Option<Ticket> {
        let key = value(lines, "key");
        if role == Role::ControlPlane && key.is_none() {
            return None;
        }
        Some(Ticket {
            token: value(lines, "token")?,
            ca: value(lines, "ca")?,
            endpoint: value(lines, "endpoint")?,
            key,
        })
    }
}

fn kubernetes(command: Command) -> Command {
    Command { library: Some(Library::Kubernetes), ..command }
}

/// Begins the cluster at this host.
pub fn init(facts: &Facts, member: &Member<'_>) -> Vec<Command> {
    let version = member.spec.version.to_string();
    let arguments = words([member.id, &version, &*member.spec.package(), list(member.spec)]);
    let content = kubeadm::init(facts, member).into();
    vec![become_member(member, Act::Fed { call: format!("act_init {arguments}"), content })]
}

/// Joins this host, and waits until it is ready for work.
pub fn join(facts: &Facts, member: &Member<'_>, ticket: &Ticket) -> Vec<Command> {
    let arguments = words([member.id, member.role.as_str(), &*member.spec.package(), list(member.spec)]);
    let content = kubeadm::join(facts, member, ticket).into();
    vec![become_member(member, Act::Fed { call: format!("act_join {arguments}"), content }), ready(member)]
}

fn become_member(member: &Member<'_>, act: Act) -> Command {
    let probe = format!("probe_member {} {}", quote(member.id), member.role);
    kubernetes(Command::new(item("member", member.id), probe, act, JOIN))
}

/// A host that is a member already: what keeps it one runs.
pub fn standing(member: &Member<'_>) -> Command {
    become_member(member, Act::Call("start_kubelet".into()))
}

/// Waits until this host is ready for work, with the wanted version.
pub fn ready(member: &Member<'_>) -> Command {
    let arguments = format!("{} {}", quote(member.name), member.spec.version);
    let act = Act::Call(format!("act_ready {arguments} {}", READY.as_secs()));
    let limit = READY + MINUTE;
    let command = Command::new(item("ready", member.name), format!("probe_ready {arguments}"), act, limit);
    Command { recheck: true, ..kubernetes(command) }
}

/// How far a host is: `absent`, `whole`, `half` or `foreign`.
pub fn state(member: &Member<'_>) -> Question {
    Question {
        about: "whether it is a member",
        library: Library::Kubernetes,
        call: format!("ask_member {} {}", quote(member.id), member.role),
        simulated: "absent".into(),
        // Another session may be at it.
        limit: JOIN,
    }
}

/// Objects that the cluster shall hold, on a control plane.
pub fn manifest(what: &str, text: &Text) -> Command {
    let act = Act::Fed { call: "act_manifest".into(), content: text.clone() };
    kubernetes(Command::new(item("manifest", what), "probe_never".into(), act, 3 * MINUTE))
}

fn on_node(what: &str, name: &str, call: String, limit: Duration) -> Command {
    always(what, name, call, limit, Library::Kubernetes)
}

/// Labels and taints of a node, on a control plane.
pub fn settings(member: &Member<'_>) -> Command {
    let taints = member.taints.unwrap_or_default().join(",");
    let call = format!("act_settings {}", words([member.name, &member.labels(), &taints]));
    on_node("labels and taints", member.name, call, 2 * MINUTE)
}

/// Nothing new is put on a node, on a control plane.
pub fn cordon(name: &str) -> Command {
    on_node("cordon", name, format!("act_cordon {}", quote(name)), MINUTE)
}

/// New things may be put on a node again, on a control plane.
pub fn uncordon(name: &str) -> Command {
    on_node("uncordon", name, format!("act_uncordon {}", quote(name)), MINUTE)
}

/// Everything that runs on a node goes elsewhere, on a control plane that stays.
pub fn drain(name: &str, limit: Duration) -> Command {
    let call = format!("act_drain {} {}", quote(name), limit.as_secs().max(1));
    on_node("drain", name, call, limit + MINUTE)
}

/// A node is not there any more, nor its part of etcd; on a control plane that stays.
pub fn forget(name: &str) -> Command {
    on_node("forget", name, format!("act_forget {}", quote(name)), 3 * MINUTE)
}

/// Nothing of a member is left on this host.
pub fn reset(id: &str) -> Command {
    on_node("reset", id, format!("act_reset {}", quote(id)), 5 * MINUTE)
}

/// All but the kubelet of this host gets the cluster's version; `first`: the whole cluster with it.
pub fn upgrade(facts: &Facts, member: &Member<'_>, first: bool) -> Command {
    let version = member.spec.version.to_string();
    let ignored = kubeadm::ignored(facts).join(",");
    let arguments = words([&version, &*member.spec.package(), list(member.spec), &ignored]);
    let call = format!("act_upgrade {} {arguments}", u8::from(first));
    kubernetes(Command::new(item("upgrade", &version), format!("probe_version {version}"), Act::Call(call), UPGRADE))
}

/// The kubelet of this host gets the cluster's version. It has been drained.
pub fn upgrade_kubelet(member: &Member<'_>) -> Vec<Command> {
    let version = member.spec.version.to_string();
    let call = format!("act_kubelet {}", words([&version, &*member.spec.package(), list(member.spec)]));
    let command = Command::new(item("kubelet", &version), format!("probe_version {version}"), Act::Call(call), JOIN);
    vec![kubernetes(command), ready(member)]
}

/// This host goes back to the cluster's version.
pub fn rollback(member: &Member<'_>) -> Vec<Command> {
    let version = member.spec.version.to_string();
    let call = format!("act_rollback {}", words([&version, &*member.spec.package(), list(member.spec)]));
    let command = Command::new(
        item("rollback", &version),
        format!("probe_packages {}", words([&version, &*member.spec.package()])),
        Act::Call(call),
        JOIN,
    );
    vec![kubernetes(command), ready(member)]
}

fn list(spec: &KubernetesSpec) -> &'static str {
    if spec.packages.repository.is_some() { LIST } else { "" }
}

/// A snapshot of etcd, with the cluster's keys, on a control plane.
pub fn snapshot(file: &str) -> Command {
    on_node("snapshot", file, format!("act_snapshot {}", quote(file)), 10 * MINUTE)
}

/// This control plane becomes what it was when a snapshot was taken, and the only one of its cluster.
pub fn restore(file: &str, spec: &KubernetesSpec) -> Command {
    let call = format!("act_restore {}", words([file, list(spec)]));
    on_node("restore", file, call, UPGRADE)
}

/// Which version this host runs.
pub fn version() -> Question {
    Question {
        about: "its version",
        library: Library::Kubernetes,
        call: "package_now".into(),
        simulated: String::new(),
        limit: MINUTE,
    }
}

/// Reads the answer.
pub fn parse_version(lines: &[String]) -> Option<Text> {
    value(lines, "version")
}

/// New certificates on a control plane.
pub fn renew(name: &str) -> Command {
    on_node("certificates", name, "act_renew".into(), 5 * MINUTE)
}

/// The way in for people, on a control plane; not for logs.
pub fn kubeconfig() -> Question {
    Question {
        about: "its kubeconfig",
        library: Library::Kubernetes,
        call: "cat /etc/kubernetes/admin.conf".into(),
        simulated: "apiVersion: v1\nkind: Config".into(),
        limit: MINUTE,
    }
}

/// What a control plane says of the cluster.
pub fn survey() -> Question {
    Question {
        about: "its nodes",
        library: Library::Kubernetes,
        call: "survey".into(),
        simulated: String::new(),
        limit: MINUTE,
    }
}

/// Reads a survey: the nodes, and when the first certificate of the asked control plane ends.
pub fn parse_survey(lines: &[String]) -> (BTreeMap<Text, MemberSeen>, Option<i64>) {
    let nodes = lines.iter().filter_map(|line| parse_node(line.strip_prefix("node ")?));
    let ends = lines.iter().filter_map(|line| line.strip_prefix("expires ")?.parse().ok());
    (nodes.collect(), ends.min())
}

/// `NAME vVERSION open|cordoned ROLE True|False|Unknown MESSAGE`
fn parse_node(text: &str) -> Option<(Text, MemberSeen)> {
    let mut words = text.splitn(6, ' ');
    let name = words.next()?;
    let version = words.next()?.trim_start_matches('v');
    let cordoned = words.next()? == "cordoned";
    let control = words.next()? == Role::ControlPlane.as_str();
    let ready = words.next()?;
    let message = crate::clean::line(words.next().unwrap_or_default().as_bytes());
    let trouble = (ready != "True").then(|| if message.is_empty() { "is not ready".into() } else { message.into() });
    Some((name.into(), MemberSeen { trouble, control, version: version.into(), cordoned, expires: None }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_survey_tells_nodes_and_the_first_end_of_a_certificate() {
        let text = "node m1 v1.34.4 open control-plane True kubelet is posting ready status\n\
                    node w1 v1.34.4 cordoned worker Unknown Kubelet stopped posting node status.\n\
                    node w2 v1.34.4 open worker \nexpires 200\nexpires 100";
        let (nodes, ends) = parse_survey(&lines(text));
        assert_eq!(ends, Some(100));
        assert!(nodes["m1"].control && nodes["m1"].trouble.is_none());
        assert!(nodes["w1"].cordoned && !nodes["w1"].control);
        assert_eq!(nodes["w1"].trouble.as_deref(), Some("Kubelet stopped posting node status."));
        assert_eq!(nodes["w2"].trouble.as_deref(), Some("is not ready"));
    }

    #[test]
    fn a_ticket_without_all_of_its_parts_is_none() {
        let whole = "token=a.b\nca=sha256:0\nendpoint=h:6443\nkey=k";
        assert!(Ticket::parse(&lines(whole), Role::ControlPlane).is_some());
        let worker = "token=a.b\nca=sha256:0\nendpoint=h:6443";
        assert!(Ticket::parse(&lines(worker), Role::Worker).is_some());
        assert!(Ticket::parse(&lines(worker), Role::ControlPlane).is_none());
        assert!(Ticket::parse(&lines("token=\nca=sha256:0\nendpoint=h:6443"), Role::Worker).is_none());
    }
}
