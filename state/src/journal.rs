//! The journal: what happened, and what it changed, in one transaction.

use std::{
    collections::HashSet,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use pool_inventory::{Address, Lineage, Text, object::Recorded};
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};

use crate::{
    Lease, RunId, StateError, Store,
    error::Fault,
    objects::{self, Changes, Key, ObjectRow},
    rows::{Statement, Values},
    store::{signed, unsigned},
    writer::{Reply, transaction},
};

const INSERT: Statement = Statement {
    head: "INSERT INTO journal (lineage, seq, run, at_ms, step, address, kind, body, change, generation, serial) VALUES",
    values: 11,
    tail: "",
};

/// One thing that happened.
#[derive(Debug, Clone)]
pub struct Entry {
    /// In which run.
    pub run: RunId,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// The step of the plan that it belongs to.
    pub step: Option<u32>,
    /// The object that it is about.
    pub address: Option<Address>,
    /// One word: `started`, `succeeded`, `failed`, …
    pub kind: Text,
    /// The rest, as versioned JSON.
    pub body: String,
    /// What it changes in the objects.
    pub change: Change,
}

/// What an entry changes in the objects.
#[derive(Debug, Clone)]
pub enum Change {
    /// Nothing.
    None,
    /// Records this generation of an object; its serial is given out here.
    Put(Box<Recorded>),
    /// Drops the record of a generation; nothing happens if there is none.
    Remove {
        /// Of which object.
        address: Address,
        /// Which generation.
        generation: u32,
    },
    /// Drops the record of a generation and puts another, as one change: the object has a new address.
    Rename {
        /// The address before.
        from: Address,
        /// Its generation.
        generation: u32,
        /// The record under the new address.
        to: Box<Recorded>,
    },
}

/// An entry as it stands in the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalRow {
    /// Its number; rises by one with each entry of the state.
    pub seq: u64,
    /// In which run.
    pub run: RunId,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// The step of the plan that it belongs to.
    pub step: Option<u32>,
    /// The object that it is about.
    pub address: Option<Address>,
    /// One word.
    pub kind: Text,
    /// The rest, as versioned JSON.
    pub body: String,
    /// Serial that it gave to the object that it changed; none: it changed nothing.
    pub serial: Option<u64>,
}

impl Store {
    /// Appends entries, with what they change; returns their numbers once all of it is durable.
    ///
    /// All or nothing. Callers at the same time share a commit.
    pub async fn journal(&self, lease: &Lease, entries: Vec<Entry>) -> Result<Vec<u64>, StateError> {
        if entries.is_empty() {
            return Ok(Vec::new());
        }
        // Here and not in the writer: this is the expensive part, and callers run side by side.
        let entries = entries.into_iter().map(Prepared::new).collect();
        let (id, epoch) = (lease.id().clone(), lease.epoch());
        self.inner.writer.append(|reply| Append { id, epoch, entries, reply }).await
    }

    /// Changes records by hand, audited: each change is an entry of kind `edited` that says why.
    pub async fn edit(
        &self,
        lease: &Lease,
        run: &RunId,
        changes: Vec<Change>,
        why: Text,
    ) -> Result<Vec<u64>, StateError> {
        let at_ms = crate::now_ms();
        let body = serde_json::json!({ "version": 1, "why": &*why }).to_string();
        let entry = |change: Change| Entry {
            run: run.clone(),
            at_ms,
            step: None,
            address: change.address().cloned(),
            kind: "edited".into(),
            body: body.clone(),
            change,
        };
        self.journal(lease, changes.into_iter().map(entry).collect()).await
    }

    /// The entries of a run, oldest first.
    pub async fn entries(&self, run: &RunId) -> Result<Vec<JournalRow>, StateError> {
        let rows = sqlx::query(
            "SELECT seq, run, at_ms, step, address, kind, body, serial FROM journal \
             WHERE lineage = $1 AND run = $2 ORDER BY seq",
        )
        .bind(self.key())
        .bind(run.0.as_ref())
        .fetch_all(self.readers())
        .await;
        let parsed = rows.map_err(Fault::from).and_then(|rows| rows.iter().map(parse).collect());
        parsed.map_err(|fault| self.fault(fault))
    }
}

fn parse(row: &SqliteRow) -> Result<JournalRow, Fault> {
    let address = row.get::<Option<&str>, _>(4).map(str::parse).transpose();
    Ok(JournalRow {
        seq: unsigned(row.get(0)),
        run: RunId(row.get::<&str, _>(1).into()),
        at_ms: row.get(2),
        step: row.get(3),
        address: address.map_err(|error| Fault::Damaged(format!("a journal entry cannot be read: {error}")))?,
        kind: row.get::<&str, _>(5).into(),
        body: row.get(6),
        serial: row.get::<Option<i64>, _>(7).map(unsigned),
    })
}

impl Change {
    /// The object that it changes; the new address of a rename.
    pub fn address(&self) -> Option<&Address> {
        match self {
            Change::None => None,
            Change::Put(object) | Change::Rename { to: object, .. } => Some(&object.address),
            Change::Remove { address, .. } => Some(address),
        }
    }
}

/// Entries of one caller.
#[derive(Debug)]
pub(crate) struct Append {
    id: Text,
    epoch: u64,
    entries: Vec<Prepared>,
    reply: Reply,
}

/// An entry in the form of its rows.
#[derive(Debug)]
struct Prepared {
    run: Text,
    at_ms: i64,
    step: Option<u32>,
    address: Option<String>,
    kind: Text,
    body: String,
    remove: Option<Key>,
    put: Option<(Key, ObjectRow)>,
}

impl Prepared {
    fn new(entry: Entry) -> Self {
        let row = |object: &Recorded| Some((objects::key(object), ObjectRow::new(object)));
        let (remove, put) = match &entry.change {
            Change::None => (None, None),
            Change::Put(object) => (None, row(object)),
            Change::Remove { address, generation } => (Some((address.to_string(), *generation)), None),
            Change::Rename { from, generation, to } => (Some((from.to_string(), *generation)), row(to)),
        };
        Self {
            run: entry.run.0,
            at_ms: entry.at_ms,
            step: entry.step,
            address: entry.address.map(|address| address.to_string()),
            kind: entry.kind,
            body: entry.body,
            remove,
            put,
        }
    }

    /// The word in the column `change`, and the generation beside it.
    fn change(&self) -> (Option<&'static str>, Option<u32>) {
        match (&self.remove, &self.put) {
            (None, None) => (None, None),
            (None, Some((key, _))) => (Some("put"), Some(key.1)),
            (Some(key), None) => (Some("remove"), Some(key.1)),
            (Some(_), Some((key, _))) => (Some("rename"), Some(key.1)),
        }
    }
}

/// Commits gathered entries.
pub(crate) struct Appender {
    lineage: Lineage,
    /// Runs that were seen in the file; only runs that have ended long ago are deleted.
    runs: HashSet<Text>,
    commits: Arc<AtomicU64>,
}

impl Appender {
    pub(crate) fn new(lineage: Lineage, commits: Arc<AtomicU64>) -> Self {
        Self { lineage, runs: HashSet::new(), commits }
    }

    /// Commits all of `appends` in one transaction and answers each caller. One that lost its lease or names an unknown
    /// run is refused by itself; a failure of the file fails all.
    pub(crate) async fn commit(&mut self, conn: &mut SqliteConnection, appends: Vec<Append>, path: &Path) {
        if appends.is_empty() {
            return;
        }
        let (replies, work): (Vec<Reply>, Vec<Unanswered>) =
            appends.into_iter().map(|a| (a.reply, (a.id, a.epoch, a.entries))).unzip();
        let (lineage, known) = (self.lineage.clone(), std::mem::take(&mut self.runs));
        let result = transaction(conn, |conn| {
            Box::pin(async move {
                let mut batch = Batch { lineage: &lineage, known };
                let answers = batch.write(conn, work).await?;
                Ok((answers, batch.known))
            })
        });
        match result.await {
            Ok((answers, known)) => {
                self.runs = known;
                self.commits.fetch_add(1, Ordering::Relaxed);
                for (reply, answer) in replies.into_iter().zip(answers) {
                    // Who is not there any more does not need the answer.
                    let _ = reply.send(answer);
                }
            }
            Err(fault) => {
                let error = fault.at(path);
                for reply in replies {
                    let _ = reply.send(Err(error.clone()));
                }
            }
        }
    }
}

/// Lease, epoch and entries of one caller.
type Unanswered = (Text, u64, Vec<Prepared>);

struct Batch<'a> {
    lineage: &'a Lineage,
    known: HashSet<Text>,
}

impl Batch<'_> {
    async fn write(
        &mut self,
        conn: &mut SqliteConnection,
        work: Vec<Unanswered>,
    ) -> Result<Vec<Result<Vec<u64>, StateError>>, Fault> {
        let head = Head::read(conn, &self.lineage.0).await?;
        let (mut serial, mut seq) = (head.serial, head.seq);
        let (mut changes, mut rows, mut answers) = (Changes::default(), Vec::new(), Vec::new());
        for (id, epoch, entries) in work {
            if let Err(error) = self.admit(conn, &head, &id, epoch, &entries).await? {
                answers.push(Err(error));
                continue;
            }
            let first = seq + 1;
            for mut entry in entries {
                seq += 1;
                let change = entry.change();
                serial += u64::from(change.0.is_some());
                if let Some(key) = entry.remove.take() {
                    changes.remove(key, serial);
                }
                if let Some((key, row)) = entry.put.take() {
                    changes.put(key, row, serial);
                }
                rows.push((seq, change, serial, entry));
            }
            answers.push(Ok((first..=seq).collect()));
        }
        insert(conn, &self.lineage.0, &rows).await?;
        changes.write(conn, &self.lineage.0).await?;
        head.advance(conn, &self.lineage.0, serial, seq).await?;
        Ok(answers)
    }

    /// Whether a caller may write.
    async fn admit(
        &mut self,
        conn: &mut SqliteConnection,
        head: &Head,
        id: &Text,
        epoch: u64,
        entries: &[Prepared],
    ) -> Result<Result<(), StateError>, Fault> {
        if !head.is_held(id, epoch) {
            return Ok(Err(StateError::LeaseLost));
        }
        for entry in entries {
            if self.known.contains(&entry.run) {
                continue;
            }
            let found = sqlx::query("SELECT 1 FROM runs WHERE lineage = $1 AND id = $2")
                .bind(self.lineage.0.as_ref())
                .bind(entry.run.as_ref())
                .fetch_optional(&mut *conn)
                .await?;
            if found.is_none() {
                return Ok(Err(StateError::RunUnknown { id: entry.run.clone() }));
            }
            self.known.insert(entry.run.clone());
        }
        Ok(Ok(()))
    }
}

type NumberedRow = (u64, (Option<&'static str>, Option<u32>), u64, Prepared);

async fn insert(conn: &mut SqliteConnection, lineage: &str, rows: &[NumberedRow]) -> Result<(), Fault> {
    let bind = |values: &mut Values, (seq, (change, generation), serial, entry): &NumberedRow| {
        values.push(lineage).push(signed(*seq)).push(entry.run.as_ref());
        values.push(entry.at_ms).push(entry.step).push(&entry.address);
        values.push(entry.kind.as_ref()).push(&entry.body);
        values.push(*change).push(*generation).push(change.map(|_| signed(*serial)));
    };
    INSERT.execute(conn, rows, bind).await
}

/// The counters of a lineage and who may write to it, read in the transaction that uses them.
pub(crate) struct Head {
    pub(crate) serial: u64,
    pub(crate) seq: u64,
    held: Option<String>,
    pub(crate) epoch: u64,
}

impl Head {
    pub(crate) async fn read(conn: &mut SqliteConnection, lineage: &str) -> Result<Self, Fault> {
        let row = sqlx::query(
            "SELECT l.serial, l.seq, s.id, s.epoch FROM lineages l LEFT JOIN leases s ON s.scope = l.lineage \
             WHERE l.lineage = $1 AND l.current = 1",
        )
        .bind(lineage)
        .fetch_optional(conn)
        .await?;
        let Some(row) = row else { return Err(Fault::Replaced) };
        Ok(Self {
            serial: unsigned(row.get(0)),
            seq: unsigned(row.get(1)),
            held: row.get(2),
            epoch: unsigned(row.get::<Option<i64>, _>(3).unwrap_or(0)),
        })
    }

    pub(crate) fn is_held(&self, id: &str, epoch: u64) -> bool {
        self.held.as_deref() == Some(id) && self.epoch == epoch
    }

    /// Refuses unless `lease` is the one that is held.
    pub(crate) fn admit(&self, id: &str, epoch: u64) -> Result<(), Fault> {
        if self.is_held(id, epoch) { Ok(()) } else { Err(StateError::LeaseLost.into()) }
    }

    pub(crate) async fn advance(
        &self,
        conn: &mut SqliteConnection,
        lineage: &str,
        serial: u64,
        seq: u64,
    ) -> Result<(), Fault> {
        if (serial, seq) == (self.serial, self.seq) {
            return Ok(());
        }
        sqlx::query("UPDATE lineages SET serial = $2, seq = $3 WHERE lineage = $1")
            .bind(lineage)
            .bind(signed(serial))
            .bind(signed(seq))
            .execute(conn)
            .await?;
        Ok(())
    }
}
