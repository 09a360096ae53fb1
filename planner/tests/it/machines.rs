//! Physical machines under whatever happens: plans are sound, no order of steps exceeds a machine, nothing moves unasked,
//! and proposals come to an end.

use pool_inventory::{
    Address, Bytes, Kind, Money, Percent, TimeSpan,
    desired::{Apart, Hosts, Isolation, Optimize, Place, PlacePattern, Size, Spread, TenantSpec},
    market::{Change, Feature, Machine},
    object::Spec,
};
use pool_planner::{Plan, Scope, input::Brake, plan::Reason};
use proptest::prelude::*;

use crate::{
    properties::{any_order, sound},
    render::render,
    world::{World, name},
};

const POOLS: [&str; 4] = ["web", "db", "job", "vault"];

#[derive(Debug, Clone)]
enum Event {
    Scale(usize, u32),
    Size(usize, u32),
    Place(usize, u8, u8, u8),
    Vanish(usize),
    /// Somebody else moves a host.
    Carry(usize, usize),
    /// Somebody else uses a machine.
    Strangers(bool),
    Gain(u32),
    Residence(u64),
    Brakes(u32),
    Cheaper(i64),
    Machine(usize, i64),
    Run {
        optimize: bool,
        unbraked: bool,
        seed: u64,
        cut: usize,
    },
}

fn event() -> impl Strategy<Value = Event> {
    let pool = 0..POOLS.len();
    let cut = prop_oneof![3 => Just(usize::MAX), 1 => 0..8usize];
    prop_oneof![
        4 => (pool.clone(), 0..7u32).prop_map(|(p, n)| Event::Scale(p, n)),
        1 => (pool.clone(), 1..5u32).prop_map(|(p, n)| Event::Size(p, n)),
        3 => (pool, 0..3u8, 0..4u8, 0..4u8).prop_map(|(p, a, s, o)| Event::Place(p, a, s, o)),
        1 => any::<usize>().prop_map(Event::Vanish),
        1 => any::<(usize, usize)>().prop_map(|(host, machine)| Event::Carry(host, machine)),
        1 => any::<bool>().prop_map(Event::Strangers),
        1 => (0..10_000u32).prop_map(Event::Gain),
        1 => (0..2u64).prop_map(Event::Residence),
        1 => (0..10_000u32).prop_map(Event::Brakes),
        2 => (0..30i64).prop_map(Event::Cheaper),
        1 => (any::<usize>(), 0..50i64).prop_map(|(at, price)| Event::Machine(at, price)),
        5 => (any::<bool>(), any::<bool>(), any::<u64>(), cut)
            .prop_map(|(optimize, unbraked, seed, cut)| Event::Run { optimize, unbraked, seed, cut }),
    ]
}

/// Nine machines in two zones and three racks, one of them for a tenant that shares none, and a cloud beside them.
fn start() -> World {
    let mut world = World::new();
    world.cloud("own", &["az1", "az2"], &[("s", 1, 1, 0), ("m", 2, 4, 0), ("l", 4, 8, 0)], &[]);
    world.cloud("rent", &["z1"], &[("r", 1, 1, 20), ("x", 4, 8, 60)], &[]);
    let capabilities = world.capabilities.get_mut(&name("own")).unwrap();
    capabilities.changes.get_mut(&Kind::Host).unwrap().insert("machine".into(), Change::InPlace);
    capabilities.features.insert(Feature::Apart);
    let machine = |number: usize| Machine {
        name: format!("m-{number}").into(),
        region: "r".into(),
        zone: if number < 6 { "az1" } else { "az2" }.into(),
        rack: format!("r{}", number / 3).into(),
        size: Size { vcpus: 8, memory: Bytes::gib(16), disk: Bytes::gib(1_000) },
        used: Size::default(),
        price: Money(20_000),
        dedicated: (number == 8).then(|| name("bank")),
    };
    world.markets.get_mut(&name("own")).unwrap().machines = (0..9).map(machine).collect();
    let alone = TenantSpec { isolation: Isolation::DedicatedHosts, ..TenantSpec::default() };
    world.desired.tenants.insert(name("bank"), alone);
    world.desired.policy.max_destroyed = Percent(10_000);
    world.desired.policy.min_residence = TimeSpan(0);
    for pool in POOLS {
        world.pool(pool, 3);
    }
    world.pool("vault", 1).tenant = name("bank");
    world
}

fn happen(world: &mut World, event: &Event) {
    match event {
        Event::Scale(pool, n) => world.pool(POOLS[*pool], 1).hosts = Hosts::Count(*n),
        Event::Size(pool, n) => {
            world.pool(POOLS[*pool], 1).size = Some(Size { vcpus: *n, memory: Bytes::gib(1), disk: Bytes::gib(10) });
        }
        Event::Place(pool, apart, spread, optimize) => {
            place(&mut world.pool(POOLS[*pool], 1).place, (*apart, *spread, *optimize))
        }
        Event::Vanish(at) => {
            let hosts: Vec<Address> = world.recorded.iter().map(|row| row.address.clone()).collect();
            if let Some(at) = at.checked_rem(hosts.len()) {
                world.find(&hosts[at]).status = pool_inventory::object::Status::Deleting;
            }
        }
        Event::Carry(at, to) => carry(world, *at, *to),
        Event::Strangers(on) => world.strangers = on.then(|| "m-4".into()),
        Event::Gain(share) => world.desired.policy.min_gain = Percent(*share),
        // Everything was made a while ago; only what was made now is too young.
        Event::Residence(hours) => world.desired.policy.min_residence = TimeSpan(hours * 3_600_000),
        Event::Brakes(share) => world.desired.policy.max_replaced = Percent(*share),
        Event::Cheaper(price) => {
            let offerings = &mut world.markets.get_mut(&name("rent")).unwrap().offerings;
            offerings.iter_mut().filter(|o| &*o.name == "r").for_each(|o| o.price = Money(price * 1_000));
        }
        Event::Machine(at, price) => {
            let machines = &mut world.markets.get_mut(&name("own")).unwrap().machines;
            let at = at % machines.len();
            machines[at].price = Money(price * 1_000);
        }
        Event::Run { optimize, unbraked, seed, cut } => {
            let Some(plan) = sound(world, scope(*optimize, *unbraked)) else { return };
            if !optimize {
                let moved = |step: &pool_planner::Step| matches!(step.reason, Reason::Optimized { .. });
                assert!(plan.proposal.is_none() && !plan.steps.iter().any(moved), "{}", render(&plan));
            }
            let order = any_order(&plan, *seed);
            world.apply_in(&plan, &order[..order.len().min(*cut)]);
        }
    }
}

fn place(place: &mut Place, (apart, spread, optimize): (u8, u8, u8)) {
    place.apart = [None, Some(Apart::May), Some(Apart::Must)][usize::from(apart)];
    place.spread = [None, Some(Spread::Zone), Some(Spread::Rack), Some(Spread::Provider)][usize::from(spread)];
    // Not with `Pack` and `Balance`: the two pull in different directions, and each has its own worlds.
    place.max_skew = (spread > 0 && optimize < 2).then_some(1);
    place.optimize = [Optimize::Prefer, Optimize::Cost, Optimize::Balance, Optimize::Pack][usize::from(optimize)];
    let on: &[&str] = if apart == 2 { &["own"] } else { &["own", "rent"] };
    place.on = on.iter().map(|pattern| PlacePattern((*pattern).into())).collect();
}

/// Puts a host on another machine of its zone that has room, behind the planner's back.
fn carry(world: &mut World, host: usize, to: usize) {
    let used = world.machines_used();
    let hosts: Vec<Address> = world
        .recorded
        .iter()
        .filter(|row| row.spec.host().is_some_and(|host| host.machine.is_some()) && row.tenant != name("bank"))
        .map(|row| row.address.clone())
        .collect();
    let Some(at) = host.checked_rem(hosts.len()) else { return };
    let machines = world.markets[&name("own")].machines.clone();
    let vaults: Vec<_> = world.recorded.iter().filter(|row| row.tenant == name("bank")).cloned().collect();
    let object = world.find(&hosts[at]);
    let Spec::Host(host) = &mut object.spec else { return };
    let machine = &machines[to % machines.len()];
    let (vcpus, memory, _) = used.get(&machine.name).copied().unwrap_or_default();
    let fits = vcpus + u64::from(host.size.vcpus) <= u64::from(machine.size.vcpus)
        && memory + host.size.memory.0 <= machine.size.memory.0
        && machine.zone == host.zone
        && machine.dedicated.is_none()
        && vaults.iter().all(|row| row.spec.host().is_none_or(|host| host.machine.as_ref() != Some(&machine.name)));
    if fits {
        host.machine = Some(machine.name.clone());
    }
}

fn scope(optimize: bool, unbraked: bool) -> Scope {
    let mut scope = Scope { optimize, ..Scope::default() };
    if unbraked {
        scope.overrides.insert(Brake::MaxReplaced, "test".into());
    }
    scope
}

/// After all that: what is declared comes to rest, and what is proposed comes to an end.
fn settle(world: &mut World) {
    world.desired.policy.min_residence = TimeSpan(0);
    for round in 0.. {
        let plan = sound(world, scope(false, true)).unwrap();
        if plan.is_empty() {
            break;
        }
        assert!(round < 30, "{}", render(&plan));
        world.apply_in(&plan, &any_order(&plan, round));
    }
    let mut last: Option<Plan> = None;
    for round in 0.. {
        let plan = sound(world, scope(true, true)).unwrap();
        if plan.is_empty() {
            break;
        }
        let before = last.as_ref().map(render).unwrap_or_default();
        // Moves alone are done at once. What is replaced may be moved only in the next plan, and moves may give room to
        // who had none.
        let more = |last: Plan| !last.declined.is_empty() || last.proposal.is_none_or(|p| p.replaced > 0);
        let done = last.is_none_or(more);
        assert!(done && round < 12, "first:\n{before}\nthen:\n{}", render(&plan));
        world.apply_in(&plan, &any_order(&plan, round));
        last = Some(plan);
    }
    let rest = sound(world, scope(false, true)).unwrap();
    assert!(rest.is_empty(), "what was moved stays: {}", render(&rest));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })]

    #[test]
    fn machines_are_never_exceeded_and_proposals_come_to_an_end(events in prop::collection::vec(event(), 1..20)) {
        let mut world = start();
        for event in &events {
            happen(&mut world, event);
        }
        settle(&mut world);
    }
}
