//! `ssh:` blocks: the nearest of host, pool and provider wins, field by field.

use super::Reader;
use crate::{
    desired::{Access, SecretRef, Trust},
    names::Text,
    yaml::Node,
};

/// What holds where nothing is said.
pub fn defaults(trust: Trust) -> Access {
    Access { user: "root".into(), key: None, agent: false, port: 22, jump: None, trust }
}

impl Reader<'_, '_> {
    /// An `ssh:` block over what holds without it.
    pub fn access(&mut self, node: &Node<'_>, base: &Access) -> Access {
        let key = node.get("key").and_then(secret);
        let agent = self.optional::<bool>(node, "agent");
        if key.is_some() && agent == Some(true) {
            self.say(node.span, "both a key and the agent are given", "choose one");
        }
        let user = self.text(node, "user");
        if let (Some(at), Some(user)) = (node.get("user"), &user)
            && !is_login(user)
        {
            self.say(at.span, format!("`{user}` is not a login name"), "");
        }
        let jump = self.text(node, "jump");
        if let (Some(at), Some(jump)) = (node.get("jump"), &jump)
            && !is_jump(jump)
        {
            self.say(at.span, format!("`{jump}` is not a jump host"), "write [USER@]HOST[:PORT]");
        }
        Access {
            user: user.unwrap_or_else(|| base.user.clone()),
            agent: agent.unwrap_or(base.agent && key.is_none()),
            key: key.or_else(|| base.key.clone().filter(|_| agent != Some(true))),
            port: self.value(node, "port", base.port),
            jump: jump.or_else(|| base.jump.clone()),
            trust: self.word(node, "trust").unwrap_or(base.trust),
        }
    }
}

impl Reader<'_, '_> {
    /// Says so where an `ssh:` block wants keys from a console that nobody can read.
    pub fn refuse_console(&mut self, node: &Node<'_>, what: &str) {
        let trust = node.get("ssh").and_then(|ssh| ssh.get("trust"));
        if let Some(at) = trust.filter(|trust| trust.text() == Some("console")) {
            self.say(at.span, format!("{what} has no console to read"), "only providers of type openstack have one");
        }
    }
}

/// A secret's reference.
pub fn secret(node: &Node<'_>) -> Option<SecretRef> {
    let text = |key: &str| node.get(key).and_then(Node::text).map(Text::from);
    if let Some(command) = node.get("exec") {
        let words: Vec<Text> = command.items().iter().filter_map(|item| item.text().map(Text::from)).collect();
        return (!words.is_empty()).then_some(SecretRef::Exec(words));
    }
    text("env").map(SecretRef::Env).or_else(|| text("file").map(SecretRef::File))
}

/// A login name that cannot be taken for an option or for shell syntax.
pub fn is_login(user: &str) -> bool {
    let rest = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'@');
    let first = user.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_');
    first && user.len() <= 64 && user.bytes().all(rest)
}

/// An IP address, or a DNS name.
pub fn is_host(host: &str) -> bool {
    if host.parse::<std::net::IpAddr>().is_ok() {
        return true;
    }
    let label = |part: &str| {
        let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_alphanumeric());
        part.len() <= 63
            && edge(part.bytes().next())
            && edge(part.bytes().last())
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    host.len() <= 253
        && host.trim_end_matches('.').split('.').all(label)
        && !host.bytes().all(|b| b.is_ascii_digit() || b == b'.')
}

fn is_jump(jump: &str) -> bool {
    let (user, rest) = jump.split_once('@').map_or((None, jump), |(user, rest)| (Some(user), rest));
    let host_port = match rest.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map(|(host, port)| (host, port.strip_prefix(':'))),
        None if rest.matches(':').count() == 1 => rest.split_once(':').map(|(host, port)| (host, Some(port))),
        None => Some((rest, None)),
    };
    let Some((host, port)) = host_port else { return false };
    user.is_none_or(is_login) && is_host(host) && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|p| p > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_jump_hosts() {
        for good in ["192.0.2.1", "2001:db8::1", "a", "bastion.example.net", "x_1.lan"] {
            assert!(is_host(good), "{good}");
        }
        for bad in ["", "-a", "a b", "a..b", "192.0.2.999", "a;b", "$(x)"] {
            assert!(!is_host(bad), "{bad}");
        }
        for good in ["bastion", "me@bastion:2222", "[2001:db8::1]:22", "2001:db8::1"] {
            assert!(is_jump(good), "{good}");
        }
        for bad in ["-oProxy=x", "a@", "bastion:0", "bastion:x", "[::1"] {
            assert!(!is_jump(bad), "{bad}");
        }
    }
}
