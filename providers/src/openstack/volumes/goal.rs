//! What a volume is to become, and the next thing to do for it. Pure.
//!
//! An update may ask for several changes, and Cinder takes one at a time. The goal travels in the operation, so that each
//! poll sees how far the volume is and asks for the next change; what was asked for already stands in it too, so that a
//! change that Cinder accepted and then took back is told from one that was never asked for.

use std::collections::BTreeMap;

use pool_inventory::Text;
use serde::{Deserialize, Serialize};

use super::{answers::Volume, observe};

/// What a volume is to become.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Goal {
    /// GiB.
    pub size: u64,
    /// Volume type.
    pub kind: Text,
    /// The server that has it; none: nobody has.
    pub server: Option<Text>,
    /// Its labels.
    pub labels: BTreeMap<Text, Text>,
    /// What was asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub asked: Vec<Ask>,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Ask {
    /// Take it from this server.
    Detach(Text),
    /// Make it this large.
    Extend(u64),
    /// Give it this type, on another backend if need be.
    Retype(Text),
    /// Give it to this server.
    Attach(Text),
}

/// What comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next {
    /// Something is under way.
    Wait,
    /// Ask for this.
    Ask(Ask),
    /// Write this metadata.
    Label(BTreeMap<Text, Text>),
    /// All is as it should be.
    Done,
    /// This was asked for and accepted, and did not come to be.
    Refused(Ask),
    /// The volume is broken.
    Broken,
    /// A volume never shrinks.
    Shrinks,
}

impl Goal {
    /// What comes next for a volume: first out of the old server, then larger, then of another type, then into the new
    /// server, so that a server never has a volume that is not yet what it should be.
    pub fn next(&self, volume: &Volume) -> Next {
        if volume.status.starts_with("error") {
            return Next::Broken;
        }
        if !observe::at_rest(volume) {
            return Next::Wait;
        }
        let labelled = observe::relabelled(&volume.metadata, &self.labels);
        if labelled != volume.metadata {
            return Next::Label(labelled);
        }
        let elsewhere = volume.attachments.iter().find(|at| Some(&at.server_id) != self.server.as_ref());
        if let Some(at) = elsewhere {
            return self.ask(Ask::Detach(at.server_id.clone()));
        }
        if volume.size > self.size {
            return Next::Shrinks;
        }
        if volume.size < self.size {
            return self.ask(Ask::Extend(self.size));
        }
        if volume.volume_type.as_ref() != Some(&self.kind) {
            return self.ask(Ask::Retype(self.kind.clone()));
        }
        match &self.server {
            Some(server) if volume.attachments.is_empty() => self.ask(Ask::Attach(server.clone())),
            _ => Next::Done,
        }
    }

    fn ask(&self, ask: Ask) -> Next {
        if self.asked.contains(&ask) { Next::Refused(ask) } else { Next::Ask(ask) }
    }
}
