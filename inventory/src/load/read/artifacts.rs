//! Artifacts, and what takes them.

use std::{collections::BTreeMap, path::Path};

use super::{Reader, known::What};
use crate::{
    desired::{Arch, ArtifactBuild, ArtifactFile, ArtifactRef, ArtifactSource, ArtifactSpec, UnpackSpec},
    diagnostics::Diagnostic,
    names::{Name, Text},
    source::Span,
    units::FileMode,
    yaml::{Entry, Node},
};

impl<'n, 's> Reader<'n, 's> {
    pub fn artifacts(&mut self) -> BTreeMap<Name, ArtifactSpec> {
        self.map(self.section("artifacts"), |this, entry| ArtifactSpec { builds: this.builds(entry) })
    }

    fn builds(&mut self, entry: &'n Entry<'s>) -> Vec<ArtifactBuild> {
        let node = &entry.value;
        let mut builds = Vec::new();
        for arch in [Arch::Amd64, Arch::Arm64] {
            let own = node.get(arch.as_str());
            builds.extend(own.and_then(|own| self.build(own, own.span, Some(arch))));
        }
        let mut of_all = ["url", "path", "sha256", "arch", "pull", "mirror"].iter().filter_map(|key| node.get(key));
        if node.get("amd64").is_none() && node.get("arm64").is_none() {
            let [url, path] = ["url", "path"].map(|key| node.get(key).is_some());
            if url == path {
                let message = format!("artifacts.{} needs exactly one of `url` and `path`", entry.key);
                self.say(entry.at, message, "or `amd64` and `arm64` with one of them each");
            } else if node.get("sha256").is_none() {
                let message = format!("artifacts.{} has no `sha256`", entry.key);
                self.say(entry.at, message, "what is not verified is not handed to hosts; `sha256sum FILE` prints it");
            } else {
                let arch = self.word(node, "arch");
                builds.extend(self.build(node, entry.at, arch));
            }
        } else if let Some(at) = of_all.next() {
            let message = format!("artifacts.{} has one entry per instruction set", entry.key);
            self.say(at.span, message, "this belongs below `amd64` or `arm64`");
        }
        builds
    }

    fn build(&mut self, node: &'n Node<'s>, at: Span, arch: Option<Arch>) -> Option<ArtifactBuild> {
        let sha256 = self.text(node, "sha256")?;
        let (source, file) = match (node.get("url"), node.get("path")) {
            (Some(url), _) => (ArtifactSource::Url(self.url(url)?), url.text()?),
            (None, Some(path)) => (ArtifactSource::Path(self.own_file(path)?), path.text()?),
            (None, None) => return None,
        };
        let pull = match node.get("mirror") {
            Some(mirror) => Some(self.mirrored(mirror, file)?),
            None if self.flag(node, "pull", false) => match &source {
                ArtifactSource::Url(url) => Some(url.clone()),
                ArtifactSource::Path(_) => {
                    let at = node.get("pull").map_or(at, |pull| pull.span);
                    self.say(at, "hosts cannot download a file of the inventory", "give a `mirror` that has it");
                    None
                }
            },
            None => None,
        };
        Some(ArtifactBuild { arch, sha256, source, pull })
    }

    /// A URL without secrets: what stands in an inventory is read by many.
    fn url(&mut self, node: &Node<'_>) -> Option<Text> {
        let text = node.text()?;
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let authority = rest.map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
        let plain = text.chars().all(|c| c.is_ascii_graphic() && !"\"<>\\^`{|}#".contains(c));
        match authority {
            Some(host) if host.contains('@') => {
                self.say(node.span, "a URL in an inventory must not hold a password", "use a mirror that needs none");
                None
            }
            Some(host) if !host.is_empty() && !host.starts_with(':') && plain => Some(text.into()),
            _ => {
                self.say(node.span, format!("`{text}` is not a URL"), "as in https://files.example.net/tool.tar.gz");
                None
            }
        }
    }

    fn mirrored(&mut self, mirror: &Node<'_>, file: &str) -> Option<Text> {
        let folder = self.url(mirror)?;
        let path = file.split(['?', '#']).next().unwrap_or_default();
        let name = path.rsplit('/').next().unwrap_or_default();
        if folder.contains('?') || name.is_empty() || !name.bytes().all(|b| b.is_ascii_graphic()) {
            self.say(mirror.span, "this artifact has no file name that a mirror could have it under", "");
            return None;
        }
        Some(format!("{}/{name}", folder.trim_end_matches('/')).into())
    }

    /// A file below the inventory's folder, whatever is in it: it is read when it is handed to a host.
    fn own_file(&mut self, node: &Node<'_>) -> Option<Text> {
        let path = node.text()?;
        let inside = Path::new(path).components().all(|part| matches!(part, std::path::Component::Normal(_)));
        if !inside || path.is_empty() {
            let note = "write a path below the folder of pool.yaml";
            self.say(node.span, format!("`{path}` lies outside the inventory"), note);
            return None;
        }
        match std::fs::metadata(self.folder.join(path)) {
            Ok(found) if found.is_file() => return Some(path.into()),
            Ok(_) => self.say(node.span, format!("`{path}` is not a file"), ""),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let note = "paths start at the folder of pool.yaml";
                self.say(node.span, format!("file `{path}` does not exist"), note);
            }
            Err(error) => self.say(node.span, format!("failed to read `{path}`: {error}"), ""),
        }
        None
    }

    /// An artifact where it is used.
    pub fn artifact(&mut self, name: &str, at: Span) -> Option<ArtifactRef> {
        let name = Name::new(name).ok()?;
        if !self.known.check(What::Artifact, &name, at, &mut self.problems) {
            return None;
        }
        Some(self.artifacts.get(&name)?.named(name))
    }

    pub fn artifact_files(&mut self, entries: &'n [Entry<'s>]) -> BTreeMap<Text, ArtifactFile> {
        let mut all = BTreeMap::new();
        for Entry { key, value: node, .. } in entries {
            let Some(at) = node.get("artifact") else { continue };
            let mode = self.value(node, "mode", FileMode(0o644));
            let (owner, group) = (self.owner(node, "owner"), self.owner(node, "group"));
            let Some(artifact) = self.artifact(at.text().unwrap_or_default(), at.span) else { continue };
            all.insert(key.as_ref().into(), ArtifactFile { artifact, mode, owner, group });
        }
        all
    }

    pub fn unpack(&mut self, entries: &'n [Entry<'s>]) -> BTreeMap<Name, UnpackSpec> {
        let mut all = BTreeMap::new();
        for entry in entries {
            let Some(artifact) = self.artifact(&entry.key, entry.at) else { continue };
            let Some(to) = self.text(&entry.value, "to") else { continue };
            let strip = self.value(&entry.value, "strip", 0);
            all.insert(artifact.name.clone(), UnpackSpec { artifact, to, strip });
        }
        all
    }

    /// A pool whose machines are of one kind takes no artifact that is not made for them.
    pub fn check_arch(&mut self, pool: &'n Entry<'s>, arch: Arch) {
        let Some(bootstrap) = pool.value.get("bootstrap") else { return };
        let entries = |key: &str| bootstrap.get(key).map(Node::entries).unwrap_or_default();
        let files = entries("files").iter().filter_map(|file| {
            let artifact = file.value.get("artifact")?;
            Some((artifact.text()?, artifact.span))
        });
        let unpacked = entries("unpack").iter().map(|entry| (&*entry.key, entry.at));
        let used: Vec<(&str, Span)> = files.chain(unpacked).collect();
        for (name, at) in used {
            let Some((name, spec)) = Name::new(name).ok().and_then(|name| self.artifacts.get_key_value(&name)) else {
                continue;
            };
            if spec.builds.is_empty() || spec.builds.iter().any(|build| build.arch.is_none_or(|of| of == arch)) {
                continue;
            }
            let message = format!("artifact `{name}` is not made for {}", arch.as_str());
            let note = format!("pools.{} asks for machines of that kind", pool.key);
            self.problems.push(Diagnostic::at(at, message).note(note));
        }
    }
}
