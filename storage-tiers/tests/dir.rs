//! The `dir` backend as its users see it.

use std::{fs, path::Path, process::Command};

use pool_inventory::{
    Address, Bytes, Lineage, Name, Token,
    desired::{OnRemove, Provisioning},
    object::{Attachment, Owner, VolumeSpec},
};
use pool_storage_tiers::{Ask, Capacity, DirBackend, Phase, Source, StorageError, ledger};

fn ask(volume: &str, mib: u64, provisioning: Provisioning) -> Ask {
    let lineage = Lineage::from_bits([1; 16]);
    let address = Address::volume(volume, "data");
    let token = Token::derive(&lineage, &address, 1, 0);
    Ask {
        via: "here".into(),
        name: format!("test-default-{volume}.data").into(),
        owner: Owner { lineage, address, generation: 1, token },
        spec: VolumeSpec {
            tier: Name::new("mid").expect("a name"),
            backend: "ssd-a".into(),
            zone: "".into(),
            size: Bytes::mib(mib),
            provisioning,
            tags: Default::default(),
            attached: None,
            on_remove: OnRemove::Keep,
            from: None,
            existing: None,
        },
    }
}

fn thin(volume: &str, mib: u64) -> Ask {
    ask(volume, mib, Provisioning::Thin)
}

fn backend(dir: &Path, mib: u64) -> DirBackend {
    DirBackend::new("ssd-a".into(), dir.to_owned(), Capacity::Fixed(Bytes::mib(mib)), true)
}

#[test]
fn what_is_handed_out_counts_until_it_is_deleted() {
    let temp = tempfile::tempdir().expect("temp");
    let backend = backend(temp.path(), 100);
    let a = backend.create(&thin("a", 60)).expect("made");
    assert_eq!(backend.create(&thin("a", 60)).expect("the same"), a);
    let full = backend.create(&thin("b", 41)).expect_err("too much");
    assert_eq!(full.to_string(), "backend ssd-a has 40 MiB left, 41 MiB were asked for");
    backend.create(&thin("b", 40)).expect("just fits");
    assert_eq!(backend.offer().expect("offer").allocated, Bytes::mib(100));
    let Source::Dir(path) = backend.source(&a) else { panic!("thin is a directory") };
    fs::write(path.join("file"), "x").expect("written");
    backend.delete(&a.id).expect("deleted");
    assert!(!path.exists());
    assert!(matches!(backend.delete(&a.id), Err(StorageError::NotFound(_))));
    assert_eq!(backend.offer().expect("offer").allocated, Bytes::mib(40));
    assert_eq!(backend.list("here").expect("list").len(), 1);
    assert!(backend.list("there").expect("list").is_empty());
}

#[test]
fn an_attached_volume_is_not_deleted_and_none_gets_smaller() {
    let temp = tempfile::tempdir().expect("temp");
    let backend = backend(temp.path(), 100);
    let a = backend.create(&thin("a", 20)).expect("made");
    let at = |host| Attachment { host: Address::host(host), mount: None };
    assert_eq!(backend.attach(&a.id, &at("a")).expect("attached").spec.attached, Some(at("a")));
    assert!(backend.attach(&a.id, &at("a")).is_ok(), "as it is already");
    assert!(matches!(backend.attach(&a.id, &at("b")), Err(StorageError::Attached(_))), "one host at a time");
    let spec = VolumeSpec { size: Bytes::mib(999), ..a.spec.clone() };
    let noted = backend.note(&a.id, &spec).expect("noted").spec;
    assert_eq!((noted.size, noted.attached), (Bytes::mib(20), Some(at("a"))), "notes change neither");
    assert!(matches!(backend.delete(&a.id), Err(StorageError::Attached(_))));
    assert!(matches!(backend.extend(&a.id, Bytes::mib(10), None), Err(StorageError::Invalid { field: "size", .. })));
    assert!(matches!(backend.extend(&a.id, Bytes::mib(101), None), Err(StorageError::Full { .. })));
    assert_eq!(backend.extend(&a.id, Bytes::mib(100), None).expect("grown").spec.size, Bytes::mib(100));
    backend.detach(&a.id).expect("detached");
    backend.delete(&a.id).expect("deleted");
}

#[test]
fn a_thick_volume_has_its_space_and_grows_offline() {
    let temp = tempfile::tempdir().expect("temp");
    let backend = backend(temp.path(), 200);
    if !backend.offer().expect("offer").provisioning.contains(&Provisioning::Thick) {
        return;
    }
    assert!(matches!(
        backend.create(&ask("s", 1, Provisioning::Thick)),
        Err(StorageError::Invalid { field: "size", .. })
    ));
    let a = backend.create(&ask("a", 32, Provisioning::Thick)).expect("made");
    let Source::Image(path) = backend.source(&a) else { panic!("thick is an image") };
    let blocks = |path: &Path| std::os::unix::fs::MetadataExt::blocks(&fs::metadata(path).expect("there")) * 512;
    assert!(blocks(&path) >= Bytes::mib(32).0, "space is set aside");
    let a = backend.extend(&a.id, Bytes::mib(64), None).expect("grown");
    assert_eq!((a.spec.size, a.growing), (Bytes::mib(64), None));
    assert!(blocks(&path) >= Bytes::mib(64).0);
    let dump = Command::new("/usr/sbin/dumpe2fs").arg("-h").arg(&path).output().expect("ran");
    let text = String::from_utf8_lossy(&dump.stdout).into_owned();
    let number = |key: &str| {
        let line = text.lines().find(|line| line.starts_with(key)).expect("a line");
        line.rsplit(' ').next().expect("a value").parse::<u64>().expect("a number")
    };
    assert_eq!(number("Block count:") * number("Block size:"), Bytes::mib(64).0, "the file system follows");
    backend.delete(&a.id).expect("deleted");
    assert!(!path.exists());
}

#[test]
fn a_crash_at_any_point_leaves_nothing_uncounted_and_loses_no_data() {
    let temp = tempfile::tempdir().expect("temp");
    let backend = backend(temp.path(), 100);
    // Killed while it was made: the line is there, the directory perhaps.
    let a = backend.create(&thin("a", 50)).expect("made");
    let mut open = ledger::open(temp.path()).expect("open");
    open.content.volumes.get_mut(&a.id).expect("there").phase = Phase::Making;
    open.save().expect("saved");
    drop(open);
    assert_eq!(backend.find(&a.owner.token).expect("asked"), None, "nobody has seen it");
    backend.create(&thin("b", 100)).expect("its space is free again");
    let Source::Dir(path) = backend.source(&a) else { panic!("thin is a directory") };
    assert!(!path.exists());

    // Killed while it was deleted: deleting it again ends it.
    let b = backend.find(&thin("b", 0).owner.token).expect("asked").expect("there");
    let mut open = ledger::open(temp.path()).expect("open");
    open.content.volumes.get_mut(&b.id).expect("there").phase = Phase::Deleting;
    open.save().expect("saved");
    drop(open);
    assert!(matches!(backend.create(&thin("c", 1)), Err(StorageError::Full { .. })), "it counts until it is gone");
    backend.delete(&b.id).expect("deleted");
    assert_eq!(backend.offer().expect("offer").allocated, Bytes(0));

    // The ledger was lost: files are named and never overwritten.
    let d = backend.create(&thin("d", 1)).expect("made");
    let Source::Dir(path) = backend.source(&d) else { panic!("thin is a directory") };
    fs::write(path.join("precious"), "x").expect("written");
    fs::remove_file(temp.path().join("ledger.json")).expect("lost");
    assert_eq!(backend.strays().expect("asked"), std::slice::from_ref(&path));
    assert!(matches!(backend.create(&thin("d", 1)), Err(StorageError::Stray(_))));
    assert!(path.join("precious").exists());
}

#[test]
fn a_growth_that_was_cut_off_is_ended_by_the_next_call() {
    let temp = tempfile::tempdir().expect("temp");
    let backend = backend(temp.path(), 100);
    let a = backend.create(&thin("a", 10)).expect("made");
    let mut open = ledger::open(temp.path()).expect("open");
    open.content.volumes.get_mut(&a.id).expect("there").growing = Some(Bytes::mib(80));
    open.save().expect("saved");
    drop(open);
    assert_eq!(backend.get(&a.id).expect("there").spec.size, Bytes::mib(10), "not before it is");
    assert!(matches!(backend.create(&thin("b", 30)), Err(StorageError::Full { .. })), "but it counts");
    let a = backend.extend(&a.id, Bytes::mib(80), None).expect("grown");
    assert_eq!((a.spec.size, a.growing), (Bytes::mib(80), None));
}

#[test]
fn a_ledger_that_is_not_ours_is_refused_and_kept() {
    let temp = tempfile::tempdir().expect("temp");
    let backend = backend(temp.path(), 100);
    for text in ["", "{\"version\":\"2\"}", "{\"version\":\"1\",\"more\":1}"] {
        fs::write(temp.path().join("ledger.json"), text).expect("written");
        assert!(matches!(backend.create(&thin("a", 1)), Err(StorageError::Ledger { .. })), "{text}");
        assert_eq!(fs::read_to_string(temp.path().join("ledger.json")).expect("kept"), text);
    }
}

#[test]
fn a_folder_without_a_declared_capacity_gives_half_of_what_is_free_at_first_use() {
    let temp = tempfile::tempdir().expect("temp");
    let backend = DirBackend::new("here/dir".into(), temp.path().join("dir"), Capacity::HalfOfFree, false);
    assert!(backend.offer().expect("offer").capacity > Bytes(0));
    assert!(!temp.path().join("dir").exists(), "asking touches nothing");
    backend.create(&thin("a", 1)).expect("made");
    let chosen = ledger::read(&temp.path().join("dir")).expect("read").capacity;
    assert_eq!(Some(backend.offer().expect("offer").capacity), chosen);
    let refused = backend.create(&ask("t", 32, Provisioning::Thick));
    assert!(matches!(refused, Err(StorageError::Invalid { field: "provisioning", .. })));
}

/// Set for the processes that the next case starts.
const RACER: &str = "POOL_TEST_RACER";

#[test]
fn many_processes_and_threads_together_never_hand_out_too_much() {
    if let Ok(job) = std::env::var(RACER) {
        let (dir, number) = job.split_once('|').expect("a job");
        race(Path::new(dir), number);
        return;
    }
    let temp = tempfile::tempdir().expect("temp");
    let racers: Vec<_> = (0..8)
        .map(|n| {
            let mut command = Command::new(std::env::current_exe().expect("own path"));
            command.args(["--exact", "many_processes_and_threads_together_never_hand_out_too_much"]);
            command.env(RACER, format!("{}|{n}", temp.path().display()));
            command.stdout(std::process::Stdio::null()).spawn().expect("started")
        })
        .collect();
    for mut racer in racers {
        assert!(racer.wait().expect("ended").success());
    }
    let content = ledger::read(temp.path()).expect("read");
    assert_eq!(content.volumes.len(), 50, "as many as fit");
    assert_eq!(content.allocated(), Bytes::mib(100));
    assert!(backend(temp.path(), 100).strays().expect("asked").is_empty());
    assert_eq!(fs::read_dir(temp.path().join("volumes")).expect("there").count(), 50);
}

fn race(dir: &Path, number: &str) {
    std::thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || {
                for n in 0..5 {
                    match backend(dir, 100).create(&thin(&format!("h{number}-{thread}-{n}"), 2)) {
                        Ok(_) | Err(StorageError::Full { .. }) => {}
                        Err(error) => panic!("{}", error.chain()),
                    }
                }
            });
        }
    });
}
