//! Reading the documents that webhooks answer and calls bring along.

use quick_xml::Reader;
use quick_xml::escape::unescape;
use quick_xml::events::Event;

pub(super) struct NotTwiml;

/// What each verb of this name says, in their order.
pub(super) fn texts(body: &str, verb: &str) -> Result<Vec<String>, NotTwiml> {
    let mut reader = Reader::from_str(body);
    let (mut replies, mut open, mut is_twiml) = (Vec::new(), None::<String>, false);
    loop {
        match reader.read_event().map_err(|_| NotTwiml)? {
            Event::Start(start) if start.name().0 == "Response" => is_twiml = true,
            Event::Empty(start) if start.name().0 == "Response" => is_twiml = true,
            Event::Start(start) if start.name().0 == verb => open = Some(String::new()),
            Event::End(end) if end.name().0 == verb => replies.extend(open.take()),
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
        texts(body, "Message").ok()
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
        let call = twilio::Response::new().say("Hello & welcome", Some("en-US"), None).pause(1).hang_up();
        assert_eq!(texts(&call.to_xml(), "Say").ok(), Some(vec!["Hello & welcome".to_owned()]));
        assert_eq!(read("Forbidden"), None);
        assert_eq!(read("<Response><Message>"), None);
    }
}
