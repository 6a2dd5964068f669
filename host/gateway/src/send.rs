//! Send: claim, review again, submit, settle.
//!
//! The delivery contract: the step to `submitting` is committed before the first byte leaves. A 4xx, and a
//! connection that never came about, are a definite no, and routing is asked again. Everything else without
//! a 201 is unknown, and is never sent again: only Twilio's own report settles it.

use policy::contract::reviewer::Stage;
use policy::contract::types::{Address, Attempt, Channel, Failure};
use twilio::{ApiError, Class, CreateError, CreateMessage, MessageBody, PhoneNumber, Sender};

use crate::facts::Known;
use crate::floor;
use crate::gateway::Gateway;
use crate::outbox::{Message, Reason, State};
use crate::render;
use crate::store::{Committed, Decided, Outcome, Step, StoreError};
use crate::vocabulary::channel;

/// Messages that are sent at once.
const AT_ONCE: u32 = 8;

/// How long a claim lasts, in seconds: longer than a review, with its three tries of REDCap, can take.
const LEASE: u32 = 300;

/// Refusals for the recipient's sake before a person must look.
const ATTEMPTS: usize = 5;

/// Twilio keeps a text in its queue for at most this long, in seconds.
const VALIDITY_MAX: u32 = 36_000;

impl Gateway {
    /// Sends what is due, and says how much that was.
    pub(crate) async fn send_due(&self) -> Result<usize, StoreError> {
        let until = self.clock.seconds() + LEASE;
        let Committed::Claimed(claimed) = self.store.commit(Step::Claim { limit: AT_ONCE, until }).await?
        else {
            return Ok(0);
        };
        let count = claimed.len();
        let sends = claimed.into_iter().map(|message| self.send(message));
        for result in futures_util::future::join_all(sends).await {
            result?;
        }
        Ok(count)
    }

    async fn send(&self, message: Message) -> Result<(), StoreError> {
        let Some(draft) = message.draft.clone() else { return Ok(()) };
        let now = self.clock.seconds();
        let again = |state, look_at, reason, decisions| Decided {
            id: message.id.clone(),
            version: message.version,
            state,
            look_at,
            draft: Some(draft.clone()),
            reason,
            decisions,
            writes: vec![],
            messages: vec![],
            refused: vec![],
            evidence: None,
        };
        let mut known = match self.gather(&message, now).await {
            Ok(known) => known,
            Err(why) => {
                // Facts that cannot be read are no permission: the message waits, and is reviewed then.
                let wait = again(State::Due, now + 60, Some(why), vec![]);
                self.store.commit(Step::Decide(Box::new(wait))).await?;
                return Ok(());
            }
        };
        let occasion = known.occasion(&message);
        if message.new.number.is_none() && !crate::route::is_own(&occasion, &draft.to) {
            let why =
                Reason::new("send.address", "the recipient's address has changed since this was written");
            let rewritten = again(State::Deferred, now, Some(why), vec![]);
            self.store.commit(Step::Decide(Box::new(rewritten))).await?;
            return Ok(());
        }
        let pieces = render::standing(&known, &draft);
        let reviewed = self.review(&message, &occasion, &draft, &pieces, Stage::Claimed, &mut known).await;
        let decisions: Vec<_> = reviewed.asked.into_iter().map(|asked| asked.row).collect();
        if reviewed.state != State::Due {
            let end = message.new.not_after.map_or(u32::MAX, |end| end.saturating_add(1));
            let step = again(reviewed.state, reviewed.look_at.min(end), reviewed.reason, decisions);
            self.store.commit(Step::Decide(Box::new(step))).await?;
            return Ok(());
        }
        let submit = Step::Submit {
            id: message.id.clone(),
            version: message.version,
            ceiling: known.project.ceiling,
            decisions,
        };
        if !matches!(self.store.commit(submit).await?, Committed::Done) {
            return Ok(());
        }
        let outcome = self.submit(&message, &known).await;
        self.store.commit(Step::Settle { id: message.id.clone(), outcome }).await?;
        Ok(())
    }

    async fn submit(&self, message: &Message, known: &Known) -> Outcome {
        let now = self.clock.seconds();
        let Some((to, draft)) = message.draft.as_ref().and_then(|draft| match &draft.to {
            // A call that went out as a text would pass by the opt-outs of texts.
            Address::Phone(to) if channel(draft.method) == Channel::Sms => {
                Some((PhoneNumber::from_e164(to).ok()?, draft))
            }
            Address::Phone(_) | Address::Email(_) => None,
        }) else {
            let why = Reason::new("send.channel", "this version of Consentry sends texts only");
            return Outcome::Held { code: None, why };
        };
        let account = &known.project.account;
        let create = CreateMessage {
            to,
            from: Sender::Number(account.number.clone()),
            body: MessageBody::new(draft.body.clone()),
            status_callback: Some(self.status_url(&known.project.name, &message.id)),
            // A text that cannot be out in time is not to arrive late either.
            validity_period: message.new.not_after.map(|end| end.saturating_sub(now).clamp(1, VALIDITY_MAX)),
            smart_encoded: false,
        };
        match account.client.create_message(&create).await {
            Ok(created) => Outcome::Accepted { sid: created.sid, status: created.status },
            Err(CreateError::NotSent { .. }) => Outcome::Again {
                at: now + 30,
                attempt: None,
                code: None,
                why: Reason::new("send.connection", "Twilio could not be reached; nothing was sent"),
            },
            Err(CreateError::Unknown { why, .. }) => Outcome::Unknown {
                why: Reason::new(
                    "send.unknown",
                    format!(
                        "it may or may not have been sent ({why}); it is never sent again, and Twilio's report settles it"
                    ),
                ),
            },
            Err(CreateError::Refused(error)) => refused(&error, draft.method, message.attempts.len(), now),
        }
    }
}

/// What a definite no means: for the recipient, for the words, for the sender, or for now.
fn refused(
    error: &ApiError,
    method: policy::contract::types::DeliveryMethod,
    tried: usize,
    now: u32,
) -> Outcome {
    let code = error.code;
    if code.is_some_and(twilio::is_opt_out) {
        return Outcome::Refused { code, why: floor::opted_out(), opted_out: true };
    }
    let sentence = error.explained().map_or_else(
        || format!("Twilio refused it with HTTP {}", error.status),
        |known| format!("{}; {}", known.sentence, known.advice),
    );
    let why = |rule: &str| Reason::new(rule, sentence.clone());
    match error.class() {
        // Routing is asked again, but not for ever.
        Class::Recipient if tried < ATTEMPTS => {
            let failure = match code {
                Some(21614 | 21635 | 30006) => Failure::Landline,
                _ => Failure::Unreachable,
            };
            let attempt = Some(Attempt { method, at: now, failure });
            Outcome::Again { at: now + 60, attempt, code, why: why("send.recipient") }
        }
        Class::Transient => {
            let wait = error.retry_after.and_then(|seconds| u32::try_from(seconds).ok()).unwrap_or(0);
            Outcome::Again { at: now + wait.clamp(60, 3600), attempt: None, code, why: why("send.transient") }
        }
        // The account or the sender must be mended; then it goes on by itself.
        Class::Configuration => {
            tracing::error!(code, sentence, "Twilio refuses this sender");
            Outcome::Again { at: now + 900, attempt: None, code, why: why("send.configuration") }
        }
        Class::Recipient | Class::Content | Class::Unknown => {
            Outcome::Held { code, why: why("send.content") }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use policy::contract::types::DeliveryMethod;

    fn answer(status: u16, code: u32) -> ApiError {
        ApiError {
            status,
            code: Some(code),
            message: String::new(),
            request_id: None,
            retry_after: Some(120),
        }
    }

    #[test]
    fn each_class_of_refusal_has_its_own_consequence() {
        let outcome = |status, code| refused(&answer(status, code), DeliveryMethod::SmsLink, 0, 1000);
        assert!(matches!(outcome(400, 21610), Outcome::Refused { opted_out: true, .. }));
        assert!(matches!(
            outcome(400, 21614),
            Outcome::Again { attempt: Some(Attempt { failure: Failure::Landline, .. }), .. }
        ));
        assert!(matches!(outcome(400, 21211), Outcome::Again { attempt: Some(_), at: 1060, .. }));
        assert!(matches!(outcome(429, 20429), Outcome::Again { at: 1120, attempt: None, .. }));
        assert!(matches!(outcome(400, 21606), Outcome::Again { at: 1900, .. }));
        assert!(matches!(outcome(400, 99999), Outcome::Held { .. }));
    }
}
