//! A database in memory, for simulations: it goes with the process.
//!
//! SQLite can share one between connections, but then readers fail or starve while something is written. So
//! there is one connection, and whoever begins a transaction has it until its end. That is also the fastest:
//! nothing is written anywhere.

use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

use super::StoreError;
use super::sql::{Row, Sql, Value};
use super::sqlite::Sqlite;

/// A way to the one connection.
pub(super) struct Memory {
    slot: Arc<Slot>,
    /// While a statement or a transaction runs.
    mine: Option<Sqlite>,
    in_transaction: bool,
}

#[derive(Default)]
struct Slot {
    free: Mutex<Option<Sqlite>>,
    returned: Condvar,
}

impl Memory {
    /// A new, empty database.
    pub(super) fn new() -> Result<Memory, StoreError> {
        let slot = Arc::new(Slot::default());
        *slot.free.lock() = Some(Sqlite::in_memory()?);
        Ok(Memory { slot, mine: None, in_transaction: false })
    }

    /// Another way to the same database.
    pub(super) fn another(&self) -> Memory {
        Memory { slot: self.slot.clone(), mine: None, in_transaction: false }
    }

    fn with<T>(&mut self, work: impl FnOnce(&mut Sqlite) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let done = work(match &mut self.mine {
            Some(db) => db,
            none => none.insert(self.slot.take()),
        });
        if !self.in_transaction {
            self.give_back();
        }
        done
    }

    fn give_back(&mut self) {
        if let Some(db) = self.mine.take() {
            *self.slot.free.lock() = Some(db);
            self.slot.returned.notify_one();
        }
    }
}

impl Slot {
    fn take(&self) -> Sqlite {
        let mut free = self.free.lock();
        loop {
            match free.take() {
                Some(db) => return db,
                None => self.returned.wait(&mut free),
            }
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // A thread that ends in the middle of a transaction must not keep the others from going on.
        if let Some(db) = &mut self.mine {
            let _ = db.rollback();
        }
        self.give_back();
    }
}

impl Sql for Memory {
    fn execute(&mut self, sql: &str, values: &[Value]) -> Result<u64, StoreError> {
        self.with(|db| db.execute(sql, values))
    }

    fn query(&mut self, sql: &str, values: &[Value]) -> Result<Vec<Row>, StoreError> {
        self.with(|db| db.query(sql, values))
    }

    fn each(
        &mut self,
        sql: &str,
        values: &[Value],
        row: &mut dyn FnMut(Row) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.with(|db| db.each(sql, values, row))
    }

    fn script(&mut self, sql: &str) -> Result<(), StoreError> {
        self.with(|db| db.script(sql))
    }

    fn begin(&mut self) -> Result<(), StoreError> {
        self.in_transaction = true;
        let begun = self.with(Sql::begin);
        if begun.is_err() {
            self.in_transaction = false;
            self.give_back();
        }
        begun
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        let committed = self.with(Sql::commit);
        if committed.is_ok() {
            self.in_transaction = false;
            self.give_back();
        }
        committed
    }

    fn was_committed(&mut self) -> Result<bool, StoreError> {
        self.with(Sql::was_committed)
    }

    fn rollback(&mut self) -> Result<(), StoreError> {
        self.in_transaction = false;
        self.with(Sql::rollback)
    }

    fn lock(&mut self, names: &[&[u8]]) -> Result<(), StoreError> {
        self.with(|db| db.lock(names))
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
        self.with(Sql::migrate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sql::{scalar, values};

    #[test]
    fn nobody_sees_half_of_a_transaction() {
        let mut writer = Memory::new().unwrap();
        let mut reader = writer.another();
        writer.script("CREATE TABLE t (n INTEGER)").unwrap();
        writer.begin().unwrap();
        writer.execute("INSERT INTO t VALUES (?1)", values![1_u32]).unwrap();
        let reading = std::thread::spawn(move || {
            let count: u32 = scalar(&mut reader, "SELECT COUNT(*) FROM t", values![]).unwrap();
            (count, reader)
        });
        writer.execute("INSERT INTO t VALUES (?1)", values![2_u32]).unwrap();
        writer.commit().unwrap();
        let (count, mut reader) = reading.join().unwrap();
        assert_eq!(count, 2);

        writer.begin().unwrap();
        writer.execute("INSERT INTO t VALUES (?1)", values![3_u32]).unwrap();
        // As when a thread ends in the middle.
        drop(writer);
        let count: u32 = scalar(&mut reader, "SELECT COUNT(*) FROM t", values![]).unwrap();
        assert_eq!(count, 2);
    }
}
