//! Why there is no plan at all.

use pool_inventory::{Address, Name, Text};

/// Why there is no plan at all. What merely cannot be done is in `Plan::declined`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Steps wait for each other.
    #[error("these objects wait for each other, so that none can go first: {}", path(cycle))]
    Cycle {
        /// The cycle; the first object stands at the end again.
        cycle: Vec<Address>,
    },
    /// Something is declared that cannot be carried out.
    #[error("{address}: {what}")]
    Unsupported {
        /// What declares it.
        address: Address,
        /// What it is, and what to write in its place.
        what: Text,
    },
    /// A name is used that nothing declares.
    #[error("{address} uses {kind} `{name}`, which is not declared; declare it, or use another")]
    Undeclared {
        /// What uses it.
        address: Address,
        /// `tier`, `network`, `tenant`, `image`, `pool`
        kind: &'static str,
        /// The name.
        name: Name,
    },
    /// A declared move would put two objects at one address.
    #[error("{from} cannot become {to}, because {to} is recorded already; take one of them out of `moved:`")]
    MoveConflict {
        /// The address before.
        from: Address,
        /// The address that is taken.
        to: Address,
    },
    /// The state has two rows for one generation of one object.
    #[error("{address} is recorded twice in generation {generation}; the state is damaged, restore it from a backup")]
    RecordedTwice {
        /// The object.
        address: Address,
        /// The generation.
        generation: u32,
    },
}

fn path(cycle: &[Address]) -> String {
    cycle.iter().map(ToString::to_string).collect::<Vec<_>>().join(" → ")
}
