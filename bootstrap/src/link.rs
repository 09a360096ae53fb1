//! What the runner needs from a transport; SSH and the simulated cloud are the two that exist.

pub mod pace;
pub mod upload;

use std::{fmt, time::Duration};

use async_trait::async_trait;
use pool_inventory::Text;

use self::upload::Upload;
use crate::{script::Say, ssh::SshError};

/// A way to a host on which scripts run.
#[async_trait]
pub trait Link: Send {
    /// Where it leads, for messages: `192.0.2.11:22`.
    fn at(&self) -> Text;

    /// Sessions opened so far.
    fn sessions(&self) -> u32;

    /// Lets `talk` speak with a shell on the host until the shell ends or `talk` has heard enough.
    ///
    /// Contract: what `talk` says is run in order; every byte that the host writes is given to `talk`, standard output
    /// in order; silence beyond `talk.patience()` ends it with [`LinkError::Silent`]. After [`Flow::Done`] the same shell
    /// may serve the next conversation of the same kind; in all other cases its session is closed. When the future is
    /// dropped, the session is not used again; what the host has begun goes on there until it next speaks.
    async fn converse(&mut self, talk: &mut dyn Dialogue) -> Result<Exit, LinkError>;

    /// Sends a file to the host, where it waits under its digest to be put in place.
    ///
    /// Contract: it counts there only once the host has found its digest right, which is exit status 0; memory does not grow with
    /// its size; silence for [`UPLOAD_PATIENCE`] ends it with [`LinkError::Silent`]. The last lines that the host says of it are given
    /// back, cleaned.
    async fn upload(&mut self, upload: Upload<'_>) -> Result<(Exit, Vec<String>), LinkError>;
}

/// How long an upload may make no progress: the host may hash a large file meanwhile.
pub const UPLOAD_PATIENCE: Duration = Duration::from_secs(120);

/// One side of a conversation with a shell, as a state machine without any input or output of its own.
pub trait Dialogue: Send {
    /// Whether the shell must run as root through `sudo -n`.
    fn sudo(&self) -> bool {
        false
    }

    /// What to say now.
    fn next(&mut self) -> Next<'_>;

    /// The host wrote to standard output.
    fn stdout(&mut self, bytes: &[u8]) -> Flow;

    /// The host wrote to standard error.
    fn stderr(&mut self, bytes: &[u8]) -> Flow;

    /// How long the host may be silent from now on.
    fn patience(&self) -> Duration;
}

/// What a [`Dialogue`] wants to say.
pub enum Next<'a> {
    /// This; there may be more.
    Say(Say<'a>),
    /// Nothing before the host has said something.
    Wait,
    /// Nothing any more: the shell's input ends.
    End,
}

/// Whether to go on listening.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// Yes.
    Go,
    /// No: all is said and heard, and the shell waits for more.
    Done,
    /// No: the session is closed.
    Stop,
}

/// How a command ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exit {
    /// Its exit status; none: it was killed, or the session was closed by us.
    pub status: Option<u32>,
    /// The signal that killed it.
    pub signal: Option<String>,
}

impl Exit {
    /// Whether it ended well.
    pub fn success(&self) -> bool {
        self.status == Some(0)
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.status, &self.signal) {
            (Some(status), _) => write!(f, "exit status {status}"),
            (None, Some(signal)) => write!(f, "killed by SIG{signal}"),
            (None, None) => f.write_str("no exit status"),
        }
    }
}

/// A conversation that did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The connection failed.
    #[error(transparent)]
    Ssh(#[from] SshError),
    /// The host went silent.
    #[error("{at} was silent for {} s", after.as_secs_f32())]
    Silent {
        /// Where.
        at: Text,
        /// How long was waited.
        after: Duration,
    },
    /// A file on this computer cannot be read.
    #[error("the file cannot be read")]
    File(#[source] std::io::Error),
    /// The ledger of a simulated host cannot be used.
    #[error("the ledger of the simulated host {at} cannot be used")]
    Ledger {
        /// Where.
        at: Text,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
}

impl LinkError {
    /// Whether another try later may succeed without any change.
    pub fn is_unreachable(&self) -> bool {
        match self {
            LinkError::Ssh(error) => error.is_unreachable(),
            LinkError::Silent { .. } => true,
            LinkError::File(_) | LinkError::Ledger { .. } => false,
        }
    }
}
