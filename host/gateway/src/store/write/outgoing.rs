//! A message on its way to Twilio: found, decided, claimed, submitted.

use policy::contract::types::Channel;
use serde_json::json;
use twilio::PhoneNumber;

use super::super::read::{COLUMNS, json_of, message, messages};
use super::super::sql::{one, values};
use super::super::{Committed, Decided, Scope, Step, StoreError};
use super::{DAY, RESTORED, WAS_RESTORED, Writing, address};
use crate::floor;
use crate::mail::Mailbox;
use crate::outbox::{Message, NewMessage, Reason, State, is_reply};
use crate::vocabulary::{Word, channel};

/// What stands in an occasion's name before how a form was saved.
const SAVED: &str = "/saved-";

/// A submission that has not ended after this many seconds was cut off.
const SUBMISSION: u32 = 120;

/// Seconds by which the clocks of two daemons may differ. What is further in the future was written by a clock
/// that was wrong.
const SKEW: u32 = 120;

impl Writing<'_> {
    pub(super) fn plan(&mut self, messages: &[NewMessage]) -> Result<Vec<String>, StoreError> {
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
            let Some(occasion) = self.unless_saved_alike(new)? else { continue };
            let id = self.id()?;
            let number = new.number.as_ref().map(PhoneNumber::expose);
            let mailbox = new.mailbox.as_ref().map(Mailbox::expose);
            let key = number.map(str::to_owned).or_else(|| mailbox.map(crate::mail::mailbox_key));
            let frozen = new.frozen.as_ref();
            let frozen = frozen.map(|it| self.vault.seal("message.frozen", json_of(it).as_bytes()));
            let inserted = self.db.execute(
                "INSERT INTO message (id, occasion, project, purpose, record, survey, wording, number, cause, \
                 depth, due, not_after, priority, state, version, look_at, recipient, segments, attempts, tries, \
                 looks, since, changed, mailbox, schedule, origin, frozen) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, 'planned', 1, ?11, ?14, 0, '[]', \
                 0, 0, ?15, ?15, ?16, ?17, ?18, ?19) ON CONFLICT (occasion) DO NOTHING",
                values![
                    id.as_str(),
                    occasion.as_str(),
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
                    key.as_deref().map(|key| self.vault.lookup(key)),
                    self.now,
                    mailbox.map(|it| self.vault.seal("message.mailbox", it.as_bytes())).transpose()?,
                    new.origin.as_ref().map(|origin| origin.schedule.as_str()),
                    new.origin.as_ref().map(json_of),
                    frozen.transpose()?,
                ],
            )?;
            if inserted == 1 {
                let public = json!({
                    "occasion": occasion, "project": new.project, "purpose": new.purpose.word(),
                    "record": new.record, "due": new.due, "cause": new.cause, "origin": new.origin,
                });
                self.ledger("occasion", &id, &public, None)?;
                if let Some(why) = &new.held
                    && let Some(message) = self.message(&id)?
                {
                    self.advance(&message, State::Held, new.due, Some(why))?;
                } else if restored.is_some()
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

    /// The name of an occasion. What a form makes each time that it is saved is named by how the form was saved: the
    /// same as the last time is the same occasion, and the same as some time before is another one.
    fn unless_saved_alike(&mut self, new: &NewMessage) -> Result<Option<String>, StoreError> {
        let Some((base, rest)) = new.occasion.split_once(SAVED) else {
            return Ok(Some(new.occasion.clone()));
        };
        let (print, whose) =
            rest.split_once('/').map_or((rest, ""), |(print, _)| (print, &rest[print.len()..]));
        let rows = self.db.query(
            "SELECT occasion FROM message WHERE project = ?1 AND record = ?2 AND schedule = ?3 ORDER BY id DESC",
            values![
                new.project.as_str(),
                new.record.as_deref(),
                new.origin.as_ref().map(|origin| origin.schedule.as_str()),
            ],
        )?;
        let mut before = Vec::new();
        for row in rows {
            let occasion: String = row.get(0)?;
            let own = occasion.strip_prefix(base).and_then(|rest| rest.strip_prefix(SAVED));
            before.extend(own.and_then(|rest| rest.strip_suffix(whose)).map(str::to_owned));
        }
        let alike = |saved: &String| saved.split('-').next() == Some(print);
        if before.first().is_some_and(alike) {
            return Ok(None);
        }
        let times = before.iter().filter(|saved| alike(saved)).count();
        let again = if times > 0 { format!("-{}", times + 1) } else { String::new() };
        Ok(Some(format!("{base}{SAVED}{print}{again}{whose}")))
    }

    pub(super) fn decide(&mut self, decided: &Decided) -> Result<Committed, StoreError> {
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
             changed = ?11, since = ?11 WHERE id = ?1",
            values![
                decided.id.as_str(),
                decided.state.name(),
                decided.look_at,
                sealed,
                draft.map(|draft| draft.method.word()),
                draft.map(|draft| self.vault.lookup(&address(draft))),
                draft.map(|draft| self.vault.lookup(&draft.body)),
                draft.map_or(0, |draft| draft.segments),
                decided.reason.as_ref().map(|reason| reason.rule.as_str()),
                decided.reason.as_ref().map(json_of),
                self.now,
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
    pub(super) fn claim(&mut self, step: &Step) -> Result<Committed, StoreError> {
        let Step::Claim { project, lease, texts, calls, mails, in_all, replies_only, until } = step else {
            return Ok(Committed::Stale);
        };
        if !self.holds(lease)? {
            return Ok(Committed::Stale);
        }
        let cut_off =
            format!("WHERE project = ?1 AND state = 'submitting' AND look_at <= ?2{}", self.db.for_update());
        for cut_off in messages(self.db, self.vault, &cut_off, values![project, self.now])? {
            let why = match cut_off.channel() {
                Channel::Sms | Channel::Voice => {
                    "Consentry ended while it was being sent; it is never sent again, and Twilio is asked what became \
                     of it"
                }
                Channel::Email => {
                    "Consentry ended while it was being sent; it is never sent again, and nobody but a person can \
                     find out"
                }
            };
            let why = Reason::new("send.unknown", why);
            self.unknown(&cut_off, &why)?;
        }
        let mut claimed: Vec<Message> = Vec::new();
        // E-mails have no part in what Twilio takes.
        for (channel, limit) in [(Channel::Sms, texts), (Channel::Voice, calls), (Channel::Email, mails)] {
            let rest = in_all.saturating_sub(u32::try_from(claimed.len()).unwrap_or(u32::MAX));
            let limit = if channel == Channel::Email { *limit } else { rest.min(*limit) };
            if limit == 0 {
                continue;
            }
            let replies = if *replies_only && channel != Channel::Email { "AND priority = 0" } else { "" };
            let claim = format!(
                "UPDATE message SET state = 'claimed', version = version + 1, look_at = ?4, changed = ?2 \
                 WHERE id IN (SELECT id FROM message WHERE project = ?1 AND state IN ('due', 'claimed') \
                              AND channel = ?5 AND look_at <= ?2 {replies} \
                              ORDER BY priority, look_at, id LIMIT ?3{}) RETURNING {COLUMNS}",
                self.db.skip_locked()
            );
            for row in self.db.query(&claim, values![project, self.now, limit, *until, channel.word()])? {
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
    pub(super) fn submit(&mut self, step: &Step) -> Result<Committed, StoreError> {
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
        let recipient = self.vault.lookup(&address(&draft));
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
        let by = (message.channel() == Channel::Email).then(|| Channel::Email.word());
        self.ledger("submitting", id, &by.map_or_else(|| json!({}), |by| json!({ "by": by })), None)?;
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
            // Nothing that comes in at Twilio is about a mailbox.
            inbound_read: by == Channel::Email
                || counted
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
}
