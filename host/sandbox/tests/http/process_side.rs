//! The sandbox without a socket: the same answers, and nothing that happens by itself.

use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, Uri, header};
use axum::response::IntoResponse;
use redcap::client::{ApiError, ExportRecords, Overwrite, ReadLog};
use redcap::project::CLASSIC_EVENT;
use redcap::record::from_flat_rows;
use sandbox::{CreateFault, Delivery, RedcapFault, Sandbox, SandboxConfig, SurveyOutcome, TwilioAccount};
use serde_json::{Map, Value, json};
use twilio::{
    CreateError, CreateMessage, ListMessages, PhoneNumber, RequestError, Secret, Sender, UnknownOutcome,
};

use crate::support::{ANA, BEN, Posted, config, redcap_client, redcap_config, twilio_client, twilio_config};

const ANSWERS: [(&str, &str); 3] = [("quality", "2"), ("hours", "7.5"), ("symptoms____99", "1")];

/// A sandbox in process with clients for it.
struct Stage {
    sandbox: Sandbox,
    redcap: redcap::Client,
    twilio: twilio::Client,
}

fn stage() -> Stage {
    let sandbox = Sandbox::in_process(config().0).unwrap();
    let redcap = redcap::Client::over(redcap_config(&sandbox), sandbox.wire()).unwrap();
    let twilio = twilio::Client::over(twilio_config(&sandbox), sandbox.wire()).unwrap();
    Stage { sandbox, redcap, twilio }
}

fn phone(number: &str) -> PhoneNumber {
    PhoneNumber::from_e164(number).unwrap()
}

fn text(to: &str) -> CreateMessage {
    CreateMessage {
        to: phone(to),
        from: Sender::Number(phone(&TwilioAccount::default().number)),
        body: "Good morning".into(),
        status_callback: Some("https://texts.example.edu/twilio/sleep/status?m=1".to_owned()),
        validity_period: None,
        smart_encoded: false,
    }
}

/// Routes that note every POST.
fn noting() -> (Router, Arc<Mutex<Vec<Posted>>>) {
    let posted = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&posted);
    let note = async move |uri: Uri, headers: HeaderMap, body: Bytes| {
        let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        notes.lock().unwrap().push(Posted {
            url: uri.to_string(),
            form: twilio::parse_form(&body),
            signature: header("x-twilio-signature"),
            token: header("i-twilio-idempotency-token"),
        });
        ([(header::CONTENT_TYPE, "text/xml")], twilio::empty()).into_response()
    };
    (Router::new().fallback(note), posted)
}

/// What both kinds of sandbox are asked.
async fn asked(redcap: &redcap::Client, twilio: &twilio::Client) -> Vec<Value> {
    let row = |row: Value| serde_json::from_value::<Vec<Map<String, Value>>>(row).unwrap();
    let good = row(json!([{ "record_id": "2", "quality": "1", "symptoms___2": "1" }]));
    let bad = row(json!([{ "record_id": "2", "hours": "many" }]));
    let imported = redcap.import_records(&good, Overwrite::Normal).await.unwrap();
    let turned_down = redcap.import_records(&bad, Overwrite::Normal).await.unwrap_err();
    let one = ExportRecords { records: vec!["2".into()], survey_fields: true, ..ExportRecords::default() };
    let link = redcap.survey_link("2", "checkin", None, 1).await.unwrap();
    // The refusal comes first: over HTTP, the callbacks of a message use up ids meanwhile.
    let refused = twilio.create_message(&text("+15005550003")).await.unwrap_err();
    let sent = twilio.create_message(&text(ANA)).await.unwrap();
    let answers = json!([
        redcap.version().await.unwrap(),
        format!("{:?}", redcap.metadata().await.unwrap()),
        redcap.project_xml(false).await.unwrap(),
        redcap.export_records(&one).await.unwrap(),
        redcap.events().await.unwrap().len(),
        imported.count,
        format!("{turned_down:?}"),
        link.split_once("/surveys/").unwrap().1,
        redcap.log(&ReadLog::default()).await.unwrap()[0].details,
        format!("{sent:?}"),
        format!("{refused:?}"),
        format!("{:?}", twilio.incoming_numbers().await.unwrap()),
        format!("{:?}", twilio.account().await.unwrap()),
        format!("{:?}", twilio.lookup_line_type(&phone(BEN)).await.unwrap()),
    ]);
    serde_json::from_value(answers).unwrap()
}

#[tokio::test]
async fn the_same_question_gets_the_same_answer_over_http_and_in_process() {
    let listening = Sandbox::start(config().0).await.unwrap();
    let over_http = asked(&redcap_client(&listening), &twilio_client(&listening)).await;
    let Stage { redcap, twilio, sandbox: _sandbox } = stage();
    for (over_http, in_process) in over_http.into_iter().zip(asked(&redcap, &twilio).await) {
        assert_eq!(over_http, in_process);
    }
}

#[tokio::test]
async fn what_becomes_of_a_text_waits_until_it_is_delivered() {
    let Stage { sandbox, twilio, .. } = stage();
    let (router, posted) = noting();
    sandbox.deliver_to(router);
    let first = twilio.create_message(&text(ANA)).await.unwrap();
    let second = twilio.create_message(&text(BEN)).await.unwrap();
    let status = || sandbox.handset().texts(ANA)[0].status.clone();
    assert_eq!((status().as_str(), posted.lock().unwrap().len()), ("queued", 0));

    assert_eq!(sandbox.deliver().await, 4);
    assert_eq!(status(), "delivered");
    let told: Vec<_> = posted
        .lock()
        .unwrap()
        .iter()
        .map(|post| {
            assert!(post.is_signed());
            (post.get("MessageSid").unwrap().to_owned(), post.get("MessageStatus").unwrap().to_owned())
        })
        .collect();
    let expected = [(&first, "sent"), (&first, "delivered"), (&second, "sent"), (&second, "delivered")];
    assert_eq!(told, expected.map(|(message, status)| (message.sid.clone(), status.to_owned())));
    assert_eq!(sandbox.deliver().await, 0);
}

#[tokio::test]
async fn a_text_and_a_survey_from_a_phone_reach_the_receiver() {
    let Stage { sandbox, redcap, .. } = stage();
    let (router, posted) = noting();
    sandbox.deliver_to(router);
    sandbox.set_sms_webhook("https://texts.example.edu/twilio/sleep/sms");
    sandbox.set_data_entry_trigger("https://texts.example.edu/redcap/sleep/trigger/secret");
    let said = sandbox.handset().say(ANA, "STOP").await;
    assert_eq!(said.delivery, Delivery::Answered { status: 200, replies: vec![] });
    assert!(posted.lock().unwrap()[0].is_signed());

    let link = redcap.survey_link("1", "checkin", None, 1).await.unwrap();
    assert_eq!(sandbox.redcap().complete_survey(&link, &ANSWERS).await, SurveyOutcome::Completed);
    sandbox.redcap().save_form("2", "enrollment", None, 1, &[("first_name", "Benno")]).await;
    assert_eq!(posted.lock().unwrap().len(), 1);
    assert_eq!(sandbox.deliver().await, 2);
    let posted = posted.lock().unwrap();
    assert_eq!((posted[1].get("record"), posted[1].get("checkin_complete")), (Some("1"), Some("2")));
    assert_eq!((posted[2].get("record"), posted[2].url.contains("/redcap/sleep/")), (Some("2"), true));
}

#[tokio::test]
async fn what_goes_wrong_is_told_apart_as_on_the_network() {
    let Stage { sandbox, redcap, twilio } = stage();
    let stranger = twilio::ClientConfig { secret: Secret::from("0".repeat(32)), ..twilio_config(&sandbox) };
    let stranger = twilio::Client::over(stranger, sandbox.wire()).unwrap();
    match stranger.create_message(&text(ANA)).await {
        Err(CreateError::Refused(error)) => assert_eq!((error.status, error.code), (401, Some(20003))),
        other => panic!("{other:?}"),
    }
    let wrong = redcap::ClientConfig::new(&sandbox.redcap_url(), redcap::Token::from("0".repeat(32)));
    let wrong = redcap::Client::over(wrong, sandbox.wire()).unwrap();
    assert!(matches!(wrong.version().await, Err(ApiError::NotPermitted { .. })));

    let is_lost =
        |outcome| matches!(outcome, Err(CreateError::Unknown { why: UnknownOutcome::ConnectionLost, .. }));
    for (fault, kept) in [(CreateFault::AcceptThenDrop, 1), (CreateFault::DropNotSent, 1)] {
        sandbox.faults().next_creates(1, fault);
        assert!(is_lost(twilio.create_message(&text(ANA)).await), "{fault:?}");
        assert_eq!(sandbox.twilio().messages_kept(), kept);
    }
    sandbox.faults().twilio_down(true);
    let listed = twilio.list_messages(&ListMessages::default()).await;
    assert!(matches!(listed, Err(RequestError::Transport { .. })));
    sandbox.faults().redcap(Some(RedcapFault::Down));
    assert!(redcap.import_records(&[], Overwrite::Normal).await.unwrap_err().may_have_happened());

    // Nobody there, which is not the same as a connection that broke.
    let nobody: twilio::Wire =
        Arc::new(|_| Box::pin(async { Err(std::io::ErrorKind::ConnectionRefused.into()) }));
    let nowhere = twilio::Client::over(twilio_config(&sandbox), nobody.clone()).unwrap();
    assert!(matches!(nowhere.create_message(&text(ANA)).await, Err(CreateError::NotSent { .. })));
    let nowhere = redcap::Client::over(redcap_config(&sandbox), nobody).unwrap();
    let never = nowhere.import_records(&[], Overwrite::Normal).await.unwrap_err();
    assert!(never.is_passing() && !never.may_have_happened());
}

/// A real project with 34 surveys and 1,400 fields, and as many participants as a large study has. The bounds
/// are wide, for other things may be at work on the machine; what it takes is printed.
#[tokio::test]
async fn a_large_study_is_quick() {
    let Ok(folder) = std::env::var("CONSENTRY_CORPUS") else {
        println!("skipped: CONSENTRY_CORPUS is not set");
        return;
    };
    let file = Path::new(&folder).join("redcap-projects/rmh-covid-home-monitoring.xml");
    let xml = std::fs::read_to_string(file).unwrap();
    let (project, _) = redcap::odm::read_project(xml.as_bytes()).unwrap();
    let sandbox = Sandbox::in_process(SandboxConfig { project_xml: xml, ..config().0 }).unwrap();
    let client = redcap::Client::over(redcap_config(&sandbox), sandbox.wire()).unwrap();
    let first = project.instruments[0].name.clone();
    let chosen = project.fields.iter().filter(|field| field.kind.is_single_choice());
    let chosen = chosen.filter(|field| !project.repeats(CLASSIC_EVENT, &field.instrument));
    let chosen: Vec<_> =
        chosen.filter_map(|field| Some((field.name.clone(), field.choices.first()?.code.clone()))).collect();
    let people: Vec<Map<String, Value>> = (1..=1000)
        .map(|id| {
            let mut person: Map<_, _> =
                chosen.iter().map(|(field, code)| (field.clone(), code.as_str().into())).collect();
            person.insert(project.record_id_field.clone(), id.to_string().into());
            person
        })
        .collect();
    sandbox.redcap().import(&people).unwrap();
    let ids: Vec<String> = (1..=100).map(|id| id.to_string()).collect();

    let start = tokio::time::Instant::now();
    for id in &ids {
        let status = format!("{first}_complete");
        sandbox.redcap().save_form(id, &first, None, 1, &[(&status, "2")]).await;
    }
    let saved = start.elapsed() / 100;
    let start = tokio::time::Instant::now();
    for id in &ids {
        let one =
            ExportRecords { records: vec![id.clone()], survey_fields: true, ..ExportRecords::default() };
        let rows = client.export_records(&one).await.unwrap();
        assert_eq!(from_flat_rows(&project, &rows).len(), 1);
    }
    let exported = start.elapsed() / 100;
    let survey = project.surveys.iter().find(|survey| survey.enabled).unwrap().instrument.clone();
    let start = tokio::time::Instant::now();
    for id in &ids {
        let link = client.survey_link(id, &survey, None, 1).await.unwrap();
        sandbox.redcap().complete_survey(&link, &[]).await;
    }
    let answered = start.elapsed() / 100;
    let start = tokio::time::Instant::now();
    let recent = ReadLog { begin: Some("2026-11-23 10:29".to_owned()), ..ReadLog::default() };
    assert!(client.log(&recent).await.unwrap().len() >= 1100);
    let logged = start.elapsed();
    println!("save {saved:?}, export {exported:?}, survey {answered:?}, log of 1,100 rows {logged:?}");
    for (what, took, bound) in [("save", saved, 30), ("export", exported, 20), ("survey", answered, 100)] {
        assert!(took.as_millis() < bound, "{what}: {took:?}");
    }
}
