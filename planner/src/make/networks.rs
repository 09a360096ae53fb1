//! Networks: each at one provider, made before its hosts and deleted after them.

use pool_inventory::{
    Address, Kind, Name,
    desired::{NetworkDecl, Peer, Rule},
    market::{Capabilities, Change, Feature},
    object::{NetworkSpec, Recorded, Spec, Status},
};

use super::{
    Fate, Planner,
    draft::{Draft, DraftId},
    ladder::{Delta, compare},
    world::Row,
};
use crate::{
    error::PlanError,
    plan::{Action, NewRecord, Reason, Why},
};

/// What becomes of a network.
pub(crate) struct NetworkState {
    pub fate: Fate,
    pub provider: Name,
    /// Its newest generation in the world.
    pub row: Option<usize>,
    /// What it shall be; none: it left the inventory.
    pub wanted: Option<Spec>,
    pub tenant: Name,
    pub edit: Option<(Box<Recorded>, Reason)>,
    /// Whether it will be there.
    pub ready: bool,
    /// Steps after which it can be used.
    pub up: Vec<DraftId>,
    /// The deletion of the one that is replaced.
    pub down: Option<DraftId>,
}

impl Planner<'_> {
    /// Decides what is to be done about each network.
    pub(crate) fn judge_networks(&mut self) -> Result<(), PlanError> {
        let destroy = self.input.scope.destroy;
        for (name, decl) in self.input.desired.networks.iter().filter(|_| !destroy) {
            let address = Address::network(name);
            let [provider] = decl.on.as_slice() else {
                let what = "a network stands on exactly one provider; declare one network per provider";
                return Err(PlanError::Unsupported { address, what: what.into() });
            };
            let wanted = Spec::Network(NetworkSpec {
                cidr: decl.cidr,
                tags: Default::default(),
                existing: decl.existing.clone(),
                router: decl.router.clone(),
                dhcp: decl.dhcp,
                dns: decl.dns.clone(),
                ingress: decl.ingress.clone(),
                egress: decl.egress.clone(),
            });
            let row = self.world.of(&address).next_back();
            let mut state = NetworkState {
                fate: Fate::Keep,
                provider: row.map_or_else(|| provider.clone(), |row| self.world.rows[row].now.provider.clone()),
                row,
                wanted: Some(wanted),
                tenant: decl.tenant.clone(),
                edit: None,
                ready: true,
                up: Vec::new(),
                down: None,
            };
            self.judge_network(name, decl, provider, &mut state);
            self.networks.insert(name.clone(), state);
        }
        self.leaving_networks();
        Ok(())
    }

    fn leaving_networks(&mut self) {
        let rows: Vec<usize> =
            (0..self.world.rows.len()).filter(|row| self.world.rows[*row].now.address.kind == Kind::Network).collect();
        for row in rows {
            let now = self.world.rows[row].now.clone();
            let Ok(name) = Name::new(&now.address.name) else { continue };
            let newest = self.world.of(&now.address).next_back() == Some(row);
            if !newest || self.networks.contains_key(&name) {
                continue;
            }
            let world = &self.world.rows[row];
            let reason = self.leaving();
            let fate = match (world.unseen(), world.gone()) {
                (true, _) => Fate::Nothing,
                (_, true) => Fate::Forget(Reason::Vanished),
                _ => Fate::Remove(reason),
            };
            if matches!(fate, Fate::Nothing) {
                self.decline(&now.address, Why::ProviderUnseen);
            }
            let (provider, tenant) = (now.provider.clone(), now.tenant.clone());
            let state = NetworkState {
                fate,
                provider,
                row: Some(row),
                wanted: None,
                tenant,
                edit: None,
                ready: false,
                up: Vec::new(),
                down: None,
            };
            self.networks.insert(name, state);
        }
    }

    /// Why something goes that is not wished for any more.
    pub(crate) fn leaving(&self) -> Reason {
        if self.input.scope.destroy { Reason::Requested } else { Reason::Removed }
    }

    fn judge_network(&mut self, name: &Name, decl: &NetworkDecl, provider: &Name, state: &mut NetworkState) {
        let address = Address::network(name);
        if !self.input.seen.providers.contains_key(&state.provider) {
            (state.fate, state.ready) = (Fate::Nothing, state.row.is_some());
            self.decline(&address, Why::ProviderUnseen);
            return;
        }
        let why = match self.lacking_network(decl, provider) {
            features if features.is_empty() => self.not_there(decl, provider),
            features => Some(Why::Lacks { features, provider: provider.clone() }),
        };
        if let Some(why) = why {
            (state.fate, state.ready) = (Fate::Nothing, state.row.is_some_and(|row| !self.world.rows[row].gone()));
            self.decline(&address, why);
            return;
        }
        let Some(row) = state.row else {
            state.fate = Fate::Make(Reason::NotPresent);
            return;
        };
        let (fate, edit) = self.compare_network(&address, row, provider, state);
        (state.fate, state.edit) = (fate, edit);
        let replaced = matches!(state.fate, Fate::Replace(_));
        if replaced && let Some(why) = self.pinned.get(name) {
            state.fate = Fate::Nothing;
            self.decline(&address, why.clone());
        }
    }

    /// What a declaration asks for that its provider cannot do.
    fn lacking_network(&self, decl: &NetworkDecl, provider: &Name) -> Vec<Feature> {
        let there = self.input.capabilities.get(provider).map(|capabilities| &capabilities.features);
        let plain = decl.dhcp && decl.dns.is_empty() && decl.ingress.is_empty() && decl.egress.is_empty();
        let needs = [
            (Feature::Networks, decl.existing.is_none()),
            (Feature::ExistingNetworks, decl.existing.is_some()),
            (Feature::Rules, !plain),
            (Feature::Routers, decl.router.is_some()),
        ];
        let lacks = |feature: &Feature| !there.is_some_and(|there| there.contains(feature));
        needs.into_iter().filter(|(_, needed)| *needed).map(|(feature, _)| feature).filter(lacks).collect()
    }

    /// Why a network that is to be used as it is cannot be told, where the provider says which ones it has.
    fn not_there(&self, decl: &NetworkDecl, provider: &Name) -> Option<Why> {
        let wanted = decl.existing.as_ref()?;
        let all = &self.input.markets.get(provider)?.networks;
        let by_id = all.iter().any(|network| network.id == *wanted);
        let found = all.iter().filter(|network| network.name == *wanted).count();
        let told = all.is_empty() || by_id || found == 1;
        (!told).then(|| Why::NoNetwork { network: wanted.clone(), provider: provider.clone(), found })
    }

    fn compare_network(
        &mut self,
        address: &Address,
        row: usize,
        provider: &Name,
        state: &NetworkState,
    ) -> (Fate, Option<(Box<Recorded>, Reason)>) {
        let world = &self.world.rows[row];
        let (Some(wanted), Some(capabilities)) = (&state.wanted, self.input.capabilities.get(&state.provider)) else {
            return (Fate::Nothing, None);
        };
        if world.unfinished() {
            return (Fate::Make(Reason::Unfinished), None);
        }
        if world.gone() {
            return (Fate::Make(Reason::Vanished), None);
        }
        if self.input.scope.replace.contains(address) {
            return (Fate::Replace(Reason::Requested), None);
        }
        let seen = world.sight.there();
        if let Some(Status::Failed(detail)) = seen.map(|seen| &seen.status).filter(|_| !world.now.adopted) {
            let why = Why::Broken { detail: detail.clone() };
            self.decline(address, why);
            return (Fate::Nothing, None);
        }
        if *provider != world.now.provider {
            let fields = super::record::field("provider", &world.now.provider, provider);
            return (Fate::Replace(Reason::SpecChanged { fields }), None);
        }
        if world.now.adopted != wanted.network().is_some_and(|network| network.existing.is_some()) {
            // What is ours does not become what is not, even if both were called alike.
            let fields = world.now.spec.changes(wanted);
            return (Fate::Replace(Reason::SpecChanged { fields }), None);
        }
        differing_network(capabilities, world, wanted, &state.tenant)
    }

    /// Steps of networks that are made or changed; deletions come last, when it is known which hosts stay.
    pub(crate) fn make_networks(&mut self) {
        for (name, mut state) in std::mem::take(&mut self.networks) {
            self.emit_network(&Address::network(&name), &mut state);
            self.networks.insert(name, state);
        }
    }

    fn emit_network(&mut self, address: &Address, state: &mut NetworkState) {
        let acts = matches!(state.fate, Fate::Keep | Fate::Make(_) | Fate::Change { .. } | Fate::Replace(_));
        // One that stays as it is may have another name, or be one that the state lost.
        let stays = |row: &usize| matches!(state.fate, Fate::Nothing) && !self.world.rows[*row].unseen();
        let stays = state.row.filter(stays).is_some() && self.reach.covers(address);
        let record = state.row.filter(|_| acts || stays).and_then(|row| self.first(row, state.edit.take()));
        state.up.extend(record);
        let generation = state.row.map_or(1, |row| self.world.rows[row].now.generation);
        let leftovers = self.leftovers(state.row);
        match &state.fate {
            Fate::Change { to, reason, .. } => {
                let Some(row) = state.row else { return };
                let from = self.edited(row, record);
                let peers = self.peers(to);
                let draft = Draft {
                    address: address.clone(),
                    generation,
                    provider: state.provider.clone(),
                    action: Action::Update { from, to: (**to).clone() },
                    reason: reason.clone(),
                    needs: record.into_iter().chain(peers).collect(),
                };
                let update = self.drafts.push(draft);
                state.up.push(update);
            }
            Fate::Make(reason) | Fate::Replace(reason) => {
                let reason = reason.clone();
                let mut needs = leftovers;
                needs.extend(record);
                needs.extend(state.wanted.iter().flat_map(|wanted| self.peers(wanted)));
                let (forget, generation) = match (&state.fate, state.row) {
                    (_, None) => (None, 1),
                    (Fate::Make(Reason::Unfinished), Some(_)) => (None, generation),
                    (Fate::Make(_), Some(row)) => (Some(self.forget(row, Reason::Vanished)), generation + 1),
                    (_, Some(row)) => {
                        state.down = Some(self.delete(row, reason.clone()));
                        (state.down, generation + 1)
                    }
                };
                if let Some(gone) = forget {
                    self.drafts.needs(gone, record);
                    needs.push(gone);
                }
                self.create_network(address, generation, needs, reason, state);
            }
            Fate::Keep | Fate::Nothing | Fate::Improve | Fate::Remove(_) | Fate::Forget(_) => {}
        }
    }

    /// Steps after which the networks are there that a network's rules name, as far as they come first: two networks
    /// may name each other, and then the provider makes the one without the other.
    fn peers(&self, spec: &Spec) -> Vec<DraftId> {
        let network = |rule: &Rule| if let Peer::Network(name) = &rule.peer { self.networks.get(name) } else { None };
        let rules = spec.network().into_iter().flat_map(|spec| spec.ingress.values().chain(spec.egress.values()));
        rules.filter_map(network).flat_map(|state| state.up.iter().copied()).collect()
    }

    fn create_network(
        &mut self,
        address: &Address,
        generation: u32,
        needs: Vec<DraftId>,
        reason: Reason,
        state: &mut NetworkState,
    ) {
        let Some(spec) = state.wanted.clone() else { return };
        // A replaced network may go to another provider than the one that its old self is at.
        let declared = self.input.desired.networks.get(&*address.name).and_then(|decl| decl.on.first());
        let provider = declared.unwrap_or(&state.provider).clone();
        let record = NewRecord {
            tenant: state.tenant.clone(),
            pool: None,
            protected: false,
            needs: Vec::new(),
            price: pool_inventory::Money::ZERO,
        };
        let exists = spec.network().is_some_and(|network| network.existing.is_some());
        let record = Box::new(record);
        let action = if exists { Action::Adopt { spec, record } } else { Action::Create { spec, record, group: None } };
        let create = Draft { address: address.clone(), generation, provider, action, reason, needs };
        state.up = vec![self.drafts.push(create)];
    }

    /// A network that would be replaced although one of its hosts stays, and why that one stays.
    pub(crate) fn stuck_network(&self) -> Option<(Name, Why)> {
        let replaced = |state: &NetworkState| matches!(state.fate, Fate::Replace(_));
        let name = self.networks.iter().filter(|(_, state)| replaced(state)).map(|(name, _)| name);
        name.into_iter().find_map(|name| self.holder(name).map(|why| (name.clone(), why)))
    }

    /// A host that keeps a network from going, as the reason that its own declining gives.
    fn holder(&self, network: &Name) -> Option<Why> {
        let (pool, host) =
            self.users(network).into_iter().find(|(pool, host)| self.states[*pool][*host].down.is_none())?;
        let address = &self.pools[pool].hosts[host].address;
        let own = self.declined.iter().find(|declined| declined.address == *address);
        match own.map(|declined| &declined.why) {
            Some(why @ (Why::Brake { .. } | Why::Protected { .. } | Why::OutOfScope)) => Some(why.clone()),
            _ => Some(Why::NeedsDeclined { address: address.clone() }),
        }
    }

    /// Recorded hosts in a network.
    pub(crate) fn users(&self, network: &Name) -> Vec<super::HostId> {
        let stands_in = |&(pool, host): &super::HostId| {
            self.pools[pool].hosts[host].rows.clone().any(|row| match &self.world.rows[row].now.spec {
                Spec::Host(spec) => spec.network.as_ref() == Some(network),
                _ => false,
            })
        };
        self.host_ids().into_iter().filter(stands_in).collect()
    }

    /// Deletes networks that left, once all their hosts do.
    pub(crate) fn remove_networks(&mut self) {
        for name in self.networks.keys().cloned().collect::<Vec<_>>() {
            let state = &self.networks[&name];
            let going = matches!(state.fate, Fate::Remove(_) | Fate::Forget(_));
            if !going && state.down.is_none() {
                continue;
            }
            let address = Address::network(&name);
            let users = self.users(&name);
            let downs: Vec<DraftId> = users.iter().filter_map(|(pool, host)| self.states[*pool][*host].down).collect();
            if let Some(down) = state.down {
                self.drafts.needs(down, downs);
                continue;
            }
            let Some(row) = state.row else { continue };
            let record = self.first(row, None);
            if downs.len() < users.len() {
                let why = self.holder(&name).unwrap_or(Why::NeedsDeclined { address: address.clone() });
                self.decline(&address, why);
                continue;
            }
            let leftovers = self.leftovers(Some(row));
            let step = match &self.networks[&name].fate {
                Fate::Forget(reason) => self.forget(row, reason.clone()),
                Fate::Remove(reason) => self.delete(row, reason.clone()),
                _ => continue,
            };
            self.drafts.needs(step, downs.into_iter().chain(record).chain(leftovers));
        }
    }
}

/// What differs of a network that may stay where it is.
fn differing_network(
    capabilities: &Capabilities,
    world: &Row<'_>,
    wanted: &Spec,
    tenant: &Name,
) -> (Fate, Option<(Box<Recorded>, Reason)>) {
    let mut to = world.now.clone().into_owned();
    let mut fields = Vec::new();
    if to.tenant != *tenant {
        fields = super::record::field("tenant", &to.tenant, tenant);
        to.tenant = tenant.clone();
    }
    let mut reason = Reason::SpecChanged { fields };
    // What is used as it is may be whatever it is.
    let seen = world.sight.there().map(|seen| &seen.spec).filter(|_| !world.now.adopted);
    let fate = match compare(capabilities, &[], &world.now.spec, seen, wanted) {
        Delta::Same => Fate::Keep,
        Delta::Record { to: spec, reason: why } => {
            (to.spec, reason) = (spec, why);
            Fate::Keep
        }
        Delta::Change { to, how: Change::InPlace, reason, .. } => {
            Fate::Change { how: Change::InPlace, to: Box::new(to), reason }
        }
        Delta::Change { reason, .. } => Fate::Replace(reason),
    };
    let edit = (to != *world.now).then(|| (Box::new(to), reason));
    (fate, edit)
}
