//! Resolving references to secrets, at the last moment, into memory that is wiped.

use std::path::Path;

use pool_inventory::{Text, desired::SecretRef};
use zeroize::Zeroizing;

/// A secret larger than this is a mistake in the reference.
const LARGEST: u64 = 64 * 1024;

/// Why a secret could not be resolved; names the reference, never the value.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The variable is not set.
    #[error("environment variable {0} is not set")]
    NoVariable(Text),
    /// The file cannot be read.
    #[error("failed to read the secret file {path}: {source}")]
    File {
        /// Which.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// It is too large.
    #[error("the secret of {0} is larger than {LARGEST} bytes")]
    TooLarge(String),
    /// The command failed.
    #[error("the secret command `{command}` failed: {why}")]
    Command {
        /// Which.
        command: String,
        /// Why; never its output.
        why: String,
    },
}

/// Resolves a reference. Relative paths start at `root`, `~/` at the home folder. One trailing newline of a file or a
/// command is not part of the secret.
pub fn resolve(reference: &SecretRef, root: &Path) -> Result<Zeroizing<Vec<u8>>, SecretError> {
    match reference {
        SecretRef::Env(name) => match std::env::var_os(&**name) {
            Some(value) => Ok(Zeroizing::new(value.into_encoded_bytes())),
            None => Err(SecretError::NoVariable(name.clone())),
        },
        SecretRef::File(path) => file(path, root),
        SecretRef::Exec(argv) => exec(argv, root),
    }
}

fn file(path: &str, root: &Path) -> Result<Zeroizing<Vec<u8>>, SecretError> {
    let full = match (path.strip_prefix("~/"), std::env::home_dir()) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => root.join(path),
    };
    let error = |source| SecretError::File { path: full.display().to_string(), source };
    if std::fs::metadata(&full).map_err(error)?.len() > LARGEST {
        return Err(SecretError::TooLarge(full.display().to_string()));
    }
    Ok(Zeroizing::new(std::fs::read(&full).map_err(error)?))
}

fn exec(argv: &[Text], root: &Path) -> Result<Zeroizing<Vec<u8>>, SecretError> {
    let command = argv.join(" ");
    let error = |why: String| SecretError::Command { command: command.clone(), why };
    let (program, args) = argv.split_first().ok_or_else(|| error("it is empty".to_owned()))?;
    let mut run = std::process::Command::new(&**program);
    run.args(args.iter().map(|arg| &**arg)).current_dir(root).stdin(std::process::Stdio::null());
    let output = run.output().map_err(|e| error(e.to_string()))?;
    let mut secret = Zeroizing::new(output.stdout);
    if !output.status.success() {
        return Err(error(output.status.to_string()));
    }
    if secret.len() as u64 > LARGEST {
        return Err(SecretError::TooLarge(command));
    }
    if secret.last() == Some(&b'\n') {
        secret.pop();
    }
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_commands_resolve_and_errors_name_the_reference_only() {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join("s"), "hunter2").expect("a file");
        let get = |r: SecretRef| resolve(&r, dir.path());
        assert_eq!(get(SecretRef::File("s".into())).expect("a secret").as_slice(), b"hunter2");
        assert_eq!(get(SecretRef::Exec(vec!["cat".into(), "s".into()])).expect("a secret").as_slice(), b"hunter2");
        let failed = get(SecretRef::Exec(vec!["sh".into(), "-c".into(), "echo hunter2; exit 3".into()]));
        let text = failed.expect_err("it fails").to_string();
        assert!(text.contains("exit status: 3"), "{text}");
        assert!(get(SecretRef::Env("POOL_SURELY_NOT_SET".into())).is_err());
        assert!(get(SecretRef::File("none".into())).is_err());
    }
}
