//! `pool status`

use pool_engine::ops::{Environment, HostStatus, StatusReport};
use pool_inventory::{market::HostSeen, object::Status as Seen};

use crate::{
    args::Status,
    context::{Context, Outcome},
    error::ExitCode,
    render,
};

/// The pool at a glance.
pub fn run(cx: &Context, args: &Status) -> Outcome {
    let observe = args.observe.map(super::plan::observe);
    let report = cx.with_environment(async |env: Environment| Ok(env.status(observe).await?))?;
    let code = exit_code(&report);
    let clock = render::when::Clock::system();
    cx.ui.answer("status", code, &report, || {
        render::status::status(&report, &clock, cx.ui.verbose(), observe.is_some())
    });
    Ok(code)
}

/// 4 when hosts that were asked did not answer.
fn exit_code(report: &StatusReport) -> ExitCode {
    let silent = |host: &HostStatus| {
        matches!(host.seen, Some(HostSeen::Unreachable(_))) && !matches!(host.status, Some(Seen::Stopped))
    };
    if report.hosts.iter().any(silent) { ExitCode::Unreachable } else { ExitCode::Done }
}
