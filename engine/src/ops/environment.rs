//! One environment of an inventory, opened.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use pool_inventory::{
    Diagnostic, Diagnostics, Lineage, Loaded, Name, Text, desired::Desired, object::Recorded, source::Sources,
};
use pool_providers::{Provider, ProviderError};
use pool_state::{OpenOptions, Store};
use tokio::sync::OnceCell;

use super::{OpenRequest, OpsError};
use crate::{
    connect::{Hosts, Opened, Places},
    wanted,
};

/// One environment of an inventory, opened. All operations start here.
pub struct Environment {
    pub(super) request: OpenRequest,
    pub(super) places: Places,
    pub(super) desired: Desired,
    pub(super) sources: BTreeMap<Text, Text>,
    warnings: Diagnostics,
    stores: Arc<Stores>,
    pub(super) opened: Opened,
}

/// The state, opened when it is first needed.
#[derive(Default)]
struct Stores {
    existing: OnceCell<Option<Store>>,
    created: OnceCell<Store>,
}

/// Closes the state of an environment that has been used up.
pub struct Closing(Arc<Stores>);

impl Closing {
    /// Folds what was written into the one file, so that a copy of it is whole.
    pub async fn close(self) {
        for store in [self.0.existing.get().cloned().flatten(), self.0.created.get().cloned()].into_iter().flatten() {
            store.close().await;
        }
    }
}

/// Reads and checks an inventory, and nothing else: the environment that is asked for, or all of them.
pub fn validate(request: &OpenRequest) -> Result<(PathBuf, Vec<Loaded>), OpsError> {
    let root = find_root(request)?;
    let environments = match &request.environment {
        Some(environment) => vec![environment.to_string()],
        None => pool_inventory::environments(&root).map_err(problems)?,
    };
    let loaded: Result<Vec<Loaded>, OpsError> = environments.iter().map(|name| read(&root, Some(name))).collect();
    Ok((root, loaded?))
}

fn find_root(request: &OpenRequest) -> Result<PathBuf, OpsError> {
    let start = match &request.dir {
        Some(dir) => dir.clone(),
        None => std::env::current_dir()
            .map_err(|e| OpsError::Other(format!("failed to find the working folder: {e}").into()))?,
    };
    pool_inventory::files::find_root(&start).map_err(|e| OpsError::NoInventory(super::chain(&e).into()))
}

fn read(root: &Path, environment: Option<&str>) -> Result<Loaded, OpsError> {
    let env = |name: &str| std::env::var(name).ok();
    let loaded = pool_inventory::load(root, environment, &env).map_err(problems)?;
    let unrendered: Vec<Diagnostic> = wanted::dry_render(&loaded.desired).into_iter().map(Diagnostic::new).collect();
    if unrendered.is_empty() { Ok(loaded) } else { Err(problems(Diagnostics::new(unrendered, Sources::default()))) }
}

fn problems(problems: Diagnostics) -> OpsError {
    OpsError::Inventory { rendered: problems.render(false), coloured: problems.render(true), json: problems.to_json() }
}

impl Environment {
    /// Reads the inventory; the state is opened by the first operation that needs it, and made by the first that writes.
    pub async fn open(request: OpenRequest) -> Result<Self, OpsError> {
        let root = find_root(&request)?;
        let loaded = read(&root, request.environment.as_deref())?;
        let places = Places::new(&root, &loaded.desired.environment, &request.program);
        let sources = digests(&root, &loaded.sources);
        let Loaded { desired, warnings, .. } = loaded;
        Ok(Self { request, places, desired, sources, warnings, stores: Arc::default(), opened: Opened::default() })
    }

    /// To close the state once this environment has been used.
    pub fn closing(&self) -> Closing {
        Closing(self.stores.clone())
    }

    /// What the inventory says that is allowed and probably not meant.
    pub fn warnings(&self) -> &Diagnostics {
        &self.warnings
    }

    /// The folder of the inventory.
    pub fn root(&self) -> &Path {
        &self.places.root
    }

    /// What is declared.
    pub fn desired(&self) -> &Desired {
        &self.desired
    }

    fn options(&self) -> OpenOptions {
        OpenOptions {
            path: self.places.state(),
            backup_dir: self.places.backups(),
            inventory: self.desired.inventory.clone(),
            environment: self.desired.environment.clone(),
        }
    }

    /// The state, if there is one.
    pub(super) async fn existing_store(&self) -> Result<Option<&Store>, OpsError> {
        if let Some(store) = self.stores.created.get() {
            return Ok(Some(store));
        }
        let open =
            || async { Store::open_existing(self.options(), jiff::Timestamp::now()).await.map_err(OpsError::from) };
        Ok(self.stores.existing.get_or_try_init(open).await?.as_ref())
    }

    /// The state; made if there is none.
    pub(super) async fn store(&self) -> Result<&Store, OpsError> {
        if let Some(Some(store)) = self.stores.existing.get() {
            return Ok(store);
        }
        let open = || async { Store::open(self.options(), jiff::Timestamp::now()).await.map_err(OpsError::from) };
        self.stores.created.get_or_try_init(open).await
    }

    /// Rows and lineage; nothing and none without a state.
    pub(super) async fn recorded(&self) -> Result<(Vec<Recorded>, Option<Lineage>, u64), OpsError> {
        match self.existing_store().await? {
            None => Ok((Vec::new(), None, 0)),
            Some(store) => Ok((store.objects().await?, Some(store.lineage().clone()), store.serial().await?)),
        }
    }

    /// All declared providers that could be opened, and why the others could not.
    pub(super) fn providers(&self) -> (BTreeMap<Name, Arc<dyn Provider>>, BTreeMap<Name, ProviderError>) {
        let (mut open, mut failed) = (BTreeMap::new(), BTreeMap::new());
        for (name, provider) in self.opened.providers(&self.desired.providers, &self.desired.backends, &self.places) {
            match provider {
                Ok(provider) => {
                    open.insert(name, provider);
                }
                Err(error) => {
                    failed.insert(name, error);
                }
            }
        }
        (open, failed)
    }

    /// Ways to hosts.
    pub(super) fn ways(&self) -> Arc<Hosts> {
        Arc::new(Hosts::new(self.places.clone(), self.desired.providers.clone()))
    }

    /// Hosts that are declared.
    pub(super) fn declared_hosts(&self) -> usize {
        self.desired.pools.values().map(|pool| pool.hosts.most()).sum()
    }
}

/// Digests of the files that an inventory was read from, by path below its folder.
fn digests(root: &Path, sources: &[PathBuf]) -> BTreeMap<Text, Text> {
    let digest = |path: &PathBuf| {
        let full = root.join(path);
        let bytes = std::fs::read(&full).ok()?;
        let name = full.strip_prefix(root).unwrap_or(&full).display().to_string();
        Some((name.into(), blake3::hash(&bytes).to_hex()[..16].into()))
    };
    sources.iter().filter_map(digest).collect()
}
