//! `pool history`

use pool_engine::ops::Environment;

use crate::{
    args::History,
    context::{Context, Outcome},
    error::ExitCode,
    render::{history, when::Clock},
};

/// Past runs, or one of them step by step.
pub fn run(cx: &Context, args: &History) -> Outcome {
    let Some(id) = &args.run else {
        let runs = cx.with_environment(async |env: Environment| Ok(env.history(args.max).await?))?;
        cx.ui.answer("history", ExitCode::Done, &runs, || history::runs(&runs, &Clock::system()));
        return Ok(ExitCode::Done);
    };
    let report = cx.with_environment(async |env: Environment| Ok(env.run(id).await?))?;
    let verbose = cx.ui.verbose();
    cx.ui.answer("history", ExitCode::Done, &report, || history::run(&report, &Clock::system(), verbose));
    Ok(ExitCode::Done)
}
