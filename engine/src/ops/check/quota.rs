//! Limits of accounts against what the declaration asks for.

use std::collections::BTreeMap;

use pool_inventory::{
    Bytes, Money, Name, Text,
    market::{Limit, Market},
    object::totals,
};

use super::{Lines, look::Look};

/// Limits of a provider's account.
pub(super) fn provider(look: &Look, name: &Name, market: &Market, lines: &mut Lines) {
    if market.limits.is_empty() {
        return lines.pass("quota", "it tells no limits");
    }
    let mut untouched = Vec::new();
    for (what, limit) in &market.limits {
        match look.need(&format!("provider/{name}/{what}")) {
            None => {
                lines.unknown(format!("quota {what}"), left(what, *limit), "correct what keeps plans from being made")
            }
            Some(0) => untouched.push(&**what),
            Some(need) => judge(lines, format!("quota {what}"), what, *limit, need),
        }
    }
    if !untouched.is_empty() {
        lines.pass("quota", format!("the plan asks for no more {}", untouched.join(", ")));
    }
}

/// Limits that the inventory sets for tenants.
pub(super) fn tenants(look: &Look, lines: &mut Lines) {
    let used: BTreeMap<Text, u64> = totals(&look.input.recorded).into_iter().collect();
    for (tenant, spec) in &look.input.desired.tenants {
        for (what, limit) in spec.quota.limits() {
            let account: Text = format!("tenant/{tenant}/{what}").into();
            let limit = Limit { limit, used: used.get(&account).copied().unwrap_or(0) };
            if let Some(need) = look.need(&account).filter(|need| *need > 0) {
                judge(lines, format!("tenant {tenant} {what}"), &what, limit, need);
            }
        }
    }
}

fn judge(lines: &mut Lines, subject: String, what: &str, limit: Limit, need: u64) {
    let left_over = limit.limit.saturating_sub(limit.used);
    let detail = format!("the plan needs {}, {}", amount(what, need), left(what, limit));
    match need.checked_sub(left_over).filter(|short| *short > 0) {
        None => lines.pass(subject, detail),
        Some(short) => {
            let todo = "ask for a larger quota, delete what is not needed, or declare less";
            lines.fail(subject, format!("{detail}: {} short", amount(what, short)), todo);
        }
    }
}

fn left(what: &str, limit: Limit) -> String {
    let left = limit.limit.saturating_sub(limit.used);
    format!("{} of {} left", amount(what, left), amount(what, limit.limit))
}

/// An amount of an account, as shown.
pub(super) fn amount(what: &str, amount: u64) -> String {
    match what.split('.').next() {
        Some("memory" | "storage") => Bytes(amount).to_string(),
        Some("cost") => format!("{}/month", Money(i64::try_from(amount).unwrap_or(i64::MAX)).per_month()),
        _ => amount.to_string(),
    }
}
