//! The plan reader: any bytes are a plan that says the same when it is written again, or an error.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pool_engine::ops;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(plan) = ops::from_bytes(bytes) {
        let again = ops::to_bytes(&plan).expect("what was read can be written");
        assert_eq!(ops::from_bytes(&again).expect("and read"), plan);
    }
});
