//! Where the daemon tells operators, and nobody else, how it is: on an address of its own, because a proxy
//! that passes on the webhooks must not pass on this.

pub mod api;

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use gateway::{Gateway, health};
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::json;

/// `/healthz`: the process is alive. `/readyz`: it can do all of its work, or 503 and why not. `/metrics`: the
/// figures, in Prometheus' text.
pub fn router(gateway: Arc<Gateway>, figures: PrometheusHandle) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state((gateway, figures))
}

type Shared = (Arc<Gateway>, PrometheusHandle);

async fn readyz(State((gateway, _)): State<Shared>) -> Response {
    let reasons = health::reasons(&gateway.health().await);
    let status = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({ "ready": reasons.is_empty(), "reasons": reasons }))).into_response()
}

async fn metrics(State((gateway, figures)): State<Shared>) -> Response {
    // Counters and histograms are told all the same: they need no database.
    if let Err(error) = gateway.measure().await {
        tracing::warn!(%error, "some figures cannot be read; the others are told");
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], figures.render()).into_response()
}
