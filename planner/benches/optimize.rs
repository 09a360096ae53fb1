//! What `--optimize` makes of a platform's machines, in a table: `cargo bench -p pool-planner --bench optimize`.

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

use pool_planner::{Scope, check, plan};

#[path = "../tests/it/platform.rs"]
mod platform;
#[path = "../tests/it/world.rs"]
#[expect(dead_code, reason = "the tests use all of it")]
mod world;

fn main() {
    println!(
        "machines   hosts  seed  in use before    in use after     full before  full after  moved  plan ms  check ms"
    );
    for (machines, hosts) in [(347, 1_132), (3_470, 11_320)] {
        for seed in [1, 3, 5, 7, 9] {
            one(machines, hosts, seed);
        }
    }
}

fn one(machines: usize, hosts: usize, seed: u64) {
    let world = platform::platform(seed, machines, hosts);
    let input = world.input(Scope { optimize: true, ..Scope::default() });
    let begun = Instant::now();
    let made = plan(&input).unwrap();
    let planned = begun.elapsed();
    let notes = check(&made, &input);
    let checked = begun.elapsed() - planned;
    assert!(notes.is_empty(), "{:?}", notes.first());
    let proposal = made.proposal.unwrap();
    let zones = || proposal.filled.iter();
    let before: usize = zones().map(|zone| zone.machines_before).sum();
    let after: usize = zones().map(|zone| zone.machines_after).sum();
    // The least of the zones.
    let share = |shares: &mut dyn Iterator<Item = u32>| f64::from(shares.min().unwrap()) / 100.0;
    println!(
        "{machines:>8} {hosts:>7} {seed:>5} {before:>14} {after:>15} {:>14.1} % {:>9.1} % {:>6} {:>8.0} {:>9.0}",
        share(&mut zones().map(|zone| zone.share_before.0)),
        share(&mut zones().map(|zone| zone.share_after.0)),
        proposal.moved,
        planned.as_secs_f64() * 1000.0,
        checked.as_secs_f64() * 1000.0,
    );
}
