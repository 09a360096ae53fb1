//! The one dispatcher of a run: it alone starts steps, and it alone decides when to stop.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use pool_inventory::{Address, Text};
use pool_planner::{Action, Step, StepId};
use pool_state::StateError;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{
    Shared,
    queue::Queue,
    recorder::Effect,
    step::{self, StepResult},
    undo,
};
use crate::{
    event::{Event, FailureClass, RunSummary, Skip, Undone},
    guard,
    ops::{Interrupts, OnFailure},
};

/// What bounds a run.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Most steps at a time. Calls of providers have budgets of their own.
    pub steps: usize,
    /// Most bootstraps at a time: each holds a connection.
    pub bootstraps: usize,
    /// Longest time for the run.
    pub timeout: Option<Duration>,
    /// What a failed step means for the others.
    pub on_failure: OnFailure,
    /// How often the lease is renewed.
    pub renew_every: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            steps: 768,
            bootstraps: 64,
            timeout: None,
            on_failure: OnFailure::Continue,
            renew_every: Duration::from_secs(10),
        }
    }
}

type Ended = (StepId, Result<StepResult, StateError>);

struct Dispatcher {
    shared: Arc<Shared>,
    limits: Limits,
    queue: Queue,
    /// Ready steps that wait for a free place among their like.
    held: Vec<StepId>,
    bootstrapping: usize,
    tasks: JoinSet<Ended>,
    cancel: CancellationToken,
    stopping: Option<Skip>,
    /// Whether the time limit of the run is over.
    late: bool,
    /// Steps of the run that changed something, or may have.
    touched: Vec<bool>,
    /// Whether what the run made is being taken back.
    undoing: bool,
    /// Volumes that the run attached, or may have; known once it is being taken back.
    attached: BTreeSet<Address>,
    classes: BTreeSet<FailureClass>,
    summary: RunSummary,
    broken: Option<StateError>,
}

/// Drives all steps of the plan to their end. `Err`: the journal could not be written; what was done is recorded up to
/// the last entry, and the next apply settles the rest.
pub async fn drive(
    shared: Arc<Shared>,
    run: Text,
    limits: Limits,
    interrupts: Interrupts,
) -> Result<RunSummary, StateError> {
    let queue = Queue::new(shared.run_steps());
    let touched = vec![false; shared.own];
    let summary = RunSummary { run, ..RunSummary::default() };
    let mut dispatcher = Dispatcher {
        shared,
        limits,
        queue,
        held: Vec::new(),
        bootstrapping: 0,
        tasks: JoinSet::new(),
        cancel: interrupts.hard.child_token(),
        stopping: None,
        late: false,
        touched,
        undoing: false,
        attached: BTreeSet::new(),
        classes: BTreeSet::new(),
        summary,
        broken: None,
    };
    dispatcher.run(interrupts).await
}

impl Dispatcher {
    async fn run(&mut self, interrupts: Interrupts) -> Result<RunSummary, StateError> {
        let begun = Instant::now();
        let mut renew = tokio::time::interval(self.limits.renew_every);
        let mut beat = tokio::time::interval(guard::BEAT);
        let far = Duration::from_secs(365 * 24 * 3600);
        let deadline = tokio::time::sleep(self.limits.timeout.unwrap_or(far));
        tokio::pin!(deadline);
        let (mut soft, mut hard) = (false, false);
        loop {
            self.start_ready().await?;
            if self.tasks.is_empty() {
                debug_assert!(self.queue.is_over(), "a run ends when every step has ended");
                if self.begin_undo().await? {
                    continue;
                }
                break;
            }
            tokio::select! {
                biased;
                () = interrupts.hard.cancelled(), if !hard => {
                    hard = true;
                    self.interrupt(true).await;
                }
                () = interrupts.soft.cancelled(), if !soft => {
                    soft = true;
                    self.interrupt(false).await;
                }
                () = &mut deadline, if !self.late => {
                    self.late = true;
                    self.warn("the time limit of the run is over: running steps are cancelled").await;
                    self.stop(Skip::Interrupted);
                    self.cancel.cancel();
                }
                _ = renew.tick() => self.renew().await,
                _ = beat.tick() => self.shared.guard.beat(),
                Some(ended) = self.tasks.join_next() => self.ended(ended).await?,
            }
        }
        self.finish(begun).await
    }

    async fn start_ready(&mut self) -> Result<(), StateError> {
        if let Some(because) = self.stopping.clone() {
            for id in self.queue.abandon().into_iter().chain(std::mem::take(&mut self.held)) {
                self.skip(id, because.clone()).await?;
            }
            return Ok(());
        }
        let mut held = std::mem::take(&mut self.held).into_iter();
        while self.tasks.len() < self.limits.steps {
            let Some(id) = held.next().or_else(|| self.queue.next()) else { break };
            if self.undoing && !self.is_to_undo(id) {
                self.queue.finish(id);
                continue;
            }
            let is_bootstrap = matches!(self.step(id).action, Action::Bootstrap { .. });
            if is_bootstrap && self.bootstrapping >= self.limits.bootstraps {
                self.held.push(id);
                if self.held.len() > self.limits.bootstraps {
                    break;
                }
                continue;
            }
            self.bootstrapping += usize::from(is_bootstrap);
            self.spawn(id);
        }
        self.held.extend(held);
        Ok(())
    }

    /// Once everything that was started has ended: begins to take back what the run made, where that is to be done. Not
    /// after Ctrl-C, and not when time is over: then the next apply goes on instead.
    async fn begin_undo(&mut self) -> Result<bool, StateError> {
        let wanted = self.limits.on_failure == OnFailure::Undo && self.summary.failed > 0 && !self.undoing;
        let hindered = self.summary.interrupted || self.summary.lease_lost || self.broken.is_some() || self.late;
        if !wanted || hindered {
            return Ok(false);
        }
        self.undoing = true;
        self.stopping = None;
        let own = self.shared.run_steps().iter().zip(&self.touched).filter(|(_, touched)| **touched);
        let attaches = own.filter(|(step, _)| matches!(step.action, Action::Attach { .. }));
        self.attached = attaches.map(|(step, _)| step.address.clone()).collect();
        self.summary.undo = Some(Undone::default());
        let steps = self.shared.undo_steps().iter().filter(|step| self.is_to_undo(step.id)).count();
        if steps == 0 {
            return Ok(false);
        }
        self.queue = Queue::new(self.shared.undo_steps());
        let event = Event::UndoStarted { steps };
        self.shared.recorder.write(None, "undo", &event, Effect::None, Some(event.clone())).await?;
        Ok(true)
    }

    /// Whether there is something that a step of the undo is about.
    fn is_to_undo(&self, id: StepId) -> bool {
        let step = self.step(id);
        let row = self.shared.records.get(&step.address, step.generation);
        match step.action {
            Action::Detach { .. } => row.is_some_and(|row| row.id.is_some()) && self.attached.contains(&step.address),
            _ => row.is_some(),
        }
    }

    fn spawn(&mut self, id: StepId) {
        let shared = self.shared.clone();
        let cancel = self.cancel.clone();
        self.tasks.spawn(async move {
            let step = &shared.plan.steps[id.0 as usize];
            (id, step::run(&shared, step, &cancel).await)
        });
    }

    async fn ended(&mut self, ended: Result<Ended, tokio::task::JoinError>) -> Result<(), StateError> {
        let (id, result) = match ended {
            Ok(ended) => ended,
            // A step that panicked is a bug of ours; the run ends as after a crash, and the next apply settles it.
            Err(bug) => std::panic::resume_unwind(bug.into_panic()),
        };
        self.bootstrapping -= usize::from(matches!(self.step(id).action, Action::Bootstrap { .. }));
        match result {
            Ok(Ok(_)) => {
                self.count(id, None);
                self.queue.finish(id);
            }
            Ok(Err(failure)) => {
                self.count(id, Some(failure.class));
                for (skipped, cause) in self.queue.fail(id) {
                    let address = self.step(cause).address.clone();
                    self.skip(skipped, Skip::Needs { address }).await?;
                }
                if self.limits.on_failure != OnFailure::Continue && !self.undoing {
                    self.stop(Skip::Stopped);
                }
            }
            Err(error) => {
                // Without a journal nothing may be done: what runs is cancelled, and nothing new starts.
                self.summary.failed += 1;
                if matches!(error, StateError::LeaseLost) {
                    self.lost().await;
                } else {
                    self.stop(Skip::Stopped);
                    self.cancel.cancel();
                }
                self.broken.get_or_insert(error);
                self.queue.fail(id);
            }
        }
        Ok(())
    }

    /// Counts a step that ended: well, or with a failure.
    fn count(&mut self, id: StepId, failure: Option<FailureClass>) {
        let deletes = matches!(self.step(id).action, Action::Delete);
        if let Some(undo) = self.summary.undo.as_mut() {
            undo.failed += usize::from(failure.is_some());
            undo.taken_back += usize::from(failure.is_none() && deletes);
            return;
        }
        if let Some(touched) = self.touched.get_mut(id.0 as usize) {
            *touched = failure.is_none_or(FailureClass::leaves_traces);
        }
        match failure {
            None => self.summary.succeeded += 1,
            Some(class) => {
                self.summary.failed += 1;
                self.classes.insert(class);
            }
        }
    }

    fn step(&self, id: StepId) -> &Step {
        &self.shared.plan.steps[id.0 as usize]
    }

    fn stop(&mut self, because: Skip) {
        self.stopping.get_or_insert(because);
    }

    async fn interrupt(&mut self, hard: bool) {
        self.summary.interrupted = true;
        self.stop(Skip::Interrupted);
        self.note("interrupted", Event::Interrupted { hard }).await;
    }

    async fn warn(&self, text: &str) {
        self.note("warning", Event::Warning { text: text.into() }).await;
    }

    /// Tells something that belongs to no step; in the journal, too, as long as that can be written.
    async fn note(&self, kind: &str, event: Event) {
        if self.broken.is_none() && !self.summary.lease_lost {
            let recorder = &self.shared.recorder;
            if recorder.write(None, kind, &event, Effect::None, Some(event.clone())).await.is_ok() {
                return;
            }
        }
        self.shared.recorder.publish(event).await;
    }

    async fn renew(&mut self) {
        if let Err(error) = self.shared.recorder.store().renew(self.shared.recorder.lease()).await {
            if matches!(error, StateError::LeaseLost) {
                self.lost().await;
            } else {
                self.warn(&format!("the lease could not be renewed: {error}")).await;
            }
        }
    }

    /// Who has lost the lease does nothing more; what runs is cancelled.
    async fn lost(&mut self) {
        if !self.summary.lease_lost {
            self.summary.lease_lost = true;
            self.warn("the lease was taken away: nothing more is done").await;
        }
        self.stop(Skip::LeaseLost);
        self.cancel.cancel();
    }

    async fn skip(&mut self, id: StepId, because: Skip) -> Result<(), StateError> {
        match self.summary.undo.as_mut() {
            Some(undo) => undo.failed += 1,
            None => self.summary.skipped += 1,
        }
        let step = self.step(id).clone();
        let event = Event::StepSkipped { step: id, address: step.address.clone(), verb: step.verb().into(), because };
        // A broken journal is why the run ends; that the rest was skipped needs no entry then.
        if self.broken.is_some() || self.summary.lease_lost {
            self.shared.recorder.publish(event).await;
            return Ok(());
        }
        self.shared.recorder.write(Some(&step), "skipped", &event, Effect::None, Some(event.clone())).await
    }

    async fn finish(&mut self, begun: Instant) -> Result<RunSummary, StateError> {
        if let Some(error) = self.broken.take()
            && !self.summary.lease_lost
        {
            return Err(error);
        }
        self.summary.commits = self.shared.recorder.store().commits();
        self.summary.millis = begun.elapsed().as_millis() as u64;
        if let Some(undo) = self.summary.undo.as_mut() {
            undo.remains = undo::remains(&self.shared, &self.touched);
        }
        self.summary.classes = self.classes.iter().copied().collect();
        let accounts = self.shared.accounts.iter();
        self.summary.calls = accounts.map(|(name, account)| (name.clone(), account.calls())).collect();
        Ok(std::mem::take(&mut self.summary))
    }
}
