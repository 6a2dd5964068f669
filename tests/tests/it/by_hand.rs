//! What a study team sends by hand, at the command line and through the admin API, and where it shows.

use std::process::ExitCode;

use anyhow::{Context, Result};
use consentry::admin::api;
use reqwest::{Method, StatusCode};
use sandbox::SurveyOutcome;
use serde_json::{Value, json};
use tests::{ANA, BEN, CLARA, EVE, Play, Stage, words};
use tokio::net::TcpListener;

use crate::operations::{holds, names_nobody, refused, told};

/// Two people of whom there is no record.
const KIM: &str = "+16175550131";
const LEE: &str = "+16175550132";

const WHY: [&str; 2] = ["--why", "J. Operator, the pilot"];

async fn invite(stage: &Stage, whom: &[&str]) -> Result<Value> {
    let (_, planned) =
        told(stage, &[&["invite", "sleep", "sleep_diary", "--json"], whom, &WHY].concat()).await?;
    stage.settle().await?;
    Ok(serde_json::from_str(&planned)?)
}

fn count(planned: &Value) -> usize {
    planned["messages"].as_array().map_or(0, Vec::len)
}

#[tokio::test]
async fn all_those_who_have_not_answered_or_chosen_records_are_invited_and_each_has_its_row() -> Result<()> {
    let stage = Stage::new().await?;
    let everybody = invite(&stage, &["--all"]).await?;
    assert_eq!(count(&everybody), 5);
    assert_eq!([BEN, ANA, CLARA, EVE].map(|number| stage.received(number)), [1, 1, 0, 0]);
    let lines = stage.lines().await?;
    let stands = |record: &str| {
        let line = lines.iter().find(|line| line.record.as_deref() == Some(record));
        line.map(|line| (line.status.clone(), line.reason.clone().unwrap_or_default()))
    };
    for (record, status, why) in
        [("3", "suppressed", "landline"), ("4", "suppressed", "phone number"), ("5", "held", "consent")]
    {
        let (found, reason) = stands(record).context("everybody has a row")?;
        assert!(found == status && reason.contains(why), "{record} is {found}: {reason}");
    }
    assert!(lines.iter().all(|line| line.schedule.as_deref() == Some("by-hand/sleep_diary")));

    let body = stage.sandbox.handset().texts(BEN)[0].body.clone();
    let link = body.split_whitespace().find(|word| word.starts_with("http")).unwrap_or_default();
    let answers = [("hours_slept", "7.5"), ("sleep_quality", "4")];
    let outcome = stage.sandbox.redcap().complete_survey(link, &answers).await;
    assert_eq!(outcome, SurveyOutcome::Completed);
    assert_eq!(count(&invite(&stage, &["--not-answered"]).await?), 4);
    assert_eq!([BEN, ANA].map(|number| stage.received(number)), [1, 2]);

    assert_eq!(count(&invite(&stage, &["--records", "2", "4"]).await?), 2);
    assert_eq!([BEN, ANA].map(|number| stage.received(number)), [1, 3]);
    let unknown = ["invite", "sleep", "sleep_diary", "--records", "2", "99", "--why", "a test"];
    holds(&refused(&stage, &unknown).await, &["there is no record `99`; nobody was invited"]);
    assert_eq!(stage.received(ANA), 3);
    for (wrong, why) in [
        (["invite", "sleep", "enrolment", "--all", "--why", "a test"], "`enrolment` is not a survey"),
        (["invite", "sleep", "sleep_diary", "--all", "--why", " "], "nobody says who wants it"),
        (["invite", "slep", "sleep_diary", "--all", "--why", "a test"], "there is no project `slep`"),
    ] {
        holds(&refused(&stage, &wrong).await, &[why]);
    }
    Ok(())
}

#[tokio::test]
async fn the_same_batch_again_makes_nothing_twice() -> Result<()> {
    let stage = Stage::new().await?;
    let batch = ["--records", "1", "2", "--batch", "pilot-1"];
    assert_eq!(count(&invite(&stage, &batch).await?), 2);
    let again = invite(&stage, &batch).await?;
    assert_eq!((count(&again), &again["known"]), (0, &json!(2)));
    assert_eq!([BEN, ANA].map(|number| stage.received(number)), [1, 1]);
    Ok(())
}

#[tokio::test]
async fn what_is_sent_later_shows_in_the_log_and_is_rescheduled_and_canceled() -> Result<()> {
    let stage = Stage::new().await?;
    // It is ten in the morning on REDCap's clock.
    let planned = invite(&stage, &["--records", "1", "2", "--at", "2026-11-24 12:00"]).await?;
    let (ben, ana) = (planned["messages"][0].as_str(), planned["messages"][1].as_str());
    let (ben, ana) = (ben.unwrap_or_default().to_owned(), ana.unwrap_or_default().to_owned());
    assert_eq!([BEN, ANA].map(|number| stage.received(number)), [0, 0]);
    let (_, future) = told(&stage, &["log", "--future", "--csv"]).await?;
    let header = "id,project,send_time,method,record,survey,event,schedule,reminder,repetition,purpose,state,rule,\
                  reason,changed";
    assert_eq!(future.lines().next(), Some(header));
    assert_eq!(future.matches("2026-11-24T17:00:00Z,,").count(), 2, "{future}");
    assert!(told(&stage, &["log", "--past", "--csv"]).await?.1.lines().count() == 1);

    told(&stage, &["reschedule", &ben, "--to", "2026-11-24 14:30", "--why", "J. Operator"]).await?;
    told(&stage, &["cancel", &ana, "--why", "J. Operator"]).await?;
    stage.later(2 * 3600 + 60).await?;
    assert_eq!([BEN, ANA].map(|number| stage.received(number)), [0, 0]);
    let (_, future) = told(&stage, &["log", "--future", "--csv"]).await?;
    assert!(future.contains("2026-11-24T19:30:00Z") && future.lines().count() == 2, "{future}");
    stage.later(3 * 3600).await?;
    stage.until(&ben, "delivered").await?;
    assert_eq!([BEN, ANA].map(|number| stage.received(number)), [1, 0]);
    holds(
        &refused(&stage, &["reschedule", &ben, "--to", "2026-11-25 10:00", "--why", "a test"]).await,
        &["there is no message", "that has not left"],
    );

    for (line, rows) in [
        (&["log", "--csv", "--future"][..], 0),
        (&["log", "--csv", "--past"][..], 2),
        (&["log", "--csv", "--status", "canceled"][..], 1),
        (&["log", "--csv", "--schedule", "by-hand/sleep_diary"][..], 2),
        (&["log", "--csv", "--schedule", "asi/sleep_diary"][..], 0),
        (&["log", "--csv", "--participant", "1"][..], 1),
    ] {
        let (_, csv) = told(&stage, line).await?;
        assert_eq!(csv.lines().count() - 1, rows, "{line:?}\n{csv}");
        names_nobody(&csv);
    }
    let (_, story) = told(&stage, &["explain", &ben]).await?;
    holds(&story, &["A person wants it at another time: J. Operator", "because of J. Operator, the pilot"]);
    Ok(())
}

/// A study whose enrolment is its public survey.
async fn public(schedules: &str, list_consent: &str) -> Result<Stage> {
    let mut play = Play { schedules: format!("go-live = \"everything\"\n{schedules}"), ..Play::default() };
    play.wordings.push(words("public", "message", &["invitation"], "Take part in our study: [survey-link]"));
    play.compliance += list_consent;
    let stage = Stage::dark(&[play]).await?;
    stage.sandbox.redcap().edit_project(|project| {
        let mut survey = project.surveys[0].clone();
        survey.instrument = "enrolment".into();
        survey.title = "Enrolment".into();
        project.surveys.insert(0, survey);
    });
    stage.gateway.sweep().await;
    stage.settle().await?;
    Ok(stage)
}

const LINK: &str = "public-survey-link = \"http://127.0.0.1:9/surveys/?s=PUBLIC\"\n";
const EVIDENCE: &str = "list-consent = \"the binder in room 12\"\n";

/// What comes of a list, or what is wrong with it.
async fn list(stage: &Stage, csv: &str, more: &[&str]) -> Result<String> {
    let file = stage.folder().join("list.csv");
    std::fs::write(&file, csv)?;
    let file = file.display().to_string();
    let line = [&["public", "sleep", "--list", &file, "--wording", "public"], more, &WHY].concat();
    let told = match told(stage, &line).await {
        Ok((_, text)) => text,
        Err(_) => refused(stage, &line).await,
    };
    stage.settle().await?;
    assert!(!told.contains("555013") && !told.contains("555-013"), "{told}");
    Ok(told)
}

#[tokio::test]
async fn a_list_without_permission_is_refused_and_with_it_each_number_is_invited_once() -> Result<()> {
    let stage = public(LINK, EVIDENCE).await?;
    let plain = list(&stage, &format!("{KIM}\n{LEE}\n"), &[]).await?;
    holds(&plain, &["has no column `number`, `date`, `manner`, `documented-by`", "documented permission"]);

    let bad = format!(
        "number,date,manner,documented-by\n{KIM},2026-11-20,written,N. Nurse\n555-0132 x,2026-11-20,written,N. Nurse\n\
         617-555-0132,,written,N. Nurse\n617-555-0132,2026-11-25,written,N. Nurse\n617-555-0132,2026-11-20,mail,N. Nurse\n\
         617-555-0132,2026-11-20,written,\n"
    );
    let why = list(&stage, &bad, &[]).await?;
    holds(
        &why,
        &[
            "5 rows of the list cannot be used; nobody was invited",
            "line 3: this is no number",
            "line 4: it has no date of the permission",
            "line 5: its permission is of a day that is still to come",
            "line 6: its manner is none of written",
            "line 7: nobody is named who documented",
        ],
    );
    assert_eq!([KIM, LEE].map(|number| stage.received(number)), [0, 0]);
    holds(&list(&stage, &bad, &["--skip-bad"]).await?, &["1 invitations", "5 rows were left out", "line 3:"]);
    assert_eq!([KIM, LEE].map(|number| stage.received(number)), [1, 0]);

    let good = format!(
        "number,date,manner,documented-by\n{LEE},2026-11-20,verbal-documented,N. Nurse 617-555-0142\n\
         (617) 555-0132,2026-11-20,written,N. Nurse\n"
    );
    holds(&list(&stage, &good, &[]).await?, &["1 invitations", "1 rows repeat a number"]);
    assert_eq!([KIM, LEE].map(|number| stage.received(number)), [1, 1]);
    let body = stage.sandbox.handset().texts(LEE)[0].body.clone();
    assert!(body.starts_with("Take part in our study: http://127.0.0.1:9/surveys/?s=PUBLIC"), "{body}");

    let lines = stage.lines().await?;
    assert!(lines.iter().all(|line| line.record.is_none()), "there is no record until somebody answers");
    let (_, story) = told(&stage, &["explain", &lines[0].id, "--json"]).await?;
    let story: Value = serde_json::from_str(&story)?;
    let permission = &story["events"][0]["facts"]["origin"]["permission"];
    assert!(["written", "verbal-documented"].contains(&permission["manner"].as_str().unwrap_or_default()));
    assert!(permission["documented-by"].as_str().unwrap_or_default().starts_with("N. Nurse"));
    assert!(!story.to_string().contains("555-01"), "{story}");
    Ok(())
}

#[tokio::test]
async fn a_list_is_held_or_refused_where_the_project_is_not_ready_for_it() -> Result<()> {
    let good = format!("number,date,manner,documented-by\n{KIM},2026-11-20,written,N. Nurse\n");
    let stage = public("", EVIDENCE).await?;
    holds(&list(&stage, &good, &[]).await?, &["no `public-survey-link`"]);
    // The reference compliance policy wants to know where the evidence is.
    let stage = public(LINK, "").await?;
    list(&stage, &good, &[]).await?;
    let lines = stage.lines().await?;
    assert_eq!((lines[0].status.as_str(), lines[0].rule.as_deref()), ("held", Some("consent-of-list")));
    // Who opted out stays so, whatever list their number is on.
    let stage = public(LINK, EVIDENCE).await?;
    stage.say(KIM, "STOP").await?;
    list(&stage, &good, &[]).await?;
    let lines = stage.lines().await?;
    assert_eq!((lines[0].status.as_str(), lines[0].rule.as_deref()), ("suppressed", Some("floor.opted-out")));
    stage.sandbox.redcap().set_survey_enabled("enrolment", false);
    stage.gateway.sweep().await;
    holds(&list(&stage, &good, &[]).await?, &["has no public survey"]);
    assert_eq!(stage.received(KIM), 0);
    Ok(())
}

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const NARROW: &str = "fedcba9876543210fedcba9876543210";

/// The admin API of a stage, as its configuration makes it.
struct Api {
    url: String,
    client: reqwest::Client,
}

impl Api {
    async fn of(stage: &Stage) -> Result<Api> {
        std::fs::write(stage.folder().join("token.txt"), TOKEN)?;
        std::fs::write(stage.folder().join("narrow.txt"), NARROW)?;
        let config = std::fs::read_to_string(&stage.config)?;
        let tokens = "admin-listen = \"127.0.0.1:0\"\n\
                      [[api-token]]\nname = \"scheduler\"\ntoken = { file = \"token.txt\" }\n\
                      [[api-token]]\nname = \"other\"\ntoken = { file = \"narrow.txt\" }\nprojects = [\"other\"]\n";
        std::fs::write(&stage.config, config + tokens)?;
        let tokens = tests::read(&stage.config)?.api_tokens;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let router = api::router(stage.gateway.clone(), tokens);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Api { url, client: reqwest::Client::new() })
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: &Value,
    ) -> Result<(StatusCode, Value)> {
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if !body.is_null() {
            request = request.json(body);
        }
        let answer = request.send().await?;
        let status = answer.status();
        Ok((status, answer.json().await.unwrap_or(Value::Null)))
    }

    async fn post(&self, path: &str, body: Value) -> Result<(StatusCode, Value)> {
        self.ask(Method::POST, path, Some(TOKEN), &body).await
    }

    async fn get(&self, path: &str) -> Result<(StatusCode, Value)> {
        self.ask(Method::GET, path, Some(TOKEN), &Value::Null).await
    }
}

#[tokio::test]
async fn every_route_of_the_admin_api_wants_a_token_and_without_tokens_there_is_none() -> Result<()> {
    let stage = Stage::new().await?;
    let api = Api::of(&stage).await?;
    let (status, document) = api.ask(Method::GET, "/api/openapi.json", None, &Value::Null).await?;
    assert_eq!(status, StatusCode::OK);
    let mut seen = 0;
    for (path, operations) in document["paths"].as_object().context("the document has paths")? {
        for (method, operation) in operations.as_object().context("a path has operations")? {
            if operation["security"].is_array() {
                continue;
            }
            seen += 1;
            let path = path.replace("{project}", "sleep").replace("{id}", "01NOBODY");
            let method = Method::from_bytes(method.to_uppercase().as_bytes())?;
            for token in [None, Some("0123456789abcdef0123456789abcdeX"), Some("")] {
                let (status, said) =
                    api.ask(method.clone(), &path, token, &json!({ "why": "a test" })).await?;
                assert_eq!(status, StatusCode::UNAUTHORIZED, "{method} {path}");
                assert!(said["error"].is_string() && said["help"].is_string(), "{said}");
            }
            // What is not there, and what is another's.
            let lost = path.replace("sleep", "slept");
            let (status, _) =
                api.ask(method.clone(), &lost, Some(TOKEN), &json!({ "why": "a test" })).await?;
            assert_eq!(status, StatusCode::NOT_FOUND, "{method} {lost}");
            if path.contains("sleep") {
                let (status, _) = api.ask(method, &path, Some(NARROW), &json!({ "why": "a test" })).await?;
                assert_eq!(status, StatusCode::FORBIDDEN, "{path}");
            }
        }
    }
    assert_eq!(seen, 11);
    // Without a token in the configuration, none of it is there.
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let router = consentry::admin::router(stage.gateway.clone(), consentry::telemetry::prometheus()?);
    tokio::spawn(async move { axum::serve(listener, router).await });
    let answer = api.client.get(format!("{url}/api/openapi.json")).send().await?;
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    Ok(())
}

#[tokio::test]
async fn a_short_token_is_refused_with_the_configuration() -> Result<()> {
    let stage = Stage::new().await?;
    std::fs::write(stage.folder().join("token.txt"), "too-short")?;
    let config = std::fs::read_to_string(&stage.config)?;
    let tokens = "[[api-token]]\nname = \"scheduler\"\ntoken = { file = \"token.txt\" }\n";
    std::fs::write(&stage.config, config + tokens)?;
    let told = tests::read(&stage.config).err().context("it was refused")?.to_string();
    holds(&told, &["at least 32 characters", "the admin API needs an address"]);
    assert!(!told.contains("too-short"), "{told}");
    Ok(())
}

#[tokio::test]
async fn the_admin_api_does_what_the_command_line_does() -> Result<()> {
    let stage = public(LINK, EVIDENCE).await?;
    let api = Api::of(&stage).await?;
    let project = "/api/projects/sleep";
    let invite = json!({ "survey": "sleep_diary", "who": "records", "records": ["1", "2"], "at": "2026-11-24 12:00",
                         "why": "the pilot" });
    let (status, planned) = api.post(&format!("{project}/invitations"), invite).await?;
    assert_eq!(status, StatusCode::OK, "{planned}");
    let id = |n: usize| planned["messages"][n].as_str().unwrap_or_default().to_owned();
    let (ben, ana) = (id(0), id(1));
    stage.settle().await?;
    let (_, log) = api.get(&format!("{project}/log?side=future")).await?;
    assert_eq!(log["messages"].as_array().map(Vec::len), Some(2), "{log}");
    assert_eq!(log["messages"][0]["send_time"], "2026-11-24 12:00:00 EST");

    let why = json!({ "why": "not yet" });
    assert_eq!(api.post(&format!("/api/messages/{ana}/hold"), why.clone()).await?.1["status"], "held");
    assert_eq!(api.post(&format!("/api/messages/{ana}/release"), why.clone()).await?.1["status"], "deferred");
    assert_eq!(api.post(&format!("/api/messages/{ana}/cancel"), why.clone()).await?.1["status"], "canceled");
    let (status, said) = api.post(&format!("/api/messages/{ana}/cancel"), why.clone()).await?;
    assert_eq!(status, StatusCode::CONFLICT, "{said}");
    let later = json!({ "to": "2026-11-24T16:00:00Z", "why": "sooner" });
    assert_eq!(
        api.post(&format!("/api/messages/{ben}/reschedule"), later).await?.1["send_time"],
        "2026-11-24 11:00:00 EST"
    );
    stage.later(3600).await?;
    stage.until(&ben, "delivered").await?;
    assert_eq!([BEN, ANA].map(|number| stage.received(number)), [1, 0]);
    let (_, story) = told(&stage, &["explain", &ana]).await?;
    holds(&story, &["scheduler: not yet"]);

    let row = |number: &str| json!({ "number": number, "date": "2026-11-20", "manner": "written", "documented-by": "N. Nurse" });
    let numbers =
        json!({ "numbers": [row(KIM), row("no number"), row(KIM)], "wording": "public", "why": "a fair" });
    let (status, said) = api.post(&format!("{project}/public-invitations"), numbers.clone()).await?;
    assert_eq!((status, &said["rows"][0]["line"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!(2)), "{said}");
    let mut numbers = numbers;
    numbers["skip-bad"] = json!(true);
    let (status, said) = api.post(&format!("{project}/public-invitations"), numbers).await?;
    assert_eq!((status, &said["repeated"]), (StatusCode::OK, &json!(1)), "{said}");
    stage.settle().await?;
    assert_eq!(stage.received(KIM), 1);

    let (status, said) = api.get(&format!("{project}/schedules")).await?;
    assert_eq!((status, &said["schedules"]), (StatusCode::OK, &json!([])));
    assert_eq!(api.get(&format!("{project}/catch-up")).await?.1["waiting"], json!([]));
    let release = json!({ "what": "release", "why": "a test" });
    assert_eq!(api.post(&format!("{project}/catch-up"), release).await?.0, StatusCode::CONFLICT);
    let (status, said) = api.post(&format!("{project}/reevaluate"), json!({ "why": "a test" })).await?;
    assert_eq!((status, said), (StatusCode::OK, json!({ "done": true, "new": {} })));

    for (path, body) in [
        ("invitations", json!({ "survey": "sleep_diary", "who": "all", "records": ["1"], "why": "a test" })),
        ("invitations", json!({ "survey": "sleep_diary", "who": "all", "why": "" })),
        ("invitations", json!({ "survey": "sleep_diary", "who": "all", "whi": "" })),
        ("invitations", json!({ "survey": "sleep_diary", "who": "all", "why": "a test", "at": "noon" })),
        ("public-invitations", json!({ "numbers": [KIM], "why": "a test" })),
        ("catch-up", json!({ "what": "expire", "sample": 5, "why": "a test" })),
        ("reevaluate", json!({ "schedule": "asi/none", "why": "a test" })),
    ] {
        let (status, said) = api.post(&format!("{project}/{path}"), body).await?;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{path}: {said}");
        assert!(said["help"].is_string() && !said.to_string().contains("555"), "{said}");
    }
    for query in ["side=now", "limit=0", "status=gone", "number=1"] {
        let (status, _) = api.get(&format!("{project}/log?{query}")).await?;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{query}");
    }
    assert_eq!(told(&stage, &["ledger", "verify"]).await?.0, ExitCode::SUCCESS);
    Ok(())
}
