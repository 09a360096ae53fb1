//! Volumes on recorded answers: what Cinder accepts and does not do, and what it leaves behind.

use pool_inventory::{
    Address, Bytes, Kind, Name, Text,
    desired::{OnRemove, Provisioning},
    object::{Spec, Status, VolumeSpec},
};
use pool_providers::{Act, Operation, Progress, Provider, ProviderError};
use serde_json::json;

use super::{
    cloud::{Cloud, body},
    networks::{owner, request},
};

const VOLUME: &str = "GET /block-storage/v3/*/volumes/*";

fn address() -> Address {
    Address::volume("web-1", "data")
}

fn spec() -> VolumeSpec {
    VolumeSpec {
        tier: Name::new("gold").unwrap(),
        backend: "private/gold".into(),
        zone: "az1".into(),
        size: Bytes(1 << 30),
        provisioning: Provisioning::Thin,
        tags: [("owner".into(), "ann".into())].into(),
        attached: None,
        on_remove: OnRemove::Keep,
        from: None,
        existing: None,
    }
}

fn id(fixture: &str) -> Text {
    body(&format!("block-storage/{fixture}"))["volume"]["id"].as_str().unwrap().into()
}

async fn poll(provider: &dyn Provider, operation: &Operation) -> Result<Progress, ProviderError> {
    provider.poll(std::slice::from_ref(operation)).await.remove(0)
}

#[tokio::test]
async fn a_change_of_type_that_is_taken_back_is_an_error_with_its_reason() {
    let cloud = Cloud::start().await;
    let provider = cloud.provider();
    cloud.on(VOLUME, "block-storage/volume");
    cloud.on("POST /block-storage/v3/*/volumes/*/action", "block-storage/retype-accepted");
    let to = Spec::Volume(VolumeSpec { backend: "private/bronze".into(), ..spec() });
    let act = Act::Update { id: id("volume"), to, host: None };
    let begun = provider.submit(vec![request(address(), act)]).await.remove(0);
    let Ok(Progress::Pending(operation)) = begun else { panic!("{begun:?}") };
    cloud.on(VOLUME, "block-storage/volume-retyping");
    assert_eq!(poll(&provider, &operation).await, Ok(Progress::Pending(operation.clone())));

    cloud.on(VOLUME, "block-storage/volume-not-moved");
    cloud.on("GET /block-storage/v3/*/messages", "block-storage/messages-none");
    cloud.on("GET /block-storage/v3/*/snapshots/detail", "block-storage/snapshots");
    // As another process polls it.
    let refused = poll(&cloud.provider(), &operation).await;
    let Err(ProviderError::Other(text)) = refused else { panic!("{refused:?}") };
    assert!(text.contains("stayed of type gold instead of bronze"), "{text}");
    assert!(text.contains("pool-fixtures-a"), "{text}");
    assert_eq!(cloud.seen("POST /block-storage/v3/*/volumes/*/action").len(), 1);
}

#[tokio::test]
async fn a_volume_that_no_backend_takes_goes_and_another_place_may_do() {
    let cloud = Cloud::start().await;
    let provider = cloud.provider();
    cloud.answer("GET /block-storage/v3/*/os-availability-zone", 200, json!({"availabilityZoneInfo": []}));
    cloud.on("POST /block-storage/v3/*/volumes", "block-storage/volume-created");
    let begun = provider.submit(vec![request(address(), Act::Create(Spec::Volume(spec())))]).await.remove(0);
    let Ok(Progress::Pending(operation)) = begun else { panic!("{begun:?}") };
    cloud.on(VOLUME, "block-storage/volume-no-room");
    cloud.on("GET /block-storage/v3/*/messages", "block-storage/messages-no-room");
    cloud.answer("DELETE /block-storage/v3/*/volumes/*", 202, json!(null));
    let full = poll(&provider, &operation).await;
    assert!(matches!(&full, Err(ProviderError::NoCapacity(text)) if text.contains("weighted backend")), "{full:?}");
    assert_eq!(cloud.seen("DELETE /block-storage/v3/*/volumes/*").len(), 1);
}

#[tokio::test]
async fn what_a_move_leaves_behind_is_not_a_second_volume() {
    let cloud = Cloud::start().await;
    cloud.on("GET /block-storage/v3/*/volumes/detail", "block-storage/volumes-after-a-move");
    let page = cloud.provider().list(Kind::Volume, None).await.unwrap();
    let [volume] = page.objects.as_slice() else { panic!("{page:?}") };
    assert_eq!((volume.owner.clone(), volume.status.clone()), (Some(owner(address())), Status::Ready));
    let moved = Spec::Volume(VolumeSpec { backend: "private/bronze".into(), ..spec() });
    assert_eq!(volume.spec.changes(&moved), []);
}

#[tokio::test]
async fn a_volume_with_snapshots_stays_and_names_them() {
    let cloud = Cloud::start().await;
    cloud.on(VOLUME, "block-storage/volume");
    cloud.on("DELETE /block-storage/v3/*/volumes/*", "block-storage/has-snapshots");
    cloud.on("GET /block-storage/v3/*/snapshots/detail", "block-storage/snapshots");
    let act = Act::Delete { id: id("volume"), kind: Kind::Volume };
    let refused = cloud.provider().submit(vec![request(address(), act)]).await.remove(0);
    assert!(matches!(&refused, Err(ProviderError::Conflict(text)) if text.contains("pool-fixtures-a")), "{refused:?}");
}

#[tokio::test]
async fn a_broken_server_keeps_its_volumes_and_is_not_asked_again() {
    let cloud = Cloud::start().await;
    cloud.on(VOLUME, "block-storage/volume-in-use");
    cloud.on("DELETE /compute/v2.1/servers/*/os-volume_attachments/*", "compute/detach-from-broken");
    let act = Act::Update { id: id("volume-in-use"), to: Spec::Volume(spec()), host: None };
    let refused = cloud.provider().submit(vec![request(address(), act)]).await.remove(0);
    let words = "while it is in vm_state error";
    assert!(matches!(&refused, Err(ProviderError::Invalid { detail, .. }) if detail.contains(words)), "{refused:?}");
}

#[tokio::test]
async fn many_volumes_are_one_question() {
    let cloud = Cloud::start().await;
    cloud.on("GET /block-storage/v3/*/volumes/detail", "block-storage/volumes-after-a-move");
    let all = body("block-storage/volumes-after-a-move");
    let there = all["volumes"].as_array().unwrap().iter().map(|volume| volume["id"].as_str().unwrap().to_owned());
    let mut operations: Vec<Operation> = there.map(|id| Operation(format!("volume:delete:{id}").into())).collect();
    operations.push(Operation("volume:delete:00000000-0000-0000-0000-000000000001".into()));
    let answers = cloud.provider().poll(&operations).await;
    assert_eq!(answers.last(), Some(&Ok(Progress::Gone)));
    assert_eq!(cloud.seen("GET /block-storage/v3/*/volumes/detail").len(), 1);
    assert_eq!(cloud.seen(VOLUME).len(), 1, "{:?}", cloud.log());
}
