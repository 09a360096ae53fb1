//! What was seen, and what the plans ask for.

use std::collections::BTreeMap;

use pool_inventory::{
    Address, Bytes, Name, Text,
    desired::{PoolSpec, QuotaSpec},
    object::{Recorded, Spec, charges},
};
use pool_planner::{Action, Plan, PlanInput, Step};
use pool_providers::ProviderError;

use super::super::{chain, plan::matches_provider};

/// What the checks look at.
pub(super) struct Look {
    pub input: PlanInput,
    pub errors: BTreeMap<Name, ProviderError>,
    /// The plan that would be made now.
    pub plan: Result<Plan, Text>,
    /// The plan that would be made if there were no limits, and what it adds to each account; none: there is none.
    pub wide: Option<(Plan, BTreeMap<Text, i128>)>,
}

impl Look {
    pub(super) fn new(input: PlanInput, errors: BTreeMap<Name, ProviderError>) -> Self {
        let plan = pool_planner::plan(&input).map_err(|error| chain(&error).into());
        let wide = pool_planner::plan(&limitless(&input)).ok();
        let wide = wide.map(|plan| {
            let needs = needs(&plan, &input.recorded);
            (plan, needs)
        });
        Self { input, errors, plan, wide }
    }

    /// What the declaration asks for beyond what an account holds now, by its whole name; none: there is no plan.
    pub(super) fn need(&self, account: &str) -> Option<u64> {
        let (_, needs) = self.wide.as_ref()?;
        Some(u64::try_from(needs.get(account).copied().unwrap_or(0)).unwrap_or(0))
    }

    /// The things that are made at a provider.
    pub(super) fn made(&self, provider: &Name) -> impl Iterator<Item = (&Address, &Spec)> {
        let steps = self.wide.iter().flat_map(|(plan, _)| &plan.steps).filter(move |step| step.provider == *provider);
        steps.filter_map(|step| match &step.action {
            Action::Create { spec, .. } => Some((&step.address, spec)),
            _ => None,
        })
    }

    /// Pools of numbered hosts that may stand at a provider, and whether they name it.
    pub(super) fn pools(&self, provider: &Name) -> impl Iterator<Item = (&Name, &PoolSpec, bool)> {
        let alone = self.input.capabilities.values().filter(|can| can.creates).count() < 2;
        let numbered = |(_, spec): &(&Name, &PoolSpec)| spec.hosts.numbered().is_some();
        self.input.desired.pools.iter().filter(numbered).filter_map(move |(name, spec)| {
            let head = |pattern: &str| pattern.split('/').next() == Some(provider.as_str());
            let allowed = spec.place.on.is_empty() || spec.place.on.iter().any(|on| matches_provider(&on.0, provider));
            allowed.then(|| (name, spec, alone || spec.place.on.iter().any(|on| head(&on.0))))
        })
    }
}

/// The same world without limits of accounts, tenants and backends.
fn limitless(input: &PlanInput) -> PlanInput {
    let mut input = input.clone();
    for tenant in input.desired.tenants.values_mut() {
        tenant.quota = QuotaSpec::default();
    }
    for market in input.markets.values_mut() {
        market.limits.clear();
        for backend in &mut market.backends {
            (backend.capacity, backend.allocated) = (Bytes(u64::MAX / 2), Bytes(0));
        }
    }
    input
}

/// What a plan adds to each account in the end.
fn needs(plan: &Plan, recorded: &[Recorded]) -> BTreeMap<Text, i128> {
    let rows: BTreeMap<(&Address, u32), &Recorded> =
        recorded.iter().map(|row| ((&row.address, row.generation), row)).collect();
    let mut sums: BTreeMap<Text, i128> = BTreeMap::new();
    for step in &plan.steps {
        let (plus, minus) = deltas(step, rows.get(&(&step.address, step.generation)).copied());
        for (sign, amounts) in [(1, plus), (-1, minus)] {
            for (account, amount) in amounts {
                *sums.entry(account).or_default() += sign * i128::from(amount);
            }
        }
    }
    sums
}

type Amounts = Vec<(Text, u64)>;

/// What a step adds, and what it gives back.
fn deltas(step: &Step, row: Option<&Recorded>) -> (Amounts, Amounts) {
    match (&step.action, row) {
        (Action::Create { spec, record, .. } | Action::Adopt { spec, record }, row) => {
            let adopted = matches!(step.action, Action::Adopt { .. });
            let plus = charges(spec, &record.tenant, &step.provider, record.price, adopted);
            (plus, row.map_or_else(Vec::new, ours))
        }
        (Action::Delete | Action::Release, Some(row)) => (Vec::new(), row.charges()),
        // What is gone uses nothing at its provider any more.
        (Action::Forget, Some(row)) => (Vec::new(), ours(row)),
        (Action::Update { from, to } | Action::Rebuild { from, to }, Some(row)) => {
            let of = |spec| charges(spec, &row.tenant, &row.provider, row.price, row.adopted);
            (of(to), of(from))
        }
        _ => (Vec::new(), Vec::new()),
    }
}

/// What the records alone know of.
fn ours(row: &Recorded) -> Amounts {
    let mut all = row.charges();
    all.retain(|(account, _)| account.starts_with("tenant/"));
    all
}
