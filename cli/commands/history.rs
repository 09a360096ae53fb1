//! `pool history`

use pool_engine::ops::Environment;
use serde_json::json;

use crate::{
    args::History,
    context::{Context, Outcome},
    error::ExitCode,
    render::{status, when::Clock},
};

/// Past runs, or one of them step by step.
pub fn run(cx: &Context, args: &History) -> Outcome {
    let Some(id) = &args.run else {
        let runs = cx.with_environment(async |env: Environment| Ok(env.history(args.max).await?))?;
        cx.ui.answer("history", ExitCode::Done, &runs, || status::history(&runs, &Clock::system()));
        return Ok(ExitCode::Done);
    };
    let (run, journal) = cx.with_environment(async |env: Environment| Ok(env.run(id).await?))?;
    let result = json!({ "run": run, "journal": journal });
    cx.ui.answer("history", ExitCode::Done, &result, || status::journal(&run, &journal, &Clock::system()));
    Ok(ExitCode::Done)
}
