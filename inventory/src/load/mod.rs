//! From a folder to [`Desired`], with all problems of all files at once.
//!
//! | step | module |
//! |---|---|
//! | files as one tree | [`tree`] |
//! | which environment, which entries | [`environment`] |
//! | variables | [`vars`] |
//! | the tree against the table of keys, `${…}` filled in | [`check`] with [`keys`] |
//! | typed values, references, rules between entries | `read` |

pub mod check;
pub mod environment;
pub mod keys;
mod read;
pub use self::read::MAX_TEXT;
pub mod shape;
pub mod suggest;
pub mod tree;
pub mod vars;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use self::{
    check::{Checker, Path as Place},
    keys::{ENTRY_SECTIONS, ROOT},
    shape::Shape,
    vars::{Env, Values, Variables},
};
use crate::{
    desired::Desired,
    diagnostics::{Diagnostic, Diagnostics, Problems},
    files,
    names::Name,
    source::{SourceFile, Sources},
    yaml::{Entry, Node},
};

/// An inventory that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// What it declares.
    pub desired: Desired,
    /// All files that it was read from, templates among them, sorted.
    pub sources: Vec<PathBuf>,
    /// What is allowed and probably not meant.
    pub warnings: Diagnostics,
}

/// Reads the inventory in the folder `root` for one environment; `env` looks up environment variables of the process.
///
/// Without an environment, the only one that is declared is meant, or `default` where none is.
pub fn load(
    root: &Path,
    environment: Option<&str>,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Loaded, Diagnostics> {
    let files = read_files(root)?;
    resolve(root, &files, environment, env)
}

/// The environments that the inventory declares, in its order; `default` where it declares none.
pub fn environments(root: &Path) -> Result<Vec<String>, Diagnostics> {
    let files = read_files(root)?;
    let mut problems = Problems::default();
    let tree = tree::read(&files, &mut problems);
    let names: Vec<String> = environment::declared(&tree.root).into_iter().map(str::to_owned).collect();
    if !problems.is_empty() {
        return Err(problems.with(sources_of(&files)));
    }
    Ok(if names.is_empty() { vec![environment::DEFAULT.to_owned()] } else { names })
}

fn read_files(root: &Path) -> Result<Vec<Arc<SourceFile>>, Diagnostics> {
    let failed = |error: files::FilesError| {
        let mut text = error.to_string();
        if let Some(source) = std::error::Error::source(&error) {
            text = format!("{text}: {source}");
        }
        Diagnostic::new(text)
    };
    let paths = files::list(root).map_err(|e| Diagnostics::new(vec![failed(e)], Sources::default()))?;
    let mut read = Vec::with_capacity(paths.len());
    let mut problems = Vec::new();
    for path in paths {
        match files::read(root, &path) {
            Ok(file) => read.push(file),
            Err(error) => problems.push(failed(error)),
        }
    }
    if problems.is_empty() { Ok(read) } else { Err(Diagnostics::new(problems, Sources::default())) }
}

fn sources_of(files: &[Arc<SourceFile>]) -> Sources {
    let mut sources = Sources::default();
    for file in files {
        sources.add(file.clone());
    }
    sources
}

/// The same from texts that were read already; `root` is where templates and sources of files are looked for.
pub fn resolve(
    root: &Path,
    files: &[Arc<SourceFile>],
    environment: Option<&str>,
    env: Env<'_>,
) -> Result<Loaded, Diagnostics> {
    let mut problems = Problems::default();
    let sources = sources_of(files);
    let mut tree = tree::read(files, &mut problems);
    let chosen = environment::choose(&tree.root, environment, &mut problems);
    limit(&mut tree.root, &mut problems);
    let mut elsewhere = environment::split(&mut tree.root, chosen.as_ref(), &mut problems);
    check_early(&mut tree.root, &mut elsewhere, env, &sources, &mut problems);
    // The rest of the tree is changed while values are filled in; these two sections are not.
    let values_root = early_sections(&mut tree.root);
    let values = variables(&values_root, chosen.as_ref(), env, &sources, &mut problems);
    check_rest(&mut tree, &values, &mut problems);
    let Some(chosen) = chosen.filter(|_| !tree.partial) else { return Err(problems.with(sources)) };
    let input = read::Input {
        root: &tree.root,
        early: &values_root,
        folder: root,
        environment: chosen,
        elsewhere: &elsewhere,
        values,
    };
    let done = read::read(input, sources, problems);
    if !done.problems.is_empty() {
        return Err(done.problems.with(done.sources));
    }
    let mut paths: Vec<PathBuf> = done.sources.iter().map(|file| file.path.clone()).collect();
    paths.extend(done.plain_files);
    paths.sort();
    paths.dedup();
    Ok(Loaded { desired: done.desired, sources: paths, warnings: Diagnostics::new(done.warnings, done.sources) })
}

/// Cuts sections that would make comparing each with each take for ever; the rest is checked all the same.
fn limit(root: &mut Node<'_>, problems: &mut Problems) {
    for (section, most) in keys::MAX_ENTRIES {
        let Some(entries) = environment::entries_of(root, section) else { continue };
        if let Some(first) = entries.get(most) {
            problems.push(Diagnostic::at(first.at, format!("{section} has more than {most} entries")));
            entries.truncate(most);
        }
    }
}

/// Checks what `${…}` cannot be filled into yet: variables, environments, and entries of other environments.
fn check_early(
    root: &mut Node<'_>,
    elsewhere: &mut environment::Elsewhere<'_>,
    env: Env<'_>,
    sources: &Sources,
    problems: &mut Problems,
) {
    let none = Variables::new(BTreeMap::new(), BTreeSet::new(), env, sources.clone()).all(problems);
    let mut checker = Checker { values: &none, problems, lenient: true };
    for name in ["variables", "environments"] {
        check_section(&mut checker, root, name);
    }
    for (section, entries) in elsewhere.iter_mut() {
        let Some(Shape::Map(keys, shape)) = ROOT.key(section).map(|key| key.shape) else { continue };
        let place = Place::ROOT.child(section);
        for entry in entries {
            checker.entry(entry, keys, shape, place);
        }
    }
}

fn check_section(checker: &mut Checker<'_, '_>, root: &mut Node<'_>, name: &str) {
    let Some(key) = ROOT.key(name) else { return };
    let crate::yaml::Value::Map(sections) = &mut root.value else { return };
    if let Some(entry) = sections.iter_mut().find(|entry| entry.key == name) {
        checker.node(&mut entry.value, &key.shape, Place::ROOT.child(name));
    }
}

/// Variables with the values of the chosen environment.
fn variables<'e>(
    root: &'e Node<'_>,
    environment: Option<&Name>,
    env: Env<'e>,
    sources: &Sources,
    problems: &mut Problems,
) -> Values<'e> {
    let mut declared: BTreeMap<&str, &Node<'_>> = BTreeMap::new();
    let mut missing: BTreeMap<&str, &Entry<'_>> = BTreeMap::new();
    let section = root.get("variables").map(Node::entries).unwrap_or_default();
    for entry in section {
        match entry.value.get("default") {
            Some(value) => drop(declared.insert(&entry.key, value)),
            None => drop(missing.insert(&entry.key, entry)),
        }
    }
    let given = environment.and_then(|name| root.get("environments")?.get(name)?.get("variables"));
    let names: BTreeSet<&str> = section.iter().map(|variable| &*variable.key).collect();
    for entry in given.map(Node::entries).unwrap_or_default() {
        if !names.contains(&*entry.key) {
            let message = format!("environment gives a value to `{}`, which is not declared", entry.key);
            let note = suggest::hint(&entry.key, names.iter().copied());
            problems.push(Diagnostic::at(entry.at, message).note(note));
            continue;
        }
        missing.remove(&*entry.key);
        declared.insert(&entry.key, &entry.value);
    }
    for entry in missing.values() {
        let place = environment.map_or_else(String::new, |name| format!(" in environment `{name}`"));
        let help = "give it a `default`, or a value under `environments:`";
        problems.push(Diagnostic::at(entry.at, format!("variable `{}` has no value{place}", entry.key)).help(help));
    }
    let broken = missing.keys().map(|name| (*name).to_owned()).collect();
    Variables::new(declared, broken, env, sources.clone()).all(problems)
}

/// Takes variables and environments out of the tree.
fn early_sections<'s>(root: &mut Node<'s>) -> Node<'s> {
    let crate::yaml::Value::Map(sections) = &mut root.value else { return root.clone() };
    let early = |entry: &Entry<'_>| matches!(&*entry.key, "variables" | "environments");
    let (early, rest): (Vec<_>, Vec<_>) = std::mem::take(sections).into_iter().partition(early);
    *sections = rest;
    Node { span: root.span, value: crate::yaml::Value::Map(early) }
}

/// Checks everything else. Where a file could not be read, nothing is called missing or undefined.
fn check_rest(tree: &mut tree::Tree<'_>, values: &Values<'_>, problems: &mut Problems) {
    let crate::yaml::Value::Map(sections) = &mut tree.root.value else { return };
    let mut rest = std::mem::take(sections);
    let mut checker = Checker { values, problems, lenient: tree.partial };
    if tree.partial {
        for entry in rest.iter_mut() {
            checker.known(entry, &ROOT, Place::ROOT);
        }
    } else {
        let mut node = Node { span: tree.root.span, value: crate::yaml::Value::Map(rest) };
        checker.node(&mut node, &Shape::Section(&ROOT), Place::ROOT);
        rest = match node.value {
            crate::yaml::Value::Map(entries) => entries,
            _ => Vec::new(),
        };
    }
    *sections = rest;
}

/// Whether entries of this section may say `in: […]`.
pub fn takes_environments(section: &str) -> bool {
    ENTRY_SECTIONS.contains(&section)
}
