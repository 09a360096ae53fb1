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
        if !observe::at_rest(volume) || self.changes_hands(volume) {
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

    /// A volume that is retyped while a server has it moves to another record of Cinder, and so do its attachments, a moment
    /// later.
    fn changes_hands(&self, volume: &Volume) -> bool {
        let retyped = self.asked.iter().any(|ask| matches!(ask, Ask::Retype(_)));
        retyped && &*volume.status == "in-use" && volume.attachments.is_empty()
    }

    fn ask(&self, ask: Ask) -> Next {
        if self.asked.contains(&ask) { Next::Refused(ask) } else { Next::Ask(ask) }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::answers::Attached,
        Ask::{Attach, Detach, Extend, Retype},
        *,
    };

    fn volume() -> Volume {
        Volume {
            id: "v".into(),
            name: None,
            status: "available".into(),
            size: 1,
            volume_type: Some("gold".into()),
            availability_zone: None,
            metadata: [("pool_token".into(), "t".into()), ("owner".into(), "ann".into())].into(),
            attachments: Vec::new(),
            migration_status: None,
        }
    }

    /// Cinder and Nova, which do at once what they accept.
    fn carry_out(volume: &mut Volume, ask: &Ask) {
        match ask {
            Detach(_) => (volume.attachments, volume.status) = (Vec::new(), "available".into()),
            Extend(size) => volume.size = *size,
            Retype(kind) => volume.volume_type = Some(kind.clone()),
            Attach(server) => {
                volume.attachments = vec![Attached { server_id: server.clone() }];
                volume.status = "in-use".into();
            }
        }
    }

    fn goal() -> Goal {
        let labels = [("owner".into(), "bob".into())].into();
        Goal { size: 3, kind: "bronze".into(), server: Some("new".into()), labels, asked: Vec::new() }
    }

    #[test]
    fn many_changes_are_made_one_by_one_and_only_once() {
        let (mut volume, mut goal, mut done) = (volume(), goal(), Vec::new());
        carry_out(&mut volume, &Attach("old".into()));
        loop {
            // As it travels from poll to poll.
            goal = serde_json::from_str(&serde_json::to_string(&goal).expect("json")).expect("a goal");
            match goal.next(&volume) {
                Next::Done => break,
                Next::Label(all) => volume.metadata = all,
                Next::Ask(ask) => {
                    volume.status = "retyping".into();
                    assert_eq!(goal.next(&volume), Next::Wait);
                    volume.status = "available".into();
                    carry_out(&mut volume, &ask);
                    goal.asked.push(ask.clone());
                    done.push(ask);
                }
                other => panic!("{other:?} after {done:?}"),
            }
        }
        assert_eq!(done, [Detach("old".into()), Extend(3), Retype("bronze".into()), Attach("new".into())]);
        assert_eq!(volume.metadata["owner"], "bob".into());
        assert_eq!(volume.metadata["pool_token"], "t".into());
    }

    #[test]
    fn a_volume_that_is_retyped_in_use_is_not_attached_again_while_its_attachment_follows() {
        let (mut volume, mut goal) = (volume(), goal());
        volume.metadata.insert("owner".into(), "bob".into());
        for ask in [Extend(goal.size), Retype(goal.kind.clone())] {
            carry_out(&mut volume, &ask);
            goal.asked.push(ask);
        }
        volume.status = "in-use".into();
        volume.attachments.clear();
        assert_eq!(goal.next(&volume), Next::Wait);
        volume.status = "available".into();
        assert!(matches!(goal.next(&volume), Next::Ask(Attach(_))), "it was not attached");
    }

    #[test]
    fn what_was_accepted_and_taken_back_is_refused() {
        let (mut volume, mut goal) = (volume(), goal());
        volume.metadata.insert("owner".into(), "bob".into());
        assert_eq!(goal.next(&volume), Next::Ask(Extend(3)));
        goal.asked.push(Extend(3));
        assert_eq!(goal.next(&volume), Next::Refused(Extend(3)));
        volume.size = 4;
        assert_eq!(goal.next(&volume), Next::Shrinks);
        volume.status = "error_extending".into();
        assert_eq!(goal.next(&volume), Next::Broken);
    }
}
