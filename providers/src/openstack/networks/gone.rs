//! Deletes a network with what belongs to it.

use pool_inventory::Text;
use serde_json::json;

use super::{
    ROUTER_ENDS,
    answers::Port,
    converge::absent,
    ours,
    parts::{Parts, Stray},
};
use crate::{
    Progress, ProviderError, Request,
    openstack::{Cloud, client::Service},
};

/// Ports that stand in the way and are named one by one.
const NAMED: usize = 5;

impl Cloud {
    /// Deletes a network of ours. One that exists for others is let go, and not touched.
    pub(in super::super) async fn delete_network(
        &self,
        request: &Request,
        id: &Text,
    ) -> Result<Progress, ProviderError> {
        if let Some(stray) = Stray::of_id(id) {
            self.delete_stray(&stray).await?;
            return Ok(Progress::Gone);
        }
        let (network, lists) = self.lists_of(id).await?;
        if !ours(&network, &request.owner.lineage) {
            return Ok(Progress::Gone);
        }
        let parts = lists.parts(&network);
        self.nothing_in_the_way(&parts).await?;
        self.delete_parts(&parts).await?;
        self.networks.forget(id);
        Ok(Progress::Gone)
    }

    /// Deletes a network last, so that a deletion that is cut off leaves nothing that cannot be seen.
    pub(super) async fn delete_parts(&self, parts: &Parts) -> Result<(), ProviderError> {
        let mut parts = parts.clone();
        self.delete_router(&mut parts).await?;
        if let Some(group) = &parts.group {
            absent(self.client.delete(Service::Network, &["security-groups", &group.id]).await)?;
        }
        // Its subnets go with it.
        absent(self.client.delete(Service::Network, &["networks", &parts.network.id]).await)
    }

    async fn delete_stray(&self, stray: &Stray) -> Result<(), ProviderError> {
        for router in &stray.routers {
            let of = &[("device_id", &**router)][..];
            let ends: Vec<Port> = self.client.all(Service::Network, &["ports"], "ports", of).await?;
            for port in ends.iter().filter(|port| ROUTER_ENDS.contains(&&*port.device_owner)) {
                let path = ["routers", &**router, "remove_router_interface"];
                let body = json!({"port_id": &*port.id});
                absent(self.client.put::<serde_json::Value>(Service::Network, &path, &body).await.map(drop))?;
            }
            absent(self.client.delete(Service::Network, &["routers", router]).await)?;
        }
        for group in &stray.groups {
            absent(self.client.delete(Service::Network, &["security-groups", group]).await)?;
        }
        Ok(())
    }

    /// Refuses to take a network away from under something, before anything of it is lost.
    async fn nothing_in_the_way(&self, parts: &Parts) -> Result<(), ProviderError> {
        let of = &[("network_id", &*parts.network.id)][..];
        let ports: Vec<Port> = self.client.all(Service::Network, &["ports"], "ports", of).await?;
        let in_the_way: Vec<String> = ports.iter().filter(|port| !goes_with(port, parts)).map(words).collect();
        if in_the_way.is_empty() {
            return Ok(());
        }
        let more = in_the_way.len().saturating_sub(NAMED);
        let more = if more == 0 { String::new() } else { format!(", and {more} more") };
        let named = in_the_way.into_iter().take(NAMED).collect::<Vec<_>>().join(", ");
        Err(ProviderError::Conflict(format!("network {} is in use by {named}{more}", parts.network.name).into()))
    }
}

/// Whether a port goes when its network or our router does.
fn goes_with(port: &Port, parts: &Parts) -> bool {
    let of_router = parts.router.as_ref().is_some_and(|router| router.id == port.device_id);
    of_router || matches!(&*port.device_owner, "network:dhcp" | "network:distributed")
}

fn words(port: &Port) -> String {
    let holder = match &*port.device_owner {
        "" => "port".to_owned(),
        owner if owner.starts_with("compute:") => format!("server {}, port", port.device_id),
        owner => format!("{owner} {}, port", port.device_id),
    };
    if port.name.is_empty() { format!("{holder} {}", port.id) } else { format!("{holder} {} ({})", port.id, port.name) }
}
