//! What is said of networks: markets that tell of them, and an inventory that asks for them.

use std::{collections::BTreeMap, fs};

use pool_inventory::{
    Lineage, Text, TimeSpan,
    desired::Hosts,
    market::{Feature, Market, NetworkOffer, Seen},
};
use pool_planner::{PlanInput, Scope};
use pool_providers::{Provider, sim::SimProvider};

use super::*;

const INVENTORY: &str = "version: 1\nname: acme\nproviders: { cloud: { type: sim, zones: [az1] } }\n\
    networks: { front: { cidr: 10.0.0.0/29, on: [cloud] } }\npools:\n  \
    web: { hosts: 3, size: { vcpus: 1, memory: 1GiB, disk: 10GiB }, image: debian-12, network: front }\n";

fn network(id: &str, name: &str, external: bool, free: Option<u64>) -> NetworkOffer {
    NetworkOffer { id: id.into(), name: name.into(), external, free }
}

/// The lines about networks, as `answer subject: detail`.
async fn lines(networks: Vec<NetworkOffer>, edit: impl FnOnce(&mut PlanInput)) -> Vec<String> {
    let dir = tempfile::tempdir().expect("a folder");
    fs::write(dir.path().join("pool.yaml"), INVENTORY).expect("an inventory");
    let desired = pool_inventory::load(dir.path(), None, &|_| None).expect("it is valid").desired;
    let cloud = Name::new("cloud").expect("a name");
    let ProviderKind::Sim(spec) = desired.providers[&cloud].kind.clone() else { unreachable!("it is simulated") };
    let sim = SimProvider::open(cloud.clone(), *spec, dir.path().join("ledger")).expect("a cloud");
    let mut capabilities = sim.capabilities();
    capabilities.features.extend([Feature::Routers, Feature::PublicAddresses, Feature::ExistingNetworks]);
    let market = Market { networks, age: TimeSpan(90_000), ..sim.market().await.expect("a market") };
    let mut input = PlanInput {
        desired,
        recorded: Vec::new(),
        seen: Seen {
            providers: BTreeMap::from([(cloud.clone(), Vec::new())]),
            hosts: BTreeMap::new(),
            clusters: BTreeMap::new(),
        },
        markets: BTreeMap::from([(cloud.clone(), market)]),
        capabilities: BTreeMap::from([(cloud.clone(), capabilities)]),
        stock_outs: BTreeMap::new(),
        lineage: Lineage::from_bits([0; 16]),
        public_keys: BTreeMap::new(),
        scope: Scope::default(),
        now: 0,
        seed: 1,
    };
    edit(&mut input);
    let look = Look::new(input, BTreeMap::new());
    let all = provider(&look, &cloud, &look.input.desired.providers[&cloud]);
    assert!(all.iter().all(|line| line.age == Some(TimeSpan(90_000))), "each line has the age of what it was told");
    let ours = all.into_iter().filter(|line| line.subject.contains("network"));
    ours.map(|line| format!("{:?} {}: {}", line.answer, line.subject, line.detail)).collect()
}

fn router(input: &mut PlanInput, name: &str) {
    for decl in input.desired.networks.values_mut() {
        decl.router = Some(name.into());
    }
}

fn existing(input: &mut PlanInput, name: &str) {
    for decl in input.desired.networks.values_mut() {
        (decl.cidr, decl.existing) = (None, Some(name.into()));
    }
}

#[tokio::test]
async fn a_router_needs_one_external_network_of_its_name_with_an_address_left() {
    let of = |free| vec![network("1", "public", true, free), network("2", "inner", false, None)];
    let front = "Pass network front: 3 hosts in 10.0.0.0/29, which has 4 addresses for hosts";
    let told = lines(of(Some(1)), |input| router(input, "public")).await;
    assert_eq!(told, ["Pass external network public: the plan takes 1 of 1 addresses left", front]);
    let told = lines(of(Some(0)), |input| router(input, "public")).await;
    assert_eq!(told[0], "Fail external network public: the plan takes 1, 0 addresses are left: 1 short");
    let told = lines(of(None), |input| router(input, "public")).await;
    assert_eq!(told[0], "Unknown external network public: it is there; the addresses left are not told");
    let told = lines(of(None), |input| router(input, "pubilc")).await;
    assert_eq!(told[0], "Fail external network pubilc: it was not found; did you mean `public`?");
    let told = lines(of(None), |input| router(input, "inner")).await;
    assert_eq!(told[0], "Fail external network inner: it is no external network; there are: public");
    let told = lines(Vec::new(), |input| router(input, "public")).await;
    assert_eq!(told[0], "Unknown external network public: it does not tell its networks");
}

#[tokio::test]
async fn a_network_that_exists_is_found_once_and_has_addresses_for_the_hosts() {
    let twins = vec![network("1", "lan", false, Some(2)), network("2", "lan", false, Some(3))];
    let told = lines(twins.clone(), |input| existing(input, "lan")).await;
    assert_eq!(told, ["Fail network front: 2 networks have this name: 1, 2"]);
    let told = lines(twins.clone(), |input| existing(input, "2")).await;
    assert_eq!(told, ["Pass network front: the plan takes 3 of 3 addresses left"]);
    let told = lines(twins, |input| existing(input, "1")).await;
    assert_eq!(told, ["Fail network front: the plan takes 3, 2 addresses are left: 1 short"]);
}

#[tokio::test]
async fn a_range_must_hold_all_its_hosts() {
    let told = lines(Vec::new(), |input| {
        for pool in input.desired.pools.values_mut() {
            pool.hosts = Hosts::Count(6);
        }
    })
    .await;
    assert_eq!(told, ["Fail network front: 6 hosts in 10.0.0.0/29, which has 4 addresses for hosts: 2 short"]);
}

#[test]
fn a_hint_names_the_nearest_or_what_there_is() {
    let known: Vec<Text> = vec!["gold".into(), "silver".into()];
    assert_eq!(hint("glod", known.iter()), "did you mean `gold`?");
    assert_eq!(hint("bronze", known.iter()), "there are: gold, silver");
    assert_eq!(hint("bronze", [].iter()), "there is none at all");
}
