//! Sending artifacts to a host.
//!
//! A second session on the connection takes the bytes on its standard input, so that nothing but a shell is needed there,
//! and so that they are written as root at once where the login user becomes root through sudo. They are hashed by the host
//! before they count; a connection that breaks off in the middle leaves nothing that counts.

use std::path::PathBuf;

use async_trait::async_trait;
use pool_inventory::{Name, Text};

use super::pace::Pace;

/// Why an artifact cannot be had.
pub type SupplyError = Box<dyn std::error::Error + Send + Sync>;

/// Where artifacts come from, on this computer.
#[async_trait]
pub trait Supply: Send + Sync {
    /// A file with the content of that digest, verified.
    async fn file(&self, name: &Name, sha256: &Text) -> Result<PathBuf, SupplyError>;

    /// How fast it is handed out.
    fn pace(&self) -> &Pace;
}

/// No artifacts at all.
#[derive(Debug, Default)]
pub struct NoSupply(Pace);

#[async_trait]
impl Supply for NoSupply {
    async fn file(&self, _: &Name, _: &Text) -> Result<PathBuf, SupplyError> {
        Err("there are no artifacts here".into())
    }

    fn pace(&self) -> &Pace {
        &self.0
    }
}

/// An artifact that is sent to a host.
pub struct Upload<'a> {
    /// Its digest, and its name on the host until it is put in place.
    pub sha256: &'a Text,
    /// Whether it is written as root through `sudo -n`.
    pub sudo: bool,
    /// Its content.
    pub file: tokio::fs::File,
    /// How large that is.
    pub size: u64,
    /// How fast it may be sent.
    pub pace: &'a Pace,
    /// Told how much was sent.
    pub on: &'a mut (dyn FnMut(u64) + Send),
}

impl Upload<'_> {
    /// The command that takes it, in words that mean the same in every login shell.
    pub(crate) fn command(&self) -> String {
        let sudo = if self.sudo { "sudo -n " } else { "" };
        format!("exec {sudo}sh -c '{}' sh {} {}", RECEIVE.trim_end().replace('\n', " "), self.sha256, self.size)
    }
}

/// One line, without a quote or an exclamation mark.
const RECEIVE: &str = include_str!("../script/receive.sh");

#[cfg(test)]
mod tests {
    #[test]
    fn the_words_mean_the_same_in_every_login_shell() {
        assert!(!super::RECEIVE.contains(['\'', '!', '#']));
    }
}
