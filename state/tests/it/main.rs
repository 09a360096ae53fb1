//! The state as its callers see it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod files;
mod history;
mod hostile;
mod lease;
mod process;
mod prune;
mod runs;
mod support;
mod transfer;
