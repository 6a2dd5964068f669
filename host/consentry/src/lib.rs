//! The binary's parts: configuration, the daemon, what it prints, and the demonstration. It wires the other
//! crates together and decides nothing.

pub mod admin;
pub mod config;
pub mod costs;
pub mod daemon;
pub mod demo;
pub mod export;
pub mod language;
pub mod list;
pub mod log;
pub mod operate;
pub mod plan;
pub mod privacy;
pub mod problem;
pub mod purge;
pub mod schedules;
pub mod simulate;
pub mod story;
pub mod telemetry;
