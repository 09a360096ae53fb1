//! What is asked for on one host, with all contents in full.

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
};

use pool_inventory::{
    Bytes, FileMode, Name, Text,
    desired::{
        ArtifactFile, ArtifactRef, BootstrapSpec, DirectorySpec, FileSource, NodeSpec, RuntimeSpec, ScriptSpec,
        ServiceSpec, TemplateSource, UnpackSpec, UserSpec,
    },
};
use russh::keys::HashAlg;
use zeroize::Zeroizing;

/// A [`BootstrapSpec`] for one host: templates are rendered, everything is checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rendered {
    /// Volumes that the host mounts itself, by mount point.
    pub mounts: BTreeMap<Text, Mount>,
    /// See [`BootstrapSpec::packages`].
    pub packages: BTreeSet<Text>,
    /// See [`BootstrapSpec::users`].
    pub users: BTreeMap<Name, UserSpec>,
    /// See [`BootstrapSpec::directories`].
    pub directories: BTreeMap<Text, DirectorySpec>,
    /// Artifacts that are unpacked: see [`BootstrapSpec::unpack`].
    pub unpack: BTreeMap<Name, UnpackSpec>,
    /// Artifacts that are files: see [`BootstrapSpec::artifact_files`].
    pub artifacts: BTreeMap<Text, ArtifactFile>,
    /// URLs of the artifacts that hosts download themselves, by digest.
    pub pulls: BTreeMap<Text, Text>,
    /// See [`BootstrapSpec::files`].
    pub files: BTreeMap<Text, RenderedFile>,
    /// See [`BootstrapSpec::sysctl`].
    pub sysctl: BTreeMap<Text, Text>,
    /// See [`BootstrapSpec::services`].
    pub services: BTreeMap<Text, ServiceSpec>,
    /// See [`BootstrapSpec::scripts`].
    pub scripts: BTreeMap<Name, ScriptSpec>,
    /// See [`BootstrapSpec::runtime`].
    pub runtime: Option<Runtime>,
    /// See [`BootstrapSpec::node`].
    pub node: Option<Node>,
}

/// What runs containers, with what it needs to log in to registries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Runtime {
    /// What is asked for.
    pub spec: RuntimeSpec,
    /// Passwords of its registries, by name.
    pub passwords: BTreeMap<Name, Password>,
}

/// What a member of a Kubernetes cluster needs before it joins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// What is asked for.
    pub spec: NodeSpec,
    /// Version of the packages that are installed where none are.
    pub package: Text,
}

/// A password, which no message shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// A password.
    pub fn new(text: Zeroizing<String>) -> Self {
        Self(text)
    }

    /// What it is.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(…)")
    }
}

/// A volume that is attached to a host and mounted by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// The provider's id of it; its first 20 characters, or all of it, are in the name of its device.
    pub id: Text,
    /// What the volume is called; the beginning of it becomes the label of the filesystem.
    pub name: Text,
    /// How large the device is at least.
    pub size: Bytes,
    /// Where the names of devices are: [`DEVICES`].
    pub devices: Text,
}

/// Where udev puts names of devices that hold their serial numbers.
pub const DEVICES: &str = "/dev/disk/by-id";

/// Shortest id of a volume that is looked for: a shorter one might stand in the name of any device.
const SHORTEST: usize = 8;

/// Longest label of an ext4 filesystem, in bytes.
const LABEL: usize = 16;

impl Mount {
    /// The label of a filesystem that is made on it.
    pub fn label(&self) -> &str {
        &self.name[..self.name.floor_char_boundary(LABEL)]
    }
}

/// A file with its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderedFile {
    /// Content.
    pub content: Text,
    /// Permission bits.
    pub mode: FileMode,
    /// Owner; none: the login user.
    pub owner: Option<Text>,
    /// Group; none: the login user's.
    pub group: Option<Text>,
}

/// A spec that cannot be carried out on any host.
#[derive(Debug, thiserror::Error)]
pub enum RenderError<E: std::error::Error + 'static> {
    /// A template cannot be rendered.
    #[error("the template of {path} cannot be rendered")]
    Template {
        /// The file on the host.
        path: Text,
        /// Why.
        #[source]
        source: E,
    },
    /// Something is not what it should be.
    #[error("{item}: {why}")]
    Invalid {
        /// Which item.
        item: Text,
        /// What is wrong with it.
        why: &'static str,
    },
}

/// Longest content of one file.
pub const MAX_FILE: usize = 16 << 20;

/// Longest check of a script; it is an argument of a command on the host.
pub const MAX_CHECK: usize = 64 << 10;

/// Renders the templates of `spec` with `template` and checks all names and paths.
pub fn render<E: std::error::Error + 'static>(
    spec: &BootstrapSpec,
    template: &dyn Fn(&TemplateSource) -> Result<String, E>,
) -> Result<Rendered, RenderError<E>> {
    let mut files = BTreeMap::new();
    for (path, file) in &spec.files {
        let content = match &file.source {
            FileSource::Content(content) => content.clone(),
            FileSource::Template(source) => {
                template(source).map_err(|source| RenderError::Template { path: path.clone(), source })?.into()
            }
        };
        let (owner, group) = (file.owner.clone(), file.group.clone());
        files.insert(path.clone(), RenderedFile { content, mode: file.mode, owner, group });
    }
    let rendered = Rendered {
        mounts: BTreeMap::new(),
        packages: spec.packages.clone(),
        users: spec.users.clone(),
        directories: spec.directories.clone(),
        unpack: spec.unpack.clone(),
        artifacts: spec.artifact_files.clone(),
        pulls: BTreeMap::new(),
        files,
        sysctl: spec.sysctl.clone(),
        services: spec.services.clone(),
        scripts: spec.scripts.clone(),
        runtime: spec.runtime.as_ref().map(|spec| Runtime { spec: (**spec).clone(), passwords: BTreeMap::new() }),
        node: spec.node.as_ref().map(|spec| Node { spec: (**spec).clone(), package: "".into() }),
    };
    rendered.checked()
}

/// SHA-256 in hex.
pub(crate) fn sha256(content: &str) -> String {
    pool_inventory::names::hex(&HashAlg::Sha256.digest(content.as_bytes()))
}

impl Rendered {
    /// The same with volumes that the host mounts itself.
    pub fn with_mounts(self, mounts: BTreeMap<Text, Mount>) -> Result<Rendered, RenderError<Infallible>> {
        Rendered { mounts, ..self }.checked()
    }

    /// The same with passwords of registries, and the version of packages of Kubernetes.
    pub fn with_cluster(mut self, passwords: BTreeMap<Name, Password>, package: Option<Text>) -> Rendered {
        if let Some(runtime) = &mut self.runtime {
            runtime.passwords = passwords;
        }
        if let (Some(node), Some(package)) = (&mut self.node, package) {
            node.package = package;
        }
        self
    }

    /// The same, where hosts download the artifacts with these digests from these URLs themselves.
    pub fn with_pulls(self, pulls: BTreeMap<Text, Text>) -> Rendered {
        Rendered { pulls, ..self }
    }

    fn checked<E: std::error::Error + 'static>(self) -> Result<Rendered, RenderError<E>> {
        match self.problem() {
            Some((item, why)) => Err(RenderError::Invalid { item: item.into(), why }),
            None => Ok(self),
        }
    }

    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        self == &Self::default()
    }

    fn problem(&self) -> Option<(String, &'static str)> {
        let mounts = self.mounts.iter().filter_map(|(path, mount)| {
            let why = bad_path(path).or_else(|| bad_mount(path, mount))?;
            Some((format!("mount {path}"), why))
        });
        let packages = self
            .packages
            .iter()
            .filter(|p| !is_package(p))
            .map(|p| (format!("package {p}"), "not the name of a Debian package"));
        let directories = self.directories.iter().filter_map(|(path, d)| {
            let why = bad_path(path).or_else(|| bad_owner(&d.owner, &d.group))?;
            Some((format!("directory {path}"), why))
        });
        let files = self.files.iter().filter_map(|(path, f)| {
            let large = (f.content.len() > MAX_FILE).then_some("larger than 16 MiB");
            let why = bad_path(path).or_else(|| bad_owner(&f.owner, &f.group)).or(large)?;
            Some((format!("file {path}"), why))
        });
        let artifacts = self.artifacts.iter().filter_map(|(path, f)| {
            let why = bad_path(path).or_else(|| bad_owner(&f.owner, &f.group)).or_else(|| bad_artifact(&f.artifact))?;
            Some((format!("file {path}"), why))
        });
        let unpack = self.unpack.iter().filter_map(|(name, unpack)| {
            let root = &*unpack.to == "/";
            let why = bad_path(&unpack.to).filter(|_| !root).or_else(|| bad_artifact(&unpack.artifact))?;
            Some((format!("unpack {name}"), why))
        });
        let both = self
            .files
            .keys()
            .chain(self.artifacts.keys())
            .filter(|path| self.directories.contains_key(*path))
            .map(|path| (format!("file {path}"), "declared as a directory as well"));
        let users = self.users.iter().filter_map(|(name, user)| Some((format!("user {name}"), bad_user(user)?)));
        let sysctl =
            self.sysctl.iter().filter_map(|(key, value)| Some((format!("sysctl {key}"), bad_sysctl(key, value)?)));
        let services = self
            .services
            .keys()
            .filter(|s| !is_unit(s))
            .map(|s| (format!("service {s}"), "not the name of a systemd unit"));
        let scripts = self.scripts.iter().filter_map(|(name, s)| Some((format!("script {name}"), bad_script(s)?)));
        let mut all = mounts.chain(packages).chain(users).chain(directories).chain(files).chain(both).chain(sysctl);
        all.next().or_else(|| artifacts.chain(unpack).chain(services).chain(scripts).next())
    }
}

fn is_package(name: &str) -> bool {
    let (name, arch) = name.split_once(':').unwrap_or((name, "all"));
    let word = |text: &str, also: &str| {
        text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || also.contains(c))
    };
    word(name, "+.-") && word(arch, "-")
}

fn bad_path(path: &str) -> Option<&'static str> {
    if !path.starts_with('/') {
        Some("not an absolute path")
    } else if path.contains('\0') {
        Some("holds a NUL")
    } else if path.len() > 4000 {
        Some("longer than a path may be")
    } else if path.ends_with('/') || path.split('/').skip(1).any(|p| matches!(p, "" | "." | "..")) {
        Some("has an empty part, `.` or `..`")
    } else {
        None
    }
}

fn bad_artifact(artifact: &ArtifactRef) -> Option<&'static str> {
    let good = |digest: &str| digest.len() == 64 && digest.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let all = artifact.digests.iter().all(|(_, digest)| good(digest));
    (!all).then_some("the digest of its artifact is not 64 lower-case hex digits")
}

fn bad_mount(path: &str, mount: &Mount) -> Option<&'static str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    if path.contains(char::is_control) {
        Some("its mount point holds a control character")
    } else if mount.id.len() < SHORTEST || !mount.id.chars().all(plain) {
        Some("the id of its volume cannot be in the name of a device")
    } else {
        None
    }
}

fn bad_owner(owner: &Option<Text>, group: &Option<Text>) -> Option<&'static str> {
    let good = |name: &Text| {
        !name.is_empty()
            && !name.starts_with('-')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
    };
    let bad = owner.iter().chain(group).any(|name| !good(name));
    bad.then_some("its owner or group is not a name or number")
}

fn bad_user(user: &UserSpec) -> Option<&'static str> {
    let broken = |key: &Text| key.contains(['\n', '\0', '\r']);
    if user.authorized_keys.iter().any(broken) {
        return Some("an authorised key has more than one line");
    }
    let shell = user.shell.as_ref().is_some_and(|shell| bad_path(shell).is_some() || shell.contains([':', '\n']));
    shell.then_some("its shell is not an absolute path")
}

fn bad_sysctl(key: &str, value: &str) -> Option<&'static str> {
    let good = |c: char| c.is_ascii_alphanumeric() || "_./-".contains(c);
    if key.is_empty() || !key.chars().all(good) || key.starts_with(['.', '/']) || key.contains("..") {
        return Some("not the name of a kernel setting");
    }
    (value.trim().is_empty() || value.contains(['\n', '\0'])).then_some("its value is empty or has several lines")
}

fn is_unit(name: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || "_.@:\\-".contains(c);
    !name.is_empty() && !name.starts_with('-') && name.chars().all(good)
}

fn bad_script(script: &ScriptSpec) -> Option<&'static str> {
    if script.check.contains('\0') || script.run.contains('\0') {
        Some("holds a NUL")
    } else if script.check.len() > MAX_CHECK {
        Some("its check is longer than 64 KiB")
    } else if script.run.len() > MAX_FILE {
        Some("larger than 16 MiB")
    } else {
        None
    }
}

#[cfg(test)]
#[path = "rendered_tests.rs"]
mod tests;
