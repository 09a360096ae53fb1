//! YAML as a small tree whose every node knows its place.
//!
//! Inventory files use a part of YAML: maps with text keys, lists, scalars, comments. Anchors, aliases, tags, directives
//! and several documents in one file are refused, because they make a file hard to read in a review and cheap to
//! blow up. All budgets are constants here.

use std::{borrow::Cow, collections::HashMap};

use granit_parser::{Event, Options, Parser, ScalarStyle, ScanError, Span as YamlSpan};

use crate::{
    diagnostics::{Diagnostic, Problems},
    source::{FileId, Span},
};

/// Largest file, in bytes: six times an inventory of 10,000 pools.
pub const MAX_FILE: usize = 32 << 20;

/// Most nodes (maps, lists, scalars, keys) of all files together: four times an inventory of 10,000 pools with 50 each.
pub const MAX_NODES: usize = 2_000_000;

/// Deepest nesting; the deepest thing that means something lies at 7.
pub const MAX_DEPTH: usize = 24;

/// A piece of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Node<'s> {
    /// Where it stands.
    pub span: Span,
    /// What it is.
    pub value: Value<'s>,
}

/// What a piece of a file is.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'s> {
    /// Text, number, truth value, nothing.
    Scalar(Scalar<'s>),
    /// Keys with values, in the order of the file.
    Map(Vec<Entry<'s>>),
    /// A list.
    Seq(Vec<Node<'s>>),
}

/// A scalar as it is written; what it means depends on where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Scalar<'s> {
    /// Its text, escapes resolved.
    pub text: Cow<'s, str>,
    /// Whether it stands without quotes.
    pub plain: bool,
    /// Whether `${…}` in it was replaced.
    pub filled: bool,
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry<'s> {
    /// The key.
    pub key: Cow<'s, str>,
    /// Where the key stands.
    pub at: Span,
    /// The value.
    pub value: Node<'s>,
}

impl Scalar<'_> {
    /// Whether this is YAML's null.
    pub fn is_null(&self) -> bool {
        self.plain && !self.filled && matches!(&*self.text, "" | "~" | "null" | "Null" | "NULL")
    }
}

impl<'s> Node<'s> {
    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Node<'s>> {
        self.entries().iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// Keys with values; none for what is no map.
    pub fn entries(&self) -> &[Entry<'s>] {
        if let Value::Map(entries) = &self.value { entries } else { &[] }
    }

    /// Items; none for what is no list.
    pub fn items(&self) -> &[Node<'s>] {
        if let Value::Seq(items) = &self.value { items } else { &[] }
    }

    /// The scalar, if it is one.
    pub fn scalar(&self) -> Option<&Scalar<'s>> {
        if let Value::Scalar(scalar) = &self.value { Some(scalar) } else { None }
    }

    /// The scalar's text, if it is one and not null.
    pub fn text(&self) -> Option<&str> {
        self.scalar().filter(|scalar| !scalar.is_null()).map(|scalar| &*scalar.text)
    }

    /// Whether this is null.
    pub fn is_null(&self) -> bool {
        self.scalar().is_some_and(Scalar::is_null)
    }

    /// What a message calls it.
    pub fn describe(&self) -> &'static str {
        match &self.value {
            Value::Scalar(scalar) if scalar.is_null() => "nothing",
            Value::Scalar(scalar) if scalar.plain && scalar.text.parse::<f64>().is_ok() => "a number",
            Value::Scalar(scalar) if scalar.plain && matches!(&*scalar.text, "true" | "false") => "a truth value",
            Value::Scalar(_) => "text",
            Value::Map(_) => "a map",
            Value::Seq(_) => "a list",
        }
    }
}

/// Reads one file. `nodes` counts the nodes of all files so far. None when nothing of it can be used.
pub fn parse<'s>(text: &'s str, file: FileId, nodes: &mut usize, problems: &mut Problems) -> Option<Node<'s>> {
    if text.len() > MAX_FILE {
        problems.push(Diagnostic::at(
            Span::new(file, 0..0),
            format!("the file has {} MiB; at most {} MiB are read", text.len() >> 20, MAX_FILE >> 20),
        ));
        return None;
    }
    let mut options = Options::default();
    options.set_emit_comments(false);
    // Ours is the narrower limit, with the better message; its scanner runs ahead of us.
    options.flow_nesting_limit = MAX_DEPTH * 4;
    options.block_nesting_limit = MAX_DEPTH * 4;
    let events = Parser::new_from_str_with_options(text, options);
    let mut build = Build { text, file, nodes, problems, open: Vec::new(), root: None, documents: 0 };
    for event in events {
        let step = match event {
            Ok((event, span)) => build.event(event, &span),
            Err(error) => {
                build.syntax(&error);
                return None;
            }
        };
        step?;
    }
    build.root
}

/// A map or list that is not closed yet.
enum Open<'s> {
    Map { entries: Vec<Entry<'s>>, key: Option<Pending<'s>>, start: usize, seen: HashMap<Cow<'s, str>, Span> },
    Seq { items: Vec<Node<'s>>, start: usize },
}

/// A key whose value has not come yet.
struct Pending<'s> {
    name: Cow<'s, str>,
    at: Span,
    /// Defined before: the first is kept.
    again: bool,
}

struct Build<'s, 'p> {
    text: &'s str,
    file: FileId,
    nodes: &'p mut usize,
    problems: &'p mut Problems,
    open: Vec<Open<'s>>,
    root: Option<Node<'s>>,
    documents: usize,
}

impl<'s> Build<'s, '_> {
    fn span(&self, span: &YamlSpan) -> Span {
        let range = span.byte_range().unwrap_or(0..0);
        Span::new(self.file, range.start.min(self.text.len())..range.end.min(self.text.len()))
    }

    fn refuse(&mut self, span: Span, message: &str, help: &str) {
        self.problems.push(Diagnostic::at(span, message).help(help));
    }

    fn syntax(&mut self, error: &ScanError) {
        let at = error.marker().byte_offset().unwrap_or(self.text.len()).min(self.text.len());
        let end = self.text[at..].char_indices().nth(1).map_or(self.text.len(), |(n, _)| at + n);
        let span = Span::new(self.file, at..end);
        let mut problem = Diagnostic::at(span, format!("not YAML: {}", error.info()));
        let line = self.text[..at].rfind('\n').map_or(0, |n| n + 1);
        if self.text[line..end].contains("${") {
            problem = problem.help("inside `{ }` and `[ ]`, write values with `${…}` in quotes: \"${var.NAME}\"");
        }
        self.problems.push(problem);
    }

    /// None: the file is of no further use.
    fn event(&mut self, event: Event<'s>, span: &YamlSpan) -> Option<()> {
        let place = self.span(span);
        if event.is_node() {
            *self.nodes += 1;
            if *self.nodes > MAX_NODES {
                self.refuse(place, &format!("the inventory has more than {MAX_NODES} nodes"), "split it");
                return None;
            }
        }
        if event.tag().is_some() {
            self.refuse(place, "tags have no meaning here", "remove the `!…`");
        }
        if event.anchor_id().is_some_and(|id| id > 0) {
            self.refuse(place, "anchors are not used here", "declare a variable and write `${var.NAME}`");
        }
        match event {
            Event::DocumentStart(..) => self.document(place),
            Event::Alias(_) => {
                self.refuse(place, "aliases are not used here", "declare a variable and write `${var.NAME}`");
                self.add(Node { span: place, value: null() })
            }
            Event::Scalar(text, style, ..) => {
                let scalar = Scalar { text, plain: style == ScalarStyle::Plain, filled: false };
                self.add(Node { span: place, value: Value::Scalar(scalar) })
            }
            Event::SequenceStart(..) => self.push(Open::Seq { items: Vec::new(), start: place.range().start }, place),
            Event::MappingStart(..) => {
                let start = place.range().start;
                self.push(Open::Map { entries: Vec::new(), key: None, start, seen: HashMap::new() }, place)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(place),
            _ => Some(()),
        }
    }

    fn document(&mut self, at: Span) -> Option<()> {
        self.documents += 1;
        if self.documents > 1 {
            self.refuse(at, "a second YAML document", "put it into a file of its own, NAME.pool.yaml");
            return None;
        }
        Some(())
    }

    fn push(&mut self, open: Open<'s>, at: Span) -> Option<()> {
        if self.open.len() >= MAX_DEPTH {
            self.refuse(at, &format!("nested deeper than {MAX_DEPTH} levels"), "nothing in an inventory lies so deep");
            return None;
        }
        self.open.push(open);
        Some(())
    }

    fn close(&mut self, end: Span) -> Option<()> {
        // A bracket ends the node; without one, its last part does.
        let bracket = (end.end > end.start).then(|| end.range().end);
        let (start, last, value) = match self.open.pop()? {
            Open::Map { entries, start, .. } => {
                let last = entries.last().map(|e| e.value.span.range().end.max(e.at.range().end));
                (start, last, Value::Map(entries))
            }
            Open::Seq { items, start } => {
                let last = items.last().map(|item| item.span.range().end);
                (start, last, Value::Seq(items))
            }
        };
        let end = bracket.or(last).unwrap_or(start);
        self.add(Node { span: Span::new(self.file, start..end), value })
    }

    fn add(&mut self, node: Node<'s>) -> Option<()> {
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::Seq { items, .. }) => items.push(node),
            Some(Open::Map { entries, key, seen, .. }) => match key.take() {
                Some(Pending { again: true, .. }) => {}
                Some(Pending { name, at, .. }) => entries.push(Entry { key: name, at, value: node }),
                None => {
                    let at = node.span;
                    let Value::Scalar(scalar) = node.value else {
                        self.refuse(at, "a key must be text", "write a name before the `:`");
                        return None;
                    };
                    let first = seen.get(&scalar.text).copied();
                    match first {
                        None => drop(seen.insert(scalar.text.clone(), at)),
                        Some(first) => self.problems.push(duplicate(&scalar.text, first, at)),
                    }
                    *key = Some(Pending { name: scalar.text, at, again: first.is_some() });
                }
            },
        }
        Some(())
    }
}

fn null() -> Value<'static> {
    Value::Scalar(Scalar { text: Cow::Borrowed(""), plain: true, filled: false })
}

/// The problem of a key that is given twice, in one file or in two.
pub fn duplicate(key: &str, first: Span, second: Span) -> Diagnostic {
    Diagnostic::at(second, format!("`{key}` is defined twice")).note("here again").label(first, "first defined here")
}
