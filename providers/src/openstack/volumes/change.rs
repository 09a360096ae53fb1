//! Changes of volumes, watched until they really happened.

use std::collections::{BTreeMap, HashMap};

use pool_inventory::{
    Kind, Text,
    object::{Observed, Status, VolumeSpec},
};
use serde_json::{Value, json};

use super::{
    answers::{Copy, Volume},
    goal::{Ask, Goal, Next},
    observe, whole_gib,
};
use crate::{
    Progress, ProviderError, Request,
    openstack::{Cloud, client::Service, invalid, marks, poll::Handle},
};

/// Volumes that are asked about one by one; for more, the whole list is one question.
const FEW: usize = 2;

/// Things of one kind that are named one by one.
const NAMED: usize = 5;

impl Cloud {
    pub(in super::super) async fn update_volume(
        &self,
        _request: &Request,
        id: &Text,
        to: &VolumeSpec,
        host: Option<&str>,
    ) -> Result<Progress, ProviderError> {
        let server = match &to.attached {
            None => None,
            Some(at) => {
                let host = host.ok_or_else(|| invalid("attached", "the id of the host is missing"))?;
                self.holders.set(&host.into(), at.host.clone());
                Some(host.into())
            }
        };
        marks::check(&to.tags)?;
        let kind = self.volume_type(&to.backend)?.into();
        let goal = Goal { size: whole_gib(to.size)?, kind, server, labels: to.tags.clone(), asked: Vec::new() };
        let volume = self.volume(id).await?;
        self.advance_volume(volume, goal).await
    }

    /// Does what comes next for a volume, as far as that goes without waiting.
    async fn advance_volume(&self, mut volume: Volume, mut goal: Goal) -> Result<Progress, ProviderError> {
        loop {
            match goal.next(&volume) {
                Next::Wait => return Ok(under_way(&volume.id, &goal)),
                Next::Done => return Ok(Progress::Done(Box::new(self.observe_volume(&volume).await?))),
                Next::Broken => return Ok(Progress::Done(Box::new(self.observe_volume(&volume).await?))),
                Next::Shrinks => {
                    let detail = format!("the volume has {} GiB, and volumes do not shrink", volume.size);
                    return Err(invalid("size", detail));
                }
                Next::Refused(ask) => return Err(self.refused(&volume, &ask).await),
                Next::Label(metadata) => {
                    volume.metadata = self.label(&volume.id, metadata).await?;
                }
                Next::Ask(ask) => {
                    self.ask_for(&volume.id, &ask).await?;
                    goal.asked.push(ask);
                    return Ok(under_way(&volume.id, &goal));
                }
            }
        }
    }

    async fn label(&self, id: &str, all: BTreeMap<Text, Text>) -> Result<BTreeMap<Text, Text>, ProviderError> {
        let body = json!({ "metadata": all });
        self.client.put::<Value>(Service::BlockStorage, &["volumes", id, "metadata"], &body).await?;
        Ok(all)
    }

    async fn ask_for(&self, id: &str, ask: &Ask) -> Result<(), ProviderError> {
        let done = match ask {
            Ask::Detach(server) => {
                self.client.delete(Service::Compute, &["servers", server, "os-volume_attachments", id]).await
            }
            Ask::Attach(server) => {
                let body = json!({"volumeAttachment": {"volumeId": id}});
                let path = ["servers", &**server, "os-volume_attachments"];
                return self.client.post::<Value>(Service::Compute, &path, &body).await.map(drop);
            }
            Ask::Extend(size) => self.volume_action(id, &json!({"os-extend": {"new_size": size}})).await,
            Ask::Retype(kind) => {
                let body = json!({"os-retype": {"new_type": &**kind, "migration_policy": "on-demand"}});
                self.volume_action(id, &body).await
            }
        };
        match (ask, done) {
            // The server is gone, and its volumes are free.
            (Ask::Detach(_), Err(ProviderError::NotFound(_))) => Ok(()),
            // It will refuse that for as long as the server is: nothing to try again.
            (Ask::Detach(_), Err(ProviderError::Conflict(words))) if words.contains("vm_state error") => {
                Err(invalid("attached", words))
            }
            (_, done) => done,
        }
    }

    async fn volume_action(&self, id: &str, body: &Value) -> Result<(), ProviderError> {
        self.client.post::<Value>(Service::BlockStorage, &["volumes", id, "action"], body).await.map(drop)
    }

    /// Why a change that was accepted did not come to be.
    async fn refused(&self, volume: &Volume, ask: &Ask) -> ProviderError {
        let what = match ask {
            Ask::Detach(server) => format!("it stayed attached to server {server}"),
            Ask::Extend(size) => format!("it stayed at {} GiB instead of {size}", volume.size),
            Ask::Attach(server) => format!("it was not attached to server {server}"),
            Ask::Retype(kind) => {
                let stayed = volume.volume_type.as_deref().unwrap_or("none");
                format!("it stayed of type {stayed} instead of {kind}")
            }
        };
        let said = self.messages(Some(&volume.id)).await.unwrap_or_default();
        let mut why = observe::last_message(&said, &volume.id);
        if why.is_none() && matches!(ask, Ask::Retype(_)) {
            let snapshots = self.snapshots_of(&volume.id).await.unwrap_or_default();
            why = (!snapshots.is_empty()).then(|| {
                format!("a volume with snapshots cannot move to another backend: {}", named(&snapshots)).into()
            });
        }
        let why = why.unwrap_or_else(|| "the cloud accepted the change and says no reason".into());
        ProviderError::Other(format!("volume {}: {what}: {why}", volume.id).into())
    }

    pub(super) async fn snapshots_of(&self, volume: &str) -> Result<Vec<Copy>, ProviderError> {
        self.all_copies(Kind::Snapshot, &[("volume_id", volume)]).await
    }

    /// Deletes a volume of ours. One that was taken over is let go, and not touched.
    pub(in super::super) async fn delete_volume(
        &self,
        request: &Request,
        id: &Text,
    ) -> Result<Progress, ProviderError> {
        let volume = self.volume(id).await?;
        if marks::read_metadata(&volume.metadata).is_none_or(|owner| owner.lineage != request.owner.lineage) {
            return Ok(Progress::Gone);
        }
        let gone = Handle::new(Kind::Volume, "delete", id, "").pending();
        if &*volume.status == "deleting" {
            return Ok(gone);
        }
        if let Some(at) = volume.attachments.first() {
            let text = format!("volume {} is attached to server {}", volume.id, at.server_id);
            return Err(ProviderError::Conflict(text.into()));
        }
        match self.client.delete(Service::BlockStorage, &["volumes", id]).await {
            Ok(()) => Ok(gone),
            Err(error @ ProviderError::Invalid { .. }) => {
                let snapshots = self.snapshots_of(id).await?;
                if snapshots.is_empty() && (observe::at_rest(&volume) || volume.status.starts_with("error")) {
                    return Err(error);
                }
                let why = match snapshots.as_slice() {
                    [] => format!("is {}", volume.status),
                    some => format!("has snapshots: {}", named(some)),
                };
                Err(ProviderError::Conflict(format!("volume {id} {why}").into()))
            }
            Err(error) => Err(error),
        }
    }

    /// Gives a volume the content of a snapshot or backup of it.
    pub(in super::super) async fn restore_volume(
        &self,
        id: &Text,
        from: &Text,
        kind: Kind,
    ) -> Result<Progress, ProviderError> {
        let volume = self.volume(id).await?;
        if let Some(at) = volume.attachments.first() {
            return Err(invalid(
                "attached",
                format!("volume {id} is attached to server {}; detach it first", at.server_id),
            ));
        }
        if !observe::at_rest(&volume) {
            return Err(ProviderError::Conflict(format!("volume {id} is {}", volume.status).into()));
        }
        if kind == Kind::Backup {
            let body = json!({"restore": {"volume_id": &**id}});
            self.client.post::<Value>(Service::BlockStorage, &["backups", from, "restore"], &body).await?;
        } else {
            self.volume_action(id, &json!({"revert": {"snapshot_id": &**from}})).await?;
        }
        Ok(Handle::new(Kind::Volume, "restore", id, "").pending())
    }

    /// How volumes go on: one question for all.
    pub(in super::super) async fn poll_volumes(&self, handles: &[Handle]) -> Vec<Result<Progress, ProviderError>> {
        let mut seen = HashMap::new();
        if handles.len() > FEW {
            let all = self.client.all::<Volume>(Service::BlockStorage, &["volumes", "detail"], "volumes", &[]).await;
            match all {
                Ok(all) => seen.extend(all.into_iter().map(|volume| (volume.id.clone(), volume))),
                Err(error) => return handles.iter().map(|_| Err(error.clone())).collect(),
            }
        }
        let mut answers = Vec::with_capacity(handles.len());
        for handle in handles {
            let volume = match seen.remove(&handle.id) {
                Some(volume) => Ok(volume),
                None if handles.len() > FEW => Err(ProviderError::NotFound(handle.id.clone())),
                None => self.volume(&handle.id).await,
            };
            answers.push(self.poll_volume(handle, volume).await);
        }
        answers
    }

    async fn poll_volume(
        &self,
        handle: &Handle,
        volume: Result<Volume, ProviderError>,
    ) -> Result<Progress, ProviderError> {
        let deletes = &*handle.verb == "delete";
        let volume = match volume {
            Err(ProviderError::NotFound(_)) if deletes => return Ok(Progress::Gone),
            other => other?,
        };
        if &*handle.verb == "update" {
            let goal = serde_json::from_str(&handle.extra).map_err(|_| ProviderError::NotFound(handle.id.clone()))?;
            return self.advance_volume(volume, goal).await;
        }
        if deletes && volume.status.starts_with("error") {
            let observed = self.observe_volume(&volume).await?;
            let Status::Failed(why) = observed.status else { return Ok(handle.pending()) };
            return Err(ProviderError::Other(format!("volume {}: {why}", volume.id).into()));
        }
        if deletes || !(observe::at_rest(&volume) || volume.status.starts_with("error")) {
            return Ok(handle.pending());
        }
        let observed = self.observe_volume(&volume).await?;
        if &*handle.verb == "create" {
            return self.made(&volume, observed).await;
        }
        Ok(Progress::Done(Box::new(observed)))
    }

    /// A volume that no backend had room for was never made: it goes, and another place may do.
    async fn made(&self, volume: &Volume, observed: Observed) -> Result<Progress, ProviderError> {
        let Status::Failed(why) = &observed.status else { return Ok(Progress::Done(Box::new(observed))) };
        if !no_room(why) {
            return Ok(Progress::Done(Box::new(observed)));
        }
        self.client.delete(Service::BlockStorage, &["volumes", &volume.id]).await?;
        Err(ProviderError::NoCapacity(why.clone()))
    }
}

/// Whether Cinder's words say that no backend took a volume.
fn no_room(why: &str) -> bool {
    let why = why.to_lowercase();
    ["no valid backend", "weighted backend", "no valid host"].iter().any(|words| why.contains(words))
}

fn named(copies: &[Copy]) -> String {
    let name = |copy: &Copy| copy.name.clone().filter(|name| !name.is_empty()).unwrap_or_else(|| copy.id.clone());
    let mut text = copies.iter().take(NAMED).map(|copy| name(copy).to_string()).collect::<Vec<_>>().join(", ");
    if copies.len() > NAMED {
        text.push_str(&format!(", and {} more", copies.len() - NAMED));
    }
    text
}

fn under_way(id: &str, goal: &Goal) -> Progress {
    let goal = serde_json::to_string(goal).unwrap_or_default();
    Handle::new(Kind::Volume, "update", id, goal).pending()
}
