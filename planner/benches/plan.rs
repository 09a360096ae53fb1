//! Times of the planner alone on a processor, in a table: `cargo bench -p pool-planner`.
//!
//! The world is in memory, so this is the planner's own share: no state, no provider, no rendering.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark prints its table and stops when it cannot go on"
)]
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a benchmark measures time; the planner does not"
)]

use std::time::{Duration, Instant};

use pool_inventory::{
    Bytes,
    desired::{OnRemove, Optimize, PoolVolume, Size, Spread},
    market::Limit,
};
use pool_planner::{PlanInput, Scope, check, plan};

#[path = "../tests/it/world.rs"]
#[expect(dead_code, reason = "the tests use all of it")]
mod world;

use world::{World, name};

/// Hosts with a volume and a bootstrap each, over 40 zones × 60 sizes.
fn fleet(hosts: u32) -> World {
    let mut world = World::new();
    let zones: Vec<String> = (0..40).map(|zone| format!("az{zone}")).collect();
    let zones: Vec<&str> = zones.iter().map(String::as_str).collect();
    let names: Vec<String> = (0..60).map(|size| format!("m{size}")).collect();
    let sizes: Vec<(&str, u32, u64, i64)> =
        names.iter().zip(1u32..).map(|(name, n)| (name.as_str(), n, u64::from(n) * 2, i64::from(n) * 10)).collect();
    world.cloud("c", &zones, &sizes, &[("disk", 10_000_000)]);
    world.tier("high", &["c/*"]);
    let pool = world.pool("web", hosts);
    pool.place.spread = Some(Spread::Zone);
    pool.bootstrap.packages.insert("chrony".into());
    let volume = PoolVolume {
        size: Bytes::gib(10),
        tier: name("high"),
        mount: Some("/srv".into()),
        on_remove: OnRemove::Keep,
        protected: false,
        from: None,
    };
    pool.volumes.insert(name("data"), volume);
    world
}

/// Time that this thread was on a processor, where the system tells; else what has passed.
fn clock(start: &Instant) -> f64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let told = told.and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
    told.map_or_else(|| start.elapsed().as_secs_f64(), |nanos| Duration::from_nanos(nanos).as_secs_f64())
}

fn time<T>(what: &str, hosts: u32, run: impl Fn() -> T) -> T {
    let start = Instant::now();
    let mut best = f64::MAX;
    let mut out = None;
    for _ in 0..3 {
        let before = clock(&start);
        out = Some(run());
        best = best.min(clock(&start) - before);
    }
    println!("{what:<34} {hosts:>7} {:>9.1} ms", best * 1000.0);
    out.unwrap()
}

fn one(hosts: u32) {
    let mut world = fleet(hosts);
    let fresh: PlanInput = world.input(Scope::default());
    let made = time("fresh: hosts + volumes + bootstraps", hosts, || plan(&fresh).unwrap());
    let notes = time("  check", hosts, || check(&made, &fresh));
    assert!(notes.is_empty(), "{:?}", notes.first());
    println!("{:<34} {:>7} {:>9} bytes, {} steps", "  size", hosts, made.to_bytes().len(), made.steps.len());
    time("  to bytes", hosts, || made.to_bytes());
    for step in &made.steps {
        world.act(&made, step);
    }
    let noop = world.input(Scope::default());
    let same = time("no-op", hosts, || plan(&noop).unwrap());
    assert!(same.is_empty());
    time("  check", hosts, || check(&same, &noop));
    let pool = world.desired.pools.get_mut("web").unwrap();
    pool.hosts = pool_inventory::desired::Hosts::Count(hosts + hosts / 100);
    let grown = world.input(Scope::default());
    time("1 % more", hosts, || plan(&grown).unwrap());
    world.desired.pools.get_mut("web").unwrap().labels.insert("a".into(), "b".into());
    let changed = world.input(Scope::default());
    let made = time("all change in place", hosts, || plan(&changed).unwrap());
    let notes = time("  check", hosts, || check(&made, &changed));
    assert!(notes.is_empty(), "{:?}", notes.first());
    let destroy = world.input(Scope { destroy: true, ..Scope::default() });
    let made = time("destroy", hosts, || plan(&destroy).unwrap());
    let notes = time("  check", hosts, || check(&made, &destroy));
    assert!(notes.is_empty(), "{:?}", notes.first());
}

/// Hosts in four pools, over 40 zones × 60 sizes of which a third is scarce, within quotas and limits of the account.
fn market(hosts: u32) -> World {
    let mut world = fleet(hosts / 4);
    let market = world.markets.get_mut("c").unwrap();
    for (at, offering) in (0..).zip(&mut market.offerings) {
        offering.stock = (at % 3 == 0).then_some(hosts / 1000 + at % 7);
    }
    for (what, limit) in [("hosts", 2 * hosts), ("vcpus", 40 * hosts)] {
        market.limits.insert(what.into(), Limit { limit: limit.into(), used: 0 });
    }
    for (at, name) in ["db", "cache", "batch"].into_iter().enumerate() {
        let pool = world.pool(name, hosts / 4);
        pool.place.spread = Some(Spread::Zone);
        pool.place.optimize = Optimize::Cost;
        pool.place.max_skew = (at > 0).then_some(3);
        pool.size = pool.size.map(|size| Size { vcpus: 1 + 2 * u32::try_from(at).unwrap(), ..size });
    }
    let quota = &mut world.desired.tenants.entry(name("default")).or_default().quota;
    (quota.hosts, quota.vcpus) = (Some(u64::from(2 * hosts)), Some(u64::from(40 * hosts)));
    quota.storage.insert(name("high"), Bytes::gib(u64::from(20 * hosts)));
    world
}

fn scarce(hosts: u32) {
    let mut world = market(hosts);
    let rows = ["quotas, stock, spread", "  less quota than hosts", "  near and apart: impossible", "  near and apart"];
    for (at, what) in rows.into_iter().enumerate() {
        let quota = &mut world.desired.tenants.get_mut("default").unwrap().quota;
        quota.hosts = Some(u64::from(if at == 1 { hosts - hosts / 10 } else { 2 * hosts }));
        for name in ["cache", "batch"].into_iter().filter(|_| at == 3) {
            let place = &mut world.desired.pools.get_mut(name).unwrap().place;
            (place.spread, place.max_skew) = (None, None);
        }
        if at >= 2 {
            let near = &mut world.desired.pools.get_mut("cache").unwrap().place;
            near.affinity.insert(name("db"), Spread::Zone);
            near.anti_affinity.insert(name("batch"), Spread::Zone);
        }
        let input = world.input(Scope::default());
        let made = time(what, hosts, || plan(&input).unwrap());
        assert!(check(&made, &input).is_empty());
        println!("{:<34} {:>7} {:>9} steps, {} declined", "", hosts, made.steps.len(), made.declined.len());
    }
}

fn main() {
    for hosts in [1_000, 10_000] {
        one(hosts);
        scarce(hosts);
    }
}
