//! What a project is made of: events, instruments, fields, surveys, and what it sends by itself.
//!
//! The names of the settings follow the project XML, because that is where a study's staff meet them.

use std::collections::BTreeMap;
use std::ops::Deref;

use hashbrown::HashMap;

use crate::annotation::{self, ActionTag, Formula};
use crate::record::Record;

/// The one event of a project that has no events. REDCap itself says so in the invitations and
/// alerts of such projects.
pub const CLASSIC_EVENT: &str = "event_1_arm_1";

/// A project, as read from its project XML. Records are there only if the file had them.
#[derive(Clone, Default, PartialEq)]
pub struct Project {
    pub title: String,
    /// When the file was written: `YYYY-MM-DD HH:MM:SS`, server time. Blank if it does not say.
    pub exported_at: String,
    /// The version of REDCap that wrote the file, as in `13.8.1`. Blank if it does not say.
    pub redcap_version: String,
    /// The field whose value is the record's id: the first field of the first instrument.
    pub record_id_field: String,
    /// Whether the project has events of its own.
    pub longitudinal: bool,
    /// In order of their first event: the file names an arm only at its events.
    pub arms: Vec<Arm>,
    /// In order. A classic project has exactly one, called [`CLASSIC_EVENT`].
    pub events: Vec<Event>,
    pub instruments: Vec<Instrument>,
    /// In the order of the data dictionary, without the `<instrument>_complete` fields.
    pub fields: Fields,
    pub form_events: Vec<FormEvent>,
    pub repeating: Vec<Repeating>,
    pub surveys: Vec<Survey>,
    pub queue: Vec<QueueRow>,
    pub invitations: Vec<AutomatedInvitation>,
    pub alerts: Vec<Alert>,
    /// The field that holds the e-mail address survey invitations go to.
    pub invitation_email_field: Option<String>,
    /// REDCap's number for what the project is for: 0 practice, 1 other, 2 research, 3 quality
    /// improvement, 4 operational support.
    pub purpose: String,
    /// The number of the ethics approval. No public project XML up to REDCap 17.2 has it; it is
    /// read where a file does say it, and the API tells it otherwise.
    pub irb_number: String,
    /// Codes that stand for a reason why a value is missing; any field may hold one.
    pub missing_data_codes: Vec<Choice>,
    /// Whether the project was read from something that tells fields only, as a data dictionary does:
    /// then nothing is known of events and surveys, and naming one is no mistake.
    pub fields_only: bool,
    /// Every other project setting in the file, by the name of its element.
    pub settings: BTreeMap<String, String>,
    pub records: Vec<Record>,
}

impl std::fmt::Debug for Project {
    /// Settings, texts and records may name people.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Project")
            .field("title", &self.title)
            .field("fields", &self.fields.len())
            .field("records", &self.records.len())
            .finish_non_exhaustive()
    }
}

impl Project {
    /// An empty classic project.
    #[must_use]
    pub fn classic(title: &str) -> Self {
        Self {
            title: title.to_owned(),
            arms: vec![Arm { number: 1, name: "Arm 1".to_owned() }],
            events: vec![Event {
                unique_name: CLASSIC_EVENT.to_owned(),
                label: "Event 1".to_owned(),
                arm: 1,
                ..Event::default()
            }],
            ..Self::default()
        }
    }

    /// The field of this name. Case is ignored, as REDCap ignores it.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.named(name)
    }

    #[must_use]
    pub fn instrument(&self, name: &str) -> Option<&Instrument> {
        self.instruments.iter().find(|instrument| instrument.name == name)
    }

    /// The survey settings of an instrument; none if the instrument is not a survey.
    #[must_use]
    pub fn survey(&self, instrument: &str) -> Option<&Survey> {
        self.surveys.iter().find(|survey| survey.instrument == instrument)
    }

    #[must_use]
    pub fn event(&self, unique_name: &str) -> Option<&Event> {
        self.events.iter().find(|event| event.unique_name == unique_name)
    }

    #[must_use]
    pub fn arm(&self, number: u32) -> Option<&Arm> {
        self.arms.iter().find(|arm| arm.number == number)
    }

    /// A project setting that has no place of its own, by the name of its element, such as
    /// `CustomRecordLabel` or `SecondaryUniqueField`.
    #[must_use]
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.settings.get(name).map(String::as_str)
    }

    /// Whether an instrument seems to be an adaptive test, whose questions are picked one by one by
    /// a service that holds the item bank.
    ///
    /// Nothing in a project's files says so: `promis_skip_question` is among the settings of every
    /// survey, and no public project has such an instrument. What is known of them is that all
    /// items are radio fields beside texts for a T-score and its standard error, so that is what is
    /// looked for. An instrument named otherwise is missed, and is then asked item by item.
    #[must_use]
    pub fn is_adaptive(&self, instrument: &str) -> bool {
        let mut items = 0;
        let (mut score, mut error) = (false, false);
        for field in self.fields_of(instrument) {
            let name = field.name.to_ascii_lowercase();
            match field.kind {
                FieldKind::Radio => items += 1,
                FieldKind::Text | FieldKind::Calc if name.ends_with("_tscore") => score = true,
                FieldKind::Text | FieldKind::Calc if name.ends_with("_std_error") => error = true,
                FieldKind::Text if name == self.record_id_field || field.is_silent() => {}
                FieldKind::Descriptive | FieldKind::Calc => {}
                _ => return false,
            }
        }
        items > 0 && score && error
    }

    /// The fields of an instrument, in order.
    pub fn fields_of<'a>(&'a self, instrument: &'a str) -> impl Iterator<Item = &'a Field> + 'a {
        self.fields.of(instrument)
    }

    /// The instruments that are filled in at an event, in order.
    pub fn instruments_of<'a>(&'a self, event: &'a str) -> impl Iterator<Item = &'a Instrument> + 'a {
        self.instruments.iter().filter(move |instrument| {
            self.form_events.iter().any(|pair| pair.event == event && pair.instrument == instrument.name)
        })
    }

    /// The instrument whose status a name like `consent_complete` stands for.
    #[must_use]
    pub fn status_of(&self, name: &str) -> Option<&Instrument> {
        let stem = name.strip_suffix("_complete")?;
        self.instruments.iter().find(|instrument| instrument.name.eq_ignore_ascii_case(stem))
    }

    /// Whether an instrument repeats on its own at an event.
    #[must_use]
    pub fn repeats(&self, event: &str, instrument: &str) -> bool {
        self.repeating
            .iter()
            .any(|repeating| repeating.event == event && repeating.instrument.as_deref() == Some(instrument))
    }

    /// Whether an event repeats as a whole.
    #[must_use]
    pub fn event_repeats(&self, event: &str) -> bool {
        self.repeating.iter().any(|repeating| repeating.event == event && repeating.instrument.is_none())
    }

    /// The missing data code that a value of a field is. What the field itself offers as a choice is an
    /// answer, and a field may refuse such codes with `@NOMISSING`.
    #[must_use]
    pub fn missing_code(&self, field: &Field, value: &str) -> Option<&Choice> {
        let code = self.missing_data_codes.iter().find(|missing| missing.code == value)?;
        (field.choice_label(value).is_none() && !field.has_tag("@NOMISSING")).then_some(code)
    }

    /// Whether a value is one of the project's missing data codes.
    #[must_use]
    pub fn is_missing_code(&self, value: &str) -> bool {
        self.missing_data_codes.iter().any(|missing| missing.code == value)
    }
}

/// The fields of a project, in order, each to be found by its name, and those of an instrument by the
/// instrument's. Of two with the same name the first is found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Fields {
    list: Vec<Field>,
    by_name: HashMap<String, usize>,
    by_instrument: HashMap<String, Vec<usize>>,
}

impl Fields {
    pub fn push(&mut self, field: Field) {
        self.by_name.entry(field.name.to_ascii_lowercase()).or_insert(self.list.len());
        self.by_instrument.entry_ref(&field.instrument).or_default().push(self.list.len());
        self.list.push(field);
    }

    /// The fields of an instrument, in order.
    fn of(&self, instrument: &str) -> impl Iterator<Item = &Field> + use<'_> {
        let places = self.by_instrument.get(instrument).map_or(&[][..], Vec::as_slice);
        places.iter().map(|&at| &self.list[at])
    }

    /// The field of this name, whatever the case.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Field> {
        let at = if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            self.by_name.get(&name.to_ascii_lowercase())
        } else {
            self.by_name.get(name)
        };
        at.map(|&at| &self.list[at])
    }
}

impl Deref for Fields {
    type Target = [Field];

    fn deref(&self) -> &[Field] {
        &self.list
    }
}

impl FromIterator<Field> for Fields {
    fn from_iter<I: IntoIterator<Item = Field>>(fields: I) -> Self {
        let mut all = Self::default();
        fields.into_iter().for_each(|field| all.push(field));
        all
    }
}

impl<'a> IntoIterator for &'a Fields {
    type Item = &'a Field;
    type IntoIter = std::slice::Iter<'a, Field>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.iter()
    }
}

/// The line of a file on which something was defined, counted from 1; 0 if it came from no file.
///
/// Two projects are equal wherever their parts stand, so all lines are equal.
#[derive(Debug, Clone, Copy, Default)]
pub struct Line(pub usize);

impl PartialEq for Line {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Line {}

/// A group of events that a record goes through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Arm {
    pub number: u32,
    pub name: String,
}

/// A point in a study's timeline.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// As in `baseline_arm_1`.
    pub unique_name: String,
    pub label: String,
    pub arm: u32,
    /// Everything else the file says about it, by attribute name.
    pub settings: BTreeMap<String, String>,
}

/// A form; whether it is a survey too is told by [`Project::survey`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Instrument {
    pub name: String,
    pub label: String,
}

/// A field, or a question.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Field {
    pub name: String,
    pub instrument: String,
    pub kind: FieldKind,
    /// The question as plain text.
    pub label: String,
    /// The question as the rich text editor left it, where that was used.
    pub label_html: Option<String>,
    /// Empty for fields without choices; filled in for yes/no and true/false.
    pub choices: Vec<Choice>,
    /// The texts at the low end, the middle and the high end of a slider.
    pub slider_labels: Option<String>,
    /// The validation type by its name in the data dictionary (`integer`, `date_dmy`).
    pub validation: Option<String>,
    /// Bounds as written, in the notation of the validation type. They are soft: REDCap warns
    /// about a value outside them and stores it.
    pub min: Option<String>,
    pub max: Option<String>,
    pub note: Option<String>,
    pub identifier: bool,
    pub required: bool,
    /// The condition under which the field is shown.
    pub branching: Option<String>,
    /// Free text with action tags.
    pub annotation: Option<String>,
    /// The heading above the field; it starts a new page if the survey is paged.
    pub section_header: Option<String>,
    pub calculation: Option<String>,
    pub matrix_group: Option<String>,
    /// Whether each column of the field's matrix can be chosen once only.
    pub matrix_ranking: bool,
    /// The codes of the choices that end the survey. The data dictionary does not tell them.
    pub stop_actions: Vec<String>,
    /// Everything else the file says about it, by attribute name.
    pub settings: BTreeMap<String, String>,
    pub line: Line,
}

impl Field {
    /// The label of a choice.
    #[must_use]
    pub fn choice_label(&self, code: &str) -> Option<&str> {
        self.choices.iter().find(|choice| choice.code == code).map(|choice| choice.label.as_str())
    }

    /// The action tags of the annotation, without those in an argument of another tag.
    #[must_use]
    pub fn tags(&self) -> Vec<ActionTag> {
        match self.annotation.as_deref() {
            Some(text) if text.contains('@') => annotation::tags(text).0,
            _ => Vec::new(),
        }
    }

    /// The first action tag of this name. Case is ignored.
    #[must_use]
    pub fn tag(&self, name: &str) -> Option<ActionTag> {
        self.tags().into_iter().find(|tag| tag.name.eq_ignore_ascii_case(name))
    }

    /// Whether the annotation carries an action tag, such as `@HIDDEN-SURVEY`. A tag that `@IF`
    /// decides on does not count here: see [`annotation::tags_where`].
    #[must_use]
    pub fn has_tag(&self, tag: &str) -> bool {
        self.tag(tag).is_some()
    }

    /// The formula of `@CALCTEXT`.
    #[must_use]
    pub fn calctext(&self) -> Option<Formula> {
        self.tag("@CALCTEXT")?.formula()
    }

    /// The three arguments of `@CALCDATE`: the date, how much is added, the unit.
    #[must_use]
    pub fn calcdate(&self) -> Option<[Formula; 3]> {
        self.tag("@CALCDATE")?.formula()?.split().try_into().ok()
    }

    /// Whether a survey passes the field over without a word: it is hidden there, or calculated.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        const SILENT: [&str; 4] = ["@HIDDEN", "@HIDDEN-SURVEY", "@CALCTEXT", "@CALCDATE"];
        self.kind == FieldKind::Calc || self.tags().iter().any(|tag| SILENT.contains(&tag.name.as_str()))
    }
}

/// The validation types of a REDCap as it comes, by their names in the data dictionary.
/// Installations add their own, so a name that is not here is odd and no mistake.
pub const VALIDATIONS: [&str; 40] = [
    "alpha_only",
    "autocomplete",
    "date_dmy",
    "date_mdy",
    "date_ymd",
    "datetime_dmy",
    "datetime_mdy",
    "datetime_seconds_dmy",
    "datetime_seconds_mdy",
    "datetime_seconds_ymd",
    "datetime_ymd",
    "email",
    "integer",
    "mrn_10d",
    "mrn_generic",
    "number",
    "number_1dp",
    "number_1dp_comma_decimal",
    "number_2dp",
    "number_2dp_comma_decimal",
    "number_3dp",
    "number_3dp_comma_decimal",
    "number_4dp",
    "number_4dp_comma_decimal",
    "number_comma_decimal",
    "phone",
    "phone_australia",
    "phone_uk",
    "postalcode_australia",
    "postalcode_canada",
    "postalcode_french",
    "postalcode_germany",
    "postalcode_uk",
    "signature",
    "ssn",
    "time",
    "time_hh_mm_ss",
    "time_mm_ss",
    "vmrn",
    "zipcode",
];

/// The data dictionary's name for a validation type that the project XML or an old dictionary calls
/// otherwise.
#[must_use]
pub fn validation_name(name: &str) -> &str {
    match name {
        "int" => "integer",
        "float" => "number",
        "date" => "date_ymd",
        "datetime" => "datetime_ymd",
        "datetime_seconds" => "datetime_seconds_ymd",
        other => other,
    }
}

/// What kind of answer a field takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum FieldKind {
    #[default]
    Text,
    Notes,
    Radio,
    Dropdown,
    Checkbox,
    Calc,
    File,
    /// A file field with the validation type `signature`.
    Signature,
    /// Text only; holds no data.
    Descriptive,
    Slider,
    YesNo,
    TrueFalse,
    /// A drop-down filled by a query on the server.
    Sql,
}

impl FieldKind {
    /// Reads a name as the data dictionary writes it (`dropdown`) or the project XML (`select`).
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "text" => Self::Text,
            "notes" | "textarea" => Self::Notes,
            "radio" => Self::Radio,
            "dropdown" | "select" => Self::Dropdown,
            "checkbox" => Self::Checkbox,
            "calc" => Self::Calc,
            "file" => Self::File,
            "descriptive" => Self::Descriptive,
            "slider" => Self::Slider,
            "yesno" => Self::YesNo,
            "truefalse" => Self::TrueFalse,
            "sql" => Self::Sql,
            _ => return None,
        })
    }

    /// The name in the data dictionary.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Notes => "notes",
            Self::Radio => "radio",
            Self::Dropdown => "dropdown",
            Self::Checkbox => "checkbox",
            Self::Calc => "calc",
            Self::File | Self::Signature => "file",
            Self::Descriptive => "descriptive",
            Self::Slider => "slider",
            Self::YesNo => "yesno",
            Self::TrueFalse => "truefalse",
            Self::Sql => "sql",
        }
    }

    /// Whether exactly one of a list of choices is the answer.
    #[must_use]
    pub const fn is_single_choice(self) -> bool {
        matches!(self, Self::Radio | Self::Dropdown | Self::YesNo | Self::TrueFalse | Self::Sql)
    }
}

/// One choice of a field, or one missing data code.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choice {
    pub code: String,
    pub label: String,
}

/// Reads `1, Yes | 0, No`: choices are parted by bars, and the first comma ends the code. A choice
/// without a comma is its own code, as dictionaries with labels only are accepted too.
#[must_use]
pub fn parse_choices(text: &str) -> Vec<Choice> {
    text.split(['|', '\n'])
        .map(str::trim)
        .filter(|choice| !choice.is_empty())
        .map(|choice| {
            let (code, label) = choice.split_once(',').unwrap_or((choice, choice));
            Choice { code: code.trim().to_owned(), label: label.trim().to_owned() }
        })
        .collect()
}

/// The fixed choices of yes/no and true/false fields.
#[must_use]
pub fn fixed_choices(kind: FieldKind) -> Vec<Choice> {
    match kind {
        FieldKind::YesNo => parse_choices("1, Yes | 0, No"),
        FieldKind::TrueFalse => parse_choices("1, True | 0, False"),
        _ => Vec::new(),
    }
}

/// That an instrument is filled in at an event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FormEvent {
    pub event: String,
    pub instrument: String,
}

/// Something that can be filled in many times per record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Repeating {
    pub event: String,
    /// None if the whole event repeats.
    pub instrument: Option<String>,
    pub custom_label: String,
}

/// An instrument's survey settings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Survey {
    pub instrument: String,
    pub title: String,
    /// HTML shown above the first question.
    pub instructions: String,
    /// HTML shown after the last.
    pub acknowledgement: String,
    /// Whether the survey takes answers at all.
    pub enabled: bool,
    pub save_and_return: bool,
    /// When it closes for everyone: `YYYY-MM-DD HH:MM:SS`, server time.
    pub expiration: Option<String>,
    /// Every other setting, by attribute name.
    pub settings: BTreeMap<String, String>,
    pub line: Line,
}

/// When something becomes due: a completed survey, a condition, or both.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Condition {
    /// The instrument whose survey has to be complete.
    pub survey: Option<String>,
    /// The event at which it has to be complete.
    pub event: Option<String>,
    pub joined: Joined,
    pub logic: Option<String>,
}

/// How the two halves of a [`Condition`] are joined when both are set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Joined {
    #[default]
    And,
    Or,
}

/// A row of the survey queue.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueueRow {
    pub instrument: String,
    pub event: String,
    pub active: bool,
    /// Whether the survey opens by itself after the one before it.
    pub auto_start: bool,
    pub condition: Condition,
    /// Every other setting, by attribute name.
    pub settings: BTreeMap<String, String>,
    pub line: Line,
}

/// An automated survey invitation: what REDCap would send by itself when a condition becomes true.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct AutomatedInvitation {
    /// The survey the invitation is to.
    pub instrument: String,
    pub event: String,
    pub active: bool,
    pub subject: String,
    /// HTML, even for text messages.
    pub content: String,
    pub condition: Condition,
    pub send: When,
    /// By what means, such as `EMAIL` or `SMS_INVITE_WEB`.
    pub delivery_type: String,
    /// When each reminder is due after the one before it.
    pub reminder: Option<When>,
    /// How many reminders, 0 to 5.
    pub reminders: u32,
    /// Whether the condition is tested again just before sending.
    pub reeval_before_send: bool,
    /// Every other setting, by attribute name.
    pub settings: BTreeMap<String, String>,
    pub line: Line,
}

impl std::fmt::Debug for AutomatedInvitation {
    /// Its text is nobody's log line.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AutomatedInvitation")
            .field("instrument", &self.instrument)
            .field("event", &self.event)
            .finish_non_exhaustive()
    }
}

/// When a due message goes out, on the server's wall clock.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum When {
    #[default]
    Immediately,
    /// After (or, with an anchor field among the settings, around) the trigger.
    Lag { days: u32, hours: u32, minutes: u32 },
    /// The next `DAY`, `WEEKDAY`, `WEEKENDDAY` or `MONDAY`… at a time `HH:MM:SS`; never today.
    NextOccurrence { day: String, time: String },
    /// `YYYY-MM-DD HH:MM:SS`.
    At(String),
    /// A word this crate does not know.
    Unknown(String),
}

/// An alert or notification.
#[expect(clippy::struct_excessive_bools, reason = "REDCap's own independent switches")]
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Alert {
    /// The number staff see, `#3`.
    pub number: u32,
    pub title: String,
    /// By what means: `EMAIL`, `SMS` or a voice call.
    pub kind: String,
    pub active: bool,
    /// The form whose saving triggers it; none if only the condition does.
    pub instrument: Option<String>,
    pub event: Option<String>,
    /// Whether saving the form in any status triggers it, and not only a complete one.
    pub any_status: bool,
    pub condition: Option<String>,
    pub ensure_logic_still_true: bool,
    /// Whether identifier fields are blanked in the text.
    pub prevent_piping_identifiers: bool,
    /// A number, a field as `[mobile]`, or `[survey-participant-phone]`; several parted by `;`.
    pub phone_number_to: String,
    pub email_to: String,
    pub subject: String,
    /// HTML, even for text messages.
    pub message: String,
    /// `now`, `time_lag`, `next_occurrence` or `date`.
    pub send_on: String,
    /// Every other setting, by attribute name.
    pub settings: BTreeMap<String, String>,
    pub line: Line,
}

impl std::fmt::Debug for Alert {
    /// Recipients and texts are nobody's log line.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Alert")
            .field("number", &self.number)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_split_on_the_bar_and_then_on_the_first_comma() {
        let choices = parse_choices("1, Yes, gladly | -99, Don't know|A");
        let pairs: Vec<_> = choices.iter().map(|c| (c.code.as_str(), c.label.as_str())).collect();
        assert_eq!(pairs, [("1", "Yes, gladly"), ("-99", "Don't know"), ("A", "A")]);
    }

    #[test]
    fn a_tag_is_a_whole_word() {
        let field = Field { annotation: Some("@HIDDEN-SURVEY @DEFAULT='1'".into()), ..Field::default() };
        assert!(field.has_tag("@HIDDEN-SURVEY"));
        assert!(field.has_tag("@default"));
        assert!(!field.has_tag("@HIDDEN"));
    }

    #[test]
    fn validation_types_are_sorted_and_go_by_one_name() {
        assert!(VALIDATIONS.is_sorted());
        for (given, wanted) in [("int", "integer"), ("date", "date_ymd"), ("phone", "phone")] {
            assert_eq!(validation_name(given), wanted);
            assert!(VALIDATIONS.contains(&wanted));
        }
    }

    #[test]
    fn an_adaptive_instrument_is_told_by_its_scores() {
        let mut project = Project::classic("x");
        for (name, kind) in [
            ("record_id", FieldKind::Text),
            ("painin9", FieldKind::Radio),
            ("pain_tscore", FieldKind::Text),
            ("pain_std_error", FieldKind::Text),
        ] {
            let instrument = if name == "record_id" { "start" } else { "pain" };
            project.fields.push(Field {
                name: name.into(),
                instrument: instrument.into(),
                kind,
                ..Field::default()
            });
        }
        assert!(project.is_adaptive("pain"));
        assert!(!project.is_adaptive("start"));
        let note = Field { name: "x".into(), instrument: "pain".into(), ..Field::default() };
        project.fields.push(note);
        assert!(!project.is_adaptive("pain"));
    }

    #[test]
    fn formulas_are_found_in_their_tags() {
        let field = |text: &str| Field { annotation: Some(text.into()), ..Field::default() };
        let formula = field("see @CALCTEXT(if([a]=')','x','y'))").calctext().unwrap();
        assert_eq!((formula.text.as_str(), formula.at), ("if([a]=')','x','y')", 14));
        let [date, offset, unit] = field("@CALCDATE(if([a]='1',[b],[c]), 7, 'd')").calcdate().unwrap();
        assert_eq!((date.text.as_str(), date.at), ("if([a]='1',[b],[c])", 10));
        assert_eq!((offset.text.as_str(), offset.at), ("7", 31));
        assert_eq!((unit.text.as_str(), unit.at), ("'d'", 34));
        assert!(field("@CALCDATE([a], 7)").calcdate().is_none());
        assert!(field("@IF([a]='1', '@HIDDEN', '')").tag("@HIDDEN").is_none());
    }

    #[test]
    fn a_classic_project_answers_to_its_event() {
        let project = Project::classic("x");
        assert_eq!(project.event(CLASSIC_EVENT).map(|event| event.arm), Some(1));
        assert!(project.event("baseline_arm_1").is_none());
    }
}
