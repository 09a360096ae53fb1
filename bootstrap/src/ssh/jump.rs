//! What `jump:` says, and what the user's own known_hosts knows.

use std::path::Path;

use pool_inventory::{Text, object::Endpoint};

/// A jump host that cannot be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{text}` is not a jump host; write `[user@]host[:port]`")]
pub struct JumpError {
    /// What was written.
    pub text: String,
}

/// Reads `[user@]host[:port]`, also with an IPv6 address in brackets; the user, if one is named, and the endpoint
/// without host keys.
pub fn parse_jump(text: &str) -> Result<(Option<Text>, Endpoint), JumpError> {
    let bad = || JumpError { text: text.to_owned() };
    let (user, rest) = match text.rsplit_once('@') {
        Some((user, rest)) => (Some(user), rest),
        None => (None, text),
    };
    let (host, port) = match rest.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']').ok_or_else(bad)?;
            (host, after.strip_prefix(':').or(after.is_empty().then_some("22")))
        }
        // More than one colon: an IPv6 address without a port.
        None if rest.matches(':').count() > 1 => (rest, Some("22")),
        None => rest.split_once(':').map_or((rest, Some("22")), |(host, port)| (host, Some(port))),
    };
    let port = port.and_then(|port| port.parse::<u16>().ok()).filter(|port| *port > 0).ok_or_else(bad)?;
    let plain = |text: &str| !text.is_empty() && !text.starts_with('-') && !text.contains(char::is_whitespace);
    if !plain(host) || !user.is_none_or(plain) {
        return Err(bad());
    }
    Ok((user.map(Text::from), Endpoint { host: host.into(), port, host_keys: Vec::new() }))
}

/// The keys that a known_hosts file has for a host, plain or hashed; none if the file is not there or cannot be read.
///
/// Lines with `@cert-authority` or `@revoked` are not understood, and give no keys.
pub fn known_hosts(file: &Path, host: &str, port: u16) -> Vec<Text> {
    let keys = russh::keys::known_hosts::known_host_keys_path(host, port, file).unwrap_or_default();
    keys.into_iter().filter_map(|(_, key)| key.to_openssh().ok()).map(Text::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<(Option<String>, String, u16)> {
        let (user, endpoint) = parse_jump(text).ok()?;
        Some((user.map(|u| u.to_string()), endpoint.host.to_string(), endpoint.port))
    }

    #[test]
    fn jump_hosts_are_read_as_people_write_them() {
        let user = |u: &str| Some(u.to_owned());
        assert_eq!(read("bastion.example.net"), Some((None, "bastion.example.net".into(), 22)));
        assert_eq!(read("ops@bastion:2222"), Some((user("ops"), "bastion".into(), 2222)));
        assert_eq!(read("ops@[2001:db8::1]:2222"), Some((user("ops"), "2001:db8::1".into(), 2222)));
        assert_eq!(read("[2001:db8::1]"), Some((None, "2001:db8::1".into(), 22)));
        assert_eq!(read("2001:db8::1"), Some((None, "2001:db8::1".into(), 22)));
        for bad in ["", "@host", "host:", "host:0", "host:70000", "host:x", "[::1", "[::1]x", "a b", "-oProxyCommand=x"]
        {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn known_hosts_are_found_by_name_and_port() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("known_hosts");
        let key = crate::keys::generate(&folder.path().join("id")).unwrap().public();
        std::fs::write(&file, format!("# mine\n[bastion]:2222 {key}\nplain {key}\n")).unwrap();
        assert_eq!(known_hosts(&file, "bastion", 2222)[0], key);
        assert_eq!(known_hosts(&file, "plain", 22), [key]);
        assert!(known_hosts(&file, "bastion", 22).is_empty());
        assert!(known_hosts(&folder.path().join("none"), "plain", 22).is_empty());
    }
}
