//! Snapshots and backups. No inventory declares them: whatever is not destroyed as a whole keeps them.
//!
//! A snapshot needs its volume, and no cloud lets a volume go that has one. A backup outlives its volume.

use std::ops::Range;

use pool_inventory::{Address, Kind};

use super::{Planner, draft::DraftId, volumes::Wish};
use crate::{
    input::Scope,
    plan::{Action, Reason, Refusal, Why},
};

/// What becomes of a copy.
enum CopyFate {
    /// It is gone, and its record is out of scope.
    Gone,
    Keep,
    Declined(Why),
    Forget,
    Delete,
}

/// A volume that is made once its source is.
pub(crate) struct Copied<'a> {
    pub wish: Wish<'a>,
    pub row: Option<usize>,
    pub reason: Reason,
}

impl<'a> Planner<'a> {
    /// Forgets copies that are gone; a destroy deletes those that it may.
    pub(crate) fn copies(&mut self) {
        let mut at = 0;
        while at < self.world.rows.len() {
            let address = self.world.rows[at].now.address.clone();
            let rows = self.world.of(&address);
            at = rows.end;
            if matches!(address.kind, Kind::Snapshot | Kind::Backup) {
                self.copy(&address, &rows);
            }
        }
    }

    fn copy(&mut self, address: &Address, rows: &Range<usize>) {
        let Some(row) = rows.end.checked_sub(1) else { return };
        let stays = match self.fate_of_copy(address, row) {
            CopyFate::Gone => false,
            CopyFate::Keep => true,
            CopyFate::Declined(why) => {
                self.decline(address, why);
                true
            }
            CopyFate::Forget => {
                let first = self.first(row, None);
                let forget = self.forget(row, Reason::Vanished);
                self.drafts.needs(forget, first);
                false
            }
            CopyFate::Delete => {
                let leftovers = self.leftovers(Some(row));
                let first = self.first(row, None);
                let delete = self.delete(row, Reason::Requested);
                self.drafts.needs(delete, leftovers.into_iter().chain(first));
                false
            }
        };
        if let Some(volume) = address.volume_of_copy().filter(|_| stays && address.kind == Kind::Snapshot) {
            self.snapshots.entry(volume).or_default().push(address.clone());
        }
    }

    fn fate_of_copy(&self, address: &Address, row: usize) -> CopyFate {
        let Scope { destroy, targets, .. } = &self.input.scope;
        let world = &self.world.rows[row];
        let covered = self.reach.covers(address);
        match () {
            () if world.unseen() && *destroy => CopyFate::Declined(Why::ProviderUnseen),
            () if world.unseen() => CopyFate::Keep,
            () if world.gone() => {
                if covered {
                    CopyFate::Forget
                } else {
                    CopyFate::Gone
                }
            }
            () if !destroy || !covered => CopyFate::Keep,
            // Who destroys a part of what is declared has said nothing of copies, unless by name.
            () if !targets.is_empty() && !targets.contains(address) => CopyFate::Keep,
            () => match self.protector_of_copy(row) {
                Some(by) => CopyFate::Declined(Why::Protected { by: by.into() }),
                None => CopyFate::Delete,
            },
        }
    }

    /// What keeps a copy from being destroyed: whatever protects its volume, which its record remembers.
    fn protector_of_copy(&self, row: usize) -> Option<&'static str> {
        if self.input.desired.protected {
            return Some("environment");
        }
        let now = &self.world.rows[row].now;
        let volume = now.address.volume_of_copy().and_then(|volume| self.world.of(&volume).next_back());
        let protected = match volume {
            Some(volume) => self.protected_volume(&self.world.rows[volume].now),
            None => now.protected,
        };
        protected.then_some("volume")
    }

    /// Why a volume cannot go: it has snapshots, and they stay.
    pub(crate) fn held_by_snapshots(&self, volume: &Address) -> Option<Why> {
        let snapshots = self.snapshots.get(volume)?.clone();
        Some(Why::HasSnapshots { snapshots })
    }

    /// Why a volume cannot get its first content from where its declaration says; `Ok(false)`: not yet, because another
    /// step of this plan has to make that first.
    pub(crate) fn source_is_there(&self, wish: &Wish<'a>) -> Result<bool, Why> {
        let Some(from) = &wish.decl.from else { return Ok(true) };
        let missing = || Err(Why::NoSource { from: from.clone() });
        let provider = self.states[wish.id.0][wish.id.1].provider.as_ref();
        if let Some(provider) = provider
            && let Some(lacks) = self.lacks(provider, super::errands::feature_of_source(from))
        {
            return Err(lacks);
        }
        let made =
            self.drafts.0.iter().find(|draft| draft.address == *from && matches!(draft.action, Action::Create { .. }));
        let row = self.world.of(from).next_back().map(|row| &self.world.rows[row]);
        let (at, spec) = match (made, row) {
            (Some(draft), _) => match &draft.action {
                Action::Create { spec, .. } => (&draft.provider, spec),
                _ => return missing(),
            },
            (None, Some(row)) if !row.gone() && !row.unfinished() => (&row.now.provider, &row.now.spec),
            _ => return if self.wished_volume(from) { Ok(false) } else { missing() },
        };
        if provider.is_some_and(|provider| provider != at) {
            let why = format!("{from} is at {at}").into();
            let candidate = provider.map_or("", |provider| provider.as_str()).into();
            return Err(Why::NoBackend { refusals: vec![Refusal { candidate, why }] });
        }
        let least = spec.volume().map(|volume| volume.size).or_else(|| spec.copy().map(|copy| copy.size));
        match least.filter(|least| *least > wish.decl.size) {
            Some(least) => Err(Why::Shrink { from: least, to: wish.decl.size }),
            None => Ok(true),
        }
    }

    /// Whether a volume is declared, so that this plan may come to making it.
    fn wished_volume(&self, address: &Address) -> bool {
        let (Some(host), Some((_, name))) = (address.host_of_volume(), address.name.split_once('.')) else {
            return false;
        };
        self.pools.iter().any(|pool| {
            pool.decl.is_some_and(|decl| decl.volumes.contains_key(name))
                && pool.hosts.iter().any(|member| member.wished && member.address == host)
        })
    }

    /// Volumes whose source had to be made first. What is left over waits for something that is not made.
    pub(crate) fn copied_volumes(&mut self) {
        loop {
            let waiting = std::mem::take(&mut self.copied);
            let before = waiting.len();
            for Copied { wish, row, reason } in waiting {
                self.make_volume(&wish, row, reason);
            }
            if self.copied.len() == before {
                break;
            }
        }
        for Copied { wish, .. } in std::mem::take(&mut self.copied) {
            if let Some(from) = wish.decl.from.clone() {
                self.decline(&wish.address, Why::NoSource { from });
            }
        }
    }

    /// A volume that gets its content from another comes after that is made, and before that goes.
    pub(crate) fn after_source(&mut self, from: &Address, step: DraftId) {
        let of = self.drafts.0.iter().zip(0..).filter(|(draft, _)| draft.address == *from);
        let of: Vec<(bool, DraftId)> = of
            .filter_map(|(draft, id)| match draft.action {
                Action::Create { .. } => Some((true, DraftId(id))),
                Action::Delete => Some((false, DraftId(id))),
                _ => None,
            })
            .collect();
        let made = of.iter().find(|(makes, _)| *makes);
        match (made, of.first()) {
            (Some((_, maker)), _) => self.drafts.needs(step, [*maker]),
            (None, Some((_, delete))) => self.drafts.needs(*delete, [step]),
            (None, None) => {}
        }
    }
}
