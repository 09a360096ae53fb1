//! The step graph of a plan, for people and other tools.

use std::fmt::Write;

use serde::Serialize;

use crate::plan::{Plan, Step, StepId};

/// The graph as one document of nodes and edges.
#[derive(Debug, Serialize)]
struct Document<'a> {
    nodes: Vec<Node<'a>>,
    edges: Vec<Edge>,
    critical_path: Vec<StepId>,
}

#[derive(Debug, Serialize)]
struct Node<'a> {
    id: StepId,
    verb: &'a str,
    address: String,
    generation: u32,
    provider: &'a str,
}

/// `to` waits for `from`.
#[derive(Debug, Serialize)]
struct Edge {
    from: StepId,
    to: StepId,
}

impl Plan {
    /// The longest chain of steps that wait for each other: with enough hands, a run takes as long as this.
    /// Of chains of the same length, the one with the smallest ids.
    pub fn critical_path(&self) -> Vec<StepId> {
        // Steps need only earlier ones, so one pass in order knows all lengths.
        let mut best: Vec<(u32, Option<StepId>)> = Vec::with_capacity(self.steps.len());
        for step in &self.steps {
            let length = |need: &StepId| best.get(need.0 as usize).map_or(0, |(length, _)| *length);
            let before = step.needs.iter().max_by_key(|need| (length(need), std::cmp::Reverse(need.0)));
            best.push((before.map_or(1, |need| length(need) + 1), before.copied()));
        }
        let longest = (0..best.len()).max_by_key(|at| (best[*at].0, std::cmp::Reverse(*at)));
        let mut path = Vec::new();
        let mut next = longest.and_then(|at| u32::try_from(at).ok()).map(StepId);
        while let Some(id) = next {
            path.push(id);
            next = best[id.0 as usize].1;
        }
        path.reverse();
        path
    }
}

/// Graphviz DOT.
pub fn dot(plan: &Plan) -> String {
    let mut out = String::from("digraph plan {\n  rankdir=LR;\n  node [shape=box];\n");
    let critical = plan.critical_path();
    for step in &plan.steps {
        let bold = if critical.binary_search(&step.id).is_ok() { ", style=bold" } else { "" };
        let _ = writeln!(out, "  s{} [label=\"{}\"{bold}];", step.id.0, label(step));
    }
    for (from, to) in edges(plan) {
        let _ = writeln!(out, "  s{} -> s{};", from.0, to.0);
    }
    out.push_str("}\n");
    out
}

/// A Mermaid flowchart.
pub fn mermaid(plan: &Plan) -> String {
    let mut out = String::from("flowchart LR\n");
    for step in &plan.steps {
        let _ = writeln!(out, "  s{}[\"{}\"]", step.id.0, label(step));
    }
    for (from, to) in edges(plan) {
        let _ = writeln!(out, "  s{} --> s{}", from.0, to.0);
    }
    out
}

/// JSON: `nodes`, `edges` (`to` waits for `from`), and the `critical_path`.
pub fn json(plan: &Plan) -> String {
    let mut nodes = Vec::with_capacity(plan.steps.len());
    for step in &plan.steps {
        let (verb, provider) = (step.action.verb(), step.provider.as_str());
        nodes.push(Node {
            id: step.id,
            verb,
            address: step.address.to_string(),
            generation: step.generation,
            provider,
        });
    }
    let edges = edges(plan).map(|(from, to)| Edge { from, to }).collect();
    let document = Document { nodes, edges, critical_path: plan.critical_path() };
    serde_json::to_string(&document).expect("a graph has only numbers and text")
}

// Addresses and verbs hold no character that DOT or Mermaid would read as their own.
fn label(step: &Step) -> String {
    format!("{} {}", step.action.verb(), step.address)
}

fn edges(plan: &Plan) -> impl Iterator<Item = (StepId, StepId)> {
    plan.steps.iter().flat_map(|step| step.needs.iter().map(|need| (*need, step.id)))
}
