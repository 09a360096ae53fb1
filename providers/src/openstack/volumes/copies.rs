//! Snapshots and backups of volumes.

use std::collections::{BTreeMap, HashMap};

use pool_inventory::{
    Kind, Text,
    object::{CopySpec, Spec},
};
use serde_json::{Value, json};

use super::{
    answers::{Copy, Id},
    lists::places,
    observe,
};
use crate::{
    Progress, ProviderError, Request,
    openstack::{Cloud, client::Service, invalid, marks, pages::Made, poll::Handle},
};

/// Copies that are asked about one by one; for more, the whole list is one question.
const FEW: usize = 2;

impl Cloud {
    pub(in super::super) async fn create_snapshot(
        &self,
        request: &Request,
        copy: &CopySpec,
    ) -> Result<Progress, ProviderError> {
        self.create_copy(Kind::Snapshot, "snapshot", request, copy).await
    }

    pub(in super::super) async fn create_backup(
        &self,
        request: &Request,
        copy: &CopySpec,
    ) -> Result<Progress, ProviderError> {
        self.create_copy(Kind::Backup, "backup", request, copy).await
    }

    /// Copies a volume as it is at one moment, attached or not.
    async fn create_copy(
        &self,
        kind: Kind,
        key: &str,
        request: &Request,
        copy: &CopySpec,
    ) -> Result<Progress, ProviderError> {
        marks::check(&copy.tags)?;
        let sent = self.volumes.sends(&request.owner);
        let before = if sent { self.copy_of_token(kind, &request.owner.token).await? } else { None };
        if let Some(there) = before {
            return Ok(Handle::new(kind, "create", &there.id, "").pending());
        }
        let volume = self.volume_at(&request.owner, &copy.of).await?;
        let mut body = json!({});
        body[key] = json!({
            "volume_id": &*volume.id,
            "name": &*request.name,
            "force": true,
            "metadata": observe::copy_metadata(&request.owner, copy),
        });
        let made: Made<Id> = self.client.post(Service::BlockStorage, &[places(kind).0], &body).await?;
        Ok(Handle::new(kind, "create", &made.0.id, "").pending())
    }

    /// Of a copy, only its labels change.
    pub(in super::super) async fn update_copy(
        &self,
        _request: &Request,
        id: &Text,
        to: &Spec,
    ) -> Result<Progress, ProviderError> {
        let kind = to.kind();
        let Some(spec) = to.copy() else { return Err(invalid("kind", "it is no snapshot or backup")) };
        marks::check(&spec.tags)?;
        let mut copy = self.copy(kind, id).await?;
        let there = copy.metadata.clone().unwrap_or_default();
        let wanted = observe::relabelled(&there, &spec.tags);
        if wanted != there {
            self.label_copy(kind, id, &wanted).await?;
            copy.metadata = Some(wanted);
        }
        Ok(Progress::Done(Box::new(observe::copy(&self.name, kind, &copy, |_| None))))
    }

    async fn label_copy(&self, kind: Kind, id: &str, all: &BTreeMap<Text, Text>) -> Result<(), ProviderError> {
        let metadata = json!({ "metadata": all });
        let done: Result<Value, _> = if kind == Kind::Backup {
            self.client.put(Service::BlockStorage, &["backups", id], &json!({ "backup": metadata })).await
        } else {
            self.client.put(Service::BlockStorage, &["snapshots", id, "metadata"], &metadata).await
        };
        done.map(drop)
    }

    pub(in super::super) async fn delete_copy(
        &self,
        request: &Request,
        id: &Text,
        kind: Kind,
    ) -> Result<Progress, ProviderError> {
        let copy = self.copy(kind, id).await?;
        let owner = copy.metadata.as_ref().and_then(marks::read_metadata);
        if owner.is_none_or(|owner| owner.lineage != request.owner.lineage) {
            return Ok(Progress::Gone);
        }
        let gone = Handle::new(kind, "delete", id, "").pending();
        if &*copy.status == "deleting" {
            return Ok(gone);
        }
        match self.client.delete(Service::BlockStorage, &[places(kind).0, id]).await {
            Ok(()) => Ok(gone),
            Err(ProviderError::Invalid { .. }) if &*copy.status != "available" && &*copy.status != "error" => {
                Err(ProviderError::Conflict(format!("{kind} {id} is {}", copy.status).into()))
            }
            Err(error) => Err(error),
        }
    }

    /// How copies go on: one question for all of a kind.
    pub(in super::super) async fn poll_copies(&self, handles: &[Handle]) -> Vec<Result<Progress, ProviderError>> {
        let mut seen = HashMap::new();
        let many = |kind: Kind| handles.iter().filter(|handle| handle.kind == kind).count() > FEW;
        for kind in [Kind::Snapshot, Kind::Backup].into_iter().filter(|kind| many(*kind)) {
            let all = self.all_copies(kind, &[]).await;
            seen.insert(kind, all.map(|all| all.into_iter().map(|copy| (copy.id.clone(), copy)).collect()));
        }
        let mut answers = Vec::with_capacity(handles.len());
        for handle in handles {
            let copy = match seen.get_mut(&handle.kind) {
                None => self.copy(handle.kind, &handle.id).await,
                Some(Err(error)) => Err(ProviderError::clone(error)),
                Some(Ok(all)) => {
                    let all: &mut HashMap<Text, Copy> = all;
                    all.remove(&handle.id).ok_or_else(|| ProviderError::NotFound(handle.id.clone()))
                }
            };
            answers.push(self.poll_copy(handle, copy).await);
        }
        answers
    }

    async fn poll_copy(&self, handle: &Handle, copy: Result<Copy, ProviderError>) -> Result<Progress, ProviderError> {
        let deletes = &*handle.verb == "delete";
        let copy = match copy {
            Err(ProviderError::NotFound(_)) if deletes => return Ok(Progress::Gone),
            other => other?,
        };
        if deletes && &*copy.status == "deleted" {
            return Ok(Progress::Gone);
        }
        let failed = copy.status.starts_with("error");
        if !failed && (deletes || &*copy.status != "available") {
            return Ok(handle.pending());
        }
        let said = if failed { self.messages(Some(&copy.id)).await? } else { Vec::new() };
        let observed = observe::copy(&self.name, handle.kind, &copy, |id| observe::last_message(&said, id));
        if let (true, pool_inventory::object::Status::Failed(why)) = (deletes, &observed.status) {
            return Err(ProviderError::Other(format!("{} {}: {why}", handle.kind, copy.id).into()));
        }
        Ok(Progress::Done(Box::new(observed)))
    }
}
