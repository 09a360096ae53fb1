//! The conformance suite on the simulated cloud, as it is and at its worst.

use std::{path::PathBuf, time::Duration};

use async_trait::async_trait;
use pool_inventory::{
    Address, Bytes, Kind, Lineage, Name, Percent, Text, TimeSpan, Token,
    desired::{OnRemove, Provisioning, SimCall, SimClock, SimError, SimFault, SimSpec, Size},
    market::{Capabilities, Market},
    object::{HostSpec, NetworkSpec, Observed, Owner, Spec, VolumeSpec},
};
use pool_providers::{
    Act, Operation, Page, Progress, Provider, ProviderError, Request,
    conformance::{self, Account, Harness, Outcome},
    sim::{Meddling, SimLedger, SimProvider},
};

struct Sim(SimSpec);

struct SimAccount {
    provider: SimProvider,
    spec: SimSpec,
    path: PathBuf,
    _folder: tempfile::TempDir,
}

fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

fn host() -> HostSpec {
    HostSpec {
        offering: "s1.small".into(),
        region: "sim".into(),
        zone: "az1".into(),
        size: Size { vcpus: 1, memory: Bytes::gib(2), disk: Bytes::gib(20) },
        image: "debian-11".into(),
        network: None,
        tags: [("pool".into(), "web".into())].into(),
        user: "pool".into(),
        authorized_keys: vec!["ssh-ed25519 AAAA".into()],
        at: None,
        ..HostSpec::default()
    }
}

#[async_trait]
impl Harness for Sim {
    async fn account(&self) -> Result<Box<dyn Account>, String> {
        let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
        let path = folder.path().join("sim.ledger");
        let open = SimProvider::open(name("sim"), self.0.clone(), path.clone());
        let provider = open.map_err(|e| e.to_string())?;
        Ok(Box::new(SimAccount { provider, spec: self.0.clone(), path, _folder: folder }))
    }

    fn spec(&self, kind: Kind, _n: usize) -> Option<Spec> {
        match kind {
            Kind::Host => Some(Spec::Host(host())),
            Kind::Volume => Some(Spec::Volume(VolumeSpec {
                tier: name("mid"),
                backend: "sim/fast".into(),
                zone: "az1".into(),
                size: Bytes::gib(10),
                provisioning: Provisioning::Thin,
                tags: [].into(),
                attached: None,
                on_remove: OnRemove::Keep,
                from: None,
                existing: None,
            })),
            Kind::Network => {
                let cidr = "10.20.0.0/24".parse().expect("a range");
                Some(Spec::Network(NetworkSpec::new(cidr)))
            }
            Kind::Snapshot | Kind::Backup | Kind::Pool | Kind::Tenant | Kind::Cluster | Kind::Member => None,
        }
    }

    fn rebuilt(&self) -> Option<HostSpec> {
        Some(HostSpec { image: "debian-12".into(), ..host() })
    }

    fn limit(&self) -> Duration {
        Duration::from_secs(30)
    }
}

#[async_trait]
impl Account for SimAccount {
    fn provider(&self) -> &dyn Provider {
        &self.provider
    }

    async fn again(&self) -> Option<Box<dyn Provider>> {
        let again = SimProvider::open(name("sim"), self.spec.clone(), self.path.clone());
        Some(Box::new(again.expect("opens")))
    }

    async fn foreign(&self) -> Option<Text> {
        let what = Meddling::Foreign { name: "stranger".into(), spec: Spec::Host(host()) };
        Some(self.provider.meddle(what).await.expect("meddles"))
    }

    async fn content(&self, volume: &Observed, write: Option<&str>) -> Option<Text> {
        if let Some(content) = write {
            let what = Meddling::Write { id: volume.id.clone(), content: content.into() };
            self.provider.meddle(what).await.expect("meddles");
        }
        SimLedger::read(&self.path).expect("reads").content.get(&volume.id).cloned()
    }

    async fn close(&self) {
        let ledger = SimLedger::read(&self.path).expect("reads");
        assert_eq!((ledger.duplicates(), ledger.counters.doubles, ledger.counters.token_reused), (vec![], 0, 0));
    }
}

async fn passes(spec: SimSpec) {
    let report = conformance::run(&Sim(spec)).await;
    assert!(report.is_ok(), "\n{report}");
    assert_eq!(report.skipped(), Vec::<&str>::new());
}

/// Shares of all calls that meet a fault.
fn faults(rates: &[(SimError, u32)]) -> Vec<SimFault> {
    let rule = |(error, percent): &(SimError, u32)| SimFault {
        on: SimCall::Any,
        address: None,
        nth: None,
        times: None,
        after: None,
        rate: Percent(percent * 100),
        error: *error,
    };
    rates.iter().map(rule).collect()
}

#[tokio::test]
async fn plain() {
    passes(SimSpec::default()).await;
}

#[tokio::test]
async fn in_small_pages_with_slow_starts() {
    passes(SimSpec { page: 2, boot: TimeSpan::secs(30), latency: TimeSpan(200), ..SimSpec::default() }).await;
}

#[tokio::test]
async fn in_real_time() {
    let (latency, boot) = (TimeSpan(4), TimeSpan(20));
    passes(SimSpec { clock: SimClock::Real, latency, boot, ..SimSpec::default() }).await;
}

#[tokio::test]
async fn eventually_consistent() {
    passes(SimSpec { visibility: TimeSpan(40), page: 3, ..SimSpec::default() }).await;
}

#[tokio::test]
async fn throttled() {
    passes(SimSpec { rate: Some(2), ..SimSpec::default() }).await;
}

#[tokio::test]
async fn losing_replies() {
    for seed in 1..=5 {
        let faults = faults(&[(SimError::LostReply, 30), (SimError::Transient, 15), (SimError::RateLimited, 10)]);
        passes(SimSpec { seed, faults, page: 3, boot: TimeSpan::secs(5), ..SimSpec::default() }).await;
    }
}

#[tokio::test]
async fn losing_replies_and_eventually_consistent() {
    let faults = faults(&[(SimError::LostReply, 30)]);
    passes(SimSpec { faults, visibility: TimeSpan(20), ..SimSpec::default() }).await;
}

/// A provider with one planted mistake.
struct Wrong(SimProvider, Mistake);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mistake {
    IgnoresTokens,
    MixesUpAnswers,
    RepeatsOnPages,
    LosesTags,
    ClaimsAll,
    NeverFinds,
    DeletesTwice,
    ForgetsSize,
    HangsWhenCancelled,
    RestoresNothing,
}

#[async_trait]
impl Provider for Wrong {
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    async fn market(&self) -> Result<Market, ProviderError> {
        self.0.market().await
    }

    async fn submit(&self, mut batch: Vec<Request>) -> Vec<Result<Progress, ProviderError>> {
        for request in &mut batch {
            match (self.1, &mut request.act) {
                (Mistake::IgnoresTokens, Act::Create(_)) => {
                    let page = self.0.list(Kind::Host, None).await.expect("lists").objects.len();
                    request.owner.token = Token(format!("{}-{page}", request.owner.token).into());
                }
                (Mistake::ForgetsSize, Act::Update { to: Spec::Volume(volume), .. }) => volume.size = Bytes::gib(10),
                _ => {}
            }
        }
        if self.1 == Mistake::RestoresNothing
            && let [Request { act: Act::Restore { id, .. }, .. }] = &batch[..]
        {
            let volumes = self.0.list(Kind::Volume, None).await.expect("lists").objects;
            let found = volumes.into_iter().find(|volume| volume.id == *id).expect("is there");
            return vec![Ok(Progress::Done(Box::new(found)))];
        }
        let mut answers = self.0.submit(batch).await;
        match self.1 {
            Mistake::MixesUpAnswers => answers.reverse(),
            Mistake::DeletesTwice => answers.iter_mut().for_each(|answer| {
                if matches!(answer, Err(ProviderError::NotFound(_))) {
                    *answer = Ok(Progress::Gone);
                }
            }),
            _ => {}
        }
        answers
    }

    async fn list(&self, kind: Kind, from: Option<Text>) -> Result<Page, ProviderError> {
        let mut page = self.0.list(kind, from).await?;
        match self.1 {
            Mistake::RepeatsOnPages => page.objects.extend(page.objects.last().cloned()),
            Mistake::LosesTags => page.objects.iter_mut().for_each(|object| {
                if let Spec::Host(host) = &mut object.spec {
                    host.tags.clear();
                }
            }),
            Mistake::ClaimsAll => page.objects.iter_mut().for_each(|object| {
                let address = Address::host("web-1");
                let token = Token("00".into());
                let owner = Owner { lineage: Lineage::from_bits([1; 16]), address, generation: 1, token };
                object.owner.get_or_insert(owner);
            }),
            _ => {}
        }
        Ok(page)
    }

    async fn find(&self, token: &Token) -> Result<Option<Observed>, ProviderError> {
        match self.1 {
            Mistake::NeverFinds => Ok(None),
            Mistake::HangsWhenCancelled => std::future::pending().await,
            _ => self.0.find(token).await,
        }
    }

    async fn poll(&self, operations: &[Operation]) -> Vec<Result<Progress, ProviderError>> {
        self.0.poll(operations).await
    }
}

struct WrongHarness(Mistake);

#[async_trait]
impl Harness for WrongHarness {
    async fn account(&self) -> Result<Box<dyn Account>, String> {
        let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
        let spec = SimSpec { page: 3, ..SimSpec::default() };
        let path = folder.path().join("sim.ledger");
        let provider = SimProvider::open(name("sim"), spec, path.clone()).map_err(|e| e.to_string())?;
        Ok(Box::new(WrongAccount(Wrong(provider, self.0), path, folder)))
    }

    fn spec(&self, kind: Kind, n: usize) -> Option<Spec> {
        Sim(SimSpec::default()).spec(kind, n)
    }

    fn rebuilt(&self) -> Option<HostSpec> {
        None
    }

    fn limit(&self) -> Duration {
        Duration::from_secs(1)
    }
}

struct WrongAccount(
    Wrong,
    PathBuf,
    #[expect(dead_code, reason = "keeps the folder until the case is over")] tempfile::TempDir,
);

#[async_trait]
impl Account for WrongAccount {
    fn provider(&self) -> &dyn Provider {
        &self.0
    }

    async fn again(&self) -> Option<Box<dyn Provider>> {
        None
    }

    async fn content(&self, volume: &Observed, write: Option<&str>) -> Option<Text> {
        if let Some(content) = write {
            let what = Meddling::Write { id: volume.id.clone(), content: content.into() };
            self.0.0.meddle(what).await.expect("meddles");
        }
        SimLedger::read(&self.1).expect("reads").content.get(&volume.id).cloned()
    }

    async fn foreign(&self) -> Option<Text> {
        let what = Meddling::Foreign { name: "stranger".into(), spec: Spec::Host(host()) };
        self.0.0.meddle(what).await.ok()
    }
}

#[tokio::test]
async fn the_suite_finds_planted_mistakes() {
    let planted = [
        (Mistake::IgnoresTokens, "a token makes one object"),
        (Mistake::MixesUpAnswers, "answers stand in the order of the requests"),
        (Mistake::RepeatsOnPages, "pages give each object once while others appear"),
        (Mistake::LosesTags, "owner, name and tags are carried"),
        (Mistake::ClaimsAll, "foreign objects are listed and left alone"),
        (Mistake::NeverFinds, "a host is made, found, listed and deleted"),
        (Mistake::DeletesTwice, "what is not there is not found"),
        (Mistake::ForgetsSize, "a volume is attached, extended and detached"),
        (Mistake::RestoresNothing, "a volume gets the content of its snapshot back"),
        (Mistake::HangsWhenCancelled, "a creation that was given up is settled by its token"),
    ];
    for (mistake, case) in planted {
        let report = conformance::run(&WrongHarness(mistake)).await;
        let failed = |(name, outcome): &&(&str, Outcome)| *name == case && matches!(outcome, Outcome::Failed(_));
        assert!(report.0.iter().find(failed).is_some(), "{mistake:?} was not found:\n{report}");
    }
}
