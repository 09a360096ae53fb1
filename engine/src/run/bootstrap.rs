//! The bootstrap step: connect, do what is missing, record the digest.

use std::time::Duration;

use pool_bootstrap::{BootstrapError, ItemEvent, Link, Outcome, Rendered};
use pool_inventory::{
    Text,
    object::{KnownHost, Recorded},
};
use pool_planner::{Step, plan::PoolBootstrap};
use tokio::sync::mpsc;

use super::{
    Shared,
    recorder::Effect,
    step::{Done, StepError, started},
};
use crate::{
    connect::ReachError,
    event::{Event, Failure, FailureClass},
    ops::chain,
    wanted::Want,
};

/// How long a new host may take until it answers SSH, after its provider said that it runs.
const FIRST_ANSWER: Duration = Duration::from_secs(180);

/// How long a host that was there before may take.
const NEXT_ANSWER: Duration = Duration::from_secs(20);

/// Does on a host what its pool asks for.
pub async fn bootstrap(shared: &Shared, step: &Step, mut row: Recorded) -> Done {
    let Some(pool) = row.pool.clone() else { return Err(refused("the host belongs to no pool").into()) };
    let Some(plan) = shared.plan.bootstraps.get(&pool) else {
        return Err(refused("the plan has no bootstrap for it").into());
    };
    let fresh = row.bootstrapped.is_none() && !row.adopted;
    // From here on the host may differ from what was recorded, until all is done.
    row.bootstrapped = None;
    started(shared, step, 0, Some(row.clone())).await?;
    let endpoint = row.endpoint.clone().ok_or_else(|| refused("the host has no address"))?;
    let want = want(shared, plan, pool);
    let rendered = want.render(&row.address.name, &endpoint).map_err(|why| refused(&why))?;
    let access = plan.access.get(&row.address.name);
    let (mut link, learnt) = reach(shared, &row, access, if fresh { FIRST_ANSWER } else { NEXT_ANSWER }).await?;
    if let (Some(key), Some(at)) = (learnt, row.endpoint.as_mut()) {
        at.host_keys = vec![key];
    }
    let done = apply(shared, step, link.as_mut(), &rendered).await.map_err(failed)?;
    row.bootstrapped = want.digest(&row.address.name, &endpoint);
    let detail: Text = match done.changed.len() {
        0 => "nothing was missing".into(),
        1 => "1 item done".into(),
        n => format!("{n} items done").into(),
    };
    Ok((Some(detail), Effect::Put(row)))
}

/// Does what is missing, and journals each item that was done, as it happens.
async fn apply(
    shared: &Shared,
    step: &Step,
    link: &mut dyn Link,
    rendered: &Rendered,
) -> Result<Outcome, BootstrapError> {
    let (tell, mut told) = mpsc::unbounded_channel();
    let mut on = move |item: ItemEvent| {
        // Bounded by the number of items of one host.
        let _ = tell.send(item);
    };
    let journal = async {
        while let Some(item) = told.recv().await {
            note(shared, step, item).await;
        }
    };
    let work = async {
        let outcome = pool_bootstrap::apply(link, rendered, &shared.soft, &mut on).await;
        drop(on);
        outcome
    };
    tokio::join!(work, journal).0
}

async fn note(shared: &Shared, step: &Step, item: ItemEvent) {
    let publish = |detail: String| Event::StepProgress { step: step.id, detail: detail.into() };
    match item {
        ItemEvent::Started { item } => shared.recorder.publish(publish(item.to_string())).await,
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
        pool,
        hosts: hosts.collect(),
    }
}

async fn reach(
    shared: &Shared,
    row: &Recorded,
    access: Option<&pool_inventory::desired::Access>,
    patience: Duration,
) -> Result<(Box<dyn pool_bootstrap::Link>, Option<Text>), StepError> {
    let until = tokio::time::Instant::now() + patience;
    let mut tries = 0;
    loop {
        let error = match shared.hosts.link(row, access).await {
            Ok(link) => return Ok(link),
            Err(error) => error,
        };
        let pause = crate::retry::backoff(tries, crate::random::unit(), None).min(Duration::from_secs(5));
        if !error.is_unreachable() || tokio::time::Instant::now() + pause > until {
            return Err(unreached(&error).into());
        }
        tokio::time::sleep(pause).await;
        tries += 1;
    }
}

fn unreached(error: &ReachError) -> Failure {
    let (class, hint) = match error {
        error if error.is_auth() => (FailureClass::Unauthorized, "check the user and the key in its `ssh:` settings"),
        error if error.is_unreachable() => (FailureClass::Unreachable, "the next pool apply goes on with it"),
        ReachError::Key(_) => (FailureClass::Unauthorized, "check `ssh.key`"),
        _ => (FailureClass::Refused, "compare the host's key with the one that is pinned"),
    };
    Failure { class, message: chain(error).into(), detail: None, hint: Some(hint.into()) }
}

fn failed(error: BootstrapError) -> Failure {
    let class = match &error {
        error if error.is_unreachable() => FailureClass::Unreachable,
        BootstrapError::Failed { .. } | BootstrapError::ItemTimedOut { .. } => FailureClass::Command,
        BootstrapError::Cancelled { .. } => FailureClass::Cancelled,
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
