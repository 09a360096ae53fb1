//! Where all have what they must have, nobody gets less than it wants while somebody below it has more than that.

use std::collections::BTreeMap;

use pool_inventory::{
    Name, Percent,
    desired::{ClassSpec, Hosts},
};
use pool_planner::{Scope, check, plan};
use proptest::prelude::*;

use crate::{
    render::render,
    world::{World, name},
};

const POOLS: [&str; 4] = ["a", "b", "c", "d"];

/// Something that is declared anew.
#[derive(Debug, Clone)]
enum Event {
    Pool(usize, u32, u32, u32),
    Quota(u64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0..POOLS.len(), 0..4u32, 0..6u32, 0..4u32).prop_map(|(p, min, more, class)| Event::Pool(p, min, more, class)),
        2 => (1..16u64).prop_map(Event::Quota),
    ]
}

/// Hosts per pool that are recorded.
fn counts(world: &World) -> BTreeMap<Name, u32> {
    let mut all = BTreeMap::new();
    for row in world.recorded.iter().filter_map(|row| row.pool.as_ref()) {
        *all.entry(row.clone()).or_default() += 1;
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn a_lower_class_never_has_what_a_higher_one_wants(events in prop::collection::vec(event(), 1..12)) {
        let mut world = World::new();
        world.cloud("cloud", &["az1", "az2"], &[("s", 1, 2, 10)], &[]);
        world.desired.policy.max_destroyed = Percent(10_000);
        for priority in 1..4 {
            let class = ClassSpec { priority, ..ClassSpec::default() };
            world.desired.classes.insert(name(&format!("p{priority}")), class);
        }
        for event in events {
            match event {
                Event::Pool(at, min, more, class) => {
                    let pool = world.pool(POOLS[at], 0);
                    pool.hosts = if more == 0 { Hosts::Count(min) } else { Hosts::Range { min, max: min + more } };
                    pool.class = (class > 0).then(|| name(&format!("p{class}")));
                }
                Event::Quota(hosts) => {
                    world.desired.tenants.get_mut("default").unwrap().quota.hosts = Some(hosts);
                }
            }
            let input = world.input(Scope::default());
            let plan = plan(&input).unwrap();
            prop_assert_eq!(check(&plan, &input), [], "{}", render(&plan));
            world.apply(&plan);
            let counts = counts(&world);
            let have = |pool: &Name| counts.get(pool).copied().unwrap_or(0);
            let desired = &world.desired;
            // What would be given up may go to whoever must have it first.
            if desired.pools.iter().any(|(pool, spec)| have(pool) < spec.hosts.numbered().unwrap().0) {
                continue;
            }
            for (high, spec) in &desired.pools {
                let (_, most) = spec.hosts.numbered().unwrap();
                let lower = desired.pools.iter().filter(|(_, other)| desired.priority(other) < desired.priority(spec));
                for (low, other) in lower {
                    let above = have(low) > other.hosts.numbered().unwrap().0;
                    prop_assert!(have(high) >= most || !above, "{low} has what {high} wants:\n{}", render(&plan));
                }
            }
        }
    }
}
