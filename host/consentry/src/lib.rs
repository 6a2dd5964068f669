//! The binary's parts: configuration, the daemon, what it prints, and the demonstration. It wires the other
//! crates together and decides nothing.

pub mod config;
pub mod daemon;
pub mod demo;
pub mod export;
pub mod language;
pub mod log;
pub mod problem;
