//! Giving way: hosts that go because pools of a higher priority cannot get what they want otherwise.
//!
//! A host that finds no place looks for hosts of lower pools, beyond their minimum, whose room would do: those of the
//! lowest priority first, and as few as will do. Nothing is taken back in a plan that is half made: who gives way is
//! noted, and the plan is made anew with these hosts gone from the beginning.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use pool_inventory::{Address, Name, Text};

use super::{
    Fate, HostId, Planner,
    draft::DraftId,
    ledger::{AccountId, Charges, amount_in},
    words,
};
use crate::{
    input::Brake,
    plan::{Action, Reason, Why},
};

/// Most attempts in which further hosts may give way; one more is made without.
const MAX_ROUNDS: usize = 16;

/// Most places that are looked at for one host. The best come first; a host for which none of these can be freed waits.
pub(crate) const MAX_SPOTS: usize = 64;

/// Stands for the deletions of an attempt that is thrown away.
const LATER: DraftId = DraftId(u32::MAX);

/// Who gives way, found in earlier attempts at the same plan.
#[derive(Debug, Default)]
pub(crate) struct Yields {
    pub giving: BTreeMap<Address, Yield>,
    /// These stay: that they went helped nobody.
    spared: BTreeSet<Address>,
    rounds: usize,
}

/// Why a host gives way.
#[derive(Debug, Clone)]
pub(crate) struct Yield {
    /// To hosts of this pool; none: a quota has less than its tenant has already.
    pub to: Option<Name>,
    /// What there is not enough of.
    pub limit: Text,
    /// The host that its room is for.
    host: Option<Address>,
}

impl Yields {
    /// Takes in what an attempt found; whether another one is worth while.
    pub(crate) fn learn(&mut self, found: Found) {
        self.rounds += 1;
        for address in &found.spared {
            self.giving.remove(address);
        }
        self.spared.extend(found.spared);
        self.giving.extend(found.giving);
        if self.rounds == 2 * MAX_ROUNDS {
            self.giving.clear(); // nobody goes rather than somebody in vain
        }
    }

    fn closed(&self) -> bool {
        self.rounds >= MAX_ROUNDS
    }
}

/// What an attempt found out about giving way.
#[derive(Debug, Default)]
pub(crate) struct Found {
    giving: BTreeMap<Address, Yield>,
    spared: BTreeSet<Address>,
}

impl Found {
    pub(crate) fn is_empty(&self) -> bool {
        self.giving.is_empty() && self.spared.is_empty()
    }
}

/// A host that may give way.
pub(crate) struct Victim {
    id: HostId,
    priority: u32,
    charges: Charges,
    stock: Option<(u32, u32)>,
}

/// Hosts that may give way, first those that go first; and how many of each pool may go in this run.
#[derive(Default)]
pub(crate) struct Victims {
    all: Vec<Victim>,
    left: BTreeMap<usize, usize>,
}

/// What one place asks for.
pub(crate) struct Want {
    pub charges: Charges,
    pub own: Charges,
    pub stock: Option<(u32, u32)>,
}

impl Planner<'_> {
    /// Whether it is worth while to look for hosts that give way to those of a pool.
    pub(crate) fn may_relieve(&self, pool: usize) -> bool {
        let ended = self.yields.closed() || self.input.scope.destroy || self.hopeless.contains(&pool);
        self.ranked && self.priority(pool) > 0 && !ended
    }

    /// Frees room for a host by sending others away, for the rest of this attempt; whether that was possible.
    pub(crate) fn relieve(&mut self, id: HostId, wants: &[Want]) -> bool {
        if !self.may_relieve(id.0) {
            return false;
        }
        let priority = self.priority(id.0);
        self.find_victims();
        let chosen = wants.iter().filter_map(|want| Some((self.choose(Some(priority), want)?, want)));
        let rank = |(chosen, _): &(Vec<usize>, &Want)| {
            (chosen.last().map(|at| self.victims().all[*at].priority), chosen.len())
        };
        let Some((chosen, want)) = chosen.min_by_key(rank) else {
            self.hopeless.insert(id.0);
            self.tell_brake(id, priority, wants);
            return false;
        };
        let limit = self.what_is_short(want);
        let to = self.pools[id.0].name.clone();
        let host = self.pools[id.0].hosts[id.1].address.clone();
        self.send_away(chosen, &Yield { to, limit, host: Some(host) });
        true
    }

    /// That a place was freed was no help after all.
    pub(crate) fn relieved_in_vain(&mut self, id: HostId) {
        let address = &self.pools[id.0].hosts[id.1].address;
        let (vain, giving) = std::mem::take(&mut self.found.giving)
            .into_iter()
            .partition(|(_, gone)| gone.host.as_ref() == Some(address));
        let vain: BTreeMap<Address, Yield> = vain;
        self.found.giving = giving;
        self.found.spared.extend(vain.into_keys());
        self.hopeless.insert(id.0);
    }

    /// Where a tenant has more than its quota allows, as when that was lowered, hosts go until it has not.
    pub(crate) fn over_quota(&mut self) {
        if !self.ranked || self.yields.closed() || self.input.scope.destroy {
            return;
        }
        let over = self.ledger.over(|account| account.starts_with("tenant/"));
        for (account, mut amount) in over {
            let leaving =
                self.leaving_hosts().map(|row| amount_in(&self.ledger.of(&self.world.rows[row].now), account));
            amount = amount.saturating_sub(leaving.sum());
            if amount == 0 {
                continue;
            }
            self.find_victims();
            let chosen = self.choose_for(account, amount);
            let (name, limit, used) = self.ledger.describe(account, &Charges::new());
            let gone = Yield { to: None, limit: words::limit(&name, limit, used), host: None };
            if !chosen.is_empty() {
                // Who goes for this may do for the others too: the next attempt tells.
                return self.send_away(chosen, &gone);
            }
            let helps = |victim: &Victim| amount_in(&victim.charges, account) > 0;
            self.tell_brakes(|_| true, helps);
        }
    }

    /// The first of those who may give way, until an account has so much more room.
    fn choose_for(&self, account: AccountId, mut amount: u64) -> Vec<usize> {
        let victims = self.victims();
        let mut left = victims.left.clone();
        let mut chosen = Vec::new();
        for (at, victim) in victims.all.iter().enumerate() {
            let gives = amount_in(&victim.charges, account);
            let room = left.get_mut(&victim.id.0).filter(|left| **left > 0 && gives > 0 && amount > 0);
            let Some(left) = room else { continue };
            *left -= 1;
            amount = amount.saturating_sub(gives);
            chosen.push(at);
        }
        chosen
    }

    /// Rows of the hosts that this attempt deletes.
    fn leaving_hosts(&self) -> impl Iterator<Item = usize> + '_ {
        let goes = |(pool, host): &HostId| matches!(self.states[*pool][*host].fate, Fate::Remove(_) | Fate::Forget(_));
        self.host_ids().into_iter().filter(goes).filter_map(|(pool, host)| self.newest(pool, host))
    }

    /// Whoever went for a host that did not come all the same need not go.
    pub(crate) fn spare(&mut self) {
        if self.yields.giving.is_empty() {
            return;
        }
        let takes =
            |action: &Action| matches!(action, Action::Create { .. } | Action::Update { .. } | Action::Rebuild { .. });
        let placed: BTreeSet<&Address> =
            self.drafts.0.iter().filter(|draft| takes(&draft.action)).map(|draft| &draft.address).collect();
        let vain =
            self.yields.giving.iter().filter(|(_, gone)| gone.host.as_ref().is_some_and(|h| !placed.contains(h)));
        let vain: Vec<Address> = vain.map(|(address, _)| address.clone()).collect();
        self.found.spared.extend(vain);
    }

    fn victims(&self) -> &Victims {
        self.victims.as_ref().expect("they are found before they are chosen from")
    }

    /// Finds, once, who may give way.
    fn find_victims(&mut self) {
        if self.victims.is_some() {
            return;
        }
        let mut found = Victims::default();
        for pool in 0..self.pools.len() {
            let allowed = self.may_still_go(pool);
            let extras: Vec<usize> = (0..self.pools[pool].hosts.len()).filter(|h| self.may_yield((pool, *h))).collect();
            if extras.is_empty() {
                continue;
            }
            found.left.insert(pool, allowed);
            for host in extras {
                let Some(row) = self.newest(pool, host) else { continue };
                let there = !self.world.rows[row].gone() && !self.world.rows[row].unfinished();
                let stock = self.stock_of(row).filter(|_| there);
                let charges = self.given_back((pool, host), row);
                found.all.push(Victim { id: (pool, host), priority: self.priority(pool), charges, stock });
            }
        }
        let first = |victim: &Victim| {
            let row = self.newest(victim.id.0, victim.id.1);
            let sick = row.map(|row| &self.world.rows[row]);
            let (sick, price) = sick.map_or((false, 0), |r| (super::roster::sick(self.input, r), r.now.price.0));
            (victim.priority, Reverse(sick), Reverse(price), Reverse(victim.id))
        };
        found.all.sort_by_cached_key(first);
        self.victims = Some(found);
    }

    /// The machine that a host gives back when it goes, as the stock of its provider counts it.
    pub(crate) fn stock_of(&self, row: usize) -> Option<(u32, u32)> {
        let now = &self.world.rows[row].now;
        let host = now.spec.host()?;
        let index = self.input.desired.providers.keys().position(|provider| *provider == now.provider)?;
        let offerings = &self.input.markets.get(&now.provider)?.offerings;
        let at = offerings
            .binary_search_by(|o| (&o.region, &o.zone, &o.name).cmp(&(&host.region, &host.zone, &host.offering)));
        Some((u32::try_from(index).ok()?, u32::try_from(at.ok()?).ok()?))
    }

    /// Why a host that is not wished for any more goes.
    pub(crate) fn going(&self, host: &Address) -> Reason {
        match self.yields.giving.get(host) {
            Some(gone) => Reason::GivesWay { to: gone.to.clone(), limit: gone.limit.clone() },
            None => self.leaving(),
        }
    }

    /// Whether a host may give way: it is beyond what its pool must have, and nothing holds it.
    fn may_yield(&self, (pool, host): HostId) -> bool {
        let (member, state) = (&self.pools[pool].hosts[host], &self.states[pool][host]);
        let Some(decl) = self.pools[pool].decl.filter(|decl| !decl.protected) else { return false };
        let Some(row) = self.newest(pool, host) else { return false };
        let address = &member.address;
        let free = self.reach.covers(address) && self.reach.may_go(address) && !self.yields.spared.contains(address);
        let row = &self.world.rows[row];
        let stands = match state.fate {
            Fate::Keep | Fate::Improve | Fate::Change { .. } | Fate::Replace(_) => state.present && !state.remade,
            Fate::Make(_) => true, // what is left of it would be made again
            _ => false,
        };
        let there = !row.unseen() && !row.now.adopted;
        member.extra && stands && free && there && decl.hosts.numbered().is_some()
    }

    /// How many more hosts of a pool the brake lets go.
    fn may_still_go(&self, pool: usize) -> usize {
        if self.input.scope.overrides.contains_key(&Brake::MaxDestroyed) {
            return usize::MAX;
        }
        let allowed = self.input.desired.policy.max_destroyed.at_least_one_of(self.pools[pool].recorded());
        let going = self.states[pool].iter().filter(|state| matches!(state.fate, Fate::Remove(_))).count();
        allowed.saturating_sub(going)
    }

    /// What there is more of when a host is gone, with those of its volumes that go along.
    fn given_back(&self, (pool, host): HostId, row: usize) -> Charges {
        let mut all = self.ledger.of(&self.world.rows[row].now);
        let name = &self.pools[pool].hosts[host].address.name;
        for range in self.volumes.get(name).into_iter().flatten() {
            let Some(at) = range.end.checked_sub(1) else { continue };
            if self.goes_with_host(at) {
                all.extend(self.ledger.of(&self.world.rows[at].now));
            }
        }
        super::ledger::merge(all.into_iter())
    }

    /// Who would have to go so that a place has room: as few as will do, in the order in which they go. `below`: only
    /// hosts of a lower priority.
    fn choose(&self, below: Option<u32>, want: &Want) -> Option<Vec<usize>> {
        let victims = self.victims();
        let mut short = self.ledger.shortage(&want.charges, &want.own);
        let mut dry = want.stock.filter(|stock| !self.stock.left(*stock));
        let mut left = victims.left.clone();
        let mut chosen: Vec<usize> = Vec::new();
        for (at, victim) in victims.all.iter().enumerate() {
            if short.is_empty() && dry.is_none() {
                break;
            }
            let lower = below.is_none_or(|priority| victim.priority < priority);
            let helps = victim.stock.is_some() && victim.stock == dry
                || short.iter().any(|(account, _)| amount_in(&victim.charges, *account) > 0);
            let room = left.get_mut(&victim.id.0).filter(|left| lower && helps && **left > 0);
            let Some(left) = room else { continue };
            *left -= 1;
            relieve(&mut short, &mut dry, victim);
            chosen.push(at);
        }
        if !short.is_empty() || dry.is_some() {
            return None;
        }
        // Who was chosen for an account that others free as well need not go.
        let enough = |chosen: &[usize]| {
            let mut short = self.ledger.shortage(&want.charges, &want.own);
            let mut dry = want.stock.filter(|stock| !self.stock.left(*stock));
            chosen.iter().for_each(|at| relieve(&mut short, &mut dry, &victims.all[*at]));
            short.is_empty() && dry.is_none()
        };
        let mut at = chosen.len();
        while at > 0 {
            at -= 1;
            let without: Vec<usize> = chosen.iter().copied().filter(|other| *other != chosen[at]).collect();
            if enough(&without) {
                chosen = without;
            }
        }
        Some(chosen)
    }

    /// From now on these hosts are gone, as far as this attempt goes.
    fn send_away(&mut self, chosen: Vec<usize>, why: &Yield) {
        let Some(mut victims) = self.victims.take() else { return };
        let chosen: BTreeSet<usize> = chosen.into_iter().collect();
        let all = std::mem::take(&mut victims.all);
        for (at, victim) in all.into_iter().enumerate() {
            if !chosen.contains(&at) {
                victims.all.push(victim);
                continue;
            }
            self.ledger.free(LATER, &victim.charges, &Charges::new());
            if let Some(stock) = victim.stock {
                self.stock.free(stock, LATER);
            }
            if let Some(left) = victims.left.get_mut(&victim.id.0) {
                *left = left.saturating_sub(1);
            }
            let address = self.pools[victim.id.0].hosts[victim.id.1].address.clone();
            self.found.giving.insert(address, why.clone());
        }
        self.victims = Some(victims);
    }

    /// What stands against a place, for people.
    fn what_is_short(&self, want: &Want) -> Text {
        match self.ledger.shortage(&want.charges, &want.own).first() {
            Some((account, _)) => {
                let (name, limit, used) = self.ledger.describe(*account, &want.charges);
                words::limit(&name, limit, used)
            }
            None => "none left".into(),
        }
    }

    /// Where more would give way than may go in one run, the brake is told.
    fn tell_brake(&mut self, id: HostId, priority: u32, wants: &[Want]) {
        let shorts: Vec<(Charges, Option<(u32, u32)>)> =
            wants.iter().map(|want| (self.ledger.shortage(&want.charges, &want.own), want.stock)).collect();
        let lower: BTreeSet<usize> =
            (0..self.pools.len()).filter(|p| *p != id.0 && self.priority(*p) < priority).collect();
        let helps = |victim: &Victim| {
            let gives = |short: &Charges| short.iter().any(|(account, _)| amount_in(&victim.charges, *account) > 0);
            shorts.iter().any(|(short, stock)| gives(short) || stock.is_some() && *stock == victim.stock)
        };
        self.tell_brakes(|pool| lower.contains(&pool), helps);
    }

    fn tell_brakes(&mut self, of: impl Fn(usize) -> bool, helps: impl Fn(&Victim) -> bool) {
        let victims = self.victims();
        let used_up = victims.left.iter().filter(|(pool, left)| **left == 0 && of(**pool)).map(|(pool, _)| *pool);
        let used_up = used_up.filter(|pool| victims.all.iter().any(|victim| victim.id.0 == *pool && helps(victim)));
        for pool in used_up.collect::<Vec<_>>() {
            let Some(name) = self.pools[pool].name.clone() else { continue };
            let (share, of) = (self.input.desired.policy.max_destroyed, self.pools[pool].recorded());
            let brake = Why::Brake { brake: Brake::MaxDestroyed, share, allowed: share.at_least_one_of(of), of };
            self.decline(&Address::pool(&name), brake);
        }
    }
}

/// Counts what a host gives back.
fn relieve(short: &mut Vec<(AccountId, u64)>, dry: &mut Option<(u32, u32)>, victim: &Victim) {
    for (account, amount) in short.iter_mut() {
        *amount = amount.saturating_sub(amount_in(&victim.charges, *account));
    }
    short.retain(|(_, amount)| *amount > 0);
    if victim.stock.is_some() && victim.stock == *dry {
        *dry = None;
    }
}
