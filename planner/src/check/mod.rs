//! The independent checker: whether a plan may be carried out, judged from the plan and its input alone.
//!
//! It shares no code with what makes plans (`crate::make`), so that an error there does not hide itself. It asks not
//! whether a plan is good but whether it is sound: nothing is done that must not be, nothing is left out silently, and
//! no order of steps that `needs` allows breaks a limit.
//!
//! | module | asks |
//! |---|---|
//! | `facts` | what is recorded and what each step does to it |
//! | `envelope` | version, lineage, ids, providers, backends, groups |
//! | `order` | what must come before what |
//! | `copies` | snapshots and backups, and errands: that they alone are done, and done to what is there |
//! | `guard` | protection, brakes, scope, objects that may not be touched |
//! | `classes` | who gives way to whom |
//! | `place`, `networks` | each host, volume and network is where it may be, and as declared |
//! | `machines` | a host that comes to a physical machine may stand there |
//! | `members` | clusters: who joins is ready, who leaves leaves first, control is never lost, versions go up in order |
//! | `gain` | what is moved or replaced to save something: asked for, worth it, no spread made worse |
//! | `alternatives` | hosts may go where they go when a place is sold out, and their volumes with them |
//! | `room` | no limit is broken at any moment |
//! | `undo` | what would be taken back is what the run makes, and goes before what it needs |
//! | `whole` | serials, stable names, nothing forgotten, bootstraps |

use std::fmt;

use pool_inventory::Address;

use crate::{
    input::PlanInput,
    plan::{Plan, StepId},
};

mod alternatives;
mod classes;
mod copies;
mod envelope;
mod facts;
mod gain;
mod guard;
mod machines;
mod members;
mod networks;
mod order;
mod place;
mod room;
mod together;
mod undo;
mod whole;

/// What a plan does wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The rule that is broken.
    pub rule: Rule,
    /// The step that breaks it.
    pub step: Option<StepId>,
    /// The object that it is about.
    pub address: Option<Address>,
    /// What is wrong, for people.
    pub detail: String,
}

/// Rules of a sound plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// The plan is of this version, for this state, and carries all that its steps refer to.
    Envelope,
    /// Steps have the right ids and need only earlier ones.
    Ids,
    /// An object is made once and deleted once, and what a step acts on is there.
    Once,
    /// What a step relies on is among what it waits for.
    Order,
    /// Nothing protected is deleted.
    Protected,
    /// No more is replaced or destroyed than the brakes allow.
    Brake,
    /// Only what a pool need not have gives way, to pools that come first, and it is told.
    Class,
    /// Nothing outside the scope, of others, or of a provider that was not seen is touched.
    Reach,
    /// Hosts and volumes stand where they may.
    Place,
    /// What is done to save something was asked for, saves enough, and makes no spread worse.
    Gain,
    /// No limit is broken, and the demand covers the peak.
    Room,
    /// The serials are complete and right.
    Reads,
    /// Names are stable.
    Names,
    /// What is declared is done, recorded, or declined with a reason.
    Forgotten,
    /// Bootstraps carry all that they need.
    Bootstrap,
    /// Clusters keep their control, and members come, change and go in order.
    Member,
    /// The undo touches what the run makes, and that alone.
    Undo,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.rule)?;
        if let Some(step) = self.step {
            write!(f, ", step {}", step.0)?;
        }
        if let Some(address) = &self.address {
            write!(f, ", {address}")?;
        }
        write!(f, ": {}", self.detail)
    }
}

/// Notes while they are collected.
#[derive(Default)]
struct Notes(Vec<Note>);

impl Notes {
    fn add(&mut self, rule: Rule, step: Option<StepId>, address: Option<&Address>, detail: impl Into<String>) {
        self.0.push(Note { rule, step, address: address.cloned(), detail: detail.into() });
    }
}

/// Checks a plan against the input that it was made from. A sound plan has no notes.
pub fn check(plan: &Plan, input: &PlanInput) -> Vec<Note> {
    let mut notes = Notes::default();
    envelope::check(plan, input, &mut notes);
    if !notes.0.is_empty() {
        // With wrong ids or references the rest would talk about other steps than it means.
        return notes.0;
    }
    let facts = facts::Facts::new(plan, input, &mut notes);
    order::check(&facts, &mut notes);
    copies::check(&facts, &mut notes);
    guard::check(&facts, &mut notes);
    classes::check(&facts, &mut notes);
    place::check(&facts, &mut notes);
    together::check(&facts, &mut notes);
    machines::check(&facts, &mut notes);
    gain::check(&facts, &mut notes);
    members::check(&facts, &mut notes);
    networks::check(&facts, &mut notes);
    room::check(&facts, &mut notes);
    whole::check(&facts, &mut notes);
    undo::check(&facts, &mut notes);
    notes.0
}
