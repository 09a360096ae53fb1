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
    /// Whether it may be the first on a machine.
    pub opens: bool,
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
                let (tenants, pools) = (BTreeMap::new(), BTreeMap::new());
                machines.slots.push(Slot { provider, machine, accounts, hosts: 0, tenants, pools, strangers: false });
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
        }
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
        let mut racks: BTreeMap<&str, u32> = BTreeMap::new();
        if guest.place.spread == Some(Spread::Rack) {
            for slot in &self.slots[zone.clone()] {
                *racks.entry(&slot.machine.rack).or_default() += slot.pools.get(guest.pool).copied().unwrap_or(0);
            }
        }
        let (mut best, mut barred) = (None, 0);
        let machines = zone.len();
        for at in zone {
            let slot = &self.slots[at];
            if !self.admits(slot, guest) {
                barred += 1;
                continue;
            }
            let Some(ids) = slot.accounts else { continue };
            let charges = merge(ids.into_iter().zip(guest.amounts));
            if ledger.fits(&charges, own).is_err() {
                continue;
            }
            let rack = racks.get(&*slot.machine.rack).copied().unwrap_or(0);
            let key = (rack, self.order(ledger, at, guest), at);
            if best.as_ref().is_none_or(|(first, _)| key < *first) {
                best = Some((key, charges));
            }
        }
        Some(match best {
            Some(((_, _, slot), charges)) => Ok(Choice { slot, charges }),
            None if barred > 0 => Err(format!("no room on {machines} machines, {barred} of them not for it").into()),
            None => Err(format!("no room on {machines} machines").into()),
        })
    }

    /// Whether a guest may stand on a machine, whatever room there is.
    pub(crate) fn admits(&self, slot: &Slot<'_>, guest: &Guest<'_>) -> bool {
        let others = || slot.tenants.keys().filter(|tenant| *tenant != guest.tenant);
        let theirs = slot.machine.dedicated.as_ref().is_none_or(|owner| owner == guest.tenant);
        let first = slot.hosts == 0 && !slot.strangers;
        let crowded = self.alone.contains(guest.tenant) && (slot.strangers || others().next().is_some());
        let intrudes = others().any(|tenant| self.alone.contains(tenant));
        let together = guest.place.apart == Some(Apart::Must) && slot.pools.contains_key(guest.pool);
        theirs && !crowded && !intrudes && !together && (guest.opens || !first)
    }

    /// What decides between machines with room; the least is the best.
    fn order(&self, ledger: &Ledger, at: usize, guest: &Guest<'_>) -> (bool, bool, i64, Reverse<u64>, u64) {
        let slot = &self.slots[at];
        let (has, left) = (capacity(slot.machine), self.left(ledger, at));
        let used = |r: usize| share(has[r].saturating_sub(left[r]).saturating_add(guest.amounts[r]), has[r]);
        let full = (0..3).map(used).max().unwrap_or(0);
        let together = guest.place.apart.is_some() && slot.pools.contains_key(guest.pool);
        let empty = slot.hosts == 0 && !slot.strangers;
        match guest.place.optimize {
            Optimize::Balance => (together, false, 0, Reverse(0), full),
            Optimize::Prefer | Optimize::Cost | Optimize::Pack => {
                (together, empty, if empty { slot.machine.price.0 } else { 0 }, Reverse(full), 0)
            }
        }
    }
}
