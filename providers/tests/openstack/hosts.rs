//! Servers through their lives, on recorded answers.

use pool_inventory::{
    Address, Bytes, Kind, Lineage, Name, Text, Token,
    desired::Size,
    object::{HostSpec, Observed, Owner, Spec, Status},
};
use pool_providers::{Act, Operation, Progress, Provider, ProviderError, Request, openstack::OpenStackProvider};
use serde_json::{Value, json};

use crate::cloud::{Cloud, body};

const PORTS: &str = "/network/v2.0/ports";
const SERVERS: &str = "/compute/v2.1/servers";

/// A cloud in which network `front` stands, and where nothing was asked for yet.
async fn cloud() -> Cloud {
    let cloud = Cloud::start().await;
    cloud.on("GET /compute/v2.1/flavors", "hosts/flavors");
    cloud.on("GET /image/v2/images", "hosts/image");
    for (what, fixture) in
        [("networks", "hosts/networks"), ("subnets", "hosts/subnets"), ("security-groups", "hosts/security-groups")]
    {
        cloud.on(&format!("GET /network/v2.0/{what}"), fixture);
    }
    for (what, key) in [("routers", "routers"), ("ports", "ports"), ("floatingips", "floatingips")] {
        cloud.answer(&format!("GET /network/v2.0/{what}"), 200, json!({ key: [] }));
    }
    cloud.answer("GET /compute/v2.1/os-server-groups", 200, json!({"server_groups": []}));
    cloud.answer(&format!("DELETE {PORTS}/*"), 204, Value::Null);
    cloud
}

fn host(offering: &str, zone: &str, vcpus: u32, disk: u64) -> HostSpec {
    HostSpec {
        offering: offering.into(),
        region: "RegionOne".into(),
        zone: zone.into(),
        size: Size { vcpus, memory: Bytes::gib(u64::from(vcpus) * 2), disk: Bytes::gib(disk) },
        image: "tiny".into(),
        network: Some(Name::new("front").unwrap()),
        tags: [("team".into(), "checkout".into())].into(),
        user: "ops".into(),
        authorized_keys: vec!["ssh-ed25519 AAAA me".into()],
        ..HostSpec::default()
    }
}

fn small() -> HostSpec {
    host("m1.small", "az1", 1, 20)
}

fn request(n: usize, act: Act) -> Request {
    let address = Address::host(&format!("web-{n}"));
    let owner = Owner {
        lineage: Lineage("f1".repeat(16).into()),
        address,
        generation: 1,
        token: Token(format!("aa0{n}").into()),
    };
    Request { owner, name: format!("fixture-web-{n}").into(), act }
}

fn creation(n: usize, host: HostSpec) -> Request {
    request(n, Act::Create(Spec::Host(host)))
}

async fn submit(provider: &OpenStackProvider, request: Request) -> Result<Progress, ProviderError> {
    provider.submit(vec![request]).await.remove(0)
}

async fn pending(provider: &OpenStackProvider, request: Request) -> Operation {
    match submit(provider, request).await {
        Ok(Progress::Pending(operation)) => operation,
        other => panic!("{other:?}"),
    }
}

async fn poll(provider: &OpenStackProvider, operation: &Operation) -> Result<Progress, ProviderError> {
    provider.poll(std::slice::from_ref(operation)).await.remove(0)
}

fn done(answer: Result<Progress, ProviderError>) -> Observed {
    match answer {
        Ok(Progress::Done(observed)) => *observed,
        other => panic!("{other:?}"),
    }
}

/// Nova accepts the `n`th server, and then shows it like this.
fn accepted(cloud: &Cloud, n: usize) {
    cloud.on(&format!("POST {PORTS}"), &format!("hosts/web-{n}-port"));
    cloud.on(&format!("POST {SERVERS}"), &format!("hosts/web-{n}-made"));
}

fn shown(cloud: &Cloud, fixture: &str) {
    cloud.on(&format!("GET {SERVERS}/detail"), &format!("hosts/{fixture}"));
}

fn id(fixture: &str) -> Text {
    let body = body(&format!("hosts/{fixture}"));
    body["server"]["id"].as_str().or(body["servers"][0]["id"].as_str()).unwrap().into()
}

#[tokio::test]
async fn a_creation_is_a_port_and_a_server_and_one_list_waits_for_it() {
    let cloud = cloud().await;
    let provider = cloud.provider();
    accepted(&cloud, 1);
    let operation = pending(&provider, creation(1, small())).await;

    let port = &cloud.seen(&format!("POST {PORTS}"))[0].body["port"];
    assert_eq!(port["description"], format!("pool {} host/web-1 1 aa01", "f1".repeat(16)));
    assert_eq!(port["network_id"], body("hosts/networks")["networks"][0]["id"]);
    assert_eq!(port["security_groups"][0], body("hosts/security-groups")["security_groups"][0]["id"]);
    assert!(port["mac_address"].as_str().unwrap().starts_with("06:"), "{port}");

    let server = &cloud.seen(&format!("POST {SERVERS}"))[0].body["server"];
    assert_eq!(server["networks"], json!([{"port": body("hosts/web-1-port")["port"]["id"]}]));
    assert_eq!(server["tags"], json!(["pool", "pool-token-aa01"]));
    let metadata = &server["metadata"];
    assert_eq!((&metadata["pool_token"], &metadata["team"]), (&json!("aa01"), &json!("checkout")));
    assert_eq!(server["availability_zone"], "az1");
    let data = data_encoding::BASE64.decode(server["user_data"].as_str().unwrap().as_bytes()).unwrap();
    let data: serde_yaml::Value = serde_yaml::from_slice(&data).unwrap();
    assert_eq!(data["users"][0]["ssh_authorized_keys"][0], "ssh-ed25519 AAAA me");
    assert_eq!(data["ssh_keys"]["ed25519_public"], metadata["pool_host_key"].as_str().unwrap());

    shown(&cloud, "web-1-building");
    assert_eq!(poll(&provider, &operation).await, Ok(Progress::Pending(operation.clone())));
    shown(&cloud, "web-1-there");
    let made = done(poll(&provider, &operation).await);
    assert_eq!((&made.id, &made.status), (&id("web-1-made"), &Status::Ready));
    assert_eq!(made.owner, Some(request(1, Act::Restart { id: "".into() }).owner));
    let wanted = HostSpec { user: "".into(), authorized_keys: Vec::new(), ..small() };
    assert_eq!(made.spec, Spec::Host(wanted));
    let endpoint = made.endpoint.unwrap();
    assert_eq!(&*endpoint.host, body("hosts/web-1-port")["port"]["fixed_ips"][0]["ip_address"].as_str().unwrap());
    assert_eq!(endpoint.host_keys, ["ssh-ed25519 AAAA".into()]);
    let calls = |what: &str| cloud.seen(what).len();
    assert_eq!((calls(&format!("POST {PORTS}")), calls(&format!("POST {SERVERS}"))), (1, 1));
    assert_eq!(calls(&format!("GET {SERVERS}/detail")), 2, "two polls");
}

#[tokio::test]
async fn the_next_host_needs_no_look_ups() {
    let cloud = cloud().await;
    let provider = cloud.provider();
    accepted(&cloud, 1);
    pending(&provider, creation(1, small())).await;
    let before = cloud.log().len();
    accepted(&cloud, 4);
    pending(&provider, creation(4, small())).await;
    assert_eq!(cloud.log()[before..], [format!("POST {PORTS}"), format!("POST {SERVERS}")]);
}

#[tokio::test]
async fn what_was_listed_for_the_market_is_not_looked_up() {
    let cloud = cloud().await;
    let provider = cloud.provider();
    provider.market().await.unwrap();
    let before = cloud.log().len();
    accepted(&cloud, 1);
    pending(&provider, creation(1, small())).await;
    let calls = &cloud.log()[before..];
    assert!(!calls.iter().any(|call| call.contains("images") || call.contains("flavors")), "{calls:?}");
}

#[tokio::test]
async fn a_server_without_a_machine_is_cleared_away_before_it_is_no_capacity() {
    let cloud = cloud().await;
    let provider = cloud.provider();
    accepted(&cloud, 2);
    let first = pending(&provider, creation(2, host("m1.xlarge", "az-small", 8, 160))).await;
    // The list does not say what went wrong; the server itself does.
    shown(&cloud, "web-2-there");
    cloud.on(&format!("GET {SERVERS}/*"), "hosts/web-2-one");
    shown(&cloud, "web-2-there");
    cloud.answer(&format!("DELETE {SERVERS}/*"), 204, Value::Null);
    let Ok(Progress::Pending(second)) = poll(&provider, &first).await else { panic!("it is not cleared away yet") };
    assert_eq!(cloud.seen(&format!("DELETE {SERVERS}/*")).len(), 1);
    assert_eq!(cloud.seen(&format!("DELETE {PORTS}/*")).len(), 0, "the server still has it");

    cloud.answer(&format!("GET {SERVERS}/detail"), 200, json!({"servers": []}));
    cloud.on(&format!("GET {SERVERS}/*"), "hosts/delete-again");
    cloud.answer(&format!("GET {SERVERS}/detail"), 200, json!({"servers": []}));
    cloud.answer(&format!("GET {PORTS}"), 200, json!({"ports": [body("hosts/web-2-port")["port"]]}));
    let words = "No valid host was found. There are not enough hosts available.";
    for operation in [first, second] {
        assert_eq!(poll(&provider, &operation).await, Err(ProviderError::NoCapacity(words.into())));
    }
    assert!(!cloud.seen(&format!("DELETE {PORTS}/*")).is_empty());
}

#[tokio::test]
async fn a_server_too_many_is_cleared_away_before_it_is_over_quota() {
    let cloud = cloud().await;
    let provider = cloud.provider();
    accepted(&cloud, 1);
    let server = id("one-too-many");
    cloud.answer(&format!("POST {SERVERS}"), 202, json!({"server": {"id": &*server}}));
    let operation = pending(&provider, creation(1, small())).await;
    cloud.on(&format!("GET {SERVERS}/*"), "hosts/one-too-many");
    shown(&cloud, "one-too-many-there");
    cloud.answer(&format!("DELETE {SERVERS}/*"), 204, Value::Null);
    let cleared = poll(&provider, &operation).await;
    assert!(matches!(cleared, Ok(Progress::Pending(_))), "it is not cleared away yet: {cleared:?}");
    assert_eq!(cloud.seen(&format!("DELETE {SERVERS}/{server}")).len(), 1);

    cloud.on(&format!("GET {SERVERS}/*"), "hosts/delete-again");
    cloud.answer(&format!("GET {SERVERS}/detail"), 200, json!({"servers": []}));
    let words = "Quota exceeded for instances: Requested 1, but already used 1 of 1 instances";
    assert_eq!(poll(&provider, &operation).await, Err(ProviderError::QuotaExceeded(words.into())));
}

#[tokio::test]
async fn what_is_taken_over_has_the_host_keys_of_its_console() {
    let server = id("foreign-one");
    for console in [true, false] {
        let cloud = cloud().await;
        cloud.on(&format!("GET {SERVERS}/{server}"), "hosts/foreign-one");
        cloud.on(&format!("POST {SERVERS}/{server}/action"), "hosts/foreign-console");
        let spec = HostSpec { existing: Some(server.clone()), console_keys: console, ..small() };
        let taken = done(submit(&cloud.provider(), creation(4, spec)).await);
        let keys = taken.endpoint.unwrap().host_keys;
        assert_eq!(keys.len(), usize::from(console), "{keys:?}");
        assert_eq!(cloud.seen(&format!("POST {SERVERS}/*/action")).len(), usize::from(console));
    }
}

#[tokio::test]
async fn a_build_that_fails_is_a_broken_host_with_the_words_of_nova() {
    let cloud = cloud().await;
    let provider = cloud.provider();
    accepted(&cloud, 3);
    let operation = pending(&provider, creation(3, small())).await;
    shown(&cloud, "web-3-there");
    let made = done(poll(&provider, &operation).await);
    let Status::Failed(why) = &made.status else { panic!("{made:?}") };
    assert!(why.ends_with("aborted: oslab_fault abort"), "{why}");
    assert_eq!(made.endpoint, None);
}

#[tokio::test]
async fn a_creation_that_is_refused_takes_its_port_with_it() {
    for (fixture, quota) in [("compute/over-quota", true), ("compute/bad-zone", false)] {
        let cloud = cloud().await;
        let provider = cloud.provider();
        accepted(&cloud, 1);
        cloud.on(&format!("POST {SERVERS}"), fixture);
        cloud.answer(&format!("GET {PORTS}"), 200, json!({"ports": [body("hosts/web-1-port")["port"]]}));
        let error = submit(&provider, creation(1, small())).await.unwrap_err();
        assert_eq!(matches!(error, ProviderError::QuotaExceeded(_)), quota, "{error:?}");
        let port = body("hosts/web-1-port")["port"]["id"].as_str().unwrap().to_owned();
        assert_eq!(cloud.seen(&format!("DELETE {PORTS}/{port}")).len(), 1);
    }
}

#[tokio::test]
async fn a_lost_reply_makes_no_second_server() {
    let cloud = cloud().await;
    let provider = cloud.provider();
    accepted(&cloud, 1);
    cloud.answer(&format!("POST {SERVERS}"), 0, Value::Null);
    let lost = submit(&provider, creation(1, small())).await;
    assert!(matches!(lost, Err(ProviderError::Indeterminate(_))), "{lost:?}");
    assert_eq!(cloud.seen(&format!("DELETE {PORTS}/*")).len(), 0);

    // Nova had it.
    shown(&cloud, "web-1-building");
    let found = provider.find(&Token("aa01".into())).await.unwrap().unwrap();
    assert_eq!((found.id, found.status), (id("web-1-made"), Status::Pending));
    assert_eq!(cloud.seen(&format!("GET {SERVERS}/detail?tags=pool-token-aa01")).len(), 1);
    pending(&provider, creation(1, small())).await;
    assert_eq!(cloud.seen(&format!("POST {SERVERS}")).len(), 1);
    assert_eq!(cloud.seen(&format!("POST {PORTS}")).len(), 1);
}

#[tokio::test]
async fn nothing_is_sent_after_a_request_that_may_be_on_its_way() {
    let cloud = cloud().await;
    let provider = cloud.provider();
    accepted(&cloud, 1);
    cloud.answer(&format!("POST {SERVERS}"), 0, Value::Null);
    submit(&provider, creation(1, small())).await.unwrap_err();

    cloud.answer(&format!("GET {SERVERS}/detail"), 200, json!({"servers": []}));
    cloud.answer(&format!("GET {PORTS}"), 200, json!({"ports": [body("hosts/web-1-port")["port"]]}));
    let again = submit(&provider, creation(1, small())).await;
    assert!(matches!(again, Err(ProviderError::Transient(_))), "{again:?}");
    assert_eq!((cloud.seen(&format!("POST {PORTS}")).len(), cloud.seen(&format!("POST {SERVERS}")).len()), (1, 1));

    // To another process it is a host of which only the port is there.
    assert_eq!(provider.find(&Token("aa01".into())).await, Ok(None));
    let other = cloud.provider().find(&Token("aa01".into())).await.unwrap().unwrap();
    assert!(other.id.starts_with("port:") && matches!(other.status, Status::Failed(_) | Status::Pending), "{other:?}");
}

#[tokio::test]
async fn lists_come_in_pages_with_lone_ports_at_the_end() {
    let cloud = cloud().await;
    let provider = cloud.provider();
    let last = body("hosts/page-1")["servers"][2]["id"].as_str().unwrap().to_owned();
    cloud.on(&format!("GET {SERVERS}/detail"), "hosts/page-1");
    cloud.on(&format!("GET {SERVERS}/detail?marker={last}"), "hosts/page-2");
    cloud.on(&format!("GET {PORTS}?device_id="), "hosts/lone-ports");
    // A server without a machine has not taken its port: it is not told twice, on whichever page it was.
    cloud.answer(&format!("GET {SERVERS}/detail?tags=*"), 200, json!({"servers": []}));
    cloud.on(&format!("GET {SERVERS}/detail?tags=pool-token-aa02"), "hosts/web-2-there");
    cloud.on(&format!("GET {SERVERS}/detail?tags=pool-token-aa03"), "hosts/web-3-there");
    let first = provider.list(Kind::Host, None).await.unwrap();
    assert_eq!((first.objects.len(), first.next.as_deref()), (3, Some(&*last)));
    let second = provider.list(Kind::Host, first.next).await.unwrap();
    assert_eq!(second.next, None);
    let names: Vec<&str> = second.objects.iter().map(|host| &*host.name).collect();
    assert_eq!(names, ["fixture-web-1", "fixture-web-5"], "{:?}", second.objects);
    let lone = &second.objects[1];
    assert_eq!(lone.owner.as_ref().map(|owner| &*owner.token.0), Some("aa05"));
    assert!(lone.id.starts_with("port:"));
}

#[tokio::test]
async fn a_list_whose_marker_was_deleted_is_begun_anew() {
    let cloud = cloud().await;
    let provider = cloud.provider();
    // The server that the first page ended with is gone when the second is asked for: the engine begins anew.
    let last = body("hosts/page-1")["servers"][2]["id"].as_str().unwrap().to_owned();
    cloud.on(&format!("GET {SERVERS}/detail?marker={last}"), "compute/no-marker");
    let answer = provider.list(Kind::Host, Some(last.as_str().into())).await;
    assert_eq!(answer, Err(ProviderError::NotFound(last.as_str().into())));

    // A list that is ours alone is begun anew here, but not for ever.
    let port = body("hosts/lone-ports")["ports"][0].clone();
    let href = format!("{}{PORTS}?marker={}", cloud.url, port["id"].as_str().unwrap());
    let page = json!({"ports": [port], "ports_links": [{"rel": "next", "href": href}]});
    cloud.answer(&format!("GET {SERVERS}/detail"), 200, json!({"servers": []}));
    cloud.on(&format!("GET {PORTS}?device_id=&marker=*"), "network/no-marker");
    cloud.answer_once(&format!("GET {PORTS}?device_id="), 200, &[], json!({"ports": []}));
    cloud.answer_once(&format!("GET {PORTS}?device_id=&marker=*"), 404, &[], body("network/no-marker"));
    cloud.answer_once(&format!("GET {PORTS}?device_id="), 200, &[], page.clone());
    assert_eq!(provider.list(Kind::Host, None).await.unwrap().objects, []);
    cloud.answer(&format!("GET {PORTS}?device_id="), 200, page);
    cloud.on(&format!("GET {PORTS}?device_id=&marker=*"), "network/no-marker");
    assert!(matches!(provider.list(Kind::Host, None).await, Err(ProviderError::NotFound(_))));
}

#[tokio::test]
async fn a_lone_port_is_deleted_as_a_host() {
    let cloud = cloud().await;
    let provider = cloud.provider();
    let port = body("hosts/lone-port")["port"].clone();
    let id = port["id"].as_str().unwrap();
    cloud.on(&format!("GET {PORTS}/{id}"), "hosts/lone-port");
    cloud.answer(&format!("GET {PORTS}"), 200, json!({"ports": [port]}));
    let act = Act::Delete { id: format!("port:{id}").into(), kind: Kind::Host };
    assert_eq!(submit(&provider, request(5, act.clone())).await, Ok(Progress::Gone));
    assert_eq!(cloud.seen(&format!("DELETE {PORTS}/{id}")).len(), 1);
    cloud.on(&format!("GET {PORTS}/{id}"), "network/no-network");
    let again = submit(&provider, request(5, act)).await;
    assert!(matches!(again, Err(ProviderError::NotFound(_))), "{again:?}");
}

#[tokio::test]
async fn a_deletion_takes_the_port_after_the_server() {
    let cloud = cloud().await;
    let provider = cloud.provider();
    let server = id("web-1-there");
    let port = body("hosts/web-1-port")["port"].clone();
    cloud.answer(&format!("GET {PORTS}"), 200, json!({"ports": [port]}));
    cloud.answer(&format!("DELETE {SERVERS}/*"), 204, Value::Null);
    let act = Act::Delete { id: server, kind: Kind::Host };
    let operation = pending(&provider, request(1, act.clone())).await;
    shown(&cloud, "web-1-there");
    assert_eq!(poll(&provider, &operation).await, Ok(Progress::Pending(operation.clone())));
    assert_eq!(cloud.seen(&format!("DELETE {PORTS}/*")).len(), 0);
    shown(&cloud, "deleted");
    assert_eq!(poll(&provider, &operation).await, Ok(Progress::Gone));
    let id = port["id"].as_str().unwrap();
    assert_eq!(cloud.seen(&format!("DELETE {PORTS}/{id}")).len(), 1);

    cloud.on(&format!("DELETE {SERVERS}/*"), "hosts/delete-again");
    cloud.answer(&format!("GET {PORTS}"), 200, json!({"ports": []}));
    let again = submit(&provider, request(1, act)).await;
    assert!(matches!(again, Err(ProviderError::NotFound(_))), "{again:?}");
}

#[tokio::test]
async fn a_resize_is_confirmed_once_and_ends_with_the_new_size() {
    let cloud = cloud().await;
    let provider = cloud.provider();
    let server = id("web-1-there");
    let to = host("m1.medium", "az1", 2, 40);
    let update = Act::Update { id: server.clone(), to: Spec::Host(to.clone()), host: None };
    cloud.on(&format!("GET {SERVERS}/*"), "hosts/web-1-one");
    cloud.answer(&format!("POST {SERVERS}/*/action"), 202, Value::Null);
    let operation = pending(&provider, request(1, update)).await;
    assert_eq!(cloud.seen(&format!("POST {SERVERS}/*/action")).len(), 1);
    for (fixture, actions) in [("resizing", 1), ("resized", 2)] {
        shown(&cloud, fixture);
        assert_eq!(poll(&provider, &operation).await, Ok(Progress::Pending(operation.clone())));
        assert_eq!(cloud.seen(&format!("POST {SERVERS}/*/action")).len(), actions, "{fixture}");
    }
    // The list may still be that from before.
    cloud.on(&format!("POST {SERVERS}/*/action"), "hosts/confirm-again");
    assert_eq!(poll(&provider, &operation).await, Ok(Progress::Pending(operation.clone())));
    shown(&cloud, "confirmed");
    let after = done(poll(&provider, &operation).await);
    assert_eq!((&after.spec.host().unwrap().offering, after.spec.host().unwrap().size), (&to.offering, to.size));
}

#[tokio::test]
async fn a_resize_that_finds_no_machine_says_so() {
    let cloud = cloud().await;
    let provider = cloud.provider();
    let server = id("not-resized");
    let to = host("m1.xlarge", "az-small", 8, 160);
    cloud.on(&format!("GET {SERVERS}/*"), "hosts/web-4-one");
    cloud.answer(&format!("POST {SERVERS}/*/action"), 202, Value::Null);
    let update = Act::Update { id: server, to: Spec::Host(to), host: None };
    let operation = pending(&provider, request(4, update)).await;
    shown(&cloud, "not-resized");
    cloud.on(&format!("GET {SERVERS}/*/os-instance-actions"), "hosts/actions");
    cloud.on(&format!("GET {SERVERS}/*/os-instance-actions/*"), "hosts/action");
    let answer = poll(&provider, &operation).await;
    assert!(matches!(&answer, Err(ProviderError::NoCapacity(why)) if why.contains("new size")), "{answer:?}");
}

#[tokio::test]
async fn a_resize_that_was_cut_off_is_seen_as_a_difference() {
    let cloud = cloud().await;
    let provider = cloud.provider();
    shown(&cloud, "resized");
    let seen = provider.list(Kind::Host, None).await.unwrap().objects;
    assert_eq!(&*seen[0].spec.host().unwrap().offering, "m1.medium, not confirmed");
    // Asked for the new size, it is confirmed; asked for another, it goes back first.
    for (offering, verb) in [("m1.medium", "resize"), ("m1.small", "revert")] {
        let cloud = self::cloud().await;
        let provider = cloud.provider();
        cloud.answer(&format!("GET {SERVERS}/*"), 200, json!({"server": body("hosts/resized")["servers"][0]}));
        cloud.answer(&format!("POST {SERVERS}/*/action"), 202, Value::Null);
        let to = Spec::Host(host(offering, "az1", 1, 20));
        let operation = pending(&provider, request(1, Act::Update { id: id("resized"), to, host: None })).await;
        assert!(operation.0.starts_with(&format!("host:{verb}:")), "{operation:?}");
    }
}

#[tokio::test]
async fn what_is_on_already_is_on() {
    let cloud = cloud().await;
    let provider = cloud.provider();
    cloud.on(&format!("POST {SERVERS}/*/action"), "hosts/start-running");
    cloud.on(&format!("GET {SERVERS}/*"), "hosts/web-1-one");
    let on = done(submit(&provider, request(1, Act::Power { id: id("web-1-there"), on: true })).await);
    assert_eq!(on.status, Status::Ready);
    cloud.answer(&format!("GET {SERVERS}/*"), 200, json!({"server": body("hosts/stopped")["servers"][0]}));
    let answer = submit(&provider, request(1, Act::Power { id: id("web-1-there"), on: true })).await;
    assert!(matches!(answer, Err(ProviderError::Conflict(_))), "{answer:?}");
}

#[tokio::test]
async fn a_poll_survives_services_that_hang_up() {
    let cloud = cloud().await;
    let provider = cloud.provider();
    cloud.answer(&format!("GET {SERVERS}/detail"), 0, Value::Null);
    let answer = poll(&provider, &Operation("host:create:1b2:1700000000".into())).await;
    assert!(matches!(answer, Err(ProviderError::Transient(_))), "{answer:?}");
}

/// What cloud-init writes to a console, and the key in it.
fn console(cloud: &Cloud) -> &'static str {
    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIc3q8v0jUF9vCMiYbYIQsX2sQ0aMfkBnVUkjqX4dYJt";
    let output = format!("-----BEGIN SSH HOST KEY KEYS-----\n{KEY} root@x\n-----END SSH HOST KEY KEYS-----\nlogin: ");
    cloud.answer(&format!("POST {SERVERS}/*/action"), 200, json!({ "output": output }));
    KEY
}

#[tokio::test]
async fn the_console_of_what_is_taken_over_tells_its_keys_and_nothing_is_written() {
    let cloud = cloud().await;
    let provider = cloud.provider();
    let mut server = body("hosts/web-1-one")["server"].clone();
    server["metadata"] = json!({});
    cloud.answer(&format!("GET {SERVERS}/*"), 200, json!({ "server": server }));
    let key = console(&cloud);
    let existing = HostSpec { existing: Some(id("web-1-there")), ..HostSpec::default() };
    let taken = |console_keys| creation(1, HostSpec { console_keys, ..existing.clone() });
    let seen = done(submit(&provider, taken(true)).await);
    assert_eq!(seen.endpoint.expect("one").host_keys, [key.into()]);
    let seen = done(submit(&provider, taken(false)).await);
    assert_eq!(seen.endpoint.expect("one").host_keys, Vec::<Text>::new());
    let posts: Vec<String> = cloud.log().into_iter().filter(|line| line.starts_with("POST /compute")).collect();
    assert_eq!(posts.len(), 1, "one look at the console, and nothing written: {posts:?}");
}

#[tokio::test]
async fn a_key_that_comes_late_is_read_by_whoever_looks_next() {
    let cloud = cloud().await;
    let provider = cloud.provider();
    let mut server = body("hosts/web-1-there")["servers"][0].clone();
    server["metadata"]["pool_host_key"] = json!("console");
    cloud.answer(&format!("GET {SERVERS}/detail?tags=pool-token-aa01"), 200, json!({ "servers": [server] }));
    cloud.answer(&format!("POST {SERVERS}/*/metadata"), 200, json!({ "metadata": {} }));
    let find = async || provider.find(&Token("aa01".into())).await.unwrap().unwrap().endpoint.unwrap().host_keys;
    cloud.answer(&format!("POST {SERVERS}/*/action"), 200, json!({ "output": "booting" }));
    assert_eq!(find().await, Vec::<Text>::new());
    let key = console(&cloud);
    assert_eq!(find().await, [key.into()]);
    assert_eq!(cloud.seen(&format!("POST {SERVERS}/*/metadata"))[0].body["metadata"]["pool_host_key"], key);
}
