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
pub async fn connect(env: &Environment, host: &Reach) -> Result<SshLink, Refused> {
    env.connect(host).await.map_err(|why| {
        let unreachable = why.is_unreachable();
        let code = if unreachable { ExitCode::Unreachable } else { ExitCode::Failed };
        Refused { unreachable, error: CliError::new(code, format!("failed to connect to {}", host.address)).cause(why) }
    })
}
