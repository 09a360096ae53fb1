//! `pool host`

use pool_engine::ops::Environment;
use pool_inventory::{Address, Kind};
use pool_planner::input::Errand;

use super::{apply, errands};
use crate::{
    args::{HostCommand, HostErrand},
    context::{Context, Outcome},
};

/// Turns hosts on and off, and restarts them.
pub fn run(cx: &Context, command: &HostCommand) -> Outcome {
    match command {
        HostCommand::Start(args) => all(cx, "host start", args, |host| Errand::Power { host, on: true }),
        HostCommand::Stop(args) => all(cx, "host stop", args, |host| Errand::Power { host, on: false }),
        HostCommand::Restart(args) => all(cx, "host restart", args, |host| Errand::Restart { host }),
    }
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
