//! Where Twilio and REDCap reach the gateway. Every webhook is a POST, so that nothing of it is in a URL
//! that somebody logs.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, OriginalUri, Path, Query, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use policy::contract::types::Channel;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use subtle::ConstantTimeEq;

use crate::gateway::Gateway;
use crate::inbox::{Taken, Webhook};

/// A webhook of Twilio's has a few kilobytes.
const BODY: usize = 64 << 10;

/// The gateway's routes.
pub fn router(gateway: Arc<Gateway>, trigger_secret: SecretString) -> Router {
    Router::new()
        .route("/twilio/{project}/sms", post(sms))
        .route("/twilio/{project}/status", post(text_status))
        .route("/twilio/{project}/call-status", post(call_status))
        .route("/redcap/{project}/trigger/{secret}", post(trigger))
        .route("/healthz", get(|| async { "ok" }))
        .layer(DefaultBodyLimit::max(BODY))
        .with_state(Shared { gateway, trigger_secret: Arc::new(trigger_secret) })
}

#[derive(Clone)]
struct Shared {
    gateway: Arc<Gateway>,
    trigger_secret: Arc<SecretString>,
}

async fn sms(
    State(shared): State<Shared>,
    Path(project): Path<String>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(project) = shared.gateway.projects.get(&project) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let path = uri.path_and_query().map_or("", |path| path.as_str());
    answer(&shared.gateway.inbound(project, &webhook(path, &headers, &body)).await)
}

#[derive(Deserialize)]
struct About {
    /// Our id of the message that is reported on.
    m: Option<String>,
}

async fn text_status(
    State(shared): State<Shared>,
    Path(project): Path<String>,
    Query(about): Query<About>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    status(&shared.gateway, Channel::Sms, &project, &about, &uri, &headers, &body).await
}

async fn call_status(
    State(shared): State<Shared>,
    Path(project): Path<String>,
    Query(about): Query<About>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    status(&shared.gateway, Channel::Voice, &project, &about, &uri, &headers, &body).await
}

async fn status(
    gateway: &Gateway,
    of: Channel,
    project: &str,
    about: &About,
    uri: &Uri,
    headers: &HeaderMap,
    body: &Bytes,
) -> Response {
    let Some(project) = gateway.projects.get(project) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let path = uri.path_and_query().map_or("", |path| path.as_str());
    answer(&gateway.status(project, about.m.as_deref(), of, &webhook(path, headers, body)).await)
}

fn webhook<'a>(path_and_query: &'a str, headers: &'a HeaderMap, body: &'a [u8]) -> Webhook<'a> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    Webhook {
        path_and_query,
        signature: header("x-twilio-signature"),
        settings: header("x-twilio-webhooks-signature-settings"),
        body,
    }
}

/// A webhook that fails is copied into Twilio's debugger with the participant's words, so everything that is
/// Twilio's is answered with 200 and says nothing.
fn answer(taken: &Taken) -> Response {
    match taken {
        Taken::Stored | Taken::Nothing => {
            ([(header::CONTENT_TYPE, "text/xml")], twilio::empty()).into_response()
        }
        Taken::Rejected => StatusCode::FORBIDDEN.into_response(),
        Taken::Failed => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

/// REDCap's Data Entry Trigger: it is not signed and not repeated, so it only wakes. The secret in its
/// address keeps strangers from making us read REDCap.
async fn trigger(
    State(shared): State<Shared>,
    Path((project, secret)): Path<(String, String)>,
    body: Bytes,
) -> StatusCode {
    let expected = shared.trigger_secret.expose_secret();
    if !bool::from(expected.as_bytes().ct_eq(secret.as_bytes())) {
        return StatusCode::FORBIDDEN;
    }
    let form = twilio::parse_form(&body);
    let record = form.iter().find(|(name, _)| name == "record").map(|(_, value)| value.as_str());
    match (shared.gateway.projects.contains_key(&project), record) {
        (true, Some(record)) => {
            let form = form.iter().find(|(name, _)| name == "instrument").map(|(_, value)| value.as_str());
            shared.gateway.record_changed(&project, record, form);
            let target = shared.gateway.projects.get(&project).and_then(|it| it.passes_trigger_on.clone());
            if let Some(target) = target {
                // REDCap waits for our answer, and not for the other program's.
                tokio::spawn(async move {
                    if !target.pass_on(body.to_vec()).await {
                        tracing::warn!(
                            project,
                            "the Data Entry Trigger was not taken where it is passed on to"
                        );
                    }
                });
            }
            StatusCode::OK
        }
        (true, None) => StatusCode::BAD_REQUEST,
        (false, _) => StatusCode::NOT_FOUND,
    }
}
