//! Keys of providers.

use super::{ACCESS, COUNT, NAME_LIST, QUOTA, SECRET, words};
use crate::load::shape::{Key, KeyShape, Section, Shape, Shape::*, optional, required, section};

pub static PROVIDER: Shape = Tagged {
    sections: &[("local", &LOCAL), ("ssh", &SSH_HOSTS), ("sim", &SIM), ("openstack", &OPENSTACK)],
    later: &["aws", "vmware", "redfish"],
};

const TYPE: Key = required("type", Text, "Which system: local, ssh, sim or openstack.");

static LOCAL: Section =
    section("Little machines on this computer.", &[TYPE, optional("ssh", Section(&ACCESS), "How to log in to hosts.")]);

static SSH_HOSTS: Section =
    section("Hosts that exist.", &[TYPE, optional("ssh", Section(&ACCESS), "How to log in to hosts.")]);

static SIM: Section = section(
    "A simulated cloud.",
    &[
        TYPE,
        optional("ssh", Section(&ACCESS), "How to log in to hosts."),
        optional("seed", Int(0, u64::MAX), "Drives every random choice. Default: 1."),
        optional("latency", Time, "Time that each call takes. Default: 0s."),
        optional("boot", Time, "Time from creation until a host is ready. Default: 0s."),
        optional("clock", words(&["virtual", "real"]), "Whether that time is skipped or waited for. Default: virtual."),
        optional("zones", NAME_LIST, "Zones, in order. Default: [az1, az2, az3]."),
        optional(
            "offerings",
            Map(KeyShape::Text, &Section(&OFFERING)),
            "Machine sizes for sale. Default: a built-in list.",
        ),
        optional("stock", Map(KeyShape::Text, &COUNT), "ZONE/OFFERING → machines left. Default: no limit."),
        optional("quota", Section(&QUOTA), "Limits of the account; storage by backend. Default: none."),
        optional("backends", Map(KeyShape::Name, &Bytes), "Backend → capacity, besides fast, standard and archive."),
        optional(
            "machines",
            Map(KeyShape::Name, &Section(&MACHINES)),
            "Physical machines that hosts of their zones stand on. Default: none can be seen.",
        ),
        optional("visibility", Time, "How long new objects may be missing from listings. Default: 0s."),
        optional("rate", Int(1, u32::MAX as u64), "Calls per second before it answers 429. Default: no limit."),
        optional("page", Int(1, 10_000), "Most objects in one call or page. Default: 500."),
        optional("patience", Time, "Longest wait for something that is made; then it is stuck. Default: 20m."),
        optional("faults", List(&Section(&FAULT)), "Faults by rule."),
    ],
);

static OPENSTACK: Section = section(
    "A project of an OpenStack cloud.",
    &[
        TYPE,
        optional("ssh", Section(&ACCESS), "How to log in to hosts."),
        optional("cloud", Text, "Name in clouds.yaml. Default: `OS_CLOUD`, or the other `OS_*` variables."),
        optional("region", Text, "Region. Default: the one that the credentials name."),
        optional(
            "host_keys",
            Section(&SECRET),
            "Secret that host keys of new hosts are derived from. Default: one that `pool` makes for this inventory.",
        ),
        optional("prices", Map(KeyShape::Text, &Hourly), "Flavor → price, as in 0.02/hour. Default: nothing."),
        optional(
            "storage_prices",
            Map(KeyShape::Text, &Hourly),
            "Volume type → price of a GiB, as in 0.0002/hour. Default: nothing.",
        ),
    ],
);

static OFFERING: Section = section(
    "A machine size.",
    &[
        required("vcpus", Int(1, 4096), "Cores."),
        required("memory", Bytes, "Memory."),
        required("disk", Bytes, "Root disk."),
        required("price", Hourly, "Price, as in 0.05/hour."),
        optional("dedicated", Name, "Tenant whose hosts alone stand on its machines. Default: machines are shared."),
        optional("arch", super::ARCH, "Instruction set. Default: amd64."),
        optional("gpus", Int(0, 1024), "Graphics processors. Default: 0."),
        optional("features", super::TEXT_LIST, "What else it has, as in local-disk. Default: nothing."),
    ],
);

static MACHINES: Section = section(
    "A physical machine, or several that are alike.",
    &[
        optional("count", Int(1, 10_000), "How many, called NAME-0, NAME-1, …. Default: one, called NAME."),
        required("zone", Name, "Zone that they stand in."),
        optional("rack", Name, "Rack that they stand in. Default: not told."),
        required("vcpus", Int(1, 65_536), "Cores that hosts may have."),
        required("memory", Bytes, "Memory that hosts may have."),
        required("disk", Bytes, "Disk that hosts may have."),
        optional("price", Hourly, "Price of each while a host stands on it, as in 0.50/hour. Default: nothing."),
        optional("dedicated", Name, "Tenant whose hosts alone stand on them. Default: they are shared."),
    ],
);

/// What `on` of a fault may be.
pub const SIM_CALLS: &[&str] = &["any", "create", "update", "delete", "list", "find", "poll"];
/// What `error` of a fault may be.
pub const SIM_ERRORS: &[&str] = &[
    "transient",
    "lost-reply",
    "rate-limited",
    "no-capacity",
    "quota-exceeded",
    "broken",
    "stuck",
    "slow",
    "kill-before",
    "kill-after",
];

static FAULT: Section = section(
    "A rule of failure.",
    &[
        optional("on", words(SIM_CALLS), "The call that fails. Default: any."),
        optional("address", Address, "Only calls for this object. Default: any."),
        optional("nth", Int(1, u32::MAX as u64), "Only the nth matching call, from 1."),
        optional("times", Int(1, u32::MAX as u64), "How many matching calls from the nth on. Default: 1."),
        optional("rate", Percent, "Share of the matching calls, where `nth` is not given. Default: 100%."),
        required("error", words(SIM_ERRORS), "What happens."),
        optional("after", Time, "What `slow` takes longer; what `rate-limited` asks the client to wait. Default: 1s."),
    ],
);
