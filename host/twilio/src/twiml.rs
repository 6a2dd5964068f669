//! `TwiML`: what a webhook answers.

use std::fmt;

use quick_xml::escape::{escape, partial_escape};

const DECLARATION: &str = r#"<?xml version="1.0" encoding="UTF-8"?>"#;

/// The document that tells Twilio to do nothing. Serve it as `text/xml`.
///
/// Answer with this rather than an error status: a failed webhook copies the message's text into
/// Twilio's debugger.
pub fn empty() -> String {
    Response::default().to_xml()
}

/// An answer to an inbound message, or what a call says.
///
/// Twilio sends at most 10 `Message`s per inbound message (error 14109), each of at most 1600 characters
/// (error 14103). In a call only [`Self::say`], [`Self::pause`] and [`Self::hang_up`] have a meaning.
///
/// It holds the words, so its `Debug` shows only their length.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Response {
    verbs: String,
}

impl Response {
    pub fn new() -> Self {
        Self::default()
    }

    /// Replies with `text`. Control characters that XML cannot carry are left out, because one of them
    /// would make Twilio refuse the whole document (error 12100).
    #[must_use]
    pub fn message(mut self, text: &str) -> Self {
        self.verbs.push_str("<Message>");
        self.verbs.push_str(&carried(text));
        self.verbs.push_str("</Message>");
        self
    }

    /// Speaks `text` in a call. `language` is one of Twilio's tags, such as `es-US`; `voice` one of its names,
    /// such as `Polly.Joanna`. Without them the account's settings decide, `en-US` to begin with. A voice that
    /// does not speak the language fails the document (error 13520).
    #[must_use]
    pub fn say(mut self, text: &str, language: Option<&str>, voice: Option<&str>) -> Self {
        self.verbs.push_str("<Say");
        for (name, value) in [("language", language), ("voice", voice)] {
            if let Some(value) = value {
                self.verbs.extend([" ", name, "=\"", &escape(value), "\""]);
            }
        }
        self.verbs.push('>');
        self.verbs.push_str(&carried(text));
        self.verbs.push_str("</Say>");
        self
    }

    /// Says nothing for so many seconds.
    #[must_use]
    pub fn pause(mut self, seconds: u32) -> Self {
        self.verbs.extend(["<Pause length=\"", &seconds.to_string(), "\"/>"]);
        self
    }

    /// Ends the call.
    #[must_use]
    pub fn hang_up(mut self) -> Self {
        self.verbs.push_str("<Hangup/>");
        self
    }

    /// The document as text, in UTF-8.
    pub fn to_xml(&self) -> String {
        if self.verbs.is_empty() {
            format!("{DECLARATION}<Response/>")
        } else {
            format!("{DECLARATION}<Response>{}</Response>", self.verbs)
        }
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Response({} bytes)", self.verbs.len())
    }
}

/// The text as XML, without what XML cannot carry.
fn carried(text: &str) -> String {
    let text: String = text.chars().filter(|c| is_xml_char(*c)).collect();
    partial_escape(&text).into_owned()
}

/// The `Char` production of XML 1.0.
fn is_xml_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{fffd}' | '\u{10000}'..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_to_say() {
        assert_eq!(empty(), r#"<?xml version="1.0" encoding="UTF-8"?><Response/>"#);
    }

    #[test]
    fn text_survives_a_parser() {
        let text = "A & B <c> \"d\" 'e' ]]>\u{0}\r\nñ😀";
        let xml = Response::new().message(text).message("two").to_xml();
        let mut reader = quick_xml::Reader::from_str(&xml);
        let mut texts = vec![];
        loop {
            match reader.read_event().unwrap() {
                quick_xml::events::Event::Start(tag) if tag.name().as_ref() == "Message" => {
                    texts.push(String::new());
                }
                quick_xml::events::Event::Text(piece) => {
                    texts.last_mut().unwrap().push_str(&piece);
                }
                quick_xml::events::Event::GeneralRef(name) => {
                    let resolved = match name.resolve_char_ref().unwrap() {
                        Some(c) => c.to_string(),
                        None => quick_xml::escape::resolve_xml_entity(&name).unwrap().to_owned(),
                    };
                    texts.last_mut().unwrap().push_str(&resolved);
                }
                quick_xml::events::Event::Eof => break,
                _ => {}
            }
        }
        assert_eq!(texts, [text.replace('\u{0}', ""), "two".to_owned()]);
    }

    #[test]
    fn a_call_says_it_twice() {
        let text = "Tom & Ana\u{1}";
        let xml = Response::new()
            .say(text, Some("es-US"), Some("Polly.\"Lupe\""))
            .pause(2)
            .say(text, None, None)
            .hang_up()
            .to_xml();
        assert_eq!(
            xml.strip_prefix(DECLARATION).unwrap(),
            "<Response><Say language=\"es-US\" voice=\"Polly.&quot;Lupe&quot;\">Tom &amp; Ana</Say>\
             <Pause length=\"2\"/><Say>Tom &amp; Ana</Say><Hangup/></Response>"
        );
    }

    #[test]
    fn debug_hides_the_text() {
        assert!(!format!("{:?}", Response::new().message("secret")).contains("secret"));
    }
}
