//! What is known, durably: objects, journal, runs, leases and plans, in one SQLite file.
//!
//! | module | what it holds |
//! |---|---|
//! | [`Store`] (`store`, `open`) | the file: made, checked, migrated, closed |
//! | `writer` | the one task that writes; many callers share one commit |
//! | `journal` | [`Entry`] and [`Change`]: what happened, and the object rows that it changed, in one transaction |
//! | `rows` | statements over many rows, which SQLite reads once and keeps |
//! | `objects` | rows of [`Recorded`](pool_inventory::object::Recorded) |
//! | `leases` | who may write: an epoch in the file, and an OS lock that dies with its holder |
//! | `plans`, `runs` | saved plans, used once; runs and how they ended |
//! | `prune` | old runs and their entries go |
//! | `clock` | the wall clock, and the one that nobody can set |
//! | `transfer` | export and import as JSON |
//! | `stock` | remembered stock-outs |
//!
//! On disk, all private to the user: `state.db` with SQLite's own `-wal` and `-shm` beside it, `state.db.<lease>.lock`
//! while a lease is held, and copies in the backup folder, made before a migration or an import.
//!
//! Deliberately absent: any knowledge of plans and events. Both are versioned bytes of other crates.

mod clock;
mod error;
mod files;
mod journal;
mod leases;
mod objects;
mod open;
mod plans;
mod prune;
mod rows;
mod runs;
mod stock;
mod store;
mod transfer;
mod writer;

pub use clock::wall_ms as now_ms;
pub use error::StateError;
pub use journal::{Change, Entry, JournalRow};
pub use leases::{Lease, LeaseInfo, LeaseRequest, Pass};
pub use plans::{NewPlan, SavedPlan};
pub use prune::Keep;
pub use runs::{Charge, NewRun, RunId, RunRow};
pub use store::{OpenOptions, Store};
pub use transfer::EXPORT_VERSION;
