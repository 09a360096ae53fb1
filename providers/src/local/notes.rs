//! What is written down about a machine, in its own folder, before any process of it is started.

use std::{collections::BTreeMap, net::Ipv4Addr, path::PathBuf};

use pool_inventory::{
    Text, Token,
    object::{Endpoint, HostSpec, Observed, Owner, Spec, Status},
};
use serde::{Deserialize, Serialize};

/// Name of the notes in a machine's folder.
pub(super) const NOTES: &str = "machine.json";
/// Folder that the machine sees, read-only, as [`INSIDE`].
pub(super) const GUEST: &str = "guest";
/// Where the machine sees [`GUEST`] and the program that runs it.
pub(super) const INSIDE: &str = "/run/pool";

/// One machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Notes {
    /// Form of this file.
    pub version: u32,
    /// Name of the folder.
    pub id: Text,
    /// Name in the cloud.
    pub name: Text,
    /// Whose it is.
    pub owner: Owner,
    /// What was asked for.
    pub spec: HostSpec,
    /// How far it is.
    pub phase: Phase,
    /// Whether user namespaces stand in for root.
    pub rootless: bool,
    /// Its loopback address.
    pub ip: Ipv4Addr,
    /// Where its SSH server listens.
    pub port: u16,
    /// Public host key in OpenSSH form.
    pub host_key: Text,
    /// Folders of the computer that it must not see, where its root has layers over them.
    #[serde(default)]
    pub hidden: Vec<PathBuf>,
    /// Volumes that it has, by id.
    #[serde(default)]
    pub volumes: BTreeMap<Text, Fitting>,
}

/// How far a machine is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Phase {
    /// Creation has begun and has not been seen to end.
    Making,
    /// It has been up once.
    Made,
    /// Deletion has begun.
    Deleting,
}

/// A volume as a machine needs to know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Fitting {
    /// Folder or image file.
    pub source: PathBuf,
    /// Whether `source` is an image to be mounted through a loop device.
    pub image: bool,
    /// Mount point in the machine; none: attached only.
    pub mount: Option<Text>,
}

impl Notes {
    /// What the machine calls itself: the host's name without inventory and environment.
    pub fn hostname(&self) -> &str {
        &self.owner.address.name
    }

    /// The machine as the engine sees it.
    pub fn observed(&self, running: bool) -> Observed {
        let status = match self.phase {
            Phase::Making => Status::Pending,
            Phase::Deleting => Status::Deleting,
            Phase::Made if running => Status::Ready,
            Phase::Made => Status::Stopped,
        };
        Observed {
            id: self.id.clone(),
            name: self.name.clone(),
            owner: Some(self.owner.clone()),
            status,
            spec: Spec::Host(self.spec.clone()),
            endpoint: running.then(|| Endpoint {
                host: self.ip.to_string().into(),
                port: self.port,
                host_keys: vec![self.host_key.clone()],
            }),
        }
    }
}

/// The id of the machine that a token makes: the same token always names the same folder.
pub(super) fn id_of(token: &Token) -> Text {
    format!("m-{}", &blake3::hash(token.0.as_bytes()).to_hex()[..12]).into()
}

/// Address `127.64.0.0/10` from the id; two machines may get the same one, which their ports settle.
pub(super) fn ip_of(folder: &str, id: &str) -> Ipv4Addr {
    let hash = blake3::hash(format!("{folder}\n{id}").as_bytes());
    let [a, b, c, ..] = *hash.as_bytes();
    // Neither .0 nor .255: some tools take these for a network or a broadcast.
    Ipv4Addr::new(127, 64 | (a & 63), b, 1 + c % 254)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_one_machine_and_one_loopback_address() {
        let id = id_of(&Token("a".into()));
        assert_eq!(id, id_of(&Token("a".into())));
        assert_ne!(id, id_of(&Token("b".into())));
        for n in 0..1000 {
            let ip = ip_of("/x", &n.to_string());
            assert!(ip.is_loopback() && ip.octets()[1] >= 64 && !matches!(ip.octets()[3], 0 | 255), "{ip}");
        }
    }
}
