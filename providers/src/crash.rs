//! Points at which a test can let this process be killed, as a power cut would.
//!
//! `POOL_CRASH_AT=N` sends SIGKILL to the process at the N-th point that it passes. Points stand before and after each
//! journal write and each call of a provider, and inside each call of the simulated cloud: while the call is written
//! down, and when that is done and nobody knows. There is no other way in which this module changes anything.

use std::sync::{
    OnceLock,
    atomic::{AtomicU64, Ordering},
};

static AT: OnceLock<Option<u64>> = OnceLock::new();
static PASSED: AtomicU64 = AtomicU64::new(0);

/// Passes a point. The name is for whoever reads the code.
pub fn point(name: &'static str) {
    if is_here(name) {
        die();
    }
}

/// Passes a point at which something is to be left half done; whether that point is the one.
pub fn is_here(_name: &'static str) -> bool {
    let at = *AT.get_or_init(|| std::env::var("POOL_CRASH_AT").ok()?.parse().ok());
    at.is_some_and(|at: u64| PASSED.fetch_add(1, Ordering::SeqCst) + 1 == at)
}

/// Ends this process as a power cut would.
pub fn die() -> ! {
    loop {
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
}
