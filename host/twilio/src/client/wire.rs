//! What carries a request to its answer: the network, or a service in this process.

use std::error::Error;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};

use super::Head;

/// A service in this process that answers in place of Twilio. It fails as a connection fails: with
/// [`io::ErrorKind::ConnectionRefused`] if nothing was sent, and with anything else if the request may have
/// arrived.
pub type Wire = Arc<dyn Fn(Request<Bytes>) -> Answering + Send + Sync>;

/// An answer under way.
pub type Answering = Pin<Box<dyn Future<Output = io::Result<Response<Bytes>>> + Send>>;

/// What is known of why there is no answer.
pub type Cause = Box<dyn Error + Send + Sync>;

#[derive(Clone)]
pub(super) enum Transport {
    Network(reqwest::Client),
    InProcess(Wire),
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Network(_) => "Network",
            Self::InProcess(_) => "InProcess",
        })
    }
}

/// An exchange that did not come to its end; `answered` says how far it got.
pub(super) struct Broken {
    pub(super) answered: Option<Head>,
    pub(super) reach: Reach,
    pub(super) source: Cause,
}

/// How far a request got that was not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// No byte of it left.
    Nowhere,
    /// It may have arrived, and there was no time for the answer.
    Timeout,
    /// It may have arrived.
    Somewhere,
}

impl Broken {
    /// A request that cannot be made.
    pub(super) fn unmade(source: http::Error) -> Self {
        Self { answered: None, reach: Reach::Nowhere, source: source.into() }
    }

    fn on_the_network(answered: Option<Head>, source: reqwest::Error) -> Self {
        let reach = if source.is_connect() {
            Reach::Nowhere
        } else if source.is_timeout() {
            Reach::Timeout
        } else {
            Reach::Somewhere
        };
        // A list's URL holds phone numbers, so errors go without it.
        Self { answered, reach, source: source.without_url().into() }
    }
}

impl Transport {
    pub(super) async fn carry(&self, request: Request<Bytes>) -> Result<(Head, Bytes), Broken> {
        match self {
            Self::Network(http) => {
                let lost = |source| Broken::on_the_network(None, source);
                let request = reqwest::Request::try_from(request).map_err(lost)?;
                let response = http.execute(request).await.map_err(lost)?;
                let head = Head::of(response.status(), response.headers());
                match response.bytes().await {
                    Ok(body) => Ok((head, body)),
                    Err(source) => Err(Broken::on_the_network(Some(head), source)),
                }
            }
            Self::InProcess(wire) => match wire(request).await {
                Ok(response) => Ok((Head::of(response.status(), response.headers()), response.into_body())),
                Err(source) => {
                    let reach = match source.kind() {
                        io::ErrorKind::ConnectionRefused => Reach::Nowhere,
                        io::ErrorKind::TimedOut => Reach::Timeout,
                        _ => Reach::Somewhere,
                    };
                    Err(Broken { answered: None, reach, source: source.into() })
                }
            },
        }
    }
}
