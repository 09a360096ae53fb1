//! Events: the only output of a run. The journal, the terminal and the JSON stream are three readers of them.

use pool_inventory::{Address, Name, Text};
use pool_planner::StepId;
use serde::{Deserialize, Serialize};

/// Version of the serialised form of events; first line of a JSON stream.
pub const EVENT_VERSION: u32 = 1;

/// Something that happened in a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The run began; its plan is marked used.
    RunStarted {
        /// The run.
        run: Text,
        /// Its plan.
        plan: Text,
        /// Steps of the plan.
        steps: usize,
    },
    /// Whether objects exist that a run before began to make is not known yet; nothing else is done meanwhile.
    Settling {
        /// The first of them.
        address: Address,
        /// How many there are.
        objects: usize,
        /// Where.
        provider: Name,
        /// Longest time until it is known.
        wait_ms: u64,
    },
    /// What a run before had left in doubt is known now.
    Settled {
        /// The object.
        address: Address,
        /// Whether it exists.
        exists: bool,
    },
    /// A step began; its intent is durable.
    StepStarted {
        /// The step.
        step: StepId,
        /// What it acts on.
        address: Address,
        /// What it does: `create`, `bootstrap`, …
        verb: Text,
        /// Counts from 0; rises with each definitive failure and each other place.
        attempt: u32,
    },
    /// A step goes on: an item of a bootstrap is done, a provider works on it.
    StepProgress {
        /// The step.
        step: StepId,
        /// What goes on, for people.
        detail: Text,
    },
    /// A step waits and will be tried again.
    StepRetry {
        /// The step.
        step: StepId,
        /// Why.
        error: Text,
        /// Until it is tried again.
        wait_ms: u64,
    },
    /// A place had no capacity; the next approved alternative is used.
    StepMoved {
        /// The step.
        step: StepId,
        /// The place without capacity, `PROVIDER/ZONE/OFFERING`.
        from: Text,
        /// The alternative.
        to: Text,
    },
    /// A step is done, durably.
    StepSucceeded {
        /// The step.
        step: StepId,
        /// What it acted on.
        address: Address,
        /// What it did.
        verb: Text,
        /// How long it took.
        millis: u64,
        /// Something worth telling: the address of a new host, how many items were changed.
        detail: Option<Text>,
    },
    /// A step failed for good.
    StepFailed {
        /// The step.
        step: StepId,
        /// What it acted on.
        address: Address,
        /// What it tried.
        verb: Text,
        /// Why.
        failure: Failure,
        /// How long it took.
        millis: u64,
    },
    /// A step was not tried.
    StepSkipped {
        /// The step.
        step: StepId,
        /// What it would have acted on.
        address: Address,
        /// What it would have done.
        verb: Text,
        /// Why not.
        because: Skip,
    },
    /// A step failed, and what the run made is taken back: the steps that follow are those of the undo.
    UndoStarted {
        /// How many.
        steps: usize,
    },
    /// Something that the operator should know.
    Warning {
        /// For people.
        text: Text,
    },
    /// The operator asked to stop; `hard` the second time.
    Interrupted {
        /// Whether running steps are cancelled too.
        hard: bool,
    },
    /// The run is over.
    RunFinished {
        /// What came of it.
        summary: RunSummary,
    },
}

/// Why a step failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What the exit code and the next plan depend on.
    pub class: FailureClass,
    /// One line.
    pub message: Text,
    /// More lines: the last lines of a command's output. Cleaned and bounded.
    pub detail: Option<Text>,
    /// What to do.
    pub hint: Option<Text>,
}

/// Classes of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// Credentials were refused.
    Unauthorized,
    /// The host or provider was not reached.
    Unreachable,
    /// No capacity in any approved place, or a quota of the account.
    NoRoom,
    /// The request or the host's answer makes no sense; trying again will not help.
    Refused,
    /// It was made, and the provider reports it broken.
    Broken,
    /// A command on a host failed.
    Command,
    /// It may or may not have happened; the next apply finds out.
    InDoubt,
    /// The operator cancelled it.
    Cancelled,
    /// The state could not be written.
    State,
    /// Anything else.
    Other,
}

impl FailureClass {
    /// Whether something may have been changed before it failed.
    pub fn leaves_traces(self) -> bool {
        use FailureClass::{Broken, Cancelled, Command, InDoubt, State};
        matches!(self, Broken | Cancelled | Command | InDoubt | State)
    }
}

/// Why a step was not tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Skip {
    /// A step that it needs failed or was skipped.
    Needs {
        /// The object of that step.
        address: Address,
    },
    /// The run was asked to stop.
    Interrupted,
    /// Another step failed and `--on-failure stop` or `undo` is in force.
    Stopped,
    /// The lease was taken away.
    LeaseLost,
}

/// What came of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunSummary {
    /// The run.
    pub run: Text,
    /// Steps that succeeded.
    pub succeeded: usize,
    /// Steps that failed.
    pub failed: usize,
    /// Steps that were not tried.
    pub skipped: usize,
    /// Classes of the failures, sorted, once each.
    pub classes: Vec<FailureClass>,
    /// Whether the operator stopped it.
    pub interrupted: bool,
    /// Whether the lease was lost.
    pub lease_lost: bool,
    /// What came of the undo; none: there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<Undone>,
    /// How long it took.
    pub millis: u64,
    /// Calls per provider.
    pub calls: std::collections::BTreeMap<Name, u64>,
    /// Transactions that its journal took.
    #[serde(default)]
    pub commits: u64,
}

/// What came of an undo.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undone {
    /// Objects that the run had made and that are gone again.
    pub taken_back: usize,
    /// Steps of the undo that failed or could not be tried.
    pub failed: usize,
    /// Objects that the run changed and that stay so.
    pub remains: usize,
}

impl RunSummary {
    /// Whether the run left anything changed, as far as is known.
    pub fn changed(&self) -> bool {
        match &self.undo {
            Some(undo) => undo.remains > 0,
            None => self.succeeded > 0 || self.classes.iter().any(|class| class.leaves_traces()),
        }
    }

    /// The exit code, as `pool help exit-codes` explains it.
    pub fn exit_code(&self) -> u8 {
        if self.interrupted {
            return 130;
        }
        if self.lease_lost {
            return 6;
        }
        let changed = self.changed();
        match self.failed + self.skipped {
            0 => 0,
            _ if self.undo.is_some() && changed => 8,
            _ if self.classes == [FailureClass::Unreachable] => 4,
            _ if self.classes == [FailureClass::Unauthorized] && !changed => 3,
            _ if !changed => 1,
            _ => 8,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_say_whether_anything_was_changed() {
        let code = |succeeded, failed, classes: &[FailureClass]| {
            RunSummary { succeeded, failed, classes: classes.to_vec(), ..RunSummary::default() }.exit_code()
        };
        assert_eq!(code(3, 0, &[]), 0);
        assert_eq!(code(0, 1, &[FailureClass::Refused]), 1);
        assert_eq!(code(0, 1, &[FailureClass::Broken]), 8, "a broken machine stands there now");
        assert_eq!(code(0, 1, &[FailureClass::InDoubt]), 8);
        assert_eq!(code(0, 1, &[FailureClass::Unauthorized]), 3);
        assert_eq!(code(2, 1, &[FailureClass::Unreachable]), 4);
        assert_eq!(code(2, 1, &[FailureClass::NoRoom]), 8);
        let undone = |remains, classes: &[FailureClass]| {
            let undo = Some(Undone { taken_back: 2, failed: 0, remains });
            RunSummary { succeeded: 2, failed: 1, classes: classes.to_vec(), undo, ..RunSummary::default() }.exit_code()
        };
        assert_eq!(undone(0, &[FailureClass::Broken]), 1, "what was made is gone again");
        assert_eq!(undone(1, &[FailureClass::NoRoom]), 8);
        assert_eq!(undone(0, &[FailureClass::Unreachable]), 4);
        assert_eq!(undone(1, &[FailureClass::Unreachable]), 8);
    }
}
