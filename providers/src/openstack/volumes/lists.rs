//! Everything at once, and the one object that a token made.

use std::collections::BTreeSet;

use pool_inventory::{
    Kind, Text, Token,
    object::{Observed, Status},
};

use super::{
    answers::{Copy, Message, Volume},
    observe,
};
use crate::{
    Page, ProviderError,
    openstack::{Cloud, client::Service, marks, pages::Made},
};

/// Objects of one page.
const PAGE: &str = "1000";

impl Cloud {
    pub(in super::super) async fn list_volumes(&self, from: Option<Text>) -> Result<Page, ProviderError> {
        let mut query = vec![("limit", PAGE)];
        query.extend(from.as_ref().map(|marker| ("marker", &**marker)));
        let (volumes, next) =
            self.client.page(Service::BlockStorage, &["volumes", "detail"], "volumes", &query).await?;
        Ok(Page { objects: self.observe_volumes(volumes).await?, next })
    }

    pub(in super::super) async fn list_copies(&self, kind: Kind, from: Option<Text>) -> Result<Page, ProviderError> {
        let mut query = vec![("limit", PAGE)];
        query.extend(from.as_ref().map(|marker| ("marker", &**marker)));
        let (path, key) = places(kind);
        let (copies, next): (Vec<Copy>, _) =
            self.client.page(Service::BlockStorage, &[path, "detail"], key, &query).await?;
        let failed = copies.iter().filter(|copy| copy.status.starts_with("error"));
        let messages = self.messages_of(failed.map(|copy| &copy.id)).await?;
        let why = |id: &str| observe::last_message(&messages, id);
        let objects = copies.iter().map(|copy| observe::copy(&self.name, kind, copy, why)).collect();
        Ok(Page { objects, next })
    }

    pub(super) async fn observe_volumes(&self, volumes: Vec<Volume>) -> Result<Vec<Observed>, ProviderError> {
        let volumes = observe::without_shadows(volumes);
        let servers = volumes.iter().flat_map(|volume| &volume.attachments).map(|at| at.server_id.clone());
        self.look_for_holders(servers.collect::<BTreeSet<_>>()).await?;
        let failed = volumes.iter().filter(|volume| volume.status.starts_with("error"));
        let messages = self.messages_of(failed.map(|volume| &volume.id)).await?;
        let why = |id: &str| observe::last_message(&messages, id);
        let observed =
            volumes.iter().map(|volume| observe::volume(&self.name, volume, |server| self.holders.of(server), why));
        Ok(observed.collect())
    }

    pub(super) async fn observe_volume(&self, volume: &Volume) -> Result<Observed, ProviderError> {
        let mut all = self.observe_volumes(vec![Volume { migration_status: None, ..volume.clone() }]).await?;
        all.pop().ok_or_else(|| ProviderError::NotFound(volume.id.clone()))
    }

    /// What Cinder says of failures of these objects, and maybe of others; one question at most.
    async fn messages_of<'a>(&self, mut ids: impl Iterator<Item = &'a Text>) -> Result<Vec<Message>, ProviderError> {
        match (ids.next(), ids.next()) {
            (None, _) => Ok(Vec::new()),
            (Some(one), None) => self.messages(Some(one)).await,
            (Some(_), Some(_)) => self.messages(None).await,
        }
    }

    /// What Cinder says of failures: of one object, or of all.
    pub(super) async fn messages(&self, of: Option<&str>) -> Result<Vec<Message>, ProviderError> {
        let query: Vec<_> = of.map(|id| ("resource_uuid", id)).into_iter().collect();
        self.client.all(Service::BlockStorage, &["messages"], "messages", &query).await
    }

    pub(super) async fn volume(&self, id: &str) -> Result<Volume, ProviderError> {
        Ok(self.client.get::<Made<Volume>>(Service::BlockStorage, &["volumes", id], &[]).await?.0)
    }

    pub(super) async fn copy(&self, kind: Kind, id: &str) -> Result<Copy, ProviderError> {
        Ok(self.client.get::<Made<Copy>>(Service::BlockStorage, &[places(kind).0, id], &[]).await?.0)
    }

    pub(super) async fn all_copies(&self, kind: Kind, query: &[(&str, &str)]) -> Result<Vec<Copy>, ProviderError> {
        let (path, key) = places(kind);
        self.client.all(Service::BlockStorage, &[path, "detail"], key, query).await
    }

    /// The volume that a token made. A migration leaves a second one behind for a moment, which is being deleted.
    pub(super) async fn volume_of_token(&self, token: &Token) -> Result<Option<Volume>, ProviderError> {
        let marked = format!("{{'pool_token':'{token}'}}");
        let query = &[("metadata", marked.as_str())][..];
        let mut all: Vec<Volume> =
            self.client.all(Service::BlockStorage, &["volumes", "detail"], "volumes", query).await?;
        all.retain(|volume| &*volume.status != "deleting");
        Ok(observe::without_shadows(all).into_iter().next())
    }

    /// The snapshot or backup that a token made.
    pub(super) async fn copy_of_token(&self, kind: Kind, token: &Token) -> Result<Option<Copy>, ProviderError> {
        let marked = format!("{{'pool_token':'{token}'}}");
        let query = if kind == Kind::Snapshot { &[("metadata", marked.as_str())][..] } else { &[] };
        let all = self.all_copies(kind, query).await?;
        let made = |copy: &Copy| {
            let owner = copy.metadata.as_ref().and_then(marks::read_metadata);
            owner.is_some_and(|owner| owner.token == *token)
        };
        Ok(all.into_iter().find(made))
    }

    pub(in super::super) async fn find_volume(&self, token: &Token) -> Result<Option<Observed>, ProviderError> {
        if let Some(volume) = self.volume_of_token(token).await? {
            return self.observe_volume(&volume).await.map(Some);
        }
        for kind in [Kind::Snapshot, Kind::Backup] {
            if let Some(copy) = self.copy_of_token(kind, token).await? {
                let observed = observe::copy(&self.name, kind, &copy, |_| None);
                return Ok(Some(observed).filter(|observed| observed.status != Status::Deleting));
            }
        }
        Ok(None)
    }
}

/// The path of a kind of copies, and the key of their lists.
pub(super) fn places(kind: Kind) -> (&'static str, &'static str) {
    if kind == Kind::Backup { ("backups", "backups") } else { ("snapshots", "snapshots") }
}
