//! The conformance suite on local machines.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use async_trait::async_trait;
use pool_inventory::{
    Bytes, Kind, Text,
    desired::{OnRemove, Provisioning},
    object::{HostSpec, Spec, VolumeSpec},
};
use pool_providers::{
    Act, Provider,
    conformance::{self, Account, Harness},
    local::LocalProvider,
};

use crate::bench::{Bench, name, processes, request};

struct Local {
    dir: PathBuf,
    host: HostSpec,
}

struct Folder {
    provider: LocalProvider,
    dir: PathBuf,
}

fn open(dir: &std::path::Path) -> Result<LocalProvider, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    LocalProvider::open(&name("here"), dir, program, &BTreeMap::new()).map_err(|error| error.to_string())
}

#[async_trait]
impl Harness for Local {
    async fn account(&self) -> Result<Box<dyn Account>, String> {
        let count = std::fs::read_dir(&self.dir).map_err(|error| error.to_string())?.count();
        let dir = self.dir.join(count.to_string());
        Ok(Box::new(Folder { provider: open(&dir)?, dir }))
    }

    fn spec(&self, kind: Kind, _n: usize) -> Option<Spec> {
        match kind {
            Kind::Host => Some(Spec::Host(self.host.clone())),
            Kind::Volume => Some(Spec::Volume(VolumeSpec {
                tier: name("mid"),
                backend: "here/dir".into(),
                zone: "".into(),
                size: Bytes::mib(64),
                provisioning: Provisioning::Thin,
                tags: [].into(),
                attached: None,
                on_remove: OnRemove::Keep,
                from: None,
                existing: None,
            })),
            Kind::Network
            | Kind::Snapshot
            | Kind::Backup
            | Kind::Pool
            | Kind::Tenant
            | Kind::Cluster
            | Kind::Member => None,
        }
    }

    fn rebuilt(&self) -> Option<HostSpec> {
        Some(HostSpec { user: "ops".into(), ..self.host.clone() })
    }
}

#[async_trait]
impl Account for Folder {
    fn provider(&self) -> &dyn Provider {
        &self.provider
    }

    async fn again(&self) -> Option<Box<dyn Provider>> {
        Some(Box::new(open(&self.dir).ok()?))
    }

    async fn foreign(&self) -> Option<Text> {
        // All machines of a folder are ours.
        None
    }

    async fn close(&self) {
        let machines = self.provider.list(Kind::Host, None).await.unwrap_or_default().objects;
        let delete = |host: &pool_inventory::object::Observed| {
            request("any", Act::Delete { id: host.id.clone(), kind: Kind::Host })
        };
        self.provider.submit(machines.iter().map(delete).collect()).await;
        // What was given up goes on to its end in the background.
        let until = std::time::Instant::now() + Duration::from_secs(10);
        while !processes(&self.dir).is_empty() && std::time::Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let page = self.provider.list(Kind::Host, None).await.unwrap_or_default();
            self.provider.submit(page.objects.iter().map(delete).collect()).await;
        }
    }
}

/// Every case of the suite; only those that speak of networks and of foreign machines do not apply.
pub fn suite(bench: &Bench) {
    let dir = bench.dir.join("accounts");
    std::fs::create_dir_all(&dir).expect("made");
    let harness = Local { dir, host: bench.spec() };
    let report = bench.runtime.block_on(conformance::run(&harness));
    assert!(report.is_ok(), "{report}");
    assert_eq!(
        report.skipped(),
        [
            "a network is made, found, listed and deleted",
            "foreign objects are listed and left alone",
            "a snapshot is taken, found, listed and deleted",
            "a backup is taken, found, listed and deleted",
            "a volume gets the content of its snapshot back",
            "a volume gets the content of its backup back",
            "a volume is made from a snapshot",
            "a volume is made from a backup",
            "a volume is made from another",
            "a volume with snapshots stays, a backup outlives its volume",
        ],
        "{report}"
    );
}
