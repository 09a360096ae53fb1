//! Hosts that exist: of an ssh provider, or machines of a cloud that are taken over.

use std::{collections::BTreeMap, net::IpAddr};

use super::{Reader, access, places::Places};
use crate::{
    desired::{Access, Hosts, NamedHost, ProviderSpec, Trust},
    load::{check::is_range, suggest::hint},
    names::{Name, Text},
    yaml::{Entry, Node, Value},
};

/// Keys that mean nothing for hosts that exist.
const ONLY_FOR_MADE: [&str; 6] = ["size", "image", "network", "addresses", "public", "root"];

/// The same below `place`.
const ONLY_FOR_PLACED: [&str; 4] = ["spread", "optimize", "apart", "offerings"];

/// Where hosts of a pool come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// They are made.
    Made,
    /// They answer at an address.
    Named,
    /// They are machines of a cloud, known by their ids.
    Taken,
}

impl Sort {
    pub fn of(pool: &Node<'_>) -> Self {
        let hosts = pool.get("hosts").filter(|hosts| !is_range(hosts));
        match hosts.map(|hosts| &hosts.value) {
            Some(Value::Map(hosts)) if hosts.iter().any(|host| host.value.get("id").is_some()) => Self::Taken,
            Some(Value::Map(_)) => Self::Named,
            _ => Self::Made,
        }
    }

    pub fn of_hosts(hosts: &Hosts) -> Self {
        match hosts {
            Hosts::Count(_) | Hosts::Range { .. } => Self::Made,
            Hosts::Named(hosts) if hosts.values().any(|host| host.id.is_some()) => Self::Taken,
            Hosts::Named(_) => Self::Named,
        }
    }

    /// Whether a provider of this type can have them.
    pub fn fits(self, kind: &str) -> bool {
        match self {
            Self::Made => kind != "ssh",
            Self::Named => kind == "ssh",
            Self::Taken => matches!(kind, "openstack" | "sim"),
        }
    }
}

/// How hosts of a pool are reached where it says nothing: as its only provider says, if there is only one.
pub fn base_access(places: &Places<'_>, sort: Sort) -> Access {
    let base = match places {
        [(_, ProviderSpec { ssh: Some(ssh), .. })] => ssh.clone(),
        _ => access::defaults(if sort == Sort::Named { Trust::Pinned } else { Trust::Injected }),
    };
    match base.trust {
        // What exists has its keys already; its console tells them.
        Trust::Injected if sort == Sort::Taken => Access { trust: Trust::Console, ..base },
        _ => base,
    }
}

impl<'n, 's> Reader<'n, 's> {
    pub fn refuse_for_named(&mut self, entry: &Entry<'_>) {
        let given = |node: &Node<'_>, key: &str| node.entries().iter().find(|e| e.key == key).map(|e| e.at);
        let place = entry.value.get("place");
        let wrong = ONLY_FOR_MADE.iter().map(|key| (*key, given(&entry.value, key)));
        let wrong = wrong.chain(ONLY_FOR_PLACED.map(|key| (key, place.and_then(|node| given(node, key)))));
        for (key, at) in wrong.collect::<Vec<_>>() {
            if let Some(at) = at {
                let message = format!("`{key}` has no meaning in pools.{}: its hosts exist already", entry.key);
                self.say(at, message, "remove it, or give `hosts` a number");
            }
        }
    }

    pub fn hosts(&mut self, pool: &'n Entry<'s>, base: &Access, sort: Sort) -> Hosts {
        let Some(node) = pool.value.get("hosts") else { return Hosts::Count(0) };
        if sort == Sort::Made {
            return if is_range(node) { self.range(node) } else { Hosts::Count(self.value(&pool.value, "hosts", 0)) };
        }
        let hosts = self.map(node.entries(), |this, entry| this.named_host(pool, entry, base, sort));
        if sort == Sort::Taken {
            self.check_ids(node);
        }
        Hosts::Named(hosts)
    }

    fn range(&mut self, node: &Node<'_>) -> Hosts {
        let (min, max) = (self.value(node, "min", 0), self.value(node, "max", 0));
        if min > max && node.get("min").is_some() && node.get("max").is_some() {
            self.say(node.span, format!("`min` {min} is more than `max` {max}"), "");
        }
        if min == max { Hosts::Count(max) } else { Hosts::Range { min, max } }
    }

    fn named_host(&mut self, pool: &Entry<'_>, entry: &'n Entry<'s>, base: &Access, sort: Sort) -> NamedHost {
        let node = &entry.value;
        let id = self.text(node, "id");
        if sort == Sort::Named && node.get("address").is_none() && matches!(node.value, Value::Map(_)) {
            let message = format!("missing key `address` in pools.{}.hosts.{}", pool.key, entry.key);
            self.say(entry.at, message, "IP address or DNS name.");
        }
        if sort == Sort::Taken && id.is_none() {
            let message = format!("missing key `id` in pools.{}.hosts.{}", pool.key, entry.key);
            self.say(entry.at, message, "other hosts of the pool have one: machines of a cloud that are taken over");
        }
        let address = self.host_address(entry);
        let host_key = self.text(node, "host_key");
        if let (Some(at), Some(key)) = (node.get("host_key"), &host_key)
            && !is_public_key(key)
        {
            self.say(at.span, "not a host key in OpenSSH form", "as in `ssh-ed25519 AAAA…`");
        }
        if sort != Sort::Taken {
            self.refuse_console(node, &format!("host `{}`", entry.key));
        }
        let ssh = node.get("ssh").map(|ssh| self.access(ssh, base));
        self.check_trust(entry, ssh.as_ref().unwrap_or(base).trust, host_key.is_some());
        // A key that stands in the inventory needs no console.
        let pinned = || Access { trust: Trust::Pinned, ..ssh.clone().unwrap_or_else(|| base.clone()) };
        let said = node.get("ssh").is_some_and(|ssh| ssh.get("trust").is_some());
        let ssh = if sort == Sort::Taken && host_key.is_some() && !said { Some(pinned()) } else { ssh };
        let volumes = self.taken_volumes(pool, node, id.is_some());
        NamedHost { address: address.unwrap_or_else(|| "".into()), id, volumes, host_key, ssh }
    }

    fn host_address(&mut self, entry: &Entry<'_>) -> Option<Text> {
        let address = self.text(&entry.value, "address")?;
        if let Some(at) = entry.value.get("address").filter(|_| !access::is_host(&address)) {
            self.say(at.span, format!("`{address}` is neither an IP address nor a DNS name"), "");
        }
        if address.parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified()) {
            self.say(entry.at, format!("host `{}` has the address of no host", entry.key), "");
        }
        Some(address)
    }

    fn check_trust(&mut self, entry: &Entry<'_>, trust: Trust, has_key: bool) {
        match trust {
            Trust::Pinned if !has_key => {
                let help = "a key that is not pinned is accepted only with `trust: first-contact`";
                self.say(entry.at, format!("host `{}` has no `host_key`", entry.key), help);
            }
            Trust::Injected => {
                let note = "write pinned or first-contact";
                self.say(entry.at, format!("host `{}` exists: no key can be injected", entry.key), note);
            }
            _ => {}
        }
    }

    /// Ids of the volumes that a host has already, each of a volume that the pool declares.
    fn taken_volumes(&mut self, pool: &Entry<'_>, host: &Node<'_>, taken: bool) -> BTreeMap<Name, Text> {
        let declared = pool.value.get("volumes").map(Node::entries).unwrap_or_default();
        let known = || declared.iter().map(|volume| &*volume.key);
        let mut volumes = BTreeMap::new();
        for entry in host.get("volumes").map(Node::entries).unwrap_or_default() {
            if !taken {
                let message = "volumes are taken over with a host of a cloud only";
                self.say(entry.at, message, "give the host its `id`");
            } else if !known().any(|name| name == entry.key) {
                let message = format!("pools.{} has no volume `{}`", pool.key, entry.key);
                let names: Vec<&str> = known().collect();
                self.say(entry.at, message, hint(&entry.key, names.iter().copied()));
            }
            if let (Ok(name), Some(id)) = (Name::new(&entry.key), entry.value.text()) {
                volumes.insert(name, id.into());
            }
        }
        volumes
    }

    /// No machine and no volume can be taken over twice.
    fn check_ids(&mut self, hosts: &Node<'_>) {
        let mut seen = BTreeMap::new();
        for host in hosts.entries() {
            let volumes = host.value.get("volumes").map(Node::entries).unwrap_or_default();
            for at in host.value.get("id").into_iter().chain(volumes.iter().map(|volume| &volume.value)) {
                let Some(id) = at.text().filter(|id| !id.is_empty()) else { continue };
                if let Some(first) = seen.insert(id, at.span) {
                    let problem = crate::Diagnostic::at(at.span, format!("`{id}` is taken over twice"));
                    self.problems.push(problem.label(first, "first here"));
                }
            }
        }
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
