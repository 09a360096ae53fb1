//! Points at which a test can let this process be killed, as a power cut would.
//!
//! `POOL_CRASH_AT=N` sends SIGKILL to the process at the N-th point that it passes. Points stand before and after each
//! journal write and each call of a provider; there is no other way in which this module changes anything.

use std::sync::{
    OnceLock,
    atomic::{AtomicU64, Ordering},
};

static AT: OnceLock<Option<u64>> = OnceLock::new();
static PASSED: AtomicU64 = AtomicU64::new(0);

/// Passes a point. The name is for whoever reads the code.
pub fn point(_name: &'static str) {
    let Some(at) = *AT.get_or_init(|| std::env::var("POOL_CRASH_AT").ok()?.parse().ok()) else { return };
    if PASSED.fetch_add(1, Ordering::SeqCst) + 1 == at {
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
}
