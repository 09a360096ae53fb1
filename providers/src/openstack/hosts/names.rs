//! From names of the inventory to ids of the cloud.

use std::collections::BTreeMap;

use pool_inventory::Text;
use serde::Deserialize;

use super::{
    answers::{Id, Net},
    memory::What,
};
use crate::{
    ProviderError,
    openstack::{Cloud, client::Service, invalid},
};

#[derive(Deserialize)]
struct Named {
    id: Text,
    #[serde(default)]
    name: Option<Text>,
}

#[derive(Deserialize)]
struct Images {
    images: Vec<Named>,
}

impl Cloud {
    /// The id of the image that a name, or an id, stands for.
    pub(super) async fn image_id(&self, image: &Text) -> Result<Text, ProviderError> {
        if let Some(known) = self.hosts.name(What::Image, image) {
            return Ok(known);
        }
        let _looking = self.hosts.looking.lock().await;
        if let Some(known) = self.hosts.name(What::Image, image) {
            return Ok(known);
        }
        let found: Images = self.client.get(Service::Image, &["images"], &[("name", image)]).await?;
        let id = match found.images.as_slice() {
            [one] => one.id.clone(),
            [] if looks_like_id(image) => {
                let one: Result<Id, _> = self.client.get(Service::Image, &["images", image], &[]).await;
                one.map_err(|error| no_such(error, "image", image))?.id
            }
            [] => return Err(invalid("image", format!("there is no image `{image}`"))),
            several => {
                let ids: Vec<&str> = several.iter().map(|one| &*one.id).collect();
                return Err(invalid(
                    "image",
                    format!("several are called `{image}`: {}; name one by its id", ids.join(", ")),
                ));
            }
        };
        self.hosts.remember(What::Image, image, &id);
        Ok(id)
    }

    /// Names of images by their ids.
    pub(super) async fn image_names(&self) -> Result<BTreeMap<Text, Text>, ProviderError> {
        let (known, _) = self.known().await?;
        let named = known.images.iter().filter_map(|image| Some((image.id.clone(), image.name.clone()?)));
        Ok(named.collect())
    }

    /// The id of a flavor.
    pub(super) async fn flavor_id(&self, flavor: &Text) -> Result<Text, ProviderError> {
        if let Some(known) = self.hosts.name(What::Flavor, flavor) {
            return Ok(known);
        }
        let _looking = self.hosts.looking.lock().await;
        if let Some(known) = self.hosts.name(What::Flavor, flavor) {
            return Ok(known);
        }
        for one in self.client.all::<Named>(Service::Compute, &["flavors"], "flavors", &[]).await? {
            if let Some(name) = &one.name {
                self.hosts.remember(What::Flavor, name, &one.id);
            }
        }
        let known = self.hosts.name(What::Flavor, flavor);
        known.ok_or_else(|| invalid("offering", format!("there is no flavor `{flavor}`")))
    }

    /// The id of the external network that a name, or an id, stands for.
    pub(super) async fn external_id(&self, network: &Text) -> Result<Text, ProviderError> {
        if let Some(known) = self.hosts.name(What::External, network) {
            return Ok(known);
        }
        let _looking = self.hosts.looking.lock().await;
        if let Some(known) = self.hosts.name(What::External, network) {
            return Ok(known);
        }
        let query = [("router:external", "true")];
        let all: Vec<Net> = self.client.all(Service::Network, &["networks"], "networks", &query).await?;
        let external: Vec<&Net> = all.iter().filter(|one| one.external).collect();
        let called = external.iter().filter(|one| one.name == *network || one.id == *network).collect::<Vec<_>>();
        match called.as_slice() {
            [one] => {
                self.hosts.remember(What::External, network, &one.id);
                Ok(one.id.clone())
            }
            [] => Err(invalid("public", format!("there is no external network `{network}`{}", has(&external)))),
            _ => {
                Err(invalid("public", format!("several external networks are called `{network}`; name one by its id")))
            }
        }
    }

    /// The network of a host that names none: the only one that there is.
    pub(super) async fn only_network(&self) -> Result<Text, ProviderError> {
        let all: Vec<Net> = self.client.all(Service::Network, &["networks"], "networks", &[]).await?;
        let own: Vec<&Net> = all.iter().filter(|one| !one.external).collect();
        match own.as_slice() {
            [one] => Ok(one.id.clone()),
            [] => Err(invalid("network", "the project has no network; declare one and name it in the pool")),
            several => Err(invalid("network", format!("the pool must name one{}", has(several)))),
        }
    }
}

fn has(networks: &[&Net]) -> String {
    let mut names: Vec<&str> = networks.iter().map(|one| &*one.name).collect();
    names.sort_unstable();
    if names.is_empty() { String::new() } else { format!("; there are: {}", names.join(", ")) }
}

fn no_such(error: ProviderError, field: &str, name: &str) -> ProviderError {
    match error {
        ProviderError::NotFound(_) => invalid(field, format!("there is no {field} `{name}`")),
        other => other,
    }
}

fn looks_like_id(text: &str) -> bool {
    text.len() >= 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}
