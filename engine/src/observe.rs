//! Observing: whole lists per provider and kind, page by page, all providers at once; never one call per object.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use pool_inventory::{Kind, Name, Text, market::Market, object::Observed};
use pool_providers::{Page, Provider, ProviderError};

use crate::retry::{self, Next};

/// Pages of one list before it is taken for endless: 500 objects a page make this half a million objects.
const MAX_PAGES: usize = 1000;

/// Longest time for one call of a list.
const CALL_LIMIT: Duration = Duration::from_secs(60);

/// Tries for one page; observing is what the operator waits for.
const TRIES: u32 = 5;

/// What one provider has and offers.
pub struct ProviderView {
    /// Hosts, volumes and networks.
    pub objects: Vec<Observed>,
    /// Offerings, backends, quotas.
    pub market: Market,
    /// Calls that it took.
    pub calls: u64,
}

/// Observes all providers at once; each answers for itself.
pub async fn providers(
    providers: &BTreeMap<Name, Arc<dyn Provider>>,
) -> BTreeMap<Name, Result<ProviderView, ProviderError>> {
    let mut tasks = tokio::task::JoinSet::new();
    for (name, provider) in providers {
        let (name, provider) = (name.clone(), provider.clone());
        tasks.spawn(async move { (name, one(provider.as_ref()).await) });
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

async fn one(provider: &dyn Provider) -> Result<ProviderView, ProviderError> {
    let mut calls = 1;
    let market = patiently(|| provider.market()).await?;
    let mut objects = Vec::new();
    let mut kinds = vec![Kind::Host, Kind::Volume];
    if provider.capabilities().features.contains(&pool_inventory::market::Feature::Networks) {
        kinds.push(Kind::Network);
    }
    for kind in kinds {
        let mut from: Option<Text> = None;
        for page in 0.. {
            if page == MAX_PAGES {
                return Err(ProviderError::Other(
                    format!("the list of {kind}s has more than {MAX_PAGES} pages").into(),
                ));
            }
            calls += 1;
            let Page { objects: more, next } = patiently(|| provider.list(kind, from.clone())).await?;
            objects.extend(more);
            match next {
                Some(next) => from = Some(next),
                None => break,
            }
        }
    }
    Ok(ProviderView { objects, market, calls })
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
