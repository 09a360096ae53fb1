//! The checker finds each planted fault, by the rule that it breaks.

use pool_inventory::{
    Address, Bytes, Kind, Lineage, Text,
    desired::{Hosts, NamedHost, NetworkDecl, OnRemove, PoolVolume, QuotaSpec, Size},
    market::Feature,
    object::{Spec, Status},
};
use pool_planner::{
    Action, Plan, PlanInput, Reason, Rule, Scope, Step, StepId, check,
    input::{Errand, OnFailure},
    plan,
    plan::{Alternative, Demand, Stay, Why},
};

use crate::{
    dsl::mention,
    render::render,
    world::{World, name},
};

/// Two pools in a network, with volumes and templates, and quotas that leave little room.
fn start() -> World {
    let mut world = World::new();
    world.cloud("c", &["az1", "az2"], &[("s", 1, 2, 10), ("m", 2, 4, 20)], &[("disk", 1000)]);
    world.cloud("d", &["z1"], &[("x", 2, 8, 15)], &[]);
    let features = [Feature::Power, Feature::Snapshots, Feature::Backups];
    world.capabilities.values_mut().for_each(|can| can.features.extend(features));
    world.tier("high", &["c/*"]);
    let front = NetworkDecl::new(name("default"), "10.0.0.0/24".parse().unwrap(), vec![name("c")]);
    world.desired.networks.insert(name("front"), front);
    world.desired.tenants.get_mut("default").unwrap().quota =
        QuotaSpec { hosts: Some(7), vcpus: Some(7), ..Default::default() };
    let web = world.pool("web", 4);
    web.network = Some(name("front"));
    let volume = PoolVolume {
        size: Bytes::gib(10),
        tier: name("high"),
        mount: Some("/srv".into()),
        on_remove: OnRemove::Delete,
        protected: false,
        from: None,
    };
    web.volumes.insert(name("data"), volume);
    let lb = world.pool("lb", 2);
    mention(lb, "web");
    world
}

pub fn planned(world: &World, scope: Scope) -> (Plan, PlanInput) {
    let input = world.input(scope);
    let made = plan(&input).unwrap();
    assert_eq!(check(&made, &input), [], "{}", render(&made));
    (made, input)
}

fn applied() -> World {
    let mut world = start();
    let (plan, _) = planned(&world, Scope::default());
    world.apply(&plan);
    world
}

/// Plants a fault; the checker must name the rule.
#[track_caller]
pub fn finds(rule: Rule, (plan, input): &(Plan, PlanInput), plant: impl FnOnce(&mut Plan, &mut PlanInput)) {
    let (mut bad, mut input) = (plan.clone(), input.clone());
    plant(&mut bad, &mut input);
    let notes = check(&bad, &input);
    assert!(notes.iter().any(|note| note.rule == rule), "wanted {rule:?}, got {notes:#?}\n{}", render(&bad));
}

pub fn step<'p>(plan: &'p mut Plan, verb: &str, address: &str) -> &'p mut Step {
    let at = plan.steps.iter().position(|s| s.action.verb() == verb && s.address.to_string() == address);
    &mut plan.steps[at.unwrap_or_else(|| panic!("no {verb} {address}"))]
}

pub fn id(plan: &Plan, verb: &str, address: &str) -> StepId {
    plan.steps.iter().find(|s| s.action.verb() == verb && s.address.to_string() == address).unwrap().id
}

/// Takes one need away.
pub fn unneed(plan: &mut Plan, step_of: (&str, &str), need: (&str, &str)) {
    let need = id(plan, need.0, need.1);
    let step = step(plan, step_of.0, step_of.1);
    assert!(step.needs.contains(&need));
    step.needs.retain(|n| *n != need);
}

/// Takes a step out and closes the gap.
pub fn remove(plan: &mut Plan, verb: &str, address: &str) {
    let gone = id(plan, verb, address).0;
    plan.steps.remove(gone as usize);
    for (at, step) in (0..).zip(&mut plan.steps) {
        step.id = StepId(at);
        step.needs.retain(|need| need.0 != gone);
        step.needs.iter_mut().filter(|need| need.0 > gone).for_each(|need| need.0 -= 1);
    }
}

pub fn add(plan: &mut Plan, like: (&str, &str), change: impl FnOnce(&mut Step)) {
    let mut copy = plan.steps[id(plan, like.0, like.1).0 as usize].clone();
    copy.id = StepId(plan.steps.len() as u32);
    change(&mut copy);
    plan.steps.push(copy);
}

#[test]
fn faults_of_a_fresh_plan() {
    let world = start();
    let fresh = planned(&world, Scope::default());
    finds(Rule::Envelope, &fresh, |p, _| p.version = 99);
    finds(Rule::Envelope, &fresh, |p, _| p.lineage = Lineage::from_bits([1; 16]));
    finds(Rule::Envelope, &fresh, |p, _| p.providers.clear());
    finds(Rule::Envelope, &fresh, |p, _| p.groups.clear());
    finds(Rule::Envelope, &fresh, |p, _| {
        step(p, "create", "host/web-0").action = Action::Attach { to: Spec::Volume(p_volume(&fresh.0)) }
    });
    finds(Rule::Ids, &fresh, |p, _| p.steps.swap(0, 1));
    finds(Rule::Ids, &fresh, |p, _| {
        let last = StepId(p.steps.len() as u32 - 1);
        p.steps[0].needs.push(last);
    });
    finds(Rule::Order, &fresh, |p, _| unneed(p, ("create", "host/web-0"), ("create", "network/front")));
    finds(Rule::Order, &fresh, |p, _| {
        unneed(p, ("create", "volume/web-0.data"), ("create", "host/web-0"));
        unneed(p, ("attach", "volume/web-0.data"), ("create", "host/web-0"));
    });
    finds(Rule::Order, &fresh, |p, _| unneed(p, ("attach", "volume/web-0.data"), ("create", "volume/web-0.data")));
    finds(Rule::Order, &fresh, |p, _| remove(p, "create", "network/front"));
    finds(Rule::Bootstrap, &fresh, |p, _| unneed(p, ("bootstrap", "host/lb-0"), ("create", "host/web-3")));
    finds(Rule::Bootstrap, &fresh, |p, _| p.bootstraps.clear());
    finds(Rule::Bootstrap, &fresh, |p, _| p.bootstraps.values_mut().for_each(|b| b.spec = Default::default()));
    finds(Rule::Once, &fresh, |p, _| add(p, ("create", "host/web-0"), |_| {}));
    finds(Rule::Once, &fresh, |p, _| add(p, ("bootstrap", "host/lb-0"), |s| s.address = Address::host("lb-7")));
    finds(Rule::Forgotten, &fresh, |p, _| remove(p, "bootstrap", "host/lb-1"));
    finds(Rule::Forgotten, &fresh, |p, _| {
        remove(p, "attach", "volume/web-3.data");
        remove(p, "create", "volume/web-3.data");
    });
    finds(Rule::Names, &fresh, |p, _| {
        step(p, "create", "host/lb-1").address = Address::host("lb-5");
        p.groups.iter_mut().for_each(|g| g.hosts.push("lb-5".into()));
    });
    finds(Rule::Reads, &fresh, |p, _| p.reads.clear());
    finds(Rule::Reads, &fresh, |p, _| {
        p.reads.insert(Address::host("web-0"), 3);
    });
    finds(Rule::Reach, &fresh, |_, i| i.seen.providers.clear());
}

/// Some volume spec of a plan.
fn p_volume(plan: &Plan) -> pool_inventory::object::VolumeSpec {
    let spec = plan.steps.iter().find_map(|step| match &step.action {
        Action::Attach { to: Spec::Volume(volume) } => Some(volume.clone()),
        _ => None,
    });
    spec.unwrap()
}

fn host<'p>(plan: &'p mut Plan, name: &str) -> &'p mut pool_inventory::object::HostSpec {
    match &mut step(plan, "create", &format!("host/{name}")).action {
        Action::Create { spec: Spec::Host(host), .. } => host,
        _ => panic!("{name} is not made"),
    }
}

fn volume<'p>(plan: &'p mut Plan, name: &str) -> &'p mut pool_inventory::object::VolumeSpec {
    match &mut step(plan, "create", &format!("volume/{name}")).action {
        Action::Create { spec: Spec::Volume(volume), .. } => volume,
        _ => panic!("{name} is not made"),
    }
}

#[test]
fn faults_of_places() {
    let world = start();
    let fresh = planned(&world, Scope::default());
    finds(Rule::Place, &fresh, |p, _| host(p, "web-0").image = "other".into());
    finds(Rule::Place, &fresh, |p, _| host(p, "web-0").offering = "none".into());
    finds(Rule::Place, &fresh, |p, _| host(p, "web-0").zone = "mars".into());
    finds(Rule::Place, &fresh, |p, _| host(p, "web-0").size.vcpus = 9);
    finds(Rule::Place, &fresh, |p, _| host(p, "web-0").network = None);
    finds(Rule::Place, &fresh, |p, _| host(p, "web-0").tags = [("a".into(), "b".into())].into());
    finds(Rule::Place, &fresh, |p, _| volume(p, "web-0.data").zone = "az9".into());
    finds(Rule::Place, &fresh, |p, _| volume(p, "web-0.data").backend = "d/ssd".into());
    finds(Rule::Place, &fresh, |p, _| volume(p, "web-0.data").size = Bytes::gib(1));
    finds(Rule::Place, &fresh, |p, _| {
        for group in &mut p.groups {
            group.alternatives.iter_mut().for_each(|other| other.host.zone = "az7".into());
        }
    });
    let others = |p: &mut Plan, change: &dyn Fn(&mut Alternative)| {
        p.groups.iter_mut().filter(|g| &*g.pool == "web").flat_map(|g| &mut g.alternatives).for_each(change);
    };
    finds(Rule::Place, &fresh, |p, _| others(p, &|other| other.volumes.clear()));
    finds(Rule::Place, &fresh, |p, _| {
        others(p, &|other| other.volumes.values_mut().for_each(|volume| volume.backend = "d/none".into()));
    });
    finds(Rule::Place, &fresh, |p, _| others(p, &|other| other.provider = name("d")));
    finds(Rule::Place, &fresh, |p, _| unneed(p, ("create", "volume/web-0.data"), ("create", "host/web-0")));
    finds(Rule::Place, &fresh, |_, i| {
        let wanted = Size { vcpus: 3, memory: Bytes::gib(1), disk: Bytes::gib(1) };
        i.desired.pools.get_mut("web").unwrap().size = Some(wanted);
    });
    finds(Rule::Place, &fresh, |_, i| {
        i.markets.values_mut().flat_map(|m| &mut m.offerings).for_each(|o| o.stock = Some(1));
    });
    finds(Rule::Place, &fresh, |_, i| {
        let on = pool_inventory::desired::PlacePattern("d".into());
        i.desired.pools.get_mut("web").unwrap().place.on = vec![on];
    });
    finds(Rule::Place, &fresh, |_, i| i.capabilities.values_mut().for_each(|c| c.features.clear()));
    finds(Rule::Place, &fresh, |_, i| {
        for offering in ["c/az1/s", "c/az2/s"] {
            i.stock_outs.insert(offering.into(), i.now - 10);
        }
    });
}

#[test]
fn faults_of_limits() {
    let world = start();
    let fresh = planned(&world, Scope::default());
    finds(Rule::Room, &fresh, |p, _| p.demand.clear());
    finds(Rule::Room, &fresh, |p, _| p.demand[0].amount -= 1);
    finds(Rule::Room, &fresh, |p, _| p.demand.push(Demand { account: "tenant/x/hosts".into(), amount: 1, limit: 9 }));
    finds(Rule::Room, &fresh, |_, i| {
        i.desired.tenants.get_mut("default").unwrap().quota.vcpus = Some(5);
    });
    finds(Rule::Room, &fresh, |_, i| i.markets.get_mut("c").unwrap().backends[0].allocated = Bytes::gib(990));
    finds(Rule::Room, &fresh, |_, i| {
        i.markets
            .get_mut("c")
            .unwrap()
            .limits
            .extend([("hosts".into(), pool_inventory::market::Limit { limit: 2, used: 0 })])
    });
    finds(Rule::Place, &fresh, |p, _| match &mut step(p, "create", "host/lb-0").action {
        Action::Create { record, .. } => record.tenant = name("retail"),
        _ => panic!("lb-0 is not made"),
    });
}

#[test]
fn who_needs_the_room_of_another_must_wait_for_it() {
    let mut world = applied();
    world.desired.policy.max_destroyed = pool_inventory::Percent(10_000);
    world.pool("web", 1).hosts = Hosts::Count(1);
    world.pool("job", 4);
    let swap = planned(&world, Scope::default());
    let waits = |step: &&Step| matches!(step.action, Action::Create { .. }) && !step.needs.is_empty();
    let waiting: Vec<String> = swap.0.steps.iter().filter(waits).map(|step| step.address.to_string()).collect();
    assert_eq!(waiting, ["host/job-1", "host/job-2", "host/job-3"], "{}", render(&swap.0));
    for host in waiting {
        finds(Rule::Room, &swap, |p, _| step(p, "create", &host).needs.clear());
    }
    // It is not enough that all wait for something: they must not wait for the same.
    finds(Rule::Room, &swap, |p, _| {
        let first = step(p, "create", "host/job-1").needs.clone();
        step(p, "create", "host/job-2").needs = first;
    });
}

#[test]
fn faults_of_a_replacement() {
    let world = applied();
    let replace = Scope { replace: [Address::host("web-0")].into(), ..Scope::default() };
    let swap = planned(&world, replace);
    finds(Rule::Order, &swap, |p, _| unneed(p, ("create", "host/web-0"), ("delete", "host/web-0")));
    finds(Rule::Order, &swap, |p, _| unneed(p, ("delete", "host/web-0"), ("detach", "volume/web-0.data")));
    finds(Rule::Order, &swap, |p, _| unneed(p, ("attach", "volume/web-0.data"), ("create", "host/web-0")));
    finds(Rule::Once, &swap, |p, _| remove(p, "delete", "host/web-0"));
    finds(Rule::Once, &swap, |p, _| step(p, "create", "host/web-0").generation = 1);
    finds(Rule::Once, &swap, |p, _| step(p, "delete", "host/web-0").action = Action::Forget);
    finds(Rule::Reach, &swap, |p, _| step(p, "delete", "host/web-0").action = Action::Release);
    finds(Rule::Protected, &swap, |_, i| i.desired.pools.get_mut("web").unwrap().protected = true);
    finds(Rule::Place, &swap, |p, _| {
        // Its volume cannot follow it.
        let host = host(p, "web-0");
        host.zone = if &*host.zone == "az1" { "az2".into() } else { "az1".into() };
    });
    finds(Rule::Order, &swap, |p, _| remove(p, "detach", "volume/web-0.data"));
    finds(Rule::Reach, &swap, |p, i| {
        p.scope.excludes.insert(Address::host("web-0"));
        i.scope = p.scope.clone();
    });
    let brake = |plan: &mut Plan, input: &mut PlanInput| {
        input.desired.policy.max_replaced = pool_inventory::Percent(1);
        for host in ["web-1", "web-2"] {
            let row = input.recorded.iter().find(|row| *row.address.name == *host).unwrap();
            let generation = row.generation;
            add(plan, ("delete", "host/web-0"), |step| {
                (step.address, step.generation) = (Address::host(host), generation);
            });
        }
    };
    finds(Rule::Brake, &swap, brake);
}

#[test]
fn faults_of_a_destroy_and_of_a_refresh() {
    let world = applied();
    let destroy = planned(&world, Scope { destroy: true, ..Scope::default() });
    finds(Rule::Order, &destroy, |p, _| unneed(p, ("delete", "network/front"), ("delete", "host/web-1")));
    finds(Rule::Order, &destroy, |p, _| unneed(p, ("delete", "volume/web-1.data"), ("detach", "volume/web-1.data")));
    finds(Rule::Protected, &destroy, |_, i| i.desired.protected = true);
    finds(Rule::Protected, &destroy, |_, i| {
        i.desired.pools.get_mut("web").unwrap().volumes.get_mut("data").unwrap().protected = true;
    });
    let mut world = applied();
    if let Spec::Host(host) = &mut world.find(&Address::host("web-0")).spec {
        host.tags.insert("by".into(), "hand".into());
    }
    let refresh = planned(&world, Scope { refresh_only: true, ..Scope::default() });
    finds(Rule::Reach, &refresh, |p, _| step(p, "record", "host/web-0").action = Action::PowerOn);
    finds(Rule::Once, &refresh, |p, _| match &mut step(p, "record", "host/web-0").action {
        Action::Record { to } => to.address = Address::host("web-1"),
        _ => panic!("it records"),
    });
    finds(Rule::Once, &refresh, |p, _| {
        step(p, "record", "host/web-0").reason = Reason::Moved { from: Address::host("web-77") };
    });
}

fn asked(errands: impl IntoIterator<Item = Errand>) -> Scope {
    Scope { errands: errands.into_iter().collect(), ..Scope::default() }
}

fn copy_of(kind: Kind, volume: &str) -> Address {
    Address::copy_of(kind, &volume.parse().unwrap(), "one")
}

#[test]
fn faults_of_copies() {
    let mut world = applied();
    let (snapshot, backup) = (copy_of(Kind::Snapshot, "volume/web-0.data"), copy_of(Kind::Backup, "volume/web-0.data"));
    let take = asked([&snapshot, &backup].map(|to| Errand::Copy { to: to.clone() }));
    let taken = planned(&world, take);
    let create = ("create", "snapshot/web-0.data.one");
    finds(Rule::Reach, &taken, |p, i| {
        p.scope.errands.pop();
        i.scope = p.scope.clone();
    });
    finds(Rule::Reach, &taken, |p, _| {
        add(p, create, |step| step.address = copy_of(Kind::Snapshot, "volume/web-1.data"));
    });
    finds(Rule::Place, &taken, |_, i| i.capabilities.values_mut().for_each(|c| c.features.clear()));
    finds(Rule::Place, &taken, |p, _| match &mut step(p, create.0, create.1).action {
        Action::Create { record, .. } => record.needs.clear(),
        _ => panic!("it is not made"),
    });
    finds(Rule::Envelope, &taken, |p, _| match &mut step(p, create.0, create.1).action {
        Action::Create { spec: Spec::Snapshot(copy), .. } => copy.of = Address::volume("web-1", "data"),
        _ => panic!("it is not made"),
    });
    finds(Rule::Reads, &taken, |p, _| {
        p.reads.remove(&Address::volume("web-0", "data"));
    });
    finds(Rule::Once, &taken, |_, i| {
        let seen = i.seen.providers.values_mut().flatten();
        seen.filter(|o| o.spec.volume().is_some()).for_each(|o| o.status = Status::Failed("it burns".into()));
    });
    world.apply(&taken.0);

    let restored = planned(&world, asked([Errand::Restore { from: snapshot.clone() }]));
    let (restore, volume) = ("restore", "volume/web-0.data");
    finds(Rule::Order, &restored, |p, _| remove(p, "detach", volume));
    finds(Rule::Order, &restored, |p, _| unneed(p, (restore, volume), ("detach", volume)));
    finds(Rule::Order, &restored, |p, _| unneed(p, ("attach", volume), (restore, volume)));
    finds(Rule::Reads, &restored, |p, _| {
        p.reads.remove(&snapshot);
    });
    finds(Rule::Envelope, &restored, |p, _| {
        step(p, restore, volume).action = Action::Restore { from: copy_of(Kind::Snapshot, "volume/web-1.data") };
    });
    finds(Rule::Reach, &restored, |p, _| {
        step(p, restore, volume).action = Action::Restore { from: backup.clone() };
    });
    finds(Rule::Once, &restored, |_, i| i.recorded.retain(|row| row.address != snapshot));

    let deleted = planned(&world, asked([Errand::Delete { copy: snapshot.clone() }]));
    finds(Rule::Reach, &deleted, |p, _| step(p, "delete", "snapshot/web-0.data.one").address = backup.clone());
    let destroy = planned(&world, Scope { destroy: true, ..Scope::default() });
    finds(Rule::Order, &destroy, |p, _| unneed(p, ("delete", volume), ("delete", "snapshot/web-0.data.one")));
    finds(Rule::Order, &destroy, |p, _| remove(p, "delete", "snapshot/web-0.data.one"));
    finds(Rule::Protected, &destroy, |_, i| {
        i.desired.pools.get_mut("web").unwrap().volumes.get_mut("data").unwrap().protected = true;
    });
}

#[test]
fn faults_of_power() {
    let world = applied();
    let stop = asked([Errand::Power { host: Address::host("web-0"), on: false }]);
    let stopped = planned(&world, stop);
    finds(Rule::Reach, &stopped, |p, _| step(p, "power-off", "host/web-0").address = Address::host("web-1"));
    finds(Rule::Reach, &stopped, |p, _| step(p, "power-off", "host/web-0").action = Action::Restart);
    finds(Rule::Reach, &stopped, |p, _| step(p, "power-off", "host/web-0").action = Action::Delete);
    finds(Rule::Place, &stopped, |_, i| i.capabilities.values_mut().for_each(|c| c.features.clear()));
}

#[test]
fn faults_of_volumes_that_are_made_from_others() {
    let mut world = applied();
    let like = world.desired.pools["web"].volumes["data"].clone();
    for (pool, from) in [("abc", "volume/xyz-0.data"), ("xyz", "volume/web-0.data")] {
        let from = Some(from.parse().unwrap());
        world.pool(pool, 1).volumes.insert(name("data"), PoolVolume { from, ..like.clone() });
    }
    world.desired.tenants.get_mut("default").unwrap().quota = QuotaSpec::default();
    let made = planned(&world, Scope::default());
    let (first, second) = ("volume/xyz-0.data", "volume/abc-0.data");
    finds(Rule::Order, &made, |p, _| unneed(p, ("create", second), ("create", first)));
    finds(Rule::Reads, &made, |p, _| {
        p.reads.remove(&Address::volume("web-0", "data"));
    });
    finds(Rule::Place, &made, |p, _| volume(p, "xyz-0.data").from = Some(Address::volume("web-1", "data")));
    finds(Rule::Once, &made, |p, i| {
        let nowhere = Some(Address::volume("web-9", "data"));
        volume(p, "xyz-0.data").from = nowhere.clone();
        i.desired.pools.get_mut("xyz").unwrap().volumes.get_mut("data").unwrap().from = nowhere;
    });
    finds(Rule::Place, &made, |_, i| i.capabilities.values_mut().for_each(|c| c.features.clear()));
}

#[test]
fn what_is_not_ours_is_not_taken_into_the_records() {
    let mut world = applied();
    world.recorded.retain(|row| row.address != Address::host("lb-1"));
    let found = planned(&world, Scope::default());
    finds(Rule::Reach, &found, |_, i| {
        for object in i.seen.providers.values_mut().flatten() {
            if let Some(owner) = &mut object.owner {
                owner.lineage = Lineage::from_bits([9; 16]);
            }
        }
    });
}

#[test]
fn faults_of_an_undo() {
    let undone = || Scope { on_failure: OnFailure::Undo, ..Scope::default() };
    let mut world = start();
    let made = planned(&world, undone());
    let steps = |p: &Plan| p.undo.as_ref().unwrap().steps.len();
    let creates = made.0.steps.iter().filter(|step| matches!(step.action, Action::Create { .. })).count();
    let detaches = made.0.steps.iter().filter(|step| matches!(step.action, Action::Attach { .. })).count();
    assert_eq!(steps(&made.0), creates + detaches, "all that is made goes");
    finds(Rule::Undo, &made, |p, _| p.undo = None);
    finds(Rule::Undo, &made, |p, _| p.undo.as_mut().unwrap().steps.iter_mut().for_each(|step| step.needs.clear()));
    finds(Rule::Undo, &made, |p, _| p.undo.as_mut().unwrap().steps.retain(|s| s.address.kind != Kind::Volume));
    finds(Rule::Undo, &made, |_, i| i.desired.pools.get_mut("web").unwrap().protected = true);
    finds(Rule::Undo, &made, |p, _| {
        let last = p.undo.as_mut().unwrap().steps.last_mut().unwrap();
        last.action = Action::Forget;
    });
    // With a network and some hosts there, only what is new goes.
    world = applied();
    world.desired.tenants.get_mut("default").unwrap().quota = QuotaSpec::default();
    world.desired.pools.get_mut("lb").unwrap().hosts = Hosts::Count(3);
    world.desired.pools.get_mut("web").unwrap().labels.insert("team".into(), "b".into());
    let grown = planned(&world, undone());
    let undo = grown.0.undo.clone().unwrap();
    let goes: Vec<String> = undo.steps.iter().map(|step| step.address.to_string()).collect();
    assert_eq!(goes, ["host/lb-2"]);
    assert!(undo.stays.iter().any(|s| s.address == Address::host("web-0") && s.stay == Stay::Changed), "{undo:?}");
    finds(Rule::Undo, &grown, |p, _| p.undo.as_mut().unwrap().steps[0].address = Address::host("lb-1"));
    let replaced = Scope { replace: [Address::host("web-0")].into(), ..undone() };
    let undo = planned(&world, replaced).0.undo.unwrap();
    assert!(undo.stays.iter().any(|s| s.address == Address::host("web-0")), "{undo:?}");
    assert!(undo.steps.iter().all(|step| step.address != Address::host("web-0")), "{undo:?}");
}

#[test]
fn an_object_of_others_is_left_alone() {
    let mut world = applied();
    for object in world.clouds.values_mut().flatten() {
        if &*object.name == "lb-1" {
            object.owner = None;
        }
    }
    world.recorded.retain(|row| row.address != Address::host("lb-1"));
    let (plan, _) = planned(&world, Scope::default());
    let made: Vec<Text> = plan.steps.iter().map(|step| step.action.verb().into()).collect();
    assert_eq!(made, ["create".into(), "bootstrap".into()] as [Text; 2], "{}", render(&plan));
    assert!(plan.declined.iter().all(|declined| !matches!(declined.why, Why::ProviderUnseen)));
}

#[test]
fn faults_of_taking_over() {
    let mut world = World::new();
    world.cloud("c", &["az1"], &[("s", 1, 2, 10)], &[]);
    world.capabilities.values_mut().for_each(|can| can.features.extend([Feature::Adopting]));
    world.pool("old", 3);
    let made = planned(&world, Scope::default());
    world.apply(&made.0);
    world.recorded.clear();
    world.clouds.values_mut().flatten().for_each(|object| object.owner = None);
    let ids: Vec<Text> = world.clouds.values().flatten().map(|object| object.id.clone()).collect();
    world.desired.pools.clear();
    let host = |id: &Text| NamedHost {
        address: "".into(),
        id: Some(id.clone()),
        volumes: Default::default(),
        host_key: Some("ssh-ed25519 A".into()),
        ssh: None,
    };
    let hosts = [("db-1", &ids[0]), ("db-2", &ids[1])].map(|(called, id)| (name(called), host(id)));
    world.pool("db", 0).hosts = Hosts::Named(hosts.into());
    let fresh = planned(&world, Scope::default());
    let takes = |plan: &mut Plan, address: &str, id: Option<&Text>| {
        let Action::Adopt { spec: Spec::Host(host), .. } = &mut step(plan, "adopt", address).action else { panic!() };
        host.existing = id.cloned();
    };
    finds(Rule::Place, &fresh, |p, _| takes(p, "host/db-1", None));
    finds(Rule::Place, &fresh, |p, _| takes(p, "host/db-1", Some(&ids[2])));
    finds(Rule::Place, &fresh, |p, _| takes(p, "host/db-1", Some(&ids[1])));
    finds(Rule::Place, &fresh, |_, i| {
        let Hosts::Named(hosts) = &mut i.desired.pools.get_mut("db").unwrap().hosts else { panic!() };
        hosts.insert(name("db-1"), host(&ids[1]));
    });
    finds(Rule::Forgotten, &fresh, |p, _| remove(p, "adopt", "host/db-2"));
    // What exists is not made a second time.
    finds(Rule::Place, &made, |_, i| {
        let hosts = ["old-0", "old-1", "old-2"].map(|called| (name(called), host(&ids[0])));
        i.desired.pools.get_mut("old").unwrap().hosts = Hosts::Named(hosts.into());
    });
}
