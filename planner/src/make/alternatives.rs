//! Where the hosts of a group go when the planned place turns out to be sold out, approved beforehand: first to other
//! machines and zones of the region, then to other regions of the provider, then to other providers. New volumes follow.

use std::collections::{BTreeMap, BTreeSet};

use pool_inventory::{Name, Text, desired::PoolSpec};

use super::{
    Planner,
    family::{Family, Spot},
    groups::{Corner, lesser},
    ledger::{AccountId, Charges, amount_in, merge},
    seats::sizing,
    tiers::volume_price,
};
use crate::{
    input::access,
    plan::{Alternative, Follower, MAX_ALTERNATIVES},
};

/// Alternatives that are kept for other regions, and as many for other providers, where there are any: a region that is
/// dry is dry for many machine sizes.
const FARTHER: usize = 2;

/// Who looks for alternatives.
pub(crate) struct Seekers<'p> {
    pub pool: usize,
    /// Where they are planned; a corner: they cannot leave it.
    pub at: &'p (Name, Corner),
    /// Spot → hosts there.
    pub taken: &'p BTreeMap<usize, u32>,
    /// What each takes at least, with its volumes.
    pub least: Charges,
}

/// Accounts while room is set aside for alternatives: only the dearest of them counts.
struct Reserve {
    hosts: u64,
    least: Charges,
    set_aside: BTreeMap<AccountId, u64>,
}

impl Reserve {
    /// What all hosts would take there beyond what is set aside already.
    fn beyond(&self, charges: &Charges) -> Charges {
        let more = |(id, amount): &(AccountId, u64)| {
            let more = amount.saturating_sub(amount_in(&self.least, *id)).saturating_mul(self.hosts);
            (*id, more.saturating_sub(self.set_aside.get(id).copied().unwrap_or(0)))
        };
        merge(charges.iter().map(more))
    }
}

impl<'a> Planner<'a> {
    /// The next best places, as far as quotas allow each host of the group to go there.
    pub(crate) fn alternatives(&mut self, family: &Family<'a>, seekers: Seekers<'_>) -> Vec<Alternative> {
        let Some(decl) = self.pools[seekers.pool].decl else { return Vec::new() };
        let Seekers { pool, at, taken, least } = seekers;
        let follows = at.1.is_none() && !decl.volumes.is_empty();
        let own = taken.keys().map(|spot| &family.spots[*spot].charges);
        let least = if follows { least } else { own.cloned().reduce(|a, b| lesser(&a, &b)).unwrap_or_default() };
        let hosts = u64::from(taken.values().sum::<u32>());
        let mut reserve = Reserve { hosts, least, set_aside: BTreeMap::new() };
        // A machine that is sold out is so for every volume that it could boot from.
        let mut listed: BTreeSet<(u32, u32)> = BTreeSet::new();
        listed.extend(taken.keys().next().filter(|_| taken.len() == 1).map(|spot| family.spots[*spot].stock));
        let regions: BTreeSet<&Text> = taken.keys().map(|spot| &family.spots[*spot].offering.region).collect();
        let mut circles: [Vec<usize>; 3] = Default::default();
        for (index, spot) in family.spots.iter().enumerate() {
            // Which machine would have room for which host of the group, nobody can say for all of them at once.
            let (region, zone) = (&spot.offering.region, &spot.offering.zone);
            let machines = self.machines.zone(spot.provider, region, zone).is_some();
            if !machines
                && self.stock.left(spot.stock)
                && !listed.contains(&spot.stock)
                && self.may_go_to(pool, decl, at, spot)
            {
                let near = *spot.provider == at.0;
                circles[if !near { 2 } else { usize::from(!regions.contains(&spot.offering.region)) }].push(index);
            }
        }
        let kept = circles[1].len().min(FARTHER) + circles[2].len().min(FARTHER);
        let shares = [MAX_ALTERNATIVES - kept, FARTHER, FARTHER];
        let mut out: Vec<((usize, usize), Alternative)> = Vec::new();
        for (round, (circle, spots)) in circles.iter().enumerate().chain(circles.iter().enumerate()).enumerate() {
            let share = if round < circles.len() { shares[circle] } else { MAX_ALTERNATIVES };
            let mut found = 0;
            for &index in spots {
                let spot = &family.spots[index];
                if found == share || out.len() == MAX_ALTERNATIVES {
                    break;
                }
                if listed.contains(&spot.stock) {
                    continue;
                }
                let Some(volumes) = self.set_aside(decl, spot, follows, &mut reserve) else { continue };
                listed.insert(spot.stock);
                found += 1;
                let host = spot.host(decl, &self.keys(pool));
                let to = Alternative { provider: spot.provider.clone(), host, price: spot.price, volumes };
                out.push(((circle, index), to));
            }
        }
        out.sort_by_key(|(order, _)| *order);
        out.into_iter().map(|(_, alternative)| alternative).collect()
    }

    /// Whether hosts that are planned at `at` may go to a place.
    fn may_go_to(&self, pool: usize, decl: &PoolSpec, at: &(Name, Corner), spot: &Spot<'a>) -> bool {
        if let Some((region, zone)) = &at.1 {
            return *spot.provider == at.0 && spot.offering.region == *region && spot.offering.zone == *zone;
        }
        let mounts = || decl.volumes.values().any(|volume| volume.mount.is_some());
        // Networks are where they are, and who mounts decides which steps there are.
        *spot.provider == at.0
            || decl.network.is_none()
                && (!mounts() || self.only_attaches(spot.provider) == self.only_attaches(&at.0))
                && self.way(pool, spot.provider) == self.way(pool, &at.0)
    }

    /// Whether it is said how to log in to hosts of a pool at a provider.
    fn way(&self, pool: usize, provider: &Name) -> bool {
        let name = self.pools[pool].name.as_ref();
        name.is_some_and(|name| access(&self.input.desired, name, "", provider).is_some())
    }

    /// Sets room aside so that all hosts can go to a place; the answer is where their volumes would be.
    fn set_aside(
        &mut self,
        decl: &'a PoolSpec,
        spot: &Spot<'a>,
        follows: bool,
        reserve: &mut Reserve,
    ) -> Option<BTreeMap<Name, Follower>> {
        let (zone, mut all, mut volumes) = (&spot.offering.zone, spot.charges.clone(), BTreeMap::new());
        for (name, volume) in decl.volumes.iter().filter(|_| follows) {
            let tier = self.input.desired.tiers.get(&volume.tier)?;
            let serving = self.tiers.serving(self.input, spot.provider, zone, &volume.tier, tier);
            let (charges, follower) = serving.offers.iter().find_map(|offer| {
                let (backend, price) = (offer.name.clone(), volume_price(offer, volume.size));
                let own = self.ledger.price_of(&sizing(volume, &backend), &decl.tenant, spot.provider, price, false);
                let charges = merge(all.iter().copied().chain(own));
                self.affordable(&reserve.beyond(&charges)).then_some((charges, Follower { backend, price }))
            })?;
            all = charges;
            volumes.insert(name.clone(), follower);
        }
        let beyond = reserve.beyond(&all);
        if !self.affordable(&beyond) {
            return None;
        }
        self.ledger.take(&beyond, &Charges::new());
        for (id, amount) in beyond {
            *reserve.set_aside.entry(id).or_default() += amount;
        }
        Some(volumes)
    }

    /// Whether there is room for so much that was there before the plan.
    fn affordable(&self, charges: &Charges) -> bool {
        charges.iter().all(|(id, amount)| self.ledger.room(*id) >= *amount)
    }
}
