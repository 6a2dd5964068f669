//! What a person texts to the number.

use std::sync::Arc;

use jiff::Timestamp;
use twilio::{Keyword, MessageStatus, SmartEncoding, default_keyword};

use super::message::{API_VERSION, Message};
use super::webhook::Webhook;
use super::{Account, OptOutHandling, twiml};
use crate::handset::{Delivery, Direction, Shown};
use crate::post::{Answer, Errand};
use crate::world::World;

/// Twilio sends at most this many replies to one message (14109).
const MAX_REPLIES: usize = 10;
const MAX_BODY: usize = 1600;

/// An inbound message's webhook, kept for delivering it again.
pub(super) struct Inbound {
    webhook: Webhook,
    phone: String,
    /// The account's number that was written to.
    account_number: String,
    /// Once an answer was obeyed, the answer to a repetition is not.
    obeyed: bool,
}

/// What became of a text before anybody was told of it.
pub(crate) struct Heard {
    pub(crate) sid: String,
    /// Whether there is a webhook to tell.
    pub(crate) has_webhook: bool,
}

/// Takes a text: keywords first, as Twilio does, then the message resource.
pub(crate) fn hear(world: &World, from: &str, to: &str, body: &str) -> Heard {
    let now = world.now();
    let mut guard = world.account();
    let account = &mut *guard;
    let sid = account.new_sid("SM");
    let segments = twilio::measure(body, SmartEncoding::Off).segments;

    account.phones.show(&Shown {
        direction: Direction::FromPhone,
        phone: from,
        account_number: to,
        body,
        at: now,
        sid: Some(&sid),
        segments,
        status: MessageStatus::Received.as_str(),
        from_twilio: false,
    });
    let mut message = Message::outbound(sid.clone(), from, to, body, false, now);
    message.direction = "inbound";
    message.status = MessageStatus::Received;
    message.sent = Some(now);
    account.messages.insert(message);

    let toll_free = account.number(to).is_some_and(|number| number.phone.is_toll_free());
    let keyword = match account.opt_out {
        OptOutHandling::None => None,
        _ => default_keyword(body, toll_free),
    };
    if let Some(keyword) = keyword {
        obey_keyword(account, from, to, keyword, now);
    }

    let mut form: Vec<(String, String)> = [
        ("ToCountry", "US"),
        ("SmsMessageSid", &sid),
        ("NumMedia", "0"),
        ("SmsSid", &sid),
        ("SmsStatus", "received"),
        ("FromCountry", "US"),
        ("Body", body),
        ("To", to),
        ("NumSegments", &segments.to_string()),
        ("MessageSid", &sid),
        ("AccountSid", &account.sid),
        ("From", from),
        ("ApiVersion", API_VERSION),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    if let (Some(keyword), OptOutHandling::Advanced) = (keyword, account.opt_out) {
        let kind = match keyword {
            Keyword::Stop => "STOP",
            Keyword::Start => "START",
            Keyword::Help => "HELP",
        };
        form.push(("OptOutType".to_owned(), kind.to_owned()));
    }
    let settings = account.number(to).map(|number| &number.settings);
    let url = settings.and_then(|settings| settings.get("sms_url")).filter(|url| !url.is_empty()).cloned();
    let has_webhook = url.is_some();
    if let Some(url) = url {
        let webhook = Webhook { url, form, token: account.new_sid("") };
        let (phone, account_number) = (from.to_owned(), to.to_owned());
        account.deliveries.insert(sid.clone(), Inbound { webhook, phone, account_number, obeyed: false });
    }
    drop(guard);
    world.changed();
    Heard { sid, has_webhook }
}

/// Twilio's own answers reach the phone and are no message resources.
fn obey_keyword(account: &mut Account, from: &str, to: &str, keyword: Keyword, now: Timestamp) {
    let pair = (to.to_owned(), from.to_owned());
    let reply = match keyword {
        Keyword::Stop => {
            account.blocked.insert(pair);
            "You are unsubscribed from this number and will get no more messages. Text START to get them again."
        }
        // Someone who was never blocked gets no answer: YES is also an answer to a question.
        Keyword::Start if !account.blocked.remove(&pair) => return,
        Keyword::Start => "You are subscribed to this number again. Text STOP to unsubscribe.",
        Keyword::Help => "Text STOP to unsubscribe from this number. Message and data rates may apply.",
    };
    account.phones.show(&Shown {
        direction: Direction::ToPhone,
        phone: from,
        account_number: to,
        body: reply,
        at: now,
        sid: None,
        segments: twilio::measure(reply, SmartEncoding::Off).segments,
        status: MessageStatus::Delivered.as_str(),
        from_twilio: true,
    });
}

/// Tells the webhook of an inbound message, and does what it answers unless that was done already.
pub(crate) async fn deliver(world: &Arc<World>, sid: &str) -> Delivery {
    let webhook = match world.account().deliveries.get(sid) {
        Some(inbound) => inbound.webhook.clone(),
        None => return Delivery::NoWebhook,
    };
    let Some(answer) = webhook.post(world).await else { return Delivery::Failed { status: None } };
    if !(200..300).contains(&answer.status) {
        return Delivery::Failed { status: Some(answer.status) };
    }
    let Ok(replies) = read_answer(&answer) else {
        world.account().note(12100, world.now());
        world.changed();
        return Delivery::Failed { status: Some(answer.status) };
    };
    let ends = {
        let mut account = world.account();
        let ends = match account.deliveries.get_mut(sid) {
            Some(inbound) if !inbound.obeyed => {
                inbound.obeyed = true;
                Some((inbound.phone.clone(), inbound.account_number.clone()))
            }
            _ => None,
        };
        if !account.phones.keep {
            account.deliveries.remove(sid);
        }
        ends
    };
    if let Some((phone, account_number)) = ends {
        for reply in &replies {
            send_reply(world, &account_number, &phone, reply);
        }
    }
    Delivery::Answered { status: answer.status, replies }
}

fn send_reply(world: &Arc<World>, from: &str, phone: &str, body: &str) {
    let now = world.now();
    let sid = {
        let mut account = world.account();
        let usable = !body.is_empty() && body.chars().count() <= MAX_BODY;
        if !usable || account.is_blocked(from, phone) || account.is_suspended() {
            account.note(14103, now);
            return;
        }
        let sid = account.new_sid("SM");
        let mut message = Message::outbound(sid.clone(), from, phone, body, false, now);
        message.direction = "outbound-reply";
        account.keep(message);
        sid
    };
    world.changed();
    world.undertake(Errand::Message(sid));
}

/// The texts an answer asks to send. Plain text is a reply too, which is why an error must never be
/// answered as plain text with status 200.
fn read_answer(answer: &Answer) -> Result<Vec<String>, twiml::NotTwiml> {
    if answer.status == 204 || answer.body.trim().is_empty() {
        return Ok(Vec::new());
    }
    let content_type = answer.content_type.to_ascii_lowercase();
    if content_type.starts_with("text/plain") {
        return Ok(vec![answer.body.trim().to_owned()]);
    }
    if !content_type.contains("xml") && !content_type.starts_with("text/html") {
        return Err(twiml::NotTwiml);
    }
    let mut replies = twiml::texts(&answer.body, "Message")?;
    replies.truncate(MAX_REPLIES);
    Ok(replies)
}
