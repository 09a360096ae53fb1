//! The pure planner: `plan(&PlanInput) -> Result<Plan, PlanError>`.
//!
//! No I/O, no clock, no randomness but the seed. The same input gives the same bytes.

pub mod input;
pub mod plan;

pub use input::{PlanInput, Scope};
pub use plan::{Action, Plan, Reason, Step, StepId};
