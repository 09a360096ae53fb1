//! Which environment is meant, and which entries exist in it.

use std::collections::{BTreeMap, BTreeSet};

use super::{keys::ENTRY_SECTIONS, suggest::hint};
use crate::{
    diagnostics::{Diagnostic, Problems},
    names::Name,
    yaml::{Entry, Node, Value},
};

/// The environment of an inventory that declares none.
pub const DEFAULT: &str = "default";

/// Names of the declared environments.
pub fn declared<'n>(root: &'n Node<'_>) -> Vec<&'n str> {
    let section = root.get("environments");
    section.map(|node| node.entries().iter().map(|entry| &*entry.key).collect()).unwrap_or_default()
}

/// The environment that is meant; none when that cannot be told.
pub fn choose(root: &Node<'_>, wanted: Option<&str>, problems: &mut Problems) -> Option<Name> {
    let declared = declared(root);
    let chosen = match (wanted, declared.as_slice()) {
        (None, []) => DEFAULT,
        (None, [only]) => only,
        (None, several) => {
            let list = several.join(", ");
            let help = "choose one with `--env NAME` or POOL_ENV";
            problems.push(Diagnostic::new(format!("which environment? This inventory has {list}")).help(help));
            return None;
        }
        (Some(DEFAULT), []) => DEFAULT,
        (Some(wanted), known) => match known.iter().find(|name| **name == wanted) {
            Some(found) => found,
            None => {
                let note = if known.is_empty() {
                    "this inventory declares no environments; add them under `environments:`".to_owned()
                } else {
                    hint(wanted, known.iter().copied())
                };
                problems.push(Diagnostic::new(format!("unknown environment `{wanted}`")).help(note));
                return None;
            }
        },
    };
    Name::new(chosen).ok() // a bad name is said where it stands
}

/// Entries of other environments, by section, taken out of the tree.
pub type Elsewhere<'s> = BTreeMap<&'static str, Vec<Entry<'s>>>;

/// Takes `in: […]` out of all entries, and entries that do not exist in `environment` out of the tree.
pub fn split<'s>(root: &mut Node<'s>, environment: Option<&Name>, problems: &mut Problems) -> Elsewhere<'s> {
    let names: BTreeSet<String> = declared(root).into_iter().map(str::to_owned).collect();
    let mut elsewhere = Elsewhere::new();
    for section in ENTRY_SECTIONS {
        let Some(entries) = entries_of(root, section) else { continue };
        let mut kept = Vec::with_capacity(entries.len());
        for mut entry in std::mem::take(entries) {
            match take_in(&mut entry) {
                Some(list) if !applies(&list, environment, &names, problems) => {
                    elsewhere.entry(section).or_default().push(entry);
                }
                _ => kept.push(entry),
            }
        }
        *entries = kept;
    }
    elsewhere
}

/// The entries of a section, to be changed.
pub fn entries_of<'n, 's>(root: &'n mut Node<'s>, section: &str) -> Option<&'n mut Vec<Entry<'s>>> {
    let Value::Map(sections) = &mut root.value else { return None };
    let node = sections.iter_mut().find(|entry| entry.key == section)?;
    match &mut node.value.value {
        Value::Map(entries) => Some(entries),
        _ => None,
    }
}

fn take_in<'s>(entry: &mut Entry<'s>) -> Option<Node<'s>> {
    let Value::Map(keys) = &mut entry.value.value else { return None };
    let at = keys.iter().position(|key| key.key == "in")?;
    Some(keys.remove(at).value)
}

fn applies(list: &Node<'_>, environment: Option<&Name>, known: &BTreeSet<String>, problems: &mut Problems) -> bool {
    if !matches!(list.value, Value::Seq(_)) {
        let note = format!("this is {}", list.describe());
        problems.push(Diagnostic::at(list.span, "`in` must be a list of environments, as in [prod]").note(note));
        return true;
    }
    let mut found = false;
    for item in list.items() {
        let name = item.text().unwrap_or("");
        found |= environment.is_some_and(|environment| environment.as_str() == name);
        if !known.contains(name) {
            let note = hint(name, known.iter().map(String::as_str));
            problems.push(Diagnostic::at(item.span, format!("unknown environment `{name}`")).note(note));
        }
    }
    // Where the environment cannot be told, everything is judged as if it were meant.
    found || environment.is_none()
}
