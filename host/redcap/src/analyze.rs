//! Why a survey cannot, or cannot wholly, be asked by text message or by telephone.
//!
//! What a survey passes over without a word, such as a calculated field, is no obstacle. What a
//! participant could not answer, or would not understand, is one, with a sentence for the staff.

use crate::project::{Field, FieldKind, Project};

/// What stands in the way of a survey, by medium. Empty lists mean that nothing does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Analysis {
    pub sms: Vec<Obstacle>,
    pub voice: Vec<Obstacle>,
}

/// One reason why a survey, or one question of it, cannot be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    /// None if it is the survey as a whole.
    pub field: Option<String>,
    /// A lower-case fragment.
    pub sentence: String,
    /// What to do about it, as a fragment.
    pub help: String,
}

/// Looks at a survey for what cannot be asked as a text message conversation or on the telephone.
#[must_use]
pub fn analyze(project: &Project, instrument: &str) -> Analysis {
    let mut analysis = Analysis::default();
    for (sentence, help) in of_the_whole(project, instrument) {
        let obstacle = Obstacle { field: None, sentence, help: help.to_owned() };
        analysis.sms.push(obstacle.clone());
        analysis.voice.push(obstacle);
    }
    for field in asked(project, instrument) {
        let obstacle = |(sentence, help): (String, &str)| Obstacle {
            field: Some(field.name.clone()),
            sentence,
            help: help.to_owned(),
        };
        let both = of_any_medium(field);
        analysis.sms.extend(both.iter().cloned().chain(of_sms(field)).map(obstacle));
        analysis.voice.extend(both.into_iter().chain(of_voice(field)).map(obstacle));
    }
    analysis
}

/// The most choices that still can be listed in a message, or waited for on the telephone.
pub const MOST_CHOICES: usize = 40;
/// The most signs of a code that a participant can be asked to type.
pub const LONGEST_CODE: usize = 10;

/// A sentence and its help.
type Reason = (String, &'static str);

fn of_the_whole(project: &Project, instrument: &str) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if project.instrument(instrument).is_none() {
        reasons.push((
            format!("`{instrument}` is no instrument of the project"),
            "check the name: it is the unique form name, not its label",
        ));
        return reasons;
    }
    match project.survey(instrument) {
        None => reasons.push((
            format!("`{instrument}` is not a survey"),
            "enable the instrument as a survey in REDCap's Online Designer",
        )),
        Some(survey) if !survey.enabled => reasons.push((
            format!("the survey `{instrument}` is offline"),
            "set the survey status to active in its survey settings",
        )),
        Some(_) => {}
    }
    if project.is_adaptive(instrument) {
        reasons.push((
            format!("`{instrument}` seems to be an adaptive test, whose item bank is not in the project"),
            "send a link to the survey, or use the short form of the instrument",
        ));
    }
    if asked(project, instrument).all(|field| field.kind == FieldKind::Descriptive) {
        reasons.push((format!("`{instrument}` asks nothing"), "show at least one field on the survey page"));
    }
    reasons
}

/// The fields a survey speaks about. The record's id is not asked of a participant, and what an
/// `@IF` hides depends on the record, so it counts as asked.
fn asked<'a>(project: &'a Project, instrument: &'a str) -> impl Iterator<Item = &'a Field> {
    project.fields_of(instrument).filter(|field| field.name != project.record_id_field && !field.is_silent())
}

fn of_any_medium(field: &Field) -> Vec<Reason> {
    let name = &field.name;
    let mut reasons = Vec::new();
    match field.kind {
        FieldKind::File => reasons.push((
            format!("`{name}` takes a file"),
            "hide it with `@HIDDEN-SURVEY`, or send a link to the survey",
        )),
        FieldKind::Signature => reasons.push((
            format!("`{name}` takes a signature"),
            "hide it with `@HIDDEN-SURVEY`, or send a link to the survey",
        )),
        FieldKind::Sql => reasons.push((
            format!("the choices of `{name}` come from a query that only REDCap can make"),
            "make it a drop-down with choices of its own",
        )),
        _ => {}
    }
    // A picture alone says nothing as text.
    if field.label.trim().is_empty() {
        reasons.push((format!("`{name}` has no text"), "write the question into the field's label"));
    }
    if field.matrix_ranking {
        reasons.push((
            format!("`{name}` is part of a ranking, where no answer may be given twice"),
            "switch the ranking of the matrix off, or send a link to the survey",
        ));
    }
    if takes_choices(field.kind) {
        if field.choices.is_empty() {
            reasons.push((format!("`{name}` has no choices"), "give the field choices"));
        }
        if field.choices.len() > MOST_CHOICES {
            reasons.push((
                format!(
                    "`{name}` has {} choices, more than the {MOST_CHOICES} that fit",
                    field.choices.len()
                ),
                "ask in two steps, or send a link to the survey",
            ));
        }
        if field.choices.iter().any(|choice| choice.label.trim().is_empty()) {
            reasons.push((format!("a choice of `{name}` has no text"), "give every choice a label"));
        }
    }
    reasons
}

fn takes_choices(kind: FieldKind) -> bool {
    matches!(
        kind,
        FieldKind::Radio
            | FieldKind::Dropdown
            | FieldKind::Checkbox
            | FieldKind::YesNo
            | FieldKind::TrueFalse
    )
}

fn of_sms(field: &Field) -> Option<Reason> {
    if !takes_choices(field.kind) {
        return None;
    }
    let code = field.choices.iter().map(|choice| choice.code.as_str()).find(|code| !is_typed(code))?;
    Some((
        format!("the code `{code}` of `{}` cannot be typed as an answer", field.name),
        "use short codes of letters and digits",
    ))
}

/// Whether a participant can be asked to send a code back.
fn is_typed(code: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    (1..=LONGEST_CODE).contains(&code.len())
        && code.chars().all(plain)
        && code.chars().any(|c| c.is_ascii_alphanumeric())
}

fn of_voice(field: &Field) -> Option<Reason> {
    let name = &field.name;
    if takes_choices(field.kind) {
        let keys = |code: &str| {
            (1..=LONGEST_CODE).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_digit())
        };
        let code = field.choices.iter().map(|choice| choice.code.as_str()).find(|code| !keys(code))?;
        return Some((
            format!("the code `{code}` of `{name}` cannot be pressed on a keypad"),
            "use codes of digits only",
        ));
    }
    let below =
        |bound: &Option<String>| bound.as_deref().is_some_and(|bound| bound.trim_start().starts_with('-'));
    match field.kind {
        FieldKind::Notes => Some((
            format!("`{name}` takes a long text"),
            "hide it with `@HIDDEN-SURVEY`, or ask by text message",
        )),
        FieldKind::Text if !is_keyed(field.validation.as_deref().unwrap_or_default()) => {
            let what = field.validation.as_deref().unwrap_or("free text");
            Some((
                format!("`{name}` takes {what}, which cannot be pressed on a keypad"),
                "give the field a validation by number, date or time, or ask by text message",
            ))
        }
        // A keypad has no minus.
        FieldKind::Text | FieldKind::Slider if below(&field.min) || below(&field.max) => Some((
            format!("`{name}` goes below zero, which cannot be pressed on a keypad"),
            "let the range begin at 0, or ask by text message",
        )),
        _ => None,
    }
}

/// Whether answers of a validation type are made of digits, with at most one sign that `*` can stand
/// for. A fixed layout, as of a date, needs no sign at all.
fn is_keyed(validation: &str) -> bool {
    ["integer", "number", "date_", "datetime_", "time", "phone", "zipcode", "ssn", "mrn_10d", "vmrn"]
        .iter()
        .any(|kind| validation.starts_with(kind))
        || matches!(
            validation,
            "int" | "float" | "postalcode_australia" | "postalcode_french" | "postalcode_germany"
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::odm::tests::small_project;
    use crate::project::{Choice, Survey, parse_choices};

    fn project(fields: Vec<Field>) -> Project {
        let mut project = Project::classic("x");
        project.instruments.push(crate::project::Instrument { name: "s".into(), label: "S".into() });
        project.surveys.push(Survey { instrument: "s".into(), enabled: true, ..Survey::default() });
        project.record_id_field = "record_id".into();
        project.fields.push(Field { name: "record_id".into(), instrument: "s".into(), ..Field::default() });
        for field in fields {
            project.fields.push(Field { instrument: "s".into(), ..field });
        }
        project
    }

    fn field(kind: FieldKind, validation: &str, choices: &str) -> Field {
        let mut all = crate::project::fixed_choices(kind);
        all.extend(parse_choices(choices));
        Field {
            name: "q".into(),
            kind,
            label: "How are you?".into(),
            validation: Some(validation.to_owned()).filter(|validation| !validation.is_empty()),
            choices: all,
            ..Field::default()
        }
    }

    fn sentences(obstacles: &[Obstacle]) -> Vec<&str> {
        assert!(obstacles.iter().all(|obstacle| !obstacle.help.is_empty()));
        obstacles.iter().map(|obstacle| obstacle.sentence.as_str()).collect()
    }

    #[test]
    fn each_kind_of_field_is_judged_by_medium() {
        use FieldKind::{
            Calc, Checkbox, Descriptive, Dropdown, File, Notes, Radio, Signature, Slider, Sql, Text, YesNo,
        };
        let free = "`q` takes free text, which cannot be pressed on a keypad";
        let letter = "the code `a` of `q` cannot be pressed on a keypad";
        for (field, sms, voice) in [
            (field(Text, "", ""), None, Some(free)),
            (field(Text, "email", ""), None, Some("`q` takes email, which cannot be pressed on a keypad")),
            (field(Text, "integer", ""), None, None),
            (field(Text, "number_1dp_comma_decimal", ""), None, None),
            (field(Text, "datetime_seconds_dmy", ""), None, None),
            (field(Text, "time", ""), None, None),
            (field(Notes, "", ""), None, Some("`q` takes a long text")),
            (field(YesNo, "", ""), None, None),
            (field(Slider, "", ""), None, None),
            (
                Field { min: Some("-5".into()), ..field(Slider, "", "") },
                None,
                Some("`q` goes below zero, which cannot be pressed on a keypad"),
            ),
            (field(Radio, "", "1, A | 2, B"), None, None),
            (field(Checkbox, "", "1, A | 2, B"), None, None),
            (field(Dropdown, "", "a, A | b, B"), None, Some(letter)),
            (field(Radio, "", "-1, A"), None, Some("the code `-1` of `q` cannot be pressed on a keypad")),
            (
                field(Radio, "", "1 a, A"),
                Some("the code `1 a` of `q` cannot be typed as an answer"),
                Some("the code `1 a` of `q` cannot be pressed on a keypad"),
            ),
            (field(Radio, "", ""), Some("`q` has no choices"), Some("`q` has no choices")),
            (field(File, "", ""), Some("`q` takes a file"), Some("`q` takes a file")),
            (field(Signature, "", ""), Some("`q` takes a signature"), Some("`q` takes a signature")),
            (
                field(Sql, "", ""),
                Some("the choices of `q` come from a query that only REDCap can make"),
                Some("the choices of `q` come from a query that only REDCap can make"),
            ),
            (field(Calc, "", ""), Some("`s` asks nothing"), Some("`s` asks nothing")),
            (field(Descriptive, "", ""), Some("`s` asks nothing"), Some("`s` asks nothing")),
        ] {
            let kind = field.kind;
            let analysis = analyze(&project(vec![field]), "s");
            assert_eq!(sentences(&analysis.sms), sms.into_iter().collect::<Vec<_>>(), "{kind:?}");
            assert_eq!(sentences(&analysis.voice), voice.into_iter().collect::<Vec<_>>(), "{kind:?}");
        }
    }

    #[test]
    fn what_is_hidden_is_no_obstacle() {
        for annotation in ["@HIDDEN", "@HIDDEN-SURVEY", "@CALCTEXT(1)", "@CALCDATE([a], 1, 'd')"] {
            let hidden = Field { annotation: Some(annotation.into()), ..field(FieldKind::File, "", "") };
            let shown = Field { name: "shown".into(), ..field(FieldKind::YesNo, "", "") };
            assert_eq!(analyze(&project(vec![hidden, shown]), "s"), Analysis::default());
        }
        let perhaps =
            Field { annotation: Some("@IF([a], '@HIDDEN', '')".into()), ..field(FieldKind::File, "", "") };
        assert_eq!(analyze(&project(vec![perhaps]), "s").sms.len(), 1);
    }

    #[test]
    fn texts_and_choices_must_be_there_and_fit() {
        let mut many = field(FieldKind::Radio, "", "");
        many.choices = (1..=41).map(|code| Choice { code: code.to_string(), label: "x".into() }).collect();
        let sentence = "`q` has 41 choices, more than the 40 that fit";
        assert_eq!(sentences(&analyze(&project(vec![many]), "s").sms), [sentence]);
        let mut mute = field(FieldKind::YesNo, "", "");
        mute.label.clear();
        assert_eq!(sentences(&analyze(&project(vec![mute]), "s").voice), ["`q` has no text"]);
        let ranked = Field { matrix_ranking: true, ..field(FieldKind::Radio, "", "1, A") };
        let sentence = "`q` is part of a ranking, where no answer may be given twice";
        assert_eq!(sentences(&analyze(&project(vec![ranked]), "s").sms), [sentence]);
    }

    #[test]
    fn a_survey_must_be_there_and_take_answers() {
        let mut project = project(vec![field(FieldKind::YesNo, "", "")]);
        assert_eq!(analyze(&project, "s"), Analysis::default());
        project.surveys[0].enabled = false;
        assert_eq!(sentences(&analyze(&project, "s").sms), ["the survey `s` is offline"]);
        project.surveys.clear();
        assert_eq!(sentences(&analyze(&project, "s").voice), ["`s` is not a survey"]);
        assert_eq!(sentences(&analyze(&project, "t").voice), ["`t` is no instrument of the project"]);
    }

    #[test]
    fn an_adaptive_test_cannot_be_asked() {
        let named = |name: &str, field: Field| Field { name: name.into(), ..field };
        let project = project(vec![
            field(FieldKind::Radio, "", "1, A | 2, B"),
            named("pain_tscore", field(FieldKind::Text, "number", "")),
            named("pain_std_error", field(FieldKind::Text, "number", "")),
        ]);
        let sentence = "`s` seems to be an adaptive test, whose item bank is not in the project";
        assert_eq!(sentences(&analyze(&project, "s").sms), [sentence]);
    }

    #[test]
    fn the_small_project_can_be_asked_by_text_and_not_wholly_by_telephone() {
        let project = small_project();
        let analysis = analyze(&project, "entry");
        assert_eq!(analysis.sms, []);
        let fields: Vec<_> = analysis.voice.iter().filter_map(|it| it.field.as_deref()).collect();
        assert_eq!(fields, ["first_name", "email", "symptoms"]);
    }
}
