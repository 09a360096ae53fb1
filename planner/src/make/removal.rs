//! Deletions come first, so that what they give back can be used by what is made.

use std::ops::Range;

use pool_inventory::{
    Address,
    desired::{OnRemove, PoolVolume},
    object::{Recorded, Spec},
};

use super::{
    Fate, Planner,
    draft::{Draft, DraftId},
};
use crate::plan::{Action, Reason, Why};

impl Planner<'_> {
    /// Removes hosts that go, with their volumes, and volumes that left the inventory.
    pub(crate) fn remove(&mut self) {
        for (pool, host) in self.host_ids() {
            self.remove_host(pool, host);
        }
        self.remove_volumes();
    }

    fn remove_host(&mut self, pool: usize, host: usize) {
        let (going, reason) = match &self.states[pool][host].fate {
            Fate::Remove(reason) => (true, reason.clone()),
            Fate::Forget(reason) => (false, reason.clone()),
            _ => return,
        };
        let Some(row) = self.newest(pool, host) else { return };
        let address = self.pools[pool].hosts[host].address.clone();
        let first = self.first(row, None);
        let mut needs = self.leftovers(Some(row));
        needs.extend(first);
        for volume in self.volumes.get(&address.name).cloned().unwrap_or_default() {
            needs.extend(self.remove_volume(&volume, true));
        }
        let gives_way = matches!(reason, Reason::GivesWay { .. }) && !self.world.rows[row].unfinished();
        let step = if going { self.delete(row, reason) } else { self.forget(row, reason) };
        if let (true, Some(stock)) = (gives_way, self.stock_of(row)) {
            self.stock.free(stock, step);
        }
        self.drafts.needs(step, needs);
        let state = &mut self.states[pool][host];
        state.present = false;
        state.down = Some(step);
    }

    /// Volumes whose host stays and does not want them any more, and volumes whose host went long ago.
    fn remove_volumes(&mut self) {
        let mut leaving: Vec<Range<usize>> = Vec::new();
        let mut kept_with_host: std::collections::BTreeMap<&str, Option<super::HostId>> = Default::default();
        for (pool, p) in self.pools.iter().enumerate() {
            for (host, member) in p.hosts.iter().enumerate() {
                kept_with_host.insert(&member.address.name, Some((pool, host)));
            }
        }
        for (host, ranges) in &self.volumes {
            let owner = kept_with_host.get(&**host).copied().flatten();
            for range in ranges {
                let name = &self.world.rows[range.start].now.address.name;
                let volume = name.split_once('.').map_or("", |(_, volume)| volume);
                let leaves = match owner {
                    None => true,
                    Some((pool, host)) => {
                        let declared = self.pools[pool].decl.is_some_and(|decl| decl.volumes.contains_key(volume));
                        self.pools[pool].hosts[host].wished && !declared
                    }
                };
                if leaves {
                    leaving.push(range.clone());
                }
            }
        }
        for range in leaving {
            let host = self.world.rows[range.start].now.address.host_of_volume();
            if let (Some(detach), Some(host)) = (self.remove_volume(&range, false), host) {
                self.detached.entry(host).or_default().push(detach);
            }
        }
    }

    /// Detaches a volume that is not wished for, and deletes it where it may be. `with_host`: its host goes.
    /// The answer is the detaching, which the host waits for.
    fn remove_volume(&mut self, range: &Range<usize>, with_host: bool) -> Option<DraftId> {
        let row = range.end.checked_sub(1)?;
        let address = self.world.rows[row].now.address.clone();
        let world = &self.world.rows[row];
        let (unseen, gone) = (world.unseen(), world.gone());
        let attached = attached(&world.now, world.sight.there().map(|seen| &seen.spec));
        if unseen {
            self.decline(&address, Why::ProviderUnseen);
            return None;
        }
        if !self.reach.covers(&address) && !with_host {
            if attached || gone {
                self.decline(&address, Why::OutOfScope);
            }
            return None;
        }
        if gone {
            let first = self.first(row, None);
            let forget = self.forget(row, Reason::Vanished);
            self.drafts.needs(forget, first);
            return None;
        }
        if world.now.adopted {
            return self.release_volume(row, with_host);
        }
        let leftovers = self.leftovers(Some(row));
        let staying = self.stays(row);
        let mut last = None;
        if staying.is_none() || attached || self.world.rows[row].was.is_none() {
            last = self.first(row, None);
        }
        if attached {
            let reason = if with_host { self.follows_host(&address) } else { self.leaving() };
            last = Some(self.detach(row, reason, last));
        }
        match staying {
            Some(why) => self.decline(&address, why),
            None => {
                let host = address.host_of_volume();
                let reason = match host.filter(|host| with_host && self.yields.giving.contains_key(host)) {
                    Some(address) => Reason::FollowsFrom { address },
                    None => self.leaving(),
                };
                let delete = self.delete(row, reason);
                self.drafts.needs(delete, leftovers.into_iter().chain(last));
            }
        }
        if attached { last } else { None }
    }

    /// Whether a volume is deleted when its host goes.
    pub(crate) fn goes_with_host(&self, row: usize) -> bool {
        let world = &self.world.rows[row];
        !world.unseen() && !world.gone() && !world.now.adopted && self.stays(row).is_none()
    }

    pub(crate) fn follows_host(&self, volume: &Address) -> Reason {
        match volume.host_of_volume() {
            Some(address) => Reason::FollowsFrom { address },
            None => self.leaving(),
        }
    }

    /// Why a volume that is not wished for stays all the same.
    fn stays(&self, row: usize) -> Option<Why> {
        let now = &self.world.rows[row].now;
        let destroy = self.input.scope.destroy;
        if self.input.desired.protected && destroy {
            return Some(Why::Protected { by: "environment".into() });
        }
        if self.protected_volume(now) {
            return Some(Why::Protected { by: "volume".into() });
        }
        let recorded = now.spec.volume().map_or(OnRemove::Keep, |volume| volume.on_remove);
        let on_remove = self.declared_volume(now).map_or(recorded, |volume| volume.on_remove);
        if on_remove == OnRemove::Keep && !destroy {
            return Some(Why::Kept);
        }
        self.held_by_snapshots(&now.address)
    }

    /// Whether a volume may not be deleted. Its declaration decides where there is one.
    pub(crate) fn protected_volume(&self, row: &Recorded) -> bool {
        let pool = row.pool.as_ref().and_then(|pool| self.input.desired.pools.get(pool));
        let volume = self.declared_volume(row).map_or(row.protected, |volume| volume.protected);
        pool.is_some_and(|pool| pool.protected) || volume
    }

    /// The declaration of a volume, though its host may not be wished for any more.
    fn declared_volume(&self, row: &Recorded) -> Option<&PoolVolume> {
        let (_, volume) = row.address.name.split_once('.')?;
        self.input.desired.pools.get(row.pool.as_ref()?)?.volumes.get(volume)
    }

    /// Unmounts and detaches a volume after `after`.
    pub(crate) fn detach(&mut self, row: usize, reason: Reason, after: Option<DraftId>) -> DraftId {
        let now = &self.world.rows[row].now;
        let mut to = match after.map(|id| &self.drafts.0[id.0 as usize].action) {
            Some(Action::Record { to }) => to.spec.clone(),
            Some(Action::Update { to, .. }) => to.clone(),
            _ => now.spec.clone(),
        };
        let seen = self.world.rows[row].sight.there().and_then(|seen| seen.spec.volume());
        if let Spec::Volume(volume) = &mut to {
            volume.attached = None;
            // Grown by a run that was cut off before it was recorded: no provider makes it smaller again.
            volume.size = volume.size.max(seen.map_or(volume.size, |seen| seen.size));
        }
        let draft = Draft {
            address: now.address.clone(),
            generation: now.generation,
            provider: now.provider.clone(),
            action: Action::Detach { to },
            reason,
            needs: after.into_iter().collect(),
        };
        self.drafts.push(draft)
    }
}

/// Whether a volume is attached, as far as is known: what was seen counts more than what was recorded.
pub(crate) fn attached(row: &Recorded, seen: Option<&Spec>) -> bool {
    matches!(seen.unwrap_or(&row.spec), Spec::Volume(volume) if volume.attached.is_some())
}
