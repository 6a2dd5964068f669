//! Moving a deployment: the whole database into another one, whichever kinds they are. Sealed values stay
//! sealed, for the data keys move with them, and the ledger is verified on both sides before anything counts.
//!
//! Leases stay behind: whoever starts on the new database takes new ones.

use super::read::verified;
use super::sealing::wrapped;
use super::sql::{Row, Sql, Value, one, rows, scalar, values};
use super::write::Writing;
use super::{Database, Step, StoreError, apart, connect, sqlite, was_committed};
use crate::ledger::Head;
use crate::store::Committed;
use crate::vault::{Keys, Vault};

/// Rows of one statement: a table of 40 columns stays far below what either database takes.
const ROWS: usize = 100;

/// Keys that the database gives by itself, which must go on where the moved ones end.
const COUNTED: [(&str, &str); 2] = [("inbound", "seq"), ("ledger", "id")];

/// What was moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// The tables, and how many rows of each.
    pub tables: Vec<(String, u64)>,
    /// The end of the ledger, the same in both.
    pub head: Head,
}

/// Copies a whole database into an empty one, in one transaction. No daemon may be at work on the first, and
/// none may be started on it again: both would send. `now` is in seconds.
///
/// # Errors
///
/// [`StoreError::AtWork`] when a lease is in force, [`StoreError::NotEmpty`] when the target holds anything,
/// [`StoreError::Ledger`] when the ledger does not verify, [`StoreError::Seal`] when these are not its keys.
/// The target is then as it was, but for an empty schema. When it succeeds, everything is stopped in the first.
pub fn copy(from: &Database, to: &Database, keys: &Keys, now: u32) -> Result<Copied, StoreError> {
    apart(|| connected(from, to, keys, now))
}

fn connected(from: &Database, to: &Database, keys: &Keys, now: u32) -> Result<Copied, StoreError> {
    // A reader makes no file, so a wrong path is told; but only a writer keeps every other one out.
    connect(from, sqlite::Role::Reader)?;
    let mut from = connect(from, sqlite::Role::Writer)?;
    let mut to = connect(to, sqlite::Role::Writer)?;
    // Both have the same columns then.
    from.migrate()?;
    to.migrate()?;
    from.begin()?;
    to.begin()?;
    let copied = match all(&mut *from, &mut *to, keys, now) {
        Ok(copied) => copied,
        Err(error) => {
            // What is read is left as it was.
            let _ = from.rollback();
            let _ = to.rollback();
            return Err(error);
        }
    };
    match to.commit() {
        Err(StoreError::Away(_)) if was_committed(&mut *to)? => {}
        committed => committed?,
    }
    leave(&mut *from, now)?;
    Ok(copied)
}

/// The database that was moved sends nothing any more, also when a daemon is started on it by mistake.
fn leave(from: &mut dyn Sql, now: u32) -> Result<(), StoreError> {
    let why =
        "the database was moved to another one, which sends now; nothing is to be sent from here any more";
    from.execute(
        "INSERT INTO stop (scope, at, why) VALUES ('', ?1, ?2) ON CONFLICT (scope) DO UPDATE SET why = excluded.why",
        values![now, why],
    )?;
    from.execute("UPDATE lease SET fence = fence + 1, until = 0", values![])?;
    from.commit()
}

fn all(from: &mut dyn Sql, to: &mut dyn Sql, keys: &Keys, now: u32) -> Result<Copied, StoreError> {
    let vault = Vault::open(keys, &wrapped(from)?)?;
    for db in [&mut *from as &mut dyn Sql, &mut *to] {
        if db.is_shared() {
            // A big table takes as long as it takes, and meanwhile the other side waits.
            db.script("SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0")?;
        }
    }
    if from.is_shared() {
        // Nobody writes until everything was read. What is not chained yet is, so that all of it is verified.
        let names: Vec<_> = tables().collect();
        while !matches!(Writing::new(from, &vault, now).step(&Step::Seal)?, Committed::Count(0)) {}
        from.script(&format!("LOCK TABLE {} IN SHARE MODE", names.join(", ")))?;
    }
    let at_work: u32 = scalar(from, "SELECT COUNT(*) FROM lease WHERE until > ?1", values![now])?;
    if at_work > 0 {
        return Err(StoreError::AtWork);
    }
    // A daemon that starts on the target waits until the keys are there, and makes none of its own.
    to.lock(&[b"data keys"])?;
    for table in tables() {
        if one(to, &format!("SELECT 1 FROM {table} LIMIT 1"), values![])?.is_some() {
            return Err(StoreError::NotEmpty { table: table.into() });
        }
    }
    let head = verified(from, &vault, None)?.map_err(StoreError::Ledger)?;
    let mut copied = Copied { tables: Vec::new(), head: head.clone() };
    for name in tables().filter(|name| *name != "lease") {
        let count = table(from, to, name)?;
        copied.tables.push((name.into(), count));
    }
    if to.is_shared() {
        for (table, key) in COUNTED {
            let go_on = format!(
                "SELECT setval(pg_get_serial_sequence('{table}', '{key}'), MAX({key})) FROM {table} \
                 HAVING MAX({key}) IS NOT NULL"
            );
            to.query(&go_on, values![])?;
        }
    }
    match verified(to, &vault, Some(head.clone()))? {
        Ok(moved) if moved == head => Ok(copied),
        Ok(_) => Err(StoreError::Damaged { what: "ledger" }),
        Err(tampered) => Err(StoreError::Ledger(tampered)),
    }
}

/// Every table of the schema, as its text names them: none can be forgotten.
fn tables() -> impl Iterator<Item = &'static str> {
    include_str!("schema.sql")
        .lines()
        .filter_map(|line| line.strip_prefix("CREATE TABLE "))
        .filter_map(|rest| rest.split_whitespace().next())
}

/// Copies a table in the order of its key, and says how many rows it has.
fn table(from: &mut dyn Sql, to: &mut dyn Sql, name: &str) -> Result<u64, StoreError> {
    let columns = columns(to, name)?;
    let mut waiting = Vec::with_capacity(ROWS);
    let mut count = 0;
    let all = format!("SELECT {} FROM {name} ORDER BY 1", columns.join(", "));
    from.each(&all, values![], &mut |row| {
        waiting.push(row);
        count += 1;
        if waiting.len() == ROWS { put(to, name, &columns, &mut waiting) } else { Ok(()) }
    })?;
    put(to, name, &columns, &mut waiting)?;
    Ok(count)
}

fn columns(db: &mut dyn Sql, table: &str) -> Result<Vec<String>, StoreError> {
    let sql = if db.is_shared() {
        "SELECT CAST(column_name AS TEXT) FROM information_schema.columns WHERE table_name = ?1 \
         AND table_schema = current_schema() AND is_generated = 'NEVER' ORDER BY ordinal_position"
    } else {
        "SELECT name FROM pragma_table_info(?1) ORDER BY cid"
    };
    db.query(sql, values![table])?.iter().map(|row| row.get(0)).collect()
}

/// Writes the rows that wait, in one statement.
fn put(to: &mut dyn Sql, table: &str, columns: &[String], waiting: &mut Vec<Row>) -> Result<(), StoreError> {
    if waiting.is_empty() {
        return Ok(());
    }
    let places = rows(waiting.len(), &vec!["?"; columns.len()]);
    let sql = format!("INSERT INTO {table} ({}) VALUES {places}", columns.join(", "));
    let given: Vec<Value> = waiting.drain(..).flat_map(|row| row.0).collect();
    to.execute(&sql, &given).map(|_| ())
}
