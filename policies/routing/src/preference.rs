//! The participant's preferred method is honoured.
//!
//! REDCap keeps a delivery preference per participant, and a project default for those who have none. A
//! preference for a method that the project does not have enabled falls back to the default, and the
//! plan says so. Messages that are no invitation follow the channel of the conversation that they belong
//! to, or are plain texts.

use crate::reach::{Reach, channel, name};
use consentry_guest::rule::Rule;
use consentry_guest::{Channel, DeliveryMethod, Finding, Occasion, Participant, Purpose, Recipient};

/// The preference, else the project's default.
pub const RULE: Rule = Rule {
    id: "preference",
    sentence: "A participant is contacted by the method that they prefer, or by the project's default method when they prefer none.",
    citation: Some("REDCap: delivery preference of the participant list"),
};

/// A method that the project has not enabled is never used for an invitation.
pub const NOT_ENABLED: Rule = Rule {
    id: "method-not-enabled",
    sentence: "Invitations and reminders use only methods that the project has enabled.",
    citation: Some("REDCap: project settings for Twilio, invitation types"),
};

/// Everything that is no invitation: the channel of the conversation, else a plain text.
pub const REPLY: Rule = Rule {
    id: "channel-of-the-conversation",
    sentence: "Alerts and answers go as a plain text where there is a phone, and the next words of a survey go the way that the survey goes.",
    citation: Some("house rule: answer where one was asked"),
};

/// The method to start from, and why; or why there is none.
pub fn wanted(occasion: &Occasion, reach: &Reach) -> Result<(DeliveryMethod, Vec<Finding>), Finding> {
    let participant = match occasion.recipient {
        Recipient::Participant => occasion.participant.as_ref(),
        Recipient::Staff(_) | Recipient::Number(_) => None,
    };
    match (&occasion.recipient, occasion.purpose) {
        (Recipient::Participant, Purpose::Invitation | Purpose::Reminder) => {
            invitation(occasion, participant)
        }
        (Recipient::Number(_), Purpose::Invitation | Purpose::Reminder) => number(occasion),
        (Recipient::Participant, Purpose::Dialogue | Purpose::Acknowledgement) => {
            Ok((dialogue(participant), Vec::new()))
        }
        (Recipient::Participant, Purpose::Confirmation) if prefers_email(occasion, participant) => {
            Ok((DeliveryMethod::Email, Vec::new()))
        }
        _ if reach.phone.is_none() && reach.email.is_some() => {
            let finding =
                REPLY.finding("no phone is known, so the message goes by e-mail", "recipient.phone");
            Ok((DeliveryMethod::Email, vec![finding]))
        }
        _ => Ok((DeliveryMethod::SmsText, Vec::new())),
    }
}

fn invitation(
    occasion: &Occasion,
    participant: Option<&Participant>,
) -> Result<(DeliveryMethod, Vec<Finding>), Finding> {
    let project = &occasion.project;
    let mut findings = Vec::new();
    if let Some(preferred) = participant.and_then(|it| it.preference) {
        if project.enabled_methods.contains(&preferred) {
            let sentence = ["the participant prefers ", name(preferred)].concat();
            return Ok((preferred, vec![RULE.finding(sentence, "participant.preference")]));
        }
        let sentence =
            ["the participant prefers ", name(preferred), ", which the project has not enabled"].concat();
        findings.push(NOT_ENABLED.finding(sentence, "participant.preference"));
    }
    let method = enabled_default(occasion)?;
    let sentence = ["the project's default is ", name(method)].concat();
    findings.push(RULE.finding(sentence, "project.default-method"));
    Ok((method, findings))
}

/// A number of a public-survey list has no preference, and no mailbox.
fn number(occasion: &Occasion) -> Result<(DeliveryMethod, Vec<Finding>), Finding> {
    let default = enabled_default(occasion)?;
    let by_phone = |it: &DeliveryMethod| channel(*it) != Channel::Email;
    let method = Some(default)
        .filter(by_phone)
        .or_else(|| occasion.project.enabled_methods.iter().copied().find(by_phone))
        .ok_or_else(|| {
            NOT_ENABLED.finding(
                "the list has phone numbers only, and the project has enabled no method by phone",
                "project.enabled-methods",
            )
        })?;
    Ok((method, Vec::new()))
}

/// The project's default method; when that is not enabled, the first that is.
fn enabled_default(occasion: &Occasion) -> Result<DeliveryMethod, Finding> {
    let enabled = &occasion.project.enabled_methods;
    Some(occasion.project.default_method)
        .filter(|it| enabled.contains(it))
        .or_else(|| enabled.first().copied())
        .ok_or_else(|| {
            NOT_ENABLED.finding("the project has enabled no delivery method", "project.enabled-methods")
        })
}

/// A survey goes on the way it began.
fn dialogue(participant: Option<&Participant>) -> DeliveryMethod {
    let asks =
        |it: &DeliveryMethod| matches!(it, DeliveryMethod::SmsConversation | DeliveryMethod::VoiceCall);
    participant
        .and_then(|it| it.recent.iter().map(|it| it.method).find(asks).or(it.preference.filter(asks)))
        .unwrap_or(DeliveryMethod::SmsConversation)
}

fn prefers_email(occasion: &Occasion, participant: Option<&Participant>) -> bool {
    let preferred = participant.and_then(|it| it.preference).unwrap_or(occasion.project.default_method);
    preferred == DeliveryMethod::Email && participant.is_some_and(|it| it.email.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{invitation, participant, staff};
    use consentry_guest::DeliveryMethod::{
        Email, SmsConversation, SmsLink, SmsText, SmsToMakeCall, VoiceCall,
    };
    use consentry_guest::PastMessage;

    fn method(occasion: &Occasion) -> DeliveryMethod {
        wanted(occasion, &Reach::of(occasion)).unwrap().0
    }

    #[test]
    fn a_preference_is_honoured_when_it_is_enabled() {
        for (preference, expected, rules) in [
            (Some(SmsLink), SmsLink, &["preference"][..]),
            (Some(VoiceCall), VoiceCall, &["preference"]),
            (Some(Email), Email, &["preference"]),
            (None, SmsLink, &["preference"]),
            (Some(SmsToMakeCall), SmsLink, &["method-not-enabled", "preference"]),
        ] {
            let mut occasion = invitation();
            occasion.participant.as_mut().unwrap().preference = preference;
            let (method, findings) = wanted(&occasion, &Reach::of(&occasion)).unwrap();
            assert_eq!(method, expected, "{preference:?}");
            assert_eq!(
                findings.iter().map(|it| it.rule.as_str()).collect::<Vec<_>>(),
                rules,
                "{preference:?}"
            );
        }
    }

    #[test]
    fn a_default_that_is_not_enabled_is_not_used() {
        let mut occasion = invitation();
        occasion.project.default_method = SmsToMakeCall;
        assert_eq!(method(&occasion), SmsLink);
        occasion.project.enabled_methods.clear();
        let finding = wanted(&occasion, &Reach::of(&occasion)).unwrap_err();
        assert_eq!(finding.rule, "method-not-enabled");
    }

    #[test]
    fn other_purposes_are_plain_texts() {
        for purpose in [Purpose::Alert, Purpose::Notification, Purpose::OptOutConfirmation, Purpose::Help] {
            let mut occasion = Occasion { purpose, ..invitation() };
            assert_eq!(method(&occasion), SmsText, "{purpose:?}");
            occasion.participant.as_mut().unwrap().phone = None;
            assert_eq!(method(&occasion), Email, "{purpose:?}");
        }
        assert_eq!(method(&Occasion { recipient: staff(), ..invitation() }), SmsText);
    }

    #[test]
    fn a_list_is_invited_by_phone() {
        let recipient = Recipient::Number("+16175550199".into());
        let mut occasion = Occasion { recipient, participant: None, ..invitation() };
        assert_eq!(method(&occasion), SmsLink);
        occasion.project.default_method = Email;
        occasion.project.enabled_methods = vec![Email, SmsConversation];
        assert_eq!(method(&occasion), SmsConversation);
    }

    #[test]
    fn a_dialogue_goes_on_the_way_it_began() {
        for (began, preference, expected) in [
            (Some(VoiceCall), Some(SmsConversation), VoiceCall),
            (Some(SmsConversation), Some(VoiceCall), SmsConversation),
            (Some(SmsLink), Some(VoiceCall), VoiceCall),
            (None, Some(SmsLink), SmsConversation),
        ] {
            let mut someone = participant();
            someone.preference = preference;
            someone.recent = began
                .map(|method| PastMessage { at: 1, purpose: Purpose::Invitation, method })
                .into_iter()
                .collect();
            let occasion =
                Occasion { purpose: Purpose::Dialogue, participant: Some(someone), ..invitation() };
            assert_eq!(method(&occasion), expected, "{began:?} {preference:?}");
        }
    }

    #[test]
    fn a_confirmation_follows_the_preference() {
        for (preference, expected) in [(Some(Email), Email), (Some(VoiceCall), SmsText), (None, SmsText)] {
            let mut occasion = Occasion { purpose: Purpose::Confirmation, ..invitation() };
            occasion.participant.as_mut().unwrap().preference = preference;
            assert_eq!(method(&occasion), expected, "{preference:?}");
        }
    }
}
