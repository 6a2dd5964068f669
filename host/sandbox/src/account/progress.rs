//! What happens to a message after it was taken, and the callbacks that tell.

use std::sync::Arc;

use twilio::MessageStatus;

use super::message::API_VERSION;
use super::webhook::Webhook;
use crate::faults::CallbackFault;
use crate::world::World;

/// Posts the callbacks of one message or call, as far as nothing else is planned for them.
pub(super) struct Teller {
    world: Arc<World>,
    fault: Option<CallbackFault>,
    held_back: Vec<Webhook>,
}

impl Teller {
    /// `tells` is false for what has no callback, and then no plan is used up.
    pub(super) fn new(world: &Arc<World>, tells: bool) -> Self {
        let fault = if tells { world.plan().next_callbacks() } else { None };
        Self { world: Arc::clone(world), fault, held_back: Vec::new() }
    }

    pub(super) async fn tell(&mut self, webhook: Webhook) {
        match self.fault {
            Some(CallbackFault::Drop) => {}
            None => drop(webhook.post(&self.world).await),
            Some(CallbackFault::Duplicate) => {
                webhook.post(&self.world).await;
                webhook.post(&self.world).await;
            }
            Some(CallbackFault::Reorder) => self.held_back.push(webhook),
        }
    }

    /// Posts what was held back.
    pub(super) async fn finish(self) {
        for webhook in self.held_back.into_iter().rev() {
            webhook.post(&self.world).await;
        }
    }
}

/// Carries a message to its end. The initial status is never told.
pub(crate) async fn carry(world: Arc<World>, sid: String) {
    let (to, tells) = {
        let account = world.account();
        let Some(message) = account.messages.get(&sid) else { return };
        (message.to.clone(), message.status_callback.is_some())
    };
    let mut teller = Teller::new(&world, tells);
    for (status, error_code) in steps(&world, &to) {
        let webhook = step(&world, &sid, status, error_code);
        world.changed();
        if let Some(webhook) = webhook {
            teller.tell(webhook).await;
        }
    }
    teller.finish().await;
}

fn steps(world: &World, to: &str) -> Vec<(MessageStatus, Option<u32>)> {
    let account = world.account();
    if account.is_suspended() {
        return vec![(MessageStatus::Failed, Some(30002))];
    }
    match account.obstacle(to) {
        None => vec![(MessageStatus::Sent, None), (MessageStatus::Delivered, None)],
        Some(code) => vec![(MessageStatus::Sent, None), (MessageStatus::Undelivered, Some(code))],
    }
}

/// Moves the message on and says what to post about it.
fn step(world: &World, sid: &str, status: MessageStatus, error_code: Option<u32>) -> Option<Webhook> {
    let now = world.now();
    let mut account = world.account();
    account.advance(sid, status, error_code, now);
    let account_sid = account.sid.clone();
    let token = account.new_sid("");
    let message = account.messages.get(sid)?;
    let url = message.status_callback.clone()?;
    let status = message.status.to_string();
    let mut form: Vec<(String, String)> = [
        ("SmsSid", sid),
        ("SmsStatus", &status),
        ("MessageStatus", &status),
        ("To", &message.to),
        ("MessageSid", sid),
        ("AccountSid", &account_sid),
        ("From", &message.from),
        ("ApiVersion", API_VERSION),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    if let Some(code) = message.error_code {
        form.push(("ErrorCode".to_owned(), code.to_string()));
    }
    Some(Webhook { url, form, token })
}
