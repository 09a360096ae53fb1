//! One phrase per thing: specs, reasons, refusals.

use pool_inventory::{
    Money, Text,
    market::Drift,
    object::{Attachment, FieldChange, Spec, Status},
};
use pool_planner::{
    Reason,
    plan::{Alternative, Candidate, Refusal, Why},
};

use super::table::clip;

/// Widest value of a field on one line.
const VALUE: usize = 40;

/// `€ 61.00/month` from a price per hour; nothing for what would show as zero.
pub fn monthly(price: Money) -> Option<String> {
    const HALF_A_CENT: u64 = 5_000;
    let month = price.per_month();
    (month.0.unsigned_abs() >= HALF_A_CENT).then(|| format!("{month}/month"))
}

/// Where and what an object is: `private/az2 · m1.large · 4 vCPU · 8 GiB · € 61.00/month`.
pub fn object(provider: &str, spec: &Spec, price: Money) -> String {
    let mut parts: Vec<String> = Vec::new();
    match spec {
        Spec::Host(host) => {
            parts.push(place(provider, &host.zone));
            match &host.at {
                Some(at) => parts.push(format!("{}:{}", at.host, at.port)),
                None => {
                    parts.push(host.offering.to_string());
                    parts.push(format!("{} vCPU", host.size.vcpus));
                    parts.push(host.size.memory.to_string());
                    parts.extend(host.machine.iter().map(|machine| format!("on {machine}")));
                }
            }
        }
        Spec::Volume(volume) => {
            parts.push(volume.backend.to_string());
            parts.push(volume.size.to_string());
            parts.push(volume.tier.to_string());
        }
        Spec::Network(network) => {
            parts.push(provider.to_owned());
            parts.extend(network.existing.iter().map(|name| format!("uses {name}")));
            parts.extend(network.cidr.map(|cidr| cidr.to_string()));
            parts.extend(network.router.iter().map(|to| format!("router to {to}")));
        }
        Spec::Snapshot(copy) | Spec::Backup(copy) => {
            parts.push(copy.backend.to_string());
            parts.push(copy.size.to_string());
            parts.push(format!("of {}", copy.of));
        }
    }
    parts.extend(monthly(price));
    parts.join(" · ")
}

/// `private/az2`, or `private` where there are no zones.
pub fn place(provider: &str, zone: &str) -> String {
    if zone.is_empty() { provider.to_owned() } else { format!("{provider}/{zone}") }
}

/// `host/web-3 at /var/lib/data`
pub fn attachment(at: &Attachment) -> String {
    match &at.mount {
        Some(mount) => format!("{} at {mount}", at.host),
        None => at.host.to_string(),
    }
}

/// `image debian-11 → debian-12`
pub fn field(change: &FieldChange) -> String {
    format!("{} {} → {}", change.field, clip(&change.from, VALUE), clip(&change.to, VALUE))
}

/// The first of several changes, and how many more.
pub fn fields(changes: &[FieldChange]) -> String {
    match changes {
        [] => String::new(),
        [one] => field(one),
        [one, two] => format!("{}, {}", field(one), field(two)),
        [one, rest @ ..] => format!("{} and {} more fields", field(one), rest.len()),
    }
}

/// What a step is in the plan for, field by field.
pub fn changed(reason: &Reason) -> String {
    fields(super::changes::reason_fields(reason))
}

/// Why a step is in the plan.
pub fn reason(reason: &Reason) -> String {
    match reason {
        Reason::NotPresent => "not present".to_owned(),
        Reason::Vanished => "gone from the provider".to_owned(),
        Reason::SpecChanged { .. } => "spec changed".to_owned(),
        Reason::Drifted { .. } => "drifted".to_owned(),
        Reason::HostDrifted { items } => drift(items),
        Reason::Unhealthy { detail } => format!("unhealthy: {}", clip(detail, VALUE)),
        Reason::Unfinished => "begun and not finished".to_owned(),
        Reason::Removed => "removed".to_owned(),
        Reason::Requested => "requested".to_owned(),
        Reason::Moved { from } => format!("moved from {from}"),
        Reason::Optimized { empties, saved } => {
            let saved = monthly(*saved).map(|saved| format!("saves {saved}"));
            match (empties, saved) {
                (Some(machine), Some(saved)) => format!("empties {machine}: {saved}"),
                (Some(machine), None) => format!("empties {machine}"),
                (None, saved) => saved.unwrap_or_else(|| "costs less".to_owned()),
            }
        }
        Reason::FollowsFrom { address } => format!("follows from {address}"),
        Reason::Expires { at } => format!("its certificates end on {}", super::when::day(*at)),
        Reason::TakenBack => "taken back".to_owned(),
        Reason::GivesWay { to: Some(to), limit } => format!("gives way to pool/{to}: {limit}"),
        Reason::GivesWay { to: None, limit } => format!("gives way: {limit}"),
    }
}

fn drift(items: &[Drift]) -> String {
    match items {
        [] => "drifted".to_owned(),
        [one] if one.detail.is_empty() || one.detail.trim_end().contains('\n') => format!("{} differs", one.item),
        [one] => format!("{} {}", one.item, clip(&one.detail, VALUE)),
        [one, rest @ ..] => format!("{} and {} more differ", one.item, rest.len()),
    }
}

/// Where a host goes if need be: `spare/az2/m1.large · € 61.00/month · data on spare/gold`.
pub fn alternative(other: &Alternative) -> String {
    let (host, price) = (&other.host, monthly(other.price));
    let place: Vec<&str> =
        [other.provider.as_str(), &host.zone, &host.offering].into_iter().filter(|p| !p.is_empty()).collect();
    let price = price.map(|price| format!(" · {price}")).unwrap_or_default();
    let volumes: Vec<String> = other.volumes.iter().map(|(name, at)| format!("{name} on {}", at.backend)).collect();
    let volumes = if volumes.is_empty() { String::new() } else { format!(" · {}", volumes.join(", ")) };
    format!("{}{price}{volumes}", place.join("/"))
}

/// Why something was not done.
pub fn why(why: &Why) -> String {
    match why {
        Why::Brake { brake, share, allowed, of } => {
            format!("stays: brake {} {share} is used up ({allowed} of {of} in one run)", brake.as_str())
        }
        Why::Protected { by } => format!("stays: protected by its {by}"),
        Why::Kept => "stays: on_remove is keep".to_owned(),
        Why::NoPlace { .. } => "cannot be placed".to_owned(),
        Why::Fewer { wanted, gets, least, limit, .. } => {
            format!("{gets} of {wanted} hosts, at least {least}: {limit}")
        }
        Why::Quota { tenant, limit, allowed, wanted } => {
            format!("quota {limit} of tenant {tenant} does not fit: {wanted} wanted, {allowed} allowed")
        }
        Why::NoBackend { .. } => "no backend of its tier can serve it".to_owned(),
        Why::NeedsDeclined { address } => format!("needs {address}, which is not done"),
        Why::Lacks { features, provider } => {
            let features: Vec<_> = features.iter().map(|feature| feature.describe()).collect();
            format!("provider {provider} cannot do this here: {}", features.join(", "))
        }
        Why::OutOfScope => "out of scope".to_owned(),
        Why::Shrink { from, to } => format!("a volume cannot shrink: {from} → {to}"),
        Why::CannotMove { fields: changes } => {
            format!("a volume cannot move to another backend yet, nor be made anew: {}", fields(changes))
        }
        Why::CannotAdopt { id, detail } => format!("{} cannot be taken over: {}", clip(id, VALUE), clip(detail, 160)),
        Why::Broken { detail } => format!("broken, and replacing it would lose data: {}", clip(detail, VALUE)),
        Why::NoNetwork { network, provider, found: 0 } => format!("provider {provider} has no network {network}"),
        Why::NoNetwork { network, provider, found } => {
            format!("provider {provider} has {found} networks called {network}: name the id of one")
        }
        Why::NothingToMove { from } => format!("nothing to move: {from} is not recorded"),
        Why::Unreachable { detail } => format!("not reached: {}", clip(detail, 80)),
        Why::ProviderUnseen => "its provider was not reached".to_owned(),
        Why::HasSnapshots { snapshots } => {
            let names: Vec<_> = snapshots.iter().map(ToString::to_string).collect();
            format!("stays: it has snapshots; delete them with: pool volume delete {}", names.join(" "))
        }
        Why::NotThere => "is not there: gone from its provider, or never finished".to_owned(),
        Why::Exists => "exists already; choose another name, or delete it first".to_owned(),
        Why::NoVolume { volume } => {
            format!("its volume {volume} is not there; a new volume gets its content with `from:`")
        }
        Why::NoSource { from } => format!("{from}, which it is to be made from, is not there"),
        Why::Quorum { cluster, detail } => format!("stays: cluster {cluster} needs it: {}", clip(detail, 120)),
        Why::Version { from, to, detail } => format!("cannot go from {from} to {to}: {}", clip(detail, 120)),
        Why::NoRoom { provider, limit } => format!("provider {provider} has no room for it: {limit}"),
    }
}

/// `private/az1/m1.small: 2 vCPU < 4 vCPU`
pub fn refusal(refusal: &Refusal) -> String {
    format!("{}: {}", refusal.candidate, refusal.why)
}

/// `private/az2/m1.large`
pub fn spot(candidate: &Candidate) -> String {
    format!("{}/{}", place(&candidate.provider, &candidate.zone), candidate.offering)
}

/// How far a place is behind the best: `best`, `as good`, `2nd in place.on, +€ 12.00/month`.
pub fn score(best: &Candidate, candidate: &Candidate) -> String {
    let mut parts = Vec::new();
    if candidate.rank > best.rank {
        parts.push(format!("{} in place.on", ordinal(candidate.rank + 1)));
    }
    let more = candidate.price - best.price;
    parts.extend(monthly(more).map(|more| if more.starts_with('-') { more } else { format!("+{more}") }));
    match (parts.is_empty(), candidate == best) {
        (_, true) => "best".to_owned(),
        (true, false) => "as good".to_owned(),
        (false, false) => parts.join(", "),
    }
}

/// `1st`, `2nd`, `3rd`, `11th`
pub fn ordinal(number: u32) -> String {
    let ending = match (number % 10, number % 100) {
        (1, rest) if rest != 11 => "st",
        (2, rest) if rest != 12 => "nd",
        (3, rest) if rest != 13 => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}

/// What a provider reports, in a word or two.
pub fn status(status: Option<&Status>) -> String {
    match status {
        None => "unknown".to_owned(),
        Some(Status::Pending) => "pending".to_owned(),
        Some(Status::Ready) => "ready".to_owned(),
        Some(Status::Stopped) => "stopped".to_owned(),
        Some(Status::Failed(detail)) => format!("failed: {}", clip(detail, VALUE)),
        Some(Status::Deleting) => "deleting".to_owned(),
    }
}

/// `team=checkout, tier=web`
pub fn labels<'a>(labels: impl IntoIterator<Item = (&'a Text, &'a Text)>) -> String {
    labels.into_iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(", ")
}
