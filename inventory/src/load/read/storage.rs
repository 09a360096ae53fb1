//! Backends and tiers.

use std::collections::BTreeMap;

use super::{
    Reader,
    known::What,
    providers::{LOCAL_BACKEND, SIM_BACKENDS},
};
use crate::{
    desired::{BackendSpec, Provisioning, TierSpec},
    load::suggest::hint,
    names::{Name, Text, wildcard},
    units::Bytes,
    yaml::Node,
};

impl<'n, 's> Reader<'n, 's> {
    pub fn backends(&mut self) -> BTreeMap<Name, BackendSpec> {
        self.map(self.section("backends"), |this, entry| BackendSpec {
            path: this.text(&entry.value, "path").unwrap_or_else(|| "".into()),
            capacity: this.value(&entry.value, "capacity", Bytes(0)),
        })
    }

    pub fn tiers(&mut self) -> BTreeMap<Name, TierSpec> {
        let known = self.backend_names();
        self.map(self.section("tiers"), |this, entry| {
            let node = &entry.value;
            let list = node.get("backends").map(Node::items).unwrap_or_default();
            for item in list {
                this.check_backend(item, &known);
            }
            if let Some(empty) = node.get("backends").filter(|all| all.items().is_empty() && all.scalar().is_none()) {
                this.say(empty.span, format!("nothing can serve tiers.{}", entry.key), "name a backend");
            }
            TierSpec {
                media: this.word(node, "media"),
                min_iops: this.optional(node, "min_iops"),
                provisioning: this.word(node, "provisioning").unwrap_or(Provisioning::Thin),
                backends: this.texts(node, "backends"),
            }
        })
    }

    /// All backends: declared ones, and `PROVIDER/NAME` of what providers bring.
    fn backend_names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.section("backends").iter().map(|entry| entry.key.to_string()).collect();
        for entry in self.section("providers") {
            let own = entry.value.get("backends").map(Node::entries).unwrap_or_default();
            let brings: Vec<&str> = match entry.value.get("type").and_then(Node::text) {
                Some("local") => vec![LOCAL_BACKEND],
                Some("sim") => SIM_BACKENDS.into_iter().chain(own.iter().map(|backend| &*backend.key)).collect(),
                _ => Vec::new(),
            };
            names.extend(brings.into_iter().map(|name| format!("{}/{name}", entry.key)));
        }
        names
    }

    fn check_backend(&mut self, item: &Node<'_>, known: &[String]) {
        let Some(pattern) = item.text() else { return };
        if known.iter().any(|name| wildcard(pattern, name) && pattern.contains('/') == name.contains('/')) {
            return;
        }
        // Which volume types a cloud has is known to the cloud alone.
        let of_a_cloud = |provider: &str| {
            let mut all = self.known.names(What::Provider).filter(|name| wildcard(provider, name));
            all.any(|name| self.known.provider_type(name) == Some("openstack"))
        };
        match pattern.split_once('/') {
            Some((provider, volume_type)) if !volume_type.is_empty() && of_a_cloud(provider) => {}
            Some((provider, _)) if !provider.contains('*') && !self.known.has(What::Provider, provider) => {
                let span = item.span;
                self.known.check(What::Provider, provider, span, &mut self.problems);
            }
            _ => {
                let is_cloud = |name: &&str| self.known.provider_type(name) == Some("openstack");
                let cloud = self.known.names(What::Provider).find(is_cloud);
                let note = match (hint(pattern, known.iter().map(String::as_str)), cloud) {
                    (_, Some(cloud)) if known.is_empty() => format!("a volume type is called {cloud}/{pattern}"),
                    (note, _) => note,
                };
                self.say(item.span, format!("unknown backend `{pattern}`"), note);
            }
        }
    }

    /// Labels of anything that has them.
    pub fn labels(&mut self, node: &Node<'_>) -> BTreeMap<Text, Text> {
        let entries = node.get("labels").map(Node::entries).unwrap_or_default();
        let mut labels = BTreeMap::new();
        for entry in entries {
            let value = entry.value.text().unwrap_or("");
            if !is_label(&entry.key) || entry.key.len() > 63 {
                self.say(
                    entry.at,
                    format!("`{}` is not a label", entry.key),
                    "a-z, A-Z, 0-9, `-`, `_`, `.`, `/`; at most 63",
                );
            }
            if value.len() > 255 || value.chars().any(|c| c.is_control() || matches!(c, ',' | '=')) {
                self.say(entry.value.span, "not the value of a label", "at most 255 bytes, without `,` and `=`");
            }
            labels.insert(entry.key.as_ref().into(), value.into());
        }
        labels
    }
}

fn is_label(key: &str) -> bool {
    key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'/'))
}
