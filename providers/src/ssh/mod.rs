//! Hosts that exist: adopted and released, never made.
//!
//! This provider asks no system for anything: everything that is known of such a host stands in the inventory, and
//! whether it answers is found out by bootstrap, over SSH. How the contract of [`Provider`] reads here:
//!
//! | call | what it does |
//! |---|---|
//! | `capabilities` | `creates` is false: there is nothing to compare `list` with, and a missing object has not vanished |
//! | `market` | empty: hosts have their places already, and nothing is for sale |
//! | `Create` of a host | adopts it: `Done` with what stands in `HostSpec::at`; the same answer every time |
//! | `Update` of a host | `Done`: nothing of it is known to anyone but `pool` |
//! | `Delete` of a host | `Gone`: it is released, and goes on running as it is |
//! | `Rebuild`, `Power`, anything about volumes and networks | `Invalid`: there is nobody to ask |
//! | `list` | one empty page |
//! | `find` | `None`: an adoption leaves nothing behind that could be looked up; doing it again does no harm |
//! | `poll` | `NotFound`: nothing is ever pending |

use async_trait::async_trait;
use pool_inventory::{
    Kind, Name, Text, TimeSpan, Token,
    market::{Capabilities, Change, Feature, Market},
    object::{HostSpec, Observed, Spec, Status},
};

use crate::{Act, Operation, Page, Progress, Provider, ProviderError, Request};

/// What [`HostSpec::offering`] says for hosts that exist.
pub const EXISTING: &str = "existing";

/// Hosts that exist; see `docs/providers/ssh.md`.
#[derive(Debug, Clone)]
pub struct SshProvider {
    name: Name,
}

impl SshProvider {
    /// The provider that an inventory calls `name`.
    pub fn new(name: Name) -> Self {
        Self { name }
    }

    fn answer(&self, request: &Request) -> Result<Progress, ProviderError> {
        match &request.act {
            Act::Create(Spec::Host(host)) | Act::Update { to: Spec::Host(host), .. } => self.adopt(request, host),
            Act::Delete { kind: Kind::Host, .. } => Ok(Progress::Gone),
            Act::Create(_) | Act::Update { .. } | Act::Restore { .. } | Act::Delete { .. } => {
                Err(self.refuse("kind", "it has neither volumes nor networks"))
            }
            Act::Rebuild { .. } => Err(self.refuse("image", "a host that exists cannot be given a new system")),
            Act::Power { .. } | Act::Restart { .. } => {
                Err(self.refuse("power", "a host that exists cannot be turned on or off"))
            }
        }
    }

    fn adopt(&self, request: &Request, host: &HostSpec) -> Result<Progress, ProviderError> {
        let at = host.at.clone().ok_or_else(|| self.refuse("address", "a host that exists needs an address"))?;
        Ok(Progress::Done(Box::new(Observed {
            // The place of the machine: it stays the same when the host is renamed, and differs when it is another one.
            id: format!("{}:{}", at.host, at.port).into(),
            name: request.name.clone(),
            owner: Some(request.owner.clone()),
            status: Status::Ready,
            spec: Spec::Host(host.clone()),
            endpoint: Some(at),
        })))
    }

    fn refuse(&self, field: &str, why: &str) -> ProviderError {
        let detail = format!("provider {} only adopts hosts: {why}", self.name).into();
        ProviderError::Invalid { field: field.into(), detail }
    }
}

#[async_trait]
impl Provider for SshProvider {
    fn capabilities(&self) -> Capabilities {
        let fields = ["tags.*", "user", "authorized_keys", "address"];
        let host = fields.map(|field| (Text::from(field), Change::InPlace)).into();
        use Feature::{Owners, Packages, Services, Sysctl, Users};
        Capabilities {
            changes: [(Kind::Host, host)].into(),
            // What a host can really do is found out from its facts; nothing rules it out beforehand.
            features: [Packages, Users, Services, Sysctl, Owners].into(),
            creates: false,
            batch: 1000,
            visibility_delay: TimeSpan(0),
            doubt: TimeSpan(0),
            patience: pool_inventory::market::PATIENCE,
            calls: 64,
            poll: TimeSpan(0),
            unseen: [].into(),
        }
    }

    async fn market(&self) -> Result<Market, ProviderError> {
        Ok(Market::default())
    }

    async fn submit(&self, batch: Vec<Request>) -> Vec<Result<Progress, ProviderError>> {
        batch.iter().map(|request| self.answer(request)).collect()
    }

    async fn list(&self, _kind: Kind, _from: Option<Text>) -> Result<Page, ProviderError> {
        Ok(Page::default())
    }

    async fn find(&self, _token: &Token) -> Result<Option<Observed>, ProviderError> {
        Ok(None)
    }

    async fn poll(&self, operations: &[Operation]) -> Vec<Result<Progress, ProviderError>> {
        operations.iter().map(|Operation(id)| Err(ProviderError::NotFound(id.clone()))).collect()
    }
}

#[cfg(test)]
mod tests {
    use pool_inventory::{
        Address, Lineage,
        desired::Size,
        object::{Endpoint, Owner},
    };

    use super::*;

    fn request(act: Act) -> Request {
        let (lineage, address) = (Lineage::from_bits([1; 16]), Address::host("m1"));
        let token = Token::derive(&lineage, &address, 1, 0);
        Request { owner: Owner { lineage, address, generation: 1, token }, name: "acme-default-m1".into(), act }
    }

    fn host(at: Option<Endpoint>) -> HostSpec {
        HostSpec {
            offering: EXISTING.into(),
            region: "".into(),
            zone: "".into(),
            size: Size { vcpus: 0, memory: pool_inventory::Bytes(0), disk: pool_inventory::Bytes(0) },
            image: "".into(),
            network: None,
            tags: [].into(),
            user: "ops".into(),
            authorized_keys: Vec::new(),
            at,
            ..HostSpec::default()
        }
    }

    async fn one(act: Act) -> Result<Progress, ProviderError> {
        let provider = SshProvider::new(Name::new("racks").expect("a name"));
        provider.submit(vec![request(act)]).await.remove(0)
    }

    #[tokio::test]
    async fn adopting_answers_with_the_address_and_the_pinned_key_and_releasing_leaves_the_host() {
        let at = Endpoint { host: "192.0.2.11".into(), port: 2222, host_keys: vec!["ssh-ed25519 AAAA".into()] };
        let first = one(Act::Create(Spec::Host(host(Some(at.clone()))))).await;
        let Ok(Progress::Done(observed)) = &first else { panic!("{first:?}") };
        assert_eq!((observed.id.as_ref(), observed.endpoint.as_ref()), ("192.0.2.11:2222", Some(&at)));
        assert_eq!(one(Act::Create(Spec::Host(host(Some(at))))).await, first);
        assert_eq!(one(Act::Delete { id: observed.id.clone(), kind: Kind::Host }).await, Ok(Progress::Gone));
    }

    #[tokio::test]
    async fn what_cannot_be_done_names_the_field() {
        let field = |answer| match answer {
            Err(ProviderError::Invalid { field, .. }) => field.to_string(),
            other => panic!("{other:?}"),
        };
        assert_eq!(field(one(Act::Create(Spec::Host(host(None)))).await), "address");
        assert_eq!(field(one(Act::Power { id: "192.0.2.11:22".into(), on: false }).await), "power");
        assert_eq!(field(one(Act::Delete { id: "x".into(), kind: Kind::Volume }).await), "kind");
    }
}
