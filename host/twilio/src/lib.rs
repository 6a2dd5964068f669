//! Twilio as the gateway needs it: the REST client, webhook signatures and forms, `TwiML`, segment
//! arithmetic and the table of error codes.
//!
//! This crate knows nothing of studies, participants or REDCap. It states what Twilio's documented
//! contract says and where that contract leaves an outcome open; what to do then is the caller's.
//!
//! Three invariants hold throughout:
//!
//! - A phone number, a message body and a secret have types without `Display`, and their `Debug` prints a
//!   mask, so none of them reaches a log by accident.
//! - Nothing here reads a clock, sleeps or retries. Creating a message is not idempotent at Twilio, so only
//!   the caller, who keeps the record of what was attempted, may decide on a second attempt.
//! - Every number that comes from Twilio's documentation stands next to the item it governs.

mod body;
mod call_status;
mod client;
mod errors;
mod keywords;
mod money;
mod phone;
mod segments;
mod signature;
mod status;
mod twiml;
mod webhook;

pub use body::MessageBody;
pub use call_status::CallStatus;
pub use client::{
    Account, AccountStatus, AccountType, Answering, ApiError, Balance, Call, Capabilities, Cause, Client,
    ClientConfig, CreateCall, CreateError, CreateMessage, DEFAULT_API_BASE, DEFAULT_LOOKUPS_BASE,
    DEFAULT_PRICING_BASE, Deleted, Direction, IncomingNumber, LineType, ListCalls, ListMessages, Listed,
    Message, Price, Recording, RequestError, Sender, SetupError, UnknownOutcome, Wire,
};
pub use errors::{
    Class, Explained, all as all_errors, class, explain, is_account, is_credential, is_hard, is_opt_out,
    wait_after,
};
pub use keywords::{Keyword, default_keyword};
pub use money::{decimal, micros};
pub use phone::{NotAPhone, PhoneNumber};
/// Brings [`Secret`]'s `expose_secret` into scope.
pub use secrecy::ExposeSecret;
/// A token or key: masked in `Debug`, wiped when dropped.
pub use secrecy::SecretString as Secret;
pub use segments::{Encoding, Segments, SmartEncoding, measure, smart_encode};
pub use signature::{Algorithm, BadSignature, Payload, Signed, Verifier, sign, sign_json, sign_with};
pub use status::MessageStatus;
pub use twiml::{Response, empty};
pub use webhook::{CallCallback, InboundMessage, OptOutType, StatusCallback, WebhookError, parse_form};

#[cfg(test)]
mod corpus {
    use std::path::Path;

    /// A file of the test corpus, which is too large and too much others' work to keep here. The folder is
    /// named by `CONSENTRY_CORPUS`.
    pub(crate) fn read(file: &str) -> Option<String> {
        let Ok(folder) = std::env::var("CONSENTRY_CORPUS") else {
            println!("skipped: CONSENTRY_CORPUS is not set");
            return None;
        };
        Some(std::fs::read_to_string(Path::new(&folder).join(file)).unwrap())
    }
}
