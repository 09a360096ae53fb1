//! Rows of objects.

use std::collections::{BTreeMap, BTreeSet};

use pool_inventory::{Address, Kind, object::Recorded};
use sqlx::{AssertSqlSafe, Row, SqliteConnection};

use crate::{
    StateError, Store,
    error::Fault,
    rows::{Statement, Values},
    store::{signed, unsigned},
};

/// Version of `body`; a row with a newer one is refused.
pub(crate) const BODY_VERSION: i64 = 1;

const DELETE: Statement =
    Statement { head: "DELETE FROM objects WHERE (lineage, address, generation) IN (VALUES", values: 3, tail: ")" };

const UPSERT: Statement = Statement {
    head: "INSERT INTO objects (lineage, address, generation, tenant, provider, id, serial, version, body) VALUES",
    values: 9,
    tail: "ON CONFLICT (lineage, address, generation) DO UPDATE SET tenant = excluded.tenant, \
           provider = excluded.provider, id = excluded.id, serial = excluded.serial, version = excluded.version, \
           body = excluded.body",
};

/// The generations of an address that have another serial than it has now. Almost always none: an address has two
/// generations only while it is replaced. CROSS JOIN keeps the order: each address is looked up, instead of each object
/// in the list.
const OUTDATED: Statement = Statement {
    head: "WITH new (lineage, address, serial) AS (VALUES",
    values: 3,
    tail: ") SELECT o.rowid, new.serial FROM new CROSS JOIN objects o \
           WHERE o.lineage = new.lineage AND o.address = new.address AND o.serial <> new.serial",
};

/// An address as text, and a generation.
pub(crate) type Key = (String, u32);

/// A row before it has a serial.
#[derive(Debug, Clone)]
pub(crate) struct ObjectRow {
    tenant: String,
    provider: String,
    id: Option<String>,
    body: String,
}

impl ObjectRow {
    /// The row of `object`; its serial is given out by the writer.
    pub(crate) fn new(object: &Recorded) -> Self {
        Self {
            tenant: object.tenant.to_string(),
            provider: object.provider.to_string(),
            id: object.id.as_deref().map(str::to_owned),
            body: serde_json::to_string(object).expect("a record has only text keys and finite numbers"),
        }
    }
}

pub(crate) fn key(object: &Recorded) -> Key {
    (object.address.to_string(), object.generation)
}

impl Store {
    /// Everything that is recorded, sorted by address (numbers by value) and generation.
    pub async fn objects(&self) -> Result<Vec<Recorded>, StateError> {
        let read = async {
            let mut tx = self.readers().begin().await?;
            let objects = all(&mut tx, self.key()).await?;
            tx.commit().await?;
            Ok(objects)
        };
        read.await.map_err(|fault: Fault| self.fault(fault))
    }

    /// The generations of one address, oldest first; more than one only during a replacement.
    pub async fn object(&self, address: &Address) -> Result<Vec<Recorded>, StateError> {
        let rows = sqlx::query(
            "SELECT version, serial, body FROM objects WHERE lineage = $1 AND address = $2 ORDER BY generation",
        )
        .bind(self.key())
        .bind(address.to_string())
        .fetch_all(self.readers())
        .await;
        let parsed = rows.map_err(Fault::from).and_then(|rows| {
            rows.iter().map(|row| parse(row.get(0), row.get(1), row.get::<&str, _>(2))).collect::<Result<Vec<_>, _>>()
        });
        parsed.map_err(|fault| self.fault(fault))
    }
}

/// Rows that are read in one piece.
const PAGE: i64 = 1_000;

/// All objects of a lineage, sorted. The connection is in a transaction, so that the pages fit together.
///
/// SQLite joins the rows of a page to one text of lines (JSON has no raw line breaks): handing each row from SQLite's thread
/// to ours by itself costs more than parsing it.
pub(crate) async fn all(conn: &mut SqliteConnection, lineage: &str) -> Result<Vec<Recorded>, Fault> {
    let (mut objects, mut after) = (Vec::new(), 0_i64);
    loop {
        let page = sqlx::query(
            "SELECT max(id), group_concat(line, char(10)) FROM (SELECT rowid AS id, \
             version || ' ' || serial || ' ' || body AS line FROM objects NOT INDEXED \
             WHERE lineage = $1 AND rowid > $2 ORDER BY rowid LIMIT $3)",
        )
        .bind(lineage)
        .bind(after)
        .bind(PAGE)
        .fetch_one(&mut *conn)
        .await?;
        let Some(last) = page.get::<Option<i64>, _>(0) else { break };
        after = last;
        for line in page.get::<&str, _>(1).lines() {
            objects.push(parse_line(line)?);
        }
    }
    sort(&mut objects);
    // A vector that grew by doubling may be half empty, and it is kept for as long as the plan takes.
    objects.shrink_to_fit();
    Ok(objects)
}

fn sort(objects: &mut [Recorded]) {
    objects.sort_unstable_by(|a, b| a.address.cmp(&b.address).then(a.generation.cmp(&b.generation)));
}

/// Objects by ranges of addresses as text; CROSS JOIN as in [`OUTDATED`].
const RANGES: Statement = Statement {
    head: "WITH wanted (lineage, first, last) AS (VALUES",
    values: 3,
    tail: ") SELECT o.version, o.serial, o.body FROM wanted CROSS JOIN objects o \
           WHERE o.lineage = wanted.lineage AND o.address BETWEEN wanted.first AND wanted.last",
};

/// All that a run may ask for whose plan names these addresses: their objects, with each host its volumes and with each volume
/// its host, and every object whose creation was begun and never seen to end. Sorted; the connection is in a transaction.
///
/// O(what is named × log all), but for one pass over the column that says what is in doubt.
pub(crate) async fn around<'a>(
    conn: &mut SqliteConnection,
    lineage: &str,
    named: impl Iterator<Item = &'a Address>,
) -> Result<Vec<Recorded>, Fault> {
    let (mut ranges, mut hosts) = (BTreeSet::new(), BTreeSet::new());
    for address in named {
        ranges.insert(exactly(address));
        hosts.extend(address.host_of_volume().or_else(|| (address.kind == Kind::Host).then(|| address.clone())));
    }
    for host in &hosts {
        ranges.insert(exactly(host));
        // `/` comes right after `.`, and no name has one.
        ranges.insert((format!("volume/{}.", host.name), format!("volume/{}/", host.name)));
    }
    let mut objects = in_ranges(conn, lineage, ranges).await?;
    let doubtful = sqlx::query("SELECT version, serial, body FROM objects WHERE lineage = $1 AND id IS NULL")
        .bind(lineage)
        .fetch_all(&mut *conn)
        .await?;
    for row in &doubtful {
        objects.push(parse(row.get(0), row.get(1), row.get::<&str, _>(2))?);
    }
    // A volume may be attached to a host of another name.
    let attached = objects.iter().filter_map(|object| object.spec.volume()?.attached.as_ref());
    let far = attached.map(|at| &at.host).filter(|host| !hosts.contains(*host)).map(exactly).collect();
    objects.extend(in_ranges(conn, lineage, far).await?);
    sort(&mut objects);
    objects.dedup_by(|a, b| a.address == b.address && a.generation == b.generation);
    Ok(objects)
}

fn exactly(address: &Address) -> (String, String) {
    (address.to_string(), address.to_string())
}

async fn in_ranges(
    conn: &mut SqliteConnection,
    lineage: &str,
    ranges: BTreeSet<(String, String)>,
) -> Result<Vec<Recorded>, Fault> {
    let ranges: Vec<(String, String)> = ranges.into_iter().collect();
    let bind = |values: &mut Values, (first, last): &(String, String)| {
        values.push(lineage).push(first).push(last);
    };
    let mut objects = Vec::new();
    for (sql, arguments) in RANGES.pieces(&ranges, bind) {
        for row in sqlx::query_with(AssertSqlSafe(sql), arguments?).fetch_all(&mut *conn).await? {
            objects.push(parse(row.get(0), row.get(1), row.get::<&str, _>(2))?);
        }
    }
    Ok(objects)
}

/// How many objects a lineage has.
pub(crate) async fn count(conn: &mut SqliteConnection, lineage: &str) -> Result<usize, Fault> {
    let query = sqlx::query("SELECT count(*) FROM objects WHERE lineage = $1").bind(lineage);
    Ok(usize::try_from(query.fetch_one(conn).await?.get::<i64, _>(0)).unwrap_or(0))
}

fn parse_line(line: &str) -> Result<Recorded, Fault> {
    let mut parts = line.splitn(3, ' ');
    let mut number = || parts.next().and_then(|text| text.parse::<i64>().ok());
    match (number(), number(), parts.next()) {
        (Some(version), Some(serial), Some(body)) => parse(version, serial, body),
        _ => Err(Fault::Damaged("an object cannot be read".to_owned())),
    }
}

fn parse(version: i64, serial: i64, body: &str) -> Result<Recorded, Fault> {
    if version != BODY_VERSION {
        return Err(Fault::Damaged(format!("an object has version {version}, known is {BODY_VERSION}")));
    }
    let mut object: Recorded =
        serde_json::from_str(body).map_err(|error| Fault::Damaged(format!("an object cannot be read: {error}")))?;
    object.serial = unsigned(serial);
    Ok(object)
}

/// What a transaction does to the objects, last word per row.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    rows: BTreeMap<Key, Option<ObjectRow>>,
    serials: BTreeMap<String, u64>,
}

impl Changes {
    pub(crate) fn put(&mut self, key: Key, row: ObjectRow, serial: u64) {
        self.serials.insert(key.0.clone(), serial);
        self.rows.insert(key, Some(row));
    }

    pub(crate) fn remove(&mut self, key: Key, serial: u64) {
        self.serials.insert(key.0.clone(), serial);
        self.rows.insert(key, None);
    }

    /// Writes them. All generations of an address get the address's new serial: a plan that read the address is stale
    /// whichever of them changed.
    pub(crate) async fn write(mut self, conn: &mut SqliteConnection, lineage: &str) -> Result<(), Fault> {
        let (mut puts, mut removes) = (Vec::new(), Vec::new());
        for (key, row) in std::mem::take(&mut self.rows) {
            match row {
                Some(row) => puts.push((key, row)),
                None => removes.push(key),
            }
        }
        let key = |values: &mut Values, (address, generation): &Key| {
            values.push(lineage).push(address).push(i64::from(*generation));
        };
        DELETE.execute(conn, &removes, key).await?;
        let row = |values: &mut Values, ((address, generation), row): &(Key, ObjectRow)| {
            values.push(lineage).push(address).push(i64::from(*generation));
            values.push(&row.tenant).push(&row.provider).push(&row.id);
            values.push(signed(self.serials[address])).push(BODY_VERSION).push(&row.body);
        };
        UPSERT.execute(conn, &puts, row).await?;
        self.touch(conn, lineage).await
    }

    /// Gives the generations that were not written the serial of their address.
    async fn touch(&self, conn: &mut SqliteConnection, lineage: &str) -> Result<(), Fault> {
        let serials: Vec<(&String, &u64)> = self.serials.iter().collect();
        let bind = |values: &mut Values, (address, serial): &(&String, &u64)| {
            values.push(lineage).push(*address).push(signed(**serial));
        };
        for (sql, arguments) in OUTDATED.pieces(&serials, bind) {
            for row in sqlx::query_with(AssertSqlSafe(sql), arguments?).fetch_all(&mut *conn).await? {
                sqlx::query("UPDATE objects SET serial = $2 WHERE rowid = $1")
                    .bind(row.get::<i64, _>(0))
                    .bind(row.get::<i64, _>(1))
                    .execute(&mut *conn)
                    .await?;
            }
        }
        Ok(())
    }
}
