//! Artifacts on this computer: fetched once, verified, kept by their digests, handed to bootstraps.

mod fetch;
pub mod tar;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

pub use self::fetch::{private_folder, size_of};
use aws_lc_rs::digest::{Context, SHA256};
use pool_bootstrap::Pace;
use pool_inventory::{
    Name, Text,
    desired::{ArtifactRef, ArtifactSource, ArtifactSpec},
    names::hex,
};
use tokio::{io::AsyncReadExt, sync::OnceCell};

/// Told how many bytes of how many are here.
pub type Tell<'a> = &'a (dyn Fn(u64, Option<u64>) + Send + Sync);

/// The artifacts of a run.
pub struct Artifacts {
    root: PathBuf,
    cache: PathBuf,
    declared: BTreeMap<Name, ArtifactSpec>,
    /// How fast they are sent.
    pub pace: Pace,
    /// By digest. A failure is one for the whole run: hosts do not wait for the same dead server one after another.
    ready: Mutex<BTreeMap<Text, Ready>>,
}

type Ready = Arc<OnceCell<Result<PathBuf, ArtifactError>>>;

/// Why an artifact cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ArtifactError(pub Text);

impl ArtifactError {
    fn new(text: impl Into<String>) -> Self {
        Self(text.into().into())
    }

    fn io(doing: &str, path: &Path, error: &std::io::Error) -> Self {
        Self::new(format!("failed to {doing} {}: {error}", path.display()))
    }
}

impl Artifacts {
    /// Those that are declared: files below `root`, and what is fetched into `cache`.
    pub fn new(root: PathBuf, cache: PathBuf, declared: BTreeMap<Name, ArtifactSpec>, pace: Pace) -> Self {
        Self { root, cache, declared, pace, ready: Mutex::default() }
    }

    /// A file with the content of that digest. It is looked for once in a run, whoever asks for it; who comes later waits.
    pub async fn file(&self, name: &Name, sha256: &Text, tell: Tell<'_>) -> Result<PathBuf, ArtifactError> {
        let ready = {
            let mut all = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
            all.entry(sha256.clone()).or_default().clone()
        };
        ready.get_or_init(|| self.obtain(name, sha256, tell)).await.clone()
    }

    async fn obtain(&self, name: &Name, sha256: &Text, tell: Tell<'_>) -> Result<PathBuf, ArtifactError> {
        let undeclared = || ArtifactError::new("it is not in the plan");
        match &self.declared.get(name).and_then(|spec| spec.build(sha256)).ok_or_else(undeclared)?.source {
            ArtifactSource::Path(path) => {
                let file = self.root.join(&**path);
                let found = digest(&file).await.map_err(|error| ArtifactError::io("read", &file, &error))?;
                if found == **sha256 {
                    return Ok(file);
                }
                Err(ArtifactError::new(format!("{path} has the SHA-256 digest {found}, the inventory says {sha256}")))
            }
            ArtifactSource::Url(url) => {
                let file = self.cache.join(&**sha256);
                match digest(&file).await {
                    Ok(found) if found == **sha256 => return Ok(file),
                    // Somebody changed it.
                    Ok(_) => std::fs::remove_file(&file).map_err(|e| ArtifactError::io("remove", &file, &e))?,
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                    Err(error) => return Err(ArtifactError::io("read", &file, &error)),
                }
                fetch::fetch(url, sha256, &self.cache, tell).await
            }
        }
    }
}

/// SHA-256 of a file, in hex.
pub async fn digest(path: &Path) -> std::io::Result<String> {
    let mut file = tokio::fs::File::open(path).await?;
    let (mut context, mut piece) = (Context::new(&SHA256), vec![0; 256 << 10]);
    loop {
        match file.read(&mut piece).await? {
            0 => return Ok(hex(context.finish().as_ref())),
            read => context.update(&piece[..read]),
        }
    }
}

/// URLs by digest, of the artifacts that hosts download themselves.
pub fn pulls<'a>(
    used: impl Iterator<Item = &'a ArtifactRef>,
    declared: &BTreeMap<Name, ArtifactSpec>,
) -> BTreeMap<Text, Text> {
    let builds = used.filter_map(|used| declared.get(&used.name)).flat_map(|spec| &spec.builds);
    builds.filter_map(|build| Some((build.sha256.clone(), build.pull.clone()?))).collect()
}

#[cfg(test)]
mod tests;
