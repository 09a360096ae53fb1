//! Before new hosts are placed one after the other: where room is scarce, a look at all of them together.
//!
//! What comes of it are targets per pool: places, with the backends of the volumes, and how many hosts go there. Placing
//! goes by the targets as long as they hold. Where room is not scarce there are none, and nothing here costs much.

use std::collections::BTreeMap;

use pool_inventory::{Money, Text, desired::PoolSpec};

use super::{
    Fate, Planner,
    family::Spot,
    groups::Places,
    ledger::{Charges, merge},
    puzzle::{Answer, Choice, Class, Puzzle, solve},
    seats::{Rules, Target, by_use, sizing},
    tiers::volume_price,
};
use crate::error::PlanError;

/// Ways to serve the volumes of a host that are looked at, per place.
const WAYS: usize = 8;

/// What a step back in the order of `on` weighs: more than any price.
const RANK: i64 = 1 << 44;

/// A pool in the puzzle: what its options stand for.
struct Seats {
    pool: usize,
    ways: Vec<(usize, Vec<Text>)>,
}

impl<'a> Planner<'a> {
    /// Looks at all new hosts together that are placed in one turn, and sets targets where that does better than one
    /// after the other. `extra`: whether they are beyond what their pools must have; `priority`: of their pools.
    pub(crate) fn rehearse(&mut self, (extra, priority): (bool, u32)) -> Result<(), PlanError> {
        let turn = (0..self.pools.len()).filter(|pool| self.priority(*pool) == priority);
        let new: Vec<(usize, u32)> = turn.map(|pool| (pool, self.newcomers(pool, extra))).collect();
        let new: Vec<(usize, u32)> = new.into_iter().filter(|(_, hosts)| *hosts > 0).collect();
        if new.is_empty() || !self.ledger.has_limits() && !self.stock.is_told() {
            return Ok(());
        }
        let mut puzzle = Puzzle { classes: Vec::new(), room: self.ledger.available() };
        let mut stock = BTreeMap::new();
        let mut seats = Vec::new();
        for (pool, hosts) in new {
            self.open_places(pool)?;
            let Some(decl) = self.pools[pool].decl.filter(|decl| !by_use(decl.place.optimize)) else { continue };
            if self.places.get(&pool).is_none_or(|places| places.others.bind()) {
                continue;
            }
            let (class, ways) = self.class(pool, hosts, decl, &mut puzzle.room, &mut stock);
            puzzle.classes.push(class);
            seats.push(Seats { pool, ways });
        }
        if let Some(answer) = solve(&puzzle) {
            self.aim(&seats, &answer);
        }
        Ok(())
    }

    /// New hosts of a numbered pool that may go anywhere.
    fn newcomers(&self, pool: usize, extra: bool) -> u32 {
        let of = &self.pools[pool];
        let new = of.hosts.iter().zip(&self.states[pool]).filter(|(host, state)| {
            host.wished
                && host.extra == extra
                && host.named.is_none()
                && host.rows.is_empty()
                && matches!(state.fate, Fate::Make(_))
        });
        u32::try_from(new.count()).unwrap_or(u32::MAX)
    }

    fn class(
        &mut self,
        pool: usize,
        hosts: u32,
        decl: &'a PoolSpec,
        room: &mut Vec<u64>,
        stock: &mut BTreeMap<(u32, u32), u32>,
    ) -> (Class, Vec<(usize, Vec<Text>)>) {
        let Some(Places { family, session, .. }) = self.places.get(&pool) else {
            return (Class { hosts: 0, options: Vec::new(), counts: Vec::new(), most: None, even: false }, Vec::new());
        };
        let (family, counts) = (std::rc::Rc::clone(family), session.counts().to_vec());
        let mut options: Vec<(Choice, usize, Vec<Text>)> = Vec::new();
        for (at, spot) in family.spots.iter().enumerate() {
            let left = self.stock.told(spot.stock);
            if left == Some(0) {
                continue;
            }
            let machine = left.map(|left| {
                *stock.entry(spot.stock).or_insert_with(|| {
                    room.push(u64::from(left));
                    u32::try_from(room.len() - 1).unwrap_or(u32::MAX)
                })
            });
            let cost = match decl.place.optimize {
                pool_inventory::desired::Optimize::Cost => spot.cost.0,
                _ => i64::from(spot.rank).saturating_mul(RANK).saturating_add(spot.cost.0),
            };
            for (charges, backends) in self.ways(spot, decl) {
                let mut uses: Vec<(u32, u64)> = charges.iter().map(|(id, amount)| (id.index(), *amount)).collect();
                uses.extend(machine.map(|machine| (machine, 1)));
                if uses.iter().all(|(at, amount)| room[*at as usize] >= *amount) {
                    options.push((Choice { cost, uses, domain: spot.domain }, at, backends));
                }
            }
        }
        options.sort_by_key(|(choice, at, _)| (choice.cost, *at));
        let rules = Rules::of(&decl.place);
        let (options, ways) = options.into_iter().map(|(choice, at, backends)| (choice, (at, backends))).unzip();
        (Class { hosts, options, counts, most: rules.most, even: rules.even }, ways)
    }

    /// What a host with its volumes takes at a place, for each way to serve the volumes, preferred ones first.
    fn ways(&mut self, spot: &Spot<'a>, decl: &'a PoolSpec) -> Vec<(Charges, Vec<Text>)> {
        let mut ways = vec![(spot.charges.clone(), Vec::new())];
        for volume in decl.volumes.values() {
            let Some(tier) = self.input.desired.tiers.get(&volume.tier) else { return Vec::new() };
            let zone = &spot.offering.zone;
            let serving = self.tiers.serving(self.input, spot.provider, zone, &volume.tier, tier);
            let mut more = Vec::new();
            for (charges, backends) in &ways {
                for offer in &serving.offers {
                    let price: Money = volume_price(offer, volume.size);
                    let own = sizing(volume, &offer.name);
                    let own = self.ledger.price_of(&own, &decl.tenant, spot.provider, price, false);
                    let mut backends: Vec<Text> = backends.clone();
                    backends.push(offer.name.clone());
                    more.push((merge(charges.iter().copied().chain(own)), backends));
                }
            }
            more.truncate(WAYS);
            ways = more;
        }
        ways
    }

    fn aim(&mut self, seats: &[Seats], answer: &Answer) {
        for (seats, taken) in seats.iter().zip(answer) {
            let targets = seats.ways.iter().zip(taken).filter(|(_, hosts)| **hosts > 0);
            let targets = targets.map(|((spot, backends), hosts)| Target {
                spot: *spot,
                backends: backends.clone(),
                hosts: *hosts,
            });
            let targets = targets.collect();
            if let Some(places) = self.places.get_mut(&seats.pool) {
                places.session.aim(targets);
            }
        }
    }
}
