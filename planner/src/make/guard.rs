//! What holds back: scope, protection, brakes.

use pool_inventory::{Address, market::Change};

use super::{Fate, Planner};
use crate::{
    input::Brake,
    plan::{Reason, Why},
};

impl Planner<'_> {
    /// Takes back what is out of scope, protected, or beyond a brake.
    pub(crate) fn guard(&mut self) {
        self.guard_networks();
        for pool in 0..self.pools.len() {
            for host in 0..self.pools[pool].hosts.len() {
                self.guard_host((pool, host));
            }
            self.brake(pool, Brake::MaxReplaced);
            self.brake(pool, Brake::MaxDestroyed);
        }
    }

    fn guard_networks(&mut self) {
        let environment = self.input.desired.protected && self.input.scope.destroy;
        for (name, mut state) in std::mem::take(&mut self.networks) {
            let address = Address::network(&name);
            let acts = !matches!(state.fate, Fate::Keep | Fate::Nothing) || state.edit.is_some();
            let goes = matches!(state.fate, Fate::Remove(_));
            let protected = state.row.is_some_and(|row| self.world.rows[row].now.protected);
            let why = if acts && !self.reach.covers(&address) {
                Some(Why::OutOfScope)
            } else if goes && (environment || protected) {
                Some(Why::Protected { by: if environment { "environment" } else { "network" }.into() })
            } else {
                None
            };
            if let Some(why) = why {
                state.ready = !matches!(state.fate, Fate::Make(_));
                (state.fate, state.edit) = (Fate::Nothing, None);
                self.decline(&address, why);
            }
            self.networks.insert(name, state);
        }
    }

    fn guard_host(&mut self, (pool, host): super::HostId) {
        let address = self.pools[pool].hosts[host].address.clone();
        let state = &self.states[pool][host];
        let goes = matches!(state.fate, Fate::Remove(_) | Fate::Replace(_));
        let acts = goes || !matches!(state.fate, Fate::Keep | Fate::Nothing) || state.edit.is_some() || state.power_on;
        let out = acts && !self.reach.covers(&address) || goes && !self.reach.may_go(&address);
        let adopted = self.newest(pool, host).is_some_and(|row| self.world.rows[row].now.adopted);
        let by = if goes && !adopted { self.protector(pool, host) } else { None };
        if out {
            self.hold((pool, host), Why::OutOfScope);
        } else if let Some(by) = by {
            self.hold((pool, host), Why::Protected { by: by.into() });
        } else if self.networkless(pool, host) {
            let network = self.pools[pool].decl.and_then(|decl| decl.network.clone());
            let address = network.map_or(address, |network| Address::network(&network));
            self.hold((pool, host), Why::NeedsDeclined { address });
        }
    }

    /// Whether the host would be made in a network that will not be there.
    fn networkless(&self, pool: usize, host: usize) -> bool {
        let makes = matches!(self.states[pool][host].fate, Fate::Make(_) | Fate::Replace(_));
        let named = self.pools[pool].hosts[host].named.is_some();
        let network = self.pools[pool].decl.and_then(|decl| decl.network.as_ref());
        makes && !named && network.is_some_and(|n| self.networks.get(n).is_some_and(|state| !state.ready))
    }

    pub(crate) fn newest(&self, pool: usize, host: usize) -> Option<usize> {
        self.pools[pool].hosts[host].rows.clone().next_back()
    }

    /// What keeps a host from being deleted.
    fn protector(&self, pool: usize, host: usize) -> Option<&'static str> {
        if self.input.desired.protected && self.input.scope.destroy {
            return Some("environment");
        }
        let row = self.newest(pool, host)?;
        // The declaration decides where there is one: taking `protected` out of it is how protection ends.
        let recorded = self.world.rows[row].now.protected;
        self.pools[pool].decl.map_or(recorded, |decl| decl.protected).then_some("pool")
    }

    /// Leaves a host as it is.
    pub(crate) fn hold(&mut self, (pool, host): super::HostId, why: Why) {
        let address = self.pools[pool].hosts[host].address.clone();
        let stands = self.newest(pool, host).filter(|row| {
            let row = &self.world.rows[*row];
            !row.gone() && !row.unfinished()
        });
        let state = match stands {
            Some(row) => self.untouched(row),
            None => super::HostState::new(Fate::Nothing),
        };
        self.states[pool][host] = state;
        self.decline(&address, why);
    }

    /// Holds back what a brake of the policy does not let through in one run.
    fn brake(&mut self, pool: usize, brake: Brake) {
        let scope = &self.input.scope;
        let whole = scope.destroy && scope.targets.is_empty() && scope.excludes.is_empty();
        if whole || scope.overrides.contains_key(&brake) {
            return;
        }
        let mut counted: Vec<(u8, std::cmp::Reverse<i64>, usize)> = Vec::new();
        for (host, state) in self.states[pool].iter().enumerate() {
            let Some(row) = self.newest(pool, host) else { continue };
            if self.world.rows[row].now.adopted {
                continue;
            }
            let urgency = match (&state.fate, brake) {
                (Fate::Replace(reason) | Fate::Change { how: Change::Rebuild, reason, .. }, Brake::MaxReplaced) => {
                    urgency(reason)
                }
                (Fate::Remove(_), Brake::MaxDestroyed) => {
                    u8::from(!super::roster::sick(self.input, &self.world.rows[row]))
                }
                _ => continue,
            };
            let price = if brake == Brake::MaxDestroyed { self.world.rows[row].now.price.0 } else { 0 };
            counted.push((urgency, std::cmp::Reverse(price), host));
        }
        let policy = &self.input.desired.policy;
        let share = match brake {
            Brake::MaxReplaced => policy.max_replaced,
            Brake::MaxDestroyed => policy.max_destroyed,
        };
        let of = self.pools[pool].recorded();
        let allowed = share.at_least_one_of(of);
        if brake == Brake::MaxDestroyed {
            // As when a pool shrinks: the unhealthy, then the most expensive, then the newest.
            counted.sort_by_key(|&(urgency, price, host)| (urgency, price, std::cmp::Reverse(host)));
        } else {
            counted.sort_unstable();
        }
        for (_, _, host) in counted.into_iter().skip(allowed) {
            self.hold((pool, host), Why::Brake { brake, share, allowed, of });
        }
    }
}

/// Which replacements come first where not all may happen.
fn urgency(reason: &Reason) -> u8 {
    match reason {
        Reason::Unhealthy { .. } => 0,
        Reason::Requested => 1,
        _ => 2,
    }
}
