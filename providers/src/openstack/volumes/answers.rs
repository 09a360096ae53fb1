//! What Cinder says of volumes and their copies, as far as it matters here.

use std::collections::BTreeMap;

use pool_inventory::Text;
use serde::Deserialize;

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Volume {
    pub id: Text,
    #[serde(default)]
    pub name: Option<Text>,
    pub status: Text,
    /// GiB.
    pub size: u64,
    #[serde(default)]
    pub volume_type: Option<Text>,
    #[serde(default)]
    pub availability_zone: Option<Text>,
    #[serde(default)]
    pub metadata: BTreeMap<Text, Text>,
    #[serde(default)]
    pub attachments: Vec<Attached>,
    /// `target:ID` for what a migration copies into; told to administrators alone.
    #[serde(default)]
    pub migration_status: Option<Text>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Attached {
    #[serde(default)]
    pub server_id: Text,
}

/// A snapshot or a backup.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Copy {
    pub id: Text,
    #[serde(default)]
    pub name: Option<Text>,
    pub status: Text,
    /// GiB.
    #[serde(default)]
    pub size: u64,
    #[serde(default)]
    pub volume_id: Option<Text>,
    #[serde(default)]
    pub metadata: Option<BTreeMap<Text, Text>>,
    /// Of a backup that failed.
    #[serde(default)]
    pub fail_reason: Option<Text>,
}

/// Only the id: what Cinder answers first about some objects.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Id {
    pub id: Text,
}

/// What Cinder has to say about an object that failed, after the fact.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Message {
    #[serde(default)]
    pub resource_uuid: Option<Text>,
    pub user_message: Text,
    #[serde(default)]
    pub created_at: Text,
}
