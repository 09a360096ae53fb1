//! The inventory text that takes machines and networks over.

use std::{collections::BTreeMap, fmt::Write as _};

use pool_inventory::{
    Name, Text,
    desired::{Desired, Provisioning, TierSpec},
    names::wildcard,
};

use super::{Unmanaged, UnmanagedHost, UnmanagedVolume};

/// In the canonical form of files.
pub(super) fn inventory(desired: &Desired, found: &Unmanaged) -> String {
    if found.hosts.is_empty() && found.networks.is_empty() {
        return String::new();
    }
    let mut tiers = Tiers { desired, fresh: BTreeMap::new() };
    let pools = pools(&mut tiers, found);
    let mut text = String::new();
    if !found.networks.is_empty() {
        let _ = writeln!(text, "networks:");
        for network in &found.networks {
            let existing = quoted(if unique(found, &network.name) { &network.name } else { &network.id });
            let _ = writeln!(text, "  {}: {{ existing: {existing}, on: [{}] }}", network.network, found.provider);
        }
        text.push('\n');
    }
    if !tiers.fresh.is_empty() {
        let _ = writeln!(text, "tiers:");
        for ((backend, provisioning), tier) in &tiers.fresh {
            let thick = if *provisioning == Provisioning::Thick { "provisioning: thick, " } else { "" };
            let _ = writeln!(text, "  {tier}: {{ {thick}backends: [{}] }}", quoted(backend));
        }
        text.push('\n');
    }
    text.push_str(&pools);
    let text = format!("{}\n", text.trim_end());
    pool_inventory::fmt::format(&text).unwrap_or(text)
}

fn unique(found: &Unmanaged, name: &str) -> bool {
    !name.is_empty() && found.networks.iter().filter(|network| *network.name == *name).count() == 1
}

fn pools(tiers: &mut Tiers<'_>, found: &Unmanaged) -> String {
    let mut pools: BTreeMap<&Name, Vec<&UnmanagedHost>> = BTreeMap::new();
    for host in &found.hosts {
        pools.entry(&host.pool).or_default().push(host);
    }
    let mut text = String::new();
    if !pools.is_empty() {
        let _ = writeln!(text, "pools:");
    }
    for (pool, hosts) in pools {
        let _ = writeln!(text, "  {pool}:\n    hosts:");
        for host in &hosts {
            let volumes: Vec<String> =
                host.volumes.iter().map(|(name, volume)| format!("{name}: {}", quoted(&volume.id))).collect();
            let volumes =
                if volumes.is_empty() { String::new() } else { format!(", volumes: {{ {} }}", volumes.join(", ")) };
            let _ = writeln!(text, "      {}: {{ id: {}{volumes} }}", host.host, quoted(&host.id));
        }
        let _ = writeln!(text, "    place: {{ on: [{}] }}", found.provider);
        let Some(first) = hosts.first().filter(|host| !host.volumes.is_empty()) else { continue };
        let _ = writeln!(text, "    volumes:");
        for (name, volume) in &first.volumes {
            let tier = tiers.of(volume);
            let _ = writeln!(text, "      {name}: {{ size: {}, tier: {tier} }}", volume.size.to_file());
        }
    }
    text
}

/// A value that no reader takes for anything but text.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    let number = text.starts_with(|c: char| c.is_ascii_digit() || "-.".contains(c));
    let word = ["true", "false", "null", "yes", "no", "on", "off"].contains(&&*text.to_ascii_lowercase());
    if !text.is_empty() && text.chars().all(plain) && !number && !word {
        return text.to_owned();
    }
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Tiers that volumes come into: a declared one that their backend serves, or a new one.
struct Tiers<'d> {
    desired: &'d Desired,
    fresh: BTreeMap<(Text, Provisioning), Name>,
}

impl Tiers<'_> {
    fn of(&mut self, volume: &UnmanagedVolume) -> Name {
        let serves = |tier: &TierSpec| {
            tier.provisioning == volume.provisioning
                && tier.media.is_none()
                && tier.min_iops.is_none()
                && tier.backends.iter().any(|pattern| wildcard(pattern, &volume.backend))
        };
        if let Some((name, _)) = self.desired.tiers.iter().find(|(_, tier)| serves(tier)) {
            return name.clone();
        }
        let key = (volume.backend.clone(), volume.provisioning);
        if let Some(name) = self.fresh.get(&key) {
            return name.clone();
        }
        let short = volume.backend.rsplit('/').next().unwrap_or(&volume.backend);
        let taken =
            |name: &Name| self.desired.tiers.contains_key(name) || self.fresh.values().any(|other| other == name);
        let name = super::names::free(short, |name| !taken(name));
        self.fresh.insert(key, name.clone());
        name
    }
}
