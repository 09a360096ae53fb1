//! Before a volume is taken from a host that mounted it itself: it is unmounted there.

use std::time::Duration;

use pool_inventory::object::{HostMount, Recorded, Status};
use pool_planner::{Action, Step};

use super::{
    Shared,
    bootstrap::{Patience, reach},
    step::{StepError, account},
};
use crate::{
    event::{Event, Failure, FailureClass},
    ops::chain,
    wanted,
};

/// Unmounts a volume on its host, where the provider does not do it. A host that is deleted, turned off or gone holds
/// nothing up; one that stays must answer, and must not be using the volume.
pub async fn unmount(
    shared: &Shared,
    step: &Step,
    volume: &Recorded,
    host: Option<&Recorded>,
) -> Result<(), StepError> {
    let (Some(mount), Some(host)) = (HostMount::of(volume), host) else { return Ok(()) };
    if !account(shared, step)?.only_attaches() {
        return Ok(());
    }
    let going = goes(shared, step, host);
    match Box::pin(release(shared, host, &mount, going)).await {
        Ok(()) => Ok(()),
        Err(failure) if going => {
            let text = format!("{} was not unmounted at {}: {}", step.address, mount.path, failure.message);
            shared.recorder.publish(Event::Warning { text: text.into() }).await;
            Ok(())
        }
        Err(failure) if failure.class == FailureClass::Unreachable && is_off(shared, step, host).await? => Ok(()),
        Err(failure) => Err(failure.into()),
    }
}

/// Whether the plan deletes the host once the volume is off it.
pub fn goes(shared: &Shared, step: &Step, host: &Recorded) -> bool {
    let later = shared.plan.steps.get(step.id.0 as usize..).unwrap_or_default().iter();
    let mut own = later.filter(|other| other.address == host.address && other.generation == host.generation);
    own.any(|other| matches!(other.action, Action::Delete))
}

/// Whether nothing runs there, as its provider says.
async fn is_off(shared: &Shared, step: &Step, host: &Recorded) -> Result<bool, StepError> {
    let seen = account(shared, step)?.find(&host.token).await?;
    Ok(seen.is_none_or(|seen| seen.status == Status::Stopped))
}

async fn release(shared: &Shared, host: &Recorded, mount: &HostMount, going: bool) -> Result<(), Failure> {
    let access = shared.access(host);
    let patience = if going { Patience::once() } else { Patience::of_known() };
    let (mut link, _) = reach(shared, host, access, patience).await?;
    let device = wanted::device(mount);
    let work = pool_bootstrap::release(link.as_mut(), &mount.path, &device, going);
    let error = match tokio::time::timeout(LIMIT, work).await {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(error)) => error,
        Err(_) => return Err(failure(FailureClass::Unreachable, "it did not end", None)),
    };
    let class = if error.is_unreachable() { FailureClass::Unreachable } else { FailureClass::Command };
    let text = chain(&error);
    let (message, rest) = text.split_once('\n').map_or((text.as_str(), None), |(first, rest)| (first, Some(rest)));
    Err(failure(class, message, rest))
}

/// Longest time for unmounting: all that was written must reach the volume.
const LIMIT: Duration = Duration::from_secs(10 * 60);

fn failure(class: FailureClass, message: &str, detail: Option<&str>) -> Failure {
    Failure {
        class,
        message: format!("the volume cannot be unmounted: {message}").into(),
        detail: detail.map(Into::into),
        hint: Some("stop what uses it, then run pool apply again".into()),
    }
}
