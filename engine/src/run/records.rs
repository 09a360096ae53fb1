//! The current rows of a run's objects, in memory; the state has the same rows, durably.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard},
};

use pool_inventory::{
    Address, Kind, Name,
    object::{Recorded, Stage},
};

/// Rows by (address, generation).
#[derive(Default)]
pub struct Records(Mutex<BTreeMap<Address, Vec<Recorded>>>);

impl Records {
    /// Rows as [`pool_state::Store::begin_run`] gives them.
    pub fn new(rows: Vec<Recorded>) -> Self {
        let mut map: BTreeMap<Address, Vec<Recorded>> = BTreeMap::new();
        for row in rows {
            map.entry(row.address.clone()).or_insert_with(|| Vec::with_capacity(1)).push(row);
        }
        Self(Mutex::new(map))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Address, Vec<Recorded>>> {
        // A panic while the lock is held leaves whole rows: each change below is one assignment.
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// One generation of an object.
    pub fn get(&self, address: &Address, generation: u32) -> Option<Recorded> {
        self.lock().get(address)?.iter().find(|row| row.generation == generation).cloned()
    }

    /// Where one generation of an object is.
    pub fn provider(&self, address: &Address, generation: u32) -> Option<Name> {
        self.lock().get(address)?.iter().find(|row| row.generation == generation).map(|row| row.provider.clone())
    }

    /// The newest generation of an object that has an id.
    pub fn newest(&self, address: &Address) -> Option<Recorded> {
        self.lock().get(address)?.iter().filter(|row| row.id.is_some()).max_by_key(|row| row.generation).cloned()
    }

    /// Rows whose creation was begun and never seen to end.
    pub fn in_doubt(&self) -> Vec<Recorded> {
        self.lock().values().flatten().filter(|row| row.id.is_none()).cloned().collect()
    }

    /// Hosts that control a cluster, but for one; those that nothing is being done to stand first.
    pub fn control_planes(&self, cluster: &Name, but: &Address) -> Vec<Recorded> {
        let of = |row: &&Recorded| super::member::controls(row, cluster, but);
        let mut all: Vec<Recorded> = self.lock().values().flatten().filter(of).cloned().collect();
        all.sort_by_key(|row| row.member.as_ref().is_none_or(|member| member.stage != Stage::Joined));
        all
    }

    /// The hosts of a pool, in natural order.
    pub fn hosts_of(&self, pool: &Name) -> Vec<Recorded> {
        let of = |row: &&Recorded| row.pool.as_ref() == Some(pool) && row.spec.host().is_some() && row.id.is_some();
        self.lock().values().flatten().filter(of).cloned().collect()
    }

    /// The volumes of a host: of each the newest generation that has an id.
    pub fn volumes_of(&self, host: &Address) -> Vec<Recorded> {
        let prefix = format!("{}.", host.name);
        let map = self.lock();
        let of = map.iter().filter(|(address, _)| address.kind == Kind::Volume && address.name.starts_with(&prefix));
        let newest =
            |rows: &Vec<Recorded>| rows.iter().filter(|row| row.id.is_some()).max_by_key(|r| r.generation).cloned();
        of.filter_map(|(_, rows)| newest(rows)).collect()
    }

    /// Sets a row.
    pub fn put(&self, row: Recorded) {
        let mut map = self.lock();
        // Almost always the only generation; a vector that grows by itself makes room for four.
        let rows = map.entry(row.address.clone()).or_insert_with(|| Vec::with_capacity(1));
        match rows.iter_mut().find(|old| old.generation == row.generation) {
            Some(old) => *old = row,
            None => rows.push(row),
        }
    }

    /// Drops a row.
    pub fn remove(&self, address: &Address, generation: u32) {
        let mut map = self.lock();
        if let Some(rows) = map.get_mut(address) {
            rows.retain(|row| row.generation != generation);
            if rows.is_empty() {
                map.remove(address);
            }
        }
    }
}
