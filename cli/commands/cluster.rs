//! `pool cluster`

use std::{error::Error, path::Path};

use pool_engine::ops::Environment;
use pool_inventory::{Address, Kind, Name, desired::Version, edit::set};
use pool_planner::{
    Scope,
    input::{ClusterCare, Errand},
};

use super::apply;
use crate::{
    args::{ApplyFlags, ClusterCommand},
    context::{Context, Outcome},
    error::{CliError, ExitCode},
};

/// Looks after clusters.
pub fn run(cx: &Context, command: &ClusterCommand) -> Outcome {
    match command {
        ClusterCommand::Kubeconfig { cluster, out } => kubeconfig(cx, cluster, out.as_deref()),
        ClusterCommand::Upgrade { cluster, version, how } => {
            let cluster = address(cluster)?;
            change(cx, "cluster upgrade", &cluster, &version.to_string(), how)
        }
        ClusterCommand::Rollback(args) => {
            let cluster = address(&args.cluster)?;
            let version = cx.with_environment(async |env: Environment| left_behind(&env, &cluster).await)?;
            change(cx, "cluster rollback", &cluster, &version, &args.how)
        }
        ClusterCommand::Snapshot(args) => care(cx, "cluster snapshot", &args.cluster, ClusterCare::Snapshot, &args.how),
        ClusterCommand::Renew(args) => care(cx, "cluster renew", &args.cluster, ClusterCare::Renew, &args.how),
        ClusterCommand::Restore { cluster, host, file, how } => {
            let host = host.parse().or_else(|_| format!("host/{host}").parse());
            let host: Address = host.map_err(|_| CliError::usage("name the control plane that has the snapshot"))?;
            let file = file.to_str().filter(|file| file.starts_with('/'));
            let file =
                file.ok_or_else(|| CliError::usage("the snapshot is named by its absolute path on that host"))?;
            care(cx, "cluster restore", cluster, ClusterCare::Restore { host, file: file.into() }, how)
        }
    }
}

fn care(cx: &Context, command: &str, cluster: &str, care: ClusterCare, how: &ApplyFlags) -> Outcome {
    let cluster = address(cluster)?;
    apply::errands(cx, command, how, async |_: &Environment| Ok(vec![Errand::Cluster { cluster, care }]))
}

/// Writes the version into the inventory, and applies it.
fn change(cx: &Context, command: &str, cluster: &Address, version: &str, how: &ApplyFlags) -> Outcome {
    let root = cx.with_environment(async |env: Environment| Ok(env.root().to_owned()))?;
    let path = set(&root, &["clusters", &cluster.name, "version"], version).map_err(|error| {
        let why = error.source().map(|why| format!(": {why}")).unwrap_or_default();
        CliError::new(ExitCode::Failed, format!("{error}{why}")).hint("nothing was changed")
    })?;
    cx.ui.talk(&format!("{}: clusters.{}.version is {version} now", path.display(), cluster.name));
    apply::targeted(cx, command, how, async |_: &Environment| Ok(Scope::default()))
}

/// The oldest version that a member of a cluster runs in full: what an upgrade began from.
async fn left_behind(env: &Environment, cluster: &Address) -> Result<String, CliError> {
    let records = env.records().await?;
    let members = records.iter().filter_map(|record| record.member.as_ref());
    let of = members.filter(|member| *member.cluster == *cluster.name && member.has_joined());
    let versions = of.filter_map(|member| member.version.parse::<Version>().ok());
    let none = || CliError::new(ExitCode::Failed, format!("no member of {cluster} is recorded"));
    versions.min().map(|version| version.to_string()).ok_or_else(none)
}

fn address(cluster: &str) -> Result<Address, CliError> {
    let full = if cluster.contains('/') { cluster.to_owned() } else { format!("cluster/{cluster}") };
    let parsed = full.parse().ok().filter(|address: &Address| address.kind == Kind::Cluster);
    parsed.ok_or_else(|| CliError::usage(format!("`{cluster}` is not the name of a cluster")))
}

/// The way in for people. It opens every door of the cluster: a file of it is for its owner alone.
fn kubeconfig(cx: &Context, cluster: &str, out: Option<&Path>) -> Outcome {
    let cluster = address(cluster)?;
    let name = Name::new(&cluster.name).map_err(|error| CliError::usage(error.to_string()))?;
    let text = cx.with_environment(async |env: Environment| Ok(env.kubeconfig(&name).await?))?;
    match out {
        None => cx.ui.answer("cluster kubeconfig", ExitCode::Done, &text, || text.to_string()),
        Some(path) => {
            write(path, &text).map_err(|error| {
                CliError::new(ExitCode::Failed, format!("failed to write {}: {error}", path.display()))
            })?;
            cx.ui.talk(&format!(
                "Written to {}. Use it with: kubectl --kubeconfig {} get nodes",
                path.display(),
                path.display()
            ));
        }
    }
    Ok(ExitCode::Done)
}

fn write(path: &Path, text: &str) -> std::io::Result<()> {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let fresh = folder.join(format!(
        ".{}.{}",
        path.file_name().and_then(|n| n.to_str()).unwrap_or("kubeconfig"),
        std::process::id()
    ));
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all())?;
    std::fs::rename(&fresh, path)
}
