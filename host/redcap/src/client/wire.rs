//! What carries a request to its answer: the network, or a service in this process.

use std::error::Error;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, Response};

/// A service in this process that answers in place of REDCap. It fails as a connection fails: with
/// [`io::ErrorKind::ConnectionRefused`] if nothing was sent, and with anything else if the request may have
/// arrived.
pub type Wire = Arc<dyn Fn(Request<Bytes>) -> BoxFuture<'static, io::Result<Response<Bytes>>> + Send + Sync>;

/// What is known of why there is no answer.
pub type Cause = Box<dyn Error + Send + Sync>;

pub(super) enum Transport {
    Network(reqwest::Client),
    InProcess(Wire),
}

/// A request without a whole answer.
pub(super) struct Lost {
    /// Without a connection nothing was sent; after it, anything may have happened.
    pub(super) may_have_arrived: bool,
    pub(super) source: Cause,
}

impl From<reqwest::Error> for Lost {
    fn from(source: reqwest::Error) -> Self {
        Self { may_have_arrived: !source.is_connect() && !source.is_builder(), source: source.into() }
    }
}

impl From<io::Error> for Lost {
    fn from(source: io::Error) -> Self {
        let may_have_arrived = source.kind() != io::ErrorKind::ConnectionRefused;
        Self { may_have_arrived, source: source.into() }
    }
}

impl Transport {
    pub(super) async fn carry(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Lost> {
        match self {
            Self::Network(http) => {
                let answer = http.execute(request.try_into()?).await?;
                let (status, headers) = (answer.status(), answer.headers().clone());
                let mut whole = Response::new(answer.bytes().await?);
                (*whole.status_mut(), *whole.headers_mut()) = (status, headers);
                Ok(whole)
            }
            Self::InProcess(wire) => Ok(wire(request).await?),
        }
    }
}
