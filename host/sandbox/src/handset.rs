//! The participants' phones.

mod phones;
mod web;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;

use crate::account::{Heard, deliver, hear};
use crate::world::World;

pub(crate) use phones::{Phones, Shown};
pub(crate) use web::router;

/// A text on a phone. It stays there whatever is deleted at Twilio.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandsetText {
    /// Orders all texts and calls of the sandbox, whichever phone they are on and whichever way they went.
    pub seq: u64,
    pub direction: Direction,
    /// The phone's number, whichever way the text went.
    pub number: String,
    /// The account's number at the other end.
    pub account_number: String,
    pub body: String,
    pub at: Timestamp,
    /// The message at Twilio; none for what Twilio says by itself.
    pub sid: Option<String>,
    pub segments: u32,
    /// In Twilio's words: `queued`, `sent`, `delivered`, `received`.
    pub status: String,
    /// Whether Twilio itself wrote it, in answer to a keyword.
    pub from_twilio: bool,
}

/// A call that came in on a phone. Its record stays there whatever is deleted at Twilio.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandsetCall {
    /// In one order with [`HandsetText::seq`].
    pub seq: u64,
    pub number: String,
    /// The account's number that called.
    pub account_number: String,
    pub at: Timestamp,
    /// The call at Twilio.
    pub sid: String,
    /// Whether somebody picked up.
    pub answered: bool,
    /// What each `Say` said.
    pub said: Vec<String>,
}

/// Which way a text went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    ToPhone,
    FromPhone,
}

/// What became of a text that a participant sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// The message at Twilio, for [`Handset::redeliver`].
    pub sid: String,
    pub delivery: Delivery,
}

/// What became of an inbound message's webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// The number has no webhook.
    NoWebhook,
    /// It answered with these texts.
    Answered { status: u16, replies: Vec<String> },
    /// It did not answer, answered an error, or answered what is not `TwiML`.
    Failed { status: Option<u16> },
}

/// Something that was waited for did not happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the phone did not come to show what was waited for")]
pub struct TimedOut;

/// Every phone there is. Clones are the same phones.
#[derive(Clone)]
pub struct Handset {
    pub(crate) world: Arc<World>,
}

impl fmt::Debug for Handset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handset").finish_non_exhaustive()
    }
}

impl Handset {
    /// What a phone shows, oldest first. `number` is in E.164.
    pub fn texts(&self, number: &str) -> Vec<HandsetText> {
        self.world.account().phones.texts(number)
    }

    /// How many texts a phone ever received, Twilio's own left out.
    pub fn received(&self, number: &str) -> usize {
        self.world.account().phones.received(number)
    }

    /// What every phone ever received, Twilio's own texts left out: bodies with their [`HandsetText::seq`]. A
    /// phone that received nothing is not listed.
    pub fn all_received(&self) -> BTreeMap<String, Vec<(u64, String)>> {
        self.world.account().phones.all_received()
    }

    /// The calls that came in on a phone, oldest first. One that failed at Twilio never rang.
    pub fn calls(&self, number: &str) -> Vec<HandsetCall> {
        self.world.account().phones.calls(number)
    }

    /// How many calls ever came in on a phone.
    pub fn rang(&self, number: &str) -> usize {
        self.world.account().phones.rang(number)
    }

    /// Whether phones keep what they show, as they do to begin with. Without it they only count, so that
    /// memory stays flat however much is sent: [`Self::received`] and [`Self::rang`] go on, and what was kept
    /// so far stays.
    pub fn keep_texts(&self, keep: bool) {
        self.world.account().phones.keep = keep;
    }

    /// The participant sends a text to the account's own number. Comes back when the webhook has answered.
    pub async fn say(&self, from: &str, body: &str) -> Said {
        let to = self.own_number();
        self.say_to(from, &to, body).await
    }

    /// Like [`Self::say`], to any of the account's numbers.
    pub async fn say_to(&self, from: &str, to: &str, body: &str) -> Said {
        let Heard { sid, has_webhook } = hear(&self.world, from, to, body);
        let delivery = if has_webhook { deliver(&self.world, &sid).await } else { Delivery::NoWebhook };
        Said { sid, delivery }
    }

    /// The participant sends a text, and its webhook gets lost: Twilio keeps the message and tells nobody.
    /// Gives its SID.
    pub fn say_quietly(&self, from: &str, body: &str) -> String {
        hear(&self.world, from, &self.own_number(), body).sid
    }

    /// Tells the webhook of a text once more, with the idempotency token of the first time. The answer is
    /// shown on the phone only if no earlier one was.
    pub async fn redeliver(&self, sid: &str) -> Delivery {
        deliver(&self.world, sid).await
    }

    /// Counts changes of anything in the sandbox: each step is worth another look.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.world.changes()
    }

    /// Waits until a phone shows what `is_there` wants, and gives what it shows then.
    pub async fn wait_for(
        &self,
        number: &str,
        timeout: Duration,
        is_there: impl Fn(&[HandsetText]) -> bool,
    ) -> Result<Vec<HandsetText>, TimedOut> {
        let mut changes = self.watch();
        let until_there = async {
            loop {
                changes.borrow_and_update();
                let texts = self.texts(number);
                if is_there(&texts) {
                    return Ok(texts);
                }
                changes.changed().await.map_err(|_| TimedOut)?;
            }
        };
        tokio::time::timeout(timeout, until_there).await.unwrap_or(Err(TimedOut))
    }

    fn own_number(&self) -> String {
        self.world.account().own_number().phone.expose().to_owned()
    }
}
