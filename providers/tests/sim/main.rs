//! The simulated cloud as its users meet it: through the trait, over several handles and processes, and in its ledger.

mod clients;
mod clock;
mod faults;
mod ledger;
mod machines;
mod model;
mod objects;
mod support;
