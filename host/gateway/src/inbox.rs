//! Inbox: what Twilio posts is verified, stored once, and answered. An opt-out that needs no interpretation
//! is in force from that commit on.

use twilio::{InboundMessage, Keyword, OptOutType, Payload, Signed, StatusCallback};

use crate::gateway::Gateway;
use crate::outbox::Reason;
use crate::project::{Keywords, Project};
use crate::store::{Committed, Received, Report, Step, StoreError};

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
        let step = Step::Receive(received(project, message));
        match self.store.commit(step).await {
            Ok(_) => {
                self.wake.inbox.notify_one();
                Taken::Stored
            }
            Err(error) => failed(&error),
        }
    }

    /// Takes a status callback.
    pub async fn status(&self, project: &Project, id: Option<&str>, webhook: &Webhook<'_>) -> Taken {
        let Some(form) = self.verified(project, webhook).await else { return Taken::Rejected };
        let Ok(callback) = StatusCallback::from_form(&form) else { return Taken::Nothing };
        let report = Report {
            project: project.name.clone(),
            id: id.map(str::to_owned),
            sid: callback.message_sid,
            status: callback.status,
            code: callback.error_code,
        };
        match self.store.commit(Step::Report(report)).await {
            Ok(Committed::Stale) => Taken::Nothing,
            Ok(_) => {
                self.wake.outbox.notify_one();
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
        // Nothing of the request is kept but that there was one.
        match self.store.commit(Step::Count("rejected-signatures")).await {
            Ok(Committed::Count(count)) if count % REJECTED == 0 => tracing::error!(
                count,
                reason = %bad,
                "webhooks with a signature that is not Twilio's keep coming: compare `public-url` and the auth \
                 token in the configuration with what Twilio is told to call"
            ),
            _ => tracing::warn!(reason = %bad, "a webhook was rejected"),
        }
        None
    }
}

fn failed(error: &StoreError) -> Taken {
    tracing::error!(%error, "a webhook could not be stored");
    Taken::Failed
}

fn received(project: &Project, message: InboundMessage) -> Received {
    let account = &project.account;
    let keyword = twilio::default_keyword(message.body.expose(), account.number.is_toll_free());
    // "YES" is a participant's answer as often as not: it re-subscribes nobody here.
    let yes = message.body.expose().trim().eq_ignore_ascii_case("yes");
    let provider = match (message.opt_out_type, account.keywords, keyword) {
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
        sid: message.message_sid,
        project: project.name.clone(),
        number: message.from,
        body: message.body,
        provider,
        stop: stop.then(|| Reason::new("floor.keyword", "keyword")),
    }
}
