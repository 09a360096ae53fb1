//! Registries, and what runs containers.

use std::collections::BTreeMap;

use super::{Reader, access::secret, clusters::is_host_port, known::What};
use crate::{
    desired::{RegistryLogin, RegistrySpec, RuntimeSpec, SANDBOX_IMAGE, Sandbox},
    names::{Name, Text},
    yaml::{Entry, Node},
};

pub type Registries = BTreeMap<Name, RegistrySpec>;

impl<'n, 's> Reader<'n, 's> {
    pub fn registries(&mut self) -> Registries {
        self.map(self.section("registries"), |this, entry| {
            let node = &entry.value;
            let address = this.text(node, "address").unwrap_or_else(|| "".into());
            if let Some(at) = node.get("address").filter(|_| !is_host_port(&address)) {
                this.say(at.span, format!("`{address}` is not the address of a registry"), "write HOST[:PORT]");
            }
            RegistrySpec {
                address,
                ca: node.get("ca").and_then(|at| this.pem(at, "CERTIFICATE")),
                login: this.registry_login(entry),
                mirrors: this.mirrors(node),
            }
        })
    }

    fn registry_login(&mut self, entry: &Entry<'_>) -> Option<RegistryLogin> {
        let user = self.text(&entry.value, "user");
        let password = entry.value.get("password").and_then(secret);
        match (user, password) {
            (Some(user), Some(password)) => {
                if user.is_empty() || user.contains(|c: char| c.is_control() || c == ':') {
                    let message = format!("`{user}` is not the name of a user of a registry");
                    self.say(entry.value.get("user").map_or(entry.at, |at| at.span), message, "");
                }
                Some(RegistryLogin { user, password })
            }
            (None, None) => None,
            (Some(_), None) => self.say_none(entry, "password", "user"),
            (None, Some(_)) => self.say_none(entry, "user", "password"),
        }
    }

    fn say_none<T>(&mut self, entry: &Entry<'_>, missing: &str, given: &str) -> Option<T> {
        let message = format!("missing key `{missing}` in registries.{}", entry.key);
        self.say(entry.at, message, format!("needed with `{given}`"));
        None
    }

    fn mirrors(&mut self, node: &Node<'_>) -> BTreeMap<Text, Text> {
        let mut mirrors = BTreeMap::new();
        for entry in node.get("mirrors").map(Node::entries).unwrap_or_default() {
            let path = entry.value.text().unwrap_or_default();
            let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-/".contains(c);
            if !is_host_port(&entry.key) {
                let message = format!("`{}` is not the address of a registry", entry.key);
                self.say(entry.at, message, "as in docker.io");
            }
            if path.is_empty() || !path.chars().all(good) || path.split('/').any(|part| part.is_empty() || part == "..")
            {
                self.say(entry.value.span, format!("`{path}` is not a path of a registry"), "as in docker.io");
            }
            mirrors.insert(entry.key.as_ref().into(), path.into());
        }
        mirrors
    }

    /// `runtime:` of a bootstrap.
    pub fn runtime(&mut self, node: &'n Node<'s>, registries: &Registries) -> Option<Box<RuntimeSpec>> {
        let at = node.get("runtime")?;
        let kind = match at.scalar() {
            Some(_) => self.word(node, "runtime"),
            None => self.word(at, "type"),
        };
        let mut runtime = RuntimeSpec::new(kind?);
        if at.scalar().is_some() {
            return Some(Box::new(runtime));
        }
        runtime.sandbox_image = self.text(at, "sandbox_image").unwrap_or_else(|| SANDBOX_IMAGE.into());
        runtime.programs = self.text(at, "programs");
        for item in at.get("sandboxes").map(Node::items).unwrap_or_default() {
            let word = item.text().map(|word| serde_json::Value::String(word.to_owned()));
            runtime.sandboxes.extend(word.and_then(|word| serde_json::from_value::<Sandbox>(word).ok()));
        }
        runtime.sandboxes.sort();
        runtime.sandboxes.dedup();
        for item in at.get("registries").map(Node::items).unwrap_or_default() {
            let Some(name) = self.reference(item, What::Registry) else { continue };
            if let Some(spec) = registries.get(&name) {
                runtime.registries.insert(name, spec.clone());
            }
        }
        for item in at.get("images").map(Node::items).unwrap_or_default() {
            let artifact = self.artifact(item.text().unwrap_or_default(), item.span);
            runtime.images.extend(artifact.map(|artifact| (artifact.name.clone(), artifact)));
        }
        self.check_mirrors(at, &runtime);
        Some(Box::new(runtime))
    }

    /// One place to look for the images of a public registry.
    fn check_mirrors(&mut self, at: &Node<'_>, runtime: &RuntimeSpec) {
        let mut seen: BTreeMap<&Text, &Name> = BTreeMap::new();
        for (name, registry) in &runtime.registries {
            for public in registry.mirrors.keys() {
                if let Some(first) = seen.insert(public, name) {
                    let message = format!("registries `{first}` and `{name}` both mirror {public}");
                    self.say(at.span, message, "a host asks one of them");
                }
            }
        }
    }
}
