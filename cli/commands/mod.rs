//! One file per command. A command opens what it needs, calls one operation, and prints the answer.

mod adopt;
mod apply;
mod bundle;
mod check;
mod cluster;
mod cost;
mod errands;
mod exec;
mod explain;
mod fmt;
mod generate;
mod graph;
mod help;
mod history;
mod host;
pub mod init;
mod plan;
mod reach;
mod show;
mod ssh;
mod state;
mod status;
mod unlock;
mod validate;
mod version;
mod volume;

#[cfg(test)]
pub use help::exit_codes;

use crate::{
    args::{BundleCommand, ClusterCommand, Command, HostCommand, StateCommand, VolumeCommand},
    context::{Context, Outcome},
};

/// Runs a command.
pub fn run(cx: &Context, command: &Command) -> Outcome {
    match command {
        Command::Init(args) => init::run(cx, args),
        Command::Validate => validate::run(cx),
        Command::Fmt(args) => fmt::run(cx, args),
        Command::Plan(args) => plan::run(cx, args),
        Command::Apply(args) => apply::run(cx, args),
        Command::Destroy(args) => apply::destroy(cx, args),
        Command::Status(args) => status::run(cx, args),
        Command::Show(args) => show::run(cx, args),
        Command::Explain(args) => explain::run(cx, args),
        Command::State(args) => state::run(cx, &args.command),
        Command::History(args) => history::run(cx, args),
        Command::Unlock(args) => unlock::run(cx, args),
        Command::Graph(args) => graph::run(cx, args),
        Command::Cost => cost::run(cx),
        Command::Volume(args) => volume::run(cx, &args.command),
        Command::Host(args) => host::run(cx, &args.command),
        Command::Cluster(args) => cluster::run(cx, &args.command),
        Command::Ssh(args) => ssh::run(cx, args),
        Command::Exec(args) => exec::run(cx, args),
        Command::Check => check::run(cx),
        Command::Adopt(args) => adopt::run(cx, args),
        Command::Bundle(args) => bundle::run(cx, &args.command),
        Command::Schema => generate::schema(cx),
        Command::Completions(args) => generate::completions(cx, args),
        Command::Man => generate::man(cx),
        Command::Version => version::run(cx),
        Command::Help(args) => help::run(cx, args),
    }
}

/// A command's name in JSON.
pub fn name(command: &Command) -> &'static str {
    match command {
        Command::Init(_) => "init",
        Command::Validate => "validate",
        Command::Fmt(_) => "fmt",
        Command::Plan(_) => "plan",
        Command::Apply(_) => "apply",
        Command::Destroy(_) => "destroy",
        Command::Status(_) => "status",
        Command::Show(_) => "show",
        Command::Explain(_) => "explain",
        Command::State(args) => match args.command {
            StateCommand::List { .. } => "state list",
            StateCommand::Show { .. } => "state show",
            StateCommand::Mv { .. } => "state mv",
            StateCommand::Rm { .. } => "state rm",
            StateCommand::Pull => "state pull",
            StateCommand::Push { .. } => "state push",
        },
        Command::History(_) => "history",
        Command::Unlock(_) => "unlock",
        Command::Graph(_) => "graph",
        Command::Cost => "cost",
        Command::Volume(args) => match args.command {
            VolumeCommand::List { .. } => "volume list",
            VolumeCommand::Snapshot { .. } => "volume snapshot",
            VolumeCommand::Backup { .. } => "volume backup",
            VolumeCommand::Restore { .. } => "volume restore",
            VolumeCommand::Delete { .. } => "volume delete",
        },
        Command::Host(args) => match args.command {
            HostCommand::Start(_) => "host start",
            HostCommand::Stop(_) => "host stop",
            HostCommand::Restart(_) => "host restart",
            HostCommand::Drain(_) => "host drain",
            HostCommand::Cordon(_) => "host cordon",
            HostCommand::Uncordon(_) => "host uncordon",
            HostCommand::Repair(_) => "host repair",
            HostCommand::Replace(_) => "host replace",
        },
        Command::Cluster(args) => match args.command {
            ClusterCommand::Kubeconfig { .. } => "cluster kubeconfig",
            ClusterCommand::Upgrade { .. } => "cluster upgrade",
            ClusterCommand::Rollback(_) => "cluster rollback",
            ClusterCommand::Snapshot(_) => "cluster snapshot",
            ClusterCommand::Renew(_) => "cluster renew",
            ClusterCommand::Restore { .. } => "cluster restore",
        },
        Command::Ssh(_) => "ssh",
        Command::Exec(_) => "exec",
        Command::Check => "check",
        Command::Adopt(_) => "adopt",
        Command::Bundle(args) => match args.command {
            BundleCommand::Create { .. } => "bundle create",
            BundleCommand::Unpack { .. } => "bundle unpack",
        },
        Command::Schema => "schema",
        Command::Completions(_) => "completions",
        Command::Man => "man",
        Command::Version => "version",
        Command::Help(_) => "help",
    }
}

/// A word as a shell takes it.
pub fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@+%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}
