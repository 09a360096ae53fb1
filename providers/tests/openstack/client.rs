//! Logging in, finding services, and what becomes of answers.

use pool_inventory::{TimeSpan, desired::OpenStackSpec};
use pool_providers::{Provider, ProviderError};
use serde_json::json;

use crate::cloud::{Cloud, body};

const TOKENS: &str = "POST /identity/v3/auth/tokens";

#[tokio::test]
async fn opening_asks_nothing() {
    let cloud = Cloud::start().await;
    let provider = cloud.provider();
    assert_eq!(provider.capabilities().batch, 1);
    assert!(provider.calls().is_empty());
    assert_eq!(cloud.log(), Vec::<String>::new());
}

#[tokio::test]
async fn a_token_that_is_refused_is_renewed_once() {
    let cloud = Cloud::start().await;
    cloud.once("GET /compute/v2.1/limits", "compute/no-token");
    cloud.once("GET /compute/v2.1/flavors/detail", "compute/no-token");
    let provider = cloud.provider();
    provider.market().await.unwrap();
    assert_eq!(cloud.seen(TOKENS).len(), 3);
    let limits = cloud.seen("GET /compute/v2.1/limits");
    let tokens: Vec<_> = limits.iter().map(|seen| seen.headers["x-auth-token"].as_str()).collect();
    assert_eq!(tokens, ["token-2", "token-3"]);

    cloud.on("GET /compute/v2.1/limits", "compute/no-token");
    let error = provider.market().await.unwrap_err();
    assert_eq!(error, ProviderError::Unauthorized("The request you have made requires authentication.".into()));
    assert_eq!(cloud.seen(TOKENS).len(), 4);
}

#[tokio::test]
async fn many_requests_share_one_log_in_and_one_version_document() {
    let cloud = Cloud::start().await;
    let provider = cloud.provider();
    let all = tokio::join!(provider.market(), provider.market(), provider.market());
    assert!(all.0.is_ok() && all.1.is_ok() && all.2.is_ok());
    assert_eq!(cloud.seen(TOKENS).len(), 1);
    assert_eq!(cloud.seen("GET /block-storage/v3/").len(), 1);
    assert_eq!(cloud.seen("GET /compute/v2.1/os-availability-zone").len(), 1);
    assert_eq!(cloud.seen("GET /compute/v2.1/limits").len(), 3);
}

#[tokio::test]
async fn services_are_asked_in_the_microversions_that_they_have() {
    let cloud = Cloud::start().await;
    let mut old = body("compute/versions");
    old["version"]["version"] = "2.72".into();
    cloud.answer("GET /compute/v2.1/", 200, old.clone());
    cloud.provider().market().await.unwrap();
    let version = |pattern: &str| cloud.seen(pattern)[0].headers.get("openstack-api-version").cloned();
    assert_eq!(version("GET /compute/v2.1/limits").as_deref(), Some("compute 2.72"));
    assert_eq!(version("GET /block-storage/v3/*/types").as_deref(), Some("volume 3.70"));
    assert_eq!(version("GET /network/v2.0/networks"), None);

    let cloud = Cloud::start().await;
    old["version"]["version"] = "2.53".into();
    cloud.answer("GET /compute/v2.1/", 200, old);
    let error = cloud.provider().market().await.unwrap_err().to_string();
    assert!(error.contains("has microversions 2.1 to 2.53; 2.60 to 2.90 are needed"), "{error}");
}

#[tokio::test]
async fn a_wrong_password_is_said_in_the_words_of_the_cloud() {
    let cloud = Cloud::start().await;
    for (fixture, words) in
        [("wrong-password", "requires authentication"), ("wrong-project", "requires authentication")]
    {
        cloud.on(TOKENS, &format!("identity/{fixture}"));
        let error = cloud.provider().market().await.unwrap_err();
        assert!(matches!(error, ProviderError::Unauthorized(_)), "{error:?}");
        let text = error.to_string();
        assert!(text.contains(words) && text.contains("refused the OS_* variables"), "{text}");
        assert!(!format!("{error:?}").contains("hunter2"));
    }
    cloud.on(TOKENS, "identity/token");
    let provider = cloud.provider();
    assert!(provider.market().await.is_ok());
    assert!(!format!("{provider:?}").contains("hunter2"));
    assert!(!format!("{provider:?}").contains("token-"));
}

#[tokio::test]
async fn a_region_that_is_not_there_is_named_with_those_that_are() {
    let cloud = Cloud::start().await;
    let spec = OpenStackSpec { region: Some("Atlantis".into()), ..OpenStackSpec::default() };
    let error = cloud.provider_of(spec).market().await.unwrap_err();
    let detail = "`Atlantis` is not in the cloud; it has: RegionOne".into();
    assert_eq!(error, ProviderError::Invalid { field: "region".into(), detail });
}

#[tokio::test]
async fn what_becomes_of_reads_that_fail() {
    let cloud = Cloud::start().await;
    let provider = cloud.provider();
    provider.market().await.unwrap();
    let limits = "GET /compute/v2.1/limits";

    cloud.answer_once(limits, 429, &[("retry-after", "7")], json!({ "overLimit": { "message": "slow down" } }));
    let after = Some(TimeSpan::secs(7));
    assert_eq!(provider.market().await.unwrap_err(), ProviderError::RateLimited { after });

    for status in [500, 502, 503, 504, 0] {
        cloud.answer_once(limits, status, &[], json!(null));
        let error = provider.market().await.unwrap_err();
        assert!(matches!(error, ProviderError::Transient(_)), "{status}: {error:?}");
    }
    cloud.answer_once(limits, 200, &[], json!("<html>a proxy's page</html>"));
    assert!(matches!(provider.market().await.unwrap_err(), ProviderError::Transient(_)));
    cloud.answer_once(limits, 302, &[("location", "http://127.0.0.1:1/")], json!(null));
    assert!(matches!(provider.market().await.unwrap_err(), ProviderError::Other(_)));
    assert!(provider.market().await.is_ok());
}

#[tokio::test]
async fn a_cloud_that_is_not_there_may_come_back() {
    let cloud = Cloud::start().await;
    cloud.answer_once(TOKENS, 503, &[], json!(null));
    let provider = cloud.provider();
    assert!(matches!(provider.market().await.unwrap_err(), ProviderError::Transient(_)));
    assert!(provider.market().await.is_ok());
}
