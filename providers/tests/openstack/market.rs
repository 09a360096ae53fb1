//! What the cloud offers, and what of it is kept.

use std::{fs, os::unix::fs::PermissionsExt};

use pool_inventory::{
    Name, Text, TimeSpan,
    desired::{Media, OpenStackSpec},
    market::{Limit, Market},
    units::{Bytes, Money},
};
use pool_providers::Provider;
use serde_json::json;

use crate::cloud::{Cloud, body};

fn limit(limit: u64, used: u64) -> Limit {
    Limit { limit, used }
}

fn backend<'a>(market: &'a Market, name: &str) -> &'a pool_inventory::market::BackendOffer {
    market.backends.iter().find(|backend| &*backend.name == name).unwrap()
}

#[tokio::test]
async fn a_project_of_a_real_cloud() {
    let cloud = Cloud::start().await;
    let prices = [(Text::from("m1.large"), Money(80_000))].into();
    let storage_prices = [(Text::from("gold"), Money(200))].into();
    let market = cloud.provider_of(OpenStackSpec { prices, storage_prices, ..OpenStackSpec::default() });
    let market = market.market().await.unwrap();

    assert_eq!(market.offerings.len(), 5 * 4);
    let large = market.offerings.iter().find(|offer| &*offer.name == "m1.large" && &*offer.zone == "az2").unwrap();
    assert_eq!((&*large.region, large.size.vcpus, large.size.memory), ("RegionOne", 4, Bytes(8 << 30)));
    assert_eq!((large.size.disk, large.price, &large.dedicated), (Bytes(80 << 30), Money(80_000), &None));
    assert!(market.offerings.is_sorted_by_key(|offer| (offer.zone.clone(), offer.name.clone())));

    let names: Vec<&str> = market.backends.iter().map(|backend| &*backend.name).collect();
    assert_eq!(names, ["private/bronze", "private/gold", "private/gold-multi", "private/silver"]);
    let gold = backend(&market, "private/gold");
    assert_eq!((gold.capacity, gold.allocated, gold.price), (Bytes(50_000 << 30), Bytes(0), Money(200)));
    assert!(market.images.contains("tiny") && market.images.contains("b6cc2ecf-70f5-4e4e-8340-0e7522e8eeab"));

    assert_eq!(market.limits["hosts"], limit(500, 0));
    assert_eq!(market.limits["memory"], limit(8_000_000 << 20, 0));
    assert_eq!(market.limits["storage"], limit(50_000 << 30, 0));
    assert_eq!(market.limits["addresses"], limit(1000, 0));
    let public = market.networks.iter().find(|network| &*network.name == "public").unwrap();
    assert!(public.external && public.free.is_none());
    assert_eq!(market.age, TimeSpan(0));
}

#[tokio::test]
async fn what_the_operator_says_in_extra_specs_counts() {
    let cloud = Cloud::start().await;
    let mut flavors = body("compute/flavors");
    flavors["flavors"][0]["extra_specs"] = json!({ "pool:dedicated": "retail" });
    cloud.answer("GET /compute/v2.1/flavors/detail", 200, flavors);
    cloud.on("GET /compute/v2.1/flavors/detail?marker=*", "compute/flavors-end");
    let mut types = body("block-storage/types");
    types["volume_types"][0]["extra_specs"] =
        json!({ "pool:media": "ssd", "pool:iops": "12000", "RESKEY:availability_zones": "az1, az2" });
    cloud.answer("GET /block-storage/v3/*/types", 200, types);
    let mut quota = body("block-storage/quota");
    quota["quota_set"]["gigabytes_bronze"] = json!({ "limit": 100, "in_use": 40, "reserved": 2 });
    quota["quota_set"]["volumes"]["limit"] = (-1).into();
    cloud.answer("GET /block-storage/v3/*/os-quota-sets/*", 200, quota);
    let market = cloud.provider().market().await.unwrap();

    let small = market.offerings.iter().find(|offer| &*offer.name == "m1.small").unwrap();
    assert_eq!(small.dedicated, Some(Name::new("retail").unwrap()));
    let bronze = backend(&market, "private/bronze");
    assert_eq!((bronze.media, bronze.iops), (Some(Media::Ssd), Some(12_000)));
    assert_eq!(bronze.zones, ["az1".into(), "az2".into()].into());
    assert_eq!((bronze.capacity, bronze.allocated), (Bytes(100 << 30), Bytes(42 << 30)));
    assert!(!market.limits.contains_key("volumes"), "a quota without a limit is none");
}

#[tokio::test]
async fn zones_that_are_down_offer_nothing() {
    let cloud = Cloud::start().await;
    let mut zones = body("compute/zones");
    zones["availabilityZoneInfo"][1]["zoneState"]["available"] = false.into();
    cloud.answer("GET /compute/v2.1/os-availability-zone", 200, zones);
    let market = cloud.provider().market().await.unwrap();
    assert!(market.offerings.iter().all(|offer| &*offer.zone != "az-small"));
}

#[tokio::test]
async fn lists_are_read_to_their_last_page() {
    let cloud = Cloud::start().await;
    cloud.on("GET /network/v2.0/networks", "network/networks-page-1");
    cloud.on("GET /network/v2.0/networks?marker=*", "network/networks-page-2");
    let market = cloud.provider().market().await.unwrap();
    let names: Vec<&str> = market.networks.iter().map(|network| &*network.name).collect();
    assert_eq!(names, ["demo-net", "loop-net", "public"]);
    assert_eq!(cloud.seen("GET /network/v2.0/networks").len(), 2);
}

#[tokio::test]
async fn what_seldom_changes_is_asked_for_once() {
    let cloud = Cloud::start().await;
    let provider = cloud.provider();
    let first = provider.market().await.unwrap();
    let asked = cloud.log().len();
    let again = provider.market().await.unwrap();
    assert_eq!((first.offerings, first.images), (again.offerings, again.images));
    assert_eq!(cloud.log()[asked..].len(), 4, "{:?}", &cloud.log()[asked..]);

    // Another run: the log-in, two quotas, limits and networks.
    let asked = cloud.log().len();
    cloud.provider().market().await.unwrap();
    let mut log = cloud.log().split_off(asked);
    log.sort();
    assert_eq!(log.len(), 5, "{log:?}");
    let mode = fs::metadata(cloud.places().cache).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let text = fs::read_to_string(cloud.places().cache).unwrap();
    assert!(!text.contains("token-1") && !text.contains("hunter2"));
}

#[tokio::test]
async fn a_cache_that_cannot_be_used_is_as_good_as_none() {
    let cloud = Cloud::start().await;
    cloud.provider().market().await.unwrap();
    let whole = fs::read_to_string(cloud.places().cache).unwrap();
    let broken = [
        whole[..whole.len() / 2].to_owned(),
        String::new(),
        whole.replacen("\"format\":", "\"format\":9", 1),
        whole.replacen("RegionOne", "RegionTwo", 1),
        whole.replace("secs_since_epoch\":", "secs_since_epoch\":1"),
        whole.replace("secs_since_epoch\":1", "secs_since_epoch\":"),
    ];
    for text in broken {
        fs::write(cloud.places().cache, &text).unwrap();
        let before = cloud.seen("GET /compute/v2.1/os-availability-zone").len();
        assert_eq!(cloud.provider().market().await.unwrap().age, TimeSpan(0));
        assert_eq!(cloud.seen("GET /compute/v2.1/os-availability-zone").len(), before + 1, "{text:.300}");
    }
    fs::remove_file(cloud.places().cache).unwrap();
    fs::create_dir(cloud.places().cache).unwrap();
    assert!(cloud.provider().market().await.is_ok(), "a cache that cannot be written");
}

#[tokio::test]
async fn a_name_that_images_share_is_no_image() {
    let cloud = Cloud::start().await;
    let first = cloud.provider().market().await.unwrap();
    assert_eq!((first.namesakes.len(), first.no_image("tiny")), (0, None));
    // Somebody uploads another one under the same name.
    let known = cloud.seen("GET /image/v2/images").remove(0);
    assert!(known.query.iter().any(|(key, _)| key == "status"));
    let mut images = body("image/images");
    let mut other = images["images"].as_array().unwrap().iter().find(|image| image["name"] == "tiny").unwrap().clone();
    let one = other["id"].as_str().unwrap().to_owned();
    other["id"] = "ffffffff-0000-0000-0000-000000000001".into();
    images["images"].as_array_mut().unwrap().push(other);
    cloud.answer("GET /image/v2/images", 200, images);
    fs::remove_file(cloud.places().cache).unwrap();
    let market = cloud.provider().market().await.unwrap();
    let why = market.no_image("tiny").unwrap();
    assert!(why.contains(&one) && why.contains("ffffffff-0000-0000-0000-000000000001"), "{why}");
    assert_eq!(market.no_image(&one), None, "an id names one");
}
