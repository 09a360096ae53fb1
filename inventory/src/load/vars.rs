//! `${VAR}`, `${VAR:-default}`, `${var.name}` and `$$` in values.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use super::suggest::did_you_mean;
use crate::{
    desired::Scalar as Typed,
    diagnostics::{Diagnostic, Problems},
    names::Text,
    source::{Sources, Span},
    yaml::{Node, Scalar},
};

/// Longest chain of variables that refer to each other; also what keeps the search from using up the stack.
const MAX_CHAIN: usize = 32;

/// Longest value that filling in may give, in bytes; variables that double each other grow quickly.
const MAX_VALUE: usize = 1 << 20;

/// Looks up an environment variable of the process.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Why a `${…}` cannot be replaced.
struct Bad {
    at: Range<usize>,
    message: String,
    help: Option<String>,
}

/// A piece of a value.
#[derive(Debug, PartialEq)]
enum Piece<'t> {
    Literal(&'t str),
    Env { name: &'t str, default: Option<&'t str>, at: Range<usize> },
    Var { name: &'t str, at: Range<usize> },
}

/// Variables of the inventory, replaced on demand.
pub struct Variables<'n, 's> {
    declared: BTreeMap<&'n str, &'n Node<'s>>,
    done: BTreeMap<String, Option<Typed>>,
    open: Vec<String>,
    env: Env<'n>,
    sources: Sources,
    /// Names whose problem stands elsewhere already.
    broken: BTreeSet<String>,
}

impl<'n, 's> Variables<'n, 's> {
    /// Variables with the node of each value; `broken` are declared without a value that can be used.
    pub fn new(
        declared: BTreeMap<&'n str, &'n Node<'s>>,
        broken: BTreeSet<String>,
        env: Env<'n>,
        sources: Sources,
    ) -> Self {
        Self { declared, done: BTreeMap::new(), open: Vec::new(), env, sources, broken }
    }

    /// The values of all variables.
    pub fn all(mut self, problems: &mut Problems) -> Values<'n> {
        let names: Vec<&str> = self.declared.keys().copied().collect();
        for name in names {
            self.value(name, problems);
        }
        let typed = self.done.iter().filter_map(|(k, v)| Some((Text::from(k.as_str()), v.clone()?))).collect();
        self.broken.extend(self.done.into_iter().filter(|(_, value)| value.is_none()).map(|(name, _)| name));
        Values { typed, broken: self.broken, env: self.env, sources: self.sources }
    }

    /// None: it is broken, and that was said.
    fn value(&mut self, name: &str, problems: &mut Problems) -> Option<Typed> {
        if let Some(done) = self.done.get(name) {
            return done.clone();
        }
        let node = *self.declared.get(name)?;
        self.open.push(name.to_owned());
        let value = self.resolve(node, problems);
        self.open.pop();
        self.done.insert(name.to_owned(), value.clone());
        value
    }

    fn resolve(&mut self, node: &'n Node<'s>, problems: &mut Problems) -> Option<Typed> {
        let scalar = node.scalar()?;
        if !scalar.text.contains('$') {
            return Some(typed(scalar));
        }
        let mut need = |this: &mut Self, name: &str| -> Result<Option<String>, String> {
            if let Some(at) = this.open.iter().position(|open| open == name) {
                let mut cycle = this.open[at..].to_vec();
                cycle.push(name.to_owned());
                return Err(format!("variables refer to each other in a circle: {}", cycle.join(" → ")));
            }
            if this.open.len() >= MAX_CHAIN {
                return Err(format!("variables refer to each other more than {MAX_CHAIN} deep"));
            }
            if !this.declared.contains_key(name) && !this.broken.contains(name) {
                return Err(unknown(name, this.declared.keys().copied()));
            }
            Ok(this.value(name, problems).map(|value| value.to_string()))
        };
        let env = self.env;
        let filled = fill(&scalar.text, env, &mut |name| need(self, name));
        match filled {
            Ok(text) => Some(typed(&Scalar { text: text?.into(), plain: scalar.plain, filled: true })),
            Err(bad) => {
                problems.push(bad.diagnostic(node.span, &scalar.text, &self.sources));
                None
            }
        }
    }
}

/// The values of all variables, to be filled into the rest.
pub struct Values<'e> {
    /// Values by name.
    pub typed: BTreeMap<Text, Typed>,
    broken: BTreeSet<String>,
    env: Env<'e>,
    sources: Sources,
}

impl Values<'_> {
    /// Replaces `${…}` in a scalar; false when that is impossible, which is then said, or was said at the variable.
    pub fn fill(&self, scalar: &mut Scalar<'_>, span: Span, problems: &mut Problems) -> bool {
        if !scalar.text.contains('$') {
            return true;
        }
        let mut need = |name: &str| match self.typed.get(name) {
            Some(value) => Ok(Some(value.to_string())),
            None if self.broken.contains(name) => Ok(None),
            None => Err(unknown(name, self.typed.keys().map(|k| &**k))),
        };
        match fill(&scalar.text, self.env, &mut need) {
            Ok(Some(text)) => {
                scalar.filled = scalar.text.contains("${");
                scalar.text = text.into();
                true
            }
            Ok(None) => false,
            Err(bad) => {
                problems.push(bad.diagnostic(span, &scalar.text, &self.sources));
                false
            }
        }
    }
}

fn unknown<'k>(name: &str, known: impl Iterator<Item = &'k str>) -> String {
    match did_you_mean(name, known) {
        Some(close) => format!("undefined variable `var.{name}`; did you mean `var.{close}`?"),
        None => format!("undefined variable `var.{name}`; declare it under `variables:`"),
    }
}

impl Bad {
    /// The place is narrowed to the `${…}` where the file has it as it is.
    fn diagnostic(self, span: Span, text: &str, sources: &Sources) -> Diagnostic {
        let wanted = text.get(self.at).unwrap_or("");
        let found = sources.slice(span).find(wanted).filter(|_| !wanted.is_empty());
        let place = found.map_or(span, |at| span.part(at..at + wanted.len()));
        let (message, note) = match self.message.split_once("; ") {
            Some((message, note)) => (message.to_owned(), note.to_owned()),
            None => (self.message, String::new()),
        };
        let problem = Diagnostic::at(place, message).note(note);
        match self.help {
            Some(help) => problem.help(help),
            None => problem,
        }
    }
}

/// What a scalar means where any kind of value may stand.
pub fn typed(scalar: &Scalar<'_>) -> Typed {
    let bare = scalar.plain || scalar.filled;
    match &*scalar.text {
        "true" if bare => Typed::Bool(true),
        "false" if bare => Typed::Bool(false),
        text => match text.parse::<i64>() {
            Ok(number) if bare && number.to_string() == text => Typed::Int(number),
            _ => Typed::Text(text.into()),
        },
    }
}

type Need<'a> = dyn FnMut(&str) -> Result<Option<String>, String> + 'a;

/// The text with everything replaced; none when a variable is broken.
fn fill(text: &str, env: Env<'_>, need: &mut Need<'_>) -> Result<Option<String>, Bad> {
    let mut out = String::with_capacity(text.len());
    let mut whole = true;
    for piece in pieces(text) {
        match piece? {
            Piece::Literal(literal) => out.push_str(literal),
            Piece::Env { name, default, at } => match env(name) {
                Some(value) => out.push_str(&value),
                None => match default {
                    Some(default) => out.push_str(default),
                    None => return Err(missing(name, at)),
                },
            },
            Piece::Var { name, at } => match need(name) {
                Ok(Some(value)) => out.push_str(&value),
                Ok(None) => whole = false,
                Err(message) => return Err(Bad { at, message, help: None }),
            },
        }
        if out.len() > MAX_VALUE {
            let message = format!("the value grows beyond {} MiB", MAX_VALUE >> 20);
            return Err(Bad { at: 0..text.len(), message, help: None });
        }
    }
    Ok(whole.then_some(out))
}

fn missing(name: &str, at: Range<usize>) -> Bad {
    let help = format!("set it, or write `${{{name}:-DEFAULT}}`; a dollar that stands for itself is `$$`");
    Bad { at, message: format!("environment variable `{name}` is not set"), help: Some(help) }
}

fn pieces(text: &str) -> impl Iterator<Item = Result<Piece<'_>, Bad>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = text.get(at..).filter(|rest| !rest.is_empty())?;
        let piece = next_piece(text, rest, at);
        at += match &piece {
            Ok((_, length)) => *length,
            Err(_) => rest.len(),
        };
        Some(piece.map(|(piece, _)| piece))
    })
}

/// The first piece of `rest`, which begins at `start` of `text`, and its length.
fn next_piece<'t>(text: &'t str, rest: &'t str, start: usize) -> Result<(Piece<'t>, usize), Bad> {
    if rest.starts_with("$$") {
        return Ok((Piece::Literal(&rest[..1]), 2));
    }
    if !rest.starts_with("${") {
        let skip = usize::from(rest.starts_with('$'));
        let end = rest[skip..].find('$').map_or(rest.len(), |at| at + skip);
        return Ok((Piece::Literal(&rest[..end]), end));
    }
    let Some(end) = rest.find('}') else {
        let help = "a dollar that stands for itself is `$$`".to_owned();
        return Err(Bad { at: start..text.len(), message: "`${` without `}`".into(), help: Some(help) });
    };
    let (inner, at) = (&rest[2..end], start..start + end + 1);
    let piece = match inner.strip_prefix("var.") {
        Some(name) => Piece::Var { name, at },
        None => {
            let (name, default) = match inner.split_once(":-") {
                Some((name, default)) => (name, Some(default)),
                None => (inner, None),
            };
            if !is_env_name(name) {
                let message = format!("`${{{inner}}}` is not a reference");
                let help =
                    "write `${VAR}`, `${VAR:-default}` or `${var.name}`; a dollar that stands for itself is `$$`";
                return Err(Bad { at, message, help: Some(help.into()) });
            }
            Piece::Env { name, default, at }
        }
    };
    Ok((piece, end + 1))
}

fn is_env_name(name: &str) -> bool {
    let first = name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    first && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str) -> Result<String, String> {
        let env = |name: &str| (name == "HOME").then(|| "/root".to_owned());
        let mut need = |name: &str| match name {
            "n" => Ok(Some("2".to_owned())),
            _ => Err(format!("no {name}")),
        };
        fill(text, &env, &mut need).map(|t| t.expect("whole")).map_err(|bad| format!("{} at {:?}", bad.message, bad.at))
    }

    #[test]
    fn every_form_is_replaced_and_dollars_survive() {
        for (text, value) in [
            ("${HOME}/x", "/root/x"),
            ("${NO:-a b}", "a b"),
            ("${NO:-}", ""),
            ("n=${var.n}", "n=2"),
            ("$$5 $HOME $", "$5 $HOME $"),
            ("$${HOME}", "${HOME}"),
            ("é$$é", "é$é"),
            ("", ""),
        ] {
            assert_eq!(filled(text).as_deref(), Ok(value), "{text}");
        }
    }

    #[test]
    fn wrong_forms_are_named_with_their_place() {
        for (text, error) in [
            ("a ${NO}", "environment variable `NO` is not set at 2..7"),
            ("${", "`${` without `}` at 0..2"),
            ("x${}", "`${}` is not a reference at 1..4"),
            ("${a-b}", "`${a-b}` is not a reference at 0..6"),
            ("${var.m}", "no m at 0..8"),
        ] {
            assert_eq!(filled(text), Err(error.to_owned()), "{text}");
        }
    }
}
