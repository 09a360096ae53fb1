//! Running the binary as a user would, without a terminal.

use pool_inventory::Kind;
use pool_providers::sim::SimLedger;

use std::{
    path::Path,
    process::{Command, Output, Stdio},
};

/// The binary, in the inventory at `dir`, with an environment that no setting of the machine leaks into.
pub fn command(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pool"));
    command.arg("-C").arg(dir).args(arguments).stdin(Stdio::null());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("POOL_")) {
        command.env_remove(name);
    }
    command
}

/// Runs the binary to its end.
pub fn pool(dir: &Path, arguments: &[&str]) -> Output {
    command(dir, arguments).output().expect("the binary starts")
}

/// Exit code and everything that was said.
pub fn text(output: &Output) -> String {
    format!("{}\n{}{}", output.status, String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Runs the binary and expects an exit code; gives everything that was said.
#[track_caller]
pub fn expect(dir: &Path, arguments: &[&str], code: i32) -> String {
    let output = pool(dir, arguments);
    assert_eq!(output.status.code(), Some(code), "pool {}: {}", arguments.join(" "), text(&output));
    text(&output)
}

/// Snapshots and backups that are in the simulated cloud `cloud`, by its own ledger, in natural order.
pub fn copies(dir: &Path) -> Vec<String> {
    let ledger = SimLedger::read(&dir.join(".pool/sim/cloud.ledger")).expect("a ledger");
    let kinds = [Kind::Snapshot, Kind::Backup];
    let copies = kinds.iter().flat_map(|kind| ledger.ours(*kind)).filter_map(|copy| copy.owner.as_ref());
    let mut copies: Vec<_> = copies.map(|owner| owner.address.clone()).collect();
    copies.sort();
    copies.iter().map(ToString::to_string).collect()
}

/// Hosts and volumes that are in the simulated clouds, by their own ledgers; fails if anything was made twice.
#[track_caller]
pub fn live(dir: &Path) -> (usize, usize) {
    let (mut hosts, mut volumes) = (0, 0);
    let files = std::fs::read_dir(dir.join(".pool/sim")).into_iter().flatten().flatten().map(|file| file.path());
    for file in files.filter(|file| file.extension().is_some_and(|extension| extension == "ledger")) {
        let ledger = SimLedger::read(&file).expect("a ledger");
        assert_eq!(ledger.duplicates(), [""; 0], "made twice");
        hosts += ledger.ours(Kind::Host).count();
        volumes += ledger.ours(Kind::Volume).count();
    }
    (hosts, volumes)
}
