//! Service classes: who is served first, and what a pool gets that asks for as many hosts as there is room for.

use std::{cmp::Reverse, collections::BTreeSet};

use pool_inventory::{Address, Name, Text, desired::Hosts};

use super::{Fate, HostId, Planner, groups::Pin, seats::Full, words};
use crate::{
    input::PlanInput,
    plan::{GroupId, Why},
};

/// Why a pool has fewer hosts than it wants: the first thing that stood against one more.
pub(crate) struct Short {
    limit: Text,
    group: Option<GroupId>,
    /// Whose quota it is; none: something of the places.
    tenant: Option<Name>,
}

/// Whether classes or ranges decide anything: without them every pool is like every other.
pub(crate) fn ranked(input: &PlanInput) -> bool {
    let desired = &input.desired;
    let counts = |spec: &pool_inventory::desired::PoolSpec| {
        matches!(spec.hosts, Hosts::Range { .. }) || desired.priority(spec) > 0
    };
    desired.pools.values().any(counts)
}

impl Planner<'_> {
    /// The priority of a pool; 0 where it is not declared any more.
    pub(crate) fn priority(&self, pool: usize) -> u32 {
        self.pools[pool].decl.map_or(0, |decl| self.input.desired.priority(decl))
    }

    /// Hosts that stay or come, in the order in which they get their places.
    ///
    /// Who stands keeps what it has before others may take; a replacement must not lose its room to a newcomer. With
    /// classes, what pools must have comes before what they would like to have, and a higher priority before a lower.
    pub(crate) fn queue(&self) -> Vec<HostId> {
        let turn = |(pool, host): HostId| match &self.states[pool][host].fate {
            Fate::Keep | Fate::Nothing => Some(0),
            Fate::Change { .. } => Some(1),
            Fate::Replace(_) => Some(2),
            Fate::Make(_) => Some(3),
            Fate::Improve | Fate::Remove(_) | Fate::Forget(_) => None,
        };
        let mut queue: Vec<(u8, HostId)> = self.host_ids().into_iter().filter_map(|id| Some((turn(id)?, id))).collect();
        if !self.ranked {
            queue.sort_by_key(|(turn, _)| (*turn).max(1));
        } else {
            queue.sort_by_cached_key(|&(turn, (pool, host))| {
                let extra = self.pools[pool].hosts[host].extra;
                (turn > 0).then(|| (extra, Reverse(self.priority(pool)), turn))
            });
        }
        queue.into_iter().map(|(_, id)| id).collect()
    }

    /// Notes that a host beyond its pool's minimum got no place.
    pub(crate) fn short(&mut self, id: HostId, pin: Option<Pin>, full: Full) {
        if self.shorts.contains_key(&id.0) {
            return;
        }
        let short = match full {
            Full::Tenant { account, want } => {
                let (name, limit, wanted) = self.ledger.describe(account, &want);
                let tenant = self.pools[id.0].decl.map(|decl| decl.tenant.clone());
                Short { limit: words::limit(&name, limit, wanted), group: None, tenant }
            }
            Full::Places(refusals) => {
                let group = self.failed_group(id, pin, refusals);
                Short { limit: "no place has room".into(), group: Some(group), tenant: None }
            }
        };
        self.shorts.insert(id.0, short);
    }

    /// Whether it is said of a pool as a whole that this host is not made.
    pub(crate) fn told_by_pool(&self, (pool, host): HostId) -> bool {
        let member = &self.pools[pool].hosts[host];
        member.extra && member.rows.is_empty() && self.shorts.contains_key(&pool)
    }

    /// Says which pools get less than they want, and which come before them.
    pub(crate) fn tell_short(&mut self) {
        for pool in 0..self.pools.len() {
            let Some((name, least, wanted)) = self.range(pool) else { continue };
            let gone = self.pools[pool].hosts.iter().find_map(|host| self.yields.giving.get(&host.address));
            let short = self.shorts.remove(&pool);
            let (limit, group, mut to) = match (short, gone) {
                (Some(short), _) => (short.limit, short.group, self.ahead(pool, short.tenant.as_ref())),
                (None, Some(gone)) => {
                    let tenant = self.pools[pool].decl.filter(|_| gone.to.is_none()).map(|decl| &decl.tenant);
                    let ahead = tenant.map(|tenant| self.ahead(pool, Some(tenant)));
                    (gone.limit.clone(), None, ahead.unwrap_or_default())
                }
                (None, None) => continue,
            };
            let gone = self.pools[pool].hosts.iter().filter_map(|host| self.yields.giving.get(&host.address));
            to.extend(gone.filter_map(|gone| gone.to.clone()));
            let gets = self.states[pool].iter().filter(|state| state.present).count();
            let gets = u32::try_from(gets).unwrap_or(u32::MAX);
            if gets >= wanted {
                continue; // one that is beyond even what it wants stays for now, as when it is out of scope
            }
            let class = self.pools[pool].decl.and_then(|decl| decl.class.clone());
            let why = Why::Fewer { wanted, gets, least, class, limit, to: to.into_iter().collect(), group };
            self.decline(&Address::pool(&name), why);
        }
    }

    /// Name, fewest and most hosts of a pool that takes as many as there is room for.
    fn range(&self, pool: usize) -> Option<(Name, u32, u32)> {
        match (&self.pools[pool].name, self.pools[pool].decl?.hosts.numbered()?) {
            (Some(name), (least, most)) if least < most => Some((name.clone(), least, most)),
            _ => None,
        }
    }

    /// Pools of a higher priority that have hosts where this one wants them: of its tenant, or at its providers.
    fn ahead(&self, pool: usize, tenant: Option<&Name>) -> BTreeSet<Name> {
        let own = self.priority(pool);
        let places = self.places.get(&pool);
        let there = |at: usize| {
            let decl = self.pools[at].decl;
            let mut standing = self.states[at].iter().filter(|state| state.present);
            match tenant {
                Some(tenant) => standing.next().is_some() && decl.is_some_and(|decl| decl.tenant == *tenant),
                None => standing.any(|state| places.is_some_and(|places| places.has(state.provider.as_ref()))),
            }
        };
        let higher = (0..self.pools.len()).filter(|at| self.priority(*at) > own && there(*at));
        higher.filter_map(|at| self.pools[at].name.clone()).collect()
    }
}
