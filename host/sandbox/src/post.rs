//! What the services post by themselves: webhooks, status callbacks and the Data Entry Trigger.
//!
//! On the network they post when something happens, from tasks of their own. In process nothing happens
//! beside what is called: whatever would be posted waits in line until it is delivered.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::http::{Request, Response};
use reqwest::redirect;

use crate::account;
use crate::connection::call;
use crate::study::{self, Saved};
use crate::world::{World, locked};

/// How things are posted.
pub(crate) enum Post {
    Network(reqwest::Client),
    InProcess(Mutex<Tray>),
}

/// What waits, and who gets it.
#[derive(Default)]
pub(crate) struct Tray {
    waiting: VecDeque<Errand>,
    receiver: Option<Router>,
    delivered: usize,
}

/// Something that leads to posts.
pub(crate) enum Errand {
    /// A message goes its way.
    Message(String),
    Call(String),
    /// The Data Entry Trigger is told.
    Trigger(Saved),
}

/// What a webhook answered.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) body: String,
}

/// A post without an answer.
pub(crate) struct Unanswered {
    /// Whether there was not even a connection.
    pub(crate) never_left: bool,
}

impl Post {
    /// By the network. It waits as long as Twilio does, 5 seconds for a connection and 15 for an answer, and
    /// follows no redirect, which would lose the form.
    pub(crate) fn network() -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .connect_timeout(std::time::Duration::from_secs(5))
            .timeout(std::time::Duration::from_secs(15))
            .build()?;
        Ok(Self::Network(http))
    }

    pub(crate) fn in_process() -> Self {
        Self::InProcess(Mutex::default())
    }

    /// From now on everything goes to this router, whatever its address says. Without one it gets nowhere.
    pub(crate) fn set_receiver(&self, receiver: Option<Router>) {
        if let Self::InProcess(tray) = self {
            locked(tray).receiver = receiver;
        }
    }

    async fn carry(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Unanswered> {
        match self {
            Self::Network(http) => {
                let lost = |error: reqwest::Error| Unanswered { never_left: error.is_connect() };
                let answer = http.execute(request.try_into().map_err(lost)?).await.map_err(lost)?;
                let (status, headers) = (answer.status(), answer.headers().clone());
                let mut whole = Response::new(answer.bytes().await.map_err(lost)?);
                (*whole.status_mut(), *whole.headers_mut()) = (status, headers);
                Ok(whole)
            }
            Self::InProcess(tray) => {
                let receiver = locked(tray).receiver.clone();
                let receiver = receiver.ok_or(Unanswered { never_left: true })?;
                let answer = call(receiver, request).await;
                locked(tray).delivered += 1;
                answer.map_err(|_: io::Error| Unanswered { never_left: false })
            }
        }
    }
}

impl World {
    /// Posts a form, with these headers.
    pub(crate) async fn post(
        &self,
        url: &str,
        headers: &[(&str, &str)],
        form: String,
    ) -> Result<Answer, Unanswered> {
        let request = headers
            .iter()
            .fold(Request::post(url), |request, (name, value)| request.header(*name, *value))
            .body(form.into())
            .map_err(|_| Unanswered { never_left: true })?;
        let answer = self.post.carry(request).await?;
        let content_type = answer.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        Ok(Answer {
            status: answer.status().as_u16(),
            content_type: content_type.unwrap_or_default().to_owned(),
            body: String::from_utf8_lossy(answer.body()).into_owned(),
        })
    }

    /// Lets an errand be done in its own time.
    pub(crate) fn undertake(self: &Arc<Self>, errand: Errand) {
        match &self.post {
            Post::Network(_) => drop(tokio::spawn(run(Arc::clone(self), errand))),
            Post::InProcess(tray) => locked(tray).waiting.push_back(errand),
        }
    }

    /// Does an errand while the caller waits or, in process, in its turn.
    pub(crate) async fn undertake_now(self: &Arc<Self>, errand: Errand) {
        match &self.post {
            Post::Network(_) => run(Arc::clone(self), errand).await,
            Post::InProcess(_) => self.undertake(errand),
        }
    }

    /// Does whatever waits, in its order, and what comes of it; gives how often something was posted.
    pub(crate) async fn deliver(self: &Arc<Self>) -> usize {
        let Post::InProcess(tray) = &self.post else { return 0 };
        let before = locked(tray).delivered;
        loop {
            let next = locked(tray).waiting.pop_front();
            let Some(errand) = next else { break };
            run(Arc::clone(self), errand).await;
        }
        locked(tray).delivered - before
    }
}

async fn run(world: Arc<World>, errand: Errand) {
    match errand {
        Errand::Message(sid) => account::carry_message(world, sid).await,
        Errand::Call(sid) => account::carry_call(world, sid).await,
        Errand::Trigger(saved) => study::tell(&world, &saved).await,
    }
}
