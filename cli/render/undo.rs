//! What would be taken back if a step failed: shown with the plan, before anyone says `yes`.

use std::{collections::BTreeMap, fmt::Write as _};

use pool_inventory::Kind;
use pool_planner::{
    Action, Plan,
    input::OnFailure,
    plan::{Stay, Undo},
};

use super::{
    style::{BOLD, DIM, paint},
    table::count,
};

/// Objects that stay and are listed by name; `-v` shows all.
const MOST_STAYS: usize = 10;

/// The lines below a plan; nothing for what nobody asked for.
pub fn lines(plan: &Plan, verbose: bool) -> String {
    let mut text = String::new();
    if plan.is_empty() {
        return text;
    }
    match (plan.scope.on_failure, &plan.undo) {
        (OnFailure::Stop, _) => {
            let _ = writeln!(text, "{} nothing new is started.", paint(BOLD, "If a step fails:"));
        }
        (OnFailure::Undo, Some(undo)) => undo_lines(&mut text, undo, verbose),
        _ => {}
    }
    text
}

fn undo_lines(text: &mut String, undo: &Undo, verbose: bool) {
    let goes = what_goes(undo);
    let taken = if goes.is_empty() {
        "nothing of this can be taken back".to_owned()
    } else {
        format!("what it made by then is deleted again: {goes}")
    };
    let _ = writeln!(text, "{} nothing new is started, and {taken}.", paint(BOLD, "If a step fails:"));
    if verbose {
        for step in &undo.steps {
            let _ = writeln!(text, "      {}", paint(DIM, &format!("{} {}", step.verb(), step.address)));
        }
    }
    let shown = if verbose { undo.stays.len() } else { undo.stays.len().min(MOST_STAYS) };
    for stays in &undo.stays[..shown] {
        let _ = writeln!(text, "  not taken back: {}, {}", stays.address, why(&stays.stay));
    }
    if shown < undo.stays.len() {
        let rest = undo.stays.len() - shown;
        let _ = writeln!(text, "  {}", paint(DIM, &format!("… and {rest} more are not taken back (-v shows all)")));
    }
}

/// `2 hosts, 2 volumes`
fn what_goes(undo: &Undo) -> String {
    let mut kinds: BTreeMap<Kind, usize> = BTreeMap::new();
    for step in undo.steps.iter().filter(|step| matches!(step.action, Action::Delete)) {
        *kinds.entry(step.address.kind).or_default() += 1;
    }
    let parts: Vec<String> = kinds.iter().map(|(kind, number)| count(*number, kind.as_str())).collect();
    parts.join(", ")
}

fn why(stay: &Stay) -> String {
    match stay {
        Stay::Deleted => "which is deleted for good".to_owned(),
        Stay::Replaced => "whose predecessor is gone by then".to_owned(),
        Stay::Changed => "which is changed where it stands".to_owned(),
        Stay::Protected => "which is protected".to_owned(),
        Stay::Recorded => "of which only the record changes".to_owned(),
        Stay::NeededBy { address } => format!("which {address} needs"),
    }
}
