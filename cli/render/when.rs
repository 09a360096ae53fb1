//! Times and spans, for people, in the local zone.

use jiff::{Timestamp, tz::TimeZone};

/// Now, and where.
pub struct Clock {
    now: i64,
    zone: TimeZone,
}

impl Clock {
    /// This computer's.
    pub fn system() -> Self {
        Self { now: Timestamp::now().as_second(), zone: TimeZone::system() }
    }

    /// A clock that stands still.
    #[cfg(test)]
    pub fn fixed(now: i64) -> Self {
        Self { now, zone: TimeZone::UTC }
    }

    /// `10:32` for today, `2026-11-21 10:32` for other days.
    pub fn time(&self, seconds: i64) -> String {
        let Ok(at) = Timestamp::from_second(seconds) else { return seconds.to_string() };
        let at = at.to_zoned(self.zone.clone());
        let today =
            Timestamp::from_second(self.now).is_ok_and(|now| now.to_zoned(self.zone.clone()).date() == at.date());
        at.strftime(if today { "%H:%M" } else { "%Y-%m-%d %H:%M" }).to_string()
    }

    /// `2026-11-21 10:32:05`
    pub fn full(&self, seconds: i64) -> String {
        let Ok(at) = Timestamp::from_second(seconds) else { return seconds.to_string() };
        at.to_zoned(self.zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string()
    }

    /// `just now`, `2 s ago`, `12 min ago`, `3 h ago`, `5 d ago`
    pub fn ago(&self, seconds: i64) -> String {
        match self.now - seconds {
            ..1 => "just now".to_owned(),
            span @ 1..120 => format!("{span} s ago"),
            span @ 120..7_200 => format!("{} min ago", span / 60),
            span @ 7_200..172_800 => format!("{} h ago", span / 3_600),
            span => format!("{} d ago", span / 86_400),
        }
    }
}

/// `2026-11-21`, in the zone that certificates are written in.
pub fn day(seconds: i64) -> String {
    Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |at| at.strftime("%Y-%m-%d").to_string())
}

/// `340 ms`, `1.2 s`, `3 min 05 s`, `2 h 07 min`
pub fn span(millis: u64) -> String {
    match millis {
        0..1_000 => format!("{millis} ms"),
        1_000..60_000 => format!("{}.{} s", millis / 1_000, millis % 1_000 / 100),
        60_000..3_600_000 => format!("{} min {:02} s", millis / 60_000, millis % 60_000 / 1_000),
        _ => format!("{} h {:02} min", millis / 3_600_000, millis % 3_600_000 / 60_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short_today_and_dated_otherwise() {
        let clock = Clock::fixed(1_795_257_120);
        assert_eq!(clock.time(1_795_257_120), "10:32");
        assert_eq!(clock.time(1_795_257_120 - 86_400), "2026-11-20 10:32");
        assert_eq!(clock.full(1_795_257_125), "2026-11-21 10:32:05");
        assert_eq!(clock.time(i64::MAX), i64::MAX.to_string());
    }

    #[test]
    fn ages_and_spans() {
        let clock = Clock::fixed(1_000_000);
        let ago = |seconds: i64| clock.ago(1_000_000 - seconds);
        assert_eq!(
            [ago(0), ago(2), ago(600), ago(7_200), ago(432_000)],
            ["just now", "2 s ago", "10 min ago", "2 h ago", "5 d ago"]
        );
        assert_eq!(
            [span(340), span(1_240), span(185_000), span(7_620_000)],
            ["340 ms", "1.2 s", "3 min 05 s", "2 h 07 min"]
        );
    }
}
