//! The embedded store: one SQLite file in WAL mode with full synchronisation, one writer.
//!
//! The writer is a thread of its own. Steps that wait when it begins a transaction are committed together,
//! each in a savepoint, so that a burst costs one flush of the disk and a step that fails takes no other
//! with it.

mod read;
mod write;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use policy::contract::types::Purpose;
use rusqlite::{Connection, Row as SqlRow};
use tokio::sync::oneshot;
use twilio::PhoneNumber;

use super::{Committed, OptOut, Step};
use crate::clock::Clock;
use crate::outbox::{Message, NewMessage, State};
use crate::vocabulary::Word;

use write::Writing;

const SCHEMA: &str = include_str!("schema.sql");

/// The schema's version. Migrations only go forward.
const VERSION: i64 = 1;

/// Steps that are committed together at most.
const BATCH: usize = 64;

/// Why the store did not do something.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database could not be opened.
    #[error("open the database `{path}`")]
    Open {
        /// Where.
        path: String,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
    /// The database is from another version.
    #[error(
        "the database has schema version {found}, and this version of Consentry reads {VERSION}; start the version that wrote it"
    )]
    Version {
        /// Its version.
        found: i64,
    },
    /// A statement failed.
    #[error("read or write the database")]
    Sql(#[from] rusqlite::Error),
    /// A value in the database is not what was written there.
    #[error("the database holds a `{what}` that cannot be read")]
    Damaged {
        /// What.
        what: &'static str,
    },
    /// The transaction failed: nothing of it is in the database.
    #[error("write to the database, which took nothing; is its disk full?")]
    NotTaken,
    /// The writer has ended.
    #[error("the database's writer has ended; the log says why")]
    Closed,
    /// Randomness is missing.
    #[error("ask the system for randomness")]
    Random,
}

type Reply = oneshot::Sender<Result<Committed, StoreError>>;

/// The store.
#[derive(Clone)]
pub struct Sqlite {
    steps: mpsc::Sender<(Step, Reply)>,
    reader: Arc<Mutex<Connection>>,
}

impl std::fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sqlite").finish_non_exhaustive()
    }
}

impl Sqlite {
    /// Opens the database, and makes it when it is not there.
    pub fn open(path: &Path, clock: Clock) -> Result<Sqlite, StoreError> {
        let named = |source| StoreError::Open { path: path.display().to_string(), source };
        if !path.exists() {
            tracing::warn!(path = %path.display(), "a new database is made, which knows of no opt-out yet");
            private(path);
        }
        let mut writer = Connection::open(path).map_err(named)?;
        settle(&mut writer)?;
        let reader = Connection::open(path).map_err(named)?;
        reader.pragma_update(None, "query_only", true)?;
        let (steps, waiting) = mpsc::channel();
        std::thread::Builder::new()
            .name("store".into())
            .spawn(move || write(&mut writer, &waiting, &clock))
            .map_err(|_| StoreError::Closed)?;
        Ok(Sqlite { steps, reader: Arc::new(Mutex::new(reader)) })
    }

    /// Commits a step. When this returns, the step is on the disk.
    pub async fn commit(&self, step: Step) -> Result<Committed, StoreError> {
        let (reply, committed) = oneshot::channel();
        self.steps.send((step, reply)).map_err(|_| StoreError::Closed)?;
        committed.await.map_err(|_| StoreError::Closed)?
    }

    /// Reads are short and by index, so they are done where they are asked for.
    fn read<T>(&self, query: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        query(&self.reader.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The file holds numbers and bodies: only its owner may read it. SQLite gives its other files the same mode.
fn private(path: &Path) {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    // What is wrong with the path is said when the database is opened.
    let _ = options.open(path);
}

fn settle(db: &mut Connection) -> Result<(), StoreError> {
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.busy_timeout(std::time::Duration::from_secs(10))?;
    let found: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    match found {
        0 => {
            let tx = db.transaction()?;
            tx.execute_batch(SCHEMA)?;
            tx.pragma_update(None, "user_version", VERSION)?;
            tx.commit()?;
            Ok(())
        }
        VERSION => Ok(()),
        found => Err(StoreError::Version { found }),
    }
}

/// The writer: takes what waits, commits it together, answers.
fn write(db: &mut Connection, waiting: &mpsc::Receiver<(Step, Reply)>, clock: &Clock) {
    while let Ok(first) = waiting.recv() {
        let mut batch = vec![first];
        batch.extend(waiting.try_iter().take(BATCH - 1));
        let (steps, replies): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
        let now = clock.seconds();
        let results = commit_all(db, steps, now);
        match results {
            Ok(results) => {
                for (reply, result) in replies.into_iter().zip(results) {
                    // Whoever asked may have gone; the step is committed all the same.
                    let _ = reply.send(result);
                }
            }
            Err(error) => {
                // The transaction itself failed: nothing of the batch is in the database.
                tracing::error!(%error, "the database took nothing");
                for reply in replies {
                    let _ = reply.send(Err(StoreError::NotTaken));
                }
            }
        }
    }
}

fn commit_all(
    db: &mut Connection,
    steps: Vec<Step>,
    now: u32,
) -> Result<Vec<Result<Committed, StoreError>>, rusqlite::Error> {
    let mut tx = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let mut results = Vec::with_capacity(steps.len());
    for step in steps {
        let savepoint = tx.savepoint()?;
        let result = Writing { db: &savepoint, now }.step(step);
        if result.is_ok() {
            savepoint.commit()?;
        } else {
            savepoint.finish()?;
        }
        results.push(result);
    }
    tx.commit()?;
    Ok(results)
}

pub(crate) fn random<const N: usize>() -> Result<[u8; N], StoreError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| StoreError::Random)?;
    Ok(bytes)
}

const COLUMNS: &str = "id, occasion, project, purpose, record, survey, wording, number, cause, depth, due, \
                       not_after, state, version, look_at, draft, sid, provider_status, error_code, reason, \
                       attempts, changed";

fn messages(db: &Connection, rest: &str, params: impl rusqlite::Params) -> Result<Vec<Message>, StoreError> {
    let mut query = db.prepare_cached(&format!("SELECT {COLUMNS} FROM message {rest}"))?;
    let mut rows = query.query(params)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(message(row)?);
    }
    Ok(found)
}

fn message(row: &SqlRow<'_>) -> Result<Message, StoreError> {
    let text = |column: &str| row.get::<_, Option<String>>(column);
    let purpose: Purpose = word(&row.get::<_, String>("purpose")?, "purpose")?;
    let state = State::read(&row.get::<_, String>("state")?).ok_or(StoreError::Damaged { what: "state" })?;
    Ok(Message {
        id: row.get("id")?,
        new: NewMessage {
            occasion: row.get("occasion")?,
            project: row.get("project")?,
            purpose,
            record: row.get("record")?,
            survey: text("survey")?.map(|json| read_json(&json, "survey")).transpose()?,
            wording: row.get("wording")?,
            number: text("number")?.map(|phone| number(&phone)).transpose()?,
            cause: row.get("cause")?,
            depth: row.get("depth")?,
            due: row.get("due")?,
            not_after: row.get("not_after")?,
        },
        state,
        version: row.get("version")?,
        look_at: row.get("look_at")?,
        draft: text("draft")?.map(|json| read_json(&json, "draft")).transpose()?,
        sid: row.get("sid")?,
        provider_status: row.get("provider_status")?,
        error_code: row.get("error_code")?,
        reason: text("reason")?.map(|json| read_json(&json, "reason")).transpose()?,
        attempts: read_json(&row.get::<_, String>("attempts")?, "attempts")?,
        changed: row.get("changed")?,
    })
}

fn opt_outs(db: &Connection, rest: &str, params: impl rusqlite::Params) -> Result<Vec<OptOut>, StoreError> {
    let mut query = db.prepare_cached(&format!(
        "SELECT number, channel, project, at, source, cause, ended FROM opt_out {rest}"
    ))?;
    let mut rows = query.query(params)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(OptOut {
            number: number(&row.get::<_, String>(0)?)?,
            channel: word(&row.get::<_, String>(1)?, "channel")?,
            project: row.get(2)?,
            at: row.get(3)?,
            source: row.get(4)?,
            cause: row.get(5)?,
            ended: row.get(6)?,
        });
    }
    Ok(found)
}

/// Where a draft goes, as the store finds it again.
fn address(draft: &policy::contract::reviewer::Draft) -> String {
    use policy::contract::types::Address;
    match &draft.to {
        Address::Phone(to) | Address::Email(to) => to.clone(),
    }
}

fn number(text: &str) -> Result<PhoneNumber, StoreError> {
    PhoneNumber::from_e164(text).map_err(|_| StoreError::Damaged { what: "phone number" })
}

fn word<W: Word>(text: &str, what: &'static str) -> Result<W, StoreError> {
    W::read(text).ok_or(StoreError::Damaged { what })
}

/// Our own types always serialise; a null would be found damaged when it is read.
fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".into())
}

fn read_json<T: serde::de::DeserializeOwned>(text: &str, what: &'static str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|_| StoreError::Damaged { what })
}
