//! Pools.

use std::{collections::BTreeMap, net::IpAddr};

use super::{Reader, access, known::What, providers::images_of};
use crate::{
    desired::{
        Access, Hosts, NamedHost, NetworkDecl, OnRemove, Place, PlacePattern, PoolSpec, PoolVolume, ProviderKind,
        ProviderSpec, Size, Trust,
    },
    load::suggest::hint,
    names::{Name, Text, wildcard},
    units::Bytes,
    yaml::{Entry, Node, Value},
};

/// Keys that mean nothing for hosts that exist.
const ONLY_FOR_MADE: [&str; 3] = ["size", "image", "network"];

type Providers = BTreeMap<Name, ProviderSpec>;
type Images = BTreeMap<Name, BTreeMap<Name, Text>>;

impl<'n, 's> Reader<'n, 's> {
    pub fn pools(
        &mut self,
        providers: &Providers,
        networks: &BTreeMap<Name, NetworkDecl>,
        images: &mut Images,
    ) -> BTreeMap<Name, PoolSpec> {
        let mut pools = BTreeMap::new();
        for entry in self.section("pools") {
            let pool = self.pool(entry, providers, networks, images);
            if let Ok(name) = Name::new(&entry.key) {
                pools.insert(name, pool);
            }
        }
        pools
    }

    fn pool(
        &mut self,
        entry: &'n Entry<'s>,
        providers: &Providers,
        networks: &BTreeMap<Name, NetworkDecl>,
        images: &mut Images,
    ) -> PoolSpec {
        let node = &entry.value;
        let named = node.get("hosts").is_some_and(|hosts| matches!(hosts.value, Value::Map(_)));
        let tenant = self.tenant_of(node);
        let place = self.place(node, named);
        let places = self.candidates(entry, &place, named, providers);
        let network = node.get("network").and_then(|at| self.reference(at, What::Network));
        if let (Some(name), Some(at)) = (&network, node.get("network")) {
            self.check_network(at, networks.get(name), &tenant, &places);
        }
        if named {
            self.refuse_for_named(entry);
        } else if node.get("hosts").is_some() {
            self.require_for_made(entry);
        }
        let base = base_access(&places, named);
        let own = node.get("ssh").map(|ssh| self.access(ssh, &base));
        let image = node.get("image").filter(|_| !named).and_then(|at| self.image(at, &places, images));
        PoolSpec {
            tenant,
            hosts: self.hosts(entry, own.as_ref().unwrap_or(&base)),
            size: node.get("size").filter(|_| !named).map(|size| self.size(size)),
            image,
            network,
            place,
            bootstrap: node.get("bootstrap").map(|spec| self.bootstrap(spec)).unwrap_or_default(),
            volumes: self.volumes(node),
            labels: self.labels(node),
            ignore_changes: self.ignored(node),
            ssh: own,
            protected: self.flag(node, "protected", false),
            addresses: BTreeMap::new(),
            public: None,
            root: None,
        }
    }

    fn refuse_for_named(&mut self, entry: &Entry<'_>) {
        let given = |node: &Node<'_>, key: &str| node.entries().iter().find(|e| e.key == key).map(|e| e.at);
        let place = entry.value.get("place");
        let wrong = ONLY_FOR_MADE.iter().map(|key| (*key, given(&entry.value, key)));
        let wrong = wrong.chain(["spread", "optimize"].map(|key| (key, place.and_then(|node| given(node, key)))));
        for (key, at) in wrong.collect::<Vec<_>>() {
            if let Some(at) = at {
                let message = format!("`{key}` has no meaning in pools.{}: its hosts exist already", entry.key);
                self.say(at, message, "remove it, or give `hosts` a number");
            }
        }
    }

    fn require_for_made(&mut self, entry: &Entry<'_>) {
        for key in ["size", "image"] {
            if entry.value.get(key).is_none() {
                let message = format!("missing key `{key}` in pools.{}", entry.key);
                self.say(entry.at, message, "needed where `hosts` is a number");
            }
        }
    }

    fn size(&mut self, node: &Node<'_>) -> Size {
        Size {
            vcpus: self.value(node, "vcpus", 1),
            memory: self.value(node, "memory", Bytes(0)),
            disk: self.value(node, "disk", Bytes(0)),
        }
    }

    fn place(&mut self, pool: &Node<'_>, named: bool) -> Place {
        let Some(node) = pool.get("place") else { return Place::default() };
        let mut on = Vec::new();
        for item in node.get("on").map(Node::items).unwrap_or_default() {
            let Some(text) = item.text() else { continue };
            if self.check_place(item, text, named) {
                on.push(PlacePattern(text.into()));
            }
        }
        Place {
            on,
            spread: self.word(node, "spread"),
            optimize: self.word(node, "optimize").unwrap_or_default(),
            apart: None,
            offerings: Vec::new(),
        }
    }

    fn check_place(&mut self, item: &Node<'_>, text: &str, named: bool) -> bool {
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
            .map(|name| self.known.provider_type(name).is_none_or(|kind| kind != "ssh"))
            .collect();
        if fitting.is_empty() {
            if wanted.contains('*') {
                self.say(item.span, format!("`{text}` fits no provider"), "");
            } else {
                self.known.check(What::Provider, wanted, item.span, &mut self.problems);
            }
            return false;
        }
        if fitting.iter().all(|makes| *makes == named) {
            let (message, note) = if named {
                (format!("hosts that exist cannot be on `{text}`"), "only providers of type ssh have such hosts")
            } else {
                (
                    format!("no hosts can be made on `{text}`"),
                    "list hosts of an ssh provider by name, with their address",
                )
            };
            self.say(item.span, message, note);
        }
        true
    }

    /// Providers that hosts of this pool may be on.
    fn candidates<'p>(
        &mut self,
        entry: &Entry<'_>,
        place: &Place,
        named: bool,
        providers: &'p Providers,
    ) -> Vec<(&'p Name, &'p ProviderSpec)> {
        let first = |pattern: &PlacePattern| pattern.0.split('/').next().unwrap_or("").to_owned();
        let wanted: Vec<String> = place.on.iter().map(first).collect();
        let fits = |name: &Name| wanted.is_empty() || wanted.iter().any(|pattern| wildcard(pattern, name));
        let can = |spec: &ProviderSpec| matches!(spec.kind, ProviderKind::Ssh) == named;
        let found: Vec<_> = providers.iter().filter(|(name, spec)| fits(name) && can(spec)).collect();
        let asked = entry.value.get("place").and_then(|place| place.get("on")).is_some();
        if found.is_empty() && !asked && entry.value.get("hosts").is_some() {
            let kinds = if named { "ssh" } else { "local or sim" };
            let message = format!("no provider can have the hosts of pools.{}", entry.key);
            // A provider that is declared wrongly was named already.
            let all_read = self.section("providers").len() == providers.len();
            if all_read {
                self.say(entry.at, message, format!("declare one of type {kinds} under `providers:`"));
            }
        }
        found
    }

    fn check_network(
        &mut self,
        at: &Node<'_>,
        network: Option<&NetworkDecl>,
        tenant: &Name,
        places: &[(&Name, &ProviderSpec)],
    ) {
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

    /// A declared image, or one that providers call by this very name.
    fn image(&mut self, at: &Node<'_>, places: &[(&Name, &ProviderSpec)], images: &mut Images) -> Option<Name> {
        let name = self.name(at)?;
        if !images.contains_key(&name) {
            let known = self.known.names(What::Provider).filter(|provider| {
                let kind = self.known.provider_type(provider).unwrap_or("");
                images_of(kind).contains(&name.as_str())
            });
            let own: BTreeMap<Name, Text> =
                known.filter_map(|provider| Some((Name::new(provider).ok()?, name.as_str().into()))).collect();
            if own.is_empty() {
                if places.is_empty() {
                    return None; // where it should be looked for is not known either
                }
                let brought = places.iter().flat_map(|(_, spec)| images_of(spec.kind.as_str()).iter().copied());
                let mut all: Vec<&str> = brought.chain(images.keys().map(Name::as_str)).collect();
                all.sort_unstable();
                all.dedup();
                self.say(at.span, format!("unknown image `{name}`"), hint(&name, all.iter().copied()));
                return None;
            }
            images.insert(name.clone(), own);
        }
        let there = &images[&name];
        if !places.is_empty() && !places.iter().any(|(provider, _)| there.contains_key(*provider)) {
            let on: Vec<&str> = places.iter().map(|(provider, _)| provider.as_str()).collect();
            let message = format!("image `{name}` is on none of the providers of this pool ({})", on.join(", "));
            let has: Vec<&str> =
                places.iter().flat_map(|(_, spec)| images_of(spec.kind.as_str()).iter().copied()).collect();
            self.say(
                at.span,
                message,
                if has.is_empty() { String::new() } else { format!("they have {}", has.join(", ")) },
            );
        }
        Some(name)
    }

    fn hosts(&mut self, pool: &'n Entry<'s>, base: &Access) -> Hosts {
        let Some(node) = pool.value.get("hosts") else { return Hosts::Count(0) };
        if !matches!(node.value, Value::Map(_)) {
            return Hosts::Count(self.value(&pool.value, "hosts", 0));
        }
        Hosts::Named(self.map(node.entries(), |this, entry| this.named_host(entry, base)))
    }

    fn named_host(&mut self, entry: &Entry<'_>, base: &Access) -> NamedHost {
        let node = &entry.value;
        let address = self.text(node, "address");
        if let (Some(at), Some(address)) = (node.get("address"), &address)
            && !access::is_host(address)
        {
            self.say(at.span, format!("`{address}` is neither an IP address nor a DNS name"), "");
        }
        if let Some(ip) = address.as_ref().and_then(|address| address.parse::<IpAddr>().ok())
            && ip.is_unspecified()
        {
            self.say(entry.at, format!("host `{}` has the address of no host", entry.key), "");
        }
        let host_key = self.text(node, "host_key");
        if let (Some(at), Some(key)) = (node.get("host_key"), &host_key)
            && !is_public_key(key)
        {
            self.say(at.span, "not a host key in OpenSSH form", "as in `ssh-ed25519 AAAA…`");
        }
        let ssh = node.get("ssh").map(|ssh| self.access(ssh, base));
        let trust = ssh.as_ref().map_or(base.trust, |ssh| ssh.trust);
        match trust {
            Trust::Pinned if host_key.is_none() => {
                let help = "a key that is not pinned is accepted only with `trust: first-contact`";
                self.say(entry.at, format!("host `{}` has no `host_key`", entry.key), help);
            }
            Trust::Injected => {
                let note = "write pinned or first-contact";
                self.say(entry.at, format!("host `{}` exists: no key can be injected", entry.key), note);
            }
            _ => {}
        }
        NamedHost { address: address.unwrap_or_else(|| "".into()), id: None, volumes: BTreeMap::new(), host_key, ssh }
    }

    fn volumes(&mut self, pool: &'n Node<'s>) -> BTreeMap<Name, PoolVolume> {
        let entries = pool.get("volumes").map(Node::entries).unwrap_or_default();
        let mut mounts: BTreeMap<Text, &Entry<'_>> = BTreeMap::new();
        self.map(entries, |this, entry| {
            let node = &entry.value;
            let mount = this.text(node, "mount");
            if let (Some(path), Some(at)) = (&mount, node.get("mount")) {
                if &**path == "/" {
                    this.say(at.span, "a volume cannot be mounted at `/`", "");
                }
                if let Some(other) = mounts.insert(path.clone(), entry) {
                    let message = format!("volumes `{}` and `{}` are both mounted at {path}", other.key, entry.key);
                    this.say(at.span, message, "");
                }
            }
            let tier = node.get("tier").and_then(|at| this.reference(at, What::Tier));
            let size = this.value(node, "size", Bytes(0));
            if let (Bytes(0), Some(at)) =
                (size, node.get("size").filter(|at| at.text().is_some_and(|t| t.starts_with('0'))))
            {
                this.say(at.span, format!("volume `{}` has no size", entry.key), "");
            }
            PoolVolume {
                size,
                tier: tier.unwrap_or_else(super::known::default_tenant),
                mount,
                on_remove: this.word(node, "on_remove").unwrap_or(OnRemove::Keep),
                protected: this.flag(node, "protected", false),
                from: None,
            }
        })
    }

    fn ignored(&mut self, node: &Node<'_>) -> Vec<Text> {
        for item in node.get("ignore_changes").map(Node::items).unwrap_or_default() {
            let Some(field) = item.text() else { continue };
            let known = IGNORABLE.contains(&field) || field.strip_prefix("tags.").is_some_and(|tag| !tag.is_empty());
            if !known {
                let note = hint(field, IGNORABLE.iter().copied());
                self.say(item.span, format!("`{field}` is not a field that can be ignored"), note);
            }
        }
        self.texts(node, "ignore_changes")
    }
}

/// Fields of hosts and volumes whose drift can be left alone, besides `tags.NAME`.
const IGNORABLE: [&str; 9] = [
    "authorized_keys",
    "image",
    "offering",
    "provisioning",
    "size",
    "size.disk",
    "size.memory",
    "size.vcpus",
    "tags.*",
];

/// How hosts of a pool are reached where it says nothing: as its only provider says, if there is only one.
fn base_access(places: &[(&Name, &ProviderSpec)], named: bool) -> Access {
    match places {
        [(_, ProviderSpec { ssh: Some(ssh), .. })] => ssh.clone(),
        _ => access::defaults(if named { Trust::Pinned } else { Trust::Injected }),
    }
}

/// `TYPE BASE64 [COMMENT]`
pub fn is_public_key(text: &str) -> bool {
    let mut words = text.split_ascii_whitespace();
    let kind = words.next().unwrap_or("");
    let kinds = ["ssh-ed25519", "ssh-rsa", "ecdsa-sha2-", "sk-ssh-ed25519@", "sk-ecdsa-sha2-"];
    let base64 = |word: &str| {
        word.len() >= 16
            && word.trim_end_matches('=').bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/'))
    };
    kinds.iter().any(|known| kind.starts_with(known)) && words.next().is_some_and(base64) && !text.contains('\n')
}
