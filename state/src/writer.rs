//! The one task that writes.
//!
//! Callers send work over a bounded channel; the task takes what has gathered, and journal entries that stand next to
//! each other share one transaction and one sync of the disk. A caller is answered after the commit, never before. A
//! caller that goes away does not stop its write.

use std::{
    future::Future,
    path::{Path, PathBuf},
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use pool_inventory::Lineage;
use sqlx::{Connection, SqliteConnection};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use crate::{
    StateError,
    error::Fault,
    journal::{Append, Appender},
};

pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Requests that wait at most; more callers than this wait for a place.
const QUEUE: usize = 1024;

/// Requests that share one commit at most: bounds the time that the first of them waits.
const BATCH: usize = 256;

/// Work with a transaction of its own.
trait Task: Send {
    fn run<'c>(self: Box<Self>, conn: &'c mut SqliteConnection, path: &'c Path) -> BoxFuture<'c, ()>;
}

enum Request {
    Append(Append),
    Task(Box<dyn Task>),
    Close,
}

/// The sending side.
#[derive(Debug)]
pub(crate) struct Writer {
    requests: mpsc::Sender<Request>,
    task: Mutex<Option<JoinHandle<()>>>,
    commits: Arc<AtomicU64>,
}

impl Writer {
    pub(crate) fn start(conn: SqliteConnection, lineage: Lineage, path: PathBuf) -> Self {
        let (requests, inbox) = mpsc::channel(QUEUE);
        let commits = Arc::new(AtomicU64::new(0));
        let task = tokio::spawn(serve(conn, inbox, Appender::new(lineage, commits.clone()), path));
        Self { requests, task: Mutex::new(Some(task)), commits }
    }

    /// Runs `work` in a transaction of its own.
    pub(crate) async fn write<T, F>(&self, work: F) -> Result<T, StateError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, Fault>> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        self.send(Request::Task(Box::new(Work { work, reply }))).await?;
        answer.await.map_err(|_| StateError::Closed)?
    }

    /// Appends to the journal, sharing a commit with other callers.
    pub(crate) async fn append(&self, append: impl FnOnce(Reply) -> Append) -> Result<Vec<u64>, StateError> {
        let (reply, answer) = oneshot::channel();
        self.send(Request::Append(append(reply))).await?;
        answer.await.map_err(|_| StateError::Closed)?
    }

    /// Transactions of the journal so far.
    pub(crate) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// Lets the task finish what was sent, and waits for it.
    pub(crate) async fn close(&self) {
        // An error says that the task has ended already.
        let _ = self.requests.send(Request::Close).await;
        let task = self.task.lock().expect("nothing panics while it is held").take();
        if let Some(task) = task {
            // A panic in it was reported where it happened; there is nothing left to close.
            let _ = task.await;
        }
    }

    async fn send(&self, request: Request) -> Result<(), StateError> {
        self.requests.send(request).await.map_err(|_| StateError::Closed)
    }
}

/// Where the numbers of appended entries go.
pub(crate) type Reply = oneshot::Sender<Result<Vec<u64>, StateError>>;

struct Work<F, T> {
    work: F,
    reply: oneshot::Sender<Result<T, StateError>>,
}

impl<F, T> Task for Work<F, T>
where
    T: Send + 'static,
    F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, Fault>> + Send + 'static,
{
    fn run<'c>(self: Box<Self>, conn: &'c mut SqliteConnection, path: &'c Path) -> BoxFuture<'c, ()> {
        Box::pin(async move {
            let result = transaction(conn, self.work).await.map_err(|fault| fault.at(path));
            // Who is not there any more does not need the answer.
            let _ = self.reply.send(result);
        })
    }
}

async fn serve(mut conn: SqliteConnection, mut inbox: mpsc::Receiver<Request>, mut appender: Appender, path: PathBuf) {
    let mut batch = Vec::with_capacity(BATCH);
    while inbox.recv_many(&mut batch, BATCH).await > 0 {
        let mut appends = Vec::new();
        for request in batch.drain(..) {
            match request {
                Request::Append(append) => appends.push(append),
                Request::Task(task) => {
                    appender.commit(&mut conn, std::mem::take(&mut appends), &path).await;
                    task.run(&mut conn, &path).await;
                }
                // Sends fail from here on; what was sent before is still in the inbox.
                Request::Close => inbox.close(),
            }
        }
        appender.commit(&mut conn, appends, &path).await;
    }
    // The file is whole with or without this; a failure only leaves the log beside it.
    let _ = conn.close().await;
}

/// Runs `work` between BEGIN and COMMIT, or ROLLBACK when it fails.
///
/// Plain statements, not sqlx's own transactions: SQLite ends a transaction by itself when the disk is full, and sqlx
/// would count one as open for ever.
pub(crate) async fn transaction<T, F>(conn: &mut SqliteConnection, work: F) -> Result<T, Fault>
where
    F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, Fault>>,
{
    sqlx::query("BEGIN IMMEDIATE").execute(&mut *conn).await?;
    let result = match work(conn).await {
        Ok(value) => sqlx::query("COMMIT").execute(&mut *conn).await.map(|_| value).map_err(Fault::from),
        Err(fault) => Err(fault),
    };
    if result.is_err() {
        // Fails when SQLite has rolled back already, which is what is wanted.
        let _ = sqlx::query("ROLLBACK").execute(conn).await;
    }
    result
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::{collections::BTreeMap, time::Duration};

    use crate::{Change, Entry, Lease, LeaseRequest, NewRun, OpenOptions, RunId, StateError, Store};

    async fn open(dir: &std::path::Path) -> (Store, Lease) {
        let options = OpenOptions {
            path: dir.join("state.db"),
            backup_dir: dir.join("backup"),
            inventory: "acme".parse().unwrap(),
            environment: "prod".parse().unwrap(),
        };
        let store = Store::open(options, jiff::Timestamp::UNIX_EPOCH).await.unwrap();
        let (ttl, wait) = (Duration::from_secs(60), Duration::ZERO);
        let request = LeaseRequest { holder: "alice".into(), reason: "apply".into(), ttl, wait };
        let lease = store.acquire(request).await.unwrap();
        (store, lease)
    }

    fn run(id: &str) -> NewRun {
        NewRun {
            id: RunId(id.into()),
            plan: None,
            plan_hash: "".into(),
            command: "apply".into(),
            started: 0,
            now: 0,
            reads: BTreeMap::new(),
            demand: Vec::new(),
            audit: None,
        }
    }

    fn entry(body: usize) -> Entry {
        let body = format!("\"{}\"", "x".repeat(body));
        let run = RunId("r1".into());
        Entry { run, at_ms: 0, step: None, address: None, kind: "x".into(), body, change: Change::None }
    }

    /// Lets the file grow by `pages`, as on a disk with that much space left.
    async fn leave_room(store: &Store, pages: i64) {
        store
            .write(move |conn| {
                Box::pin(async move {
                    let now: i64 = sqlx::query_scalar("PRAGMA page_count").fetch_one(&mut *conn).await?;
                    let sql = format!("PRAGMA max_page_count = {}", now + pages);
                    sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_one(conn).await?;
                    Ok(())
                })
            })
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn a_full_disk_is_said_so_and_loses_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (store, lease) = open(dir.path()).await;
        store.begin_run(&lease, run("r1")).await.unwrap();
        leave_room(&store, 20).await;
        let mut acknowledged = Vec::new();
        let error = loop {
            match store.journal(&lease, vec![entry(3_000)]).await {
                Ok(seq) => acknowledged.extend(seq),
                Err(error) => break error,
            }
            assert!(acknowledged.len() < 100, "there is room for 20 pages");
        };
        assert!(matches!(&error, StateError::Full { .. }), "{error:?}");
        assert!(!acknowledged.is_empty());
        // Callers that share a commit share its failure, too; so does work with a transaction of its own.
        let long = "x".repeat(90_000);
        let (one, two, three) = tokio::join!(
            store.journal(&lease, vec![entry(90_000)]),
            store.journal(&lease, vec![entry(90_000)]),
            store.remember_stock_out(&long, 1),
        );
        for failed in [one.map(drop), two.map(drop), three] {
            assert!(matches!(failed, Err(StateError::Full { .. })), "{failed:?}");
        }
        let there = |rows: Vec<crate::JournalRow>| rows.iter().map(|row| row.seq).collect::<Vec<_>>();
        assert_eq!(there(store.entries(&RunId("r1".into())).await.unwrap()), acknowledged);
        // Once there is space again, it goes on where it stopped.
        leave_room(&store, 1_000).await;
        let next = store.journal(&lease, vec![entry(3_000)]).await.unwrap();
        assert_eq!(next, [acknowledged.len() as u64 + 1]);
        store.release(lease).await.unwrap();
        store.close().await;
        let (store, _lease) = open(dir.path()).await;
        assert_eq!(store.entries(&RunId("r1".into())).await.unwrap().len(), acknowledged.len() + 1);
    }

    #[tokio::test]
    async fn a_caller_that_goes_away_does_not_stop_its_write() {
        let dir = tempfile::tempdir().unwrap();
        let (store, lease) = open(dir.path()).await;
        store.begin_run(&lease, run("r1")).await.unwrap();
        {
            // Polled once, so that the request is sent, and dropped before the answer.
            let mut write = std::pin::pin!(store.journal(&lease, vec![entry(10)]));
            std::future::poll_fn(|cx| {
                let _ = write.as_mut().poll(cx);
                std::task::Poll::Ready(())
            })
            .await;
        }
        assert_eq!(store.journal(&lease, vec![entry(10)]).await.unwrap(), [2]);
        assert_eq!(store.entries(&RunId("r1".into())).await.unwrap().len(), 2);
    }

    #[tokio::test]
    async fn closing_finishes_what_was_sent() {
        let dir = tempfile::tempdir().unwrap();
        let (store, lease) = open(dir.path()).await;
        store.begin_run(&lease, run("r1")).await.unwrap();
        let other = store.clone();
        let (written, ()) = tokio::join!(other.journal(&lease, vec![entry(10)]), store.close());
        assert_eq!(written.unwrap(), [1]);
        assert!(matches!(other.journal(&lease, vec![entry(10)]).await, Err(StateError::Closed)));
    }
}
