//! The processes of a machine; all of them are this program, started with [`WORD`] as its first argument.
//!
//! | role | where it runs | what it does |
//! |---|---|---|
//! | `keeper` | own mount table (and user namespace, without root), outside the machine | starts `init`, mounts volumes, answers on the control socket |
//! | `init` | process 1 of the machine | builds the root, drops rights, starts `sshd`, collects orphans |
//! | `sshd` | in the machine | SSH server |
//! | `session` | in the machine | becomes the user and then the user's command |
//! | `graft` | outside, then in the machine's mount table | mounts or unmounts one volume in a running machine |
//!
//! Each ends when the one above it ends, so that nothing is left behind when any of them is killed.

mod graft;
mod init;
mod keeper;
mod layers;
mod rights;
mod root;
mod session;
mod sshd;
mod terminal;
mod users;

pub(super) use keeper::ALIVE;
pub(super) use root::Parts;
pub(super) use sshd::{AUTHORIZED_KEYS, HOST_KEY, SETTINGS, Settings};

use std::{
    error::Error,
    ffi::OsString,
    io,
    io::Write,
    path::Path,
    process::ExitCode,
    sync::atomic::{AtomicU32, Ordering},
};

/// First argument of every process of a machine.
pub const WORD: &str = "__machine";

/// Entry of all processes of a machine: call it before anything else when the first argument is [`WORD`], with the
/// arguments after that. No thread may run yet: namespaces are entered here.
pub fn main(args: &[OsString]) -> ExitCode {
    if let [word, user, terminal, command @ ..] = args
        && word == "session"
    {
        return session::run(user, terminal == "tty", command.first());
    }
    let words: Vec<&str> = args.iter().filter_map(|word| word.to_str()).collect();
    let outcome = match words[..] {
        ["keeper", dir] => keeper::run(Path::new(dir)),
        ["init", dir] => init::run(Path::new(dir)),
        ["sshd"] => sshd::run(),
        ["graft", pid, source, target] => graft::attach(pid, source, target),
        ["ungraft", pid, target] => return graft::detach(pid, target),
        _ => Err(Fault::new("this word is for the processes of local machines", io::ErrorKind::InvalidInput.into())),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            log(&fault.chain());
            ExitCode::FAILURE
        }
    }
}

/// What a process of a machine could not do.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub(super) struct Fault {
    what: String,
    #[source]
    source: io::Error,
}

impl Fault {
    fn new(what: impl Into<String>, source: io::Error) -> Self {
        Self { what: what.into(), source }
    }

    /// In one line, with its causes.
    pub(super) fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut next = self.source();
        while let Some(error) = next {
            text = format!("{text}: {error}");
            next = error.source();
        }
        text.replace('\n', " ")
    }
}

/// Says what was being done when an error came up.
trait Doing<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, Fault>;
}

impl<T, E: Into<io::Error>> Doing<T> for Result<T, E> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, Fault> {
        self.map_err(|error| Fault::new(what(), error.into()))
    }
}

/// Lines that one process may write to the log; whatever goes wrong again and again, the disk does not fill.
const LINES: u32 = 1000;

/// One line to standard error, which is the machine's log.
fn log(line: &str) {
    static WRITTEN: AtomicU32 = AtomicU32::new(0);
    if WRITTEN.fetch_add(1, Ordering::Relaxed) < LINES {
        let _ = writeln!(io::stderr(), "{line}");
    }
}
