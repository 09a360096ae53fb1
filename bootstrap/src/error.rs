//! What ends a bootstrap.

use std::{fmt, time::Duration};

use pool_inventory::{Name, Text};

use crate::link::{Exit, LinkError, upload::SupplyError};

/// A bootstrap that did not come to its end. What was done before stays done.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    /// The connection failed.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The host is not one on which this can be done; nothing was changed.
    #[error("{at} cannot be bootstrapped: {}", list(refusals))]
    Refused {
        /// Where.
        at: Text,
        /// All reasons.
        refusals: Vec<Refusal>,
    },
    /// An artifact cannot be had; nothing that takes it was begun.
    #[error("artifact {name} for {at} cannot be had")]
    Artifact {
        /// For which host.
        at: Text,
        /// Which.
        name: Name,
        /// Why.
        #[source]
        source: SupplyError,
    },
    /// An artifact could not be sent.
    #[error("artifact {name} could not be sent to {at} ({exit}){}", output(lines))]
    NotSent {
        /// Where.
        at: Text,
        /// Which.
        name: Name,
        /// How the command that takes it ended.
        exit: Exit,
        /// Last lines of its output, cleaned.
        lines: Vec<String>,
    },
    /// An item could not be made so.
    #[error("{item} failed on {at} with {exit}{}", output(lines))]
    Failed {
        /// Where.
        at: Text,
        /// Which.
        item: Text,
        /// How its command ended.
        exit: Exit,
        /// Last lines of its output, cleaned.
        lines: Vec<String>,
    },
    /// An item took too long.
    #[error("{item} on {at} did not end within {} s{}", after.as_secs_f32(), output(lines))]
    ItemTimedOut {
        /// Where.
        at: Text,
        /// Which.
        item: Text,
        /// The limit.
        after: Duration,
        /// Last lines of its output, cleaned.
        lines: Vec<String>,
    },
    /// The connection was lost, or the host went silent, while an item was being done.
    #[error("the connection to {at} was lost during {item}")]
    Lost {
        /// Where.
        at: Text,
        /// Which.
        item: Text,
        /// How.
        #[source]
        source: Box<LinkError>,
    },
    /// The host does not speak as a POSIX shell does.
    #[error("{at} gave no sensible answer to {doing} ({exit}); is the login shell a POSIX shell?{}", output(lines))]
    Garbled {
        /// Where.
        at: Text,
        /// What was asked.
        doing: &'static str,
        /// How the shell ended.
        exit: Exit,
        /// Last lines of what it said, cleaned.
        lines: Vec<String>,
    },
    /// The host wrote more than anyone wants to read.
    #[error("{at} wrote more than {limit} bytes during {doing}; the session was closed")]
    Flooded {
        /// Where.
        at: Text,
        /// What was being done.
        doing: Text,
        /// The limit.
        limit: u64,
    },
    /// It was asked to stop; items that had begun were finished.
    #[error("stopped on request; {at} is bootstrapped in part")]
    Cancelled {
        /// Where.
        at: Text,
        /// Items that were changed before.
        changed: Vec<Text>,
    },
}

impl BootstrapError {
    /// Whether the only trouble is that the host cannot be reached.
    pub fn is_unreachable(&self) -> bool {
        match self {
            BootstrapError::Link(error) => error.is_unreachable(),
            BootstrapError::Lost { source, .. } => source.is_unreachable(),
            _ => false,
        }
    }
}

/// Why a host cannot be bootstrapped as asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Packages are asked for, and there is no apt.
    NoApt,
    /// Services are asked for, and process 1 is not systemd.
    NoSystemd {
        /// What it is.
        init: Text,
    },
    /// It is not a host for this.
    Unfit {
        /// Why.
        why: Text,
    },
    /// An artifact is not made for machines of this kind.
    NotMade {
        /// Its name.
        artifact: Name,
        /// What the machine is.
        arch: Text,
    },
    /// The rights for a change are missing, or it can never be made.
    Denied {
        /// Which item.
        item: Text,
        /// Why.
        why: Text,
        /// Whether the login is neither root nor may become root.
        unprivileged: bool,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::NoApt => f.write_str("packages need apt, and this host has none"),
            Refusal::NoSystemd { init } => write!(f, "services need systemd, and process 1 of this host is `{init}`"),
            Refusal::Unfit { why } => f.write_str(why),
            Refusal::NotMade { artifact, arch } => {
                write!(f, "artifact {artifact} is not made for machines of the kind `{arch}`")
            }
            Refusal::Denied { item, why, unprivileged: false } => write!(f, "{item}: {why}"),
            Refusal::Denied { item, why, unprivileged: true } => {
                write!(f, "{item}: {why} (the login user is not root and `sudo -n` does not work)")
            }
        }
    }
}

fn list(refusals: &[Refusal]) -> String {
    refusals.iter().map(Refusal::to_string).collect::<Vec<_>>().join("; ")
}

fn output(lines: &[String]) -> String {
    if lines.is_empty() { ", without any output".into() } else { format!(":\n    {}", lines.join("\n    ")) }
}
