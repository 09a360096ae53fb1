//! Who may write.
//!
//! The row in the file is the truth: an id and an epoch that rises with each holder and is compared in the same
//! transaction as every write. Beside it each holder keeps an OS lock on a file of its own, named after the lease. The
//! kernel drops it with the process, so a lease whose lock is free has a dead holder and is taken at once; a holder
//! that hangs is waited for until its lease expires, or is unlocked by hand, and finds out at its next write.

use std::{
    fs::{File, TryLockError},
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use pool_inventory::{Text, names::hex};
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};
use tokio::time::Instant;

use crate::{
    StateError, Store,
    error::Fault,
    files,
    journal::Head,
    runs::{self, Audit},
    store::{signed, unsigned},
};

/// How often a held lease is looked at again while waiting for it.
const POLL: Duration = Duration::from_millis(50);

/// A wish for the lease.
#[derive(Debug, Clone)]
pub struct LeaseRequest {
    /// Who asks, for people: `user@machine, process 4711`.
    pub holder: Text,
    /// What for: `apply`.
    pub reason: Text,
    /// How long it lasts without a renewal.
    pub ttl: Duration,
    /// How long to wait for someone else's.
    pub wait: Duration,
}

/// The right to write. Dropping it without a release lets the next one take it at once.
#[derive(Debug)]
pub struct Lease {
    id: Text,
    epoch: u64,
    ttl: Duration,
    quiet_since: i64,
    lock: LockFile,
}

/// A lease as it stands in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseInfo {
    /// Its id.
    pub id: Text,
    /// Rises with each holder.
    pub epoch: u64,
    /// Who.
    pub holder: Text,
    /// What for.
    pub reason: Text,
    /// Since when, in seconds since 1970.
    pub since: i64,
    /// Until when, unless renewed.
    pub expires: i64,
    /// Whether the holder's process is there.
    pub alive: bool,
}

impl Lease {
    /// Its id.
    pub fn id(&self) -> &Text {
        &self.id
    }

    /// Rises with each holder.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// How long it lasts without a renewal.
    pub fn ttl(&self) -> Duration {
        self.ttl
    }

    /// Since when, at the latest, the holder before has done nothing, in milliseconds since 1970; it may lie ahead.
    ///
    /// A holder stops when its lease expires, and one that is dead has stopped before that.
    pub fn quiet_since(&self) -> i64 {
        self.quiet_since
    }
}

impl Store {
    /// Takes the lease, waiting for it if need be.
    pub async fn acquire(&self, request: LeaseRequest) -> Result<Lease, StateError> {
        let deadline = Instant::now() + request.wait;
        let id = random_id(self.path())?;
        let lock = LockFile::make(self.path(), &id)?;
        loop {
            match self.try_acquire(&request, &id).await? {
                Taken::Yes { epoch, before, quiet_since } => {
                    if let Some(before) = before {
                        // Its holder is dead, or lost it: nobody looks at that lock again.
                        let _ = std::fs::remove_file(lock_path(self.path(), &before));
                    }
                    return Ok(Lease { id, epoch, ttl: request.ttl, quiet_since, lock });
                }
                Taken::No(info) if Instant::now() >= deadline => return Err(held(info)),
                Taken::No(_) => tokio::time::sleep_until((Instant::now() + POLL).min(deadline)).await,
            }
        }
    }

    async fn try_acquire(&self, request: &LeaseRequest, id: &Text) -> Result<Taken, StateError> {
        let (lineage, path) = (self.lineage().clone(), self.path().to_owned());
        let (request, id) = (request.clone(), id.clone());
        self.write(move |conn| {
            Box::pin(async move {
                // Refuses a lineage that was replaced.
                Head::read(conn, &lineage.0).await?;
                let now = now_ms();
                let before = read(conn, &lineage.0).await?;
                let current = before.as_ref().and_then(Held::info);
                if let Some(info) = &current
                    && now < before.as_ref().map_or(0, |row| row.expires_ms)
                    && is_alive(&path, &info.id)
                {
                    return Ok(Taken::No(LeaseInfo { alive: true, ..info.clone() }));
                }
                let quiet_since = before.as_ref().map_or(0, |row| row.expires_ms);
                let epoch = before.map_or(0, |row| row.epoch) + 1;
                insert(conn, &lineage.0, &request, &id, epoch, now).await?;
                Ok(Taken::Yes { epoch, before: current.map(|info| info.id), quiet_since })
            })
        })
        .await
    }

    /// Puts the expiry of the lease off by its time to live.
    pub async fn renew(&self, lease: &Lease) -> Result<(), StateError> {
        let (lineage, id, epoch) = (self.lineage().clone(), lease.id.clone(), lease.epoch);
        let expires = now_ms().saturating_add(millis(lease.ttl));
        self.write(move |conn| {
            Box::pin(async move {
                let done = sqlx::query(
                    "UPDATE leases SET expires_ms = $4 WHERE scope = $1 AND id = $2 AND epoch = $3 \
                     AND EXISTS (SELECT 1 FROM lineages WHERE lineage = $1 AND current = 1)",
                )
                .bind(lineage.0.as_ref())
                .bind(id.as_ref())
                .bind(signed(epoch))
                .bind(expires)
                .execute(conn)
                .await?;
                if done.rows_affected() == 1 { Ok(()) } else { Err(StateError::LeaseLost.into()) }
            })
        })
        .await
    }

    /// Gives the lease back. One that was lost is gone already, which is no error.
    pub async fn release(&self, lease: Lease) -> Result<(), StateError> {
        let (lineage, id, epoch) = (self.lineage().clone(), lease.id.clone(), lease.epoch);
        self.write(move |conn| {
            Box::pin(async move {
                sqlx::query("UPDATE leases SET id = NULL WHERE scope = $1 AND id = $2 AND epoch = $3")
                    .bind(lineage.0.as_ref())
                    .bind(id.as_ref())
                    .bind(signed(epoch))
                    .execute(conn)
                    .await?;
                Ok(())
            })
        })
        .await?;
        lease.lock.remove();
        Ok(())
    }

    /// The lease that is held, by someone alive or dead.
    pub async fn lease(&self) -> Result<Option<LeaseInfo>, StateError> {
        let mut conn = self.readers().acquire().await.map_err(|error| self.fault(error))?;
        let row = read(&mut conn, self.key()).await.map_err(|fault| self.fault(fault))?;
        let info = row.as_ref().and_then(Held::info);
        Ok(info.map(|info| LeaseInfo { alive: is_alive(self.path(), &info.id), ..info }))
    }

    /// Takes the lease `id` (or the beginning of it) away from its holder, who is refused from then on; audited in
    /// the history as a run of its own.
    pub async fn unlock(&self, id: &str) -> Result<LeaseInfo, StateError> {
        let (lineage, path, wanted) = (self.lineage().clone(), self.path().to_owned(), Text::from(id));
        let run = runs::RunId(random_id(&path)?);
        let info = self
            .write(move |conn| {
                Box::pin(async move {
                    let row = read(conn, &lineage.0).await?;
                    let info = row.as_ref().and_then(Held::info);
                    let Some(info) = info.filter(|info| !wanted.is_empty() && info.id.starts_with(&*wanted)) else {
                        let current = row.and_then(|row| row.info()).map(|info| info.id);
                        return Err(StateError::NoSuchLease { id: wanted, current }.into());
                    };
                    sqlx::query("UPDATE leases SET id = NULL, epoch = epoch + 1 WHERE scope = $1")
                        .bind(lineage.0.as_ref())
                        .execute(&mut *conn)
                        .await?;
                    let info = LeaseInfo { alive: is_alive(&path, &info.id), ..info };
                    audit_unlock(conn, &lineage.0, &run, &info).await?;
                    Ok(info)
                })
            })
            .await?;
        let _ = std::fs::remove_file(lock_path(self.path(), &info.id));
        Ok(info)
    }
}

async fn audit_unlock(
    conn: &mut SqliteConnection,
    lineage: &str,
    run: &runs::RunId,
    info: &LeaseInfo,
) -> Result<(), Fault> {
    let body = serde_json::json!({
        "version": 1, "lease": &*info.id, "holder": &*info.holder, "reason": &*info.reason,
        "since": info.since, "expires": info.expires, "alive": info.alive,
    });
    let audit = Audit { command: "unlock", kind: "unlocked", body: body.to_string(), at_ms: now_ms() };
    runs::audit(conn, lineage, run, audit).await
}

enum Taken {
    Yes { epoch: u64, before: Option<Text>, quiet_since: i64 },
    No(LeaseInfo),
}

fn held(info: LeaseInfo) -> StateError {
    let LeaseInfo { id, holder, reason, since, expires, .. } = info;
    StateError::LeaseHeld { id, holder, reason, since, expires }
}

/// A row of the table.
struct Held {
    epoch: u64,
    id: Option<Text>,
    holder: Text,
    reason: Text,
    since_ms: i64,
    expires_ms: i64,
}

impl Held {
    /// What it says of the holder; none: nobody holds it.
    fn info(&self) -> Option<LeaseInfo> {
        Some(LeaseInfo {
            id: self.id.clone()?,
            epoch: self.epoch,
            holder: self.holder.clone(),
            reason: self.reason.clone(),
            since: self.since_ms.div_euclid(1000),
            expires: self.expires_ms.div_euclid(1000),
            alive: false,
        })
    }
}

async fn read(conn: &mut SqliteConnection, scope: &str) -> Result<Option<Held>, Fault> {
    let text = |row: &SqliteRow, column: usize| Text::from(row.get::<&str, _>(column));
    let row = sqlx::query("SELECT epoch, id, holder, reason, since_ms, expires_ms FROM leases WHERE scope = $1")
        .bind(scope)
        .fetch_optional(conn)
        .await?;
    Ok(row.map(|row| Held {
        epoch: unsigned(row.get(0)),
        id: row.get::<Option<&str>, _>(1).map(Text::from),
        holder: text(&row, 2),
        reason: text(&row, 3),
        since_ms: row.get(4),
        expires_ms: row.get(5),
    }))
}

async fn insert(
    conn: &mut SqliteConnection,
    scope: &str,
    request: &LeaseRequest,
    id: &str,
    epoch: u64,
    now: i64,
) -> Result<(), Fault> {
    sqlx::query(
        "INSERT INTO leases (scope, epoch, id, holder, reason, since_ms, expires_ms) VALUES ($1,$2,$3,$4,$5,$6,$7) \
         ON CONFLICT (scope) DO UPDATE SET epoch = excluded.epoch, id = excluded.id, holder = excluded.holder, \
         reason = excluded.reason, since_ms = excluded.since_ms, expires_ms = excluded.expires_ms",
    )
    .bind(scope)
    .bind(signed(epoch))
    .bind(id)
    .bind(request.holder.as_ref())
    .bind(request.reason.as_ref())
    .bind(now)
    .bind(now.saturating_add(millis(request.ttl)))
    .execute(conn)
    .await?;
    Ok(())
}

pub(crate) fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// 64 random bits in hex: short enough to type the beginning of.
pub(crate) fn random_id(path: &Path) -> Result<Text, StateError> {
    let bits: [u8; 8] = files::random(path)?;
    Ok(hex(&bits).into())
}

fn lock_path(state: &Path, id: &str) -> PathBuf {
    let mut name = state.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{id}.lock"));
    state.with_file_name(name)
}

/// Whether the process that holds the lease `id` is there. Asks for a shared lock, so that those who ask at the same time
/// are not taken for the holder.
fn is_alive(state: &Path, id: &str) -> bool {
    match File::open(lock_path(state, id)) {
        Ok(file) => matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)),
        // Holders make the file before the row; where it is missing the holder is gone or was unlocked.
        Err(error) => error.kind() != std::io::ErrorKind::NotFound,
    }
}

/// The holder's lock; the kernel drops it with the process.
#[derive(Debug)]
struct LockFile {
    path: PathBuf,
    /// Held open for its lock.
    _file: File,
}

impl LockFile {
    /// Makes and locks the file of a lease that is not in the state yet, so nobody looks at it.
    fn make(state: &Path, id: &str) -> Result<Self, StateError> {
        let path = lock_path(state, id);
        files::private_file(&path)?;
        let file = File::options().write(true).open(&path).map_err(StateError::io("open", &path))?;
        file.lock().map_err(StateError::io("lock", &path))?;
        Ok(Self { path, _file: file })
    }

    fn remove(self) {
        drop(self);
    }
}

impl Drop for LockFile {
    fn drop(&mut self) {
        // A file that stays is empty and does no harm.
        let _ = std::fs::remove_file(&self.path);
    }
}
