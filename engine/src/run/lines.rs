//! Links that were opened in this run and may be used again: a host that is bootstrapped and then joins a cluster is logged
//! in to once.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use pool_bootstrap::Link;
use pool_inventory::{Address, object::Recorded};

use super::{
    Shared,
    bootstrap::{Patience, Unreached, reach},
};

/// Most links that wait for further work; each is an open connection.
const MOST: usize = 256;

/// Links that wait for further work.
#[derive(Default)]
pub struct Lines(Mutex<Parked>);

/// By host and generation.
type Parked = BTreeMap<(Address, u32), Vec<Box<dyn Link>>>;

impl Lines {
    fn lock(&self) -> MutexGuard<'_, Parked> {
        // A panic while the lock is held leaves whole entries.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a link for the next step on its host.
    pub fn park(&self, host: &Recorded, link: Box<dyn Link>) {
        let mut lines = self.lock();
        if lines.values().map(Vec::len).sum::<usize>() < MOST {
            lines.entry((host.address.clone(), host.generation)).or_default().push(link);
        }
    }

    fn take(&self, host: &Recorded) -> Option<Box<dyn Link>> {
        let mut lines = self.lock();
        let key = (host.address.clone(), host.generation);
        let parked = lines.get_mut(&key)?;
        let link = parked.pop();
        if parked.is_empty() {
            lines.remove(&key);
        }
        link
    }
}

/// A link to a host that answers: one that waits, or a new one.
pub async fn line(shared: &Shared, host: &Recorded, patience: Patience) -> Result<Box<dyn Link>, Unreached> {
    while let Some(mut link) = shared.lines.take(host) {
        // Whatever has happened to it since shows now, and not in the middle of something.
        if pool_bootstrap::runner::read_facts(link.as_mut()).await.is_ok() {
            return Ok(link);
        }
    }
    let access = shared.access(host);
    reach(shared, host, access, patience).await.map(|(link, _)| link)
}
