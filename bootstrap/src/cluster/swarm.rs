//! Docker Swarm: pure functions from wishes to commands, and questions.

use std::{collections::BTreeMap, time::Duration};

use pool_inventory::{Text, desired::Role};

use super::{always, value, words};
use crate::{
    command::{Act, Command, Library},
    phases::item,
    script::{Question, quote},
};

const MINUTE: Duration = Duration::from_secs(60);

/// A host and what it is to be in a swarm.
#[derive(Debug, Clone, Copy)]
pub struct Member<'a> {
    /// `LINEAGE/CLUSTER`, for the note on the host.
    pub id: &'a str,
    /// The host.
    pub name: &'a str,
    /// Where it answers.
    pub address: &'a str,
    /// What it is to be.
    pub role: Role,
    /// Its labels.
    pub labels: &'a BTreeMap<Text, Text>,
}

impl Member<'_> {
    fn labels(&self) -> String {
        let labels: Vec<String> = self.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        words(labels.iter().map(String::as_str))
    }
}

/// What a host needs to join; not for logs.
#[derive(Clone, PartialEq, Eq)]
pub struct Ticket {
    token: Text,
    manager: Text,
}

impl Ticket {
    /// The question to a manager, which answers at `address`.
    pub fn question(role: Role, address: &str) -> Question {
        let simulated = "token=simulated\nendpoint=simulated:2377".to_owned();
        question("a token to join with", format!("swarm_ticket {role} {}", quote(address)), simulated)
    }

    /// Reads the answer; none: it lacks something.
    pub fn parse(lines: &[String]) -> Option<Ticket> {
        Some(Ticket { token: value(lines, "token")?, manager: value(lines, "endpoint")? })
    }
}

fn question(about: &'static str, call: String, simulated: String) -> Question {
    Question { about, library: Library::Swarm, call, simulated, limit: 2 * MINUTE }
}

fn swarm(command: Command) -> Command {
    Command { library: Some(Library::Swarm), ..command }
}

fn on_manager(what: &str, name: &str, call: String, limit: Duration) -> Command {
    always(what, name, call, limit, Library::Swarm)
}

fn become_member(member: &Member<'_>, act: Act) -> Command {
    let probe = format!("probe_swarm {} {}", quote(member.id), member.role);
    swarm(Command::new(item("member", member.id), probe, act, 3 * MINUTE))
}

/// Begins the swarm at this host.
pub fn init(member: &Member<'_>) -> Command {
    let call = format!("act_swarm_init {} {}", quote(member.id), quote(member.address));
    become_member(member, Act::Call(call))
}

/// Joins this host.
pub fn join(member: &Member<'_>, ticket: &Ticket) -> Command {
    let call = format!("act_swarm_join {} {} {}", quote(member.id), member.role, quote(member.address));
    become_member(member, Act::Fed { call, content: format!("{}\n{}\n", ticket.token, ticket.manager).into() })
}

/// How far a host is: `absent`, `whole`, `half` or `foreign`.
pub fn state(member: &Member<'_>) -> Question {
    let call = format!("ask_swarm {} {}", quote(member.id), member.role);
    question("whether it is a member", call, "absent".into())
}

/// What the swarm calls this host.
pub fn id() -> Question {
    question("its node's id", "swarm_id".into(), "id=simulated".into())
}

/// Reads the answer.
pub fn parse_id(lines: &[String]) -> Option<Text> {
    value(lines, "id")
}

/// Tells the swarm which host a node is, and its labels; on a manager.
pub fn name(member: &Member<'_>, node: &str) -> Command {
    let call = format!("act_swarm_name {} {} {}", quote(node), quote(member.name), member.labels());
    on_manager("node", member.name, call, 2 * MINUTE)
}

/// Labels of a node, on a manager.
pub fn labels(member: &Member<'_>) -> Command {
    on_manager(
        "labels",
        member.name,
        format!("act_swarm_labels {} {}", quote(member.name), member.labels()),
        2 * MINUTE,
    )
}

/// Everything that runs on a node goes elsewhere, on a manager.
pub fn drain(name: &str, limit: Duration) -> Command {
    on_manager("drain", name, format!("act_swarm_drain {} {}", quote(name), limit.as_secs().max(1)), limit + MINUTE)
}

/// Whether new things are put on a node, on a manager.
pub fn available(name: &str, yes: bool) -> Command {
    let word = if yes { "active" } else { "pause" };
    on_manager(
        if yes { "uncordon" } else { "cordon" },
        name,
        format!("act_swarm_available {} {word}", quote(name)),
        MINUTE,
    )
}

/// A worker becomes a manager, or the other way round; on a manager that stays one.
pub fn turn(name: &str, role: Role) -> Command {
    on_manager("role", name, format!("act_swarm_turn {} {role}", quote(name)), 2 * MINUTE)
}

/// Waits on the host until it is what it was turned into.
pub fn turned(member: &Member<'_>) -> Command {
    let call = format!("act_swarm_turned {} {}", quote(member.id), member.role);
    on_manager("role", member.name, call, 2 * MINUTE)
}

/// Nothing of a member is left on this host.
pub fn leave(id: &str) -> Command {
    on_manager("leave", id, format!("act_swarm_leave {}", quote(id)), 3 * MINUTE)
}

/// A node is not there any more, on a manager.
pub fn forget(name: &str) -> Command {
    on_manager("forget", name, format!("act_swarm_forget {}", quote(name)), 3 * MINUTE)
}

/// What a manager says of the swarm, in the form of a survey of Kubernetes.
pub fn survey() -> Question {
    question("its nodes", "swarm_survey".into(), String::new())
}
