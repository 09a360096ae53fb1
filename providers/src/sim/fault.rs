//! Faults by rule.
//!
//! Whether a rule applies depends on the seed, the rule, the object and how often that object met the rule, never on
//! time or on what happens beside it: the same acts on the same objects meet the same faults in any order of objects.

use pool_inventory::{
    Text,
    desired::{SimCall, SimFault},
};

use super::world::{Effect, World};

/// The first fault that applies to a call for a subject, and what the ledger has to note of the rules that were asked.
pub(super) fn check(
    rules: &[SimFault],
    seed: u64,
    world: &World,
    call: SimCall,
    subject: Option<&str>,
) -> (Option<SimFault>, Vec<Effect>) {
    let mut notes = Vec::new();
    for rule in rules.iter().filter(|rule| matches(rule, call, subject)) {
        let id = id(rule);
        let (fired, counted) = match rule.nth {
            Some(nth) => {
                let (nth, times) = (u64::from(nth), u64::from(rule.times.unwrap_or(1)));
                let this = world.asked.get(&id).copied().unwrap_or(0) + 1;
                ((nth..nth + times).contains(&this), None)
            }
            None => {
                let who: Text = format!("{id}|{}", subject.unwrap_or("")).into();
                let times = world.subjects.get(&who).copied().unwrap_or(0);
                (dice(seed, &[&who, &times.to_string()]) % 10_000 < u64::from(rule.rate.0), Some(who))
            }
        };
        notes.push(Effect::Asked { rule: id, subject: counted, fired });
        if fired {
            return (Some(rule.clone()), notes);
        }
    }
    (None, notes)
}

fn matches(rule: &SimFault, call: SimCall, subject: Option<&str>) -> bool {
    (rule.on == SimCall::Any || rule.on == call)
        && rule.address.as_deref().is_none_or(|address| subject.is_some_and(|s| s == address))
}

/// What a rule's counters are kept under: its content, so that editing the list of rules disturbs no other rule.
fn id(rule: &SimFault) -> Text {
    let text = serde_json::to_vec(rule).expect("a rule has only text keys and whole numbers");
    blake3::hash(&text).to_hex()[..16].into()
}

/// A number from the seed and some texts; equal for equal arguments.
pub(super) fn dice(seed: u64, parts: &[&str]) -> u64 {
    let hash = blake3::hash(format!("{seed}\n{}", parts.join("\n")).as_bytes());
    hash.as_bytes()[..8].iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use pool_inventory::{Percent, desired::SimError};

    use super::*;

    fn rule(nth: Option<u32>, rate: u32) -> SimFault {
        SimFault {
            on: SimCall::Create,
            address: None,
            nth,
            times: None,
            rate: Percent(rate),
            error: SimError::Transient,
            after: None,
        }
    }

    fn run(rules: &[SimFault], seed: u64, subjects: &[String]) -> Vec<(String, bool)> {
        let mut world = World::default();
        let ask = |subject: &String| {
            let (fault, notes) = check(rules, seed, &world, SimCall::Create, Some(subject));
            for note in &notes {
                world.apply(note).expect("notes always apply");
            }
            (subject.clone(), fault.is_some())
        };
        subjects.iter().map(ask).collect()
    }

    #[test]
    fn the_nth_call_and_no_other_meets_its_fault() {
        let subjects: Vec<String> = (0..6).map(|i| format!("host/web-{i}")).collect();
        let hit: Vec<bool> = run(&[rule(Some(3), 0)], 1, &subjects).into_iter().map(|(_, hit)| hit).collect();
        assert_eq!(hit, [false, false, true, false, false, false]);
    }

    #[test]
    fn a_rate_depends_on_the_seed_and_not_on_the_order() {
        let subjects: Vec<String> = (0..1000).map(|i| format!("host/web-{i}")).collect();
        let backwards: Vec<String> = subjects.iter().rev().cloned().collect();
        let mut forth = run(&[rule(None, 2_000)], 7, &subjects);
        let mut back = run(&[rule(None, 2_000)], 7, &backwards);
        forth.sort();
        back.sort();
        assert_eq!(forth, back);
        let hits = forth.iter().filter(|(_, hit)| *hit).count();
        assert!((150..250).contains(&hits), "{hits} of 1000 at 20 %");
        assert_ne!(run(&[rule(None, 2_000)], 8, &subjects), run(&[rule(None, 2_000)], 7, &subjects));
    }

    #[test]
    fn a_rule_for_one_object_leaves_the_others_alone() {
        let rule = SimFault { address: Some("host/web-1".into()), ..rule(None, 10_000) };
        let hit = run(&[rule], 1, &["host/web-0".to_owned(), "host/web-1".to_owned()]);
        assert_eq!(hit.iter().map(|(_, hit)| *hit).collect::<Vec<_>>(), [false, true]);
    }
}
