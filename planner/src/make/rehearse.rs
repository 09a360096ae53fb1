//! Before new hosts are placed one after the other: where room is scarce, a look at all of them together.
//!
//! What comes of it are targets per pool: places, with the backends of the volumes, and how many hosts go there. Placing
//! goes by the targets as long as they hold. Where room is not scarce there are none, and nothing here costs much.

use std::collections::BTreeMap;

use pool_inventory::{Money, Text, desired::PoolSpec};

use super::{
    Fate, Planner,
    family::{Doubt, Spot},
    groups::Places,
    ledger::{Charges, merge},
    puzzle::{Answer, Choice, Class, Puzzle, solve},
    seats::{Rules, Target, by_use, sizing},
    tiers::volume_price,
    ties::{Side, Tie},
};
use crate::error::PlanError;

/// Ways to serve the volumes of a host that are looked at, per place.
const WAYS: usize = 8;

/// What a step back in the order of `on` weighs: more than any price.
const RANK: i64 = 1 << 44;

/// What a place weighs that was sold out not long ago: more than any step back.
const LAST: i64 = 1 << 56;

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
        for (pool, _) in &new {
            self.open_places(*pool)?;
        }
        let by_use = |pool: usize| self.pools[pool].decl.is_none_or(|decl| by_use(decl.place.optimize));
        let all: Vec<(usize, u32)> = new.into_iter().filter(|(pool, _)| !by_use(*pool)).collect();
        let bound = |pool: usize| self.places.get(&pool).is_none_or(|places| places.others.bind());
        let free: Vec<(usize, u32)> = all.iter().copied().filter(|(pool, _)| !bound(*pool)).collect();
        let all = self.joined(all, (extra, priority));
        // Those that are tied to each other have an answer together, or none.
        if all.len() > free.len() && self.look(&all)? {
            return Ok(());
        }
        if self.ledger.has_limits() || self.stock.is_told() {
            self.look(&free)?;
        }
        Ok(())
    }

    /// Without those whose partners get hosts that are not looked at.
    fn joined(&self, mut new: Vec<(usize, u32)>, (extra, priority): (bool, u32)) -> Vec<(usize, u32)> {
        loop {
            let all_known = |pool: usize| {
                let made =
                    self.pools[pool].hosts.iter().zip(&self.states[pool]).filter(|(host, state)| {
                        host.wished && host.extra == extra && matches!(state.fate, Fate::Make(_))
                    });
                let known = new.iter().find(|(of, _)| *of == pool).map_or(0, |(_, hosts)| *hosts as usize);
                self.priority(pool) != priority || made.count() == known
            };
            let sound = |pool: usize| {
                let partners = self.partners(pool);
                partners.is_empty() || all_known(pool) && partners.iter().all(|other| all_known(*other))
            };
            let kept: Vec<(usize, u32)> = new.iter().copied().filter(|(pool, _)| sound(*pool)).collect();
            if kept.len() == new.len() {
                return kept;
            }
            new = kept;
        }
    }

    /// Looks at new hosts of these pools together; whether there is an answer.
    fn look(&mut self, new: &[(usize, u32)]) -> Result<bool, PlanError> {
        let mut puzzle = Puzzle { classes: Vec::new(), room: self.ledger.available(), ties: Vec::new() };
        let mut stock = BTreeMap::new();
        let mut seats = Vec::new();
        let among: Vec<usize> = new.iter().map(|(pool, _)| *pool).collect();
        for &(pool, hosts) in new {
            let Some(decl) = self.pools[pool].decl else { continue };
            let closed = self.closed(pool, &among)?;
            let (class, ways) = self.class((pool, hosts, decl), &closed, &mut puzzle.room, &mut stock);
            puzzle.classes.push(class);
            seats.push(Seats { pool, ways });
        }
        for (b, second) in seats.iter().enumerate() {
            for (a, first) in seats[..b].iter().enumerate() {
                puzzle.ties.extend(self.ties(first.pool, second.pool).into_iter().map(|(together, keys)| {
                    let of = |side: usize, seats: &Seats| seats.ways.iter().map(|(at, _)| keys[side][*at]).collect();
                    let sides = [Side { class: a, keys: of(0, first) }, Side { class: b, keys: of(1, second) }];
                    let keys = keys.iter().flatten().max().map_or(0, |most| *most as usize + 1);
                    Tie { sides, together, keys }
                }));
            }
        }
        let answer = solve(&puzzle);
        if let Some(answer) = &answer {
            self.aim(&seats, answer, &puzzle.ties);
        }
        Ok(answer.is_some())
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
        (pool, hosts, decl): (usize, u32, &'a PoolSpec),
        closed: &[bool],
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
            if left == Some(0) || closed.get(at).copied().unwrap_or(false) {
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
            let last = if spot.doubt == Doubt::Last { LAST } else { 0 };
            let cost = cost.saturating_add(last);
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

    fn aim(&mut self, seats: &[Seats], answer: &Answer, ties: &[Tie]) {
        for (class, (seats, taken)) in seats.iter().zip(answer).enumerate() {
            let mut targets: Vec<(usize, Target)> = Vec::new();
            for (option, ((spot, backends), hosts)) in seats.ways.iter().zip(taken).enumerate() {
                if *hosts > 0 {
                    let target = Target { spot: *spot, backends: backends.clone(), hosts: *hosts };
                    targets.push((ahead(answer, ties, (class, option)), target));
                }
            }
            // First where earlier ones are, so that nothing is broken if later targets should not hold.
            targets.sort_by_key(|(ahead, _)| *ahead);
            if let Some(places) = self.places.get_mut(&seats.pool) {
                places.session.aim(targets.into_iter().map(|(_, target)| target).collect());
            }
        }
    }
}

/// How many earlier classes have no hosts at the place of an option, although they are tied to be there.
fn ahead(answer: &Answer, ties: &[Tie], (class, option): (usize, usize)) -> usize {
    let later = ties.iter().filter(|tie| tie.together && tie.sides[1].class == class);
    let missing = later.filter(|tie| {
        let (first, key) = (&tie.sides[0], tie.sides[1].keys[option]);
        let there = answer[first.class].iter().zip(&first.keys);
        !there.into_iter().any(|(hosts, of)| *hosts > 0 && *of == key)
    });
    missing.count()
}
