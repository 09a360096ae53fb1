//! Tests of the binary: what a user types, and exactly what comes back.

mod context;
mod errors;
mod examples;
mod fmt;
mod init;
mod terminal;
mod words;
