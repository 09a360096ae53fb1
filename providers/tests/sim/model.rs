//! Random acts against a model that is too simple to be wrong, and clients that are killed at random.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use pool_inventory::{
    Bytes, Kind, Percent, Text,
    desired::{QuotaSpec, SimCall, SimError, SimFault, SimSpec},
    object::{HostSpec, Spec},
};
use pool_providers::{Act, Progress, Provider, ProviderError, Request};

use crate::support::*;

/// A small generator with a visible state, so that a failure names its seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

/// What should exist: the id by token of its creation.
type Model = BTreeMap<Text, Text>;

async fn create(cloud: &dyn Provider, model: &mut Model, request: Request) {
    let token = request.owner.token.0.clone();
    match one(cloud, request.clone()).await {
        Ok(Progress::Done(host)) => {
            let before = model.insert(token.clone(), host.id.clone());
            assert!(before.is_none_or(|id| id == host.id), "{token} made two hosts");
        }
        Err(ProviderError::Indeterminate(_)) => {
            if let Some(host) = cloud.find(&request.owner.token).await.expect("looks up") {
                model.insert(token, host.id);
            }
        }
        Err(ProviderError::QuotaExceeded(_) | ProviderError::Other(_) | ProviderError::Transient(_)) => {}
        other => panic!("{other:?}"),
    }
}

async fn delete_one(cloud: &dyn Provider, model: &mut Model, dice: &mut Dice) {
    let chosen =
        model.iter().nth(dice.below(model.len().max(1) as u64) as usize).map(|(t, id)| (t.clone(), id.clone()));
    let Some((token, id)) = chosen else { return };
    let request = Request {
        owner: host_owner("any", 0),
        name: "any".into(),
        act: Act::Delete { id: id.clone(), kind: Kind::Host },
    };
    match one(cloud, request).await {
        Ok(Progress::Gone) => drop(model.remove(&token)),
        Err(ProviderError::Indeterminate(_)) => {
            let all = cloud.list(Kind::Host, None).await.expect("lists").objects;
            if !all.iter().any(|h| h.id == id) {
                model.remove(&token);
            }
        }
        Err(ProviderError::Transient(_)) => {}
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_cloud_has_what_a_model_has_and_never_more_than_the_quota() {
    for seed in 1..=12 {
        let rate = |error, percent| SimFault { rate: Percent(percent), ..always(SimCall::Any, error) };
        let only = |on, error, percent| SimFault { on, ..rate(error, percent) };
        let faults = vec![
            only(SimCall::Create, SimError::LostReply, 1_500),
            only(SimCall::Create, SimError::Transient, 1_500),
            only(SimCall::Delete, SimError::LostReply, 1_500),
        ];
        let quota = QuotaSpec { hosts: Some(12), memory: Some(Bytes::gib(30)), ..QuotaSpec::default() };
        let cloud = Sim::new(SimSpec { seed, quota, faults, ..SimSpec::default() });
        let clients = [cloud.provider.clone(), cloud.again()];
        let (mut dice, mut model) = (Dice(seed), Model::new());
        for step in 0..120 {
            let client = &clients[dice.below(2) as usize];
            if dice.below(3) == 0 {
                delete_one(client, &mut model, &mut dice).await;
                continue;
            }
            // Mostly a host of its own, now and then one that was asked for before.
            let n = if dice.below(4) == 0 { dice.below(step + 1) } else { step };
            create(client, &mut model, create_host(&format!("web-{n}"))).await;
        }
        let ledger = cloud.ledger();
        let live: Model = ledger.live.iter().map(|h| (h.owner.clone().expect("ours").token.0, h.id.clone())).collect();
        assert_eq!(live, model, "seed {seed}");
        let (peak, counters) = (&ledger.counters.peak, &ledger.counters);
        assert!(peak.hosts <= 12 && peak.memory <= Bytes::gib(30).0, "seed {seed}: {peak:?}");
        assert_eq!((counters.token_reused, counters.doubles), (0, 0), "seed {seed}");
        assert_eq!(counters.created[&Kind::Host] - counters.deleted[&Kind::Host], live.len() as u64, "seed {seed}");
    }
}

/// What a child process of this test does until it is killed; run by the next test alone.
#[tokio::test]
async fn child() {
    let Ok(path) = std::env::var("SIM_VICTIM_LEDGER") else { return };
    let cloud = open(Path::new(&path), SimSpec::default());
    let round: u32 = std::process::id();
    for call in 0.. {
        let hosts = (0..400).map(|n| {
            let tags = [("n".into(), format!("{round}-{call}-{n}").into())].into();
            create_as(host_owner(&format!("t{round}-{call}-{n}"), 0), Spec::Host(HostSpec { tags, ..host_spec() }))
        });
        let made = cloud.submit(hosts.collect()).await;
        cloud.submit(made.into_iter().map(|host| delete(&done(host))).collect()).await;
    }
}

#[tokio::test]
async fn a_client_killed_at_any_moment_leaves_a_ledger_that_can_be_read() {
    let cloud = Sim::new(SimSpec::default());
    let kept = done(one(&cloud.provider, create_host("kept")).await);
    let mut dice = Dice(5);
    let mut created = 1;
    for round in 0..6 {
        let mut victim = Command::new(std::env::current_exe().expect("this test"));
        victim.args(["--exact", "model::child"]).env("SIM_VICTIM_LEDGER", &cloud.path).stdout(Stdio::null());
        let mut victim = victim.spawn().expect("starts");
        wait_for_growth(&cloud.path, dice.below(600_000));
        victim.kill().expect("kills");
        assert_eq!(victim.wait().expect("ends").signal(), Some(9));

        let ledger = cloud.ledger();
        let made = ledger.counters.created[&Kind::Host];
        assert!(made > created, "round {round}: nothing was made");
        created = made;
        let deleted = ledger.counters.deleted.get(&Kind::Host).copied().unwrap_or(0);
        assert_eq!(made - deleted, ledger.live.len() as u64, "round {round}");
        assert_eq!(ledger.live.len() % 400, 1, "round {round}: a batch is carried out as a whole");
        assert_eq!(done(one(&cloud.provider, create_host("kept")).await), kept, "round {round}");
    }
}

/// Waits until others have made the ledger longer, or have compacted it.
fn wait_for_growth(path: &Path, bytes: u64) {
    let len = || fs::metadata(path).map(|meta| meta.len()).unwrap_or(0);
    let (start, end) = (len(), Instant::now() + Duration::from_secs(20));
    while (start..=start + 1 + bytes).contains(&len()) {
        assert!(Instant::now() < end, "the other process does nothing");
        std::thread::yield_now();
    }
}
