//! Changing one value in the files of an inventory; comments and everything else stay as they are.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use crate::{
    diagnostics::Problems,
    files::{self, FilesError},
    source::FileId,
    yaml::{self, MAX_FILE, Node},
};

/// Why a value was not changed; no file was.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// The files cannot be read.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// The value does not stand in any file.
    #[error("{0} stands in no file of this inventory")]
    NotFound(String),
    /// The value comes from a variable.
    #[error("{at} is `{text}`, in {}: change the variable", path.display())]
    Variable {
        /// Which value.
        at: String,
        /// How it is written.
        text: String,
        /// In which file.
        path: PathBuf,
    },
    /// The file cannot be written.
    #[error("failed to write {}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Sets the scalar at `keys` to `value` and tells in which file. The file takes its place as a whole.
pub fn set(root: &Path, keys: &[&str], value: &str) -> Result<PathBuf, EditError> {
    let at = keys.join(".");
    for path in files::list(root)? {
        let text = files::read_text(&path, MAX_FILE)?;
        let Some(range) = find(&text, keys) else { continue };
        let old = &text[range.clone()];
        if old.contains("${") {
            return Err(EditError::Variable { at, text: old.to_owned(), path });
        }
        let quote = old.chars().next().filter(|c| matches!(c, '"' | '\'')).map(String::from).unwrap_or_default();
        let new = format!("{}{quote}{value}{quote}{}", &text[..range.start], &text[range.end..]);
        write(&path, &new).map_err(|source| EditError::Write { path: path.clone(), source })?;
        return Ok(path);
    }
    Err(EditError::NotFound(at))
}

/// Where the scalar stands, with its quotes.
fn find(text: &str, keys: &[&str]) -> Option<std::ops::Range<usize>> {
    let (mut nodes, mut problems) = (0, Problems::default());
    let tree = yaml::parse(text, FileId(0), &mut nodes, &mut problems)?;
    let found = keys.iter().try_fold(&tree, |node: &Node<'_>, key| node.get(key))?;
    found.scalar().map(|_| found.span.range())
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let fresh = folder.join(format!(".{name}.{}", std::process::id()));
    let result = (|| {
        let mut file = std::fs::File::create(&fresh)?;
        file.set_permissions(std::fs::metadata(path)?.permissions())?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&fresh, path)
    })();
    if result.is_err() {
        let _ = std::fs::remove_file(&fresh);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_is_changed_and_everything_else_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let text =
            "version: 1 # one\nname: a\nclusters:\n  # ours\n  k8s: { type: kubernetes, version: \"1.34.4\" } # here\n";
        std::fs::write(folder.path().join("pool.yaml"), text).expect("a file");
        set(folder.path(), &["clusters", "k8s", "version"], "1.35.4").expect("it is there");
        let now = std::fs::read_to_string(folder.path().join("pool.yaml")).expect("a file");
        assert_eq!(now, text.replace("1.34.4", "1.35.4"));
        let missing = set(folder.path(), &["clusters", "other", "version"], "1").expect_err("it is not there");
        assert!(missing.to_string().contains("clusters.other.version"), "{missing}");
    }

    #[test]
    fn what_comes_from_a_variable_is_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let text = "version: 1\nname: a\nclusters: { k8s: { version: \"${var.k8s}\" } }\n";
        std::fs::write(folder.path().join("pool.yaml"), text).expect("a file");
        assert!(matches!(
            set(folder.path(), &["clusters", "k8s", "version"], "1.35.4"),
            Err(EditError::Variable { .. })
        ));
    }
}
