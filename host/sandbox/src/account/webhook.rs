//! Posting signed forms, as Twilio does.

use reqwest::header::CONTENT_TYPE;
use reqwest::redirect;

use crate::form;
use crate::world::World;

/// One event to tell a webhook. Told again, it keeps its token.
#[derive(Clone)]
pub(crate) struct Webhook {
    pub(super) url: String,
    pub(super) form: Vec<(String, String)>,
    pub(super) token: String,
}

/// What a webhook answered.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) content_type: String,
    pub(super) body: String,
}

impl Webhook {
    /// Posts it; a failure becomes an alert. As by default at Twilio, only a failed connection is tried again,
    /// and only once.
    pub(super) async fn post(&self, world: &World) -> Option<Answer> {
        let mut answer = self.try_post(world).await;
        if answer.as_ref().is_err_and(reqwest::Error::is_connect) {
            answer = self.try_post(world).await;
        }
        let answer = answer.ok();
        if answer.as_ref().is_none_or(|answer| !(200..300).contains(&answer.status)) {
            world.account().note(11200, world.now());
            world.changed();
        }
        answer
    }

    async fn try_post(&self, world: &World) -> Result<Answer, reqwest::Error> {
        let signature = twilio::sign(&self.url, &self.form, &world.account().auth_token);
        let response = world
            .http
            .post(&self.url)
            .header("X-Twilio-Signature", signature)
            .header("I-Twilio-Idempotency-Token", &self.token)
            .header("User-Agent", "TwilioProxy/1.1")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded; charset=UTF-8")
            .body(form::encode(&self.form))
            .send()
            .await?;
        let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        Ok(Answer {
            status: response.status().as_u16(),
            content_type: content_type.unwrap_or_default().to_owned(),
            body: response.text().await?,
        })
    }
}

/// The client for webhooks and triggers: it waits as long as Twilio does, 5 seconds for a connection and 15
/// for an answer, and follows no redirect, which would lose the form.
pub(crate) fn client() -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .no_proxy()
        .redirect(redirect::Policy::none())
        .connect_timeout(std::time::Duration::from_secs(5))
        .timeout(std::time::Duration::from_secs(15))
        .build()
}
