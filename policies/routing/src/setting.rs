//! The settings of this policy.

use consentry_guest::host::settings;
use consentry_guest::{Problem, Setting, SettingKind, Value};

/// Every setting that this policy understands.
pub fn declared() -> Vec<Setting> {
    let setting =
        |name: &str, kind, doc: &str, default| Setting { name: name.into(), kind, doc: doc.into(), default };
    vec![
        setting(
            "sender",
            SettingKind::Text,
            "From which sender messages go; none for the project's own.",
            None,
        ),
        setting(
            "check-line-type",
            SettingKind::Truth,
            "Whether Twilio is asked for the kind of line before an invitation or a reminder goes out by text.",
            Some(Value::Truth(true)),
        ),
        setting(
            "email-after-opt-out",
            SettingKind::Truth,
            "Whether somebody who opted out of texts or calls is written to by e-mail.",
            Some(Value::Truth(false)),
        ),
        setting(
            "retry-minutes",
            SettingKind::Number,
            "After how many minutes a call that nobody took is repeated.",
            Some(Value::Number(60.0)),
        ),
        setting(
            "attempts",
            SettingKind::Number,
            "How many times a call is placed before another way is taken.",
            Some(Value::Number(3.0)),
        ),
        setting(
            "heads-up-wording",
            SettingKind::Text,
            "The wording of a text that announces a call to a mobile phone; none for no such text.",
            None,
        ),
        setting(
            "no-contact-field",
            SettingKind::Text,
            "The REDCap field that is set when a participant has neither phone nor e-mail; none for no write.",
            None,
        ),
        setting(
            "no-contact-value",
            SettingKind::Text,
            "The value that `no-contact-field` is set to.",
            Some(Value::Text("1".into())),
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
    if !(1.0..=10_080.0).contains(&settings::number("retry-minutes").unwrap_or(60.0)) {
        problem("retry-minutes", "not between 1 minute and a week", "write the minutes, for example 60");
    }
    let attempts = settings::number("attempts").unwrap_or(3.0);
    if !(1.0..=10.0).contains(&attempts) || attempts.fract() != 0.0 {
        problem(
            "attempts",
            "not a whole number from 1 to 10",
            "write how many calls to place, for example 3",
        );
    }
    for name in ["sender", "heads-up-wording"] {
        if settings::text(name).is_some_and(|it| it.trim().is_empty()) {
            problem(name, "empty", "write an id, or leave the setting out");
        }
    }
    if let Some(field) = settings::text("no-contact-field") {
        let fits = field.starts_with(|it: char| it.is_ascii_lowercase())
            && field
                .chars()
                .all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || matches!(it, '_' | '(' | ')'));
        if !fits {
            problem(
                "no-contact-field",
                "not the name of a REDCap field",
                "write the variable name as in the data dictionary, for example `cannot_text`",
            );
        }
    }
    problems
}

/// From which sender messages go.
pub fn sender() -> Option<String> {
    settings::text("sender").filter(|it| !it.trim().is_empty())
}

/// Whether Twilio is asked for the kind of line.
pub fn check_line_type() -> bool {
    settings::truth("check-line-type").unwrap_or(true)
}

/// Whether e-mail is used after an opt-out from texts or calls.
pub fn email_after_opt_out() -> bool {
    settings::truth("email-after-opt-out").unwrap_or(false)
}

/// After how long a call is repeated.
pub fn retry_seconds() -> u32 {
    whole(settings::number("retry-minutes"), 60, 10_080) * 60
}

/// How many times a call is placed.
pub fn attempts() -> u32 {
    whole(settings::number("attempts"), 3, 10)
}

/// The wording that announces a call.
pub fn heads_up_wording() -> Option<String> {
    settings::text("heads-up-wording").filter(|it| !it.trim().is_empty())
}

/// The field that marks a participant who cannot be contacted, and its value.
pub fn no_contact() -> Option<(String, String)> {
    let field = settings::text("no-contact-field").filter(|it| !it.trim().is_empty())?;
    Some((field, settings::text("no-contact-value").unwrap_or_else(|| "1".into())))
}

/// A number of a setting, as a whole one within its bounds.
fn whole(value: Option<f64>, default: u32, most: u32) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates, and the bounds are set right after"
    )]
    value.map_or(default, |it| it as u32).clamp(1, most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::Answers;
    use consentry_guest::host;

    #[test]
    fn the_defaults_are_what_the_code_falls_back_to() {
        let silent = host::answering(&Answers::default(), || {
            (check_line_type(), email_after_opt_out(), retry_seconds(), attempts(), problems().len())
        });
        assert_eq!(silent, (true, false, 3600, 3, 0));
        for (name, default) in [
            ("check-line-type", Value::Truth(true)),
            ("email-after-opt-out", Value::Truth(false)),
            ("retry-minutes", Value::Number(60.0)),
            ("attempts", Value::Number(3.0)),
        ] {
            let declared = declared().into_iter().find(|it| it.name == name).unwrap();
            assert_eq!(declared.default, Some(default), "{name}");
        }
    }

    #[test]
    fn a_wrong_setting_is_explained() {
        for (name, value) in [
            ("retry-minutes", Value::Number(0.0)),
            ("retry-minutes", Value::Number(f64::NAN)),
            ("attempts", Value::Number(2.5)),
            ("attempts", Value::Number(-1.0)),
            ("sender", Value::Text(" ".into())),
            ("heads-up-wording", Value::Text(String::new())),
            ("no-contact-field", Value::Text("Cannot Text".into())),
        ] {
            let answers = Answers::default().with(name, value.clone());
            let problems = host::answering(&answers, problems);
            assert_eq!(problems.len(), 1, "{name} {value:?}");
            assert_eq!(problems[0].setting, name);
            assert!(problems[0].help.is_some());
        }
    }
}
