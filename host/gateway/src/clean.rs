//! Clean: what Twilio keeps of us is emptied as soon as it is final, and deleted as soon as Twilio permits.
//!
//! A record is gone when a fetch finds nothing any more. While a message to a number is in doubt nothing of
//! that number is touched: it could not be looked for any more.

use twilio::{CallStatus, Deleted, MessageStatus, RequestError, micros};

use crate::failpoint::{Point, pass};
use crate::gateway::Gateway;
use crate::metrics;
use crate::project::Project;
use crate::store::{Cleaning, Kept, Step, StoreError};

/// How often a price is waited for: half an hour in all.
const PATIENCE: u32 = 3;

/// Records that are cleaned up in a row.
const IN_A_ROW: u32 = 8;

impl Gateway {
    /// Cleans up at Twilio, and says how many records were looked at.
    pub(crate) async fn clean(&self, name: &str) -> Result<usize, StoreError> {
        let Some(project) = self.projects.get(name) else { return Ok(0) };
        if !self.is_sending(project) {
            return Ok(0);
        }
        let copies = self.store.to_clean(name, self.clock.seconds(), IN_A_ROW).await?;
        let count = copies.len();
        let cleaned = copies.into_iter().map(|copy| async move {
            let cleaning = match metrics::asking("clean", clean(project, &copy)).await {
                Ok(cleaning) => cleaning,
                Err(error) => {
                    tracing::warn!(project = name, %error, "a record at Twilio cannot be cleaned up yet");
                    if let RequestError::Api(error) = &error {
                        metrics::twilio_error(error.code);
                    }
                    Cleaning::NotYet { answered: matches!(error, RequestError::Api(_)) }
                }
            };
            pass(Point::MidRedaction);
            self.store.commit(Step::Cleaned { sid: copy.sid, cleaning }).await
        });
        for committed in futures_util::future::join_all(cleaned).await {
            committed?;
        }
        Ok(count)
    }

    /// What Twilio has kept for longer than a project allows is for a person, who is told once a day. What is
    /// kept there on purpose is not meant.
    pub(crate) async fn warn_of_kept(&self, project: &Project) -> Result<(), StoreError> {
        let now = self.clock.seconds();
        let kept = self.store.kept().await?;
        let ours = kept.iter().filter(|kept| kept.project == project.name && kept.what != "kept");
        let Some(oldest) = ours.map(|kept| kept.oldest).min() else { return Ok(()) };
        let hours = now.saturating_sub(oldest) / 3600;
        if hours < project.account.kept_alarm {
            return Ok(());
        }
        let sentence = format!(
            "Twilio has kept a record of ours for {hours} hours, and {} are allowed; `consentry privacy` says what it \
             is, and a message in doubt keeps everything of its number there",
            project.account.kept_alarm
        );
        tracing::warn!(project = project.name, hours, "Twilio keeps what should be gone");
        let cause = format!("kept-at-twilio/{}/{}", project.name, now / 86_400);
        let ask = Step::Ask { kind: "kept-at-twilio", project: project.name.clone(), cause, sentence };
        self.store.commit(ask).await.map(|_| ())
    }
}

async fn clean(project: &Project, copy: &Kept) -> Result<Cleaning, RequestError> {
    let cleaned = match copy.kind.as_str() {
        "call" => call(project, copy).await,
        _ => text(project, copy).await,
    };
    match cleaned {
        Err(RequestError::Api(error)) if error.code == Some(20404) => Ok(Cleaning::Gone),
        cleaned => cleaned,
    }
}

async fn text(project: &Project, copy: &Kept) -> Result<Cleaning, RequestError> {
    let twilio = &project.account.client;
    if !copy.redacted {
        let emptied = twilio.redact_message(&copy.sid).await?;
        return Ok(Cleaning::Redacted {
            price: emptied.price.as_deref().and_then(micros).map(i64::abs),
            currency: emptied.price_unit,
        });
    }
    // The price comes some time after the end, and goes with the record.
    let found = twilio.fetch_message(&copy.sid).await?;
    match found.price.as_deref().and_then(micros) {
        Some(price) if !copy.priced => {
            return Ok(Cleaning::Redacted { price: Some(price.abs()), currency: found.price_unit });
        }
        // It is waited for a while, since nobody can be asked afterwards.
        None if !copy.priced && copy.tries < PATIENCE && found.status != MessageStatus::Failed => {
            return Ok(Cleaning::NotYet { answered: true });
        }
        _ => {}
    }
    gone(twilio.delete_message(&copy.sid).await?, twilio.fetch_message(&copy.sid).await.map(|_| ()))
}

async fn call(project: &Project, copy: &Kept) -> Result<Cleaning, RequestError> {
    let twilio = &project.account.client;
    let found = twilio.fetch_call(&copy.sid).await?;
    // We never ask for a recording; what there is all the same is deleted first, also when it came later.
    for recording in twilio.list_recordings(&copy.sid).await? {
        twilio.delete_recording(&recording.sid).await?;
    }
    if !copy.redacted {
        return Ok(Cleaning::Redacted {
            price: found.price.as_deref().and_then(micros).map(i64::abs),
            currency: found.price_unit,
        });
    }
    match found.price.as_deref().and_then(micros) {
        Some(price) if !copy.priced => {
            return Ok(Cleaning::Redacted { price: Some(price.abs()), currency: found.price_unit });
        }
        None if !copy.priced && copy.tries < PATIENCE && found.status == CallStatus::Completed => {
            return Ok(Cleaning::NotYet { answered: true });
        }
        _ => {}
    }
    gone(twilio.delete_call(&copy.sid).await?, twilio.fetch_call(&copy.sid).await.map(|_| ()))
}

/// Deleted is what cannot be fetched any more.
fn gone(deleted: Deleted, fetched: Result<(), RequestError>) -> Result<Cleaning, RequestError> {
    match (deleted, fetched) {
        (Deleted::NotYet, _) | (_, Ok(())) => Ok(Cleaning::NotYet { answered: true }),
        (_, Err(error)) => Err(error),
    }
}
