//! Not too many messages.
//!
//! Every needless text brings a participant closer to STOP. Texts and calls of the last day and the last
//! week are counted; the next one waits until there is room. What belongs to a conversation that the
//! participant keeps up is neither counted nor held back.

use crate::opinion::Opinions;
use crate::{addressee, channel, is_reply, setting};
use consentry_guest::rule::Rule;
use consentry_guest::{Channel, Draft, Instant, Occasion};

/// So many a day, so many a week.
pub const RULE: Rule = Rule {
    id: "frequency",
    sentence: "A participant gets no more texts and calls in a day and in a week than the operator allows.",
    citation: Some("47 CFR 64.1200(a)(9)(iv); house rule: settings `max-per-day` and `max-per-week`"),
};

const DAY: u32 = 24 * 60 * 60;

/// Reviews how many messages a participant was sent lately.
pub fn review(occasion: &Occasion, draft: &Draft, opinions: &mut Opinions) {
    if is_reply(occasion.purpose) || channel(draft.method) == Channel::Email {
        return;
    }
    let Some(participant) = addressee(occasion) else { return };
    let mut sent: Vec<Instant> = participant
        .recent
        .iter()
        .filter(|it| !is_reply(it.purpose) && channel(it.method) != Channel::Email)
        .map(|it| it.at)
        .collect();
    sent.sort_unstable_by(|one, other| other.cmp(one));
    let limits = [
        (DAY, setting::max_per_day(), "the participant has had as many messages today as the project allows"),
        (
            7 * DAY,
            setting::max_per_week(),
            "the participant has had as many messages this week as the project allows",
        ),
    ];
    for (window, most, sentence) in limits {
        // Room comes when the oldest of the last `most` messages leaves the window.
        let Some(oldest) = sent.get(most.saturating_sub(1) as usize) else { continue };
        let free = oldest.saturating_add(window);
        if free > occasion.now {
            opinions.defer(free, &RULE, sentence, "participant.recent");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{Answers, NOW, draft, invitation, verdict};
    use consentry_guest::DeliveryMethod::{Email, SmsLink, VoiceCall};
    use consentry_guest::{DeliveryMethod, PastMessage, Purpose, host};

    fn told(sent: &[(u32, Purpose, DeliveryMethod)], purpose: Purpose, method: DeliveryMethod) -> String {
        let mut occasion = Occasion { purpose, ..invitation() };
        occasion.participant.as_mut().unwrap().recent = sent
            .iter()
            .map(|(ago, purpose, method)| PastMessage { at: NOW - ago, purpose: *purpose, method: *method })
            .collect();
        let draft = Draft { method, ..draft() };
        verdict(|opinions| host::answering(&Answers::default(), || review(&occasion, &draft, opinions)))
    }

    #[test]
    fn a_message_waits_until_there_is_room() {
        use Purpose::{Dialogue, Invitation, Reminder};
        let three = [(60, Reminder, SmsLink), (600, Invitation, SmsLink), (6000, Invitation, VoiceCall)];
        for (sent, purpose, method, expected) in [
            (&[][..], Invitation, SmsLink, "allow".to_owned()),
            (&three[..2], Invitation, SmsLink, "allow".to_owned()),
            (&three, Invitation, SmsLink, format!("defer {} frequency", DAY - 6000)),
            (&three, Invitation, VoiceCall, format!("defer {} frequency", DAY - 6000)),
            (&three, Invitation, Email, "allow".to_owned()),
            (&three, Dialogue, SmsLink, "allow".to_owned()),
            (&[(60, Dialogue, SmsLink); 9], Invitation, SmsLink, "allow".to_owned()),
            (&[(60, Invitation, Email); 9], Invitation, SmsLink, "allow".to_owned()),
            (&[(DAY, Invitation, SmsLink); 3], Invitation, SmsLink, "allow".to_owned()),
            (&[(DAY - 1, Invitation, SmsLink); 3], Invitation, SmsLink, "defer 1 frequency".to_owned()),
            (
                &[(2 * DAY, Invitation, SmsLink); 10],
                Invitation,
                SmsLink,
                format!("defer {} frequency", 5 * DAY),
            ),
        ] {
            assert_eq!(told(sent, purpose, method), expected, "{sent:?} {purpose:?} {method:?}");
        }
    }
}
