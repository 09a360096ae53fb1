//! Why hosts are not at a place that somebody thought of, as people read it.

use std::fmt::Write as _;

use pool_planner::{Verdict, WhyNot, plan::Candidate};

use super::{
    style::{BOLD, DIM, paint},
    table::{count, pad, width},
    words,
};

/// Refused candidates shown per pool; `-v` shows all.
const MOST: usize = 6;

/// One line per pool, with what stands against the place below it.
pub fn why_not(place: &str, pools: &[WhyNot], verbose: bool) -> String {
    let mut text = format!("\n{}\n", paint(BOLD, &format!("Why not {place}")));
    let widest = pools.iter().map(|of| width(&of.pool)).max().unwrap_or(0);
    for of in pools {
        let _ = writeln!(text, "  {}  {}", pad(&of.pool, widest), verdict(of));
        let shown = if verbose { of.refusals.len() } else { of.refusals.len().min(MOST) };
        for refusal in &of.refusals[..shown] {
            let _ = writeln!(text, "      {}", paint(DIM, &words::refusal(refusal)));
        }
        if shown < of.refusals.len() {
            let more = format!("… and {} more (-v shows all)", of.refusals.len() - shown);
            let _ = writeln!(text, "      {}", paint(DIM, &more));
        }
    }
    text
}

fn verdict(of: &WhyNot) -> String {
    let best = of.fits.as_ref().map(offer).unwrap_or_default();
    let there = match of.there {
        _ if of.verdict == Verdict::AllThere => return format!("all of it is there: {}", count(of.hosts, "host")),
        0 => String::new(),
        some => format!("{some} of {} there; ", count(of.hosts, "host")),
    };
    let rest = match of.verdict {
        Verdict::AllThere => String::new(),
        Verdict::Unfit if of.refusals.is_empty() => "nothing is on offer there".to_owned(),
        Verdict::Unfit => "nothing there will do".to_owned(),
        Verdict::Stands => format!("{best} would do for a new host; those that stand are not moved"),
        Verdict::NoRoom => format!("{best} would do, but there is no room left"),
        Verdict::Worse => format!("{best} would do; {}", ahead(of)),
        Verdict::Spread => format!("{best} would do; hosts are spread over several places"),
        Verdict::Use => format!("{best} would do; places are taken by how full they are"),
        Verdict::Shared => format!("{best} would do; hosts of other pools need it more"),
    };
    there + &rest
}

/// What was taken instead, and what is better about it.
fn ahead(of: &WhyNot) -> String {
    let (Some(fits), Some(other)) = (&of.fits, &of.other) else { return String::new() };
    let why = match words::score(other, fits).as_str() {
        "as good" | "best" => "is as good, and came first".to_owned(),
        score => format!("is better ({score} there)"),
    };
    format!("{} {why}", offer(other))
}

/// `private/az2/m1.large (€ 61.00/month)`
fn offer(candidate: &Candidate) -> String {
    let spot = words::spot(candidate);
    words::monthly(candidate.price).map_or_else(|| spot.clone(), |price| format!("{spot} ({price})"))
}
