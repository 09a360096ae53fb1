//! `pool graph`

use pool_engine::ops::{Environment, PlanRequest};
use pool_planner::graph;
use serde_json::json;

use crate::{
    args::{Graph, GraphFormat},
    context::{Context, Outcome},
    error::ExitCode,
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
            // JSON by nature: printed as it is, whatever the flags say.
            cx.ui.raw(&format!("{}\n", graph::json(&plan)));
            return Ok(ExitCode::Done);
        }
    };
    cx.ui.answer("graph", ExitCode::Done, &json!({ "text": text }), || text.clone());
    Ok(ExitCode::Done)
}
