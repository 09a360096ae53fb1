//! The graph of a plan's steps: an arrow leads from a step to one that waits for it.

use std::fmt::Write as _;

use pool_planner::{Plan, Step};
use serde_json::{Value, json};

/// For Graphviz.
pub fn dot(plan: &Plan) -> String {
    let mut text = String::from("digraph plan {\n  rankdir=LR;\n  node [shape=box, fontname=\"sans-serif\"];\n");
    for step in &plan.steps {
        let _ = writeln!(text, "  s{} [label=\"{}\\n{}\"];", step.id.0, step.action.verb(), step.address);
    }
    for (from, to) in arrows(plan) {
        let _ = writeln!(text, "  s{from} -> s{to};");
    }
    text.push_str("}\n");
    text
}

/// For Markdown.
pub fn mermaid(plan: &Plan) -> String {
    let mut text = String::from("flowchart LR\n");
    for step in &plan.steps {
        let _ = writeln!(text, "  s{}[\"{} {}\"]", step.id.0, step.action.verb(), step.address);
    }
    for (from, to) in arrows(plan) {
        let _ = writeln!(text, "  s{from} --> s{to}");
    }
    text
}

/// For programs.
pub fn json(plan: &Plan) -> Value {
    let node = |step: &Step| json!({ "id": step.id, "address": step.address, "verb": step.action.verb(), "provider": step.provider, "needs": step.needs });
    json!({ "steps": plan.steps.iter().map(node).collect::<Vec<_>>() })
}

fn arrows(plan: &Plan) -> impl Iterator<Item = (u32, u32)> {
    plan.steps.iter().flat_map(|step| step.needs.iter().map(|need| (need.0, step.id.0)))
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use pool_planner::StepId;

    use super::*;
    use crate::render::samples::{self, Steps};

    fn plan() -> Plan {
        let mut steps = Steps::default();
        steps.new_host("web-3");
        steps.0[1].needs = vec![StepId(0)];
        samples::saved(steps.0, Vec::new()).plan
    }

    #[test]
    fn each_step_is_a_node_and_each_need_an_arrow() {
        assert_snapshot!(dot(&plan()), @r#"
        digraph plan {
          rankdir=LR;
          node [shape=box, fontname="sans-serif"];
          s0 [label="create\nhost/web-3"];
          s1 [label="bootstrap\nhost/web-3"];
          s0 -> s1;
        }
        "#);
        assert_snapshot!(mermaid(&plan()), @r#"
        flowchart LR
          s0["create host/web-3"]
          s1["bootstrap host/web-3"]
          s0 --> s1
        "#);
        assert_eq!(json(&plan())["steps"][1]["needs"], json!([0]));
    }
}
