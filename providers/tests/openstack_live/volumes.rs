//! Volumes and their copies: made, seen as they were asked for, changed in place, filled again, deleted.
//!
//! Where `POOL_TEST_CINDER` names the folder in which the cloud keeps volumes as files, what is in them is compared too.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Write},
    path::PathBuf,
};

use pool_inventory::{
    Address, Bytes, Kind, Name, Text,
    desired::{OnRemove, Provisioning},
    object::{Attachment, CopySpec, NetworkSpec, Observed, Spec, VolumeSpec},
};
use pool_providers::{Act, Provider, ProviderError};

use crate::bench::{Bench, list};

const GIB: u64 = 1 << 30;

fn volume(tier: &str, gib: u64) -> VolumeSpec {
    VolumeSpec {
        tier: Name::new(tier).expect("a name"),
        backend: format!("private/{tier}").into(),
        zone: "az2".into(),
        size: Bytes(gib * GIB),
        provisioning: Provisioning::Thin,
        tags: [("owner".into(), "ann".into())].into(),
        attached: None,
        on_remove: OnRemove::Keep,
        from: None,
        existing: None,
    }
}

fn copy(of: &Address, gib: u64) -> CopySpec {
    let tags = [("why".into(), "upgrade".into())].into();
    let (tier, backend) = (Name::new("gold").expect("a name"), "private/gold".into());
    CopySpec { of: of.clone(), tier, backend, size: Bytes(gib * GIB), tags }
}

/// The file that holds a volume's bytes.
fn file(id: &Text) -> Option<PathBuf> {
    let root = PathBuf::from(std::env::var_os("POOL_TEST_CINDER")?);
    let folders = std::fs::read_dir(root).expect("a folder").map(|entry| entry.expect("an entry").path());
    let all = folders.filter(|path| path.is_dir()).flat_map(|dir| std::fs::read_dir(dir).expect("a folder"));
    let found = all.map(|entry| entry.expect("an entry").path()).find(|path| path.to_string_lossy().contains(&**id));
    Some(found.unwrap_or_else(|| panic!("no file holds volume {id}")))
}

fn write(id: &Text, text: &str) {
    if let Some(path) = file(id) {
        let mut file = OpenOptions::new().write(true).open(path).expect("a volume's file");
        file.write_all(text.as_bytes()).expect("bytes");
    }
}

fn holds(id: &Text, text: &str) {
    if let Some(path) = file(id) {
        let mut bytes = vec![0; text.len()];
        File::open(path).expect("a volume's file").read_exact(&mut bytes).expect("bytes");
        assert_eq!(String::from_utf8_lossy(&bytes), text, "{id}");
    }
}

async fn gone(bench: &Bench, made: &[(&Address, &Observed)]) {
    for (address, object) in made {
        bench.delete(address, &object.id).await;
    }
}

#[tokio::test]
async fn a_volume_grows_and_changes_its_type() {
    let bench = Bench::new("stor-v");
    let address = Address::volume("web-1", "data");
    let mut wanted = volume("gold", 1);
    let made = bench.counted("create a volume", bench.create(&address, Spec::Volume(wanted.clone()))).await;
    bench.counted("list volumes", bench.settled(&address, &Spec::Volume(wanted.clone()))).await;
    let again = bench.counted("create it again", bench.create(&address, Spec::Volume(wanted.clone()))).await;
    assert_eq!(again.id, made.id);
    let found = bench.counted("find it", bench.provider.find(&bench.owner(address.clone(), 0).token)).await;
    assert_eq!(found.expect("an answer").map(|found| found.id), Some(made.id.clone()));
    write(&made.id, "kept over growth and retype");

    wanted.size = Bytes(2 * GIB);
    (wanted.tier, wanted.backend) = (Name::new("bronze").expect("a name"), "private/bronze".into());
    wanted.tags.insert("owner".into(), "bob".into());
    let to = Spec::Volume(VolumeSpec { tier: Name::new("gold").expect("a name"), ..wanted.clone() });
    bench.counted("extend, retype and label", bench.update(&address, &made.id, to.clone(), None)).await;
    bench.settled(&address, &to).await;
    bench.counted("change nothing", bench.update(&address, &made.id, to.clone(), None)).await;
    holds(&made.id, "kept over growth and retype");

    wanted.size = Bytes(GIB);
    let shrink = bench.act(&address, Act::Update { id: made.id.clone(), to: Spec::Volume(wanted), host: None }).await;
    assert!(matches!(&shrink, Err(ProviderError::Invalid { field, .. }) if &**field == "size"), "{shrink:?}");
    bench.counted("delete a volume", bench.delete(&address, &made.id)).await;
    let gone = bench.act(&address, Act::Delete { id: made.id, kind: Kind::Volume }).await;
    assert!(matches!(gone, Err(ProviderError::NotFound(_))), "{gone:?}");
}

#[tokio::test]
async fn snapshots_and_backups_carry_what_was_there() {
    let bench = Bench::new("stor-s");
    let address = Address::volume("web-1", "data");
    let made = bench.create(&address, Spec::Volume(volume("gold", 1))).await;
    write(&made.id, "first");
    let (snap, back) = (Address::copy_of(Kind::Snapshot, &address, "a"), Address::copy_of(Kind::Backup, &address, "b"));
    let (snap_spec, back_spec) = (Spec::Snapshot(copy(&address, 1)), Spec::Backup(copy(&address, 1)));
    let snapshot = bench.counted("create a snapshot", bench.create(&snap, snap_spec.clone())).await;
    let backup = bench.counted("create a backup", bench.create(&back, back_spec.clone())).await;
    assert_eq!(bench.counted("create it again", bench.create(&back, back_spec.clone())).await.id, backup.id);
    bench.settled(&snap, &snap_spec).await;
    bench.settled(&back, &back_spec).await;
    for (address, spec, id) in [(&snap, snap_spec, &snapshot.id), (&back, back_spec, &backup.id)] {
        let mut spec = spec;
        if let Spec::Snapshot(copy) | Spec::Backup(copy) = &mut spec {
            copy.tags.insert("why".into(), "audit".into());
        }
        bench.counted("label a copy", bench.update(address, id, spec.clone(), None)).await;
        bench.settled(address, &spec).await;
    }

    let refused = bench.act(&address, Act::Delete { id: made.id.clone(), kind: Kind::Volume }).await;
    assert!(
        matches!(&refused, Err(ProviderError::Conflict(text)) if text.contains("stor-s-web-1.data.a")),
        "{refused:?}"
    );
    // A volume with snapshots cannot move here, and Cinder only says so by not doing it.
    let to = Spec::Volume(VolumeSpec { backend: "private/bronze".into(), ..volume("gold", 1) });
    let refused = bench.act(&address, Act::Update { id: made.id.clone(), to, host: None }).await;
    assert!(matches!(&refused, Err(ProviderError::Other(text)) if text.contains("stayed of type gold")), "{refused:?}");

    write(&made.id, "other");
    let restore = |from: &Text, kind| Act::Restore { id: made.id.clone(), from: from.clone(), kind };
    bench.counted("revert", bench.act(&address, restore(&snapshot.id, Kind::Snapshot))).await.expect("reverted");
    holds(&made.id, "first");
    write(&made.id, "other");
    bench.counted("restore", bench.act(&address, restore(&backup.id, Kind::Backup))).await.expect("restored");
    holds(&made.id, "first");

    let mut others = Vec::new();
    for (n, from) in [&address, &snap, &back].into_iter().enumerate() {
        let other = Address::volume(&format!("web-{}", n + 2), "data");
        let spec = VolumeSpec { from: Some(from.clone()), ..volume("gold", 1) };
        let clone = bench.counted(&format!("create from {from}"), bench.create(&other, Spec::Volume(spec))).await;
        holds(&clone.id, "first");
        others.push((other, clone));
    }
    let nothing = VolumeSpec { from: Some(Address::volume("web-9", "data")), ..volume("gold", 1) };
    let refused = bench.act(&Address::volume("web-8", "data"), Act::Create(Spec::Volume(nothing))).await;
    assert!(matches!(&refused, Err(ProviderError::Invalid { field, .. }) if &**field == "from"), "{refused:?}");
    gone(&bench, &others.iter().map(|(address, made)| (address, made)).collect::<Vec<_>>()).await;
    gone(&bench, &[(&back, &backup), (&snap, &snapshot), (&address, &made)]).await;
    for kind in [Kind::Volume, Kind::Snapshot, Kind::Backup] {
        assert_eq!(bench.ours(kind).await, []);
    }
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_before_it_is_asked_for() {
    let bench = Bench::new("stor-x");
    let address = Address::volume("web-1", "data");
    let create = |spec: VolumeSpec| bench.act(&address, Act::Create(Spec::Volume(spec)));
    for (field, spec) in [
        ("size", VolumeSpec { size: Bytes(GIB + 1), ..volume("gold", 1) }),
        ("backend", VolumeSpec { backend: "gold".into(), ..volume("gold", 1) }),
        ("backend", volume("platinum", 1)),
    ] {
        let refused = create(spec).await;
        assert!(matches!(&refused, Err(ProviderError::Invalid { field: f, .. }) if &**f == field), "{refused:?}");
    }
    assert_eq!(bench.ours(Kind::Volume).await, []);
}

#[tokio::test]
async fn a_volume_in_use_moves_and_changes() {
    let bench = Bench::new("stor-h");
    let network = Address::network("front");
    let range = "10.205.0.0/24".parse().expect("a range");
    let front = bench.create(&network, Spec::Network(NetworkSpec::new(range))).await;
    let (one, two) = (Address::host("web-1"), Address::host("web-2"));
    let host = || Spec::Host(crate::conformance::host());
    let (first, second) = tokio::join!(bench.create(&one, host()), bench.create(&two, host()));

    let address = Address::volume("web-1", "data");
    let mut wanted = volume("gold", 1);
    let made = bench.create(&address, Spec::Volume(wanted.clone())).await;
    write(&made.id, "kept in use");
    let at = |host: &Address| Some(Attachment { host: host.clone(), mount: None });
    wanted.attached = at(&one);
    let to = Spec::Volume(wanted.clone());
    bench.counted("attach", bench.update(&address, &made.id, to.clone(), Some(first.id.clone()))).await;
    bench.settled(&address, &to).await;
    let seen = list(&bench.another(), Kind::Volume).await.into_iter().find(|volume| volume.id == made.id);
    assert_eq!(seen.expect("a volume").spec.changes(&to), []);
    let refused =
        bench.act(&address, Act::Restore { id: made.id.clone(), from: made.id.clone(), kind: Kind::Snapshot });
    let refused = refused.await;
    assert!(matches!(&refused, Err(ProviderError::Invalid { field, .. }) if &**field == "attached"), "{refused:?}");

    (wanted.size, wanted.backend) = (Bytes(2 * GIB), "private/bronze".into());
    let to = Spec::Volume(wanted.clone());
    let grow = bench.update(&address, &made.id, to.clone(), Some(first.id.clone()));
    bench.counted("extend and retype in use", grow).await;
    bench.settled(&address, &to).await;
    holds(&made.id, "kept in use");

    wanted.attached = at(&two);
    let to = Spec::Volume(wanted.clone());
    bench.counted("to another host", bench.update(&address, &made.id, to.clone(), Some(second.id.clone()))).await;
    bench.settled(&address, &to).await;
    let refused = bench.act(&address, Act::Delete { id: made.id.clone(), kind: Kind::Volume }).await;
    assert!(matches!(&refused, Err(ProviderError::Conflict(_))), "{refused:?}");
    let refused = bench.act(&network, Act::Delete { id: front.id.clone(), kind: Kind::Network }).await;
    assert!(matches!(&refused, Err(ProviderError::Conflict(text)) if text.contains(&*first.id)), "{refused:?}");

    wanted.attached = None;
    let to = Spec::Volume(wanted.clone());
    bench.counted("detach", bench.update(&address, &made.id, to.clone(), Some(second.id.clone()))).await;
    bench.settled(&address, &to).await;
    holds(&made.id, "kept in use");
    tokio::join!(bench.delete(&one, &first.id), bench.delete(&two, &second.id));
    gone(&bench, &[(&address, &made), (&network, &front)]).await;
}
