//! What is done to save something: only where it was asked for, only where it saves enough, and no pool is spread worse.

use std::collections::{BTreeMap, BTreeSet};

use pool_inventory::{
    Kind, Money, Name,
    desired::{Optimize, Spread},
    market::{Change, Machine},
    object::{HostSpec, Recorded, Spec},
};

use super::{
    Notes, Rule,
    facts::{Facts, removes},
};
use crate::plan::{Action, Proposal, Reason, Step};

/// Provider and name of a machine.
type Named<'a> = (&'a str, &'a str);

/// A host that goes to another machine while it runs.
struct Move<'a> {
    step: &'a Step,
    row: &'a Recorded,
    from: &'a HostSpec,
    to: &'a HostSpec,
}

/// A host that is replaced by a cheaper one.
struct Swap<'a> {
    step: &'a Step,
    row: &'a Recorded,
    from: &'a HostSpec,
    to: &'a HostSpec,
    price: Money,
}

pub(super) fn check(facts: &Facts<'_>, notes: &mut Notes) {
    let asked = facts.plan.scope.optimize;
    if !asked && facts.plan.proposal.is_some() {
        notes.add(Rule::Gain, None, None, "it proposes what nobody asked for");
    }
    let (mut moves, mut swaps) = (Vec::new(), Vec::new());
    for step in &facts.plan.steps {
        if !matches!(step.reason, Reason::Optimized { .. }) || step.address.kind != Kind::Host {
            continue;
        }
        if let Err(detail) = sort(facts, step, (&mut moves, &mut swaps)) {
            notes.add(Rule::Gain, Some(step.id), Some(&step.address), detail);
        }
    }
    let Some(proposal) = &facts.plan.proposal else {
        if !moves.is_empty() || !swaps.is_empty() {
            notes.add(Rule::Gain, None, None, "it optimizes and does not say what that comes to");
        }
        return;
    };
    let machines = Machines::new(facts);
    for change in &moves {
        if let Err(detail) = may_move(facts, change, &machines) {
            notes.add(Rule::Gain, Some(change.step.id), Some(&change.step.address), detail);
        }
    }
    for swap in &swaps {
        if let Err(detail) = may_swap(facts, swap, &machines) {
            notes.add(Rule::Gain, Some(swap.step.id), Some(&swap.step.address), detail);
        }
    }
    let emptied = emptied(facts, &moves, &machines, notes);
    sums(proposal, &moves, &swaps, &emptied, notes);
    spread(facts, &moves, &swaps, &machines, notes);
}

/// What a step does to which host, if that host may be touched at all.
fn sort<'a>(
    facts: &'a Facts<'_>,
    step: &'a Step,
    (moves, swaps): (&mut Vec<Move<'a>>, &mut Vec<Swap<'a>>),
) -> Result<(), &'static str> {
    if !facts.plan.scope.optimize {
        return Err("nobody asked to optimize");
    }
    let (_, row) = facts.newest(&step.address).ok_or("it makes a host that is new")?;
    let least = facts.input.desired.policy.min_residence.0 / 1000;
    let age = u64::try_from(facts.input.now.saturating_sub(row.created)).unwrap_or(0);
    if row.created != 0 && age < least {
        return Err("it is moved before its least age");
    }
    match &step.action {
        Action::Update { from: Spec::Host(from), to: Spec::Host(to) } => {
            moves.push(Move { step, row, from, to });
        }
        Action::Create { spec: Spec::Host(to), record, .. } => {
            let from = row.spec.host().ok_or("it takes the place of something else")?;
            swaps.push(Swap { step, row, from, to, price: record.price });
        }
        Action::Delete => {}
        _ => return Err("neither a move nor a replacement"),
    }
    Ok(())
}

/// Machines, and who stands on them: before, and when the plan is done.
struct Machines<'a> {
    all: BTreeMap<Named<'a>, &'a Machine>,
    /// Hosts that are there before, ours and others'.
    before: BTreeSet<Named<'a>>,
    /// Hosts of ours that are there afterwards.
    after: BTreeSet<Named<'a>>,
    /// Hosts that come for other reasons.
    made: BTreeSet<Named<'a>>,
}

impl<'a> Machines<'a> {
    fn new(facts: &'a Facts<'_>) -> Self {
        let mut machines =
            Self { all: BTreeMap::new(), before: BTreeSet::new(), after: BTreeSet::new(), made: BTreeSet::new() };
        for (provider, market) in &facts.input.markets {
            for machine in &market.machines {
                let named = (provider.as_str(), &*machine.name);
                machines.all.insert(named, machine);
                if machine.used.vcpus > 0 || machine.used.memory.0 > 0 {
                    machines.before.insert(named);
                }
            }
        }
        for row in facts.rows.values() {
            let Some(named) = row.spec.host().and_then(|host| on(&row.provider, host)) else { continue };
            machines.before.insert(named);
            let steps = facts.on(&row.address, row.generation);
            let goes = steps.iter().any(|step| removes(&step.action) || host_after(step).is_some());
            if !goes {
                machines.after.insert(named);
            }
        }
        for step in &facts.plan.steps {
            let Some(named) = host_after(step).and_then(|host| on(&step.provider, host)) else { continue };
            machines.after.insert(named);
            if !matches!(step.reason, Reason::Optimized { .. }) {
                machines.made.insert(named);
            }
        }
        machines
    }

    /// Whether a machine is in use without what is optimized.
    fn in_use(&self, provider: &'a Name, host: &'a HostSpec) -> bool {
        on(provider, host).is_none_or(|named| self.before.contains(&named) || self.made.contains(&named))
    }

    fn rack(&self, provider: &'a Name, host: &'a HostSpec) -> Option<&'a str> {
        Some(&*self.all.get(&on(provider, host)?)?.rack)
    }
}

fn on<'a>(provider: &'a Name, host: &'a HostSpec) -> Option<Named<'a>> {
    Some((provider.as_str(), &**host.machine.as_ref()?))
}

/// The host as a step leaves it.
fn host_after(step: &Step) -> Option<&HostSpec> {
    match &step.action {
        Action::Create { spec, .. } | Action::Update { to: spec, .. } | Action::Rebuild { to: spec, .. } => spec.host(),
        _ => None,
    }
}

fn may_move<'a>(facts: &Facts<'_>, change: &Move<'a>, machines: &Machines<'a>) -> Result<(), &'static str> {
    let can = facts.input.capabilities.get(&change.step.provider);
    if can.is_none_or(|can| can.change(Kind::Host, "machine") != Change::InPlace) {
        return Err("its provider moves no hosts that run");
    }
    let moved = HostSpec { machine: change.to.machine.clone(), ..change.from.clone() };
    if change.from.machine == change.to.machine || moved != *change.to {
        return Err("a move changes more, or less, than the machine");
    }
    let pool = change.row.pool.as_ref().and_then(|pool| facts.input.desired.pools.get(pool));
    if pool.is_none_or(|pool| pool.place.optimize == Optimize::Balance) {
        return Err("its pool is not to be packed");
    }
    if pool.is_some_and(|pool| pool.ignore_changes.iter().any(|field| &**field == "machine")) {
        return Err("its pool ignores where hosts stand");
    }
    machines.in_use(&change.step.provider, change.to).then_some(()).ok_or("it goes to a machine that stood empty")
}

fn may_swap<'a>(facts: &Facts<'_>, swap: &Swap<'a>, machines: &Machines<'a>) -> Result<(), String> {
    let least = i128::from(swap.row.price.0) * i128::from(facts.input.desired.policy.min_gain.0);
    let saved = i128::from(swap.row.price.0) - i128::from(swap.price.0);
    if saved <= 0 || saved * 10_000 < least {
        return Err(format!("{} instead of {} is not worth it", swap.price, swap.row.price));
    }
    if !machines.in_use(&swap.step.provider, swap.to) {
        return Err("it goes to a machine that stood empty".into());
    }
    Ok(())
}

/// Machines that moves leave: each stands empty afterwards, and was worth it.
fn emptied<'a>(
    facts: &Facts<'_>,
    moves: &[Move<'a>],
    machines: &Machines<'a>,
    notes: &mut Notes,
) -> BTreeMap<Named<'a>, Money> {
    let mut left: BTreeMap<Named<'a>, i128> = BTreeMap::new();
    for change in moves {
        if let Some(named) = on(&change.step.provider, change.from) {
            *left.entry(named).or_default() += i128::from(change.row.price.0);
        }
    }
    let mut out = BTreeMap::new();
    for (named, moved) in left {
        let Some(machine) = machines.all.get(&named) else { continue };
        let price = i128::from(machine.price.0);
        out.insert(named, machine.price);
        if machines.after.contains(&named) {
            notes.add(
                Rule::Gain,
                None,
                None,
                format!("{}/{} is left by some and does not stand empty", named.0, named.1),
            );
        }
        if price > 0 && price * 10_000 < moved * i128::from(facts.input.desired.policy.min_gain.0) {
            notes.add(Rule::Gain, None, None, format!("to empty {}/{} is not worth it", named.0, named.1));
        }
    }
    out
}

/// What the proposal says is what the steps come to.
fn sums(
    proposal: &Proposal,
    moves: &[Move<'_>],
    swaps: &[Swap<'_>],
    emptied: &BTreeMap<Named<'_>, Money>,
    notes: &mut Notes,
) {
    let told: BTreeMap<Named<'_>, Money> =
        proposal.emptied.iter().map(|e| ((e.provider.as_str(), &*e.machine), e.saved)).collect();
    let cheaper: Money = swaps.iter().map(|swap| swap.row.price - swap.price).sum();
    let machines: Money = emptied.values().copied().sum();
    if (proposal.moved, proposal.replaced) != (moves.len(), swaps.len()) || told != *emptied {
        notes.add(Rule::Gain, None, None, "the proposal counts other steps than there are");
    }
    if proposal.saved != cheaper + machines {
        let detail = format!("{} is said to be saved, and {} is", proposal.saved, cheaper + machines);
        notes.add(Rule::Gain, None, None, detail);
    }
}

/// A place that hosts of a pool are counted by.
type Part<'a> = (&'a str, &'a str, &'a str, &'a str);

/// Hosts that go from one part to another make no pool less even: never to one with as many hosts.
fn spread<'a>(
    facts: &'a Facts<'_>,
    moves: &[Move<'a>],
    swaps: &[Swap<'a>],
    machines: &Machines<'a>,
    notes: &mut Notes,
) {
    let moved = moves.iter().map(|c| (c.step, c.row, c.from, c.to));
    let moved = moved.chain(swaps.iter().map(|s| (s.step, s.row, s.from, s.to)));
    let mut shifts: BTreeMap<&Name, Vec<(Part<'a>, Part<'a>)>> = BTreeMap::new();
    for (step, row, from, to) in moved {
        let Some(pool) = row.pool.as_ref() else { continue };
        let Some(level) = facts.input.desired.pools.get(pool).and_then(|decl| decl.place.spread) else { continue };
        let (from, to) = (part(level, &row.provider, from, machines), part(level, &step.provider, to, machines));
        if from != to {
            shifts.entry(pool).or_default().push((from, to));
        }
    }
    for (pool, shifts) in shifts {
        let Some(level) = facts.input.desired.pools[pool].place.spread else { continue };
        let after = standing(facts, pool, level, machines);
        let mut before = after.clone();
        for (from, to) in &shifts {
            *before.entry(*from).or_default() += 1;
            before.entry(*to).and_modify(|hosts| *hosts -= 1);
        }
        let zone = |part: &Part<'_>| (part.0.to_owned(), part.1.to_owned(), part.2.to_owned());
        let zones: BTreeSet<_> = shifts.iter().flat_map(|(from, to)| [zone(from), zone(to)]).collect();
        let within = |counts: &BTreeMap<Part<'a>, i64>, key: &(String, String, String)| {
            let of = counts.iter().filter(|(part, _)| level != Spread::Rack || zone(part) == *key);
            let of: Vec<i64> = of.map(|(_, hosts)| *hosts).collect();
            (of.iter().max().copied().unwrap_or(0), of.iter().min().copied().unwrap_or(0))
        };
        for key in zones {
            let ((most, least), (most_before, least_before)) = (within(&after, &key), within(&before, &key));
            if most > most_before || least < least_before {
                let detail = format!("{pool} was spread {least_before} to {most_before}, and is {least} to {most}");
                notes.add(Rule::Gain, None, None, detail);
            }
        }
    }
}

fn part<'a>(level: Spread, provider: &'a Name, host: &'a HostSpec, machines: &Machines<'a>) -> Part<'a> {
    let (region, zone) = (&*host.region, &*host.zone);
    match level {
        Spread::Provider => (provider, "", "", ""),
        Spread::Region => (provider, region, "", ""),
        Spread::Zone => (provider, region, zone, ""),
        Spread::Rack => (provider, region, zone, machines.rack(provider, host).unwrap_or("")),
    }
}

/// Hosts of a pool by part, when the plan is done; parts that a host leaves are counted too.
fn standing<'a>(facts: &'a Facts<'_>, pool: &Name, level: Spread, machines: &Machines<'a>) -> BTreeMap<Part<'a>, i64> {
    let mut out: BTreeMap<Part<'a>, i64> = BTreeMap::new();
    for ((address, generation), row) in &facts.rows {
        let Some(host) = row.spec.host().filter(|_| row.pool.as_ref() == Some(pool)) else { continue };
        let steps = facts.on(address, *generation);
        let goes = steps.iter().any(|step| removes(&step.action)) || facts.gone(row);
        let moved = steps.iter().rev().find_map(|step| host_after(step));
        let here = part(level, &row.provider, host, machines);
        out.entry(here).or_default();
        if !goes {
            *out.entry(moved.map_or(here, |host| part(level, &row.provider, host, machines))).or_default() += 1;
        }
    }
    for step in &facts.plan.steps {
        if let Action::Create { spec: Spec::Host(host), record, .. } = &step.action
            && record.pool.as_ref() == Some(pool)
        {
            *out.entry(part(level, &step.provider, host, machines)).or_default() += 1;
        }
    }
    out
}
