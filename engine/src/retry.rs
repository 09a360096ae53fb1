//! What an error of a provider means for the next attempt. Pure.

use std::time::Duration;

use pool_providers::ProviderError;

use crate::event::{Failure, FailureClass};

/// Most attempts at one act, with the same token. With [`backoff`] that is about two minutes of patience; a cloud that
/// is down for longer is a matter for the operator, and for the next apply.
pub const MAX_TRIES: u32 = 10;

/// What to do after an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Nothing happened: the same request again, with the same token, after a while.
    Again,
    /// It may have happened: look for the token first.
    Settle,
    /// This place is out: another approved place, with another token.
    Elsewhere,
    /// The object is not there; a deletion is done, anything else failed.
    Absent,
    /// It failed for good.
    GiveUp,
}

/// Reads an error.
pub fn next(error: &ProviderError) -> Next {
    match error {
        ProviderError::RateLimited { .. } | ProviderError::Transient(_) | ProviderError::Conflict(_) => Next::Again,
        ProviderError::Indeterminate(_) => Next::Settle,
        ProviderError::NoCapacity(_) => Next::Elsewhere,
        ProviderError::NotFound(_) => Next::Absent,
        ProviderError::AlreadyExists(_)
        | ProviderError::QuotaExceeded(_)
        | ProviderError::Unauthorized(_)
        | ProviderError::Invalid { .. }
        | ProviderError::Other(_) => Next::GiveUp,
    }
}

/// How long to wait before try `tries + 1`: doubling from 100 ms to 30 s, of which `jitter` (0 to 1) decides the upper
/// half, so that many clients do not come back together. What the cloud asked for is the least.
pub fn backoff(tries: u32, jitter: f64, asked: Option<Duration>) -> Duration {
    let full = Duration::from_millis(100).saturating_mul(1 << tries.min(12)).min(Duration::from_secs(30));
    let wait = full / 2 + full.mul_f64(jitter.clamp(0.0, 1.0) / 2.0);
    wait.max(asked.unwrap_or_default().min(Duration::from_secs(300)))
}

/// The failure that a definitive error makes.
pub fn failure(error: &ProviderError) -> Failure {
    let (class, hint) = match error {
        ProviderError::Unauthorized(_) => (FailureClass::Unauthorized, Some("check the credentials with: pool check")),
        ProviderError::NoCapacity(_) => {
            (FailureClass::NoRoom, Some("allow more places in `place.on`, or try again later"))
        }
        ProviderError::QuotaExceeded(_) => (FailureClass::NoRoom, Some("raise the account's quota, or ask for less")),
        ProviderError::Indeterminate(_) => {
            (FailureClass::InDoubt, Some("run pool apply again: it finds out what happened"))
        }
        ProviderError::RateLimited { .. } | ProviderError::Transient(_) => {
            (FailureClass::Unreachable, Some("the provider did not recover in time; run pool apply again later"))
        }
        ProviderError::NotFound(_) => (FailureClass::Refused, Some("it is gone; plan again with: pool plan")),
        ProviderError::AlreadyExists(_) | ProviderError::Invalid { .. } | ProviderError::Conflict(_) => {
            (FailureClass::Refused, None)
        }
        ProviderError::Other(_) => (FailureClass::Other, None),
    };
    Failure { class, message: error.to_string().into(), detail: None, hint: hint.map(Into::into) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_grows_is_bounded_and_honours_the_cloud() {
        assert_eq!(backoff(0, 0.0, None), Duration::from_millis(50));
        assert_eq!(backoff(0, 1.0, None), Duration::from_millis(100));
        assert!(backoff(60, 1.0, None) <= Duration::from_secs(30));
        assert_eq!(backoff(0, 0.0, Some(Duration::from_secs(7))), Duration::from_secs(7));
        assert_eq!(backoff(0, 0.0, Some(Duration::from_secs(9999))), Duration::from_secs(300));
        let patience: Duration = (0..MAX_TRIES).map(|t| backoff(t, 0.5, None)).sum();
        assert!(patience > Duration::from_secs(60) && patience < Duration::from_secs(300), "{patience:?}");
    }

    #[test]
    fn only_a_lost_answer_is_settled_and_only_capacity_goes_elsewhere() {
        assert_eq!(next(&ProviderError::Indeterminate("x".into())), Next::Settle);
        assert_eq!(next(&ProviderError::NoCapacity("x".into())), Next::Elsewhere);
        assert_eq!(next(&ProviderError::Unauthorized("x".into())), Next::GiveUp);
        assert_eq!(next(&ProviderError::RateLimited { after: None }), Next::Again);
    }
}
