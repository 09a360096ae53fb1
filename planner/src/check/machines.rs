//! Each host that comes to a physical machine may stand there.

use std::collections::BTreeMap;

use pool_inventory::{
    Address, Name,
    desired::{Apart, Isolation},
    market::Machine,
    object::{HostSpec, Spec},
};

use super::{Notes, Rule, facts::Facts};
use crate::plan::{Action, Step};

type Place<'a> = (&'a str, &'a str, &'a str);

/// A host on a machine: which, of which pool and tenant.
type There<'a> = (&'a Address, Option<&'a Name>, &'a Name);

pub(super) fn check(facts: &Facts<'_>, notes: &mut Notes) {
    if facts.input.markets.values().all(|market| market.machines.is_empty()) {
        return;
    }
    let mut machines: BTreeMap<(&str, &str), &Machine> = BTreeMap::new();
    let mut zones: BTreeMap<Place<'_>, usize> = BTreeMap::new();
    for (provider, market) in &facts.input.markets {
        for machine in &market.machines {
            machines.insert((provider.as_str(), &*machine.name), machine);
            *zones.entry((provider.as_str(), &*machine.region, &*machine.zone)).or_default() += 1;
        }
    }
    // Who stands where at any moment of the run: those that are there, and those that come.
    let mut there: BTreeMap<(&str, &str), Vec<There<'_>>> = BTreeMap::new();
    for row in facts.rows.values().filter(|row| !row.adopted) {
        if let Some(name) = row.spec.host().and_then(|host| host.machine.as_ref()) {
            let who = (&row.address, row.pool.as_ref(), &row.tenant);
            there.entry((row.provider.as_str(), name)).or_default().push(who);
        }
    }
    let comes: Vec<(&Step, &HostSpec, Option<&Name>, &Name)> =
        facts.plan.steps.iter().filter_map(|step| coming(facts, step)).collect();
    for (step, host, pool, tenant) in &comes {
        if let Some(name) = &host.machine {
            there.entry((step.provider.as_str(), name)).or_default().push((&step.address, *pool, tenant));
        }
    }
    for (step, host, pool, tenant) in comes {
        let place = (step.provider.as_str(), &*host.region, &*host.zone);
        let named = host.machine.as_ref().and_then(|name| machines.get(&(step.provider.as_str(), &**name)));
        let mut wrong = |detail: &str| notes.add(Rule::Place, Some(step.id), Some(&step.address), detail);
        let Some(machine) = named else {
            if host.machine.is_some() || zones.contains_key(&place) {
                wrong("it names no machine that is there");
            }
            continue;
        };
        if machine.zone != host.zone || machine.region != host.region {
            wrong("its machine is in another zone");
        }
        let beside = &there[&(step.provider.as_str(), &*machine.name)];
        if let Some(detail) = unwelcome(facts, machine, &step.address, host, pool, tenant, beside) {
            wrong(detail);
        }
    }
}

/// The host of a step that comes to a machine, with its pool and tenant.
fn coming<'a>(facts: &'a Facts<'_>, step: &'a Step) -> Option<(&'a Step, &'a HostSpec, Option<&'a Name>, &'a Name)> {
    match &step.action {
        Action::Create { spec: Spec::Host(host), record, .. } => {
            Some((step, host, record.pool.as_ref(), &record.tenant))
        }
        Action::Update { from: Spec::Host(from), to: Spec::Host(to) } if from.machine != to.machine => {
            let row = facts.rows.get(&(&step.address, step.generation))?;
            Some((step, to, row.pool.as_ref(), &row.tenant))
        }
        _ => None,
    }
}

/// Why a host may not come to a machine.
fn unwelcome(
    facts: &Facts<'_>,
    machine: &Machine,
    address: &Address,
    host: &HostSpec,
    pool: Option<&Name>,
    tenant: &Name,
    beside: &[There<'_>],
) -> Option<&'static str> {
    let alone = |tenant: &Name| {
        facts.input.desired.tenants.get(tenant).is_some_and(|spec| spec.isolation == Isolation::DedicatedHosts)
    };
    if machine.dedicated.as_ref().is_some_and(|owner| owner != tenant) {
        return Some("its machine is dedicated to another tenant");
    }
    let mut others = beside.iter().filter(|(other, ..)| *other != address);
    if others.clone().any(|(_, _, other)| *other != tenant && (alone(tenant) || alone(other))) {
        return Some("its machine is shared with a tenant, and one of them shares none");
    }
    let own: (u64, u64) = beside
        .iter()
        .map(|(other, ..)| *other)
        .filter_map(|other| size(facts, machine, other))
        .fold((0, 0), |sum, size| (sum.0 + size.0, sum.1 + size.1));
    let strangers = u64::from(machine.used.vcpus) > own.0 || machine.used.memory.0 > own.1;
    if alone(tenant) && strangers {
        return Some("its machine is used by others, and its tenant shares none");
    }
    (host.apart == Some(Apart::Must) && others.any(|(_, other, _)| other.is_some() && *other == pool))
        .then_some("another host of its pool is on its machine")
}

/// What a host that is recorded on a machine uses of it.
fn size(facts: &Facts<'_>, machine: &Machine, address: &Address) -> Option<(u64, u64)> {
    let rows = facts.rows.range((address, 0)..=(address, u32::MAX));
    let here = rows.filter_map(|(_, row)| row.spec.host().filter(|host| host.machine.as_ref() == Some(&machine.name)));
    here.map(|host| (u64::from(host.size.vcpus), host.size.memory.0)).reduce(|a, b| (a.0 + b.0, a.1 + b.1))
}
