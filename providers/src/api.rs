//! The contract between the engine and a provider.
//!
//! A provider knows one account of one system. It knows nothing of plans, state, printing or bootstrap.

use async_trait::async_trait;
use pool_inventory::{
    Kind, Text, TimeSpan, Token,
    market::{Capabilities, Market},
    object::{HostSpec, Observed, Owner, Spec},
};
use serde::{Deserialize, Serialize};

/// One account of one system.
///
/// # Contract
///
/// | rule | what the engine relies on |
/// |---|---|
/// | order | `submit` and `poll` answer with one entry per argument, in the order of the arguments |
/// | token | a second `Create` with the same token makes nothing new and answers as the first did |
/// | found again | what was created can be found by its token, at the latest after `capabilities().visibility_delay` |
/// | ended | a request whose answer was lost is not carried out later than `capabilities().doubt` after it was sent |
/// | idempotent | `Update`, `Rebuild`, `Power` towards a state that holds already succeed and do nothing |
/// | deletion | deleting what is not there is [`ProviderError::NotFound`]; the engine takes it for success |
/// | whole | `list` over all pages gives each object that existed all the time exactly once |
/// | cancellation | dropping a future leaves no inconsistent state; the request may or may not have been carried out |
/// | time | every call ends within its own time limit, with [`ProviderError::Indeterminate`] where the request may have been carried out |
/// | broken | what was accepted and ends badly is `Done` with `Status::Failed`, not an error: there is something to delete |
/// | adopting | where `capabilities().creates` is false, `list` is empty and `find` is `None`: there is nothing to compare records with |
/// | taking over | `Create` of a spec with `existing` makes and marks nothing: it answers with what has that id; a volume at a host that is not ours is listed as attached to `host/ID` |
/// | honest | an error other than `Indeterminate` and `Transient` means that the request was not carried out and never will be |
#[async_trait]
pub trait Provider: Send + Sync {
    /// What this provider can do; never asks the system.
    fn capabilities(&self) -> Capabilities;

    /// Offerings, backends, images, quotas and use, as they are now.
    async fn market(&self) -> Result<Market, ProviderError>;

    /// Asks for several acts at once, at most `capabilities().batch`.
    async fn submit(&self, batch: Vec<Request>) -> Vec<Result<Progress, ProviderError>>;

    /// One page of all objects of a kind in the account, ours and others'; `from` is the `next` of the page before.
    /// `NotFound`: what the page before ended with is gone, so that the list has to be begun anew.
    async fn list(&self, kind: Kind, from: Option<Text>) -> Result<Page, ProviderError>;

    /// The object that a creation with this token made. `None` proves nothing before the visibility delay is over.
    async fn find(&self, token: &Token) -> Result<Option<Observed>, ProviderError>;

    /// How accepted operations go on. One call for many; the engine has one poller per provider.
    async fn poll(&self, operations: &[Operation]) -> Vec<Result<Progress, ProviderError>>;
}

/// One act on one object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Whose the object is; its token is that of this act.
    pub owner: Owner,
    /// Name in the cloud.
    pub name: Text,
    /// What to do.
    pub act: Act,
}

/// What to do with an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Act {
    /// Make it. Volumes are made detached.
    Create(Spec),
    /// Change it where it stands, also attach and detach.
    Update {
        /// The provider's id.
        id: Text,
        /// What shall be.
        to: Spec,
        /// For a volume: the id of the host that `to` is attached to, or that it is to be detached from.
        host: Option<Text>,
    },
    /// Give a host a new system.
    Rebuild {
        /// The provider's id.
        id: Text,
        /// What shall be.
        to: Box<HostSpec>,
    },
    /// Turn a host on or off.
    Power {
        /// The provider's id.
        id: Text,
        /// On or off.
        on: bool,
    },
    /// Restart a host that is on.
    Restart {
        /// The provider's id.
        id: Text,
    },
    /// Give a detached volume the content of a snapshot or backup of it.
    Restore {
        /// The provider's id of the volume.
        id: Text,
        /// The provider's id of the snapshot or backup.
        from: Text,
        /// Which of both.
        kind: Kind,
    },
    /// Delete it.
    Delete {
        /// The provider's id.
        id: Text,
        /// Its kind.
        kind: Kind,
    },
}

/// How far an act is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Progress {
    /// Done; the object as it is now.
    Done(Box<Observed>),
    /// Done; the object is gone.
    Gone,
    /// Accepted; ask again with `poll`.
    Pending(Operation),
}

/// A handle of something that is under way; survives a restart of `pool`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Operation(pub Text);

/// One page of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// Objects, in the provider's order.
    pub objects: Vec<Observed>,
    /// Where the next page starts; none: this was the last.
    pub next: Option<Text>,
}

/// What can go wrong, as far as the engine acts on it (law 8).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// There is no such object.
    #[error("{0} was not found")]
    NotFound(Text),
    /// Something that is not ours stands in the way.
    #[error("{0} exists already and is not ours")]
    AlreadyExists(Text),
    /// No machine or space of this kind is left; another place may do.
    #[error("no capacity: {0}")]
    NoCapacity(Text),
    /// A limit of the account.
    #[error("quota exceeded: {0}")]
    QuotaExceeded(Text),
    /// Too many calls; try again after the span, or after our own back-off.
    #[error("too many requests")]
    RateLimited {
        /// What the system asked for.
        after: Option<TimeSpan>,
    },
    /// Credentials are missing, wrong or not allowed to do this.
    #[error("not authorised: {0}")]
    Unauthorized(Text),
    /// The request makes no sense to the system.
    #[error("{field} is not valid: {detail}")]
    Invalid {
        /// Field of the spec.
        field: Text,
        /// The system's words.
        detail: Text,
    },
    /// The object is busy or in a state in which this cannot be done now.
    #[error("conflict: {0}")]
    Conflict(Text),
    /// It failed and was not carried out; trying again may help.
    #[error("temporary failure: {0}")]
    Transient(Text),
    /// The request may or may not have been carried out.
    #[error("no answer, it may have been carried out: {0}")]
    Indeterminate(Text),
    /// Anything else; it was not carried out and trying again will not help.
    #[error("{0}")]
    Other(Text),
}
