//! Protection, brakes, scope, and what may not be touched at all.

use std::collections::BTreeMap;

use pool_inventory::{Address, Kind, Name, object::Recorded};

use super::{
    Notes, Rule,
    facts::{Facts, makes},
};
use crate::{
    input::Brake,
    plan::{Action, Step},
};

pub(super) fn check(facts: &Facts<'_>, notes: &mut Notes) {
    for step in &facts.plan.steps {
        protected(facts, step, notes);
        reach(facts, step, notes);
    }
    brakes(facts, notes);
}

fn protected(facts: &Facts<'_>, step: &Step, notes: &mut Notes) {
    if !matches!(step.action, Action::Delete) {
        return;
    }
    let Some(row) = facts.rows.get(&(&step.address, step.generation)) else { return };
    if facts.leaving(row) {
        return; // it is lost already
    }
    let desired = &facts.input.desired;
    // Protection is against what comes along with something else; a copy that is named is meant.
    if super::copies::asked_to_delete(facts, &step.address) {
        return;
    }
    if desired.protected && facts.plan.scope.destroy {
        notes.add(Rule::Protected, Some(step.id), Some(&step.address), "its environment is protected");
    }
    let pool = row.pool.as_ref().and_then(|pool| desired.pools.get(pool));
    let declared = match step.address.kind {
        Kind::Host => pool.map(|pool| pool.protected),
        Kind::Volume => {
            let name = step.address.name.split_once('.').map_or("", |(_, volume)| volume);
            pool.and_then(|pool| Some(pool.protected || pool.volumes.get(name)?.protected))
        }
        // Whatever protects its volume.
        Kind::Snapshot | Kind::Backup => {
            let volume = step.address.volume_of_copy();
            let volume = volume.as_ref().and_then(|volume| facts.newest(volume)).map(|(_, row)| row);
            let name = step.address.name.split('.').nth(1).unwrap_or("");
            let of = |row: &Recorded| {
                let pool = row.pool.as_ref().and_then(|pool| desired.pools.get(pool));
                let declared = pool.and_then(|pool| pool.volumes.get(name)).map_or(row.protected, |v| v.protected);
                declared || pool.is_some_and(|pool| pool.protected)
            };
            volume.map(of)
        }
        _ => None,
    };
    if declared.unwrap_or(row.protected) {
        notes.add(Rule::Protected, Some(step.id), Some(&step.address), "it is protected");
    }
}

/// Providers that did not answer, objects out of scope, and plans that may only record.
fn reach(facts: &Facts<'_>, step: &Step, notes: &mut Notes) {
    let mut wrong = |detail: &str| notes.add(Rule::Reach, Some(step.id), Some(&step.address), detail);
    let seen = facts.input.seen.providers.contains_key(&step.provider) || facts.adopts(&step.provider);
    if !seen && !matches!(step.action, Action::Gather) {
        wrong("its provider did not answer");
    }
    let scope = &facts.plan.scope;
    if scope.refresh_only && !matches!(step.action, Action::Record { .. } | Action::Forget) {
        wrong("a refresh only records");
    }
    if scope.destroy && (makes(&step.action) || matches!(step.action, Action::Bootstrap { .. })) {
        wrong("a destroy makes nothing");
    }
    if scope.excludes.contains(&step.address) {
        wrong("it is excluded");
    }
    // Hosts that templates mention are needed too; without templates it is plain what a targeted volume needs.
    let plain = facts.input.desired.pools.values().all(|pool| pool.bootstrap.pools().is_empty());
    let volumes = scope.targets.iter().all(|target| target.kind == Kind::Volume);
    if plain && volumes && !scope.targets.is_empty() && step.address.kind == Kind::Volume {
        let host = step.address.host_of_volume();
        if !scope.targets.iter().any(|target| target.host_of_volume() == host) {
            wrong("it is not targeted");
        }
    }
}

/// Counts, per pool, hosts that are replaced or rebuilt, and hosts that go.
fn brakes(facts: &Facts<'_>, notes: &mut Notes) {
    let scope = &facts.plan.scope;
    let whole = scope.destroy && scope.targets.is_empty() && scope.excludes.is_empty();
    let mut recorded: BTreeMap<&Name, usize> = BTreeMap::new();
    let mut replaced: BTreeMap<&Name, usize> = BTreeMap::new();
    let mut destroyed: BTreeMap<&Name, usize> = BTreeMap::new();
    for ((address, generation), row) in &facts.rows {
        let newest = facts.newest(address).is_some_and(|(newest, _)| newest == *generation);
        let Some(pool) = row.pool.as_ref().filter(|_| address.kind == Kind::Host && newest) else { continue };
        *recorded.entry(pool).or_default() += 1;
        match loss(facts, row) {
            Some(Brake::MaxReplaced) => *replaced.entry(pool).or_default() += 1,
            Some(Brake::MaxDestroyed) => *destroyed.entry(pool).or_default() += 1,
            None => {}
        }
    }
    let policy = &facts.input.desired.policy;
    let limits =
        [(Brake::MaxReplaced, replaced, policy.max_replaced), (Brake::MaxDestroyed, destroyed, policy.max_destroyed)];
    for (brake, counts, share) in limits {
        if whole || scope.overrides.contains_key(&brake) {
            continue;
        }
        for (pool, count) in counts {
            let allowed = (recorded[pool] as u64 * u64::from(share.0) / 10_000).max(1);
            if count as u64 > allowed {
                let detail = format!("{count} of {}, {} allows {allowed}", recorded[pool], brake.as_str());
                notes.add(Rule::Brake, None, Some(&Address::pool(pool)), detail);
            }
        }
    }
}

/// Whether a host is lost for good, or loses its system.
fn loss(facts: &Facts<'_>, row: &Recorded) -> Option<Brake> {
    if row.adopted || facts.leaving(row) {
        return None;
    }
    let steps = facts.on(&row.address, row.generation);
    if steps.iter().any(|step| matches!(step.action, Action::Delete)) {
        let again = facts.maker(&row.address).is_some();
        return Some(if again { Brake::MaxReplaced } else { Brake::MaxDestroyed });
    }
    steps.iter().any(|step| matches!(step.action, Action::Rebuild { .. })).then_some(Brake::MaxReplaced)
}
