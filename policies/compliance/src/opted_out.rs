//! Whoever opted out of a channel gets nothing over it.
//!
//! The one message that confirms an opt-out goes out, and so does the answer to HELP: both were asked for.

use crate::opinion::Opinions;
use crate::{addressee, channel, is_owed};
use consentry_guest::rule::Rule;
use consentry_guest::{Channel, Draft, Occasion, Recipient};

/// An opt-out in force.
pub const RULE: Rule = Rule {
    id: "opted-out",
    sentence: "Nothing is sent over a channel that the recipient opted out of, apart from the one confirmation and answers to HELP.",
    citation: Some("47 CFR 64.1200(a)(10) and (a)(12)"),
};

/// Reviews the opt-outs of the recipient.
pub fn review(occasion: &Occasion, draft: &Draft, opinions: &mut Opinions) {
    if is_owed(occasion.purpose) {
        return;
    }
    let opt_outs = match &occasion.recipient {
        Recipient::Staff(staff) => &staff.opt_outs[..],
        Recipient::Participant | Recipient::Number(_) => {
            addressee(occasion).map_or(&[][..], |it| &it.opt_outs)
        }
    };
    let channel = channel(draft.method);
    if opt_outs.iter().any(|it| it.channel == channel) {
        let sentence = match channel {
            Channel::Email => "the recipient opted out of e-mail",
            Channel::Sms => "the recipient opted out of texts",
            Channel::Voice => "the recipient opted out of calls",
        };
        opinions.deny(RULE.finding(sentence, "recipient.opt-outs"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{NOW, draft, invitation, verdict};
    use consentry_guest::DeliveryMethod::{Email, SmsLink, SmsText, VoiceCall};
    use consentry_guest::{OptOut, Purpose, Staff};

    #[test]
    fn an_opt_out_closes_its_channel() {
        for (closed, method, purpose, expected) in [
            (Channel::Sms, SmsLink, Purpose::Invitation, "deny opted-out"),
            (Channel::Sms, SmsText, Purpose::Alert, "deny opted-out"),
            (Channel::Sms, SmsText, Purpose::Dialogue, "deny opted-out"),
            (Channel::Sms, VoiceCall, Purpose::Invitation, "allow"),
            (Channel::Voice, VoiceCall, Purpose::Invitation, "deny opted-out"),
            (Channel::Email, Email, Purpose::Reminder, "deny opted-out"),
            (Channel::Sms, SmsText, Purpose::Help, "allow"),
            (Channel::Sms, SmsText, Purpose::OptOutConfirmation, "allow"),
        ] {
            let opt_outs = vec![OptOut { channel: closed, at: NOW - 1 }];
            let mut occasion = Occasion { purpose, ..invitation() };
            occasion.participant.as_mut().unwrap().opt_outs = opt_outs.clone();
            let draft = Draft { method, ..draft() };
            let told = verdict(|opinions| review(&occasion, &draft, opinions));
            assert_eq!(told, expected, "{closed:?} {method:?} {purpose:?}");

            let staff = Staff { addresses: Vec::new(), opt_outs, recent: Vec::new() };
            let occasion = Occasion { recipient: Recipient::Staff(staff), purpose, ..invitation() };
            assert_eq!(verdict(|opinions| review(&occasion, &draft, opinions)), expected, "staff");
        }
    }
}
