//! Rules of a network as rules of its security group. Pure.
//!
//! Neutron refuses two rules that say the same, whatever they are called, and cannot rename one. So a rule of a group
//! carries all the names that the inventory has for it in its description, `pool NAME NAME`, and is made anew when these
//! change. Rules without a name are implied: hosts of a network may talk to each other, and may call anyone unless
//! `egress` says whom.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use pool_inventory::{
    Name, Text,
    desired::{Peer, Ports, Protocol, Rule},
    object::NetworkSpec,
};
use serde_json::{Value, json};

use super::answers::{Group, GroupRule};

/// What makes two rules the same for Neutron.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Content {
    pub out: bool,
    pub v4: bool,
    pub protocol: Protocol,
    pub ports: Option<Ports>,
    pub peer: End,
}

/// The other end, as Neutron knows it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum End {
    Any,
    Range(IpNet),
    Group(Text),
}

impl End {
    /// Neutron takes a rule for all addresses, and one that names none, for the same.
    fn of(range: IpNet) -> Self {
        if range.prefix_len() == 0 { End::Any } else { End::Range(range) }
    }
}

/// The rules that a group should have, with their names.
pub(super) type Wanted = BTreeMap<Content, BTreeSet<Name>>;

/// What is to be done to a group.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Steps {
    /// Made first.
    pub add: Vec<(Content, BTreeSet<Name>)>,
    /// Rules that say the right thing under other names: removed and made anew.
    pub rename: Vec<(Text, Content, BTreeSet<Name>)>,
    /// Removed last.
    pub remove: Vec<Text>,
}

/// The rules that a network's group should have. `group_of` tells the groups of the networks that rules name.
pub(super) fn wanted(spec: &NetworkSpec, v4: bool, own: &Text, group_of: impl Fn(&Name) -> Option<Text>) -> Wanted {
    let mut all = Wanted::new();
    all.entry(members(false, v4, own)).or_default();
    if spec.egress.is_empty() {
        all.entry(everything(true)).or_default();
        all.entry(everything(false)).or_default();
    } else {
        all.entry(members(true, v4, own)).or_default();
    }
    for (out, rules) in [(false, &spec.ingress), (true, &spec.egress)] {
        for (name, rule) in rules {
            let (peer, v4) = match &rule.peer {
                Peer::Any => (End::Any, v4),
                Peer::Range(range) => (End::of(*range), range.addr().is_ipv4()),
                Peer::Network(network) => match group_of(network) {
                    Some(group) => (End::Group(group), v4),
                    None => continue,
                },
            };
            let content = Content { out, v4, protocol: rule.protocol, ports: rule.ports, peer };
            all.entry(content).or_default().insert(name.clone());
        }
    }
    all
}

/// The networks that rules name.
pub(super) fn peers(spec: &NetworkSpec) -> BTreeSet<&Name> {
    let rules = spec.ingress.values().chain(spec.egress.values());
    rules.filter_map(|rule| if let Peer::Network(name) = &rule.peer { Some(name) } else { None }).collect()
}

fn members(out: bool, v4: bool, own: &Text) -> Content {
    Content { out, v4, protocol: Protocol::Any, ports: None, peer: End::Group(own.clone()) }
}

fn everything(v4: bool) -> Content {
    Content { out: true, v4, protocol: Protocol::Any, ports: None, peer: End::Any }
}

/// How a group gets the rules that it should have.
pub(super) fn steps(there: &[GroupRule], wanted: &Wanted) -> Steps {
    let mut steps = Steps::default();
    let mut met = BTreeSet::new();
    for rule in there {
        let known = content(rule).and_then(|content| wanted.get_key_value(&content));
        match known {
            Some((content, names)) if met.insert(content) => {
                if names_of(rule) != *names {
                    steps.rename.push((rule.id.clone(), content.clone(), names.clone()));
                }
            }
            _ => steps.remove.push(rule.id.clone()),
        }
    }
    let missing = wanted.iter().filter(|(content, _)| !met.contains(content));
    steps.add = missing.map(|(content, names)| (content.clone(), names.clone())).collect();
    steps
}

/// The body of a new rule.
pub(super) fn body(group: &str, content: &Content, names: &BTreeSet<Name>) -> Value {
    let mut rule = json!({
        "security_group_id": group,
        "direction": if content.out { "egress" } else { "ingress" },
        "ethertype": if content.v4 { "IPv4" } else { "IPv6" },
        "description": description(names),
    });
    match content.protocol {
        Protocol::Any => {}
        Protocol::Icmp if !content.v4 => rule["protocol"] = json!("ipv6-icmp"),
        other => rule["protocol"] = json!(other.as_str()),
    }
    if let Some(ports) = content.ports {
        rule["port_range_min"] = json!(ports.first);
        rule["port_range_max"] = json!(ports.last);
    }
    match &content.peer {
        End::Any => {}
        End::Range(range) => rule["remote_ip_prefix"] = json!(range.to_string()),
        End::Group(group) => rule["remote_group_id"] = json!(&**group),
    }
    rule
}

fn description(names: &BTreeSet<Name>) -> String {
    if names.is_empty() {
        return String::new();
    }
    names.iter().fold("pool".to_owned(), |text, name| text + " " + name)
}

fn names_of(rule: &GroupRule) -> BTreeSet<Name> {
    let text = rule.description.as_deref().unwrap_or_default();
    let names: Option<BTreeSet<Name>> =
        text.strip_prefix("pool ").and_then(|names| names.split(' ').map(|name| Name::new(name).ok()).collect());
    names.unwrap_or_default()
}

/// What a rule says; none: something that no rule of ours can say.
fn content(rule: &GroupRule) -> Option<Content> {
    if rule.remote_address_group_id.is_some() {
        return None;
    }
    let protocol = match rule.protocol.as_deref() {
        None | Some("any" | "0") => Protocol::Any,
        Some("tcp" | "6") => Protocol::Tcp,
        Some("udp" | "17") => Protocol::Udp,
        Some("icmp" | "1" | "ipv6-icmp" | "icmpv6" | "58") => Protocol::Icmp,
        Some(_) => return None,
    };
    let ports = match (rule.port_range_min, rule.port_range_max) {
        (None, None) => None,
        (Some(first), Some(last)) if matches!(protocol, Protocol::Tcp | Protocol::Udp) => {
            Some(Ports { first: u16::try_from(first).ok()?, last: u16::try_from(last).ok()? })
        }
        _ => return None,
    };
    let peer = match (&rule.remote_group_id, &rule.remote_ip_prefix) {
        (Some(group), _) => End::Group(group.clone()),
        (None, Some(range)) => End::of(range.parse().ok()?),
        (None, None) => End::Any,
    };
    Some(Content { out: &*rule.direction == "egress", v4: &*rule.ethertype == "IPv4", protocol, ports, peer })
}

/// Rules by name, of one direction.
type Rules = BTreeMap<Name, Rule>;

/// What a group lets in and out, as its network's spec says it. `network_of` tells the networks that groups belong to.
///
/// What nobody declared has a name after its id; of what is implied, only that it is missing shows.
pub(super) fn seen(
    group: Option<&Group>,
    v4: bool,
    own: &Name,
    network_of: impl Fn(&str) -> Option<Name>,
) -> (Rules, Rules) {
    let (mut ingress, mut egress) = (Rules::new(), Rules::new());
    let Some(group) = group else {
        ingress.extend(missing("members-missing", Peer::Network(own.clone())));
        return (ingress, egress);
    };
    let rules: Vec<_> = group.security_group_rules.iter().map(|rule| (rule, content(rule), names_of(rule))).collect();
    let has = |wanted: &Content| rules.iter().any(|(_, content, _)| content.as_ref() == Some(wanted));
    let narrowed = rules.iter().any(|(rule, _, names)| &*rule.direction == "egress" && !names.is_empty());
    let implied = |content: &Content| {
        let all = !narrowed && (*content == everything(true) || *content == everything(false));
        all || *content == members(false, v4, &group.id) || *content == members(true, v4, &group.id)
    };
    for (rule, content, names) in &rules {
        if names.is_empty() && content.as_ref().is_some_and(implied) {
            continue;
        }
        let into = if &*rule.direction == "egress" { &mut egress } else { &mut ingress };
        let shown = shown(rule, content.as_ref(), &network_of);
        let names = if names.is_empty() { stranger(&rule.id).into_iter().collect() } else { names.clone() };
        for name in names {
            let free = if into.contains_key(&name) { stranger(&rule.id) } else { Some(name) };
            into.extend(free.map(|name| (name, shown.clone())));
        }
    }
    if !has(&members(false, v4, &group.id)) {
        ingress.extend(missing("members-missing", Peer::Network(own.clone())));
    }
    if narrowed && !has(&members(true, v4, &group.id)) {
        egress.extend(missing("members-missing", Peer::Network(own.clone())));
    }
    if !narrowed && !has(&everything(v4)) {
        egress.extend(missing("everything-missing", Peer::Any));
    }
    (ingress, egress)
}

/// Stands for an implied rule that is not there: a difference that an update ends.
fn missing(what: &str, peer: Peer) -> Option<(Name, Rule)> {
    Some((Name::new(what).ok()?, Rule { peer, protocol: Protocol::Any, ports: None }))
}

fn stranger(id: &str) -> Option<Name> {
    let short: String = id.chars().filter(char::is_ascii_hexdigit).take(8).collect::<String>().to_lowercase();
    Name::new(&format!("other-{short}")).ok()
}

fn shown(rule: &GroupRule, content: Option<&Content>, network_of: impl Fn(&str) -> Option<Name>) -> Rule {
    let group = rule.remote_group_id.as_ref().or(rule.remote_address_group_id.as_ref());
    let range = || rule.remote_ip_prefix.as_deref().and_then(|range| range.parse().ok());
    let peer = match group {
        Some(group) => network_of(group).or_else(|| stranger(group)).map_or(Peer::Any, Peer::Network),
        None => range().filter(|range: &IpNet| range.prefix_len() > 0).map_or(Peer::Any, Peer::Range),
    };
    let (protocol, ports) = content.map_or((Protocol::Any, None), |content| (content.protocol, content.ports));
    Rule { peer, protocol, ports }
}

#[cfg(test)]
mod tests;
