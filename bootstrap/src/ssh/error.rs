//! What can go wrong with a connection.

use std::{io, time::Duration};

use pool_inventory::Text;

/// A connection that could not be made, or was lost.
#[derive(Debug, thiserror::Error)]
pub enum SshError {
    /// Nothing answers there.
    #[error("{at} cannot be reached; is it running, and is the address right?")]
    Unreachable {
        /// `host:port`.
        at: Text,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// It took too long.
    #[error("{at} did not answer within {} s ({doing})", after.as_secs_f32())]
    TimedOut {
        /// `host:port`.
        at: Text,
        /// What was being done.
        doing: &'static str,
        /// How long was waited.
        after: Duration,
    },
    /// The host shows a key that is not the one it should have.
    #[error(
        "{at} shows the host key {found}, but {} is expected; someone may be listening in, or the host was reinstalled",
        expected.join(" or ")
    )]
    HostKeyMismatch {
        /// `host:port`.
        at: Text,
        /// Fingerprints of the keys that are right.
        expected: Vec<String>,
        /// Fingerprint of the key that was shown.
        found: String,
    },
    /// No key is known, and the inventory does not allow trust at first contact.
    #[error(
        "no host key is known for {at}, which shows {found}; pin it with `host_key:`, or allow `trust: first-contact`"
    )]
    HostKeyUnknown {
        /// `host:port`.
        at: Text,
        /// Fingerprint of the key that was shown.
        found: String,
    },
    /// A known host key cannot be read.
    #[error("a known host key of {at} is not in OpenSSH form (`ssh-ed25519 AAAA…`)")]
    HostKeyUnreadable {
        /// `host:port`.
        at: Text,
    },
    /// The login was refused.
    #[error("{at} refuses the login of `{user}` with {tried}; does the host know that public key?")]
    AuthFailed {
        /// `host:port`.
        at: Text,
        /// Login name.
        user: Text,
        /// What was offered.
        tried: String,
    },
    /// The SSH agent cannot be used.
    #[error("the SSH agent cannot be used for the login to {at}; is SSH_AUTH_SOCK set?")]
    Agent {
        /// `host:port`.
        at: Text,
        /// What it says.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// More jump hosts than are followed.
    #[error("{at} lies behind more than {max} jump hosts")]
    TooManyJumps {
        /// `host:port`.
        at: Text,
        /// The limit.
        max: usize,
    },
    /// The host does not open a session.
    #[error("{at} refuses a further session on this connection")]
    Refused {
        /// `host:port`.
        at: Text,
        /// What it says.
        #[source]
        source: russh::Error,
    },
    /// The connection ended.
    #[error("the connection to {at} ended unexpectedly")]
    Closed {
        /// `host:port`.
        at: Text,
        /// What is known about it.
        #[source]
        source: Option<russh::Error>,
    },
    /// The two sides do not understand each other.
    #[error("no secure connection to {at}: the other side is no SSH server, or offers no algorithm in common")]
    Protocol {
        /// `host:port`.
        at: Text,
        /// What is known about it.
        #[source]
        source: russh::Error,
    },
}

impl SshError {
    /// Whether the host could not be reached at all, or was lost: another try later may succeed.
    pub fn is_unreachable(&self) -> bool {
        matches!(
            self,
            SshError::Unreachable { .. }
                | SshError::TimedOut { .. }
                | SshError::Closed { .. }
                | SshError::Refused { .. }
        )
    }

    /// Whether the connection was refused: the machine runs, and nothing listens there.
    pub fn is_refused(&self) -> bool {
        matches!(self, SshError::Unreachable { source, .. } if source.kind() == io::ErrorKind::ConnectionRefused)
    }

    /// Whether credentials were refused.
    pub fn is_auth(&self) -> bool {
        matches!(self, SshError::AuthFailed { .. } | SshError::Agent { .. })
    }
}
