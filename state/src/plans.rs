//! Saved plans: opaque bytes, used once.

use pool_inventory::Text;
use sqlx::{Row, sqlite::SqliteRow};

use crate::{RunId, StateError, Store, error::Fault};

/// Plans that are kept although they expired; enough to look back over a week of work.
const KEPT: i64 = 50;

/// A plan to save.
#[derive(Debug, Clone)]
pub struct NewPlan {
    /// Its id.
    pub id: Text,
    /// The plan with its envelope.
    pub bytes: Vec<u8>,
    /// Digest that the run must present.
    pub hash: Text,
    /// When it was made, in seconds since 1970.
    pub created: i64,
    /// When it may not be used any more.
    pub expires: i64,
}

/// A plan that was saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedPlan {
    /// Its id.
    pub id: Text,
    /// The plan with its envelope; empty in listings.
    pub bytes: Vec<u8>,
    /// Digest that the run must present.
    pub hash: Text,
    /// When it was made, in seconds since 1970.
    pub created: i64,
    /// When it may not be used any more.
    pub expires: i64,
    /// The run that used it.
    pub used_by: Option<RunId>,
}

impl Store {
    /// Saves a plan, and forgets old ones: those that expired and are not among the newest 50.
    pub async fn save_plan(&self, plan: NewPlan) -> Result<(), StateError> {
        let lineage = self.lineage().clone();
        self.write(move |conn| {
            Box::pin(async move {
                sqlx::query(
                    "INSERT INTO plans (lineage, id, hash, created, expires, bytes) VALUES ($1,$2,$3,$4,$5,$6)",
                )
                .bind(lineage.0.as_ref())
                .bind(plan.id.as_ref())
                .bind(plan.hash.as_ref())
                .bind(plan.created)
                .bind(plan.expires)
                .bind(plan.bytes)
                .execute(&mut *conn)
                .await?;
                sqlx::query(
                    "DELETE FROM plans WHERE lineage = $1 AND expires <= $2 AND id NOT IN \
                     (SELECT id FROM plans WHERE lineage = $1 ORDER BY created DESC, rowid DESC LIMIT $3)",
                )
                .bind(lineage.0.as_ref())
                .bind(plan.created)
                .bind(KEPT)
                .execute(conn)
                .await?;
                Ok(())
            })
        })
        .await
    }

    /// The plan whose id begins so; an error if several do.
    pub async fn plan(&self, id_prefix: &str) -> Result<Option<SavedPlan>, StateError> {
        let rows = sqlx::query(
            "SELECT id, hash, created, expires, used_by, bytes FROM plans \
             WHERE lineage = $1 AND $2 <> '' AND substr(id, 1, length($2)) = $2 ORDER BY id = $2 DESC, id LIMIT 6",
        )
        .bind(self.key())
        .bind(id_prefix)
        .fetch_all(self.readers())
        .await
        .map_err(|error| self.fault(error))?;
        only(rows.iter().map(|row| saved(row, row.get(5))).collect(), id_prefix, |plan: &SavedPlan| &plan.id)
    }

    /// All saved plans without their bytes, newest first.
    pub async fn plans(&self) -> Result<Vec<SavedPlan>, StateError> {
        let rows = sqlx::query(
            "SELECT id, hash, created, expires, used_by FROM plans WHERE lineage = $1 ORDER BY created DESC, rowid DESC",
        )
        .bind(self.key())
        .fetch_all(self.readers())
        .await
        .map_err(|error| self.fault(Fault::from(error)))?;
        Ok(rows.iter().map(|row| saved(row, Vec::new())).collect())
    }
}

fn saved(row: &SqliteRow, bytes: Vec<u8>) -> SavedPlan {
    SavedPlan {
        id: row.get::<&str, _>(0).into(),
        bytes,
        hash: row.get::<&str, _>(1).into(),
        created: row.get(2),
        expires: row.get(3),
        used_by: row.get::<Option<&str>, _>(4).map(|run| RunId(run.into())),
    }
}

/// The one thing that a shortened id means; a full id means itself although it begins another.
pub(crate) fn only<T>(mut found: Vec<T>, prefix: &str, id: fn(&T) -> &Text) -> Result<Option<T>, StateError> {
    if found.len() > 1 && &**id(&found[0]) != prefix {
        let shown: Vec<&str> = found.iter().take(5).map(|one| &**id(one)).collect();
        return Err(StateError::Ambiguous { prefix: prefix.into(), candidates: shown.join(", ").into() });
    }
    Ok(if found.is_empty() { None } else { Some(found.swap_remove(0)) })
}
