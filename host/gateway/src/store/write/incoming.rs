//! What people write, what it means, and the opt-outs that follow from it.

use policy::contract::types::Channel;
use serde_json::json;
use twilio::PhoneNumber;

use super::super::read::{json_of, opened};
use super::super::sql::{one, scalar, values};
use super::super::{Committed, DecisionRow, Received, StoreError, Understood};
use super::Writing;
use crate::floor;
use crate::outbox::{Reason, State};
use crate::vocabulary::Word;
impl Writing<'_> {
    pub(super) fn receive(&mut self, received: &Received) -> Result<Committed, StoreError> {
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
                self.opt_out(phone, Channel::Sms, &received.project, &reason.sentence, Some(&received.sid))?;
            }
        }
        Ok(Committed::Done)
    }

    pub(super) fn swept(&mut self, project: &str, until: u32) -> Result<Committed, StoreError> {
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

    pub(super) fn understand(&mut self, understood: &Understood) -> Result<Committed, StoreError> {
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
            self.opt_out(&phone, Channel::Sms, scope, source, Some(&understood.sid))?;
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

    pub(super) fn misunderstand(
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

    pub(super) fn phones(
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

    /// Writes an opt-out, once, and takes back what was not sent yet.
    pub(super) fn opt_out(
        &mut self,
        contact: &str,
        channel: Channel,
        project: &str,
        source: &str,
        cause: Option<&str>,
    ) -> Result<(), StoreError> {
        let recipient = self.vault.lookup(contact);
        self.db.lock(&[&recipient])?;
        let in_force: u32 = scalar(
            self.db,
            "SELECT COUNT(*) FROM opt_out WHERE recipient = ?1 AND channel = ?3 AND project = ?2 \
             AND ended IS NULL",
            values![recipient.as_slice(), project, channel.word()],
        )?;
        if in_force == 0 {
            self.db.execute(
                "INSERT INTO opt_out (id, recipient, channel, project, at, number, source, cause) \
                 VALUES (?7, ?1, ?8, ?2, ?3, ?4, ?5, ?6) \
                 ON CONFLICT (recipient, channel, project, at) DO UPDATE SET ended = NULL",
                values![
                    recipient.as_slice(),
                    project,
                    self.now,
                    self.vault.seal("opt_out.number", contact.as_bytes())?,
                    source,
                    cause,
                    self.id()?,
                    channel.word(),
                ],
            )?;
            let public = json!({ "project": project, "source": source, "channel": channel.word() });
            self.ledger("opt-out", cause.unwrap_or(""), &public, Some(contact.as_bytes()))?;
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
}
