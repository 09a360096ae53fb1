//! What is said to a shell on a host, and in which words.
//!
//! Everything is POSIX `sh`; the words of the items are functions of the three heads (`probe.sh`, `act.sh` and what they
//! share), so that an item costs one line.

mod quote;

use std::{io::Write, sync::LazyLock, time::Duration};

pub use quote::{append_content, quote};

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
/// Functions for volumes that both call.
pub const MOUNTS: &str = include_str!("mounts.sh");
/// Functions for what runs containers, which both call.
pub const CONTAINERS: &str = include_str!("containers.sh");
/// Functions for members of Kubernetes clusters, which both call.
pub const KUBERNETES: &str = include_str!("kubernetes.sh");
/// Functions for members of Docker Swarms, which both call.
pub const SWARM: &str = include_str!("swarm.sh");
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
    /// No more changes follow.
    ActEnd,
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
                out.extend_from_slice(MOUNTS.as_bytes());
                out.extend_from_slice(PROBE_HEAD.as_bytes());
                line(out, &format!("{{ {}; lazy={} off=0; }} </dev/null", whoami(*who), u8::from(*lazy)));
            }
            Say::Library(library) => functions(out, *library),
            Say::Probe(number, command) => line(out, &format!("{{ n={number}; {}; }} </dev/null", command.probe)),
            Say::ProbeEnd => line(out, "{ echo 'P end'; }"),
            Say::ActHead { who, mark } => act_head(out, *who, *mark),
            Say::Act { number, command, packages } => act(out, *number, command, packages),
            Say::Ask(question) => ask(out, question),
            Say::ActEnd => line(out, "{ [ $# = 0 ] || sync -- \"$@\" 2>/dev/null || :; echo 'Z'; }"),
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
    out.extend_from_slice(MOUNTS.as_bytes());
    out.extend_from_slice(ACT_HEAD.as_bytes());
    let who = whoami(who);
    line(out, &format!("{{ {who}; mark=pool-{mark:016x}; tmp=$(mktemp -d) || exit 70; set --; }} </dev/null"));
    line(out, "{ trap 'rm -rf -- \"$tmp\" ${t:+\"$t\"}' EXIT; trap 'exit 129' HUP INT TERM PIPE; }");
}

fn functions(out: &mut Vec<u8>, library: Library) {
    let texts: &[&str] = match library {
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
        Act::Call(call) => {
            line(out, &format!("{{ begin {n}; {{ {call}; }} >&2; end {n} $? ${{held:+same}}; }} </dev/null"))
        }
        Act::Fed { call, content } => {
            line(out, &format!("{{ begin {n}; open_script; }}"));
            append_content(out, content);
            let room = "{ [ \"$bad\" = 0 ] || { echo \"no room in $tmp\"; false; }; }";
            line(out, &format!("{{ {{ {room} && {call}; }} >&2 </dev/null; end {n} $? ${{held:+same}}; }}"));
        }
        Act::File { path, content, mode, owner, group } => {
            line(out, &format!("{{ begin {n}; open_file {}; }}", quote(path)));
            append_content(out, content);
            let (path, owner, group) = (quote(path), quote(owner), quote(group));
            line(
                out,
                &format!("{{ close_file {path} {:o} {owner} {group}; end {n} $?; set -- \"$@\" {path}; }}", mode.0),
            );
        }
        Act::Keys { user, content } => {
            line(out, &format!("{{ begin {n}; open_keys; }}"));
            append_content(out, content);
            let keep = u8::from(!content.is_empty());
            line(out, &format!("{{ close_keys {} {keep}; end {n} $?; }}", quote(user)));
        }
        Act::Script { check, run, interpreter, seconds } => script(out, n, check, run, interpreter, *seconds),
    }
}

/// The check comes first, because something before may have made it hold; and last, because `run` must have done it.
fn script(out: &mut Vec<u8>, n: usize, check: &str, run: &str, interpreter: &[String], seconds: u64) {
    let check = format!("lim 60 {check} >&2 </dev/null");
    let _ = writeln!(out, "{{ begin {n}; same=0; {check} && same=1; open_script; }}");
    append_content(out, run);
    let run = format!("run_script {seconds} {}", words(&interpreter.iter().map(String::as_str).collect::<Vec<_>>()));
    let after = "echo 'its check does not hold after it has run' >&2; st=99";
    line(out, "{");
    line(out, &format!("if [ $same = 1 ]; then end {n} 0 same; else"));
    line(out, &format!("{run}; st=$?; [ $st != 0 ] || {check} || {{ {after}; }}; end {n} $st; fi; }}"));
}

fn words(all: &[&str]) -> String {
    all.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// What `me` makes of the words of `id`.
    fn me(id: &str) -> String {
        let show = r#"printf '%s|%s|%s|%s' "$uid" "$own_user" "$gid" "$own_group""#;
        let script = format!("{START}\nid() {{ echo {}; }}\nme\n{show}", quote(id));
        let answers = ["sh", "bash"].map(|shell| {
            let out = Command::new(shell).args(["-c", &script]).output().unwrap();
            String::from_utf8(out.stdout).unwrap().lines().last().unwrap().to_owned()
        });
        assert_eq!(answers[0], answers[1]);
        answers[0].clone()
    }

    #[test]
    fn who_we_are_is_read_from_one_process() {
        assert_eq!(me("uid=0(root) gid=0(root) groups=0(root),4(adm)"), "0|root|0|root");
        assert_eq!(me("uid=1000(joe) gid=99(domain users) groups=99(domain users)"), "1000|joe|99|domain users");
        assert_eq!(me("uid=1000 gid=0 euid=5(x) egid=6(root) groups=0(root)"), "1000|1000|0|0");
        assert_eq!(me("uid=7(a b) gid=8(c) context=system_u:object_r(s0)"), "7|a b|8|c");
    }
}
