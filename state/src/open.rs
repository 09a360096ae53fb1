//! Making, checking and migrating the file.

use std::{borrow::Cow, fs::File, path::Path, time::Duration};

use jiff::Timestamp;
use pool_inventory::Lineage;
use sqlx::{
    ConnectOptions, Connection, Row, SqlSafeStr, SqliteConnection,
    migrate::{Migration, MigrationType, Migrator},
    sqlite::{SqliteConnectOptions, SqlitePoolOptions, SqliteSynchronous},
};

use crate::{
    OpenOptions, StateError, Store,
    error::Fault,
    files,
    store::Inner,
    writer::{Writer, transaction},
};

/// Every migration, in order; the number of the last one is the version of the state.
const MIGRATIONS: [(i64, &str, &str); 3] = [
    (1, "state", include_str!("../migrations/0001_state.sql")),
    (2, "stock outs", include_str!("../migrations/0002_stock_outs.sql")),
    (3, "runs and leases", include_str!("../migrations/0003_runs_and_leases.sql")),
];
const NEWEST: i64 = MIGRATIONS[MIGRATIONS.len() - 1].0;

/// `PRAGMA application_id` of our files: "pool" in ASCII.
const APPLICATION: i64 = 0x706f_6f6c;

/// How long SQLite waits for the lock of another process. Ours write for milliseconds; 5 s outlast a backup tool.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Pages in memory, in KiB with a minus: an apply of 10,000 hosts writes all over an index of that size.
const CACHE: &str = "-8000";

/// Pages of 4 KiB in the log before they are folded into the file, which takes two more syncs of the disk. A page that
/// changed often in between is folded once.
const CHECKPOINT: &str = "4000";

/// Readers work beside the writer, each with a thread of its own; more than four only fight for two cores.
const READERS: u32 = 4;

pub(crate) async fn open(options: OpenOptions, now: Timestamp) -> Result<Store, StateError> {
    let path = options.path.clone();
    let lock = prepare(&path).await?;
    let thorough = is_due_for_check(&path);
    let mut conn = connect(&path).await?;
    let lineage = match ready(&mut conn, &options, now, lock, thorough).await {
        Ok(lineage) => lineage,
        Err(error) => {
            // The refusal matters, not whether the close worked.
            let _ = conn.close().await;
            return Err(error);
        }
    };
    let readers = SqlitePoolOptions::new()
        .max_connections(READERS)
        .acquire_timeout(Duration::from_secs(30))
        .test_before_acquire(false)
        .connect_lazy_with(connection(&path).read_only(true));
    let writer = Writer::start(conn, lineage.clone(), path);
    Ok(Store { inner: std::sync::Arc::new(Inner { options, lineage, readers, writer }) })
}

/// Makes the folder and the empty file, or makes sure that a file which is there is private.
///
/// Returns the lock of the folder when the file is empty: until it has its first page, each look at it would be in the
/// way of the one who writes that page.
async fn prepare(path: &Path) -> Result<Option<File>, StateError> {
    let is_empty = |path: &Path| std::fs::metadata(path).map_or(true, |found| found.len() == 0);
    let mut lock = None;
    if is_empty(path) {
        let folder = files::parent(path);
        files::private_dir(folder)?;
        lock = Some(files::lock_folder(path).await?);
        // SQLite gives `-wal` and `-shm` the mode of the file, so it is enough to make this one private.
        if files::private_file(path)? {
            files::sync_dir(folder)?;
        }
    }
    files::make_private(path)?;
    Ok(lock)
}

fn connection(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(BUSY_TIMEOUT)
        .foreign_keys(true)
        .synchronous(SqliteSynchronous::Full)
        .pragma("trusted_schema", "OFF")
        .pragma("cache_size", CACHE)
        .pragma("wal_autocheckpoint", CHECKPOINT)
}

async fn connect(path: &Path) -> Result<SqliteConnection, StateError> {
    connection(path).connect().await.map_err(|error| Fault::Sql(error).at(path))
}

/// Brings a connection to the point where it can be used, and says whose state it is.
async fn ready(
    conn: &mut SqliteConnection,
    options: &OpenOptions,
    now: Timestamp,
    lock: Option<File>,
    thorough: bool,
) -> Result<Lineage, StateError> {
    let path = options.path.as_path();
    if inspect(conn, path).await? < NEWEST {
        let _lock = match lock {
            Some(lock) => lock,
            None => files::lock_folder(path).await?,
        };
        // Another process may have done it while we waited.
        let version = inspect(conn, path).await?;
        if version < NEWEST {
            migrate(conn, options, version, now).await?;
        }
    }
    if thorough {
        check(conn).await.map_err(|fault| fault.at(path))?;
    }
    let found = identity(conn).await.map_err(|fault| fault.at(path))?;
    let Some((lineage, inventory, environment)) = found else {
        let fresh = Lineage::from_bits(files::random(path)?);
        return found_identity(conn, &fresh, options, now).await.map_err(|fault| fault.at(path));
    };
    if environment != *options.environment {
        let found = format!("{inventory}/{environment}").into();
        let wanted = format!("{}/{}", options.inventory, options.environment).into();
        return Err(StateError::Foreign { path: path.to_owned(), found, wanted });
    }
    if inventory != *options.inventory {
        rename(conn, &options.inventory).await.map_err(|fault| fault.at(path))?;
    }
    Ok(Lineage(lineage.into()))
}

/// The version of the file; 0 for an empty one. Refuses what is not ours, before anything is changed.
async fn inspect(conn: &mut SqliteConnection, path: &Path) -> Result<i64, StateError> {
    // One statement, so that all of it is of the same moment: another process may be making the file.
    let row = sqlx::query(
        "SELECT v.user_version, a.application_id, \
         (SELECT count(*) FROM sqlite_schema WHERE tbl_name <> '_sqlx_migrations') \
         FROM pragma_user_version v, pragma_application_id a",
    )
    .fetch_one(conn)
    .await
    .map_err(|error| Fault::Sql(error).at(path))?;
    let (version, application, tables): (i64, i64, i64) = (row.get(0), row.get(1), row.get(2));
    let empty = tables == 0 && version == 0 && application == 0;
    if !empty && application != APPLICATION {
        let (found, wanted) = ("another program's database".into(), "an inventory".into());
        return Err(StateError::Foreign { path: path.to_owned(), found, wanted });
    }
    if version > NEWEST {
        return Err(StateError::Newer { path: path.to_owned(), found: version, known: NEWEST });
    }
    Ok(version)
}

/// Runs the migrations that are missing; the caller holds the lock of the folder.
async fn migrate(
    conn: &mut SqliteConnection,
    options: &OpenOptions,
    version: i64,
    now: Timestamp,
) -> Result<(), StateError> {
    let path = options.path.as_path();
    if version > 0 {
        backup(conn, options, &format!("before-v{NEWEST}"), now).await?;
    } else {
        // WAL is kept in the file: set once, and not by each connection, so that a file of another program stays as it
        // is. Nothing is in a new file yet, so one sync at the end will do: that of the transaction which gives it its
        // identity.
        pragmas(conn, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL")
            .await
            .map_err(|fault| fault.at(path))?;
    }
    migrator().run(&mut *conn).await.map_err(|error| migration_failed(error, path))?;
    pragmas(conn, "PRAGMA synchronous = FULL").await.map_err(|fault| fault.at(path))
}

fn migrator() -> Migrator {
    let all = MIGRATIONS.iter().map(|(version, what, sql)| {
        Migration::new(*version, Cow::Borrowed(what), MigrationType::Simple, (*sql).into_sql_str(), false)
    });
    Migrator::with_migrations(all.collect())
}

async fn pragmas(conn: &mut SqliteConnection, sql: &'static str) -> Result<(), Fault> {
    sqlx::raw_sql(sql).execute(conn).await?;
    Ok(())
}

fn migration_failed(error: sqlx::migrate::MigrateError, path: &Path) -> StateError {
    use sqlx::migrate::MigrateError::{Execute, ExecuteMigration, VersionMissing};
    match error {
        Execute(error) | ExecuteMigration(error, _) => Fault::Sql(error).at(path),
        VersionMissing(found) => StateError::Newer { path: path.to_owned(), found, known: NEWEST },
        other => StateError::Corrupt { path: path.to_owned(), detail: other.to_string().into() },
    }
}

/// Writes a consistent copy to the backup folder, durably.
pub(crate) async fn backup(
    conn: &mut SqliteConnection,
    options: &OpenOptions,
    why: &str,
    now: Timestamp,
) -> Result<(), StateError> {
    let stem = format!("state-{}-{why}", now.strftime("%Y%m%dT%H%M%SZ"));
    let copy = files::fresh_file(&options.backup_dir, &stem)?;
    let text = copy.to_string_lossy().into_owned();
    let done = sqlx::query("VACUUM INTO $1").bind(text).execute(conn).await;
    if let Err(error) = done {
        // Half a copy must not be taken for a whole one.
        let _ = std::fs::remove_file(&copy);
        return Err(Fault::Sql(error).at(&copy));
    }
    File::open(&copy).and_then(|file| file.sync_all()).map_err(StateError::io("sync", &copy))?;
    files::sync_dir(&options.backup_dir)
}

/// Largest file whose every page is looked at on each opening: it takes 1.5 ms per MiB (measured), and a command should
/// begin in less than a blink.
const CHECKED_ALWAYS: u64 = 8 << 20;

/// Whether to look at every page: of a small file always, of a large one when it was not closed properly. SQLite itself
/// notices a damaged page when it reads it.
fn is_due_for_check(path: &Path) -> bool {
    let length = |path: &Path| std::fs::metadata(path).map_or(0, |found| found.len());
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    length(path) <= CHECKED_ALWAYS || length(Path::new(&log)) > 0
}

/// Looks at the structure of the whole file.
async fn check(conn: &mut SqliteConnection) -> Result<(), Fault> {
    let found: String = sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(&mut *conn).await?;
    if found != "ok" {
        return Err(Fault::Damaged(found));
    }
    // A table, view or trigger of another make would answer otherwise than we ask, or do more than we say.
    let mut reference = SqliteConnectOptions::new().in_memory(true).connect().await?;
    let migrated = migrator().run(&mut reference).await;
    migrated.map_err(|error| Fault::Damaged(format!("no reference to compare its tables with: {error}")))?;
    match schema(conn).await? == schema(&mut reference).await? {
        true => Ok(()),
        false => Err(Fault::Damaged("its tables are not those that pool makes".to_owned())),
    }
}

/// What tables, indexes and triggers are, in SQL.
async fn schema(conn: &mut SqliteConnection) -> Result<Vec<String>, Fault> {
    let sql =
        "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND tbl_name <> '_sqlx_migrations' ORDER BY type, name";
    Ok(sqlx::query_scalar(sql).fetch_all(conn).await?)
}

/// The lineage in use, with the names of its inventory and environment.
async fn identity(conn: &mut SqliteConnection) -> Result<Option<(String, String, String)>, Fault> {
    let row = sqlx::query("SELECT lineage, inventory, environment FROM lineages WHERE current = 1")
        .fetch_optional(conn)
        .await?;
    Ok(row.map(|row| (row.get(0), row.get(1), row.get(2))))
}

async fn rename(conn: &mut SqliteConnection, inventory: &str) -> Result<(), Fault> {
    sqlx::query("UPDATE lineages SET inventory = $1 WHERE current = 1").bind(inventory).execute(conn).await?;
    Ok(())
}

/// Gives a new file its identity, unless another process was faster.
async fn found_identity(
    conn: &mut SqliteConnection,
    fresh: &Lineage,
    options: &OpenOptions,
    now: Timestamp,
) -> Result<Lineage, Fault> {
    let (fresh, inventory, environment) =
        (fresh.clone(), options.inventory.to_string(), options.environment.to_string());
    transaction(conn, move |conn| {
        Box::pin(async move {
            if let Some((lineage, ..)) = identity(conn).await? {
                return Ok(Lineage(lineage.into()));
            }
            sqlx::query(
                "INSERT INTO lineages (lineage, inventory, environment, created, current) VALUES ($1,$2,$3,$4,1)",
            )
            .bind(fresh.0.as_ref())
            .bind(inventory)
            .bind(environment)
            .bind(now.as_second())
            .execute(&mut *conn)
            .await?;
            Ok(fresh)
        })
    })
    .await
}
