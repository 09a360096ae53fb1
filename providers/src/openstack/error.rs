//! Answers that are not 2xx, and requests without an answer, as [`ProviderError`]s with the words of the service.

use pool_inventory::{Text, TimeSpan};
use reqwest::{Method, StatusCode, header::HeaderMap};
use serde_json::Value;

use super::invalid;
use crate::ProviderError;

/// Longest text of a service that is shown.
const WORDS: usize = 600;

/// What was asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub service: &'a str,
    pub method: &'a Method,
    pub path: &'a [&'a str],
}

impl Asked<'_> {
    /// Whether nothing changes by it. A token that was made and never arrived is of no concern to anybody.
    fn reads(self) -> bool {
        *self.method == Method::GET || self.service == "identity"
    }

    fn what(self) -> String {
        format!("{} {} {}", self.service, self.method, self.path.join("/"))
    }

    /// The object that the path names, if it names one.
    fn object(self) -> Option<String> {
        let last = self.path.iter().rposition(|segment| is_id(segment))?;
        Some(self.path[..=last].join("/"))
    }

    /// A request whose fate is not known.
    fn lost(self, why: &str) -> ProviderError {
        let text = Text::from(format!("{}: {why}", self.what()));
        if self.reads() { ProviderError::Transient(text) } else { ProviderError::Indeterminate(text) }
    }
}

/// Whether a segment of a path is an id: a UUID, with or without dashes.
pub(super) fn is_id(segment: &str) -> bool {
    segment.len() >= 32 && segment.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

/// A request that got no answer, or not a whole one.
pub(super) fn unanswered(asked: Asked, error: &reqwest::Error) -> ProviderError {
    let why = innermost(error);
    // What rustls says of a certificate; it will say the same again.
    if error.is_connect() && why.contains("peer certificate") {
        let hint = "name the file of its CA with `cacert` or OS_CACERT";
        return ProviderError::Unauthorized(format!("{}: {why}; {hint}", asked.what()).into());
    }
    if error.is_connect() {
        return ProviderError::Transient(format!("{}: failed to connect: {why}", asked.what()).into());
    }
    if error.is_builder() {
        return ProviderError::Other(format!("{}: {why}", asked.what()).into());
    }
    if error.is_timeout() {
        return asked.lost("no answer in time");
    }
    asked.lost(&why)
}

/// An answer that is not what was expected.
pub(super) fn garbled(asked: Asked, why: &str) -> ProviderError {
    asked.lost(why)
}

/// An answer that is not 2xx.
pub(super) fn of_answer(asked: Asked, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> ProviderError {
    let words = words(body).unwrap_or_else(|| format!("{} answered {status}", asked.service));
    let text = Text::from(words.as_str());
    let after =
        headers.get("retry-after").and_then(|value| value.to_str().ok()?.trim().parse().ok()).map(TimeSpan::secs);
    match status.as_u16() {
        401 => ProviderError::Unauthorized(text),
        403 if over_quota(&words, body) => ProviderError::QuotaExceeded(text),
        403 => ProviderError::Unauthorized(format!("{} is not allowed: {words}", asked.what()).into()),
        404 | 410 => match asked.object() {
            Some(object) => ProviderError::NotFound(object.into()),
            None => invalid(field(&words), text),
        },
        409 if over_quota(&words, body) => ProviderError::QuotaExceeded(text),
        409 => ProviderError::Conflict(text),
        413 if over_quota(&words, body) => ProviderError::QuotaExceeded(text),
        413 | 429 => ProviderError::RateLimited { after },
        400 if over_quota(&words, body) => ProviderError::QuotaExceeded(text),
        400 | 422 => invalid(field(&words), text),
        503 => ProviderError::Transient(text),
        500..=599 => asked.lost(&words),
        _ => ProviderError::Other(format!("{}: {words} ({status})", asked.what()).into()),
    }
}

fn over_quota(words: &str, body: &[u8]) -> bool {
    let words = words.to_ascii_lowercase();
    let typed = serde_json::from_slice::<Value>(body).is_ok_and(|body| body["NeutronError"]["type"] == "OverQuota");
    typed || words.contains("quota") || words.starts_with("maximum number of")
}

/// The field of a spec that the words of a 400 are about, as far as they tell.
fn field(words: &str) -> &'static str {
    let words = words.to_ascii_lowercase();
    let known = [
        ("availability zone", "zone"),
        ("availability_zone", "zone"),
        ("flavor", "offering"),
        ("image", "image"),
        ("volume type", "backend"),
        ("volume_type", "backend"),
        ("cidr", "cidr"),
        ("ip address", "address"),
        ("fixed_ip", "address"),
        ("metadata", "tags"),
        ("user_data", "user data"),
        ("user data", "user data"),
        ("size", "size"),
        ("network", "network"),
    ];
    known.iter().find(|(word, _)| words.contains(word)).map_or("request", |(_, field)| field)
}

/// The service's own words: Nova and Cinder say `{kind: {message}}`, Neutron `{NeutronError: {message, detail}}`,
/// Keystone `{error: {message}}`, Glance an HTML page.
fn words(body: &[u8]) -> Option<String> {
    let text = match serde_json::from_slice::<Value>(body) {
        Ok(value) => spoken(&value)?.replace("<br />", " "),
        Err(_) => plain(&String::from_utf8_lossy(body)),
    };
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let cut = text.char_indices().nth(WORDS).map(|(at, _)| at);
    let text = cut.map_or(text.clone(), |at| format!("{}…", &text[..at]));
    (!text.is_empty()).then_some(text)
}

fn spoken(value: &Value) -> Option<String> {
    if let Some(text) = value.as_str() {
        return Some(text.to_owned());
    }
    let map = value.as_object()?;
    let own = ["message", "faultstring", "title"].iter().find_map(|key| map.get(*key)?.as_str());
    let own = own.filter(|text| !text.trim().is_empty());
    let detail = map.get("detail").and_then(Value::as_str).filter(|text| !text.trim().is_empty() && text.len() < 200);
    match (own, detail) {
        (Some(own), Some(detail)) => Some(format!("{own} {detail}")),
        (Some(own), None) => Some(own.to_owned()),
        (None, _) => map.values().find_map(spoken),
    }
}

/// A page without its tags.
fn plain(html: &str) -> String {
    let mut out = String::new();
    let mut tag = false;
    for c in html.chars() {
        match c {
            '<' => tag = true,
            '>' => {
                tag = false;
                out.push(' ');
            }
            c if !tag => out.push(c),
            _ => {}
        }
    }
    out
}

fn innermost(error: &reqwest::Error) -> String {
    let mut error: &dyn std::error::Error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use reqwest::header::HeaderValue;

    use super::*;

    /// What becomes of a recorded answer.
    fn of_fixture(name: &str) -> ProviderError {
        let path = format!("{}/tests/openstack/fixtures/{name}.json", env!("CARGO_MANIFEST_DIR"));
        let fixture: Value = serde_json::from_str(&fs::read_to_string(path).expect("a fixture")).expect("JSON");
        let (method, place) = fixture["request"].as_str().and_then(|line| line.split_once(' ')).expect("a request");
        let parts: Vec<&str> = place.split('?').next().unwrap_or_default().split('/').collect();
        let at = if parts[1] == "block-storage" { 4 } else { 3 };
        let asked = Asked { service: parts[1], method: &method.parse().expect("a method"), path: &parts[at..] };
        let status = StatusCode::from_u16(fixture["status"].as_u64().expect("a status") as u16).expect("a status");
        let mut headers = HeaderMap::new();
        if let Some(after) = fixture["headers"]["retry-after"].as_str() {
            headers.insert("retry-after", HeaderValue::from_str(after).expect("a header"));
        }
        of_answer(asked, status, &headers, fixture["body"].to_string().as_bytes())
    }

    #[test]
    fn answers_of_a_real_cloud() {
        let nobody = "00000000-0000-0000-0000-000000000001";
        for (name, field, detail) in [
            ("compute/bad-zone", "zone", "The requested availability zone is not available"),
            ("network/no-network", "network", &format!("Network {nobody} could not be found.")),
            ("block-storage/bad-type", "backend", "Volume type with name nowhere could not be found."),
        ] {
            assert_eq!(of_fixture(name), invalid(field, detail), "{name}");
        }
        for name in ["compute/bad-server", "network/bad-subnet", "network/overlap"] {
            assert!(matches!(of_fixture(name), ProviderError::Invalid { .. }), "{name}");
        }
        for (name, words) in [
            ("compute/over-quota", "Quota exceeded for instances: Requested 1, but already used 0 of 0 instances"),
            (
                "block-storage/over-quota",
                "VolumeLimitExceeded: Maximum number of volumes allowed (0) exceeded for quota 'volumes'.",
            ),
            ("network/over-quota", "Quota exceeded for resources: ['port']."),
        ] {
            assert_eq!(of_fixture(name), ProviderError::QuotaExceeded(words.into()), "{name}");
        }
        for (name, object) in
            [("compute/no-server", "servers"), ("block-storage/no-volume", "volumes"), ("image/no-image", "images")]
        {
            assert_eq!(of_fixture(name), ProviderError::NotFound(format!("{object}/{nobody}").into()), "{name}");
        }
        for name in ["network/mac-taken", "network/in-use"] {
            let error = of_fixture(name);
            assert!(
                matches!(&error, ProviderError::Conflict(words) if words.contains("in use") || words.contains("IP"))
            );
        }
        let not_allowed = "compute GET os-services is not allowed: Policy doesn't allow \
                           os_compute_api:os-services:list to be performed.";
        assert_eq!(of_fixture("compute/not-allowed"), ProviderError::Unauthorized(not_allowed.into()));
        for service in ["compute", "network", "block-storage", "image"] {
            assert!(matches!(of_fixture(&format!("{service}/no-token")), ProviderError::Unauthorized(_)), "{service}");
        }
    }

    #[test]
    fn what_may_have_been_carried_out_is_in_doubt() {
        let (path, headers) = (["servers"], HeaderMap::new());
        let of = |method: &Method, status: u16| {
            let asked = Asked { service: "compute", method, path: &path };
            of_answer(
                asked,
                StatusCode::from_u16(status).expect("a status"),
                &headers,
                b"<html><b>Bad</b> gateway</html>",
            )
        };
        for status in [500, 502, 504] {
            let words = "compute POST servers: Bad gateway".into();
            assert_eq!(of(&Method::POST, status), ProviderError::Indeterminate(words));
            let words = "compute GET servers: Bad gateway".into();
            assert_eq!(of(&Method::GET, status), ProviderError::Transient(words));
        }
        assert_eq!(of(&Method::POST, 503), ProviderError::Transient("Bad gateway".into()));
        assert_eq!(of(&Method::POST, 429), ProviderError::RateLimited { after: None });
        assert_eq!(of(&Method::POST, 413), ProviderError::RateLimited { after: None });
    }

    #[test]
    fn long_answers_are_cut_and_empty_ones_named() {
        let asked = Asked { service: "network", method: &Method::GET, path: &["ports"] };
        let of = |body: &str| of_answer(asked, StatusCode::CONFLICT, &HeaderMap::new(), body.as_bytes()).to_string();
        assert!(of(&"é ".repeat(5000)).len() < 2 * WORDS);
        assert_eq!(of(""), "conflict: network answered 409 Conflict");
        assert_eq!(of("{}"), "conflict: network answered 409 Conflict");
    }
}
