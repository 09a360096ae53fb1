//! `plan --optimize`: hosts that cost less elsewhere are replaced there, and hosts are moved together so that machines
//! stand empty. Both come last and take only room that nothing else needs; nothing of this is done without the flag.

use std::collections::{BTreeMap, BTreeSet};

use pool_inventory::{
    Kind, Money, Name, Percent,
    desired::{Apart, Hosts, Optimize, Place, PoolSpec, Role, Spread},
    market::Change,
    object::{HostSpec, Recorded, Spec, Status},
};

use super::{
    Fate, HostId, Planner,
    draft::Draft,
    family::{Family, domain_key, rank},
    ladder::ignored,
    ledger::{Charges, merge},
    machines::{amounts, capacity},
    packing::{Lodger, Stand, Yard},
    seats::Ask,
};
use crate::{
    error::PlanError,
    input::Brake,
    plan::{Action, Emptied, Filled, Proposal, Reason},
};

/// Places that are tried for a host that would cost less elsewhere.
const MOST_PLACES: usize = 32;

/// What the three resources are called, as [`super::machines::Amounts`] orders them.
const RESOURCES: [&str; 3] = ["vcpus", "memory", "disk"];

impl<'a> Planner<'a> {
    /// Notes which hosts may be moved, and which of these would cost less elsewhere.
    pub(crate) fn find_gains(&mut self) -> Result<(), PlanError> {
        let scope = &self.input.scope;
        if !scope.optimize || scope.destroy {
            return Ok(());
        }
        self.proposal = Some(Proposal::default());
        for id in self.host_ids() {
            if !self.movable(id) {
                continue;
            }
            self.states[id.0][id.1].movable = true;
            if self.cheaper(id)? {
                self.states[id.0][id.1].fate = Fate::Improve;
            }
        }
        Ok(())
    }

    /// Whether a host stands as it should, is in reach, and is old enough to be moved.
    fn movable(&mut self, id: HostId) -> bool {
        let (state, member) = (&self.states[id.0][id.1], &self.pools[id.0].hosts[id.1]);
        let quiet = matches!(state.fate, Fate::Keep) && state.edit.is_none() && !state.power_on;
        let numbered = self.pools[id.0].decl.is_some_and(|decl| !matches!(decl.hosts, Hosts::Named(_)));
        let Some(row) = self.newest(id.0, id.1).filter(|_| quiet && numbered && member.wished) else { return false };
        let world = &self.world.rows[row];
        // What controls a cluster is not put at stake to save something.
        let controls = world.now.member.as_ref().is_some_and(|member| member.role == Role::ControlPlane);
        let ready = !controls && world.sight.there().is_some_and(|seen| seen.status == Status::Ready);
        let old = self.old_enough(&world.now);
        let reached = self.reach.covers(&world.now.address);
        if ready && reached && !old {
            let young = self.proposal.as_mut().map(|proposal| &mut proposal.young);
            young.into_iter().for_each(|young| *young += 1);
        }
        ready && reached && old && !world.now.adopted && world.was.is_some()
    }

    fn old_enough(&self, row: &Recorded) -> bool {
        let least = i64::try_from(self.input.desired.policy.min_residence.0 / 1000).unwrap_or(i64::MAX);
        row.created == 0 || self.input.now.saturating_sub(row.created) >= least
    }

    /// Whether some place costs so much less that a host may be replaced there.
    fn cheaper(&mut self, id: HostId) -> Result<bool, PlanError> {
        let Some(decl) = self.pools[id.0].decl.filter(|decl| !decl.protected) else { return Ok(false) };
        if !self.reach.may_go(&self.pools[id.0].hosts[id.1].address) {
            return Ok(false);
        }
        let family = self.family(id.0)?;
        Ok(!self.gains(id, decl, &family).is_empty())
    }

    /// The places that cost enough less, the cheapest first. With `prefer` none that is less preferred.
    fn gains(&self, id: HostId, decl: &'a PoolSpec, family: &Family<'a>) -> Vec<usize> {
        let Some(row) = self.newest(id.0, id.1) else { return Vec::new() };
        let now = &self.world.rows[row].now;
        let Some(host) = now.spec.host() else { return Vec::new() };
        let least = i128::from(now.price.0) * i128::from(self.input.desired.policy.min_gain.0);
        let ranked = rank(&decl.place.on, &now.provider, &host.region, &host.zone).unwrap_or(u32::MAX);
        let (_, pin) = self.wanted_space(id, decl);
        // Others count on where it stands.
        let bound = self.bound(id.0, decl);
        let gain = |at: &usize| {
            let spot = &family.spots[*at];
            let saved = i128::from(now.price.0) - i128::from(spot.price.0);
            let near = pin.as_ref().is_none_or(|(p, zone)| p == spot.provider && *zone == spot.offering.zone);
            saved > 0
                && saved * 10_000 >= least
                && (decl.place.optimize == Optimize::Cost || spot.rank <= ranked)
                && near
                && (!bound || *spot.provider == now.provider && spot.offering.zone == host.zone)
                && self.stock.left(spot.stock)
        };
        let mut out: Vec<usize> = (0..family.spots.len()).filter(gain).collect();
        out.sort_by_key(|at| (family.spots[*at].price, *at));
        out
    }

    /// Whether hosts of a pool stay in their zone: pools are kept together or apart with it, or it is even over racks.
    fn bound(&self, pool: usize, decl: &PoolSpec) -> bool {
        let Some(name) = &self.pools[pool].name else { return false };
        let names = |place: &Place| place.affinity.contains_key(name) || place.anti_affinity.contains_key(name);
        let place = &decl.place;
        let own = !place.affinity.is_empty() || !place.anti_affinity.is_empty() || place.spread == Some(Spread::Rack);
        own || self.input.desired.pools.values().any(|other| names(&other.place))
    }

    /// Replaces hosts that cost less elsewhere, the dearest first, as far as the brake lets them; the rest stay.
    pub(crate) fn improve(&mut self) -> Result<(), PlanError> {
        let waits = |id: &HostId| matches!(self.states[id.0][id.1].fate, Fate::Improve);
        let mut hosts: Vec<HostId> = self.host_ids().into_iter().filter(waits).collect();
        let price = |id: &HostId| self.newest(id.0, id.1).map_or(0, |row| self.world.rows[row].now.price.0);
        hosts.sort_by_key(|id| (std::cmp::Reverse(price(id)), *id));
        let mut budgets: BTreeMap<usize, usize> = BTreeMap::new();
        for id in hosts {
            self.states[id.0][id.1].fate = Fate::Keep;
            let left = budgets.get(&id.0).copied().unwrap_or_else(|| self.replaceable(id.0));
            let better = if left > 0 { self.better(id)? } else { None };
            budgets.insert(id.0, left - usize::from(better.is_some()));
            match better {
                Some((made, reason)) => {
                    if let (Some(proposal), Reason::Optimized { saved, .. }) = (&mut self.proposal, &reason) {
                        proposal.replaced += 1;
                        proposal.saved = proposal.saved + *saved;
                    }
                    self.swap(id, reason, made);
                }
                None => {
                    if left == 0
                        && let Some(proposal) = &mut self.proposal
                    {
                        proposal.braked += 1;
                    }
                    self.stay(id, None);
                }
            }
            self.host_volumes(id)?;
        }
        Ok(())
    }

    /// How many hosts of a pool may still be replaced.
    fn replaceable(&self, pool: usize) -> usize {
        let scope = &self.input.scope;
        if scope.overrides.contains_key(&Brake::MaxReplaced) {
            return usize::MAX;
        }
        let share = self.input.desired.policy.max_replaced;
        let hosts = self.states[pool].iter().zip(&self.pools[pool].hosts);
        let replaced = hosts.filter(|(state, member)| state.renewed && !member.rows.is_empty()).count();
        share.at_least_one_of(self.pools[pool].recorded()).saturating_sub(replaced)
    }

    /// Takes a cheaper place for a host, if one has room: on a machine that is in use anyway, and where its pool is no
    /// less evenly spread.
    fn better(&mut self, id: HostId) -> Result<Option<(super::seating::Made, Reason)>, PlanError> {
        let (Some(decl), Some(name)) = (self.pools[id.0].decl, self.pools[id.0].name.clone()) else { return Ok(None) };
        let Some(row) = self.newest(id.0, id.1) else { return Ok(None) };
        self.open_places(id.0)?;
        self.mind_others(id.0)?;
        let Some(mut places) = self.places.remove(&id.0) else { return Ok(None) };
        let family = std::rc::Rc::clone(&places.family);
        let now = &self.world.rows[row].now;
        let (was, own) = (now.price, self.ledger.of(now));
        let from = now.spec.host().map(|h| domain_key(decl.place.spread, &now.provider, &h.region, &h.zone));
        let from = from.and_then(|key| family.domains.get(&key)).copied();
        let (fresh, pin) = self.wanted_space(id, decl);
        let own = merge(own.into_iter().chain(fresh.iter().flat_map(|fresh| fresh.own.iter().copied())));
        let leaves = self.machine_left(id);
        let (tenant, place) = (&decl.tenant, &decl.place);
        let ask = Ask { tenant, fresh, pin, own, pool: &name, place, leaves, free: false };
        let mut seat = None;
        for at in self.gains(id, decl, &family).into_iter().take(MOST_PLACES) {
            if places.session.evens(from, family.spots[at].domain) {
                seat = places.session.attempt(&family, at, &ask, (&[], &mut self.room()));
            }
            if seat.is_some() {
                places.session.goes(from, family.spots[at].domain);
                break;
            }
        }
        self.places.insert(id.0, places);
        let Some(seat) = seat else { return Ok(None) };
        let made = self.seated(id, decl, seat);
        let saved = was - made.price;
        Ok(Some((made, Reason::Optimized { empties: None, saved })))
    }

    /// Moves hosts together, zone by zone, so that machines stand empty.
    pub(crate) fn consolidate(&mut self) {
        if self.proposal.is_none() {
            return;
        }
        for zone in self.machines.zones() {
            let (mut yard, hosts) = self.yard(&zone);
            let before: Vec<usize> = yard.lodgers.iter().map(|lodger| lodger.at).collect();
            let mut filled = self.filled(&zone, &yard);
            yard.consolidate();
            let mut emptied: BTreeSet<usize> = BTreeSet::new();
            for ((lodger, id), from) in yard.lodgers.iter().zip(hosts).zip(before) {
                if lodger.at != from {
                    self.move_host(id, zone.start + from, zone.start + lodger.at);
                    emptied.insert(from);
                }
            }
            let after = self.filled(&zone, &yard);
            (filled.machines_after, filled.share_after) = (after.machines_before, after.share_before);
            let Some(proposal) = &mut self.proposal else { return };
            for at in emptied {
                let slot = &self.machines.slots[zone.start + at];
                proposal.saved = proposal.saved + slot.machine.price;
                let (provider, machine) = (slot.provider.clone(), slot.machine.name.clone());
                proposal.emptied.push(Emptied { provider, machine, saved: slot.machine.price });
            }
            proposal.filled.push(filled);
        }
    }

    /// A zone as consolidation sees it, and its hosts that may move.
    fn yard(&self, zone: &std::ops::Range<usize>) -> (Yard, Vec<HostId>) {
        let (mut pools, mut tenants) = (Numbers::default(), Numbers::default());
        let mut racks: BTreeMap<&str, u32> = BTreeMap::new();
        let mut stands = Vec::with_capacity(zone.len());
        for at in zone.clone() {
            let slot = &self.machines.slots[at];
            let next = u32::try_from(racks.len()).unwrap_or(u32::MAX);
            stands.push(Stand {
                has: capacity(slot.machine),
                left: self.machines.left(&self.ledger, at),
                price: slot.machine.price.0,
                used: slot.hosts > 0 || slot.strangers,
                closable: !slot.strangers,
                rack: *racks.entry(&slot.machine.rack).or_insert(next),
                owner: slot.machine.dedicated.as_ref().map(|tenant| tenants.of(tenant)),
                strangers: slot.strangers,
                tenants: slot.tenants.iter().map(|(tenant, hosts)| (tenants.of(tenant), *hosts)).collect(),
                pools: slot.pools.iter().map(|(pool, hosts)| (pools.of(pool), *hosts)).collect(),
                staying: slot.staying.iter().map(|(pool, hosts)| (pools.of(pool), *hosts)).collect(),
            });
        }
        let (mut lodgers, mut hosts) = (Vec::new(), Vec::new());
        for id in self.host_ids() {
            let Some((slot, decl, name)) = self.on_machine(id).filter(|(slot, ..)| zone.contains(slot)) else {
                continue;
            };
            let Some(now) = self.newest(id.0, id.1).map(|row| &self.world.rows[row].now) else { continue };
            let Some(host) = now.spec.host() else { continue };
            hosts.push(id);
            lodgers.push(Lodger {
                amounts: amounts(&host.size, host.root.is_some()),
                pool: pools.of(name),
                tenant: tenants.of(&decl.tenant),
                // One that keeps away if it can is not moved beside another either.
                apart: matches!(host.apart, Some(Apart::Must | Apart::May)),
                racks: decl.place.spread == Some(Spread::Rack),
                price: now.price.0,
                at: slot - zone.start,
            });
        }
        let mut moving = vec![0u32; stands.len()];
        lodgers.iter().for_each(|lodger| moving[lodger.at] += 1);
        for (at, stand) in stands.iter_mut().enumerate() {
            stand.closable &= moving[at] == self.machines.slots[zone.start + at].hosts;
        }
        let alone = self.machines.alone.iter().map(|tenant| tenants.of(tenant)).collect();
        (Yard::new(stands, lodgers, alone, self.input.desired.policy.min_gain), hosts)
    }

    /// The machine of a host that may go to another one while it runs.
    fn on_machine(&self, id: HostId) -> Option<(usize, &'a PoolSpec, &Name)> {
        let (state, pool) = (&self.states[id.0][id.1], &self.pools[id.0]);
        let decl = pool.decl.filter(|decl| decl.place.optimize != Optimize::Balance)?;
        let now = &self.world.rows[self.newest(id.0, id.1)?].now;
        let how = self.input.capabilities.get(&now.provider)?.change(Kind::Host, "machine");
        let free =
            state.movable && !state.remade && how == Change::InPlace && !ignored("machine", &decl.ignore_changes);
        if free { Some((self.machines.of(now)?, decl, pool.name.as_ref()?)) } else { None }
    }

    fn filled(&self, zone: &std::ops::Range<usize>, yard: &Yard) -> Filled {
        let first = &self.machines.slots[zone.start];
        let open = || yard.stands.iter().filter(|stand| stand.used);
        let has: u128 = open().map(|stand| u128::from(stand.has[yard.scarce])).sum();
        let left: u128 = open().map(|stand| u128::from(stand.left[yard.scarce])).sum();
        let share = (has - left) * 10_000 / has.max(1);
        let (machines, share) = (open().count(), Percent(u32::try_from(share).unwrap_or(u32::MAX)));
        Filled {
            provider: first.provider.clone(),
            zone: first.machine.zone.clone(),
            resource: RESOURCES[yard.scarce].into(),
            machines_before: machines,
            machines_after: machines,
            share_before: share,
            share_after: share,
        }
    }

    /// Moves a host that runs to another machine.
    fn move_host(&mut self, id: HostId, from: usize, to: usize) {
        let Some(row) = self.newest(id.0, id.1) else { return };
        let first = self.states[id.0][id.1].up.first().copied();
        let before = self.edited(row, first);
        let (left, machine) = (&self.machines.slots[from].machine, self.machines.slots[to].machine.name.clone());
        let reason = Reason::Optimized { empties: Some(left.name.clone()), saved: left.price };
        let Some(host) = before.host() else { return };
        let after = Spec::Host(HostSpec { machine: Some(machine), ..host.clone() });
        let Ok((room, gives)) = self.room_for_change(id, row, &after) else { return };
        let now = &self.world.rows[row].now;
        let draft = Draft {
            address: now.address.clone(),
            generation: now.generation,
            provider: now.provider.clone(),
            action: Action::Update { from: before, to: after },
            reason,
            needs: self.states[id.0][id.1].up.iter().copied().chain(room).collect(),
        };
        let step = self.drafts.push(draft);
        self.ledger.free(step, &gives, &Charges::new());
        self.states[id.0][id.1].up.push(step);
        if let Some(proposal) = &mut self.proposal {
            proposal.moved += 1;
        }
    }

    /// What the physical machines cost that hosts of ours stand on, before the plan and after it.
    pub(crate) fn machines_cost(&self, steps: &[crate::plan::Step]) -> (Money, Money) {
        if self.machines.slots.is_empty() {
            return (Money::ZERO, Money::ZERO);
        }
        let mut hosts: BTreeMap<(&pool_inventory::Address, u32), usize> = BTreeMap::new();
        for row in self.input.recorded.iter().filter(|row| row.address.kind == Kind::Host) {
            hosts.extend(self.machines.of(row).map(|slot| ((&row.address, row.generation), slot)));
        }
        let sum = |hosts: &BTreeMap<_, usize>| {
            let slots: BTreeSet<&usize> = hosts.values().collect();
            slots.into_iter().map(|slot| self.machines.slots[*slot].machine.price).sum()
        };
        let before = sum(&hosts);
        for step in steps.iter().filter(|step| step.address.kind == Kind::Host) {
            let key = (&step.address, step.generation);
            let spec = match &step.action {
                Action::Create { spec, .. } | Action::Update { to: spec, .. } => Some(spec),
                Action::Delete | Action::Forget => None,
                _ => continue,
            };
            hosts.remove(&key);
            let slot = spec.and_then(Spec::host).and_then(|host| self.machines.find(&step.provider, host));
            hosts.extend(slot.map(|slot| (key, slot)));
        }
        (before, sum(&hosts))
    }
}

/// Small numbers for names.
#[derive(Default)]
struct Numbers(BTreeMap<Name, u32>);

impl Numbers {
    fn of(&mut self, name: &Name) -> u32 {
        let next = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        *self.0.entry(name.clone()).or_insert(next)
    }
}
