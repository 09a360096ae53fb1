//! What this process knows of networks, so that it need not ask again.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use pool_inventory::{Lineage, Name, Text, Token, object::NetworkSpec};

use super::answers::Network;
use crate::Request;

/// Where hosts of a network stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Standing {
    /// The network's id.
    pub id: Text,
    /// The group that lets in what its rules say; none: the project's own.
    pub security_group: Option<Text>,
    /// Its subnet; none: it has several, or is not ours.
    pub subnet: Option<Text>,
    /// Whether it is ours: made for this lineage, with all its addresses ours to give.
    pub own: bool,
}

/// A creation that was asked for.
#[derive(Debug)]
pub(super) struct Begun {
    pub spec: NetworkSpec,
    /// How far it is; held while one attempt is under way.
    pub progress: tokio::sync::Mutex<Far>,
}

/// How far a creation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Far {
    /// Nothing was sent.
    New,
    /// Something was sent, and may be there.
    Sent,
    /// All of it is there.
    Whole,
}

#[derive(Debug, Default)]
pub(in super::super) struct Memory {
    inner: Mutex<Inner>,
    /// What the market has just listed, for the list that is asked for next.
    listed: Mutex<Option<(Instant, Vec<Network>)>>,
    /// One look at the cloud at a time: those who wait for it want to know the same.
    pub looking: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Inner {
    begun: BTreeMap<Token, Arc<Begun>>,
    standing: BTreeMap<(Lineage, Name), Standing>,
}

/// For how long a list of networks that was read for the market is one that was read now.
const JUST_LISTED: Duration = Duration::from_secs(5);

impl Memory {
    /// Keeps what the market has listed: an observation asks for the market, and then for the networks.
    pub fn put_listed(&self, networks: Vec<Network>) {
        *self.listed.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), networks));
    }

    /// What the market has just listed; once.
    pub fn take_listed(&self) -> Option<Vec<Network>> {
        let listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner).take();
        listed.filter(|(at, _)| at.elapsed() < JUST_LISTED).map(|(_, networks)| networks)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic while it is held leaves whole entries.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A creation by its token; new, unless it was asked for before.
    pub(super) fn begin(&self, request: &Request, spec: &NetworkSpec) -> Arc<Begun> {
        let new = || {
            let progress = tokio::sync::Mutex::new(Far::New);
            Arc::new(Begun { spec: spec.clone(), progress })
        };
        self.lock().begun.entry(request.owner.token.clone()).or_insert_with(new).clone()
    }

    /// A creation that this process was asked for.
    pub(super) fn begun(&self, token: &Token) -> Option<Arc<Begun>> {
        self.lock().begun.get(token).cloned()
    }

    pub fn remember(&self, lineage: &Lineage, name: &Name, standing: Standing) {
        self.lock().standing.insert((lineage.clone(), name.clone()), standing);
    }

    pub fn standing(&self, lineage: &Lineage, name: &Name) -> Option<Standing> {
        self.lock().standing.get(&(lineage.clone(), name.clone())).cloned()
    }

    /// A network is gone.
    pub fn forget(&self, id: &str) {
        self.lock().standing.retain(|_, standing| &*standing.id != id);
    }
}
