//! Volumes of backends, given to machines. Everything here blocks.
//!
//! Two notes say that a volume is attached: the backend's ledger, first, so that nobody else gets it, and the machine's,
//! last, once it is mounted there. A volume is shown as attached when both do; what stands between is ended by the next
//! attempt to attach, detach or delete it.

use std::{io, path::Path};

use pool_inventory::{
    Bytes, Kind, Text, Token,
    desired::Provisioning,
    market::{BackendOffer, Change},
    object::{Attachment, Observed, Owner, Spec, Status, VolumeSpec},
};
use pool_storage_tiers::{Ask, DirBackend, Phase, Source, StorageError, Volume};

use super::{
    control::{Answer, Ask as Control},
    hosts::{Hosts, failed},
    make::write_notes,
    notes::{Fitting, Notes},
    power,
};
use crate::ProviderError;

/// The backends that one provider can attach from.
#[derive(Debug)]
pub(super) struct Volumes {
    /// What tells this provider's volumes from those of others that share a backend.
    pub via: Text,
    pub backends: Vec<DirBackend>,
}

fn refused(error: StorageError) -> ProviderError {
    let text: Text = error.chain().into();
    match error {
        StorageError::NotFound(_) => ProviderError::NotFound(text),
        StorageError::Full { .. } => ProviderError::NoCapacity(text),
        StorageError::Attached(_) | StorageError::Stray(_) => ProviderError::Conflict(text),
        StorageError::Invalid { field, detail } => ProviderError::Invalid { field: field.into(), detail },
        StorageError::Busy(_) => ProviderError::Transient(text),
        StorageError::Ledger { .. } => ProviderError::Other(text),
        StorageError::Io { what, source } => failed(what)(source),
    }
}

fn invalid(field: &str, detail: impl Into<Text>) -> ProviderError {
    ProviderError::Invalid { field: field.into(), detail: detail.into() }
}

impl Volumes {
    pub(super) fn offers(&self) -> Result<Vec<BackendOffer>, ProviderError> {
        self.backends.iter().map(|backend| backend.offer().map_err(refused)).collect()
    }

    fn backend(&self, name: &str) -> Result<&DirBackend, ProviderError> {
        let known = || self.backends.iter().map(|backend| &**backend.name()).collect::<Vec<_>>().join(", ");
        let found = self.backends.iter().find(|backend| &**backend.name() == name);
        found.ok_or_else(|| invalid("backend", format!("`{name}` is not here; there are {}", known())))
    }

    /// A volume of ours by its id, with its backend.
    fn get(&self, id: &str) -> Result<(&DirBackend, Volume), ProviderError> {
        for backend in &self.backends {
            match backend.get(id) {
                Ok(volume) if volume.via == self.via => return Ok((backend, volume)),
                Ok(_) | Err(StorageError::NotFound(_)) => {}
                Err(error) => return Err(refused(error)),
            }
        }
        Err(ProviderError::NotFound(format!("volume {id}").into()))
    }

    pub(super) fn create(&self, owner: Owner, name: Text, spec: VolumeSpec) -> Result<Observed, ProviderError> {
        let backend = self.backend(&spec.backend)?;
        // A token makes one volume, in whatever backend it is asked for.
        for other in self.backends.iter().filter(|other| other.name() != backend.name()) {
            if let Some(found) = other.find(&owner.token).map_err(refused)? {
                return Ok(observed(&found, None));
            }
        }
        let volume = backend.create(&Ask { via: self.via.clone(), name, owner, spec }).map_err(refused)?;
        Ok(observed(&volume, None))
    }

    pub(super) fn list(&self, hosts: &Hosts) -> Result<Vec<Observed>, ProviderError> {
        let machines = hosts.notes()?;
        let mut all = Vec::new();
        for backend in &self.backends {
            let volumes = backend.list(&self.via).map_err(refused)?;
            all.extend(volumes.iter().filter_map(|volume| settled(backend, volume, holder(&machines, volume))));
        }
        Ok(all)
    }

    pub(super) fn find(&self, hosts: &Hosts, token: &Token) -> Result<Option<Observed>, ProviderError> {
        for backend in &self.backends {
            if let Some(volume) = backend.find(token).map_err(refused)?.filter(|volume| volume.via == self.via) {
                return Ok(settled(backend, &volume, holder(&hosts.notes()?, &volume)));
            }
        }
        Ok(None)
    }

    /// Makes a volume what `to` says: first out of the old machine, then larger, then into the new one.
    pub(super) fn update(
        &self,
        hosts: &Hosts,
        id: &str,
        to: &VolumeSpec,
        host: Option<&str>,
    ) -> Result<Observed, ProviderError> {
        let (backend, volume) = self.get(id)?;
        let capabilities = hosts.mode.capabilities();
        for change in Spec::Volume(volume.spec.clone()).changes(&Spec::Volume(to.clone())) {
            let ours = &*change.field == "on_remove";
            if !ours && capabilities.change(Kind::Volume, &change.field) != Change::InPlace {
                return Err(invalid(&change.field, "it cannot change while the volume stands"));
            }
        }
        // Also when an attachment was cut off: nobody knows how far it came, and an image that may be mounted must not
        // be grown as if it were not.
        let cut_off = holder(&hosts.notes()?, &volume).is_none();
        if volume.spec.attached.is_some() && (cut_off || volume.spec.attached != to.attached) {
            release(hosts, backend, &volume)?;
        }
        backend.note(id, to).map_err(refused)?;
        if to.size != volume.spec.size || volume.growing.is_some() {
            self.extend(hosts, backend, &volume, to.size)?;
        }
        if let Some(at) = &to.attached {
            let host = host.ok_or_else(|| invalid("attached", "the id of the machine is missing"))?;
            attach(hosts, backend, id, at, host)?;
        }
        let (_, volume) = self.get(id)?;
        Ok(observed(&volume, holder(&hosts.notes()?, &volume)))
    }

    fn extend(&self, hosts: &Hosts, backend: &DirBackend, volume: &Volume, size: Bytes) -> Result<(), ProviderError> {
        let Some(machine) = holder(&hosts.notes()?, volume).map(|notes| notes.id.clone()) else {
            return backend.extend(&volume.id, size, None).map(drop).map_err(refused);
        };
        // With the machine's lock, so that it is neither turned on nor off meanwhile.
        hosts.with(&machine, |dir, notes| {
            let fitting = notes.volumes.get(&volume.id).cloned().unwrap_or_else(|| fitting_of(backend, volume, None));
            let ask = Control::Grow { id: volume.id.clone(), fitting };
            let mut follow = || {
                match power::ask(dir, &ask) {
                    Ok(Answer::Ok) => Ok(()),
                    Ok(busy @ Answer::Busy(_)) => Err(io::Error::new(io::ErrorKind::ResourceBusy, explain(busy))),
                    Ok(other) => Err(io::Error::other(explain(other))),
                    Err(error) => Err(error),
                }
                .map_err(|source| StorageError::Io { what: "growing the mounted file system".into(), source })
            };
            let running = power::is_running(dir).map_err(failed("looking at the machine"))?;
            let grown = backend.extend(&volume.id, size, if running { Some(&mut follow) } else { None });
            grown.map(drop).map_err(refused)
        })
    }

    /// Deletes a volume that no machine has.
    pub(super) fn delete(&self, hosts: &Hosts, id: &str) -> Result<(), ProviderError> {
        let (backend, volume) = self.get(id)?;
        if volume.spec.attached.is_some() && holder(&hosts.notes()?, &volume).is_none() {
            // Shown as detached: an attachment that was cut off.
            release(hosts, backend, &volume)?;
        }
        backend.delete(id).map_err(refused)
    }

    /// A machine is gone, and its volumes are free.
    pub(super) fn freed(&self, volumes: &[Text]) -> Result<(), ProviderError> {
        for id in volumes {
            match self.get(id) {
                Ok((backend, _)) => drop(backend.detach(id).map_err(refused)?),
                Err(ProviderError::NotFound(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// The machine that has a volume.
fn holder<'a>(machines: &'a [Notes], volume: &Volume) -> Option<&'a Notes> {
    machines.iter().find(|notes| notes.volumes.contains_key(&volume.id))
}

/// A volume as it is seen; a deletion that was cut off is carried out first, since nobody else would: the planner takes
/// what is being deleted for gone. Two that delete at once do each other no harm.
fn settled(backend: &DirBackend, volume: &Volume, holder: Option<&Notes>) -> Option<Observed> {
    if volume.phase != Phase::Deleting {
        return Some(observed(volume, holder));
    }
    match backend.delete(&volume.id) {
        Ok(()) | Err(StorageError::NotFound(_)) => None,
        Err(error) => {
            let status = Status::Failed(format!("it cannot be deleted: {}", error.chain()).into());
            Some(Observed { status, ..observed(volume, holder) })
        }
    }
}

fn observed(volume: &Volume, holder: Option<&Notes>) -> Observed {
    let mut spec = volume.spec.clone();
    if holder.is_none() {
        spec.attached = None;
    }
    Observed {
        id: volume.id.clone(),
        name: volume.name.clone(),
        owner: Some(volume.owner.clone()),
        status: if volume.phase == Phase::Deleting { Status::Deleting } else { Status::Ready },
        spec: Spec::Volume(spec),
        endpoint: None,
    }
}

fn fitting_of(backend: &DirBackend, volume: &Volume, mount: Option<Text>) -> Fitting {
    let image = volume.spec.provisioning == Provisioning::Thick;
    let (Source::Dir(source) | Source::Image(source)) = backend.source(volume);
    Fitting { source, image, mount }
}

fn attach(hosts: &Hosts, backend: &DirBackend, id: &str, at: &Attachment, host: &str) -> Result<(), ProviderError> {
    check_mount(at)?;
    hosts.with(host, |dir, mut notes| {
        let volume = backend.attach(id, at).map_err(refused)?;
        let fitting = fitting_of(backend, &volume, at.mount.clone());
        if notes.volumes.get(&volume.id) == Some(&fitting) {
            return Ok(());
        }
        if let Err(error) = change(dir, &Control::Attach { id: volume.id.clone(), fitting: fitting.clone() }) {
            backend.detach(id).map_err(refused)?;
            return Err(error);
        }
        notes.volumes.insert(volume.id, fitting);
        write_notes(dir, &notes).map_err(failed("writing the machine's notes"))
    })
}

/// A mount point must not hide what a machine is made of.
fn check_mount(at: &Attachment) -> Result<(), ProviderError> {
    let Some(mount) = &at.mount else { return Ok(()) };
    let path = Path::new(&**mount);
    let plain = path.is_absolute() && path.components().all(|part| !matches!(part, std::path::Component::ParentDir));
    let own = ["/", "/proc", "/sys", "/dev", "/run", "/etc", "/usr", "/var", "/tmp"];
    let below = ["/proc", "/sys", "/dev", "/run"];
    if !plain || own.iter().any(|own| path == Path::new(own)) || below.iter().any(|own| path.starts_with(own)) {
        return Err(invalid("attached", format!("`{mount}` cannot be a mount point")));
    }
    Ok(())
}

/// Takes a volume out of the machine that has it, or of the one that may have been about to get it.
fn release(hosts: &Hosts, backend: &DirBackend, volume: &Volume) -> Result<(), ProviderError> {
    let Some(at) = &volume.spec.attached else { return Ok(()) };
    for notes in hosts.notes()? {
        let meant = notes.owner.lineage == volume.owner.lineage && notes.owner.address == at.host;
        if !meant && !notes.volumes.contains_key(&volume.id) {
            continue;
        }
        let done = hosts.with(&notes.id, |dir, mut notes| {
            let fitting =
                notes.volumes.get(&volume.id).cloned().unwrap_or_else(|| fitting_of(backend, volume, at.mount.clone()));
            change(dir, &Control::Detach { id: volume.id.clone(), fitting })?;
            notes.volumes.remove(&volume.id);
            write_notes(dir, &notes).map_err(failed("writing the machine's notes"))
        });
        match done {
            Ok(()) | Err(ProviderError::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
    }
    backend.detach(&volume.id).map(drop).map_err(refused)
}

/// Has the keeper of a machine carry out a change; a machine that is off sees it when it is turned on.
fn change(dir: &Path, ask: &Control) -> Result<(), ProviderError> {
    if !power::is_running(dir).map_err(failed("looking at the machine"))? {
        return Ok(());
    }
    match power::ask(dir, ask).map_err(failed("asking the machine's keeper"))? {
        Answer::Ok => Ok(()),
        busy @ Answer::Busy(_) => Err(ProviderError::Conflict(explain(busy).into())),
        other => Err(ProviderError::Other(explain(other).into())),
    }
}

fn explain(answer: Answer) -> String {
    match answer {
        Answer::Ok => "done".to_owned(),
        Answer::Off => "the machine is ending".to_owned(),
        Answer::Busy(why) | Answer::Failed(why) => why,
    }
}
