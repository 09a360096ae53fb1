//! What a host needs before it can be a member of a Kubernetes cluster.

use std::time::Duration;

use pool_inventory::{FileMode, Text, desired::Repository};

use super::{SHORT, files, item, sysctl};
use crate::{
    command::{Act, Command, Library},
    error::Refusal,
    facts::Facts,
    rendered::{Node, Rendered, RenderedFile},
    script::quote,
};

/// Longest time for the packages.
const LIMIT: Duration = Duration::from_secs(15 * 60);
/// Clocks that are further apart make certificates that are not valid yet.
const MAX_SKEW: i64 = 60;
/// The least of free disk on which anything can be installed and run.
const MIN_FREE: u64 = 1 << 30;

/// Where the key of the repository is.
const KEY: &str = "/etc/apt/keyrings/pool-kubernetes.asc";
/// The repository.
pub(crate) const LIST: &str = "/etc/apt/sources.list.d/pool-kubernetes.list";

const MODULES: [&str; 2] = ["overlay", "br_netfilter"];
const SETTINGS: [&str; 3] =
    ["net.ipv4.ip_forward", "net.bridge.bridge-nf-call-iptables", "net.bridge.bridge-nf-call-ip6tables"];

/// Packages of the distribution that a node needs.
pub(super) const PACKAGES: [&str; 7] =
    ["iptables", "conntrack", "ethtool", "socat", "ebtables", "ca-certificates", "openssl"];

pub(super) fn commands(facts: &Facts, want: &Rendered) -> Result<Vec<Command>, Refusal> {
    let Some(node) = &want.node else { return Ok(Vec::new()) };
    fit(facts, node)?;
    let vacant = format!("probe_vacant {}", quote(&node.spec.cluster));
    let mut all =
        vec![library(Command::new(item("free for", &node.spec.cluster), vacant, Act::Call(":".into()), SHORT))];
    if let Some((host, port)) = node.spec.repository.as_ref().and_then(|repository| authority(&repository.url)) {
        let probe = format!("probe_reach {} {port} /usr/bin/kubeadm", quote(host));
        all.push(library(Command::new(item("repository", host), probe, Act::Call(":".into()), SHORT)));
    }
    all.push(library(Command::new(item("swap", "off"), "probe_swap".into(), Act::Call("act_swap".into()), SHORT)));
    all.push(file(facts, "/etc/modules-load.d/pool-kubernetes.conf", lines(MODULES.iter().map(|m| (*m).to_owned()))));
    for module in MODULES {
        let call = Act::Call(format!("act_module {module}"));
        all.push(library(Command::new(item("module", module), format!("probe_module {module}"), call, SHORT)));
    }
    all.push(file(
        facts,
        "/etc/sysctl.d/91-pool-kubernetes.conf",
        lines(SETTINGS.iter().map(|key| format!("{key} = 1"))),
    ));
    // A setting of a module is there once the module is: it is looked at again.
    all.extend(SETTINGS.iter().map(|key| Command { recheck: true, ..sysctl::setting(key, "1") }));
    if let Some(repository) = &node.spec.repository {
        all.push(file(facts, KEY, repository.key.to_string()));
        all.push(file(facts, LIST, list(repository)));
    }
    all.push(kubernetes(node));
    Ok(all)
}

/// Whether this host can be a member at all.
fn fit(facts: &Facts, node: &Node) -> Result<(), Refusal> {
    let unfit = |why: String| Err(Refusal::Unfit { why: why.into() });
    if !facts.apt {
        return Err(Refusal::NoApt);
    }
    if &*facts.init != "systemd" {
        return Err(Refusal::NoSystemd { init: facts.init.clone() });
    }
    if !matches!(&*facts.os, "debian" | "ubuntu") {
        return unfit(format!(
            "members of clusters run Debian or Ubuntu, and this host runs {} {}",
            facts.os, facts.os_version
        ));
    }
    if facts.skew.abs() > MAX_SKEW {
        let direction = if facts.skew > 0 { "ahead" } else { "behind" };
        return unfit(format!("its clock is {} s {direction}; certificates would not be valid", facts.skew.abs()));
    }
    if facts.disk_free.0 < MIN_FREE {
        return unfit(format!("its disk has {} left, and a member needs 1 GiB", facts.disk_free));
    }
    if facts.cgroup_v1 && !node.spec.cgroup_v1 {
        let why = "it has cgroup v1, which Kubernetes no longer maintains; boot it with cgroup v2, or write `cgroup_v1: true`";
        return unfit(why.into());
    }
    Ok(())
}

fn library(command: Command) -> Command {
    Command { library: Some(Library::Containers), ..command }
}

fn kubernetes(node: &Node) -> Command {
    let list = if node.spec.repository.is_some() { LIST } else { "" };
    let act = format!("act_kubernetes {} {}", quote(&node.package), quote(list));
    let item = item("packages", "kubernetes");
    library(Command::new(item, "probe_kubernetes".into(), Act::Call(act), LIMIT))
}

fn list(repository: &Repository) -> String {
    let words: Vec<&str> =
        [&*repository.url, &*repository.suite].into_iter().chain(repository.components.iter().map(|c| &**c)).collect();
    format!("# managed by pool\ndeb [signed-by={KEY}] {}\n", words.join(" "))
}

fn lines(words: impl Iterator<Item = String>) -> String {
    let all: String = words.map(|word| word + "\n").collect();
    format!("# managed by pool\n{all}")
}

fn file(facts: &Facts, path: &str, content: String) -> Command {
    let root = || Some(Text::from("0"));
    let file = RenderedFile { content: content.into(), mode: FileMode(0o644), owner: root(), group: root() };
    files::command(facts, &path.into(), &file)
}

/// Host and port of a URL.
fn authority(url: &str) -> Option<(&str, u16)> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split('/').next()?.rsplit('@').next()?;
    match authority.rsplit_once(':') {
        Some((host, port)) => Some((host, port.parse().ok()?)),
        None => Some((authority, if scheme == "https" { 443 } else { 80 })),
    }
}
