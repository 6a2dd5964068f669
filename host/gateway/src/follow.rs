//! Follow: what became of what was sent. Twilio reports by status callbacks, which may come late, twice or
//! never; so it is asked too, on a schedule ([`crate::outbox::State::looks`]).
//!
//! A message of which nobody knows whether it was sent is looked for in Twilio's list, by its two numbers, its
//! words and its time. It is never sent again: after the last look it is for a person.

use jiff::Timestamp;
use policy::contract::types::Channel;
use twilio::{Direction, ListCalls, ListMessages, PhoneNumber, RequestError};

use crate::gateway::Gateway;
use crate::metrics;
use crate::outbox::{Message, State};
use crate::project::Project;
use crate::store::{Committed, Found, ProviderStatus, Step, StoreError};

/// Messages that are asked for in a row.
const IN_A_ROW: u32 = 20;

/// Twilio's clock and ours may differ by this much, in seconds.
const SKEW: i64 = 120;

impl Gateway {
    /// Asks Twilio what became of messages, and says how many.
    pub(crate) async fn follow(&self, project: &Project) -> Result<usize, StoreError> {
        let followed = self.store.to_follow(&project.name, self.clock.seconds(), IN_A_ROW).await?;
        let count = followed.len();
        // One after the other: two messages in doubt to one number must not be settled with one SID.
        for message in followed {
            let found = self.found(project, &message).await?;
            let step = Step::Look { id: message.id.clone(), version: message.version, found };
            if matches!(self.store.commit(step).await?, Committed::Done) && message.state == State::Unknown {
                self.wake_deciding(&project.name);
            }
        }
        Ok(count)
    }

    async fn found(&self, project: &Project, message: &Message) -> Result<Found, StoreError> {
        let asked = match (&message.sid, message.channel()) {
            (Some(sid), Channel::Voice) => self.fetch_call(project, sid).await,
            (Some(sid), _) => self.fetch_text(project, sid).await,
            (None, Channel::Voice) => return self.look_for_call(project, message).await,
            (None, Channel::Sms) => return self.look_for_text(project, message).await,
            // A mail server keeps no list.
            (None, Channel::Email) => Ok(Found::Nothing),
        };
        Ok(asked.unwrap_or_else(|error| unanswered(project, &error)))
    }

    async fn fetch_text(&self, project: &Project, sid: &str) -> Result<Found, RequestError> {
        match metrics::asking("fetch-message", project.account.client.fetch_message(sid)).await {
            Ok(found) => Ok(Found::Message {
                sid: found.sid,
                status: ProviderStatus::Text(found.status),
                code: found.error_code,
            }),
            Err(RequestError::Api(error)) if error.code == Some(20404) => Ok(Found::Nothing),
            Err(error) => Err(error),
        }
    }

    async fn fetch_call(&self, project: &Project, sid: &str) -> Result<Found, RequestError> {
        match metrics::asking("fetch-call", project.account.client.fetch_call(sid)).await {
            Ok(found) => {
                Ok(Found::Message { sid: found.sid, status: ProviderStatus::Call(found.status), code: None })
            }
            Err(RequestError::Api(error)) if error.code == Some(20404) => Ok(Found::Nothing),
            Err(error) => Err(error),
        }
    }

    async fn look_for_text(&self, project: &Project, message: &Message) -> Result<Found, StoreError> {
        let Some((to, since)) = sent_to(message) else { return Ok(Found::Nothing) };
        let body = message.draft.as_ref().map_or("", |draft| draft.body.as_str());
        let segments = message.draft.as_ref().map_or(0, |draft| draft.segments);
        // Not by the time of sending: what is still in Twilio's queue has none.
        let list = ListMessages {
            to: Some(to),
            from: Some(project.account.number.clone()),
            ..ListMessages::default()
        };
        let listed = metrics::asking("list-messages", project.account.client.list_messages(&list)).await;
        let listed = match listed {
            Ok(listed) => listed,
            Err(error) => return Ok(unanswered(project, &error)),
        };
        // They come newest first, so what lies behind the first older one is of no matter.
        let complete = listed.complete || listed.items.last().is_some_and(|last| last.date_created < since);
        let mut candidates: Vec<_> = listed
            .items
            .into_iter()
            .filter(|found| found.direction == Direction::OutboundApi && found.date_created >= since)
            // One whose words were emptied already can only be told by its length.
            .filter(|found| match found.body.expose() {
                "" => found.num_segments == segments,
                words => words == body,
            })
            .collect();
        candidates.sort_by_key(|found| found.date_created);
        let sids = candidates.iter().map(|found| found.sid.clone()).collect();
        let known = self.store.known_sids(sids).await?;
        Ok(match candidates.into_iter().find(|found| !known.contains(&found.sid)) {
            Some(found) => Found::Message {
                sid: found.sid,
                status: ProviderStatus::Text(found.status),
                code: found.error_code,
            },
            None if complete => Found::Nothing,
            None => Found::Unanswered,
        })
    }

    async fn look_for_call(&self, project: &Project, message: &Message) -> Result<Found, StoreError> {
        let Some((to, since)) = sent_to(message) else { return Ok(Found::Nothing) };
        let list =
            ListCalls { to: Some(to), from: Some(project.account.number.clone()), ..ListCalls::default() };
        let listed = metrics::asking("list-calls", project.account.client.list_calls(&list)).await;
        let listed = match listed {
            Ok(listed) => listed,
            Err(error) => return Ok(unanswered(project, &error)),
        };
        let complete = listed.complete || listed.items.last().is_some_and(|last| last.date_created < since);
        let mut candidates: Vec<_> = listed
            .items
            .into_iter()
            .filter(|found| found.direction == Direction::OutboundApi && found.date_created >= since)
            .collect();
        candidates.sort_by_key(|found| found.date_created);
        let known = self.store.known_sids(candidates.iter().map(|found| found.sid.clone()).collect()).await?;
        Ok(match candidates.into_iter().find(|found| !known.contains(&found.sid)) {
            Some(found) => {
                Found::Message { sid: found.sid, status: ProviderStatus::Call(found.status), code: None }
            }
            None if complete => Found::Nothing,
            None => Found::Unanswered,
        })
    }
}

/// To whom and since when a message may have been sent.
fn sent_to(message: &Message) -> Option<(PhoneNumber, Timestamp)> {
    use policy::contract::types::Address;
    let Address::Phone(to) = &message.draft.as_ref()?.to else { return None };
    let since = Timestamp::from_second(i64::from(message.submitted?) - SKEW).ok()?;
    Some((PhoneNumber::from_e164(to).ok()?, since))
}

fn unanswered(project: &Project, error: &RequestError) -> Found {
    if let RequestError::Api(error) = error {
        metrics::twilio_error(error.code);
    }
    tracing::warn!(project = project.name, %error, "Twilio cannot be asked what became of a message; it is asked again");
    Found::Unanswered
}
