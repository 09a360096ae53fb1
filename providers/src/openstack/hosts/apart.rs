//! Server groups: hosts of a pool that keep away from each other's physical machines.
//!
//! A pool has one group for each way of keeping apart. It is found by its name, which holds the lineage, made when its
//! first host is, and deleted with its last. Two processes that make it at once make two: the smaller id is used from
//! then on, and both go when they are empty.

use std::collections::BTreeMap;

use pool_inventory::{Lineage, Text, desired::Apart};
use serde::Deserialize;
use serde_json::json;

use super::answers::ServerGroup;
use crate::{
    ProviderError, Request,
    openstack::{Cloud, client::Service},
};

/// What this process knows of groups.
#[derive(Debug, Default)]
pub(super) struct Groups {
    known: BTreeMap<Text, Known>,
    /// Whether there may be groups of ours; none: nobody looked.
    any: Option<bool>,
}

#[derive(Debug)]
struct Known {
    id: Text,
    /// Creations that name it and are on their way: it has no member of them yet.
    in_flight: usize,
}

#[derive(Deserialize)]
struct Made {
    server_group: ServerGroup,
}

impl Cloud {
    /// The group that a new host will join. Followed by [`Cloud::joined`].
    pub(super) async fn join_group(&self, request: &Request, apart: Apart) -> Result<Text, ProviderError> {
        let name = name(&request.owner.lineage, &request.name, apart);
        let mut groups = self.hosts.groups.lock().await;
        groups.any = Some(true);
        let id = match groups.known.get(&name) {
            Some(known) => known.id.clone(),
            None => self.find_or_make(&name, apart).await?,
        };
        let known = groups.known.entry(name).or_insert_with(|| Known { id: id.clone(), in_flight: 0 });
        known.in_flight += 1;
        Ok(id)
    }

    async fn find_or_make(&self, name: &Text, apart: Apart) -> Result<Text, ProviderError> {
        let mut same: Vec<Text> =
            self.server_groups().await?.into_iter().filter(|group| group.name == *name).map(|group| group.id).collect();
        same.sort();
        if let Some(first) = same.into_iter().next() {
            return Ok(first);
        }
        let policy = match apart {
            Apart::Must => "anti-affinity",
            Apart::May => "soft-anti-affinity",
        };
        let body = json!({"server_group": {"name": &**name, "policy": policy}});
        let made: Made = self.client.post(Service::Compute, &["os-server-groups"], &body).await?;
        Ok(made.server_group.id)
    }

    /// The creation that named a group was answered. `ok`: the host is its member.
    pub(super) async fn joined(&self, id: &str, ok: bool) {
        let mut groups = self.hosts.groups.lock().await;
        for known in groups.known.values_mut().filter(|known| &*known.id == id) {
            known.in_flight -= 1;
        }
        if !ok {
            // It may be gone: the next creation looks for it again.
            groups.known.retain(|_, known| &*known.id != id || known.in_flight > 0);
        }
    }

    /// Deletes the groups of a lineage that have no host any more.
    pub(super) async fn drop_empty_groups(&self, lineage: &Lineage) -> Result<(), ProviderError> {
        let mut groups = self.hosts.groups.lock().await;
        if groups.any == Some(false) {
            return Ok(());
        }
        let all = self.server_groups().await?;
        let ours: Vec<&ServerGroup> = all.iter().filter(|group| is_of(lineage, &group.name)).collect();
        groups.any = Some(!ours.is_empty());
        for group in ours.into_iter().filter(|group| group.members.is_empty()) {
            if groups.known.values().any(|known| known.id == group.id && known.in_flight > 0) {
                continue;
            }
            groups.known.retain(|_, known| known.id != group.id);
            match self.client.delete(Service::Compute, &["os-server-groups", &group.id]).await {
                Ok(()) | Err(ProviderError::NotFound(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn server_groups(&self) -> Result<Vec<ServerGroup>, ProviderError> {
        #[derive(Deserialize)]
        struct All {
            server_groups: Vec<ServerGroup>,
        }
        let all: All = self.client.get(Service::Compute, &["os-server-groups"], &[]).await?;
        Ok(all.server_groups)
    }
}

/// `acme-default-web apart must LINEAGE`
fn name(lineage: &Lineage, host: &str, apart: Apart) -> Text {
    let pool = host.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches('-');
    let pool = if pool.is_empty() { host } else { pool };
    format!("{pool} apart {apart} {lineage}").into()
}

fn is_of(lineage: &Lineage, name: &str) -> bool {
    name.contains(" apart ") && name.ends_with(&format!(" {lineage}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_of_a_pool_share_a_group_and_no_others_do() {
        let lineage = Lineage::from_bits([1; 16]);
        let of = |host: &str, apart| name(&lineage, host, apart);
        assert_eq!(of("acme-default-web-1", Apart::Must), of("acme-default-web-12", Apart::Must));
        assert_ne!(of("acme-default-web-1", Apart::Must), of("acme-default-web-1", Apart::May));
        assert_ne!(of("acme-default-web-1", Apart::Must), of("acme-default-db-1", Apart::Must));
        assert!(is_of(&lineage, &of("acme-default-web-1", Apart::May)));
        assert!(!is_of(&Lineage::from_bits([2; 16]), &of("acme-default-web-1", Apart::May)));
        assert!(!is_of(&lineage, "mine"));
    }
}
