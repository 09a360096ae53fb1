//! Two clocks: the wall clock, which people can set, and the time since this computer was started, which goes on while
//! it sleeps and which nobody can set. Leases last by the second wherever both ends of a comparison know it.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use jiff::Timestamp;
use pool_inventory::Text;

/// A moment on both clocks.
#[derive(Debug, Clone)]
pub(crate) struct Now {
    /// Milliseconds since 1970.
    pub wall_ms: i64,
    /// Milliseconds since the computer was started.
    pub boot_ms: i64,
    /// Which start of which computer; none: not to be had here.
    pub boot: Option<Text>,
}

impl Now {
    pub(crate) fn read() -> Self {
        Self { wall_ms: wall_ms(), boot_ms: boot_ms(), boot: boot() }
    }
}

/// Milliseconds since 1970. `POOL_CLOCK_JUMP=N:MS` lets a test turn the clock by `MS` at the N-th time that it is read.
pub fn wall_ms() -> i64 {
    static JUMP: OnceLock<Option<(u64, i64)>> = OnceLock::new();
    static READ: AtomicU64 = AtomicU64::new(0);
    let now = Timestamp::now().as_millisecond();
    let Some((at, by)) = *JUMP.get_or_init(jump) else { return now };
    if READ.fetch_add(1, Ordering::SeqCst) + 1 >= at { now.saturating_add(by) } else { now }
}

fn jump() -> Option<(u64, i64)> {
    let text = std::env::var("POOL_CLOCK_JUMP").ok()?;
    let (at, by) = text.split_once(':')?;
    Some((at.parse().ok()?, by.parse().ok()?))
}

/// Milliseconds since this computer was started, those in which it slept or this process was stopped included.
pub(crate) fn boot_ms() -> i64 {
    static BEGUN: OnceLock<Instant> = OnceLock::new();
    let since_first = || i64::try_from(BEGUN.get_or_init(Instant::now).elapsed().as_millis()).unwrap_or(i64::MAX);
    uptime().unwrap_or_else(since_first)
}

/// `12345.67 54321.00`: seconds since the start, with two decimals, and a number that is not asked for here.
fn uptime() -> Option<i64> {
    let text = std::fs::read_to_string("/proc/uptime").ok()?;
    let (seconds, hundredths) = text.split_whitespace().next()?.split_once('.')?;
    let (seconds, hundredths): (i64, i64) = (seconds.parse().ok()?, hundredths.get(..2)?.parse().ok()?);
    seconds.checked_mul(1000)?.checked_add(hundredths * 10)
}

/// The id that Linux gives to each start; none where the time since then is not to be had either.
fn boot() -> Option<Text> {
    static BOOT: OnceLock<Option<Text>> = OnceLock::new();
    let read = || {
        uptime()?;
        let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        Some(id.trim().into()).filter(|id: &Text| !id.is_empty())
    };
    BOOT.get_or_init(read).clone()
}
