//! Tokens: asked for when one is needed, kept until they end, renewed when a service refuses one.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use pool_inventory::Text;
use reqwest::{Method, header::HeaderValue};
use serde::Deserialize;
use tokio::sync::Mutex;

use super::{
    catalogue::Entry,
    credentials::{Credentials, refused},
    error::{self, Asked},
    exchange,
};
use crate::ProviderError;

/// How long before its end a token is no longer used: a service hands it on to others while it works.
const MARGIN: Duration = Duration::from_secs(15 * 60);
/// How long Keystone may take.
const LIMIT: Duration = Duration::from_secs(60);

const ASKED: Asked = Asked { service: "identity", method: &Method::POST, path: &["auth", "tokens"] };

/// Logs in, and remembers the token.
pub(super) struct Identity {
    credentials: Credentials,
    now: Mutex<Option<Arc<Issued>>>,
}

/// A token with what came with it.
pub(super) struct Issued {
    pub token: HeaderValue,
    pub project: Text,
    pub catalogue: Vec<Entry>,
    until: Option<Instant>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.credentials.fmt(f)
    }
}

/// What Keystone says of what it does not find: an application credential that was deleted is a 404.
fn words(body: &[u8]) -> Option<String> {
    let answer: serde_json::Value = serde_json::from_slice(body).ok()?;
    answer.pointer("/error/message")?.as_str().map(str::to_owned)
}

#[derive(Deserialize)]
struct Answer {
    token: Body,
}

#[derive(Deserialize)]
struct Body {
    project: Option<Project>,
    #[serde(default)]
    catalog: Vec<Entry>,
    expires_at: Option<Timestamp>,
    issued_at: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Project {
    id: Text,
}

impl Identity {
    pub fn new(credentials: Credentials) -> Self {
        Self { credentials, now: Mutex::default() }
    }

    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// A token that can be used now, other than `not`. One request, however many ask at once.
    pub async fn token(
        &self,
        http: &reqwest::Client,
        not: Option<&Arc<Issued>>,
        count: impl FnOnce(),
    ) -> Result<Arc<Issued>, ProviderError> {
        let mut now = self.now.lock().await;
        if let Some(issued) = &*now {
            let refused = not.is_some_and(|not| Arc::ptr_eq(not, issued));
            if !refused && issued.until.is_none_or(|until| Instant::now() < until) {
                return Ok(issued.clone());
            }
        }
        count();
        let issued = Arc::new(self.log_in(http).await?);
        *now = Some(issued.clone());
        Ok(issued)
    }

    async fn log_in(&self, http: &reqwest::Client) -> Result<Issued, ProviderError> {
        let Credentials { source, tokens, login, .. } = &self.credentials;
        let request = http
            .post(tokens.clone())
            .header("content-type", "application/json")
            .header("accept", "application/json")
            .body(login.as_bytes().to_vec())
            .timeout(LIMIT);
        let (status, headers, body) = exchange::send(ASKED, request).await.map_err(|error| match error {
            ProviderError::Transient(why) => ProviderError::Transient(format!("{tokens}: {why}").into()),
            ProviderError::Unauthorized(why) => refused(format!("{tokens}: {why}")),
            other => other,
        })?;
        if matches!(status.as_u16(), 300..=399 | 404 | 405) {
            return Err(refused(match words(&body) {
                Some(words) => format!("{tokens} refused {source}: {words}"),
                None => format!("{tokens} is no Keystone ({status}); is the auth_url of {source} right?"),
            }));
        }
        if !status.is_success() {
            return Err(match error::of_answer(ASKED, status, &headers, &body) {
                ProviderError::Unauthorized(why) | ProviderError::Invalid { detail: why, .. } => {
                    refused(format!("{tokens} refused {source}: {why}"))
                }
                other => other,
            });
        }
        let strange = |what: &str| ProviderError::Other(format!("{tokens} answered without {what}").into());
        let mut token = headers.get("x-subject-token").cloned().ok_or_else(|| strange("a token"))?;
        token.set_sensitive(true);
        let body: Answer = serde_json::from_slice(&body).map_err(|_| strange("a description of the token"))?;
        let until = lifetime(&body.token).map(|life| Instant::now() + life.saturating_sub(MARGIN.min(life / 4)));
        let Some(project) = body.token.project else {
            return Err(refused(format!("{source} names no project, or one that the user has no role in")));
        };
        Ok(Issued { token, project: project.id, catalogue: body.token.catalog, until })
    }
}

/// How long a token lasts, by the clock of the service.
fn lifetime(body: &Body) -> Option<Duration> {
    Duration::try_from(body.expires_at?.duration_since(body.issued_at?)).ok()
}
