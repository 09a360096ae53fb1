//! What a cloud offers and seldom changes: flavors, zones, images, volume types.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::TryStreamExt;
use pool_inventory::Text;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use super::{
    Cloud,
    client::{Client, Service},
    typed,
};
use crate::ProviderError;

/// Most entries of a page; a service that hands out fewer says so by another page.
pub(super) const PAGE: &str = "1000";
/// How long the list of flavors may take.
const LIMIT: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Known {
    pub flavors: Vec<Flavor>,
    /// Zones that are up.
    pub zones: Vec<Text>,
    /// Images that can be used, the newest first.
    pub images: Vec<Image>,
    pub types: Vec<VolumeType>,
    /// Whether the cloud tells how many addresses of its networks are free.
    pub addresses: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Flavor {
    pub id: Text,
    pub name: Text,
    pub vcpus: u32,
    /// MiB.
    pub ram: u64,
    /// GiB.
    pub disk: u64,
    pub specs: BTreeMap<Text, Text>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Image {
    pub id: Text,
    pub name: Option<Text>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct VolumeType {
    pub name: Text,
    /// What the cloud lets everybody see of it.
    #[serde(default)]
    pub extra_specs: Option<BTreeMap<Text, Text>>,
}

#[derive(Deserialize)]
struct Zones {
    #[serde(rename = "availabilityZoneInfo")]
    zones: Vec<Zone>,
}

#[derive(Deserialize)]
struct Zone {
    #[serde(rename = "zoneName")]
    name: Text,
    #[serde(rename = "zoneState")]
    state: ZoneState,
}

#[derive(Deserialize)]
struct ZoneState {
    available: bool,
}

impl Cloud {
    /// What the cloud offers, and how long ago it said so.
    pub(super) async fn known(&self) -> Result<(Arc<Known>, Duration), ProviderError> {
        let (client, of) = (&self.client, self.client.account().await?);
        if let Some(known) = client.cache().known(&of) {
            return Ok(known);
        }
        let _turn = client.cache().turn.lock().await;
        if let Some(known) = client.cache().known(&of) {
            return Ok(known);
        }
        let known = Arc::new(client.ask_known().await?);
        self.hosts.learn(&known);
        client.cache().keep_known(&of, known.clone());
        Ok((known, Duration::ZERO))
    }
}

impl Client {
    async fn ask_known(&self) -> Result<Known, ProviderError> {
        let images = [("status", "active"), ("sort", "created_at:desc"), ("limit", PAGE)];
        let (flavors, zones, images, types, addresses) = tokio::try_join!(
            self.flavors(),
            self.get::<Zones>(Service::Compute, &["os-availability-zone"], &[]),
            self.all::<Image>(Service::Image, &["images"], "images", &images),
            self.all::<VolumeType>(Service::BlockStorage, &["types"], "volume_types", &[("limit", PAGE)]),
            self.free_addresses(),
        )?;
        let mut zones: Vec<Text> = zones.zones.into_iter().filter(|z| z.state.available).map(|z| z.name).collect();
        zones.sort();
        Ok(Known { flavors, zones, images, types, addresses: !addresses.is_empty() })
    }

    /// The flavors; with a new token once more if the one that we have is refused.
    async fn flavors(&self) -> Result<Vec<Flavor>, ProviderError> {
        let issued = self.token(None).await?;
        match self.typed_flavors().await {
            Err(ProviderError::Unauthorized(_)) => {
                self.token(Some(&issued)).await?;
                self.typed_flavors().await
            }
            other => other,
        }
    }

    async fn typed_flavors(&self) -> Result<Vec<Flavor>, ProviderError> {
        let list = self.typed().await?.find_flavors().detailed().into_stream().map_ok(|flavor| Flavor {
            id: flavor.id().as_str().into(),
            name: flavor.name().as_str().into(),
            vcpus: flavor.vcpu_count(),
            ram: flavor.ram_size(),
            disk: flavor.root_size(),
            specs: flavor.extra_specs().iter().map(|(k, v)| (k.as_str().into(), v.as_str().into())).collect(),
        });
        match timeout(LIMIT, list.try_collect()).await {
            Ok(flavors) => flavors.map_err(|error| typed::understood(&error)),
            Err(_) => Err(ProviderError::Transient("compute GET flavors/detail: no answer in time".into())),
        }
    }

    /// Addresses that are left, by network; clouds tell administrators alone, unless they are set up otherwise.
    pub(super) async fn free_addresses(&self) -> Result<BTreeMap<Text, u64>, ProviderError> {
        #[derive(Deserialize)]
        struct Availability {
            network_id: Text,
            total_ips: f64,
            used_ips: f64,
        }
        let (path, key) = (["network-ip-availabilities"], "network_ip_availabilities");
        match self.all::<Availability>(Service::Network, &path, key, &[]).await {
            // Ranges of IPv6 are too large for an integer; the rest is.
            Ok(all) => Ok(all.into_iter().map(|one| (one.network_id, (one.total_ips - one.used_ips) as u64)).collect()),
            Err(ProviderError::Unauthorized(_) | ProviderError::NotFound(_) | ProviderError::Invalid { .. }) => {
                Ok(BTreeMap::new())
            }
            Err(error) => Err(error),
        }
    }
}
