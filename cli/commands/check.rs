//! `pool check`

use pool_engine::ops::{CheckAnswer, Environment};

use crate::{
    context::{Context, Outcome},
    error::ExitCode,
    render,
};

/// Credentials, quotas, images, backends, hosts: before a run.
pub fn run(cx: &Context) -> Outcome {
    let lines = cx.with_environment(async |env: Environment| Ok(env.check().await?))?;
    let failed = lines.iter().any(|line| line.answer == CheckAnswer::Fail);
    let code = if failed { ExitCode::Refused } else { ExitCode::Done };
    cx.ui.answer("check", code, &lines, || render::status::checks(&lines));
    Ok(code)
}
