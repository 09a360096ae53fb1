//! What must hold, judged from the ledgers of the simulated clouds, never from the state.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use pool_inventory::{
    Kind, Text,
    object::{Observed, Status},
};
use pool_providers::sim::{SimEffectKind, SimLedger};
use serde_json::Value;

use crate::model::{Model, Tenant};

/// What exists, by cloud.
pub struct World(pub BTreeMap<String, SimLedger>);

/// The pool that a host or volume of ours is of: `p3-0`, `p3-0.v4`.
fn pool_of(name: &str) -> &str {
    let host = name.split('.').next().unwrap_or(name);
    host.rsplit_once('-').map_or(host, |(pool, _)| pool)
}

impl World {
    pub fn read(dir: &Path, model: &Model) -> Result<Self, String> {
        let read = |name: &String| {
            let ledger = SimLedger::read(&ledger_of(dir, name)).map_err(|error| format!("ledger: {error}"))?;
            Ok((name.clone(), ledger))
        };
        model.clouds.iter().map(|cloud| read(&cloud.name)).collect::<Result<_, String>>().map(Self)
    }

    /// `CLOUD ID ADDRESS` of everything of ours.
    fn ours(&self) -> BTreeSet<(String, Text, String)> {
        let of = |(cloud, ledger): (&String, &SimLedger)| {
            let ours = ledger.live.iter().filter_map(|o| Some((o.id.clone(), o.owner.as_ref()?.address.to_string())));
            ours.map(|(id, address)| (cloud.clone(), id, address)).collect::<Vec<_>>()
        };
        self.0.iter().flat_map(of).collect()
    }

    /// What holds at any time, with whatever faults.
    pub fn always(&self, dir: &Path, model: &Model) -> Result<(), String> {
        for cloud in &model.clouds {
            let (name, ledger) = (&cloud.name, &self.0[&cloud.name]);
            let counters = &ledger.counters;
            if counters.doubles + counters.token_reused > 0 || !ledger.duplicates().is_empty() {
                return Err(format!("made twice in {name}: {:?}, {counters:?}", ledger.duplicates()));
            }
            if let Some(limit) = cloud.quota
                && counters.peak.hosts > limit
            {
                return Err(format!(
                    "{name} had {} hosts at a time, its account may have {limit}",
                    counters.peak.hosts
                ));
            }
        }
        tenants(dir, model)
    }

    /// What one command may have done: nothing to what is protected, and no more than the brakes let it.
    pub fn since(&self, before: &World, model: &Model, brakes: bool) -> Result<(), String> {
        let (mut gone, mut had) = (BTreeMap::<&str, u64>::new(), BTreeMap::<&str, u64>::new());
        let (was, is) = (before.ours(), self.ours());
        for (cloud, id, address) in &was {
            let (kind, name) = address.split_once('/').unwrap_or(("", address));
            let pool = pool_of(name);
            *had.entry(pool).or_default() += u64::from(kind == "host");
            if is.contains(&(cloud.clone(), id.clone(), address.clone())) || !self.deleted_by_us(before, cloud, id) {
                continue;
            }
            *gone.entry(pool).or_default() += u64::from(kind == "host");
            let host_or_volume = kind == "host" || kind == "volume";
            if host_or_volume && model.pool(pool).is_some_and(|pool| pool.protected) {
                return Err(format!("{address} ({cloud} {id}) is protected, and was deleted"));
            }
        }
        let (destroyed, replaced) = model.brakes;
        for (pool, gone) in gone.into_iter().filter(|_| brakes) {
            let share = |percent: u64| (had[pool] * percent).div_ceil(100).max(1);
            let allowed = share(destroyed) + share(replaced);
            if gone > allowed {
                return Err(format!(
                    "{gone} of {} hosts of {pool} were deleted, the brakes allow {allowed}",
                    had[pool]
                ));
            }
        }
        Ok(())
    }

    fn deleted_by_us(&self, before: &World, cloud: &str, id: &Text) -> bool {
        let new = self.0[cloud].effects.iter().skip(before.0[cloud].effects.len());
        new.filter(|e| e.id == *id && e.what == SimEffectKind::Deleted).any(|effect| effect.token.is_some())
    }

    /// What holds once faults have stopped and an apply has nothing left to do. `recorded` is the state's export.
    pub fn settled(&self, model: &Model, recorded: &Value, whole: bool) -> Result<(), String> {
        let row = |row: &Value| {
            let text = |key: &str| row[key].as_str().unwrap_or("").to_owned();
            (text("provider"), Text::from(text("id")), text("address"))
        };
        let recorded: BTreeSet<_> = recorded["objects"].as_array().into_iter().flatten().map(row).collect();
        let ours = self.ours();
        if let Some(orphan) = ours.difference(&recorded).next() {
            return Err(format!("nobody knows of {orphan:?}; recorded is {recorded:?}"));
        }
        if let Some(phantom) = recorded.difference(&ours).next() {
            return Err(format!("recorded, and not there: {phantom:?}; there is {ours:?}"));
        }
        let mut hosts: BTreeMap<String, u64> = BTreeMap::new();
        for (_, _, address) in ours.iter().filter(|(_, _, address)| address.starts_with("host/")) {
            *hosts.entry(pool_of(&address["host/".len()..]).to_owned()).or_default() += 1;
        }
        for pool in &model.pools {
            let there = hosts.remove(&pool.name).unwrap_or(0);
            if there > pool.hosts || whole && there < pool.hosts {
                return Err(format!("{} has {there} hosts, declared are {}", pool.name, pool.hosts));
            }
        }
        match hosts.first_key_value() {
            Some((pool, count)) => Err(format!("{count} hosts of {pool} are left, and it is not declared")),
            None => Ok(()),
        }
    }

    /// What is under way and may never end, but for machines that are being made.
    pub fn unended(&self) -> Vec<(String, Text)> {
        let of = |(cloud, ledger): (&String, &SimLedger)| {
            let changed =
                |o: &Observed| ledger.effects.iter().any(|e| e.id == o.id && e.what == SimEffectKind::Changed);
            let under_way = |o: &&Observed| o.status == Status::Pending && (o.spec.host().is_none() || changed(o));
            ledger.live.iter().filter(under_way).map(|o| (cloud.clone(), o.id.clone())).collect::<Vec<_>>()
        };
        self.0.iter().flat_map(of).collect()
    }

    /// Objects of ours, of a kind if one is given.
    pub fn ids(&self, cloud: &str, kind: Kind) -> Vec<Text> {
        self.0[cloud].ours(kind).map(|object| object.id.clone()).collect()
    }
}

pub fn ledger_of(dir: &Path, cloud: &str) -> std::path::PathBuf {
    dir.join(".pool/sim").join(format!("{cloud}.ledger"))
}

/// No tenant had more than it may at any moment, over all clouds. Each cloud's peak is at its own moment, so that the sum
/// of the peaks may be more than there ever was; with one cloud it is exact, and with several only each alone is judged.
fn tenants(dir: &Path, model: &Model) -> Result<(), String> {
    for cloud in &model.clouds {
        let group = |owner: &pool_inventory::object::Owner| {
            let name = &owner.address.name;
            let tenant = model.tenant_of.get(pool_of(name)).cloned().unwrap_or_default();
            match owner.address.kind {
                Kind::Host => vec![Text::from(tenant)],
                Kind::Volume => vec![format!("{tenant}/volumes").into()],
                _ => Vec::new(),
            }
        };
        let peaks = SimLedger::peaks(&ledger_of(dir, &cloud.name), group).map_err(|e| format!("ledger: {e}"))?;
        for Tenant { name, hosts, vcpus, fast } in &model.tenants {
            let peak = peaks.get(name.as_str()).cloned().unwrap_or_default();
            let volumes = peaks.get(format!("{name}/volumes").as_str()).cloned().unwrap_or_default();
            let of_fast = volumes.storage.get(format!("{}/fast", cloud.name).as_str()).copied().unwrap_or(0) >> 30;
            for (what, had, limit) in
                [("hosts", peak.hosts, hosts), ("vcpus", peak.vcpus, vcpus), ("fast", of_fast, fast)]
            {
                if limit.is_some_and(|limit| had > limit) {
                    return Err(format!("{name} had {had} {what} at a time in {}, its quota is {limit:?}", cloud.name));
                }
            }
        }
    }
    Ok(())
}
