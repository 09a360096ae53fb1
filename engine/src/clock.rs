//! The wall clock, the same as that of the state.

pub use pool_state::now_ms;

/// Seconds since 1970.
pub fn now() -> i64 {
    now_ms() / 1000
}
