//! A landline takes no texts.
//!
//! A text to a landline is lost and charged, and the participant never learns of it. Twilio's Lookup
//! knows the kind of line; a landline is called instead, if calls are enabled. The other way round, a
//! call from an unknown number is seldom taken on a mobile phone, so a text may announce it.

use crate::reach::{Reach, channel};
use crate::unavailable::{A_WHILE, UNAVAILABLE};
use crate::{Step, setting};
use consentry_guest::host::{twilio, twilio_send};
use consentry_guest::rule::Rule;
use consentry_guest::{
    Channel, DeliveryMethod, Finding, LineType, Occasion, Purpose, Recipient, TwilioError, Wait,
};

/// A landline.
pub const LANDLINE: Rule = Rule {
    id: "landline",
    sentence: "A landline gets no texts: it is called where calls are enabled, else the message goes by e-mail.",
    citation: Some("Twilio: Lookup line type; error 30006"),
};

/// A text that announces a call.
pub const HEADS_UP: Rule = Rule {
    id: "heads-up",
    sentence: "A call to a mobile phone is announced by a text, where the operator named a wording for it.",
    citation: Some("house rule: setting `heads-up-wording`"),
};

/// How long after a text another one announces nothing new.
const A_DAY: u32 = 24 * 60 * 60;

/// Whether the line can take a method.
pub fn step(occasion: &Occasion, reach: &Reach, method: DeliveryMethod) -> Step {
    if channel(method) != Channel::Sms || !is_about_a_survey(occasion) || !setting::check_line_type() {
        return Step::Go;
    }
    match twilio::lookup() {
        Ok(LineType::Landline) => landline(reach, "twilio.lookup"),
        // A number that Twilio cannot place is tried: most of them are mobile.
        Ok(
            LineType::Mobile
            | LineType::FixedVoip
            | LineType::NonFixedVoip
            | LineType::TollFree
            | LineType::Unknown,
        )
        | Err(TwilioError::NoNumber) => Step::Go,
        Err(TwilioError::Unavailable(_)) => Step::Wait(unavailable(occasion)),
    }
}

/// What follows from a landline.
pub(crate) fn landline(reach: &Reach, fact: &str) -> Step {
    if let Some(voice) = reach.by_voice() {
        let sentence = "the number is a landline, which takes no texts, so it is called";
        return Step::Instead(voice, LANDLINE.finding(sentence, fact));
    }
    if let Some(email) = reach.by_email() {
        let sentence = "the number is a landline, which takes no texts, so the message goes by e-mail";
        return Step::Instead(email, LANDLINE.finding(sentence, fact));
    }
    Step::Skip(LANDLINE.finding(
        "the number is a landline, which takes no texts, and neither calls nor e-mail can be used",
        fact,
    ))
}

/// Announces a call to a mobile phone, once a day.
pub fn heads_up(occasion: &Occasion, reach: &Reach, method: DeliveryMethod) -> Result<Option<Finding>, Wait> {
    if method != DeliveryMethod::VoiceCall
        || !is_about_a_survey(occasion)
        || reach.opted_out(Channel::Sms)
        || !occasion.attempts.is_empty()
        || announced(occasion)
    {
        return Ok(None);
    }
    let Some(wording) = setting::heads_up_wording() else { return Ok(None) };
    match twilio::lookup() {
        Ok(LineType::Mobile) => {
            let finding = HEADS_UP.finding("a text announces the call", "twilio.lookup");
            twilio_send::send(&wording, &finding);
            Ok(Some(finding))
        }
        Ok(_) | Err(TwilioError::NoNumber) => Ok(None),
        Err(TwilioError::Unavailable(_)) => Err(unavailable(occasion)),
    }
}

fn is_about_a_survey(occasion: &Occasion) -> bool {
    matches!(occasion.purpose, Purpose::Invitation | Purpose::Reminder)
}

fn announced(occasion: &Occasion) -> bool {
    let Recipient::Participant = occasion.recipient else { return false };
    occasion.participant.as_ref().is_some_and(|it| {
        it.recent.iter().any(|it| {
            it.purpose == Purpose::Notification
                && channel(it.method) == Channel::Sms
                && occasion.now.saturating_sub(it.at) < A_DAY
        })
    })
}

fn unavailable(occasion: &Occasion) -> Wait {
    let sentence = "Twilio could not be asked what kind of line the number is";
    Wait {
        until: occasion.now.saturating_add(A_WHILE),
        because: UNAVAILABLE.finding(sentence, "twilio.lookup"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{Answers, NOW, invitation, rule};
    use consentry_guest::DeliveryMethod::{Email, SmsLink, SmsText, VoiceCall};
    use consentry_guest::{Attempt, Failure, OptOut, PastMessage, Route, Value, host};

    #[test]
    fn a_landline_is_called_or_written_to() {
        for (line, enabled, expected) in [
            (LineType::Mobile, &[SmsLink, VoiceCall, Email][..], "sms"),
            (LineType::Unknown, &[SmsLink, VoiceCall, Email], "sms"),
            (LineType::NonFixedVoip, &[SmsLink, VoiceCall, Email], "sms"),
            (LineType::Landline, &[SmsLink, VoiceCall, Email], "voice"),
            (LineType::Landline, &[SmsLink, Email], "email"),
            (LineType::Landline, &[SmsLink], "landline"),
        ] {
            let mut occasion = invitation();
            occasion.project.enabled_methods = enabled.to_vec();
            let answers = Answers { line: Ok(line), ..Answers::default() };
            let told = match host::answering(&answers, || crate::choose(&occasion)) {
                Route::Contact(plan) => match plan.method {
                    Email => "email".to_owned(),
                    VoiceCall => "voice".to_owned(),
                    _ => "sms".to_owned(),
                },
                Route::Skip(finding) => finding.rule,
                Route::Wait(wait) => wait.because.rule,
            };
            assert_eq!(told, expected, "{line:?} {enabled:?}");
        }
    }

    #[test]
    fn an_unknown_line_is_waited_for_only_when_lines_are_checked() {
        let line = Err(TwilioError::Unavailable("down".into()));
        for (check, purpose, method, expected) in [
            (true, Purpose::Invitation, SmsLink, Some("unavailable")),
            (false, Purpose::Invitation, SmsLink, None),
            (true, Purpose::Alert, SmsText, None),
            (true, Purpose::Invitation, VoiceCall, None),
        ] {
            let occasion = Occasion { purpose, ..invitation() };
            let answers = Answers { line: line.clone(), ..Answers::default() }
                .with("check-line-type", Value::Truth(check));
            let step = host::answering(&answers, || step(&occasion, &Reach::of(&occasion), method));
            assert_eq!(rule(&step), expected, "{check} {purpose:?} {method:?}");
        }
    }

    #[test]
    fn a_call_is_announced_once_to_a_mobile_that_takes_texts() {
        let mobile = Ok(LineType::Mobile);
        let landline = Ok(LineType::Landline);
        for (name, line, change, expected) in [
            ("mobile", &mobile, (|_| ()) as fn(&mut Occasion), true),
            ("landline", &landline, |_| (), false),
            ("opted out of texts", &mobile, opt_out_of_texts, false),
            ("called before", &mobile, call_before, false),
            ("announced", &mobile, announce, false),
        ] {
            let mut occasion = invitation();
            occasion.participant.as_mut().unwrap().preference = Some(VoiceCall);
            change(&mut occasion);
            let answers = Answers { line: line.clone(), ..Answers::default() }
                .with("heads-up-wording", Value::Text("call-coming".into()));
            let route = host::answering(&answers, || crate::choose(&occasion));
            assert!(matches!(&route, Route::Contact(plan) if plan.method == VoiceCall), "{name}: {route:?}");
            assert_eq!(answers.sent.borrow().len(), usize::from(expected), "{name}");
        }
    }

    fn opt_out_of_texts(occasion: &mut Occasion) {
        occasion.participant.as_mut().unwrap().opt_outs = vec![OptOut { channel: Channel::Sms, at: 1 }];
    }

    fn call_before(occasion: &mut Occasion) {
        occasion.attempts = vec![Attempt { method: VoiceCall, at: NOW - 4000, failure: Failure::Busy }];
    }

    fn announce(occasion: &mut Occasion) {
        occasion.participant.as_mut().unwrap().recent =
            vec![PastMessage { at: NOW - 60, purpose: Purpose::Notification, method: SmsText }];
    }
}
