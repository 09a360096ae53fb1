//! The OpenStack provider against recorded answers; see `record.py`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod client;
mod cloud;
mod credentials;
mod hosts;
mod market;
mod networks;
mod volumes;
