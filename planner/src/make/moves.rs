//! Declared renames: the cloud object keeps running, only its record gets another address.

use std::collections::BTreeMap;

use pool_inventory::{
    Address, Kind, Name, Text,
    desired::{Desired, Hosts},
    object::{Attachment, Recorded, Spec},
};

use super::roster::ordinal;
use crate::{
    error::PlanError,
    plan::{Declined, Why},
};

/// The renames of `moved:`, spread over all objects that they touch.
#[derive(Default)]
pub(crate) struct Moves {
    hosts: BTreeMap<Text, Text>,
    volumes: BTreeMap<Text, Text>,
    pools: BTreeMap<Text, Text>,
}

/// Whether a row is of a host that a move is about, and that is a member of a cluster.
fn joined(row: &Recorded, from: &Address) -> bool {
    let of_pool = from.kind == Kind::Pool && row.pool.as_ref().is_some_and(|pool| **pool == *from.name);
    row.member.is_some() && (row.address == *from || of_pool)
}

impl Moves {
    /// Reads `moved:`; what has no source any more is told, unless its target is there.
    pub(crate) fn new(desired: &Desired, recorded: &[Recorded]) -> Result<(Self, Vec<Declined>), PlanError> {
        let mut moves = Self::default();
        let mut notes = Vec::new();
        if desired.moved.is_empty() {
            return Ok((moves, notes));
        }
        for (from, to) in &desired.moved {
            let what = match from.kind {
                Kind::Pool if desired.pools.contains_key(&*from.name) => {
                    format!("it is declared, so it cannot have become {to}; take one of them out")
                }
                // Hosts are made in a network by its name, and clouds know it by the one that it was made with.
                Kind::Network => "a network cannot be renamed; give it its old name".to_owned(),
                // A node is called as its host was when it joined, and nobody can call it otherwise.
                Kind::Host | Kind::Pool if recorded.iter().any(|row| joined(row, from)) => {
                    "members of clusters cannot be renamed; take them out of their cluster first".to_owned()
                }
                _ => String::new(),
            };
            if !what.is_empty() {
                return Err(PlanError::Unsupported { address: from.clone(), what: what.into() });
            }
            let is = |address: &Address| recorded.iter().any(|row| stands_for(row, address));
            if from.kind != to.kind || !is(from) {
                if !is(to) {
                    notes.push(Declined { address: to.clone(), why: Why::NothingToMove { from: from.clone() } });
                }
                continue;
            }
            let table = match from.kind {
                Kind::Host => &mut moves.hosts,
                Kind::Volume => &mut moves.volumes,
                Kind::Pool => &mut moves.pools,
                _ => continue,
            };
            table.insert(from.name.clone(), to.name.clone());
        }
        moves.spread(recorded);
        Ok((moves, notes))
    }

    /// A renamed pool renames its numbered hosts.
    fn spread(&mut self, recorded: &[Recorded]) {
        for row in recorded.iter().filter(|row| row.address.kind == Kind::Host) {
            let Some((pool, to)) = row.pool.as_ref().and_then(|pool| Some((pool, self.pools.get(pool.as_str())?)))
            else {
                continue;
            };
            if let Some(number) = ordinal(pool, &row.address.name)
                && !self.hosts.contains_key(&row.address.name)
            {
                self.hosts.insert(row.address.name.clone(), format!("{to}-{number}").into());
            }
        }
    }

    /// The row under its new address, or none when nothing of it is renamed.
    pub(crate) fn apply(&self, row: &Recorded, desired: &Desired) -> Option<Recorded> {
        if self.hosts.is_empty() && self.volumes.is_empty() && self.pools.is_empty() {
            return None;
        }
        let mut out = row.clone();
        out.address = self.address(&row.address);
        out.pool = row.pool.as_ref().map(|pool| self.pool(pool, &row.address, &out.address, desired));
        out.needs = row.needs.iter().map(|need| self.address(need)).collect();
        match &mut out.spec {
            Spec::Volume(volume) => {
                if let Some(Attachment { host, .. }) = &mut volume.attached {
                    *host = self.address(host);
                }
                volume.from = volume.from.as_ref().map(|from| self.address(from));
            }
            // A copy keeps to its volume, whatever that is called.
            Spec::Snapshot(copy) | Spec::Backup(copy) => copy.of = self.address(&copy.of),
            Spec::Host(_) | Spec::Network(_) => {}
        }
        (out != *row).then_some(out)
    }

    fn address(&self, address: &Address) -> Address {
        let table = match address.kind {
            Kind::Host => &self.hosts,
            Kind::Volume => {
                let moved = self.volumes.get(&address.name).unwrap_or(&address.name);
                let (host, volume) = moved.split_once('.').unwrap_or((moved, ""));
                return Address::volume(self.hosts.get(host).map_or(host, |to| to), volume);
            }
            Kind::Snapshot | Kind::Backup => {
                let (Some(volume), Some((_, name))) = (address.volume_of_copy(), address.name.rsplit_once('.')) else {
                    return address.clone();
                };
                return Address::copy_of(address.kind, &self.address(&volume), name);
            }
            Kind::Network | Kind::Pool | Kind::Tenant | Kind::Cluster | Kind::Member => return address.clone(),
        };
        table.get(&address.name).map_or_else(|| address.clone(), |to| Address { kind: address.kind, name: to.clone() })
    }

    fn pool(&self, pool: &Name, from: &Address, to: &Address, desired: &Desired) -> Name {
        if let Some(to) = self.pools.get(pool.as_str()).and_then(|to| Name::new(to).ok()) {
            return to;
        }
        if from == to {
            return pool.clone();
        }
        let host = to.host_below().unwrap_or_else(|| to.clone());
        let holds = |(name, spec): &(&Name, &pool_inventory::desired::PoolSpec)| match &spec.hosts {
            Hosts::Count(_) | Hosts::Range { .. } => ordinal(name, &host.name).is_some(),
            Hosts::Named(hosts) => hosts.contains_key(&*host.name),
        };
        desired.pools.iter().find(holds).map_or_else(|| pool.clone(), |(name, _)| name.clone())
    }
}

fn stands_for(row: &Recorded, address: &Address) -> bool {
    match address.kind {
        Kind::Pool => row.pool.as_deref() == Some(&*address.name),
        _ => row.address == *address,
    }
}
