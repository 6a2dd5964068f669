//! The wording of a message.
//!
//! What the schedule names is taken; otherwise the wording that was written for just this purpose and
//! method is better than a general one. Approved wordings come first. Where the only one is not approved
//! it is still the answer: the message is then held, and what is held names the wording to approve.

use crate::{language, setting};
use consentry_guest::rule::Rule;
use consentry_guest::{
    ApprovalState, DeliveryMethod, Finding, Occasion, Part, Purpose, Wording, host::wordings,
};

/// No wording.
pub const NO_WORDING: Rule = Rule {
    id: "no-wording",
    sentence: "A message is made only of wordings that the project keeps for its purpose and method; without one there is no message.",
    citation: Some("45 CFR 46.109(a): the IRB approves what participants are told"),
};

/// The wordings that would do for an occasion, the best first; all are in the same language.
pub fn candidates(occasion: &Occasion, method: DeliveryMethod) -> Result<Vec<Wording>, Finding> {
    let found = match &occasion.wording {
        Some(id) => named(occasion, id, method)?,
        None => listed(occasion, method),
    };
    if found.is_empty() { Err(none(occasion)) } else { Ok(found) }
}

/// Why there is no wording.
pub fn none(occasion: &Occasion) -> Finding {
    match &occasion.wording {
        Some(id) => {
            let sentence = ["the project has no wording `", id, "` in the participant's or its own language"];
            NO_WORDING.finding(sentence.concat(), "occasion.wording")
        }
        None => NO_WORDING.finding(
            ["the project has no wording for ", name(occasion.purpose), " by this method"].concat(),
            "wordings",
        ),
    }
}

/// Whether a wording serves a purpose and a method.
pub fn serves(wording: &Wording, purpose: Purpose, method: DeliveryMethod) -> bool {
    (wording.purposes.is_empty() || wording.purposes.contains(&purpose)) && serves_method(wording, method)
}

/// Whether the approval of a wording is in force.
pub fn is_approved(wording: &Wording) -> bool {
    wording.approval == ApprovalState::Approved
}

/// How general a wording is: the less, the better it fits.
pub(crate) fn breadth(wording: &Wording) -> u8 {
    2 * u8::from(wording.purposes.is_empty()) + u8::from(wording.methods.is_empty())
}

fn serves_method(wording: &Wording, method: DeliveryMethod) -> bool {
    wording.methods.is_empty() || wording.methods.contains(&method)
}

fn named(occasion: &Occasion, id: &str, method: DeliveryMethod) -> Result<Vec<Wording>, Finding> {
    let mut other_method = false;
    for wanted in language::wanted(occasion).into_iter().flatten() {
        let primary = language::primary(&wanted);
        let mut found: Vec<Wording> = wordings::find(id, &wanted).into_iter().collect();
        if primary != wanted {
            found.extend(wordings::find(id, primary));
        }
        other_method |= !found.is_empty();
        found.retain(|it| serves_method(it, method));
        if let Some(best) = found.iter().position(is_approved).or((!found.is_empty()).then_some(0)) {
            return Ok(vec![found.swap_remove(best)]);
        }
    }
    if other_method {
        let sentence = ["the wording `", id, "` was not written for this method"].concat();
        return Err(NO_WORDING.finding(sentence, "wording.methods"));
    }
    Ok(Vec::new())
}

/// How many wordings are worth measuring before a message is given up as too long.
const MOST: usize = 4;

fn listed(occasion: &Occasion, method: DeliveryMethod) -> Vec<Wording> {
    let mut all = wordings::list(Part::Whole);
    // A subject is said above a message and is none by itself.
    let subject = setting::subject_wording();
    all.retain(|it| serves(it, occasion.purpose, method) && subject.as_ref() != Some(&it.id));
    for wanted in language::wanted(occasion).into_iter().flatten() {
        let rank = |it: &Wording| {
            language::distance(&it.language, &wanted)
                .map(|distance| (!is_approved(it), breadth(it), distance))
        };
        let Some(best) = best(&all, rank) else { continue };
        let (language, approved) = (all[best].language.clone(), is_approved(&all[best]));
        // A wording that waits for approval is no way round a length.
        all.retain(|it| it.language == language && is_approved(it) == approved);
        let mut found = Vec::new();
        while found.len() < MOST
            && let Some(best) = self::best(&all, rank)
        {
            found.push(all.remove(best));
        }
        return found;
    }
    Vec::new()
}

/// The first of the wordings that rank lowest. The host lists them by id, so it is always the same.
pub(crate) fn best<R: Ord>(wordings: &[Wording], rank: impl Fn(&Wording) -> Option<R>) -> Option<usize> {
    let ranked = wordings.iter().enumerate().filter_map(|(at, it)| rank(it).map(|rank| (rank, at)));
    ranked.min().map(|it| it.1)
}

fn name(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Invitation => "an invitation",
        Purpose::Reminder => "a reminder",
        Purpose::Alert => "an alert",
        Purpose::Dialogue => "a survey by text or call",
        Purpose::Acknowledgement => "the end of a survey",
        Purpose::Confirmation => "the confirmation of a survey",
        Purpose::OptOutConfirmation => "the confirmation of an opt-out",
        Purpose::Help => "the answer to HELP",
        Purpose::Notification => "a notification",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{Answers, invitation, wording};
    use consentry_guest::DeliveryMethod::{Email, SmsLink};
    use consentry_guest::{Value, host};

    fn chosen(named: Option<&str>, language: Option<&str>, project: Vec<Wording>) -> String {
        let mut occasion = invitation();
        occasion.wording = named.map(Into::into);
        occasion.participant.as_mut().unwrap().language = language.map(Into::into);
        let answers = Answers { wordings: project, ..Answers::default() };
        match host::answering(&answers, || candidates(&occasion, SmsLink)) {
            Ok(found) => [&found[0].id, " ", &found[0].language].concat(),
            Err(finding) => finding.rule,
        }
    }

    fn general(id: &str, language: &str) -> Wording {
        wording(id, language, Part::Whole, "Your survey is ready.")
    }

    fn exact(id: &str, language: &str) -> Wording {
        Wording { purposes: vec![Purpose::Invitation], methods: vec![SmsLink], ..general(id, language) }
    }

    fn waiting(wording: Wording) -> Wording {
        Wording { approval: ApprovalState::Submitted, ..wording }
    }

    #[test]
    fn a_named_wording_is_found_in_the_best_language() {
        for (language, project, expected) in [
            (None, vec![general("a", "en")], "a en"),
            (Some("es-US"), vec![general("a", "en"), general("a", "es")], "a es"),
            (Some("es-US"), vec![general("a", "en"), general("a", "es"), general("a", "es-US")], "a es-US"),
            (Some("es-US"), vec![general("a", "es"), waiting(general("a", "es-US"))], "a es"),
            (Some("es"), vec![general("a", "en"), waiting(general("a", "es"))], "a es"),
            (Some("fr"), vec![general("a", "en")], "a en"),
            (Some("fr"), vec![general("b", "en")], "no-wording"),
            (None, vec![Wording { methods: vec![Email], ..general("a", "en") }], "no-wording"),
        ] {
            assert_eq!(chosen(Some("a"), language, project.clone()), expected, "{language:?} {project:?}");
        }
    }

    #[test]
    fn the_closest_approved_wording_is_chosen() {
        let reminder = Wording { purposes: vec![Purpose::Reminder], ..general("r", "en") };
        for (project, expected) in [
            (vec![general("a", "en"), exact("b", "en")], "b en"),
            (vec![general("a", "en"), waiting(exact("b", "en"))], "a en"),
            (vec![waiting(general("a", "en"))], "a en"),
            (vec![reminder.clone(), general("s", "en")], "s en"),
            (vec![reminder], "no-wording"),
            (vec![general("a", "en"), general("b", "en")], "a en"),
            (vec![], "no-wording"),
        ] {
            assert_eq!(chosen(None, None, project.clone()), expected, "{project:?}");
        }
    }

    #[test]
    fn a_subject_is_no_message_by_itself() {
        let subject = Wording { methods: vec![Email], ..general("a-subject", "en") };
        for (project, expected) in
            [(vec![subject.clone(), general("b", "en")], "b"), (vec![subject], "no-wording")]
        {
            let answers = Answers {
                wordings: project,
                settings: vec![("subject-wording".into(), Value::Text("a-subject".into()))],
                ..Answers::default()
            };
            let found = host::answering(&answers, || candidates(&invitation(), Email));
            let told = found.map_or_else(|finding| finding.rule, |mut found| found.swap_remove(0).id);
            assert_eq!(told, expected);
        }
    }

    #[test]
    fn the_language_matters_more_than_the_fit() {
        assert_eq!(chosen(None, Some("es-US"), vec![exact("a", "en"), general("b", "es")]), "b es");
        assert_eq!(chosen(None, Some("es-US"), vec![exact("a", "en"), waiting(general("b", "es"))]), "b es");
        assert_eq!(chosen(None, Some("vi"), vec![exact("a", "en"), general("b", "es")]), "a en");
    }
}
