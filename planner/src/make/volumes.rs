//! Volumes of hosts that stay or come: made, grown, attached.

use pool_inventory::{
    Address, Name,
    desired::{OnRemove, PoolSpec, PoolVolume},
    market::Change,
    object::{Attachment, Observed, Recorded, Spec, Status, VolumeSpec},
};

use super::{
    HostId, Planner,
    draft::{Draft, DraftId},
    family::tier_of,
    ladder::{Delta, compare},
    ledger::Charges,
    record::{Belongs, belongs, field},
};
use crate::{
    error::PlanError,
    plan::{Action, Reason, Why},
};

/// What is to be done about a volume that stands.
#[derive(Default)]
struct Todo {
    edit: Option<(Box<Recorded>, Reason)>,
    update: Option<(Spec, Reason)>,
    detach: Option<Reason>,
    attach: Option<Reason>,
    refused: Vec<Why>,
}

impl Todo {
    fn acts(&self) -> bool {
        self.edit.is_some() || self.update.is_some() || self.detach.is_some() || self.attach.is_some()
    }
}

/// A wished volume of a host.
#[derive(Clone)]
pub(crate) struct Wish<'a> {
    pub id: HostId,
    pub address: Address,
    pub name: &'a Name,
    pub decl: &'a PoolVolume,
    pub pool: &'a PoolSpec,
}

impl<'a> Planner<'a> {
    /// Does what the volumes of a host need.
    pub(crate) fn host_volumes(&mut self, id: HostId) -> Result<(), PlanError> {
        let Some(pool) = self.pools[id.0].decl else { return Ok(()) };
        for (name, decl) in &pool.volumes {
            let address = Address::volume(&self.pools[id.0].hosts[id.1].address.name, name);
            self.volume(Wish { id, address, name, decl, pool })?;
        }
        Ok(())
    }

    fn volume(&mut self, wish: Wish<'a>) -> Result<(), PlanError> {
        let host = self.pools[wish.id.0].hosts[wish.id.1].address.clone();
        let present = self.states[wish.id.0][wish.id.1].present;
        if self.take_over_volume(&wish)? {
            return Ok(());
        }
        let Some(row) = self.world.of(&wish.address).next_back() else {
            if present {
                self.make_volume(&wish, None, Reason::NotPresent);
            } else if !self.told_by_pool(wish.id) {
                self.decline(&wish.address, Why::NeedsDeclined { address: host });
            }
            return Ok(());
        };
        let world = &self.world.rows[row];
        if world.unseen() {
            self.decline(&wish.address, Why::ProviderUnseen);
            return Ok(());
        }
        if world.unfinished() || world.gone() {
            if !present {
                self.decline(&wish.address, Why::NeedsDeclined { address: host });
                return Ok(());
            }
            let reason = if world.unfinished() { Reason::Unfinished } else { Reason::Vanished };
            self.make_volume(&wish, Some(row), reason);
            return Ok(());
        }
        if let Some(reason) = self.replacing(&wish, row) {
            self.replace_volume(&wish, row, reason);
            return Ok(());
        }
        let todo = self.volume_todo(&wish, row)?;
        self.do_volume(&wish, row, todo);
        Ok(())
    }

    /// Why a volume that stands is to be made anew, losing its data; this happens on request, or where the inventory
    /// says that its data may go.
    fn replacing(&mut self, wish: &Wish<'a>, row: usize) -> Option<Reason> {
        let failed = || match &self.world.rows[row].sight.there()?.status {
            Status::Failed(detail) if wish.decl.on_remove == OnRemove::Delete => {
                Some(Reason::Unhealthy { detail: detail.clone() })
            }
            _ => None,
        };
        let asked = self.input.scope.replace.contains(&wish.address).then_some(Reason::Requested);
        let reason = asked.or_else(failed)?;
        match self.irreplaceable(wish, row) {
            None => Some(reason),
            Some(why) => {
                self.decline(&wish.address, why);
                None
            }
        }
    }

    /// Why a volume cannot be made anew.
    fn irreplaceable(&self, wish: &Wish<'a>, row: usize) -> Option<Why> {
        if self.protected_volume(&self.world.rows[row].now) {
            return Some(Why::Protected { by: "volume".into() });
        }
        self.held_by_snapshots(&wish.address).or_else(|| match (self.source_is_there(wish), &wish.decl.from) {
            (Err(why), _) => Some(why),
            // What it would be made from is not made yet: what it holds is not given up for that.
            (Ok(false), Some(from)) => Some(Why::NoSource { from: from.clone() }),
            _ => None,
        })
    }

    /// Compares a volume that stands with its declaration.
    fn volume_todo(&mut self, wish: &Wish<'a>, row: usize) -> Result<Todo, PlanError> {
        let mut todo = Todo::default();
        let wanted = self.wanted(wish, row, &mut todo)?;
        let world = &self.world.rows[row];
        let seen = world.sight.there();
        if let Some(Status::Failed(detail)) = seen.map(|seen| &seen.status) {
            todo.refused.push(Why::Broken { detail: detail.clone() });
            if self.states[wish.id.0][wish.id.1].remade {
                self.attachment(wish, row, &mut todo);
            }
            return Ok(todo);
        }
        self.attachment(wish, row, &mut todo);
        let (Some(wanted), Some(capabilities)) = (wanted, self.input.capabilities.get(&world.now.provider)) else {
            return Ok(todo);
        };
        let applied = Spec::Volume(detached(&world.now.spec, &wanted));
        let seen = seen.map(|seen| Spec::Volume(detached(&seen.spec, &wanted)));
        let wanted = Spec::Volume(wanted);
        let mut spec = None;
        match compare(capabilities, &wish.pool.ignore_changes, &applied, seen.as_ref(), &wanted) {
            Delta::Same => {}
            Delta::Record { to, reason } => spec = Some((to, reason)),
            Delta::Change { to, how: Change::InPlace, reason, .. } => todo.update = Some((to, reason)),
            Delta::Change { fields, .. } => {
                let stuck = |f: &pool_inventory::object::FieldChange| {
                    capabilities.change(pool_inventory::Kind::Volume, &f.field) != Change::InPlace
                };
                todo.refused.push(Why::CannotMove { fields: fields.into_iter().filter(stuck).collect() });
            }
        }
        self.record_volume(wish, row, spec, &mut todo);
        Ok(todo)
    }

    /// What the volume should be where it is; none where it cannot be that.
    fn wanted(&mut self, wish: &Wish<'a>, row: usize, todo: &mut Todo) -> Result<Option<VolumeSpec>, PlanError> {
        let now = &self.world.rows[row].now;
        let Spec::Volume(volume) = &now.spec else { return Ok(None) };
        let name = self.pools[wish.id.0].name.clone().unwrap_or_else(|| now.tenant.clone());
        let tier = tier_of(self.input, &name, &wish.decl.tier)?;
        let serving = self.tiers.serving(self.input, &now.provider, &volume.zone, &wish.decl.tier, tier);
        let seen_size = self.world.rows[row].sight.there().and_then(|s| s.spec.volume()).map(|v| v.size);
        let has = seen_size.unwrap_or(volume.size).max(volume.size);
        let mut wanted = VolumeSpec {
            tier: wish.decl.tier.clone(),
            backend: volume.backend.clone(),
            zone: volume.zone.clone(),
            size: wish.decl.size,
            provisioning: tier.provisioning,
            tags: self.volume_tags(wish, row, volume),
            attached: volume.attached.clone(),
            on_remove: wish.decl.on_remove,
            from: volume.from.clone(),
            existing: volume.existing.clone(),
        };
        if !serving.offers.iter().any(|offer| offer.name == volume.backend) {
            match self.other_backend(wish, row, &serving, has.max(wish.decl.size)) {
                Ok(backend) => wanted.backend = backend,
                Err(why) => {
                    todo.refused.push(why);
                    wanted.tier.clone_from(&volume.tier);
                    wanted.provisioning = volume.provisioning;
                }
            }
        }
        if wish.decl.size < has {
            todo.refused.push(Why::Shrink { from: has, to: wish.decl.size });
            wanted.size = has;
        }
        Ok(Some(wanted))
    }

    /// What only the record holds.
    fn record_volume(&self, wish: &Wish<'a>, row: usize, spec: Option<(Spec, Reason)>, todo: &mut Todo) {
        let now = &*self.world.rows[row].now;
        let Some(pool) = &self.pools[wish.id.0].name else { return };
        let protected = wish.pool.protected || wish.decl.protected;
        let same = now.tenant == wish.pool.tenant && now.pool.as_ref() == Some(pool) && now.protected == protected;
        let grown = todo.update.as_ref().map(|(to, _)| to).or(spec.as_ref().map(|(to, _)| to));
        let paid = |spec: &Spec| spec.volume().map(|volume| (volume.size, volume.backend.clone()));
        let resized = grown.is_some_and(|to| paid(to) != paid(&now.spec));
        if same && spec.is_none() && todo.update.is_none() {
            return;
        }
        let mut to = now.clone();
        let wanted = Belongs { tenant: &wish.pool.tenant, pool, protected, needs: now.needs.clone() };
        let mut fields = belongs(&mut to, wanted);
        if let Some(grown) = grown.filter(|_| resized) {
            let price = super::tiers::price_of(self.input, &now.provider, grown);
            if price != to.price {
                fields.extend(field("price", &to.price.per_month(), &price.per_month()));
                to.price = price;
            }
        }
        let mut reason = None;
        if let Some((spec, why)) = spec {
            (to.spec, reason) = (attached_as(spec, &now.spec), Some(why));
        }
        // Fields that are ours alone change in the record, whatever else changes in the cloud.
        if let (Some((Spec::Volume(update), why)), Spec::Volume(own)) = (&todo.update, &mut to.spec)
            && (own.on_remove != update.on_remove || own.tier != update.tier)
        {
            (own.on_remove, own.tier) = (update.on_remove, update.tier.clone());
            reason = Some(why.clone());
        }
        if to != *now {
            fields.sort();
            todo.edit = Some((Box::new(to), reason.unwrap_or(Reason::SpecChanged { fields })));
        }
    }

    /// Whether it must be attached to its host, and detached before.
    fn attachment(&self, wish: &Wish<'a>, row: usize, todo: &mut Todo) {
        let state = &self.states[wish.id.0][wish.id.1];
        let host = &self.pools[wish.id.0].hosts[wish.id.1].address;
        if !state.present {
            return;
        }
        let world = &self.world.rows[row];
        let of = |spec: &Spec| spec.volume().and_then(|volume| volume.attached.clone());
        let recorded = of(&world.now.spec);
        let seen = world.sight.there().map_or_else(|| recorded.clone(), |seen| of(&seen.spec));
        if state.remade {
            let reason = Reason::FollowsFrom { address: host.clone() };
            todo.detach = seen.is_some().then(|| reason.clone());
            todo.attach = Some(reason);
            return;
        }
        let fits = |at: &Attachment| self.world.same_host(&at.host, host) && at.mount == wish.decl.mount;
        let (is, was) = (seen.as_ref().is_some_and(fits), recorded.as_ref().is_some_and(fits));
        if is && was {
            return;
        }
        let row = self.newest(wish.id.0, wish.id.1).map(|row| &self.world.rows[row]);
        let broken = |seen: &Observed| matches!(seen.status, Status::Failed(_));
        if row.and_then(|row| row.sight.there()).is_some_and(broken) {
            // It stays although it is broken: there is no place for another.
            todo.refused.push(Why::NeedsDeclined { address: host.clone() });
            return;
        }
        let shown = |at: &Option<Attachment>| match at {
            None => "detached".to_owned(),
            Some(Attachment { host, mount: None }) => host.to_string(),
            Some(Attachment { host, mount: Some(mount) }) => format!("{host} at {mount}"),
        };
        let wanted = Some(Attachment { host: host.clone(), mount: wish.decl.mount.clone() });
        let reason = match (&recorded, was) {
            (None, _) => Reason::Unfinished,
            (_, true) => Reason::Drifted { fields: field("attached", &shown(&recorded), &shown(&seen)) },
            (_, false) => Reason::SpecChanged { fields: field("attached", &shown(&recorded), &shown(&wanted)) },
        };
        todo.detach = (seen.is_some() && !is).then(|| reason.clone());
        todo.attach = Some(reason);
    }

    fn do_volume(&mut self, wish: &Wish<'a>, row: usize, mut todo: Todo) {
        for why in std::mem::take(&mut todo.refused) {
            self.decline(&wish.address, why);
        }
        let host_goes = self.states[wish.id.0][wish.id.1].down.is_some();
        let stray = self.world.rows[row].was.is_none_or(|was| *was != *self.world.rows[row].now);
        if (todo.acts() || stray) && !host_goes && !self.reach.covers(&wish.address) {
            return self.decline(&wish.address, Why::OutOfScope);
        }
        let (mut needs, mut less) = (Vec::new(), Charges::new());
        if let Some((to, _)) = &todo.update {
            match self.room_to_grow(row, to, todo.edit.as_ref().map(|(edit, _)| &**edit)) {
                Ok(room) => (needs, less) = room,
                Err(why) => {
                    self.decline(&wish.address, why);
                    (todo.update, todo.edit) = (None, None);
                }
            }
        }
        let leftovers = self.leftovers(Some(row));
        let mut last = self.first(row, todo.edit);
        // What a host held that is replaced is changed while nobody holds it.
        if self.states[wish.id.0][wish.id.1].remade {
            last = self.let_go(wish, row, todo.detach.take(), last);
        }
        if let Some((to, reason)) = todo.update {
            let from = self.edited(row, last);
            let mut to = attached_as(to, &from);
            let size = |spec: &Spec| spec.volume().map(|volume| volume.size);
            let grows = wish.decl.mount.is_some() && size(&to) != size(&from);
            needs.extend(last.into_iter().chain(leftovers.iter().copied()));
            // A cloud that moves a host to another machine while a volume of it moves to another backend breaks both.
            let host = &self.states[wish.id.0][wish.id.1];
            if host.remade {
                // The old host is gone by then, and holds it no more whatever is recorded.
                needs.extend(host.down);
                if let Spec::Volume(volume) = &mut to {
                    volume.attached = None;
                }
            } else {
                needs.extend(&host.up);
            }
            let step = self.step(row, Action::Update { from, to }, reason, needs);
            self.ledger.free(step, &less, &Charges::new());
            if grows && self.only_attaches(&self.world.rows[row].now.provider) {
                // What is on it does not grow by itself.
                self.states[wish.id.0][wish.id.1].mounts.push((step, wish.address.clone()));
            }
            last = Some(step);
        }
        last = self.let_go(wish, row, todo.detach, last);
        if let Some(reason) = todo.attach {
            let spec = match last.map(|id| &self.drafts.0[id.0 as usize].action) {
                Some(Action::Record { to }) => to.spec.clone(),
                Some(Action::Update { to, .. } | Action::Detach { to }) => to.clone(),
                _ => self.world.rows[row].now.spec.clone(),
            };
            let generation = self.world.rows[row].now.generation;
            self.attach(wish, generation, spec, reason, last.into_iter().chain(leftovers).collect());
        }
    }

    /// Detaches a volume from the host that has it, which may go only then.
    fn let_go(&mut self, wish: &Wish<'a>, row: usize, why: Option<Reason>, last: Option<DraftId>) -> Option<DraftId> {
        let Some(reason) = why else { return last };
        let detach = self.detach(row, reason, last);
        if let Some(down) = self.states[wish.id.0][wish.id.1].down {
            self.drafts.needs(down, [detach]);
        }
        Some(detach)
    }

    fn step(&mut self, row: usize, action: Action, reason: Reason, needs: Vec<DraftId>) -> DraftId {
        let now = &self.world.rows[row].now;
        let draft = Draft {
            address: now.address.clone(),
            generation: now.generation,
            provider: now.provider.clone(),
            action,
            reason,
            needs,
        };
        self.drafts.push(draft)
    }

    pub(crate) fn attach(
        &mut self,
        wish: &Wish<'a>,
        generation: u32,
        spec: Spec,
        reason: Reason,
        mut needs: Vec<DraftId>,
    ) {
        let state = &self.states[wish.id.0][wish.id.1];
        let Some(provider) = state.provider.clone() else { return };
        needs.extend(&state.up);
        let Spec::Volume(volume) = spec else { return };
        let host = self.pools[wish.id.0].hosts[wish.id.1].address.clone();
        let attached = Some(Attachment { host, mount: wish.decl.mount.clone() });
        let to = Spec::Volume(VolumeSpec { attached, ..volume });
        let address = wish.address.clone();
        let step = self.drafts.push(Draft {
            address: address.clone(),
            generation,
            provider,
            action: Action::Attach { to },
            reason,
            needs,
        });
        self.states[wish.id.0][wish.id.1].mounts.push((step, address));
    }
}

/// The spec of a volume with the attachment of `like`.
fn detached(spec: &Spec, like: &VolumeSpec) -> VolumeSpec {
    match spec {
        Spec::Volume(volume) => {
            VolumeSpec { attached: like.attached.clone(), existing: like.existing.clone(), ..volume.clone() }
        }
        _ => like.clone(),
    }
}

fn attached_as(spec: Spec, like: &Spec) -> Spec {
    match (spec, like) {
        (Spec::Volume(volume), Spec::Volume(like)) => {
            Spec::Volume(VolumeSpec { attached: like.attached.clone(), ..volume })
        }
        (spec, _) => spec,
    }
}
