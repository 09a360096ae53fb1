//! Which parts belong to which network, and what they come to.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use pool_inventory::{
    Kind, Lineage, Name, Text,
    object::{NetworkSpec, Observed, Owner, Spec, Status},
};

use super::{
    answers::{Group, Network, Port, Router, Subnet},
    rules,
};
use crate::openstack::marks;

/// Marks a router whose external network is declared by its id: the name is what is shown otherwise.
pub(super) const BY_ID: &str = "pool-router-by-id";

/// What Neutron lists: of a project, or of one network.
#[derive(Debug, Default)]
pub(super) struct Lists {
    pub networks: Vec<Network>,
    pub subnets: Vec<Subnet>,
    pub routers: Vec<Router>,
    pub groups: Vec<Group>,
    /// The ends of routers in subnets.
    pub interfaces: Vec<Port>,
}

/// A network of ours with what belongs to it.
#[derive(Debug, Clone)]
pub(super) struct Parts {
    pub network: Network,
    pub subnet: Option<Subnet>,
    pub group: Option<Group>,
    pub router: Option<Router>,
    /// Whether the router has an end in the subnet.
    pub connected: bool,
}

/// Parts of ours whose network is not there any more, or belongs to another part.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Stray {
    pub routers: Vec<Text>,
    pub groups: Vec<Text>,
}

const STRAY: &str = "parts:";

impl Stray {
    /// As an id: `parts:router=UUID,group=UUID`.
    fn id(&self) -> Text {
        let routers = self.routers.iter().map(|id| format!("router={id}"));
        let groups = self.groups.iter().map(|id| format!("group={id}"));
        format!("{STRAY}{}", routers.chain(groups).collect::<Vec<_>>().join(",")).into()
    }

    /// Reads an id; none: that of a network.
    pub fn of_id(id: &str) -> Option<Self> {
        let mut stray = Self::default();
        for part in id.strip_prefix(STRAY)?.split(',') {
            match part.split_once('=') {
                Some(("router", id)) => stray.routers.push(id.into()),
                Some(("group", id)) => stray.groups.push(id.into()),
                _ => {}
            }
        }
        Some(stray)
    }
}

pub(super) fn mark(description: &Option<Text>) -> Option<Owner> {
    description.as_deref().and_then(marks::read_description).filter(|owner| owner.address.kind == Kind::Network)
}

impl Lists {
    /// The parts of a network.
    pub fn parts(&self, network: &Network) -> Parts {
        let same = |description: &Option<Text>| description.is_some() && *description == network.description;
        let subnet = self.subnets.iter().find(|subnet| subnet.network_id == network.id && same(&subnet.description));
        // Two networks of one mark come from a reply that was lost: the first has the parts.
        let first =
            self.networks.iter().find(|other| same(&other.description)).is_none_or(|other| other.id == network.id);
        let router = self.routers.iter().find(|router| first && same(&router.description));
        let group = self.groups.iter().find(|group| first && same(&group.description));
        let meets = |port: &Port| {
            router.is_some_and(|router| router.id == port.device_id)
                && port.fixed_ips.iter().any(|at| subnet.is_some_and(|subnet| subnet.id == at.subnet_id))
        };
        Parts {
            network: network.clone(),
            subnet: subnet.cloned(),
            group: group.cloned(),
            router: router.cloned(),
            connected: self.interfaces.iter().any(meets),
        }
    }

    /// Everything, as the engine sees it. `used` are the names and ids of networks that are used as they are.
    pub fn observed(&self, used: &[&Text]) -> Vec<Observed> {
        let names: BTreeMap<&str, (Lineage, Name)> = self.groups.iter().filter_map(name_of_group).collect();
        let mut taken = BTreeSet::new();
        let mut all = Vec::with_capacity(self.networks.len());
        for network in &self.networks {
            let Some(owner) = mark(&network.description) else {
                all.push(foreign(network, used));
                continue;
            };
            let parts = self.parts(network);
            taken.extend(parts.router.iter().map(|router| router.id.clone()));
            taken.extend(parts.group.iter().map(|group| group.id.clone()));
            let network_of = |group: &str| {
                names.get(group).filter(|(lineage, _)| *lineage == owner.lineage).map(|(_, name)| name.clone())
            };
            all.push(self.own(&parts, owner.clone(), network_of));
        }
        all.extend(self.strays(&taken));
        all
    }

    fn own(&self, parts: &Parts, owner: Owner, network_of: impl Fn(&str) -> Option<Name>) -> Observed {
        let network = &parts.network;
        let cidr = parts.subnet.as_ref().map(|subnet| subnet.cidr);
        let v4 = cidr.is_none_or(|cidr| matches!(cidr, IpNet::V4(_)));
        let (ingress, egress) = match Name::new(&owner.address.name) {
            Ok(name) => rules::seen(parts.group.as_ref(), v4, &name, network_of),
            Err(_) => Default::default(),
        };
        let dns = parts.subnet.iter().flat_map(|subnet| &subnet.dns_nameservers);
        let spec = NetworkSpec {
            cidr,
            tags: labels(&network.tags),
            existing: None,
            router: parts.router.as_ref().map(|router| self.way_out(router, parts.connected)),
            dhcp: parts.subnet.as_ref().is_none_or(|subnet| subnet.enable_dhcp),
            dns: dns.filter_map(|server| server.parse().ok()).collect(),
            ingress,
            egress,
        };
        Observed {
            id: network.id.clone(),
            name: network.name.clone(),
            owner: Some(owner),
            status: status(network),
            spec: Spec::Network(spec),
            endpoint: None,
        }
    }

    /// The external network that a router leads to, as it was declared.
    fn way_out(&self, router: &Router, connected: bool) -> Text {
        let Some(gateway) = &router.external_gateway_info else { return "a router without a way out".into() };
        let named = self.networks.iter().find(|network| network.id == gateway.network_id);
        let name = match named {
            Some(network) if !router.tags.iter().any(|tag| &**tag == BY_ID) => network.name.clone(),
            _ => gateway.network_id.clone(),
        };
        if connected { name } else { format!("{name}, not connected").into() }
    }

    /// Parts of ours that no network holds, by whose they are.
    fn strays(&self, taken: &BTreeSet<Text>) -> Vec<Observed> {
        let mut all: BTreeMap<Owner, Stray> = BTreeMap::new();
        for router in self.routers.iter().filter(|router| !taken.contains(&router.id)) {
            if let Some(owner) = mark(&router.description) {
                all.entry(owner).or_default().routers.push(router.id.clone());
            }
        }
        for group in self.groups.iter().filter(|group| !taken.contains(&group.id)) {
            if let Some(owner) = mark(&group.description) {
                all.entry(owner).or_default().groups.push(group.id.clone());
            }
        }
        let empty = || NetworkSpec {
            cidr: None,
            tags: BTreeMap::new(),
            existing: None,
            router: None,
            dhcp: true,
            dns: Vec::new(),
            ingress: BTreeMap::new(),
            egress: BTreeMap::new(),
        };
        let observed = |(owner, stray): (Owner, Stray)| Observed {
            id: stray.id(),
            name: owner.address.name.clone(),
            owner: Some(owner),
            status: Status::Failed("only its router or security group is there".into()),
            spec: Spec::Network(empty()),
            endpoint: None,
        };
        all.into_iter().map(observed).collect()
    }
}

fn name_of_group(group: &Group) -> Option<(&str, (Lineage, Name))> {
    let owner = mark(&group.description)?;
    Some((&*group.id, (owner.lineage, Name::new(&owner.address.name).ok()?)))
}

fn status(network: &Network) -> Status {
    match &*network.status {
        "ERROR" => Status::Failed("the network is in error".into()),
        "BUILD" => Status::Pending,
        _ => Status::Ready,
    }
}

/// A network that is used as it is, or by others. It is called as the inventory calls it, which may be by its id.
pub(super) fn foreign(network: &Network, used: &[&Text]) -> Observed {
    let by_id = used.iter().any(|wanted| **wanted == network.id);
    let spec = NetworkSpec {
        cidr: None,
        tags: BTreeMap::new(),
        existing: Some(if by_id { network.id.clone() } else { network.name.clone() }),
        router: None,
        dhcp: true,
        dns: Vec::new(),
        ingress: BTreeMap::new(),
        egress: BTreeMap::new(),
    };
    Observed {
        id: network.id.clone(),
        name: network.name.clone(),
        owner: None,
        status: status(network),
        spec: Spec::Network(spec),
        endpoint: None,
    }
}

/// Tags of the form `key=value` are labels; others are nobody's of ours.
pub(super) fn labels(tags: &[Text]) -> BTreeMap<Text, Text> {
    tags.iter().filter_map(|tag| tag.split_once('=')).map(|(key, value)| (key.into(), value.into())).collect()
}

/// The tags that a network should have: its labels, and those that are nobody's of ours.
pub(super) fn tags(labels: &BTreeMap<Text, Text>, there: &[Text]) -> BTreeSet<Text> {
    let others = there.iter().filter(|tag| !tag.contains('=')).cloned();
    labels.iter().map(|(key, value)| format!("{key}={value}").into()).chain(others).collect()
}
