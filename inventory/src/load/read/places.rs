//! Where hosts of a pool may be, and what can be had there.

use std::{collections::BTreeMap, net::IpAddr};

use ipnet::IpNet;

use super::{Reader, existing::Sort, known::What, pools::Providers, rules::ordinal_of};
use crate::{
    desired::{NetworkDecl, Place, PlacePattern, ProviderSpec, Spread},
    load::suggest::hint,
    names::{Name, Text, wildcard},
    units::Money,
    yaml::{Entry, Node},
};

/// Providers that hosts of a pool may be on.
pub type Places<'p> = [(&'p Name, &'p ProviderSpec)];

/// Whether any of them is of one of these types; where none is known, nothing is held against the pool.
pub fn can(places: &Places<'_>, kinds: &[&str]) -> bool {
    places.is_empty() || places.iter().any(|(_, spec)| kinds.contains(&spec.kind.as_str()))
}

/// Providers that `place` allows.
pub fn candidates<'p>(place: &Place, sort: Sort, providers: &'p Providers) -> Vec<(&'p Name, &'p ProviderSpec)> {
    let first = |pattern: &PlacePattern| pattern.0.split('/').next().unwrap_or("").to_owned();
    let wanted: Vec<String> = place.on.iter().map(first).collect();
    let fits = |name: &Name| wanted.is_empty() || wanted.iter().any(|pattern| wildcard(pattern, name));
    providers.iter().filter(|(name, spec)| fits(name) && sort.fits(spec.kind.as_str())).collect()
}

/// Keys of a pool that only clouds can carry out, and what they would do.
const ONLY_IN_CLOUDS: [(&str, &str); 4] = [
    ("addresses", "give hosts chosen addresses"),
    ("public", "give hosts public addresses"),
    ("root", "boot hosts from volumes"),
    ("apart", "keep hosts on different machines"),
];

impl<'n, 's> Reader<'n, 's> {
    pub fn place(&mut self, pool: &Node<'_>, sort: Sort) -> Place {
        let Some(node) = pool.get("place") else { return Place::default() };
        let mut on = Vec::new();
        for item in node.get("on").map(Node::items).unwrap_or_default() {
            let Some(text) = item.text() else { continue };
            if self.check_place(item, text, sort) {
                on.push(PlacePattern(text.into()));
            }
        }
        let (spread, max_skew) = self.spread(node);
        Place {
            on,
            spread,
            max_skew,
            affinity: self.near(node, "affinity"),
            anti_affinity: self.near(node, "anti_affinity"),
            max_price: node.get("max_price").and_then(|price| Money::parse_monthly(price.text()?).ok()),
            optimize: self.word(node, "optimize").unwrap_or_default(),
            apart: self.word(node, "apart"),
            offerings: self.texts(node, "offerings"),
        }
    }

    /// `spread: zone`, or `spread: { by: zone, max_skew: 1 }`.
    fn spread(&mut self, place: &Node<'_>) -> (Option<Spread>, Option<u32>) {
        match place.get("spread") {
            Some(spread) if spread.text().is_none() => (self.word(spread, "by"), self.optional(spread, "max_skew")),
            _ => (self.word(place, "spread"), None),
        }
    }

    /// Pools by name, and what their hosts share or do not share with those of this one.
    fn near(&mut self, place: &Node<'_>, key: &str) -> BTreeMap<Name, Spread> {
        let Some(node) = place.get(key) else { return BTreeMap::new() };
        let mut near = BTreeMap::new();
        for entry in node.entries() {
            if self.known.check(What::Pool, &entry.key, entry.at, &mut self.problems)
                && let (Ok(pool), Some(what)) = (Name::new(&entry.key), self.word(node, &entry.key))
            {
                near.insert(pool, what);
            }
        }
        near
    }

    fn check_place(&mut self, item: &Node<'_>, text: &str, sort: Sort) -> bool {
        let parts: Vec<&str> = text.split('/').collect();
        let good = |part: &&str| {
            !part.is_empty()
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'*'))
        };
        if parts.len() > 3 || !parts.iter().all(good) {
            self.say(item.span, format!("`{text}` is not a place"), "write PROVIDER[/REGION[/ZONE]]");
            return false;
        }
        let wanted = parts[0];
        let fitting: Vec<bool> = self
            .known
            .names(What::Provider)
            .filter(|name| wildcard(wanted, name))
            .map(|name| self.known.provider_type(name).is_none_or(|kind| sort.fits(kind)))
            .collect();
        if fitting.is_empty() {
            if wanted.contains('*') {
                self.say(item.span, format!("`{text}` fits no provider"), "");
            } else {
                self.known.check(What::Provider, wanted, item.span, &mut self.problems);
            }
            return false;
        }
        if !fitting.contains(&true) {
            let (message, note) = match sort {
                Sort::Made => (
                    format!("no hosts can be made on `{text}`"),
                    "list hosts of an ssh provider by name, with their address",
                ),
                Sort::Named => {
                    (format!("hosts that exist cannot be on `{text}`"), "only providers of type ssh have such hosts")
                }
                Sort::Taken => (
                    format!("no machines of `{text}` can be taken over"),
                    "only providers of type openstack know machines by their `id`",
                ),
            };
            self.say(item.span, message, note);
        }
        true
    }

    /// Providers that hosts of this pool may be on; says so when there are none.
    pub fn candidates<'p>(
        &mut self,
        entry: &Entry<'_>,
        place: &Place,
        sort: Sort,
        providers: &'p Providers,
    ) -> Vec<(&'p Name, &'p ProviderSpec)> {
        let found = candidates(place, sort, providers);
        let asked = entry.value.get("place").and_then(|place| place.get("on")).is_some();
        if found.is_empty() && !asked && entry.value.get("hosts").is_some() {
            let kinds = match sort {
                Sort::Made => "local, sim or openstack",
                Sort::Named => "ssh",
                Sort::Taken => "openstack",
            };
            let message = format!("no provider can have the hosts of pools.{}", entry.key);
            // A provider that is declared wrongly was named already.
            let all_read = self.section("providers").len() == providers.len();
            if all_read {
                self.say(entry.at, message, format!("declare one of type {kinds} under `providers:`"));
            }
        }
        found
    }

    /// Says so at keys that none of the pool's providers can carry out.
    pub fn refuse_where_impossible(&mut self, entry: &Entry<'_>, places: &Places<'_>) {
        if can(places, &["openstack"]) {
            return;
        }
        let place = entry.value.get("place").map(Node::entries).unwrap_or_default();
        let on_machines = places.iter().any(|(_, spec)| spec.has_machines());
        for (key, what) in ONLY_IN_CLOUDS.into_iter().filter(|(key, _)| *key != "apart" || !on_machines) {
            if let Some(given) = entry.value.entries().iter().chain(place).find(|given| given.key == key) {
                let message = format!("`{key}` of pools.{} can be carried out on none of its providers", entry.key);
                let or = if key == "apart" { ", and sim with `machines:`," } else { "" };
                self.say(given.at, message, format!("only providers of type openstack{or} {what}"));
            }
        }
    }

    pub fn check_network(&mut self, at: &Node<'_>, network: Option<&NetworkDecl>, tenant: &Name, places: &Places<'_>) {
        let (Some(network), Some(name)) = (network, at.text()) else { return };
        if network.tenant != *tenant {
            let message = format!("network `{name}` belongs to tenant `{}`", network.tenant);
            self.say(at.span, message, format!("this pool belongs to `{tenant}`"));
        }
        if !places.is_empty() && !places.iter().any(|(provider, _)| network.on.contains(provider)) {
            let on: Vec<&str> = network.on.iter().map(Name::as_str).collect();
            let message = format!("network `{name}` is on none of the providers of this pool");
            self.say(at.span, message, format!("it is on {}", on.join(", ")));
        }
    }

    /// The external network that hosts have public addresses from: the one that their network's router leads to.
    pub fn public(&mut self, pool: &Node<'_>, network: Option<&NetworkDecl>) -> Option<Text> {
        let at = pool.get("public")?;
        let name = self.text(pool, "public")?;
        let named = pool.get("network").and_then(Node::text).unwrap_or("");
        match network {
            None if pool.get("network").is_none() => {
                self.say(at.span, "a public address needs a network that it leads to", "name one as `network`");
            }
            Some(network) if network.existing.is_none() && network.router.is_none() => {
                let message = format!("network `{named}` has no router: no public address leads to its hosts");
                self.say(at.span, message, format!("write `router: {name}` in networks.{named}"));
            }
            Some(NetworkDecl { router: Some(router), .. }) if *router != name => {
                let message = format!("the router of network `{named}` leads to `{router}`, not to `{name}`");
                self.say(at.span, message, "public addresses come from where the router leads");
            }
            _ => {}
        }
        Some(name)
    }

    /// Addresses of hosts, by host.
    pub fn addresses(&mut self, pool: &Entry<'_>, network: Option<&NetworkDecl>) -> BTreeMap<Text, IpAddr> {
        let Some(node) = pool.value.get("addresses") else { return BTreeMap::new() };
        if pool.value.get("network").is_none() {
            self.say(node.span, "addresses need a network that they are of", "name one as `network`");
        }
        let mut addresses = BTreeMap::new();
        for entry in node.entries() {
            if !is_host_of(&pool.key, &entry.key) {
                let message = format!("pools.{} has no host `{}`", pool.key, entry.key);
                self.say(entry.at, message, hint(&entry.key, [format!("{}-0", pool.key).as_str()]));
            }
            let Some(address) = entry.value.text().and_then(|text| text.parse::<IpAddr>().ok()) else { continue };
            if let Some(cidr) = network.and_then(|network| network.cidr) {
                self.check_address(&entry.value, address, cidr, network.is_some_and(|n| n.router.is_some()));
            }
            addresses.insert(entry.key.as_ref().into(), address);
        }
        addresses
    }

    fn check_address(&mut self, at: &Node<'_>, address: IpAddr, cidr: IpNet, routed: bool) {
        let first = cidr.hosts().next();
        let wide = cidr.max_prefix_len() - cidr.prefix_len() > 1;
        if !cidr.contains(&address) {
            self.say(at.span, format!("{address} is not an address of the network"), format!("its range is {cidr}"));
        } else if wide && (address == cidr.network() || (address.is_ipv4() && address == cidr.broadcast())) {
            self.say(at.span, format!("{address} is the address of no host"), format!("it is an end of {cidr}"));
        } else if routed && first == Some(address) {
            self.say(at.span, format!("{address} is the address of the network's router"), "");
        }
    }
}

/// `<pool>-<ordinal>`, the ordinal as `pool` writes it.
fn is_host_of(pool: &str, host: &str) -> bool {
    let ordinal = host.rsplit_once('-').map_or("", |(_, ordinal)| ordinal);
    ordinal_of(host, |other| other == pool).is_some() && ordinal.parse::<u32>().is_ok_and(|n| n.to_string() == ordinal)
}
