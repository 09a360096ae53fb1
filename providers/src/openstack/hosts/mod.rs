//! Servers with what belongs to them: ports, public addresses, server groups.
//!
//! | module | what it does |
//! |---|---|
//! | `answers` | what Nova and Neutron say |
//! | `observe` | a server as the engine sees it; pure |
//! | `names` | from names of the inventory to ids of the cloud |
//! | `create`, `address`, `apart` | making: the port, the public address, the group, the server |
//! | `user_data`, `host_keys` | what a host is told at its first start; pure but for the seed's file |
//! | `change` | labels, size, public address, system, power |
//! | `delete` | deletion with all that belongs to it |
//! | `progress`, `poll` | what each state of a server means for each act; pure, and what follows from it |
//! | `memory` | what this process knows already |

mod address;
mod answers;
mod apart;
mod change;
mod create;
mod delete;
mod host_keys;
mod memory;
mod names;
mod observe;
mod poll;
mod progress;
mod user_data;

use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;
use pool_inventory::{Text, Token, object::Observed};

use self::answers::{OneServer, Port, Server};
pub(super) use self::memory::Memory;
use super::{Cloud, client::Service, marks};
use crate::{Page, ProviderError};

/// The order of lists: the newest first, so that what appears meanwhile shifts nothing.
const ORDER: [(&str, &str); 4] =
    [("sort_key", "created_at"), ("sort_dir", "desc"), ("sort_key", "uuid"), ("sort_dir", "desc")];

impl Cloud {
    /// A server that is there; none: it is gone, or on its way out.
    async fn server(&self, id: &Text) -> Result<Option<Server>, ProviderError> {
        let one: Result<OneServer, _> = self.client.get(Service::Compute, &["servers", id], &[]).await;
        match one {
            Ok(one) if !one.server.whole() => Err(silent()),
            Ok(one) => Ok(Some(one.server)),
            Err(ProviderError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The server that a creation with this token made.
    async fn server_by_token(&self, token: &Token) -> Result<Option<Server>, ProviderError> {
        let tag = marks::tag(token);
        let query = [("tags", tag.as_str())];
        let all: Vec<Server> = self.client.all(Service::Compute, &["servers", "detail"], "servers", &query).await?;
        let ours = |server: &Server| marks::read_metadata(&server.metadata).is_some_and(|owner| owner.token == *token);
        match all.into_iter().find(|server| !server.whole() || ours(server)) {
            Some(server) if !server.whole() => Err(silent()),
            found => Ok(found),
        }
    }

    /// A server, as the engine sees it. Asks for the name of an image only where the server does not say it.
    async fn observe(&self, server: &Server) -> Result<Observed, ProviderError> {
        Ok(self.observe_all(std::slice::from_ref(server)).await?.remove(0))
    }

    async fn observe_all(&self, servers: &[Server]) -> Result<Vec<Observed>, ProviderError> {
        let region = self.client.region().await?;
        let images = match servers.iter().any(observe::image_is_unnamed) {
            true => self.image_names().await?,
            false => BTreeMap::new(),
        };
        let hosts: Vec<Observed> = servers.iter().map(|server| observe::observed(server, &region, &images)).collect();
        // Volumes tell the server that has them, and ask here which host that is.
        hosts.iter().for_each(|host| self.holders.learn(host));
        Ok(hosts)
    }

    /// A page of servers, and on the last page the ports of ours that no server has.
    pub(super) async fn list_hosts(&self, from: Option<Text>) -> Result<Page, ProviderError> {
        let _looking = self.holders.looking.lock().await;
        let mut query = ORDER.to_vec();
        query.push(("limit", "1000"));
        query.extend(from.iter().map(|from| ("marker", &**from)));
        let page = self.client.page::<Server>(Service::Compute, &["servers", "detail"], "servers", &query);
        let (servers, next) = match &from {
            None => {
                let (page, ports) = tokio::try_join!(page, self.lone_ports())?;
                match page {
                    (servers, None) => return self.whole(servers, ports, true).await,
                    page => page,
                }
            }
            Some(_) => page.await?,
        };
        match next {
            Some(next) => Ok(Page { next: Some(next), ..self.whole(servers, Vec::new(), false).await? }),
            None => self.whole(servers, self.lone_ports().await?, false).await,
        }
    }

    /// A page: servers, and ports without one. `all`: these are all servers that there are.
    async fn whole(&self, servers: Vec<Server>, ports: Vec<Port>, all: bool) -> Result<Page, ProviderError> {
        if servers.iter().any(|server| !server.whole()) {
            return Err(silent());
        }
        let mut objects = self.observe_all(&servers).await?;
        let tokens: HashSet<Token> =
            objects.iter().filter_map(|host| Some(host.owner.as_ref()?.token.clone())).collect();
        for port in ports {
            let Some(owner) = observe::lone_owner(&port) else { continue };
            // Its server may have no machine yet, and so not have taken it.
            if tokens.contains(&owner.token) || (!all && self.server_by_token(&owner.token).await?.is_some()) {
                continue;
            }
            objects.push(observe::lone_port(&port, owner, Timestamp::now()));
        }
        Ok(Page { objects, next: None })
    }

    async fn lone_ports(&self) -> Result<Vec<Port>, ProviderError> {
        let mut query = vec![("device_id", "")];
        query.extend(["id", "name", "description", "device_id", "created_at"].map(|field| ("fields", field)));
        self.client.all(Service::Network, &["ports"], "ports", &query).await
    }

    pub(super) async fn find_host(&self, token: &Token) -> Result<Option<Observed>, ProviderError> {
        if let Some(server) = self.server_by_token(token).await? {
            let read = if progress::unread(&server) { self.read_console(&server).await? } else { None };
            return Ok(Some(self.observe(read.as_ref().unwrap_or(&server)).await?));
        }
        // This process goes on with its port when it is asked again.
        if self.hosts.begun(token) {
            return Ok(None);
        }
        let mut lone = self.lone_ports().await?.into_iter();
        Ok(lone.find_map(|port| {
            let owner = observe::lone_owner(&port).filter(|owner| owner.token == *token)?;
            Some(observe::lone_port(&port, owner, Timestamp::now()))
        }))
    }
}

/// A part of Nova does not answer: what it has is not known, and not gone.
fn silent() -> ProviderError {
    ProviderError::Transient("a part of Nova (a cell) does not answer".into())
}
