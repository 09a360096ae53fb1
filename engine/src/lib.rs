//! Makes plans happen.
//!
//! | module | what it holds |
//! |---|---|
//! | [`ops`] | what a terminal or a server offers: open an environment, plan, apply, status, … |
//! | [`event`] | the only output of a run: typed events |
//! | `observe`, `probe` | lists clouds in bulk; asks hosts whether they are as they were left |
//! | `run` | the one dispatcher of a run, its steps, and the pure queue of ready ones |
//! | `account` | one actor per provider: batches, budget, one poller |
//! | `taken` | what only the record knows of what was taken over |
//! | `guard` | nothing is asked of the world unless the lease is held |
//! | `retry` | what an error means for the next attempt |
//! | `connect` | from declared providers and recorded hosts to things that can be talked to |
//! | `artifacts` | files and archives for hosts: fetched once, verified, kept |
//! | `wanted` | what bootstrap wants of one host, templates rendered |
//!
//! Journal first, act second, publish third: an event reaches a terminal after it is durable.

mod account;
mod artifacts;
mod clock;
mod connect;
pub mod event;
mod guard;
mod observe;
pub mod ops;
mod probe;
mod random;
mod retry;
mod run;
mod secrets;
mod taken;
mod wanted;

pub use event::{Event, RunSummary};
