//! One step: what is done for each action, with retries. Intent is durable before anything is asked for.

use std::time::{Duration, Instant};

use pool_inventory::{
    Address, Kind, Name, Text, TimeSpan, Token,
    market::PATIENCE,
    object::{Observed, Owner, Recorded, Spec, Status, VolumeSpec},
};
use pool_planner::{Action, Reason, Step};
use pool_providers::{Act, ProviderError, Request};
use pool_state::StateError;
use tokio_util::sync::CancellationToken;

use super::{Shared, bootstrap, create, member, recorder::Effect, undo, unmount};
use crate::{
    account::Account,
    event::{Event, Failure, FailureClass},
    retry::{self, Next},
};

/// How a step ended.
pub type StepResult = Result<Option<Text>, Failure>;

/// Carries out one step and journals its end. `Err` only when the journal could not be written.
pub async fn run(shared: &Shared, step: &Step, cancel: &CancellationToken) -> Result<StepResult, StateError> {
    // Nothing but its needs, which are fulfilled: nothing to tell either.
    if matches!(step.action, Action::Gather) {
        return Ok(Ok(None));
    }
    let begun = Instant::now();
    let result = tokio::select! {
        biased;
        () = cancel.cancelled() => Err(cancelled()),
        result = tokio::time::timeout(limit(shared, step), shared.guard.going_on(act(shared, step))) => match result {
            Ok(Ok(result)) => result,
            Ok(Err(lost)) => Err(lost.into()),
            Err(_) => Err(too_slow(shared, step)),
        },
    };
    let millis = begun.elapsed().as_millis() as u64;
    let verb: Text = step.verb().into();
    match result {
        Ok((detail, effect)) => {
            let event = Event::StepSucceeded {
                step: step.id,
                address: step.address.clone(),
                verb,
                millis,
                detail: detail.clone(),
            };
            remember(shared, &effect);
            shared.recorder.write(Some(step), "succeeded", &event, effect, Some(event.clone())).await?;
            Ok(Ok(detail))
        }
        Err(StepError::State(error)) => Err(error),
        Err(StepError::Failed(failure, effect)) => {
            let event = Event::StepFailed {
                step: step.id,
                address: step.address.clone(),
                verb,
                failure: (*failure).clone(),
                millis,
            };
            remember(shared, &effect);
            shared.recorder.write(Some(step), "failed", &event, *effect, Some(event.clone())).await?;
            Ok(Err(*failure))
        }
    }
}

/// Keeps the rows in memory the same as those in the state.
fn remember(shared: &Shared, effect: &Effect) {
    match effect {
        Effect::None => {}
        Effect::Put(row) => shared.records.put(row.clone()),
        Effect::Remove(address, generation) => shared.records.remove(address, *generation),
        Effect::Move(address, generation, row) => {
            shared.records.remove(address, *generation);
            shared.records.put(row.clone());
        }
    }
}

/// Why a step did not succeed.
pub enum StepError {
    /// The journal could not be written: the run must end.
    State(StateError),
    /// It failed; the effect is written together with the failure.
    Failed(Box<Failure>, Box<Effect>),
}

impl From<StateError> for StepError {
    fn from(error: StateError) -> Self {
        StepError::State(error)
    }
}

impl From<Failure> for StepError {
    fn from(failure: Failure) -> Self {
        StepError::Failed(Box::new(failure), Box::new(Effect::None))
    }
}

impl From<ProviderError> for StepError {
    fn from(error: ProviderError) -> Self {
        retry::failure(&error).into()
    }
}

/// What a step that succeeded tells and changes.
pub type Done = Result<(Option<Text>, Effect), StepError>;

/// Longest time for one act of a provider, retries included.
fn limit(shared: &Shared, step: &Step) -> Duration {
    let once = shared.accounts.get(&step.provider).map_or(PATIENCE.duration(), Account::patience);
    match step.action {
        // A large volume takes its time, to be copied and to be restored.
        Action::Restore { .. } | Action::Create { spec: Spec::Snapshot(_) | Spec::Backup(_), .. } => once * 9,
        // Each command on a host has its own limit, and a bootstrap is many commands.
        Action::Bootstrap { .. } | Action::Member { .. } => once.max(PATIENCE.duration()) * 3,
        _ => once,
    }
}

/// The long ways are boxed: a step is moved several times on its way to its task, and each of hundreds of tasks has the
/// size of the longest way.
async fn act(shared: &Shared, step: &Step) -> Done {
    let row = shared.records.get(&step.address, step.generation);
    match &step.action {
        Action::Create { spec, record, group } => {
            let wish = create::Wish { spec, record, group: *group, adopted: false };
            return Box::pin(create::create(shared, step, wish)).await;
        }
        Action::Adopt { spec, record } => {
            let wish = create::Wish { spec, record, group: None, adopted: true };
            return Box::pin(create::create(shared, step, wish)).await;
        }
        Action::Record { to } => {
            started(shared, step, 0, None).await?;
            return Ok((None, record_effect(step, (**to).clone())));
        }
        Action::Member { task } => return Box::pin(member::member(shared, step, task)).await,
        Action::Forget => {
            started(shared, step, 0, None).await?;
            return Ok((None, Effect::Remove(step.address.clone(), step.generation)));
        }
        _ => {}
    }
    let mut row = row.ok_or_else(|| gone(step))?;
    match &step.action {
        Action::Update { to, .. } => {
            // A volume that stays attached keeps its host.
            let host =
                to.volume().and_then(|volume| volume.attached.as_ref()).and_then(|at| shared.records.newest(&at.host));
            update(shared, step, row, to, host.and_then(|host| host.id)).await
        }
        Action::Attach { to } => {
            let host =
                to.volume().and_then(|volume| volume.attached.as_ref()).and_then(|at| shared.records.newest(&at.host));
            let id = host.and_then(|host| host.id).ok_or_else(|| gone(step))?;
            let to = &where_it_is(shared, &row, to);
            update(shared, step, row, to, Some(id)).await
        }
        Action::Detach { to } => {
            let to = &where_it_is(shared, &row, to);
            let recorded = row.spec.volume().and_then(|volume| volume.attached.as_ref()).map(|at| at.host.clone());
            let back = step.reason == Reason::TakenBack;
            let host = recorded.or_else(|| undo::attached_to(shared, &step.address).filter(|_| back));
            // A run that was cut off may have recorded it as free before its host was gone.
            let host = host.or_else(|| row.address.host_of_volume());
            let host = host.and_then(|host| shared.records.newest(&host));
            unmount::unmount(shared, step, &row, host.as_ref()).await?;
            let goes = || host.as_ref().is_some_and(|host| unmount::goes(shared, step, host));
            let done = update(shared, step, row.clone(), to, host.as_ref().and_then(|host| host.id.clone())).await;
            match done {
                // A machine that is broken lets nothing go; when it is deleted, which is next, its volumes are free.
                Err(StepError::Failed(failure, _)) if failure.class == FailureClass::Refused && goes() => {
                    row.spec = to.clone();
                    Ok((Some("free once its host is deleted".into()), Effect::Put(row)))
                }
                done => done,
            }
        }
        Action::Rebuild { to, .. } => rebuild(shared, step, row, to).await,
        Action::PowerOn => power(shared, step, row, |id| Act::Power { id, on: true }).await,
        Action::PowerOff => power(shared, step, row, |id| Act::Power { id, on: false }).await,
        Action::Restart => power(shared, step, row, |id| Act::Restart { id }).await,
        Action::Restore { from } => restore(shared, step, row, from).await,
        Action::Delete if step.reason == Reason::TakenBack => undo::take_back(shared, step, row).await,
        Action::Delete => delete(shared, step, row).await,
        Action::Release => release(shared, step, &row).await,
        Action::Bootstrap { .. } => Box::pin(bootstrap::bootstrap(shared, step, row)).await,
        Action::Create { .. }
        | Action::Member { .. }
        | Action::Adopt { .. }
        | Action::Record { .. }
        | Action::Forget
        | Action::Gather => Err(gone(step).into()),
    }
}

/// What a volume shall be, at the place where it is: it may have followed its host.
fn where_it_is(shared: &Shared, row: &Recorded, to: &Spec) -> Spec {
    let followed = row.address.host_of_volume().and_then(|host| shared.went_to(&host));
    match (to, &row.spec) {
        (Spec::Volume(to), Spec::Volume(is)) if followed.is_some_and(|other| !other.volumes.is_empty()) => {
            let (backend, zone) = (is.backend.clone(), is.zone.clone());
            Spec::Volume(VolumeSpec { backend, zone, ..to.clone() })
        }
        _ => to.clone(),
    }
}

/// Makes the intent durable, with the effect that it has already.
pub async fn started(shared: &Shared, step: &Step, attempt: u32, row: Option<Recorded>) -> Result<(), StateError> {
    let event = Event::StepStarted { step: step.id, address: step.address.clone(), verb: step.verb().into(), attempt };
    let effect = row.map_or(Effect::None, Effect::Put);
    remember(shared, &effect);
    shared.recorder.write(Some(step), "started", &event, effect, Some(event.clone())).await
}

async fn update(shared: &Shared, step: &Step, mut row: Recorded, to: &Spec, host: Option<Text>) -> Done {
    started(shared, step, 0, None).await?;
    let id = row.id.clone().ok_or_else(|| gone(step))?;
    let seen = again(shared, step, &row, Act::Update { id, to: to.clone(), host }).await?;
    row.spec = to.clone();
    take_endpoint(&mut row, seen.as_deref());
    Ok((None, Effect::Put(row)))
}

async fn rebuild(shared: &Shared, step: &Step, mut row: Recorded, to: &Spec) -> Done {
    let id = row.id.clone().ok_or_else(|| gone(step))?;
    let Spec::Host(host) = to else { return Err(gone(step).into()) };
    // The old system is lost as soon as this is asked for: what was done on it counts no more.
    row.bootstrapped = None;
    if let Some(at) = row.endpoint.as_mut() {
        // Its keys go with it; the new system's are handed in, or shown by it.
        at.host_keys.clear();
    }
    started(shared, step, 0, Some(row.clone())).await?;
    let seen = again(shared, step, &row, Act::Rebuild { id, to: Box::new(host.clone()) }).await?;
    shared.hosts.forget(&row);
    row.spec = to.clone();
    take_endpoint(&mut row, seen.as_deref());
    Ok((endpoint_text(&row), Effect::Put(row)))
}

/// Turns a host on or off, or restarts it. Doing so twice is no harm, but for the time that a restart takes.
async fn power(shared: &Shared, step: &Step, mut row: Recorded, act: impl FnOnce(Text) -> Act) -> Done {
    started(shared, step, 0, None).await?;
    let id = row.id.clone().ok_or_else(|| gone(step))?;
    let seen = again(shared, step, &row, act(id)).await?;
    take_endpoint(&mut row, seen.as_deref());
    let detail = if matches!(step.action, Action::PowerOff) { None } else { endpoint_text(&row) };
    Ok((detail, Effect::Put(row)))
}

/// Gives a volume the content of a copy of it. Only its content changes, so its row stays as it is; a restore that was
/// cut off is the provider's to end, and asking for it again gives the same content.
async fn restore(shared: &Shared, step: &Step, row: Recorded, from: &Address) -> Done {
    started(shared, step, 0, None).await?;
    let id = row.id.clone().ok_or_else(|| gone(step))?;
    let copy = shared.records.newest(from).and_then(|copy| copy.id).ok_or_else(|| gone(step))?;
    again(shared, step, &row, Act::Restore { id, from: copy, kind: from.kind }).await?;
    Ok((None, Effect::None))
}

/// Deletes an object; one that is gone already is no error.
pub async fn delete(shared: &Shared, step: &Step, row: Recorded) -> Done {
    started(shared, step, 0, None).await?;
    let effect = || Effect::Remove(step.address.clone(), step.generation);
    let Some(id) = row.id.clone() else { return Ok((None, effect())) };
    match again(shared, step, &row, Act::Delete { id, kind: step.address.kind }).await {
        Ok(_) | Err(Ended::Absent) => {
            shared.hosts.forget(&row);
            Ok((None, effect()))
        }
        Err(Ended::Failed(error)) => Err(error),
    }
}

/// Lets go of what was adopted: it is no business of ours any more, and nobody is asked for anything.
async fn release(shared: &Shared, step: &Step, row: &Recorded) -> Done {
    started(shared, step, 0, None).await?;
    shared.hosts.forget(row);
    Ok((None, Effect::Remove(step.address.clone(), step.generation)))
}

/// How an act that was tried as often as is right ended, other than well.
pub enum Ended {
    /// The object is not there.
    Absent,
    /// It failed.
    Failed(StepError),
}

impl From<Ended> for StepError {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::Absent => retry::failure(&ProviderError::NotFound("the object".into())).into(),
            Ended::Failed(error) => error,
        }
    }
}

/// Asks for an idempotent act until it succeeds or fails for good. A lost answer is asked for again: doing such an act
/// twice is doing it once.
pub async fn again(shared: &Shared, step: &Step, row: &Recorded, act: Act) -> Result<Option<Box<Observed>>, Ended> {
    let account = account(shared, step).map_err(Ended::Failed)?;
    let request = Request { owner: owner(shared, row), name: shared.cloud_name(&step.address.name), act };
    for tries in 0.. {
        let error = match account.act(request.clone()).await {
            Ok(seen) => return Ok(seen),
            Err(error) => error,
        };
        match retry::next(&error) {
            Next::Absent => return Err(Ended::Absent),
            Next::Again | Next::Settle if tries + 1 < retry::MAX_TRIES => wait(shared, step, &error, tries).await,
            _ => return Err(Ended::Failed(error.into())),
        }
    }
    unreachable_loop()
}

/// `for tries in 0..` ends by `return` alone; the compiler does not know.
fn unreachable_loop() -> Result<Option<Box<Observed>>, Ended> {
    Err(Ended::Absent)
}

/// Waits before the next try, and says so.
pub async fn wait(shared: &Shared, step: &Step, error: &ProviderError, tries: u32) {
    let asked = match error {
        ProviderError::RateLimited { after } => after.map(|span| span.duration()),
        _ => None,
    };
    let pause = retry::backoff(tries, crate::random::unit(), asked);
    let event = Event::StepRetry { step: step.id, error: error.to_string().into(), wait_ms: pause.as_millis() as u64 };
    // For the history. A journal that cannot be written is met again, and acted on, at the end of the step.
    let _ = shared.recorder.write(Some(step), "retry", &event, Effect::None, Some(event.clone())).await;
    tokio::time::sleep(pause).await;
}

/// The account of the provider where a step's object is; as planned, or where it went because that was sold out.
pub fn account<'a>(shared: &'a Shared, step: &Step) -> Result<&'a Account, StepError> {
    let there = shared.records.provider(&step.address, step.generation);
    account_of(shared, there.as_ref().unwrap_or(&step.provider))
}

/// The account of a provider.
pub fn account_of<'a>(shared: &'a Shared, provider: &Name) -> Result<&'a Account, StepError> {
    shared.accounts.get(provider).ok_or_else(|| {
        let message = format!("provider {provider} is not in the plan");
        Failure { class: FailureClass::Other, message: message.into(), detail: None, hint: None }.into()
    })
}

/// Whose the object of a row is.
pub fn owner(shared: &Shared, row: &Recorded) -> Owner {
    let token: Token = row.token.clone();
    Owner { lineage: shared.lineage.clone(), address: row.address.clone(), generation: row.generation, token }
}

/// Takes over where an object answers, if that was seen. What is still being made does not say it yet.
pub fn take_endpoint(row: &mut Recorded, seen: Option<&Observed>) {
    let seen = seen.filter(|seen| seen.status != Status::Pending);
    if let Some(endpoint) = seen.and_then(|seen| seen.endpoint.as_ref()) {
        row.endpoint = Some(row.spec.host().map_or_else(|| endpoint.clone(), |host| host.reached(endpoint)));
    }
}

/// `10.0.0.7:22`, for a host that answers.
pub fn endpoint_text(row: &Recorded) -> Option<Text> {
    if row.address.kind != Kind::Host {
        return None;
    }
    row.endpoint.as_ref().map(|at| format!("{}:{}", at.host, at.port).into())
}

fn record_effect(step: &Step, to: Recorded) -> Effect {
    match &step.reason {
        Reason::Moved { from } => Effect::Move(from.clone(), step.generation, to),
        _ => Effect::Put(to),
    }
}

fn gone(step: &Step) -> Failure {
    Failure {
        class: FailureClass::Refused,
        message: format!("{} is not recorded as it was when the plan was made", step.address).into(),
        detail: None,
        hint: Some("plan again with: pool plan".into()),
    }
}

fn cancelled() -> StepError {
    Failure {
        class: FailureClass::Cancelled,
        message: "cancelled; what was asked for may have happened".into(),
        detail: None,
        hint: Some("run pool apply again: it finds out what happened".into()),
    }
    .into()
}

fn too_slow(shared: &Shared, step: &Step) -> StepError {
    Failure {
        class: FailureClass::InDoubt,
        message: format!("{} did not end within {}", step.verb(), TimeSpan(limit(shared, step).as_millis() as u64))
            .into(),
        detail: None,
        hint: Some("run pool apply again: it finds out what happened".into()),
    }
    .into()
}
