//! Whoever has answered is not invited again.
//!
//! An invitation is planned before the survey is answered, and a participant may have found their own way
//! to it since. REDCap knows; it is asked when the message is planned.

use crate::Step;
use crate::unavailable::{A_WHILE, UNAVAILABLE};
use consentry_guest::host::redcap;
use consentry_guest::rule::Rule;
use consentry_guest::{Occasion, Purpose, Recipient, RedcapError, SurveyState, Wait};

/// A completed survey.
pub const COMPLETE: Rule = Rule {
    id: "already-complete",
    sentence: "Nobody is invited to, or reminded of, a survey that they have completed.",
    citation: Some("REDCap: invitations are not sent once the survey is completed"),
};

/// A survey whose state cannot be read for good.
pub const UNREADABLE: Rule = Rule {
    id: "survey-unreadable",
    sentence: "An invitation goes out only when REDCap can say whether its survey was completed.",
    citation: Some("house rule: fail closed"),
};

/// Whether the survey still waits for an answer.
pub fn step(occasion: &Occasion) -> Step {
    if !matches!(occasion.purpose, Purpose::Invitation | Purpose::Reminder)
        || !matches!(occasion.recipient, Recipient::Participant)
    {
        return Step::Go;
    }
    let Some(survey) = &occasion.survey else { return Step::Go };
    match redcap::survey_status(survey) {
        // There is no record yet: the participant of a public survey has answered nothing.
        Ok(SurveyState::NotStarted | SurveyState::Partial) | Err(RedcapError::NoRecord) => Step::Go,
        Ok(SurveyState::Complete) => {
            let sentence = "the participant has completed this survey";
            Step::Skip(COMPLETE.finding(sentence, "redcap.survey-status"))
        }
        Err(RedcapError::Unavailable(_)) => {
            let sentence = "REDCap could not be asked whether the survey was completed";
            let because = UNAVAILABLE.finding(sentence, "redcap.survey-status");
            Step::Wait(Wait { until: occasion.now.saturating_add(A_WHILE), because })
        }
        Err(
            RedcapError::UnknownField(_)
            | RedcapError::UnknownEvent(_)
            | RedcapError::BadLogic(_)
            | RedcapError::NotASurvey(_),
        ) => {
            let sentence = "REDCap has no such survey at this event; the schedule needs a look";
            Step::Skip(UNREADABLE.finding(sentence, "redcap.survey-status"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{Answers, NOW, invitation, rule};
    use consentry_guest::host;

    #[test]
    fn the_state_of_the_survey_decides() {
        let unavailable = RedcapError::Unavailable("down".into());
        for (state, expected) in [
            (Ok(SurveyState::NotStarted), None),
            (Ok(SurveyState::Partial), None),
            (Ok(SurveyState::Complete), Some("already-complete")),
            (Err(RedcapError::NoRecord), None),
            (Err(unavailable), Some("unavailable")),
            (Err(RedcapError::NotASurvey("x".into())), Some("survey-unreadable")),
        ] {
            let answers = Answers { survey: state.clone(), ..Answers::default() };
            let step = host::answering(&answers, || step(&invitation()));
            assert_eq!(rule(&step), expected, "{state:?}");
            if let Step::Wait(wait) = step {
                assert_eq!(wait.until, NOW + 900);
            }
        }
    }

    #[test]
    fn only_invitations_and_reminders_ask() {
        let answers = Answers { survey: Ok(SurveyState::Complete), ..Answers::default() };
        for purpose in [Purpose::Alert, Purpose::Confirmation, Purpose::Acknowledgement, Purpose::Help] {
            let occasion = Occasion { purpose, ..invitation() };
            assert_eq!(host::answering(&answers, || step(&occasion)), Step::Go, "{purpose:?}");
        }
    }
}
