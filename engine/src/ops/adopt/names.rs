//! Names of the inventory for what has names of its own.

use std::collections::{BTreeMap, BTreeSet};

use pool_inventory::{
    Bytes, Name, Text,
    desired::{Desired, Hosts},
    market::NetworkOffer,
    object::Observed,
};

use super::{UnmanagedHost, UnmanagedNetwork, UnmanagedVolume};

/// Names that are taken, declared or given out.
pub(super) struct Words<'d> {
    desired: &'d Desired,
    hosts: BTreeSet<Name>,
    pools: BTreeSet<Name>,
    networks: BTreeSet<Name>,
}

/// What makes machines alike: they come into one pool.
type Like = (Text, Text, Vec<(Bytes, Text)>);

impl<'d> Words<'d> {
    pub(super) fn new(desired: &'d Desired) -> Self {
        let named = desired.pools.values().filter_map(|pool| match &pool.hosts {
            Hosts::Named(hosts) => Some(hosts.keys().cloned()),
            Hosts::Count(_) | Hosts::Range { .. } => None,
        });
        Self {
            desired,
            hosts: named.flatten().collect(),
            pools: desired.pools.keys().cloned().collect(),
            networks: desired.networks.keys().cloned().collect(),
        }
    }

    /// Machines, like ones in one pool, with a name of the inventory each.
    pub(super) fn hosts(
        &mut self,
        provider: &Name,
        machines: Vec<(&Observed, Vec<UnmanagedVolume>)>,
    ) -> Vec<UnmanagedHost> {
        let mut pools: BTreeMap<Like, Name> = BTreeMap::new();
        let mut out = Vec::new();
        for (machine, mut volumes) in machines {
            let Some(spec) = machine.spec.host() else { continue };
            volumes.sort_by(|a, b| (a.size, &a.backend, &a.id).cmp(&(b.size, &b.backend, &b.id)));
            let sizes = volumes.iter().map(|volume| (volume.size, volume.backend.clone())).collect();
            let like = (spec.offering.clone(), spec.image.clone(), sizes);
            let pool = match pools.get(&like) {
                Some(pool) => pool.clone(),
                None => {
                    let pool = free(&format!("{provider}-{}", spec.offering), |name| !self.pools.contains(name));
                    self.pools.insert(pool.clone());
                    pools.insert(like, pool.clone());
                    pool
                }
            };
            let host = free(&machine.name, |name| !self.hosts.contains(name) && !self.numbered(name));
            self.hosts.insert(host.clone());
            let volume = |(at, volume): (usize, UnmanagedVolume)| {
                (free(&if at == 0 { "data".to_owned() } else { format!("data-{}", at + 1) }, |_| true), volume)
            };
            out.push(UnmanagedHost {
                id: machine.id.clone(),
                name: machine.name.clone(),
                host,
                pool,
                offering: spec.offering.clone(),
                size: spec.size,
                image: spec.image.clone(),
                zone: spec.zone.clone(),
                address: machine.endpoint.as_ref().map(|at| at.host.clone()),
                status: machine.status.clone(),
                volumes: volumes.into_iter().enumerate().map(volume).collect(),
            });
        }
        out.sort_by(|a, b| (&a.pool, &a.host).cmp(&(&b.pool, &b.host)));
        out
    }

    /// Networks, with a name of the inventory each.
    pub(super) fn networks(&mut self, networks: Vec<NetworkOffer>) -> Vec<UnmanagedNetwork> {
        let used = |offer: &NetworkOffer| {
            self.desired
                .networks
                .values()
                .filter_map(|decl| decl.existing.as_ref())
                .any(|e| *e == offer.id || *e == offer.name)
        };
        let mut out = Vec::new();
        for NetworkOffer { id, name, free: left, .. } in networks.into_iter().filter(|offer| !used(offer)) {
            let network = free(&name, |name| !self.networks.contains(name));
            self.networks.insert(network.clone());
            out.push(UnmanagedNetwork { id, name, network, free: left });
        }
        out
    }

    /// Whether a name is like that of a host which a pool makes.
    fn numbered(&self, name: &Name) -> bool {
        let Some((pool, number)) = name.rsplit_once('-') else { return false };
        number.bytes().all(|b| b.is_ascii_digit()) && self.pools.iter().any(|known| known.as_str() == pool)
    }
}

/// The name of the inventory that is nearest to `text` and free.
pub(super) fn free(text: &str, is_free: impl Fn(&Name) -> bool) -> Name {
    /// Longest name less what a suffix takes.
    const LONGEST: usize = 25;
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let mut base: String = text.chars().map(plain).collect();
    while base.contains("--") {
        base = base.replace("--", "-");
    }
    base.truncate(LONGEST);
    let base = base.trim_matches('-');
    let base = if base.starts_with(|c: char| c.is_ascii_lowercase()) { base.to_owned() } else { format!("m-{base}") };
    let tries = std::iter::once(base.trim_end_matches('-').to_owned()).chain((1..).map(|n| format!("{base}-x{n}")));
    let mut names = tries.filter_map(|text| Name::new(&text).ok());
    names.find(|name| is_free(name)).expect("there are more names than things")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_clouds_become_names_of_the_inventory() {
        let any = |text: &str| free(text, |_| true).to_string();
        assert_eq!(any("Web Server (old)"), "web-server-old");
        assert_eq!(any("10.0.0.1"), "m-10-0-0-1");
        assert_eq!(any("übung"), "bung");
        assert_eq!(any(""), "m");
        assert_eq!(any("a-very-long-name-of-a-machine-somewhere"), "a-very-long-name-of-a-mac");
        let taken = Name::new("web").expect("a name");
        assert_eq!(free("web", |name| *name != taken).as_str(), "web-x1");
    }
}
