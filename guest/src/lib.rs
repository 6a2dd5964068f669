//! What a policy author depends on: the contract as Rust types, and one macro line per world.
//!
//! A policy is one `impl` and one macro line:
//!
//! ```
//! use consentry_guest::{routing, Description, Finding, Occasion, Problem, Route};
//!
//! struct Nobody;
//!
//! impl routing::Policy for Nobody {
//!     fn describe() -> Description {
//!         Description {
//!             name: "nobody".into(),
//!             version: "1".into(),
//!             summary: "contacts nobody".into(),
//!             settings: vec![],
//!             rules: vec![],
//!         }
//!     }
//!
//!     fn choose(_occasion: Occasion) -> Route {
//!         Route::Skip(Finding {
//!             rule: "nobody".into(),
//!             sentence: "this study contacts nobody".into(),
//!             citation: None,
//!             fact: None,
//!         })
//!     }
//! }
//!
//! consentry_guest::routing!(Nobody);
//! # fn main() {}
//! ```
//!
//! Built for `wasm32-unknown-unknown`, such a crate imports nothing but the contract's interfaces. Built
//! natively, it is an ordinary library whose rules are tested with `cargo test`; what the host would
//! answer is then given to [`host::answering`].

#[doc(hidden)]
pub mod about;
mod bindings;
#[cfg(target_arch = "wasm32")]
mod heap;
pub mod host;

pub mod compliance;
pub mod routing;
pub mod rule;
pub mod template;

pub use bindings::consentry::policy::declarations::{Description, Problem, Rule, Setting, SettingKind};
pub use bindings::consentry::policy::redcap::{
    FieldDescription, FieldValue, LogicValue, Place, Sensitivity, SurveyState,
};
pub use bindings::consentry::policy::settings::Value;
pub use bindings::consentry::policy::time::{Civil, Weekday};
pub use bindings::consentry::policy::twilio::{LineType, PastDelivery, Sender, SenderKind};
pub use bindings::consentry::policy::types::*;
pub use bindings::consentry::policy::wordings::{ApprovalState, ChoiceStyle, Length, Part, Piece, Wording};
pub use compliance::{
    Allowance, Approval, Deferral, Draft, Expecting, Filling, Inbound, Intent, ProviderHandling, Scope,
    Stage, Stop, Verdict,
};
pub use routing::{Plan, Route, Wait};
pub use template::{Choice, Misread, Necessity, Question, QuestionKind, Turn, Words};

/// Why the host has no answer to a read of REDCap.
pub use bindings::consentry::policy::redcap::Error as RedcapError;
/// Why the host did not take an intent to write to REDCap.
pub use bindings::consentry::policy::redcap_write::Error as WriteError;
/// Why there is no such time.
pub use bindings::consentry::policy::time::Error as TimeError;
/// Why the host has no answer to a read of Twilio.
pub use bindings::consentry::policy::twilio::Error as TwilioError;
