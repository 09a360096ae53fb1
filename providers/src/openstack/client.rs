//! One request to one service.

use std::{sync::Arc, time::Duration};

use pool_inventory::Text;
use reqwest::{Method, Url};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::OnceCell;

use super::{
    cache::Cache,
    calls::Calls,
    catalogue::{self, Version},
    credentials::Credentials,
    error::{self, Asked},
    exchange, http,
    identity::{Identity, Issued},
    typed,
};
use crate::ProviderError;

/// How long a request that reads may take.
const READ: Duration = Duration::from_secs(60);
/// How long a request that changes something may take: a busy Nova takes tens of seconds to accept a server.
const WRITE: Duration = Duration::from_secs(180);

/// A service of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Service {
    Compute,
    Network,
    BlockStorage,
    Image,
}

impl Service {
    pub const ALL: [Service; 4] = [Service::Compute, Service::Network, Service::BlockStorage, Service::Image];
}

/// Sends requests and reads answers.
///
/// Paths begin after the version: `["servers", "detail"]`. Every request ends within its time limit. A 401 renews the
/// token and asks once more. An answer that is not 2xx is a [`ProviderError`] with the words of the service.
#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    cache: Cache,
    identity: Arc<Identity>,
    typed: OnceCell<openstack::Cloud>,
    places: [OnceCell<Place>; 4],
    calls: Arc<Calls>,
}

/// Where a service is, and how it is asked.
#[derive(Debug, Clone)]
struct Place {
    url: Url,
    version: Option<Version>,
}

impl Client {
    /// Asks nothing yet.
    pub fn new(credentials: Credentials, cache: Cache) -> Result<Self, ProviderError> {
        let http = http::client(&credentials)?;
        Ok(Self {
            http,
            cache,
            identity: Arc::new(Identity::new(credentials)),
            typed: OnceCell::new(),
            places: Default::default(),
            calls: Arc::default(),
        })
    }

    /// Asks for something. `query` are decoded pairs.
    pub async fn get<T: DeserializeOwned>(
        &self,
        service: Service,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<T, ProviderError> {
        self.ask(service, Method::GET, path, query, None).await
    }

    /// Sends a body and reads the answer; an empty answer reads as `null`.
    pub async fn post<T: DeserializeOwned>(
        &self,
        service: Service,
        path: &[&str],
        body: &Value,
    ) -> Result<T, ProviderError> {
        self.ask(service, Method::POST, path, &[], Some(body)).await
    }

    /// As [`Client::post`], with PUT.
    pub async fn put<T: DeserializeOwned>(
        &self,
        service: Service,
        path: &[&str],
        body: &Value,
    ) -> Result<T, ProviderError> {
        self.ask(service, Method::PUT, path, &[], Some(body)).await
    }

    /// Deletes something. What is not there is [`ProviderError::NotFound`].
    pub async fn delete(&self, service: Service, path: &[&str]) -> Result<(), ProviderError> {
        self.ask(service, Method::DELETE, path, &[], None).await.map(|_: serde::de::IgnoredAny| ())
    }

    /// The lists that the crate `openstack` types.
    pub async fn typed(&self) -> Result<&openstack::Cloud, ProviderError> {
        self.typed.get_or_try_init(|| self.connect_typed()).await
    }

    async fn connect_typed(&self) -> Result<openstack::Cloud, ProviderError> {
        let region = self.region().await?;
        let (identity, calls) = (self.identity.clone(), self.calls.clone());
        typed::cloud(self.http.clone(), typed::Login { identity, region, calls }).await
    }

    /// What seldom changes.
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    /// What the cache is of: the account and its region.
    pub async fn account(&self) -> Result<String, ProviderError> {
        let issued = self.token(None).await?;
        let credentials = self.identity.credentials();
        let region = self.region_of(&issued)?;
        Ok(format!("{} {} {region} {}", credentials.tokens, issued.project, credentials.interface))
    }

    /// The project's id.
    pub async fn project(&self) -> Result<Text, ProviderError> {
        Ok(self.token(None).await?.project.clone())
    }

    /// The region's name.
    pub async fn region(&self) -> Result<Text, ProviderError> {
        self.region_of(&*self.token(None).await?)
    }

    /// The microversion that a service is asked in; none: it has none.
    pub async fn version(&self, service: Service) -> Result<Option<Version>, ProviderError> {
        Ok(self.place(service).await?.version)
    }

    /// Requests made so far: `compute GET servers/detail` → how many; ids in paths are shown as `{id}`.
    pub fn calls(&self) -> Vec<(String, u64)> {
        self.calls.all()
    }

    /// A token that can be used now, other than `not`.
    pub async fn token(&self, not: Option<&Arc<Issued>>) -> Result<Arc<Issued>, ProviderError> {
        let asked = Asked { service: "identity", method: &Method::POST, path: &["auth", "tokens"] };
        self.identity.token(&self.http, not, || self.calls.count(asked)).await
    }

    fn region_of(&self, issued: &Issued) -> Result<Text, ProviderError> {
        let credentials = self.identity.credentials();
        catalogue::region(&issued.catalogue, credentials.region.as_deref(), &credentials.source)
    }

    /// Where a service is; asks it for its versions once.
    async fn place(&self, service: Service) -> Result<&Place, ProviderError> {
        self.places[service as usize].get_or_try_init(|| self.find(service)).await
    }

    async fn find(&self, service: Service) -> Result<Place, ProviderError> {
        let issued = self.token(None).await?;
        let region = self.region_of(&issued)?;
        let url = catalogue::endpoint(&issued.catalogue, service, &region, self.identity.credentials())?;
        if service.terms().micro.is_none() {
            return Ok(Place { url, version: None });
        }
        let (account, name) = (self.account().await?, service.name());
        if let Some(version) = self.cache.version(&account, name) {
            return Ok(Place { url, version: Some(version) });
        }
        let asked = Asked { service: name, method: &Method::GET, path: &["versions"] };
        let place = Place { url: catalogue::document(&url), version: None };
        let document = self.send(service, &place, asked, &[], None).await?;
        let document = read(asked, &document)?;
        let version = catalogue::agree(service, &document)?;
        if let Some(version) = version {
            self.cache.keep_version(&account, name, version);
        }
        Ok(Place { url, version })
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        service: Service,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<T, ProviderError> {
        let mut place = self.place(service).await?.clone();
        if let Ok(mut segments) = place.url.path_segments_mut() {
            segments.extend(path);
        }
        let asked = Asked { service: service.name(), method: &method, path };
        let answer = self.send(service, &place, asked, query, body).await?;
        read(asked, &answer)
    }

    /// Sends a request; with a new token once more if the one that we have is refused.
    async fn send(
        &self,
        service: Service,
        place: &Place,
        asked: Asked<'_>,
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Vec<u8>, ProviderError> {
        let mut issued = self.token(None).await?;
        let limit = if *asked.method == Method::GET { READ } else { WRITE };
        for again in [true, false] {
            let mut request = self.http.request(asked.method.clone(), place.url.clone()).timeout(limit).query(query);
            request = request.header("x-auth-token", issued.token.clone()).header("accept", "application/json");
            if let (Some((name, ..)), Some(version)) = (service.terms().micro, place.version) {
                request = request.header("openstack-api-version", format!("{name} {version}"));
            }
            if let Some(body) = body {
                request = request.json(body);
            }
            self.calls.count(asked);
            let (status, headers, answer) = exchange::send(asked, request).await?;
            match status.as_u16() {
                200..=299 => return Ok(answer),
                401 if again => issued = self.token(Some(&issued)).await?,
                _ => return Err(error::of_answer(asked, status, &headers, &answer)),
            }
        }
        unreachable!("the second answer is returned")
    }
}

fn read<T: DeserializeOwned>(asked: Asked, answer: &[u8]) -> Result<T, ProviderError> {
    let answer = if answer.trim_ascii().is_empty() { b"null" } else { answer };
    serde_json::from_slice(answer)
        .map_err(|error| error::garbled(asked, &format!("the answer cannot be read: {error}")))
}
