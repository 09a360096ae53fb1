//! What Nova and Neutron say of servers, ports and public addresses.

use std::collections::BTreeMap;

use pool_inventory::Text;
use serde::Deserialize;

/// A server, as `servers/detail` and `servers/{id}` show it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Server {
    pub id: Text,
    #[serde(default)]
    pub name: Text,
    pub status: Text,
    #[serde(default)]
    pub metadata: BTreeMap<Text, Text>,
    #[serde(default)]
    pub image: Image,
    /// None where the part of Nova that has the server does not answer.
    pub flavor: Option<Flavor>,
    /// By the name of the network.
    #[serde(default)]
    pub addresses: BTreeMap<Text, Vec<ServerAddress>>,
    #[serde(rename = "OS-EXT-AZ:availability_zone", default)]
    pub zone: Option<Text>,
    #[serde(rename = "OS-EXT-STS:task_state", default)]
    pub task: Option<Text>,
    #[serde(default)]
    pub fault: Option<Fault>,
    #[serde(default)]
    pub created: Text,
}

impl Server {
    /// Whether it has a public address.
    pub fn floats(&self) -> bool {
        self.addresses.values().flatten().any(ServerAddress::floating)
    }

    /// Whether all of it is told: a part of Nova that does not answer leaves only the id.
    pub fn whole(&self) -> bool {
        self.flavor.is_some()
    }
}

/// The image of a server: nothing, if it boots from a volume.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub(super) enum Image {
    Id { id: Text },
    None(serde::de::IgnoredAny),
}

impl Default for Image {
    fn default() -> Self {
        Image::None(serde::de::IgnoredAny)
    }
}

impl Image {
    pub fn id(&self) -> Option<&Text> {
        if let Image::Id { id } = self { Some(id) } else { None }
    }
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Flavor {
    pub original_name: Text,
    pub vcpus: u32,
    /// MiB.
    pub ram: u64,
    /// GiB.
    pub disk: u64,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct ServerAddress {
    pub version: u8,
    pub addr: Text,
    #[serde(rename = "OS-EXT-IPS:type", default)]
    pub kind: Option<Text>,
}

impl ServerAddress {
    pub fn floating(&self) -> bool {
        self.kind.as_deref() == Some("floating")
    }
}

/// What went wrong, in Nova's words.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Fault {
    #[serde(default)]
    pub code: u16,
    #[serde(default)]
    pub message: Text,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct OneServer {
    pub server: Server,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct NewServer {
    pub server: Id,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Id {
    pub id: Text,
}

/// A port.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Port {
    pub id: Text,
    #[serde(default)]
    pub name: Text,
    #[serde(default)]
    pub description: Option<Text>,
    #[serde(default)]
    pub device_id: Text,
    #[serde(default)]
    pub created_at: Option<Text>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct OnePort {
    pub port: Port,
}

/// A public address.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct FloatingIp {
    pub id: Text,
    pub floating_network_id: Text,
}

/// A network, as far as hosts care.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Net {
    pub id: Text,
    #[serde(default)]
    pub name: Text,
    #[serde(rename = "router:external", default)]
    pub external: bool,
}

/// A group of servers that keep apart.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct ServerGroup {
    pub id: Text,
    pub name: Text,
    #[serde(default)]
    pub members: Vec<Text>,
}

/// What was done to a server, newest first.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct InstanceAction {
    pub action: Text,
    pub request_id: Text,
}
