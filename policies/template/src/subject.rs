//! The subject of an e-mail is a wording too.

use crate::setting;
use consentry_guest::rule::Rule;
use consentry_guest::{DeliveryMethod, Finding, Piece, host::wordings};

/// No subject in this language.
pub const NO_SUBJECT: Rule = Rule {
    id: "no-subject",
    sentence: "The subject of an e-mail is a wording of the project, in the language of the message.",
    citation: Some("45 CFR 46.109(a): the IRB approves what participants are told"),
};

/// The subject for a method and a language; none for what is no e-mail, or when no wording is set for it.
pub fn piece(method: DeliveryMethod, language: &str) -> Result<Option<Piece>, Finding> {
    if method != DeliveryMethod::Email {
        return Ok(None);
    }
    let Some(id) = setting::subject_wording() else { return Ok(None) };
    if wordings::find(&id, language).is_none() {
        let sentence = ["the project has no subject `", &id, "` in `", language, "`"].concat();
        return Err(NO_SUBJECT.finding(sentence, "setting.subject-wording"));
    }
    Ok(Some(Piece::Wording(id)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{Answers, wording};
    use consentry_guest::DeliveryMethod::{Email, SmsLink};
    use consentry_guest::{Part, Value, host};

    #[test]
    fn only_an_email_has_a_subject() {
        let set = Some(Value::Text("subject".into()));
        for (method, language, value, expected) in [
            (Email, "en", &set, Ok(true)),
            (Email, "es", &set, Err("no-subject")),
            (SmsLink, "es", &set, Ok(false)),
            (Email, "en", &None, Ok(false)),
        ] {
            let answers = Answers {
                wordings: vec![wording("subject", "en", Part::Whole, "Your survey")],
                settings: value.iter().map(|it| ("subject-wording".into(), it.clone())).collect(),
                ..Answers::default()
            };
            let piece = host::answering(&answers, || piece(method, language));
            let told = piece.as_ref().map(Option::is_some).map_err(|it| it.rule.as_str());
            assert_eq!(told, expected, "{method:?} {language}");
        }
    }
}
