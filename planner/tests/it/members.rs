//! The checker finds each planted fault of clusters.

use pool_inventory::Address;
use pool_planner::{
    Action, Rule, Scope,
    plan::{Reset, Task},
};

use crate::{
    faults::{add, finds, id, planned, remove, step, unneed},
    world::{World, name},
};

fn start() -> World {
    let mut world = World::new();
    world.cloud("c", &["az1"], &[("s", 1, 2, 10)], &[]);
    world.desired.policy.max_destroyed = pool_inventory::Percent(10_000);
    world.desired.policy.max_replaced = pool_inventory::Percent(10_000);
    for (pool, hosts) in [("master", 3), ("web", 3)] {
        world.pool(pool, hosts).bootstrap.packages.insert("runc".into());
    }
    world.cluster("k", "master", &["web"], Some("1.33.0"));
    world
}

fn applied() -> World {
    let mut world = start();
    let (plan, _) = planned(&world, Scope::default());
    world.apply(&plan);
    world
}

#[test]
fn faults_of_a_cluster_that_begins() {
    let fresh = planned(&start(), Scope::default());
    finds(Rule::Member, &fresh, |p, _| p.clusters.clear());
    finds(Rule::Member, &fresh, |p, _| p.reads.retain(|host, _| *host != Address::host("web-0")));
    finds(Rule::Member, &fresh, |p, _| unneed(p, ("join", "member/k/web-0"), ("bootstrap", "host/web-0")));
    finds(Rule::Member, &fresh, |p, _| unneed(p, ("join", "member/k/web-0"), ("init", "member/k/master-0")));
    finds(Rule::Member, &fresh, |p, _| unneed(p, ("join", "member/k/master-2"), ("join", "member/k/master-1")));
    finds(Rule::Member, &fresh, |p, _| remove(p, "init", "member/k/master-0"));
    finds(Rule::Member, &fresh, |p, _| {
        step(p, "join", "member/k/master-1").action = Action::Member { task: Task::Init };
    });
    finds(Rule::Member, &fresh, |p, _| {
        add(p, ("join", "member/k/web-0"), |s| s.action = Action::Member { task: Task::Uncordon });
    });
}

#[test]
fn faults_of_members_that_go() {
    let mut world = applied();
    world.pool("web", 1).hosts = pool_inventory::desired::Hosts::Count(2);
    world.pool("master", 1).hosts = pool_inventory::desired::Hosts::Count(2);
    let going = planned(&world, Scope::default());
    finds(Rule::Member, &going, |p, _| unneed(p, ("delete", "host/web-2"), ("leave", "member/k/web-2")));
    finds(Rule::Member, &going, |p, _| remove(p, "leave", "member/k/web-2"));
    finds(Rule::Member, &going, |p, _| unneed(p, ("leave", "member/k/web-2"), ("drain", "member/k/web-2")));
    finds(Rule::Member, &going, |p, _| {
        let leave = Task::Leave { reset: Reset::Must, forget: true };
        add(p, ("leave", "member/k/master-2"), |s| {
            s.address = Address::member(&name("k"), "master-1");
            s.action = Action::Member { task: leave };
            s.needs.clear();
        });
        let (other, own) = (id(p, "leave", "member/k/master-2"), p.steps.len() - 1);
        p.steps[own].needs.push(other);
    });
}

#[test]
fn faults_of_an_upgrade() {
    let mut world = applied();
    world.cluster("k", "master", &["web"], Some("1.34.0"));
    let up = planned(&world, Scope::default());
    finds(Rule::Member, &up, |p, _| unneed(p, ("upgrade", "member/k/master-2"), ("upgrade", "member/k/master-1")));
    finds(Rule::Member, &up, |p, _| unneed(p, ("upgrade", "member/k/web-2"), ("upgrade", "member/k/web-1")));
    finds(Rule::Member, &up, |p, _| {
        let control = id(p, "upgrade", "member/k/master-2");
        p.steps.iter_mut().filter(|s| s.address.name.contains("web")).for_each(|s| s.needs.retain(|n| *n != control));
    });
    finds(Rule::Member, &up, |_, input| {
        input.recorded.iter_mut().filter_map(|row| row.member.as_mut()).for_each(|m| m.version = "1.32.0".into());
    });
    finds(Rule::Member, &up, |_, input| {
        input.recorded.iter_mut().filter_map(|row| row.member.as_mut()).for_each(|m| m.version = "1.34.1".into());
    });
}

#[test]
fn control_planes_are_bootstrapped_in_turn() {
    let mut world = applied();
    for pool in ["master", "web"] {
        world.pool(pool, 3).bootstrap.packages.insert("jq".into());
    }
    let changed = planned(&world, Scope::default());
    finds(Rule::Member, &changed, |p, _| unneed(p, ("bootstrap", "host/master-1"), ("bootstrap", "host/master-0")));
}

#[test]
fn who_is_a_member_elsewhere_leaves_first() {
    let mut world = applied();
    world.desired.clusters.clear();
    world.cluster("l", "web", &[], Some("1.33.0"));
    let moved = planned(&world, Scope::default());
    finds(Rule::Member, &moved, |p, _| unneed(p, ("init", "member/l/web-0"), ("leave", "member/k/web-0")));
}
