//! Why an object is where it is, and why it changes or does not.

use pool_inventory::{Address, Name, desired::PoolSpec, market::BackendOffer, object::Recorded};
use serde::Serialize;

use crate::{
    error::PlanError,
    input::PlanInput,
    make::{groups::open_to, tiers::serving},
    plan::{Candidate, GroupId, Plan, Refusal, StepId, Why},
};

/// All that a plan and its input know about one object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The object.
    pub address: Address,
    /// What is recorded of it, oldest generation first; empty: it was never made.
    pub recorded: Vec<Recorded>,
    /// Steps of the plan that act on it, in order; each has its reason.
    pub steps: Vec<StepId>,
    /// What the plan does not do about it, and why.
    pub declined: Vec<Why>,
    /// Groups in which the plan placed it, or tried to.
    pub groups: Vec<GroupId>,
    /// Places that it could have now, best first; for hosts of numbered pools and their volumes.
    pub candidates: Vec<Candidate>,
    /// Places that it cannot have, and why.
    pub refusals: Vec<Refusal>,
}

/// Explains one object. For one that the plan places, its groups tell more: they count what others took.
///
/// # Errors
///
/// As [`crate::plan()`]: when the pool refers to something that is not declared.
pub fn explain(input: &PlanInput, plan: &Plan, address: &Address) -> Result<Explanation, PlanError> {
    let host = address.host_of_volume().unwrap_or_else(|| address.clone());
    let (candidates, refusals) = match pool_of(input, &host) {
        Some((name, spec)) => open_to(input, name, spec)?,
        None => (Vec::new(), Vec::new()),
    };
    let groups = (0..).zip(&plan.groups).filter(|(_, group)| group.hosts.contains(&host.name));
    Ok(Explanation {
        address: address.clone(),
        recorded: input.recorded.iter().filter(|row| row.address == *address).cloned().collect(),
        steps: plan.steps.iter().filter(|step| step.address == *address).map(|step| step.id).collect(),
        declined: plan.declined.iter().filter(|d| d.address == *address).map(|d| d.why.clone()).collect(),
        groups: groups.map(|(at, _)| GroupId(at)).collect(),
        candidates,
        refusals,
    })
}

/// The places that hosts of a declared pool could have now, best first, and why the others will not do; room that others
/// use up is not looked at.
///
/// # Errors
///
/// As [`crate::plan()`]: when the pool refers to something that is not declared.
pub fn places(input: &PlanInput, pool: &Name) -> Result<(Vec<Candidate>, Vec<Refusal>), PlanError> {
    match input.desired.pools.get(pool) {
        Some(spec) => open_to(input, pool, spec),
        None => Ok((Vec::new(), Vec::new())),
    }
}

/// The backends that may serve a declared tier in a zone of a provider, best first, and why the others will not do;
/// room that others use up is not looked at.
pub fn backends<'a>(
    input: &'a PlanInput,
    provider: &Name,
    zone: &str,
    tier: &Name,
) -> (Vec<&'a BackendOffer>, Vec<Refusal>) {
    let spec = input.desired.tiers.get(tier);
    let serving = spec.map(|spec| serving(input, provider, zone, spec)).unwrap_or_default();
    (serving.offers, serving.refusals)
}

/// The numbered pool that a host belongs to.
fn pool_of<'a>(input: &'a PlanInput, host: &Address) -> Option<(&'a Name, &'a PoolSpec)> {
    let (pool, _) = host.name.rsplit_once('-')?;
    input.desired.pools.get_key_value(pool).filter(|(_, spec)| spec.hosts.numbered().is_some())
}
