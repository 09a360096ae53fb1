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
    /// Whether nothing changes by it.
    fn reads(self) -> bool {
        *self.method == Method::GET || *self.method == Method::HEAD
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
