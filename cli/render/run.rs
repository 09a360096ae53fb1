//! A run as people read it: a line per event, and the report at its end.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write as _,
    time::{Duration, Instant},
};

use pool_engine::{
    Event, RunSummary,
    event::{Failure, Skip},
};
use pool_inventory::{Address, Name, Text};
use pool_planner::StepId;

use super::{
    style::{ADD, BOLD, CHANGE, DIM, HINT, REMOVE, WARN, paint},
    table::{count, pad},
    when::span,
};

/// Failures shown in full at the end; the journal has all.
const MOST_FAILURES: usize = 20;
/// The order in which verbs are told.
const VERBS: [&str; 30] = [
    "create",
    "adopt",
    "rebuild",
    "restore",
    "update",
    "power-on",
    "power-off",
    "restart",
    "attach",
    "detach",
    "bootstrap",
    "init",
    "join",
    "configure",
    "snapshot",
    "drain",
    "upgrade",
    "rollback",
    "promote",
    "demote",
    "renew",
    "settle",
    "cordon",
    "uncordon",
    "leave",
    "delete",
    "take-back",
    "release",
    "forget",
    "record",
];
/// Width of verbs: `bootstrap` and `power-off` are the longest.
const VERB: usize = 9;

/// A step that runs.
#[derive(Debug, Clone)]
pub struct Running {
    /// What it acts on.
    pub address: Address,
    /// What it does.
    pub verb: Text,
    /// How far it is.
    pub detail: Text,
    /// Since when.
    pub since: Instant,
}

/// What a run has come to so far: a fold over its events.
#[derive(Debug, Default)]
pub struct Tally {
    /// Id of the run.
    pub run: Text,
    /// Steps of the plan.
    pub steps: usize,
    /// Steps that run, by id.
    pub running: BTreeMap<StepId, Running>,
    /// Steps that ended, however.
    pub ended: usize,
    /// Steps that succeeded, by verb.
    pub done: BTreeMap<Text, usize>,
    /// Steps that failed.
    pub failures: Vec<(Address, Text, Failure)>,
    /// Steps that were not tried, by reason.
    pub skipped: BTreeMap<String, usize>,
    /// What it ended with.
    pub summary: Option<RunSummary>,
    names: HashMap<StepId, (Address, Text)>,
    address_width: usize,
}

impl Tally {
    /// Before the first event; the plan's addresses tell how wide the columns are.
    pub fn new<'a>(addresses: impl Iterator<Item = &'a Address>) -> Self {
        let address_width = addresses.map(|address| address.to_string().len()).max().unwrap_or(0).min(40);
        Self { address_width, ..Self::default() }
    }

    /// Takes one event in; the line that tells it, if it is worth one.
    pub fn take(&mut self, event: &Event, now: Instant, verbose: bool) -> Option<String> {
        let line = self.line(event, verbose).filter(|_| !is_knot(event));
        self.fold(event, now);
        line
    }

    /// Takes one event in that nobody is told.
    pub fn fold(&mut self, event: &Event, now: Instant) {
        match event {
            Event::RunStarted { run, steps, .. } => (self.run, self.steps) = (run.clone(), *steps),
            Event::StepStarted { step, address, verb, .. } => {
                self.names.insert(*step, (address.clone(), verb.clone()));
                let running = Running { address: address.clone(), verb: verb.clone(), detail: "".into(), since: now };
                self.running.entry(*step).or_insert(running);
            }
            Event::StepProgress { step, detail } => self.note(*step, detail.clone()),
            Event::StepRetry { step, error, .. } => self.note(*step, error.clone()),
            Event::StepMoved { step, to, .. } => self.note(*step, format!("moved to {to}").into()),
            Event::StepSucceeded { step, verb, .. } => {
                self.end(*step);
                *self.done.entry(verb.clone()).or_default() += 1;
            }
            Event::StepFailed { step, address, verb, failure, .. } => {
                self.end(*step);
                self.failures.push((address.clone(), verb.clone(), failure.clone()));
            }
            Event::StepSkipped { step, because, .. } => {
                self.end(*step);
                *self.skipped.entry(skip(because)).or_default() += 1;
            }
            Event::UndoStarted { steps } => self.steps += steps,
            Event::RunFinished { summary } => self.summary = Some(summary.clone()),
            Event::Settling { .. } | Event::Settled { .. } | Event::Warning { .. } | Event::Interrupted { .. } => {}
        }
    }

    fn note(&mut self, step: StepId, detail: Text) {
        if let Some(running) = self.running.get_mut(&step) {
            running.detail = detail;
        }
    }

    fn end(&mut self, step: StepId) {
        self.running.remove(&step);
        self.names.remove(&step);
        self.ended += 1;
    }

    /// One event as one line.
    fn line(&self, event: &Event, verbose: bool) -> Option<String> {
        let of = |step: &StepId| self.names.get(step).map(|(address, verb)| (address, &**verb));
        let line = match event {
            Event::RunStarted { run, plan, steps } => format!("run {run}: plan {plan}, {}", count(*steps, "step")),
            Event::Settling { address, objects, provider, wait_ms } => settling(address, *objects, provider, *wait_ms),
            Event::Settled { address, exists } => {
                let found = if *exists { "it exists" } else { "it was not made" };
                self.row(' ', DIM, address, "settled", found)
            }
            Event::StepStarted { address, verb, attempt, .. } => {
                // The high bits tell which part of a step it is; people count tries.
                let tries = attempt & 0xff;
                let again = if tries == 0 { String::new() } else { format!("attempt {}", tries + 1) };
                self.row(' ', DIM, address, verb, &again)
            }
            Event::StepProgress { step, detail } if verbose => {
                let (address, verb) = of(step)?;
                self.row(' ', DIM, address, verb, detail)
            }
            Event::StepProgress { .. } | Event::RunFinished { .. } => return None,
            Event::StepRetry { step, error, wait_ms } => {
                let (address, verb) = of(step)?;
                self.row('~', CHANGE, address, verb, &format!("again in {}: {error}", span(*wait_ms)))
            }
            Event::StepMoved { step, from, to } => {
                let (address, verb) = of(step)?;
                self.row('~', CHANGE, address, verb, &format!("no capacity in {from}, now in {to}"))
            }
            Event::StepSucceeded { address, verb, millis, detail, .. } => {
                let detail = detail.as_deref().map(|detail| format!(" · {detail}")).unwrap_or_default();
                self.row('✓', ADD, address, verb, &format!("{}{detail}", span(*millis)))
            }
            Event::StepFailed { address, verb, failure, millis, .. } => {
                self.row('✗', REMOVE, address, verb, &format!("{} · {}", span(*millis), failure.message))
            }
            Event::StepSkipped { address, verb, because, .. } => {
                self.row('-', DIM, address, verb, &format!("not tried: {}", skip(because)))
            }
            Event::UndoStarted { steps } => {
                format!("{} what this run made is taken back, {}.", paint(WARN, "Undo:"), count(*steps, "step"))
            }
            Event::Warning { text } => format!("{} {text}", paint(WARN, "warning:")),
            Event::Interrupted { hard: false } => self.stopping(),
            Event::Interrupted { hard: true } => "Cancelling what runs.".to_owned(),
        };
        Some(line)
    }

    fn stopping(&self) -> String {
        format!(
            "Stopping: nothing new is started, {} to finish. Ctrl-C again cancels.",
            count(self.running.len(), "running step")
        )
    }

    fn row(&self, sign: char, style: anstyle::Style, address: &Address, verb: &str, rest: &str) -> String {
        let address = pad(&address.to_string(), self.address_width);
        format!("{} {address}  {verb:<VERB$}  {rest}", paint(style, &sign.to_string())).trim_end().to_owned()
    }

    /// A running step on its line.
    pub fn running_line(&self, running: &Running, now: Instant) -> String {
        let age = span_seconds(now.saturating_duration_since(running.since));
        let detail = super::table::clip(&running.detail, 60);
        self.row('…', DIM, &running.address, &running.verb, format!("{age:>6}  {detail}").trim_end())
    }

    /// `34/120 · 12 running · 2 failed`
    pub fn counts(&self) -> String {
        let mut text = format!("{}/{} · {} running", self.ended, self.steps, self.running.len());
        if !self.failures.is_empty() {
            let _ = write!(text, " · {} failed", self.failures.len());
        }
        text
    }
}

/// Steps that only wait for others are nothing to tell.
fn is_knot(event: &Event) -> bool {
    match event {
        Event::StepStarted { verb, .. } | Event::StepSucceeded { verb, .. } | Event::StepSkipped { verb, .. } => {
            &**verb == "gather"
        }
        _ => false,
    }
}

/// `8 s`, `3 min 05 s`
fn span_seconds(age: Duration) -> String {
    if age.as_secs() < 60 { format!("{} s", age.as_secs()) } else { span(age.as_millis() as u64) }
}

fn skip(because: &Skip) -> String {
    match because {
        Skip::Needs { address } => format!("needs {address}"),
        Skip::Interrupted => "interrupted".to_owned(),
        Skip::Stopped => "stopped after a failure".to_owned(),
        Skip::LeaseLost => "the lease was taken away".to_owned(),
    }
}

/// What came of a run: what changed, what failed and why, and the command that goes on.
pub fn report(tally: &Tally, summary: &RunSummary, command: impl Fn(&str) -> String) -> String {
    let mut text = failures(tally);
    let _ = writeln!(text, "{} {}", headline(summary), what_was_done(tally, summary));
    if !summary.calls.is_empty() {
        let _ = writeln!(text, "{}", paint(DIM, &calls(&summary.calls)));
    }
    let unfinished = summary.failed + summary.skipped > 0 || summary.interrupted || summary.lease_lost;
    if unfinished {
        let state = match &summary.undo {
            _ if summary.lease_lost => "The lease was taken away: this run does nothing more.",
            Some(undo) if undo.remains == 0 => "Nothing that it made is left.",
            _ => "What is done is recorded.",
        };
        let _ = writeln!(text, "{state} Go on with: {}", paint(BOLD, &command("apply")));
        let _ = writeln!(
            text,
            "{}",
            paint(DIM, &format!("Step by step: {}", command(&format!("history {}", summary.run))))
        );
    }
    text
}

fn headline(summary: &RunSummary) -> String {
    match (summary.interrupted, summary.failed + summary.skipped) {
        (true, _) => paint(WARN, "Interrupted:"),
        (false, 0) => paint(ADD, "Done:"),
        (false, _) if !summary.changed() && summary.undo.is_some() => paint(REMOVE, "Undone:"),
        (false, _) if summary.succeeded == 0 => paint(REMOVE, "Failed:"),
        (false, _) => paint(WARN, "Partly done:"),
    }
}

fn what_was_done(tally: &Tally, summary: &RunSummary) -> String {
    let mut told: Vec<(&str, usize)> = tally.done.iter().map(|(verb, number)| (&**verb, *number)).collect();
    told.retain(|(verb, _)| *verb != "gather");
    told.sort_by_key(|(verb, _)| VERBS.iter().position(|known| known == verb));
    let mut parts: Vec<String> = told.iter().map(|(verb, number)| format!("{number} {}", past(verb))).collect();
    if parts.is_empty() {
        // A step that failed may have done a part of its work.
        let nothing = if summary.failed > 0 { "no step was finished" } else { "nothing was changed" };
        parts.push(nothing.to_owned());
    }
    let mut text = parts.join(", ");
    if summary.failed > 0 {
        let _ = write!(text, "; {} failed", summary.failed);
    }
    if summary.skipped > 0 {
        let _ = write!(text, "; {} not tried", summary.skipped);
        // One reason for all is worth saying; many are in the history.
        if let [(reason, _)] = tally.skipped.iter().collect::<Vec<_>>()[..] {
            let _ = write!(text, " ({reason})");
        }
    }
    if let Some(undo) = summary.undo.filter(|undo| undo.remains > 0) {
        let _ = write!(text, "; {} that it changed stay so", count(undo.remains, "object"));
    }
    let _ = write!(text, ", in {}.", span(summary.millis));
    text
}

fn past(verb: &str) -> String {
    match verb {
        "power-on" => "powered on".to_owned(),
        "power-off" => "powered off".to_owned(),
        "bootstrap" => "bootstrapped".to_owned(),
        "rebuild" => "rebuilt".to_owned(),
        "forget" => "forgotten".to_owned(),
        "take-back" => "taken back".to_owned(),
        "init" => "begun".to_owned(),
        "leave" => "left".to_owned(),
        "snapshot" => "snapshot taken".to_owned(),
        "rollback" => "rolled back".to_owned(),
        verb if verb.ends_with('e') => format!("{verb}d"),
        verb => format!("{verb}ed"),
    }
}

fn failures(tally: &Tally) -> String {
    let mut text = String::new();
    for (address, verb, failure) in tally.failures.iter().take(MOST_FAILURES) {
        let _ = writeln!(text, "{} {address}  {verb}: {}", paint(REMOVE, "failed"), failure.message);
        for line in failure.detail.iter().flat_map(|detail| detail.lines()) {
            let _ = writeln!(text, "    {} {line}", paint(DIM, "|"));
        }
        if let Some(hint) = &failure.hint {
            let _ = writeln!(text, "  {} {hint}", paint(HINT, "hint:"));
        }
    }
    if tally.failures.len() > MOST_FAILURES {
        let _ = writeln!(text, "… and {} more failures", tally.failures.len() - MOST_FAILURES);
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text
}

fn calls(calls: &BTreeMap<Name, u64>) -> String {
    let calls: Vec<String> = calls.iter().map(|(name, n)| format!("{name} {n}")).collect();
    format!("calls: {}", calls.join(", "))
}

/// What is waited for before anything else is done.
pub fn settling(first: &Address, objects: usize, provider: &Name, wait_ms: u64) -> String {
    let who = match objects {
        1 => format!("{first} exists"),
        n => format!("{first} and {} exist", count(n - 1, "other object")),
    };
    format!("waiting until {provider} tells for certain whether {who}: at most {}", span(wait_ms))
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use pool_engine::event::FailureClass;

    use super::*;

    fn events() -> Vec<Event> {
        let (web, db) = (Address::host("web-3"), Address::host("db-0"));
        let started = |step, address: &Address, verb: &str, attempt| Event::StepStarted {
            step: StepId(step),
            address: address.clone(),
            verb: verb.into(),
            attempt,
        };
        let failure = Failure {
            class: FailureClass::Command,
            message: "package chrony: apt-get exited with 100".into(),
            detail: Some("E: Unable to locate package chrony\nE: giving up".into()),
            hint: Some("check the host's package sources".into()),
        };
        vec![
            Event::RunStarted { run: "8c1f".into(), plan: "7f3a2c".into(), steps: 5 },
            Event::Settling {
                address: web.clone(),
                objects: 3,
                provider: Name::new("private").expect("a name"),
                wait_ms: 60_000,
            },
            Event::Settled { address: web.clone(), exists: false },
            started(0, &web, "create", 0),
            started(1, &db, "bootstrap", 1),
            Event::StepMoved {
                step: StepId(0),
                from: "private/az2/m1.large".into(),
                to: "private/az3/m1.large".into(),
            },
            Event::StepRetry { step: StepId(0), error: "too many requests".into(), wait_ms: 1500 },
            Event::StepProgress { step: StepId(1), detail: "package chrony".into() },
            Event::StepSucceeded {
                step: StepId(0),
                address: web.clone(),
                verb: "create".into(),
                millis: 3_420,
                detail: Some("10.0.0.7".into()),
            },
            Event::StepFailed { step: StepId(1), address: db.clone(), verb: "bootstrap".into(), failure, millis: 900 },
            Event::StepSkipped {
                step: StepId(2),
                address: Address::volume("db-0", "data"),
                verb: "attach".into(),
                because: Skip::Needs { address: db },
            },
            Event::Warning { text: "the clock of db-0 is 3 s behind".into() },
            Event::Interrupted { hard: false },
        ]
    }

    fn tally(events: &[Event], verbose: bool) -> (Tally, String) {
        let addresses = [Address::host("web-3"), Address::volume("db-0", "data")];
        let mut tally = Tally::new(addresses.iter());
        let now = Instant::now();
        let lines: Vec<String> = events.iter().filter_map(|event| tally.take(event, now, verbose)).collect();
        (tally, anstream::adapter::strip_str(&lines.join("\n")).to_string())
    }

    fn end(tally: &Tally, summary: &RunSummary) -> String {
        anstream::adapter::strip_str(&report(tally, summary, |rest| format!("pool {rest}"))).to_string()
    }

    #[test]
    fn each_event_is_one_line() {
        assert_snapshot!(tally(&events(), true).1, @r"
        run 8c1f: plan 7f3a2c, 5 steps
        waiting until private tells for certain whether host/web-3 and 2 other objects exist: at most 1 min 00 s
          host/web-3        settled    it was not made
          host/web-3        create
          host/db-0         bootstrap  attempt 2
        ~ host/web-3        create     no capacity in private/az2/m1.large, now in private/az3/m1.large
        ~ host/web-3        create     again in 1.5 s: too many requests
          host/db-0         bootstrap  package chrony
        ✓ host/web-3        create     3.4 s · 10.0.0.7
        ✗ host/db-0         bootstrap  900 ms · package chrony: apt-get exited with 100
        - volume/db-0.data  attach     not tried: needs host/db-0
        warning: the clock of db-0 is 3 s behind
        Stopping: nothing new is started, 0 running steps to finish. Ctrl-C again cancels.
        ");
    }

    #[test]
    fn progress_of_items_is_told_only_with_v() {
        assert!(!tally(&events(), false).1.contains("package chrony\n"));
    }

    #[test]
    fn the_report_says_what_failed_and_how_to_go_on() {
        let (tally, _) = tally(&events(), false);
        let summary = RunSummary {
            run: "8c1f".into(),
            succeeded: 1,
            failed: 1,
            skipped: 1,
            classes: vec![FailureClass::Command],
            millis: 4_400,
            calls: [(Name::new("private").expect("a good name"), 7)].into(),
            ..RunSummary::default()
        };
        assert_snapshot!(end(&tally, &summary), @r"
        failed host/db-0  bootstrap: package chrony: apt-get exited with 100
            | E: Unable to locate package chrony
            | E: giving up
          hint: check the host's package sources

        Partly done: 1 created; 1 failed; 1 not tried (needs host/db-0), in 4.4 s.
        calls: private 7
        What is done is recorded. Go on with: pool apply
        Step by step: pool history 8c1f
        ");
    }

    #[test]
    fn a_good_run_ends_in_one_line() {
        let (tally, _) = tally(&events()[..9], false);
        let summary = RunSummary { run: "8c1f".into(), succeeded: 1, millis: 4_400, ..RunSummary::default() };
        assert_snapshot!(end(&tally, &summary), @r"Done: 1 created, in 4.4 s.");
    }

    #[test]
    fn the_screen_shows_running_steps_with_their_age() {
        let (tally, _) = tally(&events()[..8], false);
        let now = Instant::now() + Duration::from_secs(75);
        let rows: Vec<String> = tally.running.values().map(|running| tally.running_line(running, now)).collect();
        let rows = anstream::adapter::strip_str(&rows.join("\n")).to_string();
        assert_snapshot!(rows, @r"
        … host/web-3        create     1 min 15 s  too many requests
        … host/db-0         bootstrap  1 min 15 s  package chrony
        ");
        assert_eq!(tally.counts(), "0/5 · 2 running");
    }
}
