//! Accounts with a limit: what is left, what this plan takes, and what its deletions give back.

use std::collections::{BTreeMap, VecDeque};

use pool_inventory::{
    Money, Text,
    object::{Recorded, charges, totals},
};

use super::draft::DraftId;
use crate::{input::PlanInput, plan::Demand};

/// Index of a limited account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct AccountId(u32);

impl AccountId {
    /// Its place in [`Ledger::available`].
    pub(crate) fn index(self) -> u32 {
        self.0
    }
}

/// Amounts per limited account, sorted, each account once.
pub(crate) type Charges = Vec<(AccountId, u64)>;

struct Account {
    name: Text,
    /// The limit as declared.
    limit: u64,
    /// The limit less what others use.
    ours: u64,
    /// What we use before the plan beyond what we may, as when a limit was lowered; what is given back goes here first.
    excess: u64,
    /// What was left before the plan and is not taken yet.
    room: u64,
    /// Taken from `room`. What is taken from `freed` is given back before, so this is the peak.
    taken: u64,
    /// Given back by deletions and not taken again, oldest first.
    freed: VecDeque<(DraftId, u64)>,
}

/// All limited accounts. An account without a limit does not stand here and costs nothing.
///
/// Every amount that is taken comes from `room`, or from what a step gives back that the taker then needs. So no order
/// of steps that respects `needs` ever uses more than `limit`: what is taken is covered by distinct parts of what
/// was there before or was given back before.
#[derive(Default)]
pub(crate) struct Ledger {
    ids: BTreeMap<Text, AccountId>,
    accounts: Vec<Account>,
}

impl Ledger {
    /// Opens the accounts; `rows` are all objects that count: recorded ones, and those of ours that are not recorded.
    pub(crate) fn new<'a>(input: &PlanInput, rows: impl Iterator<Item = &'a Recorded>) -> Self {
        let mut ledger = Self::default();
        // What others say is used, in all; tenants have only what we record.
        let mut reported: Vec<Option<u64>> = Vec::new();
        for (tenant, spec) in &input.desired.tenants {
            for (what, limit) in spec.quota.limits() {
                ledger.open(format!("tenant/{tenant}/{what}").into(), limit, None, &mut reported);
            }
        }
        for (provider, market) in &input.markets {
            for (what, limit) in &market.limits {
                let name = format!("provider/{provider}/{what}").into();
                ledger.open(name, limit.limit, Some(limit.used), &mut reported);
            }
            for (name, limit) in market.machines.iter().flat_map(|machine| machine.accounts(provider)) {
                ledger.open(name, limit.limit, Some(limit.used), &mut reported);
            }
            for backend in &market.backends {
                let name = format!("backend/{}", backend.name).into();
                ledger.open(name, backend.capacity.0, Some(backend.allocated.0), &mut reported);
            }
        }
        ledger.settle(rows, &reported);
        ledger
    }

    fn open(&mut self, name: Text, limit: u64, used: Option<u64>, reported: &mut Vec<Option<u64>>) {
        if self.ids.contains_key(&name) {
            return; // a backend that several providers can attach
        }
        let id = AccountId(u32::try_from(self.accounts.len()).unwrap_or(u32::MAX));
        self.ids.insert(name.clone(), id);
        self.accounts.push(Account { name, limit, ours: 0, excess: 0, room: 0, taken: 0, freed: VecDeque::new() });
        reported.push(used);
    }

    fn settle<'a>(&mut self, rows: impl Iterator<Item = &'a Recorded>, reported: &[Option<u64>]) {
        let mut own = vec![0u64; self.accounts.len()];
        if !self.accounts.is_empty() {
            for (id, amount) in self.limited(totals(rows)) {
                own[id.0 as usize] = amount;
            }
        }
        for ((account, own), reported) in self.accounts.iter_mut().zip(own).zip(reported) {
            let others = reported.map_or(0, |used| used.saturating_sub(own));
            account.ours = account.limit.saturating_sub(others);
            account.excess = own.saturating_sub(account.ours);
            account.room = account.ours.saturating_sub(own);
        }
    }

    /// The amounts that fall on limited accounts.
    pub(crate) fn limited(&self, amounts: Vec<(Text, u64)>) -> Charges {
        let known = |(name, amount): (Text, u64)| Some((*self.ids.get(&name)?, amount));
        merge(amounts.into_iter().filter_map(known))
    }

    /// What a row uses.
    pub(crate) fn of(&self, row: &Recorded) -> Charges {
        if self.accounts.is_empty() { Charges::new() } else { self.limited(row.charges()) }
    }

    /// Whether `want` fits, given that `own` is given back just before; if not, the first account that is short.
    pub(crate) fn fits(&self, want: &Charges, own: &Charges) -> Result<(), AccountId> {
        for &(id, amount) in want {
            let account = &self.accounts[id.0 as usize];
            let mut missing = amount.saturating_sub(amount_in(own, id)).saturating_sub(account.room);
            for (_, freed) in &account.freed {
                if missing == 0 {
                    break;
                }
                missing = missing.saturating_sub(*freed);
            }
            if missing > 0 {
                return Err(id);
            }
        }
        Ok(())
    }

    /// What is missing so that `want` fits, given that `own` is given back just before.
    pub(crate) fn shortage(&self, want: &Charges, own: &Charges) -> Charges {
        let missing = |&(id, amount): &(AccountId, u64)| {
            let account = &self.accounts[id.0 as usize];
            let freed = account.freed.iter().fold(0u64, |sum, (_, freed)| sum.saturating_add(*freed));
            let there = account.room.saturating_add(freed);
            let missing = amount.saturating_sub(amount_in(own, id)).saturating_sub(there);
            (missing > 0).then(|| (id, missing.saturating_add(account.excess)))
        };
        want.iter().filter_map(missing).collect()
    }

    /// Accounts that hold more of ours than they may, and how much more.
    pub(crate) fn over(&self, which: impl Fn(&str) -> bool) -> Charges {
        let over = |(id, account): (u32, &Account)| {
            (account.excess > 0 && which(&account.name)).then_some((AccountId(id), account.excess))
        };
        (0..).zip(&self.accounts).filter_map(over).collect()
    }

    /// Takes what [`Ledger::fits`] found to fit; the answer is the steps that must have given room before.
    pub(crate) fn take(&mut self, want: &Charges, own: &Charges) -> Vec<DraftId> {
        let mut needs = Vec::new();
        for &(id, amount) in want {
            let account = &mut self.accounts[id.0 as usize];
            let mut missing = amount.saturating_sub(amount_in(own, id));
            let there = missing.min(account.room);
            account.room -= there;
            account.taken += there;
            missing -= there;
            while missing > 0 {
                let Some((by, freed)) = account.freed.front_mut() else { break };
                let part = missing.min(*freed);
                needs.push(*by);
                *freed -= part;
                missing -= part;
                if *freed == 0 {
                    account.freed.pop_front();
                }
            }
        }
        needs.sort_unstable();
        needs.dedup();
        needs
    }

    /// Notes what `by` gives back, less what its own successor takes of it.
    pub(crate) fn free(&mut self, by: DraftId, amounts: &Charges, successor: &Charges) {
        for &(id, amount) in amounts {
            let rest = amount.saturating_sub(amount_in(successor, id));
            let account = &mut self.accounts[id.0 as usize];
            let covered = rest.min(account.excess);
            account.excess -= covered;
            if rest > covered {
                account.freed.push_back((by, rest - covered));
            }
        }
    }

    /// The account of a name, where it has a limit.
    pub(crate) fn account(&self, name: &str) -> Option<AccountId> {
        self.ids.get(name).copied()
    }

    /// What is left in all, with what deletions give back.
    pub(crate) fn left(&self, id: AccountId) -> u64 {
        let account = &self.accounts[id.0 as usize];
        account.freed.iter().fold(account.room, |sum, (_, freed)| sum.saturating_add(*freed))
    }

    /// Room that was there before the plan and is left; what deletions give back does not count.
    pub(crate) fn room(&self, id: AccountId) -> u64 {
        self.accounts[id.0 as usize].room
    }

    /// Whether any account has a limit.
    pub(crate) fn has_limits(&self) -> bool {
        !self.accounts.is_empty()
    }

    /// What is left of each account, with what deletions give back.
    pub(crate) fn available(&self) -> Vec<u64> {
        let left =
            |account: &Account| account.freed.iter().fold(account.room, |sum, (_, freed)| sum.saturating_add(*freed));
        self.accounts.iter().map(left).collect()
    }

    /// How much of the scarcest of these accounts is used, in millionths; those of a tenant are the same everywhere.
    pub(crate) fn share(&self, charges: &Charges) -> u64 {
        let share = |(id, _): &(AccountId, u64)| {
            let account = &self.accounts[id.0 as usize];
            let used = u128::from(account.limit.saturating_sub(account.room));
            let tenant = account.name.starts_with("tenant/");
            (!tenant).then(|| u64::try_from(used * 1_000_000 / u128::from(account.limit.max(1))).unwrap_or(u64::MAX))
        };
        charges.iter().filter_map(share).max().unwrap_or(0)
    }

    /// Name, limit, and what would be used if `want` were granted.
    pub(crate) fn describe(&self, id: AccountId, want: &Charges) -> (Text, u64, u64) {
        let account = &self.accounts[id.0 as usize];
        // A quota that was lowered may be exceeded.
        let used = account.limit.saturating_sub(account.room).saturating_add(account.excess);
        (account.name.clone(), account.limit, used.saturating_add(amount_in(want, id)))
    }

    /// What the plan adds at its peak, per account that it adds to.
    pub(crate) fn demand(&self) -> Vec<Demand> {
        let taken = self.accounts.iter().filter(|account| account.taken > 0);
        let mut out: Vec<Demand> = taken
            .map(|account| Demand { account: account.name.clone(), amount: account.taken, limit: account.ours })
            .collect();
        out.sort();
        out
    }

    /// What a spec would use.
    pub(crate) fn price_of(
        &self,
        spec: &pool_inventory::object::Spec,
        tenant: &pool_inventory::Name,
        provider: &pool_inventory::Name,
        price: Money,
        adopted: bool,
    ) -> Charges {
        if self.accounts.is_empty() {
            return Charges::new();
        }
        self.limited(charges(spec, tenant, provider, price, adopted))
    }
}

/// Sums amounts per account.
pub(crate) fn merge(amounts: impl Iterator<Item = (AccountId, u64)>) -> Charges {
    let mut all: Charges = amounts.filter(|(_, amount)| *amount > 0).collect();
    all.sort_unstable_by_key(|(id, _)| *id);
    all.dedup_by(|next, kept| {
        let same = next.0 == kept.0;
        if same {
            kept.1 = kept.1.saturating_add(next.1);
        }
        same
    });
    all
}

/// The amount for one account, 0 where it does not stand there.
pub(crate) fn amount_in(charges: &Charges, id: AccountId) -> u64 {
    charges.binary_search_by_key(&id, |(id, _)| *id).map_or(0, |at| charges[at].1)
}

/// What `to` uses beyond `from`, and what it gives back.
pub(crate) fn difference(from: &Charges, to: &Charges) -> (Charges, Charges) {
    let beyond = |a: &Charges, b: &Charges| -> Charges {
        let rest = a.iter().map(|(id, amount)| (*id, amount.saturating_sub(amount_in(b, *id))));
        rest.filter(|(_, amount)| *amount > 0).collect()
    };
    (beyond(to, from), beyond(from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(room: u64) -> (Ledger, AccountId) {
        let mut ledger = Ledger::default();
        let id = AccountId(0);
        ledger.ids.insert("a".into(), id);
        ledger.accounts.push(Account {
            name: "a".into(),
            limit: room,
            ours: room,
            excess: 0,
            room,
            taken: 0,
            freed: VecDeque::new(),
        });
        (ledger, id)
    }

    #[test]
    fn a_taker_waits_for_exactly_the_deletions_that_make_its_room() {
        let (mut ledger, a) = ledger(1);
        ledger.free(DraftId(7), &vec![(a, 2)], &vec![]);
        ledger.free(DraftId(8), &vec![(a, 2)], &vec![]);
        assert_eq!(ledger.take(&vec![(a, 1)], &vec![]), [], "room that is there needs no waiting");
        assert_eq!(ledger.take(&vec![(a, 1)], &vec![]), [DraftId(7)]);
        assert_eq!(ledger.take(&vec![(a, 2)], &vec![]), [DraftId(7), DraftId(8)]);
        assert_eq!(ledger.fits(&vec![(a, 2)], &vec![]), Err(a));
        assert_eq!(ledger.fits(&vec![(a, 2)], &vec![(a, 1)]), Ok(()), "one is there and one comes from its own");
        assert_eq!(ledger.demand()[0].amount, 1, "the peak is what was taken without waiting");
    }

    #[test]
    fn a_successor_goes_first_and_the_rest_is_for_others() {
        let (mut ledger, a) = ledger(0);
        assert_eq!(ledger.fits(&vec![(a, 3)], &vec![(a, 4)]), Ok(()));
        assert_eq!(ledger.take(&vec![(a, 3)], &vec![(a, 4)]), []);
        ledger.free(DraftId(1), &vec![(a, 4)], &vec![(a, 3)]);
        assert_eq!(ledger.take(&vec![(a, 1)], &vec![]), [DraftId(1)]);
        assert_eq!(ledger.demand(), []);
    }

    #[test]
    fn differences_go_both_ways() {
        let (x, y) = (AccountId(0), AccountId(1));
        assert_eq!(difference(&vec![(x, 4), (y, 1)], &vec![(x, 6)]), (vec![(x, 2)], vec![(y, 1)]));
        assert_eq!(merge([(y, 1), (x, 2), (y, 3), (x, 0)].into_iter()), vec![(x, 2), (y, 4)]);
    }
}
