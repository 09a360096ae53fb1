//! Amounts and accounts as people read them.

use pool_inventory::{Bytes, Money, Name, Text};

use crate::plan::Why;

/// An amount of an account in its own unit.
pub(crate) fn amount(account: &str, amount: u64) -> String {
    let what = account.rsplit('/').next().unwrap_or(account);
    match what {
        "hosts" | "vcpus" | "volumes" | "snapshots" | "backups" | "addresses" => amount.to_string(),
        "cost" => format!("{}/month", Money(i64::try_from(amount).unwrap_or(i64::MAX)).per_month()),
        _ => Bytes(amount).to_string(),
    }
}

/// `quota hosts: 11 of 10` for an account of a provider, `full: …` for a backend.
pub(crate) fn over(account: &str, limit: u64, wanted: u64) -> Text {
    let (wanted, limit) = (amount(account, wanted), amount(account, limit));
    match account.split_once('/') {
        Some(("backend", _)) => format!("full: {wanted} of {limit}").into(),
        _ => {
            let what = account.rsplit('/').next().unwrap_or(account);
            format!("quota {what}: {wanted} of {limit}").into()
        }
    }
}

/// What there is not enough of, with whose it is: `quota hosts of tenant default: 7 of 6`, `d/disk is full: …`.
pub(crate) fn limit(account: &str, limit: u64, wanted: u64) -> Text {
    let (wanted, limit) = (amount(account, wanted), amount(account, limit));
    let parts: Vec<&str> = account.splitn(3, '/').collect();
    match parts.as_slice() {
        ["tenant", tenant, what] => format!("quota {what} of tenant {tenant}: {wanted} of {limit}").into(),
        ["provider", provider, what] => format!("quota {what} of {provider}: {wanted} of {limit}").into(),
        ["backend", ..] => format!("{} is full: {wanted} of {limit}", &account["backend/".len()..]).into(),
        ["machine", provider, rest] => {
            let (machine, what) = rest.rsplit_once('/').unwrap_or((rest, ""));
            format!("{what} of machine {provider}/{machine}: {wanted} of {limit}").into()
        }
        _ => format!("{account}: {wanted} of {limit}").into(),
    }
}

/// The refusal of a tenant's account, `tenant/NAME/LIMIT`.
pub(crate) fn quota(account: &str, limit: u64, wanted: u64) -> Option<Why> {
    let (tenant, what) = account.strip_prefix("tenant/")?.split_once('/')?;
    Some(Why::Quota {
        tenant: Name::new(tenant).ok()?,
        limit: what.into(),
        allowed: amount(account, limit).into(),
        wanted: amount(account, wanted).into(),
    })
}
