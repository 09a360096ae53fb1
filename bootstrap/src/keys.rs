//! Key pairs for logins.

use std::{fmt, io, path::Path, sync::Arc};

use pool_inventory::Text;
use russh::keys::{Algorithm, PrivateKey, key::safe_rng, ssh_key::LineEnding};
use zeroize::Zeroizing;

/// A private key; never printed, wiped from memory when dropped.
#[derive(Clone)]
pub struct Key(Arc<PrivateKey>);

/// A key that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Not a private key.
    #[error("this is not a private key in a form that OpenSSH writes")]
    Unreadable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Protected by a passphrase.
    #[error("this private key is protected by a passphrase; load it into an agent and say `agent: true`")]
    Encrypted,
    /// The file cannot be written or read.
    #[error("the key file {path} cannot be used")]
    File {
        /// The file.
        path: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

impl Key {
    /// The public key in OpenSSH form, without a comment.
    pub fn public(&self) -> Text {
        let mut key = self.0.public_key().clone();
        key.set_comment("");
        key.to_openssh().unwrap_or_default().trim().into()
    }

    pub(crate) fn secret(&self) -> Arc<PrivateKey> {
        self.0.clone()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.public())
    }
}

/// Reads a private key (OpenSSH, PKCS#8 or PEM).
pub fn load(bytes: &[u8]) -> Result<Key, KeyError> {
    let text = std::str::from_utf8(bytes).map_err(|error| KeyError::Unreadable(error.into()))?;
    match russh::keys::decode_secret_key(text, None) {
        Ok(key) if key.is_encrypted() => Err(KeyError::Encrypted),
        Ok(key) => Ok(Key(Arc::new(key))),
        Err(russh::keys::Error::KeyIsEncrypted) => Err(KeyError::Encrypted),
        Err(error) => Err(KeyError::Unreadable(error.into())),
    }
}

/// Makes an Ed25519 key pair at `path` (mode 0600; the folder is made, mode 0700) unless it is there already.
///
/// Two processes that do this at once end with the same key: the file appears whole, and only once.
pub fn generate(path: &Path) -> Result<Key, KeyError> {
    let failed = |source| KeyError::File { path: path.display().to_string(), source };
    match std::fs::read(path) {
        Ok(bytes) => return load(&Zeroizing::new(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let mut key =
        PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).map_err(|error| KeyError::Unreadable(error.into()))?;
    key.set_comment("pool");
    let text = key.to_openssh(LineEnding::LF).map_err(|error| KeyError::Unreadable(error.into()))?;
    publish(path, text.as_bytes()).map_err(failed)?;
    let bytes = std::fs::read(path).map_err(failed)?;
    load(&Zeroizing::new(bytes))
}

/// Writes a private file beside `path` and links it there; a file that is there already stays.
fn publish(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::{
        io::Write,
        os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    };
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let temporary = folder.join(format!(".key-{}-{:x}", std::process::id(), crate::nonce()));
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    let linked = written.and_then(|()| match std::fs::hard_link(&temporary, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    });
    std::fs::remove_file(&temporary)?;
    linked
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_key_pair_is_made_once_and_kept_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ssh/id_ed25519");
        let first = generate(&path).unwrap();
        assert!(first.public().starts_with("ssh-ed25519 AAAA"), "{}", first.public());
        assert_eq!(generate(&path).unwrap().public(), first.public());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let left: Vec<_> = std::fs::read_dir(path.parent().unwrap()).unwrap().collect();
        assert_eq!(left.len(), 1, "nothing but the key is left");
    }

    #[test]
    fn nothing_secret_is_printed() {
        let folder = tempfile::tempdir().unwrap();
        let key = generate(&folder.path().join("id")).unwrap();
        let text = std::fs::read_to_string(folder.path().join("id")).unwrap();
        let secret = text.lines().nth(3).unwrap();
        assert!(!format!("{key:?}").contains(secret));
    }

    #[test]
    fn what_is_no_key_is_refused_with_a_reason() {
        assert!(matches!(load(b"hello"), Err(KeyError::Unreadable(_))));
        assert!(matches!(load(&[0xff, 0xfe]), Err(KeyError::Unreadable(_))));
    }
}
