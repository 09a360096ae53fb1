//! Providers: the trait, and one folder per system.

pub mod api;

pub use api::{Act, Operation, Page, Progress, Provider, ProviderError, Request};
