//! A workload like that of a platform: machines in three zones and twelve racks, and hosts that use about 30 % of the
//! scarcer resource. Tests and benchmarks share it.

use std::collections::BTreeMap;

use pool_inventory::{
    Address, Bytes, Kind, Money, Text,
    desired::{Apart, Size, Spread},
    market::{Change, Feature, Machine, Offering},
    object::{HostSpec, Spec},
};

use crate::world::{World, name};

pub const ZONES: [&str; 3] = ["az1", "az2", "az3"];

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
pub fn platform(seed: u64, machine_count: usize, host_count: usize) -> World {
    let mut dice = Dice(seed | 1);
    let mut world = World::new();
    let sizes = [("s", 2, 8, 0), ("m", 4, 16, 0), ("l", 8, 32, 0), ("x", 8, 48, 0), ("h", 16, 64, 0)];
    world.cloud("own", &ZONES, &sizes, &[("disk", 1000)]);
    let offers = world.markets[&name("own")].offerings.clone();
    let mut machines = Vec::new();
    for at in 0..machine_count {
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
    world.capabilities.get_mut(&name("own")).unwrap().features.insert(Feature::Apart);
    let changes = &mut world.capabilities.get_mut(&name("own")).unwrap().changes;
    changes.get_mut(&Kind::Host).unwrap().insert("machine".into(), Change::InPlace);
    let (mut hosts, mut pools, mut used) = (0, 0, BTreeMap::new());
    while hosts < host_count {
        let count = (1 + dice.below(12) as usize).min(host_count - hosts) as u32;
        // Mostly small ones.
        let (size, vcpus, memory, _) = sizes[[0, 0, 1, 1, 1, 2, 2, 3, 3, 4][dice.below(10) as usize]];
        let pool = format!("p{pools}");
        let offer = offers.iter().find(|offer| &*offer.name == size).expect("it is on offer").clone();
        let spec = world.pool(&pool, count);
        spec.size = Some(Size { vcpus, memory: Bytes::gib(memory), disk: Bytes::gib(10) });
        spec.place.apart = [None, Some(Apart::Must), Some(Apart::May)][dice.below(3) as usize];
        spec.place.spread = [None, Some(Spread::Zone), Some(Spread::Rack)][dice.below(3) as usize];
        let spread = spec.place.spread.is_some();
        start((&mut world, &mut used), &mut dice, (&pool, count, spread), &offer);
        (hosts, pools) = (hosts + count as usize, pools + 1);
    }
    world
}

/// Cores and memory that hosts use of each machine.
type Used = BTreeMap<Text, (u64, u64)>;

/// Puts the hosts of a pool on machines that have room.
fn start(
    (world, used): (&mut World, &mut Used),
    dice: &mut Dice,
    (pool, count, spread): (&str, u32, bool),
    offer: &Offering,
) {
    let apart = world.desired.pools[&name(pool)].place.apart;
    let machines = world.markets[&name("own")].machines.clone();
    let mut taken: Vec<Text> = Vec::new();
    for number in 0..count {
        let mut at = dice.below(machines.len() as u64) as usize;
        let zone = if spread { ZONES[number as usize % 3] } else { ZONES[dice.below(3) as usize] };
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
        let machine = machines[at].name.clone();
        taken.push(machine.clone());
        let of = used.entry(machine.clone()).or_default();
        *of = (of.0 + u64::from(offer.size.vcpus), of.1 + offer.size.memory.0);
        let host = HostSpec {
            offering: offer.name.clone(),
            region: offer.region.clone(),
            zone: zone.into(),
            size: offer.size,
            image: "img-debian".into(),
            user: "root".into(),
            apart,
            machine: Some(machine),
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
