//! From declared providers to things that can be talked to.

mod hosts;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

pub use hosts::{Hosts, ReachError};
use pool_inventory::{
    Name,
    desired::{BackendSpec, ProviderKind, ProviderSpec},
};
use pool_providers::{
    Provider, ProviderError,
    local::LocalProvider,
    openstack::{self, OpenStackProvider},
    sim::SimProvider,
    ssh::SshProvider,
};

use crate::secrets;

/// Where an environment keeps what is its own.
#[derive(Debug, Clone)]
pub struct Places {
    /// The folder of the inventory.
    pub root: PathBuf,
    /// `.pool`, or `.pool/env/NAME` for environments with a name.
    pub home: PathBuf,
    /// This program; `local` machines are run by it.
    pub program: PathBuf,
}

impl Places {
    /// The places of an environment.
    pub fn new(root: &Path, environment: &str, program: &Path) -> Self {
        let dot = root.join(".pool");
        let home = if environment == "default" { dot } else { dot.join("env").join(environment) };
        Self { root: root.to_owned(), home, program: program.to_owned() }
    }

    /// The state's database.
    pub fn state(&self) -> PathBuf {
        self.home.join("state.db")
    }

    /// Copies of the state from before each migration.
    pub fn backups(&self) -> PathBuf {
        self.home.join("backup")
    }

    /// The key that `pool` logs in with where the inventory names none; one for all environments.
    pub fn key(&self) -> PathBuf {
        self.root.join(".pool").join("ssh").join("id_ed25519")
    }

    /// What a cloud offers and seldom changes, as it was asked for last; may be deleted at any time.
    pub fn cache(&self, provider: &str) -> PathBuf {
        self.home.join("cache").join(format!("{provider}.json"))
    }

    /// Artifacts that were fetched, by their digests; one for all environments, and may be deleted at any time.
    pub fn artifacts(&self) -> PathBuf {
        self.root.join(".pool").join("cache").join("artifacts")
    }

    /// The secret that host keys of new hosts are derived from, where the inventory names none; one for all environments.
    pub fn host_key_seed(&self) -> PathBuf {
        self.root.join(".pool").join("ssh").join("host-keys.seed")
    }

    /// The ledger of a simulated cloud.
    pub fn sim_ledger(&self, provider: &str) -> PathBuf {
        self.home.join("sim").join(format!("{provider}.ledger"))
    }

    /// What is on the hosts of a simulated cloud.
    pub fn sim_hosts(&self, provider: &str) -> PathBuf {
        self.home.join("sim").join(format!("{provider}.hosts"))
    }

    /// The machines of a local provider.
    pub fn local(&self, provider: &str) -> PathBuf {
        self.home.join("local").join(provider)
    }
}

/// Clouds that are logged in to, with what they were declared as: a plan and its apply in one command log in once, and look
/// up a name once. The others cost nothing to open, and a simulated cloud has its whole world in memory.
#[derive(Default)]
pub struct Opened(Mutex<BTreeMap<Name, Open>>);

type Open = (ProviderSpec, Arc<dyn Provider>);

impl Opened {
    /// Opens those that are not open as they are declared here; each failure is that provider's own.
    pub fn providers(
        &self,
        specs: &BTreeMap<Name, ProviderSpec>,
        backends: &BTreeMap<Name, BackendSpec>,
        places: &Places,
    ) -> BTreeMap<Name, Result<Arc<dyn Provider>, ProviderError>> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut one = |name: &Name, spec: &ProviderSpec| {
            if let Some((_, known)) = open.get(name).filter(|(known, _)| known == spec) {
                return Ok(known.clone());
            }
            let provider = provider(name, spec, backends, places)?;
            if matches!(spec.kind, ProviderKind::Openstack(_)) {
                open.insert(name.clone(), (spec.clone(), provider.clone()));
            }
            Ok(provider)
        };
        specs.iter().map(|(name, spec)| (name.clone(), one(name, spec))).collect()
    }
}

fn provider(
    name: &Name,
    spec: &ProviderSpec,
    backends: &BTreeMap<Name, BackendSpec>,
    places: &Places,
) -> Result<Arc<dyn Provider>, ProviderError> {
    Ok(match &spec.kind {
        ProviderKind::Sim(sim) => Arc::new(SimProvider::open(name.clone(), (**sim).clone(), places.sim_ledger(name))?),
        ProviderKind::Openstack(openstack) => {
            let secret = openstack.host_keys.as_ref().map(|secret| secrets::resolve(secret, &places.root)).transpose();
            let places = openstack::Places {
                cache: places.cache(name),
                seed: places.host_key_seed(),
                host_keys: secret.map_err(|error| other(&error))?.map(openstack::Secret),
            };
            Arc::new(OpenStackProvider::open(name.clone(), (**openstack).clone(), places)?)
        }
        ProviderKind::Ssh => Arc::new(SshProvider::new(name.clone())),
        ProviderKind::Local => {
            let dir = places.local(name);
            let absolute = |spec: &BackendSpec| BackendSpec {
                path: places.root.join(&*spec.path).to_string_lossy().into(),
                capacity: spec.capacity,
            };
            let backends = backends.iter().map(|(name, spec)| (name.clone(), absolute(spec))).collect();
            let open = LocalProvider::open(name, &dir, places.program.clone(), &backends);
            Arc::new(open.map_err(|e| other(&e))?)
        }
    })
}

fn other(error: &dyn std::error::Error) -> ProviderError {
    ProviderError::Other(crate::ops::chain(error).into())
}
