//! How many calls may be under way at one account: additive increase, multiplicative decrease. Pure.
//!
//! Each answer without complaint widens the window by one call per window (as TCP does in congestion avoidance); a 429
//! or 503 halves it and closes it for as long as the system asked. Several processes that share an account find their
//! shares by the same rule.

use std::time::{Duration, Instant};

/// Calls at a time before anything is known about an account.
const FIRST_WINDOW: f64 = 8.0;

/// Most calls at a time unless `--limit` says otherwise.
pub const DEFAULT_LIMIT: usize = 64;

/// The window of one account.
#[derive(Debug, Clone)]
pub struct Budget {
    window: f64,
    limit: f64,
    closed_until: Option<Instant>,
    last_cut: Option<Instant>,
}

impl Budget {
    /// A budget that never allows more than `limit` calls at a time.
    pub fn new(limit: usize) -> Self {
        let limit = limit.max(1) as f64;
        Self { window: FIRST_WINDOW.min(limit), limit, closed_until: None, last_cut: None }
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
        self.window = (self.window + 1.0 / self.window).min(self.limit);
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
    fn one_call_is_always_possible() {
        let now = Instant::now();
        let mut budget = Budget::new(1);
        for second in 0..10 {
            budget.tighten(None, now + Duration::from_secs(second));
        }
        assert!(budget.admits(0, now + Duration::from_secs(20)));
    }
}
