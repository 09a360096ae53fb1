//! What runs unmanaged, as a table and as inventory text.

use std::{fmt::Write as _, path::Path};

use pool_engine::ops::{Unmanaged, UnmanagedHost};
use pool_inventory::object::Status;

use super::{
    style::{BOLD, DIM, paint},
    table::{Table, count},
    words,
};

/// All of it, and what to do next.
pub fn unmanaged(found: &Unmanaged, written: Option<&Path>, pool: &str) -> String {
    let pool = pool.trim_end();
    let mut text = String::new();
    let _ = writeln!(text, "{} · {}", paint(BOLD, &found.provider), summary(found));
    for table in [hosts(found), volumes(found), networks(found)] {
        if !table.is_empty() {
            let _ = write!(text, "\n{}", table.render());
        }
    }
    match written {
        _ if found.inventory.is_empty() => {}
        Some(file) => {
            let _ = writeln!(text, "\nWritten to {}. Look at it, then: {pool} plan", file.display());
        }
        None => {
            let _ = write!(text, "\n{}\n\n{}", paint(DIM, "# What takes it over:"), found.inventory);
            let _ = writeln!(text, "\nWrite it with: {pool} adopt {} --write adopted.pool.yaml", found.provider);
        }
    }
    text
}

fn summary(found: &Unmanaged) -> String {
    let parts =
        [(found.hosts.len(), "machine"), (found.networks.len(), "network"), (found.volumes.len(), "spare volume")];
    let parts: Vec<String> = parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| count(*n, what)).collect();
    let free = if parts.is_empty() { "nothing".to_owned() } else { parts.join(", ") };
    let managed = if found.managed > 0 { format!("; {} managed already", found.managed) } else { String::new() };
    format!("{free} unmanaged{managed}")
}

fn hosts(found: &Unmanaged) -> Table {
    let mut table = Table::new(&["machine", "becomes", "size", "image", "zone", "address", "status", "volumes", "id"]);
    for host in &found.hosts {
        let status = match &host.status {
            Status::Ready => "on".to_owned(),
            other => words::status(Some(other)),
        };
        table.row([
            host.name.to_string(),
            format!("host/{} in pool/{}", host.host, host.pool),
            format!("{} · {} vCPU · {}", host.offering, host.size.vcpus, host.size.memory),
            host.image.to_string(),
            host.zone.to_string(),
            host.address.as_deref().unwrap_or_default().to_owned(),
            status,
            attached(host),
            host.id.to_string(),
        ]);
    }
    table
}

fn attached(host: &UnmanagedHost) -> String {
    let each = host.volumes.iter().map(|(name, volume)| format!("{name} {} {}", volume.size, volume.backend));
    each.collect::<Vec<_>>().join(", ")
}

fn volumes(found: &Unmanaged) -> Table {
    let mut table = Table::new(&["volume", ">size", "backend", "id", "note"]);
    for volume in &found.volumes {
        let note = "at no machine that can be taken over: it stays as it is";
        let (name, backend, id) = (volume.name.to_string(), volume.backend.to_string(), volume.id.to_string());
        table.row([name, volume.size.to_string(), backend, id, note.to_owned()]);
    }
    table
}

fn networks(found: &Unmanaged) -> Table {
    let mut table = Table::new(&["network", "becomes", ">free", "id"]);
    for network in &found.networks {
        let free = network.free.map(|free| free.to_string()).unwrap_or_default();
        let becomes = format!("network/{}", network.network);
        table.row([network.name.to_string(), becomes, free, network.id.to_string()]);
    }
    table
}
