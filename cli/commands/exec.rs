//! `pool exec`

use crate::{
    args::Exec,
    context::{Context, Outcome},
    error::{CliError, ExitCode},
};

/// Comes with the crate that does it.
pub fn run(_cx: &Context, _args: &Exec) -> Outcome {
    Err(CliError::new(ExitCode::Failed, "this command is being wired up"))
}
