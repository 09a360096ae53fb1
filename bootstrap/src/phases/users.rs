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
    Command {
        item: item("user", name),
        probe: format!("probe_user {arguments}"),
        act: Act::Call(format!("act_user {arguments}")),
        timeout: SHORT,
        show: None,
        recheck: false,
        bare: false,
        ground: false,
    }
}

/// With no declared keys a file that others wrote is left alone, and one that we wrote is removed.
fn keys(name: &Name, user: &UserSpec) -> Command {
    let lines: String = user.authorized_keys.iter().map(|key| format!("{key}\n")).collect();
    let content = if lines.is_empty() { lines } else { format!("{HEADER}{lines}") };
    let digest = if content.is_empty() { "-".into() } else { sha256(&content) };
    let bare = content.is_empty();
    Command {
        item: item("authorized-keys", name),
        probe: format!("probe_keys {} {digest}", quote(name)),
        act: Act::Keys { user: name.as_str().into(), content: content.into() },
        timeout: SHORT,
        show: None,
        recheck: false,
        bare,
        ground: false,
    }
}

fn sudo(name: &Name, user: &UserSpec) -> Command {
    let arguments = format!("{} {}", quote(name), u8::from(user.sudo));
    Command {
        item: item("sudo", name),
        probe: format!("probe_sudo {arguments}"),
        act: Act::Call(format!("act_sudo {arguments}")),
        timeout: SHORT,
        show: None,
        recheck: false,
        bare: !user.sudo,
        ground: false,
    }
}
