//! What the gateway remembers. There is one write, [`Store::commit`], and a step is committed whole or not at
//! all, its ledger rows with it.
//!
//! Two databases keep it: SQLite, one file and one writer, and PostgreSQL, for several daemons that share the
//! work. The statements are the same (`sql.rs` says in which dialect), the drivers are not. A simulation keeps
//! SQLite in memory.
//!
//! The writer is a thread of its own. Steps that wait when it begins a transaction are committed together, so
//! that a burst costs one flush of the disk. If one of them fails they are run again one by one, and it takes
//! no other with it.

mod copy;
mod memory;
mod postgres;
mod read;
mod sealing;
mod sql;
mod sqlite;
mod write;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use policy::contract::reviewer::Draft;
use policy::contract::types::{Attempt, Channel};
use secrecy::SecretString;
use serde_json::Value;
use tokio::sync::oneshot;
use twilio::{CallStatus, MessageBody, MessageStatus, PhoneNumber};

use crate::clock::Clock;
use crate::failpoint::{Point, pass};
use crate::ledger::Tampered;
use crate::mail::{Mailbox, mailbox_key};
use crate::outbox::{Message, NewMessage, Reason, State};
use crate::vault::{Keys, SealError, Vault};
use crate::vocabulary::Word;
use sql::{Sql, scalar, values};
use write::Writing;

pub use copy::{Copied, copy};
pub use read::{Cost, Count, Kept, LogFilter, Side, Stopped, Unsealed};
pub use sealing::rotate;
pub(crate) use write::random;

/// The schema's version. Migrations only go forward.
const VERSION: i64 = 4;

/// Steps that are committed together at most.
const BATCH: usize = 128;

/// How often a transaction that met another one is run again.
const CONFLICTS: usize = 20;

/// How often a lost database is asked whether it committed the last transaction: for half a minute.
const RECONNECTS: u32 = 60;

/// Threads that read.
const READERS: usize = 2;

/// Where the store is.
#[derive(Clone, Debug)]
pub enum Database {
    /// A file, made when it is not there.
    Sqlite(PathBuf),
    /// A PostgreSQL database, by its URL, which holds a password.
    Postgres(SecretString),
    /// SQLite in memory, for simulations: each opening makes a new one, which goes with its last clone.
    Memory,
}

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
        source: Cause,
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
    Sql(#[source] Cause),
    /// Another transaction was at the same rows; nothing was taken, and it may be run again.
    #[error("write what another daemon is writing")]
    Conflict,
    /// The database cannot be reached.
    #[error("reach the database; it is tried again")]
    Away(#[source] Cause),
    /// A value in the database is not what was written there.
    #[error("the database holds a `{what}` that cannot be read")]
    Damaged {
        /// What.
        what: &'static str,
    },
    /// A database that is to be moved is in use.
    #[error(
        "a daemon is at work on the database; stop every daemon and try again (one that was killed holds its work for half a minute)"
    )]
    AtWork,
    /// A database that another one is to be moved into is in use.
    #[error("the database to move to is not empty: there is something in `{table}`; give it a new one")]
    NotEmpty {
        /// The first table that holds something.
        table: String,
    },
    /// The ledger of a database that is to be moved does not verify.
    #[error("move a database whose ledger was changed")]
    Ledger(#[source] Tampered),
    /// A value cannot be sealed or opened.
    #[error("seal or open a value of the database")]
    Seal(#[from] SealError),
    /// The transaction failed: nothing of it is in the database.
    #[error("write to the database, which took nothing; is its disk full?")]
    NotTaken,
    /// The writer has ended.
    #[error("the database's writer has ended; the log says why")]
    Closed,
    /// Randomness is missing.
    #[error("ask the system for randomness")]
    Random,
    /// There is a file where the backup is to be, or it cannot be made there.
    #[error("write the backup `{path}`")]
    Backup {
        /// Where.
        path: String,
        /// Why.
        #[source]
        source: Cause,
    },
    /// PostgreSQL has a tool of its own for it.
    #[error("back up a PostgreSQL database, for which there is `pg_dump --format=custom`")]
    NotAFile,
}

/// What a driver says of a failure.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Who asked gets the step back, to ask again.
type Reply = oneshot::Sender<(Step, Result<Committed, StoreError>)>;
type Query = Box<dyn FnOnce(Result<&mut Reading<'_>, StoreError>) + Send>;

/// The store. Clones are the same one.
#[derive(Clone)]
pub struct Store {
    steps: mpsc::Sender<(Step, Reply)>,
    queries: mpsc::Sender<Query>,
    shared: bool,
    salt: Vec<u8>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

/// A connection that reads, and what opens what is sealed.
pub(crate) struct Reading<'a> {
    pub(crate) db: &'a mut dyn Sql,
    pub(crate) vault: &'a Vault,
}

impl Store {
    /// Opens the database, and makes it when it is not there.
    pub fn open(database: &Database, keys: &Keys, clock: Clock) -> Result<Store, StoreError> {
        apart(|| Store::start(database, keys, clock))
    }

    fn start(database: &Database, keys: &Keys, clock: Clock) -> Result<Store, StoreError> {
        let memory = matches!(database, Database::Memory).then(memory::Memory::new).transpose()?;
        let connect = |role| match &memory {
            Some(memory) => Ok(Box::new(memory.another()) as Box<dyn Sql>),
            None => connect(database, role),
        };
        let mut writer = connect(sqlite::Role::Writer)?;
        writer.migrate()?;
        let shared = writer.is_shared();
        let vault = Arc::new(sealing::vault(&mut *writer, keys)?);
        let (steps, waiting) = mpsc::channel();
        spawn("store", {
            let vault = vault.clone();
            move || write(&mut *writer, &vault, &waiting, &clock)
        })?;
        let (queries, asked) = mpsc::channel();
        let asked = Arc::new(Mutex::new(asked));
        for _ in 0..READERS {
            let mut reader = connect(sqlite::Role::Reader)?;
            let (asked, vault) = (asked.clone(), vault.clone());
            spawn("store-reader", move || read(&mut *reader, &vault, &asked))?;
        }
        Ok(Store { steps, queries, shared, salt: vault.lookup("saved forms") })
    }

    /// Commits a step. When this returns, the step is on the disk.
    pub async fn commit(&self, step: Step) -> Result<Committed, StoreError> {
        self.commit_or_return(step).await.map_err(|(_, error)| error)
    }

    /// Commits a step, and gives it back when the database took nothing of it.
    pub(crate) async fn commit_or_return(&self, step: Step) -> Result<Committed, (Option<Step>, StoreError)> {
        let (reply, committed) = oneshot::channel();
        if let Err(mpsc::SendError((step, _))) = self.steps.send((step, reply)) {
            return Err((Some(step), StoreError::Closed));
        }
        match committed.await {
            Ok((_, Ok(committed))) => Ok(committed),
            Ok((step, Err(error))) => Err((Some(step), error)),
            Err(_) => Err((None, StoreError::Closed)),
        }
    }

    /// Bytes that are this database's own, for digests that nobody else can compute.
    pub(crate) fn salt(&self) -> Vec<u8> {
        self.salt.clone()
    }

    /// Whether several daemons may share the database.
    pub fn is_shared(&self) -> bool {
        self.shared
    }

    /// Asks a query on a thread that reads.
    async fn ask<T: Send + 'static>(
        &self,
        query: impl FnOnce(&mut Reading<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let query: Query = Box::new(move |reading| {
            // Whoever asked may have gone.
            let _ = reply.send(reading.and_then(query));
        });
        self.queries.send(query).map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }
}

/// Copies a database as it is at one instant into a new file, while daemons are at work on it.
pub fn backup(database: &Database, to: &Path) -> Result<(), StoreError> {
    match database {
        Database::Sqlite(from) => sqlite::backup(from, to),
        Database::Postgres(_) => Err(StoreError::NotAFile),
        Database::Memory => Err(StoreError::Backup {
            path: to.display().to_string(),
            source: "there is nothing to copy of a database in memory".into(),
        }),
    }
}

/// Does something with a driver on a thread of its own: PostgreSQL's waits in a way that a thread of the
/// asynchronous runtime must not.
fn apart<T: Send>(work: impl FnOnce() -> Result<T, StoreError> + Send) -> Result<T, StoreError> {
    std::thread::scope(|scope| scope.spawn(work).join()).unwrap_or(Err(StoreError::Closed))
}

/// Whether a daemon is at work on a database: a lease of one is in force at this instant, in seconds.
pub fn at_work(database: &Database, now: u32) -> Result<bool, StoreError> {
    apart(|| {
        let mut db = connect(database, sqlite::Role::Writer)?;
        db.migrate()?;
        let leases: u32 = scalar(&mut *db, "SELECT COUNT(*) FROM lease WHERE until > ?1", values![now])?;
        Ok(leases > 0)
    })
}

fn connect(database: &Database, role: sqlite::Role) -> Result<Box<dyn Sql>, StoreError> {
    Ok(match database {
        Database::Sqlite(path) => Box::new(sqlite::Sqlite::open(path, role)?),
        Database::Postgres(url) => Box::new(postgres::Postgres::open(url.clone())?),
        Database::Memory => Box::new(memory::Memory::new()?),
    })
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), StoreError> {
    let spawned = std::thread::Builder::new().name(name.into()).spawn(work);
    spawned.map(|_| ()).map_err(|_| StoreError::Closed)
}

/// A reader: answers what is asked, one question after the other.
fn read(db: &mut dyn Sql, vault: &Vault, asked: &Mutex<mpsc::Receiver<Query>>) {
    loop {
        let next = asked.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(query) = next else { return };
        query(Ok(&mut Reading { db, vault }));
    }
}

/// The writer: takes what waits, commits it together, answers.
fn write(db: &mut dyn Sql, vault: &Vault, waiting: &mpsc::Receiver<(Step, Reply)>, clock: &Clock) {
    while let Ok(first) = waiting.recv() {
        let mut batch = vec![first];
        batch.extend(waiting.try_iter().take(BATCH - 1));
        let (steps, replies): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
        match together(db, vault, &steps, clock.seconds()) {
            Ok(results) => {
                for ((step, reply), result) in steps.into_iter().zip(replies).zip(results) {
                    // Whoever asked may have gone; the step is committed all the same.
                    let _ = reply.send((step, Ok(result)));
                }
            }
            // One that cannot be written must not keep the others from it.
            Err(error) if steps.len() > 1 && !matches!(error, StoreError::Away(_)) => {
                for (step, reply) in steps.into_iter().zip(replies) {
                    let alone = together(db, vault, std::slice::from_ref(&step), clock.seconds());
                    let alone = alone.and_then(|mut results| results.pop().ok_or(StoreError::NotTaken));
                    let _ = reply.send((step, alone));
                }
            }
            Err(error) => {
                let away = matches!(error, StoreError::Away(_));
                let mut error = Some(error);
                for (step, reply) in steps.into_iter().zip(replies) {
                    let same = error.take().unwrap_or_else(|| {
                        if away {
                            StoreError::Away("the connection was lost".into())
                        } else {
                            StoreError::NotTaken
                        }
                    });
                    let _ = reply.send((step, Err(same)));
                }
            }
        }
    }
}

/// Runs steps in one transaction. One that met another daemon's is run again.
fn together(db: &mut dyn Sql, vault: &Vault, steps: &[Step], now: u32) -> Result<Vec<Committed>, StoreError> {
    let mut conflicts = 0;
    loop {
        match transaction(db, vault, steps, now) {
            Err(StoreError::Conflict) if conflicts < CONFLICTS => conflicts += 1,
            result => return result,
        }
    }
}

fn transaction(
    db: &mut dyn Sql,
    vault: &Vault,
    steps: &[Step],
    now: u32,
) -> Result<Vec<Committed>, StoreError> {
    db.begin()?;
    let mut writing = Writing::new(db, vault, now);
    let held = writing.hold_recipients(steps);
    let results: Result<Vec<_>, _> =
        held.and_then(|()| steps.iter().map(|step| writing.step(step)).collect());
    let written = results.and_then(|results| {
        pass(Point::BeforeLedger);
        writing.append_to_ledger()?;
        Ok(results)
    });
    match written {
        Ok(results) => {
            pass(Point::BeforeCommit);
            match db.commit() {
                Err(StoreError::Away(_)) if was_committed(db)? => {}
                committed => committed?,
            }
            Ok(results)
        }
        Err(error) => {
            // What could not be taken back is taken back by the database when the connection ends.
            let _ = db.rollback();
            Err(error)
        }
    }
}

/// The connection was lost while a transaction was being committed: whether it was is asked when the database
/// is back, so that nobody has to guess.
#[expect(
    clippy::disallowed_methods,
    reason = "a thread of the store's own waits for the database to come back"
)]
fn was_committed(db: &mut dyn Sql) -> Result<bool, StoreError> {
    let mut asked = 0;
    loop {
        match db.was_committed() {
            Err(StoreError::Away(_)) if asked < RECONNECTS => {
                asked += 1;
                std::thread::sleep(std::time::Duration::from_millis(500));
            }
            answered => return answered,
        }
    }
}

/// One transition of the flow.
#[derive(Debug)]
pub enum Step {
    /// Occasions were found. What is known already is left alone.
    Plan(Vec<NewMessage>),
    /// A message was decided.
    Decide(Box<Decided>),
    /// Messages of a project that are due are taken for sending, at most so many, until the lease ends.
    Claim {
        /// The project.
        project: String,
        /// The lease of its sender.
        lease: Lease,
        /// How many texts.
        texts: u32,
        /// How many calls.
        calls: u32,
        /// How many e-mails.
        mails: u32,
        /// How many texts and calls in all.
        in_all: u32,
        /// Whether only those texts and calls for which somebody waits.
        replies_only: bool,
        /// When the claims end, in seconds.
        until: u32,
    },
    /// Bytes are about to leave. The floor looks once more, in the same transaction.
    Submit {
        /// The message.
        id: String,
        /// The version that was reviewed.
        version: i64,
        /// The lease under which it was claimed: a daemon that lost it sends nothing.
        lease: Lease,
        /// Texts that the number may get in 24 hours.
        ceiling: u32,
        /// The sender, by its number or mailbox.
        sender: String,
        /// Inbound messages must have been taken in up to this instant.
        swept: u32,
        /// The decisions of the second review.
        decisions: Vec<DecisionRow>,
    },
    /// A submission ended.
    Settle {
        /// The message.
        id: String,
        /// The version that the submission made, so that an outcome that comes late is not another's.
        version: i64,
        /// How.
        outcome: Outcome,
    },
    /// Twilio reported on a message.
    Report(Report),
    /// Twilio was asked what became of a message.
    Look {
        /// The message.
        id: String,
        /// The version that was looked for.
        version: i64,
        /// What was found.
        found: Found,
    },
    /// A person found out what became of a message that nobody knew of.
    FindOut {
        /// The message.
        id: String,
        /// What the person says.
        fate: Fate,
        /// Who looked, and where.
        why: String,
    },
    /// A message came in. It is stored once, and an opt-out that needs no interpretation is written with it.
    Receive(Received),
    /// The inbound messages of a project were listed at Twilio, and everything that came in before an instant
    /// is stored.
    Swept {
        /// The project.
        project: String,
        /// The instant.
        until: u32,
    },
    /// What came in was understood.
    Understand(Box<Understood>),
    /// What came in could not be interpreted; it is tried again, or becomes a task.
    Misunderstand {
        /// Twilio's id.
        sid: String,
        /// Why.
        why: Reason,
        /// The decision, if a policy took one.
        decisions: Vec<DecisionRow>,
        /// Whether to stop trying.
        give_up: bool,
    },
    /// Somebody asked, in a way that no machine reads, not to be written to: a person notes it.
    OptOut {
        /// The project's name, "" for the institution.
        project: String,
        /// The number or mailbox, which says for which channel it counts.
        contact: Contact,
        /// Who notes it, and how it was asked for.
        why: String,
    },
    /// Numbers were read from REDCap.
    Phones {
        /// The project.
        project: String,
        /// Records and their numbers.
        pairs: Vec<(String, Option<PhoneNumber>)>,
    },
    /// A write to REDCap was tried.
    WriteBack {
        /// Its id.
        id: String,
        /// The error, or none when it was done.
        error: Option<String>,
        /// When to try again.
        again: u32,
    },
    /// Opt-outs are to be written to REDCap, once each.
    WriteOptOuts {
        /// The project.
        project: String,
        /// The field.
        field: String,
        /// Records that hold an opted-out number, and since when it is.
        records: Vec<(String, u32)>,
    },
    /// A copy at Twilio was redacted, deleted, or could not be.
    Cleaned {
        /// Twilio's id.
        sid: String,
        /// What came of it.
        cleaning: Cleaning,
    },
    /// A task was resolved.
    Resolve {
        /// Its id.
        id: String,
        /// By whom and how.
        resolution: String,
    },
    /// A person wants to look at a message before it goes.
    Hold {
        /// The message.
        id: String,
        /// Who, and why.
        why: String,
    },
    /// A person wants a message not to be sent at all.
    Cancel {
        /// The message.
        id: String,
        /// Who, and why.
        why: String,
    },
    /// A person has looked at a held message: it is decided again.
    Release {
        /// The message.
        id: String,
        /// Who looked, and what was mended.
        why: String,
    },
    /// Nothing of this scope is sent until it is resumed.
    Stop {
        /// What.
        scope: Scope,
        /// Why.
        why: String,
    },
    /// A scope is sent again.
    Resume {
        /// What.
        scope: Scope,
        /// Who or what says so.
        why: String,
    },
    /// Something that a person must mend. The same cause is one task.
    Ask {
        /// What kind of thing.
        kind: &'static str,
        /// The project.
        project: String,
        /// Names the task for ever.
        cause: String,
        /// What is wrong, and what to do.
        sentence: String,
    },
    /// A daemon wants a piece of the work for itself, or keeps it.
    Lease {
        /// Which.
        name: String,
        /// The daemon.
        holder: String,
        /// Until when, in seconds.
        until: u32,
    },
    /// A daemon gives up what it holds.
    Leave {
        /// The daemon.
        holder: String,
    },
    /// Rows of the ledger that were committed are chained. SQLite chains them when it writes them.
    Seal,
    /// Bodies, values and what else is private and older than this is destroyed; the ledger still verifies.
    Destroy {
        /// The project.
        project: String,
        /// What ended before this instant, in seconds.
        before: u32,
    },
    /// A database was restored from a backup: what may have been sent since is looked for at Twilio first.
    Restored {
        /// When the backup was made.
        since: u32,
    },
    /// What was deferred by a rule is decided now: the rule's cause is gone.
    Wake {
        /// The project.
        project: String,
        /// The rule.
        rule: &'static str,
    },
    /// Every record of a project was read, and what there is reason for is planned.
    ReadWhole {
        /// The project.
        project: String,
    },
    /// REDCap's log was read, and what it names is planned.
    ReadLog {
        /// The project.
        project: String,
        /// Until when, in seconds.
        until: u32,
    },
    /// What was due before a project, or these schedules of it, was recorded: from now on what becomes due is sent.
    GoLive {
        /// The project.
        project: String,
        /// The schedules.
        schedules: Vec<String>,
    },
    /// Schedules are REDCap's again: what becomes due until they are run here once more, REDCap has sent.
    GiveBack {
        /// The project.
        project: String,
        /// The schedules.
        schedules: Vec<String>,
    },
    /// A person wants every record of a project looked at now.
    Reevaluate {
        /// The project.
        project: String,
        /// For this schedule only.
        schedule: Option<String>,
        /// Who, and why.
        why: String,
    },
    /// Every record was looked at, as it was asked for.
    Reevaluated {
        /// The project.
        project: String,
        /// The schedules that were asked for; a blank one is all of them.
        schedules: std::collections::BTreeSet<String>,
        /// What was asked for after this instant, in seconds, is not done yet.
        before: u32,
    },
    /// Holds what became due without having been planned, if that is more than so much.
    Brake {
        /// The project.
        project: String,
        /// So many may go.
        more_than: u32,
    },
    /// A person has looked at what was held before go-live or by the brake.
    CatchUp {
        /// Which of it, and what becomes of it.
        catch_up: CatchUp,
        /// Who, and why.
        why: String,
    },
    /// Records changed: what waits for something to be mended in them is looked at again.
    Mended {
        /// The project.
        project: String,
        /// The records.
        records: Vec<String>,
    },
    /// A person wants a message that has not left at another time.
    Reschedule {
        /// The message.
        id: String,
        /// When, in seconds.
        due: u32,
        /// Who, and why.
        why: String,
    },
    /// What an older system left at Twilio was deleted.
    Purged {
        /// The project.
        project: String,
        /// How many records.
        count: u64,
    },
    /// Adds to a figure.
    Count(&'static str),
}

/// Some of what was held before go-live or by the brake, and what becomes of it.
#[derive(Clone, Debug)]
pub struct CatchUp {
    /// The project.
    pub project: String,
    /// Of this schedule only.
    pub schedule: Option<String>,
    /// What becomes of it.
    pub what: Catching,
    /// A sample of so many; none for all of it.
    pub at_most: Option<u32>,
    /// What is held because REDCap itself had queued it, instead of what is held for another reason.
    pub queued: bool,
}

/// What becomes of something that was held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Catching {
    /// It is sent, as if it were due now.
    Release,
    /// It is never sent.
    Expire,
}

/// A kind of work that is done for a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Queue {
    /// Inbound messages to interpret, of every project.
    Inbox,
    /// Records to read, messages to decide, values to write.
    Decide,
    /// Messages to send.
    Send,
    /// Inbound messages to list, messages of which Twilio is asked.
    Follow,
    /// Copies at Twilio.
    Clean,
}

/// A lease: a piece of the work that one daemon does at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Which piece.
    pub name: String,
    /// Counts its holders: an order that a former holder gives is refused by it.
    pub fence: i64,
}

/// What can be stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Everything.
    All,
    /// A project.
    Project(String),
    /// A sender, by its number or mailbox: its registration or credentials need a person.
    Sender(String),
    /// A wording, by the digest of its template: Twilio or the carriers refuse it.
    Wording(String),
    /// A number, by how the store finds it again: it cannot be reached this way.
    Recipient(Vec<u8>, Channel),
}

impl Scope {
    /// As the store and the command line write it.
    pub fn word(&self) -> String {
        match self {
            Scope::All => String::new(),
            Scope::Project(name) => format!("project/{name}"),
            Scope::Sender(sender) => format!("sender/{sender}"),
            Scope::Wording(digest) => format!("wording/{digest}"),
            Scope::Recipient(key, channel) => format!("recipient/{}/{}", hex::encode(key), channel.word()),
        }
    }

    /// The scope that is written so.
    pub fn read(word: &str) -> Option<Scope> {
        if word.is_empty() {
            return Some(Scope::All);
        }
        match word.split_once('/')? {
            (_, "") => None,
            ("project", name) => Some(Scope::Project(name.into())),
            ("sender", sender) => Some(Scope::Sender(sender.into())),
            ("wording", digest) => Some(Scope::Wording(digest.into())),
            ("recipient", rest) => {
                let (key, channel) = rest.split_once('/')?;
                Some(Scope::Recipient(hex::decode(key).ok()?, Channel::read(channel)?))
            }
            _ => None,
        }
    }
}

/// What a look at Twilio found.
#[derive(Debug)]
pub enum Found {
    /// It is there.
    Message {
        /// Twilio's id.
        sid: String,
        /// Its status.
        status: ProviderStatus,
        /// Twilio's error code.
        code: Option<u32>,
    },
    /// Everything was listed, and it is not there.
    Nothing,
    /// Twilio could not be asked.
    Unanswered,
}

/// Twilio's word for where something stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProviderStatus {
    /// Of a text.
    Text(MessageStatus),
    /// Of a call.
    Call(CallStatus),
}

impl ProviderStatus {
    /// Twilio's spelling.
    pub fn as_str(&self) -> &str {
        match self {
            ProviderStatus::Text(status) => status.as_str(),
            ProviderStatus::Call(status) => status.as_str(),
        }
    }

    /// Where it puts a message.
    pub fn state(&self) -> State {
        match self {
            ProviderStatus::Text(status) => State::of(status),
            ProviderStatus::Call(status) => State::of_call(status),
        }
    }
}

/// What a person says of a message that nobody knew of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It reached the person, or is on its way.
    Sent,
    /// It did not, and is not to.
    NotSent,
    /// It did not: it is decided again.
    SendAgain,
}

/// What came of cleaning up at Twilio.
#[derive(Debug)]
pub enum Cleaning {
    /// Its words are gone; its record is not yet.
    Redacted {
        /// What Twilio charged, in millionths, if it says so by now.
        price: Option<i64>,
        /// The currency.
        currency: Option<String>,
    },
    /// A fetch finds nothing any more.
    Gone,
    /// Not yet, for a reason of Twilio's.
    NotYet {
        /// Whether Twilio answered at all: what it refuses counts, an outage does not.
        answered: bool,
    },
}

/// A decided message.
#[derive(Debug)]
pub struct Decided {
    /// The message.
    pub id: String,
    /// The version that it was decided on.
    pub version: i64,
    /// Where it goes.
    pub state: State,
    /// When it is looked at again.
    pub look_at: u32,
    /// What is to be sent.
    pub draft: Option<Draft>,
    /// Why.
    pub reason: Option<Reason>,
    /// The decisions of the policies, in order.
    pub decisions: Vec<DecisionRow>,
    /// Writes to REDCap that a policy asked for: the event, and fields with their values.
    pub writes: Vec<(String, Vec<(String, String)>)>,
    /// Messages that a policy asked for.
    pub messages: Vec<NewMessage>,
    /// What a policy asked for and does not get, for the ledger.
    pub refused: Vec<String>,
    /// What allowed it: approvals and consent, for the ledger.
    pub evidence: Option<Value>,
}

/// One decision of a policy, for the ledger.
#[derive(Clone, Debug)]
pub struct DecisionRow {
    /// Which policy, what it answered, by which rules, with how much fuel. No number, no body.
    pub public: Value,
    /// The encoded decision record.
    pub record: Vec<u8>,
}

/// How a submission ended.
#[derive(Debug)]
pub enum Outcome {
    /// Twilio has it.
    Accepted {
        /// Twilio's id.
        sid: String,
        /// Twilio's first word.
        status: ProviderStatus,
    },
    /// The mail server has it. Nothing more is heard of it.
    Mailed,
    /// It was definitely not sent, and is decided again.
    Again {
        /// When.
        at: u32,
        /// The failed attempt, if routing should know of it.
        attempt: Option<Attempt>,
        /// Twilio's code.
        code: Option<u32>,
        /// Why.
        why: Reason,
        /// What nothing is sent of until a person, or the account's good state, says so.
        stop: Option<Scope>,
    },
    /// It was definitely not sent, and never will be: Twilio knows of an opt-out.
    OptedOut {
        /// Twilio's code.
        code: Option<u32>,
    },
    /// It was definitely not sent, and a person must look before it is tried again.
    Held {
        /// Twilio's code.
        code: Option<u32>,
        /// Why.
        why: Reason,
        /// What nothing is sent of until a person says so.
        stop: Option<Scope>,
    },
    /// It may or may not have been sent.
    Unknown {
        /// What left it open.
        why: Reason,
    },
}

/// What Twilio reported on a message.
#[derive(Debug)]
pub struct Report {
    /// The project to whose address Twilio reported.
    pub project: String,
    /// Our id, from the status callback's URL.
    pub id: Option<String>,
    /// Twilio's id.
    pub sid: String,
    /// Twilio's word.
    pub status: ProviderStatus,
    /// Twilio's error code.
    pub code: Option<u32>,
}

/// A message that came in.
#[derive(Debug)]
pub struct Received {
    /// Twilio's id.
    pub sid: String,
    /// The project whose number it came to.
    pub project: String,
    /// Who sent it.
    pub number: PhoneNumber,
    /// What it says.
    pub body: MessageBody,
    /// What Twilio did with it: "none", "stopped", "started" or "helped".
    pub provider: &'static str,
    /// When Twilio got it, in seconds; a message that is found later came in no later.
    pub sent: u32,
    /// Whether its record at Twilio stays there: opt-outs can be read there too.
    pub keep_at_twilio: bool,
    /// Whether it is an opt-out beyond doubt.
    pub stop: Option<Reason>,
}

/// What an inbound message came to.
#[derive(Debug)]
pub struct Understood {
    /// Twilio's id.
    pub sid: String,
    /// The intent's name.
    pub intent: &'static str,
    /// Why.
    pub reason: Option<Reason>,
    /// The decision.
    pub decisions: Vec<DecisionRow>,
    /// An opt-out to write; the project's name, "" for the institution.
    pub stop: Option<String>,
    /// Whether the number is to be texted again.
    pub start: bool,
    /// Answers to send.
    pub messages: Vec<NewMessage>,
    /// A task for a person.
    pub task: Option<(&'static str, String)>,
    /// Records that hold the number, in which an opt-out is written: record, fields and values.
    pub writes: Vec<(String, Vec<(String, String)>)>,
}

/// What came of a step.
#[derive(Debug)]
pub enum Committed {
    /// It is done.
    Done,
    /// It had been done before, or something else came first: nothing was changed, but that a message which was
    /// claimed under a lease that has gone is due again.
    Stale,
    /// These are new, by id.
    Planned(Vec<String>),
    /// These are claimed.
    Claimed(Vec<Message>),
    /// The floor stopped a submission.
    Stopped(Reason),
    /// Who asked holds the lease.
    Leased(Lease),
    /// The figure's new value, or how many rows were sealed or destroyed.
    Count(u64),
}

/// A number or a mailbox. It does not print.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contact {
    /// A number.
    Phone(PhoneNumber),
    /// A mailbox.
    Mailbox(Mailbox),
}

impl Contact {
    /// In clear.
    pub fn expose(&self) -> &str {
        match self {
            Contact::Phone(number) => number.expose(),
            Contact::Mailbox(mailbox) => mailbox.expose(),
        }
    }

    /// Under which spelling it is found again.
    pub(crate) fn key(&self) -> String {
        match self {
            Contact::Phone(number) => number.expose().to_owned(),
            Contact::Mailbox(mailbox) => mailbox_key(mailbox.expose()),
        }
    }

    /// The channel that somebody means who does not want to be written to there.
    pub fn channel(&self) -> Channel {
        match self {
            Contact::Phone(_) => Channel::Sms,
            Contact::Mailbox(_) => Channel::Email,
        }
    }
}

/// An opt-out in force.
#[derive(Clone, Debug)]
pub struct OptOut {
    /// Whom it is of.
    pub of: Contact,
    /// The channel.
    pub channel: Channel,
    /// The project's name, "" for the institution.
    pub project: String,
    /// From when on.
    pub at: u32,
    /// How we know: "keyword", "plain language", "twilio" …
    pub source: String,
    /// The inbound message that caused it, by Twilio's id.
    pub cause: Option<String>,
    /// When it ended, if it did.
    pub ended: Option<u32>,
}

/// An inbound message that was not interpreted yet.
#[derive(Debug)]
pub struct Waiting {
    /// Twilio's id.
    pub sid: String,
    /// The project.
    pub project: String,
    /// Who sent it.
    pub number: PhoneNumber,
    /// What it says.
    pub body: MessageBody,
    /// What Twilio did with it.
    pub provider: String,
    /// When it came.
    pub at: u32,
    /// How often it was tried.
    pub tries: u32,
}

/// A write to REDCap that is to be done.
#[derive(Debug)]
pub struct WriteBack {
    /// Its id.
    pub id: String,
    /// The project.
    pub project: String,
    /// The record.
    pub record: String,
    /// The event; none for where the fields about the participant stand.
    pub event: Option<String>,
    /// Fields and values.
    pub values: Vec<(String, String)>,
    /// How often it was tried.
    pub tries: u32,
}

/// Something that waits for a person.
#[derive(Clone, Debug)]
pub struct Task {
    /// Its id.
    pub id: String,
    /// "unclear-reply", "unread-reply", "failed-write-back" …
    pub kind: String,
    /// The project.
    pub project: String,
    /// What happened, and what to do.
    pub sentence: String,
    /// Since when, in seconds.
    pub at: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_that_was_written_is_read_back() {
        for scope in [
            Scope::All,
            Scope::Project("sleep".into()),
            Scope::Sender("+16175550100".into()),
            Scope::Wording("sha256:1".into()),
            Scope::Recipient(vec![0, 171], Channel::Voice),
        ] {
            assert_eq!(Scope::read(&scope.word()), Some(scope));
        }
        for wrong in
            ["restored", "projects/sleep", "project/", "recipient/0", "recipient/zz/sms", "recipient/00/fax"]
        {
            assert_eq!(Scope::read(wrong), None, "{wrong}");
        }
    }
}
