//! Finding and reading the files of an inventory.

use std::{
    fs, io,
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{source::SourceFile, yaml::MAX_FILE};

/// The file that marks an inventory.
pub const ROOT_FILE: &str = "pool.yaml";

/// What the names of further files end in.
pub const FURTHER: &str = ".pool.yaml";

/// Most files of one inventory.
pub const MAX_FILES: usize = 4_096;

/// Deepest folder below the inventory that is searched.
pub const MAX_FOLDER_DEPTH: usize = 16;

/// Most folders that are searched.
pub const MAX_FOLDERS: usize = 65_536;

/// Why files cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// There is no inventory here.
    #[error("no {ROOT_FILE} in {} or any folder above it; go to an inventory, name one with `-C DIR`, or make one with `pool init`", .0.display())]
    NotFound(PathBuf),
    /// Something cannot be read.
    #[error("failed to read {}", path.display())]
    Io {
        /// What.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A budget is used up.
    #[error("{what} below {}: at most {limit} are read", root.display())]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The budget.
        limit: usize,
        /// The inventory.
        root: PathBuf,
    },
    /// A file is no text.
    #[error("{} is not UTF-8 text (byte {at})", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
        /// The first byte that is none.
        at: usize,
    },
    /// A file is too large.
    #[error("{} is larger than {} MiB", path.display(), limit >> 20)]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The budget, in bytes.
        limit: usize,
    },
}

impl FilesError {
    fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| Self::Io { path: path.to_owned(), source }
    }
}

/// The folder of the nearest `pool.yaml`, from `start` upwards.
pub fn find_root(start: &Path) -> Result<PathBuf, FilesError> {
    let start = fs::canonicalize(start).map_err(FilesError::io(start))?;
    let found = start.ancestors().find(|folder| folder.join(ROOT_FILE).is_file());
    found.map(Path::to_owned).ok_or(FilesError::NotFound(start))
}

/// The inventory's files: `pool.yaml`, then `*.pool.yaml` below it, sorted by path.
///
/// Dot folders and folders with a `pool.yaml` of their own are left alone; links to folders are not followed.
pub fn list(root: &Path) -> Result<Vec<PathBuf>, FilesError> {
    let first = root.join(ROOT_FILE);
    if !first.is_file() {
        return Err(FilesError::NotFound(root.to_owned()));
    }
    let mut found = Vec::new();
    let mut folders = vec![(root.to_owned(), 0)];
    let mut searched = 0;
    while let Some((folder, depth)) = folders.pop() {
        searched += 1;
        if searched > MAX_FOLDERS {
            return Err(FilesError::TooMany { what: "folders", limit: MAX_FOLDERS, root: root.to_owned() });
        }
        for entry in fs::read_dir(&folder).map_err(FilesError::io(&folder))? {
            let entry = entry.map_err(FilesError::io(&folder))?;
            let kind = entry.file_type().map_err(FilesError::io(&folder))?;
            let (path, name) = (entry.path(), entry.file_name());
            let name = name.to_string_lossy();
            if name.starts_with('.') {
                continue;
            }
            if kind.is_dir() {
                if depth < MAX_FOLDER_DEPTH && !path.join(ROOT_FILE).is_file() {
                    folders.push((path, depth + 1));
                }
            } else if name.ends_with(FURTHER) && path.is_file() {
                found.push(path);
            }
        }
        if found.len() >= MAX_FILES {
            return Err(FilesError::TooMany { what: "inventory files", limit: MAX_FILES, root: root.to_owned() });
        }
    }
    found.sort();
    found.insert(0, first);
    Ok(found)
}

/// Reads one file of an inventory.
pub fn read(root: &Path, path: &Path) -> Result<Arc<SourceFile>, FilesError> {
    let text = read_text(path, MAX_FILE)?;
    let name = path.strip_prefix(root).unwrap_or(path).display().to_string();
    Ok(Arc::new(SourceFile::new(path, name, text)))
}

/// Reads a text file of at most `limit` bytes.
pub fn read_text(path: &Path, limit: usize) -> Result<String, FilesError> {
    let file = fs::File::open(path).map_err(FilesError::io(path))?;
    if !file.metadata().map_err(FilesError::io(path))?.is_file() {
        let source = io::Error::new(io::ErrorKind::InvalidInput, "not a regular file");
        return Err(FilesError::Io { path: path.to_owned(), source });
    }
    let mut bytes = Vec::new();
    let bound = limit as u64 + 1;
    file.take(bound).read_to_end(&mut bytes).map_err(FilesError::io(path))?;
    if bytes.len() > limit {
        return Err(FilesError::TooLarge { path: path.to_owned(), limit });
    }
    String::from_utf8(bytes)
        .map_err(|error| FilesError::NotText { path: path.to_owned(), at: error.utf8_error().valid_up_to() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, name: &str, text: &[u8]) {
        let path = root.join(name);
        fs::create_dir_all(path.parent().expect("below the root")).expect("made");
        fs::write(path, text).expect("written");
    }

    #[test]
    fn the_nearest_folder_with_a_pool_yaml_is_the_root() {
        let temp = tempfile::tempdir().expect("a folder");
        let top = temp.path().canonicalize().expect("it exists");
        write(&top, "a/pool.yaml", b"");
        write(&top, "a/b/c/x", b"");
        assert_eq!(find_root(&top.join("a/b/c")).expect("found"), top.join("a"));
        let error = find_root(&top).expect_err("nothing there").to_string();
        assert!(error.contains("pool init"), "{error}");
    }

    #[test]
    fn further_files_are_found_where_they_should_be() {
        let temp = tempfile::tempdir().expect("a folder");
        let top = temp.path();
        for name in [
            "pool.yaml",
            "web.pool.yaml",
            "deep/er/db.pool.yaml",
            "deep/playbook.yaml",
            ".git/x.pool.yaml",
            ".hidden.pool.yaml",
            "other/pool.yaml",
            "other/y.pool.yaml",
        ] {
            write(top, name, b"");
        }
        let names: Vec<_> =
            list(top).expect("listed").iter().map(|p| read(top, p).expect("read").name.clone()).collect();
        assert_eq!(names, ["pool.yaml", "deep/er/db.pool.yaml", "web.pool.yaml"]);
    }

    #[test]
    fn what_is_no_text_or_too_large_is_refused() {
        let temp = tempfile::tempdir().expect("a folder");
        write(temp.path(), "pool.yaml", b"ab\xff");
        let path = temp.path().join("pool.yaml");
        assert!(matches!(read_text(&path, 10), Err(FilesError::NotText { at: 2, .. })));
        assert!(matches!(read_text(&path, 2), Err(FilesError::TooLarge { .. })));
        assert!(matches!(read_text(temp.path(), 10), Err(FilesError::Io { .. })));
    }
}
