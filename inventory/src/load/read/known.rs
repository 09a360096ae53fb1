//! Which names are declared, and what a reference to another one is told.

use std::collections::{BTreeMap, BTreeSet};

use super::super::{environment::Elsewhere, suggest::hint};
use crate::{
    diagnostics::{Diagnostic, Problems},
    names::Name,
    source::Span,
    yaml::Node,
};

/// What a name can refer to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    Provider,
    Tenant,
    Class,
    Artifact,
    Network,
    Tier,
    Pool,
    Registry,
}

impl What {
    fn section(self) -> &'static str {
        match self {
            What::Provider => "providers",
            What::Tenant => "tenants",
            What::Class => "classes",
            What::Artifact => "artifacts",
            What::Network => "networks",
            What::Tier => "tiers",
            What::Pool => "pools",
            What::Registry => "registries",
        }
    }

    fn word(self) -> &'static str {
        match self {
            What::Class => "class",
            What::Registry => "registry",
            other => other.section().trim_end_matches('s'),
        }
    }
}

/// The tenant of what names none.
pub fn default_tenant() -> Name {
    Name::new("default").expect("it fits the grammar")
}

/// All declared names.
pub struct Known {
    environment: Name,
    here: BTreeMap<&'static str, BTreeSet<String>>,
    elsewhere: BTreeMap<&'static str, BTreeSet<String>>,
    provider_types: BTreeMap<String, String>,
}

impl Known {
    pub fn new(root: &Node<'_>, elsewhere: &Elsewhere<'_>, environment: Name) -> Self {
        let mut here = BTreeMap::new();
        let mut other = BTreeMap::new();
        for what in [
            What::Provider,
            What::Tenant,
            What::Class,
            What::Artifact,
            What::Network,
            What::Tier,
            What::Pool,
            What::Registry,
        ] {
            let section = what.section();
            let entries = root.get(section).map(Node::entries).unwrap_or_default();
            let mut names: BTreeSet<String> = entries.iter().map(|entry| entry.key.to_string()).collect();
            if what == What::Tenant {
                names.insert(default_tenant().to_string());
            }
            here.insert(section, names);
            let entries = elsewhere.get(section).map(Vec::as_slice).unwrap_or_default();
            other.insert(section, entries.iter().map(|entry| entry.key.to_string()).collect());
        }
        let providers = root.get("providers").map(Node::entries).unwrap_or_default();
        let kind = |node: &Node<'_>| node.get("type").and_then(Node::text).unwrap_or("").to_owned();
        let provider_types = providers.iter().map(|entry| (entry.key.to_string(), kind(&entry.value))).collect();
        Self { environment, here, elsewhere: other, provider_types }
    }

    /// Names of a section.
    pub fn names(&self, what: What) -> impl Iterator<Item = &str> + Clone {
        self.here.get(what.section()).into_iter().flatten().map(String::as_str)
    }

    /// Whether it is declared.
    pub fn has(&self, what: What, name: &str) -> bool {
        self.here.get(what.section()).is_some_and(|names| names.contains(name))
    }

    /// The word after `type:`, as it is written, right or wrong.
    pub fn provider_type(&self, name: &str) -> Option<&str> {
        self.provider_types.get(name).map(String::as_str)
    }

    /// Says so when a name is not declared.
    pub fn check(&self, what: What, name: &str, span: Span, problems: &mut Problems) -> bool {
        if self.has(what, name) {
            return true;
        }
        let word = what.word();
        let there = self.elsewhere.get(what.section()).is_some_and(|names| names.contains(name));
        problems.push(if there {
            let message = format!("{word} `{name}` does not exist in environment `{}`", self.environment);
            Diagnostic::at(span, message).note("its entry says `in: […]`")
        } else {
            Diagnostic::at(span, format!("unknown {word} `{name}`")).note(hint(name, self.names(what)))
        });
        false
    }
}
