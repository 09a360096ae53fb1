//! What runs unmanaged at a provider, and the inventory text that takes it over.

mod names;
mod text;

use std::collections::{BTreeMap, HashSet};

use pool_inventory::{
    Bytes, Name, Text,
    desired::{Provisioning, Size},
    market::{Capabilities, Feature, Market, NetworkOffer},
    names::wildcard,
    object::{Observed, Recorded, Spec, Status, VolumeSpec},
};
use pool_providers::ProviderError;
use serde::Serialize;

use super::{Environment, OpsError};
use crate::observe;

/// What runs at a provider and nobody manages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unmanaged {
    /// Where.
    pub provider: Name,
    /// Machines, with the volumes that are attached to them.
    pub hosts: Vec<UnmanagedHost>,
    /// Volumes that are attached to none of them; they are not taken over.
    pub volumes: Vec<UnmanagedVolume>,
    /// Networks that can be used as they are.
    pub networks: Vec<UnmanagedNetwork>,
    /// Machines, volumes and networks that someone manages: this state, or another.
    pub managed: usize,
    /// Inventory text that takes machines and networks over; empty: there is nothing to take over.
    pub inventory: String,
}

/// A machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnmanagedHost {
    /// The provider's id.
    pub id: Text,
    /// The provider's name of it.
    pub name: Text,
    /// The host that it becomes.
    pub host: Name,
    /// The pool that it comes into.
    pub pool: Name,
    /// Machine size.
    pub offering: Text,
    /// What that has.
    pub size: Size,
    /// Image.
    pub image: Text,
    /// Zone.
    pub zone: Text,
    /// Where it answers; none: it is off, or has no address.
    pub address: Option<Text>,
    /// How it is.
    pub status: Status,
    /// Its volumes, by the name that they get.
    pub volumes: BTreeMap<Name, UnmanagedVolume>,
}

/// A volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnmanagedVolume {
    /// The provider's id.
    pub id: Text,
    /// The provider's name of it.
    pub name: Text,
    /// Size.
    pub size: Bytes,
    /// What serves it.
    pub backend: Text,
    /// Thin or thick.
    pub provisioning: Provisioning,
}

/// A network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnmanagedNetwork {
    /// The provider's id.
    pub id: Text,
    /// The provider's name of it.
    pub name: Text,
    /// The network that it becomes.
    pub network: Name,
    /// Addresses that are left; none: not told.
    pub free: Option<u64>,
}

impl Environment {
    /// What runs unmanaged at a provider: all of it, or what has one of the names or ids of `only`. Changes nothing.
    pub async fn unmanaged(&self, provider: &str, only: &[Text]) -> Result<Unmanaged, OpsError> {
        let (recorded, _, _) = self.recorded().await?;
        let (name, can, objects, market) = self.asked(provider, &recorded).await?;
        let known: HashSet<&Text> =
            recorded.iter().filter(|row| row.provider == name).filter_map(|row| row.id.as_ref()).collect();
        let free = |object: &&Observed| object.owner.is_none() && !known.contains(&object.id);
        let managed = objects.iter().filter(|object| !free(object)).count();
        let free: Vec<&Observed> =
            objects.iter().filter(free).filter(|object| object.status != Status::Deleting).collect();
        let wanted = |id: &Text, name: &Text| only.is_empty() || only.iter().any(|o| o == id || wildcard(o, name));
        let networks = networks(&can, &market, &free, &known);
        let unknown = |one: &&Text| {
            let fits = |id: &Text, name: &Text| **one == *id || wildcard(one, name);
            !free.iter().any(|o| o.spec.host().is_some() && fits(&o.id, &o.name))
                && !networks.iter().any(|network| fits(&network.id, &network.name))
        };
        if let Some(one) = only.iter().find(unknown) {
            let text = format!("no unmanaged machine or network of {name} has the name or id `{one}`");
            return Err(OpsError::NotFound(text.into()));
        }
        let hosts: Vec<&Observed> = free.iter().copied().filter(|o| o.spec.host().is_some()).collect();
        let (hosts, mut spare) = (pairs(&hosts, &free), spare(&hosts, &free));
        if !only.is_empty() {
            spare.clear();
        }
        let chosen = hosts.into_iter().filter(|(host, _)| wanted(&host.id, &host.name)).collect();
        let networks = networks.into_iter().filter(|network| wanted(&network.id, &network.name)).collect();
        let mut words = names::Words::new(&self.desired);
        let mut found = Unmanaged {
            hosts: words.hosts(&name, chosen),
            volumes: spare,
            networks: words.networks(networks),
            provider: name,
            managed,
            inventory: String::new(),
        };
        found.inventory = text::inventory(&self.desired, &found);
        Ok(found)
    }

    /// Everything that a provider has, if it is one that machines can be taken over from.
    async fn asked(
        &self,
        provider: &str,
        recorded: &[Recorded],
    ) -> Result<(Name, Capabilities, Vec<Observed>, Market), OpsError> {
        let Some((name, _)) = self.desired.providers.get_key_value(provider) else {
            let names: Vec<Text> = self.desired.providers.keys().map(|name| name.as_str().into()).collect();
            let hint = super::check::hint(provider, names.iter());
            return Err(OpsError::NotFound(format!("there is no provider `{provider}`; {hint}").into()));
        };
        let (mut open, mut errors) = self.providers();
        open.retain(|other, _| other == name);
        let can = open.get(name).map(|provider| provider.capabilities());
        if let Some(can) = can.as_ref().filter(|can| !can.features.contains(&Feature::Adopting)) {
            let text = match can.creates {
                true => format!("provider {name} takes nothing over"),
                false => {
                    format!("provider {name} lists nothing: write its hosts into the inventory, with their addresses")
                }
            };
            return Err(OpsError::Refused(text.into()));
        }
        let view = observe::providers(&open, super::plan::expected(&open, recorded, &[])).await.remove(name);
        match (view, can) {
            (Some(Ok(view)), Some(can)) => Ok((name.clone(), can, view.objects, view.market)),
            (Some(Err(error)), _) => Err(refused(name, error)),
            (None, _) | (_, None) => {
                let error = errors.remove(name).unwrap_or(ProviderError::Other("it could not be opened".into()));
                Err(refused(name, error))
            }
        }
    }
}

fn refused(provider: &Name, error: ProviderError) -> OpsError {
    match error {
        ProviderError::Unauthorized(detail) => OpsError::Unauthorized { provider: provider.clone(), detail },
        error => OpsError::Other(format!("provider {provider} does not answer: {error}").into()),
    }
}

/// Machines with the volumes that are attached to them.
fn pairs<'o>(hosts: &[&'o Observed], free: &[&'o Observed]) -> Vec<(&'o Observed, Vec<UnmanagedVolume>)> {
    let of = |host: &'o Observed| {
        let here = |volume: &VolumeSpec| volume.attached.as_ref().is_some_and(|at| at.host.name == host.id);
        (host, free.iter().filter_map(|object| volume(object, here)).collect())
    };
    hosts.iter().map(|host| of(host)).collect()
}

/// Volumes that are attached to none of the machines.
fn spare(hosts: &[&Observed], free: &[&Observed]) -> Vec<UnmanagedVolume> {
    let of = |at: &pool_inventory::object::Attachment| hosts.iter().any(|host| at.host.name == host.id);
    let loose = |volume: &VolumeSpec| !volume.attached.as_ref().is_some_and(of);
    free.iter().filter_map(|object| volume(object, loose)).collect()
}

fn volume(object: &Observed, chosen: impl Fn(&VolumeSpec) -> bool) -> Option<UnmanagedVolume> {
    let spec = object.spec.volume().filter(|volume| chosen(volume))?;
    Some(UnmanagedVolume {
        id: object.id.clone(),
        name: object.name.clone(),
        size: spec.size,
        backend: spec.backend.clone(),
        provisioning: spec.provisioning,
    })
}

/// Networks that can be used as they are: those that the market tells of, and are neither ours nor lead outside.
fn networks(can: &Capabilities, market: &Market, free: &[&Observed], known: &HashSet<&Text>) -> Vec<NetworkOffer> {
    if !can.features.contains(&Feature::ExistingNetworks) {
        return Vec::new();
    }
    let listed: HashSet<&Text> =
        free.iter().filter(|object| matches!(object.spec, Spec::Network(_))).map(|object| &object.id).collect();
    let ours = |network: &&NetworkOffer| !known.contains(&network.id) && listed.contains(&network.id);
    market.networks.iter().filter(|network| !network.external).filter(ours).cloned().collect()
}
