//! Faults of simulated hosts.

use std::path::Path;

use pool_inventory::Text;
use serde::{Deserialize, Serialize};

/// A rule of failure, as in `faults.json` beside the ledgers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Fault {
    /// Only this host; none: each.
    #[serde(default)]
    pub host: Option<Text>,
    /// Only this item, as in `file /etc/motd`; none: each.
    #[serde(default)]
    pub item: Option<Text>,
    /// How often it strikes on each host and item.
    #[serde(default = "once")]
    pub times: u32,
    /// What happens.
    pub kind: FaultKind,
}

/// What a fault does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// The host does not answer.
    Unreachable,
    /// The host goes silent: during an item where one is named, else before it tells its facts.
    Hang,
    /// An item fails; nothing was done.
    Fail,
    /// An item is found changed.
    Drift,
    /// The calling process is killed before an item is done.
    KillBefore,
    /// The calling process is killed after an item was done, before it hears so.
    KillAfter,
}

/// A `faults.json` that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FaultsError {
    /// It cannot be read.
    #[error("faults.json cannot be read")]
    Read(#[from] std::io::Error),
    /// It does not hold a list of faults.
    #[error("faults.json is not a list of faults")]
    Parse(#[from] serde_json::Error),
}

fn once() -> u32 {
    1
}

impl Fault {
    /// Whether it is about this; `item` is empty where no item is being done.
    pub(super) fn matches(&self, kind: FaultKind, host: &str, item: &str) -> bool {
        let here = self.host.as_deref().is_none_or(|h| h == host);
        let this = match (&self.item, item) {
            (None, "") => true,
            // A hang without an item strikes before facts, not again at each item.
            (None, _) => kind != FaultKind::Hang,
            (Some(wanted), item) => **wanted == *item,
        };
        kind == self.kind && here && this
    }

    /// Under which it is counted in a host's ledger.
    pub(super) fn key(&self, item: &str) -> String {
        format!("{:?} {item}", self.kind)
    }
}

pub(super) fn read(folder: &Path) -> Result<Vec<Fault>, FaultsError> {
    match std::fs::read(folder.join("faults.json")) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes)?),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}
