//! What is said to a shell on a host, and in which words.
//!
//! Everything is POSIX `sh`; the words of the items are functions of the three heads (`probe.sh`, `act.sh` and what they
//! share), so that an item costs one line.

mod quote;

use std::{sync::LazyLock, time::Duration};

pub use quote::{append_content, quote};

use pool_inventory::Text;

use crate::{
    command::{Act, Command, Library},
    facts::Facts,
};

/// What every script begins with.
pub const START: &str = include_str!("start.sh");
/// Shared by probes and acts.
pub const COMMON: &str = include_str!("common.sh");
/// Prints facts.
pub const FACTS: &str = include_str!("facts.sh");
/// Functions that probes call.
pub const PROBE_HEAD: &str = include_str!("probe.sh");
/// Functions for volumes, of probes and acts.
pub const MOUNTS: &str = include_str!("mounts.sh");
/// Functions for what runs containers, which both call.
pub const CONTAINERS: &str = include_str!("containers.sh");
/// Functions for members of Kubernetes clusters, which both call.
pub const KUBERNETES: &str = include_str!("kubernetes.sh");
/// Functions for members of Docker Swarms, which both call.
pub const SWARM: &str = include_str!("swarm.sh");
/// Functions for artifacts, which both call.
pub const ARTIFACTS: &str = include_str!("artifacts.sh");
/// Functions that acts call.
pub const ACT_HEAD: &str = include_str!("act.sh");

/// Something said to a shell on a host.
///
/// A transport with a real shell sends [`Say::script`]; the simulated one looks at the variants.
#[derive(Debug, Clone, Copy)]
pub enum Say<'a> {
    /// Print the facts.
    Facts,
    /// Get ready for probes.
    ProbeHead {
        /// Who runs them; none: the shell finds out.
        who: Option<&'a Facts>,
        /// Whether what is looked at again before it is changed need not be looked at now, once something before it does
        /// not hold.
        lazy: bool,
    },
    /// Get ready for items that need further functions.
    Library(Library),
    /// Look at the places and services of these items, numbered from nought, in one go.
    Glance(&'a [Command]),
    /// Look at the item with this number.
    Probe(usize, &'a Command),
    /// No more probes follow.
    ProbeEnd,
    /// Get ready for changes.
    ActHead {
        /// Who makes them; none: the shell finds out.
        who: Option<&'a Facts>,
        /// Marks their output.
        mark: u64,
    },
    /// Change the item with this number; `packages` is all that the first package item installs, empty for the others.
    Act {
        /// Its number.
        number: usize,
        /// The item.
        command: &'a Command,
        /// Packages to install in the same go.
        packages: &'a [&'a str],
    },
    /// Write the files, of which the first has this number: one folder, one mode, one owner.
    Files {
        /// The number of the first.
        number: usize,
        /// The files.
        commands: &'a [&'a Command],
    },
    /// Ask whether the script with this number must run.
    AskScript(usize, &'a Command),
    /// No more changes follow, and what waits for its turn is left undone with `leave`.
    ActEnd {
        /// Whether something waits.
        leave: bool,
    },
    /// Answer a question.
    Ask(&'a Question),
}

/// Something that is asked of a host and answered in lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// What is asked, for messages.
    pub about: &'static str,
    /// Which functions it calls.
    pub library: Library,
    /// The call; it prints the answer, and fails where there is none.
    pub call: String,
    /// What a simulated host answers.
    pub simulated: String,
    /// Longest time for the answer.
    pub limit: Duration,
}

impl Say<'_> {
    /// Appends the words for a POSIX shell.
    pub fn script(&self, out: &mut Vec<u8>) {
        match self {
            Say::Facts => {
                out.extend_from_slice(START.as_bytes());
                out.extend_from_slice(FACTS.as_bytes());
            }
            Say::ProbeHead { who, lazy } => {
                out.extend_from_slice(START.as_bytes());
                out.extend_from_slice(COMMON.as_bytes());
                out.extend_from_slice(PROBE_HEAD.as_bytes());
                line(out, &format!("{{ {}; lazy={} off=0; }} </dev/null", whoami(*who), u8::from(*lazy)));
            }
            Say::Library(library) => functions(out, *library),
            Say::Glance(commands) => glance(out, commands),
            Say::Probe(number, command) => line(out, &format!("{{ n={number}; {}; }} </dev/null", command.probe)),
            Say::ProbeEnd => line(out, "{ echo 'P end'; }"),
            Say::ActHead { who, mark } => act_head(out, *who, *mark),
            Say::Act { number, command, packages } => act(out, *number, command, packages),
            Say::Ask(question) => ask(out, question),
            Say::Files { number, commands } => files(out, *number, commands),
            Say::AskScript(number, command) => ask_script(out, *number, command),
            Say::ActEnd { leave: false } => line(out, "{ end_acts \"$@\"; }"),
            Say::ActEnd { leave: true } => line(out, "{ waits=; end_acts \"$@\"; }"),
        }
    }

    /// The words for a shell that is being started, where they can travel with the command that starts it: one line that
    /// every login shell takes as it is between single quotes. A server lets nothing else through before the shell runs.
    pub fn one_line(&self) -> Option<&'static str> {
        static FACTS_LINE: LazyLock<String> = LazyLock::new(|| one_line(START) + " " + &one_line(FACTS));
        matches!(self, Say::Facts).then(|| FACTS_LINE.as_str())
    }
}

/// Lines whose statements all end with semicolons, without comments and indentation.
fn one_line(script: &str) -> String {
    let lines = script.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.collect::<Vec<_>>().join(" ")
}

/// Sets `$uid`, `$own_user`, `$gid` and `$own_group`.
fn whoami(who: Option<&Facts>) -> String {
    match who {
        Some(facts) => {
            let (user, group) = (quote(&facts.user), quote(&facts.group));
            format!("uid={} own_user={user} gid={} own_group={group}", facts.uid, facts.gid)
        }
        None => "me".to_owned(),
    }
}

fn line(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
    out.push(b'\n');
}

fn act_head(out: &mut Vec<u8>, who: Option<&Facts>, mark: u64) {
    out.extend_from_slice(START.as_bytes());
    out.extend_from_slice(COMMON.as_bytes());
    out.extend_from_slice(ACT_HEAD.as_bytes());
    let who = whoami(who);
    line(out, &format!("{{ {who}; mark=pool-{mark:016x}; tmp=$(mktemp -d) || exit 70; set --; }} </dev/null"));
    line(
        out,
        "{ trap '[ -z \"$tmp$t\" ] || rm -rf -- ${tmp:+\"$tmp\"} ${t:+\"$t\"}' EXIT; trap 'exit 129' HUP INT TERM PIPE; }",
    );
}

fn functions(out: &mut Vec<u8>, library: Library) {
    let texts: &[&str] = match library {
        Library::Mounts => &[MOUNTS],
        Library::Artifacts => &[ARTIFACTS],
        Library::Containers => &[CONTAINERS],
        Library::Kubernetes => &[CONTAINERS, KUBERNETES],
        Library::Swarm => &[SWARM],
    };
    texts.iter().for_each(|text| out.extend_from_slice(text.as_bytes()));
}

/// Each line of the answer stands after a bar.
fn ask(out: &mut Vec<u8>, question: &Question) {
    out.extend_from_slice(START.as_bytes());
    out.extend_from_slice(COMMON.as_bytes());
    functions(out, question.library);
    let call = &question.call;
    line(
        out,
        &format!(
            "{{ answer=$({call}) </dev/null; st=$?; printf '%s\\n' \"$answer\" | sed 's/^/|/'; echo \"A $st\"; }}"
        ),
    );
}

fn act(out: &mut Vec<u8>, n: usize, command: &Command, packages: &[&str]) {
    match &command.act {
        Act::Package(name) => {
            let install = match packages {
                [] => String::new(),
                all => format!("act_packages {} && ", words(all)),
            };
            line(out, &format!("{{ begin {n}; {install}has_package {}; end {n} $?; }}", quote(name)));
        }
        Act::Call(call) | Act::Artifact { call, .. } => {
            line(out, &format!("{{ begin {n}; {{ {call}; }} >&2; end {n} $? ${{held:+same}}; }} </dev/null"))
        }
        Act::Fed { call, content } => {
            line(out, &format!("{{ begin {n}; open_script; }}"));
            append_content(out, content);
            let room = "{ [ \"$bad\" = 0 ] || { echo \"no room in $tmp\"; false; }; }";
            line(out, &format!("{{ {{ {room} && {call}; }} >&2 </dev/null; end {n} $? ${{held:+same}}; }}"));
        }
        Act::File { .. } => files(out, n, &[command]),
        Act::Keys { user, content } => {
            line(out, &format!("{{ begin {n}; open_keys; }}"));
            append_content(out, content);
            let keep = u8::from(!content.is_empty());
            line(out, &format!("{{ close_keys {} {keep}; end {n} $?; }}", quote(user)));
        }
        Act::Script { check, run, interpreter, seconds } => script(out, n, check, run, interpreter, *seconds),
    }
}

/// So many places at once as fit into any command line, and are looked at without a long silence.
const PLACES: usize = 64;

fn glance(out: &mut Vec<u8>, commands: &[Command]) {
    together(out, "glance", commands.iter().map(|command| command.place.as_ref()));
    together(out, "glance_units", commands.iter().map(|command| command.unit.as_ref()));
}

fn together<'a>(out: &mut Vec<u8>, function: &str, what: impl Iterator<Item = Option<&'a Text>>) {
    let all: Vec<String> = what.enumerate().filter_map(|(n, it)| Some(format!("{n} {}", quote(it?)))).collect();
    for some in all.chunks(PLACES) {
        line(out, &format!("{{ {function} {}; }} </dev/null", some.join(" ")));
    }
}

/// Contents first, then all take their places.
fn files(out: &mut Vec<u8>, n: usize, commands: &[&Command]) {
    let (mut rights, mut names, mut paths) = (None, Vec::new(), Vec::new());
    for command in commands {
        let Act::File { path, content, mode, owner, group } = &command.act else { continue };
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let open = match rights {
            None => format!("begin {n}; open_files {}; ", quote(folder)),
            Some(_) => String::new(),
        };
        line(out, &format!("{{ {open}one_file {}; }}", quote(name)));
        append_content(out, content);
        rights = Some(format!("{:o} {} {}", mode.0, quote(owner), quote(group)));
        names.push(name);
        paths.push(&**path);
    }
    if let Some(rights) = rights {
        line(out, &format!("{{ close_files {n} {rights} {}; set -- \"$@\" {}; }}", words(&names), words(&paths)));
    }
}

/// What is asked before a script runs, and after it: the check holds, or the script did not do what it is for.
fn ask_script(out: &mut Vec<u8>, n: usize, command: &Command) {
    if let Act::Script { check, .. } = &command.act {
        line(out, &format!("{{ ask_script {n} {check}; }}"));
    }
}

/// The check comes last, because `run` must have done it; it came first in what [`ask_script`] says.
fn script(out: &mut Vec<u8>, n: usize, check: &str, run: &str, interpreter: &[String], seconds: u64) {
    line(out, &format!("{{ waits=; begin {n}; open_script; }}"));
    append_content(out, run);
    let run = format!("run_script {seconds} {}", words(&interpreter.iter().map(String::as_str).collect::<Vec<_>>()));
    let after = "echo 'its check does not hold after it has run' >&2; st=99";
    let check = format!("lim 60 {check} >&2 </dev/null");
    line(out, &format!("{{ {run}; st=$?; [ $st != 0 ] || {check} || {{ {after}; }}; end {n} $st; }}"));
}

fn words(all: &[&str]) -> String {
    all.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
