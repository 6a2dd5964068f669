//! A message as Twilio keeps and shows it.

use jiff::Timestamp;
use serde_json::{Value, json};
use twilio::{MessageStatus, SmartEncoding};

use super::shelf::Resource;

pub(crate) const API_VERSION: &str = "2010-04-01";

pub(crate) struct Message {
    pub(super) sid: String,
    pub(super) from: String,
    pub(super) to: String,
    /// Empty once redacted.
    pub(super) body: String,
    /// In Twilio's words, such as `outbound-api`.
    pub(super) direction: &'static str,
    pub(super) status: MessageStatus,
    pub(super) segments: u32,
    pub(super) price_micros: Option<i64>,
    /// When it was charged; the price is shown some time later.
    pub(super) charged: Option<Timestamp>,
    pub(super) error_code: Option<u32>,
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
    pub(super) sent: Option<Timestamp>,
    pub(super) status_callback: Option<String>,
}

impl Message {
    pub(super) fn outbound(
        sid: String,
        from: &str,
        to: &str,
        body: &str,
        smart: bool,
        now: Timestamp,
    ) -> Self {
        let smart = if smart { SmartEncoding::On } else { SmartEncoding::Off };
        Self {
            sid,
            from: from.to_owned(),
            to: to.to_owned(),
            segments: twilio::measure(body, smart).segments,
            body: match smart {
                SmartEncoding::On => twilio::smart_encode(body),
                SmartEncoding::Off => body.to_owned(),
            },
            direction: "outbound-api",
            status: MessageStatus::Queued,
            price_micros: None,
            charged: None,
            error_code: None,
            created: now,
            updated: now,
            sent: None,
            status_callback: None,
        }
    }

    /// The resource of the 2010 API: counts and prices are strings there, and dates are RFC 2822.
    pub(super) fn to_json(&self, account: &str, shows_price: bool) -> Value {
        let price = self.price_micros.filter(|_| shows_price);
        let uri = format!("/{API_VERSION}/Accounts/{account}/Messages/{}", self.sid);
        json!({
            "sid": self.sid,
            "account_sid": account,
            "api_version": API_VERSION,
            "body": self.body,
            "status": self.status.as_str(),
            "direction": self.direction,
            "from": self.from,
            "to": self.to,
            "messaging_service_sid": null,
            "num_segments": self.segments.to_string(),
            "num_media": "0",
            "price": price.map(price_text),
            "price_unit": price.map(|_| "USD"),
            "error_code": self.error_code,
            "error_message": null,
            "date_created": date(self.created),
            "date_updated": date(self.updated),
            "date_sent": self.sent.map(date),
            "subresource_uris": { "media": format!("{uri}/Media.json") },
            "uri": format!("{uri}.json"),
        })
    }
}

impl Resource for Message {
    fn sid(&self) -> &str {
        &self.sid
    }

    fn from(&self) -> &str {
        &self.from
    }

    fn to(&self) -> &str {
        &self.to
    }
}

/// What we pay is negative, and has five decimals.
pub(super) fn price_text(micros: i64) -> String {
    format!("-{}.{:05}", micros / 1_000_000, micros % 1_000_000 / 10)
}

pub(super) fn date(at: Timestamp) -> String {
    at.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wire_shape() {
        let now: Timestamp = "2026-11-23T15:00:00Z".parse().unwrap();
        let mut message = Message::outbound("SM1".into(), "+1", "+2", "Hi", false, now);
        let shown = message.to_json("AC1", true);
        assert_eq!(shown["num_segments"], "1");
        assert_eq!(shown["price"], Value::Null);
        assert_eq!(shown["date_created"], "Mon, 23 Nov 2026 15:00:00 +0000");
        message.price_micros = Some(16_600);
        assert_eq!(message.to_json("AC1", true)["price"], "-0.01660");
        assert_eq!(message.to_json("AC1", false)["price"], Value::Null);
    }
}
