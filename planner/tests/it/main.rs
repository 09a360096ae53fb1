//! Tests of the planner against a small world that carries plans out.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod dsl;
mod faults;
mod machines;
mod members;
mod oracle;
mod platform;
mod properties;
mod ranks;
mod render;
mod scenarios;
mod views;
mod workload;
mod world;
