//! Observing: whole lists per provider and kind, page by page, all providers at once; never one call per object.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use pool_inventory::{
    Kind, Name, Text, Token,
    market::{Feature, Market},
    object::{Observed, Recorded},
};
use pool_providers::{Page, Provider, ProviderError};

use crate::retry::{self, Next};

/// Pages of one list before it is taken for endless: 500 objects a page make this half a million objects.
const MAX_PAGES: usize = 1000;

/// Longest time for one call of a list.
const CALL_LIMIT: Duration = Duration::from_secs(60);

/// Tries for one page; observing is what the operator waits for.
const TRIES: u32 = 5;

/// How often a list is begun anew because what a page ended with is gone.
const RESTARTS: usize = 5;

/// What one provider has and offers.
pub struct ProviderView {
    /// Hosts, volumes and networks.
    pub objects: Vec<Observed>,
    /// Offerings, backends, quotas.
    pub market: Market,
    /// Calls that it took.
    pub calls: u64,
}

/// Longest wait for a cloud whose lists lag behind.
const MAX_LAG: Duration = Duration::from_secs(60);

/// What is looked for at a provider.
#[derive(Debug, Clone, Default)]
pub struct Expected {
    /// Ids that it is expected to list.
    pub ids: HashSet<Text>,
    /// Which of snapshots and backups to list. They are in no inventory, so that there is nothing to compare them with
    /// unless the state records some or the user asks for some: most environments have none, and need not pay for two
    /// more lists each time.
    pub copies: BTreeSet<Kind>,
}

/// Observes all providers at once; each answers for itself.
pub async fn providers(
    providers: &BTreeMap<Name, Arc<dyn Provider>>,
    mut expected: BTreeMap<Name, Expected>,
) -> BTreeMap<Name, Result<ProviderView, ProviderError>> {
    let mut tasks = tokio::task::JoinSet::new();
    for (name, provider) in providers {
        let (name, provider) = (name.clone(), provider.clone());
        let expected = expected.remove(&name).unwrap_or_default();
        tasks.spawn(async move { (name, one(provider.as_ref(), &expected).await) });
    }
    let mut views = BTreeMap::new();
    while let Some(done) = tasks.join_next().await {
        match done {
            Ok((name, view)) => views.insert(name, view),
            Err(bug) => std::panic::resume_unwind(bug.into_panic()),
        };
    }
    views
}

async fn one(provider: &dyn Provider, expected: &Expected) -> Result<ProviderView, ProviderError> {
    let mut calls = 1;
    let market = patiently(|| provider.market()).await?;
    let mut objects = list(provider, &expected.copies, &mut calls).await?;
    let capabilities = provider.capabilities();
    let lag = capabilities.visibility_delay.duration().min(MAX_LAG);
    // An object may be too new for the list. Absence counts only in a list that was asked for after the delay.
    if capabilities.creates && !lag.is_zero() && !holds_all(&objects, &expected.ids) {
        tokio::time::sleep(lag).await;
        objects = list(provider, &expected.copies, &mut calls).await?;
    }
    Ok(ProviderView { objects, market, calls })
}

/// What lists do not tell is as it was recorded.
pub fn fill<'a>(
    objects: &mut [Observed],
    unseen: &BTreeMap<Kind, BTreeSet<Text>>,
    recorded: impl Iterator<Item = &'a Recorded>,
) {
    if unseen.is_empty() {
        return;
    }
    let mut by_id: HashMap<(Kind, &Text), &Recorded> = HashMap::new();
    let mut by_token: HashMap<&Token, &Recorded> = HashMap::new();
    for row in recorded {
        match &row.id {
            Some(id) => drop(by_id.insert((row.address.kind, id), row)),
            None => drop(by_token.insert(&row.token, row)),
        }
    }
    for object in objects {
        let kind = object.spec.kind();
        let Some(fields) = unseen.get(&kind) else { continue };
        let of_token = || by_token.get(&object.owner.as_ref()?.token).copied();
        if let Some(row) = by_id.get(&(kind, &object.id)).copied().or_else(of_token) {
            object.spec.fill(fields, &row.spec);
        }
    }
}

fn holds_all(objects: &[Observed], recorded: &HashSet<Text>) -> bool {
    let listed: HashSet<&Text> = objects.iter().map(|object| &object.id).collect();
    recorded.iter().all(|id| listed.contains(id))
}

/// All objects of a provider, all kinds at once.
async fn list(
    provider: &dyn Provider,
    copies: &BTreeSet<Kind>,
    calls: &mut u64,
) -> Result<Vec<Observed>, ProviderError> {
    let features = provider.capabilities().features;
    let only_if = async |kind: Kind, wanted: bool| match wanted {
        true => list_kind(provider, kind).await,
        false => Ok((Vec::new(), 0)),
    };
    let copies_of = |kind: Kind| {
        let can = Feature::of_copies(kind).is_some_and(|feature| features.contains(&feature));
        only_if(kind, can && copies.contains(&kind))
    };
    let (hosts, volumes, networks, snapshots, backups) = tokio::try_join!(
        list_kind(provider, Kind::Host),
        list_kind(provider, Kind::Volume),
        only_if(Kind::Network, features.contains(&Feature::Networks)),
        copies_of(Kind::Snapshot),
        copies_of(Kind::Backup)
    )?;
    let mut objects = Vec::new();
    for (more, asked) in [hosts, volumes, networks, snapshots, backups] {
        objects.extend(more);
        *calls += asked;
    }
    Ok(objects)
}

/// All objects of a kind, page by page, and the calls that it took.
pub async fn list_kind(provider: &dyn Provider, kind: Kind) -> Result<(Vec<Observed>, u64), ProviderError> {
    let (mut objects, mut calls, mut restarts) = (Vec::new(), 0, 0);
    let mut from: Option<Text> = None;
    for _ in 0..MAX_PAGES {
        calls += 1;
        let page = patiently(|| provider.list(kind, from.clone())).await;
        if matches!(page, Err(ProviderError::NotFound(_))) && from.is_some() && restarts < RESTARTS {
            restarts += 1;
            objects.clear();
            from = None;
            continue;
        }
        let Page { objects: more, next } = page?;
        objects.extend(more);
        match next {
            Some(next) => from = Some(next),
            None => return Ok((objects, calls)),
        }
    }
    Err(ProviderError::Other(format!("the list of {kind}s has more than {MAX_PAGES} pages").into()))
}

/// Asks again after passing errors, a few times.
async fn patiently<T, F>(mut ask: impl FnMut() -> F) -> Result<T, ProviderError>
where
    F: Future<Output = Result<T, ProviderError>>,
{
    for tries in 0.. {
        let answer = tokio::time::timeout(CALL_LIMIT, ask()).await;
        let error = match answer {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => error,
            Err(_) => ProviderError::Transient(format!("no answer within {} s", CALL_LIMIT.as_secs()).into()),
        };
        if tries + 1 >= TRIES || !matches!(retry::next(&error), Next::Again | Next::Settle) {
            return Err(error);
        }
        let asked = if let ProviderError::RateLimited { after } = &error { after.map(|a| a.duration()) } else { None };
        tokio::time::sleep(retry::backoff(tries, crate::random::unit(), asked)).await;
    }
    Err(ProviderError::Transient("no answer".into()))
}

#[cfg(test)]
mod tests {
    use pool_inventory::{
        Address, Lineage,
        object::{HostSpec, Owner, Spec, Status},
    };

    use super::*;

    fn row(id: Option<&str>, user: &str) -> Recorded {
        let address = Address::host("web-1");
        Recorded {
            token: Token(user.into()),
            address,
            generation: 1,
            tenant: Name::new("default").expect("a name"),
            pool: None,
            provider: Name::new("cloud").expect("a name"),
            id: id.map(Into::into),
            attempt: 0,
            spec: Spec::Host(HostSpec { user: user.into(), image: "old".into(), ..HostSpec::default() }),
            endpoint: None,
            bootstrapped: None,
            adopted: false,
            protected: false,
            needs: Vec::new(),
            price: Default::default(),
            serial: 1,
            created: 0,
            member: None,
        }
    }

    fn seen(id: &str, token: Option<&str>) -> Observed {
        let owner = |token: &str| Owner {
            lineage: Lineage::from_bits([1; 16]),
            address: Address::host("web-1"),
            generation: 1,
            token: Token(token.into()),
        };
        Observed {
            id: id.into(),
            name: id.into(),
            owner: token.map(owner),
            status: Status::Ready,
            spec: Spec::Host(HostSpec { image: "new".into(), ..HostSpec::default() }),
            endpoint: None,
        }
    }

    #[test]
    fn what_lists_do_not_tell_is_as_it_was_recorded() {
        let mut objects = [seen("a", None), seen("b", Some("bob")), seen("c", Some("eve"))];
        let rows = [row(Some("a"), "ann"), row(None, "bob"), row(Some("gone"), "dan")];
        fill(&mut objects, &[(Kind::Host, ["user".into()].into())].into(), rows.iter());
        let host = |object: &Observed| object.spec.host().cloned().expect("a host");
        assert_eq!(objects.each_ref().map(|object| host(object).user), ["ann".into(), "bob".into(), "".into()]);
        assert!(objects.iter().all(|object| &*host(object).image == "new"));
    }
}
