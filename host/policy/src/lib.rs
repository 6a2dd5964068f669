//! The policy engine: load, check, grant, limit, call, record.
//!
//! A policy is a component of one of the contract's worlds. It is loaded once: its bytes are checked, its
//! imports and exports are compared with the contract, what it wants is compared with what the operator
//! granted, and its settings are checked by itself. Then it decides: each decision gets a fresh instance,
//! the same frozen instant, a budget of fuel, time, memory and data, and ends in exactly one of the ways
//! that [`Ended`] lists. Whatever the component does, the host goes on.
//!
//! A decision is a pure function of the component, its settings, the request and the answers of the host;
//! all of them are in its [`Record`].
//!
//! Invariants:
//!
//! - This crate does not know what the words mean: no rule of texting is here.
//! - An import never waits. It is answered from [`Facts`], or the decision ends in [`Ended::Needs`].
//! - There is no wall clock, no randomness, no file and no network behind any import.

pub mod check;
pub mod contract;
mod decide;
mod engine;
mod imports;
mod load;
mod record;

pub use decide::{Answer, Decision, Effect, Ended, Exchange, Facts, Question, Reply, Request};
pub use engine::{Engine, EngineError, Limits};
pub use load::{Digest, Grant, Grants, LoadError, Policy, SettingProblem, Settings, World};
pub use record::{Record, RecordError};
