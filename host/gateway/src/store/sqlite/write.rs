//! The steps: each is written whole, with its ledger rows.

use rusqlite::{Connection, OptionalExtension, params};
use serde_json::{Value, json};
use twilio::{MessageStatus, PhoneNumber};

use super::super::{Committed, Decided, DecisionRow, Outcome, Received, Report, Step, Understood};
use super::{StoreError, address, json, messages, random};
use crate::floor;
use crate::ledger::{self, GENESIS, Row};
use crate::outbox::{Message, NewMessage, Reason, State};
use crate::vocabulary::{Word, channel};

/// A submission that has not ended after this many seconds was cut off.
const SUBMISSION: u32 = 120;

/// Writes to REDCap that fail this often become a task.
const WRITES: u32 = 8;

/// A step being written.
pub(super) struct Writing<'a> {
    pub(super) db: &'a Connection,
    pub(super) now: u32,
}

impl Writing<'_> {
    pub(super) fn step(&self, step: Step) -> Result<Committed, StoreError> {
        match step {
            Step::Plan(messages) => self.plan(messages).map(Committed::Planned),
            Step::Decide(decided) => self.decide(*decided),
            Step::Claim { limit, until } => self.claim(limit, until),
            Step::Submit { id, version, ceiling, decisions } => {
                self.submit(&id, version, ceiling, &decisions)
            }
            Step::Settle { id, outcome } => self.settle(&id, outcome),
            Step::Report(report) => self.report(&report),
            Step::Receive(received) => self.receive(&received),
            Step::Understand(understood) => self.understand(*understood),
            Step::Misunderstand { sid, why, decisions, give_up } => {
                self.misunderstand(&sid, &why, &decisions, give_up)
            }
            Step::Phones { project, pairs } => self.phones(&project, &pairs),
            Step::WriteBack { id, error, again } => self.write_back(&id, error.as_deref(), again),
            Step::WriteOptOuts { project, field, records } => self.write_opt_outs(&project, &field, &records),
            Step::Resolve { id, resolution } => self.resolve(&id, &resolution),
            Step::Release { id, why } => self.release(&id, &why),
            Step::Stop { project, why } => self.stop(&project, why.as_deref()),
            Step::Ask { kind, project, cause, sentence } => {
                self.plan_task(kind, &project, &cause, None, &sentence)?;
                Ok(Committed::Done)
            }
            Step::Count(name) => {
                let value: i64 = self.db.query_row(
                    "INSERT INTO figure (name, value) VALUES (?1, 1) \
                     ON CONFLICT (name) DO UPDATE SET value = value + 1 RETURNING value",
                    [name],
                    |row| row.get(0),
                )?;
                Ok(Committed::Count(value.try_into().unwrap_or(0)))
            }
        }
    }

    fn plan(&self, messages: Vec<NewMessage>) -> Result<Vec<String>, StoreError> {
        let mut planned = Vec::new();
        let mut insert = self.db.prepare_cached(
            "INSERT INTO message (id, occasion, project, purpose, record, survey, wording, number, cause, depth, \
             due, not_after, state, version, look_at, address, attempts, changed) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, 'planned', 1, ?11, ?8, '[]', ?13) \
             ON CONFLICT (occasion) DO NOTHING",
        )?;
        for new in messages {
            let id = self.id()?;
            let survey = new.survey.as_ref().map(|survey| json(&survey));
            let inserted = insert.execute(params![
                id,
                new.occasion,
                new.project,
                new.purpose.word(),
                new.record,
                survey,
                new.wording,
                new.number.as_ref().map(PhoneNumber::expose),
                new.cause,
                new.depth,
                new.due,
                new.not_after,
                self.now,
            ])?;
            if inserted == 1 {
                let public = json!({
                    "occasion": new.occasion, "project": new.project, "purpose": new.purpose.word(),
                    "record": new.record, "due": new.due, "cause": new.cause,
                });
                self.ledger("occasion", &id, &public, None)?;
                planned.push(id);
            }
        }
        Ok(planned)
    }

    fn decide(&self, decided: Decided) -> Result<Committed, StoreError> {
        let Some(message) = self.message(&decided.id)? else { return Ok(Committed::Stale) };
        if message.version != decided.version || !message.state.may_become(decided.state) {
            return Ok(Committed::Stale);
        }
        for decision in &decided.decisions {
            self.ledger("decision", &decided.id, &decision.public, Some(&decision.record))?;
        }
        self.db.execute(
            "UPDATE message SET state = ?2, version = version + 1, look_at = ?3, draft = ?4, method = ?5, \
             address = COALESCE(?6, address), reason = ?7, changed = ?8 WHERE id = ?1",
            params![
                decided.id,
                decided.state.name(),
                decided.look_at,
                decided.draft.as_ref().map(json),
                decided.draft.as_ref().map(|draft| draft.method.word()),
                decided.draft.as_ref().map(address),
                decided.reason.as_ref().map(json),
                self.now,
            ],
        )?;
        let public = json!({
            "state": decided.state.name(), "reason": decided.reason, "evidence": decided.evidence,
            "again": (decided.state == State::Deferred).then_some(decided.look_at),
        });
        let body = decided.draft.as_ref().map(|draft| draft.body.as_bytes());
        self.ledger(decided.state.name(), &decided.id, &public, body)?;
        for sentence in &decided.refused {
            self.ledger("refused", &decided.id, &json!({ "sentence": sentence }), None)?;
        }
        if decided.state == State::Held {
            let cause = format!("{}/{}", decided.id, message.version);
            let sentence = decided.reason.as_ref().map_or("it was held", |reason| &reason.sentence);
            self.plan_task("held-message", &message.new.project, &cause, None, sentence)?;
        }
        if let Some(record) = &message.new.record {
            for (event, values) in &decided.writes {
                // By attempt, not by version: a message that is decided again writes the same once.
                let cause = format!("{}/{}/{event}", decided.id, message.attempts.len());
                self.plan_write(&cause, &message.new.project, record, Some(event), values)?;
            }
        }
        self.plan(decided.messages)?;
        Ok(Committed::Done)
    }

    /// Claims whose lease has ended are claimed again: their bytes never left, since that is another state.
    /// A submission whose lease has ended was cut off, and nobody knows what left.
    fn claim(&self, limit: u32, until: u32) -> Result<Committed, StoreError> {
        for cut_off in messages(self.db, "WHERE state = 'submitting' AND look_at <= ?1", [self.now])? {
            let why = Reason::new(
                "send.unknown",
                "Consentry ended while it was being sent; it is never sent again, and Twilio's report settles it",
            );
            self.advance(&cut_off, State::Unknown, self.now, Some(&why))?;
            self.plan_task("unknown-send", &cut_off.new.project, &cut_off.id, None, &why.sentence)?;
        }
        let claimed: Vec<String> = {
            let mut claim = self.db.prepare_cached(
                "UPDATE message SET state = 'claimed', version = version + 1, look_at = ?2, changed = ?1 \
                 WHERE id IN (SELECT id FROM message WHERE state IN ('due', 'claimed') AND look_at <= ?1 \
                              ORDER BY look_at, id LIMIT ?3) RETURNING id",
            )?;
            let rows = claim.query_map(params![self.now, until, limit], |row| row.get(0))?;
            rows.collect::<Result<_, _>>()?
        };
        let mut found = Vec::new();
        for id in claimed {
            found.extend(self.message(&id)?);
        }
        Ok(Committed::Claimed(found))
    }

    /// The floor's last look and the step to `submitting` are one transaction: a STOP is either before it,
    /// and seen, or after it, and too late for a text that is on the wire.
    fn submit(
        &self,
        id: &str,
        version: i64,
        ceiling: u32,
        decisions: &[DecisionRow],
    ) -> Result<Committed, StoreError> {
        let Some(message) = self.message(id)? else { return Ok(Committed::Stale) };
        if message.version != version || message.state != State::Claimed {
            return Ok(Committed::Stale);
        }
        let Some(draft) = &message.draft else { return Ok(Committed::Stale) };
        for decision in decisions {
            self.ledger("decision", id, &decision.public, Some(&decision.record))?;
        }
        let phone = address(draft);
        let project = &message.new.project;
        let count = |sql: &str, params: &[&dyn rusqlite::ToSql]| -> Result<u32, StoreError> {
            Ok(self.db.query_row(sql, params, |row| row.get(0))?)
        };
        let facts = floor::AtSubmission {
            now: self.now,
            not_after: message.new.not_after,
            purpose: message.new.purpose,
            opted_out: count(
                "SELECT COUNT(*) FROM opt_out WHERE number = ?1 AND channel = ?2 AND project IN ('', ?3) \
                 AND ended IS NULL",
                &[&phone, &channel(draft.method).word(), project],
            )? > 0,
            unread: count("SELECT COUNT(*) FROM inbound WHERE number = ?1 AND state = 'new'", &[&phone])? > 0,
            unclear: count("SELECT COUNT(*) FROM task WHERE number = ?1 AND resolved IS NULL", &[&phone])?
                > 0,
            stopped: self
                .db
                .query_row("SELECT why FROM stop WHERE project IN ('', ?1)", [project], |row| row.get(0))
                .optional()?,
            texts_today: count(
                "SELECT COUNT(*) FROM message WHERE address = ?1 AND submitted > ?2",
                &[&phone, &self.now.saturating_sub(86_400)],
            )?,
            same_text_today: count(
                "SELECT COUNT(*) FROM message WHERE address = ?1 AND submitted > ?2 AND purpose = ?3 \
                 AND json_extract(draft, '$.body') = ?4",
                &[&phone, &self.now.saturating_sub(86_400), &message.new.purpose.word(), &draft.body],
            )?,
            ceiling,
        };
        if let Err(stop) = floor::at_submission(&facts) {
            self.advance(&message, stop.state, stop.look_at.unwrap_or(self.now), Some(&stop.reason))?;
            return Ok(Committed::Stopped(stop.reason));
        }
        self.db.execute(
            "UPDATE message SET state = 'submitting', version = version + 1, submitted = ?2, changed = ?2, \
             look_at = ?3 WHERE id = ?1",
            params![id, self.now, self.now + SUBMISSION],
        )?;
        self.ledger("submitting", id, &json!({}), None)?;
        Ok(Committed::Done)
    }

    fn settle(&self, id: &str, outcome: Outcome) -> Result<Committed, StoreError> {
        let Some(message) = self.message(id)? else { return Ok(Committed::Stale) };
        match outcome {
            Outcome::Accepted { sid, status } => {
                self.db
                    .execute("UPDATE message SET sid = COALESCE(sid, ?2) WHERE id = ?1", params![id, sid])?;
                self.ledger("accepted", id, &json!({ "sid": sid, "status": status.as_str() }), None)?;
                self.progress(&message, &status, None)?;
            }
            // A status callback may have come before the answer that we then did not get.
            _ if message.state != State::Submitting => return Ok(Committed::Stale),
            Outcome::Again { at, attempt, code, why } => {
                let mut attempts = message.attempts.clone();
                attempts.extend(attempt);
                self.db.execute(
                    "UPDATE message SET attempts = ?2, error_code = ?3, submitted = NULL WHERE id = ?1",
                    params![id, json(&attempts), code],
                )?;
                self.advance(&message, State::Deferred, at, Some(&why))?;
            }
            Outcome::Refused { code, why, opted_out } => {
                self.db.execute(
                    "UPDATE message SET error_code = ?2, submitted = NULL WHERE id = ?1",
                    params![id, code],
                )?;
                self.advance(&message, State::Failed, self.now, Some(&why))?;
                if opted_out && let Some(draft) = &message.draft {
                    self.provider_opt_out(&message, &address(draft), code)?;
                }
            }
            Outcome::Held { code, why } => {
                self.db.execute(
                    "UPDATE message SET error_code = ?2, submitted = NULL WHERE id = ?1",
                    params![id, code],
                )?;
                // The way from `submitting` to a person goes by `deferred`: it is a definite no.
                self.advance(&message, State::Deferred, self.now, Some(&why))?;
                if let Some(message) = self.message(id)? {
                    self.advance(&message, State::Held, self.now, Some(&why))?;
                }
                let cause = format!("{id}/{}", message.version);
                self.plan_task("held-message", &message.new.project, &cause, None, &why.sentence)?;
            }
            Outcome::Unknown { why } => {
                self.advance(&message, State::Unknown, self.now, Some(&why))?;
                self.plan_task("unknown-send", &message.new.project, id, None, &why.sentence)?;
            }
        }
        Ok(Committed::Done)
    }

    fn report(&self, report: &Report) -> Result<Committed, StoreError> {
        let by_sid = messages(self.db, "WHERE sid = ?1", [&report.sid])?.pop();
        let message = match (by_sid, &report.id) {
            (Some(message), _) => message,
            // The id in the callback's URL finds a message whose answer we never saw.
            (None, Some(id)) => match self.message(id)? {
                Some(message) if message.sid.is_none() && message.state.may_have_reached() => {
                    self.db.execute("UPDATE message SET sid = ?2 WHERE id = ?1", params![id, report.sid])?;
                    message
                }
                _ => return Ok(Committed::Stale),
            },
            (None, None) => return Ok(Committed::Stale),
        };
        // A project's token vouches for that project's messages only.
        if message.new.project != report.project {
            return Ok(Committed::Stale);
        }
        if message.state == State::Unknown {
            let settled = "Twilio reported on it: it was sent";
            self.db.execute(
                "UPDATE task SET resolved = ?2, resolution = ?3 WHERE cause = ?1 AND resolved IS NULL",
                params![message.id, self.now, settled],
            )?;
        }
        self.progress(&message, &report.status, report.code)?;
        if let Some(code) = report.code.filter(|code| twilio::is_opt_out(*code))
            && let Some(draft) = &message.draft
        {
            self.provider_opt_out(&message, &address(draft), Some(code))?;
        }
        Ok(Committed::Done)
    }

    /// Moves a message forward to where Twilio's status puts it. What comes late is recorded, not applied.
    fn progress(
        &self,
        message: &Message,
        status: &MessageStatus,
        code: Option<u32>,
    ) -> Result<(), StoreError> {
        let before = message.provider_status.as_deref().map(MessageStatus::from);
        let last = before.map_or_else(|| status.clone(), |before| before.later(status.clone()));
        let next = State::of(&last);
        let state = if message.state.may_become(next) { next } else { message.state };
        let reason = code
            .and_then(twilio::explain)
            .map(|known| Reason::new("delivery", format!("{}; {}", known.sentence, known.advice)));
        self.db.execute(
            "UPDATE message SET state = ?2, version = version + 1, provider_status = ?3, \
             error_code = COALESCE(?4, error_code), reason = COALESCE(?5, reason), changed = ?6 WHERE id = ?1",
            params![message.id, state.name(), last.as_str(), code, reason.as_ref().map(json), self.now],
        )?;
        let public = json!({ "status": status.as_str(), "code": code, "state": state.name() });
        self.ledger("status", &message.id, &public, None)
    }

    /// Twilio knows of an opt-out that we did not see: it is the same opt-out.
    fn provider_opt_out(&self, message: &Message, phone: &str, code: Option<u32>) -> Result<(), StoreError> {
        let code = code.map_or_else(String::new, |code| format!(" (error {code})"));
        self.opt_out(phone, &message.new.project, &format!("Twilio{code}"), Some(&message.id))
    }

    fn receive(&self, received: &Received) -> Result<Committed, StoreError> {
        let inserted = self.db.execute(
            "INSERT INTO inbound (sid, project, number, body, provider, at, state, tries) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'new', 0) ON CONFLICT (sid) DO NOTHING",
            params![
                received.sid,
                received.project,
                received.number.expose(),
                received.body.expose(),
                received.provider,
                self.now,
            ],
        )?;
        if inserted == 0 {
            return Ok(Committed::Stale);
        }
        let public = json!({ "project": received.project, "provider": received.provider });
        let private = json!({ "from": received.number.expose(), "body": received.body.expose() }).to_string();
        self.ledger("inbound", &received.sid, &public, Some(private.as_bytes()))?;
        if let Some(reason) = &received.stop {
            let phone = received.number.expose();
            self.opt_out(phone, &received.project, &reason.sentence, Some(&received.sid))?;
        }
        Ok(Committed::Done)
    }

    fn understand(&self, understood: Understood) -> Result<Committed, StoreError> {
        let known = self
            .db
            .query_row(
                "UPDATE inbound SET state = 'done', intent = ?2 WHERE sid = ?1 AND state = 'new' \
                 RETURNING number, project",
                params![understood.sid, understood.intent],
                |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)),
            )
            .optional()?;
        let Some((phone, project)) = known else { return Ok(Committed::Stale) };
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
        self.plan(understood.messages)?;
        Ok(Committed::Done)
    }

    /// Ends an opt-out. A STOP that came in after this START stays, although START was understood later; and
    /// what was stopped for the whole institution is not opened by a word to one project.
    fn opt_in(&self, phone: &str, project: &str, sid: &str) -> Result<(), StoreError> {
        self.db.execute(
            "UPDATE opt_out SET ended = ?3 WHERE number = ?1 AND channel = 'sms' AND project = ?2 \
             AND ended IS NULL AND (cause IS NULL OR cause NOT IN ( \
                 SELECT later.sid FROM inbound AS later JOIN inbound AS this ON this.sid = ?4 \
                 WHERE later.number = ?1 AND later.rowid > this.rowid))",
            params![phone, project, self.now, sid],
        )?;
        self.ledger("opt-in", sid, &json!({ "project": project }), Some(phone.as_bytes()))?;
        let institution: u32 = self.db.query_row(
            "SELECT COUNT(*) FROM opt_out WHERE number = ?1 AND project = '' AND ended IS NULL",
            [phone],
            |row| row.get(0),
        )?;
        if institution > 0 {
            let sentence = "somebody who opted out of every study asked one of them for messages again";
            self.plan_task("start-after-stop", project, sid, None, sentence)?;
        }
        Ok(())
    }

    fn misunderstand(
        &self,
        sid: &str,
        why: &Reason,
        decisions: &[DecisionRow],
        give_up: bool,
    ) -> Result<Committed, StoreError> {
        for decision in decisions {
            self.ledger("decision", sid, &decision.public, Some(&decision.record))?;
        }
        let state = if give_up { "done" } else { "new" };
        let (phone, project): (String, String) = self.db.query_row(
            "UPDATE inbound SET state = ?2, tries = tries + 1 WHERE sid = ?1 RETURNING number, project",
            params![sid, state],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        if give_up {
            self.ledger("not-understood", sid, &json!({ "reason": why }), None)?;
            self.plan_task("unread-reply", &project, sid, Some(&phone), &why.sentence)?;
        }
        Ok(Committed::Done)
    }

    fn phones(
        &self,
        project: &str,
        pairs: &[(String, Option<PhoneNumber>)],
    ) -> Result<Committed, StoreError> {
        for (record, phone) in pairs {
            match phone {
                Some(phone) => self.db.execute(
                    "INSERT INTO phone (project, record, number) VALUES (?1, ?2, ?3) \
                     ON CONFLICT (project, record) DO UPDATE SET number = excluded.number",
                    params![project, record, phone.expose()],
                )?,
                None => self
                    .db
                    .execute("DELETE FROM phone WHERE project = ?1 AND record = ?2", [project, record])?,
            };
        }
        Ok(Committed::Done)
    }

    fn write_back(&self, id: &str, error: Option<&str>, again: u32) -> Result<Committed, StoreError> {
        let state = if error.is_some() { "new" } else { "done" };
        let known = self
            .db
            .query_row(
                "UPDATE write_back SET state = ?2, tries = tries + 1, error = ?3, look_at = ?4 \
                 WHERE id = ?1 AND state = 'new' RETURNING cause, project, tries",
                params![id, state, error, again],
                |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, u32>(2)?)),
            )
            .optional()?;
        let Some((cause, project, tries)) = known else { return Ok(Committed::Stale) };
        if error.is_none() {
            self.ledger("written", id, &json!({ "cause": cause }), None)?;
        } else if tries == WRITES {
            let sentence = "REDCap does not take a value that Consentry has to write; it is tried again";
            self.plan_task("failed-write-back", &project, id, None, sentence)?;
        }
        Ok(Committed::Done)
    }

    fn write_opt_outs(
        &self,
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

    fn resolve(&self, id: &str, resolution: &str) -> Result<Committed, StoreError> {
        let resolved: Option<Option<String>> = self
            .db
            .query_row(
                "UPDATE task SET resolved = ?2, resolution = ?3 WHERE id = ?1 AND resolved IS NULL \
                 RETURNING number",
                params![id, self.now, resolution],
                |row| row.get(0),
            )
            .optional()?;
        let Some(phone) = resolved else { return Ok(Committed::Stale) };
        self.ledger("task-resolved", id, &json!({ "resolution": resolution }), None)?;
        // What waited only until a person had read a text is decided at once.
        let waiting =
            "WHERE address = ?1 AND state = 'deferred' AND json_extract(reason, '$.rule') = 'floor.unclear'";
        for message in messages(self.db, waiting, params![phone])? {
            self.advance(&message, State::Deferred, self.now, message.reason.as_ref())?;
        }
        Ok(Committed::Done)
    }

    /// A held message is decided again from its start: what held it may hold it again.
    fn release(&self, id: &str, why: &str) -> Result<Committed, StoreError> {
        let Some(message) = self.message(id)?.filter(|message| message.state == State::Held) else {
            return Ok(Committed::Stale);
        };
        self.advance(&message, State::Deferred, self.now, Some(&Reason::new("released", why)))?;
        self.db.execute(
            "UPDATE task SET resolved = ?2, resolution = ?3 WHERE cause LIKE ?1 || '/%' AND resolved IS NULL",
            params![id, self.now, why],
        )?;
        Ok(Committed::Done)
    }

    fn stop(&self, project: &str, why: Option<&str>) -> Result<Committed, StoreError> {
        match why {
            Some(why) => self.db.execute(
                "INSERT INTO stop (project, at, why) VALUES (?1, ?2, ?3) \
                 ON CONFLICT (project) DO UPDATE SET at = excluded.at, why = excluded.why",
                params![project, self.now, why],
            )?,
            None => self.db.execute("DELETE FROM stop WHERE project = ?1", [project])?,
        };
        let kind = if why.is_some() { "stopped" } else { "resumed" };
        self.ledger(kind, project, &json!({ "why": why }), None)?;
        Ok(Committed::Done)
    }

    /// Writes an opt-out, once, and takes back what was not sent yet.
    fn opt_out(
        &self,
        phone: &str,
        project: &str,
        source: &str,
        cause: Option<&str>,
    ) -> Result<(), StoreError> {
        let in_force: u32 = self.db.query_row(
            "SELECT COUNT(*) FROM opt_out WHERE number = ?1 AND channel = 'sms' AND project = ?2 \
             AND ended IS NULL",
            [phone, project],
            |row| row.get(0),
        )?;
        if in_force == 0 {
            self.db.execute(
                "INSERT INTO opt_out (number, channel, project, at, source, cause) \
                 VALUES (?1, 'sms', ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE SET ended = NULL",
                params![phone, project, self.now, source, cause],
            )?;
            let public = json!({ "project": project, "source": source });
            self.ledger("opt-out", cause.unwrap_or(""), &public, Some(phone.as_bytes()))?;
        }
        // The confirmation and the answer to HELP are what may still go out, and the floor says when.
        // Only ids are read: a row that cannot be read must not keep an opt-out from being written.
        let open: Vec<String> = {
            let mut suppress = self.db.prepare_cached(
                "UPDATE message SET state = 'suppressed', version = version + 1, reason = ?3, changed = ?4 \
                 WHERE address = ?1 AND (?2 = '' OR project = ?2) \
                 AND state IN ('planned', 'deferred', 'due', 'claimed', 'held') \
                 AND purpose NOT IN ('opt-out-confirmation', 'help') RETURNING id",
            )?;
            let reason = json(&floor::opted_out());
            let rows = suppress.query_map(params![phone, project, reason, self.now], |row| row.get(0))?;
            rows.collect::<Result<_, _>>()?
        };
        for id in open {
            let public = json!({ "reason": floor::opted_out() });
            self.ledger(State::Suppressed.name(), &id, &public, None)?;
        }
        Ok(())
    }

    /// Moves a message, and says so in the ledger.
    fn advance(
        &self,
        message: &Message,
        state: State,
        look_at: u32,
        reason: Option<&Reason>,
    ) -> Result<(), StoreError> {
        if !message.state.may_become(state) {
            return Ok(());
        }
        self.db.execute(
            "UPDATE message SET state = ?2, version = version + 1, look_at = ?3, reason = ?4, changed = ?5 \
             WHERE id = ?1",
            params![message.id, state.name(), look_at, reason.map(json), self.now],
        )?;
        self.ledger(state.name(), &message.id, &json!({ "reason": reason }), None)
    }

    fn plan_write(
        &self,
        cause: &str,
        project: &str,
        record: &str,
        event: Option<&str>,
        values: &[(String, String)],
    ) -> Result<(), StoreError> {
        // A later word about a field replaces one that REDCap has not taken yet: "stopped" must not arrive
        // after "started again".
        if let [(field, _)] = values {
            self.db.execute(
                "UPDATE write_back SET state = 'replaced' WHERE project = ?1 AND record = ?2 AND event IS ?3 \
                 AND state = 'new' AND json_array_length(field_values) = 1 \
                 AND json_extract(field_values, '$[0][0]') = ?4",
                params![project, record, event, field],
            )?;
        }
        self.db.execute(
            "INSERT INTO write_back (id, cause, project, record, event, field_values, state, tries, look_at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'new', 0, ?7) ON CONFLICT (cause) DO NOTHING",
            params![self.id()?, cause, project, record, event, json(&values), self.now],
        )?;
        Ok(())
    }

    fn plan_task(
        &self,
        kind: &str,
        project: &str,
        cause: &str,
        phone: Option<&str>,
        sentence: &str,
    ) -> Result<(), StoreError> {
        let id = self.id()?;
        let inserted = self.db.execute(
            "INSERT INTO task (id, kind, project, cause, number, sentence, at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (cause) DO NOTHING",
            params![id, kind, project, cause, phone, sentence, self.now],
        )?;
        if inserted == 1 {
            let public = json!({ "kind": kind, "project": project, "sentence": sentence });
            self.ledger("task", cause, &public, None)?;
        }
        Ok(())
    }

    fn message(&self, id: &str) -> Result<Option<Message>, StoreError> {
        Ok(messages(self.db, "WHERE id = ?1", [id])?.pop())
    }

    /// Appends to the ledger. There is one writer, so the row before is the last one.
    fn ledger(
        &self,
        kind: &str,
        subject: &str,
        public: &Value,
        private: Option<&[u8]>,
    ) -> Result<(), StoreError> {
        let (last, before): (i64, Vec<u8>) = self
            .db
            .prepare_cached("SELECT seq, hash FROM ledger ORDER BY seq DESC LIMIT 1")?
            .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?
            .unwrap_or((0, GENESIS.to_vec()));
        let key: Option<[u8; 32]> = private.map(|_| random()).transpose()?;
        let mut row = Row {
            seq: u64::try_from(last).unwrap_or(0) + 1,
            at: self.now,
            kind: kind.into(),
            subject: subject.into(),
            public: public.to_string(),
            commitment: key.zip(private).map(|(key, private)| ledger::commitment(&key, private)),
            key: key.map(Vec::from),
            private: private.map(Vec::from),
            hash: Vec::new(),
        };
        row.hash = row.chained(&before).to_vec();
        self.db
            .prepare_cached(
                "INSERT INTO ledger (seq, at, kind, subject, public, commitment, key, private, hash) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?
            .execute(params![
                last + 1,
                row.at,
                row.kind,
                row.subject,
                row.public,
                row.commitment,
                row.key,
                row.private,
                row.hash,
            ])?;
        Ok(())
    }

    /// A new id. It sorts by the clock's time, which the system's randomness then tells apart.
    fn id(&self) -> Result<String, StoreError> {
        let random: [u8; 16] = random()?;
        Ok(ulid::Ulid::from_parts(u64::from(self.now) * 1000, u128::from_be_bytes(random)).to_string())
    }
}
