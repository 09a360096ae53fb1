//! Creation: the one act that must not happen twice.
//!
//! The row with its token is durable before the request leaves. A lost answer is settled by looking the token up;
//! absence counts only after the provider's visibility delay. A place without capacity is left for the next approved
//! one, under a new attempt and so a new token; volumes that are made with a host follow it.

use std::time::Instant;

use pool_inventory::{
    Money, Name, Text, Token,
    object::{HostSpec, Observed, Recorded, Spec, Status, VolumeSpec},
};
use pool_planner::{
    Step,
    plan::{Alternative, GroupId, NewRecord},
};
use pool_providers::{Act, ProviderError, Request};

use super::{
    Shared,
    recorder::Effect,
    settle::{Doubt, look_up},
    step::{Done, StepError, account_of, endpoint_text, owner, started, take_endpoint, wait},
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
        if let Some(seen) = look_up(account_of(shared, &row.provider)?, &row.token, Doubt::Since(shared.quiet)).await? {
            return made(row, &seen);
        }
    }
    let alternatives =
        wish.group.and_then(|id| shared.plan.groups.get(id.0 as usize)).map_or(&[][..], |g| &g.alternatives);
    let planned = followed(shared, step, &wish).unwrap_or_else(|| Place {
        provider: step.provider.clone(),
        spec: wish.spec.clone(),
        price: wish.record.price,
        other: None,
    });
    let open = alternatives.iter().filter(|other| shared.accounts.contains_key(&other.provider));
    let others = open.map(|other| Place::of(other, wish.spec));
    let others = others.filter(|other| other.provider != planned.provider || other.spec != planned.spec);
    let mut places = [planned.clone()].into_iter().chain(others).filter(|place| !shared.is_dry(place));
    // All that are approved were found sold out by now: perhaps the first is not any more.
    let mut place = places.next().unwrap_or_else(|| planned.clone());
    let mut passed_by = place.other.is_some().then(|| planned.clone());
    loop {
        let row = new_row(shared, step, &wish, &place, attempt);
        started(shared, step, attempt, Some(row.clone())).await?;
        if let Some(planned) = passed_by.take() {
            moved(shared, step, &planned, &place).await?;
        }
        let error = match attempt_once(shared, step, &row).await? {
            Ok(seen) => {
                shared.settled_at(&step.address, place.other);
                return made(row, &seen);
            }
            Err(error) => error,
        };
        if retry::next(&error) != Next::Elsewhere {
            return Err(failed(step, error));
        }
        shared.recorder.store().remember_stock_out(&place.name(), clock::now()).await?;
        shared.found_dry(&place);
        let Some(next) = places.next() else { return Err(failed(step, error)) };
        moved(shared, step, &place, &next).await?;
        (place, attempt) = (next, attempt + 1);
    }
}

/// Says that a host is made at another place, because that one is sold out.
async fn moved(shared: &Shared, step: &Step, from: &Place<'_>, to: &Place<'_>) -> Result<(), StepError> {
    let event = Event::StepMoved { step: step.id, from: from.name(), to: to.name() };
    shared.recorder.write(Some(step), "moved", &event, Effect::None, Some(event.clone())).await?;
    Ok(())
}

/// Where something is made: as planned, or at an approved alternative.
#[derive(Clone)]
pub struct Place<'p> {
    provider: Name,
    spec: Spec,
    price: Money,
    /// None: as planned.
    other: Option<&'p Alternative>,
}

impl<'p> Place<'p> {
    /// A host elsewhere, with the address that was chosen for it.
    fn of(other: &'p Alternative, own: &Spec) -> Self {
        let address = own.host().and_then(|own| own.address);
        let spec = Spec::Host(HostSpec { address, ..other.host.clone() });
        Self { provider: other.provider.clone(), spec, price: other.price, other: Some(other) }
    }

    /// `PROVIDER/ZONE/OFFERING`, as stock-outs are remembered.
    pub fn name(&self) -> Text {
        match &self.spec {
            Spec::Host(host) => format!("{}/{}/{}", self.provider, host.zone, host.offering).into(),
            Spec::Volume(volume) => format!("{}/{}", self.provider, volume.backend).into(),
            Spec::Network(_) | Spec::Snapshot(_) | Spec::Backup(_) => self.provider.as_str().into(),
        }
    }

    /// Whether a stock-out there is one for all hosts that would go there. A full backend may have room for less.
    pub fn is_host(&self) -> bool {
        self.spec.host().is_some()
    }
}

/// Where a new volume is made whose host was made elsewhere than planned, and that follows it.
fn followed<'p>(shared: &Shared, step: &Step, wish: &Wish<'_>) -> Option<Place<'p>> {
    let Spec::Volume(volume) = wish.spec else { return None };
    let host = step.address.host_of_volume()?;
    let other = shared.went_to(&host)?;
    let (_, name) = step.address.name.split_once('.')?;
    let follower = other.volumes.get(name)?;
    let spec = VolumeSpec { backend: follower.backend.clone(), zone: other.host.zone.clone(), ..volume.clone() };
    Some(Place { provider: other.provider.clone(), spec: Spec::Volume(spec), price: follower.price, other: None })
}

/// One token's worth of trying. The outer error ends the step, the inner one ends the attempt.
async fn attempt_once(
    shared: &Shared,
    step: &Step,
    row: &Recorded,
) -> Result<Result<Box<Observed>, ProviderError>, StepError> {
    let account = account_of(shared, &row.provider)?;
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

fn new_row(shared: &Shared, step: &Step, wish: &Wish<'_>, place: &Place<'_>, attempt: u32) -> Recorded {
    let record = wish.record;
    Recorded {
        address: step.address.clone(),
        generation: step.generation,
        tenant: record.tenant.clone(),
        pool: record.pool.clone(),
        provider: place.provider.clone(),
        id: None,
        token: Token::derive(&shared.lineage, &step.address, step.generation, attempt),
        attempt,
        spec: place.spec.clone(),
        endpoint: None,
        bootstrapped: None,
        adopted: wish.adopted,
        protected: record.protected,
        needs: record.needs.clone(),
        price: place.price,
        serial: 0,
        created: crate::clock::now(),
        member: None,
    }
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
