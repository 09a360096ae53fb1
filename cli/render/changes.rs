//! Steps folded into what a reader wants to see: one line per object.

use std::collections::{BTreeMap, BTreeSet};

use pool_inventory::{Address, Kind, Text, object::FieldChange};
use pool_planner::{Action, Plan, Reason, Step};
use serde::Serialize;

use super::{
    style::{ADD, BOOTSTRAP, CHANGE, REMOVE, REPLACE},
    words,
};

/// What happens to an object, in the order in which lines are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Symbol {
    /// `+`
    Add,
    /// `~`
    Change,
    /// `-/+`
    Replace,
    /// `-`
    Remove,
    /// `>`
    Bootstrap,
}

impl Symbol {
    /// As shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Symbol::Add => "+",
            Symbol::Change => "~",
            Symbol::Replace => "-/+",
            Symbol::Remove => "-",
            Symbol::Bootstrap => ">",
        }
    }

    /// Its colour.
    pub fn style(self) -> anstyle::Style {
        match self {
            Symbol::Add => ADD,
            Symbol::Change => CHANGE,
            Symbol::Replace => REPLACE,
            Symbol::Remove => REMOVE,
            Symbol::Bootstrap => BOOTSTRAP,
        }
    }
}

/// One line of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What happens.
    pub symbol: Symbol,
    /// To what.
    pub address: Address,
    /// Where and what it is, or what changes.
    pub detail: String,
    /// `in place`, `rebuild`, …; empty where the symbol says it all.
    pub how: &'static str,
    /// Why.
    pub reason: String,
    /// Shown with `-v`: every field, diffs of files.
    pub more: Vec<String>,
}

/// Counts of what a plan does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Objects made.
    pub add: usize,
    /// Objects changed where they stand.
    pub change: usize,
    /// Objects replaced, hosts rebuilt.
    pub replace: usize,
    /// Objects deleted.
    pub destroy: usize,
    /// Hosts that something is done on.
    pub bootstrap: usize,
    /// Hosts that exist and are recorded.
    pub adopt: usize,
    /// Adopted hosts that are let go.
    pub release: usize,
    /// Records that are dropped or brought up to date.
    pub record: usize,
    /// Volumes that get the content of a copy back.
    pub restore: usize,
    /// Hosts that become members of clusters.
    pub join: usize,
    /// Hosts that leave clusters.
    pub leave: usize,
}

/// Lines and counts of a plan.
pub fn fold(plan: &Plan) -> (Vec<Line>, Counts) {
    let mut by_address: BTreeMap<&Address, Vec<&Step>> = BTreeMap::new();
    for step in &plan.steps {
        by_address.entry(&step.address).or_default().push(step);
    }
    let fresh: BTreeSet<&Address> = by_address.iter().filter(|(_, steps)| is_fresh(steps)).map(|(a, _)| *a).collect();
    let mut counts = Counts::default();
    let mut lines = Vec::new();
    for (address, steps) in &by_address {
        if steps.iter().any(|step| matches!(step.action, Action::Bootstrap { .. })) {
            counts.bootstrap += 1;
        }
        lines.extend(object_lines(address, steps, &fresh, &mut counts));
    }
    lines.sort_by_cached_key(|line| {
        let host = line.address.host_below().unwrap_or_else(|| line.address.clone());
        (line.symbol, line.address.kind != Kind::Network, host, line.address.clone())
    });
    (lines, counts)
}

/// Whether the object is made, taken over, replaced or taken away: smaller steps of it tell nothing new.
fn is_fresh(steps: &[&Step]) -> bool {
    steps.iter().any(|step| {
        matches!(
            step.action,
            Action::Create { .. }
                | Action::Adopt { .. }
                | Action::Rebuild { .. }
                | Action::Restore { .. }
                | Action::Delete
                | Action::Release
        )
    })
}

fn object_lines(address: &Address, steps: &[&Step], fresh: &BTreeSet<&Address>, counts: &mut Counts) -> Vec<Line> {
    if matches!(address.kind, Kind::Cluster | Kind::Member) {
        return super::members::lines(address, steps, counts);
    }
    let whole = if fresh.contains(address) { whole(address, steps, counts) } else { None };
    if let Some(line) = whole {
        return vec![line];
    }
    let host_is_fresh = address.host_of_volume().is_some_and(|host| fresh.contains(&host));
    // What is changed anyway is recorded anyway.
    let changed = steps.iter().any(|step| matches!(step.action, Action::Update { .. }));
    let told = steps.iter().filter(|step| !changed || !matches!(step.action, Action::Record { .. }));
    told.filter_map(|step| part(step, host_is_fresh, counts)).collect()
}

/// The one line of an object that comes, goes, or comes anew.
fn whole(address: &Address, steps: &[&Step], counts: &mut Counts) -> Option<Line> {
    let deletes = steps.iter().any(|step| matches!(step.action, Action::Delete));
    let line = |symbol, detail, how, step: &Step| {
        let more = more(step);
        Line { symbol, address: address.clone(), detail, how, reason: words::reason(&step.reason), more }
    };
    for step in steps {
        match &step.action {
            Action::Create { spec, record, .. } => {
                let detail = words::object(&step.provider, spec, record.price);
                if !deletes {
                    counts.add += 1;
                    return Some(line(Symbol::Add, detail, "", step));
                }
                counts.replace += 1;
                let fields = reason_fields(&step.reason);
                let detail = if fields.is_empty() { detail } else { words::fields(fields) };
                return Some(line(Symbol::Replace, detail, "replace", step));
            }
            Action::Adopt { spec, record } => {
                counts.adopt += 1;
                let detail = words::object(&step.provider, spec, record.price);
                return Some(line(Symbol::Add, detail, "adopt", step));
            }
            Action::Rebuild { from, to } => {
                counts.replace += 1;
                return Some(line(Symbol::Replace, words::fields(&from.changes(to)), "rebuild", step));
            }
            Action::Restore { from } => {
                counts.restore += 1;
                return Some(line(Symbol::Replace, format!("content of today → {from}"), "restore", step));
            }
            _ => {}
        }
    }
    let gone = steps.iter().find(|step| matches!(step.action, Action::Delete | Action::Release))?;
    if matches!(gone.action, Action::Release) {
        counts.release += 1;
        return Some(line(Symbol::Remove, format!("{} · it is left as it is", gone.provider), "release", gone));
    }
    counts.destroy += 1;
    Some(line(Symbol::Remove, gone.provider.to_string(), "", gone))
}

/// The line of one step of an object that stays.
fn part(step: &Step, host_is_fresh: bool, counts: &mut Counts) -> Option<Line> {
    let (symbol, detail, how) = match &step.action {
        Action::Update { from, to } => (Symbol::Change, words::fields(&from.changes(to)), "in place"),
        Action::Attach { .. } | Action::Detach { .. } if host_is_fresh => return None,
        Action::Attach { to } => {
            let at = to.volume().and_then(|volume| volume.attached.as_ref());
            let at = at.map_or_else(|| "attach".to_owned(), |at| format!("attach to {}", words::attachment(at)));
            (Symbol::Change, at, "in place")
        }
        Action::Detach { .. } => (Symbol::Change, "detach".to_owned(), "in place"),
        Action::PowerOn => (Symbol::Change, "power on".to_owned(), "in place"),
        Action::PowerOff => (Symbol::Change, "power off".to_owned(), "in place"),
        Action::Restart => (Symbol::Change, "restart".to_owned(), "in place"),
        Action::Forget => (Symbol::Remove, "drop the record".to_owned(), "record only"),
        Action::Record { .. } => {
            let fields = words::fields(reason_fields(&step.reason));
            (Symbol::Change, if fields.is_empty() { "update the record".to_owned() } else { fields }, "record only")
        }
        Action::Bootstrap { .. } => (Symbol::Bootstrap, "bootstrap".to_owned(), ""),
        Action::Create { .. }
        | Action::Adopt { .. }
        | Action::Rebuild { .. }
        | Action::Restore { .. }
        | Action::Delete
        | Action::Release => return None,
        // A knot of the graph that does nothing, and what has lines of its own.
        Action::Gather | Action::Member { .. } => return None,
    };
    match symbol {
        _ if how == "record only" => counts.record += 1,
        Symbol::Change => counts.change += 1,
        _ => {}
    }
    let reason = words::reason(&step.reason);
    Some(Line { symbol, address: step.address.clone(), detail, how, reason, more: more(step) })
}

pub fn reason_fields(reason: &Reason) -> &[FieldChange] {
    match reason {
        Reason::SpecChanged { fields } | Reason::Drifted { fields } => fields,
        _ => &[],
    }
}

/// Everything that the line leaves out.
pub fn more(step: &Step) -> Vec<String> {
    let changes = match &step.action {
        Action::Update { from, to } | Action::Rebuild { from, to } => from.changes(to),
        // Digests tell people nothing.
        Action::Bootstrap { .. } => Vec::new(),
        _ => reason_fields(&step.reason).to_vec(),
    };
    let mut more: Vec<String> =
        changes.iter().map(|change| format!("{}: {} → {}", change.field, change.from, change.to)).collect();
    if let Reason::HostDrifted { items } = &step.reason {
        for item in items {
            more.push(item.item.to_string());
            more.extend(item.detail.lines().map(|line| format!("  {line}")));
        }
    }
    more
}

/// Names of hosts and volumes that `lines` are about, per symbol: what stands for lines that are not shown.
pub fn sum_up(lines: &[Line]) -> Vec<(Symbol, Text)> {
    let mut kinds: BTreeMap<(Symbol, Kind), usize> = BTreeMap::new();
    for line in lines {
        *kinds.entry((line.symbol, line.address.kind)).or_default() += 1;
    }
    let text = |kind: Kind, number| Text::from(super::table::count(number, kind.as_str()));
    kinds.into_iter().map(|((symbol, kind), number)| (symbol, text(kind, number))).collect()
}
