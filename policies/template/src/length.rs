//! A text stays short.
//!
//! Each segment is charged, and long texts arrive in pieces. An approved text is never cut to fit: a
//! shorter wording is chosen where the project has one, otherwise the message is held back and says how
//! long it would have been.

use crate::setting;
use consentry_guest::rule::Rule;
use consentry_guest::{Finding, Piece, host::wordings};

/// Too many segments.
pub const TOO_LONG: Rule = Rule {
    id: "too-long",
    sentence: "A text is not longer than the operator allows, and an approved text is never cut.",
    citation: Some("house rule: setting `max-segments`"),
};

/// Whether the pieces fit, once the host has filled and joined them.
pub fn fits(pieces: &[Piece], language: &str) -> Result<(), Finding> {
    let most = setting::max_segments();
    let segments = wordings::measure(pieces, language).segments;
    if segments <= most {
        return Ok(());
    }
    let sentence = [
        "the text would take ",
        &segments.to_string(),
        " segments, and the project allows ",
        &most.to_string(),
    ];
    Err(TOO_LONG.finding(sentence.concat(), "wordings.measure"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::Answers;
    use consentry_guest::{Value, host};

    #[test]
    fn the_limit_is_inclusive() {
        for (segments, most, expected) in
            [(1, None, true), (3, None, true), (4, None, false), (4, Some(4.0), true)]
        {
            let answers = Answers { segments: vec![(String::new(), segments)], ..Answers::default() };
            let answers = match most {
                Some(most) => answers.with("max-segments", Value::Number(most)),
                None => answers,
            };
            let fits = host::answering(&answers, || fits(&[Piece::Label], "en"));
            assert_eq!(fits.is_ok(), expected, "{segments} of {most:?}");
            if let Err(finding) = fits {
                assert!(finding.sentence.contains("4 segments"), "{}", finding.sentence);
            }
        }
    }
}
