//! Tests of the binary: what a user types, and exactly what comes back.

mod adopt;
mod arrow;
mod artifacts;
mod check;
mod context;
mod copies;
mod crash;
mod elsewhere;
mod errors;
mod examples;
mod existing_hosts;
mod explain;
mod fmt;
mod init;
mod inventories;
mod leases;
mod life;
mod local;
mod optimize;
mod program;
mod refusals;
mod sessions;
mod stream;
mod terminal;
mod undo;
mod words;
