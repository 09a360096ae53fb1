//! A bare host becomes a ready member, over verified SSH.
//!
//! | module | what it holds |
//! |---|---|
//! | [`ssh`] | one verified connection per host, many sessions on it |
//! | [`keys`] | key pairs for logins |
//! | [`facts`] | what a host is, read in one go |
//! | [`rendered`] | what is asked for, with all contents in full |
//! | [`phases`] | pure functions `(&Facts, &Rendered) -> Vec<Command>`, and their order |
//! | [`cluster`] | hosts as members of clusters: commands and questions |
//! | [`script`] | the words of commands in POSIX `sh` |
//! | [`link`] | what the runner needs from a transport; what is sent to hosts, and how fast |
//! | [`runner`] | observes and applies |
//! | [`sim`] | the transport of simulated hosts |

#![cfg_attr(test, expect(clippy::unwrap_used, reason = "a test that fails says where"))]

pub mod clean;
pub mod cluster;
pub mod command;
mod diff;
pub mod error;
pub mod facts;
pub mod keys;
pub mod link;
pub mod phases;
pub mod rendered;
pub mod runner;
pub mod script;
pub mod sim;
pub mod ssh;

pub use error::{BootstrapError, Refusal};
pub use facts::Facts;
pub use link::{
    Link,
    pace::Pace,
    upload::{NoSupply, Supply, SupplyError},
};
pub use rendered::{Mount, Password, RenderError, Rendered, render};
pub use runner::{ItemEvent, Outcome, Phases, Report, apply, apply_phases, apply_with, ask, observe, release};
pub use script::Question;

/// A number that nobody outside guesses; for markers and names of temporary files, not for secrets.
pub(crate) fn nonce() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::hash::RandomState::new().build_hasher().finish()
}
