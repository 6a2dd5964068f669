//! From project XML to [`Project`], as a stream.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::num::ParseIntError;

use encoding_rs::{Encoding, UTF_8};
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event as Xml};

use super::{PASSED_OVER, attribute, is_passed_over};
use crate::html::html_to_text;
use crate::html::numbered;
use crate::problem::Problem;
use crate::project::{
    Alert, Arm, AutomatedInvitation, CLASSIC_EVENT, Choice, Condition, Event, Field, FieldKind, FormEvent,
    Instrument, Joined, Line, Project, QueueRow, Repeating, Survey, When, fixed_choices, parse_choices,
    validation_name,
};
use crate::record::{Place, Record, SurveyTimestamp, columns};

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

/// With this begin the records in a file.
const RECORDS_BEGIN: &str = "<ClinicalData";

const AN_ODM_DOCUMENT: &str = "a CDISC ODM document (`<ODM …>`)";

/// Reads a project XML file, with its records if it has any.
pub fn read_project(xml: &[u8]) -> Result<(Project, Vec<Problem>), XmlError> {
    let mut problems = Vec::new();
    let text = decode(xml, &mut problems);
    let mut reading = Reading::new(text.strip_prefix('\u{feff}').unwrap_or(&text));
    reading.problems = problems;
    reading.run()?;
    Ok(reading.finish())
}

/// The file as text: by its byte order mark, or else as its XML declaration says, or else as UTF-8.
/// One damaged label must not cost a study its whole project, so damage is marked and not refused.
fn decode<'a>(xml: &'a [u8], problems: &mut Vec<Problem>) -> Cow<'a, str> {
    let declared = declared_encoding(xml);
    let by_name = declared.and_then(|name| Encoding::for_label(name.as_bytes()));
    if let (Some(name), None) = (declared, by_name) {
        problems.push(
            Problem::new(1, format!("the encoding `{name}` is not known and was read as UTF-8"))
                .with_help("download the project XML from REDCap once more"),
        );
    }
    // A declaration that could be read byte by byte cannot be in UTF-16, whatever it says.
    let by_name = by_name.map_or(UTF_8, Encoding::output_encoding);
    let (text, encoding, damaged) = by_name.decode(xml);
    if damaged {
        let line = match std::str::from_utf8(xml) {
            Err(error) if encoding == UTF_8 => {
                xml[..error.valid_up_to()].split(|&byte| byte == b'\n').count()
            }
            _ => 0,
        };
        let sentence =
            format!("the file is not all {}; what is damaged was marked with `\u{fffd}`", encoding.name());
        // The records come last, so from their first sign on a line may be a participant's.
        let before = text.find('\u{fffd}').map_or(&*text, |at| &text[..at]);
        problems.push(
            Problem::new(line, sentence)
                .with_help("look for the sign in REDCap, correct it and download again")
                .withheld_if(before.contains(RECORDS_BEGIN)),
        );
    }
    text
}

/// The encoding an XML declaration names.
fn declared_encoding(xml: &[u8]) -> Option<&str> {
    let start = xml.strip_prefix(b"\xef\xbb\xbf").unwrap_or(xml).trim_ascii_start();
    let end = start.iter().take(200).position(|&byte| byte == b'>')?;
    let declaration = std::str::from_utf8(&start[..end]).ok()?.strip_prefix("<?xml")?;
    let value = declaration.split_once("encoding")?.1.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    value[1..].split(quote).next()
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
    /// Where the piece of the file that is being read begins.
    began: usize,
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
    /// The lines of the project's pairs of event and form.
    pair_lines: Vec<usize>,
    comparator: String,
    /// Records by their ids: a record may come in several pieces.
    records: HashMap<String, usize>,
    record: Option<usize>,
    place: Place,
    form: Option<String>,
    /// Set while within a repeat that the project does not have.
    astray: Option<String>,
    /// The same for the event around it.
    event_astray: Option<String>,
    /// The same for the form around a group of items.
    form_astray: Option<String>,
    /// Problems that a damaged file has by the thousand.
    kinds: Kinds,
    values: Vec<Stored>,
    /// The field a file's content stands in.
    upload: Option<(String, String)>,
}

struct Item {
    field: Field,
    code_list: Option<String>,
    /// The type as it is written; what REDCap adds to the fields of a project has none.
    kind: String,
    line: usize,
}

/// A value of a record, kept until every field is known.
struct Stored {
    record: usize,
    oid: String,
    place: Place,
    value: String,
    /// Why the place is none, if it is none.
    astray: Option<String>,
    line: usize,
}

impl<'a> Reading<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            text,
            reader: Reader::from_str(text),
            began: 0,
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
            pair_lines: Vec::new(),
            comparator: String::new(),
            records: HashMap::new(),
            record: None,
            place: Place::default(),
            form: None,
            astray: None,
            event_astray: None,
            form_astray: None,
            kinds: Kinds::default(),
            values: Vec::new(),
            upload: None,
        }
    }

    /// The line on which what is being read begins. Places only move on, so each line is counted once.
    fn line(&mut self) -> usize {
        let at = self.began.min(self.text.len());
        let (from, line) = self.counted;
        if at > from {
            let passed = self.text.as_bytes()[from..at].split(|&byte| byte == b'\n').count() - 1;
            self.counted = (at, line + passed);
        }
        self.counted.1
    }

    fn problem(&mut self, sentence: String) {
        let problem = self.found(sentence);
        self.problems.push(problem);
    }

    /// A problem with what is being read. Within the records its line may hold a participant's value.
    fn found(&mut self, sentence: String) -> Problem {
        let within_records = self.open.iter().any(|name| name == "ClinicalData");
        Problem::new(self.line(), sentence).withheld_if(within_records)
    }

    /// Reads the attributes of a setting by a function that notes what it could not read.
    fn setting<T>(
        &mut self,
        name: &str,
        attributes: &mut Attributes,
        read: fn(Attributes, Line, &mut Vec<Unread>) -> T,
    ) -> T {
        let mut unread = Vec::new();
        let setting = read(std::mem::take(attributes), Line(self.line()), &mut unread);
        for Unread { key, text, instead } in unread {
            let sentence = format!("`{text}` in `{key}` of `<{name}>` is no whole number; {instead}");
            let help = "correct the number in REDCap and download the project XML once more";
            let problem = self.found(sentence).with_help(help);
            self.problems.push(problem);
        }
        setting
    }

    fn run(&mut self) -> Result<(), XmlError> {
        loop {
            self.began = usize::try_from(self.reader.buffer_position()).unwrap_or(usize::MAX);
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
                    self.text(&decoded(&entity).0)?;
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
            let (value, is_whole) = decoded(&attribute.value);
            let key = attribute.key.0.to_owned();
            if !is_whole {
                let sentence =
                    format!("`{key}` of `<{}>` has an `&` that is no entity; it was kept", start.name().0);
                let problem = self.found(sentence).with_help("write `&amp;` for a plain `&`");
                self.kinds.tell("attributes with an `&` that is no entity", problem, &mut self.problems);
            }
            attributes.insert(key, with_plain_breaks(value));
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
            "ODM" => {
                let at = filled(take("CreationDateTime")).unwrap_or_else(|| take("AsOfDateTime"));
                self.project.exported_at = at.replacen('T', " ", 1);
                self.project.redcap_version = take("SourceSystemVersion");
            }
            // Kept as it is: what is in it was packed by another program.
            "redcap:MultilanguageSettings" => {
                let settings = filled(take("settings"));
                self.project.settings.extend(settings.map(|it| ("MultilanguageSettings".to_owned(), it)));
            }
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
                let line = Line(self.line());
                self.project.surveys.push(survey(std::mem::take(&mut attributes), line));
            }
            "redcap:SurveysQueue" => {
                let line = Line(self.line());
                self.project.queue.push(queue_row(std::mem::take(&mut attributes), line));
            }
            "redcap:SurveysScheduler" => {
                let read = self.setting(&name, &mut attributes, invitation);
                self.project.invitations.push(read);
            }
            "redcap:Alerts" => {
                let read = self.setting(&name, &mut attributes, alert);
                self.project.alerts.push(read);
            }
            "StudyEventDef" => {
                let unique_name = filled(take("redcap:UniqueEventName"))
                    .unwrap_or_else(|| take("OID").trim_start_matches("Event.").to_owned());
                let label = filled(take("redcap:EventName")).unwrap_or_else(|| take("Name"));
                let given = take("redcap:ArmNum");
                let arm_name = take("redcap:ArmName");
                let arm = counted(&given).unwrap_or_else(|_| {
                    // REDCap ends the name of an event with the number of its arm.
                    let arm = unique_name.rsplit_once("_arm_").and_then(|(_, number)| number.parse().ok());
                    let sentence =
                        format!("`{given}` is no number of an arm; the arm of `{unique_name}` was read as");
                    let problem = self.found(format!("{sentence} {}", arm.unwrap_or(1)));
                    self.problems.push(problem.with_help("download the project XML from REDCap once more"));
                    arm
                });
                let arm = arm.unwrap_or(1);
                if self.project.arm(arm).is_none() {
                    self.project.arms.push(Arm { number: arm, name: arm_name });
                }
                attributes.retain(|key, _| !is_passed_over(&name, key));
                let settings = std::mem::take(&mut attributes);
                self.event = Some(unique_name.clone());
                self.project.events.push(Event { unique_name, label, arm, settings });
            }
            "FormRef" => {
                let instrument = filled(take("redcap:FormName"))
                    .unwrap_or_else(|| take("FormOID").trim_start_matches("Form.").to_owned());
                if let Some(event) = self.event.clone() {
                    let line = self.line();
                    self.pair_lines.push(line);
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
            "ItemDef" => self.item(std::mem::take(&mut attributes)),
            "CodeListRef" => {
                if let Some(item) = self.items.last_mut() {
                    item.code_list = Some(take("CodeListOID"));
                }
            }
            "RangeCheck" => {
                self.comparator = take("Comparator");
                if !matches!(self.comparator.as_str(), "GE" | "GT" | "LE" | "LT") {
                    let field = self.items.last().map(|item| item.field.name.as_str()).unwrap_or_default();
                    let sentence = format!(
                        "the comparator `{}` of a range of `{field}` is not known; the range was left out",
                        self.comparator
                    );
                    let help = "give the field a least and a greatest value in REDCap";
                    let problem = self.found(sentence).with_help(help);
                    self.problems.push(problem);
                }
            }
            "CodeList" => {
                let oid = take("OID");
                let checkbox = parse_choices(&take("redcap:CheckboxChoices"));
                self.code_lists.insert(oid.clone(), CodeList { items: Vec::new(), checkbox });
                self.code_list = Some(oid);
            }
            "CodeListItem" => self.coded_value = take("CodedValue"),
            "SubjectData" => {
                let id = take("SubjectKey");
                let records = &mut self.project.records;
                let record = *self.records.entry(id).or_insert_with_key(|id| {
                    records.push(Record::new(id));
                    records.len() - 1
                });
                self.record = Some(record);
                // Newer ODM writers put the group beside the key instead of among the values.
                let group = filled(take("redcap:DataAccessGroup"));
                if let Some(group) = group.or_else(|| filled(take("redcap:DataAccessGroupName"))) {
                    let event = self.project.events.first().map(|event| event.unique_name.clone());
                    self.place = Place { event, ..Place::default() };
                    self.value("redcap_data_access_group".to_owned(), group);
                    self.place = Place::default();
                }
            }
            "StudyEventData" => {
                let event = filled(take("redcap:UniqueEventName"))
                    .unwrap_or_else(|| take("StudyEventOID").trim_start_matches("Event.").to_owned());
                let key = counted(&take("StudyEventRepeatKey"));
                let repeats = self.project.event_repeats(&event);
                let is_damaged = key.is_err() || repeats && key == Ok(Some(0));
                let instance = key.ok().flatten().unwrap_or(1).max(1);
                self.place = Place::at(&event);
                self.place.instance = instance;
                // A classic project defines no event, and still may name the one it has.
                let known = match self.project.events.as_slice() {
                    [] => event == CLASSIC_EVENT,
                    events => events.iter().any(|known| known.unique_name == event),
                };
                self.astray = if !known {
                    Some(format!("the event `{event}` is not one of the project's"))
                } else if is_damaged {
                    Some(format!("the instance of the event `{event}` cannot be read"))
                } else if instance > 1 && !repeats {
                    Some(format!("the event `{event}` does not repeat, so it has no instance {instance}"))
                } else {
                    None
                };
                self.event_astray.clone_from(&self.astray);
            }
            "FormData" => {
                let form = take("FormOID").trim_start_matches("Form.").to_owned();
                self.repeat(&form, &take("FormRepeatKey"));
                self.form = Some(form);
            }
            "ItemGroupData" => {
                let form = filled(take("redcap:RepeatInstrument")).or_else(|| self.form.clone());
                self.form_astray.clone_from(&self.astray);
                self.repeat(&form.unwrap_or_default(), &take("redcap:RepeatInstance"));
            }
            "ItemData" => {
                let (oid, value) = (take("ItemOID"), take("Value"));
                self.value(oid, value);
            }
            "ItemDataBase64Binary" | "ItemDataBase64File" => {
                self.upload = Some((take("ItemOID"), take("redcap:DocName")));
            }
            _ => {
                self.unknown(&name, attributes.is_empty());
                return Ok(());
            }
        }
        self.left_over(&name, &attributes);
        Ok(())
    }

    /// Names the attributes of an element that have no place, unless they are known to say nothing.
    fn left_over(&mut self, name: &str, attributes: &Attributes) {
        for (key, value) in attributes {
            if value.trim().is_empty() || is_passed_over(name, key) {
                continue;
            }
            if self.unknown.insert(format!("{name} {key}")) {
                self.problem(format!("the attribute `{key}` of `<{name}>` is not known and was left out"));
            }
        }
    }

    /// Names an element this crate does not know, unless it stands inside a setting that is read as
    /// a whole or is known to say nothing about messages.
    fn unknown(&mut self, name: &str, plain: bool) {
        let parent = self.open.last().map(String::as_str);
        let is_group = name.starts_with("redcap:") && name.ends_with("Group");
        // A plain setting is told apart from the unknown by having no attributes.
        let is_setting = plain && parent == Some("GlobalVariables");
        if PASSED_OVER.iter().any(|(known, _)| *known == name) || is_group || is_setting {
            return;
        }
        // One sentence is enough for a list of a hundred.
        if self.unknown.insert(name.to_owned()) {
            self.problem(format!("`<{name}>` is not known and was left out"));
        }
    }

    fn repeat(&mut self, form: &str, instance: &str) {
        let event = self.place.event_name();
        let repeats = self.project.repeats(event, form);
        let instance = counted(instance);
        if instance.is_err() || repeats && instance == Ok(Some(0)) {
            // It must not become the first instance, which has values of its own.
            let astray = format!("the instance of `{form}` at `{event}` cannot be read");
            self.astray.get_or_insert(astray);
            return;
        }
        let instance = instance.ok().flatten().unwrap_or(0);
        if repeats {
            self.place.instrument = Some(form.to_owned());
            if instance > 0 {
                self.place.instance = instance;
            }
        } else if instance > 1 && !self.project.event_repeats(event) && self.astray.is_none() {
            self.astray =
                Some(format!("`{form}` does not repeat at `{event}`, so it has no instance {instance}"));
        }
    }

    fn item(&mut self, mut attributes: Attributes) {
        let mut take = |key: &str| attributes.remove(key).unwrap_or_default();
        let oid = take("OID");
        let name = filled(take(attribute::VARIABLE)).unwrap_or(oid);
        let word = take(attribute::KIND);
        let validation =
            filled(take(attribute::VALIDATION)).map(|validation| validation_name(&validation).to_owned());
        let kind = match FieldKind::from_name(&word) {
            Some(FieldKind::File) if validation.as_deref() == Some("signature") => FieldKind::Signature,
            Some(kind) => kind,
            None => FieldKind::Text,
        };
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
            matrix_ranking: take(attribute::MATRIX_RANKING) == "y",
            stop_actions: stop_actions(&take(attribute::STOP_ACTIONS)),
            choices: fixed_choices(kind),
            ..Field::default()
        };
        attributes.retain(|key, value| !is_passed_over("ItemDef", key) && !value.is_empty());
        field.settings = attributes;
        let line = self.line();
        field.line = Line(line);
        self.items.push(Item { field, code_list: None, kind: word, line });
    }

    fn end(&mut self, name: &str) {
        let content = with_plain_breaks(std::mem::take(&mut self.content));
        let parent = self.open.last().map(String::as_str).unwrap_or_default();
        let grandparent = self.open.iter().rev().nth(1).map(String::as_str).unwrap_or_default();
        match (name, parent) {
            ("StudyName", _) => self.project.title = content,
            ("StudyDescription" | "ProtocolName" | "redcap:RepeatingInstrumentsAndEvents", _) => {}
            ("redcap:SurveyInvitationEmailField", _) => self.project.invitation_email_field = filled(content),
            ("redcap:Purpose", _) => self.project.purpose = content,
            ("redcap:ProjectIrbNumber" | "redcap:IrbNumber", _) => self.project.irb_number = content,
            ("redcap:MissingDataCodes", _) => self.project.missing_data_codes = missing_codes(&content),
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
            ("ItemDataBase64Binary" | "ItemDataBase64File", _) => {
                // The content is not kept; that there is a file can be asked for in a condition.
                if let Some((oid, name)) = self.upload.take()
                    && !(name.is_empty() && content.trim().is_empty())
                {
                    let name = filled(name).unwrap_or_else(|| "[document]".to_owned());
                    self.value(oid, name);
                }
            }
            ("ItemGroupData", _) => self.astray.clone_from(&self.form_astray),
            ("FormData", _) => {
                self.form = None;
                let event_astray = self.event_astray.clone();
                self.astray = event_astray;
                if self.place.instrument.take().is_some() {
                    self.place.instance = 1;
                }
            }
            ("StudyEventData", _) => {
                self.place = Place::default();
                self.event_astray = None;
                self.astray = None;
            }
            ("SubjectData", _) => {
                self.place = Place::default();
                self.record = None;
            }
            _ => {}
        }
    }

    fn value(&mut self, oid: String, value: String) {
        let line = self.line();
        let Some(record) = self.record else {
            self.problem("a value stands outside every record and was left out".to_owned());
            return;
        };
        let (place, astray) = (self.place.clone(), self.astray.clone());
        self.values.push(Stored { record, oid, place, value, astray, line });
    }

    fn finish(mut self) -> (Project, Vec<Problem>) {
        let project = &mut self.project;
        project.longitudinal = !project.events.is_empty();
        if project.longitudinal {
            keep_known_pairs(project, &self.pair_lines, &mut self.problems);
        } else {
            let classic = Project::classic("");
            project.events = classic.events;
            project.arms = classic.arms;
            project.form_events = project
                .instruments
                .iter()
                .map(|form| FormEvent { event: CLASSIC_EVENT.to_owned(), instrument: form.name.clone() })
                .collect();
        }
        check_forms(project, &mut self.problems);
        // Items come in any order; the groups of an instrument say where each belongs.
        let form_of: HashMap<&str, &str> = self
            .order
            .iter()
            .filter_map(|(group, variable)| {
                let form = self.groups.get(group).map(String::as_str);
                let by_name = || group.split('.').next().filter(|form| project.instrument(form).is_some());
                Some((variable.as_str(), form.or_else(by_name)?))
            })
            .collect();
        let mut seen: HashSet<String> = HashSet::new();
        for item in self.items {
            let Item { mut field, code_list, kind, line } = item;
            if project.status_of(&field.name).is_some() || kind.is_empty() && is_added(project, &field.name) {
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
                    self.problems.push(Problem::new(line, sentence));
                }
                continue;
            }
            let Some(form) = form_of.get(field.name.as_str()) else {
                let sentence = format!("`{}` is on no instrument and was left out", field.name);
                self.problems.push(Problem::new(line, sentence));
                continue;
            };
            // The file has a rich label as plain text too, but without its line breaks.
            let plain = field.label_html.as_deref().map(html_to_text);
            if let Some(plain) = plain.filter(|plain| !plain.is_empty()) {
                field.label = plain;
            }
            if FieldKind::from_name(&kind).is_none() {
                let name = &field.name;
                let sentence =
                    format!("the field type `{kind}` of `{name}` is not known and was read as text");
                self.problems.push(Problem::new(line, sentence));
            }
            (*form).clone_into(&mut field.instrument);
            seen.insert(field.name.clone());
            project.fields.push(field);
        }
        if project.record_id_field.is_empty() {
            project.record_id_field =
                project.fields.first().map(|field| field.name.clone()).unwrap_or_default();
        }
        store_values(project, self.values, self.kinds, &mut self.problems);
        self.problems.sort_by_key(|problem| problem.line);
        (self.project, self.problems)
    }
}

/// Whether a name is one that REDCap adds to the fields of a project when it writes the file.
fn is_added(project: &Project, name: &str) -> bool {
    matches!(name, "redcap_data_access_group" | "redcap_survey_identifier")
        || name.strip_suffix("_timestamp").is_some_and(|form| project.instrument(form).is_some())
}

/// Leaves out the pairs of event and form whose form is not defined.
fn keep_known_pairs(project: &mut Project, lines: &[usize], problems: &mut Vec<Problem>) {
    let forms: HashSet<&str> = project.instruments.iter().map(|form| form.name.as_str()).collect();
    let mut lines = lines.iter();
    project.form_events.retain(|FormEvent { event, instrument }| {
        let line = lines.next().copied().unwrap_or_default();
        let known = forms.contains(instrument.as_str());
        if !known {
            let sentence =
                format!("`{event}` has the form `{instrument}`, which is not defined; it was left out");
            problems.push(Problem::new(line, sentence));
        }
        known
    });
}

/// Names the surveys and repeats of forms that are not defined. They are kept: they change nothing.
fn check_forms(project: &Project, problems: &mut Vec<Problem>) {
    let forms: HashSet<&str> = project.instruments.iter().map(|form| form.name.as_str()).collect();
    for Survey { instrument, line, .. } in &project.surveys {
        if !forms.contains(instrument.as_str()) {
            let sentence = format!("there is a survey of the form `{instrument}`, which is not defined");
            problems.push(Problem::new(line.0, sentence));
        }
    }
    for instrument in project.repeating.iter().filter_map(|repeating| repeating.instrument.as_deref()) {
        if !forms.contains(instrument) {
            problems.push(Problem::new(0, format!("the form `{instrument}` repeats and is not defined")));
        }
    }
}

/// Problems of one kind: the first few are told one by one, the rest are counted.
#[derive(Default)]
struct Kind {
    told: usize,
    untold: usize,
    last: usize,
    withheld: bool,
}

/// How many problems of one kind are told one by one.
const TOLD: usize = 20;

#[derive(Default)]
struct Kinds {
    by_name: BTreeMap<&'static str, Kind>,
}

impl Kinds {
    fn tell(&mut self, kind: &'static str, problem: Problem, problems: &mut Vec<Problem>) {
        let kind = self.by_name.entry(kind).or_default();
        if kind.told < TOLD {
            kind.told += 1;
            problems.push(problem);
        } else {
            kind.untold += 1;
            kind.last = problem.line;
            kind.withheld = problem.withheld;
        }
    }

    fn sum_up(self, problems: &mut Vec<Problem>) {
        for (name, kind) in self.by_name {
            if kind.untold > 0 {
                let sentence = format!("and {} more {name}", kind.untold);
                problems.push(Problem::new(kind.last, sentence).withheld_if(kind.withheld));
            }
        }
    }
}

fn store_values(project: &mut Project, values: Vec<Stored>, mut kinds: Kinds, problems: &mut Vec<Problem>) {
    let mut records = std::mem::take(&mut project.records);
    // The line of a value is never shown.
    let told = |line: usize, sentence: String| Problem::new(line, sentence).withheld_if(true);
    let boxes: HashMap<&str, HashSet<String>> = project
        .fields
        .iter()
        .filter(|field| field.kind == FieldKind::Checkbox)
        .map(|field| {
            let missing = project.missing_data_codes.iter();
            let missing = missing.map(|code| crate::record::checkbox_column(&field.name, &code.code));
            (field.name.as_str(), columns(field).into_iter().chain(missing).collect())
        })
        .collect();
    for Stored { record, oid, place, value, astray, line } in values {
        let Some(record) = records.get_mut(record) else { continue };
        if let Some(astray) = astray {
            let problem = told(line, format!("a value of `{oid}` was left out: {astray}"));
            kinds.tell("values at places that are none", problem, problems);
            continue;
        }
        let field = project.field(&oid).or_else(|| project.field(oid.split_once("___")?.0));
        let Some(field) = field else {
            let form = oid.strip_suffix("_timestamp").filter(|form| project.instrument(form).is_some());
            if let Some(form) = form {
                store_timestamp(record, form, &place, &value);
            } else if project.status_of(&oid).is_some() || oid.starts_with("redcap_") {
                record.set(&oid, &place, &value);
            } else {
                let sentence = format!("a value of `{oid}`, which is no field, was left out");
                kinds.tell("values of what is no field", told(line, sentence), problems);
            }
            continue;
        };
        let name = &field.name;
        let column = oid.to_ascii_lowercase();
        let is_box = boxes.get(name.as_str()).is_some_and(|boxes| boxes.contains(&column));
        if field.kind == FieldKind::Checkbox && !is_box
            || field.kind != FieldKind::Checkbox && !name.eq_ignore_ascii_case(&oid)
        {
            let sentence = format!("a value of `{oid}`, which is no choice of `{name}`, was left out");
            kinds.tell("values of what is no choice", told(line, sentence), problems);
            continue;
        }
        let is_choice = field.kind != FieldKind::Sql && field.kind.is_single_choice();
        if is_choice
            && !value.is_empty()
            && field.choice_label(&value).is_none()
            && !project.is_missing_code(&value)
        {
            // Not the value itself: what a participant answered is nobody's log line.
            let sentence = format!("a value of `{name}` is none of its choices; it was kept");
            kinds.tell("values that are none of the choices", told(line, sentence), problems);
        }
        // ODM parts a date from its time with a `T`; REDCap itself uses a blank.
        let is_moment =
            field.validation.as_deref().is_some_and(|validation| validation.starts_with("datetime_"));
        let value = if is_moment { value.replacen('T', " ", 1) } else { value };
        record.set(&oid, &place, &value);
    }
    kinds.sum_up(problems);
    project.records = records;
}

fn store_timestamp(record: &mut Record, form: &str, place: &Place, value: &str) {
    let timestamp = match value {
        "" => return,
        "[not completed]" => SurveyTimestamp::NotCompleted,
        at => SurveyTimestamp::Completed(at.replacen('T', " ", 1)),
    };
    record.set_survey_timestamp(form, place.event.as_deref(), place.instance, timestamp);
}

/// The codes of the choices that end a survey. How they are parted is not public, so each sign that
/// is in no code parts them.
fn stop_actions(text: &str) -> Vec<String> {
    let codes = text.split(|c: char| c.is_whitespace() || matches!(c, ',' | '|' | ';'));
    codes.filter(|code| !code.is_empty()).map(str::to_owned).collect()
}

/// Codes are written one per line, so that their labels may hold a bar; where there is one line only,
/// bars part them as they part choices.
fn missing_codes(text: &str) -> Vec<Choice> {
    let text = text.trim();
    if !text.contains('\n') {
        return parse_choices(text);
    }
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let (code, label) = line.split_once(',').unwrap_or((line, line));
            Choice { code: code.trim().to_owned(), label: label.trim().to_owned() }
        })
        .collect()
}

/// XML knows one line break. REDCap writes what browsers send, which is two characters.
fn with_plain_breaks(text: String) -> String {
    if text.contains('\r') { text.replace("\r\n", "\n") } else { text }
}

fn filled(text: String) -> Option<String> {
    if text.trim().is_empty() { None } else { Some(text) }
}

/// Conditions are sometimes escaped a second time inside their attribute. Logic itself has no `&lt;`,
/// so undoing it cannot change its meaning.
fn twice(text: String) -> String {
    if ["&lt;", "&gt;", "&amp;", "&quot;", "&#039;"].iter().any(|entity| text.contains(entity)) {
        decoded(&text).0
    } else {
        text
    }
}

/// Content is HTML, so an escaped `<` may be meant; only a text with no tag and an escaped one was
/// escaped as a whole.
fn html(text: String) -> String {
    if !text.contains('<') && text.contains("&lt;") && text.contains("&gt;") {
        decoded(&text).0
    } else {
        text
    }
}

/// A text with its entities as what they stand for, and whether each `&` began one. One that XML does not
/// know, as `&nbsp;`, must not cost the others their meaning, so it is left as it is.
fn decoded(text: &str) -> (String, bool) {
    /// Longer than every reference to a character, leading zeros and all.
    const LONGEST: usize = 16;
    let (mut out, mut rest, mut is_whole) = (String::with_capacity(text.len()), text, true);
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        let end = after.bytes().take(LONGEST).position(|byte| byte == b';');
        if let Some((means, end)) = end.and_then(|end| Some((entity(&after[..end])?, end))) {
            out.push(means);
            rest = &after[end + 1..];
        } else {
            out.push('&');
            is_whole = false;
            rest = after;
        }
    }
    out.push_str(rest);
    (out, is_whole)
}

/// What an entity of XML stands for.
fn entity(name: &str) -> Option<char> {
    Some(match name {
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "quot" => '"',
        "apos" => '\'',
        _ => numbered(name)?,
    })
}

/// A number that may be left blank.
fn counted(text: &str) -> Result<Option<u32>, ParseIntError> {
    match text.trim() {
        "" => Ok(None),
        text => text.parse().map(Some),
    }
}

/// What could not be read of a setting's attribute.
struct Unread {
    key: &'static str,
    text: String,
    instead: &'static str,
}

fn take(attributes: &mut Attributes, key: &str) -> String {
    attributes.remove(key).unwrap_or_default()
}

fn flag(attributes: &mut Attributes, key: &str) -> bool {
    take(attributes, key) == "1"
}

/// A number, where blank is 0; or else the text that is none.
fn number(attributes: &mut Attributes, key: &str) -> Result<u32, String> {
    match take(attributes, key).trim() {
        "" => Ok(0),
        text => text.parse().map_err(|_| text.to_owned()),
    }
}

/// A number without which the rest still has a meaning. One that cannot be read is noted and is 0.
fn number_or_none(attributes: &mut Attributes, key: &'static str, unread: &mut Vec<Unread>) -> u32 {
    number(attributes, key).unwrap_or_else(|text| {
        unread.push(Unread { key, text, instead: "it was read as 0" });
        0
    })
}

/// A lag of days, hours and minutes. One that cannot be read is not known: were it 0, its message would be
/// due at once.
fn lag(attributes: &mut Attributes, keys: [&'static str; 3], unread: &mut Vec<Unread>) -> When {
    let mut damaged = None;
    let [days, hours, minutes] = keys.map(|key| {
        number(attributes, key).unwrap_or_else(|text| {
            damaged.get_or_insert_with(|| text.clone());
            unread.push(Unread { key, text, instead: "nobody knows when to send" });
            0
        })
    });
    damaged.map_or(When::Lag { days, hours, minutes }, When::Unknown)
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

fn queue_row(mut from: Attributes, line: Line) -> QueueRow {
    QueueRow {
        instrument: take(&mut from, "survey_id"),
        event: take(&mut from, "event_id"),
        active: flag(&mut from, "active"),
        auto_start: flag(&mut from, "auto_start"),
        condition: condition(&mut from),
        settings: rest(from),
        line,
    }
}

fn invitation(mut from: Attributes, line: Line, unread: &mut Vec<Unread>) -> AutomatedInvitation {
    let from_ = &mut from;
    let option = take(from_, "condition_send_time_option");
    let keys =
        ["condition_send_time_lag_days", "condition_send_time_lag_hours", "condition_send_time_lag_minutes"];
    let after = lag(from_, keys, unread);
    let day = take(from_, "condition_send_next_day_type");
    let time = take(from_, "condition_send_next_time");
    let at = take(from_, "condition_send_time_exact");
    let send = when(&option, after, day, time, at).unwrap_or_default();

    let option = take(from_, "reminder_type");
    let keys = ["reminder_timelag_days", "reminder_timelag_hours", "reminder_timelag_minutes"];
    let after = lag(from_, keys, unread);
    let day = take(from_, "reminder_nextday_type");
    let time = take(from_, "reminder_nexttime");
    let at = take(from_, "reminder_exact_time");
    let reminder = when(&option, after, day, time, at);

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
        reminders: number_or_none(from_, "reminder_num", unread),
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

fn alert(mut from: Attributes, line: Line, unread: &mut Vec<Unread>) -> Alert {
    let from_ = &mut from;
    Alert {
        number: number_or_none(from_, "alert_number", unread),
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
