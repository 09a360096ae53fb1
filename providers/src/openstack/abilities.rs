//! What every OpenStack can do, and what its lists do not tell.

use std::collections::BTreeMap;

use pool_inventory::{
    Kind, Text, TimeSpan,
    market::{Capabilities, Change, Feature},
};

use super::DOUBT;

/// What every OpenStack can do.
pub(super) fn capabilities() -> Capabilities {
    Capabilities {
        changes: changes(),
        features: [
            Feature::Packages,
            Feature::Users,
            Feature::Services,
            Feature::Sysctl,
            Feature::Owners,
            Feature::EnforcedSize,
            Feature::Networks,
            Feature::ExistingNetworks,
            Feature::Rules,
            Feature::Routers,
            Feature::FixedAddresses,
            Feature::PublicAddresses,
            Feature::Apart,
            Feature::RootDisks,
            Feature::ConsoleKeys,
            Feature::Power,
            Feature::Snapshots,
            Feature::Backups,
            Feature::Adopting,
        ]
        .into(),
        creates: true,
        batch: 1,
        visibility_delay: TimeSpan(0),
        doubt: DOUBT,
        patience: pool_inventory::market::PATIENCE,
        calls: 16,
        poll: TimeSpan::secs(2),
        unseen: [
            (Kind::Host, fields(&["user", "authorized_keys", "addresses", "apart", "root", "trust", "existing"])),
            (Kind::Volume, fields(&["tier", "provisioning", "on_remove", "mount", "from", "existing"])),
            (Kind::Snapshot, fields(&["tier"])),
            (Kind::Backup, fields(&["tier"])),
        ]
        .into(),
    }
}

fn fields<C: FromIterator<Text>>(names: &[&str]) -> C {
    names.iter().map(|name| Text::from(*name)).collect()
}

/// How each field can change; what is not here takes a new object.
fn changes() -> BTreeMap<Kind, BTreeMap<Text, Change>> {
    let in_place = |names: &[&str]| -> BTreeMap<Text, Change> {
        names.iter().map(|n| (Text::from(*n), Change::InPlace)).collect()
    };
    let mut host = in_place(&["tags.*", "offering", "size.*", "public"]);
    host.extend(["image", "user", "authorized_keys", "trust"].map(|name| (name.into(), Change::Rebuild)));
    let volume = ["tags.*", "size", "attached", "on_remove", "tier", "backend"];
    let network = ["tags.*", "dns", "dhcp", "router", "ingress.*", "egress.*"];
    [
        (Kind::Host, host),
        (Kind::Volume, in_place(&volume)),
        (Kind::Network, in_place(&network)),
        (Kind::Snapshot, in_place(&["tags.*"])),
        (Kind::Backup, in_place(&["tags.*"])),
    ]
    .into()
}
