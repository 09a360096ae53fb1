//! A project of an OpenStack cloud.
//!
//! | module | what it does |
//! |---|---|
//! | `credentials`, `clouds` | `clouds.yaml`, `secure.yaml`, `OS_*` → who logs in where |
//! | `identity`, `catalogue` | tokens; where the services are, and the microversions to ask in |
//! | `client`, `exchange`, `http` | one request: token, microversion, time limit; counts calls |
//! | `error` | an answer that is not 2xx, or none → [`ProviderError`] |
//! | `marks` | whose an object is, as tags, metadata and descriptions carry it |
//! | `known`, `market` | flavors, zones, images, volume types, quotas |
//! | `cache` | what seldom changes, between runs, with its age |
//! | `abilities` | what every OpenStack can do |
//! | `hosts` | servers with their ports, public addresses, server groups; user data; host keys |
//! | `networks` | networks with their subnet, router, security group and rules |
//! | `volumes` | volumes, snapshots, backups |
//! | `pages` | lists in pages |
//! | `poll` | how accepted operations go on: one list call for many |

mod abilities;
mod cache;
mod calls;
mod catalogue;
mod client;
mod clouds;
mod credentials;
mod error;
mod exchange;
mod hosts;
mod http;
mod identity;
mod known;
mod market;
mod marks;
mod networks;
mod pages;
mod poll;
mod typed;
mod volumes;

use std::{path::PathBuf, sync::Arc};

use async_trait::async_trait;
use pool_inventory::{
    Kind, Name, Text, TimeSpan, Token,
    desired::OpenStackSpec,
    market::{Capabilities, Market},
    object::{Observed, Spec},
};
use zeroize::Zeroizing;

use self::{cache::Cache, client::Client, credentials::Credentials};
use crate::{Act, Operation, Page, Progress, Provider, ProviderError, Request};

/// Where an account keeps what is its own on this computer.
#[derive(Debug, Clone)]
pub struct Places {
    /// What the cloud offers and seldom changes, as it was asked for last; may be deleted at any time.
    pub cache: PathBuf,
    /// The secret that host keys are derived from, where the inventory names none; made when it is first needed.
    pub seed: PathBuf,
    /// The secret that the inventory names for that.
    pub host_keys: Option<Secret>,
}

/// A secret; does not print.
#[derive(Clone)]
pub struct Secret(pub Zeroizing<Vec<u8>>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// A project of an OpenStack cloud; see `docs/providers/openstack.md`.
#[derive(Debug, Clone)]
pub struct OpenStackProvider(Arc<Cloud>);

/// What the modules share.
#[derive(Debug)]
struct Cloud {
    name: Name,
    spec: OpenStackSpec,
    places: Places,
    client: Client,
    networks: networks::Memory,
    hosts: hosts::Memory,
    volumes: volumes::Memory,
    holders: volumes::Holders,
}

impl OpenStackProvider {
    /// Reads the credentials; the cloud is asked by the first call.
    pub fn open(name: Name, spec: OpenStackSpec, places: Places) -> Result<Self, ProviderError> {
        Self::open_with(name, spec, places, &|variable| std::env::var(variable).ok())
    }

    /// As [`OpenStackProvider::open`], with variables of its own in place of the environment's.
    pub fn open_with(
        name: Name,
        spec: OpenStackSpec,
        places: Places,
        variables: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ProviderError> {
        let client = Client::new(Credentials::read(&spec, variables)?, Cache::new(places.cache.clone()))?;
        let (networks, hosts, volumes, holders) = Default::default();
        Ok(Self(Arc::new(Cloud { name, spec, places, client, networks, hosts, volumes, holders })))
    }

    /// Requests made so far, by service, method and what they were for.
    pub fn calls(&self) -> Vec<(String, u64)> {
        self.0.client.calls()
    }
}

impl Cloud {
    async fn act(&self, request: &Request) -> Result<Progress, ProviderError> {
        match &request.act {
            Act::Create(Spec::Host(host)) => self.create_host(request, host).await,
            Act::Create(Spec::Network(network)) => self.create_network(request, network).await,
            Act::Create(Spec::Volume(volume)) => self.create_volume(request, volume).await,
            Act::Create(Spec::Snapshot(copy)) => self.create_snapshot(request, copy).await,
            Act::Create(Spec::Backup(copy)) => self.create_backup(request, copy).await,
            Act::Update { id, to: Spec::Host(to), .. } => self.update_host(request, id, to).await,
            Act::Update { id, to: Spec::Network(to), .. } => self.update_network(request, id, to).await,
            Act::Update { id, to: Spec::Volume(to), host } => {
                self.update_volume(request, id, to, host.as_deref()).await
            }
            Act::Update { id, to: to @ (Spec::Snapshot(_) | Spec::Backup(_)), .. } => {
                self.update_copy(request, id, to).await
            }
            Act::Rebuild { id, to } => self.rebuild_host(request, id, to).await,
            Act::Power { id, on } => self.power_host(id, *on).await,
            Act::Restart { id } => self.restart_host(id).await,
            Act::Restore { id, from, kind } => self.restore_volume(id, from, *kind).await,
            Act::Delete { id, kind } => match kind {
                Kind::Host => self.delete_host(request, id).await,
                Kind::Network => self.delete_network(request, id).await,
                Kind::Volume => self.delete_volume(request, id).await,
                Kind::Snapshot | Kind::Backup => self.delete_copy(request, id, *kind).await,
                Kind::Pool | Kind::Tenant | Kind::Cluster | Kind::Member => Err(ProviderError::NotFound(id.clone())),
            },
        }
    }
}

#[async_trait]
impl Provider for OpenStackProvider {
    fn capabilities(&self) -> Capabilities {
        abilities::capabilities()
    }

    async fn market(&self) -> Result<Market, ProviderError> {
        self.0.market().await
    }

    async fn submit(&self, batch: Vec<Request>) -> Vec<Result<Progress, ProviderError>> {
        // The engine sends one request a call (`batch` is 1), and bounds how many calls are on their way.
        let mut answers = Vec::with_capacity(batch.len());
        for request in &batch {
            answers.push(self.0.act(request).await);
        }
        answers
    }

    async fn list(&self, kind: Kind, from: Option<Text>) -> Result<Page, ProviderError> {
        match kind {
            Kind::Host => self.0.list_hosts(from).await,
            Kind::Network => self.0.list_networks(from).await,
            Kind::Volume => self.0.list_volumes(from).await,
            Kind::Snapshot | Kind::Backup => self.0.list_copies(kind, from).await,
            Kind::Pool | Kind::Tenant | Kind::Cluster | Kind::Member => Ok(Page::default()),
        }
    }

    async fn find(&self, token: &Token) -> Result<Option<Observed>, ProviderError> {
        let host = self.0.find_host(token).await?;
        if host.is_some() || self.0.hosts.begun(token) {
            return Ok(host);
        }
        if let Some(found) = self.0.find_volume(token).await? {
            return Ok(Some(found));
        }
        self.0.find_network(token).await
    }

    async fn poll(&self, operations: &[Operation]) -> Vec<Result<Progress, ProviderError>> {
        self.0.poll(operations).await
    }
}

/// How long a request may wait in front of an API. The proxies that deployment tools put there give a waiting request
/// up after a minute.
const DOUBT: TimeSpan = TimeSpan::secs(60);

fn invalid(field: &str, detail: impl Into<Text>) -> ProviderError {
    ProviderError::Invalid { field: field.into(), detail: detail.into() }
}
