//! The ledger's rows, and their chain.

use serde_json::Value as Json;

use super::super::sql::{one, rows, values};
use super::super::{Committed, StoreError};
use super::{Entry, Writing, random};
use crate::ledger::{self, GENESIS, Row};
/// Rows of one statement that appends to the ledger.
const ROWS: usize = 8;

impl Writing<'_> {
    /// A row for the ledger. It is written with the others of the transaction, at its end.
    pub(super) fn ledger(
        &mut self,
        kind: &str,
        subject: &str,
        public: &Json,
        private: Option<&[u8]>,
    ) -> Result<(), StoreError> {
        let (commitment, private) = match private {
            Some(plain) => {
                let key: [u8; 32] = random()?;
                // The key goes first, and both are sealed together: to destroy one is to destroy the other.
                let sealed = self.vault.seal("ledger.private", &[&key, plain].concat())?;
                (Some(ledger::commitment(&key, plain)), Some(sealed))
            }
            None => (None, None),
        };
        let public = public.to_string();
        self.entries.push(Entry { kind: kind.into(), subject: subject.into(), public, commitment, private });
        Ok(())
    }

    /// Appends what the transaction has to say. With one writer the rows are chained at once; with several,
    /// the sealer chains what was committed.
    pub(in crate::store) fn append_to_ledger(&mut self) -> Result<(), StoreError> {
        let entries = std::mem::take(&mut self.entries);
        let mut head = if self.db.is_shared() || entries.is_empty() { None } else { Some(self.head()?) };
        for chunk in entries.chunks(ROWS) {
            let sql = format!(
                "INSERT INTO ledger (seq, at, kind, subject, public, commitment, private, hash) VALUES {}",
                rows(chunk.len(), &["?"; 8])
            );
            let mut given = Vec::with_capacity(chunk.len() * 8);
            for entry in chunk {
                let chained = head.as_mut().map(|(seq, before)| {
                    *seq += 1;
                    let row = Row {
                        seq: *seq,
                        at: self.now,
                        kind: entry.kind.clone(),
                        subject: entry.subject.clone(),
                        public: entry.public.clone(),
                        commitment: entry.commitment.clone(),
                        hash: Vec::new(),
                    };
                    *before = row.chained(before).to_vec();
                    (*seq, before.clone())
                });
                given.extend_from_slice(values![
                    chained.as_ref().map(|(seq, _)| i64::try_from(*seq).unwrap_or(i64::MAX)),
                    self.now,
                    entry.kind.as_str(),
                    entry.subject.as_str(),
                    entry.public.as_str(),
                    entry.commitment.clone(),
                    entry.private.clone(),
                    chained.map(|(_, hash)| hash),
                ]);
            }
            self.db.execute(&sql, &given)?;
        }
        Ok(())
    }

    /// The end of the chain: number and hash.
    fn head(&mut self) -> Result<(u64, Vec<u8>), StoreError> {
        let last = one(
            self.db,
            "SELECT seq, hash FROM ledger WHERE seq IS NOT NULL ORDER BY seq DESC LIMIT 1",
            values![],
        )?;
        match last {
            Some(row) => Ok((row.get(0)?, row.get(1)?)),
            None => Ok((0, GENESIS.to_vec())),
        }
    }

    /// Chains rows that were committed, in the order in which they were written.
    pub(super) fn seal(&mut self) -> Result<Committed, StoreError> {
        if !self.db.is_shared() {
            return Ok(Committed::Count(0));
        }
        self.db.lock(&[b"ledger"])?;
        let (mut seq, mut before) = self.head()?;
        let unsealed = self.db.query(
            "SELECT id, at, kind, subject, public, commitment FROM ledger WHERE seq IS NULL ORDER BY id LIMIT 1000",
            values![],
        )?;
        let count = unsealed.len();
        for chunk in unsealed.chunks(100) {
            let columns = ["CAST(? AS BIGINT)", "CAST(? AS BIGINT)", "CAST(? AS BYTEA)"];
            let sql = format!(
                "UPDATE ledger SET seq = sealed.seq, hash = sealed.hash FROM (VALUES {}) AS sealed (id, seq, hash) \
                 WHERE ledger.id = sealed.id",
                rows(chunk.len(), &columns)
            );
            let mut given = Vec::with_capacity(chunk.len() * 3);
            for row in chunk {
                seq += 1;
                let sealed = Row {
                    seq,
                    at: row.get(1)?,
                    kind: row.get(2)?,
                    subject: row.get(3)?,
                    public: row.get(4)?,
                    commitment: row.get(5)?,
                    hash: Vec::new(),
                };
                before = sealed.chained(&before).to_vec();
                let seq = i64::try_from(seq).unwrap_or(i64::MAX);
                given.extend_from_slice(values![row.get::<i64>(0)?, seq, before.clone()]);
            }
            self.db.execute(&sql, &given)?;
        }
        Ok(Committed::Count(count as u64))
    }
}
