//! Ports and public addresses: made before their server, gone after it.

use pool_inventory::{
    Text,
    object::{HostSpec, Owner},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::answers::{FloatingIp, OnePort, Port};
use crate::{
    ProviderError, Request,
    openstack::{Cloud, client::Service, marks, networks::Standing},
};

/// Descriptions that one call asks for; a longer address is not taken by every server in between.
const TOGETHER: usize = 20;

#[derive(Deserialize)]
struct OneFloatingIp {
    floatingip: FloatingIp,
}

impl Cloud {
    /// Where a host will stand.
    pub(super) async fn site(&self, request: &Request, host: &HostSpec) -> Result<Standing, ProviderError> {
        let Some(name) = &host.network else {
            let id = self.only_network().await?;
            return Ok(Standing { id, security_group: None, subnet: None, own: false });
        };
        self.network_of(&request.owner.lineage, name).await
    }

    /// Makes the port of a host. On a network of ours only one port can have its hardware address, so that of two
    /// creations of one host at most one gets past this.
    pub(super) async fn make_port(
        &self,
        request: &Request,
        host: &HostSpec,
        site: &Standing,
    ) -> Result<Text, ProviderError> {
        let made: Result<OnePort, _> =
            self.client.post(Service::Network, &["ports"], &port_body(request, host, site)).await;
        match made {
            Ok(made) => Ok(made.port.id),
            Err(ProviderError::Conflict(why)) if site.own => match self.in_the_way(request, site).await? {
                Some(port) => Ok(port),
                None => Err(ProviderError::Conflict(why)),
            },
            Err(error) => Err(error),
        }
    }

    /// Another port has the hardware address: that of this creation, asked for before, or what an earlier attempt left.
    async fn in_the_way(&self, request: &Request, site: &Standing) -> Result<Option<Text>, ProviderError> {
        let mac = mac(&request.owner);
        let query = [("mac_address", mac.as_str()), ("network_id", &site.id)];
        let ports: Vec<Port> = self.client.all(Service::Network, &["ports"], "ports", &query).await?;
        let Some(port) = ports.into_iter().find(|port| port.device_id.is_empty()) else { return Ok(None) };
        let owner = port.description.as_deref().and_then(marks::read_description);
        match owner {
            Some(owner) if owner == request.owner => Ok(Some(port.id)),
            Some(owner) if same_host(&owner, &request.owner) => {
                self.drop_addresses(&[marks::description(&owner)]).await?;
                let again =
                    ProviderError::Conflict("the port of an earlier attempt was in the way; it is gone now".into());
                Err(again)
            }
            _ => Ok(None),
        }
    }

    /// The ports of ours that a server has.
    pub(super) async fn ports_of(&self, server: &str) -> Result<Vec<Port>, ProviderError> {
        let query = [("device_id", server), ("fields", "id"), ("fields", "description"), ("fields", "device_id")];
        let ports: Vec<Port> = self.client.all(Service::Network, &["ports"], "ports", &query).await?;
        let ours = |port: &Port| port.description.as_deref().and_then(marks::read_description).is_some();
        Ok(ports.into_iter().filter(ours).collect())
    }

    /// The port that a creation made; none: it made none.
    pub(super) async fn port_of(&self, owner: &Owner) -> Result<Option<Port>, ProviderError> {
        let description = marks::description(owner);
        let query = [("description", description.as_str())];
        let ports: Vec<Port> = self.client.all(Service::Network, &["ports"], "ports", &query).await?;
        Ok(ports.into_iter().find(|port| port.description.as_deref() == Some(&description)))
    }

    /// Gives a port a public address.
    pub(super) async fn make_public(&self, owner: &Owner, network: &str, port: &str) -> Result<(), ProviderError> {
        let body = json!({"floatingip": {
            "floating_network_id": network,
            "port_id": port,
            "description": marks::description(owner),
        }});
        let made: OneFloatingIp = self.client.post(Service::Network, &["floatingips"], &body).await?;
        let _ = made.floatingip;
        Ok(())
    }

    /// The public addresses of a port.
    pub(super) async fn public_of(&self, port: &str) -> Result<Vec<FloatingIp>, ProviderError> {
        self.client.all(Service::Network, &["floatingips"], "floatingips", &[("port_id", port)]).await
    }

    /// Deletes a public address.
    pub(super) async fn drop_public(&self, id: &str) -> Result<(), ProviderError> {
        gone(self.client.delete(Service::Network, &["floatingips", id]).await).map(|_| ())
    }

    /// Deletes the ports and public addresses with these descriptions; whether there was one.
    pub(super) async fn drop_addresses(&self, descriptions: &[String]) -> Result<bool, ProviderError> {
        let mut any = false;
        for some in descriptions.chunks(TOGETHER) {
            let mut query: Vec<(&str, &str)> = some.iter().map(|text| ("description", text.as_str())).collect();
            query.extend([("fields", "id"), ("fields", "description")]);
            let (publics, ports) = tokio::try_join!(
                self.client.all::<Marked>(Service::Network, &["floatingips"], "floatingips", &query),
                self.client.all::<Marked>(Service::Network, &["ports"], "ports", &query),
            )?;
            for (path, all) in [("floatingips", publics), ("ports", ports)] {
                let ours = all.iter().filter(|one| some.iter().any(|text| one.description.as_deref() == Some(text)));
                let deletions =
                    ours.map(async |one: &Marked| gone(self.client.delete(Service::Network, &[path, &one.id]).await));
                for done in futures_util::future::join_all(deletions).await {
                    any |= done?;
                }
            }
        }
        Ok(any)
    }
}

#[derive(Deserialize)]
struct Marked {
    id: Text,
    description: Option<Text>,
}

/// A deletion of what may be gone already; whether it was there.
pub(super) fn gone(deleted: Result<(), ProviderError>) -> Result<bool, ProviderError> {
    match deleted {
        Ok(()) => Ok(true),
        Err(ProviderError::NotFound(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

fn same_host(a: &Owner, b: &Owner) -> bool {
    (&a.lineage, &a.address, a.generation) == (&b.lineage, &b.address, b.generation)
}

/// The hardware address of a host on a network of ours.
fn mac(owner: &Owner) -> String {
    let text = format!("{}\n{}\n{}", owner.lineage, owner.address, owner.generation);
    let hash = blake3::hash(text.as_bytes());
    let b = hash.as_bytes();
    // Locally administered, for one machine; and not one that a hypervisor keeps for itself.
    format!("06:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}", b[0], b[1], b[2], b[3], b[4])
}

fn port_body(request: &Request, host: &HostSpec, site: &Standing) -> Value {
    let mut port = json!({
        "network_id": &*site.id,
        "name": &*request.name,
        "description": marks::description(&request.owner),
    });
    if site.own {
        port["mac_address"] = mac(&request.owner).into();
    }
    if let Some(group) = &site.security_group {
        port["security_groups"] = json!([&**group]);
    }
    if let Some(address) = host.address {
        let mut at = json!({"ip_address": address.to_string()});
        if let Some(subnet) = &site.subnet {
            at["subnet_id"] = (&**subnet).into();
        }
        port["fixed_ips"] = json!([at]);
    }
    json!({"port": port})
}
