//! What can go wrong with a volume.

use std::{io, path::PathBuf};

use pool_inventory::{Bytes, Text};

/// What can go wrong with a volume.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// There is no such volume.
    #[error("volume {0} was not found")]
    NotFound(Text),
    /// The backend has not got that much left.
    #[error("backend {backend} has {free} left, {asked} were asked for")]
    Full {
        /// The backend.
        backend: Text,
        /// What was asked for.
        asked: Bytes,
        /// What is left.
        free: Bytes,
    },
    /// The volume is attached; it must be detached before it is deleted or attached elsewhere.
    #[error("volume {0} is attached; detach it first")]
    Attached(Text),
    /// The request makes no sense.
    #[error("{field} is not valid: {detail}")]
    Invalid {
        /// Field of the spec.
        field: &'static str,
        /// Why.
        detail: Text,
    },
    /// Files stand where a new volume's would be, and the ledger knows nothing of them.
    #[error("{} holds files that the ledger does not know; move them away or delete them", .0.display())]
    Stray(PathBuf),
    /// Somebody else holds the ledger for too long.
    #[error("the ledger {} is held by another process", .0.display())]
    Busy(PathBuf),
    /// The ledger was written by a newer version, or is not one.
    #[error("the ledger {} cannot be read", path.display())]
    Ledger {
        /// Where it is.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The system refused.
    #[error("{what}")]
    Io {
        /// What was being done.
        what: Text,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

impl StorageError {
    /// In one line, with its causes.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut next = std::error::Error::source(self);
        while let Some(error) = next {
            text = format!("{text}: {error}");
            next = error.source();
        }
        text
    }
}

/// Says what was being done when the system refused.
pub(crate) trait Doing<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, StorageError>;
}

impl<T> Doing<T> for io::Result<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, StorageError> {
        self.map_err(|source| StorageError::Io { what: what().into(), source })
    }
}
