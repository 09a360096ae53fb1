//! Why hosts are not at a place that somebody thought of.

use std::collections::BTreeSet;

use pool_inventory::{
    Address, Kind, Name,
    desired::{Hosts, Optimize, PoolSpec},
    object::HostSpec,
};
use serde::Serialize;

use crate::{
    error::PlanError,
    input::PlanInput,
    make::groups::family_of,
    plan::{Action, Candidate, Plan, Refusal},
};

/// What a place is to one pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WhyNot {
    /// The pool.
    pub pool: Name,
    /// Hosts of it that stand there once the plan is carried out.
    pub there: usize,
    /// Hosts of it in all, those among them that find no place.
    pub hosts: usize,
    /// The best that has room there, or, where nothing has, that could be taken if it had; none: nothing there will do.
    pub fits: Option<Candidate>,
    /// What it stands beside: the last place that the plan took for the pool, or, where it takes none, the best of all.
    pub other: Option<Candidate>,
    /// In a word.
    pub verdict: Verdict,
    /// What stands against the place: where nothing fits, all of it; else what had no room when hosts were placed.
    pub refusals: Vec<Refusal>,
}

/// Why hosts of a pool are not at a place, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// All its hosts are there.
    AllThere,
    /// Nothing there will do.
    Unfit,
    /// The plan places none of its hosts, and does not move those that stand.
    Stands,
    /// What there is had no room left.
    NoRoom,
    /// The plan took no place that is worse.
    Worse,
    /// Hosts are spread, and the others are where spreading wants them.
    Spread,
    /// Places are taken by how full they are.
    Use,
    /// It is as good as the places that were taken, or better, but hosts of other pools need it more.
    Shared,
}

/// Says of each numbered pool why it is not, or not with all its hosts, at `PROVIDER` or `PROVIDER/ZONE`.
///
/// # Errors
///
/// As [`crate::plan()`]: when a pool refers to something that is not declared.
pub fn why_not(input: &PlanInput, plan: &Plan, place: &str) -> Result<Vec<WhyNot>, PlanError> {
    let (provider, zone) = place.split_once('/').map_or((place, None), |(provider, zone)| (provider, Some(zone)));
    let numbered = |(_, spec): &(&Name, &PoolSpec)| !matches!(spec.hosts, Hosts::Named(_));
    let mut out = Vec::new();
    for (pool, spec) in input.desired.pools.iter().filter(numbered) {
        let (all, known) = family_of(input, pool, spec)?;
        let here = |c: &&Candidate| c.provider.as_str() == provider && zone.is_none_or(|zone| *c.zone == *zone);
        let groups = || plan.groups.iter().filter(|group| group.pool == *pool);
        let taken = groups().flat_map(|group| &group.candidates).filter(|c| c.taken > 0);
        let order = |c: &Candidate| all.iter().position(|other| same(other, c));
        let last = taken.max_by_key(|c| order(c));
        let about = |refusal: &&Refusal| touches(&refusal.candidate, provider, zone);
        let found = groups().flat_map(|group| &group.refusals).filter(|refusal| !known.contains(refusal));
        let found: Vec<Refusal> = found.filter(about).cloned().collect();
        let open = all.iter().filter(here).find(|c| !found.iter().any(|refusal| covers(&refusal.candidate, c)));
        let fits = open.or(all.iter().find(here)).cloned();
        let refusals = if fits.is_some() { found } else { known.iter().filter(about).cloned().collect() };
        let stands: Vec<(&Name, &HostSpec)> = stands(input, plan, pool);
        let at = |(at, host): &&(&Name, &HostSpec)| at.as_str() == provider && zone.is_none_or(|z| *host.zone == *z);
        let there = stands.iter().filter(at).count();
        let hosts = stands.len().max(spec.hosts.most());
        let verdict = match &fits {
            _ if there == hosts && there > 0 => Verdict::AllThere,
            None => Verdict::Unfit,
            Some(_) if groups().next().is_none() => Verdict::Stands,
            Some(_) if open.is_none() => Verdict::NoRoom,
            Some(fits) if last.is_some_and(|last| order(last) < order(fits)) => Verdict::Worse,
            Some(_) if spec.place.spread.is_some() => Verdict::Spread,
            Some(_) if matches!(spec.place.optimize, Optimize::Balance | Optimize::Pack) => Verdict::Use,
            Some(_) => Verdict::Shared,
        };
        let refusals = if verdict == Verdict::AllThere { Vec::new() } else { refusals };
        let (pool, other) = (pool.clone(), last.or(all.first()).cloned());
        out.push(WhyNot { pool, there, hosts, fits, other, verdict, refusals });
    }
    Ok(out)
}

fn same(a: &Candidate, b: &Candidate) -> bool {
    (&a.provider, &a.region, &a.zone, &a.offering) == (&b.provider, &b.region, &b.zone, &b.offering)
}

/// Whether a refusal is about all of a place, or about its provider, or about everything.
fn covers(refused: &str, candidate: &Candidate) -> bool {
    let whole = [candidate.provider.as_str(), &*candidate.zone, &*candidate.offering];
    refused.split('/').zip(whole).all(|(part, wanted)| part == "*" || part == wanted)
}

/// Whether a refusal is about a place: about it, a part of it, or all of its provider.
fn touches(candidate: &str, provider: &str, zone: Option<&str>) -> bool {
    let mut parts = candidate.split('/');
    let fits = |part: Option<&str>, wanted: Option<&str>| match (part, wanted) {
        (Some(part), Some(wanted)) => part == wanted || part == "*",
        _ => true,
    };
    fits(parts.next(), Some(provider)) && fits(parts.next(), zone)
}

/// Where the hosts of a pool stand once a plan is carried out.
fn stands<'a>(input: &'a PlanInput, plan: &'a Plan, pool: &Name) -> Vec<(&'a Name, &'a HostSpec)> {
    let mut out = Vec::new();
    let mut moved: BTreeSet<&Address> = BTreeSet::new();
    for step in plan.steps.iter().filter(|step| step.address.kind == Kind::Host) {
        match &step.action {
            Action::Create { spec, record, .. } | Action::Adopt { spec, record } => {
                moved.insert(&step.address);
                if let Some(host) = spec.host().filter(|_| record.pool.as_ref() == Some(pool)) {
                    out.push((&step.provider, host));
                }
            }
            Action::Delete | Action::Release | Action::Forget => drop(moved.insert(&step.address)),
            _ => {}
        }
    }
    let stays = input.recorded.iter().filter(|row| row.pool.as_ref() == Some(pool) && !moved.contains(&row.address));
    out.extend(stays.filter_map(|row| Some((&row.provider, row.spec.host()?))));
    out
}
