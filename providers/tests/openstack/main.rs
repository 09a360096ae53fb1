//! The OpenStack provider against recorded answers; see `record.py`.

#![allow(clippy::unwrap_used)]

mod client;
mod cloud;
