//! The keys that seal, as the database keeps them, and their rotation.
//!
//! Each database has data keys of its own, wrapped by the institution's. A new institution's key is put into
//! the key file and the daemons started again: the data keys are wrapped by it then, and the old one is of no
//! use any more. A new data key takes [`rotate`], with no daemon at work.

use super::sql::{Sql, values};
use super::{Database, StoreError, apart, connect, sqlite};
use crate::vault::{Keys, Vault, WrappedKey, key_of};

/// Every column that is sealed: its table, its key, its name and the place that it is sealed for.
const SEALED: [(&str, &str, &str, &str); 9] = [
    ("message", "id", "number", "message.number"),
    ("message", "id", "mailbox", "message.mailbox"),
    ("message", "id", "frozen", "message.frozen"),
    ("message", "id", "draft", "message.draft"),
    ("inbound", "sid", "number", "inbound.number"),
    ("inbound", "sid", "body", "inbound.body"),
    ("opt_out", "id", "number", "opt_out.number"),
    ("write_back", "id", "field_values", "write_back.values"),
    ("ledger", "id", "private", "ledger.private"),
];

/// Rows that are sealed anew in one transaction.
const AT_ONCE: u32 = 500;

/// The keys of a database: read, made when there are none, and wrapped by the institution's newest.
pub(super) fn vault(db: &mut dyn Sql, keys: &Keys) -> Result<Vault, StoreError> {
    db.begin()?;
    let opened = keys_of(db, keys);
    match opened {
        Ok(vault) => {
            db.commit()?;
            Ok(vault)
        }
        Err(error) => {
            let _ = db.rollback();
            Err(error)
        }
    }
}

fn keys_of(db: &mut dyn Sql, keys: &Keys) -> Result<Vault, StoreError> {
    // Two daemons that start on a new database must not make two sets of keys.
    db.lock(&[b"data keys"])?;
    let wrapped = wrapped(db)?;
    let vault = if wrapped.is_empty() { Vault::new()? } else { Vault::open(keys, &wrapped)? };
    if wrapped.iter().any(|key| key.under != keys.newest()) || wrapped.is_empty() {
        keep(db, &vault, keys)?;
    }
    Ok(vault)
}

/// The keys as they are kept.
pub(super) fn wrapped(db: &mut dyn Sql) -> Result<Vec<WrappedKey>, StoreError> {
    let rows = db.query("SELECT id, under, wrapped FROM data_key ORDER BY id", values![])?;
    rows.iter()
        .map(|row| Ok(WrappedKey { id: row.get(0)?, under: row.get(1)?, wrapped: row.get(2)? }))
        .collect()
}

fn keep(db: &mut dyn Sql, vault: &Vault, keys: &Keys) -> Result<(), StoreError> {
    for key in vault.wrapped(keys)? {
        db.execute(
            "INSERT INTO data_key (id, under, wrapped) VALUES (?1, ?2, ?3) \
             ON CONFLICT (id) DO UPDATE SET under = excluded.under, wrapped = excluded.wrapped",
            values![key.id, key.under, key.wrapped],
        )?;
    }
    Ok(())
}

/// Adds a data key, and seals everything anew under it. Gives the number of values that were. When it is cut
/// off it goes on where it was: run it again.
pub fn rotate(database: &Database, keys: &Keys) -> Result<u64, StoreError> {
    apart(|| all(database, keys))
}

fn all(database: &Database, keys: &Keys) -> Result<u64, StoreError> {
    let mut db = connect(database, sqlite::Role::Writer)?;
    db.migrate()?;
    let mut vault = vault(&mut *db, keys)?;
    vault.add_data_key()?;
    db.begin()?;
    keep(&mut *db, &vault, keys)?;
    db.commit()?;
    let mut count = 0;
    for column in SEALED {
        let mut after = super::sql::Value::Null;
        while let Some(last) = some(&mut *db, &vault, column, &after, &mut count)? {
            after = last;
        }
    }
    Ok(count)
}

/// Seals some values of a column anew, and says after which key to go on.
fn some(
    db: &mut dyn Sql,
    vault: &Vault,
    (table, key, column, place): (&str, &str, &str, &'static str),
    after: &super::sql::Value,
    count: &mut u64,
) -> Result<Option<super::sql::Value>, StoreError> {
    use super::sql::Value;
    let from = if *after == Value::Null { String::new() } else { format!("AND {key} > ?1") };
    let select = format!(
        "SELECT {key}, {column} FROM {table} WHERE {column} IS NOT NULL {from} ORDER BY {key} LIMIT {AT_ONCE}"
    );
    let given: &[Value] = if *after == Value::Null { &[] } else { std::slice::from_ref(after) };
    db.begin()?;
    let mut last = None;
    for row in db.query(&select, given)? {
        let sealed: Vec<u8> = row.get(1)?;
        if key_of(&sealed) != Some(vault.newest()) {
            let anew = vault.seal(place, &vault.unseal(place, &sealed)?)?;
            let update = format!("UPDATE {table} SET {column} = ?2 WHERE {key} = ?1");
            db.execute(&update, &[row.0[0].clone(), Value::Bytes(anew)])?;
            *count += 1;
        }
        last = Some(row.0[0].clone());
    }
    db.commit()?;
    Ok(last)
}
