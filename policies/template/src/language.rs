//! A participant is written to in the language that they prefer.
//!
//! A wording in "es" serves a participant who prefers "es-US". Only when there is none in the preferred
//! language at all does the project's own language serve; a wording that merely waits for approval is
//! better held until it is approved than replaced by one that the participant may not understand.

use consentry_guest::host::log;
use consentry_guest::rule::Rule;
use consentry_guest::{Language, Occasion, Recipient};

/// The project's language, for lack of a wording in the preferred one.
pub const FALLBACK: Rule = Rule {
    id: "language-fallback",
    sentence: "A participant is written to in their preferred language, and in the project's language only where no wording exists in theirs.",
    citation: Some("45 CFR 46.116(a)(3): language understandable to the subject"),
};

/// The languages to try, the best first: each a tag and what it falls back to.
pub fn wanted(occasion: &Occasion) -> [Option<Language>; 2] {
    let project = occasion.project.language.clone();
    let preferred = match occasion.recipient {
        Recipient::Participant => occasion.participant.as_ref().and_then(|it| it.language.clone()),
        Recipient::Staff(_) | Recipient::Number(_) => None,
    };
    match preferred {
        Some(preferred) if !preferred.eq_ignore_ascii_case(&project) => [Some(preferred), Some(project)],
        Some(_) | None => [Some(project), None],
    }
}

/// How well a wording's language serves a wanted one: 0 is exact, 1 is the same language elsewhere.
pub fn distance(wording: &str, wanted: &str) -> Option<u8> {
    if wording.eq_ignore_ascii_case(wanted) {
        Some(0)
    } else if wording.eq_ignore_ascii_case(primary(wanted)) {
        Some(1)
    } else {
        None
    }
}

/// The primary subtag: "es" of "es-US".
pub fn primary(tag: &str) -> &str {
    tag.split(['-', '_']).next().unwrap_or(tag)
}

/// Notes a fallback for the policy's author; the words themselves tell their language.
pub fn note(occasion: &Occasion, language: &str) {
    if let [Some(preferred), _] = wanted(occasion)
        && !same(&preferred, language)
    {
        log::debug("language-fallback: there is no wording in the preferred language");
    }
}

/// Whether two tags are of the same language.
pub(crate) fn same(one: &str, other: &str) -> bool {
    primary(one).eq_ignore_ascii_case(primary(other))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::invitation;

    #[test]
    fn the_preferred_language_leads() {
        for (preferred, expected) in [
            (None, &["en"][..]),
            (Some("en"), &["en"]),
            (Some("en-US"), &["en-US", "en"]),
            (Some("es-US"), &["es-US", "en"]),
        ] {
            let mut occasion = invitation();
            occasion.participant.as_mut().unwrap().language = preferred.map(Into::into);
            assert_eq!(wanted(&occasion).into_iter().flatten().collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn a_wording_serves_its_own_language() {
        for (wording, wanted, expected) in [
            ("es-US", "es-US", Some(0)),
            ("ES-us", "es-US", Some(0)),
            ("es", "es-US", Some(1)),
            ("es-MX", "es-US", None),
            ("es-US", "es", None),
            ("en", "es", None),
        ] {
            assert_eq!(distance(wording, wanted), expected, "{wording} for {wanted}");
        }
    }
}
