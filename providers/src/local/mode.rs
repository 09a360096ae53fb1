//! The two modes of local machines, and what each can do.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use pool_inventory::{
    Kind, TimeSpan,
    market::{Capabilities, Change, Feature},
};
use rustix::thread::{CapabilitySet, capabilities};

/// Creations that are carried out at the same time; booting is mostly waiting for the kernel.
const BATCH: usize = 16;

/// How machines are kept apart from the computer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// `pool` runs as root.
    Root,
    /// It does not: a user namespace in which one user, called root, is the user who runs `pool`.
    Rootless,
}

impl Mode {
    /// The mode of this process.
    pub(super) fn detect() -> Self {
        let may_mount = capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_ADMIN));
        if rustix::process::geteuid().is_root() && may_mount { Mode::Root } else { Mode::Rootless }
    }

    /// What machines of this mode can be asked for.
    pub(super) fn features(self) -> BTreeSet<Feature> {
        match self {
            Mode::Rootless => BTreeSet::from([Feature::Mounts, Feature::Power]),
            Mode::Root => {
                use Feature::{EnforcedSize, Mounts, Owners, Power, Users};
                let mut features = BTreeSet::from([Mounts, Users, Owners, EnforcedSize, Power]);
                // The image is this computer's own system.
                if Path::new("/usr/bin/apt-get").exists() {
                    features.insert(Feature::Packages);
                }
                features
            }
        }
    }

    /// What the provider says of itself.
    pub(super) fn capabilities(self) -> Capabilities {
        let in_place = |fields: &[&str]| fields.iter().map(|field| ((*field).into(), Change::InPlace)).collect();
        let mut host: BTreeMap<_, _> = in_place(&["tags.*", "size.*", "authorized_keys"]);
        host.insert("user".into(), Change::Rebuild);
        Capabilities {
            changes: BTreeMap::from([
                (Kind::Host, host),
                (Kind::Volume, in_place(&["tags.*", "size", "attached", "tier"])),
            ]),
            features: self.features(),
            creates: true,
            batch: BATCH,
            visibility_delay: TimeSpan(0),
            doubt: TimeSpan(0),
            patience: pool_inventory::market::PATIENCE,
            calls: 64,
            poll: TimeSpan(0),
            unseen: BTreeMap::new(),
        }
    }
}
