//! `pool host`

use pool_engine::ops::Environment;
use pool_inventory::{Address, Kind};
use pool_planner::{
    Scope,
    input::{Care, Errand},
};

use super::{apply, errands};
use crate::{
    args::{HostCommand, HostErrand},
    context::{Context, Outcome},
};

/// Turns hosts on and off, restarts them, and empties members of clusters.
pub fn run(cx: &Context, command: &HostCommand) -> Outcome {
    match command {
        HostCommand::Start(args) => all(cx, "host start", args, |host| Errand::Power { host, on: true }),
        HostCommand::Stop(args) => all(cx, "host stop", args, |host| Errand::Power { host, on: false }),
        HostCommand::Restart(args) => all(cx, "host restart", args, |host| Errand::Restart { host }),
        HostCommand::Repair(args) => only(cx, "host repair", args, false),
        HostCommand::Replace(args) => only(cx, "host replace", args, true),
        HostCommand::Drain(args) => all(cx, "host drain", args, |host| member(host, Care::Drain)),
        HostCommand::Cordon(args) => all(cx, "host cordon", args, |host| member(host, Care::Cordon)),
        HostCommand::Uncordon(args) => all(cx, "host uncordon", args, |host| member(host, Care::Uncordon)),
    }
}

/// An apply that is about these hosts alone.
fn only(cx: &Context, command: &str, args: &HostErrand, replace: bool) -> Outcome {
    apply::targeted(cx, command, &args.how, async |env: &Environment| {
        let mut scope = Scope::default();
        for named in &args.hosts {
            let hosts = errands::named(cx, env, Kind::Host, named).await?;
            scope.replace.extend(hosts.iter().filter(|_| replace).cloned());
            scope.targets.extend(hosts);
        }
        Ok(scope)
    })
}

fn member(host: Address, care: Care) -> Errand {
    Errand::Member { host, care }
}

fn all(cx: &Context, command: &str, args: &HostErrand, errand: impl Fn(Address) -> Errand) -> Outcome {
    apply::errands(cx, command, &args.how, async |env: &Environment| {
        let mut out: Vec<Errand> = Vec::new();
        for named in &args.hosts {
            let hosts = errands::named(cx, env, Kind::Host, named).await?;
            out.extend(hosts.into_iter().map(&errand));
        }
        Ok(out)
    })
}
