//! Debian packages, installed together.

use std::time::Duration;

use pool_inventory::Text;

use super::{item, node, runtime};
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
    let mut all = want.packages.clone();
    all.extend(want.runtime.iter().flat_map(|runtime| runtime::packages(facts, &runtime.spec)).map(Text::from));
    if want.node.is_some() {
        all.extend(node::PACKAGES.map(Text::from));
    }
    if !all.is_empty() && !facts.apt {
        return Err(Refusal::NoApt);
    }
    let command = |name: &Text| {
        Command::new(item("package", name), format!("probe_package {}", quote(name)), Act::Package(name.clone()), LIMIT)
    };
    Ok(all.iter().map(command).collect())
}
