//! Files, written whole.

use pool_inventory::Text;

use super::{SHORT, item, owner};
use crate::{
    command::{Act, Command},
    error::Refusal,
    facts::Facts,
    rendered::{Rendered, RenderedFile, sha256},
    script::quote,
};

pub(super) fn commands(facts: &Facts, want: &Rendered) -> Result<Vec<Command>, Refusal> {
    // What is unpacked around a file may overwrite it.
    let below = |path: &str, folder: &str| path.starts_with(&format!("{}/", folder.trim_end_matches('/')));
    let around = |path: &str| want.unpack.values().any(|unpack| below(path, &unpack.to));
    let command =
        |(path, file): (&Text, &RenderedFile)| Command { recheck: around(path), ..command(facts, path, file) };
    Ok(want.files.iter().map(command).collect())
}

pub(super) fn command(facts: &Facts, path: &Text, file: &RenderedFile) -> Command {
    let (owner, group) = owner(facts, file.owner.as_ref(), file.group.as_ref());
    // Content that others on the host must not read does not go into plans and logs either.
    let public = file.mode.0 & 0o004 != 0;
    let digest = sha256(&file.content);
    let words = format!("{} {digest} {:o} {} {}", quote(path), file.mode.0, quote(&owner), quote(&group));
    Command {
        show: public.then(|| file.content.clone()),
        place: Some(path.clone()),
        ..Command::new(
            item("file", path),
            format!("probe_file {words} {}", u8::from(public)),
            Act::File { path: path.clone(), content: file.content.clone(), mode: file.mode, owner, group },
            SHORT,
        )
    }
}
