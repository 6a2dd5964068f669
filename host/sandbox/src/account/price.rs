//! What Twilio asks, and the lists that say so.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use twilio::PhoneNumber;

use super::refusal::Refusal;
use crate::world::World;

/// A US price of 2026 per segment, without carrier fees.
pub(super) const SEGMENT_MICROS: i64 = 8_300;
/// The US price per minute in Twilio's own example.
pub(super) const MINUTE_MICROS: i64 = 13_000;

pub(super) fn router() -> Router<Arc<World>> {
    Router::new()
        .route("/v1/Messaging/Countries/{country}", get(messaging))
        .route("/v2/Voice/Numbers/{number}", get(voice))
}

async fn messaging(
    State(world): State<Arc<World>>,
    Path(country): Path<String>,
) -> Result<Json<Value>, Refusal> {
    if country != "US" {
        return Err(Refusal::NOT_FOUND);
    }
    let price = twilio::decimal(SEGMENT_MICROS);
    let prices = json!([{ "number_type": "local", "base_price": price, "current_price": price }]);
    Ok(Json(json!({
        "country": "United States",
        "iso_country": country,
        "price_unit": "USD",
        "inbound_sms_prices": prices,
        "outbound_sms_prices": [{ "carrier": "Sandbox Mobile", "mcc": null, "mnc": null, "prices": prices }],
        "url": format!("{}/v1/Messaging/Countries/{country}", world.base_url),
    })))
}

async fn voice(State(world): State<Arc<World>>, Path(number): Path<String>) -> Result<Json<Value>, Refusal> {
    let country = PhoneNumber::from_e164(&number).ok().and_then(|number| number.region());
    let price = twilio::decimal(MINUTE_MICROS);
    let prices = json!([{ "base_price": price, "current_price": price, "origination_prefixes": ["ALL"] }]);
    Ok(Json(json!({
        "destination_number": number,
        "iso_country": country,
        "price_unit": "USD",
        "inbound_call_price": { "base_price": null, "current_price": null, "number_type": null },
        "outbound_call_prices": prices,
        "url": format!("{}/v2/Voice/Numbers/{number}", world.base_url),
    })))
}
