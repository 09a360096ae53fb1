//! Where the services are, and which microversion they are asked in.

use std::{fmt, str::FromStr};

use pool_inventory::Text;
use reqwest::Url;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{client::Service, credentials::Credentials, invalid};
use crate::ProviderError;

/// A service in the catalogue of a token.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Entry {
    #[serde(rename = "type")]
    kind: Text,
    #[serde(default)]
    endpoints: Vec<Endpoint>,
}

#[derive(Debug, Clone, Deserialize)]
struct Endpoint {
    interface: Text,
    region: Option<Text>,
    url: Text,
}

/// A microversion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Version(pub u16, pub u16);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

impl FromStr for Version {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (major, minor) = text.split_once('.').ok_or(())?;
        Ok(Self(major.parse().map_err(|_| ())?, minor.parse().map_err(|_| ())?))
    }
}

/// What is asked of a service.
pub(super) struct Terms {
    /// Its names in catalogues, the official one first.
    pub kinds: &'static [&'static str],
    /// The version in its path.
    path: &'static str,
    /// Its name in the microversion header, the least that is enough and the most that is understood.
    pub micro: Option<(&'static str, Version, Version)>,
}

impl Service {
    /// What it is called in messages and counts.
    pub fn name(self) -> &'static str {
        self.terms().kinds[0]
    }

    pub(super) fn terms(self) -> Terms {
        match self {
            // Nova 2.60 attaches volumes that several hosts share, 2.67 chooses the type of a boot volume, 2.79 deletes
            // boot volumes with their host, 2.90 sets host names.
            Service::Compute => {
                Terms { kinds: &["compute"], path: "v2.1", micro: Some(("compute", Version(2, 60), Version(2, 90))) }
            }
            // Cinder 3.44 has attachments that are finished by hand, and metadata of backups came with 3.43.
            Service::BlockStorage => Terms {
                kinds: &["block-storage", "volumev3", "block-store", "volume"],
                path: "v3",
                micro: Some(("volume", Version(3, 44), Version(3, 70))),
            },
            Service::Network => Terms { kinds: &["network"], path: "v2.0", micro: None },
            Service::Image => Terms { kinds: &["image"], path: "v2", micro: None },
        }
    }
}

/// The service of a name in catalogues.
pub(super) fn service(kind: &str) -> Option<Service> {
    Service::ALL.into_iter().find(|service| service.terms().kinds.contains(&kind))
}

/// The address of a service with its version: what the credentials say, else the catalogue.
pub(super) fn endpoint(
    catalogue: &[Entry],
    service: Service,
    region: &str,
    credentials: &Credentials,
) -> Result<Url, ProviderError> {
    if let Some((_, url)) = credentials.overrides.iter().find(|(of, _)| *of == service) {
        return versioned(url.clone(), service)
            .ok_or_else(|| ProviderError::Other(format!("{url} is no address").into()));
    }
    let interface = &credentials.interface;
    let terms = service.terms();
    let found = terms.kinds.iter().find_map(|kind| {
        let entries = catalogue.iter().filter(|entry| *entry.kind == **kind);
        entries.flat_map(|entry| &entry.endpoints).find(|endpoint| {
            endpoint.interface == *interface && endpoint.region.as_deref().unwrap_or_default() == region
        })
    });
    let name = service.name();
    let Some(found) = found else {
        return Err(ProviderError::Other(
            format!("the cloud has no `{name}` service (interface {interface}) in region `{region}`").into(),
        ));
    };
    let bad = || ProviderError::Other(format!("the cloud's catalogue says `{}` for `{name}`", found.url).into());
    Url::parse(&found.url).ok().and_then(|url| versioned(url, service)).ok_or_else(bad)
}

/// An address with the version in its path.
fn versioned(mut url: Url, service: Service) -> Option<Url> {
    let has = url.path_segments()?.any(is_version);
    let mut segments = url.path_segments_mut().ok()?;
    segments.pop_if_empty();
    if !has {
        segments.push(service.terms().path);
    }
    drop(segments);
    matches!(url.scheme(), "http" | "https").then_some(url)
}

/// The region: the one that is asked for, or the only one. Its services are looked at only when they are needed.
pub(super) fn region(catalogue: &[Entry], wanted: Option<&str>, source: &str) -> Result<Text, ProviderError> {
    let mut regions: Vec<&str> = catalogue
        .iter()
        .filter(|entry| Service::ALL.iter().any(|service| service.terms().kinds.contains(&&*entry.kind)))
        .flat_map(|entry| &entry.endpoints)
        .map(|endpoint| endpoint.region.as_deref().unwrap_or_default())
        .collect();
    regions.sort_unstable();
    regions.dedup();
    let list = regions.join(", ");
    match (wanted, regions.as_slice()) {
        (Some(wanted), _) if regions.contains(&wanted) => Ok(wanted.into()),
        (Some(wanted), _) => Err(invalid("region", format!("`{wanted}` is not in the cloud; it has: {list}"))),
        (None, [only]) => Ok((*only).into()),
        (None, []) => Err(ProviderError::Other(format!("the cloud shows no services to {source}").into())),
        (None, _) => Err(invalid("region", format!("the cloud has several: {list}; choose one"))),
    }
}

fn is_version(segment: &str) -> bool {
    segment.strip_prefix('v').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// Where a service tells its versions: its address up to the version.
pub(super) fn document(endpoint: &Url) -> Url {
    let mut url = endpoint.clone();
    let all: Vec<String> = endpoint.path_segments().into_iter().flatten().map(str::to_owned).collect();
    let end = all.iter().position(|segment| is_version(segment)).map_or(all.len(), |at| at + 1);
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.clear().extend(&all[..end]).push("");
    }
    url
}

/// The microversion to ask in, by what the service says of itself.
pub(super) fn agree(service: Service, document: &Value) -> Result<Option<Version>, ProviderError> {
    let Terms { path, micro: Some((_, least, most)), .. } = service.terms() else { return Ok(None) };
    let name = service.name();
    let several = document["versions"].as_array().into_iter().flatten();
    let ours = several.chain(document.get("version")).find(|version| {
        version["id"].as_str().is_some_and(|id| id.split('.').next() == path.split('.').next() && id != "v2.0")
    });
    let read = |key: &str| ours.and_then(|version| version[key].as_str()?.parse::<Version>().ok());
    let (Some(high), Some(low)) = (read("version"), read("min_version")) else {
        return Err(ProviderError::Other(format!("the cloud's `{name}` service tells no microversions").into()));
    };
    let chosen = high.min(most);
    if chosen < least || chosen < low {
        return Err(ProviderError::Other(
            format!("the cloud's `{name}` service has microversions {low} to {high}; {least} to {most} are needed")
                .into(),
        ));
    }
    Ok(Some(chosen))
}
