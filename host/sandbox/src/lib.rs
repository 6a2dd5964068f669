//! A REDCap and a Twilio on loopback, and a handset in the browser: everything can be tried without an
//! account anywhere.
//!
//! One [`Sandbox`] is one server with three faces:
//!
//! - `/2010-04-01/…`, Lookup and Pricing under `/v1` and `/v2`: a Twilio with one account and its numbers. It
//!   refuses what Twilio's documentation says is refused, and it never deduplicates a create.
//! - `/redcap/api/` and `/redcap/surveys/`: a REDCap with one project, read from project XML.
//! - `/handset`: the participants' phones.
//!
//! [`Sandbox::start`] listens on loopback, and beside it there is a mail server on a port of its own, with every
//! mailbox that there is ([`Mailboxes`]). [`Sandbox::in_process`] has no socket: clients are given its
//! [`Sandbox::wire`], and what it would post by itself waits for [`Sandbox::deliver`].
//!
//! Either keeps everything in memory, and forgets it when dropped. The instant is given to it; it never
//! reads a clock. [`Faults`] makes it fail the way the real services fail.

mod account;
mod connection;
mod faults;
mod form;
mod handset;
mod mail;
mod post;
mod sandbox;
mod study;
mod world;

pub use account::{CallOutcome, Created, Kept, OptOutHandling, Twilio, TwilioAccount};
pub use faults::{
    CallbackFault, CallbackMix, CreateFault, CreateMix, CreateSeen, DeleteSeen, Faults, RedcapFault,
};
pub use handset::{Delivery, Direction, Handset, HandsetCall, HandsetText, Said, TimedOut};
pub use mail::{MailFault, Mailboxes, ReceivedMail};
pub use sandbox::{Sandbox, SandboxConfig, StartError};
pub use study::{NotImported, Redcap, SurveyOutcome};
pub use world::Now;
