//! Finding out what a run before, or a lost answer, has left in doubt.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::{Duration, Instant},
};

use pool_inventory::{
    Kind, Name, Token,
    object::{Observed, Recorded, Status},
};
use pool_providers::ProviderError;
use pool_state::StateError;

use super::{Recorder, Records, recorder::Effect};
use crate::{
    account::Account,
    event::Event,
    retry::{self, Next},
};

/// Since when nothing can have been sent any more.
pub enum Doubt {
    /// Nothing was sent after this.
    Since(Instant),
}

/// Longest wait for an object that was found while it is still being made: half of what it may take altogether. One that
/// takes longer is recorded as it is.
fn making(account: &Account) -> Duration {
    account.patience() / 2
}

/// Looks a token up until its object is found and made, or its absence is certain: the visibility delay has passed since
/// the last possible send, and the look-up after that found nothing.
pub async fn look_up(account: &Account, token: &Token, doubt: Doubt) -> Result<Option<Observed>, ProviderError> {
    let Doubt::Since(last_send) = doubt;
    let certain = last_send + account.doubt();
    let (begun, mut tries) = (Instant::now(), 0);
    let mut pause = Duration::from_millis(20);
    loop {
        let asked = Instant::now();
        match account.find(token).await {
            Ok(Some(seen)) if seen.status == Status::Pending && begun.elapsed() < making(account) => {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(5));
            }
            Ok(Some(seen)) => return Ok(Some(seen)),
            Ok(None) if asked >= certain => return Ok(None),
            Ok(None) => {
                let left = certain.saturating_duration_since(Instant::now());
                tokio::time::sleep(left.min(pause).max(Duration::from_millis(1))).await;
                pause = (pause * 2).min(LOOK);
            }
            Err(error) if matches!(retry::next(&error), Next::Again | Next::Settle) && tries < retry::MAX_TRIES => {
                tokio::time::sleep(retry::backoff(tries, crate::random::unit(), None)).await;
                tries += 1;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Longest pause between two looks at the lists.
const LOOK: Duration = Duration::from_secs(15);

/// Settles every row whose creation was begun and never seen to end: it gets its id, or it goes. Nothing can have been
/// sent after `quiet`.
///
/// Whole lists, not one look-up per row: a run that died may have left hundreds. All providers at once.
pub async fn settle(
    accounts: &BTreeMap<Name, Account>,
    records: &Records,
    recorder: &Recorder,
    quiet: Instant,
) -> Result<(), SettleError> {
    let mut by_provider: BTreeMap<Name, Vec<Recorded>> = BTreeMap::new();
    for row in records.in_doubt() {
        by_provider.entry(row.provider.clone()).or_default().push(row);
    }
    let one = async |(name, rows): (Name, Vec<Recorded>)| match accounts.get(&name) {
        Some(account) => of_provider(account, rows, recorder, quiet).await,
        None => Ok(()),
    };
    futures_util::future::join_all(by_provider.into_iter().map(one)).await.into_iter().collect()
}

async fn of_provider(
    account: &Account,
    mut rows: Vec<Recorded>,
    recorder: &Recorder,
    quiet: Instant,
) -> Result<(), SettleError> {
    let (begun, certain) = (Instant::now(), quiet + account.doubt());
    let (mut pause, mut told) = (Duration::from_millis(250), false);
    loop {
        let asked = Instant::now();
        let kinds: BTreeSet<Kind> = rows.iter().map(|row| row.address.kind).collect();
        let mut seen: HashMap<Token, Observed> = HashMap::new();
        for kind in kinds {
            let listed = account.list(kind).await;
            let listed = listed.map_err(|source| SettleError::Provider { row: Box::new(rows[0].clone()), source })?;
            seen.extend(listed.into_iter().filter_map(|one| Some((one.owner.as_ref()?.token.clone(), one))));
        }
        let (mut left, mut made) = (Vec::new(), true);
        for row in rows {
            let found = seen.remove(&row.token);
            let making =
                found.as_ref().is_some_and(|seen| seen.status == Status::Pending) && begun.elapsed() < making(account);
            if making || (found.is_none() && asked < certain) {
                made &= !making;
                left.push(row);
                continue;
            }
            settled(recorder, row, found).await?;
        }
        if left.is_empty() {
            return Ok(());
        }
        rows = left;
        let ahead = certain.saturating_duration_since(Instant::now());
        if !std::mem::replace(&mut told, true) {
            let wait = if made { ahead } else { making(account) };
            recorder.publish(settling(&rows, wait)).await;
        }
        let until_certain = if ahead.is_zero() { LOOK } else { ahead + Duration::from_millis(1) };
        tokio::time::sleep(pause.min(until_certain)).await;
        pause = (pause * 2).min(LOOK);
    }
}

fn settling(rows: &[Recorded], wait: Duration) -> Event {
    let first = &rows[0];
    Event::Settling {
        address: first.address.clone(),
        objects: rows.len(),
        provider: first.provider.clone(),
        wait_ms: u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
    }
}

async fn settled(recorder: &Recorder, row: Recorded, seen: Option<Observed>) -> Result<(), StateError> {
    let event = Event::Settled { address: row.address.clone(), exists: seen.is_some() };
    let effect = match seen {
        Some(seen) => {
            let endpoint = seen.endpoint.filter(|_| seen.status != Status::Pending);
            Effect::Put(Recorded { id: Some(seen.id), endpoint, ..row })
        }
        None => Effect::Remove(row.address, row.generation),
    };
    recorder.write(None, "settled", &event, effect, Some(event.clone())).await
}

/// Why not everything could be settled.
#[derive(Debug, thiserror::Error)]
pub enum SettleError {
    /// The journal could not be written.
    #[error("failed to write the journal")]
    State(#[from] StateError),
    /// A provider did not answer.
    #[error("failed to find out whether {} exists at provider {}", row.address, row.provider)]
    Provider {
        /// What is in doubt.
        row: Box<Recorded>,
        /// Why.
        source: ProviderError,
    },
}
