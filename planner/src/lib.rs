//! The pure planner: [`plan()`]: `plan(&PlanInput) -> Result<Plan, PlanError>`.
//!
//! No I/O, no clock, no randomness but the seed: equal input gives equal bytes. `clippy.toml` beside this crate keeps it so.
//!
//! | module | what it holds |
//! |---|---|
//! | [`input`] | what a plan is made from |
//! | [`mod@plan`] | what a plan is: steps with reasons, groups with refusals, what was declined |
//! | `make` | makes plans, in named passes |
//! | `check` | judges plans, sharing no code with `make` |
//! | [`graph`] | the step graph as DOT, Mermaid, JSON |
//! | `explain` | why an object is where it is, and why it changes |
//! | `whynot` | why hosts are not at a place that somebody thought of |

mod check;
mod error;
mod explain;
pub mod graph;
pub mod input;
mod make;
pub mod plan;
mod whynot;

pub use check::{Note, Rule, check};
pub use error::PlanError;
pub use explain::{Explanation, backends, explain, places};
pub use input::{PlanInput, Scope};
pub use make::plan;
pub use plan::{Action, Plan, Reason, Step, StepId};
pub use whynot::{Verdict, WhyNot, why_not};
