//! Where hosts of each pool stand, and which places that closes to hosts of others: affinity and anti-affinity.
//!
//! Both are fixed rules and go both ways, whichever of two pools declares them. Every host that stands or was given a place
//! counts. Where neither pool has hosts yet, the first to be placed goes only where the other could follow, and leaves
//! the other a place where the two must not meet.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use pool_inventory::{Name, Text, desired::Spread, object::Spec};

use super::{
    Planner,
    family::{Family, Spot, domain_key},
};
use crate::error::PlanError;

/// Provider, region and zone.
pub(crate) type Corner = (Text, Text, Text);

/// Hosts by pool and place.
#[derive(Default)]
pub(crate) struct Census {
    pools: Vec<BTreeMap<Corner, u32>>,
    /// Per pool, rises with every change.
    epochs: Vec<u64>,
}

impl Census {
    fn note(&mut self, pool: usize, corner: Corner, comes: bool) {
        self.epochs[pool] += 1;
        let hosts = self.pools[pool].entry(corner).or_default();
        *hosts = if comes { *hosts + 1 } else { hosts.saturating_sub(1) };
    }

    /// What the hosts of a pool stand in, at one level.
    fn keys(&self, pool: usize, level: Spread) -> BTreeSet<Corner> {
        let there = self.pools[pool].iter().filter(|(_, hosts)| **hosts > 0);
        there.map(|((provider, region, zone), _)| domain_key(Some(level), provider, region, zone)).collect()
    }

    /// Rises with every change in other pools.
    fn epoch(&self, pool: usize) -> u64 {
        self.epochs.iter().sum::<u64>() - self.epochs[pool]
    }

    /// Hosts of all pools in a place.
    fn crowd(&self, corner: &Corner) -> u32 {
        self.pools.iter().filter_map(|pool| pool.get(corner)).sum()
    }
}

/// A rule between a pool and another one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Near {
    other: usize,
    level: Spread,
    together: bool,
}

/// What hosts of other pools mean for the places of one.
#[derive(Default)]
pub(crate) struct Others {
    near: Vec<Near>,
    /// Whether the order of places depends on who stands there.
    by_use: bool,
    /// When it was found out; none: not yet.
    epoch: Option<u64>,
}

impl Others {
    /// Whether a host may not stand in another zone as well as in its own.
    pub(crate) fn bind(&self) -> bool {
        !self.near.is_empty()
    }

    fn matters(&self) -> bool {
        self.by_use || !self.near.is_empty()
    }
}

pub(crate) fn corner(spot: &Spot<'_>) -> Corner {
    (spot.provider.as_str().into(), spot.offering.region.clone(), spot.offering.zone.clone())
}

fn level_key(level: Spread, spot: &Spot<'_>) -> Corner {
    domain_key(Some(level), spot.provider, &spot.offering.region, &spot.offering.zone)
}

impl<'a> Planner<'a> {
    /// The rules that a pool is under.
    pub(crate) fn others(&self, pool: usize) -> Others {
        let Some((name, decl)) = self.pools[pool].name.as_ref().zip(self.pools[pool].decl) else {
            return Others::default();
        };
        let mut near = BTreeSet::new();
        for (other, of) in self.pools.iter().enumerate().filter(|(other, _)| *other != pool) {
            let Some((other_name, other_decl)) = of.name.as_ref().zip(of.decl) else { continue };
            let mut add = |rules: &BTreeMap<Name, Spread>, name: &Name, together| {
                near.extend(rules.get(name).map(|level| Near { other, level: *level, together }));
            };
            add(&decl.place.affinity, other_name, true);
            add(&decl.place.anti_affinity, other_name, false);
            add(&other_decl.place.affinity, name, true);
            add(&other_decl.place.anti_affinity, name, false);
        }
        let by_use = super::seats::by_use(decl.place.optimize);
        Others { near: near.into_iter().collect(), by_use, epoch: None }
    }

    /// Where everybody stands now; counted when it is first asked for, and kept up to date from then on.
    fn census(&mut self) -> &Census {
        if self.census.is_none() {
            let count = self.pools.len();
            let mut census = Census { pools: vec![BTreeMap::new(); count], epochs: vec![0; count] };
            for (pool, host) in self.host_ids() {
                if self.states[pool][host].present
                    && let Some(corner) = self.corner_of(pool, host)
                {
                    census.note(pool, corner, true);
                }
            }
            self.census = Some(census);
        }
        self.census.get_or_insert_default()
    }

    fn corner_of(&self, pool: usize, host: usize) -> Option<Corner> {
        let now = &self.world.rows[self.newest(pool, host)?].now;
        let spec = now.spec.host()?;
        Some((now.provider.as_str().into(), spec.region.clone(), spec.zone.clone()))
    }

    /// Notes that a host got a place, which it had none or another before.
    pub(crate) fn count_in(&mut self, (pool, host): super::HostId, provider: &Name, spec: &Spec) {
        let Some(spec) = spec.host().filter(|_| self.census.is_some()) else { return };
        let before = self.states[pool][host].present.then(|| self.corner_of(pool, host)).flatten();
        let now = (provider.as_str().into(), spec.region.clone(), spec.zone.clone());
        if let Some(census) = &mut self.census {
            before.into_iter().for_each(|corner| census.note(pool, corner, false));
            census.note(pool, now, true);
        }
    }

    /// Before a host of a pool is placed: finds out anew which places are closed, if somebody came or went.
    pub(crate) fn mind_others(&mut self, pool: usize) -> Result<(), PlanError> {
        let Some(places) = self.places.get_mut(&pool).filter(|places| places.others.matters()) else { return Ok(()) };
        let known = places.others.epoch;
        let (near, by_use, family) = (places.others.near.clone(), places.others.by_use, Rc::clone(&places.family));
        let epoch = self.census().epoch(pool);
        if known == Some(epoch) {
            return Ok(());
        }
        let mut bars: Vec<Option<Text>> = vec![None; if near.is_empty() { 0 } else { family.spots.len() }];
        // Where all were looked at together, nothing needs to be left for those that come later.
        let later = !self.places.get(&pool).is_some_and(|places| places.session.is_aimed());
        for rule in &near {
            self.bar(pool, rule, &family, (&mut bars, later))?;
        }
        let crowd: Vec<u32> = match by_use {
            true => family.spots.iter().map(|spot| self.census().crowd(&corner(spot))).collect(),
            false => Vec::new(),
        };
        if let Some(places) = self.places.get_mut(&pool) {
            places.others.epoch = Some(epoch);
            places.session.close(&family, bars, crowd);
        }
        Ok(())
    }

    /// For a look at several pools at once: the places of one that are closed by hosts that stand, or by pools that are not
    /// among them. Empty: none.
    pub(crate) fn closed(&mut self, pool: usize, among: &[usize]) -> Result<Vec<bool>, PlanError> {
        let Some(places) = self.places.get(&pool).filter(|places| places.others.bind()) else { return Ok(Vec::new()) };
        let (near, family) = (places.others.near.clone(), Rc::clone(&places.family));
        let mut bars: Vec<Option<Text>> = vec![None; family.spots.len()];
        for rule in &near {
            self.bar(pool, rule, &family, (&mut bars, !among.contains(&rule.other)))?;
        }
        Ok(bars.iter().map(Option::is_some).collect())
    }

    /// The rules between two pools that have to be kept while both get hosts: whether they are together, and the place of
    /// each spot of both, in numbers.
    pub(crate) fn ties(&mut self, these: usize, those: usize) -> Vec<(bool, [Vec<u32>; 2])> {
        let (Some(mine), Some(theirs)) = (self.places.get(&these), self.places.get(&those)) else { return Vec::new() };
        let near: Vec<Near> = mine.others.near.iter().filter(|rule| rule.other == those).cloned().collect();
        let families = [Rc::clone(&mine.family), Rc::clone(&theirs.family)];
        let mut out = Vec::new();
        for rule in near {
            // Where hosts of one stand already, that alone decides where the other may go.
            let stands = |pool| !self.census.as_ref().is_none_or(|census| census.keys(pool, rule.level).is_empty());
            if rule.together && (stands(these) || stands(those)) {
                continue;
            }
            let mut known: BTreeMap<Corner, u32> = BTreeMap::new();
            let keys = families.each_ref().map(|family| {
                let mut number = |key| {
                    let next = u32::try_from(known.len()).unwrap_or(u32::MAX);
                    *known.entry(key).or_insert(next)
                };
                family.spots.iter().map(|spot| number(level_key(rule.level, spot))).collect()
            });
            out.push((rule.together, keys));
        }
        out
    }

    /// What was found for a pool and others together did not hold: each for itself then.
    pub(crate) fn astray(&mut self, pool: usize) {
        for pool in self.partners(pool).into_iter().chain([pool]) {
            self.places.entry(pool).and_modify(|places| {
                places.others.epoch = None;
                places.session.aim(std::collections::VecDeque::new());
            });
        }
    }

    /// Pools that a pool has rules with.
    pub(crate) fn partners(&self, pool: usize) -> Vec<usize> {
        let near = self.places.get(&pool).map_or(&[][..], |places| &places.others.near);
        near.iter().map(|rule| rule.other).collect()
    }

    fn bar(
        &mut self,
        pool: usize,
        rule: &Near,
        family: &Family<'a>,
        (bars, later): (&mut [Option<Text>], bool),
    ) -> Result<(), PlanError> {
        let there = self.census().keys(rule.other, rule.level);
        let other = self.pools[rule.other].name.clone().map_or_else(String::new, |name| name.to_string());
        let level = word(rule.level);
        let mut close = |closed: &dyn Fn(&Corner) -> bool, why: String| {
            let why = Text::from(why);
            for (spot, bar) in family.spots.iter().zip(bars.iter_mut()).filter(|(_, bar)| bar.is_none()) {
                *bar = closed(&level_key(rule.level, spot)).then(|| why.clone());
            }
        };
        if rule.together && !there.is_empty() {
            close(&|key| !there.contains(key), format!("affinity: no host of {other} in this {level}"));
        } else if !there.is_empty() {
            close(&|key| there.contains(key), format!("anti-affinity: a host of {other} is in this {level}"));
        } else if later && self.pools[rule.other].hosts.iter().any(|host| host.wished) {
            // The other comes later: it must be able to.
            let open: BTreeSet<Corner> =
                self.family(rule.other)?.spots.iter().map(|spot| level_key(rule.level, spot)).collect();
            if rule.together && !open.is_empty() {
                close(&|key| !open.contains(key), format!("affinity: {other} cannot be in this {level}"));
            } else if let Some(left) = self.left_for(pool, rule.level, family, &open) {
                close(&|key| *key == left, format!("anti-affinity: this {level} is left for {other}"));
            }
        }
        Ok(())
    }

    /// The place that a pool leaves to another one, of those that are open to that: the last that it would take itself;
    /// none: there are places that it cannot take anyway.
    fn left_for(&mut self, pool: usize, level: Spread, family: &Family<'a>, open: &BTreeSet<Corner>) -> Option<Corner> {
        let mine = self.census().keys(pool, level);
        let mut order: Vec<Corner> = Vec::new();
        for key in family.spots.iter().map(|spot| level_key(level, spot)) {
            if !order.contains(&key) {
                order.push(key);
            }
        }
        if open.iter().any(|key| !mine.contains(key) && !order.contains(key)) {
            return None;
        }
        order.into_iter().rev().find(|key| open.contains(key) && !mine.contains(key))
    }
}

fn word(level: Spread) -> &'static str {
    match level {
        Spread::Zone | Spread::Rack => "zone",
        Spread::Region => "region",
        Spread::Provider => "provider",
    }
}
