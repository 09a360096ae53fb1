//! Networks on recorded answers: what Neutron refuses, and answers that are lost.

use pool_inventory::{
    Address, Kind, Lineage, Text, Token,
    object::{NetworkSpec, Owner, Spec, Status},
};
use pool_providers::{Act, Progress, Provider, ProviderError, Request};
use serde_json::json;

use super::cloud::{Cloud, body};

const NETWORKS: &str = "GET /network/v2.0/networks";

/// Whose the recorded things are.
pub fn owner(address: Address) -> Owner {
    let (lineage, token) = (Lineage("f1".repeat(16).into()), Token("70".repeat(16).into()));
    Owner { lineage, address, generation: 1, token }
}

pub fn request(address: Address, act: Act) -> Request {
    Request { owner: owner(address), name: "pool-fixtures".into(), act }
}

fn create(dns: usize) -> Request {
    let mut spec = NetworkSpec::new("10.99.0.0/24".parse().unwrap());
    spec.dns = (1..=dns as u8).map(|n| std::net::IpAddr::from([9, 9, 9, n])).collect();
    request(Address::network("front"), Act::Create(Spec::Network(spec)))
}

/// Nothing of a network is there yet, and all of it can be made.
async fn cloud() -> Cloud {
    let cloud = Cloud::start().await;
    for (path, key) in [("networks", "networks"), ("subnets", "subnets"), ("routers", "routers"), ("ports", "ports")] {
        let mut empty = json!({});
        empty[key] = json!([]);
        cloud.answer(&format!("GET /network/v2.0/{path}"), 200, empty);
    }
    cloud.answer("GET /network/v2.0/security-groups", 200, json!({"security_groups": []}));
    for (path, fixture) in [
        ("networks", "network-made"),
        ("subnets", "subnet-made"),
        ("security-groups", "group-made"),
        ("security-group-rules", "rules-made"),
    ] {
        cloud.on(&format!("POST /network/v2.0/{path}"), &format!("network/{fixture}"));
    }
    for path in ["networks", "security-groups"] {
        cloud.answer(&format!("DELETE /network/v2.0/{path}/*"), 204, json!(null));
    }
    cloud
}

async fn submit(provider: &dyn Provider, request: &Request) -> Result<Progress, ProviderError> {
    provider.submit(vec![request.clone()]).await.remove(0)
}

#[tokio::test]
async fn a_network_is_made_without_looking() {
    let cloud = cloud().await;
    let made = submit(&cloud.provider(), &create(0)).await.unwrap();
    assert!(matches!(made, Progress::Done(made) if made.status == Status::Ready));
    let posts = ["networks", "subnets", "security-groups", "security-group-rules"];
    let wanted = posts.map(|path| format!("POST /network/v2.0/{path}"));
    assert_eq!(cloud.log()[1..], wanted);
}

#[tokio::test]
async fn what_was_made_before_a_refusal_goes() {
    let cloud = cloud().await;
    cloud.on("POST /network/v2.0/subnets", "network/too-many-name-servers");
    let refused = submit(&cloud.provider(), &create(9)).await;
    assert!(matches!(&refused, Err(ProviderError::Invalid { .. })), "{refused:?}");
    let id = body("network/network-made")["network"]["id"].as_str().unwrap().to_owned();
    assert_eq!(cloud.seen(&format!("DELETE /network/v2.0/networks/{id}")).len(), 1);
}

#[tokio::test]
async fn a_lost_answer_is_settled_by_the_mark_and_what_is_missing_is_made() {
    let cloud = cloud().await;
    cloud.answer_once("POST /network/v2.0/subnets", 0, &[], json!(null));
    let provider = cloud.provider();
    let lost = submit(&provider, &create(0)).await;
    assert!(matches!(&lost, Err(ProviderError::Indeterminate(_))), "{lost:?}");

    cloud.on(NETWORKS, "network/networks-marked");
    cloud.on("GET /network/v2.0/subnets", "network/subnets-marked");
    let token = owner(Address::network("front")).token;
    let found = provider.find(&token).await;
    // Servers and volumes are looked for first, and this cloud has none.
    assert!(found.is_err(), "{found:?}");
    cloud.answer("GET /compute/v2.1/servers/detail", 200, json!({"servers": []}));
    cloud.answer("GET /block-storage/v3/*/volumes/detail", 200, json!({"volumes": []}));
    cloud.answer("GET /block-storage/v3/*/snapshots/detail", 200, json!({"snapshots": []}));
    cloud.answer("GET /block-storage/v3/*/backups/detail", 200, json!({"backups": []}));
    // What is not whole is not there yet; once nothing can be on its way any more, it is asked for again.
    assert_eq!(provider.find(&token).await, Ok(None));
    let made = submit(&provider, &create(0)).await.unwrap();
    assert!(matches!(made, Progress::Done(made) if made.status == Status::Ready));
    for path in ["networks", "subnets", "security-groups", "security-group-rules"] {
        assert_eq!(cloud.seen(&format!("POST /network/v2.0/{path}")).len(), 1, "{path}");
    }
    // Another process does not know what was asked for: it sees that something is missing.
    let seen = cloud.provider().find(&token).await.unwrap().unwrap();
    let Spec::Network(spec) = seen.spec else { panic!("{seen:?}") };
    assert_eq!(spec.ingress.keys().map(|name| name.as_str()).collect::<Vec<_>>(), ["members-missing"]);
}

#[tokio::test]
async fn a_network_in_use_stays_whole_and_says_who_uses_it() {
    let cloud = cloud().await;
    let id: Text = body("network/network-made")["network"]["id"].as_str().unwrap().into();
    cloud.on(NETWORKS, "network/networks-marked");
    cloud.on("GET /network/v2.0/networks/*", "network/network-made");
    cloud.on("GET /network/v2.0/subnets", "network/subnets-marked");
    cloud.on("GET /network/v2.0/security-groups", "network/groups-marked");
    cloud.on("GET /network/v2.0/ports", "network/ports-in-the-way");
    let act = Act::Delete { id: id.clone(), kind: Kind::Network };
    let refused = submit(&cloud.provider(), &request(Address::network("front"), act.clone())).await;
    let port = body("network/ports-in-the-way")["ports"][0]["id"].as_str().unwrap().to_owned();
    assert!(matches!(&refused, Err(ProviderError::Conflict(text)) if text.contains(&port)), "{refused:?}");
    assert!(!cloud.log().iter().any(|line| line.starts_with("DELETE")));

    // What belongs to another lineage is let go, and not touched.
    let mut foreign = request(Address::network("front"), act);
    foreign.owner.lineage = Lineage("f2".repeat(16).into());
    assert_eq!(submit(&cloud.provider(), &foreign).await, Ok(Progress::Gone));
    assert!(!cloud.log().iter().any(|line| line.starts_with("DELETE")));
}

#[tokio::test]
async fn an_observation_asks_for_networks_once_and_for_parts_only_of_ours() {
    let cloud = cloud().await;
    let provider = cloud.provider();
    provider.market().await.unwrap();
    provider.list(Kind::Network, None).await.unwrap();
    let asked = |path: &str| cloud.seen(&format!("GET /network/v2.0/{path}")).len();
    assert_eq!((asked("networks"), asked("routers"), asked("security-groups")), (1, 1, 1));
    assert_eq!((asked("subnets"), asked("ports")), (0, 0), "nothing is ours");
    provider.list(Kind::Network, None).await.unwrap();
    assert_eq!(asked("networks"), 2, "the next list is one of its own");
}
