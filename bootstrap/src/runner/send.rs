//! Artifacts that a host lacks are sent to it before its items are changed.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use pool_inventory::{Name, Text};
use tokio_util::sync::CancellationToken;

use super::{Due, ItemEvent};
use crate::{
    command::Act,
    error::BootstrapError,
    facts::Facts,
    link::{
        Link, LinkError,
        upload::{Supply, Upload},
    },
};

/// How often is told how far it is.
const TELL: Duration = Duration::from_millis(500);

/// Sends each artifact that items lack, once.
pub(super) async fn send(
    link: &mut dyn Link,
    facts: &Facts,
    due: &Due,
    supply: &dyn Supply,
    cancel: &CancellationToken,
    on: &mut (dyn FnMut(ItemEvent) + Send),
) -> Result<(), BootstrapError> {
    let mut sent = BTreeSet::new();
    for at in &due.lacking {
        let Act::Artifact { name, sha256, sent: true, .. } = &due.commands[*at].act else { continue };
        if !sent.insert(sha256) {
            continue;
        }
        if cancel.is_cancelled() {
            return Err(BootstrapError::Cancelled { at: link.at(), changed: Vec::new() });
        }
        one(link, facts, (name, sha256), supply, on).await?;
    }
    Ok(())
}

async fn one(
    link: &mut dyn Link,
    facts: &Facts,
    (name, sha256): (&Name, &Text),
    supply: &dyn Supply,
    on: &mut (dyn FnMut(ItemEvent) + Send),
) -> Result<(), BootstrapError> {
    let at = link.at();
    let file = supply.file(name, sha256).await;
    let path = file.map_err(|source| BootstrapError::Artifact { at: at.clone(), name: name.clone(), source })?;
    let _slot = supply.pace().slot().await;
    let file = tokio::fs::File::open(&path).await.map_err(LinkError::File)?;
    let size = file.metadata().await.map_err(LinkError::File)?.len();
    let begun = Instant::now();
    on(ItemEvent::Sending { name: name.clone(), sent: 0, size });
    let mut told = begun;
    let mut tell = |sent| {
        if told.elapsed() >= TELL {
            told = Instant::now();
            on(ItemEvent::Sending { name: name.clone(), sent, size });
        }
    };
    let sudo = facts.uid != 0 && facts.sudo;
    let upload = Upload { sha256, sudo, file, size, pace: supply.pace(), on: &mut tell };
    let (exit, lines) = link.upload(upload).await?;
    if !exit.success() {
        return Err(BootstrapError::NotSent { at, name: name.clone(), exit, lines });
    }
    on(ItemEvent::Sent { name: name.clone(), size, took: begun.elapsed() });
    Ok(())
}
