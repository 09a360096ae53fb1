//! Creation: a port, then a public address if one is asked for, then the server: two or three requests.
//!
//! Nova has no token of its own. What was asked for is found again by a tag of the server and by the description of the
//! port. A creation that this process sends for the first time is not looked for before: the engine has settled what
//! earlier ones left.

use std::{collections::BTreeMap, time::Instant};

use jiff::Timestamp;
use pool_inventory::{
    Kind, Text,
    object::{HostSpec, Owner, RootDisk},
};
use serde_json::{Value, json};

use super::{
    answers::NewServer,
    host_keys::{self, HostKey},
    memory::Far,
    observe::{self, CONSOLE, keys},
    user_data::{self, Setup},
};
use crate::{
    Progress, ProviderError, Request,
    openstack::{Cloud, DOUBT, catalogue::Version, client::Service, invalid, marks, networks::Standing, poll::Handle},
};

/// What the cloud calls what a host is made of.
pub(super) struct Made {
    pub flavor: Text,
    pub image: Text,
    pub site: Standing,
    pub public: Option<Text>,
    pub host_key: Option<HostKey>,
}

/// What an earlier attempt has made.
#[derive(Default)]
struct Before {
    server: Option<Text>,
    port: Option<Text>,
}

impl Made {
    /// For a rebuild, which changes nothing else.
    pub fn of_image(image: Text, host_key: Option<HostKey>) -> Self {
        let site = Standing { id: "".into(), security_group: None, subnet: None, own: false };
        Self { flavor: "".into(), image, site, public: None, host_key }
    }
}

impl Cloud {
    pub(in crate::openstack) async fn create_host(
        &self,
        request: &Request,
        host: &HostSpec,
    ) -> Result<Progress, ProviderError> {
        if let Some(id) = &host.existing {
            return self.take_over(id, host.console_keys).await;
        }
        let begun = self.hosts.begin(&request.owner.token);
        let mut far = begun.lock().await;
        let before = match &*far {
            Far::New => Before::default(),
            Far::Sent(at) => self.look(&request.owner, *at).await?,
            Far::Left => Before { server: None, port: self.port_of(&request.owner).await?.map(|port| port.id) },
            Far::Made(id) => Before { server: self.server(id).await?.map(|server| server.id), port: None },
        };
        if let Some(id) = before.server {
            return Ok(creation(&id));
        }
        marks::check(&host.tags)?;
        let of = self.resolve(request, host).await?;
        *far = Far::Sent(Instant::now());
        match self.make(request, host, &of, before.port, &mut far).await {
            Ok(id) => {
                *far = Far::Made(id.clone());
                Ok(creation(&id))
            }
            // It may be there or on its way: nothing is taken away from under it.
            Err(error @ ProviderError::Indeterminate(_)) => {
                *far = Far::Sent(Instant::now());
                Err(error)
            }
            Err(error) => {
                // What cannot be deleted now is used by the next attempt, or seen by the next list.
                let dropped = self.drop_addresses(&[marks::description(&request.owner)]).await;
                *far = if dropped.is_ok() { Far::New } else { Far::Left };
                Err(error)
            }
        }
    }

    /// A server that exists is taken as it is. What its console shows is told, and not kept with it.
    async fn take_over(&self, id: &Text, console: bool) -> Result<Progress, ProviderError> {
        let server = self.server(id).await?.ok_or_else(|| ProviderError::NotFound(id.clone()))?;
        let mut seen = self.observe(&server).await?;
        if let Some(at) = seen.endpoint.as_mut().filter(|at| console && at.host_keys.is_empty()) {
            at.host_keys = match self.console_keys(id).await {
                Err(error @ (ProviderError::Transient(_) | ProviderError::RateLimited { .. })) => return Err(error),
                // Without a console they are pinned, or none is known.
                keys => keys.unwrap_or_default(),
            };
        }
        Ok(Progress::Done(Box::new(seen)))
    }

    /// What an attempt made that was sent at a time. While it may still be on its way, nothing may be sent after it.
    async fn look(&self, owner: &Owner, sent: Instant) -> Result<Before, ProviderError> {
        let asked = Instant::now();
        if let Some(server) = self.server_by_token(&owner.token).await? {
            return Ok(Before { server: Some(server.id), port: None });
        }
        if asked < sent + DOUBT.duration() {
            return Err(ProviderError::Transient("an earlier request for it may still be on its way".into()));
        }
        Ok(Before { server: None, port: self.port_of(owner).await?.map(|port| port.id) })
    }

    /// Finds out what the cloud calls everything; nothing is made.
    pub(super) async fn resolve(&self, request: &Request, host: &HostSpec) -> Result<Made, ProviderError> {
        let external = async {
            match &host.public {
                Some(public) => self.external_id(public).await.map(Some),
                None => Ok(None),
            }
        };
        let (flavor, image, site, public) = tokio::try_join!(
            self.flavor_id(&host.offering),
            self.image_id(&host.image),
            self.site(request, host),
            external,
        )?;
        if host.root.is_some() {
            self.needs(Version(2, 67), "root", "volumes of a chosen type to boot from").await?;
        }
        Ok(Made { flavor, image, site, public, host_key: self.host_key(request, host).await? })
    }

    pub(super) async fn host_key(&self, request: &Request, host: &HostSpec) -> Result<Option<HostKey>, ProviderError> {
        if host.console_keys {
            return Ok(None);
        }
        let secret = self.hosts.secret.get_or_try_init(|| async { self.places.secret() }).await?;
        host_keys::derive(&secret.0, &request.owner.token).map(Some)
    }

    /// That Nova is new enough for a field.
    pub(super) async fn needs(&self, version: Version, field: &str, what: &str) -> Result<(), ProviderError> {
        match self.client.version(Service::Compute).await? {
            Some(has) if has >= version => Ok(()),
            _ => Err(invalid(
                field,
                format!("the cloud's Nova is too old for {what}: that needs microversion {version}"),
            )),
        }
    }

    async fn make(
        &self,
        request: &Request,
        host: &HostSpec,
        of: &Made,
        port: Option<Text>,
        far: &mut Far,
    ) -> Result<Text, ProviderError> {
        let again = port.is_some();
        let port = match port {
            Some(port) => port,
            None => self.make_port(request, host, &of.site).await?,
        };
        if let Some(network) = &of.public {
            let has = again && !self.public_of(&port).await?.is_empty();
            if !has {
                self.make_public(&request.owner, network, &port).await?;
            }
        }
        let group = match host.apart {
            Some(apart) => Some(self.join_group(request, apart).await?),
            None => None,
        };
        let body = body(request, host, of, &port, group.as_deref())?;
        *far = Far::Sent(Instant::now());
        let made: Result<NewServer, _> = self.client.post(Service::Compute, &["servers"], &body).await;
        if let Some(group) = &group {
            self.joined(group, made.is_ok()).await;
        }
        Ok(made?.server.id)
    }
}

/// The answer of a creation that was accepted.
fn creation(id: &str) -> Progress {
    Handle::new(Kind::Host, "create", id, Timestamp::now().as_second().to_string()).pending()
}

fn body(
    request: &Request,
    host: &HostSpec,
    of: &Made,
    port: &str,
    group: Option<&str>,
) -> Result<Value, ProviderError> {
    let (data, setup) = setup(request, host, of.host_key.as_ref())?;
    let mut server = json!({
        "name": &*request.name,
        "flavorRef": &*of.flavor,
        "networks": [{"port": port}],
        "tags": ["pool", marks::tag(&request.owner.token)],
        "metadata": metadata(&request.owner, host, of, &setup),
        "user_data": data,
        "config_drive": true,
        "description": marks::description(&request.owner),
    });
    match &host.root {
        None => server["imageRef"] = (&*of.image).into(),
        Some(root) => server["block_device_mapping_v2"] = json!([boot_volume(root, &of.image)]),
    }
    if !host.zone.is_empty() {
        server["availability_zone"] = (&*host.zone).into();
    }
    let mut body = json!({"server": server});
    if let Some(group) = group {
        body["os:scheduler_hints"] = json!({"group": group});
    }
    Ok(body)
}

fn boot_volume(root: &RootDisk, image: &str) -> Value {
    let kind = root.backend.split_once('/').map_or(&*root.backend, |(_, kind)| kind);
    json!({
        "boot_index": 0,
        "source_type": "image",
        "uuid": image,
        "destination_type": "volume",
        "volume_size": root.size.0.div_ceil(1 << 30),
        "volume_type": kind,
        "delete_on_termination": true,
    })
}

/// User data in base64, and its digest.
pub(super) fn setup(
    request: &Request,
    host: &HostSpec,
    host_key: Option<&HostKey>,
) -> Result<(String, Text), ProviderError> {
    let data = user_data::encoded(&Setup {
        hostname: &request.owner.address.name,
        user: &host.user,
        authorized_keys: &host.authorized_keys,
        host_key,
    })?;
    let digest = blake3::hash(format!("{}\n{data}", host.image).as_bytes()).to_hex()[..16].into();
    Ok((data, digest))
}

/// Everything that the server says of itself.
pub(super) fn metadata(owner: &Owner, host: &HostSpec, of: &Made, setup: &Text) -> BTreeMap<Text, Text> {
    let mut all = host.tags.clone();
    all.extend(marks::metadata(owner));
    all.insert(keys::IMAGE.into(), host.image.clone());
    all.insert(keys::IMAGE_ID.into(), of.image.clone());
    all.insert(keys::SETUP.into(), setup.clone());
    all.extend(host.network.iter().map(|name| (keys::NETWORK.into(), name.as_str().into())));
    all.extend(host.public.iter().map(|name| (keys::PUBLIC.into(), name.clone())));
    match &of.host_key {
        Some(key) => all.extend(observe::host_key_metadata(std::slice::from_ref(&key.public))),
        None => all.extend([(keys::HOST_KEY.into(), CONSOLE.into())]),
    }
    all
}
