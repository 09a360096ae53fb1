//! One object of the simulated cloud, as its ledger keeps it. Short keys, since a ledger holds tens of thousands.

use std::{fmt, str::FromStr};

use pool_inventory::{Address, Kind, Text, Token, object::Status};
use serde::{Deserialize, Serialize};

/// A time that never comes, for objects that a fault keeps from becoming ready.
pub(super) const NEVER: u64 = u64::MAX;

/// An id: the kind's first letter and a number that rises with each creation, `h-17`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) struct Key {
    pub kind: Kind,
    pub seq: u64,
}

impl Key {
    /// The first possible key of a kind, for range scans.
    pub fn first(kind: Kind) -> Self {
        Self { kind, seq: 0 }
    }

    /// The last possible key of a kind.
    pub fn last(kind: Kind) -> Self {
        Self { kind, seq: u64::MAX }
    }

    pub fn text(self) -> Text {
        self.to_string().into()
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", &self.kind.as_str()[..1], self.seq)
    }
}

impl FromStr for Key {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("`{text}` is not an id of the simulated cloud");
        let (letter, seq) = text.split_once('-').ok_or_else(bad)?;
        let kind = match letter {
            "h" => Kind::Host,
            "v" => Kind::Volume,
            "n" => Kind::Network,
            "s" => Kind::Snapshot,
            "b" => Kind::Backup,
            _ => return Err(bad()),
        };
        Ok(Self { kind, seq: seq.parse().map_err(|_| bad())? })
    }
}

impl TryFrom<String> for Key {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Key> for String {
    fn from(key: Key) -> Self {
        key.to_string()
    }
}

/// One object. Specs and lineages stand in tables of the ledger, since most objects share theirs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Object {
    #[serde(rename = "i")]
    pub key: Key,
    #[serde(rename = "n")]
    pub name: Text,
    /// None: made by someone else.
    #[serde(rename = "o", default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Mark>,
    /// Index of the spec as it is now; a volume's is detached, see `attached`.
    #[serde(rename = "s")]
    pub spec: u32,
    /// Index of the spec that it was made with, to recognise a token that is used again for something else.
    #[serde(rename = "m")]
    pub made: u32,
    #[serde(rename = "h", default, skip_serializing_if = "Option::is_none")]
    pub attached: Option<Attached>,
    /// When it is ready.
    #[serde(rename = "r")]
    pub ready: u64,
    /// When listings and look-ups know of it.
    #[serde(rename = "v")]
    pub visible: u64,
    #[serde(rename = "x", default, skip_serializing_if = "is_false")]
    pub off: bool,
    /// A deletion that never ends is under way.
    #[serde(rename = "l", default, skip_serializing_if = "is_false")]
    pub leaving: bool,
    /// When a slow deletion that is under way is done.
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    pub ends: Option<u64>,
    /// Broken, in the cloud's words; seen once `ready` is reached.
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<Text>,
    /// Rises with each rebuild; the host key depends on it.
    #[serde(rename = "b", default, skip_serializing_if = "is_zero")]
    pub incarnation: u32,
    /// What is in a volume, snapshot or backup, as far as this cloud cares; none: nothing was written yet.
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Text>,
    /// The volume that a snapshot or backup is of.
    #[serde(rename = "u", default, skip_serializing_if = "Option::is_none")]
    pub of: Option<Key>,
    /// Millionths per hour.
    #[serde(rename = "p")]
    pub price: i64,
    /// Deleted; listings may show it until then.
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    pub gone: Option<u64>,
}

/// Whose an object is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    /// Index of the lineage.
    #[serde(rename = "l")]
    pub lineage: u32,
    #[serde(rename = "a")]
    pub address: Address,
    #[serde(rename = "g")]
    pub generation: u32,
    #[serde(rename = "t")]
    pub token: Token,
}

/// Where a volume is attached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Attached {
    #[serde(rename = "h")]
    pub host: Key,
    #[serde(rename = "a")]
    pub address: Address,
    #[serde(rename = "m", default, skip_serializing_if = "Option::is_none")]
    pub mount: Option<Text>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
fn is_false(value: &bool) -> bool {
    !value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
fn is_zero(value: &u32) -> bool {
    *value == 0
}

impl Object {
    /// How it is at a time.
    pub fn status(&self, now: u64) -> Status {
        match &self.failed {
            _ if self.gone.is_some() || self.leaving => Status::Deleting,
            _ if now < self.ready => Status::Pending,
            Some(words) => Status::Failed(words.clone()),
            None if self.off => Status::Stopped,
            None => Status::Ready,
        }
    }

    /// When what is under way with it is done; [`NEVER`]: never.
    pub fn done_at(&self) -> u64 {
        if self.leaving { self.ends.unwrap_or(NEVER) } else { self.ready }
    }

    /// Whether it exists, seen or not.
    pub fn lives(&self) -> bool {
        self.gone.is_none()
    }

    /// Whether listings and look-ups show it at a time.
    pub fn shown(&self, now: u64) -> bool {
        match self.gone {
            // What was never seen alive does not appear after its end.
            Some(until) => self.visible <= now && now < until,
            None => self.visible <= now,
        }
    }
}
