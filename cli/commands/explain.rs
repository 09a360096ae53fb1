//! `pool explain`

use pool_engine::ops::{Environment, PlanRequest};
use pool_planner::Scope;
use serde_json::json;

use crate::{
    args::Explain,
    context::{Context, Outcome},
    error::{CliError, ExitCode},
    render::explain::Explained,
};

/// What a fresh plan of the whole environment knows about one object.
pub fn run(cx: &Context, args: &Explain) -> Outcome {
    let request = PlanRequest { scope: Scope::default(), observe: super::plan::observe(args.observe) };
    let (records, saved) = cx.with_environment(async |env: Environment| {
        let saved = env.plan(request).await?;
        Ok((env.records().await?, saved))
    })?;
    let explained = Explained::new(&args.address, &records, &saved);
    if explained.is_unknown() {
        let message = format!("{} is neither recorded nor planned", args.address);
        return Err(CliError::new(ExitCode::Failed, message)
            .hint(format!("what is recorded is listed by: {}", cx.command("state list"))));
    }
    let result = json!({
        "address": args.address, "records": explained.records, "steps": explained.steps,
        "declined": explained.declined, "group": explained.group,
    });
    cx.ui.answer("explain", ExitCode::Done, &result, || explained.render(&saved, cx.ui.verbose()));
    Ok(ExitCode::Done)
}
