//! What can go wrong with the state, and what to do about it.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use pool_inventory::{Address, Text};

use crate::runs::RunId;

/// Why the state could not be read or written. Cheap to clone: callers that shared a commit share its error.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StateError {
    /// The file was written by a newer version.
    #[error("the state {path} has version {found}, this program knows up to {known}; use a newer version of it", path = path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest version that is known here.
        known: i64,
    },
    /// The file is damaged. It is left as it is.
    #[error("the state {path} is damaged: {detail}; keep the file, and put back a copy from the backup folder or import an export", path = path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What was found.
        detail: Text,
    },
    /// The file belongs to something else: another program, or another environment.
    #[error("{path} is not the state of {wanted}: it belongs to {found}; move it away or use its own environment", path = path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        found: Text,
        /// Whose it should be.
        wanted: Text,
    },
    /// Another lineage was imported since this was opened.
    #[error("the state {path} was replaced by an import; open it again", path = path.display())]
    Replaced {
        /// The file.
        path: PathBuf,
    },
    /// No space is left; nothing of the transaction was kept, everything before it was.
    #[error("no space is left for the state {path}; free some and run the command again, nothing recorded is lost", path = path.display())]
    Full {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: Arc<sqlx::Error>,
    },
    /// The file or its folder cannot be written.
    #[error("the state {path} cannot be written; check the owner and mode of the file and its folder", path = path.display())]
    ReadOnly {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: Arc<sqlx::Error>,
    },
    /// Another program holds a lock on the file for longer than we wait.
    #[error("the state {path} is locked by another program; close it and run the command again", path = path.display())]
    Busy {
        /// The file.
        path: PathBuf,
        /// What SQLite said; none: the lock of the folder was not to be had.
        source: Option<Arc<sqlx::Error>>,
    },
    /// Reading or writing a file failed.
    #[error("failed to {action} {path}", path = path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// SQLite failed in a way that has no name of its own.
    #[error("failed to use the state {path}", path = path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: Arc<sqlx::Error>,
    },
    /// The store was closed.
    #[error("the state is closed")]
    Closed,

    /// Someone else holds the lease.
    #[error(
        "{holder} holds the lease {id} ({reason}); wait for it (--lock-timeout), or if it is stuck: pool unlock {id}"
    )]
    LeaseHeld {
        /// Its id.
        id: Text,
        /// Who.
        holder: Text,
        /// What for.
        reason: Text,
        /// Since when, in seconds since 1970.
        since: i64,
        /// Until when, unless renewed.
        expires: i64,
    },
    /// The lease is not ours any more; nothing was written.
    #[error(
        "the lease was lost: it expired, or was unlocked or taken by someone else; nothing more is written by this run"
    )]
    LeaseLost,
    /// There is no lease of this id.
    #[error("there is no lease `{id}`; {current}", current = current.as_ref().map_or_else(|| "nobody holds one".to_owned(), |id| format!("the one held is {id}")))]
    NoSuchLease {
        /// What was asked for.
        id: Text,
        /// The one that is held.
        current: Option<Text>,
    },

    /// No saved plan has this id.
    #[error("there is no saved plan `{id}`; make one with: pool plan")]
    PlanUnknown {
        /// What was asked for.
        id: Text,
    },
    /// The plan is not the one that was saved.
    #[error("plan {id} is not the one that was saved: its hash differs; make another with: pool plan")]
    PlanTampered {
        /// Which.
        id: Text,
    },
    /// The plan was applied before.
    #[error("plan {id} was used by run {run}; a plan is used once, make another with: pool plan")]
    PlanUsed {
        /// Which.
        id: Text,
        /// By which run.
        run: RunId,
    },
    /// The plan is too old.
    #[error("plan {id} expired; make another with: pool plan")]
    PlanExpired {
        /// Which.
        id: Text,
        /// When, in seconds since 1970.
        expires: i64,
    },
    /// An object that the plan read has changed since.
    #[error(
        "the plan is stale: {address} changed since (serial {expected} then, {found} now); make another with: pool plan"
    )]
    PlanStale {
        /// Which object.
        address: Address,
        /// Its serial when the plan was made; 0: it was not there.
        expected: u64,
        /// Its serial now; 0: it is not there.
        found: u64,
    },
    /// What the plan adds does not fit any more.
    #[error("no room in {account}: {used} used and {amount} more wanted, the limit is {limit}")]
    NoRoom {
        /// Which account.
        account: Text,
        /// What current objects use.
        used: u64,
        /// What the plan adds.
        amount: u64,
        /// The limit.
        limit: u64,
    },

    /// No run has this id.
    #[error("there is no run `{id}`; see: pool history")]
    RunUnknown {
        /// What was asked for.
        id: Text,
    },
    /// A run of this id is there already.
    #[error("run {id} exists already")]
    RunExists {
        /// Which.
        id: RunId,
    },
    /// A shortened id fits several.
    #[error("`{prefix}` is the beginning of several ids: {candidates}; write more of it")]
    Ambiguous {
        /// What was asked for.
        prefix: Text,
        /// The ids that fit, at most five of them.
        candidates: Text,
    },

    /// The text is no export that can be read here.
    #[error("this is not an export of a state that can be read here: {detail}")]
    ImportMalformed {
        /// Why not.
        detail: Text,
    },
    /// The export is of another state.
    #[error("the export is of another state (lineage {found}, here {here}); add --force to replace this state by it")]
    ImportForeign {
        /// The lineage of the export.
        found: Text,
        /// The lineage here.
        here: Text,
    },
    /// The export is older than the state.
    #[error("the export is older than the state (serial {found}, here {here}); add --force to go back to it")]
    ImportOlder {
        /// The serial of the export.
        found: u64,
        /// The serial here.
        here: u64,
    },
}

impl StateError {
    /// For failures outside the database.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source: Arc::new(source) }
    }
}

/// A failure inside of an operation on a connection, where the path of the file is not known.
#[derive(Debug)]
pub(crate) enum Fault {
    /// From SQLite.
    Sql(sqlx::Error),
    /// Ours.
    Refused(StateError),
    /// A row that does not hold what it should.
    Damaged(String),
    /// The lineage is not the current one any more.
    Replaced,
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<StateError> for Fault {
    fn from(error: StateError) -> Self {
        Self::Refused(error)
    }
}

/// Primary result codes of SQLite that have a variant of their own.
mod code {
    pub const PERM: u32 = 3;
    pub const BUSY: u32 = 5;
    pub const LOCKED: u32 = 6;
    pub const READONLY: u32 = 8;
    pub const CORRUPT: u32 = 11;
    pub const FULL: u32 = 13;
    pub const CANTOPEN: u32 = 14;
    pub const NOTADB: u32 = 26;
}

impl Fault {
    /// The error for users, about the file at `path`.
    pub(crate) fn at(self, path: &Path) -> StateError {
        let path = path.to_owned();
        let error = match self {
            Fault::Refused(error) => return error,
            Fault::Damaged(detail) => return StateError::Corrupt { path, detail: detail.into() },
            Fault::Replaced => return StateError::Replaced { path },
            Fault::Sql(error) => error,
        };
        let extended = error.as_database_error().and_then(|e| e.code()).and_then(|c| c.parse::<u32>().ok());
        let primary = extended.map(|code| code & 0xff);
        let detail = error.to_string();
        let source = Arc::new(error);
        match primary {
            Some(code::CORRUPT | code::NOTADB) => StateError::Corrupt { path, detail: detail.into() },
            Some(code::FULL) => StateError::Full { path, source },
            Some(code::READONLY | code::CANTOPEN | code::PERM) => StateError::ReadOnly { path, source },
            Some(code::BUSY | code::LOCKED) => StateError::Busy { path, source: Some(source) },
            _ => StateError::Database { path, source },
        }
    }
}
