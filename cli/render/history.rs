//! Past runs, and one of them step by step.

use std::fmt::Write as _;

use pool_engine::ops::{JournalLine, RunReport, RunStatus, StepEnd, StepHistory};
use pool_inventory::Address;

use super::{
    style::{BOLD, DIM, REMOVE, WARN, paint},
    table::{Table, clip},
    when::{Clock, span},
};

/// Columns of a detail; JSON has all of it.
const MOST_DETAIL: usize = 120;

/// Past runs, newest first.
pub fn runs(runs: &[RunStatus], clock: &Clock) -> String {
    if runs.is_empty() {
        return "Nothing was applied yet.\n".to_owned();
    }
    let mut table = Table::new(&["run", "started", "took", ">exit", "outcome", "command"]);
    for run in runs {
        let took = run.ended.map(|ended| seconds(ended.abs_diff(run.started))).unwrap_or_default();
        let exit = run.exit_code.map(|code| code.to_string()).unwrap_or_default();
        let outcome = run.outcome.as_deref().map_or_else(|| paint(WARN, "not ended"), str::to_owned);
        table.row([run.id.to_string(), clock.full(run.started), took, exit, outcome, run.command.to_string()]);
    }
    table.render()
}

/// Times of runs are kept in whole seconds.
fn seconds(seconds: u64) -> String {
    match seconds {
        0 => "< 1 s".to_owned(),
        1..60 => format!("{seconds} s"),
        _ => span(seconds * 1000),
    }
}

/// One run, step by step; with `verbose` every entry of its journal, too.
pub fn run(report: &RunReport, clock: &Clock, verbose: bool) -> String {
    let mut text = runs(std::slice::from_ref(&report.run), clock);
    text.push_str(&about(&report.run));
    let mut parts = vec![steps(&report.steps, clock), beside(&report.journal, clock)];
    if verbose {
        parts.push(journal(&report.journal, clock));
    }
    for part in parts.iter().filter(|part| !part.is_empty()) {
        let _ = write!(text, "\n{}", part.render());
    }
    if report.run.started > 0 && report.journal.is_empty() && report.run.plan.is_some() {
        let _ = writeln!(text, "\n{}", paint(DIM, "Its journal is gone: of old runs only this is kept."));
    }
    text
}

/// Who, with which plan, and what must be remembered.
fn about(run: &RunStatus) -> String {
    let mut text = String::new();
    if !run.holder.is_empty() {
        let _ = writeln!(text, "by    {}", run.holder);
    }
    if let Some(plan) = &run.plan {
        let _ = writeln!(text, "plan  {plan}");
    }
    if let Some(audit) = &run.audit {
        let _ = writeln!(text, "{}  {audit}", paint(BOLD, "note"));
    }
    text
}

fn steps(steps: &[StepHistory], clock: &Clock) -> Table {
    let mut table = Table::new(&[">step", "object", "what", "began", ">took", ">tries", "how it ended"]);
    for step in steps.iter().filter(|step| &*step.verb != "gather") {
        let mut end = how(step).into_iter();
        table.row([
            step.step.to_string(),
            step.address.to_string(),
            step.verb.to_string(),
            step.began_ms.map(|at| moment(at, clock)).unwrap_or_default(),
            step.took_ms.map(span).unwrap_or_default(),
            if step.tries == 0 { String::new() } else { step.tries.to_string() },
            end.next().unwrap_or_default(),
        ]);
        let below = |at: String, text: String| {
            [String::new(), String::new(), String::new(), at, String::new(), String::new(), text]
        };
        for note in &step.notes {
            table.row(below(moment(note.at_ms, clock), paint(DIM, &clip(&note.text, MOST_DETAIL))));
        }
        for line in end {
            table.row(below(String::new(), line));
        }
    }
    table
}

/// How a step ended, on one line or more.
fn how(step: &StepHistory) -> Vec<String> {
    let detail = step.detail.as_deref().unwrap_or_default();
    match step.end {
        StepEnd::Done if detail.is_empty() => vec!["done".to_owned()],
        StepEnd::Done => vec![format!("done · {}", clip(detail, MOST_DETAIL))],
        StepEnd::NotTried => vec![paint(DIM, &format!("not tried: {detail}"))],
        StepEnd::Open => vec![paint(WARN, "not ended")],
        StepEnd::Failed => {
            let mut lines = detail.lines();
            let first = lines.next().unwrap_or_default();
            let first = format!("{} {}", paint(REMOVE, "failed:"), clip(first, MOST_DETAIL));
            let rest = lines.map(|line| paint(DIM, &format!("| {}", clip(line, MOST_DETAIL))));
            std::iter::once(first).chain(rest).collect()
        }
    }
}

/// What belongs to no step: what was settled, that an undo began, that someone interrupted.
fn beside(lines: &[JournalLine], clock: &Clock) -> Table {
    let mut table = Table::new(&["time", "what", "object", "detail"]);
    for line in lines.iter().filter(|line| line.step.is_none()) {
        let address = line.address.as_ref().map(Address::to_string).unwrap_or_default();
        table.row([moment(line.at_ms, clock), line.kind.to_string(), address, clip(&line.text, MOST_DETAIL)]);
    }
    table
}

/// Every entry.
fn journal(lines: &[JournalLine], clock: &Clock) -> Table {
    let mut table = Table::new(&["time", ">step", "object", "entry", "detail"]);
    for line in lines {
        let address = line.address.as_ref().map(Address::to_string).unwrap_or_default();
        let step = line.step.map(|step| step.to_string()).unwrap_or_default();
        table.row([moment(line.at_ms, clock), step, address, line.kind.to_string(), clip(&line.text, MOST_DETAIL)]);
    }
    table
}

fn moment(at_ms: i64, clock: &Clock) -> String {
    format!("{}.{:03}", clock.full(at_ms.div_euclid(1000)), at_ms.rem_euclid(1000))
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use pool_engine::ops::StepNote;

    use super::*;
    use crate::render::samples::NOW;

    fn step(step: u32, address: &str, verb: &str, end: StepEnd) -> StepHistory {
        let tried = end != StepEnd::NotTried;
        StepHistory {
            step,
            address: address.parse().expect("an address"),
            verb: verb.into(),
            began_ms: tried.then_some(NOW * 1000 + i64::from(step)),
            ended_ms: tried.then_some(NOW * 1000 + 1_200),
            took_ms: tried.then_some(1_200),
            tries: u32::from(tried),
            end,
            detail: None,
            notes: Vec::new(),
        }
    }

    fn line(step: Option<u32>, kind: &str, text: &str) -> JournalLine {
        JournalLine { seq: 1, at_ms: NOW * 1000, step, address: None, kind: kind.into(), text: text.into() }
    }

    #[test]
    fn a_run_is_told_step_by_step() {
        let run = RunStatus {
            id: "8c1f00aa55ee".into(),
            command: "pool apply --yes --override max_destroyed".into(),
            holder: "alice@ops1, process 4711".into(),
            plan: Some("7f3a2c".into()),
            audit: Some("max_destroyed lifted: ticket 1234".into()),
            started: NOW,
            ended: Some(NOW + 75),
            exit_code: Some(8),
            outcome: Some("1 done, 1 failed, 1 not tried".into()),
        };
        let mut steps = vec![
            step(0, "host/web-0", "create", StepEnd::Done),
            step(1, "host/web-1", "create", StepEnd::Failed),
            step(2, "host/web-1", "bootstrap", StepEnd::NotTried),
            step(3, "host/web-2", "create", StepEnd::Open),
        ];
        let note = |ms, text: &str| StepNote { at_ms: NOW * 1000 + ms, text: text.into() };
        steps[0].detail = Some("10.0.0.7:22".into());
        steps[0].notes =
            vec![note(300, "again in 0.2 s: too many requests"), note(600, "az1 has no capacity; tried az2")];
        steps[0].tries = 3;
        steps[1].detail = Some("apt-get exited with 100\nE: Unable to locate package".into());
        steps[2].detail = Some("needs host/web-1".into());
        let journal = vec![line(Some(0), "started", "create"), line(None, "interrupted", "")];
        let report = RunReport { run, steps, journal };
        let shown = super::run(&report, &Clock::fixed(NOW), false);
        assert_snapshot!(anstream::adapter::strip_str(&shown).to_string(), @r"
        run           started              took        exit  outcome                        command
        8c1f00aa55ee  2026-11-21 10:32:00  1 min 15 s     8  1 done, 1 failed, 1 not tried  pool apply --yes --override max_destroyed
        by    alice@ops1, process 4711
        plan  7f3a2c
        note  max_destroyed lifted: ticket 1234

        step  object      what       began                     took  tries  how it ended
           0  host/web-0  create     2026-11-21 10:32:00.000  1.2 s      3  done · 10.0.0.7:22
                                     2026-11-21 10:32:00.300                again in 0.2 s: too many requests
                                     2026-11-21 10:32:00.600                az1 has no capacity; tried az2
           1  host/web-1  create     2026-11-21 10:32:00.001  1.2 s      1  failed: apt-get exited with 100
                                                                            | E: Unable to locate package
           2  host/web-1  bootstrap                                         not tried: needs host/web-1
           3  host/web-2  create     2026-11-21 10:32:00.003  1.2 s      1  not ended

        time                     what         object  detail
        2026-11-21 10:32:00.000  interrupted
        ");
    }
}
