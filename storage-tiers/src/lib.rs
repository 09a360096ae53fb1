//! Backends that serve tiers of storage.
//!
//! | module | what it holds |
//! |---|---|
//! | [`dir`] | a folder that hands out volumes: directories (thin) or images with a file system (thick) |
//! | [`ledger`] | what is handed out of it, counted across processes and inventories |
//! | [`files`] | what both need of files: written whole, locked, removed |
//!
//! There is no trait: a cloud's backends live in the cloud, and this is the only kind of our own.

pub mod dir;
mod error;
pub mod files;
mod image;
pub mod ledger;

pub use dir::{Ask, Capacity, DirBackend, Source};
pub use error::StorageError;
pub use image::fill as grow_file_system;
pub use ledger::{Phase, Volume};
