//! What is asked for by name: `pool volume`, `pool host`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use pool_inventory::{Address, Kind, Name, desired::Version};

use super::{ApplyFlags, Observe};
use crate::help;

/// `pool volume`
#[derive(Debug, Clone, Args)]
#[command(subcommand_required = true, arg_required_else_help = true, disable_help_subcommand = true)]
pub struct Volume {
    /// What to do with volumes.
    #[command(subcommand)]
    pub command: VolumeCommand,
}

/// What to do with volumes.
#[derive(Debug, Clone, Subcommand)]
pub enum VolumeCommand {
    /// List volumes, and their snapshots and backups
    List {
        /// Only these: `volume/web-*`, `pool=web,team=checkout`, `tenant=retail`; without: all
        #[arg(value_name = "SELECTOR")]
        selector: Option<String>,
        /// Ask providers, or providers and hosts, how things are; without: show the records alone
        #[arg(long, env = "POOL_OBSERVE", value_name = "WHAT")]
        observe: Option<Observe>,
    },
    /// Take a snapshot: beside the volume, at once, gone before the volume can go
    #[command(after_help = help::VOLUME_SNAPSHOT)]
    Snapshot {
        /// Of which volumes: `volume/web-0.data`, or a selector as in `volume/web-*.data`, `pool=web`
        #[arg(value_name = "VOLUME")]
        volume: String,
        /// What to call it: snapshot/HOST.VOLUME.NAME
        #[arg(value_name = "NAME")]
        name: Name,
        /// How to carry it out.
        #[command(flatten)]
        how: ApplyFlags,
    },
    /// Take a backup: elsewhere, whole, outlives the volume
    #[command(after_help = help::VOLUME_BACKUP)]
    Backup {
        /// Of which volumes: `volume/web-0.data`, or a selector as in `volume/web-*.data`, `pool=web`
        #[arg(value_name = "VOLUME")]
        volume: String,
        /// What to call it: backup/HOST.VOLUME.NAME
        #[arg(value_name = "NAME")]
        name: Name,
        /// How to carry it out.
        #[command(flatten)]
        how: ApplyFlags,
    },
    /// Give a volume the content of a snapshot or backup of it; what it holds now is lost
    #[command(after_help = help::VOLUME_RESTORE)]
    Restore {
        /// `snapshot/web-0.data.NAME` or `backup/web-0.data.NAME`
        #[arg(value_name = "COPY", value_parser = copy)]
        copy: Address,
        /// How to carry it out.
        #[command(flatten)]
        how: ApplyFlags,
    },
    /// Delete snapshots and backups; a volume itself goes when it leaves the inventory
    #[command(after_help = help::VOLUME_DELETE)]
    Delete {
        /// `snapshot/web-0.data.NAME` or `backup/web-0.data.NAME`
        #[arg(value_name = "COPY", required = true, value_parser = copy)]
        copies: Vec<Address>,
        /// How to carry it out.
        #[command(flatten)]
        how: ApplyFlags,
    },
}

/// `pool cluster`
#[derive(Debug, Clone, Args)]
#[command(subcommand_required = true, arg_required_else_help = true, disable_help_subcommand = true)]
pub struct Cluster {
    /// What to do with clusters.
    #[command(subcommand)]
    pub command: ClusterCommand,
}

/// What to do with clusters.
#[derive(Debug, Clone, Subcommand)]
pub enum ClusterCommand {
    /// Print the kubeconfig of a Kubernetes cluster's administrator
    Kubeconfig {
        /// `k8s` or `cluster/k8s`
        #[arg(value_name = "CLUSTER")]
        cluster: String,
        /// Write it to this file, readable by its owner alone
        #[arg(short, long, env = "POOL_OUT", value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Write another version into the inventory, and apply it
    Upgrade {
        /// `k8s` or `cluster/k8s`
        #[arg(value_name = "CLUSTER")]
        cluster: String,
        /// The release, in full, as in 1.35.4
        #[arg(value_name = "VERSION")]
        version: Version,
        /// How to carry it out.
        #[command(flatten)]
        how: ApplyFlags,
    },
    /// Write the version that an upgrade left behind into the inventory again, and apply it
    Rollback(ClusterErrand),
    /// Take a snapshot of etcd, on a control plane
    Snapshot(ClusterErrand),
    /// Renew the certificates of all control planes, one after the other
    Renew(ClusterErrand),
    /// Go back to a snapshot; what the cluster has learnt since is lost
    Restore {
        /// `k8s` or `cluster/k8s`
        #[arg(value_name = "CLUSTER")]
        cluster: String,
        /// The control plane that has the snapshot; the others leave and join again
        #[arg(long, env = "POOL_HOST", value_name = "HOST")]
        host: String,
        /// Absolute path of the snapshot there
        #[arg(long, env = "POOL_FILE", value_name = "PATH")]
        file: PathBuf,
        /// How to carry it out.
        #[command(flatten)]
        how: ApplyFlags,
    },
}

/// What to do with which cluster.
#[derive(Debug, Clone, Args)]
pub struct ClusterErrand {
    /// `k8s` or `cluster/k8s`
    #[arg(value_name = "CLUSTER")]
    pub cluster: String,
    /// How to carry it out.
    #[command(flatten)]
    pub how: ApplyFlags,
}

/// `pool host`
#[derive(Debug, Clone, Args)]
#[command(subcommand_required = true, arg_required_else_help = true, disable_help_subcommand = true)]
pub struct Host {
    /// What to do with hosts.
    #[command(subcommand)]
    pub command: HostCommand,
}

/// What to do with hosts.
#[derive(Debug, Clone, Subcommand)]
pub enum HostCommand {
    /// Turn hosts on
    Start(HostErrand),
    /// Turn hosts off; the next apply starts them again
    Stop(HostErrand),
    /// Restart hosts; those that are off are turned on
    Restart(HostErrand),
    /// Put nothing new on members of clusters, and let what runs there go elsewhere
    Drain(HostErrand),
    /// Put nothing new on members of clusters
    Cordon(HostErrand),
    /// Put things on members of clusters again
    Uncordon(HostErrand),
    /// Look at hosts, and put them in order: what is missing on them, and in their clusters
    Repair(HostErrand),
    /// Make hosts anew, although nothing differs
    Replace(HostErrand),
}

/// What to do with which hosts.
#[derive(Debug, Clone, Args)]
pub struct HostErrand {
    /// `web-0`, `host/web-0`, or a selector as in `host/web-*`, `pool=web`
    #[arg(value_name = "HOST", required = true)]
    pub hosts: Vec<String>,
    /// How to carry it out.
    #[command(flatten)]
    pub how: ApplyFlags,
}

/// A snapshot or backup.
fn copy(text: &str) -> Result<Address, String> {
    let address: Address = text.parse().map_err(|error: pool_inventory::names::NameError| error.to_string())?;
    match address.kind {
        Kind::Snapshot | Kind::Backup => Ok(address),
        Kind::Volume => Err("this names a volume; name a copy of it, as in snapshot/web-0.data.NAME".to_owned()),
        kind => Err(format!("a {kind} is no snapshot or backup; write snapshot/HOST.VOLUME.NAME")),
    }
}
