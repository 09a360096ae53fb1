//! Creation: the one act that must not happen twice.
//!
//! The row with its token is durable before the request leaves. A lost answer is settled by looking the token up;
//! absence counts only after the provider's visibility delay. A place without capacity is left for the next approved
//! one, under a new attempt and so a new token.

use std::{borrow::Cow, time::Instant};

use pool_inventory::{
    Money, Token,
    object::{HostSpec, Observed, Recorded, Spec, Status},
};
use pool_planner::{
    Step,
    plan::{Candidate, GroupId, NewRecord},
};
use pool_providers::{Act, ProviderError, Request};

use super::{
    Shared,
    recorder::Effect,
    settle::{Doubt, look_up},
    step::{Done, StepError, account, endpoint_text, owner, started, take_endpoint, wait},
};
use crate::{
    account::Account,
    clock,
    event::{Event, Failure, FailureClass},
    retry::{self, Next},
};

/// What is to be made.
pub struct Wish<'a> {
    /// In full.
    pub spec: &'a Spec,
    /// What its row holds from the start.
    pub record: &'a NewRecord,
    /// Its placement, with alternatives.
    pub group: Option<GroupId>,
    /// Whether it exists and is only recorded.
    pub adopted: bool,
}

/// Makes an object, or finds the one that an earlier attempt made.
pub async fn create(shared: &Shared, step: &Step, wish: Wish<'_>) -> Done {
    // Attempts of a run start above those of all runs before: a token never stands for two different wishes.
    let mut attempt = shared.first_attempt;
    if let Some(row) = shared.records.get(&step.address, step.generation) {
        if row.id.is_some() {
            return Ok((endpoint_text(&row), Effect::Put(row)));
        }
        if let Some(seen) = look_up(account(shared, step)?, &row.token, Doubt::Since(shared.quiet)).await? {
            return made(row, &seen);
        }
    }
    let alternatives =
        wish.group.and_then(|id| shared.plan.groups.get(id.0 as usize)).map_or(&[][..], |g| &g.alternatives);
    // A host keeps its own address wherever it is made.
    let others = alternatives.iter().map(|other| addressed(other, wish.spec)).filter(|other| **other != *wish.spec);
    let (mut others, mut spec) = (others, Cow::Borrowed(wish.spec));
    loop {
        let row = new_row(shared, step, &wish, &spec, attempt);
        started(shared, step, attempt, Some(row.clone())).await?;
        let error = match attempt_once(shared, step, &row).await? {
            Ok(seen) => return made(row, &seen),
            Err(error) => error,
        };
        let elsewhere = if retry::next(&error) == Next::Elsewhere { others.next() } else { None };
        if retry::next(&error) == Next::Elsewhere {
            let out = place_name(step, &spec);
            shared.recorder.store().remember_stock_out(&out, clock::now()).await?;
        }
        let Some(next) = elsewhere else { return Err(failed(step, error)) };
        let event = Event::StepMoved {
            step: step.id,
            from: place_name(step, &spec).into(),
            to: place_name(step, &next).into(),
        };
        shared.recorder.write(Some(step), "moved", &event, Effect::None, Some(event.clone())).await?;
        (spec, attempt) = (next, attempt + 1);
    }
}

/// One token's worth of trying. The outer error ends the step, the inner one ends the attempt.
async fn attempt_once(
    shared: &Shared,
    step: &Step,
    row: &Recorded,
) -> Result<Result<Box<Observed>, ProviderError>, StepError> {
    let account = account(shared, step)?;
    let request = |spec| Request {
        owner: owner(shared, row),
        name: shared.cloud_name(&step.address.name),
        act: Act::Create(spec),
    };
    let mut tries = 0;
    loop {
        let answer = match as_known(shared, account, &row.spec).await {
            Ok(spec) => account.act(request(spec)).await,
            Err(error) => Err(error),
        };
        let error = match answer {
            Ok(Some(seen)) => return Ok(Ok(seen)),
            Ok(None) => ProviderError::Other("the provider says that it was deleted while it was made".into()),
            Err(error) => error,
        };
        let next = retry::next(&error);
        if next == Next::Settle {
            match look_up(account, &row.token, Doubt::Since(Instant::now())).await {
                Ok(Some(seen)) => return Ok(Ok(Box::new(seen))),
                Ok(None) => {}
                // Still in doubt: the row stays, so that the next apply settles it.
                Err(error) => return Err(StepError::Failed(Box::new(retry::failure(&error)), Box::new(Effect::None))),
            }
        }
        if !matches!(next, Next::Again | Next::Settle) || tries + 1 >= retry::MAX_TRIES {
            return Ok(Err(error));
        }
        wait(shared, step, &error, tries).await;
        tries += 1;
    }
}

/// What is made from another object names it as its provider knows it: by the address that it was made with, though a
/// `moved:` may have renamed it since. Its token tells whether that is so, and only then its provider is asked.
async fn as_known(shared: &Shared, account: &Account, spec: &Spec) -> Result<Spec, ProviderError> {
    let mut spec = spec.clone();
    let named = match &mut spec {
        Spec::Snapshot(copy) | Spec::Backup(copy) => Some(&mut copy.of),
        Spec::Volume(volume) => volume.from.as_mut(),
        Spec::Host(_) | Spec::Network(_) => None,
    };
    let Some(named) = named else { return Ok(spec) };
    let Some(row) = shared.records.newest(named) else { return Ok(spec) };
    if row.token != Token::derive(&shared.lineage, &row.address, row.generation, row.attempt)
        && let Some(owner) = account.find(&row.token).await?.and_then(|seen| seen.owner)
    {
        *named = owner.address;
    }
    Ok(spec)
}

fn new_row(shared: &Shared, step: &Step, wish: &Wish<'_>, spec: &Spec, attempt: u32) -> Recorded {
    let record = wish.record;
    Recorded {
        address: step.address.clone(),
        generation: step.generation,
        tenant: record.tenant.clone(),
        pool: record.pool.clone(),
        provider: step.provider.clone(),
        id: None,
        token: Token::derive(&shared.lineage, &step.address, step.generation, attempt),
        attempt,
        spec: spec.clone(),
        endpoint: None,
        bootstrapped: None,
        adopted: wish.adopted,
        protected: record.protected,
        needs: record.needs.clone(),
        price: price(shared, wish, spec).unwrap_or(record.price),
        serial: 0,
        created: crate::clock::now(),
    }
}

/// An alternative for a host, with the address that was chosen for that host.
fn addressed<'a>(other: &'a Spec, own: &Spec) -> Cow<'a, Spec> {
    match (other, own.host().and_then(|own| own.address)) {
        (Spec::Host(host), Some(address)) => {
            Cow::Owned(Spec::Host(HostSpec { address: Some(address), ..host.clone() }))
        }
        _ => Cow::Borrowed(other),
    }
}

/// What a host costs at the place where it is made: an alternative has a price of its own.
fn price(shared: &Shared, wish: &Wish<'_>, spec: &Spec) -> Option<Money> {
    if spec == wish.spec {
        return None;
    }
    let group = shared.plan.groups.get(wish.group?.0 as usize)?;
    let host = spec.host()?;
    let here =
        |place: &&Candidate| place.offering == host.offering && place.zone == host.zone && place.region == host.region;
    group.candidates.iter().find(here).map(|place| place.price)
}

/// The row of an object that exists. What is ours alone (labels of no cloud, `on_remove`) stays as it was asked for.
/// A broken object exists too: it is recorded, so that the next plan replaces it, and the step fails.
fn made(mut row: Recorded, seen: &Observed) -> Done {
    row.id = Some(seen.id.clone());
    take_endpoint(&mut row, Some(seen));
    let Some(why) = broken(&row, seen) else { return Ok((endpoint_text(&row), Effect::Put(row))) };
    let failure = Failure {
        class: FailureClass::Broken,
        message: format!("it was made, and the provider reports it broken: {why}").into(),
        detail: None,
        hint: Some("the next pool apply replaces it".into()),
    };
    Err(StepError::Failed(Box::new(failure), Box::new(Effect::Put(row))))
}

/// Why what was made is of no use. What is adopted may be as it is.
fn broken<'s>(row: &Recorded, seen: &'s Observed) -> Option<&'s pool_inventory::Text> {
    match &seen.status {
        Status::Failed(why) if !row.adopted => Some(why),
        _ => None,
    }
}

/// A definitive failure: nothing was made, so nothing is recorded.
fn failed(step: &Step, error: ProviderError) -> StepError {
    let effect = match retry::next(&error) {
        // Whether the last try happened is known: each of these says that it did not.
        Next::Again | Next::GiveUp | Next::Elsewhere | Next::Absent => {
            Effect::Remove(step.address.clone(), step.generation)
        }
        Next::Settle => Effect::None,
    };
    StepError::Failed(Box::new(retry::failure(&error)), Box::new(effect))
}

/// `PROVIDER/ZONE/OFFERING`, as stock-outs are remembered.
fn place_name(step: &Step, spec: &Spec) -> String {
    match spec {
        Spec::Host(host) => format!("{}/{}/{}", step.provider, host.zone, host.offering),
        Spec::Volume(volume) => format!("{}/{}", step.provider, volume.backend),
        Spec::Network(_) | Spec::Snapshot(_) | Spec::Backup(_) => step.provider.to_string(),
    }
}
