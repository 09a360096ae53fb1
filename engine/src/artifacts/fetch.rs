//! Fetching over http and https.

use std::{
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use aws_lc_rs::digest::{Context, SHA256};
use pool_inventory::{Bytes, Text, names::hex};
use reqwest::{Client, StatusCode, header::CONTENT_LENGTH, redirect::Policy};
use tokio::{io::AsyncWriteExt, time::timeout};

use super::{ArtifactError, Tell};
use crate::{ops::chain, random, retry};

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(15);
/// Longest silence of a server.
const SILENCE: Duration = Duration::from_secs(60);
/// Longest time for one artifact.
const LIMIT: Duration = Duration::from_secs(4 * 60 * 60);
/// Largest artifact. Nobody sends more than that to hosts; a server that never ends must not fill the disk.
const LARGEST: u64 = 64 << 30;
/// Redirects that are followed.
const REDIRECTS: usize = 5;
/// How often is tried.
const TRIES: u32 = 3;
/// Age at which a file that was left behind by a killed process is removed.
const STALE: Duration = Duration::from_secs(24 * 60 * 60);

/// Why one try failed.
struct Failure {
    error: ArtifactError,
    /// Whether another try may help.
    again: bool,
}

/// Fetches `url` into `folder`, under its digest. A file stands there only once it is whole and right, so that two processes
/// may do the same at a time.
pub(super) async fn fetch(url: &Text, sha256: &Text, folder: &Path, tell: Tell<'_>) -> Result<PathBuf, ArtifactError> {
    let client = client()?;
    private_folder(folder).map_err(|error| ArtifactError::io("make", folder, &error))?;
    sweep(folder);
    let mut tries = 0;
    loop {
        let work = once(&client, url, sha256, folder, tell);
        let late = |_| Failure { error: failed(url, "it took longer than 4 hours"), again: false };
        match timeout(LIMIT, work).await.map_err(late).flatten() {
            Ok(path) => return Ok(path),
            Err(failure) if !failure.again || tries + 1 == TRIES => return Err(failure.error),
            Err(_) => tokio::time::sleep(retry::backoff(tries, random::unit(), None)).await,
        }
        tries += 1;
    }
}

/// How large a file is, as its server says, if it does; nothing is fetched.
pub async fn size_of(url: &Text) -> Result<Option<Bytes>, ArtifactError> {
    let answer = client()?.head(&**url).timeout(SILENCE).send().await;
    let answer = answer.map_err(|error| failed(url, &chain(&error.without_url())))?;
    let size = answer.headers().get(CONTENT_LENGTH).and_then(|size| size.to_str().ok()?.parse().ok());
    match answer.status() {
        status if status.is_success() => Ok(size.map(Bytes)),
        // Some servers only give.
        StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => Ok(None),
        status => Err(failed(url, &format!("the server answers {status}"))),
    }
}

fn failed(url: &str, why: &str) -> ArtifactError {
    ArtifactError::new(format!("failed to fetch {url}: {why}"))
}

async fn once(client: &Client, url: &Text, sha256: &Text, folder: &Path, tell: Tell<'_>) -> Result<PathBuf, Failure> {
    let lost = |error: reqwest::Error| {
        let again = !error.is_builder() && !error.is_redirect();
        Failure { error: failed(url, &chain(&error.without_url())), again }
    };
    let mut answer = client.get(&**url).send().await.map_err(lost)?;
    let status = answer.status();
    if !status.is_success() {
        let again =
            status.is_server_error() || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT);
        return Err(Failure { error: failed(url, &format!("the server answers {status}")), again });
    }
    let size = answer.content_length();
    let too_large = || Failure { error: failed(url, "it is larger than 64 GiB"), again: false };
    if size.is_some_and(|size| size > LARGEST) {
        return Err(too_large());
    }
    let nonce = hex(&random::bits()[..6]);
    let mut file = Partial::create(folder.join(format!(".{}-{nonce}", &sha256[..16])))?;
    let (mut context, mut here) = (Context::new(&SHA256), 0);
    tell(0, size);
    while let Some(piece) = answer.chunk().await.map_err(lost)? {
        here += piece.len() as u64;
        if here > LARGEST {
            return Err(too_large());
        }
        context.update(&piece);
        file.write(&piece).await?;
        tell(here, size);
    }
    let found = hex(context.finish().as_ref());
    if found != **sha256 {
        let why = format!("it has the SHA-256 digest {found}, the inventory says {sha256}");
        return Err(Failure { error: failed(url, &why), again: false });
    }
    file.keep(folder.join(&**sha256)).await
}

/// A file that is removed again unless it is kept.
struct Partial {
    path: PathBuf,
    file: tokio::fs::File,
    kept: bool,
}

impl Partial {
    fn create(path: PathBuf) -> Result<Self, Failure> {
        match std::fs::File::options().write(true).create_new(true).open(&path) {
            Ok(file) => Ok(Self { path, file: tokio::fs::File::from_std(file), kept: false }),
            Err(error) => Err(Failure { error: ArtifactError::io("write", &path, &error), again: false }),
        }
    }

    fn broken(&self, error: &std::io::Error) -> Failure {
        Failure { error: ArtifactError::io("write", &self.path, error), again: false }
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let written = self.file.write_all(bytes).await;
        written.map_err(|error| self.broken(&error))
    }

    async fn keep(mut self, path: PathBuf) -> Result<PathBuf, Failure> {
        let flushed = match self.file.flush().await {
            Ok(()) => self.file.sync_all().await,
            error => error,
        };
        flushed.and_then(|()| std::fs::rename(&self.path, &path)).map_err(|error| self.broken(&error))?;
        self.kept = true;
        Ok(path)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.kept {
            // What cannot be removed now is removed by a later fetch.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Makes a folder that others cannot look into, and those above it.
pub fn private_folder(folder: &Path) -> std::io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Removes what killed processes left behind long ago.
fn sweep(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with('.')) {
        let age = entry.metadata().ok().and_then(|file| file.modified().ok()?.elapsed().ok());
        if age.is_some_and(|age| age > STALE) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// A client with the certificates of the system.
fn client() -> Result<Client, ArtifactError> {
    let failed = |error: &dyn std::error::Error| ArtifactError::new(format!("no HTTP client: {}", chain(error)));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let tls = tls.map_err(|error| failed(&error))?.with_root_certificates(roots).with_no_client_auth();
    let builder = Client::builder().use_preconfigured_tls(tls).user_agent(concat!("pool/", env!("CARGO_PKG_VERSION")));
    let builder = builder.connect_timeout(CONNECT).read_timeout(SILENCE).redirect(Policy::custom(redirect));
    builder.build().map_err(|error| failed(&error))
}

/// A few redirects are followed; never from https to what anybody on the way can change.
fn redirect(attempt: reqwest::redirect::Attempt<'_>) -> reqwest::redirect::Action {
    let secure = attempt.previous().iter().any(|url| url.scheme() == "https");
    if attempt.previous().len() > REDIRECTS {
        attempt.error("the server redirects too often")
    } else if secure && attempt.url().scheme() != "https" {
        attempt.error("the server redirects from https to http")
    } else {
        attempt.follow()
    }
}
