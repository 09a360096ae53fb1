//! A plan as people read it: header, one line per object, what was not done, sums.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write as _,
};

use pool_engine::ops::SavedPlan;
use pool_inventory::{Address, Money, object::Recorded};
use pool_planner::{
    Action, Plan, Reason,
    plan::{Declined, Group, Proposal, Refusal, Why},
};

use super::{
    changes::{Counts, Line, Symbol, fold, sum_up},
    style::{ADD, BOLD, DIM, REMOVE, WARN, paint},
    table::{count, pad, width},
    undo,
    when::Clock,
    words,
};

/// Lines shown before the rest is summed up; `-v` shows all.
const MOST_LINES: usize = 200;
/// Objects that stay, by name, in one line.
const MOST_NAMES: usize = 5;
/// Refused candidates shown per group; `-v` shows all.
const MOST_REFUSALS: usize = 6;
/// A column grows no wider than this; longer text pushes its own line.
const WIDEST: usize = 72;

/// How a plan is shown.
pub struct View<'a> {
    /// Now, and where.
    pub clock: &'a Clock,
    /// Every field, every line, every diff.
    pub verbose: bool,
    /// What is recorded, to say what goes; a plan names only its address. Empty for a plan that stands for itself.
    pub records: &'a [Recorded],
}

/// The plan, without the lines about how to apply it.
pub fn plan(saved: &SavedPlan, view: &View<'_>) -> String {
    let (mut lines, counts) = fold(&saved.plan);
    name_what_goes(&mut lines, view.records);
    let mut text = format!("{}\n", header(saved, view.clock));
    for (provider, why) in &saved.basis.unseen {
        let _ = writeln!(text, "{} provider {provider} was not reached: {why}", paint(WARN, "warning:"));
    }
    for (host, why) in &saved.basis.unreachable {
        let _ = writeln!(text, "{} host/{host} was not reached: {why}", paint(WARN, "warning:"));
    }
    text.push('\n');
    // Nothing of what was asked for by name is left out quietly.
    let fates = fates(&saved.plan.declined, view.verbose || !saved.plan.scope.errands.is_empty());
    let limit = if view.verbose { usize::MAX } else { MOST_LINES };
    let (lines, rest) = lines.split_at(lines.len().min(limit));
    let names = lines.iter().map(|line| width(&line.address.to_string()));
    let columns = names.chain(fates.iter().take(limit).map(|fate| width(&fate.who))).max().unwrap_or(0).min(WIDEST);
    change_lines(&mut text, lines, columns, view.verbose);
    rest_lines(&mut text, rest);
    fate_lines(&mut text, &fates, columns, saved, view.verbose);
    if !view.verbose && saved.plan.scope.errands.is_empty() {
        quiet_sums(&mut text, &saved.plan.declined);
    }
    scarce(&mut text, &saved.plan, view.verbose);
    if !text.ends_with("\n\n") {
        text.push('\n');
    }
    text.push_str(&sums(saved, &counts));
    if let Some(found) = &saved.plan.proposal {
        text.push_str(&proposal(found, view.verbose));
    }
    text.push_str(&consequences(&saved.plan));
    text.push_str(&undo::lines(&saved.plan, view.verbose));
    text
}

/// What whoever asked for an errand should know before it is done.
fn consequences(plan: &Plan) -> String {
    let mut text = String::new();
    for step in &plan.steps {
        if let Action::Restore { .. } = step.action {
            let _ = writeln!(text, "What {} holds now is lost.", step.address);
        }
    }
    if plan.steps.iter().any(|step| matches!(step.action, Action::PowerOff)) {
        text.push_str("The next apply starts again what is off.\n");
    }
    text
}

/// `acme/prod · 3 pools · 14 hosts · state 41 · observed 2 s ago (3 list calls)`
pub fn header(saved: &SavedPlan, clock: &Clock) -> String {
    let basis = &saved.basis;
    let mut asked = vec![count(basis.list_calls as usize, "list call")];
    if basis.probed > 0 {
        asked.push(format!("{} probed", count(basis.probed, "host")));
    }
    format!(
        "{} · {} · {} · state {} · observed {} ({})",
        paint(BOLD, &format!("{}/{}", saved.plan.inventory, saved.plan.environment)),
        count(basis.pools, "pool"),
        count(basis.hosts, "host"),
        basis.serial,
        clock.ago(saved.created),
        asked.join(", ")
    )
}

/// Says of what is deleted where and what it is.
fn name_what_goes(lines: &mut [Line], records: &[Recorded]) {
    let records: HashMap<&Address, &Recorded> = records.iter().map(|record| (&record.address, record)).collect();
    for line in lines.iter_mut().filter(|line| line.symbol == Symbol::Remove && line.how.is_empty()) {
        if let Some(record) = records.get(&line.address) {
            line.detail = words::object(&record.provider, &record.spec, record.price);
        }
    }
}

fn change_lines(text: &mut String, lines: &[Line], columns: usize, verbose: bool) {
    let widest = |of: &dyn Fn(&Line) -> usize| lines.iter().map(of).max().unwrap_or(0).min(WIDEST);
    let how = widest(&|line| width(line.how));
    let split = widest(&|line| if line.how.is_empty() { 0 } else { width(&line.detail) });
    let gap = if how == 0 { 0 } else { how + 2 };
    let whole = widest(&|line| if line.how.is_empty() { width(&line.detail) } else { 0 }).max(split + gap);
    for line in lines {
        let middle = match line.how {
            "" => pad(&line.detail, whole),
            how => pad(&format!("{}  {how}", pad(&line.detail, whole.saturating_sub(gap))), whole),
        };
        let symbol = paint(line.symbol.style(), &format!("{:>3}", line.symbol.as_str()));
        let address = pad(&line.address.to_string(), columns);
        let row = format!("{symbol} {address}  {middle}  {}", paint(DIM, &line.reason));
        let _ = writeln!(text, "{}", row.trim_end());
        if verbose {
            more_lines(text, &line.more);
        }
    }
}

fn rest_lines(text: &mut String, rest: &[Line]) {
    for (symbol, what) in sum_up(rest) {
        let sign = paint(symbol.style(), &format!("{:>3}", symbol.as_str()));
        let _ = writeln!(text, "{sign} … and {what} more {}", paint(DIM, "(-v shows all)"));
    }
}

fn more_lines(text: &mut String, more: &[String]) {
    for line in more {
        let style = match line.trim_start().chars().next() {
            Some('+') => ADD,
            Some('-') => REMOVE,
            _ => DIM,
        };
        let _ = writeln!(text, "      {}", paint(style, line));
    }
}

/// Whether a reader who did not ask for detail wants to see it.
fn is_quiet(why: &Why) -> bool {
    matches!(why, Why::OutOfScope | Why::Kept | Why::ProviderUnseen)
}

/// Objects that share a fate, and a line.
struct Fate<'a> {
    who: String,
    phrase: String,
    why: &'a Why,
}

/// What was not done; hosts of a group that cannot be placed share a line.
fn fates(declined: &[Declined], verbose: bool) -> Vec<Fate<'_>> {
    let loud = declined.iter().filter(|declined| verbose || !is_quiet(&declined.why));
    let loud = loud.filter(|declined| !matches!(declined.why, Why::Fewer { .. }));
    let mut shared: Vec<Vec<&Declined>> = Vec::new();
    for declined in loud {
        let same =
            |last: &&mut Vec<&Declined>| matches!(declined.why, Why::NoPlace { .. }) && last[0].why == declined.why;
        match shared.last_mut().filter(same) {
            Some(members) => members.push(declined),
            None => shared.push(vec![declined]),
        }
    }
    let fate = |members: &Vec<&'_ Declined>| (addresses(members), words::why(&members[0].why));
    let fates = shared.iter().map(|members| (fate(members), members[0]));
    fates.map(|((who, phrase), first)| Fate { who, phrase, why: &first.why }).collect()
}

fn fate_lines(text: &mut String, fates: &[Fate<'_>], columns: usize, saved: &SavedPlan, verbose: bool) {
    let shown = if verbose { fates.len() } else { fates.len().min(MOST_LINES) };
    for fate in &fates[..shown] {
        let _ = writeln!(text, "{} {}  {}", paint(WARN, "  !"), pad(&fate.who, columns), fate.phrase);
        refusal_lines(text, refusals(fate.why, &saved.plan.groups), verbose);
    }
    if shown < fates.len() {
        let rest = fates.len() - shown;
        let _ = writeln!(text, "{} … and {rest} more {}", paint(WARN, "  !"), paint(DIM, "(-v shows all)"));
    }
}

fn addresses(members: &[&Declined]) -> String {
    match members {
        [first, .., last] => format!("{} … {} ({})", first.address, last.address.name, members.len()),
        [one] => one.address.to_string(),
        [] => String::new(),
    }
}

fn refusals<'a>(why: &'a Why, groups: &'a [Group]) -> &'a [Refusal] {
    match why {
        Why::NoPlace { group } | Why::Fewer { group: Some(group), .. } => {
            groups.get(group.0 as usize).map_or(&[], |group| &group.refusals)
        }
        Why::NoBackend { refusals } => refusals,
        _ => &[],
    }
}

fn refusal_lines(text: &mut String, refusals: &[Refusal], verbose: bool) {
    let shown = if verbose { refusals.len() } else { refusals.len().min(MOST_REFUSALS) };
    for refusal in &refusals[..shown] {
        let _ = writeln!(text, "      {}", paint(DIM, &words::refusal(refusal)));
    }
    if shown < refusals.len() {
        let _ =
            writeln!(text, "      {}", paint(DIM, &format!("… and {} more (-v shows all)", refusals.len() - shown)));
    }
}

fn quiet_sums(text: &mut String, declined: &[Declined]) {
    let mut sums: BTreeMap<String, (&Why, Vec<&Address>)> = BTreeMap::new();
    for declined in declined.iter().filter(|declined| is_quiet(&declined.why)) {
        let of = sums.entry(words::why(&declined.why)).or_insert((&declined.why, Vec::new()));
        of.1.push(&declined.address);
    }
    for (phrase, (why, who)) in sums {
        let what = match who[..] {
            [one] => one.to_string(),
            // What stays and costs is named.
            _ if matches!(why, Why::Kept) => named(&who),
            _ => count(who.len(), "object"),
        };
        let _ = writeln!(text, "    {}", paint(DIM, &format!("{what}: {phrase}")));
    }
}

/// The first of many, by name.
fn named(all: &[&Address]) -> String {
    let shown: Vec<String> = all.iter().take(MOST_NAMES).map(ToString::to_string).collect();
    let rest = all.len() - shown.len();
    if rest == 0 { shown.join(", ") } else { format!("{} and {rest} more (-v shows all)", shown.join(", ")) }
}

/// Pools that get less than they want, who comes before them, and which of their hosts go.
fn scarce(text: &mut String, plan: &Plan, verbose: bool) {
    let fewer: Vec<&Declined> =
        plan.declined.iter().filter(|declined| matches!(declined.why, Why::Fewer { .. })).collect();
    if fewer.is_empty() {
        return;
    }
    if !text.ends_with("\n\n") {
        text.push('\n');
    }
    let _ = writeln!(text, "{}", paint(BOLD, "There is not enough for all that is wanted:"));
    for declined in fewer {
        let Why::Fewer { class, to, .. } = &declined.why else { continue };
        let class = class.as_ref().map(|class| format!(" ({class})")).unwrap_or_default();
        let _ = writeln!(text, "    {}{class}  {}", declined.address, words::why(&declined.why));
        refusal_lines(text, refusals(&declined.why, &plan.groups), verbose);
        if !to.is_empty() {
            let to: Vec<String> = to.iter().map(|pool| format!("pool/{pool}")).collect();
            let _ = writeln!(text, "      {}", paint(DIM, &format!("{} before it, by class", comes(&to))));
        }
    }
    let going = plan.steps.iter().filter(|step| matches!(step.reason, Reason::GivesWay { .. })).count();
    if going > 0 {
        let gives = if going == 1 { "gives way; its volumes" } else { "give way; their volumes" };
        let _ = writeln!(text, "    {} {gives} stay unless `on_remove` says otherwise.", count(going, "host"));
    }
}

fn comes(pools: &[String]) -> String {
    match pools {
        [one] => format!("{one} comes"),
        several => format!("{} come", several.join(", ")),
    }
}

/// `Plan: 2 to add, 1 to change, 1 to replace, 0 to destroy; 2 to bootstrap. + € 74.10/month`
fn sums(saved: &SavedPlan, counts: &Counts) -> String {
    if saved.plan.is_empty() {
        return no_changes(saved);
    }
    let Counts { add, change, replace, destroy, .. } = counts;
    let mut text = format!(
        "{} {add} to add, {change} to change, {replace} to replace, {destroy} to destroy",
        paint(BOLD, "Plan:")
    );
    let others = [
        (counts.adopt, "to adopt"),
        (counts.release, "to release"),
        (counts.restore, "to restore"),
        (counts.record, "to record"),
        (counts.bootstrap, "to bootstrap"),
        (counts.join, "to join"),
        (counts.leave, "to leave"),
    ];
    let others: Vec<String> = others.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    if !others.is_empty() {
        let _ = write!(text, "; {}", others.join(", "));
    }
    let _ = writeln!(text, ".{}", cost(saved).map(|cost| format!(" {cost}")).unwrap_or_default());
    text
}

/// What `--optimize` found: what is saved, what is disturbed for it, and what was left out.
fn proposal(found: &Proposal, verbose: bool) -> String {
    let head = paint(BOLD, "Proposal:");
    let mut text = String::new();
    if found.moved + found.replaced == 0 {
        let _ = writeln!(text, "{head} nothing would save anything.");
    } else {
        let saved = words::monthly(found.saved).map(|saved| format!(" saves {saved}:")).unwrap_or_default();
        let _ = writeln!(
            text,
            "{head}{saved} {} moved in place, {} replaced, {} left empty.",
            count(found.moved, "host"),
            found.replaced,
            count(found.emptied.len(), "machine")
        );
    }
    for zone in found.filled.iter().filter(|zone| verbose || zone.machines_before != zone.machines_after) {
        let place = words::place(&zone.provider, &zone.zone);
        let (before, after) = (count(zone.machines_before, "machine"), count(zone.machines_after, "machine"));
        let (from, to) = (zone.share_before, zone.share_after);
        let _ = writeln!(text, "  {place}: {before} with {from} of {} used → {after} with {to}", zone.resource);
    }
    if found.braked > 0 {
        let stay = count(found.braked, "host");
        let _ = writeln!(text, "  {stay} more would cost less elsewhere: brake max_replaced is used up");
    }
    if found.young > 0 {
        let stay = count(found.young, "host");
        let _ = writeln!(text, "  {stay} not looked at: younger than policy.min_residence");
    }
    text
}

fn no_changes(saved: &SavedPlan) -> String {
    let (plan, basis) = (&saved.plan, &saved.basis);
    let rest = match (plan.is_incomplete(), basis.unreachable.len() + basis.unseen.len()) {
        (false, _) if !plan.scope.errands.is_empty() => "What was asked for is so already.".to_owned(),
        (true, _) if !plan.scope.errands.is_empty() => "Nothing of what was asked for can be done.".to_owned(),
        (true, _) => "Nothing else is to do.".to_owned(),
        (false, 0) => format!("{} as declared.", is_are(plan.unchanged)),
        (false, silent) => {
            format!("{} as declared, as far as was seen; {silent} did not answer.", is_are(plan.unchanged))
        }
    };
    let rest = match (plan.scope.destroy, plan.declined.len()) {
        (true, stay @ 1..) => format!("Nothing can be destroyed: {} for the reasons above.", stays(stay)),
        _ => rest,
    };
    format!("{} {rest}\n", paint(BOLD, "No changes."))
}

fn stays(objects: usize) -> String {
    if objects == 1 { "1 object stays".to_owned() } else { format!("{objects} objects stay") }
}

fn is_are(objects: usize) -> String {
    match objects {
        1 => "1 object is".to_owned(),
        n => format!("{n} objects are"),
    }
}

fn cost(saved: &SavedPlan) -> Option<String> {
    let delta = saved.plan.cost.after.per_month() - saved.plan.cost.before.per_month();
    match delta.0 {
        0 => None,
        1.. => Some(format!("+ {delta}/month")),
        _ => Some(format!("- {}/month", Money(-delta.0))),
    }
}

/// How the plan is applied: the lines below it.
pub fn footer(saved: &SavedPlan, clock: &Clock, command: impl Fn(&str) -> String) -> String {
    if saved.plan.is_empty() {
        return String::new();
    }
    let blocked = saved.plan.declined.iter().filter(|declined| saved.plan.blocks(declined)).count();
    let partial = if blocked > 0 { " --partial" } else { "" };
    let mut text = String::new();
    if blocked > 0 {
        let _ = writeln!(text, "{} cannot be done (marked !); the rest can be applied.", count(blocked, "item"));
    }
    let apply = command(&format!("apply {}{partial}", saved.id));
    let _ = writeln!(
        text,
        "Saved as plan {} (one use, until {}). Apply it with: {}",
        saved.id,
        clock.time(saved.expires),
        paint(BOLD, &apply)
    );
    text
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use pool_inventory::market::Feature;
    use pool_planner::{Reason, plan::GroupId};

    use super::*;
    use crate::render::samples::{self, Steps, name};

    fn show(saved: &SavedPlan, verbose: bool) -> String {
        let clock = Clock::fixed(samples::NOW);
        let text = plan(saved, &View { clock: &clock, verbose, records: &[] })
            + &footer(saved, &clock, |rest| format!("pool {rest}"));
        anstream::adapter::strip_str(&text).to_string()
    }

    #[test]
    fn a_plan_reads_as_the_interface_promises() {
        assert_snapshot!(show(&samples::sample(), false), @r#"
        acme/prod · 3 pools · 14 hosts · state 41 · observed 2 s ago (3 list calls)

          + host/web-3         private/az2 · m1.large · 4 vCPU · 8 GiB · € 61.00/month  not present
          + volume/web-3.data  private/gold · 200 GiB · high                            not present
          ~ host/web-1         tags.owner "a" → "b"                           in place  spec changed
        -/+ host/db-0          image debian-11 → debian-12                    rebuild   spec changed
          > host/web-1         bootstrap                                                file /etc/motd differs
          ! host/web-7         stays: brake max_destroyed 10% is used up (1 of 14 in one run)

        Plan: 2 to add, 1 to change, 1 to replace, 0 to destroy; 3 to bootstrap. + € 74.10/month
        Saved as plan 7f3a2c (one use, until 11:32). Apply it with: pool apply 7f3a2c
        "#);
    }

    #[test]
    fn verbose_shows_every_field_and_every_diff() {
        assert_snapshot!(show(&samples::sample(), true), @r#"
        acme/prod · 3 pools · 14 hosts · state 41 · observed 2 s ago (3 list calls)

          + host/web-3         private/az2 · m1.large · 4 vCPU · 8 GiB · € 61.00/month  not present
          + volume/web-3.data  private/gold · 200 GiB · high                            not present
          ~ host/web-1         tags.owner "a" → "b"                           in place  spec changed
              tags.owner: "a" → "b"
        -/+ host/db-0          image debian-11 → debian-12                    rebuild   spec changed
              image: debian-11 → debian-12
          > host/web-1         bootstrap                                                file /etc/motd differs
              file /etc/motd
                --- /etc/motd
                +++ /etc/motd
                -hello
                +welcome
          ! host/web-7         stays: brake max_destroyed 10% is used up (1 of 14 in one run)

        Plan: 2 to add, 1 to change, 1 to replace, 0 to destroy; 3 to bootstrap. + € 74.10/month
        Saved as plan 7f3a2c (one use, until 11:32). Apply it with: pool apply 7f3a2c
        "#);
    }

    #[test]
    fn what_cannot_be_placed_names_each_refused_candidate_once() {
        let no_place = Why::NoPlace { group: GroupId(0) };
        let mut declined: Vec<Declined> =
            ["web-8", "web-9"].map(|host| Declined { address: Address::host(host), why: no_place.clone() }).into();
        declined.push(Declined {
            address: Address::host("db-1"),
            why: Why::Lacks { features: vec![Feature::Packages, Feature::Users], provider: name("here") },
        });
        declined.push(Declined { address: Address::volume("old-0", "data"), why: Why::Kept });
        let mut steps = Steps::default();
        steps.new_host("web-3");
        assert_snapshot!(show(&samples::saved(steps.0, declined), false), @r"
        acme/prod · 3 pools · 14 hosts · state 41 · observed 2 s ago (3 list calls)

          + host/web-3              private/az2 · m1.large · 4 vCPU · 8 GiB · € 61.00/month  not present
          ! host/web-8 … web-9 (2)  cannot be placed
              private/az1/m1.small: 2 vCPU < 4 vCPU
              private/az2/m1.large: stock is used up
          ! host/db-1               provider here cannot do this here: packages, further users
            volume/old-0.data: stays: on_remove is keep

        Plan: 1 to add, 0 to change, 0 to replace, 0 to destroy; 1 to bootstrap.
        3 items cannot be done (marked !); the rest can be applied.
        Saved as plan 7f3a2c (one use, until 11:32). Apply it with: pool apply 7f3a2c --partial
        ");
    }

    #[test]
    fn volumes_that_stay_are_named() {
        let kept = |n: u32| Declined { address: Address::volume(&format!("old-{n}"), "data"), why: Why::Kept };
        let shown = |n| show(&samples::saved(Vec::new(), (0..n).map(kept).collect()), false);
        assert!(
            shown(2).contains("    volume/old-0.data, volume/old-1.data: stays: on_remove is keep\n"),
            "{}",
            shown(2)
        );
        assert!(shown(7).contains("volume/old-4.data and 2 more (-v shows all): stays"), "{}", shown(7));
    }

    #[test]
    fn a_proposal_says_what_it_saves_and_what_it_disturbs() {
        use pool_inventory::Percent;
        use pool_planner::plan::{Emptied, Filled};
        let mut steps = Steps::default();
        let on = |machine: &str| {
            let host = samples::host();
            pool_inventory::object::Spec::Host(pool_inventory::object::HostSpec {
                machine: Some(machine.into()),
                ..host
            })
        };
        let saved = Money(500_000);
        let reason = Reason::Optimized { empties: Some("r1-7".into()), saved };
        steps.add(Address::host("web-0"), Action::Update { from: on("r1-7"), to: on("r1-2") }, reason);
        let mut plan = samples::saved(steps.0, Vec::new());
        let filled = Filled {
            provider: name("private"),
            zone: "az2".into(),
            resource: "memory".into(),
            machines_before: 3,
            machines_after: 2,
            share_before: Percent(5_000),
            share_after: Percent(7_500),
        };
        plan.plan.proposal = Some(Box::new(Proposal {
            saved,
            moved: 1,
            replaced: 0,
            braked: 4,
            young: 2,
            emptied: vec![Emptied { provider: name("private"), machine: "r1-7".into(), saved }],
            filled: vec![filled],
        }));
        plan.plan.cost = pool_planner::plan::CostChange { before: saved, after: Money(0) };
        assert_snapshot!(show(&plan, false), @r"
        acme/prod · 3 pools · 14 hosts · state 41 · observed 2 s ago (3 list calls)

          ~ host/web-0  machine r1-7 → r1-2  in place  empties r1-7: saves € 365.00/month

        Plan: 0 to add, 1 to change, 0 to replace, 0 to destroy. - € 365.00/month
        Proposal: saves € 365.00/month: 1 host moved in place, 0 replaced, 1 machine left empty.
          private/az2: 3 machines with 50% of memory used → 2 machines with 75%
          4 hosts more would cost less elsewhere: brake max_replaced is used up
          2 hosts not looked at: younger than policy.min_residence
        Saved as plan 7f3a2c (one use, until 11:32). Apply it with: pool apply 7f3a2c
        ");
        let mut nothing = samples::saved(Vec::new(), Vec::new());
        nothing.plan.proposal = Some(Box::default());
        assert!(show(&nothing, false).ends_with("as declared.\nProposal: nothing would save anything.\n"));
    }

    #[test]
    fn nothing_to_do_says_so_and_offers_nothing() {
        let mut saved = samples::saved(Vec::new(), Vec::new());
        assert_snapshot!(show(&saved, false), @r"
        acme/prod · 3 pools · 14 hosts · state 41 · observed 2 s ago (3 list calls)

        No changes. 17 objects are as declared.
        ");
        saved.basis.unreachable.insert("web-1".into(), "no route to host".into());
        assert_snapshot!(show(&saved, false), @r"
        acme/prod · 3 pools · 14 hosts · state 41 · observed 2 s ago (3 list calls)
        warning: host/web-1 was not reached: no route to host

        No changes. 17 objects are as declared, as far as was seen; 1 did not answer.
        ");
    }

    #[test]
    fn a_large_plan_is_summed_up_after_two_hundred_lines() {
        let mut steps = Steps::default();
        for ordinal in 0..250 {
            steps.new_host(&format!("web-{ordinal}")).new_volume(&format!("web-{ordinal}"));
        }
        let text = show(&samples::saved(steps.0.clone(), Vec::new()), false);
        let tail: Vec<&str> = text.lines().skip(MOST_LINES + 1).collect();
        assert_snapshot!(tail.join("\n"), @r"
          + volume/web-99.data  private/gold · 200 GiB · high                            not present
          + … and 150 hosts more (-v shows all)
          + … and 150 volumes more (-v shows all)

        Plan: 500 to add, 0 to change, 0 to replace, 0 to destroy; 250 to bootstrap.
        Saved as plan 7f3a2c (one use, until 11:32). Apply it with: pool apply 7f3a2c
        ");
        assert!(show(&samples::saved(steps.0, Vec::new()), true).contains("volume/web-249.data"));
    }

    #[test]
    fn every_other_kind_of_step_has_its_line() {
        use pool_planner::Action;
        let mut steps = Steps::default();
        let host = |name: &str| Address::host(name);
        steps
            .add(host("gone-0"), Action::Delete, Reason::Removed)
            .add(Address::volume("gone-0", "data"), Action::Delete, Reason::FollowsFrom { address: host("gone-0") })
            .add(host("m-1"), Action::Release, Reason::Removed)
            .add(host("lost-0"), Action::Forget, Reason::Vanished)
            .add(host("off-0"), Action::PowerOn, Reason::Unhealthy { detail: "it is off".into() })
            .add(
                Address::volume("web-0", "data"),
                Action::Attach { to: pool_inventory::object::Spec::Volume(samples::volume("web-0")) },
                Reason::Unfinished,
            )
            .bootstrap("web-0", Reason::Unfinished);
        assert_snapshot!(show(&samples::saved(steps.0, Vec::new()), false), @r"
        acme/prod · 3 pools · 14 hosts · state 41 · observed 2 s ago (3 list calls)

          ~ host/off-0          power on                               in place     unhealthy: it is off
          ~ volume/web-0.data   attach to host/web-0 at /var/lib/data  in place     begun and not finished
          - host/gone-0         private                                             removed
          - volume/gone-0.data  private                                             follows from host/gone-0
          - host/lost-0         drop the record                        record only  gone from the provider
          - host/m-1            private · it is left as it is          release      removed
          > host/web-0          bootstrap                                           begun and not finished

        Plan: 0 to add, 2 to change, 0 to replace, 2 to destroy; 1 to release, 1 to record, 1 to bootstrap.
        Saved as plan 7f3a2c (one use, until 11:32). Apply it with: pool apply 7f3a2c
        ");
    }
}
