//! Bundles: an inventory with all its artifacts in one archive, for a site without a network.
//!
//! The archive is laid out as the folder of the inventory will be: whoever has no `pool` yet can unpack it with tar.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::{self, BufReader, BufWriter, Read, Write},
    path::{Component, Path, PathBuf},
};

use aws_lc_rs::digest::{Context, SHA256};
use pool_bootstrap::Pace;
use pool_inventory::{Loaded, Name, Text, desired::ArtifactSource, names::hex};
use serde::{Deserialize, Serialize};

use super::{OpenRequest, OpsError, environment::validate};
use crate::{
    artifacts::{Artifacts, digest, private_folder, tar},
    connect::Places,
    random,
};

/// What is in a bundle stands here, in the bundle and in the folder that it was unpacked into.
pub const MANIFEST: &str = "pool-bundle.json";

/// Version of the form of bundles.
const VERSION: u32 = 1;

/// Where artifacts lie in the folder of an inventory.
const CACHE: &str = ".pool/cache/artifacts";

/// Largest manifest that is read.
const LARGEST_MANIFEST: u64 = 64 << 20;

/// What is in a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of its form.
    pub bundle: u32,
    /// The inventory.
    pub inventory: Name,
    /// The environments whose artifacts it has.
    pub environments: Vec<Name>,
    /// Files of the inventory, by path.
    pub files: BTreeMap<String, Item>,
    /// Artifacts that would be fetched else, by digest.
    pub artifacts: BTreeMap<Text, Item>,
}

/// One file of a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// What an artifact is called; none: a file of the inventory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// Digest of its content.
    pub sha256: Text,
    /// Bytes.
    pub size: u64,
}

impl Manifest {
    /// Every file with its path in the bundle.
    fn all(&self) -> BTreeMap<String, &Item> {
        let artifacts = self.artifacts.iter().map(|(sha256, item)| (format!("{CACHE}/{sha256}"), item));
        artifacts.chain(self.files.iter().map(|(path, item)| (path.clone(), item))).collect()
    }

    /// Bytes of all files.
    pub fn size(&self) -> u64 {
        self.files.values().chain(self.artifacts.values()).map(|item| item.size).sum()
    }

    fn is_sound(&self) -> bool {
        let digest = |text: &str| text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let inside = |path: &str| {
            let mut parts = Path::new(path).components();
            path != MANIFEST && !path.starts_with(".pool") && parts.all(|part| matches!(part, Component::Normal(_)))
        };
        self.artifacts.iter().all(|(sha256, item)| digest(sha256) && *sha256 == item.sha256)
            && self.files.keys().all(|path| !path.is_empty() && inside(path))
    }
}

/// A bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Bundle {
    /// The archive that was written, or the folder that was unpacked into.
    pub path: PathBuf,
    /// Digest of the archive that was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Text>,
    /// What is in it.
    pub manifest: Manifest,
}

fn failed(doing: &str, path: &Path, error: &io::Error) -> OpsError {
    OpsError::Other(format!("failed to {doing} {}: {error}", path.display()).into())
}

/// Puts the files of an inventory and all artifacts of its environments into one archive; `tell` hears what is fetched. Equal
/// files make equal bytes.
pub async fn create_bundle(
    request: &OpenRequest,
    out: Option<PathBuf>,
    tell: &(dyn Fn(&Name, u64, Option<u64>) + Send + Sync),
) -> Result<Bundle, OpsError> {
    let (root, all) = validate(request)?;
    let mut paths: BTreeMap<String, PathBuf> = BTreeMap::new();
    let (files, artifacts) = (files(&root, &all).await?, fetch(&root, &all, request, tell).await?);
    paths.extend(files.keys().map(|path| (path.clone(), root.join(path))));
    paths.extend(artifacts.iter().map(|(sha256, (path, _))| (format!("{CACHE}/{sha256}"), path.clone())));
    let inventory = all.first().map(|loaded| loaded.desired.inventory.clone());
    let manifest = Manifest {
        bundle: VERSION,
        inventory: inventory.ok_or_else(|| OpsError::Usage("the inventory has no environment".into()))?,
        environments: all.iter().map(|loaded| loaded.desired.environment.clone()).collect(),
        files,
        artifacts: artifacts.into_iter().map(|(sha256, (_, item))| (sha256, item)).collect(),
    };
    let path = out.unwrap_or_else(|| format!("{}-bundle.tar", manifest.inventory).into());
    let partial = path.with_added_extension("partial");
    let written = write(&partial, &manifest, &paths).and_then(|sha256| {
        fs::rename(&partial, &path)?;
        Ok(sha256)
    });
    let sha256 = written.map_err(|error| {
        let _ = fs::remove_file(&partial);
        failed("write", &path, &error)
    })?;
    Ok(Bundle { path, sha256: Some(sha256), manifest })
}

/// The files that the inventory was read from, and artifacts among them.
async fn files(root: &Path, all: &[Loaded]) -> Result<BTreeMap<String, Item>, OpsError> {
    let mut paths: BTreeMap<String, Option<&Text>> = BTreeMap::new();
    for loaded in all {
        for source in &loaded.sources {
            let path = source.strip_prefix(root).unwrap_or(source);
            paths.insert(path.to_string_lossy().into_owned(), None);
        }
    }
    let builds = all.iter().flat_map(|loaded| loaded.desired.artifacts.values()).flat_map(|spec| &spec.builds);
    for build in builds {
        if let ArtifactSource::Path(path) = &build.source {
            paths.insert(path.to_string(), Some(&build.sha256));
        }
    }
    let mut items = BTreeMap::new();
    for (path, wanted) in paths {
        let file = root.join(&path);
        let broken = |error| failed("read", &file, &error);
        let (sha256, size) = (digest(&file).await.map_err(broken)?, fs::metadata(&file).map_err(broken)?.len());
        if let Some(wanted) = wanted.filter(|wanted| ***wanted != *sha256) {
            let text = format!("{path} has the SHA-256 digest {sha256}, the inventory says {wanted}");
            return Err(OpsError::Refused(text.into()));
        }
        items.insert(path, Item { name: None, sha256: sha256.into(), size });
    }
    Ok(items)
}

/// All artifacts that are fetched, in the cache.
async fn fetch(
    root: &Path,
    all: &[Loaded],
    request: &OpenRequest,
    tell: &(dyn Fn(&Name, u64, Option<u64>) + Send + Sync),
) -> Result<BTreeMap<Text, (PathBuf, Item)>, OpsError> {
    let mut found: BTreeMap<Text, (PathBuf, Item)> = BTreeMap::new();
    for Loaded { desired, .. } in all {
        let cache = Places::new(root, &desired.environment, &request.program).artifacts();
        let artifacts = Artifacts::new(root.to_owned(), cache, desired.artifacts.clone(), Pace::default());
        for (name, build) in
            desired.artifacts.iter().flat_map(|(name, spec)| spec.builds.iter().map(move |b| (name, b)))
        {
            if matches!(build.source, ArtifactSource::Path(_)) || found.contains_key(&build.sha256) {
                continue;
            }
            let path = artifacts.file(name, &build.sha256, &|here, size| tell(name, here, size)).await;
            let path = path.map_err(|error| OpsError::Other(format!("artifact {name}: {error}").into()))?;
            let size = fs::metadata(&path).map_err(|error| failed("read", &path, &error))?.len();
            let item = Item { name: Some(name.clone()), sha256: build.sha256.clone(), size };
            found.insert(build.sha256.clone(), (path, item));
        }
    }
    Ok(found)
}

/// Writes the archive, and gives its digest.
fn write(path: &Path, manifest: &Manifest, paths: &BTreeMap<String, PathBuf>) -> io::Result<Text> {
    let mut out = Hashing { inner: BufWriter::new(File::create(path)?), context: Context::new(&SHA256) };
    let mut head = serde_json::to_vec_pretty(manifest)?;
    head.push(b'\n');
    tar::append(&mut out, MANIFEST, head.len() as u64, &mut &head[..])?;
    for (name, item) in manifest.all() {
        let source = paths.get(&name).ok_or_else(|| io::Error::other(format!("{name} is not there")))?;
        let mut content = Hashing { inner: File::open(source)?, context: Context::new(&SHA256) };
        tar::append(&mut out, &name, item.size, &mut content)?;
        if content.sha256() != *item.sha256 {
            return Err(io::Error::other(format!("{name} changed while it was read")));
        }
    }
    tar::finish(&mut out)?;
    out.flush()?;
    out.inner.get_ref().sync_all()?;
    Ok(out.sha256().into())
}

/// Hashes what passes through.
struct Hashing<T> {
    inner: T,
    context: Context,
}

impl<T> Hashing<T> {
    fn sha256(self) -> String {
        hex(self.context.finish().as_ref())
    }
}

impl<T: Write> Write for Hashing<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.context.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<T: Read> Read for Hashing<T> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(bytes)?;
        self.context.update(&bytes[..read]);
        Ok(read)
    }
}

/// Lays an inventory down, and fills its cache. Everything is verified before anything takes its place; files that somebody
/// changed since the last bundle are refused unless `overwrite`.
pub fn unpack_bundle(file: &Path, dir: Option<PathBuf>, overwrite: bool) -> Result<Bundle, OpsError> {
    let broken = |error: io::Error| {
        let end = error.kind() == io::ErrorKind::UnexpectedEof;
        let why = if end { "it ends too early".to_owned() } else { error.to_string() };
        OpsError::Other(format!("failed to read the bundle {}: {why}", file.display()).into())
    };
    let mut archive = tar::Archive::new(BufReader::with_capacity(1 << 20, File::open(file).map_err(broken)?));
    let manifest = manifest(&mut archive).map_err(broken)?;
    let dir = dir.unwrap_or_else(|| manifest.inventory.as_str().into());
    let aside = dir.join(".pool").join(format!("unpack-{}", hex(&random::bits()[..6])));
    let made = fs::create_dir_all(&dir).and_then(|()| private_folder(&aside));
    made.map_err(|error| failed("make", &aside, &error))?;
    let done = lay_aside(&mut archive, &manifest, &aside).map_err(broken).and_then(|()| {
        let old = old_manifest(&dir);
        if !overwrite {
            refuse_changed(&dir, &manifest, old.as_ref())?;
        }
        place(&dir, &aside, &manifest, old.as_ref()).map_err(|error| failed("write to", &dir, &error))
    });
    let _ = fs::remove_dir_all(&aside);
    if done.is_err() {
        // Only what was made for it, and is empty.
        let _ = fs::remove_dir(dir.join(".pool")).and_then(|()| fs::remove_dir(&dir));
    }
    done.map(|()| Bundle { path: dir, sha256: None, manifest })
}

fn odd(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

fn manifest<R: Read>(archive: &mut tar::Archive<R>) -> io::Result<Manifest> {
    let first = archive.file()?.filter(|file| file.name == MANIFEST && file.size <= LARGEST_MANIFEST);
    let first = first.ok_or_else(|| odd("it is not a bundle of pool"))?;
    let version = |value: &serde_json::Value| value.get("bundle").and_then(serde_json::Value::as_u64);
    let value: serde_json::Value = serde_json::from_reader(first.content)?;
    if version(&value).is_some_and(|version| version != u64::from(VERSION)) {
        return Err(odd("it was made by another version of pool"));
    }
    let manifest: Manifest = serde_json::from_value(value)?;
    if manifest.is_sound() { Ok(manifest) } else { Err(odd("its manifest names files that no bundle has")) }
}

/// Writes all files into a folder aside, each verified.
fn lay_aside<R: Read>(archive: &mut tar::Archive<R>, manifest: &Manifest, aside: &Path) -> io::Result<()> {
    let all = manifest.all();
    let mut missing: BTreeSet<&String> = all.keys().collect();
    while let Some(file) = archive.file()? {
        let (Some(item), true) = (all.get(&file.name), missing.remove(&file.name)) else {
            return Err(odd(&format!("its manifest does not name {}", file.name)));
        };
        let damaged = || odd(&format!("{} is damaged: its digest is not the one of the manifest", file.name));
        if file.size != item.size {
            return Err(damaged());
        }
        let path = aside.join(&file.name);
        fs::create_dir_all(path.parent().unwrap_or(aside))?;
        let mut content = Hashing { inner: file.content, context: Context::new(&SHA256) };
        let mut out = File::create(path)?;
        let size = io::copy(&mut content, &mut out)?;
        out.sync_all()?;
        if size != item.size || content.sha256() != *item.sha256 {
            return Err(damaged());
        }
    }
    match missing.first() {
        Some(name) => Err(odd(&format!("{name} is missing"))),
        None => Ok(()),
    }
}

/// What the last bundle left here.
fn old_manifest(dir: &Path) -> Option<Manifest> {
    let manifest: Manifest = serde_json::from_slice(&fs::read(dir.join(MANIFEST)).ok()?).ok()?;
    manifest.is_sound().then_some(manifest)
}

/// Digest of a file; none: there is none.
fn found(path: &Path) -> io::Result<Option<String>> {
    let mut file = match File::open(path) {
        Ok(file) => Hashing { inner: file, context: Context::new(&SHA256) },
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    io::copy(&mut file, &mut io::sink())?;
    Ok(Some(file.sha256()))
}

/// Refuses to lose what somebody wrote here.
fn refuse_changed(dir: &Path, new: &Manifest, old: Option<&Manifest>) -> Result<(), OpsError> {
    let mut changed = Vec::new();
    let known = |manifest: Option<&Manifest>, path: &str| manifest?.files.get(path).map(|item| item.sha256.clone());
    let paths: BTreeSet<&String> = new.files.keys().chain(old.iter().flat_map(|old| old.files.keys())).collect();
    for path in paths {
        let here = found(&dir.join(path)).map_err(|error| failed("read", &dir.join(path), &error))?;
        let Some(here) = here.map(Text::from) else { continue };
        if ![known(Some(new), path), known(old, path)].contains(&Some(here)) {
            changed.push(path.as_str());
        }
    }
    if changed.is_empty() {
        return Ok(());
    }
    let text = format!(
        "{} in {} would be lost: changed since the last bundle, or never part of one; overwrite with --overwrite",
        changed.join(", "),
        dir.display()
    );
    Err(OpsError::Refused(text.into()))
}

/// Puts what was verified in place; what the last bundle had and this one has not is removed.
fn place(dir: &Path, aside: &Path, new: &Manifest, old: Option<&Manifest>) -> io::Result<()> {
    for name in new.all().keys() {
        let path = dir.join(name);
        fs::create_dir_all(path.parent().unwrap_or(dir))?;
        fs::rename(aside.join(name), path)?;
    }
    for gone in old.iter().flat_map(|old| old.files.keys()).filter(|path| !new.files.contains_key(*path)) {
        match fs::remove_file(dir.join(gone)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    let mut text = serde_json::to_vec_pretty(new)?;
    text.push(b'\n');
    fs::write(dir.join(MANIFEST), text)
}
