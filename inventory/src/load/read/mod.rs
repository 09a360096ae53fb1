//! Typed values from a checked tree, and the rules between entries.
//!
//! Reading goes on after a problem with a value that stands in for what is wrong: with any problem the result is thrown
//! away, and until then the other problems should be found.

mod access;
mod artifacts;
mod bootstrap;
pub use self::bootstrap::MAX_TEXT;
mod clusters;
mod existing;
mod known;
mod networks;
mod places;
mod pools;
mod providers;
mod rules;
mod runtimes;
mod storage;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
};

use self::known::{Known, What};
use super::{environment::Elsewhere, vars::Values};
use crate::{
    desired::{ArtifactSpec, ClassSpec, Desired, Policy, QuotaSpec, TenantSpec},
    diagnostics::{Diagnostic, Problems},
    names::{Address, Name, Text},
    source::{Sources, Span},
    template::TemplateInfo,
    units::{Bytes, Money},
    yaml::{Entry, Node},
};

/// What is read.
pub struct Input<'n, 's, 'e> {
    /// The checked tree.
    pub root: &'n Node<'s>,
    /// Variables and environments, taken out of it.
    pub early: &'n Node<'s>,
    /// The inventory's folder.
    pub folder: &'n Path,
    /// The environment that is meant.
    pub environment: Name,
    /// Entries of other environments.
    pub elsewhere: &'n Elsewhere<'s>,
    /// Variables.
    pub values: Values<'e>,
}

/// What came of it.
pub struct Done {
    /// Of use only without problems.
    pub desired: Desired,
    /// What was found.
    pub problems: Problems,
    /// What is allowed and probably not meant.
    pub warnings: Vec<Diagnostic>,
    /// All texts, with those of templates.
    pub sources: Sources,
    /// Files that only their content was taken from.
    pub plain_files: Vec<PathBuf>,
}

/// Reads everything.
pub fn read(input: Input<'_, '_, '_>, sources: Sources, problems: Problems) -> Done {
    let Input { root, early, folder, environment, elsewhere, values } = input;
    let known = Known::new(root, elsewhere, environment.clone());
    let mut reader = Reader {
        root,
        early,
        folder,
        known,
        sources,
        problems,
        warnings: Vec::new(),
        unread: Vec::new(),
        texts: BTreeMap::new(),
        templates: BTreeMap::new(),
        held: 0,
        artifacts: BTreeMap::new(),
        variables: values.typed,
    };
    let desired = reader.desired(environment);
    rules::check(&mut reader, &desired);
    reader.finish(desired)
}

struct Reader<'n, 's> {
    root: &'n Node<'s>,
    early: &'n Node<'s>,
    folder: &'n Path,
    known: Known,
    sources: Sources,
    problems: Problems,
    warnings: Vec<Diagnostic>,
    /// Values that passed the check and could not be read all the same; a fault of ours, never silent.
    unread: Vec<Span>,
    /// Files read for `source:`, by path below the folder.
    texts: BTreeMap<String, Option<Text>>,
    /// Templates, by path below the folder.
    templates: BTreeMap<String, Option<(Text, Arc<TemplateInfo>)>>,
    /// Bytes of both.
    held: usize,
    artifacts: BTreeMap<Name, ArtifactSpec>,
    variables: BTreeMap<Text, crate::desired::Scalar>,
}

impl<'n, 's> Reader<'n, 's> {
    fn desired(&mut self, environment: Name) -> Desired {
        let protected = self.early.get("environments").and_then(|all| all.get(&environment));
        let protected = protected.is_some_and(|env| self.flag(env, "protected", false));
        let inventory = self.root.get("name").and_then(|node| self.name(node));
        let mut providers = self.providers();
        let mut images = self.images();
        let networks = self.networks(&mut providers);
        let tiers = self.tiers();
        self.artifacts = self.artifacts();
        let registries = self.registries();
        let mut pools = self.pools(&providers, &networks, &mut images, &registries);
        let clusters = self.clusters();
        self.fit_to_clusters(&mut pools, &clusters);
        Desired {
            inventory: inventory.unwrap_or_else(|| environment.clone()),
            environment,
            protected,
            variables: self.variables.clone(),
            tenants: self.tenants(),
            classes: self.classes(),
            images,
            artifacts: std::mem::take(&mut self.artifacts),
            networks,
            backends: self.backends(),
            tiers,
            pools,
            clusters,
            policy: self.policy(),
            moved: self.moved(),
            providers,
        }
    }

    fn finish(mut self, desired: Desired) -> Done {
        if self.problems.is_empty() {
            let fault =
                |span| Diagnostic::at(span, "this value passed the checks and cannot be read: a fault of `pool`");
            self.problems.extend(self.unread.into_iter().map(fault));
        }
        let plain = self.texts.iter().filter(|(_, text)| text.is_some()).map(|(path, _)| self.folder.join(path));
        let plain_files = plain.collect();
        Done { desired, problems: self.problems, warnings: self.warnings, sources: self.sources, plain_files }
    }

    /// Entries of a top-level section.
    fn section(&self, name: &str) -> &'n [Entry<'s>] {
        self.root.get(name).or_else(|| self.early.get(name)).map(Node::entries).unwrap_or_default()
    }

    /// Entries of a map, each read; bad names were said already.
    fn map<T>(
        &mut self,
        entries: &'n [Entry<'s>],
        mut read: impl FnMut(&mut Self, &'n Entry<'s>) -> T,
    ) -> BTreeMap<Name, T> {
        let named = entries.iter().filter_map(|entry| Some((Name::new(&entry.key).ok()?, entry)));
        named.map(|(name, entry)| (name, read(self, entry))).collect()
    }

    fn say(&mut self, span: Span, message: impl Into<String>, note: impl Into<String>) {
        self.problems.push(Diagnostic::at(span, message).note(note));
    }

    /// The value of a key, or what stands in for it.
    fn value<T: FromStr>(&mut self, node: &Node<'_>, key: &str, otherwise: T) -> T {
        self.optional(node, key).unwrap_or(otherwise)
    }

    /// The value of a key that may be missing.
    fn optional<T: FromStr>(&mut self, node: &Node<'_>, key: &str) -> Option<T> {
        let value = node.get(key)?;
        let read = value.text()?.parse().ok();
        if read.is_none() {
            self.unread.push(value.span);
        }
        read
    }

    fn flag(&mut self, node: &Node<'_>, key: &str, otherwise: bool) -> bool {
        self.value(node, key, otherwise)
    }

    fn text(&self, node: &Node<'_>, key: &str) -> Option<Text> {
        Some(node.get(key)?.text()?.into())
    }

    fn texts<C: FromIterator<Text>>(&self, node: &Node<'_>, key: &str) -> C {
        let items = node.get(key).map(Node::items).unwrap_or_default();
        items.iter().filter_map(|item| item.text().map(Text::from)).collect()
    }

    fn name(&mut self, node: &Node<'_>) -> Option<Name> {
        Name::new(node.text()?).ok()
    }

    /// One of a few words, as serde spells them.
    fn word<T: serde::de::DeserializeOwned>(&mut self, node: &Node<'_>, key: &str) -> Option<T> {
        let value = node.get(key)?;
        let read = serde_json::from_value(serde_json::Value::String(value.text()?.to_owned())).ok();
        if read.is_none() {
            self.unread.push(value.span);
        }
        read
    }

    /// A name that must be declared in a section.
    fn reference(&mut self, node: &Node<'_>, what: What) -> Option<Name> {
        let name = self.name(node)?;
        self.known.check(what, &name, node.span, &mut self.problems).then_some(name)
    }

    fn tenant_of(&mut self, node: &Node<'_>) -> Name {
        let named = node.get("tenant").and_then(|tenant| self.reference(tenant, What::Tenant));
        named.unwrap_or_else(known::default_tenant)
    }

    fn tenants(&mut self) -> BTreeMap<Name, TenantSpec> {
        let mut tenants = self.map(self.section("tenants"), |this, entry| {
            let quota = entry.value.get("quota").map(|quota| this.quota(quota, Some(What::Tier)));
            let isolation = this.word(&entry.value, "isolation").unwrap_or_default();
            TenantSpec { quota: quota.unwrap_or_default(), isolation }
        });
        tenants.entry(known::default_tenant()).or_default();
        tenants
    }

    fn classes(&mut self) -> BTreeMap<Name, ClassSpec> {
        self.map(self.section("classes"), |this, entry| ClassSpec {
            priority: this.value(&entry.value, "priority", 0),
            sla: this.optional(&entry.value, "sla"),
            importance: this.text(&entry.value, "importance"),
            function: this.text(&entry.value, "function"),
            sensitivity: this.text(&entry.value, "sensitivity"),
        })
    }

    /// Storage is limited per tier, or, in an account, per backend.
    fn quota(&mut self, node: &'n Node<'s>, storage: Option<What>) -> QuotaSpec {
        let entries = node.get("storage").map(Node::entries).unwrap_or_default();
        let storage = self.map(entries, |this, entry| {
            if let (Some(what), Ok(name)) = (storage, Name::new(&entry.key)) {
                this.known.check(what, &name, entry.at, &mut this.problems);
            }
            entry.value.text().and_then(|text| text.parse().ok()).unwrap_or_default()
        });
        QuotaSpec {
            hosts: self.optional(node, "hosts"),
            vcpus: self.optional(node, "vcpus"),
            memory: self.optional(node, "memory"),
            storage,
            cost: node.get("cost").and_then(|cost| Money::parse_monthly(cost.text()?).ok()),
        }
    }

    fn policy(&mut self) -> Policy {
        let otherwise = Policy::default();
        let Some(node) = self.root.get("policy") else { return otherwise };
        Policy {
            max_replaced: self.value(node, "max_replaced", otherwise.max_replaced),
            max_destroyed: self.value(node, "max_destroyed", otherwise.max_destroyed),
            plan_ttl: self.value(node, "plan_ttl", otherwise.plan_ttl),
            min_gain: self.value(node, "min_gain", otherwise.min_gain),
            min_residence: self.value(node, "min_residence", otherwise.min_residence),
            uploads: self.optional(node, "uploads"),
            upload_rate: node.get("upload_rate").and_then(|rate| Bytes::parse_rate(rate.text()?).ok()),
        }
    }

    fn moved(&mut self) -> BTreeMap<Address, Address> {
        let pairs = self
            .section("moved")
            .iter()
            .filter_map(|entry| Some((entry.key.parse().ok()?, entry.value.text()?.parse().ok()?)));
        pairs.collect()
    }
}
