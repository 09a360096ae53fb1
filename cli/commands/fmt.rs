//! `pool fmt`

use crate::{
    args::Fmt,
    context::{Context, Outcome},
    error::{CliError, ExitCode},
};

/// Comes with the crate that does it.
pub fn run(_cx: &Context, _args: &Fmt) -> Outcome {
    Err(CliError::new(ExitCode::Failed, "this command is being wired up"))
}
