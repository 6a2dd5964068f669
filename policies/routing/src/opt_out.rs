//! A channel that the recipient closed is not used.
//!
//! A STOP closes texts, not the study's mailbox; yet whoever says STOP may mean everything, so e-mail is
//! used in its stead only where the operator decided so. The one message that confirms an opt-out, and
//! the answer to HELP, go out all the same.

use crate::reach::{Reach, channel};
use crate::{Step, setting};
use consentry_guest::rule::Rule;
use consentry_guest::{Channel, DeliveryMethod, Finding, Occasion, Purpose};

/// An opt-out ends its channel.
pub const RULE: Rule = Rule {
    id: "opted-out",
    sentence: "A channel that the recipient opted out of is not used, apart from the one confirmation and answers to HELP.",
    citation: Some("47 CFR 64.1200(a)(10)"),
};

/// E-mail after an opt-out, where the operator decided so.
pub const BY_EMAIL: Rule = Rule {
    id: "email-after-opt-out",
    sentence: "When the operator has decided so, a recipient who opted out of texts or calls is written to by e-mail.",
    citation: Some("house rule: setting `email-after-opt-out`"),
};

/// Whether the channel of a method is open.
pub fn step(occasion: &Occasion, reach: &Reach, method: DeliveryMethod) -> Step {
    let channel = channel(method);
    if matches!(occasion.purpose, Purpose::OptOutConfirmation | Purpose::Help) || !reach.opted_out(channel) {
        return Step::Go;
    }
    closed(reach, channel, "recipient.opt-outs")
}

/// What follows from a closed channel.
pub(crate) fn closed(reach: &Reach, channel: Channel, fact: &str) -> Step {
    if channel != Channel::Email
        && setting::email_after_opt_out()
        && let Some(email) = reach.by_email()
    {
        let sentence = "the recipient opted out of this channel, so the message goes by e-mail";
        return Step::Instead(email, BY_EMAIL.finding(sentence, fact));
    }
    Step::Skip(skip(channel, fact))
}

fn skip(channel: Channel, fact: &str) -> Finding {
    let sentence = match channel {
        Channel::Email => "the recipient opted out of e-mail",
        Channel::Sms => "the recipient opted out of texts",
        Channel::Voice => "the recipient opted out of calls",
    };
    RULE.finding(sentence, fact)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{Answers, NOW, invitation};
    use consentry_guest::DeliveryMethod::{Email, SmsLink, SmsText, VoiceCall};
    use consentry_guest::{OptOut, Value, host};

    #[test]
    fn a_closed_channel_is_not_used() {
        for (closed, method, by_email, expected) in [
            (&[][..], SmsLink, false, None),
            (&[Channel::Sms], SmsLink, false, Some("opted-out")),
            (&[Channel::Sms], VoiceCall, false, None),
            (&[Channel::Voice], VoiceCall, false, Some("opted-out")),
            (&[Channel::Email], Email, true, Some("opted-out")),
            (&[Channel::Sms], SmsLink, true, Some("email-after-opt-out")),
            (&[Channel::Sms, Channel::Email], SmsLink, true, Some("opted-out")),
        ] {
            let mut occasion = invitation();
            occasion.participant.as_mut().unwrap().opt_outs =
                closed.iter().map(|it| OptOut { channel: *it, at: NOW - 9 }).collect();
            let answers = Answers::default().with("email-after-opt-out", Value::Truth(by_email));
            let step = host::answering(&answers, || step(&occasion, &Reach::of(&occasion), method));
            match &step {
                Step::Skip(finding) => assert!(finding.sentence.contains("opted out")),
                Step::Instead(other, _) => assert_eq!(*other, Email),
                _ => {}
            }
            assert_eq!(crate::tests::rule(&step), expected, "{closed:?} {method:?} {by_email}");
        }
    }

    #[test]
    fn the_confirmation_and_help_go_out() {
        for purpose in [Purpose::OptOutConfirmation, Purpose::Help] {
            let mut occasion = Occasion { purpose, ..invitation() };
            occasion.participant.as_mut().unwrap().opt_outs = vec![OptOut { channel: Channel::Sms, at: NOW }];
            assert_eq!(step(&occasion, &Reach::of(&occasion), SmsText), Step::Go);
        }
    }
}
