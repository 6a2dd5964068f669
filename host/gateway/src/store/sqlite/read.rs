//! The queries: named after what they are asked for, short, and by index.

use policy::contract::types::{PastMessage, Survey};
use rusqlite::{OptionalExtension, params};
use serde_json::Value;
use twilio::{MessageBody, PhoneNumber};

use super::super::{OptOut, Task, Waiting, WriteBack};
use super::{Sqlite, StoreError, messages, number, opt_outs, read_json, word};
use crate::ledger::{Head, Row, Tampered, Verifier};
use crate::outbox::Message;

impl Sqlite {
    /// Messages to decide: planned or deferred, and due to be looked at.
    pub fn undecided(&self, now: u32, limit: u32) -> Result<Vec<Message>, StoreError> {
        self.read(|db| {
            messages(
                db,
                "WHERE state IN ('planned', 'deferred') AND look_at <= ?1 ORDER BY look_at, id LIMIT ?2",
                params![now, limit],
            )
        })
    }

    /// When the next message is looked at, if any waits.
    pub fn next_look(&self) -> Result<Option<u32>, StoreError> {
        self.read(|db| {
            let next = "SELECT MIN(look_at) FROM message \
                        WHERE state IN ('planned', 'deferred', 'due', 'claimed', 'submitting')";
            let write_back = "SELECT MIN(look_at) FROM write_back WHERE state = 'new'";
            let next: Option<u32> = db.query_row(next, [], |row| row.get(0))?;
            let write_back: Option<u32> = db.query_row(write_back, [], |row| row.get(0))?;
            Ok(next.into_iter().chain(write_back).min())
        })
    }

    /// One message.
    pub fn message(&self, id: &str) -> Result<Option<Message>, StoreError> {
        self.read(|db| Ok(messages(db, "WHERE id = ?1", [id])?.pop()))
    }

    /// Messages, newest first; of a record, if one is given.
    pub fn log(&self, project: Option<&str>, record: Option<&str>) -> Result<Vec<Message>, StoreError> {
        self.read(|db| {
            messages(
                db,
                "WHERE (?1 IS NULL OR project = ?1) AND (?2 IS NULL OR record = ?2) ORDER BY id DESC LIMIT 1000",
                params![project, record],
            )
        })
    }

    /// Inbound messages that were not interpreted yet, oldest first.
    /// One that could not be interpreted waits 30 seconds more each time.
    pub fn uninterpreted(&self, now: u32, limit: u32) -> Result<Vec<Waiting>, StoreError> {
        self.read(|db| {
            let mut query = db.prepare_cached(
                "SELECT sid, project, number, body, provider, at, tries FROM inbound \
                 WHERE state = 'new' AND at + 30 * tries <= ?1 ORDER BY at, rowid LIMIT ?2",
            )?;
            let rows = query.query_map([now, limit], |row| {
                Ok((
                    row.get(0)?,
                    row.get(1)?,
                    row.get::<_, String>(2)?,
                    row.get::<_, String>(3)?,
                    row.get(4)?,
                    row.get(5)?,
                    row.get(6)?,
                ))
            })?;
            rows.map(|row| {
                let (sid, project, phone, body, provider, at, tries) = row?;
                let body = MessageBody::from(body);
                Ok(Waiting { sid, project, number: number(&phone)?, body, provider, at, tries })
            })
            .collect()
        })
    }

    /// The opt-outs in force for a number, as a project is bound by them.
    pub fn opt_outs(&self, phone: &PhoneNumber, project: &str) -> Result<Vec<OptOut>, StoreError> {
        self.read(|db| {
            opt_outs(
                db,
                "WHERE number = ?1 AND project IN ('', ?2) AND ended IS NULL ORDER BY at",
                params![phone.expose(), project],
            )
        })
    }

    /// Every opt-out there ever was, oldest first.
    pub fn all_opt_outs(&self) -> Result<Vec<OptOut>, StoreError> {
        self.read(|db| opt_outs(db, "ORDER BY at, number", []))
    }

    /// What was sent to a number, newest first, at most 50.
    pub fn recent(&self, phone: &PhoneNumber) -> Result<Vec<PastMessage>, StoreError> {
        self.read(|db| {
            let mut query = db.prepare_cached(
                "SELECT submitted, purpose, method FROM message WHERE address = ?1 AND submitted IS NOT NULL \
                 AND state IN ('submitting', 'accepted', 'sent', 'delivered', 'undelivered', 'unknown') \
                 ORDER BY submitted DESC LIMIT 50",
            )?;
            let rows = query.query_map([phone.expose()], |row| {
                Ok((row.get(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?))
            })?;
            rows.map(|row| {
                let (at, purpose, method) = row?;
                Ok(PastMessage { at, purpose: word(&purpose, "purpose")?, method: word(&method, "method")? })
            })
            .collect()
        })
    }

    /// What became of the last messages to a number: when, Twilio's word, Twilio's code.
    pub fn deliveries(
        &self,
        phone: &PhoneNumber,
        limit: u32,
    ) -> Result<Vec<(u32, String, Option<u32>)>, StoreError> {
        self.read(|db| {
            let mut query = db.prepare_cached(
                "SELECT submitted, COALESCE(provider_status, state), error_code FROM message \
                 WHERE address = ?1 AND submitted IS NOT NULL ORDER BY submitted DESC LIMIT ?2",
            )?;
            let rows = query.query_map(params![phone.expose(), limit.min(50)], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Surveys to which a record has an unanswered invitation.
    pub fn open_invitations(&self, project: &str, record: &str) -> Result<Vec<Survey>, StoreError> {
        self.read(|db| {
            let mut query = db.prepare_cached(
                "SELECT DISTINCT survey FROM message WHERE project = ?1 AND record = ?2 AND survey IS NOT NULL \
                 AND state IN ('accepted', 'sent', 'delivered') ORDER BY survey",
            )?;
            let rows = query.query_map([project, record], |row| row.get::<_, String>(0))?;
            rows.map(|row| read_json(&row?, "survey")).collect()
        })
    }

    /// The records of a project that hold a number.
    pub fn records_of(&self, project: &str, phone: &PhoneNumber) -> Result<Vec<String>, StoreError> {
        self.read(|db| {
            let mut query = db.prepare_cached(
                "SELECT record FROM phone WHERE project = ?1 AND number = ?2 ORDER BY record",
            )?;
            let rows = query.query_map([project, phone.expose()], |row| row.get(0))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Writes to REDCap that are to be done.
    pub fn write_backs(&self, now: u32, limit: u32) -> Result<Vec<WriteBack>, StoreError> {
        self.read(|db| {
            let mut query = db.prepare_cached(
                "SELECT id, project, record, event, field_values, tries FROM write_back \
                 WHERE state = 'new' AND look_at <= ?1 ORDER BY look_at, id LIMIT ?2",
            )?;
            let rows = query.query_map([now, limit], |row| {
                Ok((
                    row.get(0)?,
                    row.get(1)?,
                    row.get(2)?,
                    row.get(3)?,
                    row.get::<_, String>(4)?,
                    row.get(5)?,
                ))
            })?;
            rows.map(|row| {
                let (id, project, record, event, values, tries) = row?;
                let values = read_json(&values, "write-back")?;
                Ok(WriteBack { id, project, record, event, values, tries })
            })
            .collect()
        })
    }

    /// Records of a project that hold an opted-out number, which REDCap was not told yet: however the opt-out
    /// came to be known, and also when the record got the number later.
    pub fn unwritten_opt_outs(&self, project: &str) -> Result<Vec<(String, u32)>, StoreError> {
        self.read(|db| {
            let mut query = db.prepare_cached(
                "SELECT phone.record, MAX(opt_out.at) FROM opt_out JOIN phone ON phone.number = opt_out.number \
                 WHERE phone.project = ?1 AND opt_out.project IN ('', ?1) AND opt_out.ended IS NULL \
                 AND NOT EXISTS (SELECT 1 FROM write_back WHERE cause = \
                     'opt-out/' || ?1 || '/' || phone.record || '/' || opt_out.at) \
                 GROUP BY phone.record",
            )?;
            let rows = query.query_map([project], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Tasks that wait for a person, oldest first.
    pub fn tasks(&self) -> Result<Vec<Task>, StoreError> {
        self.read(|db| {
            let mut query = db.prepare_cached(
                "SELECT id, kind, project, sentence, at FROM task WHERE resolved IS NULL ORDER BY at, id",
            )?;
            let rows = query.query_map([], |row| {
                Ok(Task {
                    id: row.get(0)?,
                    kind: row.get(1)?,
                    project: row.get(2)?,
                    sentence: row.get(3)?,
                    at: row.get(4)?,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// A figure.
    pub fn figure(&self, name: &str) -> Result<u64, StoreError> {
        self.read(|db| {
            let value = db
                .query_row("SELECT value FROM figure WHERE name = ?1", [name], |row| row.get::<_, i64>(0))
                .optional()?;
            Ok(value.and_then(|value| value.try_into().ok()).unwrap_or(0))
        })
    }

    /// The ledger's rows about a subject, in order: kind, instant, public part.
    pub fn story(&self, subject: &str) -> Result<Vec<(String, u32, Value)>, StoreError> {
        self.read(|db| {
            let mut query =
                db.prepare_cached("SELECT kind, at, public FROM ledger WHERE subject = ?1 ORDER BY seq")?;
            let rows =
                query.query_map([subject], |row| Ok((row.get(0)?, row.get(1)?, row.get::<_, String>(2)?)))?;
            rows.map(|row| {
                let (kind, at, public) = row?;
                Ok((kind, at, read_json(&public, "ledger row")?))
            })
            .collect()
        })
    }

    /// Verifies the whole ledger, and that it holds an exported head.
    pub fn verify(&self, head: Option<Head>) -> Result<Result<Head, Tampered>, StoreError> {
        self.read(|db| {
            let mut query = db.prepare(
                "SELECT seq, at, kind, subject, public, commitment, key, private, hash FROM ledger ORDER BY seq",
            )?;
            let rows = query.query_map([], |row| {
                Ok(Row {
                    seq: u64::try_from(row.get::<_, i64>(0)?).unwrap_or(0),
                    at: row.get(1)?,
                    kind: row.get(2)?,
                    subject: row.get(3)?,
                    public: row.get(4)?,
                    commitment: row.get(5)?,
                    key: row.get(6)?,
                    private: row.get(7)?,
                    hash: row.get(8)?,
                })
            })?;
            let mut verifier = Verifier::expecting(head);
            for row in rows {
                if let Err(tampered) = verifier.row(&row?) {
                    return Ok(Err(tampered));
                }
            }
            Ok(verifier.end())
        })
    }
}
