//! `pool explain`

use pool_engine::ops::{Environment, PlanRequest, SavedPlan};
use pool_inventory::{Address, Kind, Text, desired::Hosts};
use pool_planner::{PlanInput, Scope, places, plan::Group};
use serde_json::json;

use crate::{
    args::Explain,
    context::{Context, Outcome},
    error::{CliError, ExitCode},
    render::explain::{Explained, Now, Placement},
};

/// Runs that are searched for the one that placed a host, newest first.
const RUNS: usize = 100;

/// What a fresh plan of the whole environment knows about one object.
pub fn run(cx: &Context, args: &Explain) -> Outcome {
    let request = PlanRequest { scope: Scope::default(), observe: super::plan::observe(args.observe) };
    let (records, saved, placed, now) = cx.with_environment(async |env: Environment| {
        let (saved, input) = super::plan::make(cx, &env, request).await?;
        let placed = placed_by(&env, &args.address).await?;
        let now = now(&input, &saved, &args.address)?;
        Ok((env.records().await?, saved, placed, now))
    })?;
    let mut explained = Explained::new(&args.address, &records, &saved);
    if explained.placement.is_none() {
        let placed = placed.as_ref();
        explained.placement = placed.and_then(|(run, plan)| Placement::find(&args.address, plan, Some(run)));
    }
    explained.now = now.as_ref();
    if explained.is_unknown() {
        let message = format!("{} is neither recorded nor planned", args.address);
        return Err(CliError::new(ExitCode::Failed, message)
            .hint(format!("what is recorded is listed by: {}", cx.command("state list"))));
    }
    let result = json!({
        "address": args.address, "records": explained.records, "steps": explained.steps,
        "declined": explained.declined, "placement": explained.placement, "groups": explained.groups,
        "now": explained.now,
    });
    cx.ui.answer("explain", ExitCode::Done, &result, || explained.render(&saved, cx.ui.verbose()));
    Ok(ExitCode::Done)
}

/// Where hosts of the object's pool could be made now; nothing where the plan itself tells.
fn now(input: &PlanInput, saved: &SavedPlan, address: &Address) -> Result<Option<Now>, CliError> {
    let host = address.host_of_volume().unwrap_or_else(|| address.clone());
    let pool = match address.kind {
        Kind::Pool => &*address.name,
        _ => host.name.rsplit_once('-').map_or("", |(pool, _)| pool),
    };
    let known = input.desired.pools.get_key_value(pool);
    let Some((pool, _)) = known.filter(|(_, spec)| !matches!(spec.hosts, Hosts::Named(_))) else { return Ok(None) };
    let told = |group: &Group| group.pool == *pool && (address.kind == Kind::Pool || group.hosts.contains(&host.name));
    if saved.plan.groups.iter().any(told) {
        return Ok(None);
    }
    let (candidates, refusals) =
        places(input, pool).map_err(|error| CliError::new(ExitCode::Failed, error.to_string()))?;
    Ok(Some(Now { candidates, refusals }))
}

/// The newest run whose plan put the object, or its host, somewhere.
async fn placed_by(env: &Environment, address: &Address) -> Result<Option<(Text, SavedPlan)>, CliError> {
    for run in env.history(RUNS).await? {
        let Some(plan) = &run.plan else { continue };
        // A plan of an older version, or one that was thrown away, explains nothing.
        let Ok(saved) = env.saved_plan(plan).await else { continue };
        if Placement::find(address, &saved, None).is_some() {
            return Ok(Some((run.id, saved)));
        }
    }
    Ok(None)
}
