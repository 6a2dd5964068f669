//! The queries: named after what they are asked for, short, and by index.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use policy::contract::types::{Channel, PastMessage, Purpose, Survey};
use serde_json::Value as Json;
use twilio::{MessageBody, PhoneNumber};

use super::sql::{Row, Sql, Value, one, scalar, values};
use super::{Contact, OptOut, Queue, Reading, Store, StoreError, Task, Waiting, WriteBack};
use crate::ledger::{self, Head, Tampered, Verifier};
use crate::mail::{Mailbox, mailbox_key};
use crate::outbox::{Message, NewMessage, State};
use crate::schedule::Origin;
use crate::takeover::QUEUED;
use crate::vault::Vault;
use crate::vocabulary::Word;
use crate::watch::{BEFORE_GO_LIVE, BRAKE};

/// A copy at Twilio that is to be cleaned up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Twilio's id.
    pub sid: String,
    /// "message", "inbound" or "call".
    pub kind: String,
    /// Whether its words are gone already.
    pub redacted: bool,
    /// Whether its price is known, or is no matter.
    pub priced: bool,
    /// How often Twilio did not let it be deleted.
    pub tries: u32,
}

/// How many there are of something, and since when the oldest is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count {
    /// The project.
    pub project: String,
    /// The state or the kind.
    pub what: String,
    /// How many.
    pub count: u64,
    /// Since when, in seconds.
    pub oldest: u32,
}

/// What of the ledger is not chained yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsealed {
    /// Rows.
    pub rows: u64,
    /// Since when the oldest is there, in seconds.
    pub since: Option<u32>,
    /// Rows that are chained.
    pub chained: u64,
}

/// What the messages of a project cost in a month.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cost {
    /// The project.
    pub project: String,
    /// The first second of the month, in UTC.
    pub month: u32,
    /// Messages that Twilio has told the price of.
    pub priced: u64,
    /// Messages that reached Twilio.
    pub sent: u64,
    /// Their segments.
    pub segments: u64,
    /// Millionths of the currency.
    pub micros: i64,
    /// An ISO 4217 code.
    pub currency: Option<String>,
}

/// What nothing is sent of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// The scope, as [`super::Scope::word`] writes it.
    pub scope: String,
    /// Since when, in seconds.
    pub at: u32,
    /// Why.
    pub why: String,
}

/// Which messages a log is to show.
#[derive(Clone, Debug, Default)]
pub struct LogFilter {
    /// Of this project.
    pub project: Option<String>,
    /// About this record.
    pub record: Option<String>,
    /// Of this schedule.
    pub schedule: Option<String>,
    /// In this state.
    pub state: Option<State>,
    /// What is still to come, or what is past.
    pub side: Option<Side>,
    /// So many at most.
    pub limit: u32,
}

/// One side of now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// What may still be sent, the next first.
    Future,
    /// What was sent, or is not sent any more, the newest first.
    Past,
}

/// What is known of a number, of a mailbox and of the records that hold them.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// The opt-outs in force, oldest first.
    pub(crate) opt_outs: Vec<OptOut>,
    /// What was sent to them, newest first, at most 50.
    pub(crate) recent: Vec<PastMessage>,
    /// Surveys to which the records have an unanswered invitation.
    pub(crate) open_invitations: Vec<Survey>,
}

impl Store {
    /// Messages of a project to decide: planned or deferred, and due to be looked at.
    pub async fn undecided(&self, project: &str, now: u32, limit: u32) -> Result<Vec<Message>, StoreError> {
        let given = values![project, now, limit].to_vec();
        self.ask(move |reading| {
            // Somebody waits for a reply; what nobody waits for comes after it.
            let mut found = messages(
                reading.db,
                reading.vault,
                "WHERE project = ?1 AND state IN ('planned', 'deferred') AND priority = 0 AND look_at <= ?2 \
                 ORDER BY look_at, id LIMIT ?3",
                &given,
            )?;
            found.extend(messages(
                reading.db,
                reading.vault,
                "WHERE project = ?1 AND state IN ('planned', 'deferred') AND priority <> 0 AND look_at <= ?2 \
                 ORDER BY look_at, id LIMIT ?3",
                &given,
            )?);
            Ok(found)
        })
        .await
    }

    /// Since when a project is live, if it is.
    pub async fn live_since(&self, project: &str) -> Result<Option<u32>, StoreError> {
        self.figure_of(format!("live/{project}")).await
    }

    /// Until when REDCap's log was read.
    pub(crate) async fn log_read_until(&self, project: &str) -> Result<Option<u32>, StoreError> {
        let read = self.figure_of(format!("log/{project}")).await?;
        // What happened between going live and the first look at the log is in it.
        Ok(read.or(self.live_since(project).await?))
    }

    async fn figure_of(&self, name: String) -> Result<Option<u32>, StoreError> {
        self.ask(move |reading| {
            let found = one(reading.db, "SELECT value FROM figure WHERE name = ?1", values![name])?;
            found.map(|row| row.get(0)).transpose()
        })
        .await
    }

    /// What was held before go-live, by the brake, or because REDCap had queued it: how many of each schedule, by
    /// rule, and the oldest's due time.
    pub async fn to_catch_up(&self, project: &str) -> Result<Vec<(String, Count)>, StoreError> {
        let given = values![project, BEFORE_GO_LIVE, BRAKE, QUEUED].to_vec();
        self.ask(move |reading| {
            let rows = reading.db.query(
                "SELECT rule, project, schedule, COUNT(*), MIN(due) FROM message WHERE project = ?1 \
                 AND state = 'held' AND rule IN (?2, ?3, ?4) AND purpose <> 'reminder' \
                 GROUP BY rule, project, schedule ORDER BY rule, schedule",
                &given,
            )?;
            let one = |row: &Row| {
                let count = Count {
                    project: row.get(1)?,
                    what: row.get(2)?,
                    count: row.get(3)?,
                    oldest: row.get(4)?,
                };
                Ok((row.get(0)?, count))
            };
            rows.iter().map(one).collect()
        })
        .await
    }

    /// What became so since a row of the ledger: the row, and what it is about.
    pub async fn happened(&self, kind: &'static str, since: i64) -> Result<Vec<(i64, String)>, StoreError> {
        self.ask(move |reading| {
            let rows = reading.db.query(
                "SELECT id, subject FROM ledger WHERE id > ?1 AND kind = ?2 ORDER BY id",
                values![since, kind],
            )?;
            rows.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect()
        })
        .await
    }

    /// Where the message of an occasion stands, and by which rule.
    pub(crate) async fn standing_of(
        &self,
        occasion: &str,
    ) -> Result<Option<(State, Option<String>)>, StoreError> {
        let given = values![occasion].to_vec();
        self.ask(move |reading| {
            let found = one(reading.db, "SELECT state, rule FROM message WHERE occasion = ?1", &given)?;
            let standing = found.map(|row| {
                let state = State::read(&row.get::<String>(0)?);
                Ok((state.ok_or(StoreError::Damaged { what: "state" })?, row.get(1)?))
            });
            standing.transpose()
        })
        .await
    }

    /// Other records whose message of the same schedule, event, instance and repetition may have reached the same
    /// number or mailbox.
    pub(crate) async fn twins(
        &self,
        phone: Option<&PhoneNumber>,
        mailbox: Option<String>,
        record: &str,
        origin: &Origin,
    ) -> Result<BTreeSet<String>, StoreError> {
        let (phone, record, origin) = (phone.cloned(), record.to_owned(), origin.clone());
        self.ask(move |reading| {
            let nobody = Vec::new;
            let by_phone = phone.map_or_else(nobody, |phone| reading.vault.lookup(phone.expose()));
            let by_mail = mailbox.map_or_else(nobody, |mailbox| reading.vault.lookup(&mailbox_key(&mailbox)));
            let rows = reading.db.query(
                "SELECT record, origin FROM message WHERE recipient IN (?1, ?4) AND submitted IS NOT NULL \
                 AND schedule = ?2 AND record <> ?3 \
                 AND state IN ('submitting', 'accepted', 'sent', 'delivered', 'unknown')",
                values![by_phone, origin.schedule.as_str(), record, by_mail],
            )?;
            let mut others = BTreeSet::new();
            for row in rows {
                let of: Option<String> = row.get(1)?;
                let of: Option<Origin> = of.map(|json| read_json(&json, "origin")).transpose()?;
                if of.is_some_and(|of| of == origin) {
                    others.insert(row.get(0)?);
                }
            }
            Ok(others)
        })
        .await
    }

    /// Messages of a project of which Twilio is to be asked what became of them.
    pub async fn to_follow(&self, project: &str, now: u32, limit: u32) -> Result<Vec<Message>, StoreError> {
        self.messages(
            "WHERE project = ?1 AND state IN ('accepted', 'sent', 'unknown') AND ended IS NULL AND look_at <= ?2 \
             ORDER BY look_at LIMIT ?3",
            values![project, now, limit].to_vec(),
        )
        .await
    }

    async fn messages(&self, rest: &'static str, given: Vec<Value>) -> Result<Vec<Message>, StoreError> {
        self.ask(move |reading| messages(reading.db, reading.vault, rest, &given)).await
    }

    /// When something of a project is looked at next, if anything waits.
    pub async fn next_look(&self, project: &str) -> Result<Option<u32>, StoreError> {
        let mut next = None;
        for queue in [Queue::Decide, Queue::Send, Queue::Follow, Queue::Clean] {
            next = next.into_iter().chain(self.next_of(queue, project).await?).min();
        }
        Ok(next)
    }

    /// When there is work of a kind for a project again, as far as the store knows.
    pub(crate) async fn next_of(&self, queue: Queue, project: &str) -> Result<Option<u32>, StoreError> {
        let statements: &[&str] = match queue {
            // It is woken by each inbound message.
            Queue::Inbox => &[],
            Queue::Decide => &[
                "SELECT MIN(look_at) FROM message WHERE project = ?1 AND state IN ('planned', 'deferred')",
                "SELECT MIN(look_at) FROM write_back WHERE project = ?1 AND state = 'new'",
            ],
            Queue::Send => &["SELECT MIN(look_at) FROM message WHERE project = ?1 AND state = 'submitting'"],
            Queue::Follow => &["SELECT MIN(look_at) FROM message WHERE project = ?1 \
                 AND state IN ('accepted', 'sent', 'unknown') AND ended IS NULL"],
            Queue::Clean => {
                &["SELECT MIN(look_at) FROM copy WHERE project = ?1 AND state IN ('final', 'redacted')"]
            }
        };
        let project = project.to_owned();
        self.ask(move |reading| {
            let mut next: Option<u32> = None;
            for sql in statements {
                let found: Option<u32> = scalar(reading.db, sql, values![project.as_str()])?;
                next = next.into_iter().chain(found).min();
            }
            // The index of what is due is sorted by channel and priority: one look for each, however much is due.
            let lanes = Channel::ALL.iter().flat_map(|(channel, _)| [(*channel, 0_u32), (*channel, 1)]);
            for (channel, priority) in lanes.filter(|_| queue == Queue::Send) {
                let due = "SELECT MIN(look_at) FROM message WHERE project = ?1 AND channel = ?2 AND priority = ?3 \
                           AND state IN ('due', 'claimed')";
                let given = values![project.as_str(), channel.word(), priority];
                next = next.into_iter().chain(scalar::<Option<u32>>(reading.db, due, given)?).min();
            }
            Ok(next)
        })
        .await
    }

    /// One message.
    pub async fn message(&self, id: &str) -> Result<Option<Message>, StoreError> {
        Ok(self.messages("WHERE id = ?1", values![id].to_vec()).await?.pop())
    }

    /// Messages, newest first, at most so many; of a project and a record, if they are given.
    pub async fn log(
        &self,
        project: Option<&str>,
        record: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Message>, StoreError> {
        self.messages(
            "WHERE (CAST(?1 AS TEXT) IS NULL OR project = ?1) AND (CAST(?2 AS TEXT) IS NULL OR record = ?2) \
             ORDER BY id DESC LIMIT ?3",
            values![project, record, limit].to_vec(),
        )
        .await
    }

    /// The messages that a filter lets through.
    pub async fn find(&self, filter: &LogFilter) -> Result<Vec<Message>, StoreError> {
        let LogFilter { project, record, schedule, state, side, limit } = filter;
        let given = values![
            project.as_deref(),
            record.as_deref(),
            schedule.as_deref(),
            state.map(State::name),
            *limit
        ];
        let future = "submitted IS NULL AND state IN ('planned', 'deferred', 'due', 'claimed', 'held')";
        let rest = match side {
            None => "ORDER BY id DESC".to_owned(),
            Some(Side::Future) => format!("AND {future} ORDER BY due, id"),
            Some(Side::Past) => format!("AND NOT ({future}) ORDER BY changed DESC, id DESC"),
        };
        let rest = format!(
            "WHERE (CAST(?1 AS TEXT) IS NULL OR project = ?1) AND (CAST(?2 AS TEXT) IS NULL OR record = ?2) \
             AND (CAST(?3 AS TEXT) IS NULL OR schedule = ?3) AND (CAST(?4 AS TEXT) IS NULL OR state = ?4) {rest} \
             LIMIT ?5"
        );
        let given = given.to_vec();
        self.ask(move |reading| messages(reading.db, reading.vault, &rest, &given)).await
    }

    /// The schedules of a project that are run here: what was due before them is recorded.
    pub(crate) async fn begun(&self, project: &str) -> Result<BTreeSet<String>, StoreError> {
        self.figures_under(format!("begun/{project}/")).await
    }

    /// The schedules for which every record is to be looked at; "" is for all of them.
    pub(crate) async fn to_reevaluate(&self, project: &str) -> Result<BTreeSet<String>, StoreError> {
        self.figures_under(format!("reevaluate/{project}/")).await
    }

    /// What the names of figures that are not 0 end in.
    async fn figures_under(&self, under: String) -> Result<BTreeSet<String>, StoreError> {
        self.ask(move |reading| {
            // A project's name has no character that stands for others here.
            let sql = "SELECT name FROM figure WHERE name LIKE ?1 AND value > 0";
            let rows = reading.db.query(sql, values![format!("{under}%")])?;
            rows.iter().map(|row| Ok(row.get::<String>(0)?[under.len()..].to_owned())).collect()
        })
        .await
    }

    /// How many occasions each schedule of a project ever made.
    pub(crate) async fn made(&self, project: &str) -> Result<BTreeMap<String, u64>, StoreError> {
        let project = project.to_owned();
        self.ask(move |reading| {
            let rows = reading.db.query(
                "SELECT schedule, COUNT(*) FROM message WHERE project = ?1 AND schedule IS NOT NULL GROUP BY schedule",
                values![project],
            )?;
            rows.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect()
        })
        .await
    }

    /// Inbound messages that were not interpreted yet, oldest first.
    /// One that could not be interpreted waits 30 seconds more each time.
    pub async fn uninterpreted(&self, now: u32, limit: u32) -> Result<Vec<Waiting>, StoreError> {
        self.ask(move |reading| {
            let rows = reading.db.query(
                "SELECT sid, project, number, body, provider, at, tries FROM inbound \
                 WHERE state = 'new' AND at + 30 * tries <= ?1 ORDER BY at, seq LIMIT ?2",
                values![now, limit],
            )?;
            rows.iter()
                .map(|row| {
                    Ok(Waiting {
                        sid: row.get(0)?,
                        project: row.get(1)?,
                        number: number(&opened(reading.vault, "inbound.number", &row.get::<Vec<u8>>(2)?)?)?,
                        body: MessageBody::from(opened(
                            reading.vault,
                            "inbound.body",
                            &row.get::<Vec<u8>>(3)?,
                        )?),
                        provider: row.get(4)?,
                        at: row.get(5)?,
                        tries: row.get(6)?,
                    })
                })
                .collect()
        })
        .await
    }

    /// How many daemons hold a lease for themselves.
    pub(crate) async fn daemons(&self, now: u32) -> Result<usize, StoreError> {
        self.ask(move |reading| {
            let count: u32 = scalar(
                reading.db,
                "SELECT COUNT(*) FROM lease WHERE name LIKE 'daemon/%' AND until > ?1",
                values![now],
            )?;
            Ok(usize::try_from(count).unwrap_or(1))
        })
        .await
    }

    /// Up to which instant the inbound messages of a project were taken in, in seconds.
    pub async fn swept(&self, project: &str) -> Result<Option<u32>, StoreError> {
        let project = project.to_owned();
        self.ask(move |reading| {
            let row =
                one(reading.db, "SELECT until FROM swept WHERE project = ?1", values![project.as_str()])?;
            row.map(|row| row.get(0)).transpose()
        })
        .await
    }

    /// The opt-outs in force for a number or a mailbox, as a project is bound by them.
    pub async fn opt_outs(&self, of: &Contact, project: &str) -> Result<Vec<OptOut>, StoreError> {
        let (key, project) = (of.key(), project.to_owned());
        self.ask(move |reading| {
            let recipient = reading.vault.lookup(&key);
            opt_outs_in_force(reading, &recipient, &project)
        })
        .await
    }

    /// Every opt-out there ever was, oldest first.
    pub async fn all_opt_outs(&self) -> Result<Vec<OptOut>, StoreError> {
        self.ask(|reading| opt_outs(reading.db, reading.vault, "ORDER BY at, recipient", values![])).await
    }

    /// What became of the last messages to a number: when, Twilio's word, Twilio's code.
    pub async fn deliveries(
        &self,
        phone: &PhoneNumber,
        limit: u32,
    ) -> Result<Vec<(u32, String, Option<u32>)>, StoreError> {
        let phone = phone.clone();
        self.ask(move |reading| {
            let rows = reading.db.query(
                "SELECT submitted, COALESCE(provider_status, state), error_code FROM message \
                 WHERE recipient = ?1 AND submitted IS NOT NULL ORDER BY submitted DESC LIMIT ?2",
                values![reading.vault.lookup(phone.expose()), limit.min(50)],
            )?;
            rows.iter().map(|row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).collect()
        })
        .await
    }

    /// What nearly every decision needs of a number and of its records, asked at once.
    pub(crate) async fn history(
        &self,
        project: &str,
        phone: Option<&PhoneNumber>,
        mailbox: Option<String>,
        records: Vec<String>,
    ) -> Result<History, StoreError> {
        let (project, phone) = (project.to_owned(), phone.map(|phone| phone.expose().to_owned()));
        self.ask(move |reading| {
            let mut history = History::default();
            for contact in phone.into_iter().chain(mailbox.map(|mailbox| mailbox_key(&mailbox))) {
                let recipient = reading.vault.lookup(&contact);
                history.opt_outs.extend(opt_outs_in_force(reading, &recipient, &project)?);
                history.recent.extend(recent(reading, recipient)?);
            }
            history.opt_outs.sort_by_key(|opt_out| opt_out.at);
            history.recent.sort_by_key(|past| Reverse(past.at));
            history.recent.truncate(50);
            for record in records {
                history.open_invitations.extend(open_invitations(reading, &project, record)?);
            }
            Ok(history)
        })
        .await
    }

    /// The records of a project that hold a number.
    pub async fn records_of(&self, project: &str, phone: &PhoneNumber) -> Result<Vec<String>, StoreError> {
        let (project, phone) = (project.to_owned(), phone.clone());
        self.ask(move |reading| {
            let rows = reading.db.query(
                "SELECT record FROM phone WHERE recipient = ?2 AND project = ?1 ORDER BY record",
                values![project, reading.vault.lookup(phone.expose())],
            )?;
            rows.iter().map(|row| row.get(0)).collect()
        })
        .await
    }

    /// Writes to a project's REDCap that are to be done.
    pub async fn write_backs(
        &self,
        project: &str,
        now: u32,
        limit: u32,
    ) -> Result<Vec<WriteBack>, StoreError> {
        let project = project.to_owned();
        self.ask(move |reading| {
            let rows = reading.db.query(
                "SELECT id, project, record, event, field_values, tries FROM write_back \
                 WHERE project = ?1 AND state = 'new' AND look_at <= ?2 ORDER BY look_at, id LIMIT ?3",
                values![project, now, limit],
            )?;
            rows.iter()
                .map(|row| {
                    let values = opened(reading.vault, "write_back.values", &row.get::<Vec<u8>>(4)?)?;
                    Ok(WriteBack {
                        id: row.get(0)?,
                        project: row.get(1)?,
                        record: row.get(2)?,
                        event: row.get(3)?,
                        values: read_json(&values, "write-back")?,
                        tries: row.get(5)?,
                    })
                })
                .collect()
        })
        .await
    }

    /// Records of a project that hold an opted-out number, which REDCap was not told yet: however the opt-out
    /// came to be known, and also when the record got the number later.
    pub async fn unwritten_opt_outs(&self, project: &str) -> Result<Vec<(String, u32)>, StoreError> {
        let project = project.to_owned();
        self.ask(move |reading| {
            let rows = reading.db.query(
                "SELECT phone.record, MAX(opt_out.at) FROM opt_out \
                 JOIN phone ON phone.recipient = opt_out.recipient \
                 WHERE phone.project = ?1 AND opt_out.project IN ('', ?1) AND opt_out.ended IS NULL \
                 AND NOT EXISTS (SELECT 1 FROM write_back WHERE cause = \
                     'opt-out/' || ?1 || '/' || phone.record || '/' || opt_out.at) \
                 GROUP BY phone.record",
                values![project],
            )?;
            rows.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect()
        })
        .await
    }

    /// Tasks that wait for a person, oldest first.
    pub async fn tasks(&self) -> Result<Vec<Task>, StoreError> {
        self.ask(|reading| {
            let rows = reading.db.query(
                "SELECT id, kind, project, sentence, at FROM task WHERE resolved IS NULL ORDER BY at, id",
                values![],
            )?;
            rows.iter()
                .map(|row| {
                    Ok(Task {
                        id: row.get(0)?,
                        kind: row.get(1)?,
                        project: row.get(2)?,
                        sentence: row.get(3)?,
                        at: row.get(4)?,
                    })
                })
                .collect()
        })
        .await
    }

    /// What nothing is sent of, oldest first.
    pub async fn stopped(&self) -> Result<Vec<Stopped>, StoreError> {
        self.ask(|reading| {
            let rows = reading.db.query("SELECT scope, at, why FROM stop ORDER BY at, scope", values![])?;
            rows.iter()
                .map(|row| Ok(Stopped { scope: row.get(0)?, at: row.get(1)?, why: row.get(2)? }))
                .collect()
        })
        .await
    }

    /// How the store finds a number again.
    pub async fn key_of(&self, phone: &PhoneNumber) -> Result<Vec<u8>, StoreError> {
        let phone = phone.clone();
        self.ask(move |reading| Ok(reading.vault.lookup(phone.expose()))).await
    }

    /// A figure.
    pub async fn figure(&self, name: &'static str) -> Result<u64, StoreError> {
        self.ask(move |reading| {
            let row = one(reading.db, "SELECT value FROM figure WHERE name = ?1", values![name])?;
            Ok(row.map(|row| row.get(0)).transpose()?.unwrap_or(0))
        })
        .await
    }

    /// Copies at Twilio that are to be cleaned up. None whose number has a message in doubt: it could not be
    /// looked for any more.
    pub async fn to_clean(&self, project: &str, now: u32, limit: u32) -> Result<Vec<Kept>, StoreError> {
        let project = project.to_owned();
        self.ask(move |reading| {
            let rows = reading.db.query(
                "SELECT copy.sid, copy.kind, copy.state, copy.tries, \
                        CASE WHEN copy.message IS NULL THEN 0 ELSE message.price END \
                 FROM copy LEFT JOIN message ON message.id = copy.message \
                 WHERE copy.project = ?1 AND copy.state IN ('final', 'redacted') AND copy.look_at <= ?2 \
                 AND NOT EXISTS (SELECT 1 FROM message AS doubted WHERE doubted.recipient = copy.recipient \
                     AND doubted.state IN ('submitting', 'unknown')) ORDER BY copy.look_at LIMIT ?3",
                values![project, now, limit],
            )?;
            rows.iter()
                .map(|row| {
                    Ok(Kept {
                        sid: row.get(0)?,
                        kind: row.get(1)?,
                        redacted: row.get::<String>(2)? == "redacted",
                        priced: row.get::<Option<i64>>(4)?.is_some(),
                        tries: row.get(3)?,
                    })
                })
                .collect()
        })
        .await
    }

    /// Which of these SIDs are already known to be ours.
    pub async fn known_sids(&self, sids: Vec<String>) -> Result<BTreeSet<String>, StoreError> {
        self.ask(move |reading| {
            let mut known = BTreeSet::new();
            for sid in sids {
                if one(reading.db, "SELECT 1 FROM copy WHERE sid = ?1", values![sid.as_str()])?.is_some() {
                    known.insert(sid);
                }
            }
            Ok(known)
        })
        .await
    }

    /// Segments of a project that Twilio has accepted since an instant and not sent yet.
    pub async fn queued_segments(&self, project: &str, since: u32) -> Result<u32, StoreError> {
        let project = project.to_owned();
        self.ask(move |reading| {
            scalar(
                reading.db,
                "SELECT CAST(COALESCE(SUM(segments), 0) AS BIGINT) FROM message WHERE project = ?1 \
                 AND state IN ('accepted', 'sent', 'unknown') AND state = 'accepted' AND ended IS NULL AND submitted > ?2",
                values![project, since],
            )
        })
        .await
    }

    /// Messages of a project that are to go out before an instant, and the segments of those that are written.
    pub async fn ahead(&self, project: &str, until: u32) -> Result<(u64, u64), StoreError> {
        let project = project.to_owned();
        self.ask(move |reading| {
            let (mut messages, mut segments) = (0, 0);
            for states in ["'planned', 'deferred'", "'due', 'claimed'"] {
                let sql = format!(
                    "SELECT COUNT(*), CAST(COALESCE(SUM(segments), 0) AS BIGINT) FROM message \
                     WHERE project = ?1 AND state IN ({states}) AND look_at <= ?2"
                );
                let row = one(reading.db, &sql, values![project.as_str(), until])?
                    .ok_or(StoreError::Damaged { what: "count" })?;
                messages += row.get::<u64>(0)?;
                segments += row.get::<u64>(1)?;
            }
            Ok((messages, segments))
        })
        .await
    }

    /// Messages by project and state, of those of which something is still expected.
    pub async fn queue(&self) -> Result<Vec<Count>, StoreError> {
        self.counts(
            "SELECT project, state, COUNT(*), MIN(changed) FROM message WHERE ended IS NULL \
             GROUP BY project, state ORDER BY 1, 2",
        )
        .await
    }

    /// Copies at Twilio by project and kind, with when the oldest was made. What is kept there on purpose is
    /// the kind "kept"; what has no words any more is "emptied".
    pub async fn kept(&self) -> Result<Vec<Count>, StoreError> {
        self.counts(
            "SELECT project, CASE WHEN state = 'kept' THEN 'kept' ELSE kind END, COUNT(*), MIN(at) FROM copy \
             WHERE state <> 'gone' GROUP BY project, CASE WHEN state = 'kept' THEN 'kept' ELSE kind END ORDER BY 1, 2",
        )
        .await
    }

    /// Calls that were placed, by project: Twilio keeps events of each, which nobody can delete.
    pub async fn calls_placed(&self, since: u32) -> Result<Vec<Count>, StoreError> {
        self.ask(move |reading| {
            let rows = reading.db.query(
                "SELECT project, kind, COUNT(*), MIN(at) FROM copy WHERE kind = 'call' AND at > ?1 \
                 GROUP BY project, kind",
                values![since],
            )?;
            rows.iter().map(count).collect()
        })
        .await
    }

    async fn counts(&self, sql: &'static str) -> Result<Vec<Count>, StoreError> {
        self.ask(move |reading| reading.db.query(sql, values![])?.iter().map(count).collect()).await
    }

    /// What messages cost, by project and month, newest first. A month begins at these instants.
    pub async fn costs(&self, months: Vec<(u32, u32)>) -> Result<Vec<Cost>, StoreError> {
        self.ask(move |reading| {
            let mut costs = Vec::new();
            for (from, to) in months {
                let rows = reading.db.query(
                    "SELECT project, COUNT(price), COUNT(*), CAST(COALESCE(SUM(segments), 0) AS BIGINT), \
                     CAST(COALESCE(SUM(price), 0) AS BIGINT), currency FROM message \
                     WHERE submitted >= ?1 AND submitted < ?2 GROUP BY project, currency \
                     ORDER BY project, COALESCE(currency, '')",
                    values![from, to],
                )?;
                for row in rows {
                    costs.push(Cost {
                        project: row.get(0)?,
                        month: from,
                        priced: row.get(1)?,
                        sent: row.get(2)?,
                        segments: row.get(3)?,
                        micros: row.get(4)?,
                        currency: row.get(5)?,
                    });
                }
            }
            Ok(costs)
        })
        .await
    }

    /// The ledger's rows about a subject, in order: kind, instant, public part.
    pub async fn story(&self, subject: &str) -> Result<Vec<(String, u32, Json)>, StoreError> {
        let subject = subject.to_owned();
        self.ask(move |reading| {
            let rows = reading.db.query(
                "SELECT kind, at, public FROM ledger WHERE subject = ?1 ORDER BY id",
                values![subject],
            )?;
            rows.iter()
                .map(|row| Ok((row.get(0)?, row.get(1)?, read_json(&row.get::<String>(2)?, "ledger row")?)))
                .collect()
        })
        .await
    }

    /// What of the ledger is not chained yet.
    pub async fn unsealed(&self) -> Result<Unsealed, StoreError> {
        self.ask(|reading| {
            let row = one(
                reading.db,
                "SELECT COUNT(*), MIN(at), (SELECT COALESCE(MAX(seq), 0) FROM ledger) FROM ledger WHERE seq IS NULL",
                values![],
            )?
                .ok_or(StoreError::Damaged { what: "count" })?;
            Ok(Unsealed { rows: row.get(0)?, since: row.get(1)?, chained: row.get(2)? })
        })
        .await
    }

    /// Verifies the whole ledger, and that it holds an exported head. Private parts that are still kept must
    /// be those that their rows commit to.
    pub async fn verify(&self, head: Option<Head>) -> Result<Result<Head, Tampered>, StoreError> {
        self.ask(move |reading| verified(reading.db, reading.vault, head)).await
    }
}

/// Verifies the whole ledger of a database.
pub(super) fn verified(
    db: &mut dyn Sql,
    vault: &Vault,
    head: Option<Head>,
) -> Result<Result<Head, Tampered>, StoreError> {
    let mut verifier = Verifier::expecting(head);
    let mut tampered = None;
    db.each(
        "SELECT seq, at, kind, subject, public, commitment, private, hash FROM ledger \
         WHERE seq IS NOT NULL ORDER BY seq",
        values![],
        &mut |row| {
            if tampered.is_some() {
                return Ok(());
            }
            let private: Option<Vec<u8>> = row.get(6)?;
            let found = ledger::Row {
                seq: row.get(0)?,
                at: row.get(1)?,
                kind: row.get(2)?,
                subject: row.get(3)?,
                public: row.get(4)?,
                commitment: row.get(5)?,
                hash: row.get(7)?,
            };
            // What does not open is no longer what was sealed.
            let private = private.map(|sealed| vault.unseal("ledger.private", &sealed).unwrap_or_default());
            tampered = verifier.row(&found, private.as_deref()).err();
            Ok(())
        },
    )?;
    Ok(tampered.map_or_else(|| verifier.end(), Err))
}

fn count(row: &Row) -> Result<Count, StoreError> {
    Ok(Count { project: row.get(0)?, what: row.get(1)?, count: row.get(2)?, oldest: row.get(3)? })
}

/// The columns of a message, in the order in which [`message`] reads them.
pub(super) const COLUMNS: &str = "id, occasion, project, purpose, record, survey, wording, number, cause, depth, \
                                  due, not_after, state, version, look_at, draft, sid, provider_status, \
                                  error_code, reason, attempts, tries, looks, submitted, changed, ended, price, since, \
                                  mailbox, origin, frozen";

pub(super) fn messages(
    db: &mut dyn Sql,
    vault: &Vault,
    rest: &str,
    given: &[Value],
) -> Result<Vec<Message>, StoreError> {
    let rows = db.query(&format!("SELECT {COLUMNS} FROM message {rest}"), given)?;
    rows.iter().map(|row| message(row, vault)).collect()
}

pub(super) fn message(row: &Row, vault: &Vault) -> Result<Message, StoreError> {
    let text = |column: usize| row.get::<Option<String>>(column);
    let sealed = |column: usize, place: &'static str| {
        let sealed: Option<Vec<u8>> = row.get(column)?;
        sealed.map(|sealed| opened(vault, place, &sealed)).transpose()
    };
    let purpose: Purpose = word(&row.get::<String>(3)?, "purpose")?;
    let state = State::read(&row.get::<String>(12)?).ok_or(StoreError::Damaged { what: "state" })?;
    Ok(Message {
        id: row.get(0)?,
        new: NewMessage {
            occasion: row.get(1)?,
            project: row.get(2)?,
            purpose,
            record: row.get(4)?,
            survey: text(5)?.map(|json| read_json(&json, "survey")).transpose()?,
            wording: row.get(6)?,
            number: sealed(7, "message.number")?.map(|phone| number(&phone)).transpose()?,
            mailbox: sealed(28, "message.mailbox")?.map(|text| mailbox(&text)).transpose()?,
            origin: text(29)?.map(|json| read_json(&json, "origin")).transpose()?,
            frozen: sealed(30, "message.frozen")?.map(|json| read_json(&json, "frozen text")).transpose()?,
            held: None,
            cause: row.get(8)?,
            depth: row.get(9)?,
            due: row.get(10)?,
            not_after: row.get(11)?,
        },
        state,
        version: row.get(13)?,
        look_at: row.get(14)?,
        draft: sealed(15, "message.draft")?.map(|json| read_json(&json, "draft")).transpose()?,
        sid: row.get(16)?,
        provider_status: row.get(17)?,
        error_code: row.get(18)?,
        reason: text(19)?.map(|json| read_json(&json, "reason")).transpose()?,
        attempts: read_json(&row.get::<String>(20)?, "attempts")?,
        tries: row.get(21)?,
        looks: row.get(22)?,
        submitted: row.get(23)?,
        changed: row.get(24)?,
        ended: row.get(25)?,
        price: row.get(26)?,
        since: row.get(27)?,
    })
}

fn opt_outs_in_force(
    reading: &mut Reading<'_>,
    recipient: &[u8],
    project: &str,
) -> Result<Vec<OptOut>, StoreError> {
    let rest = "WHERE recipient = ?1 AND project IN ('', ?2) AND ended IS NULL ORDER BY at";
    opt_outs(reading.db, reading.vault, rest, values![recipient, project])
}

fn recent(reading: &mut Reading<'_>, recipient: Vec<u8>) -> Result<Vec<PastMessage>, StoreError> {
    let rows = reading.db.query(
        "SELECT submitted, purpose, method FROM message WHERE recipient = ?1 AND submitted IS NOT NULL \
         AND state IN ('submitting', 'accepted', 'sent', 'delivered', 'undelivered', 'unknown') \
         ORDER BY submitted DESC LIMIT 50",
        values![recipient],
    )?;
    let past = rows.iter().map(|row| {
        Ok(PastMessage {
            at: row.get(0)?,
            purpose: word(&row.get::<String>(1)?, "purpose")?,
            method: word(&row.get::<String>(2)?, "method")?,
        })
    });
    past.collect()
}

fn open_invitations(
    reading: &mut Reading<'_>,
    project: &str,
    record: String,
) -> Result<Vec<Survey>, StoreError> {
    let rows = reading.db.query(
        "SELECT DISTINCT survey FROM message WHERE project = ?1 AND record = ?2 AND survey IS NOT NULL \
         AND state IN ('accepted', 'sent', 'delivered') ORDER BY survey",
        values![project, record],
    )?;
    rows.iter().map(|row| read_json(&row.get::<String>(0)?, "survey")).collect()
}

fn opt_outs(db: &mut dyn Sql, vault: &Vault, rest: &str, given: &[Value]) -> Result<Vec<OptOut>, StoreError> {
    let sql = format!("SELECT number, channel, project, at, source, cause, ended FROM opt_out {rest}");
    let rows = db.query(&sql, given)?;
    rows.iter()
        .map(|row| {
            let channel = word(&row.get::<String>(1)?, "channel")?;
            Ok(OptOut {
                of: contact(channel, &opened(vault, "opt_out.number", &row.get::<Vec<u8>>(0)?)?)?,
                channel,
                project: row.get(2)?,
                at: row.get(3)?,
                source: row.get(4)?,
                cause: row.get(5)?,
                ended: row.get(6)?,
            })
        })
        .collect()
}

/// A text that was sealed.
pub(super) fn opened(vault: &Vault, place: &'static str, sealed: &[u8]) -> Result<String, StoreError> {
    String::from_utf8(vault.unseal(place, sealed)?).map_err(|_| StoreError::Damaged { what: "sealed text" })
}

fn number(text: &str) -> Result<PhoneNumber, StoreError> {
    PhoneNumber::from_e164(text).map_err(|_| StoreError::Damaged { what: "phone number" })
}

fn mailbox(text: &str) -> Result<Mailbox, StoreError> {
    Mailbox::read(text).map_err(|_| StoreError::Damaged { what: "mailbox" })
}

fn contact(channel: Channel, text: &str) -> Result<Contact, StoreError> {
    match channel {
        Channel::Sms | Channel::Voice => number(text).map(Contact::Phone),
        Channel::Email => mailbox(text).map(Contact::Mailbox),
    }
}

fn word<W: Word>(text: &str, what: &'static str) -> Result<W, StoreError> {
    W::read(text).ok_or(StoreError::Damaged { what })
}

/// Our own types always serialise; a null would be found damaged when it is read.
pub(super) fn json_of(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".into())
}

fn read_json<T: serde::de::DeserializeOwned>(text: &str, what: &'static str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|_| StoreError::Damaged { what })
}
