//! One verified connection per host, with many sessions on it.

mod auth;
mod channel;
mod connect;
mod converse;
mod error;
mod hostkey;
mod jump;
mod upload;

use std::time::Duration;

use pool_inventory::{Text, desired::Trust, object::Endpoint};

pub use channel::{Event, Pty, Session, SessionReader, SessionWriter, Stream};
pub use connect::connect;
pub use error::SshError;
pub use hostkey::fingerprint;
pub use jump::{JumpError, known_hosts, parse_jump};

use crate::keys::Key;

/// Jump hosts that are followed at most.
pub const MAX_JUMPS: usize = 4;

/// How to log in, with everything at hand that it needs.
#[derive(Debug, Clone)]
pub struct Login {
    /// Login name.
    pub user: Text,
    /// Private key.
    pub key: Option<Key>,
    /// Whether the agent of `SSH_AUTH_SOCK` is asked, after the key.
    pub agent: Agent,
    /// The host to go through, with the login there.
    pub jump: Option<Box<(Endpoint, Login)>>,
    /// How the host key is known.
    pub trust: Trust,
}

/// Whether an SSH agent is asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Agent {
    /// No.
    #[default]
    No,
    /// The one of `SSH_AUTH_SOCK`.
    Environment,
    /// The one that listens here.
    Socket(std::path::PathBuf),
}

/// Longest times; none of them is unbounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// Until the TCP connection (or the channel through the jump host) stands.
    pub connect: Duration,
    /// From there until the login is accepted.
    pub login: Duration,
    /// Until a session is opened on a connection that stands.
    pub session: Duration,
    /// Silence after which the other side is asked whether it lives; three times without an answer end the connection.
    pub keepalive: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            login: Duration::from_secs(30),
            session: Duration::from_secs(30),
            keepalive: Duration::from_secs(15),
        }
    }
}

/// A connection to one host, logged in.
pub struct SshLink {
    handle: russh::client::Handle<hostkey::Check>,
    at: Text,
    host_key: Text,
    deadlines: Deadlines,
    sessions: std::sync::atomic::AtomicU32,
    /// The shell of the last conversation, where it can serve the next one.
    shell: Option<converse::Shell>,
    /// Kept open as long as this link lives; none: a direct connection.
    via: Option<Box<SshLink>>,
}

impl SshLink {
    /// `host:port`.
    pub fn at(&self) -> &Text {
        &self.at
    }

    /// The host key that was accepted, in OpenSSH form; to be recorded after first contact.
    pub fn host_key(&self) -> &Text {
        &self.host_key
    }

    /// Sessions opened so far.
    pub fn sessions(&self) -> u32 {
        self.sessions.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Says goodbye, within a second; dropping the link ends the connection as well.
    pub async fn close(mut self) {
        self.shell = None;
        let via = self.via.take();
        let bye = self.handle.disconnect(russh::Disconnect::ByApplication, "", "");
        let _ = tokio::time::timeout(Duration::from_secs(1), bye).await;
        if let Some(via) = via {
            Box::pin(via.close()).await;
        }
    }
}

impl std::fmt::Debug for SshLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SshLink").field("at", &self.at).field("sessions", &self.sessions()).finish_non_exhaustive()
    }
}
