//! Runs: how they begin, under which conditions, and how they ended.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
};

use pool_inventory::{
    Address, Text,
    object::{Recorded, totals},
};
use serde::{Deserialize, Serialize};
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};

use crate::{
    Lease, StateError, Store,
    error::Fault,
    journal::Head,
    objects, plans,
    store::{signed, unsigned},
};

/// The id of a run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub Text);

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A run that shall begin.
#[derive(Debug, Clone)]
pub struct NewRun {
    /// Its id.
    pub id: RunId,
    /// The plan that it carries out; none: a command without one.
    pub plan: Option<Text>,
    /// Digest of the plan in hand; empty without a plan.
    pub plan_hash: Text,
    /// What was typed: `apply`, `destroy`, `state mv`.
    pub command: Text,
    /// When it started, in seconds since 1970.
    pub started: i64,
    /// What the plan's expiry is compared with.
    pub now: i64,
    /// Serial of each object that the plan read; 0: it was not there.
    pub reads: BTreeMap<Address, u64>,
    /// What the plan adds to accounts that have a limit.
    pub demand: Vec<Charge>,
    /// What must be remembered of it: brakes that were lifted, and the reason.
    pub audit: Option<Text>,
}

/// What a plan adds to an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    /// As in [`Recorded::charges`].
    pub account: Text,
    /// How much.
    pub amount: u64,
    /// What the account may hold at most.
    pub limit: u64,
}

/// A run as it stands in the state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRow {
    /// Its id.
    pub id: RunId,
    /// The plan that it carried out.
    pub plan: Option<Text>,
    /// What was typed.
    pub command: Text,
    /// Who, as in the lease.
    pub holder: Text,
    /// Epoch of the lease that it began under.
    pub epoch: u64,
    /// When it started, in seconds since 1970.
    pub started: i64,
    /// What must be remembered of it.
    pub audit: Option<Text>,
    /// When it ended; none: it runs, or was cut off and nobody has taken over since.
    pub ended: Option<i64>,
    /// One word on how it ended.
    pub outcome: Option<Text>,
    /// Exit code of the command.
    pub exit_code: Option<i32>,
    /// Its summary, as versioned JSON.
    pub summary: Option<String>,
}

/// The statements that give rows to [`parse`].
mod sql {
    macro_rules! select {
        ($rest:literal) => {
            concat!(
                "SELECT id, plan, command, holder, epoch, started, audit, ended, outcome, exit_code, summary \
                 FROM runs WHERE lineage = $1 ",
                $rest
            )
        };
    }
    pub(super) const LIST: &str = select!("ORDER BY started DESC, rowid DESC LIMIT $2");
    pub(super) const FIND: &str =
        select!("AND $2 <> '' AND substr(id, 1, length($2)) = $2 ORDER BY id = $2 DESC, id LIMIT 6");
    pub(super) const UNFINISHED: &str = select!("AND ended IS NULL ORDER BY started, rowid");
}

impl Store {
    /// Begins a run and marks its plan as used, in one transaction, if all of it holds: the plan is the one that was
    /// saved, is neither used nor expired, no object that it read has changed, and what it adds fits its accounts.
    ///
    /// Gives objects as they were at that moment, to a run with a plan: those that it read with their hosts and volumes,
    /// and those whose creation was begun and never seen to end; all, where that is less work.
    pub async fn begin_run(&self, lease: &Lease, run: NewRun) -> Result<Vec<Recorded>, StateError> {
        let (lineage, id, epoch) = (self.lineage().clone(), lease.id().clone(), lease.epoch());
        self.write(move |conn| {
            Box::pin(async move {
                Head::read(conn, &lineage.0).await?.admit(&id, epoch)?;
                if let Some(plan) = &run.plan {
                    use_plan(conn, &lineage.0, plan, &run).await?;
                }
                let mut found = Vec::new();
                if run.plan.is_some() || !run.reads.is_empty() || !run.demand.is_empty() {
                    found = objects_for(conn, &lineage.0, &run).await?;
                    check_reads(&found, &run.reads)?;
                    check_room(&found, &run.demand)?;
                }
                cut_off(conn, &lineage.0, epoch).await?;
                insert(conn, &lineage.0, &run).await?;
                Ok(found)
            })
        })
        .await
    }

    /// Records how a run ended. The run may be one that an earlier process began.
    pub async fn end_run(
        &self,
        lease: &Lease,
        run: &RunId,
        at: i64,
        outcome: Text,
        exit_code: i32,
        summary_json: String,
    ) -> Result<(), StateError> {
        let (lineage, id, epoch) = (self.lineage().clone(), lease.id().clone(), lease.epoch());
        let run = run.clone();
        self.write(move |conn| {
            Box::pin(async move {
                Head::read(conn, &lineage.0).await?.admit(&id, epoch)?;
                let end = End { at, outcome: &outcome, exit_code, summary: &summary_json };
                finish(conn, &lineage.0, &run, end).await
            })
        })
        .await
    }

    /// The newest runs, newest first.
    pub async fn runs(&self, limit: usize) -> Result<Vec<RunRow>, StateError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let query = sqlx::query(sql::LIST).bind(self.key()).bind(limit);
        let rows = query.fetch_all(self.readers()).await.map_err(|error| self.fault(error))?;
        Ok(rows.iter().map(parse).collect())
    }

    /// The run whose id begins so; an error if several do.
    pub async fn run(&self, id_prefix: &str) -> Result<Option<RunRow>, StateError> {
        let query = sqlx::query(sql::FIND).bind(self.key()).bind(id_prefix);
        let rows = query.fetch_all(self.readers()).await.map_err(|error| self.fault(error))?;
        plans::only(rows.iter().map(parse).collect(), id_prefix, |run: &RunRow| &run.id.0)
    }

    /// Runs that did not end, oldest first: the one that goes on now, and those that were cut off.
    pub async fn unfinished_runs(&self) -> Result<Vec<RunRow>, StateError> {
        let query = sqlx::query(sql::UNFINISHED).bind(self.key());
        let rows = query.fetch_all(self.readers()).await.map_err(|error| self.fault(error))?;
        Ok(rows.iter().map(parse).collect())
    }
}

/// An object that is looked up costs as much as so many of a list.
const LOOKUP: usize = 8;

/// The objects that a run may ask for, or all of them: what accounts hold is their sum.
async fn objects_for(conn: &mut SqliteConnection, lineage: &str, run: &NewRun) -> Result<Vec<Recorded>, Fault> {
    if run.demand.is_empty() && run.reads.len().saturating_mul(LOOKUP) < objects::count(conn, lineage).await? {
        objects::around(conn, lineage, run.reads.keys()).await
    } else {
        objects::all(conn, lineage).await
    }
}

fn parse(row: &SqliteRow) -> RunRow {
    let text = |column: usize| row.get::<Option<&str>, _>(column).map(Text::from);
    RunRow {
        id: RunId(row.get::<&str, _>(0).into()),
        plan: text(1),
        command: row.get::<&str, _>(2).into(),
        holder: row.get::<&str, _>(3).into(),
        epoch: unsigned(row.get(4)),
        started: row.get(5),
        audit: text(6),
        ended: row.get(7),
        outcome: text(8),
        exit_code: row.get(9),
        summary: row.get(10),
    }
}

/// Checks the plan and marks it used.
async fn use_plan(conn: &mut SqliteConnection, lineage: &str, plan: &Text, run: &NewRun) -> Result<(), Fault> {
    let id = plan.clone();
    let row = sqlx::query("SELECT hash, used_by, expires FROM plans WHERE lineage = $1 AND id = $2")
        .bind(lineage)
        .bind(plan.as_ref())
        .fetch_optional(&mut *conn)
        .await?;
    let Some(row) = row else { return Err(StateError::PlanUnknown { id }.into()) };
    if row.get::<&str, _>(0) != &*run.plan_hash {
        return Err(StateError::PlanTampered { id }.into());
    }
    if let Some(by) = row.get::<Option<&str>, _>(1) {
        return Err(StateError::PlanUsed { id, run: RunId(by.into()) }.into());
    }
    let expires: i64 = row.get(2);
    if run.now >= expires {
        return Err(StateError::PlanExpired { id, expires }.into());
    }
    sqlx::query("UPDATE plans SET used_by = $3 WHERE lineage = $1 AND id = $2")
        .bind(lineage)
        .bind(plan.as_ref())
        .bind(run.id.0.as_ref())
        .execute(conn)
        .await?;
    Ok(())
}

/// Says of the runs of earlier holders that never ended that they were cut off, and when they were last heard of.
async fn cut_off(conn: &mut SqliteConnection, lineage: &str, epoch: u64) -> Result<(), Fault> {
    sqlx::query(
        "UPDATE runs SET outcome = 'cut off', ended = max(started, coalesce( \
         (SELECT at_ms / 1000 FROM journal WHERE lineage = $1 AND run = runs.id ORDER BY seq DESC LIMIT 1), started)) \
         WHERE lineage = $1 AND ended IS NULL AND epoch < $2",
    )
    .bind(lineage)
    .bind(signed(epoch))
    .execute(conn)
    .await?;
    Ok(())
}

/// Compares the serials that the plan read with those of now.
fn check_reads(objects: &[Recorded], reads: &BTreeMap<Address, u64>) -> Result<(), StateError> {
    // All generations of an address have the same serial.
    let now: HashMap<&Address, u64> = objects.iter().map(|object| (&object.address, object.serial)).collect();
    for (address, &expected) in reads {
        let found = now.get(address).copied().unwrap_or(0);
        if found != expected {
            return Err(StateError::PlanStale { address: address.clone(), expected, found });
        }
    }
    Ok(())
}

/// Checks that what the plan adds fits beside what the objects of now use.
fn check_room(objects: &[Recorded], demand: &[Charge]) -> Result<(), StateError> {
    let mut used: HashMap<&str, u64> = demand.iter().map(|charge| (&*charge.account, 0)).collect();
    if used.is_empty() {
        return Ok(());
    }
    for (account, amount) in totals(objects) {
        if let Some(sum) = used.get_mut(&*account) {
            *sum = amount;
        }
    }
    for Charge { account, amount, limit } in demand {
        let sum = used.get_mut(&**account).expect("every account of the demand has an entry");
        if sum.saturating_add(*amount) > *limit {
            let (account, used, amount, limit) = (account.clone(), *sum, *amount, *limit);
            return Err(StateError::NoRoom { account, used, amount, limit });
        }
        // Two charges of one account add up.
        *sum = sum.saturating_add(*amount);
    }
    Ok(())
}

async fn insert(conn: &mut SqliteConnection, lineage: &str, run: &NewRun) -> Result<(), Fault> {
    let demand = serde_json::to_string(&run.demand).expect("charges are text and numbers");
    let done = sqlx::query(
        "INSERT INTO runs (lineage, id, plan, command, holder, epoch, started, audit, demand) \
         SELECT $1, $2, $3, $4, holder, epoch, $5, $6, $7 FROM leases WHERE scope = $1",
    )
    .bind(lineage)
    .bind(run.id.0.as_ref())
    .bind(run.plan.as_deref())
    .bind(run.command.as_ref())
    .bind(run.started)
    .bind(run.audit.as_deref())
    .bind(demand)
    .execute(conn)
    .await;
    match done {
        Ok(_) => Ok(()),
        Err(error) if error.as_database_error().is_some_and(|e| e.is_unique_violation()) => {
            Err(StateError::RunExists { id: run.id.clone() }.into())
        }
        Err(error) => Err(error.into()),
    }
}

/// How a run ended.
struct End<'a> {
    at: i64,
    outcome: &'a str,
    exit_code: i32,
    summary: &'a str,
}

async fn finish(conn: &mut SqliteConnection, lineage: &str, run: &RunId, end: End<'_>) -> Result<(), Fault> {
    let done = sqlx::query(
        "UPDATE runs SET ended = $3, outcome = $4, exit_code = $5, summary = $6 WHERE lineage = $1 AND id = $2",
    )
    .bind(lineage)
    .bind(run.0.as_ref())
    .bind(end.at)
    .bind(end.outcome)
    .bind(end.exit_code)
    .bind(end.summary)
    .execute(conn)
    .await?;
    if done.rows_affected() == 1 { Ok(()) } else { Err(StateError::RunUnknown { id: run.0.clone() }.into()) }
}

/// Something that was done to the state itself: a run that has ended, with one entry that says what.
pub(crate) struct Audit<'a> {
    pub(crate) command: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) body: String,
    pub(crate) at_ms: i64,
}

/// Records `audit` in the history.
pub(crate) async fn audit(
    conn: &mut SqliteConnection,
    lineage: &str,
    run: &RunId,
    audit: Audit<'_>,
) -> Result<(), Fault> {
    let head = Head::read(conn, lineage).await?;
    let at = audit.at_ms.div_euclid(1000);
    sqlx::query(
        "INSERT INTO runs (lineage, id, command, holder, epoch, started, demand, ended, outcome, exit_code, summary) \
         VALUES ($1, $2, $3, '', $4, $5, '[]', $5, 'done', 0, '{\"version\":1}')",
    )
    .bind(lineage)
    .bind(run.0.as_ref())
    .bind(audit.command)
    .bind(signed(head.epoch))
    .bind(at)
    .execute(&mut *conn)
    .await?;
    sqlx::query("INSERT INTO journal (lineage, seq, run, at_ms, kind, body) VALUES ($1, $2, $3, $4, $5, $6)")
        .bind(lineage)
        .bind(signed(head.seq + 1))
        .bind(run.0.as_ref())
        .bind(audit.at_ms)
        .bind(audit.kind)
        .bind(audit.body)
        .execute(&mut *conn)
        .await?;
    head.advance(conn, lineage, head.serial, head.seq + 1).await
}
