//! What becomes of a create, a redaction and a deletion apart from what they ask for.

use std::sync::Arc;

use tokio::sync::watch;

use super::refusal::Refusal;
use crate::connection::Line;
use crate::faults::{CreateFault, CreateSeen, DeleteSeen};
use crate::form::Form;
use crate::world::World;

/// What was planned for one create.
pub(super) struct Fate {
    fault: Option<CreateFault>,
    released: watch::Receiver<u64>,
}

impl Fate {
    /// Counts the create, tells whoever watches, and takes what is planned for it.
    pub(super) fn of_create(world: &World, form: &Form, is_call: bool) -> Self {
        let nth = {
            let mut account = world.account();
            account.creates_asked += 1;
            account.creates_asked
        };
        // From here on, so that a release is not missed while the create is at work.
        let released = world.released.subscribe();
        let hook = world.plan().on_create.clone();
        if let Some(hook) = hook {
            hook(CreateSeen { nth, to: form.get("To").unwrap_or_default().to_owned(), is_call });
        }
        Self { fault: world.plan().next_create(), released }
    }

    /// Ends a create that comes to nothing.
    pub(super) fn before(&self, line: &Line) -> Result<(), Refusal> {
        match self.fault {
            Some(CreateFault::Refuse { code, status }) => {
                Err(Refusal::new(status, code, "the sandbox was told to refuse this"))
            }
            Some(CreateFault::RateLimited) => Err(Refusal::new(429, 20429, "too many requests at once")),
            Some(CreateFault::Error500NotSent) => Err(Refusal::SERVER_ERROR),
            Some(CreateFault::DropNotSent) => {
                line.hang_up();
                Err(Refusal::SERVER_ERROR)
            }
            _ => Ok(()),
        }
    }

    /// Spoils or delays the answer to a create that was carried out.
    pub(super) async fn after(mut self, line: &Line) -> Result<(), Refusal> {
        match self.fault {
            Some(CreateFault::Error500ButSent) => return Err(Refusal::SERVER_ERROR),
            Some(CreateFault::AcceptThenDrop) => line.hang_up(),
            Some(CreateFault::Slow(delay)) => tokio::time::sleep(delay).await,
            Some(CreateFault::AnswerWhenReleased) => {
                // An error means that the sandbox is gone, and with it whoever waits for the answer.
                let _ = self.released.changed().await;
            }
            _ => {}
        }
        Ok(())
    }
}

/// Counts a request to empty or to delete something, and tells whoever watches.
pub(super) fn see_deletion(world: &Arc<World>, sid: &str, redacts: bool) {
    let nth = {
        let mut account = world.account();
        account.deletes_asked += 1;
        account.deletes_asked
    };
    let hook = world.plan().on_delete.clone();
    if let Some(hook) = hook {
        hook(DeleteSeen { nth, sid: sid.to_owned(), redacts });
    }
}
