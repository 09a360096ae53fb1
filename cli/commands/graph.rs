//! `pool graph`

use pool_engine::ops::{Environment, PlanRequest};
use serde_json::json;

use crate::{
    args::{Graph, GraphFormat},
    context::{Context, Outcome},
    error::ExitCode,
    render::graph,
};

/// The steps of a plan and what each waits for.
pub fn run(cx: &Context, args: &Graph) -> Outcome {
    let plan = match &args.plan {
        Some(plan) => super::show::saved(cx, plan)?,
        None => cx.with_environment(async |env: Environment| Ok(env.plan(PlanRequest::default()).await?))?,
    }
    .plan;
    let text = match args.format {
        GraphFormat::Dot => graph::dot(&plan),
        GraphFormat::Mermaid => graph::mermaid(&plan),
        GraphFormat::Json => {
            // JSON by nature; with --json it is the answer of the command.
            let graph = graph::json(&plan);
            cx.ui.answer("graph", ExitCode::Done, &graph, || format!("{graph:#}\n"));
            return Ok(ExitCode::Done);
        }
    };
    cx.ui.answer("graph", ExitCode::Done, &json!({ "text": text }), || text.clone());
    Ok(ExitCode::Done)
}
