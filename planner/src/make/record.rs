//! Steps that concern the record, and deletions.

use std::borrow::Cow;

use pool_inventory::{
    Address, Name, Text,
    object::{Endpoint, FieldChange, HostSpec, Recorded, Spec, Status},
};

use super::{
    Planner,
    draft::{Draft, DraftId},
    ledger::{Charges, difference},
    words,
    world::{Row, World},
};
use crate::plan::{Action, Reason, Why};

/// One changed field, for a reason.
pub(crate) fn field(name: &str, from: &impl ToString, to: &impl ToString) -> Vec<FieldChange> {
    vec![FieldChange { field: name.into(), from: from.to_string().into(), to: to.to_string().into() }]
}

/// What is new about where a host answers.
pub(crate) fn answers(was: Option<&Endpoint>, now: &Endpoint) -> Vec<FieldChange> {
    match was {
        Some(was) if (&was.host, was.port) == (&now.host, now.port) => {
            let count = |keys: &[Text]| format!("{} known", keys.len());
            field("host keys", &count(&was.host_keys), &count(&now.host_keys))
        }
        _ => field("address", &was.map_or("none", |was| &was.host), &now.host),
    }
}

/// Who a row belongs to and whether it may go: what the state alone knows.
pub(crate) struct Belongs<'p> {
    pub tenant: &'p Name,
    pub pool: &'p Name,
    pub protected: bool,
    pub needs: Vec<Address>,
}

/// Brings a row up to date with its declaration; the answer is the fields that changed.
pub(crate) fn belongs(row: &mut Recorded, wanted: Belongs<'_>) -> Vec<FieldChange> {
    let mut fields = Vec::new();
    if row.needs != wanted.needs {
        let list = |needs: &[Address]| needs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        fields.extend(field("needs", &list(&row.needs), &list(&wanted.needs)));
        row.needs = wanted.needs;
    }
    if row.pool.as_ref() != Some(wanted.pool) {
        fields.extend(field("pool", &row.pool.as_deref().unwrap_or("none"), wanted.pool));
        row.pool = Some(wanted.pool.clone());
    }
    if row.protected != wanted.protected {
        fields.extend(field("protected", &row.protected, &wanted.protected));
        row.protected = wanted.protected;
    }
    if row.tenant != *wanted.tenant {
        fields.extend(field("tenant", &row.tenant, wanted.tenant));
        row.tenant = wanted.tenant.clone();
    }
    fields
}

/// The endpoint as it was seen. Keys that are recorded stay: only a new machine may have new ones. Where a machine that is
/// still being made will answer is not said yet.
pub(crate) fn seen_endpoint(row: &Row<'_>) -> Option<Endpoint> {
    seen_endpoint_of(row, row.now.spec.host())
}

/// The same, for a host that will be `host`.
pub(crate) fn seen_endpoint_of(row: &Row<'_>, host: Option<&HostSpec>) -> Option<Endpoint> {
    let seen = row.sight.there().filter(|seen| seen.status != Status::Pending)?.endpoint.as_ref()?;
    let mut out = host.map_or_else(|| seen.clone(), |host| host.reached(seen));
    let pinned = host.and_then(|host| host.at.as_ref()).is_some_and(|at| !at.host_keys.is_empty());
    if let Some(known) = &row.now.endpoint {
        if !known.host_keys.is_empty() && !pinned {
            out.host_keys.clone_from(&known.host_keys);
        }
        if *known == out {
            return None;
        }
    }
    Some(out)
}

impl Planner<'_> {
    /// The step that brings a record up to date before anything else is done to its object: a rename, an object that
    /// the state lost, and `edit`.
    pub(crate) fn first(&mut self, row: usize, edit: Option<(Box<Recorded>, Reason)>) -> Option<DraftId> {
        let world = &self.world.rows[row];
        let moved = world.was.filter(|_| matches!(world.now, Cow::Owned(_)));
        let forced = match (world.was, moved) {
            (None, _) => Some(Reason::Unfinished),
            (_, Some(was)) if was.address != world.now.address => Some(Reason::Moved { from: was.address.clone() }),
            // Only what it refers to has another name.
            (_, Some(was)) => {
                let renamed = world.now.needs.first().cloned().or(world.now.pool.as_ref().map(|p| Address::pool(p)));
                Some(Reason::FollowsFrom { address: renamed.unwrap_or_else(|| was.address.clone()) })
            }
            _ => None,
        };
        if forced.is_some() {
            self.entered.insert(row);
        }
        let edit = edit.filter(|(to, _)| self.affords(row, to));
        let (to, reason) = match (edit, forced) {
            (None, None) => return None,
            (Some((to, _)), Some(reason)) | (Some((to, reason)), None) => (to, reason),
            (None, Some(reason)) => (Box::new(self.world.rows[row].now.clone().into_owned()), reason),
        };
        let (more, less) = difference(&self.ledger.of(&self.world.rows[row].now), &self.ledger.of(&to));
        let needs = self.ledger.take(&more, &Charges::new());
        let draft = Draft {
            address: to.address.clone(),
            generation: to.generation,
            provider: to.provider.clone(),
            action: Action::Record { to },
            reason,
            needs,
        };
        let id = self.drafts.push(draft);
        self.ledger.free(id, &less, &Charges::new()); // another tenant's from now on, or cheaper
        Some(id)
    }

    /// Renames and objects that the state lost are recorded, even where nothing else is done about them.
    pub(crate) fn enter_rest(&mut self) {
        for row in 0..self.world.rows.len() {
            let world = &self.world.rows[row];
            let known = world.was.is_some() && matches!(world.now, Cow::Borrowed(_));
            if !known && !world.unseen() && !self.entered.contains(&row) && self.reach.covers(&world.now.address) {
                self.first(row, None);
            }
        }
    }

    /// Whether there is room for what the new row charges more than the old one; if not, says so.
    fn affords(&mut self, row: usize, to: &Recorded) -> bool {
        let (more, _) = difference(&self.ledger.of(&self.world.rows[row].now), &self.ledger.of(to));
        let Err(account) = self.ledger.fits(&more, &Charges::new()) else { return true };
        let (name, limit, wanted) = self.ledger.describe(account, &more);
        if let Some(why) = words::quota(&name, limit, wanted) {
            self.decline(&to.address, why);
        }
        false
    }

    /// The spec of a row after its [`Planner::first`] step.
    pub(crate) fn edited(&self, row: usize, first: Option<DraftId>) -> Spec {
        let record = first.map(|id| &self.drafts.0[id.0 as usize].action);
        match record {
            Some(Action::Record { to }) => to.spec.clone(),
            Some(Action::Detach { to }) => to.clone(),
            _ => self.world.rows[row].now.spec.clone(),
        }
    }

    /// Drops a record; its room is free for others.
    pub(crate) fn forget(&mut self, row: usize, reason: Reason) -> DraftId {
        self.forget_for(row, reason, &Charges::new())
    }

    /// Deletes an object, or lets go of an adopted one; its room is free for others.
    pub(crate) fn delete(&mut self, row: usize, reason: Reason) -> DraftId {
        self.delete_for(row, reason, &Charges::new())
    }

    /// Deletes an object whose successor takes a part of its room.
    pub(crate) fn delete_for(&mut self, row: usize, reason: Reason, successor: &Charges) -> DraftId {
        let action = if self.world.rows[row].now.adopted { Action::Release } else { Action::Delete };
        self.go(row, action, reason, successor)
    }

    /// Drops the record of something that is gone and whose successor takes a part of its room. The end of what is being
    /// deleted is waited for, which is what a deletion of it does.
    pub(crate) fn forget_for(&mut self, row: usize, reason: Reason, successor: &Charges) -> DraftId {
        match self.world.rows[row].leaving() && !self.world.rows[row].now.adopted {
            true => self.go(row, Action::Delete, Reason::Unfinished, successor),
            false => self.go(row, Action::Forget, reason, successor),
        }
    }

    fn go(&mut self, row: usize, action: Action, reason: Reason, successor: &Charges) -> DraftId {
        let now = &self.world.rows[row].now;
        let freed = self.ledger.of(now);
        let draft = Draft {
            address: now.address.clone(),
            generation: now.generation,
            provider: now.provider.clone(),
            action,
            reason,
            needs: Vec::new(),
        };
        self.machines.leave(now);
        let id = self.drafts.push(draft);
        self.ledger.free(id, &freed, successor);
        id
    }

    /// Deletes the generations of an object before its newest, which a replacement that was cut off left behind.
    pub(crate) fn leftovers(&mut self, newest: Option<usize>) -> Vec<DraftId> {
        let mut out = Vec::new();
        let Some(newest) = newest else { return out };
        let same = |row: &usize| self.world.rows[*row].now.address == self.world.rows[newest].now.address;
        let older: Vec<usize> = (0..newest).rev().take_while(same).collect();
        for row in older {
            let world = &self.world.rows[row];
            let address = &world.now.address.clone();
            if world.unseen() {
                self.decline(address, Why::ProviderUnseen);
                continue;
            }
            if world.now.protected {
                self.decline(address, Why::Protected { by: address.kind.as_str().into() });
                continue;
            }
            let gone = world.gone();
            let first = self.first(row, None);
            let step = match gone {
                true => self.forget(row, Reason::Vanished),
                false => self.delete(row, Reason::Unfinished),
            };
            self.drafts.needs(step, first);
            out.push(step);
        }
        out
    }

    /// `--refresh-only`: the records become what was seen, and nothing else happens.
    pub(crate) fn refresh(&mut self) {
        for row in 0..self.world.rows.len() {
            let world = &self.world.rows[row];
            if !self.reach.covers(&world.now.address) {
                continue;
            }
            if world.unseen() {
                let address = world.now.address.clone();
                self.decline(&address, Why::ProviderUnseen);
                continue;
            }
            if world.leaving() && !world.now.adopted {
                continue; // only what is gone is forgotten
            }
            if let (true, Some(member)) = (world.gone(), &world.now.member) {
                // Its cluster has to forget it first, which is more than a record.
                let address = world.now.address.clone();
                let member = Address::member(&member.cluster, &address.name);
                self.decline(&address, Why::NeedsDeclined { address: member });
                continue;
            }
            if world.gone() {
                let first = self.first(row, None);
                let step = self.forget(row, Reason::Vanished);
                self.drafts.needs(step, first);
                continue;
            }
            let edit = refreshed(&self.world, world).map(|(to, reason)| (Box::new(to), reason));
            self.first(row, edit);
        }
    }
}

/// The row as it was seen.
fn refreshed(all: &World<'_>, row: &Row<'_>) -> Option<(Recorded, Reason)> {
    let seen = row.sight.there()?;
    let mut to = row.now.clone().into_owned();
    // Copies never change, and clouds tell less of them than what is recorded.
    if to.spec.copy().is_none() {
        to.spec = seen.spec.clone();
    }
    if let (Spec::Volume(to), Spec::Volume(was)) = (&mut to.spec, &row.now.spec) {
        (to.on_remove, to.tier, to.from) = (was.on_remove, was.tier.clone(), was.from.clone());
        // The cloud may know its host by the name before a rename.
        if let (Some(seen), Some(was)) = (&mut to.attached, &was.attached)
            && all.same_host(&seen.host, &was.host)
        {
            seen.host.clone_from(&was.host);
        }
    }
    let mut fields = row.now.spec.changes(&to.spec);
    if to.id.is_none() {
        to.id = Some(seen.id.clone());
        fields.extend(field("id", &"none", &seen.id));
    }
    if let Some(endpoint) = seen_endpoint(row) {
        fields.extend(answers(row.now.endpoint.as_ref(), &endpoint));
        to.endpoint = Some(endpoint);
    }
    fields.sort();
    (!fields.is_empty()).then_some((to, Reason::Drifted { fields }))
}
