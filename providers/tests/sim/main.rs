//! The simulated cloud as its users meet it: through the trait, over several handles, and in its ledger.

mod support;

use pool_inventory::{Kind, desired::SimSpec};
use pool_providers::{Progress, Provider, ProviderError, sim::SimLedger};
use support::*;

#[tokio::test]
async fn what_is_made_is_listed_found_and_deleted() {
    let cloud = Sim::new(SimSpec::default());
    let made = done(one(&cloud.provider, create_host("web-1")).await);
    assert_eq!(made.name.as_ref(), "acme-default-web-1");
    let endpoint = made.endpoint.clone().expect("it runs");
    assert!(endpoint.host.starts_with("10.") && endpoint.host_keys[0].starts_with("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5"));

    assert_eq!(cloud.provider.list(Kind::Host, None).await.expect("lists").objects, [made.clone()]);
    assert_eq!(cloud.provider.find(&host_owner("web-1", 0).token).await, Ok(Some(made.clone())));
    assert_eq!(one(&cloud.provider, delete(&made)).await, Ok(Progress::Gone));
    assert_eq!(one(&cloud.provider, delete(&made)).await, Err(ProviderError::NotFound(made.id.clone())));
    assert_eq!(cloud.provider.find(&host_owner("web-1", 0).token).await, Ok(None));

    let ledger = SimLedger::read(&cloud.path).expect("reads");
    assert_eq!((ledger.counters.created[&Kind::Host], ledger.counters.deleted[&Kind::Host]), (1, 1));
    assert!(ledger.live.is_empty());
}
