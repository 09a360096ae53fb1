//! Volumes that are made: new ones, and those that take the place of a lost one.

use pool_inventory::{
    Name, Text,
    object::{Spec, VolumeSpec},
};

use super::{
    Planner,
    copies::Copied,
    draft::{Draft, DraftId},
    ledger::Charges,
    seats::{Fresh, Space},
    volumes::Wish,
    words,
};
use crate::plan::{Action, NewRecord, Reason, Refusal, Why};

impl<'a> Planner<'a> {
    /// Makes a volume: in the space that its host's placing set aside, or in some that is found now.
    pub(crate) fn make_volume(&mut self, wish: &Wish<'a>, row: Option<usize>, reason: Reason) {
        let (pool, host) = wish.id;
        let state = &self.states[pool][host];
        let (Some(provider), zone, remade) = (state.provider.clone(), state.zone.clone(), state.remade) else { return };
        if !remade && !self.reach.covers(&wish.address) {
            return self.decline(&wish.address, Why::OutOfScope);
        }
        if !self.told_of(&provider) {
            return self.decline(&wish.address, Why::ProviderUnseen);
        }
        match self.source_is_there(wish) {
            Ok(true) => {}
            Ok(false) => return self.copied.push(Copied { wish: wish.clone(), row, reason }),
            Err(why) => return self.decline(&wish.address, why),
        }
        let set_aside = state.space.iter().find(|space| space.volume == *wish.name).cloned();
        let own = row.map_or_else(Charges::new, |row| self.ledger.of(&self.world.rows[row].now));
        let mut needs = self.leftovers(row);
        let (space, charges) = match set_aside {
            Some(space) => {
                // The room of host and volumes was found together, so both wait for all that gives it.
                let state = &self.states[pool][host];
                needs.extend(state_needs(state));
                needs.extend(state.up.iter().filter(|_| state.moves));
                (space, own.clone())
            }
            None => {
                let fresh = Fresh { name: wish.name, volume: wish.decl, own: own.clone() };
                match self.find_space(wish, &provider, &zone, &fresh) {
                    Ok((space, charges, room)) => {
                        needs.extend(room);
                        (space, charges)
                    }
                    Err(why) => return self.decline(&wish.address, why),
                }
            }
        };
        let mut generation = 1;
        if let Some(row) = row {
            let first = self.first(row, None);
            needs.extend(first);
            generation = self.world.rows[row].now.generation;
            if !matches!(reason, Reason::Unfinished) {
                generation += 1;
            }
            if matches!(reason, Reason::Vanished) {
                let forget = self.forget_for(row, Reason::Vanished, &charges);
                self.drafts.needs(forget, first);
                needs.push(forget);
                if remade && !own.is_empty() {
                    let host_up = self.states[pool][host].up.clone();
                    host_up.into_iter().for_each(|up| self.drafts.needs(up, [forget]));
                }
            }
        }
        self.create_volume(wish, generation, provider, zone, space, reason, needs);
    }

    /// Whether a provider answered, or has nothing to tell.
    fn told_of(&self, provider: &Name) -> bool {
        self.input.seen.providers.contains_key(provider)
            || self.input.capabilities.get(provider).is_some_and(|capabilities| !capabilities.creates)
    }

    #[expect(clippy::too_many_arguments, reason = "all parts of one step, used in one place")]
    fn create_volume(
        &mut self,
        wish: &Wish<'a>,
        generation: u32,
        provider: Name,
        zone: Text,
        space: Space,
        reason: Reason,
        needs: Vec<DraftId>,
    ) {
        let Some(tier) = self.input.desired.tiers.get(&wish.decl.tier) else { return };
        let spec = Spec::Volume(VolumeSpec {
            tier: wish.decl.tier.clone(),
            backend: space.backend,
            zone,
            size: wish.decl.size,
            provisioning: tier.provisioning,
            tags: wish.pool.labels.clone(),
            attached: None,
            on_remove: wish.decl.on_remove,
            from: wish.decl.from.clone(),
            existing: None,
        });
        let record = NewRecord {
            tenant: wish.pool.tenant.clone(),
            pool: self.pools[wish.id.0].name.clone(),
            protected: wish.pool.protected || wish.decl.protected,
            needs: Vec::new(),
            price: space.price,
        };
        let action = Action::Create { spec: spec.clone(), record: Box::new(record), group: None };
        let address = wish.address.clone();
        let step = Draft { address, generation, provider, action, reason: reason.clone(), needs };
        let step = self.drafts.push(step);
        if let Some(from) = &wish.decl.from {
            self.after_source(from, step);
        }
        self.attach(wish, generation, spec, reason, vec![step]);
    }

    /// Space for a volume of a host that stands already.
    fn find_space(
        &mut self,
        wish: &Wish<'a>,
        provider: &Name,
        zone: &Text,
        fresh: &Fresh<'a>,
    ) -> Result<(Space, Charges, Vec<DraftId>), Why> {
        let tenant = &wish.pool.tenant;
        let found = self.backend_for(provider, zone, tenant, fresh, &Charges::new(), &fresh.own);
        let (space, charges) = match found {
            Ok(found) => found,
            Err(why) => {
                let refusals = vec![Refusal { candidate: format!("{provider}/{zone}").into(), why }];
                return Err(Why::NoBackend { refusals });
            }
        };
        if let Err(account) = self.ledger.fits(&charges, &fresh.own) {
            let (name, limit, wanted) = self.ledger.describe(account, &charges);
            let refusal = || Refusal { candidate: space.backend.clone(), why: words::over(&name, limit, wanted) };
            return Err(
                words::quota(&name, limit, wanted).unwrap_or_else(|| Why::NoBackend { refusals: vec![refusal()] })
            );
        }
        let room = self.ledger.take(&charges, &fresh.own);
        Ok((space, charges, room))
    }

    /// Deletes a volume and makes it anew, empty.
    pub(crate) fn replace_volume(&mut self, wish: &Wish<'a>, row: usize, reason: Reason) {
        let state = &self.states[wish.id.0][wish.id.1];
        if !self.reach.covers(&wish.address) {
            return self.decline(&wish.address, Why::OutOfScope);
        }
        let (Some(provider), zone) = (state.provider.clone(), state.zone.clone()) else {
            let address = self.pools[wish.id.0].hosts[wish.id.1].address.clone();
            return self.decline(&wish.address, Why::NeedsDeclined { address });
        };
        let own = self.ledger.of(&self.world.rows[row].now);
        let fresh = Fresh { name: wish.name, volume: wish.decl, own };
        let (space, charges, room) = match self.find_space(wish, &provider, &zone, &fresh) {
            Ok(found) => found,
            Err(why) => return self.decline(&wish.address, why),
        };
        let world = &self.world.rows[row];
        let attached = super::removal::attached(&world.now, world.sight.there().map(|seen| &seen.spec));
        let mut needs = self.leftovers(Some(row));
        let mut last = self.first(row, None);
        if attached {
            let detach = self.detach(row, reason.clone(), last);
            if let Some(down) = self.states[wish.id.0][wish.id.1].down {
                self.drafts.needs(down, [detach]);
            }
            last = Some(detach);
        }
        let delete = self.delete_for(row, reason.clone(), &charges);
        self.drafts.needs(delete, last);
        needs.push(delete);
        needs.extend(room);
        let generation = self.world.rows[row].now.generation + 1;
        self.create_volume(wish, generation, provider, zone, space, reason, needs);
    }
}

/// What host and volumes of one placing wait for together.
fn state_needs(state: &super::HostState) -> Vec<DraftId> {
    state.room.iter().copied().chain(state.down).collect()
}
