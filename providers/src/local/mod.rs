//! `local`: real little machines on this computer, without a cloud, a daemon or Docker.
//!
//! A machine is a process in its own mount, PID, UTS and IPC namespaces, with a copy-on-write view of this computer's
//! system as its root, an SSH server on a loopback address, and few rights. `docs/providers/local.md` says for users
//! what it is and is not.
//!
//! | module | what it holds |
//! |---|---|
//! | [`machine`] | the processes of a machine, from its keeper to its SSH server |
//! | `mode` | with root and without: what each can do |
//! | `hosts` | making, listing, changing, deleting machines |
//! | `make`, `accounts`, `notes` | what is in a machine's folder |
//! | `power`, `control` | starting, ending, and talking to a machine's keeper |
//! | `volumes` | volumes of backends, given to machines |
//!
//! # Files
//!
//! ```text
//! DIR/machines/m-…/machine.json   notes, written before any process is started
//!                  guest/         host key, authorised keys; the machine sees it at /run/pool
//!                  root/          root folder, changed files
//!                  alive          locked as long as any process of the machine lives
//!                  control        socket of its keeper
//!                  log            what its processes said
//! DIR/dir/                        the provider's own backend, `PROVIDER/dir`
//! ```

mod accounts;
mod control;
mod hosts;
pub mod machine;
mod make;
mod mode;
mod notes;
mod power;
mod volumes;

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use pool_inventory::{
    Bytes, Kind, Money, Name, Text, Token,
    desired::{Arch, BackendSpec, Size},
    market::{Capabilities, Feature, Market, Offering},
    object::{Observed, Spec},
};

use pool_storage_tiers::{Capacity, DirBackend, files};

use crate::{Act, Operation, Page, Progress, Provider, ProviderError, Request};
use hosts::{Hosts, IMAGE, OFFERING};
use mode::Mode;
use volumes::Volumes;

/// Objects in one page of a list.
const PAGE: usize = 500;

/// The machines of one folder.
#[derive(Debug, Clone)]
pub struct LocalProvider(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    hosts: Hosts,
    volumes: Volumes,
}

impl LocalProvider {
    /// Opens the provider `name`, whose machines live below `dir`.
    ///
    /// `program` is the binary that machines are run by: it must call [`machine::main`] when its first argument is
    /// [`machine::WORD`]. `declared` are the backends of the inventory; the provider brings one of its own,
    /// called `NAME/dir`.
    pub fn open(name: &Name, dir: &Path, program: PathBuf, declared: &BTreeMap<Name, BackendSpec>) -> io::Result<Self> {
        let machines = std::path::absolute(dir)?.join("machines");
        files::make_private(&machines)?;
        let machines = machines.canonicalize()?;
        let dir = machines.parent().unwrap_or(&machines);
        files::make_private(dir)?;
        let mode = Mode::detect();
        let thick = mode.features().contains(&Feature::EnforcedSize);
        let own = DirBackend::new(format!("{name}/dir").into(), dir.join("dir"), Capacity::HalfOfFree, thick);
        let mut backends = vec![own];
        let mut hidden = vec![dir.to_owned()];
        for (name, spec) in declared {
            let path = std::path::absolute(&*spec.path)?;
            hidden.push(path.clone());
            backends.push(DirBackend::new(name.as_str().into(), path, Capacity::Fixed(spec.capacity), thick));
        }
        let volumes = Volumes { via: dir.to_string_lossy().into(), backends };
        Ok(Self(Arc::new(Inner { hosts: Hosts { dir: machines, program, mode, hidden }, volumes })))
    }

    /// Runs blocking work; when the caller goes away, it is carried out to its end all the same.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, ProviderError> + Send + 'static,
    ) -> Result<T, ProviderError> {
        let inner = Arc::clone(&self.0);
        match tokio::task::spawn_blocking(move || work(&inner)).await {
            Ok(done) => done,
            Err(error) => Err(ProviderError::Indeterminate(error.to_string().into())),
        }
    }
}

impl Inner {
    fn carry_out(&self, request: Request) -> Result<Progress, ProviderError> {
        let Request { owner, name, act } = request;
        let done = match act {
            Act::Create(Spec::Host(spec)) => self.hosts.create(owner, name, spec)?,
            Act::Update { id, to: Spec::Host(to), .. } => self.hosts.update(&id, to)?,
            Act::Rebuild { id, to } => self.hosts.rebuild(&id, *to)?,
            Act::Power { id, on } => self.hosts.power(&id, on)?,
            Act::Delete { id, kind: Kind::Host } => {
                self.volumes.freed(&self.hosts.delete(&id)?)?;
                return Ok(Progress::Gone);
            }
            Act::Create(Spec::Volume(spec)) => self.volumes.create(owner, name, spec)?,
            Act::Update { id, to: Spec::Volume(to), host } => {
                self.volumes.update(&self.hosts, &id, &to, host.as_deref())?
            }
            Act::Delete { id, kind: Kind::Volume } => {
                self.volumes.delete(&self.hosts, &id)?;
                return Ok(Progress::Gone);
            }
            Act::Create(to) | Act::Update { to, .. } => return Err(unsupported(to.kind())),
            Act::Restore { kind, .. } => return Err(unsupported(kind)),
            Act::Restart { id } => {
                self.hosts.power(&id, false)?;
                self.hosts.power(&id, true)?
            }
            Act::Delete { id, .. } => return Err(ProviderError::NotFound(id)),
        };
        Ok(Progress::Done(Box::new(done)))
    }

    fn list(&self, kind: Kind) -> Result<Vec<Observed>, ProviderError> {
        match kind {
            Kind::Host => self.hosts.list(),
            Kind::Volume => self.volumes.list(&self.hosts),
            _ => Ok(Vec::new()),
        }
    }

    fn market(&self) -> Result<Market, ProviderError> {
        let size = computer(&self.hosts.dir).map_err(hosts::failed("looking at this computer"))?;
        Ok(Market {
            offerings: vec![Offering {
                name: OFFERING.into(),
                region: "".into(),
                zone: "".into(),
                size,
                elastic: true,
                price: Money::ZERO,
                stock: None,
                arch: arch(),
                ..Offering::default()
            }],
            backends: self.volumes.offers()?,
            images: [IMAGE.into()].into(),
            ..Market::default()
        })
    }
}

fn unsupported(kind: Kind) -> ProviderError {
    ProviderError::Invalid { field: "kind".into(), detail: format!("local machines have no {kind}").into() }
}

/// The instruction set of this computer.
fn arch() -> Option<Arch> {
    match std::env::consts::ARCH {
        "x86_64" => Some(Arch::Amd64),
        "aarch64" => Some(Arch::Arm64),
        _ => None,
    }
}

/// What this computer has.
fn computer(dir: &Path) -> io::Result<Size> {
    let memory = rustix::system::sysinfo();
    let disk = rustix::fs::statvfs(dir)?;
    Ok(Size {
        vcpus: std::thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(u32::MAX)),
        memory: Bytes(memory.totalram.saturating_mul(u64::from(memory.mem_unit))),
        disk: Bytes(disk.f_blocks.saturating_mul(disk.f_frsize)),
    })
}

#[async_trait]
impl Provider for LocalProvider {
    fn capabilities(&self) -> Capabilities {
        self.0.hosts.mode.capabilities()
    }

    async fn market(&self) -> Result<Market, ProviderError> {
        self.run(Inner::market).await
    }

    async fn submit(&self, batch: Vec<Request>) -> Vec<Result<Progress, ProviderError>> {
        let tasks: Vec<_> = batch
            .into_iter()
            .map(|request| {
                let inner = Arc::clone(&self.0);
                tokio::task::spawn_blocking(move || inner.carry_out(request))
            })
            .collect();
        let mut answers = Vec::with_capacity(tasks.len());
        for task in tasks {
            answers.push(match task.await {
                Ok(answer) => answer,
                Err(error) => Err(ProviderError::Indeterminate(error.to_string().into())),
            });
        }
        answers
    }

    async fn list(&self, kind: Kind, from: Option<Text>) -> Result<Page, ProviderError> {
        let mut objects = self.run(move |inner| inner.list(kind)).await?;
        // By id, not by place: what comes or goes between two pages moves no other object.
        objects.sort_by(|a, b| a.id.cmp(&b.id));
        objects.retain(|object| from.as_ref().is_none_or(|from| object.id > *from));
        let more = objects.len() > PAGE;
        objects.truncate(PAGE);
        let next = objects.last().filter(|_| more).map(|last| last.id.clone());
        Ok(Page { objects, next })
    }

    async fn find(&self, token: &Token) -> Result<Option<Observed>, ProviderError> {
        let token = token.clone();
        self.run(move |inner| match inner.hosts.find(&token)? {
            Some(host) => Ok(Some(host)),
            None => inner.volumes.find(&inner.hosts, &token),
        })
        .await
    }

    async fn poll(&self, operations: &[Operation]) -> Vec<Result<Progress, ProviderError>> {
        // Every act is done when `submit` answers.
        operations.iter().map(|operation| Err(ProviderError::NotFound(operation.0.clone()))).collect()
    }
}
