//! What is done on hosts, and the files that it takes its texts from.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use super::{Reader, access, known::What};
use crate::{
    desired::{BootstrapSpec, DirectorySpec, FileSource, FileSpec, ScriptSpec, ServiceSpec, TemplateSource, UserSpec},
    diagnostics::Diagnostic,
    files,
    load::suggest::hint,
    names::{Name, Text},
    source::{SourceFile, Span},
    template::{self, TemplateInfo},
    units::{FileMode, TimeSpan},
    yaml::{Entry, Node},
};

/// Largest template or source of a file, in bytes: they are held in plans.
pub const MAX_TEXT: usize = 1 << 20;

/// Most bytes of templates and sources of one inventory.
pub const MAX_TEXTS: usize = 64 << 20;

impl<'n, 's> Reader<'n, 's> {
    pub fn bootstrap(&mut self, node: &'n Node<'s>) -> BootstrapSpec {
        let entries = |key: &str| node.get(key).map(Node::entries).unwrap_or_default();
        self.check_packages(node);
        BootstrapSpec {
            packages: self.texts(node, "packages"),
            users: self.map(entries("users"), |this, entry| this.user(&entry.value)),
            directories: self.keyed(entries("directories"), |this, entry| this.directory(&entry.value)),
            files: self.files(entries("files")),
            artifact_files: self.artifact_files(entries("files")),
            unpack: self.unpack(entries("unpack")),
            sysctl: self.sysctl(entries("sysctl")),
            services: self.services(entries("services")),
            scripts: self.map(entries("scripts"), |this, entry| this.script(&entry.value)),
            // They depend on other sections: see `clusters`.
            runtime: None,
            node: None,
        }
    }

    fn keyed<T>(
        &mut self,
        entries: &'n [Entry<'s>],
        mut read: impl FnMut(&mut Self, &'n Entry<'s>) -> T,
    ) -> BTreeMap<Text, T> {
        entries.iter().map(|entry| (Text::from(&*entry.key), read(self, entry))).collect()
    }

    fn check_packages(&mut self, node: &Node<'_>) {
        let mut seen = BTreeSet::new();
        for item in node.get("packages").map(Node::items).unwrap_or_default() {
            let Some(name) = item.text() else { continue };
            let first = name.bytes().next().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
            let rest = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.');
            if !first || name.len() < 2 || !name.bytes().all(rest) {
                self.say(item.span, format!("`{name}` is not the name of a Debian package"), "");
            }
            if !seen.insert(name) {
                self.say(item.span, format!("package `{name}` is listed twice"), "");
            }
        }
    }

    fn user(&mut self, node: &Node<'_>) -> UserSpec {
        for item in node.get("authorized_keys").map(Node::items).unwrap_or_default() {
            if item.text().is_some_and(|line| line.contains('\n')) {
                self.say(item.span, "one key is one line", "make it several items");
            }
        }
        let groups = node.get("groups").map(Node::items).unwrap_or_default();
        UserSpec {
            groups: groups.iter().filter_map(|group| Name::new(group.text()?).ok()).collect(),
            shell: self.text(node, "shell"),
            authorized_keys: self.texts(node, "authorized_keys"),
            sudo: self.flag(node, "sudo", false),
        }
    }

    pub fn owner(&mut self, node: &Node<'_>, key: &str) -> Option<Text> {
        let owner = self.text(node, key);
        if let (Some(at), Some(name)) = (node.get(key), &owner)
            && !access::is_login(name)
        {
            self.say(at.span, format!("`{name}` is not the name of a user or group"), "");
        }
        owner
    }

    fn directory(&mut self, node: &Node<'_>) -> DirectorySpec {
        DirectorySpec {
            mode: self.value(node, "mode", FileMode(0o755)),
            owner: self.owner(node, "owner"),
            group: self.owner(node, "group"),
        }
    }

    fn files(&mut self, entries: &'n [Entry<'s>]) -> BTreeMap<Text, FileSpec> {
        let written = entries.iter().filter(|entry| entry.value.get("artifact").is_none());
        written.map(|entry| (Text::from(&*entry.key), self.file(&entry.value))).collect()
    }

    fn file(&mut self, node: &Node<'_>) -> FileSpec {
        let source = if let Some(at) = node.get("template") {
            self.template(at).map(FileSource::Template)
        } else if let Some(at) = node.get("source") {
            self.source(at).map(FileSource::Content)
        } else {
            self.text(node, "content").map(FileSource::Content)
        };
        FileSpec {
            source: source.unwrap_or_else(|| FileSource::Content("".into())),
            mode: self.value(node, "mode", FileMode(0o644)),
            owner: self.owner(node, "owner"),
            group: self.owner(node, "group"),
        }
    }

    fn sysctl(&mut self, entries: &[Entry<'_>]) -> BTreeMap<Text, Text> {
        let mut all = BTreeMap::new();
        for entry in entries {
            let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'/' | b':');
            let value = entry.value.text().unwrap_or("");
            if !entry.key.bytes().all(good) || entry.key.contains("..") || entry.key.starts_with(['.', '-', '/']) {
                self.say(entry.at, format!("`{}` is not a kernel setting", entry.key), "as in net.ipv4.ip_forward");
            }
            if value.contains('\n') {
                self.say(entry.value.span, "a kernel setting is one line", "");
            }
            all.insert(entry.key.as_ref().into(), value.into());
        }
        all
    }

    fn services(&mut self, entries: &'n [Entry<'s>]) -> BTreeMap<Text, ServiceSpec> {
        self.keyed(entries, |this, entry| {
            let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'@' | b':' | b'\\');
            if entry.key.ends_with(".service") || !entry.key.bytes().all(good) || entry.key.starts_with('-') {
                let note = "without `.service`, as in chrony";
                this.say(entry.at, format!("`{}` is not the name of a service", entry.key), note);
            }
            let enabled = this.flag(&entry.value, "enabled", true);
            ServiceSpec { enabled, running: this.flag(&entry.value, "running", true) }
        })
    }

    fn script(&mut self, node: &Node<'_>) -> ScriptSpec {
        let text = |this: &Self, key: &str| this.text(node, key).unwrap_or_else(|| "".into());
        ScriptSpec {
            check: text(self, "check"),
            run: text(self, "run"),
            timeout: self.value(node, "timeout", TimeSpan::secs(300)),
        }
    }

    pub fn source(&mut self, at: &Node<'_>) -> Option<Text> {
        let path = at.text()?;
        if let Some(known) = self.texts.get(path) {
            return known.clone();
        }
        let text = self.read_text(path, at.span).map(Text::from);
        self.texts.insert(path.to_owned(), text.clone());
        text
    }

    fn template(&mut self, at: &Node<'_>) -> Option<TemplateSource> {
        let path = at.text()?;
        if !self.templates.contains_key(path) {
            let read = self.read_template(path, at.span);
            self.templates.insert(path.to_owned(), read);
        }
        let (text, info) = self.templates.get(path)?.clone()?;
        Some(TemplateSource { path: path.into(), text, pools: info.pools.clone() })
    }

    fn read_template(&mut self, path: &str, at: Span) -> Option<(Text, Arc<TemplateInfo>)> {
        let text = self.read_text(path, at)?;
        let file = SourceFile::new(self.folder.join(path), path, text);
        let file = Arc::new(file);
        let id = self.sources.add(file.clone());
        match template::check(id, &file.text) {
            Ok(info) => {
                self.check_mentions(&info);
                Some((file.text.as_str().into(), Arc::new(info)))
            }
            Err(problem) => {
                self.problems.push(problem);
                None
            }
        }
    }

    fn check_mentions(&mut self, info: &TemplateInfo) {
        for (pool, span) in &info.hosts {
            self.known.check(What::Pool, pool, *span, &mut self.problems);
        }
        for (variable, span) in &info.variables {
            if !self.variables.contains_key(variable) && self.problems.is_empty() | !self.declared_variable(variable) {
                let note = hint(variable, self.variables.keys().map(|name| &**name));
                self.problems.push(Diagnostic::at(*span, format!("undefined variable `var.{variable}`")).note(note));
            }
        }
    }

    fn declared_variable(&self, name: &str) -> bool {
        self.section("variables").iter().any(|entry| entry.key == name)
    }

    /// A file below the inventory's folder.
    fn read_text(&mut self, path: &str, at: Span) -> Option<String> {
        let inside = Path::new(path).components().all(|part| matches!(part, std::path::Component::Normal(_)));
        if !inside || path.is_empty() {
            let note = "write a path below the folder of pool.yaml";
            self.say(at, format!("`{path}` lies outside the inventory"), note);
            return None;
        }
        if self.held > MAX_TEXTS {
            self.say(at, format!("templates and sources hold more than {} MiB", MAX_TEXTS >> 20), "");
            return None;
        }
        match files::read_text(&self.folder.join(path), MAX_TEXT) {
            Ok(text) => {
                self.held += text.len();
                Some(text)
            }
            Err(error) => {
                let (message, note) = describe(path, &error);
                self.say(at, message, note);
                None
            }
        }
    }
}

fn describe(path: &str, error: &files::FilesError) -> (String, String) {
    match error {
        files::FilesError::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
            (format!("file `{path}` does not exist"), "paths start at the folder of pool.yaml".into())
        }
        files::FilesError::Io { source, .. } => (format!("failed to read `{path}`: {source}"), String::new()),
        files::FilesError::NotText { at, .. } => (format!("`{path}` is not UTF-8 text (byte {at})"), String::new()),
        files::FilesError::TooLarge { limit, .. } => {
            (format!("`{path}` is larger than {} MiB", limit >> 20), String::new())
        }
        other => (other.to_string(), String::new()),
    }
}
