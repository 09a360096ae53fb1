//! The event stream: any line of it is an event that can be told, and that is the same when it is written again, or none.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pool_engine::{Event, RunSummary, ops};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(event) = serde_json::from_slice::<Event>(bytes) {
        let _ = ops::describe(&event);
        let again = serde_json::to_vec(&event).expect("what was read can be written");
        assert_eq!(serde_json::from_slice::<Event>(&again).expect("and read"), event);
    }
    if let Ok(summary) = serde_json::from_slice::<RunSummary>(bytes) {
        let _ = summary.exit_code();
    }
});
