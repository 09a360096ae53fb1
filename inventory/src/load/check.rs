//! Checks a tree against the table of keys, and fills in `${…}` on the way.

use std::{fmt, str::FromStr};

use ipnet::IpNet;

use super::{
    keys::{MAX_LIST, RANGE},
    shape::{Key, KeyShape, Section, Shape},
    suggest::{did_you_mean, hint},
    vars::Values,
};
use crate::{
    diagnostics::{Diagnostic, Problems},
    names::{Address, Name},
    source::Span,
    units::{Bytes, FileMode, Money, Percent, TimeSpan, UnitError},
    yaml::{Entry, Node, Scalar, Value},
};

/// Where in the inventory a node stands: `pools.web.size`.
#[derive(Clone, Copy)]
pub struct Path<'p> {
    parent: Option<&'p Path<'p>>,
    name: &'p str,
}

impl<'p> Path<'p> {
    /// The inventory itself.
    pub const ROOT: Path<'static> = Path { parent: None, name: "" };

    /// A part of this.
    pub fn child(&'p self, name: &'p str) -> Path<'p> {
        Path { parent: Some(self), name }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.parent {
            None => f.write_str("the inventory"),
            Some(Path { parent: None, .. }) => f.write_str(self.name),
            Some(parent) => write!(f, "{parent}.{}", self.name),
        }
    }
}

/// Whether `hosts` of a pool says how many, and not which: hosts that exist are never scalars.
pub fn is_range(hosts: &Node<'_>) -> bool {
    is_section(hosts, &RANGE)
}

fn is_section(node: &Node<'_>, section: &Section) -> bool {
    let known = |entry: &Entry<'_>| {
        section.key(&entry.key).is_some() && entry.value.scalar().is_some() && !entry.value.is_null()
    };
    node.entries().iter().any(known)
}

/// Most unknown keys of a section that are compared with what is missing there.
const MAX_MEANT: usize = 16;

/// Walks the tree.
pub struct Checker<'c, 'e> {
    /// Values of variables.
    pub values: &'c Values<'e>,
    /// What was found.
    pub problems: &'c mut Problems,
    /// Whether values with `${…}` are left alone: entries of other environments.
    pub lenient: bool,
}

impl Checker<'_, '_> {
    /// Checks one node. True when it and all below it are right.
    pub fn node(&mut self, node: &mut Node<'_>, shape: &Shape, path: Path<'_>) -> bool {
        let before = self.problems.len();
        let right = match shape {
            Shape::Section(section) => self.section(node, section, path),
            Shape::Map(keys, value) => self.map(node, *keys, value, path),
            Shape::List(item) => self.list(node, item, path),
            Shape::Either(scalar, map, section) => self.either(node, (scalar, map, section), path),
            Shape::Or(scalar, section) => match &node.value {
                Value::Scalar(_) => self.node(node, scalar, path),
                _ => self.section(node, section, path),
            },
            Shape::Tagged { sections, later } => self.tagged(node, sections, later, path),
            _ => self.leaf(node, shape, path),
        };
        right && self.problems.len() == before
    }

    fn either(
        &mut self,
        node: &mut Node<'_>,
        (scalar, map, section): (&Shape, &Shape, &'static Section),
        path: Path<'_>,
    ) -> bool {
        match &node.value {
            Value::Scalar(_) => self.node(node, scalar, path),
            Value::Map(_) if is_section(node, section) => self.section(node, section, path),
            Value::Map(_) => self.node(node, map, path),
            Value::Seq(_) => self.wrong_type(node, &format!("{} or a map", wanted(scalar)), path),
        }
    }

    fn say(&mut self, span: Span, message: String, note: impl Into<String>) -> bool {
        self.problems.push(Diagnostic::at(span, message).note(note));
        false
    }

    fn wrong_type(&mut self, node: &Node<'_>, wanted: &str, path: Path<'_>) -> bool {
        self.say(node.span, format!("{path} must be {wanted}"), format!("this is {}", node.describe()))
    }

    /// A map's entries; nothing at all counts as an empty map.
    fn entries<'n, 's>(&mut self, node: &'n mut Node<'s>, path: Path<'_>) -> Option<&'n mut Vec<Entry<'s>>> {
        if node.is_null() {
            node.value = Value::Map(Vec::new());
        }
        if !matches!(node.value, Value::Map(_)) {
            self.wrong_type(node, "a map", path);
            return None;
        }
        match &mut node.value {
            Value::Map(entries) => Some(entries),
            _ => None,
        }
    }

    fn section(&mut self, node: &mut Node<'_>, section: &'static Section, path: Path<'_>) -> bool {
        let span = node.span;
        let Some(entries) = self.entries(node, path) else { return false };
        for entry in entries.iter_mut() {
            self.known(entry, section, path);
        }
        let has = |name: &str| entries.iter().any(|entry| entry.key == name);
        // An unknown key that is nearly a missing one was said already.
        let meant = |name: &str| {
            let unknown = entries.iter().filter(|entry| section.key(&entry.key).is_none()).take(MAX_MEANT);
            unknown.map(|entry| did_you_mean(&entry.key, section.keys.iter().map(|k| k.name))).any(|k| k == Some(name))
        };
        let lacks = |key: &&Key| key.required && !has(key.name) && !meant(key.name);
        let missing: Vec<&Key> = section.keys.iter().filter(lacks).collect();
        for key in missing {
            let message = format!("missing key `{}` in {path}", key.name);
            self.say(head(span), message, key.doc);
        }
        let given = section.one_of.iter().filter(|name| has(name)).count();
        if !section.one_of.is_empty() && given != 1 {
            let message = format!("{path} must have exactly one of {}", section.one_of.join(", "));
            return self.say(head(span), message, if given == 0 { "none is given" } else { "several are given" });
        }
        true
    }

    /// Checks an entry of a section.
    pub fn known(&mut self, entry: &mut Entry<'_>, section: &'static Section, path: Path<'_>) -> bool {
        match section.key(&entry.key) {
            Some(key) => self.node(&mut entry.value, &key.shape, path.child(&entry.key)),
            None => self.unknown_key(entry, section, path),
        }
    }

    /// Checks an entry of a map with keys of the user's.
    pub fn entry(&mut self, entry: &mut Entry<'_>, keys: KeyShape, shape: &Shape, path: Path<'_>) -> bool {
        if let Err(why) = check_key(&entry.key, keys) {
            self.say(entry.at, format!("bad key in {path}: {}", why.0), why.1);
        }
        self.node(&mut entry.value, shape, path.child(&entry.key))
    }

    fn unknown_key(&mut self, entry: &Entry<'_>, section: &'static Section, path: Path<'_>) -> bool {
        if section.later.contains(&&*entry.key) {
            let message = format!("key `{}` in {path} is not carried out yet", entry.key);
            return self.say(entry.at, message, "remove it");
        }
        let known = section.keys.iter().map(|key| key.name).filter(|_| !self.problems.is_full());
        let note = match hint(&entry.key, known) {
            note if note.is_empty() => "not a key of this section".to_owned(),
            note => note,
        };
        self.say(entry.at, format!("unknown key `{}` in {path}", entry.key), note)
    }

    fn map(&mut self, node: &mut Node<'_>, keys: KeyShape, shape: &Shape, path: Path<'_>) -> bool {
        let Some(entries) = self.entries(node, path) else { return false };
        for entry in entries.iter_mut() {
            self.entry(entry, keys, shape, path);
        }
        true
    }

    fn list(&mut self, node: &mut Node<'_>, shape: &Shape, path: Path<'_>) -> bool {
        if !matches!(node.value, Value::Seq(_)) {
            return self.wrong_type(node, "a list, as in [a, b]", path);
        }
        if node.items().len() > MAX_LIST {
            self.say(node.span, format!("{path} has more than {MAX_LIST} items"), "");
            node.value = Value::Seq(Vec::new());
        }
        if let Value::Seq(items) = &mut node.value {
            for item in items {
                self.node(item, shape, path);
            }
        }
        true
    }

    fn tagged(
        &mut self,
        node: &mut Node<'_>,
        sections: &'static [(&'static str, &'static Section)],
        later: &[&str],
        path: Path<'_>,
    ) -> bool {
        let span = node.span;
        if self.entries(node, path).is_none() {
            return false;
        }
        let known = || sections.iter().map(|(name, _)| *name);
        let Some(kind) = node.get("type") else {
            let known: Vec<&str> = known().collect();
            let message = format!("missing key `type` in {path}");
            return self.say(head(span), message, format!("one of: {}", known.join(", ")));
        };
        let (at, word) = (kind.span, kind.text().unwrap_or(""));
        if let Some((_, section)) = sections.iter().find(|(name, _)| *name == word) {
            return self.section(node, section, path);
        }
        if later.contains(&word) {
            return self.say(at, format!("type `{word}` of {path} is not carried out yet"), {
                let known: Vec<&str> = known().collect();
                why_not(word).unwrap_or_else(|| format!("today: {}", known.join(", ")))
            });
        }
        let note = hint(word, known());
        self.say(at, format!("unknown type `{word}` of {path}"), note)
    }

    fn leaf(&mut self, node: &mut Node<'_>, shape: &Shape, path: Path<'_>) -> bool {
        let span = node.span;
        let Value::Scalar(scalar) = &mut node.value else {
            return self.wrong_type(node, wanted(shape), path);
        };
        if self.lenient && scalar.text.contains('$') {
            return true;
        }
        if !self.values.fill(scalar, span, self.problems) {
            // What cannot be filled in is not judged further, and whoever reads it finds nothing.
            *scalar = Scalar { text: "".into(), plain: true, filled: false };
            return false;
        }
        if scalar.is_null() {
            return self.wrong_type(node, wanted(shape), path);
        }
        match check_scalar(scalar, shape) {
            Ok(()) => true,
            Err((why, note)) => self.say(span, format!("{path}: {why}"), note),
        }
    }
}

/// What is missing in a map is said where the map begins.
fn head(span: Span) -> Span {
    span.part(0..0)
}

type Why = (String, String);

fn check_key(key: &str, shape: KeyShape) -> Result<(), Why> {
    let plain = |e: &dyn fmt::Display| (e.to_string(), String::new());
    match shape {
        KeyShape::Name => Name::new(key).map(drop).map_err(|e| plain(&e)),
        KeyShape::Address => key.parse::<Address>().map(drop).map_err(|e| plain(&e)),
        KeyShape::Path => check_path(key),
        KeyShape::Text if key.is_empty() => Err(plain(&"it is empty")),
        KeyShape::Text => Ok(()),
        KeyShape::Variable => {
            let first = key.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
            let rest = key.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
            if first && rest && key.len() <= 31 {
                return Ok(());
            }
            Err((
                format!("`{key}` is not the name of a variable"),
                "a-z first, then a-z, 0-9 and `_`, at most 31".into(),
            ))
        }
    }
}

fn check_path(path: &str) -> Result<(), Why> {
    let parts = || path.split('/').skip(1);
    let clean = path.starts_with('/') && parts().all(|part| !matches!(part, "" | "." | "..")) && !path.contains('\0');
    if clean || path == "/" {
        return Ok(());
    }
    Err((
        format!("`{path}` is not an absolute path"),
        "write it from `/` on, without `.`, `..`, `//` or a `/` at the end".into(),
    ))
}

fn check_sha256(text: &str) -> Result<(), Why> {
    if text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return Ok(());
    }
    let long = text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let note = if long { "write it in lower case" } else { "64 hex digits, as `sha256sum` prints them" };
    Err((format!("`{text}` is not a SHA-256 digest"), note.into()))
}

fn check_scalar(scalar: &Scalar<'_>, shape: &Shape) -> Result<(), Why> {
    let text = &*scalar.text;
    let bare = scalar.plain || scalar.filled;
    match shape {
        Shape::Text | Shape::Scalar => Ok(()),
        Shape::Bool if bare && matches!(text, "true" | "false") => Ok(()),
        Shape::Bool => Err((format!("`{text}` is not a truth value"), "write true or false".into())),
        Shape::Int(low, high) => check_int(text, bare, *low, *high),
        Shape::Name => Name::new(text).map(drop).map_err(|e| (e.to_string(), String::new())),
        Shape::Bytes => unit::<Bytes>(text),
        Shape::Rate => Bytes::parse_rate(text).map(drop).map_err(split),
        Shape::Time => unit::<TimeSpan>(text),
        Shape::Percent => unit::<Percent>(text),
        Shape::Mode if scalar.plain && !scalar.filled => Err((
            format!("the file mode `{text}` needs quotes"),
            format!("write \"{text}\": YAML readers take it for a number"),
        )),
        Shape::Mode => unit::<FileMode>(text),
        Shape::Hourly => Money::parse_hourly(text).map(drop).map_err(split),
        Shape::Monthly => Money::parse_monthly(text).map(drop).map_err(split),
        Shape::Cidr => check_cidr(text),
        Shape::Ip if text.parse::<std::net::IpAddr>().is_ok() => Ok(()),
        Shape::Ip => Err((format!("`{text}` is not an IP address"), "as in 10.20.0.10".into())),
        Shape::Path => check_path(text),
        Shape::Sha256 => check_sha256(text),
        Shape::Address => text.parse::<Address>().map(drop).map_err(|e| (e.to_string(), String::new())),
        Shape::Word { words, .. } if words.contains(&text) => Ok(()),
        Shape::Word { words, later } => Err(match later.contains(&text) {
            true => (
                format!("`{text}` is not carried out yet"),
                why_not(text).unwrap_or_else(|| format!("today: {}", words.join(", "))),
            ),
            false => (format!("`{text}` is not possible here"), hint(text, words.iter().copied())),
        }),
        _ => Ok(()),
    }
}

/// Why something that people ask for is not there, and what to take instead.
fn why_not(word: &str) -> Option<String> {
    let why = match word {
        "cri-o" => "it has not been proven here yet; containerd is",
        "weave" => "its makers have given Weave Net up (archived in 2024); take flannel or calico",
        "mesos" | "marathon" | "dcos" => "it is retired upstream; move to kubernetes, or to swarm for plain services",
        "nomad" | "k3s" => "it has not been proven here yet; kubernetes and swarm are",
        _ => return None,
    };
    Some(why.to_owned())
}

fn check_int(text: &str, bare: bool, low: u64, high: u64) -> Result<(), Why> {
    let digits =
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if !bare || !digits {
        let note = if bare { "write digits only" } else { "remove the quotes" };
        return Err((format!("`{text}` is not a whole number"), note.into()));
    }
    match text.parse::<u64>() {
        Ok(number) if (low..=high).contains(&number) => Ok(()),
        _ => Err((format!("{text} is out of range"), format!("from {low} to {high}"))),
    }
}

fn check_cidr(text: &str) -> Result<(), Why> {
    let Ok(net) = text.parse::<IpNet>() else {
        return Err((format!("`{text}` is not an address range"), "as in 10.20.0.0/24".into()));
    };
    if net.trunc() == net {
        return Ok(());
    }
    Err((format!("`{text}` names a host of the range"), format!("the range is {}", net.trunc())))
}

fn unit<T: FromStr<Err = UnitError>>(text: &str) -> Result<(), Why> {
    text.parse::<T>().map(drop).map_err(split)
}

/// What is wrong goes into the headline, how it is written to the place.
fn split(error: UnitError) -> Why {
    match error.expected.split_once("; ") {
        Some((what, how)) => (format!("`{}` is not {what}", error.text), how.to_owned()),
        None => (format!("`{}` is not {}", error.text, error.expected), String::new()),
    }
}

fn wanted(shape: &Shape) -> &'static str {
    match shape {
        Shape::Bool => "true or false",
        Shape::Int(..) => "a whole number",
        Shape::Name => "a name",
        Shape::Bytes => "a size, as in 8GiB",
        Shape::Rate => "a rate, as in 50MiB/s",
        Shape::Time => "a time span, as in 30s",
        Shape::Percent => "a share, as in 20%",
        Shape::Mode => "a file mode, as in \"0644\"",
        Shape::Hourly => "an amount per hour, as in 0.05/hour",
        Shape::Monthly => "an amount per month, as in 9000/month",
        Shape::Cidr => "an address range, as in 10.20.0.0/24",
        Shape::Ip => "an IP address, as in 10.20.0.10",
        Shape::Path => "an absolute path",
        Shape::Sha256 => "64 hex digits, as `sha256sum` prints them",
        Shape::Address => "an address, as in host/web-3",
        Shape::Word { .. } => "a word",
        _ => "text",
    }
}
