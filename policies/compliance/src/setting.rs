//! The settings of this policy.

use crate::quiet_hours::Hours;
use consentry_guest::host::settings;
use consentry_guest::{Problem, Scope, Setting, SettingKind, Value};

/// Every setting that this policy understands.
pub fn declared() -> Vec<Setting> {
    let setting =
        |name: &str, kind, doc: &str, default| Setting { name: name.into(), kind, doc: doc.into(), default };
    let text = |it: &str| Some(Value::Text(it.into()));
    let none = || Some(Value::Texts(Vec::new()));
    vec![
        setting(
            "consent-expression",
            SettingKind::Text,
            "A condition in REDCap's logic language that must be true for a participant to be contacted.",
            None,
        ),
        setting(
            "list-consent",
            SettingKind::Text,
            "Where the evidence is that the people of a public-survey list agreed; without it their messages are held.",
            None,
        ),
        setting(
            "identifiers-allowed",
            SettingKind::Texts,
            "The identifier fields that may fill a message, for example `first_name`.",
            none(),
        ),
        setting("forbidden-words", SettingKind::Texts, "Words and phrases that hold a message back.", none()),
        setting(
            "link-hosts",
            SettingKind::Texts,
            "The hosts that links may lead to, with everything below them; empty for any but public shorteners.",
            none(),
        ),
        setting(
            "quiet-hours",
            SettingKind::Truth,
            "Whether texts and calls to participants wait for the daytime.",
            Some(Value::Truth(true)),
        ),
        setting("quiet-until", SettingKind::Text, "When the daytime begins, as HH:MM.", text("08:00")),
        setting("quiet-from", SettingKind::Text, "When the daytime ends, as HH:MM.", text("21:00")),
        setting(
            "max-per-day",
            SettingKind::Number,
            "How many texts and calls a participant gets in a day.",
            Some(Value::Number(3.0)),
        ),
        setting(
            "max-per-week",
            SettingKind::Number,
            "How many texts and calls a participant gets in a week.",
            Some(Value::Number(10.0)),
        ),
        setting(
            "stop-words",
            SettingKind::Texts,
            "More words and phrases that are an opt-out when they are the whole message.",
            none(),
        ),
        setting(
            "stop-scope",
            SettingKind::Text,
            "How far an opt-out reaches: `study` for this project, `institution` for every project.",
            text("study"),
        ),
    ]
}

/// What is wrong with the settings that the operator gave.
pub fn problems() -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut problem = |setting: &str, item: Option<usize>, sentence: &str, help: &str| {
        problems.push(Problem {
            setting: setting.into(),
            item: item.and_then(|it| u32::try_from(it).ok()),
            sentence: sentence.into(),
            help: Some(help.into()),
        });
    };
    for name in ["consent-expression", "list-consent"] {
        if settings::text(name).is_some_and(|it| it.trim().is_empty()) {
            problem(name, None, "empty", "leave the setting out when there is nothing to say");
        }
    }
    for name in ["forbidden-words", "stop-words", "identifiers-allowed"] {
        for (at, word) in settings::texts(name).iter().enumerate() {
            if !word.chars().any(char::is_alphanumeric) {
                problem(name, Some(at), "holds no letter and no digit", "write a word, or remove the item");
            }
        }
    }
    for (at, host) in settings::texts("link-hosts").iter().enumerate() {
        if !is_host(host) {
            problem(
                "link-hosts",
                Some(at),
                "not the name of a host",
                "write only the host, for example `redcap.example.edu`, without `https://` and path",
            );
        }
    }
    let times = [("quiet-until", "08:00"), ("quiet-from", "21:00")];
    let minutes = times.map(|(name, default)| minute(&text_or(name, default)));
    for ((name, default), minute) in times.iter().zip(minutes) {
        if minute.is_none() {
            let help = ["write hours and minutes, for example \"", default, "\""].concat();
            problem(name, None, "not a time of day", &help);
        }
    }
    if let [Some(from), Some(until)] = minutes
        && from >= until
    {
        problem(
            "quiet-until",
            None,
            "not before `quiet-from`, so that no time of day is left",
            "the daytime runs from `quiet-until` to `quiet-from`, for example from \"08:00\" to \"21:00\"",
        );
    }
    for (name, default) in [("max-per-day", 3.0), ("max-per-week", 10.0)] {
        let most = settings::number(name).unwrap_or(default);
        if !(1.0..=50.0).contains(&most) || most.fract() != 0.0 {
            problem(name, None, "not a whole number from 1 to 50", "write how many messages are allowed");
        }
    }
    for (at, word) in settings::texts("stop-words").iter().enumerate() {
        let written = crate::words::written(word);
        if ["yes", "no", "start", "help"].contains(&written.trim()) {
            problem(
                "stop-words",
                Some(at),
                "a word that people answer with",
                "\"yes\", \"no\", START and HELP mean something else; choose another word",
            );
        }
    }
    if !["study", "institution"].contains(&text_or("stop-scope", "study").as_str()) {
        problem("stop-scope", None, "neither of the two scopes", "write \"study\" or \"institution\"");
    }
    problems
}

/// The study's own condition.
pub fn consent_expression() -> Option<String> {
    settings::text("consent-expression").filter(|it| !it.trim().is_empty())
}

/// Where the consent of a public-survey list is documented.
pub fn list_consent() -> Option<String> {
    settings::text("list-consent").filter(|it| !it.trim().is_empty())
}

/// The identifier fields that may fill a message.
pub fn identifiers_allowed() -> Vec<String> {
    settings::texts("identifiers-allowed")
}

/// Words that hold a message back.
pub fn forbidden_words() -> Vec<String> {
    settings::texts("forbidden-words")
}

/// The institution's hosts.
pub fn link_hosts() -> Vec<String> {
    settings::texts("link-hosts")
}

/// Whether there are quiet hours.
pub fn quiet_hours() -> bool {
    settings::truth("quiet-hours").unwrap_or(true)
}

/// The daytime; none when the settings leave none.
pub fn hours() -> Option<Hours> {
    let from = minute(&text_or("quiet-until", "08:00"))?;
    let until = minute(&text_or("quiet-from", "21:00"))?;
    (from < until).then_some(Hours { from, until })
}

/// How many messages a day.
pub fn max_per_day() -> u32 {
    whole(settings::number("max-per-day"), 3)
}

/// How many messages a week.
pub fn max_per_week() -> u32 {
    whole(settings::number("max-per-week"), 10)
}

/// More words that are an opt-out.
pub fn stop_words() -> Vec<String> {
    settings::texts("stop-words")
}

/// How far an opt-out reaches. What cannot be read reaches farthest.
pub fn stop_scope() -> Scope {
    match text_or("stop-scope", "study").as_str() {
        "study" => Scope::Study,
        _ => Scope::Institution,
    }
}

fn text_or(name: &str, default: &str) -> String {
    settings::text(name).unwrap_or_else(|| default.into())
}

/// The minute of the day that "HH:MM" names; "24:00" is its end.
fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.trim().split_once(':')?;
    let digits = |it: &str| (1..=2).contains(&it.len()) && it.bytes().all(|it| it.is_ascii_digit());
    if !digits(hour) || minute.len() != 2 || !digits(minute) {
        return None;
    }
    let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
    (minute < 60 && hour * 60 + minute <= 24 * 60).then_some(hour * 60 + minute)
}

fn whole(value: Option<f64>, default: u32) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates, and the bounds are set right after"
    )]
    value.map_or(default, |it| it as u32).clamp(1, 50)
}

fn is_host(text: &str) -> bool {
    text.contains('.')
        && text
            .split('.')
            .all(|it| !it.is_empty() && it.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::Answers;
    use consentry_guest::host;

    #[test]
    fn the_defaults_are_sound_and_what_the_code_falls_back_to() {
        let silent = Answers::default();
        assert!(host::answering(&silent, problems).is_empty());
        let mut given = Answers::default();
        for setting in declared() {
            if let Some(value) = setting.default {
                given = given.with(&setting.name, value);
            }
        }
        let read = || (hours(), quiet_hours(), max_per_day(), max_per_week(), stop_scope(), problems().len());
        assert_eq!(host::answering(&silent, read), host::answering(&given, read));
    }

    #[test]
    fn a_wrong_setting_is_explained() {
        let texts = |it: &[&str]| Value::Texts(it.iter().map(|it| (*it).to_owned()).collect());
        for (name, value, item) in [
            ("consent-expression", Value::Text(" ".into()), None),
            ("quiet-until", Value::Text("8am".into()), None),
            ("quiet-until", Value::Text("22:00".into()), None),
            ("quiet-from", Value::Text("24:01".into()), None),
            ("max-per-day", Value::Number(0.0), None),
            ("max-per-week", Value::Number(51.0), None),
            ("max-per-week", Value::Number(f64::NAN), None),
            ("link-hosts", texts(&["uni.edu", "https://uni.edu"]), Some(1)),
            ("forbidden-words", texts(&["!"]), Some(0)),
            ("stop-words", texts(&["halt", "No."]), Some(1)),
            ("stop-scope", Value::Text("world".into()), None),
        ] {
            let answers = Answers::default().with(name, value.clone());
            let problems = host::answering(&answers, problems);
            assert_eq!(problems.len(), 1, "{name} {value:?} {problems:?}");
            assert_eq!((problems[0].setting.as_str(), problems[0].item), (name, item));
            assert!(problems[0].help.is_some());
        }
    }
}
