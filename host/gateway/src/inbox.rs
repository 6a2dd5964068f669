//! Inbox: what Twilio posts is verified, stored once, and answered. An opt-out that needs no interpretation
//! is in force from that commit on.

use std::sync::atomic::Ordering;

use jiff::Timestamp;
use policy::contract::types::Channel;
use twilio::{
    CallCallback, Direction, InboundMessage, Keyword, ListMessages, MessageBody, OptOutType, Payload,
    PhoneNumber, Signed, StatusCallback,
};

use crate::failpoint::{Point, pass};
use crate::gateway::{Gateway, SWEEP};
use crate::metrics;
use crate::outbox::Reason;
use crate::project::{Keywords, Project};
use crate::store::{Committed, ProviderStatus, Received, Report, Step, StoreError};

/// What is listed goes back by this many seconds behind the last list: what Twilio lists late is not missed.
const OVERLAP: u32 = 3600;

/// How far the first list goes back, in seconds.
const LOOK_BACK: u32 = 86_400;

/// Seconds after which the list is asked for again at the earliest.
const RELIST: u32 = 5;

/// What comes in at Twilio must have been taken in up to so many seconds ago before anything is sent.
pub(crate) const INBOUND_AGE: u32 = 900;

/// Rejected signatures before the operator is told that the configuration is at fault.
const REJECTED: u64 = 3;

/// What came of a webhook.
#[derive(Debug, PartialEq, Eq)]
pub enum Taken {
    /// It was stored, now or before. Both are answered the same.
    Stored,
    /// The signature is not Twilio's.
    Rejected,
    /// It is Twilio's, and holds nothing for us.
    Nothing,
    /// It could not be stored; Twilio is to try again.
    Failed,
}

/// A webhook as it arrived.
#[derive(Debug)]
pub struct Webhook<'a> {
    /// Path and query, as they were requested.
    pub path_and_query: &'a str,
    /// `X-Twilio-Signature`.
    pub signature: Option<&'a str>,
    /// `X-Twilio-Webhooks-Signature-Settings`.
    pub settings: Option<&'a str>,
    /// The form.
    pub body: &'a [u8],
}

impl Gateway {
    /// Takes an inbound message.
    pub async fn inbound(&self, project: &Project, webhook: &Webhook<'_>) -> Taken {
        let Some(form) = self.verified(project, webhook).await else { return Taken::Rejected };
        let Ok(message) = InboundMessage::from_form(&form) else {
            tracing::warn!("an inbound message lacks what it must have; it may come from a short code");
            return Taken::Nothing;
        };
        if message.account_sid != project.account.sid {
            tracing::warn!("an inbound message belongs to another account");
            return Taken::Nothing;
        }
        let work = &self.work[&project.name];
        if message.to != project.account.number {
            tracing::error!(
                project = project.name,
                "an inbound message to another number came to this project's address"
            );
            work.list_inbound.store(true, Ordering::Relaxed);
            return Taken::Nothing;
        }
        pass(Point::MidInbound);
        let sent = self.clock.seconds();
        let arrived = Arrived {
            sid: message.message_sid,
            from: message.from,
            body: message.body,
            handled: message.opt_out_type,
            sent,
        };
        match self.store.commit(Step::Receive(received(project, arrived))).await {
            Ok(_) => {
                self.inbox.send_modify(|count| *count += 1);
                Taken::Stored
            }
            Err(error) => {
                // Twilio does not tell of it again: it must be found in the list before anything is sent.
                // A list that began within this second may have missed it.
                work.missed.store(self.clock.seconds() + 1, Ordering::Relaxed);
                work.list_inbound.store(true, Ordering::Relaxed);
                failed(&error)
            }
        }
    }

    /// Up to which instant inbound messages must have been taken in before anything is sent: what came while
    /// nobody was at work may hold a refusal.
    pub(crate) fn inbound_needed(&self, project: &Project, now: u32) -> u32 {
        let missed = self.work[&project.name].missed.load(Ordering::Relaxed);
        self.started.max(self.sending_since(project)).max(missed).max(now.saturating_sub(INBOUND_AGE))
    }

    /// Whether they have, as far as this daemon knows. The store has the last word.
    pub(crate) fn inbound_is_read(&self, project: &Project) -> bool {
        let done = self.work[&project.name].listed.lock().done;
        done >= self.inbound_needed(project, self.clock.seconds())
    }

    /// Lists the inbound messages at Twilio and takes in what did not come by a webhook: on start, every few
    /// minutes, and after a rejected signature. The windows overlap, and each message is taken in once.
    pub(crate) async fn list_inbound(&self, project: &Project) -> Result<(), StoreError> {
        let work = &self.work[&project.name];
        let now = self.clock.seconds();
        let needed = self.inbound_needed(project, now);
        {
            let mut listed = work.listed.lock();
            let wanted = work.list_inbound.load(Ordering::Relaxed)
                || listed.done < needed
                || now >= listed.done.saturating_add(SWEEP);
            // Whoever posts rubbish to us does not make us ask Twilio every moment.
            if !wanted || now < listed.tried.saturating_add(RELIST) {
                return Ok(());
            }
            work.list_inbound.store(false, Ordering::Relaxed);
            listed.tried = now;
        }
        let before = self.store.swept(&project.name).await?.map(|until| until.min(now));
        let since = before.unwrap_or(now).saturating_sub(if before.is_some() { OVERLAP } else { LOOK_BACK });
        let list = ListMessages {
            to: Some(project.account.number.clone()),
            sent_since: Timestamp::from_second(i64::from(since)).ok(),
            page_size: 500,
            max_pages: 200,
            ..ListMessages::default()
        };
        let listed = metrics::asking("list-messages", project.account.client.list_messages(&list)).await;
        let found = match listed {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(project = project.name, %error, "inbound messages cannot be listed; nothing is sent until they were");
                work.list_inbound.store(true, Ordering::Relaxed);
                return Ok(());
            }
        };
        let inbound: Vec<_> =
            found.items.into_iter().filter(|message| message.direction == Direction::Inbound).collect();
        let known =
            self.store.known_sids(inbound.iter().map(|message| message.sid.clone()).collect()).await?;
        // Oldest first, as they came.
        for message in inbound.into_iter().rev().filter(|message| !known.contains(&message.sid)) {
            let Some(from) = message.from else { continue };
            let sent = message.date_sent.unwrap_or(message.date_created).as_second();
            let arrived = Arrived {
                sid: message.sid,
                from,
                body: message.body,
                handled: None,
                sent: u32::try_from(sent).unwrap_or(now).min(now),
            };
            if let Committed::Done = self.store.commit(Step::Receive(received(project, arrived))).await? {
                tracing::info!(
                    project = project.name,
                    "an inbound message was found at Twilio that no webhook told of"
                );
                self.inbox.send_modify(|count| *count += 1);
            }
        }
        if !found.complete {
            let sentence = "Twilio lists more inbound messages than Consentry reads at once; nothing is sent until they \
                            were read";
            tracing::error!(project = project.name, sentence, "inbound");
            return Ok(());
        }
        self.store.commit(Step::Swept { project: project.name.clone(), until: now }).await?;
        work.listed.lock().done = now;
        self.wake_sending(&project.name);
        Ok(())
    }

    /// Takes a status callback of a text, or of a call.
    pub async fn status(
        &self,
        project: &Project,
        id: Option<&str>,
        of: Channel,
        webhook: &Webhook<'_>,
    ) -> Taken {
        let Some(form) = self.verified(project, webhook).await else { return Taken::Rejected };
        let (sid, status, code) = match of {
            Channel::Voice => match CallCallback::from_form(&form) {
                Ok(call) => (call.call_sid, ProviderStatus::Call(call.status), call.error_code),
                Err(_) => return Taken::Nothing,
            },
            _ => match StatusCallback::from_form(&form) {
                Ok(text) => (text.message_sid, ProviderStatus::Text(text.status), text.error_code),
                Err(_) => return Taken::Nothing,
            },
        };
        if code.is_some() {
            metrics::twilio_error(code);
        }
        let report = Report { project: project.name.clone(), id: id.map(str::to_owned), sid, status, code };
        match self.store.commit(Step::Report(report)).await {
            Ok(Committed::Stale) => Taken::Nothing,
            Ok(_) => {
                self.wake_deciding(&project.name);
                self.work[&project.name].clean.send_modify(|count| *count += 1);
                Taken::Stored
            }
            Err(error) => failed(&error),
        }
    }

    /// The form, if Twilio signed it for the address that it was told to call.
    async fn verified(&self, project: &Project, webhook: &Webhook<'_>) -> Option<Vec<(String, String)>> {
        let form = twilio::parse_form(webhook.body);
        let url = format!("{}{}", self.public_url, webhook.path_and_query);
        let signed = Signed {
            signature: webhook.signature,
            settings: webhook.settings,
            payload: Payload::Form(&form),
        };
        let Err(bad) = project.account.verifier.verify(&url, signed) else { return Some(form) };
        // It may have been a participant's text all the same, so what came in is listed.
        let work = &self.work[&project.name];
        work.list_inbound.store(true, Ordering::Relaxed);
        work.follow.send_modify(|count| *count += 1);
        // Nothing of the request is kept but that there was one.
        match self.store.commit(Step::Count("rejected-signatures")).await {
            Ok(Committed::Count(count)) if count % REJECTED == 0 => {
                let sentence = "webhooks with a signature that is not Twilio's keep coming: compare `public-url` and \
                                the auth token in the configuration with what Twilio is told to call";
                tracing::error!(count, reason = %bad, sentence, "webhooks");
                let day = self.clock.seconds() / 86_400;
                let ask = Step::Ask {
                    kind: "rejected-signatures",
                    project: project.name.clone(),
                    cause: format!("rejected-signatures/{}/{day}", project.name),
                    sentence: sentence.into(),
                };
                if let Err(error) = self.store.commit(ask).await {
                    tracing::error!(%error, "a task cannot be remembered");
                }
            }
            _ => tracing::warn!(reason = %bad, "a webhook was rejected"),
        }
        None
    }
}

fn failed(error: &StoreError) -> Taken {
    tracing::error!(%error, "a webhook could not be stored");
    Taken::Failed
}

/// A message that came in, by a webhook or from Twilio's list.
struct Arrived {
    sid: String,
    from: PhoneNumber,
    body: MessageBody,
    /// What Twilio did with it, if it says so; its list does not.
    handled: Option<OptOutType>,
    sent: u32,
}

fn received(project: &Project, message: Arrived) -> Received {
    let account = &project.account;
    let keyword = twilio::default_keyword(message.body.expose(), account.number.is_toll_free());
    // "YES" is a participant's answer as often as not: it re-subscribes nobody here.
    let yes = message.body.expose().trim().eq_ignore_ascii_case("yes");
    let provider = match (message.handled, account.keywords, keyword) {
        (Some(OptOutType::Stop), ..) | (None, Keywords::Twilio, Some(Keyword::Stop)) => "stopped",
        (Some(OptOutType::Start), ..) | (None, Keywords::Twilio, Some(Keyword::Start)) if !yes => "started",
        (Some(OptOutType::Help), ..) | (None, Keywords::Twilio, Some(Keyword::Help)) => "helped",
        _ => "none",
    };
    // The floor forgives what a thumb adds: "Stop." and "OPT OUT" are the words they look like.
    let letters: String = message.body.expose().chars().filter(|c| c.is_alphanumeric()).collect();
    let plain = twilio::default_keyword(&letters, account.number.is_toll_free());
    let stop = provider == "stopped" || plain == Some(Keyword::Stop);
    Received {
        sid: message.sid,
        project: project.name.clone(),
        number: message.from,
        body: message.body,
        provider,
        sent: message.sent,
        keep_at_twilio: account.keep_opt_outs && matches!(keyword, Some(Keyword::Stop | Keyword::Start)),
        stop: stop.then(|| Reason::new("floor.keyword", "keyword")),
    }
}
