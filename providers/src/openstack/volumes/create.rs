//! Volumes are made: empty, or with the content of another volume, a snapshot or a backup.

use pool_inventory::{
    Address, Kind, Text,
    object::{Owner, Spec, VolumeSpec},
};
use serde::Deserialize;
use serde_json::json;

use super::{
    answers::{Copy, Volume},
    observe, whole_gib,
};
use crate::{
    Progress, ProviderError, Request,
    openstack::{Cloud, client::Service, invalid, marks, pages::Made, poll::Handle},
};

#[derive(Debug, Deserialize)]
struct Zone {
    #[serde(rename = "zoneName")]
    name: Text,
}

#[derive(Debug, Deserialize)]
struct Zones {
    #[serde(rename = "availabilityZoneInfo")]
    zones: Vec<Zone>,
}

impl Cloud {
    pub(in super::super) async fn create_volume(
        &self,
        request: &Request,
        volume: &VolumeSpec,
    ) -> Result<Progress, ProviderError> {
        if let Some(existing) = &volume.existing {
            return self.take_volume_over(existing, volume).await;
        }
        let kind = self.volume_type(&volume.backend)?;
        let size = whole_gib(volume.size)?;
        marks::check(&volume.tags)?;
        let sent = self.volumes.sends(&request.owner);
        let before = if sent { self.volume_of_token(&request.owner.token).await? } else { None };
        if let Some(there) = before {
            return Ok(Handle::new(Kind::Volume, "create", &there.id, "").pending());
        }
        let mut body = json!({
            "name": &*request.name,
            "size": size,
            "volume_type": kind,
            "metadata": observe::volume_metadata(&request.owner, volume),
        });
        if let Some(zone) = self.cinder_zone(&volume.zone).await? {
            body["availability_zone"] = json!(&*zone);
        }
        if let Some(from) = &volume.from {
            let (key, id) = self.source(&request.owner, from).await?;
            body[key] = json!(&*id);
        }
        let body = json!({ "volume": body });
        let made: Made<Volume> = self.client.post(Service::BlockStorage, &["volumes"], &body).await?;
        Ok(Handle::new(Kind::Volume, "create", &made.0.id, "").pending())
    }

    /// A volume that exists, as it is.
    async fn take_volume_over(&self, id: &Text, spec: &VolumeSpec) -> Result<Progress, ProviderError> {
        let volume = self.volume(id).await?;
        let mut observed = self.observe_volume(&volume).await?;
        if let Spec::Volume(seen) = &mut observed.spec {
            (seen.tier, seen.provisioning, seen.on_remove) = (spec.tier.clone(), spec.provisioning, spec.on_remove);
            seen.existing = Some(id.clone());
        }
        Ok(Progress::Done(Box::new(observed)))
    }

    /// The volume type that a backend of this provider stands for.
    pub(super) fn volume_type<'a>(&self, backend: &'a str) -> Result<&'a str, ProviderError> {
        let own = backend.split_once('/').filter(|(provider, kind)| *provider == &*self.name && !kind.is_empty());
        own.map(|(_, kind)| kind)
            .ok_or_else(|| invalid("backend", format!("`{backend}` is no volume type of this cloud")))
    }

    /// Cinder's zone of the name of a host's zone, if it has one: otherwise its volumes are for hosts of all zones.
    async fn cinder_zone(&self, zone: &Text) -> Result<Option<Text>, ProviderError> {
        if zone.is_empty() {
            return Ok(None);
        }
        let ask = || async {
            let all: Zones = self.client.get(Service::BlockStorage, &["os-availability-zone"], &[]).await?;
            Ok::<_, ProviderError>(all.zones.into_iter().map(|zone| zone.name).collect())
        };
        let zones: &Vec<Text> = self.volumes.zones.get_or_try_init(ask).await?;
        Ok(zones.contains(zone).then(|| zone.clone()))
    }

    /// Where a first content comes from: the key of a request and the id.
    async fn source(&self, owner: &Owner, from: &Address) -> Result<(&'static str, Text), ProviderError> {
        match from.kind {
            Kind::Volume => Ok(("source_volid", self.volume_at(owner, from).await?.id)),
            Kind::Snapshot => Ok(("snapshot_id", self.copy_at(owner, from).await?.id)),
            Kind::Backup => Ok(("backup_id", self.copy_at(owner, from).await?.id)),
            _ => Err(invalid("from", format!("{from} has no content"))),
        }
    }

    /// The newest volume of ours at an address.
    pub(super) async fn volume_at(&self, owner: &Owner, address: &Address) -> Result<Volume, ProviderError> {
        let marked = by_address(owner, address);
        let query = &[("metadata", marked.as_str())][..];
        let all: Vec<Volume> = self.client.all(Service::BlockStorage, &["volumes", "detail"], "volumes", query).await?;
        let there = all.into_iter().filter(observe::at_rest);
        let newest = there.max_by_key(|volume| marks::read_metadata(&volume.metadata).map(|owner| owner.generation));
        newest.ok_or_else(|| invalid("from", format!("{address} is not there, or something is done to it")))
    }

    /// The newest snapshot or backup of ours at an address.
    async fn copy_at(&self, owner: &Owner, address: &Address) -> Result<Copy, ProviderError> {
        let marked = by_address(owner, address);
        // Backups cannot be asked for by metadata.
        let query = if address.kind == Kind::Snapshot { &[("metadata", marked.as_str())][..] } else { &[] };
        let all = self.all_copies(address.kind, query).await?;
        let owner_of = |copy: &Copy| copy.metadata.as_ref().and_then(marks::read_metadata);
        let fits = |copy: &Copy| {
            let of = owner_of(copy).is_some_and(|of| of.lineage == owner.lineage && of.address == *address);
            of && &*copy.status == "available"
        };
        let newest = all.into_iter().filter(fits).max_by_key(|copy| owner_of(copy).map(|owner| owner.generation));
        newest.ok_or_else(|| invalid("from", format!("{address} is not there, or is not ready")))
    }
}

/// A filter on metadata, as Cinder reads it.
fn by_address(owner: &Owner, address: &Address) -> String {
    format!("{{'pool_lineage':'{}','pool_address':'{address}'}}", owner.lineage)
}
