//! Project XML: CDISC ODM with REDCap's extensions, the only route to survey settings, the queue,
//! automated invitations and alerts.
//!
//! The shape is taken from public project files of several REDCap versions. What this crate does
//! not know is named in a [`Problem`] and left out; it never stops the reading.

mod read;
mod write;

pub use read::{XmlError, read_project};
pub use write::write_project;

pub use crate::problem::Problem;

/// The project XML's names for what the data dictionary calls otherwise.
const VALIDATION_NAMES: [(&str, &str); 2] = [("int", "integer"), ("float", "number")];

/// Elements that are passed over with all their attributes, and why.
const PASSED_OVER: [(&str, &str); 31] = [
    ("Study", "names the project a second time"),
    ("GlobalVariables", "holds others"),
    ("Protocol", "repeats the order of the events"),
    ("StudyEventRef", "repeats the order of the events"),
    ("Question", "holds others"),
    ("TranslatedText", "its text is read"),
    ("redcap:FormattedTranslatedText", "its text is read"),
    ("CheckValue", "its text is read"),
    ("ErrorMessage", "says a range in words"),
    ("Decode", "holds others"),
    ("ClinicalData", "holds others"),
    ("AuditRecord", "who entered a value, and when"),
    ("redcap:RepeatingInstrumentsAndEvents", "holds others"),
    ("redcap:RepeatingInstruments", "holds others"),
    ("redcap:Attachment", "a file shown on a form"),
    ("redcap:OdmAttachment", "a file"),
    ("redcap:Reports", "what staff look at"),
    ("redcap:ReportFolders", "what staff look at"),
    ("redcap:RecordDashboards", "what staff look at"),
    ("redcap:ProjectDashboards", "what staff look at"),
    ("redcap:UserRoles", "who may do what"),
    ("redcap:DataAccessGroups", "labels only; each record has the name of its group"),
    ("redcap:DataQualityRules", "what staff look for"),
    ("redcap:Econsent", "the consent page of a web survey"),
    ("redcap:EconsentForms", "the consent page of a web survey"),
    ("redcap:PdfSnapshots", "what is filed after a survey"),
    ("redcap:Randomization", "done by REDCap alone"),
    ("redcap:DdpMapping", "data from a clinic's systems"),
    ("redcap:DdpPreviewFields", "data from a clinic's systems"),
    ("redcap:MycapProjects", "an app of its own"),
    ("redcap:MycapThemes", "an app of its own"),
];

/// Attributes that are passed over, by element, and why.
const PASSED_OVER_ATTRIBUTES: [(&str, &[&str], &str); 12] = [
    (
        "ODM",
        &["ODMVersion", "FileOID", "FileType", "Description", "AsOfDateTime", "SourceSystem"],
        "the same in every file, or the title and the time a second time",
    ),
    ("MetaDataVersion", &["OID", "Name"], "the title a second time"),
    ("StudyEventDef", &["OID", "Name", "Type", "Repeating"], "a second name; `Repeating` is always `No`"),
    ("FormRef", &["FormOID", "OrderNumber", "Mandatory"], "a second name, and the order they stand in"),
    ("FormDef", &["OID", "Repeating"], "a second name; `Repeating` is always `No`"),
    ("ItemGroupRef", &["Mandatory", "OrderNumber"], "always `No`"),
    ("ItemGroupDef", &["Name", "Repeating"], "the heading of the group, which is the field's too"),
    (
        "ItemRef",
        &["ItemOID", "Mandatory", "OrderNumber"],
        "a second name; the field says whether it is required",
    ),
    (
        "ItemDef",
        &["OID", "Name", "DataType", "Length", "SignificantDigits", "SASFieldName"],
        "a second name, and what follows from type and validation",
    ),
    ("RangeCheck", &["SoftHard"], "always `Soft`"),
    ("CodeList", &["Name", "DataType", "redcap:Variable"], "who refers to the list says it"),
    ("CodeListItem", &["Rank", "OrderNumber"], "the order they stand in"),
];

/// Attributes of the elements of records that are passed over: second names of what is read.
const PASSED_OVER_IN_RECORDS: [(&str, &[&str]); 6] = [
    ("SubjectData", &["redcap:RecordIdField"]),
    ("StudyEventData", &["StudyEventOID"]),
    ("FormData", &[]),
    ("ItemGroupData", &["ItemGroupOID", "ItemGroupRepeatKey"]),
    ("ItemDataBase64Binary", &["redcap:MimeType"]),
    ("ItemDataBase64File", &["redcap:MimeType"]),
];

/// Whether an attribute says nothing that is not known from elsewhere.
fn is_passed_over(element: &str, attribute: &str) -> bool {
    let in_definition = PASSED_OVER_ATTRIBUTES
        .iter()
        .any(|(name, attributes, _)| *name == element && attributes.contains(&attribute));
    let in_record = || {
        PASSED_OVER_IN_RECORDS
            .iter()
            .any(|(name, attributes)| *name == element && attributes.contains(&attribute))
    };
    // The names of XML's own vocabularies.
    attribute.starts_with("xml") || attribute.starts_with("xsi:") || in_definition || in_record()
}

/// Attributes of an item that have a place of their own in [`crate::project::Field`].
mod attribute {
    pub(super) const VARIABLE: &str = "redcap:Variable";
    pub(super) const KIND: &str = "redcap:FieldType";
    pub(super) const VALIDATION: &str = "redcap:TextValidationType";
    pub(super) const NOTE: &str = "redcap:FieldNote";
    pub(super) const SECTION_HEADER: &str = "redcap:SectionHeader";
    pub(super) const ANNOTATION: &str = "redcap:FieldAnnotation";
    pub(super) const BRANCHING: &str = "redcap:BranchingLogic";
    pub(super) const REQUIRED: &str = "redcap:RequiredField";
    pub(super) const IDENTIFIER: &str = "redcap:Identifier";
    pub(super) const CALCULATION: &str = "redcap:Calculation";
    pub(super) const SLIDER_LABELS: &str = "redcap:SliderLabels";
    pub(super) const MATRIX_GROUP: &str = "redcap:MatrixGroupName";
    pub(super) const MATRIX_RANKING: &str = "redcap:MatrixRanking";
    /// Taken from how a third party's reader calls it; no public file has it.
    pub(super) const STOP_ACTIONS: &str = "redcap:StopActions";
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::project::{FieldKind, Joined, Project, When};
    use crate::record::{Place, SurveyTimestamp};

    pub(crate) const SMALL: &str = include_str!("../tests/data/small.xml");

    pub(crate) fn small_project() -> Project {
        read_project(SMALL.as_bytes()).unwrap().0
    }

    #[test]
    fn a_small_project_is_read_whole() {
        let (project, problems) = read_project(SMALL.as_bytes()).unwrap();
        assert_eq!(problems, []);
        assert_eq!(project.title, "Sleep & Breath");
        assert_eq!(project.record_id_field, "record_id");
        assert!(project.longitudinal);
        assert_eq!(project.events.len(), 2);
        assert_eq!(project.event("followup_arm_1").map(|event| event.label.as_str()), Some("Follow-up"));
        assert_eq!(project.instruments.len(), 2);
        assert_eq!(project.instruments_of("followup_arm_1").count(), 1);
        assert!(project.repeats("baseline_arm_1", "bp"));
        assert_eq!(project.invitation_email_field.as_deref(), Some("email"));
        assert_eq!(project.missing_data_codes.len(), 2);

        let symptoms = project.field("symptoms").unwrap();
        assert_eq!(symptoms.kind, FieldKind::Checkbox);
        assert_eq!(symptoms.choice_label("-99"), Some("None, really"));
        assert_eq!(symptoms.branching.as_deref(), Some("[age] >= 18\nand [first_name] <> ''"));
        let age = project.field("age").unwrap();
        assert_eq!(
            (age.validation.as_deref(), age.min.as_deref(), age.max.as_deref()),
            (Some("integer"), Some("1"), Some("120"))
        );
        assert_eq!(project.field("first_name").map(|field| field.identifier), Some(true));
        assert_eq!(project.field("entry_complete"), None);
        assert_eq!(project.status_of("entry_complete").map(|form| form.name.as_str()), Some("entry"));
        assert_eq!(project.field("color").and_then(|field| field.choice_label("2")), Some("Blue"));

        let survey = project.survey("entry").unwrap();
        assert!(survey.enabled && survey.save_and_return);
        assert_eq!(survey.settings["text_size"], "1");
        assert_eq!(project.queue.len(), 1);

        let invitation = &project.invitations[0];
        assert_eq!(invitation.condition.joined, Joined::Or);
        assert_eq!(invitation.condition.logic.as_deref(), Some("[age] > 17"));
        assert_eq!(invitation.send, When::NextOccurrence { day: "DAY".into(), time: "08:00:00".into() });
        assert_eq!(invitation.reminder, Some(When::Lag { days: 0, hours: 2, minutes: 0 }));
        assert_eq!(invitation.reminders, 2);
        assert_eq!(invitation.settings["condition_send_time_lag_field"], "[visit]");
        assert!(invitation.content.starts_with("<p>Hello [first_name]\n"));

        let alert = &project.alerts[0];
        assert_eq!((alert.number, alert.kind.as_str(), alert.active), (1, "SMS", true));

        let record = &project.records[0];
        let base = Place::at("baseline_arm_1");
        assert_eq!(record.get("first_name", &base), Some("Ann"));
        assert_eq!(record.get("visit", &base), Some("2026-11-23 10:00"));
        assert!(record.checkbox("symptoms", "-99", &base));
        assert_eq!(record.get("systolic", &Place::of(&project, "baseline_arm_1", "bp", 2)), Some("140"));
        assert_eq!(
            record.survey_timestamp("entry", Some("baseline_arm_1"), 1),
            Some(&SurveyTimestamp::Completed("2026-11-23 10:05:00".into()))
        );
    }

    #[test]
    fn what_is_written_reads_back_the_same() {
        let project = small_project();
        let (again, problems) = read_project(write_project(&project).as_bytes()).unwrap();
        assert_eq!(problems, []);
        assert_eq!(again.records, project.records);
        assert_eq!(again, project);
    }

    #[test]
    fn a_classic_project_keeps_its_one_event() {
        let mut project = small_project();
        project.longitudinal = false;
        project.events = Project::classic("").events;
        project.form_events.clear();
        for instrument in &project.instruments {
            project.form_events.push(crate::project::FormEvent {
                event: crate::project::CLASSIC_EVENT.into(),
                instrument: instrument.name.clone(),
            });
        }
        project.records.clear();
        let mut record = crate::Record::new("7");
        record.set("record_id", &Place::default(), "7");
        record.set("age", &Place::default(), "40");
        project.records.push(record);
        assert_eq!(read_project(write_project(&project).as_bytes()).unwrap(), (project, vec![]));
    }

    #[test]
    fn a_repeating_event_counts_its_rows() {
        let repeating = "<redcap:RepeatingEvent redcap:UniqueEventName=\"followup_arm_1\"/>";
        let row = "<StudyEventData StudyEventOID=\"Event.followup_arm_1\" StudyEventRepeatKey=\"2\" \
                   redcap:UniqueEventName=\"followup_arm_1\"><FormData FormOID=\"Form.entry\" FormRepeatKey=\"1\">\
                   <ItemGroupData ItemGroupOID=\"entry.record_id\" ItemGroupRepeatKey=\"1\">\
                   <ItemData ItemOID=\"age\" Value=\"41\"/></ItemGroupData></FormData></StudyEventData>";
        let text = SMALL
            .replace("<redcap:RepeatingInstruments>", &format!("{repeating}<redcap:RepeatingInstruments>"))
            .replace("</SubjectData>", &format!("{row}</SubjectData>"));
        let (project, problems) = read_project(text.as_bytes()).unwrap();
        assert_eq!(problems, []);
        let second = Place::of(&project, "followup_arm_1", "entry", 2);
        assert_eq!(project.records[0].get("age", &second), Some("41"));
        assert_eq!(project.records[0].last_instance("followup_arm_1", None), 2);
        assert_eq!(read_project(write_project(&project).as_bytes()).unwrap().0, project);
    }

    #[test]
    fn other_files_are_refused_with_their_line() {
        for (text, wanted) in [
            ("hello", "line 1: expected a CDISC ODM document (`<ODM …>`), found text"),
            ("\n<html><body>", "line 2: expected a CDISC ODM document (`<ODM …>`), found `<html>`"),
            ("", "line 1: expected a CDISC ODM document (`<ODM …>`), found nothing"),
            ("<ODM>\n<Study></ODM>", "line 2: the XML is broken"),
            (
                "<ODM></ODM>",
                "line 1: expected the definition of a project (`<MetaDataVersion …>`), found none",
            ),
        ] {
            assert_eq!(read_project(text.as_bytes()).unwrap_err().to_string(), wanted);
        }
    }

    #[test]
    fn what_is_not_known_is_named_with_its_line() {
        let text = SMALL.replace("<redcap:Purpose>", "<redcap:Novelty a=\"1\"/>\n<redcap:Purpose>");
        let (_, problems) = read_project(text.as_bytes()).unwrap();
        let sentences: Vec<_> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(sentences, ["line 8: `<redcap:Novelty>` is not known and was left out"]);
    }

    /// Every attribute of a file changes what is read, or is on a list of those that cannot.
    #[test]
    fn every_attribute_is_accounted_for() {
        use std::collections::BTreeMap;

        let small = SMALL.replacen(
            "redcap:FieldNote=\"in years\"",
            "redcap:FieldNote=\"in years\" redcap:SectionHeader=\"You\" redcap:FieldAnnotation=\"@HIDDEN\" \
             redcap:Calculation=\"1\" redcap:SliderLabels=\"a | b\" redcap:MatrixGroupName=\"m\" \
             redcap:MatrixRanking=\"y\" redcap:StopActions=\"1\" redcap:VideoUrl=\"https://example.org\"",
            1,
        );
        let small = small.replace("\"entry.record_id\"", "\"group\"");
        let whole = read_project(small.as_bytes()).unwrap();
        let mut matters: BTreeMap<(String, String), bool> = BTreeMap::new();
        let mut reader = quick_xml::Reader::from_str(&small);
        let mut began = 0;
        loop {
            let event = reader.read_event().unwrap();
            let ended = usize::try_from(reader.buffer_position()).unwrap();
            if let quick_xml::events::Event::Start(start) | quick_xml::events::Event::Empty(start) = &event {
                let piece = &small[began..ended];
                for attribute in start.attributes() {
                    let attribute = attribute.unwrap();
                    let (element, key) = (start.name().0.to_owned(), attribute.key.0.to_owned());
                    let written = format!(" {key}=\"{}\"", attribute.value);
                    assert!(piece.contains(&written), "{written}");
                    let known = matters.entry((element, key.clone())).or_default();
                    // A flag may already be what a word that is none is read as.
                    for other in ["zz", "1", "2", "y", "OR"] {
                        let changed = piece.replacen(&written, &format!(" {key}=\"{other}\""), 1);
                        let text = format!("{}{changed}{}", &small[..began], &small[ended..]);
                        *known |= read_project(text.as_bytes()).is_ok_and(|read| read != whole);
                        if *known {
                            break;
                        }
                    }
                }
            }
            if event == quick_xml::events::Event::Eof {
                break;
            }
            began = ended;
        }
        assert!(matters.len() > 100);
        for ((element, key), matters) in matters {
            let passed_over =
                is_passed_over(&element, &key) || PASSED_OVER.iter().any(|(name, _)| *name == element);
            assert!(matters || passed_over, "`{key}` of `<{element}>` is dropped without a word");
        }
    }

    #[test]
    fn an_attribute_without_a_place_is_kept_or_named() {
        let text = SMALL
            .replacen("<redcap:SurveysQueue ", "<redcap:SurveysQueue novel=\"1\" ", 1)
            .replacen("redcap:DayOffset=\"1\"", "redcap:DayOffset=\"1\" Novel=\"1\"", 1)
            .replace("<ItemDef ", "<ItemDef Novel=\"1\" ")
            .replace("<FormDef ", "<FormDef Novel=\"1\" ");
        let (project, problems) = read_project(text.as_bytes()).unwrap();
        assert_eq!(project.queue[0].settings["novel"], "1");
        assert_eq!(project.events[0].settings["Novel"], "1");
        assert_eq!(project.field("age").unwrap().settings["Novel"], "1");
        assert_eq!(
            sentences(&problems),
            ["line 41: the attribute `Novel` of `<FormDef>` is not known and was left out"]
        );
        assert_eq!(read_project(write_project(&project).as_bytes()).unwrap(), (project, vec![]));
    }

    fn sentences(problems: &[Problem]) -> Vec<String> {
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_the_head_says_is_kept() {
        let text = SMALL
            .replacen(
                "SourceSystem=\"REDCap\"",
                "SourceSystem=\"REDCap\" SourceSystemVersion=\"13.8.1\" AsOfDateTime=\"2023-07-31T14:49:07\" \
                 CreationDateTime=\"2023-07-31T14:49:07\"",
                1,
            )
            .replacen(
                "<redcap:Purpose>",
                "<redcap:ProjectIrbNumber>IRB 7</redcap:ProjectIrbNumber><redcap:Purpose>",
                1,
            )
            .replacen("UNK, Unknown | NI, No information", "UNK, Unknown | not known\nNI, No information", 1);
        let (project, problems) = read_project(text.as_bytes()).unwrap();
        assert_eq!(problems, []);
        assert_eq!(
            (project.exported_at.as_str(), project.redcap_version.as_str()),
            ("2023-07-31 14:49:07", "13.8.1")
        );
        assert_eq!(project.irb_number, "IRB 7");
        assert_eq!(project.missing_data_codes.len(), 2);
        assert_eq!(read_project(write_project(&project).as_bytes()).unwrap(), (project, vec![]));
    }

    #[test]
    fn arms_are_found_at_their_events() {
        let second = "<StudyEventDef OID=\"Event.baseline_arm_2\" Name=\"Baseline (Arm 2: Control)\" \
                      redcap:EventName=\"Baseline\" redcap:UniqueEventName=\"baseline_arm_2\" \
                      redcap:ArmNum=\"2\" redcap:ArmName=\"Control\"/>";
        let text = SMALL.replacen("<FormDef ", &format!("{second}<FormDef "), 1);
        let (project, problems) = read_project(text.as_bytes()).unwrap();
        assert_eq!(problems, []);
        let arms: Vec<_> = project.arms.iter().map(|arm| (arm.number, arm.name.as_str())).collect();
        assert_eq!(arms, [(1, "Arm 1"), (2, "Control")]);
        let event = project.event("baseline_arm_2").unwrap();
        assert_eq!((event.label.as_str(), event.arm), ("Baseline", 2));
        assert_eq!(read_project(write_project(&project).as_bytes()).unwrap(), (project, vec![]));
    }

    #[test]
    fn a_file_is_read_in_the_encoding_it_says() {
        let text = SMALL.replace("Favourite color", "Größe “x”");
        let windows = text.replacen("UTF-8", "windows-1252", 1);
        let windows = encoding_rs::WINDOWS_1252.encode(&windows).0.into_owned();
        let wide: Vec<u8> =
            [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect();
        let marked = [b"\xef\xbb\xbf", text.as_bytes()].concat();
        for bytes in [windows, wide, marked] {
            let (project, problems) = read_project(&bytes).unwrap();
            assert_eq!(problems, []);
            assert_eq!(project.field("color").unwrap().label, "Größe “x”");
        }
        let mut damaged = SMALL.replacen("Favourite", "Favourit\u{0}", 1).into_bytes();
        let at = damaged.iter().position(|&byte| byte == 0).unwrap();
        damaged[at] = 0xff;
        let (project, problems) = read_project(&damaged).unwrap();
        assert_eq!(project.field("color").unwrap().label, "Favourit\u{fffd} color");
        assert_eq!(
            sentences(&problems),
            ["line 92: the file is not all UTF-8; what is damaged was marked with `\u{fffd}`"]
        );
        let unknown = SMALL.replacen("UTF-8", "EBCDIC", 1);
        let (_, problems) = read_project(unknown.as_bytes()).unwrap();
        assert_eq!(
            sentences(&problems),
            ["line 1: the encoding `EBCDIC` is not known and was read as UTF-8"]
        );
    }

    #[test]
    fn a_truncated_file_is_refused() {
        for cut in (1..SMALL.trim_end().len()).step_by(97) {
            let error = read_project(&SMALL.as_bytes()[..cut]).unwrap_err();
            assert!(error.to_string().starts_with("line "));
        }
    }

    #[test]
    fn lines_are_those_where_elements_begin() {
        let (project, _) = read_project(SMALL.as_bytes()).unwrap();
        let line_of = |text: &str| 1 + SMALL[..SMALL.find(text).unwrap()].matches('\n').count();
        // The invitation and the field reach over two lines each.
        assert_eq!(project.invitations[0].line.0, line_of("<redcap:SurveysScheduler "));
        assert_eq!(project.field("symptoms").unwrap().line.0, line_of("<ItemDef OID=\"symptoms___1\""));
        assert_eq!(project.surveys[0].line.0, line_of("<redcap:Surveys "));
        assert_eq!(project.queue[0].line.0, line_of("<redcap:SurveysQueue "));
        assert_eq!(project.alerts[0].line.0, line_of("<redcap:Alerts "));
    }

    /// Puts values into the first event of the first record.
    fn with_values(values: &str) -> String {
        SMALL.replacen(
            "<ItemData ItemOID=\"first_name\"",
            &format!("{values}<ItemData ItemOID=\"first_name\""),
            1,
        )
    }

    #[test]
    fn what_redcap_adds_to_the_fields_is_none_of_them() {
        let items =
            ["redcap_data_access_group", "redcap_survey_identifier", "entry_timestamp", "entry_timestamp"];
        let definitions = items.map(|item| {
            format!(
                "<ItemDef OID=\"{item}\" Name=\"{item}\" DataType=\"text\" redcap:Variable=\"{item}\">\
                 <Question><TranslatedText>x</TranslatedText></Question></ItemDef>"
            )
        });
        let references =
            items.map(|item| format!("<ItemRef ItemOID=\"{item}\" redcap:Variable=\"{item}\"/>"));
        let text = with_values("<ItemData ItemOID=\"redcap_data_access_group\" Value=\"daga\"/>")
            .replacen("<ItemDef ", &format!("{}<ItemDef ", definitions.concat()), 1)
            .replacen("<ItemRef ", &format!("{}<ItemRef ", references.concat()), 1);
        let (project, problems) = read_project(text.as_bytes()).unwrap();
        assert_eq!(problems, []);
        assert_eq!(project.fields, small_project().fields);
        let place = Place::at("baseline_arm_1");
        assert_eq!(project.records[0].get("redcap_data_access_group", &place), Some("daga"));
        let text = SMALL.replacen("<SubjectData ", "<SubjectData redcap:DataAccessGroup=\"daga\" ", 1);
        let (project, problems) = read_project(text.as_bytes()).unwrap();
        assert_eq!(problems, []);
        assert_eq!(project.records[0].get("redcap_data_access_group", &place), Some("daga"));
    }

    #[test]
    fn a_file_is_stored_by_its_name() {
        let field = "<ItemDef OID=\"photo\" redcap:Variable=\"photo\" redcap:FieldType=\"file\"/>";
        for (value, wanted) in [
            ("redcap:DocName=\"me.png\" redcap:MimeType=\"image/png\"><![CDATA[aGk=]]>", Some("me.png")),
            ("><![CDATA[aGk=]]>", Some("[document]")),
            (">", None),
        ] {
            let value = format!("<ItemDataBase64Binary ItemOID=\"photo\" {value}</ItemDataBase64Binary>");
            let text = with_values(&value).replacen("<ItemDef ", &format!("{field}<ItemDef "), 1).replacen(
                "<ItemRef ",
                "<ItemRef ItemOID=\"photo\" redcap:Variable=\"photo\"/><ItemRef ",
                1,
            );
            let (project, problems) = read_project(text.as_bytes()).unwrap();
            assert_eq!(problems, []);
            assert_eq!(project.records[0].get("photo", &Place::at("baseline_arm_1")), wanted);
        }
    }

    #[test]
    fn values_without_a_place_are_named_and_counted() {
        for (values, wanted, kept) in [
            (
                "<ItemData ItemOID=\"x\" Value=\"1\"/>",
                "a value of `x`, which is no field, was left out",
                None,
            ),
            (
                "<ItemData ItemOID=\"symptoms___7\" Value=\"1\"/>",
                "a value of `symptoms___7`, which is no choice of `symptoms`, was left out",
                None,
            ),
            (
                "<ItemData ItemOID=\"age___1\" Value=\"1\"/>",
                "a value of `age___1`, which is no choice of `age`, was left out",
                None,
            ),
            (
                "<ItemData ItemOID=\"color\" Value=\"9\"/>",
                "a value of `color` is none of its choices; it was kept",
                Some(("color", "9")),
            ),
        ] {
            let (project, problems) = read_project(with_values(values).as_bytes()).unwrap();
            assert_eq!(sentences(&problems), [format!("line 148: {wanted}")]);
            if let Some((field, value)) = kept {
                assert_eq!(project.records[0].get(field, &Place::at("baseline_arm_1")), Some(value));
            }
        }
        let missing =
            "<ItemData ItemOID=\"color\" Value=\"UNK\"/><ItemData ItemOID=\"symptoms___unk\" Value=\"1\"/>";
        assert_eq!(read_project(with_values(missing).as_bytes()).unwrap().1, []);
        let many = "<ItemData ItemOID=\"x\" Value=\"1\"/>\n".repeat(25);
        let (_, problems) = read_project(with_values(&many).as_bytes()).unwrap();
        assert_eq!(problems.len(), 21);
        assert_eq!(problems[20].to_string(), "line 172: and 5 more values of what is no field");
    }

    #[test]
    fn values_of_repeats_that_are_none_are_left_out() {
        let row = |event: &str, of_event: u32, form: u32| {
            format!(
                "<StudyEventData StudyEventOID=\"Event.{event}\" StudyEventRepeatKey=\"{of_event}\" \
                 redcap:UniqueEventName=\"{event}\"><FormData FormOID=\"Form.entry\" FormRepeatKey=\"{form}\">\
                 <ItemGroupData ItemGroupOID=\"\"><ItemData ItemOID=\"age\" Value=\"41\"/></ItemGroupData>\
                 </FormData></StudyEventData></SubjectData>"
            )
        };
        for (row, wanted) in [
            (row("followup_arm_1", 1, 1), None),
            (
                row("followup_arm_1", 2, 1),
                Some("the event `followup_arm_1` does not repeat, so it has no instance 2"),
            ),
            (
                row("followup_arm_1", 1, 3),
                Some("`entry` does not repeat at `followup_arm_1`, so it has no instance 3"),
            ),
            (row("other_arm_1", 1, 1), Some("the event `other_arm_1` is not one of the project's")),
        ] {
            let text = SMALL.replacen("</SubjectData>", &row, 1);
            let (project, problems) = read_project(text.as_bytes()).unwrap();
            let wanted: Vec<_> =
                wanted.iter().map(|why| format!("line 166: a value of `age` was left out: {why}")).collect();
            assert_eq!(sentences(&problems), wanted);
            let age = project.records[0].get("age", &Place::at("followup_arm_1"));
            assert_eq!(age.is_some(), wanted.is_empty());
        }
    }

    /// A number that is damaged must not make a message due at once.
    #[test]
    fn a_damaged_number_is_named_and_never_read_as_at_once() {
        for (from, to, told) in [
            (
                "condition_send_time_option=\"NEXT_OCCURRENCE\"",
                "condition_send_time_option=\"TIME_LAG\" condition_send_time_lag_hours=\"1.5\"",
                "line 19: `1.5` in `condition_send_time_lag_hours` of `<redcap:SurveysScheduler>` is no whole \
                 number; nobody knows when to send",
            ),
            (
                "reminder_timelag_hours=\"2\"",
                "reminder_timelag_hours=\"two\"",
                "line 19: `two` in `reminder_timelag_hours` of `<redcap:SurveysScheduler>` is no whole number; \
                 nobody knows when to send",
            ),
            (
                "reminder_num=\"2\"",
                "reminder_num=\"-2\"",
                "line 19: `-2` in `reminder_num` of `<redcap:SurveysScheduler>` is no whole number; it was read \
                 as 0",
            ),
            (
                "alert_number=\"1\"",
                "alert_number=\"#1\"",
                "line 26: `#1` in `alert_number` of `<redcap:Alerts>` is no whole number; it was read as 0",
            ),
            (
                "Comparator=\"GE\"",
                "Comparator=\"NE\"",
                "line 85: the comparator `NE` of a range of `age` is not known; the range was left out",
            ),
        ] {
            let text = SMALL.replacen(from, to, 1);
            let (project, problems) = read_project(text.as_bytes()).unwrap();
            assert_eq!(sentences(&problems), [told]);
            assert!(problems[0].help.is_some() && !problems[0].withheld);
            let invitation = &project.invitations[0];
            match from {
                _ if to.contains("1.5") => assert_eq!(invitation.send, When::Unknown("1.5".to_owned())),
                _ if to.contains("two") => {
                    assert_eq!(invitation.reminder, Some(When::Unknown("two".to_owned())));
                }
                _ if from.contains("reminder_num") => assert_eq!(invitation.reminders, 0),
                _ if from.contains("alert") => assert_eq!(project.alerts[0].number, 0),
                _ => assert_eq!(project.field("age").unwrap().min, None),
            }
        }
    }

    #[test]
    fn the_arm_of_a_damaged_number_is_taken_from_the_events_name() {
        let text = SMALL.replacen("redcap:ArmNum=\"1\"", "redcap:ArmNum=\"one\"", 1);
        let (project, problems) = read_project(text.as_bytes()).unwrap();
        assert_eq!(project, small_project());
        assert_eq!(
            sentences(&problems),
            ["line 34: `one` is no number of an arm; the arm of `baseline_arm_1` was read as 1"]
        );
    }

    /// A second instance whose number is damaged must not overwrite the first one.
    #[test]
    fn values_of_a_damaged_instance_are_left_out() {
        let place = Place::of(&small_project(), "baseline_arm_1", "bp", 1);
        for (from, to) in [
            ("FormRepeatKey=\"2\"", "FormRepeatKey=\"2nd\""),
            ("redcap:RepeatInstance=\"2\"", "redcap:RepeatInstance=\"\u{fffd}\""),
            ("redcap:RepeatInstance=\"2\"", "redcap:RepeatInstance=\"0\""),
        ] {
            let text = SMALL.replacen(from, to, 1);
            assert_ne!(text, SMALL);
            let (project, problems) = read_project(text.as_bytes()).unwrap();
            assert_eq!(project.records[0].get("systolic", &place), Some("120"));
            let told =
                "a value of `systolic` was left out: the instance of `bp` at `baseline_arm_1` cannot be read";
            assert_eq!(sentences(&problems), [format!("line 162: {told}")]);
            assert!(problems[0].withheld);
        }
        let text = SMALL.replacen("StudyEventRepeatKey=\"1\"", "StudyEventRepeatKey=\"x\"", 1);
        let (project, problems) = read_project(text.as_bytes()).unwrap();
        assert_eq!(project.records[0].get("first_name", &Place::at("baseline_arm_1")), None);
        assert!(problems[0].sentence.ends_with("the instance of the event `baseline_arm_1` cannot be read"));
    }

    #[test]
    fn one_unknown_entity_does_not_cost_the_others_their_meaning() {
        let text = SMALL
            .replacen("[age] &amp;gt; 17", "[age] &amp;gt; 17 and 'R&D&nbsp;&#x41;' <> ''", 1)
            .replacen("&lt;p&gt;Please call us.&lt;/p&gt;", "&lt;p&gt;Call&nbsp;us &#233;&lt;/p&gt;", 1)
            .replacen("redcap:FieldNote=\"in years\"", "redcap:FieldNote=\"&lt; 9 & more\"", 1);
        let (project, problems) = read_project(text.as_bytes()).unwrap();
        let condition = &project.invitations[0].condition;
        assert_eq!(condition.logic.as_deref(), Some("[age] > 17 and 'R&D&nbsp;A' <> ''"));
        assert_eq!(project.alerts[0].message, "<p>Call&nbsp;us é</p>");
        assert_eq!(project.field("age").unwrap().note.as_deref(), Some("< 9 & more"));
        let told = |line: u32, key: &str, element: &str| {
            format!("line {line}: `{key}` of `<{element}>` has an `&` that is no entity; it was kept")
        };
        assert_eq!(
            sentences(&problems),
            [
                told(19, "condition_logic", "redcap:SurveysScheduler"),
                told(26, "alert_message", "redcap:Alerts"),
                told(83, "redcap:FieldNote", "ItemDef"),
            ]
        );
    }

    #[test]
    fn a_text_that_was_escaped_twice_is_decoded_entity_by_entity() {
        let text = SMALL.replacen(
            "instructions=\"&lt;p&gt;Please answer.&lt;/p&gt;\"",
            "instructions=\"&amp;lt;p&amp;gt;Please&amp;nbsp;answer &amp;amp; &amp; rest&amp;lt;/p&amp;gt;\"",
            1,
        );
        let (project, problems) = read_project(text.as_bytes()).unwrap();
        assert_eq!(problems, []);
        assert_eq!(project.surveys[0].instructions, "<p>Please&nbsp;answer & & rest</p>");
    }

    #[test]
    fn a_line_with_a_participants_value_is_withheld() {
        let secret = "<ItemData ItemOID=\"color\" Value=\"9\"/>\n\
                      <ItemData ItemOID=\"age\" Value=\"4 & 5\"/>\n<Novelty a=\"secret\"/>";
        let (_, problems) = read_project(with_values(secret).as_bytes()).unwrap();
        assert_eq!(problems.len(), 3);
        assert!(problems.iter().all(|problem| problem.withheld), "{problems:?}");
        let many = "<ItemData ItemOID=\"x\" Value=\"1\"/>\n".repeat(25);
        let (_, problems) = read_project(with_values(&many).as_bytes()).unwrap();
        assert!(problems.iter().all(|problem| problem.withheld), "{problems:?}");
        // Damage is found before anything else is known of the file.
        for (what, withheld) in [("Favourite", false), ("\"Ann", true)] {
            let mut damaged = SMALL.replacen(what, &format!("{what}\u{0}"), 1).into_bytes();
            let at = damaged.iter().position(|&byte| byte == 0).unwrap();
            damaged[at] = 0xff;
            let (_, problems) = read_project(&damaged).unwrap();
            assert_eq!(problems[0].withheld, withheld, "{what}");
        }
    }

    #[test]
    fn a_record_in_pieces_is_one_record() {
        let piece = "<SubjectData SubjectKey=\"1\"><StudyEventData redcap:UniqueEventName=\"baseline_arm_1\">\
                     <FormData FormOID=\"Form.entry\"><ItemGroupData><ItemData ItemOID=\"age\" Value=\"41\"/>\
                     </ItemGroupData></FormData></StudyEventData></SubjectData></ClinicalData>";
        let text = SMALL.replacen("</ClinicalData>", piece, 1);
        let (project, problems) = read_project(text.as_bytes()).unwrap();
        assert_eq!(problems, []);
        assert_eq!(project.records.len(), 1);
        let place = Place::at("baseline_arm_1");
        assert_eq!(project.records[0].get("age", &place), Some("41"));
        assert_eq!(project.records[0].get("first_name", &place), Some("Ann"));
    }

    #[test]
    fn forms_that_are_not_defined_are_named() {
        let text = SMALL
            .replace("redcap:FormName=\"bp\"/>", "redcap:FormName=\"pb\"/>")
            .replace("<redcap:Surveys form_name=\"entry\"", "<redcap:Surveys form_name=\"gone\"")
            .replace("redcap:RepeatInstrument=\"bp\"", "redcap:RepeatInstrument=\"pb\"");
        let (project, problems) = read_project(text.as_bytes()).unwrap();
        assert_eq!(
            sentences(&problems)[..3],
            [
                "the form `pb` repeats and is not defined",
                "line 16: there is a survey of the form `gone`, which is not defined",
                "line 36: `baseline_arm_1` has the form `pb`, which is not defined; it was left out",
            ]
        );
        assert_eq!(project.instruments_of("baseline_arm_1").count(), 1);
    }

    #[test]
    fn rankings_and_stop_actions_are_read() {
        let text = SMALL.replacen(
            "redcap:FieldType=\"select\" redcap:CustomAlignment=\"RH\"",
            "redcap:FieldType=\"select\" redcap:MatrixRanking=\"y\" redcap:StopActions=\"1, -9|x\"",
            1,
        );
        let (project, problems) = read_project(text.as_bytes()).unwrap();
        assert_eq!(problems, []);
        let color = project.field("color").unwrap();
        assert!(color.matrix_ranking);
        assert_eq!(color.stop_actions, ["1", "-9", "x"]);
        assert_eq!(read_project(write_project(&project).as_bytes()).unwrap(), (project, vec![]));
    }

    #[test]
    fn two_definitions_of_a_field_are_one_too_many() {
        let age = "<ItemDef OID=\"age\" redcap:Variable=\"age\" redcap:FieldType=\"text\"/>\n";
        let text = SMALL.replacen("<CodeList ", &format!("{age}<CodeList "), 1);
        let (project, problems) = read_project(text.as_bytes()).unwrap();
        assert_eq!(sentences(&problems), ["line 120: `age` is defined twice; the second was left out"]);
        assert_eq!(project.fields, small_project().fields);
    }

    /// Runs over real projects, which are not ours to ship.
    #[test]
    fn real_projects_are_read() {
        let Ok(corpus) = std::env::var("CONSENTRY_CORPUS") else {
            println!("skipped: CONSENTRY_CORPUS is not set");
            return;
        };
        let folder = std::path::Path::new(&corpus).join("redcap-projects");
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "xml") {
                continue;
            }
            let (project, problems) = read_project(&std::fs::read(&path).unwrap()).unwrap();
            for problem in &problems {
                println!("{}: {problem}", path.display());
            }
            assert_eq!(read_project(write_project(&project).as_bytes()).unwrap().0, project);
            // A dictionary of the same fields is the same, but for the films, which it does not know.
            let dictionary = crate::dictionary::tests::write_dictionary(&project);
            let (again, oddities) = crate::dictionary::read_dictionary(dictionary.as_bytes()).unwrap();
            assert_eq!(oddities, []);
            let mut fields: Vec<_> = project.fields.iter().cloned().collect();
            for field in &mut fields {
                field.settings.retain(|name, _| !name.starts_with("redcap:Video"));
                let (_, mistakes) = crate::annotation::tags(field.annotation.as_deref().unwrap_or_default());
                assert_eq!(mistakes, [], "{}", field.name);
            }
            assert_eq!(*again.fields, *fields);
            if path.file_name().is_some_and(|name| name == "rmh-covid-home-monitoring.xml") {
                assert_eq!(problems, []);
                assert_eq!(project.surveys.len(), 34);
                assert_eq!(project.invitations.len(), 31);
                assert_eq!(project.alerts.len(), 132);
                assert_eq!(project.queue.len(), 1);
                let conditions = project.invitations.iter().filter_map(|i| i.condition.logic.as_deref());
                let conditions =
                    conditions.chain(project.alerts.iter().filter_map(|a| a.condition.as_deref()));
                let conditions =
                    conditions.chain(project.fields.iter().filter_map(|f| f.branching.as_deref()));
                for condition in conditions {
                    if let Err(mistakes) = crate::logic::parse(condition) {
                        panic!("{condition}: {mistakes:?}");
                    }
                }
            }
        }
    }
}
