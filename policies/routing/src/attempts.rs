//! What failed for good is not tried the same way again.
//!
//! Each earlier attempt of the occasion ended in a definite failure. A landline gets a call, a number
//! that cannot be reached gets an e-mail, a mailbox that cannot be reached gets a text, and a phone that nobody answers is called again after a while,
//! a few times. Words that a carrier's filter refused are not repeated: that harms the sender for
//! everybody else.

use crate::line_type;
use crate::opt_out;
use crate::reach::{Reach, channel};
use crate::{Step, setting};
use consentry_guest::rule::Rule;
use consentry_guest::{Channel, DeliveryMethod, Failure, Occasion, Wait};

/// An address that cannot be reached.
pub const UNREACHABLE: Rule = Rule {
    id: "unreachable",
    sentence: "An address that could not be reached is not tried again; e-mail is used instead where it can be, and a text instead of e-mail.",
    citation: Some("house rule: a definite failure is final"),
};

/// Words that a filter refused.
pub const FILTERED: Rule = Rule {
    id: "filtered",
    sentence: "A message that a carrier's filter refused is not sent again.",
    citation: Some("CTIA Messaging Principles, on unwanted messages"),
};

/// A message that was not out in time.
pub const EXPIRED: Rule = Rule {
    id: "expired",
    sentence: "A message that was not out in time is not sent late.",
    citation: Some("house rule: the schedule of the project"),
};

/// A call that nobody took.
pub const NO_ANSWER: Rule = Rule {
    id: "no-answer",
    sentence: "A call that nobody took is repeated after a while, a limited number of times.",
    citation: Some("house rule: settings `retry-minutes` and `attempts`"),
};

/// Whether earlier attempts speak against a method.
pub fn step(occasion: &Occasion, reach: &Reach, method: DeliveryMethod) -> Step {
    let channel = channel(method);
    let mut missed = 0_u32;
    let mut last = 0;
    for attempt in occasion.attempts.iter().filter(|it| crate::reach::channel(it.method) == channel) {
        match attempt.failure {
            Failure::OptedOut => return opt_out::closed(reach, channel, "attempt.failure"),
            Failure::Filtered => {
                let sentence = "a carrier refused this message; its wording needs a look";
                return Step::Skip(FILTERED.finding(sentence, "attempt.failure"));
            }
            Failure::Expired => {
                let sentence = "the message was not out in time";
                return Step::Skip(EXPIRED.finding(sentence, "attempt.failure"));
            }
            Failure::Landline => return line_type::landline(reach, "attempt.failure"),
            Failure::Unreachable => {
                return instead(reach, channel, &UNREACHABLE, "the address could not be reached");
            }
            Failure::NoAnswer | Failure::Busy => {
                missed += 1;
                last = last.max(attempt.at);
            }
        }
    }
    if missed == 0 {
        return Step::Go;
    }
    let again = last.saturating_add(setting::retry_seconds());
    let too_late = occasion.not_after.is_some_and(|it| again > it);
    if missed >= setting::attempts() || too_late {
        return instead(reach, channel, &NO_ANSWER, "nobody took the calls");
    }
    if again <= occasion.now {
        return Step::Go;
    }
    let sentence = "nobody took the call; it is tried again later";
    Step::Wait(Wait { until: again, because: NO_ANSWER.finding(sentence, "attempt.failure") })
}

/// E-mail instead of texts and calls, and a text instead of e-mail.
fn instead(reach: &Reach, channel: Channel, rule: &Rule, why: &str) -> Step {
    if channel != Channel::Email
        && let Some(email) = reach.by_email()
    {
        let sentence = [why, ", so the message goes by e-mail"].concat();
        return Step::Instead(email, rule.finding(sentence, "attempt.failure"));
    }
    if channel == Channel::Email
        && let Some(text) = reach.by_text()
    {
        let sentence = [why, ", so the message goes by text"].concat();
        return Step::Instead(text, rule.finding(sentence, "attempt.failure"));
    }
    Step::Skip(rule.finding([why, ", and there is no other way"].concat(), "attempt.failure"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{Answers, NOW, invitation, rule};
    use consentry_guest::DeliveryMethod::{Email, SmsLink, VoiceCall};
    use consentry_guest::{Attempt, host};

    fn after(attempts: &[(DeliveryMethod, u32, Failure)], method: DeliveryMethod, email: bool) -> Step {
        let mut occasion = invitation();
        occasion.attempts = attempts
            .iter()
            .map(|(method, ago, failure)| Attempt { method: *method, at: NOW - ago, failure: *failure })
            .collect();
        if !email {
            occasion.participant.as_mut().unwrap().email = None;
        }
        host::answering(&Answers::default(), || step(&occasion, &Reach::of(&occasion), method))
    }

    #[test]
    fn each_failure_has_its_consequence() {
        use Failure::{Busy, Expired, Filtered, Landline, NoAnswer, OptedOut, Unreachable};
        for (attempts, method, email, expected) in [
            (&[][..], SmsLink, true, "go"),
            (&[(SmsLink, 60, Landline)], SmsLink, true, "voice-call: landline"),
            (&[(SmsLink, 60, Landline)], VoiceCall, true, "go"),
            (&[(SmsLink, 60, Unreachable)], SmsLink, true, "email: unreachable"),
            (&[(SmsLink, 60, Unreachable)], SmsLink, false, "skip: unreachable"),
            (&[(Email, 60, Unreachable)], Email, true, "sms-link: unreachable"),
            (&[(SmsLink, 90, Unreachable), (Email, 60, Unreachable)], Email, true, "skip: unreachable"),
            (&[(SmsLink, 60, OptedOut)], SmsLink, true, "skip: opted-out"),
            (&[(SmsLink, 60, Filtered)], SmsLink, true, "skip: filtered"),
            (&[(SmsLink, 60, Expired)], SmsLink, true, "skip: expired"),
            (&[(VoiceCall, 600, NoAnswer)], VoiceCall, true, "wait 3000: no-answer"),
            (&[(VoiceCall, 3600, NoAnswer)], VoiceCall, true, "go"),
            (&[(VoiceCall, 9000, Busy), (VoiceCall, 60, NoAnswer)], VoiceCall, true, "wait 3540: no-answer"),
            (
                &[(VoiceCall, 9000, Busy), (VoiceCall, 6000, Busy), (VoiceCall, 60, NoAnswer)],
                VoiceCall,
                true,
                "email: no-answer",
            ),
            (
                &[(VoiceCall, 9000, Busy), (VoiceCall, 6000, Busy), (VoiceCall, 60, NoAnswer)],
                VoiceCall,
                false,
                "skip: no-answer",
            ),
        ] {
            let step = after(attempts, method, email);
            let cited = rule(&step).unwrap_or_default();
            let told = match &step {
                Step::Go => "go".to_owned(),
                Step::Instead(Email, _) => format!("email: {cited}"),
                Step::Instead(SmsLink, _) => format!("sms-link: {cited}"),
                Step::Instead(_, _) => format!("voice-call: {cited}"),
                Step::Wait(wait) => format!("wait {}: {cited}", wait.until - NOW),
                Step::Skip(_) => format!("skip: {cited}"),
            };
            assert_eq!(told, expected, "{attempts:?} {method:?}");
        }
    }

    #[test]
    fn a_repeat_that_would_come_too_late_is_an_email() {
        let mut occasion = invitation();
        occasion.not_after = Some(NOW + 600);
        occasion.attempts = vec![Attempt { method: VoiceCall, at: NOW, failure: Failure::Busy }];
        let step = host::answering(&Answers::default(), || step(&occasion, &Reach::of(&occasion), VoiceCall));
        assert!(matches!(step, Step::Instead(Email, _)), "{step:?}");
    }
}
