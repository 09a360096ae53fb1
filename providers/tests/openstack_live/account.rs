//! A project of a real cloud, of which only what the suite made is looked at.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use async_trait::async_trait;
use pool_inventory::{
    Kind, Name, Text, Token,
    desired::OpenStackSpec,
    market::{Capabilities, Market},
};
use pool_providers::{
    Operation, Page, Progress, Provider, ProviderError, Request,
    conformance::Account,
    openstack::{OpenStackProvider, Places},
};

/// Held by whoever uses the names `conformance-*`: each begins by deleting what the other made.
pub static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Runs a script with `c`, the cloud as openstacksdk has it; what it prints.
pub fn python(script: &str) -> String {
    let script = format!("import openstack\nc = openstack.connect()\n{script}");
    let run = Command::new("/usr/bin/python3").args(["-c", &script]).stderr(Stdio::inherit()).output().unwrap();
    assert!(run.status.success(), "{script}");
    String::from_utf8(run.stdout).unwrap().trim().to_owned()
}

pub fn image_id(name: &str) -> String {
    python(&format!("print(c.image.find_image({name:?}).id)"))
}

const LINEAGE: &str = "c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0";

/// Everything of the suite is gone after this; what there was is printed.
const CLEAR: &str = r#"
import time
mine = lambda o: (o.name or '').startswith('conformance-') or LINEAGE in (o.description or '')
left = []
for server in [s for s in c.compute.servers() if s.name.startswith('conformance-')]:
    left.append('server ' + server.name + ' ' + server.status)
    c.compute.delete_server(server, ignore_missing=True)
while any(s.name.startswith('conformance-') for s in c.compute.servers()):
    time.sleep(0.5)
for volume in [v for v in c.block_storage.volumes() if v.name.startswith('conformance-')]:
    left.append('volume ' + volume.name + ' ' + volume.status)
    c.block_storage.delete_volume(volume)
for kind, all, delete in [
    ('floating', c.network.ips, c.network.delete_ip),
    ('port', c.network.ports, c.network.delete_port),
    ('network', c.network.networks, c.network.delete_network),
    ('group', c.network.security_groups, c.network.delete_security_group),
]:
    for one in [o for o in all() if mine(o)]:
        left.append(kind + ' ' + (one.name or one.id) + ' ' + (one.description or ''))
        delete(one)
for group in c.compute.server_groups():
    if LINEAGE in group.name:
        left.append('server group ' + group.name)
        c.compute.delete_server_group(group)
print('\n'.join(left))
"#;

/// A network of ours, as an earlier run made it.
const NETWORK: &str = r#"
mark = f'pool {LINEAGE} network/front 1 00'
net = c.network.create_network(name='conformance-default-front', description=mark)
c.network.create_subnet(network_id=net.id, cidr='10.77.0.0/24', ip_version=4, name='conformance-default-front', description=mark)
c.network.create_security_group(name='conformance-default-front', description=mark)
"#;

pub struct Live {
    provider: Ours,
    seed: PathBuf,
    _folder: tempfile::TempDir,
}

impl Live {
    pub async fn open() -> Result<Self, String> {
        python(&format!("LINEAGE = '{LINEAGE}'\n{CLEAR}\n{NETWORK}"));
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let seed = folder.path().join("seed");
        Ok(Self { provider: Ours(open(&seed)), seed, _folder: folder })
    }

    pub fn inner(&self) -> &OpenStackProvider {
        &self.provider.0
    }
}

/// Deletes what is there, and says what that was; the network is no news.
pub fn clear() -> Vec<String> {
    let left = python(&format!("LINEAGE = '{LINEAGE}'\n{CLEAR}"));
    left.lines().filter(|line| !line.contains("network/front")).map(str::to_owned).collect()
}

fn open(seed: &Path) -> OpenStackProvider {
    let places = Places { cache: seed.with_extension("cache"), seed: seed.to_owned(), host_keys: None };
    OpenStackProvider::open(Name::new("private").unwrap(), OpenStackSpec::default(), places).unwrap()
}

#[async_trait]
impl Account for Live {
    fn provider(&self) -> &dyn Provider {
        &self.provider
    }

    async fn again(&self) -> Option<Box<dyn Provider>> {
        Some(Box::new(Ours(open(&self.seed))))
    }

    async fn foreign(&self) -> Option<Text> {
        let script = r#"
flavor, image = c.compute.find_flavor('m1.small').id, c.image.find_image('tiny').id
server = c.compute.create_server(name='conformance-foreign', flavor_id=flavor, image_id=image, networks='none')
print(c.compute.wait_for_server(server).id)
"#;
        Some(python(script).into())
    }

    async fn close(&self) {
        clear();
    }
}

/// The provider, for whom only what the suite made is in the project.
struct Ours(OpenStackProvider);

#[async_trait]
impl Provider for Ours {
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    async fn market(&self) -> Result<Market, ProviderError> {
        self.0.market().await
    }

    async fn submit(&self, batch: Vec<Request>) -> Vec<Result<Progress, ProviderError>> {
        self.0.submit(batch).await
    }

    async fn list(&self, kind: Kind, from: Option<Text>) -> Result<Page, ProviderError> {
        let mut page = self.0.list(kind, from).await?;
        let ours = |name: &str| name.starts_with("conformance-") && name != "conformance-default-front";
        page.objects.retain(|object| ours(&object.name));
        Ok(page)
    }

    async fn find(&self, token: &Token) -> Result<Option<pool_inventory::object::Observed>, ProviderError> {
        self.0.find(token).await
    }

    async fn poll(&self, operations: &[Operation]) -> Vec<Result<Progress, ProviderError>> {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        self.0.poll(operations).await
    }
}
