//! What a ledger in a folder needs of files: written whole or not at all, locked across processes, and removed whatever
//! their modes.

use std::{
    fs::{self, File, Permissions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    path::Path,
    time::{Duration, Instant},
};

use rustix::fs::{FlockOperation, flock};

/// How often a lock that somebody else holds is tried again.
const AGAIN: Duration = Duration::from_millis(5);

/// Makes a folder that only its owner can enter, with its parents.
pub fn make_private(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    fs::set_permissions(dir, Permissions::from_mode(0o700))
}

/// Replaces a file at once: after a crash it is the old or the new one.
pub fn write_whole(path: &Path, mode: u32, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let draft = path.with_file_name(name);
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&draft)?;
    file.set_permissions(Permissions::from_mode(mode))?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    match path.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

/// Takes the lock of a folder that may be deleted meanwhile; none: there is no such folder.
pub fn lock_folder(dir: &Path, patience: Duration) -> io::Result<Option<File>> {
    let until = Instant::now() + patience;
    loop {
        let Some(file) = absent_is_none(File::open(dir))? else { return Ok(None) };
        take(&file, until)?;
        // The holder before us may have deleted it, and somebody may have made a new one.
        match absent_is_none(fs::metadata(dir))? {
            None => return Ok(None),
            Some(now) if now.ino() == file.metadata()?.ino() => return Ok(Some(file)),
            Some(_) => {}
        }
    }
}

fn take(file: &File, until: Instant) -> io::Result<()> {
    loop {
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < until => std::thread::sleep(AGAIN),
            done => return Ok(done?),
        }
    }
}

/// Takes an exclusive lock on a file, made if need be, waiting at most `patience`.
pub fn lock_file(path: &Path, patience: Duration) -> io::Result<File> {
    let file = fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
    take(&file, Instant::now() + patience)?;
    Ok(file)
}

/// Whether somebody holds the lock of a file.
pub fn is_locked(path: &Path) -> io::Result<bool> {
    let Some(file) = absent_is_none(File::open(path))? else { return Ok(false) };
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(false),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

/// Waits until nobody holds the lock of a file; `false`: it still is held when patience ends.
pub fn wait_unlocked(path: &Path, patience: Duration) -> io::Result<bool> {
    let until = Instant::now() + patience;
    while is_locked(path)? {
        if Instant::now() >= until {
            return Ok(false);
        }
        std::thread::sleep(AGAIN);
    }
    Ok(true)
}

/// Deletes a tree, also where a machine took our own right to read it away; what is not there is fine.
pub fn remove_tree(path: &Path) -> io::Result<()> {
    let Some(found) = absent_is_none(fs::symlink_metadata(path))? else { return Ok(()) };
    if !found.is_dir() {
        return absent_is_none(fs::remove_file(path)).map(|_| ());
    }
    if found.mode() & 0o700 != 0o700 {
        absent_is_none(fs::set_permissions(path, Permissions::from_mode(0o700)))?;
    }
    let Some(entries) = absent_is_none(fs::read_dir(path))? else { return Ok(()) };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?;
        } else {
            absent_is_none(fs::remove_file(entry.path()))?;
        }
    }
    absent_is_none(fs::remove_dir(path)).map(|_| ())
}

/// `None` where the thing is not there.
pub fn absent_is_none<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_without_rights_is_removed_and_links_are_not_followed() {
        let dir = tempfile::tempdir().expect("temp");
        let (tree, other) = (dir.path().join("tree"), dir.path().join("other"));
        fs::create_dir_all(tree.join("a/b")).expect("made");
        fs::create_dir(&other).expect("made");
        fs::write(other.join("kept"), "x").expect("written");
        std::os::unix::fs::symlink(&other, tree.join("a/link")).expect("linked");
        fs::set_permissions(tree.join("a"), Permissions::from_mode(0o000)).expect("closed");
        remove_tree(&tree).expect("removed");
        assert!(!tree.exists() && other.join("kept").exists());
        remove_tree(&tree).expect("nothing to remove");
    }

    #[test]
    fn a_lock_is_seen_waited_for_and_not_kept_on_a_deleted_folder() {
        let dir = tempfile::tempdir().expect("temp");
        let file = dir.path().join("lock");
        assert!(!is_locked(&file).expect("asked"));
        let held = lock_file(&file, Duration::ZERO).expect("free");
        assert!(is_locked(&file).expect("asked"));
        assert!(!wait_unlocked(&file, Duration::from_millis(20)).expect("asked"));
        assert!(lock_file(&file, Duration::from_millis(20)).is_err());
        drop(held);
        assert!(wait_unlocked(&file, Duration::ZERO).expect("asked"));

        let folder = dir.path().join("folder");
        fs::create_dir(&folder).expect("made");
        let held = lock_folder(&folder, Duration::ZERO).expect("free").expect("there");
        let waiter = std::thread::spawn({
            let folder = folder.clone();
            move || lock_folder(&folder, Duration::from_secs(10)).map(|lock| lock.is_some())
        });
        fs::remove_dir(&folder).expect("removed");
        drop(held);
        assert!(!waiter.join().expect("ran").expect("asked"), "a deleted folder gives no lock");
    }
}
