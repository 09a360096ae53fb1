//! Credentials as every OpenStack client reads them.
//!
//! `cloud` of the inventory, or `OS_CLOUD`, names an entry of `clouds.yaml`; else the other `OS_*` variables say all.
//! Nothing here is asked of the cloud, and no message or `Debug` shows a secret.

use std::{fmt, path::PathBuf};

use pool_inventory::{Text, desired::OpenStackSpec};
use reqwest::Url;
use serde_json::{Map, Value, json};
use serde_yaml::{Mapping, Value as Yaml};
use zeroize::Zeroizing;

use super::{client::Service, clouds, invalid};
use crate::ProviderError;

/// How variables of the environment are read.
pub(super) type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Everything that is needed to log in and to find the services.
#[derive(Clone)]
pub(super) struct Credentials {
    /// What messages call them: `cloud demo of /etc/openstack/clouds.yaml`.
    pub source: Text,
    /// Where tokens are asked for.
    pub tokens: Url,
    /// The request for a token.
    pub login: Zeroizing<String>,
    /// Region; none: the only one that there is.
    pub region: Option<Text>,
    /// Which of a service's addresses: `public`, `internal`, `admin`.
    pub interface: Text,
    /// Certificates to trust, beside those of the system.
    pub cacert: Option<PathBuf>,
    /// Whether certificates are checked.
    pub verify: bool,
    /// Addresses of services, in place of those of the catalogue.
    pub overrides: Vec<(Service, Url)>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("source", &self.source).field("tokens", &self.tokens.as_str()).finish()
    }
}

/// Credentials that are missing or cannot be used.
pub(super) fn refused(why: impl Into<Text>) -> ProviderError {
    ProviderError::Unauthorized(why.into())
}

impl Credentials {
    /// Reads files and variables.
    pub fn read(spec: &OpenStackSpec, environment: Variables) -> Result<Self, ProviderError> {
        let variables = |name: &str| environment(name).filter(|value| !value.is_empty());
        let cloud = spec.cloud.clone().or_else(|| variables("OS_CLOUD").map(Text::from));
        let (settings, source) = match &cloud {
            Some(cloud) => {
                let (map, path) = clouds::read(cloud, &variables)?;
                (Settings::of_file(map), format!("cloud `{cloud}` of {}", path.display()))
            }
            None => (Settings::of_variables(&variables)?, "the OS_* variables".to_owned()),
        };
        let file = |key: &str, variable: &str| settings.text(key).or_else(|| variables(variable));
        let region = file("region_name", "OS_REGION_NAME").or_else(|| settings.only_region());
        let insecure = variables("OS_INSECURE").and_then(|value| truth(&value)).or_else(|| settings.flag("insecure"));
        let verify = settings.flag("verify").unwrap_or(true) && insecure != Some(true);
        let interface = file("interface", "OS_INTERFACE").or_else(|| settings.text("endpoint_type"));
        let interface = interface.unwrap_or_else(|| "public".into());
        Ok(Self {
            tokens: settings.tokens(&source)?,
            login: settings.login(&source)?,
            region: spec.region.clone().or(region.map(Text::from)),
            interface: interface.strip_suffix("URL").unwrap_or(&interface).into(),
            cacert: file("cacert", "OS_CACERT").map(|path| home(&path, &variables)),
            verify,
            overrides: settings.overrides(&source, &variables)?,
            source: source.into(),
        })
    }
}

/// A path, with `~/` at its beginning written out.
fn home(path: &str, variables: Variables) -> PathBuf {
    match (path.strip_prefix("~/"), variables("HOME")) {
        (Some(rest), Some(home)) => PathBuf::from(home).join(rest),
        _ => path.into(),
    }
}

fn truth(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Some(true),
        "false" | "no" | "off" | "0" => Some(false),
        _ => None,
    }
}

/// The settings of one cloud, from either source: those of `auth` and the others.
struct Settings {
    auth: Mapping,
    other: Mapping,
}

/// Keys of `auth`, each also a variable: `username` is `OS_USERNAME`.
const AUTH: [&str; 19] = [
    "auth_url",
    "username",
    "user_id",
    "password",
    "user_domain_id",
    "user_domain_name",
    "project_id",
    "project_name",
    "project_domain_id",
    "project_domain_name",
    "default_domain_id",
    "default_domain_name",
    "tenant_id",
    "tenant_name",
    "token",
    "application_credential_id",
    "application_credential_name",
    "application_credential_secret",
    "system_scope",
];

impl Settings {
    fn of_file(mut other: Mapping) -> Self {
        let mut auth = match other.remove("auth") {
            Some(Yaml::Mapping(auth)) => auth,
            _ => Mapping::new(),
        };
        for key in AUTH {
            if let Some(value) = other.remove(key) {
                auth.entry(key.into()).or_insert(value);
            }
        }
        Self { auth, other }
    }

    fn of_variables(variables: Variables) -> Result<Self, ProviderError> {
        if variables("OS_AUTH_URL").is_none() {
            return Err(refused(
                "no credentials: name an entry of clouds.yaml with `cloud:` or OS_CLOUD, or set OS_AUTH_URL, OS_USERNAME, \
                 OS_PASSWORD and OS_PROJECT_NAME",
            ));
        }
        let read = |keys: &[&str]| -> Mapping {
            let value = |key: &&str| Some(((*key).into(), variables(&format!("OS_{}", key.to_uppercase()))?.into()));
            keys.iter().filter_map(value).collect()
        };
        Ok(Self { auth: read(&AUTH), other: read(&["auth_type"]) })
    }

    fn text(&self, key: &str) -> Option<String> {
        scalar(self.other.get(key)?)
    }

    fn flag(&self, key: &str) -> Option<bool> {
        truth(&self.text(key)?)
    }

    fn auth(&self, keys: &[&str]) -> Option<String> {
        keys.iter().find_map(|key| scalar(self.auth.get(*key)?)).filter(|value| !value.is_empty())
    }

    /// The region, where `regions` lists just one.
    fn only_region(&self) -> Option<String> {
        let Some(Yaml::Sequence(regions)) = self.other.get("regions") else { return None };
        let [region] = regions.as_slice() else { return None };
        scalar(region).or_else(|| scalar(region.get("name")?))
    }

    /// `compute_endpoint_override` and the like, each also a variable.
    fn overrides(&self, source: &str, variables: Variables) -> Result<Vec<(Service, Url)>, ProviderError> {
        let mut all = Vec::new();
        for service in Service::ALL {
            let keys = service.terms().kinds.iter().map(|kind| format!("{}_endpoint_override", kind.replace('-', "_")));
            for key in keys {
                let Some(text) = self.text(&key).or_else(|| variables(&format!("OS_{}", key.to_uppercase()))) else {
                    continue;
                };
                let url =
                    Url::parse(&text).map_err(|_| invalid(&key, format!("`{text}` of {source} is no address")))?;
                all.push((service, url));
            }
        }
        Ok(all)
    }

    fn need(&self, keys: &[&str], source: &str) -> Result<String, ProviderError> {
        let variable = format!("OS_{}", keys[0].to_uppercase());
        let name = if source.starts_with("cloud") { format!("auth.{}", keys[0]) } else { variable };
        self.auth(keys).ok_or_else(|| refused(format!("{source}: `{name}` is missing")))
    }

    fn tokens(&self, source: &str) -> Result<Url, ProviderError> {
        let text = self.need(&["auth_url"], source)?;
        let bad =
            || invalid("auth_url", format!("`{text}` of {source} is no address such as https://cloud.example/v3"));
        let mut url = Url::parse(&text).map_err(|_| bad())?;
        if !matches!(url.scheme(), "http" | "https") || !url.username().is_empty() || url.password().is_some() {
            return Err(bad());
        }
        let versioned = url.path().trim_end_matches('/').rsplit('/').next().is_some_and(|last| last == "v3");
        let old = url.path().trim_end_matches('/').ends_with("/v2.0");
        let mut segments = url.path_segments_mut().map_err(|()| bad())?;
        segments.pop_if_empty();
        if old {
            segments.pop();
        }
        if !versioned {
            segments.push("v3");
        }
        segments.extend(["auth", "tokens"]);
        drop(segments);
        Ok(url)
    }

    /// The request for a token: who, and in which project.
    fn login(&self, source: &str) -> Result<Zeroizing<String>, ProviderError> {
        let mut auth = Map::new();
        let identity = match self.method().as_str() {
            "password" | "v3password" => {
                auth.insert("scope".into(), self.scope(source)?);
                let user = self.user(source)?;
                let password = self.need(&["password"], source)?;
                let user = merged(user, json!({ "password": password }));
                json!({ "methods": ["password"], "password": { "user": user } })
            }
            "token" | "v3token" => {
                auth.insert("scope".into(), self.scope(source)?);
                json!({ "methods": ["token"], "token": { "id": self.need(&["token"], source)? } })
            }
            "v3applicationcredential" => {
                let secret = self.need(&["application_credential_secret"], source)?;
                let who = match self.auth(&["application_credential_id"]) {
                    Some(id) => json!({ "id": id }),
                    None => {
                        let name = self.need(&["application_credential_id", "application_credential_name"], source)?;
                        json!({ "name": name, "user": self.user(source)? })
                    }
                };
                let who = merged(who, json!({ "secret": secret }));
                json!({ "methods": ["application_credential"], "application_credential": who })
            }
            other => {
                return Err(refused(format!(
                    "{source}: auth_type `{other}` is not known; known are password, token and \
                     v3applicationcredential"
                )));
            }
        };
        auth.insert("identity".into(), identity);
        Ok(Zeroizing::new(json!({ "auth": auth }).to_string()))
    }

    fn method(&self) -> String {
        self.text("auth_type").unwrap_or_else(|| {
            let has = |key| self.auth(&[key]).is_some();
            match () {
                () if has("application_credential_secret") => "v3applicationcredential".into(),
                () if has("token") && !has("password") => "token".into(),
                () => "password".into(),
            }
        })
    }

    fn user(&self, source: &str) -> Result<Value, ProviderError> {
        Ok(match self.auth(&["user_id"]) {
            Some(id) => json!({ "id": id }),
            None => json!({ "name": self.need(&["username"], source)?, "domain": self.domain("user") }),
        })
    }

    fn scope(&self, source: &str) -> Result<Value, ProviderError> {
        if let Some(id) = self.auth(&["project_id", "tenant_id"]) {
            return Ok(json!({ "project": { "id": id } }));
        }
        let name = self.need(&["project_name", "tenant_name"], source)?;
        Ok(json!({ "project": { "name": name, "domain": self.domain("project") } }))
    }

    fn domain(&self, of: &str) -> Value {
        let keys = |end: &str| [format!("{of}_domain_{end}"), format!("default_domain_{end}")];
        let find = |end: &str| {
            let keys = keys(end);
            self.auth(&[&keys[0], &keys[1]])
        };
        match (find("id"), find("name")) {
            (Some(id), _) => json!({ "id": id }),
            (None, Some(name)) => json!({ "name": name }),
            (None, None) => json!({ "id": "default" }),
        }
    }
}

fn scalar(value: &Yaml) -> Option<String> {
    match value {
        Yaml::String(text) => Some(text.clone()),
        Yaml::Number(number) => Some(number.to_string()),
        Yaml::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

fn merged(mut a: Value, b: Value) -> Value {
    if let (Value::Object(a), Value::Object(b)) = (&mut a, b) {
        a.extend(b);
    }
    a
}
