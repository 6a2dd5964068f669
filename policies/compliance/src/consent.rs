//! Nobody is contacted without consent.
//!
//! A consent is a record of who agreed, when, how, and to which methods; what names a number is good for
//! that number only. A withdrawal ends the consents before it: only a newer one counts again. A study can
//! add a condition of its own in REDCap's logic language, which REDCap must find true.
//!
//! What answers the recipient's own message needs no consent: the confirmation of an opt-out, and HELP.

use crate::opinion::Opinions;
use crate::{addressee, is_owed, setting};
use consentry_guest::host::redcap;
use consentry_guest::rule::Rule;
use consentry_guest::{
    Address, Consent, DeliveryMethod, Draft, Instant, LogicValue, Occasion, Recipient, RedcapError,
};

/// A consent that covers the message.
pub const GIVEN: Rule = Rule {
    id: "consent",
    sentence: "A participant is contacted only with a documented consent that covers the method and names no other number.",
    citation: Some("45 CFR 46.117(a); 47 CFR 64.1200(a)(1)"),
};

/// No consent.
pub const MISSING: Rule = Rule {
    id: "consent-missing",
    sentence: "Without a documented consent to the method there is no message.",
    citation: Some("45 CFR 46.117(a); 47 CFR 64.1200(a)(1)"),
};

/// A withdrawn consent.
pub const WITHDRAWN: Rule = Rule {
    id: "consent-withdrawn",
    sentence: "A withdrawn consent ends the messages; only a newer consent allows them again.",
    citation: Some("45 CFR 46.116(b)(8); 47 CFR 64.1200(a)(10)"),
};

/// A consent for another number.
pub const NUMBER: Rule = Rule {
    id: "consent-number",
    sentence: "A consent that names a phone number is good for that number only.",
    citation: Some("47 CFR 64.1200(a)(1): prior express consent of the called party"),
};

/// The study's own condition.
pub const EXPRESSION: Rule = Rule {
    id: "consent-expression",
    sentence: "Where the study set a condition in REDCap's logic language, a participant is contacted only while REDCap finds it true.",
    citation: Some("house rule: setting `consent-expression`"),
};

/// The evidence behind a public-survey list.
pub const LIST: Rule = Rule {
    id: "consent-of-list",
    sentence: "The numbers of a public-survey list are contacted only where the operator names the evidence that these people agreed.",
    citation: Some("47 CFR 64.1200(a)(1); house rule: setting `list-consent`"),
};

/// Reviews the consents that the occasion brings.
pub fn review(occasion: &Occasion, draft: &Draft, opinions: &mut Opinions) {
    if is_owed(occasion.purpose) {
        return;
    }
    match occasion.recipient {
        Recipient::Staff(_) => return,
        Recipient::Number(_) if addressee(occasion).is_none() => {
            match setting::list_consent() {
                Some(_) => opinions.allow(
                    LIST.finding("the operator names the consent of the list", "setting.list-consent"),
                ),
                None => opinions.hold(LIST.finding(
                    "nothing says that the people of this list agreed to be contacted",
                    "setting.list-consent",
                )),
            }
            return;
        }
        Recipient::Participant | Recipient::Number(_) => {}
    }
    let consents = addressee(occasion).map_or(&[][..], |it| &it.consents);
    let covering = || consents.iter().filter(|it| covers(it, draft.method));
    let withdrawal = covering().filter_map(|it| it.withdrawn).max();
    let standing = || covering().filter(|it| stands(it, withdrawal, occasion.now));

    if standing().any(|it| is_for(it, &draft.to)) {
        opinions.allow(GIVEN.finding("a documented consent covers this method", "participant.consents"));
    } else if standing().next().is_some() {
        opinions.deny(NUMBER.finding("the consent names another phone number", "consent.phone"));
    } else if withdrawal.is_some() {
        opinions.deny(WITHDRAWN.finding("the consent was withdrawn", "consent.withdrawn"));
    } else if consents.is_empty() {
        opinions.deny(MISSING.finding("no consent is on record", "participant.consents"));
    } else {
        opinions.deny(MISSING.finding("no consent on record covers this method", "consent.covers"));
    }
}

/// Reviews the study's own condition, which REDCap evaluates.
pub fn review_expression(occasion: &Occasion, opinions: &mut Opinions) {
    if is_owed(occasion.purpose) || !matches!(occasion.recipient, Recipient::Participant) {
        return;
    }
    let Some(expression) = setting::consent_expression() else { return };
    let fact = "setting.consent-expression";
    match redcap::evaluate(&expression, None) {
        Ok(LogicValue::Truth(true)) => {
            opinions.allow(EXPRESSION.finding("the study's own condition is true", fact));
        }
        Ok(LogicValue::Number(number)) if number != 0.0 && !number.is_nan() => {
            opinions.allow(EXPRESSION.finding("the study's own condition is true", fact));
        }
        Ok(LogicValue::Truth(false) | LogicValue::Number(_) | LogicValue::Blank | LogicValue::Text(_)) => {
            let sentence = "the study's own condition for contacting this participant is not true";
            opinions.deny(EXPRESSION.finding(sentence, fact));
        }
        Err(RedcapError::Unavailable(_)) => {
            let sentence = "REDCap could not be asked whether the study's own condition is true";
            opinions.hold(EXPRESSION.finding(sentence, fact));
        }
        Err(RedcapError::NoRecord) => {
            let sentence = "there is no record yet for which the study's own condition could be true";
            opinions.hold(EXPRESSION.finding(sentence, fact));
        }
        Err(
            RedcapError::UnknownField(_)
            | RedcapError::UnknownEvent(_)
            | RedcapError::BadLogic(_)
            | RedcapError::NotASurvey(_),
        ) => {
            let sentence = "the study's own condition cannot be read; the setting needs a look";
            opinions.hold(EXPRESSION.finding(sentence, fact));
        }
    }
}

/// Whether a consent covers a method. Whoever agreed to be asked by text or by phone agreed to a plain
/// text or a spoken message as well.
fn covers(consent: &Consent, method: DeliveryMethod) -> bool {
    let plain = matches!(method, DeliveryMethod::SmsText | DeliveryMethod::VoiceMessage);
    consent.covers.iter().any(|it| *it == method || (plain && crate::channel(*it) == crate::channel(method)))
}

/// Whether a consent counts: given by now, never withdrawn, and given after the last withdrawal.
fn stands(consent: &Consent, withdrawal: Option<Instant>, now: Instant) -> bool {
    consent.withdrawn.is_none() && consent.given <= now && withdrawal.is_none_or(|it| consent.given > it)
}

fn is_for(consent: &Consent, to: &Address) -> bool {
    match (&consent.phone, to) {
        (Some(named), Address::Phone(to)) => named == to,
        (None, _) | (_, Address::Email(_)) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{Answers, NOW, PHONE, consent, draft, invitation, staff, verdict};
    use consentry_guest::DeliveryMethod::{Email, SmsLink, SmsText, VoiceCall, VoiceMessage};
    use consentry_guest::{Purpose, host};

    fn told(occasion: &Occasion, draft: &Draft, answers: &Answers) -> String {
        verdict(|opinions| {
            host::answering(answers, || {
                review(occasion, draft, opinions);
                review_expression(occasion, opinions);
            });
        })
    }

    #[test]
    fn only_a_standing_consent_to_the_method_and_number_counts() {
        let withdrawn = || Consent { withdrawn: Some(NOW - 50), ..consent() };
        let newer = || Consent { given: NOW - 40, ..consent() };
        let elsewhere = || Consent { phone: Some("+16175550199".into()), ..consent() };
        let unnamed = || Consent { phone: None, ..consent() };
        for (name, consents, method, expected) in [
            ("none", vec![], SmsLink, "deny consent-missing"),
            ("one", vec![consent()], SmsLink, "allow consent"),
            ("another method", vec![consent()], VoiceCall, "deny consent-missing"),
            ("a plain text", vec![consent()], SmsText, "allow consent"),
            ("a spoken message", vec![consent()], VoiceMessage, "deny consent-missing"),
            ("no number", vec![unnamed()], SmsLink, "allow consent"),
            ("another number", vec![elsewhere()], SmsLink, "deny consent-number"),
            ("by e-mail", vec![Consent { covers: vec![Email], ..elsewhere() }], Email, "allow consent"),
            ("one for each number", vec![elsewhere(), consent()], SmsLink, "allow consent"),
            ("withdrawn", vec![withdrawn()], SmsLink, "deny consent-withdrawn"),
            (
                "to be withdrawn",
                vec![Consent { withdrawn: Some(NOW + 50), ..consent() }],
                SmsLink,
                "deny consent-withdrawn",
            ),
            ("an older one beside", vec![consent(), withdrawn()], SmsLink, "deny consent-withdrawn"),
            ("a newer one", vec![withdrawn(), newer()], SmsLink, "allow consent"),
            ("of tomorrow", vec![Consent { given: NOW + 50, ..consent() }], SmsLink, "deny consent-missing"),
            (
                "calls withdrawn",
                vec![consent(), Consent { covers: vec![VoiceCall], ..withdrawn() }],
                SmsLink,
                "allow consent",
            ),
        ] {
            let mut occasion = invitation();
            occasion.participant.as_mut().unwrap().consents = consents;
            let to =
                if method == Email { Address::Email("a@b.c".into()) } else { Address::Phone(PHONE.into()) };
            let draft = Draft { method, to, ..draft() };
            assert_eq!(told(&occasion, &draft, &Answers::default()), expected, "{name}");
        }
    }

    #[test]
    fn what_is_owed_needs_no_consent_and_neither_do_staff() {
        let bare = |purpose| {
            let mut occasion = Occasion { purpose, ..invitation() };
            occasion.participant.as_mut().unwrap().consents.clear();
            occasion
        };
        for (occasion, expected) in [
            (bare(Purpose::Help), "allow"),
            (bare(Purpose::OptOutConfirmation), "allow"),
            (bare(Purpose::Alert), "deny consent-missing"),
            (bare(Purpose::Dialogue), "deny consent-missing"),
            (Occasion { recipient: staff(), ..bare(Purpose::Alert) }, "allow"),
            (Occasion { participant: None, ..invitation() }, "deny consent-missing"),
        ] {
            assert_eq!(told(&occasion, &draft(), &Answers::default()), expected, "{:?}", occasion.purpose);
        }
    }

    #[test]
    fn a_list_needs_evidence() {
        let occasion =
            Occasion { recipient: Recipient::Number(PHONE.into()), participant: None, ..invitation() };
        assert_eq!(told(&occasion, &draft(), &Answers::default()), "hold consent-of-list");
        let answers = Answers::default().text("list-consent", "sign-up sheet of 12 March");
        assert_eq!(told(&occasion, &draft(), &answers), "allow consent-of-list");
    }

    #[test]
    fn the_studys_own_condition_must_be_true() {
        let mistake = consentry_guest::RedcapError::UnknownField("x".into());
        for (value, expected) in [
            (Ok(LogicValue::Truth(true)), "allow consent consent-expression"),
            (Ok(LogicValue::Number(1.0)), "allow consent consent-expression"),
            (Ok(LogicValue::Number(0.0)), "deny consent-expression"),
            (Ok(LogicValue::Number(f64::NAN)), "deny consent-expression"),
            (Ok(LogicValue::Truth(false)), "deny consent-expression"),
            (Ok(LogicValue::Blank), "deny consent-expression"),
            (Ok(LogicValue::Text("yes".into())), "deny consent-expression"),
            (Err(RedcapError::Unavailable("down".into())), "hold consent-expression"),
            (Err(mistake), "hold consent-expression"),
        ] {
            let answers = Answers { logic: value.clone(), ..Answers::default() }
                .text("consent-expression", "[texts_ok] = '1'");
            assert_eq!(told(&invitation(), &draft(), &answers), expected, "{value:?}");
        }
    }
}
