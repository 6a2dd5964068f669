//! REDCap as seen from outside: its projects, its records, its API and its small languages.
//!
//! What a [`project`] is comes from its project XML ([`odm`]) or its data dictionary
//! ([`dictionary`]), what a [`record`] holds from the API ([`client`]) or from the XML. Both readers
//! tell what they did not understand as a [`Problem`] with its line.
//!
//! Conditions and formulas ([`logic`]), calculated fields ([`calculate`]) and message texts ([`pipe`],
//! [`smart`], [`html`]) are read against project and record, at a place and a moment
//! ([`reference::Context`]). What a participant types is judged by [`validate`]. [`inspect`] holds
//! everything in a project against the rest of it, [`analyze`] says which surveys a phone can take,
//! and [`manual`] is the reference that people read.
//!
//! Everything but [`client`] is pure: it neither waits, nor reads a clock, nor touches the network.
//!
//! REDCap is closed source. What is said here about it comes from public documentation, public
//! client libraries and public projects, and from nothing else.

pub mod analyze;
pub mod annotation;
pub mod calculate;
pub mod client;
pub mod dictionary;
pub mod html;
pub mod inspect;
pub mod logic;
pub mod manual;
pub mod odm;
pub mod pipe;
pub mod problem;
pub mod project;
pub mod record;
pub mod reference;
pub mod smart;
mod spelling;
pub mod validate;

pub use client::{ApiError, Client, ClientConfig, Wire};
pub use problem::Problem;
pub use project::Project;
pub use record::{Place, Record};
/// An API token: it neither prints nor lingers in memory.
pub use secrecy::SecretString as Token;

#[cfg(test)]
mod properties;
