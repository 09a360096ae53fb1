//! The journal is bounded: old runs go, with their entries, a little at a time.
//!
//! Kept are the newest [`RUNS`] runs whatever they are, and of the others those that are younger than [`AGE`] and among
//! the newest [`ENTRIES`] entries. A run that has not ended is never touched, and of a run for which something must be
//! remembered (a brake that was lifted, with the reason) the run itself stays and only its entries go. Rows of objects
//! hold all that the next run needs to know, attempts in doubt included, so nothing but history is lost.
//!
//! Pages that become free are used again; the file does not shrink, and no run waits for a `VACUUM`.

use std::time::{Duration, Instant};

use sqlx::SqliteConnection;

use crate::{Lease, StateError, Store, error::Fault, journal::Head, store::signed};

/// Newest runs that are kept in any case.
const RUNS: i64 = 20;

/// Age in seconds from which a run may go: 90 days.
const AGE: i64 = 90 * 24 * 3600;

/// Newest entries that are kept if they are young; at about 300 bytes each.
const ENTRIES: u64 = 1_000_000;

/// Entries deleted in one transaction: a few milliseconds, in which others wait.
const CHUNK: i64 = 2_000;

/// Longest time that the end of a run spends on it; what is left goes at the end of the next.
const PATIENCE: Duration = Duration::from_secs(1);

/// What is kept; others than usual in tests.
#[derive(Debug, Clone, Copy)]
pub struct Keep {
    /// Newest runs, whatever they are.
    pub runs: i64,
    /// Age in seconds from which a run may go.
    pub age: i64,
    /// Newest entries that are kept if they are young.
    pub entries: u64,
}

impl Default for Keep {
    fn default() -> Self {
        Self { runs: RUNS, age: AGE, entries: ENTRIES }
    }
}

impl Store {
    /// Forgets old runs and their entries, for a second at most; says how many entries went. `now` is in seconds since 1970.
    pub async fn prune(&self, lease: &Lease, keep: Keep, now: i64) -> Result<u64, StateError> {
        let begun = Instant::now();
        let mut gone = self.prune_once(lease, Some((keep, now))).await?;
        let mut last = gone;
        while last > 0 && begun.elapsed() < PATIENCE {
            last = self.prune_once(lease, None).await?;
            gone += last;
        }
        Ok(gone)
    }

    /// Marks what may go, if told so, and deletes some of it.
    async fn prune_once(&self, lease: &Lease, mark: Option<(Keep, i64)>) -> Result<u64, StateError> {
        let (lineage, id, epoch) = (self.lineage().clone(), lease.id().clone(), lease.epoch());
        self.write(move |conn| {
            Box::pin(async move {
                let head = Head::read(conn, &lineage.0).await?;
                head.admit(&id, epoch)?;
                if let Some((keep, now)) = mark {
                    mark_old(conn, &lineage.0, keep, now, head.seq).await?;
                }
                delete(conn, &lineage.0).await
            })
        })
        .await
    }
}

/// O(runs that are kept × log entries).
async fn mark_old(conn: &mut SqliteConnection, lineage: &str, keep: Keep, now: i64, seq: u64) -> Result<(), Fault> {
    sqlx::query(
        "UPDATE runs SET pruned = 1 WHERE lineage = $1 AND pruned = 0 AND ended IS NOT NULL \
         AND id NOT IN (SELECT id FROM runs WHERE lineage = $1 ORDER BY started DESC, rowid DESC LIMIT $2) \
         AND (started < $3 OR (SELECT max(seq) FROM journal WHERE lineage = $1 AND run = runs.id) < $4)",
    )
    .bind(lineage)
    .bind(keep.runs)
    .bind(now.saturating_sub(keep.age))
    .bind(signed(seq.saturating_sub(keep.entries)))
    .execute(conn)
    .await?;
    Ok(())
}

async fn delete(conn: &mut SqliteConnection, lineage: &str) -> Result<u64, Fault> {
    let done = sqlx::query(
        "DELETE FROM journal WHERE rowid IN (SELECT j.rowid FROM runs r JOIN journal j \
         ON j.lineage = r.lineage AND j.run = r.id WHERE r.lineage = $1 AND r.pruned = 1 LIMIT $2)",
    )
    .bind(lineage)
    .bind(CHUNK)
    .execute(&mut *conn)
    .await?;
    if done.rows_affected() == 0 {
        sqlx::query("DELETE FROM runs WHERE lineage = $1 AND pruned = 1 AND audit IS NULL")
            .bind(lineage)
            .execute(conn)
            .await?;
    }
    Ok(done.rows_affected())
}
