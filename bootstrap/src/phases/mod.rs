//! What has to hold on a host, as commands: one phase per file, pure functions of facts and spec.

mod artifacts;
mod directories;
mod files;
mod mounts;
pub(crate) mod node;
mod packages;
mod runtime;
mod scripts;
mod services;
mod sysctl;
mod users;

use std::time::Duration;

use crate::{command::Command, error::Refusal, facts::Facts, rendered::Rendered};

/// A phase: what must hold, or why that is impossible on this host.
pub type Phase = fn(&Facts, &Rendered) -> Result<Vec<Command>, Refusal>;

/// The phases in their order.
pub const PHASES: &[(&str, Phase)] = &[
    ("mounts", mounts::commands),
    ("packages", packages::commands),
    ("users", users::commands),
    ("directories", directories::commands),
    ("artifacts", artifacts::commands),
    ("files", files::commands),
    ("sysctl", sysctl::commands),
    ("runtime", runtime::commands),
    ("node", node::commands),
    ("services", services::commands),
    ("scripts", scripts::commands),
];

/// All commands in order, or all reasons why this host cannot be what is asked for.
pub fn commands(facts: &Facts, want: &Rendered) -> Result<Vec<Command>, Vec<Refusal>> {
    let mut all = Vec::new();
    let mut refusals = Vec::new();
    for (_, phase) in PHASES {
        match phase(facts, want) {
            Ok(commands) => all.extend(commands),
            Err(refusal) => refusals.push(refusal),
        }
    }
    if refusals.is_empty() { Ok(all) } else { Err(refusals) }
}

pub(crate) use mounts::release;

/// Limit of items that change a few files.
const SHORT: Duration = Duration::from_secs(60);

/// What an item is called, harmless in messages whatever is in its name.
pub(crate) fn item(kind: &str, name: &str) -> pool_inventory::Text {
    crate::clean::line(format!("{kind} {name}").as_bytes()).into()
}

/// The owner of a file: as declared, or the login user.
fn owner(
    facts: &Facts,
    owner: Option<&pool_inventory::Text>,
    group: Option<&pool_inventory::Text>,
) -> (String, String) {
    let owner = owner.map_or_else(|| facts.uid.to_string(), |o| o.to_string());
    let group = group.map_or_else(|| facts.gid.to_string(), |g| g.to_string());
    (owner, group)
}

#[cfg(test)]
mod tests;
