//! Users, their authorised keys, and who may become root.

use pool_inventory::{Name, desired::UserSpec};

use super::{SHORT, item};
use crate::{
    command::{Act, Command},
    error::Refusal,
    facts::Facts,
    rendered::{Rendered, sha256},
    script::quote,
};

/// First line of files that are managed whole.
const HEADER: &str = "# managed by pool\n";

pub(super) fn commands(_: &Facts, want: &Rendered) -> Result<Vec<Command>, Refusal> {
    Ok(want.users.iter().flat_map(|(name, user)| [account(name, user), keys(name, user), sudo(name, user)]).collect())
}

fn account(name: &Name, user: &UserSpec) -> Command {
    let shell = user.shell.as_deref().unwrap_or("/bin/bash");
    let groups: Vec<String> = user.groups.iter().map(|group| quote(group)).collect();
    let arguments = [quote(name), quote(shell)].into_iter().chain(groups).collect::<Vec<_>>().join(" ");
    Command::new(
        item("user", name),
        format!("probe_user {arguments}"),
        Act::Call(format!("act_user {arguments}")),
        SHORT,
    )
}

/// With no declared keys a file that others wrote is left alone, and one that we wrote is removed.
fn keys(name: &Name, user: &UserSpec) -> Command {
    let lines: String = user.authorized_keys.iter().map(|key| format!("{key}\n")).collect();
    let content = if lines.is_empty() { lines } else { format!("{HEADER}{lines}") };
    let digest = if content.is_empty() { "-".into() } else { sha256(&content) };
    let bare = content.is_empty();
    Command {
        bare,
        ..Command::new(
            item("authorized-keys", name),
            format!("probe_keys {} {digest}", quote(name)),
            Act::Keys { user: name.as_str().into(), content: content.into() },
            SHORT,
        )
    }
}

fn sudo(name: &Name, user: &UserSpec) -> Command {
    let arguments = format!("{} {}", quote(name), u8::from(user.sudo));
    Command {
        bare: !user.sudo,
        ..Command::new(
            item("sudo", name),
            format!("probe_sudo {arguments}"),
            Act::Call(format!("act_sudo {arguments}")),
            SHORT,
        )
    }
}
