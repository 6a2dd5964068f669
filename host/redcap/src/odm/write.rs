//! From [`Project`] to project XML: what a stand-in for REDCap answers to `content=project_xml`.

use std::collections::BTreeMap;

use quick_xml::escape::escape;

use super::{VALIDATION_NAMES, attribute};
use crate::project::{
    Alert, AutomatedInvitation, Choice, Condition, Event, Field, FieldKind, Instrument, Joined, Project,
    QueueRow, Survey, When,
};
use crate::record::{Record, SurveyTimestamp, checkbox_column};

/// Writes a project as [`super::read_project`] reads it. The file is enough for this crate and for
/// people; it is not meant to be loaded into REDCap.
#[must_use]
pub fn write_project(project: &Project) -> String {
    let mut out = Xml { text: "<?xml version=\"1.0\" encoding=\"UTF-8\" ?>\n".to_owned() };
    out.open(
        "ODM",
        &[
            ("xmlns", "http://www.cdisc.org/ns/odm/v1.3"),
            ("xmlns:redcap", "https://projectredcap.org"),
            ("ODMVersion", "1.3.1"),
            ("FileType", "Snapshot"),
            ("SourceSystem", "REDCap"),
            ("CreationDateTime", &project.exported_at.replacen(' ', "T", 1)),
            ("SourceSystemVersion", &project.redcap_version),
        ],
    );
    out.open("Study", &[("OID", "Project")]);
    global_variables(project, &mut out);
    metadata(project, &mut out);
    out.close("Study");
    if !project.records.is_empty() {
        out.open("ClinicalData", &[("StudyOID", "Project"), ("MetaDataVersionOID", "Metadata")]);
        for record in &project.records {
            write_record(project, record, &mut out);
        }
        out.close("ClinicalData");
    }
    out.close("ODM");
    out.text
}

struct Xml {
    text: String,
}

impl Xml {
    fn start(&mut self, name: &str, attributes: &[(&str, &str)], end: &str) {
        self.text.push('<');
        self.text.push_str(name);
        for (key, value) in attributes {
            self.text.push(' ');
            self.text.push_str(key);
            self.text.push_str("=\"");
            self.text.push_str(&escape(*value));
            self.text.push('"');
        }
        self.text.push_str(end);
    }

    fn open(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.start(name, attributes, ">\n");
    }

    fn empty(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.start(name, attributes, "/>\n");
    }

    fn close(&mut self, name: &str) {
        self.text.push_str("</");
        self.text.push_str(name);
        self.text.push_str(">\n");
    }

    fn element(&mut self, name: &str, content: &str) {
        self.start(name, &[], ">");
        self.text.push_str(&escape(content));
        self.close(name);
    }

    /// An empty element with owned attributes and the settings that have no place of their own.
    fn settings(&mut self, name: &str, own: &[(&str, String)], others: &BTreeMap<String, String>) {
        let attributes: Vec<(&str, &str)> = own
            .iter()
            .map(|(key, value)| (*key, value.as_str()))
            .chain(others.iter().map(|(key, value)| (key.as_str(), value.as_str())))
            .collect();
        self.empty(name, &attributes);
    }
}

fn flag(truth: bool) -> String {
    u8::from(truth).to_string()
}

fn optional(text: Option<&String>) -> String {
    text.cloned().unwrap_or_default()
}

fn global_variables(project: &Project, out: &mut Xml) {
    out.open("GlobalVariables", &[]);
    out.element("StudyName", &project.title);
    for (name, value) in &project.settings {
        out.element(&format!("redcap:{name}"), value);
    }
    out.element("redcap:SurveyInvitationEmailField", &optional(project.invitation_email_field.as_ref()));
    out.element("redcap:Purpose", &project.purpose);
    if !project.irb_number.is_empty() {
        out.element("redcap:ProjectIrbNumber", &project.irb_number);
    }
    let codes: Vec<_> =
        project.missing_data_codes.iter().map(|Choice { code, label }| format!("{code}, {label}")).collect();
    out.element("redcap:MissingDataCodes", &codes.join("\n"));
    if !project.repeating.is_empty() {
        out.open("redcap:RepeatingInstrumentsAndEvents", &[]);
        for repeating in &project.repeating {
            let event = ("redcap:UniqueEventName", repeating.event.as_str());
            let label = ("redcap:CustomLabel", repeating.custom_label.as_str());
            match &repeating.instrument {
                Some(form) => {
                    out.open("redcap:RepeatingInstruments", &[]);
                    out.empty(
                        "redcap:RepeatingInstrument",
                        &[event, ("redcap:RepeatInstrument", form), label],
                    );
                    out.close("redcap:RepeatingInstruments");
                }
                None => out.empty("redcap:RepeatingEvent", &[event, label]),
            }
        }
        out.close("redcap:RepeatingInstrumentsAndEvents");
    }
    out.open("redcap:SurveysGroup", &[]);
    project.surveys.iter().for_each(|survey| write_survey(survey, out));
    out.close("redcap:SurveysGroup");
    out.open("redcap:SurveysSchedulerGroup", &[]);
    project.invitations.iter().for_each(|invitation| write_invitation(invitation, out));
    out.close("redcap:SurveysSchedulerGroup");
    out.open("redcap:SurveysQueueGroup", &[]);
    project.queue.iter().for_each(|row| write_queue_row(row, out));
    out.close("redcap:SurveysQueueGroup");
    out.open("redcap:AlertsGroup", &[]);
    project.alerts.iter().for_each(|alert| write_alert(alert, out));
    out.close("redcap:AlertsGroup");
    out.close("GlobalVariables");
}

fn write_survey(survey: &Survey, out: &mut Xml) {
    let own = [
        ("form_name", survey.instrument.clone()),
        ("title", survey.title.clone()),
        ("instructions", survey.instructions.clone()),
        ("acknowledgement", survey.acknowledgement.clone()),
        ("survey_enabled", flag(survey.enabled)),
        ("save_and_return", flag(survey.save_and_return)),
        ("survey_expiration", optional(survey.expiration.as_ref())),
    ];
    out.settings("redcap:Surveys", &own, &survey.settings);
}

fn condition(condition: &Condition) -> [(&'static str, String); 4] {
    let joined = match condition.joined {
        Joined::And => "AND",
        Joined::Or => "OR",
    };
    [
        ("condition_surveycomplete_survey_id", optional(condition.survey.as_ref())),
        ("condition_surveycomplete_event_id", optional(condition.event.as_ref())),
        ("condition_andor", joined.to_owned()),
        ("condition_logic", optional(condition.logic.as_ref())),
    ]
}

fn write_queue_row(row: &QueueRow, out: &mut Xml) {
    let mut own = vec![
        ("survey_id", row.instrument.clone()),
        ("event_id", row.event.clone()),
        ("active", flag(row.active)),
        ("auto_start", flag(row.auto_start)),
    ];
    own.extend(condition(&row.condition));
    out.settings("redcap:SurveysQueue", &own, &row.settings);
}

/// The attributes of a time: its word, the lag's parts, the day, the time of day, the exact time.
fn when(when: &When, keys: [&'static str; 7]) -> Vec<(&'static str, String)> {
    let [word, days, hours, minutes, day, time, exact] = keys;
    match when {
        When::Immediately => vec![(word, "IMMEDIATELY".to_owned())],
        When::Lag { days: d, hours: h, minutes: m } => vec![
            (word, "TIME_LAG".to_owned()),
            (days, d.to_string()),
            (hours, h.to_string()),
            (minutes, m.to_string()),
        ],
        When::NextOccurrence { day: on, time: at } => {
            vec![(word, "NEXT_OCCURRENCE".to_owned()), (day, on.clone()), (time, at.clone())]
        }
        When::At(at) => vec![(word, "EXACT_TIME".to_owned()), (exact, at.clone())],
        When::Unknown(other) => vec![(word, other.clone())],
    }
}

fn write_invitation(invitation: &AutomatedInvitation, out: &mut Xml) {
    let mut own = vec![
        ("survey_id", invitation.instrument.clone()),
        ("event_id", invitation.event.clone()),
        ("active", flag(invitation.active)),
        ("email_subject", invitation.subject.clone()),
        ("email_content", invitation.content.clone()),
        ("delivery_type", invitation.delivery_type.clone()),
        ("reminder_num", invitation.reminders.to_string()),
        ("reeval_before_send", flag(invitation.reeval_before_send)),
    ];
    own.extend(condition(&invitation.condition));
    own.extend(when(
        &invitation.send,
        [
            "condition_send_time_option",
            "condition_send_time_lag_days",
            "condition_send_time_lag_hours",
            "condition_send_time_lag_minutes",
            "condition_send_next_day_type",
            "condition_send_next_time",
            "condition_send_time_exact",
        ],
    ));
    if let Some(reminder) = &invitation.reminder {
        own.extend(when(
            reminder,
            [
                "reminder_type",
                "reminder_timelag_days",
                "reminder_timelag_hours",
                "reminder_timelag_minutes",
                "reminder_nextday_type",
                "reminder_nexttime",
                "reminder_exact_time",
            ],
        ));
    }
    out.settings("redcap:SurveysScheduler", &own, &invitation.settings);
}

fn write_alert(alert: &Alert, out: &mut Xml) {
    let own = [
        ("alert_number", alert.number.to_string()),
        ("alert_title", alert.title.clone()),
        ("alert_type", alert.kind.clone()),
        ("email_deleted", flag(!alert.active)),
        ("form_name", optional(alert.instrument.as_ref())),
        ("form_name_event", optional(alert.event.as_ref())),
        ("email_incomplete", flag(alert.any_status)),
        ("alert_condition", optional(alert.condition.as_ref())),
        ("ensure_logic_still_true", flag(alert.ensure_logic_still_true)),
        ("prevent_piping_identifiers", flag(alert.prevent_piping_identifiers)),
        ("phone_number_to", alert.phone_number_to.clone()),
        ("email_to", alert.email_to.clone()),
        ("email_subject", alert.subject.clone()),
        ("alert_message", alert.message.clone()),
        ("cron_send_email_on", alert.send_on.clone()),
    ];
    out.settings("redcap:Alerts", &own, &alert.settings);
}

fn metadata(project: &Project, out: &mut Xml) {
    let name = [
        ("OID", "Metadata"),
        ("Name", project.title.as_str()),
        ("redcap:RecordIdField", project.record_id_field.as_str()),
    ];
    out.open("MetaDataVersion", &name);
    if project.longitudinal {
        for event in &project.events {
            write_event(project, event, out);
        }
    }
    for Instrument { name, label } in &project.instruments {
        let (oid, group) = (format!("Form.{name}"), format!("{name}.all"));
        out.open(
            "FormDef",
            &[("OID", &oid), ("Name", label), ("Repeating", "No"), ("redcap:FormName", name)],
        );
        out.empty("ItemGroupRef", &[("ItemGroupOID", &group), ("Mandatory", "No")]);
        out.close("FormDef");
    }
    for Instrument { name, label } in &project.instruments {
        let (group, status) = (format!("{name}.all"), format!("{name}_complete"));
        out.open("ItemGroupDef", &[("OID", &group), ("Name", label), ("Repeating", "No")]);
        let fields =
            project.fields_of(name).flat_map(|field| items(field).into_iter().map(move |item| (item, field)));
        for (item, field) in fields {
            let mandatory = if field.required { "Yes" } else { "No" };
            out.empty(
                "ItemRef",
                &[("ItemOID", &item), ("Mandatory", mandatory), (attribute::VARIABLE, &field.name)],
            );
        }
        out.empty("ItemRef", &[("ItemOID", &status), ("Mandatory", "No"), (attribute::VARIABLE, &status)]);
        out.close("ItemGroupDef");
    }
    for field in &project.fields {
        for (index, item) in items(field).iter().enumerate() {
            write_item(field, item, field.choices.get(index), out);
        }
    }
    for field in &project.fields {
        write_code_lists(field, out);
    }
    out.close("MetaDataVersion");
}

fn write_event(project: &Project, event: &Event, out: &mut Xml) {
    let (oid, arm) = (format!("Event.{}", event.unique_name), event.arm.to_string());
    let arm_name = project.arm(event.arm).map_or("", |arm| arm.name.as_str());
    let mut attributes = vec![
        ("OID", oid.as_str()),
        ("Name", &event.label),
        ("Type", "Common"),
        ("Repeating", "No"),
        ("redcap:EventName", &event.label),
        ("redcap:UniqueEventName", &event.unique_name),
        ("redcap:ArmNum", &arm),
        ("redcap:ArmName", arm_name),
    ];
    attributes.extend(event.settings.iter().map(|(key, value)| (key.as_str(), value.as_str())));
    out.open("StudyEventDef", &attributes);
    for pair in project.form_events.iter().filter(|pair| pair.event == event.unique_name) {
        let form = format!("Form.{}", pair.instrument);
        out.empty(
            "FormRef",
            &[("FormOID", &form), ("Mandatory", "No"), ("redcap:FormName", &pair.instrument)],
        );
    }
    out.close("StudyEventDef");
}

/// The items of a field: one per choice for a checkbox.
fn items(field: &Field) -> Vec<String> {
    match field.kind {
        FieldKind::Checkbox if !field.choices.is_empty() => {
            field.choices.iter().map(|choice| checkbox_column(&field.name, &choice.code)).collect()
        }
        _ => vec![field.name.clone()],
    }
}

fn write_item(field: &Field, item: &str, choice: Option<&Choice>, out: &mut Xml) {
    // The project XML has its own words for two of the types.
    let kind = match field.kind {
        FieldKind::Dropdown => "select",
        FieldKind::Notes => "textarea",
        kind => kind.name(),
    };
    let validation = field.validation.as_deref().map(|validation| {
        let known = VALIDATION_NAMES.iter().find(|(_, dictionary)| *dictionary == validation);
        known.map_or(validation, |(xml, _)| xml)
    });
    let stop_actions = field.stop_actions.join(",");
    let mut attributes = vec![
        ("OID", item),
        ("Name", item),
        ("DataType", if field.kind == FieldKind::Checkbox { "boolean" } else { "text" }),
        (attribute::VARIABLE, &field.name),
        (attribute::KIND, kind),
    ];
    let optional = [
        (attribute::VALIDATION, validation),
        (attribute::NOTE, field.note.as_deref()),
        (attribute::SECTION_HEADER, field.section_header.as_deref()),
        (attribute::ANNOTATION, field.annotation.as_deref()),
        (attribute::BRANCHING, field.branching.as_deref()),
        (attribute::REQUIRED, field.required.then_some("y")),
        (attribute::IDENTIFIER, field.identifier.then_some("y")),
        (attribute::CALCULATION, field.calculation.as_deref()),
        (attribute::SLIDER_LABELS, field.slider_labels.as_deref()),
        (attribute::MATRIX_GROUP, field.matrix_group.as_deref()),
        (attribute::MATRIX_RANKING, field.matrix_ranking.then_some("y")),
        (attribute::STOP_ACTIONS, Some(stop_actions.as_str()).filter(|codes| !codes.is_empty())),
    ];
    attributes.extend(optional.into_iter().filter_map(|(key, value)| Some((key, value?))));
    attributes.extend(field.settings.iter().map(|(key, value)| (key.as_str(), value.as_str())));
    out.open("ItemDef", &attributes);
    out.open("Question", &[]);
    out.element("TranslatedText", &field.label);
    if let Some(html) = &field.label_html {
        out.element("redcap:FormattedTranslatedText", html);
    }
    out.close("Question");
    for (comparator, bound) in [("GE", &field.min), ("LE", &field.max)] {
        if let Some(bound) = bound {
            out.open("RangeCheck", &[("Comparator", comparator), ("SoftHard", "Soft")]);
            out.element("CheckValue", bound);
            out.close("RangeCheck");
        }
    }
    if choice.is_some() {
        out.empty("CodeListRef", &[("CodeListOID", &format!("{item}.choices"))]);
    }
    out.close("ItemDef");
}

fn write_code_lists(field: &Field, out: &mut Xml) {
    let all: Vec<_> = field.choices.iter().map(|Choice { code, label }| format!("{code}, {label}")).collect();
    let all = all.join(" | ");
    let checked = [("1", "Checked"), ("0", "Unchecked")];
    if field.choices.is_empty() {
        return;
    }
    for item in items(field) {
        let oid = format!("{item}.choices");
        let mut attributes = vec![("OID", oid.as_str()), ("Name", &item), (attribute::VARIABLE, &field.name)];
        let choices: Vec<(&str, &str)> = if field.kind == FieldKind::Checkbox {
            attributes.push(("redcap:CheckboxChoices", &all));
            checked.to_vec()
        } else {
            field.choices.iter().map(|choice| (choice.code.as_str(), choice.label.as_str())).collect()
        };
        out.open("CodeList", &attributes);
        for (code, label) in choices {
            out.open("CodeListItem", &[("CodedValue", code)]);
            out.open("Decode", &[]);
            out.element("TranslatedText", label);
            out.close("Decode");
            out.close("CodeListItem");
        }
        out.close("CodeList");
    }
}

fn write_record(project: &Project, record: &Record, out: &mut Xml) {
    out.open(
        "SubjectData",
        &[("SubjectKey", &record.id), ("redcap:RecordIdField", &project.record_id_field)],
    );
    let mut timestamps: Vec<_> = record.survey_timestamps().collect();
    let row = |out: &mut Xml,
               event: &str,
               repeat: Option<&str>,
               instance: u32,
               values: &[(String, String)]| {
        let (oid, instance) = (format!("Event.{event}"), instance.to_string());
        let of_event = if repeat.is_some() { "1" } else { &instance };
        out.open(
            "StudyEventData",
            &[("StudyEventOID", &oid), ("StudyEventRepeatKey", of_event), ("redcap:UniqueEventName", event)],
        );
        let form = repeat.map_or_else(|| "Form".to_owned(), |form| format!("Form.{form}"));
        out.open("FormData", &[("FormOID", &form), ("FormRepeatKey", &instance)]);
        out.open("ItemGroupData", &[("ItemGroupOID", "all")]);
        for (oid, value) in values {
            out.empty("ItemData", &[("ItemOID", oid), ("Value", value)]);
        }
        out.close("ItemGroupData");
        out.close("FormData");
        out.close("StudyEventData");
    };
    for place in record.places() {
        let mut values: Vec<(String, String)> =
            record.values(place).map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        timestamps.retain(|(instrument, event, instance, timestamp)| {
            let repeat = project.repeats(event, instrument).then_some(*instrument);
            let here = *event == place.event_name()
                && *instance == place.instance
                && repeat == place.instrument.as_deref();
            if here {
                values.push((format!("{instrument}_timestamp"), timestamp_text(timestamp)));
            }
            !here
        });
        row(out, place.event_name(), place.instrument.as_deref(), place.instance, &values);
    }
    // A survey may have been started without anything being stored.
    for (instrument, event, instance, timestamp) in timestamps {
        let repeat = project.repeats(event, instrument).then_some(instrument);
        let value = (format!("{instrument}_timestamp"), timestamp_text(timestamp));
        row(out, event, repeat, instance, &[value]);
    }
    out.close("SubjectData");
}

fn timestamp_text(timestamp: &SurveyTimestamp) -> String {
    match timestamp {
        SurveyTimestamp::NotCompleted => "[not completed]".to_owned(),
        SurveyTimestamp::Completed(at) => at.clone(),
    }
}
