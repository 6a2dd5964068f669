//! Errors in the shape of the 2010 API.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// What Twilio says instead of doing it. The words are ours: Twilio says that its own may change, and that a
/// program should read the code.
pub(super) struct Refusal {
    status: u16,
    code: u32,
    message: &'static str,
}

impl Refusal {
    pub(super) const fn new(status: u16, code: u32, message: &'static str) -> Self {
        Self { status, code, message }
    }

    pub(super) const NOT_FOUND: Self = Self::new(404, 20404, "there is no such resource");
    pub(super) const NOT_SETTLED: Self = Self::new(409, 20009, "it is not complete yet");
    pub(super) const SUSPENDED: Self = Self::new(403, 20005, "the account is not active");
    pub(super) const SERVER_ERROR: Self = Self::new(500, 20500, "something went wrong here");
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = json!({
            "code": self.code,
            "message": self.message,
            "more_info": format!("https://www.twilio.com/docs/errors/{}", self.code),
            "status": self.status,
        });
        (StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_REQUEST), Json(body)).into_response()
    }
}
