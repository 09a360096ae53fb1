//! How many uploads go on at a time, and how fast all of them together may be.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, sleep_until},
};

/// What all uploads of a process share.
#[derive(Debug)]
pub struct Pace {
    slots: Semaphore,
    bucket: Option<Mutex<Bucket>>,
}

#[derive(Debug)]
struct Bucket {
    /// Bytes per second.
    rate: f64,
    /// When all that was handed out so far has been sent at that rate.
    until: Instant,
}

/// What an idle line may send at once.
const BURST: Duration = Duration::from_millis(100);

/// Shorter waits are put off: a timer rounds up to a millisecond, and a packet of a fast line takes less.
const SLACK: Duration = Duration::from_millis(10);

impl Pace {
    /// Uploads at a time where nobody says how many: enough to fill a fast line, few enough to hold little memory.
    pub const AT_ONCE: usize = 16;

    /// At most `at_once` uploads, together at most `rate` bytes per second; none: as fast as it goes.
    pub fn new(at_once: usize, rate: Option<u64>) -> Self {
        let bucket = |rate: u64| Mutex::new(Bucket { rate: rate.max(1) as f64, until: Instant::now() });
        Self { slots: Semaphore::new(at_once.max(1)), bucket: rate.map(bucket) }
    }

    /// Waits for a place among the uploads.
    pub async fn slot(&self) -> SemaphorePermit<'_> {
        self.slots.acquire().await.expect("it is never closed")
    }

    /// Waits until this many bytes may be sent.
    pub async fn take(&self, bytes: usize) {
        let Some(bucket) = &self.bucket else { return };
        let at = {
            let mut bucket = bucket.lock().unwrap_or_else(PoisonError::into_inner);
            let begin = bucket.until.max(Instant::now() - BURST);
            bucket.until = begin + Duration::from_secs_f64(bytes as f64 / bucket.rate);
            bucket.until
        };
        if at > Instant::now() + SLACK {
            sleep_until(at).await;
        }
    }
}

impl Default for Pace {
    fn default() -> Self {
        Self::new(Self::AT_ONCE, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_rate_is_kept_by_all_together_and_fast_ones_do_not_wait_for_timers() {
        let send = async |pace: &Pace, pieces: usize| {
            let begun = Instant::now();
            for _ in 0..pieces {
                pace.take(32 << 10).await;
            }
            begun.elapsed()
        };
        let pace = Pace::new(4, Some(8 << 20));
        let begun = Instant::now();
        tokio::join!(send(&pace, 32), send(&pace, 32));
        let took = begun.elapsed();
        assert!(took >= Duration::from_millis(130), "2 MiB at 8 MiB/s, but for a burst: {took:?}");
        let took = send(&Pace::new(1, Some(8 << 30)), 3_200).await;
        assert!(took < Duration::from_secs(3), "100 MiB at 8 GiB/s, and not a millisecond for each: {took:?}");
        assert!(send(&Pace::default(), 3_200).await < Duration::from_secs(3));
    }
}
