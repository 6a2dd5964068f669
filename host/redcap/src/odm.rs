//! Project XML: CDISC ODM with REDCap's extensions, the only route to survey settings, the queue,
//! automated invitations and alerts.
//!
//! The shape is taken from public project files of several REDCap versions. What this crate does
//! not know is named in a [`Problem`] and left out; it never stops the reading.

mod read;
mod write;

pub use read::{Problem, XmlError, read_project};
pub use write::write_project;

/// The project XML's names for what the data dictionary calls otherwise.
const VALIDATION_NAMES: [(&str, &str); 2] = [("int", "integer"), ("float", "number")];

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
        assert_eq!(
            read_project(b"<ODM>\n\xff").unwrap_err().to_string(),
            "line 2: expected UTF-8, found something else"
        );
    }

    #[test]
    fn what_is_not_known_is_named_with_its_line() {
        let text = SMALL.replace("<redcap:Purpose>", "<redcap:Novelty a=\"1\"/>\n<redcap:Purpose>");
        let (_, problems) = read_project(text.as_bytes()).unwrap();
        let sentences: Vec<_> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(sentences, ["line 8: `<redcap:Novelty>` is not known and was left out"]);
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
