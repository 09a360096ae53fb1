//! No limit is broken at any moment, whatever order the run takes.
//!
//! What a run uses of an account after some steps is what was used before plus what those steps add. The steps that are
//! done at some moment are a set that contains, with each step, all that it needs. The worst such set is a closure of
//! greatest weight, which is all that is added less a maximum flow from what adds to what gives back before it.

use std::collections::{BTreeMap, BTreeSet};

use petgraph::{
    algo::dinics,
    graph::{DiGraph, NodeIndex},
};
use pool_inventory::{
    Address, Text,
    object::{Recorded, charges, totals},
};

use super::{Notes, Rule, facts::Facts};
use crate::plan::{Action, Step, StepId};

struct Account {
    limit: u64,
    /// Used before the run, ours and others'.
    used: u64,
    /// Used before the run by what is recorded.
    own: u64,
    /// What each step adds or gives back.
    steps: Vec<(StepId, i128)>,
    /// What hosts add that go elsewhere than planned.
    elsewhere: i128,
}

pub(super) fn check(facts: &Facts<'_>, notes: &mut Notes) {
    let mut accounts = open(facts);
    for (account, amount) in totals(facts.rows.values().copied()) {
        if let Some(account) = accounts.get_mut(&account) {
            account.own = amount;
        }
    }
    for account in accounts.values_mut() {
        account.used = account.used.max(account.own);
    }
    if !accounts.is_empty() {
        for step in &facts.plan.steps {
            for (account, delta) in deltas(facts, step) {
                if let Some(account) = accounts.get_mut(&account) {
                    account.steps.push((step.id, delta));
                }
            }
        }
    }
    if !accounts.is_empty() {
        for (account, more) in super::alternatives::beyond(facts) {
            accounts.entry(account).and_modify(|account| account.elsewhere = more);
        }
    }
    let mut promised: BTreeMap<&Text, (u64, u64)> = BTreeMap::new();
    for demand in &facts.plan.demand {
        if promised.insert(&demand.account, (demand.amount, demand.limit)).is_some() {
            notes.add(Rule::Room, None, None, format!("{} is demanded twice", demand.account));
        }
    }
    for (name, account) in &accounts {
        let (amount, limit) = promised.remove(name).unwrap_or((0, 0));
        judge(facts, name, account, (amount, limit), notes);
    }
    for account in promised.keys() {
        notes.add(Rule::Room, None, None, format!("{account} has no limit and is demanded"));
    }
}

fn judge(facts: &Facts<'_>, name: &Text, account: &Account, (amount, limit): (u64, u64), notes: &mut Notes) {
    let others = account.used - account.own;
    if amount > 0 && limit != account.limit.saturating_sub(others) {
        notes.add(Rule::Room, None, None, format!("the limit of {name} is not {limit}"));
    }
    if amount > 0 && account.used.saturating_add(amount) > account.limit {
        let detail =
            format!("{name} has no room for the demanded {amount}: {} of {} are used", account.used, account.limit);
        notes.add(Rule::Room, None, None, detail);
    }
    let added: i128 = account.steps.iter().map(|(_, delta)| (*delta).max(0)).sum();
    if added + account.elsewhere <= i128::from(amount) {
        return;
    }
    let peak = worst(facts, &account.steps, added) + account.elsewhere;
    if peak > i128::from(amount) {
        let detail = format!("a run may add {peak} to {name} at some moment, and {amount} are demanded");
        notes.add(Rule::Room, None, None, detail);
    }
}

fn open(facts: &Facts<'_>) -> BTreeMap<Text, Account> {
    let mut accounts: BTreeMap<Text, Account> = BTreeMap::new();
    let mut add = |name: String, limit: Option<u64>, used: Option<u64>| {
        if let Some(limit) = limit {
            let fresh = Account { limit, used: used.unwrap_or(0), own: 0, steps: Vec::new(), elsewhere: 0 };
            accounts.entry(name.into()).or_insert(fresh);
        }
    };
    for (tenant, spec) in &facts.input.desired.tenants {
        for (what, limit) in spec.quota.limits() {
            add(format!("tenant/{tenant}/{what}"), Some(limit), None);
        }
    }
    for (provider, market) in &facts.input.markets {
        for (what, limit) in &market.limits {
            add(format!("provider/{provider}/{what}"), Some(limit.limit), Some(limit.used));
        }
    }
    for (provider, market) in &facts.input.markets {
        for (name, limit) in market.machines.iter().flat_map(|machine| machine.accounts(provider)) {
            add(name.to_string(), Some(limit.limit), Some(limit.used));
        }
    }
    for backend in facts.input.markets.values().flat_map(|market| &market.backends) {
        add(format!("backend/{}", backend.name), Some(backend.capacity.0), Some(backend.allocated.0));
    }
    accounts
}

/// What a step adds to each account, less what it gives back.
fn deltas(facts: &Facts<'_>, step: &Step) -> Vec<(Text, i128)> {
    let row = facts.rows.get(&(&step.address, step.generation));
    let of = |row: &Recorded| row.charges();
    let (plus, minus) = match &step.action {
        Action::Create { spec, record, .. } | Action::Adopt { spec, record } => {
            let adopted = matches!(step.action, Action::Adopt { .. });
            let plus = charges(spec, &record.tenant, &step.provider, record.price, adopted);
            (plus, row.map_or_else(Vec::new, |row| of(row)))
        }
        Action::Delete | Action::Release | Action::Forget => {
            let edited = edited(facts, &step.address, step.generation);
            (Vec::new(), edited.or(row.map(|row| &**row)).map_or_else(Vec::new, of))
        }
        Action::Update { from, to } | Action::Rebuild { from, to } => {
            let Some(row) = edited(facts, &step.address, step.generation).or(row.map(|row| &**row)) else {
                return Vec::new();
            };
            let of = |spec| charges(spec, &row.tenant, &row.provider, row.price, row.adopted);
            (of(to), of(from))
        }
        // What a rename or a find brings into the records counts as there from the beginning.
        Action::Record { to } if !facts.entered.contains_key(&(&step.address, step.generation)) => {
            (of(to), row.map_or_else(Vec::new, |row| of(row)))
        }
        _ => return Vec::new(),
    };
    let mut sums: BTreeMap<Text, i128> = BTreeMap::new();
    for (account, amount) in plus {
        *sums.entry(account).or_default() += i128::from(amount);
    }
    for (account, amount) in minus {
        *sums.entry(account).or_default() -= i128::from(amount);
    }
    sums.into_iter().filter(|(_, delta)| *delta != 0).collect()
}

/// The row as an earlier step of the plan writes it.
fn edited<'a>(facts: &Facts<'a>, address: &'a Address, generation: u32) -> Option<&'a Recorded> {
    facts.on(address, generation).iter().find_map(|step| match &step.action {
        Action::Record { to } => Some(&**to),
        _ => None,
    })
}

/// The most that some set of steps adds which contains all that its steps need.
fn worst(facts: &Facts<'_>, steps: &[(StepId, i128)], added: i128) -> i128 {
    let giving: BTreeMap<StepId, i128> = steps.iter().filter(|(_, d)| *d < 0).map(|(id, d)| (*id, -d)).collect();
    let Some(first) = giving.keys().next().copied() else { return added };
    let mut graph: DiGraph<(), u64> = DiGraph::new();
    let (source, sink) = (graph.add_node(()), graph.add_node(()));
    let amount = |value: i128| u64::try_from(value).unwrap_or(u64::MAX);
    let mut nodes: BTreeMap<StepId, NodeIndex> = BTreeMap::new();
    for (&id, &gives) in &giving {
        let node = graph.add_node(());
        graph.add_edge(node, sink, amount(gives));
        nodes.insert(id, node);
    }
    for &(id, delta) in steps.iter().filter(|(_, delta)| *delta > 0) {
        let before = given_before(facts, id, first, &giving);
        if before.is_empty() {
            continue;
        }
        let node = graph.add_node(());
        graph.add_edge(source, node, amount(delta));
        for give in before {
            graph.add_edge(node, nodes[&give], u64::MAX / 4);
        }
    }
    let (flow, _) = dinics(&graph, source, sink);
    added - i128::from(flow)
}

/// Steps that give back and that a step waits for.
fn given_before(facts: &Facts<'_>, id: StepId, first: StepId, giving: &BTreeMap<StepId, i128>) -> BTreeSet<StepId> {
    let mut out = BTreeSet::new();
    let mut visited = BTreeSet::new();
    let mut stack = vec![id];
    while let Some(id) = stack.pop() {
        for &need in &facts.plan.steps[id.0 as usize].needs {
            if need >= first && visited.insert(need) {
                if giving.contains_key(&need) {
                    out.insert(need);
                }
                stack.push(need);
            }
        }
    }
    out
}
