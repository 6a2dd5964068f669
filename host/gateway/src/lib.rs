//! The gateway: trigger, route, render, review, send, record; inbox, interpret, act.
//!
//! One direction, one vocabulary. An invitation, an alert, the confirmation of STOP: each is an *occasion*
//! and takes the same road, so nothing reaches a phone around `review`. Policies decide, the host acts, the
//! ledger remembers.
//!
//! Invariants:
//!
//! - There is one write, [`store::Store::commit`], and one clock, [`Clock`].
//! - Decisions are functions of [`facts::Known`]: what they need is read before, and a policy's import never
//!   waits.
//! - The [`floor`] is asked before a compliance policy is, and again when a message is claimed, and once more
//!   in the transaction that lets the first byte leave.
//! - What may have been sent is never sent again ([`outbox::State::may_become`]).
//! - SQL is in `store/` and nowhere else.

mod account;
pub mod by_hand;
mod clean;
pub mod clock;
mod decide;
pub mod facts;
pub mod failpoint;
pub mod floor;
mod follow;
mod gateway;
pub mod health;
mod inbox;
mod interpret;
mod lease;
pub mod ledger;
pub mod mail;
pub mod metrics;
mod mistakes;
pub mod outbox;
pub mod pace;
pub mod project;
mod record;
mod refusal;
pub mod render;
mod review;
mod route;
pub mod schedule;
mod send;
pub mod store;
pub mod takeover;
pub mod trigger;
pub mod vault;
pub mod vocabulary;
pub mod watch;
pub mod webhooks;
pub mod wording;

pub use account::Money;
pub use by_hand::InviteError;
pub use clock::{Clock, Stopwatch};
pub use gateway::Gateway;
pub use inbox::{Taken, Webhook};
