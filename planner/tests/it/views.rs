//! The graph and the explanations of a plan.

use pool_inventory::{Address, desired::Hosts};
use pool_planner::{Scope, explain, graph, plan};

use crate::world::World;

fn world() -> World {
    let mut world = World::new();
    world.cloud("c", &["az1"], &[("s", 1, 2, 10), ("m", 2, 4, 20)], &[("disk", 100)]);
    world.racks("rack");
    world.pool("web", 2).bootstrap.packages.insert("chrony".into());
    world
}

#[test]
fn graphs_show_steps_edges_and_the_longest_chain() {
    let world = world();
    let plan = plan(&world.input(Scope::default())).unwrap();
    insta::assert_snapshot!(graph::dot(&plan), @r#"
    digraph plan {
      rankdir=LR;
      node [shape=box];
      s0 [label="create host/web-0", style=bold];
      s1 [label="bootstrap host/web-0", style=bold];
      s2 [label="create host/web-1"];
      s3 [label="bootstrap host/web-1"];
      s0 -> s1;
      s2 -> s3;
    }
    "#);
    insta::assert_snapshot!(graph::mermaid(&plan), @r#"
    flowchart LR
      s0["create host/web-0"]
      s1["bootstrap host/web-0"]
      s2["create host/web-1"]
      s3["bootstrap host/web-1"]
      s0 --> s1
      s2 --> s3
    "#);
    let json: serde_json::Value = serde_json::from_str(&graph::json(&plan)).unwrap();
    assert_eq!(json["critical_path"], serde_json::json!([0, 1]));
    assert_eq!(json["edges"][1], serde_json::json!({ "from": 2, "to": 3 }));
}

#[test]
fn an_empty_plan_has_an_empty_graph() {
    let mut world = world();
    world.pool("web", 1).hosts = Hosts::Count(0);
    let plan = plan(&world.input(Scope::default())).unwrap();
    assert!(plan.is_empty() && plan.critical_path().is_empty());
    assert_eq!(graph::mermaid(&plan), "flowchart LR\n");
}

#[test]
fn a_host_that_stands_is_explained_by_the_places_that_it_could_have() {
    let mut world = world();
    let made = plan(&world.input(Scope::default())).unwrap();
    let told = explain(&world.input(Scope::default()), &made, &Address::host("web-1")).unwrap();
    assert!(told.recorded.is_empty());
    assert_eq!((told.steps.len(), told.groups.len()), (2, 1));
    world.apply(&made);
    let again = plan(&world.input(Scope::default())).unwrap();
    let told = explain(&world.input(Scope::default()), &again, &Address::host("web-1")).unwrap();
    assert_eq!((told.recorded.len(), told.steps.len(), told.groups.len()), (1, 0, 0));
    let places: Vec<&str> = told.candidates.iter().map(|c| &*c.offering).collect();
    assert_eq!(places, ["s", "m"]);
    assert_eq!(&*told.refusals[0].candidate, "rack");
    assert_eq!(&*told.refusals[0].why, "only takes hosts that exist");
}
