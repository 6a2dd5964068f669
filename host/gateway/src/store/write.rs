//! The steps: each is written whole, with its ledger rows. A step is a function of the database and of an
//! instant, so it can be run again when its transaction met another one.

mod chain;
mod copies;
mod incoming;
mod lease;
mod outcome;
mod outgoing;
mod person;
mod redcap;
mod schedule;

use std::borrow::Cow;
use std::collections::BTreeSet;

use policy::contract::types::Channel;
use serde_json::json;

use super::read::{json_of, messages};
use super::sql::{Sql, Value, list, one, padded, scalar, values};
use super::{Committed, Lease, Report, Step, StoreError};
use crate::outbox::{Message, Reason, State, masked};
use crate::vault::Vault;

const DAY: u32 = 86_400;

/// The figure that says when the database was restored from a backup.
const RESTORED: &str = "restored";

const WAS_RESTORED: &str = "the database was restored from a backup: what it takes for unsent may have been sent \
                            since. Compare with Twilio's log, release or cancel what is held, and then \
                            `consentry resume`";

/// A row on its way into the ledger.
struct Entry {
    kind: String,
    subject: String,
    public: String,
    commitment: Option<Vec<u8>>,
    private: Option<Vec<u8>>,
}

/// A transaction being written.
pub(super) struct Writing<'a> {
    db: &'a mut dyn Sql,
    vault: &'a Vault,
    now: u32,
    entries: Vec<Entry>,
    /// Messages and inbound messages, by their ids, whose recipient or sender is held.
    held: BTreeSet<String>,
    /// Leases that were found in force.
    leases: Vec<Lease>,
}

impl<'a> Writing<'a> {
    pub(super) fn new(db: &'a mut dyn Sql, vault: &'a Vault, now: u32) -> Self {
        Writing { db, vault, now, entries: Vec::new(), held: BTreeSet::new(), leases: Vec::new() }
    }

    pub(super) fn step(&mut self, step: &Step) -> Result<Committed, StoreError> {
        match step {
            Step::Plan(messages) => self.plan(messages).map(Committed::Planned),
            Step::Decide(decided) => self.decide(decided),
            Step::Claim { .. } => self.claim(step),
            Step::Submit { .. } => self.submit(step),
            Step::Settle { id, version, outcome } => self.settle(id, *version, outcome),
            Step::Report(report) => self.report(report),
            Step::Look { id, version, found } => self.look(id, *version, found),
            Step::FindOut { id, fate, why } => self.find_out(id, *fate, &masked(why)),
            Step::Receive(received) => self.receive(received),
            Step::Swept { project, until } => self.swept(project, *until),
            Step::Understand(understood) => self.understand(understood),
            Step::Misunderstand { sid, why, decisions, give_up } => {
                self.misunderstand(sid, why, decisions, *give_up)
            }
            Step::OptOut { project, contact, why } => {
                self.opt_out(&contact.key(), contact.channel(), project, &masked(why), None)?;
                Ok(Committed::Done)
            }
            Step::Phones { project, pairs } => self.phones(project, pairs),
            Step::WriteBack { id, error, again } => self.write_back(id, error.as_deref(), *again),
            Step::WriteOptOuts { project, field, records } => self.write_opt_outs(project, field, records),
            Step::Cleaned { sid, cleaning } => self.cleaned(sid, cleaning),
            Step::Resolve { id, resolution } => self.resolve(id, &masked(resolution)),
            // What a person types may hold a number, and these words are kept for ever.
            Step::Cancel { id, why } => self.cancel(id, &masked(why)),
            Step::Hold { id, why } => self.hold(id, &masked(why)),
            Step::Release { id, why } => self.release(id, &masked(why)),
            Step::Stop { scope, why } => self.stop(scope, &masked(why)),
            Step::Resume { scope, why } => self.resume(scope, &masked(why)),
            Step::Ask { kind, project, cause, sentence } => {
                self.plan_task(kind, project, cause, None, sentence)?;
                Ok(Committed::Done)
            }
            Step::Lease { name, holder, until } => self.lease(name, holder, *until),
            Step::Leave { holder } => {
                self.leases.clear();
                self.db.execute("UPDATE lease SET until = 0 WHERE holder = ?1", values![holder])?;
                Ok(Committed::Done)
            }
            Step::Seal => self.seal(),
            Step::Destroy { project, before } => self.destroy(project, *before),
            Step::Restored { since } => self.restored(*since),
            Step::Wake { project, rule } => {
                self.db.execute(
                    "UPDATE message SET look_at = ?1, version = version + 1 WHERE state = 'deferred' \
                     AND project = ?2 AND rule = ?3",
                    values![self.now, project, *rule],
                )?;
                Ok(Committed::Done)
            }
            Step::ReadWhole { project } => {
                self.figure(&format!("read-whole/{project}"), self.now)?;
                Ok(Committed::Done)
            }
            Step::ReadLog { project, until } => {
                self.figure(&format!("log/{project}"), *until)?;
                Ok(Committed::Done)
            }
            Step::GoLive { project, schedules } => self.go_live(project, schedules),
            Step::GiveBack { project, schedules } => {
                for schedule in schedules {
                    self.figure(&format!("begun/{project}/{schedule}"), 0)?;
                }
                self.ledger("given-back", project, &json!({ "schedules": schedules }), None)?;
                Ok(Committed::Done)
            }
            Step::Reevaluate { project, schedule, why } => {
                let which = schedule.as_deref().unwrap_or_default();
                self.figure(&format!("reevaluate/{project}/{which}"), self.now)?;
                self.ledger(
                    "reevaluate",
                    project,
                    &json!({ "schedule": schedule, "why": masked(why) }),
                    None,
                )?;
                Ok(Committed::Done)
            }
            Step::Reevaluated { project, schedules, before } => {
                for schedule in schedules {
                    let asked = format!("reevaluate/{project}/{schedule}");
                    let done = "DELETE FROM figure WHERE name = ?1 AND value <= ?2";
                    self.db.execute(done, values![asked, *before])?;
                }
                Ok(Committed::Done)
            }
            Step::Brake { project, more_than } => self.brake(project, *more_than),
            Step::CatchUp { catch_up, why } => self.catch_up(catch_up, &masked(why)),
            Step::Mended { project, records } => self.mended(project, records),
            Step::Reschedule { id, due, why } => self.reschedule(id, *due, &masked(why)),
            Step::Purged { project, count } => {
                self.ledger("purged", project, &json!({ "count": count }), None)?;
                Ok(Committed::Done)
            }
            Step::Count(name) => {
                let value: u64 = scalar(
                    self.db,
                    "INSERT INTO figure (name, value) VALUES (?1, 1) \
                     ON CONFLICT (name) DO UPDATE SET value = figure.value + 1 RETURNING value",
                    values![*name],
                )?;
                Ok(Committed::Count(value))
            }
        }
    }

    /// Nothing more is expected of a message. That is said once.
    fn end(&mut self, id: &str, state: State) -> Result<(), StoreError> {
        let ended = self.db.execute(
            "UPDATE message SET ended = ?2 WHERE id = ?1 AND ended IS NULL",
            values![id, self.now],
        )?;
        if ended == 1 {
            self.ledger("ended", id, &json!({ "state": state.name() }), None)?;
        }
        Ok(())
    }

    /// Moves a message, and says so in the ledger.
    fn advance(
        &mut self,
        message: &Message,
        state: State,
        look_at: u32,
        reason: Option<&Reason>,
    ) -> Result<(), StoreError> {
        if !message.may_become(state) {
            return Ok(());
        }
        // However long it is to wait, the end of its time is seen.
        let look_at = match (state, message.new.not_after) {
            (State::Deferred, Some(end)) => look_at.min(end.saturating_add(1)).max(self.now),
            _ => look_at,
        };
        self.db.execute(
            "UPDATE message SET state = ?2, version = version + 1, look_at = ?3, rule = ?4, reason = ?5, \
             since = ?6, looks = 0, changed = ?6 WHERE id = ?1",
            values![
                message.id.as_str(),
                state.name(),
                look_at,
                reason.map(|reason| reason.rule.as_str()),
                reason.map(json_of),
                self.now
            ],
        )?;
        self.ledger(state.name(), &message.id, &json!({ "reason": reason }), None)?;
        if state.is_end() { self.end(&message.id, state) } else { Ok(()) }
    }

    /// A message that is about to be changed.
    fn message(&mut self, id: &str) -> Result<Option<Message>, StoreError> {
        let by_id = format!("WHERE id = ?1{}", self.db.for_update());
        Ok(messages(self.db, self.vault, &by_id, values![id])?.pop())
    }

    /// Holds the recipients of all steps of a transaction, in one order: two daemons whose transactions are about
    /// the same people, in another order each, would wait for each other until the database ends one of them.
    pub(super) fn hold_recipients(&mut self, steps: &[Step]) -> Result<(), StoreError> {
        if !self.db.is_shared() {
            return Ok(());
        }
        let (mut ids, mut sids, mut inbound) = (Vec::new(), Vec::new(), Vec::new());
        let mut recipients = BTreeSet::new();
        for step in steps {
            match step {
                Step::Submit { id, .. }
                | Step::Settle { id, .. }
                | Step::Look { id, .. }
                | Step::FindOut { id, .. }
                | Step::Report(Report { id: Some(id), .. }) => ids.push(id.as_str()),
                Step::Report(report) => sids.push(report.sid.as_str()),
                Step::Understand(understood) => inbound.push(understood.sid.as_str()),
                Step::OptOut { contact, .. } => {
                    recipients.insert(self.vault.lookup(&contact.key()));
                }
                Step::Receive(received) => {
                    recipients.insert(self.vault.lookup(received.number.expose()));
                }
                _ => {}
            }
        }
        for (of, keys) in [
            ("SELECT recipient, id FROM message WHERE id", ids),
            ("SELECT recipient, id FROM message WHERE sid", sids),
            ("SELECT sender, sid FROM inbound WHERE sid", inbound),
        ] {
            if keys.is_empty() {
                continue;
            }
            let (places, keys) = padded(keys);
            for row in self.db.query(&format!("{of} IN ({})", list(places)), &keys)? {
                recipients.extend(row.get::<Option<Vec<u8>>>(0)?);
                self.held.insert(row.get(1)?);
            }
        }
        let recipients: Vec<&[u8]> = recipients.iter().map(Vec::as_slice).collect();
        self.db.lock(&recipients)
    }

    /// A message whose recipient is held until the transaction ends. The recipient comes first, as everywhere,
    /// so that two transactions do not wait for each other.
    fn held_message(&mut self, id: &str) -> Result<Option<Message>, StoreError> {
        if self.db.is_shared() && !self.held.contains(id) {
            let recipient = "SELECT recipient FROM message WHERE id = ?1 AND recipient IS NOT NULL";
            if let Some(recipient) = self.first::<Vec<u8>>(recipient, values![id])? {
                self.db.lock(&[&recipient])?;
            }
        }
        self.message(id)
    }

    /// The first column of the first row, if there is one.
    fn first<T: super::sql::FromValue>(
        &mut self,
        sql: &str,
        values: &[Value],
    ) -> Result<Option<T>, StoreError> {
        one(self.db, sql, values)?.map(|row| row.get(0)).transpose()
    }

    /// A new id. It sorts by the clock's time, which the system's randomness then tells apart.
    fn id(&self) -> Result<String, StoreError> {
        let random: [u8; 16] = random()?;
        Ok(ulid::Ulid::from_parts(u64::from(self.now) * 1000, u128::from_be_bytes(random)).to_string())
    }
}

/// Where a draft goes, under the spelling by which it is found again.
pub(super) fn address(draft: &policy::contract::reviewer::Draft) -> Cow<'_, str> {
    crate::mail::key(&draft.to)
}

fn copy_kind(message: &Message) -> &'static str {
    if message.channel() == Channel::Voice { "call" } else { "message" }
}

pub(crate) fn random<const N: usize>() -> Result<[u8; N], StoreError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| StoreError::Random)?;
    Ok(bytes)
}
