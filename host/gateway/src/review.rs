//! Review: the floor first, then the compliance policy, which can only be stricter.

use policy::contract::reviewer::{Draft, Stage, Verdict};
use policy::contract::types::{Channel, Occasion};
use policy::{Reply, Request};

use crate::decide::Asked;
use crate::facts::Known;
use crate::floor::{self, AtReview, PieceApproval, Stop};
use crate::gateway::Gateway;
use crate::mail;
use crate::outbox::{Message, Reason, State};
use crate::vocabulary::channel;

/// Where a review sends a message.
#[derive(Debug)]
pub(crate) struct Reviewed {
    pub(crate) state: State,
    pub(crate) look_at: u32,
    pub(crate) reason: Option<Reason>,
    /// By when it must have arrived, if the policy says so.
    pub(crate) arrive_by: Option<u32>,
    pub(crate) asked: Option<Asked>,
}

impl Gateway {
    /// Reviews a draft.
    pub(crate) async fn review(
        &self,
        message: &Message,
        occasion: &Occasion,
        draft: &Draft,
        pieces: &[PieceApproval],
        stage: Stage,
        known: &mut Known,
    ) -> Reviewed {
        // A mail server knows nothing of Twilio's account, nor the other way round.
        let account = match channel(draft.method) {
            Channel::Email => mail::account(&known.project),
            Channel::Sms | Channel::Voice => self.account(&known.project.name),
        };
        let opted_out: Vec<_> = known.opt_outs.iter().map(|opt_out| opt_out.channel).collect();
        let staff_identifiers = known.staff(message).map_or_else(Vec::new, |staff| staff.identifiers.clone());
        let facts = AtReview {
            occasion,
            draft,
            pieces,
            opted_out: &opted_out,
            account: &account,
            waiver: known.project.waiver.as_deref(),
            depth: message.new.depth,
            staff_identifiers: &staff_identifiers,
            permission: message
                .new
                .origin
                .as_ref()
                .and_then(|origin| Some(origin.permission.as_ref()?.given)),
        };
        if let Err(Stop { state, reason, look_at }) = floor::at_review(&facts) {
            return Reviewed {
                state,
                look_at: look_at.unwrap_or(known.now),
                reason: Some(reason),
                arrive_by: None,
                asked: None,
            };
        }
        let policy = known.project.policies.compliance.clone();
        let request = Request::Review(occasion.clone(), draft.clone(), stage);
        let asked = self.ask(&policy, request, known).await;
        let (next, look_at, reason) = match &asked.reply {
            Ok(Reply::Verdict(verdict)) => verdict_of(verdict, known.now),
            Ok(_) => {
                let why = Reason::new("policy.bad-answer", "the compliance policy answered something else");
                (State::Held, known.now, Some(why))
            }
            Err(reason) => (State::Held, known.now, Some(reason.clone())),
        };
        let arrive_by = match &asked.reply {
            Ok(Reply::Verdict(Verdict::Allow(allowance))) => allowance.arrive_by,
            _ => None,
        };
        Reviewed { state: next, look_at, reason, arrive_by, asked: Some(asked) }
    }
}

fn verdict_of(verdict: &Verdict, now: u32) -> (State, u32, Option<Reason>) {
    let first = |findings: &[policy::contract::types::Finding]| {
        let found = findings.first().cloned().map(Reason::from);
        Some(found.unwrap_or_else(|| Reason::new("policy.silent", "the compliance policy gave no reason")))
    };
    match verdict {
        Verdict::Allow(_) => (State::Due, now, None),
        // A deferral into the past would be asked again at once, for ever.
        Verdict::Defer(deferral) => (State::Deferred, deferral.until.max(now + 60), first(&deferral.because)),
        Verdict::Hold(findings) => (State::Held, now, first(findings)),
        Verdict::Deny(findings) => (State::Suppressed, now, first(findings)),
    }
}
