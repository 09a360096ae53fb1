//! The conformance suite: what every provider must pass before the engine may rely on it.
//!
//! A provider's test implements [`Harness`], calls [`run`] and asserts that the [`Report`] has no failures:
//!
//! ```text
//! let report = conformance::run(&MyHarness).await;
//! assert!(report.is_ok(), "{report}");
//! ```
//!
//! Each case gets an account of its own. Answers that mean "try again" or "I do not know" are settled as the engine
//! settles them, so that the suite also runs on a provider that loses replies; what is left must then be as on one that
//! does not.

mod bench;
mod changes;
mod copies;
mod lifecycle;
mod lists;
mod tokens;

use std::{fmt, future::Future, pin::Pin, time::Duration};

use async_trait::async_trait;
use pool_inventory::{
    Kind, Text,
    object::{HostSpec, Observed, Spec},
};

pub use self::bench::{Bench, Stop, Verdict};
use crate::Provider;

/// How the suite gets at a provider.
#[async_trait]
pub trait Harness: Send + Sync {
    /// An account with nothing of ours in it, and the provider that has it.
    async fn account(&self) -> Result<Box<dyn Account>, String>;

    /// What a case makes; none: the provider has no such kind. `n` tells several of a case apart, where they must differ.
    fn spec(&self, kind: Kind, n: usize) -> Option<Spec>;

    /// The host of `spec` with another system; none: hosts cannot be rebuilt.
    fn rebuilt(&self) -> Option<HostSpec>;

    /// How many hosts a case may make.
    fn hosts(&self) -> usize {
        7
    }

    /// Longest time for one case.
    fn limit(&self) -> Duration {
        Duration::from_secs(60)
    }
}

/// An account for one case.
#[async_trait]
pub trait Account: Send + Sync {
    /// The provider that has it.
    fn provider(&self) -> &dyn Provider;

    /// Another handle on the same account, as another process has it; none: not possible in a test.
    async fn again(&self) -> Option<Box<dyn Provider>>;

    /// Makes a host that is not ours; its id. None: nobody else can be in this account.
    async fn foreign(&self) -> Option<Text>;

    /// Writes into a volume, if `write` says what, and tells what is in it. None: a test cannot get at what is in volumes.
    async fn content(&self, _volume: &Observed, _write: Option<&str>) -> Option<Text> {
        None
    }

    /// Removes everything that the case made. Called after failures and time-outs too.
    async fn close(&self) {}
}

/// What a case came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It holds.
    Passed,
    /// It does not apply to this provider; why.
    Skipped(String),
    /// It does not hold; what was seen.
    Failed(String),
}

/// What all cases came to, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report(pub Vec<(&'static str, Outcome)>);

impl Report {
    /// Whether nothing failed.
    pub fn is_ok(&self) -> bool {
        !self.0.iter().any(|(_, outcome)| matches!(outcome, Outcome::Failed(_)))
    }

    /// The cases that did not apply.
    pub fn skipped(&self) -> Vec<&'static str> {
        let skipped = self.0.iter().filter(|(_, outcome)| matches!(outcome, Outcome::Skipped(_)));
        skipped.map(|(name, _)| *name).collect()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, outcome) in &self.0 {
            match outcome {
                Outcome::Passed => writeln!(f, "pass  {name}")?,
                Outcome::Skipped(why) => writeln!(f, "skip  {name}: {why}")?,
                Outcome::Failed(why) => writeln!(f, "FAIL  {name}: {why}")?,
            }
        }
        Ok(())
    }
}

type Case = for<'a> fn(&'a Bench<'a>) -> Pin<Box<dyn Future<Output = Verdict> + Send + 'a>>;

/// Every case: what must hold, and how it is tried.
const CASES: &[(&str, Case)] = &[
    ("a host is made, found, listed and deleted", |b| Box::pin(lifecycle::whole_life(b, Kind::Host))),
    ("a volume is made, found, listed and deleted", |b| Box::pin(lifecycle::whole_life(b, Kind::Volume))),
    ("a network is made, found, listed and deleted", |b| Box::pin(lifecycle::whole_life(b, Kind::Network))),
    ("what is not there is not found", |b| Box::pin(lifecycle::not_found(b))),
    ("a refused creation leaves nothing", |b| Box::pin(lifecycle::refused(b))),
    ("the market sells what is made", |b| Box::pin(lifecycle::market(b))),
    ("owner, name and tags are carried", |b| Box::pin(lists::carried(b))),
    ("pages give each object once while others appear", |b| Box::pin(lists::paged(b))),
    ("answers stand in the order of the requests", |b| Box::pin(lists::ordered(b))),
    ("a batch of the greatest size is answered", |b| Box::pin(lists::full_batch(b))),
    ("another handle sees the same account", |b| Box::pin(lists::another_handle(b))),
    ("foreign objects are listed and left alone", |b| Box::pin(lists::foreign(b))),
    ("a token makes one object", |b| Box::pin(tokens::again(b))),
    ("a token makes one object at the same time too", |b| Box::pin(tokens::at_once(b))),
    ("a creation that was given up is settled by its token", |b| Box::pin(tokens::cancelled(b))),
    ("tags change in place, and again with no effect", |b| Box::pin(changes::tags(b))),
    ("a volume is attached, extended and detached", |b| Box::pin(changes::volume(b))),
    ("a snapshot is taken, found, listed and deleted", |b| Box::pin(copies::whole_life(b, Kind::Snapshot))),
    ("a backup is taken, found, listed and deleted", |b| Box::pin(copies::whole_life(b, Kind::Backup))),
    ("a volume gets the content of its snapshot back", |b| Box::pin(copies::restored(b, Kind::Snapshot))),
    ("a volume gets the content of its backup back", |b| Box::pin(copies::restored(b, Kind::Backup))),
    ("a volume is made from a snapshot", |b| Box::pin(copies::made_from(b, Kind::Snapshot))),
    ("a volume is made from a backup", |b| Box::pin(copies::made_from(b, Kind::Backup))),
    ("a volume is made from another", |b| Box::pin(copies::made_from(b, Kind::Volume))),
    ("a volume with snapshots stays, a backup outlives its volume", |b| Box::pin(copies::outlives(b))),
    ("a host is turned off and on", |b| Box::pin(changes::power(b))),
    ("a host is restarted and is what it was", |b| Box::pin(changes::restart(b))),
    ("a host is rebuilt and keeps its identity", |b| Box::pin(changes::rebuild(b))),
];

/// Runs every case.
pub async fn run(harness: &dyn Harness) -> Report {
    let mut report = Vec::with_capacity(CASES.len());
    for (name, case) in CASES {
        report.push((*name, one(harness, *case).await));
    }
    Report(report)
}

async fn one(harness: &dyn Harness, case: Case) -> Outcome {
    let account = match harness.account().await {
        Ok(account) => account,
        Err(why) => return Outcome::Failed(format!("no account: {why}")),
    };
    let bench = Bench::new(harness, &*account);
    let verdict = tokio::time::timeout(harness.limit(), case(&bench)).await;
    account.close().await;
    match verdict {
        Ok(Ok(())) => Outcome::Passed,
        Ok(Err(Stop::Skip(why))) => Outcome::Skipped(why),
        Ok(Err(Stop::Fail(why))) => Outcome::Failed(why),
        Err(_) => Outcome::Failed(format!("not done after {:?}", harness.limit())),
    }
}
