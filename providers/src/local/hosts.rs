//! Machines: made, listed, changed, turned on and off, deleted. Everything here blocks.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    time::Duration,
};

use pool_inventory::{
    Text, Token,
    object::{HostSpec, Observed, Owner, Spec},
};
use pool_storage_tiers::files::{lock_file, lock_folder, make_private, remove_tree};
use russh::keys::{
    PrivateKey,
    ssh_key::{LineEnding, private::Ed25519Keypair},
};

use super::{
    make::{make_root, read_notes, write_guest, write_notes},
    mode::Mode,
    notes::{Notes, Phase, id_of, ip_of},
    power,
};
use crate::ProviderError;

/// Name of the one image.
pub(super) const IMAGE: &str = "host";
/// Name of the one offering.
pub(super) const OFFERING: &str = "machine";
/// Form of the notes.
const VERSION: u32 = 1;
/// How long another act on the same machine is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// Ports that are tried for a machine.
const PORTS: std::ops::Range<u16> = 2200..2400;

/// The machines of one folder.
#[derive(Debug)]
pub(super) struct Hosts {
    /// `machines/` in the provider's folder.
    pub dir: PathBuf,
    /// The program that machines are run by.
    pub program: PathBuf,
    pub mode: Mode,
    /// Folders with the machines and volumes of this provider.
    pub hidden: Vec<PathBuf>,
}

/// A failure of the file system, in the engine's terms.
pub(super) fn failed(what: impl std::fmt::Display) -> impl FnOnce(io::Error) -> ProviderError {
    move |error| {
        let text: Text = format!("{what}: {error}").into();
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ProviderError::NoCapacity(text),
            io::ErrorKind::ResourceBusy => ProviderError::Conflict(text),
            io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => ProviderError::Transient(text),
            io::ErrorKind::PermissionDenied => ProviderError::Unauthorized(text),
            _ => ProviderError::Other(text),
        }
    }
}

fn invalid(field: &str, detail: impl Into<Text>) -> ProviderError {
    ProviderError::Invalid { field: field.into(), detail: detail.into() }
}

impl Hosts {
    pub(super) fn path(&self, id: &str) -> PathBuf {
        self.dir.join(id)
    }

    /// Makes a machine, or answers with the one that this token made.
    pub(super) fn create(&self, owner: Owner, name: Text, spec: HostSpec) -> Result<Observed, ProviderError> {
        check(&spec)?;
        let id = id_of(&owner.token);
        let dir = self.path(&id);
        loop {
            make_private(&dir).map_err(failed("making the machine's folder"))?;
            let Some(_lock) = self.lock(&dir)? else { continue };
            match self.settle(&dir)? {
                Some(notes) if notes.phase == Phase::Made => return self.seen(&dir, &notes),
                // It was half made or half deleted, and is gone with its folder.
                _ if !dir.exists() => continue,
                _ => {}
            }
            return match self.make(&dir, id.clone(), owner.clone(), name.clone(), spec.clone()) {
                Ok(notes) => self.seen(&dir, &notes),
                Err(error) => {
                    // An error means that nothing was made.
                    self.erase(&dir)?;
                    Err(error)
                }
            };
        }
    }

    fn make(&self, dir: &Path, id: Text, owner: Owner, name: Text, spec: HostSpec) -> Result<Notes, ProviderError> {
        let (private, public) = host_key()?;
        let mut notes = self.claim(dir, |ip, port| Notes {
            version: VERSION,
            id,
            name,
            owner,
            spec,
            phase: Phase::Making,
            rootless: self.mode == Mode::Rootless,
            ip,
            port,
            host_key: public,
            hidden: self.hidden.clone(),
            volumes: Default::default(),
        })?;
        write_guest(dir, &notes, Some(&private)).map_err(failed("writing the machine's keys"))?;
        make_root(dir, &notes).map_err(failed("making the machine's root"))?;
        power::start(&self.program, dir, &notes).map_err(failed("starting the machine"))?;
        notes.phase = Phase::Made;
        write_notes(dir, &notes).map_err(failed("writing the machine's notes"))?;
        Ok(notes)
    }

    /// Chooses an address that no machine of the folder has and nobody listens on, and writes the notes with it.
    fn claim(&self, dir: &Path, notes: impl FnOnce(Ipv4Addr, u16) -> Notes) -> Result<Notes, ProviderError> {
        let what = || failed("choosing an address");
        let _one = lock_file(&self.dir.join(".addresses"), PATIENCE).map_err(what())?;
        let id = dir.file_name().unwrap_or_default().to_string_lossy();
        let ip = ip_of(&self.dir.to_string_lossy(), &id);
        let mut taken = BTreeSet::new();
        for id in self.ids().map_err(what())? {
            if let Some(other) = read_notes(&self.path(&id)).map_err(what())?
                && other.ip == ip
            {
                taken.insert(other.port);
            }
        }
        let free = |port: &u16| !taken.contains(port) && TcpListener::bind((ip, *port)).is_ok();
        let port = PORTS.into_iter().find(free);
        let port = port.ok_or_else(|| ProviderError::NoCapacity(format!("no free port on {ip}").into()))?;
        let notes = notes(ip, port);
        write_notes(dir, &notes).map_err(failed("writing the machine's notes"))?;
        Ok(notes)
    }

    fn lock(&self, dir: &Path) -> Result<Option<File>, ProviderError> {
        lock_folder(dir, PATIENCE).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => ProviderError::Conflict("another act on this machine is under way".into()),
            _ => failed("locking the machine")(error),
        })
    }

    /// Looks at a machine whose lock we hold, and ends what was begun and not ended: a half-deleted machine is
    /// deleted, a half-made one too unless it is up, and then it is made.
    fn settle(&self, dir: &Path) -> Result<Option<Notes>, ProviderError> {
        let Some(mut notes) = read_notes(dir).map_err(failed("reading the machine's notes"))? else { return Ok(None) };
        match notes.phase {
            Phase::Made => Ok(Some(notes)),
            Phase::Making
                if std::net::TcpStream::connect((notes.ip, notes.port)).is_ok()
                    && power::is_running(dir).map_err(failed("looking at the machine"))? =>
            {
                notes.phase = Phase::Made;
                write_notes(dir, &notes).map_err(failed("writing the machine's notes"))?;
                Ok(Some(notes))
            }
            Phase::Making | Phase::Deleting => {
                self.erase(dir)?;
                Ok(None)
            }
        }
    }

    /// Ends the machine and removes its folder.
    fn erase(&self, dir: &Path) -> Result<(), ProviderError> {
        power::stop(dir, false).map_err(failed("ending the machine"))?;
        remove_tree(dir).map_err(failed("removing the machine's folder"))
    }

    fn seen(&self, dir: &Path, notes: &Notes) -> Result<Observed, ProviderError> {
        Ok(notes.observed(power::is_running(dir).map_err(failed("looking at the machine"))?))
    }

    fn ids(&self) -> io::Result<Vec<String>> {
        let entries = fs::read_dir(&self.dir)?.flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let mut ids: Vec<String> = names.filter(|name| name.starts_with("m-")).collect();
        ids.sort();
        Ok(ids)
    }

    /// All machines, sorted by id. What a crash has left half done is cleared up on the way.
    pub(super) fn list(&self) -> Result<Vec<Observed>, ProviderError> {
        let mut all = Vec::new();
        for id in self.ids().map_err(failed("listing machines"))? {
            all.extend(self.look(&self.path(&id))?);
        }
        Ok(all)
    }

    /// The machine that a token made.
    pub(super) fn find(&self, token: &Token) -> Result<Option<Observed>, ProviderError> {
        self.look(&self.path(&id_of(token)))
    }

    fn look(&self, dir: &Path) -> Result<Option<Observed>, ProviderError> {
        let found = read_notes(dir).map_err(failed("reading a machine's notes"))?;
        if let Some(notes) = found.filter(|notes| notes.phase == Phase::Made) {
            return self.seen(dir, &notes).map(Some);
        }
        // Somebody is at work on it, or was.
        match lock_folder(dir, Duration::ZERO) {
            Ok(None) => Ok(None),
            Ok(Some(_lock)) => match self.settle(dir)? {
                Some(notes) => self.seen(dir, &notes).map(Some),
                None => {
                    remove_tree(dir).map_err(failed("removing a half-made machine"))?;
                    Ok(None)
                }
            },
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let notes = read_notes(dir).map_err(failed("reading a machine's notes"))?;
                Ok(notes.map(|notes| notes.observed(false)))
            }
            Err(error) => Err(failed("locking a machine")(error)),
        }
    }

    /// Runs `act` on a machine with its lock held.
    pub(super) fn with<T>(
        &self,
        id: &str,
        act: impl FnOnce(&Path, Notes) -> Result<T, ProviderError>,
    ) -> Result<T, ProviderError> {
        let absent = || ProviderError::NotFound(format!("machine {id}").into());
        // An id names a folder: nothing but our own ids may.
        if !id.starts_with("m-") || !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return Err(absent());
        }
        let dir = self.path(id);
        let _lock = self.lock(&dir)?.ok_or_else(absent)?;
        let notes = self.settle(&dir)?.ok_or_else(absent)?;
        act(&dir, notes)
    }

    /// Changes tags, sizes and keys where the machine stands.
    pub(super) fn update(&self, id: &str, to: HostSpec) -> Result<Observed, ProviderError> {
        check(&to)?;
        self.with(id, |dir, mut notes| {
            let changes = Spec::Host(notes.spec.clone()).changes(&Spec::Host(to.clone()));
            let capabilities = self.mode.capabilities();
            for change in changes {
                let how = capabilities.change(pool_inventory::Kind::Host, &change.field);
                if how != pool_inventory::market::Change::InPlace {
                    return Err(invalid(&change.field, "it cannot change while the machine stands"));
                }
            }
            notes.spec = to;
            write_guest(dir, &notes, None).map_err(failed("writing the machine's keys"))?;
            write_notes(dir, &notes).map_err(failed("writing the machine's notes"))?;
            self.seen(dir, &notes)
        })
    }

    /// Gives a machine a new root; address, host key and volumes stay.
    pub(super) fn rebuild(&self, id: &str, to: HostSpec) -> Result<Observed, ProviderError> {
        check(&to)?;
        self.with(id, |dir, mut notes| {
            power::stop(dir, true).map_err(failed("ending the machine"))?;
            remove_tree(&dir.join("root")).map_err(failed("removing the old root"))?;
            notes.spec = to;
            write_notes(dir, &notes).map_err(failed("writing the machine's notes"))?;
            write_guest(dir, &notes, None).map_err(failed("writing the machine's keys"))?;
            make_root(dir, &notes).map_err(failed("making the machine's root"))?;
            power::start(&self.program, dir, &notes).map_err(failed("starting the machine"))?;
            self.seen(dir, &notes)
        })
    }

    /// Turns a machine on or off.
    pub(super) fn power(&self, id: &str, on: bool) -> Result<Observed, ProviderError> {
        self.with(id, |dir, notes| {
            let running = power::is_running(dir).map_err(failed("looking at the machine"))?;
            match (on, running) {
                (true, false) => power::start(&self.program, dir, &notes).map_err(failed("starting the machine"))?,
                (false, true) => power::stop(dir, true).map_err(failed("ending the machine"))?,
                _ => {}
            }
            self.seen(dir, &notes)
        })
    }

    /// Deletes a machine; says which volumes it had.
    pub(super) fn delete(&self, id: &str) -> Result<Vec<Text>, ProviderError> {
        self.with(id, |dir, mut notes| {
            notes.phase = Phase::Deleting;
            write_notes(dir, &notes).map_err(failed("writing the machine's notes"))?;
            self.erase(dir)?;
            Ok(notes.volumes.into_keys().collect())
        })
    }

    /// Notes of all machines that have been up.
    pub(super) fn notes(&self) -> Result<Vec<Notes>, ProviderError> {
        let what = || failed("listing machines");
        let read = |id: String| read_notes(&self.path(&id)).transpose();
        let all: io::Result<Vec<Notes>> = self.ids().map_err(what())?.into_iter().filter_map(read).collect();
        Ok(all.map_err(what())?.into_iter().filter(|notes| notes.phase == Phase::Made).collect())
    }
}

fn check(spec: &HostSpec) -> Result<(), ProviderError> {
    if &*spec.image != IMAGE {
        return Err(invalid("image", format!("`{}` is not here; the one image is `{IMAGE}`", spec.image)));
    }
    if spec.network.is_some() {
        return Err(invalid("network", "local machines share the computer's network"));
    }
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if spec.user.is_empty() || spec.user.len() > 32 || spec.user.starts_with('-') || !spec.user.bytes().all(fits) {
        return Err(invalid("user", format!("`{}` cannot be a login name", spec.user)));
    }
    Ok(())
}

/// A new host key: private and public half in OpenSSH form.
fn host_key() -> Result<(String, Text), ProviderError> {
    let what = |error: &dyn std::fmt::Display| ProviderError::Other(format!("making a host key: {error}").into());
    let mut seed = zeroize::Zeroizing::new([0; 32]);
    getrandom::fill(seed.as_mut()).map_err(|error| what(&error))?;
    let key = PrivateKey::from(Ed25519Keypair::from_seed(&seed));
    let private = key.to_openssh(LineEnding::LF).map_err(|error| what(&error))?;
    let public = key.public_key().to_openssh().map_err(|error| what(&error))?;
    Ok((private.to_string(), public.into()))
}
