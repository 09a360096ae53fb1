//! Who may write.
//!
//! The row in the file is the truth: an id and an epoch that rises with each holder and is compared in the same
//! transaction as every write. Beside it each holder keeps an OS lock on a file of its own, named after the lease. The
//! kernel drops it with the process, so a lease whose lock is free has a dead holder and is taken at once; a holder
//! that hangs is waited for until its lease expires, or is unlocked by hand, and finds out before its next act: at its
//! next write, or where it asks with [`Store::assure`].
//!
//! How long a lease lasts is measured from the start of the computer, so that setting the wall clock neither takes a
//! lease from who is at work nor keeps one for who is not (`docs/decisions/0009-a-fence-before-every-act.md`).

use std::{
    fs::{File, TryLockError},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use pool_inventory::{Text, names::hex};
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};
use tokio::time::Instant;

use crate::{
    StateError, Store,
    clock::{self, Now, wall_ms},
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
    pass: Pass,
    quiet_since: std::time::Instant,
    lock: LockFile,
}

/// What a holder shows before it acts; cheap to clone, and worth nothing once the lease is given back or taken away.
#[derive(Debug, Clone)]
pub struct Pass {
    id: Text,
    epoch: u64,
    ttl: Duration,
    /// When the expiry was put off last, in milliseconds since the start of the computer.
    renewed: Arc<AtomicI64>,
}

impl Pass {
    /// Whether the lease may have expired: it was not renewed for as long as it lasts.
    fn is_stale(&self) -> bool {
        let age = clock::boot_ms().saturating_sub(self.renewed.load(Ordering::SeqCst));
        age >= millis(self.ttl)
    }
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
        &self.pass.id
    }

    /// Rises with each holder.
    pub fn epoch(&self) -> u64 {
        self.pass.epoch
    }

    /// How long it lasts without a renewal.
    pub fn ttl(&self) -> Duration {
        self.pass.ttl
    }

    /// To be shown before acts; see [`Store::assure`].
    pub fn pass(&self) -> Pass {
        self.pass.clone()
    }

    /// Since when, at the latest, the holder before has done nothing; it may lie ahead.
    ///
    /// One that is dead has stopped. One that lives stops when its lease expires: a lease that was unlocked under a living
    /// holder may have left it with a call under way, so that time is waited for before anything counts as not done.
    pub fn quiet_since(&self) -> std::time::Instant {
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
                Taken::Yes { epoch, before, at, quiet_ms } => {
                    if let Some(before) = before {
                        // Its holder is dead, or lost it: nobody looks at that lock again.
                        let _ = std::fs::remove_file(lock_path(self.path(), &before));
                    }
                    let pass = Pass { id, epoch, ttl: request.ttl, renewed: Arc::new(AtomicI64::new(at)) };
                    return Ok(Lease { pass, quiet_since: from_now(quiet_ms), lock });
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
                let now = Now::read();
                let before = read(conn, &lineage.0).await?;
                let current = before.as_ref().and_then(Held::info);
                let left = before.as_ref().map_or(0, |row| row.left(&now));
                if let Some(info) = &current
                    && left > 0
                    && is_alive(&path, &info.id)
                {
                    return Ok(Taken::No(LeaseInfo { alive: true, ..info.clone() }));
                }
                let epoch = before.map_or(0, |row| row.epoch) + 1;
                insert(conn, &lineage.0, &request, &id, epoch, &now).await?;
                // A lease that is held and not expired is taken from the dead alone.
                let quiet_ms = if current.is_some() { left.min(0) } else { left };
                Ok(Taken::Yes { epoch, before: current.map(|info| info.id), at: now.boot_ms, quiet_ms })
            })
        })
        .await
    }

    /// Puts the expiry of the lease off by its time to live.
    pub async fn renew(&self, lease: &Lease) -> Result<(), StateError> {
        self.put_off(&lease.pass).await
    }

    async fn put_off(&self, pass: &Pass) -> Result<(), StateError> {
        let (lineage, id, epoch, ttl) = (self.lineage().clone(), pass.id.clone(), pass.epoch, millis(pass.ttl));
        // Before the write: it may take long.
        let now = Now::read();
        let at = now.boot_ms;
        self.write(move |conn| {
            Box::pin(async move {
                let done = sqlx::query(
                    "UPDATE leases SET expires_ms = $4, boot = $5, expires_boot_ms = $6 \
                     WHERE scope = $1 AND id = $2 AND epoch = $3 \
                     AND EXISTS (SELECT 1 FROM lineages WHERE lineage = $1 AND current = 1)",
                )
                .bind(lineage.0.as_ref())
                .bind(id.as_ref())
                .bind(signed(epoch))
                .bind(now.wall_ms.saturating_add(ttl))
                .bind(now.boot.as_deref())
                .bind(now.boot_ms.saturating_add(ttl))
                .execute(conn)
                .await?;
                if done.rows_affected() == 1 { Ok(()) } else { Err(StateError::LeaseLost.into()) }
            })
        })
        .await?;
        pass.renewed.fetch_max(at, Ordering::SeqCst);
        Ok(())
    }

    /// Makes sure that a lease is held, right before something is done under it: by looking at the file, and where it
    /// may have expired meanwhile, by renewing it first.
    pub async fn assure(&self, pass: &Pass) -> Result<(), StateError> {
        if pass.is_stale() {
            return self.put_off(pass).await;
        }
        let found = sqlx::query(
            "SELECT 1 FROM leases WHERE scope = $1 AND id = $2 AND epoch = $3 \
             AND EXISTS (SELECT 1 FROM lineages WHERE lineage = $1 AND current = 1)",
        )
        .bind(self.key())
        .bind(pass.id.as_ref())
        .bind(signed(pass.epoch))
        .fetch_optional(self.readers())
        .await
        .map_err(|error| self.fault(error))?;
        found.map(|_| ()).ok_or(StateError::LeaseLost)
    }

    /// Gives the lease back. One that was lost is gone already, which is no error.
    pub async fn release(&self, lease: Lease) -> Result<(), StateError> {
        let (lineage, id, epoch) = (self.lineage().clone(), lease.id().clone(), lease.epoch());
        // What this holder has not waited for, the next one may have to.
        let ahead = lease.quiet_since.saturating_duration_since(std::time::Instant::now());
        let (now, ahead) = (Now::read(), millis(ahead));
        self.write(move |conn| {
            Box::pin(async move {
                sqlx::query(
                    "UPDATE leases SET id = NULL, expires_ms = $4, boot = $5, expires_boot_ms = $6 \
                     WHERE scope = $1 AND id = $2 AND epoch = $3",
                )
                .bind(lineage.0.as_ref())
                .bind(id.as_ref())
                .bind(signed(epoch))
                .bind(now.wall_ms.saturating_add(ahead))
                .bind(now.boot.as_deref())
                .bind(now.boot_ms.saturating_add(ahead))
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
                    let info = LeaseInfo { alive: is_alive(&path, &info.id), ..info };
                    // The dead have nothing under way; whoever comes next need not wait for the expiry.
                    sqlx::query(
                        "UPDATE leases SET id = NULL, epoch = epoch + 1, expires_ms = iif($2, expires_ms, 0), \
                         expires_boot_ms = iif($2, expires_boot_ms, 0) WHERE scope = $1",
                    )
                    .bind(lineage.0.as_ref())
                    .bind(info.alive)
                    .execute(&mut *conn)
                    .await?;
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
    let audit = Audit { command: "unlock", kind: "unlocked", body: body.to_string(), at_ms: wall_ms() };
    runs::audit(conn, lineage, run, audit).await
}

enum Taken {
    Yes { epoch: u64, before: Option<Text>, at: i64, quiet_ms: i64 },
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
    boot: Option<Text>,
    expires_boot_ms: Option<i64>,
}

impl Held {
    /// Milliseconds until it expires; negative: since it did.
    fn left(&self, now: &Now) -> i64 {
        match self.expires_boot_ms {
            Some(expires) if self.boot.is_some() && self.boot == now.boot => expires.saturating_sub(now.boot_ms),
            _ => self.expires_ms.saturating_sub(now.wall_ms),
        }
    }

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
    let row = sqlx::query(
        "SELECT epoch, id, holder, reason, since_ms, expires_ms, boot, expires_boot_ms FROM leases WHERE scope = $1",
    )
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
        boot: row.get::<Option<&str>, _>(6).map(Text::from),
        expires_boot_ms: row.get(7),
    }))
}

async fn insert(
    conn: &mut SqliteConnection,
    scope: &str,
    request: &LeaseRequest,
    id: &str,
    epoch: u64,
    now: &Now,
) -> Result<(), Fault> {
    let ttl = millis(request.ttl);
    sqlx::query(
        "INSERT INTO leases (scope, epoch, id, holder, reason, since_ms, expires_ms, boot, expires_boot_ms) \
         VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9) \
         ON CONFLICT (scope) DO UPDATE SET epoch = excluded.epoch, id = excluded.id, holder = excluded.holder, \
         reason = excluded.reason, since_ms = excluded.since_ms, expires_ms = excluded.expires_ms, \
         boot = excluded.boot, expires_boot_ms = excluded.expires_boot_ms",
    )
    .bind(scope)
    .bind(signed(epoch))
    .bind(id)
    .bind(request.holder.as_ref())
    .bind(request.reason.as_ref())
    .bind(now.wall_ms)
    .bind(now.wall_ms.saturating_add(ttl))
    .bind(now.boot.as_deref())
    .bind(now.boot_ms.saturating_add(ttl))
    .execute(conn)
    .await?;
    Ok(())
}

/// The moment in so many milliseconds, or so many ago; now, where the program's clock does not go that far.
fn from_now(ms: i64) -> std::time::Instant {
    let now = std::time::Instant::now();
    let span = Duration::from_millis(ms.unsigned_abs());
    if ms < 0 { now.checked_sub(span) } else { now.checked_add(span) }.unwrap_or(now)
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
