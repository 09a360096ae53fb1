//! Statements over many rows.
//!
//! Reading a statement of 200 rows costs SQLite as much as carrying it out. Rows are therefore handed over in pieces of
//! 256, 128, … 2, 1: each such statement is read once and kept.

use sqlx::{Arguments, AssertSqlSafe, Encode, Sqlite, SqliteConnection, Type, sqlite::SqliteArguments};

use crate::error::Fault;

/// Rows per statement at most: with 11 values each far below SQLite's 32,766.
const MOST: usize = 256;

/// A statement with a list of rows in its middle: `head (?, …), (?, …) tail`.
pub(crate) struct Statement {
    pub(crate) head: &'static str,
    /// Values of a row.
    pub(crate) values: usize,
    pub(crate) tail: &'static str,
}

/// The values of some rows, one after the other.
#[derive(Default)]
pub(crate) struct Values {
    arguments: SqliteArguments,
    failed: Option<sqlx::error::BoxDynError>,
}

impl Values {
    /// Adds one value; values stand in the order of the columns.
    pub(crate) fn push<'q, T: Encode<'q, Sqlite> + Type<Sqlite>>(&mut self, value: T) -> &mut Self {
        if let Err(error) = self.arguments.add(value) {
            self.failed.get_or_insert(error);
        }
        self
    }
}

impl Statement {
    /// Carries it out over all rows; `bind` adds the values of one.
    pub(crate) async fn execute<T>(
        &self,
        conn: &mut SqliteConnection,
        rows: &[T],
        bind: impl Fn(&mut Values, &T),
    ) -> Result<(), Fault> {
        for (sql, arguments) in self.pieces(rows, bind) {
            sqlx::query_with(AssertSqlSafe(sql), arguments?).execute(&mut *conn).await?;
        }
        Ok(())
    }

    /// Its texts with their values, piece by piece.
    pub(crate) fn pieces<T>(
        &self,
        rows: &[T],
        bind: impl Fn(&mut Values, &T),
    ) -> impl Iterator<Item = (String, Result<SqliteArguments, Fault>)> {
        pieces(rows).map(move |piece| {
            let mut values = Values::default();
            values.arguments.reserve(piece.len() * self.values, 0);
            piece.iter().for_each(|row| bind(&mut values, row));
            let arguments = match values.failed {
                None => Ok(values.arguments),
                Some(error) => Err(Fault::Sql(sqlx::Error::Encode(error))),
            };
            (self.text(piece.len()), arguments)
        })
    }

    fn text(&self, rows: usize) -> String {
        let row = format!("({}),", ["?"].repeat(self.values).join(","));
        let rows = row.repeat(rows);
        format!("{} {} {}", self.head, rows.trim_end_matches(','), self.tail)
    }
}

fn pieces<T>(rows: &[T]) -> impl Iterator<Item = &[T]> {
    let mut rest = rows;
    std::iter::from_fn(move || {
        let length = 1 << rest.len().min(MOST).checked_ilog2()?;
        let (piece, after) = rest.split_at(length);
        rest = after;
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_cut_into_pieces_of_few_lengths_and_none_is_lost() {
        let lengths = |rows: usize| pieces(&vec![0; rows]).map(<[i32]>::len).collect::<Vec<_>>();
        assert_eq!(lengths(0), [0; 0]);
        assert_eq!(lengths(1), [1]);
        assert_eq!(lengths(777), [256, 256, 256, 8, 1]);
        let statement = Statement { head: "INSERT INTO t VALUES", values: 2, tail: "RETURNING a" };
        assert_eq!(statement.text(2), "INSERT INTO t VALUES (?,?),(?,?) RETURNING a");
    }
}
