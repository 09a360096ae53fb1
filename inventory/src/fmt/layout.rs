//! Where each line of a file should begin.

use std::ops::Range;

use crate::{
    load::keys::ROOT,
    source::Span,
    yaml::{Entry, Node, Value},
};

/// Spaces per level.
const STEP: usize = 2;

/// A line as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its text, without the line break.
    pub text: String,
    /// What it is.
    pub role: Role,
}

/// What a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A key of the inventory itself: its place in the canonical order, and whether its value is a scalar.
    Section {
        /// Rank among sections.
        rank: usize,
        /// Whether it is one line's worth, like `name`.
        scalar: bool,
    },
    /// A comment alone on its line.
    Comment,
    /// Nothing.
    Blank,
    /// Part of a value that spans lines: its blanks may have a meaning.
    Raw,
    /// `---` and the like.
    Marker,
    /// Anything else.
    Other,
}

/// A change within a line.
struct Edit {
    range: Range<usize>,
    with: &'static str,
}

struct Layout<'t> {
    text: &'t str,
    /// First byte of each line.
    starts: Vec<usize>,
    /// Where a line should begin, for lines that begin a key or an item.
    indent: Vec<Option<usize>>,
    /// For lines inside a value: the line that the value begins on.
    inside: Vec<Option<usize>>,
    sections: Vec<Option<Role>>,
    edits: Vec<Edit>,
}

/// The lines of a file in canonical form, in the order of the file.
pub fn lay_out(text: &str, root: &Node<'_>) -> Vec<Line> {
    let starts: Vec<usize> = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
    let count = starts.len();
    let mut layout = Layout {
        text,
        starts,
        indent: vec![None; count],
        inside: vec![None; count],
        sections: vec![None; count],
        edits: Vec::new(),
    };
    for entry in root.entries() {
        let rank = ROOT.keys.iter().position(|key| key.name == entry.key).unwrap_or(ROOT.keys.len());
        let line = layout.line_of(entry.at.range().start);
        let scalar = entry.value.scalar().is_some();
        layout.sections[line] = Some(Role::Section { rank, scalar });
    }
    layout.node(root, 0, 0..0);
    layout.edits.sort_by_key(|edit| edit.range.start);
    layout.lines()
}

impl Layout<'_> {
    fn line_of(&self, offset: usize) -> usize {
        self.starts.partition_point(|start| *start <= offset).saturating_sub(1)
    }

    /// `owner` is the key or dash that the node stands behind.
    fn node(&mut self, node: &Node<'_>, depth: usize, owner: Range<usize>) {
        match &node.value {
            Value::Scalar(_) => {
                self.mark_inside(node.span, owner);
                self.quotes(node.span);
            }
            _ if self.is_flow(node.span) => {
                self.mark_inside(node.span, owner);
                self.quotes_below(node);
            }
            Value::Map(entries) => entries.iter().for_each(|entry| self.entry(entry, depth)),
            Value::Seq(items) => items.iter().for_each(|item| self.item(item, depth)),
        }
    }

    fn is_flow(&self, span: Span) -> bool {
        self.text[span.range().start.min(self.text.len())..].starts_with(['{', '['])
    }

    fn entry(&mut self, entry: &Entry<'_>, depth: usize) {
        let at = entry.at.range();
        let line = self.line_of(at.start);
        if self.text[self.starts[line]..at.start].bytes().all(|b| b == b' ') {
            self.indent[line] = Some(depth * STEP);
        }
        self.quotes(entry.at);
        let value = entry.value.span.range();
        let between = self.text.get(at.end..value.start).unwrap_or("");
        if between.len() > 2 && between.starts_with(':') && between[1..].bytes().all(|b| b == b' ') {
            self.edits.push(Edit { range: at.end..value.start, with: ": " });
        }
        self.node(&entry.value, depth + 1, at);
    }

    fn item(&mut self, item: &Node<'_>, depth: usize) {
        let start = item.span.range().start.min(self.text.len());
        let line = self.line_of(start);
        let before = &self.text[self.starts[line]..start];
        let gap = before.len() - before.trim_end_matches(' ').len();
        let head = before.trim_end_matches(' ');
        if let Some(lead) = head.strip_suffix('-') {
            if lead.bytes().all(|b| b == b' ') {
                self.indent[line] = Some(depth * STEP);
            }
            if gap > 1 {
                self.edits.push(Edit { range: start - gap..start, with: " " });
            }
        }
        let dash = self.starts[line] + head.len();
        self.node(item, depth + 1, dash.saturating_sub(1)..dash);
    }

    /// Lines of a value after that of its key.
    fn mark_inside(&mut self, span: Span, owner: Range<usize>) {
        let Range { start, end } = span.range();
        let text = self.text.get(start..end).unwrap_or("");
        let header = self.text.get(owner.end..start).unwrap_or("");
        let keeps = header.lines().next().is_some_and(|header| header.contains(['|', '>']) && header.contains('+'));
        // The parser's place of a block may reach into the indentation of what follows, or over blank lines that mean nothing.
        let text = if keeps { text.trim_end_matches(' ') } else { text.trim_end() };
        if text.is_empty() {
            return;
        }
        let first = self.line_of(owner.start);
        let last = self.line_of(start + text.len() - 1);
        for line in first + 1..=last {
            self.inside[line] = Some(first);
        }
    }

    /// `'text'` becomes `"text"` where that is the same.
    fn quotes(&mut self, span: Span) {
        let range = span.range();
        let Some(inner) = self.text.get(range.clone()).and_then(|t| t.strip_prefix('\'')?.strip_suffix('\'')) else {
            return;
        };
        if !inner.contains(['\'', '"', '\\', '\n']) {
            self.edits.push(Edit { range: range.start..range.start + 1, with: "\"" });
            self.edits.push(Edit { range: range.end - 1..range.end, with: "\"" });
        }
    }

    fn quotes_below(&mut self, node: &Node<'_>) {
        match &node.value {
            Value::Scalar(_) => self.quotes(node.span),
            Value::Seq(items) => items.iter().for_each(|item| self.quotes_below(item)),
            Value::Map(entries) => {
                for entry in entries {
                    self.quotes(entry.at);
                    self.quotes_below(&entry.value);
                }
            }
        }
    }

    fn lines(self) -> Vec<Line> {
        let count = self.starts.len();
        let mut lines = Vec::with_capacity(count);
        let mut edits = self.edits.iter().peekable();
        for line in 0..count {
            let start = self.starts[line];
            let end = self.starts.get(line + 1).map_or(self.text.len(), |next| next - 1);
            let mut text = String::with_capacity(end - start);
            let mut at = start;
            while let Some(edit) = edits.next_if(|edit| edit.range.end <= end) {
                text.push_str(self.text.get(at..edit.range.start).unwrap_or(""));
                text.push_str(edit.with);
                at = edit.range.end;
            }
            text.push_str(self.text.get(at..end).unwrap_or(""));
            lines.push(self.line(line, text));
        }
        lines
    }

    fn line(&self, line: usize, text: String) -> Line {
        let body = text.trim_start_matches(' ');
        let old = text.len() - body.len();
        if let Some(owner) = self.inside[line] {
            let shifted = if body.is_empty() { text } else { " ".repeat(self.shifted(owner, old)) + body };
            return Line { text: shifted, role: Role::Raw };
        }
        let opens = self.inside.get(line + 1).copied().flatten() == Some(line);
        let body = if opens { body } else { body.trim_end() };
        if let Some(indent) = self.indent[line] {
            let role = self.sections[line].unwrap_or(Role::Other);
            return Line { text: " ".repeat(indent) + body, role };
        }
        let (indent, role) = match body {
            "" => (0, Role::Blank),
            body if body.starts_with('#') => (self.comment(line, old), Role::Comment),
            body if old == 0 && (body.starts_with("---") || body.starts_with("...") || body.starts_with('%')) => {
                (0, Role::Marker)
            }
            _ => (old, self.sections[line].unwrap_or(Role::Other)),
        };
        Line { text: " ".repeat(indent) + body, role }
    }

    /// What stood at `old` moves with the line that it belongs to.
    fn shifted(&self, owner: usize, old: usize) -> usize {
        let Some(new) = self.indent[owner] else { return old };
        (old + new).saturating_sub(self.indent_of(owner))
    }

    /// A comment stands with the next key, unless it is indented like what came before.
    fn comment(&self, line: usize, old: usize) -> usize {
        let begins = |line: &usize| self.indent[*line].is_some();
        let next = (line + 1..self.starts.len()).find(begins);
        if let Some(next) = next.filter(|next| self.indent_of(*next) == old) {
            return self.indent[next].unwrap_or(old);
        }
        let before = (0..line).rev().filter(begins);
        let like = before.take_while(|n| self.indent_of(*n) > 0 || old == 0).find(|n| self.indent_of(*n) == old);
        let nearest = (0..line).rev().find(begins);
        match (like, nearest, next) {
            (Some(like), _, _) => self.indent[like].unwrap_or(old),
            (None, Some(_), Some(next)) if old < self.indent_of(next) => self.indent[next].unwrap_or(old),
            (None, Some(nearest), _) => self.shifted(nearest, old),
            (None, None, Some(next)) => self.indent[next].unwrap_or(old),
            (None, None, None) => old,
        }
    }

    fn indent_of(&self, line: usize) -> usize {
        let text = &self.text[self.starts[line]..];
        text.len() - text.trim_start_matches(' ').len()
    }
}
