//! Debian packages, installed together.

use std::time::Duration;

use super::item;
use crate::{
    command::{Act, Command},
    error::Refusal,
    facts::Facts,
    rendered::Rendered,
    script::quote,
};

/// Longest time for all packages together.
const LIMIT: Duration = Duration::from_secs(15 * 60);

pub(super) fn commands(facts: &Facts, want: &Rendered) -> Result<Vec<Command>, Refusal> {
    if !want.packages.is_empty() && !facts.apt {
        return Err(Refusal::NoApt);
    }
    let command = |name: &pool_inventory::Text| {
        Command::new(item("package", name), format!("probe_package {}", quote(name)), Act::Package(name.clone()), LIMIT)
    };
    Ok(want.packages.iter().map(command).collect())
}
