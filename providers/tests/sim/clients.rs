//! Several clients of one cloud.

use std::{collections::BTreeSet, path::Path, process::Command};

use pool_inventory::{
    Kind,
    desired::{QuotaSpec, SimSpec},
};
use pool_providers::{Progress, Provider, ProviderError};

use crate::support::*;

#[tokio::test]
async fn two_handles_see_one_cloud() {
    let cloud = Sim::new(SimSpec::default());
    let other = cloud.again();
    let host = done(one(&cloud.provider, create_host("web-1")).await);
    assert_eq!(other.list(Kind::Host, None).await.expect("lists").objects, std::slice::from_ref(&host));
    assert_eq!(done(one(&other, create_host("web-1")).await), host, "the same token");
    done_gone(&other, &host).await;
    assert_eq!(cloud.provider.list(Kind::Host, None).await.expect("lists").objects, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_at_once_never_pass_the_quota_and_a_token_makes_one() {
    let quota = QuotaSpec { hosts: Some(25), vcpus: Some(40), ..QuotaSpec::default() };
    let cloud = Sim::new(SimSpec { quota, ..SimSpec::default() });
    let tasks = (0..6).map(|client| {
        let provider = if client % 2 == 0 { cloud.provider.clone() } else { cloud.again() };
        tokio::spawn(async move {
            let mut made = Vec::new();
            for host in 0..40 {
                match one(&provider, create_host(&format!("web-{host}"))).await {
                    Ok(Progress::Done(host)) => made.push(host.id.clone()),
                    Err(ProviderError::QuotaExceeded(_)) => {}
                    other => panic!("{other:?}"),
                }
            }
            made
        })
    });
    let mut ids = BTreeSet::new();
    for task in tasks.collect::<Vec<_>>() {
        ids.extend(task.await.expect("ends"));
    }
    let ledger = cloud.ledger();
    assert_eq!((ids.len(), ledger.live.len(), ledger.counters.peak.hosts), (25, 25, 25));
    assert_eq!((ledger.duplicates(), ledger.counters.doubles, ledger.counters.token_reused), (vec![], 0, 0));
}

/// What a child process of this test does; run by the next test alone.
#[tokio::test]
async fn child() {
    let Ok(path) = std::env::var("SIM_CLIENT_LEDGER") else { return };
    let cloud = open(Path::new(&path), SimSpec::default());
    for host in 0..30 {
        done(one(&cloud, create_host(&format!("web-{host}"))).await);
        let page = cloud.list(Kind::Host, None).await.expect("lists");
        assert!(page.objects.len() > host);
    }
}

#[tokio::test]
async fn two_processes_share_a_ledger() {
    let cloud = Sim::new(SimSpec::default());
    let start = || {
        let mut child = Command::new(std::env::current_exe().expect("this test"));
        child.args(["--exact", "clients::child"]).env("SIM_CLIENT_LEDGER", &cloud.path);
        child.stdout(std::process::Stdio::null()).spawn().expect("starts")
    };
    for mut child in [start(), start(), start()] {
        assert!(child.wait().expect("ends").success());
    }
    let ledger = cloud.ledger();
    assert_eq!((ledger.live.len(), ledger.counters.created[&Kind::Host], ledger.counters.repeated), (30, 30, 60));
    let pids: BTreeSet<u32> = ledger.effects.iter().map(|e| e.pid).collect();
    assert!(!pids.is_empty() && !pids.contains(&std::process::id()));
}
