//! Ways to hosts: real ones over SSH, simulated ones over the simulated transport.

use std::collections::BTreeMap;

use pool_bootstrap::{
    Link, Password, keys,
    link::LinkError,
    sim::{SimHost, SimLink, forget},
    ssh::{self, Agent, Deadlines, Login, SshError, SshLink},
};
use pool_inventory::{
    Name, Text,
    desired::{Access, ProviderKind, ProviderSpec, SecretRef, Trust},
    object::{Endpoint, Recorded},
};

use super::Places;
use crate::{ops::OpsError, secrets};

/// Everything that reaching a host needs, for one environment.
pub struct Hosts {
    places: Places,
    providers: BTreeMap<Name, ProviderSpec>,
}

/// Why a host cannot be reached.
#[derive(Debug, thiserror::Error)]
pub enum ReachError {
    /// The connection failed.
    #[error(transparent)]
    Ssh(#[from] SshError),
    /// The simulated host cannot be reached.
    #[error(transparent)]
    Sim(#[from] LinkError),
    /// A key cannot be used.
    #[error("the login key cannot be used: {0}")]
    Key(Text),
    /// The jump host is not written as it must be.
    #[error("{0}")]
    Jump(Text),
    /// The host has no address yet.
    #[error("{0} has no address yet")]
    NoAddress(Text),
}

impl ReachError {
    /// Whether trying again later may help without any change.
    pub fn is_unreachable(&self) -> bool {
        match self {
            ReachError::Ssh(error) => error.is_unreachable(),
            ReachError::Sim(error) => error.is_unreachable(),
            ReachError::Key(_) | ReachError::Jump(_) | ReachError::NoAddress(_) => false,
        }
    }

    /// Whether the host runs, and nothing answers at its port.
    pub fn is_refused(&self) -> bool {
        match self {
            ReachError::Ssh(error) | ReachError::Sim(LinkError::Ssh(error)) => error.is_refused(),
            _ => false,
        }
    }

    /// Whether the host showed another key than the one that is known.
    pub fn is_mismatch(&self) -> bool {
        matches!(self, ReachError::Ssh(SshError::HostKeyMismatch { .. }))
    }

    /// Whether the host refused the login.
    pub fn is_auth(&self) -> bool {
        matches!(self, ReachError::Ssh(error) if error.is_auth())
    }
}

impl Hosts {
    /// Ways to the hosts of `providers`.
    pub fn new(places: Places, providers: BTreeMap<Name, ProviderSpec>) -> Self {
        Self { places, providers }
    }

    /// Whether hosts of this provider are simulated.
    pub fn is_simulated(&self, provider: &str) -> bool {
        matches!(self.providers.get(provider).map(|p| &p.kind), Some(ProviderKind::Sim(_)))
    }

    /// Opens a link to a recorded host. Gives the host key too where it was accepted at first contact.
    pub async fn link(
        &self,
        row: &Recorded,
        access: Option<&Access>,
    ) -> Result<(Box<dyn Link>, Option<Text>), ReachError> {
        if self.is_simulated(&row.provider) {
            return Ok((Box::new(SimLink::open(&self.places.sim_hosts(&row.provider), simulated(row)?)?), None));
        }
        let (link, learnt) = self.ssh(row, access).await?;
        Ok((Box::new(link), learnt))
    }

    /// Opens an SSH connection to a recorded host.
    pub async fn ssh(&self, row: &Recorded, access: Option<&Access>) -> Result<(SshLink, Option<Text>), ReachError> {
        let endpoint = row.endpoint.as_ref().ok_or_else(|| ReachError::NoAddress(row.address.to_string().into()))?;
        let user = row.spec.host().map(|host| host.user.clone()).unwrap_or_else(|| "root".into());
        let login = self.login(access, user, endpoint)?;
        let first_contact = endpoint.host_keys.is_empty() && login.trust == Trust::FirstContact;
        let link = ssh::connect(endpoint, &login, Deadlines::default()).await?;
        let learnt = first_contact.then(|| link.host_key().clone());
        Ok((link, learnt))
    }

    /// Whether the login at an address works; nothing is remembered of it.
    pub async fn try_login(&self, endpoint: &Endpoint, access: Option<&Access>) -> Result<(), ReachError> {
        let login = self.login(access, "root".into(), endpoint)?;
        ssh::connect(endpoint, &login, Deadlines::default()).await?;
        Ok(())
    }

    /// The public key that hosts are made with.
    pub fn public_key(&self, access: Option<&Access>) -> Result<Text, OpsError> {
        let key = self.key(access).map_err(|e| OpsError::Secret(e.to_string().into()))?;
        Ok(key.map(|key| key.public()).unwrap_or_else(|| "".into()))
    }

    fn login(&self, access: Option<&Access>, user: Text, endpoint: &Endpoint) -> Result<Login, ReachError> {
        let jump = match access.and_then(|access| access.jump.as_ref()) {
            Some(jump) => Some(Box::new(self.jump(access, jump, &user)?)),
            None => None,
        };
        let agent = if access.is_some_and(|access| access.agent) { Agent::Environment } else { Agent::No };
        // A provider that hands out host keys has them recorded; without access settings that is the only trust.
        let default_trust = if endpoint.host_keys.is_empty() { Trust::Pinned } else { Trust::Injected };
        let trust = access.map_or(default_trust, |access| access.trust);
        Ok(Login {
            user: access.map_or(user, |access| access.user.clone()),
            key: self.key(access)?,
            agent,
            jump,
            trust,
        })
    }

    /// The jump host: reached with the same key, its host key checked against the user's `known_hosts`, where OpenSSH
    /// looks too.
    fn jump(&self, access: Option<&Access>, text: &str, user: &Text) -> Result<(Endpoint, Login), ReachError> {
        let (name, mut endpoint) = ssh::parse_jump(text).map_err(|e| ReachError::Jump(e.to_string().into()))?;
        if let Some(home) = std::env::home_dir() {
            endpoint.host_keys = ssh::known_hosts(&home.join(".ssh/known_hosts"), &endpoint.host, endpoint.port);
        }
        let agent = if access.is_some_and(|access| access.agent) { Agent::Environment } else { Agent::No };
        let trust = match access.map(|access| access.trust) {
            Some(Trust::FirstContact) => Trust::FirstContact,
            _ => Trust::Pinned,
        };
        let user = name.unwrap_or_else(|| user.clone());
        Ok((endpoint, Login { user, key: self.key(access)?, agent, jump: None, trust }))
    }

    /// A password, resolved now.
    pub fn password(&self, reference: &SecretRef) -> Result<Password, String> {
        let bytes = secrets::resolve(reference, &self.places.root).map_err(|error| crate::ops::chain(&error))?;
        let text = std::str::from_utf8(&bytes).map_err(|_| "a password is not UTF-8 text".to_owned())?;
        if text.contains(char::is_control) {
            return Err("a password holds a control character".to_owned());
        }
        Ok(Password::new(text.to_owned().into()))
    }

    /// A new system is on a host, or the host is gone: what was on it counts no more.
    pub fn forget(&self, row: &Recorded) {
        if let Some(id) = row.id.as_ref().filter(|_| self.is_simulated(&row.provider)) {
            // What is left behind is a file that no host will ever ask for again: ids are not used twice.
            let _ = forget(&self.places.sim_hosts(&row.provider), id);
        }
    }

    /// The private key: the one that the inventory names, none with an agent alone, else the inventory's own.
    fn key(&self, access: Option<&Access>) -> Result<Option<keys::Key>, ReachError> {
        let text = |e: &dyn std::fmt::Display| ReachError::Key(e.to_string().into());
        match access {
            Some(Access { key: Some(reference), .. }) => {
                let bytes = secrets::resolve(reference, &self.places.root).map_err(|e| text(&e))?;
                keys::load(&bytes).map(Some).map_err(|e| text(&e))
            }
            Some(Access { agent: true, .. }) => Ok(None),
            _ => keys::generate(&self.places.key()).map(Some).map_err(|e| text(&e)),
        }
    }
}

/// A host of the simulated cloud as the simulated transport knows it.
fn simulated(row: &Recorded) -> Result<SimHost, ReachError> {
    let missing = || ReachError::NoAddress(row.address.to_string().into());
    let (id, host) = row.id.clone().zip(row.spec.host()).ok_or_else(missing)?;
    Ok(SimHost {
        id,
        name: row.address.name.clone(),
        address: row.endpoint.as_ref().ok_or_else(missing)?.host.clone(),
        user: host.user.clone(),
        cpus: host.size.vcpus,
        memory: host.size.memory,
        disk: host.size.disk,
    })
}
