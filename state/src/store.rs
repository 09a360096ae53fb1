//! The handle that everyone holds.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::Timestamp;
use pool_inventory::{Lineage, Name};
use sqlx::{Row, SqliteConnection, SqlitePool};

use crate::{
    StateError,
    error::Fault,
    open,
    writer::{BoxFuture, Writer},
};

/// Where a state is, and whose.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// The file, `…/state.db`.
    pub path: PathBuf,
    /// Folder for copies made before migrations and imports.
    pub backup_dir: PathBuf,
    /// Name of the inventory; for people, it may change.
    pub inventory: Name,
    /// The environment; a state of another one is refused.
    pub environment: Name,
}

/// The state of one environment; cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) options: OpenOptions,
    pub(crate) lineage: Lineage,
    pub(crate) readers: SqlitePool,
    pub(crate) writer: Writer,
}

impl Store {
    /// Opens the state, makes it when there is none, and migrates an older one after copying it to the backup folder.
    ///
    /// A file that is newer, damaged or someone else's is refused and left as it is.
    pub async fn open(options: OpenOptions, now: Timestamp) -> Result<Store, StateError> {
        open::open(options, now).await
    }

    /// Opens the state if there is one; for commands that only read. An older one is migrated here too.
    pub async fn open_existing(options: OpenOptions, now: Timestamp) -> Result<Option<Store>, StateError> {
        match std::fs::metadata(&options.path) {
            Ok(_) => open::open(options, now).await.map(Some),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StateError::io("look at", &options.path)(error)),
        }
    }

    /// The identity of this state.
    pub fn lineage(&self) -> &Lineage {
        &self.inner.lineage
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.inner.options.path
    }

    /// Serial of the state; rises with each change of an object.
    pub async fn serial(&self) -> Result<u64, StateError> {
        let found = sqlx::query("SELECT serial FROM lineages WHERE lineage = $1")
            .bind(self.key())
            .fetch_one(self.readers())
            .await
            .map_err(Fault::from)
            .map_err(|fault| self.fault(fault))?;
        Ok(unsigned(found.get(0)))
    }

    /// How many transactions the journal took since it was opened: many callers share one.
    pub fn commits(&self) -> u64 {
        self.inner.writer.commits()
    }

    /// Finishes the writes that were begun and closes the file. Other clones get [`StateError::Closed`].
    pub async fn close(self) {
        // Readers first: the last connection to close folds the log into the file, and only the writer may do that.
        self.inner.readers.close().await;
        self.inner.writer.close().await;
    }

    /// The lineage as the key of all rows.
    pub(crate) fn key(&self) -> &str {
        &self.inner.lineage.0
    }

    pub(crate) fn readers(&self) -> &SqlitePool {
        &self.inner.readers
    }

    pub(crate) fn fault(&self, fault: impl Into<Fault>) -> StateError {
        match fault.into() {
            Fault::Sql(sqlx::Error::PoolClosed) => StateError::Closed,
            fault => fault.at(self.path()),
        }
    }

    /// Runs `work` in a write transaction of its own.
    pub(crate) async fn write<T, F>(&self, work: F) -> Result<T, StateError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, Fault>> + Send + 'static,
    {
        self.inner.writer.write(work).await
    }
}

/// SQLite has no unsigned numbers; ours never reach the sign.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// See [`signed`].
pub(crate) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
