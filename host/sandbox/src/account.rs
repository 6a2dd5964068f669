//! A Twilio with one account and one number.

mod api;
mod inbound;
mod message;
mod progress;
mod webhook;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};
use twilio::{LineType, MessageStatus, PhoneNumber, Secret};

pub(crate) use api::router;
pub(crate) use inbound::{Heard, deliver, hear};
use message::Message;
pub(crate) use webhook::client;

use crate::handset::{Direction, HandsetText};
use crate::world::World;

/// Who does what about STOP, START and HELP.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OptOutHandling {
    /// Twilio keeps a list and answers; the webhook does not tell.
    #[default]
    Default,
    /// Advanced Opt-Out: the same, and the webhook carries `OptOutType`.
    Advanced,
    /// Nothing, as on a short code or with message redaction: opting out is the receiver's business.
    None,
}

/// The account the sandbox plays.
#[derive(Debug, Clone)]
pub struct TwilioAccount {
    /// `AC` and 32 hexadecimal digits.
    pub account_sid: String,
    pub auth_token: Secret,
    /// The account's number, in E.164.
    pub number: String,
    pub opt_out: OptOutHandling,
}

impl Default for TwilioAccount {
    /// A full account with made-up credentials and a number of the fictional 555-01XX block.
    fn default() -> Self {
        Self {
            account_sid: "AC5a4db0c5a4db0c5a4db0c5a4db0c5a4d".to_owned(),
            auth_token: Secret::from("5a4db0c5a4db0c5a4db0c5a4db0c5a4d"),
            number: "+16175550100".to_owned(),
            opt_out: OptOutHandling::default(),
        }
    }
}

/// The account from behind the counter: what it holds, and what it is like. Clones speak to the same one.
#[derive(Clone)]
pub struct Twilio {
    pub(crate) world: Arc<World>,
}

impl fmt::Debug for Twilio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Twilio").finish_non_exhaustive()
    }
}

impl Twilio {
    /// In US dollars. At zero and below the account is suspended.
    pub fn set_balance(&self, dollars: f64) {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a demo's balance is far below 2^53 micro-dollars"
        )]
        let micros = (dollars * 1_000_000.0).round() as i64;
        self.world.account().balance_micros = micros;
        self.world.changed();
    }

    /// Makes the account a trial account, which may write to these numbers only.
    pub fn set_trial(&self, verified: &[&str]) {
        self.world.account().verified = Some(verified.iter().map(|&number| number.to_owned()).collect());
    }

    /// What Lookup says of a number; every other number is a mobile. A landline gets no texts.
    pub fn set_line_type(&self, number: &str, line: LineType) {
        self.world.account().lines.insert(number.to_owned(), line);
    }

    /// Texts to this number are taken and then come back undelivered with this error code.
    pub fn set_unreachable(&self, number: &str, code: u32) {
        self.world.account().unreachable.insert(number.to_owned(), code);
    }

    /// How long after its last change a finished message cannot be deleted yet. Zero to begin with.
    pub fn set_deletable_after(&self, wait: SignedDuration) {
        self.world.account().deletable_after = wait;
    }

    /// Whether Twilio blocks messages to this number.
    pub fn is_blocked(&self, number: &str) -> bool {
        self.world.account().blocked.contains(number)
    }

    /// How many messages Twilio keeps, in either direction. A deleted one is gone.
    pub fn messages_kept(&self) -> usize {
        self.world.account().messages.len()
    }

    /// How many kept messages still have their text.
    pub fn bodies_kept(&self) -> usize {
        self.world.account().messages.iter().filter(|message| !message.body.is_empty()).count()
    }

    /// How many webhooks went wrong. At Twilio each of them leaves a copy of the form in the debugger.
    pub fn alerts(&self) -> u64 {
        self.world.account().alerts
    }

    /// How many creates were asked for with good credentials, whatever came of them.
    pub fn creates_asked(&self) -> u64 {
        self.world.account().creates_asked
    }
}

/// What the account holds.
pub(crate) struct Account {
    pub(crate) sid: String,
    pub(crate) auth_token: Secret,
    pub(crate) number: Number,
    pub(crate) opt_out: OptOutHandling,
    /// Some for a trial account.
    verified: Option<BTreeSet<String>>,
    balance_micros: i64,
    /// In the order of creation.
    messages: Vec<Message>,
    /// Whom the number may not write to. There is one number, so the sender needs no saying.
    blocked: BTreeSet<String>,
    lines: BTreeMap<String, LineType>,
    unreachable: BTreeMap<String, u32>,
    deletable_after: SignedDuration,
    /// What the phones show. It outlives the messages: deleting at Twilio deletes nothing there.
    pub(crate) texts: Vec<HandsetText>,
    alerts: u64,
    creates_asked: u64,
    /// Webhooks of inbound messages, so that they can be delivered again.
    deliveries: BTreeMap<String, inbound::Inbound>,
    counter: u64,
    started: Timestamp,
}

/// The account's number, and where its messages go.
pub(crate) struct Number {
    pub(crate) sid: String,
    pub(crate) phone: PhoneNumber,
    /// What the API can set, by its name in answers: `sms_url`, `voice_url` and so on.
    pub(crate) settings: BTreeMap<&'static str, String>,
    pub(crate) friendly_name: String,
}

/// A US price of 2026 per segment, without carrier fees.
const PRICE_MICROS: i64 = 8_300;

impl Account {
    pub(crate) fn new(config: TwilioAccount, number: PhoneNumber, started: Timestamp) -> Self {
        let mut account = Self {
            sid: config.account_sid,
            auth_token: config.auth_token,
            number: Number {
                sid: String::new(),
                friendly_name: number.expose().to_owned(),
                phone: number,
                settings: BTreeMap::new(),
            },
            opt_out: config.opt_out,
            verified: None,
            balance_micros: 20_000_000,
            messages: Vec::new(),
            blocked: BTreeSet::new(),
            lines: BTreeMap::new(),
            unreachable: BTreeMap::new(),
            deletable_after: SignedDuration::ZERO,
            texts: Vec::new(),
            alerts: 0,
            creates_asked: 0,
            deliveries: BTreeMap::new(),
            counter: 0,
            started,
        };
        account.number.sid = account.new_sid("PN");
        account
    }

    /// A new SID. It comes from the start of the sandbox and a count, so that no two sandboxes of one daemon
    /// give the same.
    fn new_sid(&mut self, prefix: &str) -> String {
        self.counter += 1;
        let seed = format!("{prefix} {} {}", self.started.as_nanosecond(), self.counter);
        format!("{prefix}{}", hex::encode(&Sha256::digest(seed.as_bytes())[..16]))
    }

    fn is_suspended(&self) -> bool {
        self.balance_micros <= 0
    }

    fn message(&mut self, sid: &str) -> Option<&mut Message> {
        self.messages.iter_mut().find(|message| message.sid == sid)
    }

    /// Why a text to this number will not arrive; none if it will.
    fn obstacle(&self, to: &str) -> Option<u32> {
        self.unreachable.get(to).copied().or_else(|| {
            // Twilio tries landlines in the US, and the carrier turns them down.
            (self.lines.get(to) == Some(&LineType::Landline)).then_some(30006)
        })
    }

    /// Keeps a new message and, if it will arrive, puts it on the phone.
    fn keep(&mut self, message: Message) {
        if self.obstacle(&message.to).is_none() {
            self.texts.push(HandsetText {
                direction: Direction::ToPhone,
                number: message.to.clone(),
                body: message.body.clone(),
                at: message.created,
                sid: Some(message.sid.clone()),
                segments: message.segments,
                status: message.status.to_string(),
                from_twilio: false,
            });
        }
        self.messages.push(message);
    }

    /// Moves a message on, here and on the phone.
    fn advance(&mut self, sid: &str, status: MessageStatus, error_code: Option<u32>, now: Timestamp) {
        if let Some(text) = self.texts.iter_mut().find(|text| text.sid.as_deref() == Some(sid)) {
            text.status = status.to_string();
        }
        let Some(message) = self.message(sid) else { return };
        if status == MessageStatus::Sent {
            message.sent = Some(now);
        }
        let charged = status.is_final() && status != MessageStatus::Failed && message.price_micros.is_none();
        message.updated = now;
        message.status = status;
        message.error_code = error_code.or(message.error_code);
        if charged {
            let price = PRICE_MICROS * i64::from(message.segments);
            message.price_micros = Some(price);
            self.balance_micros -= price;
        }
    }
}
