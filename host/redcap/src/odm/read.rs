//! From project XML to [`Project`], as a stream.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use quick_xml::Reader;
use quick_xml::escape::unescape;
use quick_xml::events::{BytesStart, Event as Xml};

use super::{VALIDATION_NAMES, attribute};
use crate::project::{
    Alert, AutomatedInvitation, CLASSIC_EVENT, Choice, Condition, Event, Field, FieldKind, FormEvent,
    Instrument, Joined, Line, Project, QueueRow, Repeating, Survey, When, fixed_choices, parse_choices,
};
use crate::record::{Place, Record, SurveyTimestamp};

/// Why a file is not a project.
#[derive(Debug, thiserror::Error)]
pub enum XmlError {
    #[error("line {line}: expected {expected}, found {found}")]
    Unexpected { line: usize, expected: &'static str, found: String },
    #[error("line {line}: the XML is broken")]
    Broken {
        line: usize,
        #[source]
        source: quick_xml::Error,
    },
}

/// Something in a project that was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Counted from 1.
    pub line: usize,
    /// A lower-case fragment.
    pub sentence: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.sentence)
    }
}

const AN_ODM_DOCUMENT: &str = "a CDISC ODM document (`<ODM …>`)";

/// Reads a project XML file, with its records if it has any.
pub fn read_project(xml: &[u8]) -> Result<(Project, Vec<Problem>), XmlError> {
    let text = match std::str::from_utf8(xml) {
        Ok(text) => text,
        Err(error) => {
            let before = &xml[..error.valid_up_to()];
            let line = before.split(|&byte| byte == b'\n').count();
            let found = "something else".to_owned();
            return Err(XmlError::Unexpected { line, expected: "UTF-8", found });
        }
    };
    let mut reading = Reading::new(text.strip_prefix('\u{feff}').unwrap_or(text));
    reading.run()?;
    Ok(reading.finish())
}

type Attributes = BTreeMap<String, String>;

#[derive(Default)]
struct CodeList {
    items: Vec<Choice>,
    checkbox: Vec<Choice>,
}

/// The file so far. Definitions refer to each other by id and in any order, so they are gathered
/// first and put together at the end.
struct Reading<'a> {
    text: &'a str,
    reader: Reader<&'a [u8]>,
    counted: (usize, usize),
    project: Project,
    problems: Vec<Problem>,
    unknown: HashSet<String>,
    /// Names of the open elements, outermost first.
    open: Vec<String>,
    content: String,
    has_metadata: bool,
    /// Which instrument an item group belongs to.
    groups: HashMap<String, String>,
    /// Variables by item group, in order.
    group: Option<String>,
    order: Vec<(String, String)>,
    items: Vec<Item>,
    code_lists: HashMap<String, CodeList>,
    code_list: Option<String>,
    coded_value: String,
    event: Option<String>,
    comparator: String,
    record: Option<Record>,
    place: Place,
    form: Option<String>,
    timestamps: Vec<(usize, String, Place, String)>,
    values: Vec<(usize, String, Place, String, usize)>,
}

struct Item {
    field: Field,
    code_list: Option<String>,
    line: usize,
}

impl<'a> Reading<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            text,
            reader: Reader::from_str(text),
            counted: (0, 1),
            project: Project::default(),
            problems: Vec::new(),
            unknown: HashSet::new(),
            open: Vec::new(),
            content: String::new(),
            has_metadata: false,
            groups: HashMap::new(),
            group: None,
            order: Vec::new(),
            items: Vec::new(),
            code_lists: HashMap::new(),
            code_list: None,
            coded_value: String::new(),
            event: None,
            comparator: String::new(),
            record: None,
            place: Place::default(),
            form: None,
            timestamps: Vec::new(),
            values: Vec::new(),
        }
    }

    /// The line of the reader's place. Places only move on, so each line is counted once.
    fn line(&mut self) -> usize {
        let at = usize::try_from(self.reader.buffer_position()).unwrap_or(usize::MAX).min(self.text.len());
        let (from, line) = self.counted;
        if at > from {
            let passed = self.text.as_bytes()[from..at].split(|&byte| byte == b'\n').count() - 1;
            self.counted = (at, line + passed);
        }
        self.counted.1
    }

    fn problem(&mut self, sentence: String) {
        let line = self.line();
        self.problems.push(Problem { line, sentence });
    }

    fn run(&mut self) -> Result<(), XmlError> {
        loop {
            let event = match self.reader.read_event() {
                Ok(event) => event,
                Err(source) => return Err(XmlError::Broken { line: self.line(), source }),
            };
            match event {
                Xml::Start(start) => {
                    self.start(&start)?;
                    self.open.push(start.name().0.to_owned());
                    self.content.clear();
                }
                Xml::Empty(start) => {
                    self.start(&start)?;
                    self.content.clear();
                    self.end(start.name().0);
                }
                Xml::End(end) => {
                    self.open.pop();
                    let name = end.name().0.to_owned();
                    self.end(&name);
                    self.content.clear();
                }
                Xml::Text(text) => self.text(&text)?,
                Xml::CData(data) => self.text(&data)?,
                Xml::GeneralRef(reference) => {
                    let entity = format!("&{};", &*reference);
                    let means =
                        unescape(&entity).map_or_else(|_| entity.clone(), std::borrow::Cow::into_owned);
                    self.text(&means)?;
                }
                Xml::Eof => break,
                Xml::Comment(_) | Xml::Decl(_) | Xml::PI(_) | Xml::DocType(_) => {}
            }
        }
        if !self.has_metadata {
            let (expected, found) = if self.text.trim().is_empty() {
                (AN_ODM_DOCUMENT, "nothing")
            } else if self.open.is_empty() {
                ("the definition of a project (`<MetaDataVersion …>`)", "none")
            } else {
                ("the definition of a project (`<MetaDataVersion …>`)", "the end of the file")
            };
            return Err(XmlError::Unexpected { line: self.line(), expected, found: found.to_owned() });
        }
        if let Some(name) = self.open.last() {
            let found = format!("the end of the file within `<{name}>`");
            return Err(XmlError::Unexpected { line: self.line(), expected: "a whole file", found });
        }
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), XmlError> {
        if self.open.is_empty() {
            if text.trim().is_empty() {
                return Ok(());
            }
            return Err(XmlError::Unexpected {
                line: 1,
                expected: AN_ODM_DOCUMENT,
                found: "text".to_owned(),
            });
        }
        self.content.push_str(text);
        Ok(())
    }

    fn attributes(&mut self, start: &BytesStart<'_>) -> Attributes {
        let mut attributes = Attributes::new();
        for attribute in start.attributes() {
            let Ok(attribute) = attribute else {
                self.problem(format!("an attribute of `<{}>` is broken and was left out", start.name().0));
                continue;
            };
            if !is_name(attribute.key.0) {
                self.problem(format!(
                    "an attribute of `<{}>` has no proper name and was left out",
                    start.name().0
                ));
                continue;
            }
            // Not normalised: a line break in a condition or a message is part of it.
            let value = unescape(&attribute.value)
                .map_or_else(|_| attribute.value.to_string(), std::borrow::Cow::into_owned);
            attributes.insert(attribute.key.0.to_owned(), value);
        }
        attributes
    }

    fn start(&mut self, start: &BytesStart<'_>) -> Result<(), XmlError> {
        let name = start.name().0.to_owned();
        if self.open.is_empty() && name != "ODM" {
            let (line, found) = (self.line(), format!("`<{name}>`"));
            return Err(XmlError::Unexpected { line, expected: AN_ODM_DOCUMENT, found });
        }
        let mut attributes = self.attributes(start);
        let mut take = |key: &str| attributes.remove(key).unwrap_or_default();
        match name.as_str() {
            "MetaDataVersion" => {
                self.has_metadata = true;
                self.project.record_id_field = take("redcap:RecordIdField");
            }
            "redcap:RepeatingInstrument" => self.project.repeating.push(Repeating {
                event: take("redcap:UniqueEventName"),
                instrument: filled(take("redcap:RepeatInstrument")),
                custom_label: take("redcap:CustomLabel"),
            }),
            "redcap:RepeatingEvent" => self.project.repeating.push(Repeating {
                event: take("redcap:UniqueEventName"),
                instrument: None,
                custom_label: take("redcap:CustomLabel"),
            }),
            "redcap:Surveys" => {
                let line = self.line();
                self.project.surveys.push(survey(attributes, Line(line)));
            }
            "redcap:SurveysQueue" => {
                let line = self.line();
                self.project.queue.push(queue_row(&mut attributes, Line(line)));
            }
            "redcap:SurveysScheduler" => {
                let line = self.line();
                self.project.invitations.push(invitation(attributes, Line(line)));
            }
            "redcap:Alerts" => {
                let line = self.line();
                self.project.alerts.push(alert(attributes, Line(line)));
            }
            "StudyEventDef" => {
                let unique_name = filled(take("redcap:UniqueEventName"))
                    .unwrap_or_else(|| take("OID").trim_start_matches("Event.").to_owned());
                let label = filled(take("redcap:EventName")).unwrap_or_else(|| take("Name"));
                let arm = take("redcap:ArmNum").parse().unwrap_or(1);
                attributes.retain(|key, _| key.starts_with("redcap:"));
                self.event = Some(unique_name.clone());
                self.project.events.push(Event { unique_name, label, arm, settings: attributes });
            }
            "FormRef" => {
                let instrument = filled(take("redcap:FormName"))
                    .unwrap_or_else(|| take("FormOID").trim_start_matches("Form.").to_owned());
                if let Some(event) = self.event.clone() {
                    self.project.form_events.push(FormEvent { event, instrument });
                }
            }
            "FormDef" => {
                let form = filled(take("redcap:FormName"))
                    .unwrap_or_else(|| take("OID").trim_start_matches("Form.").to_owned());
                self.project.instruments.push(Instrument { name: form, label: take("Name") });
            }
            "ItemGroupRef" => {
                if let Some(form) = self.project.instruments.last() {
                    self.groups.insert(take("ItemGroupOID"), form.name.clone());
                }
            }
            "ItemGroupDef" => self.group = Some(take("OID")),
            "ItemRef" => {
                let variable = filled(take(attribute::VARIABLE)).unwrap_or_else(|| take("ItemOID"));
                if let Some(group) = self.group.clone() {
                    self.order.push((group, variable));
                }
            }
            "ItemDef" => self.item(attributes),
            "CodeListRef" => {
                if let Some(item) = self.items.last_mut() {
                    item.code_list = Some(take("CodeListOID"));
                }
            }
            "RangeCheck" => self.comparator = take("Comparator"),
            "CodeList" => {
                let oid = take("OID");
                let checkbox = parse_choices(&take("redcap:CheckboxChoices"));
                self.code_lists.insert(oid.clone(), CodeList { items: Vec::new(), checkbox });
                self.code_list = Some(oid);
            }
            "CodeListItem" => self.coded_value = take("CodedValue"),
            "SubjectData" => self.record = Some(Record::new(&take("SubjectKey"))),
            "StudyEventData" => {
                let event = filled(take("redcap:UniqueEventName"))
                    .unwrap_or_else(|| take("StudyEventOID").trim_start_matches("Event.").to_owned());
                self.place = Place::at(&event);
                self.place.instance = take("StudyEventRepeatKey").parse().unwrap_or(1);
            }
            "FormData" => {
                let form = take("FormOID").trim_start_matches("Form.").to_owned();
                self.repeat(&form, &take("FormRepeatKey"));
                self.form = Some(form);
            }
            "ItemGroupData" => {
                let form = filled(take("redcap:RepeatInstrument")).or_else(|| self.form.clone());
                self.repeat(&form.unwrap_or_default(), &take("redcap:RepeatInstance"));
            }
            "ItemData" => {
                let (oid, value) = (take("ItemOID"), take("Value"));
                self.value(oid, value);
            }
            _ => self.unknown(&name, attributes.is_empty()),
        }
        Ok(())
    }

    /// Names an element this crate does not know, unless it stands inside a setting that is read as
    /// a whole or is known to say nothing about messages.
    fn unknown(&mut self, name: &str, plain: bool) {
        const PASSED_OVER: [&str; 19] = [
            "ODM",
            "Study",
            "GlobalVariables",
            "Protocol",
            "StudyEventRef",
            "Question",
            "TranslatedText",
            "redcap:FormattedTranslatedText",
            "CheckValue",
            "ErrorMessage",
            "Decode",
            "ClinicalData",
            "ItemDataBase64File",
            "redcap:RepeatingInstrumentsAndEvents",
            "redcap:RepeatingInstruments",
            "redcap:Reports",
            "redcap:UserRoles",
            "redcap:OdmAttachment",
            "redcap:RecordDashboards",
        ];
        let parent = self.open.last().map(String::as_str);
        let is_group = name.starts_with("redcap:") && name.ends_with("Group");
        // A plain setting is told apart from the unknown by having no attributes.
        let is_setting = plain && parent == Some("GlobalVariables");
        if PASSED_OVER.contains(&name) || is_group || is_setting {
            return;
        }
        // One sentence is enough for a list of a hundred.
        if self.unknown.insert(name.to_owned()) {
            self.problem(format!("`<{name}>` is not known and was left out"));
        }
    }

    fn repeat(&mut self, form: &str, instance: &str) {
        let instance = instance.parse::<u32>().unwrap_or(0);
        let event = self.place.event_name().to_owned();
        if self.project.repeats(&event, form) {
            self.place.instrument = Some(form.to_owned());
            if instance > 0 {
                self.place.instance = instance;
            }
        }
    }

    fn item(&mut self, mut attributes: Attributes) {
        let mut take = |key: &str| attributes.remove(key).unwrap_or_default();
        let oid = take("OID");
        let name = filled(take(attribute::VARIABLE)).unwrap_or(oid);
        let word = take(attribute::KIND);
        let validation = filled(take(attribute::VALIDATION)).map(|validation| {
            let known = VALIDATION_NAMES.iter().find(|(xml, _)| *xml == validation);
            known.map_or(validation, |(_, dictionary)| (*dictionary).to_owned())
        });
        let kind = FieldKind::from_name(&word);
        let kind = match kind {
            Some(FieldKind::File) if validation.as_deref() == Some("signature") => FieldKind::Signature,
            Some(kind) => kind,
            None => FieldKind::Text,
        };
        if FieldKind::from_name(&word).is_none() {
            self.problem(format!("the field type `{word}` of `{name}` is not known and was read as text"));
        }
        let mut take = |key: &str| attributes.remove(key).unwrap_or_default();
        let mut field = Field {
            name,
            kind,
            validation,
            note: filled(take(attribute::NOTE)),
            section_header: filled(take(attribute::SECTION_HEADER)),
            annotation: filled(take(attribute::ANNOTATION)),
            branching: filled(take(attribute::BRANCHING)).map(twice),
            required: take(attribute::REQUIRED) == "y",
            identifier: take(attribute::IDENTIFIER) == "y",
            calculation: filled(take(attribute::CALCULATION)).map(twice),
            slider_labels: filled(take(attribute::SLIDER_LABELS)),
            matrix_group: filled(take(attribute::MATRIX_GROUP)),
            choices: fixed_choices(kind),
            ..Field::default()
        };
        attributes.retain(|key, value| key.starts_with("redcap:") && !value.is_empty());
        field.settings = attributes;
        let line = self.line();
        field.line = Line(line);
        self.items.push(Item { field, code_list: None, line });
    }

    fn end(&mut self, name: &str) {
        let content = std::mem::take(&mut self.content);
        let parent = self.open.last().map(String::as_str).unwrap_or_default();
        let grandparent = self.open.iter().rev().nth(1).map(String::as_str).unwrap_or_default();
        match (name, parent) {
            ("StudyName", _) => self.project.title = content,
            ("StudyDescription" | "ProtocolName" | "redcap:RepeatingInstrumentsAndEvents", _) => {}
            ("redcap:SurveyInvitationEmailField", _) => self.project.invitation_email_field = filled(content),
            ("redcap:Purpose", _) => self.project.purpose = content,
            ("redcap:MissingDataCodes", _) => self.project.missing_data_codes = parse_choices(&content),
            (setting, "GlobalVariables") if !setting.ends_with("Group") && !content.trim().is_empty() => {
                let name = setting.trim_start_matches("redcap:").to_owned();
                self.project.settings.insert(name, content);
            }
            ("TranslatedText", "Question") => {
                if let Some(item) = self.items.last_mut().filter(|_| grandparent == "ItemDef") {
                    item.field.label = content;
                }
            }
            ("redcap:FormattedTranslatedText", "Question") => {
                if let Some(item) = self.items.last_mut() {
                    item.field.label_html = filled(content);
                }
            }
            ("TranslatedText", "Decode") => {
                let list = self.code_list.as_ref().and_then(|oid| self.code_lists.get_mut(oid));
                if let Some(list) = list {
                    list.items.push(Choice { code: std::mem::take(&mut self.coded_value), label: content });
                }
            }
            ("CheckValue", _) => {
                if let Some(item) = self.items.last_mut() {
                    match self.comparator.as_str() {
                        "GE" | "GT" => item.field.min = filled(content),
                        "LE" | "LT" => item.field.max = filled(content),
                        _ => {}
                    }
                }
            }
            ("CodeList", _) => self.code_list = None,
            ("ItemGroupDef", _) => self.group = None,
            ("StudyEventDef", _) => self.event = None,
            ("FormData", _) => {
                self.form = None;
                if self.place.instrument.take().is_some() {
                    self.place.instance = 1;
                }
            }
            ("StudyEventData", _) => self.place = Place::default(),
            ("SubjectData", _) => {
                self.place = Place::default();
                self.project.records.extend(self.record.take());
            }
            _ => {}
        }
    }

    fn value(&mut self, oid: String, value: String) {
        let line = self.line();
        if self.record.is_none() {
            self.problem("a value stands outside every record and was left out".to_owned());
            return;
        }
        let index = self.project.records.len();
        match oid.strip_suffix("_timestamp") {
            Some(form) if self.project.instrument(form).is_some() => {
                self.timestamps.push((index, form.to_owned(), self.place.clone(), value));
            }
            _ => self.values.push((index, oid, self.place.clone(), value, line)),
        }
    }

    fn finish(mut self) -> (Project, Vec<Problem>) {
        let project = &mut self.project;
        project.longitudinal = !project.events.is_empty();
        if !project.longitudinal {
            project.events = Project::classic("").events;
            project.form_events = project
                .instruments
                .iter()
                .map(|form| FormEvent { event: CLASSIC_EVENT.to_owned(), instrument: form.name.clone() })
                .collect();
        }
        // Items come in any order; the groups of an instrument say where each belongs.
        let form_of: HashMap<&str, &str> = self
            .order
            .iter()
            .filter_map(|(group, variable)| {
                let form = self.groups.get(group).map(String::as_str);
                Some((variable.as_str(), form.or_else(|| group.split('.').next())?))
            })
            .collect();
        let mut seen: HashSet<String> = HashSet::new();
        for item in self.items {
            let Item { mut field, code_list, line } = item;
            if project.status_of(&field.name).is_some() {
                continue;
            }
            let list = code_list.and_then(|oid| self.code_lists.get(&oid));
            if let Some(list) = list {
                field.choices = if field.kind == FieldKind::Checkbox && !list.checkbox.is_empty() {
                    list.checkbox.clone()
                } else if fixed_choices(field.kind).is_empty() {
                    list.items.clone()
                } else {
                    fixed_choices(field.kind)
                };
            }
            // A checkbox is one item per choice.
            if seen.contains(&field.name) {
                if field.kind != FieldKind::Checkbox {
                    let sentence = format!("`{}` is defined twice; the second was left out", field.name);
                    self.problems.push(Problem { line, sentence });
                }
                continue;
            }
            let Some(form) = form_of.get(field.name.as_str()) else {
                let sentence = format!("`{}` is on no instrument and was left out", field.name);
                self.problems.push(Problem { line, sentence });
                continue;
            };
            (*form).clone_into(&mut field.instrument);
            seen.insert(field.name.clone());
            project.fields.push(field);
        }
        if project.record_id_field.is_empty() {
            project.record_id_field =
                project.fields.first().map(|field| field.name.clone()).unwrap_or_default();
        }
        for (record, form, place, value) in self.timestamps {
            let timestamp = if value == "[not completed]" {
                SurveyTimestamp::NotCompleted
            } else {
                SurveyTimestamp::Completed(value.replacen('T', " ", 1))
            };
            if let (Some(record), false) = (project.records.get_mut(record), timestamp_is_blank(&timestamp)) {
                record.set_survey_timestamp(&form, place.event.as_deref(), place.instance, timestamp);
            }
        }
        store_values(project, self.values, &mut self.problems);
        (self.project, self.problems)
    }
}

fn timestamp_is_blank(timestamp: &SurveyTimestamp) -> bool {
    matches!(timestamp, SurveyTimestamp::Completed(at) if at.is_empty())
}

fn store_values(
    project: &mut Project,
    values: Vec<(usize, String, Place, String, usize)>,
    problems: &mut Vec<Problem>,
) {
    let mut records = std::mem::take(&mut project.records);
    for (record, oid, place, value, line) in values {
        let field = project.field(oid.split("___").next().unwrap_or_default());
        if field.is_none() && project.status_of(&oid).is_none() && !oid.starts_with("redcap_") {
            problems.push(Problem {
                line,
                sentence: format!("a value of `{oid}`, which is no field, was left out"),
            });
            continue;
        }
        // ODM parts a date from its time with a `T`; REDCap itself uses a blank.
        let is_moment = field
            .and_then(|field| field.validation.as_deref())
            .is_some_and(|validation| validation.starts_with("datetime_"));
        let value = if is_moment { value.replacen('T', " ", 1) } else { value };
        if let Some(record) = records.get_mut(record) {
            record.set(&oid, &place, &value);
        }
    }
    project.records = records;
}

fn filled(text: String) -> Option<String> {
    if text.trim().is_empty() { None } else { Some(text) }
}

/// Conditions are sometimes escaped a second time inside their attribute. Logic itself has no `&lt;`,
/// so undoing it cannot change its meaning.
fn twice(text: String) -> String {
    if ["&lt;", "&gt;", "&amp;", "&quot;", "&#039;"].iter().any(|entity| text.contains(entity)) {
        unescape(&text).map_or_else(|_| text.clone(), std::borrow::Cow::into_owned)
    } else {
        text
    }
}

/// Content is HTML, so an escaped `<` may be meant; only a text with no tag and an escaped one was
/// escaped as a whole.
fn html(text: String) -> String {
    if !text.contains('<') && text.contains("&lt;") && text.contains("&gt;") {
        unescape(&text).map_or_else(|_| text.clone(), std::borrow::Cow::into_owned)
    } else {
        text
    }
}

fn take(attributes: &mut Attributes, key: &str) -> String {
    attributes.remove(key).unwrap_or_default()
}

fn flag(attributes: &mut Attributes, key: &str) -> bool {
    take(attributes, key) == "1"
}

fn number(attributes: &mut Attributes, key: &str) -> u32 {
    take(attributes, key).trim().parse().unwrap_or(0)
}

fn rest(mut attributes: Attributes) -> Attributes {
    attributes.retain(|_, value| !value.is_empty());
    attributes
}

fn survey(mut from: Attributes, line: Line) -> Survey {
    Survey {
        instrument: take(&mut from, "form_name"),
        title: take(&mut from, "title"),
        instructions: html(take(&mut from, "instructions")),
        acknowledgement: html(take(&mut from, "acknowledgement")),
        enabled: flag(&mut from, "survey_enabled"),
        save_and_return: flag(&mut from, "save_and_return"),
        expiration: filled(take(&mut from, "survey_expiration")),
        settings: rest(from),
        line,
    }
}

fn condition(from: &mut Attributes) -> Condition {
    Condition {
        survey: filled(take(from, "condition_surveycomplete_survey_id")),
        event: filled(take(from, "condition_surveycomplete_event_id")),
        joined: if take(from, "condition_andor").eq_ignore_ascii_case("or") {
            Joined::Or
        } else {
            Joined::And
        },
        logic: filled(take(from, "condition_logic")).map(twice),
    }
}

fn queue_row(from: &mut Attributes, line: Line) -> QueueRow {
    QueueRow {
        instrument: take(from, "survey_id"),
        event: take(from, "event_id"),
        active: flag(from, "active"),
        auto_start: flag(from, "auto_start"),
        condition: condition(from),
        line,
    }
}

fn invitation(mut from: Attributes, line: Line) -> AutomatedInvitation {
    let from_ = &mut from;
    let option = take(from_, "condition_send_time_option");
    let lag = When::Lag {
        days: number(from_, "condition_send_time_lag_days"),
        hours: number(from_, "condition_send_time_lag_hours"),
        minutes: number(from_, "condition_send_time_lag_minutes"),
    };
    let day = take(from_, "condition_send_next_day_type");
    let time = take(from_, "condition_send_next_time");
    let at = take(from_, "condition_send_time_exact");
    let send = when(&option, lag, day, time, at).unwrap_or_default();

    let option = take(from_, "reminder_type");
    let lag = When::Lag {
        days: number(from_, "reminder_timelag_days"),
        hours: number(from_, "reminder_timelag_hours"),
        minutes: number(from_, "reminder_timelag_minutes"),
    };
    let day = take(from_, "reminder_nextday_type");
    let time = take(from_, "reminder_nexttime");
    let at = take(from_, "reminder_exact_time");
    let reminder = when(&option, lag, day, time, at);

    AutomatedInvitation {
        instrument: take(from_, "survey_id"),
        event: take(from_, "event_id"),
        active: flag(from_, "active"),
        subject: take(from_, "email_subject"),
        content: html(take(from_, "email_content")),
        condition: condition(from_),
        send,
        delivery_type: take(from_, "delivery_type"),
        reminder,
        reminders: number(from_, "reminder_num"),
        reeval_before_send: flag(from_, "reeval_before_send"),
        settings: rest(from),
        line,
    }
}

fn when(option: &str, lag: When, day: String, time: String, at: String) -> Option<When> {
    Some(match option {
        "" => return None,
        "IMMEDIATELY" => When::Immediately,
        "TIME_LAG" => lag,
        "NEXT_OCCURRENCE" => When::NextOccurrence { day, time },
        "EXACT_TIME" => When::At(at),
        other => When::Unknown(other.to_owned()),
    })
}

fn alert(mut from: Attributes, line: Line) -> Alert {
    let from_ = &mut from;
    Alert {
        number: number(from_, "alert_number"),
        title: take(from_, "alert_title"),
        kind: take(from_, "alert_type"),
        active: !flag(from_, "email_deleted"),
        instrument: filled(take(from_, "form_name")),
        event: filled(take(from_, "form_name_event")),
        any_status: flag(from_, "email_incomplete"),
        condition: filled(take(from_, "alert_condition")).map(twice),
        ensure_logic_still_true: flag(from_, "ensure_logic_still_true"),
        prevent_piping_identifiers: flag(from_, "prevent_piping_identifiers"),
        phone_number_to: take(from_, "phone_number_to"),
        email_to: take(from_, "email_to"),
        subject: take(from_, "email_subject"),
        message: html(take(from_, "alert_message")),
        send_on: take(from_, "cron_send_email_on"),
        settings: rest(from),
        line,
    }
}

/// Whether this can be written again as an attribute's name. What is damaged in a file can read as a name
/// with quotes in it.
fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | ':' | '-' | '.');
    name.chars().all(plain) && name.starts_with(|c: char| c.is_alphabetic() || c == '_')
}
