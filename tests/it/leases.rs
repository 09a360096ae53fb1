//! Leases under fire, with real processes: one that is stopped in the middle of a run, and one whose lease is taken.

use std::{
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, Stdio},
};

use pool_providers::sim::{Counters, SimLedger};
use rustix::process::{Pid, Signal, kill_process};

use crate::program::{command, expect, live, pool, text};

/// A cloud whose every answer takes a second, so that a test can stop a run in the middle of a call.
const SLOW: &str = "version: 1\nname: fire\n\
    providers: { cloud: { type: sim, clock: real, latency: 1s, page: 1 } }\n\
    pools:\n  web: { hosts: 4, size: { vcpus: 2, memory: 4GiB, disk: 20GiB }, image: debian-12 }\n";

/// A run that is under way.
struct Run {
    child: Child,
    said: BufReader<std::process::ChildStderr>,
}

impl Run {
    /// Starts an apply and waits until it has asked for its second host: one is made, one is on its way to the cloud.
    fn start(dir: &Path) -> Self {
        std::fs::write(dir.join("pool.yaml"), SLOW).expect("an inventory");
        let mut command = command(dir, &["apply", "--yes", "--observe", "providers", "--parallelism", "1"]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the binary starts");
        let said = BufReader::new(child.stderr.take().expect("it is piped"));
        let mut run = Self { child, said };
        run.wait_for("host/web-0  create");
        run.wait_for("✓ host/web-0");
        run.wait_for("host/web-1  create");
        // Whoever comes now need not wait for the slow cloud.
        std::fs::write(dir.join("pool.yaml"), SLOW.replace("latency: 1s", "latency: 0s")).expect("an inventory");
        run
    }

    fn wait_for(&mut self, words: &str) {
        let mut line = String::new();
        while !line.contains(words) {
            line.clear();
            assert!(self.said.read_line(&mut line).expect("text") > 0, "`{words}` never came");
        }
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("it is there");
    }

    /// What it exits with and what it says until then.
    fn end(mut self) -> (Option<i32>, String) {
        let mut said = String::new();
        self.said.read_to_string(&mut said).expect("text");
        (self.child.wait().expect("it ends").code(), said)
    }
}

fn ledger(dir: &Path) -> SimLedger {
    SimLedger::read(&dir.join(".pool/sim/cloud.ledger")).expect("a ledger")
}

/// Calls so far, of everyone, and effects so far of the process `pid`.
fn done_by(dir: &Path, pid: u32) -> (Counters, usize) {
    let ledger = ledger(dir);
    let effects = ledger.effects.iter().filter(|effect| effect.pid == pid).count();
    (ledger.counters, effects)
}

/// The lease that is held, as `pool status` tells it.
fn lease(dir: &Path) -> serde_json::Value {
    let output = pool(dir, &["status", "--json"]);
    let status: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    status["result"]["lease"].clone()
}

#[test]
fn a_stopped_run_whose_lease_was_taken_does_nothing_more_when_it_wakes() {
    let dir = tempfile::tempdir().expect("a folder");
    let run = Run::start(dir.path());
    let pid = run.child.id();
    run.signal(Signal::STOP);
    let said = expect(dir.path(), &["apply", "--yes", "--lock-timeout", "0s"], 6);
    assert!(said.contains(&format!("process {pid} (apply) since")) && said.contains("pool unlock"), "{said}");
    let lease = lease(dir.path());
    assert_eq!(lease["alive"], true, "{lease}");
    let id = lease["id"].as_str().expect("an id");
    let said = expect(dir.path(), &["unlock", id, "--yes"], 0);
    assert!(said.contains(&format!("process {pid} (apply) since")), "{said}");
    // It waits until the lease would have expired: the stopped run may have had a call under way.
    expect(dir.path(), &["apply", "--yes", "--observe", "providers"], 0);
    assert_eq!(live(dir.path()), (4, 0));
    let before = done_by(dir.path(), pid);
    run.signal(Signal::CONT);
    let (code, said) = run.end();
    assert_eq!(code, Some(6), "{said}");
    assert!(said.contains("the lease was taken away") || said.contains("the lease was lost"), "{said}");
    assert_eq!(done_by(dir.path(), pid), before, "no further call, and no effect: {said}");
    assert_eq!(live(dir.path()), (4, 0));
    expect(dir.path(), &["plan", "--detailed-exitcode"], 0);
}

#[test]
fn a_run_whose_lease_is_taken_stops_before_its_next_act() {
    let dir = tempfile::tempdir().expect("a folder");
    let run = Run::start(dir.path());
    let pid = run.child.id();
    let id = lease(dir.path())["id"].as_str().expect("an id").to_owned();
    expect(dir.path(), &["unlock", &id, "--yes"], 0);
    let (_, before) = done_by(dir.path(), pid);
    let (code, said) = run.end();
    assert_eq!(code, Some(6), "{said}");
    let (_, after) = done_by(dir.path(), pid);
    assert!(after <= before + 1, "at most the call that was under way: {before}, then {after}");
    assert!(after < 4, "it had four hosts to make");
    let applied = pool(dir.path(), &["apply", "--yes", "--observe", "providers"]);
    assert!(applied.status.success(), "{}", text(&applied));
    assert_eq!(live(dir.path()), (4, 0));
    expect(dir.path(), &["plan", "--detailed-exitcode"], 0);
}
