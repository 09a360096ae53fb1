//! Bootstrap over a real OpenSSH server that each test starts for itself.

#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

mod apply;
mod bed;
mod connect;
mod drift;
mod hostile;
mod sim;
