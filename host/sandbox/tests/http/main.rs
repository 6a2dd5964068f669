//! The sandbox as its clients see it, over HTTP and in process.

#![expect(clippy::unwrap_used, reason = "a test may panic, and its helpers are tests too")]

mod call_side;
mod crash_side;
mod desk_side;
mod handset_side;
mod process_side;
mod redcap_side;
mod support;
mod twilio_side;
