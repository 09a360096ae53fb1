//! Several files as one tree: top-level maps are merged, a key that is defined twice is an error.

use std::{collections::HashMap, sync::Arc};

use crate::{
    diagnostics::{Diagnostic, Problems},
    source::{FileId, SourceFile, Span},
    yaml::{self, Entry, Node, Value},
};

/// All files as one map.
pub struct Tree<'s> {
    /// The map; its place is that of `pool.yaml`.
    pub root: Node<'s>,
    /// Whether a file could not be read in full, so that what is missing may stand there.
    pub partial: bool,
}

/// Reads all files and merges them.
pub fn read<'s>(files: &'s [Arc<SourceFile>], problems: &mut Problems) -> Tree<'s> {
    let mut nodes = 0;
    let mut partial = false;
    let mut roots = Vec::new();
    for (index, file) in files.iter().enumerate() {
        let id = FileId(u32::try_from(index).unwrap_or(u32::MAX));
        let before = problems.len();
        let root = yaml::parse(&file.text, id, &mut nodes, problems);
        match root {
            Some(Node { value: Value::Map(entries), .. }) => roots.push(entries),
            Some(node) if node.is_null() => {}
            Some(node) => {
                let note = format!("this is {}", node.describe());
                problems.push(Diagnostic::at(node.span, "an inventory file must be a map of sections").note(note));
                partial = true;
            }
            None => partial |= problems.len() > before,
        }
    }
    let span = Span::new(FileId(0), 0..0);
    Tree { root: Node { span, value: Value::Map(merge(roots, problems)) }, partial }
}

fn merge<'s>(roots: Vec<Vec<Entry<'s>>>, problems: &mut Problems) -> Vec<Entry<'s>> {
    let mut merged: Vec<Entry<'s>> = Vec::new();
    let mut index: HashMap<String, usize> = HashMap::new();
    for entry in roots.into_iter().flatten() {
        let at = *index.entry(entry.key.to_string()).or_insert(merged.len());
        let Some(known) = merged.get_mut(at) else {
            merged.push(entry);
            continue;
        };
        if known.at.file == entry.at.file {
            continue; // twice in one file: the parser has said so
        }
        match (&mut known.value.value, entry.value.value) {
            (Value::Map(all), Value::Map(more)) => all.extend(more),
            (Value::Map(_), Value::Scalar(s)) if s.is_null() => {}
            (Value::Scalar(s), value) if s.is_null() => known.value = Node { span: entry.value.span, value },
            _ => problems.push(yaml::duplicate(&entry.key, known.at, entry.at)),
        }
    }
    for section in &mut merged {
        if let Value::Map(entries) = &mut section.value.value {
            across_files(entries, problems);
        }
    }
    merged
}

/// Keys of one section that two files define; the first is kept.
fn across_files(entries: &mut Vec<Entry<'_>>, problems: &mut Problems) {
    let Some(first) = entries.first() else { return };
    if entries.iter().all(|entry| entry.at.file == first.at.file) {
        return;
    }
    let mut seen: HashMap<String, Span> = HashMap::with_capacity(entries.len());
    entries.retain(|entry| match seen.get(&*entry.key) {
        Some(first) => {
            problems.push(yaml::duplicate(&entry.key, *first, entry.at));
            false
        }
        None => {
            seen.insert(entry.key.to_string(), entry.at);
            true
        }
    });
}
