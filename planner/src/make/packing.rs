//! Consolidation of one zone: which machines can be emptied, and where their hosts go.
//!
//! 1. By set: keep as many machines as the hosts need of the scarcer resource, those that are dearest to empty, and put
//!    the hosts of all others on them, best fit decreasing by the scarcer resource. What finds no place keeps its
//!    machines, and the rest is tried again.
//! 2. One by one: empty the machine that is cheapest to empty, as long as one can be.
//! 3. Both again, until neither empties a machine, so that the same search after the moves finds nothing.
//!
//! Hosts only ever go from machines that are emptied to machines that stay in use. So no move needs the room of another:
//! no order of them exceeds a machine, and there are no cycles. With h hosts and m machines a trial costs h · m
//! comparisons; trials end when [`MOST_COMPARISONS`] are used up.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use pool_inventory::Percent;

use super::machines::{Amounts, share};

/// Comparisons of a host with a machine after which no new trial begins; some seconds of work at most.
pub(crate) const MOST_COMPARISONS: u64 = 40_000_000;

/// A machine as consolidation sees it.
pub(crate) struct Stand {
    pub has: Amounts,
    pub left: Amounts,
    /// Millionths per hour while it is in use.
    pub price: i64,
    /// Whether something stands on it.
    pub used: bool,
    /// Whether all that stands on it may move.
    pub closable: bool,
    pub rack: u32,
    /// The only tenant that may come.
    pub owner: Option<u32>,
    /// Whether others than this state use it.
    pub strangers: bool,
    /// Hosts by tenant and by pool.
    pub tenants: BTreeMap<u32, u32>,
    pub pools: BTreeMap<u32, u32>,
    /// Hosts by pool, without those who leave in the same plan.
    pub staying: BTreeMap<u32, u32>,
}

/// A host that may move.
pub(crate) struct Lodger {
    pub amounts: Amounts,
    pub pool: u32,
    pub tenant: u32,
    /// Whether it keeps away from other hosts of its pool.
    pub apart: bool,
    /// Whether its pool is spread over racks.
    pub racks: bool,
    /// Millionths per hour, without its machine.
    pub price: i64,
    /// Where it stands.
    pub at: usize,
}

/// One zone.
pub(crate) struct Yard {
    pub stands: Vec<Stand>,
    pub lodgers: Vec<Lodger>,
    /// Tenants that share no machine.
    pub alone: BTreeSet<u32>,
    pub min_gain: Percent,
    /// The resource that is scarcer: of which hosts use the greater share.
    pub scarce: usize,
    by_stand: Vec<Vec<usize>>,
    /// Hosts of each pool in each rack.
    racks: BTreeMap<(u32, u32), u32>,
    comparisons: u64,
}

impl Yard {
    pub(crate) fn new(stands: Vec<Stand>, lodgers: Vec<Lodger>, alone: BTreeSet<u32>, min_gain: Percent) -> Self {
        let mut by_stand = vec![Vec::new(); stands.len()];
        for (at, lodger) in lodgers.iter().enumerate() {
            by_stand[lodger.at].push(at);
        }
        let mut racks = BTreeMap::new();
        for stand in &stands {
            for (pool, hosts) in &stand.staying {
                *racks.entry((*pool, stand.rack)).or_default() += hosts;
            }
        }
        let scarce = scarcer(&stands);
        Self { stands, lodgers, alone, min_gain, scarce, by_stand, racks, comparisons: 0 }
    }

    /// Moves lodgers until no machine more can be emptied.
    pub(crate) fn consolidate(&mut self) {
        loop {
            let mut closed = self.close_set();
            for stand in self.worthwhile() {
                closed += usize::from(self.close(&[stand]).is_ok());
            }
            if closed == 0 {
                return;
            }
        }
    }

    /// Machines that may be emptied with a gain, the cheapest to empty first: the least use per money saved.
    fn worthwhile(&self) -> Vec<usize> {
        let worth = |at: &usize| {
            let stand = &self.stands[*at];
            let moved: i128 = self.by_stand[*at].iter().map(|lodger| i128::from(self.lodgers[*lodger].price)).sum();
            let gains = i128::from(stand.price) * 10_000 >= moved * i128::from(self.min_gain.0);
            // What a machine without a price is worth is not known: it is emptied for itself.
            stand.used && stand.closable && (stand.price == 0 || gains)
        };
        let mut out: Vec<usize> = (0..self.stands.len()).filter(worth).collect();
        let cost = |at: usize| {
            let price = u128::from(self.stands[at].price.unsigned_abs()).max(1);
            u128::from(self.use_of(at)) * 1_000_000 / price
        };
        out.sort_by_cached_key(|at| (cost(*at), *at));
        out
    }

    fn use_of(&self, at: usize) -> u64 {
        self.stands[at].has[self.scarce].saturating_sub(self.stands[at].left[self.scarce])
    }

    /// Empties as many machines at once as can be; the answer is how many.
    fn close_set(&mut self) -> usize {
        let order = self.worthwhile();
        let in_use = || (0..self.stands.len()).filter(|at| self.stands[*at].used);
        let need: u128 = in_use().map(|at| u128::from(self.use_of(at))).sum();
        let fixed = in_use().filter(|at| !order.contains(at));
        let mut kept: u128 = fixed.map(|at| u128::from(self.stands[at].has[self.scarce])).sum();
        let mut closing = order;
        while kept < need
            && let Some(at) = closing.pop()
        {
            kept += u128::from(self.stands[at].has[self.scarce]);
        }
        while !closing.is_empty() {
            let unplaced = match self.close(&closing) {
                Ok(()) => return closing.len(),
                Err(unplaced) => unplaced,
            };
            self.keep_more(&mut closing, &unplaced);
        }
        0
    }

    /// Takes back the machines that the unplaced are on, the dearest to empty first, until these have room for them all.
    fn keep_more(&self, closing: &mut Vec<usize>, unplaced: &[usize]) {
        let stuck: BTreeSet<usize> = unplaced.iter().map(|lodger| self.lodgers[*lodger].at).collect();
        let mut lacking: u128 = unplaced.iter().map(|l| u128::from(self.lodgers[*l].amounts[self.scarce])).sum();
        for at in closing.clone().into_iter().rev().filter(|at| stuck.contains(at)) {
            closing.retain(|other| *other != at);
            let has = u128::from(self.stands[at].has[self.scarce]);
            if lacking <= has {
                return;
            }
            lacking -= has;
        }
        if unplaced.is_empty() {
            closing.clear(); // the work is used up
        }
    }

    /// Moves all lodgers of these machines to others, or none: then the answer is those that found no place.
    fn close(&mut self, closing: &[usize]) -> Result<(), Vec<usize>> {
        if self.comparisons > MOST_COMPARISONS {
            return Err(Vec::new());
        }
        let mut closes = vec![false; self.stands.len()];
        for at in closing {
            closes[*at] = true;
        }
        let mut moving: Vec<usize> = closing.iter().flat_map(|at| self.by_stand[*at].iter().copied()).collect();
        let largest = |lodger: &usize| {
            let amounts = self.lodgers[*lodger].amounts;
            (Reverse(amounts[self.scarce]), Reverse(amounts), *lodger)
        };
        moving.sort_by_key(largest);
        let mut done: Vec<(usize, usize)> = Vec::with_capacity(moving.len());
        let mut unplaced = Vec::new();
        for lodger in moving {
            match self.best(lodger, &closes) {
                Some(to) => {
                    done.push((lodger, self.lodgers[lodger].at));
                    self.shift(lodger, to);
                }
                None => unplaced.push(lodger),
            }
        }
        if unplaced.is_empty() {
            for at in closing {
                self.stands[*at].used = false;
            }
            return Ok(());
        }
        for (lodger, from) in done.into_iter().rev() {
            self.shift(lodger, from);
        }
        Err(unplaced)
    }

    /// The fullest machine in use that has room for a lodger, by the scarcer resource.
    fn best(&mut self, lodger: usize, closes: &[bool]) -> Option<usize> {
        self.comparisons += self.stands.len() as u64;
        let open = (0..self.stands.len()).filter(|at| self.stands[*at].used && !closes[*at]);
        let fits = open.filter(|at| self.fits(&self.lodgers[lodger], *at));
        fits.min_by_key(|at| (share(self.stands[*at].left[self.scarce], self.stands[*at].has[self.scarce]), *at))
    }

    fn fits(&self, lodger: &Lodger, at: usize) -> bool {
        let stand = &self.stands[at];
        if stand.left.iter().zip(lodger.amounts).any(|(left, amount)| *left < amount) {
            return false;
        }
        let others = || stand.tenants.keys().filter(|tenant| **tenant != lodger.tenant);
        let crowded = self.alone.contains(&lodger.tenant) && (stand.strangers || others().next().is_some());
        let intrudes = !self.alone.is_empty() && others().any(|tenant| self.alone.contains(tenant));
        let theirs = stand.owner.is_none_or(|owner| owner == lodger.tenant);
        let together = lodger.apart && stand.pools.contains_key(&lodger.pool);
        let from = self.stands[lodger.at].rack;
        let hosts = |rack| self.racks.get(&(lodger.pool, rack)).copied().unwrap_or(0);
        // Never to a rack that has as many already: the spread does not get worse.
        let skewed = lodger.racks && stand.rack != from && hosts(stand.rack) >= hosts(from);
        theirs && !crowded && !intrudes && !together && !skewed
    }

    fn shift(&mut self, lodger: usize, to: usize) {
        let Lodger { amounts, pool, tenant, at: from, .. } = self.lodgers[lodger];
        for (r, amount) in amounts.into_iter().enumerate() {
            self.stands[from].left[r] += amount;
            self.stands[to].left[r] -= amount;
        }
        lower(&mut self.stands[from].tenants, tenant);
        lower(&mut self.stands[from].pools, pool);
        lower(&mut self.racks, (pool, self.stands[from].rack));
        *self.stands[to].tenants.entry(tenant).or_default() += 1;
        *self.stands[to].pools.entry(pool).or_default() += 1;
        *self.racks.entry((pool, self.stands[to].rack)).or_default() += 1;
        self.by_stand[from].retain(|other| *other != lodger);
        self.by_stand[to].push(lodger);
        self.lodgers[lodger].at = to;
    }
}

/// The resource of which the hosts in a zone use the greatest share.
pub(crate) fn scarcer(stands: &[Stand]) -> usize {
    let of = |r: usize| {
        let has: u128 = stands.iter().map(|stand| u128::from(stand.has[r])).sum();
        let used: u128 = stands.iter().map(|stand| u128::from(stand.has[r].saturating_sub(stand.left[r]))).sum();
        used * 1_000_000 / has.max(1)
    };
    // Of equals the first: cores, then memory, then disk.
    (0..3).max_by_key(|r| (of(*r), Reverse(*r))).unwrap_or(0)
}

fn lower<K: Ord>(counts: &mut BTreeMap<K, u32>, key: K) {
    if let Some(count) = counts.get_mut(&key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stand(hosts: &[u64]) -> Stand {
        let used: u64 = hosts.iter().sum();
        Stand {
            has: [100, 100, 100],
            left: [100 - used, 100 - used / 2, 100],
            price: 10,
            used: !hosts.is_empty(),
            closable: true,
            rack: 0,
            owner: None,
            strangers: false,
            tenants: [(0, hosts.len() as u32)].into(),
            pools: [(0, hosts.len() as u32)].into(),
            staying: [(0, hosts.len() as u32)].into(),
        }
    }

    fn yard(machines: &[&[u64]]) -> Yard {
        let stands = machines.iter().map(|hosts| stand(hosts)).collect();
        let lodger = |at: usize, size: &u64| Lodger {
            amounts: [*size, *size / 2, 0],
            pool: 0,
            tenant: 0,
            apart: false,
            racks: false,
            price: 0,
            at,
        };
        let lodgers =
            machines.iter().enumerate().flat_map(|(at, hosts)| hosts.iter().map(move |size| lodger(at, size)));
        Yard::new(stands, lodgers.collect(), BTreeSet::new(), Percent(1_000))
    }

    fn used(yard: &Yard) -> Vec<usize> {
        (0..yard.stands.len()).filter(|at| yard.stands[*at].used).collect()
    }

    #[test]
    fn the_emptiest_are_emptied_and_a_second_search_finds_nothing() {
        let mut yard = yard(&[&[30, 20], &[10], &[40], &[20, 10], &[]]);
        yard.consolidate();
        assert_eq!(used(&yard), [0, 2]);
        assert_eq!(yard.stands.iter().filter(|stand| stand.used).map(|stand| stand.left[0]).sum::<u64>(), 70);
        let before: Vec<usize> = yard.lodgers.iter().map(|lodger| lodger.at).collect();
        yard.consolidate();
        assert_eq!(before, yard.lodgers.iter().map(|lodger| lodger.at).collect::<Vec<_>>());
    }

    #[test]
    fn what_may_not_move_or_is_not_worth_it_stays() {
        let mut fixed = yard(&[&[50], &[10]]);
        fixed.stands[1].closable = false;
        fixed.consolidate();
        assert_eq!(used(&fixed), [1], "the other machine goes there");
        let mut apart = yard(&[&[50], &[10]]);
        apart.lodgers.iter_mut().for_each(|lodger| lodger.apart = true);
        apart.consolidate();
        assert_eq!(used(&apart), [0, 1]);
        let mut dear = yard(&[&[50], &[10]]);
        dear.lodgers.iter_mut().for_each(|lodger| lodger.price = 101);
        dear.consolidate();
        assert_eq!(used(&dear), [0, 1], "10 saved is less than 10 % of 101");
    }

    #[test]
    fn racks_stay_as_even_as_they_are() {
        let mut yard = yard(&[&[10], &[10], &[10], &[10]]);
        for (at, stand) in yard.stands.iter_mut().enumerate() {
            stand.rack = at as u32 % 2;
        }
        yard.lodgers.iter_mut().for_each(|lodger| lodger.racks = true);
        yard.racks = [((0, 0), 2), ((0, 1), 2)].into();
        yard.consolidate();
        assert_eq!(used(&yard).len(), 2, "one machine per rack");
        assert_eq!(yard.racks, [((0, 0), 2), ((0, 1), 2)].into());
    }
}
