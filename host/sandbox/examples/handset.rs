//! A sandbox with a small study, for a look at the handset and the survey pages. It stays up until
//! interrupted.

use std::io::Write;
use std::sync::Arc;

use axum::routing::get;
use axum::{Json, Router};
use jiff::Timestamp;
use sandbox::{Sandbox, SandboxConfig, TwilioAccount};
use serde_json::json;

const STUDY: &str = include_str!("../tests/data/study.xml");

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    #[expect(clippy::disallowed_methods, reason = "an example is its own edge, and shows the real time")]
    let now = Arc::new(Timestamp::now);
    let log = json!([
        { "at": "2026-11-23T13:00:00Z", "title": "Invitation to record 1 was sent",
          "detail": "08:00 to 21:00 where she lives · consent on file · 1 of 3 this week", "tone": "good" },
        { "at": "2026-11-23T13:00:00Z", "title": "Invitation to record 2 is held until 09:00",
          "detail": "It is 05:00 where he lives.", "tone": "warn" },
    ]);
    let extra = Router::new().route("/handset/log", get(move || async { Json(log) }));
    let config = SandboxConfig { listen: "127.0.0.1:4012".parse()?, ..SandboxConfig::new(STUDY, now) };
    let sandbox = Sandbox::start_with(config, extra).await?;

    let account = TwilioAccount::default();
    let client = twilio::Client::new(twilio::ClientConfig {
        api_base: sandbox.twilio_url(),
        lookups_base: sandbox.twilio_url(),
        user: account.account_sid.clone(),
        account_sid: account.account_sid,
        secret: account.auth_token,
    })?;
    let token = redcap::Token::from(SandboxConfig::new("", Arc::new(|| Timestamp::UNIX_EPOCH)).api_token);
    let redcap = redcap::Client::new(redcap::ClientConfig::new(&sandbox.redcap_url(), token))?;
    let link = redcap.survey_link("1", "checkin", None, 1).await?;
    for body in [
        format!(
            "Sleep and Recovery Study: good morning, Ana. Your check-in is ready: {link} Reply STOP to stop."
        ),
        "Sleep and Recovery Study: a reminder, your check-in closes at 12:00.".to_owned(),
    ] {
        let message = twilio::CreateMessage {
            to: twilio::PhoneNumber::from_e164("+16175550142")?,
            from: twilio::Sender::Number(twilio::PhoneNumber::from_e164(&account.number)?),
            body: twilio::MessageBody::new(body),
            status_callback: None,
            validity_period: None,
            smart_encoded: false,
        };
        client.create_message(&message).await?;
    }
    sandbox.handset().say("+16175550142", "Thanks, will do!").await;
    sandbox.handset().say("+16175550143", "STOP").await;
    writeln!(std::io::stdout(), "handset: {}\nsurvey:  {link}", sandbox.handset_url())?;
    std::future::pending().await
}
