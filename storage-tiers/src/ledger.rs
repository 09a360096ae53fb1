//! What is handed out of a folder. One file, replaced whole, changed only under a lock of the operating system, so that
//! concurrent runs and several inventories that share the folder never hand out more than there is.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use pool_inventory::{
    Bytes, Text, Token,
    object::{Owner, VolumeSpec},
};
use serde::{Deserialize, Serialize};

use crate::{
    error::{Doing, StorageError},
    files::{absent_is_none, lock_file, make_private, write_whole},
};

/// Name of the ledger in its folder.
const FILE: &str = "ledger.json";
/// Name of the lock beside it; the ledger itself is replaced with each change.
const LOCK: &str = "lock";
/// How long another process may hold the ledger. The longest it does is one `mkfs`.
const PATIENCE: Duration = Duration::from_secs(60);

/// One volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// Its id, made from its token.
    pub id: Text,
    /// The provider that asked for it; others that share the folder leave it alone.
    pub via: Text,
    /// Name in the cloud.
    pub name: Text,
    /// Whose it is.
    pub owner: Owner,
    /// What it is.
    pub spec: VolumeSpec,
    /// How far it is.
    pub phase: Phase,
    /// Size that it is growing to; space is counted from the moment it is asked for.
    #[serde(default)]
    pub growing: Option<Bytes>,
}

/// How far a volume is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Creation has begun and has not been seen to end.
    Making,
    /// It can be used.
    Ready,
    /// Deletion has begun.
    Deleting,
}

impl Volume {
    /// What it counts for.
    pub fn counted(&self) -> Bytes {
        self.growing.map_or(self.spec.size, |to| to.max(self.spec.size))
    }
}

/// The content of a ledger.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Content {
    /// Form of this file.
    version: Version,
    /// Capacity that was chosen at first use, for folders whose capacity nobody declared.
    #[serde(default)]
    pub capacity: Option<Bytes>,
    /// Volumes by id.
    #[serde(default)]
    pub volumes: BTreeMap<Text, Volume>,
}

/// Only this form can be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Version {
    #[default]
    #[serde(rename = "1")]
    One,
}

impl Content {
    /// All that is handed out.
    pub fn allocated(&self) -> Bytes {
        Bytes(self.volumes.values().map(|volume| volume.counted().0).fold(0, u64::saturating_add))
    }

    /// The volume that a token made.
    pub fn find(&self, token: &Token) -> Option<&Volume> {
        self.volumes.values().find(|volume| volume.owner.token == *token)
    }
}

/// A ledger that nobody else can change now.
#[derive(Debug)]
pub struct Open {
    /// What it says.
    pub content: Content,
    path: PathBuf,
    /// Held until this goes.
    _lock: File,
}

/// Reads the ledger of a folder as it is now; a folder without one has handed out nothing.
pub fn read(dir: &Path) -> Result<Content, StorageError> {
    let path = dir.join(FILE);
    let bytes = absent_is_none(fs::read(&path)).doing(|| format!("reading {}", path.display()))?;
    let Some(bytes) = bytes else { return Ok(Content::default()) };
    serde_json::from_slice(&bytes).map_err(|source| StorageError::Ledger { path, source })
}

/// Opens the ledger of a folder, made if need be, to change it.
pub fn open(dir: &Path) -> Result<Open, StorageError> {
    if !dir.is_dir() {
        make_private(dir).doing(|| format!("making {}", dir.display()))?;
    }
    let lock = lock_file(&dir.join(LOCK), PATIENCE);
    let lock = lock.map_err(|source| match source.kind() {
        io::ErrorKind::WouldBlock => StorageError::Busy(dir.join(FILE)),
        _ => StorageError::Io { what: format!("locking {}", dir.display()).into(), source },
    })?;
    Ok(Open { content: read(dir)?, path: dir.join(FILE), _lock: lock })
}

impl Open {
    /// Makes what `content` says durable.
    pub fn save(&self) -> Result<(), StorageError> {
        let bytes = serde_json::to_vec_pretty(&self.content)
            .map_err(|source| StorageError::Ledger { path: self.path.clone(), source })?;
        write_whole(&self.path, 0o600, &bytes).doing(|| format!("writing {}", self.path.display()))
    }
}
