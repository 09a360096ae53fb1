//! A provider, and what its tests made, which goes when they end.

use std::{collections::BTreeMap, time::Duration};

use pool_inventory::{
    Address, Kind, Lineage, Name, Text, Token,
    desired::OpenStackSpec,
    object::{Observed, Owner, Spec, Status},
};
use pool_providers::{
    Act, Progress, Provider, ProviderError, Request,
    openstack::{OpenStackProvider, Places},
};

/// One test's view of the cloud.
pub struct Bench {
    pub provider: OpenStackProvider,
    pub lineage: Lineage,
    prefix: String,
    dir: tempfile::TempDir,
}

/// What is tried again this often, once a second or less.
const TRIES: u32 = 120;

impl Bench {
    pub fn new(prefix: &str) -> Self {
        let mut bits = [0; 16];
        getrandom::fill(&mut bits).expect("random bits");
        let dir = tempfile::tempdir().expect("a folder");
        Self { provider: open(&dir), lineage: Lineage::from_bits(bits), prefix: prefix.into(), dir }
    }

    /// The same as another process sees it.
    pub fn another(&self) -> OpenStackProvider {
        open(&self.dir)
    }

    pub fn owner(&self, address: Address, attempt: u32) -> Owner {
        let token = Token::derive(&self.lineage, &address, 1, attempt);
        Owner { lineage: self.lineage.clone(), address, generation: 1, token }
    }

    pub fn request(&self, address: &Address, act: Act) -> Request {
        let name = Text::from(format!("{}-{}", self.prefix, address.name));
        Request { owner: self.owner(address.clone(), 0), name, act }
    }

    /// Carries an act through to its end, as the engine does.
    pub async fn act(&self, address: &Address, act: Act) -> Result<Option<Observed>, ProviderError> {
        let request = self.request(address, act);
        for tries in 0.. {
            let answer = self.provider.submit(vec![request.clone()]).await.remove(0);
            match answer {
                Ok(progress) => return self.wait(progress).await,
                Err(ProviderError::Conflict(_) | ProviderError::Transient(_)) if tries < 10 => pause().await,
                Err(error) => return Err(error),
            }
        }
        unreachable!()
    }

    pub async fn wait(&self, mut progress: Progress) -> Result<Option<Observed>, ProviderError> {
        for _ in 0..TRIES {
            match progress {
                Progress::Done(observed) => return Ok(Some(*observed)),
                Progress::Gone => return Ok(None),
                Progress::Pending(operation) => {
                    pause().await;
                    progress = self.provider.poll(&[operation]).await.remove(0)?;
                }
            }
        }
        panic!("not done after {TRIES} polls: {progress:?}")
    }

    pub async fn create(&self, address: &Address, spec: Spec) -> Observed {
        let made = self.act(address, Act::Create(spec)).await;
        let made = made.expect("a creation").expect("an object");
        assert_eq!(made.status, Status::Ready, "{made:?}");
        made
    }

    pub async fn update(&self, address: &Address, id: &Text, to: Spec, host: Option<Text>) -> Observed {
        let act = Act::Update { id: id.clone(), to, host };
        self.act(address, act).await.expect("an update").expect("an object")
    }

    pub async fn delete(&self, address: &Address, id: &Text) {
        let act = Act::Delete { id: id.clone(), kind: address.kind };
        let left = self.act(address, act).await.expect("a deletion");
        assert_eq!(left, None);
    }

    /// Everything of a kind that is ours.
    pub async fn ours(&self, kind: Kind) -> Vec<Observed> {
        let all = list(&self.provider, kind).await;
        all.into_iter().filter(|o| o.owner.as_ref().is_some_and(|owner| owner.lineage == self.lineage)).collect()
    }

    /// The one object of ours at an address.
    pub async fn seen(&self, address: &Address) -> Observed {
        let mut all = self.ours(address.kind).await;
        all.retain(|object| object.owner.as_ref().is_some_and(|owner| owner.address == *address));
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    }

    /// Fails unless lists show exactly what was asked for.
    pub async fn settled(&self, address: &Address, spec: &Spec) {
        let seen = self.seen(address).await;
        assert_eq!(seen.spec.changes(spec), [], "{seen:#?}");
        assert_eq!(seen.status, Status::Ready);
    }

    /// The calls that something takes.
    pub async fn counted<T>(&self, what: &str, act: impl Future<Output = T>) -> T {
        let before: BTreeMap<String, u64> = self.provider.calls().into_iter().collect();
        let began = std::time::Instant::now();
        let done = act.await;
        let calls = self.provider.calls().into_iter();
        let calls: Vec<String> = calls
            .filter_map(|(call, n)| {
                Some((call.clone(), n - before.get(&call).copied().unwrap_or(0))).filter(|c| c.1 > 0)
            })
            .map(|(call, n)| format!("{n} {call}"))
            .collect();
        println!("{what}: {:.1} s, {}", began.elapsed().as_secs_f64(), calls.join("; "));
        done
    }
}

pub async fn list(provider: &dyn Provider, kind: Kind) -> Vec<Observed> {
    let (mut all, mut from) = (Vec::new(), None);
    loop {
        let page = provider.list(kind, from).await.expect("a list");
        all.extend(page.objects);
        match page.next {
            Some(next) => from = Some(next),
            None => return all,
        }
    }
}

fn open(dir: &tempfile::TempDir) -> OpenStackProvider {
    let places = Places { cache: dir.path().join("cache.json"), seed: dir.path().join("seed"), host_keys: None };
    let name = Name::new("private").expect("a name");
    OpenStackProvider::open(name, OpenStackSpec::default(), places).expect("credentials in the environment")
}

pub async fn pause() {
    tokio::time::sleep(Duration::from_millis(500)).await;
}
