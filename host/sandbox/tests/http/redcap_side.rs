//! What REDCap's clients record, asked with our own client, and the survey pages.

use redcap::client::{ApiError, ExportRecords, Overwrite, Response};
use redcap::record::Place;
use sandbox::{RedcapFault, Sandbox, SandboxConfig, SurveyOutcome};
use serde_json::{Map, Value, json};

use crate::support::{Listener, STUDY, config, redcap_client, start};

fn rows(rows: Value) -> Vec<Map<String, Value>> {
    serde_json::from_value(rows).unwrap()
}

async fn import(client: &redcap::Client, data: Value) -> Result<u64, ApiError> {
    client.import_records(&rows(data), Overwrite::Normal).await.map(|outcome| outcome.count)
}

async fn export(client: &redcap::Client, wanted: ExportRecords) -> Vec<Map<String, Value>> {
    client.export_records(&wanted).await.unwrap()
}

async fn get(url: &str) -> (u16, String) {
    let answer = reqwest::Client::new().get(url).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

const COMPLETE: [(&str, &str); 3] = [("quality", "2"), ("hours", "7.5"), ("symptoms____99", "1")];

#[tokio::test]
async fn the_project_describes_itself() {
    let sandbox = start().await;
    let client = redcap_client(&sandbox);
    assert_eq!(client.version().await.unwrap(), "16.1.3");
    let info = client.project().await.unwrap();
    assert_eq!(info.title, "Sleep and Recovery Study");
    assert!(!info.longitudinal && info.repeating && info.surveys_enabled);
    let (project, problems) = redcap::odm::read_project(STUDY.as_bytes()).unwrap();
    assert_eq!(problems, []);
    let dictionary = client.metadata().await.unwrap();
    assert_eq!(dictionary.len(), project.fields.len());
    for (ours, theirs) in dictionary.iter().zip(&project.fields) {
        assert_eq!(
            (&ours.name, &ours.branching, &ours.choices),
            (&theirs.name, &theirs.branching, &theirs.choices)
        );
    }
    assert_eq!(client.instruments().await.unwrap(), project.instruments);
    assert_eq!(client.events().await.unwrap(), []);
    assert_eq!(client.form_event_mapping().await.unwrap(), []);
    assert_eq!(client.repeating_forms_events().await.unwrap(), project.repeating);
    let xml = client.project_xml(true).await.unwrap();
    let (again, _) = redcap::odm::read_project(xml.as_bytes()).unwrap();
    assert_eq!((again.surveys, again.records.len()), (project.surveys, 0));
}

#[tokio::test]
async fn an_export_gives_what_was_asked_for() {
    let sandbox = start().await;
    let client = redcap_client(&sandbox);
    let one = ExportRecords {
        records: vec!["2".into()],
        fields: vec!["record_id".into(), "first_name".into(), "checkin_complete".into()],
        ..ExportRecords::default()
    };
    let found = export(&client, one).await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["first_name"], "Ben");
    assert_eq!(found[0]["checkin_complete"], "");
    assert_eq!(found[0]["redcap_repeat_instrument"], "");
    assert!(!found[0].contains_key("mobile"));
    let filtered =
        ExportRecords { filter_logic: Some("[first_name] = 'Ana'".into()), ..ExportRecords::default() };
    let found = export(&client, filtered).await;
    assert_eq!((found.len(), &found[0]["record_id"]), (1, &json!("1")));
    assert!(!found[0].contains_key("checkin_timestamp"));
    let survey =
        ExportRecords { survey_fields: true, forms: vec!["checkin".into()], ..ExportRecords::default() };
    assert_eq!(export(&client, survey).await[0]["checkin_timestamp"], "");
    let wrong = ExportRecords { fields: vec!["shoe_size".into()], ..ExportRecords::default() };
    let error = client.export_records(&wrong).await.unwrap_err().to_string();
    assert!(
        error.contains("The following values in the parameter fields are not valid: 'shoe_size'"),
        "{error}"
    );
}

#[tokio::test]
async fn an_import_completes_no_survey_and_fires_no_trigger() {
    let (sandbox, hook) = (start().await, Listener::start(String::new()).await);
    sandbox.set_data_entry_trigger(&hook.url);
    let client = redcap_client(&sandbox);
    let data = json!([{
        "record_id": "1", "redcap_survey_identifier": "x", "checkin_timestamp": "2026-01-01 00:00:00",
        "quality": "1", "symptoms___2": "1", "pain": "3", "checkin_complete": "2", "next_visit": "2026-12-01",
    }]);
    assert_eq!(import(&client, data).await.unwrap(), 1);
    assert_eq!(sandbox.redcap().survey_completed("1", "checkin", None, 1), None);
    let wanted = ExportRecords { records: vec!["1".into()], survey_fields: true, ..ExportRecords::default() };
    let found = export(&client, wanted).await;
    assert_eq!((&found[0]["checkin_complete"], &found[0]["checkin_timestamp"]), (&json!("2"), &json!("")));
    assert_eq!(found[0]["burden"], "13");
    assert_eq!(hook.posted().len(), 0);
    assert_eq!(client.participant_list("checkin", None).await.unwrap()[0].response, Response::None);
}

#[tokio::test]
async fn one_bad_value_turns_the_whole_import_down() {
    let sandbox = start().await;
    let client = redcap_client(&sandbox);
    let data = json!([
        { "record_id": "1", "first_name": "Anna", "quality": "9" },
        { "record_id": "2", "hours": "many", "redcap_repeat_instrument": "" },
        { "record_id": "3", "redcap_repeat_instrument": "checkin", "redcap_repeat_instance": 1 },
    ]);
    match import(&client, data).await {
        Err(ApiError::ImportRefused { values }) => {
            let fields: Vec<_> = values.iter().map(|value| value.field.as_str()).collect();
            assert_eq!(fields, ["quality", "hours", "redcap_repeat_instrument"]);
        }
        other => panic!("{other:?}"),
    }
    let ana = sandbox.redcap().value("1", "first_name", &Place::default());
    assert_eq!(ana.as_deref(), Some("Ana"));
    assert!(import(&client, json!([{ "record_id": "1", "shoe_size": "42" }])).await.is_err());
    // Out of range is a warning at most.
    assert_eq!(import(&client, json!([{ "record_id": "1", "hours": "20" }])).await.unwrap(), 1);
}

#[tokio::test]
async fn blanks_erase_only_when_told_to_and_instances_count_up() {
    let sandbox = start().await;
    let client = redcap_client(&sandbox);
    let ana = || sandbox.redcap().value("1", "first_name", &Place::default());
    let blank = rows(json!([{ "record_id": "1", "first_name": "" }]));
    client.import_records(&blank, Overwrite::Normal).await.unwrap();
    assert_eq!(ana().as_deref(), Some("Ana"));
    client.import_records(&blank, Overwrite::Overwrite).await.unwrap();
    assert_eq!(ana(), None);
    for day in ["1", "3"] {
        let row = json!([{
            "record_id": "1", "redcap_repeat_instrument": "diary", "redcap_repeat_instance": "new", "day": day,
        }]);
        import(&client, row).await.unwrap();
    }
    let found =
        export(&client, ExportRecords { records: vec!["1".into()], ..ExportRecords::default() }).await;
    let instances: Vec<_> = found.iter().map(|row| row["redcap_repeat_instance"].clone()).collect();
    assert_eq!(instances, [json!(""), json!(1), json!(2)]);
    assert_eq!(found[2]["day"], "3");
}

#[tokio::test]
async fn changed_records_are_found_by_date() {
    let (config, clock) = config();
    let sandbox = Sandbox::start(config).await.unwrap();
    let client = redcap_client(&sandbox);
    clock.advance(jiff::SignedDuration::from_hours(1));
    import(&client, json!([{ "record_id": "2", "first_name": "Benno" }])).await.unwrap();
    // 15:30 UTC is 10:30 in Boston.
    let wanted =
        ExportRecords { changed_since: Some("2026-11-23 11:30:00".into()), ..ExportRecords::default() };
    let found = export(&client, wanted).await;
    assert_eq!((found.len(), &found[0]["first_name"]), (1, &json!("Benno")));
}

#[tokio::test]
async fn a_link_is_stable_and_leads_to_a_page() {
    let sandbox = start().await;
    let client = redcap_client(&sandbox);
    let link = client.survey_link("1", "checkin", None, 1).await.unwrap();
    assert_eq!(client.survey_link("1", "checkin", None, 1).await.unwrap(), link);
    assert_ne!(client.survey_link("2", "checkin", None, 1).await.unwrap(), link);
    let second = client.survey_link("1", "diary", None, 2).await.unwrap();
    assert_ne!(client.survey_link("1", "diary", None, 1).await.unwrap(), second);
    let error = client.survey_link("-1", "checkin", None, 1).await.unwrap_err().to_string();
    assert!(error.contains("The record \"-1\" does not exist"), "{error}");
    assert!(client.survey_link("1", "enrollment", None, 1).await.is_err());

    let (status, page) = get(&link).await;
    assert_eq!(status, 200);
    assert!(page.contains("Good morning, Ana."));
    assert!(page.contains("name=\"symptoms____99\""));
    assert!(!page.contains("name=\"pain\"") && !page.contains("reviewed_by") && !page.contains("Burden"));
    assert_eq!(get(&format!("{}/redcap/surveys/?s=NOSUCHLINK", sandbox.base_url())).await.0, 404);
}

#[tokio::test]
async fn a_submitted_survey_is_complete_and_the_trigger_is_told() {
    let (sandbox, hook) = (start().await, Listener::start(String::new()).await);
    sandbox.set_data_entry_trigger(&format!("{}/redcap/secret", hook.url));
    let client = redcap_client(&sandbox);
    let link = client.survey_link("1", "checkin", None, 1).await.unwrap();
    let answers = [COMPLETE.as_slice(), &[("next_visit", "12-01-2026"), ("energy", "40")]].concat();
    assert_eq!(sandbox.redcap().complete_survey(&link, &answers).await, SurveyOutcome::Completed);
    assert_eq!(
        sandbox.redcap().survey_completed("1", "checkin", None, 1).as_deref(),
        Some("2026-11-23 10:30:00")
    );
    let value = |field: &str| sandbox.redcap().value("1", field, &Place::default());
    assert_eq!(value("checkin_complete").as_deref(), Some("2"));
    assert_eq!(value("next_visit").as_deref(), Some("2026-12-01"));
    assert_eq!(value("burden").as_deref(), Some("20"));
    let posted = hook.posted();
    assert_eq!(posted.len(), 1);
    assert!(posted[0].url.ends_with("/redcap/secret"));
    for (name, expected) in [
        ("record", "1"),
        ("instrument", "checkin"),
        ("checkin_complete", "2"),
        ("username", "[survey respondent]"),
        ("project_id", "1"),
    ] {
        assert_eq!(posted[0].get(name), Some(expected), "{name}");
    }
    assert_eq!(posted[0].get("redcap_event_name"), None);
    assert_eq!(sandbox.redcap().complete_survey(&link, &answers).await, SurveyOutcome::AlreadyCompleted);
    assert_eq!(client.participant_list("checkin", None).await.unwrap()[0].response, Response::Complete);
}

#[tokio::test]
async fn the_page_comes_back_until_it_will_do() {
    let sandbox = start().await;
    let client = redcap_client(&sandbox);
    let link = client.survey_link("1", "checkin", None, 1).await.unwrap();
    let ask = |answers: &'static [(&'static str, &'static str)]| {
        let (redcap, link) = (sandbox.redcap(), link.clone());
        async move { redcap.complete_survey(&link, answers).await }
    };
    let again = |fields: &[&str]| SurveyOutcome::AskedAgain {
        fields: fields.iter().map(|field| (*field).to_owned()).collect(),
    };
    assert_eq!(ask(&[("quality", "2")]).await, again(&["hours"]));
    assert_eq!(ask(&[("quality", "2"), ("hours", "long")]).await, again(&["hours"]));
    assert_eq!(ask(&[("quality", "2"), ("hours", "7"), ("symptoms___2", "1")]).await, again(&["pain"]));
    assert_eq!(sandbox.redcap().value("1", "quality", &Place::default()), None);

    // A browser is asked what it was not shown, and is warned of a soft range once.
    let http = reqwest::Client::new();
    let submit = |form: Vec<(&'static str, &'static str)>| {
        let request = http.post(&link).form(&form);
        async move { request.send().await.unwrap().text().await.unwrap() }
    };
    let first =
        vec![("shown-questions", "quality hours"), ("quality", "2"), ("hours", "7"), ("symptoms___2", "1")];
    let page = submit(first).await;
    assert!(page.contains("Your answers lead to some more questions."));
    assert!(page.contains("name=\"pain\"") && page.contains("value=\"7\""));
    let out_of_range = vec![("quality", "2"), ("hours", "20")];
    let page = submit(out_of_range.clone()).await;
    assert!(page.contains("name=\"seen-hours\" value=\"20\""), "{page}");
    let insisted = [out_of_range, vec![("seen-hours", "20")]].concat();
    assert!(submit(insisted).await.contains("data-state=\"completed\""));
    assert_eq!(sandbox.redcap().value("1", "hours", &Place::default()).as_deref(), Some("20"));
}

#[tokio::test]
async fn a_hidden_question_has_no_answer() {
    let sandbox = start().await;
    let client = redcap_client(&sandbox);
    let link = client.survey_link("1", "checkin", None, 1).await.unwrap();
    let answers = [COMPLETE.as_slice(), &[("pain", "9")]].concat();
    assert_eq!(sandbox.redcap().complete_survey(&link, &answers).await, SurveyOutcome::Completed);
    assert_eq!(sandbox.redcap().value("1", "pain", &Place::default()), None);
}

#[tokio::test]
async fn a_closed_survey_takes_nothing() {
    let closed = STUDY.replace("survey_enabled=\"1\"", "survey_enabled=\"0\"");
    let sandbox = Sandbox::start(SandboxConfig { project_xml: closed, ..config().0 }).await.unwrap();
    let link = redcap_client(&sandbox).survey_link("1", "checkin", None, 1).await.unwrap();
    assert_eq!(sandbox.redcap().complete_survey(&link, &COMPLETE).await, SurveyOutcome::Inactive);
    assert_eq!(sandbox.redcap().survey_completed("1", "checkin", None, 1), None);
}

#[tokio::test]
async fn what_participants_type_stays_text() {
    let sandbox = start().await;
    sandbox.redcap().save_form("1", "enrollment", None, 1, &[("first_name", "<script>\"x\"</script>")]).await;
    let client = redcap_client(&sandbox);
    let link = client.survey_link("1", "checkin", None, 1).await.unwrap();
    let (_, page) = get(&link).await;
    assert!(page.contains("&lt;script&gt;"));
    assert!(!page.contains("<script"));
}

#[tokio::test]
async fn the_study_team_saves_a_form() {
    let (sandbox, hook) = (start().await, Listener::start(String::new()).await);
    sandbox.set_data_entry_trigger(&hook.url);
    let redcap = sandbox.redcap();
    redcap
        .save_form("4", "enrollment", None, 1, &[("first_name", "Dee"), ("mobile", "(617) 555-0145")])
        .await;
    redcap.save_form("4", "diary", None, 2, &[("day", "1"), ("diary_complete", "2")]).await;
    assert_eq!(redcap.record_ids(), ["1", "2", "3", "4"]);
    let posted = hook.posted();
    assert_eq!(posted[0].get("enrollment_complete"), Some("0"));
    assert_eq!(posted[1].get("redcap_repeat_instrument"), Some("diary"));
    assert_eq!(posted[1].get("redcap_repeat_instance"), Some("2"));
    let (status, phones) = get(&format!("{}/participants", sandbox.handset_url())).await;
    assert_eq!(status, 200);
    let phones: Value = serde_json::from_str(&phones).unwrap();
    assert_eq!(phones[3], json!({ "number": "+16175550145", "record": "4", "name": "Dee", "texts": 0 }));
}

#[tokio::test]
async fn a_wrong_token_and_a_failing_server_are_told_apart() {
    let sandbox = start().await;
    let client = redcap_client(&sandbox);
    let wrong = redcap::ClientConfig::new(&sandbox.redcap_url(), redcap::Token::from("0".repeat(32)));
    let wrong = redcap::Client::new(wrong).unwrap();
    assert!(matches!(wrong.version().await, Err(ApiError::NotPermitted { .. })));
    sandbox.faults().redcap(Some(RedcapFault::HtmlError));
    assert!(matches!(client.version().await, Err(ApiError::Html { .. })));
    sandbox.faults().redcap(Some(RedcapFault::NotPermitted));
    assert!(matches!(client.version().await, Err(ApiError::NotPermitted { .. })));
    sandbox.faults().redcap(Some(RedcapFault::Down));
    assert!(matches!(client.version().await, Err(ApiError::Transport { .. })));
    sandbox.faults().redcap(None);
    assert!(client.version().await.is_ok());
    // Errors take the shape that is asked for.
    let ask = |format: &'static str| {
        let form = [("token", "x"), ("content", "version"), ("format", format)];
        let request = reqwest::Client::new().post(sandbox.redcap_url()).form(&form);
        async move { request.send().await.unwrap().text().await.unwrap() }
    };
    assert_eq!(ask("csv").await, "ERROR: You do not have permissions to use the API");
    assert!(ask("xml").await.contains("<hash><error>"));
}
