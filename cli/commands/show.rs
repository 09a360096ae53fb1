//! `pool show`

use pool_engine::ops::{self, Environment, SavedPlan};
use pool_inventory::{Address, Kind, Name, object::Recorded};
use serde_json::json;

use crate::{
    args::Show,
    context::{Context, Outcome},
    error::{CliError, ExitCode},
    render::{
        object,
        plan::{View, footer, plan},
        when::Clock,
    },
};

/// One object, one pool, or one plan.
pub fn run(cx: &Context, args: &Show) -> Outcome {
    // A plan's id has no `/`; a file that exists is never taken for an address.
    let address = args.what.parse::<Address>().ok().filter(|_| !std::path::Path::new(&args.what).is_file());
    match address {
        Some(address) => cx.with_environment(async |env: Environment| show_address(cx, &env, &address).await),
        None => {
            let saved = saved(cx, &args.what)?;
            show_plan(cx, &saved)
        }
    }
}

/// A saved plan, by its id or its file. A file stands for itself: it needs no inventory and no state.
pub fn saved(cx: &Context, what: &str) -> Result<SavedPlan, CliError> {
    let path = std::path::Path::new(what);
    if path.is_file() {
        let bytes = std::fs::read(path)
            .map_err(|error| CliError::new(ExitCode::Failed, format!("cannot read {what}")).cause(error))?;
        return Ok(ops::from_bytes(&bytes)?);
    }
    cx.with_environment(async |env: Environment| Ok(env.saved_plan(what).await?))
}

fn show_plan(cx: &Context, saved: &SavedPlan) -> Outcome {
    let clock = Clock::system();
    cx.ui.answer("show", ExitCode::Done, saved, || {
        let text = plan(saved, &View { clock: &clock, verbose: cx.ui.verbose(), records: &[] });
        format!("{text}{}", footer(saved, &clock, |rest| cx.command(rest)))
    });
    Ok(ExitCode::Done)
}

async fn show_address(cx: &Context, env: &Environment, address: &Address) -> Outcome {
    let records = env.records().await?;
    match address.kind {
        Kind::Pool => show_pool(cx, env, address, &records),
        Kind::Tenant => Err(CliError::usage(format!("{address} is no object")).hint("see what it costs: pool cost")),
        Kind::Cluster | Kind::Member => show_members(cx, address, &records),
        Kind::Host | Kind::Volume | Kind::Network | Kind::Snapshot | Kind::Backup => {
            let found: Vec<&Recorded> = records.iter().filter(|record| record.address == *address).collect();
            if found.is_empty() {
                return Err(not_recorded(cx, address));
            }
            cx.ui.answer("show", ExitCode::Done, &found, || {
                found.iter().map(|record| object::record(record)).collect::<Vec<_>>().join("\n")
            });
            Ok(ExitCode::Done)
        }
    }
}

/// Hosts are recorded as members of a cluster.
fn show_members(cx: &Context, address: &Address, records: &[Recorded]) -> Outcome {
    let of = |record: &&Recorded| {
        let cluster = record.member.as_ref().map(|member| member.cluster.as_str());
        match address.host_of_member() {
            Some(host) => record.address == host && cluster == address.name.split('/').next(),
            None => cluster == Some(&*address.name),
        }
    };
    let found: Vec<&Recorded> = records.iter().filter(of).collect();
    if found.is_empty() {
        return Err(not_recorded(cx, address));
    }
    cx.ui.answer("show", ExitCode::Done, &found, || {
        found.iter().map(|record| object::record(record)).collect::<Vec<_>>().join("\n")
    });
    Ok(ExitCode::Done)
}

fn show_pool(cx: &Context, env: &Environment, address: &Address, records: &[Recorded]) -> Outcome {
    let missing = || CliError::new(ExitCode::Failed, format!("{address} is neither declared nor recorded"));
    let name = Name::new(&address.name).map_err(|_| missing())?;
    let spec = env.desired().pools.get(&name);
    let members: Vec<&Recorded> = records.iter().filter(|record| record.pool.as_ref() == Some(&name)).collect();
    if spec.is_none() && members.is_empty() {
        return Err(missing());
    }
    let result = json!({ "declared": spec, "records": members });
    cx.ui.answer("show", ExitCode::Done, &result, || object::pool(&name, spec, &members));
    Ok(ExitCode::Done)
}

/// The same words wherever an address is not recorded.
pub fn not_recorded(cx: &Context, address: &Address) -> CliError {
    CliError::new(ExitCode::Failed, format!("{address} is not recorded"))
        .hint(format!("what is recorded is listed by: {}", cx.command("state list")))
}
