//! What differs, and how gently it can be changed: in place, by a new system, or by a new object.

use std::borrow::Cow;

use pool_inventory::{
    Text,
    market::{Capabilities, Change},
    object::{FieldChange, HostSpec, RootDisk, Spec, VolumeSpec},
};

use crate::plan::Reason;

/// What is to be done about one object that exists.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Delta {
    /// Nothing.
    Same,
    /// The object is as it should be; only the record is not.
    Record { to: Spec, reason: Reason },
    /// The object must change; `fields` say what.
    Change { to: Spec, how: Change, fields: Vec<FieldChange>, reason: Reason },
}

/// Compares what was applied, what is seen and what is wanted. All three have the same kind, and volumes the same
/// attachment: attaching is a step of its own.
///
/// Fields of `ignore` keep the value that they have: neither their drift nor a change of their declaration counts.
pub(crate) fn compare(
    capabilities: &Capabilities,
    ignore: &[Text],
    applied: &Spec,
    seen: Option<&Spec>,
    wanted: &Spec,
) -> Delta {
    let seen = seen.map(|seen| with_our_fields(seen, applied));
    if applied == wanted && seen.as_deref().is_none_or(|seen| seen == applied) {
        return Delta::Same;
    }
    let there = seen.as_deref().unwrap_or(applied);
    let wanted = keeping_ignored(wanted, there, ignore);
    let counts = |change: &FieldChange| !ignored(&change.field, ignore);
    // Where a host stands is declared nowhere: one that others moved is recorded where it is.
    let stays = |change: &FieldChange| &*change.field == "machine" && machine(there) == machine(&wanted);
    let declared: Vec<FieldChange> =
        applied.changes(&wanted).into_iter().filter(|change| counts(change) && !stays(change)).collect();
    let drifted: Vec<FieldChange> =
        seen.as_deref().map_or_else(Vec::new, |seen| applied.changes(seen).into_iter().filter(counts).collect());
    let fields = there.changes(&wanted);
    let reason = if declared.is_empty() {
        Reason::Drifted { fields: drifted.clone() }
    } else {
        Reason::SpecChanged { fields: declared.clone() }
    };
    let in_cloud: Vec<FieldChange> = fields.into_iter().filter(|change| !only_ours(&change.field)).collect();
    if !in_cloud.is_empty() {
        let how = in_cloud.iter().map(|change| capabilities.change(wanted.kind(), &change.field)).max();
        let how = how.unwrap_or(Change::InPlace);
        return Delta::Change { to: wanted.into_owned(), how, fields: in_cloud, reason };
    }
    if declared.is_empty() && drifted.is_empty() {
        return Delta::Same;
    }
    Delta::Record { to: wanted.into_owned(), reason }
}

fn machine(spec: &Spec) -> Option<&Text> {
    spec.host()?.machine.as_ref()
}

/// Fields that no cloud knows: changing them changes the record alone.
pub(crate) fn only_ours(field: &str) -> bool {
    matches!(field, "on_remove" | "tier" | "root.tier" | "trust")
}

/// What was seen, with the fields that no cloud can tell taken from the record.
fn with_our_fields<'a>(seen: &'a Spec, applied: &Spec) -> Cow<'a, Spec> {
    match (seen, applied) {
        (Spec::Volume(s), Spec::Volume(a)) if s.on_remove != a.on_remove || s.tier != a.tier => {
            Cow::Owned(Spec::Volume(VolumeSpec { on_remove: a.on_remove, tier: a.tier.clone(), ..s.clone() }))
        }
        (Spec::Host(s), Spec::Host(a)) if s.console_keys != a.console_keys || s.root != a.root => {
            let tier = a.root.as_ref().map(|root| &root.tier);
            let root = s.root.clone().map(|disk| RootDisk { tier: tier.unwrap_or(&disk.tier).clone(), ..disk });
            Cow::Owned(Spec::Host(HostSpec { console_keys: a.console_keys, root, ..s.clone() }))
        }
        _ => Cow::Borrowed(seen),
    }
}

/// Whether a field stands in `ignore_changes`, itself or as `tags.*`.
pub(crate) fn ignored(field: &str, ignore: &[Text]) -> bool {
    ignore.iter().any(|pattern| pool_inventory::names::wildcard(pattern, field))
}

/// `wanted`, with the ignored fields as they are in `there`.
fn keeping_ignored<'a>(wanted: &'a Spec, there: &Spec, ignore: &[Text]) -> Cow<'a, Spec> {
    if ignore.is_empty() {
        return Cow::Borrowed(wanted);
    }
    let mut out = wanted.clone();
    for change in there.changes(wanted) {
        if ignored(&change.field, ignore) {
            copy_field(&mut out, there, &change.field);
        }
    }
    Cow::Owned(out)
}

fn copy_field(to: &mut Spec, from: &Spec, field: &str) {
    match (to, from) {
        (Spec::Host(to), Spec::Host(from)) => copy_host_field(to, from, field),
        (Spec::Volume(to), Spec::Volume(from)) => copy_volume_field(to, from, field),
        (Spec::Network(to), Spec::Network(from)) => copy_tag(&mut to.tags, &from.tags, field),
        _ => {}
    }
}

fn copy_host_field(to: &mut HostSpec, from: &HostSpec, field: &str) {
    match field {
        "offering" => to.offering = from.offering.clone(),
        "region" => to.region = from.region.clone(),
        "zone" => to.zone = from.zone.clone(),
        "size.vcpus" => to.size.vcpus = from.size.vcpus,
        "size.memory" => to.size.memory = from.size.memory,
        "size.disk" => to.size.disk = from.size.disk,
        "image" => to.image = from.image.clone(),
        "network" => to.network = from.network.clone(),
        "user" => to.user = from.user.clone(),
        "authorized_keys" => to.authorized_keys = from.authorized_keys.clone(),
        "address" => to.at = from.at.clone(),
        "addresses" => to.address = from.address,
        "public" => to.public = from.public.clone(),
        "apart" => to.apart = from.apart,
        "machine" => to.machine = from.machine.clone(),
        "root" => to.root = from.root.clone(),
        tag => copy_tag(&mut to.tags, &from.tags, tag),
    }
}

fn copy_volume_field(to: &mut VolumeSpec, from: &VolumeSpec, field: &str) {
    match field {
        "tier" => to.tier = from.tier.clone(),
        "backend" => to.backend = from.backend.clone(),
        "zone" => to.zone = from.zone.clone(),
        "size" => to.size = from.size,
        "provisioning" => to.provisioning = from.provisioning,
        "on_remove" => to.on_remove = from.on_remove,
        tag => copy_tag(&mut to.tags, &from.tags, tag),
    }
}

type Tags = std::collections::BTreeMap<Text, Text>;

fn copy_tag(to: &mut Tags, from: &Tags, field: &str) {
    let Some(key) = field.strip_prefix("tags.") else { return };
    match from.get(key) {
        Some(value) => to.insert(key.into(), value.clone()),
        None => to.remove(key),
    };
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use pool_inventory::{Bytes, Kind, TimeSpan, desired::Size};

    use super::*;

    fn host(image: &str, owner: &str) -> Spec {
        Spec::Host(HostSpec {
            offering: "m".into(),
            region: "".into(),
            zone: "z".into(),
            size: Size { vcpus: 1, memory: Bytes::gib(1), disk: Bytes::gib(1) },
            image: image.into(),
            network: None,
            tags: BTreeMap::from([("owner".into(), owner.into())]),
            user: "root".into(),
            authorized_keys: vec![],
            at: None,
            ..HostSpec::default()
        })
    }

    fn capabilities() -> Capabilities {
        let fields = BTreeMap::from([("tags.*".into(), Change::InPlace), ("image".into(), Change::Rebuild)]);
        Capabilities {
            changes: BTreeMap::from([(Kind::Host, fields)]),
            features: BTreeSet::new(),
            creates: true,
            batch: 1,
            visibility_delay: TimeSpan(0),
            doubt: TimeSpan(0),
            patience: pool_inventory::market::PATIENCE,
            calls: 64,
            poll: TimeSpan(0),
            unseen: BTreeMap::new(),
        }
    }

    fn change(delta: Delta) -> Option<(Change, &'static str)> {
        match delta {
            Delta::Same => None,
            Delta::Record { .. } => Some((Change::InPlace, "record")),
            Delta::Change { how, reason: Reason::SpecChanged { .. }, .. } => Some((how, "spec")),
            Delta::Change { how, .. } => Some((how, "drift")),
        }
    }

    #[test]
    fn the_harshest_field_decides() {
        let c = capabilities();
        let (a, tag, both) = (host("11", "a"), host("11", "b"), host("12", "b"));
        assert_eq!(change(compare(&c, &[], &a, Some(&a), &a)), None);
        assert_eq!(change(compare(&c, &[], &a, Some(&a), &tag)), Some((Change::InPlace, "spec")));
        assert_eq!(change(compare(&c, &[], &a, Some(&a), &both)), Some((Change::Rebuild, "spec")));
    }

    #[test]
    fn drift_is_put_right_and_a_change_that_happened_is_only_recorded() {
        let c = capabilities();
        let (a, b) = (host("11", "a"), host("11", "b"));
        assert_eq!(change(compare(&c, &[], &a, Some(&b), &a)), Some((Change::InPlace, "drift")));
        assert_eq!(change(compare(&c, &[], &a, Some(&b), &b)), Some((Change::InPlace, "record")));
    }

    #[test]
    fn ignored_fields_keep_the_value_that_they_have() {
        let c = capabilities();
        let ignore: [Text; 1] = ["tags.owner".into()];
        let (a, b) = (host("11", "a"), host("11", "b"));
        assert_eq!(compare(&c, &ignore, &a, Some(&b), &a), Delta::Same);
        assert_eq!(compare(&c, &ignore, &a, Some(&a), &b), Delta::Same);
        let Delta::Change { to, .. } = compare(&c, &ignore, &a, Some(&b), &host("12", "a")) else {
            panic!("the image differs");
        };
        assert_eq!(to, host("12", "b"), "the update leaves the tag of the cloud alone");
    }
}
