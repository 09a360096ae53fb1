//! Consolidation on a workload like that of a platform: 347 machines in three zones and twelve racks, 1,132 hosts that
//! use 30 % of the scarcer resource.

use std::collections::BTreeMap;

use pool_inventory::{
    Address, Bytes, Money, Name, Percent, Text,
    desired::{Apart, Size, Spread},
    market::Machine,
    object::{HostSpec, Spec},
};
use pool_planner::{Plan, Scope, check, plan};

use crate::world::{World, name};

const MACHINES: usize = 347;
const HOSTS: usize = 1_132;
const ZONES: [&str; 3] = ["az1", "az2", "az3"];

/// The same numbers for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        // xorshift64*
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % end
    }
}

/// Machines of three kinds, and pools of unequal sizes and habits, as they would be started: each host on a machine that
/// was free enough at the time, chosen without a thought for the others.
fn platform(seed: u64) -> World {
    let mut dice = Dice(seed | 1);
    let mut world = World::new();
    let sizes = [("s", 2, 8, 0), ("m", 4, 16, 0), ("l", 8, 32, 0), ("x", 8, 48, 0), ("h", 16, 64, 0)];
    world.cloud("own", &ZONES, &sizes, &[("disk", 1000)]);
    let offers = world.markets[&name("own")].offerings.clone();
    let mut machines = Vec::new();
    for at in 0..MACHINES {
        let (vcpus, memory, price) = [(64, 256, 400), (64, 384, 500), (96, 512, 700)][dice.below(3) as usize];
        machines.push(Machine {
            name: format!("m-{at:03}").into(),
            region: "r".into(),
            zone: ZONES[at % 3].into(),
            rack: format!("{}-r{}", ZONES[at % 3], at / 3 % 4).into(),
            size: Size { vcpus, memory: Bytes::gib(memory), disk: Bytes::gib(8_000) },
            used: Size::default(),
            price: Money(price * 1000),
            dedicated: None,
        });
    }
    machines.sort_by(|a, b| (&a.zone, &a.name).cmp(&(&b.zone, &b.name)));
    world.markets.get_mut(&name("own")).unwrap().machines = machines;
    world.capabilities.get_mut(&name("own")).unwrap().features.insert(pool_inventory::market::Feature::Apart);
    let changes = &mut world.capabilities.get_mut(&name("own")).unwrap().changes;
    changes
        .get_mut(&pool_inventory::Kind::Host)
        .unwrap()
        .insert("machine".into(), pool_inventory::market::Change::InPlace);
    let (mut hosts, mut pools) = (0, 0);
    while hosts < HOSTS {
        let count = (1 + dice.below(12) as usize).min(HOSTS - hosts) as u32;
        // Mostly small ones.
        let (size, vcpus, memory, _) = sizes[[0, 0, 1, 1, 1, 2, 2, 3, 3, 4][dice.below(10) as usize]];
        let pool = format!("p{pools}");
        let offer = offers.iter().find(|offer| &*offer.name == size).expect("it is on offer").clone();
        let spec = world.pool(&pool, count);
        spec.size = Some(Size { vcpus, memory: Bytes::gib(memory), disk: Bytes::gib(10) });
        spec.place.apart = [None, Some(Apart::Must), Some(Apart::May)][dice.below(3) as usize];
        spec.place.spread = [None, Some(Spread::Zone), Some(Spread::Rack)][dice.below(3) as usize];
        let spread = spec.place.spread.is_some();
        start(&mut world, &mut dice, &pool, count, &offer, spread);
        (hosts, pools) = (hosts + count as usize, pools + 1);
    }
    world
}

/// Puts the hosts of a pool on machines that have room.
fn start(
    world: &mut World,
    dice: &mut Dice,
    pool: &str,
    count: u32,
    offer: &pool_inventory::market::Offering,
    spread: bool,
) {
    let decl = world.desired.pools[&name(pool)].clone();
    let mut taken: Vec<Text> = Vec::new();
    for number in 0..count {
        let machines = world.markets[&name("own")].machines.clone();
        let mut at = dice.below(machines.len() as u64) as usize;
        let zone = if spread { ZONES[number as usize % 3] } else { ZONES[dice.below(3) as usize] };
        let used = world.machines_used();
        // No machine begins fuller than three quarters, and hosts that keep apart are apart.
        let fits = |machine: &Machine| {
            let used = used.get(&machine.name).copied().unwrap_or_default();
            *machine.zone == *zone
                && !taken.contains(&machine.name)
                && (used.0 + u64::from(offer.size.vcpus)) * 4 <= u64::from(machine.size.vcpus) * 3
                && (used.1 + offer.size.memory.0) * 4 <= machine.size.memory.0 * 3
        };
        while !fits(&machines[at]) {
            at = (at + 1) % machines.len();
        }
        taken.push(machines[at].name.clone());
        let host = HostSpec {
            offering: offer.name.clone(),
            region: offer.region.clone(),
            zone: zone.into(),
            size: offer.size,
            image: "img-debian".into(),
            user: "root".into(),
            apart: decl.place.apart,
            machine: Some(machines[at].name.clone()),
            ..HostSpec::default()
        };
        world.stand(
            &Address::host(&format!("{pool}-{number}")),
            &name("own"),
            Spec::Host(host),
            &name(pool),
            offer.price,
        );
    }
}

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
    let mut world = platform(7);
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
