//! `pool unlock`

use pool_engine::ops::Environment;
use serde_json::json;

use crate::{
    args::Unlock,
    context::{Context, Outcome},
    error::{CliError, ExitCode},
    render::{status, when::Clock},
};

/// Takes the lease away from its holder.
pub fn run(cx: &Context, args: &Unlock) -> Outcome {
    confirm(cx, &format!("Take lease {} away from its holder?", args.id), &format!("unlock {} --yes", args.id))?;
    let lease = cx.with_environment(async |env: Environment| Ok(env.unlock(&args.id).await?))?;
    let clock = Clock::system();
    cx.ui.answer("unlock", ExitCode::Done, &json!({ "lease": lease.id, "was": lease }), || {
        format!("lease {} is free; it was held by {}\n", lease.id, status::holder(&lease, &clock))
    });
    Ok(ExitCode::Done)
}

/// Asks for `yes`; where nobody can be asked, names the command to run.
pub fn confirm(cx: &Context, question: &str, command: &str) -> Result<(), CliError> {
    if cx.flags.yes {
        return Ok(());
    }
    match cx.ui.ask(&format!("{question} Only `yes` is taken for yes: ")) {
        Some(answer) if answer == "yes" => Ok(()),
        Some(_) => Err(CliError::new(ExitCode::Approval, "not approved; nothing was changed")),
        None => Err(CliError::new(ExitCode::Approval, "this needs a `yes`, and there is no terminal to ask at")
            .hint(format!("run: {}", cx.command(command)))),
    }
}
