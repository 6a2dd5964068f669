//! Calls that speak a text, and what Twilio keeps of them.

use jiff::Timestamp;
use reqwest::Method;
use serde::Deserialize;

use super::{Answer, Client, CreateError, Deleted, Direction, Listed, RequestError, date, encoded, is_sid};
use crate::{CallStatus, PhoneNumber, Response};

/// One call to place. It is never recorded, and no machine is listened for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateCall {
    pub to: PhoneNumber,
    pub from: PhoneNumber,
    /// What the call says. As a document at most 4000 characters (error 32018).
    pub twiml: Response,
    /// Where Twilio reports how the call ended. At most 4000 characters, no underscore in the host.
    pub status_callback: Option<String>,
    /// Seconds to let it ring, 1 to 600; Twilio's default is 60.
    pub timeout: Option<u32>,
}

/// A call as Twilio keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    pub sid: String,
    pub status: CallStatus,
    pub direction: Direction,
    /// `None` when the address is not a phone number, such as a SIP address.
    pub to: Option<PhoneNumber>,
    pub from: Option<PhoneNumber>,
    /// Seconds; `None` until the call is over.
    pub duration: Option<u32>,
    /// A decimal, negative for what we pay. Comes some time after the call.
    pub price: Option<String>,
    /// An ISO 4217 code such as `USD`.
    pub price_unit: Option<String>,
    /// In Twilio's words, with machine detection only.
    pub answered_by: Option<String>,
    pub date_created: Timestamp,
    /// `None` until the call was placed.
    pub start_time: Option<Timestamp>,
    /// `None` until the call is over.
    pub end_time: Option<Timestamp>,
}

/// Which calls to list, newest first. The default lists everything, at most 1000 calls.
///
/// To find out what became of a create, filter by `to` and `from` and compare [`Call::date_created`]; a call
/// that still waits has no time of its start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListCalls {
    pub to: Option<PhoneNumber>,
    pub from: Option<PhoneNumber>,
    /// Calls per request, 1 to 1000.
    pub page_size: u16,
    /// The most pages to fetch. What lies beyond is left out, and [`Listed::complete`] says so.
    pub max_pages: u16,
}

impl Default for ListCalls {
    fn default() -> Self {
        Self { to: None, from: None, page_size: 50, max_pages: 20 }
    }
}

/// A recording of a call. We never ask for one, so each that exists is a fault to report.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Recording {
    pub sid: String,
}

impl Client {
    /// Asks Twilio to place one call, once. The outcomes are those of [`Client::create_message`].
    pub async fn create_call(&self, call: &CreateCall) -> Result<Call, CreateError> {
        let twiml = call.twiml.to_xml();
        let timeout = call.timeout.map(|seconds| seconds.to_string());
        let mut form =
            vec![("To", call.to.expose()), ("From", call.from.expose()), ("Twiml", twiml.as_str())];
        if let Some(url) = &call.status_callback {
            form.push(("StatusCallback", url));
            // Only the end is of use; the steps before it would be webhooks that nothing reads.
            form.push(("StatusCallbackEvent", "completed"));
        }
        if let Some(seconds) = &timeout {
            form.push(("Timeout", seconds));
        }
        self.create("/Calls.json", &form, Answer::call).await
    }

    pub async fn fetch_call(&self, sid: &str) -> Result<Call, RequestError> {
        self.request(Method::GET, &self.resource_url("Calls", sid)?, &[]).await?.call()
    }

    /// Lists calls of either direction, newest first, following Twilio's own links from page to page.
    pub async fn list_calls(&self, list: &ListCalls) -> Result<Listed<Call>, RequestError> {
        let page_size = list.page_size.to_string();
        let mut query = vec![("PageSize", page_size.as_str())];
        if let Some(to) = &list.to {
            query.push(("To", to.expose()));
        }
        if let Some(from) = &list.from {
            query.push(("From", from.expose()));
        }
        let first = format!("{}?{}", self.account_url("/Calls.json"), encoded(&query));
        self.pages(first, list.max_pages, "list of calls", CallRecord::into_call).await
    }

    /// Deletes a call's record at Twilio, who allows it once the call is over.
    pub async fn delete_call(&self, sid: &str) -> Result<Deleted, RequestError> {
        self.delete(&self.resource_url("Calls", sid)?).await
    }

    /// The recordings of a call, which should be none.
    pub async fn list_recordings(&self, call_sid: &str) -> Result<Vec<Recording>, RequestError> {
        let first = self.part_url(call_sid, "Recordings")?;
        Ok(self.pages(first, MAX_PAGES, "list of recordings", Ok::<Recording, _>).await?.items)
    }

    pub async fn delete_recording(&self, sid: &str) -> Result<Deleted, RequestError> {
        self.delete(&self.resource_url("Recordings", sid)?).await
    }

    /// How many of Twilio's requests for a call are kept with their contents, which nobody can delete.
    ///
    /// More than none means that the account's request inspector is on. Twilio shows them from 15 minutes
    /// after the call's end.
    pub async fn call_events_kept(&self, call_sid: &str) -> Result<usize, RequestError> {
        #[derive(Deserialize)]
        struct Event {
            response: Option<EventResponse>,
        }
        #[derive(Deserialize)]
        struct EventResponse {
            response_body: Option<String>,
        }
        let first = self.part_url(call_sid, "Events")?;
        let holds_contents = |event: Event| {
            let body = event.response.and_then(|response| response.response_body);
            Ok(body.is_some_and(|body| !body.is_empty()))
        };
        let events = self.pages(first, MAX_PAGES, "list of events", holds_contents).await?;
        Ok(events.items.into_iter().filter(|holds| *holds).count())
    }

    /// How many warnings and errors Twilio has noted for the account. Each can hold a copy of what was sent to
    /// or answered by a webhook, and nobody can delete it. At most 20,000 are counted.
    pub async fn notifications_kept(&self) -> Result<usize, RequestError> {
        #[derive(Deserialize)]
        struct Notification {}
        let first = self.account_url("/Notifications.json?PageSize=1000");
        let read = |_: Notification| Ok(());
        Ok(self.pages(first, MAX_PAGES, "list of notifications", read).await?.items.len())
    }

    fn part_url(&self, call_sid: &str, part: &str) -> Result<String, RequestError> {
        if !is_sid(call_sid) {
            return Err(RequestError::NotASid { sid: call_sid.to_owned() });
        }
        Ok(self.account_url(&format!("/Calls/{call_sid}/{part}.json?PageSize=1000")))
    }
}

/// An end to a list that links in a circle.
const MAX_PAGES: u16 = 20;

impl Answer {
    fn call(&self) -> Result<Call, RequestError> {
        self.json::<CallRecord>("call")?.into_call()
    }
}

/// The wire's idea of a call: numbers are strings, dates are RFC 2822.
#[derive(Deserialize)]
struct CallRecord {
    sid: String,
    status: String,
    direction: Option<String>,
    to: Option<String>,
    from: Option<String>,
    duration: Option<String>,
    price: Option<String>,
    price_unit: Option<String>,
    answered_by: Option<String>,
    date_created: String,
    start_time: Option<String>,
    end_time: Option<String>,
}

impl CallRecord {
    fn into_call(self) -> Result<Call, RequestError> {
        let date = |text: &str, field| date(text, "call", field);
        let time = |text: Option<String>, field| {
            text.filter(|text| !text.is_empty()).map(|text| date(&text, field)).transpose()
        };
        let phone = |text: Option<String>| text.and_then(|text| PhoneNumber::from_e164(&text).ok());
        Ok(Call {
            date_created: date(&self.date_created, "date_created")?,
            start_time: time(self.start_time, "start_time")?,
            end_time: time(self.end_time, "end_time")?,
            duration: match self.duration.filter(|text| !text.is_empty()) {
                None => None,
                Some(text) => Some(text.parse().map_err(|_| RequestError::Unreadable {
                    what: "call",
                    place: "`duration`".to_owned(),
                })?),
            },
            status: CallStatus::from(self.status.as_str()),
            direction: Direction::from(self.direction.unwrap_or_default()),
            to: phone(self.to),
            from: phone(self.from),
            price: self.price,
            price_unit: self.price_unit,
            answered_by: self.answered_by,
            sid: self.sid,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::tests::{ACCOUNT, hangs_up, phone, reply, stand};
    use super::super::{ApiError, UnknownOutcome};
    use super::*;

    const SID: &str = "CA00000000000000000000000000000001";

    fn reminder() -> CreateCall {
        CreateCall {
            to: phone("+16155550199"),
            from: phone("+16155550100"),
            twiml: Response::new().say("Your survey waits.", None, None),
            status_callback: Some("https://c.example.edu/twilio/call?i=01J".to_owned()),
            timeout: Some(25),
        }
    }

    fn call_json(sid: &str) -> Value {
        json!({
            "sid": sid, "account_sid": ACCOUNT, "api_version": "2010-04-01", "status": "queued",
            "direction": "outbound-api", "from": "+16155550100", "to": "+16155550199", "duration": null,
            "price": null, "price_unit": "USD", "answered_by": null, "start_time": null, "end_time": null,
            "date_created": "Thu, 24 Aug 2023 05:01:45 +0000", "queue_time": "1000",
        })
    }

    #[tokio::test]
    async fn a_call_is_placed_and_never_recorded() {
        let stand = stand(vec![reply(201, &call_json(SID))]).await;
        let call = stand.client.create_call(&reminder()).await.unwrap();
        assert_eq!((call.sid.as_str(), call.status, call.duration), (SID, CallStatus::Queued, None));
        let seen = stand.seen.lock().unwrap();
        assert_eq!(seen[0].uri, format!("/2010-04-01/Accounts/{ACCOUNT}/Calls.json"));
        assert_eq!(
            seen[0].body,
            "To=%2B16155550199&From=%2B16155550100&Twiml=%3C%3Fxml+version%3D%221.0%22+encoding%3D%22UTF-8%22%3F\
             %3E%3CResponse%3E%3CSay%3EYour+survey+waits.%3C%2FSay%3E%3C%2FResponse%3E\
             &StatusCallback=https%3A%2F%2Fc.example.edu%2Ftwilio%2Fcall%3Fi%3D01J&StatusCallbackEvent=completed\
             &Timeout=25"
        );
        assert!(!seen[0].body.contains("Record"));
    }

    #[tokio::test]
    async fn a_call_has_the_outcomes_of_a_message() {
        let refusal = json!({"code": 21214, "message": "unreachable", "status": 400});
        let replies = vec![reply(400, &refusal), reply(500, &json!({"code": 20500})), reply(201, &json!({}))];
        let stand = stand(replies).await;
        let refused = stand.client.create_call(&reminder()).await;
        assert!(matches!(refused, Err(CreateError::Refused(ApiError { code: Some(21214), .. }))));
        let unknown = stand.client.create_call(&reminder()).await;
        assert!(matches!(
            unknown,
            Err(CreateError::Unknown { why: UnknownOutcome::ServerError(_), source: None })
        ));
        let unreadable = stand.client.create_call(&reminder()).await;
        assert!(matches!(
            unreadable,
            Err(CreateError::Unknown { why: UnknownOutcome::Unreadable { status: 201 }, .. })
        ));
        let lost = hangs_up("Timeout=25", "").await.create_call(&reminder()).await;
        assert!(matches!(lost, Err(CreateError::Unknown { why: UnknownOutcome::ConnectionLost, .. })));
    }

    #[tokio::test]
    async fn a_call_that_ended_is_read_whole() {
        let mut ended = call_json(SID);
        ended["status"] = "completed".into();
        ended["duration"] = "49".into();
        ended["price"] = "-0.01300".into();
        ended["answered_by"] = "human".into();
        ended["start_time"] = "Thu, 24 Aug 2023 05:01:50 +0000".into();
        ended["end_time"] = "Thu, 24 Aug 2023 05:02:39 +0000".into();
        let page = json!({"calls": [ended], "next_page_uri": "/more"});
        let stand = stand(vec![reply(200, &ended), reply(200, &page)]).await;
        let call = stand.client.fetch_call(SID).await.unwrap();
        assert!(call.status.is_final());
        assert_eq!((call.duration, call.price.as_deref()), (Some(49), Some("-0.01300")));
        assert_eq!(call.end_time, Some("2023-08-24T05:02:39Z".parse().unwrap()));
        let list = ListCalls { to: Some(phone("+16155550199")), max_pages: 1, ..ListCalls::default() };
        let listed = stand.client.list_calls(&list).await.unwrap();
        assert_eq!(listed, Listed { items: vec![call], complete: false });
        assert!(stand.seen.lock().unwrap()[1].uri.ends_with("/Calls.json?PageSize=50&To=%2B16155550199"));
    }

    #[tokio::test]
    async fn what_a_call_leaves_behind_is_found_and_deleted() {
        let recordings = json!({"recordings": [{"sid": "RE1", "duration": "4"}], "next_page_uri": null});
        let events = json!({"events": [
            {"request": {}, "response": {"response_body": "<Response/>"}},
            {"request": {}, "response": {"response_body": ""}},
        ], "next_page_uri": null});
        let notifications = json!({"notifications": [{"sid": "NO1"}], "next_page_uri": null});
        let mut gone = reply(204, &json!({}));
        gone.body = String::new();
        let stand = stand(vec![
            reply(200, &recordings),
            gone.clone(),
            reply(200, &events),
            reply(200, &notifications),
            reply(409, &json!({"code": 20009, "message": "not over"})),
            gone,
        ])
        .await;
        let found = stand.client.list_recordings(SID).await.unwrap();
        assert_eq!(found, [Recording { sid: "RE1".to_owned() }]);
        assert_eq!(stand.client.delete_recording("RE1").await.unwrap(), Deleted::Gone);
        assert_eq!(stand.client.call_events_kept(SID).await.unwrap(), 1);
        assert_eq!(stand.client.notifications_kept().await.unwrap(), 1);
        assert_eq!(stand.client.delete_call(SID).await.unwrap(), Deleted::NotYet);
        assert_eq!(stand.client.delete_call(SID).await.unwrap(), Deleted::Gone);
        assert!(matches!(stand.client.list_recordings("CA/..").await, Err(RequestError::NotASid { .. })));
        let seen = stand.seen.lock().unwrap();
        assert!(seen[0].uri.ends_with(&format!("/Calls/{SID}/Recordings.json?PageSize=1000")));
        assert!(seen[1].uri.ends_with("/Recordings/RE1.json"));
    }
}
