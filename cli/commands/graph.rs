//! `pool graph`

use crate::{
    args::Graph,
    context::{Context, Outcome},
    error::{CliError, ExitCode},
};

/// Comes with the crate that does it.
pub fn run(_cx: &Context, _args: &Graph) -> Outcome {
    Err(CliError::new(ExitCode::Failed, "this command is being wired up"))
}
