//! `pool init`: an inventory that works as it stands.

use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
};

use serde_json::json;

use crate::{
    args::Init,
    context::{Context, Outcome},
    error::{CliError, ExitCode},
};

/// An inventory to start from.
struct Example {
    name: &'static str,
    files: &'static [(&'static str, &'static str)],
    next: &'static str,
}

const EXAMPLES: [Example; 6] = [
    Example {
        name: "quickstart",
        files: &[
            ("pool.yaml", include_str!("../../examples/quickstart/pool.yaml")),
            ("templates/welcome.tera", include_str!("../../examples/quickstart/templates/welcome.tera")),
        ],
        next: "pool apply",
    },
    Example {
        name: "existing-hosts",
        files: &[
            ("pool.yaml", include_str!("../../examples/existing-hosts/pool.yaml")),
            ("templates/motd.tera", include_str!("../../examples/existing-hosts/templates/motd.tera")),
        ],
        next: "edit the addresses in pool.yaml, then: pool check",
    },
    Example {
        name: "simulated-cloud",
        files: &[("pool.yaml", include_str!("../../examples/simulated-cloud/pool.yaml"))],
        next: "pool plan",
    },
    Example {
        name: "owned-machines",
        files: &[("pool.yaml", include_str!("../../examples/owned-machines/pool.yaml"))],
        next: "pool plan",
    },
    Example {
        name: "clusters",
        files: &[
            ("pool.yaml", include_str!("../../examples/clusters/pool.yaml")),
            ("kube-flannel.yml", include_str!("../../examples/clusters/kube-flannel.yml")),
        ],
        next: "pool plan",
    },
    Example {
        name: "openstack",
        files: &[
            ("pool.yaml", include_str!("../../examples/openstack/pool.yaml")),
            ("templates/motd.tera", include_str!("../../examples/openstack/templates/motd.tera")),
        ],
        next: "edit the names of your cloud in pool.yaml, then: pool check",
    },
];

const IGNORED: &str = ".pool/";

/// Names of the examples, the first is what `pool init` writes.
pub fn names() -> [&'static str; 6] {
    EXAMPLES.each_ref().map(|example| example.name)
}

/// Writes an inventory.
pub fn run(cx: &Context, args: &Init) -> Outcome {
    let base = cx.flags.dir.clone().unwrap_or_default();
    let folder = args.folder.as_ref().map_or(base.clone(), |folder| base.join(folder));
    let example = EXAMPLES.iter().find(|example| example.name == args.example);
    let example = example.ok_or_else(|| CliError::usage(format!("there is no example `{}`", args.example)))?;
    refuse_to_overwrite(&folder, example)?;
    let mut written = Vec::new();
    for (name, text) in example.files {
        let path = folder.join(name);
        write_new(&path, text)?;
        written.push(path);
    }
    if ignore_state(&folder)? {
        written.push(folder.join(".gitignore"));
    }
    let result = json!({ "example": example.name, "folder": folder, "written": written });
    cx.ui.answer("init", ExitCode::Done, &result, || listing(&written));
    let enter = args.folder.as_ref().map(|folder| format!("cd {} && ", super::quote(&folder.to_string_lossy())));
    cx.ui.talk(&format!("Next: {}{}\n", enter.unwrap_or_default(), example.next));
    Ok(ExitCode::Done)
}

fn listing(written: &[PathBuf]) -> String {
    written.iter().map(|path| format!("wrote {}\n", path.display())).collect()
}

fn refuse_to_overwrite(folder: &Path, example: &Example) -> Result<(), CliError> {
    for (name, _) in example.files {
        let path = folder.join(name);
        if path.symlink_metadata().is_ok() {
            let message = format!("{} exists already; nothing was written", path.display());
            return Err(CliError::new(ExitCode::Failed, message).hint("choose another folder: pool init DIR"));
        }
    }
    Ok(())
}

fn write_new(path: &Path, text: &str) -> Result<(), CliError> {
    let failed = |error| CliError::new(ExitCode::Failed, format!("cannot write {}", path.display())).cause(error);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).open(path).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)
}

/// Keeps the state out of git; true when something had to be written.
fn ignore_state(folder: &Path) -> Result<bool, CliError> {
    let path = folder.join(".gitignore");
    let failed = |error| CliError::new(ExitCode::Failed, format!("cannot write {}", path.display())).cause(error);
    let before = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        Err(error) => return Err(failed(error)),
    };
    if before.lines().any(|line| matches!(line.trim(), ".pool/" | ".pool" | "/.pool/" | "/.pool")) {
        return Ok(false);
    }
    let gap = if before.is_empty() || before.ends_with('\n') { "" } else { "\n" };
    fs::write(&path, format!("{before}{gap}{IGNORED}\n")).map_err(failed)?;
    Ok(true)
}
