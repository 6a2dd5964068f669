//! The embedded database: one SQLite file in WAL mode with full synchronisation, one writer.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection, ErrorCode, OpenFlags, Params, params_from_iter};

use super::StoreError;
use super::sql::{Row, Sql, Value, migration};

/// How long a connection waits for another one's transaction.
const PATIENCE: Duration = Duration::from_secs(10);

/// Statements that stay prepared: more than there are.
const STATEMENTS: usize = 256;

/// Memory for pages of the file, in KiB: of what writes and of what reads.
const PAGES: (i64, i64) = (65_536, 16_384);

/// Pages after which what was written goes from the log into the file: seldom, for it waits for the disk twice.
const LOG: i64 = 4000;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// It writes, and makes the file when it is not there.
    Writer,
    /// It only reads.
    Reader,
}

/// A connection to the file.
#[derive(Debug)]
pub(super) struct Sqlite {
    db: Connection,
}

impl Sqlite {
    /// Opens the file.
    pub(super) fn open(path: &Path, role: Role) -> Result<Sqlite, StoreError> {
        let named = |source: rusqlite::Error| StoreError::Open {
            path: path.display().to_string(),
            source: source.into(),
        };
        let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        if role == Role::Writer {
            if !path.exists() {
                tracing::warn!(path = %path.display(), "a new database is made, which knows of no opt-out yet");
                private(path);
            }
            flags |= OpenFlags::SQLITE_OPEN_CREATE;
        }
        let db = Connection::open_with_flags(path, flags).map_err(named)?;
        settle(&db, role).map_err(named)?;
        Ok(Sqlite { db })
    }

    /// A new database in memory, which nothing but this connection reaches.
    pub(super) fn in_memory() -> Result<Sqlite, StoreError> {
        let named =
            |source: rusqlite::Error| StoreError::Open { path: ":memory:".into(), source: source.into() };
        let db = Connection::open_in_memory().map_err(named)?;
        planned(&db).map_err(named)?;
        Ok(Sqlite { db })
    }

    fn prepared(&self, sql: &str) -> Result<CachedStatement<'_>, StoreError> {
        self.db.prepare_cached(sql).map_err(failed)
    }

    /// Brings the schema to this program's version, step by step.
    fn forward(&mut self) -> Result<(), StoreError> {
        let version =
            |db: &Connection| db.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0));
        let mut found = version(&self.db).map_err(failed)?;
        while found != super::VERSION {
            let (script, reached) = migration(found, false).ok_or(StoreError::Version { found })?;
            self.script(&script)?;
            self.db.pragma_update(None, "user_version", reached).map_err(failed)?;
            found = reached;
        }
        Ok(())
    }
}

/// The file holds what is sealed, but also record names: only its owner may read it. SQLite gives its other
/// files the same mode.
fn private(path: &Path) {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    // What is wrong with the path is said when the database is opened.
    let _ = options.open(path);
}

/// Copies the file as it is at one instant, while others write to it.
pub(super) fn backup(from: &Path, to: &Path) -> Result<(), StoreError> {
    let path = to.display().to_string();
    let failed = |source: super::Cause| StoreError::Backup { path: path.clone(), source };
    if to.exists() {
        return Err(failed("there is a file already".into()));
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let copied = Connection::open_with_flags(from, flags).and_then(|db| {
        db.busy_timeout(PATIENCE)?;
        private(to);
        db.execute("VACUUM INTO ?1", [&path]).map(|_| ())
    });
    if let Err(error) = copied {
        // Half a backup is none.
        let _ = std::fs::remove_file(to);
        return Err(failed(error.into()));
    }
    // SQLite does not wait for the disk here.
    std::fs::File::open(to).and_then(|file| file.sync_all()).map_err(|error| failed(error.into()))
}

/// Lets every statement be planned once.
fn planned(db: &Connection) -> Result<(), rusqlite::Error> {
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    // A plan does not depend on what is given, so a statement is not planned anew each time.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map(|_| ())
}

fn settle(db: &Connection, role: Role) -> Result<(), rusqlite::Error> {
    db.busy_timeout(PATIENCE)?;
    planned(db)?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    // A commit is on the disk before it is answered, also when the power fails.
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "cache_size", if role == Role::Writer { -PAGES.0 } else { -PAGES.1 })?;
    db.pragma_update(None, "wal_autocheckpoint", LOG)?;
    db.pragma_update(None, "query_only", role == Role::Reader)
}

impl Sql for Sqlite {
    fn execute(&mut self, sql: &str, values: &[Value]) -> Result<u64, StoreError> {
        let mut statement = self.prepared(sql)?;
        statement.execute(given(values)).map(|rows| rows as u64).map_err(failed)
    }

    fn query(&mut self, sql: &str, values: &[Value]) -> Result<Vec<Row>, StoreError> {
        let mut found = Vec::new();
        self.each(sql, values, &mut |row| {
            found.push(row);
            Ok(())
        })?;
        Ok(found)
    }

    fn each(
        &mut self,
        sql: &str,
        values: &[Value],
        row: &mut dyn FnMut(Row) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut statement = self.prepared(sql)?;
        let columns = statement.column_count();
        let mut rows = statement.query(given(values)).map_err(failed)?;
        while let Some(read) = rows.next().map_err(failed)? {
            let values = (0..columns).map(|column| value(read.get_ref(column).map_err(failed)?));
            row(Row(values.collect::<Result<_, _>>()?))?;
        }
        Ok(())
    }

    fn script(&mut self, sql: &str) -> Result<(), StoreError> {
        self.db.execute_batch(sql).map_err(failed)
    }

    fn begin(&mut self) -> Result<(), StoreError> {
        // A transaction that begins as a reader and writes later can find that it is too late to write.
        self.execute("BEGIN IMMEDIATE", &[]).map(|_| ())
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        self.execute("COMMIT", &[]).map(|_| ())
    }

    fn was_committed(&mut self) -> Result<bool, StoreError> {
        // The answer to a commit is never lost here: a commit that failed took nothing.
        Ok(false)
    }

    fn rollback(&mut self) -> Result<(), StoreError> {
        // SQLite takes a transaction back by itself when, for one, the disk is full.
        if self.db.is_autocommit() {
            return Ok(());
        }
        self.execute("ROLLBACK", &[]).map(|_| ())
    }

    fn lock(&mut self, _names: &[&[u8]]) -> Result<(), StoreError> {
        // Whoever writes is alone.
        Ok(())
    }

    fn for_update(&self) -> &'static str {
        ""
    }

    fn skip_locked(&self) -> &'static str {
        ""
    }

    fn is_shared(&self) -> bool {
        false
    }

    fn migrate(&mut self) -> Result<(), StoreError> {
        self.begin()?;
        let forward = self.forward();
        if forward.is_err() {
            self.rollback()?;
            return forward;
        }
        self.commit()
    }
}

fn given(values: &[Value]) -> impl Params + use<'_> {
    params_from_iter(values)
}

impl rusqlite::ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Value::Null => ValueRef::Null,
            Value::Integer(value) => ValueRef::Integer(*value),
            Value::Text(value) => ValueRef::Text(value.as_bytes()),
            Value::Bytes(value) => ValueRef::Blob(value),
        }))
    }
}

fn value(read: ValueRef<'_>) -> Result<Value, StoreError> {
    Ok(match read {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(value) => Value::Integer(value),
        ValueRef::Text(value) => {
            let text = std::str::from_utf8(value).map_err(|_| StoreError::Damaged { what: "text" })?;
            Value::Text(text.into())
        }
        ValueRef::Blob(value) => Value::Bytes(value.into()),
        ValueRef::Real(_) => return Err(StoreError::Damaged { what: "integer" }),
    })
}

fn failed(error: rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Conflict,
        _ => StoreError::Sql(error.into()),
    }
}
