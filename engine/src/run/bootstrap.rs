//! The bootstrap step: connect, do what is missing, record the digest.

use std::{
    path::PathBuf,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use pool_bootstrap::{BootstrapError, Facts, ItemEvent, Link, Outcome, Pace, Phases, Supply, SupplyError, apply_with};
use pool_inventory::{
    Bytes, Name, Text,
    desired::{Access, Trust},
    object::{KnownHost, Observed, Recorded},
};
use pool_planner::{Action, Step, plan::PoolBootstrap};
use pool_providers::{Act, ProviderError, Request};
use tokio::sync::mpsc;

use super::{
    Shared,
    recorder::Effect,
    settle::{Doubt, look_up},
    step::{Done, StepError, account, owner, started, take_endpoint},
};
use crate::{
    connect::ReachError,
    event::{Event, Failure, FailureClass},
    ops::chain,
    retry::Next,
    wanted::Want,
};

/// How long a host may take until it answers SSH.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Where it does not answer at all.
    silent: Duration,
    /// Where it refuses the connection: it runs, and SSH does not.
    refused: Duration,
}

impl Patience {
    /// A system that has just been started, after its provider said that it runs.
    fn of_started() -> Self {
        let first = Duration::from_secs(180);
        Self { silent: first, refused: first }
    }

    /// A host that was there before.
    pub fn of_known() -> Self {
        Self { silent: Duration::from_secs(20), refused: Duration::from_secs(3) }
    }

    /// One try.
    pub fn once() -> Self {
        Self { silent: Duration::ZERO, refused: Duration::ZERO }
    }
}

/// Does on a host what its pool asks for.
pub async fn bootstrap(shared: &Shared, step: &Step, mut row: Recorded) -> Done {
    let Some(pool) = row.pool.clone() else { return Err(refused("the host belongs to no pool").into()) };
    let Some(plan) = shared.plan.bootstraps.get(&pool) else {
        return Err(refused("the plan has no bootstrap for it").into());
    };
    let started_now = row.bootstrapped.is_none() && !row.adopted || starts(shared, step);
    let patience = if started_now { Patience::of_started() } else { Patience::of_known() };
    // From here on the host may differ from what was recorded, until all is done.
    row.bootstrapped = None;
    started(shared, step, 0, Some(row.clone())).await?;
    if row.endpoint.is_none() && !row.adopted {
        // It was recorded while it was still being made, and answers once it is.
        let seen = look_up(account(shared, step)?, &row.token, Doubt::Since(Instant::now())).await?;
        take_endpoint(&mut row, seen.as_ref());
    }
    let endpoint = row.endpoint.clone().ok_or_else(|| refused("the host has no address"))?;
    let want = want(shared, plan, pool);
    let mounts = shared.mounts_of(&row.address);
    let rendered = want
        .render(&row.address.name, &endpoint, &mounts, &|secret| shared.hosts.password(secret))
        .map_err(|why| refused(&why))?;
    let access = shared.access(&row);
    if trusts_console(access, &row) && (started_now || (row.adopted && keys(&row).is_empty())) {
        console_keys(shared, step, &mut row, &[]).await?;
    }
    let reached = match reach(shared, &row, access, patience).await {
        // The console may still have shown what the system before had written there.
        Err(Unreached { old_key: true, .. }) if started_now && trusts_console(access, &row) => {
            let old = keys(&row).to_vec();
            console_keys(shared, step, &mut row, &old).await?;
            reach(shared, &row, access, patience).await
        }
        reached => reached,
    };
    let (mut link, learnt) = reached?;
    if let (Some(key), Some(at)) = (learnt, row.endpoint.as_mut()) {
        at.host_keys = vec![key];
    }
    let phases = |facts: &Facts| pool_bootstrap::phases::commands(facts, &rendered);
    let done = work(shared, step, link.as_mut(), &phases).await.map_err(failed)?;
    if joins(shared, step) {
        shared.lines.park(&row, link);
    }
    row.bootstrapped = want.digest(&row.address.name, &endpoint, &mounts);
    let detail: Text = match done.changed.len() {
        0 => "nothing was missing".into(),
        1 => "1 item done".into(),
        n => format!("{n} items done").into(),
    };
    Ok((Some(detail), Effect::Put(row)))
}

/// Whether a step before this one starts the host.
fn starts(shared: &Shared, step: &Step) -> bool {
    let mut before = step.needs.iter().filter_map(|need| shared.plan.steps.get(need.0 as usize));
    let starting = |action: &Action| {
        matches!(action, Action::Create { .. } | Action::Rebuild { .. } | Action::Update { .. } | Action::PowerOn)
    };
    before.any(|other| other.address == step.address && starting(&other.action))
}

/// Whether another step needs the way to this host.
fn joins(shared: &Shared, step: &Step) -> bool {
    let host = Some(&step.address);
    !shared.plan.clusters.is_empty()
        && shared.plan.steps.iter().any(|other| other.address.host_of_member().as_ref() == host)
}

/// Does what is missing, and journals each item that was done, as it happens.
pub async fn work(
    shared: &Shared,
    step: &Step,
    link: &mut dyn Link,
    phases: &Phases<'_>,
) -> Result<Outcome, BootstrapError> {
    let (tell, mut told) = mpsc::unbounded_channel();
    let supply = Supplied { shared, tell: tell.clone() };
    let mut on = move |item: ItemEvent| {
        // Bounded by the number of items of one host, and by the time that artifacts take.
        let _ = tell.send(News::Item(item));
    };
    let journal = async {
        while let Some(news) = told.recv().await {
            match news {
                News::Item(item) => note(shared, step, item).await,
                News::Fetching(name, here, size) => {
                    let detail = format!("fetches {name}: {}", progress(here, size)).into();
                    shared.recorder.publish(Event::StepProgress { step: step.id, detail }).await;
                }
            }
        }
    };
    let work = async {
        let outcome = apply_with(link, phases, &supply, &shared.soft, &mut on).await;
        drop((on, supply));
        outcome
    };
    tokio::join!(work, journal).0
}

/// What is told while a host is bootstrapped.
enum News {
    Item(ItemEvent),
    /// Bytes of an artifact that are on this computer, and how many there are.
    Fetching(Name, u64, Option<u64>),
}

/// The artifacts of a run, for one host.
struct Supplied<'a> {
    shared: &'a Shared,
    tell: mpsc::UnboundedSender<News>,
}

#[async_trait]
impl Supply for Supplied<'_> {
    async fn file(&self, name: &Name, sha256: &Text) -> Result<PathBuf, SupplyError> {
        let last = Mutex::new(None::<Instant>);
        let tell = |here: u64, size: Option<u64>| {
            // Each change below is one assignment: a panic leaves nothing half done.
            let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
            if size.is_none_or(|size| size >= LARGE) && last.is_none_or(|at| at.elapsed() >= TELL) {
                *last = Some(Instant::now());
                let _ = self.tell.send(News::Fetching(name.clone(), here, size));
            }
        };
        Ok(self.shared.artifacts.file(name, sha256, &tell).await?)
    }

    fn pace(&self) -> &Pace {
        &self.shared.artifacts.pace
    }
}

/// Artifacts from this size on tell how far they are.
const LARGE: u64 = 4 << 20;

/// How often they tell.
const TELL: Duration = Duration::from_secs(1);

fn progress(here: u64, size: Option<u64>) -> String {
    match size {
        Some(size) => format!("{} of {}", Bytes(here), Bytes(size)),
        None => Bytes(here).to_string(),
    }
}

async fn note(shared: &Shared, step: &Step, item: ItemEvent) {
    let publish = |detail: String| Event::StepProgress { step: step.id, detail: detail.into() };
    match item {
        ItemEvent::Started { item } => shared.recorder.publish(publish(item.to_string())).await,
        ItemEvent::Sending { name, sent, size } => {
            let detail = if size < LARGE { String::new() } else { format!(": {}", progress(sent, Some(size))) };
            shared.recorder.publish(publish(format!("sends {name}{detail}"))).await;
        }
        ItemEvent::Sent { name, size, took } => {
            let event = publish(format!("sent {name}, {}, in {:.1} s", Bytes(size), took.as_secs_f64()));
            let _ = shared.recorder.write(Some(step), "item", &event, Effect::None, Some(event.clone())).await;
        }
        ItemEvent::Changed { item, took } => {
            let event = publish(format!("{item} done in {:.1} s", took.as_secs_f64()));
            // The journal's word on an item is for people; what is on the host is found out by probing. A journal that
            // cannot be written is met again, and acted on, at the end of the step.
            let _ = shared.recorder.write(Some(step), "item", &event, Effect::None, Some(event.clone())).await;
        }
        ItemEvent::Probed { .. } | ItemEvent::Unchanged { .. } => {}
    }
}

fn want(shared: &Shared, plan: &PoolBootstrap, pool: pool_inventory::Name) -> Want {
    let hosts = plan.hosts.iter().map(|(name, planned)| {
        let now = shared.records.hosts_of(name);
        let known = planned.iter().map(|host| {
            let row = now.iter().find(|row| row.address.name == host.name);
            KnownHost {
                endpoint: row.and_then(|row| row.endpoint.clone()).or_else(|| host.endpoint.clone()),
                ..host.clone()
            }
        });
        (name.clone(), known.collect())
    });
    Want {
        spec: plan.spec.clone(),
        variables: plan.variables.clone(),
        labels: plan.labels.clone(),
        tenant: plan.tenant.clone(),
        environment: shared.plan.environment.clone(),
        package: plan.package.clone(),
        pool,
        hosts: hosts.collect(),
        artifacts: shared.plan.artifacts.clone(),
    }
}

/// Opens a link to a host, again and again for as long as it may take.
pub async fn reach(
    shared: &Shared,
    row: &Recorded,
    access: Option<&Access>,
    patience: Patience,
) -> Result<(Box<dyn pool_bootstrap::Link>, Option<Text>), Unreached> {
    let begun = tokio::time::Instant::now();
    let mut tries = 0;
    loop {
        let error = match shared.hosts.link(row, access).await {
            Ok(link) => return Ok(link),
            Err(error) => error,
        };
        let pause = crate::retry::backoff(tries, crate::random::unit(), None).min(Duration::from_secs(5));
        let patience = if error.is_refused() { patience.refused } else { patience.silent };
        if !error.is_unreachable() || begun.elapsed() + pause > patience {
            return Err(Unreached { old_key: error.is_mismatch(), failure: unreached(&error, row, access) });
        }
        tokio::time::sleep(pause).await;
        tries += 1;
    }
}

/// Why a host was not reached.
pub struct Unreached {
    /// For people.
    pub failure: Failure,
    /// Whether it showed another host key than the one that is known.
    old_key: bool,
}

impl Unreached {
    /// Whether the host that is known is not there: nobody answers, or somebody else does.
    pub fn is_gone(&self) -> bool {
        self.old_key || self.failure.class == FailureClass::Unreachable
    }
}

impl From<Unreached> for Failure {
    fn from(unreached: Unreached) -> Self {
        unreached.failure
    }
}

impl From<Unreached> for StepError {
    fn from(unreached: Unreached) -> Self {
        unreached.failure.into()
    }
}

/// Whether the host keys of a machine are read from its console: nothing is handed in to what was taken over.
fn trusts_console(access: Option<&Access>, row: &Recorded) -> bool {
    let taken = row.adopted && row.spec.host().is_some_and(|host| host.existing.is_some());
    access.is_some_and(|access| access.trust == Trust::Console || (taken && access.trust == Trust::Injected))
}

/// How long the console of a system that has just been started may take to show its host keys: they are written there at
/// the end of its first start, by cloud-init.
const CONSOLE: Duration = Duration::from_secs(300);

/// The host keys that are known.
fn keys(row: &Recorded) -> &[Text] {
    row.endpoint.as_ref().map_or(&[], |at| &at.host_keys)
}

/// Waits until the provider has read host keys from the console, other ones than `old`. What was taken over has shown
/// them long ago, or does not show them any more.
async fn console_keys(shared: &Shared, step: &Step, row: &mut Recorded, old: &[Text]) -> Result<(), StepError> {
    let known = |row: &Recorded| !keys(row).is_empty() && keys(row) != old;
    let patience = if row.adopted { Duration::ZERO } else { CONSOLE };
    let begun = tokio::time::Instant::now();
    for tries in 0.. {
        if known(row) {
            return Ok(());
        }
        if tries > 0 && begun.elapsed() >= patience {
            break;
        }
        if tries == 1 {
            let detail = "waiting for its console to show its host keys".into();
            shared.recorder.publish(Event::StepProgress { step: step.id, detail }).await;
        }
        if tries > 0 {
            tokio::time::sleep(crate::retry::backoff(tries, crate::random::unit(), None).min(CONSOLE_PAUSE)).await;
        }
        match look(shared, step, row).await {
            Ok(seen) => take_endpoint(row, seen.as_ref()),
            Err(error) if matches!(crate::retry::next(&error), Next::Again | Next::Settle) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(no_console_key(row).into())
}

/// Has the provider look at a machine, and at its console where its keys are not known.
async fn look(shared: &Shared, step: &Step, row: &Recorded) -> Result<Option<Observed>, ProviderError> {
    let Ok(account) = account(shared, step) else { return Ok(None) };
    if !row.adopted {
        return account.find(&row.token).await;
    }
    // It carries no mark that it could be found by. Taking over again what was taken over changes nothing.
    let act = Act::Create(row.spec.clone());
    let request = Request { owner: owner(shared, row), name: shared.cloud_name(&row.address.name), act };
    Ok(account.act(request).await?.map(|seen| *seen))
}

fn no_console_key(row: &Recorded) -> Failure {
    let host = &row.address;
    let (message, hint) = match row.adopted {
        true => (
            format!("the console of {host} shows no host key"),
            "write its key into `host_key:` in the inventory, or let `trust: first-contact` accept it",
        ),
        false => (
            format!("the console of {host} has shown no host key within {} s", CONSOLE.as_secs()),
            "the next pool apply waits again; without a console, leave `trust` out: keys are then handed in",
        ),
    };
    Failure {
        class: FailureClass::Unreachable,
        message: message.into(),
        detail: Some("host keys are read from what cloud-init writes to the console at the first start".into()),
        hint: Some(hint.into()),
    }
}

/// Longest pause between two looks at a console: each is a call.
const CONSOLE_PAUSE: Duration = Duration::from_secs(10);

fn unreached(error: &ReachError, row: &Recorded, access: Option<&Access>) -> Failure {
    let host = &row.address;
    let trust = access.map(|access| access.trust);
    let (class, hint): (_, Text) = match error {
        error if error.is_auth() => {
            (FailureClass::Unauthorized, "check the user and the key in its `ssh:` settings".into())
        }
        error if error.is_unreachable() => (FailureClass::Unreachable, "the next pool apply goes on with it".into()),
        ReachError::Key(_) => (FailureClass::Unauthorized, "check `ssh.key`".into()),
        error if error.is_mismatch() && row.adopted && trust == Some(Trust::FirstContact) => {
            let hint =
                format!("if it was reinstalled: pool state rm {host}, and the next pool apply accepts its new key");
            (FailureClass::Refused, hint.into())
        }
        error if error.is_mismatch() && row.adopted => {
            (FailureClass::Refused, "if it was reinstalled: put its new key into `host_key:`".into())
        }
        error if error.is_mismatch() => {
            let hint = format!("if it was reinstalled by others: pool apply --replace {host} makes it anew");
            (FailureClass::Refused, hint.into())
        }
        _ => (FailureClass::Refused, "compare the host's key with the one that is pinned".into()),
    };
    Failure { class, message: chain(error).into(), detail: None, hint: Some(hint) }
}

pub fn failed(error: BootstrapError) -> Failure {
    let class = match &error {
        error if error.is_unreachable() => FailureClass::Unreachable,
        BootstrapError::Failed { .. } | BootstrapError::NotSent { .. } | BootstrapError::ItemTimedOut { .. } => {
            FailureClass::Command
        }
        BootstrapError::Cancelled { .. } => FailureClass::Cancelled,
        BootstrapError::Artifact { .. } => FailureClass::Other,
        _ => FailureClass::Refused,
    };
    let text = chain(&error);
    let (message, detail) = text.split_once('\n').map_or((text.as_str(), None), |(first, rest)| (first, Some(rest)));
    Failure {
        class,
        message: message.into(),
        detail: detail.map(Into::into),
        hint: Some("what is done stays done; the next pool apply goes on from here".into()),
    }
}

fn refused(why: &str) -> Failure {
    Failure { class: FailureClass::Refused, message: why.into(), detail: None, hint: None }
}
