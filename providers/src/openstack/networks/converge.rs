//! Makes what is missing of a network, and changes what differs. Doing it twice is doing it once.

use pool_inventory::{Name, Text, desired::Peer, object::NetworkSpec};
use serde_json::{Value, json};

use super::{
    answers::{Gateway, Group, Network, Router, Subnet},
    bodies, chosen,
    parts::{self, Parts},
    rules,
};
use crate::{
    ProviderError,
    openstack::{Cloud, client::Service, invalid, pages::Made},
};

/// The external network that a router is to lead to.
#[derive(Debug, Clone)]
pub(super) struct WayOut {
    id: Text,
    /// Whether it was declared by its id.
    by_id: bool,
}

impl Cloud {
    /// Finds the external network that a spec names.
    pub(super) async fn way_out(&self, spec: &NetworkSpec) -> Result<Option<WayOut>, ProviderError> {
        let Some(wanted) = &spec.router else { return Ok(None) };
        let external = &[("router:external", "true")][..];
        let all: Vec<Network> = self.client.all(Service::Network, &["networks"], "networks", external).await?;
        let network = chosen("router", "external network", wanted, all)?;
        let by_id = network.id == *wanted && network.name != *wanted;
        Ok(Some(WayOut { id: network.id, by_id }))
    }

    /// Makes a network what `spec` says; `parts` is kept up to date, also when it fails on the way.
    pub(super) async fn converge(
        &self,
        name: &str,
        spec: &NetworkSpec,
        way_out: Option<WayOut>,
        parts: &mut Parts,
    ) -> Result<(), ProviderError> {
        self.subnet(name, spec, parts).await?;
        self.group(name, parts).await?;
        self.rules(spec, parts).await?;
        match way_out {
            Some(way_out) => self.connect(name, &way_out, parts).await?,
            None => self.disconnect(parts).await?,
        }
        self.labels(spec, parts).await
    }

    async fn subnet(&self, name: &str, spec: &NetworkSpec, parts: &mut Parts) -> Result<(), ProviderError> {
        if let Some(there) = &parts.subnet {
            let Some(body) = bodies::subnet_changes(there, spec) else { return Ok(()) };
            let made: Made<Subnet> = self.client.put(Service::Network, &["subnets", &there.id], &body).await?;
            parts.subnet = Some(made.0);
            return Ok(());
        }
        let range = spec.cidr.ok_or_else(|| invalid("cidr", "a network needs an address range"))?;
        let body = bodies::subnet(&parts.network.id, name, description(parts), &range, spec)?;
        let made: Made<Subnet> = self.client.post(Service::Network, &["subnets"], &body).await?;
        parts.subnet = Some(made.0);
        Ok(())
    }

    async fn group(&self, name: &str, parts: &mut Parts) -> Result<(), ProviderError> {
        if parts.group.is_none() {
            let body = json!({"security_group": {"name": name, "description": description(parts)}});
            let made: Made<Group> = self.client.post(Service::Network, &["security-groups"], &body).await?;
            parts.group = Some(made.0);
        }
        Ok(())
    }

    /// What is let through is widened before it is narrowed.
    async fn rules(&self, spec: &NetworkSpec, parts: &mut Parts) -> Result<(), ProviderError> {
        let (Some(group), Some(subnet)) = (&parts.group, &parts.subnet) else { return Ok(()) };
        let mut peers = std::collections::BTreeMap::new();
        for name in rules::peers(spec) {
            peers.insert(name.clone(), self.peer(name, parts).await?);
        }
        let v4 = subnet.cidr.addr().is_ipv4();
        let wanted = rules::wanted(spec, v4, &group.id, |name| peers.get(name).cloned());
        let steps = rules::steps(&group.security_group_rules, &wanted);
        if steps == rules::Steps::default() {
            return Ok(());
        }
        let id = group.id.clone();
        let add = steps.add.iter().map(|(content, names)| rules::body(&id, content, names)).collect();
        self.add_rules(add).await?;
        self.remove_rules(steps.rename.iter().map(|(rule, ..)| rule)).await?;
        let renamed = steps.rename.iter().map(|(_, content, names)| rules::body(&id, content, names)).collect();
        self.add_rules(renamed).await?;
        self.remove_rules(steps.remove.iter()).await
    }

    async fn add_rules(&self, rules: Vec<Value>) -> Result<(), ProviderError> {
        if rules.is_empty() {
            return Ok(());
        }
        let body = json!({ "security_group_rules": rules });
        self.client.post::<Value>(Service::Network, &["security-group-rules"], &body).await.map(drop)
    }

    async fn remove_rules(&self, ids: impl Iterator<Item = &Text>) -> Result<(), ProviderError> {
        for id in ids {
            absent(self.client.delete(Service::Network, &["security-group-rules", id]).await)?;
        }
        Ok(())
    }

    /// The group of a network that a rule names.
    async fn peer(&self, name: &Name, parts: &Parts) -> Result<Text, ProviderError> {
        let owner =
            parts::mark(&parts.network.description).ok_or_else(|| invalid("peer", "the network is not ours"))?;
        if name.as_str() == &*owner.address.name
            && let Some(group) = &parts.group
        {
            return Ok(group.id.clone());
        }
        if let Some(known) = self.networks.standing(&owner.lineage, name).and_then(|known| known.security_group) {
            return Ok(known);
        }
        let fields = &[("fields", "id"), ("fields", "description")][..];
        let all: Vec<Group> =
            self.client.all(Service::Network, &["security-groups"], "security_groups", fields).await?;
        let of = |group: &Group| {
            let other = parts::mark(&group.description)?;
            let fits = other.lineage == owner.lineage && &*other.address.name == name.as_str();
            fits.then(|| (other.generation, group.id.clone()))
        };
        let newest = all.iter().filter_map(of).max();
        // It may be on its way: both may be made at the same time, and each wait for the other.
        newest.map(|(_, id)| id).ok_or_else(|| {
            let peer = Peer::Network(name.clone());
            ProviderError::Transient(format!("{peer}, which a rule names, has no security group yet").into())
        })
    }

    /// Leads a network out.
    async fn connect(&self, name: &str, way_out: &WayOut, parts: &mut Parts) -> Result<(), ProviderError> {
        let gateway = json!({"network_id": &*way_out.id});
        let router = match &parts.router {
            None => {
                let router = json!({"name": name, "description": description(parts), "external_gateway_info": gateway});
                let body = json!({ "router": router });
                self.client.post::<Made<Router>>(Service::Network, &["routers"], &body).await?.0
            }
            Some(there) if there.external_gateway_info != Some(Gateway { network_id: way_out.id.clone() }) => {
                let body = json!({"router": {"external_gateway_info": gateway}});
                self.client.put::<Made<Router>>(Service::Network, &["routers", &there.id], &body).await?.0
            }
            Some(there) => there.clone(),
        };
        let router = parts.router.insert(router);
        let marked = router.tags.iter().any(|tag| &**tag == parts::BY_ID);
        if marked != way_out.by_id {
            let tags: &[&str] = if way_out.by_id { &[parts::BY_ID] } else { &[] };
            let path = ["routers", &*router.id, "tags"];
            self.client.put::<Value>(Service::Network, &path, &json!({ "tags": tags })).await?;
        }
        let Some(subnet) = parts.subnet.as_ref().filter(|_| !parts.connected) else { return Ok(()) };
        let path = ["routers", &*router.id, "add_router_interface"];
        self.client.put::<Value>(Service::Network, &path, &json!({"subnet_id": &*subnet.id})).await?;
        parts.connected = true;
        Ok(())
    }

    /// Takes the router away.
    async fn disconnect(&self, parts: &mut Parts) -> Result<(), ProviderError> {
        self.delete_router(parts).await?;
        let Some(subnet) = parts.subnet.as_mut().filter(|subnet| subnet.gateway_ip.is_some()) else { return Ok(()) };
        let body = json!({"subnet": {"gateway_ip": null}});
        self.client.put::<Value>(Service::Network, &["subnets", &subnet.id], &body).await?;
        subnet.gateway_ip = None;
        Ok(())
    }

    /// Deletes the router of a network, if it has one.
    pub(super) async fn delete_router(&self, parts: &mut Parts) -> Result<(), ProviderError> {
        let Some(router) = &parts.router else { return Ok(()) };
        if let Some(subnet) = &parts.subnet {
            let path = ["routers", &*router.id, "remove_router_interface"];
            let body = json!({"subnet_id": &*subnet.id});
            absent(self.client.put::<Value>(Service::Network, &path, &body).await.map(drop))?;
        }
        parts.connected = false;
        absent(self.client.delete(Service::Network, &["routers", &router.id]).await)?;
        parts.router = None;
        Ok(())
    }

    async fn labels(&self, spec: &NetworkSpec, parts: &mut Parts) -> Result<(), ProviderError> {
        let wanted = parts::tags(&spec.tags, &parts.network.tags);
        if wanted.iter().eq(parts.network.tags.iter().collect::<std::collections::BTreeSet<_>>()) {
            return Ok(());
        }
        let path = ["networks", &*parts.network.id, "tags"];
        self.client.put::<Value>(Service::Network, &path, &json!({ "tags": wanted })).await?;
        parts.network.tags = wanted.into_iter().collect();
        Ok(())
    }
}

fn description(parts: &Parts) -> &str {
    parts.network.description.as_deref().unwrap_or_default()
}

/// What is not there need not be deleted.
pub(super) fn absent(ended: Result<(), ProviderError>) -> Result<(), ProviderError> {
    match ended {
        Err(ProviderError::NotFound(_)) => Ok(()),
        other => other,
    }
}
