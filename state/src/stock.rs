//! Stock-outs, remembered across runs until they mean nothing any more.

use std::collections::BTreeMap;

use pool_inventory::Text;
use sqlx::Row;

use crate::{StateError, Store};

/// How long a stock-out is remembered: longer than planning makes anything of it.
const FORGOTTEN_SECONDS: i64 = 24 * 3_600;

impl Store {
    /// Where a stock-out was met: `PROVIDER/ZONE/OFFERING` → seconds since 1970 of the last one.
    pub async fn stock_outs(&self) -> Result<BTreeMap<Text, i64>, StateError> {
        let rows = sqlx::query("SELECT candidate, at FROM stock_outs WHERE lineage = $1")
            .bind(self.key())
            .fetch_all(self.readers())
            .await
            .map_err(|error| self.fault(error))?;
        Ok(rows.iter().map(|row| (row.get::<&str, _>(0).into(), row.get(1))).collect())
    }

    /// Remembers a stock-out, and forgets those of long ago.
    pub async fn remember_stock_out(&self, candidate: &str, at: i64) -> Result<(), StateError> {
        let (lineage, candidate) = (self.lineage().clone(), candidate.to_owned());
        self.write(move |conn| {
            Box::pin(async move {
                sqlx::query("DELETE FROM stock_outs WHERE lineage = $1 AND at < $2")
                    .bind(lineage.0.as_ref())
                    .bind(at.saturating_sub(FORGOTTEN_SECONDS))
                    .execute(&mut *conn)
                    .await?;
                sqlx::query(
                    "INSERT INTO stock_outs (lineage, candidate, at) VALUES ($1, $2, $3) \
                     ON CONFLICT (lineage, candidate) DO UPDATE SET at = max(at, excluded.at)",
                )
                .bind(lineage.0.as_ref())
                .bind(candidate)
                .bind(at)
                .execute(conn)
                .await?;
                Ok(())
            })
        })
        .await
    }
}
