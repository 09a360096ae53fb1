//! Problems with places: what is wrong, where, and what to do.

use std::fmt;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet, renderer::DecorStyle};
use serde_json::{Value, json};

use crate::source::{Sources, Span};

/// Most problems that are kept; a file that is wrong everywhere needs no longer list.
pub const MAX_DIAGNOSTICS: usize = 1_000;

/// Most problems that are kept before they are sorted by place.
pub const MAX_COLLECTED: usize = 20_000;

/// Labels further apart than this, in bytes, are shown apart, so that showing costs the same in a file of any size.
const MAX_SHOWN: usize = 16 << 10;

/// Longest line of a source that is shown around a problem, in bytes; longer ones are named by position alone.
const MAX_SHOWN_LINE: usize = 4_096;

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// What is wrong, in one line.
    pub message: String,
    /// Where: the first is the place, others explain it. Empty for problems of no place.
    pub labels: Vec<Label>,
    /// What to do, where that is not said at the place.
    pub help: Option<String>,
}

/// A place of a problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// The place.
    pub span: Span,
    /// What is said there; may be empty.
    pub text: String,
}

impl Diagnostic {
    /// A problem of no place.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), labels: Vec::new(), help: None }
    }

    /// A problem at a place.
    pub fn at(span: Span, message: impl Into<String>) -> Self {
        Self::new(message).label(span, "")
    }

    /// Adds a place with a word about it.
    #[must_use]
    pub fn label(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push(Label { span, text: text.into() });
        self
    }

    /// Says something at the first place.
    #[must_use]
    pub fn note(mut self, text: impl Into<String>) -> Self {
        if let Some(first) = self.labels.first_mut() {
            first.text = text.into();
        }
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help = Some(text.into());
        self
    }
}

/// Problems while they are found. Beyond [`MAX_COLLECTED`] they are only counted: memory has a bound whatever a file holds.
#[derive(Debug, Default)]
pub struct Problems {
    list: Vec<Diagnostic>,
    found: usize,
}

impl Problems {
    /// Adds one.
    pub fn push(&mut self, problem: Diagnostic) {
        self.found += 1;
        if self.list.len() < MAX_COLLECTED {
            self.list.push(problem);
        }
    }

    /// Adds several.
    pub fn extend(&mut self, problems: impl IntoIterator<Item = Diagnostic>) {
        problems.into_iter().for_each(|problem| self.push(problem));
    }

    /// How many were found.
    pub fn len(&self) -> usize {
        self.found
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.found == 0
    }

    /// Whether so many were found that one more helps nobody.
    pub fn is_full(&self) -> bool {
        self.found >= MAX_COLLECTED
    }

    /// Together with the texts that they point into.
    pub fn with(self, sources: Sources) -> Diagnostics {
        let lost = self.found - self.list.len();
        Diagnostics::build(self.list, lost, sources)
    }
}

/// Problems, with the texts that they point into.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diagnostics {
    /// The problems, by file and place.
    pub list: Vec<Diagnostic>,
    /// The texts.
    pub sources: Sources,
}

impl Diagnostics {
    /// Sorts by place, drops repetitions and cuts at [`MAX_DIAGNOSTICS`].
    pub fn new(list: Vec<Diagnostic>, sources: Sources) -> Self {
        Self::build(list, 0, sources)
    }

    fn build(mut list: Vec<Diagnostic>, lost: usize, sources: Sources) -> Self {
        list.sort_by_key(|d| d.labels.first().map(|label| (label.span.file, label.span.start)));
        list.dedup();
        if list.len() > MAX_DIAGNOSTICS {
            let more = list.len() - MAX_DIAGNOSTICS + lost;
            list.truncate(MAX_DIAGNOSTICS);
            list.push(Diagnostic::new(format!("{more} more problems are not shown")));
        }
        Self { list, sources }
    }

    /// A single problem of no place.
    pub fn single(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::new(vec![Diagnostic::new(message).help(help)], Sources::default())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// All problems in rustc's style, one blank line between two, a newline at the end.
    pub fn render(&self, color: bool) -> String {
        self.render_as("error", color)
    }

    /// The same for problems that stop nothing.
    pub fn render_warnings(&self, color: bool) -> String {
        self.render_as("warning", color)
    }

    fn render_as(&self, level: &str, color: bool) -> String {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let renderer = renderer.decor_style(DecorStyle::Ascii);
        let mut shown: Vec<String> = Vec::new();
        for problem in &self.list {
            let mut text = renderer.render(&[self.group(problem, level)]) + "\n";
            if let (Some(help), true) = (&problem.help, problem.labels.is_empty()) {
                let help = Group::with_title(Level::HELP.primary_title(clean(help)));
                text += &(renderer.render(&[help]) + "\n");
            }
            shown.push(text);
        }
        shown.join("\n")
    }

    fn group<'a>(&'a self, problem: &'a Diagnostic, level: &str) -> Group<'a> {
        let level = if level == "warning" { Level::WARNING } else { Level::ERROR };
        let mut group = Group::with_title(level.primary_title(clean(&problem.message)));
        let mut done: Vec<&Label> = Vec::new();
        for (index, label) in problem.labels.iter().enumerate() {
            if done.iter().any(|shown| near(shown, label)) {
                continue;
            }
            done.push(label);
            group = group.element(self.snippet(problem, label, index == 0));
        }
        match &problem.help {
            Some(help) if !done.is_empty() => group.element(Level::HELP.message(clean(help))),
            _ => group,
        }
    }

    /// One file's part: the lines around each label, cut out so that rendering costs the same in a file of any size.
    fn snippet<'a>(
        &'a self,
        problem: &'a Diagnostic,
        of: &Label,
        primary: bool,
    ) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
        let Some(file) = self.sources.get(of.span.file) else { return Snippet::source("") };
        let here = || problem.labels.iter().filter(|label| near(of, label));
        let low = here().map(|l| l.span.range().start).min().unwrap_or(0).min(file.text.len());
        let high = here()
            .map(|l| l.span.range().end.min(l.span.range().start + MAX_SHOWN))
            .max()
            .unwrap_or(0)
            .min(file.text.len())
            .max(low);
        let low = boundary(&file.text, low);
        let high = boundary(&file.text, high);
        let start = file.text[..low].rfind('\n').map_or(0, |at| at + 1);
        let end = file.text[high..].find('\n').map_or(file.text.len(), |at| high + at);
        let line = file.position(start).0;
        if file.text[start..end].lines().any(|line| line.len() > MAX_SHOWN_LINE) {
            let (line, column) = file.position(low);
            return Snippet::source("").path(format!("{}:{line}:{column}", file.name));
        }
        let annotations = here().enumerate().map(|(index, label)| {
            let kind = if primary && index == 0 { AnnotationKind::Primary } else { AnnotationKind::Context };
            let from = boundary(&file.text, label.span.range().start.clamp(start, end));
            let to = boundary(&file.text, first_line(&file.text, from, label.span.range().end.clamp(from, end)));
            let annotation = kind.span(from - start..to - start);
            if label.text.is_empty() { annotation } else { annotation.label(clean(&label.text)) }
        });
        Snippet::source(&file.text[start..end]).line_start(line).path(&file.name).annotations(annotations)
    }

    /// For `--json`: one object per problem with `message`, `file`, `line`, `column`, `help`.
    pub fn to_json(&self) -> Value {
        self.list.iter().map(|problem| self.one_json(problem)).collect()
    }

    fn one_json(&self, problem: &Diagnostic) -> Value {
        let place = |label: &Label| {
            let file = self.sources.get(label.span.file)?;
            let (line, column) = file.position(label.span.range().start);
            Some((file.name.clone(), line, column))
        };
        let first = problem.labels.first();
        let at = first.and_then(place);
        let said = first.map(|label| label.text.as_str()).filter(|text| !text.is_empty());
        let others: Vec<Value> = problem
            .labels
            .iter()
            .skip(1)
            .filter_map(|label| {
                let (file, line, column) = place(label)?;
                Some(json!({ "file": file, "line": line, "column": column, "message": label.text }))
            })
            .collect();
        json!({
            "message": problem.message,
            "file": at.as_ref().map(|at| &at.0),
            "line": at.as_ref().map(|at| at.1),
            "column": at.as_ref().map(|at| at.2),
            "help": problem.help.as_deref().or(said),
            "related": others,
        })
    }
}

fn near(a: &Label, b: &Label) -> bool {
    a.span.file == b.span.file && a.span.range().start.abs_diff(b.span.range().start) <= MAX_SHOWN
}

/// A span over several lines is shown by its first.
fn first_line(text: &str, from: usize, to: usize) -> usize {
    text.get(from..to).and_then(|part| part.find('\n')).map_or(to, |at| from + at)
}

fn boundary(text: &str, mut offset: usize) -> usize {
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

/// Text from files stands in messages; it must not steer a terminal.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Diagnostics {}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::source::{FileId, SourceFile};

    fn sources(text: &str) -> (Sources, FileId) {
        let mut sources = Sources::default();
        let file = SourceFile::new("/x/pool.yaml", "pool.yaml", text);
        let id = sources.add(Arc::new(file));
        (sources, id)
    }

    #[test]
    fn a_problem_looks_as_the_interface_promises() {
        let text = format!("{}pools:\n    hots: 6\n", "\n".repeat(12));
        let (sources, id) = sources(&text);
        let at = text.find("hots").expect("there");
        let problem =
            Diagnostic::at(Span::new(id, at..at + 4), "unknown key `hots` in pools.web").note("did you mean `hosts`?");
        let shown = Diagnostics::new(vec![problem], sources).render(false);
        assert_eq!(
            shown,
            "error: unknown key `hots` in pools.web\n  --> pool.yaml:14:5\n   |\n14 |     hots: 6\n   \
             |     ^^^^ did you mean `hosts`?\n"
        );
    }

    #[test]
    fn json_has_place_and_help() {
        let (sources, id) = sources("a: 1\nb: 2\n");
        let problem = Diagnostic::at(Span::new(id, 5..6), "wrong").help("do it");
        let json = Diagnostics::new(vec![problem], sources).to_json();
        assert_eq!(json[0]["file"], "pool.yaml");
        assert_eq!((json[0]["line"].as_u64(), json[0]["column"].as_u64()), (Some(2), Some(1)));
        assert_eq!(json[0]["help"], "do it");
    }

    #[test]
    fn terminal_codes_of_a_file_do_not_reach_the_terminal() {
        let (sources, id) = sources("a: \u{1b}[31mred\n");
        let problem = Diagnostic::at(Span::new(id, 3..8), "bad `\u{1b}[31m`");
        assert!(!Diagnostics::new(vec![problem], sources).render(false).contains('\u{1b}'));
    }
}
