//! What is to be done about each host, before brakes, protection and room are looked at.

use std::{borrow::Cow, net::IpAddr};

use pool_inventory::{
    Address, Kind, Name, Text,
    desired::{NamedHost, PoolSpec, Size},
    market::{Capabilities, Change, HostSeen},
    object::{FieldChange, HostSpec, Spec, Status},
};

use super::{
    Fate, HostId, HostState, Planner,
    asks::machine,
    family::rank,
    ladder::{Delta, compare},
    record::{Belongs, answers, belongs, field, seen_endpoint_of},
    standing::{Kept, named_spec, place_of},
};
use crate::{
    error::PlanError,
    plan::{Reason, Why},
};

impl<'a> Planner<'a> {
    /// Decides the fate of every host.
    pub(crate) fn judge_hosts(&mut self) -> Result<(), PlanError> {
        for pool in 0..self.pools.len() {
            let count = self.pools[pool].hosts.len();
            self.states.push(Vec::with_capacity(count));
            if let (Some(name), Some(decl)) = (self.pools[pool].name.clone(), self.pools[pool].decl) {
                self.declared(&name, decl)?;
            }
            for host in 0..count {
                let state = self.judge((pool, host))?;
                self.states[pool].push(state);
            }
        }
        Ok(())
    }

    /// Everything that a pool refers to must be declared.
    fn declared(&self, name: &Name, decl: &PoolSpec) -> Result<(), PlanError> {
        let missing = |kind, name: &Name, pool: &Name| {
            Err(PlanError::Undeclared { address: Address::pool(pool), kind, name: name.clone() })
        };
        let desired = &self.input.desired;
        if let Some(network) = decl.network.as_ref().filter(|n| !desired.networks.contains_key(*n)) {
            return missing("network", network, name);
        }
        if let Some(image) = decl.image.as_ref().filter(|i| !desired.images.contains_key(*i)) {
            return missing("image", image, name);
        }
        if !desired.tenants.contains_key(&decl.tenant) {
            return missing("tenant", &decl.tenant, name);
        }
        let mut tiers = decl.volumes.values().map(|volume| &volume.tier).chain(&decl.root);
        if let Some(tier) = tiers.find(|tier| !desired.tiers.contains_key(*tier)) {
            return missing("tier", tier, name);
        }
        match decl.bootstrap.pools().iter().find(|pool| !desired.pools.contains_key(*pool)) {
            Some(pool) => missing("pool", pool, name),
            None => Ok(()),
        }
    }

    fn judge(&mut self, id: HostId) -> Result<HostState, PlanError> {
        let (pool, host) = (&self.pools[id.0], &self.pools[id.0].hosts[id.1]);
        let address = host.address.clone();
        let (wished, decl) = (host.wished, pool.decl);
        let Some(row) = host.rows.clone().next_back() else {
            return Ok(HostState::new(Fate::Make(Reason::NotPresent)));
        };
        let world = &self.world.rows[row];
        if world.unseen() {
            self.decline(&address, Why::ProviderUnseen);
            return Ok(self.untouched(row));
        }
        let decl = match decl.filter(|_| wished) {
            Some(decl) => decl,
            None if world.gone() => return Ok(HostState::new(Fate::Forget(Reason::Vanished))),
            None => return Ok(HostState { fate: Fate::Remove(self.going(&address)), ..self.untouched(row) }),
        };
        if world.unfinished() {
            return Ok(HostState::new(Fate::Make(Reason::Unfinished)));
        }
        if world.gone() {
            return Ok(HostState::new(Fate::Make(Reason::Vanished)));
        }
        self.judge_standing(id, row, decl)
    }

    /// A host that stands, and that nothing is done about.
    pub(crate) fn untouched(&self, row: usize) -> HostState {
        let now = &self.world.rows[row].now;
        let mut state = HostState::new(Fate::Nothing);
        state.present = true;
        state.provider = Some(now.provider.clone());
        state.zone = now.spec.host().map_or_else(|| "".into(), |host| host.zone.clone());
        state.generation = now.generation;
        state.endpoint = now.endpoint.clone();
        state
    }

    fn judge_standing(&mut self, id: HostId, row: usize, decl: &'a PoolSpec) -> Result<HostState, PlanError> {
        let address = self.pools[id.0].hosts[id.1].address.clone();
        let named = self.pools[id.0].hosts[id.1].named;
        let mut state = self.untouched(row);
        state.fate = Fate::Keep;
        if self.input.scope.replace.contains(&address) {
            state.fate = Fate::Replace(Reason::Requested);
            return Ok(state);
        }
        if let Some(named) = named.filter(|named| named.id.is_some()) {
            return Ok(self.judge_taken(id, row, decl, named, state));
        }
        let seen = self.world.rows[row].sight.there();
        if let Some(detail) = seen.and_then(|seen| self.beyond_repair(row, &seen.status)) {
            state.fate = Fate::Replace(Reason::Unhealthy { detail });
            return Ok(state);
        }
        state.power_on = seen.is_some_and(|seen| seen.status == Status::Stopped);
        if let Some(network) = self.replaced_network(row) {
            state.fate = Fate::Replace(Reason::FollowsFrom { address: network });
            return Ok(state);
        }
        let mut to = EditedRow::default();
        match named {
            Some(named) => self.judge_named(id, row, decl, named, &mut state, &mut to),
            None => self.judge_placed(id, row, decl, &mut state, &mut to)?,
        }
        if matches!(state.fate, Fate::Keep | Fate::Change { .. }) {
            self.judge_record(id, row, decl, &mut state, to);
        }
        Ok(state)
    }

    /// The machine that a host stands on: wherever it was seen.
    fn machine_of(&self, row: usize) -> Option<Text> {
        let world = &self.world.rows[row];
        let seen = world.sight.there().and_then(|seen| seen.spec.host());
        seen.or(world.now.spec.host())?.machine.clone()
    }

    /// What is wrong with a host that only another one mends: its provider says that it is broken, or it never came to
    /// answer and has been made for longer than anything takes.
    fn beyond_repair(&self, row: usize, status: &Status) -> Option<Text> {
        let now = &self.world.rows[row].now;
        match status {
            Status::Failed(detail) => Some(detail.clone()),
            Status::Pending if now.endpoint.is_none() && now.created > 0 => {
                let patience = self.input.capabilities.get(&now.provider)?.patience;
                let age = u64::try_from(self.input.now - now.created).ok()?;
                (age.saturating_mul(1000) > patience.0).then(|| format!("still being made after {patience}").into())
            }
            _ => None,
        }
    }

    fn replaced_network(&self, row: usize) -> Option<Address> {
        if self.networks.is_empty() {
            return None;
        }
        let network = self.world.rows[row].now.spec.host()?.network.as_ref()?;
        let state = self.networks.get(network)?;
        matches!(state.fate, Fate::Replace(_)).then(|| Address::network(network))
    }

    fn judge_placed(
        &mut self,
        id: HostId,
        row: usize,
        decl: &'a PoolSpec,
        state: &mut HostState,
        to: &mut EditedRow,
    ) -> Result<(), PlanError> {
        let kept = self.kept(id.0, row, decl);
        match &*kept {
            Kept::Stays(wanted) => {
                let address = self.own_address(id, row, decl);
                let wanted = with_own(wanted, address, self.machine_of(row));
                self.judge_spec(row, decl, &wanted, state, to);
                self.reprice(row, state, to);
            }
            Kept::Misplaced(why) => {
                let now = &self.world.rows[row].now;
                let fields = field("place", &place_of(now), why);
                state.fate = Fate::Replace(Reason::SpecChanged { fields });
            }
            Kept::Small | Kept::Barred(_) => match self.resized(id, row, decl)? {
                Some((wanted, price)) => {
                    self.judge_spec(row, decl, &wanted, state, to);
                    if matches!(state.fate, Fate::Change { .. }) {
                        to.price = Some(price);
                    }
                }
                None => {
                    let has = self.world.rows[row].now.spec.host().map(|host| host.size);
                    let fields = machine(decl).and_then(|wanted| outgrown(&has?, &wanted));
                    let place = &place_of(&self.world.rows[row].now);
                    let why = if let Kept::Barred(why) = &*kept { why } else { "not for sale any more" };
                    let fields = fields.unwrap_or_else(|| field("size", place, &why));
                    state.fate = Fate::Replace(Reason::SpecChanged { fields });
                }
            },
        }
        Ok(())
    }

    /// What a host costs that is given another volume to boot from.
    fn reprice(&self, row: usize, state: &HostState, to: &mut EditedRow) {
        let Fate::Change { to: spec, .. } = &state.fate else { return };
        let now = &self.world.rows[row].now;
        let root = |spec: &Spec| spec.host().and_then(|host| host.root.clone());
        if root(spec) != root(&now.spec) {
            to.price = Some(super::tiers::price_of(self.input, &now.provider, spec));
        }
    }

    fn judge_spec(&self, row: usize, decl: &PoolSpec, wanted: &Spec, state: &mut HostState, to: &mut EditedRow) {
        let world = &self.world.rows[row];
        let Some(capabilities) = self.input.capabilities.get(&world.now.provider) else { return };
        let seen = world.sight.there().map(|seen| &seen.spec);
        match compare(capabilities, &decl.ignore_changes, &world.now.spec, seen, wanted) {
            Delta::Same => {}
            Delta::Record { to: spec, reason } if self.is_rebuilt(row, capabilities, &spec) => {
                state.fate = Fate::Change { how: Change::Rebuild, to: Box::new(spec), reason };
            }
            Delta::Record { to: spec, reason } => to.spec = Some((spec, reason)),
            Delta::Change { reason, how: Change::Replace, .. } => state.fate = Fate::Replace(reason),
            Delta::Change { to, how, reason, .. } => state.fate = Fate::Change { how, to: Box::new(to), reason },
        }
    }

    /// Whether a rebuild of a host that leads to `to` is under way: asking for it again waits for its end, and takes the
    /// keys of the new system.
    fn is_rebuilt(&self, row: usize, capabilities: &Capabilities, to: &Spec) -> bool {
        let world = &self.world.rows[row];
        let rebuilds = |change: &FieldChange| capabilities.change(Kind::Host, &change.field) == Change::Rebuild;
        world.sight.there().is_some_and(|seen| seen.status == Status::Pending)
            && world.now.spec.changes(to).iter().any(rebuilds)
    }

    fn judge_named(
        &self,
        id: HostId,
        row: usize,
        decl: &'a PoolSpec,
        named: &NamedHost,
        state: &mut HostState,
        to: &mut EditedRow,
    ) {
        let now = &self.world.rows[row].now;
        let Some(pool) = &self.pools[id.0].name else { return };
        if rank(&decl.place.on, &now.provider, "", "").is_none() || !now.adopted {
            let fields = field("provider", &now.provider, &"another");
            state.fate = Fate::Replace(Reason::SpecChanged { fields });
            return;
        }
        let wanted = Spec::Host(named_spec(self.input, pool, decl, &now.address.name, named, &now.provider));
        let Some(capabilities) = self.input.capabilities.get(&now.provider) else { return };
        match compare(capabilities, &decl.ignore_changes, &now.spec, None, &wanted) {
            Delta::Same => {}
            Delta::Record { to: spec, reason } => to.spec = Some((spec, reason)),
            Delta::Change { to, how: Change::InPlace, reason, .. } => {
                state.fate = Fate::Change { how: Change::InPlace, to: Box::new(to), reason };
            }
            Delta::Change { reason, .. } => state.fate = Fate::Replace(reason),
        }
    }

    /// What only the record holds: whose it is, protection, what it needs, where it answers.
    pub(crate) fn judge_record(&self, id: HostId, row: usize, decl: &PoolSpec, state: &mut HostState, edit: EditedRow) {
        let world = &self.world.rows[row];
        let Some(pool) = &self.pools[id.0].name else { return };
        let to_be = edit.spec.as_ref().map_or(&world.now.spec, |(spec, _)| spec);
        let endpoint = seen_endpoint_of(world, to_be.host());
        let needs = || decl.network.iter().map(|network| Address::network(network)).collect::<Vec<_>>();
        let now = &*world.now;
        let same_needs = match (&decl.network, now.needs.as_slice()) {
            (None, []) => true,
            (Some(network), [need]) => *need.name == **network,
            _ => false,
        };
        let same = same_needs && now.tenant == decl.tenant && now.pool.as_ref() == Some(pool);
        if same && now.protected == decl.protected && endpoint.is_none() && edit.is_empty() {
            return;
        }
        let mut to = now.clone();
        let wanted = Belongs { tenant: &decl.tenant, pool, protected: decl.protected, needs: needs() };
        let mut fields = belongs(&mut to, wanted);
        let mut reason = None;
        if let Some((spec, why)) = edit.spec {
            (to.spec, reason) = (spec, Some(why));
        }
        if let Some(price) = edit.price.filter(|price| *price != to.price) {
            fields.extend(field("price", &to.price.per_month(), &price.per_month()));
            to.price = price;
        }
        let declared = !fields.is_empty();
        if let Some(endpoint) = endpoint {
            fields.extend(answers(now.endpoint.as_ref(), &endpoint));
            state.endpoint = Some(endpoint.clone());
            to.endpoint = Some(endpoint);
        }
        fields.sort();
        let reason = reason.unwrap_or(match declared {
            true => Reason::SpecChanged { fields },
            false => Reason::Drifted { fields },
        });
        state.edit = Some((Box::new(to), reason));
    }

    /// The public keys that hosts of a pool let in.
    pub(crate) fn keys(&self, pool: usize) -> Vec<Text> {
        let name = self.pools[pool].name.as_ref();
        name.and_then(|name| self.input.public_keys.get(name)).into_iter().cloned().collect()
    }

    /// What probing the host found.
    pub(crate) fn probed(&self, address: &Address) -> Option<&'a HostSeen> {
        self.input.seen.hosts.get(&address.name)
    }
}

/// Changes of a row that are collected before one step makes them.
#[derive(Default)]
pub(crate) struct EditedRow {
    pub spec: Option<(Spec, Reason)>,
    pub price: Option<pool_inventory::Money>,
}

impl EditedRow {
    fn is_empty(&self) -> bool {
        self.spec.is_none() && self.price.is_none()
    }
}

/// Hosts that stand alike are wished alike, but for their addresses and machines.
fn with_own(wanted: &Spec, address: Option<IpAddr>, machine: Option<Text>) -> Cow<'_, Spec> {
    match wanted {
        Spec::Host(host) if address.is_some() || host.machine != machine => {
            Cow::Owned(Spec::Host(HostSpec { address, machine, ..host.clone() }))
        }
        _ => Cow::Borrowed(wanted),
    }
}

/// Which part of a host's size is too small, before and after.
fn outgrown(has: &Size, wanted: &Size) -> Option<Vec<FieldChange>> {
    let text = |value: &dyn std::fmt::Display| value.to_string();
    [
        (has.vcpus < wanted.vcpus, "size.vcpus", text(&has.vcpus), text(&wanted.vcpus)),
        (has.memory < wanted.memory, "size.memory", text(&has.memory), text(&wanted.memory)),
        (has.disk < wanted.disk, "size.disk", text(&has.disk), text(&wanted.disk)),
    ]
    .into_iter()
    .find_map(|(small, name, from, to)| small.then(|| field(name, &from, &to)))
}
