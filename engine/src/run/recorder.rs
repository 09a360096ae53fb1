//! Journal first, publish second.

use std::sync::Arc;

use pool_inventory::{Address, object::Recorded};
use pool_planner::Step;
use pool_providers::crash;
use pool_state::{Change, Entry, Lease, RunId, StateError, Store};
use serde::Serialize;

use crate::{clock, event::Event, ops::Events};

/// Writes what a run does into the journal, then tells it.
pub struct Recorder {
    store: Store,
    lease: Arc<Lease>,
    run: RunId,
    events: Events,
}

/// What a journal entry changes in the state.
pub enum Effect {
    /// Nothing.
    None,
    /// A row is set.
    Put(Recorded),
    /// A row is dropped.
    Remove(Address, u32),
    /// A row is dropped and another is set, both or neither.
    Move(Address, u32, Recorded),
}

impl Recorder {
    /// A recorder of `run`, under `lease`.
    pub fn new(store: Store, lease: Arc<Lease>, run: RunId, events: Events) -> Self {
        Self { store, lease, run, events }
    }

    /// The run.
    pub fn run(&self) -> &str {
        &self.run.0
    }

    /// The lease that every write is checked against.
    pub fn lease(&self) -> &Lease {
        &self.lease
    }

    /// The state.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Makes an entry durable, with its effect, then publishes the event.
    pub async fn write(
        &self,
        step: Option<&Step>,
        kind: &str,
        body: &impl Serialize,
        effect: Effect,
        event: Option<Event>,
    ) -> Result<(), StateError> {
        let entry = |change| Entry {
            run: self.run.clone(),
            at_ms: clock::now_ms(),
            step: step.map(|step| step.id.0),
            address: step.map(|step| step.address.clone()),
            kind: kind.into(),
            body: serde_json::to_string(body).unwrap_or_else(|_| "null".to_owned()),
            change,
        };
        let entries = match effect {
            Effect::None => vec![entry(Change::None)],
            Effect::Put(row) => vec![entry(Change::Put(Box::new(row)))],
            Effect::Remove(address, generation) => vec![entry(Change::Remove { address, generation })],
            Effect::Move(address, generation, row) => {
                vec![entry(Change::Remove { address, generation }), entry(Change::Put(Box::new(row)))]
            }
        };
        crash::point("journal-before");
        self.store.journal(&self.lease, entries).await?;
        crash::point("journal-after");
        if let Some(event) = event {
            self.publish(event).await;
        }
        Ok(())
    }

    /// Publishes something that is not worth a journal entry. A reader that has gone is no reason to stop.
    pub async fn publish(&self, event: Event) {
        let _ = self.events.send(event).await;
    }
}
