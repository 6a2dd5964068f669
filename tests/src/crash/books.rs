//! The database as the judge reads it: by its own statements, not by those of the product.

use std::path::PathBuf;

use anyhow::{Context, Result};
use gateway::store::Database;
use secrecy::SecretString;

/// Where the database is.
#[derive(Clone, Debug)]
pub(super) enum Books {
    Sqlite(PathBuf),
    Postgres(String),
}

impl Books {
    /// As the product opens it.
    pub(super) fn database(&self) -> Database {
        match self {
            Books::Sqlite(path) => Database::Sqlite(path.clone()),
            Books::Postgres(url) => Database::Postgres(SecretString::from(url.as_str())),
        }
    }

    /// The last row of the ledger.
    pub(super) async fn position(&self) -> Result<i64> {
        let rows = self.rows("SELECT CAST(COALESCE(MAX(id), 0) AS TEXT) FROM ledger").await?;
        Ok(rows.first().and_then(|row| row.first()).context("a position")?.parse()?)
    }

    /// Rows of columns, all of which are texts.
    pub(super) async fn rows(&self, sql: &'static str) -> Result<Vec<Vec<String>>> {
        let books = self.clone();
        tokio::task::spawn_blocking(move || books.read(sql)).await?
    }

    fn read(&self, sql: &str) -> Result<Vec<Vec<String>>> {
        match self {
            Books::Sqlite(path) => {
                let db = rusqlite::Connection::open(path)?;
                db.busy_timeout(std::time::Duration::from_secs(10))?;
                let mut statement = db.prepare(sql)?;
                let columns = statement.column_count();
                let rows =
                    statement.query_map([], |row| (0..columns).map(|column| row.get(column)).collect())?;
                Ok(rows.collect::<Result<_, _>>()?)
            }
            Books::Postgres(url) => {
                let mut client = postgres::Client::connect(url, postgres::NoTls)?;
                let rows = client.query(sql, &[])?;
                rows.iter()
                    .map(|row| (0..row.len()).map(|column| Ok(row.try_get(column)?)).collect())
                    .collect()
            }
        }
    }
}
