//! Whether a message may go out, and what an inbound message means.
//!
//! A draft is read by every rule, and the strictest word counts: "never" before "a person must look",
//! before "later", before "yes". A message is reviewed twice, when it is planned and again just before it
//! leaves, by the same rules: consent that was withdrawn in between is seen in time. What cannot be read
//! is never taken for permission.
//!
//! An inbound message is read for one thing first: whether its sender wants no more of them. The law lets
//! people say so in any way that a reasonable person understands, so the words of the carriers are only
//! the beginning; what is unclear goes to a person, and until then nothing is sent.

pub mod opinion;

pub mod approval;
pub mod consent;
pub mod frequency;
pub mod identifiers;
pub mod links;
pub mod opt_out_wording;
pub mod opted_out;
pub mod quiet_hours;

pub mod pattern;
pub mod words;

pub mod keywords;
pub mod refusals;
pub mod replies;

pub mod setting;

use consentry_guest::{
    Channel, DeliveryMethod, Description, Draft, Inbound, Intent, Occasion, Participant, Problem, Purpose,
    Recipient, Stage, Verdict, compliance,
};
use opinion::Opinions;

/// The reference policy for compliance.
#[derive(Debug, Clone, Copy)]
pub struct Reviewer;

impl compliance::Policy for Reviewer {
    fn describe() -> Description {
        Description {
            name: "compliance".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "lets out only what was consented to and approved, and reads every reply for an opt-out"
                .into(),
            settings: setting::declared(),
            rules: RULES.iter().map(|it| it.declared()).collect(),
        }
    }

    fn check_settings() -> Vec<Problem> {
        setting::problems()
    }

    fn review(occasion: Occasion, draft: Draft, _stage: Stage) -> Verdict {
        review(&occasion, &draft)
    }

    fn interpret(inbound: Inbound) -> Intent {
        replies::interpret(&inbound)
    }
}

consentry_guest::compliance!(Reviewer);

/// Every rule that a finding of this policy may cite.
pub const RULES: [&consentry_guest::rule::Rule; 31] = [
    &consent::GIVEN,
    &consent::MISSING,
    &consent::WITHDRAWN,
    &consent::NUMBER,
    &consent::EXPRESSION,
    &consent::LIST,
    &approval::APPROVED,
    &approval::MISSING,
    &approval::EXPIRED,
    &approval::PROTOCOL,
    &opted_out::RULE,
    &opt_out_wording::RULE,
    &identifiers::FIELD,
    &identifiers::PATTERN,
    &identifiers::FORBIDDEN,
    &links::HOST,
    &links::SHORTENER,
    &quiet_hours::RULE,
    &quiet_hours::NO_WINDOW,
    &frequency::RULE,
    &keywords::STOP,
    &keywords::START,
    &keywords::YES,
    &refusals::REFUSAL,
    &refusals::UNCLEAR,
    &replies::PROVIDER_STOP,
    &replies::PROVIDER_START,
    &replies::NO_CODE,
    &replies::THANKS,
    &replies::EMPTY,
    &replies::UNREAD,
];

fn review(occasion: &Occasion, draft: &Draft) -> Verdict {
    let mut opinions = Opinions::default();
    opted_out::review(occasion, draft, &mut opinions);
    consent::review(occasion, draft, &mut opinions);
    approval::review(occasion, draft, &mut opinions);
    opt_out_wording::review(occasion, draft, &mut opinions);
    identifiers::review(draft, &mut opinions);
    links::review(draft, &mut opinions);
    frequency::review(occasion, draft, &mut opinions);
    quiet_hours::review(occasion, draft, &mut opinions);
    // The one rule that has to ask REDCap comes last, and only where its answer can still matter.
    if !opinions.deny_already() {
        consent::review_expression(occasion, &mut opinions);
    }
    opinions.verdict(occasion.not_after)
}

/// Whether a message only answers its recipient: the confirmation of an opt-out, the answer to HELP.
fn is_owed(purpose: Purpose) -> bool {
    matches!(purpose, Purpose::OptOutConfirmation | Purpose::Help)
}

/// Whether a message is part of a conversation that its recipient keeps up.
fn is_reply(purpose: Purpose) -> bool {
    is_owed(purpose) || matches!(purpose, Purpose::Dialogue | Purpose::Acknowledgement)
}

/// The participant whom a message is for; none for staff, who may be told of one.
fn addressee(occasion: &Occasion) -> Option<&Participant> {
    match occasion.recipient {
        Recipient::Participant | Recipient::Number(_) => occasion.participant.as_ref(),
        Recipient::Staff(_) => None,
    }
}

/// The channel that carries a method.
fn channel(method: DeliveryMethod) -> Channel {
    match method {
        DeliveryMethod::Email => Channel::Email,
        DeliveryMethod::SmsLink
        | DeliveryMethod::SmsConversation
        | DeliveryMethod::SmsToMakeCall
        | DeliveryMethod::SmsToReceiveCall
        | DeliveryMethod::SmsText => Channel::Sms,
        DeliveryMethod::VoiceCall | DeliveryMethod::VoiceMessage => Channel::Voice,
    }
}

#[cfg(test)]
mod tests;
