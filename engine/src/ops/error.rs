//! What an operation can end with instead of its answer.

use pool_inventory::{Name, Text};
use pool_state::StateError;

/// Why an operation was not carried out. Nothing was changed by it.
#[derive(Debug, thiserror::Error)]
pub enum OpsError {
    /// No inventory was found, or a file could not be read.
    #[error("{0}")]
    NoInventory(Text),
    /// The inventory has problems; already rendered for a terminal without colours.
    #[error("{rendered}")]
    Inventory {
        /// The problems as text.
        rendered: String,
        /// The problems as text with colours.
        coloured: String,
        /// The problems as data.
        json: serde_json::Value,
    },
    /// A provider refused our credentials.
    #[error("provider {provider} refused the credentials: {detail}")]
    Unauthorized {
        /// Which.
        provider: Name,
        /// Its words.
        detail: Text,
    },
    /// Policy, quota, placement or pre-flight refuse it.
    #[error("{0}")]
    Refused(Text),
    /// Another run holds the lease.
    #[error("the lease is held by {holder} ({reason}) since {since}, until {expires} unless renewed")]
    LeaseHeld {
        /// Who.
        holder: Text,
        /// What for.
        reason: Text,
        /// Since when, seconds since 1970.
        since: i64,
        /// Until when, seconds since 1970.
        expires: i64,
        /// For `pool unlock`.
        id: Text,
    },
    /// The plan is stale, expired, tampered with or used.
    #[error("{0}")]
    PlanUnusable(Text),
    /// Something that was named does not exist.
    #[error("{0}")]
    NotFound(Text),
    /// The command line makes no sense.
    #[error("{0}")]
    Usage(Text),
    /// The state cannot be read or written.
    #[error("{message}")]
    State {
        /// What, where, what to do.
        message: Text,
    },
    /// A secret cannot be resolved; never holds the secret.
    #[error("{0}")]
    Secret(Text),
    /// Anything else.
    #[error("{0}")]
    Other(Text),
}

impl OpsError {
    /// The exit code, as `pool help exit-codes` explains it.
    pub fn exit_code(&self) -> u8 {
        match self {
            OpsError::NoInventory(_) | OpsError::Inventory { .. } | OpsError::Usage(_) => 64,
            OpsError::Unauthorized { .. } => 3,
            OpsError::Refused(_) => 5,
            OpsError::LeaseHeld { .. } => 6,
            OpsError::PlanUnusable(_) => 7,
            OpsError::NotFound(_) | OpsError::State { .. } | OpsError::Secret(_) | OpsError::Other(_) => 1,
        }
    }

    /// What to do about it, where that is not in the message.
    pub fn hint(&self) -> Option<String> {
        match self {
            OpsError::LeaseHeld { id, .. } => {
                Some(format!("wait with --lock-timeout 5m, or, if that run is surely dead, run: pool unlock {id}"))
            }
            OpsError::PlanUnusable(_) => Some("make a new plan with: pool plan".to_owned()),
            OpsError::NoInventory(_) => Some("start one here with: pool init".to_owned()),
            _ => None,
        }
    }
}

impl From<StateError> for OpsError {
    fn from(error: StateError) -> Self {
        match error {
            StateError::LeaseHeld { id, holder, reason, since, expires } => {
                OpsError::LeaseHeld { holder, reason, since, expires, id }
            }
            StateError::PlanUnknown { .. }
            | StateError::PlanTampered { .. }
            | StateError::PlanUsed { .. }
            | StateError::PlanExpired { .. }
            | StateError::PlanStale { .. } => OpsError::PlanUnusable(error.to_string().into()),
            StateError::NoRoom { .. } => OpsError::Refused(error.to_string().into()),
            StateError::NoSuchLease { .. } | StateError::RunUnknown { .. } | StateError::Ambiguous { .. } => {
                OpsError::NotFound(error.to_string().into())
            }
            other => OpsError::State { message: super::chain(&other).into() },
        }
    }
}
