//! The Data Entry Trigger, passed on: a project has one address for it, and another program may need it too.

use std::fmt;
use std::time::Duration;

use reqwest::{Url, redirect};

use super::{ApiError, is_loopback};

/// Another program's address for a project's Data Entry Trigger.
pub struct TriggerTarget {
    http: reqwest::Client,
    url: Url,
}

impl fmt::Debug for TriggerTarget {
    /// The address often holds a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TriggerTarget").field("host", &self.url.host_str()).finish_non_exhaustive()
    }
}

impl TriggerTarget {
    /// An address by HTTPS; on this machine HTTP will do.
    pub fn new(url: &str) -> Result<TriggerTarget, ApiError> {
        let refuse = |reason| ApiError::Address { url: "…".to_owned(), reason };
        let url = Url::parse(url).map_err(|_| refuse("is not a URL"))?;
        match url.scheme() {
            "https" => {}
            "http" if is_loopback(&url) => {}
            _ => return Err(refuse("does not begin with https://")),
        }
        let http = reqwest::Client::builder()
            .redirect(redirect::Policy::none())
            .timeout(Duration::from_secs(10))
            .build()
            .map_err(ApiError::Setup)?;
        Ok(TriggerTarget { http, url })
    }

    /// Posts what REDCap posted, byte for byte, once: REDCap tries no second time either. Says whether it was taken.
    pub async fn pass_on(&self, body: Vec<u8>) -> bool {
        let form = "application/x-www-form-urlencoded";
        let posted = self.http.post(self.url.clone()).header("content-type", form).body(body).send().await;
        posted.is_ok_and(|answer| answer.status().is_success())
    }
}
