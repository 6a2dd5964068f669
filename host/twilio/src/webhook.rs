//! The forms Twilio posts to us.
//!
//! Verify the signature first ([`crate::Verifier`]), over all fields: Twilio adds fields without notice, and
//! the ones this module does not read are signed too.

use crate::{CallStatus, MessageBody, MessageStatus, NotAPhone, PhoneNumber};

/// A message somebody sent to one of our numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboundMessage {
    /// Names the message at Twilio, and repeats when the webhook is delivered again.
    pub message_sid: String,
    pub account_sid: String,
    pub from: PhoneNumber,
    pub to: PhoneNumber,
    pub body: MessageBody,
    /// Present with Advanced Opt-Out only. Twilio has then answered already, so we must not.
    pub opt_out_type: Option<OptOutType>,
    /// How many pictures or files came along.
    pub num_media: u32,
    /// Present when the number belongs to a Messaging Service.
    pub messaging_service_sid: Option<String>,
}

/// What Advanced Opt-Out took a message for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OptOutType {
    Stop,
    Start,
    Help,
}

/// News of a message we sent. Callbacks are unordered, may repeat, and may never come; fold their statuses
/// with [`MessageStatus::later`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusCallback {
    pub message_sid: String,
    pub status: MessageStatus,
    /// Set on failed and undelivered messages. A later callback without it does not take it back. A value
    /// that is not a number reads as `None`, because the status must not be lost with it.
    pub error_code: Option<u32>,
    pub account_sid: Option<String>,
    pub from: Option<PhoneNumber>,
    pub to: Option<PhoneNumber>,
    pub messaging_service_sid: Option<String>,
}

/// News of a call we placed. Like a message's callbacks these may repeat or be missing; fold their statuses
/// with [`CallStatus::later`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallCallback {
    pub call_sid: String,
    pub status: CallStatus,
    /// Seconds the call lasted (`CallDuration`). Twilio's `Duration` is billed minutes and is not read.
    pub duration: Option<u32>,
    /// Orders the events of one call, from 0.
    pub sequence_number: Option<u32>,
    /// In Twilio's words (`human`, `machine_start` and so on), with machine detection only.
    pub answered_by: Option<String>,
    /// What the carrier answered, such as 486 for busy.
    pub sip_response_code: Option<u16>,
    pub error_code: Option<u32>,
    pub account_sid: Option<String>,
    pub from: Option<PhoneNumber>,
    pub to: Option<PhoneNumber>,
}

/// A form that lacks what it must have. It never repeats a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    #[error("field `{field}` is missing")]
    Missing { field: &'static str },
    /// Also a short code, a name, or the address of a channel other than SMS.
    #[error("field `{field}` is not a phone number")]
    NotAPhone { field: &'static str, source: NotAPhone },
}

impl InboundMessage {
    /// Reads the form posted to a number's message URL.
    pub fn from_form(form: &[(String, String)]) -> Result<Self, WebhookError> {
        Ok(Self {
            message_sid: required(form, "MessageSid")?,
            account_sid: required(form, "AccountSid")?,
            from: phone(form, "From")?,
            to: phone(form, "To")?,
            // A picture without words has an empty body.
            body: MessageBody::new(field(form, "Body").ok_or(WebhookError::Missing { field: "Body" })?),
            opt_out_type: match present(form, "OptOutType").map(str::to_ascii_uppercase).as_deref() {
                Some("STOP") => Some(OptOutType::Stop),
                Some("START") => Some(OptOutType::Start),
                Some("HELP") => Some(OptOutType::Help),
                // A word that Twilio adds one day must not cost the message, which may be a STOP.
                None | Some(_) => None,
            },
            num_media: present(form, "NumMedia").and_then(|text| text.parse().ok()).unwrap_or(0),
            messaging_service_sid: present(form, "MessagingServiceSid").map(str::to_owned),
        })
    }
}

impl StatusCallback {
    /// Reads the form posted to a message's status callback.
    pub fn from_form(form: &[(String, String)]) -> Result<Self, WebhookError> {
        let lenient = |name| present(form, name).and_then(|text| PhoneNumber::from_e164(text).ok());
        Ok(Self {
            message_sid: required(form, "MessageSid")?,
            status: MessageStatus::from(required(form, "MessageStatus")?.as_str()),
            error_code: present(form, "ErrorCode").and_then(|text| text.parse().ok()),
            account_sid: present(form, "AccountSid").map(str::to_owned),
            from: lenient("From"),
            to: lenient("To"),
            messaging_service_sid: present(form, "MessagingServiceSid").map(str::to_owned),
        })
    }
}

impl CallCallback {
    /// Reads the form posted to a call's status callback.
    pub fn from_form(form: &[(String, String)]) -> Result<Self, WebhookError> {
        let number = |name| present(form, name).and_then(|text| text.parse().ok());
        let lenient = |name| present(form, name).and_then(|text| PhoneNumber::from_e164(text).ok());
        Ok(Self {
            call_sid: required(form, "CallSid")?,
            status: CallStatus::from(required(form, "CallStatus")?.as_str()),
            duration: number("CallDuration"),
            sequence_number: number("SequenceNumber"),
            answered_by: present(form, "AnsweredBy").map(str::to_owned),
            sip_response_code: present(form, "SipResponseCode").and_then(|text| text.parse().ok()),
            error_code: number("ErrorCode"),
            account_sid: present(form, "AccountSid").map(str::to_owned),
            from: lenient("From"),
            to: lenient("To"),
        })
    }
}

/// Reads a form body with its order, empty values and duplicates kept, as the signature needs them.
pub fn parse_form(body: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(body).into_owned().collect()
}

fn field<'a>(form: &'a [(String, String)], name: &str) -> Option<&'a str> {
    form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

fn present<'a>(form: &'a [(String, String)], name: &str) -> Option<&'a str> {
    field(form, name).filter(|value| !value.is_empty())
}

fn required(form: &[(String, String)], name: &'static str) -> Result<String, WebhookError> {
    present(form, name).map(str::to_owned).ok_or(WebhookError::Missing { field: name })
}

fn phone(form: &[(String, String)], name: &'static str) -> Result<PhoneNumber, WebhookError> {
    PhoneNumber::from_e164(&required(form, name)?)
        .map_err(|source| WebhookError::NotAPhone { field: name, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inbound_message() {
        let form = parse_form(
            b"ToCountry=US&MessageSid=SM1&AccountSid=AC1&From=%2B16155550199&To=%2B16155550100\
              &Body=S%C3%AD+gracias&NumMedia=1&OptOutType=STOP&BrandNewField=x",
        );
        assert_eq!(
            InboundMessage::from_form(&form),
            Ok(InboundMessage {
                message_sid: "SM1".to_owned(),
                account_sid: "AC1".to_owned(),
                from: PhoneNumber::from_e164("+16155550199").unwrap(),
                to: PhoneNumber::from_e164("+16155550100").unwrap(),
                body: MessageBody::from("Sí gracias"),
                opt_out_type: Some(OptOutType::Stop),
                num_media: 1,
                messaging_service_sid: None,
            })
        );
    }

    #[test]
    fn the_missing_field_is_named() {
        let refusal = |body: &[u8]| InboundMessage::from_form(&parse_form(body)).unwrap_err().to_string();
        assert_eq!(refusal(b"AccountSid=AC1"), "field `MessageSid` is missing");
        assert_eq!(
            refusal(b"MessageSid=SM1&AccountSid=AC1&From=12345"),
            "field `From` is not a phone number"
        );
        assert_eq!(
            refusal(b"MessageSid=SM1&AccountSid=AC1&From=%2B16155550199&To=%2B16155550100"),
            "field `Body` is missing"
        );
    }

    #[test]
    fn a_status_callback() {
        let form = parse_form(
            b"MessageSid=SM1&MessageStatus=undelivered&ErrorCode=30006&From=%2B16155550100&To=12345&RawDlrDoneDate=2611241200",
        );
        let callback = StatusCallback::from_form(&form).unwrap();
        assert_eq!(callback.status, MessageStatus::Undelivered);
        assert_eq!(callback.error_code, Some(30006));
        assert_eq!(callback.to, None);
        assert_eq!(
            StatusCallback::from_form(&parse_form(b"MessageSid=SM1")),
            Err(WebhookError::Missing { field: "MessageStatus" })
        );
    }

    #[test]
    fn a_call_callback() {
        let form = parse_form(
            b"CallSid=CA1&CallStatus=busy&SequenceNumber=3&SipResponseCode=486&Duration=0&CallDuration=0\
              &AnsweredBy=&From=%2B16155550100&To=%2B16155550199&AccountSid=AC1",
        );
        assert_eq!(
            CallCallback::from_form(&form),
            Ok(CallCallback {
                call_sid: "CA1".to_owned(),
                status: CallStatus::Busy,
                duration: Some(0),
                sequence_number: Some(3),
                answered_by: None,
                sip_response_code: Some(486),
                error_code: None,
                account_sid: Some("AC1".to_owned()),
                from: Some(PhoneNumber::from_e164("+16155550100").unwrap()),
                to: Some(PhoneNumber::from_e164("+16155550199").unwrap()),
            })
        );
        // Billed minutes are not seconds.
        let form = parse_form(b"CallSid=CA1&CallStatus=completed&Duration=1&CallDuration=49");
        assert_eq!(CallCallback::from_form(&form).unwrap().duration, Some(49));
    }

    #[test]
    fn a_form_keeps_what_the_signature_covers() {
        assert_eq!(
            parse_form(b"b=2&a=+x+&a=&b=2&c"),
            [("b", "2"), ("a", " x "), ("a", ""), ("b", "2"), ("c", "")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
    }
}
