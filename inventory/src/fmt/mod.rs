//! The canonical form of inventory files: `pool fmt`.
//!
//! Two spaces per level, lists indented below their key, sections in the order of the reference with one blank line between, double quotes, no
//! space at the end of lines. The formatter moves lines and never writes values anew, so that every comment stays; what it
//! made is read again and compared, and a text that it would change in meaning is left as it is.

mod layout;
mod sections;

use std::sync::Arc;

use granit_parser::{Event, Options, Parser};

use crate::{
    diagnostics::{Diagnostics, Problems},
    source::{FileId, SourceFile, Sources},
    yaml::{self, Node, Value},
};

/// Rounds until nothing changes any more; two are enough for every text known.
const MAX_ROUNDS: usize = 4;

/// The canonical form of an inventory file. Fails when it is not YAML.
pub fn format(text: &str) -> Result<String, Diagnostics> {
    format_file("pool.yaml", text)
}

/// The same, with the name that problems show.
pub fn format_file(name: &str, text: &str) -> Result<String, Diagnostics> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n");
    let meaning = read(name, &text)?;
    for reorder in [true, false] {
        if let Some(done) = settle(&text, &meaning, reorder) {
            return Ok(done);
        }
    }
    Ok(text)
}

/// Formats until nothing changes; none when meaning or comments would not survive.
fn settle(text: &str, meaning: &Node<'_>, reorder: bool) -> Option<String> {
    let mut current = sections::arrange(&layout::lay_out(text, meaning), reorder);
    if current == text {
        return Some(current);
    }
    let said = comments(text);
    for _ in 0..MAX_ROUNDS {
        let again = read("", &current).ok()?;
        if !same_root(meaning, &again) || said != comments(&current) {
            return None;
        }
        let next = sections::arrange(&layout::lay_out(&current, &again), reorder);
        if next == current {
            return Some(current);
        }
        current = next;
    }
    None
}

fn read<'s>(name: &str, text: &'s str) -> Result<Node<'s>, Diagnostics> {
    let mut problems = Problems::default();
    let root = yaml::parse(text, FileId(0), &mut 0, &mut problems);
    match root {
        Some(root) if problems.is_empty() => Ok(root),
        None if problems.is_empty() => {
            Ok(Node { span: crate::source::Span::new(FileId(0), 0..0), value: Value::Map(Vec::new()) })
        }
        _ => {
            let mut sources = Sources::default();
            sources.add(Arc::new(SourceFile::new(name, name, text)));
            Err(problems.with(sources))
        }
    }
}

/// Whether two files mean the same; the order of sections has no meaning.
fn same_root(a: &Node<'_>, b: &Node<'_>) -> bool {
    let (Value::Map(a_entries), Value::Map(b_entries)) = (&a.value, &b.value) else { return same(a, b) };
    let found = |key: &str| b_entries.iter().find(|entry| entry.key == key);
    a_entries.len() == b_entries.len()
        && a_entries.iter().all(|entry| found(&entry.key).is_some_and(|other| same(&entry.value, &other.value)))
}

fn same(a: &Node<'_>, b: &Node<'_>) -> bool {
    match (&a.value, &b.value) {
        (Value::Scalar(a), Value::Scalar(b)) => a == b,
        (Value::Seq(a), Value::Seq(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Map(a), Value::Map(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.key == b.key && same(&a.value, &b.value))
        }
        _ => false,
    }
}

/// All comments, sorted: sections may change places.
fn comments(text: &str) -> Vec<String> {
    let mut options = Options::default();
    options.max_buffered_comment_events = usize::MAX;
    let events = Parser::new_from_str_with_options(text, options);
    let mut found: Vec<String> = events
        .map_while(Result::ok)
        .filter_map(|(event, _)| match event {
            Event::Comment(text, _) => Some(text.trim_end().to_owned()),
            _ => None,
        })
        .collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests;
