//! The texts that an inventory was read from, and places in them.

use std::{
    ops::Range,
    path::PathBuf,
    sync::{Arc, OnceLock},
};

/// One file that was read.
#[derive(Debug)]
pub struct SourceFile {
    /// Where it is.
    pub path: PathBuf,
    /// What messages call it: its path below the inventory's folder.
    pub name: String,
    /// What stood in it.
    pub text: String,
    /// First byte of each line; found when it is first asked for.
    lines: OnceLock<Vec<usize>>,
}

impl PartialEq for SourceFile {
    fn eq(&self, other: &Self) -> bool {
        (&self.path, &self.name, &self.text) == (&other.path, &other.name, &other.text)
    }
}

impl Eq for SourceFile {}

impl SourceFile {
    /// A file that was read.
    pub fn new(path: impl Into<PathBuf>, name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { path: path.into(), name: name.into(), text: text.into(), lines: OnceLock::new() }
    }

    /// Line and column of a byte offset, both from 1; columns count characters.
    pub fn position(&self, offset: usize) -> (usize, usize) {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        let find = || std::iter::once(0).chain(self.text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        let lines = self.lines.get_or_init(find);
        let line = lines.partition_point(|start| *start <= offset);
        let start = lines.get(line - 1).copied().unwrap_or(0);
        (line, self.text[start..offset].chars().count() + 1)
    }
}

/// Which file of [`Sources`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub u32);

/// Bytes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The file.
    pub file: FileId,
    /// First byte.
    pub start: u32,
    /// The byte after the last.
    pub end: u32,
}

impl Span {
    /// A span of a file; what lies beyond 4 GiB is cut off, which [`crate::files`] never reads.
    pub fn new(file: FileId, range: Range<usize>) -> Self {
        let cut = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Self { file, start: cut(range.start), end: cut(range.end.max(range.start)) }
    }

    /// As a range of bytes.
    pub fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// A part of this span, by offsets from its start.
    pub fn part(self, range: Range<usize>) -> Self {
        let start = self.start as usize;
        Self::new(self.file, start + range.start..start + range.end)
    }
}

/// All files that were read, in the order of reading. Cheap to clone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources(Vec<Arc<SourceFile>>);

impl Sources {
    /// Adds a file.
    pub fn add(&mut self, file: Arc<SourceFile>) -> FileId {
        self.0.push(file);
        FileId(u32::try_from(self.0.len() - 1).unwrap_or(u32::MAX))
    }

    /// The file of an id.
    pub fn get(&self, id: FileId) -> Option<&Arc<SourceFile>> {
        self.0.get(id.0 as usize)
    }

    /// All files.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<SourceFile>> {
        self.0.iter()
    }

    /// The text under a span; empty where the span fits no file.
    pub fn slice(&self, span: Span) -> &str {
        self.get(span.file).and_then(|file| file.text.get(span.range())).unwrap_or("")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters_and_survive_odd_offsets() {
        let file = SourceFile::new("a", "a", "é: 1\n  ü: 2\n");
        assert_eq!(file.position(0), (1, 1));
        assert_eq!(file.position(file.text.find('ü').expect("there")), (2, 3));
        assert_eq!(file.position(1), (1, 1), "inside a character counts as its start");
        assert_eq!(file.position(999), (3, 1));
    }
}
