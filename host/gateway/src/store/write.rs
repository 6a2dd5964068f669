//! The steps: each is written whole, with its ledger rows. A step is a function of the database and of an
//! instant, so it can be run again when its transaction met another one.

use std::collections::BTreeSet;

use policy::contract::types::{Attempt, Channel, Failure};
use serde_json::{Value as Json, json};
use twilio::{CallStatus, MessageStatus, PhoneNumber};

use super::read::{COLUMNS, json_of, message, messages, opened};
use super::sql::{Sql, Value, list, one, padded, rows, scalar, values};
use super::{
    Cleaning, Committed, Decided, DecisionRow, Fate, Found, Lease, Outcome, ProviderStatus, Received, Report,
    Scope, Step, StoreError, Understood,
};
use crate::floor;
use crate::ledger::{self, GENESIS, Row};
use crate::outbox::{Message, NewMessage, Reason, State, is_reply, masked};
use crate::refusal;
use crate::vault::Vault;
use crate::vocabulary::{Word, channel};

/// A submission that has not ended after this many seconds was cut off.
const SUBMISSION: u32 = 120;

/// Writes to REDCap that fail this often become a task.
const WRITES: u32 = 8;

/// Times that a message is tried again after Twilio reported that it failed for a passing reason.
const RETRIES: u32 = 3;

/// Seconds after which somebody who did not pick up is called again.
const CALL_AGAIN: u32 = 900;

/// When a copy at Twilio is tried again, in seconds: Twilio lets a record be deleted after a minute as a rule,
/// and in rare cases after 14 days.
const LADDER: [u32; 5] = [60, 300, 1800, 7200, 43_200];

/// Tries after which a copy that cannot be deleted becomes a task: the ladder, and then 14 days.
const CLEANINGS: u32 = 19;

const DAY: u32 = 86_400;

/// Seconds that no lease lasts longer than.
const LONGEST: u32 = 300;

/// Seconds by which the clocks of two daemons may differ. What is further in the future was written by a clock
/// that was wrong.
const SKEW: u32 = 120;

/// The figure that says when the database was restored from a backup.
const RESTORED: &str = "restored";

const WAS_RESTORED: &str = "the database was restored from a backup: what it takes for unsent may have been sent \
                            since. Compare with Twilio's log, release or cancel what is held, and then \
                            `consentry resume`";

/// Rows of one statement that appends to the ledger.
const ROWS: usize = 8;

/// Messages whose private parts are destroyed in one transaction.
const DESTROYED: u32 = 500;

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
                self.db.execute(
                    "INSERT INTO figure (name, value) VALUES (?1, ?2) \
                     ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                    values![format!("read-whole/{project}"), self.now],
                )?;
                Ok(Committed::Done)
            }
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

    fn plan(&mut self, messages: &[NewMessage]) -> Result<Vec<String>, StoreError> {
        let mut planned = Vec::new();
        if messages.is_empty() {
            return Ok(planned);
        }
        // What is found after a restore, until everything was read once, may have been found and sent before it.
        let read = format!("read-whole/{}", messages[0].project);
        let restored: Option<i64> = self.first(
            "SELECT value FROM figure WHERE name = ?1 AND value > COALESCE( \
                 (SELECT whole.value FROM figure AS whole WHERE whole.name = ?2), 0)",
            values![RESTORED, read],
        )?;
        for new in messages {
            let id = self.id()?;
            let number = new.number.as_ref().map(PhoneNumber::expose);
            let inserted = self.db.execute(
                "INSERT INTO message (id, occasion, project, purpose, record, survey, wording, number, cause, \
                 depth, due, not_after, priority, state, version, look_at, recipient, segments, attempts, tries, \
                 looks, since, changed) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, 'planned', 1, ?11, ?14, 0, '[]', \
                 0, 0, ?15, ?15) ON CONFLICT (occasion) DO NOTHING",
                values![
                    id.as_str(),
                    new.occasion.as_str(),
                    new.project.as_str(),
                    new.purpose.word(),
                    new.record.as_deref(),
                    new.survey.as_ref().map(json_of),
                    new.wording.as_deref(),
                    number.map(|number| self.vault.seal("message.number", number.as_bytes())).transpose()?,
                    new.cause.as_deref(),
                    new.depth,
                    new.due,
                    new.not_after,
                    u32::from(!is_reply(new.purpose)),
                    number.map(|number| self.vault.lookup(number)),
                    self.now,
                ],
            )?;
            if inserted == 1 {
                let public = json!({
                    "occasion": new.occasion, "project": new.project, "purpose": new.purpose.word(),
                    "record": new.record, "due": new.due, "cause": new.cause,
                });
                self.ledger("occasion", &id, &public, None)?;
                if restored.is_some()
                    && let Some(message) = self.message(&id)?
                {
                    let why = Reason::new("restored", WAS_RESTORED);
                    self.advance(&message, State::Held, self.now, Some(&why))?;
                }
                planned.push(id);
            }
        }
        Ok(planned)
    }

    fn decide(&mut self, decided: &Decided) -> Result<Committed, StoreError> {
        let Some(message) = self.message(&decided.id)? else { return Ok(Committed::Stale) };
        if message.version != decided.version || !message.may_become(decided.state) {
            return Ok(Committed::Stale);
        }
        for decision in &decided.decisions {
            self.ledger("decision", &decided.id, &decision.public, Some(&decision.record))?;
        }
        let draft = decided.draft.as_ref();
        let sealed =
            draft.map(|draft| self.vault.seal("message.draft", json_of(draft).as_bytes())).transpose()?;
        self.db.execute(
            "UPDATE message SET state = ?2, version = version + 1, look_at = ?3, draft = ?4, method = ?5, \
             recipient = COALESCE(?6, recipient), words = ?7, segments = ?8, rule = ?9, reason = ?10, \
             changed = ?11, since = ?11, channel = ?12 WHERE id = ?1",
            values![
                decided.id.as_str(),
                decided.state.name(),
                decided.look_at,
                sealed,
                draft.map(|draft| draft.method.word()),
                draft.map(|draft| self.vault.lookup(address(draft))),
                draft.map(|draft| self.vault.lookup(&draft.body)),
                draft.map_or(0, |draft| draft.segments),
                decided.reason.as_ref().map(|reason| reason.rule.as_str()),
                decided.reason.as_ref().map(json_of),
                self.now,
                draft.map(|draft| channel(draft.method).word()),
            ],
        )?;
        let public = json!({
            "state": decided.state.name(), "reason": decided.reason, "evidence": decided.evidence,
            "again": (decided.state == State::Deferred).then_some(decided.look_at),
        });
        self.ledger(decided.state.name(), &decided.id, &public, draft.map(|draft| draft.body.as_bytes()))?;
        for sentence in &decided.refused {
            self.ledger("refused", &decided.id, &json!({ "sentence": sentence }), None)?;
        }
        if decided.state == State::Held {
            let cause = format!("{}/{}", decided.id, message.version);
            let sentence = decided.reason.as_ref().map_or("it was held", |reason| &reason.sentence);
            self.plan_task("held-message", &message.new.project, &cause, None, sentence)?;
        }
        if decided.state.is_end() {
            self.end(&decided.id, decided.state)?;
        }
        if let Some(record) = &message.new.record {
            for (event, values) in &decided.writes {
                // By attempt, not by version: a message that is decided again writes the same once.
                let cause = format!("{}/{}/{event}", decided.id, message.attempts.len());
                self.plan_write(&cause, &message.new.project, record, Some(event), values)?;
            }
        }
        self.plan(&decided.messages)?;
        Ok(Committed::Done)
    }

    /// Claims whose lease has ended are claimed again: their bytes never left, since that is another state.
    /// A submission whose lease has ended was cut off, and nobody knows what left.
    fn claim(&mut self, step: &Step) -> Result<Committed, StoreError> {
        let Step::Claim { project, lease, texts, calls, replies_only, until } = step else {
            return Ok(Committed::Stale);
        };
        if !self.holds(lease)? {
            return Ok(Committed::Stale);
        }
        let cut_off =
            format!("WHERE project = ?1 AND state = 'submitting' AND look_at <= ?2{}", self.db.for_update());
        for cut_off in messages(self.db, self.vault, &cut_off, values![project, self.now])? {
            let why = Reason::new(
                "send.unknown",
                "Consentry ended while it was being sent; it is never sent again, and Twilio is asked what became \
                 of it",
            );
            self.unknown(&cut_off, &why)?;
        }
        let mut claimed: Vec<Message> = Vec::new();
        for (limit, by) in [(*texts, Channel::Sms), (*texts, Channel::Email), (*calls, Channel::Voice)] {
            if limit == 0 {
                continue;
            }
            let replies = if *replies_only { "AND priority = 0" } else { "" };
            let claim = format!(
                "UPDATE message SET state = 'claimed', version = version + 1, look_at = ?4, changed = ?2 \
                 WHERE id IN (SELECT id FROM message WHERE project = ?1 AND state IN ('due', 'claimed') \
                              AND channel = ?5 AND look_at <= ?2 {replies} \
                              ORDER BY priority, look_at, id LIMIT ?3{}) RETURNING {COLUMNS}",
                self.db.skip_locked()
            );
            for row in self.db.query(&claim, values![project, self.now, limit, *until, by.word()])? {
                claimed.push(message(&row, self.vault)?);
            }
        }
        claimed.sort_by(|a, b| {
            let key = |m: &Message| (!is_reply(m.new.purpose), m.new.due);
            key(a).cmp(&key(b)).then_with(|| a.id.cmp(&b.id))
        });
        Ok(Committed::Claimed(claimed))
    }

    /// The floor's last look and the step to `submitting` are one transaction that holds the recipient: a STOP
    /// is either before it, and seen, or after it, and too late for a text that is on the wire.
    fn submit(&mut self, step: &Step) -> Result<Committed, StoreError> {
        let Step::Submit { id, version, lease, ceiling, sender, swept, decisions } = step else {
            return Ok(Committed::Stale);
        };
        let Some(message) = self.held_message(id)? else { return Ok(Committed::Stale) };
        if message.version != *version || message.state != State::Claimed {
            return Ok(Committed::Stale);
        }
        let Some(draft) = message.draft.clone() else { return Ok(Committed::Stale) };
        if !self.holds(lease)? {
            // Whoever has the lease now need not wait until the claim ends.
            self.db.execute(
                "UPDATE message SET state = 'due', version = version + 1, look_at = ?2, changed = ?2 WHERE id = ?1",
                values![id, self.now],
            )?;
            return Ok(Committed::Stale);
        }
        for decision in decisions {
            self.ledger("decision", id, &decision.public, Some(&decision.record))?;
        }
        let recipient = self.vault.lookup(address(&draft));
        let facts = self.facts(&message, &draft, &recipient, sender, *ceiling, *swept)?;
        if let Err(stop) = floor::at_submission(&facts) {
            self.advance(&message, stop.state, stop.look_at.unwrap_or(self.now), Some(&stop.reason))?;
            if stop.state == State::Held {
                let cause = format!("{id}/{}", message.version);
                self.plan_task("held-message", &message.new.project, &cause, None, &stop.reason.sentence)?;
            }
            return Ok(Committed::Stopped(stop.reason));
        }
        self.db.execute(
            "UPDATE message SET state = 'submitting', version = version + 1, submitted = ?2, changed = ?2, \
             look_at = ?3, sender = ?4, rule = NULL, reason = NULL WHERE id = ?1",
            values![id, self.now, self.now + SUBMISSION, sender],
        )?;
        self.ledger("submitting", id, &json!({}), None)?;
        Ok(Committed::Done)
    }

    fn facts(
        &mut self,
        message: &Message,
        draft: &policy::contract::reviewer::Draft,
        recipient: &[u8],
        sender: &str,
        ceiling: u32,
        swept: u32,
    ) -> Result<floor::AtSubmission, StoreError> {
        let by = channel(draft.method);
        let project = message.new.project.as_str();
        let counted = one(
            self.db,
            "SELECT (SELECT COUNT(*) FROM opt_out WHERE recipient = ?1 AND channel = ?2 AND project IN ('', ?3) \
                     AND ended IS NULL), \
                    (SELECT COUNT(*) FROM inbound WHERE sender = ?1 AND state = 'new'), \
                    (SELECT COUNT(*) FROM task WHERE recipient = ?1 AND resolved IS NULL), \
                    (SELECT COUNT(*) FROM message WHERE recipient = ?1 AND submitted > ?4), \
                    (SELECT COUNT(*) FROM message WHERE recipient = ?1 AND submitted > ?4 AND purpose = ?5 \
                     AND words = ?6), \
                    (SELECT MAX(until) FROM swept WHERE project = ?3)",
            values![
                recipient,
                by.word(),
                project,
                self.now.saturating_sub(DAY),
                message.new.purpose.word(),
                self.vault.lookup(&draft.body),
            ],
        )?
        .ok_or(StoreError::Damaged { what: "count" })?;
        let count = |column: usize| counted.get::<u32>(column);
        let stops = self.stops(project, sender, recipient, by, draft)?;
        Ok(floor::AtSubmission {
            now: self.now,
            not_after: message.new.not_after,
            purpose: message.new.purpose,
            opted_out: count(0)? > 0,
            unread: count(1)? > 0,
            unclear: count(2)? > 0,
            stops,
            inbound_read: counted
                .get::<Option<u32>>(5)?
                .is_some_and(|until| until >= swept && until <= self.now + SKEW),
            texts_today: count(3)?,
            same_text_today: count(4)?,
            ceiling,
        })
    }

    /// What of a message is stopped, and why.
    fn stops(
        &mut self,
        project: &str,
        sender: &str,
        recipient: &[u8],
        by: Channel,
        draft: &policy::contract::reviewer::Draft,
    ) -> Result<Vec<(Scope, String)>, StoreError> {
        let mut scopes = vec![
            Scope::All,
            Scope::Project(project.into()),
            Scope::Sender(sender.into()),
            Scope::Recipient(recipient.into(), by),
        ];
        scopes.extend(draft.approvals.iter().map(|approval| Scope::Wording(approval.digest.clone())));
        // There are few stops but those of recipients.
        let rows = self.db.query(
            "SELECT scope, why FROM stop WHERE scope IN ('', ?1, ?2, ?3) OR scope LIKE 'wording/%'",
            values![scopes[1].word(), scopes[2].word(), scopes[3].word()],
        )?;
        let mut stops = Vec::new();
        for row in rows {
            let word: String = row.get(0)?;
            if let Some(scope) = scopes.iter().find(|scope| scope.word() == word) {
                stops.push((scope.clone(), row.get(1)?));
            }
        }
        Ok(stops)
    }

    fn settle(&mut self, id: &str, version: i64, outcome: &Outcome) -> Result<Committed, StoreError> {
        let Some(message) = self.held_message(id)? else { return Ok(Committed::Stale) };
        if let Outcome::Accepted { sid, status } = outcome {
            if message.sid.as_ref() == Some(sid) {
                return Ok(Committed::Stale);
            }
            self.ledger("accepted", id, &json!({ "sid": sid, "status": status.as_str() }), None)?;
            if message.sid.is_some() || !message.state.may_have_reached() {
                // The submission was long given up, and something else came of the message since.
                self.keep_copy(sid, copy_kind(&message), &message)?;
                return self.contradicted(&message, sid, status);
            }
            self.adopt(&message, sid)?;
            if message.state == State::Unknown {
                self.settle_task(id, "Twilio has it")?;
            }
            self.progress(&message, status, None)?;
            return Ok(Committed::Done);
        }
        if let Outcome::OptedOut { code } = outcome {
            // What Twilio knows of the number holds, however late we hear of it.
            self.provider_opt_out(&message, *code)?;
        }
        // A no can come after the submission was given up as unknown: it is the answer to that very one.
        let in_doubt = message.state == State::Unknown
            && message.version == version + 1
            && message.sid.is_none()
            && !matches!(outcome, Outcome::Unknown { .. });
        let message = if in_doubt {
            self.settle_task(id, "Twilio refused it")?;
            self.db.execute("UPDATE message SET ended = NULL WHERE id = ?1", values![id])?;
            Message { state: State::Submitting, version, ended: None, ..message }
        } else {
            message
        };
        // A status callback may have come before the answer that we then did not get.
        if message.state != State::Submitting || message.version != version {
            return Ok(Committed::Stale);
        }
        match outcome {
            Outcome::Accepted { .. } => {}
            Outcome::Again { at, attempt, code, why, stop } => {
                self.not_sent(&message, *code, attempt.as_ref())?;
                self.advance(&message, State::Deferred, *at, Some(why))?;
                if let Some(scope) = stop {
                    self.stop_for(&message, scope, why)?;
                }
            }
            Outcome::OptedOut { code } => {
                self.not_sent(&message, *code, None)?;
                self.advance(&message, State::Failed, self.now, Some(&floor::opted_out()))?;
            }
            Outcome::Held { code, why, stop } => {
                self.not_sent(&message, *code, None)?;
                // The way from `submitting` to a person goes by `deferred`: it is a definite no.
                self.advance(&message, State::Deferred, self.now, Some(why))?;
                if let Some(message) = self.message(id)? {
                    self.advance(&message, State::Held, self.now, Some(why))?;
                }
                let cause = format!("{id}/{}", message.version);
                self.plan_task("held-message", &message.new.project, &cause, None, &why.sentence)?;
                if let Some(scope) = stop {
                    self.stop_for(&message, scope, why)?;
                }
            }
            Outcome::Unknown { why } => self.unknown(&message, why)?,
        }
        Ok(Committed::Done)
    }

    /// A submission definitely came to nothing: it does not count among what the number was sent.
    fn not_sent(
        &mut self,
        message: &Message,
        code: Option<u32>,
        attempt: Option<&Attempt>,
    ) -> Result<(), StoreError> {
        let mut attempts = message.attempts.clone();
        attempts.extend(attempt.copied());
        self.db.execute(
            "UPDATE message SET attempts = ?2, tries = tries + 1, error_code = ?3, submitted = NULL, sid = NULL, \
             provider_status = NULL WHERE id = ?1",
            values![message.id.as_str(), json_of(&attempts), code],
        )?;
        Ok(())
    }

    fn unknown(&mut self, message: &Message, why: &Reason) -> Result<(), StoreError> {
        self.advance(message, State::Unknown, self.now, Some(why))?;
        match State::Unknown.looks(message.channel()).first() {
            Some(first) => self.next_look(&message.id, self.now + first, 0),
            // Nobody can be asked but a person.
            None => self.end_unknown(message),
        }
    }

    fn end_unknown(&mut self, message: &Message) -> Result<(), StoreError> {
        let sentence = "nobody knows whether this message was sent: Twilio was asked to the end. It is never sent \
                        again by itself. Look for it in Twilio's log, and then `consentry settle` it";
        self.end(&message.id, State::Unknown)?;
        // By version: a message that a person let go again can come to this again.
        let cause = format!("{}/unknown/{}", message.id, message.version);
        self.plan_task("unknown-send", &message.new.project, &cause, None, sentence)
    }

    fn next_look(&mut self, id: &str, look_at: u32, looks: u32) -> Result<(), StoreError> {
        self.db.execute(
            "UPDATE message SET look_at = ?2, looks = ?3 WHERE id = ?1",
            values![id, look_at, looks],
        )?;
        Ok(())
    }

    fn adopt(&mut self, message: &Message, sid: &str) -> Result<(), StoreError> {
        self.db.execute(
            "UPDATE message SET sid = ?2 WHERE id = ?1 AND sid IS NULL \
             AND NOT EXISTS (SELECT 1 FROM message AS other WHERE other.sid = ?2)",
            values![message.id.as_str(), sid],
        )?;
        self.keep_copy(sid, copy_kind(message), message)
    }

    /// Twilio has a copy, which is to be cleaned up.
    fn keep_copy(&mut self, sid: &str, kind: &str, message: &Message) -> Result<(), StoreError> {
        let recipient =
            message.draft.as_ref().map_or_else(Vec::new, |draft| self.vault.lookup(address(draft)));
        self.db.execute(
            "INSERT INTO copy (sid, kind, project, message, recipient, state, at, look_at, tries) \
             VALUES (?1, ?2, ?3, ?4, ?5, 'open', ?6, ?6, 0) ON CONFLICT (sid) DO NOTHING",
            values![sid, kind, message.new.project.as_str(), message.id.as_str(), recipient, self.now],
        )?;
        Ok(())
    }

    /// Twilio tells of a message that we took for not sent: it was sent, so it is not sent again.
    fn contradicted(
        &mut self,
        message: &Message,
        sid: &str,
        status: &ProviderStatus,
    ) -> Result<Committed, StoreError> {
        let public = json!({ "sid": sid, "status": status.as_str(), "state": message.state.name() });
        self.ledger("contradicted", &message.id, &public, None)?;
        if message.ended.is_none() && !message.state.may_have_reached() {
            let state = status.state();
            let why = Reason::new("delivery", "Twilio had it although it had said no; it is not sent again");
            self.db.execute(
                "UPDATE message SET state = ?2, version = version + 1, sid = COALESCE(sid, ?3), rule = ?4, \
                 reason = ?5, provider_status = ?6, submitted = COALESCE(submitted, ?7), since = ?7, looks = 0, \
                 look_at = ?7, changed = ?7 WHERE id = ?1",
                values![
                    message.id.as_str(),
                    state.name(),
                    sid,
                    why.rule.as_str(),
                    json_of(&why),
                    status.as_str(),
                    self.now
                ],
            )?;
            if state.is_end() {
                self.end(&message.id, state)?;
            }
        }
        // One that goes on is still followed, and its record is needed for that.
        if message.ended.is_some() || status.state().is_end() {
            self.finish_copy(sid)?;
        }
        Ok(Committed::Done)
    }

    fn report(&mut self, report: &Report) -> Result<Committed, StoreError> {
        let by_sid: Option<String> =
            self.first("SELECT id FROM message WHERE sid = ?1", values![report.sid.as_str()])?;
        // The id in the callback's URL finds a message whose answer we never saw.
        let Some(id) = by_sid.or_else(|| report.id.clone()) else { return Ok(Committed::Stale) };
        let Some(message) = self.held_message(&id)? else { return Ok(Committed::Stale) };
        // A project's token vouches for that project's messages only.
        if message.new.project != report.project {
            return Ok(Committed::Stale);
        }
        // What is known of the SID is asked only now: another daemon may just have written the answer.
        if message.sid.as_ref() != Some(&report.sid) {
            let known: Option<String> =
                self.first("SELECT sid FROM copy WHERE sid = ?1", values![report.sid.as_str()])?;
            if known.is_some() {
                // It is about an attempt that ended, and was told before. But carriers report the parts of a
                // text one by one: what arrived after all is not sent again.
                let arrived = report.status.state() == State::Delivered;
                if !arrived || message.ended.is_some() || message.state.may_have_reached() {
                    return Ok(Committed::Stale);
                }
                return self.contradicted(&message, &report.sid, &report.status);
            }
            if message.sid.is_some() || !message.state.may_have_reached() {
                self.keep_copy(&report.sid, copy_kind(&message), &message)?;
                return self.contradicted(&message, &report.sid, &report.status);
            }
            self.adopt(&message, &report.sid)?;
        }
        if message.state == State::Unknown {
            self.settle_task(&message.id, "Twilio reported on it")?;
        }
        self.progress(&message, &report.status, report.code)?;
        Ok(Committed::Done)
    }

    /// The task about a message that was unknown is done: it is known what became of it.
    fn settle_task(&mut self, id: &str, how: &str) -> Result<(), StoreError> {
        self.db.execute(
            "UPDATE task SET resolved = ?2, resolution = ?3 WHERE kind = 'unknown-send' AND cause LIKE ?1 \
             AND resolved IS NULL",
            values![format!("{id}/unknown/%"), self.now, how],
        )?;
        Ok(())
    }

    /// Moves a message forward to where Twilio's status puts it, and says whether that was news. What comes late
    /// is recorded, not applied.
    fn progress(
        &mut self,
        message: &Message,
        status: &ProviderStatus,
        code: Option<u32>,
    ) -> Result<bool, StoreError> {
        let last = latest(message.provider_status.as_deref(), status);
        let next = last.state();
        let moves = message.may_become(next);
        let state = if moves { next } else { message.state };
        let reason = code
            .and_then(twilio::explain)
            .map(|known| Reason::new("delivery", format!("{}; {}", known.sentence, known.advice)));
        let news = moves || message.provider_status.as_deref() != Some(last.as_str());
        let first = state.looks(message.channel()).first().filter(|_| news);
        self.db.execute(
            "UPDATE message SET state = ?2, version = version + 1, provider_status = ?3, \
             error_code = COALESCE(?4, error_code), rule = COALESCE(?5, rule), reason = COALESCE(?6, reason), \
             changed = ?7, since = COALESCE(?8, since), looks = COALESCE(?9, looks), \
             look_at = COALESCE(?10, look_at) WHERE id = ?1",
            values![
                message.id.as_str(),
                state.name(),
                last.as_str(),
                code.filter(|_| news),
                reason.as_ref().filter(|_| news).map(|reason| reason.rule.as_str()),
                reason.as_ref().filter(|_| news).map(json_of),
                self.now,
                first.map(|_| self.now),
                first.map(|_| 0_u32),
                first.map(|first| self.now + first),
            ],
        )?;
        let public = json!({ "status": status.as_str(), "code": code, "state": state.name() });
        self.ledger("status", &message.id, &public, None)?;
        if let Some(code) = code.filter(|_| news) {
            self.learn_from(message, code)?;
        }
        if moves && state.is_end() {
            self.after_the_end(message, state, code)?;
        }
        // Nothing more was expected of it, so nothing else cleans up what has come to light.
        if message.ended.is_some()
            && let Some(sid) = self.sid_of(&message.id)?
        {
            self.finish_copy(&sid)?;
        }
        Ok(news)
    }

    /// What an error that was reported on a message says of the number, the words or the sender.
    fn learn_from(&mut self, message: &Message, code: u32) -> Result<(), StoreError> {
        if twilio::is_opt_out(code) {
            return self.provider_opt_out(message, Some(code));
        }
        let Some(draft) = &message.draft else { return Ok(()) };
        let sender: Option<String> = self.first(
            "SELECT sender FROM message WHERE id = ?1 AND sender IS NOT NULL",
            values![message.id.as_str()],
        )?;
        let recipient = self.vault.lookup(address(draft));
        let (scope, why) = refusal::consequence(code, draft, sender.as_deref(), &recipient);
        match scope {
            Some(scope) => self.stop_for(message, &scope, &why),
            None => Ok(()),
        }
    }

    /// A message came to its end at Twilio: either that is all, or it failed for a passing reason and there is
    /// time to try again.
    fn after_the_end(
        &mut self,
        message: &Message,
        state: State,
        code: Option<u32>,
    ) -> Result<(), StoreError> {
        // Whoever did not pick up is called again; that is for routing to know. A text that failed for a
        // passing reason says nothing about the way.
        let called = message.draft.as_ref().filter(|draft| channel(draft.method) == Channel::Voice);
        let attempt = called.filter(|_| state == State::Undelivered).map(|draft| Attempt {
            method: draft.method,
            at: self.now,
            failure: Failure::NoAnswer,
        });
        let wait = match &attempt {
            Some(_) => Some(CALL_AGAIN),
            None => code.and_then(twilio::wait_after).filter(|_| state != State::Delivered),
        };
        // An account without money is nobody's failure: what it kept from leaving waits as long as it may.
        let unpaid = code.is_some_and(twilio::is_account);
        let again = wait.filter(|wait| {
            let in_time = message.new.not_after.is_none_or(|end| self.now + wait < end);
            in_time && (unpaid || message.tries < RETRIES) && message.ended.is_none()
        });
        if let Some(sid) = self.sid_of(&message.id)? {
            self.finish_copy(&sid)?;
        }
        let Some(wait) = again else { return self.end(&message.id, state) };
        self.not_sent(message, code, attempt.as_ref())?;
        let rule = if unpaid { "send.account" } else { "delivery.again" };
        let why = Reason::new(rule, "it failed at Twilio for a passing reason, and is decided again");
        let failed = Message { state, ..message.clone() };
        self.advance(&failed, State::Deferred, self.now + wait, Some(&why))
    }

    fn sid_of(&mut self, id: &str) -> Result<Option<String>, StoreError> {
        self.first("SELECT sid FROM message WHERE id = ?1 AND sid IS NOT NULL", values![id])
    }

    /// Twilio's copy of what has ended is cleaned up from now on.
    fn finish_copy(&mut self, sid: &str) -> Result<(), StoreError> {
        self.db.execute(
            "UPDATE copy SET state = 'final', look_at = ?2 WHERE sid = ?1 AND state = 'open'",
            values![sid, self.now],
        )?;
        Ok(())
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

    fn look(&mut self, id: &str, version: i64, found: &Found) -> Result<Committed, StoreError> {
        let Some(message) = self.held_message(id)? else { return Ok(Committed::Stale) };
        if message.version != version || message.ended.is_some() {
            return Ok(Committed::Stale);
        }
        match found {
            Found::Unanswered => {
                self.next_look(id, self.now + 30, message.looks)?;
                return Ok(Committed::Done);
            }
            Found::Message { sid, status, code } => {
                if message.sid.is_none() {
                    let used: Option<String> =
                        self.first("SELECT sid FROM copy WHERE sid = ?1", values![sid.as_str()])?;
                    if used.is_some() {
                        // Another message of ours was settled with it meanwhile: it is looked for again.
                        self.next_look(id, self.now + 5, message.looks)?;
                        return Ok(Committed::Done);
                    }
                    self.ledger("found", id, &json!({ "sid": sid, "status": status.as_str() }), None)?;
                    self.adopt(&message, sid)?;
                }
                if self.progress(&message, status, *code)? {
                    // It is asked for again from now on.
                    return Ok(Committed::Done);
                }
            }
            Found::Nothing => {}
        }
        let Some(message) = self.message(id)?.filter(|message| message.ended.is_none()) else {
            return Ok(Committed::Done);
        };
        // Nothing new: the next look is later than this one.
        let looks = message.state.looks(message.channel());
        let next = usize::try_from(message.looks).unwrap_or(usize::MAX).saturating_add(1);
        let since: u32 = scalar(self.db, "SELECT since FROM message WHERE id = ?1", values![id])?;
        match looks.get(next) {
            Some(wait) => {
                let look_at = (since + wait).max(self.now + 1);
                self.next_look(id, look_at, message.looks + 1)?;
            }
            None if message.state == State::Unknown => self.end_unknown(&message)?,
            None if matches!(message.state, State::Accepted | State::Sent) => {
                if let Some(sid) = &message.sid {
                    self.finish_copy(sid)?;
                }
                self.end(id, message.state)?;
            }
            None => {}
        }
        Ok(Committed::Done)
    }

    fn find_out(&mut self, id: &str, fate: Fate, why: &str) -> Result<Committed, StoreError> {
        let Some(message) = self.held_message(id)?.filter(|message| message.state == State::Unknown) else {
            return Ok(Committed::Stale);
        };
        let reason = Reason::new("found-out", why);
        self.ledger("found-out", id, &json!({ "fate": format!("{fate:?}"), "why": why }), None)?;
        match fate {
            Fate::Sent => {
                self.advance(&message, State::Sent, self.now, Some(&reason))?;
                self.end(id, State::Sent)?;
            }
            Fate::NotSent => {
                self.not_sent(&message, None, None)?;
                self.advance(&message, State::Failed, self.now, Some(&reason))?;
            }
            // A person vouches that it reached nobody: from there on it is a definite no.
            Fate::SendAgain => {
                self.not_sent(&message, None, None)?;
                let failed = Message { state: State::Failed, ..message.clone() };
                self.advance(&failed, State::Deferred, self.now, Some(&reason))?;
                self.db.execute("UPDATE message SET ended = NULL WHERE id = ?1", values![id])?;
            }
        }
        self.settle_task(id, why)?;
        Ok(Committed::Done)
    }

    /// Twilio knows of an opt-out that we did not see: it is the same opt-out.
    fn provider_opt_out(&mut self, message: &Message, code: Option<u32>) -> Result<(), StoreError> {
        let Some(draft) = &message.draft else { return Ok(()) };
        let phone = address(draft).to_owned();
        let code = code.map_or_else(String::new, |code| format!(" (error {code})"));
        self.opt_out(&phone, &message.new.project, &format!("Twilio{code}"), Some(&message.id))
    }

    fn receive(&mut self, received: &Received) -> Result<Committed, StoreError> {
        let phone = received.number.expose();
        let sender = self.vault.lookup(phone);
        self.db.lock(&[&sender])?;
        let inserted = self.db.execute(
            "INSERT INTO inbound (sid, project, sender, number, body, provider, sent, at, state, tries) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 'new', 0) ON CONFLICT (sid) DO NOTHING",
            values![
                received.sid.as_str(),
                received.project.as_str(),
                sender.as_slice(),
                self.vault.seal("inbound.number", phone.as_bytes())?,
                self.vault.seal("inbound.body", received.body.expose().as_bytes())?,
                received.provider,
                received.sent,
                self.now,
            ],
        )?;
        if inserted == 0 {
            return Ok(Committed::Stale);
        }
        let copy = if received.keep_at_twilio { "kept" } else { "open" };
        self.db.execute(
            "INSERT INTO copy (sid, kind, project, recipient, state, at, look_at, tries) \
             VALUES (?1, 'inbound', ?2, ?3, ?4, ?5, ?5, 0) ON CONFLICT (sid) DO NOTHING",
            values![received.sid.as_str(), received.project.as_str(), sender.as_slice(), copy, self.now],
        )?;
        let public =
            json!({ "project": received.project, "provider": received.provider, "sent": received.sent });
        let private = json!({ "from": phone, "body": received.body.expose() }).to_string();
        self.ledger("inbound", &received.sid, &public, Some(private.as_bytes()))?;
        if let Some(reason) = &received.stop {
            // A STOP that is only found now may be older than a START that was heard.
            let overtaken: u32 = scalar(
                self.db,
                "SELECT COUNT(*) FROM inbound WHERE sender = ?1 AND project = ?2 AND intent = 'start' AND sent > ?3",
                values![sender.as_slice(), received.project.as_str(), received.sent],
            )?;
            if overtaken == 0 {
                self.opt_out(phone, &received.project, &reason.sentence, Some(&received.sid))?;
            }
        }
        Ok(Committed::Done)
    }

    fn swept(&mut self, project: &str, until: u32) -> Result<Committed, StoreError> {
        self.db.execute(
            "INSERT INTO swept (project, until, at) VALUES (?1, ?2, ?3) ON CONFLICT (project) DO UPDATE \
             SET until = CASE WHEN swept.until > excluded.until AND swept.until <= excluded.at THEN swept.until \
                          ELSE excluded.until END, \
             at = excluded.at",
            // What lies in the future was written by a clock that was wrong.
            values![project, until, self.now],
        )?;
        Ok(Committed::Done)
    }

    fn understand(&mut self, understood: &Understood) -> Result<Committed, StoreError> {
        let known = one(
            self.db,
            "UPDATE inbound SET state = 'done', intent = ?2 WHERE sid = ?1 AND state = 'new' \
             RETURNING number, project",
            values![understood.sid.as_str(), understood.intent],
        )?;
        let Some(known) = known else { return Ok(Committed::Stale) };
        let phone = opened(self.vault, "inbound.number", &known.get::<Vec<u8>>(0)?)?;
        let project: String = known.get(1)?;
        for decision in &understood.decisions {
            self.ledger("decision", &understood.sid, &decision.public, Some(&decision.record))?;
        }
        let public = json!({ "intent": understood.intent, "reason": understood.reason });
        self.ledger("understood", &understood.sid, &public, None)?;
        if let Some(scope) = &understood.stop {
            let source = understood.reason.as_ref().map_or("STOP", |reason| &reason.sentence);
            self.opt_out(&phone, scope, source, Some(&understood.sid))?;
        }
        if understood.start {
            self.opt_in(&phone, &project, &understood.sid)?;
        }
        if let Some((kind, sentence)) = &understood.task {
            self.plan_task(kind, &project, &understood.sid, Some(&phone), sentence)?;
        }
        for (index, (record, values)) in understood.writes.iter().enumerate() {
            self.plan_write(&format!("{}/{index}", understood.sid), &project, record, None, values)?;
        }
        self.plan(&understood.messages)?;
        self.finish_copy(&understood.sid)?;
        Ok(Committed::Done)
    }

    /// Ends an opt-out. A STOP that was sent after this START stays, although START was understood later; and
    /// what was stopped for the whole institution is not opened by a word to one project.
    fn opt_in(&mut self, phone: &str, project: &str, sid: &str) -> Result<(), StoreError> {
        let recipient = self.vault.lookup(phone);
        self.db.lock(&[&recipient])?;
        self.db.execute(
            "UPDATE opt_out SET ended = ?3 WHERE recipient = ?1 AND channel = 'sms' AND project = ?2 \
             AND ended IS NULL AND (cause IS NULL OR cause NOT IN ( \
                 SELECT later.sid FROM inbound AS later JOIN inbound AS this ON this.sid = ?4 \
                 WHERE later.sender = ?1 AND (later.sent > this.sent \
                       OR (later.sent = this.sent AND later.seq > this.seq)))) \
             AND NOT EXISTS (SELECT 1 FROM inbound AS later JOIN inbound AS this ON this.sid = ?4 \
                 WHERE later.sender = ?1 AND later.project = ?2 AND later.intent = 'stop' \
                 AND (later.sent > this.sent OR (later.sent = this.sent AND later.seq > this.seq)))",
            values![recipient.as_slice(), project, self.now, sid],
        )?;
        self.ledger("opt-in", sid, &json!({ "project": project }), Some(phone.as_bytes()))?;
        let institution: u32 = scalar(
            self.db,
            "SELECT COUNT(*) FROM opt_out WHERE recipient = ?1 AND project = '' AND ended IS NULL",
            values![recipient.as_slice()],
        )?;
        if institution > 0 {
            let sentence = "somebody who opted out of every study asked one of them for messages again";
            self.plan_task("start-after-stop", project, sid, None, sentence)?;
        }
        Ok(())
    }

    fn misunderstand(
        &mut self,
        sid: &str,
        why: &Reason,
        decisions: &[DecisionRow],
        give_up: bool,
    ) -> Result<Committed, StoreError> {
        let state = if give_up { "done" } else { "new" };
        let known = one(
            self.db,
            "UPDATE inbound SET state = ?2, tries = tries + 1 WHERE sid = ?1 AND state = 'new' \
             RETURNING number, project",
            values![sid, state],
        )?;
        let Some(known) = known else { return Ok(Committed::Stale) };
        for decision in decisions {
            self.ledger("decision", sid, &decision.public, Some(&decision.record))?;
        }
        if give_up {
            let phone = opened(self.vault, "inbound.number", &known.get::<Vec<u8>>(0)?)?;
            self.ledger("not-understood", sid, &json!({ "reason": why }), None)?;
            let project: String = known.get(1)?;
            self.plan_task("unread-reply", &project, sid, Some(&phone), &why.sentence)?;
            self.finish_copy(sid)?;
        }
        Ok(Committed::Done)
    }

    fn phones(
        &mut self,
        project: &str,
        pairs: &[(String, Option<PhoneNumber>)],
    ) -> Result<Committed, StoreError> {
        for (record, phone) in pairs {
            match phone {
                Some(phone) => self.db.execute(
                    "INSERT INTO phone (project, record, recipient) VALUES (?1, ?2, ?3) \
                     ON CONFLICT (project, record) DO UPDATE SET recipient = excluded.recipient",
                    values![project, record, self.vault.lookup(phone.expose())],
                )?,
                None => self.db.execute(
                    "DELETE FROM phone WHERE project = ?1 AND record = ?2",
                    values![project, record],
                )?,
            };
        }
        Ok(Committed::Done)
    }

    fn write_back(&mut self, id: &str, error: Option<&str>, again: u32) -> Result<Committed, StoreError> {
        let state = if error.is_some() { "new" } else { "done" };
        let known = one(
            self.db,
            "UPDATE write_back SET state = ?2, tries = tries + 1, error = ?3, look_at = ?4 \
             WHERE id = ?1 AND state = 'new' RETURNING cause, project, tries",
            values![id, state, error, again],
        )?;
        let Some(known) = known else { return Ok(Committed::Stale) };
        if error.is_none() {
            self.ledger("written", id, &json!({ "cause": known.get::<String>(0)? }), None)?;
        } else if known.get::<u32>(2)? == WRITES {
            let sentence = "REDCap does not take a value that Consentry has to write; it is tried again";
            let project: String = known.get(1)?;
            self.plan_task("failed-write-back", &project, id, None, sentence)?;
        }
        Ok(Committed::Done)
    }

    fn write_opt_outs(
        &mut self,
        project: &str,
        field: &str,
        records: &[(String, u32)],
    ) -> Result<Committed, StoreError> {
        for (record, at) in records {
            let cause = format!("opt-out/{project}/{record}/{at}");
            self.plan_write(&cause, project, record, None, &[(field.into(), "1".into())])?;
        }
        Ok(Committed::Done)
    }

    fn cleaned(&mut self, sid: &str, cleaning: &Cleaning) -> Result<Committed, StoreError> {
        let select = format!(
            "SELECT state, tries, message, project, kind FROM copy WHERE sid = ?1 AND state IN ('final', 'redacted'){}",
            self.db.for_update()
        );
        let copy = one(self.db, &select, values![sid])?;
        let Some(copy) = copy else { return Ok(Committed::Stale) };
        let (tries, message): (u32, Option<String>) = (copy.get(1)?, copy.get(2)?);
        match cleaning {
            Cleaning::Redacted { price, currency } => {
                if let Some(message) = message {
                    self.db.execute(
                        "UPDATE message SET price = COALESCE(?2, price), currency = COALESCE(?3, currency) \
                         WHERE id = ?1",
                        values![message, *price, currency.as_deref()],
                    )?;
                }
                let was_final = copy.get::<String>(0)? == "final";
                let wait = if was_final { LADDER[0] } else { 0 };
                self.db.execute(
                    "UPDATE copy SET state = 'redacted', look_at = ?2, tries = 0 WHERE sid = ?1",
                    values![sid, self.now + wait],
                )?;
                // A call has no words that could be emptied.
                if was_final && copy.get::<String>(4)? != "call" {
                    self.ledger("redacted-at-twilio", sid, &json!({ "price": price }), None)?;
                }
            }
            Cleaning::Gone => {
                self.db.execute(
                    "UPDATE copy SET state = 'gone', gone = ?2 WHERE sid = ?1",
                    values![sid, self.now],
                )?;
                self.ledger("deleted-at-twilio", sid, &json!({}), None)?;
            }
            Cleaning::NotYet { answered } => {
                let tries = tries + u32::from(*answered);
                let step = usize::try_from(tries.saturating_sub(1)).unwrap_or(usize::MAX);
                let wait = if *answered { LADDER.get(step).copied().unwrap_or(DAY) } else { 60 };
                self.db.execute(
                    "UPDATE copy SET tries = ?2, look_at = ?3 WHERE sid = ?1",
                    values![sid, tries, self.now + wait],
                )?;
                if tries == CLEANINGS && *answered {
                    let sentence = "Twilio does not let a record be deleted, although 14 days have passed; it is \
                                    tried again every day";
                    let project: String = copy.get(3)?;
                    self.plan_task("kept-at-twilio", &project, sid, None, sentence)?;
                }
            }
        }
        Ok(Committed::Done)
    }

    fn resolve(&mut self, id: &str, resolution: &str) -> Result<Committed, StoreError> {
        let resolved = one(
            self.db,
            "UPDATE task SET resolved = ?2, resolution = ?3 WHERE id = ?1 AND resolved IS NULL \
             RETURNING recipient",
            values![id, self.now, resolution],
        )?;
        let Some(resolved) = resolved else { return Ok(Committed::Stale) };
        self.ledger("task-resolved", id, &json!({ "resolution": resolution }), None)?;
        // What waited only until a person had read a text is decided at once.
        if let Some(recipient) = resolved.get::<Option<Vec<u8>>>(0)? {
            self.wake("recipient = ?2 AND rule = 'floor.unclear'", recipient)?;
        }
        Ok(Committed::Done)
    }

    /// Deferred messages are decided now.
    fn wake(&mut self, which: &str, value: impl Into<Value>) -> Result<(), StoreError> {
        let sql = format!(
            "UPDATE message SET look_at = ?1, version = version + 1 WHERE state = 'deferred' AND {which}"
        );
        self.db.execute(&sql, &[Value::from(self.now), value.into()])?;
        Ok(())
    }

    fn hold(&mut self, id: &str, why: &str) -> Result<Committed, StoreError> {
        let Some(message) = self.message(id)?.filter(|message| message.may_become(State::Held)) else {
            return Ok(Committed::Stale);
        };
        self.advance(&message, State::Held, self.now, Some(&Reason::new("held-by-hand", why)))?;
        let cause = format!("{id}/{}", message.version);
        self.plan_task("held-message", &message.new.project, &cause, None, why)?;
        Ok(Committed::Done)
    }

    /// What has not left is not to leave any more.
    fn cancel(&mut self, id: &str, why: &str) -> Result<Committed, StoreError> {
        let Some(message) = self.message(id)?.filter(|message| message.may_become(State::Canceled)) else {
            return Ok(Committed::Stale);
        };
        self.advance(&message, State::Canceled, self.now, Some(&Reason::new("canceled-by-hand", why)))?;
        self.close_held(id, why)?;
        Ok(Committed::Done)
    }

    /// A held message is decided again from its start: what held it may hold it again.
    fn release(&mut self, id: &str, why: &str) -> Result<Committed, StoreError> {
        let Some(message) = self.message(id)?.filter(|message| message.state == State::Held) else {
            return Ok(Committed::Stale);
        };
        self.advance(&message, State::Deferred, self.now, Some(&Reason::new("released", why)))?;
        self.close_held(id, why)?;
        Ok(Committed::Done)
    }

    fn close_held(&mut self, id: &str, how: &str) -> Result<(), StoreError> {
        self.db.execute(
            "UPDATE task SET resolved = ?2, resolution = ?3 WHERE kind = 'held-message' AND cause LIKE ?1 \
             AND resolved IS NULL",
            values![format!("{id}/%"), self.now, how],
        )?;
        Ok(())
    }

    fn stop(&mut self, scope: &Scope, why: &str) -> Result<Committed, StoreError> {
        self.db.execute(
            "INSERT INTO stop (scope, at, why) VALUES (?1, ?2, ?3) \
             ON CONFLICT (scope) DO UPDATE SET at = excluded.at, why = excluded.why",
            values![scope.word(), self.now, why],
        )?;
        self.ledger("stopped", &scope.word(), &json!({ "why": why }), None)?;
        Ok(Committed::Done)
    }

    /// Twilio's answer stops more than the one message: the number, the words, the sender.
    fn stop_for(&mut self, message: &Message, scope: &Scope, why: &Reason) -> Result<(), StoreError> {
        // Only the store knows how it finds a number again.
        let own = match (scope, &message.draft) {
            (Scope::Recipient(_, by), Some(draft)) => {
                Scope::Recipient(self.vault.lookup(address(draft)), *by)
            }
            _ => scope.clone(),
        };
        let scope = &own;
        let known: Option<String> =
            self.first("SELECT scope FROM stop WHERE scope = ?1", values![scope.word()])?;
        if known.is_some() {
            return Ok(());
        }
        self.stop(scope, &why.sentence)?;
        let kind = match scope {
            Scope::Wording(_) => "stopped-wording",
            Scope::Recipient(..) => "unreachable-number",
            Scope::All | Scope::Project(_) | Scope::Sender(_) => "stopped-sender",
        };
        let cause = format!("stop/{}/{}", scope.word(), self.now);
        let sentence = format!("{}; `consentry resume` lets it go on", why.sentence);
        self.plan_task(kind, &message.new.project, &cause, None, &sentence)
    }

    fn resume(&mut self, scope: &Scope, why: &str) -> Result<Committed, StoreError> {
        let word = scope.word();
        if self.db.execute("DELETE FROM stop WHERE scope = ?1", values![word.as_str()])? == 0 {
            return Ok(Committed::Stale);
        }
        self.ledger("resumed", &word, &json!({ "why": why }), None)?;
        self.db.execute(
            "UPDATE task SET resolved = ?2, resolution = ?3 WHERE cause LIKE ?1 AND resolved IS NULL",
            values![format!("stop/{word}/%"), self.now, why],
        )?;
        self.wake("rule = ?2", "floor.stopped")?;
        if matches!(scope, Scope::Wording(_)) {
            // Those of another wording that is stopped are held again.
            let held = self.db.query(
                "SELECT id FROM message WHERE state = 'held' AND rule = 'floor.wording' AND ended IS NULL",
                values![],
            )?;
            for row in held {
                self.release(&row.get::<String>(0)?, why)?;
            }
        }
        Ok(Committed::Done)
    }

    fn lease(&mut self, name: &str, holder: &str, until: u32) -> Result<Committed, StoreError> {
        self.leases.clear();
        let select =
            format!("SELECT holder, fence, until FROM lease WHERE name = ?1{}", self.db.for_update());
        let Some(held) = one(self.db, &select, values![name])? else {
            let inserted = self.db.execute(
                "INSERT INTO lease (name, holder, fence, until) VALUES (?1, ?2, 1, ?3) ON CONFLICT (name) DO NOTHING",
                values![name, holder, until],
            )?;
            let lease = Lease { name: name.into(), fence: 1 };
            return Ok(if inserted == 1 { Committed::Leased(lease) } else { Committed::Stale });
        };
        let (by, fence, ends): (String, i64, u32) = (held.get(0)?, held.get(1)?, held.get(2)?);
        // None lasts for so long: it was written by a clock that was wrong.
        let in_force = ends > self.now && ends - self.now <= LONGEST;
        if in_force && by != holder {
            return Ok(Committed::Stale);
        }
        // One that had ended was perhaps another's in between, so it counts as a new holder's.
        let fence = if in_force { fence } else { fence + 1 };
        self.db.execute(
            "UPDATE lease SET holder = ?2, fence = ?3, until = ?4 WHERE name = ?1",
            values![name, holder, fence, until],
        )?;
        Ok(Committed::Leased(Lease { name: name.into(), fence }))
    }

    fn holds(&mut self, lease: &Lease) -> Result<bool, StoreError> {
        if self.leases.contains(lease) {
            return Ok(true);
        }
        let held: u32 = scalar(
            self.db,
            "SELECT COUNT(*) FROM lease WHERE name = ?1 AND fence = ?2 AND until > ?3",
            values![lease.name.as_str(), lease.fence, self.now],
        )?;
        if held == 1 {
            self.leases.push(lease.clone());
        }
        Ok(held == 1)
    }

    /// Bodies, numbers and values that have ended are destroyed, some at a time. What was counted, decided and
    /// promised stays, and opt-outs are still matched by their number's key.
    fn destroy(&mut self, project: &str, before: u32) -> Result<Committed, StoreError> {
        let messages = "SELECT id FROM message WHERE project = ?1 AND ended < ?2 \
                        AND (draft IS NOT NULL OR number IS NOT NULL) ORDER BY ended, id LIMIT ?3";
        let inbound = "SELECT sid FROM inbound WHERE project = ?1 AND at < ?2 AND state = 'done' \
                       AND body IS NOT NULL ORDER BY at, sid LIMIT ?3";
        let mut destroyed = 0;
        for (which, forget) in [
            (messages, "UPDATE message SET draft = NULL, number = NULL WHERE id = ?1"),
            (inbound, "UPDATE inbound SET body = NULL, number = NULL WHERE sid = ?1"),
        ] {
            for row in self.db.query(which, values![project, before, DESTROYED])? {
                let subject: String = row.get(0)?;
                self.db.execute(forget, values![subject.as_str()])?;
                self.db.execute(
                    "UPDATE ledger SET private = NULL WHERE subject = ?1 AND private IS NOT NULL",
                    values![subject.as_str()],
                )?;
                destroyed += 1;
            }
        }
        self.db.execute(
            "UPDATE write_back SET field_values = NULL WHERE project = ?1 AND state <> 'new' AND look_at < ?2 \
             AND field_values IS NOT NULL",
            values![project, before],
        )?;
        if destroyed > 0 {
            self.ledger("destroyed", project, &json!({ "before": before, "count": destroyed }), None)?;
        }
        Ok(Committed::Count(destroyed))
    }

    /// What was due when the backup was made may have been sent since: a person looks first.
    fn restored(&mut self, since: u32) -> Result<Committed, StoreError> {
        let sentence = WAS_RESTORED;
        self.stop(&Scope::All, sentence)?;
        self.db.execute(
            "INSERT INTO figure (name, value) VALUES (?1, ?2) \
             ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            values![RESTORED, self.now],
        )?;
        let open = "WHERE state IN ('planned', 'deferred', 'due', 'claimed', 'submitting')";
        for message in messages(self.db, self.vault, open, values![])? {
            if message.state == State::Submitting {
                self.unknown(&message, &Reason::new("send.unknown", sentence))?;
            } else {
                self.advance(&message, State::Held, self.now, Some(&Reason::new("restored", sentence)))?;
            }
        }
        self.ledger("restored", "", &json!({ "since": since }), None)?;
        self.plan_task("restored", "", &format!("restored/{}", self.now), None, sentence)?;
        Ok(Committed::Done)
    }

    /// Writes an opt-out, once, and takes back what was not sent yet.
    fn opt_out(
        &mut self,
        phone: &str,
        project: &str,
        source: &str,
        cause: Option<&str>,
    ) -> Result<(), StoreError> {
        let recipient = self.vault.lookup(phone);
        self.db.lock(&[&recipient])?;
        let in_force: u32 = scalar(
            self.db,
            "SELECT COUNT(*) FROM opt_out WHERE recipient = ?1 AND channel = 'sms' AND project = ?2 \
             AND ended IS NULL",
            values![recipient.as_slice(), project],
        )?;
        if in_force == 0 {
            self.db.execute(
                "INSERT INTO opt_out (id, recipient, channel, project, at, number, source, cause) \
                 VALUES (?7, ?1, 'sms', ?2, ?3, ?4, ?5, ?6) \
                 ON CONFLICT (recipient, channel, project, at) DO UPDATE SET ended = NULL",
                values![
                    recipient.as_slice(),
                    project,
                    self.now,
                    self.vault.seal("opt_out.number", phone.as_bytes())?,
                    source,
                    cause,
                    self.id()?,
                ],
            )?;
            let public = json!({ "project": project, "source": source });
            self.ledger("opt-out", cause.unwrap_or(""), &public, Some(phone.as_bytes()))?;
        }
        // The confirmation and the answer to HELP are what may still go out, and the floor says when.
        // Only ids are read: a row that cannot be read must not keep an opt-out from being written.
        let reason = floor::opted_out();
        let open = self.db.query(
            "UPDATE message SET state = 'suppressed', version = version + 1, rule = ?3, reason = ?4, changed = ?5, \
             ended = ?5 WHERE recipient = ?1 AND (?2 = '' OR project = ?2) \
             AND state IN ('planned', 'deferred', 'due', 'claimed', 'held') \
             AND purpose NOT IN ('opt-out-confirmation', 'help') RETURNING id",
            values![recipient.as_slice(), project, reason.rule.as_str(), json_of(&reason), self.now],
        )?;
        for row in open {
            let id: String = row.get(0)?;
            self.ledger(State::Suppressed.name(), &id, &json!({ "reason": reason }), None)?;
            self.ledger("ended", &id, &json!({ "state": State::Suppressed.name() }), None)?;
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

    fn plan_write(
        &mut self,
        cause: &str,
        project: &str,
        record: &str,
        event: Option<&str>,
        values: &[(String, String)],
    ) -> Result<(), StoreError> {
        let field = match values {
            [(field, _)] => Some(field.as_str()),
            _ => None,
        };
        // A later word about a field replaces one that REDCap has not taken yet: "stopped" must not arrive
        // after "started again".
        if let Some(field) = field {
            self.db.execute(
                "UPDATE write_back SET state = 'replaced' WHERE project = ?1 AND record = ?2 \
                 AND event IS NOT DISTINCT FROM ?3 AND state = 'new' AND field = ?4",
                values![project, record, event, field],
            )?;
        }
        let id = self.id()?;
        self.db.execute(
            "INSERT INTO write_back (id, cause, project, record, event, field, field_values, state, tries, look_at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'new', 0, ?8) ON CONFLICT (cause) DO NOTHING",
            values![
                id,
                cause,
                project,
                record,
                event,
                field,
                self.vault.seal("write_back.values", json_of(&values).as_bytes())?,
                self.now
            ],
        )?;
        Ok(())
    }

    fn plan_task(
        &mut self,
        kind: &str,
        project: &str,
        cause: &str,
        phone: Option<&str>,
        sentence: &str,
    ) -> Result<(), StoreError> {
        let id = self.id()?;
        let inserted = self.db.execute(
            "INSERT INTO task (id, kind, project, cause, recipient, sentence, at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (cause) DO NOTHING",
            values![
                id,
                kind,
                project,
                cause,
                phone.map(|phone| self.vault.lookup(phone)),
                sentence,
                self.now
            ],
        )?;
        if inserted == 1 {
            let public = json!({ "kind": kind, "project": project, "sentence": sentence });
            // A task about a message belongs to its story.
            let about = cause.split_once('/').filter(|(id, _)| id.len() == ulid::ULID_LEN);
            self.ledger("task", about.map_or(cause, |(id, _)| id), &public, None)?;
        }
        Ok(())
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

    /// A row for the ledger. It is written with the others of the transaction, at its end.
    fn ledger(
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
    pub(super) fn append_to_ledger(&mut self) -> Result<(), StoreError> {
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
    fn seal(&mut self) -> Result<Committed, StoreError> {
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

    /// A new id. It sorts by the clock's time, which the system's randomness then tells apart.
    fn id(&self) -> Result<String, StoreError> {
        let random: [u8; 16] = random()?;
        Ok(ulid::Ulid::from_parts(u64::from(self.now) * 1000, u128::from_be_bytes(random)).to_string())
    }
}

/// Where a draft goes.
pub(super) fn address(draft: &policy::contract::reviewer::Draft) -> &str {
    use policy::contract::types::Address;
    match &draft.to {
        Address::Phone(to) | Address::Email(to) => to,
    }
}

fn copy_kind(message: &Message) -> &'static str {
    if message.channel() == Channel::Voice { "call" } else { "message" }
}

/// The later of two words of Twilio's.
fn latest(before: Option<&str>, status: &ProviderStatus) -> ProviderStatus {
    match (before, status) {
        (None, status) => status.clone(),
        (Some(before), ProviderStatus::Text(status)) => {
            ProviderStatus::Text(MessageStatus::from(before).later(status.clone()))
        }
        (Some(before), ProviderStatus::Call(status)) => {
            ProviderStatus::Call(CallStatus::from(before).later(status.clone()))
        }
    }
}

pub(crate) fn random<const N: usize>() -> Result<[u8; N], StoreError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| StoreError::Random)?;
    Ok(bytes)
}
