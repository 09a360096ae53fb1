//! Who gives way: only what a pool need not have, only to those who come first, and it is told.

use std::collections::{BTreeMap, BTreeSet};

use pool_inventory::{
    Address, Kind, Name,
    desired::{Hosts, PoolSpec},
    object::Recorded,
};

use super::{Notes, Rule, facts::Facts};
use crate::plan::{Action, Reason, Step, Task, Why};

/// What a plan does to the hosts of a pool.
#[derive(Default)]
struct Tally {
    /// Recorded before.
    recorded: u32,
    /// Gone after.
    gone: u32,
    /// Made where none was recorded.
    made: u32,
    /// Made, changed or given a new system.
    served: bool,
}

impl Tally {
    fn after(&self) -> u32 {
        (self.recorded + self.made).saturating_sub(self.gone)
    }
}

pub(super) fn check(facts: &Facts<'_>, notes: &mut Notes) {
    let gives = |step: &&Step| matches!(step.reason, Reason::GivesWay { .. });
    let fewer = facts.plan.declined.iter().any(|declined| matches!(declined.why, Why::Fewer { .. }));
    if !fewer && !facts.plan.steps.iter().any(|step| gives(&step)) {
        return;
    }
    let tallies = tallies(facts);
    for step in facts.plan.steps.iter().filter(gives) {
        if let Err(detail) = gives_way(facts, step, &tallies) {
            notes.add(Rule::Class, Some(step.id), Some(&step.address), detail);
        }
    }
    for declined in &facts.plan.declined {
        let told = match &declined.why {
            Why::Fewer { wanted, gets, least, to, .. } => {
                shortened(facts, &declined.address, (*wanted, *gets, *least), to, &tallies)
            }
            Why::Quota { tenant, limit, .. } if &**limit == "hosts" => served_first(facts, declined, tenant, &tallies),
            _ => Ok(()),
        };
        if let Err(detail) = told {
            notes.add(Rule::Class, None, Some(&declined.address), detail);
        }
    }
}

type Tallies<'a> = BTreeMap<&'a Name, Tally>;

fn tallies<'a>(facts: &'a Facts<'_>) -> Tallies<'a> {
    let mut all: Tallies<'a> = BTreeMap::new();
    let mut seen: BTreeSet<&Address> = BTreeSet::new();
    for ((address, _), row) in &facts.rows {
        if let (Kind::Host, Some(pool), true) = (address.kind, &row.pool, seen.insert(address)) {
            let tally = all.entry(pool).or_default();
            tally.recorded += 1;
            let absent = || facts.newest(address).is_none_or(|(_, row)| row.id.is_none() || facts.gone(row));
            let left = facts.maker(address).is_none() && (goes(facts, address) || absent());
            tally.gone += u32::from(left);
        }
    }
    for step in facts.plan.steps.iter().filter(|step| step.address.kind == Kind::Host) {
        match &step.action {
            Action::Create { record, .. } | Action::Adopt { record, .. } => {
                let Some(pool) = &record.pool else { continue };
                let tally = all.entry(pool).or_default();
                tally.made += u32::from(seen.insert(&step.address));
                tally.served = true;
            }
            Action::Update { .. } | Action::Rebuild { .. } => {
                let row = facts.newest(&step.address).and_then(|(_, row)| row.pool.as_ref());
                row.into_iter().for_each(|pool| all.entry(pool).or_default().served = true);
            }
            _ => {}
        }
    }
    all
}

/// Whether the newest generation of a host is deleted or forgotten.
fn goes(facts: &Facts<'_>, address: &Address) -> bool {
    let Some((generation, _)) = facts.newest(address) else { return false };
    let ends = |step: &&Step| matches!(step.action, Action::Delete | Action::Release | Action::Forget);
    facts.on(address, generation).iter().any(ends)
}

fn priority(facts: &Facts<'_>, pool: &Name) -> u32 {
    let desired = &facts.input.desired;
    desired.pools.get(pool).map_or(0, |spec| desired.priority(spec))
}

fn range<'a>(facts: &'a Facts<'_>, pool: &Name) -> Option<(&'a PoolSpec, u32, u32)> {
    let spec = facts.input.desired.pools.get(pool)?;
    match spec.hosts {
        Hosts::Range { min, max } => Some((spec, min, max)),
        _ => None,
    }
}

/// Whether a host that gives way may.
fn gives_way(facts: &Facts<'_>, step: &Step, tallies: &Tallies<'_>) -> Result<(), &'static str> {
    let Reason::GivesWay { to, .. } = &step.reason else { return Ok(()) };
    if matches!(step.action, Action::Member { task: Task::Drain | Task::Leave { .. } }) {
        // It leaves its cluster because its host goes, which has a step of its own.
        return Ok(());
    }
    if step.address.kind != Kind::Host || !matches!(step.action, Action::Delete) {
        return Err("only hosts give way, and only by going");
    }
    let row = facts.rows.get(&(&step.address, step.generation)).ok_or("it is not recorded")?;
    let pool = row.pool.as_ref().ok_or("no pool asked for it")?;
    let (spec, min, _) = range(facts, pool).ok_or("its pool takes no fewer hosts than it asks for")?;
    let after = tallies.get(pool).map_or(0, Tally::after);
    if after < min {
        return Err("its pool is left with fewer hosts than it must have");
    }
    match to {
        Some(to) if priority(facts, to) <= priority(facts, pool) => Err("it gives way to a pool that comes after it"),
        Some(to) if !tallies.get(to).is_some_and(|tally| tally.served) => Err("nobody gets what it gives up"),
        None if !over_quota(facts, &spec.tenant) && !over_quota(facts, &row.tenant) => {
            Err("its tenant has no more than its quota")
        }
        _ => Ok(()),
    }
}

/// Whether a tenant has more than one of its limits before the plan.
fn over_quota(facts: &Facts<'_>, tenant: &Name) -> bool {
    let Some(spec) = facts.input.desired.tenants.get(tenant) else { return false };
    let rows: Vec<&Recorded> = facts.rows.values().copied().collect();
    spec.quota.limits().into_iter().any(|(what, limit)| {
        let account = format!("tenant/{tenant}/{what}");
        let charges = rows.iter().flat_map(|row| row.charges()).filter(|(name, _)| **name == *account);
        charges.map(|(_, amount)| u128::from(amount)).sum::<u128>() > u128::from(limit)
    })
}

/// Whether what is said of a pool that gets less than it wants is so.
fn shortened(
    facts: &Facts<'_>,
    address: &Address,
    (wanted, gets, least): (u32, u32, u32),
    to: &[Name],
    tallies: &Tallies<'_>,
) -> Result<(), &'static str> {
    let name = Name::new(&address.name).map_err(|_| "it is no pool")?;
    let (_, min, max) = range(facts, &name).ok_or("it takes no fewer hosts than it asks for")?;
    if (min, max) != (least, wanted) {
        return Err("it does not ask for so many");
    }
    let after = tallies.get(&name).map_or(0, Tally::after);
    if address.kind != Kind::Pool || after != gets || gets >= wanted {
        return Err("it does not get so many");
    }
    let first = |other: &Name| priority(facts, other) > priority(facts, &name);
    if to.iter().all(first) { Ok(()) } else { Err("a pool that it gives way to comes after it") }
}

/// Where a tenant may have no more hosts, no pool of a lower priority gets one that it need not have.
fn served_first(
    facts: &Facts<'_>,
    declined: &crate::plan::Declined,
    tenant: &Name,
    tallies: &Tallies<'_>,
) -> Result<(), &'static str> {
    let Some((pool, _)) = declined.address.name.rsplit_once('-') else { return Ok(()) };
    let Ok(pool) = Name::new(pool) else { return Ok(()) };
    let own = priority(facts, &pool);
    let ahead = |other: &Name, tally: &Tally| {
        let of = range(facts, other).filter(|(spec, ..)| spec.tenant == *tenant);
        of.is_some_and(|(_, min, _)| priority(facts, other) < own && tally.made > 0 && tally.after() > min)
    };
    let wrong = tallies.iter().any(|(other, tally)| ahead(other, tally));
    if wrong { Err("a pool of a lower priority gets a host in its place") } else { Ok(()) }
}
