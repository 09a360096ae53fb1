//! Providers: the trait, and one folder per system.

pub mod api;
pub mod conformance;
pub mod crash;
pub mod local;
pub mod openstack;
pub mod sim;
pub mod ssh;

pub use api::{Act, Operation, Page, Progress, Provider, ProviderError, Request};
