//! The conformance suite, in a project of which nobody else needs the names `conformance-*`.
//!
//! What is there before and after is made and counted by openstacksdk (`openstack` of `/usr/bin/python3`), not by our code.

use std::time::Duration;

use async_trait::async_trait;
use pool_inventory::{
    Bytes, Kind, Name,
    desired::{OnRemove, Provisioning, Size},
    object::{HostSpec, NetworkSpec, Spec, VolumeSpec},
};
use pool_providers::conformance::{self, Account, Harness};

use super::account;

/// The sizes, zones and images of the bed; other clouds name theirs.
fn setting(variable: &str, default: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| default.into())
}

pub fn host() -> HostSpec {
    HostSpec {
        offering: setting("LIVE_FLAVOR", "m1.small").into(),
        region: setting("LIVE_REGION", "RegionOne").into(),
        zone: setting("LIVE_ZONE", "az1").into(),
        size: Size { vcpus: 1, memory: Bytes::gib(2), disk: Bytes::gib(20) },
        image: setting("LIVE_IMAGE", "tiny").into(),
        network: Some(Name::new("front").unwrap()),
        tags: [("pool".into(), "web".into())].into(),
        user: "pool".into(),
        authorized_keys: vec![
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ conformance".into(),
        ],
        ..HostSpec::default()
    }
}

fn volume() -> VolumeSpec {
    let tier = setting("LIVE_VOLUME_TYPE", "gold");
    VolumeSpec {
        backend: format!("private/{tier}").into(),
        tier: Name::new(&tier).unwrap(),
        zone: setting("LIVE_ZONE", "az1").into(),
        size: Bytes::gib(1),
        provisioning: Provisioning::Thin,
        tags: [("pool".into(), "web".into())].into(),
        attached: None,
        on_remove: OnRemove::Keep,
        from: None,
        existing: None,
    }
}

struct Live;

#[async_trait]
impl Harness for Live {
    async fn account(&self) -> Result<Box<dyn Account>, String> {
        Ok(Box::new(account::Live::open().await?))
    }

    fn spec(&self, kind: Kind, n: usize) -> Option<Spec> {
        Some(match kind {
            Kind::Host => Spec::Host(host()),
            Kind::Network => Spec::Network(NetworkSpec::new(format!("10.78.{n}.0/24").parse().unwrap())),
            Kind::Volume => Spec::Volume(volume()),
            _ => return None,
        })
    }

    fn rebuilt(&self) -> Option<HostSpec> {
        // The bed has one image: its id is another name of it, and so another thing to ask for.
        let image = account::image_id(&host().image).into();
        Some(HostSpec { image, ..host() })
    }

    fn hosts(&self) -> usize {
        4
    }

    fn limit(&self) -> Duration {
        Duration::from_secs(600)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conformance_on_a_real_cloud() {
    let _alone = account::ALONE.lock().await;
    let report = conformance::run(&Live).await;
    assert!(report.is_ok(), "\n{report}");
}
