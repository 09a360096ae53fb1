//! From a recorded host to a connection.

use pool_bootstrap::ssh::SshLink;
use pool_engine::ops::{Environment, Reach};
use pool_inventory::desired::ProviderKind;

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
    let provider = env.desired().providers.get(&host.record.provider);
    if provider.is_some_and(|provider| matches!(provider.kind, ProviderKind::Sim(_))) {
        let message = format!("{} is simulated: nothing is there to log in to", host.address);
        return Err(Refused { unreachable: false, error: CliError::new(ExitCode::Failed, message) });
    }
    env.connect(host).await.map_err(|why| {
        let unreachable = why.is_unreachable();
        let code = if unreachable { ExitCode::Unreachable } else { ExitCode::Failed };
        Refused { unreachable, error: CliError::new(code, format!("failed to connect to {}", host.address)).cause(why) }
    })
}
