//! A Twilio with one account and its numbers.

mod api;
mod call;
mod fate;
mod inbound;
mod list;
mod message;
mod price;
mod progress;
mod refusal;
mod shelf;
mod twiml;
mod webhook;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};
use twilio::{Keyword, LineType, MessageStatus, NotAPhone, PhoneNumber, Secret, default_keyword};

pub(crate) use api::router;
use call::Call;
pub use call::CallOutcome;
pub(crate) use call::carry as carry_call;
pub(crate) use inbound::{Heard, deliver, hear};
use message::Message;
pub(crate) use progress::carry as carry_message;
use shelf::Shelf;

use crate::handset::{Direction, Phones, Shown};
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
    /// The account's own number, in E.164. [`Twilio::add_number`] adds more.
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

/// What Twilio holds of us and of participants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kept {
    /// Messages of either direction.
    pub messages: usize,
    /// Those among them that still have their text.
    pub bodies: usize,
    /// Those among them that came in.
    pub inbound: usize,
    /// Those that came in and say STOP or START, in any of the words Twilio takes for it.
    pub stop_or_start: usize,
    pub calls: usize,
    pub recordings: usize,
    /// Contents of requests for calls, with the request inspector on. Nobody can delete these.
    pub call_events: usize,
    /// Copies of webhooks that went wrong. Nobody can delete these.
    pub notifications: usize,
    /// When the oldest message or call was made.
    pub oldest: Option<Timestamp>,
}

/// A message that Twilio took, for judging the pace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// On the sandbox's clock.
    pub at: Timestamp,
    /// The account's number.
    pub from: String,
    pub segments: u32,
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

    /// How long after it is charged a message or a call shows its price. Zero to begin with.
    pub fn set_price_after(&self, wait: SignedDuration) {
        self.world.account().price_after = wait;
    }

    /// How calls to this number end; every other number picks up.
    pub fn set_call_outcome(&self, number: &str, outcome: CallOutcome) {
        self.world.account().call_outcomes.insert(number.to_owned(), outcome);
    }

    /// Whether Twilio keeps what it asked and was answered during calls, which nobody can delete. Off to begin
    /// with.
    pub fn set_request_inspector(&self, on: bool) {
        self.world.account().request_inspector = on;
    }

    /// Gives a kept call a recording, as somebody with access to the account could, and gives its SID.
    pub fn add_recording(&self, call_sid: &str) -> String {
        let mut account = self.world.account();
        let sid = account.new_sid("RE");
        account.recordings.insert(sid.clone(), call_sid.to_owned());
        sid
    }

    /// While set, the account's credentials are refused, as after a token was changed.
    pub fn set_credentials_bad(&self, bad: bool) {
        self.world.account().credentials_bad = bad;
    }

    /// While set, the account belongs to another, which holds the balance.
    pub fn set_child(&self, child: bool) {
        self.world.account().is_child = child;
    }

    /// Gives the account one more number, in E.164.
    pub fn add_number(&self, number: &str) -> Result<(), NotAPhone> {
        let phone = PhoneNumber::from_e164(number)?;
        self.world.account().add_number(phone);
        Ok(())
    }

    /// Whether Twilio blocks messages to this number from any of the account's.
    pub fn is_blocked(&self, number: &str) -> bool {
        self.world.account().blocked.iter().any(|(_, blocked)| blocked == number)
    }

    /// Whether Twilio blocks messages to a number from this one of the account's.
    pub fn is_blocked_from(&self, account_number: &str, number: &str) -> bool {
        self.world.account().is_blocked(account_number, number)
    }

    /// Everything that Twilio holds. A deleted message or call is gone.
    pub fn kept(&self) -> Kept {
        self.world.account().kept()
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
        self.world.account().notifications.len() as u64
    }

    /// How many messages and calls were asked for with good credentials, whatever came of them.
    pub fn creates_asked(&self) -> u64 {
        self.world.account().creates_asked
    }

    /// Whether [`Self::creates`] notes the messages that Twilio takes from now on. Starting anew forgets what
    /// was noted.
    pub fn record_creates(&self, record: bool) {
        self.world.account().creates = record.then(Vec::new);
    }

    /// The messages that Twilio took while [`Self::record_creates`] was on, in their order.
    pub fn creates(&self) -> Vec<Created> {
        self.world.account().creates.clone().unwrap_or_default()
    }
}

/// What the account holds.
pub(crate) struct Account {
    pub(crate) sid: String,
    pub(crate) auth_token: Secret,
    /// The account's own number comes first. There is always one.
    numbers: Vec<Number>,
    pub(crate) opt_out: OptOutHandling,
    /// Some for a trial account.
    verified: Option<BTreeSet<String>>,
    balance_micros: i64,
    credentials_bad: bool,
    is_child: bool,
    messages: Shelf<Message>,
    calls: Shelf<Call>,
    call_outcomes: BTreeMap<String, CallOutcome>,
    /// The call of each recording.
    recordings: BTreeMap<String, String>,
    request_inspector: bool,
    call_events: Vec<call::Event>,
    /// Which of our numbers may not write to whom.
    blocked: BTreeSet<(String, String)>,
    lines: BTreeMap<String, LineType>,
    unreachable: BTreeMap<String, u32>,
    deletable_after: SignedDuration,
    price_after: SignedDuration,
    pub(crate) phones: Phones,
    notifications: Vec<Notification>,
    creates_asked: u64,
    deletes_asked: u64,
    creates: Option<Vec<Created>>,
    /// Webhooks of inbound messages, so that they can be delivered again.
    deliveries: BTreeMap<String, inbound::Inbound>,
    counter: u64,
    started: Timestamp,
}

/// What Twilio notes about a webhook that went wrong.
struct Notification {
    sid: String,
    code: u32,
    at: Timestamp,
}

/// One of the account's numbers, and where its messages go.
pub(crate) struct Number {
    pub(crate) sid: String,
    pub(crate) phone: PhoneNumber,
    /// What the API can set, by its name in answers: `sms_url`, `voice_url` and so on.
    pub(crate) settings: BTreeMap<&'static str, String>,
    pub(crate) friendly_name: String,
}

impl Account {
    pub(crate) fn new(config: TwilioAccount, number: PhoneNumber, started: Timestamp) -> Self {
        let mut account = Self {
            sid: config.account_sid,
            auth_token: config.auth_token,
            numbers: Vec::new(),
            opt_out: config.opt_out,
            verified: None,
            balance_micros: 20_000_000,
            credentials_bad: false,
            is_child: false,
            messages: Shelf::default(),
            calls: Shelf::default(),
            call_outcomes: BTreeMap::new(),
            recordings: BTreeMap::new(),
            request_inspector: false,
            call_events: Vec::new(),
            blocked: BTreeSet::new(),
            lines: BTreeMap::new(),
            unreachable: BTreeMap::new(),
            deletable_after: SignedDuration::ZERO,
            price_after: SignedDuration::ZERO,
            phones: Phones::new(),
            notifications: Vec::new(),
            creates_asked: 0,
            deletes_asked: 0,
            creates: None,
            deliveries: BTreeMap::new(),
            counter: 0,
            started,
        };
        account.add_number(number);
        account
    }

    fn add_number(&mut self, phone: PhoneNumber) {
        let sid = self.new_sid("PN");
        let friendly_name = phone.expose().to_owned();
        self.numbers.push(Number { sid, friendly_name, phone, settings: BTreeMap::new() });
    }

    pub(crate) fn own_number(&self) -> &Number {
        &self.numbers[0]
    }

    pub(crate) fn own_number_mut(&mut self) -> &mut Number {
        &mut self.numbers[0]
    }

    fn number(&self, phone: &str) -> Option<&Number> {
        self.numbers.iter().find(|number| number.phone.expose() == phone)
    }

    pub(crate) fn number_mut(&mut self, phone: &str) -> Option<&mut Number> {
        self.numbers.iter_mut().find(|number| number.phone.expose() == phone)
    }

    fn is_blocked(&self, account_number: &str, phone: &str) -> bool {
        self.blocked.contains(&(account_number.to_owned(), phone.to_owned()))
    }

    /// Notes a webhook that went wrong.
    fn note(&mut self, code: u32, at: Timestamp) {
        let sid = self.new_sid("NO");
        self.notifications.push(Notification { sid, code, at });
    }

    fn kept(&self) -> Kept {
        let inbound = || self.messages.iter().filter(|message| message.direction == "inbound");
        let is_stop_or_start = |message: &&Message| {
            let toll_free = PhoneNumber::from_e164(&message.to).is_ok_and(|number| number.is_toll_free());
            matches!(default_keyword(&message.body, toll_free), Some(Keyword::Stop | Keyword::Start))
        };
        let messages_since = self.messages.iter().map(|message| message.created).min();
        let calls_since = self.calls.iter().map(|call| call.created).min();
        Kept {
            messages: self.messages.len(),
            bodies: self.messages.iter().filter(|message| !message.body.is_empty()).count(),
            inbound: inbound().count(),
            stop_or_start: inbound().filter(is_stop_or_start).count(),
            calls: self.calls.len(),
            recordings: self.recordings.len(),
            call_events: self.call_events.len(),
            notifications: self.notifications.len(),
            oldest: messages_since.into_iter().chain(calls_since).min(),
        }
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

    /// Whether the price of something charged at that time can be seen by now.
    fn shows_price(&self, charged: Option<Timestamp>, now: Timestamp) -> bool {
        charged.is_some_and(|charged| now.duration_since(charged) >= self.price_after)
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
        if let Some(creates) = &mut self.creates {
            let Message { created, ref from, segments, .. } = message;
            creates.push(Created { at: created, from: from.clone(), segments });
        }
        if self.obstacle(&message.to).is_none() {
            self.phones.show(&Shown {
                direction: Direction::ToPhone,
                phone: &message.to,
                account_number: &message.from,
                body: &message.body,
                at: message.created,
                sid: Some(&message.sid),
                segments: message.segments,
                status: message.status.as_str(),
                from_twilio: false,
            });
        }
        self.messages.insert(message);
    }

    /// Moves a message on, here and on the phone.
    fn advance(&mut self, sid: &str, status: MessageStatus, error_code: Option<u32>, now: Timestamp) {
        let Some(message) = self.messages.get_mut(sid) else { return };
        self.phones.advance(&message.to, sid, status.as_str());
        if status == MessageStatus::Sent {
            message.sent = Some(now);
        }
        let charged = status.is_final() && status != MessageStatus::Failed && message.charged.is_none();
        message.updated = now;
        message.status = status;
        message.error_code = error_code.or(message.error_code);
        if charged {
            let price = price::SEGMENT_MICROS * i64::from(message.segments);
            message.price_micros = Some(price);
            message.charged = Some(now);
            self.balance_micros -= price;
        }
    }
}
