//! Bootstraps, once it is known which hosts stand and where they answer.

use std::collections::BTreeMap;

use pool_inventory::{
    Address, Name, Text,
    desired::PoolSpec,
    digest::PoolDigest,
    market::{Feature, HostSeen},
    object::{HostMount, KnownHost},
};

use super::{
    HostId, HostState, Planner,
    asks::{features, lacking},
    draft::{Draft, DraftId},
    record::field,
    roster::Member,
};
use crate::{
    error::PlanError,
    plan::{Action, Reason, Why},
};

/// More edges than this between new hosts and the bootstraps that mention them are bundled in one `Gather` step.
/// Below it, plain edges are shorter to read.
const BUNDLE_ABOVE: usize = 256;

/// What all hosts of a pool share.
struct Shared {
    /// None: the address of a mentioned host is not known yet.
    digest: Option<PoolDigest>,
    /// Steps after which all mentioned hosts are known.
    needs: Vec<DraftId>,
    /// A mentioned host that changes in this plan.
    moved: Option<Address>,
    lacking: BTreeMap<Name, Vec<Feature>>,
}

impl<'a> Planner<'a> {
    /// Plans the bootstraps that are due.
    pub(crate) fn bootstraps(&mut self) -> Result<(), PlanError> {
        for pool in 0..self.pools.len() {
            let Some(decl) = self.pools[pool].decl else { continue };
            let asks = |host: &usize| !decl.bootstrap.is_empty() || self.mounts_itself((pool, *host));
            let hosts: Vec<usize> = (0..self.pools[pool].hosts.len()).filter(asks).collect();
            if hosts.is_empty() {
                continue;
            }
            let shared = self.shared(decl);
            let mut due: Vec<(usize, Option<Text>, Reason)> = Vec::new();
            for host in hosts {
                if let Some((digest, reason)) = self.due((pool, host), &shared) {
                    due.push((host, digest, reason));
                }
            }
            if due.is_empty() {
                continue;
            }
            let needs = self.bundle(pool, shared.needs, due.len());
            for (host, digest, reason) in due {
                self.bootstrap((pool, host), digest, reason, &needs);
            }
        }
        Ok(())
    }

    /// Whether the provider only attaches volumes, so that mounting them is part of a host's bootstrap.
    pub(crate) fn only_attaches(&self, provider: &Name) -> bool {
        self.input.capabilities.get(provider).is_some_and(|can| !can.features.contains(&Feature::Mounts))
    }

    /// The volumes that a host mounts itself, as they are recorded before this plan.
    fn own_mounts(&self, (pool, host): HostId) -> Vec<HostMount> {
        let name = &self.pools[pool].hosts[host].address.name;
        let ranges = self.volumes.get(name).map(Vec::as_slice).unwrap_or_default();
        let rows = ranges.iter().filter_map(|range| range.end.checked_sub(1).map(|at| &self.world.rows[at].now));
        rows.filter(|row| self.only_attaches(&row.provider)).filter_map(|row| HostMount::of(row)).collect()
    }

    /// Whether something is to be mounted, or was, by the host itself.
    fn mounts_itself(&self, (pool, host): HostId) -> bool {
        let state = &self.states[pool][host];
        let declared =
            || self.pools[pool].decl.is_some_and(|decl| decl.volumes.values().any(|volume| volume.mount.is_some()));
        state.provider.as_ref().is_some_and(|provider| self.only_attaches(provider))
            && (!state.mounts.is_empty() && declared() || !self.own_mounts((pool, host)).is_empty())
    }

    /// The steps by which a host that stays loses volumes that it mounted itself.
    fn unmounts(&self, id: HostId, mounts: &[HostMount]) -> Vec<DraftId> {
        let lost = self.detached.get(&self.pools[id.0].hosts[id.1].address).map(Vec::as_slice).unwrap_or_default();
        let mounted = |step: &&DraftId| {
            let volume = &self.drafts.0[step.0 as usize].address;
            mounts.iter().any(|mount| mount.volume == *volume)
        };
        lost.iter().filter(mounted).copied().collect()
    }

    fn shared(&self, decl: &PoolSpec) -> Shared {
        let mut hosts: BTreeMap<Name, Vec<KnownHost>> = BTreeMap::new();
        let (mut needs, mut moved) = (Vec::new(), None);
        for name in decl.bootstrap.pools() {
            let Some(pool) = self.pools.iter().position(|pool| pool.name.as_ref() == Some(&name)) else { continue };
            for (member, state) in self.pools[pool].hosts.iter().zip(&self.states[pool]) {
                let changed = state.down.is_some() || state.remade;
                if changed && moved.is_none() {
                    moved = Some(member.address.clone());
                }
                // Where and who it is must be recorded before a template can tell.
                let tells = |step: &&DraftId| {
                    let action = &self.drafts.0[step.0 as usize].action;
                    matches!(action, Action::Create { .. } | Action::Adopt { .. } | Action::Record { .. })
                };
                needs.extend(state.up.iter().filter(tells));
            }
            hosts.insert(name, self.known(pool));
        }
        let wanted = features(&decl.bootstrap);
        let lacks = |(name, capabilities): (&Name, &pool_inventory::market::Capabilities)| {
            let lacking = lacking(&wanted, &capabilities.features);
            (!lacking.is_empty()).then(|| (name.clone(), lacking))
        };
        let digest =
            PoolDigest::new(&decl.bootstrap, &self.input.desired.variables, &decl.labels, &decl.tenant, &hosts);
        Shared { digest, needs, moved, lacking: self.input.capabilities.iter().filter_map(lacks).collect() }
    }

    /// The hosts of a pool that will stand, as templates see them.
    pub(crate) fn known(&self, pool: usize) -> Vec<KnownHost> {
        let labels = self.pools[pool].decl.map(|decl| decl.labels.clone()).unwrap_or_default();
        let members = self.pools[pool].hosts.iter().zip(&self.states[pool]);
        let stand = |(member, state): &(&Member<'_>, &HostState)| {
            let row = member.rows.clone().next_back().map(|row| &self.world.rows[row]);
            // A host that is not recorded under this name, nor will be, is not there for a template.
            let recorded = || row.is_some_and(|row| row.was.is_some_and(|was| was.address == row.now.address));
            state.present && (state.remade || !state.up.is_empty() || recorded())
        };
        members
            .filter(stand)
            .map(|(member, state)| KnownHost {
                name: member.address.name.clone(),
                endpoint: state.endpoint.clone(),
                labels: labels.clone(),
            })
            .collect()
    }

    /// Whether a host must be bootstrapped: the digest that will be recorded, and why.
    fn due(&mut self, (pool, host): HostId, shared: &Shared) -> Option<(Option<Text>, Reason)> {
        let member = &self.pools[pool].hosts[host];
        let address = member.address.clone();
        let state = &self.states[pool][host];
        if !member.wished || !state.present || !self.reach.covers(&address) && !state.remade {
            return None;
        }
        let provider = state.provider.clone()?;
        let row = self.newest(pool, host).filter(|_| !state.remade);
        if row.is_some_and(|row| self.world.rows[row].unseen()) {
            return None;
        }
        let probed = self.probed(&address);
        let mounts = self.own_mounts((pool, host));
        let unmount =
            self.unmounts((pool, host), &mounts).first().map(|step| self.drafts.0[step.0 as usize].address.clone());
        let mount = state.mounts.first().map(|(_, volume)| volume.clone()).or(unmount);
        let mut digest =
            state.endpoint.as_ref().and_then(|at| Some(shared.digest.as_ref()?.host(&address.name, at, &mounts)));
        if mount.is_some() && self.only_attaches(&provider) {
            // What it will mount has no id yet, or another size.
            digest = None;
        }
        let reason = if state.renewed {
            Reason::FollowsFrom { address: address.clone() }
        } else {
            if let (Some(HostSeen::Unreachable(detail)), false) = (probed, state.power_on) {
                let detail = detail.clone();
                self.decline(&address, Why::Unreachable { detail });
                return None;
            }
            self.difference(row?, digest.as_ref(), shared, probed, mount)?
        };
        if let Some(features) = shared.lacking.get(&provider) {
            let features = features.clone();
            self.decline(&address, Why::Lacks { features, provider });
            return None;
        }
        Some((digest, reason))
    }

    /// Why a host that stands must be bootstrapped again.
    fn difference(
        &self,
        row: usize,
        digest: Option<&Text>,
        shared: &Shared,
        probed: Option<&HostSeen>,
        mount: Option<Address>,
    ) -> Option<Reason> {
        let recorded = self.world.rows[row].now.bootstrapped.as_ref();
        if recorded.is_none() {
            return Some(Reason::Unfinished);
        }
        if recorded != digest {
            if let (Some(address), None) = (&mount, digest) {
                return Some(Reason::FollowsFrom { address: address.clone() });
            }
            if let Some(address) = &shared.moved {
                return Some(Reason::FollowsFrom { address: address.clone() });
            }
            let short =
                |digest: Option<&Text>| digest.map_or_else(|| "unknown".to_owned(), |d| d.chars().take(8).collect());
            return Some(Reason::SpecChanged { fields: field("bootstrap", &short(recorded), &short(digest)) });
        }
        if let Some(HostSeen::Drifted(items)) = probed {
            return Some(Reason::HostDrifted { items: items.clone() });
        }
        mount.map(|address| Reason::FollowsFrom { address })
    }

    /// The steps that mentioned hosts come from; many of them are bundled.
    fn bundle(&mut self, pool: usize, needs: Vec<DraftId>, bootstraps: usize) -> Vec<DraftId> {
        if needs.len().saturating_mul(bootstraps) <= BUNDLE_ABOVE || needs.len() < 2 || bootstraps < 2 {
            return needs;
        }
        let (Some(name), Some(first)) = (&self.pools[pool].name, needs.first()) else { return needs };
        let first = &self.drafts.0[first.0 as usize];
        let draft = Draft {
            address: Address::pool(name),
            generation: 0,
            provider: first.provider.clone(),
            action: Action::Gather,
            reason: Reason::FollowsFrom { address: first.address.clone() },
            needs,
        };
        vec![self.drafts.push(draft)]
    }

    fn bootstrap(&mut self, (pool, host): HostId, digest: Option<Text>, reason: Reason, mentioned: &[DraftId]) {
        let state = &self.states[pool][host];
        let Some(provider) = state.provider.clone() else { return };
        let mut needs = state.up.clone();
        needs.extend(state.mounts.iter().map(|(step, _)| *step));
        needs.extend(self.unmounts((pool, host), &self.own_mounts((pool, host))));
        needs.extend(mentioned.iter().filter(|step| !state.up.contains(step)));
        let draft = Draft {
            address: self.pools[pool].hosts[host].address.clone(),
            generation: state.generation,
            provider,
            action: Action::Bootstrap { digest },
            reason,
            needs,
        };
        let step = self.drafts.push(draft);
        self.booted.insert((pool, host), step);
    }
}
