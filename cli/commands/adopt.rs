//! `pool adopt`

use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
};

use pool_engine::ops::{Environment, Unmanaged, validate};
use pool_inventory::Text;
use serde_json::json;

use crate::{
    args::Adopt,
    context::{Context, Outcome},
    error::{CliError, ExitCode},
    render,
};

/// What runs unmanaged at a provider, and the inventory that takes it over.
pub fn run(cx: &Context, args: &Adopt) -> Outcome {
    let provider = provider(cx, args)?;
    let only: Vec<Text> = args.only.iter().map(|only| only.as_str().into()).collect();
    let (found, root) = cx.with_environment(async |env: Environment| {
        Ok((env.unmanaged(&provider, &only).await?, env.root().to_owned()))
    })?;
    let written = match &args.write {
        Some(file) if !found.inventory.is_empty() => Some(write(cx, &root, file, &found)?),
        _ => None,
    };
    let result = json!({ "unmanaged": found, "written": written });
    cx.ui.answer("adopt", ExitCode::Done, &result, || {
        render::adopt::unmanaged(&found, written.as_deref(), &cx.command(""))
    });
    Ok(ExitCode::Done)
}

/// The provider that is meant; files of other tools are not read yet.
fn provider(cx: &Context, args: &Adopt) -> Result<String, CliError> {
    let from = args.from.as_ref().or(args.provider.as_ref());
    let from = from.ok_or_else(|| {
        CliError::usage("whose machines? name a provider").hint(format!("as in: {}", cx.command("adopt private")))
    })?;
    let file = Path::new(from);
    let extension = file.extension().and_then(|extension| extension.to_str()).unwrap_or("");
    if matches!(extension, "tfstate" | "yaml" | "yml" | "json") || from.contains('/') {
        let message = format!("`{from}` is a file: what other tools manage cannot be taken over yet");
        return Err(CliError::usage(message).hint(format!("name a provider, as in: {}", cx.command("adopt private"))));
    }
    Ok(from.clone())
}

/// Writes the inventory text beside the others, and takes it back where it does not fit to them.
fn write(cx: &Context, root: &Path, file: &Path, found: &Unmanaged) -> Result<PathBuf, CliError> {
    let shown = file.display();
    if !file.to_string_lossy().ends_with(".pool.yaml") {
        let message = format!("{shown} would not be read: files of an inventory end in `.pool.yaml`");
        return Err(CliError::usage(message).hint("write, for instance, adopted.pool.yaml"));
    }
    let base = cx.flags.dir.clone().unwrap_or_default();
    let path = base.join(file);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let inside =
        folder.canonicalize().is_ok_and(|folder| root.canonicalize().is_ok_and(|root| folder.starts_with(root)));
    if !inside {
        let message = format!("{shown} would not be read: it is not below the inventory's folder, {}", root.display());
        return Err(CliError::usage(message));
    }
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::AlreadyExists => {
            CliError::new(ExitCode::Failed, format!("{shown} exists, and is not overwritten")).hint("name another file")
        }
        _ => CliError::new(ExitCode::Failed, format!("cannot write {shown}")).cause(error),
    };
    let mut open = OpenOptions::new().write(true).create_new(true).open(&path).map_err(failed)?;
    open.write_all(found.inventory.as_bytes()).map_err(failed)?;
    if let Err(problems) = cx.open_request().and_then(|request| Ok(validate(&request)?)) {
        let _ = fs::remove_file(&path);
        cx.ui.say(&problems.render(cx.ui.coloured_talk()));
        let message = format!("what would be written to {shown} does not fit the inventory; it was not written");
        return Err(CliError::new(ExitCode::Usage, message));
    }
    Ok(path)
}
