//! `pool cost`

use std::collections::BTreeMap;

use pool_engine::ops::Environment;
use pool_inventory::{Kind, object::Recorded};
use serde_json::json;

use crate::{
    context::{Context, Outcome},
    error::ExitCode,
    render::status::{Costs, costs},
};

/// What the recorded hosts and volumes cost.
pub fn run(cx: &Context) -> Outcome {
    let records = cx.with_environment(async |env: Environment| Ok(env.records().await?))?;
    let sums = sum(&records);
    let rows = |what: &str| -> BTreeMap<_, _> {
        let rows = sums.by.get(what).into_iter().flatten();
        let entry = |(hosts, volumes, price): &(usize, usize, pool_inventory::Money)| json!({ "hosts": hosts, "volumes": volumes, "per_hour": price, "per_month": price.per_month() });
        rows.map(|(name, row)| (name.clone(), entry(row))).collect()
    };
    let result = json!({
        "unit": "millionths of the currency unit", "pools": rows("pool"), "tenants": rows("tenant"), "providers": rows("provider"),
        "total": { "per_hour": sums.total, "per_month": sums.total.per_month() },
    });
    cx.ui.answer("cost", ExitCode::Done, &result, || costs(&sums));
    Ok(ExitCode::Done)
}

fn sum(records: &[Recorded]) -> Costs {
    let mut by: BTreeMap<&'static str, BTreeMap<String, (usize, usize, _)>> = BTreeMap::new();
    for record in records {
        let pool = record.pool.as_ref().map_or_else(|| "(none)".to_owned(), ToString::to_string);
        for (what, name) in
            [("pool", pool), ("tenant", record.tenant.to_string()), ("provider", record.provider.to_string())]
        {
            let row = by.entry(what).or_default().entry(name).or_default();
            row.0 += usize::from(record.address.kind == Kind::Host);
            row.1 += usize::from(record.address.kind == Kind::Volume);
            row.2 = row.2 + record.price;
        }
    }
    Costs { by, total: records.iter().map(|record| record.price).sum() }
}
