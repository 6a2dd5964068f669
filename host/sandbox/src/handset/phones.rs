//! What the phones show, kept by number.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Direction, HandsetCall, HandsetText};

/// Every phone. They outlive what Twilio keeps: deleting there deletes nothing here.
pub(crate) struct Phones {
    by_number: BTreeMap<String, Phone>,
    /// Whether texts and calls are kept, or only counted.
    pub(crate) keep: bool,
    /// Counts whatever happens on any phone.
    seq: u64,
}

#[derive(Default)]
struct Phone {
    texts: Vec<HandsetText>,
    calls: Vec<HandsetCall>,
    received: usize,
    rang: usize,
}

/// A text about to be shown.
pub(crate) struct Shown<'a> {
    pub(crate) direction: Direction,
    pub(crate) phone: &'a str,
    /// The account's number at the other end.
    pub(crate) account_number: &'a str,
    pub(crate) body: &'a str,
    pub(crate) at: Timestamp,
    pub(crate) sid: Option<&'a str>,
    pub(crate) segments: u32,
    pub(crate) status: &'a str,
    pub(crate) from_twilio: bool,
}

impl Phones {
    pub(crate) fn new() -> Self {
        Self { by_number: BTreeMap::new(), keep: true, seq: 0 }
    }

    pub(crate) fn show(&mut self, text: &Shown<'_>) {
        self.seq += 1;
        let phone = self.by_number.entry(text.phone.to_owned()).or_default();
        if text.direction == Direction::ToPhone && !text.from_twilio {
            phone.received += 1;
        }
        if self.keep {
            phone.texts.push(HandsetText {
                seq: self.seq,
                direction: text.direction,
                number: text.phone.to_owned(),
                account_number: text.account_number.to_owned(),
                body: text.body.to_owned(),
                at: text.at,
                sid: text.sid.map(str::to_owned),
                segments: text.segments,
                status: text.status.to_owned(),
                from_twilio: text.from_twilio,
            });
        }
    }

    /// A call comes in. Nothing was said yet.
    pub(crate) fn ring(&mut self, phone: &str, account_number: &str, at: Timestamp, sid: &str) {
        self.seq += 1;
        let seq = self.seq;
        let number = phone.to_owned();
        let phone = self.by_number.entry(number.clone()).or_default();
        phone.rang += 1;
        if self.keep {
            phone.calls.push(HandsetCall {
                seq,
                number,
                account_number: account_number.to_owned(),
                at,
                sid: sid.to_owned(),
                answered: false,
                said: Vec::new(),
            });
        }
    }

    /// Somebody picked up and heard this.
    pub(crate) fn speak(&mut self, phone: &str, sid: &str, heard: Vec<String>) {
        let calls = self.by_number.get_mut(phone).map(|phone| &mut phone.calls);
        if let Some(call) = calls.into_iter().flatten().rev().find(|call| call.sid == sid) {
            call.answered = true;
            call.said = heard;
        }
    }

    /// Moves a text on.
    pub(crate) fn advance(&mut self, phone: &str, sid: &str, status: &str) {
        // The text that moves on is one of the last.
        let texts = self.by_number.get_mut(phone).map(|phone| &mut phone.texts);
        if let Some(text) = texts.into_iter().flatten().rev().find(|text| text.sid.as_deref() == Some(sid)) {
            status.clone_into(&mut text.status);
        }
    }

    pub(crate) fn texts(&self, number: &str) -> Vec<HandsetText> {
        self.by_number.get(number).map(|phone| phone.texts.clone()).unwrap_or_default()
    }

    pub(crate) fn calls(&self, number: &str) -> Vec<HandsetCall> {
        self.by_number.get(number).map(|phone| phone.calls.clone()).unwrap_or_default()
    }

    pub(crate) fn received(&self, number: &str) -> usize {
        self.by_number.get(number).map_or(0, |phone| phone.received)
    }

    pub(crate) fn rang(&self, number: &str) -> usize {
        self.by_number.get(number).map_or(0, |phone| phone.rang)
    }

    pub(crate) fn all_received(&self) -> BTreeMap<String, Vec<(u64, String)>> {
        let received = |phone: &Phone| {
            let texts = phone.texts.iter().filter(|text| is_message(text));
            texts.map(|text| (text.seq, text.body.clone())).collect::<Vec<_>>()
        };
        let all = self.by_number.iter().map(|(number, phone)| (number.clone(), received(phone)));
        all.filter(|(_, texts)| !texts.is_empty()).collect()
    }

    /// How many texts and calls each phone shows.
    pub(crate) fn counts(&self) -> BTreeMap<String, usize> {
        self.by_number
            .iter()
            .map(|(number, phone)| (number.clone(), phone.texts.len() + phone.calls.len()))
            .collect()
    }
}

fn is_message(text: &HandsetText) -> bool {
    text.direction == Direction::ToPhone && !text.from_twilio
}
