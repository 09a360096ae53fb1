//! Which host of ours a server is.
//!
//! A volume tells the server that has it; whose that is stands in the server's own metadata. What lists of hosts have
//! seen is remembered, so that volumes need not ask again.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
};

use pool_inventory::{Address, Kind, Text, object::Observed};
use serde::Deserialize;

use crate::{
    ProviderError,
    openstack::{Cloud, client::Service, marks, pages::Made},
};

/// Servers that are asked about one by one; for more, the whole list is one question.
const FEW: usize = 3;

/// Addresses of hosts by the ids of their servers.
#[derive(Debug, Default)]
pub(in super::super) struct Holders {
    known: Mutex<BTreeMap<Text, Address>>,
    /// Held while servers are looked at: who waits for it may find them known.
    pub looking: tokio::sync::Mutex<()>,
}

impl Holders {
    /// Remembers a server as a list of hosts shows it.
    pub fn learn(&self, host: &Observed) {
        let address = host.owner.as_ref().map(|owner| owner.address.clone());
        self.set(&host.id, address.unwrap_or_else(|| Address::host(&host.id)));
    }

    /// Remembers which host a server is.
    pub fn set(&self, server: &Text, host: Address) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(server.clone(), host);
    }

    /// The host that a server is; one that is nobody's of ours has an address after its id.
    pub fn of(&self, server: &str) -> Address {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(server).cloned().unwrap_or_else(|| Address::host(server))
    }

    fn unknown(&self, servers: &BTreeSet<Text>) -> Vec<Text> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        servers.iter().filter(|server| !known.contains_key(*server)).cloned().collect()
    }
}

#[derive(Debug, Deserialize)]
struct Server {
    id: Text,
    #[serde(default)]
    metadata: BTreeMap<Text, Text>,
}

impl Cloud {
    /// Makes sure that these servers are known.
    pub(super) async fn look_for_holders(&self, servers: BTreeSet<Text>) -> Result<(), ProviderError> {
        if self.holders.unknown(&servers).is_empty() {
            return Ok(());
        }
        let _looking = self.holders.looking.lock().await;
        let unknown = self.holders.unknown(&servers);
        if unknown.len() > FEW {
            let all: Vec<Server> = self.client.all(Service::Compute, &["servers", "detail"], "servers", &[]).await?;
            all.iter().for_each(|server| self.learn_server(server));
        } else {
            for id in &unknown {
                match self.client.get::<Made<Server>>(Service::Compute, &["servers", id], &[]).await {
                    Ok(made) => self.learn_server(&made.0),
                    Err(ProviderError::NotFound(_)) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        // Those that are not listed are nobody's of ours, and are not asked for again.
        for id in self.holders.unknown(&servers) {
            self.holders.set(&id, Address::host(&id));
        }
        Ok(())
    }

    fn learn_server(&self, server: &Server) {
        let owner = marks::read_metadata(&server.metadata).filter(|owner| owner.address.kind == Kind::Host);
        self.holders.set(&server.id, owner.map_or_else(|| Address::host(&server.id), |owner| owner.address));
    }
}
