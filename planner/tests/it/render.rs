//! Plans as compact text.

use std::fmt::Write;

use pool_inventory::object::Spec;
use pool_planner::{
    Action, Plan, Reason,
    plan::{Alternative, Refusal, Task, Why},
};

/// One line per step, group, and thing declined.
pub fn render(plan: &Plan) -> String {
    let mut out = String::new();
    for step in &plan.steps {
        let needs: Vec<String> = step.needs.iter().map(|need| need.0.to_string()).collect();
        let needs = if needs.is_empty() { String::new() } else { format!("  after {}", needs.join(",")) };
        let generation = if step.generation > 1 { format!("#{}", step.generation) } else { String::new() };
        let what = what(&step.action);
        let _ = writeln!(
            out,
            "{:>3} {} {}{generation}{what}  [{}]{needs}",
            step.id.0,
            step.action.verb(),
            step.address,
            reason(&step.reason)
        );
    }
    for (at, group) in plan.groups.iter().enumerate() {
        let _ = writeln!(out, "  group {at}: {} × {}", group.pool, group.hosts.join(" "));
        for c in group.candidates.iter().filter(|c| c.taken > 0) {
            let _ = writeln!(out, "    {} at {}/{}/{}", c.taken, c.provider, c.zone, c.offering);
        }
        let _ = refusals(&mut out, "    ", &group.refusals);
        if !group.alternatives.is_empty() {
            let _ = writeln!(out, "    alternatives:{}", group.alternatives.iter().map(other).collect::<String>());
        }
    }
    for declined in &plan.declined {
        let _ = writeln!(out, "  ! {}: {}", declined.address, why(&declined.why));
    }
    for demand in &plan.demand {
        let _ = writeln!(out, "  demand {}: {} of {}", demand.account, demand.amount, demand.limit);
    }
    if let Some(p) = &plan.proposal {
        let emptied: Vec<&str> = p.emptied.iter().map(|e| &*e.machine).collect();
        let (moved, replaced, braked) = (p.moved, p.replaced, p.braked);
        let _ = writeln!(
            out,
            "  proposal: saves {}, {moved} moved, {replaced} replaced, {braked} braked, empties {}",
            p.saved.0,
            emptied.join(" ")
        );
        for f in &p.filled {
            let (before, after) = (f.machines_before, f.machines_after);
            let (was, is) = (f.share_before, f.share_after);
            let _ =
                writeln!(out, "  filled {}/{} {}: {before} at {was} → {after} at {is}", f.provider, f.zone, f.resource);
        }
    }
    let _ = writeln!(
        out,
        "  {} steps, {} unchanged{}, {} → {} an hour",
        plan.steps.len(),
        plan.unchanged,
        if plan.is_incomplete() { ", incomplete" } else { "" },
        plan.cost.before.0,
        plan.cost.after.0
    );
    out
}

fn refusals(out: &mut String, indent: &str, refusals: &[Refusal]) -> std::fmt::Result {
    refusals.iter().try_for_each(|r| writeln!(out, "{indent}not {}: {}", r.candidate, r.why))
}

fn what(action: &Action) -> String {
    match action {
        Action::Create { spec, .. } | Action::Adopt { spec, .. } => spot(spec),
        Action::Update { to, .. } | Action::Rebuild { to, .. } => spot(to),
        Action::Attach { to } => match to.volume().and_then(|v| v.attached.as_ref()) {
            Some(at) => format!(" to {} at {}", at.host, at.mount.as_deref().unwrap_or("-")),
            None => " to nothing".into(),
        },
        Action::Restore { from } => format!(" from {from}"),
        Action::Member { task: Task::Leave { reset, forget } } => {
            let forget = if *forget { ", forgotten" } else { "" };
            format!(" (clear: {}{forget})", format!("{reset:?}").to_lowercase())
        }
        Action::Member { task: Task::Upgrade { first: true } } => " (leads)".into(),
        Action::Member { task: Task::Configure { host } | Task::Snapshot { host } } => format!(" through {host}"),
        Action::Bootstrap { digest: None } => " with values known later".into(),
        _ => String::new(),
    }
}

fn spot(spec: &Spec) -> String {
    match spec {
        Spec::Host(host) if host.at.is_some() => format!(" {}", host.at.as_ref().map_or("", |at| &at.host)),
        Spec::Host(host) => {
            let machine = host.machine.as_ref().map(|machine| format!(" on {machine}")).unwrap_or_default();
            format!(" {}/{} {}{machine}", host.zone, host.offering, host.image)
        }
        Spec::Volume(volume) => {
            let from = volume.from.as_ref().map(|from| format!(" from {from}")).unwrap_or_default();
            format!(" {}@{} {}{from}", volume.backend, volume.zone, volume.size)
        }
        Spec::Snapshot(copy) | Spec::Backup(copy) => format!(" of {} {}@{}", copy.of, copy.size, copy.backend),
        Spec::Network(network) => network.cidr.map(|cidr| format!(" {cidr}")).unwrap_or_default(),
    }
}

fn other(other: &Alternative) -> String {
    let volumes = other.volumes.iter().map(|(name, volume)| format!("+{name}@{}", volume.backend));
    let (provider, host) = (&other.provider, &other.host);
    format!(" {provider}/{}/{}{}", host.zone, host.offering, volumes.collect::<String>())
}

fn reason(reason: &Reason) -> String {
    let fields = |fields: &[pool_inventory::object::FieldChange]| {
        fields.iter().map(|f| format!(" {} {}→{}", f.field, f.from, f.to)).collect::<Vec<_>>().join(",")
    };
    match reason {
        Reason::SpecChanged { fields: f } if f.iter().any(|f| f.field.as_ref() == "bootstrap") => {
            "spec bootstrap".into()
        }
        Reason::SpecChanged { fields: f } => format!("spec{}", fields(f)),
        Reason::Drifted { fields: f } => format!("drift{}", fields(f)),
        Reason::HostDrifted { items } => format!("host drift {}", items.len()),
        Reason::Unhealthy { detail } => format!("unhealthy: {detail}"),
        Reason::Moved { from } => format!("moved from {from}"),
        Reason::Optimized { empties: Some(machine), saved } => format!("empties {machine}, saves {}", saved.0),
        Reason::Optimized { empties: None, saved } => format!("saves {}", saved.0),
        Reason::FollowsFrom { address } => format!("follows {address}"),
        Reason::GivesWay { to: Some(to), limit } => format!("gives way to {to}: {limit}"),
        Reason::GivesWay { to: None, limit } => format!("gives way: {limit}"),
        other => format!("{other:?}"),
    }
}

fn why(why: &Why) -> String {
    match why {
        Why::Brake { brake, allowed, .. } => format!("brake {} allows {allowed}", brake.as_str()),
        Why::NoPlace { group } => format!("no place, group {}", group.0),
        Why::NoBackend { refusals } => {
            let each: Vec<String> = refusals.iter().map(|r| format!("{}: {}", r.candidate, r.why)).collect();
            format!("no backend ({})", each.join("; "))
        }
        Why::Quota { tenant, limit, allowed, wanted } => format!("quota of {tenant}: {limit} {wanted} of {allowed}"),
        Why::Fewer { wanted, gets, least, limit, to, group, .. } => {
            let group = group.map(|group| format!(", group {}", group.0)).unwrap_or_default();
            let to: Vec<&str> = to.iter().map(|to| to.as_str()).collect();
            format!("{gets} of {wanted} hosts, at least {least}: {limit}{group}; after [{}]", to.join(", "))
        }
        Why::Lacks { features, provider } => {
            let words: Vec<&str> = features.iter().map(|feature| feature.describe()).collect();
            format!("{provider} lacks {}", words.join(", "))
        }
        Why::NeedsDeclined { address } => format!("needs {address}"),
        Why::HasSnapshots { snapshots } => {
            let each: Vec<String> = snapshots.iter().map(ToString::to_string).collect();
            format!("has snapshots ({})", each.join(", "))
        }
        Why::NoVolume { volume } => format!("no {volume}"),
        Why::NoSource { from } => format!("no {from} to be made from"),
        Why::NoRoom { provider, limit } => format!("no room at {provider}: {limit}"),
        Why::Quorum { cluster, detail } => format!("quorum of {cluster}: {detail}"),
        Why::Version { from, to, detail } => format!("from {from} to {to}: {detail}"),
        Why::Unreachable { detail } => format!("unreachable: {detail}"),
        Why::CannotMove { fields } => {
            let fields: Vec<String> = fields.iter().map(|f| format!("{} {}→{}", f.field, f.from, f.to)).collect();
            format!("cannot move ({})", fields.join(", "))
        }
        other => format!("{other:?}"),
    }
}
