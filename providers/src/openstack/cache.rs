//! What a cloud told and seldom changes, kept in a file between runs.
//!
//! The file may be deleted at any time. One that is damaged, of another account or of another version of this program is
//! as good as none. Nothing in it is secret, yet it is readable by its owner alone.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
    process,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};
use tokio::sync::Mutex as Turn;

use super::{catalogue::Version, known::Known};

/// How long what was told holds.
const HOLDS: Duration = Duration::from_secs(10 * 60);
/// Rises when the file means something else.
const FORMAT: u32 = 2;

/// The file, and what of it is in memory.
#[derive(Debug)]
pub(super) struct Cache {
    path: PathBuf,
    file: Mutex<Option<File>>,
    /// Who asks the cloud anew; the others wait for the answer.
    pub turn: Turn<()>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct File {
    format: u32,
    /// Account and region.
    of: String,
    versions: BTreeMap<String, Aged<Version>>,
    known: Option<Aged<Arc<Known>>>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Aged<T> {
    /// When it was asked for.
    at: SystemTime,
    value: T,
}

impl<T: Clone> Aged<T> {
    fn new(value: T) -> Self {
        Self { at: SystemTime::now(), value }
    }

    /// The value with its age, while it holds. What comes from the future was written by another clock.
    fn fresh(&self) -> Option<(T, Duration)> {
        let age = self.at.elapsed().ok().filter(|age| *age < HOLDS)?;
        Some((self.value.clone(), age))
    }
}

impl Cache {
    pub fn new(path: PathBuf) -> Self {
        Self { path, file: Mutex::default(), turn: Turn::default() }
    }

    /// The microversion that was agreed on with a service.
    pub fn version(&self, of: &str, service: &str) -> Option<Version> {
        self.read(of, |file| file.versions.get(service).and_then(Aged::fresh)).map(|(version, _)| version)
    }

    pub fn keep_version(&self, of: &str, service: &str, version: Version) {
        self.write(of, |file| file.versions.insert(service.to_owned(), Aged::new(version)).is_none());
    }

    /// What the cloud offers, with its age.
    pub fn known(&self, of: &str) -> Option<(Arc<Known>, Duration)> {
        self.read(of, |file| file.known.as_ref().and_then(Aged::fresh))
    }

    pub fn keep_known(&self, of: &str, known: Arc<Known>) {
        self.write(of, |file| file.known.replace(Aged::new(known)).is_none());
    }

    fn lock(&self) -> MutexGuard<'_, Option<File>> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read<T>(&self, of: &str, look: impl FnOnce(&File) -> Option<T>) -> Option<T> {
        look(self.lock().get_or_insert_with(|| self.load(of)))
    }

    fn write<T>(&self, of: &str, change: impl FnOnce(&mut File) -> T) {
        let mut file = self.lock();
        let file = file.get_or_insert_with(|| self.load(of));
        change(file);
        // A cache that cannot be written is asked for again; that is all.
        let _ = self.save(file);
    }

    fn load(&self, of: &str) -> File {
        let read = || serde_json::from_slice::<File>(&fs::read(&self.path).ok()?).ok();
        let empty = File { format: FORMAT, of: of.to_owned(), ..File::default() };
        read().filter(|file| file.format == FORMAT && file.of == of).unwrap_or(empty)
    }

    fn save(&self, file: &File) -> std::io::Result<()> {
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        let new = self.path.with_extension(format!("{}.new", process::id()));
        let text = serde_json::to_vec(file)?;
        let done = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)
            .and_then(|mut open| open.write_all(&text))
            .and_then(|()| fs::rename(&new, &self.path));
        done.inspect_err(|_| drop(fs::remove_file(&new)))
    }
}
