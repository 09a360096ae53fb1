//! Steps of hosts: those that stand are changed, then some are replaced, then new ones are made.

use pool_inventory::{Address, Money, market::Change, object::Spec};

use super::{
    Fate, HostId, Planner,
    draft::{Draft, DraftId},
    ledger::{Charges, difference},
    relief::Want,
    seating::Made,
    standing::place_of,
    words,
};
use crate::{
    error::PlanError,
    plan::{Action, NewRecord, Reason, Refusal, Why},
};

impl<'a> Planner<'a> {
    /// Makes the steps of all hosts that stay or come.
    pub(crate) fn emit_hosts(&mut self) -> Result<(), PlanError> {
        let mut looked_at = None;
        for (pool, host) in self.queue() {
            let batch = (self.pools[pool].hosts[host].extra, self.priority(pool));
            if matches!(self.states[pool][host].fate, Fate::Make(_)) && looked_at != Some(batch) {
                self.rehearse(batch)?;
                looked_at = Some(batch);
            }
            self.emit((pool, host))?;
            if self.pools[pool].hosts[host].wished {
                self.host_volumes((pool, host))?;
            }
        }
        Ok(())
    }

    fn emit(&mut self, id: HostId) -> Result<(), PlanError> {
        let member = &self.pools[id.0].hosts[id.1];
        if matches!(self.states[id.0][id.1].fate, Fate::Replace(_)) && member.named.is_none() {
            self.open_places(id.0)?; // while it is known that this one leaves the place where it is
        }
        let fate = std::mem::replace(&mut self.states[id.0][id.1].fate, Fate::Keep);
        match fate {
            Fate::Keep => self.stay(id, None),
            Fate::Change { how, to, reason } => self.change(id, how, *to, reason),
            Fate::Make(reason) => return self.make(id, reason),
            Fate::Replace(reason) => return self.replace(id, reason),
            Fate::Nothing => {
                self.states[id.0][id.1].fate = Fate::Nothing;
                self.enter(id);
            }
            fate @ (Fate::Improve | Fate::Remove(_) | Fate::Forget(_)) => self.states[id.0][id.1].fate = fate,
        }
        Ok(())
    }

    /// Whatever holds a host back: a rename, or an object that the state lost, is recorded all the same.
    fn enter(&mut self, (pool, host): HostId) {
        let Some(row) = self.newest(pool, host) else { return };
        let world = &self.world.rows[row];
        if !self.states[pool][host].present || world.unseen() || !self.reach.covers(&world.now.address) {
            return;
        }
        let first = self.first(row, None);
        self.states[pool][host].up.extend(first);
    }

    /// Brings record and power up to date; the answer is the last step of that.
    pub(crate) fn stay(&mut self, (pool, host): HostId, reason: Option<&Reason>) {
        let Some(row) = self.newest(pool, host) else { return };
        let edit = self.states[pool][host].edit.take();
        let first = self.first(row, edit);
        let address = self.pools[pool].hosts[host].address.clone();
        let leftovers = self.leftovers(Some(row));
        let state = &mut self.states[pool][host];
        state.up.extend(first);
        if !state.power_on {
            return;
        }
        let now = &self.world.rows[row].now;
        let detail = "it is off".into();
        let draft = Draft {
            address,
            generation: now.generation,
            provider: now.provider.clone(),
            action: Action::PowerOn,
            reason: reason.cloned().unwrap_or(Reason::Unhealthy { detail }),
            needs: first.into_iter().chain(leftovers).collect(),
        };
        let step = self.drafts.push(draft);
        state.up.push(step);
    }

    fn change(&mut self, id: HostId, how: Change, to: Spec, reason: Reason) {
        let (pool, host) = id;
        let Some(row) = self.newest(pool, host) else { return };
        let room = match self.room_for_change(id, row, &to) {
            Ok(room) => room,
            Err(why) => {
                let address = self.pools[pool].hosts[host].address.clone();
                self.decline(&address, why);
                let price = self.world.rows[row].now.price;
                if let Some((edit, _)) = &mut self.states[pool][host].edit {
                    edit.price = price; // the machine that it would have paid for is not taken
                }
                let idle =
                    |(edit, _): &(Box<pool_inventory::object::Recorded>, Reason)| **edit == *self.world.rows[row].now;
                if self.states[pool][host].edit.as_ref().is_some_and(idle) {
                    self.states[pool][host].edit = None;
                }
                return self.stay(id, None);
            }
        };
        self.stay(id, None);
        let now = &self.world.rows[row].now;
        let first = self.states[pool][host].up.first().copied();
        let from = self.edited(row, first);
        let network = self.pools[pool].decl.and_then(|decl| decl.network.as_ref());
        let network = network.and_then(|network| self.networks.get(network));
        let mut needs = self.states[pool][host].up.clone();
        needs.extend(network.iter().flat_map(|network| network.up.iter().copied()));
        needs.extend(room.0);
        let draft = Draft {
            address: now.address.clone(),
            generation: now.generation,
            provider: now.provider.clone(),
            action: match how {
                Change::Rebuild => Action::Rebuild { from, to },
                Change::InPlace | Change::Replace => Action::Update { from, to },
            },
            reason,
            needs,
        };
        let step = self.drafts.push(draft);
        self.ledger.free(step, &room.1, &Charges::new());
        let state = &mut self.states[pool][host];
        state.renewed = how == Change::Rebuild;
        state.up.push(step);
    }

    /// Takes what a changed host uses more; the answer is what to wait for, and what it will give back.
    pub(crate) fn room_for_change(
        &mut self,
        id: HostId,
        row: usize,
        to: &Spec,
    ) -> Result<(Vec<DraftId>, Charges), Why> {
        let now = &self.world.rows[row].now;
        let edit = self.states[id.0][id.1].edit.as_ref().map(|(edit, _)| &**edit);
        let (tenant, price) = edit.map_or((&now.tenant, now.price), |edit| (&edit.tenant, edit.price));
        let of = |spec: &Spec, price: Money| self.ledger.price_of(spec, tenant, &now.provider, price, now.adopted);
        // What a dearer machine costs is taken by the step that records its price; all of it must fit.
        let (total, _) = difference(&of(&now.spec, now.price), &of(to, price));
        let (more, less) = difference(&of(&now.spec, price), &of(to, price));
        if self.ledger.fits(&total, &Charges::new()).is_err() {
            self.relieve(id, &[Want { charges: total.clone(), own: Charges::new(), stock: None }]);
        }
        let now = &self.world.rows[row].now;
        if let Err(account) = self.ledger.fits(&total, &Charges::new()) {
            let (name, limit, wanted) = self.ledger.describe(account, &total);
            let place = place_of(now);
            let why = words::quota(&name, limit, wanted);
            return Err(why.unwrap_or_else(|| {
                let refusal = Refusal { candidate: place, why: words::over(&name, limit, wanted) };
                Why::NoPlace { group: self.failed_group(id, None, vec![refusal]) }
            }));
        }
        Ok((self.ledger.take(&more, &Charges::new()), less))
    }

    /// Makes a host, or goes on making it.
    fn make(&mut self, id: HostId, reason: Reason) -> Result<(), PlanError> {
        let (pool, host) = id;
        let row = self.newest(pool, host);
        let own = row.map_or_else(Charges::new, |row| self.ledger.of(&self.world.rows[row].now));
        let Some(made) = self.place(id, own)? else {
            self.states[pool][host].fate = Fate::Nothing;
            return Ok(());
        };
        let mut needs = self.leftovers(row);
        let mut generation = 1;
        if let Some(row) = row {
            let first = self.first(row, None);
            needs.extend(first);
            generation = self.world.rows[row].now.generation;
            if !matches!(reason, Reason::Unfinished) {
                let forget = self.forget_for(row, Reason::Vanished, &made.charges);
                self.drafts.needs(forget, first);
                self.states[pool][host].down = Some(forget);
                needs.push(forget);
                generation += 1;
            }
        }
        self.create(id, generation, reason, needs, made);
        Ok(())
    }

    fn replace(&mut self, id: HostId, reason: Reason) -> Result<(), PlanError> {
        let (pool, host) = id;
        let Some(row) = self.newest(pool, host) else { return Ok(()) };
        let own = self.ledger.of(&self.world.rows[row].now);
        let Some(made) = self.place(id, own)? else {
            // It stays as it is: a machine that runs is better than none.
            self.states[pool][host].fate = Fate::Nothing;
            self.note_stuck(id);
            return Ok(());
        };
        self.swap(id, reason, made);
        Ok(())
    }

    /// Puts another host, that has a place, in the place of one that stands.
    pub(crate) fn swap(&mut self, (pool, host): HostId, reason: Reason, made: Made) {
        let Some(row) = self.newest(pool, host) else { return };
        let first = self.first(row, None);
        let mut needs = self.leftovers(Some(row));
        let delete = self.delete_for(row, reason.clone(), &made.charges);
        let lost = self.detached.get(&self.pools[pool].hosts[host].address).cloned().unwrap_or_default();
        self.drafts.needs(delete, first.into_iter().chain(lost));
        needs.push(delete);
        let state = &mut self.states[pool][host];
        (state.down, state.power_on) = (Some(delete), false);
        let generation = self.world.rows[row].now.generation + 1;
        self.create((pool, host), generation, reason, needs, made);
    }

    fn create(&mut self, (pool, host): HostId, generation: u32, reason: Reason, mut needs: Vec<DraftId>, made: Made) {
        let (Some(decl), Some(name)) = (self.pools[pool].decl, self.pools[pool].name.clone()) else { return };
        let network = decl.network.as_ref();
        if let Some(network) = network.and_then(|network| self.networks.get(network)) {
            needs.extend(&network.up);
        }
        needs.extend(&made.needs);
        let record = Box::new(NewRecord {
            tenant: decl.tenant.clone(),
            pool: Some(name),
            protected: decl.protected,
            needs: network.iter().map(|network| Address::network(network)).collect(),
            price: made.price,
        });
        let zone = made.spec.host().map_or_else(|| "".into(), |host| host.zone.clone());
        let endpoint = self.endpoint_of(&made);
        self.count_in((pool, host), &made.provider, &made.spec);
        let action = match made.group {
            Some(group) => Action::Create { spec: made.spec, record, group: Some(group) },
            None => Action::Adopt { spec: made.spec, record },
        };
        let address = self.pools[pool].hosts[host].address.clone();
        let provider = made.provider.clone();
        let step = self.drafts.push(Draft { address, generation, provider, action, reason, needs });
        let state = &mut self.states[pool][host];
        (state.present, state.remade, state.renewed) = (true, true, true);
        (state.provider, state.zone, state.generation) = (Some(made.provider), zone, generation);
        state.endpoint = endpoint;
        (state.space, state.room, state.moves) = (made.space, made.needs, made.moves);
        state.up = vec![step];
    }
}
