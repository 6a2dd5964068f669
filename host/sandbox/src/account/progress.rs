//! What happens to a message after it was taken, and the callbacks that tell.

use std::sync::Arc;

use twilio::MessageStatus;

use super::message::API_VERSION;
use super::webhook::Webhook;
use crate::faults::CallbackFault;
use crate::world::World;

/// Carries a message to its end. The initial status is never told.
pub(super) async fn carry(world: Arc<World>, sid: String) {
    let (to, fault) = {
        let mut account = world.account();
        let Some(message) = account.message(&sid) else { return };
        let tells = message.status_callback.is_some();
        let to = message.to.clone();
        drop(account);
        (to, if tells { world.plan().callbacks.pop_front() } else { None })
    };
    let mut held_back = Vec::new();
    for (status, error_code) in steps(&world, &to) {
        let webhook = step(&world, &sid, status, error_code);
        world.changed();
        match (webhook, fault) {
            (None, _) | (_, Some(CallbackFault::Drop)) => {}
            (Some(webhook), None) => drop(webhook.post(&world).await),
            (Some(webhook), Some(CallbackFault::Duplicate)) => {
                webhook.post(&world).await;
                webhook.post(&world).await;
            }
            (Some(webhook), Some(CallbackFault::Reorder)) => held_back.push(webhook),
        }
    }
    for webhook in held_back.into_iter().rev() {
        webhook.post(&world).await;
    }
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
    let message = account.message(sid)?;
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
