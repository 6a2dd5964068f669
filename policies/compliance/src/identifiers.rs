//! No identifiers in an unprotected message.
//!
//! A text is readable on a locked screen and on every server between. Fields that the data dictionary
//! marks as identifiers fill a message only where the operator allows the field, and the finished body is
//! read for what looks like one all the same: a social security number, a medical record number, a date
//! of birth, somebody's mailbox. Words that would give the study away can be forbidden. The survey link
//! is not read: its code is random.

use crate::opinion::Opinions;
use crate::{links, setting};
use consentry_guest::rule::Rule;
use consentry_guest::{Draft, Sensitivity};

/// An identifier field.
pub const FIELD: Rule = Rule {
    id: "identifier",
    sentence: "A field that the data dictionary marks as an identifier fills a message only where the operator allows it.",
    citation: Some("45 CFR 164.502(b): minimum necessary"),
};

/// Something that looks like an identifier.
pub const PATTERN: Rule = Rule {
    id: "identifier-pattern",
    sentence: "A message that seems to hold a social security number, a record number, a date of birth or a mailbox waits for a person.",
    citation: Some("45 CFR 164.514(b)(2)"),
};

/// A forbidden word.
pub const FORBIDDEN: Rule = Rule {
    id: "forbidden-word",
    sentence: "A message with a word that the operator forbade waits for a person.",
    citation: Some("house rule: setting `forbidden-words`"),
};

/// Reviews what a draft gives away.
pub fn review(draft: &Draft, opinions: &mut Opinions) {
    let allowed = setting::identifiers_allowed();
    for filling in &draft.fillings {
        if filling.sensitivity == Sensitivity::Identifier && !allowed.contains(&filling.field) {
            let sentence = ["the identifier field `", &filling.field, "` fills the message"].concat();
            opinions.hold(FIELD.finding(sentence, "draft.fillings"));
        }
    }

    let body = without_links(&draft.body, &draft.links);
    let words: Vec<String> = body
        .split(|it: char| !it.is_alphanumeric())
        .filter(|it| !it.is_empty())
        .map(str::to_lowercase)
        .collect();
    let patterns = [
        (has_social_security_number(&body), "what looks like a social security number"),
        (has_record_number(&words), "what looks like a medical record number"),
        (has_date_of_birth(&words), "what looks like a date of birth"),
        (has_mailbox(&body, &setting::link_hosts()), "what looks like an e-mail address"),
    ];
    for (found, what) in patterns {
        if found {
            let sentence = ["the message holds ", what].concat();
            opinions.hold(PATTERN.finding(sentence, "draft.body"));
        }
    }
    let forbidden = setting::forbidden_words();
    if forbidden.iter().any(|it| has_phrase(&words, it)) {
        let sentence = "the message holds a word that the operator forbade";
        opinions.hold(FORBIDDEN.finding(sentence, "setting.forbidden-words"));
    }
}

/// The body without its links, so that nothing in them is taken for words.
fn without_links(body: &str, links: &[String]) -> String {
    let mut rest = body.to_owned();
    for link in links.iter().filter(|it| !it.is_empty()) {
        rest = rest.replace(link.as_str(), " ");
    }
    rest.split_whitespace().filter(|it| !it.contains("://")).collect::<Vec<_>>().join(" ")
}

/// Three, two and four digits with the same separator between.
fn has_social_security_number(body: &str) -> bool {
    let bytes = body.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let digits = |mut range: std::ops::Range<usize>| range.all(digit);
    (0..bytes.len()).any(|at| {
        let separator = bytes.get(at + 3).copied();
        digits(at..at + 3)
            && matches!(separator, Some(b'-' | b' ' | b'.'))
            && digits(at + 4..at + 6)
            && bytes.get(at + 6).copied() == separator
            && digits(at + 7..at + 11)
            && !digit(at + 11)
            && (at == 0 || !digit(at - 1))
    })
}

/// "MRN 1234567", "medical record number: 1234567".
fn has_record_number(words: &[String]) -> bool {
    words.iter().enumerate().any(|(at, word)| {
        let named = word == "mrn" || (word == "record" && at > 0 && words[at - 1] == "medical");
        let glued = word.strip_prefix("mrn").is_some_and(is_number);
        glued || (named && words[at + 1..].iter().take(3).any(|it| is_number(it)))
    })
}

fn is_number(word: &str) -> bool {
    word.len() >= 4 && word.bytes().all(|it| it.is_ascii_digit())
}

/// A word for birth, and soon after it a day, a month and a year.
fn has_date_of_birth(words: &[String]) -> bool {
    const BIRTH: [&str; 14] = [
        "born",
        "dob",
        "birth",
        "birthdate",
        "birthday",
        "nacimiento",
        "nacida",
        "nacido",
        "naissance",
        "née",
        "geboren",
        "geburtsdatum",
        "nascimento",
        "nascita",
    ];
    words.iter().enumerate().any(|(at, word)| {
        BIRTH.contains(&word.as_str()) && {
            let after = &words[at + 1..words.len().min(at + 8)];
            let year = |it: &String| {
                it.len() == 4 && is_number(it) && (it.starts_with("19") || it.starts_with("20"))
            };
            let short = |it: &String| it.len() <= 2 && it.bytes().all(|it| it.is_ascii_digit());
            let compact = |it: &String| it.len() == 8 && is_number(it);
            after.iter().any(compact)
                || after.iter().any(year) && after.iter().any(short)
                || after.windows(3).any(|it| it.iter().all(short))
        }
    })
}

/// A mailbox that is not at one of the institution's own hosts.
fn has_mailbox(body: &str, own: &[String]) -> bool {
    body.split(|it: char| it.is_whitespace() || matches!(it, '<' | '>' | '(' | ')' | ',' | ';' | '"')).any(
        |word| {
            let word = word.trim_matches(|it: char| !it.is_alphanumeric());
            let Some((name, host)) = word.rsplit_once('@') else { return false };
            let dotted = host.split('.').count() > 1 && host.split('.').all(|it| !it.is_empty());
            !name.is_empty() && dotted && !links::is_under(host, own)
        },
    )
}

/// Whether a phrase occurs as whole words.
fn has_phrase(words: &[String], phrase: &str) -> bool {
    let phrase: Vec<String> = phrase
        .split(|it: char| !it.is_alphanumeric())
        .filter(|it| !it.is_empty())
        .map(str::to_lowercase)
        .collect();
    !phrase.is_empty() && words.windows(phrase.len()).any(|it| it == phrase)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{Answers, draft, verdict};
    use consentry_guest::{Filling, Value, host};

    fn told(draft: &Draft, answers: &Answers) -> String {
        verdict(|opinions| host::answering(answers, || review(draft, opinions)))
    }

    #[test]
    fn identifier_fields_need_leave() {
        let filled = |sensitivity| Draft {
            fillings: vec![Filling { field: "first_name".into(), sensitivity }],
            ..draft()
        };
        let leave = Answers::default().with("identifiers-allowed", Value::Texts(vec!["first_name".into()]));
        let silent = Answers::default();
        assert_eq!(told(&filled(Sensitivity::Plain), &silent), "allow");
        assert_eq!(told(&filled(Sensitivity::Identifier), &silent), "hold identifier");
        assert_eq!(told(&filled(Sensitivity::Identifier), &leave), "allow");
    }

    #[test]
    fn what_looks_like_an_identifier_is_held() {
        for (body, expected) in [
            ("Your survey is ready.", false),
            ("SSN 078-05-1120", true),
            ("078 05 1120", true),
            ("Call 617-555-0100 with questions.", false),
            ("Call 1-800-555-0100.", false),
            ("Code 1078-05-11203", false),
            ("MRN 00123456", true),
            ("MRN: #00123456", true),
            ("mrn00123456", true),
            ("medical record number 4711471", true),
            ("Bring your medical record to room 12.", false),
            ("Born on 03/04/1961", true),
            ("DOB: 1961-03-04", true),
            ("date of birth 4 March 1961", true),
            ("dob 03.04.61", true),
            ("dob 03041961", true),
            ("Your visit is on 03/04/2026.", false),
            ("What is your date of birth?", false),
            ("How many children were born to you?", false),
            ("Fecha de nacimiento: 4/3/1961", true),
            ("Write to jane.doe@example.com", true),
            ("Write to study@uni.edu.", false),
            ("Meet @ 10.30", false),
            ("Open https://redcap.uni.edu/?s=078-05-1120", false),
            ("Open short.uni.edu/078-05-1120 now", false),
        ] {
            let links = vec!["short.uni.edu/078-05-1120".to_owned()];
            let draft = Draft { body: body.into(), links, ..draft() };
            let answers = Answers::default().with("link-hosts", Value::Texts(vec!["uni.edu".into()]));
            let expected = if expected { "hold identifier-pattern" } else { "allow" };
            assert_eq!(told(&draft, &answers), expected, "{body}");
        }
    }

    #[test]
    fn forbidden_words_are_whole_words() {
        let words = Value::Texts(vec!["HIV".into(), "drug use".into(), " ".into()]);
        let answers = Answers::default().with("forbidden-words", words);
        for (body, expected) in [
            ("Your HIV survey is ready.", "hold forbidden-word"),
            ("your hiv-survey", "hold forbidden-word"),
            ("Drug  use survey", "hold forbidden-word"),
            ("The hive is busy.", "allow"),
            ("Use this drug.", "allow"),
        ] {
            assert_eq!(told(&Draft { body: body.into(), ..draft() }, &answers), expected, "{body}");
        }
    }
}
