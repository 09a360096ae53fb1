//! Volumes, snapshots and backups.
//!
//! | module | what it does |
//! |---|---|
//! | `answers` | what Cinder says |
//! | `observe` | what its volumes and copies come to; pure |
//! | `goal` | what a volume is to become, and the next thing to do for it; pure |
//! | `create` | volumes, empty or with a first content |
//! | `change` | updates, restores and deletions, watched until they really happened |
//! | `copies` | snapshots and backups |
//! | `lists` | everything at once; which object a token made |
//! | `holders` | which host of ours a server is |

mod answers;
mod change;
mod copies;
mod create;
mod goal;
mod holders;
mod lists;
mod observe;

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use pool_inventory::{Bytes, Text, Token, object::Owner};
use tokio::sync::OnceCell;

pub(super) use self::holders::Holders;
use super::invalid;
use crate::ProviderError;

/// What this process knows of Cinder, so that it need not ask again.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Tokens that were sent: what they made may be there, though no answer came.
    sent: Mutex<BTreeSet<Token>>,
    /// Cinder's own zones.
    zones: OnceCell<Vec<Text>>,
}

impl Memory {
    /// Notes that a token is about to be sent; whether it was before.
    fn sends(&self, owner: &Owner) -> bool {
        !self.sent.lock().unwrap_or_else(PoisonError::into_inner).insert(owner.token.clone())
    }
}

/// A size in the whole GiB that Cinder counts in.
fn whole_gib(size: Bytes) -> Result<u64, ProviderError> {
    if size.0 == 0 || !size.0.is_multiple_of(observe::GIB) {
        let next = size.0.div_ceil(observe::GIB).max(1);
        let detail = format!("{size} is not a whole number of GiB, which volumes here are counted in; {next}GiB is");
        return Err(invalid("size", detail));
    }
    Ok(size.0 / observe::GIB)
}
