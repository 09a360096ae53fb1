//! Deletion: the server, then what belonged to it. Nova keeps ports that it did not make, so they go last.

use jiff::Timestamp;
use pool_inventory::{Kind, Lineage, Text};

use super::{address::gone, answers::OnePort, observe};
use crate::{
    Progress, ProviderError, Request,
    openstack::{Cloud, client::Service, marks, poll::Handle},
};

/// What goes with a server: in the handle of its deletion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Belongings {
    /// When it was asked for, in seconds since 1970.
    pub since: i64,
    /// Descriptions of its ports and public addresses.
    pub descriptions: Vec<String>,
}

impl Belongings {
    /// `SINCE:DESCRIPTION,DESCRIPTION`
    pub fn extra(&self) -> String {
        format!("{}:{}", self.since, self.descriptions.join(","))
    }

    pub fn read(extra: &str) -> Self {
        let (since, descriptions) = extra.split_once(':').unwrap_or((extra, ""));
        let descriptions = descriptions.split(',').filter(|text| !text.is_empty()).map(str::to_owned).collect();
        Self { since: since.parse().unwrap_or_default(), descriptions }
    }

    /// The lineages of those that it belonged to.
    pub fn lineages(&self) -> impl Iterator<Item = Lineage> {
        self.descriptions.iter().filter_map(|text| marks::read_description(text)).map(|owner| owner.lineage)
    }
}

impl Cloud {
    pub(in crate::openstack) async fn delete_host(
        &self,
        request: &Request,
        id: &Text,
    ) -> Result<Progress, ProviderError> {
        if let Some(port) = observe::port_of_id(id) {
            return self.delete_lone_port(id, port).await;
        }
        let belongings = self.belongings(request, id).await?;
        if gone(self.client.delete(Service::Compute, &["servers", id]).await)? {
            return Ok(Handle::new(Kind::Host, "delete", id, belongings.extra()).pending());
        }
        // An earlier deletion may have been cut off before it came to these.
        match self.drop_belongings(std::slice::from_ref(&belongings)).await? {
            true => Ok(Progress::Gone),
            false => Err(ProviderError::NotFound(id.clone())),
        }
    }

    /// What will have to go with a server. Its ports say whose they are: a host may have had another address when it was
    /// made.
    async fn belongings(&self, request: &Request, id: &str) -> Result<Belongings, ProviderError> {
        let ports = self.ports_of(id).await?;
        let mut descriptions: Vec<String> =
            ports.iter().filter_map(|port| port.description.as_deref().map(str::to_owned)).collect();
        descriptions.push(marks::description(&request.owner));
        descriptions.sort();
        descriptions.dedup();
        Ok(Belongings { since: Timestamp::now().as_second(), descriptions })
    }

    /// Deletes what belonged to servers that are gone, with as few calls for many as for one; whether anything was left.
    pub(super) async fn drop_belongings(&self, all: &[Belongings]) -> Result<bool, ProviderError> {
        let descriptions: Vec<String> = all.iter().flat_map(|one| one.descriptions.iter().cloned()).collect();
        let any = self.drop_addresses(&descriptions).await?;
        let mut lineages: Vec<Lineage> = all.iter().flat_map(Belongings::lineages).collect();
        lineages.sort();
        lineages.dedup();
        for lineage in &lineages {
            self.drop_empty_groups(lineage).await?;
        }
        Ok(any)
    }

    /// A port whose server was never made, or is gone.
    async fn delete_lone_port(&self, id: &Text, port: &str) -> Result<Progress, ProviderError> {
        let found: Result<OnePort, _> = self.client.get(Service::Network, &["ports", port], &[]).await;
        let port = match found {
            Ok(found) => found.port,
            Err(ProviderError::NotFound(_)) => return Err(ProviderError::NotFound(id.clone())),
            Err(error) => return Err(error),
        };
        let description = port.description.clone().unwrap_or_default();
        if marks::read_description(&description).is_none() {
            return Err(ProviderError::NotFound(id.clone()));
        }
        let belongings =
            Belongings { since: Timestamp::now().as_second(), descriptions: vec![description.to_string()] };
        // Its server came after all.
        if !port.device_id.is_empty()
            && gone(self.client.delete(Service::Compute, &["servers", &port.device_id]).await)?
        {
            return Ok(Handle::new(Kind::Host, "delete", &port.device_id, belongings.extra()).pending());
        }
        self.drop_belongings(std::slice::from_ref(&belongings)).await?;
        Ok(Progress::Gone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_with_a_server_comes_back_from_its_handle() {
        let text = "pool 0123 host/web-1 1 aa".to_owned();
        for descriptions in [vec![], vec![text.clone()], vec![text.clone(), text]] {
            let belongings = Belongings { since: 1_700_000_000, descriptions };
            assert_eq!(Belongings::read(&belongings.extra()), belongings);
        }
    }
}
