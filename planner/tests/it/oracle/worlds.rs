//! Small random worlds in which room is scarce.

use pool_inventory::{
    Bytes, Money, Text,
    desired::*,
    market::{BackendOffer, Limit},
};

use super::UNIT;
use crate::world::{World, name};

struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.roll(100) < percent
    }
}

/// What is special about the pools of a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pools {
    /// Each is for itself, and only the room is shared.
    Free,
    /// They are spread as evenly as can be, which comes before costs.
    Even,
    /// Some are to be near others, or away from them.
    Neighbours,
}

/// A world in which room is scarce. `scale`: how many times as many hosts there are, with room for them.
pub fn world(seed: u64, pools: Pools, scale: u32) -> World {
    let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xB5);
    let mut world = World::new();
    world.seed = seed;
    let sizes = [("s", 1, 2, 10), ("m", 2, 4, 19), ("r", 2, 8, 26), ("l", 4, 8, 41)];
    for provider in ["c", "d"].into_iter().take(1 + usize::from(dice.chance(35))) {
        let zones = &["az1", "az2", "az3"][..2 + usize::from(dice.chance(40))];
        let count = 2 + usize::try_from(dice.roll(3)).unwrap();
        world.cloud(provider, zones, &sizes[4 - count..], &[]);
        furnish(&mut world, (provider, zones), scale, &mut dice);
    }
    world.tier("high", &["c/*", "d/*"]);
    for pool in ["a", "b", "e"].into_iter().take(2 + usize::from(dice.chance(60))) {
        declare(&mut world, pool, pools == Pools::Even, scale, &mut dice);
    }
    if pools == Pools::Neighbours {
        acquaint(&mut world, &mut dice);
    }
    for tenant in ["default", "retail"] {
        let quota = &mut world.desired.tenants.entry(name(tenant)).or_default().quota;
        let times = |amount: u64| amount * u64::from(scale);
        quota.hosts = dice.chance(12).then(|| times(4 + dice.roll(6)));
        quota.vcpus = dice.chance(25).then(|| times(8 + dice.roll(16)));
        quota.memory = dice.chance(20).then(|| Bytes::gib(times(20 + dice.roll(32))));
        quota.cost = dice.chance(20).then(|| Money::units(i64::try_from(times(90 + dice.roll(140))).unwrap()));
        if dice.chance(12) {
            quota.storage.insert(name("high"), Bytes::gib(times(40 + dice.roll(60))));
        }
    }
    world
}

/// One or two rules between pools.
fn acquaint(world: &mut World, dice: &mut Dice) {
    let third = world.desired.pools.contains_key("e") && dice.chance(40);
    for (these, those) in [("a", "b"), ("b", "e")].into_iter().take(1 + usize::from(third)) {
        let level = if dice.chance(75) { Spread::Zone } else { Spread::Provider };
        let near = dice.chance(60);
        let place = &mut world.desired.pools.get_mut(these).unwrap().place;
        if near { &mut place.affinity } else { &mut place.anti_affinity }.insert(name(those), level);
    }
}

/// Prices and stock that differ from zone to zone, backends, and limits of the account.
fn furnish(world: &mut World, (provider, zones): (&str, &[&str]), scale: u32, dice: &mut Dice) {
    let times = |amount: u64| amount * u64::from(scale);
    let market = world.markets.get_mut(provider).unwrap();
    for offering in &mut market.offerings {
        let percent = i64::try_from(80 + dice.roll(60)).unwrap();
        offering.price = Money(offering.price.0 * percent / 100 / UNIT * UNIT);
        offering.stock = dice.chance(60).then(|| scale * u32::try_from(dice.roll(5)).unwrap());
    }
    for zone in zones {
        let price = Money(100 * i64::try_from(1 + dice.roll(5)).unwrap());
        for twin in 0..=u64::from(dice.chance(30)) {
            market.backends.push(BackendOffer {
                name: format!("{provider}/{zone}-{twin}").into(),
                media: Some(Media::Ssd),
                iops: None,
                provisioning: [Provisioning::Thin].into(),
                zones: [Text::from(*zone)].into(),
                capacity: Bytes::gib(times(20 + dice.roll(60))),
                allocated: Bytes(0),
                price,
            });
        }
    }
    let mut limit = |what: &str, limit: u64| {
        market.limits.insert(what.into(), Limit { limit, used: 0 });
    };
    if dice.chance(25) {
        limit("hosts", times(5 + dice.roll(6)));
    }
    if dice.chance(30) {
        limit("vcpus", times(8 + dice.roll(16)));
    }
    if dice.chance(30) {
        limit("memory", times(20 + dice.roll(32)) << 30);
    }
}

fn declare(world: &mut World, pool: &str, even: bool, scale: u32, dice: &mut Dice) {
    let hosts = scale * u32::try_from(1 + dice.roll(4)).unwrap();
    let spec = world.pool(pool, hosts);
    spec.tenant = name(if dice.chance(40) { "retail" } else { "default" });
    spec.place.optimize = Optimize::Cost;
    let vcpus = [1, 1, 2, 2, 4][usize::try_from(dice.roll(5)).unwrap()];
    let memory = Bytes::gib([1, 2, 4, 8][usize::try_from(dice.roll(4)).unwrap()]);
    spec.size = Some(Size { vcpus, memory, disk: Bytes::gib(10) });
    if even {
        spec.place.spread = Some(Spread::Zone);
    } else if dice.chance(35) {
        spec.place.spread = Some(Spread::Zone);
        spec.place.max_skew = Some(u32::try_from(1 + dice.roll(2)).unwrap());
    }
    if dice.chance(20) {
        spec.place.on = vec![PlacePattern("c".into())];
    }
    if dice.chance(15) {
        spec.place.max_price = Some(Money::units(i64::try_from(14 + dice.roll(20)).unwrap()));
    }
    for volume in ["data", "logs"].into_iter().take(usize::from(dice.chance(45)) + usize::from(dice.chance(15))) {
        let (size, tier) = (Bytes::gib(10 + 10 * dice.roll(2)), name("high"));
        let volume_spec =
            PoolVolume { size, tier, mount: None, on_remove: OnRemove::Keep, protected: false, from: None };
        spec.volumes.insert(name(volume), volume_spec);
    }
}
