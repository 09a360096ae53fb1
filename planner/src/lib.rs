//! The pure planner: `plan(&PlanInput) -> Result<Plan, PlanError>`.
//!
//! No I/O, no clock, no randomness but the seed. The same input gives the same bytes.

mod check;
mod error;
pub mod graph;
pub mod input;
mod make;
pub mod plan;

pub use check::{Note, Rule, check};
pub use error::PlanError;
pub use input::{PlanInput, Scope};
pub use make::plan;
pub use plan::{Action, Plan, Reason, Step, StepId};
