//! What the cloud offers, what is left of it, and what it can do.

use pool_inventory::{
    TimeSpan,
    market::{Capabilities, Market},
};

use super::{Cloud, DOUBT};
use crate::ProviderError;

/// What every OpenStack can do.
pub(super) fn capabilities() -> Capabilities {
    Capabilities {
        changes: [].into(),
        features: [].into(),
        creates: true,
        batch: 1,
        visibility_delay: TimeSpan(0),
        doubt: DOUBT,
        calls: 16,
        poll: TimeSpan::secs(2),
        unseen: [].into(),
    }
}

impl Cloud {
    pub(super) async fn market(&self) -> Result<Market, ProviderError> {
        let _ = (&self.name, &self.spec, &self.places);
        Err(ProviderError::Other("OpenStack clouds cannot be asked yet".into()))
    }
}
