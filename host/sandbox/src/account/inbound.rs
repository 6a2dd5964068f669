//! What a person texts to the number.

use std::sync::Arc;

use jiff::Timestamp;
use quick_xml::Reader;
use quick_xml::escape::unescape;
use quick_xml::events::Event;
use twilio::{Keyword, MessageStatus, SmartEncoding, default_keyword};

use super::message::{API_VERSION, Message};
use super::webhook::{Answer, Webhook};
use super::{Account, OptOutHandling, progress};
use crate::handset::{Delivery, Direction, HandsetText};
use crate::world::World;

/// Twilio sends at most this many replies to one message (14109).
const MAX_REPLIES: usize = 10;
const MAX_BODY: usize = 1600;

/// An inbound message's webhook, kept for delivering it again.
pub(super) struct Inbound {
    webhook: Webhook,
    phone: String,
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
pub(crate) fn hear(world: &World, from: &str, body: &str) -> Heard {
    let now = world.now();
    let mut guard = world.account();
    let account = &mut *guard;
    let number = account.number.phone.expose().to_owned();
    let sid = account.new_sid("SM");
    let segments = twilio::measure(body, SmartEncoding::Off).segments;

    account.texts.push(HandsetText {
        direction: Direction::FromPhone,
        number: from.to_owned(),
        body: body.to_owned(),
        at: now,
        sid: Some(sid.clone()),
        segments,
        status: MessageStatus::Received.to_string(),
        from_twilio: false,
    });
    let mut message = Message::outbound(sid.clone(), from, &number, body, false, now);
    message.direction = "inbound";
    message.status = MessageStatus::Received;
    message.sent = Some(now);
    account.messages.push(message);

    let keyword = match account.opt_out {
        OptOutHandling::None => None,
        _ => default_keyword(body, account.number.phone.is_toll_free()),
    };
    if let Some(keyword) = keyword {
        obey_keyword(account, from, keyword, now);
    }

    let mut form: Vec<(String, String)> = [
        ("ToCountry", "US"),
        ("SmsMessageSid", &sid),
        ("NumMedia", "0"),
        ("SmsSid", &sid),
        ("SmsStatus", "received"),
        ("FromCountry", "US"),
        ("Body", body),
        ("To", &number),
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
    let url = account.number.settings.get("sms_url").filter(|url| !url.is_empty()).cloned();
    let has_webhook = url.is_some();
    if let Some(url) = url {
        let webhook = Webhook { url, form, token: account.new_sid("") };
        account.deliveries.insert(sid.clone(), Inbound { webhook, phone: from.to_owned(), obeyed: false });
    }
    drop(guard);
    world.changed();
    Heard { sid, has_webhook }
}

/// Twilio's own answers reach the phone and are no message resources.
fn obey_keyword(account: &mut Account, from: &str, keyword: Keyword, now: Timestamp) {
    let reply = match keyword {
        Keyword::Stop => {
            account.blocked.insert(from.to_owned());
            "You are unsubscribed from this number and will get no more messages. Text START to get them again."
        }
        // Someone who was never blocked gets no answer: YES is also an answer to a question.
        Keyword::Start if !account.blocked.remove(from) => return,
        Keyword::Start => "You are subscribed to this number again. Text STOP to unsubscribe.",
        Keyword::Help => "Text STOP to unsubscribe from this number. Message and data rates may apply.",
    };
    account.texts.push(HandsetText {
        direction: Direction::ToPhone,
        number: from.to_owned(),
        body: reply.to_owned(),
        at: now,
        sid: None,
        segments: twilio::measure(reply, SmartEncoding::Off).segments,
        status: MessageStatus::Delivered.to_string(),
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
        world.account().alerts += 1;
        world.changed();
        return Delivery::Failed { status: Some(answer.status) };
    };
    let phone = {
        let mut account = world.account();
        match account.deliveries.get_mut(sid) {
            Some(inbound) if !inbound.obeyed => {
                inbound.obeyed = true;
                Some(inbound.phone.clone())
            }
            _ => None,
        }
    };
    if let Some(phone) = phone {
        for reply in &replies {
            send_reply(world, &phone, reply);
        }
    }
    Delivery::Answered { status: answer.status, replies }
}

fn send_reply(world: &Arc<World>, phone: &str, body: &str) {
    let now = world.now();
    let sid = {
        let mut account = world.account();
        let usable = !body.is_empty() && body.chars().count() <= MAX_BODY;
        if !usable || account.blocked.contains(phone) || account.is_suspended() {
            account.alerts += 1;
            return;
        }
        let sid = account.new_sid("SM");
        let from = account.number.phone.expose().to_owned();
        let mut message = Message::outbound(sid.clone(), &from, phone, body, false, now);
        message.direction = "outbound-reply";
        account.keep(message);
        sid
    };
    world.changed();
    tokio::spawn(progress::carry(Arc::clone(world), sid));
}

struct NotTwiml;

/// The texts an answer asks to send. Plain text is a reply too, which is why an error must never be
/// answered as plain text with status 200.
fn read_answer(answer: &Answer) -> Result<Vec<String>, NotTwiml> {
    if answer.status == 204 || answer.body.trim().is_empty() {
        return Ok(Vec::new());
    }
    let content_type = answer.content_type.to_ascii_lowercase();
    if content_type.starts_with("text/plain") {
        return Ok(vec![answer.body.trim().to_owned()]);
    }
    if !content_type.contains("xml") && !content_type.starts_with("text/html") {
        return Err(NotTwiml);
    }
    let mut replies = read_twiml(&answer.body)?;
    replies.truncate(MAX_REPLIES);
    Ok(replies)
}

fn read_twiml(body: &str) -> Result<Vec<String>, NotTwiml> {
    let mut reader = Reader::from_str(body);
    let (mut replies, mut open, mut is_twiml) = (Vec::new(), None::<String>, false);
    loop {
        match reader.read_event().map_err(|_| NotTwiml)? {
            Event::Start(start) if start.name().0 == "Response" => is_twiml = true,
            Event::Empty(start) if start.name().0 == "Response" => is_twiml = true,
            Event::Start(start) if start.name().0 == "Message" => open = Some(String::new()),
            Event::End(end) if end.name().0 == "Message" => replies.extend(open.take()),
            Event::Text(text) => {
                if let Some(open) = &mut open {
                    open.push_str(&text);
                }
            }
            Event::CData(data) => {
                if let Some(open) = &mut open {
                    open.push_str(&data);
                }
            }
            Event::GeneralRef(reference) => {
                if let Some(open) = &mut open {
                    let entity = format!("&{};", &*reference);
                    open.push_str(&unescape(&entity).map_err(|_| NotTwiml)?);
                }
            }
            Event::Eof if is_twiml && open.is_none() => {
                return Ok(replies.into_iter().map(|reply| reply.trim().to_owned()).collect());
            }
            Event::Eof => return Err(NotTwiml),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Option<Vec<String>> {
        read_twiml(body).ok()
    }

    #[test]
    fn messages_of_a_document() {
        let two = twilio::Response::new().message("a & b <c>").message("¿Sí?").to_xml();
        assert_eq!(read(&two), Some(vec!["a & b <c>".to_owned(), "¿Sí?".to_owned()]));
        assert_eq!(read(&twilio::empty()), Some(vec![]));
        assert_eq!(
            read("<Response><Message><Body> hi </Body></Message></Response>"),
            Some(vec!["hi".to_owned()])
        );
        assert_eq!(read("Forbidden"), None);
        assert_eq!(read("<Response><Message>"), None);
    }
}
