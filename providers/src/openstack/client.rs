//! One request to one service.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use pool_inventory::{Text, desired::OpenStackSpec};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::ProviderError;

/// A service of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Service {
    Compute,
    Network,
    BlockStorage,
    Image,
}

/// Sends requests and reads answers.
///
/// Paths begin after the version: `["servers", "detail"]`. Every request ends within its time limit. A 401 renews the
/// token and asks once more. An answer that is not 2xx is a [`ProviderError`] with the words of the service.
#[derive(Debug)]
pub(super) struct Client {
    calls: Mutex<BTreeMap<String, u64>>,
}

impl Client {
    /// Reads the credentials; nothing is asked yet.
    pub fn new(_spec: &OpenStackSpec) -> Result<Self, ProviderError> {
        Ok(Self { calls: Mutex::default() })
    }

    /// Asks for something. `query` are decoded pairs.
    pub async fn get<T: DeserializeOwned>(
        &self,
        service: Service,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<T, ProviderError> {
        let _ = (service, path, query);
        Err(Self::unconnected())
    }

    /// Sends a body and reads the answer; an empty answer reads as `null`.
    pub async fn post<T: DeserializeOwned>(
        &self,
        service: Service,
        path: &[&str],
        body: &Value,
    ) -> Result<T, ProviderError> {
        let _ = (service, path, body);
        Err(Self::unconnected())
    }

    /// As [`Client::post`], with PUT.
    pub async fn put<T: DeserializeOwned>(
        &self,
        service: Service,
        path: &[&str],
        body: &Value,
    ) -> Result<T, ProviderError> {
        let _ = (service, path, body);
        Err(Self::unconnected())
    }

    /// Deletes something. What is not there is [`ProviderError::NotFound`].
    pub async fn delete(&self, service: Service, path: &[&str]) -> Result<(), ProviderError> {
        let _ = (service, path);
        Err(Self::unconnected())
    }

    /// The project's id; known after the first request.
    pub async fn project(&self) -> Result<Text, ProviderError> {
        Err(Self::unconnected())
    }

    /// The region's name.
    pub async fn region(&self) -> Result<Text, ProviderError> {
        Err(Self::unconnected())
    }

    /// Requests made so far: `compute GET servers/detail` → how many; ids in paths are shown as `{id}`.
    pub fn calls(&self) -> Vec<(String, u64)> {
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.iter().map(|(what, count)| (what.clone(), *count)).collect()
    }

    fn unconnected() -> ProviderError {
        ProviderError::Other("OpenStack clouds cannot be asked yet".into())
    }
}
