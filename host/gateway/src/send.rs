//! Send: claim, review again, submit, settle.
//!
//! The delivery contract: the step to `submitting` is committed before the first byte leaves. A 4xx, and a
//! connection that never came about, are a definite no, and routing is asked again. Everything else without
//! a 201 is unknown, and is never sent again: Twilio's report settles it, or a look at its list. How that is
//! with e-mail stands in [`crate::mail`].

use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use policy::contract::reviewer::{Draft, Stage};
use policy::contract::types::{Address, Attempt, Channel, DeliveryMethod, Failure};
use tracing::Instrument;
use twilio::{ApiError, Class, CreateCall, CreateError, CreateMessage, MessageBody, PhoneNumber, Sender};

use crate::facts::Known;
use crate::failpoint::{Point, pass};
use crate::gateway::{Gateway, chain};
use crate::mail;
use crate::metrics::{self, Sent};
use crate::outbox::{Message, Reason, State, backoff};
use crate::pace::QUEUE_HOURS;
use crate::project::Project;
use crate::refusal;
use crate::render;
use crate::store::{Committed, Decided, Lease, Outcome, ProviderStatus, Scope, Step, StoreError};
use crate::vocabulary::channel;

/// How long a claim lasts, in seconds: longer than a review, with its three tries of REDCap, can take.
const CLAIM: u32 = 300;

/// Seconds between the last look and the first byte: who was away for longer looks again.
const AWAY: u32 = 20;

/// Refusals for the recipient's sake before a person must look.
pub(crate) const ATTEMPTS: usize = 5;

/// Twilio keeps a text in its queue for at most this long, in seconds.
const VALIDITY_MAX: u32 = 36_000;

/// Seconds that a text takes from Twilio to a phone, at most as a rule.
const ON_THE_WAY: u32 = 30;

impl Gateway {
    /// Sends what is due, and says how much that was. As many as the account lets run at once are on their way
    /// together; the next is claimed when one has ended, so that a reply overtakes what only waits.
    pub(crate) async fn send_due(&self, project: &Project) -> Result<usize, StoreError> {
        // E-mails have a limit of their own: a mail server that hangs holds up no text.
        let mails_out = AtomicU32::new(0);
        let mails = &mails_out;
        let mut under_way = FuturesUnordered::new();
        let mut count = 0;
        let mut failed = None;
        let full = self.queue_is_full(project).await?;
        loop {
            let mails_under_way = mails.load(Ordering::Relaxed);
            let requests = u32::try_from(under_way.len()).unwrap_or(u32::MAX).saturating_sub(mails_under_way);
            let free = project.account.at_once.saturating_sub(requests);
            let free_mails = mail::AT_ONCE.saturating_sub(mails_under_way);
            let mut has_ended = false;
            let claimed = if failed.is_none() {
                let mut claim = pin!(self.claim(project, free, free_mails, full));
                loop {
                    // What is on its way goes on while more is claimed: nobody waits for it in vain.
                    tokio::select! {
                        claimed = &mut claim => break claimed,
                        Some(ended) = under_way.next() => {
                            failed = failed.or(Result::<(), StoreError>::err(ended));
                            has_ended = true;
                        }
                    }
                }
            } else {
                Ok((vec![], None))
            };
            let (messages, lease) = claimed.unwrap_or_else(|error| {
                failed = Some(error);
                (vec![], None)
            });
            if let Some(lease) = &lease {
                count += messages.len();
                for message in messages {
                    let lease = lease.clone();
                    let is_mail = u32::from(message.channel() == Channel::Email);
                    mails.fetch_add(is_mail, Ordering::Relaxed);
                    let span = tracing::info_span!("send", project = project.name, message = message.id);
                    let carried = async move {
                        let carried = self.carry(project, message, &lease).await;
                        mails.fetch_sub(is_mail, Ordering::Relaxed);
                        carried
                    };
                    under_way.push(carried.instrument(span));
                }
            }
            if has_ended {
                continue;
            }
            // What is on its way is ended whatever happens: nobody else knows what Twilio says of it.
            let Some(ended) = under_way.next().await else { return failed.map_or(Ok(count), Err) };
            failed = failed.or(ended.err());
            // What was committed together has ended together, and is followed by one claim.
            while let Some(Some(ended)) = under_way.next().now_or_never() {
                failed = failed.or(ended.err());
            }
        }
    }

    /// Claims what may go now: texts as the sender's pace allows, replies only while Twilio's queue is full, and
    /// calls as the account's pace allows. E-mails go as the mail server's pace allows, whatever Twilio does.
    async fn claim(
        &self,
        project: &Project,
        free: u32,
        free_mails: u32,
        full: bool,
    ) -> Result<(Vec<Message>, Option<Lease>), StoreError> {
        if self.draining() || free + free_mails == 0 {
            return Ok((vec![], None));
        }
        let Some(lease) = self.sending_lease(project).await? else { return Ok((vec![], None)) };
        let now = self.clock.now();
        let mails = free_mails.min(self.work[&project.name].pace.lock().2.available(now));
        let (texts, calls) = if self.inbound_is_read(project) {
            let pace = self.work[&project.name].pace.lock();
            let (texts, calls) = (free.min(pace.0.available(now)), free.min(pace.1.available(now)));
            if texts + calls + mails == 0 {
                return Ok((vec![], None));
            }
            (texts, calls)
        } else {
            // The floor would stop each of them, so only what was cut off is seen to. The list wakes the sender
            // when it was read.
            self.work[&project.name].follow.send_modify(|count| *count += 1);
            (0, 0)
        };
        pass(Point::BeforeClaim);
        let until = self.clock.seconds() + CLAIM;
        let (project_name, lease_of) = (project.name.clone(), lease.clone());
        let claim = Step::Claim {
            project: project_name,
            lease: lease_of,
            texts,
            calls,
            mails,
            in_all: free,
            replies_only: full,
            until,
        };
        let Committed::Claimed(claimed) = self.store.commit(claim).await? else { return Ok((vec![], None)) };
        pass(Point::AfterClaim);
        let mut pace = self.work[&project.name].pace.lock();
        for message in &claimed {
            match message.channel() {
                Channel::Voice => pace.1.take(1, self.clock.now()),
                Channel::Email => pace.2.take(1, self.clock.now()),
                Channel::Sms => {
                    let segments = message.draft.as_ref().map_or(1, |draft| draft.segments.max(1));
                    pace.0.take(segments, self.clock.now());
                }
            }
        }
        Ok((claimed, Some(lease)))
    }

    /// What Twilio has not sent yet is never more than its queue takes.
    async fn queue_is_full(&self, project: &Project) -> Result<bool, StoreError> {
        let hours = QUEUE_HOURS * 3600;
        let since = self.clock.seconds().saturating_sub(hours);
        let queued = self.store.queued_segments(&project.name, since).await?;
        // A tenth is left for replies.
        Ok(queued / 9 * 10 >= project.account.segments_a_second.saturating_mul(hours))
    }

    async fn carry(&self, project: &Project, message: Message, lease: &Lease) -> Result<(), StoreError> {
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
        let mut known = match self.gather(&message, now, project.facts_max_age).await {
            Ok(known) => known,
            Err(why) => {
                // Facts that cannot be read are no permission: the message waits, and is decided then, or ends.
                let end = message.new.not_after.map_or(u32::MAX, |end| end.saturating_add(1));
                let wait = again(State::Deferred, (now + 60).min(end), Some(why), vec![]);
                self.store.commit(Step::Decide(Box::new(wait))).await?;
                return Ok(());
            }
        };
        // Much may have happened while it waited for its turn.
        if let Some((state, reason)) = self.unwanted(&message, &known).await? {
            let look_at = if state == State::Deferred { now + 900 } else { now };
            let end = message.new.not_after.map_or(u32::MAX, |end| end.saturating_add(1));
            let step = again(state, look_at.min(end), Some(reason), vec![]);
            self.store.commit(Step::Decide(Box::new(step))).await?;
            return Ok(());
        }
        let occasion = known.occasion(&message);
        if (message.new.number.is_none() || message.new.origin.is_some())
            && !crate::route::is_own(&occasion, &draft.to)
        {
            let why =
                Reason::new("send.address", "the recipient's address has changed since this was written");
            let rewritten = again(State::Deferred, now, Some(why), vec![]);
            self.store.commit(Step::Decide(Box::new(rewritten))).await?;
            self.wake_deciding(&project.name);
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
        if validity(now, message.new.not_after, reviewed.arrive_by).is_none() {
            let why = Reason::new("send.window", "its time would be over before it could arrive");
            let look_at = reviewed.arrive_by.unwrap_or(now).max(now + 60);
            let step = again(State::Deferred, look_at, Some(why), decisions);
            self.store.commit(Step::Decide(Box::new(step))).await?;
            return Ok(());
        }
        let asked = self.clock.seconds();
        let submit = Step::Submit {
            id: message.id.clone(),
            version: message.version,
            lease: lease.clone(),
            ceiling: project.ceiling,
            sender: mail::sender(project, &draft),
            swept: self.inbound_needed(project, asked),
            decisions,
        };
        let not_sent = |rule: &str, sentence: &str| Outcome::Again {
            at: self.clock.seconds(),
            attempt: None,
            code: None,
            why: Reason::new(rule, sentence),
            stop: None,
        };
        match self.store.commit(submit).await {
            Ok(Committed::Done) => {}
            Ok(Committed::Stopped(_)) => {
                self.wake_deciding(&project.name);
                return Ok(());
            }
            Ok(_) => return Ok(()),
            Err(error) => {
                // It may have been written all the same. No byte has left, and that is certain.
                let outcome = not_sent("send.store", "the database failed before anything was sent");
                self.settle_outcome(project, &message, outcome).await;
                return Err(error);
            }
        }
        metrics::leaves(Duration::from_secs(asked.saturating_sub(message.since).into()));
        pass(Point::BeforeBytes);
        let now = self.clock.seconds();
        let outcome = match validity(now, message.new.not_after, reviewed.arrive_by) {
            Some(validity) if now.saturating_sub(asked) < AWAY => match channel(draft.method) {
                Channel::Email => self.submit_mail(&message, &draft, &known).await,
                Channel::Sms | Channel::Voice => self.submit(&message, &draft, &known, validity).await,
            },
            // The machine slept, say: what was true when it was reviewed may not be true any more.
            _ => not_sent("send.late", "the daemon was away for a while before anything was sent"),
        };
        let unpaid = matches!(&outcome, Outcome::Again { code: Some(code), .. } if twilio::is_account(*code));
        pass(Point::BeforeSettle);
        self.settle_outcome(project, &message, outcome).await;
        pass(Point::AfterSettle);
        if unpaid {
            self.look_at_account(project).await;
        }
        Ok(())
    }

    /// What Twilio said must not be lost while the database is away: it is written as soon as that is back.
    async fn settle_outcome(&self, project: &Project, message: &Message, mut outcome: Outcome) {
        if matches!(outcome, Outcome::Again { .. }) {
            self.wake_deciding(&project.name);
        }
        loop {
            let step = Step::Settle { id: message.id.clone(), version: message.version + 1, outcome };
            let Err((step, error)) = self.store.commit_or_return(step).await else { return };
            tracing::error!(
                error = chain(&error),
                message = message.id,
                "what Twilio said cannot be written"
            );
            // What cannot be written at all is found out in the end as if the daemon had died here.
            let passing = matches!(error, StoreError::Away(_) | StoreError::Conflict | StoreError::NotTaken);
            let Some(Step::Settle { outcome: kept, .. }) = step.filter(|_| passing) else { return };
            outcome = kept;
            let until = self.clock.now() + jiff::SignedDuration::from_secs(1);
            self.clock.until(until).await;
        }
    }

    async fn submit(&self, message: &Message, draft: &Draft, known: &Known, validity: u32) -> Outcome {
        let now = self.clock.seconds();
        let Some(to) = number_of(draft) else {
            let why = Reason::new(
                "send.channel",
                "this version of Consentry sends texts, spoken messages and e-mail",
            );
            return Outcome::Held { code: None, why, stop: None };
        };
        let account = &known.project.account;
        let status_callback = Some(self.status_url(&known.project.name, &message.id, channel(draft.method)));
        let created = match channel(draft.method) {
            Channel::Voice => {
                let call = CreateCall {
                    to,
                    from: account.number.clone(),
                    twiml: spoken(draft),
                    status_callback,
                    timeout: None,
                };
                let created = metrics::asking("create-call", account.client.create_call(&call)).await;
                created.map(|call| (call.sid, ProviderStatus::Call(call.status)))
            }
            _ => {
                let create = CreateMessage {
                    to,
                    from: Sender::Number(account.number.clone()),
                    body: MessageBody::new(draft.body.clone()),
                    status_callback,
                    // A text that cannot be out in time is not to arrive late either.
                    validity_period: Some(validity),
                    smart_encoded: false,
                };
                let created = metrics::asking("create-message", account.client.create_message(&create)).await;
                created.map(|text| (text.sid, ProviderStatus::Text(text.status)))
            }
        };
        metrics::sent(&known.project.name, how(&created));
        match created {
            Ok((sid, status)) => Outcome::Accepted { sid, status },
            Err(CreateError::NotSent { .. }) => Outcome::Again {
                at: now + backoff(&message.id, message.tries),
                attempt: None,
                code: None,
                why: Reason::new("send.connection", "Twilio could not be reached; nothing was sent"),
                stop: None,
            },
            Err(CreateError::Unknown { why, .. }) => Outcome::Unknown {
                why: Reason::new(
                    "send.unknown",
                    format!(
                        "it may or may not have been sent ({why}); it is never sent again, and Twilio is asked what became of it"
                    ),
                ),
            },
            Err(CreateError::Refused(error)) => refused(&error, message, draft, account.number.expose(), now),
        }
    }
}

fn how<T>(created: &Result<T, CreateError>) -> Sent {
    match created {
        Ok(_) => Sent::Accepted,
        Err(CreateError::NotSent { .. }) => Sent::NotSent,
        Err(CreateError::Unknown { .. }) => Sent::Unknown,
        Err(CreateError::Refused(_)) => Sent::Refused,
    }
}

/// Seconds for which Twilio may keep a text in its queue: until the occasion is over, and until the hours end
/// at which it may arrive, less what the way takes. None when there is no time left.
fn validity(now: u32, not_after: Option<u32>, arrive_by: Option<u32>) -> Option<u32> {
    let occasion = not_after.map_or(VALIDITY_MAX, |end| end.saturating_sub(now).max(1));
    let hours = arrive_by.map_or(VALIDITY_MAX, |end| end.saturating_sub(now).saturating_sub(ON_THE_WAY));
    (hours > 0).then(|| occasion.min(hours).min(VALIDITY_MAX))
}

/// The number that a draft goes to. A call that went out as a text would pass by the opt-outs of texts, and a
/// survey by voice needs more than one that only speaks.
fn number_of(draft: &Draft) -> Option<PhoneNumber> {
    match &draft.to {
        Address::Phone(to) => match draft.method {
            DeliveryMethod::VoiceMessage => PhoneNumber::from_e164(to).ok(),
            method if channel(method) == Channel::Sms => PhoneNumber::from_e164(to).ok(),
            _ => None,
        },
        Address::Email(_) => None,
    }
}

/// What a call says: the words, twice, since nobody listens from the first syllable on.
fn spoken(draft: &Draft) -> twilio::Response {
    let say = |response: twilio::Response| response.say(&draft.body, Some(&draft.language), None);
    say(say(twilio::Response::new().pause(1)).pause(1)).hang_up()
}

/// What a definite no means: for the recipient, for the words, for the sender, or for now.
fn refused(error: &ApiError, message: &Message, draft: &Draft, sender: &str, now: u32) -> Outcome {
    let code = error.code;
    if code.is_some_and(twilio::is_opt_out) {
        return Outcome::OptedOut { code };
    }
    let (stop, why) = match code {
        // Who the recipient is the store finds by itself.
        Some(code) => refusal::consequence(code, draft, Some(sender), &[]),
        None => (None, Reason::new("send.refused", format!("Twilio refused it with HTTP {}", error.status))),
    };
    let later = |at: u32, attempt| Outcome::Again { at, attempt, code, why: why.clone(), stop: stop.clone() };
    let attempt = |failure| Some(Attempt { method: draft.method, at: now, failure });
    match (&stop, error.class()) {
        _ if code.is_some_and(twilio::is_account) => later(now + 900, None),
        (Some(Scope::Recipient(..)), _) | (None, Class::Recipient) if message.attempts.len() < ATTEMPTS => {
            let failure = match code {
                Some(21614 | 21635 | 30006) => Failure::Landline,
                _ => Failure::Unreachable,
            };
            later(now + 60, attempt(failure))
        }
        (_, Class::Transient) => {
            let asked = error.retry_after.and_then(|seconds| u32::try_from(seconds).ok()).unwrap_or(0);
            later(now + backoff(&message.id, message.tries).max(asked.min(3600)), None)
        }
        // The sender must be mended; then it goes on.
        (Some(Scope::Sender(_)), _) => later(now + 900, None),
        _ => Outcome::Held { code, why, stop },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbox::NewMessage;
    use policy::contract::reviewer::Approval;
    use policy::contract::types::Purpose;

    fn answer(status: u16, code: u32) -> ApiError {
        ApiError {
            status,
            code: Some(code),
            message: String::new(),
            request_id: None,
            retry_after: Some(1200),
        }
    }

    fn message() -> Message {
        Message {
            id: "01J00000000000000000000000".into(),
            new: NewMessage::about("p", "o".into(), Purpose::Invitation, 0),
            state: State::Submitting,
            version: 3,
            look_at: 0,
            draft: None,
            sid: None,
            provider_status: None,
            error_code: None,
            reason: None,
            attempts: vec![],
            tries: 0,
            looks: 0,
            submitted: Some(0),
            changed: 0,
            since: 0,
            ended: None,
            price: None,
        }
    }

    fn draft() -> Draft {
        Draft {
            method: DeliveryMethod::SmsLink,
            sender: None,
            to: Address::Phone("+16175550121".into()),
            subject: None,
            body: "Hi".into(),
            language: "en".into(),
            segments: 1,
            approvals: vec![Approval {
                wording: "w".into(),
                digest: "sha256:1".into(),
                protocol: None,
                approved: 0,
                expires: None,
            }],
            fillings: vec![],
            links: vec![],
        }
    }

    #[test]
    fn a_text_is_not_kept_beyond_the_hours_at_which_it_may_arrive() {
        assert_eq!(validity(1000, None, None), Some(36_000));
        assert_eq!(validity(1000, Some(1500), None), Some(500));
        assert_eq!(validity(1000, Some(90_000), Some(4630)), Some(3600));
        assert_eq!(validity(1000, None, Some(1030)), None, "it could only arrive at night");
        assert_eq!(validity(1000, Some(1000), Some(2000)), Some(1), "the last second");
    }

    #[test]
    fn each_class_of_refusal_has_its_own_consequence() {
        let outcome =
            |status, code| refused(&answer(status, code), &message(), &draft(), "+16175550100", 1000);
        assert!(matches!(outcome(400, 21610), Outcome::OptedOut { .. }));
        assert!(matches!(
            outcome(400, 21614),
            Outcome::Again {
                attempt: Some(Attempt { failure: Failure::Landline, .. }),
                stop: Some(Scope::Recipient(..)),
                ..
            }
        ));
        assert!(matches!(outcome(400, 21211), Outcome::Again { attempt: Some(_), at: 1060, .. }));
        assert!(matches!(outcome(429, 20429), Outcome::Again { at: 2200, attempt: None, stop: None, .. }));
        assert!(matches!(outcome(401, 20003), Outcome::Again { at: 1900, stop: Some(Scope::Sender(_)), .. }));
        assert!(matches!(outcome(403, 20005), Outcome::Again { at: 1900, stop: None, .. }));
        assert!(matches!(outcome(400, 21617), Outcome::Held { stop: Some(Scope::Wording(_)), .. }));
        assert!(matches!(outcome(400, 99999), Outcome::Held { stop: None, .. }));
    }
}
