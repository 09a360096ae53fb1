//! Bootstrap over a real OpenSSH server that each test starts for itself.

#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a test that fails, or is skipped, says so")]

mod apply;
mod artifacts;
mod bed;
mod connect;
mod drift;
mod hostile;
mod mounts;
mod root;
mod sim;
