//! How many calls may be under way at one account: additive increase, multiplicative decrease. Pure.
//!
//! Each answer without complaint widens the window by one call per window (as TCP does in congestion avoidance); a 429
//! or 503 halves it and closes it for as long as the system asked. Several processes that share an account find their
//! shares by the same rule.
//!
//! A system that answers everything but later and later has a queue of its own. Its length is `window × (1 − best ÷ now)`,
//! from the time that a call of a kind took at best and takes now (TCP Vegas, Brakmo and Peterson 1994): while more than
//! [`QUEUE`] calls of ours wait there, the window shrinks instead of growing, and others who use the system are served.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use pool_inventory::Kind;

/// Calls at a time before anything is known about an account.
const FIRST_WINDOW: f64 = 8.0;

/// Calls of ours that may wait inside the system: below the first it may be idle, above the second it is not served
/// sooner by asking more.
const QUEUE: (f64, f64) = (6.0, 12.0);

/// Times below this are no sign of a queue: they are noise.
const SOON: Duration = Duration::from_millis(100);

/// How much the newest time counts in the mean.
const NEWEST: f64 = 0.2;

/// What kind of call a time is of.
pub type Call = (Kind, u8);

/// The window of one account.
#[derive(Debug, Clone)]
pub struct Budget {
    window: f64,
    limit: f64,
    closed_until: Option<Instant>,
    last_cut: Option<Instant>,
    /// Seconds that a kind of call took at best, and in the mean of the last ones.
    times: BTreeMap<Call, (f64, f64)>,
    /// Calls that are thought to wait inside the system.
    queued: f64,
}

impl Budget {
    /// A budget that never allows more than `limit` calls at a time.
    pub fn new(limit: usize) -> Self {
        let limit = limit.max(1) as f64;
        Self {
            window: FIRST_WINDOW.min(limit),
            limit,
            closed_until: None,
            last_cut: None,
            times: BTreeMap::new(),
            queued: 0.0,
        }
    }

    /// Whether another call may start while `running` are under way.
    pub fn admits(&self, running: usize, now: Instant) -> bool {
        self.closed_until.is_none_or(|until| until <= now) && (running as f64) < self.window.floor().max(1.0)
    }

    /// When the window opens again, if it is closed.
    pub fn opens_at(&self, now: Instant) -> Option<Instant> {
        self.closed_until.filter(|until| *until > now)
    }

    /// An answer without complaint.
    pub fn relax(&mut self) {
        let step = match self.queued {
            few if few < QUEUE.0 => 1.0,
            many if many > QUEUE.1 => -1.0,
            _ => 0.0,
        };
        self.window = (self.window + step / self.window).clamp(1.0, self.limit);
    }

    /// How long a call took until it was answered.
    pub fn took(&mut self, call: Call, time: Duration) {
        let time = time.max(SOON).as_secs_f64();
        let (best, mean) = self.times.entry(call).or_insert((time, time));
        *best = best.min(time);
        *mean += NEWEST * (time - *mean);
        self.queued = self.window * (1.0 - *best / *mean);
    }

    /// A complaint. Several complaints within one second are one: they answer the same burst.
    pub fn tighten(&mut self, after: Option<Duration>, now: Instant) {
        if self.last_cut.is_none_or(|cut| now.duration_since(cut) >= Duration::from_secs(1)) {
            self.window = (self.window / 2.0).max(1.0);
            self.last_cut = Some(now);
        }
        let until = now + after.unwrap_or(Duration::from_millis(200)).min(Duration::from_secs(300));
        self.closed_until = Some(self.closed_until.map_or(until, |old| old.max(until)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_with_success_and_never_past_the_limit() {
        let now = Instant::now();
        let mut budget = Budget::new(10);
        assert!(budget.admits(7, now) && !budget.admits(8, now));
        (0..1000).for_each(|_| budget.relax());
        assert!(budget.admits(9, now) && !budget.admits(10, now));
    }

    #[test]
    fn a_complaint_halves_once_per_burst_and_closes_for_a_while() {
        let now = Instant::now();
        let mut budget = Budget::new(64);
        (0..5).for_each(|_| budget.tighten(Some(Duration::from_secs(2)), now));
        assert!(!budget.admits(0, now), "closed as long as the system asked");
        assert_eq!(budget.opens_at(now), Some(now + Duration::from_secs(2)));
        let later = now + Duration::from_secs(2);
        assert!(budget.admits(3, later) && !budget.admits(4, later), "8 halved once is 4");
    }

    #[test]
    fn answers_that_come_late_shrink_the_window_until_little_waits_there() {
        let call = (Kind::Host, 0);
        let mut budget = Budget::new(64);
        // A system that serves 4 calls at a time in one second each.
        for _ in 0..2000 {
            budget.took(call, Duration::from_secs_f64((budget.window / 4.0).max(1.0)));
            budget.relax();
        }
        assert!((8.0..=16.0).contains(&budget.window), "{}", budget.window);
        // Times too short to tell do not hold it back.
        let mut quick = Budget::new(64);
        for n in 0..2000 {
            quick.took(call, Duration::from_micros(200 + n * 20));
            quick.relax();
        }
        assert!(quick.window > 60.0, "{}", quick.window);
    }

    #[test]
    fn one_call_is_always_possible() {
        let now = Instant::now();
        let mut budget = Budget::new(1);
        for second in 0..10 {
            budget.tighten(None, now + Duration::from_secs(second));
        }
        assert!(budget.admits(0, now + Duration::from_secs(20)));
    }
}
