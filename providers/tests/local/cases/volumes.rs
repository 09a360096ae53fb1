//! Volumes in machines.

use std::fs;

use pool_inventory::{
    Address, Bytes, Kind, Lineage, Name, Token,
    desired::{BackendSpec, OnRemove, Provisioning},
    object::{Attachment, Observed, Owner, Spec, VolumeSpec},
};
use pool_providers::{Act, Progress, Provider, ProviderError, Request, local::LocalProvider};

use crate::bench::{Bench, loops, name};

fn spec(size: Bytes, provisioning: Provisioning) -> VolumeSpec {
    VolumeSpec {
        tier: Name::new("mid").expect("a name"),
        backend: "here/dir".into(),
        zone: "".into(),
        size,
        provisioning,
        tags: Default::default(),
        attached: None,
        on_remove: OnRemove::Keep,
        from: None,
        existing: None,
    }
}

fn at(host: &str) -> Option<Attachment> {
    Some(Attachment { host: Address::host(host), mount: Some("/srv/data".into()) })
}

struct Volumes<'a> {
    bench: &'a Bench,
    provider: LocalProvider,
}

impl Volumes<'_> {
    fn submit(&self, act: Act) -> Result<Progress, ProviderError> {
        let lineage = Lineage::from_bits([7; 16]);
        let address = Address::volume("web-0", "data");
        let token = Token::derive(&lineage, &address, 1, 0);
        let owner = Owner { lineage, address, generation: 1, token };
        self.bench.submit(&self.provider, Request { owner, name: "test-default-web-0.data".into(), act })
    }

    fn done(&self, act: Act) -> Observed {
        match self.submit(act) {
            Ok(Progress::Done(volume)) => *volume,
            other => panic!("{other:?}"),
        }
    }

    fn update(&self, volume: &Observed, to: VolumeSpec, host: Option<&Observed>) -> Act {
        Act::Update { id: volume.id.clone(), to: Spec::Volume(to), host: host.map(|host| host.id.clone()) }
    }

    fn delete(&self, volume: &Observed) -> Result<Progress, ProviderError> {
        self.submit(Act::Delete { id: volume.id.clone(), kind: Kind::Volume })
    }

    fn listed(&self) -> Vec<Observed> {
        self.bench.runtime.block_on(self.provider.list(Kind::Volume, None)).expect("listed").objects
    }
}

fn open(bench: &Bench) -> Volumes<'_> {
    Volumes { bench, provider: bench.open() }
}

/// Attached to a running machine, kept over a power cycle, moved to another one.
pub fn thin(bench: &Bench) {
    let all = open(bench);
    let (a, b) = (bench.create(&all.provider, "web-0"), bench.create(&all.provider, "web-1"));
    let thin = |attached| VolumeSpec { attached, ..spec(Bytes::mib(64), Provisioning::Thin) };
    let volume = all.done(Act::Create(Spec::Volume(thin(at("web-0")))));
    assert_eq!(volume.spec, Spec::Volume(thin(None)), "made detached");
    assert_eq!(all.done(Act::Create(Spec::Volume(thin(None)))), volume, "one token, one volume");
    let market = bench.runtime.block_on(all.provider.market()).expect("market");
    assert_eq!(market.backends[0].allocated, Bytes::mib(64));

    let attached = all.done(all.update(&volume, thin(at("web-0")), Some(&a)));
    assert_eq!(attached.spec, Spec::Volume(thin(at("web-0"))));
    assert_eq!(all.done(all.update(&volume, thin(at("web-0")), Some(&a))), attached, "attached already");
    bench.output(&a, "echo precious > /srv/data/file");
    for on in [false, true] {
        bench.done(&all.provider, "web-0", Act::Power { id: a.id.clone(), on });
    }
    assert_eq!(bench.output(&a, "cat /srv/data/file; grep -c ' /srv/data ' /proc/mounts"), "precious\n1");
    assert!(matches!(all.delete(&volume), Err(ProviderError::Conflict(_))), "it is attached");

    let larger = VolumeSpec { size: Bytes::mib(128), ..thin(at("web-1")) };
    let moved = all.done(all.update(&volume, larger.clone(), Some(&b)));
    assert_eq!(moved.spec, Spec::Volume(larger.clone()));
    assert_eq!(bench.output(&b, "cat /srv/data/file"), "precious");
    assert_eq!(bench.output(&a, "ls /srv/data"), "");
    let smaller = VolumeSpec { attached: at("web-1"), ..thin(None) };
    assert!(matches!(all.submit(all.update(&volume, smaller, Some(&b))), Err(ProviderError::Invalid { .. })));

    // With the machine goes the attachment, not the data.
    bench.delete(&all.provider, &b);
    assert_eq!(all.listed()[0].spec, Spec::Volume(VolumeSpec { attached: None, ..larger.clone() }));
    let back = VolumeSpec { attached: at("web-0"), ..larger.clone() };
    all.done(all.update(&volume, back, Some(&a)));
    assert_eq!(bench.output(&a, "cat /srv/data/file"), "precious");
    all.done(all.update(&volume, VolumeSpec { attached: None, ..larger }, None));
    assert_eq!(all.delete(&volume), Ok(Progress::Gone));
    assert!(matches!(all.delete(&volume), Err(ProviderError::NotFound(_))));
    assert!(all.listed().is_empty());
    bench.delete(&all.provider, &a);
}

/// A process in the machine has a file open.
pub fn busy(bench: &Bench) {
    let all = open(bench);
    let a = bench.create(&all.provider, "web-0");
    let thin = |attached| VolumeSpec { attached, ..spec(Bytes::mib(64), Provisioning::Thin) };
    let volume = all.done(Act::Create(Spec::Volume(thin(None))));
    all.done(all.update(&volume, thin(at("web-0")), Some(&a)));
    let hold = "nohup sh -c 'echo $$ > /root/pid; exec sleep 7001 > /srv/data/open' >/dev/null 2>&1 &";
    bench.output(&a, &format!("{hold} until [ -e /srv/data/open ]; do sleep 0.02; done"));
    let refused = all.submit(all.update(&volume, thin(None), Some(&a)));
    assert!(matches!(refused, Err(ProviderError::Conflict(_))), "{refused:?}");
    assert_eq!(all.listed()[0].spec, Spec::Volume(thin(at("web-0"))), "still attached");
    bench.output(&a, "kill $(cat /root/pid); while [ -e /proc/$(cat /root/pid) ]; do sleep 0.02; done");
    all.done(all.update(&volume, thin(None), Some(&a)));
    assert_eq!(all.delete(&volume), Ok(Progress::Gone));
    bench.delete(&all.provider, &a);
}

/// Killed between the notes of the backend and those of the machine.
pub fn cut_off(bench: &Bench) {
    let all = open(bench);
    let a = bench.create(&all.provider, "web-0");
    let thin = |attached| VolumeSpec { attached, ..spec(Bytes::mib(64), Provisioning::Thin) };
    let volume = all.done(Act::Create(Spec::Volume(thin(None))));
    all.done(all.update(&volume, thin(at("web-0")), Some(&a)));
    let notes = bench.dir.join("machines").join(&*a.id).join("machine.json");
    let forget = || {
        let text = fs::read(&notes).expect("notes");
        let mut value: serde_json::Value = serde_json::from_slice(&text).expect("notes");
        value["volumes"] = serde_json::json!({});
        fs::write(&notes, serde_json::to_vec(&value).expect("notes")).expect("written");
    };
    forget();
    assert_eq!(all.listed()[0].spec, Spec::Volume(thin(None)), "not attached before all is done");
    all.done(all.update(&volume, thin(at("web-0")), Some(&a)));
    assert_eq!(bench.output(&a, "grep -c ' /srv/data ' /proc/mounts"), "1", "once");
    forget();
    assert_eq!(all.delete(&volume), Ok(Progress::Gone), "what is shown as detached can be deleted");
    assert_eq!(bench.output(&a, "grep -c ' /srv/data ' /proc/mounts || true"), "0");
    bench.delete(&all.provider, &a);
}

/// `pool` is killed while it deletes a volume: whoever looks next ends it, and its space is free.
pub fn half_deleted(bench: &Bench) {
    let all = open(bench);
    let half_deleted = || {
        let volume = all.done(Act::Create(Spec::Volume(spec(Bytes::mib(64), Provisioning::Thin))));
        let ledger = bench.dir.join("dir/ledger.json");
        let mut value: serde_json::Value = serde_json::from_slice(&fs::read(&ledger).expect("read")).expect("a ledger");
        value["volumes"][&*volume.id]["phase"] = "deleting".into();
        fs::write(&ledger, serde_json::to_vec(&value).expect("a ledger")).expect("written");
        volume
    };
    let gone = |volume: &Observed| {
        assert!(!bench.dir.join("dir/volumes").join(&*volume.id).exists());
        let market = bench.runtime.block_on(all.provider.market()).expect("market");
        assert_eq!(market.backends[0].allocated, Bytes(0));
    };
    let volume = half_deleted();
    assert_eq!(all.listed(), []);
    gone(&volume);
    let volume = half_deleted();
    let token = &volume.owner.as_ref().expect("ours").token;
    assert_eq!(bench.runtime.block_on(all.provider.find(token)), Ok(None));
    gone(&volume);
}

/// An image with a file system, from a declared backend.
pub fn thick(bench: &Bench) {
    let mut bench_backends = std::collections::BTreeMap::new();
    let path = bench.dir.with_file_name("declared");
    bench_backends
        .insert(name("ssd-a"), BackendSpec { path: path.to_string_lossy().into(), capacity: Bytes::mib(200) });
    let all = Volumes { bench, provider: bench.open_with(&bench_backends) };
    let devices = || loops(&path).len();
    let a = bench.create(&all.provider, "web-0");
    let thick =
        |attached, mib| VolumeSpec { attached, backend: "ssd-a".into(), ..spec(Bytes::mib(mib), Provisioning::Thick) };
    let over = all.submit(Act::Create(Spec::Volume(thick(None, 201))));
    assert!(matches!(over, Err(ProviderError::NoCapacity(_))), "{over:?}");
    let volume = all.done(Act::Create(Spec::Volume(thick(None, 40))));
    all.done(all.update(&volume, thick(at("web-0"), 40), Some(&a)));
    assert_eq!(devices(), 1);
    let fill = "dd if=/dev/zero of=/srv/data/big bs=1M count=60 2>/dev/null; stat -c %s /srv/data/big";
    let filled: u64 = bench.output(&a, fill).parse().expect("a size");
    assert!(filled < Bytes::mib(40).0, "the size is enforced: {filled}");
    let grown = all.done(all.update(&volume, thick(at("web-0"), 100), Some(&a)));
    assert_eq!(grown.spec, Spec::Volume(thick(at("web-0"), 100)));
    assert_eq!(bench.output(&a, fill), Bytes::mib(60).0.to_string(), "it grew while it was mounted");
    bench.output(&a, "sync; ls /dev/loop* 2>/dev/null | wc -l | grep -x 0");
    for on in [false, true] {
        bench.done(&all.provider, "web-0", Act::Power { id: a.id.clone(), on });
        assert_eq!(devices(), usize::from(on));
    }
    assert_eq!(bench.output(&a, "stat -c %s /srv/data/big"), Bytes::mib(60).0.to_string());
    // Grown while the machine is off.
    bench.done(&all.provider, "web-0", Act::Power { id: a.id.clone(), on: false });
    all.done(all.update(&volume, thick(at("web-0"), 150), Some(&a)));
    bench.done(&all.provider, "web-0", Act::Power { id: a.id.clone(), on: true });
    let blocks: u64 = bench.output(&a, "df -B1M --output=size /srv/data | tail -1").parse().expect("a size");
    assert!(blocks > 120, "{blocks}");
    all.done(all.update(&volume, thick(None, 150), Some(&a)));
    assert_eq!(devices(), 0);
    assert_eq!(all.delete(&volume), Ok(Progress::Gone));
    bench.delete(&all.provider, &a);
}
