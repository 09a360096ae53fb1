//! Changes of servers: labels, size, public address, system, power. Each may be asked for again at any point.

use jiff::Timestamp;
use pool_inventory::{
    Kind, Text,
    object::{HostSpec, Status},
};
use serde_json::{Value, json};

use super::{
    answers::Server,
    create::{Made, metadata, setup},
    observe::{self, keys},
};
use crate::{
    Progress, ProviderError, Request,
    openstack::{Cloud, catalogue::Version, client::Service, invalid, marks, poll::Handle},
};

impl Cloud {
    pub(in crate::openstack) async fn update_host(
        &self,
        request: &Request,
        id: &Text,
        to: &HostSpec,
    ) -> Result<Progress, ProviderError> {
        marks::check(&to.tags)?;
        let mut server = self.standing(id).await?;
        self.set_labels(&mut server, to).await?;
        let renamed = self.set_public(request, &mut server, to).await?;
        if let Some(progress) = self.set_flavor(&server, &to.offering).await? {
            return Ok(progress);
        }
        if renamed {
            // Nova hears of public addresses a little later.
            return Ok(handle("address", id, "").pending());
        }
        Ok(Progress::Done(Box::new(self.observe(&server).await?)))
    }

    async fn set_labels(&self, server: &mut Server, to: &HostSpec) -> Result<(), ProviderError> {
        let now = marks::labels(&server.metadata);
        let mut more: Value = json!({});
        for (key, value) in to.tags.iter().filter(|(key, value)| now.get(*key) != Some(value)) {
            more[&**key] = (&**value).into();
            server.metadata.insert(key.clone(), value.clone());
        }
        if more.as_object().is_some_and(|more| !more.is_empty()) {
            self.add_metadata(&server.id, more).await?;
        }
        for key in now.keys().filter(|key| !to.tags.contains_key(*key)) {
            self.drop_metadata(&server.id, key).await?;
            server.metadata.remove(key);
        }
        Ok(())
    }

    pub(super) async fn add_metadata(&self, id: &str, more: Value) -> Result<(), ProviderError> {
        let body = json!({"metadata": more});
        let _: Value = self.client.post(Service::Compute, &["servers", id, "metadata"], &body).await?;
        Ok(())
    }

    async fn drop_metadata(&self, id: &str, key: &str) -> Result<(), ProviderError> {
        match self.client.delete(Service::Compute, &["servers", id, "metadata", key]).await {
            Ok(()) | Err(ProviderError::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Gives a server the public address that it should have; whether it had another. What it has is asked for only
    /// where the server does not look right.
    async fn set_public(&self, request: &Request, server: &mut Server, to: &HostSpec) -> Result<bool, ProviderError> {
        let says = server.metadata.get(keys::PUBLIC).cloned();
        if says == to.public && server.floats() == to.public.is_some() {
            return Ok(false);
        }
        let port = self.ports_of(&server.id).await?.into_iter().next();
        let Some(port) = port else {
            // Not a server that we made: its addresses are its own affair.
            return if says == to.public { Ok(false) } else { Err(invalid("public", "the host has no port of ours")) };
        };
        let owner = port.description.as_deref().and_then(marks::read_description).unwrap_or(request.owner.clone());
        let wanted = match &to.public {
            Some(public) => Some(self.external_id(public).await?),
            None => None,
        };
        let has = self.public_of(&port.id).await?;
        let right = |network: &Text| has.iter().any(|public| public.floating_network_id == *network);
        for public in has.iter().filter(|public| Some(&public.floating_network_id) != wanted.as_ref()) {
            self.drop_public(&public.id).await?;
        }
        if let Some(network) = wanted.as_ref().filter(|network| !right(network)) {
            self.make_public(&owner, network, &port.id).await?;
        }
        if says != to.public {
            match &to.public {
                Some(public) => self.add_metadata(&server.id, json!({keys::PUBLIC: &**public})).await?,
                None => self.drop_metadata(&server.id, keys::PUBLIC).await?,
            }
        }
        match &to.public {
            Some(public) => drop(server.metadata.insert(keys::PUBLIC.into(), public.clone())),
            None => drop(server.metadata.remove(keys::PUBLIC)),
        }
        Ok(true)
    }

    /// Gives a server another flavor; none: it has it.
    async fn set_flavor(&self, server: &Server, flavor: &Text) -> Result<Option<Progress>, ProviderError> {
        let has = server.flavor.as_ref().is_some_and(|has| has.original_name == *flavor);
        let pending = |verb: &str| Some(handle(verb, &server.id, flavor).pending());
        match (&*server.status, has) {
            ("VERIFY_RESIZE", true) | ("RESIZE", _) => return Ok(pending("resize")),
            // A resize to something else was cut off: it goes back first.
            ("VERIFY_RESIZE", false) => {
                self.action(&server.id, json!({"revertResize": null})).await?;
                return Ok(pending("revert"));
            }
            ("REVERT_RESIZE", _) => return Ok(pending("revert")),
            (_, true) => return Ok(None),
            (_, false) => {}
        }
        let id = self.flavor_id(flavor).await?;
        self.action(&server.id, json!({"resize": {"flavorRef": &*id}})).await?;
        Ok(pending("resize"))
    }

    pub(in crate::openstack) async fn rebuild_host(
        &self,
        request: &Request,
        id: &Text,
        to: &HostSpec,
    ) -> Result<Progress, ProviderError> {
        marks::check(&to.tags)?;
        let server = self.standing(id).await?;
        if &*server.status == "REBUILD" || server.task.as_deref().is_some_and(|task| task.starts_with("rebuild")) {
            return Ok(handle("rebuild", id, "").pending());
        }
        let image = self.image_id(&to.image).await?;
        if server.image.id().is_none() {
            self.needs(Version(2, 93), "image", "another image on a boot volume").await?;
        }
        let host_key = self.host_key(request, to).await?;
        let (data, digest) = setup(request, to, host_key.as_ref())?;
        let same =
            server.metadata.get(keys::SETUP) == Some(&digest) && server.metadata.get(keys::IMAGE_ID) == Some(&image);
        let healthy = !matches!(observe::status(&server), Status::Failed(_));
        if same && healthy && server.image.id().is_none_or(|now| *now == image) {
            return Ok(Progress::Done(Box::new(self.observe(&server).await?)));
        }
        let owner = marks::read_metadata(&server.metadata).unwrap_or(request.owner.clone());
        let made = Made::of_image(image.clone(), host_key);
        let metadata = metadata(&owner, to, &made, &digest);
        let body = json!({"rebuild": {"imageRef": &*image, "metadata": metadata, "user_data": data}});
        match self.action(id, body).await {
            Ok(()) => Ok(handle("rebuild", id, "").pending()),
            Err(error) => Err(error),
        }
    }

    pub(in crate::openstack) async fn power_host(&self, id: &Text, on: bool) -> Result<Progress, ProviderError> {
        let (action, verb) = if on { ("os-start", "start") } else { ("os-stop", "stop") };
        match self.action(id, json!({action: null})).await {
            Ok(()) => Ok(handle(verb, id, "").pending()),
            Err(ProviderError::Conflict(why)) => {
                let server = self.standing(id).await?;
                let wanted = if on { Status::Ready } else { Status::Stopped };
                match (observe::status(&server), &server.task) {
                    (status, None) if status == wanted => Ok(Progress::Done(Box::new(self.observe(&server).await?))),
                    (_, Some(task)) if task.starts_with("power") => Ok(handle(verb, id, "").pending()),
                    _ => Err(ProviderError::Conflict(why)),
                }
            }
            Err(error) => Err(error),
        }
    }

    pub(in crate::openstack) async fn restart_host(&self, id: &Text) -> Result<Progress, ProviderError> {
        match self.action(id, json!({"reboot": {"type": "SOFT"}})).await {
            Ok(()) => Ok(handle("restart", id, "").pending()),
            Err(ProviderError::Conflict(why)) => match self.standing(id).await?.task {
                Some(task) if task.starts_with("reboot") => Ok(handle("restart", id, "").pending()),
                _ => Err(ProviderError::Conflict(why)),
            },
            Err(error) => Err(error),
        }
    }

    /// Asks a server for something that takes a while.
    pub(super) async fn action(&self, id: &str, body: Value) -> Result<(), ProviderError> {
        let _: Value = self.client.post(Service::Compute, &["servers", id, "action"], &body).await?;
        Ok(())
    }

    /// A server that is there and not on its way out.
    pub(super) async fn standing(&self, id: &Text) -> Result<Server, ProviderError> {
        self.server(id).await?.ok_or_else(|| ProviderError::NotFound(id.clone()))
    }
}

/// `SINCE:WANTED`
fn handle(verb: &str, id: &str, wanted: &str) -> Handle {
    Handle::new(Kind::Host, verb, id, format!("{}:{wanted}", Timestamp::now().as_second()))
}
