//! Physical machines: who stands on which, and which one a host goes to.
//!
//! Room is kept by the ledger, in three accounts per machine. Choosing is best fit: of the machines with room, the one
//! that is fullest with the host on it, by the resource of which it then has the least left; an empty one only where no
//! other will do. A pool that balances takes the emptiest instead. One choice looks at each machine of a zone once.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use pool_inventory::{
    Kind, Name, Text,
    desired::{Apart, Isolation, Optimize, Place, Size, Spread},
    market::Machine,
    object::{HostSpec, Recorded},
};

use super::{
    ledger::{AccountId, Charges, Ledger, merge},
    world::World,
};
use crate::input::PlanInput;

/// Amounts of the three resources of a machine: cores, bytes of memory, bytes of disk.
pub(crate) type Amounts = [u64; 3];

/// One machine, and who is on it. Who leaves in this plan is still counted: a run may take its steps in any order.
pub(crate) struct Slot<'a> {
    pub provider: &'a Name,
    pub machine: &'a Machine,
    accounts: Option<[AccountId; 3]>,
    /// Hosts of ours, there or coming.
    pub hosts: u32,
    pub tenants: BTreeMap<Name, u32>,
    pub pools: BTreeMap<Name, u32>,
    /// Hosts by pool, without those who leave.
    pub staying: BTreeMap<Name, u32>,
    /// Whether others than this state use it.
    pub strangers: bool,
}

/// All machines of all providers, by provider, region, zone and name.
pub(crate) struct Machines<'a> {
    pub slots: Vec<Slot<'a>>,
    zones: BTreeMap<(&'a str, &'a str, &'a str), Range<usize>>,
    /// Tenants that share no machine.
    pub alone: BTreeSet<&'a Name>,
}

/// Who is to stand on a machine.
pub(crate) struct Guest<'p> {
    pub tenant: &'p Name,
    pub pool: &'p Name,
    pub place: &'p Place,
    /// What it uses of a machine.
    pub amounts: Amounts,
    /// Where the host stands that it takes the place of.
    pub leaves: Option<usize>,
    /// Whether it may be the first on a machine, and go to a rack that has as many hosts of its pool as its own.
    pub free: bool,
}

/// Why a guest may not stand on a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Bar {
    /// It is kept for another tenant.
    Dedicated,
    /// A tenant that shares none is there, or would have to share it.
    Shared,
    /// A host of the pool is there, and they keep apart.
    Together,
    /// Nothing is there, or the rack has enough hosts of the pool: not worth a move.
    Closed,
}

impl Bar {
    fn words(self) -> &'static str {
        match self {
            Bar::Dedicated => "kept for another tenant",
            Bar::Shared => "that would be shared with another tenant",
            Bar::Together => "with a host of the pool already",
            Bar::Closed => "not worth a move",
        }
    }
}

/// A machine with room.
pub(crate) struct Choice {
    pub slot: usize,
    pub charges: Charges,
}

/// What a host uses of its machine: one that boots from a volume uses no disk.
pub(crate) fn amounts(size: &Size, on_volume: bool) -> Amounts {
    [u64::from(size.vcpus), size.memory.0, if on_volume { 0 } else { size.disk.0 }]
}

/// All that a machine has.
pub(crate) fn capacity(machine: &Machine) -> Amounts {
    amounts(&machine.size, false)
}

/// `part` of `whole` in millionths.
pub(crate) fn share(part: u64, whole: u64) -> u64 {
    let share = u128::from(part) * 1_000_000 / u128::from(whole.max(1));
    u64::try_from(share).unwrap_or(u64::MAX)
}

impl<'a> Machines<'a> {
    pub(crate) fn new(input: &'a PlanInput, world: &World<'_>, ledger: &Ledger) -> Self {
        let alone = |(name, spec): (&'a Name, &pool_inventory::desired::TenantSpec)| {
            (spec.isolation == Isolation::DedicatedHosts).then_some(name)
        };
        let alone = input.desired.tenants.iter().filter_map(alone).collect();
        let mut machines = Self { slots: Vec::new(), zones: BTreeMap::new(), alone };
        for (provider, market) in &input.markets {
            for machine in &market.machines {
                let at = machines.slots.len();
                let key = (provider.as_str(), &*machine.region, &*machine.zone);
                machines.zones.entry(key).or_insert(at..at).end = at + 1;
                let accounts = machine.accounts(provider).map(|(name, _)| ledger.account(&name));
                let accounts = match accounts {
                    [Some(vcpus), Some(memory), Some(disk)] => Some([vcpus, memory, disk]),
                    _ => None,
                };
                machines.slots.push(Slot {
                    provider,
                    machine,
                    accounts,
                    hosts: 0,
                    tenants: BTreeMap::new(),
                    pools: BTreeMap::new(),
                    staying: BTreeMap::new(),
                    strangers: false,
                });
            }
        }
        if !machines.slots.is_empty() {
            machines.count(world);
        }
        machines
    }

    /// Notes who stands where.
    fn count(&mut self, world: &World<'_>) {
        let mut own: Vec<Amounts> = vec![[0; 3]; self.slots.len()];
        for row in world.rows.iter().map(|row| &*row.now).filter(|row| row.address.kind == Kind::Host && !row.adopted) {
            let Some((host, slot)) = row.spec.host().and_then(|host| Some((host, self.of(row)?))) else { continue };
            for (sum, amount) in own[slot].iter_mut().zip(amounts(&host.size, host.root.is_some())) {
                *sum = sum.saturating_add(amount);
            }
            let pool = row.pool.clone();
            self.enter(slot, &row.tenant, pool.as_ref());
        }
        for (slot, own) in self.slots.iter_mut().zip(own) {
            let used = amounts(&slot.machine.used, false);
            slot.strangers = used.iter().zip(own).any(|(used, own)| *used > own);
        }
    }

    /// The machine that a host is recorded to stand on.
    pub(crate) fn of(&self, row: &Recorded) -> Option<usize> {
        let host = row.spec.host()?;
        self.find(&row.provider, host)
    }

    /// The machine that a host of a provider names.
    pub(crate) fn find(&self, provider: &str, host: &HostSpec) -> Option<usize> {
        let name = host.machine.as_ref()?;
        let zone = self.zone(provider, &host.region, &host.zone)?;
        let start = zone.start;
        let found = self.slots[zone].binary_search_by(|slot| slot.machine.name.cmp(name)).ok()?;
        Some(start + found)
    }

    /// The machines of a zone; none: hosts there stand on none that can be seen.
    pub(crate) fn zone(&self, provider: &str, region: &str, zone: &str) -> Option<Range<usize>> {
        self.zones.get(&(provider, region, zone)).cloned()
    }

    /// All zones that have machines.
    pub(crate) fn zones(&self) -> Vec<Range<usize>> {
        self.zones.values().cloned().collect()
    }

    /// Notes that a host comes.
    pub(crate) fn enter(&mut self, slot: usize, tenant: &Name, pool: Option<&Name>) {
        let slot = &mut self.slots[slot];
        slot.hosts += 1;
        *slot.tenants.entry(tenant.clone()).or_default() += 1;
        if let Some(pool) = pool {
            *slot.pools.entry(pool.clone()).or_default() += 1;
            *slot.staying.entry(pool.clone()).or_default() += 1;
        }
    }

    /// Notes that a host goes.
    pub(crate) fn leave(&mut self, row: &Recorded) {
        let pool = self.of(row).zip(row.pool.as_ref());
        let hosts = pool.and_then(|(slot, pool)| self.slots[slot].staying.get_mut(pool));
        hosts.into_iter().for_each(|hosts| *hosts = hosts.saturating_sub(1));
    }

    /// What is left of a machine, and what deletions before will give back.
    pub(crate) fn left(&self, ledger: &Ledger, slot: usize) -> Amounts {
        self.slots[slot].accounts.map_or([0; 3], |ids| ids.map(|id| ledger.left(id)))
    }

    /// The best machine of a zone for a guest, given what is given back just before (`own`); none where the zone has no
    /// machines.
    pub(crate) fn choose(
        &self,
        ledger: &Ledger,
        (provider, region, zone): (&str, &str, &str),
        guest: &Guest<'_>,
        own: &Charges,
    ) -> Option<Result<Choice, Text>> {
        let zone = self.zone(provider, region, zone)?;
        let racks = self.racks(&zone, guest);
        let mut best = None;
        let mut barred: BTreeMap<Bar, usize> = BTreeMap::new();
        for at in zone.clone() {
            if let Some(bar) = self.bar(at, guest, &racks) {
                *barred.entry(bar).or_default() += 1;
                continue;
            }
            let Some(charges) = self.charges(at, guest).filter(|charges| ledger.fits(charges, own).is_ok()) else {
                continue;
            };
            let rack = racks.get(&*self.slots[at].machine.rack).copied().unwrap_or(0);
            let key = (rack, self.order(ledger, at, guest), at);
            if best.as_ref().is_none_or(|(first, _)| key < *first) {
                best = Some((key, charges));
            }
        }
        Some(best.map(|((_, _, slot), charges)| Choice { slot, charges }).ok_or_else(|| full(zone.len(), &barred)))
    }

    /// What a guest would take on each machine of a zone that it may stand on, whatever room there is: first where most is
    /// left. None where the zone has no machines.
    pub(crate) fn ways(
        &self,
        ledger: &Ledger,
        (provider, region, zone): (&str, &str, &str),
        guest: &Guest<'_>,
    ) -> Option<Vec<Charges>> {
        let zone = self.zone(provider, region, zone)?;
        let racks = self.racks(&zone, guest);
        let mut open: Vec<usize> = zone.filter(|at| self.bar(*at, guest, &racks).is_none()).collect();
        open.sort_by_cached_key(|at| {
            let (has, left) = (capacity(self.slots[*at].machine), self.left(ledger, *at));
            (Reverse((0..3).map(|r| share(left[r], has[r])).min()), *at)
        });
        Some(open.into_iter().filter_map(|at| self.charges(at, guest)).collect())
    }

    fn charges(&self, at: usize, guest: &Guest<'_>) -> Option<Charges> {
        Some(merge(self.slots[at].accounts?.into_iter().zip(guest.amounts)))
    }

    /// Hosts of the guest's pool by rack, where they are spread over racks.
    fn racks(&self, zone: &Range<usize>, guest: &Guest<'_>) -> BTreeMap<&str, u32> {
        let mut racks: BTreeMap<&str, u32> = BTreeMap::new();
        if guest.place.spread == Some(Spread::Rack) {
            for at in zone.clone() {
                let slot = &self.slots[at];
                *racks.entry(&slot.machine.rack).or_default() += others(&slot.staying, at, guest);
            }
        }
        racks
    }

    /// Why a guest may not stand on a machine, whatever room there is.
    fn bar(&self, at: usize, guest: &Guest<'_>, racks: &BTreeMap<&str, u32>) -> Option<Bar> {
        let slot = &self.slots[at];
        let tenants = || slot.tenants.keys().filter(|tenant| *tenant != guest.tenant);
        let alone = self.alone.contains(guest.tenant) && (slot.strangers || tenants().next().is_some());
        if slot.machine.dedicated.as_ref().is_some_and(|owner| owner != guest.tenant) {
            return Some(Bar::Dedicated);
        }
        if alone || tenants().any(|tenant| self.alone.contains(tenant)) {
            return Some(Bar::Shared);
        }
        if guest.place.apart == Some(Apart::Must) && others(&slot.pools, at, guest) > 0 {
            return Some(Bar::Together);
        }
        let skews = |from: usize| {
            let (from, to) = (&*self.slots[from].machine.rack, &*slot.machine.rack);
            from != to && racks.get(to) > racks.get(from)
        };
        let empty = slot.hosts == 0 && !slot.strangers;
        (!guest.free && (empty || guest.leaves.is_some_and(skews))).then_some(Bar::Closed)
    }

    /// What decides between machines with room; the least is the best.
    fn order(&self, ledger: &Ledger, at: usize, guest: &Guest<'_>) -> (bool, bool, i64, Reverse<u64>, u64) {
        let slot = &self.slots[at];
        let (has, left) = (capacity(slot.machine), self.left(ledger, at));
        let used = |r: usize| share(has[r].saturating_sub(left[r]).saturating_add(guest.amounts[r]), has[r]);
        let full = (0..3).map(used).max().unwrap_or(0);
        let together = guest.place.apart.is_some() && others(&slot.pools, at, guest) > 0;
        let empty = slot.hosts == 0 && !slot.strangers;
        match guest.place.optimize {
            Optimize::Balance => (together, false, 0, Reverse(0), full),
            Optimize::Prefer | Optimize::Cost | Optimize::Pack => {
                (together, empty, if empty { slot.machine.price.0 } else { 0 }, Reverse(full), 0)
            }
        }
    }
}

/// Hosts of the guest's pool on a machine, without the one that it takes the place of.
fn others(pools: &BTreeMap<Name, u32>, at: usize, guest: &Guest<'_>) -> u32 {
    let hosts = pools.get(guest.pool).copied().unwrap_or(0);
    hosts.saturating_sub(u32::from(guest.leaves == Some(at)))
}

/// Why none of so many machines has room.
fn full(machines: usize, barred: &BTreeMap<Bar, usize>) -> Text {
    let full = machines - barred.values().sum::<usize>();
    let mut parts: Vec<String> = if full > 0 { vec![format!("{full} full")] } else { Vec::new() };
    parts.extend(barred.iter().map(|(bar, machines)| format!("{machines} {}", bar.words())));
    let all = if machines == 1 { "the machine".to_owned() } else { format!("{machines} machines") };
    format!("no room on {all}: {}", parts.join(", ")).into()
}
