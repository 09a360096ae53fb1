//! `pool volume`

use pool_engine::ops::{Environment, StatusReport, VolumeStatus};
use pool_inventory::{Address, Kind, Name};
use pool_planner::input::Errand;
use serde_json::json;

use super::{apply, errands};
use crate::{
    args::{Observe, VolumeCommand},
    context::{Context, Outcome},
    error::ExitCode,
    render::status,
};

/// Lists volumes and their copies, or does an errand with them.
pub fn run(cx: &Context, command: &VolumeCommand) -> Outcome {
    match command {
        VolumeCommand::List { selector, observe } => list(cx, selector.as_deref(), *observe),
        VolumeCommand::Snapshot { volume, name, how } => take(cx, Kind::Snapshot, volume, name, how),
        VolumeCommand::Backup { volume, name, how } => take(cx, Kind::Backup, volume, name, how),
        VolumeCommand::Restore { copy, how } => {
            let errand = Errand::Restore { from: copy.clone() };
            apply::errands(cx, "volume restore", how, async |_| Ok(vec![errand]))
        }
        VolumeCommand::Delete { copies, how } => {
            let errands = copies.iter().map(|copy| Errand::Delete { copy: copy.clone() }).collect();
            apply::errands(cx, "volume delete", how, async |_| Ok(errands))
        }
    }
}

fn take(cx: &Context, kind: Kind, volume: &str, name: &Name, how: &crate::args::ApplyFlags) -> Outcome {
    let command = if kind == Kind::Snapshot { "volume snapshot" } else { "volume backup" };
    apply::errands(cx, command, how, async |env: &Environment| {
        let volumes = errands::named(cx, env, Kind::Volume, volume).await?;
        let copy = |volume: &Address| Errand::Copy { to: Address::copy_of(kind, volume, name) };
        Ok(volumes.iter().map(copy).collect())
    })
}

fn list(cx: &Context, selector: Option<&str>, observe: Option<Observe>) -> Outcome {
    let observe = observe.map(super::plan::observe);
    let report = cx.with_environment(async |env: Environment| {
        let mut report = env.status(observe).await?;
        if let Some(selector) = selector {
            let volumes = errands::selected(&env, Kind::Volume, selector).await?;
            let fits = |volume: &Address| volumes.contains(volume);
            report.volumes.retain(|volume| fits(&volume.record.address));
            report.copies.retain(|copy| copy.record.address.volume_of_copy().is_some_and(|volume| fits(&volume)));
        }
        Ok(report)
    })?;
    let StatusReport { volumes, copies, unseen, .. } = &report;
    let (volumes, copies): (&Vec<VolumeStatus>, &Vec<VolumeStatus>) = (volumes, copies);
    let result = json!({ "volumes": volumes, "copies": copies, "unseen": unseen });
    cx.ui.answer("volume list", ExitCode::Done, &result, || status::storage(&report));
    Ok(ExitCode::Done)
}
