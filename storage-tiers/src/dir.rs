//! The `dir` backend: a folder with a capacity.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use pool_inventory::{
    Bytes, Money, Text, Token,
    desired::{Media, Provisioning},
    market::BackendOffer,
    object::{Attachment, Owner, VolumeSpec},
};

use crate::{
    error::{Doing, StorageError},
    files::{absent_is_none, make_private, remove_tree},
    image,
    ledger::{self, Content, Open, Phase, Volume},
};

/// A folder that volumes are handed out of.
///
/// ```text
/// DIR/ledger.json     what is handed out
///     lock            held while the ledger changes
///     volumes/v-…     a thin volume: a directory
///     volumes/v-….img a thick one: an image with a file system
/// ```
#[derive(Debug, Clone)]
pub struct DirBackend {
    name: Text,
    dir: PathBuf,
    capacity: Capacity,
    thick: bool,
}

/// How much a folder may hand out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capacity {
    /// So much, as somebody declared.
    Fixed(Bytes),
    /// Half of what its file system has free at first use, recorded then: the other half stays the computer's.
    HalfOfFree,
}

/// A volume that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// The provider that asks.
    pub via: Text,
    /// Name in the cloud.
    pub name: Text,
    /// Whose it is; its token makes the volume's id.
    pub owner: Owner,
    /// What it shall be.
    pub spec: VolumeSpec,
}

/// Where the files of a volume are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A directory.
    Dir(PathBuf),
    /// An image, to be mounted.
    Image(PathBuf),
}

/// The id of the volume that a token makes; safe as a file's name whatever the token is.
fn id_of(token: &Token) -> Text {
    format!("v-{}", &blake3::hash(token.0.as_bytes()).to_hex()[..16]).into()
}

impl DirBackend {
    /// The backend `name` in `dir`; nothing is touched before it is used. `thick`: whether volumes with an enforced
    /// size can be mounted by whoever uses it, which takes root.
    pub fn new(name: Text, dir: PathBuf, capacity: Capacity, thick: bool) -> Self {
        Self { name, dir, capacity, thick: thick && image::possible() }
    }

    /// Its name, `NAME` or `PROVIDER/NAME`.
    pub fn name(&self) -> &Text {
        &self.name
    }

    /// What it has to offer now.
    pub fn offer(&self) -> Result<BackendOffer, StorageError> {
        let content = ledger::read(&self.dir)?;
        let mut provisioning = BTreeSet::from([Provisioning::Thin]);
        if self.thick {
            provisioning.insert(Provisioning::Thick);
        }
        Ok(BackendOffer {
            name: self.name.clone(),
            media: media(&self.dir),
            iops: None,
            provisioning,
            zones: BTreeSet::new(),
            capacity: self.capacity(&content)?,
            allocated: content.allocated(),
            price: Money::ZERO,
        })
    }

    fn capacity(&self, content: &Content) -> Result<Bytes, StorageError> {
        match (self.capacity, content.capacity) {
            (Capacity::Fixed(bytes), _) | (Capacity::HalfOfFree, Some(bytes)) => Ok(bytes),
            (Capacity::HalfOfFree, None) => {
                let at = self.dir.ancestors().find(|dir| dir.exists()).unwrap_or(Path::new("/"));
                let found = rustix::fs::statvfs(at).map_err(Into::into);
                let found = found.doing(|| format!("looking at the space of {}", at.display()))?;
                Ok(Bytes(found.f_bavail.saturating_mul(found.f_frsize) / 2))
            }
        }
    }

    /// Makes a volume, detached, or answers with the one that this token made.
    pub fn create(&self, ask: &Ask) -> Result<Volume, StorageError> {
        self.check(&ask.spec)?;
        let mut ledger = self.open()?;
        if let Some(found) = ledger.content.find(&ask.owner.token) {
            return Ok(found.clone());
        }
        if self.capacity == Capacity::HalfOfFree && ledger.content.capacity.is_none() {
            ledger.content.capacity = Some(self.capacity(&ledger.content)?);
        }
        self.reserve(&ledger.content, ask.spec.size)?;
        let id = id_of(&ask.owner.token);
        let mut volume = Volume {
            id: id.clone(),
            via: ask.via.clone(),
            name: ask.name.clone(),
            owner: ask.owner.clone(),
            spec: VolumeSpec { attached: None, ..ask.spec.clone() },
            phase: Phase::Making,
            growing: None,
        };
        let source = self.source(&volume);
        if ledger.content.volumes.contains_key(&id) {
            return Err(StorageError::Stray(source.into_path()));
        }
        refuse_strays(&source)?;
        ledger.content.volumes.insert(id.clone(), volume.clone());
        ledger.save()?;
        if let Err(error) = make(&source, ask.spec.size) {
            remove(&source)?;
            ledger.content.volumes.remove(&id);
            ledger.save()?;
            return Err(self.explain(error, ask.spec.size));
        }
        volume.phase = Phase::Ready;
        ledger.content.volumes.insert(id, volume.clone());
        ledger.save()?;
        Ok(volume)
    }

    fn check(&self, spec: &VolumeSpec) -> Result<(), StorageError> {
        let invalid = |field, detail: String| Err(StorageError::Invalid { field, detail: detail.into() });
        match spec.provisioning {
            Provisioning::Thick if !self.thick => {
                invalid("provisioning", format!("{} has no thick volumes", self.name))
            }
            Provisioning::Thick if spec.size < image::SMALLEST => {
                invalid("size", format!("a thick volume has at least {}", image::SMALLEST))
            }
            _ if spec.size.0 == 0 => invalid("size", "a volume has a size".to_owned()),
            _ => Ok(()),
        }
    }

    fn reserve(&self, content: &Content, more: Bytes) -> Result<(), StorageError> {
        let free = Bytes(self.capacity(content)?.0.saturating_sub(content.allocated().0));
        if more <= free { Ok(()) } else { Err(StorageError::Full { backend: self.name.clone(), asked: more, free }) }
    }

    /// A file system that is full is a backend that is full.
    fn explain(&self, error: StorageError, asked: Bytes) -> StorageError {
        match error {
            StorageError::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
                StorageError::Full { backend: self.name.clone(), asked, free: Bytes(0) }
            }
            other => other,
        }
    }

    /// Opens the ledger and clears up what a crash left: whoever held the lock before us is not at work any more, so
    /// a volume that is being made is one that nobody has ever seen.
    fn open(&self) -> Result<Open, StorageError> {
        let mut ledger = ledger::open(&self.dir)?;
        let half: Vec<Volume> =
            ledger.content.volumes.values().filter(|volume| volume.phase == Phase::Making).cloned().collect();
        for volume in &half {
            remove(&self.source(volume))?;
            ledger.content.volumes.remove(&volume.id);
        }
        if !half.is_empty() {
            ledger.save()?;
        }
        Ok(ledger)
    }

    /// The volumes that a provider asked for, by id.
    pub fn list(&self, via: &str) -> Result<Vec<Volume>, StorageError> {
        let volumes = ledger::read(&self.dir)?.volumes.into_values();
        Ok(volumes.filter(|volume| &*volume.via == via && volume.phase != Phase::Making).collect())
    }

    /// The volume that a token made.
    pub fn find(&self, token: &Token) -> Result<Option<Volume>, StorageError> {
        let content = ledger::read(&self.dir)?;
        Ok(content.find(token).filter(|volume| volume.phase != Phase::Making).cloned())
    }

    /// The volume with this id.
    pub fn get(&self, id: &str) -> Result<Volume, StorageError> {
        let found = ledger::read(&self.dir)?.volumes.remove(id);
        found.filter(|volume| volume.phase != Phase::Making).ok_or_else(|| StorageError::NotFound(id.into()))
    }

    /// Notes other tags or another tier; size, place and attachment are not changed here.
    pub fn note(&self, id: &str, to: &VolumeSpec) -> Result<Volume, StorageError> {
        self.change(id, |volume| {
            let old = volume.spec.clone();
            volume.spec = VolumeSpec { tier: to.tier.clone(), tags: to.tags.clone(), on_remove: to.on_remove, ..old };
        })
    }

    /// Notes that a volume is, or is about to be, attached; only one host can have it.
    pub fn attach(&self, id: &str, to: &Attachment) -> Result<Volume, StorageError> {
        let mut ledger = self.open()?;
        let found = ledger.content.volumes.get_mut(id).filter(|volume| volume.phase == Phase::Ready);
        let volume = found.ok_or_else(|| StorageError::NotFound(id.into()))?;
        if volume.spec.attached.as_ref().is_some_and(|at| at != to) {
            return Err(StorageError::Attached(id.into()));
        }
        volume.spec.attached = Some(to.clone());
        let volume = volume.clone();
        ledger.save()?;
        Ok(volume)
    }

    /// Notes that a volume is attached to nothing.
    pub fn detach(&self, id: &str) -> Result<Volume, StorageError> {
        self.change(id, |volume| volume.spec.attached = None)
    }

    fn change(&self, id: &str, change: impl FnOnce(&mut Volume)) -> Result<Volume, StorageError> {
        let mut ledger = self.open()?;
        let volume = ledger.content.volumes.get_mut(id).ok_or_else(|| StorageError::NotFound(id.into()))?;
        change(volume);
        let volume = volume.clone();
        ledger.save()?;
        Ok(volume)
    }

    /// Makes a volume larger. Where it is mounted, `online` has to let its file system follow.
    ///
    /// The new size counts from the beginning and is shown at the end: after a crash between, the same call again
    /// ends what was begun.
    pub fn extend(
        &self,
        id: &str,
        size: Bytes,
        online: Option<&mut dyn FnMut() -> Result<(), StorageError>>,
    ) -> Result<Volume, StorageError> {
        let volume = self.begin_extend(id, size)?;
        if let Source::Image(path) = self.source(&volume) {
            let before = Bytes(fs::metadata(&path).doing(|| format!("looking at {}", path.display()))?.len());
            if let Err(error) = image::allocate(&path, size).doing(|| format!("growing {}", path.display())) {
                self.give_back(&volume, &path, before)?;
                return Err(self.explain(error, size));
            }
            match online {
                Some(follow) => follow()?,
                None => image::fill(&path).doing(|| format!("growing the file system in {}", path.display()))?,
            }
        }
        self.change(id, |volume| {
            volume.spec.size = volume.spec.size.max(size);
            volume.growing = None;
        })
    }

    /// The space was not to be had: the image is again as large as it was, which may be more than is shown if an
    /// earlier growth was cut off.
    fn give_back(&self, volume: &Volume, path: &Path, before: Bytes) -> Result<(), StorageError> {
        let file = fs::OpenOptions::new().write(true).open(path);
        file.and_then(|file| file.set_len(before.0)).doing(|| format!("shrinking {}", path.display()))?;
        let growing = Some(before).filter(|before| *before > volume.spec.size);
        self.change(&volume.id, |volume| volume.growing = growing).map(drop)
    }

    fn begin_extend(&self, id: &str, size: Bytes) -> Result<Volume, StorageError> {
        let mut ledger = self.open()?;
        let found = ledger.content.volumes.get(id).ok_or_else(|| StorageError::NotFound(id.into()))?;
        if size < found.spec.size {
            let detail = format!("{id} has {}; a volume never gets smaller", found.spec.size).into();
            return Err(StorageError::Invalid { field: "size", detail });
        }
        let mut volume = found.clone();
        let more = size.0.saturating_sub(volume.counted().0);
        self.reserve(&ledger.content, Bytes(more))?;
        volume.growing = Some(size.max(volume.counted()));
        ledger.content.volumes.insert(volume.id.clone(), volume.clone());
        ledger.save()?;
        Ok(volume)
    }

    /// Deletes a volume that is attached to nothing, with all that is in it.
    pub fn delete(&self, id: &str) -> Result<(), StorageError> {
        let mut ledger = self.open()?;
        let volume = ledger.content.volumes.get_mut(id).ok_or_else(|| StorageError::NotFound(id.into()))?;
        if volume.spec.attached.is_some() {
            return Err(StorageError::Attached(id.into()));
        }
        volume.phase = Phase::Deleting;
        let volume = volume.clone();
        ledger.save()?;
        // Not under the lock: much may be in it. It counts until it is gone.
        drop(ledger);
        remove(&self.source(&volume))?;
        let mut ledger = self.open()?;
        ledger.content.volumes.remove(id);
        ledger.save()
    }

    /// Where a volume's files are.
    pub fn source(&self, volume: &Volume) -> Source {
        let volumes = self.dir.join("volumes");
        match volume.spec.provisioning {
            Provisioning::Thin => Source::Dir(volumes.join(&*volume.id)),
            Provisioning::Thick => Source::Image(volumes.join(format!("{}.img", volume.id))),
        }
    }

    /// Files that the ledger knows nothing of; they are named, never touched.
    pub fn strays(&self) -> Result<Vec<PathBuf>, StorageError> {
        let content = ledger::read(&self.dir)?;
        let known: BTreeSet<PathBuf> = content.volumes.values().map(|volume| self.source(volume).into_path()).collect();
        let dir = self.dir.join("volumes");
        let Some(entries) = absent_is_none(fs::read_dir(&dir)).doing(|| format!("reading {}", dir.display()))? else {
            return Ok(Vec::new());
        };
        let mut strays: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        strays.retain(|path| !known.contains(path));
        strays.sort();
        Ok(strays)
    }
}

impl Source {
    fn into_path(self) -> PathBuf {
        let (Source::Dir(path) | Source::Image(path)) = self;
        path
    }
}

fn refuse_strays(source: &Source) -> Result<(), StorageError> {
    let path = source.clone().into_path();
    match absent_is_none(fs::symlink_metadata(&path)).doing(|| format!("looking at {}", path.display()))? {
        None => Ok(()),
        // An empty directory is what a crash leaves of a volume.
        Some(found) if found.is_dir() && fs::read_dir(&path).is_ok_and(|mut entries| entries.next().is_none()) => {
            Ok(())
        }
        Some(_) => Err(StorageError::Stray(path)),
    }
}

fn make(source: &Source, size: Bytes) -> Result<(), StorageError> {
    let what = |path: &Path| format!("making {}", path.display());
    let path = source.clone().into_path();
    if let Some(parent) = path.parent() {
        make_private(parent).doing(|| what(parent))?;
    }
    match source {
        Source::Dir(path) => fs::create_dir_all(path).doing(|| what(path)),
        Source::Image(path) => image::make(path, size).doing(|| what(path)),
    }
}

fn remove(source: &Source) -> Result<(), StorageError> {
    let (Source::Dir(path) | Source::Image(path)) = source;
    remove_tree(path).doing(|| format!("removing {}", path.display()))
}

/// What the kernel says about the medium below a folder; none: it says nothing.
fn media(dir: &Path) -> Option<Media> {
    let at = dir.ancestors().find(|dir| dir.exists())?;
    let device = fs::metadata(at).ok()?.dev();
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let block = fs::canonicalize(format!("/sys/dev/block/{major}:{minor}")).ok()?;
    // A partition has no queue of its own; its disk has.
    let queue = [block.as_path(), block.parent()?].map(|dir| fs::read_to_string(dir.join("queue/rotational")));
    match queue.into_iter().flatten().next()?.trim() {
        "0" => Some(Media::Ssd),
        _ => Some(Media::Hdd),
    }
}
