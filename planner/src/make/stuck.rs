//! Hosts that would be replaced and find no place: they stay where they stand, and count there for the others of their pool.
//!
//! Who is replaced does not count where it stood. Where the numbers of hosts must be near each other and one of them turns out
//! to stay, the others were placed on a wrong count; the next attempt knows better from the beginning.

use std::collections::BTreeMap;

use pool_inventory::Address;

use super::{Fate, HostId, Planner, groups::Places, seats::Rules};
use crate::plan::{Refusal, Why};

/// Why a host finds no place; the reasons of the places, where it is that.
#[derive(Debug, Clone)]
pub(crate) struct Stuck {
    why: Why,
    refusals: Vec<Refusal>,
}

/// Those that earlier attempts found, or this one.
pub(crate) type Stays = BTreeMap<Address, Stuck>;

impl Planner<'_> {
    /// Lets those stay of whom an earlier attempt found out that they have to.
    pub(crate) fn let_stay(&mut self) {
        let stays = self.stays;
        for (pool, host) in self.host_ids() {
            let address = &self.pools[pool].hosts[host].address;
            let Some(stuck) = stays.get(address) else { continue };
            if !matches!(self.states[pool][host].fate, Fate::Replace(_)) {
                continue;
            }
            let why = match &stuck.why {
                Why::NoPlace { .. } => {
                    Why::NoPlace { group: self.failed_group((pool, host), None, stuck.refusals.clone()) }
                }
                other => other.clone(),
            };
            self.hold((pool, host), why);
        }
    }

    /// Notes that a host that would be replaced got no place, where others of its pool count on it to leave.
    pub(crate) fn note_stuck(&mut self, (pool, host): HostId) {
        if self.pools[pool].decl.is_none_or(|decl| Rules::of(&decl.place).most.is_none()) {
            return;
        }
        let address = &self.pools[pool].hosts[host].address;
        let Some(declined) = self.declined.iter().rfind(|declined| declined.address == *address) else { return };
        let refusals = match &declined.why {
            Why::NoPlace { group } => self.groups[group.0 as usize].refusals.clone(),
            _ => Vec::new(),
        };
        let stuck = Stuck { why: declined.why.clone(), refusals };
        self.stuck.entry(pool).or_default().insert(address.clone(), stuck);
    }

    /// Those that stay although others of their pool got a place.
    pub(crate) fn counted_wrongly(&mut self) -> Stays {
        let stuck = std::mem::take(&mut self.stuck).into_iter();
        let placed = |pool: &usize| self.places.get(pool).is_some_and(Places::are_taken);
        stuck.filter(|(pool, _)| placed(pool)).flat_map(|(_, stuck)| stuck).collect()
    }
}
