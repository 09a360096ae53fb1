//! The fence between a run and the world: nothing is asked of a provider or a host unless the lease is held.
//!
//! A process can be stopped between any two instructions, for as long as it takes others to take its lease, and it does not
//! notice. So whoever acts has its future driven by [`Guard::under`], which looks at the lease first, and again
//! before the future goes on after a pause: the dispatcher of a run marks each tenth of a second, and a mark that is older
//! than [`PAUSE`] means that this process stood still. What was handed to the network before is answered or lost, and settled
//! by its token like every lost answer.

use std::{
    future::{Future, poll_fn},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::Poll,
    time::{Duration, Instant},
};

use pool_state::{Pass, StateError, Store};

/// How often a run marks that it goes on.
pub const BEAT: Duration = Duration::from_millis(100);

/// Standing still for longer than this, a run looks at its lease before it goes on.
const PAUSE: Duration = Duration::from_millis(500);

/// Lets act who holds the lease. Cheap to clone; does not keep the lease from being given back.
#[derive(Debug, Clone)]
pub struct Guard(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    pass: Pass,
    begun: Instant,
    /// The newest mark, in milliseconds since `begun`.
    beat: AtomicU64,
}

impl Guard {
    /// Of the holder of a lease.
    pub fn new(store: Store, pass: Pass) -> Self {
        Self(Arc::new(Inner { store, pass, begun: Instant::now(), beat: AtomicU64::new(0) }))
    }

    /// Marks that this process goes on.
    pub fn beat(&self) {
        // Only who was not paused may say so: who was looks at the lease first.
        if self.is_awake() {
            self.mark();
        }
    }

    fn mark(&self) {
        self.0.beat.fetch_max(self.now(), Ordering::SeqCst);
    }

    fn now(&self) -> u64 {
        self.0.begun.elapsed().as_millis() as u64
    }

    fn is_awake(&self) -> bool {
        self.now().saturating_sub(self.0.beat.load(Ordering::SeqCst)) < PAUSE.as_millis() as u64
    }

    /// Makes sure that the lease is held now.
    pub async fn assure(&self) -> Result<(), StateError> {
        self.0.store.assure(&self.0.pass).await?;
        self.mark();
        Ok(())
    }

    /// Drives `work` if the lease is held, and for as long as it is; dropped where it is lost.
    pub async fn under<T>(&self, work: impl Future<Output = T>) -> Result<T, StateError> {
        self.assure().await?;
        self.going_on(work).await
    }

    /// The same for work that begins with a write to the journal, which looks at the lease itself.
    pub async fn going_on<T>(&self, work: impl Future<Output = T>) -> Result<T, StateError> {
        let mut work = std::pin::pin!(work);
        loop {
            let awake = poll_fn(|cx| match self.is_awake() {
                true => work.as_mut().poll(cx).map(Some),
                false => Poll::Ready(None),
            });
            if let Some(done) = awake.await {
                return Ok(done);
            }
            self.assure().await?;
        }
    }
}
