//! Times of the planner alone, in a table: `cargo bench -p pool-planner`.
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

use std::time::Instant;

use pool_inventory::Bytes;
use pool_inventory::desired::{OnRemove, PoolVolume, Spread};
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

fn time<T>(what: &str, hosts: u32, run: impl Fn() -> T) -> T {
    let mut best = f64::MAX;
    let mut out = None;
    for _ in 0..3 {
        let start = Instant::now();
        out = Some(run());
        best = best.min(start.elapsed().as_secs_f64());
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

fn main() {
    for hosts in [1_000, 10_000] {
        one(hosts);
    }
}
