//! Directories, parents before children.

use super::{SHORT, item, owner};
use crate::{
    command::{Act, Command},
    error::Refusal,
    facts::Facts,
    rendered::Rendered,
    script::quote,
};

pub(super) fn commands(facts: &Facts, want: &Rendered) -> Result<Vec<Command>, Refusal> {
    let command = |(path, directory): (&pool_inventory::Text, &pool_inventory::desired::DirectorySpec)| {
        let (owner, group) = owner(facts, directory.owner.as_ref(), directory.group.as_ref());
        let arguments = format!("{} {:o} {} {}", quote(path), directory.mode.0, quote(&owner), quote(&group));
        Command {
            place: Some(path.clone()),
            ..Command::new(
                item("directory", path),
                format!("probe_directory {arguments}"),
                Act::Call(format!("act_directory {arguments}")),
                SHORT,
            )
        }
    };
    Ok(want.directories.iter().map(command).collect())
}
