//! What a terminal or a server can ask for. Two doors, one set of operations.

mod adopt;
mod apply;
mod bundle;
mod check;
mod environment;
mod error;
mod history;
mod plan;
mod status;
mod types;

pub use crate::connect::ReachError;
pub use adopt::{Unmanaged, UnmanagedHost, UnmanagedNetwork, UnmanagedVolume};
pub use bundle::{Bundle, create_bundle, unpack_bundle};
pub use environment::{Closing, Environment, validate};
pub use error::OpsError;
pub use history::{StepEnd, StepHistory, StepNote, describe};
pub(crate) use plan::chain;
pub use plan::{from_bytes, to_bytes};
pub use types::*;
