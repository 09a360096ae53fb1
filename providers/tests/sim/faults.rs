//! Faults: what a client sees, and what is in the cloud afterwards.

use std::{path::Path, process::Command};

use pool_inventory::{
    Kind, Percent, TimeSpan,
    desired::{SimCall, SimError, SimFault, SimSpec},
    object::Status,
};
use pool_providers::{Progress, Provider, ProviderError};

use crate::support::*;

fn with(faults: Vec<SimFault>) -> Sim {
    Sim::new(SimSpec { faults, ..SimSpec::default() })
}

#[tokio::test]
async fn a_lost_reply_and_the_same_token_again_make_one_host() {
    let cloud = with(vec![nth(SimCall::Create, 1, SimError::LostReply)]);
    let lost = one(&cloud.provider, create_host("web-1")).await;
    assert!(matches!(lost, Err(ProviderError::Indeterminate(_))), "{lost:?}");
    assert!(cloud.provider.find(&host_owner("web-1", 0).token).await.expect("looks up").is_some());
    done(one(&cloud.provider, create_host("web-1")).await);
    let ledger = cloud.ledger();
    assert_eq!((ledger.live.len(), ledger.counters.created[&Kind::Host], ledger.counters.repeated), (1, 1, 1));
}

#[tokio::test]
async fn refusals_leave_nothing_behind() {
    for error in [SimError::Transient, SimError::RateLimited, SimError::NoCapacity, SimError::QuotaExceeded] {
        let cloud = with(vec![nth(SimCall::Create, 1, error)]);
        assert!(one(&cloud.provider, create_host("web-1")).await.is_err());
        assert_eq!(cloud.ledger().live, []);
        done(one(&cloud.provider, create_host("web-1")).await);
    }
}

#[tokio::test]
async fn a_broken_object_says_so_and_a_rebuild_heals_it() {
    let cloud = with(vec![nth(SimCall::Create, 1, SimError::Broken)]);
    let broken = done(one(&cloud.provider, create_host("web-1")).await);
    assert!(matches!(broken.status, Status::Failed(_)));
    assert_eq!(done(one(&cloud.provider, rebuild(&broken, host_spec())).await).status, Status::Ready);
}

#[tokio::test]
async fn a_deletion_that_breaks_or_sticks_leaves_the_object() {
    let cloud = with(vec![nth(SimCall::Delete, 1, SimError::Broken), nth(SimCall::Delete, 1, SimError::Stuck)]);
    let host = done(one(&cloud.provider, create_host("web-1")).await);
    assert!(matches!(one(&cloud.provider, delete(&host)).await, Err(ProviderError::Other(_))));
    let Ok(Progress::Pending(operation)) = one(&cloud.provider, delete(&host)).await else { panic!("not stuck") };
    assert_eq!(cloud.ledger().live[0].status, Status::Deleting);
    assert_eq!(cloud.provider.poll(std::slice::from_ref(&operation)).await, [Ok(Progress::Pending(operation))]);
    done_gone(&cloud.provider, &host).await;
}

#[tokio::test]
async fn a_slow_deletion_is_seen_going_and_ends_by_itself() {
    let slow = SimFault { after: Some(TimeSpan::secs(60)), ..nth(SimCall::Delete, 1, SimError::Slow) };
    let cloud = with(vec![slow]);
    let host = done(one(&cloud.provider, create_host("web-1")).await);
    let Ok(Progress::Pending(operation)) = one(&cloud.provider, delete(&host)).await else { panic!("not slow") };
    let listed = cloud.provider.list(Kind::Host, None).await.expect("lists").objects;
    assert_eq!(listed[0].status, Status::Deleting);
    // Asking again does not hurry it; waiting does, and on a virtual clock waiting is short.
    assert_eq!(one(&cloud.provider, delete(&host)).await, Ok(Progress::Pending(operation.clone())));
    let ended = cloud.provider.poll(std::slice::from_ref(&operation)).await.remove(0);
    assert!(matches!(ended, Err(ProviderError::NotFound(_))), "{ended:?}");
    assert_eq!(cloud.ledger().live, []);
}

#[tokio::test]
async fn a_storm_says_how_long_to_wait_and_passes() {
    let after = Some(TimeSpan(70));
    let storm = SimFault { after, times: Some(3), ..nth(SimCall::Create, 2, SimError::RateLimited) };
    let cloud = with(vec![storm]);
    let mut answers = Vec::new();
    for host in 0..6 {
        answers.push(one(&cloud.provider, create_host(&format!("web-{host}"))).await);
    }
    let limited: Vec<bool> = answers.iter().map(|a| *a == Err(ProviderError::RateLimited { after })).collect();
    assert_eq!(limited, [false, true, true, true, false, false]);
}

#[tokio::test]
async fn an_address_in_a_rule_leaves_the_rest_of_a_batch_alone() {
    let rule = SimFault { address: Some("host/web-1".into()), ..always(SimCall::Any, SimError::Transient) };
    let cloud = with(vec![rule]);
    let answers = cloud.provider.submit((0..3).map(|i| create_host(&format!("web-{i}"))).collect()).await;
    assert_eq!(answers.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
    assert!(cloud.provider.list(Kind::Host, None).await.is_ok(), "a listing is about no single object");
}

#[tokio::test]
async fn equal_seeds_and_equal_acts_give_equal_clouds() {
    async fn story(seed: u64) -> (Vec<Result<Progress, ProviderError>>, Vec<pool_inventory::object::Observed>) {
        let rate = |on, percent, error| SimFault { rate: Percent(percent), ..always(on, error) };
        let faults = vec![
            rate(SimCall::Create, 2_000, SimError::Transient),
            rate(SimCall::Create, 1_000, SimError::LostReply),
            rate(SimCall::Create, 500, SimError::Broken),
            rate(SimCall::Delete, 2_000, SimError::LostReply),
        ];
        let cloud = Sim::new(SimSpec { seed, faults, ..SimSpec::default() });
        let mut answers = Vec::new();
        for round in 0..4 {
            let batch = (0..20).map(|i| create_host(&format!("web-{round}-{i}"))).collect();
            let made = cloud.provider.submit(batch).await;
            let gone = made.iter().flatten().step_by(3).filter_map(|p| match p {
                Progress::Done(host) => Some(delete(host)),
                _ => None,
            });
            answers.extend(cloud.provider.submit(gone.collect()).await);
            answers.extend(made);
        }
        (answers, cloud.ledger().live)
    }
    let first = story(11).await;
    assert!(first.0.iter().any(Result::is_err) && first.0.iter().any(Result::is_ok));
    assert_eq!(first, story(11).await);
    assert_ne!(first, story(12).await);
}

/// What a child process of this test does; run by `killed` alone.
#[tokio::test]
async fn child() {
    let Ok(path) = std::env::var("SIM_CHILD_LEDGER") else { return };
    let error = match std::env::var("SIM_CHILD_ERROR").as_deref() {
        Ok("before") => SimError::KillBefore,
        _ => SimError::KillAfter,
    };
    let faults = vec![nth(SimCall::Create, 3, error), nth(SimCall::List, 2, error)];
    let cloud = open(Path::new(&path), SimSpec { faults, ..SimSpec::default() });
    let _ = cloud.list(Kind::Host, None).await;
    let answers = cloud.submit((0..5).map(|i| create_host(&format!("web-{i}"))).collect()).await;
    assert_eq!(answers.len(), 5);
    let _ = cloud.list(Kind::Host, None).await;
}

/// Runs `child` in a process of its own; whether SIGKILL ended it.
fn killed(path: &Path, error: &str) -> bool {
    use std::os::unix::process::ExitStatusExt;
    let mut child = Command::new(std::env::current_exe().expect("this test"));
    child.args(["--exact", "faults::child"]).env("SIM_CHILD_LEDGER", path).env("SIM_CHILD_ERROR", error);
    child.output().expect("runs").status.signal() == Some(9)
}

#[tokio::test]
async fn a_client_killed_in_a_batch_leaves_what_stands_before_and_goes_on_next_time() {
    for (error, made) in [("before", 2), ("after", 3)] {
        let cloud = Sim::new(SimSpec::default());
        assert!(killed(&cloud.path, error), "the third creation");
        let first = cloud.ledger();
        assert_eq!((first.live.len(), first.counters.faults), (made, 1), "{error}");
        assert!(first.effects.iter().all(|e| e.pid != std::process::id()));
        assert!(killed(&cloud.path, error), "the second listing");
        let second = cloud.ledger();
        assert_eq!((second.live.len(), second.duplicates(), second.counters.token_reused), (made, vec![], 0));
        assert!(!killed(&cloud.path, error), "both rules have fired");
        let last = cloud.ledger();
        assert_eq!((last.live.len(), last.counters.created[&Kind::Host], last.counters.doubles), (5, 5, 0));
    }
}
