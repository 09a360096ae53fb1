//! What others do in the account of a simulated cloud.

use pool_inventory::{Address, Text, object::Spec};

use super::{
    cloud::Cloud,
    create::detached,
    object::{Attached, Key, NEVER, Object},
    world::Effect,
};
use crate::ProviderError;

/// Something that is done behind our back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meddling {
    /// An object appears that nobody of ours made.
    Foreign {
        /// Its name.
        name: Text,
        /// What it is.
        spec: Spec,
    },
    /// An object becomes something else; where a volume is attached stays.
    Change {
        /// Its id.
        id: Text,
        /// What it is now.
        spec: Spec,
    },
    /// Something is written into a volume.
    Write {
        /// Its id.
        id: Text,
        /// What is in it now.
        content: Text,
    },
    /// A volume is attached to a host, and mounted by nobody.
    Attach {
        /// Its id.
        id: Text,
        /// The host's id.
        host: Text,
    },
    /// A host is turned off.
    Stop {
        /// Its id.
        id: Text,
    },
    /// An object breaks.
    Break {
        /// Its id.
        id: Text,
        /// The cloud's words.
        words: Text,
    },
    /// Whoever runs the cloud ends what would never have ended: the object is ready, or gone. Nothing else changes.
    Mend {
        /// Its id.
        id: Text,
    },
    /// An object is deleted.
    Delete {
        /// Its id.
        id: Text,
    },
}

impl Cloud<'_> {
    pub fn meddle(&mut self, what: &Meddling) -> Result<Text, ProviderError> {
        match what {
            Meddling::Foreign { name, spec } => self.foreign(name, spec),
            Meddling::Change { id, spec } => {
                let spec = self.intern(detached(spec.clone()))?;
                self.alter(id, |object| object.spec = spec)
            }
            Meddling::Write { id, content } => self.alter(id, |object| object.content = Some(content.clone())),
            Meddling::Attach { id, host } => {
                let to = self.existing(host)?.key;
                // A host that is nobody's is known by its id.
                let attached = Attached { host: to, address: Address::host(host), mount: None };
                self.alter(id, |object| object.attached = Some(attached))
            }
            Meddling::Stop { id } => self.alter(id, |object| object.off = true),
            Meddling::Break { id, words } => self.alter(id, |object| object.failed = Some(words.clone())),
            Meddling::Mend { id } => match self.existing(id)? {
                object if object.leaving && object.ends.is_none() => self.vanish(&object),
                object if object.ready == NEVER => {
                    let now = self.now();
                    self.alter(id, |object| object.ready = now)
                }
                _ => Ok(id.clone()),
            },
            Meddling::Delete { id } => {
                let object = self.existing(id)?;
                self.vanish(&object)
            }
        }
    }

    fn existing(&self, id: &Text) -> Result<Object, ProviderError> {
        self.world.living(id).cloned().ok_or_else(|| ProviderError::NotFound(id.clone()))
    }

    fn vanish(&mut self, object: &Object) -> Result<Text, ProviderError> {
        self.change(Effect::Deleted { id: object.key, until: self.now(), token: None })?;
        Ok(object.key.text())
    }

    fn alter(&mut self, id: &Text, change: impl FnOnce(&mut Object)) -> Result<Text, ProviderError> {
        let mut object = self.existing(id)?;
        change(&mut object);
        self.change(Effect::Changed(object, None))?;
        Ok(id.clone())
    }

    fn foreign(&mut self, name: &Text, spec: &Spec) -> Result<Text, ProviderError> {
        let key = Key { kind: spec.kind(), seq: self.world.seq + 1 };
        let place = self.intern(detached(spec.clone()))?;
        let object = Object {
            key,
            name: name.clone(),
            owner: None,
            spec: place,
            made: place,
            attached: None,
            ready: self.now(),
            visible: self.now(),
            off: false,
            leaving: false,
            ends: None,
            failed: None,
            incarnation: 0,
            content: None,
            of: None,
            price: 0,
            gone: None,
        };
        self.change(Effect::New(object))?;
        Ok(key.text())
    }
}
