//! How accepted operations go on: one question per kind, whatever their number.

use std::{fmt, str::FromStr};

use pool_inventory::{Kind, Text};

use super::Cloud;
use crate::{Operation, Progress, ProviderError};

/// What an [`Operation`] says: `KIND:VERB:ID[:EXTRA]`. It holds everything that its end needs to know, so that another
/// process can wait for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Handle {
    /// Kind of the object.
    pub kind: Kind,
    /// What is done to it.
    pub verb: Text,
    /// The object's id.
    pub id: Text,
    /// What the verb keeps for its end; may hold colons.
    pub extra: Text,
}

impl Handle {
    /// A handle.
    pub fn new(kind: Kind, verb: &str, id: &str, extra: impl Into<Text>) -> Self {
        Self { kind, verb: verb.into(), id: id.into(), extra: extra.into() }
    }

    /// The answer of an act that goes on.
    pub fn pending(&self) -> Progress {
        Progress::Pending(Operation(self.to_string().into()))
    }
}

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.kind, self.verb, self.id)?;
        if self.extra.is_empty() { Ok(()) } else { write!(f, ":{}", self.extra) }
    }
}

impl FromStr for Handle {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.splitn(4, ':');
        let kind = match parts.next() {
            Some("network") => Kind::Network,
            Some("host") => Kind::Host,
            Some("volume") => Kind::Volume,
            Some("snapshot") => Kind::Snapshot,
            Some("backup") => Kind::Backup,
            _ => return Err(()),
        };
        let (Some(verb), Some(id)) = (parts.next(), parts.next().filter(|id| !id.is_empty())) else { return Err(()) };
        Ok(Self::new(kind, verb, id, parts.next().unwrap_or_default()))
    }
}

type Answer = Result<Progress, ProviderError>;

impl Cloud {
    pub(super) async fn poll(&self, operations: &[Operation]) -> Vec<Answer> {
        let handles: Vec<Option<Handle>> = operations.iter().map(|operation| operation.0.parse().ok()).collect();
        let of = |kinds: &[Kind]| -> Vec<Handle> {
            handles.iter().flatten().filter(|handle| kinds.contains(&handle.kind)).cloned().collect()
        };
        let (hosts, networks) = (of(&[Kind::Host]), of(&[Kind::Network]));
        let (volumes, copies) = (of(&[Kind::Volume]), of(&[Kind::Snapshot, Kind::Backup]));
        let (hosts, networks, volumes, copies) = tokio::join!(
            self.poll_hosts(&hosts),
            self.poll_networks(&networks),
            self.poll_volumes(&volumes),
            self.poll_copies(&copies),
        );
        let (mut hosts, mut networks) = (hosts.into_iter(), networks.into_iter());
        let (mut volumes, mut copies) = (volumes.into_iter(), copies.into_iter());
        let mut answer = |(operation, handle): (&Operation, &Option<Handle>)| {
            let next = match handle.as_ref().map(|handle| handle.kind) {
                Some(Kind::Host) => hosts.next(),
                Some(Kind::Network) => networks.next(),
                Some(Kind::Volume) => volumes.next(),
                Some(Kind::Snapshot | Kind::Backup) => copies.next(),
                Some(Kind::Pool | Kind::Tenant | Kind::Cluster | Kind::Member) | None => None,
            };
            next.unwrap_or_else(|| Err(ProviderError::NotFound(operation.0.clone())))
        };
        operations.iter().zip(&handles).map(&mut answer).collect()
    }
}

/// Nothing of this kind is ever under way.
pub(super) fn unknown(handles: &[Handle]) -> Vec<Answer> {
    handles.iter().map(|handle| Err(ProviderError::NotFound(handle.to_string().into()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_says_everything_and_comes_back() {
        for text in ["host:create:1b2", "volume:retype:77:gold", "host:delete:1b2:1700:a,b:pool x host/web-1 1 t"] {
            assert_eq!(text.parse::<Handle>().expect(text).to_string(), text);
        }
        for text in ["", "host", "host:create", "host:create:", "pool:create:1", "conformance-none"] {
            assert_eq!(text.parse::<Handle>(), Err(()), "{text}");
        }
    }
}
