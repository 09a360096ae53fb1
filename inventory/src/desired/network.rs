//! Declared networks and their rules.

use std::{collections::BTreeMap, fmt, net::IpAddr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::names::{Name, Text};

/// A declared network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkDecl {
    /// Whose it is.
    pub tenant: Name,
    /// Its address range; none for one that exists.
    pub cidr: Option<IpNet>,
    /// Providers it is made on.
    pub on: Vec<Name>,
    /// The provider's name or id of a network that exists and is used as it is.
    pub existing: Option<Text>,
    /// The provider's name of the external network that a router of its own leads to.
    pub router: Option<Text>,
    /// Whether hosts get their addresses by DHCP.
    pub dhcp: bool,
    /// Name servers that hosts are told, in order.
    pub dns: Vec<IpAddr>,
    /// What may come in, beside what hosts of the network say to each other.
    pub ingress: BTreeMap<Name, Rule>,
    /// What may go out; empty: everything.
    pub egress: BTreeMap<Name, Rule>,
}

impl NetworkDecl {
    /// A network of its own, closed to the outside.
    pub fn new(tenant: Name, cidr: IpNet, on: Vec<Name>) -> Self {
        Self {
            tenant,
            cidr: Some(cidr),
            on,
            existing: None,
            router: None,
            dhcp: true,
            dns: Vec::new(),
            ingress: BTreeMap::new(),
            egress: BTreeMap::new(),
        }
    }

    /// Addresses that hosts can have: neither the network's own, nor those of broadcast, gateway and DHCP; none for a
    /// network that exists.
    pub fn room(&self) -> Option<u64> {
        let cidr = self.cidr?;
        let bits = u32::from(cidr.max_prefix_len() - cidr.prefix_len());
        let taken = if matches!(cidr, IpNet::V4(_)) { 3 } else { 2 };
        Some(1u64.checked_shl(bits).unwrap_or(u64::MAX).saturating_sub(taken + u64::from(self.dhcp)))
    }
}

/// What a network lets through.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Rule {
    /// The other end: where it comes from, or goes to.
    pub peer: Peer,
    /// Protocol.
    pub protocol: Protocol,
    /// Ports of the end that is called; none: all.
    pub ports: Option<Ports>,
}

/// The other end of what a rule lets through.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Peer {
    /// Anyone.
    Any,
    /// These addresses.
    Range(IpNet),
    /// Hosts of a network of this inventory.
    Network(Name),
}

/// A protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// Every one; it has no ports.
    Any,
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP, of the IP version of the network; it has no ports.
    Icmp,
}

impl Protocol {
    /// As users write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Protocol::Any => "any",
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
            Protocol::Icmp => "icmp",
        }
    }
}

/// A range of ports, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ports {
    /// The first.
    pub first: u16,
    /// The last.
    pub last: u16,
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last { write!(f, "{}", self.first) } else { write!(f, "{}-{}", self.first, self.last) }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Peer::Any => f.write_str("any"),
            Peer::Range(range) => write!(f, "{range}"),
            Peer::Network(name) => write!(f, "network/{name}"),
        }
    }
}

impl fmt::Display for Rule {
    /// `tcp 443 any`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.protocol.as_str())?;
        if let Some(ports) = self.ports {
            write!(f, " {ports}")?;
        }
        write!(f, " {}", self.peer)
    }
}
