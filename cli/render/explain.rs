//! Why something is where it is, and why it changes.

use std::fmt::Write as _;

use pool_engine::ops::SavedPlan;
use pool_inventory::{Address, Kind, Text, object::Recorded};
use pool_planner::{
    Step,
    plan::{Candidate, Declined, Group, Refusal, Why},
};

use serde::Serialize;

use super::{
    changes::{Line, fold},
    style::{BOLD, DIM, WARN, paint},
    table::{Table, count},
    words,
};

/// Places and refusals shown; `-v` shows all.
const MOST: usize = 10;

/// Everything that a plan knows about one object.
pub struct Explained<'a> {
    /// The object.
    pub address: &'a Address,
    /// What is recorded of it.
    pub records: Vec<&'a Recorded>,
    /// What would happen to it.
    pub steps: Vec<&'a Step>,
    /// What would not happen to it, and why.
    pub declined: Vec<&'a Declined>,
    /// The places that were looked at for it, or for its host.
    pub placement: Option<Placement<'a>>,
    /// Of a pool: the same for each group of hosts that are alike.
    pub groups: Vec<Placement<'a>>,
    /// Where hosts of its pool could be made now, where the plan makes none.
    pub now: Option<&'a Now>,
}

/// Places that hosts of a pool could have now, best first, and those that they could not.
#[derive(Serialize)]
pub struct Now {
    /// Places.
    pub candidates: Vec<Candidate>,
    /// Why the others will not do.
    pub refusals: Vec<Refusal>,
}

/// The places that were looked at, and by which plan.
#[derive(Serialize)]
pub struct Placement<'a> {
    /// The plan.
    pub plan: &'a str,
    /// The run that carried it out; none: it is a fresh plan.
    pub run: Option<&'a str>,
    /// The group of the host.
    pub group: &'a Group,
    /// What all groups of its pool were refused.
    pub refusals: &'a [Refusal],
}

impl<'a> Placement<'a> {
    /// Where `saved` puts the host of `address`, if it puts it anywhere.
    pub fn find(address: &Address, saved: &'a SavedPlan, run: Option<&'a str>) -> Option<Self> {
        let host: Text = address.host_of_volume().map_or_else(|| address.name.clone(), |host| host.name);
        let groups = &saved.plan.groups;
        let group = groups.iter().find(|group| group.hosts.contains(&host))?;
        Some(Self::of(group, saved, run))
    }

    fn of(group: &'a Group, saved: &'a SavedPlan, run: Option<&'a str>) -> Self {
        let groups = &saved.plan.groups;
        // What all groups of a pool share stands in the first of them.
        let first = groups.iter().find(|other| other.pool == group.pool && !other.refusals.is_empty());
        let refusals =
            if group.refusals.is_empty() { first.map_or(&[][..], |first| &first.refusals) } else { &group.refusals };
        Self { plan: &saved.id, run, group, refusals }
    }
}

impl<'a> Explained<'a> {
    /// Gathers it.
    pub fn new(address: &'a Address, records: &'a [Recorded], saved: &'a SavedPlan) -> Self {
        let plan = &saved.plan;
        let of_pool = |group: &&Group| address.kind == Kind::Pool && *group.pool == *address.name;
        Self {
            groups: plan.groups.iter().filter(of_pool).map(|group| Placement::of(group, saved, None)).collect(),
            now: None,
            address,
            records: records.iter().filter(|record| record.address == *address).collect(),
            steps: plan.steps.iter().filter(|step| step.address == *address).collect(),
            declined: plan.declined.iter().filter(|declined| declined.address == *address).collect(),
            placement: Placement::find(address, saved, None),
        }
    }

    /// Whether nothing at all is known.
    pub fn is_unknown(&self) -> bool {
        let nothing_planned = self.steps.is_empty() && self.declined.is_empty() && self.groups.is_empty();
        self.records.is_empty() && nothing_planned && self.now.is_none()
    }

    /// As text.
    pub fn render(&self, saved: &SavedPlan, verbose: bool) -> String {
        let mut text = format!("{}\n", paint(BOLD, &self.address.to_string()));
        match &self.records[..] {
            [] if self.address.kind == Kind::Pool => {}
            [] => text.push_str("  is not there yet\n"),
            records => records.iter().for_each(|record| {
                let _ = writeln!(text, "  is   {}", words::object(&record.provider, &record.spec, record.price));
            }),
        }
        self.what_happens(&mut text, saved, verbose);
        if let Some(placement) = &self.placement {
            places(&mut text, placement, verbose);
        }
        let mut shared: Vec<&Refusal> = Vec::new();
        for placement in &self.groups {
            shared.extend(placement.refusals);
            let hosts = &placement.group.hosts;
            let names: Vec<&str> = hosts.iter().take(MOST).map(|host| &**host).collect();
            let more = hosts.len().saturating_sub(names.len());
            let more = if more > 0 { format!(" … and {more} more") } else { String::new() };
            let _ = writeln!(text, "\n{}: {}{more}", count(hosts.len(), "host"), names.join(" "));
            fitting(&mut text, placement.group, verbose);
        }
        shared.sort_by_key(|refusal| (&refusal.candidate, &refusal.why));
        shared.dedup();
        list(&mut text, "Places that were refused", shared.into_iter().map(words::refusal), verbose);
        // Beside what a plan or run said of it, this tells little that is new.
        if let Some(now) = self.now.filter(|_| verbose || self.placement.is_none()) {
            table(&mut text, "Places for a new host now, best first", &now.candidates, verbose);
            list(&mut text, "Places that are refused now", now.refusals.iter().map(words::refusal), verbose);
        }
        let refusals: &[Refusal] = self.declined.iter().find_map(|d| no_backend(&d.why)).unwrap_or_default();
        list(&mut text, "Backends that were refused", refusals.iter().map(words::refusal), verbose);
        text
    }

    fn what_happens(&self, text: &mut String, saved: &SavedPlan, verbose: bool) {
        let (lines, _) = fold(&saved.plan);
        let mine: Vec<&Line> = lines.iter().filter(|line| line.address == *self.address).collect();
        for line in &mine {
            let sign = paint(line.symbol.style(), line.symbol.as_str());
            let how = if line.how.is_empty() { String::new() } else { format!(" ({})", line.how) };
            let _ = writeln!(text, "  {sign} {}{how}, because: {}", line.detail, line.reason);
            for more in line.more.iter().take(if verbose { usize::MAX } else { MOST }) {
                let _ = writeln!(text, "      {}", paint(DIM, more));
            }
        }
        for declined in &self.declined {
            let _ = writeln!(text, "  {} {}", paint(WARN, "!"), words::why(&declined.why));
        }
        if mine.is_empty() && self.declined.is_empty() && self.address.kind != Kind::Pool {
            text.push_str("  a plan changes nothing here\n");
        }
    }
}

fn no_backend(why: &Why) -> Option<&[Refusal]> {
    if let Why::NoBackend { refusals } = why { Some(refusals) } else { None }
}

fn places(text: &mut String, placement: &Placement<'_>, verbose: bool) {
    let group = placement.group;
    if let Some(run) = placement.run {
        let _ = writeln!(text, "  placed by run {run} (plan {})", placement.plan);
    }
    fitting(text, group, verbose);
    list(text, "Places that were refused", placement.refusals.iter().map(words::refusal), verbose);
}

/// The places that a group could have, and those that it gets when the chosen one is sold out.
fn fitting(text: &mut String, group: &Group, verbose: bool) {
    table(text, "Places that fit, best first", &group.candidates, verbose);
    let spare = group.alternatives.iter().map(words::alternative);
    list(text, "If the chosen place is sold out, in this order", spare, verbose);
}

/// Places with price and score; those that were taken are always shown.
fn table(text: &mut String, title: &str, candidates: &[Candidate], verbose: bool) {
    let Some(best) = candidates.first() else { return };
    let mut table = Table::new(&["place", ">price", "score", ">hosts"]);
    let (mut shown, mut hidden) = (0, 0);
    for candidate in candidates {
        if !verbose && shown >= MOST && candidate.taken == 0 {
            hidden += 1;
            continue;
        }
        shown += 1;
        let hosts = if candidate.taken > 0 { candidate.taken.to_string() } else { String::new() };
        let price = words::monthly(candidate.price).unwrap_or_default();
        table.row([words::spot(candidate), price, words::score(best, candidate), hosts]);
    }
    let _ = writeln!(text, "\n{}", paint(BOLD, title));
    for line in table.render().lines() {
        let _ = writeln!(text, "  {line}");
    }
    if hidden > 0 {
        let _ = writeln!(text, "  {}", paint(DIM, &format!("… and {hidden} more (-v shows all)")));
    }
}

fn list(text: &mut String, title: &str, rows: impl Iterator<Item = String>, verbose: bool) {
    let rows: Vec<String> = rows.collect();
    if rows.is_empty() {
        return;
    }
    let shown = if verbose { rows.len() } else { rows.len().min(MOST) };
    let _ = writeln!(text, "\n{}", paint(BOLD, title));
    for row in &rows[..shown] {
        let _ = writeln!(text, "  {row}");
    }
    if shown < rows.len() {
        let _ = writeln!(text, "  {}", paint(DIM, &format!("… and {} more (-v shows all)", rows.len() - shown)));
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use pool_inventory::Money;
    use pool_planner::plan::Candidate;

    use super::*;
    use crate::render::samples;

    fn explain(address: &Address, saved: &SavedPlan) -> String {
        let text = Explained::new(address, &[], saved).render(saved, false);
        anstream::adapter::strip_str(&text).to_string()
    }

    #[test]
    fn a_host_that_is_planned_shows_its_places_and_the_refused_ones() {
        let mut saved = samples::sample();
        let candidate = |zone: &str, taken| Candidate {
            provider: samples::name("private"),
            region: "".into(),
            zone: zone.into(),
            offering: "m1.large".into(),
            price: Money(83_562),
            rank: 0,
            taken,
        };
        saved.plan.groups[0].hosts = vec!["web-3".into()];
        saved.plan.groups[0].candidates = vec![candidate("az2", 1), candidate("az3", 0)];
        saved.plan.groups[0].alternatives = vec![samples::alternative()];
        assert_snapshot!(explain(&Address::host("web-3"), &saved), @r"
        host/web-3
          is not there yet
          + private/az2 · m1.large · 4 vCPU · 8 GiB · € 61.00/month, because: not present

        Places that fit, best first
          place                         price  score    hosts
          private/az2/m1.large  € 61.00/month  best         1
          private/az3/m1.large  € 61.00/month  as good

        If the chosen place is sold out, in this order
          spare/az2/m1.large · data on spare/gold

        Places that were refused
          private/az1/m1.small: 2 vCPU < 4 vCPU
          private/az2/m1.large: stock is used up
        ");
    }

    #[test]
    fn a_host_that_stays_says_why() {
        assert_snapshot!(explain(&Address::host("web-7"), &samples::sample()), @r"
        host/web-7
          is not there yet
          ! stays: brake max_destroyed 10% is used up (1 of 14 in one run)
        ");
    }

    #[test]
    fn an_object_that_nobody_knows_is_unknown() {
        let (saved, address) = (samples::sample(), Address::host("nobody-0"));
        assert!(Explained::new(&address, &[], &saved).is_unknown());
    }
}
