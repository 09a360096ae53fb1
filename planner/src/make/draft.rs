//! Steps while they are being collected.

use pool_inventory::{Address, Name};

use crate::plan::{Action, Reason};

/// Index of a draft; steps get their final ids when they are put in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct DraftId(pub u32);

/// A step without its final id.
#[derive(Debug)]
pub(crate) struct Draft {
    pub address: Address,
    pub generation: u32,
    pub provider: Name,
    pub action: Action,
    pub reason: Reason,
    pub needs: Vec<DraftId>,
}

/// All drafts of a plan.
#[derive(Debug, Default)]
pub(crate) struct Drafts(pub Vec<Draft>);

impl Drafts {
    /// The id that the next draft will have.
    pub(crate) fn next(&self) -> DraftId {
        DraftId(u32::try_from(self.0.len()).expect("fewer than 2^32 steps fit into memory"))
    }

    pub(crate) fn push(&mut self, draft: Draft) -> DraftId {
        let id = self.next();
        self.0.push(draft);
        id
    }

    pub(crate) fn needs(&mut self, step: DraftId, needs: impl IntoIterator<Item = DraftId>) {
        self.0[step.0 as usize].needs.extend(needs);
    }
}
