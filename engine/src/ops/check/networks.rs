//! Networks: those that lead outside, those that exist already, and the addresses that are left in each.

use std::collections::BTreeMap;

use pool_inventory::{
    Address, Kind, Name, Text,
    desired::NetworkDecl,
    market::{Market, NetworkOffer},
    object::Spec,
};
use pool_planner::Action;

use super::{Lines, hint, look::Look};

/// What is done where the provider does not tell.
const ASK: &str = "ask who runs it";

/// Everything about networks at one provider.
pub(super) fn provider(look: &Look, name: &Name, market: &Market, lines: &mut Lines) {
    outside(look, name, market, lines);
    for (network, decl) in look.input.desired.networks.iter().filter(|(_, decl)| decl.on.contains(name)) {
        match &decl.existing {
            Some(existing) => existing_network(look, name, (network, existing), market, lines),
            None => own_network(look, name, (network, decl), market, lines),
        }
    }
}

/// External networks that routers lead to and public addresses come from.
fn outside(look: &Look, name: &Name, market: &Market, lines: &mut Lines) {
    let mut needs: BTreeMap<&Text, u64> = BTreeMap::new();
    for decl in look.input.desired.networks.values().filter(|decl| decl.on.contains(name)) {
        needs.extend(decl.router.iter().map(|router| (router, 0)));
    }
    for (_, spec, _) in look.pools(name) {
        if let Some(public) = &spec.public {
            needs.entry(public).or_default();
        }
    }
    for (_, spec) in look.made(name) {
        let from = match spec {
            Spec::Network(network) => &network.router,
            Spec::Host(host) => &host.public,
            _ => &None,
        };
        if let Some(count) = from.as_ref().and_then(|from| needs.get_mut(from)) {
            *count += 1;
        }
    }
    for (external, need) in needs {
        let subject = format!("external network {external}");
        let Some(found) = find(external, market, true, &subject, lines) else { continue };
        addresses(lines, subject, found, need);
    }
}

/// The one network of that name or id.
fn find<'m>(
    wanted: &Text,
    market: &'m Market,
    external: bool,
    subject: &str,
    lines: &mut Lines,
) -> Option<&'m NetworkOffer> {
    if market.networks.is_empty() {
        lines.unknown(subject, "it does not tell its networks", ASK);
        return None;
    }
    let known = || market.networks.iter().filter(|network| network.external || !external);
    let found: Vec<&NetworkOffer> = known().filter(|n| n.id == *wanted || n.name == *wanted).collect();
    match found.as_slice() {
        [one] => return Some(one),
        [] => {
            let names: Vec<Text> = known().map(|network| network.name.clone()).collect();
            let inner = external && market.networks.iter().any(|n| n.name == *wanted || n.id == *wanted);
            let kind = if inner { "it is no external network" } else { "it was not found" };
            lines.fail(subject, format!("{kind}; {}", hint(wanted, names.iter())), "correct its name");
        }
        several => {
            let ids: Vec<&str> = several.iter().map(|network| &*network.id).collect();
            let detail = format!("{} networks have this name: {}", several.len(), ids.join(", "));
            lines.fail(subject, detail, "name it by its id");
        }
    }
    None
}

/// Addresses that are left against those that the plan takes.
fn addresses(lines: &mut Lines, subject: String, network: &NetworkOffer, need: u64) {
    match network.free {
        None => lines.unknown(subject, "it is there; the addresses left are not told", ASK),
        Some(free) if need <= free => lines.pass(subject, format!("the plan takes {need} of {free} addresses left")),
        Some(free) => {
            let detail = format!("the plan takes {need}, {free} addresses are left: {} short", need - free);
            lines.fail(subject, detail, "give addresses back, or declare less");
        }
    }
}

/// A network that is used as it is.
fn existing_network(look: &Look, name: &Name, (network, existing): (&Name, &Text), market: &Market, lines: &mut Lines) {
    let subject = format!("network {network}");
    if let Some(found) = find(existing, market, false, &subject, lines) {
        let made = look.made(name).filter(|(_, spec)| stands_in(spec, network)).count();
        addresses(lines, subject, found, made as u64);
    }
}

/// A network of ours: there, with addresses left, or large enough for its hosts.
fn own_network(look: &Look, name: &Name, (network, decl): (&Name, &NetworkDecl), market: &Market, lines: &mut Lines) {
    let subject = format!("network {network}");
    let address = Address::network(network);
    let id = look.input.recorded.iter().find(|row| row.address == address).and_then(|row| row.id.as_ref());
    let there = id.and_then(|id| market.networks.iter().find(|offer| offer.id == *id));
    let made = look.made(name).filter(|(_, spec)| stands_in(spec, network)).count() as u64;
    if let Some(found) = there.filter(|offer| offer.free.is_some()) {
        return addresses(lines, subject, found, made);
    }
    let (Some(cidr), Some(room)) = (decl.cidr, decl.room()) else { return };
    let hosts = hosts_after(look, name, network);
    if hosts <= room {
        lines.pass(subject, format!("{hosts} hosts in {cidr}, which has {room} addresses for hosts"));
    } else {
        let detail = format!("{hosts} hosts in {cidr}, which has {room} addresses for hosts: {} short", hosts - room);
        lines.fail(subject, detail, format!("declare a wider networks.{network}.cidr"));
    }
}

/// Hosts of a network once the plan is carried out.
fn hosts_after(look: &Look, name: &Name, network: &Name) -> u64 {
    let mut hosts: std::collections::BTreeSet<&Address> = look
        .input
        .recorded
        .iter()
        .filter(|row| row.provider == *name && stands_in(&row.spec, network))
        .map(|row| &row.address)
        .collect();
    for step in look.wide.iter().flat_map(|(plan, _)| &plan.steps).filter(|step| step.address.kind == Kind::Host) {
        if matches!(step.action, Action::Delete | Action::Release | Action::Forget) {
            hosts.remove(&step.address);
        }
    }
    hosts.extend(look.made(name).filter(|(_, spec)| stands_in(spec, network)).map(|(address, _)| address));
    hosts.len() as u64
}

fn stands_in(spec: &Spec, network: &Name) -> bool {
    spec.host().is_some_and(|host| host.network.as_ref() == Some(network))
}
