//! The handset's page and what it asks for.

use axum::routing::get;
use axum::{Json, Router};
use sandbox::{Delivery, Sandbox, SandboxConfig, StartError};
use serde_json::{Value, json};

use crate::support::{ANA, PATIENCE, STUDY, config, start, twilio_client};
use crate::twilio_side::phone;

async fn fetch(url: &str) -> Value {
    reqwest::Client::new().get(url).send().await.unwrap().json().await.unwrap()
}

#[tokio::test]
async fn a_reply_on_the_page_is_a_text_from_the_phone() {
    let sandbox = start().await;
    let http = reqwest::Client::new();
    let saying = json!({ "from": ANA, "body": " I slept well " });
    let url = format!("{}/say", sandbox.handset_url());
    assert_eq!(http.post(&url).json(&saying).send().await.unwrap().status(), 204);
    let said = |texts: &[sandbox::HandsetText]| texts.iter().any(|text| text.body == "I slept well");
    sandbox.handset().wait_for(ANA, PATIENCE, said).await.unwrap();
    let shown = fetch(&format!("{}/texts?number=%2B16175550142", sandbox.handset_url())).await;
    assert_eq!((&shown[0]["incoming"], &shown[0]["status"]), (&json!(false), &json!("received")));
    // A form on another site cannot send JSON without being asked about it first.
    let form = http.post(&url).form(&[("from", ANA), ("body", "STOP")]).send().await.unwrap();
    assert_eq!(form.status(), 415);
    assert!(!sandbox.twilio().is_blocked(ANA));
    assert_eq!(sandbox.handset().say(ANA, "x").await.delivery, Delivery::NoWebhook);
}

#[tokio::test]
async fn a_call_stands_between_the_texts() {
    let sandbox = start().await;
    let client = twilio_client(&sandbox);
    sandbox.handset().say(ANA, "before").await;
    let call = twilio::CreateCall {
        to: phone(ANA),
        from: phone("+16175550100"),
        twiml: twilio::Response::new().say("Your survey waits.", None, None),
        status_callback: None,
        timeout: None,
    };
    client.create_call(&call).await.unwrap();
    sandbox.handset().say(ANA, "after").await;
    let mut changes = sandbox.handset().watch();
    while !sandbox.handset().calls(ANA)[0].answered {
        changes.changed().await.unwrap();
    }
    let shown = fetch(&format!("{}/texts?number=%2B16175550142", sandbox.handset_url())).await;
    let bodies: Vec<_> =
        shown.as_array().unwrap().iter().map(|bubble| bubble["body"].as_str().unwrap()).collect();
    assert_eq!(bodies, ["before", "☎ Your survey waits.", "after"]);
    assert_eq!(shown[1]["status"], "answered");
}

#[tokio::test]
async fn the_page_escapes_the_title_and_shows_what_the_demo_adds() {
    let titled = STUDY.replace("Sleep and Recovery Study", "Sleep &lt;script&gt; Study");
    let extra = Router::new().route("/handset/log", get(|| async { Json(json!([{ "title": "held" }])) }));
    let config = SandboxConfig { project_xml: titled, ..config().0 };
    let sandbox = Sandbox::start_with(config, extra).await.unwrap();
    let page = reqwest::Client::new().get(sandbox.handset_url()).send().await.unwrap();
    assert!(page.headers().contains_key("content-security-policy"));
    let page = page.text().await.unwrap();
    assert!(page.contains("<h1>Sleep &lt;script&gt; Study</h1>"));
    assert!(!page.contains("{{"));
    assert_eq!(fetch(&format!("{}/log", sandbox.handset_url())).await[0]["title"], "held");
}

#[tokio::test]
async fn the_page_hears_of_every_change() {
    let sandbox = start().await;
    let url = format!("{}/events", sandbox.handset_url());
    let mut events = reqwest::Client::new().get(url).send().await.unwrap();
    let first = events.chunk().await.unwrap().unwrap();
    assert!(first.starts_with(b"data: "));
    sandbox.handset().say(ANA, "hello").await;
    assert!(events.chunk().await.unwrap().unwrap().starts_with(b"data: "));
}

#[tokio::test]
async fn it_is_for_this_machine_only() {
    let listen = "0.0.0.0:0".parse().unwrap();
    let refused = Sandbox::start(SandboxConfig { listen, ..config().0 }).await;
    assert!(matches!(refused, Err(StartError::NotLoopback(_))));
}
