//! The transport of simulated hosts: no network and no shell, but the same conversations as over SSH.
//!
//! Each host has a ledger, a file that outlives the client: what was done on the host is there after the client was
//! killed. A command is taken to hold when the ledger says that the same command was done.

mod faults;
mod ledger;

use std::{path::Path, time::Duration};

use async_trait::async_trait;
use pool_inventory::{Bytes, Text};

pub use faults::{Fault, FaultKind, FaultsError};
use ledger::Ledger;
pub use ledger::forget;

use crate::{
    command::{Act, Command},
    link::{Dialogue, Exit, Flow, Link, LinkError, Next, upload::Upload},
    runner::START,
    script::Say,
    ssh::SshError,
};

/// A simulated host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimHost {
    /// What names its ledger: the id that the cloud gave it, so that a new host begins bare.
    pub id: Text,
    /// Its name, for messages and faults.
    pub name: Text,
    /// Where it pretends to answer.
    pub address: Text,
    /// Who pretends to log in.
    pub user: Text,
    /// Cores.
    pub cpus: u32,
    /// Memory.
    pub memory: Bytes,
    /// Root disk.
    pub disk: Bytes,
}

/// A connection to a simulated host.
#[derive(Debug)]
pub struct SimLink {
    host: SimHost,
    ledger: Ledger,
    faults: Vec<Fault>,
    sessions: u32,
    /// Whether a shell waits for the next conversation, and whether it is one of `sudo`.
    shell: Option<bool>,
}

impl SimLink {
    /// Connects to `host`, whose ledger lies in `folder`, beside `faults.json`, if there is one.
    pub fn open(folder: &Path, host: SimHost) -> Result<Self, LinkError> {
        let broken = |source| LinkError::Ledger { at: host.name.clone(), source };
        let faults = faults::read(folder).map_err(|error| broken(std::io::Error::other(error)))?;
        Self::with_faults(folder, host.clone(), faults)
    }

    /// Connects to `host`, whose ledger lies in `folder`, with these faults.
    pub fn with_faults(folder: &Path, host: SimHost, faults: Vec<Fault>) -> Result<Self, LinkError> {
        let ledger =
            Ledger::open(folder, &host.id).map_err(|source| LinkError::Ledger { at: host.name.clone(), source })?;
        let mut link = Self { host, ledger, faults, sessions: 0, shell: None };
        if link.strikes(FaultKind::Unreachable, "")? {
            let source = std::io::Error::new(std::io::ErrorKind::ConnectionRefused, "a fault was asked for");
            return Err(SshError::Unreachable { at: link.at(), source }.into());
        }
        Ok(link)
    }

    /// Whether a fault of this kind strikes here and now; counted in the ledger, so that it strikes only so often.
    fn strikes(&mut self, kind: FaultKind, item: &str) -> Result<bool, LinkError> {
        let Some(index) = self.faults.iter().position(|fault| {
            fault.matches(kind, &self.host.name, item) && self.ledger.struck(fault.key(item)) < fault.times
        }) else {
            return Ok(false);
        };
        let key = self.faults[index].key(item);
        self.ledger.strike(key).map_err(|source| self.broken(source))?;
        Ok(true)
    }

    fn broken(&self, source: std::io::Error) -> LinkError {
        LinkError::Ledger { at: self.host.name.clone(), source }
    }

    fn facts(&self) -> String {
        let host = &self.host;
        let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        format!(
            "system=Linux\nkernel=simulated\narch=x86_64\nhostname={}\nclock={}\nuid=0\ngid=0\nuser={}\ngroup={}\n\
             home=/root\nos.ID=debian\nos.VERSION_ID=12\ncpus={}\nmemory_kib={}\ndisk_free_kib={}\ninit=systemd\n\
             apt=yes\naddress={}\nend=facts\n",
            host.name,
            clock.as_secs(),
            host.user,
            host.user,
            host.cpus,
            host.memory.0 / 1024,
            host.disk.0 / 1024,
            host.address,
        )
    }

    fn probe(&mut self, number: usize, command: &Command) -> Result<String, LinkError> {
        if self.strikes(FaultKind::Drift, &command.item)? {
            self.ledger.record(&command.item, "drifted").map_err(|source| self.broken(source))?;
        }
        let answer = match self.ledger.holds(&command.item) {
            Some(digest) if digest == fingerprint(command) => "ok",
            Some("drifted") => "differs was changed on the host",
            Some(_) => "differs is as it was declared before",
            None if command.bare => "ok",
            None => "missing",
        };
        let lacks = |sha256: &str| self.ledger.holds(&arrived(sha256)).is_none();
        let sent = match &command.act {
            Act::Artifact { sent: true, sha256, .. } if answer != "ok" && lacks(sha256) => format!("U {number}\n"),
            _ => String::new(),
        };
        Ok(format!("P {number} {answer}\n{sent}"))
    }

    /// Does an item; the second part goes to standard error.
    fn act(&mut self, number: usize, command: &Command) -> Result<(String, &'static str), LinkError> {
        let item = &command.item;
        let digest = fingerprint(command);
        if self.ledger.holds(item) == Some(&digest) {
            return Ok((format!("B {number}\nE {number} same\n"), ""));
        }
        if self.strikes(FaultKind::KillBefore, item)? {
            std::process::abort();
        }
        if self.strikes(FaultKind::Fail, item)? {
            return Ok((format!("B {number}\nF {number} 1\n"), "a fault was asked for\n"));
        }
        self.ledger.record(item, &digest).map_err(|source| self.broken(source))?;
        if self.strikes(FaultKind::KillAfter, item)? {
            std::process::abort();
        }
        Ok((format!("B {number}\nE {number} changed\n"), ""))
    }

    /// Writes files one after the other; the first part is whether it hangs at one.
    fn files(&mut self, number: usize, commands: &[&Command]) -> Result<(bool, (String, &'static str)), LinkError> {
        let mut all = String::new();
        for (number, command) in (number..).zip(commands) {
            if self.strikes(FaultKind::Hang, &command.item)? {
                return Ok((true, (all + &format!("B {number}\n"), "")));
            }
            let (out, err) = self.act(number, command)?;
            all += &out;
            if !err.is_empty() {
                return Ok((false, (all, err)));
            }
        }
        Ok((false, (all, "")))
    }

    fn answer(&mut self, say: Say<'_>) -> Result<Answer, LinkError> {
        let (hangs, (out, err)) = match say {
            Say::Facts => (self.strikes(FaultKind::Hang, "")?, (format!("{START}\n{}", self.facts()), "")),
            Say::Probe(number, command) => (false, (self.probe(number, command)?, "")),
            Say::Act { number, command, .. } if self.strikes(FaultKind::Hang, &command.item)? => {
                (true, (format!("B {number}\n"), ""))
            }
            Say::Act { number, command, .. } => (false, self.act(number, command)?),
            Say::ProbeEnd => (false, ("P end\n".into(), "")),
            Say::AskScript(number, command) => {
                let holds = self.ledger.holds(&command.item) == Some(&fingerprint(command));
                (false, (if holds { format!("B {number}\nE {number} same\n") } else { format!("N {number}\n") }, ""))
            }
            Say::Files { number, commands } => self.files(number, commands)?,
            Say::ActEnd { .. } => (false, ("Z\n".into(), "")),
            Say::Library(_) | Say::Glance(_) => (false, (String::new(), "")),
            Say::Ask(question) => {
                let lines: String = question.simulated.lines().map(|line| format!("|{line}\n")).collect();
                (false, (format!("{START}\n{lines}A 0\n"), ""))
            }
            Say::ProbeHead { .. } | Say::ActHead { .. } => (false, (format!("{START}\n"), "")),
        };
        let failed = !err.is_empty();
        Ok(Answer { out, err, hangs, failed })
    }
}

struct Answer {
    out: String,
    err: &'static str,
    /// Nothing comes after this.
    hangs: bool,
    /// The shell ends after this.
    failed: bool,
}

/// Under which the ledger says that an artifact was sent to the host.
fn arrived(sha256: &str) -> String {
    format!("artifact {sha256}")
}

/// What a command is about: two commands with the same one want the same.
fn fingerprint(command: &Command) -> String {
    blake3::hash(command.probe.as_bytes()).to_hex()[..32].to_owned()
}

#[async_trait]
impl Link for SimLink {
    fn at(&self) -> Text {
        self.host.address.clone()
    }

    fn sessions(&self) -> u32 {
        self.sessions
    }

    async fn upload(&mut self, upload: Upload<'_>) -> Result<(Exit, Vec<String>), LinkError> {
        self.sessions += 1;
        let item = arrived(upload.sha256);
        if self.strikes(FaultKind::Fail, &item)? {
            return Ok((Exit { status: Some(1), signal: None }, vec!["a fault was asked for".into()]));
        }
        self.ledger.record(&item, upload.sha256).map_err(|source| self.broken(source))?;
        (upload.on)(upload.size);
        Ok((Exit { status: Some(0), signal: None }, Vec::new()))
    }

    async fn converse(&mut self, talk: &mut dyn Dialogue) -> Result<Exit, LinkError> {
        if self.shell.take() != Some(talk.sudo()) {
            self.sessions += 1;
        }
        loop {
            let answer = match talk.next() {
                Next::Say(say) => self.answer(say)?,
                Next::End => return Ok(Exit { status: Some(0), signal: None }),
                // Everything said so far was answered at once, so nothing will ever come.
                Next::Wait => return Err(silent(self.at(), talk.patience())),
            };
            // Standard error first: there, too, output comes before the marker that ends an item.
            let flows = [talk.stderr(answer.err.as_bytes()), talk.stdout(answer.out.as_bytes())];
            if answer.hangs {
                return Err(silent(self.at(), talk.patience()));
            }
            if answer.failed {
                return Ok(Exit { status: Some(1), signal: None });
            }
            if flows.contains(&Flow::Stop) {
                return Ok(Exit::default());
            }
            if flows.contains(&Flow::Done) {
                self.shell = Some(talk.sudo());
                return Ok(Exit::default());
            }
        }
    }
}

/// Time is not spent on waiting for a simulated host.
fn silent(at: Text, after: Duration) -> LinkError {
    LinkError::Silent { at, after }
}
