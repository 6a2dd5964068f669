//! Posting signed forms, as Twilio does.

use crate::form;
use crate::post::{Answer, Unanswered};
use crate::world::World;

/// One event to tell a webhook. Told again, it keeps its token.
#[derive(Clone)]
pub(crate) struct Webhook {
    pub(super) url: String,
    pub(super) form: Vec<(String, String)>,
    pub(super) token: String,
}

impl Webhook {
    /// Posts it; a failure becomes an alert. As by default at Twilio, only a failed connection is tried again,
    /// and only once.
    pub(super) async fn post(&self, world: &World) -> Option<Answer> {
        let mut answer = self.try_post(world).await;
        if answer.as_ref().is_err_and(|unanswered| unanswered.never_left) {
            answer = self.try_post(world).await;
        }
        let answer = answer.ok();
        if answer.as_ref().is_none_or(|answer| !(200..300).contains(&answer.status)) {
            world.account().note(11200, world.now());
            world.changed();
        }
        answer
    }

    async fn try_post(&self, world: &World) -> Result<Answer, Unanswered> {
        let signature = twilio::sign(&self.url, &self.form, &world.account().auth_token);
        let headers = [
            ("X-Twilio-Signature", signature.as_str()),
            ("I-Twilio-Idempotency-Token", &self.token),
            ("User-Agent", "TwilioProxy/1.1"),
            ("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8"),
        ];
        world.post(&self.url, &headers, form::encode(&self.form)).await
    }
}
