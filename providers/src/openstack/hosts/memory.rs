//! What this process knows of hosts, so that it need not ask again.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use pool_inventory::{Text, Token};
use tokio::sync::OnceCell;

use super::apart::Groups;
use crate::openstack::{Secret, known::Known, poll::Handle};

/// How far a creation is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Far {
    /// Nothing was sent.
    New,
    /// Something was sent then, and may be there, or still be on its way.
    Sent(Instant),
    /// What was sent failed for good, and some of it may be left.
    Left,
    /// Nova has accepted this server.
    Made(Text),
}

#[derive(Debug, Default)]
pub(in crate::openstack) struct Memory {
    begun: Mutex<HashMap<Token, Arc<tokio::sync::Mutex<Far>>>>,
    names: Mutex<BTreeMap<(What, Text), Text>>,
    /// One look-up of a name at a time: many hosts that are made at once have the same names.
    pub(super) looking: tokio::sync::Mutex<()>,
    clearing: Mutex<HashMap<Text, Handle>>,
    pub(super) secret: OnceCell<Secret>,
    pub(super) groups: tokio::sync::Mutex<Groups>,
}

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    /// Id of an image by its name.
    Image,
    /// Id of a flavor by its name.
    Flavor,
    /// Id of an external network by its name.
    External,
}

impl Memory {
    /// How far the creation with a token is; held while one attempt at it is under way.
    pub(super) fn begin(&self, token: &Token) -> Arc<tokio::sync::Mutex<Far>> {
        let new = || Arc::new(tokio::sync::Mutex::new(Far::New));
        lock(&self.begun).entry(token.clone()).or_insert_with(new).clone()
    }

    /// Whether this process was asked for the creation with a token.
    pub(in crate::openstack) fn begun(&self, token: &Token) -> bool {
        lock(&self.begun).contains_key(token)
    }

    /// A creation goes on as a deletion.
    pub(super) fn clear(&self, handle: &Handle) {
        lock(&self.clearing).insert(handle.id.clone(), handle.clone());
    }

    /// The deletion that a creation goes on as.
    pub(super) fn clearing(&self, handle: &Handle) -> Option<Handle> {
        if &*handle.verb == "create" { lock(&self.clearing).get(&handle.id).cloned() } else { None }
    }

    pub(super) fn name(&self, what: What, name: &Text) -> Option<Text> {
        lock(&self.names).get(&(what, name.clone())).cloned()
    }

    /// Remembers what the names of a list stand for that was read now; not those that several images share.
    pub(in crate::openstack) fn learn(&self, known: &Known) {
        let mut images: BTreeMap<&Text, Vec<&Text>> = BTreeMap::new();
        for image in &known.images {
            image.name.iter().for_each(|name| images.entry(name).or_default().push(&image.id));
        }
        images
            .iter()
            .filter(|(_, ids)| ids.len() == 1)
            .for_each(|(name, ids)| self.remember(What::Image, name, ids[0]));
        known.flavors.iter().for_each(|flavor| self.remember(What::Flavor, &flavor.name, &flavor.id));
    }

    pub(super) fn remember(&self, what: What, name: &Text, is: &Text) {
        lock(&self.names).insert((what, name.clone()), is.clone());
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic while it is held leaves whole entries.
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
