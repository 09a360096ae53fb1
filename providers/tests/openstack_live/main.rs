//! The provider on a real OpenStack.
//!
//! It makes things there and deletes them again, so it runs only when asked for, with the credentials of the
//! environment:
//!
//! ```text
//! OS_CLOUD=demo cargo test -p pool-providers --test openstack_live
//! ```

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]
#![expect(clippy::print_stdout, reason = "calls are counted to be read")]

mod account;
mod bench;
mod conformance;
mod cost;
mod hosts;
mod networks;
mod volumes;
