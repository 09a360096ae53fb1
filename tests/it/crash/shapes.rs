//! Ways through the life of an inventory that are disturbed.

/// What is applied undisturbed first, and what is disturbed then.
pub struct Shape {
    pub name: &'static str,
    pub before: Option<&'static str>,
    /// What is done undisturbed before, beside the apply.
    pub prepare: &'static [&'static str],
    pub during: &'static str,
    pub arguments: &'static [&'static str],
    /// What makes it whole; none: the same again.
    pub again: Option<&'static [&'static str]>,
    /// Hosts and volumes that are there at the end.
    pub live: (usize, usize),
    /// What it ends with where nothing kills it.
    pub code: i32,
    /// Every which point a test of minutes tries.
    pub stride: usize,
}

impl Shape {
    const fn new(name: &'static str, before: Option<&'static str>, during: &'static str, live: (usize, usize)) -> Self {
        Self { name, before, prepare: &[], during, arguments: &["apply"], again: None, live, code: 0, stride: 3 }
    }

    /// Everything goes.
    const fn destroy(self) -> Self {
        Self { arguments: &["destroy"], live: (0, 0), ..self }
    }

    /// Many points, most of them alike.
    const fn long(self, stride: usize) -> Self {
        Self { stride, ..self }
    }

    /// Something that is asked for by name: after a power cut it may be done or not, and an apply finds out.
    const fn errand(name: &'static str, prepare: &'static [&'static str], arguments: &'static [&'static str]) -> Self {
        let again: Option<&[&str]> = Some(&["apply"]);
        Self { prepare, arguments, again, ..Self::new(name, Some(SMALL), SMALL, (3, 3)) }
    }

    /// Whether there are snapshots or backups in it.
    pub fn has_copies(&self) -> bool {
        !self.prepare.is_empty() || self.again.is_some()
    }
}

pub const SMALL: &str = "version: 1\nname: crash\nproviders: { cloud: { type: sim } }\n\
    tiers: { fast: { backends: [cloud/fast] } }\n\
    pools:\n  web: { hosts: 3, size: { vcpus: 2, memory: 4GiB, disk: 20GiB }, image: debian-12,\n    \
    volumes: { data: { size: 10GiB, tier: fast, mount: /data, on_remove: delete } },\n    \
    bootstrap: { files: { /etc/motd: { content: hello } } } }\n";

const GROWN: &str = "version: 1\nname: crash\nproviders: { cloud: { type: sim } }\n\
    tiers: { fast: { backends: [cloud/fast] } }\n\
    policy: { max_destroyed: 100%, max_replaced: 100% }\n\
    pools:\n  web: { hosts: 2, size: { vcpus: 4, memory: 8GiB, disk: 20GiB }, image: ubuntu-24-04,\n    \
    volumes: { data: { size: 20GiB, tier: fast, mount: /data, on_remove: delete } },\n    \
    bootstrap: { files: { /etc/motd: { content: changed } } } }\n";

const SLOW: &str = "version: 1\nname: crash\n\
    providers: { cloud: { type: sim, boot: 20s, latency: 10ms, visibility: 200ms, page: 2 } }\n\
    tiers: { fast: { backends: [cloud/fast] } }\n\
    pools:\n  web: { hosts: 2, size: { vcpus: 2, memory: 4GiB, disk: 20GiB }, image: debian-12,\n    \
    volumes: { data: { size: 10GiB, tier: fast, on_remove: delete } } }\n";

/// The last of its volumes cannot be attached, once.
const FAILING: &str = "version: 1\nname: crash\nproviders:\n  cloud:\n    type: sim\n    \
    faults: [{ on: update, address: volume/web-2.data, nth: 1, error: quota-exceeded }]\n\
    tiers: { fast: { backends: [cloud/fast] } }\n\
    pools:\n  web: { hosts: 3, size: { vcpus: 2, memory: 4GiB, disk: 20GiB }, image: debian-12,\n    \
    volumes: { data: { size: 10GiB, tier: fast, mount: /data, on_remove: delete } } }\n";

const WIDE: &str = "version: 1\nname: crash\nproviders: { cloud: { type: sim } }\n\
    tiers: { fast: { backends: [cloud/fast] } }\n\
    pools:\n  web: { hosts: 24, size: { vcpus: 2, memory: 4GiB, disk: 20GiB }, image: debian-12,\n    \
    volumes: { data: { size: 10GiB, tier: fast, mount: /data, on_remove: delete } },\n    \
    bootstrap: { files: { /etc/motd: { content: hello } } } }\n";

/// One object a call, so that there are many calls.
const LONG: &str = "version: 1\nname: crash\nproviders: { cloud: { type: sim, page: 1 } }\n\
    tiers: { fast: { backends: [cloud/fast] } }\n\
    policy: { max_destroyed: 100%, max_replaced: 100% }\n\
    pools:\n  web: { hosts: 64, size: { vcpus: 2, memory: 4GiB, disk: 20GiB }, image: debian-12,\n    \
    volumes: { data: { size: 10GiB, tier: fast, mount: /data, on_remove: delete } } }\n";

const LONG_OTHER: &str = "version: 1\nname: crash\nproviders: { cloud: { type: sim, page: 1 } }\n\
    tiers: { fast: { backends: [cloud/fast] } }\n\
    policy: { max_destroyed: 100%, max_replaced: 100% }\n\
    pools:\n  web: { hosts: 64, size: { vcpus: 4, memory: 8GiB, disk: 20GiB }, image: debian-12,\n    \
    volumes: { data: { size: 11GiB, tier: fast, mount: /data, on_remove: delete } } }\n";

const CLOUDS: &str = "version: 1\nname: crash\n\
    providers: { east: { type: sim, page: 1, boot: 5s }, west: { type: sim, page: 3, visibility: 50ms }, \
    north: { type: sim } }\n\
    networks: { front: { cidr: 10.1.0.0/24, on: [east], ingress: { web: { from: any, port: 443 } } },\n  \
    back: { cidr: 10.2.0.0/24, on: [west] } }\n\
    tiers: { fast: { backends: [east/fast, west/fast, north/fast] } }\n\
    policy: { max_destroyed: 100%, max_replaced: 100% }\n\
    pools:\n  web: { hosts: 5, size: { vcpus: 2, memory: 4GiB, disk: 20GiB }, image: debian-12, network: front,\n    \
    place: { on: [east], spread: zone }, bootstrap: { files: { /etc/motd: { content: hello } } } }\n  \
    db: { hosts: 4, size: { vcpus: 2, memory: 4GiB, disk: 20GiB }, image: debian-12, network: back,\n    \
    place: { on: [west] }, volumes: { data: { size: 10GiB, tier: fast, mount: /data, on_remove: delete },\n    \
    log: { size: 1GiB, tier: fast, mount: /log, on_remove: delete } } }\n  \
    misc: { hosts: 3, size: { vcpus: 1, memory: 2GiB, disk: 20GiB }, image: debian-11, place: { on: [north] } }\n";

/// A rule, a size, an image and a place change; a pool and its network go; another pool comes.
const CLOUDS_LATER: &str = "version: 1\nname: crash\n\
    providers: { east: { type: sim, page: 1, boot: 5s }, west: { type: sim, page: 3, visibility: 50ms }, \
    north: { type: sim } }\n\
    networks: { front: { cidr: 10.1.0.0/24, on: [east], ingress: { web: { from: any, port: 80 } } } }\n\
    tiers: { fast: { backends: [east/fast, west/fast, north/fast] } }\n\
    policy: { max_destroyed: 100%, max_replaced: 100% }\n\
    pools:\n  web: { hosts: 5, size: { vcpus: 4, memory: 8GiB, disk: 20GiB }, image: debian-12, network: front,\n    \
    place: { on: [east], spread: zone }, bootstrap: { files: { /etc/motd: { content: changed } } } }\n  \
    misc: { hosts: 3, size: { vcpus: 1, memory: 2GiB, disk: 20GiB }, image: debian-11, place: { on: [west] } }\n  \
    new: { hosts: 2, size: { vcpus: 1, memory: 2GiB, disk: 20GiB }, image: debian-12, network: front,\n    \
    place: { on: [east] }, volumes: { data: { size: 5GiB, tier: fast, mount: /data, on_remove: delete } } }\n";

const IMAGES: &str = "version: 1\nname: crash\nproviders: { cloud: { type: sim, page: 1, boot: 30s } }\n\
    tiers: { fast: { backends: [cloud/fast] } }\n\
    policy: { max_destroyed: 100%, max_replaced: 100% }\n\
    pools:\n  web: { hosts: 16, size: { vcpus: 2, memory: 4GiB, disk: 20GiB }, image: debian-11,\n    \
    volumes: { data: { size: 10GiB, tier: fast, mount: /data, on_remove: delete } },\n    \
    bootstrap: { files: { /etc/motd: { content: hello } } } }\n";

const IMAGES_LATER: &str = "version: 1\nname: crash\nproviders: { cloud: { type: sim, page: 1, boot: 30s } }\n\
    tiers: { fast: { backends: [cloud/fast] } }\n\
    policy: { max_destroyed: 100%, max_replaced: 100% }\n\
    pools:\n  web: { hosts: 16, size: { vcpus: 2, memory: 4GiB, disk: 20GiB }, image: debian-12,\n    \
    volumes: { data: { size: 10GiB, tier: fast, mount: /data, on_remove: delete } },\n    \
    bootstrap: { files: { /etc/motd: { content: hello } } } }\n";

/// Replies are lost, calls fail, places are out.
const FAULTS: &str = "version: 1\nname: crash\nproviders:\n  cloud: { type: sim, page: 2, faults: [\n    \
    { on: create, rate: 30%, error: lost-reply }, { on: update, rate: 20%, error: lost-reply },\n    \
    { on: create, address: host/web-5, nth: 1, error: no-capacity }, { on: delete, rate: 20%, error: lost-reply }] }\n\
    tiers: { fast: { backends: [cloud/fast] } }\n\
    pools:\n  web: { hosts: 12, size: { vcpus: 2, memory: 4GiB, disk: 20GiB }, image: debian-12,\n    \
    volumes: { data: { size: 10GiB, tier: fast, mount: /data, on_remove: delete } } }\n";

const SNAPSHOT: &[&str] = &["volume", "snapshot", "volume/web-*.data", "one"];
const BACKUP: &[&str] = &["volume", "backup", "volume/web-*.data", "two"];

/// A Kubernetes cluster and a swarm.
const CLUSTERS: &str = "version: 1\nname: crash\nproviders: { cloud: { type: sim } }\n\
    policy: { max_destroyed: 100%, max_replaced: 100% }\n\
    clusters:\n  kube: { type: kubernetes, version: \"1.33.6\", control_plane: master, workers: [web], endpoint: api.example.net,\n    \
    pod_network: { type: flannel, cidr: 10.244.0.0/16, manifest: flannel.yml } }\n  \
    tools: { type: swarm, managers: boss }\n\
    pools:\n  master: { hosts: 2, size: { vcpus: 2, memory: 4GiB, disk: 20GiB }, image: debian-12 }\n  \
    web: { hosts: 2, size: { vcpus: 2, memory: 4GiB, disk: 20GiB }, image: debian-12 }\n  \
    boss: { hosts: 1, size: { vcpus: 2, memory: 4GiB, disk: 20GiB }, image: debian-12 }\n";

/// Another release, labels, one worker and the swarm gone.
const CLUSTERS_LATER: &str = "version: 1\nname: crash\nproviders: { cloud: { type: sim } }\n\
    policy: { max_destroyed: 100%, max_replaced: 100% }\n\
    clusters:\n  kube: { type: kubernetes, version: \"1.34.4\", control_plane: master, workers: [web], endpoint: api.example.net,\n    \
    pod_network: { type: flannel, cidr: 10.244.0.0/16, manifest: flannel.yml }, labels: { web: { tier: front } } }\n\
    pools:\n  master: { hosts: 3, size: { vcpus: 2, memory: 4GiB, disk: 20GiB }, image: debian-12 }\n  \
    web: { hosts: 1, size: { vcpus: 2, memory: 4GiB, disk: 20GiB }, image: debian-12 }\n  \
    boss: { hosts: 1, size: { vcpus: 2, memory: 4GiB, disk: 20GiB }, image: debian-12 }\n";

pub const SHAPES: [Shape; 28] = [
    Shape::new("create", None, SMALL, (3, 3)),
    Shape::new("change", Some(SMALL), GROWN, (2, 2)),
    Shape::new("destroy", Some(SMALL), SMALL, (0, 0)).destroy(),
    Shape::new("slow cloud", None, SLOW, (2, 2)),
    Shape {
        arguments: &["apply", "--on-failure", "undo"],
        again: Some(&["apply"]),
        code: 1,
        ..Shape::new("undo", None, FAILING, (3, 3))
    },
    Shape::new("wide create", None, WIDE, (24, 24)).long(17),
    Shape::new("wide destroy", Some(WIDE), WIDE, (0, 0)).destroy().long(17),
    Shape::errand("snapshot", &[], SNAPSHOT),
    Shape::errand("backup", &[], BACKUP),
    Shape::errand("restore", SNAPSHOT, &["volume", "restore", "snapshot/web-1.data.one"]),
    Shape::errand("restore a backup", BACKUP, &["volume", "restore", "backup/web-2.data.two"]),
    Shape::errand("delete a copy", SNAPSHOT, &["volume", "delete", "snapshot/web-1.data.one"]),
    Shape::errand("stop", &[], &["host", "stop", "web-0", "web-2"]),
    Shape::errand("restart", &[], &["host", "restart", "web-0", "web-1"]),
    Shape { prepare: SNAPSHOT, ..Shape::new("destroy with copies", Some(SMALL), SMALL, (0, 0)).destroy() },
    Shape::new("several clouds", None, CLOUDS, (12, 8)).long(13),
    Shape::new("several clouds change", Some(CLOUDS), CLOUDS_LATER, (10, 2)).long(13),
    Shape::new("several clouds end", Some(CLOUDS), CLOUDS, (0, 0)).destroy().long(13),
    Shape::new("rebuild", Some(IMAGES), IMAGES_LATER, (16, 16)).long(17),
    Shape::new("faults", None, FAULTS, (12, 12)).long(13),
    Shape::new("faults end", Some(FAULTS), FAULTS, (0, 0)).destroy().long(13),
    Shape::new("long create", None, LONG, (64, 64)).long(43),
    Shape::new("long change", Some(LONG), LONG_OTHER, (64, 64)).long(43),
    Shape::new("long destroy", Some(LONG), LONG, (0, 0)).destroy().long(43),
    Shape::new("long growth", Some(SMALL), LONG, (64, 64)).long(43),
    Shape::new("clusters", None, CLUSTERS, (5, 0)).long(13),
    Shape::new("clusters change", Some(CLUSTERS), CLUSTERS_LATER, (5, 0)).long(13),
    Shape::new("clusters end", Some(CLUSTERS), CLUSTERS, (0, 0)).destroy().long(13),
];
