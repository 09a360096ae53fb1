//! Makes plans happen.
//!
//! | module | what it holds |
//! |---|---|
//! | [`ops`] | what a terminal or a server offers: open an environment, plan, apply, status, … |
//! | [`event`] | the only output of a run: typed events |
//! | `observe` | lists clouds in bulk and probes hosts |
//! | `run` | the one dispatcher of a run, and the pure queue of ready steps |
//! | `account` | one actor per provider: batches, budgets, retries, one poller |
//!
//! Journal first, act second, publish third: an event reaches a terminal after it is durable.

pub mod event;
pub mod ops;

pub use event::{Event, RunSummary};
