//! What runs containers: its packages, its configuration, its registries, and sandboxes beside it.

use std::{collections::BTreeMap, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use pool_inventory::{
    FileMode, Name, Text,
    desired::{Arch, ArtifactRef, IMAGES, RegistrySpec, RuntimeKind, RuntimeSpec, Sandbox},
};

use super::{SHORT, files, item};
use crate::{
    command::{Act, Command, Library},
    error::Refusal,
    facts::Facts,
    rendered::{Password, Rendered, RenderedFile, Runtime},
    script::quote,
};

/// Longest time for starting a runtime, until the cluster that its host controls is well again.
const LIMIT: Duration = Duration::from_secs(6 * 60);
/// Longest time for loading an archive of images.
const LOAD: Duration = Duration::from_secs(20 * 60);
/// Where containerd finds out how to reach registries; read at each pull.
const CERTS: &str = "/etc/containerd/certs.d";
const CONTAINERD: &str = "/etc/containerd/config.toml";
const RUNSC: &str = "/etc/containerd/runsc.toml";
const DROP_IN: &str = "/etc/systemd/system/containerd.service.d/10-pool.conf";
const DAEMON: &str = "/etc/docker/daemon.json";
/// Where programs of sandboxes are looked for, unless the runtime has a folder of its own.
const PROGRAMS: &str = "/usr/local/bin";

/// Packages of the distribution that a runtime needs.
pub(super) fn packages(facts: &Facts, runtime: &RuntimeSpec) -> Vec<&'static str> {
    let mut all = match runtime.kind {
        // With programs of its own too: the unit comes with the package; which program it starts is said in a drop-in.
        RuntimeKind::Containerd => vec!["containerd", "runc"],
        RuntimeKind::Docker => vec!["docker.io", "ca-certificates", "iptables"],
    };
    if facts.apparmor {
        // Runtimes load their profile with it, and start no container without.
        all.push("apparmor");
    }
    all
}

pub(super) fn commands(facts: &Facts, want: &Rendered) -> Result<Vec<Command>, Refusal> {
    let Some(runtime) = &want.runtime else { return Ok(Vec::new()) };
    if &*facts.init != "systemd" {
        return Err(Refusal::NoSystemd { init: facts.init.clone() });
    }
    if runtime.spec.sandboxes.contains(&Sandbox::Kata) && !facts.kvm {
        let why = "Kata needs hardware virtualisation, and this host has no /dev/kvm";
        return Err(Refusal::Unfit { why: why.into() });
    }
    // What an archive holds is seen once it is unpacked.
    let brings = !want.unpack.is_empty() || !want.artifacts.is_empty();
    let mut all = match runtime.spec.kind {
        RuntimeKind::Containerd => containerd(facts, runtime, brings),
        RuntimeKind::Docker => docker(facts, runtime, brings)?,
    };
    all.extend(images(facts, &runtime.spec));
    Ok(all)
}

/// Archives of images, loaded once they are there; a note says which. What is not made for this machine was told.
fn images(facts: &Facts, spec: &RuntimeSpec) -> Vec<Command> {
    let kind = match spec.kind {
        RuntimeKind::Containerd => "containerd",
        RuntimeKind::Docker => "docker",
    };
    let command = |(name, artifact): (&Name, &ArtifactRef)| {
        let digest = artifact.sha256(Arch::of_machine(&facts.arch))?;
        let words = format!("{} {digest} {kind}", quote(&format!("{IMAGES}/{name}.tar")));
        let act = Act::Call(format!("act_images {words}"));
        let command = Command::new(item("images", name), format!("probe_images {words}"), act, LOAD);
        Some(Command { recheck: true, ..library(command) })
    };
    spec.images.iter().filter_map(command).collect()
}

fn containerd(facts: &Facts, runtime: &Runtime, brings: bool) -> Vec<Command> {
    let spec = &runtime.spec;
    let mut all = programs(spec, brings);
    for (name, registry) in &spec.registries {
        all.extend(registry_files(facts, name, registry, runtime.passwords.get(name)));
    }
    if spec.sandboxes.contains(&Sandbox::Gvisor) {
        all.push(file(facts, RUNSC, runsc_config(facts), 0o644));
        let containerd =
            quote(&spec.programs.as_ref().map_or_else(|| "containerd".into(), |folder| format!("{folder}/containerd")));
        let probe = format!("probe_shim {containerd} {}", u8::from(brings));
        let act = Act::Call(format!("act_shim {containerd}"));
        all.push(library(Command { recheck: true, ..Command::new(item("gvisor", "shim"), probe, act, SHORT) }));
    }
    if let Some(folder) = &spec.programs {
        all.push(file(facts, DROP_IN, format!("[Service]\nExecStart=\nExecStart={folder}/containerd\n"), 0o644));
    }
    all.push(file(facts, CONTAINERD, containerd_config(spec), 0o644));
    all.push(engine("containerd", &[CONTAINERD, DROP_IN, RUNSC]));
    all
}

/// The programs of sandboxes, which no package of the distribution brings; `brings`: what is done before may bring them.
fn programs(spec: &RuntimeSpec, brings: bool) -> Vec<Command> {
    let folder = spec.programs.as_deref().unwrap_or(PROGRAMS);
    let mut wanted: Vec<(String, &str)> = Vec::new();
    if spec.kind == RuntimeKind::Containerd && spec.programs.is_some() {
        wanted.push((format!("{folder}/containerd"), "containerd"));
    }
    for sandbox in &spec.sandboxes {
        wanted.push(match sandbox {
            Sandbox::Gvisor => (format!("{folder}/runsc"), "gVisor"),
            Sandbox::Kata => (format!("{folder}/containerd-shim-kata-v2"), "Kata Containers"),
        });
    }
    let command = |(path, what): &(String, &str)| {
        let call = Act::Call(format!("act_program {}", quote(path)));
        library(Command::new(
            item("program", path),
            format!("probe_program {} {} {}", quote(path), quote(what), u8::from(brings)),
            call,
            SHORT,
        ))
    };
    wanted.iter().map(command).collect()
}

fn library(command: Command) -> Command {
    Command { library: Some(Library::Containers), ..command }
}

/// The service, started anew when one of these files has changed since.
fn engine(unit: &str, files: &[&str]) -> Command {
    let words: Vec<String> = files.iter().map(|file| quote(file)).collect();
    let arguments = format!("{}.service {}", unit, words.join(" "));
    let command = Command::new(
        item("runtime", unit),
        format!("probe_engine {arguments}"),
        Act::Call(format!("act_engine {arguments}")),
        LIMIT,
    );
    Command { recheck: true, ..library(command) }
}

fn file(facts: &Facts, path: &str, content: String, mode: u32) -> Command {
    let root = || Some(Text::from("0"));
    let file = RenderedFile { content: content.into(), mode: FileMode(mode), owner: root(), group: root() };
    files::command(facts, &path.into(), &file)
}

/// containerd's configuration in the version that 1.6, 1.7 and 2 read alike.
fn containerd_config(spec: &RuntimeSpec) -> String {
    const CRI: &str = "plugins.\"io.containerd.grpc.v1.cri\"";
    let mut text = format!(
        "# managed by pool\nversion = 2\n\n[{CRI}]\n  sandbox_image = \"{}\"\n\n[{CRI}.cni]\n  bin_dir = \"/opt/cni/bin\"\n  \
         conf_dir = \"/etc/cni/net.d\"\n\n[{CRI}.registry]\n  config_path = \"{CERTS}\"\n\n[{CRI}.containerd]\n  \
         default_runtime_name = \"runc\"\n\n[{CRI}.containerd.runtimes.runc]\n  runtime_type = \"io.containerd.runc.v2\"\n\n\
         [{CRI}.containerd.runtimes.runc.options]\n  SystemdCgroup = true\n",
        spec.sandbox_image,
    );
    for sandbox in &spec.sandboxes {
        text += &match sandbox {
            Sandbox::Gvisor => format!(
                "\n[{CRI}.containerd.runtimes.runsc]\n  runtime_type = \"io.containerd.runsc.v1\"\n\n\
                 [{CRI}.containerd.runtimes.runsc.options]\n  TypeUrl = \"io.containerd.runsc.v1.options\"\n  \
                 ConfigPath = \"{RUNSC}\"\n"
            ),
            Sandbox::Kata => {
                format!("\n[{CRI}.containerd.runtimes.kata]\n  runtime_type = \"io.containerd.kata.v2\"\n")
            }
        };
    }
    text
}

/// gVisor cannot be limited by systemd on cgroup v1.
fn runsc_config(facts: &Facts) -> String {
    let cgroups = if facts.cgroup_v1 { "  ignore-cgroups = \"true\"\n" } else { "" };
    format!("# managed by pool\n[runsc_config]\n  platform = \"systrap\"\n{cgroups}")
}

/// What containerd must know of a registry, and of the public ones that it stands for. `server` is the registry itself in
/// all of them, so that an image that is missing there is missing, and nobody else is asked.
fn registry_files(facts: &Facts, name: &Name, registry: &RegistrySpec, password: Option<&Password>) -> Vec<Command> {
    let mut all = Vec::new();
    let ca = registry.ca.as_ref().map(|ca| {
        let path = format!("/etc/containerd/pool-ca/{name}.crt");
        all.push(file(facts, &path, ca.to_string(), 0o644));
        path
    });
    let login = registry.login.as_ref().zip(password).map(|(login, password)| basic(&login.user, password));
    let own = [(&registry.address, None)];
    let mirrors = registry.mirrors.iter().map(|(public, path)| (public, Some(path)));
    for (host, path) in own.into_iter().chain(mirrors) {
        let url = match path {
            Some(path) => format!("https://{}/v2/{path}", registry.address),
            None => format!("https://{}", registry.address),
        };
        let content = hosts_toml(&url, path.is_some(), ca.as_deref(), login.as_deref());
        let mode = if login.is_some() { 0o600 } else { 0o644 };
        all.push(file(facts, &format!("{CERTS}/{host}/hosts.toml"), content, mode));
    }
    all
}

fn hosts_toml(url: &str, overrides: bool, ca: Option<&str>, login: Option<&str>) -> String {
    let overriding = |indent: &str| if overrides { format!("{indent}override_path = true\n") } else { String::new() };
    let mut text = format!("# managed by pool\nserver = \"{url}\"\n{}", overriding(""));
    text += &format!("\n[host.\"{url}\"]\n  capabilities = [\"pull\", \"resolve\"]\n{}", overriding("  "));
    if let Some(ca) = ca {
        text += &format!("  ca = \"{ca}\"\n");
    }
    if let Some(login) = login {
        text += &format!("  [host.\"{url}\".header]\n    authorization = \"Basic {login}\"\n");
    }
    text
}

fn basic(user: &str, password: &Password) -> String {
    STANDARD.encode(format!("{user}:{}", password.reveal()))
}

fn docker(facts: &Facts, runtime: &Runtime, brings: bool) -> Result<Vec<Command>, Refusal> {
    let spec = &runtime.spec;
    if spec.sandboxes.contains(&Sandbox::Kata) {
        return Err(Refusal::Unfit { why: "Docker Engine runs gVisor, not Kata; take `runtime: containerd`".into() });
    }
    if spec.registries.values().any(|registry| !registry.mirrors.is_empty()) {
        let why =
            "Docker Engine has no mirrors for registries other than docker.io; leave `mirrors` out of its registries";
        return Err(Refusal::Unfit { why: why.into() });
    }
    let mut all = programs(spec, brings);
    let mut logins = BTreeMap::new();
    for (name, registry) in &spec.registries {
        if let Some(ca) = &registry.ca {
            all.push(file(facts, &format!("/etc/docker/certs.d/{}/ca.crt", registry.address), ca.to_string(), 0o644));
        }
        if let Some((login, password)) = registry.login.as_ref().zip(runtime.passwords.get(name)) {
            logins.insert(&registry.address, BTreeMap::from([("auth", basic(&login.user, password))]));
        }
    }
    if !logins.is_empty() {
        let content = json(&BTreeMap::from([("auths", logins)]));
        all.push(file(facts, "/root/.docker/config.json", content, 0o600));
    }
    all.push(file(facts, DAEMON, docker_config(facts, spec), 0o644));
    all.push(engine("docker", &[DAEMON]));
    Ok(all)
}

fn docker_config(facts: &Facts, spec: &RuntimeSpec) -> String {
    let mut config = serde_json::Map::new();
    config.insert("exec-opts".into(), serde_json::json!(["native.cgroupdriver=systemd"]));
    if spec.sandboxes.contains(&Sandbox::Gvisor) {
        let path = format!("{}/runsc", spec.programs.as_deref().unwrap_or(PROGRAMS));
        let arguments: &[&str] = if facts.cgroup_v1 { &["--ignore-cgroups"] } else { &[] };
        config.insert("runtimes".into(), serde_json::json!({ "runsc": { "path": path, "runtimeArgs": arguments } }));
    }
    json(&config)
}

fn json<T: serde::Serialize>(value: &T) -> String {
    let text = serde_json::to_string_pretty(value).expect("it has only text keys");
    text + "\n"
}
