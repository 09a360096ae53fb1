//! `pool validate`

use pool_engine::ops;
use pool_inventory::{Loaded, desired::Desired};
use serde_json::json;

use crate::{
    context::{Context, Outcome},
    error::ExitCode,
    render::table::count,
};

/// Reads and checks the inventory, and nothing else.
pub fn run(cx: &Context) -> Outcome {
    let (root, all) = ops::validate(&cx.open_request()?)?;
    let mut text = String::new();
    let mut environments = Vec::new();
    for Loaded { desired, warnings, .. } in &all {
        cx.ui.warnings(warnings);
        let (pools, hosts) = (desired.pools.len(), hosts(desired));
        let size = format!("{}, {}", count(pools, "pool"), count(hosts, "host"));
        text += &format!("{}/{} is valid: {size}\n", desired.inventory, desired.environment);
        environments.push(json!({
            "inventory": desired.inventory, "environment": desired.environment, "pools": pools, "hosts": hosts,
            "warnings": warnings.to_json(),
        }));
    }
    let result = json!({ "root": root, "environments": environments });
    cx.ui.answer("validate", ExitCode::Done, &result, || text);
    Ok(ExitCode::Done)
}

/// Hosts that are declared.
pub fn hosts(desired: &Desired) -> usize {
    desired.pools.values().map(|pool| pool.hosts.most()).sum()
}
