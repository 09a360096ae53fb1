//! Networks, and what they let through.

use std::{collections::BTreeMap, net::IpAddr, ops::RangeInclusive};

use ipnet::IpNet;

use super::{Reader, known::What, pools::Providers};
use crate::{
    desired::{Isolation, NetworkDecl, Peer, Ports, Protocol, ProviderKind, Rule, TenantSpec},
    names::{Name, Text},
    yaml::{Entry, Node},
};

/// Keys that mean nothing for a network that is used as it is.
const ONLY_FOR_MADE: [&str; 6] = ["cidr", "router", "dhcp", "dns", "ingress", "egress"];

impl<'n, 's> Reader<'n, 's> {
    /// All networks; providers learn which of theirs are used as they are.
    pub fn networks(&mut self, providers: &mut Providers) -> BTreeMap<Name, NetworkDecl> {
        let mut networks = BTreeMap::new();
        for entry in self.section("networks") {
            let network = self.network(entry);
            if let Ok(name) = Name::new(&entry.key) {
                if let Some(existing) = &network.existing {
                    tell(providers, &network.on, &name, existing);
                }
                networks.insert(name, network);
            }
        }
        networks
    }

    fn network(&mut self, entry: &'n Entry<'s>) -> NetworkDecl {
        let node = &entry.value;
        let on = self.network_providers(entry);
        let existing = self.text(node, "existing");
        if existing.is_some() {
            self.check_existing(entry, &on);
        } else if node.get("cidr").is_none() {
            let message = format!("missing key `cidr` in networks.{}", entry.key);
            self.say(entry.at, message, "needed unless `existing` names a network that is there");
        }
        let cidr = self.optional(node, "cidr");
        let mut rules = |direction: &str, peer: &str| {
            let entries = node.get(direction).map(Node::entries).unwrap_or_default();
            self.map(entries, |this, rule| this.rule(&rule.value, peer, cidr, &on)).into_iter().collect()
        };
        let (ingress, egress) = (rules("ingress", "from"), rules("egress", "to"));
        NetworkDecl {
            tenant: self.tenant_of(node),
            cidr,
            existing,
            router: self.text(node, "router"),
            dhcp: self.flag(node, "dhcp", true),
            dns: self.name_servers(node),
            ingress,
            egress,
            on,
        }
    }

    fn network_providers(&mut self, entry: &Entry<'_>) -> Vec<Name> {
        let Some(list) = entry.value.get("on") else { return Vec::new() };
        let mut on: Vec<Name> = Vec::new();
        for item in list.items() {
            let Some(name) = self.reference(item, What::Provider) else { continue };
            if self.known.provider_type(&name).is_some_and(|kind| !matches!(kind, "sim" | "openstack")) {
                let message = format!("networks.{} cannot be made on provider `{name}`", entry.key);
                self.say(item.span, message, "only providers of type openstack and sim have networks");
            }
            if on.contains(&name) {
                self.say(item.span, format!("provider `{name}` is listed twice"), "");
            }
            on.push(name);
        }
        if list.items().is_empty() && list.scalar().is_none() {
            self.say(list.span, format!("networks.{} is made nowhere", entry.key), "name a provider");
        }
        on
    }

    fn check_existing(&mut self, entry: &Entry<'_>, on: &[Name]) {
        for key in ONLY_FOR_MADE {
            if let Some(given) = entry.value.entries().iter().find(|other| other.key == key) {
                let message = format!("`{key}` has no meaning in networks.{}: the network exists already", entry.key);
                self.say(given.at, message, "remove it, or `existing`");
            }
        }
        let cannot = on.iter().find(|name| self.known.provider_type(name).is_some_and(|kind| kind == "sim"));
        if let (Some(name), Some(at)) = (cannot, entry.value.get("existing")) {
            let message = format!("provider `{name}` has no networks but those that it makes");
            self.say(at.span, message, "`existing` is for providers of type openstack");
        }
    }

    fn name_servers(&mut self, node: &Node<'_>) -> Vec<IpAddr> {
        let mut all = Vec::new();
        for item in node.get("dns").map(Node::items).unwrap_or_default() {
            let Some(address) = item.text().and_then(|text| text.parse::<IpAddr>().ok()) else { continue };
            if all.contains(&address) {
                self.say(item.span, format!("name server {address} is listed twice"), "");
            }
            all.push(address);
        }
        all
    }

    fn rule(&mut self, node: &Node<'_>, end: &str, cidr: Option<IpNet>, on: &[Name]) -> Rule {
        let protocol = self.word(node, "protocol").unwrap_or(Protocol::Tcp);
        let peer = node.get(end).and_then(|at| self.peer(at, cidr, on));
        let ports = node.get("port").and_then(|at| self.ports(at, protocol));
        Rule { peer: peer.unwrap_or(Peer::Any), protocol, ports }
    }

    fn peer(&mut self, at: &Node<'_>, cidr: Option<IpNet>, on: &[Name]) -> Option<Peer> {
        let text = at.text().filter(|text| !text.is_empty())?;
        if text == "any" {
            return Some(Peer::Any);
        }
        if let Some(name) = text.strip_prefix("network/") {
            return self.network_peer(at, name, on);
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            let range = IpNet::from(address);
            self.say(at.span, format!("`{text}` is an address, not an address range"), format!("write {range}"));
            return None;
        }
        let Ok(range) = text.parse::<IpNet>() else {
            let note = "write any, an address range as in 10.20.0.0/24, or network/NAME";
            self.say(at.span, format!("`{text}` is nobody that hosts can talk to"), note);
            return None;
        };
        if range.trunc() != range {
            let message = format!("`{text}` names a host of the range");
            self.say(at.span, message, format!("the range is {}", range.trunc()));
        } else if cidr.is_some_and(|cidr| cidr.addr().is_ipv4() != range.addr().is_ipv4()) {
            let version = |is_v4| if is_v4 { "IPv4" } else { "IPv6" };
            let v4 = range.addr().is_ipv4();
            let message = format!("{} addresses cannot reach an {} network", version(v4), version(!v4));
            self.say(at.span, message, "");
        } else if range.prefix_len() == 0 {
            // All addresses there are; clouds refuse a rule for them beside one for anybody.
            return Some(Peer::Any);
        }
        Some(Peer::Range(range))
    }

    fn network_peer(&mut self, at: &Node<'_>, name: &str, on: &[Name]) -> Option<Peer> {
        if !self.known.check(What::Network, name, at.span, &mut self.problems) {
            return None;
        }
        let peer = self.section("networks").iter().find(|entry| entry.key == name)?;
        let there: Vec<&str> =
            peer.value.get("on").map(Node::items).unwrap_or_default().iter().filter_map(Node::text).collect();
        if let Some(missing) = on.iter().find(|provider| !there.contains(&provider.as_str())) {
            let message = format!("network `{name}` is not on provider `{missing}`");
            self.say(at.span, message, "name its address range instead");
        } else if peer.value.get("existing").is_some() {
            let message = format!("network `{name}` exists already: which of its hosts are ours is not told");
            self.say(at.span, message, "name its address range instead");
        }
        Name::new(name).ok().map(Peer::Network)
    }

    fn ports(&mut self, at: &Node<'_>, protocol: Protocol) -> Option<Ports> {
        let text = at.text().filter(|text| !text.is_empty())?;
        if matches!(protocol, Protocol::Any | Protocol::Icmp) {
            let what = if protocol == Protocol::Icmp { "icmp has no ports" } else { "`protocol: any` has no ports" };
            self.say(at.span, what, "remove `port`, or say tcp or udp");
            return None;
        }
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        match (port(first), port(last)) {
            // All ports there are: Neutron keeps such a rule as one that names none.
            (Some(1), Some(u16::MAX)) => None,
            (Some(first), Some(last)) if first <= last => Some(Ports { first, last }),
            (Some(first), Some(last)) => {
                let message = format!("the range of ports `{text}` ends before it begins");
                self.say(at.span, message, format!("write \"{last}-{first}\""));
                None
            }
            _ => {
                self.say(at.span, format!("`{text}` is not a port"), "from 1 to 65535, or a range as in \"8000-8080\"");
                None
            }
        }
    }

    /// Rules of networks of tenants that share none: nobody else's network is let in or out.
    pub fn check_isolation(&mut self, networks: &BTreeMap<Name, NetworkDecl>, tenants: &BTreeMap<Name, TenantSpec>) {
        let alone = |tenant: &Name| tenants.get(tenant).is_some_and(|t| t.isolation == Isolation::Network);
        for entry in self.section("networks") {
            let Some(network) = networks.get(&*entry.key) else { continue };
            for (direction, end) in [("ingress", "from"), ("egress", "to")] {
                for rule in entry.value.get(direction).map(Node::entries).unwrap_or_default() {
                    let Some(at) = rule.value.get(end) else { continue };
                    let peer = at.text().and_then(|text| networks.get(text.strip_prefix("network/")?));
                    let Some(peer) = peer.filter(|peer| peer.tenant != network.tenant) else { continue };
                    if let Some(closed) = [&network.tenant, &peer.tenant].into_iter().find(|tenant| alone(tenant)) {
                        let message = format!("networks of tenant `{closed}` are closed to those of other tenants");
                        self.say(at.span, message, format!("tenants.{closed} has `isolation: network`"));
                    }
                }
            }
        }
    }
}

/// Tells providers which of their networks is used as it is.
fn tell(providers: &mut Providers, on: &[Name], name: &Name, existing: &Text) {
    for provider in on {
        if let Some(ProviderKind::Openstack(cloud)) = providers.get_mut(provider).map(|provider| &mut provider.kind) {
            cloud.networks.insert(name.clone(), existing.clone());
        }
    }
}

fn port(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|port| digits && *port > 0)
}

/// Whether a rule lets a TCP port in from somewhere outside its network.
pub fn lets_in(rule: &Rule, port: u16) -> bool {
    let within = |ports: Ports| RangeInclusive::new(ports.first, ports.last).contains(&port);
    matches!(rule.protocol, Protocol::Tcp | Protocol::Any)
        && !matches!(rule.peer, Peer::Network(_))
        && rule.ports.is_none_or(within)
}
