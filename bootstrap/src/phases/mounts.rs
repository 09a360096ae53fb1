//! Volumes that the provider attaches and the host mounts. They come first, so that whatever follows lies on them.

use std::time::Duration;

use pool_inventory::Text;

use super::item;
use crate::{
    command::{Act, Command, Library},
    error::Refusal,
    facts::Facts,
    rendered::{Mount, Rendered},
    script::quote,
};

/// Longest time for one volume: half a minute until its device is there, and the rest for making a filesystem, or for
/// reading through the journal of a large one.
const LIMIT: Duration = Duration::from_secs(600);

pub(super) fn commands(_: &Facts, want: &Rendered) -> Result<Vec<Command>, Refusal> {
    Ok(want.mounts.iter().map(|(path, mount)| command(path, mount)).collect())
}

fn command(path: &Text, mount: &Mount) -> Command {
    let (id, folder, label) = (quote(&mount.id), quote(&mount.devices), quote(mount.label()));
    let arguments = format!("{} {id} {} {folder}", quote(path), mount.size.0);
    Command {
        ground: true,
        library: Some(Library::Mounts),
        ..Command::new(
            item("mount", path),
            format!("probe_mount {arguments}"),
            Act::Call(format!("act_mount {arguments} {label}")),
            LIMIT,
        )
    }
}

/// What takes a volume off a host before it is detached. `going`: the host goes too, and nothing on it may hold that up.
pub(crate) fn release(path: &Text, mount: &Mount, going: bool) -> Command {
    let (id, folder) = (quote(&mount.id), quote(&mount.devices));
    Command {
        library: Some(Library::Mounts),
        ..Command::new(
            item("unmount", path),
            String::new(),
            Act::Call(format!("act_unmount {} {id} {folder} {}", quote(path), u8::from(going))),
            LIMIT,
        )
    }
}
