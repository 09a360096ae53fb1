//! The SSH keys of hosts: given to them, or read from their consoles.

use std::{io, path::Path};

use aws_lc_rs::hkdf;
use pool_inventory::{Text, Token};
use russh::keys::{
    PrivateKey,
    ssh_key::{LineEnding, private::Ed25519Keypair},
};
use zeroize::Zeroizing;

use crate::{
    ProviderError,
    openstack::{Places, Secret},
};

impl Places {
    /// The secret that host keys are derived from.
    pub(super) fn secret(&self) -> Result<Secret, ProviderError> {
        match &self.host_keys {
            Some(secret) if !secret.0.is_empty() => Ok(secret.clone()),
            Some(_) => Err(ProviderError::Other("the secret that `host_keys` names is empty".into())),
            None => seed(&self.seed).map(Secret),
        }
    }
}

/// The host key of one host.
pub(super) struct HostKey {
    /// The private half, in OpenSSH form.
    pub private: Zeroizing<String>,
    /// The public half, in OpenSSH form.
    pub public: Text,
}

/// The key of the host that a creation with this token makes: always the same, so that a creation that is asked for
/// again says the same, and nothing secret is kept anywhere but in the seed.
pub(super) fn derive(secret: &[u8], token: &Token) -> Result<HostKey, ProviderError> {
    let what = |error: &dyn std::fmt::Display| ProviderError::Other(format!("making a host key: {error}").into());
    let mut seed = Zeroizing::new([0; 32]);
    let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, b"pool openstack host key");
    let info = [token.0.as_bytes()];
    let expanded = salt.extract(secret);
    let expanded = expanded.expand(&info, hkdf::HKDF_SHA256).map_err(|error| what(&error))?;
    expanded.fill(seed.as_mut()).map_err(|error| what(&error))?;
    let key = PrivateKey::from(Ed25519Keypair::from_seed(&seed));
    let private = key.to_openssh(LineEnding::LF).map_err(|error| what(&error))?;
    let public = key.public_key().to_openssh().map_err(|error| what(&error))?;
    Ok(HostKey { private, public: public.into() })
}

/// Reads the seed; makes it, for the owner alone, where there is none.
fn seed(path: &Path) -> Result<Zeroizing<Vec<u8>>, ProviderError> {
    let what = |error: io::Error| {
        ProviderError::Other(format!("the seed of host keys {} cannot be used: {error}", path.display()).into())
    };
    match std::fs::read(path) {
        Ok(bytes) if bytes.len() >= 32 => return Ok(Zeroizing::new(bytes)),
        Ok(_) => return Err(what(io::Error::other("it is shorter than 32 bytes"))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(what(error)),
    }
    let mut bytes = Zeroizing::new(vec![0; 32]);
    getrandom::fill(&mut bytes).map_err(|error| what(io::Error::other(error.to_string())))?;
    match keep(path, &bytes) {
        // Another process was faster: both use what it wrote.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => seed(path),
        Err(error) => Err(what(error)),
        Ok(()) => Ok(bytes),
    }
}

/// Writes a file that is whole from the moment that it has its name, and never overwrites one.
fn keep(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::{
        io::Write,
        os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    };
    if let Some(folder) = path.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
    let draft = path.with_extension(format!("{}.new", pool_inventory::names::hex(&random)));
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    let kept = file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| std::fs::hard_link(&draft, path));
    std::fs::remove_file(&draft)?;
    kept
}

/// The host keys that cloud-init shows on a console; empty: not yet.
pub(super) fn of_console(console: &str) -> Vec<Text> {
    const BEGIN: &str = "-----BEGIN SSH HOST KEY KEYS-----";
    const END: &str = "-----END SSH HOST KEY KEYS-----";
    // The last start counts, and only a whole block.
    let Some((_, rest)) = console.rsplit_once(BEGIN) else { return Vec::new() };
    let Some((block, _)) = rest.split_once(END) else { return Vec::new() };
    let key = |line: &str| -> Option<Text> {
        // Some systems log with a prefix before each line.
        let at = line.find("ssh-").into_iter().chain(line.find("ecdsa-sha2-")).min()?;
        let mut words = line[at..].split_whitespace();
        let (kind, blob) = (words.next()?, words.next()?);
        russh::keys::PublicKey::from_openssh(&format!("{kind} {blob}")).ok()?;
        Some(format!("{kind} {blob}").into())
    };
    block.lines().filter_map(key).collect()
}
