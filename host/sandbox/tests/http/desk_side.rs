//! What the study team and other systems do, as the API then tells it.

use jiff::SignedDuration;
use redcap::client::{ApiError, LogKind, ReadLog, Response};
use redcap::project::QueueRow;
use sandbox::{Sandbox, SurveyOutcome};
use serde_json::{Map, Value, json};

use crate::support::{config, redcap_client, start};

const ANSWERS: [(&str, &str); 3] = [("quality", "2"), ("hours", "7.5"), ("symptoms____99", "1")];

fn rows(rows: Value) -> Vec<Map<String, Value>> {
    serde_json::from_value(rows).unwrap()
}

/// Actions with their users, oldest first.
async fn log(client: &redcap::Client, wanted: &ReadLog) -> Vec<(String, String)> {
    let rows = client.log(wanted).await.unwrap();
    rows.into_iter().rev().map(|row| (row.action, row.user)).collect()
}

#[tokio::test]
async fn the_log_tells_who_did_what() {
    let (config, clock) = config();
    let sandbox = Sandbox::start(config).await.unwrap();
    let (client, redcap) = (redcap_client(&sandbox), sandbox.redcap());
    let wait = || clock.advance(SignedDuration::from_mins(5));
    redcap.save_form("4", "enrollment", None, 1, &[("first_name", "Dee")]).await;
    redcap.save_form("4", "diary", None, 2, &[("day", "1")]).await;
    wait();
    redcap.import(&rows(json!([{ "record_id": "4", "symptoms___2": "1" }, { "record_id": "5" }]))).unwrap();
    wait();
    let link = client.survey_link("1", "checkin", None, 1).await.unwrap();
    assert_eq!(redcap.complete_survey(&link, &ANSWERS).await, SurveyOutcome::Completed);
    wait();
    assert!(redcap.rename_record("4", "44") && redcap.delete_record("5"));
    redcap.edit_project(|project| project.title = "Sleep and More".to_owned());

    let everything = log(&client, &ReadLog::default()).await;
    let expected = [
        ("Create record 4", "coordinator"),
        ("Update record 4", "coordinator"),
        ("Update record (API) 4", "api_user"),
        ("Create record (API) 5", "api_user"),
        ("Create Response 1", "[survey respondent]"),
        ("Update record 44", "coordinator"),
        ("Delete record 5", "coordinator"),
        ("Manage/Design", "designer"),
    ];
    assert_eq!(everything, expected.map(|(action, user)| (action.to_owned(), user.to_owned())));
    let kinds = |kind| ReadLog { kind, ..ReadLog::default() };
    assert_eq!(log(&client, &kinds(LogKind::Record)).await, everything[..7]);
    assert_eq!(log(&client, &kinds(LogKind::RecordDelete)).await, everything[6..7]);
    assert_eq!(log(&client, &kinds(LogKind::Manage)).await, everything[7..]);

    // 15:30 UTC is 10:30 in Boston.
    let window = |begin: &str, end: Option<&str>| ReadLog {
        begin: Some(begin.to_owned()),
        end: end.map(str::to_owned),
        ..ReadLog::default()
    };
    assert_eq!(log(&client, &window("2026-11-23 10:35", None)).await, everything[2..]);
    assert_eq!(log(&client, &window("2026-11-23 10:31", Some("2026-11-23 10:40"))).await, everything[2..5]);
    let of_four = ReadLog { record: Some("4".into()), ..ReadLog::default() };
    let details: Vec<_> = client.log(&of_four).await.unwrap().into_iter().map(|row| row.details).collect();
    assert_eq!(
        details,
        [
            "symptoms(2) = checked",
            "[instance = 2], day = '1', diary_complete = '0'",
            "first_name = 'Dee', enrollment_complete = '0'"
        ]
    );
    let wrong = client.log(&window("yesterday", None)).await.unwrap_err().to_string();
    assert!(wrong.contains("parameter beginTime are not valid"), "{wrong}");
}

#[tokio::test]
async fn links_follow_a_renamed_record_and_die_with_a_deleted_one() {
    let sandbox = start().await;
    let (client, redcap) = (redcap_client(&sandbox), sandbox.redcap());
    let ana = client.survey_link("1", "checkin", None, 1).await.unwrap();
    let ben = client.survey_link("2", "checkin", None, 1).await.unwrap();
    assert!(!redcap.rename_record("1", "2") && !redcap.rename_record("9", "8"));
    assert!(redcap.rename_record("1", "11"));
    assert_eq!(client.survey_link("11", "checkin", None, 1).await.unwrap(), ana);
    assert_eq!(redcap.complete_survey(&ana, &ANSWERS).await, SurveyOutcome::Completed);
    assert!(redcap.survey_completed("11", "checkin", None, 1).is_some());
    // Who gets the old id gets other links.
    redcap.import(&rows(json!([{ "record_id": "1" }]))).unwrap();
    assert_ne!(client.survey_link("1", "checkin", None, 1).await.unwrap(), ana);

    assert!(redcap.delete_record("2") && !redcap.delete_record("2"));
    redcap.import(&rows(json!([{ "record_id": "2" }]))).unwrap();
    assert_eq!(redcap.complete_survey(&ben, &ANSWERS).await, SurveyOutcome::NotFound);
    assert_ne!(client.survey_link("2", "checkin", None, 1).await.unwrap(), ben);
    assert_eq!(redcap.record_ids(), ["11", "3", "1", "2"]);
}

#[tokio::test]
async fn the_participant_list_shows_what_redcap_itself_will_send() {
    let (config, clock) = config();
    let sandbox = Sandbox::start(config).await.unwrap();
    let (client, redcap) = (redcap_client(&sandbox), sandbox.redcap());
    redcap.queue_invitation("checkin", None, "1", "2026-11-23T11:00:00".parse().unwrap());
    let due = client.participant_list("checkin", None).await.unwrap();
    assert_eq!(due[0].invitation_send_time.as_deref(), Some("2026-11-23 11:00:00"));
    assert!(!due[0].invitation_sent && due[1].invitation_send_time.is_none());
    clock.advance(SignedDuration::from_mins(30));
    let sent = client.participant_list("checkin", None).await.unwrap();
    assert!(sent[0].invitation_sent && !sent[1].invitation_sent);
    assert_eq!((&sent[0].invitation_send_time, sent[0].response), (&None, Response::None));
    assert_eq!(sent[0].survey_link, client.survey_link("1", "checkin", None, 1).await.unwrap());
    assert_eq!(sent[0].access_code, client.survey_access_code("1", "checkin", None, 1).await.unwrap());
}

#[tokio::test]
async fn a_queue_and_a_return_code_are_there_once_the_project_has_them() {
    let sandbox = start().await;
    let (client, redcap) = (redcap_client(&sandbox), sandbox.redcap());
    redcap.edit_project(|project| {
        project.queue.clear();
        project.surveys.iter_mut().for_each(|survey| survey.save_and_return = false);
    });
    assert!(matches!(client.survey_queue_link("1").await, Err(ApiError::Refused { status: 400, .. })));
    assert!(client.survey_return_code("1", "checkin", None, 1).await.is_err());
    redcap.edit_project(|project| {
        project.queue.push(QueueRow { instrument: "checkin".to_owned(), ..QueueRow::default() });
        project.surveys.iter_mut().for_each(|survey| survey.save_and_return = true);
    });
    let link = client.survey_queue_link("1").await.unwrap();
    assert!(link.contains("/surveys/?sq="));
    assert_eq!(client.survey_return_code("1", "checkin", None, 1).await.unwrap().len(), 8);
    assert!(client.survey_queue_link("-1").await.is_err());
    let list = client.participant_list("checkin", None).await.unwrap();
    assert_eq!(list[0].survey_queue_link.as_deref(), Some(link.as_str()));
}

#[tokio::test]
async fn a_survey_that_is_closed_or_over_takes_nothing() {
    let (config, clock) = config();
    let sandbox = Sandbox::start(config).await.unwrap();
    let redcap = sandbox.redcap();
    let link = redcap_client(&sandbox).survey_link("1", "checkin", None, 1).await.unwrap();
    assert!(redcap.set_survey_enabled("checkin", false) && !redcap.set_survey_enabled("enrollment", false));
    assert_eq!(redcap.complete_survey(&link, &ANSWERS).await, SurveyOutcome::Inactive);
    redcap.set_survey_enabled("checkin", true);
    redcap.edit_project(|project| {
        for survey in &mut project.surveys {
            survey.expiration = Some("2026-11-23 11:00:00".to_owned());
        }
    });
    clock.advance(SignedDuration::from_mins(30));
    assert_eq!(redcap.complete_survey(&link, &ANSWERS).await, SurveyOutcome::Inactive);
    assert_eq!(redcap.survey_completed("1", "checkin", None, 1), None);
}

#[tokio::test]
async fn a_new_calculation_is_worked_out_from_the_next_save_on() {
    let sandbox = start().await;
    let redcap = sandbox.redcap();
    redcap.edit_project(|project| {
        let fields = project.fields.iter().cloned().map(|mut field| {
            if field.name == "burden" {
                field.calculation = Some("41 + 1".to_owned());
            }
            field
        });
        project.fields = fields.collect();
    });
    redcap.import(&rows(json!([{ "record_id": "1", "hours": "7" }]))).unwrap();
    let value = redcap.value("1", "burden", &redcap::record::Place::default());
    assert_eq!(value.as_deref(), Some("42"));
    assert!(redcap.import(&rows(json!([{ "record_id": "1", "hours": "many" }]))).is_err());
}
