//! The vocabulary of `pool`, and the inventory files.
//!
//! | module | what it holds |
//! |---|---|
//! | [`names`] | names, addresses such as `host/web-3`, lineage, token |
//! | [`units`] | bytes, money, time spans, percentages, file modes |
//! | [`desired`] | an inventory resolved for one environment |
//! | [`digest`] | what bootstrap would do on a host, in 16 bytes |
//! | [`object`] | concrete hosts, volumes and networks: asked for, recorded, observed |
//! | [`market`] | what a provider offers: offerings, backends, quotas, capabilities |
//!
//! and the files that it is read from:
//!
//! | module | what it holds |
//! |---|---|
//! | [`files`] | finding and reading `pool.yaml` and `*.pool.yaml` |
//! | [`source`], [`yaml`] | texts, places in them, and YAML as a tree whose nodes know their places |
//! | [`mod@load`] | from a folder to [`desired::Desired`], with all problems at once |
//! | [`diagnostics`] | problems with places, shown as rustc does, and as JSON |
//! | [`template`] | templates of files: checked, rendered |
//! | [`mod@fmt`] | the canonical form of files |
//! | [`edit`] | one value changed, everything else as it is |
//! | [`schema`], [`mod@reference`] | JSON Schema and reference, from the table of keys that checks the files |
//!
//! Every other crate speaks in these types; this crate depends on none of ours.

pub mod desired;
pub mod diagnostics;
pub mod digest;
pub mod edit;
pub mod files;
pub mod fmt;
pub mod load;
pub mod market;
pub mod names;
pub mod object;
pub mod reference;
pub mod schema;
pub mod source;
pub mod template;
pub mod units;
pub mod yaml;

pub use diagnostics::{Diagnostic, Diagnostics};
pub use load::{Loaded, environments, load};
pub use names::{Address, Kind, Lineage, Name, Text, Token};
pub use units::{Bytes, FileMode, Money, Percent, TimeSpan};
