//! What happened: runs, journals, leases; and edits of the records.

mod steps;

use std::collections::BTreeMap;

use pool_inventory::{
    Address, Kind, Text,
    object::{Recorded, Spec},
};
use pool_state::{Change, JournalRow, NewRun, RunId, RunRow};

pub use self::steps::{StepEnd, StepHistory, StepNote};
use super::{Environment, JournalLine, LeaseStatus, OpsError, RunReport, RunStatus};
use crate::{
    clock,
    event::{Event, Skip},
    random,
};

impl Environment {
    /// The newest runs, newest first.
    pub async fn history(&self, limit: usize) -> Result<Vec<RunStatus>, OpsError> {
        let Some(store) = self.existing_store().await? else { return Ok(Vec::new()) };
        Ok(store.runs(limit).await?.into_iter().map(run_status).collect())
    }

    /// One run, step by step and with its journal, by its id or the beginning of it.
    pub async fn run(&self, id: &str) -> Result<RunReport, OpsError> {
        let missing = || OpsError::NotFound(format!("there is no run {id}; see them with: pool history").into());
        let store = self.existing_store().await?.ok_or_else(missing)?;
        let row = store.run(id).await?.ok_or_else(missing)?;
        let entries = store.entries(&row.id).await?;
        let steps = steps::fold(&entries);
        Ok(RunReport { run: run_status(row), steps, journal: entries.into_iter().map(journal_line).collect() })
    }

    /// Who holds the lease.
    pub async fn lease(&self) -> Result<Option<LeaseStatus>, OpsError> {
        let Some(store) = self.existing_store().await? else { return Ok(None) };
        Ok(store.lease().await?.map(lease_status))
    }

    /// Takes a lease away from its holder, who stops before the next act. Says from whom.
    pub async fn unlock(&self, lease: &str) -> Result<LeaseStatus, OpsError> {
        let Some(store) = self.existing_store().await? else {
            return Err(OpsError::NotFound("there is no state yet, so there is no lease".into()));
        };
        Ok(lease_status(store.unlock(lease).await?))
    }

    /// All recorded objects, in natural order.
    pub async fn records(&self) -> Result<Vec<Recorded>, OpsError> {
        Ok(self.recorded().await?.0)
    }

    /// Renames a recorded object; a host takes its volumes with it, and a volume its copies.
    pub async fn state_mv(&self, from: &Address, to: &Address) -> Result<(), OpsError> {
        if from.kind != to.kind {
            return Err(OpsError::Usage(format!("{from} and {to} are of two kinds").into()));
        }
        let rows = self.records().await?;
        if rows.iter().any(|row| &row.address == to) {
            return Err(OpsError::Refused(format!("{to} is recorded already").into()));
        }
        let mut changes = Vec::new();
        for row in rows {
            let Some(address) = renamed(&row.address, from, to) else { continue };
            changes.push(Change::Remove { address: row.address.clone(), generation: row.generation });
            changes.push(Change::Put(Box::new(moved(row, address, from, to))));
        }
        self.edit(changes, from, format!("state mv {from} {to}")).await
    }

    /// Drops a record; the object itself is left alone.
    pub async fn state_rm(&self, address: &Address) -> Result<(), OpsError> {
        let rows = self.records().await?.into_iter().filter(|row| &row.address == address);
        let changes = rows.map(|row| Change::Remove { address: row.address, generation: row.generation }).collect();
        self.edit(changes, address, format!("state rm {address}")).await
    }

    async fn edit(&self, changes: Vec<Change>, address: &Address, command: String) -> Result<(), OpsError> {
        if changes.is_empty() {
            return Err(OpsError::NotFound(
                format!("{address} is not recorded; see what is with: pool state list").into(),
            ));
        }
        let store = self.store().await?;
        let lease = self.acquire(store, &command).await?;
        let run = RunId(pool_inventory::names::hex(&random::bits()[..6]).into());
        let result = async {
            store.begin_run(&lease, new_run(&run, &command)).await?;
            store.edit(&lease, &run, changes, command.as_str().into()).await?;
            store.end_run(&lease, &run, clock::now(), "edited".into(), 0, "null".to_owned()).await
        }
        .await;
        let _ = super::apply::release(store, lease).await;
        Ok(result?)
    }

    /// The whole state as JSON.
    pub async fn state_pull(&self) -> Result<String, OpsError> {
        match self.existing_store().await? {
            Some(store) => Ok(store.export().await?),
            None => Err(OpsError::NotFound("there is no state yet: nothing was ever planned here".into())),
        }
    }

    /// Replaces the state by an export of the same lineage; `force` allows an older one, or another lineage.
    pub async fn state_push(&self, json: &str, force: bool) -> Result<(), OpsError> {
        let store = self.store().await?;
        let lease = self.acquire(store, "state push").await?;
        let result = store.import(&lease, json, force).await;
        let _ = super::apply::release(store, lease).await;
        Ok(result?)
    }
}

fn lease_status(lease: pool_state::LeaseInfo) -> LeaseStatus {
    let pool_state::LeaseInfo { id, holder, reason, since, expires, alive, .. } = lease;
    LeaseStatus { id, holder, reason, since, expires, alive }
}

/// A run without a plan.
pub(super) fn new_run(run: &RunId, command: &str) -> NewRun {
    let now = clock::now();
    NewRun {
        id: run.clone(),
        plan: None,
        plan_hash: "".into(),
        command: command.into(),
        started: now,
        now,
        reads: BTreeMap::new(),
        demand: Vec::new(),
        audit: None,
    }
}

/// The address that `address` gets when `from` is renamed to `to`; none where it keeps its own.
fn renamed(address: &Address, from: &Address, to: &Address) -> Option<Address> {
    if address == from {
        return Some(to.clone());
    }
    match address.kind {
        Kind::Volume if address.host_of_volume()? == *from => {
            let (_, volume) = address.name.split_once('.')?;
            Some(Address::volume(&to.name, volume))
        }
        Kind::Snapshot | Kind::Backup => {
            let volume = renamed(&address.volume_of_copy()?, from, to)?;
            let (_, name) = address.name.rsplit_once('.')?;
            Some(Address::copy_of(address.kind, &volume, name))
        }
        _ => None,
    }
}

fn moved(mut row: Recorded, address: Address, from: &Address, to: &Address) -> Recorded {
    match &mut row.spec {
        Spec::Volume(volume) => {
            if let Some(attached) = volume.attached.as_mut().filter(|attached| attached.host == *from) {
                attached.host = to.clone();
            }
        }
        Spec::Snapshot(copy) | Spec::Backup(copy) => {
            copy.of = renamed(&copy.of, from, to).unwrap_or_else(|| copy.of.clone());
        }
        Spec::Host(_) | Spec::Network(_) => {}
    }
    for need in &mut row.needs {
        *need = renamed(need, from, to).unwrap_or_else(|| need.clone());
    }
    row.address = address;
    row
}

pub(super) fn run_status(row: RunRow) -> RunStatus {
    RunStatus {
        id: row.id.0,
        command: row.command,
        holder: row.holder,
        plan: row.plan,
        audit: row.audit,
        started: row.started,
        ended: row.ended,
        exit_code: row.exit_code,
        outcome: row.outcome,
    }
}

fn journal_line(row: JournalRow) -> JournalLine {
    let text = match serde_json::from_str::<Event>(&row.body) {
        Ok(event) => describe(&event),
        Err(_) => by_hand(&row.body),
    };
    JournalLine { seq: row.seq, at_ms: row.at_ms, step: row.step, address: row.address, kind: row.kind, text }
}

/// What was done to the state itself: it has words of its own.
fn by_hand(body: &str) -> Text {
    let value: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    let word = |key: &str| value[key].as_str();
    match (word("why"), word("holder"), word("reason")) {
        (Some(why), ..) => why.into(),
        (None, Some(holder), Some(reason)) => format!("taken from {holder} ({reason})").into(),
        _ => body.into(),
    }
}

/// Why a step was not tried, for people.
fn because(skip: &Skip) -> String {
    match skip {
        Skip::Needs { address } => format!("needs {address}"),
        Skip::Interrupted => "the run was interrupted".to_owned(),
        Skip::Stopped => "the run was stopped after a failure".to_owned(),
        Skip::LeaseLost => "the lease was taken away".to_owned(),
    }
}

/// One line about an event, for people.
pub fn describe(event: &Event) -> Text {
    match event {
        Event::StepStarted { verb, attempt, .. } if *attempt & 0xff == 0 => verb.clone(),
        Event::StepStarted { verb, attempt, .. } => format!("{verb}, attempt {}", (attempt & 0xff) + 1).into(),
        Event::StepSucceeded { verb, millis, detail, .. } => {
            let detail = detail.as_ref().map(|d| format!(": {d}")).unwrap_or_default();
            format!("{verb} in {:.1} s{detail}", *millis as f64 / 1000.0).into()
        }
        Event::StepFailed { verb, failure, .. } => {
            let detail = failure.detail.as_ref().map(|d| format!("\n{d}")).unwrap_or_default();
            format!("{verb}: {}{detail}", failure.message).into()
        }
        Event::StepSkipped { verb, because: why, .. } => format!("{verb}: not tried, {}", because(why)).into(),
        Event::StepRetry { error, wait_ms, .. } => {
            format!("again in {:.1} s: {error}", *wait_ms as f64 / 1000.0).into()
        }
        Event::Interrupted { hard: false } => "asked to stop: nothing new is started".into(),
        Event::Interrupted { hard: true } => "asked again: what runs is cancelled".into(),
        Event::StepMoved { from, to, .. } => format!("{from} has no capacity; tried {to}").into(),
        Event::StepProgress { detail, .. } => detail.clone(),
        Event::Settled { exists, .. } => {
            if *exists {
                "it exists".into()
            } else {
                "it does not exist".into()
            }
        }
        Event::UndoStarted { steps: 1 } => "1 step takes back what this run made".into(),
        Event::UndoStarted { steps } => format!("{steps} steps take back what this run made").into(),
        Event::Warning { text } => text.clone(),
        Event::RunStarted { .. } | Event::Settling { .. } | Event::RunFinished { .. } => "".into(),
    }
}
