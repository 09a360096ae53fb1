//! The simulated cloud: a provider that is a file.
//!
//! | module | what it does |
//! |---|---|
//! | `object`, `world` | what exists, and the effects that change it |
//! | `ledger` | the file that several processes share |
//! | `cloud`, `create`, `change` | one call: look, decide, note the effects |
//! | `fault` | faults by rule |
//! | `market`, `hosts` | what is for sale; addresses and host keys |
//! | [`meddle`](Meddling) | what others do in the account |
//! | [`report`](SimLedger) | what the ledger says happened |
//!
//! Time: the cloud's clock never runs slower than the real one. On a virtual clock a call moves it on by its latency
//! instead of waiting, `poll` moves it on to when something is ready, and so does who lists or looks up again what is not, and a call over the rate to the next second; the
//! visibility delay passes in real time on both, since it is the client that has to wait for it.

mod change;
mod cloud;
mod create;
mod fault;
mod hosts;
mod ledger;
mod market;
mod meddle;
mod object;
mod report;
mod world;

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use pool_inventory::{
    Kind, Name, Text, TimeSpan, Token,
    desired::{SimClock, SimSpec},
    market::{Capabilities, Market},
    object::Observed,
};
use tokio::time::Instant;

use self::{
    cloud::Cloud,
    ledger::Ledger,
    market::Shop,
    world::{Call, World},
};
pub use self::{
    meddle::Meddling,
    report::{Counters, SimEffect, SimEffectKind, SimLedger},
    world::Use,
};
use crate::{Operation, Page, Progress, Provider, ProviderError, Request, crash};

/// A simulated cloud; see `docs/providers/sim.md`.
#[derive(Debug, Clone)]
pub struct SimProvider(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    shop: Shop,
    /// Calls under way.
    in_flight: AtomicU64,
    /// Kinds that were listed since anything was asked for: who lists one of them again waits for something.
    listed: Mutex<BTreeSet<Kind>>,
    ledger: Mutex<Open>,
}

#[derive(Debug)]
struct Open {
    ledger: Ledger,
    /// The cloud's time at the end of this handle's last call, and when that was.
    seen: Option<(u64, Instant)>,
}

/// The name of calls that are not the client's.
const MEDDLE: &str = "meddle";

/// Tells a call that nobody waits for it any more.
struct Abandon(Arc<AtomicBool>);

impl Drop for Abandon {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// One call, from its beginning until its answer or until nobody waits for it any more.
struct UnderWay(Arc<Shared>);

impl UnderWay {
    fn begin(shared: &Arc<Shared>) -> Self {
        shared.in_flight.fetch_add(1, Ordering::SeqCst);
        Self(shared.clone())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
}

impl SimProvider {
    /// Opens the cloud whose ledger is at `ledger`, and makes an empty one where there is none.
    ///
    /// The settings may differ from one opening to the next: what exists stays as it is.
    pub fn open(name: Name, spec: SimSpec, ledger: PathBuf) -> Result<SimProvider, ProviderError> {
        let salt = fault::dice(spec.seed, &["cloud", &name]);
        let shop = Shop::new(name, spec)?;
        let ledger = Ledger::open(ledger, salt)?;
        Ok(Self(Arc::new(Shared {
            shop,
            in_flight: AtomicU64::new(0),
            listed: Mutex::default(),
            ledger: Mutex::new(Open { ledger, seen: None }),
        })))
    }

    /// Does in the account what others do there: objects that are not ours, changes behind our back.
    /// Takes no time, meets no faults and no quotas, and is seen at once. The id of the object.
    pub async fn meddle(&self, what: Meddling) -> Result<Text, ProviderError> {
        self.run(MEDDLE, move |cloud| cloud.meddle(&what)).await?
    }

    /// One call, with the time that it takes.
    async fn call<T: Send + 'static>(
        &self,
        what: &'static str,
        work: impl FnOnce(&mut Cloud) -> T + Send + 'static,
    ) -> Result<T, ProviderError> {
        let SimSpec { latency, clock, .. } = self.0.shop.spec;
        let there = TimeSpan(latency.0 / 2);
        let pause = async |span: TimeSpan| {
            if clock == SimClock::Real && span.0 > 0 {
                tokio::time::sleep(span.duration()).await;
            }
        };
        let _under_way = UnderWay::begin(&self.0);
        pause(there).await;
        let answer = self.run(what, work).await;
        pause(TimeSpan(latency.0 - there.0)).await;
        answer
    }

    /// The part of a call that happens in the cloud. The file is read and written on a thread that may block.
    async fn run<T: Send + 'static>(
        &self,
        what: &'static str,
        work: impl FnOnce(&mut Cloud) -> T + Send + 'static,
    ) -> Result<T, ProviderError> {
        let abandoned = Arc::new(AtomicBool::new(false));
        let guard = Abandon(abandoned.clone());
        let shared = self.0.clone();
        let at = Instant::now();
        let done = tokio::task::spawn_blocking(move || shared.run(what, at, &abandoned, work)).await;
        drop(guard);
        done.unwrap_or_else(|e| Err(ProviderError::Indeterminate(format!("the call was cut off: {e}").into())))
    }
}

impl Shared {
    fn run<T>(
        &self,
        what: &'static str,
        at: Instant,
        abandoned: &AtomicBool,
        work: impl FnOnce(&mut Cloud) -> T,
    ) -> Result<T, ProviderError> {
        let mut open = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        let Open { ledger, seen } = &mut *open;
        let mut session = ledger.session()?;
        // Looked at under the lock: a look-up after the client gave up sees either the effect or that there is none.
        if abandoned.load(Ordering::SeqCst) {
            session.leave();
            return Err(ProviderError::Transient("the call was given up before it was carried out".into()));
        }
        let mut call = Call { wall: wall(), pid: std::process::id(), call: what.into(), ..Call::default() };
        call.in_flight = self.in_flight.load(Ordering::SeqCst);
        let world = session.world();
        world.now = time(world, call.wall, *seen, at);
        let virtual_clock = self.shop.spec.clock == SimClock::Virtual;
        let ours = what != MEDDLE;
        let (answer, kill) = match self.over_rate(world).filter(|_| ours) {
            Some(after) => {
                call.limited = 1;
                world.now += if virtual_clock { after.0 } else { 0 };
                let after = if virtual_clock { TimeSpan(0) } else { after };
                (Err(ProviderError::RateLimited { after: Some(after) }), false)
            }
            None => {
                world.now += if virtual_clock && ours { self.shop.spec.latency.0 } else { 0 };
                let mut cloud = Cloud { shop: &self.shop, world: &mut *world, call: &mut call, kill: false };
                cloud.end_deletions();
                let value = work(&mut cloud);
                (Ok(value), cloud.kill)
            }
        };
        call.now = world.now;
        session.commit(&call)?;
        *seen = Some((call.now, at));
        if kill {
            crash::die();
        }
        answer
    }

    fn listed(&self) -> std::sync::MutexGuard<'_, BTreeSet<Kind>> {
        self.listed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Time until the next call is let through, if this one is one too many.
    fn over_rate(&self, world: &World) -> Option<TimeSpan> {
        let rate = self.shop.spec.rate?;
        let (second, calls) = world.window;
        (second == world.now / 1000 && calls >= rate).then(|| TimeSpan(1000 - world.now % 1000))
    }
}

/// The cloud's time: what the ledger says, and what has passed since, on the wall for other processes and on this
/// process's own clock, whichever is later.
fn time(world: &World, wall: u64, seen: Option<(u64, Instant)>, at: Instant) -> u64 {
    let outside = world.now + wall.saturating_sub(world.wall);
    let since = |then: Instant| u64::try_from(at.saturating_duration_since(then).as_millis()).unwrap_or(0);
    let inside = seen.map_or(0, |(now, then)| now + since(then));
    outside.max(inside)
}

fn wall() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(0)
}

#[async_trait]
impl Provider for SimProvider {
    fn capabilities(&self) -> Capabilities {
        self.0.shop.can.clone()
    }

    async fn market(&self) -> Result<Market, ProviderError> {
        self.call("market", |cloud| cloud.shop.market(cloud.world)).await
    }

    async fn submit(&self, batch: Vec<Request>) -> Vec<Result<Progress, ProviderError>> {
        let (count, page) = (batch.len(), self.0.shop.can.batch);
        if count > page {
            let detail = format!("{count} requests at once, {page} are allowed").into();
            return vec![Err(ProviderError::Invalid { field: "batch".into(), detail }); count];
        }
        self.0.listed().clear();
        match self.call("submit", move |cloud| cloud.submit(&batch)).await {
            Ok(answers) => answers,
            Err(error) => vec![Err(error); count],
        }
    }

    async fn list(&self, kind: Kind, from: Option<Text>) -> Result<Page, ProviderError> {
        let waits = from.is_none() && !self.0.listed().insert(kind);
        self.call("list", move |cloud| {
            if waits {
                cloud.skip_to_next(kind);
            }
            cloud.list(kind, from.as_deref())
        })
        .await?
    }

    async fn find(&self, token: &Token) -> Result<Option<Observed>, ProviderError> {
        let token = token.clone();
        self.call("find", move |cloud| cloud.find(&token)).await?
    }

    async fn poll(&self, operations: &[Operation]) -> Vec<Result<Progress, ProviderError>> {
        let (count, operations) = (operations.len(), operations.to_vec());
        match self.call("poll", move |cloud| cloud.poll(&operations)).await {
            Ok(answers) => answers,
            Err(error) => vec![Err(error); count],
        }
    }
}
