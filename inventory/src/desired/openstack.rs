//! Settings of an OpenStack provider.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::SecretRef;
use crate::{
    names::{Name, Text},
    units::Money,
};

/// A project of an OpenStack cloud. Credentials come from where every OpenStack client reads them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenStackSpec {
    /// Name in `clouds.yaml`; none: `OS_CLOUD`, or the other `OS_*` variables.
    pub cloud: Option<Text>,
    /// Region; none: the one that the credentials name.
    pub region: Option<Text>,
    /// Secret that the host keys of new hosts are derived from; none: one that `pool` makes for this inventory.
    pub host_keys: Option<SecretRef>,
    /// Price per hour of a machine size, by flavor; a flavor that is not listed costs nothing.
    pub prices: BTreeMap<Text, Money>,
    /// Price per GiB and hour of storage, by volume type; a type that is not listed costs nothing.
    pub storage_prices: BTreeMap<Text, Money>,
    /// Networks that exist there and are used as they are: what the inventory calls them → their names or ids. They
    /// carry no mark of ours, so that nothing else tells which they are.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub networks: BTreeMap<Name, Text>,
}
