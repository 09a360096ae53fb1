//! What a new host is told: cloud-init's user data. Pure.

use std::fmt::Write;

use pool_inventory::Text;

use super::host_keys::HostKey;
use crate::{ProviderError, openstack::invalid};

/// Most that Nova takes, in base64.
const LARGEST: usize = 65_535;

/// What a host is told at its first start.
pub(super) struct Setup<'a> {
    /// Its name.
    pub hostname: &'a str,
    /// Who logs in.
    pub user: &'a str,
    /// With which keys.
    pub authorized_keys: &'a [Text],
    /// The host key that it has; none: it makes its own.
    pub host_key: Option<&'a HostKey>,
}

/// The user data, in base64.
pub(super) fn encoded(setup: &Setup<'_>) -> Result<String, ProviderError> {
    let text = data_encoding::BASE64.encode(cloud_config(setup).as_bytes());
    if text.len() > LARGEST {
        return Err(invalid(
            "authorized_keys",
            format!("they make user data of {} bytes; Nova takes {LARGEST}", text.len()),
        ));
    }
    Ok(text)
}

/// Every text stands in double quotes, whatever is in it.
fn cloud_config(setup: &Setup<'_>) -> String {
    let mut out = String::from("#cloud-config\n");
    let mut line = |indent: usize, text: &str| {
        let _ = writeln!(out, "{:indent$}{text}", "");
    };
    line(0, &format!("hostname: {}", quoted(setup.hostname)));
    line(0, "preserve_hostname: false");
    line(0, "ssh_pwauth: false");
    line(0, &format!("disable_root: {}", setup.user != "root"));
    line(0, "users:");
    line(2, &format!("- name: {}", quoted(setup.user)));
    if setup.user != "root" {
        line(4, r#"sudo: "ALL=(ALL) NOPASSWD:ALL""#);
        line(4, r#"shell: "/bin/bash""#);
    }
    line(4, "lock_passwd: true");
    if !setup.authorized_keys.is_empty() {
        line(4, "ssh_authorized_keys:");
        setup.authorized_keys.iter().for_each(|key| line(6, &format!("- {}", quoted(key.trim()))));
    }
    line(0, "ssh_deletekeys: true");
    match setup.host_key {
        Some(key) => {
            line(0, "ssh_keys:");
            line(2, &format!("ed25519_private: {}", quoted(&key.private)));
            line(2, &format!("ed25519_public: {}", quoted(&key.public)));
        }
        // The console is where they are read.
        None => {
            line(0, "ssh:");
            line(2, "emit_keys_to_console: true");
        }
    }
    out
}

/// A text as a double-quoted scalar of YAML, printable ASCII only.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        let code = u32::from(c);
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            ' '..='~' => out.push(c),
            _ if code <= 0xff => drop(write!(out, "\\x{code:02x}")),
            _ if code <= 0xffff => drop(write!(out, "\\u{code:04x}")),
            _ => drop(write!(out, "\\U{code:08x}")),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_yaml::Value;

    use super::*;

    fn told(setup: &Setup<'_>) -> Value {
        let text = data_encoding::BASE64.decode(encoded(setup).expect("it fits").as_bytes()).expect("base64");
        assert!(text.is_ascii() && text.starts_with(b"#cloud-config\n"));
        serde_yaml::from_slice(&text).expect("YAML")
    }

    proptest! {
        /// Whatever a name, a user or a key holds comes out as it went in, and says nothing else.
        #[test]
        fn every_text_stays_what_it_is(hostname in ".*", user in "[^r]\\PC*", keys in prop::collection::vec(any::<String>(), 0..4)) {
            let authorized_keys: Vec<Text> = keys.iter().map(|key| key.as_str().into()).collect();
            let data = told(&Setup { hostname: &hostname, user: &user, authorized_keys: &authorized_keys, host_key: None });
            prop_assert_eq!(data["hostname"].as_str(), Some(&*hostname));
            prop_assert_eq!(data["users"][0]["name"].as_str(), Some(&*user));
            let said = data["users"][0]["ssh_authorized_keys"].as_sequence().cloned().unwrap_or_default();
            let said: Vec<&str> = said.iter().filter_map(Value::as_str).collect();
            prop_assert_eq!(said, keys.iter().map(|key| key.trim()).collect::<Vec<_>>());
            prop_assert_eq!(data.as_mapping().map(|all| all.len()), Some(7));
        }
    }

    #[test]
    fn a_host_is_told_its_key_and_who_may_log_in() {
        let key =
            HostKey { private: "-----BEGIN\nx: y\n-----END\n".to_owned().into(), public: "ssh-ed25519 AAAA".into() };
        let keys = ["ssh-ed25519 BBBB ann@example".into()];
        let setup = Setup { hostname: "web-1", user: "ops", authorized_keys: &keys, host_key: Some(&key) };
        let data = told(&setup);
        assert_eq!(data["ssh_keys"]["ed25519_private"].as_str(), Some(key.private.as_str()));
        assert_eq!(data["ssh_deletekeys"].as_bool(), Some(true));
        assert_eq!(data["ssh_pwauth"].as_bool(), Some(false));
        assert_eq!((data["disable_root"].as_bool(), data["users"][0]["sudo"].is_string()), (Some(true), true));
        let root = told(&Setup { user: "root", ..setup });
        assert_eq!((root["disable_root"].as_bool(), root["users"][0]["sudo"].is_string()), (Some(false), false));
    }

    #[test]
    fn more_than_nova_takes_is_refused() {
        let keys: Vec<Text> = (0..500).map(|n| format!("ssh-rsa {n}{}", "A".repeat(372)).into()).collect();
        let refused = encoded(&Setup { hostname: "a", user: "ops", authorized_keys: &keys, host_key: None });
        assert!(matches!(refused, Err(ProviderError::Invalid { .. })), "{refused:?}");
    }
}
