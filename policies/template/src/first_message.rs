//! A first message says who writes, how often, at whose cost, and whom to ask.
//!
//! Carriers want every programme of texts to open like this. Whether it is the first is read from what
//! the recipient was sent lately; somebody who has heard nothing for long is told again, which does no
//! harm.

use crate::{channel, opens, part};
use consentry_guest::rule::Rule;
use consentry_guest::{Channel, DeliveryMethod, Occasion, Part, Recipient, Wording};

/// What the first message says besides.
pub const RULE: Rule = Rule {
    id: "first-message",
    sentence: "The first text says who writes, how often, that rates may apply and whom to ask.",
    citation: Some("CTIA Messaging Principles and Best Practices, 5.1.1 and 5.1.2"),
};

/// The piece to add to a wording, if this is the first message and the wording does not say so itself.
pub fn piece(occasion: &Occasion, method: DeliveryMethod, wording: &Wording) -> Option<Wording> {
    if channel(method) != Channel::Sms || !opens(occasion) || !is_first(occasion) || says_so(&wording.text) {
        return None;
    }
    part(Part::FirstMessage, occasion, method, &wording.language)
}

fn is_first(occasion: &Occasion) -> bool {
    match occasion.recipient {
        Recipient::Participant | Recipient::Number(_) => occasion
            .participant
            .as_ref()
            .is_none_or(|it| !it.recent.iter().any(|it| channel(it.method) == Channel::Sms)),
        Recipient::Staff(_) => false,
    }
}

/// Whether a text speaks of costs, which only an opening does.
fn says_so(text: &str) -> bool {
    const COSTS: [&str; 8] = [
        "rates may apply",
        "data rates",
        "tarifas de",
        "pueden aplicarse tarifas",
        "frais de messagerie",
        "frais peuvent",
        "gebühren",
        "tarifas podem",
    ];
    let text = text.to_lowercase();
    COSTS.iter().any(|it| text.contains(it))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{Answers, NOW, invitation, wording};
    use consentry_guest::DeliveryMethod::{Email, SmsLink, SmsText};
    use consentry_guest::{PastMessage, Purpose, host};

    #[test]
    fn only_a_first_text_says_it() {
        let plain = "Your survey is ready.";
        for (purpose, method, recent, text, expected) in [
            (Purpose::Invitation, SmsLink, None, plain, true),
            (Purpose::Invitation, SmsLink, Some(SmsLink), plain, false),
            (Purpose::Invitation, SmsLink, Some(Email), plain, true),
            (Purpose::Invitation, Email, None, plain, false),
            (Purpose::Help, SmsText, None, plain, false),
            (Purpose::OptOutConfirmation, SmsText, None, plain, false),
            (Purpose::Dialogue, SmsText, None, plain, false),
            (Purpose::Invitation, SmsLink, None, "Msg & data rates may apply.", false),
        ] {
            let mut occasion = Occasion { purpose, ..invitation() };
            occasion.participant.as_mut().unwrap().recent = recent
                .map(|method| PastMessage { at: NOW - 60, purpose: Purpose::Invitation, method })
                .into_iter()
                .collect();
            let first = wording("first", "en", Part::FirstMessage, "From the sleep study.");
            let answers = Answers { wordings: vec![first], ..Answers::default() };
            let whole = wording("a", "en", Part::Whole, text);
            let piece = host::answering(&answers, || piece(&occasion, method, &whole));
            assert_eq!(piece.is_some(), expected, "{purpose:?} {method:?} {recent:?}");
        }
    }
}
