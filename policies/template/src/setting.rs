//! The settings of this policy.

use consentry_guest::host::settings;
use consentry_guest::{Problem, Setting, SettingKind, Value};

/// Every setting that this policy understands.
pub fn declared() -> Vec<Setting> {
    let setting =
        |name: &str, kind, doc: &str, default| Setting { name: name.into(), kind, doc: doc.into(), default };
    vec![
        setting(
            "max-segments",
            SettingKind::Number,
            "How many segments a text may have.",
            Some(Value::Number(3.0)),
        ),
        setting(
            "subject-wording",
            SettingKind::Text,
            "The wording that is the subject of every e-mail; none for e-mail without a subject.",
            None,
        ),
        setting(
            "misread-wording",
            SettingKind::Text,
            "The wording that says that a reply was not understood; none for asking again without it.",
            None,
        ),
        setting(
            "ended-wording",
            SettingKind::Text,
            "The wording that ends a survey by text or by voice; none for the project's wording for acknowledgements.",
            None,
        ),
    ]
}

/// What is wrong with the settings that the operator gave.
pub fn problems() -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut problem = |setting: &str, sentence: &str, help: &str| {
        problems.push(Problem {
            setting: setting.into(),
            item: None,
            sentence: sentence.into(),
            help: Some(help.into()),
        });
    };
    let most = settings::number("max-segments").unwrap_or(3.0);
    if !(1.0..=10.0).contains(&most) || most.fract() != 0.0 {
        problem("max-segments", "not a whole number from 1 to 10", "write how many segments a text may have");
    }
    for name in ["subject-wording", "misread-wording", "ended-wording"] {
        if settings::text(name).is_some_and(|it| it.trim().is_empty()) {
            problem(name, "empty", "write the id of a wording, or leave the setting out");
        }
    }
    problems
}

/// How many segments a text may have.
pub fn max_segments() -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates, and the bounds are set right after"
    )]
    settings::number("max-segments").map_or(3, |it| it as u32).clamp(1, 10)
}

/// The subject of every e-mail.
pub fn subject_wording() -> Option<String> {
    id("subject-wording")
}

/// What says that a reply was not understood.
pub fn misread_wording() -> Option<String> {
    id("misread-wording")
}

/// What ends a survey.
pub fn ended_wording() -> Option<String> {
    id("ended-wording")
}

fn id(name: &str) -> Option<String> {
    settings::text(name).filter(|it| !it.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::Answers;
    use consentry_guest::host;

    #[test]
    fn a_wrong_setting_is_explained() {
        for (name, value) in [
            ("max-segments", Value::Number(0.0)),
            ("max-segments", Value::Number(1.5)),
            ("max-segments", Value::Number(f64::INFINITY)),
            ("subject-wording", Value::Text(" ".into())),
            ("ended-wording", Value::Text(String::new())),
        ] {
            let answers = Answers::default().with(name, value.clone());
            let problems = host::answering(&answers, problems);
            assert_eq!(problems.len(), 1, "{name} {value:?}");
            assert_eq!(problems[0].setting, name);
        }
        assert!(host::answering(&Answers::default(), problems).is_empty());
    }
}
