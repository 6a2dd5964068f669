//! The handset in the browser.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{Html, IntoResponse};
use axum::routing::{get, post};
use axum::{Json, Router};
use jiff::Timestamp;
use quick_xml::escape::escape;
use serde::{Deserialize, Serialize};
use tokio_stream::wrappers::WatchStream;
use tokio_stream::{Stream, StreamExt};
use twilio::PhoneNumber;

use super::{Direction, Handset};
use crate::world::World;

pub(crate) fn router() -> Router<Arc<World>> {
    Router::new()
        .route("/handset", get(page))
        .route("/handset/participants", get(participants))
        .route("/handset/texts", get(texts))
        .route("/handset/say", post(say))
        .route("/handset/events", get(events))
}

const PAGE: &str = include_str!("page.html");
/// The page brings everything along, and speaks to this server alone.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
                      connect-src 'self'; frame-src 'self'; img-src data:; base-uri 'none'; form-action 'none'";

async fn page(State(world): State<Arc<World>>) -> impl IntoResponse {
    let title = world.study().project.title.clone();
    let zone = world.zone().iana_name().unwrap_or("UTC").to_owned();
    let number = world.account().own_number().phone.expose().to_owned();
    let page = PAGE
        .replace("{{ZONE}}", &escape(&zone))
        .replace("{{NUMBER}}", &escape(&number))
        .replace("{{STUDY}}", &escape(&title));
    ([(header::CONTENT_SECURITY_POLICY, POLICY)], Html(page))
}

/// A phone one can look at.
#[derive(Serialize)]
struct Phone {
    number: String,
    /// None for a phone that is in no record, such as a coordinator's.
    record: Option<String>,
    name: Option<String>,
    /// How many texts and calls it shows.
    texts: usize,
}

async fn participants(State(world): State<Arc<World>>) -> Json<Vec<Phone>> {
    let mut phones: Vec<Phone> = world
        .study()
        .phones()
        .into_iter()
        .map(|phone| Phone { number: phone.number, record: Some(phone.record), name: phone.name, texts: 0 })
        .collect();
    let mut counts = world.account().phones.counts();
    for phone in &mut phones {
        phone.texts = counts.remove(&phone.number).unwrap_or(0);
    }
    phones.extend(counts.into_iter().map(|(number, texts)| Phone {
        number,
        record: None,
        name: None,
        texts,
    }));
    Json(phones)
}

#[derive(Deserialize)]
struct OfNumber {
    number: String,
}

#[derive(Serialize)]
struct Bubble {
    incoming: bool,
    /// A text, or what a call said.
    body: String,
    at: Timestamp,
    /// None for a call.
    segments: u32,
    status: String,
    from_twilio: bool,
}

async fn texts(State(world): State<Arc<World>>, Query(of): Query<OfNumber>) -> Json<Vec<Bubble>> {
    let handset = Handset { world };
    let texts = handset.texts(&of.number).into_iter().map(|text| {
        let bubble = Bubble {
            incoming: text.direction == Direction::ToPhone,
            body: text.body,
            at: text.at,
            segments: text.segments,
            status: text.status,
            from_twilio: text.from_twilio,
        };
        (text.seq, bubble)
    });
    let calls = handset.calls(&of.number).into_iter().map(|call| {
        let bubble = Bubble {
            incoming: true,
            body: if call.answered { format!("☎ {}", call.said.join(" ")) } else { "☎".to_owned() },
            at: call.at,
            segments: 0,
            status: if call.answered { "answered" } else { "not answered" }.to_owned(),
            from_twilio: false,
        };
        (call.seq, bubble)
    });
    let bubbles: BTreeMap<u64, Bubble> = texts.chain(calls).collect();
    Json(bubbles.into_values().collect())
}

#[derive(Deserialize)]
struct Saying {
    from: String,
    body: String,
}

/// Takes JSON only, so that no form on another site can speak for a participant.
async fn say(State(world): State<Arc<World>>, Json(saying): Json<Saying>) -> StatusCode {
    if PhoneNumber::from_e164(&saying.from).is_err() || saying.body.trim().is_empty() {
        return StatusCode::UNPROCESSABLE_ENTITY;
    }
    Handset { world }.say(&saying.from, saying.body.trim()).await;
    StatusCode::NO_CONTENT
}

async fn events(State(world): State<Arc<World>>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let changes = WatchStream::new(world.changes());
    Sse::new(changes.map(|count| Ok(Event::default().data(count.to_string()))))
        .keep_alive(KeepAlive::default())
}
