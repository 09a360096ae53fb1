//! Logging in, finding services, and what becomes of answers.

use pool_inventory::Kind;
use pool_providers::Provider;

use crate::cloud::Cloud;

#[tokio::test]
async fn opening_asks_nothing() {
    let cloud = Cloud::start().await;
    let provider = cloud.provider();
    assert_eq!(provider.capabilities().batch, 1);
    assert!(provider.calls().is_empty());
    assert_eq!(cloud.log(), Vec::<String>::new());
    let _ = Kind::Host;
}
