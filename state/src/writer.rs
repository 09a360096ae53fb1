//! The one task that writes.
//!
//! Callers send work over a bounded channel; the task takes what has gathered, and journal entries that stand next to
//! each other share one transaction and one sync of the disk. A caller is answered after the commit, never before. A
//! caller that goes away does not stop its write.

use std::{
    future::Future,
    path::{Path, PathBuf},
    pin::Pin,
    sync::Mutex,
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
}

impl Writer {
    pub(crate) fn start(conn: SqliteConnection, lineage: Lineage, path: PathBuf) -> Self {
        let (requests, inbox) = mpsc::channel(QUEUE);
        let task = tokio::spawn(serve(conn, inbox, Appender::new(lineage), path));
        Self { requests, task: Mutex::new(Some(task)) }
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
