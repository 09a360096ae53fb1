//! `pool explain`

use pool_engine::ops::{Environment, PlanRequest, SavedPlan};
use pool_inventory::{Address, Text};
use pool_planner::Scope;
use serde_json::json;

use crate::{
    args::Explain,
    context::{Context, Outcome},
    error::{CliError, ExitCode},
    render::explain::{Explained, Placement},
};

/// Runs that are searched for the one that placed a host, newest first.
const RUNS: usize = 100;

/// What a fresh plan of the whole environment knows about one object.
pub fn run(cx: &Context, args: &Explain) -> Outcome {
    let request = PlanRequest { scope: Scope::default(), observe: super::plan::observe(args.observe) };
    let (records, saved, placed) = cx.with_environment(async |env: Environment| {
        let saved = env.plan(request).await?;
        let placed = placed_by(&env, &args.address).await?;
        Ok((env.records().await?, saved, placed))
    })?;
    let mut explained = Explained::new(&args.address, &records, &saved);
    if explained.placement.is_none() {
        let placed = placed.as_ref();
        explained.placement = placed.and_then(|(run, plan)| Placement::find(&args.address, plan, Some(run)));
    }
    if explained.is_unknown() {
        let message = format!("{} is neither recorded nor planned", args.address);
        return Err(CliError::new(ExitCode::Failed, message)
            .hint(format!("what is recorded is listed by: {}", cx.command("state list"))));
    }
    let result = json!({
        "address": args.address, "records": explained.records, "steps": explained.steps,
        "declined": explained.declined, "placement": explained.placement,
    });
    cx.ui.answer("explain", ExitCode::Done, &result, || explained.render(&saved, cx.ui.verbose()));
    Ok(ExitCode::Done)
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
