//! What a survey page was filled in with, and whether it will do.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::DateTime;
use redcap::calculate::Calculations;
use redcap::logic::{Context, evaluate, parse};
use redcap::project::{Field, FieldKind, Project};
use redcap::record::{Place, Record, checkbox_column, columns};
use redcap::validate;

use crate::form::Form;

/// Form fields of the page's own. No field of a project has a hyphen in its name.
pub(super) const SHOWN: &str = "shown-questions";
pub(super) fn seen(field: &str) -> String {
    format!("seen-{field}")
}

/// Whether a field has a place on the survey page.
pub(super) fn is_displayed(project: &Project, field: &Field) -> bool {
    field.name != project.record_id_field
        && field.kind != FieldKind::Calc
        && !["@HIDDEN", "@HIDDEN-SURVEY", "@CALCTEXT", "@CALCDATE"].iter().any(|tag| field.has_tag(tag))
}

/// Whether a participant can answer it here.
pub(super) fn is_answerable(project: &Project, field: &Field) -> bool {
    is_displayed(project, field)
        && !matches!(
            field.kind,
            FieldKind::Descriptive | FieldKind::File | FieldKind::Signature | FieldKind::Sql
        )
        && !field.has_tag("@READONLY")
        && !field.has_tag("@READONLY-SURVEY")
}

/// A page as it stands: what is typed, what is shown, and what is to be said about it.
#[derive(Default)]
pub(super) struct Answers {
    /// By column, as typed.
    pub(super) typed: BTreeMap<String, String>,
    pub(super) visible: BTreeSet<String>,
    /// Sentences beside fields, which keep the page from being taken.
    pub(super) troubles: BTreeMap<String, String>,
    /// Among those, the ones that need only be seen.
    pub(super) warnings: BTreeSet<String>,
    /// Questions that the answers have brought up.
    pub(super) new: BTreeSet<String>,
    /// The record as it would be.
    pub(super) record: Record,
}

impl Answers {
    /// A page that is opened: what is stored, in the order people type it.
    pub(super) fn stored(
        project: &Project,
        record: &Record,
        place: &Place,
        instrument: &str,
        now: DateTime,
    ) -> Self {
        let mut typed = BTreeMap::new();
        for field in project.fields_of(instrument) {
            for column in columns(field) {
                if let Some(value) = record.get(&column, place) {
                    typed.insert(column, displayed(field, value));
                }
            }
        }
        let record = record.clone();
        let visible = visible(project, &record, place, instrument, now);
        Self { typed, visible, record, ..Self::default() }
    }

    /// A page that is submitted.
    pub(super) fn submitted(
        project: &Project,
        calculations: &Calculations,
        record: &Record,
        place: &Place,
        instrument: &str,
        now: DateTime,
        form: &Form,
    ) -> Self {
        let mut answers = Self { record: record.clone(), ..Self::default() };
        let answerable: Vec<&Field> =
            project.fields_of(instrument).filter(|field| is_answerable(project, field)).collect();
        let mut judged = BTreeMap::new();
        for field in &answerable {
            for column in columns(field) {
                let typed = form.get(&column).unwrap_or_default().trim().to_owned();
                judged.insert(column.clone(), judge(project, field, &typed, now));
                answers.typed.insert(column, typed);
            }
        }
        answers.settle(project, calculations, place, instrument, now, &judged);

        let shown: Option<BTreeSet<&str>> = form.get(SHOWN).map(|names| names.split_whitespace().collect());
        for field in answerable.iter().filter(|field| answers.visible.contains(&field.name)) {
            let blank = columns(field).iter().all(|column| {
                let typed = answers.typed.get(column).map(String::as_str).unwrap_or_default();
                typed.is_empty() || (field.kind == FieldKind::Checkbox && typed == "0")
            });
            if blank && shown.as_ref().is_some_and(|shown| !shown.contains(field.name.as_str())) {
                answers.new.insert(field.name.clone());
            } else if blank && field.required {
                answers.troubles.insert(field.name.clone(), "Please answer this question.".to_owned());
            }
            let Some(Ok(stored)) = judged.get(&field.name.to_ascii_lowercase()) else {
                if let Some(Err(sentence)) = judged.get(&field.name.to_ascii_lowercase()) {
                    answers.troubles.insert(field.name.clone(), sentence.clone());
                }
                continue;
            };
            let typed = answers.typed.get(&field.name.to_ascii_lowercase()).map(String::as_str);
            if let Some(warning) = &stored.warning
                && form.get(&seen(&field.name)).map(str::trim) != typed
            {
                answers.troubles.insert(field.name.clone(), warning.clone());
                answers.warnings.insert(field.name.clone());
            }
        }
        answers
    }

    /// Whether the page can be taken as it is.
    pub(super) fn will_do(&self) -> bool {
        self.troubles.is_empty() && self.new.is_empty()
    }

    /// Finds what is shown. A hidden question has no answer, and that may hide or show others, so this is
    /// done until nothing changes, or until it is clear that two questions hide each other in turns.
    fn settle(
        &mut self,
        project: &Project,
        calculations: &Calculations,
        place: &Place,
        instrument: &str,
        now: DateTime,
        judged: &BTreeMap<String, Result<validate::Stored, String>>,
    ) {
        const ROUNDS: usize = 10;
        let mut showing: BTreeSet<String> =
            project.fields_of(instrument).map(|field| field.name.clone()).collect();
        for _ in 0..ROUNDS {
            for field in project.fields_of(instrument).filter(|field| is_answerable(project, field)) {
                for column in columns(field) {
                    let value = match judged.get(&column) {
                        Some(Ok(stored)) if showing.contains(&field.name) => stored.value.as_str(),
                        _ => "",
                    };
                    self.record.set(&column, place, value);
                }
            }
            calculations.recalculate(project, &mut self.record, now);
            self.visible = visible(project, &self.record, place, instrument, now);
            if self.visible == showing {
                return;
            }
            showing.clone_from(&self.visible);
        }
    }
}

fn judge(project: &Project, field: &Field, typed: &str, now: DateTime) -> Result<validate::Stored, String> {
    if field.kind == FieldKind::Checkbox {
        return Ok(validate::Stored { value: typed.to_owned(), warning: None });
    }
    let stored = validate::check(field, typed, now.date(), &project.missing_data_codes);
    stored.map_err(|refusal| refusal.sentence)
}

/// The fields whose condition holds. A condition that is not understood hides nothing.
fn visible(
    project: &Project,
    record: &Record,
    place: &Place,
    instrument: &str,
    now: DateTime,
) -> BTreeSet<String> {
    let context = Context::new(project, record, place, now);
    let holds = |field: &&Field| match field.branching.as_deref().map(parse) {
        Some(Ok(condition)) => evaluate(&condition, &context).is_true(),
        Some(Err(_)) | None => true,
    };
    project.fields_of(instrument).filter(holds).map(|field| field.name.clone()).collect()
}

/// A stored value as people type it: dates are stored year first.
fn displayed(field: &Field, value: &str) -> String {
    let order = field.validation.as_deref().unwrap_or_default();
    let (date, time) = value.split_at_checked(10).unwrap_or((value, ""));
    let parts: Vec<&str> = date.split('-').collect();
    match parts[..] {
        [year, month, day] if order.ends_with("_mdy") => format!("{month}-{day}-{year}{time}"),
        [year, month, day] if order.ends_with("_dmy") => format!("{day}-{month}-{year}{time}"),
        _ => value.to_owned(),
    }
}

/// Whether a box is ticked on the page.
pub(super) fn is_ticked(answers: &Answers, field: &str, code: &str) -> bool {
    answers.typed.get(&checkbox_column(field, code)).is_some_and(|value| value == "1")
}
