//! What a terminal or a server can ask for. Two doors, one set of operations.

mod environment;
mod error;
mod types;

pub use environment::{Environment, validate};
pub use error::OpsError;
pub use types::*;
