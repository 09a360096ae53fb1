//! What Cinder's volumes and copies come to. Pure.

use std::collections::{BTreeMap, BTreeSet};

use pool_inventory::{
    Address, Bytes, Kind, Name, Text,
    desired::{OnRemove, Provisioning},
    object::{Attachment, CopySpec, Observed, Owner, Spec, Status, VolumeSpec},
};

use super::answers::{Copy, Message, Volume};
use crate::openstack::marks;

/// What of a spec no other field of a volume tells.
const TIER: &str = "pool_tier";
const ZONE: &str = "pool_zone";
const BACKEND: &str = "pool_backend";

pub(super) const GIB: u64 = 1 << 30;

/// Metadata that Cinder and Nova write themselves.
const THEIRS: [&str; 2] = ["readonly", "attached_mode"];

type Metadata = BTreeMap<Text, Text>;

/// The metadata of a volume of ours.
pub(super) fn volume_metadata(owner: &Owner, spec: &VolumeSpec) -> Metadata {
    let mut all = spec.tags.clone();
    all.extend(marks::metadata(owner));
    all.insert(TIER.into(), spec.tier.to_string().into());
    all.insert(ZONE.into(), spec.zone.clone());
    all
}

/// The metadata of a snapshot or backup of ours.
pub(super) fn copy_metadata(owner: &Owner, spec: &CopySpec) -> Metadata {
    let mut all = spec.tags.clone();
    all.extend(marks::metadata(owner));
    all.insert(TIER.into(), spec.tier.to_string().into());
    all.insert(BACKEND.into(), spec.backend.clone());
    all
}

/// The same metadata with other labels.
pub(super) fn relabelled(metadata: &Metadata, labels: &Metadata) -> Metadata {
    let keep = |key: &&Text| key.starts_with(marks::PREFIX) || THEIRS.contains(&&***key);
    let kept = metadata.keys().filter(keep).map(|key| (key.clone(), metadata[key].clone()));
    kept.chain(labels.iter().map(|(key, value)| (key.clone(), value.clone()))).collect()
}

fn labels(metadata: &Metadata) -> Metadata {
    let mut labels = marks::labels(metadata);
    labels.retain(|key, _| !THEIRS.contains(&&**key));
    labels
}

/// A volume. `holder` tells which host of ours a server is, `why` what Cinder said of a failure.
pub(super) fn volume(
    provider: &Name,
    volume: &Volume,
    holder: impl Fn(&str) -> Address,
    why: impl Fn(&str) -> Option<Text>,
) -> Observed {
    let kind = volume.volume_type.clone().unwrap_or_default();
    let owner = marks::read_metadata(&volume.metadata).filter(|owner| owner.address.kind == Kind::Volume);
    let zone = volume.metadata.get(ZONE).or(volume.availability_zone.as_ref()).cloned().unwrap_or_default();
    let spec = VolumeSpec {
        tier: tier(&volume.metadata, &kind),
        backend: format!("{provider}/{kind}").into(),
        zone,
        size: Bytes(volume.size.saturating_mul(GIB)),
        provisioning: Provisioning::Thin,
        tags: labels(&volume.metadata),
        attached: volume.attachments.first().map(|at| Attachment { host: holder(&at.server_id), mount: None }),
        on_remove: OnRemove::Keep,
        from: None,
        existing: None,
    };
    Observed {
        id: volume.id.clone(),
        name: volume.name.clone().unwrap_or_default(),
        owner,
        status: status(&volume.status, || why(&volume.id)),
        spec: Spec::Volume(spec),
        endpoint: None,
    }
}

/// A snapshot or backup.
pub(super) fn copy(provider: &Name, kind: Kind, copy: &Copy, why: impl Fn(&str) -> Option<Text>) -> Observed {
    let none = Metadata::new();
    let metadata = copy.metadata.as_ref().unwrap_or(&none);
    let owner = marks::read_metadata(metadata).filter(|owner| owner.address.kind == kind);
    let of = owner.as_ref().and_then(|owner| owner.address.volume_of_copy());
    let stranger = || Address::volume(copy.volume_id.as_deref().unwrap_or("nothing"), "unknown");
    let spec = CopySpec {
        of: of.unwrap_or_else(stranger),
        tier: tier(metadata, ""),
        backend: metadata.get(BACKEND).cloned().unwrap_or_else(|| format!("{provider}/").into()),
        size: Bytes(copy.size.saturating_mul(GIB)),
        tags: labels(metadata),
    };
    let why = || copy.fail_reason.clone().filter(|why| !why.is_empty()).or_else(|| why(&copy.id));
    Observed {
        id: copy.id.clone(),
        name: copy.name.clone().unwrap_or_default(),
        owner,
        status: status(&copy.status, why),
        spec: if kind == Kind::Backup { Spec::Backup(spec) } else { Spec::Snapshot(spec) },
        endpoint: None,
    }
}

fn tier(metadata: &Metadata, kind: &str) -> Name {
    let told = metadata.get(TIER).and_then(|tier| Name::new(tier).ok());
    told.or_else(|| Name::new(&kind.to_lowercase()).ok()).unwrap_or_else(unknown_tier)
}

fn unknown_tier() -> Name {
    Name::new("unknown").expect("it fits the grammar of names")
}

fn status(word: &str, why: impl FnOnce() -> Option<Text>) -> Status {
    match word {
        "creating" | "downloading" | "restoring-backup" => Status::Pending,
        "deleting" | "deleted" | "unmanaging" => Status::Deleting,
        word if word.starts_with("error") => {
            let what = match word {
                "error_deleting" => "it could not be deleted",
                "error_restoring" => "restoring it failed",
                "error_extending" => "extending it failed",
                "error_backing-up" => "the backup failed",
                _ => "it is in error",
            };
            Status::Failed(why().map_or_else(|| what.into(), |why| format!("{what}: {why}").into()))
        }
        _ => Status::Ready,
    }
}

/// Whether a volume is at rest: nothing is done to it.
pub(super) fn at_rest(volume: &Volume) -> bool {
    matches!(&*volume.status, "available" | "in-use")
}

/// Drops what a migration makes beside a volume, with the volume's own metadata: what it copies into, which only
/// administrators see, and what is left afterwards, which is being deleted.
pub(super) fn without_shadows(mut all: Vec<Volume>) -> Vec<Volume> {
    let into = |volume: &Volume| volume.migration_status.as_deref().is_some_and(|status| status.starts_with("target:"));
    all.retain(|volume| !into(volume));
    let tokens = |deleting: bool| {
        let which = all.iter().filter(move |volume| (&*volume.status == "deleting") == deleting);
        which.filter_map(|volume| volume.metadata.get(marks::TOKEN).cloned()).collect::<BTreeSet<_>>()
    };
    let shadows: BTreeSet<Text> = tokens(true).intersection(&tokens(false)).cloned().collect();
    let shadow = |volume: &Volume| {
        &*volume.status == "deleting" && volume.metadata.get(marks::TOKEN).is_some_and(|token| shadows.contains(token))
    };
    all.retain(|volume| !shadow(volume));
    all
}

/// The last thing that Cinder said of an object.
pub(super) fn last_message(messages: &[Message], id: &str) -> Option<Text> {
    let of = messages.iter().filter(|message| message.resource_uuid.as_deref() == Some(id));
    of.max_by(|a, b| a.created_at.cmp(&b.created_at)).map(|message| message.user_message.clone())
}
