//! Which hosts a pool shall have, and which of those that it has must go.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use pool_inventory::{
    Address, Kind, Name,
    desired::{Desired, Hosts, NamedHost, PoolSpec},
    market::HostSeen,
    object::Status,
};

use super::world::{Row, Sight, World};
use crate::input::PlanInput;

/// A pool that is declared, or that recorded hosts came from.
pub(crate) struct Pool<'a> {
    /// Its name; none: hosts that no pool claims.
    pub name: Option<Name>,
    /// Its declaration; none: it left the inventory.
    pub decl: Option<&'a PoolSpec>,
    /// Its hosts, sorted by address.
    pub hosts: Vec<Member<'a>>,
}

/// A host that is, or shall be.
pub(crate) struct Member<'a> {
    pub address: Address,
    /// Its generations in the world, oldest first.
    pub rows: Range<usize>,
    /// Whether it shall be.
    pub wished: bool,
    /// Whether it is beyond what its pool must have, so that it may give way.
    pub extra: bool,
    /// Its declaration, for hosts that exist.
    pub named: Option<&'a NamedHost>,
}

impl Pool<'_> {
    /// Hosts of it that are recorded; what brakes are a share of.
    pub(crate) fn recorded(&self) -> usize {
        self.hosts.iter().filter(|host| !host.rows.is_empty()).count()
    }
}

/// The number of a numbered host of `pool`: 3 for `web-3`. `web-03` is no numbered host.
pub(crate) fn ordinal(pool: &str, host: &str) -> Option<u32> {
    let digits = host.strip_prefix(pool)?.strip_prefix('-')?;
    let plain = digits == "0" || !digits.starts_with('0');
    let only_digits = digits.bytes().all(|b| b.is_ascii_digit());
    if plain && only_digits { digits.parse().ok() } else { None }
}

/// The declared pool that a host of this name belongs to.
pub(crate) fn pool_of<'a>(desired: &'a Desired, host: &str) -> Option<&'a Name> {
    let holds = |(name, spec): &(&Name, &PoolSpec)| match &spec.hosts {
        Hosts::Count(_) | Hosts::Range { .. } => ordinal(name, host).is_some(),
        Hosts::Named(hosts) => hosts.contains_key(host),
    };
    desired.pools.iter().find(holds).map(|(name, _)| name)
}

/// All pools, declared ones in the order of their names, then those that left.
pub(crate) fn roster<'a>(input: &'a PlanInput, world: &World<'a>) -> Vec<Pool<'a>> {
    let mut rows = rows_by_pool(&input.desired, world);
    let mut pools: Vec<Pool<'a>> = Vec::with_capacity(input.desired.pools.len());
    for (name, decl) in &input.desired.pools {
        let there = rows.remove(&Some(name.clone())).unwrap_or_default();
        let hosts = match &decl.hosts {
            Hosts::Count(count) => numbered(input, world, name, (*count, *count), there),
            Hosts::Range { min, max } => numbered(input, world, name, (*min, *max), there),
            Hosts::Named(hosts) => named(hosts, there),
        };
        pools.push(Pool { name: Some(name.clone()), decl: Some(decl), hosts });
    }
    for (name, there) in rows {
        pools.push(Pool { name, decl: None, hosts: there.into_iter().map(leaving).collect() });
    }
    if input.scope.destroy {
        for host in pools.iter_mut().flat_map(|pool| &mut pool.hosts) {
            host.wished = false;
        }
    }
    for pool in &mut pools {
        pool.hosts.retain(|host| host.wished || !host.rows.is_empty());
    }
    pools
}

type There = Vec<(Address, Range<usize>)>;

/// Host rows by the pool that they come from, each host once, sorted by address.
fn rows_by_pool(desired: &Desired, world: &World<'_>) -> BTreeMap<Option<Name>, There> {
    let mut out: BTreeMap<Option<Name>, There> = BTreeMap::new();
    let mut at = 0;
    while let Some(row) = world.rows.get(at) {
        let address = &row.now.address;
        let same = world.rows[at..].iter().take_while(|next| next.now.address == *address).count();
        if address.kind == Kind::Host {
            // The newest generation tells which pool the host belongs to.
            let pool = claimed_by(desired, &world.rows[at + same - 1]);
            out.entry(pool).or_default().push((address.clone(), at..at + same));
        }
        at += same;
    }
    out
}

/// The pool that it was made for, unless only another pool declares a host of this name.
fn claimed_by(desired: &Desired, row: &Row<'_>) -> Option<Name> {
    let name = &*row.now.address.name;
    let declares = |pool: &Name| match desired.pools.get(pool).map(|spec| &spec.hosts) {
        Some(Hosts::Count(_) | Hosts::Range { .. }) => ordinal(pool, name).is_some(),
        Some(Hosts::Named(hosts)) => hosts.contains_key(name),
        None => false,
    };
    match &row.now.pool {
        Some(pool) if declares(pool) => Some(pool.clone()),
        made_for => pool_of(desired, name).cloned().or_else(|| made_for.clone()),
    }
}

fn leaving<'a>((address, rows): (Address, Range<usize>)) -> Member<'a> {
    Member { address, rows, wished: false, extra: false, named: None }
}

fn named<'a>(declared: &'a BTreeMap<Name, NamedHost>, there: There) -> Vec<Member<'a>> {
    let mut hosts: Vec<Member<'a>> = there.into_iter().map(leaving).collect();
    let mut missing: BTreeMap<&str, &'a NamedHost> =
        declared.iter().map(|(name, host)| (name.as_str(), host)).collect();
    for member in &mut hosts {
        member.named = missing.remove(&*member.address.name);
        member.wished = member.named.is_some();
    }
    for (name, host) in missing {
        hosts.push(Member { address: Address::host(name), rows: 0..0, wished: true, extra: false, named: Some(host) });
    }
    hosts.sort_by(|a, b| a.address.cmp(&b.address));
    hosts
}

/// Hosts keep their numbers; new ones take the lowest free numbers; which ones go is decided by [`worst_first`], and so
/// is which ones are beyond the least that the pool must have.
fn numbered<'a>(
    input: &PlanInput,
    world: &World<'_>,
    pool: &Name,
    (least, count): (u32, u32),
    there: There,
) -> Vec<Member<'a>> {
    let mut hosts: Vec<Member<'a>> = there.into_iter().map(leaving).collect();
    let mut staying: Vec<(u32, usize)> = Vec::with_capacity(hosts.len());
    staying.extend(hosts.iter().enumerate().filter_map(|(at, host)| Some((ordinal(pool, &host.address.name)?, at))));
    let surplus = staying.len().saturating_sub(count as usize);
    if surplus > 0 || least < count {
        let leave = |at: usize| &world.rows[hosts[at].rows.end - 1];
        staying.sort_by_key(|&(number, at)| std::cmp::Reverse(worst_first(input, leave(at), number)));
        staying.drain(..surplus);
    }
    // Worst first, so those that may give way come first, and new ones give way before all that stand.
    let needed = (least as usize).min(staying.len());
    for (place, &(_, at)) in staying.iter().enumerate() {
        hosts[at].wished = true;
        hosts[at].extra = least < count && place < staying.len() - needed;
    }
    let taken: BTreeSet<u32> = hosts.iter().filter_map(|host| ordinal(pool, &host.address.name)).collect();
    let missing = (count as usize).saturating_sub(staying.len());
    let needed = (least as usize).saturating_sub(staying.len());
    for (place, number) in (0..).filter(|number| !taken.contains(number)).take(missing).enumerate() {
        let address = Address::host(&format!("{pool}-{number}"));
        hosts.push(Member { address, rows: 0..0, wished: true, extra: place >= needed, named: None });
    }
    hosts.sort_by(|a, b| a.address.cmp(&b.address));
    hosts
}

/// Who goes first when a pool shrinks: the unhealthy, then the most expensive, then the newest.
fn worst_first(input: &PlanInput, row: &Row<'_>, number: u32) -> (bool, i64, u32) {
    (sick(input, row), row.now.price.0, number)
}

/// Whether something is wrong with a host.
pub(crate) fn sick(input: &PlanInput, row: &Row<'_>) -> bool {
    row.unfinished()
        || match row.sight {
            Sight::There(seen) => matches!(seen.status, Status::Failed(_) | Status::Stopped | Status::Deleting),
            Sight::Gone => true,
            Sight::Unseen | Sight::Untold => false,
        }
        || matches!(input.seen.hosts.get(&row.now.address.name), Some(HostSeen::Unreachable(_)))
}

#[cfg(test)]
mod tests {
    use super::ordinal;

    #[test]
    fn numbers_are_read_from_names_strictly() {
        assert_eq!(ordinal("web", "web-0"), Some(0));
        assert_eq!(ordinal("web", "web-12"), Some(12));
        for other in ["web", "web-", "web-01", "web-x", "webs-1", "web--1", "web-+1", "web-99999999999"] {
            assert_eq!(ordinal("web", other), None, "{other}");
        }
    }
}
