//! The stream of events, as others read it: any line of it is an event or refused.

use std::fs;

use pool_engine::{Event, ops};
use proptest::{
    prelude::*,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

use crate::{crash::SMALL, program::pool};

/// Lines of an apply and of what is said after it.
fn honest() -> Vec<String> {
    let dir = tempfile::tempdir().expect("a folder");
    let faults = "type: sim, faults: [{ on: create, rate: 30%, error: lost-reply }]";
    fs::write(dir.path().join("pool.yaml"), SMALL.replace("type: sim", faults)).expect("an inventory");
    let applied = pool(dir.path(), &["apply", "--yes", "--json"]);
    let text = String::from_utf8(applied.stdout).expect("text");
    text.lines().filter(|line| serde_json::from_str::<Event>(line).is_ok()).map(str::to_owned).collect()
}

#[test]
fn any_line_of_events_is_an_event_or_refused() {
    let honest = honest();
    assert!(honest.len() > 20, "{honest:#?}");
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let config = Config { cases: 2_000, failure_persistence: None, ..Config::default() };
    let any_edit = (any::<prop::sample::Index>(), any::<prop::sample::Index>(), "[ -~]{0,9}", 0usize..30);
    let result = TestRunner::new_with_rng(config, rng).run(&any_edit, |(line, at, put_in, taken_out)| {
        let line = line.get(&honest);
        let at = (0..line.len()).filter(|at| line.is_char_boundary(*at)).nth(at.index(line.len() / 2)).unwrap_or(0);
        let mut end = (at + taken_out).min(line.len());
        while !line.is_char_boundary(end) {
            end += 1;
        }
        let text = format!("{}{put_in}{}", &line[..at], &line[end..]);
        if let Ok(event) = serde_json::from_str::<Event>(&text) {
            let _ = ops::describe(&event);
            let again = serde_json::to_string(&event).expect("what was read can be written");
            prop_assert_eq!(serde_json::from_str::<Event>(&again).expect("and read"), event);
        }
        Ok(())
    });
    result.expect("events come back as they were");
}
