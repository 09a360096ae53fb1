//! `pool fmt`

use std::{
    fs,
    path::{Path, PathBuf},
};

use pool_engine::ops::OpsError;
use pool_inventory::{Diagnostics, files, fmt::format_file};
use serde_json::json;

use crate::{
    args::Fmt,
    context::{Context, Outcome},
    error::{CliError, ExitCode},
    render::table::count,
};

/// A file that is not in its canonical form.
struct Change {
    path: PathBuf,
    name: String,
    text: String,
}

/// Rewrites what is not in its canonical form, or names it.
pub fn run(cx: &Context, args: &Fmt) -> Outcome {
    let start = cx.flags.dir.clone().unwrap_or_else(|| PathBuf::from("."));
    let root = files::find_root(&start).map_err(|error| missing(&error))?;
    let (changes, all) = changes(&root)?;
    if !args.check {
        for change in &changes {
            replace(change)?;
        }
    }
    let names: Vec<&str> = changes.iter().map(|change| &*change.name).collect();
    let code = if args.check && !names.is_empty() { ExitCode::Failed } else { ExitCode::Done };
    let result = json!({ "files": all, "changed": names });
    cx.ui.answer("fmt", code, &result, || names.iter().map(|name| format!("{name}\n")).collect());
    cx.ui.talk(&match (args.check, names.len()) {
        (_, 0) => format!("{} in canonical form\n", count(all, "file")),
        (true, some) => {
            format!("{} of {} not in canonical form; rewrite with: {}\n", some, count(all, "file"), cx.command("fmt"))
        }
        (false, some) => format!("{} of {} rewritten\n", some, count(all, "file")),
    });
    Ok(code)
}

fn missing(error: &files::FilesError) -> CliError {
    CliError::usage(error.to_string()).because(error)
}

/// What would change, and how many files there are; nothing is written when one of them cannot be read.
fn changes(root: &Path) -> Result<(Vec<Change>, usize), CliError> {
    let failed = |error: files::FilesError| CliError::new(ExitCode::Failed, "cannot read the inventory").cause(error);
    let paths = files::list(root).map_err(failed)?;
    let mut changes = Vec::new();
    let mut problems = Vec::new();
    for path in &paths {
        let file = files::read(root, path).map_err(failed)?;
        match format_file(&file.name, &file.text) {
            Ok(text) if text == file.text => {}
            Ok(text) => changes.push(Change { path: path.clone(), name: file.name.clone(), text }),
            Err(found) => problems.push(found),
        }
    }
    if problems.is_empty() { Ok((changes, paths.len())) } else { Err(unreadable(&problems)) }
}

/// The problems of all files.
fn unreadable(problems: &[Diagnostics]) -> CliError {
    let render = |colour| problems.iter().map(|found| found.render(colour)).collect::<Vec<_>>().join("\n");
    let json = problems.iter().map(Diagnostics::to_json).collect();
    OpsError::Inventory { rendered: render(false), coloured: render(true), json }.into()
}

/// Puts the new text in place of the old at one stroke, so that a crash leaves one of them whole.
fn replace(change: &Change) -> Result<(), CliError> {
    let failed =
        |error| CliError::new(ExitCode::Failed, format!("cannot write {}", change.path.display())).cause(error);
    // A link stays a link: what it points to is replaced.
    let path = fs::canonicalize(&change.path).map_err(failed)?;
    let beside = path.with_extension(format!("yaml.{}", std::process::id()));
    let written = fs::metadata(&path)
        .and_then(|before| fs::write(&beside, &change.text).map(|()| before))
        .and_then(|before| fs::set_permissions(&beside, before.permissions()))
        .and_then(|()| fs::rename(&beside, &path));
    written.map_err(|error| {
        // Nothing is left beside a file that could not be replaced.
        let _ = fs::remove_file(&beside);
        failed(error)
    })
}
