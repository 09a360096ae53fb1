//! Finding out what a run before, or a lost answer, has left in doubt.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use pool_inventory::{
    Name, Token,
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

/// Longest wait for an object that was found while it is still being made. One that takes longer is recorded as it is.
const MAKING: Duration = Duration::from_secs(10 * 60);

/// Looks a token up until its object is found and made, or its absence is certain: the visibility delay has passed since
/// the last possible send, and the look-up after that found nothing.
pub async fn look_up(account: &Account, token: &Token, doubt: Doubt) -> Result<Option<Observed>, ProviderError> {
    let Doubt::Since(last_send) = doubt;
    let certain = last_send + account.visibility_delay();
    let (begun, mut tries) = (Instant::now(), 0);
    let mut pause = Duration::from_millis(20);
    loop {
        let asked = Instant::now();
        match account.find(token).await {
            Ok(Some(seen)) if seen.status == Status::Pending && begun.elapsed() < MAKING => {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(5));
            }
            Ok(Some(seen)) => return Ok(Some(seen)),
            Ok(None) if asked >= certain => return Ok(None),
            Ok(None) => {
                let left = certain.saturating_duration_since(Instant::now());
                tokio::time::sleep(left.min(Duration::from_millis(500)).max(Duration::from_millis(1))).await;
            }
            Err(error) if matches!(retry::next(&error), Next::Again | Next::Settle) && tries < retry::MAX_TRIES => {
                tokio::time::sleep(retry::backoff(tries, crate::random::unit(), None)).await;
                tries += 1;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Settles every row whose creation was begun and never seen to end: it gets its id, or it goes.
pub async fn settle(
    accounts: &BTreeMap<Name, Account>,
    records: &Records,
    recorder: &Recorder,
    began: Instant,
) -> Result<(), SettleError> {
    for row in records.in_doubt() {
        let Some(account) = accounts.get(&row.provider) else { continue };
        let seen = look_up(account, &row.token, Doubt::Since(began))
            .await
            .map_err(|source| SettleError::Provider { row: Box::new(row.clone()), source })?;
        let event = Event::Settled { address: row.address.clone(), exists: seen.is_some() };
        let effect = match seen {
            Some(seen) => {
                let endpoint = seen.endpoint.clone();
                Effect::Put(Recorded { id: Some(seen.id.clone()), endpoint, ..row.clone() })
            }
            None => Effect::Remove(row.address.clone(), row.generation),
        };
        recorder.write(None, "settled", &event, effect, Some(event.clone())).await?;
    }
    Ok(())
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
