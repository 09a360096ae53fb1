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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_follows_from_secret_and_token_and_from_nothing_else() {
        let of = |secret: &[u8], token: &str| derive(secret, &Token(token.into())).expect("a key");
        let key = of(b"secret", "aa01");
        assert_eq!(key.public, of(b"secret", "aa01").public);
        assert_eq!(*key.private, *of(b"secret", "aa01").private);
        assert_ne!(key.public, of(b"secret", "aa02").public);
        assert_ne!(key.public, of(b"Secret", "aa01").public);
        let read = PrivateKey::from_openssh(&*key.private).expect("OpenSSH's form");
        assert_eq!(read.public_key().to_openssh().expect("a public key"), *key.public);
        assert!(key.public.starts_with("ssh-ed25519 ") && key.public.len() < 255);
    }

    #[test]
    fn a_seed_is_made_once_and_for_its_owner_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ssh/host-keys.seed");
        let all: Vec<_> = std::thread::scope(|scope| {
            let made: Vec<_> = (0..8).map(|_| scope.spawn(|| seed(&path).expect("a seed"))).collect();
            made.into_iter().map(|one| one.join().expect("no panic")).collect()
        });
        assert!(all.iter().all(|one| **one == *all[0] && one.len() == 32));
        assert_eq!(std::fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(path.parent().expect("a folder")).expect("readable").count(), 1);
        std::fs::write(&path, "short").expect("written");
        assert!(seed(&path).is_err());
    }

    #[test]
    fn keys_are_read_from_a_whole_block_of_the_last_start() {
        let key = |token: &str| derive(b"secret", &Token(token.into())).expect("a key").public;
        let block = |key: &str| {
            format!(
                "-----BEGIN SSH HOST KEY KEYS-----\r\n[  9.1] cloud-init[612]: {key} root@web-1\r\nnoise\r\n-----END SSH HOST KEY KEYS-----\r\n"
            )
        };
        let (old, new) = (key("old"), key("new"));
        let twice = format!("boot\n{}\nlogin: boot\n{}", block(&old), block(&new));
        assert_eq!(of_console(&twice), std::slice::from_ref(&new));
        let cut = format!("{}-----BEGIN SSH HOST KEY KEYS-----\n{new}", block(&old));
        assert_eq!(of_console(&cut), Vec::<Text>::new());
        assert_eq!(of_console("login: "), Vec::<Text>::new());
        assert_eq!(of_console(&block("ssh-ed25519 AAAA")), Vec::<Text>::new(), "no key at all");
    }
}
