//! Consolidation on a workload like that of a platform: 347 machines in three zones and twelve racks, 1,132 hosts that
//! use 30 % of the scarcer resource.

use std::collections::BTreeMap;

use pool_inventory::{Money, Name, Percent, Text, desired::Spread, object::HostSpec};
use pool_planner::{Plan, Scope, check, plan};

use crate::{
    platform::{ZONES, platform},
    world::{World, name},
};

const MACHINES: usize = 347;
const HOSTS: usize = 1_132;

/// Hosts of each pool by a part of their place.
fn counts(world: &World, of: impl Fn(&HostSpec) -> Text) -> BTreeMap<Name, BTreeMap<Text, u32>> {
    let mut out: BTreeMap<Name, BTreeMap<Text, u32>> = BTreeMap::new();
    for row in &world.recorded {
        if let (Some(pool), Some(host)) = (&row.pool, row.spec.host()) {
            *out.entry(pool.clone()).or_default().entry(of(host)).or_default() += 1;
        }
    }
    out
}

fn optimize() -> Scope {
    Scope { optimize: true, ..Scope::default() }
}

fn planned(world: &World, scope: Scope) -> Plan {
    let input = world.input(scope);
    let made = plan(&input).expect("a plan");
    let notes: Vec<String> = check(&made, &input).iter().map(ToString::to_string).collect();
    assert_eq!(notes, [""; 0]);
    made
}

#[expect(clippy::print_stdout, reason = "how full machines are is a result")]
#[test]
fn consolidation_fills_the_machines_that_it_keeps_and_breaks_no_spread() {
    let mut world = platform(7, MACHINES, HOSTS);
    let racks: BTreeMap<Text, Text> =
        world.markets[&name("own")].machines.iter().map(|m| (m.name.clone(), m.rack.clone())).collect();
    let rack = |host: &HostSpec| racks[host.machine.as_ref().expect("it is on a machine")].clone();
    let (zones, in_racks) = (counts(&world, |host| host.zone.clone()), counts(&world, rack));
    assert_eq!(world.recorded.len(), HOSTS);
    assert!(planned(&world, Scope::default()).is_empty(), "nothing moves without the flag");

    let made = planned(&world, optimize());
    let proposal = made.proposal.clone().expect("it was asked for");
    for zone in &proposal.filled {
        println!(
            "{}: {} machines {} full of {} → {} machines {} full",
            zone.zone, zone.machines_before, zone.share_before, zone.resource, zone.machines_after, zone.share_after
        );
        assert!(zone.share_after >= Percent(8_500), "{zone:?}");
    }
    println!(
        "{} moved, {} emptied, {} saved a month",
        proposal.moved,
        proposal.emptied.len(),
        proposal.saved.per_month()
    );
    assert!(proposal.replaced == 0 && proposal.saved > Money::ZERO);
    assert_eq!(proposal.saved, made.cost.before - made.cost.after);

    world.apply(&made);
    assert_eq!(zones, counts(&world, |host| host.zone.clone()));
    let after = counts(&world, rack);
    for (pool, spec) in &world.desired.pools {
        if spec.place.spread == Some(Spread::Rack) {
            for zone in ZONES {
                let skew = |of: &BTreeMap<Text, u32>| {
                    let of: Vec<u32> = (0..4).map(|r| of.get(&*format!("{zone}-r{r}")).copied().unwrap_or(0)).collect();
                    of.iter().max().unwrap() - of.iter().min().unwrap()
                };
                assert!(skew(&after[pool]) <= skew(&in_racks[pool]).max(1), "{pool} in {zone}");
            }
        }
    }
    let machines = counts(&world, |host| host.machine.clone().expect("a machine"));
    for (pool, spec) in world.desired.pools.iter().filter(|(_, spec)| spec.place.apart.is_some()) {
        assert!(machines[pool].values().all(|hosts| *hosts == 1), "{pool} {:?}", spec.place.apart);
    }
    assert!(planned(&world, Scope::default()).is_empty(), "what was moved stays");
    assert!(planned(&world, optimize()).is_empty(), "a second proposal finds nothing");
}
