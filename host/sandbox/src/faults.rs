//! What goes wrong on purpose.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use crate::world::World;

/// How creating a message goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CreateFault {
    /// Twilio says no, and there is no message.
    Refuse { code: u32, status: u16 },
    /// HTTP 429 with 20429: too many requests at once, and this one was not looked at.
    RateLimited,
    /// HTTP 500, and the message goes out all the same.
    Error500ButSent,
    /// HTTP 500, and there is no message.
    Error500NotSent,
    /// The message goes out, and the connection breaks before the answer.
    AcceptThenDrop,
    /// The connection breaks before the answer, and there is no message.
    DropNotSent,
}

/// What becomes of a message's status callbacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallbackFault {
    /// Each is posted twice, the second time with the same idempotency token.
    Duplicate,
    /// The last is posted first.
    Reorder,
    /// None is posted.
    Drop,
}

/// What REDCap answers instead of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RedcapFault {
    /// The connection breaks.
    Down,
    /// A web page with status 200, as a proxy or a PHP error gives.
    HtmlError,
    /// HTTP 403, as after a right was taken away.
    NotPermitted,
}

/// Makes the sandbox fail. Clones speak to the same sandbox.
#[derive(Clone)]
pub struct Faults {
    pub(crate) world: Arc<World>,
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faults").finish_non_exhaustive()
    }
}

impl Faults {
    /// Lets the next `count` creates go wrong, after those already planned.
    pub fn next_creates(&self, count: usize, fault: CreateFault) {
        self.world.plan().creates.extend(std::iter::repeat_n(fault, count));
    }

    /// Lets the callbacks of the next `count` messages go wrong, after those already planned.
    pub fn next_callbacks(&self, count: usize, fault: CallbackFault) {
        self.world.plan().callbacks.extend(std::iter::repeat_n(fault, count));
    }

    /// While set, Twilio breaks every connection.
    pub fn twilio_down(&self, down: bool) {
        self.world.plan().twilio_down = down;
    }

    /// What REDCap does from now on, its survey pages included; `None` heals it.
    pub fn redcap(&self, fault: Option<RedcapFault>) {
        self.world.plan().redcap = fault;
    }

    /// Takes back everything that is planned.
    pub fn clear(&self) {
        *self.world.plan() = Plan::default();
    }
}

#[derive(Default)]
pub(crate) struct Plan {
    pub(crate) creates: VecDeque<CreateFault>,
    pub(crate) callbacks: VecDeque<CallbackFault>,
    pub(crate) twilio_down: bool,
    pub(crate) redcap: Option<RedcapFault>,
}
