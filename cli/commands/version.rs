//! `pool version`

use serde_json::json;

use crate::{
    context::{Context, Outcome},
    error::ExitCode,
};

/// Prints the version.
pub fn run(cx: &Context) -> Outcome {
    let version = env!("CARGO_PKG_VERSION");
    cx.ui.answer("version", ExitCode::Done, &json!({ "version": version }), || format!("pool {version}\n"));
    Ok(ExitCode::Done)
}
