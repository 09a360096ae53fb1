//! A run's journal folded into its steps: when each began and ended, how often it was tried, and what happened meanwhile.

use std::collections::BTreeMap;

use pool_inventory::{Address, Text};
use pool_state::JournalRow;
use serde::{Deserialize, Serialize};

use super::describe;
use crate::event::Event;

/// One step of a run, as its journal tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepHistory {
    /// Its number in the plan; those of an undo come after.
    pub step: u32,
    /// What it acted on.
    pub address: Address,
    /// What it did: `create`, `take-back`, …
    pub verb: Text,
    /// When it began, in milliseconds since 1970; none: it was not tried.
    pub began_ms: Option<i64>,
    /// When it ended; none: the run was cut off before, or it was not tried.
    pub ended_ms: Option<i64>,
    /// How long it took.
    pub took_ms: Option<u64>,
    /// How often it was asked for: the first time, again after errors, and at other places.
    pub tries: u32,
    /// How it ended.
    pub end: StepEnd,
    /// More about its end: an address, how many items were done, why it failed.
    pub detail: Option<Text>,
    /// What happened on the way: errors, other places, items of a bootstrap.
    pub notes: Vec<StepNote>,
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepEnd {
    /// It succeeded.
    Done,
    /// It failed.
    Failed,
    /// It was not tried.
    NotTried,
    /// It is under way, or the run was cut off.
    Open,
}

/// Something that happened while a step went on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepNote {
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// What, for people.
    pub text: Text,
}

/// The steps of a run in the order in which they came up. O(entries).
pub(super) fn fold(rows: &[JournalRow]) -> Vec<StepHistory> {
    let mut steps: Vec<StepHistory> = Vec::new();
    let mut at: BTreeMap<u32, usize> = BTreeMap::new();
    for row in rows {
        let (Some(number), Some(address)) = (row.step, &row.address) else { continue };
        let Ok(event) = serde_json::from_str::<Event>(&row.body) else { continue };
        let index = *at.entry(number).or_insert_with(|| {
            steps.push(StepHistory::new(number, address.clone()));
            steps.len() - 1
        });
        steps[index].take(row.at_ms, &event);
    }
    steps
}

impl StepHistory {
    fn new(step: u32, address: Address) -> Self {
        Self {
            step,
            address,
            verb: "".into(),
            began_ms: None,
            ended_ms: None,
            took_ms: None,
            tries: 0,
            end: StepEnd::Open,
            detail: None,
            notes: Vec::new(),
        }
    }

    fn take(&mut self, at_ms: i64, event: &Event) {
        match event {
            Event::StepStarted { verb, .. } => {
                self.verb = verb.clone();
                self.began_ms.get_or_insert(at_ms);
                self.tries += 1;
            }
            Event::StepRetry { .. } => {
                self.tries += 1;
                self.notes.push(StepNote { at_ms, text: describe(event) });
            }
            Event::StepMoved { .. } | Event::StepProgress { .. } => {
                self.notes.push(StepNote { at_ms, text: describe(event) });
            }
            Event::StepSucceeded { verb, millis, detail, .. } => {
                self.ended(at_ms, StepEnd::Done, verb, Some(*millis));
                self.detail = detail.clone();
            }
            Event::StepFailed { verb, failure, millis, .. } => {
                self.ended(at_ms, StepEnd::Failed, verb, Some(*millis));
                let more = failure.detail.as_ref().map(|more| format!("\n{more}")).unwrap_or_default();
                self.detail = Some(format!("{}{more}", failure.message).into());
            }
            Event::StepSkipped { verb, because, .. } => {
                self.ended(at_ms, StepEnd::NotTried, verb, None);
                self.detail = Some(super::because(because).into());
            }
            _ => {}
        }
    }

    fn ended(&mut self, at_ms: i64, end: StepEnd, verb: &Text, took_ms: Option<u64>) {
        (self.end, self.verb) = (end, verb.clone());
        if end != StepEnd::NotTried {
            self.took_ms = took_ms;
            self.ended_ms = Some(at_ms);
            // Some end without having begun: nothing had to be asked for.
            self.began_ms.get_or_insert(at_ms - took_ms.and_then(|took| i64::try_from(took).ok()).unwrap_or(0));
        }
    }
}

#[cfg(test)]
mod tests {
    use pool_planner::StepId;
    use pool_state::RunId;

    use super::*;
    use crate::event::{Failure, FailureClass, Skip};

    fn row(seq: u64, step: u32, event: &Event) -> JournalRow {
        JournalRow {
            seq,
            run: RunId("r1".into()),
            at_ms: 1_000 * seq as i64,
            step: Some(step),
            address: Some(Address::host(&format!("web-{step}"))),
            kind: "x".into(),
            body: serde_json::to_string(event).expect("JSON"),
            serial: None,
        }
    }

    #[test]
    fn a_step_tells_its_tries_its_errors_and_its_places() {
        let (step, address, verb): (_, _, Text) = (StepId(0), Address::host("web-0"), "create".into());
        let started = |attempt| Event::StepStarted { step, address: address.clone(), verb: verb.clone(), attempt };
        let failure = Failure { class: FailureClass::NoRoom, message: "no room".into(), detail: None, hint: None };
        let rows = [
            row(1, 0, &started(256)),
            row(2, 0, &Event::StepRetry { step, error: "too many requests".into(), wait_ms: 1_500 }),
            row(3, 0, &Event::StepMoved { step, from: "a/1".into(), to: "a/2".into() }),
            row(4, 0, &started(257)),
            row(
                5,
                0,
                &Event::StepFailed { step, address: address.clone(), verb: verb.clone(), failure, millis: 4_000 },
            ),
            row(
                6,
                1,
                &Event::StepSkipped {
                    step: StepId(1),
                    address: Address::host("web-1"),
                    verb: "bootstrap".into(),
                    because: Skip::Needs { address: address.clone() },
                },
            ),
            row(7, 2, &started(256)),
        ];
        let steps = fold(&rows);
        let first = &steps[0];
        assert_eq!((first.began_ms, first.ended_ms, first.took_ms), (Some(1_000), Some(5_000), Some(4_000)));
        assert_eq!((first.tries, first.end, first.detail.as_deref()), (3, StepEnd::Failed, Some("no room")));
        let notes: Vec<&str> = first.notes.iter().map(|note| &*note.text).collect();
        assert_eq!(notes, ["again in 1.5 s: too many requests", "a/1 has no capacity; tried a/2"]);
        assert_eq!((steps[1].end, steps[1].began_ms), (StepEnd::NotTried, None));
        assert_eq!(steps[1].detail.as_deref(), Some("needs host/web-0"));
        assert_eq!((steps[2].end, steps[2].ended_ms), (StepEnd::Open, None));
    }
}
