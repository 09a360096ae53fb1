//! Private files and folders.

use std::{
    fs::{self, DirBuilder, File, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use crate::StateError;

/// Makes a folder that only the user may enter; one that exists is left as it is.
pub(crate) fn private_dir(path: &Path) -> Result<(), StateError> {
    if path.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(StateError::io("make the folder", path))
}

/// Makes an empty file that only the user may read; `false` when it is there already.
pub(crate) fn private_file(path: &Path) -> Result<bool, StateError> {
    match File::options().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(StateError::io("make", path)(error)),
    }
}

/// Takes the rights of group and others away from a file, should it have any (a copy put back by hand).
///
/// By path and never by opening the file: closing any descriptor of it would drop SQLite's locks of this process.
pub(crate) fn make_private(path: &Path) -> Result<(), StateError> {
    let mode = fs::metadata(path).map_err(StateError::io("look at", path))?.permissions().mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(StateError::io("make private", path))
}

/// Makes the names in a folder durable.
pub(crate) fn sync_dir(path: &Path) -> Result<(), StateError> {
    File::open(path).and_then(|dir| dir.sync_all()).map_err(StateError::io("sync", path))
}

/// The folder of a file; `.` for a bare name.
pub(crate) fn parent(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// How long to wait for another process that makes or migrates the same state. Making takes milliseconds, a
/// migration copies the file first: a minute is enough for gigabytes.
const FOLDER_LOCK_WAIT: Duration = Duration::from_secs(60);

/// Takes the lock of the folder of `path`, so that only one process at a time makes or migrates the state. Dropping the
/// file gives it back. The folder itself is locked: a lock file would be left behind, and the state's own file must
/// not be opened (see [`make_private`]).
pub(crate) async fn lock_folder(path: &Path) -> Result<File, StateError> {
    let folder = parent(path);
    let dir = File::open(folder).map_err(StateError::io("open", folder))?;
    let deadline = tokio::time::Instant::now() + FOLDER_LOCK_WAIT;
    loop {
        match dir.try_lock() {
            Ok(()) => return Ok(dir),
            Err(TryLockError::Error(error)) => return Err(StateError::io("lock", folder)(error)),
            Err(TryLockError::WouldBlock) if tokio::time::Instant::now() >= deadline => {
                return Err(StateError::Busy { path: path.to_owned(), source: None });
            }
            Err(TryLockError::WouldBlock) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

/// A new empty private file in `folder`, called `stem.db`, or `stem-2.db` and so on.
pub(crate) fn fresh_file(folder: &Path, stem: &str) -> Result<PathBuf, StateError> {
    private_dir(folder)?;
    let names = std::iter::once(format!("{stem}.db")).chain((2..1000).map(|n| format!("{stem}-{n}.db")));
    for name in names {
        let path = folder.join(name);
        if private_file(&path)? {
            return Ok(path);
        }
    }
    let taken = io::Error::new(io::ErrorKind::AlreadyExists, "a thousand copies of the same second are there");
    Err(StateError::io("make a copy in", folder)(taken))
}

/// Random bits for an identity of something in the state at `path`.
pub(crate) fn random<const N: usize>(path: &Path) -> Result<[u8; N], StateError> {
    let mut bits = [0; N];
    match getrandom::fill(&mut bits) {
        Ok(()) => Ok(bits),
        Err(error) => Err(StateError::io("get random bits for", path)(io::Error::other(error.to_string()))),
    }
}
