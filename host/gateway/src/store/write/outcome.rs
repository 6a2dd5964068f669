//! What became of a message: what Twilio answered, reported and lists, and what a person found out.

use policy::contract::types::{Attempt, Channel, Failure};
use serde_json::json;
use twilio::{CallStatus, MessageStatus};

use super::super::read::json_of;
use super::super::sql::{scalar, values};
use super::super::{Committed, Fate, Found, Outcome, ProviderStatus, Report, StoreError};
use super::{Writing, address, copy_kind};
use crate::floor;
use crate::outbox::{Message, Reason, State};
use crate::refusal;
use crate::vocabulary::channel;
/// Times that a message is tried again after Twilio reported that it failed for a passing reason.
const RETRIES: u32 = 3;

/// Seconds after which somebody who did not pick up is called again.
const CALL_AGAIN: u32 = 900;

impl Writing<'_> {
    pub(super) fn settle(
        &mut self,
        id: &str,
        version: i64,
        outcome: &Outcome,
    ) -> Result<Committed, StoreError> {
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
        if let Outcome::Mailed = outcome {
            return self.mailed(&message, version);
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
            Outcome::Accepted { .. } | Outcome::Mailed => {}
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

    /// The mail server has it, and nothing more is expected. That can come after the submission was given up as
    /// unknown.
    fn mailed(&mut self, message: &Message, version: i64) -> Result<Committed, StoreError> {
        let in_time = message.state == State::Submitting && message.version == version;
        let late = message.state == State::Unknown && message.version == version + 1;
        if !in_time && !late {
            return Ok(Committed::Stale);
        }
        if late {
            self.settle_task(&message.id, "the mail server has it")?;
        }
        self.ledger("mailed", &message.id, &json!({}), None)?;
        self.advance(message, State::Sent, self.now, None)?;
        self.end(&message.id, State::Sent)?;
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

    pub(super) fn unknown(&mut self, message: &Message, why: &Reason) -> Result<(), StoreError> {
        self.advance(message, State::Unknown, self.now, Some(why))?;
        match State::Unknown.looks(message.channel()).first() {
            Some(first) => self.next_look(&message.id, self.now + first, 0),
            // Nobody can be asked but a person.
            None => self.end_unknown(message),
        }
    }

    fn end_unknown(&mut self, message: &Message) -> Result<(), StoreError> {
        let sentence = match message.channel() {
            Channel::Sms | Channel::Voice => {
                "nobody knows whether this message was sent: Twilio was asked to the end. It is never sent again by \
                 itself. Look for it in Twilio's log, and then `consentry settle` it"
            }
            Channel::Email => {
                "nobody knows whether this e-mail was sent: a mail server cannot be asked. It is never sent again by \
                 itself. Look for its id in the mail server's log, and then `consentry settle` it"
            }
        };
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

    pub(super) fn report(&mut self, report: &Report) -> Result<Committed, StoreError> {
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
        self.close_tasks("unknown-send", &format!("{id}/unknown/"), how)
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
        let recipient = self.vault.lookup(&address(draft));
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

    pub(super) fn look(&mut self, id: &str, version: i64, found: &Found) -> Result<Committed, StoreError> {
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

    pub(super) fn find_out(&mut self, id: &str, fate: Fate, why: &str) -> Result<Committed, StoreError> {
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
        let phone = address(draft).into_owned();
        let code = code.map_or_else(String::new, |code| format!(" (error {code})"));
        self.opt_out(&phone, Channel::Sms, &message.new.project, &format!("Twilio{code}"), Some(&message.id))
    }
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
