//! Kernel settings: now, and after each boot.

use pool_inventory::{FileMode, Text};

use super::{SHORT, files, item};
use crate::{
    command::{Act, Command},
    error::Refusal,
    facts::Facts,
    rendered::{Rendered, RenderedFile},
    script::quote,
};

/// Where the settings stand for the next boot.
const FILE: &str = "/etc/sysctl.d/90-pool.conf";

pub(super) fn commands(facts: &Facts, want: &Rendered) -> Result<Vec<Command>, Refusal> {
    if want.sysctl.is_empty() {
        return Ok(Vec::new());
    }
    let lines: String = want.sysctl.iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
    let root = || Some(Text::from("0"));
    let file = RenderedFile {
        content: format!("# managed by pool\n{lines}").into(),
        mode: FileMode(0o644),
        owner: root(),
        group: root(),
    };
    let settings = want.sysctl.iter().map(|(key, value)| setting(key, value));
    Ok(settings.chain([files::command(facts, &FILE.into(), &file)]).collect())
}

pub(super) fn setting(key: &str, value: &str) -> Command {
    let arguments = format!("{} {}", quote(&path(key)), quote(value));
    Command::new(
        item("sysctl", key),
        format!("probe_sysctl {arguments}"),
        Act::Call(format!("act_sysctl {arguments}")),
        SHORT,
    )
}

/// Below /proc/sys. As sysctl(8) has it: the first separator decides, and in names with dots a `/` stands for a dot.
fn path(key: &str) -> String {
    if key.find(['.', '/']).is_some_and(|at| key[at..].starts_with('/')) {
        return key.to_owned();
    }
    key.chars()
        .map(|c| {
            if c == '.' {
                '/'
            } else if c == '/' {
                '.'
            } else {
                c
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_become_paths_as_sysctl_has_it() {
        assert_eq!(super::path("net.ipv4.ip_forward"), "net/ipv4/ip_forward");
        assert_eq!(super::path("net.ipv4.conf.eth0/1.forwarding"), "net/ipv4/conf/eth0.1/forwarding");
        assert_eq!(super::path("net/ipv4/conf/eth0.1/forwarding"), "net/ipv4/conf/eth0.1/forwarding");
        assert_eq!(super::path("vm/swappiness"), "vm/swappiness");
    }
}
