//! Export and import as JSON.
//!
//! An export holds what is known of the world: objects and stock-outs, with the identity they belong to. Plans, runs
//! and the journal stay: they are the history of one file.

use std::collections::{BTreeMap, BTreeSet};

use pool_inventory::{Lineage, Name, Text, object::Recorded};
use serde::{Deserialize, Serialize};
use sqlx::{Connection, Row, SqliteConnection};

use crate::{
    Lease, RunId, StateError, Store,
    clock::wall_ms,
    error::Fault,
    journal::Head,
    leases::random_id,
    objects::{self, Changes, ObjectRow},
    open,
    runs::{self, Audit},
    store::{signed, unsigned},
};

/// Version of the exported JSON.
pub const EXPORT_VERSION: u32 = 1;

const FORMAT: &str = "pool-state";

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Export {
    format: String,
    version: u32,
    lineage: Lineage,
    serial: u64,
    inventory: Name,
    environment: Name,
    objects: Vec<Recorded>,
    stock_outs: BTreeMap<Text, i64>,
}

impl Store {
    /// What is known, as JSON for people and tools.
    pub async fn export(&self) -> Result<String, StateError> {
        let export = async {
            let mut conn = self.readers().acquire().await?;
            // One transaction: the serial belongs to the objects.
            let mut tx = conn.begin().await?;
            let export = collect(&mut tx, self.lineage()).await?;
            tx.commit().await?;
            Ok(export)
        };
        let export = export.await.map_err(|fault: Fault| self.fault(fault))?;
        let mut text = serde_json::to_string_pretty(&export).expect("an export has only text keys and finite numbers");
        text.push('\n');
        Ok(text)
    }

    /// Replaces what is known by an export, after a copy to the backup folder; audited in the history.
    ///
    /// Refuses an export of another lineage, or one older than the state, without `force`. Every object gets a new serial,
    /// so plans made before are stale. After another lineage was brought in, this handle only answers
    /// [`StateError::Replaced`] to writes: open the state again.
    pub async fn import(&self, lease: &Lease, json: &str, force: bool) -> Result<(), StateError> {
        let export = parse(json)?;
        if !force && export.lineage != *self.lineage() {
            return Err(StateError::ImportForeign { found: export.lineage.0, here: self.lineage().0.clone() });
        }
        let serial = self.serial().await?;
        if !force && export.serial < serial {
            return Err(StateError::ImportOlder { found: export.serial, here: serial });
        }
        self.backup("before-import").await?;
        let (here, id, epoch) = (self.lineage().clone(), lease.id().clone(), lease.epoch());
        let run = RunId(random_id(self.path())?);
        self.write(move |conn| {
            Box::pin(async move {
                let head = Head::read(conn, &here.0).await?;
                head.admit(&id, epoch)?;
                if !force && export.serial < head.serial {
                    return Err(StateError::ImportOlder { found: export.serial, here: head.serial }.into());
                }
                replace(conn, &here, &head, &export).await?;
                let body = serde_json::json!({
                    "version": 1, "force": force, "from_lineage": &*export.lineage.0, "from_serial": export.serial,
                    "over_lineage": &*here.0, "over_serial": head.serial, "objects": export.objects.len(),
                });
                let audit = Audit { command: "state push", kind: "imported", body: body.to_string(), at_ms: wall_ms() };
                runs::audit(conn, &export.lineage.0, &run, audit).await
            })
        })
        .await
    }
}

impl Store {
    /// A consistent copy of the file in the backup folder.
    async fn backup(&self, why: &str) -> Result<(), StateError> {
        let mut conn = self.readers().acquire().await.map_err(|error| self.fault(error))?;
        open::backup(&mut conn, &self.inner.options, why, jiff::Timestamp::now()).await
    }
}

async fn collect(conn: &mut SqliteConnection, lineage: &Lineage) -> Result<Export, Fault> {
    let row = sqlx::query("SELECT serial, inventory, environment FROM lineages WHERE lineage = $1")
        .bind(lineage.0.as_ref())
        .fetch_one(&mut *conn)
        .await?;
    let name = |text: &str| Name::new(text).map_err(|error| Fault::Damaged(error.to_string()));
    let stock = sqlx::query("SELECT candidate, at FROM stock_outs WHERE lineage = $1")
        .bind(lineage.0.as_ref())
        .fetch_all(&mut *conn)
        .await?;
    Ok(Export {
        format: FORMAT.to_owned(),
        version: EXPORT_VERSION,
        lineage: lineage.clone(),
        serial: unsigned(row.get(0)),
        inventory: name(row.get(1))?,
        environment: name(row.get(2))?,
        objects: objects::all(conn, &lineage.0).await?,
        stock_outs: stock.iter().map(|row| (row.get::<&str, _>(0).into(), row.get(1))).collect(),
    })
}

/// Serials and generations only rise; what would leave them no room was not written by `pool`.
const MOST: u64 = 1 << 53;
const MOST_GENERATIONS: u32 = 1 << 30;

fn parse(json: &str) -> Result<Export, StateError> {
    #[derive(Deserialize)]
    struct Header {
        format: String,
        version: u32,
    }
    let malformed = |detail: String| StateError::ImportMalformed { detail: detail.into() };
    let header: Header = serde_json::from_str(json).map_err(|error| malformed(error.to_string()))?;
    if header.format != FORMAT {
        return Err(malformed(format!("its format is `{}`, not `{FORMAT}`", header.format)));
    }
    if header.version != EXPORT_VERSION {
        return Err(malformed(format!("its version is {}, known is {EXPORT_VERSION}", header.version)));
    }
    let export: Export = serde_json::from_str(json).map_err(|error| malformed(error.to_string()))?;
    let lineage = &export.lineage.0;
    if lineage.len() != 32 || !lineage.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(malformed(format!("`{lineage}` is no lineage")));
    }
    if export.serial > MOST {
        return Err(malformed(format!("its serial {} is higher than any that was ever given out", export.serial)));
    }
    let mut seen = BTreeSet::new();
    for object in &export.objects {
        if !seen.insert(objects::key(object)) {
            return Err(malformed(format!("{} generation {} stands there twice", object.address, object.generation)));
        }
        if object.generation > MOST_GENERATIONS {
            return Err(malformed(format!("{} has no generation {}", object.address, object.generation)));
        }
    }
    Ok(export)
}

/// Puts the export in place of what is known; its lineage becomes the current one.
async fn replace(conn: &mut SqliteConnection, here: &Lineage, head: &Head, export: &Export) -> Result<(), Fault> {
    let lineage = export.lineage.0.as_ref();
    if export.lineage != *here {
        adopt(conn, here, export).await?;
    }
    for table in ["DELETE FROM objects WHERE lineage = $1", "DELETE FROM stock_outs WHERE lineage = $1"] {
        sqlx::query(table).bind(lineage).execute(&mut *conn).await?;
    }
    let there = Head::read(conn, lineage).await?;
    let serial = head.serial.max(export.serial).max(there.serial) + 1;
    let mut changes = Changes::default();
    for object in &export.objects {
        changes.put(objects::key(object), ObjectRow::new(object), serial);
    }
    changes.write(conn, lineage).await?;
    for (candidate, at) in &export.stock_outs {
        sqlx::query("INSERT INTO stock_outs (lineage, candidate, at) VALUES ($1, $2, $3)")
            .bind(lineage)
            .bind(candidate.as_ref())
            .bind(at)
            .execute(&mut *conn)
            .await?;
    }
    there.advance(conn, lineage, serial, there.seq).await
}

/// Makes the export's lineage the current one; it may have been here before.
async fn adopt(conn: &mut SqliteConnection, here: &Lineage, export: &Export) -> Result<(), Fault> {
    sqlx::query("UPDATE lineages SET current = 0").execute(&mut *conn).await?;
    sqlx::query(
        "INSERT INTO lineages (lineage, inventory, environment, created, current, serial) \
         SELECT $1, inventory, environment, $3, 1, $4 FROM lineages WHERE lineage = $2 \
         ON CONFLICT (lineage) DO UPDATE SET current = 1",
    )
    .bind(export.lineage.0.as_ref())
    .bind(here.0.as_ref())
    .bind(wall_ms().div_euclid(1000))
    .bind(signed(export.serial))
    .execute(conn)
    .await?;
    Ok(())
}
