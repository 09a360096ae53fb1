//! Hosts as members of clusters: joining, leaving, upgrading, as commands and questions.
//!
//! | module | which system |
//! |---|---|
//! | [`kubernetes`] | Kubernetes, by kubeadm |
//! | [`swarm`] | Docker Swarm |

mod kubeadm;
pub mod kubernetes;
pub mod swarm;

use std::time::Duration;

use pool_inventory::Text;

use crate::{
    command::{Act, Command, Library},
    phases::item,
    script::quote,
};

/// A call whose effect cannot be seen beforehand: it is done, and finds out itself whether there is something to do.
fn always(what: &str, name: &str, call: String, limit: Duration, library: Library) -> Command {
    let command = Command::new(item(what, name), "probe_never".into(), Act::Call(call), limit);
    Command { library: Some(library), ..command }
}

/// Words for a shell.
fn words<'a>(all: impl IntoIterator<Item = &'a str>) -> String {
    all.into_iter().map(quote).collect::<Vec<_>>().join(" ")
}

/// The value of `key=value` in an answer.
fn value(lines: &[String], key: &str) -> Option<Text> {
    let prefix = format!("{key}=");
    let found = lines.iter().find_map(|line| line.strip_prefix(&prefix))?;
    (!found.is_empty()).then(|| found.into())
}

#[cfg(test)]
mod tests;
