//! One environment of an inventory, opened.

use std::path::{Path, PathBuf};

use pool_inventory::{Address, desired::Desired, object::Recorded};

use super::{
    ApplyRequest, CheckLine, Events, Interrupts, JournalLine, Observe, OpenRequest, OpsError, PlanRequest, Reach,
    RunStatus, SavedPlan, Selector, StatusReport,
};
use crate::event::RunSummary;

/// One environment of an inventory, opened. All operations start here.
pub struct Environment {
    root: PathBuf,
    desired: Desired,
}

fn unfinished() -> OpsError {
    OpsError::Other("this operation is being wired up".into())
}

/// Reads and checks an inventory, and nothing else.
pub fn validate(_request: &OpenRequest) -> Result<(PathBuf, Desired), OpsError> {
    Err(unfinished())
}

impl Environment {
    /// Reads the inventory and opens the state; the state's file is made by the first operation that writes.
    pub async fn open(_request: OpenRequest) -> Result<Self, OpsError> {
        Err(unfinished())
    }

    /// The folder of the inventory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What is declared.
    pub fn desired(&self) -> &Desired {
        &self.desired
    }

    /// Observes, plans, and saves the plan under a one-use id.
    pub async fn plan(&self, _request: PlanRequest) -> Result<SavedPlan, OpsError> {
        Err(unfinished())
    }

    /// A saved plan by its id, the beginning of it, or the path of a plan file.
    pub async fn saved_plan(&self, _id_or_file: &str) -> Result<SavedPlan, OpsError> {
        Err(unfinished())
    }

    /// Carries out a plan. `Err`: refused, nothing was changed. `Ok`: what came of it, also where steps failed.
    pub async fn apply(
        &self,
        _request: ApplyRequest,
        _events: Events,
        _interrupts: Interrupts,
    ) -> Result<RunSummary, OpsError> {
        Err(unfinished())
    }

    /// The pool at a glance; `observe` none: from the records alone.
    pub async fn status(&self, _observe: Option<Observe>) -> Result<StatusReport, OpsError> {
        Err(unfinished())
    }

    /// All recorded objects, in natural order.
    pub async fn records(&self) -> Result<Vec<Recorded>, OpsError> {
        Err(unfinished())
    }

    /// The newest runs, newest first.
    pub async fn history(&self, _limit: usize) -> Result<Vec<RunStatus>, OpsError> {
        Err(unfinished())
    }

    /// One run with its journal, by its id or the beginning of it.
    pub async fn run(&self, _id: &str) -> Result<(RunStatus, Vec<JournalLine>), OpsError> {
        Err(unfinished())
    }

    /// Takes a lease away from its holder; the holder stops before its next act.
    pub async fn unlock(&self, _lease: &str) -> Result<(), OpsError> {
        Err(unfinished())
    }

    /// Renames a recorded object; a host takes its volumes with it.
    pub async fn state_mv(&self, _from: &Address, _to: &Address) -> Result<(), OpsError> {
        Err(unfinished())
    }

    /// Drops a record; the object itself is left alone.
    pub async fn state_rm(&self, _address: &Address) -> Result<(), OpsError> {
        Err(unfinished())
    }

    /// The whole state as JSON.
    pub async fn state_pull(&self) -> Result<String, OpsError> {
        Err(unfinished())
    }

    /// Replaces the state by an export of the same lineage; `force` allows an older one.
    pub async fn state_push(&self, _json: &str, _force: bool) -> Result<(), OpsError> {
        Err(unfinished())
    }

    /// Credentials, quotas, images, backends, reachability: pass, fail or unknown.
    pub async fn check(&self) -> Result<Vec<CheckLine>, OpsError> {
        Err(unfinished())
    }

    /// Recorded hosts that fit.
    pub async fn hosts(&self, _selector: &Selector) -> Result<Vec<Reach>, OpsError> {
        Err(unfinished())
    }
}
