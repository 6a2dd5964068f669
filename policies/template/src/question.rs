//! The words of a survey by text or by voice.
//!
//! A question is what its instrument says: label, note and choices, approved with the instrument. When a
//! reply was not taken, a wording of the project may say so first. The survey ends with a wording too.

use crate::{channel, language, part, setting, wording};
use consentry_guest::rule::Rule;
use consentry_guest::{
    Channel, ChoiceStyle, DeliveryMethod, Finding, Language, Occasion, Part, Piece, Purpose, Question, Turn,
    Words, host::wordings,
};

/// No words for the end.
pub const NO_ENDING: Rule = Rule {
    id: "no-ending",
    sentence: "A survey by text or by voice ends with a wording of the project.",
    citation: Some("45 CFR 46.109(a): the IRB approves what participants are told"),
};

/// The words for a turn.
pub fn ask(occasion: &Occasion, method: DeliveryMethod, turn: &Turn) -> Result<Words, Finding> {
    let language = spoken(occasion);
    match turn {
        Turn::Question(question) | Turn::Repeat(question) => {
            Ok(words(pieces(question, method, None), language))
        }
        Turn::Again((question, _)) => {
            let apology = setting::misread_wording().and_then(|id| found(&id, occasion));
            Ok(match apology {
                Some((id, language)) => words(pieces(question, method, Some(id)), language),
                None => words(pieces(question, method, None), language),
            })
        }
        Turn::Ended => ended(occasion, method),
    }
}

fn words(pieces: Vec<Piece>, language: Language) -> Words {
    Words { pieces, subject: None, language }
}

fn pieces(question: &Question, method: DeliveryMethod, apology: Option<String>) -> Vec<Piece> {
    let mut pieces = Vec::with_capacity(4);
    pieces.extend(apology.map(Piece::Wording));
    pieces.push(Piece::Label);
    if question.note.as_ref().is_some_and(|it| !it.trim().is_empty()) {
        pieces.push(Piece::Note);
    }
    if !question.choices.is_empty() {
        pieces.push(Piece::Choices(match channel(method) {
            Channel::Voice => ChoiceStyle::Spoken,
            Channel::Sms | Channel::Email => ChoiceStyle::OneALine,
        }));
    }
    pieces
}

fn ended(occasion: &Occasion, method: DeliveryMethod) -> Result<Words, Finding> {
    if let Some(id) = setting::ended_wording() {
        let Some((id, language)) = found(&id, occasion) else {
            let sentence = ["the project has no wording `", &id, "` for the end of a survey"].concat();
            return Err(NO_ENDING.finding(sentence, "setting.ended-wording"));
        };
        return Ok(words(vec![Piece::Wording(id)], language));
    }
    let at_the_end = Occasion { purpose: Purpose::Acknowledgement, wording: None, ..occasion.clone() };
    for tag in tags(occasion) {
        if let Some(ending) = part(Part::Whole, &at_the_end, method, &tag) {
            return Ok(words(vec![Piece::Wording(ending.id)], ending.language));
        }
    }
    Err(NO_ENDING.finding("the project has no wording for the end of a survey", "wordings"))
}

/// A wording in the best language that it exists in, approved ones first.
fn found(id: &str, occasion: &Occasion) -> Option<(String, Language)> {
    let all: Vec<_> = tags(occasion).filter_map(|tag| wordings::find(id, &tag)).collect();
    let best = all.iter().find(|it| wording::is_approved(it)).or(all.first())?;
    Some((best.id.clone(), best.language.clone()))
}

/// The tags to try, the best first.
fn tags(occasion: &Occasion) -> impl Iterator<Item = Language> {
    language::wanted(occasion).into_iter().flatten().flat_map(|it| {
        let primary = language::primary(&it);
        let primary = (primary != it).then(|| primary.to_owned());
        [Some(it), primary].into_iter().flatten()
    })
}

/// The language of the questions.
fn spoken(occasion: &Occasion) -> Language {
    tags(occasion).next().unwrap_or_else(|| occasion.project.language.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{Answers, invitation, wording};
    use consentry_guest::DeliveryMethod::{SmsConversation, VoiceCall};
    use consentry_guest::{Choice, Misread, Necessity, QuestionKind, Value, Wording, host};

    fn question(note: Option<&str>, choices: &[&str]) -> Question {
        Question {
            field: "pain".into(),
            kind: QuestionKind::Choice,
            label: "How is your pain?".into(),
            note: note.map(Into::into),
            necessity: Necessity::Required,
            choices: choices
                .iter()
                .enumerate()
                .map(|(code, label)| Choice { code: code.to_string(), label: (*label).into() })
                .collect(),
        }
    }

    fn told(turn: &Turn, method: DeliveryMethod, answers: &Answers) -> Result<Vec<Piece>, String> {
        let occasion = Occasion { purpose: Purpose::Dialogue, ..invitation() };
        host::answering(answers, || ask(&occasion, method, turn)).map(|it| it.pieces).map_err(|it| it.rule)
    }

    #[test]
    fn a_question_is_what_its_instrument_says() {
        let silent = Answers::default();
        let rows = Piece::Choices(ChoiceStyle::OneALine);
        let spoken = Piece::Choices(ChoiceStyle::Spoken);
        for (question, method, expected) in [
            (question(None, &[]), SmsConversation, vec![Piece::Label]),
            (question(Some(" "), &[]), SmsConversation, vec![Piece::Label]),
            (question(Some("0 to 10"), &[]), SmsConversation, vec![Piece::Label, Piece::Note]),
            (question(None, &["no", "yes"]), SmsConversation, vec![Piece::Label, rows]),
            (question(None, &["no", "yes"]), VoiceCall, vec![Piece::Label, spoken]),
        ] {
            let turn = Turn::Question(question.clone());
            assert_eq!(told(&turn, method, &silent).unwrap(), expected, "{question:?}");
            assert_eq!(told(&Turn::Repeat(question), method, &silent).unwrap(), expected);
        }
    }

    #[test]
    fn a_reply_that_was_not_taken_is_said_so() {
        let again = || Turn::Again((question(None, &[]), Misread::NotUnderstood));
        assert_eq!(told(&again(), SmsConversation, &Answers::default()).unwrap(), [Piece::Label]);
        let answers = Answers {
            wordings: vec![wording("sorry", "en", Part::Whole, "That was not understood.")],
            ..Answers::default()
        }
        .with("misread-wording", Value::Text("sorry".into()));
        let expected = [Piece::Wording("sorry".into()), Piece::Label];
        assert_eq!(told(&again(), SmsConversation, &answers).unwrap(), expected);
    }

    #[test]
    fn the_end_is_a_wording() {
        let ending = Wording {
            purposes: vec![Purpose::Acknowledgement],
            ..wording("thanks", "en", Part::Whole, "Thank you.")
        };
        let general = wording("survey", "en", Part::Whole, "Your survey is ready.");
        for (wordings, setting, expected) in [
            (vec![general.clone(), ending.clone()], None, Ok("thanks")),
            (vec![general.clone()], None, Err("no-ending")),
            (vec![ending, general.clone()], Some("survey"), Ok("survey")),
            (vec![general], Some("bye"), Err("no-ending")),
        ] {
            let mut answers = Answers { wordings, ..Answers::default() };
            if let Some(id) = setting {
                answers = answers.with("ended-wording", Value::Text(id.into()));
            }
            let expected = expected.map(|it| vec![Piece::Wording(it.into())]).map_err(str::to_owned);
            assert_eq!(told(&Turn::Ended, SmsConversation, &answers), expected, "{setting:?}");
        }
    }
}
