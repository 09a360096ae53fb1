//! Serials, stable names, nothing forgotten, and bootstraps with all that they need.

use std::collections::{BTreeMap, BTreeSet};

use pool_inventory::{
    Address, Kind, Name,
    desired::{Hosts, PoolSpec},
    object::Spec,
};

use super::{
    Notes, Rule,
    facts::{Facts, makes, removes},
};
use crate::plan::{Action, Reason, Step, StepId, Why};

/// Looked up often, so gathered once.
#[derive(Default)]
struct Index<'a> {
    told: BTreeSet<&'a Address>,
    /// Pools that are said to get less than they want.
    fewer: BTreeSet<&'a str>,
    /// Steps that make hosts, by pool.
    makers: BTreeMap<&'a Name, Vec<&'a Step>>,
    /// Recorded hosts with a number, by the name before it.
    numbered: BTreeMap<&'a str, usize>,
    attaches: BTreeMap<&'a Address, Vec<StepId>>,
    /// Hosts that are recorded under the name before their `moved:`.
    unmoved: BTreeSet<&'a Address>,
}

impl<'a> Index<'a> {
    fn new(facts: &'a Facts<'_>) -> Self {
        let told = facts.plan.declined.iter().map(|declined| &declined.address).collect();
        let fewer = facts.plan.declined.iter().filter(|declined| matches!(declined.why, Why::Fewer { .. }));
        let fewer = fewer.map(|declined| &*declined.address.name).collect();
        let mut index = Self { told, fewer, ..Self::default() };
        for step in &facts.plan.steps {
            match &step.action {
                Action::Create { record, .. } | Action::Adopt { record, .. } if step.address.kind == Kind::Host => {
                    index.makers.entry(record.pool.as_ref().unwrap_or(&record.tenant)).or_default().push(step);
                }
                Action::Attach { to } => {
                    if let Some(at) = to.volume().and_then(|volume| volume.attached.as_ref()) {
                        index.attaches.entry(&at.host).or_default().push(step.id);
                    }
                }
                _ => {}
            }
        }
        index.count(facts);
        index
    }

    fn count(&mut self, facts: &'a Facts<'_>) {
        // A host whose rename could not be recorded now is there under its old name.
        let waits = |why: &Why| matches!(why, Why::ProviderUnseen | Why::OutOfScope);
        let moved = facts.plan.declined.iter().filter(|d| waits(&d.why) && !facts.input.desired.moved.is_empty());
        let moved = moved.map(|declined| &declined.address).filter(|a| a.kind == Kind::Host);
        self.unmoved.extend(moved.filter(|address| facts.newest(address).is_none() && facts.maker(address).is_none()));
        let mut last = None;
        for address in self.unmoved.iter().copied().chain(facts.rows.keys().map(|(address, _)| *address)) {
            if address.kind != Kind::Host {
                continue;
            }
            if last.replace(address) != Some(address)
                && let Some((pool, _)) = address.name.rsplit_once('-')
                && number(pool, &address.name).is_some()
            {
                *self.numbered.entry(pool).or_default() += 1;
            }
        }
    }
}

pub(super) fn check(facts: &Facts<'_>, notes: &mut Notes) {
    let index = Index::new(facts);
    reads(facts, notes);
    bootstraps(facts, &index, notes);
    let scope = &facts.plan.scope;
    if scope.destroy || scope.refresh_only || !scope.errands.is_empty() {
        return;
    }
    for (name, pool) in &facts.input.desired.pools {
        hosts(facts, name, pool, &index, notes);
    }
    for name in facts.input.desired.networks.keys() {
        let address = Address::network(name);
        if facts.newest(&address).is_none() && facts.maker(&address).is_none() && !index.told.contains(&address) {
            notes.add(Rule::Forgotten, None, Some(&address), "it is declared, and nothing is done about it");
        }
    }
}

fn reads(facts: &Facts<'_>, notes: &mut Notes) {
    let mut serials: BTreeMap<&Address, u64> = BTreeMap::new();
    for row in &facts.input.recorded {
        // Sorted by generation: the newest comes last.
        serials.insert(&row.address, row.serial);
    }
    let mut wanted: BTreeMap<&Address, StepId> = BTreeMap::new();
    // Members are recorded with their hosts: `members` looks at these.
    let objects = |step: &&Step| !matches!(step.address.kind, Kind::Pool | Kind::Cluster | Kind::Member);
    for step in facts.plan.steps.iter().filter(objects) {
        wanted.entry(&step.address).or_insert(step.id);
        if let Reason::Moved { from } = &step.reason {
            wanted.entry(from).or_insert(step.id);
        }
        if let Action::Attach { to } = &step.action
            && let Some(at) = to.volume().and_then(|volume| volume.attached.as_ref())
        {
            wanted.entry(&at.host).or_insert(step.id);
        }
        match &step.action {
            Action::Restore { from } => drop(wanted.entry(from).or_insert(step.id)),
            Action::Create { spec: Spec::Snapshot(copy) | Spec::Backup(copy), .. } => {
                wanted.entry(&copy.of).or_insert(step.id);
            }
            Action::Create { spec: Spec::Volume(volume), .. } => {
                if let Some(from) = &volume.from {
                    wanted.entry(from).or_insert(step.id);
                }
            }
            _ => {}
        }
        if let Action::Create { spec: Spec::Host(host), .. } = &step.action
            && let Some(network) = &host.network
            && !facts.plan.reads.contains_key(&Address::network(network))
        {
            notes.add(
                Rule::Reads,
                Some(step.id),
                Some(&step.address),
                format!("the serial of network/{network} is missing"),
            );
        }
    }
    for (address, step) in wanted {
        if !facts.plan.reads.contains_key(address) {
            notes.add(Rule::Reads, Some(step), Some(address), "its serial is missing");
        }
    }
    for (address, serial) in &facts.plan.reads {
        let recorded = serials.get(address).copied().unwrap_or(0);
        if *serial != recorded {
            notes.add(Rule::Reads, None, Some(address), format!("its serial is {recorded}, not {serial}"));
        }
    }
}

/// Names are stable, numbers are the lowest free ones, and each host is made, there, or declined.
fn hosts(facts: &Facts<'_>, name: &Name, pool: &PoolSpec, index: &Index<'_>, notes: &mut Notes) {
    let told = &index.told;
    let there = |address: &Address| facts.newest(address).is_some() || index.unmoved.contains(address);
    let known = |address: &Address| there(address) || facts.maker(address).is_some() || told.contains(address);
    match &pool.hosts {
        Hosts::Named(hosts) => {
            for host in hosts.keys().map(|host| Address::host(host)) {
                if !known(&host) {
                    notes.add(Rule::Forgotten, None, Some(&host), "it is declared, and nothing is done about it");
                }
                volumes(facts, &host, pool, told, notes);
            }
        }
        Hosts::Count(_) | Hosts::Range { .. } => {
            let (least, count) = pool.hosts.numbered().unwrap_or_default();
            let fewer = index.fewer.contains(name.as_str());
            // Every recorded host fills a place, and new ones fill the lowest numbers that are free.
            let recorded = index.numbered.get(name.as_str()).copied().unwrap_or(0);
            let mut missing = (count as usize).saturating_sub(recorded);
            // What the pool must have is declined host by host.
            let mut needed = (least as usize).saturating_sub(recorded);
            let mut number = 0u32;
            while missing > 0 {
                let host = Address::host(&format!("{name}-{number}"));
                number += 1;
                if there(&host) {
                    continue;
                }
                missing -= 1;
                let said = known(&host) || fewer && needed == 0;
                needed = needed.saturating_sub(1);
                if !said {
                    notes.add(Rule::Forgotten, None, Some(&host), "the pool lacks it, and nothing is done about it");
                }
                volumes(facts, &host, pool, told, notes);
            }
            fresh_numbers(facts, name, number, index, notes);
        }
    }
}

/// No new host has a number at or above `end`.
fn fresh_numbers(facts: &Facts<'_>, pool: &Name, end: u32, index: &Index<'_>, notes: &mut Notes) {
    for step in index.makers.get(pool).into_iter().flatten() {
        let recorded = facts.newest(&step.address).is_some();
        if !recorded && number(pool, &step.address.name).is_none_or(|number| number >= end) {
            notes.add(Rule::Names, Some(step.id), Some(&step.address), "it does not have the lowest free number");
        }
    }
}

fn number(pool: &str, host: &str) -> Option<u32> {
    let digits = host.strip_prefix(pool)?.strip_prefix('-')?;
    let number: u32 = digits.parse().ok()?;
    (number.to_string() == digits).then_some(number)
}

/// Each volume of a host that is made is made, there, or declined.
fn volumes(facts: &Facts<'_>, host: &Address, pool: &PoolSpec, told: &BTreeSet<&Address>, notes: &mut Notes) {
    if facts.maker(host).is_none() {
        return;
    }
    for name in pool.volumes.keys() {
        let address = Address::volume(&host.name, name);
        let known = facts.newest(&address).is_some() || facts.maker(&address).is_some() || told.contains(&address);
        if !known {
            notes.add(Rule::Forgotten, None, Some(&address), "its host is made without it");
        }
    }
}

/// A bootstrap waits for its host, its volumes, and the hosts that its templates mention, and its spec is in the plan.
fn bootstraps(facts: &Facts<'_>, index: &Index<'_>, notes: &mut Notes) {
    // Whether a gathering step waits for all hosts that a pool's templates mention: asked once, not once per host.
    let mut gathers: BTreeMap<(&Name, StepId), bool> = BTreeMap::new();
    for step in &facts.plan.steps {
        if makes(&step.action) && step.address.kind == Kind::Host {
            started(facts, step, index, notes);
        }
        let Action::Bootstrap { .. } = &step.action else { continue };
        let mut wrong = |detail: String| notes.add(Rule::Bootstrap, Some(step.id), Some(&step.address), detail);
        let Some(pool) = pool_of(facts, step) else {
            wrong("its host has no pool".into());
            continue;
        };
        let Some(declared) = facts.input.desired.pools.get(pool).filter(|_| facts.plan.bootstraps.contains_key(pool))
        else {
            wrong("what its pool asks for is not in the plan".into());
            continue;
        };
        let own = facts.on(&step.address, step.generation).iter().filter(|other| other.id < step.id);
        let own = own.filter(|other| !matches!(other.action, Action::Bootstrap { .. })).map(|other| other.id);
        let mounts = index.attaches.get(&step.address).into_iter().flatten().copied();
        for before in own.chain(mounts) {
            if step.needs.binary_search(&before).is_err() && !facts.waits(step.id, before) {
                wrong(format!("it does not wait for step {}", before.0));
            }
        }
        let makers = || mentioned(declared, index);
        let gathered = step.needs.iter().any(|need| {
            let gather = &facts.plan.steps[need.0 as usize];
            let all = || makers().all(|maker| gather.needs.binary_search(&maker.id).is_ok());
            matches!(gather.action, Action::Gather) && *gathers.entry((pool, *need)).or_insert_with(all)
        });
        for maker in makers().filter(|_| !gathered) {
            if step.needs.binary_search(&maker.id).is_err() && !facts.waits(step.id, maker.id) {
                wrong(format!("it does not wait for {}", maker.address));
            }
        }
    }
    for (pool, plan) in &facts.plan.bootstraps {
        let same = facts.input.desired.pools.get(pool).is_some_and(|declared| {
            plan.spec == declared.bootstrap && plan.labels == declared.labels && plan.tenant == declared.tenant
        });
        if !same || plan.variables != facts.input.desired.variables {
            let address = Address::pool(pool);
            notes.add(Rule::Bootstrap, None, Some(&address), "what the plan carries for it is not what is declared");
        }
    }
}

/// Steps that make hosts which a pool's templates mention.
fn mentioned<'i>(pool: &PoolSpec, index: &'i Index<'_>) -> impl Iterator<Item = &'i Step> + use<'i> {
    let steps: Vec<&'i Step> =
        pool.bootstrap.pools().iter().filter_map(|pool| index.makers.get(pool)).flatten().copied().collect();
    steps.into_iter()
}

/// A host that is made is bootstrapped, where its pool asks for something.
fn started(facts: &Facts<'_>, step: &Step, index: &Index<'_>, notes: &mut Notes) {
    let Some(pool) = pool_of(facts, step).and_then(|pool| facts.input.desired.pools.get(pool)) else { return };
    let boots = |other: &&Step| matches!(other.action, Action::Bootstrap { .. });
    let told = || index.told.contains(&step.address);
    if !pool.bootstrap.is_empty() && !facts.on(&step.address, step.generation).iter().any(boots) && !told() {
        notes.add(Rule::Forgotten, Some(step.id), Some(&step.address), "it is made and never bootstrapped");
    }
    if facts.on(&step.address, step.generation).iter().any(|other| removes(&other.action)) {
        notes.add(Rule::Once, Some(step.id), Some(&step.address), "it is made and removed in one plan");
    }
}

fn pool_of<'a>(facts: &'a Facts<'_>, step: &'a Step) -> Option<&'a Name> {
    let made = facts.on(&step.address, step.generation).iter().find_map(|other| match &other.action {
        Action::Create { record, .. } | Action::Adopt { record, .. } => record.pool.as_ref(),
        Action::Record { to } => to.pool.as_ref(),
        _ => None,
    });
    made.or_else(|| facts.rows.get(&(&step.address, step.generation)).and_then(|row| row.pool.as_ref()))
}
