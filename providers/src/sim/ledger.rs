//! The ledger: a file of JSON lines that several processes share.
//!
//! | line | meaning |
//! |---|---|
//! | `{"version":1}` | the first line |
//! | `{"rest":{…}}` | everything up to here, after a compaction |
//! | `{"call":{…}}` | one call with its effects, written at once |
//!
//! Each call holds an OS lock on the file from reading what others wrote to writing its own line, so that calls of all
//! processes stand in one order. A process that dies while it writes leaves a line without an end: it was not carried
//! out, and the next writer cuts it off. Nothing is synced to disk: the file has to outlive its clients, not the computer.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use fs4::{FileExt, TryLockError};
use serde::{Deserialize, Serialize};

use super::world::{Call, Snapshot, World};
use crate::{ProviderError, crash};

const VERSION: u32 = 1;

/// A ledger is rewritten when its lines since the last compaction are longer than this and than the compacted line.
const COMPACT_ABOVE: u64 = 2 << 20;

/// Longest wait for the lock. A call holds it for milliseconds; only a stopped process holds it longer.
const LOCK_WAIT: Duration = Duration::from_secs(10);

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Line<C, S> {
    Version(u32),
    Rest(S),
    Call(C),
}

/// One handle of a ledger, with the world as far as it was read.
#[derive(Debug)]
pub(super) struct Ledger {
    path: PathBuf,
    file: File,
    inode: u64,
    /// End of the last whole line that was read or written.
    offset: u64,
    /// Length of the file after its last compaction.
    base: u64,
    /// None: what is in memory may differ from the file; read it all again.
    world: Option<World>,
    salt: u64,
}

/// The lock, the world as it is now, and the way to add to it.
pub(super) struct Session<'a> {
    ledger: &'a mut Ledger,
    world: World,
}

impl Ledger {
    /// Opens the ledger at `path`, and makes it where there is none.
    pub fn open(path: PathBuf, salt: u64) -> Result<Self, ProviderError> {
        let fail = |e: io::Error| at(&path, "open", &e);
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(fail)?;
        }
        let (file, inode) = open(&path).map_err(fail)?;
        let mut ledger = Self { path, file, inode, offset: 0, base: 0, world: None, salt };
        // Reads it once now, so that a damaged or newer ledger is found before anything is asked of the cloud.
        ledger.session()?.leave();
        Ok(ledger)
    }

    /// Takes the lock and reads what others wrote.
    pub fn session(&mut self) -> Result<Session<'_>, ProviderError> {
        self.lock()?;
        match self.sync() {
            Ok(world) => Ok(Session { ledger: self, world }),
            Err(error) => {
                self.unlock();
                Err(error)
            }
        }
    }

    /// Takes the lock of the file that stands at the path now; compaction puts another one there.
    fn lock(&mut self) -> Result<(), ProviderError> {
        let end = Instant::now() + LOCK_WAIT;
        let mut pause = Duration::from_micros(50);
        loop {
            match FileExt::try_lock(&self.file) {
                Ok(()) if self.is_current() => return Ok(()),
                Ok(()) => {
                    (self.file, self.inode) = open(&self.path).map_err(|e| at(&self.path, "open", &e))?;
                    self.world = None;
                }
                Err(TryLockError::WouldBlock) if Instant::now() < end => {
                    thread::sleep(pause);
                    pause = (pause * 2).min(Duration::from_millis(5));
                }
                Err(TryLockError::WouldBlock) => {
                    let seconds = LOCK_WAIT.as_secs();
                    let text = format!("{} is locked by another process for {seconds} s", self.path.display());
                    return Err(ProviderError::Transient(text.into()));
                }
                Err(TryLockError::Error(e)) => return Err(at(&self.path, "lock", &e)),
            }
        }
    }

    fn is_current(&self) -> bool {
        std::fs::metadata(&self.path).is_ok_and(|meta| meta.ino() == self.inode)
    }

    fn unlock(&self) {
        // Cannot fail for a lock that is held; if it did, the lock would go with the handle.
        let _ = FileExt::unlock(&self.file);
    }

    fn sync(&mut self) -> Result<World, ProviderError> {
        let len = self.file.metadata().map_err(|e| at(&self.path, "read", &e))?.len();
        let mut world = match self.world.take() {
            Some(world) if len >= self.offset => world,
            _ => {
                (self.offset, self.base) = (0, 0);
                World::default()
            }
        };
        if len > self.offset {
            let bytes = self.tail().map_err(|e| at(&self.path, "read", &e))?;
            let read = replay(&mut world, &bytes, |_, _| {}).map_err(|detail| damaged(&self.path, &detail))?;
            self.offset += read.end;
            self.base = if read.base > 0 { self.offset - read.end + read.base } else { self.base };
            if self.offset < len {
                self.file.set_len(self.offset).map_err(|e| at(&self.path, "repair", &e))?;
            }
        }
        if self.offset == 0 {
            self.write(&line(&Line::<(), ()>::Version(VERSION)))?;
        }
        world.salt = self.salt;
        Ok(world)
    }

    fn tail(&mut self) -> io::Result<Vec<u8>> {
        self.file.seek(SeekFrom::Start(self.offset))?;
        let mut bytes = Vec::new();
        self.file.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Adds one line at the end. After an error the file is as before.
    fn write(&mut self, line: &[u8]) -> Result<(), ProviderError> {
        self.file.write_all(line).map_err(|e| {
            // The rest of a line that could not be written is cut off now, or else by the next writer.
            let _ = self.file.set_len(self.offset);
            at(&self.path, "write to", &e)
        })?;
        self.offset += line.len() as u64;
        Ok(())
    }

    /// Puts a file with the world at rest in the place of this one. The lock is on the old file until the session ends;
    /// who waits for that finds the new one then.
    fn compact(&mut self, world: World) -> io::Result<World> {
        let rest = world.snapshot();
        let mut bytes = line(&Line::<(), ()>::Version(VERSION));
        bytes.extend(line(&Line::<(), &Snapshot>::Rest(&rest)));
        let mut new = self.path.clone().into_os_string();
        new.push(".compacted");
        let new = PathBuf::from(new);
        // Left by a process that died here; it never became the ledger.
        let _ = std::fs::remove_file(&new);
        let (mut file, inode) = open(&new)?;
        file.write_all(&bytes)?;
        // Locked before anybody can see it, so that this session stays the only one until it ends.
        FileExt::lock(&file)?;
        std::fs::rename(&new, &self.path)?;
        (self.file, self.inode) = (file, inode);
        (self.offset, self.base) = (bytes.len() as u64, bytes.len() as u64);
        let mut world = World::restore(rest).map_err(io::Error::other)?;
        world.salt = self.salt;
        Ok(world)
    }
}

impl Session<'_> {
    pub fn world(&mut self) -> &mut World {
        &mut self.world
    }

    /// Writes the line of a call, whose effects the world has taken in already.
    ///
    /// After an error nothing was carried out, and the world is read again at the next session.
    pub fn commit(mut self, call: &Call) -> Result<(), ProviderError> {
        let mut world = std::mem::take(&mut self.world);
        let ledger = &mut *self.ledger;
        let line = line(&Line::<&Call, ()>::Call(call));
        if crash::is_here("call-half-written") {
            let _ = ledger.file.write_all(&line[..line.len() / 2]);
            crash::die();
        }
        ledger.write(&line)?;
        crash::point("call-written");
        world.finish(call);
        let grown = ledger.offset - ledger.base;
        // A compaction that fails loses nothing; the next call tries again.
        ledger.world = match grown > COMPACT_ABOVE.max(ledger.base) {
            true => ledger.compact(world).ok(),
            false => Some(world),
        };
        Ok(())
    }

    /// Ends without writing; the world must not have been changed.
    pub fn leave(mut self) {
        self.ledger.world = Some(std::mem::take(&mut self.world));
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        self.ledger.unlock();
    }
}

/// Reads a ledger without a lock and without changing it; `each` sees every call since the last compaction,
/// and the world as it was after it.
pub(super) fn read(path: &Path, each: impl FnMut(&World, &Call)) -> Result<World, ProviderError> {
    let bytes = match std::fs::read(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
        other => other.map_err(|e| at(path, "read", &e))?,
    };
    let mut world = World::default();
    replay(&mut world, &bytes, each).map_err(|detail| damaged(path, &detail))?;
    Ok(world)
}

/// How much of the bytes was read.
struct Extent {
    /// End of the last whole line.
    end: u64,
    /// End of the last compacted line; 0: there was none.
    base: u64,
}

fn replay(world: &mut World, bytes: &[u8], mut each: impl FnMut(&World, &Call)) -> Result<Extent, String> {
    let mut read = Extent { end: 0, base: 0 };
    for (number, text) in bytes.split_inclusive(|b| *b == b'\n').enumerate() {
        if !text.ends_with(b"\n") {
            break;
        }
        read.end += text.len() as u64;
        let line = serde_json::from_slice::<Line<Call, Snapshot>>(text);
        match line.map_err(|e| format!("line {} of what was read: {e}", number + 1))? {
            Line::Version(VERSION) => {}
            Line::Version(other) => return Err(format!("it has version {other}, this `pool` reads {VERSION}")),
            Line::Rest(rest) => {
                *world = World::restore(rest)?;
                read.base = read.end;
            }
            Line::Call(call) => {
                world.replay(&call)?;
                each(world, &call);
            }
        }
    }
    Ok(read)
}

fn line<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = serde_json::to_vec(value).expect("the ledger has only text keys and whole numbers");
    bytes.push(b'\n');
    bytes
}

fn open(path: &Path) -> io::Result<(File, u64)> {
    let file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
    let inode = file.metadata()?.ino();
    Ok((file, inode))
}

fn at(path: &Path, verb: &str, error: &io::Error) -> ProviderError {
    ProviderError::Other(format!("failed to {verb} the simulated cloud's ledger {}: {error}", path.display()).into())
}

fn damaged(path: &Path, detail: &str) -> ProviderError {
    let path = path.display();
    let text =
        format!("the simulated cloud's ledger {path} cannot be used: {detail}; remove it to begin with an empty cloud");
    ProviderError::Other(text.into())
}
