//! Keys of clusters, registries and runtimes.

use super::{NAME_LIST, SECRET, TEXT_LIST, words};
use crate::load::shape::{Key, KeyShape, Section, Shape, Shape::*, optional, required, section};

pub static CLUSTER: Shape = Tagged {
    sections: &[("kubernetes", &KUBERNETES), ("swarm", &SWARM)],
    later: &["k3s", "nomad", "mesos", "marathon", "dcos"],
};

const TYPE: Key = required("type", Text, "Which system: kubernetes or swarm.");
const WORKERS: Key = optional("workers", NAME_LIST, "Pools whose hosts carry the load. Default: none.");
const MAX_UNAVAILABLE: Key = optional(
    "max_unavailable",
    Int(1, 10_000),
    "Most workers that an upgrade takes out of service at a time. Default: 1.",
);
const DRAIN: Key = optional(
    "drain_timeout",
    Time,
    "Longest time until everything that runs on a member has gone elsewhere. Default: 5m.",
);
const LABELS: Key = optional(
    "labels",
    Map(KeyShape::Name, &Map(KeyShape::Text, &Text)),
    "Pool → labels of its members. Default: none.",
);

static KUBERNETES: Section = section(
    "A Kubernetes cluster, made with kubeadm. Its nodes are called as the hosts are.",
    &[
        TYPE,
        required("version", Text, "Release of Kubernetes, in full, as in \"1.34.4\"."),
        required("control_plane", Name, "Pool whose hosts are control planes; each keeps a part of etcd."),
        WORKERS,
        optional(
            "endpoint",
            Text,
            "HOST[:PORT] where its API answers, as of a load balancer. Default: the first control plane, which then \
             cannot be replaced.",
        ),
        required("pod_network", Section(&POD_NETWORK), "How pods reach each other."),
        optional("service_cidr", Cidr, "Address range of services. Default: 10.96.0.0/12."),
        optional("image_repository", Text, "Where the images of its own parts come from. Default: registry.k8s.io."),
        optional(
            "packages",
            Section(&PACKAGES),
            "Where kubeadm, kubelet and kubectl come from. Default: the repositories that hosts have.",
        ),
        optional("revision", Text, "What follows the version in those of the packages. Default: 1.1."),
        LABELS,
        optional(
            "taints",
            Map(KeyShape::Name, &TEXT_LIST),
            "Pool → taints of its members, as in dedicated=db:NoSchedule. Default: those of kubeadm.",
        ),
        MAX_UNAVAILABLE,
        DRAIN,
        optional("cgroup_v1", Bool, "Whether hosts with cgroup v1 may be members. Default: false."),
        optional("renew_before", Time, "How long before they end certificates are renewed. Default: 720h."),
    ],
);

static SWARM: Section = section(
    "A Docker Swarm.",
    &[
        TYPE,
        required("managers", Name, "Pool whose hosts are managers; an odd number is right."),
        WORKERS,
        LABELS,
        MAX_UNAVAILABLE,
        DRAIN,
    ],
);

static POD_NETWORK: Section = section(
    "How pods reach each other.",
    &[
        required("type", Word { words: &["flannel", "calico"], later: &["weave", "cilium"] }, "Which software."),
        required("cidr", Cidr, "Address range of pods."),
        required("manifest", Text, "A file below the inventory's folder: its manifest, as its makers publish it."),
    ],
);

static PACKAGES: Section = section(
    "An apt repository.",
    &[
        required("url", Text, "Its address, http or https."),
        required("suite", Text, "Suite, or a path that ends with /, as in ./."),
        optional("components", TEXT_LIST, "Components. Default: none, as with a path."),
        required("key", Text, "A file below the inventory's folder: the key that signs it, ASCII-armoured."),
    ],
);

/// A registry.
pub static REGISTRY: Section = section(
    "A registry that container images come from.",
    &[
        required("address", Text, "HOST[:PORT]."),
        optional(
            "ca",
            Text,
            "A file below the inventory's folder: who signed its certificate. Default: a public authority.",
        ),
        optional("user", Text, "Who logs in. Default: nobody has to."),
        optional("password", Section(&SECRET), "Password of that user."),
        optional("mirrors", Map(KeyShape::Text, &Text), "Public registry → path here that its images are below."),
    ],
);

/// `runtime` of a bootstrap.
pub static RUNTIME: Shape = Or(&RUNTIME_TYPE, &RUNTIME_SECTION);

const RUNTIME_TYPE: Shape = Word { words: &["containerd", "docker"], later: &["cri-o"] };

static RUNTIME_SECTION: Section = section(
    "What runs containers.",
    &[
        required("type", RUNTIME_TYPE, "Which software, from the package of the distribution."),
        optional("programs", Path, "Folder of its programs where no package brings them, as in /usr/local/bin."),
        optional("sandboxes", List(&words(&["gvisor", "kata"])), "Sandboxed runtimes beside the usual one."),
        optional("sandbox_image", Text, "Image of a pod's own container. Default: registry.k8s.io/pause:3.10.1."),
        optional("registries", NAME_LIST, "Registries that images come from, beside the public ones."),
        optional("images", NAME_LIST, "Artifacts that are archives of images, as of `docker save`, and are loaded."),
    ],
);
