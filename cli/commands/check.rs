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
    let failed: Vec<_> = lines.iter().filter(|line| line.answer == CheckAnswer::Fail).collect();
    let code = match failed.as_slice() {
        [] => ExitCode::Done,
        some if some.iter().any(|line| &*line.subject == "credentials") => ExitCode::Unauthorized,
        _ => ExitCode::Refused,
    };
    cx.ui.answer("check", code, &lines, || render::status::checks(&lines));
    Ok(code)
}
