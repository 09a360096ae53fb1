//! The pool at a glance, prices, pre-flight checks.

use std::{collections::BTreeMap, fmt::Write as _};

use pool_engine::ops::{CheckAnswer, CheckLine, HostStatus, LeaseStatus, StatusReport};
use pool_inventory::{Money, market::HostSeen, object::Recorded};

use super::{
    style::{ADD, BOLD, DIM, REMOVE, WARN, paint},
    table::{Table, clip, count},
    when::{Clock, span},
    words,
};

/// Hosts and volumes listed before the rest is summed up; `-v` shows all.
const MOST_ROWS: usize = 50;

/// Columns of a check's detail; JSON has all of it.
const MOST_DETAIL: usize = 400;

/// Pools, hosts, volumes, the lease, the last run.
pub fn status(report: &StatusReport, clock: &Clock, verbose: bool, observed: bool) -> String {
    let name = paint(BOLD, &format!("{}/{}", report.inventory, report.environment));
    let state =
        if report.lineage.is_some() { format!("state {}", report.serial) } else { "nothing applied yet".to_owned() };
    let how = if observed { "observed just now" } else { "from the records" };
    let mut text = format!("{name} · {} · {state} · {how}\n", count(report.pools.len(), "pool"));
    for (provider, why) in &report.unseen {
        let _ = writeln!(text, "{} provider {provider} was not reached: {why}", paint(WARN, "warning:"));
    }
    section(&mut text, &pools(report), 0);
    let limit = if verbose { usize::MAX } else { MOST_ROWS };
    section(&mut text, &hosts(report, limit), report.hosts.len().saturating_sub(limit));
    section(&mut text, &volumes(report, limit), report.volumes.len().saturating_sub(limit));
    text.push_str(&runs_below(report, clock));
    text
}

fn section(text: &mut String, table: &Table, hidden: usize) {
    if table.is_empty() {
        return;
    }
    let _ = write!(text, "\n{}", table.render());
    if hidden > 0 {
        let _ = writeln!(text, "{}", paint(DIM, &format!("… and {hidden} more (-v shows all)")));
    }
}

fn pools(report: &StatusReport) -> Table {
    let classes = report.pools.values().any(|pool| pool.class.is_some());
    let mut table = match classes {
        true => Table::new(&["pool", "class", ">hosts", ">ready", "cost"]),
        false => Table::new(&["pool", ">hosts", ">ready", "cost"]),
    };
    for (name, pool) in &report.pools {
        let hosts = match pool.least {
            _ if pool.recorded == pool.desired => pool.desired.to_string(),
            Some(least) => format!("{}/{least}-{}", pool.recorded, pool.desired),
            None => format!("{}/{}", pool.recorded, pool.desired),
        };
        let style = if pool.ready >= pool.least.unwrap_or(pool.desired) { ADD } else { WARN };
        let class = classes.then(|| pool.class.as_ref().map(ToString::to_string).unwrap_or_default());
        let cells = [Some(name.to_string()), class, Some(hosts), Some(paint(style, &pool.ready.to_string()))];
        table.row(cells.into_iter().flatten().chain([words::monthly(pool.cost).unwrap_or_default()]));
    }
    table
}

fn hosts(report: &StatusReport, limit: usize) -> Table {
    let mut table = Table::new(&["host", "where", "address", "status", "bootstrap"]);
    for host in report.hosts.iter().take(limit) {
        let record = &host.record;
        let zone = record.spec.host().map_or("", |spec| &spec.zone);
        let address = record.endpoint.as_ref().map(|at| format!("{}:{}", at.host, at.port)).unwrap_or_default();
        let status = if host.status.is_none() { recorded_status(record) } else { words::status(host.status.as_ref()) };
        table.row([record.address.to_string(), words::place(&record.provider, zone), address, status, bootstrap(host)]);
    }
    table
}

/// What the records alone tell.
fn recorded_status(record: &Recorded) -> String {
    if record.id.is_some() { "recorded".to_owned() } else { paint(WARN, "begun") }
}

fn bootstrap(host: &HostStatus) -> String {
    match (&host.seen, host.bootstrapped) {
        (Some(HostSeen::Unreachable(why)), _) => paint(REMOVE, &format!("not reached: {}", clip(why, 60))),
        (Some(HostSeen::Drifted(items)), _) => paint(WARN, &format!("drifted: {}", count(items.len(), "item"))),
        (_, true) => "done".to_owned(),
        (_, false) => paint(WARN, "to do"),
    }
}

fn volumes(report: &StatusReport, limit: usize) -> Table {
    let mut table = Table::new(&["volume", "backend", ">size", "tier", "attached", "status"]);
    for volume in report.volumes.iter().take(limit) {
        let Some(spec) = volume.record.spec.volume() else { continue };
        let attached = spec.attached.as_ref().map_or_else(|| "detached".to_owned(), words::attachment);
        let status = if volume.status.is_none() {
            recorded_status(&volume.record)
        } else {
            words::status(volume.status.as_ref())
        };
        let name = volume.record.address.to_string();
        table.row([name, spec.backend.to_string(), spec.size.to_string(), spec.tier.to_string(), attached, status]);
    }
    table
}

/// Volumes, and snapshots and backups of them.
pub fn storage(report: &StatusReport) -> String {
    let mut text = String::new();
    for (provider, why) in &report.unseen {
        let _ = writeln!(text, "{} provider {provider} was not reached: {why}", paint(WARN, "warning:"));
    }
    let mut copies = Table::new(&["copy", "backend", ">size", "status"]);
    for copy in &report.copies {
        let Some(spec) = copy.record.spec.copy() else { continue };
        let status =
            if copy.status.is_none() { recorded_status(&copy.record) } else { words::status(copy.status.as_ref()) };
        copies.row([copy.record.address.to_string(), spec.backend.to_string(), spec.size.to_string(), status]);
    }
    let volumes = volumes(report, usize::MAX);
    if volumes.is_empty() && copies.is_empty() {
        text.push_str("There are no volumes.\n");
    }
    let tables = [volumes, copies].into_iter().filter(|table| !table.is_empty());
    text + &tables.map(|table| table.render()).collect::<Vec<_>>().join("\n")
}

fn runs_below(report: &StatusReport, clock: &Clock) -> String {
    let mut text = String::new();
    if let Some(lease) = &report.lease {
        let _ = writeln!(text, "lease    {} by {}", lease.id, holder(lease, clock));
    }
    if let Some(run) = &report.last_run {
        let outcome = run.outcome.as_deref().unwrap_or("not ended");
        let _ = writeln!(text, "last run {} {}: {outcome}", run.id, clock.ago(run.started));
    }
    if !report.unfinished.is_empty() {
        let _ = writeln!(
            text,
            "{} not ended: {}; the next apply settles them",
            paint(WARN, "runs"),
            report.unfinished.join(", ")
        );
    }
    if text.is_empty() { text } else { format!("\n{text}") }
}

/// Who holds a lease: `alice@ops, process 4711 (apply) since 10:20, until 10:21 unless renewed`
pub fn holder(lease: &LeaseStatus, clock: &Clock) -> String {
    let LeaseStatus { holder, reason, .. } = lease;
    let (since, expires) = (clock.time(lease.since), clock.time(lease.expires));
    let gone = if lease.alive { "" } else { "; that process is gone" };
    format!("{holder} ({reason}) since {since}, until {expires} unless renewed{gone}")
}

/// Sums of prices per hour.
pub struct Costs {
    /// `pool`, `tenant`, `provider` → name → hosts, volumes, price.
    pub by: BTreeMap<&'static str, BTreeMap<String, (usize, usize, Money)>>,
    /// All of it.
    pub total: Money,
}

/// Prices per month.
pub fn costs(costs: &Costs) -> String {
    if costs.by.is_empty() {
        return "Nothing is recorded, so nothing costs anything.\n".to_owned();
    }
    let mut text = String::new();
    for (what, heading) in [
        ("pool", ["pool", ">hosts", ">volumes", ">per month"]),
        ("tenant", ["tenant", ">hosts", ">volumes", ">per month"]),
        ("provider", ["provider", ">hosts", ">volumes", ">per month"]),
    ] {
        let mut table = Table::new(&heading);
        for (name, (hosts, volumes, price)) in costs.by.get(what).into_iter().flatten() {
            table.row([name.clone(), hosts.to_string(), volumes.to_string(), price.per_month().to_string()]);
        }
        let _ = writeln!(text, "{}", table.render());
    }
    let _ = writeln!(text, "{} {}/month", paint(BOLD, "Total:"), costs.total.per_month());
    text
}

/// Pre-flight checks, one line each, provider by provider.
pub fn checks(lines: &[CheckLine]) -> String {
    let mut table = Table::new(&["answer", "where", "what", "age", "detail"]);
    for line in lines {
        let answer = match line.answer {
            CheckAnswer::Pass => paint(ADD, "pass"),
            CheckAnswer::Fail => paint(REMOVE, "fail"),
            CheckAnswer::Unknown => paint(WARN, "unknown"),
        };
        let provider = line.provider.as_ref().map(ToString::to_string).unwrap_or_default();
        let age = line.age.map(|age| if age.0 < 1000 { "now".to_owned() } else { span(age.0) }).unwrap_or_default();
        let todo = line.todo.as_ref().map(|todo| format!(" → {todo}")).unwrap_or_default();
        let detail = clip(&format!("{}{todo}", line.detail), MOST_DETAIL);
        table.row([answer, provider, line.subject.to_string(), age, detail]);
    }
    let of = |answer| lines.iter().filter(|line| line.answer == answer).count();
    let (pass, fail, unknown) = (of(CheckAnswer::Pass), of(CheckAnswer::Fail), of(CheckAnswer::Unknown));
    format!("{}\nCheck: {pass} pass, {fail} fail, {unknown} unknown\n", table.render())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_costs_nothing_and_says_so() {
        let text = costs(&Costs { by: BTreeMap::new(), total: Money::ZERO });
        assert_eq!(text, "Nothing is recorded, so nothing costs anything.\n");
    }
}
