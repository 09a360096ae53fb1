//! From a recorded host to a connection.

use pool_bootstrap::ssh::SshLink;
use pool_engine::ops::{Environment, Reach};

use crate::error::{CliError, ExitCode};

/// Why there is no connection.
pub struct Refused {
    /// Whether another try later may succeed.
    pub unreachable: bool,
    /// For people.
    pub error: CliError,
}

/// Opens a verified connection.
pub async fn connect(_env: &Environment, host: &Reach) -> Result<SshLink, Refused> {
    let error = CliError::new(ExitCode::Failed, format!("{} cannot be connected to yet", host.address));
    Err(Refused { unreachable: false, error })
}
