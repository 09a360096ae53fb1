//! One actor per provider account: it gathers requests into batches, keeps the budget, and is the one poller.
//!
//! A step hands in one request and awaits its end. That many steps become few calls is decided here and nowhere else.

mod budget;

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

pub use budget::Budget;
use pool_inventory::{Kind, Token, market::Feature, object::Observed};
use pool_providers::{Act, Operation, Progress, Provider, ProviderError, Request, crash};
use pool_state::StateError;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::guard::Guard;

/// How an act ended: the object as it is now, or none where it is gone.
pub type Ended = Result<Option<Box<Observed>>, ProviderError>;

/// Requests that may wait in front of an account before steps are held up.
const QUEUE: usize = 1024;

/// How long the first request of a batch waits for others. Steps that became ready together arrive within it.
const LINGER: Duration = Duration::from_millis(2);

/// Shortest and longest pause between two polls, where the provider does not ask for longer ones.
const POLL: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(5));

/// The pause after a poll of `waiting` operations of which `ended` had ended, after the pause `before`. It doubles while
/// fewer than a sixth have ended, and halves when more than half had: so the polls of n objects are n ÷ 4 or so, however
/// long each takes, and a place in the cloud's queue stands empty for a tenth of the time.
fn pace(before: Duration, waiting: usize, ended: usize, least: Duration) -> Duration {
    let next = match () {
        () if ended * 6 < waiting => before * 2,
        () if ended * 2 > waiting => before / 2,
        () => before,
    };
    next.min(POLL.1).max(least)
}

struct Job {
    request: Request,
    reply: oneshot::Sender<Ended>,
}

struct Waiting {
    operation: Operation,
    reply: oneshot::Sender<Ended>,
}

/// A handle of an account; cheap to clone.
#[derive(Clone)]
pub struct Account {
    jobs: mpsc::Sender<Job>,
    provider: Arc<dyn Provider>,
    guard: Guard,
    calls: Arc<AtomicU64>,
}

impl Account {
    /// Starts the actor; it ends when the last handle is dropped or `cancel` is. `limit` is the operator's.
    pub fn start(provider: Arc<dyn Provider>, limit: Option<usize>, cancel: CancellationToken, guard: Guard) -> Self {
        let (jobs, inbox) = mpsc::channel(QUEUE);
        let calls = Arc::new(AtomicU64::new(0));
        let can = provider.capabilities();
        let actor = Actor {
            batch: can.batch.max(1),
            provider: provider.clone(),
            guard: guard.clone(),
            budget: Budget::new(limit.unwrap_or(can.calls)),
            first_poll: can.poll.duration(),
            queue: VecDeque::new(),
            submits: JoinSet::new(),
            polls: JoinSet::new(),
            waiting: Vec::new(),
            pause: POLL.0.max(can.poll.duration()),
            next_poll: Instant::now(),
            calls: calls.clone(),
        };
        tokio::spawn(actor.run(inbox, cancel));
        Self { jobs, provider, guard, calls }
    }

    /// Carries out one act and waits for its end. No retries: that is the caller's policy.
    pub async fn act(&self, request: Request) -> Ended {
        let (reply, end) = oneshot::channel();
        let gone = || ProviderError::Indeterminate("the run was cancelled".into());
        self.jobs.send(Job { request, reply }).await.map_err(|_| gone())?;
        end.await.map_err(|_| gone())?
    }

    /// Looks an object up by the token of its creation.
    pub async fn find(&self, token: &Token) -> Result<Option<Observed>, ProviderError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.guard.under(self.provider.find(token)).await.unwrap_or_else(|lost| Err(fenced(&lost)))
    }

    /// All objects of a kind.
    pub async fn list(&self, kind: Kind) -> Result<Vec<Observed>, ProviderError> {
        let listing = self.guard.under(crate::observe::list_kind(&*self.provider, kind)).await;
        let (objects, calls) = listing.unwrap_or_else(|lost| Err(fenced(&lost)))?;
        self.calls.fetch_add(calls, Ordering::Relaxed);
        Ok(objects)
    }

    /// How long after a possible send the absence of an object proves nothing.
    pub fn doubt(&self) -> Duration {
        let can = self.provider.capabilities();
        can.doubt.duration() + can.visibility_delay.duration()
    }

    /// How long it may take to make something; what takes longer is stuck.
    pub fn patience(&self) -> Duration {
        self.provider.capabilities().patience.duration()
    }

    /// Whether it only attaches volumes, and hosts mount them.
    pub fn only_attaches(&self) -> bool {
        !self.provider.capabilities().features.contains(&Feature::Mounts)
    }

    /// Calls made so far.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }
}

/// What a call that was not made, or not to its end, is answered with. The step's next write is refused for the same
/// reason, and ends the run.
fn fenced(lost: &StateError) -> ProviderError {
    ProviderError::Other(lost.to_string().into())
}

type Submitted = (Vec<(Request, oneshot::Sender<Ended>)>, Vec<Result<Progress, ProviderError>>, Duration);
type Polled = (Vec<Waiting>, Vec<Result<Progress, ProviderError>>);

struct Actor {
    provider: Arc<dyn Provider>,
    guard: Guard,
    batch: usize,
    budget: Budget,
    queue: VecDeque<Job>,
    submits: JoinSet<Submitted>,
    polls: JoinSet<Polled>,
    waiting: Vec<Waiting>,
    /// How long after an act was accepted it is asked about, and the least pause between two polls.
    first_poll: Duration,
    pause: Duration,
    next_poll: Instant,
    calls: Arc<AtomicU64>,
}

impl Actor {
    async fn run(mut self, mut inbox: mpsc::Receiver<Job>, cancel: CancellationToken) {
        let mut open = true;
        while open || !self.is_idle() {
            self.start_submits();
            self.start_poll();
            let wake = self.wake_at();
            tokio::select! {
                biased;
                () = cancel.cancelled() => return,
                Some(done) = self.submits.join_next() => if let Ok(done) = done { self.submitted(done) },
                Some(done) = self.polls.join_next() => if let Ok(done) = done { self.polled(done) },
                job = inbox.recv(), if open && self.queue.len() < QUEUE => match job {
                    Some(job) => self.gather(job, &mut inbox).await,
                    None => open = false,
                },
                () = tokio::time::sleep_until(wake.into()) => {}
            }
        }
    }

    fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.waiting.is_empty() && self.submits.is_empty() && self.polls.is_empty()
    }

    /// Takes in everything that arrives within [`LINGER`], so that it travels together.
    async fn gather(&mut self, first: Job, inbox: &mut mpsc::Receiver<Job>) {
        self.queue.push_back(first);
        if self.batch == 1 {
            return;
        }
        let end = tokio::time::Instant::now() + LINGER;
        while self.queue.len() < self.batch {
            match tokio::time::timeout_at(end, inbox.recv()).await {
                Ok(Some(job)) => self.queue.push_back(job),
                Ok(None) | Err(_) => return,
            }
        }
    }

    fn start_submits(&mut self) {
        let now = Instant::now();
        while !self.queue.is_empty() && self.budget.admits(self.submits.len(), now) {
            let count = self.queue.len().min(self.batch);
            let jobs: Vec<(Request, _)> = self.queue.drain(..count).map(|job| (job.request, job.reply)).collect();
            let (provider, guard) = (self.provider.clone(), self.guard.clone());
            self.calls.fetch_add(1, Ordering::Relaxed);
            self.submits.spawn(async move {
                crash::point("call-before");
                let begun = Instant::now();
                let requests = jobs.iter().map(|(request, _)| request.clone()).collect();
                let answers = guard.under(provider.submit(requests)).await;
                let answers = answers.unwrap_or_else(|lost| jobs.iter().map(|_| Err(fenced(&lost))).collect());
                crash::point("call-after");
                (jobs, answers, begun.elapsed())
            });
        }
    }

    fn start_poll(&mut self) {
        let now = Instant::now();
        if self.waiting.is_empty() || !self.polls.is_empty() || self.next_poll > now || !self.budget.admits(0, now) {
            return;
        }
        let waiting = std::mem::take(&mut self.waiting);
        let (provider, guard) = (self.provider.clone(), self.guard.clone());
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.polls.spawn(async move {
            let operations: Vec<Operation> = waiting.iter().map(|w| w.operation.clone()).collect();
            let answers = guard.under(provider.poll(&operations)).await;
            let answers = answers.unwrap_or_else(|lost| waiting.iter().map(|_| Err(fenced(&lost))).collect());
            (waiting, answers)
        });
    }

    /// When something may be due although nothing arrives.
    fn wake_at(&self) -> Instant {
        let now = Instant::now();
        let far = now + Duration::from_secs(3600);
        let poll = if self.waiting.is_empty() || !self.polls.is_empty() { far } else { self.next_poll };
        let submit = if self.queue.is_empty() { far } else { self.budget.opens_at(now).unwrap_or(far) };
        let opens = self.budget.opens_at(now).unwrap_or(now);
        poll.max(if self.waiting.is_empty() { poll } else { opens }).min(submit)
    }

    fn submitted(&mut self, (jobs, answers, took): Submitted) {
        if let Some((request, _)) = jobs.first() {
            self.budget.took(kind_of_call(request), took);
        }
        let mut answers = answers.into_iter();
        for (_, reply) in jobs {
            let answer = answers.next().unwrap_or_else(|| Err(ProviderError::Indeterminate("no answer".into())));
            self.note(&answer);
            self.pass_on(reply, answer);
        }
    }

    fn polled(&mut self, (waiting, answers): Polled) {
        let before = waiting.len();
        let mut answers = answers.into_iter();
        let mut still = 0;
        for entry in waiting {
            let answer = answers.next().unwrap_or_else(|| Ok(Progress::Pending(entry.operation.clone())));
            self.note(&answer);
            // A poll that fails for a passing reason says nothing about the operation: it is asked again.
            let answer = match answer {
                Err(
                    ProviderError::RateLimited { .. } | ProviderError::Transient(_) | ProviderError::Indeterminate(_),
                ) => Ok(Progress::Pending(entry.operation)),
                other => other,
            };
            still += usize::from(matches!(answer, Ok(Progress::Pending(_))));
            self.pass_on(entry.reply, answer);
        }
        let least = POLL.0.max(self.first_poll);
        self.pause = pace(self.pause, before, before - still, least);
        self.next_poll = Instant::now() + self.pause;
    }

    fn pass_on(&mut self, reply: oneshot::Sender<Ended>, answer: Result<Progress, ProviderError>) {
        let ended = match answer {
            Ok(Progress::Done(object)) => Ok(Some(object)),
            Ok(Progress::Gone) => Ok(None),
            Err(error) => Err(error),
            Ok(Progress::Pending(operation)) => {
                // A step that gave up has dropped its end; nobody waits for that operation any more.
                if !reply.is_closed() {
                    if self.waiting.is_empty() && self.polls.is_empty() {
                        self.pause = POLL.0.max(self.first_poll);
                        self.next_poll = Instant::now() + self.first_poll;
                    }
                    self.waiting.push(Waiting { operation, reply });
                }
                return;
            }
        };
        let _ = reply.send(ended);
    }

    fn note(&mut self, answer: &Result<Progress, ProviderError>) {
        match answer {
            Err(ProviderError::RateLimited { after }) => {
                self.budget.tighten(after.map(|span| span.duration()), Instant::now());
            }
            Err(ProviderError::Transient(_) | ProviderError::Indeterminate(_)) => {}
            _ => self.budget.relax(),
        }
    }
}

/// Calls whose times can be compared.
fn kind_of_call(request: &Request) -> (Kind, u8) {
    let verb = match request.act {
        Act::Create(_) => 0,
        Act::Delete { .. } => 1,
        _ => 2,
    };
    (request.owner.address.kind, verb)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Polls, and the seconds until 100 operations are done, of which 20 are under way and one ends each `each` ms.
    fn polls(each: u64, least: Duration) -> (u32, Duration) {
        let each = Duration::from_millis(each);
        let (mut pause, mut now, mut seen, mut polls) = (least, Duration::ZERO, 0usize, 0);
        while seen < 100 {
            now += pause;
            polls += 1;
            let done = ((now.as_millis() / each.as_millis()) as usize).min(100);
            let waiting = (100 - seen).min(20);
            let ended = (done - seen).min(waiting);
            seen += ended;
            pause = pace(pause, waiting, ended, least);
        }
        (polls, now)
    }

    #[test]
    fn polls_are_few_however_long_operations_take() {
        let least = Duration::from_secs(2);
        for each in [600, 800, 1000, 1200] {
            let (polls, took) = polls(each, least);
            assert!(polls <= 30, "{polls} polls at one each {each} ms");
            assert!(took <= Duration::from_millis(100 * each) + POLL.1, "{took:?} at one each {each} ms");
        }
    }

    #[test]
    fn what_is_quick_is_seen_quickly_and_what_is_slow_within_seconds() {
        let quick = POLL.0;
        assert_eq!(pace(quick, 10_000, 10_000, quick), quick);
        assert_eq!(pace(Duration::from_secs(1), 1, 1, quick), Duration::from_millis(500));
        assert_eq!(pace(Duration::from_secs(4), 20, 0, quick), POLL.1);
        assert_eq!(pace(Duration::from_secs(4), 20, 1, quick), POLL.1);
        let slow = Duration::from_secs(15);
        assert_eq!(pace(slow, 20, 0, slow), slow, "the provider asks for more");
    }
}
