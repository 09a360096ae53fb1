//! Applying a plan: take the lease, settle what is in doubt, mark the plan used, run its steps.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use pool_bootstrap::Pace;
use pool_inventory::{Name, Text, object::Recorded};
use pool_planner::Plan;
use pool_state::{Charge, Keep, Lease, LeaseRequest, NewRun, RunId, StateError, Store};

use super::{ApplyRequest, Environment, Events, Interrupts, OnFailure, OpsError, SavedPlan, plan::chain};
use crate::{
    account::Account,
    artifacts::Artifacts,
    clock,
    event::{Event, RunSummary},
    guard::{self, Guard},
    random,
    run::{self, Limits, Recorder, Records, Shared},
};

/// How long a lease lives unless it is renewed; a run renews it every third of that.
const LEASE_TTL: Duration = Duration::from_secs(30);

impl Environment {
    /// Carries out a plan. `Err`: refused, nothing was changed. `Ok`: what came of it, also where steps failed.
    pub async fn apply(
        &self,
        request: ApplyRequest,
        events: Events,
        interrupts: Interrupts,
    ) -> Result<RunSummary, OpsError> {
        let plan = &request.plan.plan;
        self.refuse_foreign(plan)?;
        if plan.is_incomplete() && !request.partial {
            return Err(OpsError::Refused(
                "some of what is declared could not be planned; apply the rest with --partial".into(),
            ));
        }
        if on_failure(&request) == OnFailure::Undo && plan.undo.is_none() {
            return Err(OpsError::Usage(
                "this plan was not made to be undone, so that nobody was shown what would be taken back; \
                 make one with: pool plan --on-failure undo"
                    .into(),
            ));
        }
        let store = self.store().await?;
        if store.lineage() != &plan.lineage {
            return Err(OpsError::PlanUnusable("the plan was made for another state".into()));
        }
        let lease = self.acquire(store, "apply").await?;
        let result = self.apply_under(store, &lease, request, events, interrupts).await;
        let released = release(store, lease).await;
        match (&result, released) {
            (Ok(_), Err(error)) if !matches!(error, StateError::LeaseLost) => Err(error.into()),
            _ => result,
        }
    }

    async fn apply_under(
        &self,
        store: &Store,
        lease: &Arc<Lease>,
        request: ApplyRequest,
        events: Events,
        interrupts: Interrupts,
    ) -> Result<RunSummary, OpsError> {
        let guard = Guard::new(store.clone(), lease.pass());
        let run = RunId(pool_inventory::names::hex(&random::bits()[..6]).into());
        let cancel = interrupts.hard.clone();
        let accounts = self.accounts(&request.plan.plan, &cancel, &guard)?;
        let rows = store.begin_run(lease, new_run(&run, &request)).await?;
        let (limits, undoes) = (self.limits(&request), on_failure(&request) == OnFailure::Undo);
        let SavedPlan { id, mut plan, .. } = request.plan;
        let (own, undo) = (plan.steps.len(), plan.undo.take());
        if undoes {
            plan.steps.extend(undo.into_iter().flat_map(|undo| undo.steps));
        }
        let artifacts =
            Artifacts::new(self.places.root.clone(), self.places.artifacts(), plan.artifacts.clone(), self.pace());
        let shared = Arc::new(Shared {
            plan,
            own,
            lineage: store.lineage().clone(),
            accounts,
            records: Records::new(rows),
            recorder: Recorder::new(store.clone(), lease.clone(), run.clone(), events.clone()),
            hosts: self.ways(),
            artifacts,
            guard,
            soft: interrupts.soft.clone(),
            first_attempt: first_attempt(lease),
            quiet: lease.quiet_since(),
            detours: Default::default(),
            lines: Default::default(),
            tickets: Default::default(),
        });
        let steps = shared.own;
        shared.recorder.publish(Event::RunStarted { run: run.0.clone(), plan: id, steps }).await;
        let driven = run::drive(shared.clone(), run.0.clone(), limits, interrupts).await;
        self.conclude(store, lease, &run, driven, &shared).await
    }

    async fn conclude(
        &self,
        store: &Store,
        lease: &Lease,
        run: &RunId,
        driven: Result<RunSummary, StateError>,
        shared: &Shared,
    ) -> Result<RunSummary, OpsError> {
        let summary = driven?;
        let code = summary.exit_code();
        let mut text = format!("{} done, {} failed, {} not tried", summary.succeeded, summary.failed, summary.skipped);
        if let Some(undo) = &summary.undo {
            text = format!("{text}; {} taken back, {} changed", undo.taken_back, undo.remains);
        }
        let json = serde_json::to_string(&summary).unwrap_or_default();
        if !summary.lease_lost {
            store.end_run(lease, run, clock::now(), text.into(), i32::from(code), json).await?;
            if let Err(error) = store.prune(lease, Keep::default(), clock::now()).await {
                let text = format!("old entries of the journal were not removed: {error}");
                shared.recorder.publish(Event::Warning { text: text.into() }).await;
            }
        }
        shared.recorder.publish(Event::RunFinished { summary: summary.clone() }).await;
        Ok(summary)
    }

    /// What is recorded, once it is found out what earlier runs left in doubt; unless another run is at work: then it is
    /// that run's to find out.
    pub(super) async fn settled(&self, store: &Store, events: Events) -> Result<Vec<Recorded>, OpsError> {
        let rows = store.objects().await?;
        if rows.iter().all(|row| row.id.is_some()) {
            return Ok(rows);
        }
        let request = LeaseRequest { holder: holder(), reason: "settle".into(), ttl: LEASE_TTL, wait: Duration::ZERO };
        let lease = match store.acquire(request).await {
            Ok(lease) => Arc::new(lease),
            Err(StateError::LeaseHeld { .. }) => return Ok(rows),
            Err(error) => return Err(error.into()),
        };
        let result = self.settle_under(store, &lease, events).await;
        let _ = release(store, lease).await;
        result?;
        Ok(store.objects().await?)
    }

    async fn settle_under(&self, store: &Store, lease: &Arc<Lease>, events: Events) -> Result<(), OpsError> {
        let rows = store.objects().await?;
        let guard = Guard::new(store.clone(), lease.pass());
        let run = RunId(pool_inventory::names::hex(&random::bits()[..6]).into());
        let cancel = tokio_util::sync::CancellationToken::new();
        let _end = cancel.clone().drop_guard();
        let (open, _) = self.providers();
        let limit = |name: &Name| self.request.limits.get(name).copied();
        let accounts = open
            .into_iter()
            .map(|(name, provider)| {
                let account = Account::start(provider, limit(&name), cancel.clone(), guard.clone());
                (name, account)
            })
            .collect();
        store.begin_run(lease, super::history::new_run(&run, "settle")).await?;
        let recorder = Recorder::new(store.clone(), lease.clone(), run.clone(), events);
        let records = Records::new(rows);
        let work = run::settle(&accounts, &records, &recorder, lease.quiet_since());
        let result = self.renewing(store, lease, &guard, work).await;
        let (text, code) = match &result {
            Ok(()) => ("settled".to_owned(), 0),
            Err(error) => (chain(error), 1),
        };
        store.end_run(lease, &run, clock::now(), text.as_str().into(), code, "null".to_owned()).await?;
        result.map_err(|error| OpsError::Other(chain(&error).into()))
    }

    /// Does something that may take longer than a lease lasts.
    async fn renewing<T>(&self, store: &Store, lease: &Lease, guard: &Guard, work: impl Future<Output = T>) -> T {
        tokio::pin!(work);
        let (mut renew, mut beat) = (tokio::time::interval(LEASE_TTL / 3), tokio::time::interval(guard::BEAT));
        loop {
            tokio::select! {
                done = &mut work => return done,
                // One that is lost shows at the next write of the journal, which is refused.
                _ = renew.tick() => drop(store.renew(lease).await),
                _ = beat.tick() => guard.beat(),
            }
        }
    }

    pub(super) async fn acquire(&self, store: &Store, reason: &str) -> Result<Arc<Lease>, OpsError> {
        let request =
            LeaseRequest { holder: holder(), reason: reason.into(), ttl: LEASE_TTL, wait: self.request.lock_timeout };
        Ok(Arc::new(store.acquire(request).await?))
    }

    fn refuse_foreign(&self, plan: &Plan) -> Result<(), OpsError> {
        if plan.inventory != self.desired.inventory || plan.environment != self.desired.environment {
            let text = format!(
                "the plan is for {}/{}, this is {}/{}",
                plan.inventory, plan.environment, self.desired.inventory, self.desired.environment
            );
            return Err(OpsError::PlanUnusable(text.into()));
        }
        Ok(())
    }

    /// One account per provider of the plan; the providers are those that stood in the inventory when it was made. One that
    /// hosts would go to only where another is sold out is left out where it cannot be opened.
    fn accounts(
        &self,
        plan: &Plan,
        cancel: &tokio_util::sync::CancellationToken,
        guard: &Guard,
    ) -> Result<BTreeMap<Name, Account>, OpsError> {
        let mut accounts = BTreeMap::new();
        let planned: BTreeSet<&Name> = plan.steps.iter().map(|step| &step.provider).collect();
        for (name, provider) in self.opened.providers(&plan.providers, &plan.backends, &self.places) {
            if provider.is_err() && !planned.contains(&name) {
                continue;
            }
            let provider = provider.map_err(|error| match error {
                pool_providers::ProviderError::Unauthorized(detail) => {
                    OpsError::Unauthorized { provider: name.clone(), detail }
                }
                other => OpsError::Other(format!("failed to open provider {name}: {other}").into()),
            })?;
            let limit = self.request.limits.get(&name).copied();
            accounts.insert(name, Account::start(provider, limit, cancel.clone(), guard.clone()));
        }
        Ok(accounts)
    }

    /// How artifacts are sent: as the inventory says now, for it is about the line and not about the plan.
    fn pace(&self) -> Pace {
        let policy = &self.desired.policy;
        let at_once = policy.uploads.map_or(Pace::AT_ONCE, |uploads| uploads as usize);
        Pace::new(at_once, policy.upload_rate.map(|rate| rate.0))
    }

    fn limits(&self, request: &ApplyRequest) -> Limits {
        let defaults = Limits::default();
        Limits {
            steps: self.request.parallelism.unwrap_or(defaults.steps),
            bootstraps: self.request.parallelism.unwrap_or(defaults.bootstraps).min(defaults.steps),
            timeout: self.request.timeout,
            on_failure: on_failure(request),
            renew_every: LEASE_TTL / 3,
        }
    }
}

/// What a failed step means: as was asked for now, or when the plan was made.
fn on_failure(request: &ApplyRequest) -> OnFailure {
    request.on_failure.unwrap_or(request.plan.plan.scope.on_failure)
}

fn new_run(id: &RunId, request: &ApplyRequest) -> NewRun {
    let SavedPlan { id: plan_id, hash, plan, .. } = &request.plan;
    let now = clock::now();
    let overrides: Vec<String> =
        plan.scope.overrides.iter().map(|(brake, reason)| format!("{} lifted: {reason}", brake.as_str())).collect();
    NewRun {
        id: id.clone(),
        plan: Some(plan_id.clone()),
        plan_hash: hash.clone(),
        command: request.command.clone(),
        started: now,
        now,
        reads: plan.reads.clone(),
        demand: plan
            .demand
            .iter()
            .map(|d| Charge { account: d.account.clone(), amount: d.amount, limit: d.limit })
            .collect(),
        audit: (!overrides.is_empty()).then(|| overrides.join("; ").into()),
    }
}

/// Gives a lease back. Whoever still holds a part of it lets go when its process ends.
pub(super) async fn release(store: &Store, lease: Arc<Lease>) -> Result<(), StateError> {
    match Arc::into_inner(lease) {
        Some(lease) => store.release(lease).await,
        None => Ok(()),
    }
}

/// Attempts of a run start above those of all runs before: the epoch of a lease only rises. 256 attempts of one step in
/// one run are more than a group has places.
fn first_attempt(lease: &Lease) -> u32 {
    u32::try_from(lease.epoch()).unwrap_or(u32::MAX >> 8) << 8
}

/// `user@computer, process 4711`
fn holder() -> Text {
    let uid = || format!("uid {}", rustix::process::getuid().as_raw());
    let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).unwrap_or_else(|_| uid());
    let computer = rustix::system::uname().nodename().to_string_lossy().into_owned();
    format!("{user}@{computer}, process {}", std::process::id()).into()
}
