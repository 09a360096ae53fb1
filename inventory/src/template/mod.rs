//! Templates of files: what they may see, checked when the inventory is read, rendered when a host is set up.
//!
//! A template sees three things: `self` (this host: `name`, `address`, `pool`, `tenant`, `environment`, `labels`), `var` (the variables of
//! the inventory), and `hosts.POOL` (the hosts of a pool, each with `name`, `address`, `labels`; a pool whose name has a `-` is
//! written `hosts["my-pool"]`). Anything else, and anything undefined, is an error. Nothing is escaped: files are no web pages.

mod scan;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::OnceLock,
};

use tera::{Context, ErrorKind, Map, Tera, Value};

use crate::{
    desired::{Scalar, TemplateSource},
    diagnostics::Diagnostic,
    names::{Name, Text},
    object::KnownHost,
    source::{FileId, Span},
};

/// Most pools that one template may mention.
pub const MAX_POOLS: usize = 1_000;

/// What `self` has.
pub const SELF_FIELDS: [&str; 6] = ["name", "address", "pool", "tenant", "environment", "labels"];

/// What a template mentions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TemplateInfo {
    /// Pools whose hosts it mentions.
    pub pools: BTreeSet<Name>,
    /// Each `hosts.POOL`, with its place.
    pub hosts: Vec<(Name, Span)>,
    /// Each `var.NAME`, with its place.
    pub variables: Vec<(Text, Span)>,
}

/// Checks a template by itself: syntax, unknown names, unknown fields of `self`.
///
/// Whether the pools and variables that it mentions exist is for the caller to say, who knows the inventory.
pub fn check(file: FileId, text: &str) -> Result<TemplateInfo, Diagnostic> {
    let mut tera = base().clone();
    if let Err(error) = tera.add_raw_template("template", text) {
        return Err(syntax(file, text, &error));
    }
    let roots = tera.get_template_variables("template").map_err(|error| syntax(file, text, &error))?;
    let uses = scan::uses(text);
    for used in &uses {
        let span = Span::new(file, used.at.clone());
        let known = ["self", "var", "hosts"].contains(&used.root);
        if !known && roots.contains(used.root) {
            let note = "a template sees self, var and hosts";
            return Err(Diagnostic::at(span, format!("unknown name `{}` in a template", used.root)).note(note));
        }
        if used.assigned && known {
            let message = format!("`{}` is taken: a template cannot give it another meaning", used.root);
            return Err(Diagnostic::at(span, message));
        }
    }
    collect(file, &uses)
}

fn collect(file: FileId, uses: &[scan::Use<'_>]) -> Result<TemplateInfo, Diagnostic> {
    let mut info = TemplateInfo::default();
    for used in uses {
        let span = Span::new(file, used.at.clone());
        match (used.root, &used.key) {
            ("hosts", Some(key)) => {
                let name = Name::new(key).map_err(|e| Diagnostic::at(span, format!("`hosts.{key}`: {e}")))?;
                info.pools.insert(name.clone());
                info.hosts.push((name, span));
                if info.pools.len() > MAX_POOLS {
                    return Err(Diagnostic::at(span, format!("a template mentions more than {MAX_POOLS} pools")));
                }
            }
            ("hosts", None) => {
                let note = "write hosts.POOL or hosts[\"POOL\"] in full";
                let message = "`hosts` without the name of a pool";
                return Err(Diagnostic::at(span, message)
                    .note(note)
                    .help("what a template depends on must be known before it is rendered"));
            }
            ("var", Some(key)) => info.variables.push((key.as_str().into(), span)),
            ("self", Some(key)) if !SELF_FIELDS.contains(&key.as_str()) => {
                let message = format!("unknown field `self.{key}` in a template");
                let note = format!("self has {}", SELF_FIELDS.join(", "));
                return Err(Diagnostic::at(span, message).note(note));
            }
            _ => {}
        }
    }
    Ok(info)
}

fn syntax(file: FileId, text: &str, error: &tera::Error) -> Diagnostic {
    match error.kind() {
        ErrorKind::SyntaxError(report) => {
            let range = report.span().range.clone();
            let start = range.start.min(text.len());
            let span = Span::new(file, start..range.end.clamp(start, text.len()));
            Diagnostic::at(span, format!("template: {}", report.message()))
        }
        ErrorKind::TemplateNotFound(_) | ErrorKind::MissingParent { .. } => {
            Diagnostic::at(Span::new(file, 0..0), "template: `extends` and `include` are not carried out yet")
        }
        other => {
            // Its report repeats the source; the first line says it.
            let message = other.to_string();
            let first = message.lines().next().unwrap_or("").trim_start_matches("error: ").to_owned();
            Diagnostic::at(Span::new(file, 0..0), format!("template: {first}"))
        }
    }
}

/// Filters and tests, built once.
fn base() -> &'static Tera {
    static BASE: OnceLock<Tera> = OnceLock::new();
    BASE.get_or_init(|| {
        let mut tera = Tera::new();
        tera.autoescape_on(Vec::<&'static str>::new());
        tera
    })
}

/// `var` and `hosts`: built once per pool and shared by all its hosts.
#[derive(Debug, Clone)]
pub struct SharedContext {
    var: Value,
    hosts: Value,
}

impl SharedContext {
    /// From the variables, and the hosts of each pool that templates mention.
    pub fn new(variables: &BTreeMap<Text, Scalar>, hosts: &BTreeMap<Name, Vec<KnownHost>>) -> Self {
        let var: Map = variables.iter().map(|(name, value)| (name.to_string().into(), scalar(value))).collect();
        let hosts: Map = hosts
            .iter()
            .map(|(pool, hosts)| (pool.to_string().into(), Value::from(hosts.iter().map(known).collect::<Vec<_>>())))
            .collect();
        Self { var: Value::from(var), hosts: Value::from(hosts) }
    }
}

fn scalar(value: &Scalar) -> Value {
    match value {
        Scalar::Bool(value) => Value::from(*value),
        Scalar::Int(value) => Value::from(*value),
        Scalar::Text(value) => Value::normal_string(value),
    }
}

/// An address that is not known yet stays undefined, so that using it is an error.
fn known(host: &KnownHost) -> Value {
    let mut map = Map::default();
    map.insert("name".into(), Value::normal_string(&host.name));
    if let Some(endpoint) = &host.endpoint {
        map.insert("address".into(), Value::normal_string(&endpoint.host));
    }
    map.insert("labels".into(), labels(&host.labels));
    Value::from(map)
}

fn labels(labels: &BTreeMap<Text, Text>) -> Value {
    let map: Map = labels.iter().map(|(key, value)| (key.to_string().into(), Value::normal_string(value))).collect();
    Value::from(map)
}

/// `self`: the host that a template is rendered for.
#[derive(Debug, Clone, Copy)]
pub struct SelfHost<'a> {
    /// Its name.
    pub name: &'a str,
    /// IP address or DNS name where it answers.
    pub address: &'a str,
    /// Its pool.
    pub pool: &'a str,
    /// Its tenant.
    pub tenant: &'a str,
    /// The environment.
    pub environment: &'a str,
    /// Labels of its pool.
    pub labels: &'a BTreeMap<Text, Text>,
}

/// Everything that a template sees.
#[derive(Debug, Clone)]
pub struct TemplateContext(Context);

impl TemplateContext {
    /// For one host; O(size of the host), the shared part is not copied.
    pub fn new(shared: &SharedContext, host: &SelfHost<'_>) -> Self {
        let mut own = Map::default();
        for (name, value) in [
            ("name", host.name),
            ("address", host.address),
            ("pool", host.pool),
            ("tenant", host.tenant),
            ("environment", host.environment),
        ] {
            own.insert(name.into(), Value::normal_string(value));
        }
        own.insert("labels".into(), labels(host.labels));
        let mut context = Context::new();
        context.insert_value("self", Value::from(own));
        context.insert_value("var", shared.var.clone());
        context.insert_value("hosts", shared.hosts.clone());
        Self(context)
    }
}

/// Why a template gave no text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}:{line}:{column}: failed to render: {message}")]
pub struct TemplateError {
    /// The template.
    pub path: Text,
    /// Line from 1; 0 where it is not known.
    pub line: usize,
    /// Column from 1; 0 where it is not known.
    pub column: usize,
    /// What is wrong.
    pub message: String,
}

impl TemplateError {
    fn new(path: &Text, error: &tera::Error) -> Self {
        match error.kind() {
            ErrorKind::SyntaxError(report) | ErrorKind::RenderingError(report) => Self {
                path: path.clone(),
                line: report.span().start_line,
                column: report.span().start_col + 1,
                message: report.message().to_owned(),
            },
            other => Self { path: path.clone(), line: 0, column: 0, message: other.to_string() },
        }
    }
}

/// A template read once, for many hosts.
pub struct Template {
    tera: Tera,
    path: Text,
}

impl Template {
    /// Reads it.
    pub fn new(source: &TemplateSource) -> Result<Self, TemplateError> {
        let mut tera = base().clone();
        tera.add_raw_template(&source.path, &source.text).map_err(|e| TemplateError::new(&source.path, &e))?;
        Ok(Self { tera, path: source.path.clone() })
    }

    /// Its text for one host. Anything undefined is an error.
    pub fn render(&self, context: &TemplateContext) -> Result<String, TemplateError> {
        self.tera.render(&self.path, &context.0).map_err(|error| TemplateError::new(&self.path, &error))
    }
}

/// Renders a template for one host; for many hosts, keep a [`Template`].
pub fn render(source: &TemplateSource, context: &TemplateContext) -> Result<String, TemplateError> {
    Template::new(source)?.render(context)
}

#[cfg(test)]
mod tests;
