//! The file format: every key of every section, in canonical order.

mod artifacts;
mod clusters;
mod providers;

pub use self::providers::{SIM_CALLS, SIM_ERRORS};
use super::shape::{Key, KeyShape, Section, Shape, Shape::*, optional, required, section};

const NAME_LIST: Shape = List(&Name);
const TEXT_LIST: Shape = List(&Text);
const ARCH: Shape = words(&["amd64", "arm64"]);
const COUNT: Shape = Int(0, u32::MAX as u64);
/// Most hosts of one pool: ten times the size that everything is measured at.
pub const MAX_HOSTS: u64 = 100_000;

const fn words(words: &'static [&'static str]) -> Shape {
    Word { words, later: &[] }
}

/// Most entries of sections that others are compared with; pools have no such limit.
pub const MAX_ENTRIES: [(&str, usize); 8] = [
    ("variables", 10_000),
    ("environments", 100),
    ("providers", 1_000),
    ("images", 10_000),
    ("backends", 1_000),
    ("tiers", 1_000),
    ("registries", 100),
    ("clusters", 100),
];

/// Most items of a list.
pub const MAX_LIST: usize = 1_000;

/// Sections whose entries may say `in: [ENVIRONMENT, …]`.
pub const ENTRY_SECTIONS: [&str; 12] = [
    "variables",
    "providers",
    "tenants",
    "classes",
    "images",
    "artifacts",
    "networks",
    "backends",
    "tiers",
    "pools",
    "registries",
    "clusters",
];

/// Doc of the key `in`.
pub const IN_DOC: &str = "Environments in which this entry exists. Default: all.";

/// The whole inventory.
pub static ROOT: Section = Section {
    doc: "An inventory of `pool`.",
    keys: &[
        required("version", Int(1, 1), "Version of the format: 1. Stands in pool.yaml."),
        required("name", Name, "Name for people; part of every name in a cloud."),
        optional("variables", Map(KeyShape::Variable, &Section(&VARIABLE)), "Values used as `${var.NAME}`."),
        optional(
            "environments",
            Map(KeyShape::Name, &Section(&ENVIRONMENT)),
            "Environments, chosen by `--env`. Default: one called `default`.",
        ),
        optional("providers", Map(KeyShape::Name, &providers::PROVIDER), "Accounts and places that hosts come from."),
        optional("tenants", Map(KeyShape::Name, &Section(&TENANT)), "Whose things are. `default` is always there."),
        optional(
            "classes",
            Map(KeyShape::Name, &Section(&CLASS)),
            "Service classes of pools: who comes first when quota, stock or money are not enough for all.",
        ),
        optional(
            "images",
            Map(KeyShape::Name, &Map(KeyShape::Name, &Text)),
            "Image name → provider → what the provider calls it.",
        ),
        optional(
            "artifacts",
            Map(KeyShape::Name, &Section(&artifacts::ARTIFACT)),
            "Files and archives that hosts get: fetched once, verified by their digest, handed to hosts.",
        ),
        optional("networks", Map(KeyShape::Name, &Section(&NETWORK)), "Networks."),
        optional(
            "backends",
            Map(KeyShape::Name, &BACKEND),
            "Storage of our own; what a provider brings is called PROVIDER/NAME.",
        ),
        optional(
            "tiers",
            Map(KeyShape::Name, &Section(&TIER)),
            "What volumes may be asked for, and what may serve them.",
        ),
        optional("pools", Map(KeyShape::Name, &Section(&POOL)), "Pools of like hosts."),
        optional(
            "registries",
            Map(KeyShape::Name, &Section(&clusters::REGISTRY)),
            "Registries of our own that container images come from.",
        ),
        optional("clusters", Map(KeyShape::Name, &clusters::CLUSTER), "Container clusters."),
        optional("policy", Section(&POLICY), "Brakes and limits."),
        optional("moved", Map(KeyShape::Address, &Address), "Old address → new address of things that were renamed."),
    ],
    later: &["backups", "state"],
    one_of: &[],
};

static VARIABLE: Section = section(
    "A variable.",
    &[optional("default", Scalar, "Value where the environment gives none. Without it, every environment must.")],
);

static ENVIRONMENT: Section = section(
    "An environment.",
    &[
        optional("variables", Map(KeyShape::Variable, &Scalar), "Values of variables here."),
        optional("protected", Bool, "Whether the whole environment refuses to be destroyed. Default: false."),
    ],
);

static ACCESS: Section = section(
    "How to log in over SSH. What is not given comes from the next in: host, pool, provider.",
    &[
        optional("user", Text, "Login name. Default: root."),
        optional("key", Section(&SECRET), "Private key. Default: one that `pool` makes for this inventory."),
        optional("agent", Bool, "Use the SSH agent instead of a key. Default: false."),
        optional("port", Int(1, 65_535), "TCP port. Default: 22."),
        optional("jump", Text, "Jump host, [USER@]HOST[:PORT]."),
        optional(
            "trust",
            words(TRUST),
            "How the host key is known. Default: pinned on ssh providers, injected elsewhere. console: openstack only.",
        ),
    ],
);

/// What `trust` may be.
pub const TRUST: &[&str] = &["pinned", "injected", "console", "first-contact"];

static SECRET: Section = Section {
    doc: "Where a secret is; never the secret itself.",
    keys: &[
        optional("env", Text, "An environment variable."),
        optional("file", Text, "A file; relative paths start at the inventory's folder."),
        optional("exec", TEXT_LIST, "A command whose standard output is the secret."),
    ],
    later: &[],
    one_of: &["env", "file", "exec"],
};

static TENANT: Section = Section {
    doc: "A tenant.",
    keys: &[
        optional("quota", Section(&QUOTA), "Upper limits. Default: none."),
        optional(
            "isolation",
            words(&["none", "network", "dedicated-hosts"]),
            "What it does not share: networks, or physical machines. Default: none.",
        ),
    ],
    later: &["priority"],
    one_of: &[],
};

static QUOTA: Section = section(
    "Upper limits; what is not given is not limited.",
    &[
        optional("hosts", Int(0, u64::MAX), "Hosts."),
        optional("vcpus", Int(0, u64::MAX), "Cores of all hosts."),
        optional("memory", Bytes, "Memory of all hosts."),
        optional("storage", Map(KeyShape::Name, &Bytes), "Storage per tier."),
        optional("cost", Monthly, "Money, as in 9000/month."),
    ],
);

static CLASS: Section = section(
    "A service class. Pools of a higher priority are placed first. When quota, stock or money are not enough for all, pools \
     with `hosts: { min: A, max: B }` shrink to their minimum, those of the lowest priority first, before any pool of a \
     higher priority gets less than it wants; the plan says who gives way to whom, and why.",
    &[
        required("priority", Int(0, 1000), "The higher, the more important; pools without a class have 0."),
        optional("sla", Percent, "Share of the time that hosts are promised to work; shown to people."),
        optional("importance", Text, "How important it is, in words."),
        optional("function", Text, "What its pools do, in words."),
        optional("sensitivity", Text, "What its pools hold, in words."),
    ],
);

static NETWORK: Section = section(
    "A network. Hosts in it reach each other, and nothing else comes in but what `ingress` says.",
    &[
        optional("tenant", Name, "Whose it is. Default: default."),
        optional("cidr", Cidr, "Address range; required unless `existing` is given."),
        required("on", NAME_LIST, "Providers that it is made on, of type openstack or sim."),
        optional("existing", Text, "Name or id of a network that is there and is used as it is; openstack only."),
        optional("router", Text, "External network that a router of its own leads to. Default: no router."),
        optional("dhcp", Bool, "Whether hosts get their addresses by DHCP. Default: true."),
        optional("dns", List(&Ip), "Name servers that hosts are told, in order. Default: the provider's."),
        optional("ingress", Map(KeyShape::Name, &Section(&INGRESS)), "What may come in. Default: nothing."),
        optional("egress", Map(KeyShape::Name, &Section(&EGRESS)), "What may go out. Default: everything."),
    ],
);

const PEER_DOC: &str = "any, an address range, or network/NAME: the hosts of a network at the same provider.";
const PROTOCOL: Key = optional("protocol", words(&["any", "tcp", "udp", "icmp"]), "Protocol. Default: tcp.");
const PORT: Key = optional("port", Text, "Port, or a range as in \"8000-8080\". Default: all. Only for tcp and udp.");

static INGRESS: Section = section("Something that may come in.", &[required("from", Text, PEER_DOC), PROTOCOL, PORT]);

static EGRESS: Section = section("Something that may go out.", &[required("to", Text, PEER_DOC), PROTOCOL, PORT]);

static BACKEND: Shape = Tagged { sections: &[("dir", &DIR)], later: &["ceph", "cinder", "ebs", "lvm", "nfs"] };

static DIR: Section = section(
    "A folder on this computer.",
    &[
        required("type", Text, "Which system: dir."),
        required("path", Text, "The folder; relative paths start at the inventory's folder."),
        required("capacity", Bytes, "How much may be handed out."),
    ],
);

static TIER: Section = Section {
    doc: "A tier of storage.",
    keys: &[
        optional("media", words(&["ssd", "hdd"]), "Kind of medium. Default: any."),
        optional("min_iops", Int(1, u32::MAX as u64), "Operations per second that a backend must promise."),
        optional(
            "provisioning",
            words(&["thin", "thick"]),
            "Thick sets the space aside and enforces the size. Default: thin.",
        ),
        required("backends", TEXT_LIST, "What may serve it, best first: NAME or PROVIDER/NAME, `*` for a part."),
    ],
    later: &["encrypted", "replicas", "max_latency"],
    one_of: &[],
};

static POOL: Section = Section {
    doc: "A pool of like hosts.",
    keys: &[
        optional("tenant", Name, "Whose it is. Default: default."),
        optional("class", Name, "Service class. Default: none, which has priority 0."),
        required(
            "hosts",
            Either(&Int(0, MAX_HOSTS), &Map(KeyShape::Name, &Section(&HOST)), &RANGE),
            "How many hosts; or `min` and `max`: as many as there is room for; or which, by name, where they exist.",
        ),
        optional("size", Section(&SIZE), "What each host must have at least; required for a number of hosts."),
        optional("image", Name, "Image; required for a number of hosts."),
        optional("network", Name, "Network that hosts stand in."),
        optional("addresses", Map(KeyShape::Text, &Ip), "Host → address that it has in the network; openstack only."),
        optional(
            "public",
            Text,
            "External network that each host gets a public address from, as `router` of the network; openstack only.",
        ),
        optional("place", Section(&PLACE), "Where hosts may be."),
        optional("bootstrap", Section(&BOOTSTRAP), "What is done on each host."),
        optional("root", Section(&ROOT_DISK), "The volume that each host boots from; openstack only."),
        optional("volumes", Map(KeyShape::Name, &Section(&VOLUME)), "Volumes that each host gets."),
        optional("labels", Map(KeyShape::Text, &Text), "Labels, for templates, selectors and tags."),
        optional("ignore_changes", TEXT_LIST, "Fields whose drift is left alone, as in tags.owner."),
        optional("ssh", Section(&ACCESS), "How to log in, where the provider's way does not fit."),
        optional("protected", Bool, "Whether its hosts and volumes are never destroyed. Default: false."),
    ],
    later: &["scale", "backup", "roles"],
    one_of: &[],
};

/// `hosts` of a pool, where it says how many at least and at most.
pub static RANGE: Section = section(
    "How many hosts: `max` are wanted, and as many are made as there is room for; where others come first, hosts go until `min` are left.",
    &[
        required("min", Int(0, MAX_HOSTS), "Fewest hosts; a plan with fewer is incomplete."),
        required("max", Int(0, MAX_HOSTS), "Most hosts."),
    ],
);

static HOST: Section = section(
    "A host that exists.",
    &[
        optional("address", Text, "IP address or DNS name; required unless `id` is given."),
        optional("id", Text, "The provider's id of a machine that is taken over; openstack and sim only."),
        optional(
            "volumes",
            Map(KeyShape::Name, &Text),
            "Volume of the pool → the provider's id of the one that is attached; only with `id`.",
        ),
        optional("host_key", Text, "Its host key, as in `ssh-ed25519 AAAA…`; required with `trust: pinned`."),
        optional("ssh", Section(&ACCESS), "How to log in, where the pool's way does not fit."),
    ],
);

static ROOT_DISK: Section = section(
    "The volume that a host boots from. It is as large as `disk` of the pool's `size`, and goes with the host.",
    &[required("tier", Name, "Which tier.")],
);

static SIZE: Section = section(
    "What a host must have at least.",
    &[
        required("vcpus", Int(1, 4096), "Cores."),
        required("memory", Bytes, "Memory."),
        required("disk", Bytes, "Root disk."),
        optional("arch", ARCH, "Instruction set. Default: any."),
        optional("gpus", Int(0, 1024), "Graphics processors, at least. Default: 0."),
        optional(
            "features",
            TEXT_LIST,
            "What its machine size must be told to have, as in local-disk. Default: nothing.",
        ),
    ],
);

static SPREAD: Section = section(
    "What hosts are spread over, and how evenly.",
    &[
        required("by", SPREAD_BY, "What hosts are counted by."),
        optional(
            "max_skew",
            Int(1, 100_000),
            "The most by which the numbers of hosts of two places may differ; a host that would break this is not placed. Default: as even as can be.",
        ),
    ],
);

const SPREAD_BY: Shape = words(&["zone", "region", "provider", "rack"]);
/// What hosts of two pools may share, or not share.
const NEARNESS: Shape = words(&["zone", "region", "provider"]);

static PLACE: Section = section(
    "Where hosts may be.",
    &[
        optional(
            "on",
            TEXT_LIST,
            "PROVIDER[/REGION[/ZONE]], best first, `*` for a part. Default: every provider that can.",
        ),
        optional(
            "spread",
            Or(&SPREAD_BY, &SPREAD),
            "What hosts are spread over evenly. With `max_skew` a fixed rule, and within it `optimize` decides.",
        ),
        optional(
            "affinity",
            Map(KeyShape::Name, &NEARNESS),
            "Pool → what hosts share with hosts of it. Goes both ways.",
        ),
        optional(
            "anti_affinity",
            Map(KeyShape::Name, &NEARNESS),
            "Pool → what hosts never share with hosts of it. Goes both ways.",
        ),
        optional(
            "optimize",
            words(&["prefer", "cost", "balance", "pack"]),
            "What decides between places that fit: the order of `on`, the price, the emptiest, or the fullest. Default: prefer.",
        ),
        optional(
            "max_price",
            Monthly,
            "The most that a host may cost, with the volume that it boots from, as in 90/month.",
        ),
        optional(
            "apart",
            words(&["must", "may"]),
            "Whether no two hosts stand on one physical machine: always, or where it can be had; openstack only.",
        ),
        optional("offerings", TEXT_LIST, "Machine sizes that may be taken, `*` for a part. Default: all."),
    ],
);

static BOOTSTRAP: Section = Section {
    doc: "What is done on each host, in this order.",
    keys: &[
        optional("packages", TEXT_LIST, "Debian packages that must be installed."),
        optional("users", Map(KeyShape::Name, &Section(&USER)), "Users that must exist."),
        optional("directories", Map(KeyShape::Path, &Section(&DIRECTORY)), "Directories by absolute path."),
        optional("files", Map(KeyShape::Path, &Section(&FILE)), "Files by absolute path."),
        optional(
            "unpack",
            Map(KeyShape::Name, &Section(&artifacts::UNPACK)),
            "Artifact → where it is unpacked: tar archives, compressed as tar on the host can read.",
        ),
        optional("sysctl", Map(KeyShape::Text, &Text), "Kernel settings."),
        optional("services", Map(KeyShape::Text, &Section(&SERVICE)), "systemd services, without `.service`."),
        optional(
            "scripts",
            Map(KeyShape::Name, &Section(&SCRIPT)),
            "Scripts with a check, in the order of their names.",
        ),
        optional("runtime", clusters::RUNTIME, "What runs containers. Default: what the host's cluster needs."),
    ],
    later: &["repositories", "mounts", "timers"],
    one_of: &[],
};

static USER: Section = section(
    "A user.",
    &[
        optional("groups", NAME_LIST, "Supplementary groups."),
        optional("shell", Path, "Login shell. Default: /bin/bash."),
        optional("authorized_keys", TEXT_LIST, "Lines of ~/.ssh/authorized_keys, managed whole."),
        optional("sudo", Bool, "Whether the user may become root without a password. Default: false."),
    ],
);

static DIRECTORY: Section = section(
    "A directory.",
    &[
        optional("mode", Mode, "Permission bits. Default: \"0755\"."),
        optional("owner", Text, "Owner. Default: the login user."),
        optional("group", Text, "Group. Default: the login user's."),
    ],
);

static FILE: Section = Section {
    doc: "A file.",
    keys: &[
        optional("content", Text, "Its content."),
        optional("source", Text, "A file below the inventory's folder with its content."),
        optional("template", Text, "A template below the inventory's folder."),
        optional("artifact", Name, "The artifact that is its content."),
        optional("mode", Mode, "Permission bits. Default: \"0644\"."),
        optional("owner", Text, "Owner. Default: the login user."),
        optional("group", Text, "Group. Default: the login user's."),
    ],
    later: &["secret"],
    one_of: &["content", "source", "template", "artifact"],
};

static SERVICE: Section = section(
    "A systemd service.",
    &[
        optional("enabled", Bool, "Started at boot. Default: true."),
        optional("running", Bool, "Running now. Default: true."),
    ],
);

static SCRIPT: Section = section(
    "A script with a check.",
    &[
        required("check", Text, "Exit status 0: nothing is to do."),
        required("run", Text, "Run when the check fails; the check must hold afterwards."),
        optional("timeout", Time, "Longest time for `run`. Default: 5m."),
    ],
);

static VOLUME: Section = Section {
    doc: "A volume that each host gets.",
    keys: &[
        required("size", Bytes, "How large."),
        required("tier", Name, "Which tier."),
        optional("mount", Path, "Where it is mounted. Default: attached only."),
        optional("on_remove", words(&["keep", "delete"]), "What happens when it leaves the inventory. Default: keep."),
        optional("protected", Bool, "Whether it is never destroyed. Default: false."),
        optional("from", Address, "Volume, snapshot or backup that its first content is. Default: it is empty."),
    ],
    later: &["backup", "encrypted", "snapshots"],
    one_of: &[],
};

static POLICY: Section = Section {
    doc: "Brakes and limits.",
    keys: &[
        optional("max_replaced", Percent, "Share of a pool's hosts that one run may rebuild or replace. Default: 20%."),
        optional("max_destroyed", Percent, "Share of a pool's hosts that one run may destroy. Default: 10%."),
        optional("plan_ttl", Time, "How long a saved plan may be applied. Default: 1h."),
        optional(
            "min_gain",
            Percent,
            "Least share of a host's price that a move must save for plan --optimize to propose it. Default: 10%.",
        ),
        optional("min_residence", Time, "Age below which plan --optimize leaves a host where it is. Default: 1h."),
        optional("uploads", Int(1, 1_000), "Most artifacts that are sent to hosts at a time. Default: 16."),
        optional("upload_rate", Rate, "Most bytes per second of all of them together. Default: no limit."),
    ],
    later: &["approve"],
    one_of: &[],
};
