//! What Neutron says of networks and their parts, as far as it matters here.

use std::net::IpAddr;

use ipnet::IpNet;
use pool_inventory::Text;
use serde::Deserialize;

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(in super::super) struct Network {
    pub id: Text,
    pub name: Text,
    #[serde(default)]
    pub description: Option<Text>,
    #[serde(default)]
    pub status: Text,
    #[serde(default)]
    pub tags: Vec<Text>,
    #[serde(default)]
    pub subnets: Vec<Text>,
    #[serde(rename = "router:external", default)]
    pub external: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(in super::super) struct Subnet {
    pub id: Text,
    pub network_id: Text,
    #[serde(default)]
    pub description: Option<Text>,
    pub cidr: IpNet,
    #[serde(default)]
    pub enable_dhcp: bool,
    #[serde(default)]
    pub dns_nameservers: Vec<Text>,
    #[serde(default)]
    pub gateway_ip: Option<IpAddr>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(in super::super) struct Router {
    pub id: Text,
    #[serde(default)]
    pub description: Option<Text>,
    #[serde(default)]
    pub external_gateway_info: Option<Gateway>,
    #[serde(default)]
    pub tags: Vec<Text>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(in super::super) struct Gateway {
    pub network_id: Text,
}

/// A security group.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(in super::super) struct Group {
    pub id: Text,
    #[serde(default)]
    pub description: Option<Text>,
    #[serde(default)]
    pub security_group_rules: Vec<GroupRule>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(in super::super) struct GroupRule {
    pub id: Text,
    pub direction: Text,
    pub ethertype: Text,
    #[serde(default)]
    pub protocol: Option<Text>,
    #[serde(default)]
    pub port_range_min: Option<i64>,
    #[serde(default)]
    pub port_range_max: Option<i64>,
    #[serde(default)]
    pub remote_ip_prefix: Option<Text>,
    #[serde(default)]
    pub remote_group_id: Option<Text>,
    #[serde(default)]
    pub remote_address_group_id: Option<Text>,
    #[serde(default)]
    pub description: Option<Text>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(in super::super) struct Port {
    pub id: Text,
    #[serde(default)]
    pub name: Text,
    #[serde(default)]
    pub device_id: Text,
    #[serde(default)]
    pub device_owner: Text,
    #[serde(default)]
    pub fixed_ips: Vec<FixedAddress>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(in super::super) struct FixedAddress {
    pub subnet_id: Text,
}
