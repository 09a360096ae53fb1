//! Providers: the trait, and one folder per system.

pub mod api;
pub mod local;

pub use api::{Act, Operation, Page, Progress, Provider, ProviderError, Request};
